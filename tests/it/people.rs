//! What people tell runs, with and without a living driver.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rerail::engine::event::{Body, Decision};
use rerail::engine::ids::StepPath;
use rerail::engine::outcome::{FailureKind, Outcome, RunOutcome};
use rerail::runs::{DecideRequest, Delivered, Left, Runs, StartRequest, Status, Why};
use rerail::script::value::{Map, Value};

use crate::door::{Place, ana, ben, foreground, notes, refused, request, resume, server, start, started, typed};
use crate::scenario::Scenario;

const ASK: &str = "
steps:
  - id: ready
    uses: human.ask
    with: { text: Is the page up?, choices: ['yes', 'no'], by: [ana] }
outputs: { said: '${{ steps.ready.outputs.answer }} by ${{ steps.ready.outputs.by }}' }
";

const NAP: &str = "
steps:
  - { id: nap, uses: time.sleep, with: { duration: 1h } }
";

/// The end of a run in another thread, while `meanwhile` acts on it as another process would.
fn driven(place: &Place, runbook: &str, is_there: fn(&Body) -> bool, meanwhile: impl FnOnce(&Runs)) -> Left {
    let runs = place.runs();
    let prepared = runs.prepare(&request(runbook)).unwrap();
    std::thread::scope(|scope| {
        let (_sender, foreground) = foreground(true);
        let driver = scope.spawn(move || runs.start(prepared, foreground).unwrap().left().unwrap());
        let other = place.runs();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(Instant::now() < until, "the run never came so far");
            let events = other.find("@last").and_then(|run| other.events(&run)).unwrap_or_default();
            if events.iter().any(|event| is_there(&event.body)) {
                break;
            }
            std::thread::yield_now();
        }
        meanwhile(&other);
        driver.join().unwrap()
    })
}

fn said(left: &Left) -> Value {
    left.facts.finished.as_ref().unwrap().outputs["said"].clone()
}

fn decide(step: &str, decision: Decision) -> DecideRequest {
    DecideRequest { step: StepPath::new(step), decision, outputs: Map::new(), reason: "seen on the dashboard".into() }
}

#[test]
fn an_answer_waits_for_a_run_that_nobody_drives() {
    let place = Place::new().runbook("ask", ASK);
    let runs = place.runs();
    assert_eq!(started(&runs, &request("ask")).why, Why::Waiting);
    let (step, delivered) = runs.answer(&place.row(), None, &typed("ready", "yes"), &ben()).unwrap();
    assert_eq!((step.as_str(), delivered), ("ready", Delivered::Kept));
    let left = resume(&runs, &place.row(), vec![]).unwrap();
    assert_eq!((left.why.clone(), said(&left)), (Why::Ended, "yes by ben".into()));
}

#[test]
fn a_second_answer_to_a_question_is_refused_and_the_first_one_counts() {
    let place = Place::new().runbook("ask", ASK);
    let runs = place.runs();
    started(&runs, &request("ask"));
    runs.answer(&place.row(), None, &typed("ready", "yes"), &ben()).unwrap();
    let error = refused(runs.answer(&place.row(), None, &typed("ready", "no"), &ana()));
    assert_eq!(error, "`ready` is already answered by ben, not taken up yet");
    assert_eq!(runs.pending(&place.row()).unwrap().len(), 1);
    assert_eq!(said(&resume(&runs, &place.row(), vec![]).unwrap()), "yes by ben".into());
}

#[test]
fn a_blank_answer_is_refused() {
    let place = Place::new().runbook("ask", &ASK.replace(", choices: ['yes', 'no']", ""));
    let runs = place.runs();
    started(&runs, &request("ask"));
    for blank in ["", " \n"] {
        assert_eq!(refused(runs.answer(&place.row(), None, &typed("ready", blank), &ben())), "the answer is empty");
    }
    assert!(runs.pending(&place.row()).unwrap().is_empty());
}

#[test]
fn an_answer_reaches_a_living_driver() {
    let place = Place::new().runbook("ask", ASK);
    let left = driven(
        &place,
        "ask",
        |body| matches!(body, Body::AskAsked { .. }),
        |other| {
            let (_, delivered) = other.answer(&place.row(), None, &typed("answer", "no"), &ben()).unwrap();
            assert_eq!(delivered, Delivered::ToDriver);
        },
    );
    assert_eq!(said(&left), "no by ben".into());
}

