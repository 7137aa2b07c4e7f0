//! A case as YAML text: what the real reader and checker get.

use std::fmt::Write as _;

use crate::generated::ast::{
    Body, Call, Case, Condition, File, Kind, Last, Step, Stmt, Verb, action_name, runbook_name,
};

/// The text of a runbook or action, below its head.
///
/// The first step of `finally` says of each step of the main part how it ended, as an expression sees it; an
/// action's last step does the same.
fn file(file: &File, kind: Kind) -> String {
    let mut text = String::from("vars: { yes: true, no: false, nothing: [] }\nsteps:\n");
    steps(&mut text, &file.steps, 1);
    if kind == Kind::Action {
        witness(&mut text, &file.steps);
        text.push_str("outputs: { json: { n: 1 } }\n");
    }
    if !file.on_failure.is_empty() {
        text.push_str("on_failure:\n");
        steps(&mut text, &file.on_failure, 1);
    }
    if kind == Kind::Runbook || !file.finally.is_empty() {
        text.push_str("finally:\n");
    }
    if kind == Kind::Runbook {
        witness(&mut text, &file.steps);
    }
    steps(&mut text, &file.finally, 1);
    text
}

/// The texts of a case: the runbook's, then the actions' by name.
pub fn texts(case: &Case) -> (String, Vec<(String, String)>) {
    let called = case.actions.iter().enumerate().flat_map(|(number, action)| {
        let text = file(action, Kind::Action);
        [(action_name(number), text.clone()), (format!("runbooks/{}", runbook_name(number)), text)]
    });
    (file(&case.runbook, Kind::Runbook), called.collect())
}

fn witness(text: &mut String, seen: &[Step]) {
    let mut said = Vec::new();
    visible(seen, &mut |step| {
        let id = &step.id;
        said.push(format!("{id}=${{{{ steps.{id}.outcome }}}}"));
    });
    let said = said.join(" ");
    let _ = writeln!(text, "  - id: witness\n    findings: [{{ when: vars.yes, level: info, say: 'saw {said}' }}]");
}

/// Steps an expression after these can read, in order.
pub fn visible<'a>(steps: &'a [Step], see: &mut dyn FnMut(&'a Step)) {
    for step in steps {
        if let (Some(inner), None) = (step.body.inner(), step.foreach) {
            visible(inner, see);
        }
        see(step);
    }
}

fn steps(text: &mut String, steps: &[Step], depth: usize) {
    for one in steps {
        step(text, one, depth);
    }
}

