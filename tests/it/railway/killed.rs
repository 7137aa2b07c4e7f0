//! `crash-loop` killed at its boundaries and taken up again: the same end, and the platform sees each write once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::kit::{assert_no_secret, assert_no_secret_below, broken, inputs, target};
use crate::binary::kit::{Place, Said, from_env};
use crate::world::railway::Railway;

/// Runs at a time: they wait for the disk more than they compute.
const AT_A_TIME: usize = 2;
/// Every boundary is tried with `RERAIL_BOUNDARIES=1`; otherwise every so many.
const STRIDE: u64 = 13;

fn world() -> (Railway, Place, Vec<String>) {
    let railway = Railway::serve(broken(false));
    let place = Place::new();
    let text = target(&railway, &place.beside("home"));
    let place = place.file("targets/here.yaml", text);
    let mut args: Vec<String> =
        ["run", "crash-loop", "--target", "here", "--yes", "-o", "jsonl"].map(str::to_owned).to_vec();
    for (name, value) in inputs(&railway) {
        args.extend(["-i".to_owned(), format!("{name}={value}")]);
    }
    (railway, place, args)
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Whether the run passed as many boundaries.
fn killed_at(k: u64) -> bool {
    let (railway, place, args) = world();
    let log = place.beside("points");
    let mut command = place.rerail(&words(&args));
    command.env("RERAIL_CRASH_AT", k.to_string()).env("RERAIL_CRASH_LOG", &log);
    let said = Said::of(&["run"], command.output().unwrap());
    let passed = std::fs::read_to_string(&log).unwrap();
    let when = format!("killed at point {k}, {}", passed.lines().last().unwrap_or_default());
    if !said.was_killed() {
        assert_eq!(said.code(), Some(0), "{when}: {said:?}");
        return false;
    }
    railway.settle();
    if place.events().is_empty() {
        assert!(railway.state().effects.is_empty(), "{when}: a write left before anything was recorded");
        place.ask(&words(&args)).exits(0);
    } else if place.json(&["show", "@last"])["status"] != "success" {
        let said = place.ask(&["resume", "@last", "-o", "jsonl"]);
        assert_no_secret(&when, format!("{}{}", said.stdout, said.stderr).as_bytes());
        assert_eq!(said.code(), Some(0), "{when}: {said:?}");
    }
    assert_eq!((railway.effects("set"), railway.effects("deploy")), (1, 1), "{when}");
    assert_eq!(railway.state().app("GET", "/health", None).status, 200, "{when}");
    assert_no_secret_below(place.state());
    place.assert_journal_is_whole(&when);
    true
}

#[test]
fn killed_at_any_boundary_it_goes_on_to_the_same_end_and_writes_once() {
    let stride = from_env("RERAIL_BOUNDARIES", STRIDE);
    let (next, over) = (AtomicU64::new(1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    if !killed_at(next.fetch_add(stride, Ordering::SeqCst)) {
                        over.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let tried = next.into_inner() / stride;
    println!("{tried} boundaries");
    assert!(tried > 10, "{tried} boundaries");
}
