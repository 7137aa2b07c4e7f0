//! Every place where a person or program could see a secret: what is on disk, what is printed, what is exported.

use std::path::{Path, PathBuf};

use super::search::Search;
use crate::binary::kit::{Place, Said};

/// Commands that tell of the last run, of the project or of the store. One that is new and shows anything gets a line.
const LOOKS: &[&[&str]] = &[
    &["show"],
    &["show", "--verbose"],
    &["show", "--timeline"],
    &["show", "-o", "json"],
    &["show", "-o", "jsonl"],
    &["show", "-o", "yaml"],
    &["runs"],
    &["runs", "-o", "json"],
    &["list", "-o", "json"],
    &["triggers"],
    &["triggers", "-o", "json"],
    &["verify"],
    &["verify", "-o", "json"],
    &["checkpoint"],
    &["check", "-o", "sarif"],
    &["check", "-o", "json"],
    &["test", "-o", "junit"],
    &["doctor", "-o", "json"],
    &["secrets", "list", "-o", "json"],
    &["export", "@last", "--format", "md"],
];

/// Commands that write a file about the last run, which comes last. One that is new gets a line; saved plans: [`plan`].
const WRITES: &[&[&str]] = &[
    &["export", "@last", "--format", "md", "--out", "run.md"],
    &["export", "@last", "--format", "html", "--out", "run.html"],
    &["export", "@last", "--format", "svg", "--out", "run.svg"],
    &["export", "@last", "--format", "json", "--out", "run.json"],
    &["export", "@last", "--format", "jsonl", "--out", "run.jsonl"],
];

/// Runs a command; nothing it says and nothing on disk holds a canary.
#[track_caller]
pub fn ask(place: &Place, search: &Search, args: &[&str]) -> Said {
    let said = place.ask(args);
    search.assert_clean(&format!("standard output of {}", said.args), said.stdout.as_bytes());
    search.assert_clean(&format!("standard error of {}", said.args), said.stderr.as_bytes());
    said
}

/// Saves a plan, which is a file that people hand to others; `args` are the runbook, its target and inputs. Whether there
/// is one: a rehearsal that doesn't end well leaves none.
#[track_caller]
pub fn plan(place: &Place, search: &Search, args: &[&str]) -> bool {
    let out = place.beside("out");
    std::fs::create_dir_all(&out).unwrap();
    let file = out.join("plan.json");
    let name = file.display().to_string();
    let said = ask(place, search, &[&["plan"], args, &["--out", name.as_str()]].concat());
    assert_eq!(file.exists(), said.code() == Some(0), "{} {}", said.stdout, said.stderr);
    disk(place, search);
    file.exists()
}

/// Looks into everything there is after a run, steps one by one as well.
#[track_caller]
pub fn sweep(place: &Place, search: &Search) {
    for args in LOOKS {
        ask(place, search, args);
    }
    let shown = place.json(&["show"]);
    for step in shown["steps"].as_array().unwrap() {
        ask(place, search, &["show", "--step", step["step"].as_str().unwrap()]);
    }
    let out = place.beside("out");
    std::fs::create_dir_all(&out).unwrap();
    for args in WRITES {
        let (name, rest) = args.split_last().unwrap();
        let file = out.join(name);
        std::fs::remove_file(&file).ok();
        let file = file.display().to_string();
        ask(place, search, &[rest, &[file.as_str()]].concat()).exits(0);
    }
    disk(place, search);
}

/// Every file that rerail has written: the database with its log, blobs, temporary files, exports.
#[track_caller]
pub fn disk(place: &Place, search: &Search) {
    for folder in [place.state().to_owned(), place.beside("tmp"), place.beside("home"), place.beside("out")] {
        for file in files_below(&folder) {
            search.assert_clean(&file.display().to_string(), file.display().to_string().as_bytes());
            search.assert_clean(&file.display().to_string(), &std::fs::read(&file).unwrap());
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
