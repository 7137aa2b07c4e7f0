//! Why a run went the way it did: each skipped step and each branch taken, with its expression and what it read, and
//! what failures had read.

use crate::engine::facts::{Facts, Record, RunState};
use crate::engine::ids::StepPath;
use crate::engine::outcome::Outcome;
use crate::runbook::locate::{Located, locate};
use crate::runbook::program::Program;
use crate::script::value::Map;
use crate::transcript::text::{Line, Mark, Marks, Tone};
use crate::transcript::{approval, line, summary, words};

/// Characters of an expression: a screen of one.
const CONDITION_CHARS_MAX: usize = 1_000;
/// Where what a reason consists of begins.
const INDENT: usize = 6;

/// The reasons of a whole run, in the order its steps began. `program` has the conditions of branches that were
/// taken, which the journal doesn't repeat; without it they are told by what they read.
pub fn lines(facts: &Facts, program: Option<&Program>, marks: Marks) -> Vec<Line> {
    let mut records: Vec<(&StepPath, &Record)> = facts.steps.iter().collect();
    records.sort_by_key(|(_, record)| record.seq);
    let mut lines = Vec::new();
    for (path, record) in records {
        lines.extend(of_record(path, record, facts, program, marks));
    }
    // A plain group that was let in has no record of its own.
    for approval in facts.approvals.all().filter(|approval| facts.step(&approval.request.step).is_none()) {
        lines.extend(approval::told(approval, marks));
    }
    if lines.is_empty() {
        lines.push(Line::of(Tone::Dim, "no step of this run had a condition, and none failed"));
    }
    lines
}

/// The reasons of one step, also of one that never ran; nothing if neither run nor program knows it.
pub fn of_step(facts: &Facts, program: Option<&Program>, step: &StepPath, marks: Marks) -> Option<Vec<Line>> {
    let place = program.and_then(|program| locate(program, step.as_str()));
    let record = facts.step(step);
    if record.is_none() && place.is_none() {
        return None;
    }
    let mut lines = Vec::new();
    // What is around a step decides about it first.
    let groups = place.iter().flat_map(|place| &place.groups).map(|(path, _)| StepPath::new(path.as_str()));
    let mut around: Vec<StepPath> = step.ancestors().collect();
    around.reverse();
    let mut skipped = false;
    for path in around.into_iter().chain(groups) {
        let Some(record) = facts.step(&path) else { continue };
        skipped |= record.skipped.is_some();
        lines.extend(of_record(&path, record, facts, program, marks));
    }
    match record {
        Some(record) => lines.extend(of_record(step, record, facts, program, marks)),
        None if facts.approvals.at(step).is_some() => {
            lines.extend(facts.approvals.at(step).map(|asked| approval::told(asked, marks)).unwrap_or_default());
        }
        None if skipped => lines.push(says(step, Mark::Skipped, "not run: what it stands in was skipped", marks)),
        None => lines.push(says(step, Mark::Skipped, &not_run(facts), marks)),
    }
    if lines.is_empty() {
        lines.push(says(step, Mark::Info, "it has no condition: it ran because everything before it let it", marks));
    }
    Some(lines)
}

fn of_record(path: &StepPath, record: &Record, facts: &Facts, program: Option<&Program>, marks: Marks) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(skipped) = &record.skipped {
        lines.push(says(path, Mark::Skipped, "skipped, because this is false:", marks));
        lines.extend(expression(&skipped.condition, &skipped.values));
    }
    let intent = record.started.as_ref().map(|started| &started.intent);
    let place = program.and_then(|program| locate(program, path.as_str()));
    let condition = place.as_ref().filter(|place| !inside_a_script(path, place)).and_then(condition);
    if let Some(intent) = intent.filter(|intent| !intent.why.is_empty() || condition.is_some()) {
        let told = condition.is_some();
        let text = if told { "ran, because this is true:" } else { "ran, because its condition was true with:" };
        lines.push(says(path, Mark::Done, text, marks));
        lines.extend(expression(&condition.unwrap_or_default(), &intent.why));
    }
    if let Some(approval) = facts.approvals.at(path) {
        lines.extend(approval::told(approval, marks));
    }
    if let Some((actor, reason)) = &record.settled {
        lines.push(says(path, Mark::Info, &format!("decided by {}: {reason}", line::person(actor)), marks));
    }
    let end = record.finished.as_ref().filter(|end| !end.outcome.lets_the_run_go_on());
    if let Some((end, failure)) = end.and_then(|end| Some((end, end.error.as_ref()?)))
        && !line::repeats_an_inner_failure(path, failure, facts)
    {
        let word = line::outcome_words(end.outcome);
        let mark = if end.outcome == Outcome::InDoubt { Mark::Unknown } else { Mark::Failed };
        lines.push(says(path, mark, &format!("{word}, because of:"), marks));
        lines.extend(line::failure_lines(failure, false));
    }
    lines
}

