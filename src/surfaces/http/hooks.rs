//! Programs that prove themselves by a signature or a secret of their own, not as a person: alerts, chats.
//!
//! What they send is kept before it is answered, because they wait for few seconds and send again what was not answered;
//! it is worked through afterwards, once, also by the next server if this one is killed in between.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use jiff::Timestamp;

use crate::runs::{Delivery, ErrorKind, Received, Runs, RunsError, Turn};
use crate::surfaces::http::call::Answer;
use crate::surfaces::http::jobs::{Job, STACK_BYTES};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::routes::{Does, TABLE};
use crate::surfaces::http::serve::Server;

/// Deliveries that are worked through at once: most wait for the disk, where those that wait together share a flush, or for
/// a plan's looks at the world.
const WORKERS_MAX: usize = 32;
/// How often a server says that it still works on what it has taken up: well below the time it is given.
const KEEP_EVERY: Duration = Duration::from_millis(500);
/// How often is looked unasked, for what another server left: with the time that one had, less than three seconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// First wait before a delivery that could not be worked through is tried again; then twice as long each time.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// The longest such wait.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(60);
/// Times for which later deliveries of the same matter wait for one that is busy: about a minute. What is busy for longer,
/// such as a runbook whose group a run has that waits for a person, must not keep them from being heard.
const WAITED_FOR_TRIES: u32 = 8;
/// Times a delivery is tried that ends in an error of ours: what breaks so often breaks always.
const BROKEN_TRIES_MAX: u32 = 5;
/// Letters of a delivery's id that are kept; longer ones are no ids.
pub const ID_CHARS_MAX: usize = 200;

/// A request as it came in.
pub struct Sent {
    pub headers: HeaderMap,
    /// What stands in the path for a name, if anything does.
    pub subject: Option<String>,
    pub query: Option<String>,
    /// The raw bytes, over which signatures are made.
    pub body: Vec<u8>,
    pub at: Timestamp,
}

impl Sent {
    /// The one value of a header. Nothing if it is missing, given twice, or not text: no proof is made of such a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}

/// What a hook makes of a request that it has proved.
#[derive(Debug)]
pub enum Heard {
    /// To be kept, then answered; what is sent again under the same id is answered alike, and worked through once. What is
    /// about any of the same matters is worked through in the order in which it came.
    Keep { id: String, body: String, matters: BTreeSet<String>, answer: Answer },
    /// Nothing to keep: the other side only asks whether anybody is there.
    Answer(Answer),
}

/// A kind of program that sends.
pub trait Hook: Sync {
    /// Its name in the journal: a word.
    fn source(&self) -> &'static str;

    /// Proves who sent it over the raw bytes, before anything is read from them, and in the same time whatever differs.
    /// Meets nothing but the project and its secrets; and, once it is proved, the journal for what the answer depends on.
    ///
    /// # Errors
    /// 401 if nothing proves it; 400 if it proves to be something else than it should; 503 if that can't be known now.
    fn prove(&self, runs: &Runs, sent: &Sent) -> Result<Heard, Problem>;

    /// Works through what was kept. After a kill it is called again with the same delivery, so what it starts is started as
    /// `delivery.run`. Says in a few words what came of it.
    ///
    /// # Errors
    /// What is busy is tried again later; anything else stands in the journal's log and is left.
    fn work(&self, server: &Arc<Server>, runs: &Arc<Runs>, delivery: &Delivery) -> Result<String, RunsError>;
}

/// Keeps and answers.
///
/// # Errors
/// What the hook refuses; 503 if it can't be kept, so that it is sent again.
pub fn hear(server: &Server, hook: &dyn Hook, sent: &Sent) -> Result<Answer, Problem> {
    let runs = server.door()?;
    let heard = hook.prove(&runs, sent).inspect_err(|_| {
        server.tally.unproven.fetch_add(1, Ordering::Relaxed);
    })?;
    let (id, body, matters, answer) = match heard {
        Heard::Keep { id, body, matters, answer } => (id, body, matters, answer),
        Heard::Answer(answer) => return Ok(answer),
    };
    if id.is_empty() || id.chars().count() > ID_CHARS_MAX {
        return Err(Problem::new(400, format!("what is sent is called by 1 to {ID_CHARS_MAX} letters")));
    }
    let received = Received { source: hook.source(), id: &id, body: &body, matters };
    let new = runs.receive(&received).map_err(|error| {
        let problem = Problem::from(error);
        Problem { status: 503, ..problem }.after(1)
    })?;
    let count = if new { &server.tally.received } else { &server.tally.repeated };
    count.fetch_add(1, Ordering::Relaxed);
    Ok(answer)
}

/// Works through what was received, by this server or another of the store.
pub struct Deliveries;

impl Job for Deliveries {
    fn name(&self) -> &'static str {
        "deliveries"
    }

