//! Tools that only look: what there is to run, what ran, where a run stands and why it went that way.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::engine::facts::{Facts, RunState};
use crate::engine::ids::StepPath;
use crate::engine::outcome::RunOutcome;
use crate::runs::{ErrorKind, RunFilter, RunRow, RunsError, Status};
use crate::surfaces::mcp::call::{Call, plain};
use crate::surfaces::mcp::said::{Refused, Said, lines};
use crate::surfaces::shapes::run::{steps, whole};
use crate::surfaces::shapes::runbook::of_program;
use crate::surfaces::shapes::runbooks::of_runbooks;
use crate::surfaces::shapes::runs::{moment, of_row};
use crate::transcript::line::{self, Detail, Style};
use crate::transcript::{Marks, approval, summary, why, words};

/// Runs that are listed unless fewer are asked for: a model reads each of them.
const RUNS_MAX: u32 = 50;
/// Seconds that one look waits for a run: below the minute after which clients give up.
const WAIT_SECONDS_MAX: u64 = 50;
/// How often a look that waits asks the journal: one row each.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Words to look for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Find {
    /// Words that all stand in name, title, tags or meaning of a runbook; all runbooks without them
    #[serde(default)]
    words: String,
}

/// A runbook.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Named {
    /// Name of the runbook, as find_runbooks lists it
    name: String,
}

/// Which runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct List {
    /// running, waiting, in_doubt, paused, stuck, success, failed, rejected or cancelled
    status: Option<String>,
    /// Name of the runbook
    runbook: Option<String>,
    /// Name of the incident
    incident: Option<String>,
    /// Not before this time, day or so long ago: 2026-11-21T14:00:00Z, 2026-11-21, 24h
    since: Option<String>,
    /// Only runs before this one: its id, for the next page
    before: Option<String>,
    /// How many at most, 1 to 50
    #[schemars(range(min = 1, max = 50))]
    limit: Option<u32>,
}

/// A run, and how long it may be waited for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Get {
    /// Id of the run, six letters or all of it
    run: String,
    /// Only this step, with all it was given and gave: its path
    step: Option<String>,
    /// Wait so long for the run to end or to need somebody, 0 to 50
    #[serde(default)]
    #[schemars(range(min = 0, max = 50))]
    wait_seconds: u64,
}

/// A run, or one step of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Explain {
    /// Id of the run, six letters or all of it
    run: String,
    /// Only why this step ran, was skipped or failed: its path
    step: Option<String>,
}

/// Runbooks and targets by name.
pub fn find(call: &Call, find: Find) -> Result<Said, Refused> {
    let words: Vec<String> = find.words.split_whitespace().map(str::to_lowercase).collect();
    let rows = of_runbooks(&call.runs, &words)?;
    let targets = call.runs.project().targets().into_iter().map(|listed| {
        let target = call.runs.project().target(&listed.name).ok();
        let most = target.as_ref().map(|(target, ..)| target.policy.agents_max.word());
        json!({ "name": listed.name, "agents_max_effect": most, "valid": target.is_some() })
    });
    let targets: Vec<Json> = targets.collect();
    let text = |json: &Json, key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let mut told: Vec<String> =
        rows.iter().map(|row| format!("{}: {} [{}]", text(row, "name"), text(row, "title"), effects(row))).collect();
    if rows.is_empty() {
        told.push("no runbook has all these words".to_owned());
    }
    for target in &targets {
        told.push(format!("target {}: programs may {}", text(target, "name"), text(target, "agents_max_effect")));
    }
    let next = match rows.is_empty() {
        true => "call find_runbooks with fewer or other words".to_owned(),
        false => "call describe_runbook for the one that fits, then plan_run or start_run".to_owned(),
    };
    let data = json!({ "runbooks": rows, "targets": targets });
    Ok(Said { data, text: told.join("\n"), next, rest: "give more words to see fewer runbooks" })
}

fn effects(row: &Json) -> String {
    let words = row["effects"].as_array().into_iter().flatten().filter_map(Json::as_str);
    words.collect::<Vec<_>>().join(" ")
}

