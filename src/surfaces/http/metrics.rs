//! Figures for Prometheus, in its text form. Numbers and fixed words only: nothing of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::surfaces::http::call::{Answer, Call};
use crate::surfaces::http::problem::Problem;

/// What this process has answered.
#[derive(Debug, Default)]
pub struct Tally {
    /// By the first digit of the status.
    answers: [AtomicU64; 6],
    pub slowed: AtomicU64,
    /// Deliveries of programs: new ones, those that were sent again, those that nothing proved.
    pub received: AtomicU64,
    pub repeated: AtomicU64,
    pub unproven: AtomicU64,
    pub streams: AtomicU64,
}

impl Tally {
    /// Counts an answer.
    pub fn answered(&self, status: u16) {
        if let Some(count) = self.answers.get(usize::from(status / 100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// All figures.
pub fn figures(call: &Call<'_>) -> Result<Answer, Problem> {
    let tally = &call.server.tally;
    let held = call.runs.last_hold()?.is_some_and(|last| last.lifted.is_none());
    let mut text = String::new();
    let by_status: BTreeMap<String, u64> = call.runs.counts()?;
    let runs = by_status.into_iter().map(|(status, count)| (format!("{{status=\"{status}\"}}"), count));
    family(&mut text, "rerail_runs", "gauge", "Runs of the store by status", runs);
    let one = |value: u64| std::iter::once((String::new(), value));
    family(
        &mut text,
        "rerail_driven_runs",
        "gauge",
        "Runs driven by this process",
        one(call.server.fleet.driven() as u64),
    );
    family(
        &mut text,
        "rerail_runs_taken_up_total",
        "counter",
        "Runs taken up unasked",
        one(call.server.fleet.taken_up()),
    );
    family(&mut text, "rerail_writes_on_hold", "gauge", "1 while writes are on hold", one(u64::from(held)));
    let answers = tally.answers.iter().enumerate().skip(1);
    let answers = answers.map(|(class, count)| (format!("{{class=\"{class}xx\"}}"), count.load(Ordering::Relaxed)));
    family(&mut text, "rerail_http_answers_total", "counter", "Requests by the class of their answer", answers);
    family(
        &mut text,
        "rerail_http_slowed_total",
        "counter",
        "Requests that came too fast",
        one(tally.slowed.load(Ordering::Relaxed)),
    );
    let kinds = [("new", &tally.received), ("again", &tally.repeated), ("unproven", &tally.unproven)];
    let kinds = kinds.into_iter().map(|(kind, n)| (format!("{{kind=\"{kind}\"}}"), n.load(Ordering::Relaxed)));
    family(&mut text, "rerail_deliveries_total", "counter", "What programs sent, as far as they proved it", kinds);
    family(
        &mut text,
        "rerail_deliveries_waiting",
        "gauge",
        "Deliveries that are kept and not worked through",
        one(call.runs.open_deliveries()?),
    );
    family(
        &mut text,
        "rerail_http_streams",
        "gauge",
        "Streams of events that are open",
        one(tally.streams.load(Ordering::Relaxed)),
    );
    Ok(Answer::text("text/plain; version=0.0.4; charset=utf-8", text))
}

fn family(text: &mut String, name: &str, kind: &str, help: &str, samples: impl Iterator<Item = (String, u64)>) {
    // Writing into a string doesn't fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_prometheus_reads_it() {
        let mut text = String::new();
        family(&mut text, "rerail_runs", "gauge", "Runs", [("{status=\"failed\"}".to_owned(), 3)].into_iter());
        assert_eq!(text, "# HELP rerail_runs Runs\n# TYPE rerail_runs gauge\nrerail_runs{status=\"failed\"} 3\n");
        let tally = Tally::default();
        tally.answered(204);
        tally.answered(999);
        assert_eq!(tally.answers[2].load(Ordering::Relaxed), 1);
    }
}
