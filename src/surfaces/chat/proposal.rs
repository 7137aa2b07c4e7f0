//! The card of a proposal: what fired, what would be done about it, and what became of that.

use crate::runbook::triggers::State;
use crate::surfaces::alerts::proposals::{Fate, Plan, Planned, Proposal};
use crate::surfaces::chat::card::Card;
use crate::surfaces::shapes::lines::to_lines;
use crate::transcript::{Line, words};

/// Letters of all inputs on a card; its page has them whole.
const INPUTS_CHARS_MAX: usize = 200;

/// One that waits for somebody, without its buttons.
pub fn card(proposal: &Proposal, planned: Option<&Planned>, base: Option<&str>) -> Card {
    let card = about(Card::new(&format!("⏸ {} waits for somebody to start it", name(proposal))), proposal);
    let card = match (&proposal.plan, planned) {
        (Plan::Wanted, _) => card.line("its plan is being made"),
        (Plan::Failed { why }, _) => card.line(&format!("it can't be planned: {why}")),
        (Plan::Made { .. }, None) => card.line("its plan is gone"),
        (Plan::Made { at, .. }, Some(planned)) => {
            // The first line says what the title says.
            let lines: Vec<Line> = to_lines(&planned.lines).into_iter().skip(1).collect();
            let card = card.code(&lines).code(&to_lines(&planned.reach));
            let card =
                card.line(&format!("planned at {}; held against the world again before it starts", words::clock(*at)));
            match planned.saved.is_empty() {
                true => card.line("this plan can't be applied: start it from its page"),
                false => card,
            }
        }
    };
    card.page(base.map(|base| format!("{base}{}", proposal.own_page())))
}

/// One that somebody has decided about.
pub fn over(proposal: &Proposal) -> Card {
    let (word, said) = match &proposal.fate {
        Fate::Open => return about(Card::new(&name(proposal)), proposal),
        Fate::Started { by, at, instead } => {
            let instead = instead.map(|run| format!(": {} does the same already", run.short())).unwrap_or_default();
            ("▶", format!("started by {by} at {}{instead}", words::clock(*at)))
        }
        Fate::Dismissed { by, at } => ("–", format!("dismissed by {by} at {}", words::clock(*at))),
    };
    about(Card::new(&format!("{word} {} was {said}", name(proposal))), proposal)
}

/// One that nobody has decided about in time.
pub fn expired(runbook: &str, reason: &str) -> Card {
    Card::new(&format!("– {runbook} expired: nobody has started it in a week")).line(reason)
}

fn about(card: Card, proposal: &Proposal) -> Card {
    let card = card.line(&proposal.reason);
    let card = match proposal.status {
        State::Firing => card.line(&format!("not by itself: {}", proposal.why)),
        State::Resolved => card.line("the alert is over; it may be started all the same"),
    };
    let inputs: Vec<String> = proposal.inputs.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    match inputs.is_empty() {
        true => card,
        false => card.line(&words::shorten(&inputs.join(" "), INPUTS_CHARS_MAX)),
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn name(proposal: &Proposal) -> String {
    let on = proposal.target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
    format!("{} / {}{on}", proposal.runbook, proposal.run.short())
}
