//! The house rules that a program can check: headers, sizes, words, and documents that must not rot.

use std::path::{Path, PathBuf};

/// Lines of a file in `src`. Past 600 look for a second noun in it; past this it is found.
const LINES_MAX: usize = 700;

/// A source file.
pub(crate) struct Text {
    /// From the repository's root.
    pub(crate) path: String,
    /// Whether it is compiled for tests only.
    pub(crate) is_test: bool,
    text: String,
}

impl Text {
    pub(crate) fn new(path: &str, text: &str) -> Text {
        Text { path: path.to_owned(), is_test: false, text: text.to_owned() }
    }

    /// Without the lines that are comments.
    pub(crate) fn code(&self) -> String {
        let lines = self.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// The code without the file's tests; nothing for a file of tests.
    pub(crate) fn production(&self) -> String {
        let code = self.code();
        match code.find("#[cfg(test)]\nmod tests") {
            _ if self.is_test => String::new(),
            Some(at) => code[..at].to_owned(),
            None => code,
        }
    }

    /// Where the files of its modules are: `src/engine` for `src/engine/mod.rs` and for `src/engine.rs`.
    fn folder(&self) -> &str {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        ["/mod", "/lib", "/main"].into_iter().find_map(|root| stem.strip_suffix(root)).unwrap_or(stem)
    }

    /// Its modules that are compiled for tests only, as paths without `.rs`.
    fn test_modules(&self) -> Vec<String> {
        let mut found = Vec::new();
        for after in self.text.split("#[cfg(test)]\n").skip(1) {
            let line = after.lines().next().unwrap_or_default();
            let name = line.trim_end_matches(';').rsplit(' ').next().unwrap_or_default();
            if line.ends_with(';') && line.contains("mod ") {
                found.push(format!("{}/{name}", self.folder()));
            }
        }
        found
    }
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `src`.
pub(crate) fn source_texts() -> Vec<Text> {
    let mut texts: Vec<Text> = files_below("src").into_iter().filter(|path| path.ends_with(".rs")).map(read).collect();
    assert!(texts.len() > 20, "the tests must see the sources, got {} files", texts.len());
    let tests: Vec<String> = texts.iter().flat_map(Text::test_modules).collect();
    for text in &mut texts {
        let below = |module: &String| {
            text.path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        text.is_test = tests.iter().any(below);
    }
    texts
}

fn read(path: String) -> Text {
    let text = std::fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Text::new(&path, &text)
}

fn document(name: &str) -> String {
    read(name.to_owned()).text
}

/// Paths from the root, sorted.
pub(crate) fn files_below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())).flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(relative(&path)),
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

/// What a text does that nobody should.
fn offences(text: &Text) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.text.lines()) {
        let mut say = |what: &str| found.push(format!("{}:{number}: {what}", text.path));
        if let Some((_, comment)) = line.split_once("//") {
            let comment = comment.trim_start_matches(['/', '!', ' ']);
            if ["TODO", "FIXME", "XXX", "HACK"].iter().any(|word| comment.starts_with(word)) {
                say("a note to oneself: do it, or open an issue");
            }
        }
        let code = line.trim_start();
        if ["dbg!(", "todo!(", "unimplemented!("].iter().any(|word| code.contains(word)) && !code.contains('"') {
            say("a placeholder");
        }
        if code.starts_with(concat!("#[", "allow(")) || code.starts_with(concat!("#![", "allow(")) {
            say("`#[expect(lint, reason = …)]` instead: it says when it is no longer needed");
        }
    }
    found
}

