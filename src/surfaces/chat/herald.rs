//! Tells rooms what nobody there has asked for: proposals with their buttons, runs that alerts have begun, and what came of
//! those of schedules. What has become of a run is then told by the keeper of its card.

use std::sync::Arc;

use crate::engine::facts::{Facts, RunState};
use crate::engine::outcome::RunOutcome;
use crate::runbook::model::Level;
use crate::runs::{RunRow, Runs, RunsError, Status};
use crate::surfaces::alerts::proposals::{self, Fate, Proposal};
use crate::surfaces::chat::buttons::{self, Act, Shown};
use crate::surfaces::chat::card::{Card, Style};
use crate::surfaces::chat::hung;
use crate::surfaces::chat::news::{self, News, What};
use crate::surfaces::chat::pauses::Pauses;
use crate::surfaces::chat::saying::Saying;
use crate::surfaces::chat::turn::{Turn, Why, in_turn};
use crate::surfaces::chat::voice::Voice;
use crate::surfaces::chat::{proposal, sign, story};
use crate::surfaces::http::{Job, Server};

/// Tells all news of the store.
pub struct Herald;

impl Job for Herald {
    fn name(&self) -> &'static str {
        "chat-news"
    }

    fn run(&self, server: &Arc<Server>) {
        let mut pauses = Pauses::default();
        in_turn(server, "news", "news can't be told in chats", |turn| look(server, turn, &mut pauses));
    }
}

fn look(server: &Arc<Server>, turn: &mut Turn, pauses: &mut Pauses) -> Result<(), RunsError> {
    // Without news nothing is read but one shelf, and nothing written.
    let all = news::all(server.journal())?;
    pauses.keep(|key| all.iter().any(|news| key.starts_with(&news.run.uuid())));
    if all.is_empty() {
        return Ok(());
    }
    let Ok(runs) = server.door() else { return Ok(()) };
    for mut news in all {
        for at in 0..news.rooms.len() {
            // A chat may take long; the turn must not be over meanwhile.
            if server.is_leaving() || !turn.take(&runs)? {
                return Ok(());
            }
            let key = news.rooms[at].key(&news);
            if news.rooms[at].done || pauses.rests(&key) {
                continue;
            }
            let Some(voice) = Voice::of(&runs, news.rooms[at].place.chat, server.url()) else { continue };
            let told = Telling { runs: &runs, voice: &voice, base: server.url() }.room(&mut news, at);
            match told {
                Ok(()) => pauses.well(&key),
                Err(Why::Chat(trouble)) => {
                    tracing::warn!(chat = news.rooms[at].place.chat.word(), run = %news.run, %trouble, "news were not taken");
                    if pauses.trouble(&key, &trouble) {
                        news.rooms[at].done = true;
                        news::keep(&runs, &news)?;
                    }
                }
                Err(Why::Own(error)) => return Err(error),
            }
        }
    }
    Ok(())
}

struct Telling<'t> {
    runs: &'t Arc<Runs>,
    voice: &'t Voice<'t>,
    base: Option<&'t str>,
}

