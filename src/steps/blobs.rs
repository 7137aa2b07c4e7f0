//! Files that steps keep: stored once under their digest, beside the journal.
//!
//! What a step hands on is a small map that names the file, so that a dump of gigabytes never passes through a
//! value. Whoever reads the file again gets the bytes of that digest or an error.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::engine::outcome::{Failure, FailureKind};
use crate::script::hex::hex;
use crate::script::value::{Map, Value};
use crate::steps::regular_file;

/// Bytes of one kept file: dumps of databases that one machine looks after, and less than its disk.
pub const BLOB_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Bytes copied at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// What the name of a kept file starts with.
const PREFIX: &str = "sha256:";

/// A directory of kept files: `ab/abcd…` by digest, readable for its owner alone.
#[derive(Debug, Default)]
pub struct Blobs {
    /// `None`: one of its own, which goes when this goes.
    directory: Option<PathBuf>,
    temporary: OnceLock<TempDir>,
}

/// A kept file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    pub bytes: u64,
    /// What it was called where it came from.
    pub name: String,
}

impl Kept {
    /// As steps see it: `#{blob: "sha256:…", bytes: 12, name: "dump.sql"}`.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("blob", Value::from(self.digest.as_str())),
            ("bytes", Value::from(i64::try_from(self.bytes).unwrap_or(i64::MAX))),
            ("name", Value::from(self.name.as_str())),
        ])
    }

    /// Reads what [`Kept::to_value`] made, possibly after it went through a script.
    ///
    /// # Errors
    /// What is expected instead, for the end of a sentence.
    pub fn of(value: &Value) -> Result<Kept, String> {
        let expected = || "expected a kept file such as `steps.dump.outputs.files[\"dump.sql\"]`".to_owned();
        let Value::Map(map) = value else { return Err(format!("{}, got {}", expected(), value.kind())) };
        let text = |map: &Map, key: &str| map.get(key).and_then(Value::as_text).map(str::to_owned);
        let digest = text(map, "blob").filter(|digest| hex_of(digest).is_some()).ok_or_else(expected)?;
        let bytes = match map.get("bytes") {
            Some(Value::Int(bytes)) => u64::try_from(*bytes).map_err(|_| expected())?,
            _ => return Err(expected()),
        };
        Ok(Kept { digest, bytes, name: text(map, "name").unwrap_or_default() })
    }
}

impl Blobs {
    /// Those of a directory, which is made when the first file is kept.
    pub fn at(directory: PathBuf) -> Blobs {
        Blobs { directory: Some(directory), temporary: OnceLock::new() }
    }

    /// Keeps what `source` gives until its end. When this returns, the file is on the disk under its digest;
    /// otherwise nothing is there that wasn't before.
    ///
    /// # Errors
    /// If it can't be read or written, or has more than [`BLOB_BYTES_MAX`] bytes.
    pub fn keep(&self, source: &mut dyn Read, name: &str) -> io::Result<Kept> {
        let directory = self.directory()?;
        let temporary = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
        let (digest, bytes) = copy(source, &mut temporary.as_file(), BLOB_BYTES_MAX)?;
        temporary.as_file().sync_all()?;
        let shelf = directory.join(&digest[..2]);
        private_directory(&shelf)?;
        let place = shelf.join(&digest);
        // A file of this digest is this file: renaming over it changes nothing.
        temporary.persist(&place).map_err(|error| error.error)?;
        File::open(&shelf)?.sync_all()?;
        File::open(directory)?.sync_all()?;
        Ok(Kept { digest: format!("{PREFIX}{digest}"), bytes, name: name.to_owned() })
    }

    /// Copies a kept file into `target`, checking on the way that it is still what its name says.
    ///
    /// # Errors
    /// If it is missing, changed, or can't be copied; part of it may have been written.
    pub fn copy_to(&self, kept: &Kept, target: &mut dyn Write) -> Result<(), Failure> {
        let failed = |problem: &dyn std::fmt::Display| {
            Failure::new(FailureKind::File, format!("the kept file {} {problem}", kept.digest))
        };
        let wanted = hex_of(&kept.digest).ok_or_else(|| failed(&"has no usable name"))?;
        let directory = self.directory().map_err(|error| failed(&format!("can't be read: {error}")))?;
        let path = directory.join(&wanted[..2]).join(wanted);
        let (mut file, _) = match regular_file::open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(failed(&format!("is not in this store: there is no {}", path.display())));
            }
            Err(error) => return Err(failed(&format!("can't be read: {error}"))),
        };
        let (digest, _) =
            copy(&mut file, target, BLOB_BYTES_MAX).map_err(|error| failed(&format!("can't be copied: {error}")))?;
        if digest != wanted {
            return Err(failed(&format!("has been changed: its bytes are those of {PREFIX}{digest}")));
        }
        Ok(())
    }

    fn directory(&self) -> io::Result<&Path> {
        if let Some(directory) = &self.directory {
            private_directory(directory)?;
            return Ok(directory);
        }
        if let Some(temporary) = self.temporary.get() {
            return Ok(temporary.path());
        }
        let made =
            tempfile::Builder::new().prefix("rerail-blobs-").permissions(Permissions::from_mode(0o700)).tempdir()?;
        Ok(self.temporary.get_or_init(|| made).path())
    }
}

