//! A case through the real reader, checker and engine, and what is different from the model.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rerail::drivers::mock::{MockRun, MockWorld};
use rerail::engine::event::{Actor, Body, Decision};
use rerail::engine::facts::Facts;
use rerail::engine::ids::StepPath;
use rerail::engine::machine::{Signal, Waits};
use rerail::engine::outcome::{Attempt, Failure, FailureKind};
use rerail::script::value::{Map, Value};
use serde_json::json;

use crate::generated::ast::{self, Answer, Call, Case, Interrupt};
use crate::generated::calls::ADOPTED;
use crate::generated::model::{self, Snapshot, Story};
use crate::generated::yaml;
use crate::scenario::{NOW, Scenario, ana};

/// Percent by which a pause between attempts may be longer than written.
const JITTER_MAX: u64 = 20;
/// Turns of a run before it is called endless: each is a stop, a decision or an expiry.
const TURNS_MAX: usize = 400;

/// A case, driven to its end.
pub struct Played {
    pub scenario: Scenario,
    pub run: MockRun,
    pub world: MockWorld,
    pub snapshot: Option<Snapshot>,
    pub story: Story,
}

type Texts = (String, Vec<(String, String)>);

thread_local! {
    /// The texts read last: cases come in several worlds each.
    static READ: RefCell<Option<(Texts, Scenario)>> = const { RefCell::new(None) };
}

