//! `file.remove`: removes regular files below directories the project allows.
//!
//! The way to each is walked as `file.write` walks it, so no link leads outside.

use std::io;

use rustix::fs::AtFlags;

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, By, Effect, Repeat};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{invalid, texts};
use crate::steps::file_write::{Place, existing};
use crate::steps::schema::{output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Write};

/// Files removed by one step: each stands in the plan that people read.
const FILES_MAX: usize = 1000;

struct FileRemove;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Write(&FileRemove) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "file.remove".to_owned(),
        title: "Remove files".to_owned(),
        effect: Effect::Destructive,
        effect_of: None,
        repeat_of: Some(By::Arguments(|_| Repeat::Repeatable)),
        args: vec![required(
            "paths",
            Type::List,
            "files below a directory in `allow.file_write`, at most 1,000; relative ones start at the project",
        )],
        outputs: vec![
            output("removed", Type::List, "those that are gone now"),
            output("missing", Type::List, "those that were not there"),
        ],
        docs: "\
```yaml
- id: prune
  uses: file.remove
  with: { paths: \"${{ steps.old.outputs.paths }}\" }
```
Off until `rerail.yaml` lists the directory: `allow: { file_write: [backups] }`. Regular files only, each by its whole name, \
and nothing on the way may be a symbolic link. Either all of them can be removed or it is `refused`; a file that isn't there \
is counted as missing, so that a second time changes nothing."
            .to_owned(),
    }
}

impl Write for FileRemove {
    fn plan(&self, world: &World, args: &Map) -> String {
        let found = texts(args, "paths").and_then(|paths| find(world, &paths));
        match found {
            Err(failure) => format!("would be refused: {}", failure.message),
            Ok(found) => {
                let sizes: Vec<i64> = found.iter().filter_map(|file| file.size).collect();
                let (count, bytes) = (sizes.len(), sizes.iter().sum::<i64>());
                format!("remove {count} {} ({bytes} bytes)", if count == 1 { "file" } else { "files" })
            }
        }
    }

    fn detail(&self, world: &World, args: &Map) -> Vec<String> {
        let found = texts(args, "paths").and_then(|paths| find(world, &paths)).unwrap_or_default();
        let line = |file: &Found| match file.size {
            Some(size) => format!("- {} ({size} bytes)", file.place.whole.display()),
            None => format!("  {} is not there", file.place.whole.display()),
        };
        found.iter().map(line).collect()
    }

    fn perform<'a>(&'a self, world: &'a World, args: &'a Map, _key: &'a str) -> Pending<'a> {
        Box::pin(async move {
            let world = world.clone();
            let paths = match texts(args, "paths") {
                Ok(paths) => paths.into_iter().map(str::to_owned).collect::<Vec<_>>(),
                Err(failure) => return Attempt::refused(failure),
            };
            let work = move || remove(&world, &paths.iter().map(String::as_str).collect::<Vec<_>>());
            match tokio::task::spawn_blocking(work).await {
                Ok(result) => result.unwrap_or_else(Attempt::refused),
                Err(_) => Attempt::in_doubt(Failure::new(FailureKind::File, "removing was stopped")),
            }
        })
    }
}

/// A file that was asked for, and its size if it is there.
struct Found {
    place: Place,
    size: Option<i64>,
}

/// Looks at all of them and changes nothing. A directory that isn't there has no files.
fn find(world: &World, paths: &[&str]) -> Result<Vec<Found>, Failure> {
    if paths.len() > FILES_MAX {
        return Err(invalid("paths", &format!("expected at most {FILES_MAX} files, got {}", paths.len())));
    }
    let one = |path: &&str| {
        let place = Place::find(world, path)?;
        let size = match place.open().and_then(|directory| existing(&directory, &place.name)) {
            Ok(file) => file.map(|file| file.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&place, &error)),
        };
        Ok(Found { place, size })
    };
    paths.iter().map(one).collect()
}

/// An `Err` means that nothing was removed.
fn remove(world: &World, paths: &[&str]) -> Result<Attempt, Failure> {
    let found = find(world, paths)?;
    world.gate()?;
    let (mut removed, mut missing) = (Vec::new(), Vec::new());
    let mut broken = None;
    for Found { place, size } in &found {
        if size.is_none() {
            missing.push(Value::from(place.whole.display().to_string()));
            continue;
        }
        match unlink(place) {
            Ok(()) => removed.push(Value::from(place.whole.display().to_string())),
            Err(error) => {
                broken = Some(failed(place, &error));
                break;
            }
        }
    }
    let nothing = removed.is_empty();
    let outputs = Value::map([("removed", Value::List(removed)), ("missing", Value::List(missing))]);
    match broken {
        None => Ok(Attempt::done(outputs)),
        Some(failure) if nothing => Err(failure),
        Some(failure) => Ok(Attempt::failed(failure).with_outputs(outputs)),
    }
}

fn unlink(place: &Place) -> io::Result<()> {
    let directory = place.open()?;
    // What was looked at may have become something else; a directory is never removed by this.
    match rustix::fs::unlinkat(&directory, &place.name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    rustix::fs::fsync(&directory).map_err(io::Error::from)
}

fn failed(place: &Place, error: &io::Error) -> Failure {
    Failure::new(FailureKind::File, format!("{} can't be removed: {error}", place.whole.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::engine::outcome::Outcome;
    use crate::runbook::settings::Settings;
    use crate::steps::world::WorldSettings;

    fn project() -> (tempfile::TempDir, World) {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(project.path().join("backups/below")).unwrap();
        for name in ["a", "b", "kept"] {
            std::fs::write(project.path().join("backups").join(name), "four").unwrap();
        }
        let world = World::new(WorldSettings {
            project: project.path().into(),
            settings: Settings { file_write: vec!["backups".into()], ..Settings::default() },
            ..WorldSettings::default()
        });
        (project, world.gated(|| Ok(())))
    }

    fn args(paths: &[&str]) -> Map {
        let paths = paths.iter().map(|path| Value::from(*path)).collect();
        Map::from([("paths".to_owned(), Value::List(paths))])
    }

    fn left(project: &tempfile::TempDir) -> usize {
        std::fs::read_dir(project.path().join("backups")).unwrap().count()
    }

    #[tokio::test]
    async fn what_is_named_is_removed_and_twice_is_like_once() {
        let (project, world) = project();
        let args = args(&["backups/a", "backups/b", "backups/gone", "backups/nowhere/x"]);
        let shown = FileRemove.detail(&world, &args);
        let at = |name: &str| project.path().join(name).display().to_string();
        assert_eq!(FileRemove.plan(&world, &args), "remove 2 files (8 bytes)");
        assert_eq!(shown[0], format!("- {} (4 bytes)", at("backups/a")));
        assert_eq!(shown[2], format!("  {} is not there", at("backups/gone")));
        for (removed, missing) in [(2, 2), (0, 4)] {
            let attempt = FileRemove.perform(&world, &args, "key").await;
            assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
            let count = |name: &str| match attempt.outputs.get(name) {
                Some(Value::List(items)) => items.len(),
                other => panic!("{other:?}"),
            };
            assert_eq!((count("removed"), count("missing")), (removed, missing));
        }
        assert_eq!(left(&project), 2, "`kept` and a directory");
    }

    #[tokio::test]
    async fn one_that_may_not_be_removed_keeps_all_of_them() {
        let (project, world) = project();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("x"), "x").unwrap();
        symlink(outside.path(), project.path().join("backups/link")).unwrap();
        symlink(outside.path().join("x"), project.path().join("backups/file-link")).unwrap();
        std::fs::write(project.path().join("other"), "x").unwrap();
        let before = left(&project);
        for wrong in ["other", "backups/../other", "backups/below", "backups/link/x", "backups/file-link", "backups"] {
            let args = args(&["backups/a", wrong]);
            let attempt = FileRemove.perform(&world, &args, "key").await;
            assert_eq!((attempt.outcome, left(&project)), (Outcome::Refused, before), "{wrong}: {attempt:?}");
            assert!(FileRemove.plan(&world, &args).starts_with("would be refused"), "{wrong}");
        }
        assert!(outside.path().join("x").exists());
        let many: Vec<String> = (0..=FILES_MAX).map(|at| format!("backups/{at}")).collect();
        let many = args(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let failure = FileRemove.perform(&world, &many, "key").await.failure.unwrap();
        assert!(failure.message.contains("at most 1000 files, got 1001"), "{}", failure.message);
    }

    #[tokio::test]
    async fn a_shut_gate_keeps_everything() {
        let (project, world) = project();
        let shut = world.gated(|| Err(Failure::new(FailureKind::Policy, "the run was taken over")));
        let attempt = FileRemove.perform(&shut, &args(&["backups/a"]), "key").await;
        assert_eq!((attempt.outcome, left(&project)), (Outcome::Refused, 4));
    }
}
