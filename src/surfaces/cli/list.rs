//! `rerail list`: the runbooks there are.

use clap::Args;
use serde_json::Value as Json;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::table;

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only runbooks that have all these words in name, title, tags or meaning
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
}

/// Lists runbooks.
pub fn list(session: &Session, args: &ListArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let words: Vec<String> = args.words.iter().map(|word| word.to_lowercase()).collect();
    let (rows, problems) = session.door()?.books(&words)?;
    if !ui.human() {
        ui.result_rows(rows);
        return Ok(Exit::SUCCESS);
    }
    if rows.is_empty() {
        ui.remark("no runbook fits");
        return Ok(Exit::SUCCESS);
    }
    table::print(ui, &["NAME", "TITLE", "EFFECTS", "OWNER", "ORIGIN"], rows.iter().map(cells).collect());
    if problems {
        ui.hint("`rerail check` says what is wrong with those that have problems");
    }
    Ok(Exit::SUCCESS)
}

fn cells(row: &Json) -> Vec<String> {
    let text = |name: &str, otherwise: &str| row[name].as_str().unwrap_or(otherwise).to_owned();
    let effects = row["effects"].as_array().into_iter().flatten().filter_map(Json::as_str);
    vec![
        text("name", ""),
        text("title", "(has problems)"),
        effects.collect::<Vec<_>>().join(" "),
        text("owner", "-"),
        text("origin", ""),
    ]
}
