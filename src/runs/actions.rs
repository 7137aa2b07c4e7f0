//! The actions there are: primitives, and the files of project and standard library.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::project::{Listed, Origin};
use crate::runbook::lower::read_runbook;
use crate::runbook::model::Kind;
use crate::runbook::program::{Child, Program};
use crate::runbook::reach::{Action, Reached, reach};
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
        let (files, reached) = self.reached();
        for listed in &files {
            let Some(action) = reached.actions.get(&listed.name) else { continue };
            let origin = match listed.origin {
                Origin::Project => "project",
                Origin::Embedded => "embedded",
            };
            found.push(ListedAction { spec: Arc::clone(&action.spec), origin });
        }
        found.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        found
    }

    /// Every action that is a file, with all it reaches, by name: to be read and drawn. What has problems is left out, as in
    /// [`Runs::actions`].
    pub fn action_programs(&self) -> BTreeMap<String, Program> {
        let (_, reached) = self.reached();
        let book = |(name, file): (&String, &Action)| (name.clone(), Arc::clone(&file.runbook));
        let actions: BTreeMap<_, _> = reached.actions.iter().map(book).collect();
        let child = |(name, file): (&String, &Action)| {
            (name.clone(), Child { runbook: Arc::clone(&file.runbook), spec: Arc::clone(&file.spec) })
        };
        let children: BTreeMap<_, _> = reached.children.iter().map(child).collect();
        let program = |(name, action): (&String, &Action)| {
            let program = Program {
                runbook: Arc::clone(&action.runbook),
                actions: actions.clone(),
                children: children.clone(),
                specs: reached.specs.clone(),
                modules: Vec::new(),
                files: Vec::new(),
                effects: action.totals.effects.iter().copied().collect(),
            };
            (name.clone(), program)
        };
        reached.actions.iter().map(program).collect()
    }

    /// The files of all actions, and everything they reach.
    fn reached(&self) -> (Vec<Listed>, Reached) {
        let files = self.project().actions();
        let caller = caller(files.iter().map(|listed| listed.name.as_str()));
        let reached = match read_runbook("all", Kind::Runbook, &caller) {
            (Some(book), _) => reach(&book, &caller, self.project(), &catalog::specs(), &mut Vec::new()).0,
            (None, _) => Reached::default(),
        };
        (files, reached)
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
