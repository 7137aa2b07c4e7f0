//! `map` of a generic hook: a jq filter from what a sender sends to alerts.
//!
//! The part of jq that ends by itself on whatever is sent and looks at nothing else: no definitions, no loops of its own,
//! no environment, no clock, no files. Who runs it gives it a time all the same.

use std::ops::Range;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::path::Part;
use jaq_core::{Compiler, Ctx, Vars, data, ops, unwrap_valr};
use jaq_json::{Val, read};
use serde_json::Value as Json;

use crate::runbook::nearest::nearest;

/// Bytes of a filter: a screen of it.
const FILTER_BYTES_MAX: usize = 8 * 1024;
/// Nesting of a filter's terms: the walk over them is recursive.
const TERM_DEPTH_MAX: usize = 64;
/// Values one filter may give for one message: as many as a group of alerts has.
const VALUES_MAX: usize = 1_000;
/// Bytes of one value it gives: what an alert is, with room.
const VALUE_BYTES_MAX: usize = 256 * 1024;

/// Functions of jq that end, and look at their input alone.
const KNOWN: [&str; 73] = [
    "abs",
    "add",
    "all",
    "any",
    "arrays",
    "ascii_downcase",
    "ascii_upcase",
    "booleans",
    "ceil",
    "contains",
    "del",
    "empty",
    "endswith",
    "error",
    "false",
    "first",
    "flatten",
    "floor",
    "from_entries",
    "getpath",
    "group_by",
    "has",
    "in",
    "index",
    "indices",
    "inside",
    "isarray",
    "isboolean",
    "isempty",
    "isnumber",
    "isobject",
    "isstring",
    "iterables",
    "join",
    "keys",
    "keys_unsorted",
    "last",
    "length",
    "ltrim",
    "ltrimstr",
    "map",
    "map_values",
    "max",
    "max_by",
    "min",
    "min_by",
    "not",
    "null",
    "nulls",
    "numbers",
    "objects",
    "reverse",
    "rindex",
    "round",
    "rtrim",
    "rtrimstr",
    "scalars",
    "select",
    "sort",
    "sort_by",
    "split",
    "startswith",
    "strings",
    "to_entries",
    "tojson",
    "tostring",
    "trim",
    "true",
    "type",
    "unique",
    "unique_by",
    "values",
    "with_entries",
];

/// A filter that was found to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    text: String,
}

/// What is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingFault {
    /// Bytes of its text.
    pub at: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

