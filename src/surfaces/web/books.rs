//! Runbooks: finding one, what it means, and the form that starts it.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::runbook::program::Program;
use crate::runbook::spec::Effect;
use crate::runs::{RunFilter, Runs};
use crate::surfaces::http::{Answer, Call, Problem, plain_name};
use crate::surfaces::shapes::{runbook, runbooks};
use crate::surfaces::web::fields::{self, INPUT};
use crate::surfaces::web::frame::Page;
use crate::surfaces::web::view;
use crate::transcript::words::count;

/// Runbooks on one page; a word more finds the others.
const BOOKS_MAX: usize = 150;
/// Steps on the page of a runbook.
const STEPS_MAX: usize = 150;
/// Bytes of the list of runbooks, and of the steps of one.
const LIST_BYTES_MAX: usize = 80_000;
const STEPS_BYTES_MAX: usize = 40_000;
/// Targets to choose from.
const TARGETS_MAX: usize = 200;
/// Names of labels that are no inputs and are told.
const UNUSED_MAX: usize = 12;

/// What was listed last, and of which files: every runbook is checked for it, and they change seldom.
static LISTED: Mutex<Option<(Files, Listed)>> = Mutex::new(None);

type Files = [u8; 32];
type Listed = Arc<Vec<(String, Json)>>;

/// The digest of everything that a runbook is made of, and of where it is.
fn files(runs: &Runs) -> Files {
    let project = runs.project();
    let mut digest = Sha256::new();
    digest.update(format!("{:?}\0", project.root));
    digest.update(project.source.as_ref().map(|source| source.text.to_string()).unwrap_or_default());
    for listed in project.runbooks().into_iter().chain(project.actions()).chain(project.modules()) {
        for text in [listed.name.as_str(), &listed.source.shown, &listed.source.text] {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
    }
    digest.finalize().into()
}

fn listed(runs: &Runs) -> Result<Listed, Problem> {
    let files = files(runs);
    let known = LISTED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((_, listed)) = known.filter(|(known, _)| *known == files) {
        return Ok(listed);
    }
    let listed = Arc::new(runbooks::texts(runs)?);
    *LISTED.lock().unwrap_or_else(PoisonError::into_inner) = Some((files, Arc::clone(&listed)));
    Ok(listed)
}

/// The runbooks that have all these words.
pub fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let given = call.parameters(&["words"])?;
    let words = given.first().map(|(_, words)| words.clone()).unwrap_or_default();
    let wanted: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    let listed = listed(&call.runs)?;
    let found = listed.iter().filter(|(text, _)| wanted.iter().all(|word| text.contains(word)));
    let found: Vec<&Json> = found.map(|(_, book)| book).collect();
    let text = |book: &Json, key: &str| view::clipped(book[key].as_str().unwrap_or_default());
    let all = |book: &Json, key: &str| -> Vec<String> {
        book[key].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let books: Vec<Json> = found
        .iter()
        .take(BOOKS_MAX)
        .map(|book| {
            let name = book["name"].as_str().unwrap_or_default();
            let effects = all(book, "effects");
            json!({
                "url": format!("/runbooks/{}", view::in_path(name)),
                "name": name,
                "title": if book["valid"] == true { text(book, "title") } else { "has problems: rerail check draws them".to_owned() },
                "tags": view::clipped(&all(book, "tags").join(", ")),
                "effects": effects.join(" "),
                "tone": tone_of(effects.last().map(String::as_str).unwrap_or_default()),
            })
        })
        .collect();
    let (books, left) = view::within(books, LIST_BYTES_MAX);
    let more = found.len().saturating_sub(BOOKS_MAX) + left;
    let data = json!({ "words": view::clipped(&words), "books": books, "more": more });
    Page::new("books.html", "books", "Runbooks").answer(call, data)
}

fn tone_of(effect: &str) -> &'static str {
    match effect {
        "write" | "destructive" => "warn",
        _ => "dim",
    }
}

/// What stands in the form already.
#[derive(Default)]
pub struct Typed {
    pub inputs: Vec<(String, String)>,
    pub target: String,
    pub reason: String,
    pub incident: String,
    /// Labels that are no inputs.
    pub unused: Vec<String>,
    /// Why it was not done the last time.
    pub fault: Option<Json>,
}

/// One runbook with the form that starts it.
pub fn one(call: &Call<'_>) -> Result<Answer, Problem> {
    call.parameters(&[])?;
    show(call, Typed::default(), 200)
}

/// The same, filled in by what stands in the query: inputs by their names.
pub fn filled(call: &Call<'_>) -> Result<Answer, Problem> {
    let program = program(call)?;
    let mut typed = Typed::default();
    for (name, text) in form_urlencoded::parse(call.query.as_deref().unwrap_or_default().as_bytes()) {
        let is_input = program.runbook.inputs.iter().any(|input| input.name.value == *name);
        match &*name {
            _ if is_input => typed.inputs.push((name.into_owned(), text.into_owned())),
            "target" => typed.target = text.into_owned(),
            "reason" => typed.reason = text.into_owned(),
            "incident" => typed.incident = text.into_owned(),
            _ => typed.unused.push(name.into_owned()),
        }
    }
    write(call, &program, typed, 200)
}

