//! A case: runbooks as small as the generator needs them, what the world answers, and one interruption.
//!
//! The generator makes it, the model runs on it, the engine gets its YAML: three readers of one tree. Nothing
//! here knows the engine.

use std::collections::BTreeSet;

use rerail::engine::event::Decision;

/// A runbook with all it calls, and what happens to its run.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it is made of again: `RERAIL_SEED`.
    pub number: u64,
    pub runbook: File,
    /// Actions `act.a0`, `act.a1` …: each may call those after it.
    pub actions: Vec<File>,
    pub interrupt: Interrupt,
    /// Whether people decide at once, before any time passes.
    pub prompt: bool,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Runbook,
    Action,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    pub steps: Vec<Step>,
    pub on_failure: Vec<Step>,
    pub finally: Vec<Step>,
}

/// What happens to the run, once it has this many events; nothing if it ends before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    None,
    /// A person cancels it.
    Cancel(usize),
    /// Its process is killed and another one takes over.
    Kill(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub id: String,
    pub condition: Option<Condition>,
    pub foreach: Option<Foreach>,
    pub body: Body,
    pub until: Option<Until>,
    /// `fail_if: result.json.n == n`.
    pub fail_if: Option<i64>,
    pub retry: Option<Retry>,
    pub timeout_s: Option<u64>,
    pub within_s: Option<u64>,
    pub continue_on_failure: bool,
    /// Of a group: the step whose number it gives as its own.
    pub gives: Option<String>,
}

/// What an expression can read of a step, beside its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    Nothing,
    /// `steps.ID.outputs.json.n`.
    Number,
    /// `steps.ID.outcomes`.
    Rounds,
}

impl Step {
    pub fn new(id: impl Into<String>, body: Body) -> Step {
        Step {
            id: id.into(),
            condition: None,
            foreach: None,
            body,
            until: None,
            fail_if: None,
            retry: None,
            timeout_s: None,
            within_s: None,
            continue_on_failure: false,
            gives: None,
        }
    }
}

/// `foreach: [1, 2, …]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreach {
    pub items: usize,
    pub max_parallel: usize,
}

/// `retry:` with pauses that don't grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    pub attempts: u32,
    pub delay_s: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `uses` of a primitive that meets the world.
    Call(Call),
    /// Calls one after the other, and what the script does at its end.
    Script(Vec<Stmt>, Last),
    Assert(Condition),
    /// One rule.
    Findings(Condition),
    Steps(Vec<Step>),
    /// Branches side by side.
    Parallel(Vec<Step>),
    /// `uses` of the action of this number.
    Action(usize),
    /// `uses: runbook` of the same text.
    Runbook(usize),
    /// `time.sleep` for this many seconds.
    Sleep(u64),
    /// `human.ask`, which somebody answers or nobody does.
    Ask {
        answered: bool,
    },
    /// `run.note`.
    Note,
    /// `run.fail`, or `run.finish` that says so.
    Fail {
        finishes: bool,
    },
    /// `run.finish`.
    Finish,
}

/// A call to the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub verb: Verb,
    /// A step whose outputs stand in the arguments.
    pub reads: Option<String>,
    /// Whether the item of a `foreach` stands in the arguments.
    pub each: bool,
    /// One answer after the other; the last one stays.
    pub answers: Vec<Answer>,
    /// What a person says of its first, second … doubt; the last one stays.
    pub decisions: Vec<Decision>,
}

/// What a call does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Read,
    /// A write nobody may repeat unasked.
    Once,
    /// A write that leads to the same state when it is sent again.
    Repeatable,
    /// A write the other side knows by its key.
    Keyed,
}

/// What the world does with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, with this number in its outputs.
    Done(i64),
    /// Nothing happened; may the other side think better of it soon?
    Refused { transient: bool },
    /// A wrong answer that stays wrong.
    Failed,
    /// No answer in time.
    Lost,
    /// Writes only.
    InDoubt,
}

