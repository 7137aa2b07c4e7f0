//! Cuts a failing case down: tries every smaller one, keeps what still fails, until nothing smaller does.

use crate::generated::ast::{Body, Case, Interrupt, Step};
use crate::generated::fit::fit;

/// Cases tried before it is small enough: a few seconds.
const TRIES_MAX: usize = 3_000;

/// The smallest case found that still fails.
pub fn shrink(case: Case, fails: impl Fn(&Case) -> bool) -> Case {
    let mut smallest = case;
    let mut tries = 0;
    loop {
        let smaller = candidates(&smallest).into_iter().find(|candidate| {
            tries += 1;
            tries < TRIES_MAX && *candidate != smallest && fails(candidate)
        });
        match smaller {
            Some(candidate) => smallest = candidate,
            None => return smallest,
        }
    }
}

/// Cases that are smaller by one thing.
fn candidates(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut add = |mut candidate: Case| {
        fit(&mut candidate);
        found.push(candidate);
    };
    let lists = |case: &Case| LISTS * (1 + case.actions.len());
    for list in 0..lists(case) {
        for smaller in smaller_lists(list_of(&mut case.clone(), list)) {
            let mut candidate = case.clone();
            *list_of(&mut candidate, list) = smaller;
            // An action does something, and so does a run.
            if list % LISTS == 0 && list_of(&mut candidate, list).is_empty() {
                continue;
            }
            add(candidate);
        }
    }
    if !case.actions.is_empty() {
        let mut candidate = case.clone();
        candidate.actions.pop();
        add(candidate);
    }
    match case.interrupt {
        Interrupt::None => {}
        Interrupt::Cancel(at) | Interrupt::Kill(at) => {
            add(Case { interrupt: Interrupt::None, ..case.clone() });
            if at > 1 {
                let earlier =
                    if matches!(case.interrupt, Interrupt::Kill(_)) { Interrupt::Kill } else { Interrupt::Cancel };
                add(Case { interrupt: earlier(at - 1), ..case.clone() });
            }
        }
    }
    found
}

/// Lists of steps in a file.
const LISTS: usize = 3;

fn list_of(case: &mut Case, number: usize) -> &mut Vec<Step> {
    let file = match number / LISTS {
        0 => &mut case.runbook,
        action => &mut case.actions[action - 1],
    };
    match number % LISTS {
        0 => &mut file.steps,
        1 => &mut file.on_failure,
        _ => &mut file.finally,
    }
}

/// The list with one step less, or with one step simpler.
fn smaller_lists(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    for at in 0..steps.len() {
        let without: Vec<Step> = steps.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, s)| s.clone()).collect();
        found.push(without);
        if let Some(inner) = steps[at].body.inner() {
            let mut spliced = steps.to_vec();
            spliced.splice(at..=at, inner.iter().cloned());
            found.push(spliced);
        }
        for simpler in simpler_steps(&steps[at]) {
            let mut list = steps.to_vec();
            list[at] = simpler;
            found.push(list);
        }
    }
    found
}

fn simpler_steps(step: &Step) -> Vec<Step> {
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut Step)| {
        let mut simpler = step.clone();
        change(&mut simpler);
        if simpler != *step {
            found.push(simpler);
        }
    };
    add(&|step| step.condition = None);
    add(&|step| step.continue_on_failure = false);
    add(&|step| step.until = None);
    add(&|step| step.fail_if = None);
    add(&|step| step.retry = None);
    add(&|step| step.timeout_s = None);
    add(&|step| step.within_s = None);
    add(&|step| step.foreach = None);
    add(&|step| step.gives = None);
    match &step.body {
        Body::Call(call) => {
            for n in 0..call.answers.len().max(call.decisions.len()) {
                add(&|step| {
                    if let Body::Call(call) = &mut step.body {
                        shorten(&mut call.answers, n);
                    }
                });
                add(&|step| {
                    if let Body::Call(call) = &mut step.body {
                        shorten(&mut call.decisions, n);
                    }
                });
            }
            add(&|step| {
                if let Body::Call(call) = &mut step.body {
                    call.reads = None;
                }
            });
        }
        Body::Script(stmts, _) => {
            for n in 0..stmts.len() {
                add(&|step| {
                    if let Body::Script(stmts, _) = &mut step.body {
                        stmts.remove(n);
                    }
                });
                for m in 0..stmts[n].call.answers.len() {
                    add(&|step| {
                        if let Body::Script(stmts, _) = &mut step.body {
                            shorten(&mut stmts[n].call.answers, m);
                        }
                    });
                }
            }
        }
        Body::Steps(inner) | Body::Parallel(inner) => {
            for smaller in smaller_lists(inner).into_iter().filter(|smaller| !smaller.is_empty()) {
                add(&|step| {
                    if let Some(inner) = step.body.inner_mut() {
                        inner.clone_from(&smaller);
                    }
                });
            }
        }
        _ => {}
    }
    add(&|step| step.body = Body::Note);
    found
}

/// Takes an item out unless it is the last one.
fn shorten<T>(list: &mut Vec<T>, at: usize) {
    if list.len() > 1 && at < list.len() {
        list.remove(at);
    }
}
