//! From what a trigger wants to a run, or to a proposal: what may begin by itself, how often, and for whom.

use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::engine::ids::RunId;
use crate::runbook::spec::Effect;
use crate::runbook::tell::Room;
use crate::runs::{Began, Caller, ErrorKind, Prepared, Runs, RunsError, Wanted};
use crate::surfaces::alerts::proposals::{self, Fate, Proposal};
use crate::surfaces::chat::news::{self, What};
use crate::surfaces::cli::operator;
use crate::surfaces::http::Server;
use std::sync::Arc;

/// Where the starts of the last hour stand that triggers made by themselves, by target.
const HOURS: &str = "auto";
/// Bytes of an address where people look at an alert: more is followed by no browser's bar and shown by no chat.
const URL_BYTES_MAX: usize = 2_000;
/// Times a counter of starts is tried that others change at the same moment.
const TRIES_MAX: usize = 100;

/// What is to begin.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The name it has, kept before: asked twice, it begins once.
    pub run: RunId,
    pub wanted: Wanted,
    /// The trigger lets it change something.
    pub auto: bool,
    /// Who stands behind it.
    pub acts_as: Option<String>,
    /// By which way, in the record.
    pub via: String,
    pub reason: String,
    /// What can't begin by itself becomes a proposal.
    pub propose: bool,
    /// Where people look at the alert.
    pub url: String,
    /// Where people hear of it.
    pub rooms: Vec<Room>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// This run does it: the new one, or one that does the same already.
    Started(RunId),
    Proposed,
    Refused {
        /// One of [`REASONS`].
        reason: &'static str,
        why: String,
    },
}

/// Why something was not begun, in words that can be counted.
pub const REASONS: [&str; 6] = ["input", "not_allowed", "not_found", "invalid", "policy", "other"];

/// Begins it, or proposes it.
///
/// # Errors
/// What is worth another try: a busy group, a full disk, too many runs.
pub fn begin(server: &Server, runs: &Arc<Runs>, ask: &Ask) -> Result<Came, RunsError> {
    if runs.existing(ask.run)?.is_some() {
        return Ok(Came::Started(ask.run));
    }
    if proposals::find(runs, ask.run)?.is_some() {
        return Ok(Came::Proposed);
    }
    match attempt(server, runs, ask) {
        Err(error) if is_for_good(&error) => {
            news::withdraw(runs, ask.run)?;
            Ok(Came::Refused { reason: reason_of(&error), why: said(&error) })
        }
        came => came,
    }
}

/// Whether people still have to do with what began by this name: a run that has not ended, or a proposal that may be started.
///
/// # Errors
/// If the journal can't be read.
pub fn is_open(runs: &Runs, run: RunId) -> Result<bool, RunsError> {
    let runs_on = |run| runs.existing(run).map(|row| row.map(|row| row.ended_at.is_none()));
    if let Some(runs_on) = runs_on(run)? {
        return Ok(runs_on);
    }
    match proposals::find(runs, run)?.map(|proposal| proposal.fate) {
        Some(Fate::Open) => Ok(true),
        Some(Fate::Started { instead: Some(other), .. }) => Ok(runs_on(other)?.unwrap_or(false)),
        Some(Fate::Started { instead: None, .. } | Fate::Dismissed { .. }) | None => Ok(false),
    }
}

fn attempt(server: &Server, runs: &Arc<Runs>, ask: &Ask) -> Result<Came, RunsError> {
    let prepared = runs.prepare_wanted(&ask.wanted, ask.reason.clone())?;
    let people = &runs.project().settings.people;
    if !people.is_single_operator() && ask.acts_as.is_none() {
        let said = "nobody stands behind it: name somebody with `acts_as`";
        return Err(RunsError::new(ErrorKind::NotAllowed, said));
    }
    let caller = caller(&ask.via, ask.acts_as.clone());
    let actor = runs.identify(&caller)?;
    let now = Timestamp::now();
    if let Some(why) = holds_back(runs, &prepared, ask, now)? {
        if !ask.propose {
            return Ok(Came::Refused { reason: "policy", why });
        }
        tell(runs, ask)?;
        let made = Proposal::new(ask.run, &ask.wanted, ask.reason.clone(), why, now);
        proposals::make(runs, &Proposal { url: shown_url(&ask.url), acts_as: ask.acts_as.clone(), ..made })?;
        return Ok(Came::Proposed);
    }
    runs.may_start(&prepared, &actor)?;
    tell(runs, ask)?;
    crate::failpoint::hit("alert.announced");
    match server.fleet.start(Arc::clone(runs), prepared.called(ask.run), actor)? {
        Began::Run(run) => Ok(Came::Started(run)),
        Began::Attach(row) => {
            // That one is told by whoever has begun it.
            news::withdraw(runs, ask.run)?;
            Ok(Came::Started(row.run))
        }
    }
}

/// An address as it is kept to be shown. One that is too long is left out: cut short it would lead elsewhere.
fn shown_url(url: &str) -> String {
    if url.len() <= URL_BYTES_MAX { url.to_owned() } else { String::new() }
}

/// Puts down what people are to hear, before it happens: a kill afterwards loses none of it.
fn tell(runs: &Runs, ask: &Ask) -> Result<(), RunsError> {
    let what = if ask.propose { What::Start } else { What::Trouble };
    news::announce(runs, ask.run, what, &ask.rooms, &ask.wanted.runbook, &ask.reason)
}