impl Mapping {
    /// Reads a filter.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place.
    pub fn read(text: &str) -> Result<Mapping, MappingFault> {
        let whole = |message: String| MappingFault { at: 0..text.len(), message, help: None };
        if text.len() > FILTER_BYTES_MAX {
            return Err(whole(format!("the filter has {} bytes, more than {FILTER_BYTES_MAX}", text.len())));
        }
        if nesting(text) > TERM_DEPTH_MAX {
            return Err(whole(format!("the filter is nested deeper than {TERM_DEPTH_MAX}")));
        }
        // Compiled first, because that says where a mistake is.
        compile(text, |_| ())?;
        let Some(term) = load::parse(text, |parser| parser.term()) else {
            return Err(whole("the filter has more than one expression".to_owned()));
        };
        Judge { text }.term(&term, 0)?;
        Ok(Mapping { text: text.to_owned() })
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it makes of a message, which must be JSON.
    ///
    /// # Errors
    /// If the message is none, the filter fails on it, or gives more than it may.
    pub fn apply(&self, message: &str) -> Result<Vec<Json>, String> {
        // Strict, and bounded in depth, which the reader of the filter's values isn't.
        serde_json::from_str::<Json>(message).map_err(|error| format!("it is no JSON: {error}"))?;
        let input = read::parse_single(message.as_bytes()).map_err(|error| format!("it is no JSON: {error}"))?;
        let run = |filter: &jaq_core::compile::Filter<jaq_core::Native<data::JustLut<Val>>>| {
            let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
            let mut given = Vec::new();
            for value in filter.id.run((context, input.clone())).map(unwrap_valr) {
                if given.len() == VALUES_MAX {
                    return Err(format!("the filter gives more than {VALUES_MAX} values"));
                }
                let text = value.map_err(|error| format!("the filter fails on it: {error}"))?.to_string();
                if text.len() > VALUE_BYTES_MAX {
                    return Err(format!("the filter gives a value of more than {VALUE_BYTES_MAX} bytes"));
                }
                given.push(serde_json::from_str(&text).map_err(|_| "the filter gives what is no JSON".to_owned())?);
            }
            Ok(given)
        };
        compile(&self.text, run).map_err(|fault| fault.message)?
    }
}

/// How deep brackets nest, whatever is between them.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Compiles a filter and hands it on; it can't leave, because it borrows its text.
fn compile<T>(
    text: &str,
    then: impl FnOnce(&jaq_core::compile::Filter<jaq_core::Native<data::JustLut<Val>>>) -> T,
) -> Result<T, MappingFault> {
    let fault = |part: &str, message: String| {
        // A part behind the end is that of a text that stops too early.
        let at = load::span(text, part);
        let end = at.end.min(text.len()).max(at.start.min(text.len()));
        MappingFault { at: at.start.min(text.len())..end, message, help: None }
    };
    let arena = Arena::default();
    // Those of the standard library that can stand here: the others need functions that look at the world.
    let usable = jaq_std::defs().filter(|def| is_known(def.name) && (def.name != "split" || def.args.len() == 1));
    let defs = jaq_core::defs().chain(usable).chain(jaq_json::defs());
    let modules = Loader::new(defs).load(&arena, File { code: text, path: () }).map_err(|errors| {
        let first = errors.into_iter().map(|(_, error)| error).next();
        match first {
            Some(load::Error::Lex(errors)) => errors.first().map_or_else(
                || fault("", "it can't be read".to_owned()),
                |(expected, found)| fault(found, format!("expected {}", expected.as_str())),
            ),
            Some(load::Error::Parse(errors)) => errors.first().map_or_else(
                || fault("", "it can't be read".to_owned()),
                |(expected, found)| fault(found, format!("expected {}", expected.as_str())),
            ),
            Some(load::Error::Io(_)) | None => {
                MappingFault { at: 0..text.len(), message: "a filter has no modules".to_owned(), help: None }
            }
        }
    })?;
    let funs = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs());
    let filter = Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
        let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
        match first {
            Some((name, undefined)) => {
                MappingFault { help: near(name), ..fault(name, format!("no {} `{name}`", undefined.as_str())) }
            }
            None => MappingFault { at: 0..text.len(), message: "it can't be compiled".to_owned(), help: None },
        }
    })?;
    Ok(then(&filter))
}

/// Whether a function may stand in a mapping.
fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

fn near(name: &str) -> Option<String> {
    nearest(name, KNOWN).map(|near| format!("did you mean `{near}`?"))
}

/// Says what of a filter may run without end, or look elsewhere.
struct Judge<'t> {
    text: &'t str,
}

type Verdict = Result<(), MappingFault>;

