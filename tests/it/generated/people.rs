//! Random runs in which people agree, refuse, come too late or see something else, and that are taken back: the
//! engine against a small model of its own, [`taken`](crate::generated::taken).
//!
//! Apart from the other cases, whose subject is time and order: here one step comes after the other, and what is
//! random is who says what of which change. `RERAIL_SEED` and `RERAIL_GENERATED` as there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use rerail::drivers::mock::{MockRun, MockWorld};
use rerail::drivers::replay::replay;
use rerail::engine::approvals::{Approval as Asked, ApprovalState};
use rerail::engine::event::{Actor, Body as Fact};
use rerail::engine::facts::Facts;
use rerail::engine::machine::{Machine, Signal, Waits};
use rerail::engine::outcome::Attempt;
use rerail::script::value::Map;
use serde_json::json;

use crate::generated::agreed::{Answer, Body, Case, SEEN, Word, case, each, texts};
use crate::generated::taken::{self, Story};
use crate::generated::{cases, first_seed};
use crate::scenario::{Scenario, failed, in_doubt, ok};

/// Turns of a run before it is called endless.
const TURNS_MAX: usize = 200;
/// Times somebody wants it taken back: an undo fails at most once, and so does each doubt about one.
pub const UNDOS: usize = 3;
/// Of so many cases of the others there is one of these.
const ONE_OF: u64 = 10;
/// Of so many cases one is walked from its start after each event.
const WALKED_ONE_OF: u64 = 5;

pub fn number(n: i64) -> Attempt {
    ok(json!({ "status": 200, "ok": true, "json": { "n": n } }))
}

fn attempts(answer: Answer) -> [Attempt; 2] {
    let first = match answer {
        Answer::Done => number(1),
        Answer::Failed => failed(rerail::engine::outcome::FailureKind::Expect, "got 207"),
        Answer::Refused => Attempt::refused(rerail::engine::outcome::Failure::new(
            rerail::engine::outcome::FailureKind::Status,
            "got 404",
        )),
        Answer::InDoubt(_) => in_doubt(),
    };
    [first, number(1)]
}

fn person(id: &str, roles: &[&str]) -> Actor {
    Actor::person(id, "test", roles.iter().map(|role| (*role).to_owned()).collect())
}

type Texts = (String, Vec<(String, String)>);

thread_local! {
    /// The texts read last: cases come in several worlds each.
    static READ: RefCell<Option<(Texts, Scenario)>> = const { RefCell::new(None) };
}

/// The texts of a case, read and checked.
fn read(case: &Case) -> Result<Scenario, String> {
    let texts = texts(case);
    READ.with_borrow_mut(|read| match read {
        Some((known, scenario)) if *known == texts => Ok(scenario.clone()),
        _ => {
            let actions: Vec<(&str, &str)> =
                texts.1.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let scenario = Scenario::load(&texts.0, &actions)?;
            Ok(read.insert((texts, scenario)).1.clone())
        }
    })
}

fn scenario(case: &Case) -> Result<Scenario, String> {
    let mut scenario = read(case)?;
    scenario.operator = person("ana", &["oncall"]);
    each(&case.steps, "", None, &mut |path, _, step| {
        let mut world = std::mem::take(&mut scenario.world);
        match &step.body {
            Body::Look { .. } => world = world.answer(&path, [number(SEEN)]),
            Body::Write(write) => {
                world = world.answer(&path, attempts(write.answer));
                if let Some(undo) = &write.undo {
                    world = world.answer(&undo.path(&path), attempts(undo.answer));
                }
            }
            _ => {}
        }
        scenario.world = world;
    });
    Ok(scenario)
}

/// A run with its world and its people.
struct Play<'c> {
    case: &'c Case,
    run: MockRun,
    world: MockWorld,
    killed: bool,
    /// How often people were asked, by gate.
    words: BTreeMap<String, usize>,
    undos: usize,
}

