//! Starts that wait for a person: what an alert would start and may not by itself, with its plan.
//!
//! A proposal has the name of the run it would become, so that two people who start it at once start one run. How that is
//! done is said in `starting.rs`.

use std::collections::BTreeMap;

use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use url::form_urlencoded;

use crate::engine::digest::sha256_hex;
use crate::engine::ids::RunId;
use crate::runbook::triggers::State;
use crate::runs::{ErrorKind, Runs, RunsError, Wanted};
use crate::script::value::Value;

/// Hours a proposal stands: what nobody has started in a week, nobody means any more.
pub const STANDS_HOURS: i64 = 7 * 24;
/// Bytes of what is shown of a plan, and of the plan itself: what is larger nobody reads before they press a button.
const PLAN_BYTES_MAX: usize = 256 * 1024;
const SHELF: &str = "proposals";
/// Their plans, by digest: apart, so that counting proposals reads none of them.
const PLANS: &str = "proposals.plans";

/// A start that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The name of the run it becomes.
    pub run: RunId,
    pub runbook: String,
    /// As of an API: values by name.
    pub inputs: BTreeMap<String, Json>,
    pub target: Option<String>,
    pub incident: Option<String>,
    /// Which alert, in words: the reason of the run.
    pub reason: String,
    /// Whether it still fires.
    pub status: State,
    /// Where people look at the alert; may be empty.
    pub url: String,
    pub made_at: Timestamp,
    /// For whom its source acts.
    pub acts_as: Option<String>,
    /// Why it was not started at once.
    pub why: String,
    pub plan: Plan,
    pub fate: Fate,
}

/// What is known of its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Plan {
    /// Not made yet.
    Wanted,
    /// By what it is known, and found with [`planned_as`].
    Made {
        at: Timestamp,
        #[serde(default)]
        digest: String,
    },
    /// There is none that could be applied.
    Failed { why: String },
}

/// A plan as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// As `rerail run --dry-run -o json` says it.
    pub json: Json,
    /// As people read it: lines with their tones.
    pub lines: Json,
    /// How far it reaches, likewise.
    pub reach: Json,
    /// The text that is applied, as `rerail plan --out` writes it; empty if the rehearsal came to no good end.
    pub saved: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Fate {
    Open,
    Started {
        by: String,
        at: Timestamp,
        /// Another run that did the same already, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead: Option<RunId>,
    },
    Dismissed {
        by: String,
        at: Timestamp,
    },
}

impl Proposal {
    /// One of these inputs.
    pub fn new(run: RunId, wanted: &Wanted, reason: String, why: String, made_at: Timestamp) -> Proposal {
        let inputs = wanted.inputs.iter().map(|(name, value)| (name.clone(), value.to_plain())).collect();
        Proposal {
            run,
            runbook: wanted.runbook.clone(),
            inputs,
            target: wanted.target.clone(),
            incident: wanted.incident.clone(),
            reason,
            status: State::Firing,
            url: String::new(),
            made_at,
            acts_as: None,
            why,
            plan: Plan::Wanted,
            fate: Fate::Open,
        }
    }

    /// What would be started.
    pub fn wanted(&self) -> Wanted {
        let inputs = self.inputs.iter().map(|(name, json)| (name.clone(), Value::from_data(json))).collect();
        let (runbook, target) = (self.runbook.clone(), self.target.clone());
        Wanted { runbook, inputs, target, incident: self.incident.clone() }
    }

