//! `rerail login-link`: a link that signs a browser in, once and soon.

use clap::Args;
use serde_json::json;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::web::sessions::{self, CODE_LASTS, Who};
use crate::transcript::{Line, Tone};

#[derive(Args, Debug)]
pub struct LoginLinkArgs {
    /// The address of the server, such as https://ops.example.com [default: where this project's server was started last]
    #[arg(long, value_name = "URL", value_parser = crate::surfaces::cli::serve::base)]
    url: Option<String>,
}

/// Prints the link alone on standard output. Whoever follows it acts as the user of this terminal.
pub fn login_link(session: &Session, args: &LoginLinkArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = session.runs()?;
    let actor = session.actor(&runs)?;
    let people = &runs.project().settings.people;
    if session.caller().claims.is_some() {
        return Err(CliError::usage(format!(
            "`{}` signs in with a token: a link is for the user of this terminal",
            actor.id
        ))
        .hint("open the page and paste the token of `rerail token new NAME --scope …`"));
    }
    if !actor.person && !people.is_single_operator() {
        let said = format!("`{}` is no person of this project", actor.id);
        return Err(CliError::new(Exit::NOT_ALLOWED, said)
            .hint(format!("name this user in rerail.yaml, under `people`: NAME: {{ os_user: {} }}", actor.id)));
    }
    let base = match &args.url {
        Some(url) => url.clone(),
        None => sessions::served_at(&runs)?.ok_or_else(|| {
            CliError::usage("no server of this project has listened on an address yet")
                .hint("start one: rerail serve --listen 127.0.0.1:8420")
                .hint("or say where it is: --url https://ops.example.com")
        })?,
    };
    let code = sessions::make_code(&runs, &Who::User(session.caller().os_users.clone()))?;
    let link = format!("{base}/login?code={code}");
    match ui.human() {
        true => {
            ui.result(&Line::of(Tone::Plain, &link));
            ui.remark(&format!("it signs in as {}, once, within {} s", actor.id, CODE_LASTS.as_secs()));
        }
        false => ui.result_json(&json!({ "url": link, "as": actor.id, "seconds": CODE_LASTS.as_secs() })),
    }
    Ok(Exit::SUCCESS)
}
