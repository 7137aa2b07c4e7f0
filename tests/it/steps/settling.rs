//! A connection that is reset at any byte, for a write of each kind: what is known then, and how the doubt is settled:
//! the same bytes again if they may be repeated, the same key inside its window, a look, else a person.
//!
//! The attempt is a real one, against a server that counts bytes; what follows from it is decided with a virtual clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use proptest::prelude::*;
use rerail::engine::event::{Body, Decision, Event};
use rerail::engine::outcome::{Attempt, FailureKind, Outcome, RunOutcome};
use rerail::script::value::Map;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::scenario::{Ended, Scenario, ana, failed, ok};
use crate::steps::kit::{Server, answer, args, open_world, perform, read_request};

const CASES: u32 = 160;

/// What may be done again with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Once,
    /// The other side knows it by its key, for a day.
    Keyed,
    Repeatable,
}

/// What the reads of its `settle` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// It has no `settle`.
    None,
    Happened,
    NotHappened,
    CannotTell,
    Fails,
}

/// How the attempt ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    /// Nobody listens.
    NoConnection,
    /// Reset when this share of all bytes of request and answer has gone over the wire.
    At(f64),
    /// The process that sent it died.
    Died,
    Whole,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    class: Class,
    look: Look,
    broken: Break,
    /// The window of its key is over when the doubt is settled.
    late: bool,
    /// What a person says who is asked.
    says: Decision,
}

fn cases() -> impl Strategy<Value = Case> {
    let class = prop::sample::select(vec![Class::Once, Class::Keyed, Class::Repeatable]);
    let looks = vec![Look::None, Look::Happened, Look::NotHappened, Look::CannotTell, Look::Fails];
    let broken = prop_oneof![
        6 => (0.0..1.0).prop_map(Break::At),
        2 => Just(Break::Died),
        1 => Just(Break::NoConnection),
        1 => Just(Break::Whole),
    ];
    let says = prop::sample::select(vec![Decision::Done, Decision::NotDone]);
    (class, prop::sample::select(looks), broken, any::<bool>(), says)
        .prop_map(|(class, look, broken, late, says)| Case { class, look, broken, late, says })
}

/// What becomes of a write in doubt, as the language has it.
struct Expected {
    attempts: u32,
    looks: bool,
    asked: bool,
}

fn expected(case: &Case) -> Expected {
    let settled = |attempts, looks, asked| Expected { attempts, looks, asked };
    let trusted = match case.class {
        Class::Repeatable => true,
        Class::Keyed => !case.late,
        Class::Once => false,
    };
    let person = 1 + u32::from(case.says == Decision::NotDone);
    match case.look {
        _ if matches!(case.broken, Break::NoConnection | Break::Whole) => settled(1, false, false),
        _ if trusted => settled(2, false, false),
        Look::None => settled(person, false, true),
        Look::Happened => settled(1, true, false),
        Look::NotHappened => settled(2, true, false),
        Look::CannotTell | Look::Fails => settled(person, true, true),
    }
}

fn write_of(class: Class) -> &'static str {
    match class {
        Class::Once => "method: POST, text: a body",
        Class::Keyed => "method: POST, text: a body, idempotency: { header: Idempotency-Key, window: 24h }",
        Class::Repeatable => "method: PUT, text: a body, repeatable: true, reason: it replaces the whole",
    }
}

fn scenario(case: &Case, first: Option<Attempt>) -> Scenario {
    let settle = "
    settle:
      steps: [{ id: now, uses: http.request, with: { method: GET, url: 'http://a.test/now' } }]
      happened: steps.now.outputs.json.n == 1
      not_happened: steps.now.outputs.json.n == 0
      outputs: { adopted: '${{ steps.now.outputs.json.n }}' }";
    let settle = if case.look == Look::None { "" } else { settle };
    let body = format!(
        "steps:
  - id: w
    uses: http.request
    with: {{ {}, url: 'http://a.test/w' }}{settle}
",
        write_of(case.class)
    );
    let sees = |n: i64| ok(json!({ "status": 200, "json": { "n": n } }));
    let looks = match case.look {
        Look::Fails => failed(FailureKind::Status, "got 500"),
        Look::Happened => sees(1),
        Look::NotHappened => sees(0),
        Look::CannotTell | Look::None => sees(5),
    };
    let answers = first.into_iter().chain([ok(json!({ "status": 200 }))]);
    Scenario::new(&body).answers("w", answers).answers("http.request", [looks])
}

