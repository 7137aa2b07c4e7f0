//! Administration: the hold, people with their roles and tokens, and whether this machine is fit.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use crate::runs::Fitness;
use crate::surfaces::http::{Answer, Call, Problem, fitness};
use crate::surfaces::shapes::fitness::word;
use crate::surfaces::web::frame::Page;
use crate::surfaces::web::{problems, view};
use crate::transcript::text::Mark;

/// People on the page.
const PEOPLE_MAX: usize = 200;
/// Bytes of a list.
const LIST_BYTES_MAX: usize = 80_000;
/// Things the doctor looked at.
const CHECKS_MAX: usize = 200;

/// The page.
pub fn page(call: &Call<'_>) -> Result<Answer, Problem> {
    call.parameters(&[])?;
    show(call, None, 200)
}

/// The same for a word that was refused.
///
/// # Errors
/// If the journal can't be read.
pub fn refused(call: &Call<'_>, problem: &Problem) -> Result<Answer, Problem> {
    show(call, Some(problems::fault(problem)), problem.status)
}

fn show(call: &Call<'_>, fault: Option<Json>, status: u16) -> Result<Answer, Problem> {
    let people = &call.runs.project().settings.people;
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let token = |token: &crate::runbook::tokens::ScopedToken| {
        let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.word()).collect();
        let over = token.expires <= today;
        json!({
            "name": view::clipped(&token.name), "scopes": scopes.join(", "), "max_effect": token.max_effect.word(),
            "until": if over { format!("has expired: {}", token.expires) } else { format!("until {}", token.expires) },
            "tone": if over { "bad" } else { "dim" },
        })
    };
    let listed: Vec<Json> = people
        .names()
        .take(PEOPLE_MAX)
        .filter_map(|name| {
            let person = people.named(name)?;
            let tokens: Vec<Json> = person.tokens.iter().map(token).collect();
            Some(json!({ "name": view::clipped(name), "roles": view::clipped(&person.roles.join(", ")), "tokens": tokens }))
        })
        .collect();
    let counts: Vec<(String, u64)> = call.runs.counts()?.into_iter().collect();
    let counts: Vec<_> =
        counts.into_iter().map(|(word, count)| (format!("Runs: {}", word.replace('_', " ")), count)).collect();
    let data = json!({
        "people": view::within(listed, LIST_BYTES_MAX).0, "counts": counts, "fault": fault, "version": env!("CARGO_PKG_VERSION"),
        "driven": call.server.fleet.driven(),
    });
    Page::new("admin.html", "admin", "Admin").with_status(status).answer(call, data)
}

/// What `rerail doctor` says here.
pub fn doctor(call: &Call<'_>) -> Result<Answer, Problem> {
    call.parameters(&[])?;
    let checks = fitness::checkup(call, None)?.into_iter().take(CHECKS_MAX).map(|item| {
        let mark = match item.fitness {
            Fitness::Well => Mark::Done,
            Fitness::Doubtful => Mark::Warning,
            Fitness::Broken => Mark::Failed,
        };
        let mut row = view::mark(mark);
        row["what"] = json!(view::clipped(&item.what));
        row["word"] = json!(word(item.fitness));
        row["says"] = json!(view::clipped(&item.says));
        row["hint"] = json!(item.hint.as_deref().map(view::clipped));
        row
    });
    let checks: Vec<Json> = checks.collect();
    Page::new("doctor.html", "admin", "Doctor")
        .answer(call, json!({ "checks": view::within(checks, LIST_BYTES_MAX).0 }))
}
