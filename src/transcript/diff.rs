//! What was different between two runs: what went in, what was done, what came out.
//!
//! Steps are aligned by their paths. Time is told where it differs much, and never counts as a difference by itself:
//! no two runs take the same.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use similar::{ChangeTag, TextDiff};

use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::script::value::{Map, Value};
use crate::transcript::text::{Line, Marks, Tone};
use crate::transcript::{line, summary, words};

/// Steps told; more is another runbook, not a difference.
const STEPS_MAX: usize = 500;
/// Lines of one text that are told.
const TEXT_LINES_MAX: usize = 40;
/// Bytes of two texts that are compared line by line; larger ones are told by their size.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Keys of two maps that are gone into.
const DEPTH_MAX: usize = 6;
/// A step that took this many times as long is remarkable, if it also took this much longer.
const SLOWER_TIMES: u64 = 3;
const SLOWER_MS: u64 = 1_000;

/// The differences of two runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    pub parts: Vec<Part>,
    /// Differences that are not told.
    pub left_out: usize,
}

/// Differences of one kind, or of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub name: String,
    pub changes: Vec<Change>,
    /// Whether it counts, or is only worth a remark.
    pub remark: bool,
}

/// One difference; nothing on a side that doesn't have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub what: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Diff {
    /// Compares two runs.
    pub fn of(before: &Facts, after: &Facts) -> Diff {
        let mut diff = Diff::default();
        diff.put("run", run(before, after));
        diff.put("inputs", of_maps(&inputs(before), &inputs(after)));
        diff.put("files", of_maps(&files(before), &files(after)));
        diff.put("findings", findings(before, after));
        diff.put("outputs", of_maps(&outputs(before), &outputs(after)));
        for path in in_order(before, after) {
            let (old, new) = (before.step(path), after.step(path));
            if diff.parts.len() >= STEPS_MAX {
                diff.left_out += usize::from(!step(old, new).is_empty());
                continue;
            }
            diff.put(&format!("step {path}"), step(old, new));
            if let Some(change) = slower(old, new) {
                diff.parts.push(Part { name: format!("step {path}"), changes: vec![change], remark: true });
            }
        }
        diff
    }

    /// Whether nothing that counts is different.
    pub fn is_empty(&self) -> bool {
        self.left_out == 0 && self.parts.iter().all(|part| part.remark)
    }

    fn put(&mut self, name: &str, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.parts.push(Part { name: name.to_owned(), changes, remark: false });
        }
    }

    /// The differences for people.
    pub fn lines(&self, marks: Marks) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in &self.parts {
            if part.remark {
                let change = &part.changes[0];
                let text = format!("{}: {}", change.what, both(change, marks));
                lines.push(Line::of(Tone::Dim, &part.name).add(Tone::Dim, &format!("  {text}")));
                continue;
            }
            lines.push(Line::of(Tone::Strong, &part.name));
            part.changes.iter().for_each(|change| lines.extend(change_lines(change, marks)));
        }
        if self.left_out > 0 {
            let text = format!("{} more differ; -o json of both runs has all", words::count(self.left_out, "step"));
            lines.push(Line::of(Tone::Dim, &text));
        }
        if lines.is_empty() {
            lines.push(Line::of(Tone::Good, "nothing was different"));
        }
        lines
    }

    /// The differences for programs.
    pub fn to_json(&self) -> Json {
        let plain = |value: &Option<Value>| value.as_ref().map(Value::to_plain);
        let parts = self.parts.iter().map(|part| {
            let changes = part.changes.iter().map(
                |change| json!({ "what": change.what, "before": plain(&change.before), "after": plain(&change.after) }),
            );
            json!({ "name": part.name, "remark": part.remark, "changes": changes.collect::<Vec<_>>() })
        });
        json!({ "equal": self.is_empty(), "parts": parts.collect::<Vec<_>>(), "left_out": self.left_out })
    }
}

fn change_lines(change: &Change, marks: Marks) -> Vec<Line> {
    if let (Some(Value::Text(before)), Some(Value::Text(after))) = (&change.before, &change.after)
        && (before.contains('\n') || after.contains('\n'))
    {
        let mut lines = vec![Line::of(Tone::Plain, &format!("    {}", change.what))];
        lines.extend(text_lines(before, after));
        return lines;
    }
    vec![
        Line::of(Tone::Plain, "    ")
            .add(Tone::Plain, &change.what)
            .add(Tone::Plain, ": ")
            .add(Tone::Plain, &both(change, marks)),
    ]
}

fn both(change: &Change, marks: Marks) -> String {
    let side = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), words::quoted);
    format!("{} {} {}", side(&change.before), marks.arrow(), side(&change.after))
}

/// Two texts line by line, without what they have in common.
fn text_lines(before: &str, after: &str) -> Vec<Line> {
    if before.len() + after.len() > TEXT_BYTES_MAX {
        let text = format!("      {} and {}", words::bytes(before.len() as u64), words::bytes(after.len() as u64));
        return vec![Line::of(Tone::Dim, &text)];
    }
    let diff = TextDiff::from_lines(before, after);
    let changed: Vec<_> = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal).collect();
    let mut lines: Vec<Line> = changed
        .iter()
        .take(TEXT_LINES_MAX)
        .map(|change| {
            let (sign, tone) = if change.tag() == ChangeTag::Delete { ("-", Tone::Bad) } else { ("+", Tone::Good) };
            let text = words::shorten(change.value().trim_end_matches('\n'), 200);
            Line::of(tone, &format!("      {sign} {text}"))
        })
        .collect();
    if changed.len() > TEXT_LINES_MAX {
        let more = words::count(changed.len() - TEXT_LINES_MAX, "line");
        lines.push(Line::of(Tone::Dim, &format!("      {more} more")));
    }
    lines
}

