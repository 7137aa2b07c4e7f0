//! The generated-scenario report: what the cases were made of, and how their runs ended.

use std::collections::BTreeMap;
use std::fmt;

use rerail::engine::event::Body as Event;

use crate::generated::ast::{Body, Case, Condition, Interrupt, each_step_of};
use crate::generated::compare::Checked;

/// Counts over all cases.
#[derive(Debug, Default)]
pub struct Report {
    runs: usize,
    vague: usize,
    events: usize,
    calls: usize,
    decisions: usize,
    retries: usize,
    ends: BTreeMap<&'static str, usize>,
    interruptions: BTreeMap<&'static str, usize>,
    /// Outcomes of steps.
    outcomes: BTreeMap<&'static str, usize>,
    /// Cases that have a body or a key.
    features: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Counts a case whose two stories were the same.
    pub fn add(&mut self, case: &Case, checked: &Checked) {
        let played = &checked.played;
        self.runs += 1;
        self.vague += usize::from(checked.vague);
        self.events += played.run.events.len();
        self.calls += played.story.calls.len();
        for event in &played.run.events {
            match event.body {
                Event::OutcomeSet { .. } => self.decisions += 1,
                Event::StepRetrying(_) => self.retries += 1,
                _ => {}
            }
        }
        *self.ends.entry(played.story.end).or_default() += 1;
        let interruption = match (case.interrupt, &played.snapshot) {
            (Interrupt::Cancel(_), Some(_)) => "cancelled on the way",
            (Interrupt::Kill(_), Some(_)) => "killed and resumed",
            _ => "left alone",
        };
        *self.interruptions.entry(interruption).or_default() += 1;
        for word in played.story.steps.values() {
            *self.outcomes.entry(word).or_default() += 1;
        }
        for feature in features(case) {
            *self.features.entry(feature).or_default() += 1;
        }
    }
}

/// What a case has, each once.
fn features(case: &Case) -> Vec<&'static str> {
    let mut found = Vec::new();
    each_step_of(case, &case.runbook, "", &mut |_, step| {
        found.push(match &step.body {
            Body::Call(_) => "uses",
            Body::Script(..) => "script",
            Body::Assert(_) => "assert",
            Body::Findings(_) => "findings",
            Body::Steps(_) => "steps",
            Body::Parallel(_) => "parallel",
            Body::Action(_) => "action",
            Body::Runbook(_) => "runbook",
            Body::Sleep(_) => "time.sleep",
            Body::Ask { .. } => "human.ask",
            Body::Note => "run.note",
            Body::Fail { .. } => "run.fail",
            Body::Finish => "run.finish",
        });
        let keys = [
            (step.condition.is_some(), "if"),
            (step.foreach.is_some(), "foreach"),
            (step.until.is_some(), "until"),
            (step.fail_if.is_some(), "fail_if"),
            (step.retry.is_some(), "retry"),
            (step.timeout_s.is_some(), "timeout"),
            (step.within_s.is_some(), "within"),
            (step.continue_on_failure, "continue_on_failure"),
            (step.gives.is_some(), "outputs"),
            (matches!(step.condition, Some(Condition::Rounds(..))), "outcomes"),
        ];
        found.extend(keys.into_iter().filter_map(|(there, key)| there.then_some(key)));
    });
    found.sort_unstable();
    found.dedup();
    found
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the generated-scenario report")?;
        writeln!(
            f,
            "  {} runs, 0 differences; {} of them open to how long pauses and people take, and not compared",
            self.runs, self.vague
        )?;
        writeln!(
            f,
            "  {} events, {} calls, {} decisions of people, {} attempts tried again",
            self.events, self.calls, self.decisions, self.retries
        )?;
        for (what, counts) in
            [("ended", &self.ends), ("were", &self.interruptions), ("steps", &self.outcomes), ("have", &self.features)]
        {
            let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{word} {count}")).collect();
            writeln!(f, "  {what}: {}", counts.join(", "))?;
        }
        Ok(())
    }
}
