//! `file.read`: the text, size and hash of a regular file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::hex::hex;
use crate::script::value::{Map, Value};
use crate::steps::args::{int, invalid, text};
use crate::steps::file_write::{place_name, plain};
use crate::steps::regular_file;
use crate::steps::schema::{body, defaulted, output, required, sealed};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

/// Bytes of text that can be read: what a journaled value may have.
const TEXT_BYTES_MAX: i64 = 256 * 1024;
/// How long a file without an attempt's deadline may take: hashing some tens of gigabytes.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);
/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

struct FileRead;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&FileRead) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "file.read".to_owned(),
        title: "Read a file".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("path", Type::String, "file; relative ones start at the project"),
            defaulted("max_bytes", Type::Int, TEXT_BYTES_MAX, "bytes of text to read, at most 262144"),
            sealed(),
        ],
        outputs: vec![
            body("text", Type::String, "the first `max_bytes` as text; `()` if they aren't UTF-8"),
            output("truncated", Type::Bool, "the file is longer than `text`"),
            output("size", Type::Int, "bytes of the whole file"),
            body("sha256", Type::String, "hash of the whole file, in hex"),
        ],
        docs: "\
```yaml
- id: dump
  uses: file.read
  with: { path: backups/latest.sha256 }
```
Regular files only: pipes, devices and files of `/proc` and `/sys` are refused, and so is a file that holds a secret of the \
target."
            .to_owned(),
    }
}

impl Read for FileRead {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { look(world, args).await.unwrap_or_else(Attempt::refused) })
    }

    fn place(&self, world: &World, args: &Map) -> Option<String> {
        plain(&world.shared.project.join(text(args, "path").ok()?)).map(|whole| place_name(&whole))
    }

    fn with(&self, args: &Map, content: &Value) -> Option<Value> {
        let Value::Text(text) = content else { return None };
        let kept = int(args, "max_bytes", TEXT_BYTES_MAX).ok().and_then(|bytes| usize::try_from(bytes).ok())?;
        // Where it would be cut it is looked at when it is there.
        (text.len() <= kept).then(|| {
            Value::map([
                ("text", Value::from(text.as_str())),
                ("truncated", Value::from(false)),
                ("size", Value::from(i64::try_from(text.len()).unwrap_or(i64::MAX))),
                ("sha256", Value::from(hex(&Sha256::digest(text.as_bytes())))),
            ])
        })
    }
}

async fn look(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let shown = text(args, "path")?.to_owned();
    let max_bytes = int(args, "max_bytes", TEXT_BYTES_MAX)?;
    let kept_max = usize::try_from(max_bytes)
        .ok()
        .filter(|_| max_bytes <= TEXT_BYTES_MAX)
        .ok_or_else(|| invalid("max_bytes", &format!("expected 0 to {TEXT_BYTES_MAX}, got {max_bytes}")))?;
    let path = world.shared.project.join(&shown);
    let (world, deadline) = (world.clone(), world.deadline(TIMEOUT));
    let work = move || read(&world, &path, &shown, kept_max, deadline);
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(outputs)) => Ok(Attempt::done(outputs)),
        Ok(Err(failure)) if failure.kind == FailureKind::Policy => Err(failure),
        Ok(Err(failure)) => Ok(Attempt::failed(failure)),
        Err(_) => Ok(Attempt::failed(Failure::new(FailureKind::File, "reading was stopped"))),
    }
}

fn read(world: &World, path: &Path, shown: &str, kept_max: usize, deadline: Instant) -> Result<Value, Failure> {
    let failed = |error: std::io::Error| Failure::new(FailureKind::File, format!("{shown} can't be read: {error}"));
    let (file, metadata) = regular_file::open(path).map_err(failed)?;
    if world.shared.secrets.is_kept_in(&metadata) {
        return Err(Failure::new(FailureKind::Policy, format!("{shown} holds a secret of this target")));
    }
    let (kept, size, sha256) = digest(file, kept_max, deadline).map_err(failed)?;
    let truncated = size > kept.len() as u64;
    // Half a secret where the limit cut would not be recognised later.
    let cut = |text: String| if truncated { world.shared.redactor.redact_cut(&text) } else { text };
    let text = utf8(kept, truncated).map(cut);
    Ok(Value::map([
        ("text", text.map(Value::from).unwrap_or_default()),
        ("truncated", Value::from(truncated)),
        ("size", Value::from(i64::try_from(size).unwrap_or(i64::MAX))),
        ("sha256", Value::from(sha256)),
    ]))
}

/// The first bytes, the size and the hash of what is read until the end or the deadline.
fn digest(mut file: File, kept_max: usize, deadline: Instant) -> std::io::Result<(Vec<u8>, u64, String)> {
    let mut hash = Sha256::new();
    let mut kept = Vec::new();
    let mut size = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if Instant::now() >= deadline {
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "it takes too long"));
        }
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        let read = &chunk[..count];
        hash.update(read);
        size += count as u64;
        kept.extend_from_slice(&read[..count.min(kept_max - kept.len())]);
    }
    Ok((kept, size, hex(&hash.finalize())))
}

/// As text; a character that the limit cut in two is left out.
fn utf8(bytes: Vec<u8>, truncated: bool) -> Option<String> {
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let whole = error.utf8_error().valid_up_to();
            let only_cut = truncated && error.utf8_error().error_len().is_none();
            let mut bytes = error.into_bytes();
            bytes.truncate(whole);
            String::from_utf8(bytes).ok().filter(|_| only_cut)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::outcome::Outcome;
    use crate::runbook::settings::{From, SecretSource};
    use crate::steps::world::WorldSettings;

    async fn attempt(world: &World, path: &str, max_bytes: i64) -> Attempt {
        let args =
            Map::from([("path".to_owned(), Value::from(path)), ("max_bytes".to_owned(), Value::from(max_bytes))]);
        FileRead.perform(world, &args).await
    }

    #[tokio::test]
    async fn text_is_cut_between_characters_and_the_hash_is_of_the_whole() {
        let project = tempfile::tempdir().unwrap();
        std::fs::write(project.path().join("a.txt"), "aé€").unwrap();
        std::fs::write(project.path().join("b.bin"), [0xff, 0xfe]).unwrap();
        let world = World::new(WorldSettings { project: project.path().into(), ..WorldSettings::default() });
        let outputs = attempt(&world, "a.txt", 5).await.outputs;
        assert_eq!(outputs.get("text"), Some(&Value::from("aé")));
        assert_eq!(outputs.get("truncated"), Some(&Value::from(true)));
        assert_eq!(outputs.get("size"), Some(&Value::from(6)));
        let whole = "4316c1a231f3405966dad28c965103040f469cdec167012e3a5f69f24bb5c90f";
        assert_eq!(outputs.get("sha256"), Some(&Value::from(whole)));
        assert_eq!(attempt(&world, "b.bin", 100).await.outputs.get("text"), Some(&Value::Null));
    }

    #[tokio::test]
    async fn pipes_devices_and_the_kernels_files_are_refused_at_once() {
        let project = tempfile::tempdir().unwrap();
        let pipe = project.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        let world = World::new(WorldSettings { project: project.path().into(), ..WorldSettings::default() });
        for path in ["pipe", "/dev/zero", "/proc/self/environ", "/sys/kernel/notes", ".", "gone"] {
            let attempt = attempt(&world, path, 100).await;
            assert_eq!(attempt.outcome, Outcome::Failed, "{path}");
            assert_eq!(attempt.failure.unwrap().kind, FailureKind::File, "{path}");
        }
    }

    #[tokio::test]
    async fn the_file_of_a_secret_is_not_read_by_any_name() {
        let project = tempfile::tempdir().unwrap();
        std::fs::write(project.path().join("token"), "very-secret\n").unwrap();
        std::fs::hard_link(project.path().join("token"), project.path().join("other")).unwrap();
        std::os::unix::fs::symlink("token", project.path().join("link")).unwrap();
        let source = SecretSource { from: From::File { path: "token".into() }, hosts: Vec::new() };
        let world = World::new(WorldSettings {
            project: project.path().into(),
            secrets: [("TOKEN".to_owned(), source)].into(),
            ..WorldSettings::default()
        });
        for path in ["token", "./token", "other", "link"] {
            let attempt = attempt(&world, path, 100).await;
            assert_eq!(attempt.failure.map(|failure| failure.kind), Some(FailureKind::Policy), "{path}");
        }
    }
}
