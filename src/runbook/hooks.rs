//! `hooks` of a project: which programs may send alerts, how they prove who they are, and for whom they act.
//!
//! Credentials never stand here: each says where it is read from, as a secret of a target does.

use std::collections::BTreeMap;

use crate::runbook::chat::Chat;
use crate::runbook::mapping::Mapping;
use crate::runbook::node::{Node, NodeKind};
use crate::runbook::people::{People, person_fault};
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::scalar;
use crate::runbook::settings::{SecretSource, secret};
use crate::runbook::source::Span;
use crate::runbook::tell::{self, Room};
use crate::runbook::words::{kebab_case_fault, quoted};

pub(super) const HOOKS: Keys = Keys {
    what: "list of hooks",
    known: &["alertmanager", "grafana", "pagerduty", "generic"],
    later: &[],
    foreign: &[
        ("prometheus", "write `alertmanager`: that is what sends alerts"),
        ("slack", "chats stand under `chat`"),
        ("webhook", "write `generic: { NAME: … }`"),
    ],
};
pub(super) const HOOK: Keys = Keys {
    what: "hook",
    known: &["secret", "proof", "user", "acts_as", "map", "tell"],
    later: &[],
    foreign: &[
        ("token", "write `secret`, which says where it is read from"),
        ("password", "write `secret`, which says where it is read from"),
        ("signature", "write `proof: signature`"),
        ("mapping", "write `map`"),
    ],
};
pub(super) const PROOFS: [(&str, Proof); 4] = [
    ("bearer", Proof::Bearer),
    ("basic", Proof::Basic),
    ("signature", Proof::Signature),
    ("standard", Proof::Standard),
];
/// Bytes of the user of basic authentication.
const USER_BYTES_MAX: usize = 256;

/// The programs that may send alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    pub alertmanager: Option<Hook>,
    pub grafana: Option<Hook>,
    pub pagerduty: Option<Hook>,
    /// By a name of their own.
    pub generic: BTreeMap<String, Hook>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub secret: SecretSource,
    pub proof: Proof,
    /// The user of basic authentication.
    pub user: Option<String>,
    /// Whom its alerts act for; nobody only in a project that names no people.
    pub acts_as: Option<String>,
    /// What makes alerts of its messages.
    pub map: Option<Mapping>,
    /// Where people hear of what its alerts come to, unless their trigger says another place.
    pub tell: Vec<Room>,
}

/// How a sender proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `Authorization: Bearer SECRET`.
    Bearer,
    /// `Authorization: Basic …` with a user and the secret.
    Basic,
    /// HMAC-SHA256 over the body, in the way of this sender.
    Signature,
    /// The signatures of Standard Webhooks, as of Svix.
    Standard,
}

/// What a kind of hook may say.
struct Allowed {
    proofs: &'static [Proof],
    map: bool,
}

/// Of Alertmanager, which signs nothing. The first proof is that of a hook that names none.
const PLAIN: Allowed = Allowed { proofs: &[Proof::Bearer, Proof::Basic], map: false };
/// Of Grafana, which may sign.
const SIGNED: Allowed = Allowed { proofs: &[Proof::Bearer, Proof::Basic, Proof::Signature], map: false };
/// Of PagerDuty, which always does.
const ONLY_SIGNED: Allowed = Allowed { proofs: &[Proof::Signature], map: false };
/// Of everybody else.
const ANY: Allowed = Allowed { proofs: &[Proof::Signature, Proof::Standard, Proof::Bearer, Proof::Basic], map: true };

impl Hooks {
    /// All of them, by source.
    pub fn all(&self) -> Vec<(String, &Hook)> {
        let single = [("alertmanager", &self.alertmanager), ("grafana", &self.grafana), ("pagerduty", &self.pagerduty)];
        let single = single.into_iter().filter_map(|(name, hook)| Some((name.to_owned(), hook.as_ref()?)));
        single.chain(self.generic.iter().map(|(name, hook)| (format!("generic/{name}"), hook))).collect()
    }

