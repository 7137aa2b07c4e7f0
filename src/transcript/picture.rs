//! A run as an SVG: one row a step, time to the right.
//!
//! Filled is work, hatched a wait for a person, dotted a poll; a tick is an attempt, a diamond a person's word, a
//! bracket a group. Status has a shape and a word beside its colour. No script, no fonts, nothing from elsewhere.

use jiff::{SignedDuration, Timestamp};

use crate::engine::event::Event;
use crate::engine::facts::Facts;
use crate::transcript::bars::{Fill, Picture, Row};
use crate::transcript::markup::Markup;
use crate::transcript::text::Mark;
use crate::transcript::{summary, words};

/// The style of the picture, also for a page that holds it.
pub const STYLE: &str = include_str!("picture.css");
/// Rows of a picture: more is a wall nobody reads, and a file no viewer opens.
pub const ROWS_MAX: usize = 400;
/// Marks of one row: a loop of attempts or answers must not make a picture of any size.
const MARKS_MAX: usize = 40;

const WIDTH: f64 = 960.0;
const HEAD: f64 = 46.0;
const ROW: f64 = 20.0;
const BAR: f64 = 12.0;
/// Where names, the axis and the words behind it begin.
const NAME_X: f64 = 26.0;
const AXIS_X: f64 = 216.0;
const AXIS_WIDTH: f64 = 500.0;
const WORDS_X: f64 = 728.0;
/// Characters that fit there in the widest usual monospace.
const NAME_CHARS_MAX: usize = 25;
const WORDS_CHARS_MAX: usize = 31;
/// Characters of the text a pointer shows.
const TITLE_CHARS_MAX: usize = 300;
const DEPTH_MAX: usize = 4;
/// A bar that took no time can still be seen.
const BAR_WIDTH_MIN: f64 = 3.0;
/// Times on the scale.
const TIMES: i64 = 4;

/// The picture as a file of its own.
pub fn svg(events: &[Event], facts: &Facts) -> String {
    let mut page = Markup::new();
    draw(&mut page, events, facts, Style::Inside);
    page.finish() + "\n"
}

/// Where the style stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Inside,
    /// In the page around it.
    Outside,
}

/// Draws the picture into a page.
pub fn draw(page: &mut Markup, events: &[Event], facts: &Facts, style: Style) {
    let picture = Picture::of(events, facts);
    let (rows, left_out) = picture.shown(ROWS_MAX);
    let lines = rows.len() + usize::from(left_out > 0);
    let height = HEAD + ROW * lines as f64 + 30.0;
    page.tag("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"rr\" role=\"img\" viewBox=\"0 0 960 ").number(height);
    page.tag("\">\n");
    let title = title(facts);
    page.element("title", &title);
    if style == Style::Inside {
        page.tag("\n<style>").tag(STYLE).tag("</style>");
    }
    page.tag(
        "\n<defs><pattern id=\"rr-wait\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><path class=\"hatch\" d=\"M0 0V6\"/></pattern>\
         <pattern id=\"rr-poll\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <circle class=\"dot\" cx=\"3\" cy=\"3\" r=\"1.5\"/></pattern></defs>\n",
    );
    label(page, 6.0, 16.0, "", &words::shorten(&title, 120));
    let axis = Axis { from: picture.from, span: words::between(picture.from, picture.to).max(1) };
    axis.scale(page, height);
    for (at, row) in rows.iter().enumerate() {
        row_of(page, row, &axis, HEAD + ROW * at as f64);
    }
    if left_out > 0 {
        let text = format!("{} more, done or without news, are not drawn", words::count(left_out, "step"));
        label(page, NAME_X, HEAD + ROW * rows.len() as f64 + 14.0, "dim", &text);
    }
    label(
        page,
        6.0,
        height - 8.0,
        "dim",
        "filled: working   hatched: waiting for a person   dotted: polling   tick: attempt   diamond: a person's word   \
         bracket: group   UTC",
    );
    page.tag("</svg>");
}

fn title(facts: &Facts) -> String {
    let Some(started) = &facts.started else { return String::new() };
    let status = summary::status_words(summary::status(facts));
    let incident = started.incident.as_ref().map(|incident| format!("{incident}: ")).unwrap_or_default();
    format!("{incident}{} ({}/{}), {status}", started.title, started.runbook, started.run)
}

struct Axis {
    from: Timestamp,
    span: u64,
}

impl Axis {
    fn x(&self, at: Timestamp) -> f64 {
        let part = words::between(self.from, at) as f64 / self.span as f64;
        AXIS_X + AXIS_WIDTH * part.min(1.0)
    }

    fn scale(&self, page: &mut Markup, height: f64) {
        for step in 0..TIMES {
            let ms = i64::try_from(self.span).unwrap_or(i64::MAX) / (TIMES - 1) * step;
            let x = AXIS_X + AXIS_WIDTH * step as f64 / (TIMES - 1) as f64;
            page.tag("<path class=\"grid\" d=\"M").number(x).tag(" ").number(HEAD - 6.0).tag("V").number(height - 24.0);
            page.tag("\"/>");
            let time = words::clock(self.from.checked_add(SignedDuration::from_millis(ms)).unwrap_or(self.from));
            // The last one ends at its line, so that it doesn't run into the words.
            let x = if step == TIMES - 1 { x - 58.0 } else { x };
            label(page, x, HEAD - 12.0, "dim", &time);
        }
        page.tag("\n");
    }
}

