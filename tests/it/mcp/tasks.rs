//! Runs as tasks: what a client is given that knows them, over both ways in, and that one which doesn't sees no change.

use rerail::engine::event::Body;
use serde_json::{Value as Json, json};

use super::kit::{Talk, approve, project, result_of, written};
use crate::binary::kit::{Place, until};
use crate::serve::kit::{ASKS_EVERY, Client, Served, Team, soon};

const TASKS: &str = "io.modelcontextprotocol/tasks";
/// What is invalid, unknown or not allowed; and what takes a client that knows tasks.
const INVALID: i64 = -32602;
const NEEDS_TASKS: i64 = -32021;

/// What a message of the newest version says of its client.
fn meta(capabilities: Json) -> Json {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "newer", "version": "9" },
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    })
}

/// What a client says that knows tasks, and shows its person forms.
fn able() -> Json {
    json!({ "elicitation": { "form": {} }, "extensions": { TASKS: {} } })
}

/// A way to ask.
trait Way {
    fn send(&mut self, method: &str, params: Json) -> Json;

    fn pause(&self) {}
}

impl Way for Talk {
    fn send(&mut self, method: &str, params: Json) -> Json {
        self.ask(method, params)
    }
}

impl Way for Client {
    fn send(&mut self, method: &str, params: Json) -> Json {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let headers = [("content-type", "application/json")];
        Client::send(self, "POST", "/mcp", &headers, &message.to_string()).is(200).json()
    }

    fn pause(&self) {
        std::thread::sleep(ASKS_EVERY);
    }
}

/// A client that says with every message what it can do.
struct Asker<W> {
    way: W,
    meta: Json,
}

impl Asker<Talk> {
    fn begin(place: &Place) -> Asker<Talk> {
        Asker::of(place, able())
    }

    fn of(place: &Place, capabilities: Json) -> Asker<Talk> {
        let mut asker = Asker { way: Talk::silent(place, &["mcp"]), meta: meta(capabilities) };
        let found = asker.ask("server/discover", json!({}));
        assert_eq!(found["result"]["capabilities"]["extensions"][TASKS], json!({}), "{found}");
        asker
    }
}

impl<W: Way> Asker<W> {
    fn ask(&mut self, method: &str, mut params: Json) -> Json {
        params["_meta"] = self.meta.clone();
        self.way.send(method, params)
    }

