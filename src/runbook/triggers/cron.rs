//! Times at which something starts: a line of cron in a time zone, and what is done about those that were missed.
//!
//! No clock here, and no table of time zones either: both are given by whoever asks.

use std::sync::Arc;
use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::runbook::source::Spanned;

/// Bytes of a line: five fields, each a list at most.
const CRON_BYTES_MAX: usize = 256;
/// Fields of a line: minute, hour, day, month, weekday. Nothing that heals an incident starts every second.
const FIELDS: usize = 5;
/// Years within which a time has to come: longer than from one 29 February to the next.
const YEARS_MAX: i16 = 10;
/// Where the search for a first time begins: any day will do.
const SINCE: &str = "2026-01-01T00:00:00Z";
/// Most missed times that are made up for, the newest ones: a server that was down for a week must not begin with a
/// thousand runs of yesterday.
pub const CATCH_UP_MAX: usize = 24;

/// When something starts.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub cron: Cron,
    /// By its IANA name.
    pub time_zone: Spanned<String>,
    pub catch_up: CatchUp,
    /// A start comes up to so much later: the same for each of its times on every server.
    pub jitter: Duration,
    pub overlap: Overlap,
}

/// What is done about times at which no server ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// They are left out, and told.
    #[default]
    None,
    /// One start for all of them.
    Once,
    /// A start for each, one after another, [`CATCH_UP_MAX`] of them at most.
    All,
}

/// What is done if the run before is still open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// This time is left out, and told.
    #[default]
    Skip,
    /// It starts once that run has ended; however many times pass meanwhile, one start waits.
    Wait,
    /// That run is cancelled, and it starts once that has ended.
    Cancel,
}

/// A line of cron that comes at all.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    cron: Arc<croner::Cron>,
}

