//! `triggers` as written, in a runbook or in a project.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::runbook::nearest::did_you_mean;
use crate::runbook::node::{Node, NodeKind};
use crate::runbook::people::person_fault;
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::snippet::Template;
use crate::runbook::source::{Span, Spanned};
use crate::runbook::tell::{self, Room};
use crate::runbook::triggers::cron::{CatchUp, Cron, Overlap, Schedule};
use crate::runbook::triggers::labels::{Labels, Pattern, REGEX};
use crate::runbook::types::parse_duration;
use crate::runbook::words;

/// Triggers of one file: each is looked at for every alert.
const TRIGGERS_MAX: usize = 200;
/// Labels that one trigger may want: alerts have a dozen.
const LABELS_MAX: usize = 32;
/// Bytes of a label's name.
const LABEL_BYTES_MAX: usize = 256;
/// The longest jitter: beyond it is another time.
const JITTER_MAX: Duration = Duration::from_secs(60 * 60);
/// The zone of a schedule that names none.
const UTC: &str = "UTC";

pub(in crate::runbook) const TRIGGER: Keys = Keys {
    what: "trigger",
    known: &["alert", "schedule", "runbook", "inputs", "target", "incident", "auto", "acts_as", "tell", "doctor"],
    later: &[],
    foreign: &[
        ("labels", "write `alert: { NAME: VALUE }`"),
        ("matchers", "write `alert: { NAME: VALUE }`"),
        ("cron", "write `schedule: { cron: \"…\" }`"),
        ("with", "write `inputs`"),
        ("webhook", "senders are named under `hooks` in rerail.yaml"),
    ],
};
pub(in crate::runbook) const SCHEDULE: Keys = Keys {
    what: "schedule",
    known: &["cron", "time_zone", "catch_up", "jitter", "overlap"],
    later: &[],
    foreign: &[
        ("timezone", "write `time_zone`"),
        ("tz", "write `time_zone`"),
        ("every", "write a line of cron: every five minutes is `cron: \"*/5 * * * *\"`"),
        ("inputs", "it stands beside `schedule`"),
        ("target", "it stands beside `schedule`"),
        ("acts_as", "it stands beside `schedule`"),
    ],
};
pub(in crate::runbook) const CATCH_UPS: [(&str, CatchUp); 3] =
    [("none", CatchUp::None), ("once", CatchUp::Once), ("all", CatchUp::All)];
pub(in crate::runbook) const OVERLAPS: [(&str, Overlap); 3] =
    [("skip", Overlap::Skip), ("wait", Overlap::Wait), ("cancel", Overlap::Cancel)];

/// One entry of `triggers`.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub on: On,
    /// What it starts; in a runbook that runbook, and nothing if it looks at this machine.
    pub runbook: Option<Spanned<String>>,
    pub inputs: Vec<(Spanned<String>, Template)>,
    pub target: Option<Template>,
    pub incident: Option<Template>,
    /// It may start what changes something, if the target agrees.
    pub auto: bool,
    /// For whom a schedule starts it; an alert acts for whom its hook names.
    pub acts_as: Option<Spanned<String>>,
    /// Where people hear of what comes of it; of an alert without it, where its hook says.
    pub tell: Vec<Room>,
    /// Instead of starting a runbook it looks whether this machine is fit, as `rerail doctor`.
    pub doctor: bool,
    /// Its first key.
    pub span: Span,
}

/// What starts it.
#[derive(Clone, Debug)]
pub enum On {
    Alert(Labels),
    Schedule(Schedule),
}

/// Where triggers stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum In {
    Runbook,
    Project,
}

impl Trigger {
    /// The labels it wants of an alert, if it waits for alerts.
    pub fn labels(&self) -> Option<&Labels> {
        match &self.on {
            On::Alert(labels) => Some(labels),
            On::Schedule(_) => None,
        }
    }

    /// When it comes, if it goes by the clock.
    pub fn schedule(&self) -> Option<&Schedule> {
        match &self.on {
            On::Alert(_) => None,
            On::Schedule(schedule) => Some(schedule),
        }
    }

    /// Every template in it.
    pub(super) fn templates(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let inputs = self.inputs.iter().map(|(_, template)| ("inputs", template));
        let target = self.target.iter().map(|template| ("target", template));
        inputs.chain(target).chain(self.incident.iter().map(|template| ("incident", template)))
    }
}

/// Reads `triggers`.
pub(in crate::runbook) fn read(reader: &mut Reader, node: &Node, place: In) -> Vec<Trigger> {
    let Some(items) = reader.list(node, "`triggers`", "a list of triggers") else { return vec![] };
    if items.len() > TRIGGERS_MAX {
        let message = format!("`triggers` has {} entries, at most {TRIGGERS_MAX} are looked at", items.len());
        reader.error("E0114", reader.first_line(node.span), message, "too many");
    }
    items.iter().take(TRIGGERS_MAX).filter_map(|item| trigger(reader, item, place)).collect()
}

