//! Looking again and again: a runbook that only reads is started every so often, and something is said when it finds
//! something else than before. Ends by itself.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::facts::RunState;
use crate::engine::ids::RunId;
use crate::runbook::spec::Effect;
use crate::runbook::types::parse_duration;
use crate::runs::{Began, ErrorKind, Prepared, RunRow, Runs, RunsError};
use crate::surfaces::chat::asked::{Asked, Place, Speaker};
use crate::surfaces::chat::card::Card;
use crate::surfaces::chat::command::Start;
use crate::surfaces::chat::saying::Saying;
use crate::surfaces::chat::turn::{Turn, in_turn};
use crate::surfaces::chat::voice::Voice;
use crate::surfaces::chat::{hung, links, sign, story};
use crate::surfaces::http::{Job, Server};
use crate::transcript::words;

/// What is looked at, by the id of the stalk.
const SHELF: &str = "chat.stalks";
/// How long one lasts: whoever wants to know for longer says so again, or writes a schedule.
const LASTS: Duration = Duration::from_secs(2 * 3600);
/// How often it looks unless told otherwise.
const EVERY: Duration = Duration::from_secs(60);
/// The shortest time between two looks: each is a run in the journal.
const EVERY_MIN: Duration = Duration::from_secs(10);
/// Stalks of one store: each is a run every few seconds at worst.
const STALKS_MAX: usize = 10;
/// Letters of an id.
const ID_CHARS: usize = 6;
/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stalk {
    pub id: String,
    start: Start,
    place: Place,
    speaker: Speaker,
    every_ms: u64,
    pub until: Timestamp,
    next: Timestamp,
    /// The run that looks now: its name is written down before it starts, so that it starts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// The digest of what was found last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<String>,
}

impl Stalk {
    /// How often it looks, in words.
    pub fn every(&self) -> String {
        words::stopwatch(self.every_ms)
    }
}

/// Begins to look. The same request begins one stalk, however often it is worked through.
///
/// # Errors
/// If the runbook may change something, `every` is no time or too short, or there are too many.
pub fn begin(
    runs: &Runs,
    prepared: &Prepared,
    start: &Start,
    every: Option<&str>,
    asked: &Asked,
    name: &str,
) -> Result<Stalk, RunsError> {
    let wrong = |said: String| RunsError::new(ErrorKind::Usage, said);
    if let Some(change) = prepared.changes.iter().find(|change| change.effect > Effect::Read) {
        let said = format!("`{}` may do more than look: {} ({})", start.runbook, change.step, change.effect.word());
        return Err(wrong(said).hint("only what reads can be started again and again"));
    }
    let every = match every {
        None => EVERY,
        Some(text) => parse_duration(text).map_err(wrong)?,
    };
    if every < EVERY_MIN || every > LASTS {
        let said = format!("expected {} s to 2h for `every`, got {}", EVERY_MIN.as_secs(), every.as_secs());
        return Err(wrong(said));
    }
    let now = Timestamp::now();
    let letters: String = sign::digest(name).chars().take(ID_CHARS).collect();
    let stalk = Stalk {
        id: letters,
        start: start.clone(),
        place: asked.place.clone(),
        speaker: asked.speaker.clone(),
        every_ms: u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
        until: now + LASTS,
        next: now,
        run: None,
        found: None,
    };
    if let Some(known) = get(runs, &stalk.id)? {
        return Ok(known);
    }
    let all = all(runs)?;
    if all.len() >= STALKS_MAX {
        let names: Vec<&str> = all.iter().map(|stalk| stalk.start.runbook.as_str()).collect();
        let said = format!("{STALKS_MAX} runbooks look already, as many as may: {}", names.join(", "));
        return Err(RunsError::new(ErrorKind::Busy, said).hint("/rerail stalk stop ends those of this channel"));
    }
    put(runs, &stalk)?;
    Ok(stalk)
}

/// Ends what looks for a channel, or the one with this id; gives what was looked at.
///
/// # Errors
/// If the journal can't be written.
pub fn stop(runs: &Runs, place: &Place, id: Option<&str>) -> Result<Vec<String>, RunsError> {
    let mut stopped = Vec::new();
    for stalk in all(runs)? {
        let here = stalk.place.chat == place.chat && stalk.place.channel == place.channel;
        if here && id.is_none_or(|id| id == stalk.id) && runs.shelf(SHELF).take(&stalk.id)?.is_some() {
            stopped.push(stalk.start.runbook);
        }
    }
    Ok(stopped)
}

