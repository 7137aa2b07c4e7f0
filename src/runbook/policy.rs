//! `policy` of a target: which approvals a place wants at least, and who may do without.
//!
//! A floor: a runbook may ask for more, never for less. Plain data: who approves what is the engine's.

use crate::runbook::approval::{Floors, Need};
use crate::runbook::egress::{self, Egress};
use crate::runbook::node::{Node, NodeKind};
use crate::runbook::people::person_fault;
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Keys, Reader};
use crate::runbook::spec::Effect;

/// The word for a place that wants no approval.
pub(super) const NONE: &str = "none";

pub(super) const POLICY: Keys = Keys {
    what: "policy",
    known: &["notify", "write", "destructive", "single_operator", "agents", "auto", "egress"],
    later: &[],
    foreign: &[("read", "reads are never approved"), ("approval", "say for which effect: `write: { approval: … }`")],
};
pub(super) const FLOOR: Keys =
    Keys { what: "floor", known: &["approval"], later: &[], foreign: &[("by", "write `approval: { by: […] }`")] };
pub(super) const NEED: Keys = Keys {
    what: "approval",
    known: &["by", "all", "count", "self"],
    later: &[],
    foreign: &[
        ("role", "write `by`, a list"),
        ("roles", "write `by`"),
        ("expires", "how long it waits stands at the step, 15 minutes without it"),
    ],
};
pub(super) const AGENTS: Keys = Keys { what: "rule for agents", known: &["max_effect"], later: &[], foreign: &[] };
pub(super) const EFFECTS: [(&str, Effect); 4] = [
    ("read", Effect::Read),
    ("notify", Effect::Notify),
    ("write", Effect::Write),
    ("destructive", Effect::Destructive),
];

pub(super) const AUTO: Keys = Keys {
    what: "rule for triggers",
    known: &["max_effect", "per_hour"],
    later: &[],
    foreign: &[("rate", "write `per_hour`"), ("limit", "write `per_hour`")],
};
/// What a trigger may be let do by itself: never something that may destroy.
pub(super) const AUTO_EFFECTS: [(&str, Effect); 2] = [("notify", Effect::Notify), ("write", Effect::Write)];
/// Most starts in an hour: what has to be put right more often is not put right.
pub(super) const PER_HOUR_MAX: u32 = 60;

/// What a target asks of runs against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What the outermost write of each effect needs at least.
    pub floors: Floors,
    /// The greatest effect a run may have that a program started, and no person.
    pub agents_max: Effect,
    /// What triggers that say `auto` may start by themselves; without it nothing that changes anything.
    pub auto: Option<Auto>,
    /// What steps of these runs may connect to, beside what the project says.
    pub egress: Option<Egress>,
}

/// `auto` of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auto {
    /// The greatest effect of such a run.
    pub max_effect: Effect,
    /// How many of them may begin within any hour, of all triggers together.
    pub per_hour: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { floors: Floors::default(), agents_max: Effect::Read, auto: None, egress: None }
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
    policy.auto = fields.get("auto").and_then(|node| auto(reader, node));
    policy.egress = fields.get("egress").map(|node| egress::read(reader, node));
    policy
}

fn auto(reader: &mut Reader, node: &Node) -> Option<Auto> {
    let fields = reader.fields(node, &AUTO)?;
    let max_effect = reader.required(&fields, "max_effect").and_then(|node| reader.word(node, "effect", &AUTO_EFFECTS));
    let per_hour = reader.required(&fields, "per_hour").and_then(|node| {
        let count = reader.count(node, "`per_hour`", 1)?;
        if count > PER_HOUR_MAX {
            let message = format!("`per_hour` is {count}, at most {PER_HOUR_MAX} starts by themselves are let through");
            reader.error("E0114", reader.first_line(node.span), message, "too many");
        }
        Some(count.min(PER_HOUR_MAX))
    });
    Some(Auto { max_effect: max_effect?, per_hour: per_hour? })
}

fn floor(reader: &mut Reader, node: &Node) -> Option<Need> {
    let fields = reader.fields(node, &FLOOR)?;
    let node = reader.required(&fields, "approval")?;
    match &node.kind {
        NodeKind::Scalar(scalar) if scalar.text == NONE => None,
        NodeKind::Map(_) => need(reader, node),
        _ => {
            let role = reader.text(node, "`approval`")?;
            reader.name(&role, person_fault).then(|| Need::of(role.value))
        }
    }
}

