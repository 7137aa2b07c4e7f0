//! Figures for Prometheus, in its text form. Numbers and fixed words only: nothing of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::surfaces::alerts::REASONS;
use crate::surfaces::alerts::proposals::{self, Fate};
use crate::surfaces::http::call::{Answer, Call};
use crate::surfaces::http::problem::Problem;

/// Counts by words that are all known before: no label comes from outside.
#[derive(Debug)]
pub struct Words<const N: usize> {
    words: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Words<N> {
    fn of(words: [&'static str; N]) -> Words<N> {
        Words { words, counts: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Counts one more of this word; one that is none of them counts as the last.
    pub fn add(&self, word: &str) {
        let at = self.words.iter().position(|known| *known == word).unwrap_or(N.saturating_sub(1));
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn samples(&self, label: &'static str) -> impl Iterator<Item = (String, u64)> + '_ {
        let all = self.words.iter().zip(&self.counts);
        all.map(move |(word, count)| (format!("{{{label}=\"{word}\"}}"), count.load(Ordering::Relaxed)))
    }
}

/// What this process has done about alerts.
#[derive(Debug)]
pub struct Alerts {
    /// As their senders say of them.
    pub received: Words<2>,
    /// Those that fit a trigger and were not known.
    pub matched: Words<1>,
    /// What was done.
    pub done: Words<7>,
    /// Why nothing was begun.
    pub refused: Words<6>,
}

impl Default for Alerts {
    fn default() -> Alerts {
        Alerts {
            received: Words::of(["firing", "resolved"]),
            matched: Words::of(["alert"]),
            done: Words::of(["started", "proposed", "shared", "unmatched", "refused", "resolved", "known"]),
            refused: Words::of(REASONS),
        }
    }
}

/// What this process has answered.
#[derive(Debug, Default)]
pub struct Tally {
    pub alerts: Alerts,
    /// What the last look of a doctor's schedule has seen: well, doubtful, broken.
    examined: [AtomicU64; 3],
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
    /// Notes what a doctor's schedule has seen.
    pub fn examined(&self, well: usize, doubtful: usize, broken: usize) {
        for (at, count) in [well, doubtful, broken].into_iter().enumerate() {
            self.examined[at].store(count as u64, Ordering::Relaxed);
        }
    }

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
    let alerts = &tally.alerts;
    let (received, done) = (alerts.received.samples("status"), alerts.done.samples("done"));
    family(&mut text, "rerail_alerts_received_total", "counter", "Alerts by what their senders say", received);
    let matched = one(alerts.matched.counts[0].load(Ordering::Relaxed));
    family(&mut text, "rerail_alerts_matched_total", "counter", "New alerts that fit a trigger", matched);
    family(&mut text, "rerail_alerts_done_total", "counter", "Alerts by what was done about them", done);
    let refused = alerts.refused.samples("reason");
    family(&mut text, "rerail_alerts_refused_total", "counter", "Alerts about which nothing was begun", refused);
    family(&mut text, "rerail_proposals", "gauge", "Proposals of the last week by what became of them", {
        let all = proposals::all(&call.runs)?;
        let of = move |fate: fn(&Fate) -> bool| all.iter().filter(|proposal| fate(&proposal.fate)).count() as u64;
        let open = of(|fate| matches!(fate, Fate::Open));
        let started = of(|fate| matches!(fate, Fate::Started { .. }));
        let dismissed = of(|fate| matches!(fate, Fate::Dismissed { .. }));
        let states = [("open", open), ("started", started), ("dismissed", dismissed)];
        states.into_iter().map(|(state, count)| (format!("{{state=\"{state}\"}}"), count))
    });
    let examined = ["well", "doubtful", "broken"].into_iter().zip(&tally.examined);
    let examined = examined.map(|(state, n)| (format!("{{state=\"{state}\"}}"), n.load(Ordering::Relaxed)));
    family(&mut text, "rerail_doctor_checks", "gauge", "What the last look of the doctor's schedule saw", examined);
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
        let words = Words::of(["a", "other"]);
        ["a", "a", "x\"} 1"].into_iter().for_each(|word| words.add(word));
        let samples: Vec<(String, u64)> = words.samples("w").collect();
        assert_eq!(samples, [("{w=\"a\"}".to_owned(), 2), ("{w=\"other\"}".to_owned(), 1)]);
        let tally = Tally::default();
        tally.answered(204);
        tally.answered(999);
        assert_eq!(tally.answers[2].load(Ordering::Relaxed), 1);
    }
}
