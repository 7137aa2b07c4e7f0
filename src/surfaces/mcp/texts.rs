//! Runbooks as texts: drafted, checked and tested without a file being read or written.

use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::project::new_runbook_texts;
use crate::runbook::problem::{Problem, has_errors, render, sort, summary};
use crate::runs::{ErrorKind, RunsError, Suite, TestResult, Verdict};
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::mcp::call::{Call, plain};
use crate::surfaces::mcp::said::{Refused, Said};
use crate::surfaces::shapes::runbooks::of_runbooks;
use crate::transcript::words::{bytes, count};

/// Bytes of one text: some thousand lines, more than any runbook has that somebody reads.
const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Actions that are named for somebody's words.
const ACTIONS_MAX: usize = 20;
/// What a text is called that has no name.
const UNNAMED: &str = "draft";

/// What a runbook is to be about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Draft {
    /// Name of the runbook: lower case, with dashes
    name: String,
    /// What it is about, in a few words: becomes its title, and finds actions it could use
    #[serde(default)]
    words: String,
}

/// The text of a runbook.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Check {
    /// The YAML of the runbook
    text: String,
    /// Name it would have
    name: Option<String>,
}

/// A runbook and its tests, as texts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Test {
    /// The YAML of the runbook
    text: String,
    /// The YAML of its test file, as draft_runbook gives one
    tests: String,
    /// Name it would have
    name: Option<String>,
}

/// A text to start from.
pub fn draft(call: &Call, asked: Draft) -> Result<Said, Refused> {
    let today = jiff::Zoned::now().date().to_string();
    let wrong = |error: crate::project::NewError| Refused(RunsError::new(ErrorKind::Usage, error.to_string()));
    let (mut text, test) = new_runbook_texts(&asked.name, &today).map_err(wrong)?;
    let about = asked.words.split_whitespace().collect::<Vec<_>>().join(" ");
    if !about.is_empty() {
        // A text in double quotes is the same in YAML as in JSON.
        let title = format!("title: {}", json!(crate::transcript::words::shorten(&about, 120)));
        let lines = text.lines().map(|line| if line.starts_with("title:") { title.as_str() } else { line });
        text = lines.collect::<Vec<_>>().join("\n") + "\n";
    }
    let words: Vec<String> = about.split(' ').map(str::to_lowercase).filter(|word| word.len() > 3).collect();
    let fits = |text: &str| words.iter().any(|word| text.to_lowercase().contains(word.as_str()));
    let actions =
        call.runs.actions().into_iter().filter(|action| fits(&format!("{} {}", action.spec.name, action.spec.title)));
    let actions: Vec<Json> = actions
        .take(ACTIONS_MAX)
        .map(|action| json!({ "name": action.spec.name, "title": action.spec.title, "effect": action.spec.effect.word() }))
        .collect();
    let similar: Vec<Json> = of_runbooks(&call.runs, &[])?
        .into_iter()
        .filter(|row| fits(&format!("{} {}", row["name"], row["title"])))
        .map(|row| json!({ "name": row["name"], "title": row["title"] }))
        .take(ACTIONS_MAX)
        .collect();
    let told = format!("runbooks/{}.yaml:\n{text}\nrunbooks/{}.test.yaml:\n{test}", asked.name, asked.name);
    let next = "change it, call check_runbook and test_runbook with the texts, then give them to the person you act for: \
                they put them into runbooks/";
    let data = json!({ "runbook": text, "tests": test, "actions": actions, "similar": similar });
    Ok(Said { data, text: told, next: next.to_owned(), rest: "give fewer words" })
}

/// What is wrong with a text.
pub fn check(call: &Call, asked: Check) -> Result<Said, Refused> {
    let name = named(asked.name.as_deref())?;
    fits("text", &asked.text)?;
    let mut problems = call.runs.check_given(name, &asked.text);
    sort(&mut problems);
    let valid = !has_errors(&problems);
    let next = match (valid, problems.is_empty()) {
        (false, _) => "put the text right where the problems stand, and call check_runbook again",
        (true, false) => "see whether the warnings are right; then call test_runbook with its tests",
        (true, true) => "call test_runbook with its tests; then give the text to the person you act for",
    };
    let text = format!("{}\n{}", summary(&problems), render(&problems, false));
    let data = json!({ "valid": valid, "problems": problems.iter().map(Problem::to_json).collect::<Vec<_>>() });
    Ok(Said { data, text, next: next.to_owned(), rest: "put the first problems right and check again" })
}

/// What its tests come to. Nothing real is called.
pub fn test(call: &Call, asked: Test) -> Result<Said, Refused> {
    let name = named(asked.name.as_deref())?;
    fits("text", &asked.text)?;
    fits("tests", &asked.tests)?;
    let suite = call.runs.test_given(name, &asked.text, &asked.tests, |facts, why| Exit::of_run(facts, why).0)?;
    let problems: Vec<Problem> = suite.problems.iter().cloned().chain(suite.unasked()).collect();
    let passed = suite.failed() == 0 && !has_errors(&suite.problems) && !suite.results.is_empty();
    let mut text = if problems.is_empty() { String::new() } else { render(&problems, false) + "\n" };
    suite.results.iter().for_each(|result| text.push_str(&told(result)));
    text.push_str(&format!("{}, {} failed", count(suite.results.len(), "test"), suite.failed()));
    let next = match passed {
        true => "give the texts to the person you act for: they put them into runbooks/",
        false => "put the runbook or its tests right, and call test_runbook again",
    };
    Ok(Said { data: data(&suite, passed, &problems), text, next: next.to_owned(), rest: "give fewer tests" })
}

fn data(suite: &Suite, passed: bool, problems: &[Problem]) -> Json {
    let result = |result: &TestResult| {
        let failures = match &result.verdict {
            Verdict::Passed => Vec::new(),
            Verdict::Failed(failed) => failed
                .iter()
                .map(|failed| json!({ "problem": failed.problem.to_json(), "notes": failed.notes }))
                .collect::<Vec<_>>(),
        };
        json!({ "name": result.name, "passed": failures.is_empty(), "failures": failures })
    };
    json!({
        "passed": passed,
        "failed": suite.failed(),
        "tests": suite.results.iter().map(result).collect::<Vec<_>>(),
        "problems": problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
    })
}

fn told(result: &TestResult) -> String {
    match &result.verdict {
        Verdict::Passed => format!("✓ {}\n", result.name),
        Verdict::Failed(failed) => {
            let mut text = format!("✗ {}\n", result.name);
            for failed in failed.iter().filter(|failed| !failed.follows) {
                text.push_str(&render(std::slice::from_ref(&failed.problem), false));
                failed.notes.iter().for_each(|note| text.push_str(&format!("\n    {note}")));
                if let Some((expected, came)) = &failed.diff {
                    text.push_str(&format!("\n    expected: {}\n    came: {}", expected.join(" "), came.join(" ")));
                }
                text.push('\n');
            }
            text
        }
    }
}

fn named(name: Option<&str>) -> Result<&str, Refused> {
    plain("runbook", name.unwrap_or(UNNAMED))
}

fn fits(what: &str, text: &str) -> Result<(), Refused> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    let said = format!("`{what}` has {}, at most {} are read", bytes(text.len() as u64), bytes(TEXT_BYTES_MAX as u64));
    Err(Refused::usage(said, "give a shorter text: split the runbook"))
}
