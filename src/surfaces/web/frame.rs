//! What stands around every page: who looks, how many runs wait for people, whether writes are on hold.

use serde_json::{Map, Value as Json, json};

use crate::runs::{Runs, RunsError};
use crate::surfaces::alerts::proposals;
use crate::surfaces::http::{Answer, Call, Problem};
use crate::surfaces::web::{assets, paper, view};
use crate::transcript::line;

/// The media type of pages.
pub const HTML: &str = "text/html; charset=utf-8";
/// Statuses of runs that go on only when somebody says so.
const WAITING: [&str; 3] = ["waiting", "in_doubt", "stuck"];

/// A page of its own: `section` is what the navigation marks, `live` the address of its stream.
pub struct Page {
    pub template: &'static str,
    pub section: &'static str,
    pub title: String,
    pub live: Option<String>,
    pub status: u16,
}

impl Page {
    /// A page that stands still.
    pub fn new(template: &'static str, section: &'static str, title: impl Into<String>) -> Page {
        Page { template, section, title: title.into(), live: None, status: 200 }
    }

    /// The same with a stream of what changes.
    pub fn live(self, address: Option<String>) -> Page {
        Page { live: address, ..self }
    }

    /// The same as the answer to something that was not done.
    pub fn with_status(self, status: u16) -> Page {
        Page { status, ..self }
    }

    /// Writes it for who looks.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn answer(self, call: &Call<'_>, data: Json) -> Result<Answer, Problem> {
        let status = self.status;
        let text = self.write(&around(call)?, data)?;
        Ok(Answer { status, ..Answer::text(HTML, text) })
    }

    /// Writes it with this around it.
    ///
    /// # Errors
    /// If the template names what isn't there.
    pub fn write(self, around: &Json, data: Json) -> Result<String, Problem> {
        let mut whole = match data {
            Json::Object(map) => map,
            _ => Map::new(),
        };
        whole.insert("frame".to_owned(), around.clone());
        whole.insert("title".to_owned(), json!(self.title));
        whole.insert("section".to_owned(), json!(self.section));
        whole.insert("live".to_owned(), json!(self.live));
        paper::write(self.template, &Json::Object(whole))
    }
}

/// What stands around a page, for who looks.
///
/// # Errors
/// If the journal can't be read.
pub fn around(call: &Call<'_>) -> Result<Json, Problem> {
    let waits = waits(&call.runs)?;
    let hold = call.runs.last_hold()?.and_then(crate::runs::LastHold::on);
    let who = call.runs.identify(&call.principal.caller)?;
    Ok(json!({
        "who": { "name": view::clipped(&who.id), "roles": who.roles },
        "signed_in": call.principal.csrf.is_some(),
        "waits": waits,
        "hold": hold.map(|hold| json!({
            "by": line::person(&hold.actor), "reason": view::clipped(&hold.reason), "since": view::time(hold.since),
        })),
        "csrf": call.principal.csrf,
        "key": crate::surfaces::http::new_key(),
        "style": assets::style_url(),
        "script": assets::script_url(),
    }))
}

/// How many runs and proposals wait for people.
///
/// # Errors
/// If the journal can't be read.
pub fn waits(runs: &Runs) -> Result<u64, RunsError> {
    let counts = runs.counts()?;
    let runs_waiting: u64 = WAITING.iter().filter_map(|word| counts.get(*word)).sum();
    Ok(runs_waiting + proposals::open(runs)?.len() as u64)
}

/// What stands around a page that nobody is signed in for.
pub fn outside() -> Json {
    json!({
        "who": null, "signed_in": false, "waits": 0, "hold": null, "csrf": null, "key": "",
        "style": assets::style_url(), "script": assets::script_url(),
    })
}