impl Judge<'_> {
    fn no(&self, part: &str, message: String, help: &str) -> MappingFault {
        let whole = part.is_empty() || !(self.text.as_bytes().as_ptr_range().contains(&part.as_ptr()));
        let at = if whole { 0..self.text.len() } else { load::span(self.text, part) };
        MappingFault { at, message, help: Some(help.to_owned()) }
    }

    fn term(&self, term: &Term<&str>, depth: usize) -> Verdict {
        if depth > TERM_DEPTH_MAX {
            return Err(self.no("", format!("the filter is nested deeper than {TERM_DEPTH_MAX}"), "make it simpler"));
        }
        let below = |term: &Term<&str>| self.term(term, depth + 1);
        let without_end = "a filter must end whatever is sent: `map`, `select` and `.[]` go through what is there";
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => Ok(()),
            Term::Str(format, parts) => {
                if let Some(format) = format.filter(|format| !matches!(*format, "@text" | "@json")) {
                    return Err(self.no(
                        format,
                        format!("`{format}` can't stand in a mapping"),
                        "write the text itself",
                    ));
                }
                parts.iter().try_for_each(|part| match part {
                    StrPart::Term(term) => below(term),
                    StrPart::Str(_) | StrPart::Char(_) => Ok(()),
                })
            }
            Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => below(inner),
            Term::Obj(entries) => entries.iter().try_for_each(|(key, value)| {
                below(key)?;
                value.iter().try_for_each(below)
            }),
            Term::BinOp(left, op, right) => {
                match op {
                    BinaryOp::Math(ops::Math::Mul) | BinaryOp::UpdateMath(ops::Math::Mul) => {
                        let help = "`+` puts objects together; a text must not be repeated as often as a sender says";
                        return Err(self.no("", "`*` can't stand in a mapping".to_owned(), help));
                    }
                    BinaryOp::Pipe(Some(pattern)) => self.pattern(pattern, depth + 1)?,
                    _ => {}
                }
                below(left)?;
                below(right)
            }
            Term::Fold(word, ..) => Err(self.no(word, format!("`{word}` can't stand in a mapping"), without_end)),
            Term::Def(..) => Err(self.no("", "`def` can't stand in a mapping".to_owned(), without_end)),
            Term::TryCatch(inner, catch) => {
                below(inner)?;
                catch.iter().try_for_each(|catch| below(catch))
            }
            Term::IfThenElse(branches, otherwise) => {
                branches.iter().try_for_each(|(condition, then)| {
                    below(condition)?;
                    below(then)
                })?;
                otherwise.iter().try_for_each(|otherwise| below(otherwise))
            }
            Term::Call(name, arguments) => {
                if !is_known(name) {
                    let help = near(name).unwrap_or_else(|| without_end.to_owned());
                    return Err(self.no(name, format!("`{name}` can't stand in a mapping"), &help));
                }
                arguments.iter().try_for_each(below)
            }
            Term::Path(inner, path) => {
                below(inner)?;
                path.0.iter().try_for_each(|(part, _)| match part {
                    Part::Index(index) => below(index),
                    Part::Range(from, to) => from.iter().chain(to).try_for_each(below),
                })
            }
        }
    }

    fn pattern(&self, pattern: &Pattern<&str>, depth: usize) -> Verdict {
        match pattern {
            Pattern::Var(_) => Ok(()),
            Pattern::Arr(items) => items.iter().try_for_each(|item| self.pattern(item, depth + 1)),
            Pattern::Obj(entries) => entries.iter().try_for_each(|(key, item)| {
                self.term(key, depth + 1)?;
                self.pattern(item, depth + 1)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn apply(filter: &str, message: &str) -> Result<Vec<Json>, String> {
        Mapping::read(filter).unwrap_or_else(|fault| panic!("{filter}: {fault:?}")).apply(message)
    }

    #[test]
    fn a_filter_makes_alerts_of_what_is_sent() {
        let filter = r#"{ id: .details.id, labels: { alertname: .type, service: .resource.service.name, severity: (.severity | ascii_downcase) },
            annotations: { summary: "\(.details.commitMessage // "no message") by \(.details.source)" },
            status: (if .type == "Deployment.crashed" then "firing" else "resolved" end), starts_at: .timestamp }"#;
        let message = r#"{"type":"Deployment.crashed","details":{"id":"d1","source":"GitHub","commitMessage":"fix: \"cors\""},"resource":{"service":{"name":"otter"}},"severity":"WARNING","timestamp":"2026-11-21T08:41:25Z"}"#;
        let given = apply(filter, message).unwrap();
        assert_eq!(
            given,
            [
                json!({"id": "d1", "labels": {"alertname": "Deployment.crashed", "service": "otter", "severity": "warning"},
                "annotations": {"summary": "fix: \"cors\" by GitHub"}, "status": "firing", "starts_at": "2026-11-21T08:41:25Z"})
            ]
        );
        assert_eq!(apply(".[] | select(.ok | not)", r#"[{"ok":true},{"ok":false}]"#).unwrap(), [json!({"ok": false})]);
        assert_eq!(apply("to_entries | map(.key) | join(\",\")", r#"{"a":1,"b":2}"#).unwrap(), [json!("a,b")]);
        assert_eq!(apply("empty", "{}").unwrap(), Vec::<Json>::new());
        assert_eq!(
            apply(".a as {b: $x} | $x", r#"{"a":{"b":[1.5,null,"\u00e9"]}}"#).unwrap(),
            [json!([1.5, null, "é"])]
        );
    }

    #[test]
    fn what_may_run_without_end_or_look_elsewhere_is_refused_where_it_stands() {
        for (filter, part) in [
            ("def f: f; f", ""),
            ("[.] | repeat(.)", "repeat"),
            ("last(range(1000000000000))", "range"),
            ("until(false; .)", "until"),
            ("while(true; .)", "while"),
            ("recurse(.)", "recurse"),
            ("reduce .[] as $x (0; . + $x)", "reduce"),
            ("foreach .[] as $x (0; . + $x)", "foreach"),
            ("\"a\" * 1000000000", ""),
            (".a *= 3", ""),
            ("env", "env"),
            ("now", "now"),
            ("input", "input"),
            ("halt", "halt"),
            ("debug", "debug"),
            ("limit(3; .[])", "limit"),
            ("combinations", "combinations"),
            (".a | fromjson", "fromjson"),
            ("tonumber", "tonumber"),
            ("{ a: [.[] | {b: (repeat(1))}] }", "repeat"),
            ("\"x \\(repeat(1))\"", "repeat"),
            (".[repeat(1)]", "repeat"),
            (". as {(repeat(1)): $x} | $x", "repeat"),
            ("try repeat(1) catch .", "repeat"),
            ("if repeat(1) then 1 else 2 end", "repeat"),
        ] {
            let fault = Mapping::read(filter).expect_err(filter);
            if !part.is_empty() {
                assert_eq!(&filter[fault.at.clone()], part, "{filter}: {fault:?}");
            }
            assert!(!fault.message.is_empty(), "{filter}");
        }
    }

    #[test]
    fn mistakes_have_their_places() {
        for (filter, part, says) in [
            ("{ a: .b", "", "expected"),
            (".a | selct(.b)", "selct", "no filter `selct`"),
            ("$x", "$x", "no variable"),
            (".a |", "", "expected"),
            ("", "", "expected"),
            ("import \"x\" as x; .", "", ""),
        ] {
            let fault = Mapping::read(filter).expect_err(filter);
            assert!(fault.message.contains(says), "{filter}: {fault:?}");
            assert!(fault.at.end <= filter.len() && (part.is_empty() || &filter[fault.at] == part), "{filter}");
        }
        assert_eq!(Mapping::read(".a | selct(.b)").unwrap_err().help.as_deref(), Some("did you mean `select`?"));
        assert!(
            Mapping::read(&format!("{}.{}", "[".repeat(65), "]".repeat(65))).unwrap_err().message.contains("nested")
        );
        assert!(Mapping::read(&format!(".a{}", " ".repeat(9000))).unwrap_err().message.contains("bytes"));
    }

    #[test]
    fn what_it_takes_and_gives_is_bounded() {
        assert!(apply(".", "{").unwrap_err().starts_with("it is no JSON"));
        assert!(apply(".", "nan").unwrap_err().starts_with("it is no JSON"));
        assert!(
            apply(".", &format!("{}1{}", "[".repeat(200), "]".repeat(200))).unwrap_err().starts_with("it is no JSON")
        );
        assert!(apply(".a.b", "3").unwrap_err().starts_with("the filter fails"));
        let many = format!("[{}1]", "1,".repeat(1000));
        assert!(apply(".[]", &many).unwrap_err().contains("more than 1000 values"));
        let long = format!("\"{}\"", "x".repeat(300_000));
        assert!(apply(".", &long).unwrap_err().contains("bytes"));
    }

    #[test]
    fn every_function_of_the_list_is_one() {
        for name in KNOWN {
            let calls = [name.to_owned(), format!("{name}(.)"), format!("{name}(.; .)")];
            assert!(calls.iter().any(|call| Mapping::read(call).is_ok()), "{name}");
        }
    }
}
