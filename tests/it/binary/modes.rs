//! Every way a server can misbehave, met by a look and by writes of each kind of repeat, through the real binary:
//! what came of it, how long it took, how often it was sent, and in how much memory.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rerail::engine::event::{Body, StepFinished};
use rerail::engine::outcome::{FailureKind, Outcome};
use serde_json::json;

use super::hostile::{GROWTH_MAX_KIB, confined, each_of, idle_kib};
use super::kit::{Ledger, Place, answer};
use crate::servers::refused_port;

/// What one attempt may take: the deadline of each step below.
const DEADLINE: Duration = Duration::from_secs(1);
/// How much later it may end: 250 ms on a machine of its own; the rest is for processes that wait for a processor
/// among the other tests. Each of these servers would go on for minutes.
const LATE_MAX: Duration = Duration::from_millis(250 + 3_000);
/// How often a write with a key is sent when nobody ever answers: once, and twice more.
const SENDS_WITH_KEY: usize = 3;
/// Cases at a time; they wait for deadlines and pauses.
const AT_A_TIME: usize = 16;
/// Longer than any attempt, for servers that hold a connection without a word.
const FOR_EVER: Duration = Duration::from_secs(20);
/// Bytes of a compressed body, and what it would unfold to: 160 times as much.
const BOMB_BYTES: usize = 1 << 20;

const WORK: &str = "
inputs: { base: { type: string }, fair: { type: url } }
steps:
  - parallel:
      - id: look
        uses: http.probe
        with: { url: '${{ inputs.base }}/look', timeout: 1s }
      - id: once
        uses: http.request
        with: { method: POST, url: '${{ inputs.base }}/once', text: once, timeout: 1s }
        continue_on_failure: true
      - id: keyed
        uses: http.request
        with:
          method: POST
          url: '${{ inputs.base }}/keyed'
          text: keyed
          timeout: 1s
          idempotency: { header: Idempotency-Key, window: 24h }
        continue_on_failure: true
      - id: verifiable
        uses: http.request
        with: { method: POST, url: '${{ inputs.base }}/verifiable', text: verifiable, timeout: 1s }
        settle:
          steps:
            - { id: now, uses: http.probe, with: { url: '${{ inputs.fair }}/' } }
          happened: steps.now.outputs.ok
          not_happened: not(steps.now.outputs.ok)
        continue_on_failure: true
";

type Behave = Arc<dyn Fn(&mut TcpStream) + Send + Sync>;

/// A way to misbehave, and what it comes to.
struct Mode {
    name: &'static str,
    scheme: &'static str,
    /// Nothing means that nobody accepts connections.
    behave: Option<Behave>,
    write: Outcome,
    kind: Option<FailureKind>,
    /// `ok` of the look, and the kind of its error.
    look: (bool, Option<&'static str>),
}

/// Whether the client has sent all it wants to; the write's body is the name of its path.
fn request(stream: &mut TcpStream) -> bool {
    let mut came = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let text = String::from_utf8_lossy(&came).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return true;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return false,
            Ok(count) => came.extend_from_slice(&chunk[..count]),
        }
    }
}

/// Reads a request, sends this, and ends the connection.
fn says(text: impl Into<Vec<u8>>) -> Behave {
    let text = text.into();
    Arc::new(move |stream| {
        if request(stream) {
            stream.write_all(&text).ok();
            stream.shutdown(Shutdown::Write).ok();
            // A close with unread bytes would be a reset.
            mute(stream);
        }
    })
}

/// Reads a request, sends this, and then the other again and again with a pause between.
fn drips(first: &'static str, again: impl Into<Vec<u8>>, pause: Duration) -> Behave {
    let again = again.into();
    Arc::new(move |stream| {
        if request(stream) && stream.write_all(first.as_bytes()).is_ok() {
            while stream.write_all(&again).is_ok() {
                if !pause.is_zero() {
                    std::thread::sleep(pause);
                }
            }
        }
    })
}

/// More lines than any client takes, at once: one that waited for the end would wait for ever.
fn endless_head(stream: &mut TcpStream) {
    if request(stream) {
        let lines = "x-more: of the same\r\n".repeat(50_000);
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{lines}").as_bytes()).ok();
        mute(stream);
    }
}

/// Waits until the other side gives up.
fn mute(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(FOR_EVER)).unwrap();
    while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
}

