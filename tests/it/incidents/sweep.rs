//! What every runbook that puts something right has to stand: whatever breaks at whichever call, a kill at any boundary, a
//! plan that names what will be written. Never a write that is made twice, never a success that is none, always an end that
//! is known, and no secret anywhere.

#![expect(clippy::print_stdout, reason = "how much was tried is part of what a test says")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use rerail::engine::change::{Change, difference};
use rerail::engine::facts::Facts;
use rerail::engine::outcome::RunOutcome;
use rerail::engine::plan::SavedPlan;
use rerail::runbook::spec::Effect;
use rerail::runs::{Left, Why};
use serde_json::json;

use crate::binary::kit::{Place as Apart, Said, from_env};
use crate::runbooks::Place;
use crate::transcripts::Transcript;
use crate::world::faults::Fault;
use crate::world::served::Calls;

/// Runs at a time: they wait for the pause before the next attempt more than they compute.
const BROKEN_AT_A_TIME: usize = 24;
/// Processes at a time: they wait for the disk more than they compute.
const KILLED_AT_A_TIME: usize = 2;
/// A read breaks off or it doesn't; whether it was heard makes no difference.
const OF_READS: [Fault; 4] = [Fault::LostAnswer, Fault::TooMany, Fault::BrokenBefore, Fault::CutAnswer];

/// Something is broken, and a shipped runbook puts it right.
pub trait Incident: Sync {
    /// The platforms of one run, served.
    type World: Send;

    fn runbook(&self) -> &'static str;

    /// A new one, broken as this incident breaks it.
    fn world(&self) -> Self::World;

    /// What is asked of the platforms: the list they share.
    fn calls<'w>(&self, world: &'w Self::World) -> &'w Calls;

    /// The target; credentials go into files in `keys`.
    fn target(&self, world: &Self::World, keys: &Path) -> String;

    /// Inputs with which nobody waits for longer than it takes.
    fn inputs(&self, world: &Self::World) -> Vec<(String, String)>;

    fn is_write(&self, call: &str) -> bool;

    /// Calls that stand for many equal ones, such as the looks of a wait: only the first is broken.
    fn is_look(&self, call: &str) -> bool;

    /// What was done to the platforms, how often.
    fn effects(&self, world: &Self::World) -> BTreeMap<String, usize>;

    /// Whether users are served again.
    fn is_well(&self, world: &Self::World) -> bool;

    /// Waits until what was sent by processes that are gone has been heard.
    fn settle(&self, world: &Self::World);

    /// Texts that must be seen nowhere.
    fn secrets(&self) -> Vec<String>;

    /// Files of the project beside the target, such as `rerail.yaml`.
    fn files(&self, _: &Self::World) -> Vec<(String, String)> {
        Vec::new()
    }

    /// What a run may come to when one call broke. Without a word of its own: as if nothing had.
    fn judge(&self, world: &Self::World, left: &Left, clean: &BTreeMap<String, usize>) -> Result<(), String> {
        all_the_same(self, world, left, clean)
    }
}

/// The run went on over what broke, to the same end.
pub fn all_the_same<I: Incident + ?Sized>(
    incident: &I,
    world: &I::World,
    left: &Left,
    clean: &BTreeMap<String, usize>,
) -> Result<(), String> {
    let done = incident.effects(world);
    let end = left.facts.finished.as_ref().map(|end| (end.outcome, &end.error));
    match end {
        _ if done != *clean => Err(format!("{done:?} in the place of {clean:?}: {end:?}")),
        _ if left.why != Why::Ended => Err(format!("left as {:?}", left.why)),
        Some((RunOutcome::Success, _)) if incident.is_well(world) => Ok(()),
        end => Err(format!("{end:?}, well: {}", incident.is_well(world))),
    }
}

/// The run may stop over what broke, and then says so: nothing was done twice, and a success is one.
pub fn honest<I: Incident + ?Sized>(
    incident: &I,
    world: &I::World,
    left: &Left,
    clean: &BTreeMap<String, usize>,
) -> Result<(), String> {
    let done = incident.effects(world);
    if let Some((what, times)) = done.iter().find(|(what, times)| **times > clean.get(*what).copied().unwrap_or(0)) {
        return Err(format!("{what} was done {times} times"));
    }
    let outcome = left.facts.finished.as_ref().map(|end| end.outcome);
    match outcome {
        Some(RunOutcome::Success) => all_the_same(incident, world, left, clean),
        Some(RunOutcome::Failed) if left.why == Why::Ended => Ok(()),
        // A person is asked what became of a write that nobody can know of.
        None if left.why == Why::InDoubt => Ok(()),
        other => Err(format!("{other:?}, left as {:?}", left.why)),
    }
}

