//! `rerail token` and `rerail whoami`: how a person proves who they are, and who rerail takes them for.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::runs::Token;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone};

#[derive(Args, Debug)]
pub struct TokenArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token for a person, and show it once
    New {
        /// The person's name in rerail.yaml
        #[arg(value_name = "PERSON")]
        person: String,
    },
}

/// Prints the token alone on standard output, so that it can go straight into a file, and what belongs into rerail.yaml
/// beside it.
pub fn token(session: &Session, args: &TokenArgs) -> Result<Exit, CliError> {
    let What::New { person } = &args.what;
    let ui = &session.ui;
    if let Some(fault) = crate::runbook::people::person_fault(person) {
        return Err(CliError::usage(format!("`{person}` can't be a person's name: it {fault}")));
    }
    let token = Token::new()?;
    let hash = token.hash().text();
    if !ui.human() {
        ui.result_json(&json!({ "person": person, "token": token.text(), "token_hash": hash }));
        return Ok(Exit::SUCCESS);
    }
    ui.result(&Line::of(Tone::Plain, token.text()));
    ui.remark("this token is shown once and kept nowhere; in rerail.yaml stands its digest:");
    ui.progress_text(&format!("people:\n  {person}: {{ token_hash: \"{hash}\" }}   # beside os_user and roles"));
    ui.hint(&format!("straight into a file:  (umask 077; rerail token new {person} > {person}.token)"));
    Ok(Exit::SUCCESS)
}

/// Says who acts, and how that is known.
pub fn whoami(session: &Session) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = session.runs()?;
    let actor = session.actor(&runs)?;
    let people = &runs.project().settings.people;
    let os_user = session.caller().os_users.first().cloned().unwrap_or_default();
    let single = people.is_single_operator();
    if !ui.human() {
        ui.result_json(&json!({
            "id": actor.id,
            "person": actor.person,
            "roles": actor.roles,
            "os_user": os_user,
            "single_operator": single,
        }));
        return Ok(Exit::SUCCESS);
    }
    let roles = if actor.roles.is_empty() { "no role".to_owned() } else { actor.roles.join(", ") };
    let said = match (actor.person, single) {
        (true, _) => format!("{}: {roles} (the user {os_user})", actor.id),
        (false, true) => format!("{}: the one operator; there are no `people` in rerail.yaml", actor.id),
        (false, false) => format!("{}: no person of this project; may look, rehearse and leave notes", actor.id),
    };
    ui.result(&Line::of(Tone::Plain, &said));
    if !actor.person && !single {
        ui.hint("act as a person: --as NAME --token-file FILE; or name this user under `people`");
    }
    Ok(Exit::SUCCESS)
}
