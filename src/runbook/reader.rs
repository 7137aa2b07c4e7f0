//! From nodes to typed fields, collecting every problem instead of stopping at the first.
//!
//! A method that gives `None` has said why. Nothing here knows which keys a runbook has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::runbook::nearest::{did_you_mean, nearest};
use crate::runbook::node::{self, Entry, Node, NodeKind, PROBLEMS_MAX, Scalar, Style};
use crate::runbook::problem::{Problem, Severity};
use crate::runbook::scalar::{self, Core};
use crate::runbook::source::{Source, Span, Spanned};
use crate::runbook::syntax;
use crate::runbook::words::quoted;
use crate::script::value::{Map, Value};

/// Longest word that gets a suggestion: comparing words is quadratic.
const SUGGESTION_BYTES_MAX: usize = 64;

/// Reads one file; the problems pile up in it.
pub struct Reader {
    pub source: Arc<Source>,
    problems: Vec<Problem>,
    /// Snippets compiled so far: see `snippets.rs`.
    pub snippets: usize,
    /// Names of the inputs, for suggestions in expressions.
    pub inputs: Vec<String>,
}

/// What keys a map may have.
pub struct Keys {
    /// What the map is, for messages: `step`.
    pub what: &'static str,
    pub known: &'static [&'static str],
    /// Part of the language, but not of this release.
    pub later: &'static [&'static str],
    /// Words of other formats, with what is written here instead.
    pub foreign: &'static [(&'static str, &'static str)],
}

/// The entries of a map whose keys were checked.
pub struct Fields<'n> {
    entries: &'n [Entry],
    pub span: Span,
    what: &'static str,
    /// Known keys that unknown ones were probably meant to be.
    meant: Vec<&'static str>,
    /// Whether a key stands here that can't be read, so that what seems to be missing may be it.
    pub strange: bool,
}

impl<'n> Fields<'n> {
    /// The value of a key, if it is given.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key, if it is given.
    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    /// Whether a key is given.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }
}

impl Reader {
    /// Parses a file. Without a tree, the problems say why.
    pub fn open(source: &Arc<Source>) -> (Reader, Option<Node>) {
        let (root, problems) = node::parse(source);
        (Reader { source: source.clone(), problems, snippets: 0, inputs: vec![] }, root)
    }

    /// Adds a problem; beyond [`PROBLEMS_MAX`] they are dropped.
    pub fn push(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    /// Adds an error with a label.
    pub fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>, label: &str) {
        self.push(Problem::error(code, &self.source, span, message).label(label));
    }

    /// Whether an error was found so far.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All problems by place.
    pub fn finish(mut self) -> Vec<Problem> {
        crate::runbook::problem::sort(&mut self.problems);
        self.problems
    }

