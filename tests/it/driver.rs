//! The local driver against a real store and real servers on this machine.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rerail::drivers::clock::now;
use rerail::drivers::gate::gated;
use rerail::drivers::local::Local;
use rerail::drivers::rehearsal::rehearse;
use rerail::drivers::roster::Roster;
use rerail::drivers::vault::Vault;
use rerail::drivers::watch::{Control, Foreground, Watcher, Why};
use rerail::engine::event::{Body, Event, Hold};
use rerail::engine::facts::Facts;
use rerail::engine::ids::{RunId, StepPath};
use rerail::engine::machine::{Machine, Signal, Start, Waits};
use rerail::engine::outcome::{Outcome, RunOutcome};
use rerail::journal::{Busy, Holder, Journal, Signal as Sent, Store, StoreKey};
use rerail::redact::Redactor;
use rerail::runbook::settings::Target;
use rerail::script::value::{Map, Value};
use rerail::steps::world::{World, WorldSettings};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::scenario::{Scenario, ana};
use crate::tmpfs::Disk;

/// Longer than anything here takes on a busy machine; a wait that reaches it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that answers each request, given whole, with what a function says.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    let Some(request) = read_request(&stream) else { return };
                    seen.lock().unwrap().push(request.clone());
                    let body = answer(&request);
                    let head =
                        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                    // A client that has gone away is a part of some tests.
                    (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(body.as_bytes())).ok();
                });
            }
        });
        Server { url, requests }
    }

    fn count(&self, start: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.starts_with(start)).count()
    }
}

fn read_request(mut stream: &TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend(&chunk[..n]),
        }
    }
}

/// Everything a driver showed.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<Event>>>);

impl Watcher for Shown {
    fn events(&mut self, events: &[Event], _facts: &Facts) {
        self.0.lock().unwrap().extend(events.iter().cloned());
    }
    fn waiting(&mut self, _waits: &Waits, _facts: &Facts) {}
}

type AtGate = Arc<dyn Fn(&Store) + Send + Sync>;

/// A store in a directory, and how runs in it are driven.
struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    run: RunId,
    attended: bool,
    target: Target,
    shown: Shown,
    /// Done between taking the run and driving it.
    once_taken: Option<Box<dyn Fn() + Send + Sync>>,
    /// Done before each question of the gate.
    at_gate: Option<AtGate>,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        Bench::with(dir, store)
    }

    fn with(dir: tempfile::TempDir, store: Store) -> Bench {
        let run = RunId::new(uuid::Uuid::now_v7());
        Bench {
            dir,
            store,
            run,
            attended: false,
            target: Target::default(),
            shown: Shown::default(),
            once_taken: None,
            at_gate: None,
        }
    }

    /// Starts the run, or takes it up if it is there, and drives it as far as it goes.
    fn drive(&self, scenario: &Scenario) -> (Facts, Why) {
        self.drive_with(scenario, unbounded_channel().1)
    }

    fn drive_with(&self, scenario: &Scenario, control: UnboundedReceiver<Control>) -> (Facts, Why) {
        let drive = Arc::new(self.store.acquire(self.run, holder()).unwrap());
        if let Some(work) = &self.once_taken {
            work();
        }
        let (program, sandbox) = (Arc::clone(&scenario.program), Arc::clone(&scenario.sandbox));
        let machine = match self.store.load(self.run) {
            Ok(events) => {
                let mut machine = Machine::load(program, sandbox, &events).unwrap();
                machine.signal(Signal::Resume { actor: ana(), reason: None, fence: drive.fence() }, now());
                machine
            }
            Err(_) => Machine::start(program, sandbox, start(self.run), now()).unwrap(),
        };
        let redactor = Redactor::new();
        let settings = WorldSettings::of(self.dir.path(), &Default::default(), Some(&self.target), &redactor);
        let world = World::new(settings);
        for name in self.target.secrets.keys() {
            world.learn_secret(name).unwrap();
        }
        let asked = gated(&world, &drive);
        let (at_gate, store) = (self.at_gate.clone(), self.store.clone());
        let world = asked.gated({
            let asked = asked.clone();
            move || {
                if let Some(work) = &at_gate {
                    work(&store);
                }
                asked.gate()
            }
        });
        let watcher = Box::new(self.shown.clone());
        let foreground = Foreground { watcher, control, attended: self.attended, actor: ana() };
        let vault = Arc::new(Vault::of_store(&self.store, drive.run(), &redactor));
        let roster = Roster::nobody();
        let local = Local { store: &self.store, drive: &drive, world, redactor, vault, foreground, roster };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(local.run(machine, Vec::new()))
    }

    fn events(&self) -> Vec<Event> {
        self.store.events(self.run).unwrap()
    }

    /// Another process's view of the store.
    fn other(&self) -> Store {
        Store::open(self.store.dir()).unwrap()
    }

    fn words(&self) -> Vec<&'static str> {
        self.events().iter().map(|event| event.body.word()).collect()
    }
}

