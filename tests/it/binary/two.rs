//! Two processes on one store, and the signals a person sends to one.

use rerail::engine::event::Body;
use rustix::process::Signal;
use serde_json::json;

use super::gate::Gate;
use super::kit::{Living, Place, Said, until};
use crate::pty::Pty;

/// A write, a held look, a held write, a last write; and `finally`.
const SLOW: &str = "
inputs: { base: { type: url } }
steps:
  - { id: first, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: first } }
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/held/look', timeout: 1m } }
  - { id: write, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/held/write', text: held, timeout: 1m } }
  - { id: last, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: last } }
finally:
  - { id: bye, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: bye } }
";

const QUICK: &str = "
inputs: { base: { type: url } }
steps:
  - { id: only, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: quick } }
";

/// A run that is held at its look, and one that is held at its write.
fn held_at(what: &str) -> (Place, Gate, Living) {
    let gate = Gate::serve();
    let place = Place::new().runbook("slow", SLOW).runbook("quick", QUICK);
    let living = Living::start(&place, &["run", "slow", "-i", &gate.input(), "--yes"]);
    if what == "write" {
        gate.opens("look");
    }
    gate.arrived(what);
    (place, gate, living)
}

fn holder_of(place: &Place) -> Said {
    place.ask(&["resume", "@last:slow"]).exits(18)
}

#[test]
fn one_drives_and_the_other_is_refused_and_told_who_drives() {
    let (place, gate, mut living) = held_at("look");
    let pid = living.pid().to_string();
    holder_of(&place).says(&[&pid, "rerail show", "rerail cancel"]);
    place.ask(&["resume", "@last", "--retry", "first", "--reason", "x"]).exits(18);
    // Looking is free.
    assert_eq!(place.json(&["show", "@last"])["status"], "running");
    assert!(living.is_alive());
    gate.opens("look");
    gate.opens("write");
    living.ends().exits(0);
    assert_eq!(["first", "held", "last", "bye"].map(|body| gate.ledger.times(body)), [1, 1, 1, 1]);
    place.assert_journal_is_whole("after two drivers");
}

#[test]
fn another_run_in_the_same_store_goes_on_at_the_same_time() {
    let (place, gate, mut living) = held_at("write");
    place.ask(&["run", "quick", "-i", &gate.input(), "--yes"]).exits(0);
    assert!(living.is_alive());
    gate.opens("write");
    living.ends().exits(0);
    assert_eq!(place.json(&["runs"]).as_array().unwrap().len(), 2);
    place.assert_journal_is_whole("after two runs at a time");
}

#[test]
fn many_begin_at_once_on_a_store_that_does_not_exist_yet() {
    let gate = Gate::serve();
    let place = Place::new().runbook("quick", QUICK);
    let living: Vec<Living> =
        (0..6).map(|_| Living::start(&place, &["run", "quick", "-i", &gate.input(), "--yes"])).collect();
    for one in living {
        one.ends().exits(0);
    }
    assert_eq!((gate.ledger.times("quick"), place.json(&["runs"]).as_array().unwrap().len()), (6, 6));
    place.assert_journal_is_whole("after six began at once");
}

#[test]
fn after_a_killed_driver_the_next_one_takes_over_at_once() {
    let (place, gate, mut living) = held_at("look");
    living.signal(Signal::KILL);
    assert!(living.ends().was_killed());
    gate.opens("look");
    gate.opens("write");
    place.ask(&["resume", "@last"]).exits(0);
    assert_eq!(["first", "held", "last", "bye"].map(|body| gate.ledger.times(body)), [1, 1, 1, 1]);
}

#[test]
fn a_note_from_another_process_is_taken_up_by_the_one_that_drives() {
    let (place, gate, mut living) = held_at("look");
    place.ask(&["note", "@last", "the database is fine"]).exits(0);
    let noted = || {
        let is_note = |body: &Body| matches!(body, Body::Note { text, .. } if text == "the database is fine");
        place.events().iter().any(|event| is_note(&event.body))
    };
    until("the note stands in the journal while the run goes on", noted);
    assert!(living.is_alive());
    gate.opens("look");
    gate.opens("write");
    living.ends().exits(0).says(&["the database is fine"]);
    // Nobody drives it now: another note is taken up right there.
    place.ask(&["note", "@last", "TODO: more replicas"]).exits(0);
    place.ask(&["export", "@last"]).exits(0).says(&["the database is fine", "more replicas"]);
    place.assert_journal_is_whole("after notes");
}

