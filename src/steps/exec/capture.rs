//! What a child writes: the first bytes without secrets, and size and hash of all of it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::redact::{RedactingWriter, Redactor};
use crate::script::hex::hex;

/// Bytes of each stream that are kept: what an HTTP answer may have, too.
pub(in crate::steps) const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// A stream that was read.
#[derive(Debug, Default)]
pub(in crate::steps) struct Captured {
    /// The first bytes, redacted; bytes that aren't UTF-8 are replaced.
    pub text: String,
    /// Bytes that were written, kept or not.
    pub bytes: u64,
    /// Of all of them, in hex.
    pub sha256: String,
}

impl Captured {
    /// Whether more was written than is kept.
    pub(in crate::steps) fn truncated(&self) -> bool {
        self.bytes > KEPT_BYTES_MAX as u64
    }
}

/// A stream being read. What has come so far can be taken at any time.
#[derive(Clone)]
pub(in crate::steps) struct Capture(Arc<Mutex<Open>>);

struct Open {
    /// Redacts before it is cut: half a secret at the end would not be recognised.
    kept: Option<RedactingWriter<Capped>>,
    bytes: u64,
    hash: Sha256,
}

impl Capture {
    pub(in crate::steps) fn new(redactor: Redactor) -> Capture {
        let kept = Some(RedactingWriter::new(Capped::default(), redactor));
        Capture(Arc::new(Mutex::new(Open { kept, bytes: 0, hash: Sha256::new() })))
    }

    /// Reads until the end, or until a read fails: a child that is gone has said what it had to.
    pub(in crate::steps) async fn read(self, mut stream: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            self.take(&chunk[..count]);
        }
    }

    /// What has come so far.
    pub(in crate::steps) fn captured(&self) -> Captured {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = open.kept.take().and_then(|kept| kept.finish().ok()).unwrap_or_default();
        Captured {
            text: String::from_utf8_lossy(&kept.0).into_owned(),
            bytes: open.bytes,
            sha256: hex(&open.hash.clone().finalize()),
        }
    }

    fn take(&self, chunk: &[u8]) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken already: whoever still writes is no longer listened to.
        let Some(kept) = &mut open.kept else { return };
        // Writing to memory doesn't fail.
        let _ = kept.write_all(chunk);
        open.bytes += chunk.len() as u64;
        open.hash.update(chunk);
    }
}

/// The first [`KEPT_BYTES_MAX`] bytes; swallows the rest.
#[derive(Default)]
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let room = KEPT_BYTES_MAX - self.0.len();
        self.0.extend_from_slice(&chunk[..chunk.len().min(room)]);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_is_counted_and_the_beginning_is_kept() {
        let capture = Capture::new(Redactor::new());
        let long = vec![b'x'; KEPT_BYTES_MAX + 3];
        capture.clone().read(&long[..]).await;
        let captured = capture.captured();
        assert_eq!(
            (captured.text.len(), captured.bytes, captured.truncated()),
            (KEPT_BYTES_MAX, long.len() as u64, true)
        );
        assert_eq!(captured.sha256, hex(&Sha256::digest(&long)));
        let empty = Capture::new(Redactor::new()).captured();
        assert_eq!((empty.text.as_str(), empty.bytes, empty.truncated()), ("", 0, false));
    }

    #[tokio::test]
    async fn a_secret_at_the_cut_is_not_kept_by_half() {
        let redactor = Redactor::new();
        redactor.register("TOKEN", "hunter2-hunter2-example");
        let capture = Capture::new(redactor);
        let mut text = vec![b'x'; KEPT_BYTES_MAX - 10];
        text.extend_from_slice(b"hunter2-hunter2-example\xff");
        capture.clone().read(&text[..]).await;
        let captured = capture.captured();
        assert!(!captured.text.contains("hunter2"), "{}", &captured.text[captured.text.len() - 20..]);
    }
}
