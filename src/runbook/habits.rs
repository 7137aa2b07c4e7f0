//! What people write who come from other languages, and what is written here instead.

/// A function of a workflow or script language.
pub fn function(name: &str) -> Option<&'static str> {
    Some(match name {
        "success" => "a step runs only when those before it went well: leave the `if` out",
        "failure" => "put the step below `on_failure`, or ask `steps.ID.outcome == \"failed\"`",
        "always" | "cancelled" => "put the step below `finally`, which runs however it went",
        "toJSON" | "tojson" => "write `to_json(x)`",
        "fromJSON" | "fromjson" => "write `parse_json(x)`",
        "startsWith" | "startswith" => "write `text.starts_with(x)`",
        "endsWith" | "endswith" => "write `text.ends_with(x)`",
        "length" | "size" | "count" => "write `x.len()`",
        "format" => "put expressions into a text in backticks: `${a} and ${b}`",
        "env" | "getenv" => "a step reads the environment: `uses: env.read`",
        _ => return None,
    })
}

/// A variable of another language.
pub fn variable(name: &str) -> Option<&'static str> {
    Some(match name {
        "not" => "write `not(x)`, with parentheses",
        "None" | "undefined" => "nothing is written `()`",
        "True" => "write `true`",
        "False" => "write `false`",
        "github" | "workflow" | "job" => "what a run knows of itself is `run`",
        "env" => "values come from `inputs`; a step reads the environment: `uses: env.read`",
        "item" | "matrix" => "the item of a `foreach` is `each.value`",
        "params" | "args" => "write `inputs`",
        "needs" => "earlier steps are `steps.ID`",
        _ => return None,
    })
}

/// A reserved word that means something elsewhere.
pub fn word(name: &str) -> Option<&'static str> {
    matches!(name, "null" | "nil").then_some("nothing is written `()`")
}

/// What stands where code doesn't compile.
pub fn syntax(code: &str) -> Option<&'static str> {
    let begins = |word: &str| {
        code.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    Some(match code {
        _ if begins("and") => "write `&&`",
        _ if begins("or") => "write `||`",
        _ if code.starts_with("===") => "write `==`",
        _ if code.starts_with("!==") => "write `!=`",
        _ if code.starts_with('\'') => "a text stands in double quotes, or in backticks: \"done\"",
        _ if code.starts_with('?') => "write `if a { b } else { c }`",
        _ if code.starts_with('=') && !code.starts_with("==") => "two values are compared with `==`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_habits() {
        assert_eq!(syntax("and b"), Some("write `&&`"));
        assert_eq!((syntax("android"), syntax("order"), syntax("== 1"), syntax("")), (None, None, None, None));
    }
}
