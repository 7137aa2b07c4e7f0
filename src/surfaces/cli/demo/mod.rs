//! `rerail demo`: a small broken world in this process, put right by shipped runbooks.

mod mail;
mod play;
mod project;
mod scenarios;
mod sides;
mod stage;
mod town;
mod world;

use clap::{Args, ValueEnum};

pub use play::run;

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// What is broken; without it the shortest tour, whose runbook is made for it
    #[arg(long, value_enum, value_name = "NAME")]
    scenario: Option<Scenario>,
}

/// Outages to try, each put right by the runbooks that are there for real ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// A backend on Railway that lacks the variables another project has
    CrashLoop,
    /// A deployment that made it worse, with a good one before it
    BadDeploy,
    /// A page that browsers keep from the backend, and a stranger they let in
    Cors,
    /// A backend that says yes to whoever forgot a password, and sends nothing
    Mail,
    /// A secret that backend and frontend share gets a new value on both
    Rotate,
}

impl Scenario {
    /// The word on the command line.
    pub fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What the help says of it.
    pub fn help(self) -> String {
        let value = self.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help());
        help.map(ToString::to_string).unwrap_or_default()
    }
}
