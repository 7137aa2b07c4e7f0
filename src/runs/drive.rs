//! Starting, rehearsing and resuming: builds what a driver needs and runs it on its own thread.

use std::path::PathBuf;
use std::sync::Arc;

use crate::drivers::clock::now;
use crate::drivers::gate::gated;
use crate::drivers::local::Local;
use crate::drivers::pinned::{pin, pin_file, unpin};
use crate::drivers::rehearsal::rehearse;
use crate::drivers::vault::Vault;
use crate::drivers::watch::{Foreground, Why};
use crate::engine::event::{Actor, Event, PinnedFile};
use crate::engine::facts::{Facts, RunState};
use crate::engine::ids::RunId;
use crate::engine::look_ahead::Previewed;
use crate::engine::machine::{Machine, Signal, Start};
use crate::engine::sealed::sealed_in;
use crate::journal::{Blob, Drive, Holder, Journal, RunRow, StoreKey};
use crate::redact::Redactor;
use crate::runbook::program::{FileKind, Program};
use crate::runbook::settings::Target;
use crate::runbook::spec::Effect;
use crate::runs::Runs;
use crate::runs::agents::{agents_apply_plans, within_reach_of_agents};
use crate::runs::entry::{Entry, Wanted};
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::ground::Ground;
use crate::runs::identity::only_people;
use crate::runs::look::start_of;
use crate::runs::people::{DecideRequest, settle};
use crate::runs::plan::Applies;
use crate::runs::start::{Prepared, secrets_of};
use crate::runs::traced::traced;
use crate::runs::typed::{check_optional, check_text, check_value};
use crate::script::limits::STACK_BYTES;
use crate::script::sandbox::Sandbox;
use crate::script::value::{Map, Value};
use crate::steps::world::{SealedValues, World, WorldSettings};

/// Where a run stands when its driver returns.
#[derive(Debug)]
pub struct Left {
    pub run: RunId,
    pub facts: Facts,
    pub why: Why,
    /// Of a run that has ended: its signed checkpoint, or why there is none.
    pub signed: Option<Result<String, String>>,
}

impl Left {
    /// Of a run that was left like this; what was signed is asked for only where there is an end to sign: a run that is
    /// stuck has none yet.
    pub fn of(run: RunId, facts: Facts, why: Why, signed: impl FnOnce() -> Option<Result<String, String>>) -> Left {
        let ended = why == Why::Ended && matches!(facts.state(), RunState::Ended(_));
        let signed = if ended { signed() } else { None };
        Left { run, facts, why, signed }
    }
}

/// What came of a start.
#[derive(Debug)]
pub enum Begun {
    /// It was driven until here.
    Left(Box<Left>),
    /// Nothing was started: this run does the same already, and its runbook says to follow it.
    Attach(Box<RunRow>),
}

impl Begun {
    /// What was driven; nothing if there is a run to follow instead.
    pub fn left(self) -> Option<Left> {
        match self {
            Begun::Left(left) => Some(*left),
            Begun::Attach(_) => None,
        }
    }
}

/// How a run goes on.
pub(super) struct Going {
    pub decisions: Vec<DecideRequest>,
    pub reason: Option<String>,
    /// Who it is taken over from.
    pub from: Option<Actor>,
    /// For whom it goes on, if nobody asked for it: they must still be allowed to.
    pub behalf: Option<Actor>,
}

/// A finished rehearsal.
#[derive(Debug)]
pub struct Rehearsed {
    pub events: Vec<Event>,
    pub facts: Facts,
    /// What it would write.
    pub found: Previewed,
    pub program: Arc<Program>,
}

