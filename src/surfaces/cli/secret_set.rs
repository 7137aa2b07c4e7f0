//! `rerail secrets set`: a value goes from a prompt that doesn't show it, or from standard input, into the file or key its
//! target names. Never through an argument, which every process of the machine and the shell's history could read.

use std::io::{IsTerminal as _, Read as _};

use clap::Args;
use inquire::{InquireError, Password, PasswordDisplayMode};
use serde_json::json;

use crate::runs::Kept;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;

/// Bytes of a value: what a secret's file may have when it is read.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Args, Debug)]
pub struct SetArgs {
    /// The secret, as the target names it
    #[arg(value_name = "SECRET")]
    secret: String,
    /// The target whose secret is meant
    #[arg(long, value_name = "NAME")]
    target: String,
    /// Taken so that it can be refused without being repeated.
    #[arg(hide = true, allow_hyphen_values = true)]
    value: Option<std::ffi::OsString>,
}

/// Writes a secret.
pub fn set(session: &Session, args: &SetArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    if args.value.is_some() {
        return Err(CliError::usage(
            "a value never stands in the command line, where `ps` and the shell's history have it",
        )
        .hint("leave it out, and it is asked for; or pipe it in:  rerail secrets set SECRET --target NAME < FILE")
        .hint("treat the one that was typed as known, and use another"));
    }
    let runs = session.runs()?;
    let place = runs.secret_place(&args.target, &args.secret)?;
    let value = match std::io::stdin().is_terminal() {
        true if ui.asks => asked(&args.secret)?,
        true => {
            return Err(CliError::usage("nobody can be asked for the value here").hint("pipe it in on standard input"));
        }
        false => piped()?,
    };
    runs.keep_secret(&args.secret, &place, &value)?;
    let done = if place.exists { "replaced" } else { "written" };
    match &place.kept {
        Kept::File { path, .. } if !ui.human() => {
            ui.result_json(&json!({ "secret": args.secret, "path": path, "replaced": place.exists }));
        }
        Kept::Key { name } if !ui.human() => {
            ui.result_json(&json!({ "secret": args.secret, "key": name, "replaced": place.exists }));
        }
        Kept::File { path, shown } => {
            ui.remark(&format!("{done}: `{}`, for its owner alone", path.display()));
            if !shown.starts_with('/') {
                ui.hint(&format!("`{shown}` lies in the project: keep it out of version control"));
            }
        }
        Kept::Key { name } => {
            ui.remark(&format!("{done}: the key {name} of the kernel's keyring"));
            ui.hint("it is gone when this machine is started again");
        }
    }
    Ok(Exit::SUCCESS)
}

/// What somebody types, twice, unseen.
fn asked(name: &str) -> Result<String, CliError> {
    let prompt = Password::new(&format!("Value of {name}:"))
        .with_display_mode(PasswordDisplayMode::Hidden)
        .with_custom_confirmation_message("Once more:")
        .with_custom_confirmation_error_message("the two differ")
        .prompt();
    prompt.map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            CliError::new(Exit::INTERRUPTED, "nothing was written")
        }
        other => CliError::usage(format!("the value can't be asked for: {other}")),
    })
}

/// Standard input to its end, without the one newline that `echo` puts there.
fn piped() -> Result<String, CliError> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(VALUE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::io("reading", "standard input", &error))?;
    if bytes.len() as u64 > VALUE_BYTES_MAX {
        return Err(CliError::usage(format!(
            "standard input has more than {VALUE_BYTES_MAX} bytes: no secret is that long"
        )));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| CliError::usage("standard input is not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
