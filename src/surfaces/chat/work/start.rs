//! Plans and starts: inputs that are missing, the plan with its button, the run with its card.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::runbook::model::Input;
use crate::runbook::spec::Effect;
use crate::runbook::types::Type;
use crate::runs::{Began, Caller, ErrorKind, Foreground, Prepared, RunRow, RunsError};
use crate::script::value::Value;
use crate::surfaces::chat::asked::Place;
use crate::surfaces::chat::buttons::{self, Act, Held, LASTS, Then};
use crate::surfaces::chat::card::{Card, Field, FieldKind, Form, Style};
use crate::surfaces::chat::command::Start;
use crate::surfaces::chat::saying::Saying;
use crate::surfaces::chat::work::{Done, Work, may_press, untold};
use crate::surfaces::chat::{hung, story};
use crate::surfaces::http::call::plain_name;
use crate::transcript::{Line, Marks, Plan, saved};

impl Work<'_> {
    /// Shows the asker what a runbook would do.
    pub(super) fn plan(&self, start: &Start, caller: &Caller) -> Result<Done, RunsError> {
        if let Some(done) = self.missing(start, Then::Plan, caller)? {
            return Ok(done);
        }
        self.no_form();
        let (_, card) = self.planned(start, caller)?;
        let until = Timestamp::now() + LASTS;
        let share = buttons::mint(self.runs, Act::Share(start.clone()), &[], until)?;
        Ok(Done::Whisper(card.button("Share", &share, Style::Plain)))
    }

    /// Shows everybody what it would do.
    pub(super) fn share(&self, start: &Start, caller: &Caller) -> Result<Done, RunsError> {
        let actor = self.runs.identify(caller)?;
        let (_, card) = self.planned(start, caller)?;
        let card = card.line(&format!("shared by {}", actor.id));
        self.tell("share", card).map_err(|trouble| untold(&trouble))?;
        Ok(Done::Seen("shared".to_owned()))
    }

    /// Starts what only looks at once; of everything else shows everybody the plan, with a button that starts it.
    pub(super) fn run(&self, start: &Start, caller: &Caller) -> Result<Done, RunsError> {
        if let Some(done) = self.missing(start, Then::Run, caller)? {
            return Ok(done);
        }
        self.no_form();
        let prepared = self.prepare(start)?;
        let actor = self.runs.identify(caller)?;
        self.runs.may_start(&prepared, &actor)?;
        if prepared.worst() <= Effect::Read {
            return self.begin(start, prepared, caller, None);
        }
        let (prepared, card) = self.planned(start, caller)?;
        let style = if prepared.worst() == Effect::Destructive { Style::Danger } else { Style::Good };
        // Who asks and who starts is one person: else the other could agree to what they themselves have put together.
        let who = if actor.person { vec![actor.id.clone()] } else { Vec::new() };
        let holds = buttons::mint(self.runs, Act::Start(start.clone()), &who, Timestamp::now() + LASTS)?;
        let mut card = card.line(&format!("asked by {}, who starts it", actor.id)).button("Start", &holds, style);
        if !self.voice.has_buttons() {
            card = card.line("no button leads back from here: start `rerail serve` with --url");
        }
        self.tell("plan", card).map_err(|trouble| untold(&trouble))?;
        crate::failpoint::hit("chat.planned");
        Ok(Done::Seen(format!("{} is planned", start.runbook)))
    }

    pub(super) fn start_pressed(
        &self,
        holds: &str,
        held: &Held,
        start: &Start,
        caller: &Caller,
    ) -> Result<Done, RunsError> {
        may_press(held, &self.runs.identify(caller)?)?;
        let prepared = self.prepare(start)?;
        if prepared.worst() < Effect::Destructive {
            return self.start_now(&buttons::key(holds), start, None, caller);
        }
        let confirm = Act::Confirm { start: start.clone(), button: buttons::key(holds) };
        if self.asks_to_confirm(prepared.place(), confirm, &held.who, held.until)? {
            return Ok(Done::Seen("asked to confirm".to_owned()));
        }
        let said = format!("`{}` may destroy something, and no form can be shown here", start.runbook);
        Err(RunsError::new(ErrorKind::Usage, said).hint("start it on the page or in a terminal"))
    }

    /// Shows the form in which somebody types where something may be destroyed; says whether it could be shown. However
    /// often it is: what is used up is the button.
    pub(super) fn asks_to_confirm(
        &self,
        place: &str,
        confirm: Act,
        who: &[String],
        until: Timestamp,
    ) -> Result<bool, RunsError> {
        let form = Form {
            title: "May destroy something".to_owned(),
            submit: "Start".to_owned(),
            holds: buttons::mint(self.runs, confirm, who, until)?,
            fields: vec![Field {
                name: "confirm".to_owned(),
                hint: Some(format!("type {place} to start it")),
                kind: FieldKind::Text,
                initial: None,
                required: true,
                left_out: Vec::new(),
            }],
        };
        self.voice.show(self.asked, form).map_err(|trouble| untold(&trouble))
    }

    /// Starts it, once for this button.
    pub(super) fn start_now(
        &self,
        button: &str,
        start: &Start,
        confirm: Option<&str>,
        caller: &Caller,
    ) -> Result<Done, RunsError> {
        self.no_form();
        let actor = self.runs.identify(caller)?;
        let prepared = self.prepare(start)?;
        self.runs.may_start(&prepared, &actor)?;
        is_confirmed(&prepared, confirm)?;
        self.spend(button, &actor.id)?;
        crate::failpoint::hit("chat.pressed");
        let begun = self.begin(start, prepared, caller, self.asked.message.as_deref());
        if begun.is_err() {
            buttons::give_back(self.runs, button, &self.request())?;
        }
        begun
    }

    /// Starts it under the name of this request, and hangs its card where the plan was, or in a new message.
    fn begin(
        &self,
        start: &Start,
        prepared: Prepared,
        caller: &Caller,
        message: Option<&str>,
    ) -> Result<Done, RunsError> {
        let actor = self.runs.identify(caller)?;
        let run = self.delivery.run;
        let began = match self.runs.existing(run)? {
            // Before a crash.
            Some(row) => Began::Attach(Box::new(row)),
            None => self.server.fleet.start(Arc::clone(self.runs), prepared.called(run), actor)?,
        };
        crate::failpoint::hit("chat.started");
        let row: RunRow = match began {
            Began::Attach(row) => *row,
            Began::Run(run) => self
                .runs
                .existing(run)?
                .ok_or_else(|| RunsError::new(ErrorKind::Internal, "the run that was started is not in the journal"))?,
        };
        let attached = row.run != run;
        let place = Place { thread: None, ..self.asked.place.clone() };
        if hung::is_at(self.runs, &row, &place)? {
            let said = format!("{} runs already", story::name(&row));
            return Ok(if attached { Done::Whisper(Card::new(&said)) } else { Done::Seen(said) });
        }
        let message = match message {
            Some(message) => message.to_owned(),
            None => {
                let facts = self.runs.facts(&row)?;
                let saying = Saying::of(&row.run.uuid(), "card");
                match self.voice.post_surely(&place, &saying, story::card(&row, &facts, self.base)) {
                    Ok(message) => {
                        crate::failpoint::hit("chat.carded");
                        message
                    }
                    // It runs, whether the chat shows it or not.
                    Err(trouble) => {
                        let said = format!("{} has started; its card was not taken: it {trouble}", story::name(&row));
                        return Ok(Done::Whisper(Card::new(&said).page(story::page(self.base, &row))));
                    }
                }
            }
        };
        hung::hang(self.runs, &row, &place, &message)?;
        self.server.beat.tick();
        Ok(Done::Seen(format!("{} of {} has started", story::name(&row), start.runbook)))
    }

    /// The request as the door takes it; names only, never a path.
    pub(super) fn prepare(&self, start: &Start) -> Result<Prepared, RunsError> {
        let not_found = |problem: crate::surfaces::http::Problem| RunsError::new(ErrorKind::NotFound, problem.message);
        plain_name("runbook", &start.runbook).map_err(not_found)?;
        start.target.as_deref().map(|target| plain_name("target", target)).transpose().map_err(not_found)?;
        self.runs.prepare(&start.request())
    }

    fn planned(&self, start: &Start, caller: &Caller) -> Result<(Prepared, Card), RunsError> {
        let prepared = self.prepare(start)?;
        let actor = self.runs.identify(caller)?;
        let rehearsed = self.runs.rehearse(&prepared, Foreground::unheard(actor))?;
        let plan = Plan::of(&rehearsed.events, &rehearsed.facts, &rehearsed.program);
        let on = prepared.target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
        let mut card = Card::new(&format!("plan: {}{on}", prepared.program.runbook.name));
        let inputs = start.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
        if !inputs.is_empty() {
            card = card.line(&inputs);
        }
        let mut lines: Vec<Line> = plan.lines(&rehearsed.facts, Marks::Unicode, false);
        lines.extend(saved::reach(&rehearsed.radius()));
        Ok((prepared, card.code(&lines)))
    }

    /// A form for the inputs that are missing, if any are.
    fn missing(&self, start: &Start, then: Then, caller: &Caller) -> Result<Option<Done>, RunsError> {
        let not_found = |problem: crate::surfaces::http::Problem| RunsError::new(ErrorKind::NotFound, problem.message);
        plain_name("runbook", &start.runbook).map_err(not_found)?;
        let (Some(program), _) = self.runs.check(&start.runbook)? else { return Ok(None) };
        let target = match &start.target {
            None => None,
            Some(name) => {
                plain_name("target", name).map_err(not_found)?;
                Some(self.runs.project().target(name)?.0)
            }
        };
        let given = |input: &Input| {
            let name = &input.name.value;
            start.inputs.iter().any(|(known, _)| known == name)
                || target.as_ref().is_some_and(|target| target.inputs.contains_key(name))
        };
        let asked: Vec<&Input> =
            program.runbook.inputs.iter().filter(|input| input.ty != Type::Secret && !given(input)).collect();
        let lacks = |input: &&Input| input.required && input.default.is_none();
        // What is wrong beyond that is said by the door, which sees it all at once.
        let unknown = |name: &str| program.runbook.inputs.iter().all(|input| input.name.value != name);
        if !asked.iter().any(lacks) || start.inputs.iter().any(|(name, _)| unknown(name)) {
            return Ok(None);
        }
        let actor = self.runs.identify(caller)?;
        let who = if actor.person { vec![actor.id] } else { Vec::new() };
        let act = Act::Inputs { start: start.clone(), then };
        let holds = buttons::mint(self.runs, act, &who, Timestamp::now() + LASTS)?;
        let most = self.voice.fields_max();
        let lacking: Vec<&str> =
            asked.iter().filter(|input| lacks(input)).map(|input| input.name.value.as_str()).collect();
        if lacking.len() > most {
            let said = format!("{} inputs are missing, and a form has room for {most} here", lacking.len());
            return Err(typed(said, start, then, &lacking));
        }
        let submit = if then == Then::Plan { "Plan" } else { "Go on" };
        let form = Form {
            title: start.runbook.clone(),
            submit: submit.to_owned(),
            holds,
            fields: fields(&asked, lacks, most),
        };
        match self.voice.show(self.asked, form) {
            Ok(true) => Ok(Some(Done::Seen("asked for inputs".to_owned()))),
            shown => {
                if let Err(trouble) = shown {
                    self.unsaid(Err(trouble));
                }
                // The door names all that is missing, and how to give it.
                let error = self.prepare(start).err();
                let said = error.map_or_else(|| "inputs are missing".to_owned(), |error| error.message);
                Err(typed(said, start, then, &lacking))
            }
        }
    }

    pub(super) fn inputs_filled(
        &self,
        start: &Start,
        then: Then,
        values: &BTreeMap<String, String>,
        caller: &Caller,
    ) -> Result<Done, RunsError> {
        let mut start = start.clone();
        let more = values.iter().filter(|(name, _)| start.inputs.iter().all(|(known, _)| known != *name));
        let more: Vec<(String, String)> = more.map(|(name, value)| (name.clone(), value.clone())).collect();
        start.inputs.extend(more);
        match then {
            Then::Plan => self.plan(&start, caller),
            Then::Run => self.run(&start, caller),
        }
    }
}

