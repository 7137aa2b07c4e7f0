//! The fold of approvals: what was asked, who has agreed, and which writes that covers.
//!
//! Every rule about who counts is here, in the question whether an event fits: a journal in which the wrong person
//! approved doesn't fold, whichever surface let it through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::change::{is_meant, is_met, may};
use crate::engine::event::{Actor, ApprovalRequested};
use crate::engine::facts::{Facts, Wait};
use crate::engine::ids::StepPath;
use crate::engine::reopen::is_afterwards;
use crate::engine::walk::leaf::after;
use crate::runbook::approval::Need;

/// All approvals of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Approvals {
    /// The latest at each step that asked.
    at: BTreeMap<StepPath, Approval>,
    /// Those that wait, kept so that nobody looks through all of them.
    open: BTreeSet<StepPath>,
    /// What was agreed to, by the step of the write.
    covers: BTreeMap<StepPath, Vec<Agreed>>,
}

/// What was asked at one step, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    pub request: Arc<ApprovalRequested>,
    pub requested_at: Timestamp,
    /// Who has agreed so far.
    pub given: Vec<Given>,
    pub state: ApprovalState,
    /// How often it was called to mind.
    pub reminded: u32,
}

/// The most often people are reminded: each time is a line of the journal.
pub(super) const REMIND_MIN: Duration = Duration::from_secs(10);

impl Approval {
    /// How often people are reminded.
    pub(super) fn remind(&self) -> Duration {
        Duration::from_millis(self.request.remind_ms).max(REMIND_MIN)
    }

    /// When something is due about it after people were reminded so many `times`: the next reminder, or its end.
    pub fn due_after(&self, times: u32) -> Timestamp {
        let next = after(self.requested_at, self.remind().saturating_mul(times.saturating_add(1)));
        self.request.expires.min(next)
    }
}

/// One person's word.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub actor: Actor,
    pub at: Timestamp,
    pub shown: Option<String>,
    /// The operator agreed with themselves, because nobody else is configured.
    pub single: bool,
}

/// Where an approval stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    Open,
    /// All needs are met.
    Given,
    Rejected {
        actor: Actor,
        reason: String,
    },
    Expired,
    /// What was asked for is not what would be done.
    Void {
        why: String,
    },
}

/// One write that was agreed to.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreed {
    /// The step that asked.
    pub gate: StepPath,
    pub digest: String,
    pub needs: Arc<[Need]>,
}

impl Approvals {
    /// The latest approval that a step asked for.
    pub fn at(&self, step: &StepPath) -> Option<&Approval> {
        self.at.get(step)
    }

    /// The approvals that wait for people.
    pub fn open(&self) -> impl Iterator<Item = &Approval> {
        self.open.iter().filter_map(|step| self.at.get(step))
    }

    /// All of them, by path.
    pub fn all(&self) -> impl Iterator<Item = &Approval> {
        self.at.values()
    }

    /// Whether one waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.open.is_empty()
    }

    /// What was agreed to for the write at a step.
    pub fn agreed(&self, write: &StepPath) -> &[Agreed] {
        self.covers.get(write).map_or(&[], Vec::as_slice)
    }

    /// Takes back what was agreed to at one step.
    fn uncover(&mut self, gate: &StepPath) {
        self.covers.retain(|_, agreed| {
            agreed.retain(|agreed| agreed.gate != *gate);
            !agreed.is_empty()
        });
    }

    fn close(&mut self, step: &StepPath, state: ApprovalState) {
        self.open.remove(step);
        if let Some(approval) = self.at.get_mut(step) {
            approval.state = state;
        }
    }
}

impl Facts {
    /// Why this person's word does not count for what a step asks now; nothing if it does. `single` says that nobody
    /// else is configured.
    pub fn refuses_approval(
        &self,
        step: &StepPath,
        change: &str,
        actor: &Actor,
        at: Timestamp,
        single: bool,
    ) -> Option<String> {
        let approval = match self.waiting_approval(step, change) {
            Ok(approval) => approval,
            Err(why) => return Some(why),
        };
        if actor.is_agent() {
            return Some(no_agent(actor));
        }
        let request = &approval.request;
        if at >= request.expires {
            return Some(format!("it expired at {}", request.expires));
        }
        if single && request.single {
            return None;
        }
        let who = &actor.id;
        let needs = request.needs.iter().map(Need::said).collect::<Vec<_>>().join(", and ");
        if !actor.person {
            return Some(format!("{who} is no person of this project; it needs {needs}"));
        }
        if let Some(before) = approval.given.iter().find(|given| given.actor.id == *who) {
            return Some(format!("{who} has approved it already, at {}", before.at));
        }
        let requester = self.requester();
        if request.needs.iter().any(|need| may(need, actor, &requester)) {
            return None;
        }
        if request.needs.iter().any(|need| is_meant(need, actor)) {
            return Some(format!("{who} started this run, and nobody approves their own"));
        }
        let has = if actor.roles.is_empty() { "no role".to_owned() } else { actor.roles.join(", ") };
        Some(format!("it needs {needs}; {who} has {has}"))
    }