fn need(reader: &mut Reader, node: &Node) -> Option<Need> {
    let fields = reader.fields(node, &NEED)?;
    let by = reader.required(&fields, "by").map(|node| reader.names(node, "`by`", person_fault))?;
    if by.is_empty() {
        let span = reader.first_line(node.span);
        reader.error("E0107", span, "`by` names nobody", "name at least one role or person");
    }
    if by.len() > Need::BY_MAX {
        let message = format!("`by` names {}, at most {} are asked at once", by.len(), Need::BY_MAX);
        reader.error("E0114", reader.first_line(node.span), message, "too many");
    }
    let by = by.into_iter().map(|name| name.value).collect();
    let mut need = Need { by, all: false, count: 1, self_ok: false };
    let flag = |reader: &mut Reader, key: &str| {
        fields.get(key).and_then(|node| reader.boolean(node, &format!("`{key}`"))).unwrap_or(false)
    };
    need.all = flag(reader, "all");
    need.self_ok = flag(reader, "self");
    if let Some(node) = fields.get("count")
        && let Some(count) = reader.count(node, "`count`", 1)
    {
        if count > Need::COUNT_MAX {
            let message = format!("`count` is {count}, at most {} people can be asked for", Need::COUNT_MAX);
            reader.error("E0114", reader.first_line(node.span), message, "too many");
        }
        need.count = count;
    }
    Some(need)
}

#[cfg(test)]
mod tests {
    use super::*;
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
            "{ notify: { approval: none }, write: { approval: oncall }, destructive: { approval: { by: [lead, dba], all: true, count: 2, self: true } }, single_operator: false, agents: { max_effect: notify }, auto: { max_effect: write, per_hour: 3 } }",
        );
        assert_eq!(codes, Vec::<&str>::new());
        assert_eq!(read.floors.of(Effect::Notify), None);
        assert_eq!(read.floors.of(Effect::Write), Some(&Need::of("oncall")));
        let by = vec!["lead".into(), "dba".into()];
        let destructive = Need { by, all: true, count: 2, self_ok: true };
        assert_eq!(read.floors.of(Effect::Destructive), Some(&destructive));
        assert!(!read.floors.single_operator && read.agents_max == Effect::Notify);
        assert_eq!(read.auto, Some(Auto { max_effect: Effect::Write, per_hour: 3 }));
        let json = serde_json::to_string(&read.floors).unwrap();
        assert_eq!(serde_json::from_str::<Floors>(&json).unwrap(), read.floors);
    }

    #[test]
    fn what_a_milder_effect_needs_a_greater_one_needs_too() {
        let (read, _) = policy("{ notify: { approval: oncall } }");
        for effect in [Effect::Notify, Effect::Write, Effect::Destructive] {
            assert_eq!(read.floors.of(effect), Some(&Need::of("oncall")), "{effect:?}");
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
            ("{ write: { approval: { by: oncall } } }", "E0107"),
            ("{ write: { approval: { by: [oncall], count: 0 } } }", "E0107"),
            ("{ write: { approval: { by: [oncall], count: 11 } } }", "E0114"),
            ("{ write: { approval: { by: [a, b, c, d, e, f, g, h, i, j, k] } } }", "E0114"),
            ("{ write: { approval: { by: [oncall], expires: 1h } } }", "E0103"),
            ("{ write: { approval: oncall }, destructive: { approval: none } }", "E0115"),
            ("{ single_operator: no }", "E0113"),
            ("{ agents: { max_effect: pure } }", "E0107"),
            ("{ agents: {} }", "E0106"),
            ("{ auto: {} }", "E0106"),
            ("{ auto: { max_effect: write } }", "E0106"),
            ("{ auto: { max_effect: destructive, per_hour: 1 } }", "E0107"),
            ("{ auto: { max_effect: write, per_hour: 0 } }", "E0107"),
            ("{ auto: { max_effect: write, per_hour: 61 } }", "E0114"),
        ] {
            let (read, codes) = policy(text);
            assert!(codes.contains(&code), "{text}: {codes:?} {read:?}");
        }
        // What can't be read is never milder than what was written.
        assert!(!policy("{ single_operator: no }").0.floors.single_operator);
    }
}
