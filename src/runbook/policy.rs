//! `policy` of a target: which approvals a place wants at least, and who may do without.
//!
//! A floor: a runbook may ask for more, never for less. Plain data: who approves what is the engine's.

use crate::runbook::approval::{Floor, Floors};
use crate::runbook::lower_approval::{self, ON_EXPIRY};
use crate::runbook::node::{Node, NodeKind};
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::spec::Effect;
use crate::runbook::types::parse_duration;

/// Longest time an approval may wait: what waits longer is asked again.
const EXPIRES_MS_MAX: u64 = 7 * 24 * 3600 * 1000;

/// The word for a place that wants no approval.
pub(super) const NONE: &str = "none";

pub(super) const POLICY: Keys = Keys {
    what: "policy",
    known: &["notify", "write", "destructive", "single_operator", "agents"],
    later: &[],
    foreign: &[("read", "reads are never approved"), ("approval", "say for which effect: `write: { approval: … }`")],
};
pub(super) const FLOOR: Keys =
    Keys { what: "floor", known: &["approval"], later: &[], foreign: &[("by", "write `approval: { by: […] }`")] };
pub(super) const NEED: Keys = Keys {
    what: "approval",
    known: &["by", "all", "count", "self", "expires", "remind", "on_expiry"],
    later: &[],
    foreign: &[
        ("role", "write `by`, a list"),
        ("roles", "write `by`"),
        ("timeout", "write `expires`"),
        ("message", "what is asked stands at the step"),
    ],
};
pub(super) const AGENTS: Keys = Keys { what: "rule for agents", known: &["max_effect"], later: &[], foreign: &[] };
pub(super) const EFFECTS: [(&str, Effect); 4] = [
    ("read", Effect::Read),
    ("notify", Effect::Notify),
    ("write", Effect::Write),
    ("destructive", Effect::Destructive),
];

/// What a target asks of runs against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What the outermost write of each effect needs at least.
    pub floors: Floors,
    /// The greatest effect a run may have that a program started, and no person.
    pub agents_max: Effect,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { floors: Floors::default(), agents_max: Effect::Read }
    }
}

/// Reads `policy`.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Policy {
    let mut policy = Policy::default();
    let Some(fields) = reader.fields(node, &POLICY) else { return policy };
    // What a milder effect needs, a greater one needs too, unless it says something itself.
    let mut below = None;
    for (key, effect) in EFFECTS.into_iter().skip(1) {
        if let Some(node) = fields.get(key) {
            let need = floor(reader, node);
            if need.is_none() && below.is_some() && effect == Effect::Destructive {
                let span = reader.first_line(node.span);
                reader.push(
                    Problem::error("E0115", &reader.source, span, "`destructive` needs less than what is milder")
                        .label("no approval here, but one for a write")
                        .help("leave the line out: what a write needs, something destructive needs too"),
                );
            }
            below = need;
        }
        match effect {
            Effect::Notify => policy.floors.notify = below.clone(),
            Effect::Write => policy.floors.write = below.clone(),
            _ => policy.floors.destructive = below.clone(),
        }
    }
    if let Some(node) = fields.get("single_operator") {
        policy.floors.single_operator = reader.boolean(node, "`single_operator`").unwrap_or(false);
    }
    if let Some(agents) = fields.get("agents").and_then(|node| reader.fields(node, &AGENTS))
        && let Some(node) = reader.required(&agents, "max_effect")
    {
        policy.agents_max = reader.word(node, "effect", &EFFECTS).unwrap_or(Effect::Read);
    }
    policy
}

fn floor(reader: &mut Reader, node: &Node) -> Option<Floor> {
    let fields = reader.fields(node, &FLOOR)?;
    let node = reader.required(&fields, "approval")?;
    match &node.kind {
        NodeKind::Scalar(scalar) if scalar.text == NONE => None,
        NodeKind::Map(_) => {
            let fields = reader.fields(node, &NEED)?;
            let mut floor = Floor::of(lower_approval::need(reader, &fields)?);
            floor.expires_ms = time(reader, &fields, "expires").unwrap_or(floor.expires_ms);
            floor.remind_ms = time(reader, &fields, "remind").unwrap_or(floor.remind_ms);
            if let Some(node) = fields.get("on_expiry") {
                floor.on_expiry = reader.word(node, "on_expiry", &ON_EXPIRY).unwrap_or_default();
            }
            Some(floor)
        }
        _ => lower_approval::role(reader, node).map(Floor::of),
    }
}

