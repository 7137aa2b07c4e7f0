//! The corpus of author mistakes: each `tests/checks/NAME.yaml` has one planted, `NAME.stderr` is what its
//! author sees. `RERAIL_UPDATE=1 cargo test --test it checks` writes the pictures anew; read the diff.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rerail::engine::outcome::{FailureKind, Outcome, RunOutcome};
use rerail::runbook::codes::CODES;
use rerail::runbook::contexts::{FAILURE_KINDS, NEVER_RETRIED, OUTCOMES, RUN_OUTCOMES};
use rerail::runbook::problem::{Problem, render};
use rerail::runbook::program::{Library, Looked, Program, load};
use rerail::runbook::source::Source;
use rerail::runbook::spec::{ActionSpec, Effect};
use rerail::steps::catalog;

/// Folders of actions, modules and runbooks; the first that has a file wins.
pub(crate) struct Folders(Vec<PathBuf>);

impl Folders {
    fn read(&self, path: &str) -> Option<Arc<Source>> {
        let text = self.0.iter().find_map(|folder| fs::read_to_string(folder.join(path)).ok())?;
        Some(Source::new(path, text))
    }

    /// Stems of all files of a kind, with their folders, joined by `join`.
    fn names(&self, kind: &str, join: &str) -> Vec<String> {
        let mut names = BTreeSet::new();
        for folder in &self.0 {
            collect(&folder.join(kind), "", join, &mut names);
        }
        names.into_iter().collect()
    }
}

fn collect(folder: &Path, prefix: &str, join: &str, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let name = format!("{prefix}{stem}");
        if path.is_dir() {
            collect(&path, &format!("{name}{join}"), join, names);
        } else {
            names.insert(name);
        }
    }
}

impl Library for Folders {
    fn action(&self, name: &str) -> Looked {
        Ok(self.read(&format!("actions/{}.yaml", name.replace('.', "/"))))
    }

    fn runbook(&self, name: &str) -> Looked {
        Ok(self.read(&format!("runbooks/{name}.yaml")))
    }

    fn module(&self, path: &str) -> Looked {
        Ok(self.read(&format!("modules/{path}.rhai")))
    }

    fn action_names(&self) -> Vec<String> {
        self.names("actions", ".")
    }

    fn runbook_names(&self) -> Vec<String> {
        self.names("runbooks", "/")
    }
}

pub(crate) fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checks")
}

/// What a file of the corpus stands among: the files only it has before those all share.
pub(crate) fn library_of(file: &Path) -> Folders {
    Folders(vec![file.with_extension("d"), corpus().join("project")])
}

/// Checks one file of the corpus, with the files only it has before those all share.
fn checked(file: &Path) -> (Option<Program>, Vec<Problem>) {
    let name = file.file_stem().and_then(|stem| stem.to_str()).expect("corpus files have plain names");
    let folders = library_of(file);
    let text = fs::read_to_string(file).expect("a file of the corpus can be read");
    let specs: Vec<&ActionSpec> = catalog::specs();
    load(name, Source::new(format!("{name}.yaml"), text), &folders, &specs)
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus()).expect("the corpus stands in tests/checks").flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_planted_mistake_has_its_picture() {
    let update = std::env::var_os("RERAIL_UPDATE").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let (_, problems) = checked(&file);
        let picture = render(&problems, false);
        let expected = file.with_extension("stderr");
        if update {
            fs::write(&expected, &picture).expect("the corpus can be written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != picture {
            wrong.push(format!("{}:\n{picture}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{} pictures differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_file_but_the_clean_one_has_a_problem() {
    let mut mistakes = 0;
    for file in files() {
        let (program, problems) = checked(&file);
        if file.ends_with("clean.yaml") {
            assert!(problems.is_empty(), "{}", render(&problems, false));
            assert!(program.is_some());
        } else {
            mistakes += 1;
            assert!(!problems.is_empty(), "nothing found in {}", file.display());
        }
    }
    assert!(mistakes >= 40, "{mistakes} mistakes in the corpus");
}

#[test]
fn every_code_of_a_problem_stands_in_the_list() {
    for file in files() {
        for problem in checked(&file).1 {
            assert!(CODES.iter().any(|(code, _)| *code == problem.code), "{} in {}", problem.code, file.display());
        }
    }
}

#[test]
fn carets_lie_inside_their_file() {
    for file in files() {
        for problem in checked(&file).1 {
            let text = &problem.source.text;
            let lies_inside = text.is_char_boundary(problem.span.start) && text.is_char_boundary(problem.span.end);
            assert!(lies_inside, "{} {:?} in {}", problem.code, problem.span, file.display());
        }
    }
}

#[test]
fn a_program_holds_everything_it_reaches() {
    let (program, _) = checked(&corpus().join("clean.yaml"));
    let program = program.expect("the clean file has no errors");
    assert_eq!(program.actions.keys().collect::<Vec<_>>(), ["restart"]);
    assert_eq!(program.modules.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["text"]);
    let files: Vec<&str> = program.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(files, ["clean", "restart", "text"]);
    assert!(program.specs.contains_key("http.request") && program.specs.contains_key("restart"));
    assert_eq!(program.specs["restart"].effect, Effect::Write);
    assert_eq!(program.effects, [Effect::Pure, Effect::Read, Effect::Write]);
}

#[test]
fn outcomes_are_the_words_of_the_engine() {
    assert_eq!(OUTCOMES, Outcome::WORDS);
    let ends = [RunOutcome::Success, RunOutcome::Failed, RunOutcome::Rejected, RunOutcome::Cancelled];
    assert_eq!(RUN_OUTCOMES, ends.map(RunOutcome::word));
}

#[test]
fn kinds_of_failure_are_the_words_of_the_engine() {
    for word in FAILURE_KINDS {
        let kind: FailureKind =
            serde_json::from_value(serde_json::Value::from(word)).unwrap_or_else(|_| panic!("{word}"));
        assert_eq!(kind.word(), word);
    }
    assert!(NEVER_RETRIED.iter().all(|word| FAILURE_KINDS.contains(word)));
}