    fn run(&self, server: &Arc<Server>) {
        let crew =
            Crew { taker: uuid::Uuid::now_v7().to_string(), hands: AtomicUsize::new(0), trouble: Mutex::default() };
        let employs = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let keeper = scope.spawn(|| {
                while employs.load(Ordering::Relaxed) || crew.hands() > 0 {
                    if crew.hands() > 0
                        && let Ok(runs) = server.door()
                    {
                        runs.keep_deliveries(&crew.taker).ok();
                    }
                    std::thread::park_timeout(KEEP_EVERY);
                }
            });
            employ(server, &crew, |work| {
                let builder = std::thread::Builder::new().name("delivery".into()).stack_size(STACK_BYTES);
                builder.spawn_scoped(scope, work).is_ok()
            });
            employs.store(false, Ordering::Relaxed);
            keeper.thread().unpark();
        });
    }
}

/// Those who work through deliveries for one server: as many as there is work for, and nobody while there is none.
struct Crew {
    /// Under which name they take up.
    taker: String,
    hands: AtomicUsize,
    /// Why one of them has stopped.
    trouble: Mutex<Option<String>>,
}

impl Crew {
    fn hands(&self) -> usize {
        self.hands.load(Ordering::SeqCst)
    }
}

/// One of a crew, until it is dropped.
struct Hand<'c>(&'c Crew);

