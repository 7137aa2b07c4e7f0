//! What is known of an attempt after an exchange ended: the table of the language, once.
//!
//! | what was seen | write | read |
//! |---|---|---|
//! | policy, DNS, connect or TLS failure, time-out before the connection stood | refused | refused |
//! | broken after that: time-out, reset, end, not the protocol | in_doubt | failed |
//! | 2xx, whole | done | done |
//! | 2xx, cut off | in_doubt | failed |
//! | 2xx, whole, `expect.json` and no JSON in it: somebody else answered | in_doubt | failed |
//! | 2xx, whole, `expect` not met otherwise; 207 | failed | failed |
//! | 4xx except 408, 409, 425 | refused | refused |
//! | that, and `expect.status` names it | done | done |
//! | 503 with Retry-After | refused | refused |
//! | 1xx, 3xx, 408, 409, 425, 5xx | in_doubt | failed, done if `expect.status` names it |

use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};

/// What the exchange was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Read,
    Write,
}

/// How far a broken exchange had come, without a status line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// No connection stood, so nothing was sent.
    Unconnected,
    /// It stood: any number of bytes may have been sent and read.
    Connected,
}

/// What is known of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It broke before a status line.
    Broken { progress: Progress, kind: FailureKind },
    /// There was a status line.
    Answered {
        status: u16,
        /// What cut the body off; `None` when it was read to its end.
        cut: Option<FailureKind>,
        /// Seconds of a valid Retry-After.
        retry_after_s: Option<u64>,
        expected: Expected,
    },
}

/// How an answer compares with `expect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing was said of the status; whatever else was said holds.
    Unsaid,
    /// This status was named, and whatever else was said holds.
    Named,
    /// Something that was said does not hold.
    Unmet,
    /// The answer is not of the kind that was asked for, such as a proxy's page: nobody knows what it answers.
    Foreign,
}

/// What follows from the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub outcome: Outcome,
    /// Set unless the outcome is done.
    pub kind: Option<FailureKind>,
    pub transient: bool,
    pub retry_after_s: Option<u64>,
}

impl Verdict {
    /// The attempt this verdict stands for; `message` is used unless it is done.
    pub fn attempt(self, message: impl Into<String>) -> Attempt {
        let failure = self.kind.map(|kind| Failure {
            transient: self.transient,
            retry_after_s: self.retry_after_s,
            ..Failure::new(kind, message)
        });
        Attempt { outcome: self.outcome, outputs: crate::script::value::Value::Null, failure }
    }
}

/// Judges an exchange. Total, and more bytes sent never turn in_doubt into refused.
pub fn classify(nature: Nature, evidence: &Evidence) -> Verdict {
    let unclear = match nature {
        Nature::Read => Outcome::Failed,
        Nature::Write => Outcome::InDoubt,
    };
    match *evidence {
        Evidence::Broken { progress: Progress::Unconnected, kind } => verdict(Outcome::Refused, kind),
        Evidence::Broken { progress: Progress::Connected, kind } => verdict(unclear, kind),
        Evidence::Answered { status, cut, retry_after_s, expected } => {
            let named = expected == Expected::Named && cut.is_none();
            let named_read = named && nature == Nature::Read;
            match status {
                207 => verdict(Outcome::Failed, FailureKind::Status),
                200..=299 => match cut {
                    Some(kind) => verdict(unclear, kind),
                    None if expected == Expected::Foreign => verdict(unclear, FailureKind::Network),
                    None if expected == Expected::Unmet => verdict(Outcome::Failed, FailureKind::Expect),
                    None => DONE,
                },
                409 if !named_read => verdict(unclear, FailureKind::Status),
                408 | 425 if !named_read => transient(unclear, retry_after_s),
                400..=499 if named => DONE,
                429 => transient(Outcome::Refused, retry_after_s),
                400..=499 => verdict(Outcome::Refused, FailureKind::Status),
                _ if named_read => DONE,
                503 if retry_after_s.is_some() => transient(Outcome::Refused, retry_after_s),
                500..=599 => transient(unclear, retry_after_s),
                _ => verdict(unclear, FailureKind::Status),
            }
        }
    }
}

