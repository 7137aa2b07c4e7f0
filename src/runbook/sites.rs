//! Call sites: every place of a file that calls an action, as `uses` or from a script.

use crate::runbook::model::{Block, Body, Runbook, Step};
use crate::runbook::snippet::{Snippet, Template};
use crate::runbook::source::{Span, Spanned};
use crate::runbook::spec::{ActionSpec, Effect, RUN_CHILD, Repeat};
use crate::script::compile::{Call, known_functions};
use crate::script::value::{Map, Value};

/// One place that calls an action.
pub struct Site<'a> {
    /// As called, dotted. It may name no action at all.
    pub name: &'a str,
    pub span: Span,
    pub args: Args<'a>,
}

/// The arguments of a call site as they stand in the text.
#[derive(Clone, Copy)]
pub enum Args<'a> {
    With(&'a [(Spanned<String>, Template)]),
    Script(&'a Snippet, &'a Call),
}

impl Args<'_> {
    /// The effect these arguments lead to; the greatest one where they can't be told.
    pub fn effect(&self, spec: &ActionSpec) -> Effect {
        spec.effect_as_written(self.keys(), &self.written())
    }

    /// Whether a write with these arguments may be sent again unasked; never where they can't be told.
    pub fn repeat(&self, spec: &ActionSpec) -> Repeat {
        spec.repeat_as_written(self.keys(), &self.written())
    }

    /// The names of the arguments, if they can be told.
    fn keys(&self) -> Option<Vec<&str>> {
        match self {
            Args::With(with) => Some(with.iter().map(|(key, _)| key.value.as_str()).collect()),
            Args::Script(_, call) => call.keys.as_ref().map(|keys| keys.iter().map(|(key, _)| key.as_str()).collect()),
        }
    }

    /// The arguments as far as the text says them; one that is computed is unknown, or is missing.
    fn written(&self) -> Map {
        match self {
            Args::With(with) => with.iter().map(|(key, value)| (key.value.clone(), value.as_written())).collect(),
            Args::Script(_, call) => call.literals.clone(),
        }
    }

    /// All arguments, if every one of them is literal.
    pub fn all_literal(&self) -> Option<Map> {
        let written = self.written();
        let literal = self.keys()?.len() == written.len() && written.values().all(|value| value.unknown().is_none());
        literal.then_some(written)
    }

    /// The value and place of a literal text argument.
    fn text(&self, name: &str) -> Option<Spanned<String>> {
        match self {
            Args::With(with) => {
                let (_, template) = with.iter().find(|(key, _)| key.value == name)?;
                let Some(Value::Text(text)) = template.literal() else { return None };
                Some(Spanned::new(text, template.span))
            }
            Args::Script(snippet, call) => {
                let Some(Value::Text(text)) = call.literals.get(name) else { return None };
                let (_, position) = call.keys.as_ref()?.iter().find(|(key, _)| key == name)?;
                Some(Spanned::new(text.clone(), snippet.locate(Some(*position))))
            }
        }
    }
}

impl Site<'_> {
    /// The runbook this site runs, if it runs one by a name that stands in the text.
    pub fn child(&self) -> Option<Spanned<String>> {
        if self.name == RUN_CHILD { self.args.text("name") } else { None }
    }
}

/// Whether a call in a script may be the call of an action: `a::b(…)`, or a free name that neither
/// the script nor the language defines.
pub fn may_call_an_action(snippet: &Snippet, call: &Call) -> bool {
    if call.namespaced {
        return true;
    }
    !call.method
        && !known_functions().contains(&call.name)
        && !snippet.code.functions.iter().any(|(name, _)| *name == call.name)
}

/// The call sites of one step, without those of steps inside it.
pub fn of_step(step: &Step) -> Vec<Site<'_>> {
    match &step.body {
        Body::Uses { action, with } => {
            vec![Site { name: &action.value, span: action.span, args: Args::With(with) }]
        }
        Body::Script(snippet) => of_script(snippet),
        Body::Assert(_) | Body::Findings(_) | Body::Steps(_) | Body::Parallel(_) => Vec::new(),
    }
}

/// The call sites of a script, in source order.
pub fn of_script(snippet: &Snippet) -> Vec<Site<'_>> {
    let calls = snippet.code.calls.iter().filter(|call| may_call_an_action(snippet, call));
    calls
        .map(|call| Site {
            name: &call.name,
            span: snippet.locate(Some(call.position)),
            args: Args::Script(snippet, call),
        })
        .collect()
}

/// The three blocks of a file, in the order they may run.
pub fn blocks(file: &Runbook) -> [&Block; 3] {
    [&file.steps, &file.on_failure, &file.finally]
}

/// Every step of a file with the steps inside groups and those that settle a doubt or undo a step, in source order.
pub fn steps(file: &Runbook) -> Vec<&Step> {
    let mut found = Vec::new();
    for block in blocks(file) {
        collect(block, &mut found);
    }
    found
}

fn collect<'a>(block: &'a Block, found: &mut Vec<&'a Step>) {
    for step in block.iter() {
        found.push(step);
        if let Some(inner) = step.body.inner() {
            collect(inner, found);
        }
        if let Some(settle) = &step.settle {
            collect(&settle.steps, found);
        }
        if let Some(undo) = &step.undo {
            collect(&undo.block, found);
        }
    }
}
