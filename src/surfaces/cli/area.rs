//! The moving lines at the bottom of a terminal: which bytes draw them, replace them and take them away.
//!
//! The cursor rests at the beginning of the first moving line, never below the last. So nothing has to be known
//! of how a terminal that was resized has wrapped them: what is below the cursor is ours, and goes away whole. Each
//! change is one piece of text for one write, so that no half-drawn state can be seen. Not about what the lines
//! say: that is the board's.

use unicode_width::UnicodeWidthChar;

use crate::transcript::{Line, Marks, Tone};

/// To the beginning of the line, and clear from there to the end of the screen.
const CLEAR_BELOW: &str = "\r\x1b[J";
/// Clear to the end of the line.
const CLEAR_REST: &str = "\x1b[K";
/// Show nothing until the end of the update; terminals that don't know it ignore it.
const UPDATE_BEGIN: &str = "\x1b[?2026h";
const UPDATE_END: &str = "\x1b[?2026l";

/// What is drawn.
#[derive(Debug, Default)]
pub struct Area {
    shown: Vec<String>,
}

impl Area {
    /// Replaces the lines; nothing if they are the same as before. Lines must be narrower than the terminal.
    pub fn redraw(&mut self, lines: Vec<String>) -> Option<String> {
        if lines == self.shown {
            return None;
        }
        self.shown = lines;
        Some(format!("{UPDATE_BEGIN}{}{UPDATE_END}", self.frame()))
    }

    /// Takes the lines away for a moment.
    pub fn erased(&self) -> &'static str {
        if self.shown.is_empty() { "" } else { CLEAR_BELOW }
    }

    /// Puts them back where the cursor is now.
    pub fn restored(&self) -> String {
        if self.shown.is_empty() { String::new() } else { self.frame() }
    }

    /// A line that stays, above the moving ones.
    pub fn above(&self, line: &str) -> String {
        if self.shown.is_empty() {
            return format!("{line}\r\n");
        }
        format!("{UPDATE_BEGIN}{CLEAR_BELOW}{line}\r\n{}{UPDATE_END}", self.frame())
    }

    fn frame(&self) -> String {
        let mut text = String::from("\r");
        for (at, line) in self.shown.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { "\r\n" });
            text.push_str(line);
            text.push_str(CLEAR_REST);
        }
        // After the text: clearing first would show an empty area for a moment.
        text.push_str("\x1b[J");
        if self.shown.len() > 1 {
            text.push_str(&format!("\x1b[{}A", self.shown.len() - 1));
        }
        text.push('\r');
        text
    }
}

/// The beginning of a line that fits into `columns`, with a sign where it was cut.
pub fn cut(line: &Line, columns: usize, marks: Marks) -> Line {
    let total: usize = line.pieces().iter().map(|(_, piece)| width(piece)).sum();
    if total <= columns {
        return line.clone();
    }
    let sign = match marks {
        Marks::Unicode => "…",
        Marks::Ascii => ">",
    };
    let mut left = columns.saturating_sub(1);
    let mut kept = Line::new();
    for (tone, piece) in line.pieces() {
        let fits: String = piece
            .chars()
            .take_while(|c| match left.checked_sub(c.width().unwrap_or(0)) {
                Some(rest) => {
                    left = rest;
                    true
                }
                None => {
                    left = 0;
                    false
                }
            })
            .collect();
        let whole = fits.len() == piece.len();
        kept = kept.add(*tone, &fits);
        if !whole {
            break;
        }
    }
    if columns == 0 { Line::new() } else { kept.add(Tone::Dim, sign) }
}

