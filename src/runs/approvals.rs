//! Approvals as people meet them: what waits, who may say yes, and their word on its way to the run.
//!
//! What is checked here is a courtesy to whoever types: the driver asks all of it again when it takes the word up.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::drivers::clock::now;
use crate::engine::approvals::{Approval, ApprovalState, short};
use crate::engine::change::{is_met, may};
use crate::engine::event::{Actor, Body};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::journal::{Filter, Journal as _, RunRow, Signal, SignalId, Status};
use crate::runbook::people::People;
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::identity::{Caller, identify_among, only_people};
use crate::runs::people::{Delivered, named};
use crate::runs::typed::{check_optional, check_text};

/// Runs of one status that are looked through for approvals, newest first: one person can't decide about more.
const RUNS_MAX: u32 = 200;
/// Digits of a digest that are enough to name a change: what a person can compare, and nobody can hit by chance.
const DIGITS_MIN: usize = 12;
/// How long is waited for a living driver to say what became of a word; it looks five times a second.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(3);
/// How often is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An approval that waits for people.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub run: RunRow,
    pub approval: Approval,
    /// Who started the run.
    pub requester: Actor,
    /// Who looks at it.
    pub actor: Actor,
    /// People who may approve it, by name; nobody where there are no people.
    pub who: Vec<String>,
    /// Why the word of who looks at it does not count; nothing if it does.
    pub refused: Option<String>,
    /// Words that no driver has taken up yet.
    pub said: Vec<Word>,
}

/// A word that is on its way.
#[derive(Clone, Debug)]
pub struct Word {
    pub actor: Actor,
    /// Whether it is a yes.
    pub yes: bool,
}

/// What became of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The driver has recorded it. More people are needed if `enough` is false.
    Recorded { enough: bool },
    /// The driver has heard it and it does not count.
    Refused(String),
    /// Nobody has taken it up so far.
    NotYet(Delivered),
}

impl Waiting {
    fn step(&self) -> &StepPath {
        &self.approval.request.step
    }

    /// How much time is left, in milliseconds; none once it has expired.
    pub fn left_ms(&self, at: Timestamp) -> u64 {
        let expires = self.approval.request.expires.as_millisecond();
        u64::try_from(expires.saturating_sub(at.as_millisecond())).unwrap_or(0)
    }
}

impl Runs {
    /// Every approval that waits in this store, the one with the least time first.
    ///
    /// # Errors
    /// If the journal can't be read, or the caller can't prove who they are.
    pub fn approvals(&self, caller: &Caller) -> Result<Vec<Waiting>, RunsError> {
        let mut found = Vec::new();
        for status in [Status::Waiting, Status::InDoubt, Status::Paused] {
            let filter = Filter { status: Some(status), limit: Some(RUNS_MAX), ..Filter::default() };
            for run in self.store()?.runs(&filter)? {
                let Some(facts) = self.sound_facts(&run)? else { continue };
                if facts.approvals.open().next().is_none() {
                    continue;
                }
                // Where a project is gone nobody can tell who may; it is told all the same that somebody waits.
                let people = self.people_of(&run).ok();
                let own = facts.started.as_ref().is_some_and(|started| self.is_own(started));
                let actor = identify_among(people.as_ref().unwrap_or(&People::default()), caller, own);
                let (people, actor) = match actor {
                    // Whoever calls a server is somebody in its project, and may be nobody in another one.
                    Err(error) if error.kind == ErrorKind::NotAllowed && !own && caller.calls_a_server() => {
                        (None, Actor::new("", &caller.via))
                    }
                    actor => (people, actor?),
                };
                let open: Vec<Approval> = facts.approvals.open().cloned().collect();
                for approval in open {
                    found.push(self.waiting(&run, &facts, approval, people.as_ref(), actor.clone())?);
                }
            }
        }
        found.sort_by_key(|waiting| (waiting.approval.request.expires, waiting.run.number));
        Ok(found)
    }

