//! Making and opening a store, taking an older one forward, and how a connection is set up.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::journal::dir;
use crate::journal::error::Error;
use crate::journal::key::StoreKey;
use crate::journal::tables::MIGRATIONS;
use crate::journal::wal;

/// Name of the database in a store's directory.
pub const FILE: &str = "journal.db";

/// How long a statement waits for another process's commit: far above any flush, far below a lease.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages (4 KiB) of log after which a commit copies them into the database: 1 MiB, so that the next start, which
/// reads the whole log, stays well below a millisecond, at the price of three flushes every 120 or so commits: a run
/// of a hundred writes meets that at most once.
const CHECKPOINT_PAGES: u32 = 256;

/// What the log is cut back to after a burst made it long.
const LOG_BYTES: u32 = 4 << 20;

/// Statements a connection keeps compiled: all there are, because one costs as much to compile as to run ten times.
const STATEMENTS_KEPT: usize = 128;

/// "rera": tells our files from other databases.
const APPLICATION_ID: i32 = 0x7265_7261;

/// The first SQLite without the bug that resets a log two connections write and checkpoint at once.
const SQLITE_MIN: (i32, &str) = (3_051_003, "3.51.3");

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Opens the database of a store that [`open`] has seen, with everything durability rests on.
pub(super) fn connect(file: &Path, access: Access) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let setup = || -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(file, flags)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        // Else every short command would pay a checkpoint and a deletion at its end.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // Else every execution of a statement on a table with a partial index compiles it anew, for the values it has now.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        match access {
            Access::Read => db.pragma_update(None, "query_only", true)?,
            Access::Write => permit_writes(&db)?,
        }
        Ok(db)
    };
    setup().map_err(|e| Error::sqlite(file, e))
}

/// Sets a connection up that only read so far.
pub(super) fn permit_writes(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "PRAGMA query_only = 0; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA journal_size_limit = {LOG_BYTES}; PRAGMA temp_store = MEMORY;"
    ))
}

/// Opens the store in `dir`, creating or migrating it first if needed; gives the file and a read connection.
///
/// # Errors
/// See [`Error`]: a place that is not fit, a file that is not ours, damaged, or newer than this rerail.
pub(super) fn open(dir: &Path) -> Result<(PathBuf, Connection), Error> {
    if rusqlite::version_number() < SQLITE_MIN.0 {
        return Err(Error::OldSqlite { found: rusqlite::version().to_owned(), needed: SQLITE_MIN.1 });
    }
    dir::prepare(dir)?;
    let file = dir.join(FILE);
    if !file.exists() {
        create(dir, &file)?;
    }
    wal::guard(&file)?;
    let db = connect(&file, Access::Read)?;
    if version(&file, &db, MIGRATIONS)? < MIGRATIONS.len() {
        let _alone = lock_dir(dir)?;
        migrate(&file, &connect(&file, Access::Write)?, MIGRATIONS)?;
    }
    Ok((file, db))
}

/// Opens the database in `dir` only to look at what can still be read of it.
pub(super) fn open_to_look(dir: &Path) -> Result<(PathBuf, Connection), Error> {
    let file = dir.join(FILE);
    let db = connect(&file, Access::Read)?;
    let found = version(&file, &db, MIGRATIONS)?;
    if found < MIGRATIONS.len() {
        let why = format!("has format {found}, which only the rerail that wrote it can look at while it is damaged");
        return Err(Error::Refused { path: file, why });
    }
    Ok((file, db))
}

/// Held while the schema is made or changed; the kernel drops it with the process.
fn lock_dir(dir: &Path) -> Result<File, Error> {
    let handle = File::open(dir).map_err(|e| Error::os("opening", dir, e))?;
    handle.lock().map_err(|e| Error::os("locking", dir, e))?;
    Ok(handle)
}

