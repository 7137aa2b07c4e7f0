//! What starts runs beside people: the triggers of a project, and what one of them would start.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::project::Origin;
use crate::runbook::lower::read_partly;
use crate::runbook::model::{Input, Kind};
use crate::runbook::policy::Auto;
use crate::runbook::problem::Problem;
use crate::runbook::snippet::{Piece, Template, TemplateNode};
use crate::runbook::source::{Source, Spanned};
use crate::runbook::triggers::{self, Alert, Candidate, On, Trigger};
use crate::runs::Runs;
use crate::runs::drive::on_engine_thread;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::start::{Prepared, StartRequest};
use crate::script::sandbox::{Evaluated, Input as Seen, Readable, Sandbox};
use crate::script::value::{Map, Value};

/// What stands in the place of a runbook where none is started: no runbook can be called so.
pub const DOCTOR: &str = "rerail doctor";
/// Letters of an incident's name.
const INCIDENT_CHARS_MAX: usize = 64;
/// Letters of a target's name, as of every name.
const TARGET_CHARS_MAX: usize = 64;

/// A trigger with the runbook it starts and the file it stands in.
#[derive(Clone, Debug)]
pub struct Placed {
    pub trigger: Trigger,
    pub runbook: String,
    pub source: Arc<Source>,
    pub of_project: bool,
}

/// What a trigger starts: data only, whatever an alert says.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub runbook: String,
    pub inputs: Map,
    pub target: Option<String>,
    pub incident: Option<String>,
}

impl Runs {
    /// All triggers: those of the project file in their order, then those of the project's own runbooks by name. What is
    /// shipped starts nothing by itself.
    pub fn triggers(&self) -> Vec<Placed> {
        let mut found = Vec::new();
        if let Some(source) = &self.project().source {
            for trigger in &self.project().settings.triggers {
                let name = trigger.runbook.as_ref().map(|name| name.value.clone());
                let Some(runbook) = name.or_else(|| trigger.doctor.then(|| DOCTOR.to_owned())) else { continue };
                let (trigger, source) = (trigger.clone(), Arc::clone(source));
                found.push(Placed { trigger, runbook, source, of_project: true });
            }
        }
        for listed in self.project().runbooks() {
            // Reading a file is cheap, compiling what is in it isn't.
            if listed.origin != Origin::Project || !listed.source.text.contains("triggers:") {
                continue;
            }
            let Some(runbook) = read_partly(&listed.name, Kind::Runbook, &listed.source).runbook else { continue };
            for trigger in runbook.triggers {
                let (runbook, source) = (listed.name.clone(), Arc::clone(&listed.source));
                found.push(Placed { trigger, runbook, source, of_project: false });
            }
        }
        found
    }

    /// What a trigger starts for an alert, or at its time.
    ///
    /// # Errors
    /// If an expression of it fails, or gives what can't be a name.
    pub fn wanted(&self, placed: &Placed, alert: Option<&Alert>) -> Result<Wanted, RunsError> {
        let trigger = &placed.trigger;
        let context = alert.map(Alert::context);
        on_engine_thread(|| {
            let evaluator = Evaluator::new(context)?;
            let mut inputs = Map::new();
            for (name, template) in &trigger.inputs {
                let value = evaluator.value(template, &format!("input `{}`", name.value))?;
                inputs.insert(name.value.clone(), value);
            }
            let text = |template: &Option<Template>, what: &str| -> Result<Option<String>, RunsError> {
                match template {
                    None => Ok(None),
                    Some(template) => match evaluator.value(template, what)? {
                        Value::Null => Ok(None),
                        value => Ok(Some(value.to_string()).filter(|text| !text.trim().is_empty())),
                    },
                }
            };
            let target = text(&trigger.target, "`target`")?;
            if let Some(target) = target.as_deref().filter(|target| !is_name(target)) {
                let said = format!("`target` of the trigger gives {target:?}, which is no name of a target");
                return Err(RunsError::new(ErrorKind::Usage, said));
            }
            let good =
                |text: &String| text.chars().count() <= INCIDENT_CHARS_MAX && !text.chars().any(char::is_control);
            let incident = text(&trigger.incident, "`incident`")?.filter(good);
            Ok(Wanted { runbook: placed.runbook.clone(), inputs, target, incident })
        })
    }

