//! Several processes that want to drive one run, stopped, woken, killed and raced at random moments: one of them
//! drives at a time, whatever the others had in mind when they were stopped.
//!
//! A stopped process keeps its lock, so the others wait for its lease; that time passes here by a word to the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rerail::engine::event::Body;
use rerail::engine::facts::RunState;
use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use serde_json::{Value as Json, json};

use super::killing::{Again, Random, Work, Write, assert_nothing_shown_is_lost, rand_of_the_clock, run_args};
use super::kit::{Ledger, Living, Place, Said, from_env, until};

/// Processes at a time: one that drives, one that was stopped, and two who want to.
const LIVING_MAX: usize = 4;
/// What a process that neither was killed nor drove the run to its end may say of itself: wrong usage (the run has
/// ended, or is decided already), in doubt, busy, or lost to another one.
const KNOWN: [i32; 5] = [0, 2, 16, 18, 19];

/// A write of each kind, some side by side, and one that cleans up. Only one such run at a time.
const WORK: Work = Work {
    runbook: "
inputs: { base: { type: url } }
concurrency: { group: work }
steps:
  - { id: hello, uses: http.probe, with: { url: '${{ inputs.base }}/hello', timeout: 1m } }
  - { id: first, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: first } }
  - id: keyed
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: keyed, idempotency: { header: Idempotency-Key, window: 24h } }
  - id: each
    foreach: [one, two]
    max_parallel: 2
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: '${{ each.value }}' }
  - id: settled
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: settled }
    settle:
      steps:
        - { id: now, uses: http.probe, with: { url: '${{ inputs.base }}/seen/settled' } }
      happened: steps.now.outputs.json.count > 0
      not_happened: steps.now.outputs.json.count == 0
outputs: { rounds: '${{ steps.each.outcomes }}' }
finally:
  - { id: bye, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: bye } }
",
    files: &[],
    writes: &[
        Write::new("first", "first"),
        Write { again: Again::Keyed, ..Write::new("keyed", "keyed") },
        Write::new("each[0]", "one"),
        Write::new("each[1]", "two"),
        Write { again: Again::Settled, ..Write::new("settled", "settled") },
        Write::new("finally/bye", "bye"),
    ],
    answered: None,
    outputs: || json!({ "rounds": ["done", "done"] }),
};

/// What the rounds have met: a test that meets nothing proves nothing.
#[derive(Debug, Default)]
struct Met {
    stopped: usize,
    killed: usize,
    /// Times another process took the run up.
    taken_up: usize,
    /// Processes that found out that they had lost it.
    lost: usize,
    /// Rounds in which a person was asked.
    doubts: usize,
    /// Writes that came in more than once, each with its reason.
    again: usize,
    codes: BTreeMap<String, usize>,
}

#[test]
fn stopped_killed_and_raced_at_random_nothing_is_sent_twice_and_every_run_ends() {
    let rounds = from_env("RERAIL_STALLS", 5);
    let seed = from_env("RERAIL_SEED", u64::from(std::process::id()) << 32 | u64::from(rand_of_the_clock()));
    println!("RERAIL_SEED={seed} RERAIL_STALLS={rounds}");
    let (expected, _) = WORK.uninterrupted();
    let mut random = Random(seed | 1);
    let mut met = Met::default();
    for number in 1..=rounds {
        Round::begin(&format!("round {number} of RERAIL_SEED={seed}"), &mut random).play(
            &expected,
            &mut random,
            &mut met,
        );
    }
    eprintln!("{met:?}");
    assert!(met.stopped > 0 && met.taken_up > 0, "{met:?}");
}

struct Round {
    when: String,
    place: Place,
    ledger: Ledger,
    running: Vec<Living>,
    stopped: Vec<Living>,
    over: Vec<Said>,
}

impl Round {
    /// Two processes begin the same at the same moment: one is in, the other one is told.
    fn begin(when: &str, random: &mut Random) -> Round {
        let (open, pace) = (Arc::new(AtomicBool::new(false)), random.next() % 8);
        let gate = Arc::clone(&open);
        // A slow server, and at its door nobody gets in before both have tried.
        let (place, ledger) = WORK.world_at(move || {
            until("the door opens", || gate.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(pace));
        });
        let mut round =
            Round { when: when.to_owned(), place, ledger, running: Vec::new(), stopped: Vec::new(), over: Vec::new() };
        let input = format!("base={}", round.ledger.url);
        let mut both = [(); 2].map(|()| Living::start(&round.place, &run_args(&input, "jsonl")));
        if random.next().is_multiple_of(4) {
            std::thread::sleep(Duration::from_micros(random.next() % 60_000));
            both[0].signal(Signal::KILL);
        }
        let [mut one, mut other] = both;
        until("one of them is told, or gone", || !one.is_alive() || !other.is_alive());
        round.running.extend([one, other]);
        open.store(true, Ordering::SeqCst);
        round.collect();
        round
    }

