//! The page of a runbook: what it means, needs, does and may say.

use crate::runbook::model::{Block, Body, FindingRule, Input, Runbook, Step, walk};
use crate::runbook::program::Program;
use crate::runbook::types::Type;
use crate::surfaces::cli::actions::choices;
use crate::surfaces::cli::docs::page::{Page, code, words_of};
use crate::surfaces::cli::docs::{Book, Catalogue};
use crate::surfaces::shapes::runbook::{group, manner, what, written};
use crate::transcript::words;

/// Characters of a condition in a table; the graph and the file have the rest.
const CONDITION_CHARS_MAX: usize = 100;

/// The page.
pub fn page(catalogue: &Catalogue, book: &Book) -> String {
    let program = &book.program;
    let runbook = &program.runbook;
    let mut page = Page::below(&book.name, &runbook.title);
    let listed = |names: &[String]| names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ");
    let secrets: Vec<String> = runbook.secrets.iter().map(|name| name.value.clone()).collect();
    page.facts(&[
        ("Effects", effects(program)),
        ("Owner", words_of(runbook.owner.as_deref().unwrap_or_default())),
        ("Reviewed", words_of(runbook.reviewed.as_deref().unwrap_or_default())),
        ("Origin", book.origin.to_owned()),
        ("Tags", words_of(&runbook.tags.join(", "))),
        ("Secrets", listed(&secrets)),
        ("Group", group(runbook).map(|group| code(&group)).unwrap_or_default()),
        ("Ends within", runbook.timeout.as_ref().map(|timeout| code(&written(timeout))).unwrap_or_default()),
    ]);
    for (heading, text) in [("Meaning", &runbook.meaning), ("Impact", &runbook.impact)] {
        if let Some(text) = text {
            page.heading(heading);
            page.prose(text);
        }
    }
    page.heading("Start");
    page.fenced("console", &start(&book.name, runbook));
    inputs(&mut page, &runbook.inputs);
    steps(&mut page, catalogue, program);
    findings(&mut page, catalogue, runbook);
    if !runbook.outputs.is_empty() {
        page.heading("Outputs");
        let rows = runbook.outputs.iter().map(|(name, value)| vec![code(&name.value), code(&written(value))]);
        page.table(&["Name", "Value"], rows.collect());
    }
    let callers = catalogue.runbooks.iter().filter(|other| Catalogue::children(&other.program).contains(&book.name));
    let callers: Vec<String> = callers.map(|other| page.runbook(&other.name)).collect();
    if !callers.is_empty() {
        page.heading("Run by");
        page.line(&format!("{}\n", callers.join(", ")));
    }
    page.graph(program);
    page.finish()
}

/// Effects in a few words.
pub fn effects(program: &Program) -> String {
    program.effects.iter().map(|effect| effect.word()).collect::<Vec<_>>().join(", ")
}

/// Commands to begin with; what must be said has a place to say it at.
fn start(name: &str, runbook: &Runbook) -> String {
    let needed = runbook.inputs.iter().filter(|input| input.required && input.default.is_none());
    let inputs: String = needed.map(|input| format!(" -i {}=…", input.name.value)).collect();
    format!("$ rerail run {name}{inputs} --dry-run\n$ rerail run {name}{inputs}\n")
}

/// The inputs of a runbook or action.
pub fn inputs(page: &mut Page, inputs: &[Input]) {
    if inputs.is_empty() {
        return;
    }
    page.heading("Inputs");
    let rows = inputs.iter().map(|input| {
        let default = match (&input.default, input.required) {
            (Some(default), _) => code(&words::quoted(default)),
            (None, true) => "required".to_owned(),
            (None, false) => "optional".to_owned(),
        };
        let said = input.description.as_deref().unwrap_or_default();
        vec![code(&input.name.value), type_of(&input.ty), default, words_of(said)]
    });
    page.table(&["Name", "Type", "Default", "What it is"], rows.collect());
}

/// A type, with its words if it has some.
pub fn type_of(ty: &Type) -> String {
    match choices(ty) {
        words if words.is_empty() => ty.name().to_owned(),
        words => format!("{} {}", ty.name(), words_of(&words)),
    }
}

/// Every step with what it may do to the world.
pub fn steps(page: &mut Page, catalogue: &Catalogue, program: &Program) {
    let book = &program.runbook;
    for (heading, block) in [("Steps", &book.steps), ("On failure", &book.on_failure), ("Finally", &book.finally)] {
        if block.is_empty() {
            continue;
        }
        page.heading(heading);
        let mut rows = Vec::new();
        collect(page, catalogue, program, block, 0, &mut rows);
        page.table(&["Step", "Effect", "What", "When and how"], rows);
    }
}

fn collect(
    page: &Page,
    catalogue: &Catalogue,
    program: &Program,
    block: &Block,
    depth: usize,
    rows: &mut Vec<Vec<String>>,
) {
    for step in block.iter() {
        let effect = program.effect_of(step);
        let word = if effect.changes_the_world() { format!("**{}**", effect.word()) } else { effect.word().to_owned() };
        let manner = manner(step).into_iter().map(|(key, said)| {
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{key} {}", code(&words::shorten(&said, CONDITION_CHARS_MAX)))
        });
        let manner = manner.collect::<Vec<_>>().join("; ");
        let id = format!("{}{}", "· ".repeat(depth), code(&step.id));
        rows.push(vec![id, word, does(page, catalogue, step), manner]);
        if let Some(inner) = step.body.inner() {
            collect(page, catalogue, program, inner, depth + 1, rows);
        }
    }
}

/// What a step does, with a link to whatever it calls.
fn does(page: &Page, catalogue: &Catalogue, step: &Step) -> String {
    let name = step.name.as_ref().map(|name| format!("{}: ", words_of(&written(name)))).unwrap_or_default();
    let called = what(step);
    let child = called.strip_prefix("runbook ").filter(|child| catalogue.has_runbook(child));
    let what = match &step.body {
        _ if child.is_some() => format!("runs {}", page.runbook(child.unwrap_or_default())),
        Body::Uses { action, .. } if catalogue.has_action(&action.value) => page.action(&action.value),
        _ => called,
    };
    format!("{name}{what}")
}

fn findings(page: &mut Page, catalogue: &Catalogue, runbook: &Runbook) {
    let mut rules: Vec<FindingRule> = Vec::new();
    for block in [&runbook.steps, &runbook.on_failure, &runbook.finally] {
        walk(block, &mut |step| {
            if let Body::Findings(found) = &step.body {
                rules.extend(found.iter().cloned());
            }
        });
    }
    if rules.is_empty() {
        return;
    }
    page.heading("What it may say");
    let rows = rules.iter().map(|rule| {
        let next = rule.suggest.as_ref().map(|suggest| match catalogue.has_runbook(&suggest.runbook.value) {
            true => page.runbook(&suggest.runbook.value),
            false => code(&suggest.runbook.value),
        });
        vec![words::level(rule.level).to_owned(), words_of(&written(&rule.say)), next.unwrap_or_default()]
    });
    page.table(&["Level", "Finding", "Next"], rows.collect());
}
