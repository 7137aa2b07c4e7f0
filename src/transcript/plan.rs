//! A rehearsal as a plan: what was read, what would be changed, and what nobody can know yet.
//!
//! Honest by its footer: it counts what is unknown and names what the plan does not cover.

use serde_json::json;

use crate::engine::event::{Body, Event, PlannedChange, StepFinished};
use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Outcome, RunOutcome, UndoOutcome};
use crate::engine::undo::Undoing;
use crate::runbook::locate::undone_by;
use crate::runbook::model::{Block, walk};
use crate::runbook::program::Program;
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::Value;
use crate::transcript::line;
use crate::transcript::summary;
use crate::transcript::text::{Line, Mark, Marks, Tone};
use crate::transcript::words;

/// As in the lines of a run, so that a plan and its run can be compared by eye.
const NAME_WIDTH: usize = 15;
const EFFECT_WIDTH: usize = 9;

/// What a rehearsal found.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub rows: Vec<Row>,
    pub counts: Counts,
    /// Whether the arguments of every planned change are known.
    pub complete: bool,
    /// Where the rehearsal itself could not go on, and why.
    pub stopped: Option<(StepPath, String)>,
    /// Steps that were not reached.
    pub not_reached: Vec<String>,
    /// What may happen and isn't planned here, one sentence each.
    pub not_covered: Vec<String>,
    /// Of a plan to take a run back: changes that stay.
    pub stays: Vec<StepPath>,
}

/// What stands in the footer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub writes: usize,
    pub notifies: usize,
    /// Changes that an `undo` takes back.
    pub undoable: usize,
    /// Steps of which only the place is known.
    pub unknown: usize,
    /// Steps below a condition that can't be decided yet.
    pub maybe: usize,
    pub questions: usize,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub step: StepPath,
    pub kind: Kind,
    /// The effect's word, or the body's for steps without one.
    pub word: String,
    pub what: String,
    pub said: String,
    /// What stands below it: a diff, the size of what would be sent.
    pub detail: Vec<String>,
    pub maybe: bool,
    /// An `undo` takes it back.
    pub undo: bool,
    /// Of a change: whether it may be sent again.
    pub repeat: Option<Repeat>,
    /// Who would have to agree, and within what time.
    pub approval: Option<String>,
    pub may_call: Vec<String>,
    /// How an action would do what it does: listed only where everything is.
    pub minor: bool,
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Read or computed for real.
    Done,
    /// Would change something.
    Change,
    /// Looked at now; the run will look again and may see something else.
    Now,
    /// Can't be known before a change has happened.
    Unknown,
    Skipped,
    Failed,
}

impl Kind {
    fn mark(self) -> Mark {
        match self {
            Kind::Done => Mark::Done,
            Kind::Change => Mark::Changed,
            Kind::Now => Mark::Info,
            Kind::Unknown => Mark::Unknown,
            Kind::Skipped => Mark::Skipped,
            Kind::Failed => Mark::Failed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Done => "done",
            Kind::Change => "change",
            Kind::Now => "now",
            Kind::Unknown => "unknown",
            Kind::Skipped => "skipped",
            Kind::Failed => "failed",
        }
    }
}

impl Plan {
    /// Reads a rehearsal's events.
    pub fn of(events: &[Event], facts: &Facts, program: &Program) -> Plan {
        let mut plan = Plan {
            rows: Vec::new(),
            counts: Counts::default(),
            complete: true,
            stopped: None,
            not_reached: Vec::new(),
            not_covered: Vec::new(),
            stays: Vec::new(),
        };
        for event in events {
            match &event.body {
                Body::StepFinished(end) => plan.add(end, facts, program),
                Body::StepSkipped { step, condition, .. } => plan.rows.push(Row {
                    step: step.clone(),
                    kind: Kind::Skipped,
                    word: String::new(),
                    what: String::new(),
                    said: format!("skipped: `{condition}` is false"),
                    detail: Vec::new(),
                    maybe: false,
                    undo: false,
                    repeat: None,
                    approval: None,
                    may_call: Vec::new(),
                    minor: line::is_inside_an_action(step, facts),
                }),
                _ => {}
            }
        }
        match facts.undo_of_run() {
            Some(undo) => plan.look_at_the_undo(undo, facts),
            None => plan.look_at_the_end(facts, program),
        }
        plan
    }

