//! Templates: how a page is written from plain data.
//!
//! Every text is escaped where it is written, by the escape that exports have; there is no filter that switches it off.
//! What a template names and the data lacks is an error and never an empty place.

use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::Value as Json;

use crate::surfaces::http::Problem;
use crate::transcript::escape;

/// All templates, by the name under which others include them.
const TEMPLATES: [(&str, &str); 27] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("parts.html", include_str!("templates/parts.html")),
    ("admin.html", include_str!("templates/admin.html")),
    ("approval.html", include_str!("templates/approval.html")),
    ("approvals.html", include_str!("templates/approvals.html")),
    ("book.html", include_str!("templates/book.html")),
    ("books.html", include_str!("templates/books.html")),
    ("doctor.html", include_str!("templates/doctor.html")),
    ("go_on.html", include_str!("templates/go_on.html")),
    ("home.html", include_str!("templates/home.html")),
    ("home_lists.html", include_str!("templates/home_lists.html")),
    ("incident.html", include_str!("templates/incident.html")),
    ("lines.html", include_str!("templates/lines.html")),
    ("login.html", include_str!("templates/login.html")),
    ("plan.html", include_str!("templates/plan.html")),
    ("problem.html", include_str!("templates/problem.html")),
    ("proposal.html", include_str!("templates/proposal.html")),
    ("proposal_body.html", include_str!("templates/proposal_body.html")),
    ("run.html", include_str!("templates/run.html")),
    ("run_acts.html", include_str!("templates/run_acts.html")),
    ("run_findings.html", include_str!("templates/run_findings.html")),
    ("run_head.html", include_str!("templates/run_head.html")),
    ("run_notes.html", include_str!("templates/run_notes.html")),
    ("run_step.html", include_str!("templates/run_step.html")),
    ("runs.html", include_str!("templates/runs.html")),
    ("transcript.html", include_str!("templates/transcript.html")),
    ("waits.html", include_str!("templates/waits.html")),
];

static PAPER: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut paper = Environment::new();
    paper.set_undefined_behavior(UndefinedBehavior::Strict);
    // Nothing is trusted because a template says so.
    paper.remove_filter("safe");
    paper.set_formatter(|out, _, value| {
        if value.is_undefined() || value.is_none() {
            return Ok(());
        }
        let text = match value.as_str() {
            // Written by a macro of ours, where each of its values was escaped.
            Some(text) if value.is_safe() => return Ok(out.write_str(text)?),
            Some(text) => escape::html(text),
            None => escape::html(&value.to_string()),
        };
        Ok(out.write_str(&text)?)
    });
    for (name, text) in TEMPLATES {
        paper.add_template(name, text).expect("templates are part of the program, and a test reads them");
    }
    paper
});

/// Writes a template with this data.
///
/// # Errors
/// 500 if the template names what isn't there: a mistake of this program.
pub fn write(template: &str, data: &Json) -> Result<String, Problem> {
    let written = PAPER.get_template(template).and_then(|template| template.render(Value::from(Serde(data))));
    written.map_err(|error| Problem::new(500, format!("the page can't be written: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_template_is_well_formed_and_none_trusts_a_text() {
        for (name, text) in TEMPLATES {
            assert!(PAPER.get_template(name).is_ok(), "{name}");
            for word in
                ["|safe", "| safe", "autoescape", "<style", "style=", "onclick", "javascript:", "http://", "https://"]
            {
                assert!(!text.contains(word), "{name} has {word}");
            }
            let scripts = text.matches("<script").count();
            assert_eq!(scripts, usize::from(name == "layout.html"), "{name}");
        }
        let page = PAPER.render_named_str("x.html", "{{ a }}", json_value("<b>'\"&\u{202e}")).unwrap();
        assert_eq!(page, "&lt;b&gt;&#39;&quot;&amp;\\u{202e}");
        assert!(PAPER.render_named_str("x.html", "{{ a|safe }}", json_value("<b>")).is_err());
        assert!(PAPER.render_named_str("x.html", "{{ missing }}", json_value("")).is_err());
    }

    fn json_value(text: &str) -> Value {
        Value::from(Serde(json!({ "a": text })))
    }
}
