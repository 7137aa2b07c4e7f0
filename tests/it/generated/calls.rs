//! The model's calls to the world: attempts until it is known what became of them.

use rerail::engine::event::Decision;

use crate::generated::ast::{Answer, Call, Condition, Verb};
use crate::generated::model::{Clock, End, Model, Seen, Why};

/// Attempts the other side may leave without an answer before a person is asked.
const UNANSWERED_MAX: u32 = 3;
/// Pause before a write without an answer is sent again, times the number of such attempts.
const SETTLE_PAUSE_MS: u64 = 2_000;
/// The number in outputs a person gives with `done`.
pub const ADOPTED: i64 = 9;

impl Model<'_> {
    /// Attempts of a call until it has an outcome. The first one has begun.
    pub fn call(&mut self, path: &str, call: &Call, url: &str) -> End {
        loop {
            let lost = self.killed_here(path);
            let answer = match lost {
                Some(made) if made == self.made(path) => None,
                _ => Some(self.perform(path, call, url)),
            };
            match answer.filter(|_| lost.is_none()) {
                Some(Answer::Done(n)) => return End::Done(Some(n)),
                Some(Answer::Refused { transient }) => return End::Refused { transient },
                Some(Answer::Failed) => return End::Failed(Why::Wrong),
                Some(Answer::Lost) => return End::Failed(Why::Timeout),
                Some(Answer::InDoubt) => *self.unanswered.entry(path.to_owned()).or_default() += 1,
                None if call.verb == Verb::Read => {
                    self.count_start(path);
                    continue;
                }
                None => {}
            }
            let unanswered = self.unanswered.get(path).copied().unwrap_or_default();
            let may_repeat = matches!(call.verb, Verb::Repeatable | Verb::Keyed) && unanswered < UNANSWERED_MAX;
            let pause = SETTLE_PAUSE_MS * u64::from(unanswered);
            // What may have happened is settled, however late it is.
            if may_repeat && self.may_go_on(path) {
                self.stand_still(pause);
                self.count_start(path);
                continue;
            }
            match self.decision(path, call) {
                Decision::Done => return End::Done(Some(ADOPTED)),
                Decision::Skip => return End::Skipped,
                Decision::NotDone => {}
                Decision::Retry => {
                    self.unanswered.remove(path);
                    // The limits around count anew from here.
                    self.vague |= self.limits.iter().any(|limit| limit.clock == Clock::StopsInDoubt);
                }
            }
            if !self.may_go_on(path) {
                return End::Cancelled;
            }
            self.count_start(path);
        }
    }

    fn decision(&mut self, path: &str, call: &Call) -> Decision {
        // Nobody can tell how long a person takes while something else goes on.
        if !self.case.prompt {
            self.stand_still(0);
        }
        let decided = self.decided.entry(path.to_owned()).or_default();
        let decision = call.decisions.get(*decided).or(call.decisions.last());
        *decided += 1;
        *decision.expect("a write has a decision for its doubts")
    }

    /// One look of a poll. The attempt it belongs to has begun.
    pub fn look(&mut self, path: &str, call: &Call, url: &str) -> End {
        match self.perform(path, call, url) {
            Answer::Done(n) => End::Done(Some(n)),
            Answer::Refused { transient } => End::Refused { transient },
            Answer::Lost => End::Failed(Why::Timeout),
            Answer::Failed | Answer::InDoubt => End::Failed(Why::Wrong),
        }
    }

    fn perform(&mut self, path: &str, call: &Call, url: &str) -> Answer {
        let made = self.made.entry(path.to_owned()).or_default();
        let answer = call.answers.get(*made).or(call.answers.last());
        *made += 1;
        self.story.calls.push((path.to_owned(), url.to_owned()));
        *answer.expect("a call has an answer")
    }

    pub fn made(&self, path: &str) -> usize {
        self.made.get(path).copied().unwrap_or_default()
    }

    /// Where a call goes.
    pub fn address(&self, place: &str, call: &Call, seen: &Seen) -> Result<String, Unreadable> {
        let mut url = format!("http://w.example.com/{place}");
        if let Some(id) = &call.reads {
            url.push_str(&format!("/{}", number(id, seen)?));
        }
        if let (true, Some(item)) = (call.each, self.each) {
            url.push_str(&format!("/{item}"));
        }
        Ok(url)
    }
}

/// An expression read what isn't there.
#[derive(Clone, Copy, Debug)]
pub struct Unreadable;

/// Whether a condition is true.
pub fn holds(condition: &Condition, seen: &Seen) -> Result<bool, Unreadable> {
    match condition {
        Condition::Yes => Ok(true),
        Condition::No => Ok(false),
        Condition::Is(id, word) => Ok(seen.get(id).map_or("not_run", |sight| sight.word) == *word),
        Condition::Number(id, n) => number(id, seen).map(|number| number == *n),
        Condition::Rounds(id, word) => {
            let rounds = seen.get(id).and_then(|sight| sight.rounds.as_ref()).ok_or(Unreadable)?;
            Ok(rounds.contains(word))
        }
    }
}

/// The number in the outputs of a step.
pub fn number(id: &str, seen: &Seen) -> Result<i64, Unreadable> {
    seen.get(id).and_then(|sight| sight.number).ok_or(Unreadable)
}
