//! Pieces of Rhai inside YAML, and values that contain them.

use std::sync::Arc;

use crate::runbook::source::{Source, Span, Spanned};
use crate::script::compile::Code;
use crate::script::value::{Unknown, Value};

/// One Rhai expression or script with the way back to the YAML it stands in.
#[derive(Clone, Debug)]
pub struct Snippet {
    pub source: Arc<Source>,
    /// Text as Rhai sees it: scalar decoded, `${{ }}` taken off.
    pub text: Arc<str>,
    /// Byte offset in the source of each character of `text`, plus one for its end.
    pub offsets: Arc<[u32]>,
    pub code: Arc<Code>,
}

impl Snippet {
    /// Where a Rhai position (line and column from 1, in characters) lies in the file. `None` positions
    /// and those outside point at the whole snippet.
    pub fn locate(&self, position: Option<(usize, usize)>) -> Span {
        locate(&self.text, &self.offsets, position)
    }

    /// Where a string literal of this text lies in the file, quotes included.
    pub fn locate_text(&self, position: (usize, usize), text: &str) -> Span {
        let quote = self.locate(Some(position));
        let quoted = text.chars().count() + 2;
        let first = self.offsets.iter().position(|offset| *offset as usize == quote.start);
        match first.and_then(|first| self.offsets.get(first + quoted)) {
            // A literal with escapes is longer in the file than its text: its start must do.
            Some(end) if !text.contains(['"', '\\', '\n', '`']) => Span::new(quote.start, *end as usize),
            _ => quote,
        }
    }
}

/// As [`Snippet::locate`], for text that has no snippet because it doesn't compile.
pub fn locate(text: &str, offsets: &[u32], position: Option<(usize, usize)>) -> Span {
    let whole =
        Span::new(offsets.first().copied().unwrap_or(0) as usize, offsets.last().copied().unwrap_or(0) as usize);
    let Some((line, column)) = position else { return whole };
    let mut at = (1, 1);
    for (index, c) in text.chars().enumerate() {
        if at == (line, column) {
            let start = offsets[index] as usize;
            let word = text.chars().skip(index).take_while(|c| c.is_alphanumeric() || *c == '_').count().max(1);
            let end = offsets.get(index + word).copied().unwrap_or(start as u32 + 1) as usize;
            return Span::new(start, end);
        }
        at = if c == '\n' { (at.0 + 1, 1) } else { (at.0, at.1 + 1) };
    }
    Span::new(whole.end.saturating_sub(1), whole.end)
}

/// A YAML value in which `${{ }}` may stand.
#[derive(Clone, Debug)]
pub struct Template {
    pub span: Span,
    pub node: TemplateNode,
}

/// The kinds of [`Template`].
#[derive(Clone, Debug)]
pub enum TemplateNode {
    Literal(Value),
    /// A scalar that is exactly one `${{ }}`: keeps the value's type.
    Expression(Snippet),
    /// Text with `${{ }}` inside: always a string, or a secret text if a part is secret.
    Mixed(Vec<Piece>),
    List(Vec<Template>),
    Map(Vec<(Spanned<String>, Template)>),
}

/// A piece of mixed text.
#[derive(Clone, Debug)]
pub enum Piece {
    Text(String),
    Expression(Snippet),
}

impl Template {
    /// The value, if no expression stands in it.
    pub fn literal(&self) -> Option<Value> {
        match &self.node {
            TemplateNode::Literal(value) => Some(value.clone()),
            TemplateNode::List(items) => items.iter().map(Template::literal).collect::<Option<_>>().map(Value::List),
            TemplateNode::Map(entries) => entries
                .iter()
                .map(|(key, value)| value.literal().map(|value| (key.value.clone(), value)))
                .collect::<Option<_>>()
                .map(Value::Map),
            TemplateNode::Expression(_) | TemplateNode::Mixed(_) => None,
        }
    }

    /// The value as far as the text says it: what is computed is unknown, wherever it stands inside.
    pub fn as_written(&self) -> Value {
        match &self.node {
            TemplateNode::Literal(value) => value.clone(),
            TemplateNode::List(items) => Value::List(items.iter().map(Template::as_written).collect()),
            TemplateNode::Map(entries) => {
                Value::Map(entries.iter().map(|(key, value)| (key.value.clone(), value.as_written())).collect())
            }
            TemplateNode::Expression(_) | TemplateNode::Mixed(_) => {
                Value::Unknown(Unknown { origin: "computed".to_owned() })
            }
        }
    }

    /// Every snippet inside, in source order.
    pub fn snippets<'a>(&'a self, found: &mut Vec<&'a Snippet>) {
        match &self.node {
            TemplateNode::Literal(_) => {}
            TemplateNode::Expression(snippet) => found.push(snippet),
            TemplateNode::Mixed(pieces) => found.extend(pieces.iter().filter_map(|piece| match piece {
                Piece::Expression(snippet) => Some(snippet),
                Piece::Text(_) => None,
            })),
            TemplateNode::List(items) => items.iter().for_each(|item| item.snippets(found)),
            TemplateNode::Map(entries) => entries.iter().for_each(|(_, value)| value.snippets(found)),
        }
    }
}
