//! The model's steps: condition, loop, attempts, looks, limits, and every body.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::generated::ast::{Body, Call, Foreach, Kind, Last, Step, Stmt, Verb};
use crate::generated::calls::{Unreadable, holds, number};
use crate::generated::model::{Clock, End, Flow, Limit, Model, Seen, Sight, Snapshot, Why};
use crate::generated::yaml;

/// When an unanswered question expires.
const ASK_EXPIRES_MS: u64 = 600_000;

/// How one instance of a step ended.
struct Instance {
    end: End,
    /// The innermost step it broke at.
    at: String,
    /// It was `run.finish`, or holds one.
    finish: bool,
    /// Of a loop: how its items ended.
    rounds: Option<Vec<&'static str>>,
}

impl Instance {
    fn plain(end: End, path: &str) -> Instance {
        Instance { end, at: path.to_owned(), finish: false, rounds: None }
    }
}

impl Model<'_> {
    /// One step of a sequence.
    pub fn step(&mut self, step: &Step, prefix: &str, seen: &mut Seen) -> Flow {
        let path = format!("{prefix}{}", step.id);
        let condition = step.condition.as_ref().map_or(Ok(true), |condition| holds(condition, seen));
        let is_group = step.body.inner().is_some() && step.foreach.is_none();
        let ended = match condition {
            Ok(true) if is_group => self.instance(step, &path, prefix, seen),
            _ if !self.begin(&path) => Instance::plain(End::NotRun, &path),
            Ok(true) => match &step.foreach {
                Some(foreach) => self.foreach(step, *foreach, &path, seen),
                None => self.instance(step, &path, &format!("{path}/"), seen),
            },
            Ok(false) => {
                yaml::visible(std::slice::from_ref(step), &mut |inner| {
                    seen.insert(inner.id.clone(), Sight::of(&End::Skipped));
                });
                Instance::plain(End::Skipped, &path)
            }
            Err(Unreadable) => Instance::plain(End::Failed(Why::Wrong), &path),
        };
        let Instance { end, at, finish, rounds } = ended;
        if end != End::NotRun && !(is_group && condition.is_ok_and(|holds| holds)) {
            self.story.steps.insert(path.clone(), end.word());
        }
        seen.insert(step.id.clone(), Sight { rounds, ..Sight::of(&end) });
        match end {
            End::Cancelled | End::NotRun => Flow::Stopped { at: path },
            End::Done(_) | End::Skipped if finish => Flow::Finish,
            End::Done(_) | End::Skipped => Flow::On,
            // A "no" is no failure.
            End::Refused { .. } | End::Failed(_) if step.continue_on_failure => Flow::On,
            end => Flow::Broken { end, at },
        }
    }

    /// The body with all its attempts and looks, within the step's limits. It has begun.
    fn instance(&mut self, step: &Step, path: &str, inside: &str, seen: &mut Seen) -> Instance {
        let limited = step.within_s.filter(|_| step.foreach.is_none());
        let clock = if matches!(step.body, Body::Call(_)) { Clock::Runs } else { Clock::StopsInDoubt };
        self.limits.extend(limited.map(|seconds| Limit { at: self.clock + seconds * 1_000, clock }));
        let mut ended = match (&step.body, &step.until) {
            (Body::Call(call), Some(_)) => self.poll(step, call, path, seen),
            _ => self.attempts(step, path, inside, limited.is_some(), seen),
        };
        let around = std::mem::take(&mut self.around);
        match limited {
            Some(_) if around => drop(self.limits.pop()),
            Some(_) => self.overdue(&mut ended, path),
            None => {}
        }
        ended
    }

    /// Takes the innermost limit away. What was stopped by a limit of its own has failed.
    fn overdue(&mut self, ended: &mut Instance, path: &str) {
        let Some(own) = self.limits.pop() else { return };
        // The reason is the first one that was up.
        let over = self.clock >= own.at && self.limits().iter().all(|around| own.at <= around.at);
        if ended.end == End::Cancelled && over && self.cut {
            *ended = Instance { rounds: ended.rounds.take(), ..Instance::plain(End::Failed(Why::Timeout), path) };
        }
    }

    /// Attempts after one another, or looks at something made of more than one call.
    fn attempts(&mut self, step: &Step, path: &str, inside: &str, limited: bool, seen: &mut Seen) -> Instance {
        let mut attempt = 1;
        let mut row = 0;
        loop {
            if step.body.inner().is_some() {
                *self.group_starts.entry(path.to_owned()).or_default() += 1;
            }
            let mut ended = self.attempt(step, path, inside, seen);
            if let (End::Done(Some(n)), Some(bad)) = (&ended.end, step.fail_if)
                && *n == bad
            {
                ended = Instance::plain(End::Failed(Why::Wrong), path);
            }
            let pause = match (&step.until, &step.retry) {
                (Some(until), _) => {
                    let met = match ended.end {
                        End::Done(Some(n)) => n == until.n,
                        End::Failed(Why::Timeout) | End::Refused { transient: true } => false,
                        _ => return ended,
                    };
                    row = if met { row + 1 } else { 0 };
                    if row >= until.in_a_row {
                        return ended;
                    }
                    // There is no other look after the last moment.
                    if limited && self.limits.last().is_some_and(|own| self.clock >= own.at) {
                        return Instance::plain(End::Failed(Why::Timeout), path);
                    }
                    until.every_s * 1_000
                }
                (None, Some(retry)) if attempt < retry.attempts && self.may_retry(step, &ended.end) => {
                    retry.delay_s * 10 * (100 + self.jitter)
                }
                _ => return ended,
            };
            // Nobody waits for an attempt that could not begin any more.
            let deadline = self.limits.last().filter(|_| limited);
            if step.retry.is_some() && deadline.is_some_and(|deadline| self.clock + pause >= deadline.at) {
                return ended;
            }
            attempt += 1;
            self.forget(step, path, inside, seen);
            *self.retried.entry(path.to_owned()).or_default() += 1;
            if self.cancelled_in_pause(path) {
                self.cut = false;
                return Instance::plain(End::Cancelled, path);
            }
            if !self.wait(pause) || self.is_late_around(limited) {
                self.cut = true;
                return Instance::plain(End::Cancelled, path);
            }
            if step.body.inner().is_none() && !self.begin(path) {
                return Instance::plain(End::Cancelled, path);
            }
        }
    }

    /// Whether the run was cancelled before the next attempt of a step began.
    fn cancelled_in_pause(&self, path: &str) -> bool {
        let Some(cancel) = self.cancel.filter(|_| !self.afterwards) else { return false };
        // A limit ended the pause before.
        if self.limits().iter().any(|limit| limit.at <= cancel.at_ms) {
            return false;
        }
        let count = |counts: &BTreeMap<String, usize>| counts.get(path).copied().unwrap_or_default();
        match count(&self.retried).cmp(&count(&cancel.retried)) {
            Ordering::Less => false,
            Ordering::Equal => self.attempts_begun(path) >= count(&cancel.starts),
            Ordering::Greater => true,
        }
    }

    fn attempts_begun(&self, path: &str) -> usize {
        self.starts.get(path).or(self.group_starts.get(path)).copied().unwrap_or_default()
    }

    /// Whether another attempt may be made after this end.
    fn may_retry(&self, step: &Step, end: &End) -> bool {
        match end {
            End::Refused { transient } => *transient,
            // What is around it was attempted.
            End::Failed(Why::Expired) => false,
            End::Failed(Why::Unattempted) => !matches!(step.body, Body::Call(_)),
            End::Failed(_) => match &step.body {
                Body::Call(call) => matches!(call.verb, Verb::Read | Verb::Repeatable),
                _ => true,
            },
            _ => false,
        }
    }

    /// What is inside a step runs anew with its next attempt.
    fn forget(&mut self, step: &Step, path: &str, inside: &str, seen: &mut Seen) {
        let mut inner = Vec::new();
        match step.body.inner() {
            Some(steps) => yaml::visible(steps, &mut |step| inner.push(step.id.clone())),
            None => {
                self.drop_below(&format!("{path}/"));
            }
        }
        for id in inner {
            let path = format!("{inside}{id}");
            self.story.steps.remove(&path);
            self.unanswered.remove(&path);
            self.story.findings.retain(|(at, _)| *at != path);
            self.drop_below(&format!("{path}/"));
            self.drop_below(&format!("{path}["));
            seen.remove(&id);
        }
    }

    fn drop_below(&mut self, prefix: &str) {
        self.story.steps.retain(|path, _| !path.starts_with(prefix));
        self.unanswered.retain(|path, _| !path.starts_with(prefix));
        self.story.findings.retain(|(path, _)| !path.starts_with(prefix));
    }

    /// One attempt of a body, within its `timeout`.
    fn attempt(&mut self, step: &Step, path: &str, inside: &str, seen: &mut Seen) -> Instance {
        let Some(seconds) = step.timeout_s.filter(|_| !matches!(step.body, Body::Call(_))) else {
            return self.body(step, path, inside, seen);
        };
        let ms = seconds * 1_000;
        let mut at = self.clock + ms;
        // An attempt that is taken up again has its time anew.
        let known = |kill: &&Snapshot| kill.starts.get(path) == Some(&self.attempts_begun(path));
        if let Some(kill) = self.kill.filter(known) {
            // Of what ends at this moment some may be lost, and that goes on.
            self.vague |= at == kill.at_ms;
            at = if at > kill.at_ms { kill.at_ms + ms } else { at };
        }
        self.limits.push(Limit { at, clock: Clock::StopsInDoubt });
        let mut ended = self.body(step, path, inside, seen);
        self.overdue(&mut ended, path);
        ended
    }

    fn body(&mut self, step: &Step, path: &str, inside: &str, seen: &mut Seen) -> Instance {
        let judged = |holds: Result<bool, Unreadable>| match holds {
            Ok(true) => End::Done(None),
            _ => End::Failed(Why::Wrong),
        };
        let end = match &step.body {
            Body::Call(call) => match self.address(&step.id, call, seen) {
                Ok(url) => self.call(path, call, &url),
                Err(Unreadable) => End::Failed(Why::Unattempted),
            },
            Body::Script(stmts, last) => return self.script(step, path, stmts, *last, seen),
            Body::Assert(condition) => judged(holds(condition, seen)),
            Body::Findings(condition) => {
                let found = holds(condition, seen);
                if let Ok(true) = found {
                    self.story.findings.push((path.to_owned(), format!("found by {}", step.id)));
                }
                judged(found.map(|_| true))
            }
            Body::Steps(inner) => {
                let begun = self.starts.clone();
                let flow = self.block(inner, inside, seen);
                return self.group(step, flow, path, begun != self.starts, seen);
            }
            Body::Parallel(inner) => {
                let begun = self.starts.clone();
                let flow = self.parallel(inner, inside, seen);
                return self.group(step, flow, path, begun != self.starts, seen);
            }
            Body::Action(number) | Body::Runbook(number) => return self.action(*number, path),
            Body::Sleep(_) | Body::Ask { .. } if self.stopped_here(path).is_some() => {
                self.cut = false;
                End::Cancelled
            }
            Body::Sleep(seconds) => match self.wait(seconds * 1_000) {
                true => End::Done(None),
                false => End::Cancelled,
            },
            Body::Ask { answered: true } | Body::Note => End::Done(None),
            Body::Ask { answered: false } => match self.wait_for_people(ASK_EXPIRES_MS) {
                true => End::Rejected,
                false => End::Cancelled,
            },
            Body::Fail { .. } => End::Failed(Why::Wrong),
            Body::Finish => return Instance { finish: true, ..Instance::plain(End::Done(None), path) },
        };
        Instance::plain(end, path)
    }

    /// A group ends as the step that broke it.
    fn group(&self, step: &Step, flow: Flow, path: &str, begun: bool, seen: &Seen) -> Instance {
        match flow {
            Flow::On => Instance::plain(given(step, seen), path),
            Flow::Finish => Instance { finish: true, ..Instance::plain(End::Done(None), path) },
            Flow::Broken { end, at } => Instance { at, ..Instance::plain(end, path) },
            Flow::Stopped { .. } if begun || self.is_late() => Instance::plain(End::Cancelled, path),
            Flow::Stopped { .. } => Instance::plain(End::NotRun, path),
        }
    }

    /// All branches begin together and run to their own ends; the worst one counts.
    fn parallel(&mut self, branches: &[Step], inside: &str, seen: &mut Seen) -> Flow {
        let (before, from) = (seen.clone(), self.clock);
        let around = std::mem::replace(&mut self.beside, self.limits.len());
        let mut last = from;
        let mut flows = Vec::new();
        for branch in branches {
            self.clock = from;
            let mut own = before.clone();
            flows.push(self.step(branch, inside, &mut own));
            yaml::visible(std::slice::from_ref(branch), &mut |step| {
                seen.extend(own.remove_entry(&step.id));
            });
            last = last.max(self.clock);
        }
        self.clock = last;
        self.beside = around;
        worst(flows)
    }

    /// The items one after another, or some at a time.
    fn foreach(&mut self, step: &Step, foreach: Foreach, path: &str, seen: &mut Seen) -> Instance {
        let clock = Clock::StopsInDoubt;
        self.limits.extend(step.within_s.map(|seconds| Limit { at: self.clock + seconds * 1_000, clock }));
        let (around, beside) = (self.each, self.beside);
        if foreach.max_parallel > 1 {
            self.beside = self.limits.len();
        }
        // When each place is free again.
        let mut places = vec![self.clock; foreach.max_parallel.min(foreach.items).max(1)];
        let mut flows = Vec::new();
        // When no further item may begin.
        let mut over: Option<u64> = None;
        let mut begun = 0;
        let mut rounds = vec!["not_run"; foreach.items];
        let at_once = foreach.max_parallel > 1 && !step.continue_on_failure;
        for (item, round) in rounds.iter_mut().enumerate() {
            let place = (0..places.len()).min_by_key(|place| places[*place]).unwrap_or_default();
            self.clock = places[place];
            let instance = format!("{path}[{item}]");
            if over.is_some_and(|over| self.clock > over || self.clock == over && !at_once) {
                break;
            }
            if !self.may_begin_item(step, &instance) {
                flows.push(Flow::Stopped { at: instance });
                continue;
            }
            self.each = Some(item);
            let mut own = seen.clone();
            let Instance { end, at, finish, .. } = self.instance_of_item(step, &instance, &mut own);
            self.each = around;
            places[place] = self.clock;
            if end == End::NotRun {
                flows.push(Flow::Stopped { at: instance });
                continue;
            }
            if step.body.inner().is_none() {
                self.story.steps.insert(instance.clone(), end.word());
            }
            begun += 1;
            *round = end.word();
            // A "no" is no failure that could be passed over.
            let closes = finish || end == End::Rejected || end.rank() > 0 && !step.continue_on_failure;
            over = over.into_iter().chain(closes.then_some(self.clock)).min();
            flows.push(match end {
                End::Done(_) | End::Skipped if finish => Flow::Finish,
                End::Done(_) | End::Skipped => Flow::On,
                End::Cancelled | End::NotRun => Flow::Stopped { at: instance },
                end => Flow::Broken { end, at },
            });
        }
        self.clock = places.into_iter().max().unwrap_or(self.clock);
        self.beside = beside;
        let all = begun == foreach.items || over.is_some();
        let mut ended = match worst(flows) {
            Flow::On if !all => Instance::plain(End::Cancelled, path),
            Flow::On => Instance::plain(End::Done(None), path),
            Flow::Finish => Instance { finish: true, ..Instance::plain(End::Done(None), path) },
            Flow::Broken { end: End::Rejected, at } => Instance { at, ..Instance::plain(End::Rejected, path) },
            Flow::Broken { end, at } => Instance { at, ..Instance::plain(end.into_failure(), path) },
            Flow::Stopped { .. } => Instance::plain(End::Cancelled, path),
        };
        ended.rounds = Some(rounds);
        if step.within_s.is_some() {
            self.overdue(&mut ended, path);
        }
        ended
    }

    fn may_begin_item(&mut self, step: &Step, instance: &str) -> bool {
        step.body.inner().is_some() || self.begin(instance)
    }

    fn instance_of_item(&mut self, step: &Step, instance: &str, seen: &mut Seen) -> Instance {
        self.instance(step, instance, &format!("{instance}/"), seen)
    }

    /// Another file in a scope of its own.
    fn action(&mut self, number: usize, path: &str) -> Instance {
        let file = &self.case.actions[number];
        let prefix = format!("{path}/");
        let around = self.each.take();
        let flow = self.file(file, &prefix, Kind::Action);
        self.each = around;
        match flow {
            Flow::On | Flow::Finish => Instance::plain(End::Done(Some(1)), path),
            // That one of its steps did not happen says nothing of those before it.
            Flow::Broken { end: end @ End::Refused { .. }, at } => {
                Instance { at, ..Instance::plain(end.into_failure(), path) }
            }
            Flow::Broken { end, at } => Instance { at, ..Instance::plain(end, path) },
            Flow::Stopped { .. } => Instance::plain(End::Cancelled, path),
        }
    }

    fn script(&mut self, step: &Step, path: &str, stmts: &[Stmt], last: Last, seen: &Seen) -> Instance {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        let ended = |end| Instance::plain(end, path);
        for (n, stmt) in stmts.iter().enumerate() {
            let Ok(url) = self.address(&format!("{}/{n}", step.id), &stmt.call, seen) else {
                return ended(End::Failed(Why::Wrong));
            };
            let name = stmt.call.verb.uses();
            let number = count.entry(name).or_default();
            *number += 1;
            let call = format!("{path}/{name}#{number}");
            if !self.begin(&call) {
                return ended(End::Cancelled);
            }
            let end = self.call(&call, &stmt.call, &url);
            self.story.steps.insert(call.clone(), end.word());
            if self.unended_at_cancel(path) && self.unended_at_cancel(&call) {
                return ended(End::Cancelled);
            }
            match end {
                End::Done(_) | End::Skipped => {}
                End::Cancelled | End::NotRun => return ended(End::Cancelled),
                _ if stmt.caught => {}
                _ => return ended(End::Failed(Why::Wrong)),
            }
        }
        match last {
            Last::Value(n) => ended(End::Done(Some(n))),
            Last::Throw => ended(End::Failed(Why::Wrong)),
            Last::Finish => {
                let call = format!("{path}/run.finish#1");
                if !self.begin(&call) {
                    return ended(End::Cancelled);
                }
                self.story.steps.insert(call, "done");
                Instance { finish: true, ..ended(End::Done(None)) }
            }
        }
    }

    /// Looks at one thing until it is as wanted. The step has begun.
    fn poll(&mut self, step: &Step, call: &Call, path: &str, seen: &Seen) -> Instance {
        let ended = |end| Instance::plain(end, path);
        let (Some(until), Ok(url)) = (&step.until, self.address(&step.id, call, seen)) else {
            return ended(End::Failed(Why::Wrong));
        };
        let mut row = 0;
        loop {
            if self.killed_here(path) == Some(self.made(path)) {
                self.clock = self.clock.max(self.kill.map_or(0, |kill| kill.at_ms));
                row = 0;
                self.count_start(path);
                if self.is_late_around(step.within_s.is_some()) {
                    (self.cut, self.around) = (true, true);
                    return ended(End::Cancelled);
                }
            }
            let idle = self.cancel.is_some_and(|cancel| !cancel.in_flight.contains(path));
            if self.stopped_here(path) == Some(self.made(path)) && idle {
                self.cut = false;
                return ended(End::Cancelled);
            }
            let end = self.look(path, call, &url);
            if self.killed_here(path) == Some(self.made(path)) {
                continue;
            }
            let met = match end {
                End::Done(Some(n)) if step.fail_if == Some(n) => return ended(End::Failed(Why::Wrong)),
                End::Done(Some(n)) => n == until.n,
                End::Refused { transient: true } | End::Failed(Why::Timeout) => false,
                end => return ended(end),
            };
            row = if met { row + 1 } else { 0 };
            if row >= until.in_a_row {
                return ended(end);
            }
            if self.stopped_here(path).is_some_and(|made| made <= self.made(path)) {
                self.cut = false;
                return ended(End::Cancelled);
            }
            if !self.wait(until.every_s * 1_000) {
                self.around = self.is_late_around(step.within_s.is_some());
                return ended(End::Cancelled);
            }
        }
    }
}

/// What a group gives that came to its end.
fn given(step: &Step, seen: &Seen) -> End {
    match step.gives.as_ref().map(|id| number(id, seen)) {
        None => End::Done(None),
        Some(Ok(number)) => End::Done(Some(number)),
        Some(Err(Unreadable)) => End::Failed(Why::Wrong),
    }
}

/// The worst of what happened side by side; of equals the first by path.
fn worst(flows: Vec<Flow>) -> Flow {
    let rank = |flow: &Flow| match flow {
        Flow::On => 0,
        Flow::Finish => 1,
        Flow::Broken { end, .. } => 1 + end.rank(),
        Flow::Stopped { .. } => 9,
    };
    let place = |flow: &Flow| match flow {
        Flow::Broken { at, .. } | Flow::Stopped { at } => at.clone(),
        _ => String::new(),
    };
    let worst = flows.into_iter().min_by_key(|flow| (std::cmp::Reverse(rank(flow)), place(flow)));
    worst.unwrap_or(Flow::On)
}
