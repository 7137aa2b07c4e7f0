//! Words about a change, through the binary, for a run that nobody drives: what waits, who may say what, and who was
//! first. The request is put into the journal as a driver would.

use std::time::Duration;

use rerail::engine::change::{Change, digest_of_all};
use rerail::engine::event::{ApprovalRequested, Body, EVENT_VERSION, Event};
use rerail::engine::ids::StepPath;
use rerail::journal::{Append, Holder, Journal as _, Status, Store};
use rerail::runbook::approval::{Need, OnExpiry};
use rerail::runbook::spec::{Effect, Repeat};
use rerail::script::value::Value;
use serde_json::json;

use crate::cli::kit::{Backend, Done, Place};
use crate::cli::people::{As, Team};
use crate::pty::Pty;

/// Longer than any of it takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the step `set` asks for.
struct Asks {
    by: &'static [&'static str],
    count: u32,
    minutes: i64,
    single: bool,
    url: &'static str,
}

const ONCALL: Asks =
    Asks { by: &["oncall"], count: 1, minutes: 15, single: false, url: "https://api.example.com/vars" };

/// Adds an event to the newest run, which nobody drives.
fn add(place: &Place, body: impl FnOnce(jiff::Timestamp) -> Body) -> String {
    let store = Store::open(&place.path().join("state")).unwrap();
    let row = store.find_run("@last").unwrap();
    let now = jiff::Timestamp::now();
    let holder = Holder { pid: std::process::id(), host: "here".into(), user: "test".into(), since: now };
    let drive = store.acquire(row.run, holder).unwrap();
    let event = Event { v: EVENT_VERSION, seq: row.last_seq + 1, ts: now, body: body(now) };
    let append = Append::events(row.run, drive.fence(), vec![event]);
    store.append(Append { status: Some(Status::Waiting), ..append }).wait().unwrap();
    row.run.short()
}

/// Lets the newest run ask; gives its id and the digest of the change.
fn asks(place: &Place, asks: &Asks) -> (String, String) {
    let Value::Map(with) = Value::from_json(&json!({ "method": "POST", "url": asks.url })) else { panic!("a map") };
    let changes = vec![Change {
        step: StepPath::new("set"),
        uses: "http.request".into(),
        effect: Effect::Write,
        repeat: Repeat::Once,
        digest: format!("sha256:{:064x}", asks.url.len()),
        with,
        summary: "POST the variables".into(),
        detail: vec![],
        before: Value::from("a: 0"),
        after: Value::from("a: 1"),
        reversible: Value::Null,
        vague: false,
        maybe: false,
    }];
    let by = asks.by.iter().map(|name| (*name).to_owned()).collect();
    let change = digest_of_all(&changes);
    let request = |now: jiff::Timestamp| ApprovalRequested {
        step: StepPath::new("set"),
        needs: vec![Need { by, all: false, count: asks.count, self_ok: false }],
        message: "Set it now?".into(),
        changes,
        complete: true,
        change: change.clone(),
        expires: now + jiff::SignedDuration::from_mins(asks.minutes),
        remind_ms: 300_000,
        on_expiry: OnExpiry::Fail,
        single: asks.single,
        policy: false,
    };
    let run = add(place, |now| Body::ApprovalRequested(Box::new(request(now))));
    (run, change)
}

/// A run that `ana` started and nobody drives.
fn begun(team: &Team) {
    let backend = Backend::start();
    As(team, "ana").run(&["run", "fix", "-i", &backend.input(), "--yes", "--no-input"]).expect(13);
}

fn waiting(needs: &Asks) -> (Team, String, String) {
    let team = Team::new();
    begun(&team);
    let (run, change) = asks(&team.place, needs);
    (team, run, change)
}

fn approve(team: &Team, who: &'static str, run: &str, change: &str) -> Done {
    As(team, who).run(&["approve", run, "--yes", "--change", change])
}

#[track_caller]
fn says(done: Done, code: i32, text: &str) {
    let done = done.expect(code);
    assert!(done.err.contains(text) && done.err.contains("hint: "), "expected {text:?}:\n{}", done.err);
}

