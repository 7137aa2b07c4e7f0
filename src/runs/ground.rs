//! Where on this host a run stands: the directory its relative paths start at, and what is allowed there.
//!
//! The directory is the run's own and never changes. What is allowed is the host's policy and always current,
//! but that of the same directory: a run must not gain rights by being resumed from another project.

use std::path::PathBuf;

use crate::drivers::roster::Roster;
use crate::engine::event::RunStarted;
use crate::project::{Project, ProjectError};
use crate::runbook::program::FileKind;
use crate::runbook::settings::{Settings, Target};
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};
use crate::steps::world::WorldSettings;

/// A run's directory with what is allowed there now.
pub(super) struct Ground {
    /// The project, or where the run was started without one. Absolute.
    pub root: PathBuf,
    /// Whether a project file says what is allowed; without one nothing is, and nobody is named.
    pub has_project: bool,
    pub settings: Settings,
}

impl Ground {
    /// Who may act here, to be asked for as long as a run is driven.
    pub(super) fn roster(&self) -> Roster {
        if !self.has_project {
            return Roster::nobody();
        }
        let root = self.root.clone();
        Roster::new(&self.settings.people, move || match Project::open(&root) {
            Ok(project) => Ok(project.settings.people),
            Err(error) => Err(error.to_string()),
        })
    }

    /// The directory as it is recorded.
    pub(super) fn shown(&self) -> Result<String, RunsError> {
        self.root.to_str().map(str::to_owned).ok_or_else(|| {
            let said = format!("the directory `{}` has a name that is not UTF-8", self.root.display());
            RunsError::new(ErrorKind::Usage, said).hint("a run records where it belongs: rename the directory")
        })
    }
}

impl Runs {
    /// For a run that starts here.
    pub(super) fn ground(&self) -> Result<Ground, RunsError> {
        let here = || {
            std::env::current_dir().map_err(|error| {
                RunsError::new(ErrorKind::Usage, format!("the working directory can't be found: {error}"))
            })
        };
        let root = self.project().root.clone().map_or_else(here, Ok)?;
        Ok(Ground { root, has_project: self.project().root.is_some(), settings: self.project().settings.clone() })
    }

    /// What steps driven from here are allowed to use there.
    pub(super) fn allowed(&self, ground: &Ground, target: Option<&Target>) -> WorldSettings {
        let settings = WorldSettings::of(&ground.root, &ground.settings, target, &self.redactor);
        WorldSettings { driven_by: self.driven_by, ..settings }
    }

    /// For a run that was started somewhere.
    pub(super) fn ground_of(&self, started: &RunStarted) -> Result<Ground, RunsError> {
        let Some(root) = started.root.as_ref().map(PathBuf::from) else { return self.ground() };
        if !started.files.iter().any(|file| file.kind == FileKind::Project) {
            return Ok(Ground { root, has_project: false, settings: Settings::default() });
        }
        if self.project().root.as_ref() == Some(&root) {
            return Ok(Ground { root, has_project: true, settings: self.project().settings.clone() });
        }
        match Project::open(&root) {
            Ok(project) => Ok(Ground { root, has_project: true, settings: project.settings }),
            Err(ProjectError::NoFile { shown }) => {
                let said = format!("the project this run belongs to is gone: there is no `{shown}`");
                Err(RunsError::new(ErrorKind::Usage, said)
                    .hint("put it back: what the run may read and write, and where, is said there"))
            }
            Err(error) => Err(error.into()),
        }
    }
}
