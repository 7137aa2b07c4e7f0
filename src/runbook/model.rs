//! A runbook as plain data, after lowering: every name keeps its span, every snippet its code.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::runbook::approval::Approval;
use crate::runbook::snippet::{Snippet, Template};
use crate::runbook::source::{Span, Spanned};
use crate::runbook::spec::{Effect, Repeat};
use crate::runbook::triggers::Trigger;
use crate::runbook::types::Type;
use crate::script::value::Value;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Limit of the whole run; [`Runbook::TIMEOUT_DEFAULT`] without the key. Runbooks only.
    pub timeout: Option<Template>,
    /// Who may run beside it. Runbooks only.
    pub concurrency: Option<Concurrency>,
    /// What starts it beside people. Runbooks only.
    pub triggers: Vec<Trigger>,
    /// What a rehearsal says of it as a whole. Actions only.
    pub plan: Option<Plan>,
    /// What it gives after planned writes of the place it reads. Actions that read only.
    pub overlay: Option<Overlay>,
    /// For every call that says nothing itself. Empty in a checked program: the steps have got them.
    pub defaults: Defaults,
    /// Computed once at start, in this order; each sees those before it.
    pub vars: Vec<(Spanned<String>, Template)>,
    pub steps: Block,
    pub on_failure: Block,
    pub finally: Block,
    pub outputs: Vec<(Spanned<String>, Template)>,
    /// Those of `outputs` that say `sealed: true`: no plain text leaves by them.
    pub sealed: BTreeSet<String>,
}

impl Runbook {
    /// How long a run may take without `timeout`: a run that hangs must not hold its group for ever.
    pub const TIMEOUT_DEFAULT: std::time::Duration = std::time::Duration::from_secs(4 * 3600);
}

/// `defaults:` of a file.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    pub retry: Option<Retry>,
    pub timeout: Option<Template>,
}

/// `concurrency:` of a runbook.
#[derive(Clone, Debug)]
pub struct Concurrency {
    /// Runs with the same text exclude each other; sees inputs, vars and run.
    pub group: Template,
    pub if_busy: IfBusy,
}

/// What a start does when its group is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfBusy {
    #[default]
    Refuse,
    Wait,
    /// Follow the holder's run, if it is the same runbook with the same inputs.
    Attach,
}

/// `plan:` of an action: expressions over its inputs and the reads before its first write.
#[derive(Clone, Debug)]
pub struct Plan {
    pub summary: Template,
    pub before: Option<Template>,
    pub after: Option<Template>,
    pub reversible: Option<Template>,
}

/// `overlay:` of an action: how a rehearsal lays what planned writes leave over what the action has read.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// Names what is read, as the writes name it that change it.
    pub place: Template,
    /// Gives the outputs as they will be; `result` is what it read and what is planned.
    pub script: Snippet,
}

/// `leaves:` of a step that writes: what a rehearsal may take as known behind it.
#[derive(Clone, Debug)]
pub struct Leaves {
    /// Names what is changed; everything else stays as it is.
    pub place: Template,
    /// Entries that will stand there, by name.
    pub sets: Option<Template>,
    /// Names of entries that will be gone.
    pub removes: Option<Template>,
    /// What stood there before, for readers who have to compare.
    pub was: Option<Template>,
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
    /// Runs the body once for each item; everything beside `if` and `within` is per item.
    pub foreach: Option<Foreach>,
    pub body: Body,
    pub poll: Option<Poll>,
    /// Ends a read as failed when true of its `result`.
    pub fail_if: Option<Snippet>,
    /// Limit of the whole step with its attempts, looks and pauses, counted from its first start.
    pub within: Option<Template>,
    /// Limit of one attempt; a write that reaches it is in doubt.
    pub timeout: Option<Template>,
    // Boxed, as what few steps have: ten thousand of them are held at once.
    pub retry: Option<Box<Retry>>,
    /// Who must agree before anything is written by it or inside it.
    pub approval: Option<Box<Approval>>,
    /// Declared stricter than the action's own, or milder with a `reason`.
    pub effect: Option<Spanned<Effect>>,
    pub repeat: Option<Spanned<Repeat>>,
    /// How to find out whether an in-doubt write happened.
    pub settle: Option<Box<Settle>>,
    /// What a planned write will leave behind.
    pub leaves: Option<Box<Leaves>>,
    /// How it is taken back.
    pub undo: Option<Undo>,
    pub continue_on_failure: bool,
    /// Replaces the body's own outputs; `result` is what the body gave.
    pub outputs: Option<Vec<(Spanned<String>, Template)>>,
    /// Why trust was raised (`reason:`), listed by `check`.
    pub reason: Option<Spanned<String>>,
    /// Names of sealed outputs that come as plain text all the same; empty without the key.
    pub reveal: Vec<Template>,
}