    /// Takes those that have ended out.
    fn collect(&mut self) {
        for mut living in std::mem::take(&mut self.running) {
            if living.is_alive() {
                self.running.push(living);
            } else {
                self.over.push(living.ends());
            }
        }
    }

    fn play(mut self, expected: &Json, random: &mut Random, met: &mut Met) {
        for _ in 0..4 + random.next() % 8 {
            std::thread::sleep(Duration::from_micros(random.next() % 25_000));
            self.collect();
            self.one_move(random, met);
        }
        for living in &mut self.stopped {
            living.signal(Signal::CONT);
        }
        self.running.append(&mut self.stopped);
        let last: Vec<Said> = self.running.drain(..).map(Living::ends).collect();
        self.over.extend(last);
        // Whoever took over from a stopped one had no lock for the kernel to drop.
        self.lease_runs_out();
        self.assert_all_holds(expected, met);
    }

    fn one_move(&mut self, random: &mut Random, met: &mut Met) {
        let pick =
            |random: &mut Random, of: &Vec<Living>| usize::try_from(random.next()).unwrap_or(0) % of.len().max(1);
        match random.next() % 8 {
            0..=2 if !self.running.is_empty() => {
                let at = pick(random, &self.running);
                let mut living = self.running.swap_remove(at);
                living.signal(Signal::STOP);
                self.stopped.push(living);
                met.stopped += 1;
                if !random.next().is_multiple_of(3) {
                    self.lease_runs_out();
                }
            }
            3 if !self.stopped.is_empty() => {
                let at = pick(random, &self.stopped);
                let mut living = self.stopped.swap_remove(at);
                living.signal(Signal::CONT);
                self.running.push(living);
            }
            4 if !self.running.is_empty() => {
                let at = pick(random, &self.running);
                self.running[at].signal(Signal::KILL);
                met.killed += 1;
            }
            5 if !self.stopped.is_empty() => {
                let at = pick(random, &self.stopped);
                let mut living = self.stopped.swap_remove(at);
                living.signal(Signal::KILL);
                self.running.push(living);
                met.killed += 1;
            }
            6 => self.joins(&["take", "@last", "--yes", "-o", "jsonl"]),
            _ => self.joins(&["resume", "@last", "-o", "jsonl"]),
        }
    }

    /// One more process that wants to drive.
    fn joins(&mut self, args: &[&str]) {
        if self.running.len() + self.stopped.len() < LIVING_MAX {
            self.running.push(Living::start(&self.place, args));
        }
    }

    /// Ten seconds pass for whoever is stopped. If it was stopped in the middle of a commit, nobody can say so.
    fn lease_runs_out(&self) {
        let file = self.place.state().join("journal.db");
        let Ok(db) = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE) else { return };
        db.busy_timeout(Duration::from_millis(20)).unwrap();
        db.execute("UPDATE leases SET expires = 0", []).ok();
    }

    fn assert_all_holds(self, expected: &Json, met: &mut Met) {
        let Round { when, place, ledger, over, .. } = self;
        ledger.settle();
        for said in &over {
            let code = said.code();
            let known = said.was_killed() || code.is_some_and(|code| KNOWN.contains(&code));
            assert!(known, "{when}: {said:?}");
            assert_nothing_shown_is_lost(&place, said, &when);
            let name = code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
            *met.codes.entry(name).or_default() += 1;
            met.lost += usize::from(code == Some(19));
        }
        if place.events().is_empty() {
            assert!(ledger.writes().is_empty(), "{when}: a write left before anything was recorded");
            place.ask(&run_args(&format!("base={}", ledger.url), "jsonl")).exits(0);
        }
        let mut asked = false;
        WORK.resume_to_the_end(&place, &ledger, &when, |mut command| {
            let said = Said::of(&["resume"], command.output().unwrap());
            asked |= said.code() == Some(16);
            said
        });
        assert_eq!(&place.end_of("@last"), expected, "{when}");
        assert!(matches!(place.facts().state(), RunState::Ended(_)), "{when}");
        assert_eq!(place.json(&["runs"]).as_array().unwrap().len(), 1, "{when}: one of two that began at once is in");
        WORK.assert_no_write_repeated(&place, &ledger, &when);
        for write in WORK.writes {
            assert!(ledger.times(write.body) >= 1, "{when}: `{}` never came in", write.path);
        }
        place.ask(&["verify"]).exits(0);
        place.assert_journal_is_whole(&when);
        let events = place.events();
        let fences: Vec<u64> = events
            .iter()
            .filter_map(|event| match &event.body {
                Body::RunResumed { fence, .. } => Some(*fence),
                _ => None,
            })
            .collect();
        let distinct: BTreeSet<u64> = fences.iter().copied().collect();
        assert!(fences.is_sorted() && distinct.len() == fences.len(), "{when}: two drove under one number: {fences:?}");
        met.taken_up += fences.len();
        met.doubts += usize::from(asked);
        met.again += WORK.writes.iter().map(|write| ledger.times(write.body) - 1).sum::<usize>();
    }
}
