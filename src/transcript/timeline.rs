//! A run as a picture in text: one row a step, time to the right.
//!
//! Filled is work, hatched a wait for a person, dotted a poll, a bracket a group; a tick is an attempt, a diamond
//! a person's word.

use jiff::Timestamp;

use crate::engine::event::Event;
use crate::engine::facts::Facts;
use crate::transcript::bars::{Fill, Picture, Row};
use crate::transcript::text::{Line, Marks, Tone};
use crate::transcript::words;

/// Characters of the time axis when a surface doesn't know better.
pub const WIDTH_DEFAULT: usize = 72;
/// Narrower pictures say nothing.
const WIDTH_MIN: usize = 20;
/// Names are cut here: the picture is about time.
const NAME_WIDTH_MAX: usize = 28;
/// Characters between two times of the scale.
const TIMES_EVERY: usize = 24;

/// The picture of a run so far; `width` characters for the time axis.
pub fn lines(events: &[Event], facts: &Facts, width: usize, marks: Marks) -> Vec<Line> {
    drawn(&Picture::of(events, facts), width, marks)
}

/// The same without the steps inside others.
pub fn outline(events: &[Event], facts: &Facts, width: usize, marks: Marks) -> Vec<Line> {
    let mut picture = Picture::of(events, facts);
    picture.rows.retain(|row| row.depth == 0);
    drawn(&picture, width, marks)
}

fn drawn(picture: &Picture, width: usize, marks: Marks) -> Vec<Line> {
    let width = width.max(WIDTH_MIN);
    if picture.rows.is_empty() {
        return Vec::new();
    }
    let axis = Axis { from: picture.from, span: words::between(picture.from, picture.to).max(1), width };
    let longest = picture.rows.iter().map(|row| name(row).chars().count()).max().unwrap_or(0);
    let name_width = longest.min(NAME_WIDTH_MAX) + 2;
    let mut lines = vec![Line::of(Tone::Dim, &format!("{}{}", " ".repeat(name_width + 2), axis.scale()))];
    lines.extend(picture.rows.iter().map(|row| draw(row, &axis, name_width, marks)));
    lines.push(Line::of(Tone::Dim, &legend(picture, marks)));
    lines.retain(|line| !line.pieces().is_empty());
    lines
}

struct Axis {
    from: Timestamp,
    span: u64,
    width: usize,
}

impl Axis {
    fn column(&self, at: Timestamp) -> usize {
        let part = u128::from(words::between(self.from, at)) * (self.width as u128 - 1) / u128::from(self.span);
        usize::try_from(part).unwrap_or(self.width).min(self.width - 1)
    }

    /// Times at even distances, the last one at the end.
    fn scale(&self) -> String {
        let gaps = (self.width / TIMES_EVERY).max(1);
        let mut scale = String::new();
        for gap in 0..=gaps {
            let ms = self.span * gap as u64 / gaps as u64;
            let at = self.from + jiff::SignedDuration::from_millis(i64::try_from(ms).unwrap_or(0));
            let time = words::clock(at);
            let place = self.width * gap / gaps;
            let place = if gap == gaps { self.width.saturating_sub(time.len()) } else { place };
            let blanks = place.saturating_sub(scale.chars().count());
            scale.push_str(&" ".repeat(blanks));
            scale.push_str(&time);
        }
        scale
    }
}

fn name(row: &Row) -> String {
    format!("{}{}", "  ".repeat(row.depth.min(4)), row.step)
}

fn draw(row: &Row, axis: &Axis, name_width: usize, marks: Marks) -> Line {
    let mark = row.state.mark();
    let name: String = name(row).chars().take(NAME_WIDTH_MAX).collect();
    let line = Line::of(mark.tone(), marks.sign(mark)).add(Tone::Plain, " ").column(Tone::Strong, &name, name_width);
    let cells = cells(row, axis, marks);
    let (blank, bar) = cells.split_at(cells.iter().take_while(|cell| **cell == ' ').count());
    line.add(Tone::Plain, &blank.iter().collect::<String>())
        .add(mark.tone(), &bar.iter().collect::<String>())
        .add(Tone::Dim, &format!(" {}", row.summary()))
}

