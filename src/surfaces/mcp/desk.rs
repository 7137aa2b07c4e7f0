//! What all calls of one client share: the door, the runs it has begun, the plans it was shown, and for whom it acts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::project::Project;
use crate::runbook::spec::Effect;
use crate::runs::{AgentPlans, Caller, Fleet, Requests, Runs, RunsError};

/// For whom a client acts, and what their credential is for.
#[derive(Clone, Debug)]
pub struct Behalf {
    pub caller: Caller,
    /// Whether it is for more than looking.
    pub may_run: bool,
    /// The greatest effect of a run that is started with it.
    pub max_effect: Effect,
}

impl Behalf {
    /// Somebody whom the operating system proves, without a credential that says less.
    pub fn of(caller: Caller) -> Behalf {
        Behalf { caller, may_run: true, max_effect: Effect::Destructive }
    }
}

/// A connection: the same start on it is one run.
pub struct Connection {
    /// No other connection has this name.
    pub name: String,
    pub requests: Requests,
}

/// What calls share.
pub struct Desk {
    pub fleet: Arc<Fleet>,
    pub plans: Arc<AgentPlans>,
    /// Nothing where each message stands for itself.
    pub connection: Option<Connection>,
    pub behalf: Behalf,
    leaving: AtomicBool,
    runs: Arc<Runs>,
    root: Option<PathBuf>,
}

impl Desk {
    /// One client of this process, for whom it drives.
    pub fn of_client(runs: Runs, caller: Caller) -> Arc<Desk> {
        let root = runs.project().root.clone();
        let runs = Arc::new(runs);
        Arc::new(Desk {
            fleet: Fleet::of_own(Arc::clone(&runs)),
            plans: Arc::default(),
            connection: Some(Connection { name: uuid::Uuid::now_v7().to_string(), requests: Requests::default() }),
            behalf: Behalf::of(caller),
            leaving: AtomicBool::new(false),
            runs,
            root,
        })
    }

    /// One message to a server, which drives what it starts.
    pub fn of_request(fleet: &Arc<Fleet>, plans: &Arc<AgentPlans>, runs: &Arc<Runs>, behalf: Behalf) -> Arc<Desk> {
        Arc::new(Desk {
            fleet: Arc::clone(fleet),
            plans: Arc::clone(plans),
            connection: None,
            behalf,
            leaving: AtomicBool::new(false),
            root: runs.project().root.clone(),
            runs: Arc::clone(runs),
        })
    }

    /// The door, with the project as it is at this moment: who has left it is out at once.
    ///
    /// # Errors
    /// If its file can't be read: who may act is never guessed.
    pub fn door(&self) -> Result<Arc<Runs>, RunsError> {
        let project = match &self.root {
            None => Project::default(),
            Some(root) => Project::open(root)?,
        };
        Ok(Arc::new(self.runs.with(project)?))
    }

    /// The redactor at every way out.
    pub fn redactor(&self) -> &crate::redact::Redactor {
        self.runs.redactor()
    }

    /// Says that the client is about to be left: nobody waits any longer.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether nobody waits for an answer any more.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}
