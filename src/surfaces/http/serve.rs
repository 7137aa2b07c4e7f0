//! What all requests share, and the life of the server: from its sockets to the last run that has been left.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawPathParams, Request};
use axum::routing::{MethodFilter, on};
use tokio::sync::watch;

use crate::project::Project;
use crate::redact::Redactor;
use crate::runs::{AgentPlans, Fleet, Requests, Runs, RunsError};
use crate::surfaces::http::body::Large;
use crate::surfaces::http::gate;
use crate::surfaces::http::hosts::Hosts;
use crate::surfaces::http::jobs::{Beat, JOBS, Running};
use crate::surfaces::http::listen::{Listening, accept};
use crate::surfaces::http::local_token::LocalToken;
use crate::surfaces::http::metrics::Tally;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::rates::Rates;
use crate::surfaces::http::routes::TABLE;
use crate::surfaces::http::service;
use crate::surfaces::http::stream::Streams;
use crate::surfaces::http::tls::Tls;

/// Requests that are worked on at once: each may wait for the disk; more wait for a thread.
const THREADS_MAX: usize = 64;
/// Stack of their threads: what the terminal has, on whose first thread the same is done.
const STACK_BYTES: usize = 8 * 1024 * 1024;
/// How long requests have to end when the server does.
const REQUESTS_END_WITHIN: Duration = Duration::from_secs(5);

/// How long jobs have to end: a post that is under way, and the commit after it.
const JOBS_END_WITHIN: Duration = Duration::from_secs(5);

/// What all requests share.
pub struct Server {
    pub fleet: Arc<Fleet>,
    pub hosts: Hosts,
    pub rates: Rates,
    pub requests: Requests,
    /// Plans that programs were shown.
    pub plans: Arc<AgentPlans>,
    pub tally: Tally,
    pub streams: Streams,
    pub large: Large,
    /// Of the one operator, in a project without people.
    pub local: Option<LocalToken>,
    /// Changes with everything that is committed.
    pub pulse: watch::Receiver<u64>,
    /// The same for jobs, which wait on threads.
    pub beat: Arc<Beat>,
    /// Whether the server is about to end.
    pub leaving: watch::Sender<bool>,
    /// Where it is asked, once that is known.
    pub listens: OnceLock<Listens>,
    runs: Arc<Runs>,
    root: Option<PathBuf>,
}

/// Where a server is asked.
#[derive(Debug, Default)]
pub struct Listens {
    pub socket: Option<String>,
    pub address: Option<String>,
    pub tls: Option<Arc<Tls>>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Runs whose drivers did not leave in time: they are taken up from the journal like after a crash.
    pub left_behind: usize,
}

impl Server {
    /// Serves the project of this door.
    pub fn new(runs: Runs, hosts: Hosts, local: Option<LocalToken>) -> Arc<Server> {
        let (beat, pulse) = watch::channel(0_u64);
        let (leaving, _) = watch::channel(false);
        let root = runs.project().root.clone();
        let runs = Arc::new(runs.of_server());
        let jobs = Arc::new(Beat::default());
        let told = Arc::clone(&jobs);
        let fleet = Fleet::new(Arc::clone(&runs), move || {
            beat.send_modify(|beats| *beats = beats.wrapping_add(1));
            told.tick();
        });
        Arc::new(Server {
            fleet,
            hosts,
            rates: Rates::default(),
            requests: Requests::default(),
            plans: Arc::default(),
            tally: Tally::default(),
            streams: Streams::default(),
            large: Large::default(),
            local,
            pulse,
            beat: jobs,
            leaving,
            listens: OnceLock::new(),
            runs,
            root,
        })
    }

    /// What runs of this server connect to, in words.
    pub fn reaches(&self) -> String {
        self.runs.reaches()
    }

    /// The door, with the project as it is at this moment: who has left it is out at once.
    ///
    /// # Errors
    /// 503 if its file can't be read: who may act is never guessed.
    pub fn door(&self) -> Result<Arc<Runs>, Problem> {
        let project = match &self.root {
            None => Project::default(),
            Some(root) => Project::open(root).map_err(|error| {
                let problem = Problem::from(RunsError::from(error));
                Problem { status: 503, ..problem }.hint("put rerail.yaml right: until then nobody is let in")
            })?,
        };
        Ok(Arc::new(self.runs.with(project)?))
    }

    /// The door as it was when the server began: for what is in the store, whoever the people are by now.
    pub fn journal(&self) -> &Runs {
        &self.runs
    }

    /// The redactor at every way out.
    pub fn redactor(&self) -> &Redactor {
        self.runs.redactor()
    }

    /// What links to its pages begin with, such as `https://ops.example.com`; nothing if it has a socket alone.
    pub fn url(&self) -> Option<&str> {
        self.hosts.url()
    }

    /// Whether the server is about to end.
    pub fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// Serves until `stop` says so: once to let what is running end, twice to go at once.
    ///
    /// # Errors
    /// If there is no event loop or no thread.
    pub fn serve(self: &Arc<Self>, listening: Listening, mut stop: watch::Receiver<u8>) -> std::io::Result<Serving> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder
            .enable_all()
            .max_blocking_threads(THREADS_MAX)
            .thread_name("request")
            .thread_stack_size(STACK_BYTES)
            .build()?;
        let fleet = Arc::clone(&self.fleet);
        let keeper = std::thread::Builder::new().name("keeper".into()).spawn(move || fleet.keep())?;
        let jobs = Running::start(self, JOBS)?;
        let left_behind = runtime.block_on(async {
            let connections = tokio::spawn(accept(listening, self.router(), self.leaving.subscribe()));
            let lives = tokio::spawn(service::live(Arc::clone(self)));
            service::ready();
            // Whoever could say it is gone: then nobody else will.
            stop.wait_for(|times| *times > 0).await.ok();
            // First of all: whoever sees that it goes may count on it that nothing starts any more.
            self.fleet.ask_to_leave();
            self.leaving.send_replace(true);
            self.beat.leave();
            service::stopping();
            let fleet = Arc::clone(&self.fleet);
            let leave = tokio::task::spawn_blocking(move || fleet.leave());
            let left_behind = tokio::select! {
                left = leave => {
                    tokio::time::timeout(REQUESTS_END_WITHIN, connections).await.ok();
                    left.unwrap_or(0)
                }
                _ = stop.wait_for(|times| *times > 1) => self.fleet.driven(),
            };
            lives.abort();
            left_behind
        });
        runtime.shutdown_background();
        jobs.end(if left_behind == 0 { JOBS_END_WITHIN } else { Duration::ZERO });
        // It ends at its next look, which is soon.
        if left_behind == 0 {
            keeper.join().ok();
        }
        Ok(Serving { left_behind })
    }

    fn router(self: &Arc<Self>) -> Router {
        let mut router = Router::new();
        for route in TABLE {
            let server = Arc::clone(self);
            let filter = if route.is_post() { MethodFilter::POST } else { MethodFilter::GET };
            let answer = move |params: RawPathParams, request: Request| {
                gate::answer(Arc::clone(&server), route, params, request)
            };
            router = router.route(route.path, on(filter, answer));
        }
        let (nowhere, otherwise) = (Arc::clone(self), Arc::clone(self));
        router
            .fallback(move |request: Request| gate::elsewhere(Arc::clone(&nowhere), 404, request))
            .method_not_allowed_fallback(move |request: Request| gate::elsewhere(Arc::clone(&otherwise), 405, request))
    }
}
