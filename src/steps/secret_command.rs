//! Secrets that a command prints: a password manager's own program, which knows who asks.
//!
//! No shell, the environment that commands of steps get, nothing to read, a short time. Only what `allow.secret_commands`
//! of the project lists: a target file that somebody sends must not be able to start programs.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::redact::Redactor;
use crate::runbook::commands::Commands;
use crate::steps::exec::call::env_kept;
use crate::steps::exec::child::{self, Ended, How, Order};
use crate::steps::exec::program;

/// How long a command may take: a vault is asked over a network, a person at a prompt is not waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a command prints, with the newline at its end.
///
/// # Errors
/// Why there is nothing, as the end of a sentence that names the secret. Nothing that the command wrote is repeated: it
/// may be the secret.
pub(super) fn printed(argv: &[String], allowed: &Commands, project: &Path) -> Result<String, String> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let shown = words.join(" ");
    if allowed.find(&words).is_none() {
        let line = words.iter().map(|word| serde_json::Value::from(*word).to_string()).collect::<Vec<_>>().join(", ");
        return Err(format!(
            "comes from the command `{shown}`, which is not allowed here: add `- {{ argv: [{line}] }}` under \
             `allow.secret_commands` in rerail.yaml"
        ));
    }
    let path = std::env::var_os("PATH");
    let program = program::find(words[0], project, path.as_deref())
        .map_err(|failure| format!("comes from a command that can't be run: {}", failure.message))?;
    let (argv, directory) = (argv.to_vec(), project.to_owned());
    // On a thread of its own, with its own event loop: secrets are read from inside and outside of one.
    let ended = std::thread::spawn(move || -> std::io::Result<Ended> {
        let events = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let deadline = std::time::Instant::now() + TIMEOUT;
        let order =
            Order { program, argv, env: env_kept(), directory, stdin: None, deadline: Instant::from_std(deadline) };
        // What it prints is the secret itself: there is nothing to redact yet, and nothing of it is kept here.
        events.block_on(child::run(order, &Redactor::new()))
    })
    .join();
    let failed =
        |why: &str| Err(format!("comes from the command `{shown}`, which {why}; run it yourself to see what it says"));
    match ended {
        Ok(Ok(Ended { how: How::Exited(0), stdout, .. })) => match stdout.text.contains('\u{fffd}') {
            true => failed("printed what is not UTF-8"),
            false => Ok(stdout.text),
        },
        Ok(Ok(ended)) => failed(&match ended.how {
            How::Exited(code) => format!("ended with exit code {code}"),
            How::Signalled(signal) => format!("was ended by signal {signal}"),
            How::Stopped => format!("took longer than {} s", TIMEOUT.as_secs()),
            How::Lost(why) => format!("was lost: {why}"),
        }),
        Ok(Err(error)) => failed(&format!("can't be started: {error}")),
        Err(_) => failed("could not be waited for"),
    }
}
