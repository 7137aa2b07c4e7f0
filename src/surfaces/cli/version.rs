//! `rerail version`: the program and the formats it knows.

use serde_json::json;

use crate::engine::event::{ENGINE_SEMANTICS, EVENT_VERSION};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone};

/// The version of the language a runbook states.
const LANGUAGE_VERSION: u32 = 1;

/// Shows versions.
pub fn version(session: &Session) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let version = env!("CARGO_PKG_VERSION");
    if !ui.human() {
        ui.result_json(&json!({
            "version": version,
            "language": LANGUAGE_VERSION,
            "events": EVENT_VERSION,
            "semantics": ENGINE_SEMANTICS,
        }));
        return Ok(Exit::SUCCESS);
    }
    ui.result(&Line::of(Tone::Strong, &format!("rerail {version}")));
    let formats = format!("language {LANGUAGE_VERSION}, events {EVENT_VERSION}, engine semantics {ENGINE_SEMANTICS}");
    ui.result(&Line::of(Tone::Plain, &formats));
    Ok(Exit::SUCCESS)
}
