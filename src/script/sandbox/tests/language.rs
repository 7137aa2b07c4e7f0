use super::*;

#[test]
fn expressions_give_json_values() {
    let sandbox = sandbox();
    for (text, expected) in [
        ("1 + 2", "3"),
        ("inputs.n * 2.5", "7.5"),
        ("`${inputs.name}-${inputs.n}`", r#""api-3""#),
        ("inputs.list.len()", "3"),
        ("inputs.map.a.b.c", "1"),
        ("inputs.map[\"default\"]", "true"),
        ("steps.audit.outputs", r#"{"names": ["x", "y"], "status": 200}"#),
        ("steps.audit.outputs.names[1]", r#""y""#),
        ("inputs.names[-1]", r#""a""#),
        ("\"x\" in steps.audit.outputs.names", "true"),
        ("\"names\" in steps.audit.outputs && !(\"no\" in steps.audit.outputs)", "true"),
        ("steps.audit.outputs.get(\"no\") ?? 5", "5"),
        ("get(inputs.map, \"default\")", "true"),
        ("inputs.nothing == ()", "true"),
        ("inputs.nothing ?? \"d\"", r#""d""#),
        ("not(inputs.n == 3)", "false"),
        ("if inputs.n > 2 { \"big\" } else { \"small\" }", r#""big""#),
        ("switch inputs.name { \"api\" => 1, \"web\" => 2, _ => 3 }", "1"),
        ("switch inputs.n { 3 if inputs.name == \"web\" => 1, 0..4 if inputs.name == \"api\" => 2, _ => 3 }", "2"),
        ("inputs.list.map(|x| x * inputs.n)", "[9, 3, 6]"),
        ("inputs.list.filter(|x| x > 1).len()", "2"),
        ("inputs.list.order()", "[1, 2, 3]"),
        ("inputs.list.order_desc()", "[3, 2, 1]"),
        ("inputs.names.order().join(\", \")", r#""a, b""#),
        ("inputs.list.order(|a, b| b - a)", "[3, 2, 1]"),
        ("inputs.list.find(|x| x < 3)", "1"),
        ("inputs.list.index_of(2)", "2"),
        ("inputs.names.index_of(\"a\")", "1"),
        ("inputs.list.some(|x| x == 2) && inputs.list.all(|x| x > 0)", "true"),
        ("inputs.list.reduce(|sum, x| sum + x, 0)", "6"),
        ("#{ a: [1, #{ b: () }] }", r#"{"a": [1, {"b": null}]}"#),
        ("'c'", r#""c""#),
        ("inputs.url.host + \":\" + inputs.url.port", r#""example.org:8443""#),
        (
            "[inputs.url.scheme, inputs.url.path, inputs.url.query, inputs.url.origin]",
            r#"["https", "/a/b", "x=1", "https://example.org:8443"]"#,
        ),
        ("inputs.url", r#""https://example.org:8443/a/b?x=1""#),
        ("inputs.url + \"&y\"", r#""https://example.org:8443/a/b?x=1&y""#),
        ("`${inputs.url}`.len() == inputs.url.len()", "true"),
        ("inputs.url.starts_with(\"https://\")", "true"),
        ("url(\"https://x.org/\") == \"https://x.org\"", "true"),
        ("url(\"https://x.org\").port", "443"),
        (
            "type_of(1) + type_of(1.0) + type_of(\"\") + type_of([]) + type_of(#{}) + type_of(()) + type_of('c')",
            r#""intfloatstringlistmap()string""#,
        ),
        ("inputs.n.type_of()", r#""int""#),
    ] {
        let code = expression(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let result = sandbox.evaluate(&code, Input { contexts: contexts(), ..Input::default() }).result;
        assert_eq!(result, Evaluated::Value(json(expected)), "{text}");
    }
}

#[test]
fn scripts_give_their_last_expression() {
    let sandbox = sandbox();
    for (text, expected) in [
        (
            "let a = 1;\nlet b = a + 1;\n#{ a, b }".replace("#{ a, b }", "#{ a: a, b: b }").as_str(),
            r#"{"a": 1, "b": 2}"#,
        ),
        ("fn twice(x) { x * 2 }\ntwice(inputs.n)", "6"),
        ("fn from_context() { steps.audit.outputs.status }\nfrom_context()", "200"),
        ("fn closure() { [1, 2].map(|x| x + inputs.n) }\nclosure()", "[4, 5]"),
        ("let f = |x| x + inputs.n; f.call(1)", "4"),
        ("let n = 0; for x in inputs.list { if x == 2 { continue; } n += x; } n", "4"),
        ("let out = []; for (x, i) in inputs.names { out.push(x + i); } out", r#"["b0", "a1"]"#),
        (
            "let copy = inputs.map; copy.a.b.c = 9; copy.new_key = 1; [copy.a.b.c, inputs.map.a.b.c, copy.new_key]"
                .replace("copy.new_key = 1", "copy[\"new_key\"] = 1")
                .as_str(),
            "[9, 1, 1]",
        ),
        ("let m = #{}; m.x = 1; m[\"y\"] = 2; m", r#"{"x": 1, "y": 2}"#),
        ("try { throw \"no\" } catch (e) { return e + \"!\"; } 1", r#""no!""#),
        ("try { throw #{ kind: \"x\" } } catch (e) { return e.kind; }", r#""x""#),
        ("try { 1 / 0 } catch { return \"caught\"; }", r#""caught""#),
        ("try { steps.audit.nothing } catch (e) { return e.message; }", r#""no key `nothing`""#),
        ("let x = loop { break inputs.n; }; x", "3"),
        ("let a = [1, 1, 2]; a.dedup(); a", "[1, 2]"),
        ("let a = [3, 1, 2]; a.sort(); a", "[1, 2, 3]"),
        ("let a = [1, 2, 3, 4]; let d = a.drain(|x| x % 2 == 0); [a, d]", "[[1, 3], [2, 4]]"),
        ("let a = [1, 2, 3, 4]; let d = a.retain(|x| x % 2 == 0); [a, d]", "[[2, 4], [1, 3]]"),
        ("let m = #{ a: 1, b: 2 }; m.filter(|k, v| v > 1)", r#"{"b": 2}"#),
        ("", "null"),
        ("let x = 1;", "null"),
        ("`switch: ${switch inputs.n { 3 => \"three\", _ => \"other\" }}`", r#""switch: three""#),
    ] {
        assert_eq!(value(&sandbox, text), json(expected), "{text}");
    }
}

#[test]
fn comparisons_between_types_are_errors_except_int_with_float_and_unit() {
    let sandbox = sandbox();
    for (left, right, equal) in [
        ("1", "1", Some(true)),
        ("1", "1.0", Some(true)),
        ("1.5", "1", Some(false)),
        ("\"a\"", "\"a\"", Some(true)),
        ("\"a\"", "'a'", Some(true)),
        ("true", "false", Some(false)),
        ("[1, [2]]", "[1, [2]]", Some(true)),
        ("[1]", "[1, 2]", Some(false)),
        ("#{a: 1}", "#{a: 1}", Some(true)),
        ("#{a: 1}", "#{b: 1}", Some(false)),
        ("()", "1", Some(false)),
        ("\"a\"", "()", Some(false)),
        ("()", "()", Some(true)),
        ("[]", "()", Some(false)),
        ("inputs.url", "\"https://example.org:8443/a/b?x=1\"", Some(true)),
        ("\"x\"", "inputs.url", Some(false)),
        ("inputs.url", "inputs.url", Some(true)),
        ("1", "\"1\"", None),
        ("1", "true", None),
        ("\"true\"", "true", None),
        ("[1]", "[\"1\"]", None),
        ("#{a: 1}", "#{a: \"1\"}", None),
        ("[]", "#{}", None),
        ("1", "[1]", None),
        ("inputs.url", "1", None),
        ("|x| x", "|x| x", None),
    ] {
        for (operator, expected) in [("==", equal), ("!=", equal.map(|equal| !equal))] {
            let text = format!("({left}) {operator} ({right})");
            match (evaluate(&sandbox, &text), expected) {
                (Evaluated::Value(Value::Bool(got)), Some(expected)) => assert_eq!(got, expected, "{text}"),
                (Evaluated::Error(error), None) => {
                    assert!(error.message.starts_with("can't compare"), "{text}: {error:?}")
                }
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }
}

#[test]
fn the_comparison_rule_holds_wherever_values_are_compared() {
    let sandbox = sandbox();
    for text in [
        "1 in [\"1\"]",
        "[\"1\"].contains(1)",
        "[\"1\"].index_of(1)",
        "[1].index_of(\"1\")",
        "[1, \"a\"].sort()",
        "[1, \"a\"].order()",
        "[1, \"a\"].dedup()",
        "[[1], [2]].order()",
        "switch 1 { \"1\" => 1, _ => 2 }",
        "switch \"1\" { 1 => 1, _ => 2 }",
        "switch true { \"true\" => 1, _ => 2 }",
        "switch [1] { 1 => 1, _ => 2 }",
        "1 < \"2\"",
        "\"1\" >= 2",
        "() < 1",
        "true < false",
        "[1] < [2]",
        "same_as(1, \"1\")",
        "let x = 1; x == \"1\"",
        "[1].some(|x| x == \"1\")",
        "let a = #{x: [1]}; a == #{x: [\"1\"]}",
    ] {
        let error = error(&sandbox, text);
        assert_eq!(error.kind, ScriptErrorKind::Error, "{text}");
        assert!(
            error.message.contains("can't compare")
                || error.message.contains("can't order")
                || error.message.contains("`switch` needs"),
            "{text}: {}",
            error.message
        );
    }
    for (text, expected) in [
        ("1 in [1.0, 2.0]", "true"),
        ("switch () { \"a\" => 1, _ => 2 }", "2"),
        ("switch inputs.url { \"https://example.org:8443/a/b?x=1\" => 1, _ => 2 }", "1"),
        ("switch 2 { 1 | 2 => \"low\", _ => \"high\" }", r#""low""#),
        ("switch 2 { -1 => 1, 1.5 => 2, _ => 3 }", "3"),
        ("switch \"a\" { \"a\" => { 1 } \"b\" => { 2 } }", "1"),
        ("1 < 1.5 && \"a\" < \"b\" && \"b\" > 'a'", "true"),
        ("[1.5, 1, 2].order()", "[1, 1.5, 2]"),
    ] {
        assert_eq!(value(&sandbox, text), json(expected), "{text}");
    }
}

#[test]
fn nothing_but_a_bool_is_true() {
    let sandbox = sandbox();
    for text in [
        "let v = 1; if v { 2 }",
        "let v = \"\"; if v { 2 }",
        "let v = (); if v { 2 }",
        "let v = 1; while v { }",
        "let v = 1; v && true",
        "let v = 1; false || v",
        "!1",
        "not(1)",
        "[1].filter(|x| x)",
        "[1].some(|x| 1)",
        "[1].all(|x| ())",
        "[1].find(|x| \"yes\")",
        "[1].index_of(|x| 1)",
        "[1].drain(|x| 1)",
        "[1].retain(|x| 1)",
        "[1, 2].dedup(|a, b| 1)",
        "[1, 2].sort(|a, b| ())",
        "#{a: 1}.filter(|k, v| v)",
        "#{a: 1}.drain(|k, v| v)",
        "let v = 5; switch 1 { 1 if v => 1, _ => 2 }",
    ] {
        let error = error(&sandbox, text);
        assert_eq!(error.kind, ScriptErrorKind::Error, "{text}: {error:?}");
    }
}

#[test]
fn unknown_keys_are_errors_that_name_the_nearest() {
    let sandbox = sandbox();
    for (text, message) in [
        ("steps.audit.outputs.stauts", "no key `stauts`; there is `status`"),
        ("steps.audit.outputs[\"stauts\"]", "no key `stauts`; there is `status`"),
        ("steps.aduit.outputs", "no key `aduit`; there is `audit`"),
        ("inputs.map.a.x", "no key `x`; there is `b`"),
        ("let m = #{ alpha: 1 }; m.alhpa", "no key `alhpa`"),
        ("inputs.map[\"zzzz\"]", "no key `zzzz`; there is `a`, `default`"),
        ("let k = \"zzzz\"; inputs.map[k]", "no key `zzzz`"),
        ("fn f() { steps.audit.outptus } f()", "no key `outptus`; there is `outputs`"),
        ("inputs.url.prot", "a url has no `prot`: it has scheme, host, port, path, query, origin"),
        ("pick(inputs.map, [\"defualt\"])", "no key `defualt`; there is `default`"),
        ("inputs.name.foo", "string has no `foo`"),
        ("inputs.list[5]", "no element 5: the list has 3"),
    ] {
        assert_eq!(error(&sandbox, text).message, message, "{text}");
    }
}

#[test]
fn contexts_can_be_copied_but_not_changed() {
    let sandbox = sandbox();
    for text in ["inputs = 1", "inputs.n = 1", "steps.audit = #{}", "inputs.n += 1", "vars.clear()"] {
        let message = error(&sandbox, text).message;
        assert!(message.contains("change"), "{text}: {message}");
    }
}

#[test]
fn a_context_that_is_not_given_is_an_error() {
    let sandbox = sandbox();
    for text in ["each.value", "fn f() { each.value } f()", "[1].map(|x| x + each.value)"] {
        assert_eq!(error(&sandbox, text).message, "`each` doesn't exist here", "{text}");
    }
}

#[test]
fn only_what_the_code_reads_is_converted() {
    let code = expression("steps.audit.outputs.names").unwrap();
    let built = convert::context("steps", &contexts()["steps"], &code.reads);
    assert_eq!(built.to_string(), "#{\"audit\": #{\"outputs\": #{\"names\": [\"x\", \"y\"]}}}");
}

#[test]
fn pure_functions_do_what_they_say() {
    let sandbox = sandbox();
    for (text, expected) in [
        ("matches(\"api-12\", \"^api-[0-9]+$\")", "true"),
        ("find(\"version 1.2.3 of\", \"[0-9.]+\")", r#""1.2.3""#),
        ("find(\"none\", \"[0-9]\")", "null"),
        ("sh([\"echo\", \"it's\", \"a b\", \"$X\", 5, \"\"])", r#""echo 'it'\\''s' 'a b' '$X' 5 ''""#),
        ("pick(#{a: 1, b: 2, c: 3}, [\"a\", \"c\"])", r#"{"a": 1, "c": 3}"#),
        ("same_as(1, 1.0)", "true"),
        ("base64(\"hello\")", r#""aGVsbG8=""#),
        ("url_encode(\"a b/c\")", r#""a%20b%2Fc""#),
        (
            "hmac(\"key\", \"The quick brown fox jumps over the lazy dog\")",
            r#""f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8""#,
        ),
        ("json(#{ a: [1, ()] })", r#""{\"a\":[1,null]}""#),
        ("to_json(\"x\\\"y\")", r#""\"x\\\"y\"""#),
        ("#{ a: 1 }.to_json()", r#""{\"a\":1}""#),
        (
            "parse_json(\"{\\\"id\\\": 9223372036854775807, \\\"big\\\": 18446744073709551615}\")",
            r#"{"id": 9223372036854775807, "big": "18446744073709551615"}"#,
        ),
        ("duration(\"1m30s\")", "90000"),
        ("duration(\"250ms\")", "250"),
        ("duration(\"1d\") / duration(\"1h\")", "24"),
        ("let t = \"aXbX\"; t.replace(\"X\", \"--\"); t", r#""a--b--""#),
        ("let t = \"aXbX\"; t.replace('X', 'y'); t", r#""ayby""#),
        ("[1, true, \"x\", inputs.url].join(\" \")", r#""1 true x https://example.org:8443/a/b?x=1""#),
    ] {
        assert_eq!(value(&sandbox, text), json(expected), "{text}");
    }
    for (text, part) in [
        ("matches(\"x\", \"(\")", "is not a pattern"),
        ("sh(\"a b\")", "takes a list"),
        ("url(\"not a url\")", "is not a url"),
        ("parse_json(\"{\")", "not JSON"),
        ("duration(\"5\")", "expected a duration such as 30s or 1m30s, got \"5\""),
        ("duration(\"\")", "expected a duration"),
        ("duration(\"99999999999999999999d\")", "expected a duration"),
        ("let t = \"a\"; t.replace(\"\", \"b\")", "not an empty string"),
        ("sleep(1)", "time::sleep"),
        ("timestamp()", "time::now"),
        ("exit()", "use `return`"),
        ("exit(1)", "use `return`"),
    ] {
        let message = error(&sandbox, text).message;
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn modules_are_imported_from_the_given_set_only() {
    let modules = [
        ("railway/common".to_owned(), "import \"base\" as b;\nexport const HOST = \"x.org\";\nfn host() { global::HOST + b::suffix() }\nfn bad(m) {\n  m.nope\n}".to_owned()),
        ("base".to_owned(), "fn suffix() { \"!\" }".to_owned()),
    ];
    let sandbox = Sandbox::new(&["probe".to_owned()], &modules).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(value(&sandbox, "import \"railway/common\" as r; r::host() + r::HOST"), json(r#""x.org!x.org""#));
    assert_eq!(
        value(&sandbox, "import \"railway/common\" as r; fn f() { import \"base\" as b; b::suffix() } f()"),
        json(r#""!""#)
    );
    let failed = error(&sandbox, "import \"railway/common\" as r;\n  r::bad(#{})");
    assert_eq!((failed.message.as_str(), failed.position.map(|at| at.0)), ("no key `nope`", Some(2)));
    for path in ["nope", "/etc/passwd", "../base", "railway/../base", "file:base", "base.rhai", "https://x.org/m"] {
        let message = error(&sandbox, &format!("import \"{path}\" as x; 1")).message;
        assert_eq!(message, format!("no module or action `{path}`"));
    }
}

#[test]
fn modules_hold_only_pure_functions_and_constants() {
    for (text, part) in [
        ("let x = 1;", "functions, constants and imports only"),
        ("print(1);", "functions, constants and imports only"),
        ("fn f() { probe(#{}) }", "can't call the step `probe`"),
        ("fn f() { http::probe(#{}) }", "can't call the step `http.probe`"),
        ("fn f() { inputs.x }", "unknown variable"),
        ("import \"b\" as b;", "doesn't exist or imports this one"),
        ("const X = 1 / 0;", "division by zero"),
        ("const X = { loop {} };", "operations"),
        ("fn f( {", ""),
    ] {
        let modules = [("a".to_owned(), text.to_owned())];
        let actions = ["probe".to_owned(), "http.probe".to_owned()];
        match Sandbox::new(&actions, &modules) {
            Ok(_) => panic!("{text} is accepted"),
            Err((path, error)) => {
                assert_eq!(path, "a");
                assert!(error.message.to_lowercase().contains(part), "{text}: {}", error.message);
            }
        }
    }
    let cycle = [("a".to_owned(), "import \"b\" as b;".to_owned()), ("b".to_owned(), "import \"a\" as a;".to_owned())];
    assert!(Sandbox::new(&[], &cycle).is_err());
}