#[test]
fn what_waits_is_listed_with_who_may_and_why_not() {
    let (team, run, change) = waiting(&ONCALL);
    let rows = As(&team, "ben").run(&["approvals", "--json"]).expect(0).json();
    let row = &rows[0];
    assert_eq!((row["run"].as_str(), row["step"].as_str()), (Some(run.as_str()), Some("set")));
    assert_eq!((&row["who"], &row["needs"]), (&json!(["ben", "cleo"]), &json!("oncall")));
    assert_eq!((&row["asked_by"], &row["mine"]), (&json!("ana"), &json!(true)));
    assert_eq!(row["change"], change);
    let left = row["left_ms"].as_u64().unwrap();
    assert!((800_000..=900_000).contains(&left), "{left}");
    let own = As(&team, "ana").run(&["approvals", "--json"]).expect(0).json();
    assert_eq!(
        (&own[0]["mine"], &own[0]["why_not"]),
        (&json!(false), &json!("ana started this run, and nobody approves their own"))
    );
    for (who, listed) in [("ben", true), ("ana", false), ("dora", false)] {
        let shown = As(&team, who).run(&["approvals", "--mine"]).expect(0);
        assert_eq!(shown.out.contains("Set it now?"), listed, "{who}: {}", shown.out);
    }
    assert!(team.place.run(&["approvals"]).expect(0).out.contains("oncall: ben, cleo"));
    let show = team.place.run(&["show", &run]).expect(0).out;
    assert!(show.contains(&format!("rerail approve {run}/set")), "{show}");
    assert!(show.contains(&format!("rerail reject {run}/set -m TEXT")), "{show}");
}

#[test]
fn nobody_approves_what_they_started_or_without_the_role() {
    let (team, run, change) = waiting(&ONCALL);
    says(approve(&team, "ana", &run, &change), 4, "ana started this run, and nobody approves their own");
    says(approve(&team, "dora", &run, &change), 4, "it needs oncall; dora has no role");
    says(team.place.run(&["approve", &run, "--yes", "--change", &change]), 4, "is no person of this project");
    says(As(&team, "dora").run(&["reject", &run, "-m", "no"]), 4, "dora is none of them");
    says(team.place.run(&["reject", &run, "-m", "no"]), 4, "is no person of this project");
    assert!(!team.place.run(&["show", &run]).expect(0).out.contains("not taken up yet"));
}

#[test]
fn a_yes_is_somebody_s_word_about_exactly_one_change() {
    let (team, run, change) = waiting(&ONCALL);
    says(As(&team, "ben").run(&["approve", &run]), 2, &format!("rerail approve {run}/set --yes --change {change}"));
    As(&team, "ben").run(&["approve", &run, "--yes"]).expect(2);
    let other = format!("sha256:{}", "0".repeat(64));
    says(approve(&team, "ben", &run, &other), 2, "what waits now is another change");
    says(approve(&team, "ben", &run, &change[..18]), 2, "expected at least 12 digits");

    let done = approve(&team, "ben", &run, &change).expect(0);
    assert!(done.err.contains("POST the variables") && done.err.contains("a: 1"), "it is shown: {}", done.err);
    assert!(done.err.contains("nobody drives it now"), "{}", done.err);
    // First come, first served, whoever says what.
    says(approve(&team, "cleo", &run, &change), 2, "`set` is already approved by ben, not taken up yet");
    says(approve(&team, "ben", &run, &change), 2, "`set` is already approved by ben, not taken up yet");
    says(As(&team, "cleo").run(&["reject", &run, "-m", "no"]), 2, "`set` is already approved by ben");

    As(&team, "ana").run(&["resume", &run, "--no-input"]).expect(13);
    let lines = team.place.run(&["show", &run, "-o", "jsonl"]).expect(0).out;
    let given = lines.lines().find(|line| line.contains("\"approval.given\"")).expect("it is recorded");
    let given: serde_json::Value = serde_json::from_str(given).unwrap();
    assert_eq!(given["actor"], json!({ "id": "ben", "via": "cli", "roles": ["oncall", "lead"], "person": true }));
    assert!(given["shown"].as_str().unwrap().contains("POST the variables"), "{given}");
    says(approve(&team, "cleo", &run, &change), 2, "it was approved already, by ben");
    assert_eq!(team.place.run(&["approvals", "--json"]).expect(0).json(), json!([]));
}

