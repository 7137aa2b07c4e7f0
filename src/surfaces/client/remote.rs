//! Runs of a server, as commands meet them.
//!
//! Shapes of the server become what the door of the journal gives, so that the same code shows them.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use crate::engine::approvals::Approval;
use crate::engine::event::{Actor, Event, Hold};
use crate::engine::facts::Facts;
use crate::engine::ids::{RunId, StepPath};
use crate::runs::{
    Begun, Checkpoint, Checkup, DecideRequest, Delivered, ErrorKind, Fitness, Followed, Foreground, Handover, LastHold,
    Left, RunRow, RunsError, StartRequest, Taken, Waiting, Watcher, Why,
};
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::client::answers::{
    asking, events, last_hold, myself, read, row, somebody, standing, taken, text, texts,
};
use crate::surfaces::client::asks::{agreed, answer, because, body_of, go_on, named, start, telling_of, word};
use crate::surfaces::client::watch::{Hears, Watched, watch};
use crate::surfaces::client::wire::{Wire, refused, strange};
use crate::surfaces::door::{
    ApplyWay, Applying, Compared, Door, Myself, PlanFile, Planned, Ready, Saved, Standing, UndoWay, Undoing, Wanted,
    Warnings, Way, elsewhere,
};
use crate::surfaces::shapes::fitness::to_checkups;
use crate::surfaces::shapes::lines::{to_lines, word_of};
use crate::surfaces::shapes::plan::{Telling, Told, to_changes};
use crate::surfaces::shapes::story::Format;
use crate::surfaces::shapes::verify::Verified;
use crate::transcript::{Line, Marks};

/// Runs on one page of a server.
const PAGE_MAX: u32 = 500;
/// How long is waited for the signature at the end of a run, which comes behind its last event.
const SIGNED_WITHIN: Duration = Duration::from_secs(2);
/// How often is looked whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The door of a server.
pub struct Remote {
    wire: Wire,
}

impl Remote {
    /// Runs at the other end of this wire.
    pub fn new(wire: Wire) -> Remote {
        Remote { wire }
    }

