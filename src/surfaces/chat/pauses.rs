//! Pauses after a chat did not take something: longer each time, and when it is given up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::surfaces::chat::room::Trouble;

/// First pause after a chat did not take something; then twice as long each time.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// The longest such pause.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(60);
/// Times a chat may say no to one message until it is left: its channel or its message is gone.
const REFUSED_MAX: u32 = 5;

/// What chats did not take, by what is to be said.
#[derive(Default)]
pub struct Pauses(BTreeMap<String, Pause>);

#[derive(Default)]
struct Pause {
    until: Option<Instant>,
    troubles: u32,
    refused: u32,
}

impl Pauses {
    /// Forgets those that are about nothing any more.
    pub fn keep(&mut self, is_about: impl Fn(&str) -> bool) {
        self.0.retain(|key, _| is_about(key));
    }

    /// Whether it is not time yet to say it again.
    pub fn rests(&self, key: &str) -> bool {
        self.0.get(key).and_then(|pause| pause.until).is_some_and(|until| until > Instant::now())
    }

    /// It was taken.
    pub fn well(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// It was not taken; says whether it is given up.
    pub fn trouble(&mut self, key: &str, trouble: &Trouble) -> bool {
        let pause = self.0.entry(key.to_owned()).or_default();
        pause.troubles += 1;
        pause.refused += u32::from(matches!(trouble, Trouble::Refused(_)));
        let doubled = AGAIN_AFTER.saturating_mul(1 << pause.troubles.min(8).saturating_sub(1));
        let asked = if let Trouble::Busy(after) = trouble { *after } else { Duration::ZERO };
        pause.until = Some(Instant::now() + doubled.max(asked).min(AGAIN_AFTER_MAX));
        pause.refused >= REFUSED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_rests_and_what_is_refused_again_and_again_is_given_up() {
        let mut pauses = Pauses::default();
        let down = Trouble::Unreached("down".to_owned());
        assert!(!pauses.rests("a"));
        assert!((0..20).all(|_| !pauses.trouble("a", &down)), "a chat that is down comes back");
        assert!(pauses.rests("a") && !pauses.rests("b"));
        let no = Trouble::Refused("channel_not_found".to_owned());
        assert!((1..REFUSED_MAX).all(|_| !pauses.trouble("b", &no)) && pauses.trouble("b", &no));
        pauses.well("a");
        assert!(!pauses.rests("a"));
        pauses.keep(|key| key != "b");
        assert!(!pauses.rests("b"));
    }
}
