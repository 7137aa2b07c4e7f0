//! What stands on the pages, and what their forms do.

use serde_json::json;

use super::kit::{Browser, next, place, team};
use crate::binary::gate::Gate;
use crate::serve::kit::Served;

#[test]
fn a_run_is_planned_started_answered_approved_and_noted_by_forms_alone() {
    let gate = Gate::serve();
    let team = team();
    let place = place(&team);
    let server = Served::start(&place, "a.sock");
    let ana = Browser::of(&server, team.token("ana"));
    let ben = Browser::of(&server, team.token("ben"));
    assert!(ana.get("/runbooks?words=test").is(200).body.contains("/runbooks/long"));
    let given = [("input.base", gate.ledger.url.as_str()), ("input.service", "worker"), ("reason", "it is down")];
    // A plan changes nothing, and carries what was typed.
    let plan = ana.submits("/runbooks/long", "/runbooks/long/run", &[]);
    assert!(plan.is(400).body.contains("may change something"), "nobody has said yes");
    let plan = ana.get("/runbooks/long").is(200);
    let hidden = super::kit::hidden_of(&plan.body, "/runbooks/long/run");
    let hidden: Vec<(&str, &str)> = hidden.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let plan = ana.sends("/runbooks/long/plan", &[&hidden[..], &given].concat()).is(200).body;
    assert!(plan.contains("PUT") && plan.contains("name=\"input.service\" value=\"worker\""), "{plan}");
    assert!(gate.ledger.writes().is_empty() && server.unix().get("/api/v1/runs").json() == json!([]));
    // Sent twice it is one run.
    let yes = [&hidden[..], &given, &[("yes", "true")]].concat();
    let url = next(ana.sends("/runbooks/long/run", &yes));
    assert_eq!(next(ana.sends("/runbooks/long/run", &yes)), url);
    let run = url.strip_prefix("/runs/").unwrap().to_owned();
    server.unix().until_status(&run, "waiting");
    let page = ana.get(&url).is(200).body;
    assert!(page.contains("Waits for an answer:") && page.contains("Still down?"), "{page}");
    assert!(ana.get("/").is(200).body.contains("Still down?"));
    next(ana.submits(&url, &format!("{url}/answer"), &[("answer", "yes")]));
    let server_said = server.unix();
    crate::binary::kit::until("it asks for the approval", || {
        std::thread::sleep(crate::serve::kit::ASKS_EVERY);
        server_said.get("/api/v1/approvals").json().as_array().is_some_and(|all| !all.is_empty())
    });
    // Who asked may not agree; the other one may, to this change and no other.
    let change = format!("{url}/approve/copy");
    let own = ana.get(&change).is(200).body;
    assert!(own.contains("Not for you to say yes") && !own.contains(&format!("action=\"{url}/approve\"")), "{own}");
    let page = ben.get(&change).is(200).body;
    assert!(page.contains("DATABASE_URL") && page.contains("asked by") | page.contains("Asked by"), "{page}");
    let other = ben.submits(&change, &format!("{url}/approve"), &[("change", &"0".repeat(64))]).is(409);
    assert!(other.body.contains("what waits now is another change"), "{}", other.body);
    next(ben.submits(&change, &format!("{url}/approve"), &[]));
    server.unix().until_status(&run, "success");
    next(ana.submits(&url, &format!("{url}/note"), &[("text", "it <b>works</b>\r\nagain")]));
    let page = ana.get(&url).is(200).body;
    assert!(
        page.contains("it &lt;b&gt;works&lt;/b&gt;\nagain") && page.contains("Two variables were missing"),
        "{page}"
    );
    assert!(page.contains("/r/long?base=https%3A%2F%2Fapi.example.com"), "what is suggested is filled in");
    assert!(ana.get("/approvals").is(200).body.contains("approved by ben"));
    assert!(ana.get(&format!("{url}/transcript")).is(200).body.contains("approved"));
    let export = ana.get(&format!("{url}/export.md")).is(200);
    assert!(export.header("content-disposition").unwrap().starts_with("attachment;") && export.body.contains("it"));
    assert!(ana.get(&format!("{url}/export.jsonl")).is(200).body.lines().count() > 10);
    let svg = ana.get(&format!("{url}/picture.svg?at=1")).is(200);
    assert!(svg.header("content-security-policy").unwrap().contains("style-src 'sha256-"));
}