/// One runbook whole.
pub fn describe(call: &Call, named: Named) -> Result<Said, Refused> {
    let name = plain("runbook", &named.name)?;
    let (program, problems) = call.runs.check(name)?;
    let Some(program) = program else {
        let said = RunsError::new(ErrorKind::Invalid, format!("runbook `{name}` has problems"));
        return Err(Refused(RunsError { problems, ..said }));
    };
    let book = &program.runbook;
    let mut text = format!("{}: {}\n", book.name, book.title);
    for (key, said) in [("meaning", &book.meaning), ("impact", &book.impact)] {
        said.iter().for_each(|said| text.push_str(&format!("{key}: {}\n", said.trim())));
    }
    let effects = program.effects.iter().map(|effect| effect.word()).collect::<Vec<_>>().join(" ");
    text.push_str(&format!("effects: {effects}\n"));
    for input in &book.inputs {
        let need = match (&input.default, input.required) {
            (Some(default), _) => format!("default {}", words::quoted(default)),
            (None, true) => "required".to_owned(),
            (None, false) => "optional".to_owned(),
        };
        let about = input.description.as_deref().unwrap_or_default();
        text.push_str(&format!("input {}: {}, {need}. {about}\n", input.name.value, input.ty.name()));
    }
    let only_looks = program.effects.iter().all(|effect| !effect.changes_the_world());
    let next = match only_looks {
        true => "call start_run with its inputs: it only looks",
        false => {
            "call plan_run with its inputs, show the plan to the person you act for, then start_run with its plan_hash"
        }
    };
    let data = of_program(&program);
    Ok(Said { data, text, next: next.to_owned(), rest: "read the resource runbook://NAME for its text" })
}

/// Runs, newest first.
pub fn list(call: &Call, list: List) -> Result<Said, Refused> {
    let wrong = |said: String| Refused(RunsError::new(ErrorKind::Usage, said));
    let limit = list.limit.unwrap_or(RUNS_MAX);
    if !(1..=RUNS_MAX).contains(&limit) {
        return Err(wrong(format!("`limit` is {limit}, expected 1 to {RUNS_MAX}")));
    }
    let no_status = |word: &str| wrong(format!("no status `{}`", words::shorten(word, 40)));
    let status = list.status.as_deref().map(|word| Status::from_word(word).ok_or_else(|| no_status(word)));
    let filter = RunFilter {
        status: status.transpose()?,
        runbook: list.runbook,
        actor: None,
        incident: list.incident,
        since: list.since.as_deref().map(|text| moment("since", text, Timestamp::now())).transpose().map_err(wrong)?,
        before: list.before.as_deref().map(|id| call.run(id)).transpose()?.map(|row| row.number),
        limit: Some(limit),
    };
    let rows = call.runs.list(&filter)?;
    let told = |row: &RunRow| {
        let incident = row.incident.as_ref().map(|incident| format!(", {incident}")).unwrap_or_default();
        let by = line::person(&row.actor);
        format!("{} {} {} by {by} at {:.0}{incident}", row.run, row.runbook, row.status.word(), row.started_at)
    };
    let text =
        if rows.is_empty() { "no runs".to_owned() } else { rows.iter().map(told).collect::<Vec<_>>().join("\n") };
    let next = match rows.last() {
        Some(last) if rows.len() >= limit as usize => {
            format!("call get_run for one of them; older ones: list_runs with before {}", last.run)
        }
        Some(_) => "call get_run for one of them".to_owned(),
        None => "call list_runs with fewer conditions, or find_runbooks".to_owned(),
    };
    let data = json!({ "runs": rows.iter().map(of_row).collect::<Vec<_>>() });
    Ok(Said { data, text, next, rest: "give a smaller `limit`, then `before` for the next ones" })
}

/// One run, after waiting for it if that was asked for.
pub fn get(call: &Call, get: Get) -> Result<Said, Refused> {
    if get.wait_seconds > WAIT_SECONDS_MAX {
        let said = format!("`wait_seconds` is {}, expected 0 to {WAIT_SECONDS_MAX}", get.wait_seconds);
        return Err(Refused::usage(said, "call get_run again while the run is running"));
    }
    let mut run = call.run(&get.run)?;
    let until = Instant::now() + Duration::from_secs(get.wait_seconds);
    while is_moving(call, &run)? && Instant::now() < until && !call.is_over() {
        std::thread::sleep(LOOK_EVERY);
        run = call.runs.existing(run.run)?.unwrap_or(run);
    }
    if let Some(step) = &get.step {
        return one_step(&call.runs.facts(&run)?, &run, step);
    }
    told(call, &run)
}

/// Whether a run goes on without anybody: it runs, or what it asked was answered.
fn is_moving(call: &Call, run: &RunRow) -> Result<bool, RunsError> {
    Ok(match run.status {
        Status::Running => true,
        Status::Waiting | Status::InDoubt | Status::Paused => !call.runs.answered(run)?.is_empty(),
        _ => false,
    })
}