/// Builds a new database beside its place and moves it there once it is on disk: two flushes, one more for the key,
/// and nobody ever opens half a schema.
fn create(dir: &Path, file: &Path) -> Result<(), Error> {
    let handle = lock_dir(dir)?;
    if file.exists() {
        return Ok(());
    }
    let log = wal::log_of(file);
    if log.metadata().is_ok_and(|found| found.len() > 0) {
        let why = format!("is missing, but its log `{}` is there: put both back from a backup", log.display());
        return Err(Error::DamagedFile { file: file.to_owned(), why });
    }
    let draft = dir.join(format!("{FILE}.new"));
    // What a crash may have left of an earlier try.
    for stale in [draft.clone(), dir.join(format!("{FILE}.new-wal")), dir.join(format!("{FILE}.new-shm"))] {
        if stale.exists() {
            std::fs::remove_file(&stale).map_err(|e| Error::os("removing", &stale, e))?;
        }
    }
    dir::private_file(&draft).map_err(|e| Error::os("creating", &draft, e))?;
    build(&draft).map_err(|e| Error::sqlite(&draft, e))?;
    // Before the store is there for others: no run ends without a key to sign it.
    StoreKey::prepare(dir)?;
    // SQLite has closed the file: opening it here can't drop any of its locks.
    let built = File::open(&draft).map_err(|e| Error::os("opening", &draft, e))?;
    built.sync_all().map_err(|e| Error::os("flushing", &draft, e))?;
    std::fs::rename(&draft, file).map_err(|e| Error::os("renaming", &draft, e))?;
    handle.sync_all().map_err(|e| Error::os("flushing", dir, e))
}

fn build(draft: &Path) -> rusqlite::Result<()> {
    let db = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL;")?;
    db.execute_batch("BEGIN IMMEDIATE")?;
    for migration in MIGRATIONS {
        db.execute_batch(migration)?;
    }
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", MIGRATIONS.len())?;
    db.execute_batch("COMMIT")?;
    db.close().map_err(|(_, error)| error)
}

/// The schema version of an opened file.
fn version(file: &Path, db: &Connection, migrations: &[&str]) -> Result<usize, Error> {
    let read = || -> rusqlite::Result<(i32, i64)> {
        let id = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let version = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        Ok((id, version))
    };
    let (id, version) = read().map_err(|e| Error::sqlite(file, e))?;
    if id != APPLICATION_ID || version < 1 {
        let why = "is not a journal of rerail".to_owned();
        return Err(Error::DamagedFile { file: file.to_owned(), why });
    }
    let found = version.unsigned_abs();
    let known = migrations.len() as u64;
    if found > known {
        return Err(Error::TooNew { what: format!("journal `{}`", file.display()), found, known });
    }
    Ok(usize::try_from(found).unwrap_or(migrations.len()))
}

