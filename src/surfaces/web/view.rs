//! What pages say, as plain data for their templates: statuses, times, lines, rows of lists.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};

use crate::runs::RunRow;
use crate::transcript::text::Mark;
use crate::transcript::{Line, Marks, Tone, escape, summary, words};

/// The sign of what waits: that of terminals is missing in many fonts.
pub const WAITS: &str = "‖";
/// Characters of one text on a page; the whole of it is in the exports.
pub const TEXT_CHARS_MAX: usize = 400;
/// Bytes of the markup around a text, and around a row of them: the most of any template.
const FIELD_BYTES: usize = 40;
const ROW_BYTES: usize = 60;
/// What stands in a path as it is: names, and the slashes between the steps of a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A text as it fits on a page.
pub fn clipped(text: &str) -> String {
    words::shorten(text, TEXT_CHARS_MAX)
}

/// As many of these, from the first, as take no more than so many bytes on a page; and how many are left out. Texts grow
/// when they are escaped, so only their bytes bound a page.
pub fn within(rows: Vec<Json>, bytes_max: usize) -> (Vec<Json>, usize) {
    let mut bytes = 0;
    let fit = rows.iter().take_while(|row| {
        bytes += size(row);
        bytes <= bytes_max
    });
    let (all, fit) = (rows.len(), fit.count());
    (rows.into_iter().take(fit).collect(), all - fit)
}

/// The same from the last: the newest ones, in their order.
pub fn last_within(mut rows: Vec<Json>, bytes_max: usize) -> (Vec<Json>, usize) {
    rows.reverse();
    let (mut fit, left) = within(rows, bytes_max);
    fit.reverse();
    (fit, left)
}

/// Bytes of it on a page, with its markup.
fn size(data: &Json) -> usize {
    match data {
        Json::String(text) => escape::html(text).len() + FIELD_BYTES,
        Json::Array(items) => items.iter().map(size).sum(),
        Json::Object(fields) => ROW_BYTES + fields.values().map(size).sum::<usize>(),
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    }
}

/// A text in a path of ours, such as the name of a step.
pub fn in_path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// The address of a run's page.
pub fn run_url(row: &RunRow) -> String {
    format!("/runs/{}", row.run.short())
}

/// A moment: for programs, and as people read it.
pub fn time(at: Timestamp) -> Json {
    json!({ "iso": format!("{at:.0}"), "utc": words::date_time(at) })
}

/// A status with its sign: colour is never the only difference.
pub fn status(word: &str) -> Json {
    let (sign, tone) = match word {
        "success" => ("✓", "good"),
        "failed" | "rejected" | "stuck" => ("✗", "bad"),
        "in_doubt" => ("?", "warn"),
        "waiting" | "paused" => (WAITS, "warn"),
        "running" => ("◌", "live"),
        _ => ("–", "dim"),
    };
    json!({ "word": word, "text": summary::status_words(word), "sign": sign, "tone": tone })
}

/// A sign that fonts of browsers have.
pub fn sign(mark: Mark) -> &'static str {
    match mark {
        Mark::Waiting => WAITS,
        mark => Marks::Unicode.sign(mark),
    }
}

/// A sign with its tone.
pub fn mark(mark: Mark) -> Json {
    json!({ "sign": sign(mark), "tone": mark.tone().class() })
}

/// Lines as the terminal has them.
pub fn lines<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Json {
    Json::Array(lines.into_iter().map(line).collect())
}

/// A line: pieces with their classes.
pub fn line(line: &Line) -> Json {
    let piece = |(own, text): &(Tone, String)| match text == Marks::Unicode.sign(Mark::Waiting) {
        true => json!({ "tone": own.class(), "text": WAITS }),
        false => json!({ "tone": own.class(), "text": clipped(text) }),
    };
    Json::Array(line.pieces().iter().map(piece).collect())
}

/// A run in a list.
pub fn row(row: &RunRow) -> Json {
    let took = row.ended_at.map(|ended| words::duration(words::between(row.started_at, ended)));
    json!({
        "url": run_url(row),
        "name": clipped(&row.runbook),
        "id": row.run.short(),
        "title": clipped(&row.title),
        "status": status(row.status.word()),
        "target": row.target.as_deref().map(clipped),
        "by": clipped(&row.actor.id),
        "incident": row.incident.as_deref().map(clipped),
        "incident_url": row.incident.as_deref().map(|incident| format!("/incidents/{}", in_path(incident))),
        "started": time(row.started_at),
        "took": took,
    })
}

/// Runs in a list.
pub fn rows(all: &[RunRow]) -> Vec<Json> {
    all.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_sign_and_a_word_of_its_own() {
        for known in crate::runs::Status::ALL {
            let said = status(known.word());
            assert!(!said["sign"].as_str().unwrap().is_empty() && !said["text"].as_str().unwrap().is_empty());
        }
        assert_eq!(status("in_doubt")["text"], "outcome unknown");
    }

    #[test]
    fn rows_fit_by_their_bytes_as_they_are_escaped() {
        let row = |text: &str| json!({ "a": text });
        let plain = vec![row("x"); 10];
        let (fit, left) = within(plain.clone(), 10 * (1 + FIELD_BYTES + ROW_BYTES));
        assert_eq!((fit.len(), left), (10, 0));
        let (fit, left) = within(plain, 10 * (1 + FIELD_BYTES + ROW_BYTES) - 1);
        assert_eq!((fit.len(), left), (9, 1));
        let (fit, left) = last_within(vec![row("<<<<"), row("b"), row("c")], 2 * (1 + FIELD_BYTES + ROW_BYTES) + 101);
        assert_eq!((fit, left), (vec![row("b"), row("c")], 1), "an escaped sign is four");
        assert_eq!(within(Vec::new(), 0), (Vec::new(), 0));
    }

    #[test]
    fn a_name_in_a_path_stays_one() {
        assert_eq!(in_path("a/b[1]"), "a/b%5B1%5D");
        assert_eq!(in_path("\"><x?#%"), "%22%3E%3Cx%3F%23%25");
    }
}
