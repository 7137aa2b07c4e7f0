//! One call of a tool on its way: who acts, what it names, whether anybody still waits.

use std::sync::Arc;

use rmcp::model::{ClientCapabilities, Implementation};

use crate::engine::event::Actor;
use crate::runbook::render::is_invisible;
use crate::runbook::spec::Effect;
use crate::runs::{ErrorKind, RunRow, Runs, RunsError};
use crate::surfaces::http::plain_name;
use crate::surfaces::mcp::desk::Desk;
use crate::surfaces::mcp::said::Refused;

/// Characters of what a program calls itself: it stands in every line about what it did.
const AGENT_CHARS_MAX: usize = 40;
/// What it is called if it says nothing.
const UNNAMED: &str = "a program";
/// Letters of a run's id: what people are shown, to the whole of it.
const RUN_CHARS: std::ops::RangeInclusive<usize> = 6..=36;

/// A call.
pub struct Call {
    pub desk: Arc<Desk>,
    /// The door, with the project as it is now.
    pub runs: Arc<Runs>,
    /// What the program calls itself.
    pub agent: String,
    /// What it says it can do, with this very message.
    pub client: ClientCapabilities,
    /// Whether nobody waits for the answer any more.
    pub is_cancelled: Box<dyn Fn() -> bool + Send>,
}

impl Call {
    /// Who acts: the program, for its person.
    ///
    /// # Errors
    /// If nothing proves who that is.
    pub fn actor(&self) -> Result<Actor, RunsError> {
        Ok(self.runs.identify(&self.desk.behalf.caller)?.by_agent(&self.agent))
    }

    /// The same on a run, as the people of its own project know them.
    ///
    /// # Errors
    /// If they are nobody there.
    pub fn actor_on(&self, run: &RunRow) -> Result<Actor, RunsError> {
        Ok(self.runs.identify_for(&self.desk.behalf.caller, run)?.by_agent(&self.agent))
    }

    /// The run of this id, or of the beginning of one.
    ///
    /// # Errors
    /// If there is none.
    pub fn run(&self, id: &str) -> Result<RunRow, Refused> {
        let word = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !word || !RUN_CHARS.contains(&id.len()) {
            let said = RunsError::new(ErrorKind::NotFound, "no such run: a run is named by its id, six letters or all");
            return Err(Refused(said.hint("call list_runs to see the runs there are")));
        }
        Ok(self.runs.find(id)?)
    }

    /// That the credential is for more than looking.
    ///
    /// # Errors
    /// If it is not.
    pub fn may_run(&self) -> Result<(), Refused> {
        if self.desk.behalf.may_run {
            return Ok(());
        }
        let said = RunsError::new(ErrorKind::NotAllowed, "this token is not for `run`");
        Err(Refused(said.hint("tell the person you act for: rerail token new NAME --scope run makes one that is")))
    }

    /// That the credential is for runs of these effects.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] if it is for less.
    pub fn within(&self, effects: &[Effect]) -> Result<(), RunsError> {
        let worst = Effect::worst(effects);
        let most = self.desk.behalf.max_effect;
        if worst <= most {
            return Ok(());
        }
        let said =
            format!("this token is for runs that may {} at most, and this one may {}", most.word(), worst.word());
        Err(RunsError::new(ErrorKind::NotAllowed, said).hint("`max_effect` of the token in rerail.yaml says so"))
    }

    /// Whether it can be given a task instead of a result.
    pub fn knows_tasks(&self) -> bool {
        self.client.supports_tasks()
    }

    /// Whether it shows its person forms.
    pub fn shows_forms(&self) -> bool {
        shows_forms(&self.client)
    }

    /// Whether it is time to answer with what there is.
    pub fn is_over(&self) -> bool {
        (self.is_cancelled)() || self.desk.is_leaving()
    }
}

/// A client that says it asks its person, and not how, means forms.
fn shows_forms(client: &ClientCapabilities) -> bool {
    client.elicitation.as_ref().is_some_and(|asks| asks.form.is_some() || asks.url.is_none())
}

/// What a program is called in the record: one line of what it says of itself.
pub fn named(client: Option<&Implementation>) -> String {
    let Some(client) = client else { return UNNAMED.to_owned() };
    let said = format!("{} {}", client.name, client.version);
    let seen: String = said.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect();
    let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.is_empty() {
        true => UNNAMED.to_owned(),
        false => words.chars().take(AGENT_CHARS_MAX).collect(),
    }
}

/// A name of a runbook or target: never a path, whatever files there are.
///
/// # Errors
/// As for a name that nothing has.
pub fn plain<'n>(what: &str, name: &'n str) -> Result<&'n str, Refused> {
    plain_name(what, name).map_err(|_| {
        let said = format!("no such {what}: it is named by its name and not by a path");
        Refused(
            RunsError::new(ErrorKind::NotFound, said).hint("call find_runbooks to see names of runbooks and targets"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_recorded_as_one_line_of_some_length() {
        let named = |name: &str, version: &str| named(Some(&Implementation::new(name, version)));
        assert_eq!(named("claude-code", "2.1"), "claude-code 2.1");
        assert_eq!(named("a\n\u{202e}ana via cli", "\t1"), "a ana via cli 1");
        assert_eq!((named("", " "), super::named(None)), (UNNAMED.to_owned(), UNNAMED.to_owned()));
        assert_eq!(named(&"ä".repeat(500), "1").chars().count(), AGENT_CHARS_MAX);
    }

    #[test]
    fn a_form_is_for_a_client_that_shows_forms() {
        for (says, shows) in [
            (r#"{ "elicitation": {} }"#, true),
            (r#"{ "elicitation": { "form": {} } }"#, true),
            (r#"{ "elicitation": { "form": {}, "url": {} } }"#, true),
            (r#"{ "elicitation": { "url": {} } }"#, false),
            ("{}", false),
        ] {
            assert_eq!(shows_forms(&serde_json::from_str(says).unwrap()), shows, "{says}");
        }
    }

    #[test]
    fn a_name_is_never_a_path() {
        assert!(plain("runbook", "crash-loop").is_ok());
        for bad in ["../x", "runbooks/fix.yaml", "/etc/passwd", ""] {
            assert!(plain("runbook", bad).is_err(), "{bad}");
        }
    }
}