/// Where a run stands, with what a program can do about it.
pub fn told(call: &Call, run: &RunRow) -> Result<Said, Refused> {
    let (events, facts) = call.runs.story(run)?;
    let mut data = whole(&call.runs, run)?;
    data["approvals"] = approvals(&facts);
    data["by"] = json!(facts.started.as_ref().map(|started| line::person(&started.actor)));
    let mut shown = Facts::default();
    let style = Style { marks: Marks::Unicode, detail: Detail::Steps };
    let mut drawn = Vec::new();
    for event in &events {
        shown.apply(event).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
        drawn.extend(line::lines(event, &shown, style));
    }
    let text = lines(&drawn);
    let rest = "give `step` for one step; the resource run://ID/transcript has all of it";
    Ok(Said { data, text, next: next(call, run, &facts)?, rest })
}

fn approvals(facts: &Facts) -> Json {
    let open = facts.approvals.open().map(|open| {
        let request = &open.request;
        json!({
            "step": request.step.as_str(),
            "needs": approval::needs(&request.needs),
            "change": request.change,
            "shown": approval::shown(request, Marks::Unicode),
            "expires": request.expires.to_string(),
        })
    });
    Json::Array(open.collect())
}

/// What comes next, and who does it.
pub fn next(call: &Call, run: &RunRow, facts: &Facts) -> Result<String, Refused> {
    let id = run.run.short();
    Ok(match facts.state() {
        RunState::Waiting if facts.approvals.open().next().is_some() => format!(
            "a person has to look at what it would change and approve it, and you can't: tell the person you act for \
             about it (rerail approve {id}), then call get_run with wait_seconds"
        ),
        RunState::Waiting => {
            "it asks: call answer with what the person you act for says, or tell them about the question".to_owned()
        }
        RunState::InDoubt => {
            format!("nobody knows whether a write happened: a person finds out and decides (rerail show {id})")
        }
        RunState::Paused => format!("it is paused: a person lets it go on (rerail resume {id})"),
        RunState::Stuck => format!("it is taken back in part only: a person goes on (rerail show {id})"),
        RunState::Running if call.runs.is_driven(run)? => {
            "call get_run with wait_seconds until it has ended".to_owned()
        }
        RunState::Running => format!("no process drives it now: a person takes it up (rerail resume {id})"),
        RunState::Ended(RunOutcome::Success) => {
            "tell the person you act for what it found; where a finding suggests a runbook, call plan_run for that"
                .to_owned()
        }
        RunState::Ended(_) => "call explain_run to see why, and tell the person you act for".to_owned(),
    })
}

fn one_step(facts: &Facts, run: &RunRow, step: &str) -> Result<Said, Refused> {
    let steps = steps(facts);
    let Some(found) = steps.as_array().and_then(|rows| rows.iter().find(|row| row["step"] == step)) else {
        let said = format!("step `{}` is not in {}/{}", words::shorten(step, 100), run.runbook, run.run);
        return Err(Refused::usage(said, "call get_run without `step` to see the steps it has"));
    };
    let text = serde_json::to_string_pretty(found).unwrap_or_default();
    let rest = "a person sees all of it with  rerail show RUN --step STEP";
    Ok(Said {
        data: found.clone(),
        text,
        next: "call explain_run with this step to see why it went so".to_owned(),
        rest,
    })
}

/// Why a run went the way it did.
pub fn explain(call: &Call, explain: Explain) -> Result<Said, Refused> {
    let run = call.run(&explain.run)?;
    let facts = call.runs.facts(&run)?;
    // A run of another version can still say what was read, if not by which expression.
    let program = call.runs.program(&run).ok();
    let because = match &explain.step {
        None => why::lines(&facts, program.as_ref(), Marks::Unicode),
        Some(step) => {
            let found = why::of_step(&facts, program.as_ref(), &StepPath::new(step.as_str()), Marks::Unicode);
            found.ok_or_else(|| {
                let said = format!("step `{}` is not in {}/{}", words::shorten(step, 100), run.runbook, run.run);
                Refused::usage(said, "call get_run to see the steps it has")
            })?
        }
    };
    let answered = call.runs.answered(&run)?;
    let people = summary::next_steps_now(&facts, Some(Timestamp::now()), &answered);
    let text = match people.is_empty() {
        true => lines(&because),
        false => format!("{}\n\nFor people:\n{}", lines(&because), lines(&people)),
    };
    let plain =
        |drawn: &[crate::transcript::Line]| drawn.iter().map(crate::transcript::Line::plain).collect::<Vec<_>>();
    let data = json!({
        "run": run.run.short(),
        "status": summary::status(&facts),
        "why": plain(&because),
        "for_people": plain(&people),
    });
    Ok(Said { data, text, next: next(call, &run, &facts)?, rest: "give `step` for one step" })
}