fn start(run: RunId) -> Start {
    Start {
        run,
        inputs: Map::new(),
        target: None,
        root: None,
        files: Vec::new(),
        providers: Map::new(),
        actor: ana(),
        reason: None,
        incident: None,
        fence: 0,
        group: None,
        previous: None,
        floors: None,
        cover: None,
        plan: None,
        traceparent: None,
        rehearsal: false,
    }
}

fn holder() -> Holder {
    Holder { pid: std::process::id(), host: "here".into(), user: "ana".into(), since: now() }
}

fn post(id: &str, url: &str) -> String {
    format!("  - {{ id: {id}, uses: http.request, with: {{ method: POST, url: '{url}/{id}' }} }}\n")
}

fn get(id: &str, url: &str) -> String {
    format!("  - {{ id: {id}, uses: http.request, with: {{ method: GET, url: '{url}/{id}' }} }}\n")
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A door that requests wait at until the test opens it; it opens for all of them.
fn door() -> (mpsc::Sender<()>, impl Fn() + Send + Sync) {
    let (open, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let wait = move || {
        wait.lock().unwrap().recv_timeout(PATIENCE).ok();
    };
    (open, wait)
}

fn outcome(facts: &Facts, step: &str) -> Outcome {
    facts.step(&StepPath::new(step)).and_then(|record| record.finished.as_ref()).expect(step).outcome
}

fn ended(facts: &Facts) -> RunOutcome {
    facts.finished.as_ref().expect("the run has ended").outcome
}

#[test]
fn twenty_writes_cost_at_most_twenty_two_flushes() {
    let server = Server::start(|_| "{}".into());
    let steps: String = (1..=20).map(|i| post(&format!("w{i}"), &server.url)).collect();
    let bench = Bench::new();
    let (facts, why) = bench.drive(&Scenario::new(&format!("steps:\n{steps}")));
    assert_eq!((why, ended(&facts)), (Why::Ended, RunOutcome::Success));
    assert_eq!(server.count("POST"), 20);
    let flushes = bench.store.commits().flushes;
    assert!((21..=22).contains(&flushes), "{flushes} flushes");
    let durable = Facts::fold(&bench.events()).unwrap();
    assert_eq!((durable.finished, durable.steps), (facts.finished, facts.steps), "what is handed back is durable");
}

#[test]
fn reads_cost_no_flush_and_are_in_the_journal_while_the_next_one_still_hangs() {
    let (open, wait) = door();
    let server = Server::start(move |request| {
        if request.starts_with("GET /hang") {
            wait();
        }
        "{}".into()
    });
    let steps: String = ["a", "b", "c", "hang"].iter().map(|id| get(id, &server.url)).collect();
    let scenario = Scenario::new(&format!("steps:\n{steps}"));
    let bench = Bench::new();
    thread::scope(|scope| {
        let driven = scope.spawn(|| bench.drive(&scenario));
        let other = bench.other();
        eventually("three reads in the journal", || {
            let events = other.events(bench.run).unwrap_or_default();
            events.iter().filter(|event| event.body.word() == "step.finished").count() == 3
        });
        assert_eq!(bench.store.commits().flushes, 1, "only the start of the run");
        open.send(()).unwrap();
        let (facts, why) = driven.join().unwrap();
        assert_eq!((why, ended(&facts)), (Why::Ended, RunOutcome::Success));
    });
    assert_eq!(bench.store.commits().flushes, 2, "and its end");
}

#[test]
fn a_slow_write_survives_a_renewal_that_fails_and_happens_once() {
    let (open, wait) = door();
    let server = Server::start(move |_| {
        wait();
        "{}".into()
    });
    let scenario = Scenario::new(&format!("steps:\n{}", post("slow", &server.url)));
    let bench = Bench::new();
    thread::scope(|scope| {
        let driven = scope.spawn(|| bench.drive(&scenario));
        eventually("the request", || server.count("POST") == 1);
        let blocker = rusqlite::Connection::open(bench.store.file()).unwrap();
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        // Until one renewal has been due (3 s) and has given up waiting for the lock (5 s).
        thread::sleep(Duration::from_millis(8_800));
        blocker.execute_batch("ROLLBACK").unwrap();
        open.send(()).unwrap();
        let (facts, why) = driven.join().unwrap();
        assert_eq!((why, ended(&facts)), (Why::Ended, RunOutcome::Success));
    });
    assert_eq!(server.count("POST"), 1);
}

#[test]
fn a_full_disk_pauses_the_run_and_it_resumes_to_the_same_end() {
    let Some(disk) = Disk::of("96m") else { return };
    let disk = Arc::new(disk);
    // The server outlives the test, and must not keep its disk mounted.
    let filled = Arc::downgrade(&disk);
    let server = Server::start(move |request| {
        if let Some(disk) = filled.upgrade().filter(|_| request.starts_with("POST /one")) {
            disk.fill();
        }
        // Too large for what the log has left inside its pages.
        "x".repeat(200_000)
    });
    let text = format!("steps:\n{}{}", post("one", &server.url), post("two", &server.url));
    let scenario = Scenario::new(&text);
    let store = Store::open(&disk.path().join("store")).unwrap();
    let bench = Bench::with(tempfile::tempdir().unwrap(), store);
    let (facts, why) = bench.drive(&scenario);
    let Why::Paused(reason) = &why else { panic!("{why:?}") };
    assert!(reason.contains("is full"), "{reason}");
    assert_eq!(outcome(&facts, "one"), Outcome::Done, "recorded from the reserve");
    assert_eq!(Facts::fold(&bench.events()).unwrap(), facts, "what is handed back is what is durable");
    assert_eq!(facts.step(&StepPath::new("two")), None, "nothing new has started");
    assert_eq!((server.count("POST /one"), server.count("POST /two")), (1, 0));

    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    let (facts, why) = bench.drive(&scenario);
    assert_eq!((why, ended(&facts)), (Why::Ended, RunOutcome::Success));
    assert_eq!((server.count("POST /one"), server.count("POST /two")), (1, 1));
}

#[test]
fn a_run_that_cannot_be_recorded_has_not_begun_and_shows_no_id() {
    let Some(disk) = Disk::of("2m") else { return };
    let server = Server::start(|_| "{}".into());
    // Too large for what the log has left inside its pages.
    let note = "x".repeat(60_000);
    let text = format!("vars: {{ note: '{note}' }}\nsteps:\n{}", get("look", &server.url));
    let store = Store::open(&disk.path().join("store")).unwrap();
    let mut bench = Bench::with(tempfile::tempdir().unwrap(), store);
    bench.once_taken = Some(Box::new(move || drop(disk.fill())));
    let (facts, why) = bench.drive(&Scenario::new(&text));
    assert!(matches!(&why, Why::Paused(reason) if reason.contains("has not begun")), "{why:?}");
    assert_eq!(facts, Facts::default());
    assert!(bench.shown.0.lock().unwrap().is_empty(), "the first thing shown is durable");
    assert_eq!(server.count("GET"), 0);
}

#[test]
fn a_second_driver_is_told_who_drives_the_run() {
    let (open, wait) = door();
    let server = Server::start(move |_| {
        wait();
        "{}".into()
    });
    let scenario = Scenario::new(&format!("steps:\n{}", get("look", &server.url)));
    let bench = Bench::new();
    thread::scope(|scope| {
        let driven = scope.spawn(|| bench.drive(&scenario));
        eventually("the request", || server.count("GET") == 1);
        let busy = bench.other().acquire(bench.run, holder()).unwrap_err();
        assert!(matches!(&busy, Busy::Held { holder: Some(holder) } if holder.user == "ana"), "{busy}");
        open.send(()).unwrap();
        assert_eq!(driven.join().unwrap().1, Why::Ended);
    });
}

#[test]
fn a_cancel_from_another_process_stops_a_living_driver_before_its_next_write() {
    let (open, wait) = door();
    let server = Server::start(move |_| {
        wait();
        "{}".into()
    });
    let scenario = Scenario::new(&format!("steps:\n{}{}", post("one", &server.url), post("two", &server.url)));
    let bench = Bench::new();
    thread::scope(|scope| {
        let driven = scope.spawn(|| bench.drive(&scenario));
        eventually("the request", || server.count("POST") == 1);
        let cancel = Sent::new(Body::RunCancelled { actor: ana(), reason: Some("enough".into()) }).unwrap();
        bench.other().signal(bench.run, &cancel).wait().unwrap();
        eventually("the cancel in the journal", || bench.words().contains(&"run.cancelled"));
        open.send(()).unwrap();
        let (facts, why) = driven.join().unwrap();
        assert_eq!((why, ended(&facts)), (Why::Ended, RunOutcome::Cancelled));
        assert_eq!(outcome(&facts, "one"), Outcome::Done);
    });
    assert_eq!(server.count("POST"), 1);
    assert!(bench.store.pending_signals(bench.run).unwrap().is_empty());
}

#[test]
fn an_answer_from_another_process_moves_a_waiting_driver() {
    let scenario = Scenario::new(
        "steps:\n  - { id: ask, uses: human.ask, with: { text: 'go on?', choices: ['yes it is', 'not now'] } }\n",
    );
    let mut bench = Bench::new();
    bench.attended = true;
    thread::scope(|scope| {
        let driven = scope.spawn(|| bench.drive(&scenario));
        let other = bench.other();
        eventually("the question", || {
            other.events(bench.run).unwrap_or_default().iter().any(|event| event.body.word() == "ask.asked")
        });
        let step = StepPath::new("ask");
        let answer = Sent::new(Body::AskAnswered { step, answer: "yes it is".into(), actor: ana(), at: None }).unwrap();
        other.signal(bench.run, &answer).wait().unwrap();
        let (facts, why) = driven.join().unwrap();
        assert_eq!((why, ended(&facts)), (Why::Ended, RunOutcome::Success));
    });
}

#[test]
fn ten_megabytes_of_answer_stay_bounded_and_come_back_at_resumption() {
    let server = Server::start(|_| "y".repeat(10 << 20));
    let text =
        format!("steps:\n{}  - {{ id: ask, uses: human.ask, with: {{ text: 'go on?' }} }}\n", get("big", &server.url));
    let scenario = Scenario::new(&text);
    let bench = Bench::new();
    let (facts, why) = bench.drive(&scenario);
    assert_eq!(why, Why::Waiting);
    let kept = |facts: &Facts| {
        let outputs = &facts.step(&StepPath::new("big")).unwrap().end().unwrap().outputs;
        let bytes = outputs.get("text").and_then(Value::as_text).map_or(0, str::len);
        (bytes, outputs.get("body_bytes").cloned())
    };
    assert_eq!(kept(&facts), (1 << 20, Some(Value::Int(10 << 20))));
    assert!(bench.store.lines(bench.run).unwrap().iter().all(|line| line.json.len() < 10_000));
    let stored: u64 = files(bench.store.dir()).iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert!(stored < 12 << 20, "{stored} bytes, 4 MiB of them in reserve");

    let answer = Body::AskAnswered { step: StepPath::new("ask"), answer: "yes it is".into(), actor: ana(), at: None };
    bench.other().signal(bench.run, &Sent::new(answer).unwrap()).wait().unwrap();
    let (again, why) = bench.drive(&scenario);
    assert_eq!((why, kept(&again)), (Why::Ended, kept(&facts)));
    assert_eq!(server.count("GET"), 1, "what is in the journal isn't asked again");
}

#[test]
fn a_secret_that_a_server_echoes_or_a_person_types_is_nowhere() {
    const SECRET: &str = "hunter2-correct-horse";
    let server = Server::start(|request| request.to_owned());
    let text = format!(
        "secrets: [TOKEN]
steps:
  - id: echo
    uses: http.request
    with:
      method: POST
      url: ${{{{ '{url}/?key=' + secrets.TOKEN }}}}
      headers: {{ Authorization: 'Bearer ${{{{ secrets.TOKEN }}}}' }}
      expect: {{ status: 204 }}
    continue_on_failure: true
  - {{ id: ask, uses: human.ask, with: {{ text: 'go on?' }} }}
",
        url = server.url
    )
    .replace("'http", "\"http")
    .replace("=' +", "=\" +");
    let scenario = Scenario::new(&text);
    let mut bench = Bench::new();
    let secret = bench.dir.path().join("token");
    std::fs::write(&secret, SECRET).unwrap();
    let yaml = format!("version: 1\ntitle: Here\nsecrets:\n  TOKEN: {{ from: file, path: {} }}\n", secret.display());
    let source = rerail::runbook::source::Source::new("targets/here.yaml", yaml);
    bench.target = rerail::runbook::settings::read_target(&source).0;
    assert_eq!(bench.drive(&scenario).1, Why::Waiting);
    assert!(server.requests.lock().unwrap()[0].contains(SECRET), "it was sent");

    for (path, bytes) in files(bench.store.dir()) {
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "{}", path.display());
    }

    let signals = [
        Body::AskAnswered {
            step: StepPath::new("ask"),
            answer: format!("yes {SECRET}").into(),
            actor: ana(),
            at: None,
        },
        Body::Note { text: format!("it is {SECRET}"), actor: Some(ana()), step: None },
    ];
    for body in signals {
        bench.other().signal(bench.run, &Sent::new(body).unwrap()).wait().unwrap();
    }
    let (facts, why) = bench.drive(&scenario);
    assert_eq!(why, Why::Ended);
    let lines = bench.store.lines(bench.run).unwrap();
    let record: String = lines.iter().map(|line| line.json.as_str()).collect();
    assert!(record.contains("[redacted:TOKEN]"), "{record}");
    assert!(!record.contains(SECRET), "{record}");
    assert!(!format!("{:?} {facts:?}", bench.shown.0.lock().unwrap()).contains(SECRET));
}

#[test]
fn ctrl_c_twice_leaves_a_write_in_doubt_in_the_record_and_begins_nothing() {
    let (open, wait) = door();
    let server = Server::start(move |_| {
        wait();
        "{}".into()
    });
    let text = format!("steps:\n{}finally:\n{}", post("slow", &server.url), post("tidy", &server.url));
    let scenario = Scenario::new(&text);
    let bench = Bench::new();
    let (press, control): (UnboundedSender<Control>, _) = unbounded_channel();
    thread::scope(|scope| {
        let driven = scope.spawn(|| bench.drive_with(&scenario, control));
        eventually("the request", || server.count("POST") == 1);
        press.send(Control::Interrupt).unwrap();
        press.send(Control::Interrupt).unwrap();
        let (facts, why) = driven.join().unwrap();
        assert_eq!(why, Why::Interrupted);
        assert_eq!(outcome(&facts, "slow"), Outcome::InDoubt);
        assert_eq!(Facts::fold(&bench.events()).unwrap(), facts);
    });
    drop(open);
    let started = |step: &str| {
        let is = |event: &Event| matches!(&event.body, Body::StepStarted(intent) if intent.step.as_str() == step);
        bench.events().iter().any(is)
    };
    assert!(started("slow") && !started("finally/tidy"));
}

#[test]
fn an_outcome_that_lands_after_the_run_was_taken_over_becomes_evidence() {
    let (open, wait) = door();
    let server = Server::start(move |_| {
        wait();
        "{}".into()
    });
    let scenario = Scenario::new(&format!("steps:\n{}", post("slow", &server.url)));
    let bench = Bench::new();
    thread::scope(|scope| {
        let driven = scope.spawn(|| bench.drive(&scenario));
        eventually("the request", || server.count("POST") == 1);
        // As if the driver had been silent for longer than its lease.
        let sql = rusqlite::Connection::open(bench.store.file()).unwrap();
        sql.busy_timeout(PATIENCE).unwrap();
        sql.execute("UPDATE leases SET expires = 0", []).unwrap();
        let taken = bench.other().acquire(bench.run, holder()).unwrap();
        open.send(()).unwrap();
        let (_, why) = driven.join().unwrap();
        assert!(matches!(&why, Why::Paused(reason) if reason.contains("no longer driven from here")), "{why:?}");
        drop(taken);
    });
    let (facts, why) = bench.drive(&scenario);
    assert_eq!(why, Why::InDoubt);
    assert_eq!(outcome(&facts, "slow"), Outcome::InDoubt, "evidence changes nothing by itself");
    let evidence = bench.events().into_iter().find_map(|event| match event.body {
        Body::Evidence { step, outcome, .. } => Some((step, outcome)),
        _ => None,
    });
    assert_eq!(evidence, Some((StepPath::new("slow"), Outcome::Done)));
    assert_eq!(server.count("POST"), 1);
}

#[test]
fn a_hold_set_between_the_decision_and_the_first_byte_stops_the_write_and_loses_nothing() {
    let server = Server::start(|_| "{}".into());
    let scenario = Scenario::new(&format!("steps:\n{}", post("write", &server.url)));
    let mut bench = Bench::new();
    let hold = Hold { actor: ana(), since: now(), reason: "freeze".into() };
    let (first, set) = (std::sync::Once::new(), hold.clone());
    bench.at_gate = Some(Arc::new(move |store: &Store| {
        first.call_once(|| drop(store.put_on_hold(set.clone()).wait().unwrap()));
    }));
    let (facts, why) = bench.drive(&scenario);
    assert_eq!((why, server.count("POST")), (Why::Held(hold), 0));
    assert!(facts.doubts().next().is_none() && facts.finished.is_none());
    let words: Vec<_> = bench.events().iter().map(|event| event.body.word()).collect();
    assert_eq!(words, ["run.started", "step.started", "step.finished", "hold.on"]);

    // As if its process had died right there: what is known stays known.
    bench.store.lift_hold(ana(), now()).wait().unwrap();
    let (facts, why) = bench.drive(&scenario);
    assert_eq!((why, ended(&facts), server.count("POST")), (Why::Ended, RunOutcome::Success, 1));
    assert_eq!(facts.step(&"write".into()).unwrap().next_attempt(), 3);
}

#[test]
fn ctrl_c_ends_the_look_a_rehearsal_hangs_in_and_cancels_it() {
    let (open, wait) = door();
    let server = Server::start(move |_| {
        wait();
        "{}".into()
    });
    let text = format!("steps:\n{}{}", get("hang", &server.url), get("next", &server.url));
    let scenario = Scenario::new(&text);
    let (press, control) = unbounded_channel();
    let run = RunId::new(uuid::Uuid::now_v7());
    let start = Start { rehearsal: true, ..start(run) };
    let machine = Machine::start(scenario.program.clone(), scenario.sandbox.clone(), start, now()).unwrap();
    thread::scope(|scope| {
        let rehearsed = scope.spawn(|| {
            let watcher = Box::new(Shown::default());
            let mut foreground = Foreground { watcher, control, attended: true, actor: ana() };
            let world = World::new(WorldSettings::default());
            let vault = Vault::in_memory(StoreKey::ephemeral(), run, &Redactor::new());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(rehearse(machine, world, Redactor::new(), &vault, &mut foreground)).1
        });
        eventually("the look", || server.count("GET /hang") == 1);
        press.send(Control::Interrupt).unwrap();
        let machine = rehearsed.join().unwrap();
        assert_eq!(ended(machine.facts()), RunOutcome::Cancelled);
    });
    drop(open);
    assert_eq!(server.count("GET /next"), 0);
}

fn files(dir: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}