impl<'c> Hand<'c> {
    fn of(crew: &'c Crew) -> Hand<'c> {
        crew.hands.fetch_add(1, Ordering::SeqCst);
        Hand(crew)
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        self.0.hands.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sees to it that there are hands for what is due, until the server leaves. Each works until nothing is left.
fn employ<'s>(server: &'s Arc<Server>, crew: &'s Crew, spawn: impl Fn(Box<dyn FnOnce() + Send + 's>) -> bool) {
    let mut seen = 0;
    let mut said: Option<Instant> = None;
    loop {
        let trouble = crew.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        let due = match trouble {
            Some(why) => Err(why),
            None => server.journal().due_deliveries(WORKERS_MAX).map_err(|error| error.message),
        };
        match due {
            Ok(due) => {
                for _ in 0..due.min(WORKERS_MAX.saturating_sub(crew.hands())) {
                    let hand = Hand::of(crew);
                    // Without a thread it is tried again at the next look.
                    spawn(Box::new(move || work_through(server, &hand)));
                }
            }
            Err(why) => {
                // Said once a minute at most: it stays wrong until somebody puts it right.
                if said.is_none_or(|said| said.elapsed() >= AGAIN_AFTER_MAX) {
                    said = Some(Instant::now());
                    tracing::warn!(%why, "deliveries can't be worked through");
                }
                std::thread::sleep(AGAIN_AFTER);
            }
        }
        if !server.beat.wait(&mut seen, LOOK_EVERY) {
            return;
        }
    }
}

fn work_through(server: &Arc<Server>, hand: &Hand<'_>) {
    while !server.is_leaving() {
        match next(server, &hand.0.taker) {
            Ok(Some((runs, delivery))) => one(server, &runs, &delivery, hook_of(&delivery.source)),
            Ok(None) => return,
            Err(why) => {
                *hand.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                return;
            }
        }
    }
}

fn next(server: &Server, taker: &str) -> Result<Option<(Arc<Runs>, Delivery)>, String> {
    if server.journal().due_deliveries(1).map_err(|error| error.message)? == 0 {
        return Ok(None);
    }
    let runs = server.door().map_err(|problem| problem.message)?;
    let delivery = runs.take_up_delivery(taker).map_err(|error| error.message)?;
    Ok(delivery.map(|delivery| (runs, delivery)))
}

fn one(server: &Arc<Server>, runs: &Arc<Runs>, delivery: &Delivery, hook: Option<&dyn Hook>) {
    let Some(hook) = hook else {
        // A later rerail may know it.
        runs.put_back_delivery(delivery, AGAIN_AFTER_MAX, Turn::Keeps).ok();
        return;
    };
    let done = catch_unwind(AssertUnwindSafe(|| hook.work(server, runs, delivery)));
    let done = done.unwrap_or_else(|_| Err(RunsError::new(ErrorKind::Internal, "a panic; this is a bug")));
    let settled = match done {
        Ok(came_to) => runs.settle_delivery(delivery, &came_to),
        Err(error) if is_worth_another_try(&error, delivery.tries) => {
            let turn = if delivery.tries < WAITED_FOR_TRIES { Turn::Keeps } else { Turn::Loses };
            runs.put_back_delivery(delivery, wait_after(delivery.tries), turn)
        }
        Err(error) => {
            tracing::warn!(source = %delivery.source, id = %delivery.id, %error, "a delivery came to nothing");
            runs.settle_delivery(delivery, &format!("came to nothing: {}", error.message))
        }
    };
    if let Err(error) = settled {
        tracing::warn!(%error, "what came of a delivery can't be recorded: it is worked through again");
    }
}

/// How long after this many tries the next one is made.
fn wait_after(tries: u32) -> Duration {
    AGAIN_AFTER.saturating_mul(1 << tries.min(16).saturating_sub(1)).min(AGAIN_AFTER_MAX)
}

fn is_worth_another_try(error: &RunsError, tries: u32) -> bool {
    match error.kind {
        ErrorKind::Busy | ErrorKind::Interrupted(_) | ErrorKind::Full => true,
        ErrorKind::Storage | ErrorKind::Internal => tries < BROKEN_TRIES_MAX,
        ErrorKind::Usage | ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::NotAllowed => false,
        ErrorKind::Stale | ErrorKind::Damaged => false,
    }
}

fn hook_of(source: &str) -> Option<&'static dyn Hook> {
    hooks().find(|hook| hook.source() == source)
}

