//! Where a command runs: a directory of the project, or a private one that it shares with nobody.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tempfile::TempDir;

use crate::engine::outcome::{Failure, FailureKind};
use crate::script::value::Map;
use crate::steps::args::{given, invalid, map, optional_text, texts};
use crate::steps::blobs::{Blobs, Kept, private_file};
use crate::steps::world::World;

/// Files that can be put into or kept from one working directory: a command with more makes an archive.
const FILES_MAX: usize = 100;

/// What a step says of directories and files.
#[derive(Clone, Debug)]
pub(in crate::steps) struct Wanted {
    /// Absolute, below the project; `None` = a private one.
    directory: Option<PathBuf>,
    files: Vec<(String, Kept)>,
    collect: Vec<String>,
}

impl Wanted {
    /// Reads `cwd`, `files` and `collect`; looks at directories and changes nothing.
    pub(in crate::steps) fn read(world: &World, args: &Map) -> Result<Wanted, Failure> {
        let cwd = optional_text(args, "cwd")?;
        let mut files = Vec::new();
        for (name, value) in map(args, "files")?.into_iter().flatten() {
            plain_name("files", name)?;
            files.push((name.clone(), Kept::of(value).map_err(|why| invalid("files", &format!("`{name}`: {why}")))?));
        }
        let collect = match given(args, "collect") {
            None => Vec::new(),
            Some(_) => texts(args, "collect")?,
        };
        for (at, name) in collect.iter().enumerate() {
            plain_name("collect", name)?;
            if collect[..at].contains(name) {
                return Err(invalid("collect", &format!("names `{name}` twice")));
            }
        }
        for (argument, count) in [("files", files.len()), ("collect", collect.len())] {
            if count > FILES_MAX {
                return Err(invalid(argument, &format!("expected at most {FILES_MAX} files, got {count}")));
            }
        }
        let private = !files.is_empty() || !collect.is_empty();
        let directory = match (cwd, private) {
            (Some(_), true) => {
                return Err(invalid(
                    "cwd",
                    "does not go with `files` and `collect`: those have a directory of their own",
                ));
            }
            (cwd, false) => Some(inside(&world.shared.project, cwd.unwrap_or("."))?),
            (None, true) => None,
        };
        Ok(Wanted { directory, files, collect: collect.into_iter().map(str::to_owned).collect() })
    }

    /// The directory for a plan.
    pub(in crate::steps) fn shown(&self) -> String {
        match &self.directory {
            Some(directory) => format!("in {}", directory.display()),
            None => "in a directory of its own".to_owned(),
        }
    }
}

/// A directory that is there, with its files in it. A private one goes when this goes.
pub(in crate::steps) struct Place {
    pub directory: PathBuf,
    collect: Vec<String>,
    _private: Option<TempDir>,
}

impl Place {
    /// Makes what is wanted.
    ///
    /// # Errors
    /// If a kept file is gone or changed, or the disk is full. The command has not run then.
    pub(in crate::steps) fn make(wanted: Wanted, blobs: &Blobs) -> Result<Place, Failure> {
        let Wanted { directory, files, collect } = wanted;
        if let Some(directory) = directory {
            return Ok(Place { directory, collect, _private: None });
        }
        let failed = |error: io::Error| {
            Failure::new(FailureKind::File, format!("the command's own directory can't be made: {error}"))
        };
        let only_us = Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("rerail-exec-").permissions(only_us).tempdir().map_err(failed)?;
        for (name, kept) in &files {
            let mut file = private_file(&made.path().join(name)).map_err(failed)?;
            blobs.copy_to(kept, &mut file)?;
        }
        Ok(Place { directory: made.path().to_owned(), collect, _private: Some(made) })
    }

    /// Keeps the files that were to be collected.
    ///
    /// # Errors
    /// If one isn't there, is no regular file, or can't be kept.
    pub(in crate::steps) fn collect(&self, blobs: &Blobs) -> Result<Map, Failure> {
        let mut kept = Map::new();
        for name in &self.collect {
            let failed = |problem: &dyn std::fmt::Display| {
                Failure::new(FailureKind::File, format!("`{name}` of `collect` can't be kept: {problem}"))
            };
            let mut file = match open(&self.directory.join(name)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(failed(&"the command made none")),
                Err(error) => return Err(failed(&error)),
            };
            let file = blobs.keep(&mut file, name).map_err(|error| failed(&error))?;
            kept.insert(name.clone(), file.to_value());
        }
        Ok(kept)
    }
}

/// Opens a regular file that is not a link: the command may have made one to anything.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => return Err(io::Error::other("it is a symbolic link")),
        Err(error) => return Err(error.into()),
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// A directory of the project, wherever links on the way lead.
fn inside(project: &Path, cwd: &str) -> Result<PathBuf, Failure> {
    if cwd.contains('\0') {
        return Err(invalid("cwd", "holds a zero byte"));
    }
    let unusable =
        |error: io::Error| Failure::new(FailureKind::File, format!("`{cwd}` can't be the working directory: {error}"));
    let project = project.canonicalize().map_err(unusable)?;
    let whole = project.join(cwd).canonicalize().map_err(unusable)?;
    if !whole.starts_with(&project) {
        let message =
            format!("`{cwd}` can't be the working directory: it is outside the project {}", project.display());
        return Err(Failure::new(FailureKind::Policy, message));
    }
    if !whole.is_dir() {
        return Err(unusable(io::Error::from(io::ErrorKind::NotADirectory)));
    }
    Ok(whole)
}

fn plain_name(argument: &str, name: &str) -> Result<(), Failure> {
    let plain = !name.is_empty() && !matches!(name, "." | "..") && !name.contains(['/', '\0']) && name.len() <= 255;
    match plain {
        true => Ok(()),
        false => Err(invalid(argument, &format!("expected names of files without a path, got {name:?}"))),
    }
}
