//! What programs sent to a server: durable before it is answered, so that it may be answered at once; worked through
//! afterwards, by whichever server of the store comes to it, also after a kill.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::ids::RunId;
use crate::journal::error::Failure;
use crate::journal::hold::nobodys;
use crate::journal::requests::KEPT_DAYS;
use crate::journal::store::{Store, Terms};
use crate::journal::ticket::Ticket;

/// How long one server has a delivery for itself without saying that it still works on it: what is lost when a server is
/// killed in the middle.
pub const TAKEN_FOR: Duration = Duration::from_secs(2);

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The directory of the project it is for; empty for one of none.
    pub project: String,
    /// Which kind of program sent it.
    pub source: String,
    /// What that program calls this delivery: the same when it is sent again.
    pub id: String,
    /// Sealed.
    pub body: Vec<u8>,
    /// The run that it may begin, if it was not received before.
    pub run: RunId,
}

/// A delivery that somebody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenUp {
    pub number: i64,
    pub sent: Sent,
    pub at: Timestamp,
    /// How often it was taken up, with this time.
    pub tries: u32,
}

/// Those that can be taken up: a look at the open ones, in their order, until there are enough.
const DUE: &str = "SELECT count(*) FROM
    (SELECT 1 FROM deliveries WHERE project = ?3 AND done_at IS NULL AND not_before <= ?1 ORDER BY number LIMIT ?2)";

/// Takes the first of them up.
const TAKE_UP: &str = "UPDATE deliveries SET taker = ?1, not_before = ?3, tries = tries + 1 WHERE number =
    (SELECT number FROM deliveries WHERE project = ?4 AND done_at IS NULL AND not_before <= ?2 ORDER BY number LIMIT 1)
    RETURNING number, sender, id, body, run, at, tries";

impl Store {
    /// Keeps what was sent; says whether it is new. Durable once answered. Old ones that were worked through are forgotten
    /// on the way.
    pub fn receive(&self, sent: &Sent) -> Ticket<bool> {
        let sent = sent.clone();
        self.write(nobodys(), Terms::DURABLE, move |db| {
            let now = Timestamp::now().as_millisecond();
            db.prepare_cached("DELETE FROM deliveries WHERE done_at < ?1")?
                .execute([now - KEPT_DAYS * 24 * 60 * 60 * 1000])?;
            let new = db
                .prepare_cached(
                    "INSERT INTO deliveries (project, sender, id, at, run, body, not_before, tries)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0) ON CONFLICT DO NOTHING",
                )?
                .execute(params![sent.project, sent.source, sent.id, now, sent.run.uuid(), sent.body])?;
            Ok(new == 1)
        })
    }

    /// Takes the oldest delivery of a project up that nobody works on.
    pub fn take_up_delivery(&self, taker: &str, project: &str) -> Ticket<Option<TakenUp>> {
        let (taker, project) = (taker.to_owned(), project.to_owned());
        self.write(nobodys(), Terms::RELAXED, move |db| take_up(db, &taker, &project, Timestamp::now()))
    }

    /// Says that this taker still works on what it has taken up.
    pub fn keep_deliveries(&self, taker: &str) -> Ticket<()> {
        let taker = taker.to_owned();
        self.write(nobodys(), Terms::RELAXED, move |db| {
            db.prepare_cached("UPDATE deliveries SET not_before = ?2 WHERE done_at IS NULL AND taker = ?1")?
                .execute(params![taker, until(Timestamp::now(), TAKEN_FOR)])?;
            Ok(())
        })
    }

    /// Records what a delivery came to; nobody takes it up again.
    pub fn settle_delivery(&self, number: i64, came_to: &str) -> Ticket<()> {
        let came_to = came_to.to_owned();
        self.write(nobodys(), Terms::RELAXED, move |db| {
            db.prepare_cached(
                "UPDATE deliveries SET done_at = ?2, came_to = ?3, body = NULL, taker = NULL WHERE number = ?1",
            )?
            .execute(params![number, Timestamp::now().as_millisecond(), came_to])?;
            Ok(())
        })
    }

    /// Puts a delivery back, for anybody to take up after a while.
    pub fn put_back_delivery(&self, number: i64, after: Duration) -> Ticket<()> {
        self.write(nobodys(), Terms::RELAXED, move |db| {
            db.prepare_cached("UPDATE deliveries SET taker = NULL, not_before = ?2 WHERE number = ?1")?
                .execute(params![number, until(Timestamp::now(), after)])?;
            Ok(())
        })
    }

    /// How many deliveries of a project somebody could take up now, counted up to `at_most`.
    ///
    /// # Errors
    /// What reading met.
    pub fn due_deliveries(&self, project: &str, at_most: usize) -> Result<usize, crate::journal::Error> {
        self.glimpse(|db| {
            let now = Timestamp::now().as_millisecond();
            Ok(db.prepare_cached(DUE)?.query_row(params![now, at_most, project], |row| row.get(0))?)
        })
    }

    /// How many deliveries of a project wait to be worked through.
    ///
    /// # Errors
    /// What reading met.
    pub fn open_deliveries(&self, project: &str) -> Result<u64, crate::journal::Error> {
        self.glimpse(|db| {
            let mut select =
                db.prepare_cached("SELECT count(*) FROM deliveries WHERE project = ?1 AND done_at IS NULL")?;
            Ok(select.query_row([project], |row| row.get(0))?)
        })
    }
}

