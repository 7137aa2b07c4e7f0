//! `rerail completions`: the lines by which a shell learns to ask for names.

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::surfaces::cli::complete::VARIABLE;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;

/// How each shell takes the lines in; printed by itself at its start they are never older than the program.
const INSTALL: &str = "Put it where your shell starts:
  bash        echo 'source <(rerail completions bash)' >> ~/.bashrc
  zsh         echo 'source <(rerail completions zsh)' >> ~/.zshrc   (after compinit)
  fish        echo 'rerail completions fish | source' >> ~/.config/fish/config.fish
  elvish      echo 'eval (rerail completions elvish | slurp)' >> ~/.config/elvish/rc.elv
  powershell  echo 'rerail completions powershell | Out-String | Invoke-Expression' >> $PROFILE";

#[derive(Args, Debug)]
#[command(after_help = INSTALL)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Shells that can be taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
}

/// Prints the lines.
pub fn completions(session: &Session, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Elvish => &Elvish,
    };
    let mut lines = Vec::new();
    shell
        .write_registration(VARIABLE, "rerail", "rerail", &program(), &mut lines)
        .map_err(|error| CliError::io("writing", "the completions", &error))?;
    session.ui.result_text(&String::from_utf8_lossy(&lines));
    Ok(Exit::SUCCESS)
}

/// What the shell calls to ask: the name if this was found by name, else the whole path.
fn program() -> String {
    let called = std::env::args_os().next().map(std::path::PathBuf::from).unwrap_or_default();
    if called.components().count() < 2 {
        return "rerail".to_owned();
    }
    let whole = std::path::absolute(&called).unwrap_or(called);
    whole.to_string_lossy().into_owned()
}
