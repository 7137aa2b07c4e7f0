//! The page of a proposal: what an alert would start, the plan of it, and the two words that may be said about that.

use serde_json::{Value as Json, json};

use crate::engine::ids::RunId;
use crate::runbook::spec::Effect;
use crate::runbook::triggers::State;
use crate::runs::{ErrorKind, Prepared, Runs, RunsError};
use crate::surfaces::alerts::proposals::{self, Fate, Plan, Proposal};
use crate::surfaces::alerts::starting;
use crate::surfaces::http::starts::{consent, within};
use crate::surfaces::http::{Answer, Call, How, Piece, Problem, Telling, Told};
use crate::surfaces::shapes::lines::to_lines;
use crate::surfaces::web::frame::{self, Page};
use crate::surfaces::web::{paper, problems, view};
use crate::transcript::Line;

/// Bytes of a plan on its page.
const LINES_BYTES_MAX: usize = 60_000;
/// Inputs on the page.
const INPUTS_MAX: usize = 40;
/// Bytes of an address that every browser and proxy takes.
const URL_BYTES_MAX: usize = 2_000;

/// The page.
pub fn page(call: &Call<'_>) -> Result<Answer, Problem> {
    call.parameters(&[])?;
    show(call, None, 200)
}

/// The same for a word that was refused.
///
/// # Errors
/// If the proposal is not there.
pub fn refused(call: &Call<'_>, problem: &Problem) -> Result<Answer, Problem> {
    show(call, Some(problems::fault(problem)), problem.status)
}

fn show(call: &Call<'_>, fault: Option<Json>, status: u16) -> Result<Answer, Problem> {
    let proposal = of(call)?;
    let mut data = data(&call.runs, &proposal)?;
    data["fault"] = fault.unwrap_or_default();
    let live = matches!(proposal.fate, Fate::Open).then(|| format!("{}/live", proposal.own_page()));
    Page::new("proposal.html", "home", format!("Proposal: {}", proposal.runbook))
        .live(live)
        .with_status(status)
        .answer(call, data)
}

/// The proposal that the path names.
fn of(call: &Call<'_>) -> Result<Proposal, Problem> {
    Ok(proposals::named(&call.runs, call.subject.as_deref().unwrap_or_default())?)
}

/// What stands on the page.
///
/// # Errors
/// If the journal can't be read.
pub fn data(runs: &Runs, proposal: &Proposal) -> Result<Json, RunsError> {
    let started = starting::there(runs, proposal.run)?;
    let planned = proposals::planned_as(runs, proposal)?;
    let open = proposal.fate == Fate::Open && started.is_none();
    let applicable = planned.as_ref().is_some_and(|planned| !planned.saved.is_empty());
    let prepared = match (open && applicable, proposal.digest()) {
        (true, Some(digest)) => Some(starting::prepare(runs, proposal.run, digest)),
        _ => None,
    };
    // What can be said without looking at the world; that is done when it starts.
    let (asks, changes, place, outdated) = match &prepared {
        Some(Ok(apply)) => {
            let (word, changes) = asked(&apply.prepared);
            (word, changes, apply.prepared.place().to_owned(), None)
        }
        Some(Err(error)) => ("", String::new(), String::new(), Some(view::clipped(&error.message))),
        None => ("", String::new(), String::new(), None),
    };
    let lines = planned.as_ref().map(|planned| to_lines(&planned.lines)).unwrap_or_default();
    let reach = planned.as_ref().map(|planned| to_lines(&planned.reach)).unwrap_or_default();
    // The title line says what the page's own title says.
    let lines: Vec<Line> = lines.into_iter().skip(1).chain(reach).collect();
    let (lines, left_out) = view::within(lines.iter().map(view::line).collect(), LINES_BYTES_MAX);
    let (state, planned_at, why_not) = match &proposal.plan {
        Plan::Wanted => ("wanted", None, None),
        Plan::Made { at, .. } if applicable => ("made", Some(view::time(*at)), None),
        Plan::Made { at, .. } => {
            ("failed", Some(view::time(*at)), Some("its rehearsal came to no good end".to_owned()))
        }
        Plan::Failed { why } => ("failed", None, Some(view::clipped(why))),
    };
    let (decided, run_url) = match (&proposal.fate, started) {
        (Fate::Started { by, instead: Some(run), .. }, _) => {
            let row = runs.existing(*run)?;
            (Some(format!("{by} started it; a run does the same already")), row.as_ref().map(view::run_url))
        }
        (_, Some(row)) => (Some(format!("started by {}", row.actor.id)), Some(view::run_url(&row))),
        (Fate::Started { by, .. }, None) => (Some(format!("started by {by}")), None),
        (Fate::Dismissed { by, .. }, None) => (Some(format!("dismissed by {by}")), None),
        (Fate::Open, None) => (None, None),
    };
    let inputs = proposal.inputs.iter().take(INPUTS_MAX).map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        json!([view::clipped(name), view::clipped(&value)])
    });
    let form = proposal.page();
    Ok(json!({
        "url": proposal.own_page(), "name": view::clipped(&proposal.runbook), "id": proposal.run.short(),
        "book_url": format!("/runbooks/{}", view::in_path(&proposal.runbook)),
        "target": proposal.target.as_deref().map(view::clipped),
        "incident": proposal.incident.as_deref().map(view::clipped),
        "reason": view::clipped(&proposal.reason), "why": view::clipped(&proposal.why),
        "fires": proposal.status == State::Firing,
        "alert_url": view::clipped(&proposal.url),
        "made": view::time(proposal.made_at), "until": proposal.until().map(view::time),
        "inputs": inputs.collect::<Vec<_>>(),
        "state": state, "planned": planned_at, "why_not": why_not,
        "lines": lines, "left_out": left_out, "digest": proposal.digest().unwrap_or_default(),
        "outdated": outdated, "asks": asks, "changes": changes, "place": place,
        "open": open, "may_start": open && matches!(prepared, Some(Ok(_))),
        "decided": decided.as_deref().map(view::clipped), "run_url": run_url,
        // Filled in by hand where no plan can be applied; a longer address is none any more.
        "form": (form.len() <= URL_BYTES_MAX).then_some(form),
        "fault": null,
    }))
}

