//! Runs that are killed and taken up again, and what must hold of them whatever the moment: the same end, nothing
//! acknowledged lost, no write sent twice unless somebody decided so.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rerail::engine::event::{Body, Decision, Event, Verdict};
use rerail::engine::facts::{Facts, RunState};
use rerail::engine::ids::StepPath;
use rerail::runbook::spec::Effect;
use serde_json::{Value as Json, json};

use super::kit::{Ledger, Place, Said, answer};

/// Boundaries that are tried at a time: the processes wait for the disk more than they compute.
const AT_A_TIME: usize = 2;
/// Where the server is asked how often a write came in.
const SEEN: &str = "/seen/";
/// No run here is killed as often as that.
const RESUMES_MAX: usize = 200;

/// Who may send a write again that was under way when its process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Somebody who looked.
    Asked,
    /// Rerail, because the server knows its key.
    Keyed,
    /// Rerail, because a look says whether it happened.
    Settled,
}

/// What the server makes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    Accepts,
    /// `429` to the first request, with nothing done.
    DeclinesFirst,
    /// `422` to all, with nothing done.
    Declines,
}

/// A write of a run: where it stands, and the body the server knows it by.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub path: &'static str,
    pub body: &'static str,
    pub again: Again,
    pub answers: Answers,
}

impl Write {
    pub const fn new(path: &'static str, body: &'static str) -> Write {
        Write { path, body, again: Again::Asked, answers: Answers::Accepts }
    }

    /// Requests the server declines before it does anything.
    fn declined(&self) -> usize {
        match self.answers {
            Answers::Accepts => 0,
            Answers::DeclinesFirst => 1,
            Answers::Declines => usize::MAX,
        }
    }

    /// Whether the server did it: what somebody who looks there finds.
    fn happened(&self, ledger: &Ledger) -> bool {
        ledger.times(self.body) > self.declined()
    }

    /// How often it may be sent when nobody decides anything.
    fn sends(&self) -> usize {
        1 + usize::from(self.answers == Answers::DeclinesFirst)
    }
}

/// A runbook with the writes it makes.
pub struct Work {
    pub runbook: &'static str,
    /// Further files of the project.
    pub files: &'static [(&'static str, &'static str)],
    pub writes: &'static [Write],
    /// The outputs of a write, where later steps need them.
    pub answered: Option<fn(&Write) -> Json>,
    /// Outputs of the run.
    pub outputs: fn() -> Json,
}

/// What was met on the way through all boundaries.
#[derive(Debug, Default)]
pub struct Met {
    /// Deaths by the name of the crash point.
    pub points: BTreeMap<String, usize>,
    /// Deaths after which a person was asked.
    pub doubts: usize,
    /// Requests beyond the first of writes that may be sent again unasked.
    pub repeats: usize,
}

impl Work {
    pub fn world(&self) -> (Place, Ledger) {
        self.world_at(|| ())
    }

    /// The same with a server that does `first` before each answer.
    pub fn world_at(&self, first: impl Fn() + Send + Sync + 'static) -> (Place, Ledger) {
        let place = self.files.iter().fold(Place::new(), |place, (path, text)| place.file(path, text));
        (place.runbook("work", self.runbook), serve(self.writes, first))
    }

