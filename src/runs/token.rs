//! Tokens: what a person keeps to prove who they are. rerail keeps a digest alone, and shows the token once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::runbook::people::TokenHash;
use crate::runs::error::{ErrorKind, RunsError};

/// What every token begins with, so that it is known for one where it was lost.
const PREFIX: &str = "rerail_";
/// Random bytes of a token: as many as its digest has, beyond any guessing.
const BYTES: usize = 32;

/// A new token. It has no `Debug`: it is shown where it is made and nowhere else.
pub struct Token(String);

impl Token {
    /// From the kernel's random numbers; waits for them on a machine that has only just booted.
    ///
    /// # Errors
    /// If the kernel gives none.
    pub fn new() -> Result<Token, RunsError> {
        let mut bytes = [0u8; BYTES];
        // As few bytes as these come whole or not at all.
        match getrandom(&mut bytes, GetRandomFlags::empty()) {
            Ok(BYTES) => Ok(Token(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))),
            Ok(_) | Err(_) => Err(RunsError::new(ErrorKind::Internal, "the kernel gives no random numbers")),
        }
    }

    /// The text to be kept, fit for URLs, headers and file names.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What stands in a project file.
    pub fn hash(&self) -> TokenHash {
        token_digest(&self.0)
    }
}

/// The digest of a token that somebody shows.
pub fn token_digest(text: &str) -> TokenHash {
    TokenHash(Sha256::digest(text.as_bytes()).into())
}

/// Whether two digests are the same. Takes the same time whatever differs.
pub(super) fn is_same(one: &TokenHash, other: &TokenHash) -> bool {
    one.0.ct_eq(&other.0).into()
}

/// Whether this is the token with that digest. Takes the same time whatever differs.
pub(super) fn fits(token: &str, known: &TokenHash) -> bool {
    is_same(&token_digest(token), known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_the_same_and_each_fits_its_own_digest_alone() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_ne!(one.text(), other.text());
        assert!(fits(one.text(), &one.hash()) && !fits(one.text(), &other.hash()) && !fits("", &one.hash()));
        let rest = one.text().strip_prefix(PREFIX).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(rest).unwrap().len(), BYTES);
        assert!(one.text().chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    }

    #[test]
    fn the_digest_is_that_of_the_text_as_it_is_kept() {
        // `printf abc | sha256sum`
        let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(token_digest("abc").text(), known);
    }
}