/// The unbroken run: the incident is put right.
#[track_caller]
pub fn put_right<I: Incident>(incident: &I) -> (I::World, Facts) {
    let world = incident.world();
    let left = run(incident, &world);
    let end = left.facts.finished.as_ref().map(|end| (end.outcome, end.error.clone()));
    assert_eq!(left.why, Why::Ended, "{end:?}");
    assert_eq!(end.as_ref().map(|end| end.0), Some(RunOutcome::Success), "{end:?}");
    assert!(incident.is_well(&world), "it ended well, and nobody is served");
    (world, left.facts)
}

fn run<I: Incident>(incident: &I, world: &I::World) -> Left {
    let (_keys, place) = place(incident, world);
    run_at(incident, world, &place)
}

fn run_at<I: Incident>(incident: &I, world: &I::World, place: &Place) -> Left {
    let inputs = incident.inputs(world);
    let inputs: Vec<(&str, &str)> = inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let left = place.run(incident.runbook(), &inputs);
    Needles::of(incident).assert_none_below(place.root());
    left
}

/// A store and a project, and credentials that are in neither.
fn place<I: Incident>(incident: &I, world: &I::World) -> (tempfile::TempDir, Place) {
    let keys = tempfile::tempdir().unwrap();
    let place = Place::new().target(&incident.target(world, keys.path()));
    for (path, text) in incident.files(world) {
        let path = place.project().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    (keys, place)
}

/// Breaks each call of the unbroken run in each way.
#[track_caller]
pub fn every_call_broken<I: Incident>(incident: &I) {
    let (world, _) = put_right(incident);
    let clean = incident.effects(&world);
    let names = incident.calls(&world).names();
    let mut cases = Vec::new();
    for (number, call) in names.iter().enumerate() {
        if incident.is_look(call) && names[..number].contains(call) {
            continue;
        }
        let faults: &[Fault] = if incident.is_write(call) { &Fault::ALL } else { &OF_READS };
        cases.extend(faults.iter().map(|fault| (number, call, *fault)));
    }
    assert!(names.iter().any(|call| incident.is_write(call)), "nothing is written: {names:?}");
    println!("{}: {} calls, {} ways to break", incident.runbook(), names.len(), cases.len());
    keep_calls(incident.runbook(), &names);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..BROKEN_AT_A_TIME {
            scope.spawn(|| {
                while let Some((number, call, fault)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let world = incident.world();
                    incident.calls(&world).breaks(*number, *fault);
                    let left = run(incident, &world);
                    if let Err(why) = incident.judge(&world, &left, &clean) {
                        wrong.lock().unwrap().push(format!("{fault:?} at call {number}, {call}: {why}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Writes down what an unbroken run asks of the platforms, a call a line, below `target/tmp/incidents`.
fn keep_calls(runbook: &str, names: &[String]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("incidents");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{runbook}.txt")), names.join("\n") + "\n").unwrap();
}

/// A store and a project for processes of their own, and the inputs.
fn apart<I: Incident>(incident: &I, world: &I::World) -> (Apart, Vec<String>) {
    let mut place = Apart::new();
    let keys = place.beside("home");
    place = place.file("targets/here.yaml", incident.target(world, &keys));
    for (path, text) in incident.files(world) {
        place = place.file(&path, text);
    }
    let inputs = incident.inputs(world).into_iter().map(|(name, value)| format!("{name}={value}"));
    (place, inputs.collect())
}

/// Exit codes of a run that ended well, whatever it found.
const OK_OR_CRITICAL: [i32; 2] = [0, 12];

/// Rehearses it and runs it as people do, and keeps what they read.
#[track_caller]
pub fn told<I: Incident>(incident: &I) {
    let world = incident.world();
    let (place, inputs) = apart(incident, &world);
    Transcript::begun(|args| place.ask(args), incident.runbook(), &inputs, &OK_OR_CRITICAL).ends();
    assert!(incident.is_well(&world), "{}: it ended well, and nobody is served", incident.runbook());
}

/// Kills the program at every so many of its boundaries, and takes the run up again: the same end, each write once.
/// `RERAIL_BOUNDARIES=1` tries every one.
#[track_caller]
pub fn killed_everywhere<I: Incident>(incident: &I, stride: u64) {
    let (world, _) = put_right(incident);
    let clean = incident.effects(&world);
    let stride = from_env("RERAIL_BOUNDARIES", stride);
    let (next, over) = (AtomicU64::new(1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..KILLED_AT_A_TIME {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    if !killed_at(incident, &clean, next.fetch_add(stride, Ordering::SeqCst)) {
                        over.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let tried = next.into_inner() / stride;
    println!("{}: {tried} boundaries", incident.runbook());
    assert!(tried > 5, "{tried} boundaries");
}

/// Whether the run passed as many boundaries.
fn killed_at<I: Incident>(incident: &I, clean: &BTreeMap<String, usize>, k: u64) -> bool {
    let world = incident.world();
    let (place, inputs) = apart(incident, &world);
    let mut args = vec!["run", incident.runbook(), "--target", "here", "--yes", "-o", "jsonl"];
    args.extend(inputs.iter().flat_map(|input| ["-i", input.as_str()]));
    let log = place.beside("points");
    let mut command = place.rerail(&args);
    command.env("RERAIL_CRASH_AT", k.to_string()).env("RERAIL_CRASH_LOG", &log);
    let said = Said::of(&["run"], command.output().unwrap());
    let passed = std::fs::read_to_string(&log).unwrap_or_default();
    let when = format!("killed at point {k}, {}", passed.lines().last().unwrap_or_default());
    if !said.was_killed() {
        assert_eq!(said.code(), Some(0), "{when}: {said:?}");
        return false;
    }
    incident.settle(&world);
    let needles = Needles::of(incident);
    if place.events().is_empty() {
        assert!(incident.effects(&world).is_empty(), "{when}: a write left before anything was recorded");
        place.ask(&args).exits(0);
    } else if place.json(&["show", "@last"])["status"] != "success" {
        let said = place.ask(&["resume", "@last", "-o", "jsonl"]);
        needles.assert_none(&when, format!("{}{}", said.stdout, said.stderr).as_bytes());
        assert_eq!(said.code(), Some(0), "{when}: {said:?}");
    }
    assert_eq!(incident.effects(&world), *clean, "{when}");
    assert!(incident.is_well(&world), "{when}");
    needles.assert_none_below(place.state());
    place.assert_journal_is_whole(&when);
    true
}

/// The plan changes nothing, and has every write that the run then makes. How many those are.
#[track_caller]
pub fn plan_covers<I: Incident>(incident: &I) -> usize {
    let world = incident.world();
    let (_keys, place) = place(incident, &world);
    let plan = place.plan(incident.runbook(), &incident.inputs(&world));
    assert!(incident.effects(&world).is_empty(), "a plan writes nothing: {:?}", incident.effects(&world));
    Needles::of(incident).assert_none_below(place.root());
    // In the same store, by whose key fingerprints are made.
    let left = run_at(incident, &world, &place);
    assert_eq!(left.why, Why::Ended);
    assert_eq!(left.facts.finished.as_ref().map(|end| end.outcome), Some(RunOutcome::Success));
    let written = covered(&plan, &left.facts);
    assert!(written > 0, "nothing was written");
    written
}

/// The number of writes a run made; the plan has each of them, with these arguments.
#[track_caller]
pub fn covered(plan: &SavedPlan, facts: &Facts) -> usize {
    let cover = plan.cover("sha256:1");
    let mut written = 0;
    for (path, record) in &facts.steps {
        let Some(intent) = record.started.as_ref().map(|started| &started.intent) else { continue };
        if intent.key.is_none() || intent.effect < Effect::Write {
            continue;
        }
        written += 1;
        let same = cover.at(path).is_some_and(|then| {
            let now = Change { with: intent.with.clone(), ..then.clone() };
            difference(then, &now).is_empty()
        });
        assert!(same || cover.leaves_open(path), "the plan lacks `{path}`: {:?}", cover.at(path));
    }
    written
}

/// Secrets in the forms they are likeliest to be found in.
pub struct Needles(AhoCorasick);

impl Needles {
    fn of<I: Incident + ?Sized>(incident: &I) -> Needles {
        Needles::new(&incident.secrets())
    }

    pub fn new(secrets: &[String]) -> Needles {
        let forms = secrets.iter().flat_map(|secret| {
            let json = json!(secret).to_string();
            let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
            let percent = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
            [secret.clone(), json.trim_matches('"').to_owned(), encoded[..encoded.len() - 2].to_owned(), percent]
        });
        Needles(AhoCorasick::new(forms).unwrap())
    }

    #[track_caller]
    pub fn assert_none(&self, what: &str, bytes: &[u8]) {
        let found = self.0.find(bytes).map(|found| String::from_utf8_lossy(&bytes[found.range()]).into_owned());
        assert_eq!(found, None, "{what} holds a secret");
    }

    /// No file below a directory holds one.
    #[track_caller]
    pub fn assert_none_below(&self, folder: &Path) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                self.assert_none_below(&path);
            } else {
                self.assert_none(&path.display().to_string(), &std::fs::read(&path).unwrap());
            }
        }
    }
}