fn run(before: &Facts, after: &Facts) -> Vec<Change> {
    let of = |facts: &Facts| {
        let started = facts.started.as_ref();
        let text = |value: Option<&str>| value.map_or(Value::Null, Value::from);
        Map::from([
            ("runbook".to_owned(), text(started.map(|started| started.runbook.as_str()))),
            ("target".to_owned(), text(started.and_then(|started| started.target.as_deref()))),
            ("status".to_owned(), text(Some(summary::status_words(summary::status(facts))))),
        ])
    };
    of_maps(&of(before), &of(after))
}

fn inputs(facts: &Facts) -> Map {
    facts.started.as_ref().map(|started| started.inputs.clone()).unwrap_or_default()
}

fn outputs(facts: &Facts) -> Map {
    facts.finished.as_ref().map(|end| end.outputs.clone()).unwrap_or_default()
}

fn files(facts: &Facts) -> Map {
    let files = facts.started.iter().flat_map(|started| &started.files);
    files.map(|file| (file.shown.clone(), Value::from(file.digest.as_str()))).collect()
}

/// Findings that only one of them has.
fn findings(before: &Facts, after: &Facts) -> Vec<Change> {
    let of = |facts: &Facts| -> BTreeSet<(String, String)> {
        let named = |step: &StepPath, level, say: &str| (format!("{step} {level}"), say.to_owned());
        facts.findings.iter().map(|f| named(&f.step, words::level(f.level), &f.say)).collect()
    };
    let (old, new) = (of(before), of(after));
    let gone = old.difference(&new).map(|(what, say)| Change {
        what: what.clone(),
        before: Some(Value::from(say.as_str())),
        after: None,
    });
    let come = new.difference(&old).map(|(what, say)| Change {
        what: what.clone(),
        before: None,
        after: Some(Value::from(say.as_str())),
    });
    gone.chain(come).collect()
}

/// Paths of both runs: in the order of the first, then what only the second has.
fn in_order<'a>(before: &'a Facts, after: &'a Facts) -> Vec<&'a StepPath> {
    let ordered = |facts: &'a Facts| {
        let mut records: Vec<_> = facts.steps.iter().collect();
        records.sort_by_key(|(_, record)| record.seq);
        records.into_iter().map(|(path, _)| path)
    };
    ordered(before).chain(ordered(after).filter(|path| before.step(path).is_none())).collect()
}

fn step(before: Option<&Record>, after: Option<&Record>) -> Vec<Change> {
    let of = |record: Option<&Record>| {
        let mut map = Map::new();
        let Some(record) = record else { return map };
        map.insert("outcome".to_owned(), Value::from(outcome(record)));
        if let Some(started) = &record.started {
            map.insert("inputs".to_owned(), Value::Map(started.intent.with.clone()));
            if started.intent.attempt > 1 {
                map.insert("attempts".to_owned(), Value::Int(i64::from(started.intent.attempt)));
            }
        }
        if let Some(end) = &record.finished {
            map.insert("outputs".to_owned(), end.outputs.clone());
            map.extend(end.error.as_ref().map(|failure| ("error".to_owned(), words::failure(failure).into())));
        }
        map
    };
    of_maps(&of(before), &of(after))
}

fn outcome(record: &Record) -> &'static str {
    match (&record.finished, &record.skipped) {
        (Some(end), _) => line::outcome_words(end.outcome),
        (None, Some(_)) => "skipped",
        (None, None) => "begun",
    }
}

fn slower(before: Option<&Record>, after: Option<&Record>) -> Option<Change> {
    let ms = |record: Option<&Record>| Some(record?.finished.as_ref()?.ms);
    let (old, new) = (ms(before)?, ms(after)?);
    let (less, more) = (old.min(new), old.max(new));
    let much = more >= less.saturating_mul(SLOWER_TIMES) && more - less >= SLOWER_MS;
    let side = |ms| Some(Value::from(words::duration(ms)));
    much.then(|| Change { what: "took".to_owned(), before: side(old), after: side(new) })
}

fn of_maps(before: &Map, after: &Map) -> Vec<Change> {
    let mut changes = Vec::new();
    go_into("", before, after, DEPTH_MAX, &mut changes);
    changes
}

/// Differences of two maps, by path. Lists are told whole: their items have no names to be aligned by.
fn go_into(front: &str, before: &Map, after: &Map, depth: usize, changes: &mut Vec<Change>) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let what = if front.is_empty() { key.clone() } else { format!("{front}.{key}") };
        match (before.get(key), after.get(key)) {
            (old, new) if old == new => {}
            // How long an answer took is time as well.
            _ if key == "ms" => {}
            (Some(Value::Map(old)), Some(Value::Map(new))) if depth > 0 => go_into(&what, old, new, depth - 1, changes),
            (old, new) => changes.push(Change { what, before: old.cloned(), after: new.cloned() }),
        }
    }
}

#[cfg(test)]
mod tests;
