//! Expressions and scripts inside YAML: where they start and end, what they are compiled to, and what
//! a mistake in one looks like in the file.

use std::sync::Arc;

use crate::runbook::habits;
use crate::runbook::nearest::nearest;
use crate::runbook::node::{Entry, Node, NodeKind, Scalar, Style};
use crate::runbook::problem::Problem;
use crate::runbook::reader::Reader;
use crate::runbook::scalar;
use crate::runbook::snippet::{Piece, Snippet, Template, TemplateNode, locate};
use crate::runbook::source::{Span, Spanned};
use crate::runbook::types::parse_duration;
use crate::runbook::words::quoted;
use crate::script::compile::{self, Code, CompileError, CompileErrorKind};
use crate::script::value::Value;

/// Expressions and scripts of one file: each costs a compilation; real runbooks have under a hundred.
const SNIPPETS_MAX: usize = 2_000;
/// Bytes of one expression: it stands on a line.
const EXPRESSION_BYTES_MAX: usize = 4 * 1024;
/// Bytes of one script: what is longer is a module.
const SCRIPT_BYTES_MAX: usize = 64 * 1024;
/// Places tried as the end of one `${{`: each `}}` inside a map literal or a string is one too early.
const ENDS_TRIED_MAX: usize = 16;
/// What an expression of a step may read.
const CONTEXTS: [&str; 7] = ["inputs", "vars", "steps", "secrets", "run", "each", "result"];

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// A scalar's text with the way back to the file.
struct Decoded<'t> {
    text: &'t str,
    /// Byte offset in the file of each character, plus its end.
    offsets: Vec<u32>,
    scalar: &'t Scalar,
    span: Span,
}

impl Decoded<'_> {
    /// A range of bytes of the text as a range of the file.
    fn span(&self, start: usize, end: usize) -> Span {
        let place = |at: usize| self.offsets[self.text[..at].chars().count()] as usize;
        Span::new(place(start), place(end))
    }

    /// Bytes `start..end` of the text and the offsets that belong to them.
    fn slice(&self, start: usize, end: usize) -> (&str, Arc<[u32]>) {
        let first = self.text[..start].chars().count();
        let count = self.text[start..end].chars().count();
        let mut offsets = self.offsets[first..=first + count].to_vec();
        // The end of a piece is the end of its last character, not the start of what a fold left out.
        if count > 0 && end < self.text.len() {
            let last = self.text[start..end].chars().next_back().map_or(1, char::len_utf8) as u32;
            offsets[count] = offsets[count].min(offsets[count - 1] + last).max(offsets[count - 1]);
        }
        (&self.text[start..end], offsets.into())
    }
}

