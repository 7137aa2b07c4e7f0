//! The Rhai modules a program imports: found, read, and proven to be nothing but functions and constants.
//!
//! A module that does something when it is imported would do it on every replay; one that sees contexts
//! or calls steps couldn't be judged by the place that imports it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{ASTFlags, Stmt};

use crate::runbook::nearest::did_you_mean;
use crate::runbook::problem::Problem;
use crate::runbook::program::Library;
use crate::runbook::snippet::{Snippet, locate};
use crate::runbook::source::{Source, Span};
use crate::script::compile::{self, Call, Code, CompileErrorKind, Position, known_functions};

/// Modules inside modules below a script: bounds every recursion over them.
pub const MODULE_DEPTH_MAX: usize = 16;

/// The modules read so far.
#[derive(Default)]
pub struct Modules {
    found: BTreeMap<String, Module>,
    /// Paths being read, outermost first.
    path: Vec<String>,
    /// Some module couldn't be read: what it would define isn't known.
    incomplete: bool,
}

/// One module.
pub struct Module {
    pub source: Arc<Source>,
    /// What it defines; nothing if it doesn't compile.
    pub functions: Vec<String>,
}

impl Modules {
    /// Every module by path.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Module)> {
        self.found.iter()
    }

    /// Whether any module defines this function, as far as all could be read; which alias stands for
    /// which module isn't known.
    pub fn define(&self, function: &str) -> bool {
        self.incomplete || self.found.values().any(|module| module.functions.iter().any(|name| name == function))
    }

    /// The functions of all modules, for guesses.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.found.values().flat_map(|module| module.functions.iter().map(String::as_str))
    }

    /// Reads what a script imports, and what that imports.
    pub fn import(&mut self, snippet: &Snippet, library: &dyn Library, problems: &mut Vec<Problem>) {
        for (path, position) in &snippet.code.imports {
            let span = snippet.locate_text(*position, path);
            self.one(path, &snippet.source, span, library, problems);
        }
    }

    fn one(
        &mut self,
        path: &str,
        importer: &Arc<Source>,
        span: Span,
        library: &dyn Library,
        problems: &mut Vec<Problem>,
    ) {
        if let Some(start) = self.path.iter().position(|open| open == path) {
            self.incomplete = true;
            let circle: Vec<&str> = self.path[start..].iter().map(String::as_str).chain([path]).collect();
            let message = format!("module `{path}` imports itself: {}", circle.join(" → "));
            problems.push(Problem::error("E0222", importer, span, message).label("closes the circle"));
            return;
        }
        if self.found.contains_key(path) {
            return;
        }
        if self.path.len() >= MODULE_DEPTH_MAX {
            self.incomplete = true;
            let message = format!("module `{path}` is nested more than {MODULE_DEPTH_MAX} deep");
            problems.push(Problem::error("E0224", importer, span, message).label("one level too many"));
            return;
        }
        if path.is_empty() {
            self.incomplete = true;
            let problem = Problem::error("E0220", importer, span, "the path of an `import` must be a literal text");
            problems.push(problem.label("computed").help("a run is pinned to its modules before it starts"));
            return;
        }
        let source = match library.module(path) {
            Ok(Some(source)) => source,
            Ok(None) => {
                self.incomplete = true;
                let problem = Problem::error("E0220", importer, span, format!("no module `{path}`"));
                let help = format!("modules stand in `modules/`: this one would be `modules/{path}.rhai`");
                problems.push(problem.label("unknown module").help(help));
                return;
            }
            Err(problem) => {
                self.incomplete = true;
                problems.push(*problem);
                return;
            }
        };
        self.path.push(path.to_owned());
        let compiled = match library.readings() {
            Some(readings) => readings.module(path, &source),
            None => compile::module(&source.text).map(Arc::new),
        };
        let functions = match compiled {
            Ok(code) => {
                let functions = code.functions.iter().map(|(name, _)| name.clone()).collect();
                let snippet = whole_file(&source, code);
                self.import(&snippet, library, problems);
                self.judge(path, &snippet, library, problems);
                functions
            }
            Err(error) => {
                self.incomplete = true;
                problems.push(not_compiling(&source, &error));
                Vec::new()
            }
        };
        self.path.pop();
        self.found.insert(path.to_owned(), Module { source, functions });
    }

    /// Holds a module to functions and constants.
    fn judge(&self, path: &str, module: &Snippet, library: &dyn Library, problems: &mut Vec<Problem>) {
        for statement in module.code.ast.statements() {
            let constant = matches!(statement, Stmt::Var(_, flags, _) if flags.intersects(ASTFlags::CONSTANT));
            if constant || matches!(statement, Stmt::Noop(_) | Stmt::Import(..) | Stmt::Export(..)) {
                continue;
            }
            let at = statement.position();
            let position = at.line().map(|line| (line, at.position().unwrap_or(1)));
            let message = format!("module `{path}` does something when it is imported");
            problems.push(
                Problem::error("E0221", &module.source, module.locate(position), message)
                    .label("not a function, constant or import")
                    .help("put it into a function"),
            );
        }
        for call in &module.code.calls {
            let span = module.locate(Some(call.position));
            problems.extend(self.judge_call(path, module, call, library).map(|(code, message, label, help)| {
                Problem::error(code, &module.source, span, message).label(label).maybe_help(help)
            }));
        }
    }

    /// What is wrong with one call in a module: code, message, label and help.
    fn judge_call(
        &self,
        path: &str,
        module: &Snippet,
        call: &Call,
        library: &dyn Library,
    ) -> Option<(&'static str, String, &'static str, Option<String>)> {
        let code = &module.code;
        let names = |list: &[(String, Position)], name: &str| list.iter().any(|(known, _)| known == name);
        let calls_a_step = || {
            let message = format!("module `{path}` calls `{}`", call.name.replace('.', "::"));
            let help = String::from("call the step in the script and pass its result");
            Some(("E0221", message, "a module can't call steps", Some(help)))
        };
        if call.namespaced {
            let (space, function) = call.name.split_once('.').unwrap_or_default();
            if !names(&code.bindings, space) {
                return calls_a_step();
            }
            let message = format!("no imported module defines `{function}`");
            let help = did_you_mean(function, self.functions());
            return (!self.define(function)).then_some(("E0214", message, "unknown function", help));
        }
        if call.name == "Fn" {
            let help = String::from("write a closure, `|x| f(x)`, whose calls can be checked");
            return Some(("E0217", String::from("a function is chosen by its name"), "can't be checked", Some(help)));
        }
        if names(&code.functions, &call.name) || known_functions().contains(&call.name) {
            return None;
        }
        // Asked before bindings: a variable of that name doesn't keep Rhai from calling the action.
        if !matches!(library.action(&call.name), Ok(None)) {
            return calls_a_step();
        }
        if names(&code.bindings, &call.name) {
            return None;
        }
        let known = known_functions().iter().chain(code.functions.iter().map(|(name, _)| name));
        let help = did_you_mean(&call.name, known.map(String::as_str));
        Some(("E0214", format!("no function `{}`", call.name), "unknown function", help))
    }
}