impl Runs {
    /// Starts a run and drives it until it ends or waits for people.
    ///
    /// # Errors
    /// If it can't begin, also because of another run; once it has begun, trouble is in [`Left::why`].
    pub fn start(&self, prepared: Prepared, foreground: Foreground) -> Result<Begun, RunsError> {
        self.may_start(&prepared, &foreground.actor)?;
        agents_apply_plans(&prepared, &foreground.actor)?;
        let store = self.store()?;
        let applies = prepared.applies.clone();
        let given = prepared.run.or(applies.as_ref().map(|applies| applies.run));
        let run = given.unwrap_or_else(|| RunId::new(uuid::Uuid::now_v7()));
        let ground = self.ground()?;
        let (roster, single) = (ground.roster(), ground.settings.people.is_single_operator());
        let redactor = self.redactor.clone();
        let open = shown_anyway(&prepared.program, &prepared.inputs, prepared.target.as_deref());
        let vault = Arc::new(Vault::of_store(store, run, &redactor).beside(open));
        let world = self.world(&prepared.program, &prepared.settings, &ground, Some(self.blobs()), &vault)?;
        let (mut start, texts) = self.begin(&prepared, run, &ground, &foreground, &redactor, false)?;
        let sandbox = sandbox(&prepared.program)?;
        let drive = Arc::new(store.acquire(run, holder(&foreground.actor))?);
        // Whoever holds the run now is the only one who can begin it.
        applies.as_ref().map_or(Ok(()), |applies| self.may_apply(applies))?;
        if prepared.run.is_some()
            && let Some(row) = self.existing(run)?
        {
            return Ok(Begun::Attach(Box::new(row)));
        }
        let program = Arc::clone(&prepared.program);
        let (world, mut foreground) = traced(run, prepared.traceparent.as_ref(), &redactor, &[], world, foreground);
        on_engine_thread(move || {
            start.fence = drive.fence();
            start.group = Machine::group(&program, &sandbox, start.clone(), now())
                .map_err(|failure| RunsError::failed("the run can't begin", &failure))?;
            if let (Some(group), Some(concurrency)) = (&start.group, &program.runbook.concurrency) {
                let (runbook, inputs) = (program.runbook.name.as_str(), &start.inputs);
                let wanted = Wanted { group, if_busy: concurrency.if_busy, runbook, inputs };
                if let Entry::Attach(row) = self.enter(&drive, &wanted, &mut foreground)? {
                    return Ok(Begun::Attach(row));
                }
            }
            start.previous = store.previous(&program.runbook.name, start.target.as_deref(), start.group.as_deref())?;
            let machine = Machine::start(program, sandbox, start, now());
            let mut machine = machine.map_err(|failure| RunsError::failed("`vars` can't be computed", &failure))?;
            machine.single_operator(single);
            let world = gated(&world, &drive);
            let local = Local { store, drive: &drive, world, redactor, vault, foreground, roster };
            let (facts, why) = on_event_loop(local.run(machine, texts))?;
            Ok(Begun::Left(Box::new(self.left(run, facts, why))))
        })
    }

    /// Rehearses a run: real looks, planned writes, nothing stored or flushed.
    ///
    /// # Errors
    /// If it can't begin.
    pub fn rehearse(&self, prepared: &Prepared, foreground: Foreground) -> Result<Rehearsed, RunsError> {
        self.rehearse_as(RunId::new(uuid::Uuid::now_v7()), prepared, foreground)
    }

    /// The same as the run that would have this name.
    pub(super) fn rehearse_as(
        &self,
        run: RunId,
        prepared: &Prepared,
        mut foreground: Foreground,
    ) -> Result<Rehearsed, RunsError> {
        let ground = self.ground()?;
        // What a rehearsal keeps goes with it.
        let redactor = self.redactor.clone();
        let open = shown_anyway(&prepared.program, &prepared.inputs, prepared.target.as_deref());
        // With the store's key, if there is one, what is planned has the fingerprints that the run will have.
        let key = StoreKey::existing(&self.state_dir)?.unwrap_or_else(StoreKey::ephemeral);
        let vault = Arc::new(Vault::in_memory(key, run, &redactor).beside(open));
        let world = self.world(&prepared.program, &prepared.settings, &ground, None, &vault)?;
        let (start, _) = self.begin(prepared, run, &ground, &foreground, &redactor, true)?;
        let sandbox = sandbox(&prepared.program)?;
        let program = Arc::clone(&prepared.program);
        on_engine_thread(move || {
            let machine = Machine::start(Arc::clone(&program), sandbox, start, now());
            let machine = machine.map_err(|failure| RunsError::failed("`vars` can't be computed", &failure))?;
            let (events, machine) = on_event_loop(rehearse(machine, world, redactor, &vault, &mut foreground))?;
            let (facts, found) = (machine.facts().clone(), machine.found());
            Ok(Rehearsed { events, facts, found, program })
        })
    }

