//! `rerail token` and `rerail whoami`: how a person proves who they are, and who rerail takes them for.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::runbook::tokens::{SCOPES, Scope};
use crate::runs::{TOKEN_DAYS_MAX, Token};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::door::Myself;
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
        /// Make it for a server, and for this: read, run, approve (can be repeated)
        #[arg(long, value_name = "SCOPE", value_parser = scope)]
        scope: Vec<Scope>,
        /// How many days it is good for, 90 at most
        #[arg(long, value_name = "N", default_value_t = TOKEN_DAYS_MAX, value_parser = clap::value_parser!(i64).range(1..=TOKEN_DAYS_MAX), requires = "scope")]
        days: i64,
        /// What the person calls it, such as the device it is for
        #[arg(long, value_name = "NAME", default_value = "laptop", requires = "scope")]
        name: String,
    },
}

fn scope(word: &str) -> Result<Scope, String> {
    let found = SCOPES.iter().find(|(name, _)| *name == word).map(|(_, scope)| *scope);
    found.ok_or_else(|| format!("expected one of {}", SCOPES.map(|(name, _)| name).join(", ")))
}

/// Prints the token alone on standard output, so that it can go straight into a file, and what belongs into rerail.yaml
/// beside it.
pub fn token(session: &Session, args: &TokenArgs) -> Result<Exit, CliError> {
    let What::New { person, scope, days, name } = &args.what;
    let ui = &session.ui;
    for (name, what) in [(person, "person's"), (name, "token's")] {
        if let Some(fault) = crate::runbook::people::person_fault(name) {
            return Err(CliError::usage(format!("`{name}` can't be a {what} name: it {fault}")));
        }
    }
    let token = Token::new()?;
    let hash = token.hash().text();
    let scopes: Vec<&str> = scope.iter().map(|scope| scope.word()).collect();
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let expires = today.saturating_add(jiff::Span::new().days(*days));
    if !ui.human() {
        let mut json = json!({ "person": person, "token": token.text(), "token_hash": hash });
        if !scopes.is_empty() {
            json["token_name"] = json!(name);
            json["scopes"] = json!(scopes);
            json["expires"] = json!(expires.to_string());
        }
        ui.result_json(&json);
        return Ok(Exit::SUCCESS);
    }
    ui.result(&Line::of(Tone::Plain, token.text()));
    ui.remark("this token is shown once and kept nowhere; in rerail.yaml stands its digest:");
    ui.progress_text(&match scopes.is_empty() {
        true => format!("people:\n  {person}: {{ token_hash: \"{hash}\" }}   # beside os_user and roles"),
        false => format!(
            "people:\n  {person}:   # beside os_user and roles\n    tokens:\n      {name}: {{ hash: \"{hash}\", scopes: [{}], expires: {expires} }}",
            scopes.join(", ")
        ),
    });
    ui.hint(&format!("straight into a file:  (umask 077; rerail token new {person} > {person}.token)"));
    Ok(Exit::SUCCESS)
}

/// Says who acts, and how that is known.
pub fn whoami(session: &Session) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let Myself { actor, os_user, single_operator: single } = session.door()?.myself()?;
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
        (true, _) => match os_user {
            Some(os_user) => format!("{}: {roles} (the user {os_user})", actor.id),
            None => format!("{}: {roles}", actor.id),
        },
        (false, true) => format!("{}: the one operator; there are no `people` in rerail.yaml", actor.id),
        (false, false) => format!("{}: no person of this project; may look, rehearse and leave notes", actor.id),
    };
    ui.result(&Line::of(Tone::Plain, &said));
    if !actor.person && !single {
        ui.hint("act as a person: --as NAME --token-file FILE; or name this user under `people`");
    }
    Ok(Exit::SUCCESS)
}
