//! The gate before a write: whether people have agreed to exactly this, and what is asked if not.
//!
//! An approval on a write is asked for when its arguments are known. One on a composite is asked for before it
//! begins, with what a look ahead finds inside; then every write inside is compared with what was agreed to. What
//! wasn't shown asks for itself, and what differs makes the agreement void. What a target asks for is asked at the
//! outermost call that writes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::approvals::{Approval, ApprovalState, REMIND_MIN};
use crate::engine::change::{self, CHANGES_MAX, Change, Subject};
use crate::engine::event::{Actor, ApprovalRequested, Body as Fact};
use crate::engine::ids::StepPath;
use crate::engine::look_ahead::{Found, Previewed};
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::scope::Scope;
use crate::engine::walk::leaf::after;
use crate::engine::walk::prepare::duration_ms;
use crate::runbook::approval::{self, Need, OnExpiry};
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::{Map, Value};

/// An approval that stands around what is being walked.
pub(crate) struct Guard {
    pub path: StepPath,
    pub terms: Arc<Terms>,
    /// The target asks for it.
    pub policy: bool,
}

/// What is asked of people, and for how long.
pub(crate) struct Terms {
    need: Need,
    message: String,
    expires: Duration,
    remind: Duration,
    on_expiry: OnExpiry,
}

impl Terms {
    /// Evaluates what stands at a step.
    ///
    /// # Errors
    /// If its message can't be shown, or a time is no duration.
    pub(crate) fn of(env: &Env, scope: &Scope, approval: &approval::Approval) -> Result<Terms, Failure> {
        let evaluator = env.evaluator(scope, None);
        let message = approval.message.as_ref().map(|message| evaluator.shown(message)).transpose()?;
        let time = |given: &Option<_>, key: &str, default: Duration| -> Result<Duration, Failure> {
            let ms = given.as_ref().map(|template| duration_ms(&evaluator, template, key)).transpose()?.flatten();
            Ok(ms.map_or(default, Duration::from_millis))
        };
        Ok(Terms {
            need: approval.need.clone(),
            message: message.map(|message| message.to_string()).unwrap_or_default(),
            expires: time(&approval.expires, "expires", approval::Approval::EXPIRES_DEFAULT)?,
            remind: time(&approval.remind, "remind", approval::Approval::REMIND_DEFAULT)?.max(REMIND_MIN),
            on_expiry: approval.on_expiry,
        })
    }

    /// What a plan asks for where it could not know a change: whoever applies it, or anybody else, looks at it now.
    fn of_open_plan() -> Terms {
        let message = "the plan could not know this change before".to_owned();
        Terms { message, ..Terms::of_policy(&Need { by: Vec::new(), all: false, count: 1, self_ok: true }) }
    }

    /// What a target asks for.
    fn of_policy(need: &Need) -> Terms {
        Terms {
            need: need.clone(),
            message: String::new(),
            expires: approval::Approval::EXPIRES_DEFAULT,
            remind: approval::Approval::REMIND_DEFAULT,
            on_expiry: OnExpiry::Fail,
        }
    }
}

/// What the gate says.
pub(crate) enum Gate {
    /// Go on.
    Open,
    /// Not yet: people are asked, or somebody looks ahead.
    Wait,
    /// It will not be done.
    Ends(Attempt),
}

/// A write that is about to start.
pub(crate) struct Write<'a> {
    pub path: &'a StepPath,
    pub uses: &'a str,
    pub effect: Effect,
    pub repeat: Repeat,
    pub with: &'a Map,
}

/// What the target asks for before a step of this effect, if it is the outermost call that writes.
pub(crate) fn floor(env: &Env, path: &StepPath, effect: Effect) -> Option<Guard> {
    if env.guards.iter().any(|guard| guard.policy) {
        return None;
    }
    let need = env.facts.started.as_ref()?.floors.as_ref()?.of(effect)?;
    Some(Guard { path: path.clone(), terms: Arc::new(Terms::of_policy(need)), policy: true })
}

/// Does `work` behind a guard, if there is one.
pub(crate) fn behind<T>(env: &mut Env, guard: Option<Guard>, work: impl FnOnce(&mut Env) -> T) -> T {
    let guarded = guard.is_some();
    env.guards.extend(guard);
    let done = work(env);
    if guarded {
        env.guards.pop();
    }
    done
}

