//! Which steps and branches of a file its tests have seen: both sides of every `if`, `until`, `retry` and `on_failure`,
//! every `undo` and every `settle`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::event::{Body as Fact, Event};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Outcome, RunOutcome};
use crate::runbook::cases::{generic, without_prefix};
use crate::runbook::model::{Block, Body, Runbook, Step};
use crate::runbook::source::Source;

/// What the tests of one file have seen of it.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// The file under test.
    pub shown: String,
    pub branches: Vec<Branch>,
}

/// One thing that can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Line of the step, from 1.
    pub line: usize,
    /// Its path without rounds.
    pub step: String,
    pub side: Side,
    /// In how many tests it happened.
    pub seen: usize,
}

/// What can happen at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The step ran. The others are sides of branches.
    Ran,
    Taken,
    Skipped,
    LookedAgain,
    Met,
    Retried,
    FirstTime,
    TakenBack,
    Settled,
    AfterFailure,
    WithoutFailure,
}

impl Side {
    /// What never happened, if it never did.
    pub fn never(self) -> &'static str {
        match self {
            Side::Ran => "never ran",
            Side::Taken => "its `if` was never true",
            Side::Skipped => "its `if` was never false",
            Side::LookedAgain => "`until` never had to look again",
            Side::Met => "`until` was never met",
            Side::Retried => "`retry` never had to try again",
            Side::FirstTime => "`retry` was always needed",
            Side::TakenBack => "its `undo` never ran",
            Side::Settled => "its `settle` was never asked",
            Side::AfterFailure => "`on_failure` never ran",
            Side::WithoutFailure => "`on_failure` always ran",
        }
    }
}

impl Coverage {
    /// Everything that can happen in a file, nothing of it seen.
    pub(super) fn of(book: &Runbook, source: &Arc<Source>) -> Coverage {
        let mut coverage = Coverage { shown: source.shown.clone(), branches: Vec::new() };
        for (prefix, block) in [("", &book.steps), ("on_failure/", &book.on_failure), ("finally/", &book.finally)] {
            coverage.block(block, prefix, source);
        }
        if let Some(first) = book.on_failure.first() {
            let (line, _) = source.line_column(first.span.start);
            for side in [Side::AfterFailure, Side::WithoutFailure] {
                coverage.branches.push(Branch { line, step: "on_failure".to_owned(), side, seen: 0 });
            }
        }
        coverage.branches.sort_by_key(|branch| branch.line);
        coverage
    }

    fn block(&mut self, block: &Block, prefix: &str, source: &Arc<Source>) {
        for step in block.iter() {
            let path = format!("{prefix}{}", step.id);
            let (line, _) = source.line_column(step.span.start);
            self.branches.extend(sides(step).into_iter().map(|side| Branch {
                line,
                step: path.clone(),
                side,
                seen: 0,
            }));
            if let Some(inner) = step.body.inner() {
                let below = if step.foreach.is_some() { format!("{path}/") } else { prefix.to_owned() };
                self.block(inner, &below, source);
            }
        }
    }

    /// Adds what one test has seen.
    pub(super) fn add(&mut self, book: &Runbook, events: &[Event], facts: &Facts, behind: bool) {
        let seen = Seen::of(events, behind);
        let success = facts.finished.as_ref().is_some_and(|end| end.outcome == RunOutcome::Success);
        let mut steps = BTreeMap::new();
        for (prefix, block) in [("", &book.steps), ("on_failure/", &book.on_failure), ("finally/", &book.finally)] {
            named(block, prefix, &mut steps);
        }
        for branch in &mut self.branches {
            let happened = match branch.side {
                Side::AfterFailure => seen.after_failure,
                Side::WithoutFailure => !seen.after_failure && facts.finished.is_some(),
                side if seen.has(&branch.step, side) => true,
                // The end of a group is not recorded: it follows from its steps.
                Side::Met | Side::FirstTime => {
                    let again = if branch.side == Side::Met { Side::LookedAgain } else { Side::Retried };
                    let group = steps.get(&branch.step).is_some_and(|step| is_plain_group(step));
                    let began = seen.has(&branch.step, Side::Taken);
                    group && began && success && (again == Side::LookedAgain || !seen.has(&branch.step, again))
                }
                _ => false,
            };
            branch.seen += usize::from(happened);
        }
    }

    /// Steps that ran, and all of them.
    pub fn steps(&self) -> (usize, usize) {
        self.count(|side| side == Side::Ran)
    }

    /// Sides of branches that were seen, and all of them.
    pub fn sides(&self) -> (usize, usize) {
        self.count(|side| side != Side::Ran)
    }

    /// What no test has seen.
    pub fn unseen(&self) -> impl Iterator<Item = &Branch> {
        self.branches.iter().filter(|branch| branch.seen == 0)
    }

