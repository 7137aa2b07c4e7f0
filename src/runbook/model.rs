//! A runbook as plain data, after lowering: every name keeps its span, every snippet its code.

use std::sync::Arc;

use crate::runbook::snippet::{Snippet, Template};
use crate::runbook::source::{Span, Spanned};
use crate::runbook::types::Type;
use crate::script::value::Value;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Started by a person; its name is kebab-case.
    Runbook,
    /// Called by other runbooks; its name is dotted snake_case.
    Action,
}

/// One runbook or action file.
#[derive(Clone, Debug)]
pub struct Runbook {
    /// `backend-down`, or `railway.redeploy` for an action.
    pub name: String,
    pub kind: Kind,
    pub title: String,
    pub owner: Option<String>,
    pub reviewed: Option<String>,
    pub tags: Vec<String>,
    pub meaning: Option<String>,
    pub impact: Option<String>,
    pub inputs: Vec<Input>,
    pub secrets: Vec<Spanned<String>>,
    /// Computed once at start, in this order; each sees those before it.
    pub vars: Vec<(Spanned<String>, Template)>,
    pub steps: Block,
    pub on_failure: Block,
    pub finally: Block,
    pub outputs: Vec<(Spanned<String>, Template)>,
}

/// Steps in order.
pub type Block = Arc<[Arc<Step>]>;

/// A declared input.
#[derive(Clone, Debug)]
pub struct Input {
    pub name: Spanned<String>,
    pub ty: Type,
    /// Required unless it has a default or says `required: false`.
    pub required: bool,
    pub default: Option<Value>,
    pub description: Option<String>,
}

/// One node of a runbook.
#[derive(Clone, Debug)]
pub struct Step {
    /// The explicit `id`, or `http_probe`, `http_probe_2` … for an unnamed step.
    pub id: String,
    /// Where to point when this step is meant: its `id` value, else its body's key.
    pub span: Span,
    pub name: Option<Template>,
    pub condition: Option<Snippet>,
    pub body: Body,
    pub poll: Option<Poll>,
    /// Limit of one attempt; a write that reaches it is in doubt.
    pub timeout: Option<Template>,
    pub continue_on_failure: bool,
    /// Replaces the body's own outputs; `result` is what the body gave.
    pub outputs: Option<Vec<(Spanned<String>, Template)>>,
    /// Why trust was raised (`reason:`), listed by `check`.
    pub reason: Option<Spanned<String>>,
}

/// `until / every / within / in_a_row`, on reads only.
#[derive(Clone, Debug)]
pub struct Poll {
    pub until: Snippet,
    /// Pause between two looks; [`Poll::EVERY_DEFAULT`] without the key.
    pub every: Option<Template>,
    /// The whole step's deadline, counted from its first start.
    pub within: Template,
    pub in_a_row: u32,
}

impl Poll {
    /// What `every` is when it isn't given.
    pub const EVERY_DEFAULT: std::time::Duration = std::time::Duration::from_secs(5);
}

/// The one body of a step.
#[derive(Clone, Debug)]
pub enum Body {
    Uses {
        action: Spanned<String>,
        with: Vec<(Spanned<String>, Template)>,
    },
    Script(Snippet),
    Assert(Vec<Assertion>),
    Findings(Vec<FindingRule>),
    /// A plain group: adds no segment to paths.
    Steps(Block),
}

impl Body {
    /// The key that holds this body in YAML.
    pub fn key(&self) -> &'static str {
        match self {
            Body::Uses { .. } => "uses",
            Body::Script(_) => "script",
            Body::Assert(_) => "assert",
            Body::Findings(_) => "findings",
            Body::Steps(_) => "steps",
        }
    }
}

/// One entry of `assert:`.
#[derive(Clone, Debug)]
pub struct Assertion {
    pub that: Snippet,
    pub otherwise: Option<Template>,
}

/// One entry of `findings:`.
#[derive(Clone, Debug)]
pub struct FindingRule {
    pub when: Snippet,
    pub level: Level,
    pub say: Template,
    pub suggest: Option<Suggestion>,
}

/// What to run next: `suggest: { runbook: NAME, with: {…} }`.
#[derive(Clone, Debug)]
pub struct Suggestion {
    pub runbook: Spanned<String>,
    pub with: Vec<(Spanned<String>, Template)>,
}

/// How bad a finding is, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    Info,
    Warning,
    Critical,
}

/// Every step below a block, depth first, groups included.
pub fn walk(block: &Block, visit: &mut dyn FnMut(&Arc<Step>)) {
    for step in block.iter() {
        visit(step);
        if let Body::Steps(inner) = &step.body {
            walk(inner, visit);
        }
    }
}