    /// The approval that a run waits for; `step` says which if there are several: its path, or the end of it if no
    /// other ends so.
    ///
    /// # Errors
    /// If there is none, with what became of the last one.
    pub fn approval(&self, run: &RunRow, step: Option<&str>, caller: &Caller) -> Result<Waiting, RunsError> {
        let facts = self.facts(run)?;
        let people = self.people_of(run)?;
        let own = facts.started.as_ref().is_some_and(|started| self.is_own(started));
        let actor = identify_among(&people, caller, own)?;
        let open: Vec<&Approval> = facts.approvals.open().collect();
        let wrong = |said: String| RunsError::new(ErrorKind::Usage, said);
        let asked = match step {
            Some(step) => named(step, facts.approvals.all().map(|approval| &approval.request.step))?,
            None => None,
        };
        let name = format!("{}/{}", run.runbook, run.run);
        let found = match (step, asked, open.as_slice()) {
            (Some(step), None, _) => {
                let listed: Vec<&str> = open.iter().map(|approval| approval.request.step.as_str()).collect();
                let said = wrong(format!("{name} asks for no approval of `{step}`"));
                return Err(if listed.is_empty() {
                    said
                } else {
                    said.hint(format!("it asks at: {}", listed.join(", ")))
                });
            }
            (Some(_), Some(step), _) => facts.approvals.at(step),
            (None, _, [only]) => Some(*only),
            // Nothing waits: what became of the last one says why.
            (None, _, []) => facts.approvals.all().max_by_key(|approval| approval.requested_at),
            (None, _, several) => {
                let ways = several.iter().map(|approval| format!("{}/{}", run.run, approval.request.step));
                let said = wrong(format!("{name} waits for {} approvals", several.len()));
                return Err(said.hint(format!("say which: {}", ways.collect::<Vec<_>>().join(", "))));
            }
        };
        let Some(approval) = found.cloned() else {
            return Err(wrong(format!("{name} asks for no approval")).hint("`rerail approvals` lists what waits"));
        };
        self.waiting(run, &facts, approval, Some(&people), actor)
    }

    fn waiting(
        &self,
        run: &RunRow,
        facts: &Facts,
        approval: Approval,
        people: Option<&People>,
        actor: Actor,
    ) -> Result<Waiting, RunsError> {
        let request = &approval.request;
        let single = people.is_some_and(People::is_single_operator) && request.single;
        let refused = facts.refuses_approval(&request.step, &request.change, &actor, now(), single);
        let requester = facts.started.as_ref().map(|started| started.actor.clone()).unwrap_or_default();
        let may_say = |name: &&str| {
            let person = people.and_then(|people| people.named(name));
            let roles = person.map(|person| person.roles.clone()).unwrap_or_default();
            let actor = Actor::person(*name, "", roles);
            request.needs.iter().any(|need| may(need, &actor, &requester))
        };
        let who = people.map(|people| people.names().filter(may_say).map(str::to_owned).collect()).unwrap_or_default();
        let mut said = Vec::new();
        for signal in self.store()?.pending_signals(run.run)? {
            match signal.body {
                Ok(Body::ApprovalGiven { step, change, actor, .. }) if is(&approval, &step, &change) => {
                    said.push(Word { actor, yes: true });
                }
                Ok(Body::ApprovalRejected { step, change, actor, .. }) if is(&approval, &step, &change) => {
                    said.push(Word { actor, yes: false });
                }
                _ => {}
            }
        }
        Ok(Waiting { run: run.clone(), approval, requester, actor, who, refused, said })
    }

    /// Whether the word of who looks at an approval would count now.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] if it is for others to say, and a request that makes no sense any more: it is decided
    /// already, and by whom; it has expired, is void, or its run was stopped.
    pub fn may_approve(&self, waiting: &Waiting) -> Result<(), RunsError> {
        let Waiting { run, approval, actor, .. } = waiting;
        // First come, first served: who was first stands before everything else.
        self.still_undecided(waiting)?;
        only_people(&self.people_of(run)?, actor, "approve")?;
        let Some(why) = &waiting.refused else { return Ok(()) };
        let said = |kind| RunsError::new(kind, format!("`{}` can't be approved: {why}", waiting.step()));
        let again = approval.given.iter().any(|given| given.actor.id == actor.id);
        let open = approval.state == ApprovalState::Open && waiting.left_ms(now()) > 0 && run.ended_at.is_none();
        if !open || again || self.facts(run)?.cancelled.is_some() {
            return Err(said(ErrorKind::Usage).hint(format!("see how it stands:  rerail show {}", run.run)));
        }
        Err(said(ErrorKind::NotAllowed).hint(match waiting.who.as_slice() {
            [] => "nobody may: no other person of the project has such a role".to_owned(),
            who => format!("those who may: {}", who.join(", ")),
        }))
    }

