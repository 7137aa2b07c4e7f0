//! Taking out what a short text shares with a secret, also where it was cut.
//!
//! A message such as `json.token is "eyJhbGci…"` quotes the beginning of a value, and the search for whole values
//! doesn't find that. Too eager for anything but the few texts that quote an answer: common words of a sealed
//! body go as well.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::redact::forms;
use crate::redact::needles::marker;
use crate::redact::redactor::SECRET_BYTES_MIN;

/// Bytes of a value up to which all its forms are looked at: of longer ones, which are whole answers, messages quote
/// the text as it is.
const FORMS_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a short value that is taken out: `8080`, but not `1` or `yes`.
const WHOLE_BYTES_MIN: usize = 4;

/// Bytes of a text that are looked through: messages are a few hundred. The rest is left out.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// `text` without any piece of [`SECRET_BYTES_MIN`] bytes that it shares with one of `values` (name and text) in any
/// of their forms. A shorter value is taken out where it stands as a whole, but for the shortest: taking out each `1`
/// would garble the text, and say what the value is.
pub fn redact_pieces(text: &str, values: &[(&str, &str)]) -> String {
    let cut = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (text, rest) = text.split_at(cut);
    let mut covered: Vec<Option<&str>> = vec![None; text.len()];
    let mut cover = |start: usize, end: usize, name| {
        covered[start..end].iter_mut().for_each(|byte| *byte = Some(byte.unwrap_or(name)));
    };
    // The pieces of the text are the patterns: it is short, and a value may be a megabyte.
    let windows: Vec<&[u8]> = text.as_bytes().windows(SECRET_BYTES_MIN).collect();
    let search = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&windows);
    let search = search.expect("a few thousand patterns of eight bytes fit");
    for (name, value) in values {
        if value.len() < SECRET_BYTES_MIN {
            if value.len() >= WHOLE_BYTES_MIN {
                text.match_indices(value).for_each(|(start, piece)| cover(start, start + piece.len(), *name));
            }
            continue;
        }
        let forms = match value.len() {
            ..=FORMS_BYTES_MAX => forms::of(value),
            _ => BTreeSet::from([(*value).to_owned()]),
        };
        for form in &forms {
            for found in search.find_overlapping_iter(form.as_bytes()) {
                let start = found.pattern().as_usize();
                cover(start, start + SECRET_BYTES_MIN, *name);
            }
        }
    }
    let mut written = String::new();
    let mut at = 0;
    while at < text.len() {
        match covered[at] {
            Some(name) => {
                written.push_str(&marker(name));
                while at < text.len() && (covered[at].is_some() || !text.is_char_boundary(at)) {
                    at += 1;
                }
            }
            None => {
                let open = (at + 1..text.len()).find(|next| covered[*next].is_some() && text.is_char_boundary(*next));
                let end = open.unwrap_or(text.len());
                written.push_str(&text[at..end]);
                at = end;
            }
        }
    }
    if !rest.is_empty() {
        written.push('…');
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: (&str, &str) = ("TOKEN", "tok-0123456789-abcdef");

    #[test]
    fn a_value_that_was_cut_is_taken_out_at_both_ends_and_in_other_forms() {
        for (text, expected) in [
            ("json.a is \"tok-01234567…", "json.a is \"[redacted:TOKEN]…"),
            ("…456789-abcdef\" and more", "…[redacted:TOKEN]\" and more"),
            ("in the middle 3456789-ab, here", "in the middle [redacted:TOKEN], here"),
            ("746f6b2d30313233 in hex", "[redacted:TOKEN] in hex"),
            ("seven bytes tok-012 stay", "seven bytes tok-012 stay"),
            ("nothing of it", "nothing of it"),
            ("", ""),
        ] {
            assert_eq!(redact_pieces(text, &[TOKEN]), expected);
        }
    }

    #[test]
    fn short_values_are_taken_out_whole_and_letters_stay_whole() {
        assert_eq!(
            redact_pieces("port is 8080, not 80", &[("PORT", "8080"), ("NONE", ""), ("ON", "80")]),
            "port is [redacted:PORT], not 80"
        );
        assert_eq!(redact_pieces("é: ééééé!", &[("E", "éééé")]), "é: [redacted:E]é!".replace("]é!", "]!"));
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        assert!(redact_pieces(&long, &[TOKEN]).len() <= TEXT_BYTES_MAX + '…'.len_utf8());
    }
}
