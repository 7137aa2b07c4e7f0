//! Damage in SQLite's write-ahead log, which SQLite takes for its end.
//!
//! SQLite reads the log up to the first frame whose checksum doesn't fit and forgets the rest: right for a
//! transaction that was being written when its process died, but one flipped byte hides every acknowledged
//! transaction behind it the same way, and the next commit overwrites them. This reads the log as SQLite does,
//! then looks at what stands behind, and tells the two apart. It never changes the log, and doesn't repair it.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::journal::error::Error;
use crate::journal::schema::{self, Access};

/// First word of a log; the lowest bit says that checksums take words as big-endian.
const MAGIC: u32 = 0x377f_0682;

/// The one version of the format there is.
const VERSION: u32 = 3_007_000;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// Page sizes SQLite can have; anything else in a header is damage.
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 512..=65_536;

/// Page size of every store we make: what frames are looked for with if the header can't say.
const OUR_PAGE_BYTES: usize = 4096;

/// Read at once; a log is half a MiB as a rule.
const READ_BYTES: usize = 128 << 10;

/// Finished transactions in one unbroken row behind a bad frame that prove damage. One alone proves nothing: a
/// process killed just before its commit counts leaves one, and others may have overwritten its beginning since.
const PROOF: u64 = 2;

/// The log of a database.
pub(super) fn log_of(file: &Path) -> PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

/// What a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All there is can be read.
    Whole,
    /// It ends in a transaction that isn't whole, of which nobody can have been told that it was recorded.
    Unfinished(Unfinished),
    /// Something written was changed; what stands behind it is hidden.
    Damaged(Damage),
}

/// An end that doesn't count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    log: PathBuf,
    /// Of the first frame that doesn't count.
    offset: u64,
    /// Whether a last frame of it stands there.
    commits: bool,
}

/// Where a log is damaged, and what that costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    log: PathBuf,
    /// Start of the frame, or of the log's header, that was changed.
    offset: u64,
    /// What is still readable ends before this; 0 if nothing is.
    readable: u64,
    /// Finished transactions nobody can read any more; one too many if the changed word made a frame look like a last one.
    hidden: u64,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (log, offset) = (self.log.display(), self.offset);
        write!(f, "log `{log}` ends in a transaction that is not whole (byte {offset}): ")?;
        match self.commits {
            false => write!(f, "its process stopped in the middle of it, and nothing of it was acknowledged"),
            true => write!(
                f,
                "its process or the machine stopped before it was acknowledged, or else many bytes of it changed since"
            ),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (log, offset) = (self.log.display(), self.offset);
        match offset {
            0 => write!(f, "log `{log}` was changed in its header at byte 0, which hides ")?,
            _ => write!(f, "log `{log}` was changed in the frame at byte {offset}, which hides ")?,
        }
        match self.hidden {
            0 => write!(f, "the last transaction"),
            1 => write!(f, "1 recorded transaction"),
            many => write!(f, "{many} recorded transactions"),
        }
    }
}

impl Damage {
    /// Why nothing may be written to the store, with the cure.
    pub(super) fn refusal(&self, file: &Path) -> Error {
        let (log, readable) = (self.log.display(), self.readable);
        let why = format!(
            "{self}, and going on would overwrite them: `rerail verify` says what can still be read. Copy the whole \
             directory away, then put back a backup, or give up what is hidden with `truncate -s {readable} {log}`"
        );
        Error::DamagedFile { file: file.to_owned(), why }
    }
}

/// Refuses a database whose log is damaged: the next commit would overwrite what shows it.
///
/// Costs reading the log, as SQLite does for the first who opens a store: a fraction of a millisecond, so that every
/// opening can afford it and none has to guess whether the one before ended well.
///
/// # Errors
/// [`Error::DamagedFile`] with the cure; as [`examine`].
pub(super) fn guard(file: &Path) -> Result<(), Error> {
    let log = log_of(file);
    // The end of a dead process's log is no reason to lock anybody out.
    if !matches!(check(&log).map_err(|e| Error::os("reading", &log, e))?, Found::Damaged(_)) {
        return Ok(());
    }
    match examine(file)? {
        Found::Damaged(damage) => Err(damage.refusal(file)),
        Found::Whole | Found::Unfinished(_) => Ok(()),
    }
}

