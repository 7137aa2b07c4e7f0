//! `rerail test`: test files of runbooks and actions, run in a world that only answers.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value as Json, json};
use similar::{ChangeTag, TextDiff};

use crate::project::{is_test, replace};
use crate::runbook::problem::{Problem, has_errors, render};
use crate::runs::{Coverage, Failed, Suite, TestRequest, TestResult, Verdict};
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::files::below;
use crate::surfaces::cli::junit::{self, Demands};
use crate::surfaces::cli::session::Session;
use crate::transcript::text::Mark;
use crate::transcript::{Line, Tone, words};

/// Branches told of one file; the rest is a number.
const UNSEEN_MAX: usize = 50;
/// Mode of a report: build servers read it as another user.
const REPORT_MODE: u32 = 0o644;

#[derive(Args, Debug)]
pub struct TestArgs {
    /// Test files, directories, or what is tested by name or path; every test of the project without it
    #[arg(value_name = "PATHS")]
    paths: Vec<String>,
    /// Only tests with this text in `NAME: TEST`
    #[arg(short = 'k', long, value_name = "TEXT")]
    filter: Option<String>,
    /// Show which steps and branches the tests have seen
    #[arg(long)]
    coverage: bool,
    /// Fail unless this percentage of steps, and of branches, was seen
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min: Option<u8>,
    /// Fail also where a test answers what nothing asks
    #[arg(long)]
    strict: bool,
    /// Write what came into the expectations that did not hold
    #[arg(long)]
    update: bool,
    /// Write a JUnit report as well, over an older one
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Runs tests.
pub fn test(session: &Session, args: &TestArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = session.runs()?;
    let mut paths = Vec::new();
    for path in &args.paths {
        match Path::new(path).is_dir() {
            true => paths.extend(below(path, is_test)?),
            false => paths.push(path.clone()),
        }
    }
    if paths.is_empty() && !args.paths.is_empty() {
        return Err(CliError::usage("no test files there").hint("their names end in `.test.yaml`"));
    }
    let request = TestRequest { paths, filter: args.filter.clone(), exit_of: |facts, why| Exit::of_run(facts, why).0 };
    let suite = runs.test(&request)?;
    if let Some(filter) = args.filter.as_ref().filter(|_| suite.results.is_empty() && suite.problems.is_empty()) {
        // A word that is misspelt must not look like tests that pass.
        return Err(CliError::usage(format!("no test has `{filter}` in its name")));
    }
    let updated = if args.update { update(&suite)? } else { Vec::new() };
    let demands = Demands { min: args.min, strict: args.strict };
    if let Some(path) = &args.junit {
        let report = ui.redactor().redact(&junit::report(&suite, demands)).into_owned();
        replace(path, report.as_bytes(), Permissions::from_mode(REPORT_MODE))
            .map_err(|error| CliError::io("writing", &path.display().to_string(), &error))?;
    }
    match ui.output {
        Output::Human => {
            show(session, args, &suite);
            for file in &updated {
                ui.result(&Line::of(Tone::Good, "updated ").add(Tone::Plain, file));
            }
        }
        Output::Junit => ui.result_text(&junit::report(&suite, demands)),
        _ => ui.result_json(&as_json(&suite, args)),
    }
    Ok(exit(&suite, args))
}

fn exit(suite: &Suite, args: &TestArgs) -> Exit {
    if has_errors(&suite.problems) {
        return Exit::INVALID;
    }
    let unasked = !suite.problems.is_empty() || !suite.unasked().is_empty();
    let short = args.min.is_some_and(|min| suite.coverage.iter().any(|file| percent(file, min).is_some()));
    match suite.failed() > 0 || (args.strict && unasked) || short {
        true => Exit::ASSERTION_FAILED,
        false => Exit::SUCCESS,
    }
}

/// What is said where less than so many percent of the steps, or of the branches, were seen.
pub fn percent(coverage: &Coverage, min: u8) -> Option<String> {
    let all = [coverage.steps(), coverage.sides()];
    let short = all.iter().any(|(seen, all)| seen * 100 < all * usize::from(min));
    short.then(|| format!("{}; expected {min} %", seen(coverage)))
}

fn seen(coverage: &Coverage) -> String {
    let ((steps, all_steps), (sides, all_sides)) = (coverage.steps(), coverage.sides());
    format!("{}: {steps} of {all_steps} steps, {sides} of {all_sides} branches", coverage.shown)
}

fn show(session: &Session, args: &TestArgs, suite: &Suite) {
    let ui = &session.ui;
    let problems: Vec<Problem> = suite.problems.iter().cloned().chain(suite.unasked()).collect();
    if !problems.is_empty() {
        ui.result_text(&render(&problems, ui.colours_results()));
        ui.result(&Line::new());
    }
    let mut tested = "";
    for result in &suite.results {
        if result.tested != tested {
            tested = &result.tested;
            ui.result(&Line::of(Tone::Strong, tested));
        }
        show_test(session, result);
    }
    if args.coverage || args.min.is_some() {
        for file in &suite.coverage {
            show_coverage(session, file, args.min);
        }
    }
    let (all, failed) = (suite.results.len(), suite.failed());
    let mut line = match failed {
        0 => Line::of(Tone::Good, &format!("{} passed", words::count(all, "test"))),
        failed => Line::of(Tone::Bad, &format!("{failed} of {} failed", words::count(all, "test"))),
    };
    let warnings = problems.len();
    if warnings > 0 {
        line = line.add(Tone::Plain, &format!(", {}", words::count(warnings, "problem")));
    }
    ui.result(&line);
}

fn show_test(session: &Session, result: &TestResult) {
    let ui = &session.ui;
    let took = words::duration(u64::try_from(result.virtually.as_millis()).unwrap_or(0));
    match &result.verdict {
        Verdict::Passed => {
            let line =
                Line::of(Tone::Good, &format!("  {} ", ui.marks.sign(Mark::Done))).add(Tone::Plain, &result.name);
            ui.result(&line.add(Tone::Dim, &format!("   {took}")));
        }
        Verdict::Failed(failed) => {
            ui.result(
                &Line::of(Tone::Bad, &format!("  {} ", ui.marks.sign(Mark::Failed))).add(Tone::Plain, &result.name),
            );
            for failed in failed.iter().filter(|failed| !failed.follows) {
                show_failed(session, failed);
            }
            let following = failed.iter().filter(|failed| failed.follows).count();
            if following > 0 {
                let text = format!("    {} may follow from it", words::count(following, "other difference"));
                ui.result(&Line::of(Tone::Dim, &text));
                ui.result(&Line::new());
            }
        }
    }
}

fn show_failed(session: &Session, failed: &Failed) {
    let ui = &session.ui;
    ui.result_text(&render(std::slice::from_ref(&failed.problem), ui.colours_results()));
    for note in &failed.notes {
        ui.result(&Line::of(Tone::Plain, &format!("    {note}")));
    }
    if let Some((expected, came)) = &failed.diff {
        ui.result(&Line::of(Tone::Dim, "    - expected   + came"));
        for (tone, text) in diff(expected, came) {
            ui.result(&Line::of(tone, &format!("    {text}")));
        }
    }
    ui.result(&Line::new());
}

/// Two texts, line by line.
pub fn diff(expected: &[String], came: &[String]) -> Vec<(Tone, String)> {
    let (expected, came) = (expected.join("\n") + "\n", came.join("\n") + "\n");
    let lines = TextDiff::from_lines(&expected, &came);
    let told = lines.iter_all_changes().map(|change| {
        let text = change.value().trim_end_matches('\n');
        match change.tag() {
            ChangeTag::Equal => (Tone::Dim, format!("  {text}")),
            ChangeTag::Delete => (Tone::Bad, format!("- {text}")),
            ChangeTag::Insert => (Tone::Good, format!("+ {text}")),
        }
    });
    told.collect()
}

fn show_coverage(session: &Session, coverage: &Coverage, min: Option<u8>) {
    let ui = &session.ui;
    let line = match min.and_then(|min| percent(coverage, min)) {
        Some(short) => Line::of(Tone::Bad, &short),
        None => Line::of(Tone::Plain, &seen(coverage)),
    };
    ui.result(&line);
    let unseen: Vec<_> = coverage.unseen().collect();
    for branch in unseen.iter().take(UNSEEN_MAX) {
        let line = Line::of(Tone::Dim, &format!("  {:>4}  ", branch.line));
        ui.result(&line.add(Tone::Plain, &format!("{}: {}", branch.step, branch.side.never())));
    }
    if unseen.len() > UNSEEN_MAX {
        ui.result(&Line::of(Tone::Dim, &format!("        and {} more", unseen.len() - UNSEEN_MAX)));
    }
}

fn as_json(suite: &Suite, args: &TestArgs) -> Json {
    let results = suite.results.iter().map(|result| {
        let failed = match &result.verdict {
            Verdict::Passed => Vec::new(),
            Verdict::Failed(failed) => failed.iter().map(failed_json).collect(),
        };
        json!({
            "file": result.file,
            "tests": result.tested,
            "name": result.name,
            "passed": failed.is_empty(),
            "failures": failed,
            "ms": u64::try_from(result.took.as_millis()).unwrap_or(u64::MAX),
            "virtual_ms": u64::try_from(result.virtually.as_millis()).unwrap_or(0),
        })
    });
    let coverage = suite.coverage.iter().map(|file| {
        let ((steps, all_steps), (sides, all_sides)) = (file.steps(), file.sides());
        let unseen = file
            .unseen()
            .map(|branch| json!({ "line": branch.line, "step": branch.step, "never": branch.side.never() }));
        json!({
            "file": file.shown,
            "steps": { "seen": steps, "all": all_steps },
            "branches": { "seen": sides, "all": all_sides },
            "unseen": unseen.collect::<Vec<_>>(),
        })
    });
    let problems = suite.problems.iter().chain(&suite.unasked()).map(Problem::to_json).collect::<Vec<_>>();
    json!({
        "tests": results.collect::<Vec<_>>(),
        "problems": problems,
        "coverage": coverage.collect::<Vec<_>>(),
        "failed": suite.failed(),
        "exit_code": exit(suite, args).0,
    })
}

fn failed_json(failed: &Failed) -> Json {
    let diff = failed.diff.as_ref().map(|(expected, came)| json!({ "expected": expected, "came": came }));
    json!({ "problem": failed.problem.to_json(), "notes": failed.notes, "diff": diff })
}

/// Writes what came to where something else was expected; gives the files that were changed.
fn update(suite: &Suite) -> Result<Vec<String>, CliError> {
    let mut updated = Vec::new();
    let failed = |result: &TestResult| match &result.verdict {
        Verdict::Passed => Vec::new(),
        Verdict::Failed(failed) => failed.clone(),
    };
    let mut files: Vec<(&Path, &str)> =
        suite.results.iter().map(|result| (result.path.as_path(), result.file.as_str())).collect();
    files.dedup();
    for (path, shown) in files {
        let of_file = suite.results.iter().filter(|result| result.path == path).flat_map(failed);
        let failures: Vec<Failed> = of_file.collect();
        let Some(text) = Failed::updated(&failures) else { continue };
        let written = std::fs::metadata(path).and_then(|found| replace(path, text.as_bytes(), found.permissions()));
        written.map_err(|error| CliError::io("writing", shown, &error))?;
        updated.push(shown.to_owned());
    }
    Ok(updated)
}
