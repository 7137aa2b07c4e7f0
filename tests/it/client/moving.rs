//! Runs that wait, are stopped, change hands of servers: what somebody sees who works with a server.

use serde_json::{Value as Json, json};

use crate::binary::gate::Gate;
use crate::binary::kit::{Ledger, Living, Place, answer, until};
use crate::client::kit::{Elsewhere, through};
use crate::pty::Pty;
use crate::serve::kit::{Served, Team, soon};

const STEPS: &str = "
inputs: { base: { type: url } }
steps:
  - { id: a, script: '1' }
  - { id: one, uses: http.probe, with: { url: '${{ inputs.base }}/held/one', timeout: 1m } }
  - { id: b, script: '2' }
  - { id: two, uses: http.probe, with: { url: '${{ inputs.base }}/held/two', timeout: 1m } }
  - { id: c, script: '3' }
";

const ASK: &str = "
steps:
  - { id: sure, uses: human.ask, with: { text: Is it safe?, choices: [safe, unsafe], expires: 5m } }
outputs: { said: '${{ steps.sure.outputs.answer }}' }
";

const SET: &str = "
inputs: { base: { type: url } }
steps:
  - id: set
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: set }
    approval: { by: [oncall], message: Set it now? }
";

#[test]
fn a_server_that_is_killed_and_comes_back_leaves_no_gap_and_repeats_nothing() {
    let gate = Gate::serve();
    let project = Place::new().runbook("steps", STEPS);
    let first = Served::start(&project, "a.sock");
    let client = Place::new();
    let address = through(&first.socket);
    let args = ["run", "steps", "-i", &gate.input(), "-o", "jsonl", "--server", &address];
    let mut run = Living::start(&client, &args);
    gate.arrived("one");
    first.kill();
    // It is away while its events are heard, or does not answer the start: as the moment has it.
    run.hears("the server ");
    let second = Served::start(&project, "a.sock");
    gate.opens("one");
    gate.arrived("two");
    second.kill();
    let third = Served::start(&project, "a.sock");
    gate.opens("two");
    let said = run.ends().exits(0);
    let numbers: Vec<u64> =
        said.stdout.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "{}", said.stdout);
    assert!(said.stdout.lines().last().unwrap().contains("\"run.finished\""), "{}", said.stdout);
    let recorded = project.ask(&["show", "@last", "-o", "jsonl"]).exits(0).stdout;
    assert_eq!(said.stdout, recorded, "what was seen is what is recorded");
    drop(third);
}

#[test]
fn a_question_is_answered_from_elsewhere_and_the_server_goes_on() {
    let project = Place::new().runbook("ask", ASK);
    let server = Served::start(&project, "a.sock");
    let (client, address) = (Place::new(), through(&server.socket));
    let ask = |args: &[&str]| client.ask(&[args, &["--server", &address]].concat());
    ask(&["run", "ask"]).exits(13).says(&["Is it safe?", "waiting"]);
    ask(&["answer", "@last", "answer=perhaps"]).exits(2).says(&["safe"]);
    ask(&["answer", "@last", "answer=safe"]).exits(0).says(&["is answered: safe"]);
    ask(&["show", "@last", "--follow"]).exits(0).says(&["said", "safe"]);
    let ended = ask(&["show", "@last", "-o", "json"]).exits(0).json();
    assert_eq!((&ended["status"], &ended["outputs"]), (&json!("success"), &json!({ "said": "safe" })));
}

