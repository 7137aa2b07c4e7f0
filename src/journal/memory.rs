//! A journal in memory for rehearsals and tests: the same rules of appending, nothing durable, no leases.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::event::{Event, StoreLink};
use crate::engine::ids::RunId;
use crate::journal::append::{Append, Committed, Journal};
use crate::journal::chain::{self, Head};
use crate::journal::error::{Error, Failure};
use crate::journal::read::{self, Line};
use crate::journal::ticket::Ticket;

/// Runs that live as long as this value. The fence of an append is not looked at: nobody else can be there.
#[derive(Debug, Default)]
pub struct Memory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    runs: BTreeMap<RunId, Run>,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Hash of the newest `run.started`.
    newest: String,
}

#[derive(Debug)]
struct Run {
    number: u64,
    lines: Vec<Line>,
}

impl Memory {
    /// An empty journal.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // An append changes the state only after everything that can fail.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, append: Append) -> Result<Committed, Error> {
        let run = append.run;
        let known = self.runs.get(&run);
        let number = known.map_or(self.runs.len() as u64 + 1, |run| run.number);
        let head = known.and_then(|run| run.lines.last()).map(|line| Head { seq: line.seq, hash: line.hash });
        let store = StoreLink { number, prev: self.newest.clone() };
        let first_seq = head.map_or(0, |head| head.seq + 1);
        let (end, links) = chain::extend(run, head, &append.events, &store)?;
        let end = end.ok_or(Error::NoRun { run })?;
        let started = head.is_none();
        if let Some(id) = append.consumed.first() {
            return Err(Error::NotPending { run, id: id.number() });
        }

        if started {
            self.newest = links[0].hash.to_string();
        }
        let lines = &mut self.runs.entry(run).or_insert(Run { number, lines: Vec::new() }).lines;
        let mut blobs = append.blobs;
        for (seq, link) in (first_seq..).zip(links) {
            lines.push(Line { seq, json: link.line, hash: link.hash });
            blobs.extend(link.apart);
        }
        for blob in blobs {
            let (digest, bytes) = blob.into_parts();
            self.blobs.entry(digest).or_insert(bytes);
        }
        Ok(Committed { number, last_seq: end.seq, head: end.hash, store: started.then_some(store) })
    }
}

impl Journal for Memory {
    fn append(&self, append: Append) -> Ticket<Committed> {
        Ticket::ready(self.state().append(append))
    }

    fn load(&self, run: RunId) -> Result<Vec<Event>, Error> {
        let state = self.state();
        let found = state.runs.get(&run).ok_or(Error::NoRun { run })?;
        let blob = |digest: &str| Ok(state.blobs.get(digest).cloned());
        let events: Result<Vec<Event>, Failure> =
            found.lines.iter().map(|line| read::parse(run, line, &blob)).collect();
        events.map_err(|failure| failure.at("memory".as_ref()))
    }

    fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.state().blobs.get(digest).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::append::Blob;
    use crate::journal::testkit::{holder, new_run, note, started, store};

    /// Both journals, so that a rehearsal can't pass what a run would not.
    fn both(check: impl Fn(&dyn Journal, RunId, u64)) {
        let run = new_run();
        check(&Memory::new(), run, 0);
        let (_base, store) = store();
        let drive = store.acquire(run, holder()).unwrap();
        check(&store, run, drive.fence());
    }

    #[test]
    fn memory_and_disk_follow_the_same_rules() {
        both(|journal, run, fence| {
            let append = |events| journal.append(Append::events(run, fence, events)).wait();
            assert!(matches!(journal.load(run), Err(Error::NoRun { .. })));
            assert!(matches!(append(vec![note(0)]), Err(Error::NoRun { .. })));
            let first = append(vec![started(run, "x"), note(1)]).unwrap();
            assert_eq!((first.number, first.last_seq), (1, 1));
            assert_eq!(first.store, Some(StoreLink { number: 1, prev: String::new() }));
            assert!(matches!(append(vec![note(1)]), Err(Error::Conflict { expected: 2, found: 1, .. })));
            assert_eq!(journal.load(run).unwrap().len(), 2);
            let blob = Blob::new("value", b"x".to_vec());
            let with_blob = Append { blobs: vec![blob.clone()], ..Append::events(run, fence, vec![note(2)]) };
            journal.append(with_blob).wait().unwrap();
            assert_eq!(journal.blob(blob.digest()).unwrap(), Some(b"x".to_vec()));
        });
    }

    #[test]
    fn memory_and_disk_hash_alike() {
        let run = new_run();
        let (_base, store) = store();
        let drive = store.acquire(run, holder()).unwrap();
        let events = vec![started(run, "x"), note(1)];
        let memory = Memory::new().append(Append::events(run, 0, events.clone())).wait().unwrap();
        assert_eq!(store.append(Append::events(run, drive.fence(), events)).wait().unwrap(), memory);
    }
}