    /// The hook of a source.
    pub fn of(&self, source: &str) -> Option<&Hook> {
        match source {
            "alertmanager" => self.alertmanager.as_ref(),
            "grafana" => self.grafana.as_ref(),
            "pagerduty" => self.pagerduty.as_ref(),
            other => self.generic.get(other.strip_prefix("generic/")?),
        }
    }
}

/// Reads `hooks`. Whoever a hook acts for must be one of `people`, where there are any.
pub(super) fn read(reader: &mut Reader, node: &Node, people: &People, chat: &Chat) -> Hooks {
    let mut hooks = Hooks::default();
    let Some(fields) = reader.fields(node, &HOOKS) else { return hooks };
    let mut single = |key: &str, secret_name: &str, allowed: &Allowed| {
        fields.get(key).and_then(|node| hook(reader, node, key, secret_name, allowed, (people, chat)))
    };
    hooks.alertmanager = single("alertmanager", "ALERTMANAGER_SECRET", &PLAIN);
    hooks.grafana = single("grafana", "GRAFANA_SECRET", &SIGNED);
    hooks.pagerduty = single("pagerduty", "PAGERDUTY_SECRET", &ONLY_SIGNED);
    if let Some(node) = fields.get("generic") {
        for entry in reader.map(node, "`generic`") {
            if !reader.name(&entry.key, kebab_case_fault) {
                continue;
            }
            let name = &entry.key.value;
            let secret_name = format!("{}_SECRET", name.replace('-', "_").to_ascii_uppercase());
            if let Some(hook) = hook(reader, &entry.value, name, &secret_name, &ANY, (people, chat)) {
                hooks.generic.insert(name.clone(), hook);
            }
        }
    }
    hooks
}

fn hook(
    reader: &mut Reader,
    node: &Node,
    name: &str,
    secret_name: &str,
    allowed: &Allowed,
    (people, chat): (&People, &Chat),
) -> Option<Hook> {
    let fields = reader.fields(node, &HOOK)?;
    let read = reader.required(&fields, "secret").and_then(|node| secret(reader, secret_name, node));
    let proof = match fields.get("proof") {
        None => Some(allowed.proofs[0]),
        Some(node) => reader.word(node, "proof", &PROOFS).filter(|proof| {
            let good = allowed.proofs.contains(proof);
            if !good {
                let words = PROOFS.iter().filter(|(_, proof)| allowed.proofs.contains(proof)).map(|(word, _)| *word);
                let message = format!("`{name}` can't prove itself by that");
                let span = reader.first_line(node.span);
                let problem = Problem::error("E0115", &reader.source, span, message).label("not what it sends");
                reader.push(problem.help(format!("it has {}", words.collect::<Vec<_>>().join(", "))));
            }
            good
        }),
    };
    let user = user(reader, &fields, proof);
    let acts_as = acts_as(reader, &fields, name, people);
    let map = match (fields.entry("map"), allowed.map) {
        (Some(entry), true) => mapping(reader, &entry.value),
        (Some(entry), false) => {
            let message = format!("`map` does not go with `{name}`, whose messages are known");
            reader.error("E0115", entry.key.span, message, "leave it out");
            None
        }
        (None, true) => {
            reader.required(&fields, "map");
            return None;
        }
        (None, false) => None,
    };
    let tell = fields.get("tell").map(|node| tell::read(reader, node)).unwrap_or_default();
    for room in &tell {
        if let Some((message, help)) = room.fault(chat) {
            let span = reader.first_line(room.channel.span);
            reader
                .push(Problem::error("E0254", &reader.source, span, message).label("nobody hears it there").help(help));
        }
    }
    Some(Hook { secret: read?, proof: proof?, user, acts_as, map, tell })
}

fn user(reader: &mut Reader, fields: &Fields<'_>, proof: Option<Proof>) -> Option<String> {
    match (fields.entry("user"), proof) {
        (Some(entry), Some(Proof::Basic)) => {
            let text = reader.text(&entry.value, "`user`")?;
            reader.name(&text, user_fault).then_some(text.value)
        }
        (Some(entry), Some(_)) => {
            reader.error("E0115", entry.key.span, "`user` goes with `proof: basic` only", "leave it out, or say so");
            None
        }
        (None, Some(Proof::Basic)) => {
            reader.required(fields, "user");
            None
        }
        _ => None,
    }
}