#[test]
fn a_no_needs_a_reason_and_may_come_from_whoever_asked() {
    let (team, run, change) = waiting(&ONCALL);
    As(&team, "ben").run(&["reject", &run]).expect(2);
    says_plainly(As(&team, "ben").run(&["reject", &run, "-m", " "]), 2, "a rejection needs a reason");
    As(&team, "ana").run(&["reject", &run, "-m", "wrong service"]).expect(0);
    says(approve(&team, "ben", &run, &change), 2, "`set` is already rejected by ana, not taken up yet");
    let shown = team.place.run(&["show", &run]).expect(0).out;
    assert!(shown.contains("not taken up yet: rejection of `set` by ana: wrong service"), "{shown}");
}

#[track_caller]
fn says_plainly(done: Done, code: i32, text: &str) {
    let done = done.expect(code);
    assert!(done.err.contains(text), "{}", done.err);
}

#[test]
fn after_an_expiry_and_when_it_is_void_a_yes_is_refused_with_the_reason() {
    let (team, run, change) = waiting(&Asks { minutes: -1, ..ONCALL });
    says(approve(&team, "ben", &run, &change), 2, "it expired at");
    assert_eq!(As(&team, "ben").run(&["approvals", "--mine", "--json"]).expect(0).json(), json!([]));
    let show = team.place.run(&["show", &run]).expect(0).out;
    assert!(show.contains("Nobody approved in time: set"), "{show}");

    let (team, run, change) = waiting(&ONCALL);
    let (step, digest) = (StepPath::new("set"), change.clone());
    add(&team.place, |_| Body::ApprovalVoid { step, change: digest, why: "with.url: \"a\" → \"b\"".into() });
    says(approve(&team, "ben", &run, &change), 2, "it is void: with.url");
    // It asks again, about the other change: the old one is not what is meant.
    let (_, again) = asks(&team.place, &Asks { url: "https://other.example.com/vars", ..ONCALL });
    assert_ne!(change, again);
    says(approve(&team, "ben", &run, &change), 2, "what waits now is another change");
    approve(&team, "ben", &run, &again).expect(0);
}

#[test]
fn where_two_are_needed_one_is_not_enough_and_nobody_counts_twice() {
    let (team, run, change) = waiting(&Asks { count: 2, ..ONCALL });
    approve(&team, "ben", &run, &change).expect(0);
    says(approve(&team, "ben", &run, &change), 2, "already approved by ben");
    approve(&team, "cleo", &run, &change).expect(0);
    As(&team, "ana").run(&["resume", &run, "--no-input"]).expect(13);
    let shown = team.place.run(&["show", &run, "--verbose"]).expect(0).out;
    assert!(shown.contains("approved by ben") && shown.contains("approved by cleo"), "{shown}");
    says(approve(&team, "cleo", &run, &change), 2, "it was approved already, by ben, cleo");
}

#[test]
fn a_role_that_is_gone_when_the_word_is_taken_up_does_not_count() {
    let (team, run, change) = waiting(&ONCALL);
    approve(&team, "ben", &run, &change).expect(0);
    team.people(|text| text.replace("[oncall, lead]", "[lead]"));
    As(&team, "ana").run(&["resume", &run, "--no-input"]).expect(13);
    let shown = team.place.run(&["show", &run, "--verbose"]).expect(0).out;
    assert!(shown.contains("approval of `set` by ben does not count: it needs oncall; ben has lead"), "{shown}");
    approve(&team, "cleo", &run, &change).expect(0);
}

#[test]
fn a_run_and_its_step_are_named_as_everywhere() {
    let (team, run, _) = waiting(&ONCALL);
    for name in [run.clone(), format!("{run}/set"), format!("fix/{run}"), format!("fix/{run}/set"), "@last/set".into()]
    {
        says(As(&team, "dora").run(&["approve", &name]), 4, "it needs oncall");
    }
    says_plainly(As(&team, "ben").run(&["approve", &format!("{run}/healthy")]), 2, "asks for no approval of `healthy`");
    As(&team, "ben").run(&["approve", "nothing/set"]).expect(2);
    begun(&team);
    says_plainly(As(&team, "ben").run(&["approve", "@last"]), 2, "asks for no approval");
}

