//! Who may act on a run, asked anew whenever somebody does: people are never pinned, so who has left is out at once.
//!
//! What a surface has checked is a courtesy to whoever typed it. Here is where it counts: an actor in the inbox is a
//! claim, and the roles that are recorded are those of this moment.

use crate::engine::event::Actor;
use crate::engine::facts::Facts;
use crate::engine::machine::Signal;
use crate::runbook::people::People;

/// Reads the people of the run's project, as they are now.
type Read = Box<dyn Fn() -> Result<People, String> + Send>;

/// The people of a run's project.
pub struct Roster {
    /// Whether there were none when the driver began.
    single_operator: bool,
    read: Read,
}

impl Roster {
    /// Knows who they are now, and asks `read` whenever somebody does something.
    pub fn new(now: &People, read: impl Fn() -> Result<People, String> + Send + 'static) -> Roster {
        Roster { single_operator: now.is_single_operator(), read: Box::new(read) }
    }

    /// That of a project without people.
    pub fn nobody() -> Roster {
        Roster::new(&People::default(), || Ok(People::default()))
    }

    /// Whether a question that asks for `by` is put to somebody who sits here. A courtesy: their answer is judged.
    pub fn asks(&self, actor: &Actor, by: &[String]) -> bool {
        self.single_operator || (actor.person && may_answer(actor, by))
    }

    /// What becomes of something that a person did: itself, with the roles they have now, or a note that says why it
    /// doesn't count. Nothing is refused in a project without people.
    pub fn admit(&self, signal: Signal, facts: &Facts) -> Signal {
        let Some(what) = decides(&signal) else { return signal };
        let people = match (self.read)() {
            Ok(people) => people,
            Err(why) => return refused(signal, &what, &format!("who may do that can't be told: {why}")),
        };
        let mut signal = signal;
        let Some(actor) = actor_of(&mut signal) else { return signal };
        match people.named(&actor.id) {
            Some(person) if actor.person => actor.roles.clone_from(&person.roles),
            _ => {
                (actor.roles, actor.person) = (Vec::new(), false);
                if !people.is_single_operator() {
                    let why = format!("`{}` is no person of this project", actor.id);
                    return refused(signal, &what, &why);
                }
            }
        }
        if let (Signal::Answer { step, actor, .. }, false) = (&signal, people.is_single_operator())
            && let Some(by) = facts.step(step).and_then(|record| record.asked.as_ref()).map(|asked| &asked.by)
            && !may_answer(actor, by)
        {
            let why = format!("only {} may answer", one_of(by));
            return refused(signal, &what, &why);
        }
        signal
    }
}

/// Whether a question that asks for these people or roles is open to somebody; one that asks for nobody is to all.
pub fn may_answer(actor: &Actor, by: &[String]) -> bool {
    by.is_empty() || actor.is_one_of(by)
}

