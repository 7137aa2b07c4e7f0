//! What `sealed:` of a step says: all of its answer, or the places in it that are secret.

use std::fmt;

use crate::script::value::Value;

/// Places one step may name: an answer with more secrets than this is sealed as a whole.
pub const PATHS_MAX: usize = 64;
/// Characters of one place: a path of keys, not a program.
const PATH_CHARS_MAX: usize = 256;

/// The argument `sealed`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// Every value of the answer itself; not what stands around it, such as a status.
    Whole,
    /// What stands at these places, and everything inside.
    At(Vec<SealedPath>),
}

/// A place in the outputs of a step: `json.data.token`, `json.items[*].value`, `rows[0]["pass word"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPath {
    text: String,
    /// The output it begins with.
    pub output: String,
    pub steps: Vec<PathStep>,
}

/// One step further in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    Key(String),
    Item(usize),
    /// `[*]`, `.*`: each item of a list, each value of a map.
    Each,
}

impl Sealing {
    /// Reads the argument; `None` if it seals nothing.
    ///
    /// # Errors
    /// `expected true or a list of places such as json.data.token, got int 1`
    pub fn read(value: &Value) -> Result<Option<Sealing>, String> {
        let wrong = |got: &str| format!("expected true or a list of places such as json.data.token, got {got}");
        match value {
            Value::Null | Value::Bool(false) => Ok(None),
            Value::Bool(true) => Ok(Some(Sealing::Whole)),
            Value::List(paths) if paths.is_empty() => Err(wrong("an empty list")),
            Value::List(paths) if paths.len() > PATHS_MAX => {
                Err(format!("names {} places, at most {PATHS_MAX}: `true` seals the whole answer", paths.len()))
            }
            Value::List(paths) => {
                let read = |path: &Value| match path {
                    Value::Text(text) => SealedPath::parse(text),
                    other => Err(wrong(&format!("{} in the list", other.kind()))),
                };
                paths.iter().map(read).collect::<Result<_, _>>().map(|paths| Some(Sealing::At(paths)))
            }
            other => Err(wrong(other.kind())),
        }
    }

    /// Whether anything of this output is sealed.
    pub fn touches(&self, output: &str) -> bool {
        match self {
            Sealing::Whole => true,
            Sealing::At(paths) => paths.iter().any(|path| path.output == output),
        }
    }
}

impl SealedPath {
    /// Reads a place.
    ///
    /// # Errors
    /// What is wrong with it, with the text and an example.
    pub fn parse(text: &str) -> Result<SealedPath, String> {
        let wrong = |why: &str| format!("`{text}` is no place in an answer: {why}; such as json.items[*].value");
        if text.chars().count() > PATH_CHARS_MAX {
            return Err(format!("a place has at most {PATH_CHARS_MAX} characters"));
        }
        let mut steps = Vec::new();
        let mut rest = text;
        let mut first = true;
        while first || !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[').filter(|_| !first) {
                let (step, after) = bracket(inside).ok_or_else(|| wrong("expected `[*]`, `[0]` or `[\"key\"]`"))?;
                steps.push(step);
                rest = after;
                continue;
            }
            let name = match rest.strip_prefix('.') {
                Some(name) if !first => name,
                None if first => rest,
                _ => return Err(wrong("expected `.key` or `[…]`")),
            };
            let end = name.find(['.', '[']).unwrap_or(name.len());
            match &name[..end] {
                "" => return Err(wrong("a key is missing")),
                "*" if first => return Err(wrong("it begins with the name of an output")),
                "*" => steps.push(PathStep::Each),
                key => steps.push(PathStep::Key(key.to_owned())),
            }
            rest = &name[end..];
            first = false;
        }
        match steps.split_first() {
            Some((PathStep::Key(output), steps)) => {
                Ok(SealedPath { text: text.to_owned(), output: output.clone(), steps: steps.to_vec() })
            }
            _ => Err(wrong("it begins with the name of an output")),
        }
    }
}

/// What stands in brackets, and what follows them.
fn bracket(inside: &str) -> Option<(PathStep, &str)> {
    if let Some(quoted) = inside.strip_prefix('"') {
        let (key, after) = quoted.split_once("\"]")?;
        return Some((PathStep::Key(key.to_owned()), after));
    }
    let (item, after) = inside.split_once(']')?;
    match item {
        "*" => Some((PathStep::Each, after)),
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((PathStep::Item(number.parse().ok()?), after))
        }
        _ => None,
    }
}

impl fmt::Display for SealedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> (String, Vec<PathStep>) {
        let path = SealedPath::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(path.to_string(), text);
        (path.output, path.steps)
    }

    #[test]
    fn a_place_is_an_output_and_the_way_in() {
        let key = |key: &str| PathStep::Key(key.to_owned());
        assert_eq!(steps("text"), ("text".to_owned(), vec![]));
        assert_eq!(steps("json.data.token"), ("json".to_owned(), vec![key("data"), key("token")]));
        assert_eq!(steps("json.items[*].value"), ("json".to_owned(), vec![key("items"), PathStep::Each, key("value")]));
        assert_eq!(steps("json.*.value"), ("json".to_owned(), vec![PathStep::Each, key("value")]));
        assert_eq!(
            steps("rows[0][\"a.b [c]\"].d"),
            ("rows".to_owned(), vec![PathStep::Item(0), key("a.b [c]"), key("d")])
        );
    }

    #[test]
    fn what_is_no_place_says_so() {
        for wrong in
            ["", ".", "json.", "json..a", "*.a", "[0]", "json[", "json[x]", "json[-1]", "json[\"a]", "json[0]a"]
        {
            let error = SealedPath::parse(wrong).unwrap_err();
            assert!(error.contains("such as json.items[*].value"), "{wrong}: {error}");
        }
        assert!(SealedPath::parse(&"a.".repeat(200)).unwrap_err().contains("256"));
        assert!(SealedPath::parse(&format!("json[{}]", "9".repeat(40))).is_err());
    }

    #[test]
    fn the_argument_is_a_flag_or_a_list_of_places() {
        assert_eq!(Sealing::read(&Value::Bool(true)), Ok(Some(Sealing::Whole)));
        assert_eq!(Sealing::read(&Value::Bool(false)), Ok(None));
        let read = Sealing::read(&Value::List(vec!["json.a".into()])).unwrap().unwrap();
        assert!(read.touches("json") && !read.touches("text"));
        let many = Value::List(vec![Value::from("json.a"); PATHS_MAX + 1]);
        for wrong in [Value::Int(1), Value::from("json.a"), Value::List(vec![]), Value::List(vec![1.into()]), many] {
            assert!(Sealing::read(&wrong).is_err(), "{wrong:?}");
        }
    }
}
