//! Saved plans and the proof of a journal, as commands meet them at any door: what is shown and asked, ready to be told.

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::runs::{PreparedApply, RunsError};
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::door::Asking;
use crate::surfaces::shapes::plan::Told;
use crate::transcript::Line;

/// The file of a saved plan.
#[derive(Clone, Copy, Debug)]
pub struct PlanFile<'f> {
    /// Its name in messages.
    pub shown: &'f str,
    pub text: &'f str,
    /// Also if a run has changed something by it already.
    pub again: bool,
}

/// A rehearsal that was to be saved.
pub struct Planned {
    pub told: Told,
    /// How a run from here would end.
    pub exit: Exit,
    /// Nothing if it did not come to a good end: then there is nothing to apply.
    pub saved: Option<Saved>,
}

/// A plan that was just made.
pub struct Saved {
    /// As a plain object.
    pub json: Json,
    /// The text of its file.
    pub text: String,
    /// What may be changed only if it fails, and what it could not know.
    pub beside: Vec<Line>,
    pub expires: Timestamp,
}

/// A plan that was held against now; nothing has happened yet.
pub struct Applying {
    pub asking: Asking,
    pub made_at: Timestamp,
    /// Whether what it would write has become something else: then it is not applied.
    pub stale: bool,
    /// What has moved since it was made, as a plain object.
    pub moved: Json,
    /// The same for people, where it is not applied.
    pub drift: Vec<Line>,
    /// What people read before they agree.
    pub lines: Vec<Line>,
    pub(in crate::surfaces) way: ApplyWay,
}

/// How it is applied.
pub(in crate::surfaces) enum ApplyWay {
    Here(Box<PreparedApply>),
    /// By this request.
    There(Json),
}

/// A plan held against a run.
pub struct Compared {
    /// Whether all that it says was done, and nothing else.
    pub equal: bool,
    pub moved: Json,
    pub lines: Vec<Line>,
}

/// That a plan is not applied because the world has moved.
pub fn out_of_date(made_at: Timestamp) -> RunsError {
    let said = format!("the plan is out of date: since {made_at:.0} what it would write has become something else");
    RunsError::new(crate::runs::ErrorKind::Stale, said)
}
