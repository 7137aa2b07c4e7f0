//! Exit codes: a public contract, one documented constant per meaning.

use crate::engine::facts::{Facts, RunState};
use crate::engine::outcome::{FailureKind, RunOutcome, UndoOutcome};
use crate::runbook::model::Level;
use crate::runs::{ErrorKind, Parting, Why};

/// What a command tells the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Success; for a run: every step is done.
    pub const SUCCESS: Exit = Exit(0);
    /// The tool itself failed: input or output, journal, a bug.
    pub const TOOL_FAILED: Exit = Exit(1);
    /// Wrong usage; nothing was started.
    pub const USAGE: Exit = Exit(2);
    /// A runbook, action, target, project file or plan has problems.
    pub const INVALID: Exit = Exit(3);
    /// Not allowed, or nothing proves who acts; nothing was done.
    pub const NOT_ALLOWED: Exit = Exit(4);
    /// The journal is not what was written.
    pub const DAMAGED: Exit = Exit(5);
    /// A step failed.
    pub const STEP_FAILED: Exit = Exit(10);
    /// An assertion does not hold, or a test.
    pub const ASSERTION_FAILED: Exit = Exit(11);
    /// The run ended well and found something critical.
    pub const CRITICAL_FINDINGS: Exit = Exit(12);
    /// The run waits for a person.
    pub const WAITING: Exit = Exit(13);
    /// A person rejected it, or nobody answered in time.
    pub const REJECTED: Exit = Exit(14);
    /// The run was cancelled.
    pub const CANCELLED: Exit = Exit(15);
    /// Outcome unknown: a write was sent and its result never came back.
    pub const IN_DOUBT: Exit = Exit(16);
    /// A plan is out of date: nothing was started, or the run stopped before a write that the plan doesn't have.
    pub const STALE: Exit = Exit(17);
    /// Somebody else drives the run or holds its group, or all writes are on hold.
    pub const BUSY: Exit = Exit(18);
    /// The run is paused: somebody asked for it, or it can't be recorded or decided for now. Or it is stuck: an undo failed.
    pub const PAUSED: Exit = Exit(19);
    /// `run --dry-run --detailed-exitcode`, `plan --detailed-exitcode`: the plan would change something.
    pub const PLAN_CHANGES: Exit = Exit(20);
    /// `diff --exit-code`: the runs differ.
    pub const DIFFERENT: Exit = Exit(21);
    /// The server would have been open to others, with nothing to stop them; it was not started.
    pub const EXPOSED: Exit = Exit(78);
    /// The terminal went away (SIGHUP); the run can be resumed.
    pub const HUNG_UP: Exit = Exit(129);
    /// Interrupted before anything had to be said about a run.
    pub const INTERRUPTED: Exit = Exit(130);
    /// The process was asked to go (SIGTERM); the run can be resumed.
    pub const TERMINATED: Exit = Exit(143);

    /// Every code with its meaning, for help and documentation.
    pub const ALL: [(Exit, &'static str); 22] = [
        (Exit::SUCCESS, "success; for a run: every step is done"),
        (Exit::TOOL_FAILED, "the tool itself failed: input or output, journal, a bug"),
        (Exit::USAGE, "wrong usage; nothing was started"),
        (Exit::INVALID, "a runbook, action, target, project file or plan has problems"),
        (Exit::NOT_ALLOWED, "not allowed, or nothing proves who acts; nothing was done"),
        (Exit::DAMAGED, "the journal is not what was written"),
        (Exit::STEP_FAILED, "a step failed"),
        (Exit::ASSERTION_FAILED, "an assertion does not hold, or a test"),
        (Exit::CRITICAL_FINDINGS, "the run ended well and found something critical"),
        (Exit::WAITING, "the run waits for a person"),
        (Exit::REJECTED, "a person rejected it, or nobody answered in time"),
        (Exit::CANCELLED, "the run was cancelled"),
        (Exit::IN_DOUBT, "outcome unknown: a write was sent and its result never came back"),
        (Exit::STALE, "a plan is out of date: nothing was started, or stopped before the write"),
        (Exit::BUSY, "somebody else drives the run or holds its group, or all writes are on hold"),
        (Exit::PAUSED, "the run is paused, or stuck after an undo that failed: it can be taken up again"),
        (Exit::PLAN_CHANGES, "--detailed-exitcode: the plan would change something"),
        (Exit::DIFFERENT, "diff --exit-code, replay: the runs differ"),
        (Exit::EXPOSED, "serve: it would be open to others with nothing to stop them; not started"),
        (Exit::HUNG_UP, "the terminal went away; the run can be resumed"),
        (Exit::INTERRUPTED, "interrupted"),
        (Exit::TERMINATED, "terminated; the run can be resumed"),
    ];

    /// How bad a run's code is: the worst of all that apply wins.
    fn rank(self) -> u8 {
        match self {
            Exit::PAUSED => 7,
            Exit::IN_DOUBT => 6,
            Exit::CANCELLED => 5,
            Exit::REJECTED | Exit::STALE => 4,
            Exit::STEP_FAILED | Exit::ASSERTION_FAILED => 3,
            Exit::WAITING | Exit::BUSY => 2,
            Exit::CRITICAL_FINDINGS => 1,
            _ => 0,
        }
    }

    /// The worse of two codes of a run.
    pub fn worst(self, other: Exit) -> Exit {
        if other.rank() > self.rank() { other } else { self }
    }

    /// The code of an error of the door.
    pub fn of_error(kind: ErrorKind) -> Exit {
        match kind {
            ErrorKind::Usage | ErrorKind::NotFound => Exit::USAGE,
            ErrorKind::Invalid => Exit::INVALID,
            ErrorKind::Stale => Exit::STALE,
            ErrorKind::NotAllowed => Exit::NOT_ALLOWED,
            ErrorKind::Busy => Exit::BUSY,
            ErrorKind::Interrupted(parting) => parting.map_or(Exit::INTERRUPTED, Exit::of_parting),
            ErrorKind::Damaged => Exit::DAMAGED,
            // As a run that meets it on the way: nothing is lost, it goes on with some room.
            ErrorKind::Full => Exit::PAUSED,
            ErrorKind::Storage | ErrorKind::Internal => Exit::TOOL_FAILED,
        }
    }

    /// The code of a process that was asked to go: what the shell gives for one that was killed by the signal.
    pub fn of_parting(parting: Parting) -> Exit {
        match parting {
            Parting::Terminated => Exit::TERMINATED,
            Parting::HungUp => Exit::HUNG_UP,
        }
    }

    /// The code of a run whose driver has returned.
    pub fn of_run(facts: &Facts, why: &Why) -> Exit {
        let mut exit = match why {
            Why::Ended => Exit::SUCCESS,
            Why::Waiting => Exit::WAITING,
            Why::InDoubt => Exit::IN_DOUBT,
            Why::Paused(_) => Exit::PAUSED,
            Why::Held(_) => Exit::BUSY,
            Why::Interrupted => Exit::INTERRUPTED,
            Why::Left(parting) => Exit::of_parting(*parting),
        };
        let left = matches!(why, Why::Interrupted | Why::Left(_));
        let state = facts.state();
        if state == RunState::InDoubt {
            exit = exit.worst(Exit::IN_DOUBT);
        }
        if state == RunState::Stuck {
            return Exit::PAUSED;
        }
        // How the run that was taken back had ended is no longer the question.
        if let Some(end) = facts.undo_of_run().and_then(|undo| undo.end.as_ref()).filter(|_| !left) {
            return match end.outcome {
                UndoOutcome::Done => Exit::SUCCESS,
                UndoOutcome::Cancelled => Exit::CANCELLED,
                UndoOutcome::Stuck => Exit::PAUSED,
            };
        }
        if let RunState::Ended(outcome) = state {
            let error = facts.finished.as_ref().and_then(|end| end.error.as_ref());
            exit = exit.worst(match outcome {
                RunOutcome::Success => Exit::SUCCESS,
                RunOutcome::Failed if error.is_some_and(|error| error.kind == FailureKind::Assertion) => {
                    Exit::ASSERTION_FAILED
                }
                RunOutcome::Failed => Exit::STEP_FAILED,
                RunOutcome::Rejected if error.is_some_and(|error| error.kind == FailureKind::Stale) => Exit::STALE,
                RunOutcome::Rejected => Exit::REJECTED,
                RunOutcome::Cancelled => Exit::CANCELLED,
            });
        }
        if facts.findings.iter().any(|finding| finding.level == Level::Critical) && !left {
            exit = exit.worst(Exit::CRITICAL_FINDINGS);
        }
        exit
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Body;
    use crate::engine::outcome::Failure;
    use crate::transcript::story::{Story, ana};

    #[test]
    fn the_worst_code_wins_in_the_documented_order() {
        let order = [
            Exit::PAUSED,
            Exit::IN_DOUBT,
            Exit::CANCELLED,
            Exit::REJECTED,
            Exit::STEP_FAILED,
            Exit::WAITING,
            Exit::CRITICAL_FINDINGS,
            Exit::SUCCESS,
        ];
        for (at, worse) in order.iter().enumerate() {
            for milder in &order[at..] {
                assert_eq!(worse.worst(*milder), *worse);
                assert_eq!(milder.worst(*worse), *worse);
            }
        }
        // Neither of these two is worse: the one that is there stays.
        assert_eq!(Exit::ASSERTION_FAILED.worst(Exit::STEP_FAILED), Exit::ASSERTION_FAILED);
    }

    #[test]
    fn every_code_has_one_number_and_one_meaning() {
        let mut numbers: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.0).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), Exit::ALL.len());
        assert!(numbers.is_sorted());
    }

    #[test]
    fn a_run_says_the_worst_that_is_true_of_it() {
        let failed = |kind, message: &str| {
            let mut story = Story::begun();
            story.finds("f", Level::Critical, "broken", None);
            story.ended(RunOutcome::Failed, Some("x".into()), Some(Failure::new(kind, message)));
            story.facts
        };
        assert_eq!(Exit::of_run(&failed(FailureKind::Assertion, "no"), &Why::Ended), Exit::ASSERTION_FAILED);
        assert_eq!(Exit::of_run(&failed(FailureKind::Status, "no"), &Why::Ended), Exit::STEP_FAILED);
        let rejected = |kind| {
            let mut story = Story::begun();
            story.ended(RunOutcome::Rejected, Some("x".into()), Some(Failure::new(kind, "no")));
            Exit::of_run(&story.facts, &Why::Ended)
        };
        assert_eq!(rejected(FailureKind::Stale), Exit::STALE);
        assert_eq!((rejected(FailureKind::Expired), rejected(FailureKind::Rejected)), (Exit::REJECTED, Exit::REJECTED));

        let mut story = Story::begun();
        assert_eq!(Exit::of_run(&story.facts, &Why::Waiting), Exit::WAITING);
        assert_eq!(Exit::of_run(&story.facts, &Why::Interrupted), Exit::INTERRUPTED);
        assert_eq!(Exit::of_run(&story.facts, &Why::Paused("disk full".into())), Exit::PAUSED);
        story.write("copy").doubts("copy");
        assert_eq!(Exit::of_run(&story.facts, &Why::Interrupted), Exit::IN_DOUBT);
        assert_eq!(Exit::of_run(&story.facts, &Why::InDoubt), Exit::IN_DOUBT);

        let mut story = Story::begun();
        story.finds("f", Level::Critical, "broken", None).finished();
        assert_eq!(Exit::of_run(&story.facts, &Why::Ended), Exit::CRITICAL_FINDINGS);

        let mut story = Story::begun();
        story.tell(Body::RunCancelled { actor: ana(), reason: None }).ended(RunOutcome::Cancelled, None, None);
        assert_eq!(Exit::of_run(&story.facts, &Why::Ended), Exit::CANCELLED);
        assert_eq!(Exit::of_run(&Story::begun().finished().facts, &Why::Ended), Exit::SUCCESS);
    }
}
