//! A run of a server as it happens: its events without a gap, what people say to it here, and when looking ends.
//!
//! The connection may break and the server may be away for a while: the number of the last event says where to go on.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Response;
use serde_json::{Value as Json, json};

use crate::engine::facts::{Facts, RunState};
use crate::engine::ids::{RunId, StepPath};
use crate::engine::machine::Waits;
use crate::runs::{Control, ErrorKind, Foreground, RunsError, Watcher, Why, left_as};
use crate::script::value::Value;
use crate::surfaces::client::answers::event;
use crate::surfaces::client::asks::answer;
use crate::surfaces::client::sse::{Frame, Sse};
use crate::surfaces::client::wire::{AGAIN_AFTER, AWAY_WITHIN, Wire, refused};
use crate::surfaces::door::Myself;

/// How soon somebody who wants to go is let go, while nothing comes in.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a connection may say nothing: a server says something every 15 s.
const SILENT_WITHIN: Duration = Duration::from_secs(45);
/// How long nobody may drive a run that waits before whoever looks believes it.
const HAND_OVER: Duration = Duration::from_secs(1);
/// The same for a run that could go on: a server takes it up within a second or two, another one within three.
const TAKEN_UP: Duration = Duration::from_secs(10);

/// Who looks.
pub enum Hears<'a> {
    /// Somebody to whom the run belongs, as far as the terminal goes.
    Foreground { foreground: &'a mut Foreground, myself: &'a Myself },
    /// Somebody who only looks.
    Follower { watcher: &'a mut dyn Watcher, detach: &'a Receiver<()> },
}

/// Why looking ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Watched {
    Stands(Why),
    Detached,
}

/// What comes next.
enum Next {
    Frame(Frame),
    Control(Control),
    /// Nothing, for a moment.
    Quiet,
    /// The connection is gone.
    Lost,
}

struct Watch<'w, 'h> {
    wire: &'w Wire,
    run: RunId,
    hears: Hears<'h>,
    stream: Option<Response>,
    sse: Sse,
    /// When anything was heard of the server last.
    heard: Instant,
    told_away: bool,
    /// Whether somebody drives it, as far as is known.
    driven: bool,
    undriven_since: Option<Instant>,
    interrupts: u32,
}

/// Shows the events of a run behind those that `facts` knows, until it stands or whoever looks goes.
///
/// # Errors
/// If the server refuses, or is away for longer than a restart takes.
pub fn watch(wire: &Wire, run: RunId, facts: &mut Facts, hears: Hears<'_>) -> Result<Watched, RunsError> {
    let mut watch = Watch {
        wire,
        run,
        hears,
        stream: None,
        sse: Sse::default(),
        heard: Instant::now(),
        told_away: false,
        driven: true,
        undriven_since: None,
        interrupts: 0,
    };
    let from = facts.next_seq;
    let mut shown = true;
    loop {
        if watch.stream.is_none() {
            watch.connect(facts.next_seq)?;
        }
        match watch.next() {
            Next::Frame(frame) => {
                if watch.take(&frame, facts)? {
                    shown = false;
                    continue;
                }
            }
            Next::Control(control) => {
                if let Some(watched) = watch.obey(control) {
                    return Ok(watched);
                }
            }
            Next::Lost => watch.lose(),
            Next::Quiet => {}
        }
        if !shown {
            shown = true;
            let waits = watch.waits(facts);
            watch.watcher().waiting(&waits, facts);
        }
        if facts.next_seq > from
            && let Some(why) = watch.stands(facts)
        {
            return Ok(Watched::Stands(why));
        }
        if let Hears::Follower { detach, .. } = &watch.hears
            && detach.try_recv().is_ok()
        {
            return Ok(Watched::Detached);
        }
    }
}

impl Watch<'_, '_> {
    fn watcher(&mut self) -> &mut dyn Watcher {
        match &mut self.hears {
            Hears::Foreground { foreground, .. } => foreground.watcher.as_mut(),
            Hears::Follower { watcher, .. } => *watcher,
        }
    }

    /// Connects, if the server is there.
    fn connect(&mut self, next_seq: u64) -> Result<(), RunsError> {
        let id = self.run.uuid();
        let stream = self.wire.runtime().block_on(self.wire.listen(&id, next_seq.checked_sub(1)))?;
        match stream {
            Some(response) if response.status() == reqwest::StatusCode::NO_CONTENT => {
                // It had ended when this was asked; whether it does anything since is asked again.
                (self.heard, self.driven) = (Instant::now(), false);
                self.pause();
            }
            Some(response) => {
                self.heard = Instant::now();
                self.sse = Sse::default();
                self.stream = Some(response);
                if std::mem::take(&mut self.told_away) {
                    self.wire.say("the server is back");
                }
            }
            None if self.heard.elapsed() >= AWAY_WITHIN => {
                let run = self.run;
                return Err(self.wire.gone().hint(format!("the run is safe: see  rerail show {run} --follow")));
            }
            None => {
                if !self.told_away {
                    self.told_away = true;
                    self.wire.say("the server is away; looking for it");
                }
                self.pause();
            }
        }
        Ok(())
    }

    fn pause(&self) {
        self.wire.runtime().block_on(async { tokio::time::sleep(AGAIN_AFTER).await });
    }

    fn lose(&mut self) {
        self.stream = None;
        // Whoever drove it may have gone with the server; nothing is known until it says so.
        (self.driven, self.undriven_since) = (true, None);
    }

