//! The figures rerail is held to, each as a ratio to a yardstick measured in the same run: `cargo bench`.
//!
//! Single times mean little on a busy machine, ratios do: both sides are measured in turn, and the median counts.
//! `cargo bench -- P3 P11` runs only those; `-- --strict` ends with an error if a bound is not kept.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that can't be made has failed, and its table is printed"
)]

mod durable;
mod history;
mod language;
mod measure;
mod pages;
mod probes;
mod program;
mod redact;
mod serve;
mod start;

use crate::measure::Row;

/// A part of the table, and what measures it.
type Part = (&'static [&'static str], fn() -> Vec<Row>);

const PARTS: [Part; 9] = [
    (&["P1", "P14"], start::rows),
    (&["P2", "P3", "P9", "CPU"], durable::rows),
    (&["P4"], probes::rows),
    (&["P11"], history::rows),
    (&["P12", "P13"], language::rows),
    (&["MEM"], program::rows),
    (&["REDACT"], redact::rows),
    (&["S1", "S2", "S3", "S4"], serve::rows),
    (&["S5"], pages::rows),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // The yardstick of a cold start is this program as another process.
    if args.iter().any(|arg| arg == "--floor") {
        return start::floor();
    }
    let asked: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |names: &[&str]| asked.is_empty() || names.iter().any(|name| asked.contains(name));
    let mut rows = Vec::new();
    for (names, measure) in PARTS {
        if wanted(names) {
            rows.extend(measure());
        }
    }
    rows.retain(|row| wanted(&[row.name]));
    println!("{}", measure::table(&rows));
    let broken = rows.iter().filter(|row| !row.is_kept()).count();
    if broken > 0 {
        println!("{broken} bound(s) not kept");
    }
    assert!(broken == 0 || !args.iter().any(|arg| arg == "--strict"), "a bound is not kept");
}
