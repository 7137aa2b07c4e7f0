//! P12: checking a runbook of 100 lines. P13: an expression of a step.

use std::sync::Arc;
use std::time::Duration;

use rerail::runbook::program::load;
use rerail::runbook::source::Source;
use rerail::script::compile;
use rerail::script::sandbox::{Input, Readable, Sandbox};
use rerail::script::value::Value;
use rerail::steps::catalog;

use crate::measure::{Row, median, timed};

const ROUNDS: usize = 201;

pub fn rows() -> Vec<Row> {
    vec![check(), expression()]
}

fn check() -> Row {
    let head = "version: 1\ntitle: A measurement\nowner: benches\nreviewed: 2026-11-01\ninputs:\n  url: { type: url }\nsteps:\n";
    let step = |n: usize| {
        format!(
            "  - id: s{n}\n    if: inputs.url.scheme == \"https\"\n    uses: http.probe\n    with:\n      url: \"${{{{ inputs.url }}}}/{n}\"\n    timeout: 5s\n"
        )
    };
    let text = format!("{head}{}", (0..16).map(step).collect::<String>());
    let lines = text.lines().count();
    let source = Source::new("runbooks/bench.yaml", text);
    let nowhere = tempfile::tempdir().unwrap();
    let library = rerail::project::Project::discover(nowhere.path()).unwrap();
    let specs = catalog::specs();
    let once = || {
        let (took, (program, problems)) = timed(|| load("bench", Arc::clone(&source), &library, &specs));
        assert!(program.is_some(), "{problems:?}");
        took
    };
    once();
    let ms = median((0..ROUNDS).map(|_| once()).collect()).as_secs_f64() * 1e3;
    Row::plain("P12", &format!("checking a runbook of {lines} lines"), ms, 2.0, "ms")
}

fn expression() -> Row {
    let code = compile::expression("inputs.count > 3 && inputs.name == \"backend\"").unwrap();
    let sandbox = Sandbox::new(&[], &[]).unwrap();
    let inputs = Value::map([("count", Value::from(7)), ("name", Value::from("backend"))]);
    const EACH: u32 = 1000;
    let once = || {
        let (took, ()) = timed(|| {
            for _ in 0..EACH {
                let contexts = [("inputs", Readable::Value(inputs.clone()))].into();
                let evaluation = sandbox.evaluate(&code, Input { contexts, ..Input::default() });
                std::hint::black_box(evaluation);
            }
        });
        took / EACH
    };
    once();
    let us = median((0..21).map(|_| once()).collect::<Vec<Duration>>()).as_secs_f64() * 1e6;
    Row::plain("P13", "evaluating `inputs.count > 3 && inputs.name == \"backend\"`", us, 5.0, "µs")
}
