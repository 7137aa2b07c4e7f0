//! The server below a service manager: the units that are shipped, sockets that are handed over, and what it tells.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value as Json;

use super::kit::{Served, Team, soon};
use crate::binary::kit::{PATIENCE, Place, skipped};
use crate::house::root;

/// What systemd gives at most to a service that is as shut in as ours, in tenths: 100 is open to everything.
const EXPOSURE_MAX: &str = "15";
/// How long the service manager waits for a sign of life here, in microseconds.
const WATCHDOG: &str = "1000000";

/// The shipped units in a directory of their own, with this program instead of the installed one.
fn units(into: &Path) -> [PathBuf; 2] {
    ["rerail.service", "rerail.socket"].map(|name| {
        let text = std::fs::read_to_string(root().join("packaging").join(name)).unwrap();
        let here = into.join(name);
        std::fs::write(&here, text.replace("/usr/bin/rerail", env!("CARGO_BIN_EXE_rerail"))).unwrap();
        here
    })
}

#[test]
fn systemd_takes_the_units_and_finds_the_service_shut_in() {
    let version = Command::new("systemd-analyze").arg("--version").output();
    if !version.is_ok_and(|version| version.status.success()) {
        return skipped("no systemd-analyze here, the units were NOT checked");
    }
    let dir = tempfile::tempdir().unwrap();
    let units = units(dir.path());
    let analyze = |args: &[&str], units: &[PathBuf]| {
        let output = Command::new("systemd-analyze").args(args).args(units).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    };
    let (fine, said) = analyze(&["verify", "--man=no"], &units);
    // It also speaks of other units of this machine.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("rerail")).collect();
    assert!(fine && ours.is_empty(), "{said}");
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let (fine, said) = analyze(&["security", "--offline=true", "--no-pager", &threshold], &units[..1]);
    assert!(fine, "{said}");
}

/// A server that a shell hands these sockets to, as the service manager does: the first at 3, the second at 4.
fn handed(place: &Place, first: OwnedFd, second: Option<OwnedFd>, args: &[&str], told: Option<&Path>) -> Command {
    let errors = place.beside("errors.txt");
    let count = if second.is_some() { 2 } else { 1 };
    // What stands at 0 and 2 is where `Command` can put it.
    let fourth = if second.is_some() { "4<&2" } else { "" };
    let script = format!(
        "LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" \"$@\" 3<&0 {fourth} </dev/null 2>>'{}'",
        errors.display()
    );
    let mut command = place.through(&["sh", "-c", &script], args);
    command.stdin(Stdio::from(first)).stdout(Stdio::piped());
    command.stderr(match second {
        Some(second) => Stdio::from(second),
        None => Stdio::from(File::create(&errors).unwrap()),
    });
    if let Some(told) = told {
        command.env("NOTIFY_SOCKET", told).env("WATCHDOG_USEC", WATCHDOG);
    }
    command
}

fn served(mut command: Command) -> (Served, Json) {
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let json: Json = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    let port = json["address"].as_str().and_then(|address| address.rsplit(':').next()?.parse().ok());
    (Served::of(child, json["socket"].as_str().unwrap_or_default().into(), port.unwrap_or_default()), json)
}

/// What the server says to the service manager, one message at a time.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn listen(place: &Place) -> Manager {
        let path = place.beside("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager { socket, path }
    }

    fn hears(&self) -> String {
        let mut bytes = [0; 256];
        let count = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).trim().to_owned()
    }
}

