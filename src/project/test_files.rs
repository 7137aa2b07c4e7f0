//! Test files: which there are, and what each is for. `NAME.test.yaml` tests the runbook or action `NAME.yaml` beside
//! it; without one there, that of the name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::project::files::{self, Fault, Links};
use crate::project::library::{Listed, Project, by_path};
use crate::project::place::place;
use crate::project::{Origin, ProjectError};
use crate::runbook::problem::Problem;
use crate::runbook::program::FileKind;
use crate::runbook::source::Source;

/// How the names of test files end.
const ENDING: &str = ".test.yaml";
/// Files below a project's folders that are looked through for tests: far more than any project has.
const FILES_MAX: usize = 20_000;

/// A test file, and what it tests.
#[derive(Clone, Debug)]
pub struct TestText {
    /// Where it lies.
    pub path: PathBuf,
    pub source: Arc<Source>,
    /// `Action`, else a runbook.
    pub kind: FileKind,
    /// The runbook or action it tests.
    pub name: String,
    /// That beside it, where there is one.
    pub beside: Option<Listed>,
}

/// Whether a file is one of tests, by its name.
pub fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING))
}

impl Project {
    /// The test files of the project, by path; what is wrong with those that can't be read.
    pub fn tests(&self) -> (Vec<TestText>, Vec<Problem>) {
        let Some(root) = &self.root else { return Default::default() };
        let mut open: Vec<PathBuf> = ["runbooks", "actions"].iter().map(|folder| root.join(folder)).collect();
        let mut found = Vec::new();
        let mut seen = 0;
        while let Some(dir) = open.pop() {
            // A folder that is not there has no tests; one that can't be listed is told by `check`.
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries.flatten() {
                seen += 1;
                let (path, hidden) = (entry.path(), entry.file_name().to_string_lossy().starts_with('.'));
                match entry.file_type() {
                    _ if hidden || seen > FILES_MAX => {}
                    // Links are not followed, so no circle can trap the walk.
                    Ok(kind) if kind.is_dir() => open.push(path),
                    Ok(_) if is_test(&path) => found.push(path),
                    _ => {}
                }
            }
        }
        found.sort();
        let (mut texts, mut problems) = (Vec::new(), Vec::new());
        for path in found {
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            match files::read(&path, &shown, Links::Refuse) {
                Ok(source) => texts.push(self.test_of(source, &path)),
                Err(Fault::Unusable(problem)) => problems.push(*problem),
                Err(Fault::Absent) => {}
            }
        }
        (texts, problems)
    }

    /// A test file by path.
    ///
    /// # Errors
    /// If there is none, or it can't be read.
    pub fn test(&self, argument: &str) -> Result<TestText, ProjectError> {
        let listed = by_path(argument)?;
        Ok(self.test_of(listed.source, Path::new(argument)))
    }

    fn test_of(&self, source: Arc<Source>, path: &Path) -> TestText {
        let text = path.display().to_string();
        let tested = PathBuf::from(format!("{}.yaml", text.strip_suffix(ENDING).unwrap_or(&text)));
        let absolute = std::path::absolute(&tested).unwrap_or_else(|_| tested.clone());
        let (kind, name) = place(&absolute, self.root.as_deref());
        let shown = self.root.as_ref().and_then(|root| tested.strip_prefix(root).ok()).unwrap_or(&tested);
        let there = files::read(&tested, &shown.display().to_string(), Links::Follow).ok();
        let beside = there.map(|source| Listed { name: name.clone(), origin: Origin::Project, source });
        let kind = match kind {
            Some(FileKind::Action) => FileKind::Action,
            _ => FileKind::Runbook,
        };
        TestText { path: path.to_path_buf(), source, kind, name, beside }
    }
}
