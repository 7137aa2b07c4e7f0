//! The nearest known name to a misspelt one, for `did you mean` lines.

use strsim::damerau_levenshtein;

/// Edits a guess may be away, as a part of the longer word: one letter in three. Beyond that a guess is
/// a different word, and a wrong guess costs more than none.
const LETTERS_PER_EDIT: usize = 3;

/// The candidate most like `word`, if one is near enough to be meant. Ties go to the first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lowered = word.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let longer = word.chars().count().max(candidate.chars().count());
        let allowed = (longer / LETTERS_PER_EDIT).max(1);
        let edits = damerau_levenshtein(&lowered, &candidate.to_lowercase());
        let different = candidate != word;
        if different && edits <= allowed && edits < longer && best.is_none_or(|(least, _)| edits < least) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The help line for a misspelt name: ``did you mean `uses`?``
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// Names in a sentence: `` `a`, `b` and `c` ``.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::from("none"),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_pair_is_one_edit() {
        assert_eq!(nearest("audti", ["probe", "audit"]), Some("audit"));
    }

    #[test]
    fn another_word_is_no_guess() {
        assert_eq!(nearest("zebra", ["audit", "probe"]), None);
        assert_eq!(nearest("a", ["b"]), None);
    }

    #[test]
    fn the_nearer_of_two_wins_and_ties_go_to_the_first() {
        assert_eq!(nearest("htpp.probe", ["http.prove", "http.probe"]), Some("http.probe"));
        assert_eq!(nearest("cat1", ["cat2", "cat3"]), Some("cat2"));
    }

    #[test]
    fn letter_case_is_one_name_not_a_distance() {
        assert_eq!(nearest("railway_token", ["RAILWAY_TOKEN"]), Some("RAILWAY_TOKEN"));
    }

    #[test]
    fn a_list_reads_as_a_sentence() {
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(listed([]), "none");
    }
}
