//! A runbook, a world from a table and a virtual clock: the cheap, powerful middle level of tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rerail::drivers::mock::{MockRun, MockWorld};
use rerail::engine::change::Cover;
use rerail::engine::event::{Actor, Decision};
use rerail::engine::facts::{Facts, RunEnd};
use rerail::engine::ids::{RunId, StepPath};
use rerail::engine::machine::{Signal, Start, Waits};
use rerail::engine::outcome::{Attempt, Failure, FailureKind};
use rerail::project::Project;
use rerail::runbook::approval::Floors;
use rerail::runbook::program::{Library, Looked, Program, load};
use rerail::runbook::source::Source;
use rerail::script::sandbox::Sandbox;
use rerail::script::value::{Map, Value};
use rerail::steps::catalog;

/// Texts of a test.
#[derive(Clone, Default)]
pub struct Texts {
    pub actions: BTreeMap<String, Arc<Source>>,
    pub runbooks: BTreeMap<String, Arc<Source>>,
    pub modules: BTreeMap<String, Arc<Source>>,
}

impl Library for Texts {
    fn action(&self, name: &str) -> Looked {
        Ok(self.actions.get(name).cloned())
    }
    fn runbook(&self, name: &str) -> Looked {
        Ok(self.runbooks.get(name).cloned())
    }
    fn module(&self, path: &str) -> Looked {
        Ok(self.modules.get(path).cloned())
    }
    fn action_names(&self) -> Vec<String> {
        self.actions.keys().cloned().collect()
    }
    fn runbook_names(&self) -> Vec<String> {
        self.runbooks.keys().cloned().collect()
    }
}

/// A runbook in its world.
#[derive(Clone)]
pub struct Scenario {
    pub program: Arc<Program>,
    pub sandbox: Arc<Sandbox>,
    pub inputs: Map,
    /// As a target would say it.
    pub providers: Map,
    pub world: MockWorld,
    /// What a target asks for before a write.
    pub floors: Option<Box<Floors>>,
    /// The plan that is applied.
    pub cover: Option<Box<Cover>>,
    /// Who starts it.
    pub operator: Actor,
}

pub const NOW: &str = "2026-11-21T14:00:00Z";

impl Scenario {
    /// From the text of a runbook: the lines after `version` and `title`.
    pub fn new(body: &str) -> Scenario {
        Scenario::with_actions(body, &[])
    }

    /// The same with actions by name, and runbooks it runs as `runbooks/NAME`.
    pub fn with_actions(body: &str, actions: &[(&str, &str)]) -> Scenario {
        Scenario::load(body, actions).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The same for texts that may be wrong.
    ///
    /// # Errors
    /// What the checker says of them.
    pub fn load(body: &str, actions: &[(&str, &str)]) -> Result<Scenario, String> {
        let mut texts = Texts::default();
        for (name, text) in actions {
            if let Some(runbook) = name.strip_prefix("runbooks/") {
                texts.runbooks.insert(runbook.to_owned(), Source::new(format!("{name}.yaml"), head(text)));
                continue;
            }
            texts.actions.insert((*name).into(), Source::new(format!("actions/{name}.yaml"), head(text)));
        }
        Scenario::of("test", head(body), &texts)
    }

    /// A shipped runbook, with its defaults.
    pub fn shipped(name: &str, text: &str) -> Scenario {
        let mut scenario =
            Scenario::of(name, text.to_owned(), &Project::default()).unwrap_or_else(|problems| panic!("{problems}"));
        let inputs = scenario.program.runbook.inputs.iter();
        let defaults = inputs.filter_map(|input| Some((input.name.value.as_str().into(), input.default.clone()?)));
        scenario.inputs = defaults.collect();
        scenario
    }

    fn of(name: &str, text: String, texts: &dyn Library) -> Result<Scenario, String> {
        let source = Source::new(format!("runbooks/{name}.yaml"), text);
        let (program, problems) = load(name, source, texts, &catalog::specs());
        let program = program.ok_or_else(|| rerail::runbook::problem::render(&problems, false))?;
        let names: Vec<String> = program.specs.keys().cloned().collect();
        let sandbox = Arc::new(Sandbox::new(&names, &program.modules).unwrap());
        Ok(Scenario {
            program: Arc::new(program),
            sandbox,
            inputs: Map::new(),
            providers: Map::new(),
            world: MockWorld::default(),
            floors: None,
            cover: None,
            operator: ana(),
        })
    }

    pub fn input(mut self, name: &str, value: impl Into<Value>) -> Scenario {
        self.inputs.insert(name.into(), value.into());
        self
    }

    /// One answer after the other for a step path or action; the last one stays.
    pub fn answers(mut self, at: &str, attempts: impl IntoIterator<Item = Attempt>) -> Scenario {
        self.world = self.world.answer(at, attempts);
        self
    }

    /// Other answers for a step path than it had.
    pub fn world_says(mut self, at: &str, attempts: impl IntoIterator<Item = Attempt>) -> Scenario {
        self.world.answers.remove(at);
        self.answers(at, attempts)
    }

    pub fn person(mut self, step: &str, answer: &str) -> Scenario {
        self.world.people.insert(step.into(), Value::from(answer));
        self
    }

    pub fn start(&self) -> MockRun {
        let start = Start {
            run: RunId::new("01938f5e-7b00-7000-8000-0123456789ab".parse().unwrap()),
            inputs: self.inputs.clone(),
            target: None,
            root: None,
            files: Vec::new(),
            providers: self.providers.clone(),
            actor: self.operator.clone(),
            reason: None,
            incident: None,
            fence: 0,
            group: None,
            previous: None,
            floors: self.floors.clone(),
            cover: self.cover.clone(),
            plan: None,
            traceparent: None,
            rehearsal: false,
        };
        let now: Timestamp = NOW.parse().unwrap();
        MockRun::start(Arc::clone(&self.program), Arc::clone(&self.sandbox), start, now)
            .unwrap_or_else(|failure| panic!("{}", failure.message))
    }

    /// Runs to the end, or to where only a person helps.
    pub fn run(&self) -> Ended {
        let mut world = self.world.clone();
        let mut run = self.start();
        let waits = run.drive(&mut world, usize::MAX);
        Ended { run, world, waits }
    }
}

/// Where a run stands.
pub struct Ended {
    pub run: MockRun,
    pub world: MockWorld,
    pub waits: Waits,
}

impl Ended {
    pub fn facts(&self) -> &Facts {
        self.run.facts()
    }

