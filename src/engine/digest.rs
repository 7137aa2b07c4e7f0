//! SHA-256, the one hash of journals, texts and arguments: `sha256sum` is on every machine at 3 a.m.

use sha2::{Digest, Sha256};

use crate::script::hex::hex;

/// The digest in lower-case hex, 64 digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The digest as it stands in events: `sha256:` and 64 hex digits.
pub fn name(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(bytes))
}
