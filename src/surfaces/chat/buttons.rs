//! What buttons and forms may do. A button holds 256 random bits and nothing else; what they stand for lies on the shelf,
//! under their digest, and is done once.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::ids::RunId;
use crate::runs::{ErrorKind, Runs, RunsError, Token};
use crate::surfaces::chat::command::Start;
use crate::surfaces::chat::sign;

/// What stands for a button.
const SHELF: &str = "chat.buttons";
/// How long a button is good that nothing else limits: whoever comes to it a day later should look anew.
pub const LASTS: Duration = Duration::from_secs(24 * 3600);

/// What a button does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Shows what a runbook would do, to who presses it.
    Plan(Start),
    /// Shows it to all, with a button to start it.
    Run(Start),
    /// Shows a plan to all.
    Share(Start),
    Start(Start),
    /// Says yes to one change.
    Approve(Change),
    /// Says no, with a reason that a form asks for.
    Reject(Change),
    Answer {
        run: String,
        step: String,
        answer: String,
    },
    /// A form with inputs: what to do with them then.
    Inputs {
        start: Start,
        then: Then,
    },
    /// A form with the name of the place where something may be destroyed, for the button under this key.
    Confirm {
        start: Start,
        button: String,
    },
    /// A form with a reason.
    Reason(Change),
    /// Starts a proposal with the plan that was shown.
    Begin(Shown),
    /// A form with the name of the place where something may be destroyed, for the button under this key.
    ConfirmBegin {
        shown: Shown,
        button: String,
    },
    /// Takes a proposal away from everybody.
    Dismiss(Shown),
}

impl Act {
    /// Whether it may begin with a form.
    pub fn may_show_a_form(&self) -> bool {
        matches!(self, Act::Plan(_) | Act::Run(_) | Act::Start(_) | Act::Reject(_) | Act::Begin(_))
    }
}

/// What follows a form with inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    Plan,
    Run,
}

/// One change that waits for a word, exactly as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub run: String,
    pub step: String,
    pub digest: String,
}

/// A proposal, exactly as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub proposal: RunId,
    /// That of its plan; empty if it had none.
    pub digest: String,
}

/// What stands for a button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub act: Act,
    /// The people who may press it; everybody who is linked if nobody is named.
    pub who: Vec<String>,
    pub until: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
}

/// Who was first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub by: String,
    pub at: Timestamp,
    /// The request that used it: worked through again after a crash, it is the first one still.
    pub request: String,
}

/// What came of using a button up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spent {
    Now,
    /// Somebody was faster.
    Before(Used),
}

/// Puts an act down; gives what the button holds.
///
/// # Errors
/// If the journal can't be written, or the kernel gives no random numbers.
pub fn mint(runs: &Runs, act: Act, who: &[String], until: Timestamp) -> Result<String, RunsError> {
    let holds = sign::digest(Token::new()?.text());
    let held = Held { act, who: who.to_vec(), until, used: None };
    runs.shelf(SHELF).put(&sign::digest(&holds), &text(&held)?, Some(until))?;
    Ok(holds)
}

/// What a button does.
///
/// # Errors
/// If it holds nothing of ours, or its time is up.
pub fn find(runs: &Runs, holds: &str) -> Result<Held, RunsError> {
    at(runs, &key(holds))
}

