//! What every command stands on: the terminal, the operator, and the door to runs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::event::Actor;
use crate::project::Project;
use crate::redact::Redactor;
use crate::runs::{Caller, RunRow, Runs};
use crate::surfaces::cli::args::Globals;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::operator;
use crate::surfaces::cli::ui::Ui;
use crate::surfaces::client::{Remote, Wire};
use crate::surfaces::door::{Door, Here};

/// One invocation.
pub struct Session {
    pub ui: Arc<Ui>,
    state_dir: Option<PathBuf>,
    caller: Caller,
    /// The server whose runs are meant, and the authority to trust for it.
    server: Option<String>,
    ca: Option<PathBuf>,
}

impl Session {
    /// Opens nothing yet.
    pub fn new(globals: &Globals) -> Session {
        let ui = Arc::new(Ui::new(globals, Redactor::new()));
        let caller = Caller {
            os_users: operator::os_users(),
            via: "cli".to_owned(),
            claims: globals.acts_as.clone(),
            token_file: globals.token_file.clone(),
            bearer: None,
            vouched: None,
        };
        let server = globals.server.clone().filter(|address| !address.is_empty());
        Session { ui, state_dir: globals.state_dir.clone(), caller, server, ca: globals.ca.clone() }
    }

    /// The door, for the project that the working directory lies in.
    ///
    /// # Errors
    /// If the project file has problems, or there is no place for state.
    pub fn runs(&self) -> Result<Runs, CliError> {
        if let Some(server) = &self.server {
            let said = format!("this works with the files and the journal of this machine, not with those of {server}");
            return Err(CliError::usage(said).hint("leave --server and RERAIL_SERVER out"));
        }
        let here = std::env::current_dir().map_err(|error| CliError::io("finding", "the working directory", &error))?;
        let project = Project::discover(&here)?;
        Ok(Runs::open(self.state_dir()?, project, self.ui.redactor().clone()))
    }

    /// The runs that commands work with: those of the journal of this machine, or of the server that was named.
    ///
    /// # Errors
    /// As [`Session::runs`]; if the server's address or the token can't be used. It is not asked anything yet.
    pub fn door(&self) -> Result<Box<dyn Door>, CliError> {
        let Some(server) = &self.server else { return Ok(Box::new(self.here()?)) };
        let ui = Arc::clone(&self.ui);
        let tell = Box::new(move |text: &str| ui.remark(text));
        let wire = Wire::open(server, self.caller.token_file.as_deref(), self.ca.as_deref(), tell)?;
        Ok(Box::new(Remote::new(wire)))
    }

    /// The runs of the journal of this machine, for what can be done only there.
    ///
    /// # Errors
    /// As [`Session::runs`].
    pub fn here(&self) -> Result<Here, CliError> {
        Ok(Here::new(self.runs()?, self.caller.clone()))
    }

    /// The server whose runs are meant.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Who is there, as far as this process can say.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Who acts, as the people of the project know them.
    ///
    /// # Errors
    /// If `--as` can't be proved.
    pub fn actor(&self, runs: &Runs) -> Result<Actor, CliError> {
        Ok(runs.identify(&self.caller)?)
    }

    /// Who acts on a run, as the people of its own project know them.
    ///
    /// # Errors
    /// If `--as` can't be proved, or that project is gone.
    pub fn actor_on(&self, runs: &Runs, run: &RunRow) -> Result<Actor, CliError> {
        Ok(runs.identify_for(&self.caller, run)?)
    }

    /// Where the journal is.
    ///
    /// # Errors
    /// If neither flag nor environment say, not even a home directory.
    pub fn state_dir(&self) -> Result<PathBuf, CliError> {
        let found = choose_state_dir(self.state_dir.clone(), |name| std::env::var_os(name));
        found.ok_or_else(|| {
            CliError::new(Exit::USAGE, "no place for the journal: HOME is not set").hint("give --state-dir DIR")
        })
    }
}

/// `--state-dir`, `RERAIL_STATE_DIR`, `$XDG_STATE_HOME/rerail`, `~/.local/state/rerail`.
pub fn choose_state_dir(flag: Option<PathBuf>, env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    flag.or_else(|| set("RERAIL_STATE_DIR"))
        // The XDG specification says to ignore relative paths.
        .or_else(|| set("XDG_STATE_HOME").filter(absolute).map(|base| base.join("rerail")))
        .or_else(|| set("HOME").filter(absolute).map(|home| home.join(".local/state/rerail")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_about_the_state_directory_counts() {
        let all = |name: &str| match name {
            "RERAIL_STATE_DIR" => Some("/own".into()),
            "XDG_STATE_HOME" => Some("/xdg".into()),
            "HOME" => Some("/home/ana".into()),
            _ => None,
        };
        let without = |hidden: &'static [&str]| move |name: &str| if hidden.contains(&name) { None } else { all(name) };
        assert_eq!(choose_state_dir(Some("flag".into()), all), Some("flag".into()));
        assert_eq!(choose_state_dir(None, all), Some("/own".into()));
        assert_eq!(choose_state_dir(None, without(&["RERAIL_STATE_DIR"])), Some("/xdg/rerail".into()));
        let home = Some("/home/ana/.local/state/rerail".into());
        assert_eq!(choose_state_dir(None, without(&["RERAIL_STATE_DIR", "XDG_STATE_HOME"])), home);
        let relative = |name: &str| (name == "XDG_STATE_HOME" || name == "HOME").then(|| "relative".into());
        assert_eq!(choose_state_dir(None, relative), None);
    }
}
