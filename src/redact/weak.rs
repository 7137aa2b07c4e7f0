//! Which values can't be secrets: too short, or words that stand in texts anyway.
//!
//! Taking those out would garble every text and confirm a guess by where the gaps are. They are refused where
//! secrets are loaded.

use std::collections::BTreeSet;

use crate::redact::redactor::SECRET_BYTES_MIN;

/// Different characters of a secret: `00000000` and `--------` are rulers.
const CHARACTERS_MIN: usize = 3;

/// Words of at least eight bytes that stand in logs and answers, or at the top of every list of passwords.
const COMMON: [&str; 61] = [
    "1234567890",
    "123456789",
    "12345678",
    "87654321",
    "0123456789",
    "1q2w3e4r",
    "1qaz2wsx",
    "abcd1234",
    "admin123",
    "admin1234",
    "administrator",
    "anonymous",
    "application",
    "authorization",
    "backend-service",
    "baseball",
    "changeit",
    "changeme",
    "changeme123",
    "charlie1",
    "computer",
    "credentials",
    "database",
    "development",
    "disabled",
    "example.com",
    "football",
    "frontend",
    "iloveyou",
    "internal",
    "jennifer",
    "letmein1",
    "localhost",
    "michelle",
    "my-secret",
    "mypassword",
    "mysecret",
    "not-a-secret",
    "passw0rd",
    "password",
    "password1",
    "password12",
    "password123",
    "placeholder",
    "postgres",
    "postgresql",
    "princess",
    "production",
    "qwerty123",
    "qwertyui",
    "qwertyuiop",
    "redacted",
    "sunshine",
    "superman",
    "supersecret",
    "testtest",
    "trustno1",
    "undefined",
    "username",
    "welcome1",
    "whatever",
];

/// Why `value` can't be a secret, as the end of a sentence that names it; `None` if it can. Never repeats the value.
pub fn weakness(value: &str) -> Option<String> {
    if value.len() < SECRET_BYTES_MIN {
        return Some(format!("is shorter than {SECRET_BYTES_MIN} bytes, too short to be kept out"));
    }
    let word = value.trim().to_lowercase();
    if COMMON.contains(&word.trim_end_matches(['!', '.', '?'])) {
        return Some(
            "is a common word, which stands in texts anyway: no masking keeps it out; use a random one".into(),
        );
    }
    let characters = word.chars().collect::<BTreeSet<char>>().len();
    (characters < CHARACTERS_MIN).then(|| {
        format!("has fewer than {CHARACTERS_MIN} different characters, which stand in texts anyway; use a random one")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_common_words_and_rulers_are_no_secrets() {
        for (value, reason) in [
            ("1234567", "shorter than 8"),
            ("Password", "common word"),
            ("changeme!", "common word"),
            (" production ", "common word"),
            ("00000000", "different characters"),
            ("-=-=-=-=-=-=", "different characters"),
        ] {
            let said = weakness(value).unwrap();
            assert!(said.contains(reason) && !said.contains(value.trim()), "{value}: {said}");
        }
        for good in ["abcabcab", "password-of-the-day", "tok-0123", "ééécdé"] {
            assert_eq!(weakness(good), None, "{good}");
        }
    }
}
