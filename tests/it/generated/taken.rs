//! What a case of [`people`](crate::generated::people) means, read off the language alone: who is asked about which
//! writes, what that covers, what becomes void, and what is taken back in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rerail::drivers::mock::{MockRun, MockWorld};
use rerail::engine::event::{Body as Fact, Decision};
use rerail::engine::outcome::UndoOutcome;
use rerail::script::value::{Map, Value};

use crate::generated::agreed::{Answer, Approval, Body, Case, SEEN, Step, Undo, Word, Write, each};
use crate::generated::people::UNDOS;

/// What is compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    pub end: &'static str,
    pub failed_step: Option<String>,
    /// Outcomes of the steps that have one of their own.
    pub steps: BTreeMap<String, &'static str>,
    /// Writes as they were sent: path, method and number.
    pub sent: Vec<String>,
    /// Each time people were asked: where, about which writes, and whether that is all.
    pub asked: Vec<String>,
    /// Where what was agreed to became void.
    pub void: Vec<String>,
    /// Each time it was taken back: how that ended, and what was left.
    pub undone: Vec<String>,
}

/// What people say at a gate when they are asked for the n-th time.
pub fn word(case: &Case, gate: &str, times: usize) -> Option<Word> {
    let approval = match undone(gate) {
        Some(path) => undo_at(case, path)?.approval.as_ref()?,
        None => approval_at(case, gate)?,
    };
    approval.words.get(times).or(approval.words.last()).copied()
}

/// The write that is taken back at this path, if that is one of an undo.
pub fn undone(path: &str) -> Option<&str> {
    let write = path.strip_prefix("undo/")?;
    Some(write.split_once("/no_").map_or(write, |(write, _)| write))
}

fn undo_at<'c>(case: &'c Case, write: &str) -> Option<&'c Undo> {
    let mut found = None;
    each(&case.steps, "", None, &mut |path, _, step| {
        if let (true, Body::Write(step)) = (path == write, &step.body) {
            found = step.undo.as_ref();
        }
    });
    found
}

/// The approval that stands at a step, or else around it.
fn approval_at<'c>(case: &'c Case, gate: &str) -> Option<&'c Approval> {
    let mut own = None;
    let mut groups: BTreeMap<String, Option<&'c Approval>> = BTreeMap::new();
    each(&case.steps, "", None, &mut |path, around, step| {
        let found = match &step.body {
            Body::Group { approval, .. } => {
                groups.insert(path.clone(), approval.as_ref());
                approval.as_ref()
            }
            Body::Write(write) => {
                write.approval.as_ref().or_else(|| around.and_then(|around| groups.get(around).copied().flatten()))
            }
            _ => None,
        };
        if path == gate {
            own = found;
        }
    });
    own
}

/// How a step ended that does not let the next one begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Failed,
    Refused,
    Rejected,
    Cancelled,
}

impl Stop {
    fn word(self) -> &'static str {
        match self {
            Stop::Failed => "failed",
            Stop::Refused => "refused",
            Stop::Rejected => "rejected",
            Stop::Cancelled => "cancelled",
        }
    }
}

type Broken = (Stop, String);

#[derive(Default)]
struct Model {
    story: Story,
    /// How often people were asked, by gate.
    times: BTreeMap<String, usize>,
    /// Looks that give another number now.
    drifted: BTreeSet<String>,
    /// What was agreed to: the number a write sends, by its path, and who was asked.
    agreed: BTreeMap<String, Vec<(String, i64)>>,
    /// Numbers that looks gave, by id; those of an action end with it.
    seen: BTreeMap<String, i64>,
    /// Writes that changed something, in order: path, and what takes each back, if anything does.
    changed: Vec<(String, Option<Undo>)>,
    /// Undos that were sent, and failed or were in doubt once already.
    tried: BTreeSet<String>,
}

/// The group that is being walked.
struct Group<'c> {
    path: &'c str,
    approval: &'c Approval,
    prefix: &'c str,
    steps: &'c [Step],
    /// What was shown last, by path, with the number it sends.
    shown: BTreeMap<String, i64>,
    /// Whether something that was shown has begun.
    begun: bool,
}