/// Who asks: the person who stands behind it, or the operator where there are no people.
pub fn caller(via: &str, acts_as: Option<String>) -> Caller {
    Caller {
        os_users: operator::os_users(),
        via: via.to_owned(),
        claims: None,
        token_file: None,
        bearer: None,
        vouched: acts_as,
    }
}

/// Why it may not begin by itself; `None` if it may. What it then takes of the hour is taken.
fn holds_back(runs: &Runs, prepared: &Prepared, ask: &Ask, now: Timestamp) -> Result<Option<String>, RunsError> {
    let worst = prepared.worst();
    if worst <= Effect::Read {
        return Ok(None);
    }
    let may = format!("it may {}", worst.word());
    if !ask.auto {
        return Ok(Some(format!("{may}, and its trigger doesn't say `auto: true`")));
    }
    let Some(target) = &prepared.target else {
        return Ok(Some(format!("{may}, and without a target nothing says that it may do so by itself")));
    };
    let Some(auto) = prepared.auto() else {
        return Ok(Some(format!("{may}, and `policy.auto` of target `{target}` doesn't let it")));
    };
    if worst > auto.max_effect {
        let most = auto.max_effect.word();
        return Ok(Some(format!("{may}, and `policy.auto` of target `{target}` lets triggers {most} at most")));
    }
    match take_of_the_hour(runs, target, ask.run, auto.per_hour, now)? {
        true => Ok(None),
        false => Ok(Some(format!(
            "{may}, and {} such starts within an hour are all that `policy.auto` of target `{target}` allows",
            auto.per_hour
        ))),
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Took {
    run: RunId,
    at: Timestamp,
}

/// Takes one start of this hour; the same run takes one, however often it is asked.
fn take_of_the_hour(runs: &Runs, target: &str, run: RunId, per_hour: u32, now: Timestamp) -> Result<bool, RunsError> {
    let shelf = runs.shelf(HOURS);
    let hour_ago = now.checked_sub(Span::new().hours(1)).unwrap_or(now);
    for _ in 0..TRIES_MAX {
        let was = shelf.get(target)?;
        let mut took: Vec<Took> = was.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        // A clock that went back must not let more through: what lies ahead counts too.
        took.retain(|took| took.at > hour_ago);
        if took.iter().any(|took| took.run == run) {
            return Ok(true);
        }
        if took.len() >= per_hour as usize {
            return Ok(false);
        }
        took.push(Took { run, at: now });
        let text = serde_json::to_string(&took).unwrap_or_default();
        if shelf.swap(target, was.as_deref(), &text, None)? {
            return Ok(true);
        }
    }
    Err(RunsError::new(ErrorKind::Busy, "too many starts at the same moment"))
}

/// Whether trying again changes nothing until somebody changes something.
fn is_for_good(error: &RunsError) -> bool {
    match error.kind {
        ErrorKind::Usage | ErrorKind::Invalid | ErrorKind::Stale | ErrorKind::NotFound | ErrorKind::NotAllowed => true,
        ErrorKind::Busy | ErrorKind::Interrupted(_) | ErrorKind::Full => false,
        ErrorKind::Storage | ErrorKind::Damaged | ErrorKind::Internal => false,
    }
}

fn reason_of(error: &RunsError) -> &'static str {
    match error.kind {
        ErrorKind::Usage => "input",
        ErrorKind::NotAllowed => "not_allowed",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Invalid => "invalid",
        _ => "other",
    }
}

fn said(error: &RunsError) -> String {
    match error.problems.first() {
        Some(problem) => format!("{}: {}", error.message, problem.message),
        None => error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    #[test]
    fn an_hour_has_so_many_starts_and_each_run_takes_one() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        let run = || RunId::new(uuid::Uuid::now_v7());
        let now = Timestamp::now();
        let later = |minutes: i64| now.checked_add(Span::new().minutes(minutes)).unwrap();
        let take = |run, at| take_of_the_hour(&runs, "production", run, 2, at).unwrap();
        let (a, b, c) = (run(), run(), run());
        assert!(take(a, now) && take(a, later(1)) && take(b, later(30)) && !take(c, later(59)));
        assert!(take_of_the_hour(&runs, "staging", c, 2, now).unwrap(), "another target has its own");
        assert!(take(c, later(61)), "the first one is over an hour ago");
        assert!(!take(run(), later(62)) && take(b, later(62)));
        assert!(!take(run(), later(-600)), "a clock that goes back lets no more through");
    }

    #[test]
    fn an_address_that_is_too_long_is_left_out_whole() {
        let of = |bytes: usize| format!("{:x<bytes$}", "https://m.example.com/");
        assert_eq!(shown_url(&of(URL_BYTES_MAX)), of(URL_BYTES_MAX));
        assert_eq!(shown_url(&of(URL_BYTES_MAX + 1)), "");
    }

    #[test]
    fn of_many_at_once_no_more_get_through() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        let taken = std::thread::scope(|scope| {
            let take = || {
                let run = RunId::new(uuid::Uuid::now_v7());
                take_of_the_hour(&runs, "production", run, 3, Timestamp::now()).unwrap()
            };
            let tries: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            tries.into_iter().map(|tried| tried.join().unwrap()).filter(|taken| *taken).count()
        });
        assert_eq!(taken, 3);
    }
}