    /// Whether so many problems are known that more would be dropped.
    pub fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }

    /// Says that a node is not what stands in `expected`.
    pub fn wrong(&mut self, node: &Node, thing: &str, expected: &str) {
        let span = self.first_line(node.span);
        let problem = match &node.kind {
            NodeKind::Refused => return,
            NodeKind::Scalar(scalar) => {
                if let Some(length) = syntax::glued_key(&scalar.text)
                    && scalar.style == Style::Plain
                    && expected.contains("map")
                {
                    let colon = span.start + length;
                    self.push(syntax::missing_space_at(&self.source, Span::new(colon, colon + 1)));
                    return;
                }
                Problem::error(
                    "E0107",
                    &self.source,
                    span,
                    format!("expected {expected} for {thing}, got {}", quoted(&scalar.text)),
                )
            }
            NodeKind::Absent => {
                Problem::error("E0107", &self.source, span, format!("{thing} is empty: expected {expected}"))
            }
            _ => Problem::error(
                "E0107",
                &self.source,
                span,
                format!("expected {expected} for {thing}, got {}", node.what()),
            ),
        };
        self.push(problem.label("not what belongs here"));
    }

    /// A span cut to the line it starts in: a caret under a whole block says nothing.
    pub fn first_line(&self, span: Span) -> Span {
        self.source.first_line(span)
    }

    /// Reads a map with known keys.
    pub fn fields<'n>(&mut self, node: &'n Node, keys: &Keys) -> Option<Fields<'n>> {
        let NodeKind::Map(entries) = &node.kind else {
            self.wrong(node, &one(keys.what), "a map");
            return None;
        };
        let mut fields = Fields { entries, span: node.span, what: keys.what, meant: vec![], strange: node.flawed };
        for entry in entries {
            if !keys.known.contains(&entry.key.value.as_str()) {
                fields.strange = true;
                fields.meant.extend(self.unknown_key(entry, keys));
            }
        }
        Some(fields)
    }

    /// The fields of a map that has names of the author's own beside the known keys, and those entries. A name that is all
    /// but a known key is a mistake.
    pub fn fields_and_names<'n>(&mut self, node: &'n Node, keys: &Keys) -> Option<(Fields<'n>, Vec<&'n Entry>)> {
        let NodeKind::Map(entries) = &node.kind else {
            self.wrong(node, &one(keys.what), "a map");
            return None;
        };
        let mut fields = Fields { entries, span: node.span, what: keys.what, meant: vec![], strange: node.flawed };
        let mut names = Vec::new();
        for entry in entries.iter().filter(|entry| !keys.known.contains(&entry.key.value.as_str())) {
            if nearest(&entry.key.value, keys.known.iter().copied()).is_some() {
                fields.strange = true;
                fields.meant.extend(self.unknown_key(entry, keys));
            } else {
                names.push(entry);
            }
        }
        Some((fields, names))
    }

    /// Says that a key is unknown; gives the known one that was probably meant.
    fn unknown_key(&mut self, entry: &Entry, keys: &Keys) -> Option<&'static str> {
        if self.is_full() {
            return None;
        }
        let (name, span) = (entry.key.value.as_str(), self.first_line(entry.key.span));
        if keys.later.contains(&name) {
            self.later(span, name);
            return None;
        }
        let near = match name.len() <= SUGGESTION_BYTES_MAX {
            true => nearest(name, keys.known.iter().copied()),
            false => None,
        };
        let near = near.and_then(|near| keys.known.iter().copied().find(|known| *known == near));
        let foreign = keys.foreign.iter().find(|(word, _)| *word == name);
        let help = match (foreign, near) {
            (Some((_, instead)), _) => (*instead).to_owned(),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => format!("{} has the keys {}", one(keys.what), keys.known.join(" ")),
        };
        self.push(
            Problem::error("E0103", &self.source, span, format!("unknown {} key {}", keys.what, quoted(name)))
                .label(format!(
                    "not {} {} key",
                    if keys.what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" },
                    keys.what
                ))
                .help(help),
        );
        near
    }

    /// Says that a key belongs to the language, but not to this release.
    pub fn later(&mut self, span: Span, name: &str) {
        let message = format!("`{name}` is part of the language, but this release can't run it yet");
        self.error("E0108", span, message, "not yet");
    }

    /// The value of a mandatory key.
    pub fn required<'n>(&mut self, fields: &Fields<'n>, key: &str) -> Option<&'n Node> {
        let found = fields.get(key);
        if found.is_none() && !fields.meant.contains(&key) {
            let first = fields.entries.first().map_or(fields.span, |entry| entry.key.span);
            let span = self.first_line(first);
            self.push(
                Problem::error("E0106", &self.source, span, format!("`{key}` is missing in this {}", fields.what))
                    .label(format!("this {} needs `{key}`", fields.what)),
            );
        }
        found
    }

    /// Checks `version: 1`.
    pub fn version(&mut self, fields: &Fields<'_>) {
        let Some(node) = self.required(fields, "version") else { return };
        match &node.kind {
            NodeKind::Scalar(scalar) if scalar.style == Style::Plain && scalar.text == "1" => {}
            _ => self.wrong(node, "`version`", "the number 1"),
        }
    }

    /// Text in a field that is text: a plain number or word stays as written.
    pub fn text(&mut self, node: &Node, thing: &str) -> Option<Spanned<String>> {
        match &node.kind {
            NodeKind::Scalar(scalar) => {
                if scalar.text.contains("${{") {
                    let at = self.first_line(node.span);
                    self.error(
                        "E0107",
                        at,
                        format!("{thing} is plain text: `${{{{ }}}}` isn't evaluated here"),
                        "here",
                    );
                    return None;
                }
                Some(Spanned::new(scalar.text.clone(), node.span))
            }
            _ => {
                self.wrong(node, thing, "text");
                None
            }
        }
    }

    /// Text that isn't blank.
    pub fn title(&mut self, node: &Node, thing: &str) -> Option<String> {
        let text = self.text(node, thing)?;
        if text.value.trim().is_empty() {
            self.error("E0107", self.first_line(text.span), format!("{thing} is blank"), "say something");
            return None;
        }
        Some(text.value)
    }

    /// Optional text.
    pub fn optional_text(&mut self, fields: &Fields<'_>, key: &str) -> Option<String> {
        let node = fields.get(key)?;
        self.text(node, &format!("`{key}`")).map(|text| text.value)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, node: &Node, thing: &str) -> Option<bool> {
        if let NodeKind::Scalar(scalar) = &node.kind
            && scalar.style == Style::Plain
        {
            if let Core::Bool(truth) = scalar::core(&scalar.text) {
                return Some(truth);
            }
            if scalar::is_old_bool(&scalar.text) {
                self.old_bool(scalar, node.span);
                return None;
            }
        }
        self.wrong(node, thing, "true or false");
        None
    }

    /// A whole number of at least `least`.
    pub fn count(&mut self, node: &Node, thing: &str, least: u32) -> Option<u32> {
        if let NodeKind::Scalar(scalar) = &node.kind
            && let Core::Int(number) = scalar::core(&scalar.text)
            && let Ok(number) = u32::try_from(number)
            && number >= least
            && scalar.style == Style::Plain
        {
            return Some(number);
        }
        self.wrong(node, thing, &format!("a whole number from {least} on"));
        None
    }

    /// One word of a closed list; `what` says what the words are: `level`.
    pub fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&'static str, T)]) -> Option<T> {
        let word = self.text(node, &format!("`{what}`"))?;
        if let Some((_, meant)) = words.iter().find(|(name, _)| *name == word.value) {
            return Some(*meant);
        }
        let names = || words.iter().map(|(name, _)| *name);
        let help = did_you_mean(&word.value, names())
            .unwrap_or_else(|| format!("expected one of {}", names().collect::<Vec<_>>().join(", ")));
        let span = self.first_line(word.span);
        let problem = Problem::error("E0107", &self.source, span, format!("unknown {what} {}", quoted(&word.value)));
        self.push(problem.label(format!("no such {what}")).help(help));
        None
    }

    /// The items of a list.
    pub fn list<'n>(&mut self, node: &'n Node, thing: &str, expected: &str) -> Option<&'n [Node]> {
        match &node.kind {
            NodeKind::List(items) => Some(items),
            _ => {
                self.wrong(node, thing, expected);
                None
            }
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, node: &Node, thing: &str) -> Vec<Spanned<String>> {
        let Some(items) = self.list(node, thing, "a list of texts") else { return vec![] };
        items.iter().filter_map(|item| self.text(item, &format!("an item of {thing}"))).collect()
    }

    /// A list of distinct names.
    pub fn names(&mut self, node: &Node, thing: &str, fault: fn(&str) -> Option<String>) -> Vec<Spanned<String>> {
        let texts = self.texts(node, thing);
        let mut first: BTreeMap<String, Span> = BTreeMap::new();
        for name in &texts {
            self.name(name, fault);
            if let Some(span) = first.insert(name.value.clone(), name.span) {
                self.twice(name.span, &name.value, span);
            }
        }
        texts
    }

    /// Checks a name by the rule for its kind.
    pub fn name(&mut self, name: &Spanned<String>, fault: fn(&str) -> Option<String>) -> bool {
        let Some(why) = fault(&name.value) else { return true };
        let span = self.first_line(name.span);
        let message = match name.value.is_empty() {
            true => format!("an empty name: it {why}"),
            false => format!("{} can't be a name: it {why}", quoted(&name.value)),
        };
        self.error("E0105", span, message, "choose another name");
        false
    }

    /// Says that a name is given twice.
    pub fn twice(&mut self, span: Span, name: &str, first: Span) {
        if self.is_full() {
            return;
        }
        let (line, _) = self.source.line_column(first.start);
        let message = format!("the name {} is given twice", quoted(name));
        let label = format!("the first one is in line {line}");
        self.error("E0116", self.first_line(span), message, &label);
    }

    /// The entries of a map whose keys are free.
    pub fn map<'n>(&mut self, node: &'n Node, thing: &str) -> &'n [Entry] {
        match &node.kind {
            NodeKind::Map(entries) => entries,
            _ => {
                self.wrong(node, thing, "a map");
                &[]
            }
        }
    }

    /// A scalar where any type may stand.
    pub fn any_scalar(&mut self, scalar: &Scalar, span: Span) -> Option<Value> {
        if scalar.style != Style::Plain {
            return Some(Value::Text(scalar.text.clone()));
        }
        match scalar::core(&scalar.text) {
            Core::Null => Some(Value::Null),
            Core::Bool(truth) => Some(Value::Bool(truth)),
            Core::Int(number) => Some(Value::Int(number)),
            Core::Float(number) => Some(Value::Float(number)),
            Core::Text if scalar::is_old_bool(&scalar.text) => {
                self.old_bool(scalar, span);
                None
            }
            Core::Text => Some(Value::Text(scalar.text.clone())),
            Core::NotANumber => {
                let message = format!("{} is a number that 64 bits can't hold", quoted(&scalar.text));
                self.push(
                    Problem::error("E0107", &self.source, self.first_line(span), message)
                        .label("not a usable number")
                        .help("put it in quotes if it is text"),
                );
                None
            }
            Core::Doubtful(help) => {
                let message = format!("{} is read differently by different readers", quoted(&scalar.text));
                self.push(
                    Problem::error("E0113", &self.source, self.first_line(span), message)
                        .label("text or number?")
                        .help(help),
                );
                None
            }
        }
    }

    fn old_bool(&mut self, scalar: &Scalar, span: Span) {
        let message = format!("{} is a truth value to some YAML readers and text to others", quoted(&scalar.text));
        self.push(
            Problem::error("E0113", &self.source, span, message)
                .label("true, or the word?")
                .help("write `true` or `false`, or put the word in quotes"),
        );
    }

    /// A plain value without expressions.
    pub fn value(&mut self, node: &Node, thing: &str) -> Option<Value> {
        match &node.kind {
            NodeKind::Absent => Some(Value::Null),
            NodeKind::Refused => None,
            NodeKind::Scalar(scalar) if scalar.text.contains("${{") => {
                let message = format!("{thing} is a plain value: `${{{{ }}}}` isn't evaluated here");
                self.error("E0107", self.first_line(node.span), message, "here");
                None
            }
            NodeKind::Scalar(scalar) => self.any_scalar(scalar, node.span),
            NodeKind::List(items) => {
                let values: Vec<_> = items.iter().map(|item| self.value(item, thing)).collect();
                values.into_iter().collect::<Option<_>>().map(Value::List)
            }
            NodeKind::Map(entries) => {
                let mut map = Map::new();
                let mut whole = true;
                for entry in entries {
                    match self.value(&entry.value, thing) {
                        Some(value) => {
                            map.insert(entry.key.value.clone(), value);
                        }
                        None => whole = false,
                    }
                }
                whole.then_some(Value::Map(map))
            }
        }
    }
}
/// `a step`, `an assertion`
pub(super) fn one(what: &str) -> String {
    let article = if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {what}")
}
