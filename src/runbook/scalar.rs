//! Scalars: what a plain one means where any type may stand, and where each character of a decoded
//! one came from.

use std::iter::Peekable;

use crate::runbook::node::{Scalar, Style};
use crate::runbook::source::Span;

/// What a plain scalar is by the core schema of YAML 1.2.
#[derive(Clone, Debug, PartialEq)]
pub enum Core {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
    /// A number no 64 bits hold, or none at all (`.nan`).
    NotANumber,
    /// Read differently by versions of YAML: what to write instead.
    Doubtful(&'static str),
}

/// Gives a plain scalar its type.
pub fn core(text: &str) -> Core {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Core::Null,
        "true" | "True" | "TRUE" => return Core::Bool(true),
        "false" | "False" | "FALSE" => return Core::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Core::NotANumber,
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Core::NotANumber;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(radix) = [("0o", 8), ("0x", 16)].iter().find(|(prefix, _)| text.starts_with(prefix)) {
        let rest = &text[2..];
        if rest.is_empty() || !rest.chars().all(|c| c.is_digit(radix.1)) {
            return Core::Text;
        }
        return i64::from_str_radix(rest, radix.1).map_or(Core::NotANumber, Core::Int);
    }
    if digits(unsigned) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return Core::Doubtful("a leading zero means octal to some: quote it if it is text, write 0o17 for octal");
        }
        return text.parse().map_or(Core::NotANumber, Core::Int);
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.find('.') {
        Some(at) => (&mantissa[..at], Some(&mantissa[at + 1..])),
        None => (mantissa, None),
    };
    let shaped = (whole.is_empty() || digits(whole))
        && fraction.is_none_or(|fraction| fraction.is_empty() || digits(fraction))
        && !(whole.is_empty() && fraction.is_none_or(str::is_empty))
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    if !shaped {
        return Core::Text;
    }
    if exponent.is_none() && fraction.is_some_and(|fraction| fraction.len() > 1 && fraction.ends_with('0')) {
        return Core::Doubtful("as a number it loses its last zero: quote it if it is text");
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Core::Float(number),
        _ => Core::NotANumber,
    }
}

