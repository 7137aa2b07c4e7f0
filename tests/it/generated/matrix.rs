//! The semantics of failure as a table: what stands beside a step, what the world does, how it ends.
//!
//! For people. The generated cases reach further; here each row is one sentence of the language.

use rerail::engine::event::Decision;
use rerail::script::value::Map;

use crate::generated::ast::Answer;
use crate::generated::compare::{attempt, tell};
use crate::scenario::Scenario;

/// A row: steps, what the world answers, and how it ends: the run, its steps in the order they began, and the calls.
///
/// `GET a`, `POST a`, `PUT a` and `KEYED a` stand for a read and for writes that may not be repeated, may be
/// repeated, and are known by a key, each with the id `a`. `NOTE a` does nothing, `FAIL a` fails.
struct Row {
    steps: &'static str,
    world: &'static str,
    ends: &'static str,
}

const fn row(steps: &'static str, world: &'static str, ends: &'static str) -> Row {
    Row { steps, world, ends }
}

/// One outcome after the other.
const PLAIN: [Row; 8] = [
    row("[{ GET a }, { NOTE b }]", "a: done", "success: a done, b done; called a"),
    row("[{ GET a }, { NOTE b }]", "a: wrong", "failed at a: a failed; called a"),
    row("[{ GET a }, { NOTE b }]", "a: lost", "failed at a: a failed; called a"),
    row("[{ POST a }, { NOTE b }]", "a: refused", "failed at a: a refused; called a"),
    row("[{ POST a, continue_on_failure: true }, { NOTE b }]", "a: refused", "success: a refused, b done; called a"),
    row("[{ NOTE a, if: vars.no }, { NOTE b }]", "", "success: a skipped, b done; called nothing"),
    row("[{ GET a }, { NOTE b, if: steps.a.outputs.json.n > 1 }]", "a: wrong", "failed at a: a failed; called a"),
    row(
        "[{ GET a, continue_on_failure: true }, { NOTE b, if: steps.a.outputs.json.n > 1 }]",
        "a: wrong",
        "failed at b: a failed, b failed; called a",
    ),
];

/// Writes nobody knows the end of. A person says `done` of what is still in doubt.
const DOUBT: [Row; 5] = [
    row("[{ POST a }, { NOTE b }]", "a: doubt", "success: a done, b done; called a, asked of a"),
    row("[{ PUT a }, { NOTE b }]", "a: doubt, done", "success: a done, b done; called a a"),
    row("[{ KEYED a }]", "a: doubt, doubt, done", "success: a done; called a a a"),
    row("[{ KEYED a }]", "a: doubt", "success: a done; called a a a, asked of a"),
    row("[{ POST a, retry: { attempts: 3 } }]", "a: doubt", "success: a done; called a, asked of a"),
];

/// Another attempt: after a transient refusal always, after a failure only where nothing can happen twice.
const RETRY: [Row; 10] = [
    row("[{ GET a, retry: { attempts: 3 } }]", "a: lost, done", "success: a done; called a a"),
    row("[{ GET a, retry: { attempts: 3 } }]", "a: lost", "failed at a: a failed; called a a a"),
    row("[{ GET a, retry: { attempts: 3 } }]", "a: busy, done", "success: a done; called a a"),
    row("[{ GET a, retry: { attempts: 3 } }]", "a: refused, done", "failed at a: a refused; called a"),
    row("[{ POST a, retry: { attempts: 3 } }]", "a: busy, busy, done", "success: a done; called a a a"),
    row("[{ POST a, retry: { attempts: 3 } }]", "a: wrong, done", "failed at a: a failed; called a"),
    row("[{ KEYED a, retry: { attempts: 3 } }]", "a: wrong, done", "failed at a: a failed; called a"),
    row("[{ PUT a, retry: { attempts: 3 } }]", "a: wrong, done", "success: a done; called a a"),
    row("[{ GET a, retry: { attempts: 3, on: [timeout] } }]", "a: wrong, done", "failed at a: a failed; called a"),
    row(
        "[{ id: g, retry: { attempts: 2 }, steps: [{ PUT a }, { GET b }] }]",
        "a: done; b: lost, done",
        "success: a done, b done; called a b a b",
    ),
];

/// Waiting for the world.
const POLL: [Row; 7] = [
    row("[{ GET a, until: result.json.n == 1, within: 1m }]", "a: done, lost, one", "success: a done; called a a a"),
    row("[{ GET a, until: result.json.n == 1, within: 1m }]", "a: busy, one", "success: a done; called a a"),
    row("[{ GET a, until: result.json.n == 1, within: 1m }]", "a: wrong, one", "failed at a: a failed; called a"),
    row("[{ GET a, until: result.json.n == 1, within: 1m }]", "a: refused, one", "failed at a: a refused; called a"),
    row("[{ GET a, until: result.json.n == 1, within: 12s }]", "a: done", "failed at a: a failed; called a a a"),
    row(
        "[{ GET a, until: result.json.n == 1, in_a_row: 2, within: 1m }]",
        "a: one, done, one",
        "success: a done; called a a a a",
    ),
    row("[{ GET a, fail_if: result.json.n == 1 }]", "a: one", "failed at a: a failed; called a"),
];

