//! The directory of a store: private to its owner, on a disk of this machine.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::journal::error::Error;

/// Only the owner may list or enter it: events hold what operators and targets said.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes sure `dir` exists, is private and local.
///
/// # Errors
/// [`Error::Refused`] with the cure if others may enter it or if it is on a network.
pub(super) fn prepare(dir: &Path) -> Result<(), Error> {
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => {
            return Err(refused(dir, "is not a directory: name another place".to_owned()));
        }
        Ok(found) if found.mode() & 0o077 != 0 => {
            let why = format!(
                "can be entered by others (mode {:04o}, expected 0700): run `chmod 700 {}`",
                found.mode() & 0o7777,
                dir.display()
            );
            return Err(refused(dir, why));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(dir)?,
        Err(error) => return Err(Error::os("reading", dir, error)),
    }
    match network_file_system(dir)? {
        Some(name) => Err(refused(
            dir,
            format!("is on {name}, whose locks and flushes can't be relied on: put it on a disk of this machine"),
        )),
        None => Ok(()),
    }
}

fn create(dir: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)
        .and_then(|()| fs::set_permissions(dir, Permissions::from_mode(DIR_MODE)))
        .map_err(|e| Error::os("creating", dir, e))
}

fn refused(dir: &Path, why: String) -> Error {
    Error::Refused { path: dir.to_owned(), why }
}

/// Creates an empty private file, or opens it, whatever the umask.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
    if file.metadata()?.mode() & 0o777 != FILE_MODE {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

/// File systems without reliable locks or shared memory, by the number `statfs` gives.
///
/// FUSE is not listed: it is as often a local disk as a remote one, and does not say which.
#[cfg(target_os = "linux")]
const NETWORK_FILE_SYSTEMS: &[(u32, &str)] = &[
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0000_564c, "NCP"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x786f_4256, "a VirtualBox shared folder"),
];

#[cfg(target_os = "linux")]
fn network_file_system(dir: &Path) -> Result<Option<&'static str>, Error> {
    let found = rustix::fs::statfs(dir).map_err(|e| Error::os("reading the file system of", dir, e.into()))?;
    Ok(network_name(found.f_type as u32))
}

#[cfg(target_os = "linux")]
fn network_name(magic: u32) -> Option<&'static str> {
    NETWORK_FILE_SYSTEMS.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

/// Other systems have other ways to tell; the check is made on Linux only.
#[cfg(not(target_os = "linux"))]
fn network_file_system(_dir: &Path) -> Result<Option<&'static str>, Error> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_private_with_its_parents() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("state/rerail");
        prepare(&dir).unwrap();
        prepare(&dir).unwrap();
        for path in [dir.clone(), base.path().join("state")] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o700);
        }
        let file = private_file(&dir.join("f")).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_directory_open_to_others_is_refused_with_the_cure() {
        let base = tempfile::tempdir().unwrap();
        for mode in [0o755, 0o710, 0o701, 0o770] {
            fs::set_permissions(base.path(), Permissions::from_mode(mode)).unwrap();
            let error = prepare(base.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("{mode:04o}")) && error.contains("chmod 700"), "{error}");
        }
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("f");
        fs::write(&path, "").unwrap();
        assert!(matches!(prepare(&path), Err(Error::Refused { .. })));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_file_systems_are_known_by_their_number() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xff53_4d42), Some("CIFS"));
        assert_eq!(network_name(0xef53), None, "ext4");
        assert_eq!(network_name(0x0102_1994), None, "tmpfs");
    }
}
