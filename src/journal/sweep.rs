//! Frees what no event names any more: blobs of the database, and files that steps kept.
//!
//! What names a blob is found by looking for its 64 hex digits in every line, every waiting signal and every blob that
//! is named itself: that errs on the side of keeping. Looked at in one snapshot without holding anybody up; what was
//! recorded meanwhile is looked at again in the transaction that deletes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use crate::journal::error::{Error, Failure};
use crate::journal::hold::nobodys;
use crate::journal::lease;
use crate::journal::read;
use crate::journal::store::{Store, Terms};

/// Age below which a kept file stays although nothing names it: its step may not have been recorded yet.
const FILE_AGE_MIN: Duration = Duration::from_secs(3600);

/// Hex digits of a digest.
const DIGITS: usize = 64;

/// What was freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub blobs: u64,
    pub files: u64,
    /// Of both.
    pub bytes: u64,
}

type Digests = BTreeSet<String>;

impl Store {
    /// Frees blobs nobody names, and such files in `files` while nobody drives a run: a step may be about to name one.
    ///
    /// # Errors
    /// What reading and writing met; what was freed until then is freed.
    pub fn sweep(&self, files: &Path, now: Timestamp) -> Result<Swept, Error> {
        let (named, orphans, ends) = self.read(|db| {
            let ends = ends(db)?;
            let mut named = Digests::new();
            look_at(db, &mut named, "SELECT body FROM events")?;
            look_at(db, &mut named, "SELECT body FROM inbox")?;
            follow(db, &mut named)?;
            let mut select = db.prepare("SELECT digest FROM blobs")?;
            let all = select.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
            let orphans: Vec<String> = all.into_iter().filter(|digest| !named.contains(digits_of(digest))).collect();
            Ok((named, orphans, ends))
        })?;
        let mut swept = match orphans.is_empty() {
            true => Swept::default(),
            false => self.delete(orphans, ends)?,
        };
        if self.read(|db| Ok(lease::driven(db)?.is_empty()))? {
            sweep_files(files, &named, now, &mut swept)?;
        }
        Ok(swept)
    }

    fn delete(&self, orphans: Vec<String>, ends: BTreeMap<u64, u64>) -> Result<Swept, Error> {
        let terms = Terms { reserve: true, ..Terms::DURABLE };
        self.write(nobodys(), terms, move |db| {
            let mut named = Digests::new();
            look_at(db, &mut named, "SELECT body FROM inbox")?;
            for (number, seq) in self::ends(db)? {
                let from = match ends.get(&number) {
                    Some(known) if *known >= seq => continue,
                    Some(known) => known + 1,
                    None => 0,
                };
                let mut select = db.prepare_cached("SELECT body FROM events WHERE run = ?1 AND seq >= ?2")?;
                let mut rows = select.query(params![number, from])?;
                while let Some(row) = rows.next()? {
                    name_in(row.get_ref(0)?, &mut named);
                }
            }
            follow(db, &mut named)?;
            let mut swept = Swept::default();
            for digest in orphans.iter().filter(|digest| !named.contains(digits_of(digest))) {
                let bytes: u64 = db
                    .prepare_cached("DELETE FROM blobs WHERE digest = ?1 RETURNING length(bytes)")?
                    .query_row([digest], |row| row.get(0))?;
                swept.blobs += 1;
                swept.bytes += bytes;
            }
            Ok(swept)
        })
        .wait()
    }
}

/// The last event of each run.
fn ends(db: &Connection) -> Result<BTreeMap<u64, u64>, Failure> {
    let mut select = db.prepare_cached("SELECT number, last_seq FROM runs")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn look_at(db: &Connection, named: &mut Digests, query: &str) -> Result<(), Failure> {
    let mut select = db.prepare_cached(query)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        name_in(row.get_ref(0)?, named);
    }
    Ok(())
}

/// A blob that is named may name others: large values hold what their steps handed on.
fn follow(db: &Connection, named: &mut Digests) -> Result<(), Failure> {
    let mut open: Vec<String> = named.iter().cloned().collect();
    while let Some(digits) = open.pop() {
        let Some(bytes) = read::blob(db, &format!("sha256:{digits}"))? else { continue };
        let mut inside = Digests::new();
        name_in(ValueRef::Blob(&bytes), &mut inside);
        open.extend(inside.iter().filter(|found| named.insert((*found).clone())).cloned());
    }
    Ok(())
}

/// Every 64 hex digits in a row that are not part of more.
fn name_in(value: ValueRef<'_>, named: &mut Digests) {
    let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = value else { return };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let row_of_64 = |row: &&[u8]| row.len() == DIGITS;
    for row in bytes.split(|byte| !is_digit(byte)).filter(row_of_64) {
        named.insert(String::from_utf8_lossy(row).into_owned());
    }
}

fn digits_of(digest: &str) -> &str {
    digest.rsplit(':').next().unwrap_or(digest)
}