/// Plays a case to its last undo.
pub fn play(case: &Case) -> Story {
    let mut model = Model::default();
    let broken = model.block(case, &case.steps, "", None).err();
    if let (true, Some((Stop::Failed | Stop::Refused | Stop::Rejected, _))) = (case.takes_itself_back, &broken) {
        let outcome = model.take_back();
        model.story.steps.insert("on_failure/back".to_owned(), if outcome { "done" } else { "failed" });
    }
    (model.story.end, model.story.failed_step) = match broken {
        None => ("success", None),
        Some((Stop::Rejected, at)) => ("rejected", Some(at)),
        Some((Stop::Cancelled, _)) => ("cancelled", None),
        Some((_, at)) => ("failed", Some(at)),
    };
    for _ in 0..UNDOS {
        model.take_back();
    }
    model.story
}

impl Model {
    fn block(
        &mut self,
        case: &Case,
        steps: &[Step],
        prefix: &str,
        mut group: Option<&mut Group>,
    ) -> Result<(), Broken> {
        for step in steps {
            let path = format!("{prefix}{}", step.id);
            match &step.body {
                Body::Look { .. } => {
                    self.seen.insert(step.id.clone(), self.sight(&path));
                    self.ends(&path, "done");
                }
                Body::Fail => {
                    self.ends(&path, "failed");
                    return Err((Stop::Failed, path));
                }
                Body::Write(write) => self.write(&path, write, group.as_deref_mut())?,
                Body::Group { approval, action, steps } => {
                    self.group(case, step, &path, approval.as_ref(), *action, steps)?
                }
            }
        }
        Ok(())
    }

    fn ends(&mut self, path: &str, word: &'static str) {
        self.story.steps.insert(path.to_owned(), word);
    }

    /// What a look gives now.
    fn sight(&self, path: &str) -> i64 {
        SEEN + i64::from(self.drifted.contains(path))
    }

    fn group(
        &mut self,
        case: &Case,
        step: &Step,
        path: &str,
        approval: Option<&Approval>,
        action: bool,
        steps: &[Step],
    ) -> Result<(), Broken> {
        let prefix =
            if action { format!("{path}/") } else { path.strip_suffix(&step.id).unwrap_or_default().to_owned() };
        let mut guard = None;
        if let Some(approval) = approval {
            let mut group = Group { path, approval, prefix: &prefix, steps, shown: BTreeMap::new(), begun: false };
            if let Err(stop) = self.ask_group(&mut group) {
                self.ends(path, stop.word());
                return Err((stop, path.to_owned()));
            }
            guard = Some(group);
        }
        let ended = self.block(case, steps, &prefix, guard.as_mut());
        if action {
            self.ends(
                path,
                match &ended {
                    Ok(()) => "done",
                    Err((Stop::Refused, _)) => "failed",
                    Err((stop, _)) => stop.word(),
                },
            );
        }
        ended
    }

    /// Shows what is inside of a group, as far as that can be known, and asks for what nobody has agreed to.
    fn ask_group(&mut self, group: &mut Group) -> Result<(), Stop> {
        let (mut shown, mut complete) = (BTreeMap::new(), true);
        let mut order = Vec::new();
        let mut seen = self.seen.clone();
        for step in group.steps {
            let path = format!("{}{}", group.prefix, step.id);
            match &step.body {
                // What was looked at before stays as it was seen.
                Body::Look { .. } if self.story.steps.contains_key(&path) => {}
                Body::Look { .. } => drop(seen.insert(step.id.clone(), self.sight(&path))),
                Body::Write(write) => {
                    let number = write.reads.as_ref().map_or(0, |look| seen.get(look).copied().unwrap_or_default());
                    order.push(path.clone());
                    shown.insert(path, number);
                }
                // What may follow where it breaks off is not shown.
                Body::Fail => {
                    complete = false;
                    break;
                }
                Body::Group { .. } => {}
            }
        }
        if order.is_empty() {
            return Ok(());
        }
        group.shown = shown;
        self.ask(group.path, group.approval, &order, &group.shown, complete)?;
        for step in group.steps {
            let path = format!("{}{}", group.prefix, step.id);
            if let Body::Look { drifts: true } = &step.body {
                self.drifted.insert(path);
            }
        }
        Ok(())
    }

