//! Whether a schedule is due: plain arithmetic over its times, its state and the moment.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

use crate::runbook::triggers::{CATCH_UP_MAX, CatchUp, Overlap, Schedule};
use crate::surfaces::schedules::state::State;

/// How late a time may be and still count as on time: a server that was busy, or restarted.
const LATE: SignedDuration = SignedDuration::from_secs(60);

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// The run of this time begins.
    Now {
        at: Timestamp,
        said: String,
    },
    /// This time waits for the end of the run before.
    Waits {
        at: Timestamp,
        said: String,
    },
    /// Times up to this one are done with, and nothing began.
    LeftOut {
        last: Timestamp,
        said: String,
    },
}

/// Decides; `busy` says whether its last run is still open.
pub fn due(schedule: &Schedule, zone: &TimeZone, key: &str, state: &State, busy: bool, now: Timestamp) -> Due {
    // One more than are caught up, so that it shows if there are more.
    let since = state.last.unwrap_or(state.since);
    let (times, more) = schedule.cron.between(zone, since, now, CATCH_UP_MAX);
    let comes = |at: Timestamp| at.checked_add(jitter(key, at, schedule.jitter)).unwrap_or(at);
    let times: Vec<Timestamp> = times.into_iter().take_while(|at| comes(*at) <= now).collect();
    let missed = |count: usize| match (count, more) {
        (0, _) => String::new(),
        (count, false) => format!("{count} missed while no server ran"),
        (count, true) => format!("more than {count} missed while no server ran"),
    };
    let Some(newest) = times.last().copied() else {
        return match state.waits {
            Some(at) if !busy => Due::Now { at: at.max(since), said: "waited for the run before".to_owned() },
            _ => Due::Nothing,
        };
    };
    let on_time = |at: Timestamp| now.duration_since(comes(at)) <= LATE;
    let late = times.iter().filter(|at| !on_time(**at)).count();
    let open = || "the run before is still open".to_owned();
    if busy && schedule.overlap == Overlap::Cancel && late == 0 {
        return Due::Waits { at: newest, said: "the run before is cancelled first".to_owned() };
    }
    // Each of those that are caught up has its turn, whatever is said of times that come while a run is open.
    if busy && (schedule.overlap == Overlap::Wait || (schedule.catch_up == CatchUp::All && late > 0)) {
        return match schedule.catch_up {
            CatchUp::All => Due::Nothing,
            CatchUp::None | CatchUp::Once => Due::Waits { at: newest, said: open() },
        };
    }
    if let Some(waited) = state.waits {
        return Due::Now { at: newest.max(waited), said: "waited for the run before".to_owned() };
    }
    if busy {
        return Due::LeftOut { last: newest, said: format!("left out at {newest}: {}", open()) };
    }
    match schedule.catch_up {
        CatchUp::All => Due::Now { at: times[0], said: missed(if more { late } else { 0 }) },
        CatchUp::Once => Due::Now { at: newest, said: missed(late.saturating_sub(usize::from(!on_time(newest)))) },
        CatchUp::None if on_time(newest) => Due::Now { at: newest, said: missed(late) },
        CatchUp::None => Due::LeftOut { last: newest, said: missed(late) },
    }
}