#[test]
fn notes_and_a_cancel_reach_a_living_driver_and_leave_it_its_run() {
    let place = Place::new().runbook("nap", NAP);
    let left = driven(
        &place,
        "nap",
        |body| matches!(body, Body::StepStarted(_)),
        |other| {
            let row = place.row();
            for number in 0..5 {
                assert_eq!(other.note(&row, &format!("note {number}"), &ben()).unwrap(), Delivered::ToDriver);
            }
            let busy = refused(resume(other, &row, vec![]));
            assert!(busy.contains("driven by ana"), "{busy}");
            assert_eq!(other.cancel(&row, &ben(), Some("wrong target".into())).unwrap(), Delivered::ToDriver);
        },
    );
    assert_eq!(left.why, Why::Ended);
    assert_eq!(left.facts.finished.as_ref().unwrap().outcome, RunOutcome::Cancelled);
    assert_eq!((place.row().fence, notes(&place.events()).len()), (1, 5), "nobody took the run");
}

#[test]
fn a_cancel_waits_for_a_run_that_nobody_drives() {
    let place = Place::new().runbook("ask", ASK);
    let runs = place.runs();
    started(&runs, &request("ask"));
    assert_eq!(runs.cancel(&place.row(), &ben(), None).unwrap(), Delivered::Kept);
    assert_eq!(place.row().fence, 1);
    let left = resume(&runs, &place.row(), vec![]).unwrap();
    assert_eq!(left.facts.finished.unwrap().outcome, RunOutcome::Cancelled);
}

#[test]
fn a_note_is_recorded_at_once_where_nobody_drives_also_after_the_end() {
    let place = Place::new().runbook("ask", ASK).runbook("short", "steps:\n  - uses: time.now\n");
    let runs = place.runs();
    for runbook in ["ask", "short"] {
        started(&runs, &request(runbook));
        let status = place.row().status;
        runs.note(&place.row(), "called the provider", &ben()).unwrap();
        assert_eq!(notes(&place.events()), [("called the provider".to_owned(), Some("ben".to_owned()))]);
        assert_eq!(place.row().status, status);
        assert!(runs.pending(&place.row()).unwrap().is_empty());
    }
    assert_eq!(refused(runs.note(&place.row(), " \n", &ben())), "the note is empty");
}

#[test]
fn a_run_that_has_ended_takes_no_cancel_answer_or_resumption() {
    let place = Place::new().runbook("short", "steps:\n  - uses: time.now\n");
    let runs = place.runs();
    started(&runs, &request("short"));
    let row = place.row();
    assert!(matches!(row.status, Status::Ended(RunOutcome::Success)));
    for error in [
        refused(runs.cancel(&row, &ana(), None)),
        refused(runs.answer(&row, None, &typed("answer", "yes"), &ana())),
        refused(resume(&runs, &row, vec![])),
    ] {
        assert!(error.contains("has ended: success"), "{error}");
    }
}

#[test]
fn an_answer_must_fit_an_open_question() {
    let place = Place::new().runbook("ask", ASK);
    let runs = place.runs();
    started(&runs, &request("ask"));
    let row = place.row();
    let error = refused(runs.answer(&row, None, &typed("ready", "perhaps"), &ana()));
    assert_eq!(error, "`perhaps` is not one of the choices of `ready` | choices: yes, no");
    let error = refused(runs.answer(&row, None, &typed("stop", "yes"), &ana()));
    assert!(error.ends_with("has no open question `stop` | it asks: ready"), "{error}");
    assert!(runs.pending(&row).unwrap().is_empty());
}

const FORM: &str = "
steps:
  - id: plan
    uses: human.ask
    with:
      text: How?
      fields:
        count: { type: int }
        side: { type: choice, choices: [blue, green] }
        note: { type: string, required: false }
outputs: { said: '${{ steps.plan.outputs.answer }}' }
";

fn pairs(text: &str) -> Vec<(String, String)> {
    text.split(' ').flat_map(|pair| pair.split_once('=')).flat_map(|(key, text)| typed(key, text)).collect()
}