    /// Waits for whatever comes first. What is called back for it is called outside of this wait.
    fn next(&mut self) -> Next {
        if let Some(frame) = self.sse.next() {
            return Next::Frame(frame);
        }
        let Watch { wire, hears, stream, sse, heard, .. } = self;
        let said = async {
            match hears {
                Hears::Foreground { foreground, .. } => match foreground.control.recv().await {
                    Some(control) => control,
                    // Nobody can say anything any more.
                    None => std::future::pending().await,
                },
                Hears::Follower { .. } => std::future::pending().await,
            }
        };
        let chunk = async {
            match stream {
                Some(stream) => stream.chunk().await,
                None => std::future::pending().await,
            }
        };
        wire.runtime().block_on(async {
            tokio::select! {
                control = said => Next::Control(control),
                chunk = chunk => match chunk {
                    Ok(Some(bytes)) if sse.feed(&bytes) => {
                        *heard = Instant::now();
                        sse.next().map_or(Next::Quiet, Next::Frame)
                    }
                    Ok(_) | Err(_) => Next::Lost,
                },
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if heard.elapsed() >= SILENT_WITHIN { Next::Lost } else { Next::Quiet }
                }
            }
        })
    }

    /// Takes a frame in; whether it was an event of the run.
    fn take(&mut self, frame: &Frame, facts: &mut Facts) -> Result<bool, RunsError> {
        match frame.event.as_deref() {
            None => {
                let event = event(&frame.data)?;
                // Seen before the connection broke.
                if event.seq < facts.next_seq {
                    return Ok(false);
                }
                facts.apply(&event).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
                self.undriven_since = None;
                self.watcher().events(&[event], facts);
                Ok(true)
            }
            Some("driver") => {
                let said: Json = serde_json::from_str(&frame.data).unwrap_or_default();
                self.driven = said["driven"] != false;
                Ok(false)
            }
            Some("problem") => {
                let problem: Json = serde_json::from_str(&frame.data).unwrap_or_default();
                Err(refused(&problem))
            }
            Some(_) => Ok(false),
        }
    }

    /// What is waited for: for somebody who only looks all questions, for others what they may say something to.
    fn waits(&self, facts: &Facts) -> Waits {
        let questions = facts.questions();
        let Hears::Foreground { myself, .. } = &self.hears else {
            return Waits { questions: questions.map(|(path, _)| path.clone()).collect(), ..Waits::default() };
        };
        let actor = &myself.actor;
        let mine = |by: &[String]| myself.single_operator || (actor.person && (by.is_empty() || actor.is_one_of(by)));
        let questions = questions.filter(|(_, record)| record.asked.as_ref().is_none_or(|asked| mine(&asked.by)));
        let single = myself.single_operator && !actor.person;
        let may_say = |step: &StepPath, change: &str| {
            facts.refuses_approval(step, change, actor, Timestamp::now(), single).is_none()
        };
        let approvals = facts.approvals.open().map(|approval| &approval.request);
        let approvals = approvals.filter(|request| may_say(&request.step, &request.change));
        Waits {
            questions: questions.map(|(path, _)| path.clone()).collect(),
            approvals: approvals.map(|request| request.step.clone()).collect(),
            ..Waits::default()
        }
    }

    /// How the run stands, once it is sure that it goes on by nobody for now.
    fn stands(&mut self, facts: &Facts) -> Option<Why> {
        if let RunState::Ended(_) | RunState::Stuck = facts.state() {
            return Some(Why::Ended);
        }
        // What waits for people rests, and its server takes it up as soon as somebody has spoken: who only looks stays.
        let rests = matches!(self.hears, Hears::Follower { .. }) && facts.state() == RunState::Waiting;
        if self.driven || self.stream.is_none() || rests {
            self.undriven_since = None;
            return None;
        }
        let since = *self.undriven_since.get_or_insert_with(Instant::now);
        let waits = self.waits(facts);
        let attended = matches!(&self.hears, Hears::Foreground { foreground, .. } if foreground.attended);
        if attended && !(waits.questions.is_empty() && waits.approvals.is_empty()) {
            return None;
        }
        let patience = if facts.state() == RunState::Running { TAKEN_UP } else { HAND_OVER };
        (since.elapsed() >= patience).then(|| left_as(facts))
    }

    /// Does what somebody says here; `Some` if they go.
    fn obey(&mut self, control: Control) -> Option<Watched> {
        let (what, body) = match control {
            Control::Interrupt if self.interrupts > 0 => return Some(Watched::Stands(Why::Interrupted)),
            Control::Interrupt => {
                self.interrupts += 1;
                self.watcher().winding_down();
                ("cancel", json!({}))
            }
            Control::Leave(parting) => return Some(Watched::Stands(Why::Left(parting))),
            Control::Pause => {
                self.watcher().winding_down();
                ("pause", json!({}))
            }
            Control::Answer { step, answer: value } => ("answer", answer(Some(step.as_str()), &typed(&value))),
            Control::Approve { step, change, .. } => ("approve", json!({ "step": step, "change": change })),
            Control::Reject { step, change, reason } => {
                ("reject", json!({ "step": step, "change": change, "reason": reason }))
            }
        };
        if let Err(error) = self.wire.act(&["api", "v1", "runs", &self.run.uuid(), what], &body) {
            self.wire.say(&format!("{what}: {}", error.message));
        }
        None
    }
}

/// An answer as it would be typed.
fn typed(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::Text(text) => text.to_string(),
        other => other.to_plain().to_string(),
    };
    match value {
        Value::Map(fields) => fields.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        other => vec![("answer".to_owned(), text(other))],
    }
}
