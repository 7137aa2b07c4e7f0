//! The page of an action, a file or a primitive: its contract, and of a file what it does.

use crate::runs::ListedAction;
use crate::surfaces::cli::actions::{effect, example, repeat};
use crate::surfaces::cli::docs::Catalogue;
use crate::surfaces::cli::docs::page::{Page, code, words_of};
use crate::surfaces::cli::docs::runbook::{steps, type_of};
use crate::transcript::words;

/// Backquotes of an example: those of its own fence.
const FENCE_QUOTES: usize = 6;

/// The page.
pub fn page(catalogue: &Catalogue, action: &ListedAction) -> String {
    let spec = &action.spec;
    let program = catalogue.programs.get(&spec.name);
    let mut page = Page::below(&spec.name, &spec.title);
    page.facts(&[
        ("Effect", effect(spec)),
        ("In doubt", repeat(spec).unwrap_or_default().to_owned()),
        ("Origin", action.origin.to_owned()),
    ]);
    match program {
        // What stands in this program is Markdown; what stands in a file is words.
        None => page.line(&format!("{}\n", spec.docs.trim())),
        Some(_) => page.prose(&spec.docs),
    }
    if let Some(example) = example(spec).filter(|text| text.matches('`').count() == FENCE_QUOTES) {
        page.line(&format!("{example}\n"));
    }
    if !spec.args.is_empty() {
        page.heading("Arguments");
        let rows = spec.args.iter().map(|arg| {
            let default = match (&arg.default, arg.required) {
                (Some(default), _) => code(&words::quoted(default)),
                (None, true) => "required".to_owned(),
                (None, false) => "optional".to_owned(),
            };
            vec![code(&arg.name), type_of(&arg.ty), default, words_of(&arg.doc)]
        });
        page.table(&["Name", "Type", "Default", "What it is"], rows.collect());
    }
    if !spec.outputs.is_empty() {
        page.heading("Outputs");
        let rows = spec
            .outputs
            .iter()
            .map(|output| vec![code(&output.name), output.ty.name().to_owned(), words_of(&output.doc)]);
        page.table(&["Name", "Type", "What it is"], rows.collect());
    }
    if let Some(program) = program {
        steps(&mut page, catalogue, program);
    }
    used_by(&mut page, catalogue, &spec.name);
    if let Some(program) = program {
        page.graph(program);
    }
    page.finish()
}

/// Runbooks and actions that call it themselves.
fn used_by(page: &mut Page, catalogue: &Catalogue, name: &str) {
    let books = catalogue.runbooks.iter().filter(|book| catalogue.calls(&book.program).contains(name));
    let mut users: Vec<String> = books.map(|book| page.runbook(&book.name)).collect();
    let actions = catalogue.programs.iter().filter(|(_, program)| catalogue.calls(program).contains(name));
    users.extend(actions.map(|(other, _)| page.action(other)));
    if !users.is_empty() {
        page.heading("Used by");
        page.line(&format!("{}\n", users.join(", ")));
    }
}