    /// Takes a run up from its journal, with decisions about steps, and drives it on.
    ///
    /// # Errors
    /// If somebody else drives it, if it has ended and nothing is decided, if a decision doesn't fit, or if
    /// the project it belongs to is gone.
    pub fn resume(
        &self,
        run: &RunRow,
        decisions: Vec<DecideRequest>,
        reason: Option<String>,
        foreground: Foreground,
    ) -> Result<Left, RunsError> {
        let drive = Arc::new(self.store()?.acquire(run.run, holder(&foreground.actor))?);
        self.go_on(run, drive, Going { decisions, reason, from: None, behalf: None }, foreground)
    }

    /// Drives a run on that is ours.
    pub(super) fn go_on(
        &self,
        run: &RunRow,
        drive: Arc<Drive>,
        going: Going,
        foreground: Foreground,
    ) -> Result<Left, RunsError> {
        let Going { decisions, reason, from, behalf } = going;
        let store = self.store()?;
        let events = store.load(run.run)?;
        let started = start_of(&events)?;
        let ground = self.ground_of(started)?;
        let (program, target) = unpin(store, started, &ground.settings.exec)?;
        let decides = if decisions.is_empty() { None } else { Some("decide about a step") };
        may_drive(&ground, &program.effects, &target, behalf.as_ref().unwrap_or(&foreground.actor), decides)?;
        let (roster, single) = (ground.roster(), ground.settings.people.is_single_operator());
        let facts = Facts::fold(&events).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
        let decisions = settle(&facts, decisions)?;
        if let (Some(end), true) = (&facts.finished, decisions.is_empty()) {
            if facts.state() == RunState::Stuck {
                let said = format!("{}/{} is stuck: what it changed is taken back in part only", run.runbook, run.run);
                let hint = format!("go on with what is left:  rerail undo {}", run.run);
                return Err(RunsError::new(ErrorKind::Usage, said).hint(hint));
            }
            let said = format!("{}/{} has ended: {}", run.runbook, run.run, end.outcome.word());
            let hint = "to go on after a failed step:  rerail resume RUN --retry STEP --reason TEXT";
            return Err(RunsError::new(ErrorKind::Usage, said).hint(hint));
        }
        let redactor = self.redactor.clone();
        let open = shown_anyway(&program, &started.inputs, started.target.as_deref());
        let vault = Arc::new(Vault::of_store(store, run.run, &redactor).beside(open));
        let world = self.world(&program, &target, &ground, Some(self.blobs()), &vault)?;
        self.recall(&vault, &events)?;
        self.enter_again(&drive, &facts)?;
        check_optional(&redactor, "the reason", reason.as_deref())?;
        for request in &decisions {
            check_text(&redactor, &format!("the reason about `{}`", request.step), &request.reason)?;
            let outputs = Value::Map(request.outputs.clone());
            check_value(&redactor, &format!("an output given for `{}`", request.step), &outputs)?;
        }
        let sandbox = sandbox(&program)?;
        let program = Arc::new(program);
        let id = run.run;
        let (world, foreground) = traced(id, started.traceparent.as_ref(), &redactor, &events, world, foreground);
        on_engine_thread(move || {
            let mut machine = Machine::load(program, sandbox, &events)
                .map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
            machine.single_operator(single);
            let actor = foreground.actor.clone();
            for DecideRequest { step, decision, outputs, reason } in decisions {
                machine.signal(Signal::Decide { step, decision, outputs, actor: actor.clone(), reason }, now());
            }
            machine
                .signal(Signal::Resume { actor: actor.clone(), reason: reason.clone(), fence: drive.fence() }, now());
            if let Some(from) = from {
                machine.signal(Signal::Take { actor, from, reason }, now());
            }
            let world = gated(&world, &drive);
            let local = Local { store, drive: &drive, world, redactor, vault, foreground, roster };
            let (facts, why) = on_event_loop(local.run(machine, Vec::new()))?;
            Ok(self.left(id, facts, why))
        })
    }

