//! The actions of `stdlib/resend` against a Resend that is as strict as the real one.

use rerail::engine::outcome::RunOutcome;
use rerail::runs::{Left, Why};
use rerail::world::Platform as _;
use rerail::world::http::Request;
use rerail::world::resend::{Access, Fate, Resend};
use serde_json::{Value as Json, json};

use crate::contracts::assert_described;
use crate::railway::kit::{error, given};
use crate::runbooks::{Place, ended, outcome};
use crate::world::faults::Fault;
use crate::world::mail::{OPERATOR, TO, World};

/// Runs one action, as the step `act`.
fn run(world: &World, action: &str, with: &str) -> Left {
    let text = format!(
        "version: 1\ntitle: One action\nowner: tests\nreviewed: 2026-11-01\nsteps:\n  - id: act\n    uses: resend.{action}\n    with: {{ {with} }}\n"
    );
    let keys = tempfile::tempdir().unwrap();
    let place = Place::new().target(&world.target(keys.path()));
    std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
    std::fs::write(place.project().join("runbooks/one.yaml"), text).unwrap();
    place.run("one", &[])
}

#[track_caller]
fn act_well(world: &World, action: &str, with: &str) -> Json {
    let facts = ended(run(world, action, with));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{action}: {:?}", facts.finished);
    given(&facts, "act")
}

#[track_caller]
fn act_ill(world: &World, action: &str, with: &str) -> String {
    let facts = ended(run(world, action, with));
    assert_eq!(outcome(&facts), RunOutcome::Failed, "{action}: {:?}", facts.finished);
    error(&facts)
}

const MESSAGE: &str = "from: 'Ops <ops@shop.example.com>', to: [ana@example.com], subject: A test, text: Hello";