impl Reader {
    /// A value in which `${{ }}` may stand anywhere.
    pub fn template(&mut self, node: &Node) -> Option<Template> {
        let node_kind = match &node.kind {
            NodeKind::Absent => TemplateNode::Literal(Value::Null),
            NodeKind::Refused => return None,
            NodeKind::Scalar(scalar) => self.scalar_template(scalar, node.span)?,
            NodeKind::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.template(item)).collect();
                TemplateNode::List(items.into_iter().collect::<Option<_>>()?)
            }
            NodeKind::Map(entries) => TemplateNode::Map(self.template_entries(entries)?),
        };
        Some(Template { span: node.span, node: node_kind })
    }

    /// The entries of a map of templates, in the order written.
    pub fn template_entries(&mut self, entries: &[Entry]) -> Option<Vec<(Spanned<String>, Template)>> {
        let mut read = Vec::with_capacity(entries.len());
        let mut whole = true;
        for entry in entries {
            if entry.key.value.contains(OPEN) {
                let message = format!("the key {} can't be computed", quoted(&entry.key.value));
                self.push(
                    Problem::error("E0107", &self.source, self.first_line(entry.key.span), message)
                        .label("keys are plain text")
                        .help("build the map in a `script`, and pass it as one `${{ }}`"),
                );
                whole = false;
            }
            match self.template(&entry.value) {
                Some(template) => read.push((entry.key.clone(), template)),
                None => whole = false,
            }
        }
        whole.then_some(read)
    }

    /// Text in which `${{ }}` may stand: a plain number stays as written.
    pub fn text_template(&mut self, node: &Node, thing: &str) -> Option<Template> {
        let NodeKind::Scalar(scalar) = &node.kind else {
            self.wrong(node, thing, "text");
            return None;
        };
        let node_kind = match scalar.text.contains(OPEN) {
            true => self.scalar_template(scalar, node.span)?,
            false => TemplateNode::Literal(Value::Text(scalar.text.clone())),
        };
        Some(Template { span: node.span, node: node_kind })
    }

    /// A duration, or an expression that gives one.
    pub fn duration_template(&mut self, node: &Node, thing: &str) -> Option<Template> {
        let template = self.text_template(node, thing)?;
        if let Some(Value::Text(text)) = template.literal()
            && let Err(error) = parse_duration(&text)
        {
            self.error("E0107", self.first_line(node.span), format!("{error} for {thing}"), "not a duration");
            return None;
        }
        Some(template)
    }

    fn scalar_template(&mut self, scalar: &Scalar, span: Span) -> Option<TemplateNode> {
        if !scalar.text.contains(OPEN) {
            return self.any_scalar(scalar, span).map(TemplateNode::Literal);
        }
        let offsets = scalar::offsets(&self.source.text, scalar, span);
        let decoded = Decoded { text: &scalar.text, offsets, scalar, span };
        let pieces = self.pieces(&decoded)?;
        self.cut_by_comment(&decoded);
        let block = matches!(scalar.style, Style::Literal | Style::Folded);
        Some(match <[Piece; 1]>::try_from(without_last_break(pieces, block)) {
            Ok([Piece::Expression(snippet)]) => TemplateNode::Expression(snippet),
            Ok([Piece::Text(text)]) => TemplateNode::Literal(Value::Text(text)),
            Err(pieces) => TemplateNode::Mixed(pieces),
        })
    }

    /// Splits text into what is literal and what is between `${{` and `}}`. Reports every mistake.
    fn pieces(&mut self, decoded: &Decoded<'_>) -> Option<Vec<Piece>> {
        let text = decoded.text;
        let mut pieces = vec![];
        let mut literal = String::new();
        let mut at = 0;
        let mut whole = true;
        while let Some(found) = text[at..].find(OPEN).map(|found| at + found) {
            if text[at..found].ends_with('$') {
                // `$${{` is how `${{` is written when it is meant literally.
                literal.push_str(&text[at..found]);
                literal.push_str("{{");
                at = found + OPEN.len();
                continue;
            }
            literal.push_str(&text[at..found]);
            let inner = found + OPEN.len();
            let Some((end, compiled)) = self.find_end(text, inner) else {
                self.unclosed(decoded, found);
                return None;
            };
            at = end + CLOSE.len();
            match compiled {
                Ok(code) => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    let (start, end) = trimmed(text, inner, end);
                    let (text, offsets) = decoded.slice(start, end);
                    let (text, code) = (text.into(), Arc::new(code));
                    pieces.push(Piece::Expression(Snippet { source: self.source.clone(), text, offsets, code }));
                }
                Err(error) => {
                    self.refusal(decoded, trimmed(text, inner, end), &error, Place::Template);
                    whole = false;
                }
            }
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        whole.then_some(pieces)
    }

    /// Where the expression that starts at `inner` ends: the first `}}` before which the text compiles,
    /// because `}}` may also close map literals or stand in strings.
    ///
    /// If none does, the complaint to show is one that names a thing, else the one of the shortest text.
    fn find_end(&mut self, text: &str, inner: usize) -> Option<(usize, Result<Code, Refusal>)> {
        // `${{` is never Rhai, so the next one bounds this one.
        let bound = text[inner..].find(OPEN).map_or(text.len(), |next| inner + next);
        let bound = bound.min(floor_boundary(text, inner + EXPRESSION_BYTES_MAX));
        let mut best: Option<(usize, Refusal)> = None;
        let ends = text[inner..bound].match_indices("}").map(|(at, _)| inner + at);
        let ends = ends.filter(|end| text[*end..bound].starts_with(CLOSE));
        for end in ends.take(ENDS_TRIED_MAX) {
            let (start, stop) = trimmed(text, inner, end);
            match self.compile(&text[start..stop], Place::Template) {
                Ok(code) => return Some((end, Ok(code))),
                Err(refusal) => match &best {
                    None => best = Some((end, refusal)),
                    Some((_, kept)) if kept.is_syntax() && !refusal.is_syntax() => best = Some((end, refusal)),
                    Some(_) => {}
                },
            }
        }
        best.map(|(end, refusal)| (end, Err(refusal)))
    }

    fn unclosed(&mut self, decoded: &Decoded<'_>, open: usize) {
        let span = decoded.span(open, open + OPEN.len());
        let problem = Problem::error("E0109", &self.source, span, "`${{` without `}}`").label("opened here");
        self.push(match comment_after(&self.source.text, decoded.scalar, decoded.span) {
            Some(_) => problem.help("in YAML ` #` starts a comment, which cut the expression: put the value in quotes"),
            None => problem.help("close it with `}}`; a literal `${{` is written `$${{`"),
        });
    }

    /// Reports ` #x` right after an expression: YAML made it a comment, and the rest compiles.
    fn cut_by_comment(&mut self, decoded: &Decoded<'_>) {
        if let Some(span) = comment_after(&self.source.text, decoded.scalar, decoded.span) {
            self.push(
                Problem::error("E0111", &self.source, span, "` #` starts a YAML comment, so what follows is cut off")
                    .label("not part of the value")
                    .help("put the value in quotes; a comment that is meant starts with `# `"),
            );
        }
    }

    /// What stands in `if`, `until`, `that`, `when`: one expression. `${{ }}` may wrap the whole of it.
    pub fn expression(&mut self, node: &Node, thing: &str) -> Option<Snippet> {
        let scalar = match &node.kind {
            NodeKind::Scalar(scalar) => scalar,
            NodeKind::List(_) | NodeKind::Map(_) => {
                let message = format!("expected an expression for {thing}, got {}", node.what());
                self.push(
                    Problem::error("E0112", &self.source, self.first_line(node.span), message)
                        .label("YAML takes this for something else")
                        .help("put the expression in quotes, or use a block: `key: |`"),
                );
                return None;
            }
            NodeKind::Absent | NodeKind::Refused => {
                self.wrong(node, thing, "an expression");
                return None;
            }
        };
        if scalar.style == Style::Plain && scalar::is_old_bool(&scalar.text) {
            self.any_scalar(scalar, node.span);
            return None;
        }
        let offsets = scalar::offsets(&self.source.text, scalar, node.span);
        let decoded = Decoded { text: &scalar.text, offsets, scalar, span: node.span };
        self.cut_by_comment(&decoded);
        let text = decoded.text;
        let (start, end) = trimmed(text, 0, text.len());
        if start == end {
            self.error(
                "E0107",
                self.first_line(node.span),
                format!("{thing} is empty: expected an expression"),
                "empty",
            );
            return None;
        }
        let (start, end) = match text[start..end].strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE)) {
            Some(inner) if !inner.contains(OPEN) => trimmed(text, start + OPEN.len(), end - CLOSE.len()),
            _ => (start, end),
        };
        self.snippet(&decoded, (start, end), Place::Expression)
    }

    /// A `script:` body.
    pub fn script(&mut self, node: &Node) -> Option<Snippet> {
        let NodeKind::Scalar(scalar) = &node.kind else {
            self.wrong(node, "`script`", "Rhai code");
            return None;
        };
        let offsets = scalar::offsets(&self.source.text, scalar, node.span);
        let decoded = Decoded { text: &scalar.text, offsets, scalar, span: node.span };
        self.cut_by_comment(&decoded);
        if decoded.text.trim().is_empty() {
            self.error("E0107", self.first_line(node.span), "`script` is empty: expected Rhai code", "empty");
            return None;
        }
        self.snippet(&decoded, (0, decoded.text.len()), Place::Script)
    }

    fn snippet(&mut self, decoded: &Decoded<'_>, range: (usize, usize), place: Place) -> Option<Snippet> {
        let (text, offsets) = decoded.slice(range.0, range.1);
        match self.compile(text, place) {
            Ok(code) => Some(Snippet { source: self.source.clone(), text: text.into(), offsets, code: Arc::new(code) }),
            Err(error) => {
                self.refusal(decoded, range, &error, place);
                None
            }
        }
    }

    fn compile(&mut self, text: &str, place: Place) -> Result<Code, Refusal> {
        self.snippets += 1;
        let limit = match place {
            Place::Script => SCRIPT_BYTES_MAX,
            Place::Template | Place::Expression => EXPRESSION_BYTES_MAX,
        };
        if text.len() > limit {
            return Err(Refusal::Limit(format!("code of {} bytes, more than {limit}", text.len())));
        }
        if self.snippets > SNIPPETS_MAX {
            return Err(Refusal::Limit(format!("more than {SNIPPETS_MAX} expressions in one file")));
        }
        match place {
            Place::Script => compile::script(text),
            Place::Template | Place::Expression => compile::expression(text),
        }
        .map_err(Refusal::Compile)
    }

    fn refusal(&mut self, decoded: &Decoded<'_>, range: (usize, usize), refusal: &Refusal, place: Place) {
        if self.is_full() {
            return;
        }
        let (text, offsets) = decoded.slice(range.0, range.1);
        let code = &self.source;
        let error = match refusal {
            Refusal::Compile(error) => error,
            Refusal::Limit(message) => {
                let span = self.first_line(locate(text, &offsets, None));
                return self.error("E0114", span, message.clone(), "too much");
            }
        };
        let span = locate(text, &offsets, error.position);
        let problem = match &error.kind {
            CompileErrorKind::ReservedWord(word) => {
                let problem = Problem::error("E0302", code, span, format!("`{word}` is a reserved word of Rhai"));
                let problem = problem.label("can't be used as a name");
                match after_dot(text, error.position) {
                    true => problem.help(format!("write `[\"{word}\"]` instead of `.{word}`: `x[\"{word}\"]`")),
                    false => problem.help(habits::word(word).map_or_else(
                        || {
                            format!(
                                "as the key of a map write `\"{word}\"` in quotes; as a variable choose another name"
                            )
                        },
                        str::to_owned,
                    )),
                }
            }
            CompileErrorKind::ComputedKey => {
                Problem::error("E0303", code, span, "a map literal can't have a computed key")
                    .label("keys are plain names here")
                    .help("build it: `let m = #{}; m[k] = v; m`")
            }
            CompileErrorKind::DollarBrace => {
                let problem = Problem::error("E0304", code, span, "`${{` where code stands already");
                match place {
                    Place::Script => problem
                        .label("not part of a script")
                        .help("use the variable directly: `inputs.service`, not `${{ inputs.service }}`"),
                    _ => problem
                        .label("this is an expression already")
                        .help("leave `${{` and `}}` out, or put them around the whole expression"),
                }
            }
            CompileErrorKind::HashComment => Problem::error("E0305", code, span, "`#` doesn't start a comment in Rhai")
                .label("not a comment")
                .help("a comment starts with `//`"),
            CompileErrorKind::UnknownVariable(name) => {
                let problem = Problem::error("E0306", code, span, format!("unknown variable {}", quoted(name)));
                problem.label("not defined").help(self.variable_help(name))
            }
            CompileErrorKind::Syntax => {
                let help = habits::syntax(from(text, error.position)).map(str::to_owned);
                Problem::error("E0301", code, span, error.message.clone()).label("here").maybe_help(help)
            }
        };
        self.push(problem);
    }

    fn variable_help(&self, name: &str) -> String {
        if let Some(habit) = habits::variable(name) {
            return habit.to_owned();
        }
        if let Some(context) = nearest(name, compile::CONTEXTS) {
            return format!("did you mean `{context}`?");
        }
        if self.inputs.iter().any(|input| input == name) {
            return format!("did you mean `inputs.{name}`?");
        }
        format!("expressions see {}", CONTEXTS.join(", "))
    }
}