/// Side by side: every branch and every item that began comes to its own end, and the worst one counts.
const WIDE: [Row; 7] = [
    row(
        "[{ id: p, parallel: [{ POST a }, { POST b }] }, { NOTE c }]",
        "a: refused; b: done",
        "failed at a: a refused, b done; called a b",
    ),
    row(
        "[{ id: p, parallel: [{ GET a }, { GET b }] }]",
        "a: refused; b: wrong",
        "failed at b: a refused, b failed; called a b",
    ),
    row(
        "[{ id: p, parallel: [{ GET a, continue_on_failure: true }, { GET b }] }, { NOTE c }]",
        "a: wrong; b: done",
        "success: a failed, b done, c done; called a b",
    ),
    row(
        "[{ GET a, foreach: [7, 8, 9] }]",
        "a[0]: done; a[1]: wrong; a[2]: done",
        "failed at a[1]: a failed, a[0] done, a[1] failed; called a[0] a[1]",
    ),
    row(
        "[{ GET a, foreach: [7, 8, 9], continue_on_failure: true }]",
        "a[0]: done; a[1]: wrong; a[2]: done",
        "success: a failed, a[0] done, a[1] failed, a[2] done; called a[0] a[1] a[2]",
    ),
    row(
        "[{ GET a, foreach: [7, 8, 9], max_parallel: 3 }]",
        "a[0]: wrong; a[1]: done; a[2]: done",
        "failed at a[0]: a failed, a[0] failed, a[1] done, a[2] done; called a[0] a[1] a[2]",
    ),
    row("[{ NOTE a, foreach: vars.nothing }, { NOTE b }]", "", "success: a done, b done; called nothing"),
];

/// Limits, ends and questions.
const ENDS: [Row; 4] = [
    row("[{ id: a, uses: run.finish }, { NOTE b }]", "", "success: a done; called nothing"),
    row("[{ FAIL a }, { NOTE b }]", "", "failed at a: a failed; called nothing"),
    row(
        "[{ id: a, uses: human.ask, with: { text: 'go on?' } }, { NOTE b }]",
        "",
        "rejected at a: a rejected; called nothing",
    ),
    row(
        "[{ id: g, within: 7s, steps: [{ id: a, uses: time.sleep, with: { duration: 8s } }, { NOTE b }] }]",
        "",
        "failed at g: a cancelled; called nothing",
    ),
];

#[test]
fn a_step_ends_as_the_world_says() {
    check(&PLAIN);
}

#[test]
fn a_write_in_doubt_is_settled_by_its_repeat_or_by_a_person() {
    check(&DOUBT);
}

#[test]
fn another_attempt_is_made_only_where_nothing_can_happen_twice() {
    check(&RETRY);
}

#[test]
fn a_poll_waits_for_what_may_change_and_stops_at_what_will_not() {
    check(&POLL);
}

#[test]
fn side_by_side_the_worst_end_counts() {
    check(&WIDE);
}

#[test]
fn a_run_ends_once_by_limits_by_questions_or_on_purpose() {
    check(&ENDS);
}

fn check(rows: &[Row]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let ends = play(row);
            (ends != row.ends)
                .then(|| format!("{}\n    with {}\n    wanted {}\n    got    {ends}", row.steps, row.world, row.ends))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The step behind each word of the table.
fn spelled(steps: &str) -> String {
    let mut text = steps.to_owned();
    for id in ["a", "b", "c"] {
        let url = format!("url: 'http://w.example.com/{id}'");
        for (word, body) in [
            ("GET", format!("uses: http.probe, with: {{ {url} }}")),
            ("POST", format!("uses: http.request, with: {{ method: POST, {url} }}")),
            ("PUT", format!("uses: http.request, with: {{ method: PUT, repeatable: true, reason: replaces, {url} }}")),
            (
                "KEYED",
                format!(
                    "uses: http.request, with: {{ method: POST, idempotency: {{ header: Key, window: 24h }}, {url} }}"
                ),
            ),
            ("NOTE", "uses: run.note, with: { text: noted }".to_owned()),
            ("FAIL", "uses: run.fail, with: { message: on purpose }".to_owned()),
        ] {
            text = text.replace(&format!("{word} {id}"), &format!("id: {id}, {body}"));
        }
    }
    format!("vars: {{ no: false, nothing: [] }}\nsteps: {text}\n")
}

fn answer(word: &str) -> Answer {
    match word {
        "done" => Answer::Done(0),
        "one" => Answer::Done(1),
        "busy" => Answer::Refused { transient: true },
        "refused" => Answer::Refused { transient: false },
        "wrong" => Answer::Failed,
        "lost" => Answer::Lost,
        "doubt" => Answer::InDoubt,
        word => panic!("no such answer: {word}"),
    }
}

fn play(row: &Row) -> String {
    let mut scenario = Scenario::new(&spelled(row.steps));
    for call in row.world.split("; ").filter(|call| !call.is_empty()) {
        let (path, answers) = call.split_once(": ").expect("a path and its answers");
        scenario = scenario.answers(path, answers.split(", ").map(|word| attempt(answer(word))));
    }
    let mut ended = scenario.run();
    let mut asked = Vec::new();
    while let Some(step) = ended.waits.doubts.first().map(ToString::to_string) {
        ended = ended.decide(&step, Decision::Done, Map::new());
        asked.push(format!(", asked of {step}"));
    }
    if let Some(expires) = ended.waits.expires.filter(|_| ended.waits.finished.is_none()) {
        ended.run.now = expires;
        ended = ended.go_on();
    }
    let story = tell(&ended.run, &ended.world);
    let at = story.failed_step.map(|step| format!(" at {step}")).unwrap_or_default();
    let calls: Vec<&str> = story.calls.iter().map(|(step, _)| step.as_str()).collect();
    let calls = if calls.is_empty() { "nothing".to_owned() } else { calls.join(" ") };
    let groups = ["g", "p"];
    let outcomes = ended.outcomes();
    let steps: Vec<&str> = outcomes
        .split(", ")
        .filter(|step| !groups.iter().any(|group| step.starts_with(&format!("{group} "))))
        .collect();
    format!("{}{at}: {}; called {calls}{}", story.end, steps.join(", "), asked.concat())
}
