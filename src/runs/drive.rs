//! Starting, rehearsing and resuming: builds what a driver needs and runs it on its own thread.

use std::path::PathBuf;
use std::sync::Arc;

use crate::drivers::clock::now;
use crate::drivers::gate::gated;
use crate::drivers::local::Local;
use crate::drivers::pinned::{pin, pin_file, unpin};
use crate::drivers::rehearsal::rehearse;
use crate::drivers::watch::{Foreground, Why};
use crate::engine::event::{Actor, Body, Event};
use crate::engine::facts::Facts;
use crate::engine::ids::RunId;
use crate::engine::machine::{Machine, Signal, Start};
use crate::journal::{Blob, Drive, Holder, Journal, RunRow};
use crate::redact::Redactor;
use crate::runbook::program::{FileKind, Program};
use crate::runbook::settings::Target;
use crate::runs::Runs;
use crate::runs::entry::{Entry, Wanted};
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::ground::Ground;
use crate::runs::people::{DecideRequest, settle};
use crate::runs::start::{Prepared, secrets_of};
use crate::runs::typed::{check_optional, check_text, check_value};
use crate::script::limits::STACK_BYTES;
use crate::script::sandbox::Sandbox;
use crate::script::value::Value;
use crate::steps::world::{World, WorldSettings};

/// Where a run stands when its driver returns.
#[derive(Debug)]
pub struct Left {
    pub run: RunId,
    pub facts: Facts,
    pub why: Why,
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
}

/// A finished rehearsal.
#[derive(Debug)]
pub struct Rehearsed {
    pub events: Vec<Event>,
    pub facts: Facts,
    pub program: Arc<Program>,
}

