//! `rerail docs`: a catalogue of what there is, as Markdown pages for a wiki or a code host.
//!
//! Made from the texts alone: the same texts give the same bytes, so that a build can show what has become different.

mod action;
mod folder;
mod index;
mod page;
mod runbook;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::runbook::problem::{Problem, has_errors};
use crate::runbook::program::Program;
use crate::runbook::sites::{self, Site};
use crate::runs::{CheckedRunbook, ListedAction, Runs};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::runbooks::origin_word;
use crate::transcript::{Line, Tone, words};

#[derive(Args, Debug)]
pub struct DocsArgs {
    /// Directory for the pages: new, empty, or written by `rerail docs` before
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Everything that gets a page.
struct Catalogue {
    runbooks: Vec<Book>,
    /// Files and primitives, by name.
    actions: Vec<ListedAction>,
    /// What the actions that are files do.
    programs: BTreeMap<String, Program>,
}

struct Book {
    name: String,
    origin: &'static str,
    program: Program,
}

/// Writes the catalogue.
pub fn docs(session: &Session, args: &DocsArgs) -> Result<Exit, CliError> {
    let catalogue = Catalogue::of(&session.runs()?)?;
    let redactor = session.ui.redactor();
    let pages: BTreeMap<String, String> =
        catalogue.pages().into_iter().map(|(path, text)| (path, redactor.redact(&text).into_owned())).collect();
    folder::write(&args.out, &pages)?;
    let (shown, ui) = (args.out.display().to_string(), &session.ui);
    if ui.human() {
        let counts =
            [words::count(catalogue.runbooks.len(), "runbook"), words::count(catalogue.actions.len(), "action")];
        let said = format!("{} in {shown}; begin at {shown}/{}", counts.join(" and "), page::INDEX);
        ui.result(&Line::of(Tone::Good, "wrote ").add(Tone::Plain, &said));
    } else {
        ui.result_json(&json!({ "directory": shown, "pages": pages.keys().collect::<Vec<_>>() }));
    }
    Ok(Exit::SUCCESS)
}

impl Catalogue {
    /// # Errors
    /// If a runbook or action has problems: a catalogue that lacks it would say that it isn't there.
    fn of(runs: &Runs) -> Result<Catalogue, CliError> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut runbooks = Vec::new();
        for CheckedRunbook { listed, program, problems: found } in runs.check_runbooks()? {
            match program {
                Some(program) => {
                    runbooks.push(Book { name: listed.name, origin: origin_word(listed.origin), program });
                }
                None => problems.extend(found),
            }
        }
        let (actions, programs) = (runs.actions(), runs.action_programs());
        for listed in runs.project().actions().iter().filter(|listed| !programs.contains_key(&listed.name)) {
            problems.extend(runs.check_any(&listed.name)?);
        }
        problems.extend(runs.project().unusable());
        problems.dedup();
        match has_errors(&problems) {
            true => {
                let said = "not every runbook and action can be described; nothing was written";
                Err(CliError { problems, ..CliError::new(Exit::INVALID, said) })
            }
            false => Ok(Catalogue { runbooks, actions, programs }),
        }
    }

    /// Every page by its path below the directory.
    fn pages(&self) -> BTreeMap<String, String> {
        let mut pages = BTreeMap::from([(page::INDEX.to_owned(), index::page(self))]);
        for book in &self.runbooks {
            pages.insert(page::of_runbook(&book.name), runbook::page(self, book));
        }
        for action in &self.actions {
            pages.insert(page::of_action(&action.spec.name), action::page(self, action));
        }
        pages
    }

    fn has_runbook(&self, name: &str) -> bool {
        self.runbooks.iter().any(|book| book.name == name)
    }

    fn has_action(&self, name: &str) -> bool {
        self.actions.iter().any(|action| action.spec.name == name)
    }

    /// Actions that a file calls itself, by name; modules of scripts are not among them.
    fn calls(&self, program: &Program) -> BTreeSet<String> {
        let steps = sites::steps(&program.runbook).into_iter();
        let sites = steps.flat_map(sites::of_step).filter(|site| self.has_action(site.name));
        sites.map(|site| site.name.to_owned()).collect()
    }

    /// Runbooks that a file runs, or suggests, by name.
    fn children(program: &Program) -> BTreeSet<String> {
        let steps = sites::steps(&program.runbook).into_iter();
        steps.flat_map(sites::of_step).filter_map(|site| Site::child(&site)).map(|child| child.value).collect()
    }
}
