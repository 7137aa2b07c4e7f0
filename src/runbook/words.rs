//! Names: which words may be one, and how a wrong one is quoted.

/// Words Rhai keeps for itself: none of them can be a variable, or stand after a dot.
const RESERVED: [&str; 61] = [
    "Fn",
    "as",
    "async",
    "await",
    "break",
    "call",
    "case",
    "catch",
    "const",
    "continue",
    "curry",
    "debug",
    "default",
    "do",
    "else",
    "eval",
    "export",
    "false",
    "fn",
    "for",
    "go",
    "goto",
    "if",
    "import",
    "in",
    "is",
    "is_def_fn",
    "is_def_var",
    "is_shared",
    "let",
    "loop",
    "match",
    "module",
    "new",
    "nil",
    "null",
    "package",
    "print",
    "private",
    "protected",
    "public",
    "return",
    "shared",
    "spawn",
    "static",
    "super",
    "switch",
    "sync",
    "this",
    "thread",
    "throw",
    "true",
    "try",
    "type_of",
    "until",
    "use",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// Longest name: it stands in paths, tables and URLs.
pub const NAME_CHARS_MAX: usize = 64;
/// Whether Rhai keeps this word, so that it can't be the name of an input, step or output.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// Why `name` can't name an input, step, argument, variable or output; `None` if it can.
pub fn snake_case_fault(name: &str) -> Option<String> {
    if is_reserved(name) {
        return Some("is a reserved word of Rhai".to_owned());
    }
    if name.len() > NAME_CHARS_MAX {
        return Some(format!("is longer than {NAME_CHARS_MAX} characters"));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_snake_char) {
        return Some("must be snake_case: lower-case letters, digits and `_`, a letter first".to_owned());
    }
    None
}

/// Why `name` can't name a runbook; `None` if it can.
pub fn kebab_case_fault(name: &str) -> Option<String> {
    if name.len() > NAME_CHARS_MAX {
        return Some(format!("is longer than {NAME_CHARS_MAX} characters"));
    }
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !name.split('-').all(part) {
        return Some("must be kebab-case: lower-case letters and digits, joined by `-`".to_owned());
    }
    None
}

/// Why `name` can't name an action; `None` if it can. `http.probe`, `redeploy`.
pub fn action_fault(name: &str) -> Option<String> {
    name.split('.').find_map(|part| match snake_case_fault(part) {
        Some(_) if part.is_empty() || !part.chars().all(is_snake_char) => {
            Some("must be dotted snake_case, such as `http.probe`".to_owned())
        }
        Some(fault) => Some(format!("has a part that can't be a name: `{part}` {fault}")),
        None => None,
    })
}

/// Why `name` can't name a secret; `None` if it can. By custom upper-case, as in an environment.
pub fn secret_fault(name: &str) -> Option<String> {
    if is_reserved(name) {
        return Some("is a reserved word of Rhai".to_owned());
    }
    if name.len() > NAME_CHARS_MAX {
        return Some(format!("is longer than {NAME_CHARS_MAX} characters"));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(word) {
        return Some("must be letters, digits and `_`, a letter first, such as `API_TOKEN`".to_owned());
    }
    None
}

/// Why `name` can't name an environment variable; `None` if it can.
pub fn variable_fault(name: &str) -> Option<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(word);
    (!good).then(|| "must be letters, digits and `_`, such as `API_TOKEN`".to_owned())
}

fn is_snake_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

/// Text of a value for a message: on one line, cut, in backticks.
pub fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut line = text.lines().next().unwrap_or("").chars();
    let cut: String = line.by_ref().take(CHARS_MAX).collect();
    let more = line.next().is_some() || text.lines().nth(1).is_some();
    format!("`{cut}{}`", if more { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reserved_word_is_refused_by_rhai_after_a_dot_and_no_other() {
        assert!(RESERVED.is_sorted());
        let engine = rhai::Engine::new_raw();
        for word in RESERVED {
            assert!(engine.compile(format!("let x = #{{}}; x.{word}")).is_err(), "{word} is free");
        }
        for word in [
            "begin",
            "end",
            "each",
            "then",
            "unless",
            "when",
            "id",
            "name",
            "result",
            "run",
            "steps",
            "trait",
            "enum",
            "struct",
            "self",
            "exit",
            "type",
            "range",
            "contains",
            "keys",
            "values",
            "len",
            "get",
            "value",
            "status",
            "macro",
            "where",
            "interface",
            "override",
            "virtual",
            "delete",
            "class",
            "extends",
            "implements",
            "typeof",
            "instanceof",
            "function",
            "def",
            "lambda",
            "pass",
            "raise",
            "finally",
            "except",
            "assert",
            "global",
            "from",
            "to",
            "of",
            "on",
            "off",
            "yes",
            "no",
            "and",
            "or",
            "not",
            "xor",
            "mod",
            "rem",
            "dyn",
            "impl",
            "mut",
            "ref",
            "unsafe",
            "extern",
            "crate",
            "move",
            "box",
            "abstract",
            "final",
            "repeat",
            "foreach",
            "select",
            "parallel",
        ] {
            assert_eq!(is_reserved(word), engine.compile(format!("let x = #{{}}; x.{word}")).is_err(), "{word}");
        }
    }

    #[test]
    fn names_keep_to_their_case() {
        for good in ["a", "base_url", "x2"] {
            assert_eq!(snake_case_fault(good), None);
        }
        for bad in ["", "A", "2x", "_x", "set-vars", "naïve", "x.y", "match", "a\u{200b}"] {
            assert!(snake_case_fault(bad).is_some(), "{bad}");
        }
        for good in ["backend-down", "5xx-errors", "a"] {
            assert_eq!(kebab_case_fault(good), None);
        }
        for bad in ["", "-a", "a-", "a--b", "Backend", "a_b", "../x"] {
            assert!(kebab_case_fault(bad).is_some(), "{bad}");
        }
        assert_eq!(action_fault("railway.set_variables"), None);
        for bad in ["", "./restart.yaml", "a..b", ".a", "http.Probe", "a.match"] {
            assert!(action_fault(bad).is_some(), "{bad}");
        }
        assert!(secret_fault("RAILWAY_TOKEN").is_none() && secret_fault("MY-TOKEN").is_some());
    }
}