/// Why this can't be a user of basic authentication, where `:` ends the name.
fn user_fault(user: &str) -> Option<String> {
    let good = !user.is_empty() && user.len() <= USER_BYTES_MAX && !user.chars().any(|c| c == ':' || c.is_control());
    (!good).then(|| "must be a user without `:`".to_owned())
}

fn acts_as(reader: &mut Reader, fields: &Fields<'_>, name: &str, people: &People) -> Option<String> {
    match fields.get("acts_as") {
        Some(node) => {
            let person = reader.text(node, "`acts_as`")?;
            if !reader.name(&person, person_fault) {
                return None;
            }
            if let Some(problem) = stranger(reader, &person.value, person.span, people) {
                reader.push(problem);
            }
            Some(person.value)
        }
        None => {
            if !people.is_single_operator() && !fields.strange {
                let span = reader.first_line(fields.span);
                let message = format!("nobody stands behind what `{name}` starts");
                let problem = Problem::error("E0251", &reader.source, span, message).label("needs `acts_as`");
                reader.push(problem.help("name one of `people`: `acts_as: NAME`"));
            }
            None
        }
    }
}

/// What to say of somebody who is named to act and is no person of the project.
fn stranger(reader: &Reader, person: &str, span: Span, people: &People) -> Option<Problem> {
    stranger_at(person, people).map(|(message, help)| {
        Problem::error("E0251", &reader.source, reader.first_line(span), message).label("nobody here").help(help)
    })
}

/// Why nobody can act as this person here, and what to do; `None` if they can.
pub fn stranger_at(person: &str, people: &People) -> Option<(String, String)> {
    if people.is_single_operator() {
        let said = format!("nobody can act as {} here: this project names no `people`", quoted(person));
        return Some((said, "leave `acts_as` out, or name the people of this project".to_owned()));
    }
    if people.named(person).is_some() {
        return None;
    }
    let near = crate::runbook::nearest::did_you_mean(person, people.names());
    let known = || format!("there are {}", people.names().collect::<Vec<_>>().join(", "));
    Some((format!("{} is no person of this project", quoted(person)), near.unwrap_or_else(known)))
}

