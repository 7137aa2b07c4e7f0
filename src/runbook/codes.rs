//! Every code a [`Problem`](crate::runbook::problem::Problem) can carry. A code has one meaning for
//! ever: it is searched for, written in tickets and silenced in editors.

/// Codes with their meaning, in order.
pub const CODES: &[(&str, &str)] = &[
    // The text and its YAML.
    ("E0100", "the file is not plain UTF-8 text, or holds characters that hide what it says"),
    ("E0101", "the text is not YAML"),
    ("E0102", "a feature of YAML that isn't part of the language: anchors, tags, merge keys, several documents"),
    ("E0103", "an unknown key"),
    ("E0104", "a key that is given twice"),
    ("E0105", "a name that can't be used as a name"),
    ("E0106", "a key that is missing"),
    ("E0107", "a value of the wrong type"),
    ("E0108", "a part of the language that this release can't run yet"),
    ("E0109", "`${{` without its `}}`"),
    ("E0110", "an expression that starts with `!`, which YAML takes for a tag"),
    ("E0111", "an expression cut short by ` #`, which YAML takes for a comment"),
    ("E0112", "a value that must be quoted, because YAML reads it as something else"),
    ("E0113", "a plain value that versions of YAML read differently: yes, no, on, off, 0755, 1.10"),
    ("E0114", "a limit of size, depth or number"),
    ("E0115", "keys that don't go together, or a step without exactly one body"),
    ("E0116", "a name that is given twice"),
    ("E0117", "something in a project's folders that can't be read as what its name says"),
    // What a file says, against what there is.
    ("E0201", "an action that doesn't exist"),
    ("E0202", "an argument the action doesn't have"),
    ("E0203", "a required argument that isn't given"),
    ("E0204", "a step that can't be read at this place"),
    ("E0205", "an output that isn't there"),
    ("E0206", "an argument of the wrong type or value"),
    ("E0207", "a context that can't be read at this place"),
    ("E0208", "an input, var or secret that isn't declared, or a var that isn't computed yet"),
    ("E0209", "an unknown field, or a step that is chosen at run time"),
    ("E0210", "an outcome compared with a word that is no outcome"),
    ("E0211", "`until` or `fail_if` on something that isn't a read"),
    ("E0212", "a time that can't be waited for"),
    ("E0213", "`timeout` where there is no attempt to limit"),
    ("E0214", "a function that doesn't exist"),
    ("E0215", "a step call without its one map of arguments"),
    ("E0216", "a name of a script that hides a context or an action"),
    ("E0217", "a function chosen by its name at run time"),
    ("E0218", "a secret where it would be shown or looked into"),
    ("E0219", "a step call outside a script"),
    ("E0220", "a module that doesn't exist"),
    ("E0221", "a module that is more than functions and constants"),
    ("E0222", "modules that import each other in a circle"),
    ("E0223", "actions or runbooks that call each other in a circle"),
    ("E0224", "actions or modules nested too deep"),
    ("E0225", "a runbook with too many steps"),
    ("E0226", "an action with the name of a primitive or a built-in function"),
    ("E0227", "a condition that can't be true or false"),
    ("E0228", "a `foreach` over something that is no list, or a number that is none"),
    ("E0229", "`retry` where nothing may be done again"),
    ("E0230", "trust in a write that is raised without a `reason`"),
    ("E0231", "a key about a write, on a step that has no such write of its own"),
    ("E0232", "a write that would settle a doubt"),
    ("E0233", "two branches that make the same write"),
    ("E0234", "a runbook that doesn't exist, or is chosen at run time"),
    ("E0235", "a `group` that names nothing"),
    ("E0236", "undo where there is nothing it could take back"),
    ("E0237", "a step that would attach to another run"),
    ("E0238", "what a planned write leaves behind, or what lies over a read, where that can't be"),
    ("E0240", "a pattern that can't be one"),
    ("E0245", "`reveal` where nothing is sealed, or of a name that isn't there"),
    ("E0246", "an output that says `sealed` and gives plain text"),
    ("E0251", "somebody to act for who is no person of the project"),
    ("E0252", "a mapping of a hook that is no filter, or may run without end"),
    ("E0253", "a time zone that this machine doesn't know"),
    ("E0254", "a channel in which nobody can be told anything"),
    // Expressions and scripts.
    ("E0301", "an expression or script that doesn't compile"),
    ("E0302", "a reserved word of Rhai used as a name"),
    ("E0303", "a computed key in a map literal"),
    ("E0304", "`${{ }}` where code stands already"),
    ("E0305", "a `#` comment in a script"),
    ("E0306", "an unknown variable"),
    // Doubts.
    ("W0401", "outputs of a step that may not have any"),
    ("W0402", "a script with very many step calls"),
    ("W0403", "a declaration that nothing reads"),
    ("W0404", "an `if` that is always the same"),
    ("W0405", "a suggested runbook that doesn't exist"),
    ("W0406", "a file in a project's folders that has no name"),
    ("W0407", "a runbook without an owner, or without the day of its last review"),
    ("W0408", "a trigger before which another one always comes"),
    // Tests.
    ("E0501", "an expectation of a test that does not hold"),
    ("E0502", "a call in a test that nothing answers"),
    ("E0503", "a step or action in a test that what it tests doesn't have"),
    ("E0504", "a test file without what it tests"),
    ("W0505", "an answer in a test that nothing asked for"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        for pair in CODES.windows(2) {
            let ((first, _), (second, _)) = (pair[0], pair[1]);
            assert!((&first[1..], &first[..1]) < (&second[1..], &second[..1]), "{first} before {second}");
        }
        for (code, meaning) in CODES {
            assert!(code.len() == 5 && !meaning.is_empty(), "{code}");
        }
    }
}
