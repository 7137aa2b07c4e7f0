//! Where text came from, and places in it.

use std::sync::Arc;

use crate::runbook::problem::Problem;

/// A file's text with its name for diagnostics.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// As shown: a path as the user wrote it, or `embedded:runbooks/backend-down.yaml`.
    pub shown: String,
    pub text: String,
}

/// A range of bytes in a [`Source`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// The range from `start` to `end`, bytes.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end: end.max(start) }
    }
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value` at `span`.
    pub fn new(value: T, span: Span) -> Spanned<T> {
        Spanned { value, span }
    }
}

impl Source {
    /// A shared source.
    pub fn new(shown: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        Arc::new(Source { shown: shown.into(), text: text.into() })
    }

    /// A source from the bytes of a file.
    ///
    /// # Errors
    /// Where the bytes stop being UTF-8; the problem shows what could be read.
    pub fn decode(shown: impl Into<String>, bytes: Vec<u8>) -> Result<Arc<Source>, Box<Problem>> {
        let error = match String::from_utf8(bytes) {
            Ok(text) => return Ok(Source::new(shown, text)),
            Err(error) => error,
        };
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        // Without a mark, UTF-16 shows by its zeros, which are valid UTF-8 and refused later.
        let message = match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is UTF-16".to_owned(),
            _ => format!("the file is not UTF-8: byte {at} is 0x{:02x}", bytes[at]),
        };
        let source = Source::new(shown, String::from_utf8_lossy(bytes));
        let span = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
        Err(Box::new(Problem::error("E0100", &source, span, message).label("here").help("save the file as UTF-8 text")))
    }

    /// A span cut to the line it starts in: a caret under a whole block says nothing.
    pub fn first_line(&self, span: Span) -> Span {
        let text = &self.text[span.start..span.end];
        let length = text.find('\n').map_or(text.len(), |at| text[..at].trim_end_matches('\r').len());
        Span::new(span.start, span.start + length)
    }

    /// Line and column, both from 1, of a byte offset; columns count characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let before = &self.text.as_bytes()[..offset];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
        (line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_refused_at_their_place() {
        let problem = Source::decode("a.yaml", b"title: caf\xe9\n".to_vec()).unwrap_err();
        assert_eq!((problem.code, problem.source.line_column(problem.span.start)), ("E0100", (1, 11)));
        assert!(problem.message.contains("0xe9"), "{}", problem.message);
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain("a: 1".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert!(Source::decode("a.yaml", utf16).unwrap_err().message.contains("UTF-16"));
        assert_eq!(Source::decode("a.yaml", b"a: 1".to_vec()).unwrap().text, "a: 1");
    }
}
