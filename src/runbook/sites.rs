//! Call sites: every place of a file that calls an action, as `uses` or from a script.

use crate::runbook::model::{Block, Body, Runbook, Step};
use crate::runbook::snippet::{Snippet, Template};
use crate::runbook::source::{Span, Spanned};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::script::compile::{Call, known_functions};

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
        match self {
            Args::With(with) => {
                let literals = with.iter().map(|(key, value)| (key.value.clone(), value.as_written())).collect();
                spec.effect_as_written(Some(with.iter().map(|(key, _)| key.value.as_str())), &literals)
            }
            Args::Script(_, call) => {
                let keys = call.keys.as_ref().map(|keys| keys.iter().map(|(key, _)| key.as_str()));
                spec.effect_as_written(keys, &call.literals)
            }
        }
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

/// Every step of a file with the steps inside groups and those that settle a doubt, in source order.
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
    }
}
