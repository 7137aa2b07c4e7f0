//! What of a file with mistakes of form could not be read, so that the rest is checked all the same and
//! nothing is blamed for what a mistake hides.
//!
//! Works on the tree and the places of the mistakes alone: it needs no word from whatever reads a key.

use std::collections::BTreeSet;

use crate::runbook::lower_steps::collect_ids;
use crate::runbook::node::{Entry, Node, NodeKind};
use crate::runbook::problem::{Problem, Severity};
use crate::runbook::source::{Source, Span};

/// Keys on top whose names others read.
const DECLARATIONS: [&str; 3] = ["inputs", "secrets", "vars"];
/// Keys that hold lists of steps, on top and inside a step.
const BLOCKS: [&str; 5] = ["steps", "on_failure", "finally", "parallel", "undo"];

/// What is missing of a file that was read in part. Empty for a file without errors.
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    /// Whether there is any error of form.
    any: bool,
    /// Lines with an error, as the ranges of their bytes.
    lines: Vec<Span>,
    /// Step items by where they begin, outermost first at one place.
    steps: Vec<Item>,
    /// Every id that is written anywhere.
    ids: BTreeSet<String>,
    /// Declared names with an error in their declaration.
    names: BTreeSet<(&'static str, String)>,
    /// Sections of which not even the names are known.
    sections: BTreeSet<&'static str>,
}

/// A step as it stands in the text.
#[derive(Clone, Debug)]
struct Item {
    span: Span,
    named: bool,
    /// Whether an error stands in it, and not in a step inside it.
    flawed: bool,
}

impl Gaps {
    /// What `problems` hide of `root`.
    pub fn of(root: &Node, source: &Source, problems: &[Problem]) -> Gaps {
        let errors: Vec<Span> =
            problems.iter().filter(|problem| problem.severity == Severity::Error).map(|problem| problem.span).collect();
        let mut gaps = Gaps { any: !errors.is_empty(), ..Gaps::default() };
        let NodeKind::Map(entries) = &root.kind else { return gaps };
        if !gaps.any {
            return gaps;
        }
        gaps.lines = errors.iter().map(|span| line_of(source, span.start)).collect();
        gaps.declarations(root, entries, &errors);
        collect_ids(root, &mut gaps.ids);
        collect_steps(entries, source.text.len(), &mut gaps.steps);
        // Not even the blocks are known: any step may stand behind the key that was meant.
        if gaps.steps.is_empty() {
            gaps.sections.insert("steps");
        }
        for error in &errors {
            if let Some(item) = innermost(&gaps.steps, error.start) {
                gaps.steps[item].flawed = true;
            }
        }
        gaps
    }

    fn declarations(&mut self, root: &Node, entries: &[Entry], errors: &[Span]) {
        let first_of_next = |at: usize, list: &[Entry], end: usize| list.get(at + 1).map_or(end, |e| e.key.span.start);
        for key in DECLARATIONS {
            let Some(at) = entries.iter().position(|entry| entry.key.value == key) else {
                // Nothing is declared, unless a key that couldn't be read was meant to do it.
                let strange = entries.iter().any(|entry| hit(errors, entry.key.span));
                if strange || root.flawed {
                    self.sections.insert(key);
                }
                continue;
            };
            let value = &entries[at].value;
            match &value.kind {
                NodeKind::Map(inner) => {
                    let end = first_of_next(at, entries, usize::MAX);
                    for (index, entry) in inner.iter().enumerate() {
                        let span = Span::new(entry.key.span.start, first_of_next(index, inner, end));
                        if hit(errors, span) {
                            self.names.insert((key, entry.key.value.clone()));
                        }
                    }
                    if value.flawed {
                        self.sections.insert(key);
                    }
                }
                _ if hit(errors, Span::new(entries[at].key.span.start, value.span.end)) => {
                    self.sections.insert(key);
                }
                _ => {}
            }
        }
    }

    /// Whether the file has errors of form at all.
    pub fn any(&self) -> bool {
        self.any
    }

    /// Whether something is wrong on the line of this place already: a second remark would confuse.
    pub fn speaks_of(&self, place: Span) -> bool {
        self.lines.iter().any(|line| line.start <= place.start && place.start <= line.end)
    }

    /// Whether the step that is read from this place has an error of its own: what it takes and gives is
    /// not known.
    pub fn hides_step_at(&self, place: Span) -> bool {
        innermost(&self.steps, place.start).is_some_and(|item| self.steps[item].flawed)
    }

    /// Whether a step around this place has an error of its own: its conditions may be among what is lost.
    pub fn hides_conditions_at(&self, place: Span) -> bool {
        let around = |item: &Item| item.span.start <= place.start && place.start < item.span.end;
        self.steps.iter().any(|item| item.flawed && around(item))
    }

    /// Whether a step of this id may exist, though none could be read.
    pub fn may_hold_step(&self, id: &str) -> bool {
        // An unnamed step gets an id when it is read: it may be this.
        let unnamed = || self.steps.iter().any(|item| item.flawed && !item.named);
        self.any && (self.ids.contains(id) || self.sections.contains("steps") || unnamed())
    }

    /// Whether a name of a section (`inputs`, `secrets`, `vars`) may be declared, though it could not be read.
    pub fn may_declare(&self, section: &'static str, name: &str) -> bool {
        self.sections.contains(section) || self.names.contains(&(section, name.to_owned()))
    }
}

/// Whether any of these places begins inside a span.
fn hit(errors: &[Span], span: Span) -> bool {
    errors.iter().any(|error| span.start <= error.start && error.start < span.end.max(span.start + 1))
}

fn line_of(source: &Source, at: usize) -> Span {
    let bytes = source.text.as_bytes();
    let at = at.min(bytes.len());
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length);
    Span::new(start, end)
}

/// Steps below these keys. A step reaches to the next one, so that a remark behind its last value is its own.
fn collect_steps(entries: &[Entry], end: usize, found: &mut Vec<Item>) {
    for (at, entry) in entries.iter().enumerate() {
        let end = entries.get(at + 1).map_or(end, |next| next.key.span.start);
        match &entry.value.kind {
            NodeKind::List(items) if BLOCKS.contains(&entry.key.value.as_str()) => {
                for (index, item) in items.iter().enumerate() {
                    let end = items.get(index + 1).map_or(end, |next| next.span.start);
                    let NodeKind::Map(keys) = &item.kind else { continue };
                    let named = keys.iter().any(|key| key.key.value == "id");
                    found.push(Item { span: Span::new(item.span.start, end), named, flawed: item.flawed });
                    collect_steps(keys, end, found);
                }
            }
            // `settle:` and `undo:` hold steps below a map.
            NodeKind::Map(inner) if matches!(entry.key.value.as_str(), "settle" | "undo") => {
                collect_steps(inner, end, found);
            }
            _ => {}
        }
    }
}

/// The step around a place that no other one inside it is around.
fn innermost(steps: &[Item], at: usize) -> Option<usize> {
    let around = steps.iter().enumerate().filter(|(_, item)| item.span.start <= at && at < item.span.end);
    around.max_by_key(|(index, item)| (item.span.start, *index)).map(|(index, _)| index)
}
