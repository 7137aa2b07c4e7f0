//! Lists of runs: all with filters in the address, those of an incident, and the transcript of one in windows.

use serde_json::{Value as Json, json};
use url::form_urlencoded::Serializer;

use crate::engine::event::Event;
use crate::engine::facts::Facts;
use crate::runs::{RunFilter, RunRow, Status};
use crate::surfaces::http::{Answer, Call, Problem, looks};
use crate::surfaces::web::frame::Page;
use crate::surfaces::web::{run, view};
use crate::transcript::{Line, escape};

/// Runs on one page.
const ROWS_MAX: u32 = 50;
/// Bytes of the rows on one page, and of the notes.
const ROWS_BYTES_MAX: usize = 80_000;
const HALF_BYTES_MAX: usize = 40_000;
/// Lines of a transcript in one window.
const LINES_MAX: usize = 500;
/// Bytes of a window: a page stays small also where lines are long.
const WINDOW_BYTES_MAX: usize = 64 * 1024;
/// Runs of an incident whose notes are read.
const NOTED_MAX: usize = 20;
/// Longer runs are left out there.
const NOTED_EVENTS_MAX: u64 = 20_000;
/// Notes of an incident.
const NOTES_MAX: usize = 60;
/// What a list can be filtered by.
const FILTERS: [&str; 6] = ["status", "runbook", "incident", "operator", "since", "before"];

/// Runs, newest first.
pub fn runs(call: &Call<'_>) -> Result<Answer, Problem> {
    let mut given = call.parameters(&FILTERS)?;
    // A form sends its empty fields as well.
    given.retain(|(_, text)| !text.trim().is_empty());
    let filter = looks::filter(&call.runs, &given, ROWS_MAX)?;
    let rows = call.runs.list(&filter)?;
    let (shown, left) = view::within(view::rows(&rows), ROWS_BYTES_MAX);
    let further = rows.len() >= ROWS_MAX as usize || left > 0;
    let get =
        |name: &str| given.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str()).unwrap_or_default();
    let statuses: Vec<Json> = Status::ALL.iter().map(|status| view::status(status.word())).collect();
    let without_place = given.iter().filter(|(name, _)| name != "before");
    let next = further.then(|| rows.get(shown.len().saturating_sub(1))).flatten().map(|last| {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(without_place.clone()).append_pair("before", &last.run.uuid());
        format!("/runs?{}", query.finish())
    });
    let first = (!get("before").is_empty()).then(|| {
        let mut query = Serializer::new(String::new());
        format!("/runs?{}", query.extend_pairs(without_place).finish())
    });
    let data = json!({
        "filter": {
            "status": get("status"), "runbook": get("runbook"), "incident": get("incident"),
            "operator": get("operator"), "since": get("since"),
        },
        "statuses": statuses, "rows": shown, "next": next, "first": first,
    });
    Page::new("runs.html", "runs", "Runs").answer(call, data)
}

/// All runs and notes of one incident.
pub fn incident(call: &Call<'_>) -> Result<Answer, Problem> {
    call.parameters(&[])?;
    let name = call.subject.clone().unwrap_or_default();
    let filter = RunFilter { incident: Some(name.clone()), limit: Some(ROWS_MAX), ..RunFilter::default() };
    let rows = call.runs.list(&filter)?;
    let (shown, left) = view::within(view::rows(&rows), HALF_BYTES_MAX);
    let further = rows.len() >= ROWS_MAX as usize || left > 0;
    let mut notes = Vec::new();
    for row in rows.iter().filter(|row| row.last_seq <= NOTED_EVENTS_MAX).take(NOTED_MAX) {
        for mut note in run::notes(&call.runs.events(row)?) {
            note["url"] = json!(view::run_url(row));
            note["run"] = json!(format!("{} / {}", row.runbook, row.run));
            notes.push(note);
        }
    }
    notes.sort_by_key(|note| std::cmp::Reverse(note["at"]["iso"].as_str().unwrap_or_default().to_owned()));
    notes.truncate(NOTES_MAX);
    let next = further.then(|| rows.get(shown.len().saturating_sub(1))).flatten().map(|last| {
        let mut query = Serializer::new(String::new());
        query.append_pair("incident", &name).append_pair("before", &last.run.uuid());
        format!("/runs?{}", query.finish())
    });
    let data = json!({ "incident": view::clipped(&name), "rows": shown, "notes": view::within(notes, HALF_BYTES_MAX).0, "next": next });
    Page::new("incident.html", "runs", format!("Incident {}", view::clipped(&name))).answer(call, data)
}

/// The transcript of a run, a window of it.
pub fn transcript(call: &Call<'_>) -> Result<Answer, Problem> {
    let given = call.parameters(&["from"])?;
    let row = call.run()?;
    let from = match given.first() {
        None => 0,
        Some((_, text)) => text
            .parse::<usize>()
            .map_err(|_| Problem::new(400, format!("`from` is no number of an event: `{text}`")))?,
    };
    let (events, facts) = call.runs.story(&row)?;
    let title = format!("Transcript of {} / {}", row.runbook, row.run);
    Page::new("transcript.html", "runs", title).answer(call, window(&row, &events, &facts, from))
}

/// What stands in the window that begins with this event.
pub fn window(row: &RunRow, events: &[Event], facts: &Facts, from: usize) -> Json {
    let (mut lines, mut bytes, mut to): (Vec<Line>, usize, usize) = (Vec::new(), 0, from.min(events.len()));
    for event in events.iter().skip(from) {
        let own = run::lines_of(event, facts);
        let size: usize = own.iter().map(size).sum();
        // One event is always shown, as far as it fits.
        if to > from && (lines.len() + own.len() > LINES_MAX || bytes + size > WINDOW_BYTES_MAX) {
            break;
        }
        for line in own.into_iter().take(LINES_MAX) {
            bytes += self::size(&line);
            // What one event has beyond the window is in the exports.
            if bytes <= WINDOW_BYTES_MAX {
                lines.push(line);
            }
        }
        to += 1;
    }
    let url = view::run_url(row);
    let at = |from: usize| format!("{url}/transcript?from={from}");
    let tail = events.len().saturating_sub(LINES_MAX / 2);
    json!({
        "url": url, "name": view::clipped(&row.runbook), "id": row.run.short(),
        "from": from, "to": to, "events": events.len(), "lines": view::lines(&lines),
        "before": (from > 0).then(|| at(0)),
        "after": (to < events.len()).then(|| at(to)),
        "last": (to < events.len() && tail > to).then(|| at(tail)),
    })
}

/// Bytes of a line on a page.
fn size(line: &Line) -> usize {
    let piece = |text: &str| escape::html(&view::clipped(text)).len() + "<span class=\"strong\"></span>".len();
    line.pieces().iter().map(|(_, text)| piece(text)).sum()
}
