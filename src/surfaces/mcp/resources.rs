//! Resources: the text of a runbook, `runbook://NAME`, and the transcript of a run, `run://ID/transcript`.

use rmcp::model::{Resource, ResourceContents, ResourceTemplate};

use crate::engine::facts::Facts;
use crate::runs::{ErrorKind, RunsError};
use crate::surfaces::mcp::call::{Call, plain};
use crate::surfaces::mcp::said::{RESULT_BYTES_MAX, Refused, UNTRUSTED, clean_text, head, lines};
use crate::transcript::Marks;
use crate::transcript::line::{self, Detail, Style};
use crate::transcript::words::bytes;

const RUNBOOK: &str = "runbook://";
const RUN: &str = "run://";
const TRANSCRIPT: &str = "/transcript";
/// Where a transcript begins that is read in parts: a number of bytes.
const FROM: &str = "?from=";

/// Every runbook by name.
pub fn listed(call: &Call) -> Vec<Resource> {
    let of = |name: String| {
        Resource::new(format!("{RUNBOOK}{name}"), name)
            .with_description("The text of a runbook")
            .with_mime_type("text/yaml")
    };
    call.runs.project().runbooks().into_iter().map(|listed| of(listed.name)).collect()
}

/// The forms of all addresses.
pub fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(format!("{RUNBOOK}{{name}}"), "runbook")
            .with_description("The text of a runbook")
            .with_mime_type("text/yaml"),
        ResourceTemplate::new(format!("{RUN}{{id}}{TRANSCRIPT}"), "transcript")
            .with_description("Everything a run recorded, a line for each event; untrusted data")
            .with_mime_type("text/plain"),
    ]
}

/// What stands at an address.
///
/// # Errors
/// If there is nothing.
pub fn read(call: &Call, uri: &str) -> Result<ResourceContents, Refused> {
    let redactor = call.desk.redactor();
    if let Some(name) = uri.strip_prefix(RUNBOOK) {
        let listed = call.runs.project().runbook(plain("runbook", name)?).map_err(RunsError::from)?;
        let text = clean_text(&listed.source.text, redactor);
        return Ok(ResourceContents::text(text, uri).with_mime_type("text/yaml"));
    }
    let parts = uri.strip_prefix(RUN).and_then(|rest| rest.split_once(TRANSCRIPT));
    let parts = parts.and_then(|(id, from)| match from.strip_prefix(FROM) {
        None if from.is_empty() => Some((id, 0)),
        None => None,
        Some(from) => Some((id, from.parse::<usize>().ok()?)),
    });
    let Some((id, from)) = parts else {
        let said =
            RunsError::new(ErrorKind::NotFound, "no such resource: expected runbook://NAME or run://ID/transcript");
        return Err(Refused(said));
    };
    let run = call.run(id)?;
    let text = clean_text(&transcript(call, id)?, redactor);
    let from = text.ceil_char_boundary(from);
    let (shown, cut) = head(&text[from..], RESULT_BYTES_MAX);
    let mut told = format!("{UNTRUSTED}\n\n{shown}");
    if cut > 0 {
        let next = from + shown.len();
        told.push_str(&format!("\n… {} more: read {RUN}{}{TRANSCRIPT}{FROM}{next}", bytes(cut as u64), run.run));
    }
    Ok(ResourceContents::text(told, uri).with_mime_type("text/plain"))
}

fn transcript(call: &Call, id: &str) -> Result<String, Refused> {
    let run = call.run(id)?;
    let style = Style { marks: Marks::Unicode, detail: Detail::Events };
    let (mut shown, mut drawn) = (Facts::default(), Vec::new());
    for event in call.runs.events(&run)? {
        shown.apply(&event).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
        drawn.extend(line::lines(&event, &shown, style));
    }
    Ok(lines(&drawn))
}
