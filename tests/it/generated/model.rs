//! What a case means, read off the language alone: an interpreter over its tree, without events, machine or journal.
//!
//! Written from the text of the language and not from the engine, so that the two can disagree. Of an
//! interruption it is told only what stood in the journal then: which attempts had begun and which were open.
//! This file has files and sequences; [`steps`](crate::generated::steps) has one step, with its loop, attempts
//! and limits, and [`calls`](crate::generated::calls) what meets the world.

use std::collections::{BTreeMap, BTreeSet};

use crate::generated::ast::{Case, File, Kind, Step};
use crate::generated::yaml;

/// Time of `on_failure`, and again of `finally`.
const AFTERWARDS_MS: u64 = 900_000;

/// What is compared: everything a run says of itself but times and texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    pub end: &'static str,
    pub failed_step: Option<String>,
    /// The outcome of every step that began, groups apart.
    pub steps: BTreeMap<String, &'static str>,
    /// Path and address of each call, in order.
    pub calls: Vec<(String, String)>,
    /// Step and text.
    pub findings: Vec<(String, String)>,
}

/// What the journal said when the run was interrupted.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub killed: bool,
    /// How often each step had begun or been skipped.
    pub starts: BTreeMap<String, usize>,
    /// Steps without an end, with the number of calls made for them.
    pub open: BTreeMap<String, usize>,
    /// How often each step was to be tried again.
    pub retried: BTreeMap<String, usize>,
    /// Steps with an end.
    pub ended: BTreeSet<String>,
    /// Those whose effect was under way.
    pub in_flight: BTreeSet<String>,
    /// Milliseconds since the start.
    pub at_ms: u64,
}

/// Plays a case. Pauses before another attempt are longer than written by `jitter` percent, which the language
/// leaves open up to 20.
///
/// Gives the story, and whether the language leaves open what happens.
pub fn play(case: &Case, snapshot: Option<&Snapshot>, jitter: u64) -> (Story, bool) {
    let mut model = Model {
        case,
        jitter,
        kill: snapshot.filter(|snapshot| snapshot.killed),
        cancel: snapshot.filter(|snapshot| !snapshot.killed),
        afterwards: false,
        clock: 0,
        limits: Vec::new(),
        hidden: 0,
        beside: 0,
        cut: false,
        around: false,
        each: None,
        starts: BTreeMap::new(),
        group_starts: BTreeMap::new(),
        made: BTreeMap::new(),
        unanswered: BTreeMap::new(),
        retried: BTreeMap::new(),
        decided: BTreeMap::new(),
        vague: false,
        story: Story::default(),
    };
    let ended = model.file(&case.runbook, "", Kind::Runbook);
    let (end, at) = match ended {
        Flow::On | Flow::Finish => ("success", None),
        Flow::Broken { end: End::Rejected, at } => ("rejected", Some(at)),
        Flow::Broken { at, .. } => ("failed", Some(at)),
        Flow::Stopped { .. } => ("cancelled", None),
    };
    model.story.end = end;
    model.story.failed_step = at;
    (model.story, model.vague)
}

/// The state of the world and of the journal's counters while a case is played.
pub struct Model<'a> {
    pub case: &'a Case,
    pub jitter: u64,
    pub kill: Option<&'a Snapshot>,
    pub cancel: Option<&'a Snapshot>,
    /// In `on_failure` or `finally`, which a cancel doesn't stop.
    pub afterwards: bool,
    /// Milliseconds since the start, in this branch.
    pub clock: u64,
    /// The limits of the steps around, outermost first.
    pub limits: Vec<Limit>,
    /// So many of them don't hold here: what runs afterwards has a time of its own.
    hidden: usize,
    /// So many of them are around branches or items that run side by side.
    pub beside: usize,
    /// What was stopped last was stopped by a limit.
    pub cut: bool,
    /// That was one around the step that waited, whatever its own says.
    pub around: bool,
    /// The item of the `foreach` around.
    pub each: Option<usize>,
    pub starts: BTreeMap<String, usize>,
    /// The same for groups, which begin with their first step.
    pub group_starts: BTreeMap<String, usize>,
    /// Calls made, by path.
    pub made: BTreeMap<String, usize>,
    /// Attempts of a call the other side left without an answer, by path.
    pub unanswered: BTreeMap<String, u32>,
    /// Attempts that were followed by another one, by path.
    pub retried: BTreeMap<String, usize>,
    /// Doubts settled by a person, by path.
    pub decided: BTreeMap<String, usize>,
    /// Two limits were up at the same time: which one ends its step is open.
    pub vague: bool,
    pub story: Story,
}

/// When a time is up.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub at: u64,
    pub clock: Clock,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// All the time: of a call with the doubts about itself, or of what runs afterwards.
    Runs,
    /// Not the time of doubts inside.
    StopsInDoubt,
}

/// What expressions see of the steps before: outcome and number.
pub type Seen = BTreeMap<String, Sight>;

