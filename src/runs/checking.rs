//! Checking without running: one file as what it is, or everything a project holds.

use std::path::Path;
use std::sync::Arc;

use crate::project::{Listed, Origin, ProjectError, is_test};
use crate::runbook::commands::Commands;
use crate::runbook::kinds::kind_by_content;
use crate::runbook::model::Runbook;
use crate::runbook::problem::Problem;
use crate::runbook::program::{FileKind, Library, Looked, Program, load};
use crate::runbook::readings::Readings;
use crate::runbook::settings::{read_settings, read_target};
use crate::runbook::source::{Source, Span};
use crate::runs::Runs;
use crate::runs::abreast::abreast;
use crate::runs::error::{ErrorKind, RunsError};
use crate::steps::catalog;

/// A runbook with what a check has made of it.
pub struct CheckedRunbook {
    pub listed: Listed,
    /// Nothing if it has errors.
    pub program: Option<Program>,
    pub problems: Vec<Problem>,
}

/// What a check of everything has seen.
#[derive(Debug, Default)]
pub struct Checked {
    pub files: usize,
    pub problems: Vec<Problem>,
}

impl Runs {
    /// Checks a runbook by name or path, without inputs.
    ///
    /// # Errors
    /// If there is none. Problems of the runbook itself are in the answer.
    pub fn check(&self, runbook: &str) -> Result<(Option<Program>, Vec<Problem>), RunsError> {
        Ok(self.check_runbook(&self.project().runbook(runbook)?))
    }

    /// Checks every runbook there is, without inputs.
    ///
    /// # Errors
    /// If there is no thread to do it on. Problems of the runbooks are in the answer.
    pub fn check_runbooks(&self) -> Result<Vec<CheckedRunbook>, RunsError> {
        let listed = self.project().runbooks();
        let checked = abreast(&listed, |listed| self.check_runbook(listed))?;
        let both = listed.into_iter().zip(checked);
        Ok(both.map(|(listed, (program, problems))| CheckedRunbook { listed, program, problems }).collect())
    }

    /// Checks the text of a runbook as if it lay in the project under this name. Writes nothing.
    pub fn check_given(&self, name: &str, text: &str) -> Vec<Problem> {
        self.check_listed(FileKind::Runbook, &self.given(name, text))
    }

    /// A text as a file of the project that is not there.
    pub(super) fn given(&self, name: &str, text: &str) -> Listed {
        let source = Source::new(format!("{name}.yaml").as_str(), text);
        Listed { name: name.to_owned(), origin: Origin::Project, source }
    }

