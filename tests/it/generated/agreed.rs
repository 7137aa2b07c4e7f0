//! A case of [`people`](crate::generated::people): its steps, what people say and what the world answers, one number in
//! and one case out, and its texts.

use std::fmt::Write as _;

use rerail::engine::event::Decision;

use crate::generated::generate::{Luck, WORLDS};

/// Events a case rarely has more of: where it is killed.
const EVENTS_LIKELY: u64 = 40;

#[derive(Clone, Debug)]
pub struct Case {
    pub steps: Vec<Step>,
    /// `on_failure: [run.undo]`.
    pub takes_itself_back: bool,
    /// `self: true` of all approvals.
    pub self_ok: bool,
    /// The process dies when it has so many events, if no write is under way then.
    pub killed_at: usize,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub id: String,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    /// A look that gives a number; once somebody has agreed to what is around it, it may give another one.
    Look {
        drifts: bool,
    },
    Write(Write),
    /// Steps in a row, in the same file or as an action.
    Group {
        approval: Option<Approval>,
        action: bool,
        steps: Vec<Step>,
    },
    /// `run.fail`.
    Fail,
}

#[derive(Clone, Debug)]
pub struct Write {
    /// The look whose number it sends.
    pub reads: Option<String>,
    pub approval: Option<Approval>,
    pub answer: Answer,
    pub undo: Option<Undo>,
}

/// How a write is taken back.
#[derive(Clone, Debug)]
pub struct Undo {
    pub answer: Answer,
    pub approval: Option<Approval>,
}

impl Undo {
    /// Where the write is that takes one at this path back.
    pub fn path(&self, write: &str) -> String {
        let id = write.rsplit('/').next().unwrap_or(write);
        if self.approval.is_some() { format!("undo/{write}/no_{id}") } else { format!("undo/{write}") }
    }
}

/// What the world makes of the first attempt; every other one is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Failed,
    Refused,
    /// No answer, and a person who looked says this.
    InDoubt(Decision),
}

/// What people say, one word for each time they are asked; the last one stays.
#[derive(Clone, Debug)]
pub struct Approval {
    pub cancels: bool,
    pub words: Vec<Word>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Given,
    /// First the operator says yes, then somebody else.
    GivenAfterOwn,
    /// First somebody without the role says yes, then somebody with it.
    GivenAfterStranger,
    Rejected,
    Expired,
}

/// Number a look gives before it drifts.
pub const SEEN: i64 = 5;

/// The case of this number: a runbook for each [`WORLDS`] numbers, with other people and another world for each.
pub fn case(seed: u64) -> Case {
    let mut luck = Luck::new((seed / WORLDS) ^ 0x5eed);
    let mut maker = Maker { luck: &mut luck, next: 0 };
    let mut steps = maker.block(2, 5, true, Vec::new());
    let (takes_itself_back, self_ok) = (maker.one_in(2), maker.one_in(4));
    let mut luck = Luck::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut maker = Maker { luck: &mut luck, next: 0 };
    maker.dress(&mut steps);
    let killed_at = usize::try_from(maker.below(2 * EVENTS_LIKELY)).unwrap_or(0);
    Case { steps, takes_itself_back, self_ok, killed_at }
}

struct Maker<'l> {
    luck: &'l mut Luck,
    next: u32,
}

impl Maker<'_> {
    fn below(&mut self, n: u64) -> u64 {
        self.luck.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn block(&mut self, from: u64, to: u64, groups: bool, mut looks: Vec<String>) -> Vec<Step> {
        let count = from + self.below(to - from + 1);
        let mut steps = Vec::new();
        for _ in 0..count {
            let id = format!("s{}", self.next);
            self.next += 1;
            let body = match self.below(10) {
                0..=1 => {
                    looks.push(id.clone());
                    Body::Look { drifts: false }
                }
                2..=4 if groups => self.group(&looks),
                9 if self.one_in(2) => Body::Fail,
                _ => Body::Write(self.write(&looks)),
            };
            steps.push(Step { id, body });
        }
        steps
    }

    fn group(&mut self, looks: &[String]) -> Body {
        let action = self.one_in(3);
        let approval = if self.one_in(4) { None } else { Some(self.approval()) };
        let mut steps = self.block(1, 4, false, if action { Vec::new() } else { looks.to_vec() });
        // An approval covers writes.
        let id = format!("s{}", self.next);
        self.next += 1;
        steps.push(Step { id, body: Body::Write(self.write(&[])) });
        Body::Group { approval, action, steps }
    }

    fn write(&mut self, looks: &[String]) -> Write {
        let at = usize::try_from(self.below(2 * looks.len().max(1) as u64)).unwrap_or(0);
        Write {
            reads: looks.get(at).cloned(),
            approval: if self.one_in(3) { Some(self.approval()) } else { None },
            answer: Answer::Done,
            undo: if self.one_in(4) { None } else { Some(self.undo()) },
        }
    }

    fn undo(&mut self) -> Undo {
        // One that runs out fails: a cancel of what takes back is another story.
        let approval = self.one_in(4).then(|| Approval { cancels: false, words: Vec::new() });
        Undo { answer: Answer::Done, approval }
    }

    /// What the world and its people say.
    fn dress(&mut self, steps: &mut [Step]) {
        for step in steps {
            match &mut step.body {
                Body::Look { drifts } => *drifts = self.one_in(2),
                Body::Write(write) => {
                    write.answer = self.answer();
                    if let Some(undo) = &mut write.undo {
                        undo.answer = self.answer();
                        undo.approval.iter_mut().for_each(|approval| approval.words = self.words());
                    }
                    write.approval.iter_mut().for_each(|approval| approval.words = self.words());
                }
                Body::Group { approval, steps, .. } => {
                    approval.iter_mut().for_each(|approval| approval.words = self.words());
                    self.dress(steps);
                }
                Body::Fail => {}
            }
        }
    }

    fn answer(&mut self) -> Answer {
        match self.below(12) {
            0 => Answer::Failed,
            1 => Answer::Refused,
            2 => Answer::InDoubt(Decision::Done),
            3 => Answer::InDoubt(Decision::NotDone),
            4 if self.one_in(2) => Answer::InDoubt(Decision::Skip),
            _ => Answer::Done,
        }
    }

    fn approval(&mut self) -> Approval {
        Approval { cancels: self.one_in(3), words: Vec::new() }
    }

    fn words(&mut self) -> Vec<Word> {
        let count = 1 + self.below(2);
        let word = |luck: u64| match luck {
            0 => Word::Rejected,
            1 => Word::Expired,
            2 => Word::GivenAfterOwn,
            3 => Word::GivenAfterStranger,
            _ => Word::Given,
        };
        (0..count).map(|_| word(self.below(12))).collect()
    }
}