/// Whether a write may start: covered by the plan this run applies, and agreed to by all who are asked.
pub(crate) fn of_write(env: &mut Env, scope: &Scope, write: &Write<'_>) -> Gate {
    let change = change_of(env, scope, write);
    if env.is_rehearsal() {
        let found = Found { needs: needs(env), policy: env.guards.iter().any(|guard| guard.policy), change };
        env.find(found);
        return Gate::Open;
    }
    match planned(env, &change) {
        Covered::Yes => asked(env, write.path, change),
        Covered::No(why) => Gate::Ends(rejected(FailureKind::Stale, why)),
        Covered::Asks => {
            let guard = Guard { path: write.path.clone(), terms: Arc::new(Terms::of_open_plan()), policy: false };
            behind(env, Some(guard), |env| asked(env, write.path, change))
        }
    }
}

/// Whether all who are asked have agreed to a write.
fn asked(env: &mut Env, path: &StepPath, change: Change) -> Gate {
    let missing = missing(env, &change, &needs(env));
    if missing.is_empty() {
        return Gate::Open;
    }
    // What is asked around it, or was, comes first.
    let around: Vec<StepPath> = env.guards.iter().map(|guard| guard.path.clone()).collect();
    for gate in around.iter().filter(|gate| *gate != path) {
        let Some(approval) = env.facts.approvals.at(gate) else { continue };
        let Some(then) = approval.request.changes.iter().find(|then| then.step == change.step) else { continue };
        let same = then.digest == change.digest;
        match &approval.state {
            ApprovalState::Open if same => return wait(env, gate),
            ApprovalState::Rejected { .. } | ApprovalState::Expired => return Gate::Ends(ended(approval)),
            ApprovalState::Open | ApprovalState::Given if !same && !has_begun(env, approval) => {
                let why = differs(then, &change);
                void(env, gate, why);
            }
            _ => {}
        }
    }
    let void_around = around.iter().find(|gate| {
        let state = env.facts.approvals.at(gate).map(|approval| &approval.state);
        *gate != path && matches!(state, Some(ApprovalState::Void { .. }))
    });
    if let Some(gate) = void_around {
        let gate = gate.clone();
        let Some(seen) = env.preview(&gate) else { return Gate::Wait };
        if seen.found.iter().any(|found| found.change.step == change.step && found.change.digest == change.digest) {
            return ask(env, &gate, seen);
        }
    }
    at_write(env, path, change)
}

/// Asks at the write itself.
fn at_write(env: &mut Env, path: &StepPath, change: Change) -> Gate {
    if let Some(approval) = env.facts.approvals.at(path) {
        let then = approval.request.changes.iter().find(|then| then.step == change.step);
        let same = then.is_some_and(|then| then.digest == change.digest);
        match &approval.state {
            ApprovalState::Open if same => return wait(env, path),
            ApprovalState::Open | ApprovalState::Given if !same => {
                let why = then.map_or_else(|| "it was about something else".to_owned(), |then| differs(then, &change));
                void(env, path, why);
            }
            ApprovalState::Rejected { .. } | ApprovalState::Expired => return Gate::Ends(ended(approval)),
            _ => {}
        }
    }
    let Some(mut seen) = env.preview(path) else { return Gate::Wait };
    // The look ahead is for the words; the change itself is what stands here.
    let summary = seen.found.drain(..).find(|found| found.change.digest == change.digest);
    let (summary, detail) = summary.map(|found| (found.change.summary, found.change.detail)).unwrap_or_default();
    let found = Found {
        needs: needs(env),
        policy: env.guards.iter().any(|guard| guard.policy),
        change: Change { summary, detail, maybe: false, ..change },
    };
    ask(env, path, Previewed { found: vec![found], complete: true, open: Vec::new() })
}

/// Whether a composite may begin: what is inside is shown and agreed to first.
pub(crate) fn of_composite(env: &mut Env, path: &StepPath) -> Gate {
    if env.is_rehearsal() {
        return Gate::Open;
    }
    match env.facts.approvals.at(path) {
        Some(approval) => match &approval.state {
            ApprovalState::Given => return Gate::Open,
            ApprovalState::Open => return wait(env, path),
            ApprovalState::Rejected { .. } | ApprovalState::Expired => return Gate::Ends(ended(approval)),
            ApprovalState::Void { .. } => {}
        },
        None if env.stopping() => return Gate::Open,
        None => {}
    }
    match env.preview(path) {
        None => Gate::Wait,
        Some(seen) => ask(env, path, seen),
    }
}

/// The needs of everything around, each once.
pub(crate) fn needs(env: &Env) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for guard in &env.guards {
        if !needs.contains(&guard.terms.need) {
            needs.push(guard.terms.need.clone());
        }
    }
    needs
}