/// The hex digits of a name.
fn hex_of(digest: &str) -> Option<&str> {
    let digits = digest.strip_prefix(PREFIX)?;
    let whole = digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    whole.then_some(digits)
}

fn private_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).recursive(true).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes a new file that only its owner can read.
///
/// # Errors
/// If there is something of that name, or it can't be made.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Copies until the end; gives the digest in hex and the number of bytes.
fn copy(source: &mut dyn Read, target: &mut dyn Write, bytes_max: u64) -> io::Result<(String, u64)> {
    let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            return Ok((hex(&hash.finalize()), bytes));
        }
        bytes += count as u64;
        if bytes > bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {bytes_max} bytes")));
        }
        hash.update(&chunk[..count]);
        target.write_all(&chunk[..count])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_kept_once_under_its_digest_and_private() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("blobs");
        let blobs = Blobs::at(directory.clone());
        let kept = blobs.keep(&mut &b"abc"[..], "a.txt").unwrap();
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(kept, Kept { digest: format!("sha256:{digest}"), bytes: 3, name: "a.txt".into() });
        assert_eq!(blobs.keep(&mut &b"abc"[..], "b.txt").unwrap().digest, kept.digest);
        let place = directory.join("ba").join(digest);
        assert_eq!(std::fs::read(&place).unwrap(), b"abc");
        assert_eq!((mode(&place), mode(&directory), mode(place.parent().unwrap())), (0o600, 0o700, 0o700));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "no litter");
        let mut copied = Vec::new();
        blobs.copy_to(&kept, &mut copied).unwrap();
        assert_eq!(copied, b"abc");
        assert_eq!(Kept::of(&kept.to_value()).unwrap(), kept);
    }

    #[test]
    fn a_changed_or_missing_file_is_not_handed_on() {
        let state = tempfile::tempdir().unwrap();
        let blobs = Blobs::at(state.path().join("blobs"));
        let kept = blobs.keep(&mut &b"abc"[..], "a").unwrap();
        let digits = &kept.digest[PREFIX.len()..];
        let place = state.path().join("blobs").join(&digits[..2]).join(digits);
        std::fs::write(&place, b"abd").unwrap();
        assert!(blobs.copy_to(&kept, &mut Vec::new()).unwrap_err().message.contains("has been changed"));
        std::fs::remove_file(&place).unwrap();
        assert!(blobs.copy_to(&kept, &mut Vec::new()).unwrap_err().message.contains("is not in this store"));
    }

    #[test]
    fn a_source_that_breaks_or_never_ends_leaves_nothing() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                match std::mem::replace(&mut self.0, true) {
                    false => Ok(into.len()),
                    true => Err(io::Error::other("gone")),
                }
            }
        }
        let state = tempfile::tempdir().unwrap();
        let blobs = Blobs::at(state.path().to_owned());
        assert_eq!(blobs.keep(&mut Broken(false), "a").unwrap_err().to_string(), "gone");
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
        let endless = copy(&mut io::repeat(7), &mut io::sink(), 1000).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(copy(&mut io::repeat(7).take(1000), &mut io::sink(), 1000).unwrap().1, 1000);
    }

    #[test]
    fn a_temporary_store_goes_with_its_owner() {
        let blobs = Blobs::default();
        blobs.keep(&mut &b"abc"[..], "a").unwrap();
        let path = blobs.directory().unwrap().to_owned();
        assert_eq!(mode(&path), 0o700);
        drop(blobs);
        assert!(!path.exists());
    }

    #[test]
    fn only_the_name_of_a_kept_file_is_one() {
        let map = |blob: &str| Value::map([("blob", Value::from(blob)), ("bytes", Value::from(1))]);
        for blob in ["", "sha256:", "sha256:../../etc/passwd", &format!("sha256:{}", "A".repeat(64))] {
            assert!(Kept::of(&map(blob)).is_err(), "{blob}");
        }
        assert!(Kept::of(&map(&format!("sha256:{}", "a".repeat(64)))).is_ok());
        assert!(Kept::of(&Value::from("sha256:")).unwrap_err().contains("got"));
    }
}
