//! Rehearsing and starting a runbook from its form.

use serde_json::json;

use crate::engine::ids::RunId;
use crate::surfaces::http::{Answer, Call, Problem, starts};
use crate::surfaces::web::books::{self, Typed};
use crate::surfaces::web::fields::{self, INPUT};
use crate::surfaces::web::frame::Page;
use crate::surfaces::web::{problems, view};
use crate::transcript::{Line, Marks, Plan};

/// Bytes of a plan on its page.
const LINES_BYTES_MAX: usize = 60_000;

/// The form as it was sent.
fn typed(call: &Call<'_>) -> Result<Typed, Problem> {
    let pairs = call.form();
    let get = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, text)| text.trim().to_owned());
    Ok(Typed {
        inputs: fields::typed(pairs, INPUT),
        target: get("target").unwrap_or_default(),
        reason: get("reason").unwrap_or_default(),
        incident: get("incident").unwrap_or_default(),
        ..Typed::default()
    })
}

/// What is asked for, as the API asks it.
fn asked(call: &Call<'_>, typed: &Typed) -> starts::Asked {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    starts::Asked {
        runbook: call.subject.clone().unwrap_or_default(),
        typed: typed
            .inputs
            .iter()
            .map(|(name, text)| starts::Typed { name: name.clone(), text: text.clone() })
            .collect(),
        target: some(&typed.target),
        reason: some(&typed.reason),
        incident: some(&typed.incident),
        ..starts::Asked::default()
    }
}

/// The plan: looks are real, nothing is changed or recorded.
pub fn plan(call: &Call<'_>) -> Result<Answer, Problem> {
    let typed = typed(call)?;
    let rehearsed = match starts::rehearse(call, asked(call, &typed)) {
        Ok(rehearsed) => rehearsed,
        Err(problem) => return again(call, typed, &problem),
    };
    let drawn = Plan::of(&rehearsed.events, &rehearsed.facts, &rehearsed.program);
    // The title line says what the page's own title says.
    let lines: Vec<Line> = drawn.lines(&rehearsed.facts, Marks::Unicode, false).into_iter().skip(1).collect();
    let (lines, left_out) = view::within(lines.iter().map(view::line).collect(), LINES_BYTES_MAX);
    let book = &rehearsed.program.runbook;
    let (consent, changes) = books::consent(&rehearsed.program);
    let mut given: Vec<(String, String)> =
        typed.inputs.iter().map(|(name, text)| (format!("{INPUT}{name}"), text.clone())).collect();
    let others = [("target", &typed.target), ("reason", &typed.reason), ("incident", &typed.incident)];
    given.extend(
        others.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), text.clone())),
    );
    let url = format!("/runbooks/{}", view::in_path(&book.name));
    let mut back = url::form_urlencoded::Serializer::new(String::new());
    back.extend_pairs(given.iter().map(|(name, text)| (name.strip_prefix(INPUT).unwrap_or(name), text)));
    let data = json!({
        "name": book.name, "target": typed.target,
        "lines": lines, "left_out": left_out,
        "given": given, "consent": consent, "changes": changes,
        "place": if typed.target.is_empty() { &book.name } else { &typed.target },
        "run_url": format!("{url}/run"), "back": format!("/r/{}?{}", view::in_path(&book.name), back.finish()),
    });
    Page::new("plan.html", "books", format!("Plan for {}", book.name)).answer(call, data)
}

/// Starts it; the run's page is next.
pub fn run(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    let typed = typed(call)?;
    let pairs = call.form();
    let confirm = pairs.iter().find(|(name, text)| name == "confirm" && !text.is_empty());
    let confirm = confirm.map(|(_, text)| text.trim().to_owned());
    let yes = pairs.iter().any(|(name, text)| name == "yes" && text == "true");
    let row = starts::begin(call, run, starts::Asked { yes, confirm, ..asked(call, &typed) })?;
    Ok(Answer::see(&view::run_url(&row)))
}

/// The form once more, with what was typed and why nothing was started.
pub fn again(call: &Call<'_>, typed: Typed, problem: &Problem) -> Result<Answer, Problem> {
    let fault = Some(problems::fault(problem));
    books::show(call, Typed { fault, ..typed }, problem.status)
}

/// The same for a start that was refused.
pub fn refused(call: &Call<'_>, problem: &Problem) -> Result<Answer, Problem> {
    again(call, typed(call)?, problem)
}
