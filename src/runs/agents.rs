//! What a program may do that acts for a person, whichever way it came in.
//!
//! It looks, as far as its person may. What may do more than look it starts only up to what the target allows programs,
//! only from a plan that it was shown a short while ago, and a person agrees to every write. All of it is asked here and
//! in the engine: what a surface announces about its tools protects nobody.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::drivers::clock::now;
use crate::drivers::pinned::unpin;
use crate::drivers::watch::Foreground;
use crate::engine::digest::sha256_hex;
use crate::engine::event::Actor;
use crate::engine::plan::{Moved, SavedPlan};
use crate::journal::{Journal as _, RunRow};
use crate::runbook::settings::Target;
use crate::runbook::spec::Effect;
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::look::start_of;
use crate::runs::plan::Made;
use crate::runs::start::{Prepared, StartRequest};
use crate::script::value::Map;

/// How long a program may start what it has planned: the person it talks to still knows what they were shown.
pub const AGENT_PLAN_LASTS: SignedDuration = SignedDuration::from_mins(10);

/// Plans that are kept for programs: those of the last ten minutes, of a few that plan at once.
const PLANS_MAX: usize = 64;
/// Bytes of their texts; one that is larger than all of these is not kept.
const PLANS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Inputs named in a message: enough to see the mistake.
const NAMED_MAX: usize = 5;

/// Where plans stand for the other processes of a store, and for the next one.
const SHELF: &str = "agents.plans";
/// Bytes of a plan that stands there. A larger one, which few programs make, is good in the process that made it.
const SHELVED_BYTES_MAX: usize = 256 * 1024;

/// Plans that programs were shown, for as long as they may be started, of this process.
#[derive(Debug, Default)]
pub struct AgentPlans(Mutex<VecDeque<Arc<KeptPlan>>>);

#[derive(Debug)]
struct KeptPlan {
    hash: String,
    saved: SavedPlan,
    text: String,
}

/// A plan made for a program.
#[derive(Debug)]
pub struct Planned {
    pub made: Made,
    /// What it is started by, and until when; or why it can't be, or need not be.
    pub hash: Result<(String, Timestamp), RunsError>,
}

/// What a program asked to be started.
#[derive(Debug)]
pub enum ByAgent {
    /// It may begin.
    Begins(Box<Prepared>),
    /// This run has begun by the same plan.
    Began(Box<RunRow>),
}

impl AgentPlans {
    fn keep(&self, kept: KeptPlan) {
        let mut plans = self.lock();
        plans.push_back(Arc::new(kept));
        let bytes = |plans: &VecDeque<Arc<KeptPlan>>| plans.iter().map(|kept| kept.text.len()).sum::<usize>();
        while plans.len() > PLANS_MAX || bytes(&plans) > PLANS_BYTES_MAX {
            plans.pop_front();
        }
    }

