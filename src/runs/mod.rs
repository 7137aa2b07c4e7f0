//! The only door for surfaces: everything a person can do with runs.
//!
//! Blocking on purpose: a surface calls, a driver thread with a large stack and its own small runtime
//! works. Nothing here prints or reads the terminal.

mod abreast;
mod actions;
mod agents;
mod approvals;
mod callers;
mod checking;
mod checkup;
mod deliveries;
mod drive;
mod entry;
mod error;
mod eval;
mod evidence;
mod fleet;
mod follow;
mod ground;
mod holding;
mod identity;
mod inputs;
mod keep_secret;
mod look;
mod online;
mod outside;
mod own;
mod people;
mod plan;
mod plan_file;
mod replay;
mod requests;
mod secrets;
mod shelf;
mod start;
mod take;
mod testing;
mod token;
mod traced;
mod triggers;
mod typed;
mod undo;

use std::path::PathBuf;
use std::sync::OnceLock;

pub use crate::drivers::watch::{Control, Foreground, InLine, Parting, Watcher, Why};
pub use crate::journal::Turn;
pub use crate::journal::{
    Checkpoint, Filter as RunFilter, Hash, Holder, LastHold, Line, Report as VerifyReport, RunRow, Status, StoreKey,
    sqlite_version,
};
pub use crate::steps::world::Connection;
pub use actions::ListedAction;
pub use agents::{AGENT_PLAN_LASTS, AgentPlans, ByAgent, Planned};
pub use approvals::{Taken, Waiting, Word, names_change};
pub use callers::ENDS_SOON_DAYS;
pub use checking::{Checked, CheckedRunbook};
pub use checkup::{Checkup, Fitness};
pub use deliveries::{Delivery, Received};
pub use drive::{Begun, Left, Rehearsed};
pub use error::{ErrorKind, RunsError};
pub use evidence::{Prunable, Pruned};
pub use fleet::{Began, Fleet};
pub use follow::{Followed, Parted, left_as};
pub use identity::{Badge, Caller, TOKEN_DAYS_MAX, read_token};
pub use keep_secret::{Kept, SecretPlace};
pub use outside::{Incoming, Outgoing};
pub use people::{DecideRequest, Delivered};
pub use plan::{LASTS_MAX as PLAN_LASTS_MAX, Made, PreparedApply};
pub use plan_file::PLAN_BYTES_MAX;
pub use replay::{Difference, Replayed};
pub use requests::{Keyed, Once, Requests, Twice};
pub use secrets::ListedSecret;
pub use shelf::Shelf;
pub use start::{Change, Prepared, StartRequest, changes};
pub use take::Handover;
pub use testing::{Branch, Coverage, ExitOf, Failed, Recorded, Suite, TestRequest, TestResult, Verdict};
pub use token::{Token, token_digest};
pub use triggers::{DOCTOR, Placed, Wanted, candidates};
pub use undo::PreparedUndo;

use crate::journal::Store;
use crate::project::Project;
use crate::redact::Redactor;
use crate::runbook::egress::DrivenBy;

/// Runs of one store, and the runbooks of one project.
pub struct Runs {
    state_dir: PathBuf,
    project: Project,
    redactor: Redactor,
    store: OnceLock<Store>,
    driven_by: DrivenBy,
}

impl Runs {
    /// Names the store and the project; touches no file yet. `redactor` is the one at the surface's own
    /// doors: it learns the secrets of every run that is driven from here.
    pub fn open(state_dir: PathBuf, project: Project, redactor: Redactor) -> Runs {
        Runs { state_dir, project, redactor, store: OnceLock::new(), driven_by: DrivenBy::Terminal }
    }

    /// A door to a store that is there, only to look through: nothing is created or written, and every write is
    /// refused. `None` if there is no store.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn glance(state_dir: PathBuf, project: Project, redactor: Redactor) -> Result<Option<Runs>, RunsError> {
        let Some(store) = Store::glance(&state_dir)? else { return Ok(None) };
        Ok(Some(Runs { store: OnceLock::from(store), ..Runs::open(state_dir, project, redactor) }))
    }

    /// The same store, and the project as it is now or another one: for who stays, while files change.
    ///
    /// # Errors
    /// If the journal can't be opened.
    pub fn with(&self, project: Project) -> Result<Runs, RunsError> {
        let store = self.store()?.clone();
        let open = Runs::open(self.state_dir.clone(), project, self.redactor.clone());
        Ok(Runs { store: OnceLock::from(store), driven_by: self.driven_by, ..open })
    }

    /// The same door in a server: what runs driven from here may connect to is the server's business then.
    #[must_use]
    pub fn of_server(self) -> Runs {
        Runs { driven_by: DrivenBy::Server, ..self }
    }

    /// What runs driven from here connect to, in words.
    pub fn reaches(&self) -> String {
        self.project.settings.egress.reaches(self.driven_by)
    }

    /// The redactor at the doors: it knows the secrets of every run that is driven from here.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The project: what there is to run.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The key of the store: what seals values and signs.
    ///
    /// # Errors
    /// If it is damaged, or others can read it.
    pub fn key(&self) -> Result<StoreKey, RunsError> {
        Ok(self.store()?.key()?)
    }

    fn store(&self) -> Result<&Store, RunsError> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let opened = Store::open(&self.state_dir)?;
        Ok(self.store.get_or_init(|| opened))
    }
}