    /// The page on which it is filled in: `/r/NAME?…`.
    pub fn page(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.inputs {
            match value {
                Json::Null => {}
                Json::String(text) => drop(query.append_pair(name, text)),
                other => drop(query.append_pair(name, &other.to_string())),
            }
        }
        let named = [("target", &self.target), ("incident", &self.incident)];
        query.extend_pairs(named.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))));
        query.append_pair("reason", &self.reason);
        format!("/r/{}?{}", self.runbook, query.finish())
    }

    /// Its own page.
    pub fn own_page(&self) -> String {
        format!("/proposals/{}", self.run.short())
    }

    /// The digest of the plan that it would be started with; nothing as long as there is none.
    pub fn digest(&self) -> Option<&str> {
        match &self.plan {
            Plan::Made { digest, .. } if !digest.is_empty() => Some(digest),
            _ => None,
        }
    }

    /// Until when it stands.
    pub fn until(&self) -> Option<Timestamp> {
        self.made_at.checked_add(Span::new().hours(STANDS_HOURS)).ok()
    }
}

/// All of them, newest first.
///
/// # Errors
/// If the journal can't be read.
pub fn all(runs: &Runs) -> Result<Vec<Proposal>, RunsError> {
    let all = runs.shelf(SHELF).all()?;
    let mut found: Vec<Proposal> = all.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect();
    found.sort_by_key(|proposal| std::cmp::Reverse(proposal.made_at));
    Ok(found)
}

/// Those that somebody may still start.
///
/// # Errors
/// As [`all`].
pub fn open(runs: &Runs) -> Result<Vec<Proposal>, RunsError> {
    Ok(all(runs)?.into_iter().filter(|proposal| proposal.fate == Fate::Open).collect())
}

/// The one of this name.
///
/// # Errors
/// As [`all`].
pub fn find(runs: &Runs, run: RunId) -> Result<Option<Proposal>, RunsError> {
    Ok(runs.shelf(SHELF).get(&run.uuid())?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The one that somebody names, by its id or in short, as people are shown it.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is none, or several.
pub fn named(runs: &Runs, name: &str) -> Result<Proposal, RunsError> {
    let all = all(runs)?;
    let name = name.trim().to_ascii_lowercase();
    let fits = |proposal: &&Proposal| proposal.run.uuid() == name || proposal.run.short() == name;
    let mut found = all.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(proposal), None) => Ok(proposal.clone()),
        (Some(_), Some(_)) => {
            Err(RunsError::new(ErrorKind::NotFound, format!("several proposals are called `{name}`"))
                .hint("give the whole name: `rerail triggers -o json` has it"))
        }
        (None, _) => Err(RunsError::new(ErrorKind::NotFound, format!("no proposal `{name}`"))
            .hint("it may have expired: a proposal stands for a week; `rerail triggers` lists them")),
    }
}