/// Says how inputs are given without a form, with those that were given already.
fn typed(said: String, start: &Start, then: Then, lacking: &[&str]) -> RunsError {
    let word = if then == Then::Plan { "plan" } else { "run" };
    let names = lacking.iter().map(|name| format!("{name}=…")).collect::<Vec<_>>().join(" ");
    RunsError::new(ErrorKind::Usage, said).hint(format!("/rerail {word} {} {names}", start.runbook))
}

/// As many fields as fit, those first that are needed; the last one says which were left out.
fn fields(asked: &[&Input], lacks: impl Fn(&&Input) -> bool, most: usize) -> Vec<Field> {
    let mut sorted = asked.to_vec();
    sorted.sort_by_key(|input| !lacks(input));
    let left = sorted.split_off(most.min(sorted.len()));
    let mut fields: Vec<Field> = sorted.into_iter().map(field).collect();
    if let Some(last) = fields.last_mut() {
        last.left_out = left.iter().map(|input| input.name.value.clone()).collect();
    }
    fields
}

fn field(input: &Input) -> Field {
    let kind = match &input.ty {
        Type::Int => FieldKind::Number { decimal: false },
        Type::Float => FieldKind::Number { decimal: true },
        Type::Bool => FieldKind::Choice(vec!["true".to_owned(), "false".to_owned()]),
        Type::Choice(choices) => FieldKind::Choice(choices.clone()),
        Type::Url => FieldKind::Url,
        Type::Email => FieldKind::Email,
        Type::List | Type::Map | Type::Any => FieldKind::Long,
        Type::String | Type::Duration | Type::Secret => FieldKind::Text,
    };
    let initial = input.default.as_ref().and_then(|value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => Some(crate::transcript::words::value(value)),
        _ => None,
    });
    let hint = input.description.clone().unwrap_or_else(|| input.ty.name().to_owned());
    Field {
        name: input.name.value.clone(),
        hint: Some(hint),
        kind,
        initial,
        required: input.required && input.default.is_none(),
        left_out: Vec::new(),
    }
}

/// What may destroy something starts only where its place was typed.
pub(super) fn is_confirmed(prepared: &Prepared, typed: Option<&str>) -> Result<(), RunsError> {
    let (typed, place) = (typed.unwrap_or_default().trim(), prepared.place());
    if prepared.worst() < Effect::Destructive || typed == place {
        return Ok(());
    }
    let said = format!("confirmed for `{typed}`, but this runs on `{place}`: nothing was started");
    Err(RunsError::new(ErrorKind::Usage, said))
}