/// How much later a time comes: the same on every server, and another for the next time.
pub fn jitter(key: &str, at: Timestamp, most: Duration) -> SignedDuration {
    let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    if most_ms == 0 {
        return SignedDuration::ZERO;
    }
    let mut digest = Sha256::new();
    digest.update(key.as_bytes());
    digest.update(at.as_second().to_be_bytes());
    let bytes: [u8; 32] = digest.finalize().into();
    let chance = bytes[..8].iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    SignedDuration::from_millis(i64::try_from(chance % (most_ms + 1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::source::{Span, Spanned};
    use crate::runbook::triggers::Cron;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    fn schedule(catch_up: CatchUp, overlap: Overlap) -> Schedule {
        let time_zone = Spanned::new("UTC".to_owned(), Span::default());
        Schedule { cron: Cron::read("*/5 * * * *").unwrap(), time_zone, catch_up, jitter: Duration::ZERO, overlap }
    }

    fn now(catch_up: CatchUp, overlap: Overlap, last: &str, busy: bool, moment: &str) -> Due {
        let state = State { last: Some(at(last)), ..State::since(at("00:00:00")) };
        due(&schedule(catch_up, overlap), &TimeZone::UTC, "k", &state, busy, at(moment))
    }

    fn starts(due: &Due) -> Option<Timestamp> {
        match due {
            Due::Now { at, .. } => Some(*at),
            _ => None,
        }
    }

    #[test]
    fn a_time_comes_when_it_is_there_and_once() {
        for catch_up in [CatchUp::None, CatchUp::Once, CatchUp::All] {
            let plain = |last, moment| now(catch_up, Overlap::Skip, last, false, moment);
            assert_eq!(plain("00:05:00", "00:09:59"), Due::Nothing);
            assert_eq!(starts(&plain("00:05:00", "00:10:00")), Some(at("00:10:00")));
            assert_eq!(starts(&plain("00:05:00", "00:10:59")), Some(at("00:10:00")));
            assert_eq!(plain("00:10:00", "00:10:59"), Due::Nothing);
        }
    }

    #[test]
    fn a_clock_that_goes_back_repeats_nothing() {
        assert_eq!(now(CatchUp::All, Overlap::Skip, "00:10:00", false, "00:04:00"), Due::Nothing);
    }

    #[test]
    fn what_was_missed_is_left_out_or_made_up_for_as_is_said() {
        let missed = |catch_up| now(catch_up, Overlap::Skip, "00:00:00", false, "00:23:00");
        let Due::LeftOut { last, said } = missed(CatchUp::None) else { panic!("left out") };
        assert_eq!((last, said.as_str()), (at("00:20:00"), "4 missed while no server ran"));
        assert_eq!(starts(&missed(CatchUp::Once)), Some(at("00:20:00")));
        assert_eq!(starts(&missed(CatchUp::All)), Some(at("00:05:00")));
        // The newest is on time: it comes, and the others are told.
        let Due::Now { at: comes, said } = now(CatchUp::None, Overlap::Skip, "00:00:00", false, "00:20:30") else {
            panic!("on time")
        };
        assert_eq!((comes, said.as_str()), (at("00:20:00"), "3 missed while no server ran"));
    }

    #[test]
    fn all_is_bounded_and_says_so() {
        let state = State::since("2026-11-01T00:00:00Z".parse().unwrap());
        let all = due(&schedule(CatchUp::All, Overlap::Skip), &TimeZone::UTC, "k", &state, false, at("12:02:00"));
        let Due::Now { at: first, said } = all else { panic!("due") };
        assert_eq!(first, at("10:05:00"), "the newest {CATCH_UP_MAX}");
        assert!(said.starts_with("more than 24"), "{said}");
    }

    #[test]
    fn while_the_run_before_is_open_a_time_is_left_out_or_waits() {
        let Due::LeftOut { last, said } = now(CatchUp::None, Overlap::Skip, "00:05:00", true, "00:10:00") else {
            panic!("left out")
        };
        assert_eq!(
            (last, said.as_str()),
            (at("00:10:00"), "left out at 2026-11-22T00:10:00Z: the run before is still open")
        );
        let Due::Waits { at: waits, .. } = now(CatchUp::None, Overlap::Wait, "00:05:00", true, "00:10:00") else {
            panic!("waits")
        };
        assert_eq!(waits, at("00:10:00"));
        // Later, and however many have passed: one.
        let state = State { last: Some(at("00:05:00")), waits: Some(at("00:10:00")), ..State::since(at("00:00:00")) };
        let wait = schedule(CatchUp::None, Overlap::Wait);
        let waited = due(&wait, &TimeZone::UTC, "k", &state, false, at("00:32:00"));
        assert_eq!(starts(&waited), Some(at("00:30:00")));
        // Missed ones have their turn each.
        assert_eq!(now(CatchUp::All, Overlap::Skip, "00:00:00", true, "00:23:00"), Due::Nothing);
    }

    #[test]
    fn a_run_that_is_cancelled_first_lets_one_start_follow() {
        let cancel = |last: &str, busy, moment: &str| now(CatchUp::None, Overlap::Cancel, last, busy, moment);
        let Due::Waits { at: waits, said } = cancel("00:05:00", true, "00:10:00") else { panic!("waits") };
        assert_eq!((waits, said.as_str()), (at("00:10:00"), "the run before is cancelled first"));
        assert_eq!(starts(&cancel("00:05:00", false, "00:10:00")), Some(at("00:10:00")));
        // What was missed cancels nothing: each of those has its turn, or none.
        assert_eq!(now(CatchUp::All, Overlap::Cancel, "00:00:00", true, "00:23:00"), Due::Nothing);
        let state = State { last: Some(at("00:05:00")), waits: Some(at("00:10:00")), ..State::since(at("00:00:00")) };
        let cancelled = schedule(CatchUp::None, Overlap::Cancel);
        let after = due(&cancelled, &TimeZone::UTC, "k", &state, false, at("00:10:05"));
        assert_eq!(starts(&after), Some(at("00:10:00")));
    }

    #[test]
    fn a_start_is_put_off_alike_on_every_server_and_never_longer() {
        let most = Duration::from_secs(30);
        let all: Vec<SignedDuration> =
            (0..200).map(|n| jitter("k", at("00:00:00") + SignedDuration::from_mins(n), most)).collect();
        assert!(all.iter().all(|jitter| *jitter >= SignedDuration::ZERO && jitter.as_millis() <= 30_000));
        assert_eq!(all[0], jitter("k", at("00:00:00"), most));
        assert!(all.iter().collect::<std::collections::BTreeSet<_>>().len() > 100);
        assert_eq!(jitter("k", at("00:00:00"), Duration::ZERO), SignedDuration::ZERO);
        let with = Schedule { jitter: most, ..schedule(CatchUp::None, Overlap::Skip) };
        let state = State { last: Some(at("00:05:00")), ..State::since(at("00:00:00")) };
        let comes = at("00:10:00") + jitter("k", at("00:10:00"), most);
        let try_at = |moment: Timestamp| starts(&due(&with, &TimeZone::UTC, "k", &state, false, moment));
        assert_eq!(try_at(comes), Some(at("00:10:00")));
        if comes > at("00:10:00") {
            assert_eq!(try_at(comes - SignedDuration::from_millis(1)), None);
        }
    }
}
