//! What planned writes would leave behind, for the reads of a rehearsal that come after them.
//!
//! Honest by forgetting: after a write that doesn't say what it leaves, or one of which only the place in the runbook
//! is known, nothing is known of any place any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::script::value::{Map, Value};

/// The world as far as planned writes would change it.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// Whether a write was planned: from then on the world is not as the run would find it.
    wrote: bool,
    /// A write was planned of which nobody can tell what it leaves: what stands beside entries that are planned from then
    /// on is not what can be read now.
    lost: bool,
    left: BTreeMap<String, Left>,
}

/// What will stand at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Left {
    /// Nothing else than this.
    Whole(Value),
    /// These entries, over what stands there now.
    Entries(Entries),
    /// Nobody can tell.
    Unknown,
}

/// Entries of a place by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entries {
    pub sets: Map,
    /// None of them is in `sets`.
    pub removes: BTreeSet<String>,
    /// What stood there as the last write saw it; empty if none says so.
    pub was: Map,
}

impl Overlay {
    /// Whether anything was planned that changes the world.
    pub fn wrote(&self) -> bool {
        self.wrote
    }

    /// All that will stand at a place, if a planned write has said so.
    pub fn whole(&self, place: &str) -> Option<&Value> {
        match self.left.get(place)? {
            Left::Whole(value) => Some(value),
            Left::Entries(_) | Left::Unknown => None,
        }
    }

    /// The entries that will be other ones at a place, if planned writes have said which.
    pub fn entries(&self, place: &str) -> Option<&Entries> {
        match self.left.get(place)? {
            Left::Entries(entries) => Some(entries),
            Left::Whole(_) | Left::Unknown => None,
        }
    }

    /// Something is planned that changes the world and no place of it, such as a message.
    pub(crate) fn tell(&mut self) {
        self.wrote = true;
    }

    /// A write is planned of which nobody can tell what it leaves.
    pub(crate) fn forget(&mut self) {
        (self.wrote, self.lost) = (true, true);
        self.left.clear();
    }

    /// A write is planned that leaves this; one that may not happen makes its place unknown.
    pub(crate) fn leave(&mut self, place: String, left: Left, maybe: bool) {
        self.wrote = true;
        let before = self.left.remove(&place);
        let left = match (left, before) {
            _ if maybe => Left::Unknown,
            (whole @ (Left::Whole(_) | Left::Unknown), _) => whole,
            // Beside its entries there is what an earlier write has left.
            (Left::Entries(_), Some(Left::Whole(_) | Left::Unknown)) => Left::Unknown,
            (Left::Entries(_), None) if self.lost => Left::Unknown,
            (Left::Entries(entries), None) => Left::Entries(entries),
            (Left::Entries(entries), Some(Left::Entries(before))) => Left::Entries(before.followed_by(entries)),
        };
        self.left.insert(place, left);
    }
}

impl Entries {
    /// These, and then those of a later write.
    fn followed_by(mut self, later: Entries) -> Entries {
        self.sets.retain(|name, _| !later.removes.contains(name));
        self.removes.retain(|name| !later.sets.contains_key(name));
        self.sets.extend(later.sets);
        self.removes.extend(later.removes);
        if !later.was.is_empty() {
            self.was = later.was;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(sets: &[(&str, i64)], removes: &[&str]) -> Left {
        let sets = sets.iter().map(|(name, value)| ((*name).to_owned(), Value::Int(*value))).collect();
        let removes = removes.iter().map(|name| (*name).to_owned()).collect();
        Left::Entries(Entries { sets, removes, was: Map::new() })
    }

    fn after(writes: impl IntoIterator<Item = Left>) -> Overlay {
        let mut overlay = Overlay::default();
        writes.into_iter().for_each(|left| overlay.leave("a".to_owned(), left, false));
        overlay
    }

    #[test]
    fn later_entries_go_over_earlier_ones() {
        let overlay = after([entries(&[("A", 1), ("B", 1)], &["C", "D"]), entries(&[("B", 2), ("C", 2)], &["A"])]);
        assert_eq!(
            Some(Left::Entries(overlay.entries("a").unwrap().clone())),
            Some(entries(&[("B", 2), ("C", 2)], &["A", "D"]))
        );
        assert!(overlay.wrote() && overlay.entries("b").is_none() && overlay.whole("a").is_none());
    }

    #[test]
    fn what_stood_there_is_what_the_last_write_that_says_so_saw() {
        let was = |value| Entries { was: Map::from([("A".to_owned(), Value::Int(value))]), ..Entries::default() };
        let overlay = after([Left::Entries(was(1)), Left::Entries(was(2)), Left::Entries(Entries::default())]);
        assert_eq!(overlay.entries("a").unwrap().was["A"], Value::Int(2));
    }

    #[test]
    fn behind_a_write_that_says_nothing_only_what_is_whole_is_known() {
        let mut overlay = after([entries(&[("A", 1)], &[])]);
        overlay.leave("b".to_owned(), Left::Whole(Value::Int(1)), false);
        overlay.forget();
        assert!(overlay.wrote() && overlay.entries("a").is_none() && overlay.whole("b").is_none());
        overlay.leave("a".to_owned(), entries(&[("A", 2)], &[]), false);
        overlay.leave("b".to_owned(), Left::Whole(Value::Int(2)), false);
        assert_eq!((overlay.entries("a"), overlay.whole("b")), (None, Some(&Value::Int(2))));
    }

    #[test]
    fn a_place_that_may_be_written_is_unknown_until_it_is_written_whole() {
        let mut overlay = after([entries(&[("A", 1)], &[])]);
        overlay.leave("b".to_owned(), entries(&[("B", 1)], &[]), false);
        overlay.leave("a".to_owned(), entries(&[("A", 2)], &[]), true);
        overlay.leave("a".to_owned(), entries(&[("C", 3)], &[]), false);
        assert!(overlay.entries("a").is_none() && overlay.entries("b").is_some());
        overlay.leave("a".to_owned(), Left::Whole(Value::Int(4)), false);
        overlay.leave("a".to_owned(), entries(&[("C", 5)], &[]), false);
        assert!(overlay.entries("a").is_none() && overlay.whole("a").is_none());
    }

    #[test]
    fn a_message_changes_no_place() {
        let mut overlay = after([entries(&[("A", 1)], &[])]);
        overlay.tell();
        assert!(overlay.wrote() && overlay.entries("a").is_some());
        assert!(!Overlay::default().wrote());
    }
}
