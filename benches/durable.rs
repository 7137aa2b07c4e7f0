//! P2, P3: what a durable step costs. P9: how soon a killed run goes on. CPU: what a step costs beside the disk.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::measure::{Row, in_turn, median, timed};
use crate::probes::Server;
use crate::program::Place;

const ROUNDS: usize = 9;
/// Steps of the runs whose CPU time is measured.
const NOTES: [usize; 3] = [100, 1000, 5000];
/// Steps of a long run, and of a short one to take the start off.
const LONG: usize = 201;
const SHORT: usize = 1;

pub fn rows() -> Vec<Row> {
    let server = Server::start();
    let place = Place::new();
    for count in [SHORT, LONG] {
        place.runbook(&format!("writes-{count}"), &writes(&server.url, count));
    }
    for count in NOTES {
        let steps =
            format!("steps:\n  - id: x\n    foreach: 0..{count}\n    uses: run.note\n    with: {{ text: hello }}\n");
        place.runbook(&format!("notes-{count}"), &steps);
    }
    let mut rows = Vec::new();
    rows.extend(flushes(&place));
    rows.extend(step_time(&place, &server));
    rows.push(after_a_kill(&place, &server));
    rows.extend(cpu(&place));
    rows
}

fn writes(url: &str, count: usize) -> String {
    let step =
        |n: usize| format!("  - {{ id: w{n}, uses: http.request, with: {{ method: POST, url: '{url}/now' }} }}\n");
    format!("steps:\n{}", (0..count).map(step).collect::<String>())
}

fn run(name: &str) -> [&str; 3] {
    ["run", name, "--yes"]
}

/// Flushes per write, counted by the kernel's own calls.
fn flushes(place: &Place) -> Option<Row> {
    let count = |name: &str| {
        let table = place.dir.path().join("flushes");
        let wrapper = ["strace", "-f", "-c", "-U", "name,calls", "-e", "trace=fsync,fdatasync", "-o", table.to_str()?];
        let output = place.behind(&wrapper, &run(name)).output().ok()?;
        output.status.success().then_some(())?;
        let text = std::fs::read_to_string(&table).ok()?;
        let calls = text.lines().filter(|line| line.starts_with("fsync") || line.starts_with("fdatasync"));
        Some(calls.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum::<f64>())
    };
    // A first run makes the store.
    place.run(&run("writes-1"));
    let (short, long) = (count("writes-1")?, count("writes-201")?);
    Some(Row::plain("P2", "flushes per write", (long - short) / (LONG - SHORT) as f64, 1.05, "flushes"))
}

/// What the engine adds to a write, against two appends that are flushed: what it would cost to log its intent and its
/// outcome by hand.
///
/// The write itself stands on neither side: a POST over a new connection alone costs two fifths of the appends, and a
/// bound of 0.65 that includes it would be one on the kernel's TCP. With it, for information.
fn step_time(place: &Place, server: &Server) -> Vec<Row> {
    let log = place.dir.path().join("appends");
    let bare = Posts::new(&server.url);
    let mut posts = Vec::new();
    let long = || {
        posts.push(timed(|| bare.send(LONG - SHORT)).0);
        timed(|| place.run(&run("writes-201"))).0
    };
    let appends = || {
        let mut file = File::options().create(true).append(true).open(&log).unwrap();
        let (took, ()) = timed(|| {
            for _ in 0..2 * (LONG - SHORT) {
                file.write_all(&[7; 300]).unwrap();
                file.sync_data().unwrap();
            }
        });
        took
    };
    let (ours, theirs) = in_turn(ROUNDS, long, appends);
    let (start, _) = in_turn(ROUNDS, || timed(|| place.run(&run("writes-1"))).0, || Duration::from_nanos(1));
    let steps = u32::try_from(LONG - SHORT).unwrap();
    let (whole, theirs, post) = (ours.saturating_sub(start) / steps, theirs / steps, median(posts) / steps);
    let engine = "what a durable POST on loopback costs beside the POST / two appends with fdatasync";
    vec![
        Row::ratio("P3", engine, whole.saturating_sub(post), theirs, 0.65),
        Row::ratio("P3", "the same with the POST, for information", whole, theirs, f64::INFINITY),
    ]
}

/// Writes without an engine: each over a connection of its own, as in a run.
struct Posts {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
}

impl Posts {
    fn new(url: &str) -> Posts {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().pool_max_idle_per_host(0);
        Posts {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            client: client.http1_only().build().unwrap(),
            url: format!("{url}/now"),
        }
    }

    fn send(&self, count: usize) {
        self.runtime.block_on(async {
            for _ in 0..count {
                let answer = self.client.post(&self.url).send().await.unwrap();
                assert_eq!(answer.text().await.unwrap(), "ok");
            }
        });
    }
}

/// From the new process to the request of the next step, after `kill -9`.
fn after_a_kill(place: &Place, server: &Server) -> Row {
    let step = |n: usize| {
        format!("  - {{ id: r{n}, uses: http.request, with: {{ method: GET, url: '{}/slow/{n}' }} }}\n", server.url)
    };
    place.runbook("reads-50", &format!("steps:\n{}", (0..50).map(step).collect::<String>()));
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        server.forget();
        let mut child = place.start(&run("reads-50"));
        while server.seen().len() < 10 {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        server.forget();
        let began = Instant::now();
        let mut child = place.start(&["resume", "@last", "--reason", "killed"]);
        let first = loop {
            if let Some((_, at)) = server.seen().first() {
                break at.duration_since(began);
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert!(child.wait().unwrap().success());
        times.push(first);
    }
    let ms = median(times).as_secs_f64() * 1e3;
    Row::plain("P9", "from the new process to the next step, after kill -9", ms, 100.0, "ms")
}

/// CPU per step of a long run, and how it grows: by the slope between lengths, so that the start counts in neither.
fn cpu(place: &Place) -> Vec<Row> {
    let spent = |count: usize| {
        let script = "import resource,subprocess,sys\nsubprocess.run(sys.argv[1:],stdin=-3,stdout=-3,stderr=-3,check=True)\nu=resource.getrusage(resource.RUSAGE_CHILDREN)\nprint(u.ru_utime+u.ru_stime)";
        let name = format!("notes-{count}");
        let mut command = place.behind(&["python3", "-c", script], &run(&name));
        let output = command.stdout(std::process::Stdio::piped()).output().unwrap();
        let seconds = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        Duration::from_secs_f64(seconds)
    };
    let mut times = NOTES.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (times, count) in times.iter_mut().zip(NOTES) {
            times.push(spent(count));
        }
    }
    let [few, some, many] = times.map(|times| median(times).as_secs_f64());
    let each = |more: f64, less: f64, steps: usize| (more - less).max(0.0) / steps as f64;
    let (early, late) = (each(some, few, NOTES[1] - NOTES[0]), each(many, some, NOTES[2] - NOTES[1]));
    vec![
        Row::plain("CPU", "per step between 1,000 and 5,000 steps", late * 1e6, 100.0, "µs"),
        Row::plain("CPU", "the same / per step between 100 and 1,000", late / early, 1.25, "×"),
    ]
}
