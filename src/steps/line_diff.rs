//! What is different between a text that is there and one that would take its place, line by line.

use similar::{ChangeTag, TextDiff};

/// Lines that are shown: more is read in an editor.
const LINES_MAX: usize = 40;
/// Characters of one line that are shown.
const CHARS_MAX: usize = 200;

/// `- old` and `+ new`, without what stays; a text that isn't there yet is all new.
pub(super) fn lines(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let changed = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
    let mut shown: Vec<String> = changed
        .map(|change| {
            let sign = if change.tag() == ChangeTag::Delete { '-' } else { '+' };
            let line: String = change.value().trim_end_matches(['\n', '\r']).chars().take(CHARS_MAX).collect();
            format!("{sign} {line}")
        })
        .collect();
    if shown.len() > LINES_MAX {
        let more = shown.len() - LINES_MAX;
        shown.truncate(LINES_MAX);
        shown.push(format!("… {more} more lines differ"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_left_out_and_what_is_too_much_is_counted() {
        assert_eq!(lines("a\nb\nc\n", "a\nB\nc\n"), ["- b", "+ B"]);
        assert_eq!(lines("", "one\ntwo"), ["+ one", "+ two"]);
        assert_eq!(lines("same\n", "same\n"), Vec::<String>::new());
        let long = lines("", &"x\n".repeat(100));
        assert_eq!((long.len(), long.last().unwrap().as_str()), (41, "… 60 more lines differ"));
        assert_eq!(lines("", &"ü".repeat(500))[0].chars().count(), 202);
    }
}
