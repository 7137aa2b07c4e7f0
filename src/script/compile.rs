//! Text to code, and what can be said of code without running it.

use std::collections::BTreeSet;
use std::sync::Once;

use rhai::{Engine, LexError, Module, OptimizationLevel, ParseError, ParseErrorType, Scope, Token};

use crate::script::analysis::{self, Facts};
use crate::script::guards::{self, Shift};
use crate::script::value::Map;
use crate::script::{errors, limits, operators};

pub use crate::script::functions::known_functions;

/// The variables a snippet may read; which of them exist at a place is for `runbook/check.rs`.
pub const CONTEXTS: [&str; 8] = ["inputs", "vars", "steps", "secrets", "run", "each", "result", "alert"];

/// Part of what a runbook means: names of closures and the order of hashed tables come from it.
const HASHING_SEED: [u64; 4] = [0x7265, 0x7261, 0x696c, 1];

/// A place in a snippet: line and column from 1, in characters.
pub type Position = (usize, usize);

/// A compiled expression or script.
#[derive(Clone, Debug)]
pub struct Code {
    pub(crate) ast: rhai::AST,
    /// What `guards` has put into the text that `ast` was made from.
    pub(crate) shifts: Vec<Shift>,
    /// Every read of a context (`steps.audit.outputs.names`), in source order.
    pub reads: Vec<Read>,
    /// Every call, in source order, also inside functions and closures.
    pub calls: Vec<Call>,
    /// Every comparison of something with a string literal: `steps.x.outcome == "done"`.
    pub comparisons: Vec<(Read, String, Position)>,
    /// Names of functions the script defines.
    pub functions: Vec<(String, Position)>,
    /// Literal paths of `import`.
    pub imports: Vec<(String, Position)>,
    /// Variables the script binds (`let`, `const`, `for`, closure parameters, `import … as`).
    pub bindings: Vec<(String, Position)>,
}

/// A read of a context variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// `inputs vars steps secrets run each result alert`
    pub root: String,
    /// Literal keys after the root, up to the first computed index or method call.
    pub path: Vec<(String, Position)>,
    /// The path ends in an index that is computed, so what follows isn't known.
    pub computed: bool,
    /// The method that is called on what was read, with its place.
    pub method: Option<(String, Position)>,
    pub position: Position,
}

/// A call site.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `len`, or `http.probe` for `http::probe(…)`.
    pub name: String,
    pub namespaced: bool,
    /// `x.f(…)`
    pub method: bool,
    pub arity: usize,
    pub position: Position,
    /// Keys of the argument, when it is one map literal.
    pub keys: Option<Vec<(String, Position)>>,
    /// Those entries of that literal whose values are literals too.
    pub literals: Map,
    /// The last argument, when it is a literal text.
    pub last_text: Option<(String, Position)>,
}

/// Why text does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    pub kind: CompileErrorKind,
    pub message: String,
    pub position: Option<Position>,
}

/// Mistakes with an answer of their own; see `runbook/check.rs` for codes and help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileErrorKind {
    /// `x.default`: the word, to be written `x["default"]`.
    ReservedWord(String),
    /// `#{ [k]: v }`
    ComputedKey,
    /// `${{` inside a script.
    DollarBrace,
    /// `#` used as a comment.
    HashComment,
    /// A variable that does not exist.
    UnknownVariable(String),
    Syntax,
}

/// Compiles what stands in `${{ }}`, `if`, `until`, `that`, `when`: one expression, no statements.
///
/// # Errors
/// The first mistake, with its position.
pub fn expression(text: &str) -> Result<Code, CompileError> {
    compile(text, Form::Expression)
}

/// Compiles a `script:` body.
///
/// # Errors
/// The first mistake, with its position.
pub fn script(text: &str) -> Result<Code, CompileError> {
    compile(text, Form::Script)
}

