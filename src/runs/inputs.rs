//! Inputs as a person gives them, made typed and complete: `-i` over `--inputs` over target over default.

use crate::runbook::model::{Input, Runbook};
use crate::runbook::nearest::nearest;
use crate::runbook::problem::has_errors;
use crate::runbook::reader::Reader;
use crate::runbook::settings::Target;
use crate::runbook::source::Source;
use crate::runbook::types::Type;
use crate::runs::error::{ErrorKind, RunsError};
use crate::script::value::{Map, Value};

/// Merges and checks. Every problem is named, not just the first.
pub(super) fn complete(
    runbook: &Runbook,
    typed: &[(String, String)],
    file: Option<Map>,
    target: &Target,
) -> Result<Map, RunsError> {
    let mut wrong = Vec::new();
    let mut hints = Vec::new();
    let mut given = Map::new();
    // Said to be wrong already: not missing as well.
    let mut refused = Vec::new();
    for (name, text) in typed {
        match runbook.inputs.iter().find(|input| input.name.value == *name) {
            None => unknown(runbook, name, &mut wrong, &mut hints),
            Some(input) => match input.ty.read(text) {
                Ok(_) if given.contains_key(name) => wrong.push(format!("input `{name}` is given twice")),
                Ok(value) => drop(given.insert(name.clone(), value)),
                Err(why) => {
                    wrong.push(format!("input `{name}`: {why}"));
                    refused.push(name.as_str());
                }
            },
        }
    }
    for (name, value) in file.unwrap_or_default() {
        match runbook.inputs.iter().find(|input| input.name.value == name) {
            None => unknown(runbook, &name, &mut wrong, &mut hints),
            Some(_) => drop(given.entry(name).or_insert(value)),
        }
    }
    let mut inputs = Map::new();
    for input in &runbook.inputs {
        let name = &input.name.value;
        // A key without a value is the same as no key.
        let there = |value: &Value| *value != Value::Null;
        let value = given.remove(name).filter(there);
        let value = value.or_else(|| target.inputs.get(name).cloned().filter(there)).or_else(|| input.default.clone());
        match value.filter(there) {
            Some(value) if input.ty == Type::Secret && !matches!(value, Value::Secret(_)) => {
                wrong.push(format!("input `{name}` is a secret: it is never given by value, see `secrets:`"));
            }
            Some(value) => match input.ty.accept(&value) {
                Ok(value) => drop(inputs.insert(name.clone(), value)),
                Err(why) => wrong.push(format!("input `{name}`: {why}")),
            },
            None if refused.contains(&name.as_str()) => {}
            None if input.required => {
                wrong.push(format!("input `{name}` ({}) is missing", input.ty.name()));
                hints.push(format!("give it with  -i {name}={}", example(input)));
            }
            None => drop(inputs.insert(name.clone(), Value::Null)),
        }
    }
    if wrong.is_empty() {
        return Ok(inputs);
    }
    Err(RunsError { hints, ..RunsError::new(ErrorKind::Usage, wrong.join("; ")) })
}

fn unknown(runbook: &Runbook, name: &str, wrong: &mut Vec<String>, hints: &mut Vec<String>) {
    wrong.push(format!("`{}` has no input `{name}`", runbook.name));
    let names = runbook.inputs.iter().map(|input| input.name.value.as_str());
    match nearest(name, names.clone()) {
        Some(close) => hints.push(format!("did you mean `{close}`?")),
        None if runbook.inputs.is_empty() => hints.push("it takes no inputs".to_owned()),
        None => hints.push(format!("its inputs are: {}", names.collect::<Vec<_>>().join(", "))),
    }
}

fn example(input: &Input) -> &'static str {
    match &input.ty {
        Type::Url => "https://api.example.com",
        Type::Duration => "30s",
        Type::Email => "team@example.com",
        Type::Int | Type::Float => "1",
        Type::Bool => "true",
        Type::List => "a,b",
        Type::Map => "'{\"a\": 1}'",
        Type::String | Type::Choice(_) | Type::Secret | Type::Any => "VALUE",
    }
}