/// What a rehearsal says of the approvals around a write: `oncall (15m)`.
pub(crate) fn announced(env: &Env) -> Option<String> {
    let said: Vec<String> = needs(env).iter().map(Need::said).collect();
    let shortest = env.guards.iter().map(|guard| guard.terms.expires).min()?;
    Some(format!("{} ({})", said.join(", and "), crate::engine::walk::limits::shown(shortest)))
}

/// What nobody has agreed to yet for this change.
fn missing(env: &Env, change: &Change, needs: &[Need]) -> Vec<Need> {
    let agreed = env.facts.approvals.agreed(&change.step);
    let met = |need: &Need| agreed.iter().any(|one| one.digest == change.digest && one.needs.contains(need));
    needs.iter().filter(|need| !met(need)).cloned().collect()
}

/// The change a write is.
fn change_of(env: &Env, scope: &Scope, write: &Write<'_>) -> Change {
    let plan = scope.runbook.plan.as_ref();
    let evaluator = env.evaluator(scope, None);
    let mut vague = false;
    let mut part = |template: Option<&crate::runbook::snippet::Template>| {
        let value = template.and_then(|template| evaluator.shown(template).ok()).unwrap_or_default();
        let unknown = value.unknown().is_some();
        vague |= unknown;
        if unknown { Value::Null } else { value }
    };
    let before = part(plan.and_then(|plan| plan.before.as_ref()));
    let after = part(plan.and_then(|plan| plan.after.as_ref()));
    let reversible = part(plan.and_then(|plan| plan.reversible.as_ref()));
    let subject = Subject { texts: &env.texts, uses: write.uses, with: write.with, before: &before, after: &after };
    let digest = change::digest_of(&subject);
    Change {
        step: write.path.clone(),
        uses: write.uses.to_owned(),
        effect: write.effect,
        repeat: write.repeat,
        digest,
        with: write.with.clone(),
        summary: String::new(),
        detail: Vec::new(),
        before,
        after,
        reversible,
        vague,
        maybe: env.maybe > 0,
    }
}

/// What the plan that is applied says of a write.
enum Covered {
    /// It has it, or is not about such writes.
    Yes,
    /// It names the place, and could not know the change.
    Asks,
    /// It doesn't have it, and why that stops the run.
    No(String),
}

/// Whether the plan this run applies has this write.
fn planned(env: &Env, change: &Change) -> Covered {
    let Some(cover) = env.facts.started.as_ref().and_then(|started| started.cover.as_ref()) else {
        return Covered::Yes;
    };
    // What only tells people is not what a plan is about; what takes it back is planned by itself.
    if change.effect < Effect::Write || change.step.is_undo() {
        return Covered::Yes;
    }
    // What was found out of date before its first write must not become a change of its own.
    if env.amiss && env.facts.is_stale() && !env.facts.has_written() {
        return Covered::No(
            "the plan was out of date before anything was changed: there is nothing to put right".to_owned(),
        );
    }
    let then = cover.at(&change.step);
    // How a failure is cleaned up after depends on the failure, which nobody could plan: the plan names the places,
    // and pins the text.
    if env.amiss || then.is_some_and(|then| is_the_planned(env, then, change)) {
        return Covered::Yes;
    }
    if cover.leaves_open(&change.step) {
        return Covered::Asks;
    }
    Covered::No(match then {
        Some(then) => format!("this write is not the one of the plan: {}", differs(then, change)),
        None => format!("the plan has no write at `{}`: {}", change.step, change.uses),
    })
}

/// Whether a write is the planned one. What an action announces of it may have been unknown then, as far as it is told
/// by reads behind an earlier write: what is sent is the same all the same.
fn is_the_planned(env: &Env, then: &Change, now: &Change) -> bool {
    if then.digest == now.digest || !then.vague {
        return then.digest == now.digest;
    }
    let as_then = |then: &Value, now: &Value| if then.is_null() { Value::Null } else { now.clone() };
    let (before, after) = (as_then(&then.before, &now.before), as_then(&then.after, &now.after));
    let subject = Subject { texts: &env.texts, uses: &now.uses, with: &now.with, before: &before, after: &after };
    change::digest_of(&subject) == then.digest
}

fn differs(then: &Change, now: &Change) -> String {
    let parts = change::difference(then, now);
    if parts.is_empty() { "the text of an action on the way is another one".to_owned() } else { parts.join(", ") }
}

