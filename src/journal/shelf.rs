//! Small things that surfaces keep beside the events: who is logged in, which codes are good, where a card hangs. Each on
//! a shelf, under a key, perhaps until some time. Nothing here is evidence, and no credential stands in it: digests do.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::journal::error::{Error, Failure};
use crate::journal::hold::nobodys;
use crate::journal::store::{Store, Terms};
use crate::journal::ticket::Ticket;

/// A shelf, by its owner and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory of a project; empty for what is of none.
    pub project: String,
    pub name: String,
}

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
    pub fn on_shelf(&self, shelf: &Place, key: &str) -> Result<Option<String>, Error> {
        self.glimpse(|db| value(db, shelf, key, Timestamp::now()))
    }

    /// All that stands on a shelf, by key.
    ///
    /// # Errors
    /// What reading met.
    pub fn shelf(&self, shelf: &Place) -> Result<Vec<Item>, Error> {
        self.glimpse(|db| {
            let mut select = db.prepare_cached(
                "SELECT key, value, until FROM shelves
                 WHERE project = ?1 AND name = ?2 AND (until IS NULL OR until > ?3) ORDER BY key",
            )?;
            let now = Timestamp::now().as_millisecond();
            let rows = select.query_map(params![shelf.project, shelf.name, now], |row| {
                let until: Option<i64> = row.get(2)?;
                let until = until.and_then(|at| Timestamp::from_millisecond(at).ok());
                Ok(Item { key: row.get(0)?, value: row.get(1)?, until })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Puts `item` on a shelf if there stands what `was` says under its key (`None`: anything or nothing; `Some(None)`:
    /// nothing); says whether it did. Durable once answered.
    pub fn put_on_shelf(&self, shelf: &Place, item: Item, was: Option<Option<String>>) -> Ticket<bool> {
        let shelf = shelf.clone();
        self.write(nobodys(), Terms::DURABLE, move |db| {
            let now = Timestamp::now();
            clear(db, now)?;
            if let Some(was) = &was
                && *was != value(db, &shelf, &item.key, now)?
            {
                return Ok(false);
            }
            db.prepare_cached(
                "INSERT INTO shelves (project, name, key, value, until) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET value = ?4, until = ?5",
            )?
            .execute(params![
                shelf.project,
                shelf.name,
                item.key,
                item.value,
                item.until.map(Timestamp::as_millisecond)
            ])?;
            Ok(true)
        })
    }

    /// Takes what stands under this key from its shelf: of all who ask, one gets it. Durable once answered.
    pub fn take_from_shelf(&self, shelf: &Place, key: &str) -> Ticket<Option<String>> {
        let (shelf, key) = (shelf.clone(), key.to_owned());
        self.write(nobodys(), Terms::DURABLE, move |db| {
            clear(db, Timestamp::now())?;
            let mut delete =
                db.prepare_cached("DELETE FROM shelves WHERE project = ?1 AND name = ?2 AND key = ?3 RETURNING value")?;
            Ok(delete.query_row(params![shelf.project, shelf.name, key], |row| row.get(0)).optional()?)
        })
    }
}

fn value(db: &Connection, shelf: &Place, key: &str, now: Timestamp) -> Result<Option<String>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT value FROM shelves
         WHERE project = ?1 AND name = ?2 AND key = ?3 AND (until IS NULL OR until > ?4)",
    )?;
    let given = params![shelf.project, shelf.name, key, now.as_millisecond()];
    Ok(select.query_row(given, |row| row.get(0)).optional()?)
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

    fn shelf(name: &str) -> Place {
        Place { project: "/srv/shop".into(), name: name.into() }
    }

    fn item(key: &str, value: &str) -> Item {
        Item { key: key.into(), value: value.into(), until: None }
    }

    #[test]
    fn what_is_put_down_is_found_and_one_takes_it() {
        let (_base, store) = store();
        let put = |name: &str, item, was| store.put_on_shelf(&shelf(name), item, was).wait().unwrap();
        assert!(put("a", item("k", "1"), None));
        assert!(put("b", item("k", "2"), Some(None)));
        assert!(!put("b", item("k", "3"), Some(None)), "something stands there");
        assert!(!put("b", item("k", "3"), Some(Some("1".into()))));
        assert!(put("b", item("k", "3"), Some(Some("2".into()))));
        assert_eq!(store.on_shelf(&shelf("a"), "k").unwrap().as_deref(), Some("1"));
        assert_eq!(store.shelf(&shelf("b")).unwrap(), [item("k", "3")]);
        let taken: Vec<Option<String>> = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| store.take_from_shelf(&shelf("b"), "k").wait().unwrap())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).collect()
        });
        assert_eq!(taken.iter().flatten().collect::<Vec<_>>(), ["3"]);
        assert_eq!(store.on_shelf(&shelf("a"), "k").unwrap().as_deref(), Some("1"), "another shelf");
        let elsewhere = Place { project: "/srv/bank".into(), ..shelf("a") };
        assert_eq!(store.on_shelf(&elsewhere, "k").unwrap(), None, "another project");
        assert_eq!(store.shelf(&elsewhere).unwrap(), []);
        assert_eq!(store.take_from_shelf(&elsewhere, "k").wait().unwrap(), None);
    }

    #[test]
    fn what_is_over_is_gone_also_for_who_takes_it() {
        let (_base, store) = store();
        let now = Timestamp::now();
        let put = |item, was| store.put_on_shelf(&shelf("s"), item, was).wait().unwrap();
        for key in ["a", "b"] {
            let over = Item { until: Some(now - std::time::Duration::from_secs(1)), ..item(key, "old") };
            assert!(put(over, None));
        }
        assert_eq!(store.on_shelf(&shelf("s"), "a").unwrap(), None);
        assert_eq!(store.shelf(&shelf("s")).unwrap(), []);
        assert_eq!(store.take_from_shelf(&shelf("s"), "a").wait().unwrap(), None);
        assert!(put(item("b", "new"), Some(None)));
        let rows: u64 = sql(&store).query_row("SELECT count(*) FROM shelves", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1, "nothing is kept that nobody can find");
    }
}