impl Telling<'_> {
    /// Tells one room what it doesn't know yet. What was said is kept at once, so that a kill doubles one message at most.
    fn room(&self, news: &mut News, at: usize) -> Result<(), Why> {
        if !self.voice.may_speak_in(&news.rooms[at].place.channel) {
            // The project has changed since: only the listed channels are spoken in.
            return self.done(news, at);
        }
        match news.what.clone() {
            What::Said { title, lines } => {
                let card = lines.iter().fold(Card::new(&title), |card, line| card.line(line));
                self.voice.post(&news.rooms[at].place, &Saying::of(&news.run.uuid(), "news"), card)?;
                crate::failpoint::hit("news.said");
                self.done(news, at)
            }
            What::Trouble => self.trouble(news, at),
            What::Start => self.start(news, at),
        }
    }

    /// A run whose beginning nobody has to hear of.
    fn trouble(&self, news: &mut News, at: usize) -> Result<(), Why> {
        // Its time is claimed and it has not begun.
        let Some(row) = self.runs.existing(news.run)? else { return Ok(()) };
        match row.status {
            Status::Running => Ok(()),
            Status::Waiting | Status::InDoubt | Status::Paused => self.hang(news, at, &row),
            Status::Ended(_) | Status::Stuck | Status::Undone => {
                let facts = self.runs.facts(&row)?;
                if is_worth_a_word(&facts) {
                    let saying = Saying::of(&row.run.uuid(), "ended");
                    self.voice.post(&news.rooms[at].place, &saying, story::ended(&row, &facts, self.base))?;
                    crate::failpoint::hit("news.ended");
                }
                self.done(news, at)
            }
        }
    }

    fn start(&self, news: &mut News, at: usize) -> Result<(), Why> {
        if let Some(row) = self.runs.existing(news.run)? {
            return self.hang(news, at, &row);
        }
        let Some(proposal) = proposals::find(self.runs, news.run)? else {
            return match news.rooms[at].message.is_some() {
                // Nobody has started it in time.
                true => self.last(news, at, proposal::expired(&news.runbook, &news.reason)),
                // It is being made.
                false => Ok(()),
            };
        };
        match &proposal.fate {
            Fate::Open => self.open(news, at, &proposal),
            Fate::Started { instead: Some(run), .. } => match self.runs.existing(*run)? {
                Some(row) if hung::is_at(self.runs, &row, &news.rooms[at].place)? => {
                    self.last(news, at, proposal::over(&proposal).page(story::page(self.base, &row)))
                }
                Some(row) => self.hang(news, at, &row),
                None => self.last(news, at, proposal::over(&proposal)),
            },
            Fate::Started { .. } | Fate::Dismissed { .. } => self.last(news, at, proposal::over(&proposal)),
        }
    }

    /// The card of an open proposal, with buttons for the plan that it shows.
    fn open(&self, news: &mut News, at: usize, open: &Proposal) -> Result<(), Why> {
        let planned = proposals::planned_as(self.runs, open)?;
        let mut card = proposal::card(open, planned.as_ref(), self.base);
        let drawn = sign::digest(&format!("{}\n{:?}", card.plain(), open.digest()));
        let room = &news.rooms[at];
        if drawn == room.drawn {
            return Ok(());
        }
        let until = open.until().unwrap_or_else(|| jiff::Timestamp::now() + buttons::LASTS);
        let shown = Shown { proposal: open.run, digest: open.digest().unwrap_or_default().to_owned() };
        if planned.is_some_and(|planned| !planned.saved.is_empty()) {
            let holds = buttons::mint(self.runs, Act::Begin(shown.clone()), &[], until)?;
            card = card.button("Start", &holds, Style::Good);
        }
        let holds = buttons::mint(self.runs, Act::Dismiss(shown), &[], until)?;
        card = card.button("Dismiss", &holds, Style::Plain);
        if !self.voice.has_buttons() {
            card = card.line("no button leads back from here: start `rerail serve` with --url");
        }
        match &room.message {
            Some(message) => self.voice.edit(&room.place, message, card)?,
            None => {
                let message = self.voice.post(&room.place, &Saying::of(&news.run.uuid(), "proposal"), card)?;
                crate::failpoint::hit("news.posted");
                news.rooms[at].message = Some(message);
            }
        }
        news.rooms[at].drawn = drawn;
        Ok(news::keep(self.runs, news)?)
    }

    /// The live card of a run takes the place of what was said so far; who keeps it says the rest.
    fn hang(&self, news: &mut News, at: usize, row: &RunRow) -> Result<(), Why> {
        let place = news.rooms[at].place.clone();
        let message = match &news.rooms[at].message {
            Some(message) => message.clone(),
            None => {
                let facts = self.runs.facts(row)?;
                let saying = Saying::of(&row.run.uuid(), "card");
                let message = self.voice.post(&place, &saying, story::card(row, &facts, self.base))?;
                crate::failpoint::hit("news.carded");
                news.rooms[at].message = Some(message.clone());
                news::keep(self.runs, news)?;
                message
            }
        };
        hung::hang_once(self.runs, row, &place, &message)?;
        crate::failpoint::hit("news.hung");
        self.done(news, at)
    }

    /// What is said at the end, where something was said before.
    fn last(&self, news: &mut News, at: usize, card: Card) -> Result<(), Why> {
        let room = &news.rooms[at];
        if let Some(message) = &room.message {
            self.voice.edit(&room.place, message, card)?;
        }
        self.done(news, at)
    }

    fn done(&self, news: &mut News, at: usize) -> Result<(), Why> {
        news.rooms[at].done = true;
        Ok(news::keep(self.runs, news)?)
    }
}

/// Whether people should hear of a run that nobody has asked for.
fn is_worth_a_word(facts: &Facts) -> bool {
    let went_well = facts.state() == RunState::Ended(RunOutcome::Success);
    !went_well || crate::transcript::summary::ranked(facts).iter().any(|finding| finding.level > Level::Ok)
}
