//! `kill -9` at every boundary of a run, and at random moments: it resumes to the same end, nothing
//! acknowledged is lost, and no write is sent twice unless somebody decided so.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use rerail::engine::event::{Body, Decision, Event};
use rerail::engine::facts::{Facts, RunState};
use rerail::runbook::spec::Effect;
use serde_json::{Value as Json, json};

use super::kit::{Ledger, Living, Place, Said, answer, from_env};

/// Reads, writes of each kind of repeat, a poll, a script with a write, an action's worth of everything.
const WORK: &str = "
inputs: { base: { type: url } }
steps:
  - id: look
    uses: http.probe
    with: { url: '${{ inputs.base }}/look' }
  - id: first
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: first }
  - id: keyed
    uses: http.request
    with:
      method: POST
      url: '${{ inputs.base }}/'
      text: keyed
      idempotency: { header: Idempotency-Key, window: 24h }
  - id: healthy
    uses: http.probe
    with: { url: '${{ inputs.base }}/health' }
    until: result.ok
    in_a_row: 2
    every: 10ms
    within: 1m
  - id: mend
    script: |
      let seen = http::probe(#{ url: `${inputs.base}/look` });
      let sent = http::request(#{ method: \"POST\", url: `${inputs.base}/`, text: \"scripted\" });
      #{ status: seen.status, id: sent.json.id }
  - id: last
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: last }
finally:
  - id: bye
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: bye }
outputs:
  status: '${{ steps.mend.outputs.status }}'
  ids: >-
    ${{ [steps.first.outputs.json.id, steps.keyed.outputs.json.id, steps.mend.outputs.id,
    steps.last.outputs.json.id] }}
";

/// The writes: where they stand, and the body the server knows them by.
const WRITES: [(&str, &str); 5] = [
    ("first", "first"),
    ("keyed", "keyed"),
    ("mend/http.request#1", "scripted"),
    ("last", "last"),
    ("finally/bye", "bye"),
];

/// The one write that may be sent again without asking, because the server knows its key.
const KEYED: &str = "keyed";

fn body_of(step: &str) -> &'static str {
    WRITES.iter().find(|(path, _)| *path == step).unwrap_or_else(|| panic!("{step} is no write")).1
}

fn world() -> (Place, Ledger) {
    let ledger = Ledger::serve(|request, stream| answer(stream, &json!({ "id": request.body })));
    (Place::new().runbook("work", WORK), ledger)
}

fn run_args<'a>(input: &'a str, form: &'a str) -> [&'a str; 7] {
    ["run", "work", "-i", input, "--yes", "-o", form]
}

/// The end all others are compared with.
fn uninterrupted() -> (Json, Duration) {
    let (place, ledger) = world();
    let began = Instant::now();
    place.ask(&run_args(&format!("base={}", ledger.url), "human")).exits(0);
    let took = began.elapsed();
    let end = place.end_of("@last");
    assert_eq!(end["outputs"], json!({ "status": 200, "ids": ["first", "keyed", "scripted", "last"] }));
    assert_eq!(ledger.writes().len(), WRITES.len());
    (end, took)
}

