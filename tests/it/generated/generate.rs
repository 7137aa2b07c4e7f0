//! Random cases: one number in, one case out, the same for ever.

use rerail::engine::event::Decision;

use crate::generated::ast::{
    Answer, Body, Call, Case, Condition, File, Foreach, Interrupt, Last, Readable, Retry, Step, Stmt, Until, Verb,
};
use crate::generated::fit::fit;

/// Depth of groups in groups: deeper ones say nothing new.
const DEPTH_MAX: u32 = 2;
/// Events a case rarely has more of: where an interruption falls.
const EVENTS_LIKELY: u64 = 16;

/// Outcomes that are asked for.
const WORDS: [&str; 7] = ["done", "done", "done", "refused", "failed", "skipped", "not_run"];

/// Luck that can be had again: SplitMix64.
pub struct Luck(u64);

impl Luck {
    pub fn new(seed: u64) -> Luck {
        Luck(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// One time in `n`.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len() as u64);
        from[usize::try_from(at).unwrap_or_default()]
    }

    fn count(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    fn answers(&mut self, call: &mut Call, poll: bool) {
        let verb = call.verb;
        call.answers = (0..self.count(1, 5)).map(|_| if poll { self.look() } else { self.answer(verb) }).collect();
        call.decisions = if verb == Verb::Read { Vec::new() } else { self.decisions() };
    }

    fn decisions(&mut self) -> Vec<Decision> {
        let mut decisions: Vec<Decision> =
            (0..self.below(3)).map(|_| self.pick(&[Decision::NotDone, Decision::Retry])).collect();
        decisions.push(self.pick(&[Decision::Done, Decision::Done, Decision::Skip]));
        decisions
    }

    fn answer(&mut self, verb: Verb) -> Answer {
        match self.below(10) {
            0..=4 => Answer::Done(self.below(3) as i64),
            5 => Answer::Refused { transient: true },
            6 => Answer::Refused { transient: false },
            7 => Answer::Failed,
            _ if verb == Verb::Read => Answer::Lost,
            _ => Answer::InDoubt,
        }
    }

    /// An answer to a look of a poll: mostly one to go on from.
    fn look(&mut self) -> Answer {
        match self.below(10) {
            0..=3 => Answer::Done(0),
            4..=6 => Answer::Done(1),
            7 => Answer::Lost,
            8 => Answer::Refused { transient: true },
            _ => self.answer(Verb::Read),
        }
    }
}

/// Worlds in which each runbook is run: reading and checking its text costs more than running it.
pub const WORLDS: u64 = 4;

/// The case of this number: a runbook for each [`WORLDS`] numbers, with another world for each of them.
pub fn case(seed: u64) -> Case {
    let mut case = runbook(&mut Luck::new(seed / WORLDS));
    let mut luck = Luck::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    case.number = seed;
    case.interrupt = match luck.below(4) {
        0 => Interrupt::Cancel(luck.count(1, EVENTS_LIKELY) as usize),
        1 => Interrupt::Kill(luck.count(1, EVENTS_LIKELY) as usize),
        _ => Interrupt::None,
    };
    case.prompt = luck.one_in(2);
    for file in case.actions.iter_mut().chain([&mut case.runbook]) {
        for steps in [&mut file.steps, &mut file.on_failure, &mut file.finally] {
            dress(&mut luck, steps);
        }
    }
    fit(&mut case);
    case
}

/// Texts without a world.
fn runbook(luck: &mut Luck) -> Case {
    let actions = luck.below(3);
    let actions: Vec<File> = (0..actions).map(|number| action(luck, number + 1, actions)).collect();
    let mut maker =
        Maker { luck, next: 0, calls_from: 0, actions: actions.len() as u64, in_foreach: false, ids: Vec::new() };
    let steps = maker.block(1, 5, 0);
    let main_ids = maker.ids.clone();
    let on_failure = if maker.luck.one_in(2) { maker.block(1, 2, DEPTH_MAX) } else { Vec::new() };
    maker.ids = main_ids;
    let finally = if maker.luck.one_in(2) { maker.block(1, 2, DEPTH_MAX) } else { Vec::new() };
    Case { number: 0, runbook: File { steps, on_failure, finally }, actions, interrupt: Interrupt::None, prompt: false }
}

/// What the world and its people say.
fn dress(luck: &mut Luck, steps: &mut [Step]) {
    for step in steps {
        let poll = step.until.is_some();
        match &mut step.body {
            Body::Call(call) => luck.answers(call, poll),
            Body::Script(stmts, _) => stmts.iter_mut().for_each(|stmt| luck.answers(&mut stmt.call, false)),
            Body::Steps(inner) | Body::Parallel(inner) => dress(luck, inner),
            Body::Ask { answered } => *answered = !luck.one_in(3),
            _ => {}
        }
    }
}

fn action(luck: &mut Luck, calls_from: u64, actions: u64) -> File {
    let mut maker = Maker { luck, next: 0, calls_from, actions, in_foreach: false, ids: Vec::new() };
    let steps = maker.block(1, 3, 1);
    let main_ids = maker.ids.clone();
    let on_failure = if maker.luck.one_in(4) { maker.block(1, 2, DEPTH_MAX) } else { Vec::new() };
    maker.ids = main_ids;
    let finally = if maker.luck.one_in(4) { maker.block(1, 2, DEPTH_MAX) } else { Vec::new() };
    File { steps, on_failure, finally }
}

/// Makes the steps of one file.
struct Maker<'l> {
    luck: &'l mut Luck,
    next: u32,
    /// The first action it may call: none calls itself.
    calls_from: u64,
    actions: u64,
    in_foreach: bool,
    /// Ids that can be read, and what of them.
    ids: Vec<(String, Readable)>,
}

impl Maker<'_> {
    fn block(&mut self, from: u64, to: u64, depth: u32) -> Vec<Step> {
        (0..self.luck.count(from, to)).map(|_| self.step(depth)).collect()
    }

