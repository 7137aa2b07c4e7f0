//! Guards written into a snippet where Rhai decides without asking anybody.
//!
//! Two constructs would swallow what a script may not swallow: `switch` takes its last arm for any
//! value it can't hash, so an unknown would silently take a branch, and `catch` gets errors that stem
//! from an unknown. Both get a call of ours: `switch x` becomes `switch rerail_subject(x, "…")`, and a
//! `catch` begins with `error = rerail_caught(error);`. Positions are mapped back, so nobody sees it.

use rhai::{AST, ASTNode, Dynamic, Engine, Expr, Map, Module, Stmt, Token};

use crate::script::compile::Position;
use crate::script::current::{self, End, Failure, failure};
use crate::script::{analysis, errors, leaves, operators};

const SUBJECT: &str = "rerail_subject";
const CAUGHT: &str = "rerail_caught";
const ERROR: &str = "rerail_error";

/// Text put into a line: where it stands in the original, and how wide it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) at: Position,
    pub(crate) width: usize,
}

/// All tokens of `text`, also those inside `${}` of strings.
pub(super) fn tokens(engine: &Engine, text: &str) -> Vec<(Token, rhai::Position)> {
    let texts = [text];
    let (stream, control) = engine.lex(&texts);
    let mut tokens: Vec<(Token, rhai::Position)> = Vec::new();
    // Open braces of each `${}` around the place.
    let mut interpolations: Vec<usize> = Vec::new();
    for (token, position) in stream {
        match &token {
            Token::EOF | Token::LexError(_) => break,
            Token::LeftBrace if matches!(tokens.last(), Some((Token::InterpolatedString(_), _))) => {
                interpolations.push(0);
            }
            Token::LeftBrace | Token::MapStart => {
                if let Some(open) = interpolations.last_mut() {
                    *open += 1;
                }
            }
            Token::RightBrace => match interpolations.last_mut() {
                Some(0) => {
                    interpolations.pop();
                    // What follows is text again; only the parser could know.
                    control.borrow_mut().is_within_text = true;
                }
                Some(open) => *open -= 1,
                None => {}
            },
            _ => {}
        }
        tokens.push((token, position));
    }
    tokens
}

/// The position of a `type_of` that isn't a call: the parser has been told to take it for a name.
pub(super) fn misplaced_type_of(tokens: &[(Token, rhai::Position)]) -> Option<Position> {
    let named = |token: &Token| matches!(token, Token::Identifier(name) if **name == operators::TYPE_OF);
    tokens.iter().enumerate().find_map(|(index, (token, position))| {
        let called = matches!(tokens.get(index + 1), Some((Token::LeftParen | Token::Unit, _)));
        (named(token) && !called).then(|| analysis::at(*position))
    })
}

/// The text with its guards, or `None` if it needs none.
pub(super) fn written(text: &str, tokens: &[(Token, rhai::Position)]) -> Option<(String, Vec<Shift>)> {
    let mut inserts: Vec<(Position, String)> = Vec::new();
    for (index, (token, _)) in tokens.iter().enumerate() {
        match token {
            Token::Switch => {
                let Some(body) = body(tokens, index + 1) else { continue };
                let kinds = case_kinds(tokens, body);
                inserts.push((analysis::at(tokens[index + 1].1), format!("{SUBJECT}(")));
                inserts.push((analysis::at(tokens[body].1), format!(", \"{kinds}\")")));
            }
            Token::Catch => {
                let named = match tokens.get(index + 2) {
                    Some((Token::Identifier(name), _)) if tokens[index + 1].0 == Token::LeftParen => Some(name),
                    _ => None,
                };
                let open = if named.is_some() { index + 4 } else { index + 1 };
                let Some((Token::LeftBrace, position)) = tokens.get(open) else { continue };
                let (line, column) = analysis::at(*position);
                if named.is_none() {
                    inserts.push(((line, column), format!("({ERROR}) ")));
                }
                let name = named.map_or(ERROR, |name| name.as_str());
                inserts.push(((line, column + 1), format!(" {name} = {CAUGHT}({name}); ")));
            }
            _ => {}
        }
    }
    if inserts.is_empty() {
        return None;
    }
    inserts.sort_by_key(|(at, _)| *at);
    let shifts = inserts.iter().map(|(at, text)| Shift { at: *at, width: text.chars().count() }).collect();
    let mut guarded = String::with_capacity(text.len() + inserts.len() * 32);
    let mut pending = inserts.into_iter().peekable();
    let (mut line, mut column) = (1, 1);
    for letter in text.chars() {
        while let Some((_, insert)) = pending.next_if(|(at, _)| *at == (line, column)) {
            guarded.push_str(&insert);
        }
        guarded.push(letter);
        (line, column) = if letter == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    for (_, insert) in pending {
        guarded.push_str(&insert);
    }
    Some((guarded, shifts))
}

/// Where a position of the guarded text lies in the original.
pub(super) fn original(shifts: &[Shift], (line, column): Position) -> Position {
    let mut added = 0;
    for shift in shifts.iter().filter(|shift| shift.at.0 == line) {
        let start = shift.at.1 + added;
        if column < start {
            break;
        }
        if column < start + shift.width {
            return shift.at;
        }
        added += shift.width;
    }
    (line, column - added)
}

/// Whether every `switch` and `catch` of `ast` has its guard.
pub(super) fn complete(ast: &AST) -> bool {
    ast.walk(&mut |path| match path.last() {
        Some(ASTNode::Stmt(Stmt::Switch(parts, _))) => is_call(&parts.0, SUBJECT),
        Some(ASTNode::Stmt(Stmt::TryCatch(parts, _))) => match parts.branch.statements().first() {
            Some(Stmt::Assignment(parts)) => is_call(&parts.1.rhs, CAUGHT),
            _ => false,
        },
        _ => true,
    })
}

fn is_call(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::FnCall(call, _) if call.name == name)
}