/// The page of the runbook that the path names.
///
/// # Errors
/// 404 if there is none, 422 if it has problems.
pub fn show(call: &Call<'_>, typed: Typed, status: u16) -> Result<Answer, Problem> {
    write(call, &program(call)?, typed, status)
}

/// The runbook that the path names.
///
/// # Errors
/// As [`show`].
pub fn program(call: &Call<'_>) -> Result<Program, Problem> {
    let name = plain_name("runbook", call.subject.as_deref().unwrap_or_default())?;
    let (program, problems) = call.runs.check(name)?;
    program.ok_or_else(|| Problem { faults: problems, ..Problem::new(422, format!("runbook `{name}` has problems")) })
}

fn write(call: &Call<'_>, program: &Program, typed: Typed, status: u16) -> Result<Answer, Problem> {
    let book = &program.runbook;
    let filter = RunFilter { runbook: Some(book.name.clone()), limit: Some(1), ..RunFilter::default() };
    let last = call.runs.list(&filter)?.first().map(view::row);
    let described = runbook::of_program(program);
    let mut steps = Vec::new();
    for (key, heading) in [("steps", ""), ("on_failure", "On failure"), ("finally", "Finally")] {
        let listed = described[key].as_array().map(Vec::as_slice).unwrap_or_default();
        if !listed.is_empty() && !heading.is_empty() {
            steps.push(json!({ "heading": heading }));
        }
        rows(listed, 0, &mut steps);
    }
    let all = steps.len();
    steps.truncate(STEPS_MAX);
    let (steps, _) = view::within(steps, STEPS_BYTES_MAX);
    let left_out = all - steps.len();
    let url = format!("/runbooks/{}", view::in_path(&book.name));
    let words = |words: &[String]| view::clipped(&words.join(", "));
    let effects: Vec<String> = program.effects.iter().map(|effect| effect.word().to_owned()).collect();
    let secrets: Vec<String> = book.secrets.iter().map(|name| name.value.clone()).collect();
    let given = |name: &str| typed.inputs.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone());
    let mut targets: Vec<String> = call.runs.project().targets().into_iter().map(|listed| listed.name).collect();
    targets.truncate(TARGETS_MAX);
    let mut unused = typed.unused;
    unused.truncate(UNUSED_MAX);
    let (consent, changes) = consent(program);
    let data = json!({
        "book": {
            "name": book.name, "title": view::clipped(&book.title), "meaning": book.meaning.as_deref().map(view::clipped),
            "impact": book.impact.as_deref().map(view::clipped), "owner": book.owner.as_deref().map(view::clipped),
            "reviewed": book.reviewed, "tags": words(&book.tags), "effects": effects.join(", "),
            "secrets": words(&secrets), "group": runbook::group(book).as_deref().map(view::clipped),
        },
        "fields": fields::of(&book.inputs, INPUT, given),
        "targets": targets, "target": typed.target, "reason": typed.reason, "incident": typed.incident,
        "unused": view::clipped(&unused.join(", ")), "fault": typed.fault,
        "consent": consent, "changes": changes,
        "run_url": format!("{url}/run"), "plan_url": format!("{url}/plan"),
        "last": last, "steps": steps, "left_out": left_out,
    });
    Page::new("book.html", "books", book.name.clone()).with_status(status).answer(call, data)
}

/// What somebody has to say before it starts: nothing, `yes` or `confirm`; and in how many steps it may change what.
pub fn consent(program: &Program) -> (&'static str, String) {
    let worst = Effect::worst(&program.effects);
    let word = match worst {
        Effect::Destructive => "confirm",
        Effect::Write => "yes",
        _ => "",
    };
    (word, count(crate::runs::changes(program).iter().filter(|change| change.effect >= Effect::Write).count(), "step"))
}

/// Steps of what `describe` says, depth first.
fn rows(listed: &[Json], depth: usize, found: &mut Vec<Json>) {
    for step in listed {
        if found.len() > STEPS_MAX {
            found.push(Json::Null);
        } else {
            let how = ["if", "foreach", "until", "retry", "within", "undo"];
            let how = how.iter().filter_map(|key| Some(format!("{key} {}", step[*key].as_str()?)));
            let effect = step["effect"].as_str().unwrap_or_default();
            found.push(json!({
                "heading": null, "depth": depth.min(4), "id": view::clipped(step["id"].as_str().unwrap_or_default()),
                "effect": effect, "tone": tone_of(effect),
                "what": view::clipped(step["what"].as_str().unwrap_or_default()),
                "how": view::clipped(&how.collect::<Vec<_>>().join(" · ")),
            }));
        }
        rows(step["steps"].as_array().map(Vec::as_slice).unwrap_or_default(), depth + 1, found);
    }
}
