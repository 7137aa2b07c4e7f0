//! A server that takes a POST and never answers: the run says so, and every decision leads where it should.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::kit::{Ledger, Place, Request, answer};

const DEPLOY: &str = "
inputs: { base: { type: url } }
steps:
  - id: before
    uses: http.probe
    with: { url: '${{ inputs.base }}/state' }
  - id: deploy
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/deployments', json: { version: 8, looks: '${{ steps.before.outputs.json.looks }}' } }
  - id: tell
    if: steps.deploy.outcome == \"done\"
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/chat', text: 'deployed ${{ steps.deploy.outputs.json.id }}' }
outputs:
  deployed: '${{ steps.deploy.outcome }}'
  id: '${{ if steps.deploy.outcome == \"done\" { steps.deploy.outputs.json.id } else { \"none\" } }}'
finally:
  - id: bye
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/bye', text: bye }
";

/// Hangs up on the first deployment after reading all of it; answers everything else.
fn swallowing() -> Ledger {
    let deployments = AtomicUsize::new(0);
    let looks = Arc::new(AtomicUsize::new(0));
    Ledger::serve(move |request: &Request, stream: &mut TcpStream| match request.path.as_str() {
        "/deployments" if deployments.fetch_add(1, Ordering::SeqCst) == 0 => {
            stream.shutdown(Shutdown::Both).ok();
        }
        "/deployments" => answer(stream, &json!({ "id": "d8" })),
        "/state" => answer(stream, &json!({ "looks": looks.fetch_add(1, Ordering::SeqCst) })),
        _ => answer(stream, &json!({})),
    })
}

/// A run whose deployment was swallowed.
fn in_doubt() -> (Place, Ledger) {
    let ledger = swallowing();
    let place = Place::new().runbook("deploy", DEPLOY);
    let input = format!("base={}", ledger.url);
    place.ask(&["run", "deploy", "-i", &input, "--yes"]).exits(16).says(&["outcome unknown", "deploy"]);
    assert_eq!(ledger.entries().iter().filter(|request| request.path == "/deployments").count(), 1);
    assert_eq!(sent(&ledger, "/chat") + sent(&ledger, "/bye"), 0, "it waits: neither the next step nor `finally` ran");
    (place, ledger)
}

fn sent(ledger: &Ledger, path: &str) -> usize {
    ledger.writes().iter().filter(|request| request.path == path).count()
}

#[test]
fn it_says_what_is_known_and_what_can_be_done() {
    let (place, ledger) = in_doubt();
    let run = place.json(&["show"])["run"].as_str().unwrap().to_owned();
    place.ask(&["show"]).exits(0).says(&[
        "deploy",
        "was sent at",
        "and its answer is not known",
        "Known: ",
        "It may have happened; it is not repeated by itself.",
        &format!("rerail resume {run} --set-outcome deploy=done --reason TEXT"),
        &format!("rerail resume {run} --set-outcome deploy=not-done --reason TEXT"),
        &format!("rerail resume {run} --retry deploy --reason TEXT"),
        &format!("rerail resume {run} --skip deploy --reason TEXT"),
    ]);
    let shown = place.json(&["show"]);
    assert_eq!((&shown["status"], &shown["in_doubt"]), (&json!("in_doubt"), &json!(["deploy"])));
    assert_eq!(shown["outcome"], json!(null));
    let deploy = shown["steps"].as_array().unwrap().iter().find(|step| step["step"] == "deploy").unwrap();
    assert_eq!((&deploy["outcome"], &deploy["error"]["kind"]), (&json!("in_doubt"), &json!("network")), "{deploy}");
    assert_eq!(place.json(&["runs"])[0]["status"], "in_doubt");

    // Asking again decides nothing, and neither does a decision without a reason.
    place.ask(&["resume", "@last"]).exits(16);
    place.ask(&["resume", "@last", "--set-outcome", "deploy=done"]).exits(2).says(&["--reason"]);
    place.ask(&["resume", "@last", "--set-outcome", "before=done", "--reason", "x"]).exits(2);
    place.ask(&["resume", "@last", "--set-outcome", "deploi=done", "--reason", "x"]).exits(2);
    assert_eq!(sent(&ledger, "/deployments"), 1);
}

