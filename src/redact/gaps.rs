//! What may stand inside a form of a secret without being a part of it: line breaks with their indentation, soft
//! breaks of quoted-printable, and the codes that colour a terminal.
//!
//! Base64 is wrapped at 64 or 76 columns, mail at 76, a terminal anywhere. The search looks at a text as it is, and once
//! more without its gaps.

/// Bytes of gaps that follow each other and are skipped: a line end, the codes that end and begin a colour, and a
/// deep indentation fit. What is beyond stands as it is, which bounds what a stream has to hold back.
const RUN_BYTES_MAX: usize = 64;
/// Bytes of a terminal's code: `ESC[38;2;255;255;255;48;2;…m` fits.
const CODE_BYTES_MAX: usize = 40;

/// Where in a run of gaps a text begins or ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// So many bytes of it have gone before.
    bytes: usize,
    /// A line has just begun: spaces belong to the gap.
    indents: bool,
}

/// One gap.
struct Gap {
    start: usize,
    end: usize,
    /// Bytes taken out up to its end.
    skipped: usize,
    after: Run,
}

/// A text without its gaps.
pub(super) struct Squeezed {
    pub bytes: Vec<u8>,
    gaps: Vec<Gap>,
    /// Where a gap begins whose end hasn't come yet; the end of the text if there is none.
    pub open: usize,
    length: usize,
}

/// What stands at a place of a text.
enum Found {
    /// A gap of so many bytes, and whether spaces after it belong to it.
    Gap(usize, bool),
    /// A gap if what follows is right.
    Open,
    Other,
}

/// Takes the gaps out of `text`, which begins inside `run`; `None` if there are none.
pub(super) fn squeeze(text: &[u8], run: Run, ended: bool) -> Option<Squeezed> {
    let possible = |byte: u8| matches!(byte, b'\n' | b'\r' | b'\x1b' | b'\\');
    let indented = run.indents && text.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    if !indented && !text.iter().copied().any(possible) && text.last() != Some(&b'=') {
        return None;
    }
    let mut squeezed =
        Squeezed { bytes: Vec::with_capacity(text.len()), gaps: Vec::new(), open: text.len(), length: text.len() };
    let (mut at, mut run, mut skipped) = (0, run, 0);
    while at < text.len() {
        // Most bytes can't begin a gap: they are copied together.
        let plain = match run.indents {
            true => 0,
            false => text[at..].iter().position(|byte| may_begin(*byte)).unwrap_or(text.len() - at),
        };
        if plain > 0 {
            squeezed.bytes.extend_from_slice(&text[at..at + plain]);
            at += plain;
            run = Run::default();
            continue;
        }
        let (length, indents) = match found(&text[at..], run) {
            Found::Gap(length, indents) => (length, indents),
            Found::Open if !ended => {
                squeezed.open = at;
                break;
            }
            Found::Open | Found::Other => {
                squeezed.bytes.push(text[at]);
                run = Run::default();
                at += 1;
                continue;
            }
        };
        run = Run { bytes: (run.bytes + length).min(RUN_BYTES_MAX + 1), indents };
        if run.bytes > RUN_BYTES_MAX {
            squeezed.bytes.extend_from_slice(&text[at..at + length]);
        } else {
            skipped += length;
        }
        at += length;
        squeezed.gaps.push(Gap { start: at - length, end: at, skipped, after: run });
    }
    (!squeezed.gaps.is_empty() || squeezed.open < text.len()).then_some(squeezed)
}

/// Whether a gap that isn't indentation can begin with this byte.
fn may_begin(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | b'\x1b' | b'\\' | b'=')
}

