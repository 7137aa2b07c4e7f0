//! Events to spans: one for a run, one for each step in it, one for each attempt of an action.
//!
//! Names of spans and traces follow from the run and its events, not from chance: another process that takes a run up goes on
//! in the same trace, and below the same spans.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SpanData, SpanEvents, SpanLinks};
use sha2::{Digest, Sha256};

use crate::engine::event::{Body, Event, StepFinished, StepRetrying, StepStarted};
use crate::engine::ids::{RunId, StepPath};
use crate::engine::outcome::{FailureKind, Outcome, RunOutcome};
use crate::engine::traceparent::Traceparent;
use crate::redact::Redactor;
use crate::traces::export::{Export, export};
use crate::traces::request::Attempt;

/// The name of a run's span, for samplers: they may not depend on what is run.
const RUN: &str = "run";

/// The trace of a run that is driven here.
#[derive(Clone)]
pub struct Trace(Arc<Told>);

struct Told {
    export: &'static Export,
    redactor: Redactor,
    run: RunId,
    trace: TraceId,
    /// Of the run; those of steps are below it.
    root: SpanId,
    /// Whose span the run's is below.
    above: Option<SpanId>,
    scope: InstrumentationScope,
    seen: Mutex<Seen>,
}

/// What the events have said so far.
#[derive(Default)]
struct Seen {
    began: Option<Began>,
    /// Of a run that had ended and goes on: since when, and the number of the event.
    again: Option<(Timestamp, u64)>,
    ended: bool,
    steps: BTreeMap<StepPath, Open>,
    /// Steps that have ended with the events that are followed now.
    over: Vec<(StepPath, Span)>,
}

struct Began {
    at: Timestamp,
    runbook: String,
    target: Option<String>,
}

/// A step that has begun and not ended.
struct Open {
    id: SpanId,
    at: Timestamp,
    action: Option<String>,
    effect: &'static str,
    /// Of an action: its newest attempt, and since when that runs.
    attempt: Option<(SpanId, Timestamp)>,
}

/// A span that has ended.
pub(super) struct Span {
    pub id: SpanId,
    pub parent: SpanId,
    pub kind: SpanKind,
    pub name: Cow<'static, str>,
    pub began: SystemTime,
    pub ended: SystemTime,
    pub attributes: Vec<KeyValue>,
    pub status: Status,
}

impl Trace {
    /// The trace of `run`, which goes on from `parent`; none if nobody wants it.
    pub fn of(run: RunId, parent: Option<&Traceparent>, redactor: &Redactor) -> Option<Trace> {
        let export = export()?;
        let trace = parent.map_or_else(|| own_trace(run), |parent| TraceId::from(parent.trace));
        let above = parent.map(|parent| SpanId::from(parent.span));
        let context = parent.map(|parent| {
            let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
            let from = SpanContext::new(trace, SpanId::from(parent.span), flags, true, TraceState::default());
            Context::new().with_remote_span_context(from)
        });
        let decided =
            export.sampler().should_sample(context.as_ref(), trace, RUN, &SpanKind::Internal, &[], &[]).decision;
        if decided != SamplingDecision::RecordAndSample {
            return None;
        }
        let scope = InstrumentationScope::builder("rerail").with_version(env!("CARGO_PKG_VERSION")).build();
        let root = SpanId::from(digits(&["run", &run.uuid()]));
        let (redactor, seen) = (redactor.clone(), Mutex::default());
        Some(Trace(Arc::new(Told { export, redactor, run, trace, root, above, scope, seen })))
    }

    /// Learns what happened before: it was told, or will never be.
    pub fn recall(&self, events: &[Event]) {
        self.follow_all(events);
    }

    /// Tells what ends with these events.
    pub fn tell(&self, events: &[Event]) {
        for span in self.follow_all(events) {
            self.emit(span);
        }
    }

    /// What ends with these events. An attempt that failed ends its step unless another one is announced beside it.
    fn follow_all(&self, events: &[Event]) -> Vec<Span> {
        let mut seen = self.seen();
        let mut spans: Vec<Span> = events.iter().flat_map(|event| self.follow(&mut seen, event)).collect();
        for (path, span) in std::mem::take(&mut seen.over) {
            if seen.steps.get(&path).is_some_and(|open| open.id == span.id) {
                seen.steps.remove(&path);
            }
            spans.push(span);
        }
        spans
    }

    /// An attempt, for the requests it sends.
    pub fn attempt(&self, step: &StepPath, _attempt: u32) -> Attempt {
        let seen = self.seen();
        let span = seen.steps.get(step).map_or(self.0.root, Open::innermost);
        Attempt { trace: self.clone(), span, requests: Arc::new(AtomicU64::new(0)) }
    }