#[test]
fn decided_done_it_goes_on_with_the_outputs_that_were_given() {
    let (place, ledger) = in_doubt();
    let args = ["--set-outcome", "deploy=done", "--set-output", r#"json={"id":"seen"}"#, "--reason", "it is there"];
    place.ask(&[&["resume", "@last"], args.as_slice()].concat()).exits(0);
    assert_eq!(place.end_of("@last")["outputs"], json!({ "deployed": "done", "id": "seen" }));
    assert_eq!((sent(&ledger, "/deployments"), ledger.times("deployed seen"), sent(&ledger, "/bye")), (1, 1, 1));
    place.ask(&["export", "@last"]).exits(0).says(&["it is there"]);
}

#[test]
fn decided_not_done_it_is_sent_once_more_with_the_same_bytes() {
    let (place, ledger) = in_doubt();
    place.ask(&["resume", "@last", "--set-outcome", "deploy=not-done", "--reason", "nothing there"]).exits(0);
    assert_eq!(place.end_of("@last")["outputs"], json!({ "deployed": "done", "id": "d8" }));
    let deployments: Vec<Request> = ledger.writes().into_iter().filter(|r| r.path == "/deployments").collect();
    assert_eq!(deployments.len(), 2);
    assert_eq!(deployments[0], deployments[1]);
    assert_eq!((ledger.times("deployed d8"), sent(&ledger, "/bye")), (1, 1));
}

#[test]
fn retried_it_is_sent_anew() {
    let (place, ledger) = in_doubt();
    place.ask(&["resume", "@last", "--retry", "deploy", "--reason", "try it again"]).exits(0);
    assert_eq!(place.end_of("@last")["outputs"], json!({ "deployed": "done", "id": "d8" }));
    assert_eq!((sent(&ledger, "/deployments"), sent(&ledger, "/chat"), sent(&ledger, "/bye")), (2, 1, 1));
}

#[test]
fn skipped_it_goes_on_without_it_and_sends_nothing() {
    let (place, ledger) = in_doubt();
    place.ask(&["resume", "@last", "--skip", "deploy", "--reason", "not needed any more"]).exits(0);
    assert_eq!(place.end_of("@last")["outputs"], json!({ "deployed": "skipped", "id": "none" }));
    assert_eq!((sent(&ledger, "/deployments"), sent(&ledger, "/chat"), sent(&ledger, "/bye")), (1, 0, 1));
}

#[test]
fn cancelled_while_in_doubt_the_doubt_stays_until_it_is_decided() {
    let (place, ledger) = in_doubt();
    place.ask(&["cancel", "@last", "--reason", "enough"]).exits(0);
    place.ask(&["resume", "@last"]).exits(16);
    assert_eq!((sent(&ledger, "/deployments"), sent(&ledger, "/bye")), (1, 0));
    place.ask(&["resume", "@last", "--set-outcome", "deploy=done", "--reason", "it is there"]).exits(15);
    assert_eq!((sent(&ledger, "/deployments"), sent(&ledger, "/chat"), sent(&ledger, "/bye")), (1, 0, 1));
}

#[test]
fn whatever_else_than_a_whole_answer_leaves_a_write_in_doubt_and_a_read_failed() {
    use std::io::Write as _;
    let cases: [(&str, &[u8]); 6] = [
        ("cut head", b"HTTP/1.1 200 O"),
        ("cut body", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"id\""),
        ("no HTTP", b"220 mail.example.com ready\r\n"),
        ("a gateway that gave up", b"HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n"),
        ("a conflict", b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n"),
        ("elsewhere", b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"),
    ];
    let one = |method: &str| {
        format!(
            "
inputs: {{ base: {{ type: url }} }}
steps:
  - id: one
    uses: http.request
    with: {{ method: {method}, url: '${{{{ inputs.base }}}}/' }}
"
        )
    };
    for (what, bytes) in cases {
        let ledger = Ledger::serve(move |_: &Request, stream: &mut TcpStream| {
            stream.write_all(bytes).ok();
            stream.shutdown(Shutdown::Both).ok();
        });
        let input = format!("base={}", ledger.url);
        let place = Place::new().runbook("writes", &one("POST")).runbook("reads", &one("GET"));
        let said = place.ask(&["run", "writes", "-i", &input, "--yes"]);
        assert_eq!(said.code(), Some(16), "{what}: {said:?}");
        assert_eq!(ledger.writes().len(), 1, "{what}");
        let said = place.ask(&["run", "reads", "-i", &input]);
        assert!(said.code() == Some(10) || what == "elsewhere", "{what}: {said:?}");
    }
}