    /// Whether somebody may start this run: they are a person of the project if there are any, and what started them
    /// may do as much. Says so before anything is asked or happens.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] with the way out.
    pub fn may_start(&self, prepared: &Prepared, actor: &Actor) -> Result<(), RunsError> {
        may_drive(&self.ground()?, &prepared.effects, &prepared.settings, actor, None)
    }

    /// Where the files lie that steps keep.
    pub(super) fn blobs(&self) -> PathBuf {
        self.state_dir.join("blobs")
    }

    /// The world of a target, with its secrets read once, so that the redactor knows them from the start.
    pub(super) fn world(
        &self,
        program: &Program,
        target: &Target,
        ground: &Ground,
        blobs: Option<PathBuf>,
        vault: &Arc<Vault>,
    ) -> Result<World, RunsError> {
        let vault = Arc::clone(vault);
        let sealed = SealedValues::opened_by(move |sealed| vault.open(sealed));
        let world = World::new(WorldSettings { blobs, sealed, ..self.allowed(ground, Some(target)) });
        let unreadable: Vec<String> = secrets_of(program)
            .iter()
            .filter_map(|name| world.learn_secret(name).err())
            .map(|failure| failure.message)
            .collect();
        if !unreadable.is_empty() {
            let said = RunsError::new(ErrorKind::Usage, unreadable.join("; "));
            return Err(said.hint("`rerail doctor --target NAME` looks at all secrets of a target"));
        }
        Ok(world)
    }

    /// Makes a run's sealed values known again. Without them nothing is done: a run that goes on must not be able to
    /// show one.
    pub(super) fn recall(&self, vault: &Vault, events: &[Event]) -> Result<(), RunsError> {
        let hint =
            || format!("put back `{}`, from the copy of it or of the whole directory", self.key_file().display());
        if !events.iter().any(|event| !sealed_in(event).is_empty()) {
            return Ok(());
        }
        if StoreKey::existing(&self.state_dir)?.is_none() {
            let said = "the run has sealed values, and the key of the store is missing; nothing was done";
            return Err(RunsError::new(ErrorKind::Damaged, said).hint(hint()));
        }
        vault.recall(events).map_err(|failure| {
            RunsError::new(ErrorKind::Damaged, format!("{}; nothing was done", failure.message)).hint(hint())
        })
    }

    fn key_file(&self) -> PathBuf {
        self.state_dir.join(crate::journal::KEY_FILE)
    }

    /// The files that a prepared start depends on, and their texts.
    pub(super) fn pinned(&self, prepared: &Prepared) -> (Vec<PinnedFile>, Vec<Blob>) {
        let (mut files, mut texts) = pin(&prepared.program, prepared.target_source.as_ref());
        if let Some(source) = &self.project().source {
            let (file, text) = pin_file(FileKind::Project, &source.shown, source);
            files.push(file);
            texts.push(text);
        }
        (files, texts)
    }

