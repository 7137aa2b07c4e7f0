//! Evaluation: contexts in, a value or the next wanted call out.
//!
//! A script that makes a call without a recorded answer is ended there by unwinding and evaluated
//! from its start once the answer is known. So a script must do the same each time: nothing in here
//! knows the time, chance, an address or the order of a hash table.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use rhai::module_resolvers::StaticModuleResolver;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, BitFieldPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, Module, NativeCallContext, Scope, Shared, Stmt};

use crate::script::answers::Answers;
use crate::script::compile::{self, CONTEXTS, Code, CompileError, CompileErrorKind, Position};
use crate::script::current::{self, End, Failure};
use crate::script::value::{Map, Unknown, Value};
use crate::script::{convert, errors, functions, guards, leaves, limits, lists, operators};

/// An interpreter for one program: knows its actions and modules. Cheap to use, not to build: one per
/// program, shared by all its evaluations on one thread.
pub struct Sandbox {
    /// Built for the first evaluation, because many runbooks have nothing to evaluate.
    engine: OnceLock<Engine>,
    actions: Vec<String>,
}

/// What an evaluation sees.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The context variables of this place; reading another one is an error.
    pub contexts: BTreeMap<&'static str, Readable>,
    /// Answers to the calls made so far.
    pub recorded: Answers,
}

/// What a context holds: values, and leaves with behaviour.
#[derive(Clone, Debug)]
pub enum Readable {
    Value(Value),
    /// An address with `.scheme .host .port .path .query .origin`; prints as typed.
    Url(String),
    Map(BTreeMap<String, Readable>),
    /// Reading it is an error with this text: outputs of a step that did not run.
    Refused(String),
}

/// What came of an evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub result: Evaluated,
    /// Lines of `print` and `debug`, within limits, from the start of the script.
    pub printed: Vec<String>,
}

/// The result proper.
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluated {
    Value(Value),
    /// The script wants this call, which has no recorded answer yet.
    Call(Wanted),
    /// It depends on what a rehearsal can't know.
    Unknown(Unknown),
    /// On replay the script made another call than the one recorded.
    Mismatch {
        name: String,
        count: u32,
        recorded: Map,
        now: Map,
    },
    Error(ScriptError),
}

/// The next call of a suspended script.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub name: String,
    /// The n-th call of that name, from 1.
    pub count: u32,
    pub args: Map,
    pub position: Option<Position>,
}

/// Why an evaluation failed.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptError {
    pub kind: ScriptErrorKind,
    pub message: String,
    pub position: Option<Position>,
    /// The value of an uncaught `throw`.
    pub thrown: Option<Value>,
}

/// Classes of script errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptErrorKind {
    /// A named limit: operations, time, memory, sizes, calls.
    Limit,
    /// `throw`, or an uncaught refused or failed call.
    Thrown,
    /// Everything else: types, missing keys, arithmetic.
    Error,
}

impl Sandbox {
    /// Builds an interpreter that can call these actions (dotted names) and import these modules
    /// (path and text).
    ///
    /// # Errors
    /// The first module that doesn't compile: its path and why.
    pub fn new(actions: &[String], modules: &[(String, String)]) -> Result<Sandbox, (String, CompileError)> {
        let sandbox = Sandbox { engine: OnceLock::new(), actions: actions.to_vec() };
        if !modules.is_empty() {
            let mut engine = bare(actions);
            load_modules(&mut engine, actions, modules)?;
            sandbox.engine.get_or_init(|| engine);
        }
        Ok(sandbox)
    }

    /// Evaluates `code`. Never panics, never blocks, ends within the limits.
    ///
    /// The thread needs a stack of [`limits::STACK_BYTES`]: values may nest as deep as the processor
    /// time allows to nest them, and comparing or dropping one goes down as deep. The engine's loop
    /// runs on such a thread; an expression doesn't hop to one.
    pub fn evaluate(&self, code: &Code, input: Input) -> Evaluation {
        let Input { contexts, recorded } = input;
        // Before the limits begin to count.
        let engine = self.engine.get_or_init(|| bare(&self.actions));
        current::begin(recorded);
        let outcome = catch_unwind(AssertUnwindSafe(|| run(engine, code, &contexts)));
        let unknown = current::first_unknown();
        let (end, printed) = current::finish();
        let result = match (end, outcome) {
            // The flag first, whatever came back: it may be an error that was swallowed.
            (Some(end), outcome) => {
                let position = outcome.ok().and_then(Result::err).and_then(|error| errors::position(&error));
                ended(code, end, position)
            }
            (None, Ok(Ok(value))) => Evaluated::Value(value),
            (None, Ok(Err(error))) => match unknown {
                Some(unknown) if errors::mentions(&error, leaves::is_about_unknown) => Evaluated::Unknown(unknown),
                _ => Evaluated::Error(errors::describe(code, &contexts, *error)),
            },
            (None, Err(_)) => Evaluated::Error(ScriptError {
                kind: ScriptErrorKind::Error,
                message: "the interpreter failed on this script".to_owned(),
                position: None,
                thrown: None,
            }),
        };
        Evaluation { result, printed }
    }
}