#[test]
fn two_people_at_their_own_machines_are_four_eyes() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let team = Team::new()
        .and("ana", "oncall", "read, run, approve", &soon(), "")
        .and("ben", "oncall", "read, run, approve", &soon(), "")
        .and("cleo", "lead", "read, run, approve", &soon(), "")
        .and("gone", "oncall", "read, run, approve", "2026-01-01", "")
        .and("look", "oncall", "read", &soon(), "");
    let project = Place::new().file("rerail.yaml", &team.yaml).runbook("set", SET);
    let server = Served::start(&project, "a.sock");
    let of = |name: &str| Elsewhere::of(&server, team.token(name));
    let (ana, ben) = (of("ana"), of("ben"));
    let base = format!("base={}", ledger.url);
    ana.ask(&["run", "set", "-i", &base, "--yes"]).exits(13).says(&["Set it now?"]);
    ana.ask(&["whoami"]).exits(0).says(&["ana: oncall"]);
    let waiting = ben.ask(&["approvals", "--mine", "-o", "json"]).exits(0).json();
    let change = waiting[0]["change"].as_str().unwrap().to_owned();
    ben.ask(&["approvals"]).exits(0).says(&["Set it now?", "ana", "ben"]);
    let approve = |who: &Elsewhere| who.ask(&["approve", "@last", "--yes", "--change", &change]);
    approve(&ana).exits(4).says(&["can't be approved"]);
    approve(&of("cleo")).exits(4).says(&["those who may: ben, gone, look"]);
    approve(&of("look")).exits(4).says(&["is not for `approve`"]);
    approve(&of("gone")).exits(4).says(&["has expired"]);
    Elsewhere::of(&server, "rerail_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").ask(&["runs"]).exits(4);
    ben.ask(&["approve", "@last", "--yes", "--change", "000000000000"]).exits(2).says(&["another change"]);
    ben.ask(&["approve", "@last"]).exits(2).says(&["nobody can be asked here", "change sha256:"]);
    assert_eq!(ledger.times("set"), 0);
    approve(&ben).exits(0).says(&["is approved"]);
    ana.ask(&["show", "@last", "--follow"]).exits(0);
    assert_eq!(ledger.times("set"), 1);
    // Another one, to which the answer is no.
    ana.ask(&["run", "set", "-i", &base, "--yes"]).exits(13);
    ben.ask(&["reject", "@last", "-m", "not today"]).exits(0).says(&["is rejected"]);
    ana.ask(&["show", "@last", "--follow"]).exits(14);
    assert_eq!(ledger.times("set"), 1);
    look_has_no_token(&server);
}

fn look_has_no_token(server: &Served) {
    let nobody = Place::new();
    let address = format!("http://127.0.0.1:{}", server.port);
    nobody.ask(&["runs", "--server", &address]).exits(4).says(&["nothing proves who is calling"]);
    let wide = nobody.beside("wide");
    std::fs::write(&wide, "rerail_x").unwrap();
    std::fs::set_permissions(&wide, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let file = wide.to_str().unwrap();
    nobody.ask(&["runs", "--server", &address, "--token-file", file]).exits(4).says(&["others may read"]);
}

#[test]
fn a_run_is_paused_taken_up_again_and_stopped_from_another_machine() {
    let gate = Gate::serve();
    let project = Place::new().runbook("steps", STEPS);
    let server = Served::start(&project, "a.sock");
    let (client, address) = (Place::new(), through(&server.socket));
    let ask = |args: &[&str]| client.ask(&[args, &["--server", &address]].concat());
    let run = Living::start(&client, &["run", "steps", "-i", &gate.input(), "--server", &address]);
    gate.arrived("one");
    ask(&["pause", "@last", "--reason", "lunch"]).exits(0).says(&["is asked to pause"]);
    gate.opens("one");
    run.ends().exits(19).says(&["lunch"]);
    ask(&["runs"]).exits(0).says(&["paused"]);
    let again = Living::start(&client, &["resume", "@last", "--server", &address]);
    gate.arrived("two");
    ask(&["cancel", "@last", "--reason", "enough"]).exits(0).says(&["is asked to stop"]);
    gate.opens("two");
    again.ends().exits(15).says(&["cancelled"]);
    // Who leaves lets it go on.
    let mut leaver = Living::start(&client, &["run", "steps", "-i", &gate.input(), "--server", &address]);
    until("it is there", || ask(&["runs", "--status", "success"]).stdout.contains("steps") || !leaver.is_alive());
    leaver.ends().exits(0);
}

#[test]
fn a_server_that_is_not_there_or_not_believed_is_told_in_clear_words() {
    let place = Place::new();
    let nowhere = format!("unix:{}", place.beside("nobody.sock").display());
    place.ask(&["runs", "--server", &nowhere]).exits(1).says(&["can't be reached", "is it running?"]);
    place.ask(&["runs", "--server", "http://ops.example.com"]).exits(2).says(&["others could read the token"]);
    let files = super::tls::Files::beside(&place, &["localhost"]);
    let server = Served::with(&place, "a.sock", &files.args("127.0.0.1:0"));
    let token = place.state().join("server.token");
    let address = format!("https://localhost:{}", server.port);
    let ask = |more: &[&str]| {
        let known = ["whoami", "--server", &address, "--token-file", token.to_str().unwrap()];
        place.ask(&[known.as_slice(), more].concat())
    };
    ask(&[]).exits(1).says(&["can't be reached", "--ca FILE"]);
    ask(&["--ca", files.cert.to_str().unwrap()]).exits(0).says(&["the one operator"]);
    ask(&["--ca", token.to_str().unwrap()]).exits(2).says(&["no certificate"]);
    // Plain text where TLS is spoken, and something that is no server of ours.
    let plain = format!("http://localhost:{}", server.port);
    place.ask(&["runs", "--server", &plain]).exits(1);
    let other = Ledger::serve(|_, stream| answer(stream, &json!({ "hello": "world" })));
    let strange = format!("http://127.0.0.1:{}", other.port);
    place.ask(&["show", "zzzzzz", "--server", &strange]).exits(1).says(&["no server of rerail"]);
}

const TAKE_BACK: &str = "
inputs: { base: { type: url } }
steps:
  - id: set
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: set }
    undo: { uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: unset } }