    /// Hands a span to the exporter.
    pub(super) fn emit(&self, span: Span) {
        let told = &self.0;
        let parent_is_remote = told.above == Some(span.parent);
        told.export.tell(SpanData {
            span_context: SpanContext::new(told.trace, span.id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: span.parent,
            parent_span_is_remote: parent_is_remote,
            span_kind: span.kind,
            name: span.name,
            start_time: span.began,
            end_time: span.ended.max(span.began),
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.status,
            instrumentation_scope: told.scope.clone(),
        });
    }

    /// What others are sent who go on from this span.
    pub(super) fn parent_at(&self, span: SpanId) -> Traceparent {
        let span = u64::from_be_bytes(span.to_bytes());
        Traceparent { trace: u128::from_be_bytes(self.0.trace.to_bytes()), span, sampled: true }
    }

    /// The name of a span of this run that is the only one with these words.
    pub(super) fn id(&self, words: &[&str]) -> SpanId {
        let run = self.0.run.uuid();
        let all: Vec<&str> = [run.as_str()].into_iter().chain(words.iter().copied()).collect();
        SpanId::from(digits(&all))
    }

    /// A text as it may be told.
    pub(super) fn shown(&self, text: &str) -> String {
        self.0.redactor.redact(text).into_owned()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // What was seen is whole between any two events, whoever panicked.
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, seen: &mut Seen, event: &Event) -> Vec<Span> {
        match &event.body {
            Body::RunStarted(started) => {
                let (runbook, target) =
                    (self.shown(&started.runbook), started.target.as_deref().map(|name| self.shown(name)));
                seen.began = Some(Began { at: event.ts, runbook, target });
                Vec::new()
            }
            Body::RunResumed { .. } | Body::UndoStarted(_) if seen.ended && seen.again.is_none() => {
                seen.again = Some((event.ts, event.seq));
                Vec::new()
            }
            Body::RunFinished { outcome, error, .. } => {
                let error = error.as_ref().map(|failure| failure.kind);
                self.ended(seen, event, outcome.word(), *outcome != RunOutcome::Success, error)
            }
            Body::UndoFinished { by: None, outcome, .. } => self.ended(seen, event, outcome.word(), false, None),
            Body::StepStarted(started) => {
                self.step_started(seen, event, started);
                Vec::new()
            }
            Body::StepRetrying(retrying) => self.step_retrying(seen, event, retrying),
            Body::StepFinished(finished) => self.step_finished(seen, event, finished),
            _ => Vec::new(),
        }
    }

    fn ended(
        &self,
        seen: &mut Seen,
        event: &Event,
        outcome: &str,
        broken: bool,
        error: Option<FailureKind>,
    ) -> Vec<Span> {
        let again = seen.again.take();
        seen.ended = true;
        let Some(began) = &seen.began else { return Vec::new() };
        let (id, parent, at, verb) = match again {
            None => (self.0.root, self.0.above.unwrap_or(SpanId::INVALID), began.at, "run"),
            // Its first end was told, and steps stand below it.
            Some((at, seq)) => (self.id(&["again", &seq.to_string()]), self.0.root, at, "go on with"),
        };
        let mut attributes = vec![
            KeyValue::new("rerail.run.id", self.0.run.uuid()),
            KeyValue::new("rerail.runbook", began.runbook.clone()),
            KeyValue::new("rerail.run.outcome", outcome.to_owned()),
        ];
        attributes.extend(began.target.clone().map(|target| KeyValue::new("rerail.target", target)));
        attributes.extend(error.map(|kind| KeyValue::new("error.type", kind.word())));
        vec![Span {
            id,
            parent,
            kind: SpanKind::Internal,
            name: format!("{verb} {}", began.runbook).into(),
            began: time(at),
            ended: time(event.ts),
            attributes,
            status: if broken { Status::error("") } else { Status::Unset },
        }]
    }

    fn step_started(&self, seen: &mut Seen, event: &Event, started: &StepStarted) {
        let number = event.seq.to_string();
        let attempt = (started.body == "uses").then(|| (self.id(&["attempt", &number]), event.ts));
        if started.attempt > 1
            && let Some(open) = seen.steps.get_mut(&started.step)
        {
            open.attempt = attempt;
            return;
        }
        let open = Open {
            id: self.id(&["step", &number]),
            at: event.ts,
            action: started.uses.as_deref().map(|uses| self.shown(uses)),
            effect: started.effect.word(),
            attempt,
        };
        seen.steps.insert(started.step.clone(), open);
    }

    fn step_retrying(&self, seen: &mut Seen, event: &Event, retrying: &StepRetrying) -> Vec<Span> {
        seen.over.retain(|(path, _)| *path != retrying.step);
        let outcome = if retrying.error.is_some() { Outcome::Failed } else { Outcome::Done };
        let error = retrying.error.as_ref().map(|failure| failure.kind);
        let open = seen.steps.get_mut(&retrying.step);
        let span =
            open.and_then(|open| self.attempt_ended(&retrying.step, retrying.attempt, open, event, outcome, error));
        // They begin anew, and are other spans then.
        seen.steps.retain(|path, _| !path.is_below(&retrying.step) && !retrying.forget.contains(path));
        span.into_iter().collect()
    }

    fn step_finished(&self, seen: &mut Seen, event: &Event, finished: &StepFinished) -> Vec<Span> {
        let above = finished.step.ancestors().find_map(|path| seen.steps.get(&path).map(Open::innermost));
        let Some(open) = seen.steps.get_mut(&finished.step) else { return Vec::new() };
        let (step, outcome) = (&finished.step, finished.outcome);
        let error = finished.error.as_ref().map(|failure| failure.kind);
        let attempt = self.attempt_ended(step, finished.attempt, open, event, outcome, error);
        let whole = Span {
            id: open.id,
            parent: above.unwrap_or(self.0.root),
            kind: SpanKind::Internal,
            name: format!("step {}", self.shown(&without_numbers(step))).into(),
            began: time(open.at),
            ended: time(event.ts),
            attributes: self.attributes(step, open, outcome, error),
            status: status(outcome),
        };
        seen.over.push((step.clone(), whole));
        attempt.into_iter().collect()
    }

    /// The span of an attempt of an action that has ended.
    fn attempt_ended(
        &self,
        step: &StepPath,
        number: u32,
        open: &mut Open,
        event: &Event,
        outcome: Outcome,
        error: Option<FailureKind>,
    ) -> Option<Span> {
        let (id, at) = open.attempt.take()?;
        let mut attributes = self.attributes(step, open, outcome, error);
        attributes.push(KeyValue::new("rerail.step.attempt", i64::from(number)));
        Some(Span {
            id,
            parent: open.id,
            kind: SpanKind::Internal,
            name: format!("attempt {}", open.action.as_deref().unwrap_or("an action")).into(),
            began: time(at),
            ended: time(event.ts),
            attributes,
            status: status(outcome),
        })
    }

    fn attributes(&self, step: &StepPath, open: &Open, outcome: Outcome, error: Option<FailureKind>) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("rerail.run.id", self.0.run.uuid()),
            KeyValue::new("rerail.step.path", self.shown(step.as_str())),
            KeyValue::new("rerail.step.outcome", outcome.word()),
            KeyValue::new("rerail.effect", open.effect),
        ];
        attributes.extend(open.action.clone().map(|action| KeyValue::new("rerail.action", action)));
        attributes.extend(error.map(|kind| KeyValue::new("error.type", kind.word())));
        attributes
    }
}