    /// Refuses a word that comes after one that is enough and that nobody has taken up yet.
    fn still_undecided(&self, waiting: &Waiting) -> Result<(), RunsError> {
        let step = waiting.step();
        let late = |said: String| {
            let hint = format!("nobody drives the run; it acts on this with  rerail resume {}", waiting.run.run);
            Err(RunsError::new(ErrorKind::Usage, said).hint(hint))
        };
        if let Some(no) = waiting.said.iter().find(|word| !word.yes) {
            return late(format!("`{step}` is already rejected by {}, not taken up yet", no.actor.id));
        }
        let yes: Vec<&Actor> = waiting.said.iter().map(|word| &word.actor).collect();
        if let Some(own) = yes.iter().find(|actor| actor.id == waiting.actor.id) {
            return late(format!("`{step}` is already approved by {}, not taken up yet", own.id));
        }
        let given = waiting.approval.given.iter().map(|given| &given.actor);
        let all: Vec<&Actor> = given.chain(yes.iter().copied()).collect();
        let request = &waiting.approval.request;
        let enough = request.needs.iter().all(|need| is_met(need, &all, &waiting.requester));
        if !yes.is_empty() && (enough || request.single) {
            let names = yes.iter().map(|actor| actor.id.as_str()).collect::<Vec<_>>().join(", ");
            return late(format!("`{step}` is already approved by {names}, not taken up yet"));
        }
        Ok(())
    }

    /// Says yes to exactly the change that was shown, and waits a moment for a living driver to take it up.
    ///
    /// # Errors
    /// As [`Runs::may_approve`]; also if the reason holds a secret.
    pub fn approve(&self, waiting: &Waiting, shown: String, reason: Option<&str>) -> Result<Taken, RunsError> {
        self.may_approve(waiting)?;
        check_optional(&self.knowing(&waiting.run), "the reason", reason)?;
        let request = &waiting.approval.request;
        let body = Body::ApprovalGiven {
            step: request.step.clone(),
            change: request.change.clone(),
            actor: waiting.actor.clone(),
            at: Some(now()),
            shown: Some(shown),
            single: request.single && !waiting.actor.person,
        };
        let taken = self.say(waiting, body)?;
        if let (Some(reason), false) = (reason, matches!(taken, Taken::Refused(_))) {
            self.note(&waiting.run, &format!("approved `{}`: {reason}", waiting.step()), &waiting.actor)?;
        }
        Ok(taken)
    }

    /// Says no, with a reason for the record; whoever may approve can, and whoever started the run.
    ///
    /// # Errors
    /// As [`Runs::may_approve`]; also if the reason is blank or holds a secret.
    pub fn reject(&self, waiting: &Waiting, reason: &str) -> Result<Taken, RunsError> {
        let Waiting { run, actor, approval, .. } = waiting;
        let request = &approval.request;
        if reason.trim().is_empty() {
            return Err(RunsError::new(ErrorKind::Usage, "a rejection needs a reason for whoever asked"));
        }
        check_text(&self.knowing(run), "the reason", reason)?;
        self.still_undecided(waiting)?;
        only_people(&self.people_of(run)?, actor, "reject")?;
        if let Some(why) = self.facts(run)?.refuses_rejection(&request.step, &request.change, actor) {
            let open = approval.state == ApprovalState::Open && run.ended_at.is_none();
            let kind = if open { ErrorKind::NotAllowed } else { ErrorKind::Usage };
            let said = RunsError::new(kind, format!("`{}` can't be rejected: {why}", request.step));
            return Err(said.hint(format!("to stop the run as a whole:  rerail cancel {}", run.run)));
        }
        let (step, change) = (request.step.clone(), request.change.clone());
        self.say(waiting, Body::ApprovalRejected { step, change, actor: actor.clone(), reason: reason.to_owned() })
    }

