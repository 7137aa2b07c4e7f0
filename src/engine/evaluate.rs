//! Expressions and templates in a scope: a value, an unknown, or a failure with its picture.

use std::sync::Arc;

use crate::engine::facts::Facts;
use crate::engine::outcome::{Failure, FailureKind};
use crate::engine::scope::Scope;
use crate::runbook::problem::{Problem, Severity, render};
use crate::runbook::snippet::{Piece, Snippet, Template, TemplateNode};
use crate::script::address;
use crate::script::compile::Position;
use crate::script::sandbox::{Evaluated, Input, Readable, Sandbox, ScriptErrorKind};
use crate::script::secret::{Part, SecretText};
use crate::script::value::{Map, Unknown, Value};

/// Bytes of one value quoted in a failure or in the record of a condition; the whole is in the outputs.
const QUOTED_BYTES_MAX: usize = 200;

/// Evaluates for one scope at one moment.
pub struct Evaluator<'a> {
    pub sandbox: &'a Sandbox,
    pub facts: &'a Facts,
    pub scope: &'a Scope,
    /// What `result` means here, if anything.
    pub result: Option<&'a Value>,
}

/// What a condition came to.
pub enum Truth {
    Yes,
    No,
    Unknown(Unknown),
}

impl Evaluator<'_> {
    /// Evaluates an expression to a value; an unknown is a value too.
    ///
    /// # Errors
    /// With a picture of the place and the values it read.
    pub fn value(&self, snippet: &Snippet) -> Result<Value, Failure> {
        let contexts = self.scope.contexts(&snippet.code, self.facts, self.result);
        let evaluation = self.sandbox.evaluate(&snippet.code, Input { contexts, ..Input::default() });
        match evaluation.result {
            Evaluated::Value(value) => Ok(value),
            Evaluated::Unknown(unknown) => Ok(Value::Unknown(unknown)),
            Evaluated::Error(error) => Err(self.failure(snippet, kind_of(error.kind), &error.message, error.position)),
            Evaluated::Call(wanted) => {
                let message = format!("`{}` can be called from `script` only", wanted.name);
                Err(self.failure(snippet, FailureKind::Script, &message, wanted.position))
            }
            Evaluated::Mismatch { name, .. } => {
                Err(self.failure(snippet, FailureKind::Mismatch, &format!("`{name}` is not recorded here"), None))
            }
        }
    }

    /// Evaluates a condition. Fails closed: anything but a bool is an error, never "false".
    ///
    /// # Errors
    /// As [`Evaluator::value`].
    pub fn truth(&self, snippet: &Snippet) -> Result<Truth, Failure> {
        match self.value(snippet)? {
            Value::Bool(true) => Ok(Truth::Yes),
            Value::Bool(false) => Ok(Truth::No),
            Value::Unknown(unknown) => Ok(Truth::Unknown(unknown)),
            other => {
                let message = format!("expected true or false, got {} `{}`", other.kind(), quote(&other));
                Err(self.failure(snippet, FailureKind::Script, &message, None))
            }
        }
    }

    /// Evaluates a template; unknowns stay inside.
    ///
    /// # Errors
    /// As [`Evaluator::value`].
    pub fn template(&self, template: &Template) -> Result<Value, Failure> {
        match &template.node {
            TemplateNode::Literal(value) => Ok(value.clone()),
            TemplateNode::Expression(snippet) => self.value(snippet),
            TemplateNode::Mixed(pieces) => self.mixed(pieces),
            TemplateNode::List(items) => {
                items.iter().map(|item| self.template(item)).collect::<Result<_, _>>().map(Value::List)
            }
            TemplateNode::Map(entries) => entries
                .iter()
                .map(|(key, value)| Ok((key.value.clone(), self.template(value)?)))
                .collect::<Result<_, _>>()
                .map(Value::Map),
        }
    }

    /// Evaluates a text that people read.
    ///
    /// # Errors
    /// As [`Evaluator::value`], and if it holds a secret.
    pub fn shown(&self, template: &Template) -> Result<Value, Failure> {
        let value = self.template(template)?;
        match value.has_secret() {
            false => Ok(value),
            true => Err(Failure::new(FailureKind::Secret, "a text that people read holds a secret")),
        }
    }

    /// Evaluates named templates in order.
    ///
    /// # Errors
    /// As [`Evaluator::value`].
    pub fn named(&self, entries: &[(crate::runbook::source::Spanned<String>, Template)]) -> Result<Map, Failure> {
        entries.iter().map(|(name, value)| Ok((name.value.clone(), self.template(value)?))).collect()
    }

    fn mixed(&self, pieces: &[Piece]) -> Result<Value, Failure> {
        let mut parts = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => parts.push(Part::Text(text.clone())),
                Piece::Expression(snippet) => match self.value(snippet)? {
                    Value::Secret(secret) => parts.push(Part::Secret(secret)),
                    Value::Unknown(unknown) => return Ok(Value::Unknown(unknown)),
                    value if value.has_secret() => {
                        let message = "a list or map with a secret can't become text";
                        return Err(self.failure(snippet, FailureKind::Secret, message, None));
                    }
                    value => match value.unknown() {
                        Some(unknown) => return Ok(Value::Unknown(unknown.clone())),
                        None => parts.push(Part::Text(value.to_string())),
                    },
                },
            }
        }
        let plain: Option<String> = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Secret(_) => None,
            })
            .collect();
        Ok(plain.map_or_else(|| Value::Secret(SecretText::concat(parts)), Value::Text))
    }

    /// What a snippet read, by path: the reason for a branch.
    pub fn values_read(&self, snippet: &Snippet) -> Map {
        let contexts = self.scope.contexts(&snippet.code, self.facts, self.result);
        let mut values = Map::new();
        for read in &snippet.code.reads {
            let path: Vec<&str> = read.path.iter().map(|(key, _)| key.as_str()).collect();
            let found = contexts.get(read.root.as_str()).and_then(|context| look_up(context, &path));
            if let Some((value, depth)) = found {
                let name = std::iter::once(read.root.as_str()).chain(path[..depth].iter().copied());
                values.insert(name.collect::<Vec<_>>().join("."), value);
            }
        }
        values
    }

    /// A failure with a picture of its place and the values read there.
    pub fn failure(&self, snippet: &Snippet, kind: FailureKind, message: &str, position: Option<Position>) -> Failure {
        Failure {
            picture: picture(snippet, message, position),
            values: self.values_read(snippet),
            ..Failure::new(kind, message)
        }
    }
}

