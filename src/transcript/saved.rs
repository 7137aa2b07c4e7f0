//! A saved plan as people read it: what it is, how far it reaches, and what has moved since it was made.

use serde_json::{Value as Json, json};

use crate::engine::change::{Change, difference};
use crate::engine::facts::{Facts, Started};
use crate::engine::ids::StepPath;
use crate::engine::outcome::Outcome;
use crate::engine::plan::{Drift, Moved, SavedPlan, Seen, moved_reads};
use crate::runbook::spec::Effect;
use crate::transcript::line::{outcome_words, person};
use crate::transcript::text::{Line, Mark, Marks, Tone};
use crate::transcript::words;

/// As in the rows of a plan.
const NAME_WIDTH: usize = 15;
/// Ways in which one step has moved that are told; `-o json` has all.
const HOW_MAX: usize = 12;

/// Who made it, and how long it is good for.
pub fn head(plan: &SavedPlan, marks: Marks) -> Line {
    let dot = marks.dot();
    let until = words::date_time(plan.expires);
    Line::of(Tone::Strong, "Saved plan").add(
        Tone::Plain,
        &format!(" {dot} made {} by {} {dot} good until {until}", words::date_time(plan.made_at), person(&plan.by)),
    )
}

/// How far it reaches: `Reach: 2 writes (1 for good), 1 message, api.example.com`.
pub fn reach(plan: &SavedPlan) -> Line {
    let radius = &plan.radius;
    let for_good = match radius.for_good {
        0 => String::new(),
        count => format!(" ({count} can't be taken back)"),
    };
    let mut parts = vec![format!("{}{for_good}", words::count(radius.writes, "write"))];
    if radius.messages > 0 {
        parts.push(words::count(radius.messages, "message"));
    }
    parts.extend(radius.places.iter().cloned());
    Line::of(Tone::Strong, "Reach: ").add(Tone::Plain, &parts.join(", "))
}

/// What may be changed only if it fails, and what it could not know.
pub fn beside(plan: &SavedPlan) -> Vec<Line> {
    let mut lines = Vec::new();
    for after in plan.if_it_fails.iter().filter(|after| after.effect >= Effect::Write) {
        let text = format!("{} ({}, {})", after.step, after.uses, after.effect.word());
        lines.push(Line::of(Tone::Warn, "Only if it fails: ").add(Tone::Plain, &text));
    }
    for step in &plan.open {
        let text = format!("what is written at `{step}`; the run asks there");
        lines.push(Line::of(Tone::Warn, "Not known yet: ").add(Tone::Plain, &text));
    }
    lines
}

/// What has moved since the plan was made: first what stops it, then what was read otherwise.
pub fn drift(drift: &Drift, marks: Marks) -> Vec<Line> {
    let mut lines: Vec<Line> = drift.writes.iter().flat_map(|moved| moved_lines(moved, Mark::Failed, marks)).collect();
    lines.extend(drift.reads.iter().flat_map(|moved| moved_lines(moved, Mark::Info, marks)));
    lines
}

/// Reads that gave something else, where everything that is written is the same.
pub fn read_otherwise(moved: &[Moved], marks: Marks) -> Vec<Line> {
    if moved.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::of(Tone::Plain, "read otherwise than for the plan, and what is written is the same:")];
    lines.extend(moved.iter().flat_map(|moved| moved_lines(moved, Mark::Info, marks)));
    lines
}

fn moved_lines(moved: &Moved, mark: Mark, marks: Marks) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, how) in moved.how.iter().take(HOW_MAX).enumerate() {
        let (sign, name) = if at == 0 { (marks.sign(mark), moved.step.as_str()) } else { (" ", "") };
        lines.push(
            Line::of(Tone::Plain, "  ")
                .add(mark.tone(), sign)
                .add(Tone::Plain, " ")
                .column(Tone::Strong, name, NAME_WIDTH)
                .add(Tone::Plain, how),
        );
    }
    if moved.how.len() > HOW_MAX {
        let more = format!("{}and {} more", " ".repeat(4 + NAME_WIDTH), moved.how.len() - HOW_MAX);
        lines.push(Line::of(Tone::Dim, &more));
    }
    lines
}

/// What has moved, for programs.
pub fn drift_json(drift: &Drift) -> Json {
    let of = |moved: &[Moved]| -> Vec<Json> {
        moved.iter().map(|moved| json!({ "step": moved.step.as_str(), "how": moved.how })).collect()
    };
    json!({ "writes": of(&drift.writes), "reads": of(&drift.reads) })
}

/// A plan held against a run: what it says, and what became of it.
pub fn against(plan: &SavedPlan, facts: &Facts, reads: &[Seen]) -> Drift {
    let mut writes = Vec::new();
    for planned in &plan.changes {
        let (then, record) = (&planned.change, facts.step(&planned.change.step));
        let started = record.and_then(|record| record.started.as_ref()).filter(|started| started.intent.key.is_some());
        let end = record.and_then(|record| record.finished.as_ref());
        let how = match (started, end) {
            (Some(started), _) if !difference(then, &sent(then, started)).is_empty() => {
                difference(then, &sent(then, started))
            }
            (Some(_), Some(end)) if end.outcome == Outcome::Done => continue,
            (Some(_), Some(end)) => vec![format!("{}: {}", then.uses, outcome_words(end.outcome))],
            (Some(_), None) => vec![format!("{}: begun", then.uses)],
            (None, Some(end)) if end.error.is_some() => {
                vec![format!("not made: {}", end.error.as_ref().map(words::failure).unwrap_or_default())]
            }
            (None, _) => vec!["not made".to_owned()],
        };
        writes.push(Moved { step: then.step.clone(), how });
    }
    let mut others: Vec<_> = facts.steps.iter().collect();
    others.sort_by_key(|(_, record)| record.seq);
    for (path, record) in others {
        let Some(started) = record.started.as_ref().filter(|started| started.intent.key.is_some()) else { continue };
        let planned = plan.changes.iter().any(|write| write.change.step == *path);
        if !planned && started.intent.effect >= Effect::Write {
            let uses = started.intent.uses.as_deref().unwrap_or(&started.intent.body);
            let how = vec![format!("{uses}: not in the plan{}", why(plan, path))];
            writes.push(Moved { step: path.clone(), how });
        }
    }
    Drift { writes, reads: moved_reads(&plan.reads, reads) }
}

/// A planned change with the arguments it was sent with.
fn sent(then: &Change, started: &Started) -> Change {
    Change { with: started.intent.with.clone(), ..then.clone() }
}

/// Why a run may have written what its plan doesn't have.
fn why(plan: &SavedPlan, path: &StepPath) -> &'static str {
    if path.is_undo() {
        return ", takes a step back";
    }
    match plan.open.iter().any(|open| path == open || path.is_below(open)) {
        true => ", which could not know it",
        false if path.as_str().starts_with("on_failure/") => ", only because it failed",
        false => "",
    }
}