impl Open {
    /// What stands directly above what happens in it.
    fn innermost(&self) -> SpanId {
        self.attempt.map_or(self.id, |(id, _)| id)
    }
}

fn status(outcome: Outcome) -> Status {
    match outcome {
        Outcome::Failed | Outcome::Refused | Outcome::InDoubt | Outcome::Rejected => Status::error(""),
        Outcome::Done | Outcome::Skipped | Outcome::NotRun | Outcome::Cancelled | Outcome::Planned => Status::Unset,
    }
}

/// `loop[3]/look#2` as `loop[]/look#`: names of spans are for counting, and a loop is one of them.
fn without_numbers(step: &StepPath) -> String {
    let mut inside = false;
    let mut name = String::with_capacity(step.as_str().len());
    for c in step.as_str().chars() {
        match c {
            '[' | '#' => inside = true,
            '0'..='9' if inside => continue,
            _ => inside = false,
        }
        name.push(c);
    }
    name
}

/// A trace that begins with the run. Not the digits of the run itself: samplers take the last ones for random.
fn own_trace(run: RunId) -> TraceId {
    let digest = Sha256::digest(format!("trace\n{}", run.uuid()));
    TraceId::from_bytes(first(&digest))
}

/// Sixteen digits that nobody else has for these words.
fn digits(words: &[&str]) -> u64 {
    let digest = Sha256::digest(words.join("\n"));
    // 0 is no span.
    u64::from_be_bytes(first(&digest)).max(1)
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| bytes[at])
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::from(at)
}