    fn find(&self, hash: &str) -> Option<Arc<KeptPlan>> {
        self.lock().iter().find(|kept| kept.hash == hash).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<KeptPlan>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptPlan {
    /// That it was made for the same person and program, and is good at this time.
    fn is_good(&self, actor: &Actor, at: Timestamp) -> Result<(), RunsError> {
        let stale = |said: String| Err(RunsError::new(ErrorKind::Stale, said).hint(PLAN_AGAIN));
        let by = &self.saved.by;
        if (&by.id, &by.via, &by.agent) != (&actor.id, &actor.via, &actor.agent) {
            return stale(format!("the plan `{}` was made for somebody else", shown(&self.hash)));
        }
        if self.saved.expires <= at {
            let lasts = AGENT_PLAN_LASTS.as_mins();
            return stale(format!("the plan expired at {:.0}: it lasts {lasts} minutes", self.saved.expires));
        }
        Ok(())
    }
}

/// What a plan of this text is started by.
fn hash_of(text: &str) -> String {
    format!("sha256:{}", sha256_hex(text.as_bytes()))
}

/// The way out of every refused hash.
const PLAN_AGAIN: &str =
    "nothing was started; call plan_run again with the same runbook, inputs and target, and give its plan_hash";

/// As much of a hash as names it: what comes from outside is no longer than that in a message.
fn shown(hash: &str) -> String {
    hash.chars().take(19).collect()
}

impl Runs {
    /// Rehearses for a program and keeps the plan, so that it can be started by its hash.
    ///
    /// # Errors
    /// As [`Runs::plan`].
    pub fn plan_for_agent(&self, plans: &AgentPlans, prepared: &Prepared, actor: &Actor) -> Result<Planned, RunsError> {
        let foreground = Foreground::unheard(actor.clone());
        let made = self.plan(prepared, &prepared.program.runbook.name, AGENT_PLAN_LASTS, foreground)?;
        let hash = self.may_start(prepared, actor).and_then(|()| match &made.plan {
            _ if only_looks(prepared) => {
                Err(RunsError::new(ErrorKind::Usage, "it only looks: it starts without a plan")
                    .hint("call start_run with the same runbook, inputs and target"))
            }
            None => Err(RunsError::new(ErrorKind::Stale, "the rehearsal did not come to a good end")
                .hint("a run from here would stop where the rehearsal stopped: see what it says")),
            Some((saved, text)) => {
                let kept = KeptPlan { hash: hash_of(text), saved: saved.clone(), text: text.clone() };
                let (hash, expires) = (kept.hash.clone(), saved.expires);
                if let Err(error) = self.shelve(&kept) {
                    // It is good here, as long as this process lives.
                    tracing::debug!(%error, "a plan of a program is not kept for other processes");
                }
                plans.keep(kept);
                Ok((hash, expires))
            }
        });
        Ok(Planned { made, hash })
    }

    /// Checks whole what a program asks to be started: also that its plan is still true. Looks at the world, changes
    /// nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] if a person has to start it; [`ErrorKind::Usage`] without a plan, or with the plan of
    /// something else; [`ErrorKind::Stale`] if the plan is not known, too old, or not true any more.
    pub fn prepare_for_agent(
        &self,
        plans: &AgentPlans,
        request: &StartRequest,
        hash: Option<&str>,
        actor: &Actor,
    ) -> Result<ByAgent, RunsError> {
        let prepared = self.prepare(request)?;
        self.may_start(&prepared, actor)?;
        if only_looks(&prepared) {
            return Ok(ByAgent::Begins(Box::new(prepared)));
        }
        let Some(hash) = hash else { return Err(needs_plan(&prepared)) };
        let kept = match plans.find(hash) {
            Some(kept) => kept,
            None => Arc::new(self.kept_elsewhere(hash)?),
        };
        kept.is_good(actor, now())?;
        is_for(&kept.saved, &prepared)?;
        if let Some(row) = self.existing(kept.saved.run)? {
            return Ok(ByAgent::Began(Box::new(row)));
        }
        let plan_again = |error: RunsError| match error.kind {
            ErrorKind::Stale => RunsError { hints: vec![PLAN_AGAIN.to_owned()], ..error },
            _ => error,
        };
        let mut apply = self.prepare_apply("the plan", &kept.text, false).map_err(plan_again)?;
        let (_, drift) = self.rehearse_apply(&apply, Foreground::unheard(actor.clone()))?;
        if !drift.writes.is_empty() {
            let moved: Vec<String> = drift.writes.iter().take(NAMED_MAX).map(moved).collect();
            let said = format!("what it would write has become something else since: {}", moved.join("; "));
            return Err(plan_again(RunsError::new(ErrorKind::Stale, said)));
        }
        apply.prepared.reason = prepared.reason;
        apply.prepared.incident = prepared.incident;
        let run = kept.saved.run;
        Ok(ByAgent::Begins(Box::new(apply.prepared.called(run))))
    }

    /// Keeps a plan for the other processes of the store: as many as one process keeps, the newest ones. It is signed, and
    /// holds secrets by name alone, as what people save does.
    fn shelve(&self, kept: &KeptPlan) -> Result<(), RunsError> {
        if kept.text.len() > SHELVED_BYTES_MAX || self.redactor.redact(&kept.text) != kept.text {
            return Ok(());
        }
        self.shelf(SHELF).keep_last(PLANS_MAX - 1)?;
        self.shelf(SHELF).put(&kept.hash, &kept.text, Some(kept.saved.expires))
    }

    /// A plan that another process has made with this store, unchanged.
    fn kept_elsewhere(&self, hash: &str) -> Result<KeptPlan, RunsError> {
        let found = self.shelf(SHELF).get(hash)?.filter(|text| hash_of(text) == hash);
        let Some(text) = found else {
            let said = format!("there is no plan with the hash `{}`", shown(hash));
            return Err(RunsError::new(ErrorKind::Stale, said).hint(PLAN_AGAIN));
        };
        let saved = self.read_plan("the plan", &text)?;
        Ok(KeptPlan { hash: hash.to_owned(), saved, text })
    }

    /// Whether somebody may say what a run does next: a program only where it might have started it.
    pub(super) fn agents_may_steer(&self, run: &RunRow, actor: &Actor) -> Result<(), RunsError> {
        if !actor.is_agent() {
            return Ok(());
        }
        let store = self.store()?;
        let events = store.load(run.run)?;
        let started = start_of(&events)?;
        let (program, target) = unpin(store, started, &self.ground_of(started)?.settings.exec)?;
        within_reach_of_agents(&program.effects, &target, actor)
    }
}

/// Whether a run of these effects on a target is nothing that a person has to start.
///
/// # Errors
/// [`ErrorKind::NotAllowed`] with the way out.
pub(super) fn within_reach_of_agents(effects: &[Effect], target: &Target, actor: &Actor) -> Result<(), RunsError> {
    let worst = Effect::worst(effects);
    if !actor.is_agent() || worst <= target.policy.agents_max {
        return Ok(());
    }
    let most = target.policy.agents_max.word();
    let said = format!("a run that a program starts may {most} at most, and this one may {}", worst.word());
    let hint = "a person starts it, or the target says more under `policy: agents`";
    Err(RunsError::new(ErrorKind::NotAllowed, said).hint(hint))
}

/// Whatever way a program found to start a run that does more than look: it applies a plan, or it does not begin.
pub(super) fn agents_apply_plans(prepared: &Prepared, actor: &Actor) -> Result<(), RunsError> {
    match actor.is_agent() && !only_looks(prepared) && prepared.applies.is_none() {
        true => Err(needs_plan(prepared)),
        false => Ok(()),
    }
}

fn only_looks(prepared: &Prepared) -> bool {
    prepared.effects.iter().all(|effect| *effect <= Effect::Read)
}

fn needs_plan(prepared: &Prepared) -> RunsError {
    let said = format!("`{}` may do more than look: a program starts it from a plan", prepared.program.runbook.name);
    RunsError::new(ErrorKind::Usage, said)
        .hint("call plan_run with the same runbook, inputs and target, read the plan, then give its plan_hash")
}

/// Whether a plan is about this start and no other.
fn is_for(saved: &SavedPlan, prepared: &Prepared) -> Result<(), RunsError> {
    let other = |what: String| {
        Err(RunsError::new(ErrorKind::Usage, format!("the plan is for {what}"))
            .hint("a plan_hash starts what was planned: call plan_run for this, or start_run with what was planned"))
    };
    if saved.runbook != prepared.program.runbook.name {
        return other(format!("the runbook `{}`", saved.runbook));
    }
    if saved.target != prepared.target {
        return other(match &saved.target {
            Some(target) => format!("the target `{target}`"),
            None => "no target".to_owned(),
        });
    }
    let names = differing(&saved.inputs, &prepared.inputs);
    match names.is_empty() {
        true => Ok(()),
        false => other(format!("other inputs: `{}` differ", names.join("`, `"))),
    }
}

/// Names of inputs that differ; what they are is not repeated.
fn differing(then: &Map, now: &Map) -> Vec<String> {
    let mut names: Vec<&String> =
        then.keys().chain(now.keys()).filter(|name| then.get(*name) != now.get(*name)).collect();
    names.sort();
    names.dedup();
    names.into_iter().take(NAMED_MAX).cloned().collect()
}

fn moved(moved: &Moved) -> String {
    format!("`{}`: {}", moved.step, moved.how.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    fn agent() -> Actor {
        Actor::new("ana", "cli").by_agent("robot 1")
    }

    /// A project where programs may write in `dev`, and nowhere else.
    fn place() -> (tempfile::TempDir, Runs) {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let head = "version: 1\ntitle: A test\nowner: tests\nreviewed: 2026-11-01\n";
        write("rerail.yaml", "version: 1\nallow: { file_write: [out] }\n");
        write("out/there", "");
        let body = "inputs: { text: { type: string } }\nsteps:\n  - { id: put, uses: file.write, with: { path: out/a, text: \"${{ inputs.text }}\" } }\n";
        write("runbooks/put.yaml", &format!("{head}{body}"));
        write("runbooks/other.yaml", &format!("{head}{body}"));
        write("runbooks/look.yaml", &format!("{head}steps:\n  - {{ id: now, uses: time.now }}\n"));
        write("targets/dev.yaml", "version: 1\npolicy: { agents: { max_effect: write } }\n");
        write("targets/test.yaml", "version: 1\npolicy: { agents: { max_effect: write } }\n");
        write("targets/live.yaml", "version: 1\n");
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        (dir, runs)
    }

    fn asked(runbook: &str, text: &str, target: Option<&str>) -> StartRequest {
        let inputs = if runbook == "look" { Vec::new() } else { vec![("text".to_owned(), text.to_owned())] };
        StartRequest { runbook: runbook.into(), inputs, target: target.map(str::to_owned), ..StartRequest::default() }
    }

    fn plan(runs: &Runs, plans: &AgentPlans, request: &StartRequest) -> Result<(String, Timestamp), RunsError> {
        let prepared = runs.prepare(request).unwrap();
        runs.plan_for_agent(plans, &prepared, &agent()).unwrap().hash
    }

    fn refused(result: Result<ByAgent, RunsError>) -> (ErrorKind, String) {
        let error = result.unwrap_err();
        assert!(!error.hints.is_empty(), "{error}");
        (error.kind, error.message)
    }

    #[test]
    fn a_program_starts_what_only_looks_and_anything_else_from_its_own_plan() {
        let (_dir, runs) = place();
        let plans = AgentPlans::default();
        let prepare = |request: &StartRequest, hash: Option<&str>, actor: &Actor| {
            runs.prepare_for_agent(&plans, request, hash, actor)
        };
        assert!(matches!(prepare(&asked("look", "", None), None, &agent()), Ok(ByAgent::Begins(_))));
        assert_eq!(
            plan(&runs, &plans, &asked("look", "", None)).unwrap_err().message,
            "it only looks: it starts without a plan"
        );
        let put = asked("put", "a", Some("dev"));
        let (hash, expires) = plan(&runs, &plans, &put).unwrap();
        assert!(matches!(prepare(&put, Some(&hash), &agent()), Ok(ByAgent::Begins(_))));
        let other = Actor::new("ben", "cli").by_agent("robot 1");
        let another = Actor::new("ana", "cli").by_agent("robot 2");
        for (request, hash, actor, kind, says) in [
            (put.clone(), None, agent(), ErrorKind::Usage, "starts it from a plan"),
            (put.clone(), Some("sha256:00"), agent(), ErrorKind::Stale, "no plan with the hash"),
            (put.clone(), Some(hash.as_str()), other, ErrorKind::Stale, "made for somebody else"),
            (put.clone(), Some(&hash), another, ErrorKind::Stale, "made for somebody else"),
            (asked("put", "b", Some("dev")), Some(&hash), agent(), ErrorKind::Usage, "other inputs: `text` differ"),
            (asked("other", "a", Some("dev")), Some(&hash), agent(), ErrorKind::Usage, "for the runbook `put`"),
            (asked("put", "a", Some("test")), Some(&hash), agent(), ErrorKind::Usage, "for the target `dev`"),
            (asked("put", "a", Some("live")), Some(&hash), agent(), ErrorKind::NotAllowed, "may read at most"),
            (asked("put", "a", None), Some(&hash), agent(), ErrorKind::NotAllowed, "may read at most"),
        ] {
            let (was, said) = refused(prepare(&request, hash, &actor));
            assert!(was == kind && said.contains(says), "{was:?} {said}");
        }
        let late = expires + SignedDuration::from_millis(1);
        let kept = plans.find(&hash).unwrap();
        assert!(kept.is_good(&agent(), expires - SignedDuration::from_millis(1)).is_ok());
        assert!(kept.is_good(&agent(), late).unwrap_err().message.contains("it lasts 10 minutes"));
    }

    #[test]
    fn whatever_way_a_program_finds_it_begins_nothing_without_a_plan() {
        let (_dir, runs) = place();
        let prepared = runs.prepare(&asked("put", "a", Some("dev"))).unwrap();
        let error = runs.start(prepared, Foreground::unheard(agent())).unwrap_err();
        assert!(error.kind == ErrorKind::Usage && error.message.contains("starts it from a plan"), "{error}");
        let prepared = runs.prepare(&asked("put", "a", Some("live"))).unwrap();
        let error = runs.start(prepared, Foreground::unheard(agent())).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotAllowed);
        assert!(runs.list(&crate::runs::RunFilter::default()).unwrap().is_empty());
    }

    #[test]
    fn a_plan_that_is_not_true_any_more_starts_nothing() {
        let (dir, runs) = place();
        let plans = AgentPlans::default();
        let put = asked("put", "a", Some("dev"));
        let (hash, _) = plan(&runs, &plans, &put).unwrap();
        let path = dir.path().join("runbooks/put.yaml");
        let text = std::fs::read_to_string(&path).unwrap().replace("out/a", "out/b");
        std::fs::write(path, text).unwrap();
        let (kind, said) = refused(runs.prepare_for_agent(&plans, &put, Some(&hash), &agent()));
        assert!(kind == ErrorKind::Stale && said.contains("has changed since"), "{said}");
    }

    #[test]
    fn a_plan_is_good_in_another_process_for_whom_it_was_made_and_as_it_was_made() {
        let (_dir, runs) = place();
        let put = asked("put", "a", Some("dev"));
        let (hash, expires) = plan(&runs, &AgentPlans::default(), &put).unwrap();
        let elsewhere =
            |hash: &str, actor: &Actor| runs.prepare_for_agent(&AgentPlans::default(), &put, Some(hash), actor);
        assert!(matches!(elsewhere(&hash, &agent()), Ok(ByAgent::Begins(_))));
        let other = Actor::new("ben", "cli").by_agent("robot 1");
        assert!(refused(elsewhere(&hash, &other)).1.contains("made for somebody else"));
        // Whoever can write to the store can't make a plan of their own there.
        let text = runs.shelf(SHELF).get(&hash).unwrap().unwrap();
        let edited = text.replace("robot 1", "robot 2");
        let another = Actor::new("ana", "cli").by_agent("robot 2");
        runs.shelf(SHELF).put(&hash, &edited, Some(expires)).unwrap();
        assert!(refused(elsewhere(&hash, &another)).1.contains("no plan with the hash"));
        runs.shelf(SHELF).put(&hash_of(&edited), &edited, Some(expires)).unwrap();
        assert_eq!(elsewhere(&hash_of(&edited), &another).unwrap_err().kind, ErrorKind::Invalid);
        runs.shelf(SHELF).put(&hash, &text, Some(now())).unwrap();
        assert!(refused(elsewhere(&hash, &agent())).1.contains("no plan with the hash"), "its time is up");
    }

    #[test]
    fn the_shelf_of_plans_is_bounded_and_what_is_large_does_not_stand_there() {
        let (_dir, runs) = place();
        let plans = AgentPlans::default();
        let (hash, expires) = plan(&runs, &plans, &asked("put", "a", Some("dev"))).unwrap();
        let kept = plans.find(&hash).unwrap();
        let count = || runs.shelf(SHELF).all().unwrap().len();
        let shelve = |number: i64, bytes: usize| {
            let mut saved = kept.saved.clone();
            saved.expires = expires + SignedDuration::from_secs(number);
            runs.shelve(&KeptPlan { hash: number.to_string(), saved, text: "x".repeat(bytes) }).unwrap();
        };
        shelve(1, SHELVED_BYTES_MAX + 1);
        assert_eq!(count(), 1);
        (2..PLANS_MAX as i64 + 2).for_each(|number| shelve(number, 10));
        assert_eq!(count(), PLANS_MAX);
        assert!(runs.shelf(SHELF).get(&hash).unwrap().is_none(), "the oldest one goes");
        assert!(runs.shelf(SHELF).get("2").unwrap().is_some());
    }

    #[test]
    fn as_many_plans_are_kept_as_there_is_room_for_the_newest_ones() {
        let (_dir, runs) = place();
        let plans = AgentPlans::default();
        let (first, _) = plan(&runs, &plans, &asked("put", "a", Some("dev"))).unwrap();
        let kept = plans.find(&first).unwrap();
        for number in 0..PLANS_MAX {
            let text = "x".repeat(if number == 0 { PLANS_BYTES_MAX - 10_000 } else { 1 });
            plans.keep(KeptPlan { hash: number.to_string(), saved: kept.saved.clone(), text });
        }
        let is_kept = |hash: &str| plans.lock().iter().any(|kept| kept.hash == hash);
        assert!(!is_kept(&first) && is_kept("0") && is_kept("63"));
        plans.keep(KeptPlan { hash: "large".into(), saved: kept.saved.clone(), text: "x".repeat(PLANS_BYTES_MAX + 1) });
        assert!(plans.lock().is_empty(), "what is larger than all of these is not kept, nor anything beside it");
    }
}
