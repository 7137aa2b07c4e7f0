//! Writes a file that people keep: a plan, a test, a secret.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::path::Path;

/// Puts a file in place whole, with these permissions and on the disk once this returns; until then the old one stands.
///
/// # Errors
/// What writing met. Nothing has changed then, unless it was the last flush.
pub fn replace(path: &Path, bytes: &[u8], permissions: Permissions) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Unguessable, and for nobody else to read from the start.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.as_file().set_permissions(permissions)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_permissions_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.plan");
        for (text, mode) in [("one", 0o600), ("two and more", 0o644), ("", 0o600)] {
            replace(&path, text.as_bytes(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
        assert!(replace(&dir.path().join("absent/a.plan"), b"x", Permissions::from_mode(0o600)).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