    fn write(&self, step: &str) -> &'static Write {
        self.writes.iter().find(|write| write.path == step).unwrap_or_else(|| panic!("{step} is no write"))
    }

    /// The end all others are compared with.
    pub fn uninterrupted(&self) -> (Json, Duration) {
        let (place, ledger) = self.world();
        let began = Instant::now();
        place.ask(&run_args(&format!("base={}", ledger.url), "human")).exits(0);
        let took = began.elapsed();
        let end = place.end_of("@last");
        assert_eq!(end["outputs"], (self.outputs)());
        for write in self.writes {
            assert_eq!(ledger.times(write.body), write.sends(), "{write:?}");
        }
        (end, took)
    }

    /// Kills a run at each boundary it passes, one run a boundary, and takes each up again.
    pub fn killed_at_every_boundary(&self) -> Met {
        let (expected, _) = self.uninterrupted();
        let (next, over) = (AtomicU64::new(1), AtomicBool::new(false));
        let met = Mutex::new(Met::default());
        std::thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let k = next.fetch_add(1, Ordering::SeqCst);
                        if !self.killed_at(k, &expected, &met) {
                            over.store(true, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        met.into_inner().unwrap()
    }

    /// Whether the run passed as many boundaries.
    fn killed_at(&self, k: u64, expected: &Json, met: &Mutex<Met>) -> bool {
        let (place, ledger) = self.world();
        let log = place.beside("points");
        let input = format!("base={}", ledger.url);
        let mut command = place.rerail(&run_args(&input, "jsonl"));
        command.env("RERAIL_CRASH_AT", k.to_string()).env("RERAIL_CRASH_LOG", &log);
        let said = Said::of(&["run"], command.output().unwrap());
        let passed = std::fs::read_to_string(&log).unwrap();
        let point = passed.lines().last().unwrap_or_default().to_owned();
        let when = format!("killed at point {k}, {point}");
        if !said.was_killed() {
            assert_eq!(said.code(), Some(0), "{when}: {said:?}");
            return false;
        }
        assert_nothing_shown_is_lost(&place, &said, &when);
        ledger.settle();
        let events = place.events();
        let mut asked = false;
        if events.is_empty() {
            assert!(ledger.writes().is_empty(), "{when}: a write left before anything was recorded");
            place.ask(&run_args(&input, "jsonl")).exits(0);
        } else {
            // In doubt exactly if the server may have seen it: begun, not ended, and nothing to find out by.
            let facts = Facts::fold(&events).unwrap();
            let open = self.open(&facts);
            for write in self.writes.iter().filter(|write| ledger.times(write.body) > 0) {
                let recorded = facts.step(&write.path.into()).is_some_and(|record| record.started.is_some());
                assert!(recorded, "{when}: `{}` was sent unrecorded", write.path);
            }
            asked = open.iter().any(|write| write.again == Again::Asked);
            let over = matches!(facts.state(), RunState::Ended(_));
            let mut first = true;
            self.resume_to_the_end(&place, &ledger, &when, |mut command| {
                let said = Said::of(&["resume"], command.output().unwrap());
                if std::mem::take(&mut first) {
                    assert_eq!(said.code(), Some(if asked { 16 } else { 0 }), "{when}: open {open:?}, {said:?}");
                    let doubts: Vec<String> = place.facts().doubts().map(|(path, _)| path.to_string()).collect();
                    let mut expected: Vec<&str> =
                        open.iter().filter(|write| write.again == Again::Asked).map(|write| write.path).collect();
                    expected.sort_unstable();
                    assert_eq!(doubts, expected, "{when}: what is asked about is what may have happened");
                }
                said
            });
            assert!(first == over, "{when}");
        }
        assert_eq!(&place.end_of("@last"), expected, "{when}");
        self.assert_no_write_repeated(&place, &ledger, &when);
        for write in self.writes {
            assert!(ledger.times(write.body) >= 1, "{when}: `{}` never happened", write.path);
            assert!(write.happened(&ledger) == (write.answers != Answers::Declines), "{when}: {write:?}");
        }
        place.assert_journal_is_whole(&when);
        let unasked = self.writes.iter().filter(|write| write.again != Again::Asked);
        let mut met = met.lock().unwrap();
        *met.points.entry(point).or_default() += 1;
        met.doubts += usize::from(asked);
        met.repeats += unasked.map(|write| ledger.times(write.body) - 1).sum::<usize>();
        true
    }

    /// Writes that have begun, with no end in the journal.
    fn open(&self, facts: &Facts) -> Vec<&'static Write> {
        let is_open = |write: &&Write| {
            let record = facts.step(&StepPath::new(write.path));
            record.is_some_and(|record| record.started.is_some() && record.finished.is_none())
        };
        self.writes.iter().filter(is_open).collect()
    }

    /// Every write is in the ledger once, and once more for each decision to send it again.
    pub fn assert_no_write_repeated(&self, place: &Place, ledger: &Ledger, when: &str) {
        let events = place.events();
        for write in self.writes {
            let Write { path, body, again, .. } = *write;
            let is_decision = |event: &&Event| {
                match &event.body {
                    Body::OutcomeSet { step, decision: Decision::NotDone | Decision::Retry, .. } => {
                        step.as_str() == path
                    }
                    // A look that found nothing decides as well.
                    Body::StepSettled { step, verdict: Verdict::NotHappened, .. } => step.as_str() == path,
                    _ => false,
                }
            };
            let decided = events.iter().filter(is_decision).count();
            let asked = events
                .iter()
                .filter(|event| matches!(&event.body, Body::OutcomeSet { step, .. } if step.as_str() == path));
            let sent: Vec<_> = ledger.writes().into_iter().filter(|request| request.body == body).collect();
            if again != Again::Asked {
                assert!(asked.count() == 0, "{when}: a person was asked about `{path}`, which can be found out");
            }
            if again == Again::Keyed {
                assert!(sent.windows(2).all(|two| two[0] == two[1]), "{when}: not the same bytes again: {sent:?}");
                assert!(sent.iter().all(|request| request.header("idempotency-key").is_some()), "{when}");
            } else {
                let (times, most) = (sent.len(), write.sends() + decided);
                assert!(times <= most, "{when}: `{path}` was sent {times} times, decided {decided} times");
            }
        }
    }

    /// Takes a run up again and again, deciding as somebody who can look at the server's ledger, until it ends.
    ///
    /// `drive` may arm a crash; what is decided is decided at once, as the printed commands do it.
    pub fn resume_to_the_end(
        &self,
        place: &Place,
        ledger: &Ledger,
        when: &str,
        mut drive: impl FnMut(Command) -> Said,
    ) {
        let mut decisions: Vec<String> = Vec::new();
        for _ in 0..RESUMES_MAX {
            let events = place.events();
            if events.is_empty() {
                return;
            }
            let facts = Facts::fold(&events).unwrap();
            if let (RunState::Ended(_), true) = (facts.state(), decisions.is_empty()) {
                return;
            }
            let mut args = vec!["resume", "@last", "-o", "jsonl"];
            args.extend(decisions.iter().map(String::as_str));
            if !decisions.is_empty() {
                args.extend(["--reason", "looked at the ledger"]);
            }
            let said = drive(place.rerail(&args));
            ledger.settle();
            assert_nothing_shown_is_lost(place, &said, when);
            self.assert_no_write_repeated(place, ledger, when);
            let facts = place.facts();
            let doubts: Vec<&Write> = facts.doubts().map(|(path, _)| self.write(path.as_str())).collect();
            if said.code() == Some(16) {
                assert!(!doubts.is_empty(), "{when}");
            } else {
                assert!(said.was_killed() || said.code() == Some(0), "{when}: {said:?}");
            }
            // A kill may come between the doubt and its settling; nobody has to decide that.
            let doubts: Vec<&Write> = doubts.into_iter().filter(|write| write.again == Again::Asked).collect();
            decisions.clear();
            if doubts.is_empty() {
                continue;
            }
            let shown = place.ask(&["show", "@last"]).exits(0);
            for write in doubts {
                assert!(
                    shown.stdout.contains(write.path) && shown.stdout.contains("--set-outcome"),
                    "{when}: {shown:?}"
                );
                let word = if write.happened(ledger) { "done" } else { "not-done" };
                decisions.extend(["--set-outcome".to_owned(), format!("{}={word}", write.path)]);
                if let (Some(outputs), "done") = (self.answered, word) {
                    decisions.extend(["--set-output".to_owned(), format!("json={}", outputs(write))]);
                }
            }
        }
        panic!("{when}: no end after {RESUMES_MAX} resumes");
    }
}

