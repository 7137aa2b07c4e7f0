//! However much a run does, hears or says, it holds little more than a run of one step.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::hostile::{GROWTH_MAX_KIB, confined};
use super::kit::{Ledger, Place, answer};
use serde_json::json;

const ONE: &str = "
steps:
  - { id: note, uses: run.note, with: { text: one } }
";

/// One less than a run may have, for the loop is a step as well.
const MANY: &str = "
steps:
  - { id: note, foreach: 1..=9999, uses: run.note, with: { text: 'note ${{ each.value }}' } }
";

const LONG: &str = "
inputs: { base: { type: url } }
steps:
  - { id: look, uses: http.request, with: { method: GET, url: '${{ inputs.base }}/', timeout: 1m } }
  - { id: whole, assert: [{ that: steps.look.outputs.body_bytes == 10485760 }] }
";

const WIDE: &str = "
inputs: { base: { type: url } }
steps:
  - id: look
    foreach: 1..=200
    max_parallel: 200
    uses: http.probe
    with: { url: '${{ inputs.base }}/${{ each.value }}', timeout: 1m }
  - { id: well, assert: [{ that: 'steps.look.outputs.all(|seen| seen.ok)' }] }
";

/// A megabyte in lines, 4 KiB below the most that is kept.
const LOUD: &str = "
steps:
  - { id: say, uses: exec.run, with: { argv: [seq, '165000'], parse: text } }
";

/// Runs it, shows it and exports it; each within its bound above what one step takes.
fn assert_bounded(what: &str, runbook: &str, inputs: &[&str]) {
    let place = |text: &str| {
        let settings = "version: 1\nallow:\n  exec:\n    - { argv: [seq, '*'], effect: read }\n";
        Place::new().runbook("work", text).file("rerail.yaml", settings)
    };
    let (one, work) = (place(ONE), place(runbook));
    let run: Vec<&str> = ["run", "work", "--yes"].into_iter().chain(inputs.iter().copied()).collect();
    for (args, plain) in [
        (run.as_slice(), ["run", "work", "--yes"].as_slice()),
        (&["show", "@last"], &["show", "@last"]),
        (&["export", "@last", "--format", "html"], &["export", "@last", "--format", "html"]),
        (&["export", "@last", "--format", "md"], &["export", "@last", "--format", "md"]),
        (&["verify"], &["verify"]),
    ] {
        let peak = || {
            let (said, base) = confined(&one, plain);
            said.exits(0);
            base.peak_kib
        };
        let before = peak();
        let (said, used) = confined(&work, args);
        let said = said.exits(0);
        // Pages of the program itself count as far as the machine has them at hand, which it may only have had afterwards.
        let grown = used.peak_kib.saturating_sub(before.max(peak()));
        eprintln!("{what}: {} holds {grown} KiB more, {:?} of processor time", said.args, used.cpu);
        assert!(grown <= GROWTH_MAX_KIB, "{what}: {} holds {grown} KiB more than with one step", said.args);
    }
}

#[test]
fn ten_thousand_steps_are_held_in_little_memory() {
    assert_bounded("ten thousand steps", MANY, &[]);
}

#[test]
fn an_answer_of_ten_megabytes_is_held_in_little_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("base=http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let asked = stream.read(&mut [0; 4096]).unwrap();
            assert!(asked > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n").unwrap();
            for _ in 0..160 {
                stream.write_all(&[b'x'; 65_536]).unwrap();
            }
        }
    });
    assert_bounded("ten megabytes", LONG, &["-i", &base]);
}

#[test]
fn two_hundred_looks_at_a_time_are_held_in_little_memory() {
    // Nobody is answered before all are there: they really are under way together.
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let ledger = Ledger::serve(move |_, stream| {
        count.fetch_add(1, Ordering::SeqCst);
        super::kit::until("all two hundred have arrived", || count.load(Ordering::SeqCst) >= 200);
        answer(stream, &json!({}));
    });
    assert_bounded("two hundred looks", WIDE, &["-i", &format!("base={}", ledger.url)]);
    assert_eq!(arrived.load(Ordering::SeqCst), 200);
}

#[test]
fn a_megabyte_of_lines_is_held_in_little_memory() {
    assert_bounded("a megabyte of lines", LOUD, &[]);
}
