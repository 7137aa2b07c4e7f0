//! A rehearsal as a plain object and as the lines that people read.

use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use crate::engine::plan::{Drift, SavedPlan, Write};
use crate::runbook::types::parse_duration;
use crate::runs::{Change, PLAN_LASTS_MAX, Rehearsed};
use crate::surfaces::shapes::lines::{of_lines, to_lines};
use crate::transcript::{Line, Marks, Plan, Tone, jsonl, saved};

/// How a rehearsal is told in lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    pub marks: Marks,
    /// Also how actions do what they do.
    pub whole: bool,
}

/// What a rehearsal says, in every form in which it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub lines: Vec<Line>,
    /// How far it reaches, if anywhere.
    pub reach: Vec<Line>,
    pub json: Json,
    /// Its events, one JSON object each.
    pub events: Vec<String>,
    pub changes_something: bool,
}

impl Told {
    /// Reads a rehearsal.
    pub fn of(rehearsed: &Rehearsed, telling: Telling) -> Told {
        let plan = Plan::of(&rehearsed.events, &rehearsed.facts, &rehearsed.program);
        let run = rehearsed.facts.started.as_ref().map(|started| started.run);
        let events = run.map(|run| rehearsed.events.iter().map(|event| jsonl::event(event, run)).collect());
        Told {
            lines: plan.lines(&rehearsed.facts, telling.marks, telling.whole),
            reach: saved::reach(&rehearsed.radius()).into_iter().collect(),
            json: of_plan(&plan, rehearsed),
            events: events.unwrap_or_default(),
            changes_something: plan.changes_something(),
        }
    }

    /// The plain object with everything else beside it, under `told`.
    pub fn to_json(&self) -> Json {
        let mut json = self.json.clone();
        json["told"] = json!({
            "lines": of_lines(&self.lines),
            "reach": of_lines(&self.reach),
            "events": self.events,
            "changes_something": self.changes_something,
        });
        json
    }

    /// The same again from what [`Told::to_json`] gave.
    pub fn read(mut json: Json) -> Told {
        let told = json.as_object_mut().and_then(|object| object.remove("told")).unwrap_or_default();
        let events = told["events"].as_array().into_iter().flatten().filter_map(Json::as_str);
        Told {
            lines: to_lines(&told["lines"]),
            reach: to_lines(&told["reach"]),
            events: events.map(str::to_owned).collect(),
            changes_something: told["changes_something"] == true,
            json,
        }
    }
}

/// A plan for programs, with how far it reaches.
pub fn of_plan(plan: &Plan, rehearsed: &Rehearsed) -> Json {
    let mut json = plan.to_json();
    if let (Some(object), Ok(reach)) = (json.as_object_mut(), serde_json::to_value(rehearsed.radius())) {
        object.insert("reach".to_owned(), reach);
    }
    json
}

/// Steps that may change something, with what they use and the greatest effect it can have.
pub fn of_changes(changes: &[Change]) -> Json {
    changes
        .iter()
        .map(|change| json!({ "step": change.step, "action": change.action, "effect": change.effect }))
        .collect()
}

/// The same steps again; nothing if one is none.
pub fn to_changes(json: &Json) -> Option<Vec<Change>> {
    let text = |json: &Json| json.as_str().map(str::to_owned);
    let change = |json: &Json| {
        let effect = serde_json::from_value(json["effect"].clone()).ok()?;
        Some(Change { step: text(&json["step"])?, action: text(&json["action"])?, effect })
    };
    json.as_array()?.iter().map(change).collect()
}

/// A saved plan as a plain object.
pub fn of_saved(plan: &SavedPlan) -> Json {
    let digest = |write: &Write| json!({ "step": write.change.step, "digest": write.change.digest });
    json!({
        "made_at": plan.made_at,
        "expires": plan.expires,
        "by": plan.by.id,
        "complete": plan.complete,
        "open": plan.open,
        "if_it_fails": plan.if_it_fails,
        "changes": plan.changes.iter().map(digest).collect::<Vec<_>>(),
    })
}

/// What people read of a saved plan before they agree to it: what it is, what it does, what was read otherwise since.
pub fn before_applying(plan: &SavedPlan, told: &Told, drift: &Drift, marks: Marks) -> Vec<Line> {
    let mut lines = vec![saved::head(plan, marks)];
    lines.extend(told.lines.iter().cloned());
    lines.extend(saved::reach(&plan.radius));
    lines.extend(saved::beside(plan));
    lines.extend(saved::read_otherwise(&drift.reads, marks));
    lines
}

/// What is said of a plan that was held against a run.
pub fn compared(drift: &Drift, marks: Marks) -> Vec<Line> {
    match drift.writes.is_empty() && drift.reads.is_empty() {
        true => vec![Line::of(Tone::Good, "all that the plan says was done, and nothing else")],
        false => saved::drift(drift, marks),
    }
}

/// How long a plan may be applied.
///
/// # Errors
/// What was expected.
pub fn lasts(text: &str) -> Result<SignedDuration, String> {
    let lasts = SignedDuration::try_from(parse_duration(text)?).map_err(|error| error.to_string())?;
    match lasts.is_zero() || lasts > PLAN_LASTS_MAX {
        true => Err(format!("expected a time of up to {} days", PLAN_LASTS_MAX.as_hours() / 24)),
        false => Ok(lasts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_lasts_for_some_time_and_not_for_ever() {
        assert_eq!(lasts("90m"), Ok(SignedDuration::from_mins(90)));
        assert_eq!(lasts("720h"), Ok(PLAN_LASTS_MAX));
        for wrong in ["0s", "721h", "tomorrow", "-1h", ""] {
            assert!(lasts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_told_comes_back_as_it_was() {
        let told = Told {
            lines: vec![Line::of(Tone::Warn, "a write")],
            reach: vec![Line::of(Tone::Strong, "Reach: ").add(Tone::Plain, "1 write")],
            json: json!({ "complete": true }),
            events: vec!["{\"seq\":0}".to_owned()],
            changes_something: true,
        };
        assert_eq!(Told::read(told.to_json()), told);
    }
}
