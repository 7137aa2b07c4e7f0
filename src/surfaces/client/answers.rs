//! What a server answers, read as what the door of the journal gives. What can't be that is the answer of something else.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::engine::event::{Actor, Event, Hold};
use crate::engine::ids::StepPath;
use crate::runs::{Delivered, LastHold, RunRow, RunsError, Status, Taken};
use crate::surfaces::client::wire::strange;
use crate::surfaces::door::{Asking, Myself, Standing};
use crate::surfaces::shapes::plan::to_changes;

/// Who is calling.
pub fn myself(json: &Json) -> Myself {
    let actor = Actor {
        id: text(&json["id"]),
        via: "http".to_owned(),
        roles: texts(&json["roles"]),
        person: json["person"] == true,
        agent: None,
    };
    let os_user = json["os_user"].as_str().map(str::to_owned);
    Myself { actor, os_user, single_operator: json["single_operator"] == true }
}

/// Where a run stands.
pub fn standing(json: &Json) -> Standing {
    Standing {
        pending: texts(&json["pending"]),
        answered: texts(&json["answered"]).into_iter().map(StepPath::new).collect(),
        driven: json["driven"] == true,
        driver: json["driver"].as_str().map(str::to_owned),
        signed: json["checkpoint"].as_str().map(str::to_owned),
    }
}

/// The hold that is on, or was last; nothing if there never was one.
pub fn last_hold(json: &Json) -> Result<Option<LastHold>, RunsError> {
    let Some(since) = json["since"].as_str() else { return Ok(None) };
    let hold = Hold {
        actor: somebody(&json["by"], &json["via"], &Json::Null),
        since: since.parse().map_err(|_| strange("a time is none"))?,
        reason: text(&json["reason"]),
    };
    let at = json["lifted_at"].as_str().and_then(|at| at.parse().ok());
    let lifted = at.map(|at| (somebody(&json["lifted_by"], &json["lifted_via"], &Json::Null), at));
    Ok(Some(LastHold { hold, lifted }))
}

/// What a person is asked before a start.
pub fn asking(json: &Json) -> Result<Asking, RunsError> {
    Ok(Asking {
        runbook: text(&json["runbook"]),
        target: json["target"].as_str().map(str::to_owned),
        effects: read(&json["effects"])?,
        changes: to_changes(&json["changes"]).ok_or_else(|| strange("a change is none"))?,
    })
}

/// What came of a word. The server takes it up, if nobody has so far.
pub fn taken(json: &Json) -> Taken {
    match json["enough"].as_bool() {
        Some(enough) => Taken::Recorded { enough },
        None => Taken::NotYet(Delivered::ToDriver),
    }
}

pub fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// Who did something, by which way, and the program that did it for them.
pub fn somebody(id: &Json, via: &Json, agent: &Json) -> Actor {
    let via = via.as_str().unwrap_or("cli");
    Actor { agent: agent.as_str().map(str::to_owned), ..Actor::new(text(id), via) }
}

pub fn texts(json: &Json) -> Vec<String> {
    json.as_array().into_iter().flatten().map(text).collect()
}

pub fn read<T: DeserializeOwned>(json: &Json) -> Result<T, RunsError> {
    serde_json::from_value(json.clone()).map_err(|error| strange(&error.to_string()))
}

/// A run of a list.
pub fn row(json: &Json) -> Result<RunRow, RunsError> {
    let broken = |what: &str| strange(&format!("a run has no right `{what}`"));
    let time = |name: &str| json[name].as_str().and_then(|text| text.parse().ok());
    Ok(RunRow {
        number: json["number"].as_u64().ok_or_else(|| broken("number"))?,
        run: text(&json["id"]).parse().map_err(|_| broken("id"))?,
        runbook: text(&json["runbook"]),
        title: text(&json["title"]),
        target: json["target"].as_str().map(str::to_owned),
        actor: somebody(&json["operator"], &json["via"], &json["agent"]),
        incident: json["incident"].as_str().map(str::to_owned),
        status: json["status"].as_str().and_then(Status::from_word).ok_or_else(|| broken("status"))?,
        started_at: time("started_at").ok_or_else(|| broken("started_at"))?,
        ended_at: time("ended_at"),
        last_seq: json["events"].as_u64().and_then(|count| count.checked_sub(1)).ok_or_else(|| broken("events"))?,
        head: read(&json["head"])?,
        fence: 0,
    })
}

/// The events of an export.
pub fn events(text: &str) -> Result<Vec<Event>, RunsError> {
    text.lines().map(event).collect()
}

/// One event, without what is told of it beside.
pub fn event(line: &str) -> Result<Event, RunsError> {
    let mut json: Json = serde_json::from_str(line).map_err(|error| strange(&error.to_string()))?;
    let begins = json["type"] == "run.started";
    if let Some(object) = json.as_object_mut() {
        for beside in ["prev", "hash"].into_iter().chain((!begins).then_some("run")) {
            object.remove(beside);
        }
    }
    serde_json::from_value(json).map_err(|error| strange(&format!("an event can't be read: {error}")))
}