    fn call(&mut self, tool: &str, arguments: &Json) -> Json {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// What a tool says that gives no task.
    #[track_caller]
    fn does(&mut self, tool: &str, arguments: &Json) -> Json {
        let reply = self.call(tool, arguments);
        assert_eq!(reply["result"]["resultType"], "complete", "{reply}");
        result_of(&reply).unwrap()["data"].clone()
    }

    /// Starts a run, which is a task; gives its id.
    #[track_caller]
    fn starts(&mut self, arguments: &Json) -> String {
        let reply = self.call("start_run", arguments);
        assert_eq!(reply["result"]["resultType"], "task", "{reply}");
        let id = reply["result"]["taskId"].as_str().unwrap().to_owned();
        checked(&id, &reply["result"]);
        id
    }

    /// The same for what writes, from its plan.
    #[track_caller]
    fn starts_put(&mut self) -> String {
        let mut asked = json!({ "runbook": "put", "inputs": { "text": "x" }, "target": "dev" });
        asked["plan_hash"] = self.does("plan_run", &asked)["plan_hash"].clone();
        self.starts(&asked)
    }

    #[track_caller]
    fn task(&mut self, id: &str) -> Json {
        let reply = self.ask("tasks/get", json!({ "taskId": id }));
        assert_eq!(reply["result"]["resultType"], "complete", "{reply}");
        checked(id, &reply["result"]);
        reply["result"].clone()
    }

    /// The task, once it stands so.
    #[track_caller]
    fn until(&mut self, id: &str, status: &str) -> Json {
        let mut task = Json::Null;
        until(&format!("the task is {status}"), || {
            self.way.pause();
            task = self.task(id);
            task["status"] == status
        });
        task
    }

    #[track_caller]
    fn updates(&mut self, id: &str, responses: &Json) {
        let reply = self.ask("tasks/update", json!({ "taskId": id, "inputResponses": responses }));
        assert_eq!(reply["result"], json!({ "resultType": "complete" }), "{reply}");
    }

    #[track_caller]
    fn cancels(&mut self, id: &str) {
        let reply = self.ask("tasks/cancel", json!({ "taskId": id }));
        assert_eq!(reply["result"], json!({ "resultType": "complete" }), "{reply}");
    }

    /// Why something with a task is refused, by the number of the protocol.
    #[track_caller]
    fn refused(&mut self, method: &str, id: &str, code: i64) -> String {
        let responses = json!({ "x": { "action": "decline" } });
        let reply = self.ask(method, json!({ "taskId": id, "inputResponses": responses }));
        assert_eq!(reply["error"]["code"], code, "{reply}");
        reply["error"]["message"].as_str().unwrap().to_owned()
    }
}

/// What every task says of itself.
#[track_caller]
fn checked(id: &str, task: &Json) {
    assert_eq!((&task["taskId"], &task["ttlMs"]), (&json!(id), &Json::Null), "{task}");
    let poll = if task["status"] == "working" { 1_000 } else { 5_000 };
    assert_eq!(task["pollIntervalMs"], poll, "{task}");
    for time in ["createdAt", "lastUpdatedAt"] {
        task[time].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    assert!(task["statusMessage"].as_str().is_some_and(|said| !said.is_empty()), "{task}");
}

/// The name of the only question of a task.
#[track_caller]
fn question(task: &Json) -> String {
    let asks = task["inputRequests"].as_object().unwrap();
    assert_eq!(asks.len(), 1, "{task}");
    asks.keys().next().unwrap().clone()
}

fn accept(content: &Json) -> Json {
    json!({ "action": "accept", "content": content })
}

fn cancels_of(place: &Place) -> usize {
    place.events().iter().filter(|event| matches!(event.body, Body::RunCancelled { .. })).count()
}

#[test]
fn one_that_does_not_know_tasks_sees_no_change() {
    let place = project();
    let mut older = Talk::begin(&place);
    older.does("start_run", json!({ "runbook": "look" }));
    let reply = older.ask("tools/call", json!({ "name": "start_run", "arguments": { "runbook": "look" }, "task": {} }));
    assert!(result_of(&reply).is_ok() && reply["result"].get("taskId").is_none(), "{reply}");
    assert_eq!(older.ask("tasks/get", json!({ "taskId": "x" }))["error"]["code"], NEEDS_TASKS);
    let mut newer = Asker::of(&place, json!({ "elicitation": {} }));
    let started = newer.does("start_run", &json!({ "runbook": "look" }));
    assert_eq!(started["started"], true);
    let id = started["id"].as_str().unwrap();
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        newer.refused(method, id, NEEDS_TASKS);
    }
    // Each message says it for itself, whatever was said before.
    newer.meta = meta(able());
    newer.starts(&json!({ "runbook": "look", "reason": "a task" }));
    newer.meta = meta(json!({}));
    newer.does("start_run", &json!({ "runbook": "look", "reason": "none" }));
}

#[test]
fn a_start_is_a_task_whose_result_is_what_is_said_of_its_run() {
    let place = project();
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "look", "incident": "INC-7" }));
    let task = asker.until(&id, "completed");
    assert_eq!(task["result"]["isError"], false);
    let said = result_of(&task).unwrap();
    let seen = asker.does("get_run", &json!({ "run": id }));
    for field in ["id", "status", "outcome", "incident", "steps", "findings", "by", "ended_at"] {
        assert_eq!(said["data"][field], seen[field], "{field}");
    }
    assert!(task["statusMessage"].as_str().unwrap().ends_with(": success"), "{task}");
    assert_eq!(asker.starts(&json!({ "runbook": "look", "incident": "INC-7" })), id, "the same start is the same task");
    // What has not begun is no task, and neither is what only looks.
    let refused = asker.call("start_run", &json!({ "runbook": "put", "inputs": { "text": "x" }, "target": "dev" }));
    assert!(result_of(&refused).is_err() && refused["result"]["resultType"] == "complete", "{refused}");
    asker.does("find_runbooks", &json!({}));
}

/// A task is what its client may cancel, when it is closed for example.
#[test]
fn what_another_has_begun_is_no_task_of_who_would_have_begun_the_same() {
    let nap = "concurrency: { group: nap, if_busy: attach }\nsteps:\n  - { id: nap, uses: time.sleep, with: { duration: 1h } }\n";
    let place = project().runbook("shared", nap);
    let (mut one, mut other) = (Asker::begin(&place), Asker::begin(&place));
    let id = one.starts(&json!({ "runbook": "shared" }));
    let joined = other.does("start_run", &json!({ "runbook": "shared" }));
    assert_eq!((&joined["started"], &joined["id"]), (&json!(false), &json!(id)), "{joined}");
    assert_eq!(one.task(&id)["status"], "working");
    one.cancels(&id);
}