    /// Checks whatever a name or path means: a runbook, an action, a target by name; by path also a module
    /// or a project file. A path is read as its folder says, or as its text does where no folder tells.
    ///
    /// # Errors
    /// If there is nothing of that name, or the file can't be read.
    pub fn check_any(&self, argument: &str) -> Result<Vec<Problem>, RunsError> {
        if is_test(Path::new(argument)) {
            return Ok(self.check_test(&self.project().test(argument)?));
        }
        if self.project().is_path(argument) {
            let (kind, listed) = self.project().file(argument)?;
            let kind = kind.unwrap_or_else(|| kind_by_content(&listed.source));
            return Ok(self.check_listed(kind, &listed));
        }
        let not_found = match self.project().runbook(argument) {
            Ok(listed) => return Ok(self.check_listed(FileKind::Runbook, &listed)),
            Err(error @ ProjectError::NotFound { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        if let Some(listed) = self.project().actions().iter().find(|listed| listed.name == argument) {
            return Ok(self.check_action(listed));
        }
        if let Some(listed) = self.project().targets().iter().find(|listed| listed.name == argument) {
            return Ok(read_target(&listed.source).1);
        }
        if catalog::find(argument).is_some() {
            let said = format!("`{argument}` is built in: there is no file to check");
            return Err(RunsError::new(ErrorKind::Usage, said).hint(format!("`rerail actions {argument}` explains it")));
        }
        match self.project().action(argument) {
            // An action of that name is there and can't be used.
            Err(problem) => Ok(vec![*problem]),
            Ok(_) => Err(not_found.into()),
        }
    }

    /// Checks runbooks with all they reach, actions and modules nobody uses, targets, tests, and what lies in the
    /// project's folders without being any of these.
    ///
    /// # Errors
    /// If there is no thread to do it on.
    pub fn check_everything(&self) -> Result<Checked, RunsError> {
        let project = self.project();
        let mut checked = Checked { files: 0, problems: project.unusable() };
        let files: Vec<(FileKind, Listed)> = [
            (FileKind::Action, project.actions()),
            (FileKind::Module, project.modules()),
            (FileKind::Runbook, project.runbooks()),
            (FileKind::Target, project.targets()),
        ]
        .into_iter()
        .flat_map(|(kind, files)| files.into_iter().map(move |listed| (kind, listed)))
        .collect();
        checked.files += files.len();
        checked
            .problems
            .extend(abreast(&files, |(kind, listed)| self.check_listed(*kind, listed))?.into_iter().flatten());
        let (tests, unreadable) = project.tests();
        checked.files += tests.len();
        checked.problems.extend(unreadable);
        checked.problems.extend(tests.iter().flat_map(|text| self.check_test(text)));
        if let Some(source) = &project.source {
            checked.files += 1;
            checked.problems.extend(read_settings(source).1);
            checked.problems.extend(self.check_triggers(None));
        }
        Ok(checked)
    }

    fn check_listed(&self, kind: FileKind, listed: &Listed) -> Vec<Problem> {
        match kind {
            FileKind::Runbook => {
                let (program, mut problems) = self.check_runbook(listed);
                problems.extend(program.and_then(|program| uncared_for(&program.runbook, &listed.source)));
                if listed.source.text.contains("triggers:") {
                    problems.extend(self.check_triggers(Some(&listed.source)));
                }
                problems
            }
            FileKind::Action => self.check_action(listed),
            FileKind::Module => self.check_module(listed),
            FileKind::Target => read_target(&listed.source).1,
            FileKind::Project => {
                let mut problems = read_settings(&listed.source).1;
                if self.project().source.as_ref().is_some_and(|source| source.text == listed.source.text) {
                    problems.extend(self.check_triggers(None));
                }
                problems
            }
        }
    }

    fn check_runbook(&self, listed: &Listed) -> (Option<Program>, Vec<Problem>) {
        load(&listed.name, Arc::clone(&listed.source), self.project(), &catalog::specs())
    }

    /// An action is checked as a runbook that calls it sees it, and so is a module.
    fn check_action(&self, listed: &Listed) -> Vec<Problem> {
        self.check_through(listed, &format!("  - uses: {}\n", listed.name))
    }

    fn check_module(&self, listed: &Listed) -> Vec<Problem> {
        self.check_through(listed, &format!("  - script: |\n      import \"{}\" as module_;\n      1\n", listed.name))
    }

    fn check_through(&self, listed: &Listed, step: &str) -> Vec<Problem> {
        let caller = Source::new("(a caller)", format!("version: 1\ntitle: a caller\nsteps:\n{step}"));
        let library = Overlay { listed, below: self.project() };
        let (_, mut problems) = load("caller", Arc::clone(&caller), &library, &catalog::specs());
        // The caller gives no arguments, which is its problem and not the file's.
        let (own, of_caller): (Vec<_>, Vec<_>) =
            problems.drain(..).partition(|problem| problem.source.shown != caller.shown);
        match of_caller.into_iter().find(|problem| matches!(problem.code, "E0105" | "E0220")) {
            // But a name that can't be called is the file's.
            Some(problem) if own.is_empty() => vec![Problem {
                source: Arc::clone(&listed.source),
                span: Default::default(),
                label: "a file is called by its name".to_owned(),
                ..problem
            }],
            _ => own,
        }
    }
}

/// A runbook that nobody keeps true is trusted all the same when it is needed. Told to whoever checks it, not
/// to whoever runs it.
fn uncared_for(runbook: &Runbook, source: &Arc<Source>) -> Option<Problem> {
    let missing = match (&runbook.owner, &runbook.reviewed) {
        (Some(_), Some(_)) => return None,
        (None, Some(_)) => "`owner`",
        (Some(_), None) => "`reviewed`",
        (None, None) => "`owner` and `reviewed`",
    };
    let key = "title:";
    let lines = source.text.split_inclusive('\n').scan(0, |end, line| {
        *end += line.len();
        Some((*end - line.len(), line))
    });
    let at = lines.into_iter().find(|(_, line)| line.starts_with(key)).map_or(0, |(start, _)| start);
    let span = Span::new(at, (at + key.len() - 1).min(source.text.len()));
    let problem = Problem::warning("W0407", source, span, format!("this runbook has no {missing}"));
    Some(problem.label("who keeps it true?").help(
        "name the team that answers for it, and the day somebody last held it against the world: \
         `owner: platform`, `reviewed: 2026-11-01`",
    ))
}

/// A library with one file in front of it: the one that is checked, wherever it lies.
pub(super) struct Overlay<'a> {
    pub listed: &'a Listed,
    pub below: &'a dyn Library,
}

impl Library for Overlay<'_> {
    fn action(&self, name: &str) -> Looked {
        match name == self.listed.name {
            true => Ok(Some(Arc::clone(&self.listed.source))),
            false => self.below.action(name),
        }
    }

    fn runbook(&self, name: &str) -> Looked {
        self.below.runbook(name)
    }

    fn readings(&self) -> Option<&Readings> {
        self.below.readings()
    }

    fn commands(&self) -> Commands {
        self.below.commands()
    }

    fn module(&self, path: &str) -> Looked {
        match path == self.listed.name {
            true => Ok(Some(Arc::clone(&self.listed.source))),
            false => self.below.module(path),
        }
    }

    fn action_names(&self) -> Vec<String> {
        self.below.action_names()
    }

    fn runbook_names(&self) -> Vec<String> {
        self.below.runbook_names()
    }
}