/// The class of failure of a script error.
pub fn kind_of(kind: ScriptErrorKind) -> FailureKind {
    match kind {
        ScriptErrorKind::Limit => FailureKind::Limit,
        ScriptErrorKind::Thrown | ScriptErrorKind::Error => FailureKind::Script,
    }
}

/// The run-time twin of a check problem: same look, code R0410.
pub fn picture(snippet: &Snippet, message: &str, position: Option<Position>) -> String {
    let problem = Problem {
        code: "R0410",
        severity: Severity::Error,
        message: message.to_owned(),
        source: Arc::clone(&snippet.source),
        span: snippet.locate(position),
        label: String::new(),
        help: None,
    };
    render(&[problem], false)
}

/// A value as one short line.
pub fn quote(value: &Value) -> String {
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::Null => "()".to_owned(),
        other => other.to_plain().to_string(),
    };
    shorten(&text)
}

fn shorten(text: &str) -> String {
    if text.len() <= QUOTED_BYTES_MAX {
        return text.to_owned();
    }
    let cut = (0..=QUOTED_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… ({} bytes)", &text[..cut], text.len())
}

/// The value at a path, quoted, and how many keys of the path lead to it: fewer when it goes on with a
/// method of what was found.
fn look_up(context: &Readable, path: &[&str]) -> Option<(Value, usize)> {
    match (context, path) {
        (Readable::Map(map), [key, rest @ ..]) => {
            look_up(map.get(*key)?, rest).map(|(value, depth)| (value, depth + 1))
        }
        (Readable::Value(value), path) => {
            let mut found = value;
            let mut depth = 0;
            while let Some(inner) = path.get(depth).and_then(|key| found.get(key)) {
                found = inner;
                depth += 1;
            }
            let value = match found {
                Value::Text(text) => Value::Text(shorten(text)),
                Value::List(_) | Value::Map(_) => Value::Text(quote(found)),
                scalar => scalar.clone(),
            };
            Some((value, depth))
        }
        (Readable::Url(text), path) => {
            let part = path.first().and_then(|name| address::part(&url::Url::parse(text).ok()?, name));
            Some(part.map_or_else(|| (Value::Text(text.clone()), 0), |part| (part, 1)))
        }
        (Readable::Refused(_) | Readable::Map(_), _) => None,
    }
}
