//! A list of runs as plain objects, and the moment a filter names. Additive only.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::runbook::types::parse_duration;
use crate::runs::RunRow;

/// A run as one plain object of a list. Additive only.
pub fn of_row(row: &RunRow) -> Json {
    json!({
        "run": row.run.short(),
        "id": row.run.uuid(),
        "number": row.number,
        "runbook": row.runbook,
        "title": row.title,
        "status": row.status.word(),
        "target": row.target,
        "operator": row.actor.id,
        "via": row.actor.via,
        "agent": row.actor.agent,
        "incident": row.incident,
        "started_at": row.started_at.to_string(),
        "ended_at": row.ended_at.map(|at| at.to_string()),
        "events": row.last_seq + 1,
        "head": row.head.to_string(),
    })
}

/// The moment that a flag names: a time, the beginning of a day (UTC), or so long before now.
pub fn moment(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(day) = text.parse::<Date>()
        && let Ok(midnight) = day.to_zoned(TimeZone::UTC)
    {
        return Ok(midnight.timestamp());
    }
    let expected = || {
        format!("{flag} takes a duration such as 24h or a time such as 2026-11-21T14:00Z or 2026-11-21, not `{text}`")
    };
    let duration = parse_duration(text).map_err(|_| expected())?;
    let duration = SignedDuration::try_from(duration).map_err(|_| expected())?;
    Ok(now.checked_sub(duration).unwrap_or(Timestamp::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_a_duration_or_a_time() {
        let now = "2026-11-21T14:00:00Z".parse().unwrap();
        assert_eq!(moment("--since", "24h", now), Ok("2026-11-20T14:00:00Z".parse().unwrap()));
        assert_eq!(moment("--since", "2026-11-21T13:00:00Z", now), Ok("2026-11-21T13:00:00Z".parse().unwrap()));
        assert_eq!(moment("--since", "2026-11-21", now), Ok("2026-11-21T00:00:00Z".parse().unwrap()));
        assert!(moment("--before", "yesterday", now).unwrap_err().starts_with("--before takes"));
    }
}
