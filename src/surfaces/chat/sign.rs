//! Proof of who sent a request, over its raw bytes, before anything is read from them. Every comparison takes the same
//! time whatever differs.

use jiff::Timestamp;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::script::hex::hex;
use crate::surfaces::http::proof::{from_hex, in_time, is_any, is_same, tag};

pub use crate::surfaces::http::proof::Unproven;

/// Before what is sealed: nothing else that is made with the same secret begins so.
const SEALED: &[u8] = b"rerail button\0";

/// Slack: `v0=` and HMAC-SHA256 of `v0:TIME:BODY`.
///
/// # Errors
/// If it proves nothing.
pub fn slack(secret: &str, moment: &str, signature: &str, body: &[u8], at: Timestamp) -> Result<(), Unproven> {
    let digits = signature.strip_prefix("v0=").ok_or(Unproven::Malformed)?;
    let signed = [b"v0:", moment.as_bytes(), b":", body];
    in_time(moment, at)?;
    hmac(secret, &signed, digits)
}

/// The signed webhook: `v1=` and HMAC-SHA256 of `TIME.BODY`.
///
/// # Errors
/// If it proves nothing.
pub fn generic(secret: &str, moment: &str, signature: &str, body: &[u8], at: Timestamp) -> Result<(), Unproven> {
    let digits = signature.strip_prefix("v1=").ok_or(Unproven::Malformed)?;
    in_time(moment, at)?;
    hmac(secret, &[moment.as_bytes(), b".", body], digits)
}

/// The signature of the webhook for what rerail sends itself.
pub fn sign_generic(secret: &str, moment: &str, body: &[u8]) -> String {
    format!("v1={}", hex(&tag(secret.as_bytes(), &[moment.as_bytes(), b".", body])))
}

/// Discord: Ed25519 over `TIME BODY`, without anything between.
///
/// # Errors
/// If it proves nothing.
pub fn discord(key: &[u8], moment: &str, signature: &str, body: &[u8], at: Timestamp) -> Result<(), Unproven> {
    let signature = from_hex::<64>(signature).ok_or(Unproven::Malformed)?;
    in_time(moment, at)?;
    let signed = [moment.as_bytes(), body].concat();
    UnparsedPublicKey::new(&ED25519, key).verify(&signed, &signature).map_err(|_| Unproven::Wrong)
}

/// Mattermost: a token that never changes, as it was given. Only TLS keeps it secret on its way.
///
/// # Errors
/// If it is another one.
pub fn mattermost(token: &str, given: &str) -> Result<(), Unproven> {
    match is_same(given.as_bytes(), token.as_bytes()) {
        true => Ok(()),
        false => Err(Unproven::Wrong),
    }
}

/// What rerail gives to a chat that signs nothing, to know its own buttons and forms again: HMAC of all that they say of
/// themselves, in this order. The first part is what it is, so that the seal of one is none of the other.
pub fn seal_of(secret: &str, parts: &[&str]) -> String {
    hex(&tag(secret.as_bytes(), &[SEALED, json!(parts).to_string().as_bytes()]))
}

/// Whether `seal` is that of these parts.
///
/// # Errors
/// If it isn't.
pub fn is_seal_of(secret: &str, parts: &[&str], seal: &str) -> Result<(), Unproven> {
    hmac(secret, &[SEALED, json!(parts).to_string().as_bytes()], seal)
}

