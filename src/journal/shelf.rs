//! Small things that surfaces keep beside the events: who is logged in, which codes are good, where a card hangs. Each on
//! a shelf, under a key, perhaps until some time. Nothing here is evidence, and no credential stands in it: digests do.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::journal::error::{Error, Failure};
use crate::journal::hold::nobodys;
use crate::journal::store::{Store, Terms};
use crate::journal::ticket::Ticket;

/// Something to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub key: String,
    pub value: String,
    /// When it is forgotten; never without it.
    pub until: Option<Timestamp>,
}

impl Store {
    /// What stands on a shelf under this key, unless its time is up.
    ///
    /// # Errors
    /// What reading met.
    pub fn on_shelf(&self, shelf: &str, key: &str) -> Result<Option<String>, Error> {
        self.glimpse(|db| value(db, shelf, key, Timestamp::now()))
    }

    /// All that stands on a shelf, by key.
    ///
    /// # Errors
    /// What reading met.
    pub fn shelf(&self, shelf: &str) -> Result<Vec<Item>, Error> {
        self.glimpse(|db| {
            let mut select = db.prepare_cached(
                "SELECT key, value, until FROM shelves WHERE shelf = ?1 AND (until IS NULL OR until > ?2) ORDER BY key",
            )?;
            let rows = select.query_map(params![shelf, Timestamp::now().as_millisecond()], |row| {
                let until: Option<i64> = row.get(2)?;
                let until = until.and_then(|at| Timestamp::from_millisecond(at).ok());
                Ok(Item { key: row.get(0)?, value: row.get(1)?, until })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Puts `item` on a shelf if there stands what `was` says under its key (`None`: anything or nothing; `Some(None)`:
    /// nothing); says whether it did. Durable once answered.
    pub fn put_on_shelf(&self, shelf: &str, item: Item, was: Option<Option<String>>) -> Ticket<bool> {
        let shelf = shelf.to_owned();
        self.write(nobodys(), Terms::DURABLE, move |db| {
            let now = Timestamp::now();
            clear(db, now)?;
            if let Some(was) = &was
                && *was != value(db, &shelf, &item.key, now)?
            {
                return Ok(false);
            }
            db.prepare_cached(
                "INSERT INTO shelves (shelf, key, value, until) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET value = ?3, until = ?4",
            )?
            .execute(params![shelf, item.key, item.value, item.until.map(Timestamp::as_millisecond)])?;
            Ok(true)
        })
    }

    /// Takes what stands under this key from its shelf: of all who ask, one gets it. Durable once answered.
    pub fn take_from_shelf(&self, shelf: &str, key: &str) -> Ticket<Option<String>> {
        let (shelf, key) = (shelf.to_owned(), key.to_owned());
        self.write(nobodys(), Terms::DURABLE, move |db| {
            clear(db, Timestamp::now())?;
            let mut delete = db.prepare_cached("DELETE FROM shelves WHERE shelf = ?1 AND key = ?2 RETURNING value")?;
            Ok(delete.query_row(params![shelf, key], |row| row.get(0)).optional()?)
        })
    }
}

fn value(db: &Connection, shelf: &str, key: &str, now: Timestamp) -> Result<Option<String>, Failure> {
    let mut select =
        db.prepare_cached("SELECT value FROM shelves WHERE shelf = ?1 AND key = ?2 AND (until IS NULL OR until > ?3)")?;
    Ok(select.query_row(params![shelf, key, now.as_millisecond()], |row| row.get(0)).optional()?)
}

/// Forgets what is over.
fn clear(db: &Connection, now: Timestamp) -> Result<(), Failure> {
    db.prepare_cached("DELETE FROM shelves WHERE until <= ?1")?.execute([now.as_millisecond()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{sql, store};

    fn item(key: &str, value: &str) -> Item {
        Item { key: key.into(), value: value.into(), until: None }
    }

    #[test]
    fn what_is_put_down_is_found_and_one_takes_it() {
        let (_base, store) = store();
        let put = |shelf: &str, item, was| store.put_on_shelf(shelf, item, was).wait().unwrap();
        assert!(put("a", item("k", "1"), None));
        assert!(put("b", item("k", "2"), Some(None)));
        assert!(!put("b", item("k", "3"), Some(None)), "something stands there");
        assert!(!put("b", item("k", "3"), Some(Some("1".into()))));
        assert!(put("b", item("k", "3"), Some(Some("2".into()))));
        assert_eq!(store.on_shelf("a", "k").unwrap().as_deref(), Some("1"));
        assert_eq!(store.shelf("b").unwrap(), [item("k", "3")]);
        let taken: Vec<Option<String>> = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| store.take_from_shelf("b", "k").wait().unwrap())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).collect()
        });
        assert_eq!(taken.iter().flatten().collect::<Vec<_>>(), ["3"]);
        assert_eq!(store.on_shelf("a", "k").unwrap().as_deref(), Some("1"), "another shelf");
    }

    #[test]
    fn what_is_over_is_gone_also_for_who_takes_it() {
        let (_base, store) = store();
        let now = Timestamp::now();
        let put = |item, was| store.put_on_shelf("s", item, was).wait().unwrap();
        for key in ["a", "b"] {
            let over = Item { until: Some(now - std::time::Duration::from_secs(1)), ..item(key, "old") };
            assert!(put(over, None));
        }
        assert_eq!(store.on_shelf("s", "a").unwrap(), None);
        assert_eq!(store.shelf("s").unwrap(), []);
        assert_eq!(store.take_from_shelf("s", "a").wait().unwrap(), None);
        assert!(put(item("b", "new"), Some(None)));
        let rows: u64 = sql(&store).query_row("SELECT count(*) FROM shelves", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1, "nothing is kept that nobody can find");
    }
}