fn trigger(reader: &mut Reader, node: &Node, place: In) -> Option<Trigger> {
    let fields = reader.fields(node, &TRIGGER)?;
    let span = match &node.kind {
        NodeKind::Map(entries) => entries.first().map_or(node.span, |entry| entry.key.span),
        _ => node.span,
    };
    let runbook = fields.get("runbook").and_then(|node| reader.text(node, "`runbook`"));
    let doctor = fields.get("doctor").and_then(|node| reader.boolean(node, "`doctor`")).unwrap_or(false);
    if doctor {
        for key in ["alert", "runbook", "inputs", "incident", "auto"] {
            misplaced(reader, &fields, key, "`doctor` looks at this machine at its times, and starts no runbook");
        }
    }
    match (place, &runbook) {
        (In::Runbook, _) if doctor => {
            misplaced(reader, &fields, "doctor", "it stands in rerail.yaml, beside `schedule`")
        }
        (In::Project, None) if doctor => {}
        (In::Project, None) => {
            reader.required(&fields, "runbook");
        }
        (In::Project, Some(name)) => {
            reader.name(name, words::kebab_case_fault);
        }
        (In::Runbook, _) => misplaced(reader, &fields, "runbook", "a trigger of a runbook starts that runbook"),
    }
    let inputs = fields.get("inputs").map(|node| inputs(reader, node)).unwrap_or_default();
    let mut text = |key: &str| fields.get(key).and_then(|node| reader.text_template(node, &format!("`{key}`")));
    let (target, incident) = (text("target"), text("incident"));
    let auto = fields.get("auto").and_then(|node| reader.boolean(node, "`auto`")).unwrap_or(false);
    let acts_as = fields.get("acts_as").and_then(|node| reader.text(node, "`acts_as`"));
    if let Some(person) = &acts_as {
        reader.name(person, person_fault);
    }
    let tell = fields.get("tell").map(|node| tell::read(reader, node)).unwrap_or_default();
    let on = match (fields.get("alert"), fields.get("schedule")) {
        (Some(alert), None) => {
            misplaced(reader, &fields, "acts_as", "whom an alert acts for is said by its hook, under `hooks`");
            On::Alert(labels(reader, alert)?)
        }
        (None, Some(node)) => On::Schedule(schedule(reader, node)?),
        (Some(_), Some(_)) => {
            misplaced(reader, &fields, "schedule", "a trigger waits for an alert or for a time: write two");
            return None;
        }
        (None, None) => {
            reader.required(&fields, "alert");
            return None;
        }
    };
    Some(Trigger { on, runbook, inputs, target, incident, auto, acts_as, tell, doctor, span })
}

fn misplaced(reader: &mut Reader, fields: &Fields<'_>, key: &str, why: &str) {
    let Some(entry) = fields.entry(key) else { return };
    let problem = Problem::error("E0115", &reader.source, entry.key.span, format!("`{key}` does not go here"));
    reader.push(problem.label("leave it out").help(why));
}

fn inputs(reader: &mut Reader, node: &Node) -> Vec<(Spanned<String>, Template)> {
    let mut read = Vec::new();
    for entry in reader.map(node, "`inputs`") {
        reader.name(&entry.key, words::snake_case_fault);
        if let Some(template) = reader.template(&entry.value) {
            read.push((entry.key.clone(), template));
        }
    }
    read
}

fn labels(reader: &mut Reader, node: &Node) -> Option<Labels> {
    let entries = reader.map(node, "`alert`");
    if !matches!(node.kind, NodeKind::Map(_)) {
        return None;
    }
    let fault = match entries.len() {
        0 => Some(("E0107", "`alert` wants no label: it would fit every alert".to_owned(), "name at least one label")),
        many if many > LABELS_MAX => {
            Some(("E0114", format!("`alert` wants {many} labels, at most {LABELS_MAX} are compared"), "too many"))
        }
        _ => None,
    };
    if let Some((code, message, label)) = fault {
        reader.error(code, reader.first_line(node.span), message, label);
        return None;
    }
    let mut read = BTreeMap::new();
    for entry in entries {
        reader.name(&entry.key, label_fault);
        let pattern = match &entry.value.kind {
            NodeKind::List(_) => one_of(reader, &entry.value, &entry.key.value),
            _ => match reader.text(&entry.value, &format!("label `{}`", entry.key.value)) {
                Some(text) => pattern(reader, &text),
                None => None,
            },
        };
        read.insert(entry.key.value.clone(), pattern?);
    }
    Some(Labels(read))
}

