//! What a YAML parser's complaint means for the author of the line.
//!
//! A parser says where it gave up and what it wanted next; the author wants to know which character
//! to change. Every rule here was a mistake somebody makes.

use std::sync::Arc;

use crate::runbook::node::DEPTH_MAX;
use crate::runbook::problem::Problem;
use crate::runbook::source::{Source, Span};

/// Lines looked at above the parser's place for a quote that was never closed.
const LINES_BACK_MAX: usize = 20;

/// Explains why the parser gave up at byte `at` with the words `complaint`.
pub fn explain(source: &Arc<Source>, at: usize, complaint: &str) -> Problem {
    let next = source.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    if complaint.contains("recursion limit") {
        return too_deep(source, Span::new(at, next));
    }
    let lines = Lines::around(&source.text, at);
    let here = lines.here;
    let problem = tab(source, here, at, complaint)
        .or_else(|| unclosed_quote(source, &lines, complaint))
        .or_else(|| bad_escape(source, at, complaint))
        .or_else(|| unknown_alias(source, at, complaint))
        .or_else(|| here.value.and_then(|value| bad_start(source, value, complaint)))
        .or_else(|| missing_space(source, here))
        .or_else(|| colon_inside(source, here, complaint))
        .or_else(|| lines.above.and_then(|above| missing_space(source, above)))
        .or_else(|| unquoted_template(source, here))
        .or_else(|| indentation(source, here, complaint))
        .or_else(|| unclosed_bracket(source, here, at, complaint));
    problem.unwrap_or_else(|| {
        let message = format!("this can't be read as YAML: {complaint}");
        Problem::error("E0101", source, Span::new(at, next), message).label("the reader stopped here")
    })
}

/// A plain value that starts with `!`: for YAML a tag on an empty value.
pub fn leading_bang(source: &Arc<Source>, span: Span) -> Problem {
    Problem::error("E0110", source, span, "`!` starts a YAML tag, so the value would be empty")
        .label("YAML takes this for a tag")
        .help("put the value in quotes, or write `not(…)`")
}

/// Lists and maps inside each other beyond the limit.
pub fn too_deep(source: &Arc<Source>, span: Span) -> Problem {
    let message = format!("lists and maps nested deeper than {DEPTH_MAX}");
    Problem::error("E0114", source, span, message).label("too deep")
}

/// An alias, whether or not its anchor exists.
pub fn alias(source: &Arc<Source>, span: Span) -> Problem {
    Problem::error("E0102", source, span, "an alias (`*name`)")
        .label("not part of the language")
        .help("write the value out; what must start with `*` is put in quotes")
}

/// A line with the place of its value.
#[derive(Clone, Copy)]
struct Line<'t> {
    start: usize,
    text: &'t str,
    /// What stands after the first `key: ` and any `- `, if something does.
    value: Option<(usize, &'t str)>,
}

struct Lines<'t> {
    text: &'t str,
    here: Line<'t>,
    above: Option<Line<'t>>,
}

impl<'t> Lines<'t> {
    fn around(text: &'t str, at: usize) -> Lines<'t> {
        // At the end of the file, or between lines, the last line with something on it is meant.
        let content = text[..at].trim_end().len();
        let at = match text[at..].trim_start_matches([' ', '\t']).starts_with(['\n', '\r'])
            || text[at..].trim().is_empty()
        {
            true if line_at(text, at).text.trim().is_empty() => content,
            _ => at,
        };
        let here = line_at(text, at);
        let above = text[..here.start].trim_end();
        let above = (!above.is_empty()).then(|| line_at(text, above.len()));
        Lines { text, here, above }
    }

    /// This line and those above it, nearest first.
    fn upwards(&self) -> impl Iterator<Item = Line<'t>> {
        let text = self.text;
        std::iter::successors(Some(self.here), move |line| line.start.checked_sub(1).map(|at| line_at(text, at)))
            .take(LINES_BACK_MAX)
    }
}

fn line_at(text: &str, at: usize) -> Line<'_> {
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    let line = text[start..end].trim_end_matches('\r');
    let mut offset = line.len() - line.trim_start().len();
    while let Some(rest) = line[offset..].strip_prefix("- ") {
        offset = line.len() - rest.trim_start().len();
    }
    if let Some(colon) = key_length(&line[offset..]) {
        let rest = &line[offset + colon + 1..];
        offset = line.len() - rest.trim_start().len();
    }
    let value = &line[offset..];
    Line { start, text: line, value: (!value.trim().is_empty()).then_some((start + offset, value)) }
}

