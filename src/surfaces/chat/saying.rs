//! What a message is called among all that rerail says: the same whenever it is said again, after a crash or an answer that
//! nobody saw, so that a chat which can tells a repeat from a new one. What it looks like is no part of it.

use crate::surfaces::chat::asked::Place;
use crate::surfaces::chat::sign;

/// Letters of a name: what Discord takes for a `nonce` is 25; so many hold 96 bits.
const NAME_CHARS: usize = 24;

/// One thing to say, in whichever places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying(String);

impl Saying {
    /// What is said once of a run, or of the request that this run would belong to.
    pub fn of(run: &str, what: &'static str) -> Saying {
        Saying(format!("{what} {run}"))
    }

    /// What is said several times of a run, by which time it is.
    pub fn which(run: &str, what: &'static str, which: &str) -> Saying {
        Saying(format!("{what} {run} {which}"))
    }

    /// Its name in this place: letters and digits that say nothing of a run.
    pub fn name(&self, place: &Place) -> String {
        sign::digest(&format!("{}\n{}", place.key(), self.0)).chars().take(NAME_CHARS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surfaces::chat::asked::Kind;

    #[test]
    fn the_same_is_called_alike_and_everything_else_otherwise() {
        let place = |channel: &str, thread: Option<&str>| Place {
            chat: Kind::Discord,
            channel: channel.into(),
            thread: thread.map(str::to_owned),
        };
        let name = Saying::of("r1", "card").name(&place("1", None));
        assert_eq!(name, Saying::of("r1", "card").name(&place("1", None)));
        assert!(name.len() == 24 && name.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
        for other in [
            Saying::of("r2", "card").name(&place("1", None)),
            Saying::of("r1", "ended").name(&place("1", None)),
            Saying::which("r1", "card", "2").name(&place("1", None)),
            Saying::of("r1", "card").name(&place("2", None)),
            Saying::of("r1", "card").name(&place("1", Some("5"))),
        ] {
            assert_ne!(name, other);
        }
    }
}