/// A module's text as a snippet that is its whole file, so that positions are found the same way.
fn whole_file(source: &Arc<Source>, code: Arc<Code>) -> Snippet {
    Snippet { source: source.clone(), text: Arc::from(source.text.as_str()), offsets: offsets(source).into(), code }
}

/// The byte offset of every character of a file, and of its end.
fn offsets(source: &Source) -> Vec<u32> {
    let ends = source.text.char_indices().map(|(at, _)| at).chain([source.text.len()]);
    ends.map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect()
}

fn not_compiling(source: &Arc<Source>, error: &compile::CompileError) -> Problem {
    let span = locate(&source.text, &offsets(source), error.position);
    let (code, message) = match &error.kind {
        CompileErrorKind::UnknownVariable(name) if compile::CONTEXTS.contains(&name.as_str()) => {
            ("E0221", format!("a module can't read `{name}`: pass what it needs as an argument"))
        }
        CompileErrorKind::UnknownVariable(_) => ("E0306", error.message.clone()),
        CompileErrorKind::ReservedWord(_) => ("E0302", error.message.clone()),
        CompileErrorKind::ComputedKey => ("E0303", error.message.clone()),
        CompileErrorKind::DollarBrace => ("E0304", error.message.clone()),
        CompileErrorKind::HashComment => ("E0305", error.message.clone()),
        CompileErrorKind::Syntax => ("E0301", error.message.clone()),
    };
    Problem::error(code, source, span, message).label("here")
}