/// Compiles a module: as a script, but without contexts.
///
/// # Errors
/// The first mistake, with its position.
pub fn module(text: &str) -> Result<Code, CompileError> {
    compile(text, Form::Module)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Expression,
    Script,
    Module,
}

fn compile(text: &str, form: Form) -> Result<Code, CompileError> {
    fix_hashing_seed();
    let mut engine = Engine::new_raw();
    set_language(&mut engine);
    let tokens = guards::tokens(&engine, text);
    let mut scope = Scope::new();
    if form != Form::Module {
        for name in CONTEXTS {
            scope.push_constant(name, ());
        }
    }
    know_namespaces(&mut engine, &tokens);
    let ast = parse(&engine, &scope, text, form).map_err(|error| explain(text, &error))?;
    if let Some(at) = open_comment(&engine, &scope, text, form) {
        let message = "this comment is never closed: everything after it is dropped".to_owned();
        return Err(CompileError { kind: CompileErrorKind::Syntax, message, position: Some(at) });
    }
    if let Some(position) = guards::misplaced_type_of(&tokens) {
        let (kind, message) = reserved_word("type_of");
        return Err(CompileError { kind, message, position: Some(position) });
    }
    let Facts { reads, calls, comparisons, functions, imports, bindings } = analysis::analyse(&ast, &tokens);
    let (ast, shifts) = match guards::written(text, &tokens) {
        None => (ast, Vec::new()),
        Some((guarded, shifts)) => {
            let ast = parse(&engine, &scope, &guarded, form).map_err(|error| explain(text, &error))?;
            (ast, shifts)
        }
    };
    if !guards::complete(&ast) {
        let message = "this `switch` or `catch` is written in a way that can't be followed".to_owned();
        return Err(CompileError { kind: CompileErrorKind::Syntax, message, position: None });
    }
    Ok(Code { ast, shifts, reads, calls, comparisons, functions, imports, bindings })
}

/// Where a `/*` without its `*/` stands. Rhai takes the rest of the text for a comment and says nothing; a
/// text that still parses with one more `*/` has one open.
fn open_comment(engine: &Engine, scope: &Scope, text: &str, form: Form) -> Option<Position> {
    let at = text.rfind("/*")?;
    parse(engine, scope, &format!("{text}\n*/"), form).ok()?;
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    Some((text[..at].matches('\n').count() + 1, text[line_start..at].chars().count() + 1))
}

/// Makes every `name::` of the text known to the parser, which refuses others: whether `http::probe` exists is
/// the check's question, which has the catalog and better words. All at once, because each one found by a
/// failed parse would cost another parse of the whole text.
fn know_namespaces(engine: &mut Engine, tokens: &[(Token, rhai::Position)]) {
    let empty: rhai::Shared<Module> = Module::new().into();
    let mut known = BTreeSet::new();
    for pair in tokens.windows(2) {
        if let [(Token::Identifier(name), _), (Token::DoubleColon, _)] = pair
            && known.insert(name.as_str())
        {
            engine.register_static_module(name.as_str(), empty.clone());
        }
    }
}

fn parse(engine: &Engine, scope: &Scope, text: &str, form: Form) -> Result<rhai::AST, ParseError> {
    match form {
        Form::Expression => engine.compile_expression_with_scope(scope, text),
        Form::Script | Form::Module => engine.compile_with_scope(scope, text),
    }
}

impl Code {
    /// Where a position of the evaluated text lies in the snippet.
    pub(crate) fn original(&self, position: Position) -> Position {
        guards::original(&self.shifts, position)
    }
}

/// Must run before the first engine of the process: Rhai takes the seed once.
pub(super) fn fix_hashing_seed() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that it is set already, which only this function does.
        let _ = rhai::config::hashing::set_hashing_seed(Some(HASHING_SEED));
    });
}