fn run(engine: &Engine, code: &Code, contexts: &BTreeMap<&'static str, Readable>) -> Result<Value, Failure> {
    let read = contexts.iter().filter(|(name, _)| code.reads.iter().any(|read| read.root == **name));
    current::provide(read.map(|(name, readable)| (*name, convert::context(name, readable, &code.reads))).collect());
    let value: Dynamic = engine.eval_ast_with_scope(&mut Scope::new(), &code.ast)?;
    convert::to_value(value)
}

fn ended(code: &Code, end: End, position: Option<Position>) -> Evaluated {
    match end {
        End::Call(wanted) => {
            let position = wanted.position.map(|position| code.original(position));
            Evaluated::Call(Wanted { position, ..wanted })
        }
        End::Unknown(unknown) => Evaluated::Unknown(unknown),
        End::Mismatch { name, count, recorded, now } => Evaluated::Mismatch { name, count, recorded, now },
        End::Error { kind, message } => {
            let position = position.map(|position| code.original(position));
            Evaluated::Error(ScriptError { kind, message, position, thrown: None })
        }
    }
}

/// An interpreter that knows its actions and no modules.
fn bare(actions: &[String]) -> Engine {
    compile::fix_hashing_seed();
    let mut engine = Engine::new_raw();
    compile::set_language(&mut engine);
    engine.set_fast_operators(false);
    engine.set_max_call_levels(limits::CALL_DEPTH_MAX);
    engine.set_module_resolver(StaticModuleResolver::new());
    for module in standard() {
        engine.register_global_module(module.clone());
    }
    register_hooks(&mut engine);
    register_actions(&mut engine, actions);
    engine
}

/// Rhai's functions, and ours before them. Built once: building costs more than most evaluations.
fn standard() -> &'static [Shared<Module>] {
    static MODULES: OnceLock<Vec<Shared<Module>>> = OnceLock::new();
    MODULES.get_or_init(|| {
        let mut ours = Module::new();
        leaves::register(&mut ours);
        operators::register(&mut ours);
        lists::register(&mut ours);
        functions::register(&mut ours);
        guards::register(&mut ours);
        ours.build_index();
        // Without the core of the language (`sleep`, `exit`, reflection) and without time. The one
        // registered last is asked first.
        vec![
            ArithmeticPackage::new().as_shared_module(),
            LogicPackage::new().as_shared_module(),
            BasicStringPackage::new().as_shared_module(),
            BasicIteratorPackage::new().as_shared_module(),
            BasicFnPackage::new().as_shared_module(),
            BitFieldPackage::new().as_shared_module(),
            BasicMathPackage::new().as_shared_module(),
            BasicArrayPackage::new().as_shared_module(),
            BasicMapPackage::new().as_shared_module(),
            MoreStringPackage::new().as_shared_module(),
            ours.into(),
        ]
    })
}

#[expect(deprecated, reason = "Rhai marks these as volatile, and its version is pinned")]
fn register_hooks(engine: &mut Engine) {
    engine.on_progress(|_| current::progress().then_some(Dynamic::UNIT));
    engine.on_print(current::print);
    engine.on_debug(|text, _, _| current::print(text));
    engine.on_var(|name, _, context| {
        // Not variables of the scope: functions start with an empty one, and a variable that a closure
        // captures is shared and locked, so that `inputs.list.map(|x| x + inputs.n)` would fail.
        if !CONTEXTS.contains(&name) || context.scope().contains(name) {
            return Ok(None);
        }
        match current::context(name) {
            Some(value) => Ok(Some(value)),
            None => Err(current::failure(format!("`{name}` doesn't exist here"))),
        }
    });
    engine.on_missing_function(|name, args, _, mut context| leaves::missing(name, args, &mut context));
}

