//! Takes out of a case what can't stand there, so that random and cut-down cases stay cases.
//!
//! Reads of steps that are gone, options that don't go with a body, and the few shapes whose meaning the
//! language leaves open.

use rerail::engine::event::Decision;

use crate::generated::ast::{Body, Call, Case, Condition, File, Interrupt, Last, Readable, Step, Verb};

/// Makes a case one that the checker takes and that has one meaning.
pub fn fit(case: &mut Case) {
    let cancelled = matches!(case.interrupt, Interrupt::Cancel(_));
    // From the last one: each may call those after it.
    let mut traits: Vec<Traits> = Vec::new();
    for number in (0..case.actions.len()).rev() {
        let fits = Fits { first: number + 1, traits: &traits, cancelled };
        let found = fits.file(&mut case.actions[number]);
        traits.insert(0, found);
    }
    let fits = Fits { first: 0, traits: &traits, cancelled };
    fits.file(&mut case.runbook);
}

/// What is somewhere inside a step.
#[derive(Clone, Copy, Debug, Default)]
struct Traits {
    /// A write that must not be repeated.
    once: bool,
    writes: bool,
    reads: bool,
    /// A `run.finish` that ends this file.
    finishes: bool,
}

impl Traits {
    fn add(&mut self, other: Traits) {
        self.once |= other.once;
        self.writes |= other.writes;
        self.reads |= other.reads;
        self.finishes |= other.finishes;
    }
}

struct Fits<'a> {
    /// The first action that may be called.
    first: usize,
    /// Of the actions from `first` on.
    traits: &'a [Traits],
    cancelled: bool,
}

type Ids = Vec<(String, Readable)>;

impl Fits<'_> {
    fn file(&self, file: &mut File) -> Traits {
        let mut seen = Ids::new();
        let mut found = self.block(&mut file.steps, &mut seen, false);
        found.add(self.block(&mut file.on_failure, &mut seen.clone(), false));
        found.add(self.block(&mut file.finally, &mut seen, false));
        found
    }

    /// What is inside an action; nothing if it can't be called from here.
    fn traits_of(&self, number: usize) -> Option<Traits> {
        number.checked_sub(self.first).and_then(|at| self.traits.get(at)).copied()
    }

    fn block(&self, steps: &mut [Step], seen: &mut Ids, in_foreach: bool) -> Traits {
        let mut found = Traits::default();
        for step in steps {
            found.add(self.step(step, seen, in_foreach));
        }
        found
    }

    fn step(&self, step: &mut Step, seen: &mut Ids, in_foreach: bool) -> Traits {
        if let Some(condition) = &mut step.condition {
            fit_condition(condition, seen);
        }
        let outside = seen.len();
        let in_foreach = in_foreach || step.foreach.is_some();
        let found = self.body(step, seen, in_foreach);
        let readable = |id: &String| seen.contains(&(id.clone(), Readable::Number));
        step.gives = step.gives.take().filter(|id| step.body.inner().is_some() && readable(id));
        if step.foreach.is_some() {
            seen.truncate(outside);
        }
        self.options(step, found);
        seen.push((step.id.clone(), step.readable()));
        found
    }

    fn body(&self, step: &mut Step, seen: &mut Ids, in_foreach: bool) -> Traits {
        let mut found = Traits::default();
        match &mut step.body {
            Body::Call(call) => found.add(self.call(call, seen, in_foreach)),
            Body::Script(stmts, last) => {
                found.finishes = *last == Last::Finish;
                for stmt in stmts {
                    found.add(self.call(&mut stmt.call, seen, in_foreach));
                }
            }
            Body::Assert(condition) | Body::Findings(condition) => fit_condition(condition, seen),
            Body::Steps(inner) => found = self.block(inner, seen, in_foreach),
            Body::Parallel(inner) => {
                let before = seen.clone();
                for branch in inner {
                    let mut own = before.clone();
                    found.add(self.step(branch, &mut own, in_foreach));
                    seen.extend(own.drain(before.len()..));
                }
            }
            Body::Action(number) | Body::Runbook(number) => match self.traits_of(*number) {
                Some(traits) => found = Traits { finishes: false, ..traits },
                None => step.body = Body::Note,
            },
            Body::Finish => found.finishes = true,
            Body::Ask { .. } | Body::Sleep(_) | Body::Note | Body::Fail { .. } => {}
        }
        found
    }

    fn call(&self, call: &mut Call, seen: &Ids, in_foreach: bool) -> Traits {
        if call.reads.as_ref().is_some_and(|id| !seen.contains(&(id.clone(), Readable::Number))) {
            call.reads = None;
        }
        call.each &= in_foreach;
        // Somebody who wants another attempt takes a cancel back: another story.
        if self.cancelled {
            call.decisions.retain(|decision| *decision != Decision::Retry);
        }
        // The last decision stays, and a run has an end.
        let ends = matches!(call.decisions.last(), Some(Decision::Done | Decision::Skip));
        if call.verb != Verb::Read && !ends {
            call.decisions.push(Decision::Done);
        }
        Traits {
            once: matches!(call.verb, Verb::Once | Verb::Keyed),
            writes: call.verb != Verb::Read,
            reads: call.verb == Verb::Read,
            ..Traits::default()
        }
    }

    /// The keys beside the body.
    fn options(&self, step: &mut Step, found: Traits) {
        let call = match &step.body {
            Body::Call(call) => Some(call.verb),
            _ => None,
        };
        let called = matches!(step.body, Body::Action(_) | Body::Runbook(_));
        let composite = called || matches!(step.body, Body::Script(..) | Body::Steps(_) | Body::Parallel(_));
        let looks = match &step.body {
            Body::Script(..) => true,
            Body::Steps(_) => step.gives.is_some(),
            _ => false,
        };
        let reads = call == Some(Verb::Read) || looks && !found.writes && !found.finishes;
        let polls = reads && found.reads && step.foreach.is_none() && step.within_s.is_some();
        if !polls {
            step.until = None;
        }
        if !reads {
            step.fail_if = None;
        }
        if step.until.is_some() || !(call.is_some() || composite && !found.once) {
            step.retry = None;
        }
        if !composite {
            step.timeout_s = None;
        }
        if !(call.is_some() || composite) {
            step.within_s = None;
        }
        if let Some(foreach) = &mut step.foreach {
            if found.finishes {
                foreach.max_parallel = 1;
            }
            // Which item begins before another one fails is open when several are under way.
            let calls_at_once = matches!(&step.body, Body::Call(call) if call.reads.is_none());
            if foreach.max_parallel > 1 && !calls_at_once {
                step.continue_on_failure = true;
            }
            if foreach.max_parallel > 1 && !step.continue_on_failure {
                foreach.max_parallel = foreach.max_parallel.max(foreach.items);
            }
        }
    }
}

fn fit_condition(condition: &mut Condition, seen: &Ids) {
    let there = match condition {
        Condition::Yes | Condition::No => true,
        Condition::Is(id, _) => seen.iter().any(|(seen, _)| seen == id),
        Condition::Number(id, _) => seen.contains(&(id.clone(), Readable::Number)),
        Condition::Rounds(id, _) => seen.contains(&(id.clone(), Readable::Rounds)),
    };
    if !there {
        *condition = Condition::Yes;
    }
}
