//! `rerail export`: a run as a postmortem, a page, a picture, one object or its events.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::story::Format;

#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Form of the export [default: md; what --output says, if it says json or jsonl]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to a new file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is written when only the form of results in general is said.
fn usual(output: Output) -> Format {
    match output {
        Output::Human => Format::Md,
        Output::Json | Output::Yaml | Output::Sarif | Output::Junit => Format::Json,
        Output::Jsonl => Format::Jsonl,
    }
}

/// Writes a run out.
pub fn export(session: &Session, args: &ExportArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let run = door.find(&args.run)?;
    let text = door.export(&run, args.format.unwrap_or_else(|| usual(session.ui.output)))?;
    let Some(path) = &args.out else {
        session.ui.result_text(&text);
        return Ok(Exit::SUCCESS);
    };
    let text = session.ui.redactor().redact(&text);
    // An export may replace evidence by accident: only new files are written.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let shown = path.display().to_string();
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| CliError::io("writing", &shown, &error))?;
    session.ui.remark(&format!("wrote {shown}"));
    Ok(Exit::SUCCESS)
}