/// Removes kept files (`ab/abcd…`) that nothing names.
fn sweep_files(files: &Path, named: &Digests, now: Timestamp, swept: &mut Swept) -> Result<(), Error> {
    let now = SystemTime::from(now);
    for shelf in listed(files)? {
        if !shelf.is_dir() {
            continue;
        }
        for file in listed(&shelf)? {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let found = file.symlink_metadata().map_err(|e| Error::os("reading", &file, e))?;
            let age = found.modified().ok().and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
            let digits = name.len() == DIGITS && name.bytes().all(|b| b.is_ascii_hexdigit());
            if !digits || !found.is_file() || named.contains(&name) || age < FILE_AGE_MIN {
                continue;
            }
            fs::remove_file(&file).map_err(|e| Error::os("removing", &file, e))?;
            swept.files += 1;
            swept.bytes += found.len();
        }
    }
    Ok(())
}

fn listed(dir: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::os("listing", dir, error)),
    };
    let entries: io::Result<Vec<_>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    entries.map_err(|e| Error::os("listing", dir, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Body;
    use crate::journal::append::{Append, Blob, Journal};
    use crate::journal::testkit::{actor, event, finished, start, store};

    fn naming(seq: u64, text: &str) -> crate::engine::event::Event {
        event(seq, Body::Note { text: text.to_owned(), actor: Some(actor("ana")), step: None })
    }

    fn later() -> Timestamp {
        Timestamp::now() + Duration::from_secs(7200)
    }

    fn there(store: &Store, blob: &Blob) -> bool {
        store.blob(blob.digest()).unwrap().is_some()
    }

    #[test]
    fn what_is_named_anywhere_stays_and_the_rest_goes() {
        let (base, store) = store();
        let inner = Blob::new("value", b"inner".to_vec());
        let outer = Blob::new("value", format!("{{\"blob\": \"{}\"}}", inner.digest()).into_bytes());
        let plain = Blob::new("text", b"steps: []".to_vec());
        let orphan = Blob::new("text", vec![b'x'; 1000]);
        let drive = start(&store, "backend-down");
        let append = Append {
            blobs: vec![inner.clone(), outer.clone(), plain.clone(), orphan.clone()],
            ..Append::events(
                drive.run(),
                drive.fence(),
                vec![naming(1, outer.digest()), naming(2, digits_of(plain.digest())), finished(3)],
            )
        };
        store.append(append).wait().unwrap();
        let swept = store.sweep(base.path(), later()).unwrap();
        assert_eq!(swept, Swept { blobs: 1, files: 0, bytes: 1000 });
        assert!(there(&store, &inner) && there(&store, &outer) && there(&store, &plain) && !there(&store, &orphan));
        assert_eq!(store.sweep(base.path(), later()).unwrap(), Swept::default());
    }

    #[test]
    fn what_is_named_between_looking_and_deleting_stays() {
        let (_base, store) = store();
        let blob = Blob::new("text", b"orphan no more".to_vec());
        let drive = start(&store, "backend-down");
        let with = |seq, text: &str, blobs| Append {
            blobs,
            ..Append::events(drive.run(), drive.fence(), vec![naming(seq, text)])
        };
        store.append(with(1, "nothing", vec![blob.clone()])).wait().unwrap();
        let looked_at = store.read(ends).unwrap();
        store.append(with(2, blob.digest(), Vec::new())).wait().unwrap();
        let orphans = vec![blob.digest().to_owned()];
        assert_eq!(store.delete(orphans.clone(), looked_at.clone()).unwrap(), Swept::default());
        let new = start(&store, "backend-down");
        assert!(there(&store, &blob), "{:?}", new.run());
        let all = store.read(ends).unwrap();
        assert_eq!(store.delete(orphans, all).unwrap().blobs, 1, "the list is believed for what it has seen");
    }

    #[test]
    fn kept_files_go_when_old_unnamed_and_nobody_drives() {
        let (base, store) = store();
        let files = base.path().join("blobs");
        let place = |digits: &str| files.join(&digits[..2]).join(digits);
        let (named, orphan) = ("a".repeat(64), "b".repeat(64));
        for digits in [&named, &orphan] {
            fs::create_dir_all(place(digits).parent().unwrap()).unwrap();
            fs::write(place(digits), "0123456789").unwrap();
        }
        fs::write(files.join("notes.txt"), "of somebody").unwrap();
        fs::write(files.join("bb/notes.txt"), "of somebody").unwrap();
        let drive = start(&store, "backend-down");
        let first = vec![naming(1, &format!("sha256:{named}"))];
        store.append(Append::events(drive.run(), drive.fence(), first)).wait().unwrap();
        assert_eq!(store.sweep(&files, later()).unwrap(), Swept::default(), "a run is driven");
        store.append(Append::events(drive.run(), drive.fence(), vec![finished(2)])).wait().unwrap();
        assert_eq!(store.sweep(&files, Timestamp::now()).unwrap(), Swept::default(), "it is too young");
        assert_eq!(store.sweep(&files, later()).unwrap(), Swept { blobs: 0, files: 1, bytes: 10 });
        assert!(place(&named).exists() && !place(&orphan).exists());
        assert!(files.join("notes.txt").exists() && files.join("bb/notes.txt").exists());
        assert_eq!(store.sweep(&base.path().join("none"), later()).unwrap(), Swept::default());
    }
}
