//! Taking a run back, on the real binary: in order, once, whatever it is killed at, and never without a yes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rerail::engine::outcome::UndoOutcome;
use serde_json::json;

use super::killing::{Again, Work, Write, assert_nothing_shown_is_lost, run_args};
use super::kit::{Ledger, Place, Said, answer};

/// Boundaries that are tried at a time.
const AT_A_TIME: usize = 2;

/// Undos of each kind: one that nobody can find out about, one with a key, one whose fate a look finds out, one of
/// each item, one of two steps, and one inside of an action.
const WORK: Work = Work {
    runbook: "
inputs: { base: { type: url } }
steps:
  - id: plain
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: plain }
    undo: { uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: no plain } }
  - id: keyed
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: keyed }
    undo:
      uses: http.request
      with:
        method: POST
        url: '${{ inputs.base }}/'
        text: no keyed
        idempotency: { header: Idempotency-Key, window: 24h }
  - id: each
    foreach: [a, b]
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: 'each ${{ each.value }}' }
    undo: { uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: 'no each ${{ each.value }}' } }
  - id: both
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: both }
    undo:
      steps:
        - id: settled
          uses: http.request
          with: { method: POST, url: '${{ inputs.base }}/', text: no-settled }
          settle:
            steps:
              - { id: now, uses: http.probe, with: { url: '${{ inputs.base }}/seen/no-settled' } }
            happened: steps.now.outputs.json.count == 1
            not_happened: steps.now.outputs.json.count == 0
        - { id: rest, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: no rest } }
  - id: called
    uses: shop.open
    with: { base: '${{ inputs.base }}' }
outputs: { each: '${{ steps.each.outcomes }}' }
",
    files: &[(
        "actions/shop/open.yaml",
        "version: 1
title: Open the shop
inputs: { base: { type: url } }
steps:
  - id: inner
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: inner }
    undo: { uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: no inner } }
",
    )],
    writes: &[
        Write::new("plain", "plain"),
        Write::new("keyed", "keyed"),
        Write::new("each[0]", "each a"),
        Write::new("each[1]", "each b"),
        Write::new("both", "both"),
        Write::new("called/inner", "inner"),
        Write::new("undo/called/inner", "no inner"),
        Write { again: Again::Settled, ..Write::new("undo/both/settled", "no-settled") },
        Write::new("undo/both/rest", "no rest"),
        Write::new("undo/each[1]", "no each b"),
        Write::new("undo/each[0]", "no each a"),
        Write { again: Again::Keyed, ..Write::new("undo/keyed", "no keyed") },
        Write::new("undo/plain", "no plain"),
    ],
    answered: None,
    outputs: || json!({ "each": ["done", "done"] }),
};

const UNDO: [&str; 5] = ["undo", "@last", "--yes", "-o", "jsonl"];

/// Every body once, in the order of the list, whatever was sent again.
fn assert_in_order(ledger: &Ledger, when: &str) {
    let mut met: Vec<String> = Vec::new();
    for request in ledger.writes() {
        if !met.contains(&request.body) {
            met.push(request.body);
        }
    }
    assert_eq!(met, WORK.writes.iter().map(|write| write.body).collect::<Vec<_>>(), "{when}");
}

fn assert_taken_back(place: &Place, ledger: &Ledger, when: &str) {
    let facts = place.facts();
    let end = facts.undo_of_run().and_then(|undo| undo.end.clone()).unwrap_or_else(|| panic!("{when}"));
    assert_eq!((end.outcome, end.left.len()), (UndoOutcome::Done, 0), "{when}");
    assert_eq!(place.end_of("@last")["outputs"], (WORK.outputs)(), "{when}: it ended as it had");
    WORK.assert_no_write_repeated(place, ledger, when);
    assert_in_order(ledger, when);
    place.assert_journal_is_whole(when);
}

#[test]
fn killed_at_every_boundary_of_an_undo_it_is_taken_back_once_and_in_order() {
    let (next, over) = (AtomicU64::new(1), AtomicBool::new(false));
    let points = Mutex::new(BTreeMap::<String, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let k = next.fetch_add(1, Ordering::SeqCst);
                    match killed_at(k) {
                        Some(point) => *points.lock().unwrap().entry(point).or_default() += 1,
                        None => over.store(true, Ordering::SeqCst),
                    }
                }
            });
        }
    });
    let points = points.into_inner().unwrap();
    eprintln!("{points:?}");
    for point in ["journal.append.before", "journal.commit.after", "http.last_byte", "http.answered", "driver.outcome"]
    {
        assert!(points.get(point).is_some_and(|deaths| *deaths >= 7), "{point}: {points:?}");
    }
}

