//! Why something was not done, as a page.

use serde_json::{Value as Json, json};

use crate::surfaces::http::{Answer, Call, Problem};
use crate::surfaces::web::frame::{HTML, Page, outside};
use crate::surfaces::web::view;

/// Mistakes of a text that are named on a page; `rerail check` draws all.
const FAULTS_MAX: usize = 10;

/// The page, with the same around it as around others.
///
/// # Errors
/// If the journal can't be read either.
pub fn page(call: &Call<'_>, problem: &Problem) -> Result<Answer, Problem> {
    let back = match &call.subject {
        // The page of what a form was about.
        Some(_) => call.run().map(|row| view::run_url(&row)).unwrap_or_else(|_| "/".to_owned()),
        None => "/".to_owned(),
    };
    titled(problem).answer(call, said(problem, &back))
}

/// The page for somebody of whom nothing is known.
pub fn alone(problem: &Problem) -> Answer {
    let written = titled(problem).write(&outside(), said(problem, "/"));
    let text = written.unwrap_or_else(|_| problem.message.clone());
    Answer { status: problem.status, ..Answer::text(HTML, text) }
}

/// For somebody who followed a link from another page: the same address, asked for by a page of ours.
pub fn go_on(address: &str) -> Answer {
    let data = json!({ "address": address });
    let written = Page::new("go_on.html", "", "Go on").write(&outside(), data);
    Answer::text(HTML, written.unwrap_or_default())
}

fn titled(problem: &Problem) -> Page {
    let title = match problem.status {
        404 => "Not found",
        403 => "Not allowed",
        429 | 503 => "Not now",
        _ => "Not done",
    };
    Page::new("problem.html", "", title).with_status(problem.status)
}

/// What was wrong, for people.
pub fn fault(problem: &Problem) -> Json {
    let faults = problem.faults.iter().take(FAULTS_MAX).map(|fault| fault.message.clone());
    let hints: Vec<String> = problem.hints.iter().cloned().chain(faults).map(|hint| view::clipped(&hint)).collect();
    json!({ "message": view::clipped(&problem.message), "hints": hints })
}

fn said(problem: &Problem, back: &str) -> Json {
    json!({ "fault": fault(problem), "back": back })
}