fn get(runs: &Runs, id: &str) -> Result<Option<Stalk>, RunsError> {
    Ok(runs.shelf(SHELF).get(id)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn put(runs: &Runs, stalk: &Stalk) -> Result<(), RunsError> {
    runs.shelf(SHELF).put(&stalk.id, &text(stalk)?, None)
}

/// Writes it down unless somebody has ended it since it was read.
fn replace(runs: &Runs, was: &Stalk, stalk: &Stalk) -> Result<bool, RunsError> {
    runs.shelf(SHELF).swap(&stalk.id, Some(&text(was)?), &text(stalk)?, None)
}

fn all(runs: &Runs) -> Result<Vec<Stalk>, RunsError> {
    Ok(runs.shelf(SHELF).all()?.into_iter().filter_map(|(_, text)| serde_json::from_str(&text).ok()).collect())
}

fn text(stalk: &Stalk) -> Result<String, RunsError> {
    serde_json::to_string(stalk).map_err(|error| RunsError::new(ErrorKind::Internal, error.to_string()))
}

/// Looks for all of them.
pub struct Stalks;

impl Job for Stalks {
    fn name(&self) -> &'static str {
        "chat-stalks"
    }

    fn run(&self, server: &Arc<Server>) {
        in_turn(server, "stalks", "what looks again and again can't go on", |turn| look(server, turn));
    }
}

fn look(server: &Arc<Server>, turn: &mut Turn) -> Result<(), RunsError> {
    let stalks = all(server.journal())?;
    if stalks.is_empty() {
        return Ok(());
    }
    let Ok(runs) = server.door() else { return Ok(()) };
    for stalk in stalks {
        if server.is_leaving() || !turn.take(&runs)? {
            break;
        }
        if let Err(error) = one(server, &runs, &stalk) {
            // Started by somebody who may no longer, or a runbook that is gone: said once, and ended.
            end(server, &runs, &stalk, &format!("ended: {}", error.message))?;
        }
    }
    Ok(())
}

fn one(server: &Arc<Server>, runs: &Arc<Runs>, stalk: &Stalk) -> Result<(), RunsError> {
    let now = Timestamp::now();
    if let Some(id) = &stalk.run {
        match hung::row_of(runs, id)? {
            Some(row) => return looked(server, runs, stalk, &row),
            // Written down and never started: a crash.
            None => return start(server, runs, stalk, id),
        }
    }
    if now >= stalk.until {
        return end(server, runs, stalk, "its two hours are over");
    }
    if now < stalk.next {
        return Ok(());
    }
    let run = RunId::new(uuid::Uuid::now_v7()).uuid();
    let named = Stalk { run: Some(run.clone()), ..stalk.clone() };
    if !replace(runs, stalk, &named)? {
        return Ok(());
    }
    start(server, runs, &named, &run)
}

fn start(server: &Arc<Server>, runs: &Arc<Runs>, stalk: &Stalk, id: &str) -> Result<(), RunsError> {
    let Ok(uuid) = uuid::Uuid::parse_str(id) else { return Ok(()) };
    let caller = links::caller(runs, &stalk.speaker)?
        .ok_or_else(|| RunsError::new(ErrorKind::NotAllowed, "nobody is linked any more to whom it looks for"))?;
    let actor = runs.identify(&caller)?;
    let prepared = runs.prepare(&stalk.start.request())?;
    // The runbook may have been changed since.
    if prepared.changes.iter().any(|change| change.effect > Effect::Read) {
        return Err(RunsError::new(ErrorKind::NotAllowed, "the runbook may do more than look by now"));
    }
    runs.may_start(&prepared, &actor)?;
    match server.fleet.start(Arc::clone(runs), prepared.called(RunId::new(uuid)), actor) {
        Ok(Began::Run(_)) => Ok(()),
        // Somebody else's run does the same: this one looks when it is due again.
        Ok(Began::Attach(row)) if row.run.uuid() != id => next(runs, stalk, None),
        Ok(Began::Attach(_)) => Ok(()),
        Err(error) if matches!(error.kind, ErrorKind::Busy | ErrorKind::Interrupted(_)) => next(runs, stalk, None),
        Err(error) => Err(error),
    }
}

/// Says what a look has found, if it is something else than before.
fn looked(server: &Arc<Server>, runs: &Arc<Runs>, stalk: &Stalk, row: &RunRow) -> Result<(), RunsError> {
    let facts = runs.facts(row)?;
    match facts.state() {
        RunState::Ended(_) | RunState::Stuck => {}
        // What looks and asks people is nothing to be done again and again.
        RunState::Waiting => return Err(RunsError::new(ErrorKind::Usage, "the runbook asks people")),
        RunState::Running | RunState::Paused | RunState::InDoubt => return Ok(()),
    }
    let found = sign::digest(&story::found(&facts).join("\n"));
    if stalk.found.as_deref() == Some(&found) {
        return next(runs, stalk, Some(found));
    }
    let first = stalk.found.is_none();
    let mut card = story::ended(row, &facts, server.url());
    card = card.line(if first { "first look; from now on only changes are said" } else { "something has changed" });
    let saying = Saying::of(&row.run.uuid(), "looked");
    match Voice::of(runs, stalk.place.chat, server.url()).map(|voice| voice.post_surely(&stalk.place, &saying, card)) {
        // Said at the next look then.
        Some(Err(trouble)) => {
            tracing::warn!(chat = stalk.place.chat.word(), %trouble, "a change was not said");
            next(runs, stalk, stalk.found.clone())
        }
        _ => next(runs, stalk, Some(found)),
    }
}

/// Writes down when it looks again.
fn next(runs: &Runs, stalk: &Stalk, found: Option<String>) -> Result<(), RunsError> {
    let next = Timestamp::now() + Duration::from_millis(stalk.every_ms);
    let found = found.or_else(|| stalk.found.clone());
    replace(runs, stalk, &Stalk { run: None, next, found, ..stalk.clone() }).map(drop)
}

fn end(server: &Arc<Server>, runs: &Arc<Runs>, stalk: &Stalk, why: &str) -> Result<(), RunsError> {
    if runs.shelf(SHELF).take(&stalk.id)?.is_some()
        && let Some(voice) = Voice::of(runs, stalk.place.chat, server.url())
    {
        let card = Card::new(&format!("{} no longer looks", stalk.start.runbook)).line(why);
        let saying = Saying::which(&stalk.id, "looks no more", &stalk.until.to_string());
        if let Err(trouble) = voice.post_surely(&stalk.place, &saying, card) {
            tracing::warn!(chat = stalk.place.chat.word(), %trouble, "the end of a stalk was not said");
        }
    }
    Ok(())
}