    /// Asks people, and hears what they say.
    fn ask(
        &mut self,
        gate: &str,
        approval: &Approval,
        order: &[String],
        shown: &BTreeMap<String, i64>,
        complete: bool,
    ) -> Result<(), Stop> {
        self.story.asked.push(format!("{gate}: {} complete: {complete}", order.join(" ")));
        let times = self.times.entry(gate.to_owned()).or_default();
        let word = approval.words.get(*times).or(approval.words.last());
        *times += 1;
        self.uncover(gate);
        match word {
            Some(Word::Rejected) => return Err(Stop::Rejected),
            Some(Word::Expired) if approval.cancels => return Err(Stop::Cancelled),
            Some(Word::Expired) => return Err(Stop::Rejected),
            _ => {}
        }
        for (path, number) in shown {
            self.agreed.entry(path.clone()).or_default().push((gate.to_owned(), *number));
        }
        Ok(())
    }

    fn uncover(&mut self, gate: &str) {
        self.agreed.values_mut().for_each(|agreed| agreed.retain(|(by, _)| by != gate));
    }

    fn write(&mut self, path: &str, write: &Write, group: Option<&mut Group>) -> Result<(), Broken> {
        let number = write.reads.as_ref().map_or(0, |look| self.seen.get(look).copied().unwrap_or_default());
        let asks = write.approval.as_ref().or(group.as_ref().map(|group| group.approval));
        if let Some(approval) = asks {
            self.may_write(path, number, approval, group).map_err(|stop| {
                self.ends(path, stop.word());
                (stop, path.to_owned())
            })?;
        }
        self.send(path, "POST", number);
        let (word, stop) = match write.answer {
            Answer::Done | Answer::InDoubt(Decision::Done) => ("done", None),
            Answer::InDoubt(Decision::NotDone) => {
                self.send(path, "POST", number);
                ("done", None)
            }
            Answer::InDoubt(_) => ("skipped", None),
            Answer::Failed => ("failed", Some(Stop::Failed)),
            Answer::Refused => ("refused", Some(Stop::Refused)),
        };
        self.ends(path, word);
        if matches!(word, "done" | "failed") {
            self.changed.push((path.to_owned(), write.undo.clone()));
        }
        stop.map_or(Ok(()), |stop| Err((stop, path.to_owned())))
    }

    fn may_write(
        &mut self,
        path: &str,
        number: i64,
        approval: &Approval,
        mut group: Option<&mut Group>,
    ) -> Result<(), Stop> {
        let covered = |model: &Model| {
            model.agreed.get(path).is_some_and(|agreed| agreed.iter().any(|(_, agreed)| *agreed == number))
        };
        if let Some(group) = group.as_mut().filter(|group| group.shown.contains_key(path)) {
            // As long as nothing of it has begun, what differs makes the whole void, and the whole is asked again.
            while !covered(self) && !group.begun {
                self.story.void.push(group.path.to_owned());
                self.uncover(group.path);
                self.ask_group(group)?;
            }
        }
        if !covered(self) {
            let shown = BTreeMap::from([(path.to_owned(), number)]);
            self.ask(path, approval, &[path.to_owned()], &shown, true)?;
        }
        if let Some(group) = group {
            group.begun |= group.shown.contains_key(path);
        }
        Ok(())
    }

    fn send(&mut self, path: &str, method: &str, number: i64) {
        let number = if method == "POST" { number.to_string() } else { String::new() };
        self.story.sent.push(format!("{method} {path} {number}"));
    }

    /// Takes back what can be, the last change first; whether that went to its end.
    fn take_back(&mut self) -> bool {
        while let Some(at) = self.changed.iter().rposition(|(_, undo)| undo.is_some()) {
            let (path, how) = self.changed[at].clone();
            let undo = how.as_ref().map_or_else(String::new, |how| how.path(&path));
            // What was agreed to was another time.
            let agreed = match how.as_ref().and_then(|how| how.approval.as_ref()) {
                Some(approval) => {
                    self.ask(&undo, approval, std::slice::from_ref(&undo), &BTreeMap::new(), true).is_ok()
                }
                None => true,
            };
            let mut again = true;
            if agreed {
                self.send(&undo, "DELETE", 0);
                // The second time it is done.
                again = !self.tried.insert(undo.clone());
            }
            let answer = how.map(|how| how.answer);
            let word = match answer.filter(|_| !again) {
                _ if !agreed => "rejected",
                None | Some(Answer::Done | Answer::InDoubt(Decision::Done)) => "done",
                Some(Answer::InDoubt(Decision::NotDone)) => {
                    self.send(&undo, "DELETE", 0);
                    "done"
                }
                Some(Answer::InDoubt(_)) => "skipped",
                Some(Answer::Failed) => "failed",
                Some(Answer::Refused) => "refused",
            };
            self.ends(&undo, word);
            self.ends(&format!("undo/{path}"), if word == "skipped" && undo.contains("/no_") { "done" } else { word });
            if matches!(word, "failed" | "refused" | "rejected") {
                let left = self.changed.iter().rev().filter(|(_, undo)| undo.is_some()).map(|(path, _)| path.as_str());
                self.story.undone.push(format!("stuck {}", left.collect::<Vec<_>>().join(" ")));
                return false;
            }
            self.changed.remove(at);
        }
        self.story.undone.push("done ".to_owned());
        true
    }
}