impl Runs {
    /// Starts a run and drives it until it ends or waits for people.
    ///
    /// # Errors
    /// If it can't begin, also because of another run; once it has begun, trouble is in [`Left::why`].
    pub fn start(&self, prepared: Prepared, mut foreground: Foreground) -> Result<Begun, RunsError> {
        let store = self.store()?;
        let run = RunId::new(uuid::Uuid::now_v7());
        let ground = self.ground()?;
        let (world, redactor) = self.world(&prepared.program, &prepared.settings, &ground, Some(self.blobs()))?;
        let (mut start, texts) = self.begin(&prepared, run, &ground, &foreground, &redactor, false)?;
        let sandbox = sandbox(&prepared.program)?;
        let drive = Arc::new(store.acquire(run, holder(&foreground.actor))?);
        let program = Arc::clone(&prepared.program);
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
            let machine = machine.map_err(|failure| RunsError::failed("`vars` can't be computed", &failure))?;
            let local = Local { store, drive: &drive, world: gated(&world, &drive), redactor, foreground };
            let (facts, why) = on_event_loop(local.run(machine, texts))?;
            Ok(Begun::Left(Box::new(Left { run, facts, why })))
        })
    }

    /// Rehearses a run: real looks, planned writes, nothing stored or flushed.
    ///
    /// # Errors
    /// If it can't begin.
    pub fn rehearse(&self, prepared: Prepared, mut foreground: Foreground) -> Result<Rehearsed, RunsError> {
        let run = RunId::new(uuid::Uuid::now_v7());
        let ground = self.ground()?;
        // What a rehearsal keeps goes with it.
        let (world, redactor) = self.world(&prepared.program, &prepared.settings, &ground, None)?;
        let (start, _) = self.begin(&prepared, run, &ground, &foreground, &redactor, true)?;
        let sandbox = sandbox(&prepared.program)?;
        let program = Arc::clone(&prepared.program);
        on_engine_thread(move || {
            let machine = Machine::start(Arc::clone(&program), sandbox, start, now());
            let machine = machine.map_err(|failure| RunsError::failed("`vars` can't be computed", &failure))?;
            let (events, facts) = on_event_loop(rehearse(machine, world, redactor, &mut foreground))?;
            Ok(Rehearsed { events, facts, program })
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
        self.go_on(run, drive, Going { decisions, reason, from: None }, foreground)
    }

    /// Drives a run on that is ours.
    pub(super) fn go_on(
        &self,
        run: &RunRow,
        drive: Arc<Drive>,
        going: Going,
        foreground: Foreground,
    ) -> Result<Left, RunsError> {
        let Going { decisions, reason, from } = going;
        let store = self.store()?;
        let events = store.load(run.run)?;
        let Some(Body::RunStarted(started)) = events.first().map(|event| &event.body) else {
            return Err(RunsError::new(ErrorKind::Damaged, "the journal has no `run.started`"));
        };
        let ground = self.ground_of(started)?;
        let (program, target) = unpin(store, started, &ground.settings.exec)?;
        let facts = Facts::fold(&events).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
        let decisions = settle(&facts, decisions)?;
        if let (Some(end), true) = (&facts.finished, decisions.is_empty()) {
            let said = format!("{}/{} has ended: {}", run.runbook, run.run, end.outcome.word());
            let hint = "to go on after a failed step:  rerail resume RUN --retry STEP --reason TEXT";
            return Err(RunsError::new(ErrorKind::Usage, said).hint(hint));
        }
        self.enter_again(&drive, &facts)?;
        let (world, redactor) = self.world(&program, &target, &ground, Some(self.blobs()))?;
        check_optional(&redactor, "the reason", reason.as_deref())?;
        for request in &decisions {
            check_text(&redactor, &format!("the reason about `{}`", request.step), &request.reason)?;
            let outputs = Value::Map(request.outputs.clone());
            check_value(&redactor, &format!("an output given for `{}`", request.step), &outputs)?;
        }
        let sandbox = sandbox(&program)?;
        let program = Arc::new(program);
        let id = run.run;
        on_engine_thread(move || {
            let mut machine = Machine::load(program, sandbox, &events)
                .map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
            let actor = foreground.actor.clone();
            for DecideRequest { step, decision, outputs, reason } in decisions {
                machine.signal(Signal::Decide { step, decision, outputs, actor: actor.clone(), reason }, now());
            }
            machine
                .signal(Signal::Resume { actor: actor.clone(), reason: reason.clone(), fence: drive.fence() }, now());
            if let Some(from) = from {
                machine.signal(Signal::Take { actor, from, reason }, now());
            }
            let local = Local { store, drive: &drive, world: gated(&world, &drive), redactor, foreground };
            let (facts, why) = on_event_loop(local.run(machine, Vec::new()))?;
            Ok(Left { run: id, facts, why })
        })
    }

    /// Where the files lie that steps keep.
    fn blobs(&self) -> PathBuf {
        self.state_dir.join("blobs")
    }

    /// The world of a target, with its secrets read once, so that the redactor knows them from the start.
    fn world(
        &self,
        program: &Program,
        target: &Target,
        ground: &Ground,
        blobs: Option<PathBuf>,
    ) -> Result<(World, Redactor), RunsError> {
        let redactor = self.redactor.clone();
        let allowed = WorldSettings::of(&ground.root, &ground.settings, Some(target), &redactor);
        let world = World::new(WorldSettings { blobs, ..allowed });
        let unreadable: Vec<String> = secrets_of(program)
            .iter()
            .filter_map(|name| world.learn_secret(name).err())
            .map(|failure| failure.message)
            .collect();
        if !unreadable.is_empty() {
            let said = RunsError::new(ErrorKind::Usage, unreadable.join("; "));
            return Err(said.hint("`rerail doctor --target NAME` looks at all secrets of a target"));
        }
        Ok((world, redactor))
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
        let (mut files, mut texts) = pin(&prepared.program, prepared.target_source.as_ref());
        let project = self.project().source.as_ref();
        if let Some(source) = project {
            let (file, text) = pin_file(FileKind::Project, &source.shown, source);
            files.push(file);
            texts.push(text);
        }
        let target = prepared.target_source.as_ref().map(|(_, source)| source);
        let sources = prepared.program.files.iter().map(|file| &file.source).chain(target).chain(project);
        for source in sources {
            if redactor.redact(&source.text) != source.text {
                let message = format!("`{}` holds the value of a secret", source.shown);
                return Err(RunsError::new(ErrorKind::Usage, message).hint("take it out of the file and rotate it"));
            }
        }
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
            rehearsal,
        };
        Ok((start, texts))
    }
}

pub(super) fn sandbox(program: &Program) -> Result<Arc<Sandbox>, RunsError> {
    let actions: Vec<String> = program.specs.keys().cloned().collect();
    let sandbox = Sandbox::new(&actions, &program.modules).map_err(|(module, error)| {
        RunsError::new(ErrorKind::Invalid, format!("module `{module}`: {}", error.message))
    })?;
    Ok(Arc::new(sandbox))
}

/// This process, as others are told of it.
pub(super) fn holder(actor: &Actor) -> Holder {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Holder { pid: std::process::id(), host, user: actor.id.clone(), since: now() }
}

/// Drives `work` to its end. Doesn't wait for what it has left behind: a read of a dead network disk may hang for
/// good, and nobody is interested in it any more.
fn on_event_loop<T>(work: impl Future<Output = T>) -> Result<T, RunsError> {
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
