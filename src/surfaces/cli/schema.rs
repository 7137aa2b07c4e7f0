//! `rerail schema`: what editors need to help with the files people write.

use clap::{Args, ValueEnum};

use crate::runbook::schema::SchemaKind;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;

#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// Which files it is for
    #[arg(value_enum, default_value_t = Kind::Runbook, value_name = "KIND")]
    kind: Kind,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Runbook,
    Action,
    Target,
    Project,
    Test,
}

impl From<Kind> for SchemaKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Runbook => SchemaKind::Runbook,
            Kind::Action => SchemaKind::Action,
            Kind::Target => SchemaKind::Target,
            Kind::Project => SchemaKind::Project,
            Kind::Test => SchemaKind::Test,
        }
    }
}

/// Prints a schema; calls are typed by the actions of this project.
pub fn schema(session: &Session, args: &SchemaArgs) -> Result<Exit, CliError> {
    session.ui.result_json(&session.runs()?.schema(args.kind.into()));
    Ok(Exit::SUCCESS)
}