fn asked(prepared: &Prepared) -> (&'static str, String) {
    let word = match prepared.worst() {
        Effect::Destructive => "confirm",
        Effect::Write => "yes",
        _ => "",
    };
    let count = prepared.changes.iter().filter(|change| change.effect >= Effect::Write).count();
    (word, crate::transcript::words::count(count, "step"))
}

fn field(call: &Call<'_>, name: &str) -> Option<String> {
    call.form().iter().find(|(known, text)| known == name && !text.is_empty()).map(|(_, text)| text.trim().to_owned())
}

/// Starts it with the plan that was shown; the run's page is next.
pub fn start(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let proposal = of(call)?;
    let actor = call.runs.identify(&call.principal.caller)?;
    let shown = field(call, "plan").unwrap_or_default();
    let (yes, confirm) = (field(call, "yes").is_some_and(|yes| yes == "true"), field(call, "confirm"));
    // What a form lacks is said as it is there, with its own status.
    let mut lacks = None;
    let row = starting::begin(&call.server.fleet, &call.runs, proposal.run, &shown, actor.clone(), |prepared| {
        let means = within(call, &prepared.effects, &actor).and_then(|()| consent(prepared, yes, confirm.as_deref()));
        means.map_err(|problem| {
            let error = RunsError::new(ErrorKind::Usage, problem.message.clone());
            lacks = Some(problem);
            error
        })
    });
    call.server.beat.tick();
    match (row, lacks) {
        (Ok(row), _) => Ok(Answer::see(&view::run_url(&row))),
        (Err(_), Some(problem)) => Err(problem),
        (Err(error), None) => Err(error.into()),
    }
}

/// Takes it away from who may start it.
pub fn dismiss(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let proposal = of(call)?;
    let actor = call.runs.identify(&call.principal.caller)?;
    starting::dismiss(&call.runs, proposal.run, &actor)?;
    call.server.beat.tick();
    Ok(Answer::see(&proposal.own_page()))
}

/// Has it planned anew.
pub fn plan_again(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let proposal = of(call)?;
    call.runs.identify(&call.principal.caller)?;
    proposals::plan_again(&call.runs, proposal.run)?;
    call.server.beat.tick();
    Ok(Answer::see(&proposal.own_page()))
}

/// The page as it changes.
struct Live {
    run: RunId,
    around: Json,
    written: Option<String>,
    times: u64,
}

/// The stream of the page.
pub fn live(call: &Call<'_>, _: Option<u64>) -> Result<Box<dyn Telling>, Problem> {
    let around = frame::around(call)?;
    Ok(Box::new(Live { run: of(call)?.run, around, written: None, times: 0 }))
}

impl Telling for Live {
    fn tell(&mut self, runs: &Runs) -> Result<Option<Told>, Problem> {
        let Some(proposal) = proposals::find(runs, self.run)? else {
            return Ok(Some(Told { id: self.times + 1, ended: true, ..Told::default() }));
        };
        let data = data(runs, &proposal)?;
        let text = data.to_string();
        if self.written.as_deref() == Some(&text) {
            return Ok(None);
        }
        self.written = Some(text);
        self.times += 1;
        let mut whole = data;
        let mut around = self.around.clone();
        around["key"] = json!(crate::surfaces::http::new_key());
        whole["frame"] = around;
        let ended = whole["open"] != true;
        let html = paper::write("proposal_body.html", &whole)?;
        let pieces = vec![Piece { at: "p-proposal".to_owned(), html, how: How::Inside }];
        Ok(Some(Told { id: self.times, pieces, ended, ..Told::default() }))
    }
}
