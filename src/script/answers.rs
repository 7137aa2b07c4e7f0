//! The recorded ends of a script's calls: grown by one at each call, shared with every replay.
//!
//! A script of a thousand calls is replayed a thousand times. So a replay takes these as they are: handing them over
//! copies nothing, and a call that has been compared once isn't digested again.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::script::hex::hex;
use crate::script::value::{Map, Unknown, Value};

/// Answers by action name and count from 1. A clone is the same answers; adding to one that is shared copies it.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<BTreeMap<String, BTreeMap<u32, Recorded>>>);

impl Answers {
    /// Adds the end of the n-th call of this name, or replaces it.
    pub fn insert(&mut self, name: &str, count: u32, recorded: Recorded) {
        let answers = Arc::make_mut(&mut self.0);
        match answers.get_mut(name) {
            Some(of_name) => drop(of_name.insert(count, recorded)),
            None => drop(answers.insert(name.to_owned(), BTreeMap::from([(count, recorded)]))),
        }
    }

    /// The end of the n-th call of this name.
    pub fn get(&self, name: &str, count: u32) -> Option<&Recorded> {
        self.0.get(name)?.get(&count)
    }
}

impl FromIterator<((String, u32), Recorded)> for Answers {
    fn from_iter<I: IntoIterator<Item = ((String, u32), Recorded)>>(calls: I) -> Answers {
        let mut answers = Answers::default();
        for ((name, count), recorded) in calls {
            answers.insert(&name, count, recorded);
        }
        answers
    }
}

/// The recorded end of a call.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Arguments as performed: typed and completed, for messages.
    pub args: Map,
    /// [`arguments_digest`] of the arguments as the script gave them; compared on replay.
    digest: String,
    /// Arguments that had this digest: comparing with them is much cheaper.
    given: OnceLock<Map>,
    pub reply: Reply,
}

impl Recorded {
    /// A call with these arguments, which had this digest as the script gave them.
    pub fn new(args: Map, digest: String, reply: Reply) -> Recorded {
        Recorded { args, digest, given: OnceLock::new(), reply }
    }

    /// A call whose arguments were performed exactly as given.
    pub fn exact(args: Map, reply: Reply) -> Recorded {
        Recorded::new(args.clone(), arguments_digest(&args), reply)
    }

    /// Whether a script that gives these arguments makes the recorded call.
    pub fn is_call_with(&self, args: &Map) -> bool {
        if self.given.get() == Some(args) {
            return true;
        }
        let same = self.digest == arguments_digest(args);
        if same {
            self.given.get_or_init(|| args.clone());
        }
        same
    }
}

/// How a recorded call goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Answer(Value),
    /// Thrown into the script, catchable.
    Throw(Value),
    /// A rehearsal stops here.
    Unknown(Unknown),
}

/// Names arguments as a script gave them: equal digests are equal calls. Secrets count as symbols.
pub fn arguments_digest(args: &Map) -> String {
    use sha2::Digest as _;
    let text = Value::Map(args.clone()).to_json().to_string();
    hex(&sha2::Sha256::digest(text)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(n: i64) -> Map {
        Map::from([("n".to_owned(), Value::Int(n))])
    }

    #[test]
    fn answers_are_found_by_name_and_count() {
        let mut answers = Answers::default();
        answers.insert("probe", 1, Recorded::exact(args(1), Reply::Answer(Value::Int(1))));
        answers.insert("probe", 2, Recorded::exact(args(2), Reply::Answer(Value::Int(2))));
        answers.insert("note", 1, Recorded::exact(args(3), Reply::Throw(Value::Null)));
        let reply = |name, count| answers.get(name, count).map(|recorded| recorded.reply.clone());
        assert_eq!(reply("probe", 2), Some(Reply::Answer(Value::Int(2))));
        assert_eq!(reply("note", 1), Some(Reply::Throw(Value::Null)));
        assert_eq!((reply("note", 2), reply("other", 1)), (None, None));
    }

    #[test]
    fn a_replay_shares_the_answers_and_doesnt_see_later_ones() {
        let mut answers = Answers::default();
        answers.insert("probe", 1, Recorded::exact(args(1), Reply::Answer(Value::Null)));
        let replay = answers.clone();
        assert!(Arc::ptr_eq(&replay.0, &answers.0));
        answers.insert("probe", 2, Recorded::exact(args(2), Reply::Answer(Value::Null)));
        assert!(replay.get("probe", 2).is_none() && answers.get("probe", 2).is_some());
        drop(replay);
        let before = Arc::as_ptr(&answers.0);
        answers.insert("probe", 3, Recorded::exact(args(3), Reply::Answer(Value::Null)));
        assert_eq!(Arc::as_ptr(&answers.0), before, "nothing is copied once the replay is over");
    }

    #[test]
    fn a_call_compared_before_is_still_compared() {
        let recorded = Recorded::new(Map::new(), arguments_digest(&args(1)), Reply::Answer(Value::Null));
        assert!(!recorded.is_call_with(&args(2)), "not before it was made");
        assert!(recorded.is_call_with(&args(1)) && recorded.is_call_with(&args(1)));
        assert!(!recorded.is_call_with(&args(2)), "nor after");
        let nan = Map::from([("n".to_owned(), Value::Float(f64::NAN))]);
        let recorded = Recorded::exact(nan.clone(), Reply::Answer(Value::Null));
        assert!(recorded.is_call_with(&nan) && recorded.is_call_with(&nan), "not equal to itself, but the same call");
    }
}
