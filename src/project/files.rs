//! Reads one file that a person wrote. Never waits on a pipe, never reads more than the language allows.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::runbook::node::FILE_BYTES_MAX;
use crate::runbook::problem::Problem;
use crate::runbook::source::{Source, Span};

/// Why there is no text.
#[derive(Debug)]
pub(super) enum Fault {
    Absent,
    /// Something is there, but it isn't what is read.
    Unusable(Box<Problem>),
}

/// What to do about a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// A person gave the path and means what it leads to.
    Follow,
    /// A project holds what lies below its own folders.
    Refuse,
}

/// Reads a file as text.
pub(super) fn read(path: &Path, shown: &str, links: Links) -> Result<Arc<Source>, Fault> {
    let unusable = |why: &str| Fault::Unusable(Box::new(unusable(shown, why)));
    // Without NONBLOCK, opening a pipe nobody writes to would wait for ever.
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    flags.set(OFlags::NOFOLLOW, links == Links::Refuse);
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(Fault::Absent),
        Err(Errno::LOOP) if links == Links::Refuse => return Err(unusable(IS_LINK)),
        Err(error) => return Err(unusable(&format!("can't be read: {error}"))),
    };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(unusable("is not a regular file"));
    }
    let mut bytes = Vec::new();
    if let Err(error) = file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes) {
        return Err(unusable(&format!("can't be read: {error}")));
    }
    if bytes.len() > FILE_BYTES_MAX {
        let source = Source::new(shown, "");
        let message = format!("`{shown}` has more than {FILE_BYTES_MAX} bytes");
        return Err(Fault::Unusable(Box::new(Problem::error("E0114", &source, Span::default(), message))));
    }
    Source::decode(shown, bytes).map_err(Fault::Unusable)
}

pub(super) const IS_LINK: &str = "is a symbolic link, and those are not followed: put the file itself there";

/// Says that something of a project can't be used at all, so that there is no place in it to point at.
pub(super) fn unusable(shown: &str, why: &str) -> Problem {
    Problem::error("E0117", &Source::new(shown, ""), Span::default(), format!("`{shown}` {why}"))
}

/// Whether anything is there, of whatever kind.
pub(super) fn is_there(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(_) => true,
        // What can't be looked at is not known to be absent.
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(result: Result<Arc<Source>, Fault>) -> String {
        match result {
            Ok(source) => panic!("read {:?}", source.text),
            Err(Fault::Absent) => "absent".to_owned(),
            Err(Fault::Unusable(problem)) => format!("{} {}", problem.code, problem.message),
        }
    }

    #[test]
    fn what_is_no_plain_text_of_its_own_is_named_and_never_waited_for() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        std::fs::write(at("good"), "version: 1\n").unwrap();
        std::fs::write(at("latin"), b"title: caf\xe9\n").unwrap();
        std::fs::write(at("large"), vec![b'x'; FILE_BYTES_MAX + 1]).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink(at("good"), at("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        let read = |name: &str| read(&at(name), name, Links::Refuse);
        assert_eq!(read("good").unwrap().text, "version: 1\n");
        assert_eq!(why(read("none")), "absent");
        assert_eq!(why(read("good/below")), "absent");
        assert!(why(read("latin")).starts_with("E0100 the file is not UTF-8: byte 10"));
        assert_eq!(why(read("large")), format!("E0114 `large` has more than {FILE_BYTES_MAX} bytes"));
        assert_eq!(why(read("folder")), "E0117 `folder` is not a regular file");
        assert_eq!(why(read("pipe")), "E0117 `pipe` is not a regular file");
        assert!(why(read("link")).starts_with("E0117 `link` is a symbolic link"));
        assert!(super::read(&at("link"), "link", Links::Follow).is_ok());
    }
}
