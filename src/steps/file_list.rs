//! `file.list`: names, sizes and ages of the regular files of one directory.

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::limits::ELEMENTS_MAX;
use crate::script::value::{Map, Value};
use crate::steps::args::text;
use crate::steps::schema::{output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

struct FileList;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&FileList) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "file.list".to_owned(),
        title: "List the files of a directory".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![required("path", Type::String, "directory; relative ones start at the project")],
        outputs: vec![
            output("files", Type::List, "its regular files by name: `#{name, size, modified_ms}`, at most 10,000"),
            output("others", Type::Int, "how many directories, links and other things lie there as well"),
        ],
        docs: "\
```yaml
- id: dumps
  uses: file.list
  with: { path: backups }
```
It does not look into directories, and follows no link inside. `modified_ms` counts from 1970. Fails if there is no such \
directory."
            .to_owned(),
    }
}

impl Read for FileList {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move {
            let shown = match text(args, "path") {
                Ok(path) => path.to_owned(),
                Err(failure) => return Attempt::refused(failure),
            };
            let path = world.shared.project.join(&shown);
            match tokio::task::spawn_blocking(move || list(&path)).await {
                Ok(Ok(outputs)) => Attempt::done(outputs),
                Ok(Err(error)) => Attempt::failed(Failure::new(
                    FailureKind::File,
                    format!("the directory {shown} can't be listed: {error}"),
                )),
                Err(_) => Attempt::failed(Failure::new(FailureKind::File, "listing was stopped")),
            }
        })
    }
}

fn list(path: &Path) -> io::Result<Value> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty())?;
    let mut files = Vec::new();
    let mut others = 0_i64;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        if [b".".as_slice(), b".."].contains(&entry.file_name().to_bytes()) {
            continue;
        }
        let stat = match rustix::fs::statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Gone since: it isn't there.
            Err(rustix::io::Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        // A name that is no text can't be said in a runbook.
        let name = entry.file_name().to_str().ok();
        match name {
            Some(name) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                files.push((name.to_owned(), stat.st_size, modified_ms(stat.st_mtime, stat.st_mtime_nsec)));
            }
            _ => others += 1,
        }
        if files.len() > ELEMENTS_MAX {
            return Err(io::Error::other(format!("it has more than {ELEMENTS_MAX} files")));
        }
    }
    files.sort();
    let files = files.into_iter().map(|(name, size, modified_ms)| {
        Value::map([
            ("name", Value::from(name)),
            ("size", Value::from(size)),
            ("modified_ms", Value::from(modified_ms)),
        ])
    });
    Ok(Value::map([("files", Value::List(files.collect())), ("others", Value::from(others))]))
}

/// The platforms' types differ in width and sign.
fn modified_ms(seconds: impl TryInto<i64>, nanoseconds: impl TryInto<i64>) -> i64 {
    let seconds = seconds.try_into().unwrap_or_default();
    seconds.saturating_mul(1000).saturating_add(nanoseconds.try_into().unwrap_or_default() / 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::engine::outcome::Outcome;
    use crate::steps::world::WorldSettings;

    async fn listed(project: &Path, path: &str) -> Attempt {
        let world = World::new(WorldSettings { project: project.into(), ..WorldSettings::default() });
        FileList.perform(&world, &Map::from([("path".to_owned(), Value::from(path))])).await
    }

    #[tokio::test]
    async fn regular_files_are_listed_by_name_and_links_only_counted() {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(project.path().join("backups/below")).unwrap();
        std::fs::write(project.path().join("backups/b"), "four").unwrap();
        std::fs::write(project.path().join("backups/a"), "").unwrap();
        symlink("/etc/passwd", project.path().join("backups/link")).unwrap();
        let attempt = listed(project.path(), "backups").await;
        assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
        let Some(Value::List(files)) = attempt.outputs.get("files").cloned() else { panic!("{attempt:?}") };
        let seen: Vec<_> = files.iter().map(|file| (file.get("name").unwrap(), file.get("size").unwrap())).collect();
        assert_eq!(seen, [(&Value::from("a"), &Value::Int(0)), (&Value::from("b"), &Value::Int(4))]);
        let now = jiff::Timestamp::now().as_millisecond();
        let Some(Value::Int(modified)) = files[0].get("modified_ms") else { panic!("{files:?}") };
        assert!((now - 600_000..=now + 1000).contains(modified), "{modified} at {now}");
        assert_eq!(attempt.outputs.get("others"), Some(&Value::Int(2)));
    }

    #[tokio::test]
    async fn what_is_no_directory_fails_by_its_name() {
        let project = tempfile::tempdir().unwrap();
        std::fs::write(project.path().join("file"), "x").unwrap();
        for path in ["gone", "file"] {
            let attempt = listed(project.path(), path).await;
            assert_eq!(attempt.outcome, Outcome::Failed, "{path}");
            assert!(attempt.failure.unwrap().message.starts_with(&format!("the directory {path} can't be listed: ")));
        }
    }

    #[test]
    fn a_directory_with_more_than_fits_into_a_list_is_an_error() {
        let project = tempfile::tempdir().unwrap();
        for at in 0..=ELEMENTS_MAX {
            std::fs::write(project.path().join(at.to_string()), "").unwrap();
        }
        assert!(list(project.path()).unwrap_err().to_string().contains("more than 10000 files"));
        std::fs::remove_file(project.path().join("0")).unwrap();
        assert!(list(project.path()).is_ok());
    }
}