/// Length of a plain key that is followed by `: ` or ends the line.
fn key_length(text: &str) -> Option<usize> {
    let length = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))?;
    let rest = text[length..].strip_prefix(':')?;
    (length > 0 && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(length)
}

fn tab(source: &Arc<Source>, line: Line<'_>, at: usize, complaint: &str) -> Option<Problem> {
    let indent = line.text.len() - line.text.trim_start().len();
    let at = match line.text[..indent].find('\t') {
        Some(found) => line.start + found,
        // The parser stands at the value before it.
        None if complaint.contains("tab") => at + source.text[at..].find('\t')?,
        None => return None,
    };
    Some(
        Problem::error("E0101", source, Span::new(at, at + 1), "a tab can't indent YAML")
            .label("a tab")
            .help("indent with spaces"),
    )
}

fn unknown_alias(source: &Arc<Source>, at: usize, complaint: &str) -> Option<Problem> {
    let word = source.text[at..].strip_prefix('*').filter(|_| complaint.contains("unknown anchor"))?;
    let length = word.find(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}')).unwrap_or(word.len());
    // `* * 3` is somebody's schedule, not an alias.
    (length > 0).then(|| alias(source, Span::new(at, at + 1 + length)))
}

fn unclosed_quote(source: &Arc<Source>, lines: &Lines<'_>, complaint: &str) -> Option<Problem> {
    let scanning =
        complaint.contains("quoted scalar") && !complaint.contains("escape") && !complaint.contains("hexadecimal");
    let suspicious = scanning || complaint.contains("mapping values") || complaint.contains("simple key");
    if !suspicious {
        return None;
    }
    // A value whose quote closes far below swallows lines: the one that opened it is the culprit.
    let opened = lines.upwards().find(|line| {
        line.value.is_some_and(|(_, value)| value.starts_with(['"', '\'']) && closing_quote(value).is_none())
    })?;
    let (at, _) = opened.value?;
    Some(
        Problem::error("E0101", source, Span::new(at, at + 1), "a quote that isn't closed on its line")
            .label("opened here")
            .help("close the quote; a text with quotes inside is easier as a block: `key: |`"),
    )
}

/// Where the quote that starts `value` closes, if it does.
fn closing_quote(value: &str) -> Option<usize> {
    let quote = value.chars().next()?;
    let mut escaped = false;
    for (at, c) in value.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn bad_escape(source: &Arc<Source>, at: usize, complaint: &str) -> Option<Problem> {
    if !complaint.contains("escape") && !complaint.contains("hexadecimal") {
        return None;
    }
    let backslash = source.text[..at.min(source.text.len())].rfind('\\').filter(|found| at - found <= 10).unwrap_or(at);
    let end = source.text[backslash..].chars().take(2).map(char::len_utf8).sum::<usize>() + backslash;
    Some(
        Problem::error("E0101", source, Span::new(backslash, end), "an escape that double quotes don't know")
            .label("not an escape")
            .help("use single quotes, or write `\\\\` for a backslash"),
    )
}

/// Values that begin with a character YAML keeps for itself.
fn bad_start(source: &Arc<Source>, value: (usize, &str), complaint: &str) -> Option<Problem> {
    let (at, text) = value;
    let first = text.chars().next()?;
    let meaning = match first {
        '!' => return Some(leading_bang(source, Span::new(at, at + word_length(text)))),
        '@' | '`' => "YAML keeps it for itself",
        '%' => "YAML takes it for a directive",
        '*' => "YAML takes it for an alias",
        '&' => "YAML takes it for an anchor",
        '[' | '{' if closes_early(text) => match first {
            '[' => "YAML takes it for a list",
            _ => "YAML takes it for a map",
        },
        '"' | '\'' if closing_quote(text).is_some_and(|end| has_more(&text[end + 1..])) => {
            "YAML ends the value at the closing quote"
        }
        '|' | '>' if complaint.contains("block scalar") => {
            return Some(
                Problem::error("E0101", source, Span::new(at, at + text.trim_end().len()), "text after a block marker")
                    .label("nothing may follow on this line")
                    .help("the text of a block starts on the next line, indented"),
            );
        }
        _ => return None,
    };
    Some(
        Problem::error(
            "E0112",
            source,
            Span::new(at, at + first.len_utf8()),
            format!("a value can't start with `{first}`: {meaning}"),
        )
        .label("starts the value")
        .help("put the value in quotes, or use a block: `key: |`"),
    )
}

/// Whether a bracket that starts the text closes with more text after it.
fn closes_early(text: &str) -> bool {
    let mut depth = 0i32;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return has_more(&text[at + 1..]);
        }
    }
    false
}

