//! A test file as plain data: every name and value keeps its place.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::runbook::model::Level;
use crate::runbook::settings::Target;
use crate::runbook::source::{Source, Span, Spanned};
use crate::script::value::{Map, Value};

/// A name with the value that stands behind it.
pub type Named = (Spanned<String>, Spanned<Value>);

/// One test file.
#[derive(Clone, Debug)]
pub struct TestFile {
    pub source: Arc<Source>,
    pub tests: Vec<Test>,
}

/// One test: a run in a world that only answers. What the file says for all its tests is in it already.
#[derive(Clone, Debug)]
pub struct Test {
    pub name: Spanned<String>,
    pub inputs: Vec<Named>,
    pub target: Option<Place>,
    /// Who starts the run.
    pub operator: String,
    /// The moment it starts.
    pub at: Timestamp,
    /// Its own first, then those of the file.
    pub mocks: Vec<Mock>,
    /// Answers to questions, by step.
    pub answer: Vec<Named>,
    /// Who agrees, by the step that asks; somebody without a name if there is none.
    pub approve: Vec<(Spanned<String>, Vec<String>)>,
    /// Why somebody says no, by the step that asks.
    pub reject: Vec<(Spanned<String>, String)>,
    /// Steps that ask people who say nothing until time is up.
    pub expire: Vec<Spanned<String>>,
    /// What a person says of writes in doubt and failed steps.
    pub decide: Vec<(Spanned<String>, Decided)>,
    pub crash: Option<Crash>,
    /// Whether the ended run is taken back.
    pub undo: bool,
    pub expect: Expect,
}

/// The target of a test.
#[derive(Clone, Debug)]
pub enum Place {
    /// One of the project.
    Named(Spanned<String>),
    /// Written out in the test.
    Written(Box<Target>),
}

/// Answers for a step path or an action.
#[derive(Clone, Debug)]
pub struct Mock {
    pub key: Spanned<String>,
    /// It stands at the top of the file, so a test may not need it.
    pub shared: bool,
    pub cases: Vec<Case>,
}

/// Answers for calls with certain arguments.
#[derive(Clone, Debug)]
pub struct Case {
    pub span: Span,
    /// What the arguments must be like; any without it.
    pub with: Option<Value>,
    /// One for each call; the last one stays.
    pub answers: Vec<Answer>,
}

/// What one call comes to.
#[derive(Clone, Debug)]
pub struct Answer {
    pub span: Span,
    pub ends: Ends,
    pub outputs: Map,
    /// Where the outputs stand, by name.
    pub places: Vec<Spanned<String>>,
    pub error: Option<Error>,
    /// How long it takes.
    pub takes: Duration,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    Done,
    Refused,
    Failed,
    InDoubt,
    Rejected,
}

/// What a call fails with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// A word of [`crate::runbook::contexts::FAILURE_KINDS`].
    pub kind: String,
    pub message: String,
    pub transient: bool,
}

/// What a person decides about a step.
#[derive(Clone, Debug)]
pub struct Decided {
    pub deed: Deed,
    pub outputs: Map,
}

/// A decision's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Done,
    NotDone,
    Retry,
    Skip,
}

/// The process dies once, at the first end of this step, and the run is taken up again.
#[derive(Clone, Debug)]
pub struct Crash {
    pub step: Spanned<String>,
    /// Whether what came of the step is recorded by then.
    pub recorded: bool,
}

/// What a run should come to. What isn't named isn't looked at, but for the outcome.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    pub outcome: Option<Spanned<String>>,
    pub exit: Option<Spanned<u8>>,
    pub error: Option<Trouble>,
    /// What `run.finish` or `run.fail` said.
    pub message: Option<Spanned<Value>>,
    /// All of them, in order.
    pub findings: Option<Spanned<Vec<FoundFinding>>>,
    pub outputs: Vec<Named>,
    /// Outcomes, by step.
    pub steps: Vec<(Spanned<String>, Spanned<String>)>,
    pub calls: Vec<Wanted>,
    /// All that changes something, in order.
    pub writes: Option<Spanned<Vec<Wanted>>>,
    pub undo: Option<Spanned<String>>,
}

/// What a run should have failed with.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub span: Span,
    pub step: Option<Spanned<String>>,
    pub kind: Option<Spanned<String>>,
    pub message: Option<Spanned<Value>>,
}

/// A finding that should be there.
#[derive(Clone, Debug)]
pub struct FoundFinding {
    pub span: Span,
    pub level: Level,
    pub say: Option<Value>,
    /// The runbook it suggests.
    pub suggest: Option<String>,
}

/// Calls of a step or an action that should have been made.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub key: Spanned<String>,
    /// How often; at least once without it.
    pub times: Option<Spanned<u32>>,
    pub with: Option<Spanned<Value>>,
}
