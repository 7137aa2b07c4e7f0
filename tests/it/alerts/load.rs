//! Many messages at once, some again, some forged: to one server, to one that is killed in the middle, and to two of which
//! one is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rerail::journal::{Filter, RunRow, Store};
use rusqlite::OpenFlags;
use serde_json::json;

use super::kit::{TOKEN, place, single};
use crate::binary::kit::{PATIENCE, from_env, until};
use crate::serve::kit::{ASKS_EVERY, Served};

/// Looks at nothing and changes nothing; its run says by its incident which alert it is of.
const PURE: &str = "
triggers: [{ alert: { alertname: Down }, inputs: { n: '${{ alert.labels.n }}' }, incident: '${{ alert.labels.n }}' }]
inputs: { n: { type: string } }
steps: [{ uses: run.note, with: { text: '${{ inputs.n }}' } }]
";
/// Connections at once.
const CONNECTIONS: usize = 200;
/// One forged message beside so many that prove themselves.
const FORGED_EVERY: usize = 10;
/// How long the runs of one message may take at worst, on a machine that is busy with other tests.
const EACH_WITHIN: Duration = Duration::from_millis(100);
/// How soon a server does what another one has left.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(3);

/// Messages that prove themselves, three in ten of them for the second time; the figures of `docs/operating.md` are with
/// `RERAIL_HOOKS=10000`.
fn messages() -> usize {
    usize::try_from(from_env("RERAIL_HOOKS", 600)).unwrap().next_multiple_of(10)
}

/// How many alerts they are.
fn unique() -> usize {
    messages() / 10 * 7
}

/// Of which alert a message is: of ten in a row the last three say again what three of the others say, on other
/// connections and at the same moment.
fn alert_of(message: usize) -> usize {
    let (ten, of_ten) = (message / 10, message % 10);
    ten * 7 + of_ten % 7
}

fn body(alert: usize) -> String {
    let labels = json!({ "alertname": "Down", "n": alert.to_string() });
    single("firing", &format!("f{alert}"), "2026-11-21T08:41:25Z", &labels).to_string()
}

/// Where servers listen; some may be gone.
type Ports = Mutex<Vec<u16>>;

/// A connection that is kept as long as it lasts.
struct Line<'p> {
    ports: &'p Ports,
    number: usize,
    stream: Option<BufReader<TcpStream>>,
}

impl Line<'_> {
    /// Sends it until it is answered, by whichever server is there; gives the status and how long the answer took.
    fn send(&mut self, token: &str, body: &str) -> (u16, Duration) {
        loop {
            let began = Instant::now();
            match self.try_send(token, body) {
                Ok(status) if status != 503 && status != 429 => return (status, began.elapsed()),
                Ok(_) => {}
                Err(_) => self.stream = None,
            }
            std::thread::yield_now();
        }
    }

    fn try_send(&mut self, token: &str, body: &str) -> std::io::Result<u16> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                self.number += 1;
                let port = {
                    let ports = self.ports.lock().unwrap();
                    ports[self.number % ports.len()]
                };
                let stream = TcpStream::connect(("127.0.0.1", port))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                self.stream.insert(BufReader::new(stream))
            }
        };
        let length = body.len();
        let head = "POST /hooks/alertmanager HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        let text = format!("{head}authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.get_mut().write_all(text.as_bytes())?;
        let broken = |what: &str| std::io::Error::other(what.to_owned());
        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(broken("it was closed"));
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if status.is_none() {
                status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| broken("no length"))?;
            }
        }
        stream.read_exact(&mut vec![0; length])?;
        status.ok_or_else(|| broken("no status"))
    }
}

/// Sends all of them over many connections; `halfway` is called once half of them are answered. Gives how long each answer
/// took, shortest first.
fn storm(ports: &Ports, halfway: impl Fn() + Sync) -> Vec<Duration> {
    let (next, sent, took) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let all = messages();
    std::thread::scope(|scope| {
        for number in 0..CONNECTIONS.min(all) {
            let (next, sent, took, halfway) = (&next, &sent, &took, &halfway);
            let work = move || {
                let mut line = Line { ports, number, stream: None };
                let mut mine = Vec::new();
                loop {
                    let message = next.fetch_add(1, Ordering::SeqCst);
                    if message >= all {
                        break;
                    }
                    let body = body(alert_of(message));
                    let (status, answered) = line.send(TOKEN, &body);
                    assert_eq!(status, 202);
                    mine.push(answered);
                    if message % FORGED_EVERY == 0 {
                        // Of whom nothing proves there may be few in a second; the rest is not even looked at.
                        let refused = line.try_send("obviously-wrong-token-0002", &body).unwrap_or(401);
                        assert!(refused == 401 || refused == 429, "{refused}");
                    }
                    if sent.fetch_add(1, Ordering::SeqCst) == all / 2 {
                        halfway();
                    }
                }
                took.lock().unwrap().extend(mine);
            };
            // Two hundred full stacks are more than the senders need.
            std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, work).unwrap();
        }
    });
    let mut took = took.into_inner().unwrap();
    took.sort();
    took
}