/// Whether a rest of line is more than a comment or the end of an enclosing list or map.
fn has_more(rest: &str) -> bool {
    let rest = rest.trim();
    !rest.is_empty() && !rest.starts_with(['#', ',', '}', ']', ':'])
}

fn word_length(text: &str) -> usize {
    text.find(char::is_whitespace).unwrap_or(text.len())
}

/// `key:value`: without a space YAML sees one text.
fn missing_space(source: &Arc<Source>, line: Line<'_>) -> Option<Problem> {
    let text = line.text.trim_start().trim_start_matches("- ").trim_start();
    glued_key(text).map(|length| {
        let at = line.start + line.text.len() - text.len() + length;
        missing_space_at(source, Span::new(at, at + 1))
    })
}

/// The problem of a `:` without a space after it.
pub fn missing_space_at(source: &Arc<Source>, span: Span) -> Problem {
    Problem::error("E0101", source, span, "a space is missing after `:`")
        .label("needs a space after it")
        .help("write `key: value`")
}

/// Length of the key in `key:value`, if that is what the text looks like.
pub fn glued_key(text: &str) -> Option<usize> {
    let length = text.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))?;
    let rest = text[length..].strip_prefix(':')?;
    let glued = length > 0 && !rest.is_empty() && !rest.starts_with([' ', '\t', ':']) && !rest.starts_with("//");
    glued.then_some(length)
}

/// `say: done: all` — a second `: ` in a plain value.
fn colon_inside(source: &Arc<Source>, line: Line<'_>, complaint: &str) -> Option<Problem> {
    if !complaint.contains("mapping values") && !complaint.contains("simple key") {
        return None;
    }
    let (start, value) = line.value?;
    if value.starts_with(['"', '\'', '{', '[', '|', '>']) || !line.text[..start - line.start].contains(':') {
        return None;
    }
    let colon =
        start + value.find(": ").or_else(|| value.trim_end().ends_with(':').then(|| value.trim_end().len() - 1))?;
    Some(
        Problem::error("E0112", source, Span::new(colon, colon + 1), "`: ` inside a value that isn't quoted")
            .label("YAML takes this for a key")
            .help("put the value in quotes, or use a block: `key: |`"),
    )
}

fn unquoted_template(source: &Arc<Source>, line: Line<'_>) -> Option<Problem> {
    let (at, _) = line.text.match_indices("${{").find(|(at, _)| {
        let before = &line.text[..*at];
        before.contains(['{', '['])
            && before.matches('"').count().is_multiple_of(2)
            && before.matches('\'').count().is_multiple_of(2)
    })?;
    let at = line.start + at;
    Some(
        Problem::error("E0112", source, Span::new(at, at + 3), "`${{ }}` inside `{ }` or `[ ]` without quotes")
            .label("YAML takes the braces for a map")
            .help("put the value in quotes: \"${{ … }}\""),
    )
}

fn indentation(source: &Arc<Source>, line: Line<'_>, complaint: &str) -> Option<Problem> {
    const SIGNS: [&str; 10] = [
        "mapping values are not allowed",
        "did not find expected '-'",
        "block sequence entries are not allowed",
        "did not find expected key",
        "invalid indentation",
        "wrongly indented",
        "simple key",
        "mapping keys are not allowed",
        "did not find expected <document",
        "comment intercepting",
    ];
    if !SIGNS.iter().any(|sign| complaint.contains(sign)) || complaint.contains("flow") {
        return None;
    }
    let indent = line.text.len() - line.text.trim_start().len();
    let at = line.start + indent;
    let word = word_length(line.text.trim_start()).max(1);
    Some(
        Problem::error(
            "E0101",
            source,
            Span::new(at, at + word),
            "this line's indentation doesn't fit the lines above it",
        )
        .label("starts in a column of its own")
        .help("keys of one map start in one column, and so do the `-` of one list"),
    )
}

fn unclosed_bracket(source: &Arc<Source>, line: Line<'_>, at: usize, complaint: &str) -> Option<Problem> {
    if !complaint.contains("flow") && !complaint.contains("bracket") && !complaint.contains("',' or") {
        return None;
    }
    let at = at.clamp(line.start, line.start + line.text.len());
    let end = source.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    Some(
        Problem::error("E0101", source, Span::new(at, end), "a `[ ]` or `{ }` that isn't closed, or misses a comma")
            .label("the list or map should end or go on here")
            .help("close every bracket, separate entries with `, `, and quote text that holds `[ ] { } ,`"),
    )
}
