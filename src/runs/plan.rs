//! Saved plans: made by a rehearsal, held against another one when they are applied, and applied once.
//!
//! Nothing starts before everything that a plan says was found to be so again. What comes after that is the engine's:
//! a run that applies a plan makes the writes it names and no others.

use jiff::{SignedDuration, Timestamp};

use crate::drivers::clock::now;
use crate::drivers::watch::Foreground;
use crate::engine::change::Cover;
use crate::engine::digest::sha256_hex;
use crate::engine::event::{AppliedPlan, ENGINE_SEMANTICS, PinnedFile};
use crate::engine::facts::Facts;
use crate::engine::ids::RunId;
use crate::engine::outcome::RunOutcome;
use crate::engine::plan::{Afterwards, Drift, Radius, SavedPlan, Seen, Write, reads};
use crate::journal::{Blob, Error as JournalError, Journal as _, RunRow};
use crate::runbook::locate::undone_by;
use crate::runbook::spec::Effect;
use crate::runs::drive::Rehearsed;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::start::{Given, Prepared, StartRequest};
use crate::runs::{Runs, plan_file};
use crate::steps::places_of;

/// How long a plan is good for at most: secrets, people and the world move on, and nobody remembers what they agreed
/// to.
pub const LASTS_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often one plan is applied at most; each time is looked up.
const APPLIED_MAX: u32 = 100;

/// A plan that was just made.
#[derive(Debug)]
pub struct Made {
    pub rehearsed: Rehearsed,
    /// The plan with the text of its file; nothing if the rehearsal did not come to a good end, so that there is none
    /// to apply.
    pub plan: Option<(SavedPlan, String)>,
}

/// A plan that may be applied here, as far as that can be said without looking at the world.
#[derive(Debug)]
pub struct PreparedApply {
    pub saved: SavedPlan,
    pub prepared: Prepared,
}

impl PreparedApply {
    /// The name of the one run that applies it.
    pub fn run(&self) -> RunId {
        self.prepared.applies.as_ref().map_or(self.saved.run, |applies| applies.run)
    }
}

/// What a run needs to know of the plan it applies.
#[derive(Clone, Debug)]
pub(super) struct Applies {
    pub run: RunId,
    pub cover: Cover,
    pub plan: AppliedPlan,
    pub text: String,
    pub expires: Timestamp,
}

impl Runs {
    /// Rehearses a prepared start and writes down what it found. The store is made if there is none, because its key
    /// signs; nothing else is changed.
    ///
    /// # Errors
    /// If the rehearsal can't begin, or what it found can't be saved.
    pub fn plan(
        &self,
        prepared: &Prepared,
        asked: &str,
        lasts: SignedDuration,
        foreground: Foreground,
    ) -> Result<Made, RunsError> {
        self.plan_as(RunId::new(uuid::Uuid::now_v7()), prepared, asked, lasts, foreground)
    }

    /// The same for the run of this name, which is then the one that applies it.
    ///
    /// # Errors
    /// As [`Runs::plan`].
    pub fn plan_as(
        &self,
        run: RunId,
        prepared: &Prepared,
        asked: &str,
        lasts: SignedDuration,
        foreground: Foreground,
    ) -> Result<Made, RunsError> {
        // First of all, so that the rehearsal has the fingerprints of this key.
        let key = self.key()?;
        let by = foreground.actor.clone();
        let rehearsed = self.rehearse_as(run, prepared, foreground)?;
        let went_well = rehearsed.facts.finished.as_ref().is_some_and(|end| end.outcome == RunOutcome::Success);
        if !went_well {
            return Ok(Made { rehearsed, plan: None });
        }
        let made_at = now();
        let saved = SavedPlan {
            semantics: ENGINE_SEMANTICS,
            rerail: env!("CARGO_PKG_VERSION").to_owned(),
            run,
            made_at,
            expires: made_at.saturating_add(lasts).unwrap_or(Timestamp::MAX),
            by,
            asked: self.asked_from_anywhere(asked)?,
            runbook: prepared.program.runbook.name.clone(),
            title: prepared.program.runbook.title.clone(),
            target: prepared.target.clone(),
            root: self.ground()?.shown()?,
            inputs: prepared.inputs.clone(),
            reason: prepared.reason.clone(),
            incident: prepared.incident.clone(),
            files: self.pinned(prepared).0,
            reads: self.reads_of(&rehearsed.facts)?,
            changes: writes(&rehearsed),
            open: rehearsed.found.open.clone(),
            if_it_fails: only_if_it_fails(prepared),
            complete: rehearsed.found.complete,
            radius: rehearsed.radius(),
        };
        let text = plan_file::write(&saved, &key)?;
        if self.redactor.redact(&text) != text {
            let said = "the plan would hold the value of a secret; nothing was saved";
            return Err(RunsError::new(ErrorKind::Usage, said)
                .hint("seal what is secret of an answer:  `sealed: true` in the `with` of the step that reads it"));
        }
        Ok(Made { rehearsed, plan: Some((saved, text)) })
    }

