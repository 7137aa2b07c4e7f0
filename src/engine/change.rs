//! What a write would change, named by a digest, and what people have said of it.
//!
//! An approval, and a plan that is applied, cover exactly the changes they showed: the same step, the same texts of
//! the actions on the way, the same arguments, the same announced change. Anything else is asked for again.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::engine::digest;
use crate::engine::event::Actor;
use crate::engine::ids::StepPath;
use crate::runbook::approval::Need;
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::{Map, SECRET_KEY, Value};

/// Changes one request shows: nobody reads more, and what is not shown is asked for by itself.
pub const CHANGES_MAX: usize = 200;

/// One write, as it would be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub step: StepPath,
    /// The primitive.
    pub uses: String,
    pub effect: Effect,
    pub repeat: Repeat,
    /// `sha256:` over all that makes it this change; see [`digest_of`].
    pub digest: String,
    /// Resolved arguments, secrets as references.
    pub with: Map,
    /// One line for people.
    pub summary: String,
    /// What stands below it, a line each: see [`crate::engine::event::Planned::detail`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// What the action around it announces, as its `plan` words it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub reversible: Value,
    /// What the action announces is not all known yet; the arguments are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vague: bool,
    /// Whether it happens at all depends on what isn't known yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maybe: bool,
}

/// What a look ahead found below a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// In the order in which they would be made.
    pub changes: Vec<Change>,
    /// Whether these are all.
    pub complete: bool,
}

/// Changes somebody has agreed to before the run began: the plan it applies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cover {
    /// Digest of the plan.
    pub plan: String,
    pub changes: Vec<Change>,
    /// Steps at or below which the plan names writes without knowing what they will be: people are asked there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<StepPath>,
}

impl Cover {
    /// The change it has at a step.
    pub fn at(&self, step: &StepPath) -> Option<&Change> {
        self.changes.iter().find(|change| change.step == *step)
    }

    /// Whether the plan says that it could not know what is written at a step.
    pub fn leaves_open(&self, step: &StepPath) -> bool {
        self.open.iter().any(|open| step == open || step.is_below(open))
    }
}

/// What makes a write this change and no other.
pub struct Subject<'a> {
    /// Digests of the texts of the actions it is made by, outermost first.
    pub texts: &'a [String],
    pub uses: &'a str,
    pub with: &'a Map,
    pub before: &'a Value,
    pub after: &'a Value,
}

/// The name of a change: equal for equal texts, arguments and announced change, whatever the run.
pub fn digest_of(subject: &Subject<'_>) -> String {
    let texts = subject.texts.iter().map(|text| Value::from(text.as_str())).collect();
    let parts = Value::List(vec![
        Value::List(texts),
        Value::from(subject.uses),
        Value::Map(subject.with.clone()),
        subject.before.clone(),
        subject.after.clone(),
    ]);
    digest::name(known(&parts).to_string().as_bytes())
}

/// A value as far as it is the same in every run: a sealed one is known by its fingerprint, and how it was encrypted
/// says nothing of it.
pub(super) fn known(value: &Value) -> Json {
    let mut json = value.to_json();
    forget_ciphertext(&mut json, false);
    json
}

fn forget_ciphertext(json: &mut Json, in_secret: bool) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(|item| forget_ciphertext(item, in_secret)),
        Json::Object(fields) => {
            for (key, inner) in fields {
                if let (true, "sealed", Json::Object(sealed)) = (in_secret, key.as_str(), &mut *inner) {
                    sealed.remove("digest");
                }
                forget_ciphertext(inner, in_secret || key == SECRET_KEY);
            }
        }
        _ => {}
    }
}

/// The name of several changes at their steps: what a request is about.
pub fn digest_of_all(changes: &[Change]) -> String {
    let pair = |change: &Change| Value::List(vec![change.step.as_str().into(), change.digest.as_str().into()]);
    digest::name(Value::List(changes.iter().map(pair).collect()).to_json().to_string().as_bytes())
}

