//! Backups and restores whose process is killed: at its boundaries, and while a tool works on without it. Each tool does its
//! work once, and the end is the same.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;

use super::kit::{ORDERS, Shop};
use crate::binary::kit::{Living, Said, from_env, until};

/// Every boundary is tried with `RERAIL_BOUNDARIES=1`; otherwise every so many.
const STRIDE: u64 = 17;
/// Runs at a time: they wait for the disk and the server more than they compute.
const AT_A_TIME: usize = 2;

/// Puts a program of this name before the real one: it writes down its words, does what the script says, and goes on as the
/// real one. Gives the PATH.
fn watched(shop: &Shop, tools: &[&str], first: &str) -> String {
    let folder = shop.place.beside("tools");
    std::fs::create_dir_all(&folder).unwrap();
    for tool in tools {
        let script = format!(
            "#!/bin/sh\necho \"{tool} $*\" >> {log}\n{first}\nPATH=${{PATH#*:}} exec {tool} \"$@\"\n",
            log = shop.place.beside("calls").display()
        );
        std::fs::write(folder.join(tool), script).unwrap();
        std::fs::set_permissions(folder.join(tool), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// How often a tool was started with this among its words.
fn calls(shop: &Shop, tool: &str, word: &str) -> usize {
    let log = std::fs::read_to_string(shop.place.beside("calls")).unwrap_or_default();
    log.lines().filter(|line| line.starts_with(&format!("{tool} ")) && line.contains(word)).count()
}

const TOOLS: [&str; 4] = ["pg_dump", "pg_restore", "createdb", "dropdb"];

/// Runs `work` with the number of each boundary that is to be tried, until one isn't reached.
fn at_boundaries(work: impl Fn(u64) -> bool + Sync) {
    let stride = from_env("RERAIL_BOUNDARIES", STRIDE);
    let (next, over) = (AtomicU64::new(1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    if !work(next.fetch_add(stride, Ordering::SeqCst)) {
                        over.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert!(next.load(Ordering::SeqCst) > 3 * stride, "hardly any boundary was passed");
}

/// The same command, killed at a boundary; whether it got so far.
fn killed(shop: &Shop, path: &str, args: &[&str], k: u64) -> bool {
    let mut command = shop.place.rerail(args);
    command
        .env("PATH", path)
        .env("RERAIL_CRASH_AT", k.to_string())
        .env("RERAIL_CRASH_LOG", shop.place.beside("points"));
    Said::of(args, command.output().unwrap()).was_killed()
}

fn ask(shop: &Shop, path: &str, args: &[&str]) -> Said {
    Said::of(args, shop.place.rerail(args).env("PATH", path).output().unwrap())
}

#[test]
fn a_backup_that_is_killed_anywhere_is_made_once() {
    at_boundaries(|k| {
        let Some(shop) = Shop::open(&format!("killed_b{k}")) else { return false };
        let path = watched(&shop, &TOOLS, "");
        let args = ["run", "backup-postgres", "--target", "here", "--yes"];
        if !killed(&shop, &path, &args, k) {
            return false;
        }
        match shop.place.events().is_empty() {
            true => ask(&shop, &path, &args).exits(0),
            false => ask(&shop, &path, &["resume", "@last"]).exits(0),
        };
        assert_eq!((shop.dumps().len(), calls(&shop, "pg_dump", "--file")), (1, 1), "killed at {k}");
        shop.place.assert_journal_is_whole(&format!("killed at {k}"));
        true
    });
}

#[test]
fn a_drill_that_is_killed_anywhere_ends_well_and_leaves_nothing() {
    at_boundaries(|k| {
        let Some(shop) = Shop::open(&format!("killed_d{k}")) else { return false };
        shop.run("backup-postgres", &[]).exits(0);
        let path = watched(&shop, &TOOLS, "");
        let args = ["run", "restore-postgres", "--target", "here", "--yes", "--confirm", "here", "-i", "drill=true"];
        if !killed(&shop, &path, &args, k) {
            return false;
        }
        let newest = shop.place.json(&["show", "@last"])["runbook"].clone();
        match newest == "restore-postgres" {
            false => ask(&shop, &path, &args).exits(0),
            true => ask(&shop, &path, &["resume", "@last"]).exits(0),
        };
        let once = (calls(&shop, "createdb", "rerail_"), calls(&shop, "pg_restore", "--dbname"));
        assert_eq!((once, shop.has_scratch(), shop.rows("orders")), ((1, 1), false, ORDERS), "killed at {k}");
        true
    });
}

#[test]
fn a_restore_that_is_killed_anywhere_after_the_yes_is_done_once() {
    at_boundaries(|k| {
        let Some(shop) = Shop::open(&format!("killed_r{k}")) else { return false };
        shop.run("backup-postgres", &[]).exits(0);
        shop.sql(&shop.database, "DELETE FROM orders");
        shop.run("restore-postgres", &[]).exits(13);
        shop.approve("restore");
        let path = watched(&shop, &TOOLS, "");
        if !killed(&shop, &path, &["resume", "@last"], k) {
            return false;
        }
        if shop.place.json(&["show", "@last"])["status"] != "success" {
            ask(&shop, &path, &["resume", "@last"]).exits(0);
        }
        assert_eq!((calls(&shop, "pg_restore", "--clean"), shop.rows("orders")), (1, ORDERS), "killed at {k}");
        true
    });
}

#[test]
fn a_dump_that_goes_on_without_rerail_is_waited_for_and_taken_as_done() {
    let Some(shop) = Shop::open("orphan") else { return };
    let go = shop.place.beside("go");
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let path = watched(&shop, &["pg_dump"], &wait);
    let mut command = shop.place.rerail(&["run", "backup-postgres", "--target", "here", "--yes"]);
    command.env("PATH", &path);
    let mut run = Living::spawn("run backup-postgres", command);
    until("pg_dump was started", || calls(&shop, "pg_dump", "--file") == 1);
    run.signal(Signal::KILL);
    assert!(run.ends().was_killed());
    std::fs::write(&go, "").unwrap();
    ask(&shop, &path, &["resume", "@last"]).exits(0);
    assert_eq!((calls(&shop, "pg_dump", "--file"), shop.dumps().len()), (1, 1), "nobody starts a second one beside it");
}

#[test]
fn a_dump_that_died_with_rerail_is_made_anew_into_the_same_file() {
    let Some(shop) = Shop::open("died") else { return };
    // The first one never comes to its work.
    let path = watched(
        &shop,
        &["pg_dump"],
        &format!("[ -e {0} ] || {{ touch {0}; exec sleep 600; }}", shop.place.beside("once").display()),
    );
    let mut command = shop.place.rerail(&["run", "backup-postgres", "--target", "here", "--yes"]);
    command.env("PATH", &path);
    let mut run = Living::spawn("run backup-postgres", command);
    until("pg_dump was started", || shop.place.beside("once").exists());
    run.signal(Signal::KILL);
    assert!(run.ends().was_killed());
    ask(&shop, &path, &["resume", "@last"]).exits(0);
    assert_eq!((calls(&shop, "pg_dump", "--file"), shop.dumps().len()), (2, 1));
}