    /// Checks what a trigger starts whole, as [`Runs::prepare`] does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn prepare_wanted(&self, wanted: &Wanted, reason: String) -> Result<Prepared, RunsError> {
        let request = StartRequest {
            runbook: wanted.runbook.clone(),
            target: wanted.target.clone(),
            incident: wanted.incident.clone(),
            reason: Some(reason),
            ..StartRequest::default()
        };
        self.prepare_given(&request, wanted.inputs.clone())
    }

    /// What is wrong with triggers beyond their files: runbooks, people and time zones that aren't there, and those that
    /// never come because another one always comes before. Of one runbook, or of the project file and of all beside each
    /// other.
    pub(super) fn check_triggers(&self, only: Option<&Source>) -> Vec<Problem> {
        let placed = self.triggers();
        let meant = placed.iter().filter(|placed| match only {
            Some(source) => placed.source.shown == source.shown,
            None => placed.of_project,
        });
        let mut problems: Vec<Problem> = meant.flat_map(|placed| self.check_trigger(placed)).collect();
        if only.is_some() {
            return problems;
        }
        let alerts: Vec<&Placed> = placed.iter().filter(|placed| placed.trigger.labels().is_some()).collect();
        let candidates: Vec<Candidate<'_>> = candidates(&alerts);
        for (first, second) in triggers::outranked(&candidates) {
            let (first, second) = (alerts[first], alerts[second]);
            let (line, _) = first.source.line_column(first.trigger.span.start);
            let message = "another trigger fits the same alerts equally well and comes first";
            let problem =
                Problem::warning("W0408", &second.source, second.trigger.span, message).label("may never come");
            let place = format!("{} line {line}", first.source.shown);
            problems.push(problem.help(format!("it is that of {place}: want one label more in one of them")));
        }
        problems
    }

    fn check_trigger(&self, placed: &Placed) -> Vec<Problem> {
        let Placed { trigger, runbook, source, of_project } = placed;
        let mut problems = Vec::new();
        // What stands in a runbook is checked with it.
        if *of_project && !trigger.doctor {
            let found = self.project().runbook(runbook).ok();
            let read = found.as_ref().map(|listed| read_partly(&listed.name, Kind::Runbook, &listed.source));
            let whole = read.as_ref().filter(|read| !read.gaps.any()).and_then(|read| read.runbook.as_ref());
            let inputs: Option<&[Input]> = whole.map(|runbook| runbook.inputs.as_slice());
            if let (None, Some(name)) = (&found, &trigger.runbook) {
                problems.push(self.no_runbook(name, source));
            }
            problems.extend(triggers::check(trigger, source, runbook, inputs));
        }
        for room in &trigger.tell {
            if let Some((message, help)) = room.fault(&self.project().settings.chat) {
                let span = source.first_line(room.channel.span);
                let problem = Problem::error("E0254", source, span, message).label("nobody hears it there");
                problems.push(problem.help(help));
            }
        }
        let On::Schedule(schedule) = &trigger.on else { return problems };
        let zone = &schedule.time_zone;
        if TimeZone::get(&zone.value).is_err() {
            let message = format!("this machine knows no time zone `{}`", zone.value);
            let problem = Problem::error("E0253", source, source.first_line(zone.span), message).label("unknown here");
            problems.push(problem.help("its name is that of the IANA, such as `Europe/Berlin`"));
        }
        let people = &self.project().settings.people;
        let fault = match &trigger.acts_as {
            Some(person) => crate::runbook::hooks::stranger_at(&person.value, people).map(|fault| (person.span, fault)),
            // It looks, as everybody may who has a terminal here.
            None if people.is_single_operator() || trigger.doctor => None,
            None => {
                let said = "nobody stands behind what this schedule starts".to_owned();
                Some((trigger.span, (said, "name one of `people` beside it: `acts_as: NAME`".to_owned())))
            }
        };
        if let Some((span, (message, help))) = fault {
            let problem = Problem::error("E0251", source, source.first_line(span), message).label("needs a person");
            problems.push(problem.help(help));
        }
        problems
    }

    fn no_runbook(&self, name: &Spanned<String>, source: &Arc<Source>) -> Problem {
        let names: Vec<String> = self.project().runbooks().into_iter().map(|listed| listed.name).collect();
        let help = crate::runbook::nearest::did_you_mean(&name.value, names.iter().map(String::as_str));
        let message = format!("no runbook `{}`", name.value);
        Problem::error("E0234", source, name.span, message).label("unknown runbook").maybe_help(help)
    }
}

impl Prepared {
    /// What the target lets triggers start by themselves.
    pub fn auto(&self) -> Option<Auto> {
        self.settings.policy.auto
    }
}

/// Those that wait for alerts, to choose from.
pub fn candidates<'t>(alerts: &[&'t Placed]) -> Vec<Candidate<'t>> {
    let of = |placed: &&'t Placed| Some(Candidate { labels: placed.trigger.labels()?, of_project: placed.of_project });
    alerts.iter().filter_map(of).collect()
}

/// A name, and never a path.
fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.len() <= TARGET_CHARS_MAX && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(word)
}

/// Evaluates templates over an alert alone.
struct Evaluator {
    sandbox: Sandbox,
    context: Option<Value>,
}

impl Evaluator {
    fn new(context: Option<Value>) -> Result<Evaluator, RunsError> {
        let sandbox = Sandbox::new(&[], &[])
            .map_err(|(_, error)| RunsError::new(ErrorKind::Internal, format!("no interpreter: {}", error.message)))?;
        Ok(Evaluator { sandbox, context })
    }

    fn value(&self, template: &Template, what: &str) -> Result<Value, RunsError> {
        match &template.node {
            TemplateNode::Literal(value) => Ok(value.clone()),
            TemplateNode::Expression(snippet) => self.snippet(snippet, what),
            TemplateNode::Mixed(pieces) => {
                let mut whole = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => whole.push_str(text),
                        Piece::Expression(snippet) => whole.push_str(&self.snippet(snippet, what)?.to_string()),
                    }
                }
                Ok(Value::Text(whole))
            }
            TemplateNode::List(items) => {
                items.iter().map(|item| self.value(item, what)).collect::<Result<_, _>>().map(Value::List)
            }
            TemplateNode::Map(entries) => {
                let entry =
                    |(key, value): &(Spanned<String>, Template)| Ok((key.value.clone(), self.value(value, what)?));
                entries.iter().map(entry).collect::<Result<_, RunsError>>().map(Value::Map)
            }
        }
    }

    fn snippet(&self, snippet: &crate::runbook::snippet::Snippet, what: &str) -> Result<Value, RunsError> {
        let failed = |why: &str| RunsError::new(ErrorKind::Usage, format!("{what} of the trigger: {why}"));
        let contexts = self.context.iter().map(|alert| ("alert", Readable::Value(alert.clone()))).collect();
        let seen = Seen { contexts, ..Seen::default() };
        match self.sandbox.evaluate(&snippet.code, seen).result {
            Evaluated::Value(value) if value.unknown().is_none() && !value.has_secret() => Ok(value),
            Evaluated::Error(error) => Err(failed(&error.message)),
            _ => Err(failed("it can't be computed before a run")),
        }
    }
}
