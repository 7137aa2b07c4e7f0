//! Runs as a collector of OpenTelemetry sees them: the real binary, a collector on loopback.

mod collector;

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use self::collector::{Collector, attribute, fields, lineages};
use crate::binary::gate::Gate;
use crate::binary::kit::{Ledger, Place, Request, answer, until};
use crate::serve::kit::Served;
use crate::servers::refused_port;

/// Values that may stand nowhere outside: a secret's, an input's, an answer's.
const SECRET: &str = "obviously-fake-7f3a9c";
const INPUT: &str = "an-input-nobody-else-needs";
const ANSWER: &str = "an-answer-nobody-else-needs";

/// Steps of all shapes: an action's, a loop's, a failed one that is tried again.
const SHAPES: &str = "
inputs: { base: { type: url } }
steps:
  - { id: post, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: first } }
  - id: each
    foreach: [\"a\", \"b\"]
    steps:
      - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/look' } }
  - { id: gone, uses: http.request, with: { method: GET, url: '${{ inputs.base }}/gone', expect: { status: 404 } }, retry: { attempts: 2, delay: 10ms }, continue_on_failure: true }
";

/// A write, which makes durable what stands above it, and a look that is held.
const HELD: &str = "
inputs: { base: { type: url } }
steps:
  - id: both
    foreach: [\"a\"]
    steps:
      - { id: first, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: first } }
      - { id: held, uses: http.request, with: { method: GET, url: '${{ inputs.base }}/held/look', timeout: 1m } }
";

/// A place whose runs are told to `endpoint`.
fn place(endpoint: &str) -> Place {
    Place::new().env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
}

#[test]
fn a_run_is_told_with_its_steps_their_attempts_and_requests() {
    let collector = Collector::serve();
    let backend = Gate::serve();
    let place = place(&collector.http.url)
        .env("OTEL_SERVICE_NAME", "ops")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .runbook("shapes", SHAPES);
    place.ask(&["run", "shapes", "-i", &backend.input(), "--yes"]).exits(0);
    let spans = collector.spans();
    assert_eq!(
        lineages(&spans),
        [
            "GET < attempt http.probe < step each[]/look < step each[] < step each < run shapes",
            "GET < attempt http.probe < step each[]/look < step each[] < step each < run shapes",
            "GET < attempt http.request < step gone < run shapes",
            "GET < attempt http.request < step gone < run shapes",
            "POST < attempt http.request < step post < run shapes",
            "attempt http.probe < step each[]/look < step each[] < step each < run shapes",
            "attempt http.probe < step each[]/look < step each[] < step each < run shapes",
            "attempt http.request < step gone < run shapes",
            "attempt http.request < step gone < run shapes",
            "attempt http.request < step post < run shapes",
            "run shapes",
            "step each < run shapes",
            "step each[] < step each < run shapes",
            "step each[] < step each < run shapes",
            "step each[]/look < step each[] < step each < run shapes",
            "step each[]/look < step each[] < step each < run shapes",
            "step gone < run shapes",
            "step post < run shapes",
        ]
    );
    let mut ids: Vec<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), spans.len(), "each has a name of its own");
    assert!(spans.iter().all(|span| span.trace == spans[0].trace));

    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (run, gone, post) = (named("run shapes"), named("step gone"), named("POST"));
    assert_eq!((run.has("rerail.run.outcome").unwrap().as_str(), run.is_error()), ("success", false));
    assert_eq!(run.has("rerail.run.id").unwrap().len(), 36);
    assert_eq!((gone.has("rerail.step.outcome").unwrap().as_str(), gone.is_error()), ("failed", true));
    assert_eq!(gone.has("error.type").unwrap(), "expect");
    assert_eq!(post.has("http.response.status_code").unwrap(), "200");
    assert_eq!(post.has("server.port").unwrap(), backend.ledger.port.to_string());
    let numbers: Vec<_> = spans
        .iter()
        .filter(|span| span.parent == gone.id)
        .map(|span| span.has("rerail.step.attempt").unwrap())
        .collect();
    assert_eq!(numbers, ["1", "2"]);

    let resource = collector.resource();
    let of = |key: &str| attribute(&resource["attributes"], key).unwrap();
    assert_eq!((of("service.name"), of("deployment.environment.name")), ("ops".to_owned(), "test".to_owned()));
    // Nobody who is told nothing hears of it.
    assert!(backend.ledger.entries().iter().all(|request| request.header("traceparent").is_none()));
}