#[test]
fn a_question_with_fields_is_answered_by_their_names_and_each_by_its_type() {
    let place = Place::new().runbook("form", FORM);
    let runs = place.runs();
    started(&runs, &request("form"));
    let row = place.row();
    for (text, why) in [
        ("count=4", "`plan`: `side` is missing (choice)"),
        ("count=four side=blue", "`plan`: `count`: expected int, got"),
        ("count=4 side=red", "`plan`: `side`: "),
        ("count=4 side=blue count=5", "`plan`: `count` is given twice"),
        ("answer=4", "`plan`: there is no field `answer`; it asks for count, note, side"),
    ] {
        let error = refused(runs.answer(&row, None, &pairs(text), &ana()));
        assert!(error.starts_with(why), "{text}: {error}");
    }
    assert!(runs.pending(&row).unwrap().is_empty());
    let (step, _) = runs.answer(&row, None, &pairs("count=4 side=blue"), &ben()).unwrap();
    assert_eq!(step.as_str(), "plan");
    let left = resume(&runs, &row, vec![]).unwrap();
    let answer = [("count", Value::Int(4)), ("side", "blue".into()), ("note", Value::Null)];
    assert_eq!(said(&left), Value::map(answer));
}

#[test]
fn of_several_open_questions_the_step_says_which_is_meant() {
    let both = "
steps:
  - id: all
    parallel:
      - id: plan
        uses: human.ask
        with: { text: How?, fields: { count: { type: int }, side: { type: string } } }
      - { id: sure, uses: human.ask, with: { text: Sure? } }
outputs: { said: '${{ steps.plan.outputs.answer.count }} ${{ steps.sure.outputs.answer }}' }
";
    let place = Place::new().runbook("both", both);
    let runs = place.runs();
    started(&runs, &request("both"));
    let row = place.row();
    let error = refused(runs.answer(&row, None, &pairs("count=4 side=a"), &ana()));
    assert!(error.contains("has no open question `count`") && error.contains("`--step STEP`"), "{error}");
    let error = refused(runs.answer(&row, Some("sure"), &pairs("count=4 side=a"), &ana()));
    assert!(error.starts_with("`sure` takes one answer, got 2"), "{error}");
    let error = refused(runs.answer(&row, Some("sure"), &pairs("count=4"), &ana()));
    assert!(error.starts_with("`sure` has no field `count`"), "{error}");
    runs.answer(&row, Some("plan"), &pairs("count=4 side=a"), &ana()).unwrap();
    runs.answer(&row, None, &pairs("sure=yes"), &ana()).unwrap();
    assert_eq!(said(&resume(&runs, &row, vec![]).unwrap()), "4 yes".into());
}

#[test]
fn an_answer_after_the_time_is_refused() {
    let ask = "
steps:
  - { id: ready, uses: human.ask, with: { text: now?, expires: 1ms } }
";
    let place = Place::new().runbook("late", ask);
    let runs = place.runs();
    // Left at the question or expired right away, by the speed of the machine: no answer is taken either way.
    started(&runs, &request("late"));
    let until = Instant::now() + Duration::from_millis(2);
    while Instant::now() < until {
        std::thread::yield_now();
    }
    let error = refused(runs.answer(&place.row(), None, &typed("ready", "yes"), &ana()));
    assert!(error.contains("comes too late") || error.contains("has ended"), "{error}");
}