#[test]
fn sockets_that_are_handed_over_are_served_and_outlive_the_server() {
    let ana = Team::new().and("ana", "", "read", &soon(), "").here("ana");
    let place = Place::new().file("rerail.yaml", &ana.yaml);
    let path = place.beside("given.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let manager = Manager::listen(&place);
    // Connections that come before there is a server wait for it.
    let copies = (unix.try_clone().unwrap(), tcp.try_clone().unwrap());
    let (server, said) =
        served(handed(&place, unix.into(), Some(tcp.into()), &["serve", "-o", "jsonl"], Some(&manager.path)));
    assert_eq!((said["socket"].as_str(), server.port), (path.to_str(), port), "{said}");
    assert_eq!(manager.hears(), "READY=1");
    assert_eq!(server.unix().get("/api/v1/whoami").is(200).json()["id"], "ana");
    assert_eq!(server.tcp().bearer(ana.token("ana")).get("/api/v1/whoami").is(200).json()["id"], "ana");
    server.tcp().get("/api/v1/whoami").is(401);
    server.signal(Signal::TERM);
    assert_eq!(server.ends(), Some(0));
    assert!(path.exists(), "the socket belongs to the service manager");
    // The next one is handed the same two.
    let (next, _) = served(handed(&place, copies.0.into(), Some(copies.1.into()), &["serve", "-o", "jsonl"], None));
    assert_eq!(next.unix().get("/api/v1/whoami").is(200).json()["id"], "ana");
    assert!(!place.state().join("server.sock").exists());
}

#[test]
fn the_service_manager_is_told_of_beginning_life_and_end() {
    let place = Place::new();
    let unix = UnixListener::bind(place.beside("given.sock")).unwrap();
    let manager = Manager::listen(&place);
    let (server, _) = served(handed(&place, unix.into(), None, &["serve", "-o", "jsonl"], Some(&manager.path)));
    let heard: Vec<String> = (0..4).map(|_| manager.hears()).collect();
    assert_eq!(heard, ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
    // One that hangs says nothing: what was on its way has arrived, after that there is silence.
    server.signal(Signal::STOP);
    manager.socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut bytes = [0; 256];
    let late = std::iter::repeat_with(|| manager.socket.recv(&mut bytes)).take_while(Result::is_ok).count();
    assert!(late <= 1, "{late} signs of life of a process that stands still");
    server.signal(Signal::CONT);
    manager.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(manager.hears(), "WATCHDOG=1");
    server.signal(Signal::TERM);
    while manager.hears() != "STOPPING=1" {}
    assert_eq!(server.ends(), Some(0));
}

#[test]
fn sockets_that_are_meant_for_another_process_or_are_none_are_told() {
    let place = Place::new();
    // Of another process: it listens where it would without them.
    let mut command = place.rerail(&["serve", "-o", "jsonl"]);
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").stdout(Stdio::piped());
    let (server, said) = served(command);
    assert_eq!(said["socket"].as_str(), place.state().join("server.sock").to_str());
    drop(server);

    let fails = |first: OwnedFd, second: Option<OwnedFd>, args: &[&str]| {
        std::fs::remove_file(place.beside("errors.txt")).ok();
        let output = handed(&place, first, second, args, None).output().unwrap();
        (output.status.code(), std::fs::read_to_string(place.beside("errors.txt")).unwrap())
    };
    let listener = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    let (code, said) = fails(File::open("/dev/null").unwrap().into(), None, &["serve"]);
    assert!(code == Some(2) && said.contains("socket 1 of those handed to the server"), "{code:?} {said}");
    let (code, said) = fails(listener(), Some(listener()), &["serve"]);
    assert!(code == Some(2) && said.contains("two sockets of the network"), "{code:?} {said}");
    let (code, said) = fails(listener(), None, &["serve", "--listen", "127.0.0.1:0"]);
    assert!(code == Some(2) && said.contains("has opened the sockets of this server"), "{code:?} {said}");
    // Others can reach it, and nothing is there to stop them.
    let wide = TcpListener::bind("0.0.0.0:0").unwrap();
    let (code, said) = fails(wide.into(), None, &["serve"]);
    assert!(code == Some(78) && said.contains("can be reached by others"), "{code:?} {said}");
}

#[test]
fn the_log_of_a_server_is_one_object_a_line_without_what_clients_said() {
    let place = Place::new().env("RERAIL_LOG", "info").env("RERAIL_LOG_FORMAT", "json");
    let unix = UnixListener::bind(place.beside("given.sock")).unwrap();
    let (server, _) = served(handed(&place, unix.into(), None, &["serve", "-o", "jsonl"], None));
    server.unix().get("/api/v1/runs/not-there?x=said-by-a-client").is(400);
    server.unix().get("/api/v1/whoami").is(200);
    server.signal(Signal::TERM);
    assert_eq!(server.ends(), Some(0));
    let log = std::fs::read_to_string(place.beside("errors.txt")).unwrap();
    assert!(!log.contains("said-by-a-client") && !log.contains("not-there"), "{log}");
    let records: Vec<Json> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let answered: Vec<_> = records
        .iter()
        .filter(|record| record["message"] == "answered")
        .map(|record| (record["level"].as_str(), record["route"].as_str(), record["status"].as_u64()))
        .collect();
    let info = Some("INFO");
    let expected = [(info, Some("/api/v1/runs/{run}"), Some(400)), (info, Some("/api/v1/whoami"), Some(200))];
    assert_eq!(answered, expected, "{log}");
    let wrong = place.rerail(&["list"]).env("RERAIL_LOG_FORMAT", "xml").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}
