//! `kill -9` at any moment loses no acknowledged event.

use rerail::journal::{Store, verify};

use super::kit::{Other, new_run};

/// Rounds of killing; each takes a few milliseconds.
const ROUNDS: u64 = 60;

#[test]
fn killed_at_random_no_acknowledged_event_is_lost() {
    let seed = std::env::var("RERAIL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        u64::from(std::process::id()) ^ u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap()
    });
    println!("RERAIL_SEED={seed}");
    let mut random = seed | 1;
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let store = Store::open(&dir).unwrap();
    let run = new_run();
    let mut unacknowledged = 0;
    for round in 0..ROUNDS {
        // xorshift: good enough to pick a moment.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut other = Other::start(&[], "append-until-killed", &dir, run);
        let mut last = None;
        for _ in 0..random % 12 {
            last = other.hears().or(last);
        }
        // The child goes on appending while it is being killed.
        let rest = other.kill();
        let acknowledged: Option<u64> = rest.last().or(last.as_ref()).and_then(|said| said.parse().ok());

        let there = match store.events(run) {
            Ok(events) => events.len() as u64,
            Err(rerail::journal::Error::NoRun { .. }) => 0,
            Err(error) => panic!("round {round}: {error}"),
        };
        let promised = acknowledged.map_or(0, |seq| seq + 1);
        assert!(there >= promised, "round {round}: {promised} events were acknowledged, {there} are there");
        unacknowledged += there - promised.min(there);
    }
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(report.events > ROUNDS, "the children did work: {} events", report.events);
    println!("{} events, at times {unacknowledged} more than acknowledged", report.events);
}

/// F1: dies at every crash point there is, one after the other.
#[cfg(feature = "failpoints")]
#[test]
fn killed_at_every_crash_point_no_acknowledged_event_is_lost() {
    let base = tempfile::tempdir().unwrap();
    let log = base.path().join("points");
    let mut deaths = 0;
    for k in 1u64.. {
        let dir = base.path().join(format!("store-{k}"));
        let run = new_run();
        let (at, to) = (format!("RERAIL_CRASH_AT={k}"), format!("RERAIL_CRASH_LOG={}", log.display()));
        let wrapper = ["env", at.as_str(), to.as_str()];
        let mut other = Other::start(&wrapper, "append-five", &dir, run);
        let mut acknowledged = 0;
        let mut ended = false;
        while let Some(said) = other.hears() {
            match said.parse::<u64>() {
                Ok(seq) => acknowledged = seq + 1,
                Err(_) => ended = true,
            }
        }
        let store = Store::open(&dir).unwrap();
        let there = store.events(run).map_or(0, |events| events.len() as u64);
        assert!(there == acknowledged || there == acknowledged + 1, "point {k}: {there} of {acknowledged}");
        assert!(verify(&store, None).unwrap().is_clean(), "point {k}");
        if ended {
            break;
        }
        deaths += 1;
    }
    let points = std::fs::read_to_string(log).unwrap();
    for point in ["journal.append.before", "journal.append.queued", "journal.commit.before", "journal.commit.after"] {
        assert!(points.contains(point), "{point} was never passed");
    }
    assert!(deaths >= 20, "{deaths}");
}