#[test]
fn one_that_waits_for_a_yes_says_so_and_nobody_says_it_through_the_task() {
    let place = project();
    let mut asker = Asker::begin(&place);
    let id = asker.starts_put();
    let waiting = asker.until(&id, "input_required");
    assert_eq!(waiting["inputRequests"], json!({}), "an approval is no form");
    assert!(waiting["statusMessage"].as_str().unwrap().contains("rerail approve"), "{waiting}");
    let run = asker.does("get_run", &json!({ "run": id }));
    let change = run["approvals"][0]["change"].as_str().unwrap();
    let seq = |body: &Body| matches!(body, Body::ApprovalRequested { .. });
    let seq = place.events().iter().find(|event| seq(&event.body)).unwrap().seq;
    for key in ["put", change, &format!("put@{seq}")] {
        asker.updates(&id, &json!({ key: accept(&json!({ "answer": "yes", "change": change })) }));
    }
    assert_eq!((asker.task(&id)["status"].clone(), written(&place)), (json!("input_required"), None));
    // Another process on the same store knows the same task.
    let mut other = Asker::begin(&place);
    assert_eq!(other.task(&id)["statusMessage"], waiting["statusMessage"]);
    approve(&place, &run);
    assert_eq!(asker.until(&id, "completed")["result"]["isError"], false);
    assert_eq!(other.task(&id)["status"], "completed");
    assert_eq!(written(&place).as_deref(), Some("x"));
}

#[test]
fn what_a_run_asks_is_a_form_and_its_answer_that_of_a_program() {
    let place = project();
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "ask" }));
    let waiting = asker.until(&id, "input_required");
    let key = question(&waiting);
    let asks = &waiting["inputRequests"][&key];
    assert_eq!((&asks["method"], &asks["params"]["mode"]), (&json!("elicitation/create"), &json!("form")));
    assert!(asks["params"]["message"].as_str().unwrap().ends_with("asks: Ready?"), "{asks}");
    let schema = &asks["params"]["requestedSchema"];
    assert_eq!(
        (&schema["properties"]["answer"]["enum"], &schema["required"]),
        (&json!(["yes", "no"]), &json!(["answer"]))
    );
    // Nobody who shows no forms is asked; nobody who doesn't want to answer has to; and what is not asked is passed over.
    let mut blind = Asker::of(&place, json!({ "extensions": { TASKS: {} } }));
    assert_eq!(blind.task(&id)["inputRequests"], json!({}));
    for response in [json!({ "action": "decline" }), json!({ "action": "cancel" })] {
        asker.updates(&id, &json!({ &key: response }));
    }
    asker.updates(&id, &json!({ "ready@1": accept(&json!({ "answer": "no" })), "x": 7 }));
    asker.updates(&id, &json!({}));
    for (response, why) in [
        (accept(&json!({ "answer": "maybe" })), "is not one of the choices"),
        (accept(&json!({ "answer": ["yes"] })), "expected a text, a number or a yes or no"),
        (accept(&json!({})), "takes one answer, got 0"),
        (json!({ "action": "accept" }), "expected an object as `content`"),
        (json!("yes"), "expected `action`"),
    ] {
        let reply = asker.ask("tasks/update", json!({ "taskId": id, "inputResponses": { &key: response } }));
        assert_eq!(reply["error"]["code"], INVALID, "{reply}");
        assert!(reply["error"]["message"].as_str().unwrap().contains(why), "{why}: {reply}");
    }
    assert_eq!(question(&asker.task(&id)), key, "asked as before");
    // Said twice at once it is said once.
    for _ in 0..2 {
        asker.updates(&id, &json!({ &key: accept(&json!({ "answer": "yes" })) }));
    }
    let task = asker.until(&id, "completed");
    assert_eq!(task["result"]["structuredContent"]["data"]["outputs"], json!({ "said": "yes" }));
    asker.updates(&id, &json!({ &key: accept(&json!({ "answer": "no" })) }));
    let mut answers = place.events().into_iter().filter_map(|event| match event.body {
        Body::AskAnswered { actor, .. } => Some(actor),
        _ => None,
    });
    assert_eq!((answers.next().unwrap().agent.as_deref(), answers.next()), (Some("newer 9"), None));
}