/// In what two changes of one step differ, by path: `with.body.name: "a" → "b"`. Empty if only texts do.
pub fn difference(then: &Change, now: &Change) -> Vec<String> {
    let mut found = Vec::new();
    if then.uses != now.uses {
        found.push(format!("uses: {} → {}", then.uses, now.uses));
    }
    let with = |change: &Change| Value::Map(change.with.clone());
    differ("with", Some(&with(then)), Some(&with(now)), &mut found);
    differ("before", Some(&then.before), Some(&now.before), &mut found);
    differ("after", Some(&then.after), Some(&now.after), &mut found);
    found
}

fn differ(path: &str, then: Option<&Value>, now: Option<&Value>, found: &mut Vec<String>) {
    match (then, now) {
        (Some(a), Some(b)) if a == b || known(a) == known(b) => {}
        (Some(Value::Map(a)), Some(Value::Map(b))) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().for_each(|key| differ(&format!("{path}.{key}"), a.get(key), b.get(key), found));
        }
        (Some(Value::List(a)), Some(Value::List(b))) if a.len() == b.len() => {
            (0..a.len()).for_each(|at| differ(&format!("{path}[{at}]"), a.get(at), b.get(at), found));
        }
        (a, b) => {
            let said = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), quoted);
            found.push(format!("{path}: {} → {}", said(a), said(b)));
        }
    }
}

fn quoted(value: &Value) -> String {
    match value {
        Value::Text(_) => format!("\"{}\"", crate::engine::evaluate::quote(value)),
        other => crate::engine::evaluate::quote(other),
    }
}

/// Whether somebody is meant by a need: by role or by name; by one that names nobody any person is.
pub fn is_meant(need: &Need, actor: &Actor) -> bool {
    if need.by.is_empty() { actor.person } else { actor.is_one_of(&need.by) }
}

/// Whether an actor may count for a need at all: meant by it, and not for what they started themselves.
pub fn may(need: &Need, actor: &Actor, requester: &Actor) -> bool {
    is_meant(need, actor) && (need.self_ok || actor.id != requester.id)
}

/// Whether these different persons are enough for a need.
pub fn is_met(need: &Need, given: &[&Actor], requester: &Actor) -> bool {
    let mut ids = std::collections::BTreeSet::new();
    let count: Vec<&Actor> =
        given.iter().copied().filter(|actor| may(need, actor, requester) && ids.insert(actor.id.as_str())).collect();
    let enough = count.len() >= usize::try_from(need.count).unwrap_or(usize::MAX);
    enough && (!need.all || each_has_one(&need.by, &count))
}

/// Whether every name can have a person of its own: nobody stands for two.
fn each_has_one(names: &[String], persons: &[&Actor]) -> bool {
    let mut held: Vec<Option<usize>> = vec![None; persons.len()];
    (0..names.len()).all(|name| seat(name, names, persons, &mut held, &mut vec![false; persons.len()]))
}

