//! Measuring two sides in turn, and the table of what came out.

use std::time::{Duration, Instant};

/// How far above its median a yardstick may go in a run whose figures are quoted.
const NOISE_MAX: u32 = 3;

/// One line of the table.
pub struct Row {
    pub name: &'static str,
    /// What is measured against what.
    pub what: String,
    pub measured: String,
    pub yardstick: String,
    pub value: f64,
    /// What `value` must not exceed.
    pub bound: f64,
    pub unit: &'static str,
}

impl Row {
    /// A ratio of two times.
    pub fn ratio(name: &'static str, what: &str, ours: Duration, theirs: Duration, bound: f64) -> Row {
        let value = ours.as_secs_f64() / theirs.as_secs_f64();
        Row { name, what: what.into(), measured: shown(ours), yardstick: shown(theirs), value, bound, unit: "×" }
    }

    /// A figure with a bound of its own.
    pub fn plain(name: &'static str, what: &str, value: f64, bound: f64, unit: &'static str) -> Row {
        Row {
            name,
            what: what.into(),
            measured: format!("{value:.2} {unit}"),
            yardstick: "–".into(),
            value,
            bound,
            unit,
        }
    }

    pub fn is_kept(&self) -> bool {
        self.value <= self.bound
    }
}

/// A time as people read it.
pub fn shown(time: Duration) -> String {
    let us = time.as_secs_f64() * 1e6;
    match us {
        ..1000.0 => format!("{us:.1} µs"),
        ..1_000_000.0 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// The table, for a terminal and for Markdown alike.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![
        "| | what | measured | yardstick | ratio or figure | bound | |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for row in rows {
        let kept = if row.is_kept() { "kept" } else { "NOT KEPT" };
        lines.push(format!(
            "| {} | {} | {} | {} | {:.2} {} | ≤ {} | {kept} |",
            row.name, row.what, row.measured, row.yardstick, row.value, row.unit, row.bound
        ));
    }
    lines.join("\n")
}

pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let done = work();
    (began.elapsed(), done)
}

/// The medians of two sides measured in turn, after one unmeasured round.
pub fn in_turn(
    rounds: usize,
    mut ours: impl FnMut() -> Duration,
    mut theirs: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    ours();
    theirs();
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        times.0.push(ours());
        times.1.push(theirs());
    }
    // A yardstick that jumps measures the machine, and so does everything held against it.
    if let Some(worst) = times.1.iter().max().filter(|worst| **worst > NOISE_MAX * median(times.1.clone())) {
        println!(
            "noisy: a yardstick took up to {} beside {}; measure again",
            shown(*worst),
            shown(median(times.1.clone()))
        );
    }
    (median(times.0), median(times.1))
}