/// Actions as functions: `http.probe` is `probe` in the namespace `http`.
fn register_actions(engine: &mut Engine, actions: &[String]) {
    #[derive(Default)]
    struct Namespace {
        functions: Vec<String>,
        inner: BTreeMap<String, Namespace>,
    }
    fn build(namespace: &Namespace) -> Module {
        let mut module = Module::new();
        for name in &namespace.functions {
            set_action(&mut module, name);
        }
        for (name, inner) in &namespace.inner {
            module.set_sub_module(name.as_str(), build(inner));
        }
        module
    }
    let mut root = Namespace::default();
    for action in actions {
        let mut at = &mut root;
        let (path, _) = action.rsplit_once('.').unwrap_or(("", action));
        for segment in path.split('.').filter(|segment| !segment.is_empty()) {
            at = at.inner.entry(segment.to_owned()).or_default();
        }
        at.functions.push(action.clone());
    }
    let mut single = Module::new();
    for name in &root.functions {
        set_action(&mut single, name);
    }
    single.build_index();
    engine.register_global_module(single.into());
    for (name, namespace) in &root.inner {
        engine.register_static_module(name, build(namespace).into());
    }
}

fn set_action(module: &mut Module, action: &str) {
    let function = action.rsplit('.').next().unwrap_or(action).to_owned();
    let action = action.to_owned();
    module.set_native_fn(function, move |context: NativeCallContext, argument: Dynamic| {
        current::call(&context, &action, argument)
    });
}

/// Compiles modules and makes them importable, those that import others after them.
fn load_modules(
    engine: &mut Engine,
    actions: &[String],
    modules: &[(String, String)],
) -> Result<(), (String, CompileError)> {
    let mut waiting = Vec::new();
    for (path, text) in modules {
        let code = compile::module(text).map_err(|error| (path.clone(), error))?;
        check_module(&code, actions).map_err(|error| (path.clone(), error))?;
        waiting.push((path, code));
    }
    let mut resolver = StaticModuleResolver::new();
    while !waiting.is_empty() {
        let (ready, blocked): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, code)| code.imports.iter().all(|(path, _)| resolver.contains_path(path)));
        if let ([], [(path, code), ..]) = (ready.as_slice(), blocked.as_slice()) {
            let missing = code.imports.iter().find(|(path, _)| !resolver.contains_path(path));
            let (wanted, position) = missing.cloned().unwrap_or_default();
            let message = format!("module `{wanted}` doesn't exist or imports this one");
            return Err(((*path).clone(), rejected(message, Some(position))));
        }
        for (path, code) in ready {
            let module = evaluate_module(engine, &code).map_err(|error| {
                let error = errors::describe(&code, &BTreeMap::new(), *error);
                ((*path).clone(), rejected(error.message, error.position))
            })?;
            resolver.insert(path.as_str(), module);
        }
        engine.set_module_resolver(resolver.clone());
        waiting = blocked;
    }
    Ok(())
}

fn evaluate_module(engine: &Engine, code: &Code) -> Result<Module, Failure> {
    current::begin(Answers::default());
    let outcome = catch_unwind(AssertUnwindSafe(|| Module::eval_ast_as_new(Scope::new(), &code.ast, engine)));
    let (end, _) = current::finish();
    match (end, outcome) {
        (Some(End::Error { message, .. }), _) => Err(current::failure(message)),
        (Some(_), _) | (None, Err(_)) => Err(current::failure("the interpreter failed on this module")),
        (None, Ok(Ok(mut module))) => {
            // Tells frames in a module from those in the snippet: see `errors::position`.
            module.set_id("module");
            Ok(module)
        }
        (None, Ok(Err(error))) => Err(error),
    }
}

/// Modules hold pure functions and constants.
fn check_module(code: &Code, actions: &[String]) -> Result<(), CompileError> {
    for statement in code.ast.statements() {
        let fine = match statement {
            Stmt::Var(_, flags, _) => flags.contains(rhai::ASTFlags::CONSTANT),
            Stmt::Import(..) | Stmt::Export(..) | Stmt::Noop(_) => true,
            _ => false,
        };
        if !fine {
            let message = "a module holds functions, constants and imports only".to_owned();
            return Err(rejected(message, Some(crate::script::analysis::at(statement.position()))));
        }
    }
    if let Some((_, position)) = code.imports.iter().find(|(path, _)| path.is_empty()) {
        return Err(rejected("the path of an import is a literal string".to_owned(), Some(*position)));
    }
    if let Some(call) = code.calls.iter().find(|call| actions.contains(&call.name)) {
        let message = format!("a module can't call the step `{}`: its functions are pure", call.name);
        return Err(rejected(message, Some(call.position)));
    }
    Ok(())
}

fn rejected(message: String, position: Option<Position>) -> CompileError {
    CompileError { kind: CompileErrorKind::Syntax, message, position }
}

#[cfg(test)]
mod tests;