    fn look(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Json, RunsError> {
        self.wire.get(&[&["api", "v1"], path].concat(), query)?.json()
    }

    fn look_at(&self, run: RunId, what: &[&str], query: &[(&str, &str)]) -> Result<Json, RunsError> {
        self.look(&[&["runs", &run.uuid()], what].concat(), query)
    }

    fn act(&self, run: RunId, what: &str, body: &Json) -> Result<Json, RunsError> {
        self.wire.act(&["api", "v1", "runs", &run.uuid(), what], body)?.json()
    }

    fn facts_of(&self, run: RunId) -> Result<Facts, RunsError> {
        let events =
            events(&self.wire.get(&["api", "v1", "runs", &run.uuid(), "export"], &[("format", "jsonl")])?.text)?;
        Facts::fold(&events).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))
    }

    /// An approval of the server, with the change as its run recorded it.
    fn waiting(&self, json: &Json, run: &RunRow, facts: &Facts, actor: &Actor) -> Result<Waiting, RunsError> {
        let step = StepPath::new(json["step"].as_str().unwrap_or_default());
        let found: Option<&Approval> = facts.approvals.at(&step);
        let approval = found.cloned().ok_or_else(|| strange(&format!("the run has no approval at `{step}`")))?;
        let requester = facts.started.as_ref().map(|started| started.actor.clone()).unwrap_or_default();
        Ok(Waiting {
            run: run.clone(),
            approval,
            requester,
            actor: actor.clone(),
            who: texts(&json["who"]),
            refused: json["why_not"].as_str().map(str::to_owned),
            said: Vec::new(),
        })
    }

    /// Shows the run that a request has begun.
    fn begun(&self, json: &Json, foreground: Foreground) -> Result<Begun, RunsError> {
        let id = text(&json["id"]);
        if json["attached"] == true {
            return Ok(Begun::Attach(Box::new(self.find(&id)?)));
        }
        let run: RunId = id.parse().map_err(|_| strange("a run has no id"))?;
        Ok(Begun::Left(Box::new(self.show(run, Facts::default(), foreground)?)))
    }

    /// The signature at the end of a run. None comes in time: the run has ended all the same, and whoever wants it can
    /// look again.
    fn signed(&self, run: RunId) -> Option<String> {
        let began = Instant::now();
        while began.elapsed() < SIGNED_WITHIN {
            let json = self.look_at(run, &[], &[]).ok()?;
            if let Some(line) = json["checkpoint"].as_str() {
                return Some(line.to_owned());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        None
    }

    /// Shows a run from its next event on; everything before is known.
    fn show(&self, run: RunId, mut facts: Facts, mut foreground: Foreground) -> Result<Left, RunsError> {
        let myself = self.myself()?;
        let hears = Hears::Foreground { foreground: &mut foreground, myself: &myself };
        let why = match watch(&self.wire, run, &mut facts, hears)? {
            Watched::Stands(why) => why,
            Watched::Detached => Why::Interrupted,
        };
        drop(foreground);
        Ok(self.left(run, facts, why))
    }
}

impl Door for Remote {
    fn myself(&self) -> Result<Myself, RunsError> {
        Ok(myself(&self.look(&["whoami"], &[])?))
    }

    fn actor_on(&self, _: &RunRow) -> Result<Actor, RunsError> {
        Ok(self.myself()?.actor)
    }

    fn goes_on(&self) -> bool {
        true
    }

    fn find(&self, text: &str) -> Result<RunRow, RunsError> {
        let rows = self.look(&["runs"], &[("find", text)])?;
        row(&rows[0])
    }

    fn list(&self, wanted: &Wanted) -> Result<Vec<RunRow>, RunsError> {
        let since = wanted.since.map(|since| since.to_string());
        let mut before = wanted.before.clone();
        let mut rows = Vec::new();
        while rows.len() < wanted.limit as usize {
            let left = wanted.limit - u32::try_from(rows.len()).unwrap_or(wanted.limit);
            let limit = left.min(PAGE_MAX).to_string();
            let mut query = vec![("limit", limit.as_str())];
            query.extend(wanted.status.map(|status| ("status", status.word())));
            query.extend(wanted.runbook.as_deref().map(|name| ("runbook", name)));
            query.extend(wanted.actor.as_deref().map(|name| ("operator", name)));
            query.extend(wanted.incident.as_deref().map(|id| ("incident", id)));
            query.extend(since.as_deref().map(|since| ("since", since)));
            query.extend(before.as_deref().map(|id| ("before", id)));
            let reply = self.wire.get(&["api", "v1", "runs"], &query)?;
            let page: Vec<RunRow> =
                reply.json()?.as_array().into_iter().flatten().map(row).collect::<Result<_, _>>()?;
            before = page.last().map(|row| row.run.uuid());
            rows.extend(page);
            if !reply.more || before.is_none() {
                break;
            }
        }
        Ok(rows)
    }

    fn events(&self, run: &RunRow) -> Result<Vec<Event>, RunsError> {
        events(&self.export(run, Format::Jsonl)?)
    }

    fn whole(&self, run: &RunRow) -> Result<Json, RunsError> {
        self.look_at(run.run, &[], &[])
    }

    fn standing(&self, run: &RunRow) -> Result<Standing, RunsError> {
        Ok(standing(&self.whole(run)?))
    }

    fn why(&self, run: &RunRow, step: Option<&str>, marks: Marks) -> Result<Vec<Line>, RunsError> {
        let mut query = vec![("signs", word_of(marks))];
        query.extend(step.map(|step| ("step", step)));
        Ok(to_lines(&self.look_at(run.run, &["why"], &query)?["lines"]))
    }

    fn export(&self, run: &RunRow, format: Format) -> Result<String, RunsError> {
        Ok(self.wire.get(&["api", "v1", "runs", &run.run.uuid(), "export"], &[("format", format.word())])?.text)
    }

    fn books(&self, words: &[String]) -> Result<(Vec<Json>, bool), RunsError> {
        let rows = match words {
            [] => self.look(&["runbooks"], &[])?,
            words => self.look(&["runbooks"], &[("words", &words.join(" "))])?,
        };
        let rows: Vec<Json> = rows.as_array().cloned().unwrap_or_default();
        let problems = rows.iter().any(|row| row["valid"] == false);
        Ok((rows, problems))
    }

    fn book(&self, name: &str) -> Result<(Json, Vec<Line>), RunsError> {
        let mut json = self.look(&["runbooks", named(name)?], &[("lines", "true")])?;
        let lines = json.as_object_mut().and_then(|object| object.remove("lines")).unwrap_or_default();
        Ok((json, to_lines(&lines)))
    }

    fn cancel(&self, run: &RunRow, reason: Option<String>) -> Result<Delivered, RunsError> {
        self.act(run.run, "cancel", &because(reason))?;
        // The server acts on it, whoever drives the run.
        Ok(Delivered::ToDriver)
    }

    fn pause(&self, run: &RunRow, reason: Option<String>) -> Result<Delivered, RunsError> {
        let json = self.act(run.run, "pause", &because(reason))?;
        Ok(if json["driven"] == true { Delivered::ToDriver } else { Delivered::Kept })
    }

    fn answer(
        &self,
        run: &RunRow,
        step: Option<&str>,
        typed: &[(String, String)],
    ) -> Result<(StepPath, Delivered), RunsError> {
        let json = self.act(run.run, "answer", &answer(step, typed))?;
        Ok((StepPath::new(text(&json["step"])), Delivered::ToDriver))
    }

    fn note(&self, run: &RunRow, text: &str) -> Result<(), RunsError> {
        self.act(run.run, "note", &json!({ "text": text })).map(drop)
    }

    fn approvals(&self) -> Result<Vec<Waiting>, RunsError> {
        let rows = self.look(&["approvals"], &[])?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        let Some(_) = rows.first() else { return Ok(Vec::new()) };
        let actor = self.myself()?.actor;
        let mut known: Vec<(String, RunRow, Facts)> = Vec::new();
        let mut waiting = Vec::new();
        for json in &rows {
            let id = text(&json["run"]);
            if !known.iter().any(|(known, ..)| *known == id) {
                let run = self.find(&id)?;
                let facts = self.facts_of(run.run)?;
                known.push((id.clone(), run, facts));
            }
            for (_, run, facts) in known.iter().filter(|(known, ..)| *known == id) {
                waiting.push(self.waiting(json, run, facts, &actor)?);
            }
        }
        Ok(waiting)
    }

    fn approval(&self, run: &RunRow, step: Option<&str>) -> Result<Waiting, RunsError> {
        let query: Vec<(&str, &str)> = step.map(|step| ("step", step)).into_iter().collect();
        let json = self.look_at(run.run, &["approval"], &query)?;
        self.waiting(&json, run, &self.facts_of(run.run)?, &self.myself()?.actor)
    }

    fn may_approve(&self, waiting: &Waiting) -> Result<(), RunsError> {
        let step = waiting.approval.request.step.as_str();
        self.look_at(waiting.run.run, &["approval"], &[("step", step), ("may", "true")]).map(drop)
    }

    fn approve(&self, waiting: &Waiting, _: String, reason: Option<&str>) -> Result<Taken, RunsError> {
        let json = self.act(waiting.run.run, "approve", &word(waiting, reason))?;
        Ok(taken(&json))
    }

    fn reject(&self, waiting: &Waiting, reason: &str) -> Result<Taken, RunsError> {
        let json = self.act(waiting.run.run, "reject", &word(waiting, Some(reason)))?;
        Ok(taken(&json))
    }

    fn hold(&self, reason: &str) -> Result<Option<Hold>, RunsError> {
        let before = self.last_hold()?.and_then(LastHold::on);
        self.wire.act(&["api", "v1", "hold"], &json!({ "on": true, "reason": reason }))?;
        Ok(before)
    }

    fn lift(&self) -> Result<Option<Hold>, RunsError> {
        let before = self.last_hold()?.and_then(LastHold::on);
        self.wire.act(&["api", "v1", "hold"], &json!({ "on": false }))?;
        Ok(before)
    }

    fn last_hold(&self) -> Result<Option<LastHold>, RunsError> {
        last_hold(&self.look(&["hold"], &[])?)
    }

    fn prepare(&self, request: &StartRequest) -> Result<Ready, RunsError> {
        let body = start(request)?;
        let json = self.wire.rehearse(&["api", "v1", "checks"], &body)?.json()?;
        let asking = asking(&json)?;
        let refused = json["refused"].is_object().then(|| refused(&json["refused"]));
        Ok(Ready { asking, warnings: Warnings::Picture(text(&json["picture"])), way: Way::There { body, refused } })
    }

    fn may_start(&self, ready: &Ready) -> Result<(), RunsError> {
        match &ready.way {
            Way::There { refused: Some(error), .. } => {
                let mut again = RunsError::new(error.kind, error.message.clone());
                again.hints.clone_from(&error.hints);
                Err(again)
            }
            Way::There { refused: None, .. } | Way::Here(_) => Ok(()),
        }
    }

    fn rehearse(&self, ready: &Ready, telling: Telling) -> Result<Told, RunsError> {
        let body = telling_of(body_of(ready)?.clone(), telling);
        Ok(Told::read(self.wire.rehearse(&["api", "v1", "plans"], &body)?.json()?))
    }

    fn start(&self, ready: Ready, foreground: Foreground) -> Result<Begun, RunsError> {
        let body = agreed(body_of(&ready)?.clone(), ready.asking.worst(), ready.asking.place());
        let json = self.wire.act(&["api", "v1", "runs"], &body)?.json()?;
        self.begun(&json, foreground)
    }

    fn plan(&self, ready: &Ready, _: &str, lasts: SignedDuration, telling: Telling) -> Result<Planned, RunsError> {
        let mut body = telling_of(body_of(ready)?.clone(), telling);
        body["save"] = json!(format!("{}ms", lasts.as_millis()));
        let mut json = self.wire.rehearse(&["api", "v1", "plans"], &body)?.json()?;
        let mut take = |name: &str| json.as_object_mut().and_then(|object| object.remove(name)).unwrap_or_default();
        let (mut saved, exit) = (take("saved"), take("exit_code"));
        let saved = match saved.as_object_mut() {
            None => None,
            Some(object) => {
                let (plan, beside) = (object.remove("text"), object.remove("beside"));
                let expires = object.get("expires").and_then(Json::as_str).and_then(|at| at.parse().ok());
                Some(Saved {
                    text: text(&plan.unwrap_or_default()),
                    beside: to_lines(&beside.unwrap_or_default()),
                    expires: expires.ok_or_else(|| strange("a plan says not until when it is good"))?,
                    json: saved,
                })
            }
        };
        let exit = exit.as_u64().and_then(|code| u8::try_from(code).ok()).map_or(Exit::TOOL_FAILED, Exit);
        Ok(Planned { told: Told::read(json), exit, saved })
    }

    fn prepare_apply(
        &self,
        plan: PlanFile<'_>,
        reason: Option<String>,
        telling: Telling,
    ) -> Result<Applying, RunsError> {
        let mut body = json!({ "plan": plan.text, "name": plan.shown, "again": plan.again });
        let json = self.wire.rehearse(&["api", "v1", "plans", "check"], &telling_of(body.clone(), telling))?.json()?;
        let applies = &json["applies"];
        if applies["refused"].is_object() {
            return Err(refused(&applies["refused"]));
        }
        if let Some(reason) = reason {
            body["reason"] = json!(reason);
        }
        Ok(Applying {
            asking: asking(applies)?,
            made_at: read(&json["saved"]["made_at"])?,
            stale: json["stale"] == true,
            moved: json["moved"].clone(),
            drift: to_lines(&applies["drift"]),
            lines: to_lines(&applies["lines"]),
            way: ApplyWay::There(body),
        })
    }

    fn apply(&self, applying: Applying, foreground: Foreground) -> Result<Begun, RunsError> {
        let Applying { asking, way: ApplyWay::There(body), .. } = applying else { return Err(elsewhere()) };
        let body = agreed(body, asking.worst(), asking.place());
        let json = self.wire.act_with_file(&["api", "v1", "plans", "apply"], &body)?.json()?;
        self.begun(&json, foreground)
    }

    fn compare(&self, plan: PlanFile<'_>, run: &RunRow, marks: Marks) -> Result<Compared, RunsError> {
        let body = json!({ "plan": plan.text, "name": plan.shown, "told": word_of(marks) });
        let json = self.wire.rehearse(&["api", "v1", "runs", &run.run.uuid(), "diff"], &body)?.json()?;
        let lines = to_lines(&json["lines"]);
        Ok(Compared { equal: json["equal"] == true, moved: json["moved"].clone(), lines })
    }

    fn verify(&self, run: Option<&RunRow>, kept: &[Checkpoint], marks: Marks) -> Result<Verified, RunsError> {
        let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
        let mut body = json!({ "checkpoints": kept, "told": word_of(marks) });
        if let Some(run) = run {
            body["run"] = json!(run.run.uuid());
        }
        Ok(Verified::read(self.wire.rehearse(&["api", "v1", "verify"], &body)?.json()?))
    }

    fn checkup(&self, target: Option<&str>) -> Result<Vec<Checkup>, RunsError> {
        let query: Vec<(&str, &str)> = target.map(|target| ("target", target)).into_iter().collect();
        let json = self.look(&["doctor"], &query)?;
        let (own, theirs) = (env!("CARGO_PKG_VERSION"), text(&json["version"]));
        let mut seen = to_checkups(&json);
        seen.push(match theirs == own {
            true => Checkup::new("server.version", Fitness::Well, theirs),
            false => Checkup::new("server.version", Fitness::Doubtful, format!("{theirs}, and this rerail is {own}"))
                .hint("bring both to the same version: one may not know what the other says"),
        });
        Ok(seen)
    }

    fn resume(
        &self,
        run: &RunRow,
        decisions: Vec<DecideRequest>,
        reason: Option<String>,
        foreground: Foreground,
    ) -> Result<Left, RunsError> {
        let facts = self.facts_of(run.run)?;
        self.act(run.run, "resume", &go_on(&decisions, reason))?;
        self.show(run.run, facts, foreground)
    }

    fn handover(&self, run: &RunRow) -> Result<Handover, RunsError> {
        let json = self.look_at(run.run, &["handover"], &[])?;
        Ok(Handover {
            facts: self.facts_of(run.run)?,
            from: somebody(&json["from"], &json["via"], &json["agent"]),
            driven: json["driven"] == true,
            next: json["next"].as_str().map(StepPath::new),
        })
    }

    fn may_take(&self, _: &RunRow) -> Result<(), RunsError> {
        // The server says so when it is asked to.
        Ok(())
    }

    fn take(&self, run: &RunRow, reason: Option<String>, foreground: Foreground) -> Result<Left, RunsError> {
        let facts = self.facts_of(run.run)?;
        self.act(run.run, "take", &because(reason))?;
        self.show(run.run, facts, foreground)
    }

    fn prepare_undo(&self, run: &RunRow, reason: Option<String>, telling: Telling) -> Result<Undoing, RunsError> {
        let path = ["api", "v1", "runs", &run.run.uuid(), "undo", "plan"];
        let mut json = self.wire.rehearse(&path, &telling_of(json!({}), telling))?.json()?;
        let undo = json.as_object_mut().and_then(|object| object.remove("undo")).unwrap_or_default();
        let paths = |json: &Json| texts(json).into_iter().map(StepPath::new).collect();
        Ok(Undoing {
            run: run.clone(),
            steps: to_changes(&undo["steps"]).ok_or_else(|| strange("a step is none"))?,
            without_undo: paths(&undo["without_undo"]),
            unknown: paths(&undo["unknown"]),
            way: UndoWay::There { told: Box::new(Told::read(json)), reason },
        })
    }

    fn rehearse_undo(&self, undoing: &Undoing, _: Telling) -> Result<Told, RunsError> {
        match &undoing.way {
            UndoWay::There { told, .. } => Ok(Told::clone(told)),
            UndoWay::Here(_) => Err(elsewhere()),
        }
    }

    fn undo(&self, undoing: Undoing, foreground: Foreground) -> Result<Left, RunsError> {
        let UndoWay::There { reason, .. } = &undoing.way else { return Err(elsewhere()) };
        let run = undoing.run.run;
        let facts = self.facts_of(run)?;
        let body = agreed(because(reason.clone()), undoing.worst(), undoing.place());
        self.act(run, "undo", &body)?;
        self.show(run, facts, foreground)
    }

    fn follow(&self, run: &RunRow, watcher: &mut dyn Watcher, detach: &Receiver<()>) -> Result<Followed, RunsError> {
        let mut facts = Facts::default();
        let why = watch(&self.wire, run.run, &mut facts, Hears::Follower { watcher, detach })?;
        Ok(Followed {
            facts,
            why: match why {
                Watched::Stands(why) => crate::runs::Parted::Stands(why),
                Watched::Detached => crate::runs::Parted::Detached,
            },
        })
    }

    fn left(&self, run: RunId, facts: Facts, why: Why) -> Left {
        Left::of(run, facts, why, || self.signed(run).map(Ok))
    }
}
