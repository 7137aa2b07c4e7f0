//! YAML as a tree with a place on everything: one front for every file people write.
//!
//! Takes the part of YAML that means the same to everybody and refuses the rest by name: anchors,
//! aliases, tags, merge keys, a second document, keys that aren't text. Gives no meaning to scalars;
//! that depends on where they stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::runbook::problem::Problem;
use crate::runbook::render::is_reordering;
use crate::runbook::scalar::{self, Core};
use crate::runbook::source::{Source, Span, Spanned};
use crate::runbook::syntax;
use crate::runbook::words::quoted;

/// Bytes of a file: far above any runbook, small enough to read at every keystroke. Without aliases it
/// also bounds the text of all scalars together.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Nesting of lists and maps: below it recursion over the tree is safe on any stack.
pub const DEPTH_MAX: usize = 64;
/// Lists, maps and scalars of a file: bounds memory at a few tens of megabytes.
pub const NODES_MAX: usize = 100_000;
/// Problems told of one file: after so many the first ones are the cause of the rest.
pub const PROBLEMS_MAX: usize = 100;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    pub span: Span,
    /// An entry of this map was refused and dropped, so that what seems to be missing may be it.
    pub flawed: bool,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// `key:` with nothing after it.
    Absent,
    /// Something a problem was told about already.
    Refused,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A scalar as decoded by YAML, with what is needed to find its characters again.
#[derive(Clone, Debug)]
pub struct Scalar {
    pub text: String,
    pub style: Style,
    /// Column of the first character from 0; in a block scalar this is its indentation.
    pub column: usize,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Single,
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// One key of a map.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Spanned<String>,
    pub value: Node,
}

impl Node {
    /// The words for this kind of node in messages.
    pub fn what(&self) -> &'static str {
        match self.kind {
            NodeKind::Absent | NodeKind::Refused => "nothing",
            NodeKind::Scalar(_) => "text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a map",
        }
    }
}

/// Reads one YAML document. Without a tree there is at least one problem.
pub fn parse(source: &Arc<Source>) -> (Option<Node>, Vec<Problem>) {
    if let Some(problem) = unreadable(source) {
        return (None, vec![problem]);
    }
    Builder::new(source).build()
}

/// What makes a text no text, before anybody looks at its YAML.
fn unreadable(source: &Arc<Source>) -> Option<Problem> {
    let text = &source.text;
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, more than {FILE_BYTES_MAX}", text.len());
        return Some(Problem::error("E0114", source, Span::default(), message).label("too large"));
    }
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let (message, help) = match c {
            '\u{feff}' if at == 0 => ("the file starts with a byte order mark", "save it as UTF-8 without BOM"),
            '\r' if chars.peek().is_none_or(|(_, next)| *next != '\n') => {
                ("a carriage return without a line feed", "save the file with line ends LF or CRLF")
            }
            '\t' | '\n' | '\r' => continue,
            '\0' => ("a NUL character", "save the file as UTF-8 text; UTF-16 and binary files aren't read"),
            c if is_reordering(c) => (
                "a character that changes the order in which the text is shown",
                "write it as an escape in double quotes",
            ),
            c if c.is_control() || c == '\u{feff}' => ("a control character", "write it as an escape in double quotes"),
            _ => continue,
        };
        let span = Span::new(at, at + c.len_utf8());
        return Some(
            Problem::error("E0100", source, span, format!("{message} ({})", c.escape_unicode()))
                .label("here")
                .help(help),
        );
    }
    None
}

/// A collection that is still open.
struct Frame {
    start: usize,
    kind: FrameKind,
}

enum FrameKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, lines: BTreeMap<String, usize>, key: Key, flawed: bool },
}

/// What a map waits for.
enum Key {
    Wanted,
    Given(Spanned<String>),
    /// A key that was refused: its value is read and dropped.
    Refused,
}

struct Builder<'s> {
    source: &'s Arc<Source>,
    places: Places,
    open: Vec<Frame>,
    root: Option<Node>,
    nodes: usize,
    problems: Vec<Problem>,
    /// One anchor stands for all, and so does one alias: who uses them uses many.
    told_anchor: bool,
    told_alias: bool,
}