/// Whether pressing this may begin with a form; what is no button of ours, or none any more, is answered with that.
///
/// # Errors
/// If the journal can't be read.
pub fn may_show_a_form(runs: &Runs, holds: &str) -> Result<bool, RunsError> {
    match find(runs, holds) {
        Ok(held) => Ok(held.act.may_show_a_form()),
        Err(error) if matches!(error.kind, ErrorKind::Usage) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a button is known by.
pub fn key(holds: &str) -> String {
    sign::digest(holds)
}

fn at(runs: &Runs, key: &str) -> Result<Held, RunsError> {
    let found = runs.shelf(SHELF).get(key)?;
    found.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| {
        RunsError::new(ErrorKind::Usage, "this button is too old, or not one of ours").hint("ask again: /rerail help")
    })
}

/// Uses the button under this key up for a request; the same request may do so again.
///
/// # Errors
/// If the journal can't be written, or the button is gone.
pub fn spend(runs: &Runs, key: &str, by: &str, request: &str) -> Result<Spent, RunsError> {
    let shelf = runs.shelf(SHELF);
    loop {
        let held = at(runs, key)?;
        match &held.used {
            Some(used) if used.request == request => return Ok(Spent::Now),
            Some(used) => return Ok(Spent::Before(used.clone())),
            None => {}
        }
        let used = Used { by: by.to_owned(), at: Timestamp::now(), request: request.to_owned() };
        let after = Held { used: Some(used), ..held.clone() };
        // Between the look and this somebody may have been faster: then the next look says who.
        if shelf.swap(key, Some(&text(&held)?), &text(&after)?, Some(held.until))? {
            return Ok(Spent::Now);
        }
    }
}

/// Makes a button good again that came to nothing, if it is this request that used it up.
///
/// # Errors
/// If the journal can't be written.
pub fn give_back(runs: &Runs, key: &str, request: &str) -> Result<(), RunsError> {
    let Ok(held) = at(runs, key) else { return Ok(()) };
    if held.used.as_ref().is_some_and(|used| used.request == request) {
        let before = Held { used: None, ..held.clone() };
        runs.shelf(SHELF).swap(key, Some(&text(&held)?), &text(&before)?, Some(held.until))?;
    }
    Ok(())
}

fn text(held: &Held) -> Result<String, RunsError> {
    serde_json::to_string(held).map_err(|error| RunsError::new(ErrorKind::Internal, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    fn runs(dir: &std::path::Path) -> Runs {
        Runs::open(dir.join("state"), Project::discover(dir).unwrap(), Redactor::new())
    }

    fn act() -> Act {
        Act::Start(Start { runbook: "x".into(), ..Start::default() })
    }

    #[test]
    fn of_many_who_press_at_once_one_is_first_and_all_hear_who() {
        let dir = tempfile::tempdir().unwrap();
        let runs = runs(dir.path());
        let holds = mint(&runs, act(), &["ana".into()], Timestamp::now() + LASTS).unwrap();
        assert_eq!((holds.len(), find(&runs, &holds).unwrap().who), (64, vec!["ana".to_owned()]));
        let spent: Vec<Spent> = std::thread::scope(|scope| {
            let press = |at: usize| spend(&runs, &key(&holds), &format!("p{at}"), &format!("r{at}")).unwrap();
            let pressed: Vec<_> = (0..8).map(|at| scope.spawn(move || press(at))).collect();
            pressed.into_iter().map(|pressed| pressed.join().unwrap()).collect()
        });
        let first = spent.iter().position(|spent| *spent == Spent::Now).unwrap();
        assert_eq!(spent.iter().filter(|spent| **spent == Spent::Now).count(), 1);
        for (at, spent) in spent.iter().enumerate().filter(|(at, _)| *at != first) {
            assert!(matches!(spent, Spent::Before(used) if used.by == format!("p{first}")), "{at}: {spent:?}");
        }
        assert_eq!(
            spend(&runs, &key(&holds), "p", &format!("r{first}")).unwrap(),
            Spent::Now,
            "the same request, again"
        );
        give_back(&runs, &key(&holds), "another").unwrap();
        assert!(find(&runs, &holds).unwrap().used.is_some());
        give_back(&runs, &key(&holds), &format!("r{first}")).unwrap();
        assert!(find(&runs, &holds).unwrap().used.is_none());
    }

    #[test]
    fn what_was_never_given_out_or_is_over_does_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let runs = runs(dir.path());
        let over = mint(&runs, act(), &[], Timestamp::now() - Duration::from_secs(1)).unwrap();
        for holds in ["", "x", &over, &"0".repeat(64)] {
            assert!(find(&runs, holds).is_err() && spend(&runs, &key(holds), "p", "r").is_err(), "{holds}");
        }
    }

    #[test]
    fn what_a_press_may_show_is_known_before_it_is_worked_on() {
        let dir = tempfile::tempdir().unwrap();
        let runs = runs(dir.path());
        let change = Change { run: "r".into(), step: "s".into(), digest: "d".into() };
        let answer = Act::Answer { run: "r".into(), step: "s".into(), answer: "go".into() };
        let soon = Timestamp::now() + LASTS;
        for (act, until, shows) in [
            (act(), soon, true),
            (Act::Reject(change.clone()), soon, true),
            (Act::Approve(change.clone()), soon, false),
            (answer, soon, false),
            (Act::Reject(change), Timestamp::now() - Duration::from_secs(1), false),
        ] {
            let holds = mint(&runs, act.clone(), &[], until).unwrap();
            assert_eq!(may_show_a_form(&runs, &holds).unwrap(), shows, "{act:?}");
        }
        assert!(!may_show_a_form(&runs, "never given out").unwrap());
    }

    #[test]
    fn the_store_holds_no_button() {
        let dir = tempfile::tempdir().unwrap();
        let runs = runs(dir.path());
        let holds = mint(&runs, act(), &[], Timestamp::now() + LASTS).unwrap();
        let all = runs.shelf(SHELF).all().unwrap();
        assert!(all.iter().all(|(key, value)| !key.contains(&holds) && !value.contains(&holds)));
    }
}
