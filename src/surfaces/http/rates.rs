//! How fast one person may ask: a bucket each, so that a script in a loop keeps nobody else from the server.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Requests a second, for as long as one likes: far more than a person or a page needs.
const PER_SECOND: f64 = 20.0;
/// Requests at once after a pause: a page with all it shows, a script that starts dozens of runs.
const BURST: f64 = 200.0;
/// Names that are remembered: people of a project, far fewer; beyond it the fullest buckets are forgotten.
const NAMES_MAX: usize = 10_000;

/// What is left to everybody.
#[derive(Debug, Default)]
pub struct Rates(Mutex<BTreeMap<String, Bucket>>);

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// Takes one request of somebody; says after how many seconds there will be one again if there is none.
    pub fn take(&self, name: &str, now: Instant) -> Result<(), u32> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= NAMES_MAX {
            buckets.retain(|_, bucket| bucket.filled(now) < BURST);
        }
        let bucket = buckets.entry(name.to_owned()).or_insert(Bucket { left: BURST, at: now });
        bucket.left = bucket.filled(now);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(1);
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

impl Bucket {
    fn filled(&self, now: Instant) -> f64 {
        (self.left + now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND).min(BURST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_who_asks_too_fast_is_slowed_down_and_nobody_else() {
        let (rates, now) = (Rates::default(), Instant::now());
        for _ in 0..200 {
            rates.take("ana", now).unwrap();
        }
        assert_eq!(rates.take("ana", now), Err(1));
        rates.take("ben", now).unwrap();
        let later = now + Duration::from_secs(1);
        assert_eq!((0..25).filter(|_| rates.take("ana", later).is_ok()).count(), 20);
        let much_later = now + Duration::from_secs(3600);
        assert_eq!((0..300).filter(|_| rates.take("ana", much_later).is_ok()).count(), 200);
    }
}