fn take_up(db: &Connection, taker: &str, project: &str, now: Timestamp) -> Result<Option<TakenUp>, Failure> {
    let found = db
        .prepare_cached(TAKE_UP)?
        .query_row(params![taker, now.as_millisecond(), until(now, TAKEN_FOR), project], |row| {
            let texts: (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let rest: (Option<Vec<u8>>, String, i64, u32) = (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
            Ok((texts, rest))
        })
        .optional()?;
    Ok(found.map(|((number, source, id), (body, run, at, tries))| TakenUp {
        number,
        // Never another name than what was written: a run that can't be named can't be begun twice.
        sent: Sent {
            project: project.to_owned(),
            source,
            id,
            body: body.unwrap_or_default(),
            run: run.parse().unwrap_or_else(|_| nobodys()),
        },
        at: Timestamp::from_millisecond(at).unwrap_or(now),
        tries,
    }))
}

fn until(now: Timestamp, after: Duration) -> i64 {
    now.as_millisecond().saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{new_run, sql, store};

    fn sent(id: &str) -> Sent {
        Sent { project: String::new(), source: "alerts".into(), id: id.into(), body: vec![1, 2], run: new_run() }
    }

    #[test]
    fn what_is_sent_again_is_received_once_and_worked_through_in_order() {
        let (_base, store) = store();
        let (one, two) = (sent("1"), sent("2"));
        assert!(store.receive(&one).wait().unwrap());
        assert!(!store.receive(&Sent { run: new_run(), ..one.clone() }).wait().unwrap());
        assert!(store.receive(&Sent { source: "chat".into(), ..one.clone() }).wait().unwrap(), "of another source");
        assert!(store.receive(&two).wait().unwrap());
        assert_eq!([2, 9].map(|at_most| store.due_deliveries("", at_most).unwrap()), [2, 3]);
        let take = |taker: &str| store.take_up_delivery(taker, "").wait().unwrap();
        let first = take("a").unwrap();
        assert_eq!((first.sent.clone(), first.tries), (one.clone(), 1));
        assert_eq!(take("b").unwrap().sent.source, "chat");
        assert_eq!(take("a").unwrap().sent, two);
        assert_eq!(take("a"), None);
        assert_eq!((store.open_deliveries("").unwrap(), store.due_deliveries("", 9).unwrap()), (3, 0));
        store.settle_delivery(first.number, "started").wait().unwrap();
        assert_eq!(store.open_deliveries("").unwrap(), 2);
        assert!(!store.receive(&one).wait().unwrap(), "it is known, also when it is done");
        let kept: Option<Vec<u8>> = sql(&store)
            .query_row("SELECT body FROM deliveries WHERE number = ?1", [first.number], |r| r.get(0))
            .unwrap();
        assert_eq!(kept, None, "nothing of it is kept for longer than it is needed");
    }

    #[test]
    fn what_was_sent_to_one_project_is_worked_through_by_no_other() {
        let (_base, store) = store();
        let of = |project: &str| Sent { project: project.to_owned(), ..sent("1") };
        let (shop, bank) = (of("/srv/shop"), of("/srv/bank"));
        assert!(store.receive(&shop).wait().unwrap() && store.receive(&bank).wait().unwrap());
        let take = |of: &str| store.take_up_delivery("a", of).wait().unwrap().map(|taken| taken.sent);
        let open = |of: &str| (store.open_deliveries(of).unwrap(), store.due_deliveries(of, 9).unwrap());
        assert_eq!(["", "/srv/ban", "/srv/bank", "srv/bank"].map(open), [(0, 0), (0, 0), (1, 1), (0, 0)]);
        assert_eq!((take(""), take("/srv"), take("srv/bank")), (None, None, None));
        assert_eq!(take("/srv/bank"), Some(bank));
        assert_eq!((take("/srv/bank"), take("/srv/shop")), (None, Some(shop)));
    }

    #[test]
    fn what_a_killed_server_worked_on_is_taken_up_under_the_same_run() {
        let (_base, store) = store();
        let one = sent("1");
        assert!(store.receive(&one).wait().unwrap());
        let take = |taker: &str| store.take_up_delivery(taker, "").wait().unwrap();
        assert!(take("a").is_some());
        assert_eq!(take("b"), None);
        let pass = || sql(&store).execute("UPDATE deliveries SET not_before = not_before - 2001", []).unwrap();
        pass();
        store.keep_deliveries("a").wait().unwrap();
        assert_eq!(take("b"), None, "it is still worked on");
        pass();
        let again = take("b").unwrap();
        assert_eq!((again.sent.run, again.tries), (one.run, 2));
        store.put_back_delivery(again.number, Duration::from_secs(2)).wait().unwrap();
        assert_eq!(take("b"), None);
        pass();
        assert!(take("c").is_some());
    }

    #[test]
    fn what_was_worked_through_before_is_not_looked_through_for_the_next() {
        let (_base, store) = store();
        let db = sql(&store);
        for query in [DUE, TAKE_UP] {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
            let given = std::iter::repeat_n(0, plan.parameter_count());
            let rows = plan.query_map(rusqlite::params_from_iter(given), |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<String> = rows.map(Result::unwrap).filter(|step| step.contains("deliveries")).collect();
            let good = |step: &String| step.contains("deliveries_open") || step.contains("rowid=?");
            assert!(!steps.is_empty() && steps.iter().all(good), "{steps:?}");
        }
    }

    #[test]
    fn an_old_one_is_forgotten_only_if_it_was_worked_through() {
        let (_base, store) = store();
        let (done, open) = (sent("done"), sent("open"));
        assert!(store.receive(&done).wait().unwrap() && store.receive(&open).wait().unwrap());
        let taken = store.take_up_delivery("a", "").wait().unwrap().unwrap();
        store.settle_delivery(taken.number, "").wait().unwrap();
        let week = "UPDATE deliveries SET at = at - 604800001, done_at = done_at - 604800001";
        sql(&store).execute(week, []).unwrap();
        assert!(!store.receive(&open).wait().unwrap());
        assert!(store.receive(&done).wait().unwrap());
    }
}
