//! What can be said of code without running it: reads, calls, comparisons, names it binds.
//!
//! Rhai's own walk leaves out the value of `break` and the names of parameters; both are added here.
//! Nothing is judged: rules about names and paths belong to `runbook/check.rs`.

use rhai::{AST, ASTFlags, ASTNode, Expr, FnCallExpr, Stmt, Token};

use crate::script::compile::{CONTEXTS, Call, Position, Read};
use crate::script::operators;
use crate::script::value::{Map, Value};

/// Rhai's prefix for the names of closures.
pub(super) const ANONYMOUS: &str = "anon$";

/// Everything [`crate::script::compile::Code`] says of a tree.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) reads: Vec<Read>,
    pub(super) calls: Vec<Call>,
    pub(super) comparisons: Vec<(Read, String, Position)>,
    pub(super) functions: Vec<(String, Position)>,
    pub(super) imports: Vec<(String, Position)>,
    pub(super) bindings: Vec<(String, Position)>,
}

/// Collects the facts of `ast`, each list in source order. `tokens` are those of its text: the tree
/// doesn't keep where functions and parameters are named.
pub(super) fn analyse(ast: &AST, tokens: &[(Token, rhai::Position)]) -> Facts {
    let mut facts = Facts::default();
    ast.walk(&mut |path| {
        facts.visit(path);
        true
    });
    for function in ast.iter_functions() {
        let anonymous = function.name.starts_with(ANONYMOUS);
        let named = tokens.windows(2).position(|pair| {
            pair[0].0 == Token::Fn && matches!(&pair[1].0, Token::Identifier(name) if **name == *function.name)
        });
        if let (false, Some(index)) = (anonymous, named) {
            facts.functions.push((function.name.to_owned(), at(tokens[index + 1].1)));
        }
        for parameter in function.params {
            // A closure takes what it captures as parameters before its own: contexts, too.
            if anonymous && CONTEXTS.contains(&parameter) {
                continue;
            }
            let from = if anonymous { 0 } else { named.unwrap_or(0) };
            let found = tokens[from..].windows(3).find(|three| {
                matches!(three[0].0, Token::Pipe | Token::Comma | Token::LeftParen)
                    && matches!(&three[1].0, Token::Identifier(name) if **name == *parameter)
                    && matches!(three[2].0, Token::Pipe | Token::Comma | Token::RightParen)
            });
            // Without such a place it is a captured variable, bound elsewhere.
            if let Some(three) = found {
                facts.bindings.push((parameter.to_owned(), at(three[1].1)));
            }
        }
    }
    facts.sort();
    facts
}

/// A position as the rest of the program has it.
pub(super) fn at(position: rhai::Position) -> Position {
    (position.line().unwrap_or(1), position.position().unwrap_or(1))
}

impl Facts {
    /// Hash order of functions and `switch` arms must not show.
    fn sort(&mut self) {
        self.reads.sort_by_key(|read| read.position);
        self.reads.dedup();
        self.calls.sort_by_key(|call| call.position);
        self.comparisons.sort_by_key(|(_, _, position)| *position);
        self.functions.sort_by_key(|(_, position)| *position);
        self.imports.sort_by_key(|(_, position)| *position);
        self.bindings.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        self.bindings.dedup();
    }

    fn visit(&mut self, path: &[ASTNode]) {
        match path.last() {
            Some(ASTNode::Stmt(statement)) => self.statement(statement),
            Some(ASTNode::Expr(expression)) => {
                let above = |levels: usize| path.len().checked_sub(levels + 1).map(|index| &path[index]);
                self.expression(expression, above(1), above(2));
            }
            _ => {}
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Var(parts, ..) => self.bind(&parts.0),
            Stmt::For(parts, ..) => {
                self.bind(&parts.0);
                if let Some(counter) = &parts.1 {
                    self.bind(counter);
                }
            }
            Stmt::TryCatch(parts, ..) => {
                if let Expr::Variable(name, _, position) = &parts.expr {
                    self.bindings.push((name.1.to_string(), at(*position)));
                }
            }
            Stmt::Import(parts, position) => {
                if let Expr::StringConstant(path, position) = &parts.0 {
                    self.imports.push((path.to_string(), at(*position)));
                } else {
                    // Named so that a check can refuse it: no module has an empty path.
                    self.imports.push((String::new(), at(*position)));
                }
                if !parts.1.is_empty() {
                    self.bind(&parts.1);
                }
            }
            Stmt::FnCall(call, position) => self.call(call, *position, false),
            Stmt::BreakLoop(Some(value), ..) => {
                // Rhai's walk does not go in here.
                value.walk(&mut Vec::new(), &mut |path| {
                    self.visit(path);
                    true
                });
            }
            _ => {}
        }
    }

    fn expression(&mut self, expression: &Expr, parent: Option<&ASTNode>, grandparent: Option<&ASTNode>) {
        match expression {
            Expr::Dot(..) | Expr::Index(..) | Expr::Variable(..) => {
                let part_of_another = match parent {
                    Some(ASTNode::Expr(link @ (Expr::Dot(chain, ..) | Expr::Index(chain, ..)))) => {
                        std::ptr::eq(&chain.lhs, expression) && !is_inner_link(link, grandparent)
                    }
                    Some(ASTNode::Expr(Expr::FnCall(call, _))) => captures(call),
                    _ => false,
                };
                if !part_of_another && let Some(read) = read(expression) {
                    self.reads.push(read);
                }
            }
            Expr::FnCall(call, position) => {
                self.call(call, *position, false);
                self.compare(call);
            }
            Expr::MethodCall(call, position) => self.call(call, *position, true),
            _ => {}
        }
    }

    fn bind(&mut self, name: &rhai::Ident) {
        self.bindings.push((name.as_str().to_owned(), at(name.pos)));
    }

