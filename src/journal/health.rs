//! What a person wants to know of the place a journal lives in: its size, its disk, and what a flush costs there.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::journal::error::Error;
use crate::journal::schema::{self, Access, FILE};
use crate::journal::store::Store;

/// Flushes that are measured: enough for a middle one, few enough for a slow disk.
const FLUSHES: usize = 7;
/// Bytes of each: one page, as the smallest commit.
const PAGE_BYTES: usize = 4096;
/// Faults of the file that are named: beyond it more lines help nobody.
const FAULTS_MAX: usize = 10;

/// A store's place, measured.
#[derive(Clone, Debug)]
pub struct Health {
    pub runs: u64,
    /// Bytes of the database with its log.
    pub bytes: u64,
    /// What SQLite's own quick check found wrong; the chains are `verify`'s matter.
    pub faults: Vec<String>,
    /// The middle of several flushes of one page.
    pub flush: Duration,
    pub disk: Disk,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// `ext4`, or its number in hexadecimal if it has no name here.
    pub name: String,
    /// Whether it is gone with the machine's memory.
    pub volatile: bool,
    /// Bytes an ordinary user may still write.
    pub free: u64,
}

impl Store {
    /// Measures. Reads the whole database once and writes a file that has no name.
    ///
    /// # Errors
    /// What reading met, or why nothing can be flushed there.
    pub fn health(&self) -> Result<Health, Error> {
        let runs = self.counts()?.values().sum();
        let faults = self.faults()?;
        let size = |name: String| self.dir().join(name).metadata().map_or(0, |found| found.len());
        Ok(Health {
            runs,
            bytes: size(FILE.to_owned()) + size(format!("{FILE}-wal")),
            faults: faults.into_iter().filter(|fault| fault != "ok").collect(),
            flush: flush_time(self.dir()).map_err(|e| Error::os("flushing into", self.dir(), e))?,
            disk: disk(self.dir())?,
        })
    }

    /// On a connection of its own: one that knows the schema doesn't look at it again.
    fn faults(&self) -> Result<Vec<String>, Error> {
        let db = schema::connect(self.file(), Access::Read)?;
        let check = || -> rusqlite::Result<Vec<String>> {
            let mut check = db.prepare(&format!("PRAGMA quick_check({FAULTS_MAX})"))?;
            check.query_map([], |row| row.get(0))?.collect()
        };
        check().map_err(|e| Error::sqlite(self.file(), e))
    }
}

/// The version of SQLite in this binary.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// The file system a directory lies on.
///
/// # Errors
/// If it can't be asked.
pub fn disk(dir: &Path) -> Result<Disk, Error> {
    let ask = |e: rustix::io::Errno| Error::os("reading the file system of", dir, e.into());
    let room = rustix::fs::statvfs(dir).map_err(ask)?;
    let (name, volatile) = name_of(dir).map_err(ask)?;
    Ok(Disk { name, volatile, free: room.f_bavail.saturating_mul(room.f_frsize) })
}

#[cfg(target_os = "linux")]
fn name_of(dir: &Path) -> rustix::io::Result<(String, bool)> {
    let magic = rustix::fs::statfs(dir)?.f_type as u32;
    let known = FILE_SYSTEMS.iter().find(|(number, ..)| *number == magic);
    Ok(known.map_or_else(|| (format!("file system {magic:#x}"), false), |(_, name, gone)| ((*name).to_owned(), *gone)))
}

/// Other systems name them in other ways.
#[cfg(not(target_os = "linux"))]
fn name_of(_dir: &Path) -> rustix::io::Result<(String, bool)> {
    Ok(("disk".to_owned(), false))
}

/// What journals usually lie on, by the number `statfs` gives, and whether it forgets.
#[cfg(target_os = "linux")]
const FILE_SYSTEMS: &[(u32, &str, bool)] = &[
    (0x0000_ef53, "ext4", false),
    (0x5846_5342, "xfs", false),
    (0x9123_683e, "btrfs", false),
    (0x2fc1_2fc1, "zfs", false),
    (0xf2f5_2010, "f2fs", false),
    (0xca45_1a4e, "bcachefs", false),
    (0x6573_5546, "FUSE", false),
    // A container's own layer: gone with the container.
    (0x794c_7630, "overlayfs", true),
    (0x0102_1994, "tmpfs", true),
    (0x8584_58f6, "ramfs", true),
];

fn flush_time(dir: &Path) -> std::io::Result<Duration> {
    let path = dir.join(format!("flush-{}.tmp", std::process::id()));
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    // Nobody sees it, and nothing is left if the process dies.
    std::fs::remove_file(&path)?;
    let mut took = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let begun = Instant::now();
        file.write_all(&[0; PAGE_BYTES])?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took[FLUSHES / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{start, store};

    #[test]
    fn a_sound_store_is_measured_and_left_as_it_was() {
        let (_base, store) = store();
        let _drives = [start(&store, "a"), start(&store, "b")];
        let names = || {
            let entries = std::fs::read_dir(store.dir()).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
        };
        let before = names();
        let health = store.health().unwrap();
        assert_eq!((health.runs, health.faults.len()), (2, 0));
        assert!(health.bytes > 4096 && health.flush > Duration::ZERO && health.disk.free > 0);
        assert_eq!(names(), before);
    }

    #[test]
    fn a_store_whose_index_lies_has_faults() {
        let (_base, store) = store();
        drop(start(&store, "a"));
        let db = crate::journal::testkit::sql(&store);
        db.execute_batch(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'runs_by_start')
             WHERE name = 'runs_by_runbook';",
        )
        .unwrap();
        drop(db);
        match store.health() {
            Ok(health) => assert!(!health.faults.is_empty()),
            Err(error) => assert!(error.to_string().contains("malformed"), "{error}"),
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_systems_have_names() {
        let shm = Path::new("/dev/shm");
        if shm.exists() {
            assert_eq!((disk(shm).unwrap().name.as_str(), disk(shm).unwrap().volatile), ("tmpfs", true));
        }
        assert!(disk(Path::new("/nonexistent/x")).is_err());
    }
}