    pub fn end(&self) -> &RunEnd {
        self.facts().finished.as_ref().unwrap_or_else(|| panic!("the run has not ended: {:?}", self.waits))
    }

    /// `outcome of step, outcome of step, …` in the order they began.
    pub fn outcomes(&self) -> String {
        let mut steps: Vec<_> = self.facts().steps.iter().collect();
        steps.sort_by_key(|(_, record)| record.seq);
        let words = steps.into_iter().filter_map(|(path, record)| match (&record.skipped, record.finished.as_ref()) {
            (Some(_), _) => Some(format!("{path} skipped")),
            (None, Some(finished)) => Some(format!("{path} {}", finished.outcome.word())),
            (None, None) => None,
        });
        words.collect::<Vec<_>>().join(", ")
    }

    pub fn outputs(&self, step: &str) -> Value {
        self.facts().step(&StepPath::new(step)).and_then(|r| r.end()).map(|f| f.outputs.clone()).unwrap_or_default()
    }

    pub fn message(&self, step: &str) -> String {
        let finished = self.facts().step(&StepPath::new(step)).and_then(|r| r.finished.as_ref());
        finished.and_then(|f| f.error.as_ref()).map(|e| e.message.clone()).unwrap_or_default()
    }

    pub fn decide(mut self, step: &str, decision: Decision, outputs: Map) -> Ended {
        let signal = Signal::Decide {
            step: StepPath::new(step),
            decision,
            outputs,
            actor: ana(),
            reason: "seen on the dashboard".into(),
        };
        self.run.machine.signal(signal, self.run.now);
        self.go_on()
    }

    pub fn signal(mut self, signal: Signal) -> Ended {
        self.run.machine.signal(signal, self.run.now);
        self.go_on()
    }

    pub fn go_on(mut self) -> Ended {
        self.waits = self.run.drive(&mut self.world, usize::MAX);
        self
    }
}

pub fn ana() -> Actor {
    Actor::new("ana", "test")
}

pub fn ok(outputs: serde_json::Value) -> Attempt {
    Attempt::done(Value::from_data(&outputs))
}

pub fn in_doubt() -> Attempt {
    Attempt::in_doubt(Failure::new(FailureKind::Network, "the connection was reset"))
}

pub fn refused() -> Attempt {
    Attempt::refused(Failure::transient(FailureKind::Connect, "connection refused"))
}

pub fn failed(kind: FailureKind, message: &str) -> Attempt {
    Attempt::failed(Failure::new(kind, message))
}

fn head(body: &str) -> String {
    format!("version: 1\ntitle: A test\nowner: tests\nreviewed: 2026-11-01\n{body}")
}
