//! Proof by signatures over raw bytes, for whatever is heard from programs: tags, moments and comparisons, of which every one
//! takes the same time whatever differs.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How far the clock of who signed may be from ours, before and after: what Slack recommends.
const WINDOW_SECONDS: u64 = 300;
/// Digits of the longest moment in seconds that is ever signed; more would be no moment.
const MOMENT_DIGITS_MAX: usize = 12;

/// What is wrong with a proof: for our log; who sent it is only told that it proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// A header is missing, given twice, or not what it should be.
    Malformed,
    /// Signed too long ago, or for later.
    OutOfTime,
    /// Signed by somebody else, or for something else.
    Wrong,
}

/// Whether a moment in seconds, as it is written, is near.
///
/// # Errors
/// If it is none, or far.
pub fn in_time(moment: &str, at: Timestamp) -> Result<(), Unproven> {
    let digits = (1..=MOMENT_DIGITS_MAX).contains(&moment.len()) && moment.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: i64 = moment.parse().ok().filter(|_| digits).ok_or(Unproven::Malformed)?;
    match at.as_second().abs_diff(seconds) <= WINDOW_SECONDS {
        true => Ok(()),
        false => Err(Unproven::OutOfTime),
    }
}

/// HMAC-SHA256 of these parts, one behind the other.
pub fn tag(key: &[u8], signed: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    signed.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Whether any of these is the tag. All of them are looked at; what is none counts as wrong.
pub fn is_any(tag: [u8; 32], shown: impl Iterator<Item = Option<Vec<u8>>>) -> bool {
    let mut fits = subtle::Choice::from(0);
    for one in shown.flatten() {
        fits |= one.as_slice().ct_eq(&tag);
    }
    fits.into()
}

/// Compares digests: texts of different lengths take the same time too.
pub fn is_same(shown: &[u8], wanted: &[u8]) -> bool {
    Sha256::digest(shown).ct_eq(&Sha256::digest(wanted)).into()
}

/// Lower-case digits alone: whoever signs writes them so, and one spelling is one proof.
pub fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits = digits.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_counts_within_five_minutes_and_a_tag_in_one_spelling() {
        let at = Timestamp::from_second(1_795_250_484).unwrap();
        for (moment, told) in [
            ("1795250484", Ok(())),
            ("1795250784", Ok(())),
            ("1795250184", Ok(())),
            ("1795250785", Err(Unproven::OutOfTime)),
            ("1795250183", Err(Unproven::OutOfTime)),
            ("+1795250484", Err(Unproven::Malformed)),
            ("", Err(Unproven::Malformed)),
            ("0001795250484", Err(Unproven::Malformed)),
        ] {
            assert_eq!(in_time(moment, at), told, "{moment}");
        }
        assert_eq!(from_hex::<2>("0aff"), Some([10, 255]));
        assert_eq!([from_hex::<2>("0AFF"), from_hex("0af"), from_hex("0aff0"), from_hex("0ag0")], [None; 4]);
    }

    #[test]
    fn of_several_tags_one_has_to_be_right() {
        let right = tag(b"fake-key", &[b"a", b"b"]);
        assert_eq!(right, tag(b"fake-key", &[b"ab"]));
        let wrong = tag(b"fake-key", &[b"ba"]).to_vec();
        let any = |shown: &[Option<Vec<u8>>]| is_any(right, shown.iter().cloned());
        assert!(any(&[Some(wrong.clone()), None, Some(right.to_vec())]));
        assert!(!any(&[Some(wrong), None]) && !any(&[]) && !any(&[Some(right[..31].to_vec())]));
    }
}
