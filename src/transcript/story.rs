//! Runs told by hand, for tests.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::engine::event::{
    Actor, Body, ENGINE_SEMANTICS, EVENT_VERSION, Event, Planned, RunStarted, StepFinished, StepStarted, Suggest,
};
use crate::engine::facts::Facts;
use crate::engine::ids::{RunId, StepPath};
use crate::engine::outcome::{Failure, FailureKind, Outcome, RunOutcome};
use crate::runbook::model::Level;
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::{Map, Value};
use crate::transcript::line::{Detail, Style, lines};
use crate::transcript::text::Marks;
use crate::transcript::words;

/// A run's id, whose short form is `04bc3t`.
pub(crate) const RUN: &str = "01930000-0000-7000-8000-00000045b07a";

pub(crate) fn run_id() -> RunId {
    RUN.parse().unwrap()
}

pub(crate) fn ana() -> Actor {
    Actor::new("ana", "cli")
}

pub(crate) fn started() -> Event {
    Story::begun().events.remove(0)
}

pub(crate) fn map(json: Json) -> Map {
    Value::from_data(&json).as_map().cloned().unwrap()
}

/// Events told one after another, folded as they come.
pub(crate) struct Story {
    pub events: Vec<Event>,
    pub facts: Facts,
    now: Timestamp,
    /// The next step may not run.
    pub(crate) maybe: bool,
}

impl Story {
    pub(crate) fn begun() -> Story {
        let mut story = Story {
            events: Vec::new(),
            facts: Facts::default(),
            now: "2026-11-21T14:03:02Z".parse().unwrap(),
            maybe: false,
        };
        story.tell(Body::RunStarted(Box::new(RunStarted {
            semantics: ENGINE_SEMANTICS,
            run: run_id(),
            runbook: "crash-loop".into(),
            title: "Crash loop from missing variables".into(),
            files: Vec::new(),
            target: Some("production".into()),
            inputs: map(json!({"service": "backend"})),
            vars: Map::new(),
            providers: Map::new(),
            actor: ana(),
            reason: Some("pager".into()),
            incident: Some("INC-42".into()),
            effects: vec![Effect::Read, Effect::Write],
            fence: 0,
            group: None,
            previous: None,
            timeout_ms: None,
            floors: None,
            cover: None,
            plan: None,
            traceparent: None,
            rehearsal: false,
            root: None,
            store: None,
        })));
        story
    }

    pub(crate) fn after_ms(&mut self, ms: i64) -> &mut Story {
        self.now += jiff::SignedDuration::from_millis(ms);
        self
    }

    pub(crate) fn tell(&mut self, body: Body) -> &mut Story {
        let event = Event { v: EVENT_VERSION, seq: self.facts.next_seq, ts: self.now, body };
        self.facts.apply(&event).unwrap();
        self.events.push(event);
        self
    }

    pub(crate) fn starts(
        &mut self,
        step: &str,
        uses: Option<&str>,
        body: &str,
        effect: Effect,
        with: Json,
    ) -> &mut Story {
        let attempt = self.facts.step(&step.into()).map_or(1, |record| record.next_attempt());
        let maybe = std::mem::take(&mut self.maybe);
        self.tell(Body::StepStarted(Arc::new(StepStarted {
            step: step.into(),
            attempt,
            name: None,
            body: body.into(),
            uses: uses.map(str::to_owned),
            effect,
            repeat: Repeat::Once,
            with: Value::from_json(&with).as_map().cloned().unwrap_or_default(),
            vars: Map::new(),
            key: None,
            given: None,
            timeout_ms: None,
            within_ms: None,
            maybe,
            why: Map::new(),
            reveal: Vec::new(),
        })))
    }

    pub(crate) fn read(&mut self, step: &str, uses: &str) -> &mut Story {
        self.starts(step, Some(uses), "uses", Effect::Read, json!({"url": "https://api.example.com/health"}))
    }