/// Takes a run back and dies at boundary `k`; the name of that place, if there was one.
fn killed_at(k: u64) -> Option<String> {
    let (place, ledger) = WORK.world();
    place.ask(&run_args(&format!("base={}", ledger.url), "jsonl")).exits(0);
    let log = place.beside("points");
    let mut command = place.rerail(&UNDO);
    command.env("RERAIL_CRASH_AT", k.to_string()).env("RERAIL_CRASH_LOG", &log);
    let said = Said::of(&UNDO, command.output().unwrap());
    let passed = std::fs::read_to_string(&log).unwrap();
    let point = passed.lines().last().unwrap_or_default().to_owned();
    let when = format!("killed at point {k}, {point}");
    if !said.was_killed() {
        assert_eq!(said.code(), Some(0), "{when}: {said:?}");
        assert_taken_back(&place, &ledger, &when);
        return None;
    }
    assert_nothing_shown_is_lost(&place, &said, &when);
    ledger.settle();
    if place.facts().undo_of_run().is_none() {
        assert_eq!(ledger.writes().len(), 6, "{when}: something was taken back before that was recorded");
        place.ask(&UNDO).exits(0);
    } else {
        WORK.resume_to_the_end(&place, &ledger, &when, |mut command| Said::of(&["resume"], command.output().unwrap()));
    }
    assert_taken_back(&place, &ledger, &when);
    Some(point)
}

/// A server that says no to what is on the list, as often as it stands there.
fn server(refuses: &'static [(&'static str, usize)]) -> Ledger {
    let met: Mutex<BTreeMap<String, usize>> = Mutex::default();
    Ledger::serve(move |request, stream| {
        let key = format!("{} {}", request.method, request.path);
        let times = refuses.iter().find(|(place, _)| *place == key).map_or(0, |(_, times)| *times);
        let mut met = met.lock().unwrap();
        let earlier = met.entry(key).or_default();
        *earlier += 1;
        if *earlier <= times {
            std::io::Write::write_all(stream, b"HTTP/1.1 423 Locked\r\ncontent-length: 0\r\n\r\n").ok();
        } else {
            answer(stream, &json!({ "id": 7 }));
        }
    })
}

const RELEASE: &str = "
inputs: { base: { type: url } }
concurrency: { group: release }
steps:
  - id: record
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/records' }
    undo: { uses: http.request, with: { method: DELETE, url: '${{ inputs.base }}/records/${{ steps.record.outputs.json.id }}' } }
  - id: host
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/hosts' }
    undo: { uses: http.request, with: { method: DELETE, url: '${{ inputs.base }}/hosts/${{ steps.host.outputs.json.id }}' } }
  - id: tell
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/chat' }
";

/// A release that ran to its end, or to the write the server refuses.
fn released(refuses: &'static [(&'static str, usize)]) -> (Place, Ledger, Said) {
    let (place, ledger) = (Place::new().runbook("release", RELEASE), server(refuses));
    let said = place.ask(&["run", "release", "-i", &format!("base={}", ledger.url), "--yes"]);
    (place, ledger, said)
}

