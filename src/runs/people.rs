//! What people tell a run: cancel, answer, note, and decisions about steps.

use crate::drivers::clock::now;
use crate::drivers::local::status;
use crate::drivers::roster::{may_answer, one_of};
use crate::engine::event::{Actor, Body, Decision, EVENT_VERSION, Event};
use crate::engine::facts::{Asked, Facts, Record};
use crate::engine::ids::StepPath;
use crate::engine::outcome::Outcome;
use crate::engine::reopen::is_done_in_the_world;
use crate::journal::{Append, Busy, Journal as _, RunRow, Signal, Status};
use crate::redact::Redactor;
use crate::runbook::fields;
use crate::runbook::nearest::{listed, nearest};
use crate::runbook::program::FileKind;
use crate::runbook::settings::{Settings, read_target};
use crate::runbook::source::Source;
use crate::runs::Runs;
use crate::runs::drive::holder;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::identity::only_people;
use crate::runs::typed::{check_optional, check_text};
use crate::script::value::{Map, Value};
use crate::steps::world::{World, WorldSettings};

/// Paths named in a message: enough to choose from on a screen.
const NAMED_MAX: usize = 10;

/// A person's decision about a step: `resume --retry STEP` and its sisters.
#[derive(Clone, Debug)]
pub struct DecideRequest {
    /// A path, or its end if no other path ends so.
    pub step: StepPath,
    pub decision: Decision,
    pub outputs: Map,
    pub reason: String,
}

/// Who will act on what a person said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// A living driver, within a moment; or it is recorded already.
    ToDriver,
    /// Nobody drives the run: it acts on it when it is resumed.
    Kept,
}

impl Runs {
    /// Asks a run to stop at the next safe point.
    ///
    /// # Errors
    /// If it has ended, or the reason holds a secret.
    pub fn cancel(&self, run: &RunRow, actor: &Actor, reason: Option<String>) -> Result<Delivered, RunsError> {
        still_open(run)?;
        only_people(&self.people_of(run)?, actor, "cancel its runs")?;
        check_optional(&self.knowing(run), "the reason", reason.as_deref())?;
        self.send(run, Body::RunCancelled { actor: actor.clone(), reason })
    }

    /// Asks a run to start nothing new and to stand once what is running has ended. A run that nobody drives is
    /// paused right here.
    ///
    /// # Errors
    /// If it has ended or is paused already, or the reason holds a secret.
    pub fn pause(&self, run: &RunRow, actor: &Actor, reason: Option<String>) -> Result<Delivered, RunsError> {
        still_open(run)?;
        only_people(&self.people_of(run)?, actor, "pause its runs")?;
        check_optional(&self.knowing(run), "the reason", reason.as_deref())?;
        let store = self.store()?;
        let body = Body::RunPaused { reason: reason.unwrap_or_default(), actor: Some(actor.clone()) };
        if store.is_driven(run.run)? {
            return self.send(run, body);
        }
        match store.acquire(run.run, holder(actor)) {
            Ok(drive) => {
                let facts = self.facts(run)?;
                if let Some(why) = &facts.paused {
                    let said = format!("{}/{} is paused already: {why}", run.runbook, run.run);
                    return Err(RunsError::new(ErrorKind::Usage, said));
                }
                let event = Event { v: EVENT_VERSION, seq: facts.next_seq, ts: now(), body };
                // What is in doubt or asks stays what people have to see first.
                let mut after = facts;
                after.apply(&event).map_err(|error| RunsError::new(ErrorKind::Usage, error.to_string()))?;
                let status = Some(status(&after));
                store.append(Append { status, ..Append::events(run.run, drive.fence(), vec![event]) }).wait()?;
                Ok(Delivered::Kept)
            }
            // Somebody has taken it up since.
            Err(Busy::Held { .. }) => self.send(run, body),
            Err(Busy::Store(error)) => Err(error.into()),
        }
    }