/// A case as its runbook and the actions it calls.
pub fn texts(case: &Case) -> (String, Vec<(String, String)>) {
    let mut actions = Vec::new();
    let mut text = String::from("steps:\n");
    lines(case, &case.steps, 1, &mut text, &mut actions);
    if case.takes_itself_back {
        text.push_str("on_failure:\n  - { id: back, uses: run.undo }\n");
    }
    (text, actions)
}

fn lines(case: &Case, steps: &[Step], depth: usize, text: &mut String, actions: &mut Vec<(String, String)>) {
    let pad = "  ".repeat(depth);
    for Step { id, body } in steps {
        let _ = writeln!(text, "{pad}- id: {id}");
        let approval = match body {
            Body::Group { approval, .. } => approval.as_ref(),
            Body::Write(write) => write.approval.as_ref(),
            _ => None,
        };
        if let Some(approval) = approval {
            let on_expiry = if approval.cancels { "cancel" } else { "fail" };
            let _ = writeln!(text, "{pad}  approval: {{ by: oncall, self: {}, on_expiry: {on_expiry} }}", case.self_ok);
        }
        match body {
            Body::Look { .. } => {
                let _ = writeln!(text, "{pad}  uses: http.probe\n{pad}  with: {{ url: 'http://w.example.com/{id}' }}");
            }
            Body::Fail => {
                let _ = writeln!(text, "{pad}  uses: run.fail\n{pad}  with: {{ message: on purpose }}");
            }
            Body::Write(write) => {
                let json = match &write.reads {
                    Some(look) => format!("{{ n: '${{{{ steps.{look}.outputs.json.n }}}}' }}"),
                    None => "{ n: 0 }".to_owned(),
                };
                let _ = writeln!(text, "{pad}  uses: http.request");
                let _ =
                    writeln!(text, "{pad}  with: {{ method: POST, url: 'http://w.example.com/{id}', json: {json} }}");
                if let Some(undo) = &write.undo {
                    let uses =
                        format!("uses: http.request, with: {{ method: DELETE, url: 'http://w.example.com/{id}' }}");
                    let _ = match &undo.approval {
                        None => writeln!(text, "{pad}  undo: {{ {uses} }}"),
                        Some(_) => {
                            // Before the time of a clean-up is up.
                            let asks = format!("approval: {{ by: oncall, self: {}, expires: 5m }}", case.self_ok);
                            writeln!(text, "{pad}  undo: {{ steps: [{{ id: no_{id}, {uses}, {asks} }}] }}")
                        }
                    };
                }
            }
            Body::Group { action: false, steps, .. } => {
                let _ = writeln!(text, "{pad}  steps:");
                lines(case, steps, depth + 2, text, actions);
            }
            Body::Group { action: true, steps, .. } => {
                let _ = writeln!(text, "{pad}  uses: act.{id}");
                let mut inner = String::from("steps:\n");
                lines(case, steps, 1, &mut inner, actions);
                actions.push((format!("act.{id}"), inner));
            }
        }
    }
}

/// Every step with its path and the path of the group around it.
pub fn each<'a>(
    steps: &'a [Step],
    prefix: &str,
    around: Option<&str>,
    visit: &mut dyn FnMut(String, Option<&str>, &'a Step),
) {
    for step in steps {
        let path = format!("{prefix}{}", step.id);
        visit(path.clone(), around, step);
        if let Body::Group { action, steps, .. } = &step.body {
            let inside = if *action { format!("{path}/") } else { prefix.to_owned() };
            each(steps, &inside, Some(&path), visit);
        }
    }
}