#[test]
fn a_change_can_be_rejected_and_a_failed_run_taken_up_with_a_decision() {
    let gate = Gate::serve();
    let team = team();
    let place = place(&team).runbook(
        "breaks",
        "
inputs: { base: { type: url } }
steps:
  - { id: wrong, assert: [{ that: 'inputs.base == \"\"', else: it is not empty }] }
  - { id: after, uses: http.probe, with: { url: '${{ inputs.base }}/after' } }
",
    );
    let server = Served::start(&place, "a.sock");
    let ana = Browser::of(&server, team.token("ana"));
    let ben = Browser::of(&server, team.token("ben"));
    let given = [("input.base", gate.ledger.url.as_str()), ("yes", "true")];
    let url = next(ana.submits("/runbooks/long", "/runbooks/long/run", &given));
    let run = url.strip_prefix("/runs/").unwrap().to_owned();
    server.unix().until_status(&run, "waiting");
    next(ana.submits(&url, &format!("{url}/answer"), &[("answer", "yes")]));
    crate::binary::kit::until("it asks for the approval", || {
        std::thread::sleep(crate::serve::kit::ASKS_EVERY);
        server.unix().get("/api/v1/approvals").json().as_array().is_some_and(|all| !all.is_empty())
    });
    let change = format!("{url}/approve/copy");
    assert_eq!(ben.submits(&change, &format!("{url}/reject"), &[("reason", " ")]).status, 400, "a no has a reason");
    next(ben.submits(&change, &format!("{url}/reject"), &[("reason", "not <i>today</i>")]));
    server.unix().until_status(&run, "rejected");
    let page = ana.get(&change).is(200).body;
    assert!(page.contains("rejected by ben via web: not &lt;i&gt;today&lt;/i&gt;"), "{page}");
    assert!(gate.ledger.writes().is_empty());

    let url = next(ana.submits("/runbooks/breaks", "/runbooks/breaks/run", &given[..1]));
    let run = url.strip_prefix("/runs/").unwrap().to_owned();
    server.unix().until_status(&run, "failed");
    let page = ana.get(&url).is(200).body;
    assert!(page.contains("it is not empty") && page.contains("Decide, then go on"), "{page}");
    assert!(ana.get("/").is(200).body.contains(&url), "it failed in the last day");
    let decided = [("decide.wrong", "skip"), ("reason", "known")];
    next(ana.submits(&url, &format!("{url}/resume"), &decided));
    server.unix().until_status(&run, "success");
    ana.submits(&url, &format!("{url}/note"), &[("text", "")]).is(400);
}

#[test]
fn what_was_typed_stays_where_a_start_was_refused() {
    let team = team();
    let place = place(&team);
    let server = Served::start(&place, "a.sock");
    let ana = Browser::of(&server, team.token("ana"));
    let typed = [("input.base", "not an address"), ("input.note", "<mine>"), ("incident", "INC-7"), ("yes", "true")];
    let page = ana.submits("/runbooks/long", "/runbooks/long/run", &typed).is(400).body;
    for kept in ["Not done:", "value=\"not an address\"", "value=\"&lt;mine&gt;\"", "value=\"INC-7\""] {
        assert!(page.contains(kept), "{kept} in {page}");
    }
    // The page of an alert is filled in by its labels, and says which it can't use.
    let page =
        ana.get("/r/long?base=https%3A%2F%2Fapi.example.com&service=worker&severity=page&severity=x").is(200).body;
    assert!(page.contains("value=\"https://api.example.com\"") && page.contains("<option selected>worker"), "{page}");
    assert!(page.contains("not used: severity, severity"), "{page}");
    for (path, status) in [
        ("/runbooks/no-such", 404),
        ("/runbooks/..%2Fx", 404),
        ("/runs/zzzzzz", 404),
        ("/runs?status=odd", 400),
        ("/runs?x=1", 400),
        ("/runs?since=yesterday", 400),
    ] {
        let page = ana.get(path).is(status).body;
        assert!(page.contains("<!doctype html>") && page.contains("role=\"alert\""), "{path}: {page}");
    }
    // A program is told as programs are.
    let problem = server.tcp().bearer(team.token("ana")).get("/runs/zzzzzz").is(404);
    assert_eq!(problem.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn a_run_whose_record_is_damaged_leaves_the_pages_of_the_others_as_they_are() {
    let team = team();
    let place = place(&team).runbook("ask", "steps:\n  - { id: ready, uses: human.ask, with: { text: Ready? } }\n");
    let server = Served::start(&place, "a.sock");
    let ana = Browser::of(&server, team.token("ana"));
    let runs = ["a", "b"].map(|key| server.unix().start("ask", &json!({}), key));
    for run in &runs {
        server.unix().until_status(run, "waiting");
    }
    let db = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    let cut = "UPDATE runs SET last_seq = last_seq + 1 WHERE ?1 IN (short, id)";
    assert_eq!(db.execute(cut, [&runs[0]]).unwrap(), 1);
    let home = ana.get("/").is(200).body;
    assert!(home.contains("Its record is damaged") && home.contains("Ready?"), "{home}");
    ana.get("/approvals").is(200);
    assert_eq!(server.unix().get("/api/v1/approvals").is(200).json(), json!([]));
}