/// Zeroes without end as gzip: one literal, then the longest match one byte back, each in 13 bits of the fixed code.
fn bomb() -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::with_capacity(BOMB_BYTES * 8);
    // Last block, fixed code; the literal 0 is 00110000.
    bits.extend([true, true, false, false, false, true, true, false, false, false, false]);
    while bits.len() < (BOMB_BYTES - 32) * 8 {
        // Length 258 is 11000101, distance 1 is 00000.
        bits.extend([true, true, false, false, false, true, false, true, false, false, false, false, false]);
    }
    bits.extend([false; 7]);
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for eight in bits.chunks(8) {
        bytes.push(eight.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << at));
    }
    bytes.extend([0; 8]);
    bytes
}

fn modes() -> Vec<Mode> {
    use FailureKind::{Connect, Network, Status, Timeout, Tls};
    use Outcome::{Done, InDoubt, Refused};
    let mode = |name, behave: Behave, write, kind: Option<FailureKind>, look| Mode {
        name,
        scheme: "http",
        behave: Some(behave),
        write,
        kind,
        look,
    };
    let lost = |name, behave| mode(name, behave, InDoubt, Some(Network), (false, Some("network")));
    let late = |name, behave| mode(name, behave, InDoubt, Some(Timeout), (false, Some("timeout")));
    let no = |name, head: &str| {
        let text = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        mode(name, says(text), Refused, Some(Status), (false, None))
    };
    let unsure = |name, head: &str| {
        let text = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        mode(name, says(text), InDoubt, Some(Status), (false, None))
    };
    let fine = |name, text: Vec<u8>| mode(name, says(text), Done, None, (true, None));
    let secure = |name, behave, kind, word| Mode {
        scheme: "https",
        ..mode(name, behave, Refused, Some(kind), (false, Some(word)))
    };
    let nobody = |name, kind, word| Mode {
        name,
        scheme: "http",
        behave: None,
        write: Refused,
        kind: Some(kind),
        look: (false, Some(word)),
    };
    let head = "HTTP/1.1 200 OK\r\n";
    let bombed = [format!("{head}content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb().len()).into(), bomb()];
    let soon = Duration::from_millis(40);
    vec![
        nobody("closed port", Connect, "connect"),
        nobody("black hole", Timeout, "timeout"),
        lost("closes at once", Arc::new(|_| {})),
        late("never a word", Arc::new(mute)),
        late("a head byte by byte", drips("HTTP/1.1 200 OK\r\nx-slow: ", "x", soon)),
        late("a body byte by byte", drips("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", "x", soon)),
        late("a body of ten gibibytes", drips(TEN_GIB, vec![b'x'; 65_536], Duration::ZERO)),
        lost("half a status line", says("HTTP/1.1 20")),
        lost("half a head", says("HTTP/1.1 200 OK\r\nx-half: a")),
        lost("half a body", says("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf!")),
        fine("more than its length", format!("{head}content-length: 2\r\n\r\n{{}} and more").into()),
        fine("a compressed bomb", bombed.concat()),
        lost("garbage", says("SSH-2.0-OpenSSH_9.7\r\n\r\n")),
        lost("chunked garbage", says("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a size\r\n")),
        lost("chunks without an end", says("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")),
        late("continue and nothing more", drips("HTTP/1.1 100 Continue\r\n\r\n", "", FOR_EVER)),
        late("a flood of interim answers", drips("", "HTTP/1.1 102 Processing\r\n\r\n", Duration::ZERO)),
        lost("a head of a mebibyte and no end", Arc::new(endless_head)),
        unsure("to itself and back", "307 Temporary Redirect\r\nlocation: /once"),
        unsure("to where secrets are", "302 Found\r\nlocation: http://169.254.169.254/"),
        unsure("500", "500 Oops"),
        unsure("503", "503 Busy"),
        no("503, later", "503 Busy\r\nretry-after: 0"),
        no("429, at once", "429 Too Many Requests\r\nretry-after: 0"),
        no("429, in thirty years", "429 Too Many Requests\r\nretry-after: 1000000000"),
        no("429, on a day", "429 Too Many Requests\r\nretry-after: Fri, 31 Dec 2100 23:59:59 GMT"),
        no("429, some time", "429 Too Many Requests\r\nretry-after: soon"),
        secure("no word in the handshake", Arc::new(mute), Timeout, "timeout"),
        secure("closes in the handshake", Arc::new(|stream| drop(stream.read(&mut [0; 5]))), Tls, "tls"),
        secure("another protocol in the handshake", says_first("220 mail.example.com ESMTP\r\n"), Tls, "tls"),
    ]
}

const TEN_GIB: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n";

/// Sends this before it is asked anything.
fn says_first(text: &'static str) -> Behave {
    Arc::new(move |stream| {
        stream.write_all(text.as_bytes()).ok();
        mute(stream);
    })
}

/// A server of one mode, with what keeps it so and the number of its connections.
struct Misbehaving {
    port: u16,
    connections: Arc<Mutex<usize>>,
    /// Nobody takes these: the queue is full, and who comes now hears nothing.
    _queued: Vec<TcpStream>,
    _unserved: Option<TcpListener>,
}

impl Misbehaving {
    fn of(mode: &Mode) -> Misbehaving {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let mut server = Misbehaving {
            port: address.port(),
            connections: Arc::clone(&connections),
            _queued: Vec::new(),
            _unserved: None,
        };
        let Some(behave) = mode.behave.clone() else {
            if mode.kind == Some(FailureKind::Timeout) {
                while let Ok(queued) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                    server._queued.push(queued);
                }
                server._unserved = Some(listener);
            } else {
                server.port = refused_port();
            }
            return server;
        };
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                *connections.lock().unwrap() += 1;
                let behave = Arc::clone(&behave);
                std::thread::spawn(move || behave(&mut stream));
            }
        });
        server
    }
}