    fn step(&mut self, depth: u32) -> Step {
        let id = format!("s{}", self.next);
        self.next += 1;
        let condition = self.luck.one_in(4).then(|| self.condition());
        let foreach = self.luck.one_in(9).then(|| Foreach {
            items: self.luck.count(0, 4) as usize,
            max_parallel: self.luck.pick(&[1, 1, 2, 3]) as usize,
        });
        let (around, before) = (self.in_foreach, self.ids.len());
        self.in_foreach |= foreach.is_some();
        let mut body = self.body(depth);
        self.in_foreach = around;
        let gives = if body.inner().is_some() && self.luck.one_in(2) { self.numbered() } else { None };
        if foreach.is_some() {
            // What is inside is seen inside only.
            self.ids.truncate(before);
        }
        let retry = self
            .luck
            .one_in(4)
            .then(|| Retry { attempts: self.luck.count(1, 3) as u32, delay_s: self.luck.pick(&[2, 4]) });
        if retry.is_some() && !matches!(body, Body::Call(_)) {
            tame(&mut body);
        }
        let limit = |luck: &mut Luck| luck.one_in(6).then(|| luck.pick(&[3, 5, 7, 13]));
        let mut step = Step {
            condition,
            foreach,
            retry,
            timeout_s: limit(self.luck),
            within_s: limit(self.luck),
            continue_on_failure: self.luck.one_in(4),
            gives,
            ..Step::new(id, body)
        };
        if self.luck.one_in(3) {
            let in_a_row = self.luck.pick(&[1, 1, 2]) as u32;
            step.until = Some(Until { n: 1, every_s: self.luck.pick(&[4, 6]), in_a_row });
            step.within_s = Some(self.luck.pick(&[7, 17]));
        }
        if self.luck.one_in(8) {
            step.fail_if = Some(self.luck.count(0, 2) as i64);
        }
        self.ids.push((step.id.clone(), step.readable()));
        step
    }

