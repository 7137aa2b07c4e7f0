//! What is wrong with a text, for its author: code, place, sentence, way out.

use std::sync::Arc;

use serde_json::json;

use crate::runbook::source::{Source, Span};

pub use crate::runbook::render::render;

/// A mistake or a doubt, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `E0103`; stable, one meaning for ever. The list stands in `codes.rs`.
    pub code: &'static str,
    pub severity: Severity,
    /// Lower-case fragment that names the thing and the value seen.
    pub message: String,
    pub source: Arc<Source>,
    pub span: Span,
    /// What to say under the caret.
    pub label: String,
    /// The way out: `did you mean `uses`?`
    pub help: Option<String>,
}

/// Whether a problem stops a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    /// The word in terminal and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

impl Problem {
    /// An error without label and help.
    pub fn error(code: &'static str, source: &Arc<Source>, span: Span, message: impl Into<String>) -> Problem {
        Problem {
            code,
            severity: Severity::Error,
            message: message.into(),
            source: source.clone(),
            span,
            label: String::new(),
            help: None,
        }
    }

    /// A warning without label and help.
    pub fn warning(code: &'static str, source: &Arc<Source>, span: Span, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(code, source, span, message) }
    }

    /// The same with words under the caret.
    pub fn label(self, label: impl Into<String>) -> Problem {
        Problem { label: label.into(), ..self }
    }

    /// The same with a way out.
    pub fn help(self, help: impl Into<String>) -> Problem {
        Problem { help: Some(help.into()), ..self }
    }

    /// The same with a way out, if there is one.
    pub fn maybe_help(self, help: Option<String>) -> Problem {
        Problem { help, ..self }
    }

    /// The machine's form, as in `-o json`; lines and columns count from 1, columns in characters.
    pub fn to_json(&self) -> serde_json::Value {
        let (line, column) = self.source.line_column(self.span.start);
        let (end_line, end_column) = self.source.line_column(self.span.end);
        json!({
            "code": self.code,
            "severity": self.severity.word(),
            "message": self.message,
            "path": self.source.shown,
            "line": line,
            "column": column,
            "end": { "line": end_line, "column": end_column },
            "label": self.label,
            "help": self.help,
        })
    }
}

/// Sorts by file and place, errors before warnings at one place, and drops exact repetitions.
pub fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| {
        (&a.source.shown, a.span, a.severity, a.code, &a.message).cmp(&(
            &b.source.shown,
            b.span,
            b.severity,
            b.code,
            &b.message,
        ))
    });
    problems.dedup();
}

/// Whether any of them is an error.
pub fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// The closing line: `2 errors, 1 warning`, or `no problems`.
pub fn summary(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let count = |n: usize, word: &str| match n {
        0 => None,
        1 => Some(format!("1 {word}")),
        n => Some(format!("{n} {word}s")),
    };
    let parts: Vec<String> =
        [count(errors, "error"), count(problems.len() - errors, "warning")].into_iter().flatten().collect();
    if parts.is_empty() { "no problems".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_lines_and_columns_in_characters() {
        let source = Source::new("a.yaml", "é: 1\nüü: xyz\n");
        let at = source.text.find("xyz").unwrap();
        let problem = Problem::error("E0103", &source, Span::new(at, at + 3), "m").label("l").help("h");
        let json = problem.to_json();
        assert_eq!((&json["line"], &json["column"]), (&json!(2), &json!(5)));
        assert_eq!(json["end"], json!({ "line": 2, "column": 8 }));
        assert_eq!(json["help"], "h");
    }

    #[test]
    fn summary_counts_in_words() {
        let source = Source::new("a.yaml", "x");
        let error = Problem::error("E0103", &source, Span::default(), "m");
        let warning = Problem::warning("E0103", &source, Span::default(), "m");
        assert_eq!(summary(&[]), "no problems");
        assert_eq!(summary(&[error.clone(), error, warning]), "2 errors, 1 warning");
    }
}
