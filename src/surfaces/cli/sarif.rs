//! Problems as SARIF 2.1.0, which code hosts and editors show at the line.
//!
//! The part of the format that says what is wrong and where. No fixes: a help is a sentence for a person.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::runbook::codes::CODES;
use crate::runbook::problem::{Problem, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
const VERSION: &str = "2.1.0";
/// What may stand as it is in the path of an address.
const IN_A_PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A SARIF log with one run of the checker.
#[derive(Debug, Serialize)]
pub struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    /// Columns count characters, as everywhere in rerail.
    column_kind: &'static str,
    results: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Text,
    help: Text,
    default_configuration: Configuration,
}

#[derive(Debug, Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Debug, Serialize)]
struct Text {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Place,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Debug, Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    /// Of the first character behind it.
    end_column: usize,
}

impl Log {
    /// These problems, in their order, with every rule there is.
    pub fn of(problems: &[Problem]) -> Log {
        let rules = CODES.iter().map(|(code, meaning)| Rule {
            id: code,
            short_description: Text { text: (*meaning).to_owned() },
            help: Text { text: format!("{code}: {meaning}. `rerail check` draws it with a way out.") },
            default_configuration: Configuration { level: if code.starts_with('E') { "error" } else { "warning" } },
        });
        let index: BTreeMap<&str, usize> = CODES.iter().enumerate().map(|(at, (code, _))| (*code, at)).collect();
        let driver = Driver {
            name: env!("CARGO_PKG_NAME"),
            semantic_version: env!("CARGO_PKG_VERSION"),
            rules: rules.collect(),
        };
        let results = problems.iter().map(|problem| finding(problem, &index)).collect();
        let run = Run { tool: Tool { driver }, column_kind: "unicodeCodePoints", results };
        Log { schema: SCHEMA, version: VERSION, runs: [run] }
    }
}

fn finding(problem: &Problem, index: &BTreeMap<&str, usize>) -> Finding {
    let (start_line, start_column) = problem.source.line_column(problem.span.start);
    let (end_line, end_column) = problem.source.line_column(problem.span.end);
    let said = [Some(&problem.message), Some(&problem.label).filter(|label| !label.is_empty()), problem.help.as_ref()];
    Finding {
        rule_id: problem.code,
        rule_index: index.get(problem.code).copied(),
        level: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: Text { text: said.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("; ") },
        locations: [Location {
            physical_location: Place {
                artifact_location: Artifact { uri: uri(&problem.source.shown) },
                region: Region { start_line, start_column, end_line, end_column },
            },
        }],
    }
}

/// A relative path stays relative, so that a code host finds it in its checkout.
fn uri(shown: &str) -> String {
    let encoded = |path: &str| utf8_percent_encode(path, &IN_A_PATH).to_string();
    if let Some(embedded) = shown.strip_prefix("embedded:") {
        return format!("embedded:{}", encoded(embedded));
    }
    match shown.starts_with('/') {
        true => format!("file://{}", encoded(shown)),
        false => encoded(shown.strip_prefix("./").unwrap_or(shown)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::runbook::source::{Source, Span};

    /// What the published schema requires, for the objects used here.
    fn required(log: &Json) {
        assert_eq!((log["version"].as_str(), log["runs"].as_array().map(Vec::len)), (Some("2.1.0"), Some(1)));
        let driver = &log["runs"][0]["tool"]["driver"];
        assert!(driver["name"].is_string());
        for rule in driver["rules"].as_array().unwrap() {
            assert!(rule["id"].is_string() && rule["help"]["text"].is_string());
            assert!(matches!(rule["defaultConfiguration"]["level"].as_str(), Some("error" | "warning")));
        }
        for result in log["runs"][0]["results"].as_array().unwrap() {
            assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(driver["rules"][index]["id"], result["ruleId"]);
            let region = &result["locations"][0]["physicalLocation"]["region"];
            for key in ["startLine", "startColumn", "endLine", "endColumn"] {
                assert!(region[key].as_u64().unwrap() >= 1, "{key}");
            }
        }
    }

    #[test]
    fn a_problem_becomes_a_result_with_its_rule_and_region() {
        let source = Source::new("run books/é.yaml", "a: 1\nüü: xyz\n");
        let at = source.text.find("xyz").unwrap();
        let error =
            Problem::error("E0103", &source, Span::new(at, at + 3), "unknown key").label("here").help("way out");
        let embedded = Source::new("embedded:runbooks/a.yaml", "");
        let warning = Problem::warning("W0406", &embedded, Span::default(), "no name");
        let log = serde_json::to_value(Log::of(&[error, warning])).unwrap();
        required(&log);
        let results = &log["runs"][0]["results"];
        assert_eq!(results[0]["message"]["text"], "unknown key; here; way out");
        assert_eq!(
            results[0]["locations"][0]["physicalLocation"],
            json!({
                "artifactLocation": { "uri": "run%20books/%C3%A9.yaml" },
                "region": { "startLine": 2, "startColumn": 5, "endLine": 2, "endColumn": 8 },
            })
        );
        assert_eq!((&results[0]["level"], &results[1]["level"]), (&json!("error"), &json!("warning")));
        assert_eq!(
            results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            "embedded:runbooks/a.yaml"
        );
    }

    #[test]
    fn a_check_without_problems_is_a_whole_log() {
        let log = serde_json::to_value(Log::of(&[])).unwrap();
        required(&log);
        assert_eq!(log["runs"][0]["results"], json!([]));
    }

    #[test]
    fn addresses_of_files_are_relative_or_whole() {
        assert_eq!(uri("./a b.yaml"), "a%20b.yaml");
        assert_eq!(uri("/srv/a.yaml"), "file:///srv/a.yaml");
    }
}
