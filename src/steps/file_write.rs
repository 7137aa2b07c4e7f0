//! `file.write`: puts a text into a file below a directory the project allows, whole or not at all.
//!
//! Directories are walked from the allowed one, each opened without following links, so no link can lead
//! outside, also not one that is swapped in between.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, By, Effect, Repeat};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{given, invalid, optional_text, text};
use crate::steps::schema::{defaulted, output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Write, line_diff};

/// Bytes of a file whose differences are shown: a larger one is compared by other means.
const SHOWN_BYTES_MAX: usize = 64 * 1024;

/// Permissions unless told otherwise: what a run writes is nobody else's business.
const MODE: &str = "0600";

struct FileWrite;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Write(&FileWrite) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "file.write".to_owned(),
        title: "Write a file".to_owned(),
        effect: Effect::Write,
        effect_of: None,
        repeat_of: Some(By::Arguments(|_| Repeat::Repeatable)),
        args: vec![
            required("path", Type::String, "file below a directory in `allow.file_write`; relative ones start at the project"),
            required("text", Type::String, "what to put into it"),
            defaulted("mode", Type::String, MODE, "permissions in octal"),
        ],
        outputs: vec![
            output("path", Type::String, "where it is"),
            output("size", Type::Int, "bytes written"),
            output("replaced", Type::Bool, "there was a file of that name"),
        ],
        docs: "\
```yaml
- id: report
  uses: file.write
  with: { path: \"reports/${{ run.id }}.md\", text: \"${{ steps.summary.outputs.text }}\" }
```
Off until `rerail.yaml` lists the directory: `allow: { file_write: [reports] }`. The directory of the file must exist, and \
nothing on the way may be a symbolic link. The file appears whole or not at all; writing it again leads to the same state."
            .to_owned(),
    }
}

impl Write for FileWrite {
    fn plan(&self, world: &World, args: &Map) -> String {
        let size = match given(args, "text") {
            Some(Value::Text(text)) => format!("{} bytes", text.len()),
            Some(other) => other.to_string(),
            None => "nothing".to_owned(),
        };
        let place = match text(args, "path").and_then(|path| Place::find(world, path)) {
            Ok(place) => place,
            Err(failure) => return format!("would be refused: {}", failure.message),
        };
        let path = place.whole.display();
        match place.open().and_then(|directory| existing(&directory, &place.name)) {
            Ok(Some(Existing { size: before, .. })) => format!("replace {path} ({before} bytes) by {size}"),
            Ok(None) => format!("create {path} with {size}"),
            Err(error) => format!("would be refused: {path}: {error}"),
        }
    }

    fn detail(&self, world: &World, args: &Map) -> Vec<String> {
        let (Some(Value::Text(after)), Ok(place)) =
            (given(args, "text"), text(args, "path").and_then(|path| Place::find(world, path)))
        else {
            return Vec::new();
        };
        if after.len() > SHOWN_BYTES_MAX {
            return Vec::new();
        }
        let before = place.open().map_err(|_| Hidden).and_then(|directory| shown(world, &directory, &place.name));
        before.map_or_else(|Hidden| Vec::new(), |before| line_diff::lines(&before, after))
    }

    fn leaves(&self, world: &World, args: &Map) -> Option<(String, Value)> {
        let place = Place::find(world, text(args, "path").ok()?).ok()?;
        let content = given(args, "text").filter(|text| matches!(text, Value::Text(_)))?;
        Some((place_name(&place.whole), content.clone()))
    }

    fn perform<'a>(&'a self, world: &'a World, args: &'a Map, _key: &'a str) -> Pending<'a> {
        Box::pin(async move { write(world, args).await.unwrap_or_else(Attempt::refused) })
    }
}

/// An `Err` means that nothing changed.
async fn write(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let place = Place::find(world, text(args, "path")?)?;
    let mode = mode(optional_text(args, "mode")?.unwrap_or(MODE))?;
    let revealed = world.reveal(given(args, "text").unwrap_or(&Value::Null), None)?;
    let Value::Text(content) = revealed else {
        return Err(invalid("text", &format!("expected string, got {}", revealed.kind())));
    };
    let gate = world.clone();
    let work = move || put(&place, content.as_bytes(), mode, &gate);
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Ok(Attempt::in_doubt(Failure::new(FailureKind::File, "writing was stopped"))),
    }
}

fn put(place: &Place, content: &[u8], mode: Mode, world: &World) -> Result<Attempt, Failure> {
    let failed = |error: io::Error| {
        Failure::new(FailureKind::File, format!("{} can't be written: {error}", place.whole.display()))
    };
    let directory = place.open().map_err(failed)?;
    let before = existing(&directory, &place.name).map_err(failed)?;
    world.gate()?;
    // Unguessable, and `EXCL` refuses to follow whatever somebody may have put there.
    let temporary = format!(".{}.{}", place.name, uuid::Uuid::now_v7().simple());
    let written = (|| {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&directory, &temporary, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(content)?;
        rustix::fs::fchmod(&file, mode)?;
        file.sync_all()?;
        rustix::fs::renameat(&directory, &temporary, &directory, &place.name).map_err(io::Error::from)
    })();
    if let Err(error) = written {
        // The name was ours alone; if it can't be removed it is only litter.
        let _ = rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty());
        return Err(failed(error));
    }
    if let Err(error) = rustix::fs::fsync(&directory) {
        return Ok(Attempt::in_doubt(failed(error.into())));
    }
    Ok(Attempt::done(Value::map([
        ("path", Value::from(place.whole.display().to_string())),
        ("size", Value::from(i64::try_from(content.len()).unwrap_or(i64::MAX))),
        ("replaced", Value::from(before.is_some())),
    ])))
}

/// Where a file goes: a directory that is trusted, and the way below it.
#[derive(Debug)]
pub(super) struct Place {
    allowed: PathBuf,
    below: Vec<String>,
    /// In its directory.
    pub(super) name: String,
    /// Absolute.
    pub(super) whole: PathBuf,
}

impl Place {
    /// Finds the allowed directory above `path`, by its words alone.
    pub(super) fn find(world: &World, path: &str) -> Result<Place, Failure> {
        let whole = plain(&world.shared.project.join(path))
            .ok_or_else(|| invalid("path", &format!("expected a path without `..`, got {path:?}")))?;
        let allowed = world.shared.settings.file_write.iter().filter_map(|directory| {
            let directory = plain(&world.shared.project.join(directory))?;
            let below = whole.strip_prefix(&directory).ok()?.to_owned();
            Some((directory, below))
        });
        // The deepest one: its own path is trusted, the way below it is not.
        let Some((allowed, below)) = allowed.max_by_key(|(directory, _)| directory.components().count()) else {
            let list = world.shared.settings.file_write.join(", ");
            let list = if list.is_empty() { "none".to_owned() } else { list };
            return Err(Failure::new(
                FailureKind::Policy,
                format!("{path} is not below a directory files may be written to (allow.file_write: {list})"),
            ));
        };
        let mut below: Vec<String> =
            below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let name = below.pop().ok_or_else(|| invalid("path", &format!("{path:?} is a directory")))?;
        Ok(Place { allowed, below, name, whole })
    }

    /// Opens the file's directory.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut directory = rustix::fs::open(&self.allowed, flags, Mode::empty())?;
        for part in &self.below {
            directory = rustix::fs::openat(&directory, part, flags | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(directory)
    }
}

/// What a file is called where a rehearsal remembers what is planned for it.
pub(super) fn place_name(whole: &Path) -> String {
    format!("file {}", whole.display())
}

/// `path` without `.`; `None` if it has `..` or isn't text.
pub(super) fn plain(path: &Path) -> Option<PathBuf> {
    path.to_str().filter(|text| !text.contains('\0'))?;
    let usable = path.components().all(|part| !matches!(part, Component::ParentDir));
    usable.then(|| path.components().filter(|part| !matches!(part, Component::CurDir)).collect())
}

/// A file that is there.
pub(super) struct Existing {
    pub(super) size: i64,
}

/// What stands in a file is not to be shown, or can't be.
struct Hidden;

/// The text that would be replaced; empty if there is none yet.
fn shown(world: &World, directory: &OwnedFd, name: &str) -> Result<String, Hidden> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(String::new()),
        Err(_) => return Err(Hidden),
    };
    let metadata = file.metadata().map_err(|_| Hidden)?;
    if !metadata.is_file() || metadata.len() > SHOWN_BYTES_MAX as u64 || world.shared.secrets.is_kept_in(&metadata) {
        return Err(Hidden);
    }
    let mut text = String::new();
    file.take(SHOWN_BYTES_MAX as u64).read_to_string(&mut text).map_err(|_| Hidden)?;
    Ok(text)
}

/// The file of this name, if there is one; anything but a regular file is an error.
pub(super) fn existing(directory: &OwnedFd, name: &str) -> io::Result<Option<Existing>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            Ok(Some(Existing { size: stat.st_size }))
        }
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something else than a regular file")),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn mode(text: &str) -> Result<Mode, Failure> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|bits| *bits <= 0o777)
        .map(Mode::from_bits_truncate)
        .ok_or_else(|| invalid("mode", &format!("expected octal permissions such as 0640, got {text:?}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::engine::outcome::Outcome;
    use crate::runbook::settings::Settings;
    use crate::steps::world::WorldSettings;

    fn project() -> (tempfile::TempDir, World) {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(project.path().join("reports/deep")).unwrap();
        let world = World::new(WorldSettings {
            project: project.path().into(),
            settings: Settings { file_write: vec!["reports".into()], ..Settings::default() },
            ..WorldSettings::default()
        });
        (project, world.gated(|| Ok(())))
    }

    fn args(path: &str, text: &str) -> Map {
        Map::from([("path".to_owned(), Value::from(path)), ("text".to_owned(), Value::from(text))])
    }

    #[tokio::test]
    async fn a_file_is_written_whole_and_private() {
        let (project, world) = project();
        let args = args("reports/deep/a.md", "hello");
        let path = project.path().join("reports/deep/a.md");
        assert_eq!(FileWrite.plan(&world, &args), format!("create {} with 5 bytes", path.display()));
        let attempt = FileWrite.perform(&world, &args, "key").await;
        assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "hello");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(FileWrite.plan(&world, &args), format!("replace {} (5 bytes) by 5 bytes", path.display()));
        let again = FileWrite.perform(&world, &args, "key").await;
        assert_eq!(again.outputs.get("replaced"), Some(&Value::from(true)));
        assert_eq!(std::fs::read_dir(project.path().join("reports/deep")).unwrap().count(), 1, "no litter");
    }

    #[tokio::test]
    async fn nothing_is_written_outside_the_allowed_directories() {
        let (project, world) = project();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), project.path().join("reports/link")).unwrap();
        symlink(outside.path().join("x"), project.path().join("reports/file-link")).unwrap();
        let absolute = outside.path().join("x").display().to_string();
        for (path, kind) in [
            ("other/x", FailureKind::Policy),
            ("x", FailureKind::Policy),
            ("reports-not/x", FailureKind::Policy),
            (absolute.as_str(), FailureKind::Policy),
            ("reports/../x", FailureKind::Argument),
            ("reports/deep/../../x", FailureKind::Argument),
            ("reports", FailureKind::Argument),
            ("reports/x\0y", FailureKind::Argument),
            ("reports/link/x", FailureKind::File),
            ("reports/file-link", FailureKind::File),
            ("reports/deep", FailureKind::File),
            ("reports/gone/x", FailureKind::File),
        ] {
            let attempt = FileWrite.perform(&world, &args(path, "text"), "key").await;
            assert_eq!(attempt.outcome, Outcome::Refused, "{path}");
            assert_eq!(attempt.failure.unwrap().kind, kind, "{path}");
            assert!(FileWrite.plan(&world, &args(path, "text")).starts_with("would be refused"), "{path}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_shut_gate_leaves_no_trace() {
        let (project, world) = project();
        let shut = world.gated(|| Err(Failure::new(FailureKind::Policy, "the run was taken over")));
        let attempt = FileWrite.perform(&shut, &args("reports/a", "text"), "key").await;
        assert_eq!(attempt.outcome, Outcome::Refused);
        assert_eq!(attempt.failure.unwrap().message, "the run was taken over");
        assert_eq!(std::fs::read_dir(project.path().join("reports")).unwrap().count(), 1);
    }

    #[test]
    fn only_permissions_are_a_mode() {
        assert!(mode("0640").is_ok() && mode("600").is_ok());
        for wrong in ["4755", "rw", "", "-1", "0888"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }
}