    /// Reads a plan of this store, whatever has become of what it says. `shown` is its name in messages.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] or [`ErrorKind::Stale`] with what is wrong with the file.
    pub fn read_plan(&self, shown: &str, text: &str) -> Result<SavedPlan, RunsError> {
        plan_file::read(shown, text, &self.key()?)
    }

    /// Says whether a plan may be applied here and now, before anybody looks at the world. No side effect.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the file is not what rerail wrote; [`ErrorKind::Stale`] if it has expired, was
    /// applied, or what it depends on is another one; [`ErrorKind::Busy`] if a run applies it right now.
    pub fn prepare_apply(&self, shown: &str, text: &str, again: bool) -> Result<PreparedApply, RunsError> {
        let saved = self.read_plan(shown, text)?;
        is_in_time(saved.expires, now())?;
        let root = self.ground()?.shown()?;
        if root != saved.root {
            let said = format!("`{shown}` was made in `{}`, and this is `{root}`", saved.root);
            return Err(stale(said).hint("what is read and written by a relative path is another file here"));
        }
        let digest = format!("sha256:{}", sha256_hex(text.as_bytes()));
        let run = self.run_of(&saved, &digest, again)?;
        let request = StartRequest {
            runbook: saved.asked.clone(),
            target: saved.target.clone(),
            reason: saved.reason.clone(),
            incident: saved.incident.clone(),
            ..StartRequest::default()
        };
        let mut prepared = self.prepare_with(&request, Given::Complete(saved.inputs.clone()))?;
        let changed = changed_files(&saved.files, &self.pinned(&prepared).0);
        if !changed.is_empty() {
            let said = format!("what `{shown}` depends on has changed since: {}", changed.join(", "));
            return Err(stale(said));
        }
        let plan = AppliedPlan { digest: digest.clone(), made_at: saved.made_at, by: saved.by.clone() };
        let (cover, expires) = (saved.cover(&digest), saved.expires);
        prepared.applies = Some(Applies { run, cover, plan, text: text.to_owned(), expires });
        Ok(PreparedApply { saved, prepared })
    }

    /// Makes the reads of a plan again, and says what has moved since. No side effect.
    ///
    /// # Errors
    /// If it can't begin.
    pub fn rehearse_apply(
        &self,
        apply: &PreparedApply,
        foreground: Foreground,
    ) -> Result<(Rehearsed, Drift), RunsError> {
        let rehearsed = self.rehearse_as(apply.run(), &apply.prepared, foreground)?;
        let drift = apply.saved.drift(&rehearsed.found, &self.reads_of(&rehearsed.facts)?);
        Ok((rehearsed, drift))
    }

    /// What a run has read, to be held against a plan.
    ///
    /// # Errors
    /// If there is no key for the fingerprints.
    pub fn reads_of(&self, facts: &Facts) -> Result<Vec<Seen>, RunsError> {
        let key = self.key()?;
        Ok(reads(facts, &|plain| key.fingerprint(plain).to_string()))
    }

    /// The plan that a run applied, as it was; nothing if it applied none.
    ///
    /// # Errors
    /// If its text is missing from the journal, or can't be read.
    pub fn plan_of(&self, facts: &Facts) -> Result<Option<SavedPlan>, RunsError> {
        let Some(plan) = facts.started.as_ref().and_then(|started| started.plan.as_ref()) else { return Ok(None) };
        let bytes = self.store()?.blob(&plan.digest)?.ok_or_else(|| {
            RunsError::new(ErrorKind::Damaged, format!("the text of the plan {} is missing", plan.digest))
        })?;
        self.read_plan("the plan of the run", &String::from_utf8_lossy(&bytes)).map(Some)
    }

    /// A path is one wherever the plan is applied from.
    fn asked_from_anywhere(&self, asked: &str) -> Result<String, RunsError> {
        if !self.project().is_path(asked) {
            return Ok(asked.to_owned());
        }
        let whole = std::fs::canonicalize(asked).ok().and_then(|path| path.to_str().map(str::to_owned));
        whole.ok_or_else(|| RunsError::new(ErrorKind::Usage, format!("`{asked}` has no path that can be written down")))
    }