    /// Whether a run of it would change anything, as far as can be known.
    pub fn changes_something(&self) -> bool {
        self.counts.writes + self.counts.notifies > 0
    }

    fn add(&mut self, end: &StepFinished, facts: &Facts, program: &Program) {
        let Some(record) = facts.step(&end.step) else { return };
        let Some(started) = &record.started else { return };
        let intent = &started.intent;
        let is_action = intent.uses.as_ref().is_some_and(|uses| program.actions.contains_key(uses));
        let encloses = is_action || intent.body == "script";
        let kind = match end.outcome {
            Outcome::Planned if encloses => Kind::Unknown,
            Outcome::Planned if intent.effect.changes_the_world() => Kind::Change,
            Outcome::Planned if intent.uses.is_none() => Kind::Unknown,
            Outcome::Planned if Value::Map(intent.with.clone()).unknown().is_some() => Kind::Unknown,
            Outcome::Planned => Kind::Now,
            Outcome::Done if encloses && holds_changes(facts, &end.step) => Kind::Change,
            Outcome::Done => Kind::Done,
            Outcome::Skipped | Outcome::NotRun | Outcome::Cancelled => Kind::Skipped,
            Outcome::Refused | Outcome::Failed | Outcome::InDoubt | Outcome::Rejected => Kind::Failed,
        };
        let planned = end.planned.as_ref();
        let uses = intent.uses.as_deref().unwrap_or(&intent.body);
        let said = match (planned, &end.error) {
            (Some(planned), _) => match &planned.change {
                Some(change) => format!("{}{}", planned.summary, announced(change)),
                None => planned.summary.clone(),
            },
            (None, Some(failure)) => words::failure(failure),
            (None, None) if intent.body == "assert" => "holds".to_owned(),
            (None, None) if kind == Kind::Change => "planned step by step above".to_owned(),
            (None, None) => words::result(uses, &end.outputs),
        };
        let maybe = intent.maybe;
        let changes = kind == Kind::Change && !encloses && !end.step.is_undo();
        let undo = changes && !undone_by(program, end.step.as_str()).is_empty();
        self.counts.undoable += usize::from(undo);
        match kind {
            // What encloses changes is counted by the changes inside.
            Kind::Change if !encloses && intent.effect == Effect::Notify => self.counts.notifies += 1,
            Kind::Change if !encloses => self.counts.writes += 1,
            Kind::Unknown => self.counts.unknown += 1,
            _ => {}
        }
        if kind == Kind::Change && !encloses && Value::Map(intent.with.clone()).unknown().is_some() {
            self.complete = false;
        }
        self.counts.maybe += usize::from(maybe);
        self.counts.questions += usize::from(uses == "human.ask" && kind != Kind::Skipped);
        let says_something = match kind {
            Kind::Change => !encloses,
            Kind::Failed => true,
            Kind::Unknown => intent.effect.changes_the_world(),
            Kind::Done | Kind::Now | Kind::Skipped => false,
        };
        let word = match intent.body.as_str() {
            body @ ("assert" | "findings") => body,
            _ => intent.effect.word(),
        };
        self.rows.push(Row {
            step: end.step.clone(),
            kind,
            word: word.to_owned(),
            what: line::what(intent),
            said,
            detail: planned.map(|planned| planned.detail.clone()).unwrap_or_default(),
            maybe,
            undo,
            repeat: changes.then_some(intent.repeat),
            approval: planned.and_then(|planned| planned.approval.clone()),
            may_call: planned.map(|planned| planned.may_call.clone()).unwrap_or_default(),
            minor: !says_something && line::is_inside_an_action(&end.step, facts),
        });
    }

    fn look_at_the_undo(&mut self, undo: &Undoing, facts: &Facts) {
        self.stays.clone_from(&undo.without_undo);
        if let Some(end) = undo.end.as_ref().filter(|end| end.outcome != UndoOutcome::Done)
            && let Some(first) = end.left.first().map(StepPath::undo)
        {
            let why =
                facts.step(&first).and_then(|record| record.finished.as_ref()?.error.as_ref()).map(words::failure);
            self.not_reached = end.left.iter().skip(1).map(|step| step.undo().to_string()).collect();
            self.stopped = Some((first, why.unwrap_or_default()));
        }
        self.not_covered.push("what happens when an undo fails: the rest waits, and the run is stuck".to_owned());
    }