/// The wire, up to where it breaks: a real attempt, and how many bytes the server got.
async fn attempt(class: Class, broken: Break) -> Attempt {
    let mut given = match class {
        Class::Once => json!({ "method": "POST", "text": "a body" }),
        Class::Keyed => json!({ "method": "POST", "text": "a body",
            "idempotency": { "header": "Idempotency-Key", "window": "24h" } }),
        Class::Repeatable => json!({ "method": "PUT", "text": "a body" }),
    };
    let whole = answer("200 OK", &["x-request-id: 7"], "{\"ok\":true}");
    let length = request_length(&given).await;
    let total = length + whole.len();
    let end = match broken {
        Break::At(share) => (share * total as f64) as usize,
        _ => total,
    };
    let server = Server::start(move |mut stream| {
        let whole = whole.clone();
        async move {
            if end < length {
                stream.read_exact(&mut vec![0; end]).await.ok();
            } else {
                read_request(&mut stream).await;
                stream.write_all(&whole[..end - length]).await.ok();
            }
            match end == total {
                true => drop(stream.shutdown().await),
                false => stream.set_zero_linger().unwrap(),
            }
        }
    })
    .await;
    given["url"] = json!(server.url("/w"));
    if broken == Break::NoConnection {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        given["url"] = json!(format!("http://{nobody}/w"));
    }
    let attempt = perform(&open_world(), "http.request", &args(given)).await;
    let expected = match broken {
        Break::NoConnection => Outcome::Refused,
        _ if end == total => Outcome::Done,
        _ => Outcome::InDoubt,
    };
    assert_eq!(attempt.outcome, expected, "{class:?} broken after {end} of {total} bytes: {attempt:?}");
    attempt
}

/// How many bytes this request has on the wire.
async fn request_length(given: &serde_json::Value) -> usize {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let server = Server::start(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            count.store(read_request(&mut stream).await.len(), Ordering::SeqCst);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok();
        }
    })
    .await;
    let mut given = given.clone();
    given["url"] = json!(server.url("/w"));
    assert_eq!(perform(&open_world(), "http.request", &args(given)).await.outcome, Outcome::Done);
    seen.load(Ordering::SeqCst)
}

/// Runs until the first attempt has ended, or its process has died; then time passes, and it is settled.
fn settled(case: &Case, scenario: &Scenario) -> Ended {
    let (mut run, mut world) = (scenario.start(), scenario.world.clone());
    let died = case.broken == Break::Died;
    let reached = |event: &Event| match &event.body {
        Body::StepStarted(intent) => died && intent.step.as_str() == "w",
        Body::StepFinished(_) => true,
        _ => false,
    };
    while !run.events.iter().any(reached) {
        let one_more = run.events.len() + 1;
        run.drive(&mut world, one_more);
    }
    if case.late {
        run.now = run.now.checked_add(SignedDuration::from_hours(25)).unwrap();
    }
    if died {
        run.crash(run.events.len(), ana()).unwrap();
    }
    let waits = run.drive(&mut world, usize::MAX);
    Ended { run, world, waits }
}

fn check(case: &Case) {
    let wire = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = (case.broken != Break::Died).then(|| wire.block_on(attempt(case.class, case.broken)));
    let refused = case.broken == Break::NoConnection;
    let expected = expected(case);
    let mut ended = settled(case, &scenario(case, first));

    let asked = !ended.waits.doubts.is_empty();
    assert_eq!(asked, expected.asked, "{case:?}: {}", ended.outcomes());
    if asked {
        assert!(ended.facts().finished.is_none(), "{case:?}: a run doesn't end over a doubt");
        ended = ended.decide("w", case.says, Map::new());
    }
    let looks = ended.world.calls.iter().filter(|(path, ..)| path.starts_with("w/settle/")).count();
    assert_eq!(looks > 0, expected.looks, "{case:?}");
    // Three looks that can't tell are enough.
    assert_eq!(looks > 1, expected.looks && expected.asked, "{case:?}: {looks}");
    let intents: Vec<_> = ended
        .run
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::StepStarted(intent) if intent.step.as_str() == "w" => Some(intent),
            _ => None,
        })
        .collect();
    assert_eq!(intents.len(), usize::try_from(expected.attempts).unwrap(), "{case:?}: {}", ended.outcomes());
    let sent: Vec<_> = intents.iter().map(|intent| (&intent.key, &intent.with)).collect();
    assert!(sent.windows(2).all(|two| two[0] == two[1]), "{case:?}: other bytes under another key");
    assert!(intents.iter().all(|intent| intent.key.is_some()), "{case:?}");
    let end = ended.end();
    let outcome = if refused { RunOutcome::Failed } else { RunOutcome::Success };
    assert_eq!(end.outcome, outcome, "{case:?}: {}", ended.outcomes());
    let adopts = expected.looks && case.look == Look::Happened;
    assert_eq!(ended.outputs("w").get("adopted").is_some(), adopts, "{case:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_doubt_of_any_byte_is_settled_in_the_order_of_the_language(case in cases()) {
        check(&case);
    }
}

/// No byte is luckier than the others: first and last of the request, first of the answer, its status line, the last.
#[test]
fn at_the_borders_of_request_and_answer_it_is_in_doubt_as_well() {
    let wire = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for class in [Class::Once, Class::Keyed, Class::Repeatable] {
        for share in (0..200).map(|part| f64::from(part) / 200.0) {
            wire.block_on(attempt(class, Break::At(share)));
        }
    }
}