#[test]
fn a_message_is_sent_followed_and_listed() {
    let world = World::well();
    let id = act_well(&world, "send", MESSAGE)["id"].as_str().unwrap().to_owned();
    assert_eq!(world.mail().resend.sent_to(TO), 1);
    let states: Vec<String> = (0..2)
        .map(|_| act_well(&world, "status", &format!("id: {id}"))["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["moving", "delivered"]);
    act_well(&world, "send", &MESSAGE.replace("ana@", "ben@"));
    let listed = act_well(&world, "emails", "");
    assert_eq!(listed["ids"].as_array().unwrap().len(), 2);
    let listed = act_well(&world, "emails", "to: ana@example.com");
    assert_eq!((&listed["ids"], &listed["emails"][0]["last_event"]), (&json!([id]), &json!("delivered")));
    assert_eq!(act_well(&world, "domains", "")["verified"], json!(["shop.example.com"]));
    let keys = act_well(&world, "keys", "");
    assert_eq!(keys["keys"][1]["name"], json!("backend"));

    // All of it is what Resend describes.
    let heard = world.mail().heard.clone();
    assert!(heard.iter().all(|request| request.header("user-agent").is_some()));
    assert_described("resend/resend.openapi.json", &heard);
}

#[test]
fn whatever_becomes_of_the_answer_a_message_is_sent_once() {
    for fault in Fault::ALL {
        let world = World::well();
        world.calls().breaks(0, fault);
        act_well(&world, "send", MESSAGE);
        assert_eq!(world.mail().resend.sent_to(TO), 1, "{fault:?}");
        let keys: Vec<Option<String>> = {
            let mail = world.mail();
            let sent = mail.heard.iter().filter(|request| request.method == "POST");
            sent.map(|request| request.header("idempotency-key").map(str::to_owned)).collect()
        };
        assert!(keys.iter().all(|key| key.is_some() && *key == keys[0]), "{fault:?}: {keys:?}");
    }
}

#[test]
fn an_answer_that_never_comes_is_nobodys_failure() {
    let world = World::well();
    for call in 0..8 {
        world.calls().breaks(call, Fault::LostAnswer);
    }
    let left = run(&world, "send", MESSAGE);
    assert_eq!(left.why, Why::InDoubt);
    assert_eq!(world.mail().resend.sent_to(TO), 1);
}

#[test]
fn what_resend_refuses_is_told_in_its_words() {
    let world = World::with(|mail| mail.resend.fates.insert(TO.to_owned(), Fate::Bounces).map_or((), |_| ()));
    for (from, says) in [
        ("ops@other.example.com", "The other.example.com domain is not verified. (validation_error)"),
        ("ops", "Invalid `from` field."),
    ] {
        let said = act_ill(&world, "send", &MESSAGE.replace("Ops <ops@shop.example.com>", from));
        assert!(said.contains(says), "{said}");
    }
    assert!(act_ill(&world, "status", "id: nobody").contains("Email not found (not_found)"));
    world.mail().resend.limited = Some("monthly_quota_exceeded");
    assert!(act_ill(&world, "send", MESSAGE).contains("429"));
    assert_eq!(world.mail().resend.emails.len(), 0);
}

#[test]
fn a_key_that_may_only_send_sends_and_looks_at_nothing() {
    let world = World::with(|mail| {
        mail.resend.keys[0].access = Access::Sending;
    });
    act_well(&world, "send", MESSAGE);
    let domains = act_well(&world, "domains", "");
    assert_eq!((&domains["access"], &domains["verified"]), (&json!("send"), &json!([])));
    for action in ["keys", "emails"] {
        assert!(act_ill(&world, action, "").contains("it takes a key with all rights"), "{action}");
    }
}

/// The simulator itself, where the actions can't get: they do it right.
#[test]
fn the_simulated_one_is_as_strict_as_the_real_one() {
    let mut resend = Resend::new("shop.example.com", OPERATOR);
    let mut ask = |method: &str, path: &str, head: &str, body: &str| {
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            head: format!("{method} {path} HTTP/1.1\r\n{head}"),
            body: body.to_owned(),
        };
        let answer = resend.answer(&request);
        let name = serde_json::from_str::<Json>(&answer.body).map_or(answer.body.clone(), |body| {
            body["name"].as_str().or(body["id"].as_str()).unwrap_or_default().to_owned()
        });
        resend.now_s += 1;
        (answer.status, name)
    };
    let login = format!("User-Agent: tests\r\nAuthorization: Bearer {OPERATOR}\r\n");
    let keyed = |key: &str| format!("{login}Idempotency-Key: {key}\r\n");
    let message = r#"{"from":"ops@shop.example.com","to":"ana@example.com","subject":"A","text":"B"}"#;
    let other = message.replace("\"A\"", "\"C\"");
    let first = "00000000-0000-4000-8000-000000000001";
    for (method, path, head, body, expected) in [
        ("POST", "/emails", "Authorization: Bearer x\r\n".to_owned(), message, (403, "error code: 1010")),
        ("POST", "/emails", "User-Agent: tests\r\n".to_owned(), message, (401, "missing_api_key")),
        (
            "GET",
            "/domains",
            "User-Agent: tests\r\nAuthorization: Bearer x\r\n".to_owned(),
            "",
            (403, "invalid_api_key"),
        ),
        ("POST", "/emails", keyed("k"), message, (200, first)),
        ("POST", "/emails", keyed("k"), message, (200, first)),
        ("POST", "/emails", keyed("k"), &other, (409, "invalid_idempotent_request")),
        ("POST", "/emails", keyed(&"k".repeat(257)), message, (400, "invalid_idempotency_key")),
        ("POST", "/emails", login.clone(), "[]", (422, "validation_error")),
        ("POST", "/emails", login.clone(), "{}", (422, "missing_required_field")),
        ("GET", "/domains?limit=101", login.clone(), "", (422, "validation_error")),
        ("DELETE", "/emails", login.clone(), "", (405, "method_not_allowed")),
        ("GET", "/emails/none", login.clone(), "", (404, "not_found")),
    ] {
        let (status, name) = ask(method, path, &head, body);
        assert_eq!((status, name.as_str()), expected, "{method} {path} {body}");
    }
    resend.now_s += 24 * 60 * 60;
    assert_ne!(resend.send(OPERATOR, Some("k"), &serde_json::from_str(&other).unwrap()).unwrap(), first);
}