/// Says what the log of a database is, with all writers kept out for the moment: one that is just writing looks
/// like one that died there. Leaves the log as it is.
///
/// # Errors
/// What reading met; [`Error::Locked`] if the writers could not be kept out.
pub(super) fn examine(file: &Path) -> Result<Found, Error> {
    let log = log_of(file);
    let db = schema::connect(file, Access::Write)?;
    match db.execute_batch("BEGIN IMMEDIATE").map_err(|e| Error::sqlite(file, e)) {
        // If SQLite won't have the database at all, nobody else can be writing either.
        Ok(()) | Err(Error::DamagedFile { .. }) => check(&log).map_err(|e| Error::os("reading", &log, e)),
        Err(error) => Err(error),
    }
}

/// Reads a log from its beginning to its end.
fn check(log: &Path) -> io::Result<Found> {
    let file = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Whole),
        Err(error) => return Err(error),
    };
    let mut source = BufReader::with_capacity(READ_BYTES, file);
    let mut first = [0; HEADER_BYTES];
    if !fill(&mut source, &mut first)? {
        return Ok(Found::Whole);
    }
    let mut walk = Walk::new(Header::parse(&first));
    let mut frame = vec![0; FRAME_HEADER_BYTES + walk.page_bytes];
    while !walk.is_past() && fill(&mut source, &mut frame)? {
        walk.step(&frame);
    }
    // What is left of earlier logs is told by its salts: half of the file, as a rule, whose pages need not be read.
    let file = source.into_inner();
    let length = file.metadata()?.len();
    while walk.at + frame.len() as u64 <= length {
        let (header, page) = frame.split_at_mut(FRAME_HEADER_BYTES);
        let there = fill_at(&file, header, walk.at)?
            && (!walk.is_ours(header) || fill_at(&file, page, walk.at + FRAME_HEADER_BYTES as u64)?);
        if !there {
            break;
        }
        walk.step(&frame);
    }
    Ok(walk.end(log))
}

/// Fills `bytes` from `offset` on; false if the file ends before.
fn fill_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Fills `bytes`; false if the file ends before.
fn fill(source: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Two words of 32 bits: salts, or a checksum.
type Pair = [u32; 2];

/// What all frames of a log share.
#[derive(Clone, Copy)]
struct Header {
    big_endian: bool,
    page_bytes: usize,
    salts: Pair,
    sums: Pair,
}

impl Header {
    /// `None` if SQLite would take the log for empty.
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let (magic, version, page) = (word(bytes, 0), word(bytes, 4), word(bytes, 8));
        let big_endian = magic & 1 == 1;
        let sums = sum(big_endian, &bytes[..24], [0, 0]);
        let sound = magic & !1 == MAGIC
            && version == VERSION
            && page.is_power_of_two()
            && PAGE_BYTES.contains(&page)
            && sums == pair(bytes, 24);
        sound.then(|| Header { big_endian, page_bytes: page as usize, salts: pair(bytes, 16), sums })
    }
}

/// The way through the frames.
struct Walk {
    /// `None` while the log's header is unreadable and no frame was seen.
    salts: Option<Pair>,
    big_endian: bool,
    page_bytes: usize,
    /// Where the next frame starts.
    at: u64,
    /// The checksum the next frame goes on from; `None` behind bytes that are no frame of this log.
    sums: Option<Pair>,
    /// Whether SQLite reads on.
    readable: bool,
    /// End of the last transaction SQLite reads.
    readable_end: u64,
    /// Whether a frame of this log stands behind that.
    more: bool,
    /// The frame that was changed for certain.
    changed: Option<u64>,
    /// First frame of this log that SQLite doesn't read.
    lost: Option<u64>,
    /// Finished transactions that SQLite doesn't read: all, and in the present unbroken row of frames.
    hidden: u64,
    row: u64,
}

