//! Whose something is in a store that several projects share: people, chats and requests of one are not those of another,
//! however alike their names are.

use crate::engine::event::RunStarted;
use crate::runs::Runs;

impl Runs {
    /// The directory of the project, under which the store keeps what is its own; empty without one.
    pub(super) fn of(&self) -> String {
        self.project().root.as_ref().map(|root| root.display().to_string()).unwrap_or_default()
    }

    /// Whether a run is of this project. One that doesn't say where it began is everybody's.
    pub(super) fn is_own(&self, started: &RunStarted) -> bool {
        let Some(root) = &started.root else { return true };
        self.ground().and_then(|ground| ground.shown()).is_ok_and(|own| own == *root)
    }
}