/// Finds a person for a name, moving others who could stand for another one. As deep as there are names.
fn seat(name: usize, names: &[String], persons: &[&Actor], held: &mut [Option<usize>], tried: &mut Vec<bool>) -> bool {
    for at in 0..persons.len() {
        if tried[at] || !persons[at].is_one_of(std::slice::from_ref(&names[name])) {
            continue;
        }
        tried[at] = true;
        if held[at].is_none_or(|other| seat(other, names, persons, held, tried)) {
            held[at] = Some(name);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, roles: &[&str]) -> Actor {
        Actor::person(id, "test", roles.iter().map(|role| (*role).to_owned()).collect())
    }

    fn need(by: &[&str], all: bool, count: u32) -> Need {
        Need { by: by.iter().map(|name| (*name).to_owned()).collect(), all, count, self_ok: false }
    }

    #[test]
    fn a_need_is_met_by_different_persons_who_are_meant_and_did_not_ask() {
        let (ana, ben, cleo) = (person("ana", &["oncall", "lead"]), person("ben", &["oncall"]), person("cleo", &[]));
        let one = need(&["oncall"], false, 1);
        assert!(is_met(&one, &[&ben], &ana));
        assert!(!is_met(&one, &[&ana], &ana) && is_met(&Need { self_ok: true, ..one.clone() }, &[&ana], &ana));
        assert!(!is_met(&one, &[&cleo], &ana) && is_met(&need(&["cleo"], false, 1), &[&cleo], &ana));
        assert!(!is_met(&one, &[&Actor { person: false, ..ben.clone() }], &ana));
        let two = need(&["oncall"], false, 2);
        assert!(!is_met(&two, &[&ben, &ben], &cleo) && is_met(&two, &[&ben, &ana], &cleo));
    }

    #[test]
    fn nobody_stands_for_two_names_and_everybody_for_the_one_that_is_left() {
        let (ana, ben, cleo) = (person("ana", &["oncall", "lead"]), person("ben", &["oncall"]), person("cleo", &[]));
        let each = need(&["oncall", "lead"], true, 1);
        assert!(!is_met(&each, &[&ana], &cleo));
        assert!(is_met(&each, &[&ana, &ben], &cleo) && is_met(&each, &[&ben, &ana], &cleo));
        assert!(!is_met(&need(&["oncall", "lead"], true, 3), &[&ana, &ben], &cleo));
    }

    fn change(with: serde_json::Value) -> Change {
        let Value::Map(with) = Value::from_json(&with) else { panic!("a map") };
        let subject = Subject { texts: &[], uses: "u", with: &with, before: &Value::Null, after: &Value::Null };
        let digest = digest_of(&subject);
        let (step, uses) = (StepPath::new("s"), "u".to_owned());
        let (effect, repeat, summary) = (Effect::Write, Repeat::Once, String::new());
        let (before, after, reversible) = (Value::Null, Value::Null, Value::Null);
        Change {
            step,
            uses,
            effect,
            repeat,
            digest,
            with,
            summary,
            detail: vec![],
            before,
            after,
            reversible,
            vague: false,
            maybe: false,
        }
    }

    #[test]
    fn a_digest_depends_on_each_of_its_parts() {
        let with = Map::from([("a".to_owned(), Value::Int(1))]);
        let texts = ["sha256:1".to_owned()];
        let base = Subject { texts: &texts, uses: "u", with: &with, before: &Value::Null, after: &Value::Null };
        let other = Map::from([("a".to_owned(), Value::Text("1".into()))]);
        let one = Value::Int(1);
        let all = [
            digest_of(&base),
            digest_of(&Subject { texts: &[], ..base }),
            digest_of(&Subject { uses: "v", ..base }),
            digest_of(&Subject { with: &other, ..base }),
            digest_of(&Subject { before: &one, ..base }),
            digest_of(&Subject { after: &one, ..base }),
        ];
        assert_eq!(std::collections::BTreeSet::from(all.clone()).len(), all.len());
        assert!(all[0].starts_with("sha256:") && all[0].len() == 71);
    }

    #[test]
    fn a_sealed_value_is_known_by_its_fingerprint_however_it_was_encrypted() {
        let sealed = |digest: &str, fingerprint: &str| {
            let sealed = serde_json::json!({ "name": "json.token", "digest": digest, "fingerprint": fingerprint });
            let secret = serde_json::json!({ "$secret": [{ "text": "Bearer " }, { "sealed": sealed }] });
            change(serde_json::json!({ "headers": { "authorization": secret } }))
        };
        let one = sealed("sha256:1", "9c1f41aa00000000");
        assert!(Value::Map(one.with.clone()).has_secret());
        let (same, other) = (sealed("sha256:2", "9c1f41aa00000000"), sealed("sha256:1", "0000000000000000"));
        assert_eq!((one.digest.clone(), difference(&one, &same)), (same.digest, vec![]));
        assert_ne!(one.digest, other.digest);
        assert_eq!(difference(&one, &other).len(), 1);
    }

    #[test]
    fn a_difference_is_told_by_path() {
        let then = change(serde_json::json!({ "url": "https://a.example.com", "json": { "n": 1, "list": [1, 2] } }));
        let now = change(serde_json::json!({ "url": "https://a.example.com", "json": { "list": [1, 3], "new": "x" } }));
        assert_eq!(
            difference(&then, &now),
            ["with.json.list[1]: 2 → 3", "with.json.n: 1 → nothing", "with.json.new: nothing → \"x\""]
        );
        assert!(difference(&then, &then).is_empty());
    }
}
