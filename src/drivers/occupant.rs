//! A run that is in the way of another, as people are told of it: whose it is, since when, and where it stands.

use std::sync::Arc;

use crate::engine::facts::{Facts, Record};
use crate::engine::ids::{RunId, StepPath};
use crate::journal::{Journal, Store};
use crate::runbook::lower::read_partly;
use crate::runbook::model::{Block, Kind};
use crate::runbook::program::FileKind;
use crate::runbook::source::Source;

/// A run that holds a group.
pub struct Occupant {
    /// Who it is and where it stands, to follow `is held by`.
    pub said: String,
    /// Whether it is recorded already.
    pub open: bool,
    /// Whether a process drives it.
    pub driven: bool,
}

impl Occupant {
    /// Looks a run up. What can't be read is left out: the rest is still worth saying.
    pub fn of(store: &Store, run: RunId) -> Occupant {
        let driven = store.is_driven(run).unwrap_or(false);
        let Ok(row) = store.run(run) else {
            return Occupant { said: "a run that is just starting".to_owned(), open: false, driven };
        };
        let facts = store.events(run).ok().and_then(|events| Facts::fold(&events).ok()).unwrap_or_default();
        let step = facts.steps.iter().filter(|(_, record)| record.is_open()).max_by_key(begun_last);
        let step = step.map(|(path, _)| at(store, &facts, path)).unwrap_or_default();
        let driver = match store.holder(run) {
            Ok(Some(holder)) if driven => format!("process {} on {} drives it", holder.pid, holder.host),
            _ if driven => "a process drives it".to_owned(),
            _ => "no process drives it".to_owned(),
        };
        let said = format!(
            "{}/{} \"{}\", started by {} at {:.0}: {}{step}; {driver}",
            row.runbook,
            row.run,
            row.title,
            row.actor.id,
            row.started_at,
            row.status.word(),
        );
        Occupant { said, open: true, driven }
    }
}

/// The order in which open steps began; of those that began together the innermost is the last.
fn begun_last((path, record): &(&StepPath, &Record)) -> (u64, usize) {
    (record.seq, path.depth())
}

/// `, at step 4 of 9, `deploy/look``; without the numbers for what is not one of the main steps.
fn at(store: &Store, facts: &Facts, path: &StepPath) -> String {
    match steps_of(store, facts).and_then(|steps| place_of(&steps, path)) {
        Some((number, count)) => format!(", at step {number} of {count}, `{path}`"),
        None => format!(", at `{path}`"),
    }
}

/// The main steps of a run, from its pinned text.
fn steps_of(store: &Store, facts: &Facts) -> Option<Block> {
    let started = facts.started.as_ref()?;
    let file = started.files.iter().find(|file| file.kind == FileKind::Runbook)?;
    let text = String::from_utf8(store.blob(&file.digest).ok()??).ok()?;
    let source: Arc<Source> = Source::new(file.shown.as_str(), text);
    Some(read_partly(&started.runbook, Kind::Runbook, &source).runbook?.steps)
}

/// Which of these steps a path belongs to, from 1, and how many there are; those in groups count one by one.
fn place_of(steps: &Block, path: &StepPath) -> Option<(usize, usize)> {
    let mut ids = Vec::new();
    collect(steps, &mut ids);
    let root = path.as_str().split(['/', '[']).next()?;
    let number = ids.iter().position(|id| id == root)? + 1;
    Some((number, ids.len()))
}

fn collect(steps: &Block, ids: &mut Vec<String>) {
    for step in steps.iter() {
        match step.body.inner() {
            Some(inner) if step.foreach.is_none() => collect(inner, ids),
            _ => ids.push(step.id.clone()),
        }
    }
}
