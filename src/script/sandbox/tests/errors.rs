use super::*;

#[test]
fn errors_name_values_in_the_words_of_the_language_with_a_position() {
    let sandbox = sandbox();
    for (text, message, position) in [
        ("1 + [2]", "`+` can't be used with int and list", Some((1, 3))),
        ("let a = 1;\nlet b = a - \"x\";", "`-` can't be used with int and string", Some((2, 11))),
        ("-\"x\"", "`-` can't be used with string", Some((1, 1))),
        ("let x = 1; x += [1];", "`+` can't be used with int and list", Some((1, 14))),
        ("inputs.n.nope()", "no function `nope` for int", Some((1, 10))),
        ("nope()", "no function `nope` without arguments", Some((1, 1))),
        ("split(1, 2.0)", "no function `split` for int, float", Some((1, 1))),
        ("let v = \"yes\"; if v { 1 }", "expected bool, got string", Some((1, 19))),
        ("let k = \"a\"; [1][k]", "expected int, got string", Some((1, 18))),
        ("let k = 0; #{a: 1}[k]", "expected string, got int", Some((1, 20))),
        ("(1.5).x", "float has no `x`", Some((1, 7))),
        ("[][0]", "no element 0: the list is empty", Some((1, 4))),
        ("\"ab\"[7]", "no character 7: the string has 2", Some((1, 6))),
        ("let v = 5; for x in v { }", "`for` needs a list, a range or a string", Some((1, 21))),
        ("9223372036854775807 + 1", "addition overflow: 9223372036854775807 + 1", Some((1, 21))),
        ("1 / 0", "division by zero: 1 / 0", Some((1, 3))),
        ("inputs.n = 2;", "`inputs` can't be changed", Some((1, 1))),
        ("fn f(x) {\n  x.missing\n}\nf(#{ y: 1 })", "no key `missing`", Some((2, 5))),
        ("[1].map(|x|\n x.len())", "no function `len` for int", Some((2, 4))),
        ("[2, 1].order(|a| a)", "this function doesn't take the arguments it is called with: int, int", Some((1, 8))),
        ("|x| x", "a function can't leave a script: only data can", None),
        ("switch 1 { 1 => 1 + \"a\" - 2, _ => 2 }", "`-` can't be used with string and int", Some((1, 25))),
        ("try { 1 } catch { 2 } 1 - \"a\"", "`-` can't be used with int and string", Some((1, 25))),
    ] {
        let error = error(&sandbox, text);
        assert_eq!((error.message.as_str(), error.position), (message, position), "{text}");
        assert_eq!(error.kind, ScriptErrorKind::Error);
    }
}

#[test]
fn no_message_holds_a_name_of_a_rust_type() {
    let sandbox = sandbox();
    let values = [
        "1",
        "1.5",
        "\"s\"",
        "'c'",
        "true",
        "()",
        "[1]",
        "#{a: 1}",
        "0..5",
        "0..=5",
        "|x| x",
        "inputs.url",
        "\"s\".chars()",
    ];
    let uses = [
        "V + W",
        "V - W",
        "V < W",
        "V == W",
        "V in W",
        "V[W]",
        "V.x",
        "V.f(W)",
        "f(V, W)",
        "if V { }",
        "for x in V { }",
        "throw V",
        "V.len()",
        "parse_json(V)",
        "sh(V)",
        "switch V { 1 => 1 }",
        "let x = V; x += W",
        "V.call(W)",
        "V.sort()",
        "sh([V])",
        "[V].join(W)",
    ];
    for use_of in uses {
        for v in values {
            for w in values {
                let text = use_of.replace('V', v).replace('W', w);
                let Ok(code) = script(&text) else { continue };
                if let Evaluated::Error(error) =
                    sandbox.evaluate(&code, Input { contexts: contexts(), ..Input::default() }).result
                {
                    for word in [
                        "::",
                        "i64",
                        "f64",
                        "Immutable",
                        "&str",
                        "alloc",
                        "rhai",
                        "Dynamic",
                        "array",
                        "char ",
                        "Fn",
                        "get$",
                        "unreachable",
                        "interpreter",
                    ] {
                        assert!(!error.message.contains(word), "{text}: {}", error.message);
                    }
                }
            }
        }
    }
}

#[test]
fn an_uncaught_throw_keeps_its_value() {
    let sandbox = sandbox();
    for (text, message, thrown) in [
        ("throw \"no backup\"", "no backup", "\"no backup\""),
        ("throw #{ message: \"m\", code: 5 }", "m", r#"{"message": "m", "code": 5}"#),
        ("throw #{ code: 5 }", "{\"code\":5}", r#"{"code": 5}"#),
        ("throw 5", "5", "5"),
        ("fn f() { throw \"deep\" } f()", "deep", "\"deep\""),
        ("[1].map(|x| { throw \"deeper\" })", "deeper", "\"deeper\""),
        ("throw", "thrown without a message", "null"),
    ] {
        let error = error(&sandbox, text);
        assert_eq!((error.kind, error.message.as_str()), (ScriptErrorKind::Thrown, message), "{text}");
        assert_eq!(error.thrown, Some(json(thrown)), "{text}");
        assert!(error.position.is_some(), "{text}");
    }
}

#[test]
fn printed_lines_are_kept_in_order_also_of_failed_scripts() {
    let sandbox = sandbox();
    let code = script("print(\"a\"); debug([1, \"x\"]); print(#{ k: 1.5 }); print(inputs.url); throw 1").unwrap();
    let evaluation = sandbox.evaluate(&code, Input { contexts: contexts(), ..Input::default() });
    assert_eq!(evaluation.printed, ["a", "[1, \"x\"]", "#{\"k\": 1.5}", "https://example.org:8443/a/b?x=1"]);
}