    fn say(&self, waiting: &Waiting, body: Body) -> Result<Taken, RunsError> {
        let (store, run) = (self.store()?, waiting.run.run);
        let id = store.signal(run, &Signal::new(body)?).wait()?;
        if !store.is_driven(run)? {
            return Ok(Taken::NotYet(Delivered::Kept));
        }
        let until = Instant::now() + TAKEN_UP_WITHIN;
        while Instant::now() < until {
            if let Some(taken) = self.taken_up(waiting, id)? {
                return Ok(taken);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(Taken::NotYet(Delivered::ToDriver))
    }

    /// What became of a word, once it isn't waiting any more.
    fn taken_up(&self, waiting: &Waiting, id: SignalId) -> Result<Option<Taken>, RunsError> {
        let store = self.store()?;
        if store.pending_signals(waiting.run.run)?.iter().any(|pending| pending.id == id) {
            return Ok(None);
        }
        let events = store.load(waiting.run.run)?;
        let (step, change) = (waiting.step(), &waiting.approval.request.change);
        for event in events.iter().rev() {
            match &event.body {
                Body::ApprovalGiven { step: at, change: to, actor, .. }
                | Body::ApprovalRejected { step: at, change: to, actor, .. }
                    if at == step && to == change && actor.id == waiting.actor.id =>
                {
                    let facts =
                        Facts::fold(&events).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
                    let enough = facts.approvals.open().all(|approval| approval.request.step != *step);
                    return Ok(Some(Taken::Recorded { enough }));
                }
                Body::Note { text, .. } if is_about(text, step, &waiting.actor) => {
                    return Ok(Some(Taken::Refused(text.clone())));
                }
                Body::ApprovalRequested(request) if request.step == *step => break,
                _ => {}
            }
        }
        Ok(Some(Taken::Refused(format!("the word of {} about `{step}` changed nothing", waiting.actor.id))))
    }
}

/// Whether a driver's note says why this person's word doesn't count.
fn is_about(text: &str, step: &StepPath, actor: &Actor) -> bool {
    ["approval", "rejection"].iter().any(|what| {
        let said = format!("{what} of `{step}` by {} does not count", actor.id);
        text.strip_prefix("the ").unwrap_or(text).starts_with(&said)
    })
}

fn is(approval: &Approval, step: &StepPath, change: &str) -> bool {
    approval.request.step == *step && approval.request.change == change
}

/// Whether `typed` names this digest: the whole of it, or its beginning as it is shown.
///
/// # Errors
/// What it names instead.
pub fn names_change(typed: &str, change: &str) -> Result<(), String> {
    let digits = |text: &str| text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let (typed, change) = (digits(typed.trim()), digits(change));
    if typed.len() < DIGITS_MIN {
        return Err(format!("expected at least {DIGITS_MIN} digits of the digest, got {}", typed.len()));
    }
    match change.starts_with(&typed) {
        true => Ok(()),
        false => Err(format!("what waits now is another change: {}, not {}", short(&change), short(&typed))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named_by_the_digits_a_person_sees_or_all_of_them_and_by_no_fewer() {
        let change = format!("sha256:{}", "0123456789abcdef".repeat(4));
        for good in [change.as_str(), "0123456789ab", "sha256:0123456789AB", " 0123456789abcd\n"] {
            assert_eq!(names_change(good, &change), Ok(()), "{good}");
        }
        assert!(names_change("0123456789a", &change).unwrap_err().contains("at least 12 digits"));
        assert!(names_change("", &change).is_err() && names_change("sha256:", &change).is_err());
        let other = names_change("0123456789ac", &change).unwrap_err();
        assert_eq!(other, "what waits now is another change: 0123456789ab, not 0123456789ac");
        assert!(names_change(&format!("{change}0"), &change).is_err());
    }

    #[test]
    fn a_note_about_somebody_else_or_another_step_is_no_answer() {
        let (step, ben) = (StepPath::new("copy"), Actor::person("ben", "cli", vec![]));
        for (text, is) in [
            ("approval of `copy` by ben does not count: it was approved already, by cleo", true),
            ("the approval of `copy` by ben does not count: `ben` is no person of this project", true),
            ("the rejection of `copy` by ben does not count: late", true),
            ("approval of `copy` by benjamin does not count: x", false),
            ("approval of `copy/x` by ben does not count: x", false),
            ("ben called the provider", false),
        ] {
            assert_eq!(is_about(text, &step, &ben), is, "{text}");
        }
    }
}