impl Cron {
    /// Reads five fields, or a word such as `@daily`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Cron, String> {
        if text.len() > CRON_BYTES_MAX {
            return Err(format!("it has {} bytes, more than {CRON_BYTES_MAX}", text.len()));
        }
        let fields = text.split_whitespace().count();
        if fields != FIELDS && !text.trim_start().starts_with('@') {
            return Err(format!("expected {FIELDS} fields, minute hour day month weekday, got {fields}"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| error.to_string().trim_end_matches('.').to_lowercase())?;
        let cron = Cron { text: text.split_whitespace().collect::<Vec<_>>().join(" "), cron: Arc::new(cron) };
        let since: Timestamp = SINCE.parse().map_err(|error: jiff::Error| error.to_string())?;
        let comes = cron.after(&TimeZone::UTC, since).map(|at| at.to_zoned(TimeZone::UTC).year());
        match comes {
            Some(year) if year <= since.to_zoned(TimeZone::UTC).year() + YEARS_MAX => Ok(cron),
            _ => Err(format!("no such time comes within {YEARS_MAX} years")),
        }
    }

    /// As it is written, without spare blanks.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first of its times after this one.
    ///
    /// A time that the clock skips comes at the first moment behind the gap, one that it has twice comes once; what
    /// comes every so many minutes or hours goes by the clock that passes.
    pub fn after(&self, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
        self.cron.find_next_occurrence(&at.to_zoned(zone.clone()), false).ok().map(|next: Zoned| next.timestamp())
    }

    /// Its times after `since` up to `until`, the newest `most` of them, in order; and whether there were more.
    pub fn between(&self, zone: &TimeZone, since: Timestamp, until: Timestamp, most: usize) -> (Vec<Timestamp>, bool) {
        let mut found = Vec::new();
        let (mut at, mut inclusive) = (until, true);
        while let Ok(before) = self.cron.find_previous_occurrence(&at.to_zoned(zone.clone()), inclusive) {
            (at, inclusive) = (before.timestamp(), false);
            if at <= since {
                break;
            }
            if found.len() == most {
                found.reverse();
                return (found, true);
            }
            found.push(at);
        }
        found.reverse();
        (found, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn next(cron: &str, zone_name: &str, since: &str, count: usize) -> Vec<String> {
        let (cron, zone) = (Cron::read(cron).unwrap(), zone(zone_name));
        let mut found = Vec::new();
        let mut now = at(since);
        for _ in 0..count {
            now = cron.after(&zone, now).unwrap();
            found.push(now.to_string());
        }
        found
    }

    #[test]
    fn a_line_is_read_in_its_time_zone() {
        assert_eq!(next("30 2 * * *", "UTC", "2026-11-22T02:30:00Z", 1), ["2026-11-23T02:30:00Z"]);
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-11-22T00:00:00Z", 1), ["2026-11-22T01:30:00Z"]);
        assert_eq!(
            next("0 9 * * MON-FRI", "America/New_York", "2026-11-20T15:00:00Z", 2),
            ["2026-11-23T14:00:00Z", "2026-11-24T14:00:00Z"]
        );
        assert_eq!(next("@daily", "UTC", "2026-11-22T00:00:00Z", 1), ["2026-11-23T00:00:00Z"]);
    }

    #[test]
    fn a_time_that_the_clock_skips_comes_once_behind_the_gap() {
        // Berlin, 2026-03-29: 02:00 becomes 03:00.
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", 3),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
        );
    }

    #[test]
    fn a_time_that_the_clock_has_twice_comes_once() {
        // Berlin, 2026-10-25: 03:00 becomes 02:00.
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn what_comes_every_so_often_goes_by_the_clock_that_passes() {
        let spring = next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 4);
        assert_eq!(
            spring,
            ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z"]
        );
        let autumn = next("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z", 4);
        assert_eq!(
            autumn,
            ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"]
        );
    }

    #[test]
    fn what_was_missed_is_told_newest_last_and_bounded() {
        let cron = Cron::read("*/5 * * * *").unwrap();
        let utc = TimeZone::UTC;
        let (times, more) = cron.between(&utc, at("2026-11-22T00:00:00Z"), at("2026-11-22T00:15:00Z"), 10);
        let texts: Vec<String> = times.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["2026-11-22T00:05:00Z", "2026-11-22T00:10:00Z", "2026-11-22T00:15:00Z"]);
        assert!(!more);
        let (times, more) = cron.between(&utc, at("2025-01-01T00:00:00Z"), at("2026-11-22T00:14:00Z"), 2);
        let texts: Vec<String> = times.iter().map(ToString::to_string).collect();
        assert_eq!((texts, more), (vec!["2026-11-22T00:05:00Z".to_owned(), "2026-11-22T00:10:00Z".to_owned()], true));
        assert_eq!(cron.between(&utc, at("2026-11-22T00:05:00Z"), at("2026-11-22T00:09:59Z"), 2), (vec![], false));
        // Both directions agree about the days on which clocks are moved.
        let berlin = zone("Europe/Berlin");
        for (line, day) in [("30 2 * * *", "2026-10-25"), ("30 2 * * *", "2026-03-29"), ("*/10 * * * *", "2026-10-25")]
        {
            let cron = Cron::read(line).unwrap();
            let (since, until) = (at(&format!("{day}T00:00:00Z")), at(&format!("{day}T05:00:00Z")));
            let mut forward = Vec::new();
            let mut now = since;
            while let Some(next) = cron.after(&berlin, now).filter(|next| *next <= until) {
                forward.push(next);
                now = next;
            }
            assert_eq!(cron.between(&berlin, since, until, 100).0, forward, "{line} {day}");
        }
    }

    #[test]
    fn a_line_that_is_none_or_never_comes_is_refused() {
        for (bad, says) in [
            ("", "got 0"),
            ("* * * *", "got 4"),
            ("0 0 * * * *", "got 6"),
            ("60 * * * *", ""),
            ("* 24 * * *", ""),
            ("a * * * *", ""),
            ("*/0 * * * *", ""),
            ("5-1 * * * *", ""),
            ("@sometimes", ""),
            ("0 0 30 2 *", "no such time comes"),
            ("0 0 31 4,6 *", "no such time comes"),
        ] {
            let error = Cron::read(bad).unwrap_err();
            assert!(error.contains(says) && !error.ends_with('.'), "{bad:?}: {error}");
        }
        assert!(Cron::read(&format!("{} * * * *", "1,".repeat(200))).unwrap_err().contains("bytes"));
        assert!(Cron::read("0 0 29 2 *").is_ok());
    }
}