    /// Answers an open question with what was typed as `KEY=VALUE`. A question with fields takes their names as
    /// keys; any other takes one value, under `answer` or its step. `step` says which question is meant: its path, or
    /// the end of it if no other question ends so. It may be left out if only one is open, or if the key is the step.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] if it is for others. If no such question is open, it is answered already or has expired, the answer is blank, isn't one of its
    /// choices, doesn't fit its fields or holds a secret.
    pub fn answer(
        &self,
        run: &RunRow,
        step: Option<&str>,
        typed: &[(String, String)],
        actor: &Actor,
    ) -> Result<(StepPath, Delivered), RunsError> {
        still_open(run)?;
        self.agents_may_steer(run, actor)?;
        let facts = self.facts(run)?;
        let open: Vec<Open<'_>> =
            facts.questions().filter_map(|(path, record)| Some((path, record.asked.as_ref()?))).collect();
        let (path, asked) = meant(run, &open, step, typed)?;
        self.may_answer(run, path, asked, actor)?;
        // The first answer wins when the run takes it up; a second one would be confirmed and then lost.
        for signal in self.store()?.pending_signals(run.run)? {
            let Ok(Body::AskAnswered { step, actor, .. }) = signal.body else { continue };
            if step == *path {
                let said = format!("`{path}` is already answered by {}, not taken up yet", actor.id);
                return Err(RunsError::new(ErrorKind::Usage, said));
            }
        }
        let at = now();
        if let Some(expired) = asked.expires.filter(|expires| *expires <= at) {
            let said = format!("`{path}` expired at {expired:.0}; an answer comes too late");
            return Err(RunsError::new(ErrorKind::Usage, said));
        }
        let answer = read_answer(path, asked, typed)?;
        let redactor = self.knowing(run);
        for (_, text) in typed {
            check_text(&redactor, "the answer", text)?;
        }
        let body = Body::AskAnswered { step: path.clone(), answer, actor: actor.clone(), at: Some(at) };
        Ok((path.clone(), self.send(run, body)?))
    }

    /// The open questions of a run that somebody may answer now, with what they ask; none if none is for them.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn answerable<'f>(
        &self,
        run: &RunRow,
        facts: &'f Facts,
        actor: &Actor,
    ) -> Result<Vec<(&'f StepPath, &'f Asked)>, RunsError> {
        let allowed = |asked: Result<(), RunsError>| match asked {
            Err(error) if error.kind == ErrorKind::NotAllowed => Ok(false),
            asked => asked.map(|()| true),
        };
        if facts.questions().next().is_none() || !allowed(self.agents_may_steer(run, actor))? {
            return Ok(Vec::new());
        }
        let (given, at) = (self.answered(run)?, now());
        let mut open = Vec::new();
        for (path, record) in facts.questions() {
            let Some(asked) = &record.asked else { continue };
            let late = asked.expires.is_some_and(|expires| expires <= at);
            if !late && !given.contains(path) && allowed(self.may_answer(run, path, asked, actor))? {
                open.push((path, asked));
            }
        }
        Ok(open)
    }

    /// A courtesy: the driver asks again when it takes the answer up.
    fn may_answer(&self, run: &RunRow, path: &StepPath, asked: &Asked, actor: &Actor) -> Result<(), RunsError> {
        let people = self.people_of(run)?;
        only_people(&people, actor, "answer")?;
        if people.is_single_operator() || may_answer(actor, &asked.by) {
            return Ok(());
        }
        let said = format!("`{path}` asks {}, and {} is none of them", one_of(&asked.by), actor.id);
        Err(RunsError::new(ErrorKind::NotAllowed, said).hint(match people.who(&asked.by).as_slice() {
            [] => "nobody has such a role: see `people` in rerail.yaml".to_owned(),
            who => format!("that is: {}", who.join(", ")),
        }))
    }

    /// Adds a note to a run's timeline, also after its end.
    ///
    /// # Errors
    /// If it is blank or holds a secret, or if the journal can't take it.
    pub fn note(&self, run: &RunRow, text: &str, actor: &Actor) -> Result<Delivered, RunsError> {
        if text.trim().is_empty() {
            return Err(RunsError::new(ErrorKind::Usage, "the note is empty"));
        }
        check_text(&self.knowing(run), "the note", text)?;
        let note = Body::Note { text: text.to_owned(), actor: Some(actor.clone()), step: None };
        let store = self.store()?;
        if store.is_driven(run.run)? {
            return self.send(run, note);
        }
        // Nobody drives it: the note becomes an event right here.
        match store.acquire(run.run, holder(actor)) {
            Ok(drive) => {
                let seq = store.run(run.run)?.last_seq + 1;
                let event = Event { v: EVENT_VERSION, seq, ts: now(), body: note };
                store.append(Append::events(run.run, drive.fence(), vec![event])).wait()?;
                Ok(Delivered::ToDriver)
            }
            // Somebody has taken it up since.
            Err(Busy::Held { .. }) => self.send(run, note),
            Err(Busy::Store(error)) => Err(error.into()),
        }
    }

    pub(super) fn send(&self, run: &RunRow, body: Body) -> Result<Delivered, RunsError> {
        let store = self.store()?;
        store.signal(run.run, &Signal::new(body)?).wait()?;
        Ok(match store.is_driven(run.run)? {
            true => Delivered::ToDriver,
            false => Delivered::Kept,
        })
    }

    /// A redactor that knows what the secrets of a run's target are now. As far as can be known: one whose
    /// source is gone, or a run that can't be read, must not keep a person from stopping it.
    pub(super) fn knowing(&self, run: &RunRow) -> Redactor {
        let redactor = self.redactor.clone();
        self.learn_secrets(run, &redactor);
        redactor
    }

    fn learn_secrets(&self, run: &RunRow, redactor: &Redactor) -> Option<()> {
        let store = self.store().ok()?;
        let events = store.load(run.run).ok()?;
        let Some(Body::RunStarted(started)) = events.first().map(|event| &event.body) else { return None };
        let file = started.files.iter().find(|file| file.kind == FileKind::Target)?;
        let text = String::from_utf8(store.blob(&file.digest).ok()??).ok()?;
        let (target, _) = read_target(&Source::new(file.shown.as_str(), text));
        let root = match &started.root {
            Some(root) => root.into(),
            None => self.ground().ok()?.root,
        };
        let world = World::new(WorldSettings::of(&root, &Settings::default(), Some(&target), redactor));
        for name in target.secrets.keys() {
            // One that can't be read now has no value that could be typed by mistake.
            drop(world.learn_secret(name));
        }
        Some(())
    }
}