#[test]
fn who_is_alone_approves_for_themselves_and_the_record_says_so() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "fix", "-i", &backend.input(), "--yes", "--no-input"]).expect(13);
    let (run, change) = asks(&place, &Asks { single: true, ..ONCALL });
    says(place.run(&["approve", &run]), 2, "--yes --change");
    place.run(&["approve", &run, "--yes", "--change", &change]).expect(0);
    says(place.run(&["approve", &run, "--yes", "--change", &change]), 2, "already approved by");
    place.run(&["resume", &run, "--no-input"]).expect(13);
    let shown = place.run(&["show", &run, "--verbose"]).expect(0).out;
    assert!(shown.contains("self-approved, nobody else configured"), "{shown}");
}

/// A command of a person at a terminal: what is asked, what they type, and its exit code.
#[track_caller]
fn at_a_terminal(command: &std::process::Command, question: &str, types: &str) -> i32 {
    let mut session = Pty::start(command, 160);
    session.expect(question);
    session.send(format!("{types}\r"));
    session.exit_code()
}

#[test]
fn at_a_terminal_a_person_is_asked_and_anything_but_a_yes_leaves_it_waiting() {
    let (team, run, _) = waiting(&ONCALL);
    let answer =
        |types| at_a_terminal(&As(&team, "ben").command(&["approve", &run]), "Approve exactly this change?", types);
    assert_eq!((answer(""), answer("n")), (15, 15));
    assert_eq!(As(&team, "ben").run(&["approvals", "--mine", "--json"]).expect(0).json()[0]["run"], run);
    assert_eq!(answer("y"), 0);
    says(As(&team, "cleo").run(&["approve", &run]), 2, "already approved by ben");
}

#[test]
fn at_a_terminal_who_is_alone_types_the_name_of_the_run() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "fix", "-i", &backend.input(), "--yes", "--no-input"]).expect(13);
    let (run, _) = asks(&place, &Asks { single: true, ..ONCALL });
    let answer = |types: &str| at_a_terminal(&place.command(&["approve", &run]), "approve your own change", types);
    assert_eq!((answer("y"), answer(""), answer(&run)), (2, 15, 0));
    assert!(place.run(&["show", &run]).expect(0).out.contains("not taken up yet: approval of `set`"));
}

/// One write behind an approval, and a look beside it that keeps the process alive until the write has been made.
const GUARDED: &str = r#"
version: 1
title: Set a variable together
owner: platform
reviewed: 2026-11-01
inputs:
  base_url: { type: url }
steps:
  - id: set
    uses: http.request
    with: { method: POST, url: "${{ inputs.base_url }}/vars", json: { a: 1 } }
    approval: { by: [oncall], message: "Set it now?", expires: 15m }
"#;

const BESIDE: &str = r#"
version: 1
title: Set a variable while something looks
owner: platform
reviewed: 2026-11-01
inputs:
  base_url: { type: url }
steps:
  - parallel:
      - id: set
        uses: http.request
        with: { method: POST, url: "${{ inputs.base_url }}/vars", json: { a: 1 } }
        approval: oncall
      - id: healthy
        uses: http.probe
        with: { url: "${{ inputs.base_url }}/health" }
        until: result.ok
        every: 50ms
        within: 60s
"#;

fn guarded() -> (Team, Backend) {
    let (team, backend) = (Team::new(), Backend::start());
    team.place.file("runbooks/guarded.yaml", GUARDED.trim_start());
    team.place.file("runbooks/beside.yaml", BESIDE.trim_start());
    (team, backend)
}

/// What `ben` sees waiting: run, and digest of the change.
fn seen(team: &Team) -> Option<(String, String)> {
    let rows = As(team, "ben").run(&["approvals", "--json"]).expect(0).json();
    let word = |key: &str| rows[0][key].as_str().map(str::to_owned);
    Some((word("run")?, word("change")?))
}

