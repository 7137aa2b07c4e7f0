//! Redaction of a stream, whatever its chunks.

use std::io::{self, Write};

use crate::redact::needles::Carry;
use crate::redact::redactor::Redactor;

/// Writes what it is given to `inner`, redacted. Bytes that may be the beginning of a secret are held
/// back until it shows what they are: at most twice the longest form with the gaps in it, also across [`Write::flush`]. The
/// rest is written by [`RedactingWriter::finish`] or when it is dropped.
pub struct RedactingWriter<W: Write> {
    /// `None` after [`RedactingWriter::finish`].
    inner: Option<W>,
    redactor: Redactor,
    held: Vec<u8>,
    carry: Carry,
}

impl<W: Write> RedactingWriter<W> {
    /// Puts `redactor` in front of `inner`.
    pub fn new(inner: W, redactor: Redactor) -> RedactingWriter<W> {
        RedactingWriter { inner: Some(inner), redactor, held: Vec::new(), carry: Carry::default() }
    }

    /// Writes what was held back and gives the inner writer.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.end()?;
        let mut inner = self.inner.take().expect("only `finish` takes it, and it consumes the writer");
        inner.flush()?;
        Ok(inner)
    }

    /// Bytes that are held back.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Writes what is decided of `text`, which is all there is, and gives how much that is.
    fn advance(&mut self, text: &[u8], ended: bool) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else { return Ok(text.len()) };
        let scanned = self.redactor.needles().scan(text, self.carry, ended);
        self.carry = scanned.carry;
        inner.write_all(&scanned.written)?;
        Ok(scanned.consumed)
    }

    /// Writes all that was held back.
    fn end(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.advance(&held, true).map(drop)
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        // Most of the time nothing is held back, and the chunk is looked at where it lies.
        if self.held.is_empty() {
            let consumed = self.advance(chunk, false)?;
            self.held.extend_from_slice(&chunk[consumed..]);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(chunk);
            let consumed = self.advance(&held, false)?;
            held.drain(..consumed);
            self.held = held;
        }
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.inner {
            Some(inner) => inner.flush(),
            None => Ok(()),
        }
    }
}

impl<W: Write> Drop for RedactingWriter<W> {
    fn drop(&mut self) {
        // Who cares for errors calls `finish`.
        let _ = self.end();
        let _ = self.flush();
    }
}