fn sent(ledger: &Ledger) -> Vec<String> {
    ledger.writes().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

#[test]
fn an_undo_is_rehearsed_shown_asked_for_and_done() {
    let (place, ledger, said) = released(&[]);
    said.exits(0);
    let dry = place.ask(&["undo", "@last", "--dry-run"]).exits(0);
    dry.says(&["Plan to take back release", "undo/host", "DELETE", "/records/7", "Stays: tell"]);
    let changes = place.ask(&["undo", "@last", "--dry-run", "--detailed-exitcode", "-o", "json"]).exits(20).json();
    assert_eq!((&changes["writes"], &changes["stays"]), (&json!(2), &json!(["tell"])));
    place.ask(&["undo", "@last"]).exits(2).says(&["nobody can be asked here"]);
    place.ask(&["undo", "@last", "--no-input"]).exits(2);
    assert_eq!(sent(&ledger), ["POST /records", "POST /hosts", "POST /chat"], "nothing was taken back by looking");
    assert!(place.facts().undo_of_run().is_none());

    let done = place.ask(&["undo", "@last", "--yes", "--reason", "wrong version", "-o", "json"]).exits(0).json();
    assert_eq!((&done["undo"]["outcome"], &done["undo"]["reason"]), (&json!("done"), &json!("wrong version")));
    assert_eq!(sent(&ledger)[3..], ["DELETE /hosts/7", "DELETE /records/7"]);
    place.ask(&["show", "@last"]).exits(0).says(&["takes 2 steps back", "Nothing takes back: tell"]);
    place.ask(&["undo", "@last", "--yes"]).exits(2).says(&["nothing takes back", "tell"]);
    place.ask(&["resume", "@last", "--retry", "tell", "--reason", "x"]).exits(2).says(&["start a new run"]);
    assert_eq!(sent(&ledger).len(), 5);
    place.assert_journal_is_whole("taken back");
}

#[test]
fn a_half_done_run_is_taken_back_as_far_as_it_came() {
    let (place, ledger, said) = released(&[("POST /chat", 1)]);
    said.exits(10);
    place.ask(&["undo", "@last", "--yes"]).exits(0).says(&["taken back"]);
    assert_eq!(sent(&ledger)[3..], ["DELETE /hosts/7", "DELETE /records/7"]);
    let shown = place.json(&["show", "@last"]);
    assert_eq!((&shown["status"], &shown["outcome"]), (&json!("undone"), &json!("failed")), "it ended as it had");
    assert_eq!(place.json(&["runs", "--status", "undone"])[0]["run"], shown["run"]);
    assert_eq!(place.json(&["runs", "--status", "failed"]), json!([]));
    place.ask(&["runs"]).exits(0).says(&["undone"]);
    place.ask(&["export", "@last"]).exits(0).says(&["| Status | undone |"]);
    place.ask(&["undo", "@last", "--yes"]).exits(0).says(&["nothing left to take back"]);
}

#[test]
fn a_stuck_run_holds_its_group_until_what_is_left_is_settled() {
    let (place, ledger, said) = released(&[("DELETE /hosts/7", 2)]);
    said.exits(0);
    let input = format!("base={}", ledger.url);
    let run = place.json(&["show", "@last"])["run"].as_str().unwrap().to_owned();
    let stuck = place.ask(&["undo", &run, "--yes"]).exits(19);
    stuck.says(&["stuck: not taken back: host, record", "--set-outcome undo/host=done", "--skip undo/host"]);
    place.ask(&["run", "release", "-i", &input, "--yes"]).exits(18).says(&["is held by release/", "stuck"]);
    place.ask(&["cancel", &run]).exits(2).says(&["stuck"]);
    place.ask(&["resume", &run]).exits(2).says(&["rerail undo"]);
    place.ask(&["runs", "--status", "stuck"]).exits(0).says(&[&run]);
    assert_eq!(place.json(&["show", &run])["status"], "stuck");
    place.ask(&["undo", &run, "--yes"]).exits(19);
    assert_eq!(sent(&ledger)[3..], ["DELETE /hosts/7", "DELETE /hosts/7"]);
    place.ask(&["resume", &run, "--set-outcome", "undo/host=done", "--reason", "removed by hand"]).exits(0);
    assert_eq!(sent(&ledger)[5..], ["DELETE /records/7"]);
    assert_eq!(
        (place.json(&["show", &run])["status"].clone(), place.json(&["runs"])[0]["status"].clone()),
        (json!("undone"), json!("undone"))
    );
    place.ask(&["run", "release", "-i", &input, "--yes"]).exits(0);
    place.ask(&["undo", &run, "--yes"]).exits(2);
    place.assert_journal_is_whole("taken back by hand");
}

#[test]
fn under_a_hold_nothing_is_taken_back_and_with_it_lifted_it_goes_on() {
    let (place, ledger, said) = released(&[]);
    said.exits(0);
    place.ask(&["hold", "on", "--reason", "upgrade"]).exits(0);
    place.ask(&["undo", "@last", "--yes"]).exits(18);
    assert_eq!(sent(&ledger).len(), 3);
    place.ask(&["undo", "@last", "--yes"]).exits(2).says(&["being taken back already"]);
    place.ask(&["hold", "off"]).exits(0);
    place.ask(&["resume", "@last"]).exits(0).says(&["taken back"]);
    assert_eq!(sent(&ledger)[3..], ["DELETE /hosts/7", "DELETE /records/7"]);
    place.assert_journal_is_whole("held");
}

#[test]
fn what_may_destroy_is_taken_back_by_name_only() {
    let body = "
inputs: { base: { type: url } }
steps:
  - id: made
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/made' }
    undo:
      uses: http.request
      effect: destructive
      with: { method: DELETE, url: '${{ inputs.base }}/made' }
";
    let (place, ledger) = (Place::new().runbook("make", body), server(&[]));
    place.ask(&["run", "make", "-i", &format!("base={}", ledger.url), "--yes"]).exits(0);
    place.ask(&["undo", "@last", "--yes"]).exits(2).says(&["--confirm make"]);
    place.ask(&["undo", "@last", "--confirm", "other"]).exits(2);
    assert_eq!(sent(&ledger).len(), 1);
    place.ask(&["undo", "@last", "--confirm", "make"]).exits(0);
    assert_eq!(sent(&ledger).len(), 2);
}

#[test]
fn a_run_that_has_not_ended_is_not_taken_back() {
    let body = "steps:\n  - id: well\n    uses: human.ask\n    with: { text: well? }\n";
    let place = Place::new().runbook("asks", body);
    place.ask(&["run", "asks"]).exits(13);
    place.ask(&["undo", "@last", "--yes"]).exits(2).says(&["has not ended: waiting", "rerail cancel"]);
}