#[test]
fn an_answer_is_for_the_question_that_was_asked_and_not_for_the_same_one_asked_anew() {
    let steps = "      - { id: a, uses: human.ask, with: { text: Which? } }\n      - { id: right, assert: [{ that: 'steps.a.outputs.answer == \"two\"' }] }\n";
    let retry = "retry: { attempts: 2, delay: 1ms, on: [assertion] }";
    let place = project().runbook("again", &format!("steps:\n  - id: both\n    {retry}\n    steps:\n{steps}"));
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "again" }));
    let first = question(&asker.until(&id, "input_required"));
    let one = json!({ &first: accept(&json!({ "answer": "one" })) });
    asker.updates(&id, &one);
    let mut anew = first.clone();
    until("it is asked anew", || {
        let task = asker.until(&id, "input_required");
        anew = task["inputRequests"].as_object().unwrap().keys().next().cloned().unwrap_or_default();
        !anew.is_empty() && anew != first
    });
    asker.updates(&id, &one);
    assert_eq!(question(&asker.task(&id)), anew, "an answer that comes late is none");
    asker.updates(&id, &json!({ anew: accept(&json!({ "answer": "two" })) }));
    assert_eq!(asker.until(&id, "completed")["result"]["isError"], false);
}

#[test]
fn of_several_questions_one_may_be_answered_before_the_others() {
    let ask = |id: &str| format!("      - {{ id: {id}, uses: human.ask, with: {{ text: Which? }} }}\n");
    let place = project().runbook("two", &format!("steps:\n  - id: both\n    parallel:\n{}{}", ask("a"), ask("b")));
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "two" }));
    let keys = |task: &Json| task["inputRequests"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    // It waits as soon as the first of them asks.
    let mut open = Vec::new();
    until("both ask", || {
        open = keys(&asker.until(&id, "input_required"));
        open.len() == 2
    });
    let [a, b] = open.as_slice() else { panic!("{open:?}") };
    asker.updates(&id, &json!({ a: accept(&json!({ "answer": "one" })) }));
    // Whoever drives the run has to hear of it first.
    until("the other one is open alone", || keys(&asker.until(&id, "input_required")) == std::slice::from_ref(b));
    asker.updates(&id, &json!({ b: accept(&json!({ "answer": "two" })) }));
    asker.until(&id, "completed");
}

#[test]
fn a_form_has_the_fields_of_its_question_and_nothing_that_hides() {
    let place = project()
        .runbook(
            "fields",
            "steps:\n  - id: how\n    uses: human.ask\n    with:\n      text: \"How\\u202e many?\"\n      fields:\n        n: { type: int, description: \"of\\u200b them\" }\n        side: { type: choice, choices: [blue, green] }\n        part: { type: float, required: false }\n        sure: { type: bool, default: false }\n        wait: { type: duration, default: 5m }\noutputs: { how: '${{ steps.how.outputs.answer }}' }\n",
        )
        .runbook("odd", "steps:\n  - { id: odd, uses: human.ask, with: { text: Odd?, choices: [\"a\\u202eb\", c] } }\n")
        .file("much.txt", "z".repeat(40_000))
        .runbook("large", "steps:\n  - { id: read, uses: file.read, with: { path: much.txt } }\n  - { id: much, uses: human.ask, with: { text: '${{ steps.read.outputs.text }}' } }\n");
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "fields" }));
    let waiting = asker.until(&id, "input_required");
    assert!(!waiting.to_string().contains(['\u{202e}', '\u{200b}']), "{waiting}");
    let key = question(&waiting);
    let schema = &waiting["inputRequests"][&key]["params"]["requestedSchema"];
    let types = ["n", "side", "part", "sure", "wait"].map(|name| schema["properties"][name]["type"].as_str().unwrap());
    assert_eq!(types, ["integer", "string", "number", "boolean", "string"], "{schema}");
    assert_eq!(schema["required"], json!(["n", "side"]));
    let filled = json!({ "n": 3, "side": "green", "part": 0.5, "sure": true, "wait": null });
    asker.updates(&id, &json!({ &key: accept(&filled) }));
    let how = &asker.until(&id, "completed")["result"]["structuredContent"]["data"]["outputs"]["how"];
    assert_eq!(
        (&how["n"], &how["side"], &how["part"], &how["sure"]),
        (&json!(3), &json!("green"), &json!(0.5), &json!(true))
    );
    assert_eq!(how["wait"], "5m", "what was left out is what it is without");
    // What can't be shown as it is, or is larger than a result, is answered elsewhere.
    for runbook in ["odd", "large"] {
        let id = asker.starts(&json!({ "runbook": runbook }));
        assert_eq!(asker.until(&id, "input_required")["inputRequests"], json!({}), "{runbook}");
    }
}