    fn count(&self, which: impl Fn(Side) -> bool) -> (usize, usize) {
        let all: Vec<&Branch> = self.branches.iter().filter(|branch| which(branch.side)).collect();
        (all.iter().filter(|branch| branch.seen > 0).count(), all.len())
    }
}

/// A group that is only its steps, which count for it.
fn is_plain_group(step: &Step) -> bool {
    matches!(step.body, Body::Steps(_)) && step.foreach.is_none()
}

fn sides(step: &Step) -> Vec<Side> {
    let mut sides = Vec::new();
    if !is_plain_group(step) {
        sides.push(Side::Ran);
    }
    if step.condition.is_some() {
        sides.extend([Side::Taken, Side::Skipped]);
    }
    if step.poll.is_some() {
        sides.extend([Side::LookedAgain, Side::Met]);
    }
    if step.retry.is_some() {
        sides.extend([Side::Retried, Side::FirstTime]);
    }
    if step.undo.is_some() {
        sides.push(Side::TakenBack);
    }
    if step.settle.is_some() {
        sides.push(Side::Settled);
    }
    sides
}

fn named<'b>(block: &'b Block, prefix: &str, found: &mut BTreeMap<String, &'b Arc<Step>>) {
    for step in block.iter() {
        let path = format!("{prefix}{}", step.id);
        if let Some(inner) = step.body.inner() {
            let below = if step.foreach.is_some() { format!("{path}/") } else { prefix.to_owned() };
            named(inner, &below, found);
        }
        found.insert(path, step);
    }
}

/// Loops on the way to a step that are past their first round, so that their `until` has let them go on.
/// `a[0]/b[2]/c` is past that of `a[0]/b`.
fn gone_on(step: &str) -> impl Iterator<Item = &str> {
    step.match_indices('[').filter_map(|(at, _)| {
        let (round, _) = step[at + 1..].split_once(']')?;
        round.parse::<usize>().is_ok_and(|round| round > 0).then(|| &step[..at])
    })
}

/// What the events of one run tell.
struct Seen {
    sides: BTreeSet<(String, Side)>,
    after_failure: bool,
}

impl Seen {
    fn of(events: &[Event], behind: bool) -> Seen {
        let mut seen = Seen { sides: BTreeSet::new(), after_failure: false };
        let path = |step: &StepPath| {
            let shown = if behind { without_prefix(step.as_str()) } else { step.as_str().to_owned() };
            generic(&shown)
        };
        for event in events {
            match &event.body {
                Fact::StepStarted(started) => {
                    for looped in gone_on(started.step.as_str()) {
                        seen.add(path(&StepPath::new(looped)), Side::LookedAgain);
                    }
                    let path = path(&started.step);
                    match path.strip_prefix("undo/") {
                        Some(undone) => seen.add(undone.to_owned(), Side::TakenBack),
                        None => seen.began(path, &started.body),
                    }
                }
                Fact::StepSkipped { step, .. } => {
                    let path = path(step);
                    seen.after_failure |= path.starts_with("on_failure/");
                    seen.add(path, Side::Skipped);
                }
                Fact::StepObserved { step, .. } => seen.add(path(step), Side::LookedAgain),
                Fact::StepRetrying(again) => {
                    let side = if again.error.is_some() { Side::Retried } else { Side::LookedAgain };
                    seen.add(path(&again.step), side);
                }
                Fact::StepSettled { step, .. } => seen.add(path(step), Side::Settled),
                Fact::StepFinished(finished) if finished.outcome == Outcome::Done => {
                    seen.add(path(&finished.step), Side::Met);
                    if finished.attempt == 1 {
                        seen.add(path(&finished.step), Side::FirstTime);
                    }
                }
                _ => {}
            }
        }
        seen
    }

    /// A step that began, or was kept from it after its `if`.
    fn began(&mut self, path: String, body: &str) {
        self.after_failure |= path.starts_with("on_failure/");
        match body {
            "if" => return,
            "with" | "approval" => {}
            _ => self.add(path.clone(), Side::Ran),
        }
        self.add(path, Side::Taken);
    }

    fn add(&mut self, path: String, side: Side) {
        self.sides.insert((path, side));
    }

    fn has(&self, path: &str, side: Side) -> bool {
        self.sides.contains(&(path.to_owned(), side))
    }
}

#[cfg(test)]
mod tests {
    use super::gone_on;

    #[test]
    fn a_loop_past_its_first_round_has_gone_on() {
        for (step, loops) in [
            ("pages[0]", vec![]),
            ("pages[1]", vec!["pages"]),
            ("a[0]/b[2]/c", vec!["a[0]/b"]),
            ("a[1]/b[10]#2", vec!["a", "a[1]/b"]),
            ("plain/step", vec![]),
        ] {
            assert_eq!(gone_on(step).collect::<Vec<_>>(), loops, "{step}");
        }
    }
}