#[test]
fn without_a_word_about_the_form_it_is_protobuf() {
    let collector = Collector::serve();
    let backend = Gate::serve();
    let place = Place::new().env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http.url).runbook("shapes", SHAPES);
    place.ask(&["run", "shapes", "-i", &backend.input(), "--yes"]).exits(0);
    let bodies = collector.bodies("application/x-protobuf");
    let inside = |messages: Vec<&'_ [u8]>, number: u64| -> Vec<Vec<u8>> {
        let all = messages.into_iter().flat_map(fields);
        all.filter(|(found, _)| *found == number).map(|(_, bytes)| bytes.to_vec()).collect()
    };
    let all = |messages: &[Vec<u8>], number| inside(messages.iter().map(Vec::as_slice).collect(), number);
    // Of a request its resources, of these their scopes, of these their spans, of these their names.
    let names = all(&all(&all(&all(&bodies, 1), 2), 2), 5);
    let mut names: Vec<String> = names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 18, "{names:?}");
    assert!(names.contains(&"run shapes".to_owned()) && names.contains(&"POST".to_owned()), "{names:?}");
    assert!(collector.has_seen("service.name") && collector.has_seen("rerail"));
}

#[test]
fn neither_secrets_nor_values_are_told() {
    let collector = Collector::serve();
    let backend = Ledger::serve(|request: &Request, stream: &mut TcpStream| {
        answer(stream, &json!({ "said": ANSWER, "echo": request.header("authorization") }));
    });
    let place = place(&collector.http.url)
        .env("A_TOKEN", SECRET)
        .file("targets/here.yaml", "version: 1\nsecrets: { A_TOKEN: { from: env } }\n")
        .runbook(
            SECRET,
            "
secrets: [A_TOKEN]
inputs: { base: { type: url }, note: { type: string } }
steps:
  - id: ask
    name: \"asks about ${{ inputs.note }}\"
    uses: http.request
    with:
      method: POST
      url: '${{ inputs.base }}/${{ inputs.note }}'
      headers: { Authorization: 'Bearer ${{ secrets.A_TOKEN }}' }
      json: { note: '${{ inputs.note }}', token: '${{ secrets.A_TOKEN }}' }
  - { id: no, assert: [{ that: \"steps.ask.outputs.json.said == inputs.note\", else: \"got ${{ steps.ask.outputs.json.said }} for ${{ inputs.note }}\" }] }
",
        );
    // Its name is the value of a secret: whoever has done that is told what the terminal tells.
    let input = format!("base={}", backend.url);
    let note = format!("note={INPUT}");
    let said = place.ask(&["run", SECRET, "--target", "here", "-i", &input, "-i", &note, "--yes"]);
    assert!(said.code() != Some(0), "{}", said.stderr);
    if backend.entries().is_empty() {
        // The name itself is refused, as it should be: the same under another one.
        let text = std::fs::read_to_string(place.project().join(format!("runbooks/{SECRET}.yaml"))).unwrap();
        std::fs::write(place.project().join("runbooks/ask.yaml"), text).unwrap();
        place.ask(&["run", "ask", "--target", "here", "-i", &input, "-i", &note, "--yes"]).exits(10);
    }
    assert_eq!(backend.entries().len(), 1);
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name == "POST"), "{spans:?}");
    for value in [SECRET, INPUT, ANSWER, "asks about", "got "] {
        assert!(!collector.has_seen(value), "{value} was told");
    }
}

#[test]
fn a_collector_that_is_down_or_stalls_fails_no_run_and_keeps_its_process_for_a_second() {
    let backend = Gate::serve();
    let stalled = TcpListener::bind("127.0.0.1:0").unwrap();
    let stalls = format!("http://{}", stalled.local_addr().unwrap());
    for endpoint in [format!("http://127.0.0.1:{}", refused_port()), stalls, "no address".to_owned()] {
        let place = place(&endpoint).env("RERAIL_LOG", "rerail=debug").runbook("shapes", SHAPES);
        let began = Instant::now();
        let said = place.ask(&["run", "shapes", "-i", &backend.input(), "--yes"]).exits(0);
        // The run itself, a second of patience, and a machine that has other things to do.
        assert!(began.elapsed() < Duration::from_secs(8), "{endpoint}: {:?}", began.elapsed());
        let told = ["spans were not told to the collector", "runs are told to no collector"];
        assert!(told.iter().any(|line| said.stderr.contains(line)), "{endpoint}: {}", said.stderr);
        let steps = place.events().len();
        assert!(steps > 10, "the run is recorded whole: {steps}");
    }
}

#[test]
fn who_wants_no_traces_gets_none() {
    let collector = Collector::serve();
    let backend = Gate::serve();
    for (name, value) in
        [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_TRACES_SAMPLER", "always_off")]
    {
        let place = place(&collector.http.url).env(name, value).runbook("shapes", SHAPES);
        place.ask(&["run", "shapes", "-i", &backend.input(), "--yes"]).exits(0);
    }
    assert!(collector.spans().is_empty());
}

#[test]
fn a_start_over_http_goes_on_in_the_trace_of_its_caller_and_so_does_who_takes_it_up() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let collector = Collector::serve();
    let gate = Gate::serve();
    let place = place(&collector.http.url)
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .file("targets/told.yaml", "version: 1\ntrace_hosts: [127.0.0.1]\n")
        .runbook("held", HELD);
    let first = Served::start(&place, "a.sock");
    let start = |key: &str, parent: &str| {
        let body = json!({ "runbook": "held", "target": "told", "inputs": { "base": gate.ledger.url }, "yes": true });
        let headers = [("idempotency-key", key), ("content-type", "application/json"), ("traceparent", parent)];
        let reply = first.unix().send("POST", "/api/v1/runs", &headers, &body.to_string()).is(201);
        reply.json()["id"].as_str().unwrap().to_owned()
    };
    let run = start("k", &format!("00-{TRACE}-b7ad6b7169203331-01"));
    gate.arrived("look");
    first.kill();
    let second = Served::start(&place, "b.sock");
    gate.opens("look");
    second.unix().until_status(&run, "success");
    let spans = collector.spans_until("run held");
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:?}");
    let root = spans.iter().find(|span| span.name == "run held").unwrap();
    assert_eq!(root.parent, "b7ad6b7169203331");
    // The loop began in the process that is gone.
    let lineages = lineages(&spans);
    assert!(
        lineages
            .contains(&"GET < attempt http.request < step both[]/held < step both[] < step both < run held".to_owned()),
        "{lineages:?}"
    );
    // The target says that this host is told.
    let sent: Vec<String> =
        gate.ledger.entries().iter().map(|sent| sent.header("traceparent").unwrap().to_owned()).collect();
    let post = spans.iter().find(|span| span.name == "GET").unwrap();
    assert_eq!(sent.last().unwrap(), &format!("00-{TRACE}-{}-01", post.id));
    assert!(sent.iter().all(|parent| parent.starts_with(&format!("00-{TRACE}-"))), "{sent:?}");
}

#[test]
fn a_caller_whose_trace_is_not_kept_has_none_kept_here_and_what_is_no_traceparent_is_none() {
    let collector = Collector::serve();
    let gate = Gate::serve();
    let place = place(&collector.http.url).env("OTEL_BSP_SCHEDULE_DELAY", "50").runbook("shapes", SHAPES);
    let server = Served::start(&place, "a.sock");
    let parents = ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "00-what-01"];
    for (key, parent) in ["a", "b"].into_iter().zip(parents) {
        let body = json!({ "runbook": "shapes", "inputs": { "base": gate.ledger.url }, "yes": true }).to_string();
        let headers = [("idempotency-key", key), ("content-type", "application/json"), ("traceparent", parent)];
        let reply = server.unix().send("POST", "/api/v1/runs", &headers, &body).is(201);
        server.unix().until_status(reply.json()["id"].as_str().unwrap(), "success");
    }
    until("the second run is told", || collector.spans().iter().any(|span| span.name == "run shapes"));
    let spans = collector.spans();
    assert_eq!(spans.iter().filter(|span| span.name == "run shapes").count(), 1);
    assert!(spans.iter().all(|span| span.trace != "0af7651916cd43dd8448eb211c80319c"));
}
