//! A run as a picture in text: one row a step, time to the right.

use jiff::Timestamp;

use crate::engine::event::{Body, Event};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::outcome::Outcome;
use crate::transcript::text::{Line, Mark, Marks, Tone};
use crate::transcript::words;

/// Characters of the time axis when a surface doesn't know better.
pub const WIDTH_DEFAULT: usize = 72;
/// Narrower pictures say nothing.
const WIDTH_MIN: usize = 20;
/// Names are cut here: the picture is about time.
const NAME_WIDTH_MAX: usize = 28;

/// A step between two moments.
struct Bar {
    step: StepPath,
    from: Timestamp,
    to: Option<Timestamp>,
    outcome: Option<Outcome>,
    /// It waited for a person.
    asked: bool,
    polled: bool,
    attempts: u32,
    remark: String,
}

/// The picture of a run so far; `width` characters for the time axis.
pub fn lines(events: &[Event], facts: &Facts, width: usize, marks: Marks) -> Vec<Line> {
    let width = width.max(WIDTH_MIN);
    let bars = bars(events, facts);
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Vec::new() };
    let axis = Axis { from: first.ts, span: words::between(first.ts, last.ts).max(1), width };
    let longest = bars.iter().map(|bar| bar.step.as_str().chars().count()).max().unwrap_or(0);
    let name_width = longest.min(NAME_WIDTH_MAX) + 2;

    let (from, to) = (words::clock(first.ts), words::clock(last.ts));
    let gap = width.saturating_sub(from.len() + to.len()).max(1);
    let scale = format!("{}{from}{}{to}", " ".repeat(name_width + 2), " ".repeat(gap));
    let mut lines = vec![Line::of(Tone::Dim, &scale)];
    for bar in &bars {
        lines.push(bar.draw(&axis, name_width, marks));
    }
    lines
}

fn bars(events: &[Event], facts: &Facts) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for event in events {
        match &event.body {
            Body::StepStarted(intent) => match bars.iter_mut().find(|bar| bar.step == intent.step) {
                Some(bar) => bar.attempts = intent.attempt,
                None => {
                    let record = facts.step(&intent.step);
                    bars.push(Bar {
                        step: intent.step.clone(),
                        from: event.ts,
                        to: None,
                        outcome: None,
                        asked: record.is_some_and(|record| record.asked.is_some()),
                        polled: intent.within_ms.is_some(),
                        attempts: intent.attempt,
                        remark: String::new(),
                    });
                }
            },
            Body::StepFinished(end) => {
                if let Some(bar) = bars.iter_mut().find(|bar| bar.step == end.step) {
                    bar.to = Some(event.ts);
                    bar.outcome = Some(end.outcome);
                }
            }
            Body::AskAnswered { step, actor, .. } => {
                if let Some(bar) = bars.iter_mut().find(|bar| bar.step == *step) {
                    bar.asked = true;
                    bar.remark = format!("answered by {}", actor.id);
                }
            }
            _ => {}
        }
    }
    bars
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
}

impl Bar {
    fn draw(&self, axis: &Axis, name_width: usize, marks: Marks) -> Line {
        let from = axis.column(self.from);
        let to = self.to.map_or(axis.width - 1, |to| axis.column(to));
        let fill = match (marks, self.asked, self.polled) {
            (Marks::Unicode, true, _) => "░",
            (Marks::Unicode, _, true) => "·",
            (Marks::Unicode, _, _) => "█",
            (Marks::Ascii, true, _) => "=",
            (Marks::Ascii, _, true) => ".",
            (Marks::Ascii, _, _) => "#",
        };
        let mark = match self.outcome {
            None => Mark::Waiting,
            Some(Outcome::Done | Outcome::Planned) => Mark::Done,
            Some(Outcome::InDoubt) => Mark::Unknown,
            Some(Outcome::Skipped | Outcome::NotRun | Outcome::Cancelled) => Mark::Skipped,
            Some(Outcome::Refused | Outcome::Failed | Outcome::Rejected) => Mark::Failed,
        };
        let name: String = self.step.as_str().chars().take(NAME_WIDTH_MAX).collect();
        let took = self.to.map_or(String::new(), |to| words::duration(words::between(self.from, to)));
        let attempts = if self.attempts > 1 { format!(", {} attempts", self.attempts) } else { String::new() };
        let remark = if self.remark.is_empty() { String::new() } else { format!(", {}", self.remark) };
        Line::of(mark.tone(), marks.sign(mark))
            .add(Tone::Plain, " ")
            .column(Tone::Strong, &name, name_width)
            .add(Tone::Plain, &" ".repeat(from))
            .add(mark.tone(), &fill.repeat(to.saturating_sub(from) + 1))
            .add(Tone::Dim, &format!(" {took}{attempts}{remark}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::story::Story;

    #[test]
    fn bars_stand_where_their_time_was() {
        let mut story = Story::begun();
        story.after_ms(0).read("look", "http.probe");
        story.after_ms(5_000).done("look", serde_json::json!({}));
        story.after_ms(0).asks("schema", "safe?");
        story.after_ms(5_000).answered("schema", "safe", "bob");
        story.after_ms(0).done("schema", serde_json::json!({}));
        story.finished();
        let drawn: Vec<String> =
            lines(&story.events, &story.facts, 20, Marks::Unicode).iter().map(Line::plain).collect();
        let expected = [
            "          14:03:02Z  14:03:12Z",
            "✓ look    ██████████ 5.0s",
            "✓ schema           ░░░░░░░░░░░ 5.0s, answered by bob",
        ];
        assert_eq!(drawn, expected);
    }
}