/// What is seen of one step.
#[derive(Clone, Debug)]
pub struct Sight {
    pub word: &'static str,
    pub number: Option<i64>,
    /// The outcomes of a loop's items.
    pub rounds: Option<Vec<&'static str>>,
}

impl Sight {
    pub fn of(end: &End) -> Sight {
        let number = if let End::Done(number) = end { *number } else { None };
        Sight { word: end.word(), number, rounds: None }
    }
}

/// How a step or a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Done(Option<i64>),
    Refused {
        transient: bool,
    },
    Failed(Why),
    Skipped,
    Rejected,
    Cancelled,
    /// Nothing new may begin, and this hadn't.
    NotRun,
}

/// What a failure means for another look or attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It stays as it is.
    Wrong,
    /// It was never attempted: what it needs can't be computed.
    Unattempted,
    /// No answer in time, no connection yet, or the step's own time was up.
    Timeout,
    /// Nobody answered a question, in a clean-up.
    Expired,
}

impl End {
    pub fn word(&self) -> &'static str {
        match self {
            End::Done(_) => "done",
            End::Refused { .. } => "refused",
            End::Failed(_) => "failed",
            End::Skipped => "skipped",
            End::Rejected => "rejected",
            End::Cancelled => "cancelled",
            End::NotRun => "not_run",
        }
    }

    /// The failure of something larger that it broke.
    pub fn into_failure(self) -> End {
        match self {
            End::Failed(why) => End::Failed(why),
            End::Refused { transient: true } => End::Failed(Why::Timeout),
            End::Rejected => End::Failed(Why::Expired),
            _ => End::Failed(Why::Wrong),
        }
    }

    /// Worst last.
    pub fn rank(&self) -> u8 {
        match self {
            End::Done(_) | End::Skipped => 0,
            End::Refused { .. } => 1,
            End::Failed(_) => 2,
            End::Rejected => 3,
            End::Cancelled | End::NotRun => 4,
        }
    }
}

/// How a sequence goes on after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    On,
    /// `run.finish`.
    Finish,
    Broken {
        end: End,
        at: String,
    },
    /// Nothing new may begin, from this step on: cancelled, or the time is up.
    Stopped {
        at: String,
    },
}

