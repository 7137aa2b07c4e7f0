//! Cards of a run: how it stands, what it waits for, how it ended. The same functions over the same events as the terminal.

use jiff::Timestamp;

use crate::engine::approvals::short;
use crate::engine::facts::{Facts, Finding, RunState};
use crate::engine::ids::StepPath;
use crate::engine::outcome::RunOutcome;
use crate::runs::RunRow;
use crate::surfaces::chat::card::Card;
use crate::transcript::text::Mark;
use crate::transcript::{Line, Marks, approval, summary, words};

/// Findings on a card: the worst ones.
const FINDINGS_MAX: usize = 10;
/// Choices that become buttons; a question with more is answered by typing.
pub const CHOICES_MAX: usize = 5;

/// Something that a run waits for people with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The same as long as it is the same wait.
    pub key: String,
    pub step: StepPath,
    pub kind: WaitKind,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// The digest of the change that waits.
    Approval(String),
    /// Choices, if they are few.
    Question(Vec<String>),
    Doubt,
}

/// `crash-loop / 7k3q9d`.
pub fn name(row: &RunRow) -> String {
    format!("{} / {}", row.runbook, row.run.short())
}

/// Where the page of a run is.
pub fn page(base: Option<&str>, row: &RunRow) -> Option<String> {
    base.map(|base| format!("{base}/runs/{}", row.run.short()))
}

/// How a run stands.
pub fn card(row: &RunRow, facts: &Facts, base: Option<&str>) -> Card {
    let mut about: Vec<&str> = row.target.iter().chain(&row.incident).map(String::as_str).collect();
    let by = format!("by {}", row.actor.id);
    about.push(&by);
    let mut card = Card::new(&format!("{} {}", sign(facts), name(row))).line(&about.join(" · ")).line(&state(facts));
    let lines = summary::handover(facts, None);
    for line in lines.iter().map(|line| line.plain().trim().to_owned()).filter(|line| !line.ends_with(": nothing")) {
        // What comes next is for who takes it over.
        if !line.starts_with("Next:") {
            card = card.line(&line);
        }
    }
    findings(card, facts).page(page(base, row))
}

/// The message at the end of a run.
pub fn ended(row: &RunRow, facts: &Facts, base: Option<&str>) -> Card {
    let took = row.ended_at.map(|at| words::stopwatch(words::between(row.started_at, at))).unwrap_or_default();
    let title = format!("{} {} {} after {took}", sign(facts), name(row), word(facts));
    let mut card = Card::new(&title);
    if let Some(end) = &facts.finished {
        for text in end.failed_step.iter().map(|step| format!("at {step}")).chain(end.message.clone()) {
            card = card.line(&text);
        }
        if let Some(error) = &end.error {
            card = card.line(&words::failure(error));
        }
    }
    findings(card, facts).page(page(base, row))
}

/// All that a run waits for people with.
pub fn waits(facts: &Facts) -> Vec<Wait> {
    let approvals = facts.approvals.open().map(|open| {
        let request = &open.request;
        let key = format!("approval {} {} {}", request.step, request.change, open.requested_at);
        Wait { key, step: request.step.clone(), kind: WaitKind::Approval(request.change.clone()) }
    });
    let questions = facts.questions().filter_map(|(path, record)| {
        let asked = record.asked.as_ref()?;
        let typed = !asked.fields.is_empty() || asked.choices.len() > CHOICES_MAX;
        let choices = if typed { Vec::new() } else { asked.choices.clone() };
        let at = record.started.as_ref().map(|started| started.at.to_string()).unwrap_or_default();
        Some(Wait { key: format!("question {path} {at}"), step: path.clone(), kind: WaitKind::Question(choices) })
    });
    let doubts = facts.doubts().map(|(path, record)| {
        let at = record.started.as_ref().map(|started| started.at.to_string()).unwrap_or_default();
        Wait { key: format!("doubt {path} {at}"), step: path.clone(), kind: WaitKind::Doubt }
    });
    approvals.chain(questions).chain(doubts).collect()
}

/// The message about one of them, without its buttons.
pub fn waiting(row: &RunRow, facts: &Facts, wait: &Wait, base: Option<&str>) -> Card {
    let mark = Marks::Unicode.sign(Mark::Waiting);
    let title = |what: &str| Card::new(&format!("{mark} {} {what}: {}", name(row), wait.step));
    let card = match &wait.kind {
        WaitKind::Approval(_) => approval_card(title("needs an approval"), facts, &wait.step),
        WaitKind::Question(_) => {
            let mut card = title("asks");
            if let Some(asked) = facts.step(&wait.step).and_then(|record| record.asked.as_ref()) {
                for line in asked.text.lines() {
                    card = card.line(line);
                }
                if !asked.choices.is_empty() {
                    card = card.line(&format!("one of: {}", asked.choices.join(", ")));
                }
                if let Some(expires) = asked.expires {
                    card = card.line(&format!("until {}", words::date_time(expires)));
                }
            }
            card.line(&format!("/rerail answer {} TEXT", row.run.short()))
        }
        WaitKind::Doubt => Card::new(&format!("? {} does not know what came of: {}", name(row), wait.step))
            .line("it may have happened; look on the other side, then decide on the page or in the terminal:")
            .line(&format!("rerail show {}", row.run.short())),
    };
    card.page(page(base, row))
}