/// Drives a case to the end of its last undo, and shows each state on the way.
fn drive(case: &Case, scenario: &Scenario, show: &mut dyn FnMut(&MockRun)) -> Result<Story, String> {
    let (run, world) = (scenario.start(), scenario.world.clone());
    let mut play = Play { case, run, world, killed: false, words: BTreeMap::new(), undos: 0 };
    for _ in 0..TURNS_MAX {
        let waits = loop {
            let next = play.run.events.len() + 1;
            let waits = play.run.drive(&mut play.world, next);
            show(&play.run);
            if play.may_die() {
                play.killed = true;
                let keep = play.run.events.len();
                play.run.crash(keep, person("ana", &["oncall"])).map_err(|error| error.to_string())?;
                continue;
            }
            if play.run.events.len() < next || waits.finished.is_some() {
                break waits;
            }
        };
        if waits.finished.is_some() {
            if play.undos == UNDOS {
                replay(scenario.program.clone(), scenario.sandbox.clone(), &play.run.events)
                    .map_err(|divergence| divergence.to_string())?;
                return Ok(taken::tell(&play.run, &play.world));
            }
            play.undos += 1;
            let actor = person("ana", &["oncall"]);
            play.run.machine.signal(Signal::Undo { actor, reason: None, fence: 9 }, play.run.now);
            continue;
        }
        play.settle(&waits)?;
    }
    Err(format!("the run has not ended after {TURNS_MAX} turns"))
}

impl Play<'_> {
    /// Where nothing is lost with the process: no write is under way.
    fn may_die(&self) -> bool {
        let facts = self.run.facts();
        let quiet = !facts.steps.values().any(|record| record.is_sending());
        !self.killed && self.run.events.len() >= self.case.killed_at && quiet && facts.finished.is_none()
    }

    /// Does what only people can.
    fn settle(&mut self, waits: &Waits) -> Result<(), String> {
        if let Some(step) = waits.doubts.first() {
            let path = taken::undone(step.as_str()).unwrap_or(step.as_str());
            let mut decision = None;
            each(&self.case.steps, "", None, &mut |found, _, one| {
                let Body::Write(write) = &one.body else { return };
                let undo = write.undo.as_ref().map(|undo| undo.answer);
                let answer = if step.is_undo() { undo } else { Some(write.answer) };
                if let (true, Some(Answer::InDoubt(said))) = (found == path, answer) {
                    decision = Some(said);
                }
            });
            let decision = decision.ok_or_else(|| format!("nobody expected `{step}` to be in doubt"))?;
            let (actor, reason) = (person("ana", &["oncall"]), "looked".to_owned());
            let signal = Signal::Decide { step: step.clone(), decision, outputs: Map::new(), actor, reason };
            self.run.machine.signal(signal, self.run.now);
            return Ok(());
        }
        let open = self.run.facts().approvals.open().next().cloned();
        let open = open.ok_or_else(|| format!("the run stands still: {waits:?}"))?;
        self.say(&open)
    }

    fn say(&mut self, asked: &Asked) -> Result<(), String> {
        let gate = asked.request.step.to_string();
        let times = self.words.entry(gate.clone()).or_default();
        let word = taken::word(self.case, &gate, *times).ok_or_else(|| format!("nobody asks at `{gate}`"))?;
        *times += 1;
        let approve = |actor: Actor| Signal::Approve {
            step: asked.request.step.clone(),
            change: asked.request.change.clone(),
            actor,
            at: None,
            shown: None,
        };
        let now = self.run.now;
        match word {
            Word::Expired => {
                self.run.now = asked.request.expires;
                return Ok(());
            }
            Word::Rejected => {
                let (step, change) = (asked.request.step.clone(), asked.request.change.clone());
                let actor = person("ben", &["oncall"]);
                self.run.machine.signal(Signal::Reject { step, change, actor, reason: "not now".to_owned() }, now);
                return Ok(());
            }
            Word::GivenAfterOwn => self.run.machine.signal(approve(person("ana", &["oncall"])), now),
            Word::GivenAfterStranger => self.run.machine.signal(approve(person("cleo", &["lead"])), now),
            Word::Given => {}
        }
        let counts = word == Word::GivenAfterOwn && self.case.self_ok;
        let waits = |state: Option<&Asked>| state.is_some_and(|approval| approval.state == ApprovalState::Open);
        if waits(self.run.facts().approvals.at(&asked.request.step)) == counts {
            return Err(format!("the word of {word:?} at `{gate}` counts: {}", !counts));
        }
        if !counts {
            self.run.machine.signal(approve(person("ben", &["oncall"])), now);
        }
        each(&self.case.steps, "", None, &mut |path, around, step| {
            if let (Body::Look { drifts: true }, Some(around)) = (&step.body, around)
                && around == gate
            {
                self.world.answers.insert(path, vec![number(SEEN + 1)]);
            }
        });
        Ok(())
    }
}

