//! The buttons of proposals: start what was planned, or dismiss it. Whoever is linked may press them; who may start and
//! approve is asked at the click, as for every start.

use crate::engine::event::Actor;
use crate::runbook::spec::Effect;
use crate::runs::{Caller, ErrorKind, Prepared, RunsError};
use crate::surfaces::alerts::starting;
use crate::surfaces::chat::buttons::{self, Act, Held, Shown};
use crate::surfaces::chat::story;
use crate::surfaces::chat::work::start::is_confirmed;
use crate::surfaces::chat::work::{Done, Work, may_press};

impl Work<'_> {
    /// Starts it, once; what may destroy something is confirmed in a form first.
    pub(super) fn begin_pressed(
        &self,
        holds: &str,
        held: &Held,
        shown: &Shown,
        actor: Actor,
    ) -> Result<Done, RunsError> {
        self.is_unused(held)?;
        may_press(held, &actor)?;
        if starting::there(self.runs, shown.proposal)?.is_some() {
            return self.begin_now(&buttons::key(holds), shown, None, actor);
        }
        let apply = starting::prepare(self.runs, shown.proposal, &shown.digest);
        if !apply.as_ref().is_ok_and(|apply| apply.prepared.worst() == Effect::Destructive) {
            // What is wrong is said by what starts it, which also has it planned anew.
            return self.begin_now(&buttons::key(holds), shown, None, actor);
        }
        let place = apply.map(|apply| apply.prepared.place().to_owned()).unwrap_or_default();
        let confirm = Act::ConfirmBegin { shown: shown.clone(), button: buttons::key(holds) };
        let who = if actor.person { vec![actor.id] } else { Vec::new() };
        if self.asks_to_confirm(&place, confirm, &who, held.until)? {
            return Ok(Done::Seen("asked to confirm".to_owned()));
        }
        Err(RunsError::new(ErrorKind::Usage, "it may destroy something, and no form can be shown here")
            .hint("start it on its page or in a terminal"))
    }

    /// Starts it under its own name, for the button under this key.
    pub(super) fn begin_now(
        &self,
        button: &str,
        shown: &Shown,
        confirm: Option<&str>,
        actor: Actor,
    ) -> Result<Done, RunsError> {
        self.no_form();
        self.spend(button, &actor.id)?;
        crate::failpoint::hit("chat.pressed");
        let consent = |prepared: &Prepared| is_confirmed(prepared, confirm);
        let fleet = &self.server.fleet;
        let begun = starting::begin(fleet, self.runs, shown.proposal, &shown.digest, actor, consent);
        if begun.is_err() {
            buttons::give_back(self.runs, button, &self.request())?;
        }
        let row = begun?;
        crate::failpoint::hit("chat.started");
        // Whoever tells the news makes its card of the proposal's.
        self.server.beat.tick();
        Ok(Done::Seen(format!("{} has started", story::name(&row))))
    }

    /// Takes it away from everybody.
    pub(super) fn dismiss_pressed(
        &self,
        holds: &str,
        held: &Held,
        shown: &Shown,
        caller: &Caller,
    ) -> Result<Done, RunsError> {
        self.is_unused(held)?;
        let actor = self.runs.identify(caller)?;
        may_press(held, &actor)?;
        self.spend(&buttons::key(holds), &actor.id)?;
        let dismissed = starting::dismiss(self.runs, shown.proposal, &actor);
        if dismissed.is_err() {
            buttons::give_back(self.runs, &buttons::key(holds), &self.request())?;
        }
        dismissed?;
        self.server.beat.tick();
        Ok(Done::Seen(format!("dismissed by {}", actor.id)))
    }

    /// Who was first stands before all else: nobody has to wonder whether their click did it.
    pub(super) fn is_unused(&self, held: &Held) -> Result<(), RunsError> {
        match held.used.as_ref().filter(|used| used.request != self.request()) {
            None => Ok(()),
            Some(used) => {
                let said = format!("{} was first, at {}", used.by, crate::transcript::words::clock(used.at));
                Err(RunsError::new(ErrorKind::Usage, said))
            }
        }
    }
}
