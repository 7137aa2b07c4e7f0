//! The other process of the journal's tests: does one thing to a store and says what came of it.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

#[expect(dead_code, reason = "shared with the tests, which use the rest")]
#[path = "kit.rs"]
mod kit;

use std::io::Write;
use std::path::Path;

use rerail::engine::ids::RunId;
use rerail::journal::{Append, Error, Journal, Store};

use kit::{RUN, STORE, append, holder, note, started};

fn main() {
    let (store, run) = task();
    match std::env::args().nth(1).as_deref() {
        Some("append-five") => append_five(&store, run),
        Some("append-until-killed") => append_until_killed(&store, run),
        Some("append-through-failures") => append_through_failures(&store, run),
        Some("drive-until-told") => drive_until_told(&store, run),
        other => panic!("{other:?} is nothing this process can do"),
    }
}

/// What a child was started for.
fn task() -> (Store, RunId) {
    let store = Store::open(Path::new(&std::env::var_os(STORE).unwrap())).unwrap();
    (store, std::env::var(RUN).unwrap().parse().unwrap())
}

/// Says something to the parent, in one line.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {line}").unwrap();
    out.flush().unwrap();
}

fn append_five(store: &Store, run: RunId) {
    let drive = store.acquire(run, holder()).unwrap();
    for seq in 0..5 {
        let event = if seq == 0 { started(run) } else { note(seq, "x") };
        let ticket = store.append(Append::events(run, drive.fence(), vec![event]));
        say(&ticket.wait().unwrap().last_seq.to_string());
    }
    drop(drive);
    say("end");
}

fn append_until_killed(store: &Store, run: RunId) {
    // Killed holders leave free locks: this must never be refused.
    let drive = store.acquire(run, holder()).unwrap();
    let mut next = match store.events(run) {
        Ok(events) => events.len() as u64,
        Err(_) => 0,
    };
    loop {
        let event = if next == 0 { started(run) } else { note(next, "still here") };
        let committed = append(store, &drive, vec![event]).unwrap();
        say(&committed.last_seq.to_string());
        next += 1;
    }
}

fn append_through_failures(store: &Store, run: RunId) {
    let drive = store.acquire(run, holder()).unwrap();
    append(store, &drive, vec![started(run)]).unwrap();
    let mut next = 1;
    let mut failures = 0;
    // Small events in large appends: the log reaches the limit long before the database does.
    while failures < 3 && next < 400 {
        match append(store, &drive, vec![note(next, &"x".repeat(3000))]) {
            Ok(committed) => {
                say(&format!("written {}", committed.last_seq));
                next = committed.last_seq + 1;
            }
            Err(error @ Error::Io { .. }) => {
                say(&format!("failed {error}"));
                failures += 1;
                next = store.events(run).unwrap().len() as u64;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn drive_until_told(store: &Store, run: RunId) {
    let mine = rerail::journal::Holder { user: "child".into(), ..holder() };
    let drive = store.acquire(run, mine).unwrap();
    append(store, &drive, vec![started(run)]).unwrap();
    say(&std::process::id().to_string());
    for line in std::io::stdin().lines() {
        let lost = match line.unwrap().as_str() {
            "check" => drive.check().map(drop),
            "append" => append(store, &drive, vec![note(1, "too late")]).map(drop),
            "watch" => {
                let seen = store.changed().unwrap();
                say("watching");
                while store.changed().unwrap() == seen {
                    std::thread::yield_now();
                }
                say(&format!("{} signal", store.pending_signals(run).unwrap().len()));
                continue;
            }
            other => panic!("{other}"),
        };
        match lost {
            Err(Error::Fenced { holder, .. }) => say(&format!("fenced by {}", holder.unwrap().user)),
            other => say(&format!("{other:?}")),
        }
    }
}