#[test]
fn a_write_waits_for_another_person_and_is_made_once_they_agree() {
    let (team, backend) = guarded();
    As(&team, "ana").run(&["run", "guarded", "-i", &backend.input(), "--yes", "--no-input"]).expect(13);
    let (run, change) = seen(&team).expect("it waits");
    assert_eq!(backend.posted(), 0);
    says(approve(&team, "ana", &run, &change), 4, "nobody approves their own");
    As(&team, "ana").run(&["resume", &run, "--no-input"]).expect(13);
    approve(&team, "ben", &run, &change).expect(0);
    assert_eq!(backend.posted(), 0, "nobody drives it");
    As(&team, "ana").run(&["resume", &run, "--no-input"]).expect(0);
    assert_eq!(backend.posted(), 1);
    says(approve(&team, "cleo", &run, &change), 2, "can't be approved");
    let shown = team.place.run(&["show", &run]).expect(0).out;
    assert!(shown.contains("approved by ben"), "{shown}");
}

#[test]
fn a_rejection_ends_the_run_without_the_write() {
    let (team, backend) = guarded();
    As(&team, "ana").run(&["run", "guarded", "-i", &backend.input(), "--yes", "--no-input"]).expect(13);
    let (run, change) = seen(&team).expect("it waits");
    As(&team, "ben").run(&["reject", &run, "-m", "not on a Friday"]).expect(0);
    let done = As(&team, "ana").run(&["resume", &run, "--no-input"]).expect(14);
    assert!(format!("{}{}", done.out, done.err).contains("not on a Friday"), "{}{}", done.out, done.err);
    assert_eq!(backend.posted(), 0);
    says(approve(&team, "cleo", &run, &change), 2, "can't be approved");
}

#[test]
fn an_approval_that_nobody_gave_in_time_ends_the_run_closed() {
    let (team, backend) = guarded();
    team.place.file("runbooks/guarded.yaml", GUARDED.replace("expires: 15m", "expires: 1s").trim_start());
    As(&team, "ana").run(&["run", "guarded", "-i", &backend.input(), "--yes", "--no-input"]).expect(13);
    let (run, change) = seen(&team).expect("it waits");
    let until = std::time::Instant::now() + PATIENCE;
    let left = || As(&team, "ben").run(&["approvals", "--json"]).expect(0).json()[0]["left_ms"].as_u64();
    while left() != Some(0) {
        assert!(std::time::Instant::now() < until, "it never expires");
    }
    says(approve(&team, "ben", &run, &change), 2, "it expired at");
    As(&team, "ana").run(&["resume", &run, "--no-input"]).expect(14);
    assert_eq!(backend.posted(), 0);
}

#[test]
fn a_living_run_takes_the_first_word_up_at_once_and_the_second_is_told_who_was_first() {
    let (team, backend) = guarded();
    let mut driver = As(&team, "ana")
        .command(&["run", "beside", "-i", &backend.input(), "--yes", "--no-input"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    let (run, change) = loop {
        assert!(std::time::Instant::now() < until, "it never asks");
        if let Some(found) = seen(&team) {
            break found;
        }
    };
    let done = approve(&team, "ben", &run, &change).expect(0);
    assert!(done.err.contains(&format!("rerail show {run} --follow")), "{}", done.err);
    let second = approve(&team, "cleo", &run, &change).expect(2);
    assert!(second.err.contains("approved already, by ben") || second.err.contains("has ended"), "{}", second.err);
    assert_eq!(driver.wait().unwrap().code(), Some(0));
    assert_eq!(backend.posted(), 1);
}

#[test]
fn a_target_asks_for_what_the_runbook_does_not() {
    let (team, backend) = guarded();
    team.place.file("targets/prod.yaml", "version: 1\npolicy:\n  write: { approval: { by: [oncall], count: 2 } }\n");
    let start = ["run", "set", "-i", &backend.input(), "--target", "prod", "--yes", "--no-input"];
    As(&team, "ana").run(&start).expect(13);
    let (run, change) = seen(&team).expect("it waits");
    approve(&team, "ben", &run, &change).expect(0);
    As(&team, "ana").run(&["resume", &run, "--no-input"]).expect(13);
    assert_eq!(backend.posted(), 0);
    approve(&team, "cleo", &run, &change).expect(0);
    As(&team, "ana").run(&["resume", &run, "--no-input"]).expect(0);
    assert_eq!(backend.posted(), 1);
}