/// Takes an older schema to this version, one transaction a step.
fn migrate(file: &Path, db: &Connection, migrations: &[&str]) -> Result<(), Error> {
    // Read again: another process may have done it while this one waited for the lock.
    for (number, migration) in migrations.iter().enumerate().skip(version(file, db, migrations)?) {
        let step = || -> rusqlite::Result<()> {
            db.execute_batch("BEGIN IMMEDIATE")?;
            db.execute_batch(migration)?;
            db.pragma_update(None, "user_version", number + 1)?;
            db.execute_batch("COMMIT")
        };
        // An error leaves the transaction to the closing of the connection, which rolls it back.
        step().map_err(|e| Error::sqlite(file, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::store::Store;
    use crate::journal::testkit::{sql, start, store};
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_linked_sqlite_is_new_enough() {
        assert!(rusqlite::version_number() >= SQLITE_MIN.0, "{}", rusqlite::version());
    }

    #[test]
    fn all_files_are_private_also_those_sqlite_makes() {
        let (_base, store) = store();
        let _drive = start(&store, "backend-down");
        let mut seen = 0;
        for entry in std::fs::read_dir(store.dir()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().mode() & 0o7777;
            let expected = if entry.metadata().unwrap().is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{:?}", entry.path());
            seen += 1;
        }
        assert!(seen >= 4, "database, log, shared memory, locks");
    }

    #[test]
    fn commits_are_flushed_and_the_log_stays_when_closed() {
        let (base, store) = store();
        let drive = start(&store, "backend-down");
        let run = drive.run();
        let db = connect(store.file(), Access::Write).unwrap();
        let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(db.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0)).unwrap(), 2, "FULL");
        drop(db);
        drop(drive);
        drop(store);
        let log = base.path().join("store").join(format!("{FILE}-wal"));
        assert!(log.metadata().unwrap().len() > 0);
        let again = Store::open(&base.path().join("store")).unwrap();
        assert_eq!(again.events(run).unwrap().len(), 1);
    }

    #[test]
    fn the_log_does_not_grow_for_ever() {
        let (_base, store) = store();
        for _ in 0..200 {
            let _drive = start(&store, "backend-down");
        }
        let log = store.dir().join(format!("{FILE}-wal")).metadata().unwrap().len();
        assert!(log < 2 * u64::from(CHECKPOINT_PAGES) * 4096, "{log}");
    }

    #[test]
    fn a_newer_store_is_refused_with_both_versions() {
        let (base, store) = store();
        sql(&store).pragma_update(None, "user_version", 99).unwrap();
        drop(store);
        let error = Store::open(&base.path().join("store")).unwrap_err();
        assert!(matches!(error, Error::TooNew { found: 99, .. }), "{error}");
        assert!(error.to_string().contains("format 99"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_a_journal_is_refused_by_name() {
        for content in [
            &b""[..],
            b"not a database at all, but long enough to have had a header of one hundred bytes, \
            which is what SQLite reads first",
        ] {
            let base = tempfile::tempdir().unwrap();
            let dir = base.path().join("store");
            dir::prepare(&dir).unwrap();
            std::fs::write(dir.join(FILE), content).unwrap();
            let error = Store::open(&dir).unwrap_err();
            assert!(matches!(error, Error::DamagedFile { .. }), "{error}");
            assert!(error.to_string().contains(FILE), "{error}");
        }
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("store");
        dir::prepare(&dir).unwrap();
        let other = Connection::open(dir.join(FILE)).unwrap();
        other.execute_batch("CREATE TABLE t (x); PRAGMA user_version = 1").unwrap();
        assert!(matches!(Store::open(&dir), Err(Error::DamagedFile { .. })));
    }

    #[test]
    fn a_log_without_its_database_is_not_papered_over() {
        let (base, store) = store();
        let _drive = start(&store, "backend-down");
        std::fs::remove_file(store.file()).unwrap();
        let error = Store::open(&base.path().join("store")).unwrap_err();
        assert!(error.to_string().contains("journal.db-wal"), "{error}");
    }

    #[test]
    fn an_older_schema_is_taken_forward_step_by_step_and_only_once() {
        let (_base, store) = store();
        let run = start(&store, "backend-down").run();
        let new = ["ALTER TABLE runs ADD COLUMN x INTEGER", "ALTER TABLE runs ADD COLUMN y INTEGER"];
        let later = [MIGRATIONS, &new].concat();
        let db = connect(store.file(), Access::Write).unwrap();
        for _ in 0..2 {
            migrate(store.file(), &db, &later).unwrap();
        }
        assert_eq!(version(store.file(), &db, &later).unwrap(), later.len());
        db.execute("UPDATE runs SET x = 1, y = 2", []).unwrap();
        assert_eq!(store.events(run).unwrap().len(), 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_it_found() {
        let (_base, store) = store();
        let db = connect(store.file(), Access::Write).unwrap();
        let broken = [MIGRATIONS, &["CREATE TABLE x (a); CREATE TABLE x (a)"]].concat();
        assert!(migrate(store.file(), &db, &broken).is_err());
        drop(db);
        assert_eq!(version(store.file(), &sql(&store), MIGRATIONS).unwrap(), MIGRATIONS.len());
        assert!(sql(&store).prepare("SELECT * FROM x").is_err());
    }

    #[test]
    fn processes_that_create_at_once_end_up_with_one_store() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("store");
        std::thread::scope(|scope| {
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&dir))).collect();
            for store in opened {
                start(&store.join().unwrap().unwrap(), "backend-down");
            }
        });
        assert_eq!(Store::open(&dir).unwrap().runs(&Default::default()).unwrap().len(), 8);
    }
}