/// What the engine says, in the model's words.
pub fn tell(run: &MockRun, world: &MockWorld) -> Story {
    let facts = run.facts();
    let end = facts.finished.as_ref();
    let steps = facts.steps.iter().filter_map(|(path, record)| {
        let body = record.started.as_ref().map(|started| started.intent.body.as_str());
        let end = record.end().filter(|_| !matches!(body, Some("steps")))?;
        Some((path.to_string(), end.outcome.word()))
    });
    let mut story = Story {
        end: end.map_or("open", |end| end.outcome.word()),
        failed_step: end.and_then(|end| end.failed_step.as_ref()).map(ToString::to_string),
        steps: steps.collect(),
        ..Story::default()
    };
    for (path, _, args) in &world.calls {
        let text = |args: &Map, name: &str| args.get(name).map(Value::to_string).unwrap_or_default();
        let method = text(args, "method");
        let number = match args.get("json").map(Value::to_plain) {
            Some(json) if method == "POST" => json["n"].to_string(),
            _ => String::new(),
        };
        if matches!(method.as_str(), "POST" | "DELETE") {
            story.sent.push(format!("{method} {path} {number}"));
        }
    }
    for event in &run.events {
        match &event.body {
            Fact::ApprovalRequested(request) => {
                let changes: Vec<&str> = request.changes.iter().map(|change| change.step.as_str()).collect();
                story.asked.push(format!("{}: {} complete: {}", request.step, changes.join(" "), request.complete));
            }
            Fact::ApprovalVoid { step, .. } => story.void.push(step.to_string()),
            Fact::UndoFinished { outcome, left, .. } => {
                let left: Vec<&str> = left.iter().map(|path| path.as_str()).collect();
                let word = if *outcome == UndoOutcome::Done { "done" } else { outcome.word() };
                story.undone.push(format!("{word} {}", left.join(" ")));
            }
            _ => {}
        }
    }
    story
}

/// Where two stories differ; nothing if they are the same.
pub fn difference(engine: &Story, model: &Story) -> Option<String> {
    let mut found = String::new();
    let mut differ = |what: &str, engine: &dyn std::fmt::Debug, model: &dyn std::fmt::Debug| {
        let (engine, model) = (format!("{engine:?}"), format!("{model:?}"));
        if engine != model {
            let _ = writeln!(found, "{what}:\n  the engine {engine}\n  the model  {model}");
        }
    };
    differ("end", &(engine.end, &engine.failed_step), &(model.end, &model.failed_step));
    differ("steps", &engine.steps, &model.steps);
    differ("sent", &engine.sent, &model.sent);
    differ("asked", &engine.asked, &model.asked);
    differ("void", &engine.void, &model.void);
    differ("undone", &engine.undone, &model.undone);
    (!found.is_empty()).then_some(found)
}

/// What a case has met, for the report.
pub fn features(story: &Story) -> Vec<&'static str> {
    let has = [
        (!story.asked.is_empty() && story.end == "success", "agreed"),
        (!story.void.is_empty(), "asked again"),
        (story.asked.iter().any(|asked| asked.ends_with("false")), "incomplete"),
        (story.end == "rejected", "rejected"),
        (story.end == "cancelled", "cancelled"),
        (story.steps.keys().any(|path| path.starts_with("undo/")), "taken back"),
        (story.undone.iter().any(|undone| undone.starts_with("stuck")), "stuck"),
        (story.steps.contains_key("on_failure/back"), "by itself"),
    ];
    has.into_iter().filter_map(|(met, word)| met.then_some(word)).collect()
}