/// All runs, newest first.
fn runs(store: &Store) -> Vec<RunRow> {
    let mut all: Vec<RunRow> = Vec::new();
    loop {
        let before = all.last().map(|row| row.number);
        let page = store.runs(&Filter { before, ..Filter::default() }).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Whose what was sent is, in its store.
fn project(place: &crate::binary::kit::Place) -> String {
    place.project().canonicalize().unwrap().display().to_string()
}

/// Waits until every delivery is worked through and every run has ended well; each alert has one.
fn settle(store: &Store, of: &str) -> Duration {
    let began = Instant::now();
    let within = PATIENCE + EACH_WITHIN * u32::try_from(messages()).unwrap();
    loop {
        let ended = store.counts().unwrap().get("success").copied().unwrap_or(0);
        if store.open_deliveries(of).unwrap() == 0 && ended >= unique() as u64 {
            break;
        }
        assert!(began.elapsed() < within, "{ended} of {} runs have ended", unique());
        std::thread::sleep(ASKS_EVERY);
    }
    let took = began.elapsed();
    let all = runs(store);
    assert!(all.iter().all(|row| row.status.word() == "success"));
    assert_eq!(all.len(), unique(), "runs and alerts");
    let alerts: BTreeSet<String> = all.into_iter().filter_map(|row| row.incident).collect();
    assert_eq!(alerts, (0..unique()).map(|alert| alert.to_string()).collect(), "each alert has a run of its own");
    took
}

/// A line of `/proc/…/status` of a process, in MiB.
fn memory(pid: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

#[test]
fn of_many_alerts_each_begins_one_run() {
    let place = place().runbook("pure", PURE);
    let server = Served::start(&place, "a.sock");
    let store = Store::open(place.state()).unwrap();
    let before = memory(server.pid(), "VmRSS");
    let began = Instant::now();
    let took = storm(&Mutex::new(vec![server.port]), || {});
    let taken_in = began.elapsed();
    let of = project(&place);
    let waiting = store.open_deliveries(&of).unwrap();
    settle(&store, &of);
    let ended = began.elapsed();
    let after = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1e3;
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    let mut text = String::new();
    writeln!(text, "{} messages of {} alerts over {CONNECTIONS} connections", messages(), unique()).unwrap();
    writeln!(text, "taken in: {:.0} a second, {:.2} s in all", rate(messages(), taken_in), taken_in.as_secs_f64())
        .unwrap();
    writeln!(text, "answered after: p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms", after(50), after(99), after(100))
        .unwrap();
    writeln!(text, "waiting when the last was answered: {waiting}").unwrap();
    writeln!(text, "runs: {:.0} a second, all ended after {:.2} s", rate(unique(), ended), ended.as_secs_f64())
        .unwrap();
    let (peak, after) = (memory(server.pid(), "VmHWM"), memory(server.pid(), "VmRSS"));
    writeln!(text, "memory: {before:.1} MiB before, {peak:.1} MiB at most, {after:.1} MiB after").unwrap();
    eprint!("{text}");
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/hook-load.txt"), text).unwrap();
    place.assert_journal_is_whole("after the storm");
}

#[test]
fn killed_in_the_middle_nothing_is_lost_and_nothing_begins_twice() {
    let place = place().runbook("pure", PURE);
    let server = Mutex::new(Some(Served::start(&place, "a.sock")));
    let store = Store::open(place.state()).unwrap();
    let ports = Mutex::new(vec![server.lock().unwrap().as_ref().unwrap().port]);
    storm(&ports, || {
        let mut server = server.lock().unwrap();
        server.take().unwrap().kill();
        let next = Served::start(&place, "b.sock");
        *ports.lock().unwrap() = vec![next.port];
        *server = Some(next);
    });
    settle(&store, &project(&place));
    place.assert_journal_is_whole("after the storm");
}

/// Deliveries that somebody works on, with who that is.
fn taken(store: &Store) -> BTreeMap<i64, String> {
    let db = rusqlite::Connection::open_with_flags(store.file(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let taken = "SELECT number, taker FROM deliveries WHERE done_at IS NULL AND taker IS NOT NULL";
    let mut select = db.prepare(taken).unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn two_servers_share_the_work_and_one_does_what_the_other_left() {
    let place = place().runbook("pure", PURE);
    let (first, second) = (Served::start(&place, "a.sock"), Served::start(&place, "b.sock"));
    let store = Store::open(place.state()).unwrap();
    let ports = Mutex::new(vec![first.port, second.port]);
    let (second_port, first) = (second.port, Mutex::new(Some(first)));
    let after = Mutex::new(None);
    storm(&ports, || {
        until("both are at work", || taken(&store).into_values().collect::<BTreeSet<String>>().len() == 2);
        *ports.lock().unwrap() = vec![second_port];
        first.lock().unwrap().take().unwrap().kill();
        let (left, killed) = (taken(&store), Instant::now());
        // Each of them is done then, or in other hands.
        let stays = |now: &BTreeMap<i64, String>| left.iter().any(|(number, taker)| now.get(number) == Some(taker));
        while stays(&taken(&store)) {
            assert!(killed.elapsed() < PATIENCE, "{left:?}");
            std::thread::yield_now();
        }
        *after.lock().unwrap() = Some((left.len(), killed.elapsed()));
    });
    let (left, after) = after.into_inner().unwrap().unwrap();
    settle(&store, &project(&place));
    eprintln!("{left} deliveries were worked on at the kill, and in other hands or done after {after:?}");
    assert!(after <= TAKEN_OVER_WITHIN, "{after:?}");
    place.assert_journal_is_whole("after the storm");
}
