//! Built-in steps: one primitive a file, one line in the catalog.

pub mod blobs;
pub mod catalog;
pub mod classify;
pub mod http;
pub mod world;

mod args;
mod chat_post;
mod dial;
mod dns_resolve;
mod egress;
mod email_send;
mod env_read;
mod exec;
mod exec_run;
mod file_list;
mod file_read;
mod file_remove;
mod file_write;
mod graphql;
mod graphql_mutate;
mod graphql_query;
mod http_probe;
mod http_request;
mod human_ask;
pub mod keyring;
mod line_diff;
mod mongo;
mod mongo_ping;
mod names;
mod places;
mod postgres;
mod postgres_query;
mod redis_ping;
mod refusal;
pub mod regular_file;
mod run_fail;
mod run_finish;
mod run_note;
mod run_undo;
mod runbook;
mod schema;
mod secret_check;
mod secret_command;
mod secret_compare;
mod secret_generate;
mod secret_host;
mod secrets;
mod smtp;
mod tcp_connect;
mod time_now;
mod time_sleep;
mod tls_inspect;
mod trust;

use std::future::Future;
use std::pin::Pin;

pub use places::places_of;

use crate::engine::outcome::Attempt;
use crate::runbook::spec::ActionSpec;
use crate::script::value::{Map, Value};
use crate::steps::world::World;

/// The primitive whose answer a rehearsal must not make up.
pub const GENERATE: &str = "secret.generate";

/// A future of a step; boxed because the catalog holds steps of many types.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Attempt> + Send + 'a>>;

/// Looks at the world and changes nothing. The only kind a rehearsal can call.
pub trait Read: Send + Sync {
    /// Performs one attempt with checked, typed arguments. Ends by itself before the world's deadline.
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a>;

    /// The place it looks at, if a planned write of that place tells what it will give: as in [`Write::leaves`].
    fn place(&self, _world: &World, _args: &Map) -> Option<String> {
        None
    }

    /// What it gives if this stands at its place; nothing if that can't be told.
    fn with(&self, _args: &Map, _content: &Value) -> Option<Value> {
        None
    }
}

/// Changes something outside: a write or a message.
pub trait Write: Send + Sync {
    /// Says in one line what it would do, without doing it: `POST https://… (12 bytes of JSON)`. May look
    /// at local files, never at the network.
    fn plan(&self, world: &World, args: &Map) -> String;

    /// What people want to see below that line before they agree: a diff, the size of what is sent. Under the same
    /// rule, and without the value of a secret.
    fn detail(&self, _world: &World, _args: &Map) -> Vec<String> {
        Vec::new()
    }

    /// The place it changes, and what will stand there; nothing if that can't be known beforehand.
    fn leaves(&self, _world: &World, _args: &Map) -> Option<(String, Value)> {
        None
    }

    /// Performs one attempt. Calls [`World::gate`] directly before the first byte leaves.
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map, key: &'a str) -> Pending<'a>;
}

/// A primitive, typed by what it may do.
#[derive(Clone, Copy)]
pub enum Primitive {
    Read(&'static dyn Read),
    Write(&'static dyn Write),
    /// A read or a write by its arguments; [`ActionSpec::effect_with`] says which.
    ReadOrWrite(&'static dyn Read, &'static dyn Write),
    /// Carried out by the engine itself: timers, questions, `run.*`.
    Engine,
}

/// One line of the catalog.
pub struct Entry {
    pub spec: ActionSpec,
    pub primitive: Primitive,
}
