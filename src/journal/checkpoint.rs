//! A signed checkpoint: one line that says how far a run had got, to be kept where the journal's writer can't reach.
//!
//! ```text
//! rerail-checkpoint-1 rerail-ed25519:KEY no=3 run=UUID events=9 head=HASH after=HASH at=TIME sig=SIGNATURE
//! ```
//!
//! `head` is the hash of event 8, the ninth, and so covers all nine and the starts of all runs before. `after` is the
//! hash of line 2 of the same store and so covers every line before: whoever keeps one line keeps all. A line with
//! `gone=DIGEST` is the tombstone of a run that was pruned. In the manner of C2SP's signed notes, but without line
//! ends: it has to survive a chat window. Pure; the lines of a store are in `checkpoints.rs`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::engine::ids::RunId;
use crate::journal::chain::Hash;
use crate::journal::key::{PublicKey, Signature, StoreKey};

/// What the first line of a store comes after.
const ORIGIN: &[u8] = b"rerail checkpoints 1\n";

/// Letters of a line that are read: the longest that is written has about 500.
const LINE_CHARS_MAX: usize = 1_000;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The store, by the key that signs.
    pub store: PublicKey,
    /// Place among the store's lines, from 1.
    pub number: u64,
    pub run: RunId,
    /// How many events the run had; at least one.
    pub events: u64,
    /// The hash of the last of them.
    pub head: Hash,
    /// The hash of the line before.
    pub after: Hash,
    pub at: Timestamp,
    /// Of a run that was removed: the hash of what is said instead of its events.
    pub gone: Option<Hash>,
}

/// A claim with its signature. Whether it is right is another question: see [`Checkpoint::is_signed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub claim: Claim,
    signature: Signature,
}

impl Checkpoint {
    /// What a line begins with; the number is that of its form.
    pub const FORM: &str = "rerail-checkpoint-1";

    /// Signs a claim.
    pub fn sign(key: &StoreKey, claim: Claim) -> Checkpoint {
        let signature = key.sign(claim.to_string().as_bytes());
        Checkpoint { claim, signature }
    }

    /// Whether the store it names has signed exactly this.
    pub fn is_signed(&self) -> bool {
        self.claim.store.verify(self.claim.to_string().as_bytes(), &self.signature)
    }

    /// What the next line of the store comes after.
    pub fn hash(&self) -> Hash {
        Hash::of(self.to_string().as_bytes())
    }

    /// What the first line of a store comes after.
    pub fn origin() -> Hash {
        Hash::of(ORIGIN)
    }

    /// All checkpoints in a text: a chat, a mail, an export, or a line alone.
    ///
    /// # Errors
    /// A sentence about the first that is not whole.
    pub fn all_in(text: &str) -> Result<Vec<Checkpoint>, String> {
        let begins = text.match_indices(Checkpoint::FORM).map(|(at, _)| &text[at..]);
        begins.map(|rest| line_at(rest).parse()).collect()
    }
}

/// The line that begins here, without what a page, a quote or a wrapped terminal put behind and between.
fn line_at(text: &str) -> String {
    let end = text.char_indices().nth(LINE_CHARS_MAX).map_or(text.len(), |(at, _)| at);
    let mut line = String::new();
    for word in text[..end].split_whitespace() {
        if let Some(signature) = word.strip_prefix("sig=") {
            let letter = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let signature: String = signature.chars().take_while(letter).collect();
            return format!("{line}sig={signature}");
        }
        line.push_str(word);
        line.push(' ');
    }
    line.trim_end().to_owned()
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Claim { store, number, run, events, head, after, at, gone } = self;
        let run = run.uuid();
        write!(
            f,
            "{} {store} no={number} run={run} events={events} head={head} after={after} at={at}",
            Checkpoint::FORM
        )?;
        gone.map_or(Ok(()), |gone| write!(f, " gone={gone}"))
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sig={}", self.claim, self.signature)
    }
}