fn check(case: &Case) -> Result<Story, String> {
    let scenario = scenario(case)?;
    let engine = drive(case, &scenario, &mut |_| {})?;
    let model = taken::play(case);
    match taken::difference(&engine, &model) {
        None => Ok(engine),
        Some(difference) => Err(difference),
    }
}

/// After every event the journal folds to what is in memory, and a walk from the start has nothing to add.
fn agrees(case: &Case) -> Result<(), String> {
    let scenario = scenario(case)?;
    let mut found = Ok(());
    drive(case, &scenario, &mut |run| {
        let fresh = Machine::load(scenario.program.clone(), scenario.sandbox.clone(), &run.events);
        let folded = Facts::fold(&run.events).is_ok_and(|facts| facts == *run.facts());
        let Ok(mut fresh) = fresh else {
            found = Err("the journal does not fold".to_owned());
            return;
        };
        let decided = fresh.decide(run.now);
        let news: Vec<&str> = decided.events.iter().map(|event| event.body.word()).collect();
        if found.is_ok() && !(folded && news.is_empty() && fresh.facts() == run.facts()) {
            found = Err(format!("after {} events a walk from the start decides {news:?}", run.events.len()));
        }
    })?;
    found
}

fn shown(case: &Case, seed: u64, why: &str) -> String {
    let (text, actions) = texts(case);
    let mut shown = format!("RERAIL_SEED={seed} RERAIL_GENERATED=1\n\n{text}");
    for (name, action) in actions {
        let _ = write!(shown, "\n# {name}\n{action}");
    }
    each(&case.steps, "", None, &mut |path, _, step| {
        let _ = writeln!(
            shown,
            "# {path}: {:?}",
            match &step.body {
                Body::Group { approval, .. } => format!("{approval:?}"),
                body => format!("{body:?}"),
            }
        );
    });
    let mut said = Vec::new();
    if let Ok(scenario) = scenario(case) {
        drive(case, &scenario, &mut |run| {
            said = run.events.iter().map(|event| format!("{} {}", event.body.word(), place(&event.body))).collect();
        })
        .ok();
    }
    format!("{shown}\n# killed at {}\n{}\n\n{why}", case.killed_at, said.join("\n"))
}

fn place(body: &Fact) -> String {
    match body {
        Fact::StepStarted(intent) => format!("{} @{} {}", intent.step, intent.attempt, intent.body),
        Fact::StepFinished(end) => format!("{} {}", end.step, end.outcome.word()),
        Fact::ApprovalRequested(request) => {
            let changes: Vec<&str> = request.changes.iter().map(|change| change.step.as_str()).collect();
            format!("{} {changes:?} complete: {}", request.step, request.complete)
        }
        Fact::ApprovalGiven { step, .. } | Fact::ApprovalVoid { step, .. } | Fact::ApprovalExpired { step, .. } => {
            step.to_string()
        }
        Fact::OutcomeSet { step, decision, .. } => format!("{step} {decision:?}"),
        Fact::RunFinished { outcome, failed_step, .. } => format!("{} {failed_step:?}", outcome.word()),
        Fact::UndoStarted(undo) => format!("{:?}", undo.steps),
        Fact::UndoFinished { outcome, left, .. } => format!("{outcome:?} {left:?}"),
        _ => String::new(),
    }
}

#[test]
fn what_people_agree_to_is_done_and_taken_back_as_the_model_says() {
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    let count = cases().div_ceil(ONE_OF);
    for seed in first_seed()..first_seed() + count {
        let case = case(seed);
        let story = check(&case).unwrap_or_else(|why| panic!("{}", shown(&case, seed, &why)));
        for word in taken::features(&story) {
            *met.entry(word).or_default() += 1;
        }
    }
    eprintln!("{met:?}");
    // What is never met is not proved.
    let wanted = ["agreed", "asked again", "incomplete", "rejected", "cancelled", "taken back", "stuck", "by itself"];
    assert!(count < 300 || wanted.iter().all(|word| met.contains_key(word)), "{met:?}");
}

#[test]
fn a_walk_from_the_start_agrees_over_what_people_say_and_what_is_taken_back() {
    for seed in (0..cases().div_ceil(ONE_OF * WALKED_ONE_OF)).map(|number| first_seed() + number) {
        let case = case(seed);
        agrees(&case).unwrap_or_else(|why| panic!("{}", shown(&case, seed, &why)));
    }
}
