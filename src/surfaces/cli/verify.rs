//! `rerail verify`: whether the journal is what was written, and what was signed.

use std::fs::File;
use std::io::Read;

use clap::Args;

use crate::runs::Checkpoint;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::verify::Verified;

/// Bytes of a text that checkpoints are looked for in: exports and chats, not disks.
const KEPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// One run; everything without it
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// A signed checkpoint that was kept elsewhere (can be repeated): the line itself, or a file that holds some, `-`
    /// for standard input
    #[arg(long, value_name = "LINE|FILE")]
    checkpoint: Vec<String>,
}

/// Checks the journal.
pub fn verify(session: &Session, args: &VerifyArgs) -> Result<Exit, CliError> {
    let mut kept = Vec::new();
    for given in &args.checkpoint {
        kept.extend(checkpoints(given)?);
    }
    let door = session.door()?;
    let run = args.run.as_deref().map(|text| door.find(text)).transpose()?;
    let verified = door.verify(run.as_ref(), &kept, session.ui.marks)?;
    match session.ui.human() {
        true => show(session, &verified),
        false => session.ui.result_json(&verified.json),
    }
    Ok(if verified.clean { Exit::SUCCESS } else { Exit::DAMAGED })
}

/// The checkpoints of one argument.
fn checkpoints(given: &str) -> Result<Vec<Checkpoint>, CliError> {
    let is_line = given.contains(Checkpoint::FORM);
    let (text, named) = match is_line {
        true => (given.to_owned(), "the line given".to_owned()),
        false => (read(given)?, format!("`{given}`")),
    };
    let found = Checkpoint::all_in(&text).map_err(CliError::usage)?;
    if found.is_empty() {
        let said = CliError::usage(format!("{named} holds no signed checkpoint"));
        return Err(said.hint(format!(
            "it is a line that begins with `{}`; give it in quotes, or the name of a file that holds it",
            Checkpoint::FORM
        )));
    }
    Ok(found)
}

fn read(path: &str) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let read = match path {
        "-" => std::io::stdin().take(KEPT_BYTES_MAX + 1).read_to_end(&mut bytes),
        path => File::open(path).and_then(|file| file.take(KEPT_BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| CliError { exit: Exit::USAGE, ..CliError::io("reading", path, &error) })?;
    if bytes.len() as u64 > KEPT_BYTES_MAX {
        return Err(CliError::usage(format!("`{path}` has more than {KEPT_BYTES_MAX} bytes: cut the line out of it")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn show(session: &Session, verified: &Verified) {
    let ui = &session.ui;
    verified.damage.iter().for_each(|line| ui.result(line));
    verified.remarks.iter().for_each(|remark| ui.remark(remark));
    verified.lines.iter().for_each(|line| ui.result(line));
}
