//! A value that was written down before anybody knew that it is secret: the record says so itself.

use serde_json::json;

use super::search::canary;
use crate::binary::kit::{Ledger, Place, answer};

/// The first look keeps what the second one seals.
const STEPS: &str = "
steps:
  - { id: open, uses: http.request, with: { method: GET, url: 'URL/service' } }
  - { id: noted, uses: run.note, with: { text: 'it is ${{ steps.open.outputs.json.token }}' } }
  - { id: sealed, uses: http.request, with: { method: GET, url: 'URL/service', sealed: [json.token] } }
  - { id: again, uses: http.request, with: { method: GET, url: 'URL/service' } }
  - { id: asked, uses: human.ask, with: { text: 'Go on?', choices: ['yes', 'no'] } }
";

#[test]
fn what_was_written_before_it_was_sealed_is_told_once_wherever_the_run_is_told() {
    let token = canary("LATE");
    let body = json!({"token": token});
    let ledger = Ledger::serve(move |_, stream| answer(stream, &body));
    let place = Place::new().runbook("late", &STEPS.replace("URL", &ledger.url));
    let note = "token became known as a secret after it had been written down: events ";
    let said = place.ask(&["run", "late"]).exits(13);
    assert_eq!(format!("{}{}", said.stdout, said.stderr).matches(note).count(), 1, "{said:?}");
    place.ask(&["answer", "@last", "answer=yes"]).exits(0);
    // Whoever takes it up knows the value again, and finds it said.
    let said = place.ask(&["resume", "@last"]).exits(0);
    assert!(!said.stderr.contains(note), "{}", said.stderr);
    for args in [&["show", "--verbose"][..], &["show", "-o", "jsonl"], &["export", "@last", "--format", "md"]] {
        let said = place.ask(args).exits(0);
        assert_eq!(said.stdout.matches(note).count(), 1, "{args:?}: {}", said.stdout);
        assert!(said.stdout.contains("rerail prune RUN --reason TEXT"), "{}", said.stdout);
    }
    // What it names is what holds the value; nothing that came later does.
    let events = place.events();
    let text = events.iter().find_map(|event| match &event.body {
        rerail::engine::event::Body::Note { text, .. } if text.contains(note) => Some(text.clone()),
        _ => None,
    });
    let (_, named) = text.as_deref().unwrap().split_once("events ").unwrap();
    let named: Vec<u64> =
        named.split(" of this run").next().unwrap().split(", ").map(|seq| seq.parse().unwrap()).collect();
    let inside = json!(token).to_string();
    let holding =
        events.iter().filter(|event| serde_json::to_string(event).unwrap().contains(inside.trim_matches('"')));
    assert_eq!(named, holding.map(|event| event.seq).collect::<Vec<u64>>());
    assert!(named.len() >= 2, "{named:?}");
    // What helps does.
    place.ask(&["prune", "@last", "--reason", "a token was written down", "--yes"]).exits(0);
    place.ask(&["verify"]).exits(0);
    for file in std::fs::read_dir(place.state()).unwrap().filter_map(|entry| std::fs::read(entry.unwrap().path()).ok())
    {
        let left = file.windows(token.len()).any(|window| window == token.as_bytes());
        assert!(!left, "pruned is gone");
    }
}

/// Looking back takes a pause after each time; the end of a run doesn't wait for it, and is not undone by it.
#[test]
fn what_is_sealed_right_before_the_end_is_told_before_the_run_has_ended() {
    let (first, second) = (canary("FIRST"), canary("SECOND"));
    let body = json!({"first": first, "second": second});
    let ledger = Ledger::serve(move |_, stream| answer(stream, &body));
    let steps = "
steps:
  - { id: open, uses: http.request, with: { method: GET, url: 'URL/service' } }
  - { id: one, uses: http.request, with: { method: GET, url: 'URL/service', sealed: [json.first] } }
  - { id: two, uses: http.request, with: { method: GET, url: 'URL/service', sealed: [json.second] } }
";
    let place = Place::new().runbook("late", &steps.replace("URL", &ledger.url));
    let said = place.ask(&["run", "late"]).exits(0);
    for name in ["first", "second"] {
        let note = format!("{name} became known as a secret after it had been written down");
        assert!(said.stderr.contains(&note) || said.stdout.contains(&note), "{said:?}");
    }
    assert_eq!(place.json(&["show"])["status"], "success");
}

#[test]
fn a_run_that_seals_first_says_nothing() {
    let token = canary("EARLY");
    let body = json!({"token": token});
    let ledger = Ledger::serve(move |_, stream| answer(stream, &body));
    let steps = "
steps:
  - { id: sealed, uses: http.request, with: { method: GET, url: 'URL/service', sealed: [json.token] } }
  - { id: again, uses: http.request, with: { method: GET, url: 'URL/service' } }
";
    let place = Place::new().runbook("early", &steps.replace("URL", &ledger.url));
    let said = place.ask(&["run", "early", "--verbose"]).exits(0);
    assert!(!format!("{said:?}").contains("became known"), "{said:?}");
    assert!(place.json(&["show"])["steps"].to_string().contains("[redacted:token]"));
}

/// Two values are learned one right after the other, the second by the last step: too soon for another look on the way.
const TWICE: &str = "
steps:
  - { id: open, uses: http.request, with: { method: GET, url: 'URL/service' } }
  - { id: first, uses: http.request, with: { method: GET, url: 'URL/service', sealed: [json.one] } }
  - { id: second, uses: http.request, with: { method: GET, url: 'URL/service', sealed: [json.one, json.two] } }
";

#[test]
fn what_the_last_step_makes_a_secret_is_told_in_the_end_of_the_run_and_not_behind_it() {
    let body = json!({ "one": canary("LATE1"), "two": canary("LATE2") });
    let ledger = Ledger::serve(move |_, stream| answer(stream, &body));
    let place = Place::new().runbook("twice", &TWICE.replace("URL", &ledger.url));
    for _ in 0..5 {
        let said = place.ask(&["run", "twice"]).exits(0);
        let note = "two became known as a secret after it had been written down";
        assert_eq!(format!("{}{}", said.stdout, said.stderr).matches(note).count(), 1, "{said:?}");
        assert_eq!(place.json(&["show", "@last"])["status"], "success");
    }
    place.ask(&["verify"]).exits(0);
}