/// Whether anything that was agreed to there was started since.
fn has_begun(env: &Env, approval: &Approval) -> bool {
    approval.request.changes.iter().any(|change| {
        let started = env.facts.step(&change.step).and_then(|record| record.started.as_ref());
        started.is_some_and(|started| started.intent.key.is_some() && started.at >= approval.requested_at)
    })
}

fn void(env: &mut Env, gate: &StepPath, why: String) {
    let Some(approval) = env.facts.approvals.at(gate) else { return };
    let change = approval.request.change.clone();
    env.emit(Fact::ApprovalVoid { step: gate.clone(), change, why });
}

/// Asks people about what was seen; open if there is nothing they have not agreed to.
fn ask(env: &mut Env, gate: &StepPath, seen: Previewed) -> Gate {
    let mut complete = seen.complete;
    let mut needs: Vec<Need> = Vec::new();
    let mut changes = Vec::new();
    let mut policy = false;
    for found in seen.found {
        let missing = missing(env, &found.change, &found.needs);
        if missing.is_empty() {
            continue;
        }
        if changes.len() == CHANGES_MAX {
            complete = false;
            break;
        }
        policy |= found.policy;
        needs.extend(missing.into_iter().filter(|need| !needs.contains(need)).collect::<Vec<_>>());
        changes.push(found.change);
    }
    if changes.is_empty() {
        return Gate::Open;
    }
    let own = |guard: &&Guard| !guard.policy && guard.path == *gate;
    let terms = env.guards.iter().find(own).or_else(|| env.guards.iter().rev().find(|guard| !guard.policy));
    let terms = terms.or(env.guards.last()).map(|guard| Arc::clone(&guard.terms));
    let Some(terms) = terms else { return Gate::Open };
    let request = ApprovalRequested {
        step: gate.clone(),
        needs,
        message: terms.message.clone(),
        change: change::digest_of_all(&changes),
        changes,
        complete,
        expires: after(env.now, terms.expires),
        remind_ms: u64::try_from(terms.remind.as_millis()).unwrap_or(u64::MAX),
        on_expiry: terms.on_expiry,
        single: env.single_operator,
        policy,
    };
    env.emit(Fact::ApprovalRequested(Box::new(request)));
    wait(env, gate)
}

/// Waits for people, reminds them, and ends the wait when it is over.
fn wait(env: &mut Env, gate: &StepPath) -> Gate {
    let Some(approval) = env.facts.approvals.at(gate) else { return Gate::Wait };
    let (request, asked) = (Arc::clone(&approval.request), approval.requested_at);
    if env.stopping() {
        void(env, gate, "what it is for is being stopped".to_owned());
        return Gate::Ends(cancelled());
    }
    if env.now >= request.expires {
        env.emit(Fact::ApprovalExpired { step: gate.clone(), change: request.change.clone() });
        return match request.on_expiry {
            OnExpiry::Fail => env.facts.approvals.at(gate).map_or(Gate::Wait, |approval| Gate::Ends(ended(approval))),
            OnExpiry::Cancel => {
                let reason = Some(format!("the approval of `{gate}` expired"));
                env.emit(Fact::RunCancelled { actor: Actor::new("rerail", "engine"), reason });
                Gate::Ends(cancelled())
            }
        };
    }
    let times = times_gone(asked, env.now, approval.remind());
    let due = approval.due_after(times);
    if times > approval.reminded {
        env.emit(Fact::ApprovalReminded { step: gate.clone(), change: request.change.clone(), times });
    }
    env.decided.waits.approval(gate, due);
    env.until_limit(env.deadline);
    Gate::Wait
}

fn times_gone(since: Timestamp, now: Timestamp, every: Duration) -> u32 {
    let gone = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    u32::try_from(gone.as_millis() / every.as_millis().max(1)).unwrap_or(u32::MAX)
}

/// The end of a step that people, or the clock, have said no to.
fn ended(approval: &Approval) -> Attempt {
    let request = &approval.request;
    let needs = request.needs.iter().map(Need::said).collect::<Vec<_>>().join(", and ");
    match &approval.state {
        ApprovalState::Rejected { actor, reason } => {
            rejected(FailureKind::Rejected, format!("{} rejected it: {reason}", actor.id))
        }
        _ => rejected(FailureKind::Expired, format!("{needs} did not approve it before {}", request.expires)),
    }
}

fn rejected(kind: FailureKind, message: String) -> Attempt {
    Attempt { outcome: Outcome::Rejected, outputs: Value::Null, failure: Some(Failure::new(kind, message)) }
}

fn cancelled() -> Attempt {
    Attempt { outcome: Outcome::Cancelled, outputs: Value::Null, failure: None }
}