/// The index of the brace that opens the body after an expression starting at `from`.
fn body(tokens: &[(Token, rhai::Position)], from: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, (token, _)) in tokens.iter().enumerate().skip(from) {
        match token {
            Token::LeftBrace if depth == 0 && !matches!(tokens[index - 1].0, Token::InterpolatedString(_)) => {
                return (index > from).then_some(index);
            }
            opening if opens(opening) => depth += 1,
            closing if closes(closing) => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

fn opens(token: &Token) -> bool {
    matches!(token, Token::LeftBrace | Token::LeftParen | Token::LeftBracket | Token::QuestionBracket | Token::MapStart)
}

fn closes(token: &Token) -> bool {
    matches!(token, Token::RightBrace | Token::RightParen | Token::RightBracket)
}

/// Kinds of the literals of a `switch`, or nothing when one of them is of no simple kind.
fn case_kinds(tokens: &[(Token, rhai::Position)], body: usize) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    let mut depth = 0usize;
    for pair in tokens[body..].windows(2) {
        let (token, next) = (&pair[0].0, &pair[1].0);
        if opens(token) {
            depth += 1;
        } else if closes(token) {
            depth -= 1;
            if depth == 0 {
                break;
            }
            if depth == 1 && matches!(next, Token::DoubleArrow | Token::Pipe | Token::If) {
                // A list, a map, `()`, or the end of a condition: not looked at more closely.
                return String::new();
            }
        } else if depth == 1 {
            let ends_case = matches!(next, Token::DoubleArrow | Token::Pipe | Token::If);
            let kind = match token {
                Token::IntegerConstant(_) => "number",
                Token::FloatConstant(_) => "number",
                Token::StringConstant(_) | Token::CharConstant(_) => "string",
                Token::True | Token::False => "bool",
                _ => continue,
            };
            if ends_case && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    kinds.join(" ")
}

/// Registers what the guards call.
pub(super) fn register(module: &mut Module) {
    module.set_native_fn(SUBJECT, |subject: Dynamic, kinds: &str| subject_of_switch(subject, kinds));
    module.set_native_fn(CAUGHT, caught);
}

fn subject_of_switch(subject: Dynamic, kinds: &str) -> Result<Dynamic, Failure> {
    leaves::readable_throughout(&subject, "`switch`")?;
    let subject = match subject.read_lock::<leaves::Url>() {
        Some(url) => url.text().to_owned().into(),
        None => subject.clone(),
    };
    let kind = operators::kind(&subject);
    let comparable = match kind {
        "int" | "float" => "number",
        other => other,
    };
    if matches!(kind, "function" | "range" | "list" | "map") {
        return Err(failure(format!("`switch` needs a string, a number or a bool, not {kind}")));
    }
    if kind != "()" && !kinds.is_empty() && !kinds.split(' ').any(|known| known == comparable) {
        let known = kinds.replace(' ', " or ").replace("number", "int");
        return Err(failure(format!("can't compare {kind} with {known}, which the cases of this `switch` are")));
    }
    Ok(subject)
}

/// What a `catch` gets: a thrown value as it is, an error of the interpreter as `#{kind, message}`, and
/// nothing that stems from an unknown.
fn caught(error: Dynamic) -> Result<Dynamic, Failure> {
    if current::ended() {
        return Err(current::terminated());
    }
    let Some(message) = errors::message_of_caught(&error) else { return Ok(error) };
    if leaves::is_about_unknown(&message)
        && let Some(unknown) = current::first_unknown()
    {
        return Err(current::end(End::Unknown(unknown)));
    }
    let mut caught = Map::new();
    caught.insert("kind".into(), "error".into());
    caught.insert("message".into(), errors::reworded(&message).into());
    Ok(Dynamic::from_map(caught))
}
