//! P1: from the shell to the end of a durable one-step run. P14: the size of the program.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::config::DbConfig;

use crate::measure::{Row, in_turn, timed};
use crate::program::{Place, rerail};

/// Runs of each side.
const ROUNDS: usize = 41;

/// The floor: a program that reads its arguments, opens a kept SQLite log, and commits four times.
pub fn floor() {
    let command = clap::Command::new("floor").arg(clap::Arg::new("floor").long("floor").required(true));
    let args = command.get_matches();
    let file = Path::new(args.get_one::<String>("floor").unwrap());
    let db = rusqlite::Connection::open(file).unwrap();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS t (a TEXT)")
        .unwrap();
    for _ in 0..4 {
        db.execute("INSERT INTO t VALUES (hex(randomblob(150)))", []).unwrap();
    }
}

pub fn rows() -> Vec<Row> {
    let place = Place::new();
    place.runbook("one", "steps:\n  - { id: a, uses: run.note, with: { text: hello } }\n");
    let file = place.dir.path().join("floor.db");
    let this = std::env::current_exe().unwrap();
    let (ours, floor) = in_turn(
        ROUNDS,
        || timed(|| place.run(&["run", "one"])).0,
        || whole(Command::new(&this).args(["--floor", file.to_str().unwrap()])),
    );
    let (again, nothing) =
        in_turn(ROUNDS, || timed(|| place.run(&["run", "one"])).0, || whole(&mut Command::new("/bin/true")));
    let size = std::fs::metadata(stripped(&place)).unwrap().len() as f64 / f64::from(1 << 20);
    vec![
        Row::ratio("P1", "one durable step, whole process / args and four SQLite commits", ours, floor, 1.5),
        Row::ratio("P1", "the same / `/bin/true`, for information", again, nothing, f64::INFINITY),
        Row::plain("P14", "size of the stripped program", size, 16.0, "MiB"),
    ]
}

fn whole(command: &mut Command) -> Duration {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (took, status) = timed(|| command.status().unwrap());
    assert!(status.success());
    took
}

fn stripped(place: &Place) -> std::path::PathBuf {
    let to = place.dir.path().join("stripped");
    let status = Command::new("strip").arg(rerail()).arg("-o").arg(&to).status();
    if status.is_ok_and(|status| status.success()) { to } else { rerail() }
}
