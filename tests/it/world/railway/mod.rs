//! Railway: projects with services, variables, deployments and logs behind a strict GraphQL endpoint, and the backend that
//! runs there, all at one address.
//!
//! Time is counted in calls: each one is a second later than the one before, and deployments move by being looked at.

mod api;
mod state;

use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::binary::kit::{Ledger, Request};
use crate::world::faults::{Answer, Fault};

pub use api::{SCHEMA, faults_of};
pub use state::{Project, Service, State, Token, id};

/// Where the API is.
const API: &str = "/graphql/v2";

/// A Railway with a broken backend in it.
pub struct Railway {
    ledger: Ledger,
    state: Arc<Mutex<State>>,
}

impl Railway {
    pub fn serve(state: State) -> Railway {
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let ledger = Ledger::serve(move |request, stream| {
            let mut state = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            answer(&mut state, request, stream);
        });
        Railway { ledger, state }
    }

    /// Address of the API.
    pub fn api(&self) -> String {
        format!("{}{API}", self.ledger.url)
    }

    /// Address of the backend that runs there.
    pub fn app(&self) -> String {
        format!("{}/app", self.ledger.url)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Breaks the n-th call to the API, from 0.
    pub fn breaks(self, call: usize, fault: Fault) -> Railway {
        self.state().faults.insert(call, fault);
        self
    }

    /// What was asked of the API, in order: the fields of each call.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// How often this was done.
    pub fn effects(&self, of: &str) -> usize {
        self.state().effects.get(of).copied().unwrap_or_default()
    }

    /// Waits until all that was sent by processes that are gone now has been heard.
    pub fn settle(&self) {
        self.ledger.settle();
    }
}

fn answer(state: &mut State, request: &Request, stream: &mut TcpStream) {
    state.now += 1;
    if !request.path.starts_with(API) {
        return match request.path.strip_prefix("/app") {
            Some(path) => state.app(&request.method, path, request.header("origin")).write(stream),
            None => Answer::json(404, "{}").write(stream),
        };
    }
    let fault = state.faults.get(&state.calls.len()).copied();
    if fault.is_some_and(|fault| !fault.is_heard()) {
        state.calls.push(format!("{:?}", fault.unwrap_or(Fault::Unheard)));
        return fault.unwrap_or(Fault::Unheard).show(stream, &Answer::json(200, "{}"));
    }
    let answered = api::answer(state, request);
    match fault {
        Some(fault) => fault.show(stream, &answered),
        None => answered.write(stream),
    }
}
