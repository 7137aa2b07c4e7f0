//! Small durable things of surfaces: who is logged in, which codes are good, where a card hangs.

use jiff::Timestamp;

use crate::journal::shelf::{Item, Place};
use crate::runs::Runs;
use crate::runs::error::RunsError;

/// A named shelf of the store, for one surface and one purpose. Whatever is put down is durable when the call returns, and
/// stands there as plain text: never a credential, but its digest. Another project of the same store has its own.
#[derive(Clone)]
pub struct Shelf<'r> {
    runs: &'r Runs,
    place: Place,
}

impl Runs {
    /// The shelf of this project with this name.
    pub fn shelf(&self, name: &'static str) -> Shelf<'_> {
        Shelf { runs: self, place: Place { project: self.of(), name: name.to_owned() } }
    }
}

impl Shelf<'_> {
    /// What stands under a key, unless its time is up.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn get(&self, key: &str) -> Result<Option<String>, RunsError> {
        Ok(self.runs.store()?.on_shelf(&self.place, key)?)
    }

    /// All that stands here, by key.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn all(&self) -> Result<Vec<(String, String)>, RunsError> {
        let items = self.runs.store()?.shelf(&self.place)?;
        Ok(items.into_iter().map(|item| (item.key, item.value)).collect())
    }

    /// Puts something down in the place of whatever stands there.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn put(&self, key: &str, value: &str, until: Option<Timestamp>) -> Result<(), RunsError> {
        self.put_down(key, value, until, None).map(drop)
    }

    /// Puts something down unless something stands there; says whether it did.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn put_new(&self, key: &str, value: &str, until: Option<Timestamp>) -> Result<bool, RunsError> {
        self.put_down(key, value, until, Some(None))
    }

    /// Puts something down if there stands what `was` says, or nothing if it is `None`; says whether it did.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn swap(&self, key: &str, was: Option<&str>, value: &str, until: Option<Timestamp>) -> Result<bool, RunsError> {
        self.put_down(key, value, until, Some(was.map(str::to_owned)))
    }

    /// Takes something away: of all who ask, one gets it.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn take(&self, key: &str) -> Result<Option<String>, RunsError> {
        Ok(self.runs.store()?.take_from_shelf(&self.place, key).wait()?)
    }

    /// Takes away what would be forgotten first, until at most so `many` stand here.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn keep_last(&self, many: usize) -> Result<(), RunsError> {
        let mut there = self.runs.store()?.shelf(&self.place)?;
        there.sort_by_key(|item| (item.until.is_none(), item.until));
        let too_many = there.len().saturating_sub(many);
        there.iter().take(too_many).try_for_each(|item| self.take(&item.key).map(drop))
    }

    fn put_down(
        &self,
        key: &str,
        value: &str,
        until: Option<Timestamp>,
        was: Option<Option<String>>,
    ) -> Result<bool, RunsError> {
        let item = Item { key: key.to_owned(), value: value.to_owned(), until };
        Ok(self.runs.store()?.put_on_shelf(&self.place, item, was).wait()?)
    }
}