/// A question and the step that asks it.
type Open<'a> = (&'a StepPath, &'a Asked);

/// The open question that an answer is for.
fn meant<'a>(
    run: &RunRow,
    open: &[Open<'a>],
    step: Option<&str>,
    typed: &[(String, String)],
) -> Result<Open<'a>, RunsError> {
    let key = match (step, open, typed) {
        (Some(step), ..) => step,
        (None, [only], _) if !only.1.fields.is_empty() || typed.len() != 1 => return Ok(*only),
        (None, [only], [(key, _)]) if key == "answer" => return Ok(*only),
        (None, _, [(key, _), ..]) => key,
        (None, ..) => "answer",
    };
    let path = named(key, open.iter().map(|(path, _)| *path))?;
    if let Some(found) = open.iter().find(|(other, _)| path == Some(*other)) {
        return Ok(*found);
    }
    let said = RunsError::new(ErrorKind::Usage, format!("{}/{} has no open question `{key}`", run.runbook, run.run));
    if open.is_empty() {
        return Err(said);
    }
    let said =
        said.hint(format!("it asks: {}", open.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ")));
    Err(match open.iter().any(|(_, asked)| !asked.fields.is_empty()) {
        true => said.hint("`--step STEP` says which of them the fields belong to"),
        false => said,
    })
}

/// What was typed as the answer that a question wants.
fn read_answer(path: &StepPath, asked: &Asked, typed: &[(String, String)]) -> Result<Value, RunsError> {
    let wrong = |said: String| RunsError::new(ErrorKind::Usage, said);
    if !asked.fields.is_empty() {
        let fields = fields::read(&Value::Map(asked.fields.clone())).map_err(wrong)?;
        return fields::answer(&fields, typed).map(Value::Map).map_err(|why| wrong(format!("`{path}`: {why}")));
    }
    let [(key, text)] = typed else {
        return Err(wrong(format!("`{path}` takes one answer, got {}", typed.len())).hint("write it as answer=TEXT"));
    };
    if key != "answer" && named(key, std::iter::once(path))?.is_none() {
        return Err(wrong(format!("`{path}` has no field `{key}`")).hint("write it as answer=TEXT"));
    }
    if text.trim().is_empty() {
        return Err(wrong("the answer is empty".to_owned()));
    }
    if !asked.choices.is_empty() && !asked.choices.contains(text) {
        let said = wrong(format!("`{text}` is not one of the choices of `{path}`"));
        return Err(said.hint(format!("choices: {}", asked.choices.join(", "))));
    }
    Ok(Value::from(text.as_str()))
}

pub(super) fn still_open(run: &RunRow) -> Result<(), RunsError> {
    if run.status == Status::Stuck {
        let said = format!("{}/{} is stuck: nothing of it goes on by itself", run.runbook, run.run);
        return Err(RunsError::new(ErrorKind::Usage, said).hint(format!("what is left:  rerail show {}", run.run)));
    }
    if run.ended_at.is_none() {
        return Ok(());
    }
    let said = format!("{}/{} has ended: {}", run.runbook, run.run, run.status.word());
    Err(RunsError::new(ErrorKind::Usage, said))
}

/// The path that `text` is, or ends, if no other ends so.
pub(super) fn named<'a>(
    text: &str,
    paths: impl Iterator<Item = &'a StepPath>,
) -> Result<Option<&'a StepPath>, RunsError> {
    let mut ending = Vec::new();
    for path in paths {
        if path.as_str() == text {
            return Ok(Some(path));
        }
        if path.as_str().strip_suffix(text).is_some_and(|before| before.ends_with('/')) {
            ending.push(path);
        }
    }
    match ending.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => {
            let shown = several.iter().take(NAMED_MAX).map(|path| path.as_str());
            let more = if several.len() > NAMED_MAX { " and others" } else { "" };
            let said = format!("`{text}` is the end of {} paths", several.len());
            Err(RunsError::new(ErrorKind::Usage, said).hint(format!("it could be {}{more}", listed(shown))))
        }
    }
}

