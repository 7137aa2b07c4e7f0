use super::*;
use crate::script::compile::script;
use crate::script::sandbox::{Evaluated, Input, Sandbox};

#[test]
fn every_known_name_can_be_called_with_some_arguments() {
    const VALUES: [&str; 10] =
        ["1", "1.5", "\"a\"", "'c'", "true", "[1, 2]", "#{ a: 1 }", "|x| true", "|a, b| true", "0..1"];
    let sandbox = Sandbox::new(&[], &[]).unwrap_or_else(|error| panic!("{error:?}"));
    let exists = |name: &str, args: &str| {
        let code = script(&format!("{name}({args})")).unwrap_or_else(|error| panic!("{name}({args}): {error:?}"));
        match sandbox.evaluate(&code, Input::default()).result {
            Evaluated::Error(error) => !error.message.starts_with("no function `"),
            _ => true,
        }
    };
    let mut arguments = vec![String::new()];
    for a in VALUES {
        arguments.push(a.to_owned());
        for b in VALUES {
            arguments.push(format!("{a}, {b}"));
            for c in VALUES {
                arguments.push(format!("{a}, {b}, {c}"));
            }
        }
    }
    for name in known_functions() {
        assert!(arguments.iter().any(|args| exists(name, args)), "{name} doesn't exist");
    }
    assert!(!arguments.iter().any(|args| exists("nosuch", args)));
}

#[test]
fn the_guards_and_what_is_gone_are_not_known() {
    for name in ["rerail_caught", "rerail_subject", "eval", "kind_of", "blob", "get_fn_metadata_list"] {
        assert!(!known_functions().contains(name), "{name}");
    }
}