impl Model<'_> {
    /// A whole file: its steps, then `on_failure` or not, then `finally`.
    pub fn file(&mut self, file: &File, prefix: &str, kind: Kind) -> Flow {
        let mut seen = Seen::new();
        let mut ended = self.block(&file.steps, prefix, &mut seen);
        if kind == Kind::Action && ended == Flow::On && !self.witness(prefix, &file.steps, &seen) {
            ended = Flow::Stopped { at: format!("{prefix}witness") };
        }
        let cut = self.cut;
        let cleans_up = matches!(ended, Flow::Broken { .. }) && self.cleans_up(prefix);
        let afterwards = std::mem::replace(&mut self.afterwards, true);
        // What runs afterwards has a time of its own.
        let around = (self.hidden, self.beside);
        self.budget();
        if cleans_up {
            self.block(&file.on_failure, &format!("{prefix}on_failure/"), &mut seen.clone());
        }
        self.limits.pop();
        self.budget();
        let inside = format!("{prefix}finally/");
        if kind == Kind::Runbook {
            self.witness(&inside, &file.steps, &seen);
        }
        let cleaned = self.block(&file.finally, &inside, &mut seen);
        self.limits.pop();
        (self.hidden, self.beside, self.cut) = (around.0, around.1, cut);
        self.afterwards = afterwards;
        if matches!(ended, Flow::On | Flow::Finish) {
            ended = match cleaned {
                Flow::On | Flow::Finish => ended,
                Flow::Broken { end, at } => Flow::Broken { end: end.into_failure(), at },
                Flow::Stopped { at } => Flow::Broken { end: End::Failed(Why::Timeout), at },
            };
        }
        ended
    }

    /// Whether `on_failure` runs: not in a cancelled run, unless it had begun before.
    fn cleans_up(&self, prefix: &str) -> bool {
        let Some(cancel) = self.cancel.filter(|_| !self.afterwards) else { return true };
        let inside = format!("{prefix}on_failure/");
        let played = |path| self.starts.get(path).or(self.group_starts.get(path)).copied().unwrap_or_default();
        cancel.starts.iter().any(|(path, starts)| path.starts_with(&inside) && *starts > played(path))
    }

    /// What runs afterwards has this time, whatever is left around it.
    fn budget(&mut self) {
        self.hidden = self.limits.len();
        self.limits.push(Limit { at: self.clock + AFTERWARDS_MS, clock: Clock::Runs });
    }

    /// The limits that hold here.
    pub fn limits(&self) -> &[Limit] {
        &self.limits[self.hidden..]
    }

    /// Whether one of them is used up.
    pub fn is_late(&self) -> bool {
        self.limits().iter().any(|limit| self.clock >= limit.at)
    }

    /// Whether one around a step is, that may have one of its own.
    pub fn is_late_around(&self, own: bool) -> bool {
        let around = self.limits().len().saturating_sub(usize::from(own));
        self.limits()[..around].iter().any(|limit| self.clock >= limit.at)
    }

    /// The time in which nobody knows what became of a write, or somebody is asked, uses up no limit around it.
    pub fn stand_still(&mut self, ms: u64) {
        self.clock += ms;
        let stops = |limit: &Limit| limit.clock == Clock::StopsInDoubt;
        // Of two such times side by side each moment counts once, and what is beside goes on meanwhile.
        self.vague |= self.limits[..self.beside].iter().any(stops);
        // An attempt's limit counts anew after a kill.
        self.vague |= ms > 0 && self.kill.is_some() && self.limits.iter().any(stops);
        self.limits.iter_mut().filter(|limit| stops(limit)).for_each(|limit| limit.at += ms);
    }

    /// One step after the other, as long as they let the next one begin.
    pub fn block(&mut self, steps: &[Step], prefix: &str, seen: &mut Seen) -> Flow {
        for step in steps {
            let flow = self.step(step, prefix, seen);
            if flow != Flow::On {
                return flow;
            }
        }
        Flow::On
    }

    /// A finding that says how each step ended; false if nothing new may begin.
    pub fn witness(&mut self, prefix: &str, steps: &[Step], seen: &Seen) -> bool {
        let path = format!("{prefix}witness");
        if !self.begin(&path) {
            return false;
        }
        let mut said = vec![String::from("saw")];
        yaml::visible(steps, &mut |step| {
            let sight = seen.get(&step.id);
            said.push(format!("{}={}", step.id, sight.map_or("not_run", |sight| sight.word)));
        });
        self.story.findings.push((path.clone(), said.join(" ")));
        self.story.steps.insert(path, "done");
        true
    }

    /// Whether a step may begin, and counts it.
    pub fn begin(&mut self, path: &str) -> bool {
        if !self.may_go_on(path) {
            return false;
        }
        if self.is_late() {
            self.cut = true;
            return false;
        }
        self.count_start(path);
        true
    }

    /// Whether no cancel stands before its next attempt.
    pub fn may_go_on(&mut self, path: &str) -> bool {
        let starts = self.starts.get(path).copied().unwrap_or_default();
        let cancel = self.cancel.filter(|_| !self.afterwards);
        let Some(cancel) = cancel else { return true };
        let may = starts < cancel.starts.get(path).copied().unwrap_or_default();
        // A limit may have come before the cancel.
        let late = |limit: &Limit| self.clock >= limit.at && limit.at <= cancel.at_ms;
        self.cut = may && self.cut || !may && self.limits().iter().any(late);
        may
    }

    /// Counts a start that nothing can stop: after a kill, what was open goes on.
    pub fn count_start(&mut self, path: &str) {
        *self.starts.entry(path.to_owned()).or_default() += 1;
    }

    /// Lets time pass in which somebody is asked; false if the time of what runs afterwards is up before.
    pub fn wait_for_people(&mut self, ms: u64) -> bool {
        let runs = self.limits().iter().filter(|limit| limit.clock == Clock::Runs).map(|limit| limit.at).min();
        let waited = runs.map_or(ms, |at| at.saturating_sub(self.clock).min(ms));
        self.stand_still(waited);
        self.cut |= waited < ms;
        waited == ms
    }

    /// Lets time pass; false if the time of a step around is up before.
    pub fn wait(&mut self, ms: u64) -> bool {
        let until = self.clock + ms;
        match self.limits().iter().map(|limit| limit.at).min() {
            // At the moment a limit is up nothing begins or ends any more.
            Some(limit) if limit <= until => {
                self.vague |= self.limits().iter().filter(|other| other.at == limit).count() > 1;
                self.clock = self.clock.max(limit);
                self.cut = true;
                false
            }
            _ => {
                self.clock = until;
                true
            }
        }
    }

    /// The number of calls made for a step when the process was killed in its present attempt.
    pub fn killed_here(&self, path: &str) -> Option<usize> {
        self.kill.and_then(|kill| self.open_at(kill, path))
    }

    /// The same for a run that was cancelled in it.
    pub fn stopped_here(&self, path: &str) -> Option<usize> {
        self.cancel.filter(|_| !self.afterwards).and_then(|cancel| self.open_at(cancel, path))
    }

    fn open_at(&self, snapshot: &Snapshot, path: &str) -> Option<usize> {
        let open = snapshot.open.get(path).copied()?;
        (self.starts.get(path) == snapshot.starts.get(path)).then_some(open)
    }

    /// Whether a step had begun and not ended when the run was cancelled.
    pub fn unended_at_cancel(&self, path: &str) -> bool {
        self.cancel
            .filter(|_| !self.afterwards)
            .is_some_and(|cancel| self.starts.get(path) == cancel.starts.get(path) && !cancel.ended.contains(path))
    }
}
