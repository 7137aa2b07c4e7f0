//! A rehearsal as a plain object.

use serde_json::Value as Json;

use crate::runs::Rehearsed;
use crate::transcript::Plan;

/// A plan for programs, with how far it reaches.
pub fn of_plan(plan: &Plan, rehearsed: &Rehearsed) -> Json {
    let mut json = plan.to_json();
    if let (Some(object), Ok(reach)) = (json.as_object_mut(), serde_json::to_value(rehearsed.radius())) {
        object.insert("reach".to_owned(), reach);
    }
    json
}
