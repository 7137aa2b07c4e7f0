//! The hold of a store: while one is on, no run starts a write. Past ones stay for the record.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::event::{Actor, Hold};
use crate::engine::ids::RunId;
use crate::journal::error::{Error, Failure};
use crate::journal::store::{Store, Terms};
use crate::journal::ticket::Ticket;

/// The newest hold of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastHold {
    pub hold: Hold,
    /// Who lifted it, and when; `None` while it is on.
    pub lifted: Option<(Actor, Timestamp)>,
}

impl LastHold {
    /// The hold, if it is on.
    pub fn on(self) -> Option<Hold> {
        if self.lifted.is_none() { Some(self.hold) } else { None }
    }
}

impl Store {
    /// Puts all writes of this store on hold; gives the hold that was on already instead, which stays as it is.
    /// Durable once answered: every attempt that asks its gate from then on is stopped.
    pub fn put_on_hold(&self, hold: Hold) -> Ticket<Option<Hold>> {
        self.write(nobodys(), Terms::DURABLE, move |db| {
            if let Some(on) = last(db)?.and_then(LastHold::on) {
                return Ok(Some(on));
            }
            db.prepare_cached("INSERT INTO holds (since, actor, via, reason) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![hold.since.as_millisecond(), hold.actor.id, hold.actor.via, hold.reason])?;
            Ok(None)
        })
    }

    /// Lifts the hold; gives it, or `None` if there was none.
    pub fn lift_hold(&self, actor: Actor, at: Timestamp) -> Ticket<Option<Hold>> {
        self.write(nobodys(), Terms::DURABLE, move |db| {
            let Some(on) = last(db)?.and_then(LastHold::on) else { return Ok(None) };
            db.prepare_cached(
                "UPDATE holds SET lifted_at = ?1, lifted_by = ?2, lifted_via = ?3 WHERE lifted_at IS NULL",
            )?
            .execute(params![at.as_millisecond(), actor.id, actor.via])?;
            Ok(Some(on))
        })
    }

    /// The newest hold, also if it was lifted. A few microseconds.
    ///
    /// # Errors
    /// What reading met.
    pub fn last_hold(&self) -> Result<Option<LastHold>, Error> {
        self.glimpse(last)
    }
}

/// A request of the whole store belongs to no run.
pub(super) fn nobodys() -> RunId {
    RunId::new(uuid::Uuid::nil())
}

/// The hold that is on.
pub(super) fn on(db: &Connection) -> Result<Option<Hold>, Failure> {
    Ok(last(db)?.and_then(LastHold::on))
}

pub(super) fn last(db: &Connection) -> Result<Option<LastHold>, Failure> {
    let time = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(db
        .prepare_cached(
            "SELECT since, actor, via, reason, lifted_at, lifted_by, lifted_via FROM holds
             ORDER BY number DESC LIMIT 1",
        )?
        .query_row([], |row| {
            let lifted_at: Option<i64> = row.get(4)?;
            let lifted = match lifted_at {
                Some(at) => Some((Actor::new(row.get::<_, String>(5)?, row.get::<_, String>(6)?), time(at))),
                None => None,
            };
            let actor = Actor::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?);
            Ok(LastHold { hold: Hold { actor, since: time(row.get(0)?), reason: row.get(3)? }, lifted })
        })
        .optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{actor, store};

    fn hold(by: &str, reason: &str) -> Hold {
        Hold { actor: actor(by), since: "2026-11-01T10:00:00Z".parse().unwrap(), reason: reason.into() }
    }

    #[test]
    fn the_first_hold_stays_until_it_is_lifted_and_is_then_remembered() {
        let (base, store) = store();
        assert_eq!(store.last_hold().unwrap(), None);
        let mut seen = None;
        store.news(nobodys(), &mut seen).unwrap();
        assert_eq!(store.put_on_hold(hold("ana", "freeze")).wait().unwrap(), None);
        let told = store.news(nobodys(), &mut seen).unwrap().and_then(|news| news.hold).and_then(LastHold::on);
        assert_eq!(told, Some(hold("ana", "freeze")), "drivers are told");
        let first = Some(hold("ana", "freeze"));
        assert_eq!(store.put_on_hold(hold("ben", "mine")).wait().unwrap(), first);
        drop(store);
        let store = Store::open(&base.path().join("store")).unwrap();
        assert_eq!(store.last_hold().unwrap().and_then(LastHold::on), first);

        let at = "2026-11-01T11:00:00Z".parse().unwrap();
        assert_eq!(store.lift_hold(actor("ben"), at).wait().unwrap(), first);
        assert_eq!(store.lift_hold(actor("ben"), at).wait().unwrap(), None);
        let last = store.last_hold().unwrap().unwrap();
        assert_eq!((last.lifted.clone(), last.on()), (Some((actor("ben"), at)), None));
        assert_eq!(store.put_on_hold(hold("ben", "again")).wait().unwrap(), None);
        assert_eq!(store.last_hold().unwrap().and_then(LastHold::on), Some(hold("ben", "again")));
    }

    #[test]
    fn two_holds_at_once_are_impossible() {
        let (_base, store) = store();
        store.put_on_hold(hold("ana", "freeze")).wait().unwrap();
        let second = "INSERT INTO holds (since, actor, via, reason) VALUES (1, 'x', 'cli', 'y')";
        assert!(crate::journal::testkit::sql(&store).execute(second, []).is_err());
    }
}
