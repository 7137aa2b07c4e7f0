//! The keys that repeat, branch, bound and settle: each reaches the model, each mistake of form its place.

use std::time::Duration;

use super::*;
use crate::runbook::model::{Body, IfBusy, Retry};
use crate::runbook::problem::render;
use crate::runbook::snippet::TemplateNode;
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::Value;

const HEAD: &str = "version: 1\ntitle: T\n";

fn read(kind: Kind, text: &str) -> (Option<Runbook>, Vec<Problem>) {
    read_runbook("redeploy", kind, &Source::new("redeploy.yaml", format!("{HEAD}{text}")))
}

fn good(kind: Kind, text: &str) -> Runbook {
    let (runbook, problems) = read(kind, text);
    runbook.unwrap_or_else(|| panic!("{}", render(&problems, false)))
}

fn steps(text: &str) -> Block {
    good(Kind::Runbook, &format!("steps:\n{text}")).steps
}

/// Code and the text under the caret of each problem, and the first one's words.
fn wrong(kind: Kind, text: &str) -> (Vec<(&'static str, String)>, String) {
    let (_, problems) = read(kind, text);
    let under = |problem: &Problem| problem.source.text[problem.span.start..problem.span.end].to_owned();
    let places = problems.iter().map(|problem| (problem.code, under(problem))).collect();
    (places, problems.first().map(|problem| problem.message.clone()).unwrap_or_default())
}

fn in_step(line: &str) -> Vec<(&'static str, String)> {
    wrong(Kind::Runbook, &format!("steps:\n  - uses: a.b\n    {line}\n")).0
}

fn text(template: &Template) -> String {
    template.literal().map(|value| value.to_string()).unwrap_or_default()
}

#[test]
fn a_file_as_a_whole_has_its_limits_and_its_group() {
    let runbook = good(
        Kind::Runbook,
        "timeout: 30m\nconcurrency: { group: \"deploy-${{ inputs.service }}\", if_busy: attach }\nsteps:\n  - script: '1'\n",
    );
    assert_eq!(text(runbook.timeout.as_ref().unwrap()), "30m");
    let concurrency = runbook.concurrency.unwrap();
    assert!(matches!(concurrency.group.node, TemplateNode::Mixed(_)));
    assert_eq!(concurrency.if_busy, IfBusy::Attach);
    let refuse = good(Kind::Runbook, "concurrency: { group: deploy }\nsteps:\n  - script: '1'\n");
    assert_eq!(refuse.concurrency.unwrap().if_busy, IfBusy::Refuse);
    let action = good(
        Kind::Action,
        "steps:\n  - script: '1'\nplan: { summary: \"redeploy ${{ inputs.a }}\", before: 1, after: [2], reversible: true }\n",
    );
    let plan = action.plan.unwrap();
    assert_eq!(plan.before.unwrap().literal(), Some(Value::Int(1)));
    assert_eq!(plan.reversible.unwrap().literal(), Some(Value::Bool(true)));
}

#[test]
fn keys_of_the_other_kind_of_file_say_where_they_belong() {
    let body = "steps:\n  - script: '1'\n";
    for (kind, key, line) in [
        (Kind::Action, "timeout", "timeout: 5m"),
        (Kind::Action, "concurrency", "concurrency: { group: a }"),
        (Kind::Runbook, "plan", "plan: { summary: a }"),
    ] {
        let (places, message) = wrong(kind, &format!("{line}\n{body}"));
        assert_eq!(places, [("E0103", key.to_owned())], "{line}");
        assert!(message.starts_with(&format!("`{key}` is a key of ")), "{message}");
    }
    for (line, code, under) in [
        ("concurrency: {}", "E0106", ""),
        ("concurrency: deploy", "E0107", "deploy"),
        ("concurrency: { group: a, if_busy: queue }", "E0107", "queue"),
        ("concurrency: { group: a, cancel-in-progress: true }", "E0103", "cancel-in-progress"),
        ("timeout: 5", "E0107", "5"),
        ("settle: {}", "E0103", "settle"),
    ] {
        let (places, _) = wrong(Kind::Runbook, &format!("{line}\n{body}"));
        assert_eq!(places.len(), 1, "{line}: {places:?}");
        assert_eq!(places[0].0, code, "{line}: {places:?}");
        assert!(places[0].1.starts_with(under), "{line}: {places:?}");
    }
}

#[test]
fn a_foreach_takes_a_list_or_one_expression() {
    let items = |value: &str| {
        let steps = steps(&format!("  - uses: a.b\n    foreach: {value}\n"));
        steps[0].foreach.clone().unwrap().items.node
    };
    let code = |value: &str| match items(value) {
        TemplateNode::Expression(snippet) => snippet.text.to_string(),
        other => panic!("{value}: {other:?}"),
    };
    assert_eq!(code("inputs.hosts"), "inputs.hosts");
    assert_eq!(code("1..=6"), "1..=6");
    assert_eq!(code("\"${{ inputs.hosts }}\""), "inputs.hosts");
    assert_eq!(code("'[1, 2].filter(|n| n > 1)'"), "[1, 2].filter(|n| n > 1)");
    assert!(matches!(items("[a, \"${{ inputs.b }}\", { c: 1 }]"), TemplateNode::List(list) if list.len() == 3));
    let width = |value: &str| {
        let steps = steps(&format!("  - uses: a.b\n    foreach: [a]\n    max_parallel: {value}\n"));
        steps[0].foreach.clone().unwrap().max_parallel.unwrap()
    };
    assert_eq!(width("4").literal(), Some(Value::Int(4)));
    assert!(matches!(width("\"${{ inputs.width }}\"").node, TemplateNode::Expression(_)));
    for (line, code, under) in [
        ("max_parallel: 2", "E0115", "max_parallel"),
        ("foreach: []", "E0107", "[]"),
        ("foreach: 5", "E0107", "5"),
        ("foreach: true", "E0107", "true"),
        ("foreach: { a: 1 }", "E0107", "{ a: 1 }"),
        ("foreach:", "E0107", ""),
        ("foreach: \"${{ inputs.a }}, ${{ inputs.b }}\"", "E0304", "$"),
    ] {
        let places = in_step(line);
        assert_eq!(places.first().map(|(code, _)| *code), Some(code), "{line}: {places:?}");
        assert!(places[0].1.starts_with(under), "{line}: {places:?}");
    }
    for (width, under) in [("0", "0"), ("many", "many"), ("\"a ${{ inputs.b }}\"", "\"a ${{ inputs.b }}\"")] {
        assert_eq!(
            in_step(&format!("foreach: [a]\n    max_parallel: {width}")),
            [("E0107", under.to_owned())],
            "{width}"
        );
    }
}

#[test]
fn the_items_of_a_list_end_at_the_limit() {
    let many = |count: usize| format!("foreach: [{}]", "a,".repeat(count));
    assert_eq!(in_step(&many(10_000)), []);
    let places = in_step(&many(10_001));
    assert_eq!(places.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["E0114"]);
}

#[test]
fn branches_stand_in_a_list_and_keep_their_ids() {
    let steps = steps(
        "  - parallel:\n      - { id: one, uses: a.b }\n      - steps: [{ id: two, uses: a.b }]\n    timeout: 5m\n    outputs: { both: \"${{ steps.one.outcome }}\" }\n",
    );
    let Body::Parallel(branches) = &steps[0].body else { panic!("{:?}", steps[0].body) };
    assert_eq!((steps[0].id.as_str(), branches[0].id.as_str(), branches[1].id.as_str()), ("parallel", "one", "steps"));
    assert!(steps[0].timeout.is_some() && steps[0].outputs.is_some());
    let twice = "steps:\n  - id: one\n    uses: a.b\n  - parallel: [{ id: one, uses: a.b }]\n";
    assert_eq!(wrong(Kind::Runbook, twice).0, [("E0116", "one".to_owned())]);
}

#[test]
fn a_retry_has_attempts_pauses_and_reasons() {
    let steps = steps(
        "  - uses: a.b\n    retry: { attempts: 20, delay: 2s, backoff: 1.5, max_delay: \"${{ inputs.most }}\", on: [timeout, 5xx, 429, refused] }\n  - uses: a.b\n    retry: { attempts: 3 }\n",
    );
    let retry = steps[0].retry.clone().unwrap();
    assert_eq!((retry.attempts, retry.backoff), (20, 1.5));
    assert_eq!(text(&retry.delay.unwrap()), "2s");
    let on: Vec<&str> = retry.on.iter().map(|word| word.value.as_str()).collect();
    assert_eq!(on, ["timeout", "5xx", "429", "refused"]);
    let plain = steps[1].retry.clone().unwrap();
    assert_eq!((plain.attempts, plain.backoff, plain.delay.is_none()), (3, Retry::BACKOFF_DEFAULT, true));
    for (retry, code, under) in [
        ("3", "E0107", "3"),
        ("{}", "E0106", "{}"),
        ("{ delay: 1s }", "E0106", "delay"),
        ("{ attempts: 0 }", "E0107", "0"),
        ("{ attempts: 21 }", "E0107", "21"),
        ("{ attempts: 2, backoff: 0.5 }", "E0107", "0.5"),
        ("{ attempts: 2, backoff: fast }", "E0107", "fast"),
        ("{ attempts: 2, delay: 5 }", "E0107", "5"),
        ("{ attempts: 2, max_attempts: 5 }", "E0103", "max_attempts"),
        ("{ attempts: 2, on: timeout }", "E0107", "timeout"),
        ("{ on: [], attempts: 2 }", "E0107", "[]"),
        ("{ attempts: 2, on: [timeuot] }", "E0107", "timeuot"),
        ("{ attempts: 2, on: [policy] }", "E0107", "policy"),
        ("{ attempts: 2, on: [dns, dns] }", "E0116", "dns"),
    ] {
        let places = in_step(&format!("retry: {retry}"));
        assert_eq!(places, [(code, under.to_owned())], "{retry}");
    }
}

#[test]
fn a_deadline_stands_alone_or_beside_until() {
    let steps = steps(
        "  - uses: a.b\n    within: 5m\n  - uses: a.b\n    until: result.ok\n    within: 5m\n  - uses: a.b\n    foreach: [a]\n    until: result.ok\n    every: 1s\n  - assert: [{ that: inputs.a }]\n    foreach: [a]\n    until: 'true'\n  - uses: a.b\n    fail_if: result.status == 404\n  - steps: [{ uses: a.b }]\n    until: result.ok\n    within: 1m\n    outputs: { ok: \"${{ 1 }}\" }\n",
    );
    assert!(steps[0].poll.is_none() && steps[0].within.is_some());
    assert!(steps[1].poll.is_some() && steps[1].within.is_some());
    assert!(steps[2].poll.is_some() && steps[2].within.is_none());
    assert!(steps[3].poll.is_some() && steps[3].foreach.is_some());
    assert_eq!(&*steps[4].fail_if.clone().unwrap().text, "result.status == 404");
    assert!(steps[5].poll.is_some() && steps[5].outputs.is_some());
    assert_eq!(in_step("until: result.ok"), [("E0106", "until".to_owned())]);
    assert_eq!(in_step("in_a_row: 2"), [("E0115", "in_a_row".to_owned())]);
}

#[test]
fn a_write_says_how_its_doubts_are_settled() {
    let steps = steps(
        "  - id: deploy\n    uses: a.b\n    effect: destructive\n    repeat: { keyed: 1d }\n    reason: the other side drops doubles\n    settle:\n      steps:\n        - { id: now, uses: a.b }\n      happened: steps.now.outputs.ok\n      not_happened: \"!steps.now.outputs.ok\"\n      outputs: { at: \"${{ steps.now.outputs.at }}\" }\n  - uses: a.b\n    repeat: repeatable\n",
    );
    let step = &steps[0];
    assert_eq!(step.effect.as_ref().unwrap().value, Effect::Destructive);
    assert_eq!(step.repeat.as_ref().unwrap().value, Repeat::Keyed { window_s: 86_400 });
    let settle = step.settle.as_ref().unwrap();
    assert_eq!((settle.steps[0].id.as_str(), &*settle.happened.text), ("now", "steps.now.outputs.ok"));
    assert!(settle.not_happened.is_some() && settle.outputs.len() == 1);
    assert_eq!(steps[1].repeat.as_ref().unwrap().value, Repeat::Repeatable);
    let look = "{ steps: [{ uses: a.b }], happened: 'true' }";
    for (line, code, under) in [
        ("effect: writes".to_owned(), "E0107", "writes"),
        ("repeat: always".to_owned(), "E0107", "always"),
        ("repeat: keyed".to_owned(), "E0106", "keyed"),
        ("repeat: { keyed: 10ms }".to_owned(), "E0107", "10ms"),
        ("repeat: { keyed: soon }".to_owned(), "E0107", "soon"),
        ("repeat: {}".to_owned(), "E0106", "{}"),
        (format!("repeat: once\n    settle: {look}"), "E0115", "once"),
        ("settle: { steps: [{ uses: a.b }] }".to_owned(), "E0106", "steps"),
        ("settle: { happened: 'true' }".to_owned(), "E0106", "happened"),
        ("settle: { steps: [], happened: 'true' }".to_owned(), "E0107", "[]"),
        ("settle: { steps: [{ id: settle, uses: a.b }], happened: 'true' }".to_owned(), "E0105", "settle"),
    ] {
        assert_eq!(in_step(&line), [(code, under.to_owned())], "{line}");
    }
}

#[test]
fn keys_that_need_an_attempt_or_a_write_say_what_they_go_with() {
    for (body, key, value) in [
        ("assert: [{ that: 'true' }]", "retry", "{ attempts: 2 }"),
        ("findings: [{ when: 'true', level: ok, say: x }]", "retry", "{ attempts: 2 }"),
        ("assert: [{ that: 'true' }]", "fail_if", "'true'"),
        ("parallel: [{ script: '1' }]", "until", "'true'"),
        ("parallel: [{ script: '1' }]", "fail_if", "'true'"),
        ("script: '1'", "effect", "read"),
        ("script: '1'", "repeat", "repeatable"),
        ("steps: [{ script: '1' }]", "settle", "{ steps: [{ script: '2' }], happened: 'true' }"),
        ("findings: [{ when: 'true', level: ok, say: x }]", "outputs", "{ a: 1 }"),
    ] {
        let within = if key == "until" { "    within: 1m\n" } else { "" };
        let text = format!("steps:\n  - {body}\n    {key}: {value}\n{within}");
        assert_eq!(wrong(Kind::Runbook, &text).0, [("E0115", key.to_owned())], "{body} {key}");
    }
}

#[test]
fn defaults_are_limits_and_retries() {
    let defaults =
        good(Kind::Action, "defaults: { timeout: 20s, retry: { attempts: 3 } }\nsteps:\n  - script: '1'\n").defaults;
    assert_eq!((defaults.timeout.as_ref().map(text), defaults.retry.unwrap().attempts), (Some("20s".to_owned()), 3));
    for (line, under) in [("{ retries: 3 }", "retries"), ("{ timeout: 5 }", "5"), ("{ retry: { attempts: 99 } }", "99")]
    {
        let (places, _) = wrong(Kind::Runbook, &format!("defaults: {line}\nsteps:\n  - script: '1'\n"));
        assert_eq!(places.iter().map(|(_, under)| under.as_str()).collect::<Vec<_>>(), [under], "{line}");
    }
}

#[test]
fn limits_of_the_model_are_those_of_the_language() {
    assert_eq!(Runbook::TIMEOUT_DEFAULT, Duration::from_secs(4 * 60 * 60));
    assert_eq!((Retry::DELAY_DEFAULT, Retry::MAX_DELAY_DEFAULT), (Duration::from_secs(1), Duration::from_secs(60)));
}

#[test]
fn an_undo_is_a_body_with_the_id_of_its_step() {
    let undo = |text: &str| format!("steps:\n  - id: made\n    uses: a.b\n    undo: {text}\n");
    let made = good(
        Kind::Runbook,
        &undo(
            "{ uses: c.d, with: { x: 1 }, safe_if_never_happened: true, retry: { attempts: 2 }, repeat: repeatable, reason: r }",
        ),
    );
    let back = made.steps[0].undo.as_ref().unwrap();
    assert_eq!((back.step().id.as_str(), back.safe_if_never_happened), ("made", true));
    assert!(back.step().retry.is_some() && back.step().repeat.is_some());
    let cases = [
        ("1", "E0107", "1"),
        ("{}", "E0115", "{}"),
        ("{ assert: [{ that: x }] }", "E0103", "assert"),
        ("{ uses: c.d, script: '1' }", "E0115", "script"),
        ("{ uses: c.d, id: x }", "E0103", "id"),
        ("{ uses: c.d, if: x }", "E0103", "if"),
        ("{ uses: c.d, undo: { uses: e.f } }", "E0103", "undo"),
        ("{ script: '1', with: {} }", "E0115", "with"),
        ("{ uses: c.d, safe_if_never_happened: maybe }", "E0107", "maybe"),
        ("{ steps: [{ id: made, uses: c.d }] }", "E0116", "made"),
    ];
    for (text, code, at) in cases {
        assert_eq!(wrong(Kind::Runbook, &undo(text)).0, [(code, at.to_owned())], "{text}");
    }
    assert_eq!(
        wrong(Kind::Runbook, "steps:\n  - assert: [{ that: 'true' }]\n    undo: { uses: c.d }\n").0,
        [("E0115", "undo".to_owned())]
    );
}
