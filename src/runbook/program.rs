//! A checked runbook with everything it can reach: what a run is pinned to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::runbook::check::{Facts, check};
use crate::runbook::commands::Commands;
use crate::runbook::defaults;
use crate::runbook::effects::{self, Callees};
use crate::runbook::gaps::Gaps;
use crate::runbook::lower::{Reading, read_partly};
use crate::runbook::model::{Kind, Runbook, Step};
use crate::runbook::problem::{self, Problem};
use crate::runbook::reach::{Action, reach};
use crate::runbook::readings::Readings;
use crate::runbook::source::Source;
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::triggers;

/// A checked runbook, its actions and modules.
#[derive(Clone, Debug)]
pub struct Program {
    pub runbook: Arc<Runbook>,
    /// YAML actions it reaches, by dotted name.
    pub actions: BTreeMap<String, Arc<Runbook>>,
    /// Runbooks it calls by `uses: runbook`, by name.
    pub children: BTreeMap<String, Child>,
    /// Specs of everything callable that it reaches, primitives and actions.
    pub specs: BTreeMap<String, Arc<ActionSpec>>,
    /// Rhai modules it reaches: path and text.
    pub modules: Vec<(String, String)>,
    /// All texts, the runbook first, and then those it runs.
    pub files: Vec<ProgramFile>,
    /// The effects a run may have, each once, mildest first.
    pub effects: Vec<Effect>,
}

/// A runbook called by another one.
#[derive(Clone, Debug)]
pub struct Child {
    pub runbook: Arc<Runbook>,
    /// Its inputs as arguments, its outputs and effect.
    pub spec: Arc<ActionSpec>,
}

impl Program {
    /// The greatest effect a step can have, with the steps inside it, as far as its text says.
    pub fn effect_of(&self, step: &Step) -> Effect {
        effects::of_step(step, self)
    }
}

impl Child {
    fn of(read: &Action) -> Child {
        Child { runbook: read.runbook.clone(), spec: read.spec.clone() }
    }
}

impl Callees for Program {
    fn action(&self, name: &str) -> Option<&ActionSpec> {
        self.specs.get(name).map(Arc::as_ref)
    }

    fn child(&self, name: &str) -> Option<&ActionSpec> {
        self.children.get(name).map(|child| child.spec.as_ref())
    }

    fn is_yaml(&self, name: &str) -> bool {
        self.actions.contains_key(name)
    }
}

/// One text of a program.
#[derive(Clone, Debug)]
pub struct ProgramFile {
    pub kind: FileKind,
    pub name: String,
    pub source: Arc<Source>,
}

/// What a pinned file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    Runbook,
    Action,
    Module,
    Target,
    Project,
}

/// What a library has of a name: its text, nothing, or why what is there can't be used.
pub type Looked = Result<Option<Arc<Source>>, Box<Problem>>;

/// Where texts come from: a project's folders with the embedded ones below, or a run's pinned files.
pub trait Library {
    /// The text of an action by dotted name.
    fn action(&self, name: &str) -> Looked;
    /// The text of a runbook by name.
    fn runbook(&self, name: &str) -> Looked;
    /// The text of a Rhai module by path.
    fn module(&self, path: &str) -> Looked;
    /// Names of all actions, for suggestions.
    fn action_names(&self) -> Vec<String>;
    /// Names of all runbooks, for `suggest` and nearest names.
    fn runbook_names(&self) -> Vec<String>;
    /// Where what its files were read as is kept, if it is: each is read anew for every program otherwise.
    fn readings(&self) -> Option<&Readings> {
        None
    }
    /// The commands this host allows; none unless it says so.
    fn commands(&self) -> Commands {
        Commands::default()
    }
}

/// Checks a runbook and all it reaches. `primitives` are the specs of the catalog.
///
/// Gives the program if there is no error; the problems hold warnings as well, sorted by file and place,
/// those of the runbook first.
pub fn load(
    name: &str,
    source: Arc<Source>,
    library: &dyn Library,
    primitives: &[&ActionSpec],
) -> (Option<Program>, Vec<Problem>) {
    let Reading { runbook, gaps, mut problems } = read_partly(name, Kind::Runbook, &source);
    let Some(runbook) = runbook else { return (None, problems) };
    let (reached, totals) = reach(&runbook, &source, library, primitives, &mut problems);
    let runbook = defaults::applied(runbook, &reached);
    let facts = Facts::new(&reached, library, primitives);
    problems.extend(check(&runbook, &source, &gaps, &facts));
    // Inputs that could not be read may be those it gives.
    let inputs = (!gaps.any()).then_some(runbook.inputs.as_slice());
    problems.extend(runbook.triggers.iter().flat_map(|trigger| triggers::check(trigger, &source, name, inputs)));
    for below in reached.actions.values().chain(reached.children.values()) {
        problems.extend(check(&below.runbook, &below.source, &Gaps::default(), &facts));
    }
    for partial in &reached.partial {
        problems.extend(check(&partial.runbook, &partial.source, &partial.gaps, &facts));
    }
    drop(facts);
    problem::sort(&mut problems);
    problems.sort_by_key(|problem| problem.source.shown != source.shown);
    if problem::has_errors(&problems) {
        return (None, problems);
    }
    let file =
        |kind, name: &str, source: &Arc<Source>| ProgramFile { kind, name: name.to_owned(), source: source.clone() };
    let mut files = vec![file(FileKind::Runbook, name, &source)];
    files.extend(reached.children.iter().map(|(name, child)| file(FileKind::Runbook, name, &child.source)));
    files.extend(reached.actions.iter().map(|(name, action)| file(FileKind::Action, name, &action.source)));
    files.extend(reached.modules.all().map(|(path, module)| file(FileKind::Module, path, &module.source)));
    let program = Program {
        runbook: Arc::new(runbook),
        actions: reached.actions.iter().map(|(name, action)| (name.clone(), action.runbook.clone())).collect(),
        children: reached.children.iter().map(|(name, child)| (name.clone(), Child::of(child))).collect(),
        modules: reached.modules.all().map(|(path, module)| (path.clone(), module.source.text.clone())).collect(),
        specs: reached.specs,
        files,
        effects: totals.effects.into_iter().collect(),
    };
    (Some(program), problems)
}