#[test]
fn no_source_has_placeholders_or_silenced_lints() {
    let tests = files_below("tests/it").into_iter().filter(|path| path.ends_with(".rs")).map(read);
    let found: Vec<String> = source_texts().into_iter().chain(tests).flat_map(|text| offences(&text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_offence_is_found() {
    for planted in [
        concat!("// TO", "DO: later"),
        concat!("let x = f(); // FIX", "ME"),
        concat!("    todo", "!()"),
        concat!("#[", "allow(dead_code)]"),
    ] {
        assert_eq!(offences(&Text::new("src/planted.rs", planted)).len(), 1, "{planted}");
    }
    let said = "section(&mut page, \"Impact\", &[\"TODO(author)\"]);";
    assert!(offences(&Text::new("src/fine.rs", said)).is_empty(), "what the product says is not a note to oneself");
}

#[test]
fn every_file_says_first_what_it_is_for() {
    // A file of tests is for the tests of its parent.
    let silent: Vec<String> = source_texts()
        .into_iter()
        .filter(|text| !text.is_test && !text.text.starts_with("//!"))
        .map(|text| text.path)
        .collect();
    assert!(silent.is_empty(), "without `//!`: {}", silent.join(", "));
}

#[test]
fn files_of_tests_are_told_by_their_declaration() {
    let tests: Vec<String> = source_texts().into_iter().filter(|text| text.is_test).map(|text| text.path).collect();
    assert!(tests.contains(&"src/runbook/lower/tests.rs".to_owned()), "{tests:?}");
    assert!(!tests.contains(&"src/runbook/lower.rs".to_owned()));
    let parent = Text::new("src/a/mod.rs", "mod b;\n#[cfg(test)]\npub(crate) mod kit;\n#[cfg(test)]\nmod tests {\n}\n");
    assert_eq!(parent.test_modules(), ["src/a/kit"]);
}

#[test]
fn no_file_holds_two_nouns() {
    let long: Vec<String> = source_texts()
        .into_iter()
        .map(|text| (text.text.lines().count(), text.path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines, at most {LINES_MAX}"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_test_file_is_in_the_one_test_binary() {
    let main = document("tests/it/main.rs");
    let mut forgotten = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name != "main" && !main.lines().any(|line| line.trim() == format!("mod {name};")) {
            forgotten.push(name);
        }
    }
    assert!(forgotten.is_empty(), "not in tests/it/main.rs: {}", forgotten.join(", "));
}

#[test]
fn no_rejected_snapshot_is_left_behind() {
    let left: Vec<String> = ["src", "tests"]
        .into_iter()
        .flat_map(files_below)
        .filter(|path| path.ends_with(".snap.new") || path.ends_with(".pending-snap"))
        .collect();
    assert!(left.is_empty(), "{}", left.join(", "));
}

/// Words in backticks of a document.
fn quoted(document: &str) -> Vec<&str> {
    document.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_architecture_names_every_folder_and_no_file_that_is_gone() {
    let map = document("ARCHITECTURE.md");
    let quoted = quoted(&map);
    let files = files_below("src");
    for entry in std::fs::read_dir(root().join("src")).expect("src is a directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let shown = if entry.path().is_dir() { format!("{name}/") } else { name };
        let listed = quoted.iter().any(|word| *word == shown) || ["lib.rs", "main.rs"].contains(&shown.as_str());
        assert!(listed, "ARCHITECTURE.md lacks `{shown}` in its map");
    }
    for word in quoted.iter().filter(|word| word.ends_with(".rs") && !word.contains(['*', '{'])) {
        let ending = format!("/{word}");
        assert!(
            files.iter().any(|path| path.ends_with(&ending)) || root().join(word).is_file(),
            "ARCHITECTURE.md names `{word}`, which is gone"
        );
    }
}

#[test]
fn every_test_that_guards_an_invariant_is_there() {
    let map = document("ARCHITECTURE.md");
    let texts: Vec<Text> =
        ["src", "tests"].into_iter().flat_map(files_below).filter(|path| path.ends_with(".rs")).map(read).collect();
    let named: Vec<&str> = quoted(&map).into_iter().filter(|word| word.matches('_').count() >= 3).collect();
    assert!(named.len() >= 10, "only {} tests are named", named.len());
    for test in named {
        let head = format!("fn {test}(");
        assert!(
            texts.iter().any(|text| text.text.contains(&head)),
            "ARCHITECTURE.md names the test `{test}`, which is gone"
        );
    }
}

#[test]
fn every_dependency_says_why_it_is_here() {
    let manifest = document("Cargo.toml");
    let map = document("ARCHITECTURE.md");
    let quoted = quoted(&map);
    let mut listed = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            listed = ["[dependencies]", "[dev-dependencies]"].contains(&line);
        }
        let Some((name, _)) = line.split_once(" = ").filter(|_| listed && !line.starts_with('#')) else { continue };
        // The package itself, with its crash points.
        assert!(name == "rerail" || quoted.contains(&name), "ARCHITECTURE.md doesn't say what `{name}` is for");
    }
}