impl Walk {
    fn new(header: Option<Header>) -> Walk {
        Walk {
            salts: header.map(|header| header.salts),
            big_endian: header.is_some_and(|header| header.big_endian),
            page_bytes: header.map_or(OUR_PAGE_BYTES, |header| header.page_bytes),
            at: HEADER_BYTES as u64,
            sums: header.map(|header| header.sums),
            readable: header.is_some(),
            readable_end: header.map_or(0, |_| HEADER_BYTES as u64),
            more: false,
            changed: None,
            lost: None,
            hidden: 0,
            row: 0,
        }
    }

    /// Whether it has come to what is left of earlier logs.
    fn is_past(&self) -> bool {
        self.salts.is_some() && self.sums.is_none()
    }

    /// Whether a frame is of this log, by its header. Salts of earlier logs differ in both words: one that fits is enough
    /// to know a frame with a damaged other. Without a header of the log, the first frame says what belongs together.
    fn is_ours(&self, frame: &[u8]) -> bool {
        let salts = pair(frame, 8);
        let ours = self.salts.unwrap_or(salts);
        salts != [0, 0] && (salts[0] == ours[0] || salts[1] == ours[1])
    }

    /// The next frame; of one that isn't of this log only the header counts.
    fn step(&mut self, frame: &[u8]) {
        let at = self.at;
        self.at += frame.len() as u64;
        let (commits, salts, sums) = (word(frame, 4) != 0, pair(frame, 8), pair(frame, 16));
        if !self.is_ours(frame) {
            (self.readable, self.sums, self.row) = (false, None, 0);
            return;
        }
        let ours = *self.salts.get_or_insert(salts);
        let expected = self.sums.map(|before| self.checksum(before, frame));
        self.sums = Some(sums);
        let fits = expected == Some(sums) && salts == ours;
        if self.readable && fits {
            self.more = !commits;
            if commits {
                self.readable_end = self.at;
            }
            return;
        }
        self.more = true;
        self.lost.get_or_insert(at);
        if self.readable {
            self.readable = false;
            let changed = expected.is_some_and(|expected| one_word_explains(expected, sums, frame.len()));
            self.changed = changed.then_some(at);
        }
        if !fits {
            self.row = 0;
        }
        if commits {
            self.hidden += 1;
            self.row += 1;
        }
        if self.row >= PROOF {
            self.changed = self.changed.or(self.lost);
        }
    }

    /// The checksum a frame should have behind one that has `before`.
    fn checksum(&self, before: Pair, frame: &[u8]) -> Pair {
        let sums = sum(self.big_endian, &frame[..8], before);
        sum(self.big_endian, &frame[FRAME_HEADER_BYTES..], sums)
    }

    fn end(self, log: &Path) -> Found {
        // SQLite flushes a log's header before its first frame: one that is bad before finished transactions was good.
        let headless = (self.readable_end == 0 && self.hidden > 0).then_some(0);
        let log = log.to_owned();
        match headless.or(self.changed) {
            Some(offset) => Found::Damaged(Damage { log, offset, readable: self.readable_end, hidden: self.hidden }),
            None if self.more => {
                Found::Unfinished(Unfinished { log, offset: self.readable_end, commits: self.hidden > 0 })
            }
            None => Found::Whole,
        }
    }
}

