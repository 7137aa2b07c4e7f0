//! A dry-run changes nothing anywhere, and a run flushes no more and starts no more than it must.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use super::kit::{Ledger, Place, Said, answer, from_env, skipped};

/// Everything that makes a disk write out what it holds.
const FLUSHES: &str = "trace=fsync,fdatasync,sync_file_range,msync,syncfs,sync";
/// What a run of a hundred writes may flush: each write's intent with the outcome before it, a little around.
const HUNDRED_WRITES_MAX: u64 = 109;
/// What each further write may: one flush, and its part of moving the log into the database now and then.
const FLUSHES_PER_WRITE_MAX: f64 = 1.05;
/// Writes of a run that is long enough to tell.
const MANY_WRITES: u32 = 200;
/// What fifty looks may: the start, the end, once a second between, and a store that is made with its key.
const FIFTY_READS_MAX: u64 = 7;

const FIX: &str = "
inputs: { base: { type: url } }
steps:
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/state' } }
  - id: fix
    if: steps.look.outputs.status == 200
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/fix', json: { seen: '${{ steps.look.outputs.status }}' } }
  - { id: keep, uses: file.write, with: { path: out/report.txt, text: done } }
  - id: script
    script: |
      http::request(#{ method: \"DELETE\", url: `${inputs.base}/cache` });
      http::request(#{ method: \"POST\", url: `${inputs.base}/more` })
  - { id: healthy, uses: http.probe, with: { url: '${{ inputs.base }}/state' }, until: result.ok, every: 1s, within: 1m }
finally:
  - { id: bye, uses: http.request, with: { method: PUT, url: '${{ inputs.base }}/bye' } }
";

fn looping(method: &str, times: u32) -> String {
    format!(
        "
inputs: {{ base: {{ type: url }} }}
steps:
  - id: all
    script: |
      let sum = 0;
      for i in 0..{times} {{ sum += http::request(#{{ method: \"{method}\", url: `${{inputs.base}}/${{i}}` }}).status; }}
      sum
outputs: {{ sum: '${{{{ steps.all.outputs }}}}' }}
"
    )
}

/// Writes as steps of their own, one after the other.
fn steps_in_a_row(writes: u32) -> String {
    let step = |i| {
        format!("  - {{ id: w{i}, uses: http.request, with: {{ method: POST, url: '${{{{ inputs.base }}}}/{i}' }} }}\n")
    };
    format!("\ninputs: {{ base: {{ type: url }} }}\nsteps:\n{}", (0..writes).map(step).collect::<String>())
}

fn world() -> (Place, Ledger) {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let place = Place::new()
        .runbook("fix", FIX)
        .runbook("writes", &looping("POST", 100))
        .runbook("reads", &looping("GET", 50))
        .runbook("write", &steps_in_a_row(1))
        .runbook("many", &steps_in_a_row(MANY_WRITES))
        .file("rerail.yaml", "version: 1\nallow: { file_write: [out] }\n")
        .file("out/old.txt", "old");
    (place, ledger)
}

/// Flushes of a command under `strace`; `None` where nothing can be traced.
fn flushes(place: &Place, args: &[&str]) -> Option<u64> {
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    if !traced.is_ok_and(|output| output.status.success()) {
        skipped("strace does not work here: flushes were NOT counted");
        return None;
    }
    let table = place.beside("flushes");
    let wrapper = ["strace", "-f", "-c", "-U", "name,calls", "-e", FLUSHES, "-o", table.to_str().unwrap()];
    Said::of(args, place.through(&wrapper, args).output().unwrap()).exits(0);
    let table = std::fs::read_to_string(table).unwrap();
    let total = table.lines().filter_map(|line| line.strip_prefix("total")).next();
    Some(total.map_or(0, |total| total.trim().parse().unwrap()))
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

#[test]
fn a_dry_run_sends_no_write_and_leaves_nothing_behind() {
    let (place, ledger) = world();
    let input = format!("base={}", ledger.url);
    let before = files_below(place.beside("").as_path());
    let said = place.ask(&["run", "fix", "-i", &input, "--dry-run"]).exits(0);
    let said = said.says(&["nothing was changed", "~ fix", "~ keep", "~ script/http.request#1", "out/report.txt"]);
    assert!(said.stdout.contains("Not covered"), "{}", said.stdout);
    place.ask(&["run", "fix", "-i", &input, "--dry-run", "--detailed-exitcode"]).exits(20);
    place.ask(&["run", "fix", "-i", &input, "--dry-run", "-o", "jsonl"]).exits(0);

    assert!(ledger.entries().len() >= 6, "its looks are real");
    assert_eq!(ledger.writes(), []);
    assert!(!place.state().exists(), "the store was made");
    assert_eq!(files_below(place.beside("").as_path()), before);
}

#[test]
fn a_dry_run_flushes_nothing() {
    let (place, ledger) = world();
    let input = format!("base={}", ledger.url);
    for runbook in ["fix", "writes"] {
        let Some(flushes) = flushes(&place, &["run", runbook, "-i", &input, "--dry-run"]) else { return };
        assert_eq!(flushes, 0, "{runbook}");
    }
    assert_eq!(ledger.writes(), []);
}

#[test]
fn a_hundred_writes_share_their_flushes() {
    let (place, ledger) = world();
    let input = format!("base={}", ledger.url);
    // On a store that has to be made, and on ones whose log is ever fuller.
    for round in 1..=from_env("RERAIL_ROUNDS", 3) {
        let Some(flushes) = flushes(&place, &["run", "writes", "-i", &input, "--yes"]) else { return };
        println!("round {round}: {flushes} flushes for 100 writes");
        assert!((100..=HUNDRED_WRITES_MAX).contains(&flushes), "round {round}: {flushes} flushes for 100 writes");
        assert_eq!(ledger.writes().len() as u64, 100 * round);
    }
}

#[test]
fn a_further_write_costs_one_flush() {
    let (place, ledger) = world();
    let input = format!("base={}", ledger.url);
    place.ask(&["run", "write", "-i", &input, "--yes"]).exits(0);
    let count = |runbook| flushes(&place, &["run", runbook, "-i", &input, "--yes"]);
    let (Some(one), Some(many)) = (count("write"), count("many")) else { return };
    let each = many.saturating_sub(one) as f64 / f64::from(MANY_WRITES - 1);
    println!("{one} flushes for one write, {many} for {MANY_WRITES}: {each:.3} for each further one");
    assert!((1.0..=FLUSHES_PER_WRITE_MAX).contains(&each), "{each:.3} flushes for each further write");
    assert_eq!(ledger.writes().len(), 2 + MANY_WRITES as usize);
}

#[test]
fn looks_share_a_flush_a_second() {
    let (place, ledger) = world();
    let input = format!("base={}", ledger.url);
    for _ in 0..2 {
        let Some(flushes) = flushes(&place, &["run", "reads", "-i", &input]) else { return };
        println!("{flushes} flushes for 50 looks");
        assert!((1..=FIFTY_READS_MAX).contains(&flushes), "{flushes} flushes for 50 looks");
    }
    for looking in [["show", "@last"], ["runs", "--quiet"], ["verify", "@last"]] {
        assert_eq!(flushes(&place, &looking), Some(0), "{looking:?}");
    }
}

#[test]
fn where_there_is_no_terminal_no_program_is_started_to_measure_one() {
    let (place, ledger) = world();
    let (programs, started) = (place.beside("programs"), place.beside("started"));
    std::fs::create_dir(&programs).unwrap();
    for name in ["tput", "stty"] {
        let file = programs.join(name);
        std::fs::write(&file, format!("#!/bin/sh\necho {name} >>{}\necho 80\n", started.display())).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let place = place.env("PATH", programs.to_str().unwrap());
    place.ask(&["run", "many", "-i", &format!("base={}", ledger.url), "--yes"]).exits(0);
    assert!(!started.exists(), "{}", std::fs::read_to_string(started).unwrap());
}