#[test]
fn a_step_is_named_by_the_end_of_its_path_if_no_other_ends_so() {
    let deploy = "
inputs: { url: { type: url } }
steps:
  - id: send
    uses: http.request
    with: { method: POST, url: '${{ inputs.url }}' }
";
    let (url, count) = server("");
    let runbook = format!(
        "
steps:
  - {{ id: deploy, uses: deploy, with: {{ url: '{url}' }} }}
"
    );
    let place = Place::new().runbook("fix", &runbook).file("project/actions/deploy.yaml", crate::door::head(deploy));
    let runs = place.runs();
    assert_eq!(started(&runs, &request("fix")).why, Why::InDoubt);
    let row = place.row();
    for (step, expected) in [
        ("sned", "step `sned` is not in this run | did you mean `deploy/send`?"),
        ("deploy/snd", "step `deploy/snd` is not in this run | did you mean `deploy/send`?"),
        ("nd", "step `nd` is not in this run | `rerail show RUN` lists its steps"),
    ] {
        assert_eq!(refused(resume(&runs, &row, vec![decide(step, Decision::Done)])), expected);
    }
    let twice = vec![decide("send", Decision::Done), decide("deploy/send", Decision::Done)];
    assert_eq!(refused(resume(&runs, &row, twice)), "step `deploy/send` is decided about twice");
    let without = DecideRequest { reason: " ".into(), ..decide("send", Decision::Done) };
    assert!(refused(resume(&runs, &row, vec![without])).contains("needs a reason"));
    let left = resume(&runs, &row, vec![decide("send", Decision::Done)]).unwrap();
    assert_eq!(left.facts.finished.unwrap().outcome, RunOutcome::Success);
    assert_eq!(count.load(Ordering::SeqCst), 1, "what a person saw happen is not sent again");
}

#[test]
fn an_end_that_fits_several_steps_is_answered_with_a_list() {
    let (url, _) = server("");
    let one = format!("http::request(#{{ method: \"POST\", url: \"{url}\" }})");
    let runbook = format!(
        "
steps:
  - {{ id: a, script: 'try {{ {one} }} catch {{}}', continue_on_failure: true }}
"
    );
    let place = Place::new().runbook("fix", &runbook);
    let runs = place.runs();
    assert_eq!(started(&runs, &request("fix")).why, Why::InDoubt);
    let left = resume(&runs, &place.row(), vec![decide("http.request#1", Decision::Done)]).unwrap();
    assert!(left.facts.step(&StepPath::new("a/http.request#1")).unwrap().settled.is_some());

    let ask = "
steps:
  - { id: ready, uses: human.ask, with: { text: '${{ inputs.x }}' } }
inputs: { x: { type: string } }
";
    let both = "
steps:
  - { id: first, uses: asking, with: { x: one } }
  - { id: second, uses: asking, with: { x: two } }
";
    let place = Place::new().runbook("both", both).file("project/actions/asking.yaml", crate::door::head(ask));
    let runs = place.runs();
    started(&runs, &request("both"));
    runs.answer(&place.row(), None, &typed("ready", "yes"), &ana()).unwrap();
    resume(&runs, &place.row(), vec![]).unwrap();
    let error = refused(resume(&runs, &place.row(), vec![decide("ready", Decision::Done)]));
    assert_eq!(error, "`ready` is the end of 2 paths | it could be `first/ready` and `second/ready`");
}

// Secrets.

const WITH_SECRET: &str = "
secrets: [TOKEN]
steps:
  - { id: ready, uses: human.ask, with: { text: Is it up? } }
  - { id: send, uses: http.request, with: { method: POST, url: 'URL', headers: { token: '${{ secrets.TOKEN }}' } } }
";

const VALUE: &str = "s3cr3t-value";

fn with_secret() -> (Place, StartRequest) {
    let (url, _) = server("");
    let place = Place::new().runbook("fix", &WITH_SECRET.replace("URL", &url)).secret(VALUE);
    (place, StartRequest { target: Some("here".into()), ..request("fix") })
}

#[test]
fn nothing_people_say_to_a_run_may_hold_the_value_of_a_secret() {
    let (place, request) = with_secret();
    let leaky = format!("I used {VALUE} for it");
    let told =
        |error: String| assert!(error.contains("holds the value of a secret") && !error.contains(VALUE), "{error}");
    for request in [
        StartRequest { reason: Some(leaky.clone()), ..request.clone() },
        StartRequest { incident: Some(leaky.clone()), ..request.clone() },
    ] {
        told(refused(start(&place.runs(), &request)));
    }
    started(&place.runs(), &request);
    // Another process, which has not read the secret yet.
    told(refused(place.runs().note(&place.row(), &leaky, &ben())));
    told(refused(place.runs().answer(&place.row(), None, &typed("ready", &leaky), &ben())));
    told(refused(place.runs().cancel(&place.row(), &ben(), Some(leaky.clone()))));
    told(refused(place.runs().resume(&place.row(), vec![], Some(leaky.clone()), foreground(false).1)));

    place.runs().answer(&place.row(), None, &typed("ready", "yes"), &ben()).unwrap();
    assert_eq!(resume(&place.runs(), &place.row(), vec![]).unwrap().why, Why::InDoubt);
    let outputs = Map::from([("id".to_owned(), Value::from(leaky.as_str()))]);
    told(refused(resume(
        &place.runs(),
        &place.row(),
        vec![DecideRequest { outputs, ..decide("send", Decision::Done) }],
    )));
    let reason = DecideRequest { reason: leaky.clone(), ..decide("send", Decision::Done) };
    told(refused(resume(&place.runs(), &place.row(), vec![reason])));

    let lines = serde_json::to_string(&place.events()).unwrap();
    assert!(!lines.contains(VALUE));
    assert!(place.runs().pending(&place.row()).unwrap().is_empty());
}