fn step(text: &mut String, step: &Step, depth: usize) {
    let pad = "  ".repeat(depth);
    let _ = writeln!(text, "{pad}- id: {}", step.id);
    let mut line = |line: String| {
        let _ = writeln!(text, "{pad}  {line}");
    };
    if let Some(condition) = &step.condition {
        line(format!("if: '{}'", expression(condition)));
    }
    if let Some(foreach) = &step.foreach {
        let items: Vec<String> = (0..foreach.items).map(|i| i.to_string()).collect();
        match items.is_empty() {
            true => line("foreach: vars.nothing".to_owned()),
            false => line(format!("foreach: [{}]", items.join(", "))),
        }
        if foreach.max_parallel > 1 {
            line(format!("max_parallel: {}", foreach.max_parallel));
        }
    }
    match &step.body {
        Body::Call(call) => {
            line(format!("uses: {}", call.verb.uses()));
            line(format!("with: {{ {} }}", arguments(&step.id, call)));
        }
        Body::Script(stmts, last) => {
            line("script: |".to_owned());
            for (n, stmt) in stmts.iter().enumerate() {
                line(format!("  {}", statement(&step.id, n, stmt)));
            }
            line(match last {
                Last::Value(n) => format!("  #{{ json: #{{ n: {n} }} }}"),
                Last::Throw => "  throw \"on purpose\";".to_owned(),
                Last::Finish => "  run::finish(#{ message: \"enough\" });".to_owned(),
            });
        }
        Body::Assert(condition) => line(format!("assert: [{{ that: '{}' }}]", expression(condition))),
        Body::Findings(condition) => line(format!(
            "findings: [{{ when: '{}', level: warning, say: 'found by {}' }}]",
            expression(condition),
            step.id
        )),
        // Two branches may well call the same one.
        Body::Action(number) => line(format!("uses: {}\n{pad}  reason: all are meant", action_name(*number))),
        Body::Runbook(number) => {
            let name = runbook_name(*number);
            line(format!("uses: runbook\n{pad}  with: {{ name: {name} }}\n{pad}  reason: all are meant"));
        }
        Body::Sleep(seconds) => line(format!("uses: time.sleep\n{pad}  with: {{ duration: {seconds}s }}")),
        Body::Ask { .. } => line(format!("uses: human.ask\n{pad}  with: {{ text: 'go on?', expires: 10m }}")),
        Body::Note => line(format!("uses: run.note\n{pad}  with: {{ text: noted }}")),
        Body::Fail { finishes: true } => {
            line(format!("uses: run.finish\n{pad}  with: {{ status: failed, message: on purpose }}"));
        }
        Body::Fail { finishes: false } => line(format!("uses: run.fail\n{pad}  with: {{ message: on purpose }}")),
        Body::Finish => line(format!("uses: run.finish\n{pad}  with: {{ message: enough }}")),
        Body::Steps(_) => line("steps:".to_owned()),
        Body::Parallel(_) => line("parallel:".to_owned()),
    }
    if let Some(inner) = step.body.inner() {
        steps(text, inner, depth + 2);
    }
    let mut line = |line: String| {
        let _ = writeln!(text, "{pad}  {line}");
    };
    if let Some(id) = &step.gives {
        line(format!("outputs: {{ json: {{ n: '${{{{ steps.{id}.outputs.json.n }}}}' }} }}"));
    }
    if let Some(until) = &step.until {
        line(format!("until: result.json.n == {}", until.n));
        line(format!("every: {}s", until.every_s));
        line(format!("in_a_row: {}", until.in_a_row));
    }
    if let Some(n) = step.fail_if {
        line(format!("fail_if: result.json.n == {n}"));
    }
    if let Some(retry) = &step.retry {
        line(format!("retry: {{ attempts: {}, delay: {}s, backoff: 1 }}", retry.attempts, retry.delay_s));
    }
    if let Some(seconds) = step.timeout_s {
        line(format!("timeout: {seconds}s"));
    }
    if let Some(seconds) = step.within_s {
        line(format!("within: {seconds}s"));
    }
    if step.continue_on_failure {
        line("continue_on_failure: true".to_owned());
    }
}

fn arguments(id: &str, call: &Call) -> String {
    let mut tail =
        call.reads.as_ref().map(|step| format!("/${{{{ steps.{step}.outputs.json.n }}}}")).unwrap_or_default();
    if call.each {
        tail.push_str("/${{ each.value }}");
    }
    let url = format!("url: 'http://w.example.com/{id}{tail}'");
    match call.verb {
        Verb::Read => url,
        Verb::Once => format!("method: POST, {url}"),
        Verb::Repeatable => format!("method: PUT, repeatable: true, reason: replaces, {url}"),
        Verb::Keyed => format!("method: POST, idempotency: {{ header: Key, window: 24h }}, {url}"),
    }
}

fn statement(id: &str, n: usize, stmt: &Stmt) -> String {
    let call = &stmt.call;
    let mut tail = call.reads.as_ref().map(|step| format!("/${{steps.{step}.outputs.json.n}}")).unwrap_or_default();
    if call.each {
        tail.push_str("/${each.value}");
    }
    let url = format!("url: `http://w.example.com/{id}/{n}{tail}`");
    let call = match call.verb {
        Verb::Read => format!("http::probe(#{{ {url} }});"),
        Verb::Once => format!("http::request(#{{ method: \"POST\", {url} }});"),
        Verb::Repeatable => {
            format!("http::request(#{{ method: \"PUT\", repeatable: true, reason: \"replaces\", {url} }});")
        }
        Verb::Keyed => format!(
            "http::request(#{{ method: \"POST\", idempotency: #{{ header: \"Key\", window: \"24h\" }}, {url} }});"
        ),
    };
    if stmt.caught { format!("try {{ {call} }} catch {{ }}") } else { call }
}

fn expression(condition: &Condition) -> String {
    match condition {
        Condition::Yes => "vars.yes".to_owned(),
        Condition::No => "vars.no".to_owned(),
        Condition::Is(id, word) => format!("steps.{id}.outcome == \"{word}\""),
        Condition::Number(id, n) => format!("steps.{id}.outputs.json.n == {n}"),
        Condition::Rounds(id, word) => format!("\"{word}\" in steps.{id}.outcomes"),
    }
}
