//! Failure semantics as generated scenarios: the engine against a small model of the language.
//!
//! A number makes a case: a runbook, what the world answers, what people decide, and one cancel or kill. The
//! engine runs its YAML, the model its tree, and both must tell the same story. `RERAIL_SEED` is the first
//! number, `RERAIL_GENERATED` how many; a failing case is cut down and printed with its number.

mod agreed;
mod ast;
mod calls;
mod compare;
mod fit;
mod generate;
mod matrix;
mod model;
mod people;
mod plans;
mod properties;
mod report;
mod shrink;
mod steps;
mod taken;
mod yaml;

use std::collections::BTreeMap;

use crate::generated::ast::Case;
use crate::generated::report::Report;

/// Cases unless `RERAIL_GENERATED` says otherwise: a few seconds without optimisation.
const CASES: u64 = 1_500;
/// Failures that differ in kind and are shown at once.
const SHOWN_MAX: usize = 6;
/// Failures that are cut down before the rest is left: each costs seconds.
const FAILURES_MAX: usize = 20;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn first_seed() -> u64 {
    number("RERAIL_SEED", 1)
}

fn cases() -> u64 {
    number("RERAIL_GENERATED", CASES)
}

#[test]
fn engine_and_model_tell_the_same_story() {
    let first = first_seed();
    let report = std::cell::RefCell::new(Report::default());
    shown_failures((first..first + cases()).map(generate::case), &|case| {
        let checked = compare::check(case)?;
        report.borrow_mut().add(case, &checked);
        Ok(())
    });
    eprintln!("{}", report.into_inner());
}

/// Checks cases; panics with those that fail, cut down, a few of different kinds.
fn shown_failures(cases: impl Iterator<Item = Case>, check: &dyn Fn(&Case) -> Result<(), String>) {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let failing = cases.filter(|case| check(case).is_err());
    for case in failing.take(FAILURES_MAX) {
        let number = case.number;
        let small = shrink::shrink(case, |case| check(case).is_err());
        let why = check(&small).err().unwrap_or_default();
        let report = format!(
            "RERAIL_SEED={number} RERAIL_GENERATED=1\n\n{}\n{}\n{why}",
            compare::shown(&small),
            compare::events(&small)
        );
        found.entry(compare::kind_of(&why)).or_insert(report);
        if found.len() >= SHOWN_MAX {
            break;
        }
    }
    let reports: Vec<String> = found.into_values().collect();
    assert!(reports.is_empty(), "{}", reports.join("\n=====\n\n"));
}
