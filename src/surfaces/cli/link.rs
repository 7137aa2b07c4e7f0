//! `rerail link`: prove in the terminal who somebody is in a chat.

use clap::Args;
use serde_json::json;

use crate::surfaces::chat::asked::Speaker;
use crate::surfaces::chat::links;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::prompt;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone, words};

/// Wide enough for the ids of a team and a user.
const SPEAKER_WIDTH: usize = 36;

#[derive(Args, Debug)]
pub struct LinkArgs {
    /// The code that `/rerail link` gave in the chat
    #[arg(value_name = "CODE", required_unless_present_any = ["list", "remove"], conflicts_with_all = ["list", "remove"])]
    code: Option<String>,
    /// Link without asking
    #[arg(short = 'y', long, conflicts_with_all = ["list", "remove"])]
    yes: bool,
    /// List all links that were proved so
    #[arg(long, conflicts_with = "remove")]
    list: bool,
    /// Remove a link, named as `--list` names it
    #[arg(long, value_name = "CHAT:ID")]
    remove: Option<String>,
}

/// Links whoever has the code to who runs this.
pub fn link(session: &Session, args: &LinkArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = session.runs()?;
    if args.list {
        return list(session);
    }
    let actor = session.actor(&runs)?;
    let single = runs.project().settings.people.is_single_operator();
    if !actor.person && !single {
        return Err(CliError::new(Exit::NOT_ALLOWED, format!("`{}` is no person of this project", actor.id))
            .hint("act as a person: --as NAME --token-file FILE; or name this user under `people`"));
    }
    if let Some(key) = &args.remove {
        let speaker = Speaker::from_key(key)
            .ok_or_else(|| CliError::usage(format!("expected CHAT:ID such as slack:T1/U2, got `{key}`")))?;
        if !links::remove(&runs, &speaker)? {
            return Err(CliError::usage(format!("nobody is linked as `{key}`")).hint("rerail link --list"));
        }
        ui.result(&Line::of(Tone::Plain, &format!("{key} is linked to nobody any more")));
        return Ok(Exit::SUCCESS);
    }
    let code = args.code.as_deref().unwrap_or_default();
    let speaker = links::speaker_of(&runs, code)?;
    let (key, who) = (speaker.key(), &actor.id);
    if !args.yes {
        if !ui.asks {
            return Err(CliError::usage("nobody can be asked here").hint(format!("if {key} is you:  add --yes")));
        }
        // A code that somebody else has sent would let them act in this name.
        if prompt::confirm(ui, &format!("Is {key} you, {who}? Whoever that is may act as you.")) != Some(true) {
            ui.remark("not linked");
            return Ok(Exit::CANCELLED);
        }
    }
    links::redeem(&runs, code, actor.person.then_some(actor.id.as_str()))?;
    match ui.human() {
        true => ui.result(&Line::of(Tone::Plain, &format!("{key} is {who} from now on"))),
        false => ui.result_json(&json!({ "linked": key, "person": who })),
    }
    Ok(Exit::SUCCESS)
}

fn list(session: &Session) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let links = links::all(&session.runs()?)?;
    if !ui.human() {
        let json: Vec<_> = links
            .iter()
            .map(|(speaker, link)| json!({ "link": speaker.key(), "person": link.person, "at": link.at.to_string() }))
            .collect();
        ui.result_json(&json!(json));
        return Ok(Exit::SUCCESS);
    }
    if links.is_empty() {
        ui.remark("nobody has linked themselves; those of rerail.yaml stand there");
    }
    for (speaker, link) in links {
        let who = link.person.as_deref().unwrap_or("(the operator)");
        ui.result(
            &Line::new()
                .column(Tone::Strong, &speaker.key(), SPEAKER_WIDTH)
                .column(Tone::Plain, who, 16)
                .add(Tone::Dim, &words::date_time(link.at)),
        );
    }
    Ok(Exit::SUCCESS)
}