impl Verb {
    /// The primitive that does it.
    pub fn uses(self) -> &'static str {
        match self {
            Verb::Read => "http.probe",
            Verb::Once | Verb::Repeatable | Verb::Keyed => "http.request",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    pub call: Call,
    /// Inside `try { … } catch { }`.
    pub caught: bool,
}

/// How a script ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// With outputs.
    Value(i64),
    Throw,
    Finish,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Yes,
    No,
    /// The step's outcome is this word.
    Is(String, &'static str),
    /// The step's outputs hold this number: an error unless it is done.
    Number(String, i64),
    /// An item of the loop has this outcome.
    Rounds(String, &'static str),
}

/// `until: result.json.n == n`; its deadline is the step's `within`.
#[derive(Clone, Debug, PartialEq)]
pub struct Until {
    pub n: i64,
    pub every_s: u64,
    pub in_a_row: u32,
}

impl Step {
    /// What can be read of it.
    pub fn readable(&self) -> Readable {
        match &self.body {
            _ if self.foreach.is_some() => Readable::Rounds,
            Body::Call(_) | Body::Script(..) | Body::Action(_) | Body::Runbook(_) => Readable::Number,
            Body::Steps(_) | Body::Parallel(_) if self.gives.is_some() => Readable::Number,
            _ => Readable::Nothing,
        }
    }
}

impl Body {
    /// The steps inside a group.
    pub fn inner(&self) -> Option<&Vec<Step>> {
        match self {
            Body::Steps(steps) | Body::Parallel(steps) => Some(steps),
            _ => None,
        }
    }

    pub fn inner_mut(&mut self) -> Option<&mut Vec<Step>> {
        match self {
            Body::Steps(steps) | Body::Parallel(steps) => Some(steps),
            _ => None,
        }
    }
}

/// Name of the action of this number.
pub fn action_name(number: usize) -> String {
    format!("act.a{number}")
}

/// Name of the same text as a runbook.
pub fn runbook_name(number: usize) -> String {
    format!("child-a{number}")
}

/// Every step of these and inside them, with its path; those of a `foreach` once for each item.
pub fn each_step<'a>(case: &'a Case, steps: &'a [Step], prefix: &str, visit: &mut dyn FnMut(String, &'a Step)) {
    for step in steps {
        let path = format!("{prefix}{}", step.id);
        let instances: Vec<(String, String)> = match step.foreach {
            None => vec![(path, prefix.to_owned())],
            Some(foreach) => (0..foreach.items).map(|i| (format!("{path}[{i}]"), format!("{path}[{i}]/"))).collect(),
        };
        for (path, inside) in instances {
            if let Some(inner) = step.body.inner() {
                each_step(case, inner, &inside, visit);
            }
            if let Body::Action(number) | Body::Runbook(number) = &step.body {
                each_step_of(case, &case.actions[*number], &format!("{path}/"), visit);
            }
            visit(path, step);
        }
    }
}

/// Every step of a file.
pub fn each_step_of<'a>(case: &'a Case, file: &'a File, prefix: &str, visit: &mut dyn FnMut(String, &'a Step)) {
    each_step(case, &file.steps, prefix, visit);
    each_step(case, &file.on_failure, &format!("{prefix}on_failure/"), visit);
    each_step(case, &file.finally, &format!("{prefix}finally/"), visit);
}

/// Every call of a case by path: the world's table.
pub fn calls(case: &Case) -> Vec<(String, &Call)> {
    let mut found = Vec::new();
    each_step_of(case, &case.runbook, "", &mut |path, step| match &step.body {
        Body::Call(call) => found.push((path, call)),
        Body::Script(stmts, _) => {
            for (at, stmt) in stmts.iter().enumerate() {
                let same = stmts[..at].iter().filter(|other| other.call.verb.uses() == stmt.call.verb.uses()).count();
                found.push((format!("{path}/{}#{}", stmt.call.verb.uses(), same + 1), &stmt.call));
            }
        }
        _ => {}
    });
    found
}

/// Every step of every file, to change it.
pub fn each_step_mut(case: &mut Case, change: &mut dyn FnMut(&mut Step)) {
    for file in case.actions.iter_mut().chain([&mut case.runbook]) {
        for steps in [&mut file.steps, &mut file.on_failure, &mut file.finally] {
            each_mut(steps, change);
        }
    }
}

/// Every one of these steps and inside them, to change it.
pub fn each_mut(steps: &mut [Step], change: &mut dyn FnMut(&mut Step)) {
    for step in steps {
        change(step);
        if let Some(inner) = step.body.inner_mut() {
            each_mut(inner, change);
        }
    }
}

/// Every call of every file, to change it.
pub fn each_call_mut(case: &mut Case, change: &mut dyn FnMut(&mut Call)) {
    each_step_mut(case, &mut |step| match &mut step.body {
        Body::Call(call) => change(call),
        Body::Script(stmts, _) => stmts.iter_mut().for_each(|stmt| change(&mut stmt.call)),
        _ => {}
    });
}

/// Paths of the questions somebody answers.
pub fn answered(case: &Case) -> Vec<String> {
    let mut found = Vec::new();
    each_step_of(case, &case.runbook, "", &mut |path, step| {
        if step.body == (Body::Ask { answered: true }) {
            found.push(path);
        }
    });
    found
}

/// Paths of groups, which have no outcome of their own but what expressions see of them.
pub fn groups(case: &Case) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    each_step_of(case, &case.runbook, "", &mut |path, step| {
        if step.body.inner().is_some() {
            found.insert(path);
        }
    });
    found
}

/// Whether anything happens side by side.
pub fn is_side_by_side(case: &Case) -> bool {
    let mut found = false;
    each_step_of(case, &case.runbook, "", &mut |_, step| {
        found |= matches!(step.body, Body::Parallel(_)) || step.foreach.is_some_and(|foreach| foreach.max_parallel > 1);
    });
    found
}