fn found(text: &[u8], run: Run) -> Found {
    match text {
        [b'\n' | b'\r', ..] => Found::Gap(1, true),
        [b' ' | b'\t', ..] if run.indents => Found::Gap(1, true),
        // As JSON and logs write a line end.
        [b'\\', b'n' | b'r', ..] => Found::Gap(2, true),
        [b'=', b'\n', ..] => Found::Gap(2, true),
        [b'=', b'\r', b'\n', ..] => Found::Gap(3, true),
        [b'\\' | b'=' | b'\x1b'] | [b'=', b'\r'] | [b'\x1b', b'('] => Found::Open,
        [b'\x1b', b'(', _, ..] => Found::Gap(3, run.indents),
        [b'\x1b', b'[', rest @ ..] => {
            let longest = rest.len().min(CODE_BYTES_MAX);
            match rest[..longest].iter().position(|byte| !(b' '..=b'?').contains(byte)) {
                Some(end) if (b'@'..=b'~').contains(&rest[end]) => Found::Gap(end + 3, run.indents),
                None if longest < CODE_BYTES_MAX => Found::Open,
                _ => Found::Other,
            }
        }
        _ => Found::Other,
    }
}

impl Squeezed {
    /// Where in the text the byte `at` of [`Squeezed::bytes`] stands; the end of the text for the end.
    pub(super) fn origin(&self, at: usize) -> usize {
        if at >= self.bytes.len() {
            return self.length;
        }
        let before = self.gaps.partition_point(|gap| gap.end - gap.skipped <= at);
        self.gaps[..before].last().map_or(0, |gap| gap.skipped) + at
    }

    /// The last place up to `at` that isn't inside a gap.
    pub(super) fn outside(&self, at: usize) -> usize {
        let after = self.gaps.partition_point(|gap| gap.start < at);
        self.gaps[..after].last().filter(|gap| gap.end > at).map_or(at, |gap| gap.start)
    }

    /// What a text that begins at `at` has to know of the gaps before it; `run` is where the whole text begins.
    pub(super) fn run_at(&self, at: usize, run: Run) -> Run {
        if at == 0 {
            return run;
        }
        let index = self.gaps.partition_point(|gap| gap.end < at);
        self.gaps.get(index).filter(|gap| gap.end == at).map_or_else(Run::default, |gap| gap.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezed(text: &str) -> Option<String> {
        let squeezed = squeeze(text.as_bytes(), Run::default(), true)?;
        Some(String::from_utf8(squeezed.bytes).unwrap())
    }

    #[test]
    fn line_ends_indentation_and_colours_are_gaps_and_nothing_else() {
        for (text, expected) in [
            ("ab\r\n  \tcd", "abcd"),
            ("ab\\ncd\\r\\n  ef", "abcdef"),
            ("a=3D=\r\nb=\nc", "a=3Dbc"),
            ("\x1b[1;31mab\x1b[0m\x1b(B\n \x1b[32m cd", "abcd"),
            ("a b \\x\n", "a b \\x"),
        ] {
            assert_eq!(squeezed(text).as_deref(), Some(expected), "{text:?}");
        }
        assert_eq!(squeezed("nothing = here to skip  "), None);
    }

    #[test]
    fn a_run_of_gaps_that_is_too_long_stands_as_it_is() {
        let lines = "\n".repeat(RUN_BYTES_MAX + 5);
        assert_eq!(squeezed(&format!("a{lines}b")).unwrap(), "a\n\n\n\n\nb");
        let code = format!("\x1b[{}m", "1".repeat(CODE_BYTES_MAX));
        assert_eq!(squeezed(&code), None);
    }

    #[test]
    fn places_are_found_again() {
        let text = "\nab\x1b[0m\n cd";
        let squeezed = squeeze(text.as_bytes(), Run::default(), true).unwrap();
        assert_eq!(squeezed.bytes, b"abcd");
        assert_eq!([0, 1, 2, 3, 4].map(|at| squeezed.origin(at)), [1, 2, 9, 10, 11]);
        assert_eq!([3, 4, 6, 7].map(|at| squeezed.outside(at)), [3, 3, 3, 7]);
        assert_eq!(squeezed.run_at(9, Run::default()), Run { bytes: 6, indents: true });
        assert_eq!(squeezed.run_at(3, Run::default()), Run::default());
    }
}