impl<'s> Builder<'s> {
    fn new(source: &'s Arc<Source>) -> Builder<'s> {
        Builder {
            source,
            places: Places::of(&source.text),
            open: vec![],
            root: None,
            nodes: 0,
            problems: vec![],
            told_anchor: false,
            told_alias: false,
        }
    }

    fn build(mut self) -> (Option<Node>, Vec<Problem>) {
        let source = self.source;
        let mut documents = 0;
        // The parser repeats an error for ever: the first one ends the loop.
        for event in Parser::new_from_str(&source.text) {
            let (event, span) = match event {
                Ok((event, span)) => (event, span),
                Err(error) => {
                    let at = self.places.byte(&source.text, error.marker().index());
                    self.problems.push(syntax::explain(source, at, error.info()));
                    return (None, self.problems);
                }
            };
            let (start, column) = (self.places.byte(&source.text, span.start.index()), span.start.col());
            let span = Span::new(start, self.places.byte(&source.text, span.end.index()));
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
                if documents > 1 {
                    self.problems.push(
                        Problem::error("E0102", source, span, "a second YAML document in one file")
                            .label("starts here")
                            .help("one file holds one runbook: move it to a file of its own"),
                    );
                    return (None, self.problems);
                }
            }
            if let Err(problem) = self.event(event, span, column) {
                self.problems.push(problem);
                return (None, self.problems);
            }
        }
        if self.root.is_none() && self.problems.is_empty() {
            self.problems.push(Problem::error("E0106", source, Span::default(), "the file is empty"));
        }
        (self.root, self.problems)
    }

