//! Checking without running: one runbook, or everything a project holds.

use std::sync::Arc;

use crate::project::Listed;
use crate::runbook::problem::Problem;
use crate::runbook::program::{Program, load};
use crate::runbook::settings::read_target;
use crate::runs::Runs;
use crate::runs::error::RunsError;
use crate::steps::catalog;

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
        Ok(self.check_listed(&self.project().runbook(runbook)?))
    }

    /// Checks runbooks with all they reach, actions nobody calls, targets, and what lies in the project's
    /// folders without being any of these.
    pub fn check_everything(&self) -> Checked {
        let project = self.project();
        let (runbooks, targets) = (project.runbooks(), project.targets());
        let (actions, mut problems) = self.check_actions();
        problems.extend(runbooks.iter().flat_map(|listed| self.check_listed(listed).1));
        problems.extend(targets.iter().flat_map(|listed| read_target(&listed.source).1));
        problems.extend(project.unusable());
        Checked { files: runbooks.len() + targets.len() + actions, problems }
    }

    fn check_listed(&self, listed: &Listed) -> (Option<Program>, Vec<Problem>) {
        load(&listed.name, Arc::clone(&listed.source), self.project(), &catalog::specs())
    }
}
