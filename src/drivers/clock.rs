//! Wall-clock time for the engine, which has none.

use jiff::{Timestamp, Unit};

/// The time now, to the millisecond: what an event can hold.
pub fn now() -> Timestamp {
    Timestamp::now().round(Unit::Millisecond).unwrap_or(Timestamp::MAX)
}