    fn look_at_the_end(&mut self, facts: &Facts, program: &Program) {
        let end = facts.finished.as_ref();
        let failed = end.filter(|end| end.outcome != RunOutcome::Success);
        if let Some(end) = failed {
            let step = end.failed_step.clone().unwrap_or_else(StepPath::root);
            let why = end.error.as_ref().map_or_else(|| end.outcome.word().to_owned(), words::failure);
            self.stopped = Some((step, why));
            self.not_reached = unreached(&program.runbook.steps, facts);
        }
        let block = |steps: &Block| {
            let mut ids = Vec::new();
            walk(steps, &mut |step| ids.push(step.id.clone()));
            ids.join(", ")
        };
        if failed.is_none() && !program.runbook.on_failure.is_empty() {
            let steps = block(&program.runbook.on_failure);
            self.not_covered.push(format!("what happens when a step fails: on_failure runs {steps}"));
        } else if failed.is_none() {
            self.not_covered.push("what happens when a step fails: the run stops there".to_owned());
        }
        let mut may_call: Vec<&str> = self.rows.iter().flat_map(|row| &row.may_call).map(String::as_str).collect();
        may_call.sort_unstable();
        may_call.dedup();
        if !may_call.is_empty() {
            self.not_covered
                .push(format!("what scripts do with answers nobody has yet: may call {}", may_call.join(", ")));
        }
        if self.counts.questions > 0 {
            self.not_covered.push("what depends on the answers of people".to_owned());
        }
    }

    /// The plan as a terminal shows it; `whole` also lists how actions would do what they do.
    pub fn lines(&self, facts: &Facts, marks: Marks, whole: bool) -> Vec<Line> {
        let mut lines = vec![self.title(facts, marks)];
        let (listed, left_out): (Vec<&Row>, Vec<&Row>) = self.rows.iter().partition(|row| whole || !row.minor);
        lines.extend(listed.iter().flat_map(|row| row.lines(marks)));
        if !left_out.is_empty() {
            let steps = words::count(left_out.len(), "step");
            lines.push(Line::of(
                Tone::Dim,
                &format!("    and {steps} inside actions, which change nothing: see them with -v"),
            ));
        }
        for finding in summary::ranked(facts) {
            lines.extend(line::finding(finding.level, &finding.say, finding.suggest.as_ref(), facts, marks));
        }
        lines.extend(self.footer());
        lines
    }

    fn title(&self, facts: &Facts, marks: Marks) -> Line {
        let dot = marks.dot();
        let started = facts.started.as_ref();
        let name = started.map(|started| started.runbook.as_str()).unwrap_or_default();
        let target = started.and_then(|started| started.target.as_ref());
        let target = target.map(|target| format!(" {dot} {target}")).unwrap_or_default();
        let made = words::clock(facts.started_at);
        let what = if facts.undo_of_run().is_some() { "Plan to take back" } else { "Plan for" };
        Line::of(Tone::Strong, &format!("{what} {name}{target}"))
            .add(Tone::Plain, &format!(" {dot} made {made} {dot} reads were real, nothing was changed"))
    }

    fn footer(&self) -> Vec<Line> {
        let counts = &self.counts;
        let undo = match counts.undoable {
            0 => String::new(),
            count => format!(" ({count} can be taken back)"),
        };
        let mut line =
            Line::of(Tone::Strong, &format!("Writes: {}{undo}   Notifies: {}", counts.writes, counts.notifies))
                .add(Tone::Strong, &format!("   Unknown: {}", counts.unknown));
        if counts.maybe > 0 {
            line = line.add(Tone::Strong, &format!("   Maybe: {}", counts.maybe));
        }
        if counts.questions > 0 {
            line = line.add(Tone::Strong, &format!("   Questions: {}", counts.questions));
        }
        let mut lines = vec![line];
        if let Some((step, why)) = &self.stopped {
            let text = format!("the rehearsal ended at `{step}`: {why}");
            lines.push(Line::of(Tone::Bad, "Stopped: ").add(Tone::Plain, &text));
        }
        if !self.not_reached.is_empty() {
            lines.push(Line::of(Tone::Warn, "Not reached: ").add(Tone::Plain, &self.not_reached.join(", ")));
        }
        if !self.complete {
            let text = "the arguments of a change are known only once an earlier change has happened";
            lines.push(Line::of(Tone::Warn, "Not complete: ").add(Tone::Plain, text));
        }
        if !self.stays.is_empty() {
            lines.push(Line::of(Tone::Warn, "Stays: ").add(Tone::Plain, &line::paths(&self.stays)));
        }
        for what in &self.not_covered {
            lines.push(Line::of(Tone::Dim, "Not covered: ").add(Tone::Plain, what));
        }
        lines
    }