fn pattern(reader: &mut Reader, text: &Spanned<String>) -> Option<Pattern> {
    match Pattern::read(&text.value) {
        Ok(pattern) => Some(pattern),
        Err(why) => {
            reader.error("E0240", reader.first_line(text.span), why, "not a pattern");
            None
        }
    }
}

fn one_of(reader: &mut Reader, node: &Node, label: &str) -> Option<Pattern> {
    let texts = reader.names(node, &format!("label `{label}`"), |_| None);
    if texts.is_empty() {
        reader.error(
            "E0107",
            reader.first_line(node.span),
            format!("label `{label}` may be nothing"),
            "list its values",
        );
        return None;
    }
    if let Some(text) = texts.iter().find(|text| text.value.starts_with(REGEX)) {
        let message = "a regular expression does not stand in a list";
        let problem = Problem::error("E0240", &reader.source, reader.first_line(text.span), message);
        reader.push(problem.label("taken for a text").help("write one expression: `\"re:a.*|b.*\"`"));
        return None;
    }
    Some(Pattern::OneOf(texts.into_iter().map(|text| text.value).collect::<BTreeSet<_>>()))
}

fn schedule(reader: &mut Reader, node: &Node) -> Option<Schedule> {
    let fields = reader.fields(node, &SCHEDULE)?;
    let cron = reader.required(&fields, "cron").and_then(|node| reader.text(node, "`cron`")).and_then(|text| {
        let read = Cron::read(&text.value);
        read.map_err(|why| {
            let message = format!("{} is no time: {why}", words::quoted(&text.value));
            let problem = Problem::error("E0107", &reader.source, reader.first_line(text.span), message);
            reader.push(
                problem
                    .label("not a line of cron")
                    .help("every five minutes is `*/5 * * * *`, three at night `0 3 * * *`"),
            );
        })
        .ok()
    });
    let time_zone = match fields.get("time_zone") {
        Some(node) => {
            let zone = reader.text(node, "`time_zone`")?;
            reader.name(&zone, zone_fault).then_some(zone)
        }
        None => Some(Spanned::new(UTC.to_owned(), fields.span)),
    };
    let catch_up = match fields.get("catch_up") {
        Some(node) => reader.word(node, "catch_up", &CATCH_UPS)?,
        None => CatchUp::default(),
    };
    let overlap = match fields.get("overlap") {
        Some(node) => reader.word(node, "overlap", &OVERLAPS)?,
        None => Overlap::default(),
    };
    let jitter = match fields.get("jitter") {
        Some(node) => jitter(reader, node)?,
        None => Duration::ZERO,
    };
    Some(Schedule { cron: cron?, time_zone: time_zone?, catch_up, jitter, overlap })
}

fn jitter(reader: &mut Reader, node: &Node) -> Option<Duration> {
    let text = reader.text(node, "`jitter`")?;
    let fault = match parse_duration(&text.value) {
        Ok(jitter) if jitter <= JITTER_MAX => return Some(jitter),
        Ok(_) => format!("`jitter` is {}, at most 1h", words::quoted(&text.value)),
        Err(why) => format!("{why} for `jitter`"),
    };
    reader.error("E0107", reader.first_line(text.span), fault, "not a jitter");
    None
}

fn label_fault(name: &str) -> Option<String> {
    if name.len() > LABEL_BYTES_MAX {
        return Some(format!("is longer than {LABEL_BYTES_MAX} bytes"));
    }
    (name.trim().is_empty() || name.chars().any(char::is_control))
        .then(|| "must be the name of a label, such as `alertname`".to_owned())
}