/// Whether YAML 1.1 reads this plain scalar as a truth value and YAML 1.2 as text.
pub fn is_old_bool(text: &str) -> bool {
    ["yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Where in the source each character of a scalar's decoded text came from, in bytes, plus its end.
///
/// Reads the written form a second time and compares with what the parser decoded; if they differ,
/// every character points at the scalar's start, which is late but never wrong.
pub fn offsets(source: &str, scalar: &Scalar, span: Span) -> Vec<u32> {
    let slice = &source[span.start..span.end];
    let length = scalar.text.chars().count();
    let mut decoded = match scalar.style {
        Style::Plain => flow(slice, Quote::None),
        Style::Single => flow(slice, Quote::Single),
        Style::Double => flow(slice, Quote::Double),
        Style::Literal | Style::Folded => {
            // Blank lines at its head lie before the span.
            let blank = scalar.text.chars().take_while(|c| *c == '\n').count();
            let mut decoded = vec![('\n', 0); blank];
            decoded.extend(block(slice, scalar.column, scalar.style == Style::Folded));
            decoded
        }
    };
    // A last line without a line end still gets one.
    if decoded.len() + 1 == length && scalar.text.ends_with('\n') {
        decoded.push(('\n', slice.len()));
    }
    decoded.truncate(length.max(1));
    let same = decoded.len() == length && decoded.iter().map(|(c, _)| *c).eq(scalar.text.chars());
    if !same {
        return vec![span.start as u32; length + 1];
    }
    let end = match scalar.style {
        Style::Single | Style::Double => slice.len().saturating_sub(1),
        _ => decoded.last().map_or(0, |(c, at)| at + c.len_utf8()),
    };
    let places = decoded.iter().map(|(_, at)| *at).chain([end]);
    places.map(|at| (span.start + at) as u32).collect()
}

type Decoded = Vec<(char, usize)>;
type Chars<'a> = Peekable<std::str::CharIndices<'a>>;

#[derive(Clone, Copy, PartialEq)]
enum Quote {
    None,
    Single,
    Double,
}

/// Plain and quoted scalars: line breaks fold, quotes escape.
fn flow(slice: &str, quote: Quote) -> Decoded {
    let mut out = Decoded::new();
    let mut chars = slice.char_indices().peekable();
    if quote != Quote::None {
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            (' ' | '\t' | '\r' | '\n', _) => fold(slice, at, &mut chars, &mut out),
            ('\'', Quote::Single) => match chars.peek() {
                Some((_, '\'')) => {
                    chars.next();
                    out.push(('\'', at));
                }
                _ => break,
            },
            ('"', Quote::Double) => break,
            ('\\', Quote::Double) => escape(slice, at, &mut chars, &mut out),
            _ => out.push((c, at)),
        }
    }
    out
}

/// White space from `at`: kept inside a line, folded around line breaks.
fn fold(slice: &str, at: usize, chars: &mut Chars<'_>, out: &mut Decoded) {
    let (end, breaks) = white(slice, at);
    match breaks.as_slice() {
        [] => out.extend(slice[at..end].char_indices().map(|(i, c)| (c, at + i))),
        [one] => out.push((' ', *one)),
        [_, more @ ..] => out.extend(more.iter().map(|at| ('\n', *at))),
    }
    while chars.next_if(|(next, _)| *next < end).is_some() {}
}

/// The end of the white space from `at`, and where its line breaks are.
fn white(slice: &str, at: usize) -> (usize, Vec<usize>) {
    let rest = &slice[at..];
    let end = at + rest.find(|c: char| !matches!(c, ' ' | '\t' | '\r' | '\n')).unwrap_or(rest.len());
    (end, slice[at..end].match_indices('\n').map(|(i, _)| at + i).collect())
}

fn escape(slice: &str, at: usize, chars: &mut Chars<'_>, out: &mut Decoded) {
    let Some((_, code)) = chars.next() else { return };
    let mut hex = |digits: usize| {
        let mut value = 0;
        for _ in 0..digits {
            value = value * 16 + chars.next().and_then(|(_, c)| c.to_digit(16)).unwrap_or(0);
        }
        char::from_u32(value).unwrap_or('\u{fffd}')
    };
    let c = match code {
        '\r' | '\n' => {
            // An escaped line break joins; blank lines after it stay.
            let (end, breaks) = white(slice, at + 1);
            out.extend(breaks.iter().skip(1).map(|at| ('\n', *at)));
            while chars.next_if(|(next, _)| *next < end).is_some() {}
            return;
        }
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        'x' => hex(2),
        'u' => hex(4),
        'U' => hex(8),
        other => other,
    };
    out.push((c, at));
}

/// Block scalars from their first content character, with all line breaks at their end.
fn block(slice: &str, indent: usize, folded: bool) -> Decoded {
    let mut out = Decoded::new();
    let mut pending: Decoded = vec![];
    let mut first_blank = true;
    let mut start = 0;
    for (number, raw) in slice.split_inclusive('\n').enumerate() {
        let line = raw.strip_suffix('\n').map_or(raw, |line| line.strip_suffix('\r').unwrap_or(line));
        let cut = if number == 0 { 0 } else { line.bytes().take(indent).take_while(|b| *b == b' ').count() };
        let content = &line[cut..];
        if !content.is_empty() {
            let blank = content.starts_with([' ', '\t']);
            let joins = folded && number > 0 && !first_blank && !blank;
            match (joins, pending.len()) {
                (true, 1) => out.push((' ', pending[0].1)),
                (true, _) => out.extend(pending.iter().skip(1)),
                (false, _) => out.extend(&pending),
            }
            pending.clear();
            first_blank = blank;
            out.extend(content.char_indices().map(|(i, c)| (c, start + cut + i)));
        }
        if raw.ends_with('\n') {
            pending.push(('\n', start + line.len()));
        }
        start += raw.len();
    }
    out.extend(pending);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, kind) in [
            ("", Core::Null),
            ("~", Core::Null),
            ("true", Core::Bool(true)),
            ("-17", Core::Int(-17)),
            ("+3", Core::Int(3)),
            ("0o17", Core::Int(15)),
            ("0xff", Core::Int(255)),
            ("1.5", Core::Float(1.5)),
            ("1.0", Core::Float(1.0)),
            (".5", Core::Float(0.5)),
            ("1e3", Core::Float(1000.0)),
            ("0", Core::Int(0)),
            ("1e999", Core::NotANumber),
            (".inf", Core::NotANumber),
            ("9223372036854775808", Core::NotANumber),
            ("12:30:45", Core::Text),
            ("1_000", Core::Text),
            (".", Core::Text),
            ("-", Core::Text),
            ("e5", Core::Text),
            ("1.2.3", Core::Text),
            ("nan", Core::Text),
            ("infinity", Core::Text),
            ("0x", Core::Text),
        ] {
            assert_eq!(core(text), kind, "{text}");
        }
        for text in ["0755", "-01", "1.10", "2.50"] {
            assert!(matches!(core(text), Core::Doubtful(_)), "{text}");
        }
        assert!(is_old_bool("Yes") && is_old_bool("off") && !is_old_bool("n") && !is_old_bool("yesterday"));
    }
}