/// Whether one changed word of a frame explains why its checksum is not the expected one; more must differ where a
/// transaction was not written whole or its beginning was overwritten since.
///
/// The checksum is linear: a word changed by `d` moves its two sums by `a * d` and `b * d`, where `a` and `b` depend
/// on the word's place alone and are coprime. So `a * moved[1] == b * moved[0]` holds at the place of the changed
/// word; if anything else moved the sums, it holds at one of the thousand places by a chance of one in four million.
fn one_word_explains(expected: Pair, written: Pair, frame_bytes: usize) -> bool {
    let moved = [expected[0].wrapping_sub(written[0]), expected[1].wrapping_sub(written[1])];
    // A salt, which isn't summed, or a sum itself.
    if moved.contains(&0) {
        return true;
    }
    let pairs = (8 + frame_bytes - FRAME_HEADER_BYTES) / 8;
    let explains = |[a, b]: Pair| a.wrapping_mul(moved[1]) == b.wrapping_mul(moved[0]);
    let later = |[a, b]: Pair| [a.wrapping_add(b), a.wrapping_add(b).wrapping_add(b)];
    // From the last pair of words to the first.
    let (mut first, mut second): (Pair, Pair) = ([1, 1], [0, 1]);
    for _ in 0..pairs {
        if explains(first) || explains(second) {
            return true;
        }
        (first, second) = (later(first), later(second));
    }
    false
}

/// SQLite's checksum of a multiple of eight bytes, going on from `before`.
fn sum(big_endian: bool, bytes: &[u8], before: Pair) -> Pair {
    match big_endian {
        true => sum_words(bytes, before, u32::from_be_bytes),
        false => sum_words(bytes, before, u32::from_le_bytes),
    }
}

fn sum_words(bytes: &[u8], [mut s1, mut s2]: Pair, word: impl Fn([u8; 4]) -> u32) -> Pair {
    for eight in bytes.chunks_exact(8) {
        s1 = s1.wrapping_add(word([eight[0], eight[1], eight[2], eight[3]])).wrapping_add(s2);
        s2 = s2.wrapping_add(word([eight[4], eight[5], eight[6], eight[7]])).wrapping_add(s1);
    }
    [s1, s2]
}

/// The big-endian word at `at`, as all numbers in a log are except what is summed.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn pair(bytes: &[u8], at: usize) -> Pair {
    [word(bytes, at), word(bytes, at + 4)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Pair = [0x1234_5678, 0x9abc_def0];

    fn frame() -> Vec<u8> {
        (0..FRAME_HEADER_BYTES + OUR_PAGE_BYTES).map(|i| (i * 7 + i / 256) as u8).collect()
    }

    fn summed(frame: &[u8]) -> Pair {
        sum(false, &frame[FRAME_HEADER_BYTES..], sum(false, &frame[..8], BEFORE))
    }

    #[test]
    fn every_changed_byte_explains_its_checksum_and_another_beginning_does_not() {
        let whole = frame();
        let written = summed(&whole);
        for offset in (0..8).chain(FRAME_HEADER_BYTES..whole.len()) {
            let mut changed = whole.clone();
            changed[offset] ^= 0x40;
            assert!(one_word_explains(summed(&changed), written, changed.len()), "byte {offset}");
        }
        for beginning in 1..2000u32 {
            let before = sum(false, &frame()[..1024], [beginning, !beginning]);
            let sums = sum(false, &whole[FRAME_HEADER_BYTES..], sum(false, &whole[..8], before));
            assert!(!one_word_explains(sums, written, whole.len()), "beginning {beginning}");
        }
    }

    #[test]
    fn the_checksum_takes_words_in_the_order_the_log_says() {
        let bytes = [0, 0, 0, 1, 0, 0, 0, 2];
        assert_eq!(sum(true, &bytes, [0, 0]), [1, 3]);
        assert_eq!(sum(false, &bytes, [0, 0]), [1 << 24, 3 << 24]);
    }

    #[test]
    fn a_log_that_is_missing_or_shorter_than_a_frame_is_whole() {
        let base = tempfile::tempdir().unwrap();
        let log = base.path().join("log");
        assert_eq!(check(&log).unwrap(), Found::Whole);
        for length in [0, 31, 32, 4000] {
            std::fs::write(&log, vec![7; length]).unwrap();
            assert_eq!(check(&log).unwrap(), Found::Whole);
        }
    }
}