/// Reads a file of inputs, one map, by the same reader as everything people write. JSON is YAML.
pub(super) fn read_file(shown: &str, text: &str) -> Result<Map, RunsError> {
    let source = Source::new(shown, text);
    let (mut reader, root) = Reader::open(&source);
    let mut given = Map::new();
    if let Some(root) = root {
        for entry in reader.map(&root, "the inputs") {
            if let Some(value) = reader.value(&entry.value, &format!("input `{}`", entry.key.value)) {
                given.insert(entry.key.value.clone(), value);
            }
        }
    }
    let problems = reader.finish();
    match has_errors(&problems) {
        true => Err(RunsError::invalid(&format!("inputs file `{shown}`"), problems)),
        false => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::lower::read_runbook;
    use crate::runbook::model::Kind;

    fn runbook(inputs: &str) -> Runbook {
        let text = format!(
            "version: 1\ntitle: t\nowner: o\nreviewed: 2026-11-01\ninputs:\n{inputs}\nsteps:\n  - uses: time.now\n"
        );
        read_runbook("book", Kind::Runbook, &Source::new("book.yaml", text)).0.unwrap()
    }

    fn given(inputs: &str, typed: &[(&str, &str)], file: &str) -> Result<Map, String> {
        let typed: Vec<_> = typed.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let file = (!file.is_empty()).then(|| read_file("in.yaml", file).unwrap());
        complete(&runbook(inputs), &typed, file, &Target::default()).map_err(|error| error.to_string())
    }

    const TWO: &str = "  n: { type: int, default: 1 }\n  note: { type: string, required: false }";

    #[test]
    fn json_is_read_as_yaml_is() {
        let json = read_file("in.json", r#"{"n": 3, "list": [true, null, "x"]}"#).unwrap();
        assert_eq!(json, read_file("in.yaml", "n: 3\nlist: [true, null, x]\n").unwrap());
    }

    #[test]
    fn mistakes_of_a_file_have_their_places() {
        for (text, code, column) in [
            ("n: 1\nn: 2\n", "E0104", 1),
            ("n: *all\n", "E0102", 4),
            ("- n\n", "E0107", 1),
            ("n: yes\n", "E0113", 4),
            ("n: ${{ 1 }}\n", "E0107", 4),
            ("", "E0106", 1),
        ] {
            let error = read_file("in.yaml", text).unwrap_err();
            let problem = &error.problems[0];
            let place = problem.source.line_column(problem.span.start);
            assert_eq!((problem.code, place.1), (code, column), "{text:?}");
            assert_eq!(error.message, "inputs file `in.yaml` has problems");
        }
    }

    #[test]
    fn what_is_typed_wins_over_the_file_and_the_file_over_the_default() {
        assert_eq!(given(TWO, &[("n", "3")], "n: 2\n").unwrap()["n"], Value::Int(3));
        assert_eq!(given(TWO, &[], "n: 2\n").unwrap()["n"], Value::Int(2));
        assert_eq!(given(TWO, &[], "").unwrap()["n"], Value::Int(1));
    }

    #[test]
    fn nothing_given_is_the_same_as_not_giving_it() {
        assert_eq!(given(TWO, &[], "n:\nnote: null\n").unwrap(), given(TWO, &[], "").unwrap());
        let needed = given("  base: { type: url }", &[], "base: null\n").unwrap_err();
        assert_eq!(needed, "input `base` (url) is missing");
    }

    #[test]
    fn an_input_given_twice_is_refused() {
        let error = given(TWO, &[("n", "1"), ("n", "2")], "").unwrap_err();
        assert_eq!(error, "input `n` is given twice");
    }

    #[test]
    fn a_secret_is_never_given_by_value() {
        let secret = "  token: { type: secret, required: false }";
        for (typed, file) in [(vec![("token", "abcdefgh")], ""), (vec![], "token: abcdefgh\n")] {
            let error = given(secret, &typed, file).unwrap_err();
            assert!(error.contains("never given by value") && !error.contains("abcdefgh"), "{error}");
        }
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let error = given("  base: { type: url }\n  n: { type: int }", &[("n", "x"), ("bas", "y")], "").unwrap_err();
        for part in ["input `n`:", "`book` has no input `bas`", "input `base` (url) is missing"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
