//! The hold on all writes as a plain object.

use serde_json::{Value as Json, json};

use crate::runs::LastHold;

/// The hold for programs. Additive only.
pub fn of_hold(last: Option<&LastHold>) -> Json {
    let lifted = last.and_then(|last| last.lifted.as_ref());
    json!({
        "on": last.is_some() && lifted.is_none(),
        "since": last.map(|last| last.hold.since.to_string()),
        "by": last.map(|last| last.hold.actor.id.as_str()),
        "via": last.map(|last| last.hold.actor.via.as_str()),
        "reason": last.map(|last| last.hold.reason.as_str()),
        "lifted_at": lifted.map(|(_, at)| at.to_string()),
        "lifted_by": lifted.map(|(actor, _)| actor.id.as_str()),
        "lifted_via": lifted.map(|(actor, _)| actor.via.as_str()),
    })
}
