//! What a run depends on, in and out of the journal: texts under their digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::event::{ENGINE_SEMANTICS, PinnedFile, RunStarted};
use crate::journal::{Blob, Error as JournalError, Journal};
use crate::runbook::commands::Commands;
use crate::runbook::program::{FileKind, Library, Looked, Program, load};
use crate::runbook::settings::{Target, read_target};
use crate::runbook::source::Source;
use crate::steps::catalog;

/// Why a run can't be taken up.
#[derive(Debug, thiserror::Error)]
pub enum PinnedError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal has no `run.started`")]
    NoStart,
    #[error("the text of `{name}` ({digest}) is missing from the journal")]
    Missing { name: String, digest: String },
    #[error(
        "the run was started by engine semantics {found}, this rerail has {ENGINE_SEMANTICS}: resume it with that version"
    )]
    Semantics { found: u32 },
    #[error("the pinned runbook no longer passes the check: {0}")]
    Check(String),
}

/// The files of a program as a run records them, and their texts.
pub fn pin(program: &Program, target: Option<&(String, Arc<Source>)>) -> (Vec<PinnedFile>, Vec<Blob>) {
    let mut files = Vec::new();
    let mut blobs = Vec::new();
    let target = target.map(|(name, source)| (FileKind::Target, name.as_str(), source));
    let texts = program.files.iter().map(|file| (file.kind, file.name.as_str(), &file.source)).chain(target);
    for (kind, name, source) in texts {
        let (file, blob) = pin_file(kind, name, source);
        files.push(file);
        blobs.push(blob);
    }
    (files, blobs)
}

/// One file as a run records it, and its text under the same digest.
pub fn pin_file(kind: FileKind, name: &str, source: &Source) -> (PinnedFile, Blob) {
    let blob = Blob::new("text", source.text.clone().into_bytes());
    let digest = blob.digest().to_owned();
    (PinnedFile { kind, name: name.to_owned(), shown: source.shown.clone(), digest }, blob)
}

/// The program and target of a run, from its pinned texts and the commands its host allows now: what may be run
/// is the host's policy and not a part of the runbook.
///
/// # Errors
/// If a text is missing or damaged, or this engine would read it differently.
pub fn unpin(
    journal: &dyn Journal,
    started: &RunStarted,
    commands: &Commands,
) -> Result<(Program, Target), PinnedError> {
    if started.semantics != ENGINE_SEMANTICS {
        return Err(PinnedError::Semantics { found: started.semantics });
    }
    let mut texts = Pinned { commands: commands.clone(), ..Pinned::default() };
    let mut root = None;
    let mut target = Target::default();
    for file in &started.files {
        let missing = || PinnedError::Missing { name: file.name.clone(), digest: file.digest.clone() };
        let bytes = journal.blob(&file.digest)?.ok_or_else(missing)?;
        let source = Source::new(file.shown.as_str(), String::from_utf8_lossy(&bytes).into_owned());
        match file.kind {
            // The first one is what was started; the others are run by it.
            FileKind::Runbook if root.is_none() => root = Some((file.name.clone(), source)),
            FileKind::Runbook => drop(texts.runbooks.insert(file.name.clone(), source)),
            FileKind::Action => drop(texts.actions.insert(file.name.clone(), source)),
            FileKind::Module => drop(texts.modules.insert(file.name.clone(), source)),
            FileKind::Target => target = read_target(&source).0,
            FileKind::Project => {}
        }
    }
    let (name, source) = root.ok_or(PinnedError::NoStart)?;
    let (program, problems) = load(&name, source, &texts, &catalog::specs());
    let program = program.ok_or_else(|| {
        PinnedError::Check(problems.first().map_or_else(String::new, |problem| problem.message.clone()))
    })?;
    Ok((program, target))
}

/// Texts of one run.
#[derive(Default)]
struct Pinned {
    actions: BTreeMap<String, Arc<Source>>,
    runbooks: BTreeMap<String, Arc<Source>>,
    modules: BTreeMap<String, Arc<Source>>,
    commands: Commands,
}

impl Library for Pinned {
    fn action(&self, name: &str) -> Looked {
        Ok(self.actions.get(name).cloned())
    }

    fn runbook(&self, name: &str) -> Looked {
        Ok(self.runbooks.get(name).cloned())
    }

    fn module(&self, path: &str) -> Looked {
        Ok(self.modules.get(path).cloned())
    }

    fn action_names(&self) -> Vec<String> {
        self.actions.keys().cloned().collect()
    }

    fn runbook_names(&self) -> Vec<String> {
        self.runbooks.keys().cloned().collect()
    }

    fn commands(&self) -> Commands {
        self.commands.clone()
    }
}