#[test]
fn a_run_that_fails_is_a_result_that_says_so_and_stays_one_whatever_becomes_of_it() {
    let place = project().runbook(
        "read",
        "steps:\n  - { id: read, uses: file.read, with: { path: out/b } }\n  - { id: well, uses: human.ask, with: { text: Well? } }\n",
    );
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "read" }));
    let task = asker.until(&id, "completed");
    assert_eq!(task["result"]["isError"], true, "{task}");
    assert_eq!(task["result"]["structuredContent"]["data"]["failed_step"], "read");
    assert!(task["statusMessage"].as_str().unwrap().contains(": failed, "), "{task}");
    asker.cancels(&id);
    // A person has it go on: the task has ended all the same, and its result is the run as it stands.
    let place = place.file("out/b", "there");
    place.ask(&["resume", &id, "--retry", "read", "--reason", "it is there", "--no-input"]).exits(13);
    let task = asker.task(&id);
    assert_eq!((&task["status"], &task["result"]["isError"]), (&json!("completed"), &json!(true)), "{task}");
    assert_eq!(task["result"]["structuredContent"]["data"]["status"], "waiting");
    place.ask(&["answer", &id, "answer=yes"]).exits(0);
    until("it is well after all", || asker.task(&id)["result"]["isError"] == json!(false));
    assert_eq!(cancels_of(&place), 0, "what has ended is not stopped");
}

#[test]
fn a_task_that_is_cancelled_is_a_run_that_is_stopped_once() {
    let place = project();
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "nap" }));
    assert_eq!(asker.task(&id)["status"], "working");
    asker.cancels(&id);
    let task = asker.until(&id, "cancelled");
    assert!(task["statusMessage"].as_str().unwrap().contains("stopped by newer 9 for "), "{task}");
    assert!(task.get("result").is_none() && task.get("error").is_none(), "{task}");
    for _ in 0..2 {
        asker.cancels(&id);
    }
    assert_eq!(cancels_of(&place), 1);
    let stopped = place.events().into_iter().find_map(|event| match event.body {
        Body::RunCancelled { actor, reason } => Some((actor.agent, reason)),
        _ => None,
    });
    assert_eq!(stopped.unwrap(), (Some("newer 9".to_owned()), Some("its task was cancelled".to_owned())));
}

#[test]
fn what_is_no_task_is_an_invalid_parameter() {
    let place = project();
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "look" }));
    asker.until(&id, "completed");
    let short = place.json(&["runs"])[0]["run"].as_str().unwrap().to_owned();
    let ids = [
        String::new(),
        short,
        "@last".to_owned(),
        "x".repeat(36),
        format!("{}%", &id[..35]),
        id.to_uppercase(),
        "01a20299-10bc-7476-9ee9-95c41e53e6da".to_owned(),
        "ä".repeat(18),
        "x".repeat(100_000),
    ];
    for bad in &ids {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let said = asker.refused(method, bad, INVALID);
            assert!(said.starts_with("no ") && said.len() < 200, "{bad}: {said}");
        }
    }
    assert!(asker.ask("tasks/get", json!({}))["error"]["code"].is_number());
    place.ask(&["prune", &id, "--reason", "an example", "--yes"]).exits(0);
    assert!(asker.refused("tasks/get", &id, INVALID).contains("was pruned"));
}

#[test]
fn a_task_outlives_the_process_that_began_it() {
    let place = project().runbook("brief", "steps:\n  - { id: nap, uses: time.sleep, with: { duration: 3s } }\n");
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "brief" }));
    assert_eq!(asker.task(&id)["status"], "working");
    // Killed: it says nothing more.
    drop(asker);
    let mut next = Asker::begin(&place);
    let left = next.task(&id);
    assert_eq!((&left["status"], &left["inputRequests"]), (&json!("input_required"), &json!({})), "{left}");
    assert!(left["statusMessage"].as_str().unwrap().contains("no process drives it now"), "{left}");
    place.ask(&["resume", &id]).exits(0);
    assert_eq!(next.task(&id)["result"]["isError"], false);
}

