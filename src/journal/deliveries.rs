//! What programs sent to a server: durable before it is answered, so that it may be answered at once; worked through
//! afterwards, by whichever server of the store comes to it, also after a kill.
//!
//! Side by side, but for those of one matter: of these the next waits until the one before is worked through. Which may be
//! taken up is known when one comes in and when one is settled, so that a thousand which wait cost nobody anything.

use std::collections::BTreeSet;
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
/// The longest time for which a delivery is put back. What seems to be put back for longer was so by a clock that has been
/// set back since, and is due: else it, and what waits for it, would wait until the clock is there again.
pub const PUT_BACK_MAX: Duration = Duration::from_secs(60);

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
    /// What it is about. It waits for earlier ones of its sender that are about any of the same; about nothing it waits for
    /// nobody.
    pub matters: BTreeSet<String>,
}

/// Whether one that is put back is still waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Keeps,
    /// Later ones of its matters are worked through before it.
    Loses,
}

/// A delivery that somebody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenUp {
    pub number: i64,
    /// Without its matters: nobody who works on it needs them.
    pub sent: Sent,
    pub at: Timestamp,
    /// How often it was taken up, with this time.
    pub tries: u32,
}

/// Those that can be taken up: a look at those nobody is ahead of, in their order, until there are enough.
const DUE: &str = "SELECT count(*) FROM (SELECT 1 FROM deliveries
    WHERE project = ?4 AND done_at IS NULL AND ahead = 0 AND (not_before <= ?1 OR not_before > ?2)
    ORDER BY number LIMIT ?3)";

/// Takes the first of them up.
const TAKE_UP: &str = "UPDATE deliveries SET taker = ?4, not_before = ?5, tries = tries + 1 WHERE number =
    (SELECT number FROM deliveries
        WHERE project = ?3 AND done_at IS NULL AND ahead = 0 AND (not_before <= ?1 OR not_before > ?2)
        ORDER BY number LIMIT 1)
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
            let Sent { project, source, id, body, run, matters } = &sent;
            let mut ahead = 0_u32;
            for matter in matters {
                ahead += db
                    .prepare_cached(
                        "SELECT EXISTS (SELECT 1 FROM matters WHERE project = ?1 AND sender = ?2 AND matter = ?3)",
                    )?
                    .query_row(params![project, source, matter], |row| row.get::<_, u32>(0))?;
            }
            let new = db
                .prepare_cached(
                    "INSERT INTO deliveries (project, sender, id, at, run, body, not_before, tries, ahead)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7) ON CONFLICT DO NOTHING",
                )?
                .execute(params![project, source, id, now, run.uuid(), body, ahead])?;
            if new == 0 {
                return Ok(false);
            }
            let number = db.last_insert_rowid();
            for matter in matters {
                db.prepare_cached("INSERT INTO matters (project, sender, matter, number) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![project, source, matter, number])?;
            }
            Ok(true)
        })
    }

    /// Takes the oldest delivery of a project up that nobody works on and that waits for no other.
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

    /// Records what a delivery came to; nobody takes it up again, and what has waited for it may be.
    pub fn settle_delivery(&self, number: i64, came_to: &str) -> Ticket<()> {
        let came_to = came_to.to_owned();
        self.write(nobodys(), Terms::RELAXED, move |db| {
            db.prepare_cached(
                "UPDATE deliveries SET done_at = ?2, came_to = ?3, body = NULL, taker = NULL WHERE number = ?1",
            )?
            .execute(params![number, Timestamp::now().as_millisecond(), came_to])?;
            let_pass(db, number)
        })
    }

    /// Puts a delivery back, for anybody to take up after a while of [`PUT_BACK_MAX`] at most.
    pub fn put_back_delivery(&self, number: i64, after: Duration, turn: Turn) -> Ticket<()> {
        self.write(nobodys(), Terms::RELAXED, move |db| {
            db.prepare_cached("UPDATE deliveries SET taker = NULL, not_before = ?2 WHERE number = ?1")?
                .execute(params![number, until(Timestamp::now(), after.min(PUT_BACK_MAX))])?;
            match turn {
                Turn::Keeps => Ok(()),
                Turn::Loses => let_pass(db, number),
            }
        })
    }

    /// How many deliveries of a project somebody could take up now, counted up to `at_most`.
    ///
    /// # Errors
    /// What reading met.
    pub fn due_deliveries(&self, project: &str, at_most: usize) -> Result<usize, crate::journal::Error> {
        self.glimpse(|db| {
            let now = Timestamp::now();
            let given = params![now.as_millisecond(), until(now, PUT_BACK_MAX), at_most, project];
            Ok(db.prepare_cached(DUE)?.query_row(given, |row| row.get(0))?)
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
    let far = until(now, PUT_BACK_MAX);
    let given = params![now.as_millisecond(), far, project, taker, until(now, TAKEN_FOR)];
    let found = db
        .prepare_cached(TAKE_UP)?
        .query_row(given, |row| {
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
            matters: BTreeSet::new(),
        },
        at: Timestamp::from_millisecond(at).unwrap_or(now),
        tries,
    }))
}