/// Why a piece of code isn't taken.
enum Refusal {
    Compile(CompileError),
    Limit(String),
}

impl Refusal {
    fn is_syntax(&self) -> bool {
        matches!(self, Refusal::Compile(error) if error.kind == CompileErrorKind::Syntax)
    }
}

/// Where code stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Template,
    Expression,
    Script,
}

/// A range without the white space at its ends.
fn trimmed(text: &str, start: usize, end: usize) -> (usize, usize) {
    let inner = &text[start..end];
    let rest = inner.trim_start();
    let start = end - rest.len();
    (start, start + rest.trim_end().len())
}

/// Whether the place follows a dot.
fn after_dot(text: &str, position: Option<(usize, usize)>) -> bool {
    let Some((line, column)) = position else { return false };
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or("");
    let before: String = line.chars().take(column.saturating_sub(1)).collect();
    before.trim_end().ends_with('.')
}

/// The code from a place on.
fn from(text: &str, position: Option<(usize, usize)>) -> &str {
    let Some((line, column)) = position else { return "" };
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or("");
    line.char_indices().nth(column.saturating_sub(1)).map_or("", |(at, _)| &line[at..])
}

/// A `#` that YAML took for a comment right after a plain scalar, unless it looks like one: `# …`.
fn comment_after(source: &str, scalar: &Scalar, span: Span) -> Option<Span> {
    if scalar.style != Style::Plain {
        return None;
    }
    let rest = &source[span.end..];
    let line = rest.split(['\n', '\r']).next().unwrap_or("");
    let comment = line.trim_start_matches([' ', '\t']);
    let at = span.end + line.len() - comment.len();
    let glued = comment.strip_prefix('#')?;
    let meant = glued.is_empty() || glued.starts_with([' ', '\t', '#', '-', '=']);
    (!meant && at > 0).then(|| Span::new(at, at + comment.trim_end().len()))
}

/// A block scalar that is one expression ends with a line break that isn't part of it.
fn without_last_break(mut pieces: Vec<Piece>, block: bool) -> Vec<Piece> {
    if block
        && let [Piece::Expression(_), Piece::Text(rest)] = pieces.as_slice()
        && rest.chars().all(|c| c == '\n')
    {
        pieces.pop();
    }
    pieces
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
