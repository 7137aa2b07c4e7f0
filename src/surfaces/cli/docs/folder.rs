//! The directory of the pages: written as a whole, and never over what is somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

use crate::surfaces::cli::error::CliError;

/// Says that a directory is ours, and which of its files.
const MARKER: &str = ".rerail-docs";
/// First line of the marker.
const HEAD: &str = "# Written by `rerail docs`: it replaces and removes these files.";

/// Makes the pages those of `dir`: what has changed is written, what an earlier catalogue had and this one hasn't is removed.
///
/// # Errors
/// If there is anything in it and no marker, or the disk refuses; what is written by then is ours at the next try.
pub fn write(dir: &Path, pages: &BTreeMap<String, String>) -> Result<(), CliError> {
    let shown = dir.display().to_string();
    let failed = |error: io::Error| CliError::io("writing into", &shown, &error);
    let earlier = ours(dir, &shown)?;
    fs::create_dir_all(dir).map_err(failed)?;
    // First, so that a catalogue that was cut off half-way is still known as one.
    let all: BTreeSet<&str> = earlier.iter().map(String::as_str).chain(pages.keys().map(String::as_str)).collect();
    mark(dir, all).map_err(failed)?;
    for (name, text) in pages {
        page(&dir.join(name), text).map_err(failed)?;
    }
    for name in earlier.iter().filter(|name| !pages.contains_key(*name)) {
        match fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    mark(dir, pages.keys().map(String::as_str)).map_err(failed)
}

/// The files that an earlier catalogue wrote; none where there is nothing yet.
fn ours(dir: &Path, shown: &str) -> Result<BTreeSet<String>, CliError> {
    let unknown = |why: &str| {
        Err(CliError::usage(format!("`{shown}` {why}; nothing was written"))
            .hint("name a directory that is new, empty, or was written by `rerail docs` before"))
    };
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return unknown("is no directory"),
        Err(error) => return Err(CliError::io("reading", shown, &error)),
    };
    match fs::read_to_string(dir.join(MARKER)) {
        Ok(text) if text.lines().next() == Some(HEAD) => {
            // Whoever can write the marker must not be able to have other files removed by it.
            let inside = |name: &&str| {
                let path = Path::new(name);
                path.components().all(|part| matches!(part, Component::Normal(_))) && name.ends_with(".md")
            };
            Ok(text.lines().skip(1).filter(inside).map(str::to_owned).collect())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => match entries.next() {
            None => Ok(BTreeSet::new()),
            Some(_) => unknown("has files in it that `rerail docs` did not write"),
        },
        _ => unknown(&format!("has a `{MARKER}` that `rerail docs` did not write")),
    }
}

fn mark<'a>(dir: &Path, names: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    let mut text = format!("{HEAD}\n");
    for name in names {
        text.push_str(&format!("{name}\n"));
    }
    fs::write(dir.join(MARKER), text)
}

/// A page that says the same keeps its file as it is.
fn page(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::read(path) {
        Ok(there) if there == text.as_bytes() => Ok(()),
        _ => fs::write(path, text),
    }
}