fn attempts(place: &Place, step: &str) -> Vec<StepFinished> {
    let of = |event: rerail::engine::event::Event| match event.body {
        Body::StepFinished(finished) if finished.step.as_str() == step => Some((*finished).clone()),
        _ => None,
    };
    place.events().into_iter().filter_map(of).collect()
}

#[test]
fn whatever_a_server_does_the_table_holds_in_time_and_in_little_memory() {
    let idle = idle_kib();
    let modes = modes();
    each_of(&modes, AT_A_TIME, |mode| {
        let name = mode.name;
        let fair = Ledger::serve(|_, stream| answer(stream, &json!({})));
        let server = Misbehaving::of(mode);
        let place = Place::new().runbook("work", WORK);
        let (base, fair) = (format!("base={}://127.0.0.1:{}", mode.scheme, server.port), format!("fair={}", fair.url));
        let (said, used) = confined(&place, &["run", "work", "-i", &base, "-i", &fair, "--yes"]);
        let doubt = mode.write == Outcome::InDoubt;
        assert_eq!(said.code(), Some(if doubt { 16 } else { 0 }), "{name}: {said:?}");
        let grown = used.peak_kib.saturating_sub(idle);
        assert!(grown <= GROWTH_MAX_KIB, "{name}: {grown} KiB more than idle");

        for step in ["look", "once", "keyed", "verifiable"] {
            let attempts = attempts(&place, step);
            let expected = if doubt && step == "keyed" { SENDS_WITH_KEY } else { 1 };
            assert_eq!(attempts.len(), expected, "{name}: attempts of {step}");
            for attempt in attempts {
                assert!(
                    u128::from(attempt.ms) <= (DEADLINE + LATE_MAX).as_millis(),
                    "{name}: {step} took {} ms",
                    attempt.ms
                );
                if step == "look" {
                    let seen = attempt.outputs.to_plain();
                    let kind = seen["error"].get("kind").and_then(|kind| kind.as_str());
                    assert_eq!(
                        (attempt.outcome, seen["ok"].as_bool(), kind),
                        { (Outcome::Done, Some(mode.look.0), mode.look.1) },
                        "{name}: {seen}"
                    );
                } else {
                    let kind = attempt.error.as_ref().map(|error| error.kind);
                    assert_eq!((attempt.outcome, kind), (mode.write, mode.kind), "{name}: {step}: {:?}", attempt.error);
                }
            }
        }
        // The one that can be looked up is settled by the look, the others stay in doubt.
        let mut doubts: Vec<String> = place.facts().doubts().map(|(path, _)| path.to_string()).collect();
        doubts.sort();
        assert_eq!(doubts, if doubt { vec!["keyed", "once"] } else { Vec::new() }, "{name}");
        if mode.behave.is_some() {
            let sent = 3 + if doubt { SENDS_WITH_KEY } else { 1 };
            assert_eq!(*server.connections.lock().unwrap(), sent, "{name}: each attempt is one connection");
        }
        place.assert_journal_is_whole(name);
    });
}