#[test]
fn a_result_of_a_task_is_no_larger_than_any_other() {
    let place = project()
        .file("large.txt", "y".repeat(300_000))
        .runbook("large", "steps:\n  - { id: read, uses: file.read, with: { path: large.txt } }\noutputs: { all: '${{ steps.read.outputs.text }}' }\n");
    let mut asker = Asker::begin(&place);
    let id = asker.starts(&json!({ "runbook": "large" }));
    let task = asker.until(&id, "completed");
    let said = result_of(&task).unwrap();
    assert!(said["cut"]["bytes"].as_u64().unwrap() > 250_000, "{}", said["cut"]);
    assert!(task.to_string().len() < 100_000, "{}", task.to_string().len());
}

#[test]
fn a_person_is_not_asked_through_a_program_that_may_not_answer() {
    let place = project().runbook(
        "careful",
        "steps:\n  - { id: sure, uses: human.ask, with: { text: Sure? } }\n  - { id: put, uses: file.write, with: { path: out/a, text: x } }\n",
    );
    place.ask(&["run", "careful", "--yes", "--no-input"]).exits(13);
    let id = place.json(&["runs"])[0]["id"].as_str().unwrap().to_owned();
    let mut asker = Asker::begin(&place);
    let task = asker.task(&id);
    assert_eq!((&task["status"], &task["inputRequests"]), (&json!("input_required"), &json!({})), "{task}");
    let asked = |event: &&rerail::engine::event::Event| matches!(event.body, Body::AskAsked { .. });
    let seq = place.events().iter().find(asked).unwrap().seq;
    asker.updates(&id, &json!({ format!("sure@{seq}"): accept(&json!({ "answer": "yes" })) }));
    assert_eq!(place.json(&["show", &id])["answered"], json!([]));
}

#[test]
fn at_a_server_a_task_is_for_whom_its_run_is_and_goes_on_after_a_restart() {
    let team = Team::new()
        .and("ana", "oncall", "read, run", &soon(), ", max_effect: write")
        .and("ben", "oncall", "read, run, approve", &soon(), "")
        .and("looker", "", "read", &soon(), "");
    let place = project();
    let yaml = team.yaml.replace("version: 1\n", "version: 1\nallow: { file_write: [out] }\n");
    let place = place.file("rerail.yaml", yaml);
    let server = Served::start(&place, "a.sock");
    let with = |server: &Served, name: &str| Asker { way: server.tcp().bearer(team.token(name)), meta: meta(able()) };
    let mut ana = with(&server, "ana");
    let id = ana.starts_put();
    let asks = ana.starts(&json!({ "runbook": "ask" }));
    ana.until(&id, "input_required");
    let key = question(&ana.until(&asks, "input_required"));
    // Who may look at the run may look at the task, and no more than that.
    let mut looker = with(&server, "looker");
    assert_eq!(looker.task(&id)["status"], "input_required");
    assert_eq!(looker.task(&asks)["inputRequests"], json!({}), "who may not answer is not asked");
    for method in ["tasks/update", "tasks/cancel"] {
        assert_eq!(looker.refused(method, &asks, INVALID), "this token is not for `run`");
    }
    let refused = looker.call("start_run", &json!({ "runbook": "look" }));
    assert!(result_of(&refused).is_err() && refused["result"].get("taskId").is_none(), "{refused}");
    let message =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": { "taskId": id, "_meta": meta(able()) } });
    server.tcp().send("POST", "/mcp", &[("content-type", "application/json")], &message.to_string()).is(401);
    assert_eq!(Way::send(&mut looker.way, "tasks/get", json!({ "taskId": id }))["error"]["code"], NEEDS_TASKS);
    // A server that comes after this one takes the runs up.
    server.kill();
    let server = Served::start(&place, "b.sock");
    let (mut ana, mut looker) = (with(&server, "ana"), with(&server, "looker"));
    ana.updates(&asks, &json!({ key: accept(&json!({ "answer": "yes" })) }));
    assert_eq!(ana.until(&asks, "completed")["result"]["structuredContent"]["data"]["outputs"]["said"], "yes");
    let run = ana.does("get_run", &json!({ "run": id }));
    let change = json!({ "change": run["approvals"][0]["change"] });
    server.tcp().bearer(team.token("ben")).post(&format!("/api/v1/runs/{id}/approve"), "k", &change).is(202);
    assert_eq!(looker.until(&id, "completed")["result"]["isError"], false);
    assert_eq!(written(&place).as_deref(), Some("x"));
    let nap = ana.starts(&json!({ "runbook": "nap" }));
    ana.cancels(&nap);
    ana.until(&nap, "cancelled");
    ana.cancels(&nap);
}