/// Calls have no condition; that of the step they stand in is not theirs, nor is that of a loop its rounds'.
fn inside_a_script(path: &StepPath, place: &Located) -> bool {
    let last = path.as_str().rsplit('/').next().unwrap_or_default();
    last != place.step.id
}

fn condition(place: &Located) -> Option<String> {
    Some(place.step.condition.as_ref()?.text.trim().to_owned())
}

fn expression(condition: &str, values: &Map) -> Vec<Line> {
    let text = words::shorten(condition, CONDITION_CHARS_MAX);
    let mut lines = Line::block(Tone::Strong, &text, INDENT);
    for value in words::values(values) {
        lines.extend(Line::block(Tone::Dim, &value, INDENT));
    }
    lines
}

/// Why something that is in the program is not in the run.
fn not_run(facts: &Facts) -> String {
    let Some(end) = &facts.finished else {
        return match facts.state() {
            RunState::Running => "not run yet".to_owned(),
            state => format!("not run yet: the run is {}", summary::status_words(state.word())),
        };
    };
    match (&end.failed_step, &end.message) {
        (Some(step), _) => format!("not run: the run had {} at `{step}` before", end.outcome.word()),
        (None, Some(message)) => format!("not run: the run had ended before: {message}"),
        (None, None) => format!("not run: the run ended without it, as {}", end.outcome.word()),
    }
}

fn says(path: &StepPath, mark: Mark, text: &str, marks: Marks) -> Line {
    Line::of(mark.tone(), marks.sign(mark))
        .add(Tone::Plain, " ")
        .column(Tone::Strong, path.as_str(), 14)
        .add(Tone::Plain, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Body;
    use crate::engine::outcome::{Failure, FailureKind};
    use crate::runbook::testing::Shelf;
    use crate::transcript::hostile::{CORPUS, assert_plain, run};
    use crate::transcript::story::{Story, map};
    use serde_json::json;

    const BODY: &str = "
inputs:
  up: { type: bool }
steps:
  - id: seen
    if: not(inputs.up)
    uses: look.at
    with: { url: https://api.example.com }
  - id: group
    if: inputs.up
    steps:
      - id: inner
        script: 1
  - id: last
    script: 1
";

    fn text(lines: &[Line]) -> String {
        lines.iter().map(Line::plain).collect::<Vec<_>>().join("\n")
    }

    fn told() -> (Story, Program) {
        let (program, problems) = Shelf::default().load(BODY);
        let mut story = Story::begun();
        let why = map(json!({ "inputs.up": false }));
        story.read("seen", "look.at");
        if let Some(Body::StepStarted(intent)) = story.events.last_mut().map(|event| &mut event.body) {
            std::sync::Arc::make_mut(intent).why = why.clone();
        }
        let failure = Failure { values: map(json!({ "inputs.n": 3 })), ..Failure::new(FailureKind::Status, "got 502") };
        story.ends("seen", Outcome::Failed, json!(null), Some(failure));
        let condition = "inputs.up".into();
        story.tell(Body::StepSkipped { step: "group".into(), condition, values: why });
        story.failed_at("seen", "got 502");
        story.facts = Facts::fold(&story.events).unwrap();
        (story, program.unwrap_or_else(|| panic!("{problems:?}")))
    }

    #[test]
    fn every_branch_says_its_expression_and_what_it_read() {
        let (story, program) = told();
        insta::assert_snapshot!(text(&lines(&story.facts, Some(&program), Marks::Unicode)));
        let without = text(&lines(&story.facts, None, Marks::Unicode));
        assert!(without.contains("ran, because its condition was true with:\n      inputs.up = false"), "{without}");
    }

    #[test]
    fn a_step_that_never_ran_says_what_kept_it_from_running() {
        let (story, program) = told();
        let of = |step: &str| of_step(&story.facts, Some(&program), &step.into(), Marks::Unicode).map(|l| text(&l));
        let inner = of("inner").unwrap();
        assert!(inner.contains("– group         skipped, because this is false:"), "{inner}");
        assert!(inner.ends_with("– inner         not run: what it stands in was skipped"), "{inner}");
        assert_eq!(of("last").unwrap(), "– last          not run: the run had failed at `seen` before");
        assert_eq!(of("nothing"), None);
    }

    #[test]
    fn a_reason_is_text_whoever_wrote_it() {
        for evil in CORPUS {
            lines(&run(evil).facts, None, Marks::Unicode).iter().for_each(|line| assert_plain(&line.plain()));
        }
    }
}
