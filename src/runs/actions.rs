//! The actions there are: primitives, and the files of project and standard library.

use std::sync::Arc;

use crate::project::Origin;
use crate::runbook::lower::read_runbook;
use crate::runbook::model::Kind;
use crate::runbook::reach::reach;
use crate::runbook::schema::{SchemaKind, schema};
use crate::runbook::source::Source;
use crate::runbook::spec::ActionSpec;
use crate::runs::Runs;
use crate::steps::catalog;

/// An action by its contract.
#[derive(Clone, Debug)]
pub struct ListedAction {
    pub spec: Arc<ActionSpec>,
    /// `built in`, `embedded` or `project`.
    pub origin: &'static str,
}

impl Runs {
    /// Every action that can be used, by name. Files with problems are left out; `check` names them.
    pub fn actions(&self) -> Vec<ListedAction> {
        let primitives = catalog::specs();
        let built_in =
            primitives.iter().map(|spec| ListedAction { spec: Arc::new((*spec).clone()), origin: "built in" });
        let mut found: Vec<ListedAction> = built_in.collect();
        let files = self.project().actions();
        let caller = caller(files.iter().map(|listed| listed.name.as_str()));
        if let (Some(runbook), _) = read_runbook("all", Kind::Runbook, &caller) {
            let (reached, _) = reach(&runbook, &caller, self.project(), &primitives, &mut Vec::new());
            for listed in &files {
                let Some(action) = reached.actions.get(&listed.name) else { continue };
                let origin = match listed.origin {
                    Origin::Project => "project",
                    Origin::Embedded => "embedded",
                };
                found.push(ListedAction { spec: Arc::clone(&action.spec), origin });
            }
        }
        found.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        found
    }

    /// The JSON Schema of a kind of file, with calls typed by the actions there are.
    pub fn schema(&self, kind: SchemaKind) -> serde_json::Value {
        let actions = self.actions();
        schema(kind, &actions.iter().map(|action| &*action.spec).collect::<Vec<_>>())
    }
}

/// A runbook that uses these actions and nothing else.
fn caller<'a>(actions: impl IntoIterator<Item = &'a str>) -> Arc<Source> {
    let mut text = String::from("version: 1\ntitle: all\nsteps:\n");
    for action in actions {
        text.push_str(&format!("  - uses: {action}\n"));
    }
    Source::new("(every action)", text)
}