const DONE: Verdict = Verdict { outcome: Outcome::Done, kind: None, transient: false, retry_after_s: None };

fn verdict(outcome: Outcome, kind: FailureKind) -> Verdict {
    let transient =
        matches!(kind, FailureKind::Dns | FailureKind::Connect | FailureKind::Timeout | FailureKind::Network);
    Verdict { outcome, kind: Some(kind), transient, retry_after_s: None }
}

fn transient(outcome: Outcome, retry_after_s: Option<u64>) -> Verdict {
    Verdict { outcome, kind: Some(FailureKind::Status), transient: true, retry_after_s }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answered(status: u16, cut: Option<FailureKind>, retry_after_s: Option<u64>, expected: Expected) -> Evidence {
        Evidence::Answered { status, cut, retry_after_s, expected }
    }

    fn plain(status: u16) -> Evidence {
        answered(status, None, None, Expected::Unsaid)
    }

    #[test]
    fn the_table_holds_for_writes() {
        use Outcome::{Done, Failed, InDoubt, Refused};
        for (status, outcome) in [
            (100, InDoubt),
            (101, InDoubt),
            (200, Done),
            (201, Done),
            (204, Done),
            (207, Failed),
            (301, InDoubt),
            (307, InDoubt),
            (400, Refused),
            (401, Refused),
            (404, Refused),
            (408, InDoubt),
            (409, InDoubt),
            (422, Refused),
            (425, InDoubt),
            (429, Refused),
            (500, InDoubt),
            (502, InDoubt),
            (503, InDoubt),
            (504, InDoubt),
            (600, InDoubt),
            (999, InDoubt),
        ] {
            assert_eq!(classify(Nature::Write, &plain(status)).outcome, outcome, "{status}");
        }
        let limited = classify(Nature::Write, &answered(503, None, Some(7), Expected::Unsaid));
        assert_eq!((limited.outcome, limited.transient, limited.retry_after_s), (Refused, true, Some(7)));
        let limited = classify(Nature::Write, &answered(429, None, Some(7), Expected::Unsaid));
        assert_eq!((limited.outcome, limited.transient, limited.retry_after_s), (Refused, true, Some(7)));
        assert!(!classify(Nature::Write, &plain(404)).transient);
    }

    #[test]
    fn expectations_move_only_what_is_certain() {
        use Outcome::{Done, Failed, InDoubt, Refused};
        let write = |status, expected| classify(Nature::Write, &answered(status, None, None, expected)).outcome;
        assert_eq!(write(404, Expected::Named), Done);
        assert_eq!(write(404, Expected::Unmet), Refused);
        assert_eq!(write(200, Expected::Unmet), Failed);
        assert_eq!(write(200, Expected::Foreign), InDoubt);
        assert_eq!(write(404, Expected::Foreign), Refused);
        assert_eq!(write(503, Expected::Foreign), InDoubt);
        assert_eq!(write(409, Expected::Named), InDoubt);
        assert_eq!(write(503, Expected::Named), InDoubt);
        assert_eq!(write(302, Expected::Named), InDoubt);
        let read = |status, expected| classify(Nature::Read, &answered(status, None, None, expected)).outcome;
        assert_eq!(read(301, Expected::Named), Done);
        assert_eq!(read(503, Expected::Named), Done);
        assert_eq!(read(409, Expected::Named), Done);
        assert_eq!(read(503, Expected::Unsaid), Failed);
        assert_eq!(read(200, Expected::Foreign), Failed);
        assert!(
            classify(Nature::Read, &answered(200, None, None, Expected::Foreign)).transient,
            "it may be tried again"
        );
    }

    fn kind() -> impl Strategy<Value = FailureKind> {
        use FailureKind::{Connect, Dns, Limit, Network, Policy, Secret, Timeout, Tls};
        prop::sample::select(vec![Connect, Dns, Limit, Network, Policy, Secret, Timeout, Tls])
    }

    fn evidence() -> impl Strategy<Value = Evidence> {
        let progress = prop::sample::select(vec![Progress::Unconnected, Progress::Connected]);
        let expected =
            prop::sample::select(vec![Expected::Unsaid, Expected::Named, Expected::Unmet, Expected::Foreign]);
        prop_oneof![
            (progress, kind()).prop_map(|(progress, kind)| Evidence::Broken { progress, kind }),
            (any::<u16>(), prop::option::of(kind()), prop::option::of(any::<u64>()), expected)
                .prop_map(|(status, cut, after, expected)| answered(status, cut, after, expected)),
            (100_u16..600).prop_map(plain),
        ]
    }

    proptest! {
        #[test]
        fn every_exchange_has_one_outcome_and_a_failure_unless_done(evidence in evidence()) {
            for nature in [Nature::Read, Nature::Write] {
                let verdict = classify(nature, &evidence);
                prop_assert_eq!(verdict.kind.is_none(), verdict.outcome == Outcome::Done);
                let in_doubt = verdict.outcome == Outcome::InDoubt;
                prop_assert!(!in_doubt || nature == Nature::Write, "a read is never in doubt");
                prop_assert!(verdict.retry_after_s.is_none() || verdict.transient);
            }
        }

        /// The three places where the same exchange may break, in order of bytes sent.
        #[test]
        fn more_bytes_sent_never_turn_in_doubt_into_refused(kind in kind(), status in 200_u16..300) {
            let stages = [
                Evidence::Broken { progress: Progress::Unconnected, kind },
                Evidence::Broken { progress: Progress::Connected, kind },
                answered(status, Some(kind), None, Expected::Unsaid),
            ];
            let outcomes = stages.map(|stage| classify(Nature::Write, &stage).outcome);
            let doubt = outcomes.iter().position(|outcome| *outcome == Outcome::InDoubt);
            prop_assert_eq!(doubt, Some(1));
            prop_assert!(outcomes[1..].iter().all(|outcome| *outcome != Outcome::Refused));
        }

        /// However far it came, and whatever the answer would have been.
        #[test]
        fn without_a_whole_answer_nothing_is_done(evidence in evidence()) {
            let cut = match evidence {
                Evidence::Broken { .. } => true,
                Evidence::Answered { cut, .. } => cut.is_some(),
            };
            for nature in [Nature::Read, Nature::Write] {
                prop_assert!(!cut || classify(nature, &evidence).outcome != Outcome::Done);
            }
        }

        /// The same exchange, broken before its status line and then cut off behind it: what is known only grows by
        /// what the status says, and never into proof that nothing happened unless it says no.
        #[test]
        fn a_status_line_turns_doubt_into_a_no_only_by_saying_no(kind in kind(), status in any::<u16>()) {
            let before = classify(Nature::Write, &Evidence::Broken { progress: Progress::Connected, kind }).outcome;
            prop_assert_eq!(before, Outcome::InDoubt);
            let after = classify(Nature::Write, &answered(status, Some(kind), None, Expected::Unsaid)).outcome;
            let says_no = (400..500).contains(&status) && ![408, 409, 425].contains(&status);
            prop_assert_eq!(after == Outcome::Refused, says_no);
        }

        /// A status that does not say no can't become proof that nothing happened.
        #[test]
        fn a_write_is_refused_only_by_a_no_or_by_no_connection(evidence in evidence()) {
            if classify(Nature::Write, &evidence).outcome == Outcome::Refused {
                let proof = match evidence {
                    Evidence::Broken { progress, .. } => progress == Progress::Unconnected,
                    Evidence::Answered { status: 503, retry_after_s, .. } => retry_after_s.is_some(),
                    Evidence::Answered { status, .. } => {
                        (400..500).contains(&status) && ![408, 409, 425].contains(&status)
                    }
                };
                prop_assert!(proof);
            }
        }
    }
}