    pub(crate) fn write(&mut self, step: &str) -> &mut Story {
        let with = json!({"method": "POST", "url": "https://api.example.com/vars"});
        self.starts(step, Some("http.request"), "uses", Effect::Write, with)
    }

    pub(crate) fn ends(&mut self, step: &str, outcome: Outcome, outputs: Json, error: Option<Failure>) -> &mut Story {
        self.ends_planned(step, outcome, outputs, error, None)
    }

    pub(crate) fn ends_planned(
        &mut self,
        step: &str,
        outcome: Outcome,
        outputs: Json,
        error: Option<Failure>,
        planned: Option<Planned>,
    ) -> &mut Story {
        let started = self.facts.step(&step.into()).and_then(|record| record.started.clone()).unwrap();
        let ms = words::between(started.at, self.now);
        let outputs = Value::from_json(&outputs);
        let attempt = started.intent.attempt;
        let step = step.into();
        let end = StepFinished { step, attempt, outcome, outputs, error, broken_at: None, ms, planned };
        self.tell(Body::StepFinished(Arc::new(end)))
    }

    pub(crate) fn done(&mut self, step: &str, outputs: Json) -> &mut Story {
        self.ends(step, Outcome::Done, outputs, None)
    }

    pub(crate) fn fails(&mut self, step: &str, message: &str) -> &mut Story {
        self.ends(step, Outcome::Failed, Json::Null, Some(Failure::new(FailureKind::Status, message)))
    }

    pub(crate) fn doubts(&mut self, step: &str) -> &mut Story {
        let failure = Failure::new(FailureKind::Timeout, "no answer within 10s after the request was sent");
        self.ends(step, Outcome::InDoubt, Json::Null, Some(failure))
    }

    pub(crate) fn asks(&mut self, step: &str, text: &str) -> &mut Story {
        self.starts(step, Some("human.ask"), "uses", Effect::Read, json!({ "text": text }));
        self.tell(Body::AskAsked {
            step: step.into(),
            text: text.into(),
            choices: vec!["safe".into(), "not safe".into()],
            fields: Map::new(),
            by: vec!["oncall".into()],
            expires: Some("2026-11-21T14:18:02Z".parse().unwrap()),
        })
    }

    pub(crate) fn answered(&mut self, step: &str, answer: &str, by: &str) -> &mut Story {
        let actor = Actor::new(by, "chat");
        self.tell(Body::AskAnswered { step: step.into(), answer: answer.into(), actor, at: None })
    }

    pub(crate) fn finds(&mut self, step: &str, level: Level, say: &str, suggest: Option<Suggest>) -> &mut Story {
        self.starts(step, None, "findings", Effect::Pure, json!({}));
        self.tell(Body::Finding { step: step.into(), level, say: say.into(), suggest });
        self.done(step, json!({"count": 1}))
    }

    pub(crate) fn notes(&mut self, text: &str) -> &mut Story {
        self.tell(Body::Note { text: text.into(), actor: Some(ana()), step: None })
    }

    pub(crate) fn finished(&mut self) -> &mut Story {
        self.ended(RunOutcome::Success, None, None)
    }

    pub(crate) fn failed_at(&mut self, step: &str, message: &str) -> &mut Story {
        self.ended(RunOutcome::Failed, Some(step.into()), Some(Failure::new(FailureKind::Status, message)))
    }

    pub(crate) fn ended(
        &mut self,
        outcome: RunOutcome,
        failed_step: Option<StepPath>,
        error: Option<Failure>,
    ) -> &mut Story {
        self.tell(Body::RunFinished { outcome, failed_step, error, outputs: Map::new(), message: None })
    }

    /// Everything as lines, as `show` draws it.
    pub(crate) fn shown(&self, marks: Marks, detail: Detail) -> String {
        let mut facts = Facts::default();
        let mut text = String::new();
        for event in &self.events {
            facts.apply(event).unwrap();
            for line in lines(event, &facts, Style { marks, detail }) {
                text.push_str(&line.plain());
                text.push('\n');
            }
        }
        text
    }
}
