//! Results of tests as JUnit XML, which build servers draw.
//!
//! There is no standard, but what Jenkins, GitLab, GitHub's actions and Buildkite read is alike: suites, cases, at most one
//! `failure` or `error` of a case. A report that has neither belongs to a `rerail test` that exits with 0, and the other way round.

use std::time::Duration;

use crate::runbook::problem::{Problem, Severity, render};
use crate::runs::{Coverage, Failed, Suite, TestResult, Verdict};
use crate::surfaces::cli::test::{diff, percent};
use crate::transcript::markup::Markup;
use crate::transcript::words;

/// What else makes tests fail, as the flags of the command say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demands {
    /// Percentage of steps, and of branches, that must have been seen.
    pub min: Option<u8>,
    /// Answers that nothing asks for are failures.
    pub strict: bool,
}

/// The report.
pub fn report(suite: &Suite, demands: Demands) -> String {
    let mut suites: Vec<Cases> = Vec::new();
    for result in &suite.results {
        of(&mut suites, &result.file).cases.push(case_of(result));
    }
    for problem in suite.problems.iter().chain(&suite.unasked()) {
        of(&mut suites, &problem.source.shown).said.push(problem.clone());
    }
    for cases in &mut suites {
        cases.checked(demands.strict);
    }
    if let Some(min) = demands.min {
        let cases = suite.coverage.iter().map(|coverage| covered(coverage, min)).collect();
        suites.push(Cases { name: "coverage".to_owned(), cases, said: Vec::new() });
    }
    let all: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let mut xml = Markup::new();
    xml.tag("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"rerail\"");
    totals(&mut xml, &all);
    xml.tag(">\n");
    suites.iter().for_each(|suite| suite.write(&mut xml));
    xml.tag("</testsuites>\n");
    xml.finish()
}

/// The cases of one file.
struct Cases {
    name: String,
    cases: Vec<Case>,
    /// What is wrong or doubtful with the file itself.
    said: Vec<Problem>,
}

struct Case {
    /// What is tested; servers group by it.
    class: String,
    name: String,
    took: Duration,
    ended: Ended,
}

enum Ended {
    Passed,
    Failed(Why),
    /// It could not be run.
    Broken(Why),
}

struct Why {
    code: &'static str,
    message: String,
    text: String,
}

/// The suite of a name, made if there is none.
fn of<'a>(suites: &'a mut Vec<Cases>, name: &str) -> &'a mut Cases {
    let at = suites.iter().position(|suite| suite.name == name).unwrap_or_else(|| {
        suites.push(Cases { name: name.to_owned(), cases: Vec::new(), said: Vec::new() });
        suites.len() - 1
    });
    &mut suites[at]
}

fn case_of(result: &TestResult) -> Case {
    let ended = match &result.verdict {
        Verdict::Passed => Ended::Passed,
        Verdict::Failed(failed) => Ended::Failed(why(failed)),
    };
    Case { class: result.tested.clone(), name: result.name.clone(), took: result.took, ended }
}

/// All that is wrong with a test, because servers show one failure of a case.
fn why(failed: &[Failed]) -> Why {
    let first = failed.iter().find(|failed| !failed.follows).or(failed.first());
    let mut message = first.map(|failed| failed.problem.message.clone()).unwrap_or_default();
    if failed.len() > 1 {
        message.push_str(&format!(", and {}", words::count(failed.len() - 1, "other difference")));
    }
    let mut text = String::new();
    for failed in failed {
        text.push_str(&render(std::slice::from_ref(&failed.problem), false));
        failed.notes.iter().for_each(|note| text.push_str(&format!("\n{note}")));
        if let Some((expected, came)) = &failed.diff {
            text.push_str("\n- expected   + came");
            diff(expected, came).iter().for_each(|(_, line)| text.push_str(&format!("\n{line}")));
        }
        text.push_str("\n\n");
    }
    Why { code: first.map_or("E0501", |failed| failed.problem.code), message, text: text.trim_end().to_owned() }
}

fn covered(coverage: &Coverage, min: u8) -> Case {
    let ended = match percent(coverage, min) {
        None => Ended::Passed,
        Some(message) => {
            let unseen = coverage
                .unseen()
                .map(|branch| format!("{}:{}: {}: {}", coverage.shown, branch.line, branch.step, branch.side.never()));
            Ended::Failed(Why { code: "coverage", message, text: unseen.collect::<Vec<_>>().join("\n") })
        }
    };
    Case { class: coverage.shown.clone(), name: format!("at least {min} %"), took: Duration::ZERO, ended }
}

impl Cases {
    /// Turns what was said of the file into a case, where it makes the command fail.
    fn checked(&mut self, strict: bool) {
        let broken = self.said.iter().any(|problem| problem.severity == Severity::Error);
        if self.said.is_empty() || !(broken || strict) {
            return;
        }
        let said = std::mem::take(&mut self.said);
        let first = said.iter().find(|problem| problem.severity == Severity::Error).unwrap_or(&said[0]);
        let why = Why { code: first.code, message: first.message.clone(), text: render(&said, false) };
        let ended = if broken { Ended::Broken(why) } else { Ended::Failed(why) };
        self.cases.push(Case { class: self.name.clone(), name: "check".to_owned(), took: Duration::ZERO, ended });
    }

    fn write(&self, xml: &mut Markup) {
        xml.tag("  <testsuite name=\"").text(&self.name).tag("\"");
        totals(xml, &self.cases.iter().collect::<Vec<_>>());
        xml.tag(" skipped=\"0\">\n");
        for case in &self.cases {
            case.write(xml, &self.name);
        }
        if !self.said.is_empty() {
            xml.tag("    <system-out>").text(&render(&self.said, false)).tag("</system-out>\n");
        }
        xml.tag("  </testsuite>\n");
    }
}

impl Case {
    fn write(&self, xml: &mut Markup, file: &str) {
        xml.tag("    <testcase classname=\"").text(&self.class).tag("\" name=\"").text(&self.name);
        xml.tag("\" file=\"").text(file).tag("\"");
        seconds(xml, self.took);
        let (tag, end, why) = match &self.ended {
            Ended::Passed => {
                xml.tag("/>\n");
                return;
            }
            Ended::Failed(why) => ("      <failure type=\"", "</failure>\n", why),
            Ended::Broken(why) => ("      <error type=\"", "</error>\n", why),
        };
        xml.tag(">\n").tag(tag).text(why.code).tag("\" message=\"").text(&why.message).tag("\">");
        xml.text(&why.text).tag(end).tag("    </testcase>\n");
    }
}

fn totals(xml: &mut Markup, cases: &[&Case]) {
    let count = |is: fn(&Ended) -> bool| cases.iter().filter(|case| is(&case.ended)).count().to_string();
    xml.tag(" tests=\"").text(&cases.len().to_string());
    xml.tag("\" failures=\"").text(&count(|ended| matches!(ended, Ended::Failed(_))));
    xml.tag("\" errors=\"").text(&count(|ended| matches!(ended, Ended::Broken(_)))).tag("\"");
    seconds(xml, cases.iter().map(|case| case.took).sum());
}

/// What it really took; the virtual time of a run would make a build of minutes look like one of hours.
fn seconds(xml: &mut Markup, took: Duration) {
    xml.tag(" time=\"").text(&format!("{:.3}", took.as_secs_f64())).tag("\"");
}