#[test]
fn a_cancel_from_another_process_stops_it_after_what_is_running() {
    let (place, gate, living) = held_at("write");
    place.ask(&["cancel", "@last", "--reason", "wrong service"]).exits(0).says(&["is asked to stop"]);
    until("it is taken up", || place.facts().cancelled.is_some());
    gate.opens("write");
    living.ends().exits(15);
    assert_eq!(["held", "last", "bye"].map(|body| gate.ledger.times(body)), [1, 0, 1]);
    assert_eq!(place.end_of("@last")["outcome"], "cancelled");
    place.ask(&["cancel", "@last"]).exits(2).says(&["has ended"]);
    place.ask(&["export", "@last"]).exits(0).says(&["wrong service"]);
}

#[test]
fn a_run_that_only_waits_hears_a_cancel_at_once() {
    for step in [
        "{ id: wait, uses: time.sleep, with: { duration: 1h } }",
        "{ id: wait, uses: http.probe, with: { url: '${{ inputs.base }}/' }, until: 'result.status == 418', every: 10m, within: 1h }",
    ] {
        let gate = Gate::serve();
        let body =
            format!("{QUICK}  - {step}\nfinally:\n  - {{ id: bye, uses: run.note, with: {{ text: bye now }} }}\n");
        let place = Place::new().runbook("wait", &body);
        let living = Living::start(&place, &["run", "wait", "-i", &gate.input(), "--yes"]);
        until("it waits", || place.facts().step(&"wait".into()).is_some());
        place.ask(&["cancel", "@last"]).exits(0);
        living.ends().exits(15).says(&["bye now"]);
    }
}

#[test]
fn an_answer_from_another_process_reaches_the_one_at_the_terminal() {
    let gate = Gate::serve();
    let body = format!(
        "{QUICK}  - {{ id: ask, uses: human.ask, with: {{ text: 'Is it fixed?', choices: ['yes, it is', 'not yet'] }} }}
  - {{ id: said, uses: http.request, with: {{ method: POST, url: '${{{{ inputs.base }}}}/', text: '${{{{ steps.ask.outputs.answer }}}}' }} }}
"
    );
    let place = Place::new().runbook("ask", &body);
    // Without a terminal it is left, and whoever answers resumes it.
    place.ask(&["run", "ask", "-i", &gate.input(), "--yes"]).exits(13).says(&["Is it fixed?", "rerail answer"]);
    place.ask(&["answer", "@last", "ask=maybe"]).exits(2).says(&["not one of the choices"]);
    place.ask(&["answer", "@last", "ask=not yet"]).exits(0).says(&["rerail resume"]);
    place.ask(&["resume", "@last"]).exits(0);
    assert_eq!(gate.ledger.times("not yet"), 1);

    let mut session = Pty::start(&place.rerail(&["run", "ask", "-i", &gate.input(), "--yes"]), 80);
    session.expect("Is it fixed?");
    place.ask(&["answer", "@last", "answer=yes, it is"]).exits(0);
    session.expect("success");
    assert_eq!(session.exit_code(), 0);
    assert_eq!(gate.ledger.times("yes, it is"), 1);
}

#[test]
fn one_interrupt_ends_it_in_order() {
    let (place, gate, mut living) = held_at("write");
    living.signal(Signal::INT);
    until("it is taken up", || place.facts().cancelled.is_some());
    assert!(living.is_alive(), "a write under way is not torn down");
    gate.opens("write");
    living.ends().exits(15);
    assert_eq!(["held", "last", "bye"].map(|body| gate.ledger.times(body)), [1, 0, 1]);
    let step = |name: &str| place.facts().step(&name.into()).and_then(|step| step.end().map(|end| end.outcome.word()));
    assert_eq!((step("write"), step("last"), step("finally/bye")), (Some("done"), None, Some("done")));
}

