//! Routes that only look: the same shapes as the terminal's `-o json`.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::runs::{RunFilter, Runs, Status};
use crate::surfaces::http::call::{Answer, Call, plain_name};
use crate::surfaces::http::openapi;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::shapes::lines::of_lines;
use crate::surfaces::shapes::{approvals, hold, run, runbook, runbooks, runs};

/// Runs on one page unless more are asked for.
const PAGE: u32 = 50;
/// Runs on one page at most.
pub const PAGE_MAX: u32 = 500;

/// That the process lives: a text that never changes.
pub fn alive(_: &Call<'_>) -> Result<Answer, Problem> {
    Ok(Answer::text("text/plain; charset=utf-8", "ok\n".to_owned()))
}

/// That it can do its work: project and journal can be read, and it is not about to end.
pub fn ready(call: &Call<'_>) -> Result<Answer, Problem> {
    let held = call.runs.last_hold()?.is_some_and(|last| last.lifted.is_none());
    if call.server.is_leaving() {
        return Err(Problem::new(503, "this server is about to end").after(1));
    }
    Ok(Answer::json(200, &json!({ "ready": true, "on_hold": held, "driven": call.server.fleet.driven() })))
}

/// The description of the API.
pub fn described(_: &Call<'_>) -> Result<Answer, Problem> {
    Ok(Answer::json(200, &openapi::document()))
}

/// Who is calling.
pub fn whoami(call: &Call<'_>) -> Result<Answer, Problem> {
    let actor = call.runs.identify(&call.principal.caller)?;
    let single = call.runs.project().settings.people.is_single_operator();
    let os_user = call.principal.caller.os_users.first();
    let json = json!({
        "id": actor.id,
        "person": actor.person,
        "roles": actor.roles,
        "os_user": os_user,
        "single_operator": single,
    });
    Ok(Answer::json(200, &json))
}

/// Runbooks, as `rerail list`.
pub fn books(call: &Call<'_>) -> Result<Answer, Problem> {
    let words: Vec<String> = call.parameters(&["words"])?.into_iter().map(|(_, words)| words).collect();
    let words: Vec<String> = words.iter().flat_map(|words| words.split_whitespace()).map(str::to_lowercase).collect();
    Ok(Answer::json(200, &Json::Array(runbooks::of_runbooks(&call.runs, &words)?)))
}

/// One runbook, as `rerail describe`.
pub fn book(call: &Call<'_>) -> Result<Answer, Problem> {
    let lines = call.parameters(&["lines"])?.iter().any(|(_, value)| value == "true");
    let name = plain_name("runbook", call.subject.as_deref().unwrap_or_default())?;
    let (program, faults) = call.runs.check(name)?;
    match program {
        Some(program) => {
            let mut json = runbook::of_program(&program);
            if lines {
                json["lines"] = of_lines(&runbook::lines(&program));
            }
            Ok(Answer::json(200, &json))
        }
        None => Err(Problem { faults, ..Problem::new(422, format!("runbook `{name}` has problems")) }),
    }
}

/// A page of runs, as `rerail runs`; the next one is linked.
pub fn page(call: &Call<'_>) -> Result<Answer, Problem> {
    let known = ["status", "runbook", "incident", "operator", "since", "limit", "before", "find"];
    let given = call.parameters(&known)?;
    let get = |name: &str| given.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if let Some(text) = get("find") {
        return match given.len() {
            1 => Ok(Answer::json(200, &json!([runs::of_row(&call.runs.find(text)?)]))),
            _ => Err(Problem::new(400, "`find` names one run, and goes with no other parameter")),
        };
    }
    let limit = match get("limit") {
        None => PAGE,
        Some(text) => text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit)).ok_or_else(|| {
            Problem::new(400, format!("expected a number from 1 to {PAGE_MAX} for `limit`, got `{text}`"))
        })?,
    };
    let rows = call.runs.list(&filter(&call.runs, &given, limit)?)?;
    let answer = Answer::json(200, &rows.iter().map(runs::of_row).collect());
    let Some(last) = rows.last().filter(|_| rows.len() >= limit as usize) else { return Ok(answer) };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(given.iter().filter(|(name, _)| name != "before"));
    query.append_pair("before", &last.run.uuid());
    Ok(answer.with("link", format!("</api/v1/runs?{}>; rel=\"next\"", query.finish())))
}

/// Which runs the parameters of a query mean.
///
/// # Errors
/// 400 if one says nothing that could be meant, 404 if there is no run `before`.
pub fn filter(door: &Runs, given: &[(String, String)], limit: u32) -> Result<RunFilter, Problem> {
    let get = |name: &str| given.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let wrong = |said: String| Problem::new(400, said);
    Ok(RunFilter {
        status: get("status")
            .map(|word| Status::from_word(word).ok_or_else(|| wrong(format!("no status `{word}`"))))
            .transpose()?,
        runbook: get("runbook").map(str::to_owned),
        actor: get("operator").map(str::to_owned),
        incident: get("incident").map(str::to_owned),
        since: get("since").map(|text| runs::moment("since", text, Timestamp::now())).transpose().map_err(wrong)?,
        before: get("before").map(|id| door.find(id)).transpose()?.map(|row| row.number),
        limit: Some(limit),
    })
}

/// One run, as `rerail show`.
pub fn one(call: &Call<'_>) -> Result<Answer, Problem> {
    Ok(Answer::json(200, &run::whole(&call.runs, &call.run()?)?))
}

/// What waits for somebody's yes, as `rerail approvals`.
pub fn waiting(call: &Call<'_>) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let mine = match call.parameters(&["mine"])?.first().map(|(_, value)| value.as_str()) {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(Problem::new(400, format!("expected true or false for `mine`, got `{other}`"))),
    };
    let mut waiting = call.runs.approvals(&call.principal.caller)?;
    waiting.retain(|waiting| !mine || waiting.refused.is_none());
    Ok(Answer::json(200, &waiting.iter().map(|waiting| approvals::of_waiting(waiting, now)).collect()))
}

/// Whether writes are on hold, as `rerail hold status`.
pub fn held(call: &Call<'_>) -> Result<Answer, Problem> {
    Ok(Answer::json(200, &hold::of_hold(call.runs.last_hold()?.as_ref())))
}