/// The digest under which something is known that must not be written down itself.
pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hmac(secret: &str, signed: &[&[u8]], digits: &str) -> Result<(), Unproven> {
    let given = from_hex::<32>(digits).ok_or(Unproven::Malformed)?;
    match is_any(tag(secret.as_bytes(), signed), std::iter::once(Some(given.to_vec()))) {
        true => Ok(()),
        false => Err(Unproven::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "fake-signing-secret-of-a-test";
    const BODY: &[u8] = b"command=%2Frerail&text=run+x";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn slack_signature(moment: &str, body: &[u8]) -> String {
        format!("v0={}", hex(&tag(SECRET.as_bytes(), &[b"v0:", moment.as_bytes(), b":", body])))
    }

    #[test]
    fn the_window_has_two_sides_and_includes_its_edges() {
        let moment = "1795250484";
        let signature = slack_signature(moment, BODY);
        let check = |seconds| slack(SECRET, moment, &signature, BODY, at(seconds));
        for off in [-300, -1, 0, 300] {
            assert_eq!(check(1_795_250_484 + off), Ok(()), "{off}");
        }
        for off in [-301, 301, 1_000_000, -1_000_000] {
            assert_eq!(check(1_795_250_484 + off), Err(Unproven::OutOfTime), "{off}");
        }
    }

    #[test]
    fn every_bit_counts_of_signature_body_and_time() {
        let moment = "1795250484";
        let signature = slack_signature(moment, BODY);
        let now = at(1_795_250_484);
        for bit in 0..BODY.len() * 8 {
            let mut body = BODY.to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(slack(SECRET, moment, &signature, &body, now), Err(Unproven::Wrong), "{bit}");
        }
        assert_eq!(slack(SECRET, "1795250485", &signature, BODY, now), Err(Unproven::Wrong));
        assert_eq!(slack("fake-signing-secret-of-a-tesu", moment, &signature, BODY, now), Err(Unproven::Wrong));
        for bad in ["", "v0=", "v1=", &signature[3..], &signature.to_uppercase(), &signature[..66], "v0=é"] {
            assert!(slack(SECRET, moment, bad, BODY, now).is_err(), "{bad}");
        }
        for bad in ["", "+1795250484", " 1795250484", "1795250484.0", "0x6b", "99999999999999999999", "-1", "١"] {
            let signature = slack_signature(bad, BODY);
            assert_eq!(slack(SECRET, bad, &signature, BODY, now), Err(Unproven::Malformed), "{bad}");
        }
    }

    #[test]
    fn what_one_kind_signs_is_no_proof_to_another() {
        let (moment, now) = ("1795250484", at(1_795_250_484));
        let own = sign_generic(SECRET, moment, BODY);
        assert_eq!(generic(SECRET, moment, &own, BODY, now), Ok(()));
        assert_eq!(slack(SECRET, moment, &own.replace("v1", "v0"), BODY, now), Err(Unproven::Wrong));
        let seal = seal_of(SECRET, &["button", "n", "c"]);
        assert_eq!(is_seal_of(SECRET, &["button", "n", "c"], &seal), Ok(()));
        for other in [&["form", "n", "c"][..], &["button", "m", "c"], &["button", "n"], &["button", "n", "", "c"]] {
            assert_eq!(is_seal_of(SECRET, other, &seal), Err(Unproven::Wrong), "{other:?}");
        }
        assert_eq!(is_seal_of(SECRET, &["button", "n", "c"], ""), Err(Unproven::Malformed));
        let moved = seal_of(SECRET, &["button", "a\0b", "c"]);
        assert_eq!(
            is_seal_of(SECRET, &["button", "a", "b\0c"], &moved),
            Err(Unproven::Wrong),
            "no part runs into the next"
        );
        assert!(mattermost("token", "token").is_ok() && mattermost("token", "tokem").is_err());
        assert!(mattermost("token", "").is_err());
    }

    #[test]
    fn no_malformed_key_or_signature_passes_ed25519() {
        let now = at(1_795_250_484);
        for (key, signature) in [
            (vec![0; 32], "0".repeat(128)),
            (vec![0; 31], "0".repeat(128)),
            (Vec::new(), "0".repeat(128)),
            (vec![1; 32], "f".repeat(128)),
            (vec![9; 32], "0".repeat(127)),
        ] {
            assert!(discord(&key, "1795250484", &signature, b"{}", now).is_err(), "{key:?} {signature}");
        }
    }
}
