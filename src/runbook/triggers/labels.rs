//! Which labels an alert must have, and which of two triggers says more about it.

use std::collections::{BTreeMap, BTreeSet};

/// How a pattern begins that is a regular expression.
pub const REGEX: &str = "re:";
/// Bytes of a regular expression: what is longer is a list.
const REGEX_BYTES_MAX: usize = 256;
/// Bytes it may take compiled: repetitions of repetitions are large.
const REGEX_SIZE_MAX: usize = 256 * 1024;

/// What one label must be.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// This text.
    Exact(String),
    /// One of these.
    OneOf(BTreeSet<String>),
    /// All of it fits this expression, whose text is kept to compare it.
    Regex(String, regex_lite::Regex),
}

impl Pattern {
    /// Reads a text: `re:` makes it a regular expression, which must fit the whole label, as in Alertmanager.
    ///
    /// # Errors
    /// Why it is no regular expression.
    pub fn read(text: &str) -> Result<Pattern, String> {
        let Some(expression) = text.strip_prefix(REGEX) else { return Ok(Pattern::Exact(text.to_owned())) };
        if expression.len() > REGEX_BYTES_MAX {
            return Err(format!(
                "the regular expression has {} bytes, more than {REGEX_BYTES_MAX}: write a list",
                expression.len()
            ));
        }
        let whole = format!("^(?:{expression})$");
        let built = regex_lite::RegexBuilder::new(&whole).size_limit(REGEX_SIZE_MAX).build();
        match built {
            // A bracket that closes what was put around it is no expression of its own.
            Ok(regex) if regex_lite::Regex::new(expression).is_ok() => Ok(Pattern::Regex(expression.to_owned(), regex)),
            Ok(_) => Err("the regular expression isn't one: its brackets don't match".to_owned()),
            Err(error) => Err(format!("the regular expression isn't one: {error}")),
        }
    }

    /// Whether a label's text is what is wanted.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(wanted) => wanted == text,
            Pattern::OneOf(wanted) => wanted.contains(text),
            Pattern::Regex(_, regex) => regex.is_match(text),
        }
    }

    /// Whether some text surely fits both.
    fn overlaps(&self, other: &Pattern) -> bool {
        match (self, other) {
            (Pattern::Exact(text), pattern) | (pattern, Pattern::Exact(text)) => pattern.fits(text),
            (Pattern::OneOf(texts), pattern) | (pattern, Pattern::OneOf(texts)) => {
                texts.iter().any(|text| pattern.fits(text))
            }
            (Pattern::Regex(one, _), Pattern::Regex(other, _)) => one == other,
        }
    }

    fn how(&self) -> &'static str {
        match self {
            Pattern::Exact(_) => "exact",
            Pattern::OneOf(_) => "list",
            Pattern::Regex(..) => "re",
        }
    }
}

/// The labels a trigger wants: all of them, and any others beside.
#[derive(Clone, Debug, Default)]
pub struct Labels(pub BTreeMap<String, Pattern>);

/// How much a trigger says of an alert: more labels first, then more of them exact, then more of them lists.
pub type Specificity = (usize, usize, usize);

