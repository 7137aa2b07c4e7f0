//! S1: the memory and CPU time of a server that waits. S2: how soon a start is answered. S3: how soon an event is told.
//! S4: how soon another server takes over.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::measure::{Row, in_turn, median, shown, timed};
use crate::probes::Server as Web;
use crate::program::Place;

/// Starts of each side; below what a server lets one person ask at once.
const ROUNDS: usize = 41;
/// Runs that wait for people.
const WAITING: usize = 1000;
/// How long a server that only waits is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// Clock ticks of the kernel in a second, as `/proc` counts CPU time.
const TICKS: f64 = 100.0;
/// How long anything may take before the measurement has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server; killed at the end.
pub struct Serving {
    child: Child,
    socket: PathBuf,
}

impl Serving {
    pub fn start(place: &Place, name: &str) -> Serving {
        let socket = place.dir.path().join(name);
        let mut command = place.command(&["serve", "-o", "jsonl", "--socket", socket.to_str().unwrap()]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("socket"), "{line}");
        Serving { child, socket }
    }

    /// Sends a request; its answer is left to be read.
    fn open(&self, method: &str, path: &str, key: &str, body: &str) -> BufReader<UnixStream> {
        let headers = format!("idempotency-key: {key}\r\ncontent-type: application/json\r\n");
        self.send(method, path, &headers, body)
    }

    /// The same with these headers.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> BufReader<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        BufReader::new(stream)
    }

    fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> String {
        let mut answer = String::new();
        self.open(method, path, key, body).read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 2"), "{path}: {answer}");
        answer
    }

    pub fn begin(&self, runbook: &str, key: &str) -> String {
        let answer = self.ask("POST", "/api/v1/runs", key, &format!("{{\"runbook\": \"{runbook}\", \"yes\": true}}"));
        let (_, id) = answer.split_once("\"id\": \"").unwrap();
        id[..id.find('"').unwrap()].to_owned()
    }

    /// Waits until a request is answered with this in it.
    pub fn until(&self, path: &str, part: &str) {
        let began = Instant::now();
        while !self.ask("GET", path, "", "").contains(part) {
            assert!(began.elapsed() < PATIENCE, "{path} never had {part}");
            std::thread::sleep(Duration::from_millis(60));
        }
    }

    /// Memory that is there now, in MiB.
    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// CPU time so far, in seconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // Of user and of system, the 14th and 15th of all.
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub fn rows() -> Vec<Row> {
    let mut rows = idle();
    rows.extend(starts());
    rows.push(events());
    rows.push(takeover());
    rows
}

pub const ASK: &str = "steps:\n  - { id: a, uses: human.ask, with: { text: Ready? } }\n";

fn idle() -> Vec<Row> {
    let place = Place::new();
    place.runbook("ask", ASK);
    place.command(&["run", "ask"]).status().unwrap();
    let memory = |served: &Serving| {
        served.ask("GET", "/readyz", "", "");
        // It has looked at all runs, and threads of the first requests have gone.
        std::thread::sleep(WATCHED);
        served.memory()
    };
    let served = Serving::start(&place, "few.sock");
    let few = memory(&served);
    drop(served);
    for _ in 1..WAITING {
        // It ends because nobody is there to answer.
        place.command(&["run", "ask"]).status().unwrap();
    }
    let served = Serving::start(&place, "many.sock");
    let many = memory(&served);
    let began = served.cpu();
    std::thread::sleep(WATCHED);
    let busy = (served.cpu() - began) / WATCHED.as_secs_f64() * 100.0;
    vec![
        Row::plain("S1", "memory of a server with nothing to do", few, 25.0, "MiB"),
        Row::plain("S1", "1,000 runs that wait, above that", many - few, 4.0, "MiB"),
        Row::plain("S1", "CPU time for 1,000 runs that wait, of one core", busy, 2.0, "%"),
    ]
}

fn starts() -> Vec<Row> {
    let place = Place::new();
    place.runbook("one", "steps:\n  - { id: a, uses: run.note, with: { text: hello } }\n");
    let served = Serving::start(&place, "a.sock");
    let db = rusqlite::Connection::open(place.dir.path().join("floor.db")).unwrap();
    db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (a TEXT)").unwrap();
    let web = Web::start();
    let address = web.url.trim_start_matches("http://").to_owned();
    let mut times = Vec::new();
    let mut number = 0;
    let (ours, floor) = in_turn(
        ROUNDS,
        || {
            number += 1;
            let (took, _) = timed(|| served.begin("one", &format!("k{number}")));
            times.push(took);
            took
        },
        || {
            let floor = || {
                for _ in 0..2 {
                    db.execute("INSERT INTO t VALUES (hex(randomblob(150)))", []).unwrap();
                }
                let mut stream = std::net::TcpStream::connect(&address).unwrap();
                stream.write_all(b"GET /now HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
                stream.read_to_end(&mut Vec::new()).unwrap();
            };
            timed(floor).0
        },
    );
    times.sort();
    let worst = times[times.len() * 99 / 100];
    vec![
        Row::ratio("S2", "a start over HTTP and its answer / two commits and a GET", ours, floor, 2.5),
        Row::ratio("S2", "the same, 99 of 100, for information", worst, floor, f64::INFINITY),
    ]
}

/// From the answer to a note until the stream of its run tells it.
fn events() -> Row {
    let place = Place::new();
    place.runbook("ask", ASK);
    let served = Serving::start(&place, "a.sock");
    let run = served.begin("ask", "start");
    served.until(&format!("/api/v1/runs/{run}"), "\"waiting\"");
    let mut stream = served.open("GET", &format!("/api/v1/runs/{run}/events"), "", "");
    let mut times = Vec::new();
    for number in 0..ROUNDS {
        let text = format!("note-{number}-");
        let path = format!("/api/v1/runs/{run}/note");
        let began = Instant::now();
        served.ask("POST", &path, &text, &format!("{{\"text\": \"{text}\"}}"));
        let mut line = String::new();
        while !line.contains(&text) {
            line.clear();
            assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the stream ended before {text}");
        }
        times.push(began.elapsed());
    }
    let took = median(times).as_secs_f64() * 1e3;
    Row::plain("S3", "a note over HTTP until a stream of events tells it", took, 250.0, "ms")
}

fn takeover() -> Row {
    let web = Web::start();
    let place = Place::new();
    let slow = format!(
        "steps:\n  - id: x\n    foreach: 0..9000\n    uses: http.probe\n    with: {{ url: '{}/wait50' }}\n",
        web.url
    );
    place.runbook("slow", &slow);
    let mut times = Vec::new();
    for number in 0..5 {
        let first = Serving::start(&place, "a.sock");
        let second = Serving::start(&place, "b.sock");
        let run = first.begin("slow", &format!("k{number}"));
        let path = format!("/api/v1/runs/{run}");
        second.until(&path, "\"running\"");
        let began = Instant::now();
        drop(first);
        second.until("/readyz", "\"driven\": 1");
        times.push(began.elapsed());
        second.ask("POST", &format!("{path}/cancel"), &format!("c{number}"), "{}");
        second.until(&path, "\"cancelled\"");
    }
    let worst = times.into_iter().max().unwrap_or_default();
    println!("a killed server is followed after {} at most", shown(worst));
    Row::plain("S4", "a server is killed until another drives its run, worst of 5", worst.as_secs_f64(), 3.0, "s")
}