/// Milliseconds of a duration that is more than nothing.
fn time(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Option<u64> {
    let text = reader.text(fields.get(key)?, &format!("`{key}`"))?;
    let span = reader.first_line(text.span);
    let millis = match parse_duration(&text.value) {
        Ok(duration) => u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        Err(why) => {
            reader.error("E0107", span, format!("`{key}`: {why}"), "no duration");
            return None;
        }
    };
    if millis == 0 || millis > EXPIRES_MS_MAX {
        let message = format!("`{key}` is {}, expected more than nothing and at most 7d", text.value);
        reader.error("E0114", span, message, "not a time to wait for people");
        return None;
    }
    Some(millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::approval::{Need, OnExpiry};
    use crate::runbook::settings::read_target;
    use crate::runbook::source::Source;

    fn policy(text: &str) -> (Policy, Vec<&'static str>) {
        let (target, problems) = read_target(&Source::new("targets/p.yaml", format!("version: 1\npolicy: {text}\n")));
        (target.policy, problems.into_iter().map(|problem| problem.code).collect())
    }

    #[test]
    fn without_a_line_nothing_is_asked_for_and_agents_only_look() {
        let (read, codes) = policy("{}");
        assert_eq!((read.clone(), codes), (Policy::default(), vec![]));
        assert!(read.floors.is_empty() && read.floors.single_operator && read.agents_max == Effect::Read);
    }

    #[test]
    fn a_policy_is_read_whole() {
        let (read, codes) = policy(
            "{ notify: { approval: none }, write: { approval: oncall }, destructive: { approval: { by: [lead, dba], all: true, count: 2, self: true, expires: 1h, remind: 90s, on_expiry: cancel } }, single_operator: false, agents: { max_effect: notify } }",
        );
        assert_eq!(codes, Vec::<&str>::new());
        assert_eq!(read.floors.of(Effect::Notify), None);
        assert_eq!(read.floors.of(Effect::Write), Some(&Floor::of(Need::of("oncall"))));
        let by = vec!["lead".into(), "dba".into()];
        let need = Need { by, all: true, count: 2, self_ok: true };
        let destructive = Floor { need, expires_ms: 3_600_000, remind_ms: 90_000, on_expiry: OnExpiry::Cancel };
        assert_eq!(read.floors.of(Effect::Destructive), Some(&destructive));
        assert!(!read.floors.single_operator && read.agents_max == Effect::Notify);
        let json = serde_json::to_string(&read.floors).unwrap();
        assert_eq!(serde_json::from_str::<Floors>(&json).unwrap(), read.floors);
    }

    #[test]
    fn what_a_milder_effect_needs_a_greater_one_needs_too() {
        let (read, _) = policy("{ notify: { approval: oncall } }");
        for effect in [Effect::Notify, Effect::Write, Effect::Destructive] {
            assert_eq!(read.floors.of(effect), Some(&Floor::of(Need::of("oncall"))), "{effect:?}");
        }
        assert_eq!((read.floors.of(Effect::Pure), read.floors.of(Effect::Read)), (None, None));
        let (read, codes) = policy("{ notify: { approval: lead }, write: { approval: none } }");
        assert_eq!((read.floors.write, read.floors.destructive, codes.len()), (None, None, 0));
    }

    #[test]
    fn mistakes_have_their_codes() {
        for (text, code) in [
            ("[]", "E0107"),
            ("{ wirte: { approval: oncall } }", "E0103"),
            ("{ write: oncall }", "E0107"),
            ("{ write: {} }", "E0106"),
            ("{ write: { approval: [oncall] } }", "E0107"),
            ("{ write: { approval: On Call } }", "E0105"),
            ("{ write: { approval: { count: 2 } } }", "E0106"),
            ("{ write: { approval: { by: [] } } }", "E0107"),
            ("{ write: { approval: { by: [oncall], count: 0 } } }", "E0107"),
            ("{ write: { approval: { by: [oncall], count: 11 } } }", "E0107"),
            ("{ write: { approval: { by: [a, b, c, d, e, f, g, h, i, j, k] } } }", "E0114"),
            ("{ write: { approval: { by: [oncall], expires: soon } } }", "E0107"),
            ("{ write: { approval: { by: [oncall], expires: 0s } } }", "E0114"),
            ("{ write: { approval: { by: [oncall], expires: 8d } } }", "E0114"),
            ("{ write: { approval: { by: [oncall], on_expiry: allow } } }", "E0107"),
            ("{ write: { approval: { by: [oncall], message: please } } }", "E0103"),
            ("{ write: { approval: oncall }, destructive: { approval: none } }", "E0115"),
            ("{ single_operator: no }", "E0113"),
            ("{ agents: { max_effect: pure } }", "E0107"),
            ("{ agents: {} }", "E0106"),
        ] {
            let (read, codes) = policy(text);
            assert!(codes.contains(&code), "{text}: {codes:?} {read:?}");
        }
        // What can't be read is never milder than what was written.
        assert!(!policy("{ single_operator: no }").0.floors.single_operator);
    }
}
