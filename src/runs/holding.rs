//! The hold of a store: nobody writes until it is lifted.

use crate::drivers::clock::now;
use crate::engine::event::{Actor, Hold};
use crate::journal::LastHold;
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::identity::only_people;
use crate::runs::typed::check_text;

impl Runs {
    /// Puts all writes of all runs of this store on hold; gives the hold that was on already instead, which stays.
    /// Once this returns no attempt passes its gate; what is on its way ends by itself.
    ///
    /// # Errors
    /// If the reason is blank or holds a secret, or the journal can't take it.
    pub fn hold(&self, actor: &Actor, reason: &str) -> Result<Option<Hold>, RunsError> {
        if reason.trim().is_empty() {
            return Err(RunsError::new(ErrorKind::Usage, "a hold needs a reason for those who meet it"));
        }
        check_text(&self.redactor, "the reason", reason)?;
        let hold = Hold { actor: actor.clone(), since: now(), reason: reason.to_owned() };
        Ok(self.store()?.put_on_hold(hold).wait()?)
    }

    /// Lifts the hold; gives it, or `None` if there was none. Anybody may stop writes, and only people of the project
    /// let them go on.
    ///
    /// # Errors
    /// If somebody else than a person asks for it, or the journal can't take it.
    pub fn lift(&self, actor: &Actor) -> Result<Option<Hold>, RunsError> {
        only_people(&self.project().settings.people, actor, "lift a hold")?;
        Ok(self.store()?.lift_hold(actor.clone(), now()).wait()?)
    }

    /// The newest hold, lifted or not.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn last_hold(&self) -> Result<Option<LastHold>, RunsError> {
        Ok(self.store()?.last_hold()?)
    }
}
