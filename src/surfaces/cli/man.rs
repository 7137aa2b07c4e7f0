//! `rerail man`: the help as manual pages.

use std::path::PathBuf;

use clap::Args;

use crate::surfaces::cli::args::command;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;

#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write all pages into this directory; without it the first goes to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints or writes manual pages.
pub fn man(session: &Session, args: &ManArgs) -> Result<Exit, CliError> {
    let Some(dir) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command())
            .render(&mut page)
            .map_err(|error| CliError::io("writing", "the manual page", &error))?;
        session.ui.result_text(&String::from_utf8_lossy(&page));
        return Ok(Exit::SUCCESS);
    };
    let shown = dir.display().to_string();
    std::fs::create_dir_all(dir).map_err(|error| CliError::io("creating", &shown, &error))?;
    clap_mangen::generate_to(command(), dir).map_err(|error| CliError::io("writing pages into", &shown, &error))?;
    session.ui.remark(&format!("read them with  man -l {shown}/rerail.1"));
    Ok(Exit::SUCCESS)
}
