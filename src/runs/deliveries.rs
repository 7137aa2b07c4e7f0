//! What programs send to a server: kept, sealed, before it is answered, and worked through afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::digest::sha256_hex;
use crate::engine::ids::RunId;
use crate::journal::{Sent, TakenUp, Turn};
use crate::runs::Runs;
use crate::runs::error::RunsError;

/// What a program sent and proved to have sent.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// Which kind of program.
    pub source: &'a str,
    /// What it calls this delivery: the same when it is sent again.
    pub id: &'a str,
    pub body: &'a str,
    /// What it is about: it is worked through after all earlier ones of its source that are about any of the same. Kept as
    /// digests: short, and nothing that can be read.
    pub matters: BTreeSet<String>,
}

/// A delivery to work through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub source: String,
    pub id: String,
    pub body: String,
    pub received_at: Timestamp,
    /// The name of the one run it may start, whoever starts it and however often.
    pub run: RunId,
    /// How often it was taken up, with this time.
    pub tries: u32,
    number: i64,
}

impl Runs {
    /// Keeps what was sent; durable when this returns. Says whether it is new; what is not was answered before, and is worked
    /// through once.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn receive(&self, received: &Received<'_>) -> Result<bool, RunsError> {
        let store = self.store()?;
        let run = RunId::new(uuid::Uuid::now_v7());
        let (source, id) = (received.source.to_owned(), received.id.to_owned());
        let matters = received.matters.iter().map(|matter| sha256_hex(matter.as_bytes())).collect();
        let mut sent = Sent { project: self.of(), source, id, body: Vec::new(), run, matters };
        sent.body = store.key()?.seal(&context(&sent), received.body.as_bytes());
        Ok(store.receive(&sent).wait()?)
    }

    /// Takes up the oldest delivery of this project that nobody works on and that waits for no other. It is this taker's for
    /// some seconds, and longer while it says so.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn take_up_delivery(&self, taker: &str) -> Result<Option<Delivery>, RunsError> {
        let store = self.store()?;
        while let Some(TakenUp { number, sent, at, tries }) = store.take_up_delivery(taker, &self.of()).wait()? {
            let opened = store.key()?.open(&context(&sent), &sent.body).ok();
            let Some(body) = opened.and_then(|bytes| String::from_utf8(bytes).ok()) else {
                tracing::warn!(source = %sent.source, "a delivery can't be opened, perhaps of another key: left out");
                store.settle_delivery(number, "it can't be opened").wait()?;
                continue;
            };
            let Sent { source, id, run, .. } = sent;
            return Ok(Some(Delivery { source, id, body, received_at: at, run, tries, number }));
        }
        Ok(None)
    }

    /// Says that this taker still works on all it has taken up.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn keep_deliveries(&self, taker: &str) -> Result<(), RunsError> {
        Ok(self.store()?.keep_deliveries(taker).wait()?)
    }

    /// Records what a delivery came to, in a few words.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn settle_delivery(&self, delivery: &Delivery, came_to: &str) -> Result<(), RunsError> {
        let said = self.redactor().redact(came_to).into_owned();
        Ok(self.store()?.settle_delivery(delivery.number, &said).wait()?)
    }

    /// Puts a delivery back: it is taken up again after a while of a minute at most.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn put_back_delivery(&self, delivery: &Delivery, after: Duration, turn: Turn) -> Result<(), RunsError> {
        Ok(self.store()?.put_back_delivery(delivery.number, after, turn).wait()?)
    }

    /// How many deliveries of this project somebody could take up now, counted up to `at_most`; cheap enough to ask often.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn due_deliveries(&self, at_most: usize) -> Result<usize, RunsError> {
        Ok(self.store()?.due_deliveries(&self.of(), at_most)?)
    }

    /// How many deliveries of this project wait to be worked through.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn open_deliveries(&self) -> Result<u64, RunsError> {
        Ok(self.store()?.open_deliveries(&self.of())?)
    }
}

/// What a body is sealed for: nowhere else can it be opened. Its form is that of the time when the project stood behind the
/// source, so that what was kept then can still be opened.
fn context(sent: &Sent) -> Vec<u8> {
    let whose = match sent.project.as_str() {
        "" => sent.source.clone(),
        project => format!("{}\n{project}", sent.source),
    };
    [b"delivery", whose.as_bytes(), sent.id.as_bytes()].join(&0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    #[test]
    fn what_was_sent_can_be_read_by_who_works_on_it_and_in_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let runs = Runs::open(state.clone(), Project::discover(dir.path()).unwrap(), Redactor::new());
        let body = "a-body-that-nobody-else-should-read";
        assert!(runs.receive(&Received { source: "chat", id: "1", body, matters: BTreeSet::new() }).unwrap());
        let files = std::fs::read_dir(&state).unwrap().filter_map(|file| std::fs::read(file.unwrap().path()).ok());
        assert!(files.into_iter().all(|bytes| !bytes.windows(body.len()).any(|window| window == body.as_bytes())));
        let delivery = runs.take_up_delivery("here").unwrap().unwrap();
        assert_eq!((delivery.body.as_str(), delivery.tries), (body, 1));
        runs.settle_delivery(&delivery, "done").unwrap();
        assert_eq!(runs.open_deliveries().unwrap(), 0);
        assert!(!runs.receive(&Received { source: "chat", id: "1", body, matters: BTreeSet::new() }).unwrap());
    }

    #[test]
    fn one_that_cannot_be_opened_does_not_stop_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        let body = b"not sealed at all".to_vec();
        let run = RunId::new(uuid::Uuid::now_v7());
        let matters = BTreeSet::new();
        let sent = Sent { project: String::new(), source: "chat".into(), id: "1".into(), body, run, matters };
        assert!(runs.store().unwrap().receive(&sent).wait().unwrap());
        assert!(runs.receive(&Received { source: "chat", id: "2", body: "good", matters: BTreeSet::new() }).unwrap());
        assert_eq!(runs.take_up_delivery("here").unwrap().unwrap().body, "good");
    }
}