fn mapping(reader: &mut Reader, node: &Node) -> Option<Mapping> {
    let text = reader.text(node, "`map`")?;
    match Mapping::read(&text.value) {
        Ok(mapping) => Some(mapping),
        Err(fault) => {
            let span = match &node.kind {
                NodeKind::Scalar(scalar) => {
                    let offsets = scalar::offsets(&reader.source.text, scalar, node.span);
                    let place = |at: usize| {
                        let chars = text.value.get(..at).map_or(0, |before| before.chars().count());
                        offsets.get(chars).map_or(node.span.end, |at| *at as usize)
                    };
                    reader.first_line(Span::new(place(fault.at.start), place(fault.at.end).max(place(fault.at.start))))
                }
                _ => reader.first_line(node.span),
            };
            let problem =
                Problem::error("E0252", &reader.source, span, format!("the mapping is no filter: {}", fault.message));
            reader.push(problem.label("here").maybe_help(fault.help));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::settings::{From, read_settings};
    use crate::runbook::source::Source;

    fn hooks(text: &str, people: &str) -> (Hooks, Vec<(&'static str, String)>) {
        let source = Source::new("rerail.yaml", format!("version: 1\n{people}hooks: {text}\n"));
        let (settings, problems) = read_settings(&source);
        (settings.hooks, problems.into_iter().map(|problem| (problem.code, problem.message)).collect())
    }

    const ANA: &str = "people: { ana: { os_user: a } }\n";

    #[test]
    fn hooks_are_read_whole() {
        let (read, problems) = hooks(
            "{ alertmanager: { secret: { from: file, path: am }, proof: basic, user: prom, acts_as: ana }, \
             grafana: { secret: { from: env }, proof: signature, acts_as: ana }, \
             pagerduty: { secret: { from: env, name: PD }, acts_as: ana }, \
             generic: { up-time: { secret: { from: env }, acts_as: ana, map: \"{ id: .id }\" } } }",
            ANA,
        );
        assert_eq!(problems, []);
        assert_eq!(read.alertmanager.as_ref().unwrap().user.as_deref(), Some("prom"));
        assert_eq!(read.grafana.as_ref().unwrap().proof, Proof::Signature);
        assert_eq!(read.of("generic/up-time").unwrap().secret.from, From::Env { name: "UP_TIME_SECRET".into() });
        assert_eq!(read.of("generic/up-time").unwrap().proof, Proof::Signature);
        let sources: Vec<String> = read.all().into_iter().map(|(source, _)| source).collect();
        assert_eq!(sources, ["alertmanager", "grafana", "pagerduty", "generic/up-time"]);
        assert!(sources.iter().all(|source| read.of(source).is_some()) && read.of("generic").is_none());
        let (read, problems) = hooks("{ alertmanager: { secret: { from: env } } }", "");
        assert_eq!((read.alertmanager.unwrap().proof, problems), (Proof::Bearer, vec![]));
    }

    #[test]
    fn somebody_of_the_project_stands_behind_every_hook() {
        for (text, people, says) in [
            ("{ pagerduty: { secret: { from: env } } }", ANA, "nobody stands behind what `pagerduty` starts"),
            ("{ pagerduty: { secret: { from: env }, acts_as: anna } }", ANA, "`anna` is no person"),
            ("{ pagerduty: { secret: { from: env }, acts_as: ana } }", "", "names no `people`"),
        ] {
            let (_, problems) = hooks(text, people);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].0 == "E0251" && problems[0].1.contains(says), "{text}: {problems:?}");
        }
    }

    #[test]
    fn mistakes_have_their_codes() {
        for (text, code) in [
            ("[]", "E0107"),
            ("{ prometheus: {} }", "E0103"),
            ("{ alertmanager: {} }", "E0106"),
            ("{ alertmanager: { secret: s3cret-s3cret } }", "E0107"),
            ("{ alertmanager: { secret: { from: env }, token: x } }", "E0103"),
            ("{ alertmanager: { secret: { from: env }, proof: signature } }", "E0115"),
            ("{ alertmanager: { secret: { from: env }, proof: basic } }", "E0106"),
            ("{ alertmanager: { secret: { from: env }, user: x } }", "E0115"),
            ("{ alertmanager: { secret: { from: env }, proof: basic, user: \"a:b\" } }", "E0105"),
            ("{ alertmanager: { secret: { from: env }, map: . } }", "E0115"),
            ("{ pagerduty: { secret: { from: env }, proof: bearer } }", "E0115"),
            ("{ pagerduty: { secret: { from: env }, proof: magic } }", "E0107"),
            ("{ generic: { up: { secret: { from: env } } } }", "E0106"),
            ("{ generic: { ../x: { secret: { from: env }, map: . } } }", "E0105"),
            ("{ generic: { up: { secret: { from: env }, map: \"{ a: \" } } }", "E0252"),
            ("{ generic: { up: { secret: { from: env }, map: \"repeat(.)\" } } }", "E0252"),
        ] {
            let (_, problems) = hooks(text, "");
            assert_eq!(problems.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [code], "{text}: {problems:?}");
        }
    }

    #[test]
    fn a_mistake_in_a_mapping_is_shown_where_it_stands() {
        let text = "version: 1\nhooks:\n  generic:\n    up:\n      secret: { from: env }\n      map: |\n        { id: .id,\n          labels: .tags | repeat(1) }\n";
        let source = Source::new("rerail.yaml", text);
        let problem = &read_settings(&source).1[0];
        assert_eq!(&text[problem.span.start..problem.span.end], "repeat", "{problem:?}");
    }
}
