//! Finds the program that the first word of a command names, the way a shell would, without its traps.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::engine::outcome::{Failure, FailureKind};

/// Where programs are looked for when this process has no PATH.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The absolute path of a program: one with a `/` starts at the project, any other is looked for in `path`.
///
/// # Errors
/// If there is no such program, or it may not be run; nothing has happened then.
pub(in crate::steps) fn find(word: &str, project: &Path, path: Option<&OsStr>) -> Result<PathBuf, Failure> {
    let refused = |problem: &str| Err(Failure::new(FailureKind::File, format!("`{word}` can't be started: {problem}")));
    if word.contains('/') {
        let whole = project.join(word);
        return match Found::at(&whole) {
            Found::Program => Ok(whole),
            Found::NotExecutable => refused(&format!("{} is not executable", whole.display())),
            Found::Nothing => refused(&format!("there is no file {}", whole.display())),
        };
    }
    let path = path.filter(|path| !path.is_empty()).unwrap_or(OsStr::new(PATH_DEFAULT));
    // A relative entry would run whatever lies in the directory rerail happens to be started in.
    let entries = std::env::split_paths(path).filter(|entry| entry.is_absolute());
    let mut candidates = entries.map(|entry| entry.join(word));
    match candidates.find(|candidate| Found::at(candidate) == Found::Program) {
        Some(program) => Ok(program),
        None => refused("no program of that name is in PATH"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    NotExecutable,
    Program,
}

impl Found {
    fn at(path: &Path) -> Found {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => Found::Program,
            Ok(metadata) if metadata.is_file() => Found::NotExecutable,
            _ => Found::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_path_or_below_the_project() {
        let project = tempfile::tempdir().unwrap();
        let tool = project.path().join("tool");
        std::fs::write(&tool, "#!/bin/sh\n").unwrap();
        let path = project.path().as_os_str();
        let find = |word: &str, path: &OsStr| find(word, project.path(), Some(path));
        assert!(find("tool", path).unwrap_err().message.contains("no program of that name"));
        assert!(find("./tool", path).unwrap_err().message.contains("is not executable"));
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("tool", path).unwrap(), tool);
        assert_eq!(find("./tool", path).unwrap(), project.path().join("./tool"));
        assert!(find("./gone", path).unwrap_err().message.contains("there is no file"));
        assert!(find("sh", OsStr::new("")).is_ok(), "without PATH the usual places are searched");
    }

    #[test]
    fn relative_entries_of_path_are_not_searched() {
        for path in [".", "", ":", "relative:."] {
            let found = find("Cargo.toml", Path::new("/"), Some(OsStr::new(path)));
            assert!(found.is_err(), "{path:?}");
        }
    }
}