#[test]
fn a_second_interrupt_leaves_a_write_in_doubt_and_runs_nothing_more() {
    let (place, gate, mut living) = held_at("write");
    living.signal(Signal::INT);
    until("it is taken up", || place.facts().cancelled.is_some());
    living.signal(Signal::INT);
    living.ends().exits(16);
    assert_eq!(["held", "last", "bye"].map(|body| gate.ledger.times(body)), [1, 0, 0]);
    assert_eq!(place.json(&["show"])["in_doubt"], json!(["write"]));
    gate.opens("write");
    // It stays cancelled: what was in doubt is decided, `finally` runs, and that is the end.
    place.ask(&["resume", "@last", "--set-outcome", "write=done", "--reason", "it is there"]).exits(15);
    assert_eq!(["held", "last", "bye"].map(|body| gate.ledger.times(body)), [1, 0, 1]);
}

#[test]
fn a_second_interrupt_during_a_look_just_leaves() {
    let (place, gate, mut living) = held_at("look");
    living.signal(Signal::INT);
    until("it is taken up", || place.facts().cancelled.is_some());
    living.signal(Signal::INT);
    living.ends().exits(130);
    assert_eq!(place.json(&["show"])["in_doubt"], json!([]));
    gate.opens("look");
    place.ask(&["resume", "@last"]).exits(15);
    assert_eq!(["first", "held", "last", "bye"].map(|body| gate.ledger.times(body)), [1, 0, 0, 1]);
}

#[test]
fn one_takes_a_run_over_and_the_other_leaves_without_losing_what_it_had_sent() {
    let (place, gate, mut old) = held_at("write");
    place.ask(&["take", "@last"]).exits(2).says(&["would be taken over", "--yes", "Done: first look", "Next: last"]);
    assert!(old.is_alive(), "asking costs nobody their run");
    let new = Living::start(&place, &["take", "@last", "--yes", "--reason", "shift ends"]);
    old.hears("nothing new starts; waiting for what is running");
    assert!(old.is_alive(), "its write has its chance to end");
    gate.opens("write");
    old.ends().exits(19).says(&["takes it over: shift ends"]);
    new.ends().exits(0).says(&["asking the process", "Running: write", "took it over from", "shift ends"]);
    assert_eq!(["first", "held", "last", "bye"].map(|body| gate.ledger.times(body)), [1, 1, 1, 1]);
    let words: Vec<_> = place.events().iter().map(|event| event.body.word()).collect();
    let at = words.iter().position(|word| *word == "run.paused").unwrap();
    assert_eq!(words[at..at + 3], ["run.paused", "run.resumed", "run.taken"]);
    let taken = place.events().into_iter().find_map(|event| match event.body {
        Body::RunTaken { from, reason, .. } => Some((from, reason)),
        _ => None,
    });
    let (from, reason) = taken.unwrap();
    assert_eq!((from.via.as_str(), reason.as_deref()), ("cli", Some("shift ends")));
    place.ask(&["take", "@last", "--yes"]).exits(2).says(&["has ended"]);
    place.assert_journal_is_whole("after a take-over");
}

#[test]
fn a_run_that_nobody_drives_is_taken_at_once_and_one_who_walks_away_leaves_it_paused() {
    let (place, gate, mut killed) = held_at("look");
    killed.signal(Signal::KILL);
    assert!(killed.ends().was_killed());
    let mut taker = Living::start(&place, &["take", "@last", "--yes"]);
    until("it is taken", || place.events().iter().any(|event| matches!(event.body, Body::RunTaken { .. })));
    // The look that was lost is made again, and held again.
    until("it looks again", || gate.ledger.entries().iter().filter(|request| !request.is_write()).count() >= 2);
    let mut impatient = Living::start(&place, &["take", "@last", "--yes"]);
    until("the driver is asked", || place.json(&["show"])["pending"] != json!([]));
    assert!(taker.is_alive());
    impatient.signal(Signal::INT);
    impatient.ends().exits(130).says(&["was not taken over; it was asked to pause", "rerail resume"]);
    gate.opens("look");
    gate.opens("write");
    taker.ends().exits(19);
    assert_eq!(place.json(&["show"])["status"], "paused");
    place.ask(&["resume", "@last"]).exits(0);
    assert_eq!(["first", "held", "last", "bye"].map(|body| gate.ledger.times(body)), [1, 1, 1, 1]);
    place.assert_journal_is_whole("after a take-over that was given up");
}