    /// The plan as plain data.
    pub fn to_json(&self) -> serde_json::Value {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "step": row.step.as_str(),
                    "kind": row.kind.word(),
                    "effect": row.word,
                    "what": row.what,
                    "summary": row.said,
                    "maybe": row.maybe,
                    "undo": row.undo,
                    "repeat": row.repeat,
                    "detail": row.detail,
                    "approval": row.approval,
                    "may_call": row.may_call,
                })
            })
            .collect();
        let counts = &self.counts;
        json!({
            "steps": rows,
            "writes": counts.writes,
            "notifies": counts.notifies,
            "unknown": counts.unknown,
            "maybe": counts.maybe,
            "questions": counts.questions,
            "undoable": counts.undoable,
            "stays": self.stays,
            "complete": self.complete,
            "stopped": self.stopped.as_ref().map(|(step, why)| json!({ "step": step.as_str(), "why": why })),
            "not_reached": self.not_reached,
            "not_covered": self.not_covered,
        })
    }
}

impl Row {
    fn lines(&self, marks: Marks) -> Vec<Line> {
        let mark = self.kind.mark();
        let maybe = if self.maybe { "maybe: " } else { "" };
        let said = match self.kind {
            Kind::Change | Kind::Now | Kind::Done if !self.said.is_empty() => self.said.clone(),
            Kind::Done => self.what.clone(),
            _ => self.said.clone(),
        };
        let line = Line::of(Tone::Plain, "  ")
            .add(mark.tone(), marks.sign(mark))
            .add(Tone::Plain, " ")
            .column(Tone::Strong, self.step.as_str(), NAME_WIDTH)
            .column(Tone::Dim, &self.word, EFFECT_WIDTH)
            .add(Tone::Warn, maybe)
            .add(if self.kind == Kind::Failed { Tone::Bad } else { Tone::Plain }, &said)
            .add(Tone::Dim, if self.undo { "   undo: yes" } else { "" });
        let mut lines = vec![line];
        let indent = " ".repeat(4 + NAME_WIDTH + EFFECT_WIDTH);
        for text in &self.detail {
            lines.extend(Line::block(Tone::Dim, text, indent.len()));
        }
        if let Some(approval) = &self.approval {
            lines.push(Line::of(Tone::Plain, &indent).add(Tone::Warn, &format!("approval: {approval}")));
        }
        if !self.may_call.is_empty() {
            lines
                .push(Line::of(Tone::Plain, &indent).add(Tone::Dim, &format!("may call {}", self.may_call.join(", "))));
        }
        lines
    }
}

/// What an action says of its change behind its summary: `: open → closed, can be undone`.
fn announced(change: &PlannedChange) -> String {
    let part = |value: &Value| match value {
        Value::Null => None,
        Value::Unknown(_) => Some("?".to_owned()),
        value => Some(words::value(value)),
    };
    let change_of = match (part(&change.before), part(&change.after)) {
        (None, None) => String::new(),
        (Some(before), None) => format!(": now {before}"),
        (None, Some(after)) => format!(": then {after}"),
        (Some(before), Some(after)) => format!(": {before} → {after}"),
    };
    let undo = match &change.reversible {
        Value::Bool(true) => ", can be undone",
        Value::Bool(false) => ", can't be undone",
        _ => "",
    };
    format!("{change_of}{undo}")
}

fn holds_changes(facts: &Facts, path: &StepPath) -> bool {
    let planned = |record: &Record| {
        let changes = record.started.as_ref().is_some_and(|started| started.intent.effect.changes_the_world());
        changes && record.finished.as_ref().is_some_and(|end| end.outcome == Outcome::Planned)
    };
    facts.below(path).any(|(_, record)| planned(record))
}

fn unreached(block: &Block, facts: &Facts) -> Vec<String> {
    let mut ids = Vec::new();
    walk(block, &mut |step| {
        let group = step.body.inner().is_some();
        if !group && facts.step(&StepPath::new(step.id.clone())).is_none() {
            ids.push(step.id.clone());
        }
    });
    ids
}

#[cfg(test)]
mod tests;
