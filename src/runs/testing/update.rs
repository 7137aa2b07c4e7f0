//! Expectations that did not hold, written anew: only their values change, everything else stays as it is.

use crate::runbook::source::Source;
use crate::runs::testing::judge::Failed;
use crate::runs::testing::written::flow;
use crate::script::value::Value;

impl Failed {
    /// The text of the file with what came in the places of what was expected; nothing if there is nothing to change.
    /// All failures are of one file.
    pub fn updated(failures: &[Failed]) -> Option<String> {
        let source = &failures.first()?.problem.source;
        let mut updates: Vec<_> = failures.iter().filter_map(|failed| failed.update.as_ref()).collect();
        // From the end, so that places before stay what they are; one that two tests share is written once.
        updates.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        updates.dedup_by_key(|(span, _)| span.start);
        let mut text = source.text.clone();
        for (span, value) in &updates {
            let old = source.text.get(span.start..span.end)?;
            let end = span.start + old.trim_end().len();
            text.replace_range(span.start..end, &written(source, span.start, old, value));
        }
        (!updates.is_empty()).then_some(text)
    }
}

/// A value as it stands at a place: in the lines of a block if the old one did, else in one line.
fn written(source: &Source, start: usize, old: &str, value: &Value) -> String {
    let line_start = source.text[..start].rfind('\n').map_or(0, |at| at + 1);
    let column = source.text[line_start..start].chars().count();
    let is_block = !old.starts_with(['[', '{', '"', '\'']) && source.text[line_start..start].trim().is_empty();
    let between = format!("\n{}", " ".repeat(column));
    match value {
        Value::List(items) if is_block && !items.is_empty() => {
            items.iter().map(|item| format!("- {}", flow(item))).collect::<Vec<_>>().join(&between)
        }
        Value::Map(entries) if is_block && !entries.is_empty() => {
            entries.iter().map(|(key, item)| format!("{key}: {}", flow(item))).collect::<Vec<_>>().join(&between)
        }
        value => flow(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::problem::Problem;
    use crate::runbook::source::{Source, Span};
    use serde_json::json;

    fn updated(text: &str, changes: &[(&str, serde_json::Value)]) -> String {
        let source = Source::new("a.test.yaml", text);
        let failed = |(old, new): &(&str, serde_json::Value)| {
            let start = text.find(old).unwrap();
            let span = Span::new(start, start + old.len());
            let update = Some((span, Value::from_data(new)));
            Failed { update, ..Failed::of(Problem::error("E0501", &source, span, "no")) }
        };
        Failed::updated(&changes.iter().map(failed).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn only_the_values_change_and_stay_in_their_form() {
        let text = "expect:\n  outcome: success # why\n  findings:\n    - level: ok\n  outputs: { a: 1 }\n  exit: 0\n";
        let findings = json!([{"level": "critical", "say": "it: is"}, {"level": "ok"}]);
        let new = updated(
            text,
            &[("success", json!("failed")), ("- level: ok", findings), ("0\n", json!(11)), ("1 }", json!(2))],
        );
        assert_eq!(
            new,
            "expect:\n  outcome: failed # why\n  findings:\n    - { level: critical, say: \"it: is\" }\n    - { level: ok }\n  outputs: { a: 2\n  exit: 11\n"
        );
    }
}