fn hooks() -> impl Iterator<Item = &'static dyn Hook> {
    TABLE.iter().filter_map(|route| match route.does {
        Does::Hear(hook) => Some(hook),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use serde_json::json;

    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;
    use crate::surfaces::http::Hosts;

    /// Lets in who says `secret`; calls what was sent by its first letter, and makes of it what the rest says.
    #[derive(Default)]
    struct Letters {
        worked: AtomicU32,
    }

    impl Hook for Letters {
        fn source(&self) -> &'static str {
            "letters"
        }

        fn prove(&self, _: &Runs, sent: &Sent) -> Result<Heard, Problem> {
            if sent.header("x-proof") != Some("secret") {
                return Err(Problem::new(401, "nothing proves it"));
            }
            let body = String::from_utf8_lossy(&sent.body).into_owned();
            let answer = Answer::json(202, &json!({ "heard": true }));
            Ok(match body.is_empty() {
                true => Heard::Answer(answer),
                false => Heard::Keep {
                    id: body.chars().take(1).collect(),
                    matters: BTreeSet::from(["letters".to_owned()]),
                    body,
                    answer,
                },
            })
        }

        fn work(&self, _: &Arc<Server>, _: &Arc<Runs>, delivery: &Delivery) -> Result<String, RunsError> {
            self.worked.fetch_add(1, Ordering::SeqCst);
            match &delivery.body[1..] {
                "busy" => Err(RunsError::new(ErrorKind::Busy, "later")),
                "broken" => Err(RunsError::new(ErrorKind::Internal, "broken")),
                "panic" => panic!("on purpose"),
                "wrong" => Err(RunsError::new(ErrorKind::Usage, "wrong")),
                _ => Ok("done".to_owned()),
            }
        }
    }

    struct Fixture {
        _dir: tempfile::TempDir,
        server: Arc<Server>,
        runs: Arc<Runs>,
        hook: Letters,
    }

    impl Fixture {
        fn new() -> Fixture {
            let dir = tempfile::tempdir().unwrap();
            let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
            runs.counts().unwrap();
            let server = Server::new(runs, Hosts::new(&[]), None);
            let runs = server.door().ok().unwrap();
            Fixture { _dir: dir, server, runs, hook: Letters::default() }
        }

        fn hear(&self, proofs: &[&str], body: &str) -> Result<u16, u16> {
            let mut headers = HeaderMap::new();
            for proof in proofs {
                headers.append("x-proof", proof.parse().unwrap());
            }
            let sent = Sent { headers, subject: None, query: None, body: body.into(), at: Timestamp::now() };
            let heard = hear(&self.server, &self.hook, &sent);
            heard.map(|answer| answer.status).map_err(|problem| problem.status)
        }

        /// Works through one delivery if there is one, and says whether it is still open.
        fn work(&self) -> Option<bool> {
            let delivery = self.runs.take_up_delivery("test").unwrap()?;
            one(&self.server, &self.runs, &delivery, Some(&self.hook));
            Some(self.runs.open_deliveries().unwrap() > 0)
        }
    }

    #[test]
    fn later_ones_wait_for_a_busy_one_for_a_minute() {
        let waits: Duration = (1..WAITED_FOR_TRIES).map(wait_after).sum();
        assert!((60..90).contains(&waits.as_secs()), "{waits:?}");
        assert_eq!((wait_after(1), wait_after(u32::MAX)), (AGAIN_AFTER, AGAIN_AFTER_MAX));
    }

    #[test]
    fn what_is_sent_again_is_answered_alike_and_worked_through_once() {
        let fixture = Fixture::new();
        assert_eq!(fixture.hear(&["secret"], "1"), Ok(202));
        assert_eq!(fixture.hear(&["secret"], "1 in other words"), Ok(202));
        assert_eq!(fixture.work(), Some(false));
        assert_eq!(fixture.hear(&["secret"], "1"), Ok(202), "also after it was worked through");
        assert_eq!(fixture.work(), None);
        assert_eq!(fixture.hook.worked.load(Ordering::SeqCst), 1);
        let tally = &fixture.server.tally;
        let counts = [&tally.received, &tally.repeated, &tally.unproven].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [1, 2, 0]);
    }

    #[test]
    fn nothing_is_kept_of_what_nothing_proves_and_of_a_knock() {
        let fixture = Fixture::new();
        for proofs in [&[][..], &["wrong"], &["secret", "secret"]] {
            assert_eq!(fixture.hear(proofs, "1"), Err(401), "{proofs:?}");
        }
        assert_eq!(fixture.hear(&["secret"], ""), Ok(202));
        assert_eq!(fixture.runs.open_deliveries().unwrap(), 0);
        assert_eq!(fixture.server.tally.unproven.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_is_busy_waits_and_what_is_wrong_or_breaks_again_and_again_is_left() {
        for (body, open) in [("1busy", true), ("1broken", true), ("1panic", true), ("1wrong", false), ("1", false)] {
            let fixture = Fixture::new();
            fixture.hear(&["secret"], body).unwrap();
            assert_eq!(fixture.work(), Some(open), "{body}");
            assert_eq!(fixture.work(), None, "{body}: not at once");
        }
        let error = |kind| RunsError::new(kind, "");
        assert!(is_worth_another_try(&error(ErrorKind::Busy), 1000));
        assert!(is_worth_another_try(&error(ErrorKind::Internal), 4));
        assert!(!is_worth_another_try(&error(ErrorKind::Internal), 5));
    }

    #[test]
    fn a_source_that_this_rerail_does_not_know_waits_for_one_that_does() {
        let fixture = Fixture::new();
        fixture.hear(&["secret"], "1").unwrap();
        let delivery = fixture.runs.take_up_delivery("test").unwrap().unwrap();
        one(&fixture.server, &fixture.runs, &delivery, None);
        assert_eq!(fixture.runs.open_deliveries().unwrap(), 1);
    }

    #[test]
    fn what_was_kept_for_one_hook_is_no_others() {
        let all: Vec<&str> = hooks().map(Hook::source).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