/// Nobody waits for this one any more: of each of its matters the next one has nobody ahead of it, if this was the first.
fn let_pass(db: &Connection, number: i64) -> Result<(), Failure> {
    let mut delete = db.prepare_cached("DELETE FROM matters WHERE number = ?1 RETURNING project, sender, matter")?;
    let left = delete.query_map([number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let left: Vec<(String, String, String)> = left.collect::<Result<_, _>>()?;
    for (project, sender, matter) in left {
        db.prepare_cached(
            "UPDATE deliveries SET ahead = ahead - 1 WHERE number > ?4 AND number =
                (SELECT min(number) FROM matters WHERE project = ?1 AND sender = ?2 AND matter = ?3)",
        )?
        .execute(params![project, sender, matter, number])?;
    }
    // Without matters it waits for nobody either.
    db.prepare_cached("UPDATE deliveries SET ahead = 0 WHERE number = ?1 AND ahead > 0")?.execute([number])?;
    Ok(())
}

fn until(now: Timestamp, after: Duration) -> i64 {
    now.as_millisecond().saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{new_run, sql, store};

    fn sent(id: &str) -> Sent {
        Sent {
            project: String::new(),
            source: "alerts".into(),
            id: id.into(),
            body: vec![1, 2],
            run: new_run(),
            matters: BTreeSet::new(),
        }
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
        store.put_back_delivery(again.number, Duration::from_secs(2), Turn::Keeps).wait().unwrap();
        assert_eq!(take("b"), None);
        pass();
        assert!(take("c").is_some());
    }

    /// One of these matters; works through deliveries by their ids.
    fn about(id: &str, matters: &[&str]) -> Sent {
        Sent { matters: matters.iter().map(|matter| (*matter).to_owned()).collect(), ..sent(id) }
    }

    fn ids(store: &Store) -> Vec<(String, i64)> {
        let take = || store.take_up_delivery("a", "").wait().unwrap();
        std::iter::from_fn(take).map(|taken| (taken.sent.id, taken.number)).collect()
    }

    fn names(taken: &[(String, i64)]) -> Vec<&str> {
        taken.iter().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn of_one_matter_the_next_waits_for_the_one_before_and_others_do_not() {
        let (_base, store) = store();
        for one in [
            about("1", &["a"]),
            about("2", &["a"]),
            about("3", &["b"]),
            about("4", &["a", "b"]),
            about("5", &["b"]),
            about("6", &[]),
            Sent { source: "chat".into(), ..about("7", &["a"]) },
        ] {
            assert!(store.receive(&one).wait().unwrap());
            assert!(!store.receive(&one).wait().unwrap(), "again");
        }
        let settle = |number: i64| store.settle_delivery(number, "").wait().unwrap();
        let first = ids(&store);
        assert_eq!(names(&first), ["1", "3", "6", "7"]);
        settle(first[1].1);
        assert_eq!(ids(&store), [], "4 is about a as well");
        settle(first[0].1);
        let second = ids(&store);
        assert_eq!(names(&second), ["2"]);
        settle(first[0].1);
        assert_eq!(ids(&store), [], "settled twice lets nobody pass");
        settle(second[0].1);
        let fourth = ids(&store);
        assert_eq!(names(&fourth), ["4"]);
        assert!(store.receive(&about("8", &["a"])).wait().unwrap());
        assert_eq!(ids(&store), []);
        settle(fourth[0].1);
        let last = ids(&store);
        assert_eq!(names(&last), ["5", "8"]);
        for (_, number) in last {
            settle(number);
        }
        assert!(store.receive(&about("9", &["a", "b"])).wait().unwrap());
        assert_eq!(names(&ids(&store)), ["9"]);
        let rows: u64 = sql(&store).query_row("SELECT count(*) FROM matters", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 3, "of 7 and 9: nothing is kept of what is done");
    }

    #[test]
    fn what_is_put_back_is_waited_for_until_it_loses_its_turn() {
        let (_base, store) = store();
        for id in ["1", "2", "3"] {
            assert!(store.receive(&about(id, &["a"])).wait().unwrap());
        }
        let put_back = |number: i64, turn| store.put_back_delivery(number, TAKEN_FOR, turn).wait().unwrap();
        let pass = || sql(&store).execute("UPDATE deliveries SET not_before = not_before - 2001", []).unwrap();
        let first = ids(&store);
        assert_eq!(names(&first), ["1"]);
        put_back(first[0].1, Turn::Keeps);
        assert_eq!(ids(&store), []);
        pass();
        assert_eq!(ids(&store), first);
        put_back(first[0].1, Turn::Loses);
        let second = ids(&store);
        assert_eq!(names(&second), ["2"]);
        pass();
        assert_eq!(names(&ids(&store)), ["1", "2"], "and as if its server was killed: both, side by side");
        store.settle_delivery(first[0].1, "").wait().unwrap();
        assert_eq!(ids(&store), [], "3 waits for 2");
        store.settle_delivery(second[0].1, "").wait().unwrap();
        assert_eq!(names(&ids(&store)), ["3"]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_wait() {
        let (_base, store) = store();
        assert!(store.receive(&sent("1")).wait().unwrap());
        let set_back = |seconds: u32| {
            let change = format!("UPDATE deliveries SET not_before = not_before + {seconds} * 1000");
            sql(&store).execute(&change, []).unwrap();
        };
        assert_eq!(ids(&store).len(), 1);
        set_back(30);
        assert_eq!((store.due_deliveries("", 9).unwrap(), ids(&store).len()), (0, 0), "as far as it may be put back");
        set_back(60);
        assert_eq!((store.due_deliveries("", 9).unwrap(), ids(&store).len()), (1, 1));
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
            let good = |step: &String| step.contains("deliveries_next") || step.contains("rowid=?");
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