/// A write that has begun, with no end in the journal.
fn open_writes(facts: &Facts) -> Vec<String> {
    let is_open = |path: &str| {
        let record = facts.step(&rerail::engine::ids::StepPath::new(path));
        record.is_some_and(|record| record.started.is_some() && record.finished.is_none())
    };
    WRITES.iter().map(|(path, _)| *path).filter(|path| is_open(path)).map(str::to_owned).collect()
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

/// All that was printed and may be relied on is in the journal, byte for byte.
fn assert_nothing_shown_is_lost(place: &Place, said: &Said, when: &str) {
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

/// Every write is in the ledger once, and once more for each decision to send it again.
fn assert_no_write_repeated(place: &Place, ledger: &Ledger, when: &str) {
    let events = place.events();
    for (path, body) in WRITES {
        let again = |event: &&Event| {
            matches!(&event.body, Body::OutcomeSet { step, decision: Decision::NotDone | Decision::Retry, .. }
                if step.as_str() == path)
        };
        let decided = events.iter().filter(again).count();
        if path == KEYED {
            let sent: Vec<_> = ledger.writes().into_iter().filter(|request| request.body == body).collect();
            assert!(sent.windows(2).all(|two| two[0] == two[1]), "{when}: not the same bytes again: {sent:?}");
            assert!(sent.iter().all(|request| request.header("idempotency-key").is_some()), "{when}");
            assert!(decided == 0, "{when}: a person was asked about a write the server knows by its key");
        } else {
            let times = ledger.times(body);
            assert!(times <= 1 + decided, "{when}: `{path}` was sent {times} times, decided {decided} times");
        }
    }
}

/// Takes a run up again and again, deciding as somebody who can look at the server's ledger, until it ends.
///
/// `command` may arm a crash; what is decided is decided at once, as the printed commands do it.
fn resume_to_the_end(place: &Place, ledger: &Ledger, when: &str, mut drive: impl FnMut(Command) -> Said) {
    let mut decisions: Vec<String> = Vec::new();
    for _ in 0..200 {
        let open = match place.events() {
            events if events.is_empty() => return,
            events => {
                let facts = Facts::fold(&events).unwrap();
                if let (RunState::Ended(_), true) = (facts.state(), decisions.is_empty()) {
                    return;
                }
                open_writes(&facts)
            }
        };
        let mut args = vec!["resume", "@last", "-o", "jsonl"];
        args.extend(decisions.iter().map(String::as_str));
        if !decisions.is_empty() {
            args.extend(["--reason", "looked at the ledger"]);
        }
        let said = drive(place.rerail(&args));
        ledger.settle();
        assert_nothing_shown_is_lost(place, &said, when);
        assert_no_write_repeated(place, ledger, when);
        decisions.clear();
        let facts = place.facts();
        let doubts: Vec<String> = facts.doubts().map(|(path, _)| path.to_string()).collect();
        if said.code() == Some(16) {
            assert!(!doubts.is_empty(), "{when}");
            // What was under way when it died and isn't known to the server by a key: that and nothing else.
            for doubt in &doubts {
                assert!(doubt != KEYED, "{when}: asked about a write with a key");
                assert!(
                    open.contains(doubt) || facts.step(&doubt.as_str().into()).is_some(),
                    "{when}: {doubt} in doubt, {open:?} were open"
                );
            }
        } else {
            assert!(said.was_killed() || said.code() == Some(0), "{when}: {said:?}");
        }
        if doubts.is_empty() {
            continue;
        }
        let shown = place.ask(&["show", "@last"]).exits(0);
        for doubt in doubts {
            let body = body_of(&doubt);
            decisions.push("--set-outcome".to_owned());
            if ledger.times(body) > 0 {
                decisions.push(format!("{doubt}=done"));
                decisions.push("--set-output".to_owned());
                decisions.push(format!("json={}", json!({ "id": body })));
            } else {
                decisions.push(format!("{doubt}=not-done"));
            }
            assert!(shown.stdout.contains(&doubt) && shown.stdout.contains("--set-outcome"), "{when}: {shown:?}");
        }
    }
    panic!("{when}: no end after 200 resumes");
}

fn plainly(mut command: Command) -> Said {
    Said::of(&["resume"], command.output().unwrap())
}

#[test]
fn killed_at_every_boundary_it_resumes_to_the_same_end() {
    let (expected, _) = uninterrupted();
    let (mut points, mut doubts, mut repeats) = (BTreeMap::<String, usize>::new(), 0, 0);
    for k in 1u64.. {
        let (place, ledger) = world();
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
            break;
        }
        *points.entry(point).or_default() += 1;
        assert_nothing_shown_is_lost(&place, &said, &when);
        ledger.settle();
        let events = place.events();
        if events.is_empty() {
            assert!(ledger.writes().is_empty(), "{when}: a write left before anything was recorded");
            place.ask(&run_args(&input, "jsonl")).exits(0);
        } else {
            // In doubt exactly if the server may have seen it: begun, not ended, and no key to ask with.
            let facts = Facts::fold(&events).unwrap();
            let open = open_writes(&facts);
            let sent: Vec<&str> =
                WRITES.iter().filter(|(_, body)| ledger.times(body) > 0).map(|(path, _)| *path).collect();
            let ended = |path: &str| facts.step(&path.into()).is_some_and(|record| record.finished.is_some());
            for path in &sent {
                assert!(ended(path) || open.iter().any(|open| open == path), "{when}: `{path}` was sent unrecorded");
            }
            let asks = open.iter().any(|path| path != KEYED);
            let over = matches!(facts.state(), RunState::Ended(_));
            let mut first = true;
            resume_to_the_end(&place, &ledger, &when, |command| {
                let said = plainly(command);
                if std::mem::take(&mut first) {
                    assert_eq!(said.code(), Some(if asks { 16 } else { 0 }), "{when}: open {open:?}, {said:?}");
                }
                said
            });
            assert!(first == over, "{when}");
            doubts += usize::from(asks);
        }
        repeats += ledger.times("keyed") - 1;
        assert_eq!(place.end_of("@last"), expected, "{when}");
        assert_no_write_repeated(&place, &ledger, &when);
        for (path, body) in WRITES {
            assert!(ledger.times(body) >= 1, "{when}: `{path}` never happened");
        }
        place.assert_journal_is_whole(&when);
    }
    println!("{points:?}; {doubts} in doubt, {repeats} sent again with the same key");
    for point in [
        "journal.append.before",
        "journal.append.queued",
        "journal.commit.before",
        "journal.commit.after",
        "http.before_connect",
        "http.connected",
        "http.last_byte",
        "http.answered",
        "driver.outcome",
    ] {
        assert!(points.contains_key(point), "{point} was never died at: {points:?}");
    }
    assert!(doubts >= 16, "a write is in doubt from its connection to its outcome's commit: {doubts}");
    assert!(repeats >= 1, "the write with a key was never sent again");
}

#[test]
fn killed_at_random_again_and_again_it_resumes_to_the_same_end() {
    let (expected, took) = uninterrupted();
    let rounds = from_env("RERAIL_KILLS", 12);
    let seed = from_env("RERAIL_SEED", u64::from(std::process::id()) << 32 | u64::from(rand_of_the_clock()));
    println!("RERAIL_SEED={seed} RERAIL_KILLS={rounds}");
    let mut random = Random(seed | 1);
    let longest = u64::try_from(took.as_micros()).unwrap() * 5 / 4;
    let mut kills = 0;
    let mut runs = 0;
    while kills < rounds {
        let (place, ledger) = world();
        let input = format!("base={}", ledger.url);
        runs += 1;
        let when = format!("run {runs} of RERAIL_SEED={seed}");
        let killed = |command: Command, kills: &mut u64, random: &mut Random| {
            let after = Duration::from_micros(random.next() % longest);
            let said = Living::spawn("a run to be killed", command).killed_after(after);
            *kills += u64::from(said.was_killed());
            said
        };
        // Killed before anything is recorded, it is simply started again.
        while place.events().is_empty() {
            assert!(ledger.writes().is_empty(), "{when}: a write left before anything was recorded");
            let said = killed(place.rerail(&run_args(&input, "jsonl")), &mut kills, &mut random);
            assert_nothing_shown_is_lost(&place, &said, &when);
            ledger.settle();
        }
        resume_to_the_end(&place, &ledger, &when, |command| killed(command, &mut kills, &mut random));
        assert_eq!(place.end_of("@last"), expected, "{when}");
        assert_no_write_repeated(&place, &ledger, &when);
        place.assert_journal_is_whole(&when);
    }
    println!("{kills} kills in {runs} runs");
}

/// Something else each time, where no seed is given.
fn rand_of_the_clock() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos()
}

/// xorshift: good enough to pick a moment.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