fn label(page: &mut Markup, x: f64, y: f64, class: &'static str, text: &str) {
    page.tag("<text").attribute("x", x).attribute("y", y);
    page.tag(" class=\"").tag(class).tag("\" xml:space=\"preserve\">").text(text).tag("</text>\n");
}

fn row_of(page: &mut Markup, row: &Row, axis: &Axis, y: f64) {
    page.tag("<g class=\"").tag(class(row.state.mark())).tag("\">");
    page.element("title", &words::shorten(&described(row), TITLE_CHARS_MAX));
    page.tag("<path class=\"sign\" d=\"").piece(&sign(row.state.mark(), 6.0, y + 4.0)).tag("\"/>");
    let indent = row.depth.min(DEPTH_MAX);
    let name = cut(row.step.as_str(), NAME_CHARS_MAX - indent);
    label(page, NAME_X + 8.0 * indent as f64, y + 14.0, "", &name);
    if row.group {
        bracket(page, row, axis, y + 4.0);
    } else {
        bars(page, row, axis, y + 4.0);
    }
    for at in row.attempts.iter().skip(1).take(MARKS_MAX) {
        page.tag("<path class=\"tick\" d=\"M").number(axis.x(*at)).tag(" ").number(y + 1.0).tag("v18\"/>");
    }
    for (at, _) in row.spoken.iter().take(MARKS_MAX) {
        page.tag("<path class=\"said\" d=\"M").number(axis.x(*at)).tag(" ").number(y + 3.0);
        page.tag("l6 7l-6 7l-6 -7z\"/>");
    }
    label(page, WORDS_X, y + 14.0, "dim", &cut(&row.summary(), WORDS_CHARS_MAX));
    page.tag("</g>\n");
}

fn bars(page: &mut Markup, row: &Row, axis: &Axis, y: f64) {
    for part in row.parts.iter().take(MARKS_MAX) {
        let x = axis.x(part.from).min(AXIS_X + AXIS_WIDTH - BAR_WIDTH_MIN);
        let width = (axis.x(part.to) - x).max(BAR_WIDTH_MIN);
        page.tag("<rect").attribute("x", x).attribute("y", y).attribute("width", width).attribute("height", BAR);
        page.tag(match part.fill {
            Fill::Working => " class=\"bar\"/>",
            Fill::Waiting => " class=\"wait\" fill=\"url(#rr-wait)\"/>",
            Fill::Polling => " class=\"poll\" fill=\"url(#rr-poll)\"/>",
        });
    }
}

fn bracket(page: &mut Markup, row: &Row, axis: &Axis, y: f64) {
    let Some((from, to)) = row.span() else { return };
    let x = axis.x(from);
    let width = (axis.x(to) - x).max(BAR_WIDTH_MIN);
    page.tag("<path class=\"group\" d=\"M").number(x).tag(" ").number(y + BAR).tag("v-8h").number(width).tag("v8\"/>");
}

/// What a pointer shows, and a screen reader says.
fn described(row: &Row) -> String {
    let what = if row.what.is_empty() { String::new() } else { format!(": {}", row.what) };
    let effect = if row.effect.is_empty() { String::new() } else { format!(" ({})", row.effect) };
    let times = row.span().map(|(from, to)| format!(", {} to {}", words::clock(from), words::clock(to)));
    format!("{}{what}{effect}, {}{}", row.step, row.summary(), times.unwrap_or_default())
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Done => "good",
        Mark::Failed => "bad",
        Mark::Waiting | Mark::Unknown | Mark::Changed | Mark::Warning => "warn",
        Mark::Skipped | Mark::Info => "still",
    }
}

/// The sign as a path in a square of 12: a letter would need a font that has it.
fn sign(mark: Mark, x: f64, y: f64) -> Markup {
    let mut path = Markup::new();
    path.tag("M").number(x).tag(" ").number(y);
    path.tag(match mark {
        Mark::Done => "m1 6l4 5l6 -10",
        Mark::Failed => "m1 1l10 10m0 -10l-10 10",
        Mark::Skipped => "m1 6h10",
        Mark::Waiting => "m3 1v10m6 -10v10",
        Mark::Info => "m5 6h2",
        Mark::Changed => "m0 7q3 -5 6 -1t6 -1",
        Mark::Unknown => "m2 4q0 -4 4 -4t4 3q0 2 -4 3v2m0 2v2",
        Mark::Warning => "m6 0v7m0 3v2",
    });
    path
}

/// The beginning of a text, and a sign that it goes on: the whole is in the title.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max - 1).chain(['…']).collect(),
    }
}

/// Whether a picture of this width is what the type says: the viewBox is written as text.
const _: () = assert!(WIDTH == 960.0 && WORDS_X < WIDTH && AXIS_X + AXIS_WIDTH < WORDS_X);

#[cfg(test)]
mod tests;
