//! The page to begin at.

use crate::surfaces::cli::actions::effect;
use crate::surfaces::cli::docs::Catalogue;
use crate::surfaces::cli::docs::page::{Page, words_of};
use crate::surfaces::cli::docs::runbook::effects;

/// The page.
pub fn page(catalogue: &Catalogue) -> String {
    let mut page = Page::index("Runbooks");
    page.line("What a person can start, what steps can use, and what each may do to the world.\n");
    let rows = catalogue.runbooks.iter().map(|book| {
        let runbook = &book.program.runbook;
        let owner = runbook.owner.as_deref().unwrap_or("-");
        vec![
            page.runbook(&book.name),
            words_of(&runbook.title),
            effects(&book.program),
            words_of(owner),
            book.origin.to_owned(),
        ]
    });
    let rows = rows.collect();
    page.table(&["Runbook", "For", "Effects", "Owner", "Origin"], rows);
    let heads = ["Action", "For", "Effect", "Origin"];
    for (heading, is_file) in [("Actions", true), ("Primitives", false)] {
        page.heading(heading);
        let listed =
            catalogue.actions.iter().filter(|action| catalogue.programs.contains_key(&action.spec.name) == is_file);
        let rows = listed.map(|action| {
            let spec = &action.spec;
            vec![page.action(&spec.name), words_of(&spec.title), effect(spec), action.origin.to_owned()]
        });
        let rows = rows.collect();
        page.table(&heads, rows);
    }
    page.finish()
}
