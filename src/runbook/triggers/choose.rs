//! Which trigger an alert is for, out of all that fit it.

use std::collections::BTreeMap;

use crate::runbook::triggers::labels::Labels;

/// A trigger among others, in their order: those of the project first, then those of runbooks by name.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'t> {
    pub labels: &'t Labels,
    /// Whether it stands in the project file, which is written to come before what runbooks say.
    pub of_project: bool,
}

/// The one that says most of the alert; among equals the first. `None` if none fits.
pub fn chosen(candidates: &[Candidate<'_>], labels: &BTreeMap<String, String>) -> Option<usize> {
    let fitting = candidates.iter().enumerate().filter(|(_, candidate)| candidate.labels.fit(labels));
    // Of equals `max_by_key` takes the last.
    fitting.rev().max_by_key(|(_, candidate)| candidate.labels.specificity()).map(|(at, _)| at)
}

/// Pairs of triggers that tie with no reason but their order: the later one never comes. One of the project beside one of a
/// runbook is meant.
pub fn outranked(candidates: &[Candidate<'_>]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let earlier = candidates[..at].iter();
        let tie = earlier
            .enumerate()
            .find(|(_, other)| other.of_project == candidate.of_project && other.labels.ties(candidate.labels));
        pairs.extend(tie.map(|(first, _)| (first, at)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::triggers::labels::Pattern;

    fn labels(wanted: &[(&str, &str)]) -> Labels {
        Labels(wanted.iter().map(|(name, text)| ((*name).to_owned(), Pattern::read(text).unwrap())).collect())
    }

    fn alert(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_says_more_comes_first_and_of_equals_the_first() {
        let all = [
            labels(&[("alertname", "Down")]),
            labels(&[("alertname", "re:.*")]),
            labels(&[("alertname", "Down"), ("service", "backend")]),
            labels(&[("alertname", "Down"), ("service", "re:back.*")]),
            labels(&[("alertname", "Down"), ("env", "prod")]),
        ];
        let candidates: Vec<_> = all.iter().map(|labels| Candidate { labels, of_project: false }).collect();
        for (given, wanted) in [
            (alert(&[("alertname", "Down")]), Some(0)),
            (alert(&[("alertname", "Other")]), Some(1)),
            (alert(&[("alertname", "Down"), ("service", "backend")]), Some(2)),
            (alert(&[("alertname", "Down"), ("service", "backoffice")]), Some(3)),
            (alert(&[("alertname", "Down"), ("service", "backend"), ("env", "prod")]), Some(2)),
            (alert(&[("alertname", "Down"), ("env", "prod")]), Some(4)),
            (alert(&[("service", "backend")]), None),
            (alert(&[]), None),
        ] {
            assert_eq!(chosen(&candidates, &given), wanted, "{given:?}");
        }
    }

    #[test]
    fn a_later_equal_one_is_told_unless_the_project_comes_before_a_runbook() {
        let (down, other) = (labels(&[("a", "x")]), labels(&[("a", "y")]));
        let of = |labels, of_project| Candidate { labels, of_project };
        assert_eq!(outranked(&[of(&down, true), of(&down, false)]), []);
        assert_eq!(outranked(&[of(&down, true), of(&other, true), of(&down, true)]), [(0, 2)]);
        assert_eq!(outranked(&[of(&down, false), of(&down, false), of(&other, false)]), [(0, 1)]);
    }
}
