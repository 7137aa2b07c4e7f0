//! What a server was asked to do under a key its client chose, and what it answered: so that a request that is sent
//! again is answered again, and done once.
//!
//! A claim costs no flush of its own: it is in the log before whatever is done for it, so that where that is durable
//! the claim is as well.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::ids::RunId;
use crate::journal::error::{Error, Failure};
use crate::journal::hold::nobodys;
use crate::journal::store::{Store, Terms};
use crate::journal::ticket::Ticket;

/// How long a key is remembered: longer than any client tries again, short enough for a small table.
pub const KEPT_DAYS: i64 = 7;

/// A request as it is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The directory of the project it is of; empty without one.
    pub project: String,
    /// Whose key it is: two people may choose the same.
    pub person: String,
    pub key: String,
    /// Of what is asked for: another request under the same key is a mistake.
    pub digest: String,
    /// The run that it begins, if it begins one and nobody has claimed it before.
    pub run: RunId,
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It was never seen; now it has begun.
    New,
    /// It has begun and was never answered: it is under way, or its server is gone.
    Begun {
        run: RunId,
    },
    Answered {
        status: u16,
        body: String,
    },
    /// The key was used for something else.
    Other,
}

impl Store {
    /// Claims a key. Keys that are too old are forgotten on the way.
    pub fn claim_request(&self, request: &Request) -> Ticket<Claimed> {
        let request = request.clone();
        self.write(nobodys(), Terms::RELAXED, move |db| claim(db, &request, Timestamp::now()))
    }

    /// Records what a request was answered with.
    pub fn answer_request(&self, request: &Request, status: u16, body: &str) -> Ticket<()> {
        let (request, body) = (request.clone(), body.to_owned());
        self.write(nobodys(), Terms::RELAXED, move |db| {
            db.prepare_cached(
                "UPDATE requests SET status = ?4, body = ?5 WHERE project = ?1 AND caller = ?2 AND key = ?3",
            )?
            .execute(params![request.project, request.person, request.key, status, body])?;
            Ok(())
        })
    }

    /// Gives a key back of which nothing came: it may be used for a better request.
    pub fn forget_request(&self, request: &Request) -> Ticket<()> {
        let request = request.clone();
        self.write(nobodys(), Terms::RELAXED, move |db| {
            db.prepare_cached(
                "DELETE FROM requests WHERE project = ?1 AND caller = ?2 AND key = ?3 AND status IS NULL",
            )?
            .execute(params![request.project, request.person, request.key])?;
            Ok(())
        })
    }

    /// What is known of a request, without claiming its key; nothing if it was never seen.
    ///
    /// # Errors
    /// What reading met.
    pub fn request(&self, request: &Request) -> Result<Option<Claimed>, Error> {
        self.glimpse(|db| known(db, request))
    }
}

fn claim(db: &Connection, request: &Request, now: Timestamp) -> Result<Claimed, Failure> {
    let oldest = now.as_millisecond() - KEPT_DAYS * 24 * 60 * 60 * 1000;
    db.prepare_cached("DELETE FROM requests WHERE at < ?1")?.execute([oldest])?;
    if let Some(known) = known(db, request)? {
        return Ok(known);
    }
    let Request { project, person, key, digest, run } = request;
    db.prepare_cached("INSERT INTO requests (project, caller, key, digest, run, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![project, person, key, digest, run.uuid(), now.as_millisecond()])?;
    Ok(Claimed::New)
}

fn known(db: &Connection, request: &Request) -> Result<Option<Claimed>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT digest, run, status, body FROM requests WHERE project = ?1 AND caller = ?2 AND key = ?3",
    )?;
    let row = select
        .query_row(params![request.project, request.person, request.key], |row| {
            let columns: (String, String, Option<u16>, Option<String>) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(columns)
        })
        .optional()?;
    Ok(row.map(|(digest, run, status, body)| match (status, body) {
        _ if digest != request.digest => Claimed::Other,
        (Some(status), Some(body)) => Claimed::Answered { status, body },
        _ => Claimed::Begun { run: run.parse().unwrap_or(request.run) },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{new_run, sql, store};

    fn request(person: &str, key: &str, digest: &str) -> Request {
        Request {
            project: "/srv/shop".into(),
            person: person.into(),
            key: key.into(),
            digest: digest.into(),
            run: new_run(),
        }
    }

    #[test]
    fn a_request_that_is_sent_again_is_the_one_that_was_claimed() {
        let (_base, store) = store();
        let first = request("ana", "k", "d");
        let claim = |request: &Request| store.claim_request(request).wait().unwrap();
        assert_eq!(store.request(&first).unwrap(), None);
        assert_eq!(claim(&first), Claimed::New);
        assert_eq!(claim(&request("ana", "k", "d")), Claimed::Begun { run: first.run });
        assert_eq!(claim(&request("ana", "k", "e")), Claimed::Other);
        assert_eq!(claim(&request("ben", "k", "e")), Claimed::New, "the key is ana's alone");
        let elsewhere = Request { project: "/srv/bank".into(), ..request("ana", "k", "e") };
        assert_eq!(claim(&elsewhere), Claimed::New, "and of this project");
        store.answer_request(&first, 201, "{}").wait().unwrap();
        assert_eq!(claim(&first), Claimed::Answered { status: 201, body: "{}".into() });
        store.forget_request(&first).wait().unwrap();
        assert!(matches!(claim(&first), Claimed::Answered { .. }), "what was answered is never forgotten by mistake");
        assert_eq!(store.request(&request("ana", "k", "e")).unwrap(), Some(Claimed::Other));
    }

    #[test]
    fn a_key_of_which_nothing_came_may_be_used_again_and_an_old_one_as_well() {
        let (_base, store) = store();
        let claim = |request: &Request| store.claim_request(request).wait().unwrap();
        assert_eq!(claim(&request("ana", "k", "d")), Claimed::New);
        store.forget_request(&request("ana", "k", "d")).wait().unwrap();
        assert_eq!(claim(&request("ana", "k", "other")), Claimed::New);
        sql(&store).execute("UPDATE requests SET at = at - 1000 * 60 * 60 * 24 * 7 - 1", []).unwrap();
        assert_eq!(claim(&request("ana", "k", "d")), Claimed::New);
    }
}