";

#[test]
fn a_run_is_taken_back_from_another_machine_as_on_its_own() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let (mine, project) = (Place::new().runbook("set", TAKE_BACK), Place::new().runbook("set", TAKE_BACK));
    let server = Served::start(&project, "a.sock");
    let (client, address) = (Place::new(), through(&server.socket));
    let base = format!("base={}", ledger.url);
    let story: &[(i32, &[&str], &str)] = &[
        (0, &["run", "set", "-i", &base, "--yes"], ""),
        (20, &["undo", "@last", "--dry-run", "--detailed-exitcode"], "Plan to take back"),
        (2, &["undo", "@last"], "this takes 1 step of set/"),
        (0, &["undo", "@last", "--yes", "--reason", "a test"], "taken back"),
        (0, &["undo", "@last", "--yes"], "has nothing left to take back"),
        (2, &["take", "@last", "--yes"], "has ended"),
    ];
    for (code, args, says) in story {
        mine.ask(args).exits(*code).says(&[says]);
        client.ask(&[*args, &["--server", &address]].concat()).exits(*code).says(&[says]);
    }
    assert_eq!((ledger.times("set"), ledger.times("unset")), (2, 2));
}

#[test]
fn a_run_is_taken_over_from_another_machine_and_both_see_it_end() {
    let gate = Gate::serve();
    let project = Place::new().runbook("steps", STEPS);
    let server = Served::start(&project, "a.sock");
    let (client, address) = (Place::new(), through(&server.socket));
    let first = Living::start(&client, &["run", "steps", "-i", &gate.input(), "--server", &address]);
    gate.arrived("one");
    let take = ["take", "@last", "--yes", "--reason", "my shift", "--server", &address];
    client.ask(&["take", "@last", "--server", &address]).exits(2).says(&["would be taken over", "driven by"]);
    let taker = Living::start(&client, &take);
    // Recorded once what is running has ended, which is what the gate holds.
    let asked = || project.json(&["show", "@last"])["pending"].as_array().is_some_and(|said| !said.is_empty());
    until("it is asked to leave", asked);
    gate.opens("one");
    gate.arrived("two");
    gate.opens("two");
    taker.ends().exits(0);
    first.ends().exits(0);
    assert!(project.ask(&["show", "@last", "-o", "jsonl"]).stdout.contains("run.taken"));
}

#[test]
fn what_is_asked_is_asked_at_the_terminal_of_whoever_started_it() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let both =
        format!("{}{}", TAKE_BACK.trim_end(), ASK.trim_start_matches("\nsteps:").split("outputs").next().unwrap());
    let project = Place::new().runbook("both", &both);
    let server = Served::start(&project, "a.sock");
    let client = Place::new();
    let base = format!("base={}", ledger.url);
    let mut terminal = client.rerail(&["run", "both", "-i", &base, "--server", &through(&server.socket)]);
    terminal.env("TERM", "xterm-256color");
    let mut pty = Pty::start(&terminal, 100);
    pty.expect("Start both?");
    assert_eq!(ledger.times("set"), 0, "nothing happens before somebody agrees");
    pty.send("y\r");
    pty.expect("Is it safe?");
    pty.send("\r");
    pty.expect("success");
    assert_eq!(pty.exit_code(), 0);
    assert_eq!(ledger.times("set"), 1);
}
