//! Whose something is in a store that several projects share: people, chats and requests of one are not those of another,
//! however alike their names are.

use crate::engine::event::RunStarted;
use crate::runs::Runs;

/// Between a name and its project: no name has it. What has none is of no project, as everything was once.
const OF: char = '\n';

impl Runs {
    /// The directory of the project; empty without one.
    pub(super) fn of(&self) -> String {
        self.project().root.as_ref().map(|root| root.display().to_string()).unwrap_or_default()
    }

    /// A name as this project's own in the store.
    pub(super) fn own(&self, name: &str) -> String {
        match self.of() {
            root if root.is_empty() => name.to_owned(),
            root => format!("{name}{OF}{root}"),
        }
    }

    /// Whether a run is of this project. One that doesn't say where it began is everybody's.
    pub(super) fn is_own(&self, started: &RunStarted) -> bool {
        let Some(root) = &started.root else { return true };
        self.ground().and_then(|ground| ground.shown()).is_ok_and(|own| own == *root)
    }
}

/// A name as it was given.
pub(super) fn plain(own: &str) -> &str {
    own.split_once(OF).map_or(own, |(name, _)| name)
}