    /// Why this person can't reject what a step asks now; nothing if they can: whoever may approve it, and whoever
    /// started the run.
    pub fn refuses_rejection(&self, step: &StepPath, change: &str, actor: &Actor) -> Option<String> {
        let approval = match self.waiting_approval(step, change) {
            Ok(approval) => approval,
            Err(why) => return Some(why),
        };
        if actor.is_agent() {
            return Some(no_agent(actor));
        }
        let request = &approval.request;
        let meant = request.needs.iter().any(|need| is_meant(need, actor));
        if request.single || meant || actor.id == self.requester().id {
            return None;
        }
        let needs = request.needs.iter().map(Need::said).collect::<Vec<_>>().join(", and ");
        Some(format!("it is for {needs} to say, and {} is none of them", actor.id))
    }

    /// The approval that waits at a step, if it is about this change.
    fn waiting_approval(&self, step: &StepPath, change: &str) -> Result<&Approval, String> {
        let Some(approval) = self.approvals.at(step) else { return Err(format!("`{step}` asks for no approval")) };
        let given = || approval.given.iter().map(|given| given.actor.id.as_str()).collect::<Vec<_>>().join(", ");
        match &approval.state {
            ApprovalState::Given => return Err(format!("it was approved already, by {}", given())),
            ApprovalState::Rejected { actor, reason } => {
                return Err(format!("{} has rejected it: {reason}", actor.id));
            }
            ApprovalState::Expired => return Err(format!("it expired at {}", approval.request.expires)),
            ApprovalState::Open | ApprovalState::Void { .. } => {}
        }
        if self.finished.is_some() {
            return Err("the run has ended".to_owned());
        }
        if self.cancelled.is_some() && !is_afterwards(step) {
            return Err("the run was cancelled".to_owned());
        }
        match &approval.state {
            ApprovalState::Void { why } => Err(format!("it is void: {why}")),
            _ if approval.request.change == change => Ok(approval),
            _ => {
                let (asked, said) = (short(&approval.request.change), short(change));
                Err(format!("it is about another change: {asked}, not {said}"))
            }
        }
    }

    /// Who started the run, and so does not count.
    fn requester(&self) -> Actor {
        self.started.as_ref().map(|started| started.actor.clone()).unwrap_or_default()
    }

    /// Whether a step may ask now.
    pub(super) fn may_request(&self, request: &ApprovalRequested) -> bool {
        self.approvals.at(&request.step).is_none_or(|approval| approval.state != ApprovalState::Open)
    }

    /// Whether the approval of a step is about this change and can still become void.
    pub(super) fn may_void(&self, step: &StepPath, change: &str) -> bool {
        self.approvals.at(step).is_some_and(|approval| {
            approval.request.change == change && matches!(approval.state, ApprovalState::Open | ApprovalState::Given)
        })
    }

    /// Whether this approval waits.
    pub(super) fn is_open_approval(&self, step: &StepPath, change: &str) -> bool {
        self.approvals
            .at(step)
            .is_some_and(|approval| approval.state == ApprovalState::Open && approval.request.change == change)
    }

    pub(super) fn request(&mut self, request: &ApprovalRequested, at: Timestamp) {
        let step = request.step.clone();
        let approval = Approval {
            request: Arc::new(request.clone()),
            requested_at: at,
            given: Vec::new(),
            state: ApprovalState::Open,
            reminded: 0,
        };
        self.approvals.uncover(&step);
        self.approvals.open.insert(step.clone());
        self.approvals.at.insert(step.clone(), approval);
        self.asked.push(Wait { step, from: at, until: None });
    }

    /// Takes in one person's word; with the last one that is needed the changes are covered.
    pub(super) fn give(&mut self, step: &StepPath, given: Given, at: Timestamp) {
        let requester = self.requester();
        let Some(approval) = self.approvals.at.get_mut(step) else { return };
        let single = given.single;
        approval.given.push(given);
        let actors: Vec<&Actor> = approval.given.iter().map(|given| &given.actor).collect();
        if !single && !approval.request.needs.iter().all(|need| is_met(need, &actors, &requester)) {
            return;
        }
        approval.state = ApprovalState::Given;
        let needs: Arc<[Need]> = approval.request.needs.clone().into();
        for change in &approval.request.changes {
            let agreed = Agreed { gate: step.clone(), digest: change.digest.clone(), needs: Arc::clone(&needs) };
            self.approvals.covers.entry(change.step.clone()).or_default().push(agreed);
        }
        self.approvals.open.remove(step);
        self.stop_asking(step, at);
    }

    /// Ends an approval that will not be given, or not any more.
    pub(super) fn withdraw(&mut self, step: &StepPath, state: ApprovalState, at: Timestamp) {
        self.approvals.close(step, state);
        self.approvals.uncover(step);
        self.stop_asking(step, at);
    }

    pub(super) fn remind(&mut self, step: &StepPath, times: u32) {
        if let Some(approval) = self.approvals.at.get_mut(step) {
            approval.reminded = times;
        }
    }

    /// Somebody wants another attempt of a step: it asks again, whatever was agreed to before.
    pub(super) fn forget_approvals(&mut self, path: &StepPath, at: Timestamp) {
        let inside = |step: &StepPath| step == path || step.is_below(path);
        let gone: Vec<StepPath> = self.approvals.at.keys().filter(|step| inside(step)).cloned().collect();
        for step in gone {
            self.approvals.open.remove(&step);
            self.approvals.uncover(&step);
            self.approvals.at.remove(&step);
            self.stop_asking(&step, at);
        }
        self.approvals.covers.retain(|write, _| !inside(write));
    }
}

fn no_agent(actor: &Actor) -> String {
    format!("a program that acts for {} says nothing to a change: people do", actor.id)
}

/// As much of a digest as people compare.
pub fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}