impl FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(60).collect();
        let wrong = |why: &str| format!("`{shown}…` is not a whole signed checkpoint: {why}");
        let mut words = text.split(' ').peekable();
        if words.next() != Some(Checkpoint::FORM) {
            return Err(wrong(&format!("expected it to begin with `{}`", Checkpoint::FORM)));
        }
        let store = words.next().unwrap_or_default().parse().map_err(|why: String| wrong(&why))?;
        let gone_is_next = |word: Option<&&str>| word.is_some_and(|word| word.starts_with("gone="));
        let mut field = |name: &str| -> Result<&str, String> {
            let found = words.next().and_then(|word| word.strip_prefix(name)?.strip_prefix('='));
            found.ok_or_else(|| wrong(&format!("expected `{name}=` in its place")))
        };
        let number = field("no")?.parse().map_err(|_| wrong("`no` is not a number"))?;
        let run = field("run")?.parse().map_err(|_| wrong("`run` is not an id"))?;
        let events = field("events")?.parse().map_err(|_| wrong("`events` is not a number"))?;
        let hash = |text: &str| Hash::try_from(text.to_owned()).map_err(|why| wrong(&why));
        let head = hash(field("head")?)?;
        let after = hash(field("after")?)?;
        let at = field("at")?.parse().map_err(|_| wrong("`at` is not a time"))?;
        let gone = match gone_is_next(words.peek()) {
            true => words.next().and_then(|word| word.strip_prefix("gone=")).map(hash).transpose()?,
            false => None,
        };
        let signature = words.next().and_then(|word| word.strip_prefix("sig="));
        let signature = signature.ok_or_else(|| wrong("its signature is missing"))?;
        let signature = signature.parse().map_err(|why: String| wrong(&why))?;
        let checkpoint = Checkpoint { claim: Claim { store, number, run, events, head, after, at, gone }, signature };
        // One form only: what reads alike must hash alike.
        match checkpoint.to_string() == text && events > 0 && number > 0 {
            true => Ok(checkpoint),
            false => Err(wrong("it is not written as rerail writes it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::new_run;

    fn claim(key: &StoreKey) -> Claim {
        Claim {
            store: key.public(),
            number: 3,
            run: new_run(),
            events: 9,
            head: Hash::of(b"head"),
            after: Hash::of(b"after"),
            at: "2026-11-01T10:00:00.5Z".parse().unwrap(),
            gone: None,
        }
    }

    #[test]
    fn a_line_says_what_was_signed_and_nothing_else() {
        let key = StoreKey::ephemeral();
        for gone in [None, Some(Hash::of(b"tombstone"))] {
            let signed = Checkpoint::sign(&key, Claim { gone, ..claim(&key) });
            let line = signed.to_string();
            assert!(signed.is_signed() && !line.contains('\n') && line.len() < LINE_CHARS_MAX, "{line}");
            assert_eq!(line.parse(), Ok(signed));
        }
    }

    #[test]
    fn no_letter_of_a_line_can_be_another() {
        let key = StoreKey::ephemeral();
        let line = Checkpoint::sign(&key, Claim { gone: Some(Hash::of(b"x")), ..claim(&key) }).to_string();
        for at in 0..line.len() {
            for other in [b'0', b'1', b'a', b' ', b'='] {
                let mut edited = line.clone().into_bytes();
                if edited[at] == other {
                    continue;
                }
                edited[at] = other;
                let edited = String::from_utf8(edited).unwrap().parse::<Checkpoint>();
                assert!(edited.is_err() || !edited.unwrap().is_signed(), "letter {at} as {}", other as char);
            }
        }
    }

    #[test]
    fn a_line_is_found_in_what_people_paste() {
        let key = StoreKey::ephemeral();
        let (one, two) = (Checkpoint::sign(&key, claim(&key)), Checkpoint::sign(&key, claim(&key)));
        let line = one.to_string();
        let wrapped = line.replace(" head=", "\n  head=").replace(" after=", " \r\n after=");
        for text in [
            line.clone(),
            format!("{line}\n"),
            format!("> ana: `{line}`, please keep"),
            format!("<code>{line}</code>"),
            format!("  checkpoint  {wrapped}\nsuccess after 3s"),
        ] {
            assert_eq!(Checkpoint::all_in(&text).unwrap(), std::slice::from_ref(&one), "{text}");
        }
        assert_eq!(Checkpoint::all_in(&format!("{one} and {two}")).unwrap(), [one, two]);
        assert_eq!(Checkpoint::all_in("nothing here"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_whole_is_told() {
        let key = StoreKey::ephemeral();
        let line = Checkpoint::sign(&key, claim(&key)).to_string();
        let cases = [
            (line.replace(" sig=", " sgi="), "signature is missing"),
            (line[..line.len() - 1].to_owned(), "is not a signature"),
            (line[..200].to_owned(), "whole"),
            (Checkpoint::FORM.to_owned(), "public key"),
            (line.replace("events=9", "events=09"), "not written as rerail writes it"),
            (line.replace("events=9", "events=0"), "not written as rerail writes it"),
            (line.replace("no=3", "nr=3"), "expected `no=`"),
            (line.replace("no=3", "no=-3"), "not a number"),
            (format!("{} {}", Checkpoint::FORM, "x ".repeat(100_000)), "public key"),
        ];
        for (text, says) in cases {
            let why = Checkpoint::all_in(&text).unwrap_err();
            assert!(why.contains(says) && why.len() < 400, "{why}");
        }
        assert!(
            line.replace(Checkpoint::FORM, "rerail-checkpoint-2")
                .parse::<Checkpoint>()
                .unwrap_err()
                .contains("begin with")
        );
    }
}
