//! `rerail secrets`: where secrets come from, where they may go, who uses them, whether they can be read. Never what
//! they are.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::runbook::settings::From;
use crate::runs::{Fitness, ListedSecret};
use crate::surfaces::cli::doctor;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::secret_set::{self, SetArgs};
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::table;
use crate::surfaces::shapes::fitness::word;

#[derive(Args, Debug)]
pub struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// List the secrets of targets; none is read
    List(ListArgs),
    /// Read the secrets of a target, and say whether a run could; values are never shown
    Check(CheckArgs),
    /// Write a secret into its file or key, from a prompt or from standard input
    Set(SetArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Only those of this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// Only this one
    #[arg(value_name = "SECRET")]
    secret: Option<String>,
    /// The target whose secrets are meant
    #[arg(long, value_name = "NAME")]
    target: String,
}

/// Lists or checks secrets.
pub fn secrets(session: &Session, args: &SecretsArgs) -> Result<Exit, CliError> {
    match &args.command {
        SecretsCommand::List(args) => list(session, args),
        SecretsCommand::Check(args) => check(session, args),
        SecretsCommand::Set(args) => secret_set::set(session, args),
    }
}

fn list(session: &Session, args: &ListArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let listed = session.runs()?.secrets(args.target.as_deref())?;
    if !ui.human() {
        ui.result_rows(listed.iter().map(to_json).collect());
        return Ok(Exit::SUCCESS);
    }
    if listed.is_empty() {
        ui.remark("no target has a secret");
        return Ok(Exit::SUCCESS);
    }
    let joined = |words: Vec<&str>, nothing: &str| if words.is_empty() { nothing.to_owned() } else { words.join(" ") };
    let rows = listed.iter().map(|secret| {
        vec![
            secret.target.clone(),
            secret.name.clone(),
            format!("{} {}", secret.source.from.word(), place(&secret.source.from)),
            joined(secret.source.hosts.iter().map(String::as_str).collect(), "(any)"),
            joined(secret.runbooks.iter().map(String::as_str).collect(), "-"),
        ]
    });
    table::print(ui, &["TARGET", "SECRET", "FROM", "HOSTS", "USED BY"], rows.collect());
    Ok(Exit::SUCCESS)
}

fn check(session: &Session, args: &CheckArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let seen = session.runs()?.check_secrets(&args.target, args.secret.as_deref())?;
    let broken = seen.iter().any(|item| item.fitness == Fitness::Broken);
    match ui.human() {
        true if seen.is_empty() => ui.remark(&format!("target {} has no secrets", args.target)),
        true => seen.iter().for_each(|item| doctor::show(session, item)),
        false => ui.result_json(&json!({
            "readable": !broken,
            "secrets": seen.iter().map(|item| json!({
                "secret": item.what,
                "state": word(item.fitness),
                "says": item.says,
                "hint": item.hint,
            })).collect::<Vec<_>>(),
        })),
    }
    Ok(if broken { Exit::TOOL_FAILED } else { Exit::SUCCESS })
}

fn to_json(secret: &ListedSecret) -> serde_json::Value {
    json!({
        "target": secret.target,
        "secret": secret.name,
        "from": secret.source.from.word(),
        "place": place(&secret.source.from),
        "hosts": secret.source.hosts,
        "runbooks": secret.runbooks,
    })
}

/// Where exactly a secret comes from.
fn place(from: &From) -> String {
    match from {
        From::Env { name } | From::Systemd { name } | From::Keyring { name } => name.clone(),
        From::File { path } => path.clone(),
        From::Command { argv } => argv.join(" "),
    }
}