/// The change that an approval is about, as it goes into the record with somebody's word.
pub fn approval_card(mut card: Card, facts: &Facts, step: &StepPath) -> Card {
    let Some(open) = facts.approvals.at(step) else { return card };
    let request = &open.request;
    for line in request.message.lines() {
        card = card.line(line);
    }
    let needs = match request.single {
        true => "nobody else is configured: its operator confirms it".to_owned(),
        false => format!("needs {}", approval::needs(&request.needs)),
    };
    let given: Vec<&str> = open.given.iter().map(|given| given.actor.id.as_str()).collect();
    let so_far = if given.is_empty() { String::new() } else { format!(" · so far: {}", given.join(", ")) };
    let left = words::stopwatch(words::between(Timestamp::now(), request.expires));
    card.line(&format!("{needs}{so_far} · until {} ({left})", words::clock(request.expires)))
        .code(&approval::changes(request, Marks::Unicode))
        .line(&format!("change {}", short(&request.change)))
}

/// What became of a wait, once it is over.
pub fn settled(row: &RunRow, facts: &Facts, key: &str) -> Card {
    let mut words = key.split(' ');
    let (kind, step) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let card = Card::new(&format!("{}: {step}", name(row)));
    let path = StepPath::new(step);
    match (kind, facts.approvals.at(&path)) {
        ("approval", Some(approval)) => {
            use crate::engine::approvals::ApprovalState;
            let who: Vec<&str> = approval.given.iter().map(|given| given.actor.id.as_str()).collect();
            match &approval.state {
                ApprovalState::Given | ApprovalState::Open => card.line(&format!("✓ approved by {}", who.join(", "))),
                ApprovalState::Rejected { actor, reason } => {
                    card.line(&format!("✗ rejected by {}: {reason}", actor.id))
                }
                ApprovalState::Expired => card.line("✗ too few agreed in time"),
                ApprovalState::Void { why } => card.line(&format!("! void: {why}")),
            }
        }
        ("question", _) => card.line("✓ no longer asked"),
        _ => card.line("✓ decided"),
    }
}

fn findings(mut card: Card, facts: &Facts) -> Card {
    let ranked: Vec<&Finding> = summary::ranked(facts);
    for finding in ranked.iter().take(FINDINGS_MAX) {
        card = card.line(&format!("{}: {}", words::level(finding.level), finding.say));
    }
    match ranked.len().saturating_sub(FINDINGS_MAX) {
        0 => card,
        left => card.line(&format!("… and {left} more findings")),
    }
}

/// What a run has found, to be told from another time.
pub fn found(facts: &Facts) -> Vec<String> {
    let mut found: Vec<String> = summary::ranked(facts)
        .iter()
        .map(|finding| format!("{}: {}", words::level(finding.level), finding.say))
        .collect();
    found.push(word(facts).to_owned());
    found
}

/// How it ended or stands, in words.
pub fn word(facts: &Facts) -> &'static str {
    match facts.state() {
        RunState::Ended(RunOutcome::Success) => "finished",
        RunState::Ended(RunOutcome::Failed) => "failed",
        RunState::Ended(RunOutcome::Cancelled) => "was cancelled",
        RunState::Ended(RunOutcome::Rejected) => "was rejected",
        RunState::Stuck => "is stuck half taken back",
        RunState::Running => "is running",
        RunState::Waiting => "waits",
        RunState::Paused => "is paused",
        RunState::InDoubt => "does not know what came of a step",
    }
}

fn state(facts: &Facts) -> String {
    let waits: Vec<String> = waits(facts).iter().map(|wait| wait.step.to_string()).collect();
    match waits.is_empty() {
        true => word(facts).to_owned(),
        false => format!("{}: {}", word(facts), waits.join(", ")),
    }
}

fn sign(facts: &Facts) -> &'static str {
    let mark = match facts.state() {
        RunState::Ended(RunOutcome::Success) => Mark::Done,
        RunState::Ended(_) | RunState::Stuck => Mark::Failed,
        RunState::Running => return "◌",
        RunState::Waiting | RunState::Paused => Mark::Waiting,
        RunState::InDoubt => Mark::Unknown,
    };
    Marks::Unicode.sign(mark)
}

/// Lines as plain text, for the record.
pub fn plain(lines: &[Line]) -> String {
    lines.iter().map(Line::plain).collect::<Vec<_>>().join("\n")
}
