//! The arrows between the folders of `src`, and what the deterministic ones may not touch.
//!
//! A grep on purpose: it sees what the compiler accepts. It is honest because modules are named by
//! `crate::…` only (no `super::*` across folders), which is checked here as well.

use std::path::Path;

use crate::house::{Text, source_texts};

/// What a top-level module of `src` may name beside itself. Every arrow points upwards in this list, so
/// there is no circle. A new arrow is a decision: say why in ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 14] = [
    ("failpoint", &[]),
    ("world", &[]),
    ("script", &[]),
    // Values are redacted whole, so the redactor knows their shape.
    ("redact", &["script"]),
    ("runbook", &["script"]),
    ("engine", &["runbook", "script"]),
    // It tells what events say.
    ("traces", &["engine", "redact"]),
    // Requests are parts of a trace, and whom they are sent to may be told which.
    ("steps", &["engine", "redact", "runbook", "script", "traces"]),
    ("journal", &["engine", "runbook", "script"]),
    ("transcript", &["engine", "runbook", "script"]),
    ("project", &["runbook"]),
    ("drivers", &["engine", "journal", "redact", "runbook", "script", "steps"]),
    ("runs", &["drivers", "engine", "journal", "project", "redact", "runbook", "script", "steps", "traces"]),
    // It begins the telling and waits for its end.
    ("surfaces", &["engine", "project", "redact", "runbook", "runs", "script", "traces", "transcript", "world"]),
];

/// Where everybody may go: named places where a test can crash the process.
const FREE: [&str; 1] = ["failpoint"];

/// Folders that compute and never meet the world.
const PURE: [&str; 5] = ["redact", "runbook", "engine", "transcript", "world"];

/// The world, by the names through which Rust code meets it.
const WORLD: [&str; 14] = [
    "tokio",
    "reqwest",
    "rusqlite",
    "rustix",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "now_v7",
];

/// Belongs to a module in its first path segment: `src/engine/walk/leaf.rs` to `engine`.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(module, "lib" | "main")).then_some(module)
}

/// The top-level modules that a text names after `crate::`, also through a group: `crate::{a::B, c}`.
fn modules_named(text: &str) -> Vec<String> {
    let mut named = Vec::new();
    for after in text.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(group) => named.extend(heads_of_group(group)),
            None => named.extend(word(after)),
        }
    }
    named.sort();
    named.dedup();
    named
}

/// The first words of the entries of a `use` group; nested groups belong to their entry.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut at_entry = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_entry = true,
            _ if c.is_whitespace() => {}
            _ if at_entry => {
                at_entry = false;
                heads.extend(word(&group[at..]));
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    // `crate::Thing` and macros are of the crate's root, which holds nothing.
    word.starts_with(|c: char| c.is_ascii_lowercase()).then_some(word)
}

/// Arrows that the table doesn't have.
fn forbidden_arrows(texts: &[Text]) -> Vec<String> {
    let mut wrong = Vec::new();
    for text in texts {
        let Some(module) = module_of(&text.path) else { continue };
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{}: module `{module}` is not in the table of arrows", text.path));
            continue;
        };
        for named in modules_named(&text.code()) {
            if named != module && !FREE.contains(&named.as_str()) && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{}: `{module}` may not name `{named}`", text.path));
            }
        }
    }
    wrong
}

/// Ways around `use crate::…` that would blind the grep.
fn hidden_arrows(texts: &[Text]) -> Vec<String> {
    let mut wrong = Vec::new();
    for text in texts.iter().filter(|text| module_of(&text.path).is_some()) {
        let code = text.production();
        let is_mod = text.path.ends_with("/mod.rs");
        for line in code.lines() {
            let glob = line.trim_start().starts_with("use super::*") || line.contains("super::super");
            if glob || (is_mod && line.contains("super::")) {
                wrong.push(format!("{}: `{}`: name modules by `crate::`", text.path, line.trim()));
            }
        }
    }
    wrong
}

/// Where a pure folder meets the world, outside its tests.
fn meetings_with_the_world(texts: &[Text]) -> Vec<String> {
    let mut wrong = Vec::new();
    for text in texts {
        if !module_of(&text.path).is_some_and(|module| PURE.contains(&module)) {
            continue;
        }
        let code = text.production();
        for name in WORLD.iter().filter(|name| code.contains(**name)) {
            wrong.push(format!("{}: names `{name}`, and this folder only computes", text.path));
        }
    }
    wrong
}

#[test]
fn every_arrow_between_folders_is_in_the_table() {
    let wrong = forbidden_arrows(&source_texts());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_are_named_by_their_whole_path() {
    let wrong = hidden_arrows(&source_texts());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn folders_that_compute_do_not_meet_the_world() {
    let wrong = meetings_with_the_world(&source_texts());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    for (at, (module, allowed)) in ARROWS.iter().enumerate() {
        for to in *allowed {
            let before = ARROWS[..at].iter().any(|(name, _)| name == to);
            assert!(before, "`{module}` -> `{to}` points downwards");
        }
    }
}

#[test]
fn the_engine_denies_itself_clock_files_and_hash_order() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/mod.rs")).unwrap();
    for lint in ["clippy::disallowed_methods", "clippy::disallowed_types"] {
        assert!(text.contains(lint), "src/engine/mod.rs no longer denies {lint}");
    }
}

#[test]
fn a_planted_arrow_is_found_however_it_is_written() {
    for planted in [
        "use crate::drivers::local::Local;",
        "use crate::{runbook::model::Step, drivers::local::Local};",
        "use crate::{\n    runbook::{model::{Body, Step}, spec},\n    drivers,\n};",
        "fn f() { crate::drivers::clock::now(); }",
        "pub(in crate::drivers) fn f() {}",
    ] {
        let wrong = forbidden_arrows(&[Text::new("src/engine/planted.rs", planted)]);
        assert_eq!(wrong, ["src/engine/planted.rs: `engine` may not name `drivers`"], "{planted}");
    }
    for fine in [
        "//! Driven by [`Local`](crate::drivers::local::Local).",
        "use crate::{runbook::{model::drivers}, script::value::Value};",
        "use crate::failpoint;",
    ] {
        assert!(forbidden_arrows(&[Text::new("src/engine/fine.rs", fine)]).is_empty(), "{fine}");
    }
    let stray = forbidden_arrows(&[Text::new("src/util.rs", "")]);
    assert_eq!(stray, ["src/util.rs: module `util` is not in the table of arrows"]);
}

#[test]
fn a_planted_way_around_is_found() {
    for (path, planted) in [
        ("src/engine/planted.rs", "use super::*;\n"),
        ("src/engine/walk/planted.rs", "use super::super::machine::Env;\n"),
        ("src/engine/walk/mod.rs", "use super::machine::Env;\n"),
    ] {
        assert_eq!(hidden_arrows(&[Text::new(path, planted)]).len(), 1, "{path}");
    }
    let tests = "fn f() {}\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
    assert!(hidden_arrows(&[Text::new("src/engine/fine.rs", tests)]).is_empty());
}

#[test]
fn a_planted_clock_is_found_and_tests_may_have_one() {
    let planted = "fn f() -> Timestamp { Timestamp::now() }\n";
    assert_eq!(meetings_with_the_world(&[Text::new("src/engine/planted.rs", planted)]).len(), 1);
    let in_tests = format!("#[cfg(test)]\nmod tests {{\n{planted}}}\n");
    assert!(meetings_with_the_world(&[Text::new("src/engine/fine.rs", &in_tests)]).is_empty());
    assert!(meetings_with_the_world(&[Text::new("src/drivers/clock.rs", planted)]).is_empty());
}