/// Gives decisions their whole paths and checks them against what is known, so that a mistake is said before
/// the run is touched.
pub(super) fn settle(facts: &Facts, requests: Vec<DecideRequest>) -> Result<Vec<DecideRequest>, RunsError> {
    let mut settled: Vec<DecideRequest> = Vec::new();
    for request in requests {
        let Some(step) = named(request.step.as_str(), facts.steps.keys())? else {
            let said = RunsError::new(ErrorKind::Usage, format!("step `{}` is not in this run", request.step));
            return Err(match nearest_step(request.step.as_str(), facts) {
                Some(near) => said.hint(format!("did you mean `{near}`?")),
                None => said.hint("`rerail show RUN` lists its steps"),
            });
        };
        let request = DecideRequest { step: step.clone(), ..request };
        check(facts, &request, &settled)?;
        settled.push(request);
    }
    Ok(settled)
}

/// The step most like a name that none has, by its whole path or by its last part.
fn nearest_step<'a>(name: &str, facts: &'a Facts) -> Option<&'a str> {
    let paths = || facts.steps.keys().map(StepPath::as_str);
    nearest(name, paths()).or_else(|| {
        let last = |path: &'a str| path.rsplit('/').next().unwrap_or(path);
        let near = nearest(name, paths().map(last))?;
        paths().find(|path| last(path) == near)
    })
}

fn changes_the_world(record: Option<&Record>) -> bool {
    record.and_then(|record| record.started.as_ref()).is_some_and(|started| started.intent.effect.changes_the_world())
}

fn check(facts: &Facts, request: &DecideRequest, before: &[DecideRequest]) -> Result<(), RunsError> {
    let step = &request.step;
    let wrong = |why: &str| RunsError::new(ErrorKind::Usage, format!("step `{step}` {why}"));
    let record = facts.step(step);
    let Some(finished) = record.and_then(|record| record.finished.as_ref()) else {
        return Err(wrong("has not ended, so there is nothing to decide about it"));
    };
    if record.is_some_and(|record| record.resend.is_some()) {
        return Err(wrong("is decided about already: it is tried again when the run goes on"));
    }
    let is_decided = |path: &StepPath| before.iter().any(|other| other.step == *path);
    if is_decided(step) {
        return Err(wrong("is decided about twice"));
    }
    if let Err((why, way)) = facts.may_be_decided(step, request.decision) {
        return Err(wrong(why).hint(way));
    }
    match (finished.outcome, request.decision) {
        (Outcome::InDoubt, _) => {}
        (Outcome::Done, Decision::Retry) => return Err(wrong("is done; what is done is never repeated")),
        (Outcome::Done, _) => return Err(wrong("is done already")),
        (_, Decision::Retry) if is_done_in_the_world(finished) && changes_the_world(record) => {
            let said = wrong("is done, only its `outputs` failed; what is done is never repeated");
            return Err(said.hint(format!("go on with  --set-outcome {step}=done --set-output NAME=VALUE")));
        }
        (Outcome::Failed | Outcome::Refused | Outcome::Rejected | Outcome::Cancelled, Decision::NotDone) => {
            return Err(wrong(&format!("is {}, not in doubt; use --retry", finished.outcome.word())));
        }
        (Outcome::Failed | Outcome::Refused | Outcome::Rejected | Outcome::Cancelled, _) => {}
        (outcome, _) => return Err(wrong(&format!("is {}", outcome.word()))),
    }
    let inside = facts.below(step).find(|(path, record)| record.in_doubt() && !is_decided(path));
    if let (Some((inner, _)), Decision::Retry) = (inside, request.decision) {
        return Err(wrong(&format!("has `{inner}` in doubt inside; decide about that first")));
    }
    if request.decision != Decision::Done && !request.outputs.is_empty() {
        return Err(wrong("gets outputs only when it is set to done"));
    }
    if request.reason.trim().is_empty() {
        return Err(wrong("needs a reason for the record").hint("add  --reason TEXT"));
    }
    Ok(())
}
