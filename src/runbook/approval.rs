//! Who must agree before a write: `approval` of a step, and what a target asks for at least.
//!
//! Only what is written down. Who counts and what is covered is decided where runs are: in the engine.

use serde::{Deserialize, Serialize};

use crate::runbook::snippet::Template;
use crate::runbook::source::Span;
use crate::runbook::spec::Effect;

/// Who must agree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Need {
    /// Roles, or persons by name; anybody of the project if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// One person of each of them, rather than of any.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// How many different persons.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// Whether whoever started the run counts as well.
    #[serde(default, rename = "self", skip_serializing_if = "std::ops::Not::not")]
    pub self_ok: bool,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls takes a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

impl Need {
    /// Most persons that may be asked for: more is a vote, and nobody is awake.
    pub const COUNT_MAX: u32 = 10;
    /// Most roles and persons of one need: each is a name somebody reads.
    pub const BY_MAX: usize = 10;

    /// Anybody of this role.
    pub fn of(role: impl Into<String>) -> Need {
        Need { by: vec![role.into()], all: false, count: 1, self_ok: false }
    }

    /// `oncall or lead`, `oncall and lead`, `2 of oncall or lead`.
    pub fn said(&self) -> String {
        if self.by.is_empty() {
            return match (self.count, self.self_ok) {
                (0 | 1, true) => "a person".to_owned(),
                (0 | 1, false) => "somebody else".to_owned(),
                (count, _) => format!("{count} people"),
            };
        }
        let names = self.by.join(if self.all { " and " } else { " or " });
        let enough = if self.all { u32::try_from(self.by.len()).unwrap_or(u32::MAX) } else { 1 };
        if self.count > enough { format!("{} of {names}", self.count) } else { names }
    }
}

/// What happens when nobody has agreed in time. The write is not made either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// The step is rejected.
    #[default]
    Fail,
    /// The run is cancelled.
    Cancel,
}

/// `approval:` of a step.
#[derive(Clone, Debug)]
pub struct Approval {
    pub need: Need,
    /// What the approver is asked.
    pub message: Option<Template>,
    /// How long they have; [`Approval::EXPIRES_DEFAULT`] without the key.
    pub expires: Option<Template>,
    /// How often they are reminded; [`Approval::REMIND_DEFAULT`] without the key.
    pub remind: Option<Template>,
    pub on_expiry: OnExpiry,
    /// Where the key stands.
    pub span: Span,
}

impl Approval {
    /// How long an approval waits: long enough to fetch somebody, short enough for an outage.
    pub const EXPIRES_DEFAULT: std::time::Duration = std::time::Duration::from_secs(15 * 60);
    /// How often it is called to mind: twice before it runs out.
    pub const REMIND_DEFAULT: std::time::Duration = std::time::Duration::from_secs(5 * 60);
}

/// What a target asks for at least, by effect. A runbook may ask for more, never for less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floors {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Need>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<Need>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<Need>,
    /// Whether an operator may agree with themselves where the project names no people.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub single_operator: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls takes a reference")]
fn is_yes(said: &bool) -> bool {
    *said
}

impl Default for Floors {
    fn default() -> Floors {
        Floors { notify: None, write: None, destructive: None, single_operator: true }
    }
}

impl Floors {
    /// What it asks for before a step of this effect.
    pub fn of(&self, effect: Effect) -> Option<&Need> {
        match effect {
            Effect::Pure | Effect::Read => None,
            Effect::Notify => self.notify.as_ref(),
            Effect::Write => self.write.as_ref(),
            Effect::Destructive => self.destructive.as_ref(),
        }
    }

    /// The same for a run that a program starts: a person looks at every write, whoever that is, where nobody is asked
    /// for otherwise.
    pub fn with_a_person(&self) -> Floors {
        let anybody = Need { by: Vec::new(), all: false, count: 1, self_ok: true };
        let write = self.write.clone().unwrap_or(anybody);
        let destructive = self.destructive.clone().unwrap_or_else(|| write.clone());
        Floors { write: Some(write), destructive: Some(destructive), ..self.clone() }
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Floors::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_said_in_a_few_words() {
        let need = |by: &[&str], all, count| Need {
            by: by.iter().map(|name| (*name).to_owned()).collect(),
            all,
            count,
            self_ok: false,
        };
        assert_eq!(need(&["oncall"], false, 1).said(), "oncall");
        assert_eq!(need(&["oncall", "lead"], false, 1).said(), "oncall or lead");
        assert_eq!(need(&["oncall", "lead"], true, 1).said(), "oncall and lead");
        assert_eq!(need(&["oncall", "lead"], false, 2).said(), "2 of oncall or lead");
        assert_eq!(need(&["oncall", "lead"], true, 2).said(), "oncall and lead");
        assert_eq!(need(&["oncall", "lead"], true, 3).said(), "3 of oncall and lead");
        assert_eq!(
            (need(&[], false, 1).said(), need(&[], false, 2).said()),
            ("somebody else".into(), "2 people".into())
        );
        assert_eq!(Need { self_ok: true, ..need(&[], false, 1) }.said(), "a person");
    }

    #[test]
    fn what_a_program_writes_a_person_looks_at_and_what_is_asked_for_stays() {
        let floors = Floors::default().with_a_person();
        let said = |floors: &Floors, effect| floors.of(effect).map(Need::said);
        assert_eq!(said(&floors, Effect::Write), Some("a person".to_owned()));
        assert_eq!(said(&floors, Effect::Destructive), Some("a person".to_owned()));
        assert_eq!((said(&floors, Effect::Notify), said(&floors, Effect::Read)), (None, None));
        let asked = Floors { write: Some(Need::of("oncall")), ..Floors::default() }.with_a_person();
        assert_eq!(said(&asked, Effect::Write), Some("oncall".to_owned()));
        assert_eq!(said(&asked, Effect::Destructive), Some("oncall".to_owned()));
    }

    #[test]
    fn a_need_in_the_journal_says_only_what_it_says() {
        let json = serde_json::to_string(&Need::of("oncall")).unwrap();
        assert_eq!(json, r#"{"by":["oncall"]}"#);
        assert_eq!(serde_json::from_str::<Need>(&json).unwrap(), Need::of("oncall"));
    }
}