/// `until / every / in_a_row`, on reads only. Its deadline is the step's `within`, mandatory but for a
/// `foreach`, whose items end it as well.
#[derive(Clone, Debug)]
pub struct Poll {
    pub until: Snippet,
    /// Pause between two looks; [`Poll::EVERY_DEFAULT`] without the key, none between items of a `foreach`.
    pub every: Option<Template>,
    pub in_a_row: u32,
}

/// `foreach:` with `max_parallel:`.
#[derive(Clone, Debug)]
pub struct Foreach {
    /// Gives a list.
    pub items: Template,
    /// Items at a time; one after another without it.
    pub max_parallel: Option<Template>,
}

impl Foreach {
    /// Most items: each is a step of the journal.
    pub const ITEMS_MAX: usize = 10_000;
}

/// `retry:`.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// Pause before the second attempt.
    pub delay: Option<Template>,
    /// Each pause is so many times the one before.
    pub backoff: f64,
    pub max_delay: Option<Template>,
    /// Failures that are worth it; all that may be retried when empty.
    pub on: Vec<Spanned<String>>,
    /// Where it is written: at the step, or below `defaults`.
    pub span: Span,
}

impl Retry {
    /// Most attempts that may be asked for: more is a poll, which has `until`.
    pub const ATTEMPTS_MAX: u32 = 20;
    /// Pause before the second attempt without `delay`.
    pub const DELAY_DEFAULT: std::time::Duration = std::time::Duration::from_secs(1);
    /// Growth of the pauses without `backoff`.
    pub const BACKOFF_DEFAULT: f64 = 2.0;
    /// Longest pause without `max_delay`.
    pub const MAX_DELAY_DEFAULT: std::time::Duration = std::time::Duration::from_secs(60);
}

/// `settle:` of a step that writes.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Reads only; they see what the step sees.
    pub steps: Block,
    pub happened: Snippet,
    pub not_happened: Option<Snippet>,
    /// Taken as the step's own when it happened.
    pub outputs: Vec<(Spanned<String>, Template)>,
}

/// `undo:` of a step that writes, or of one that is made of such steps.
#[derive(Clone, Debug)]
pub struct Undo {
    /// One step: a body with the id of the step it takes back. It sees what that step sees, and what it gave.
    pub block: Block,
    /// It does no harm if the write never happened: so it also runs where nobody knows.
    pub safe_if_never_happened: bool,
}

impl Undo {
    /// The body that takes the step back.
    pub fn step(&self) -> &Arc<Step> {
        &self.block[0]
    }
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
    /// Branches side by side; adds no segment either.
    Parallel(Block),
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
            Body::Parallel(_) => "parallel",
        }
    }

    /// The steps inside a group.
    pub fn inner(&self) -> Option<&Block> {
        match self {
            Body::Steps(inner) | Body::Parallel(inner) => Some(inner),
            Body::Uses { .. } | Body::Script(_) | Body::Assert(_) | Body::Findings(_) => None,
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

/// Every step below a block, depth first, groups included; not those that settle a doubt or undo a step.
pub fn walk(block: &Block, visit: &mut dyn FnMut(&Arc<Step>)) {
    for step in block.iter() {
        visit(step);
        if let Some(inner) = step.body.inner() {
            walk(inner, visit);
        }
    }
}