/// The bar, cell by cell, up to its last one.
fn cells(row: &Row, axis: &Axis, marks: Marks) -> Vec<char> {
    let Some((from, to)) = row.span() else { return Vec::new() };
    let end = axis.column(to);
    let mut cells = vec![' '; end + 1];
    for part in &row.parts {
        for cell in &mut cells[axis.column(part.from)..=axis.column(part.to)] {
            *cell = fill(part.fill, marks);
        }
    }
    if row.group {
        let start = axis.column(from);
        let (left, middle, right) = if marks == Marks::Unicode { ('├', '─', '┤') } else { ('[', '-', ']') };
        cells[start..].fill(middle);
        cells[end] = right;
        cells[start] = left;
    }
    // The first attempt begins where the bar does.
    for at in row.attempts.iter().skip(1) {
        cells[axis.column(*at).min(end)] = if marks == Marks::Unicode { '┃' } else { '|' };
    }
    for (at, _) in &row.spoken {
        cells[axis.column(*at).min(end)] = if marks == Marks::Unicode { '◆' } else { '*' };
    }
    cells
}

fn fill(fill: Fill, marks: Marks) -> char {
    match (marks, fill) {
        (Marks::Unicode, Fill::Working) => '█',
        (Marks::Unicode, Fill::Waiting) => '░',
        (Marks::Unicode, Fill::Polling) => '·',
        (Marks::Ascii, Fill::Working) => '#',
        (Marks::Ascii, Fill::Waiting) => '=',
        (Marks::Ascii, Fill::Polling) => '.',
    }
}

/// What the signs in this picture mean; those that explain themselves are left out.
fn legend(picture: &Picture, marks: Marks) -> String {
    let unicode = marks == Marks::Unicode;
    let rows = || picture.rows.iter();
    let has = |kind| rows().any(|row| !row.group && row.parts.iter().any(|part| part.fill == kind));
    let known = [
        (has(Fill::Waiting), fill(Fill::Waiting, marks), "waiting for a person"),
        (has(Fill::Polling), fill(Fill::Polling, marks), "polling"),
        (rows().any(|row| row.attempts.len() > 1), if unicode { '┃' } else { '|' }, "another attempt"),
        (rows().any(|row| !row.spoken.is_empty()), if unicode { '◆' } else { '*' }, "a person's word"),
    ];
    let said: Vec<String> =
        known.iter().filter(|(is, ..)| *is).map(|(_, sign, text)| format!("{sign} {text}")).collect();
    if said.is_empty() { String::new() } else { format!("  {}", said.join("   ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Body;
    use crate::engine::ids::StepPath;
    use crate::runbook::spec::Effect;
    use crate::script::value::{Map, Value};
    use crate::transcript::story::{Story, map};
    use serde_json::json;

    fn drawn(story: &Story, width: usize, marks: Marks) -> Vec<String> {
        lines(&story.events, &story.facts, width, marks).iter().map(Line::plain).collect()
    }

    #[test]
    fn bars_stand_where_their_time_was() {
        let mut story = Story::begun();
        story.read("look", "http.probe").after_ms(5_000).done("look", json!({}));
        story.asks("schema", "safe?").after_ms(5_000).answered("schema", "safe", "bob");
        story.done("schema", json!({})).finished();
        let expected = [
            "          14:03:02Z  14:03:12Z",
            "✓ look    ██████████ done 5.0s",
            "✓ schema           ░░░░░░░░░░◆ done 5.0s, answered by bob via chat",
            "  ░ waiting for a person   ◆ a person's word",
        ];
        assert_eq!(drawn(&story, 20, Marks::Unicode), expected);
    }

    #[test]
    fn every_kind_of_time_has_a_sign_of_its_own_also_in_ascii() {
        let mut story = Story::begun();
        story.starts("fix", Some("railway.fix"), "uses", Effect::Write, json!({}));
        story.write("fix/set").after_ms(8_000).doubts("fix/set").after_ms(4_000);
        let (step, decision) = (StepPath::new("fix/set"), crate::engine::event::Decision::NotDone);
        let actor = crate::transcript::story::ana();
        story.tell(Body::OutcomeSet { step, decision, outputs: Map::new(), actor, reason: "not there".into() });
        story.write("fix/set").after_ms(4_000).done("fix/set", json!({})).done("fix", json!({}));
        story.read("active", "http.probe").after_ms(1_000);
        story.tell(Body::StepObserved { step: "active".into(), attempt: 1, look: 22, result: Value::Null });
        story.after_ms(15_000).done("active", json!({}));
        story.tell(Body::StepSkipped { step: "rare".into(), condition: "false".into(), values: map(json!({})) });
        story.finished();
        insta::assert_snapshot!(drawn(&story, 48, Marks::Unicode).join("\n"));
        let ascii = drawn(&story, 48, Marks::Ascii).join("\n");
        assert!(ascii.is_ascii(), "{ascii}");
        insta::assert_snapshot!(ascii);
    }
}