/// `lead`, or `lead` or `ana`: as they stand in a message.
pub fn one_of(by: &[String]) -> String {
    by.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

/// What a signal decides, for a message; `None` for what anybody may say.
fn decides(signal: &Signal) -> Option<String> {
    match signal {
        Signal::Cancel { .. } => Some("the cancel".to_owned()),
        Signal::Pause { .. } => Some("the pause".to_owned()),
        Signal::Answer { step, .. } => Some(format!("the answer to `{step}`")),
        Signal::Decide { step, .. } => Some(format!("the decision on `{step}`")),
        Signal::Approve { step, .. } => Some(format!("the approval of `{step}`")),
        Signal::Reject { step, .. } => Some(format!("the rejection of `{step}`")),
        Signal::Undo { .. } => Some("the undo".to_owned()),
        Signal::Note { .. } | Signal::Resume { .. } | Signal::Take { .. } | Signal::Evidence { .. } => None,
    }
}

fn actor_of(signal: &mut Signal) -> Option<&mut Actor> {
    match signal {
        Signal::Cancel { actor, .. } | Signal::Pause { actor, .. } | Signal::Answer { actor, .. } => Some(actor),
        Signal::Approve { actor, .. } | Signal::Reject { actor, .. } => Some(actor),
        Signal::Undo { actor, .. } | Signal::Take { actor, .. } => Some(actor),
        Signal::Decide { actor, .. } | Signal::Note { actor, .. } | Signal::Resume { actor, .. } => Some(actor),
        Signal::Evidence { .. } => None,
    }
}

fn refused(mut signal: Signal, what: &str, why: &str) -> Signal {
    let actor = actor_of(&mut signal).cloned().unwrap_or_default();
    Signal::Note { text: format!("{what} by {} does not count: {why}", actor.id), actor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::facts::{Asked, Record};
    use crate::engine::ids::StepPath;
    use crate::runbook::settings::read_settings;
    use crate::runbook::source::Source;
    use crate::script::value::{Map, Value};

    fn roster(people: &'static str) -> Roster {
        let (settings, _) = read_settings(&Source::new("rerail.yaml", format!("version: 1\n{people}\n")));
        Roster::new(&settings.people.clone(), move || Ok(settings.people.clone()))
    }

    const PEOPLE: &str = "people: { ana: { os_user: a, roles: [lead] }, ben: { os_user: b, roles: [oncall] } }";

    fn answer(actor: Actor) -> Signal {
        Signal::Answer { step: StepPath::new("ready"), answer: Value::from("yes"), actor, at: None }
    }

    fn asked(by: &[&str]) -> Facts {
        let by = by.iter().map(|name| (*name).to_owned()).collect();
        let asked = Asked { text: "Ready?".into(), choices: vec![], fields: Map::new(), by, expires: None };
        let record = Record { asked: Some(asked), ..Record::default() };
        let mut facts = Facts::default();
        facts.steps.insert(StepPath::new("ready"), record);
        facts
    }

    fn note(signal: Signal) -> String {
        match signal {
            Signal::Note { text, .. } => text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn roles_are_those_of_this_moment_whatever_was_claimed() {
        let claimed = Actor::person("ben", "cli", vec!["lead".into()]);
        let Signal::Answer { actor, .. } = roster(PEOPLE).admit(answer(claimed), &asked(&["oncall"])) else {
            panic!("it counts")
        };
        assert_eq!(actor, Actor::person("ben", "cli", vec!["oncall".into()]));
        let claimed = Actor::person("ben", "cli", vec!["lead".into()]);
        let text = note(roster(PEOPLE).admit(answer(claimed), &asked(&["lead"])));
        assert_eq!(text, "the answer to `ready` by ben does not count: only `lead` may answer");
    }

    #[test]
    fn a_question_may_ask_for_a_role_a_person_or_nobody_in_particular() {
        let ben = || Actor::person("ben", "cli", vec![]);
        for (by, counts) in [
            (["ben"].as_slice(), true),
            (&["oncall"], true),
            (&["lead", "oncall"], true),
            (&[], true),
            (&["ana"], false),
            (&["a", "b"], false),
        ] {
            let admitted = roster(PEOPLE).admit(answer(ben()), &asked(by));
            assert_eq!(matches!(admitted, Signal::Answer { .. }), counts, "{by:?}");
            let by: Vec<String> = by.iter().map(|name| (*name).to_owned()).collect();
            let now = Actor::person("ben", "cli", vec!["oncall".into()]);
            assert_eq!(roster(PEOPLE).asks(&now, &by), counts, "who is asked is who may answer: {by:?}");
            assert!(!roster(PEOPLE).asks(&Actor::new("ben", "cli"), &by) && Roster::nobody().asks(&now, &by));
        }
    }

    #[test]
    fn who_is_no_person_decides_nothing_and_may_still_say_something() {
        let nobody = Actor::new("ben", "cli");
        let signals = [
            Signal::Cancel { actor: nobody.clone(), reason: None },
            Signal::Pause { actor: nobody.clone(), reason: String::new() },
            answer(nobody.clone()),
            answer(Actor::person("gone", "cli", vec!["oncall".into()])),
        ];
        for signal in signals {
            let text = note(roster(PEOPLE).admit(signal, &asked(&[])));
            assert!(text.ends_with("is no person of this project"), "{text}");
        }
        let said = Signal::Note { text: "called the provider".into(), actor: nobody };
        assert_eq!(roster(PEOPLE).admit(said.clone(), &asked(&[])), said);
    }

    #[test]
    fn without_people_nobody_is_refused_and_nobody_is_a_person() {
        let claimed = Actor::person("ben", "cli", vec!["lead".into()]);
        let Signal::Answer { actor, .. } = roster("").admit(answer(claimed), &asked(&["lead"])) else {
            panic!("it counts")
        };
        assert_eq!(actor, Actor::new("ben", "cli"));
    }

    #[test]
    fn when_nobody_can_tell_who_the_people_are_nothing_counts() {
        let roster = Roster::new(&People::default(), || Err("`rerail.yaml` has problems".to_owned()));
        let text = note(roster.admit(answer(Actor::person("ana", "cli", vec![])), &asked(&[])));
        assert!(text.contains("can't be told: `rerail.yaml` has problems"), "{text}");
    }
}