    /// What a run is started with, and the texts it is pinned to. Nothing of it holds the value of a secret.
    fn begin(
        &self,
        prepared: &Prepared,
        run: RunId,
        ground: &Ground,
        foreground: &Foreground,
        redactor: &Redactor,
        rehearsal: bool,
    ) -> Result<(Start, Vec<Blob>), RunsError> {
        check_value(redactor, "an input", &Value::Map(prepared.inputs.clone()))?;
        check_optional(redactor, "the reason", prepared.reason.as_deref())?;
        check_optional(redactor, "the name of the incident", prepared.incident.as_deref())?;
        let (files, mut texts) = self.pinned(prepared);
        texts.extend(prepared.applies.as_ref().map(Applies::blob));
        let project = self.project().source.as_ref();
        let target = prepared.target_source.as_ref().map(|(_, source)| source);
        let sources = prepared.program.files.iter().map(|file| &file.source).chain(target).chain(project);
        for source in sources {
            if redactor.redact(&source.text) != source.text {
                let message = format!("`{}` holds the value of a secret", source.shown);
                return Err(RunsError::new(ErrorKind::Usage, message).hint("take it out of the file and rotate it"));
            }
        }
        let floors = match foreground.actor.is_agent() {
            true => prepared.settings.policy.floors.with_a_person(),
            false => prepared.settings.policy.floors.clone(),
        };
        let start = Start {
            run,
            inputs: prepared.inputs.clone(),
            target: prepared.target.clone(),
            root: Some(ground.shown()?),
            files,
            providers: prepared.settings.providers.clone(),
            actor: foreground.actor.clone(),
            reason: prepared.reason.clone(),
            incident: prepared.incident.clone(),
            fence: 0,
            group: None,
            previous: None,
            floors: Some(floors).filter(|floors| !floors.is_empty()).map(Box::new),
            cover: prepared.applies.as_ref().map(|applies| Box::new(applies.cover.clone())),
            plan: prepared.applies.as_ref().map(|applies| Box::new(applies.plan.clone())),
            traceparent: prepared.traceparent.clone(),
            rehearsal,
        };
        Ok((start, texts))
    }
}

/// Texts that whoever can read a run can read: what it is started with, and what it is pinned to.
pub(super) fn shown_anyway(program: &Program, inputs: &Map, target: Option<&str>) -> Vec<String> {
    let texts = program.files.iter().map(|file| file.source.text.clone());
    texts.chain([Value::Map(inputs.clone()).to_string()]).chain(target.map(str::to_owned)).collect()
}

pub(super) fn sandbox(program: &Program) -> Result<Arc<Sandbox>, RunsError> {
    let actions: Vec<String> = program.specs.keys().cloned().collect();
    let sandbox = Sandbox::new(&actions, &program.modules).map_err(|(module, error)| {
        RunsError::new(ErrorKind::Invalid, format!("module `{module}`: {}", error.message))
    })?;
    Ok(Arc::new(sandbox))
}

/// Whether somebody may drive a run of these effects. Who only looks may be anybody.
pub(super) fn may_drive(
    ground: &Ground,
    effects: &[Effect],
    target: &Target,
    actor: &Actor,
    decides: Option<&str>,
) -> Result<(), RunsError> {
    let worst = Effect::worst(effects);
    let people = &ground.settings.people;
    within_reach_of_agents(effects, target, actor)?;
    if let Some(what) = decides {
        only_people(people, actor, what)?;
    }
    if worst < Effect::Notify {
        return Ok(());
    }
    let floors = &target.policy.floors;
    let asks = effects.iter().any(|effect| floors.of(*effect).is_some());
    if people.is_single_operator() && asks && !floors.single_operator {
        let said = "this target wants somebody else to approve, and there are no `people` in rerail.yaml";
        let hint = "name them there; looking works without, and so does --dry-run";
        return Err(RunsError::new(ErrorKind::NotAllowed, said).hint(hint));
    }
    only_people(people, actor, "start what may do more than look")
}

/// This process, as others are told of it.
pub(super) fn holder(actor: &Actor) -> Holder {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Holder { pid: std::process::id(), host, user: actor.id.clone(), since: now() }
}

/// Drives `work` to its end. Doesn't wait for what it has left behind: a read of a dead network disk may hang for
/// good, and nobody is interested in it any more.
pub(super) fn on_event_loop<T>(work: impl Future<Output = T>) -> Result<T, RunsError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunsError::new(ErrorKind::Internal, format!("no event loop: {error}")))?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(result)
}

/// Runs the engine on a thread whose stack fits the deepest allowed script.
pub(super) fn on_engine_thread<T: Send>(work: impl FnOnce() -> Result<T, RunsError> + Send) -> Result<T, RunsError> {
    let broken = |why: &str| RunsError::new(ErrorKind::Internal, why.to_owned());
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("engine".into()).stack_size(STACK_BYTES).spawn_scoped(scope, work);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(broken("the engine ended in a panic; this is a bug, the run can be resumed")),
            Err(error) => Err(broken(&format!("no thread for the engine: {error}"))),
        }
    })
}