/// Why this can't be the name of a time zone; whether there is one of the name is asked where tables are at hand.
fn zone_fault(name: &str) -> Option<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    let good = name.len() <= 64 && name.split('/').all(|part| !part.is_empty() && part.chars().all(word));
    let near = || did_you_mean(name, [UTC, "Europe/Berlin", "Europe/London", "America/New_York"]);
    (!good).then(|| near().unwrap_or_else(|| "must be a time zone such as `Europe/Berlin`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::source::Source;

    fn triggers(text: &str, place: In) -> (Vec<Trigger>, Vec<(&'static str, String)>) {
        let source = Source::new("x.yaml", format!("triggers: {text}\n"));
        let (mut reader, root) = Reader::open(&source);
        let root = root.unwrap();
        let NodeKind::Map(entries) = &root.kind else { panic!("a map") };
        let read = read(&mut reader, &entries[0].value, place);
        (read, reader.finish().into_iter().map(|problem| (problem.code, problem.message)).collect())
    }

    #[test]
    fn triggers_are_read_whole() {
        let (read, problems) = triggers(
            "\n  - alert: { alertname: Down, severity: [critical, page], service: \"re:back.*\", code: 503 }\n    inputs: { base_url: \"${{ alert.labels.instance }}\", n: 3 }\n    target: \"${{ alert.labels.env }}\"\n    incident: \"${{ alert.labels.incident }}\"\n    auto: true\n  - schedule: { cron: \"*/5 * * * *\", time_zone: Europe/Berlin, catch_up: once, jitter: 30s, overlap: wait }\n    acts_as: ana\n    target: production\n  - schedule: { cron: \"@daily\" }\n",
            In::Runbook,
        );
        assert_eq!(problems, []);
        let labels = read[0].labels().unwrap();
        assert_eq!(labels.specificity(), (4, 2, 1));
        assert!(read[0].auto && read[0].inputs.len() == 2 && read[0].templates().count() == 4);
        let schedule = read[1].schedule().unwrap();
        assert_eq!((schedule.catch_up, schedule.overlap), (CatchUp::Once, Overlap::Wait));
        assert_eq!((schedule.time_zone.value.as_str(), schedule.jitter), ("Europe/Berlin", Duration::from_secs(30)));
        assert_eq!(read[1].acts_as.as_ref().unwrap().value, "ana");
        let daily = read[2].schedule().unwrap();
        assert_eq!(
            (daily.catch_up, daily.overlap, daily.time_zone.value.as_str()),
            (CatchUp::None, Overlap::Skip, "UTC")
        );
    }

    #[test]
    fn a_project_says_what_a_trigger_starts_and_a_runbook_does_not() {
        assert_eq!(triggers("[{ alert: { a: b }, runbook: fix-it }]", In::Project).1, []);
        assert_eq!(triggers("[{ alert: { a: b } }]", In::Project).1[0].0, "E0106");
        assert_eq!(triggers("[{ alert: { a: b }, runbook: fix-it }]", In::Runbook).1[0].0, "E0115");
        assert_eq!(triggers("[{ alert: { a: b }, runbook: ../x }]", In::Project).1[0].0, "E0105");
    }

    #[test]
    fn mistakes_have_their_codes() {
        let many: Vec<String> = (0..33).map(|n| format!("l{n}: x")).collect();
        for (text, code) in [
            ("{}", "E0107"),
            ("[x]", "E0107"),
            ("[{}]", "E0106"),
            ("[{ alerts: { a: b } }]", "E0103"),
            ("[{ alert: { a: b }, schedule: { cron: \"* * * * *\" } }]", "E0115"),
            ("[{ alert: {} }]", "E0107"),
            ("[{ alert: Down }]", "E0107"),
            ("[{ alert: { a: { b: c } } }]", "E0107"),
            ("[{ alert: { a: [] } }]", "E0107"),
            ("[{ alert: { a: [x, x] } }]", "E0116"),
            ("[{ alert: { a: [\"re:x\"] } }]", "E0240"),
            ("[{ alert: { a: \"re:(\" } }]", "E0240"),
            ("[{ alert: { a: \"${{ 1 }}\" } }]", "E0107"),
            ("[{ alert: { \" \": x } }]", "E0105"),
            ("[{ alert: { a: b }, acts_as: ana }]", "E0115"),
            ("[{ alert: { a: b }, auto: yes }]", "E0113"),
            ("[{ alert: { a: b }, inputs: { A-b: 1 } }]", "E0105"),
            ("[{ alert: { a: b }, target: [x] }]", "E0107"),
            ("[{ schedule: { cron: \"* * *\" } }]", "E0107"),
            ("[{ schedule: {} }]", "E0106"),
            ("[{ schedule: { cron: \"* * * * *\", time_zone: \"Europe/ Berlin\" } }]", "E0105"),
            ("[{ schedule: { cron: \"* * * * *\", time_zone: ../etc } }]", "E0105"),
            ("[{ schedule: { cron: \"* * * * *\", catch_up: some } }]", "E0107"),
            ("[{ schedule: { cron: \"* * * * *\", overlap: queue } }]", "E0107"),
            ("[{ schedule: { cron: \"@daily\" }, doctor: true }]", "E0115"),
            ("[{ schedule: { cron: \"@daily\" }, tell: {} }]", "E0107"),
            ("[{ schedule: { cron: \"@daily\" }, tell: { slack: \"#ops\" } }]", "E0105"),
            ("[{ schedule: { cron: \"@daily\" }, tell: { channel: C1 } }]", "E0103"),
            ("[{ schedule: { cron: \"* * * * *\", jitter: 2h } }]", "E0107"),
            ("[{ schedule: { cron: \"* * * * *\", jitter: 5 } }]", "E0107"),
            ("[{ schedule: { cron: \"* * * * *\", target: x } }]", "E0103"),
            ("[{ schedule: { cron: \"* * * * *\" }, acts_as: \"An A\" }]", "E0105"),
            (&format!("[{{ alert: {{ {} }} }}]", many.join(", ")), "E0114"),
        ] {
            let (_, problems) = triggers(text, In::Runbook);
            assert_eq!(problems.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [code], "{text}: {problems:?}");
        }
    }
}