/// The plan that a proposal has now.
///
/// # Errors
/// As [`all`].
pub fn planned_as(runs: &Runs, proposal: &Proposal) -> Result<Option<Planned>, RunsError> {
    let Some(digest) = proposal.digest() else { return Ok(None) };
    Ok(runs.shelf(PLANS).get(digest)?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// A proposal as programs read it, with its plan.
///
/// # Errors
/// As [`all`].
pub fn whole(runs: &Runs, proposal: &Proposal) -> Result<Json, RunsError> {
    let mut json = serde_json::to_value(proposal).unwrap_or_default();
    json["id"] = Json::String(proposal.run.short());
    json["page"] = Json::String(proposal.own_page());
    json["form"] = Json::String(proposal.page());
    if let Some(planned) = planned_as(runs, proposal)? {
        json["plan"]["plan"] = planned.json;
    }
    Ok(json)
}

/// Makes one, once.
///
/// # Errors
/// If the journal can't be written.
pub fn make(runs: &Runs, proposal: &Proposal) -> Result<(), RunsError> {
    let text = serde_json::to_string(proposal).unwrap_or_default();
    runs.shelf(SHELF).put_new(&proposal.run.uuid(), &text, proposal.until()).map(drop)
}

/// Notes that somebody has started it; start it as `proposal.run`, and only then say so here. `instead` is another run that
/// did the same already. `false` if somebody else was first, or has dismissed it.
///
/// # Errors
/// If the journal can't be written.
pub fn started(runs: &Runs, run: RunId, by: &str, at: Timestamp, instead: Option<RunId>) -> Result<bool, RunsError> {
    settle(runs, run, &Fate::Started { by: by.to_owned(), at, instead })
}

/// Takes it away from who may start it. `false` if somebody has started or dismissed it already.
///
/// # Errors
/// If the journal can't be written.
pub fn dismiss(runs: &Runs, run: RunId, by: &str, at: Timestamp) -> Result<bool, RunsError> {
    settle(runs, run, &Fate::Dismissed { by: by.to_owned(), at })
}

fn settle(runs: &Runs, run: RunId, fate: &Fate) -> Result<bool, RunsError> {
    change(runs, run, |proposal| {
        let open = proposal.fate == Fate::Open;
        if open {
            proposal.fate = fate.clone();
        }
        open
    })
}

/// The alert is over: it may be started all the same.
pub(super) fn resolved(runs: &Runs, run: RunId) -> Result<bool, RunsError> {
    change(runs, run, |proposal| {
        let fires = proposal.status == State::Firing;
        proposal.status = State::Resolved;
        fires
    })
}

/// The alert fires again.
pub(super) fn fires(runs: &Runs, run: RunId) -> Result<bool, RunsError> {
    change(runs, run, |proposal| {
        let over = proposal.status == State::Resolved;
        proposal.status = State::Firing;
        over
    })
}

/// Has its plan made anew, unless that is being done already.
///
/// # Errors
/// If the journal can't be written.
pub fn plan_again(runs: &Runs, run: RunId) -> Result<bool, RunsError> {
    change(runs, run, |proposal| {
        let stands = proposal.fate == Fate::Open && proposal.plan != Plan::Wanted;
        if stands {
            proposal.plan = Plan::Wanted;
        }
        stands
    })
}

/// Notes its plan, or why there is none.
pub(super) fn planned(
    runs: &Runs,
    proposal: &Proposal,
    planned: Result<Planned, String>,
    at: Timestamp,
) -> Result<bool, RunsError> {
    let text = planned.map(|planned| serde_json::to_string(&planned).unwrap_or_default());
    let plan = match text {
        Err(why) => Plan::Failed { why },
        Ok(text) if text.len() > PLAN_BYTES_MAX => {
            Plan::Failed { why: format!("the plan has {} bytes, at most {PLAN_BYTES_MAX} are kept", text.len()) }
        }
        Ok(text) => {
            // Under its own digest: two who make it at once don't get in each other's way.
            let digest = format!("sha256:{}", sha256_hex(text.as_bytes()));
            runs.shelf(PLANS).put(&digest, &text, proposal.until())?;
            Plan::Made { at, digest }
        }
    };
    change(runs, proposal.run, move |proposal| {
        let wanted = proposal.plan == Plan::Wanted;
        if wanted {
            proposal.plan = plan.clone();
        }
        wanted
    })
}

/// Changes it if `with` says that there is something to change, whoever else does so at the same time.
fn change(runs: &Runs, run: RunId, with: impl Fn(&mut Proposal) -> bool) -> Result<bool, RunsError> {
    let shelf = runs.shelf(SHELF);
    let key = run.uuid();
    loop {
        let Some(was) = shelf.get(&key)? else { return Ok(false) };
        let mut proposal: Proposal = serde_json::from_str(&was)
            .map_err(|error| RunsError::new(ErrorKind::Internal, format!("a proposal can't be read: {error}")))?;
        if !with(&mut proposal) {
            return Ok(false);
        }
        let text = serde_json::to_string(&proposal).unwrap_or_default();
        if shelf.swap(&key, Some(&was), &text, proposal.until())? {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    fn proposal() -> Proposal {
        let inputs =
            [("n".to_owned(), Value::Int(3)), ("base".to_owned(), Value::Text("https://a.example.com/?x=1&y".into()))];
        let wanted =
            Wanted { runbook: "fix".into(), inputs: inputs.into(), target: Some("production".into()), incident: None };
        let run = RunId::new(uuid::Uuid::now_v7());
        Proposal::new(run, &wanted, "alert Down".into(), "it may write".into(), Timestamp::now())
    }

    #[test]
    fn a_proposal_is_filled_in_and_comes_back_as_it_was() {
        let proposal = proposal();
        assert_eq!(
            proposal.page(),
            "/r/fix?base=https%3A%2F%2Fa.example.com%2F%3Fx%3D1%26y&n=3&target=production&reason=alert+Down"
        );
        assert_eq!(proposal.wanted().inputs["n"], Value::Int(3));
        let text = serde_json::to_string(&proposal).unwrap();
        assert_eq!(serde_json::from_str::<Proposal>(&text).unwrap(), proposal);
    }

    #[test]
    fn of_all_who_settle_it_one_does() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        let proposal = proposal();
        make(&runs, &proposal).unwrap();
        make(&runs, &proposal).unwrap();
        assert_eq!(open(&runs).unwrap().len(), 1);
        let first = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8)
                .map(|n| {
                    let runs = &runs;
                    scope.spawn(move || match n % 2 {
                        0 => started(runs, proposal.run, "ana", Timestamp::now(), None).unwrap(),
                        _ => dismiss(runs, proposal.run, "ben", Timestamp::now()).unwrap(),
                    })
                })
                .collect();
            tries.into_iter().map(|tried| tried.join().unwrap()).filter(|was| *was).count()
        });
        assert_eq!((first, open(&runs).unwrap().len(), all(&runs).unwrap().len()), (1, 0, 1));
        assert!(planned(&runs, &proposal, Err("x".into()), Timestamp::now()).unwrap());
        assert!(!planned(&runs, &proposal, Err("y".into()), Timestamp::now()).unwrap());
        assert!(!plan_again(&runs, proposal.run).unwrap(), "nobody waits for it any more");
        assert!(resolved(&runs, proposal.run).unwrap() && !resolved(&runs, proposal.run).unwrap());
        assert_eq!(find(&runs, proposal.run).unwrap().unwrap().status, State::Resolved);
        assert!(fires(&runs, proposal.run).unwrap() && !fires(&runs, proposal.run).unwrap());
        assert_eq!(find(&runs, proposal.run).unwrap().unwrap().status, State::Firing);
        assert!(!started(&runs, RunId::new(uuid::Uuid::now_v7()), "ana", Timestamp::now(), None).unwrap());
    }

    #[test]
    fn a_plan_is_found_by_its_digest_and_made_anew_once() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        let first = proposal();
        make(&runs, &first).unwrap();
        let now = || find(&runs, first.run).unwrap().unwrap();
        let plan = |text: &str| Planned { saved: text.to_owned(), ..Planned::default() };
        assert!(planned(&runs, &first, Ok(plan("one")), Timestamp::now()).unwrap());
        let digest = now().digest().unwrap().to_owned();
        assert_eq!(planned_as(&runs, &now()).unwrap().unwrap().saved, "one");
        assert!(plan_again(&runs, first.run).unwrap() && !plan_again(&runs, first.run).unwrap());
        assert_eq!((now().digest(), planned_as(&runs, &now()).unwrap()), (None, None));
        assert!(planned(&runs, &first, Ok(plan("two")), Timestamp::now()).unwrap());
        assert_ne!(now().digest().unwrap(), digest);
        plan_again(&runs, first.run).unwrap();
        assert!(planned(&runs, &first, Ok(plan(&"x".repeat(PLAN_BYTES_MAX))), Timestamp::now()).unwrap());
        assert!(matches!(now().plan, Plan::Failed { why } if why.contains("at most 262144 are kept")));
        let name = first.run.short();
        assert_eq!(named(&runs, &name).unwrap().run, first.run);
        assert_eq!(named(&runs, &first.run.uuid()).unwrap().run, first.run);
        assert!(named(&runs, "").is_err() && named(&runs, "zzzzzz").is_err());
    }
}