#[test]
fn a_file_that_holds_the_value_of_a_secret_is_not_pinned() {
    for (file, text) in [
        (
            "project/targets/here.yaml",
            "version: 1\ntitle: VALUE\nsecrets: { TOKEN: { from: file, path: secret.txt } }\n",
        ),
        ("project/rerail.yaml", "version: 1 # VALUE\n"),
    ] {
        let (place, request) = with_secret();
        place.write(file, text.replace("VALUE", VALUE));
        let error = refused(start(&place.runs(), &request));
        assert!(error.contains(&format!("`{}` holds the value", file.trim_start_matches("project/"))), "{error}");
    }
}

#[test]
fn a_secret_whose_source_is_gone_keeps_nobody_from_speaking() {
    let (place, request) = with_secret();
    started(&place.runs(), &request);
    std::fs::remove_file(place.path("project/secret.txt")).unwrap();
    place.runs().note(&place.row(), "the vault is gone", &ben()).unwrap();
    place.runs().cancel(&place.row(), &ben(), None).unwrap();
}

#[test]
fn a_text_too_long_for_a_transcript_is_refused() {
    let place = Place::new().runbook("ask", ASK);
    started(&place.runs(), &request("ask"));
    let error = refused(place.runs().note(&place.row(), &"x".repeat(65 * 1024), &ben()));
    assert_eq!(error, "the note has 66560 bytes, more than 65536");
}

#[test]
fn a_secret_that_only_shows_at_run_time_is_not_shown() {
    for call in [
        "run::note(#{ text: t })",
        "run::note(#{ text: \"it is \" + t })",
        "human::ask(#{ text: t })",
        "human::ask(#{ text: \"?\", choices: [t] })",
        "run::finish(#{ message: t })",
        "run::fail(#{ message: t })",
        "file::write(#{ path: \"out/x\", text: t })",
    ] {
        let scenario =
            format!("\nsecrets: [TOKEN]\nsteps:\n  - {{ id: work, script: 'let t = secrets.TOKEN; {call}' }}\n");
        let ended = Scenario::new(&scenario).run();
        let name = call.split('(').next().unwrap().replace("::", ".");
        let message = ended.message(&format!("work/{name}#1"));
        assert!(message.contains("holds a secret"), "{call}: {message:?}");
        let shown = |body: &Body| matches!(body, Body::Note { .. } | Body::AskAsked { .. } | Body::RunFinished { .. });
        let lines = ended.run.events.iter().filter(|event| shown(&event.body));
        assert!(
            lines.into_iter().all(|event| !serde_json::to_string(event).unwrap().contains("secret TOKEN")),
            "{call}"
        );
        assert!(ended.world.calls.is_empty(), "{call}");
    }
    let found = "
secrets: [TOKEN]
steps:
  - { id: pass, script: secrets.TOKEN }
  - { id: tell, findings: [{ when: 'true', level: warning, say: 'it is ${{ steps.pass.outputs }}' }] }
";
    let ended = Scenario::new(found).run();
    let tell = ended.facts().steps["tell"].finished.as_ref().unwrap();
    assert_eq!(tell.outcome, Outcome::Failed);
    assert_eq!(tell.error.as_ref().unwrap().kind, FailureKind::Secret);
    assert!(ended.facts().findings.is_empty());
}
