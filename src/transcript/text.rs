//! Lines of toned pieces: text before colour. A piece is escaped when it goes in, so no line can hold
//! what a terminal would obey.

use crate::transcript::escape;

/// How a piece of text is meant; a surface picks the colour, and no colour is ever the only sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Bad,
    Warn,
    Dim,
    Strong,
}

impl Tone {
    /// Its class on a page; nothing for plain text.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Warn => "warn",
            Tone::Dim => "dim",
            Tone::Strong => "strong",
        }
    }
}

/// One line of output, without its line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pieces: Vec<(Tone, String)>,
}

impl Line {
    /// An empty line.
    pub fn new() -> Line {
        Line::default()
    }

    /// A line of one piece.
    pub fn of(tone: Tone, text: &str) -> Line {
        Line::new().add(tone, text)
    }

    /// The line with another piece.
    pub fn add(mut self, tone: Tone, text: &str) -> Line {
        if !text.is_empty() {
            self.pieces.push((tone, escape::terminal(text)));
        }
        self
    }

    /// The line with another piece and blanks up to `width` characters; at least two separate it from
    /// what follows.
    pub fn column(self, tone: Tone, text: &str, width: usize) -> Line {
        let text = escape::terminal(text);
        let blanks = width.saturating_sub(text.chars().count()).max(2);
        self.add(tone, &text).add(Tone::Plain, &" ".repeat(blanks))
    }

    /// The line with another in front.
    pub fn after(self, mut front: Line) -> Line {
        front.pieces.extend(self.pieces);
        front
    }

    /// The pieces in order.
    pub fn pieces(&self) -> &[(Tone, String)] {
        &self.pieces
    }

    /// The text without tones and without blanks at its end.
    pub fn plain(&self) -> String {
        let text: String = self.pieces.iter().map(|(_, text)| text.as_str()).collect();
        text.trim_end().to_owned()
    }

    /// Text of several lines, each indented.
    pub fn block(tone: Tone, text: &str, indent: usize) -> Vec<Line> {
        let lines = text.trim_end().lines();
        lines.map(|line| Line::new().add(Tone::Plain, &" ".repeat(indent)).add(tone, line)).collect()
    }
}

/// The signs before lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    Unicode,
    Ascii,
}

/// What a sign says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Done,
    Failed,
    Skipped,
    Waiting,
    Changed,
    Unknown,
    Info,
    Warning,
}

impl Marks {
    /// The sign as one character.
    pub fn sign(self, mark: Mark) -> &'static str {
        match (self, mark) {
            (Marks::Unicode, Mark::Done) => "✓",
            (Marks::Unicode, Mark::Failed) => "✗",
            (Marks::Unicode, Mark::Skipped) => "–",
            (Marks::Unicode, Mark::Waiting) => "⏸",
            (Marks::Unicode, Mark::Info) => "·",
            (Marks::Ascii, Mark::Done) => "+",
            (Marks::Ascii, Mark::Failed) => "x",
            (Marks::Ascii, Mark::Skipped) => "-",
            (Marks::Ascii, Mark::Waiting) => "=",
            (Marks::Ascii, Mark::Info) => ".",
            (_, Mark::Changed) => "~",
            (_, Mark::Unknown) => "?",
            (_, Mark::Warning) => "!",
        }
    }

    /// The arrow before a suggestion.
    pub fn arrow(self) -> &'static str {
        match self {
            Marks::Unicode => "→",
            Marks::Ascii => "->",
        }
    }

    /// What separates remarks on one line.
    pub fn dot(self) -> &'static str {
        match self {
            Marks::Unicode => "·",
            Marks::Ascii => "|",
        }
    }
}

impl Mark {
    /// The tone of this sign.
    pub fn tone(self) -> Tone {
        match self {
            Mark::Done => Tone::Good,
            Mark::Failed => Tone::Bad,
            Mark::Skipped | Mark::Info => Tone::Dim,
            Mark::Waiting | Mark::Changed | Mark::Unknown | Mark::Warning => Tone::Warn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_two_blanks_between_long_texts() {
        let line = Line::new().column(Tone::Plain, "ab", 5).column(Tone::Plain, "abcdef", 3).add(Tone::Plain, "x");
        assert_eq!(line.plain(), "ab   abcdef  x");
    }

    #[test]
    fn no_piece_holds_a_line_end_or_an_escape() {
        let line = Line::of(Tone::Bad, "a\n\x1b[31mb");
        assert_eq!(line.plain(), "a\\n\\u{1b}[31mb");
    }

    #[test]
    fn every_ascii_sign_is_ascii() {
        for mark in [
            Mark::Done,
            Mark::Failed,
            Mark::Skipped,
            Mark::Waiting,
            Mark::Changed,
            Mark::Unknown,
            Mark::Info,
            Mark::Warning,
        ] {
            assert!(Marks::Ascii.sign(mark).is_ascii() && Marks::Ascii.sign(mark).len() == 1);
        }
    }
}