    /// The run that applying a plan now will be: its own one, as long as no run has that name. Deciding by the name
    /// leaves no moment in which two could apply it at once.
    fn run_of(&self, saved: &SavedPlan, digest: &str, again: bool) -> Result<RunId, RunsError> {
        let store = self.store()?;
        for time in 0..APPLIED_MAX {
            let run = nth(saved, digest, time);
            let row = match store.run(run) {
                Ok(row) => row,
                Err(JournalError::NoRun { .. }) => match store.tombstone(&run.uuid())? {
                    None => return Ok(run),
                    Some(_) if again => continue,
                    Some(tombstone) => {
                        let said =
                            format!("the plan is spent: run {}/{run}, which was pruned, applied it", tombstone.runbook);
                        return Err(spent(said));
                    }
                },
                Err(error) => return Err(error.into()),
            };
            let facts = self.facts(&row)?;
            let name = format!("{}/{run}", row.runbook);
            if facts.finished.is_none() {
                let said = format!("{name} is applying this plan: {}", facts.state().word());
                return Err(RunsError::new(ErrorKind::Busy, said)
                    .hint(format!("look at it:  rerail show {run}"))
                    .hint(format!("if nobody drives it:  rerail resume {run}")));
            }
            if facts.has_written() && !again {
                return Err(spent(format!("the plan is spent: {} applied it at {:.0}", name, row.started_at)));
            }
        }
        Err(stale(format!("the plan was applied {APPLIED_MAX} times")).hint("make a new one"))
    }

    /// Checked once more when a run that applies a plan begins: people take their time to answer.
    pub(super) fn may_apply(&self, applies: &Applies) -> Result<(), RunsError> {
        is_in_time(applies.expires, now())?;
        match self.store()?.run(applies.run) {
            Err(JournalError::NoRun { .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(RunRow { runbook, run, .. }) => {
                Err(RunsError::new(ErrorKind::Busy, format!("{runbook}/{run} has applied this plan meanwhile")))
            }
        }
    }
}

impl Applies {
    /// The text of the plan as the run keeps it.
    pub(super) fn blob(&self) -> Blob {
        Blob::new("text", self.text.clone().into_bytes())
    }
}

fn stale(said: String) -> RunsError {
    RunsError::new(ErrorKind::Stale, said).hint("nothing was started; plan again:  rerail plan RUNBOOK … --out FILE")
}

fn spent(said: String) -> RunsError {
    RunsError::new(ErrorKind::Stale, said)
        .hint("nothing was started; plan again, or make the same changes another time with --again")
}

fn is_in_time(expires: Timestamp, at: Timestamp) -> Result<(), RunsError> {
    if at < expires {
        return Ok(());
    }
    Err(stale(format!("the plan expired at {expires:.0}, and it is {at:.0}")))
}

/// Names of the runs that apply a plan, the first one being what it was made for.
fn nth(saved: &SavedPlan, digest: &str, time: u32) -> RunId {
    if time == 0 {
        return saved.run;
    }
    let hash = sha256_hex(format!("{digest} {time}").as_bytes());
    let mut random = [0; 10];
    for (at, byte) in random.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).unwrap_or_default();
    }
    let ms = u64::try_from(saved.made_at.as_millisecond()).unwrap_or_default();
    RunId::new(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
}

/// Files that are not as they were, as people know them.
fn changed_files(then: &[PinnedFile], now: &[PinnedFile]) -> Vec<String> {
    let find = |files: &[PinnedFile], file: &PinnedFile| {
        files.iter().find(|other| other.kind == file.kind && other.name == file.name).cloned()
    };
    let mut changed = Vec::new();
    for old in then {
        match find(now, old) {
            Some(new) if new.digest == old.digest => {}
            Some(new) if new.shown != old.shown => changed.push(format!("{} instead of {}", new.shown, old.shown)),
            Some(_) => changed.push(old.shown.clone()),
            None => changed.push(format!("{} (not used any more)", old.shown)),
        }
    }
    let new = now.iter().filter(|file| find(then, file).is_none());
    changed.extend(new.map(|file| format!("{} (new)", file.shown)));
    changed
}

fn writes(rehearsed: &Rehearsed) -> Vec<Write> {
    let found = rehearsed.found.found.iter().map(|found| Write {
        undo: !undone_by(&rehearsed.program, found.change.step.as_str()).is_empty(),
        change: found.change.clone(),
        needs: found.needs.clone(),
    });
    found.collect()
}

/// What stands in `on_failure`: a rehearsal that goes well doesn't come there.
fn only_if_it_fails(prepared: &Prepared) -> Vec<Afterwards> {
    let inside = prepared.changes.iter().filter(|change| change.step.starts_with("on_failure/"));
    let after = |change: &crate::runs::start::Change| Afterwards {
        step: change.step.clone(),
        uses: change.action.clone(),
        effect: change.effect,
    };
    inside.map(after).collect()
}

impl Rehearsed {
    /// How far what it found reaches.
    pub fn radius(&self) -> Radius {
        let mut radius = Radius::default();
        let mut known = std::collections::BTreeSet::new();
        for write in writes(self) {
            match write.change.effect {
                Effect::Notify => radius.messages += 1,
                _ => {
                    radius.writes += 1;
                    radius.for_good += usize::from(!write.undo);
                }
            }
            for place in places_of(&write.change.uses, &write.change.with) {
                if known.insert(place.clone()) {
                    radius.places.push(place);
                }
            }
        }
        radius
    }
}