/// Applies what parsing and running must agree on.
pub(super) fn set_language(engine: &mut Engine) {
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(true);
    for symbol in ["eval", "is_shared", "is_def_var"] {
        engine.disable_symbol(symbol);
    }
    #[expect(deprecated, reason = "Rhai marks it as volatile, and its version is pinned")]
    engine.on_parse_token(|token, _, _| match token {
        Token::Reserved(word) if *word == "type_of" => Token::Identifier(Box::new(operators::TYPE_OF.into())),
        other => other,
    });
    engine.set_max_string_size(limits::STRING_BYTES_MAX);
    engine.set_max_array_size(limits::ELEMENTS_MAX);
    engine.set_max_map_size(limits::ELEMENTS_MAX);
    engine.set_max_variables(limits::VARIABLES_MAX);
    engine.set_max_functions(limits::FUNCTIONS_MAX);
    engine.set_max_expr_depths(limits::EXPRESSION_DEPTH_MAX.0, limits::EXPRESSION_DEPTH_MAX.1);
}

/// Turns Rhai's parse error into one of ours.
fn explain(text: &str, error: &ParseError) -> CompileError {
    let position = error.position();
    let position = (!position.is_none()).then(|| analysis::at(position));
    let rest = position.map_or("", |position| rest_at(text, position));
    let word: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let before = position.map_or("", |position| text.strip_suffix(rest_at(text, position)).unwrap_or(""));
    let after_dot = before.trim_end().ends_with('.') && !before.trim_end().ends_with("..");
    let is_key = !word.is_empty() && rest[word.len()..].trim_start().starts_with(':') && !rest.contains("::");
    let (kind, message) = match error.err_type() {
        ParseErrorType::VariableUndefined(name) => {
            (CompileErrorKind::UnknownVariable(name.clone()), format!("unknown variable `{name}`"))
        }
        _ if rest.starts_with("${{") => (
            CompileErrorKind::DollarBrace,
            "`${{ }}` doesn't belong into a script, which reads variables directly".to_owned(),
        ),
        _ if rest.starts_with('#') && !rest.starts_with("#{") => {
            (CompileErrorKind::HashComment, "`#` doesn't start a comment here; `//` does".to_owned())
        }
        ParseErrorType::PropertyExpected | ParseErrorType::MissingToken(..)
            if rest.starts_with(['[', '(', '`']) && opens_map_entry(before) =>
        {
            (CompileErrorKind::ComputedKey, "a map literal can't have a computed key".to_owned())
        }
        ParseErrorType::Reserved(reserved) if reserved == "eval" => {
            (CompileErrorKind::Syntax, "`eval` is not available: a runbook is checked before it runs".to_owned())
        }
        ParseErrorType::Reserved(reserved) if rhai::is_valid_identifier(reserved) => reserved_word(reserved),
        _ if rhai::is_valid_identifier(&word) && (after_dot || is_key && opens_map_entry(before)) => {
            reserved_word(&word)
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(input)) => {
            (CompileErrorKind::Syntax, format!("unexpected `{input}`"))
        }
        other => (CompileErrorKind::Syntax, errors::lower_first(&other.to_string())),
    };
    CompileError { kind, message, position }
}

fn reserved_word(word: &str) -> (CompileErrorKind, String) {
    (CompileErrorKind::ReservedWord(word.to_owned()), format!("`{word}` is a reserved word"))
}

/// Whether what follows `before` is the place of a key in a map literal, as far as text can tell.
fn opens_map_entry(before: &str) -> bool {
    let before = before.trim_end();
    before.ends_with("#{") || before.ends_with(',') && before.contains("#{")
}

/// The text from a position on.
fn rest_at(text: &str, (line, column): Position) -> &str {
    let mut start = 0;
    for _ in 1..line {
        match text[start..].find('\n') {
            Some(newline) => start += newline + 1,
            None => return "",
        }
    }
    let offset = text[start..].char_indices().nth(column - 1).map_or(text.len() - start, |(index, _)| index);
    &text[start + offset..]
}

#[cfg(test)]
mod tests;