    fn call(&mut self, call: &FnCallExpr, position: rhai::Position, method: bool) {
        if call.is_operator_call() || captures(call) {
            return;
        }
        if call.name == "Fn"
            && let [Expr::StringConstant(name, position)] = call.args.as_slice()
        {
            // `Fn("name")` is the same as calling it: what it names counts.
            self.calls.push(Call {
                name: name.to_string(),
                namespaced: false,
                method: false,
                arity: 0,
                position: at(*position),
                keys: None,
                literals: Map::new(),
                last_text: None,
            });
        }
        let mut name = String::new();
        for segment in &call.namespace.path {
            name.push_str(segment.as_str());
            name.push('.');
        }
        // The parser was told another name for it; who reads the code wrote this one.
        name.push_str(if call.name == operators::TYPE_OF { "type_of" } else { &call.name });
        let start = call.namespace.path.first().map_or(position, |segment| segment.pos);
        let (keys, literals) = match call.args.as_slice() {
            [Expr::Map(map, _)] => {
                let keys = map.0.iter().map(|(key, _)| (key.as_str().to_owned(), at(key.pos))).collect();
                let literals = map
                    .0
                    .iter()
                    .filter_map(|(key, value)| literal(value).map(|value| (key.as_str().to_owned(), value)))
                    .collect();
                (Some(keys), literals)
            }
            _ => (None, Map::new()),
        };
        let last_text = match call.args.last() {
            Some(Expr::StringConstant(text, position)) => Some((text.to_string(), at(*position))),
            _ => None,
        };
        self.calls.push(Call {
            name,
            namespaced: call.is_qualified(),
            method,
            arity: call.args.len(),
            position: at(if start.is_none() { position } else { start }),
            keys,
            literals,
            last_text,
        });
    }

    /// `read == "word"`, either way round, and `read in ["word", …]`.
    fn compare(&mut self, call: &FnCallExpr) {
        let [left, right] = call.args.as_slice() else { return };
        match (call.name.as_str(), left, right) {
            ("==" | "!=", subject, Expr::StringConstant(word, position))
            | ("==" | "!=", Expr::StringConstant(word, position), subject) => {
                if let Some(read) = read(subject) {
                    self.comparisons.push((read, word.to_string(), at(*position)));
                }
            }
            // `x in list` is `contains(list, x)`.
            ("contains", Expr::Array(words, _), subject) => {
                let Some(read) = read(subject) else { return };
                for word in words {
                    if let Expr::StringConstant(word, position) = word {
                        self.comparisons.push((read.clone(), word.to_string(), at(*position)));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether `link` goes on with the chain of `parent`: its left side is a key then, no start.
fn is_inner_link(link: &Expr, parent: Option<&ASTNode>) -> bool {
    match parent {
        Some(ASTNode::Expr(Expr::Dot(chain, flags, _) | Expr::Index(chain, flags, _))) => {
            std::ptr::eq(&chain.rhs, link) && !flags.contains(ASTFlags::BREAK)
        }
        _ => false,
    }
}

/// The hidden call by which a closure takes along variables of its surroundings.
fn captures(call: &FnCallExpr) -> bool {
    call.name == "curry" && matches!(call.args.first(), Some(Expr::DynamicConstant(value, _)) if value.is_fnptr())
}

/// The read of a context that `expression` is, if it is one.
fn read(expression: &Expr) -> Option<Read> {
    let (root, rest) = match expression {
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => (&chain.lhs, Some(expression)),
        other => (other, None),
    };
    let Expr::Variable(variable, _, position) = root else { return None };
    if !variable.2.is_empty() || !CONTEXTS.contains(&variable.1.as_str()) {
        return None;
    }
    let mut read =
        Read { root: variable.1.to_string(), path: Vec::new(), computed: false, method: None, position: at(*position) };
    let mut next = rest;
    while let Some(link) = next {
        let (chain, flags, dot) = match link {
            Expr::Dot(chain, flags, _) => (chain, flags, true),
            Expr::Index(chain, flags, _) => (chain, flags, false),
            _ => break,
        };
        // A chain leans right: its next key is the left side of what follows, unless it ends here.
        let (key, following) = match &chain.rhs {
            Expr::Dot(inner, ..) | Expr::Index(inner, ..) if !flags.contains(ASTFlags::BREAK) => {
                (&inner.lhs, Some(&chain.rhs))
            }
            last => (last, None),
        };
        match (dot, key) {
            (true, Expr::Property(name, position)) => read.path.push((name.2.to_string(), at(*position))),
            (false, Expr::StringConstant(name, position)) => read.path.push((name.to_string(), at(*position))),
            (true, key) => {
                if let Expr::MethodCall(call, position) = key {
                    read.method = Some((call.name.to_string(), at(*position)));
                }
                break;
            }
            (false, _) => {
                read.computed = true;
                break;
            }
        }
        next = following;
    }
    Some(read)
}

/// The value of a literal without anything computed inside.
fn literal(expression: &Expr) -> Option<Value> {
    Some(match expression {
        Expr::Unit(_) => Value::Null,
        Expr::BoolConstant(truth, _) => Value::Bool(*truth),
        Expr::IntegerConstant(number, _) => Value::Int(*number),
        Expr::FloatConstant(number, _) => Value::Float(**number),
        Expr::CharConstant(letter, _) => Value::Text(letter.to_string()),
        Expr::StringConstant(text, _) => Value::Text(text.to_string()),
        Expr::Array(items, _) => Value::List(items.iter().map(literal).collect::<Option<_>>()?),
        Expr::Map(map, _) => Value::Map(
            map.0
                .iter()
                .map(|(key, value)| literal(value).map(|value| (key.as_str().to_owned(), value)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}