/// The texts of a case, read and checked.
fn read(case: &Case) -> Result<Scenario, String> {
    let texts = yaml::texts(case);
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

/// The case as a scenario.
pub fn scenario(case: &Case) -> Result<Scenario, String> {
    let mut scenario = read(case)?;
    for (path, call) in ast::calls(case) {
        scenario = scenario.answers(&path, call.answers.iter().map(|answer| attempt(*answer)));
    }
    for path in ast::answered(case) {
        scenario = scenario.person(&path, "yes");
    }
    Ok(scenario)
}

pub fn attempt(answer: Answer) -> Attempt {
    match answer {
        Answer::Done(n) => Attempt::done(Value::from_data(&json!({ "status": 200, "ok": true, "json": { "n": n } }))),
        Answer::Refused { transient: true } => {
            Attempt::refused(Failure::transient(FailureKind::Connect, "connection refused"))
        }
        Answer::Refused { transient: false } => Attempt::refused(Failure::new(FailureKind::Status, "404 not found")),
        Answer::Failed => Attempt::failed(Failure::new(FailureKind::Expect, "expected status 200, got 207")),
        Answer::Lost => Attempt::failed(Failure::new(FailureKind::Timeout, "no answer within 30s")),
        Answer::InDoubt => Attempt::in_doubt(Failure::new(FailureKind::Network, "the connection was reset")),
    }
}

/// Drives a case to its end, with its interruption, its people and its clock, and shows each state on the way.
///
/// # Errors
/// If it has no end.
pub fn drive(case: &Case, show: &mut dyn FnMut(&MockRun, &Scenario)) -> Result<Played, String> {
    drive_as(case, scenario(case)?, show)
}

/// The same as another scenario than the case alone makes.
///
/// # Errors
/// If it has no end.
pub fn drive_as(case: &Case, scenario: Scenario, show: &mut dyn FnMut(&MockRun, &Scenario)) -> Result<Played, String> {
    let mut world = scenario.world.clone();
    let mut run = scenario.start();
    let decisions: BTreeMap<String, &Call> = ast::calls(case).into_iter().collect();
    let mut snapshot = None;
    for _ in 0..TURNS_MAX {
        let stop_at = match (case.interrupt, &snapshot) {
            (Interrupt::Cancel(at), None) => at,
            (Interrupt::Kill(at), None) => at + 1,
            _ => usize::MAX,
        };
        let waits = loop {
            let next = stop_at.min(run.events.len() + 1);
            let waits = run.drive(&mut world, next);
            show(&run, &scenario);
            if case.prompt && !waits.doubts.is_empty() {
                break waits;
            }
            if run.events.len() >= stop_at || run.events.len() < next || waits.finished.is_some() {
                break waits;
            }
        };
        if run.events.len() >= stop_at && waits.finished.is_none() {
            snapshot = Some(interrupt(case.interrupt, &mut run, &world)?);
            continue;
        }
        if waits.finished.is_some() {
            let story = tell(&run, &world);
            return Ok(Played { scenario, run, world, snapshot, story });
        }
        settle(&mut run, &waits, &decisions)?;
    }
    Err(format!("the run has not ended after {TURNS_MAX} turns"))
}

fn interrupt(how: Interrupt, run: &mut MockRun, world: &MockWorld) -> Result<Snapshot, String> {
    let keep = match how {
        Interrupt::Kill(at) => at,
        _ => run.events.len(),
    };
    let facts = Facts::fold(&run.events[..keep]).map_err(|error| error.to_string())?;
    let mut snapshot =
        Snapshot { killed: matches!(how, Interrupt::Kill(_)), at_ms: milliseconds(run), ..Snapshot::default() };
    for event in &run.events[..keep] {
        let step = match &event.body {
            Body::StepStarted(intent) => &intent.step,
            Body::StepSkipped { step, .. } => step,
            Body::StepRetrying(retrying) => {
                *snapshot.retried.entry(retrying.step.to_string()).or_default() += 1;
                continue;
            }
            _ => continue,
        };
        *snapshot.starts.entry(step.to_string()).or_default() += 1;
    }
    let ended = facts.steps.iter().filter(|(_, record)| record.end().is_some() || record.skipped.is_some());
    snapshot.ended = ended.map(|(path, _)| path.to_string()).collect();
    // What an attempt around it has forgotten had ended as well.
    let forgotten = snapshot.starts.keys().filter(|path| !facts.steps.contains_key(path.as_str()));
    snapshot.ended.extend(forgotten.cloned().collect::<Vec<_>>());
    for (path, _) in facts.steps.iter().filter(|(_, record)| record.is_open()) {
        let made = world.calls.iter().filter(|(step, ..)| step == path.as_str()).count();
        snapshot.open.insert(path.to_string(), made);
        if run.machine.is_in_flight(path) {
            snapshot.in_flight.insert(path.to_string());
        }
    }
    match how {
        Interrupt::Kill(_) => run.crash(keep, ana()).map_err(|error| error.to_string())?,
        _ => run.machine.signal(Signal::Cancel { actor: ana(), reason: None }, run.now),
    }
    Ok(snapshot)
}

fn milliseconds(run: &MockRun) -> u64 {
    let start: jiff::Timestamp = NOW.parse().expect("a constant");
    u64::try_from(run.now.as_millisecond() - start.as_millisecond()).unwrap_or_default()
}

/// Does what only people and time can: decides a doubt, or lets a question expire.
fn settle(run: &mut MockRun, waits: &Waits, calls: &BTreeMap<String, &Call>) -> Result<(), String> {
    if let Some(step) = waits.doubts.first() {
        let call = calls.get(step.as_str()).ok_or_else(|| format!("`{step}` is in doubt, and it is no call"))?;
        let settled = run.events.iter().filter(|event| settles(&event.body, step)).count();
        let decision = *call.decisions.get(settled).or(call.decisions.last()).ok_or("a read is in doubt")?;
        let outputs = match decision {
            Decision::Done => Map::from([("json".to_owned(), Value::from_data(&json!({ "n": ADOPTED })))]),
            _ => Map::new(),
        };
        let signal =
            Signal::Decide { step: step.clone(), decision, outputs, actor: ana(), reason: "looked".to_owned() };
        run.machine.signal(signal, run.now);
        return Ok(());
    }
    let asked =
        run.facts().approvals.open().next().map(|open| (open.request.step.clone(), open.request.change.clone()));
    if let Some((step, change)) = asked {
        let actor = Actor::person("ben", "test", vec![]);
        run.machine.signal(Signal::Approve { step, change, actor, at: None, shown: None }, run.now);
        return Ok(());
    }
    match waits.expires {
        Some(expires) if waits.only_people() => {
            run.now = run.now.max(waits.limit.map_or(expires, |limit| limit.min(expires)));
        }
        _ => return Err(format!("the run stands still: {waits:?}")),
    }
    Ok(())
}

fn settles(body: &Body, path: &StepPath) -> bool {
    matches!(body, Body::OutcomeSet { step, .. } if step == path)
}

/// What the engine says of an ended run, in the model's words.
pub fn tell(run: &MockRun, world: &MockWorld) -> Story {
    let facts = run.facts();
    let end = facts.finished.as_ref();
    let steps = facts.steps.iter().filter_map(|(path, record)| match (&record.skipped, record.end()) {
        (Some(_), _) => Some((path.to_string(), "skipped")),
        (None, Some(finished)) => Some((path.to_string(), finished.outcome.word())),
        (None, None) => None,
    });
    let url = |args: &Map| match args.get("url") {
        Some(Value::Text(url)) => url.clone(),
        _ => String::new(),
    };
    Story {
        end: end.map_or("open", |end| end.outcome.word()),
        failed_step: end.and_then(|end| end.failed_step.as_ref()).map(StepPath::to_string),
        steps: steps.collect(),
        calls: world.calls.iter().map(|(step, _, args)| (step.clone(), url(args))).collect(),
        findings: facts.findings.iter().map(|finding| (finding.step.to_string(), finding.say.clone())).collect(),
    }
}

/// Where the engine and the model tell different stories; nothing if they agree.
pub fn difference(case: &Case, engine: &Story, model: &Story) -> Option<String> {
    let mut found = String::new();
    let mut differ = |what: &str, engine: String, model: String| {
        if engine != model {
            let _ = writeln!(found, "{what}: the engine says {engine}, the model {model}");
        }
    };
    differ("end", engine.end.to_owned(), model.end.to_owned());
    differ("failed step", format!("{:?}", engine.failed_step), format!("{:?}", model.failed_step));
    let groups = ast::groups(case);
    let paths: BTreeSet<&String> = engine.steps.keys().chain(model.steps.keys()).collect();
    for path in paths.into_iter().filter(|path| !groups.contains(*path)) {
        let word = |story: &Story| story.steps.get(path).copied().unwrap_or("nothing").to_owned();
        differ(path, word(engine), word(model));
    }
    // What happens side by side has no order but each step's own.
    let apart = ast::is_side_by_side(case);
    differ("calls", calls(engine, apart), calls(model, apart));
    differ("findings", findings(engine, apart), findings(model, apart));
    (!found.is_empty()).then_some(found)
}

fn calls(story: &Story, apart: bool) -> String {
    let mut calls: Vec<&(String, String)> = story.calls.iter().collect();
    if apart {
        calls.sort_by_key(|(path, _)| path);
    }
    let short =
        |(path, url): &(String, String)| format!("{path} → {}", url.trim_start_matches("http://w.example.com/"));
    format!("[{}]", calls.into_iter().map(short).collect::<Vec<_>>().join(", "))
}

fn findings(story: &Story, apart: bool) -> String {
    let mut findings: Vec<&(String, String)> = story.findings.iter().collect();
    if apart {
        findings.sort();
    }
    findings.into_iter().map(|(step, said)| format!("{step} {said}")).collect::<Vec<_>>().join(" | ")
}

/// The engine's run of a case, and whether the model could be asked about it.
pub struct Checked {
    pub played: Played,
    /// The outcome hangs on how long pauses turn out or people take, which the language leaves open.
    pub vague: bool,
}

/// Plays a case in the engine and in the model.
///
/// # Errors
/// What is different.
pub fn check(case: &Case) -> Result<Checked, String> {
    let played = drive(case, &mut |_, _| {})?;
    let (model, _) = model::play(case, played.snapshot.as_ref(), 0);
    let vague = is_vague(case, &played);
    match difference(case, &played.story, &model).filter(|_| !vague) {
        None => Ok(Checked { played, vague }),
        Some(difference) => Err(difference),
    }
}

/// Whether the language leaves open how a case ends: it hangs on how long the pauses between attempts are, or on
/// what comes first of a limit and a person's decision.
pub fn is_vague(case: &Case, played: &Played) -> bool {
    let (soon, open) = model::play(case, played.snapshot.as_ref(), 0);
    let (late, _) = model::play(case, played.snapshot.as_ref(), JITTER_MAX);
    open || soon != late
}

/// What the engine recorded, a line each.
pub fn events(case: &Case) -> String {
    let Ok(played) = drive(case, &mut |_, _| {}) else { return String::new() };
    let start: jiff::Timestamp = NOW.parse().expect("a constant");
    let lines = played.run.events.iter().map(|event| {
        let (step, more) = match &event.body {
            Body::StepStarted(intent) => (intent.step.to_string(), format!("@{}", intent.attempt)),
            Body::StepFinished(finished) => {
                let why = finished.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
                (finished.step.to_string(), format!("{} {why}", finished.outcome.word()))
            }
            Body::StepRetrying(retrying) => (retrying.step.to_string(), String::new()),
            Body::StepSkipped { step, .. } | Body::StepObserved { step, .. } => (step.to_string(), String::new()),
            Body::OutcomeSet { step, decision, .. } => (step.to_string(), format!("{decision:?}")),
            Body::RunFinished { outcome, .. } => (outcome.word().to_owned(), String::new()),
            _ => Default::default(),
        };
        let at = event.ts.as_millisecond() - start.as_millisecond();
        format!("{:>3} {at:>7} ms {} {step} {more}\n", event.seq, event.body.word())
    });
    lines.collect()
}

/// A case for people: its texts, what the world answers, and what happens to it.
pub fn shown(case: &Case) -> String {
    let (runbook, actions) = yaml::texts(case);
    let mut text = format!("# runbook\n{runbook}");
    for (name, action) in actions {
        let _ = write!(text, "\n# action {name}\n{action}");
    }
    text.push_str("\n# the world answers\n");
    for (path, call) in ast::calls(case) {
        let _ = writeln!(text, "{path}: {:?}, and of a doubt a person says {:?}", call.answers, call.decisions);
    }
    let _ = writeln!(text, "\n# interruption: {:?}", case.interrupt);
    text
}

/// What is different, without the names: equal for cases that fail alike.
pub fn kind_of(difference: &str) -> String {
    if let Some((_, code)) = difference.split_once("error[") {
        return code.chars().take_while(|c| *c != ']').collect();
    }
    let mut lines: Vec<String> = difference
        .lines()
        .filter(|line| !line.starts_with("calls") && !line.starts_with("findings") && !line.starts_with("failed step"))
        .map(|line| line.split_once(": the engine").map_or(line, |(_, said)| said).to_owned())
        .collect();
    lines.dedup();
    lines.join("; ")
}