    fn body(&mut self, depth: u32) -> Body {
        match self.luck.below(20) {
            0..=6 => {
                let verb = self.luck.pick(&[Verb::Read, Verb::Read, Verb::Once, Verb::Repeatable, Verb::Keyed]);
                Body::Call(self.call(verb))
            }
            7..=9 => {
                let stmts = (0..self.luck.below(4)).map(|_| self.statement()).collect();
                let last = match self.luck.below(8) {
                    0 => Last::Throw,
                    1 => Last::Finish,
                    n => Last::Value(n as i64 % 3),
                };
                Body::Script(stmts, last)
            }
            10 => Body::Assert(self.condition()),
            11 => Body::Findings(self.condition()),
            12..=13 if depth < DEPTH_MAX => Body::Steps(self.block(1, 3, depth + 1)),
            14 if depth < DEPTH_MAX => self.parallel(depth + 1),
            15..=16 if self.calls_from < self.actions => {
                let number = self.luck.count(self.calls_from, self.actions - 1) as usize;
                if self.luck.one_in(3) { Body::Runbook(number) } else { Body::Action(number) }
            }
            17 => Body::Sleep(2 * self.luck.count(1, 5)),
            18 => Body::Ask { answered: true },
            19 => match self.luck.below(4) {
                0 => Body::Fail { finishes: self.luck.one_in(2) },
                1 => Body::Finish,
                _ => Body::Note,
            },
            _ => Body::Note,
        }
    }

    /// Branches that don't see each other.
    fn parallel(&mut self, depth: u32) -> Body {
        let before = self.ids.clone();
        let mut all = before.clone();
        let branches = (0..self.luck.count(2, 3)).map(|_| {
            self.ids.clone_from(&before);
            let step = self.step(depth);
            all.extend(self.ids.drain(before.len()..));
            step
        });
        let branches = branches.collect();
        self.ids = all;
        Body::Parallel(branches)
    }

    fn statement(&mut self) -> Stmt {
        let verb = self.luck.pick(&[Verb::Read, Verb::Once, Verb::Once, Verb::Repeatable, Verb::Keyed]);
        let mut call = self.call(verb);
        let caught = self.luck.one_in(2);
        // A read that fails inside `try` is caught as well, and the call never made.
        if caught {
            call.reads = None;
        }
        Stmt { call, caught }
    }

    fn call(&mut self, verb: Verb) -> Call {
        let reads = if self.luck.one_in(4) { self.numbered() } else { None };
        Call { verb, reads, each: self.in_foreach && self.luck.one_in(2), answers: Vec::new(), decisions: Vec::new() }
    }

    fn condition(&mut self) -> Condition {
        match self.luck.below(9) {
            0..=2 => Condition::Yes,
            3 => Condition::No,
            4 => self.numbered().map_or(Condition::Yes, |id| Condition::Number(id, self.luck.below(3) as i64)),
            5 => self
                .readable(Readable::Rounds)
                .map_or(Condition::Yes, |id| Condition::Rounds(id, self.luck.pick(&WORDS))),
            _ if self.ids.is_empty() => Condition::Yes,
            _ => {
                let at = self.luck.below(self.ids.len() as u64) as usize;
                let word = self.luck.pick(&WORDS);
                Condition::Is(self.ids[at].0.clone(), word)
            }
        }
    }

    /// A step before this place with a number in its outputs.
    fn numbered(&mut self) -> Option<String> {
        self.readable(Readable::Number)
    }

    /// A step before this place of which this can be read.
    fn readable(&mut self, what: Readable) -> Option<String> {
        let ids: Vec<&String> = self.ids.iter().filter(|(_, readable)| *readable == what).map(|(id, _)| id).collect();
        let at = self.luck.below(ids.len().max(1) as u64) as usize;
        ids.get(at).map(|id| (*id).clone())
    }
}

/// Makes every write inside repeatable, so that the whole may be tried again.
fn tame(body: &mut Body) {
    let calm = |call: &mut Call| {
        if call.verb != Verb::Read {
            call.verb = Verb::Repeatable;
        }
    };
    match body {
        Body::Call(call) => calm(call),
        Body::Script(stmts, _) => stmts.iter_mut().for_each(|stmt| calm(&mut stmt.call)),
        Body::Steps(inner) | Body::Parallel(inner) => inner.iter_mut().for_each(|step| tame(&mut step.body)),
        _ => {}
    }
}