/// Columns a text takes on a terminal.
pub fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that knows the few codes above: lines of cells and a cursor.
    struct Screen {
        rows: Vec<String>,
        at: (usize, usize),
    }

    impl Screen {
        fn new() -> Screen {
            Screen { rows: vec![String::new()], at: (0, 0) }
        }

        fn take(&mut self, text: &str) {
            let mut rest = text;
            while let Some(c) = rest.chars().next() {
                rest = &rest[c.len_utf8()..];
                match c {
                    '\r' => self.at.1 = 0,
                    '\n' => {
                        self.at.0 += 1;
                        if self.rows.len() == self.at.0 {
                            self.rows.push(String::new());
                        }
                    }
                    '\x1b' => {
                        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                        let (code, after) = rest.split_at(end + 1);
                        rest = after;
                        self.obey(code);
                    }
                    c => {
                        let row = &mut self.rows[self.at.0];
                        let mut cells: Vec<char> = row.chars().collect();
                        cells.resize(cells.len().max(self.at.1 + 1), ' ');
                        cells[self.at.1] = c;
                        *row = cells.into_iter().collect();
                        self.at.1 += 1;
                    }
                }
            }
        }

        fn obey(&mut self, code: &str) {
            let cut = |row: &mut String, at: usize| *row = row.chars().take(at).collect();
            match code {
                "[K" => cut(&mut self.rows[self.at.0], self.at.1),
                "[J" => {
                    cut(&mut self.rows[self.at.0], self.at.1);
                    self.rows.truncate(self.at.0 + 1);
                }
                "[?2026h" | "[?2026l" => {}
                up => self.at.0 -= up.trim_matches(['[', 'A']).parse::<usize>().unwrap(),
            }
        }
    }

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn lines_that_stay_are_above_and_moving_ones_replace_each_other() {
        let (mut area, mut screen) = (Area::default(), Screen::new());
        screen.take(&area.above("begun"));
        screen.take(&area.redraw(lines(&["one, long", "two"])).unwrap());
        assert_eq!(screen.rows, ["begun", "one, long", "two"]);
        screen.take(&area.above("done"));
        assert_eq!(screen.rows, ["begun", "done", "one, long", "two"]);
        screen.take(&area.redraw(lines(&["one"])).unwrap());
        assert_eq!(screen.rows, ["begun", "done", "one"]);
        screen.take(&area.redraw(lines(&["1", "2", "3"])).unwrap());
        assert_eq!(screen.rows, ["begun", "done", "1", "2", "3"]);
        screen.take(&area.redraw(Vec::new()).unwrap());
        assert_eq!(screen.rows, ["begun", "done", ""]);
        assert_eq!(screen.at, (2, 0), "the next prompt begins on a line of its own");
    }

    #[test]
    fn the_cursor_rests_at_the_beginning_of_the_area() {
        let (mut area, mut screen) = (Area::default(), Screen::new());
        screen.take(&area.redraw(lines(&["1", "2", "3"])).unwrap());
        assert_eq!(screen.at, (0, 0));
        screen.take(area.erased());
        assert_eq!(screen.rows, [""]);
        screen.take("result\r\n");
        screen.take(&area.restored());
        assert_eq!(screen.rows, ["result", "1", "2", "3"]);
    }

    #[test]
    fn what_a_terminal_wrapped_when_it_became_narrow_goes_away_whole() {
        let (mut area, mut screen) = (Area::default(), Screen::new());
        screen.take(&area.above("stays"));
        screen.take(&area.redraw(lines(&["aaaa bbbb", "cccc dddd"])).unwrap());
        // Five columns now: each moving line takes two rows, the cursor stays with the first.
        screen.rows = lines(&["stays", "aaaa", "bbbb", "cccc", "dddd"]);
        screen.take(&area.redraw(lines(&["aaaa", "cccc"])).unwrap());
        assert_eq!(screen.rows, ["stays", "aaaa", "cccc"]);
    }

    #[test]
    fn the_same_lines_are_not_drawn_again() {
        let mut area = Area::default();
        assert!(area.redraw(Vec::new()).is_none());
        assert!(area.redraw(lines(&["x"])).is_some());
        assert!(area.redraw(lines(&["x"])).is_none());
    }

    #[test]
    fn a_line_is_cut_by_columns_not_by_characters() {
        let line = Line::of(Tone::Plain, "ab").add(Tone::Bad, "日本語");
        assert_eq!(cut(&line, 8, Marks::Unicode), line);
        assert_eq!(cut(&line, 7, Marks::Unicode).plain(), "ab日本…");
        assert_eq!(cut(&line, 6, Marks::Ascii).plain(), "ab日>");
        assert_eq!(cut(&line, 1, Marks::Unicode).plain(), "…");
        assert_eq!(cut(&line, 0, Marks::Unicode).plain(), "");
        for columns in 0..10 {
            assert!(width(&cut(&line, columns, Marks::Unicode).plain()) <= columns);
        }
    }
}