impl Labels {
    /// Whether an alert has them. A label it doesn't have fits nothing.
    pub fn fit(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(name, pattern)| labels.get(name).is_some_and(|text| pattern.fits(text)))
    }

    /// How much they say.
    pub fn specificity(&self) -> Specificity {
        let of = |how| self.0.values().filter(|pattern| pattern.how() == how).count();
        (self.0.len(), of("exact"), of("list"))
    }

    /// Whether both fit some alert equally well, with no reason but their order to take one of them.
    pub fn ties(&self, other: &Labels) -> bool {
        self.specificity() == other.specificity()
            && self.0.keys().eq(other.0.keys())
            && self.0.values().zip(other.0.values()).all(|(one, other)| one.overlaps(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(wanted: &[(&str, &str)]) -> Labels {
        let pattern = |text: &str| match text.strip_prefix('[') {
            Some(list) => Pattern::OneOf(list.trim_end_matches(']').split(',').map(str::to_owned).collect()),
            None => Pattern::read(text).unwrap(),
        };
        Labels(wanted.iter().map(|(name, text)| ((*name).to_owned(), pattern(text))).collect())
    }

    fn fits(wanted: &[(&str, &str)], given: &[(&str, &str)]) -> bool {
        labels(wanted).fit(&given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn all_labels_must_fit_and_others_do_no_harm() {
        let down = [("alertname", "Down"), ("service", "backend"), ("severity", "critical")];
        for (wanted, does) in [
            (vec![("alertname", "Down")], true),
            (vec![("alertname", "Down"), ("service", "backend")], true),
            (vec![("alertname", "Down"), ("service", "frontend")], false),
            (vec![("alertname", "down")], false),
            (vec![("alertname", "Dow")], false),
            (vec![("severity", "[warning,critical]")], true),
            (vec![("severity", "[warning,info]")], false),
            (vec![("service", "re:back.*|front.*")], true),
            // The whole label, as in Alertmanager.
            (vec![("service", "re:back")], false),
            (vec![("service", "re:b|ackend")], false),
            (vec![("instance", "re:.*")], false),
            (vec![("instance", "")], false),
            (vec![], true),
        ] {
            assert_eq!(fits(&wanted, &down), does, "{wanted:?}");
        }
    }

    #[test]
    fn what_a_label_holds_is_never_an_expression() {
        for hostile in ["re:.*", "${{ 1 }}", ".*", "[a]", "\u{202e}", "a\nb"] {
            assert!(!fits(&[("service", "backend")], &[("service", hostile)]), "{hostile:?}");
            assert!(fits(&[("service", "re:(?s).*")], &[("service", hostile)]), "{hostile:?}");
        }
    }

    #[test]
    fn more_labels_say_more_and_exact_ones_more_than_lists_and_expressions() {
        let order = [
            labels(&[("a", "re:x")]),
            labels(&[("a", "[x,y]")]),
            labels(&[("a", "x")]),
            labels(&[("a", "re:x"), ("b", "re:y")]),
            labels(&[("a", "[x]"), ("b", "re:y")]),
            labels(&[("a", "x"), ("b", "re:y")]),
            labels(&[("a", "x"), ("b", "[y]")]),
            labels(&[("a", "x"), ("b", "y")]),
        ];
        for pair in order.windows(2) {
            assert!(pair[0].specificity() < pair[1].specificity(), "{pair:?}");
        }
    }

    #[test]
    fn a_tie_is_what_surely_fits_the_same_alert() {
        let tie = |one: &[(&str, &str)], other: &[(&str, &str)]| labels(one).ties(&labels(other));
        assert!(tie(&[("a", "x")], &[("a", "x")]));
        assert!(tie(&[("a", "[x,y]")], &[("a", "[y,z]")]));
        assert!(tie(&[("a", "re:x.*")], &[("a", "re:x.*")]));
        for (one, other) in [
            ([("a", "x")], [("a", "y")]),
            ([("a", "x")], [("b", "x")]),
            ([("a", "x")], [("a", "[x]")]),
            ([("a", "[x]")], [("a", "[y]")]),
            ([("a", "re:x")], [("a", "re:y")]),
        ] {
            assert!(!tie(&one, &other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn an_expression_that_is_none_says_why() {
        for bad in ["re:(", "re:)(", "re:[", "re:a{2,1}", "re:\\"] {
            let error = Pattern::read(bad).unwrap_err();
            assert!(error.starts_with("the regular expression isn't one"), "{bad}: {error}");
        }
        assert!(Pattern::read(&format!("re:{}", "a".repeat(256))).is_ok());
        assert!(Pattern::read(&format!("re:{}", "a".repeat(257))).unwrap_err().contains("257 bytes"));
        assert!(Pattern::read("re:((((a{1,99}){1,99}){1,99}){1,99})").is_err(), "large when compiled");
    }
}