/// All that was printed and may be relied on is in the journal, byte for byte.
pub fn assert_nothing_shown_is_lost(place: &Place, said: &Said, when: &str) {
    let stored: BTreeMap<u64, String> =
        place.events().iter().map(|event| (event.seq, serde_json::to_string(event).unwrap())).collect();
    let mut shown = Facts::default();
    // The last line may have been cut by the kill.
    let whole = said.stdout.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let event: Event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{when}: {error}: {line}"));
        if event.seq < shown.next_seq {
            continue;
        }
        // After a resume only what is new is shown.
        if event.seq > shown.next_seq {
            shown = Facts::fold(&place.events()[..usize::try_from(event.seq).unwrap()]).unwrap();
        }
        shown.apply(&event).unwrap();
        if is_acknowledged(&event, &shown) {
            let expected = serde_json::to_string(&event).unwrap();
            assert_eq!(stored.get(&event.seq), Some(&expected), "{when}: shown, but not in the journal");
        }
    }
}

/// Whether somebody may rely on an event once it was shown: all but reads, which a crash only repeats.
fn is_acknowledged(event: &Event, facts: &Facts) -> bool {
    match &event.body {
        Body::RunFinished { .. } | Body::OutcomeSet { .. } | Body::RunCancelled { .. } => true,
        Body::StepStarted(started) => started.effect >= Effect::Write && started.key.is_some(),
        Body::StepFinished(finished) => facts
            .step(&finished.step)
            .and_then(|record| record.started.as_ref())
            .is_some_and(|started| started.intent.effect >= Effect::Write),
        _ => false,
    }
}

/// A server that does what the writes say of it, and tells how often each came in.
fn serve(writes: &'static [Write], first: impl Fn() + Send + Sync + 'static) -> Ledger {
    let seen: Vec<AtomicUsize> = writes.iter().map(|_| AtomicUsize::new(0)).collect();
    Ledger::serve(move |request, stream| {
        first();
        let at = |body: &str| writes.iter().position(|write| write.body == body);
        if let Some(index) = request.path.strip_prefix(SEEN).and_then(at) {
            return answer(stream, &json!({ "count": seen[index].load(Ordering::SeqCst) }));
        }
        let earlier = at(&request.body)
            .filter(|_| request.is_write())
            .map_or((Answers::Accepts, 0), |index| (writes[index].answers, seen[index].fetch_add(1, Ordering::SeqCst)));
        let status = match earlier {
            (Answers::DeclinesFirst, 0) => "429 Too Many Requests",
            (Answers::Declines, _) => "422 Unprocessable",
            (Answers::Accepts | Answers::DeclinesFirst, _) => return answer(stream, &json!({ "id": request.body })),
        };
        // Whether anybody is still there to read it is not the server's business.
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok();
    })
}

pub fn run_args<'a>(input: &'a str, form: &'a str) -> [&'a str; 7] {
    ["run", "work", "-i", input, "--yes", "-o", form]
}

/// Something else each time, where no seed is given.
pub fn rand_of_the_clock() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos()
}

/// xorshift: good enough to pick a moment.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