    /// Takes one event in; an error ends the reading.
    fn event(&mut self, event: Event<'_>, span: Span, column: usize) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), span);
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                };
                // What isn't there is told as a plain `~` without width.
                let absent = style == Style::Plain && span.start == span.end && text == "~";
                let kind = match absent {
                    _ if tag.is_some() || (anchor > 0 && style == Style::Plain && (absent || text.is_empty())) => {
                        NodeKind::Refused
                    }
                    true => NodeKind::Absent,
                    false => NodeKind::Scalar(Scalar { text: text.into_owned(), style, column }),
                };
                self.node(Node { kind, span: self.without_white_end(span, style), flawed: false })
            }
            Event::Alias(_) => {
                if !std::mem::replace(&mut self.told_alias, true) {
                    self.problem(syntax::alias(self.source, span));
                }
                self.node(Node { kind: NodeKind::Refused, span, flawed: false })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), span);
                self.open(span, FrameKind::List(vec![]))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), span);
                let kind = FrameKind::Map { entries: vec![], lines: BTreeMap::new(), key: Key::Wanted, flawed: false };
                self.open(span, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.open.pop() else { return Ok(()) };
                let span = Span::new(frame.start, span.end);
                let (kind, flawed) = match frame.kind {
                    FrameKind::List(items) => (NodeKind::List(items), false),
                    FrameKind::Map { entries, flawed, .. } => (NodeKind::Map(entries), flawed),
                };
                self.place(Node { kind, span, flawed });
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn open(&mut self, span: Span, kind: FrameKind) -> Result<(), Problem> {
        self.count(span)?;
        if self.open.len() >= DEPTH_MAX {
            return Err(syntax::too_deep(self.source, span));
        }
        self.open.push(Frame { start: span.start, kind });
        Ok(())
    }

    fn node(&mut self, node: Node) -> Result<(), Problem> {
        self.count(node.span)?;
        self.place(node);
        Ok(())
    }

    fn count(&mut self, span: Span) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values in one file");
            return Err(Problem::error("E0114", self.source, span, message).label("one too many"));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, mut node: Node) {
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        let (entries, lines, key, flawed) = match &mut frame.kind {
            FrameKind::List(items) => return items.push(node),
            FrameKind::Map { entries, lines, key, flawed } => (entries, lines, key, flawed),
        };
        match std::mem::replace(key, Key::Wanted) {
            Key::Given(name) => {
                if matches!(node.kind, NodeKind::Absent) {
                    // The parser puts it before the next thing, maybe lines below.
                    node.span = name.span;
                }
                entries.push(Entry { key: name, value: node });
            }
            Key::Refused => {}
            Key::Wanted => match check_key(self.source, &node) {
                Err(problem) => {
                    *key = Key::Refused;
                    *flawed = true;
                    self.problem(problem);
                }
                Ok(name) => match lines.get(&name) {
                    Some(first) => {
                        let first = *first;
                        *key = Key::Refused;
                        // Finding a line is a walk from the start: not for each of a hundred thousand.
                        if self.problems.len() < PROBLEMS_MAX {
                            let (line, _) = self.source.line_column(first);
                            let message = format!("the key {} stands here twice", quoted(&name));
                            self.problem(
                                Problem::error("E0104", self.source, node.span, message)
                                    .label(format!("the first one is in line {line}")),
                            );
                        }
                    }
                    None => {
                        lines.insert(name.clone(), node.span.start);
                        *key = Key::Given(Spanned::new(name, node.span));
                    }
                },
            },
        }
    }

    /// The parser counts white space after a flow scalar in.
    fn without_white_end(&self, span: Span, style: Style) -> Span {
        if matches!(style, Style::Literal | Style::Folded) {
            return span;
        }
        Span::new(span.start, span.start + self.source.text[span.start..span.end].trim_end().len())
    }

    fn refuse_properties(&mut self, anchor: usize, tag: Option<&saphyr_parser::Tag>, span: Span) {
        if let Some(tag) = tag {
            let at = self.marker_before(span, '!');
            self.problem(match tag.handle.as_str() {
                "!" => syntax::leading_bang(self.source, at),
                _ => Problem::error("E0102", self.source, at, "a YAML tag").label("not part of the language"),
            });
        } else if anchor > 0 && !std::mem::replace(&mut self.told_anchor, true) {
            let at = self.marker_before(span, '&');
            self.problem(
                Problem::error("E0102", self.source, at, "an anchor (`&name`)")
                    .label("not part of the language")
                    .help("write the value out where it is needed; what must start with `&` is put in quotes"),
            );
        }
    }

    /// The word that starts with `sign` before a value, on its line or the one above.
    fn marker_before(&self, span: Span, sign: char) -> Span {
        if self.problems.len() >= PROBLEMS_MAX {
            return span;
        }
        let before = &self.source.text[..span.end];
        // With an empty value the parser's place is the next thing: look from there backwards.
        let sign_then = |at: usize| before[at..].chars().nth(1).is_some_and(|c| !c.is_whitespace());
        let found = before
            .rmatch_indices(sign)
            .map(|(at, _)| at)
            .find(|at| sign_then(*at) && before[..*at].ends_with([' ', '\n', '\t', '[', '{', ',']) || *at == 0);
        let Some(at) = found else { return span };
        let word = self.source.text[at..].find(|c: char| c.is_whitespace() || c == ',').unwrap_or(before.len() - at);
        Span::new(at, at + word)
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

fn check_key(source: &Arc<Source>, node: &Node) -> Result<String, Problem> {
    let scalar = match &node.kind {
        NodeKind::Scalar(scalar) if !scalar.text.is_empty() || scalar.style != Style::Plain => scalar,
        NodeKind::Scalar(_) | NodeKind::Absent | NodeKind::Refused => {
            return Err(Problem::error("E0102", source, node.span, "a `:` without a key before it").label("here"));
        }
        NodeKind::List(_) | NodeKind::Map(_) => {
            let problem = Problem::error("E0102", source, node.span, format!("{} used as a key", node.what()));
            return Err(match source.text[node.span.start..].starts_with('{') {
                true => problem.label("YAML reads this as a map").help(
                    "an expression is written \"${{ … }}\", in quotes; other text that starts with `{` is quoted too",
                ),
                false => problem.label("keys are plain text"),
            });
        }
    };
    if scalar.style != Style::Plain {
        return Ok(scalar.text.clone());
    }
    if scalar.text == "<<" {
        return Err(Problem::error("E0102", source, node.span, "a merge key (`<<`)")
            .label("not part of the language")
            .help("write the keys out"));
    }
    match scalar::core(&scalar.text) {
        Core::Text => Ok(scalar.text.clone()),
        _ => Err(Problem::error(
            "E0102",
            source,
            node.span,
            format!("the key {} isn't text in YAML", quoted(&scalar.text)),
        )
        .label("keys are text")
        .help(format!("put it in quotes: \"{}\"", scalar.text))),
    }
}

/// Turns the parser's places, which count characters, into bytes.
struct Places {
    /// Byte offset of every [`Places::STEP`]th character; empty for ASCII, where both are the same.
    steps: Vec<u32>,
}

impl Places {
    const STEP: usize = 64;

    fn of(text: &str) -> Places {
        if text.is_ascii() {
            return Places { steps: vec![] };
        }
        Places { steps: text.char_indices().step_by(Places::STEP).map(|(at, _)| at as u32).collect() }
    }

    fn byte(&self, text: &str, index: usize) -> usize {
        if self.steps.is_empty() {
            return index.min(text.len());
        }
        let Some(start) = self.steps.get(index / Places::STEP) else { return text.len() };
        let start = *start as usize;
        text[start..].char_indices().nth(index % Places::STEP).map_or(text.len(), |(at, _)| start + at)
    }
}
