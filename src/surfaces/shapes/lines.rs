//! Lines for people on their way from one process to another: pieces with their tones, no layout and no colour.

use serde_json::{Value as Json, json};

use crate::transcript::{Line, Marks, Tone};

const TONES: [(Tone, &str); 6] = [
    (Tone::Plain, "plain"),
    (Tone::Good, "good"),
    (Tone::Bad, "bad"),
    (Tone::Warn, "warn"),
    (Tone::Dim, "dim"),
    (Tone::Strong, "strong"),
];

/// Lines as lists of pieces, each a tone and a text.
pub fn of_lines(lines: &[Line]) -> Json {
    let word = |tone: Tone| TONES.iter().find(|(known, _)| *known == tone).map_or("plain", |(_, word)| word);
    let of = |line: &Line| line.pieces().iter().map(|(tone, text)| json!([word(*tone), text])).collect::<Vec<_>>();
    lines.iter().map(of).collect()
}

/// The same lines again. Every piece is escaped anew: whoever sent them may not be who they should be.
pub fn to_lines(json: &Json) -> Vec<Line> {
    let tone = |word: &str| TONES.iter().find(|(_, known)| *known == word).map_or(Tone::Plain, |(tone, _)| *tone);
    let piece = |line: Line, piece: &Json| {
        line.add(tone(piece[0].as_str().unwrap_or_default()), piece[1].as_str().unwrap_or_default())
    };
    let line = |pieces: &Json| pieces.as_array().into_iter().flatten().fold(Line::new(), piece);
    json.as_array().into_iter().flatten().map(line).collect()
}

/// The signs that a word asks for.
pub fn marks_of(word: &str) -> Option<Marks> {
    match word {
        "unicode" => Some(Marks::Unicode),
        "ascii" => Some(Marks::Ascii),
        _ => None,
    }
}

/// The word that asks for these signs.
pub fn word_of(marks: Marks) -> &'static str {
    match marks {
        Marks::Unicode => "unicode",
        Marks::Ascii => "ascii",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were_and_never_as_orders_to_a_terminal() {
        let line = TONES.iter().fold(Line::new(), |line, (tone, word)| line.add(*tone, word));
        let lines = [line, Line::new(), Line::of(Tone::Bad, "a\x1b[31m \u{202e}b")];
        assert_eq!(to_lines(&of_lines(&lines)), lines);
        assert_eq!(to_lines(&json!([[["plain", "\u{1b}[2J"]]]))[0].plain(), "\\u{1b}[2J");
        assert_eq!(to_lines(&json!({ "x": 1 })), []);
        assert_eq!(to_lines(&json!([[["loud", "x"], 7, []]]))[0].plain(), "x");
        for marks in [Marks::Unicode, Marks::Ascii] {
            assert_eq!(marks_of(word_of(marks)), Some(marks));
        }
    }
}
