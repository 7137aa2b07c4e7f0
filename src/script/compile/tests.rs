use super::*;
use crate::script::value::Value;

fn paths(code: &Code) -> Vec<String> {
    code.reads
        .iter()
        .map(|read| {
            let mut path = read.root.clone();
            for (key, _) in &read.path {
                path.push('.');
                path.push_str(key);
            }
            if read.computed {
                path.push_str("[]");
            }
            path
        })
        .collect()
}

fn calls(code: &Code) -> Vec<&str> {
    code.calls.iter().map(|call| call.name.as_str()).collect()
}

fn names(of: &[(String, Position)]) -> Vec<&str> {
    of.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_call_has_the_name_its_author_wrote() {
    assert_eq!(
        calls(&script("if type_of(inputs.x) == \"map\" { inputs.x.type_of() }").unwrap()),
        ["type_of", "type_of"]
    );
}

#[test]
fn reads_are_flattened_up_to_the_first_computed_key_or_call() {
    for (text, expected) in [
        ("steps.audit.outputs.names", "steps.audit.outputs.names"),
        (r#"steps.a["other-key"].x"#, "steps.a.other-key.x"),
        ("steps.a.outputs.list[0].x", "steps.a.outputs.list[]"),
        ("steps.a.outputs[vars.key].x", "steps.a.outputs[] vars.key"),
        ("steps.a.outputs[vars.key][run.id].x", "steps.a.outputs[] vars.key run.id"),
        ("steps.a.outputs[vars.list[0]]", "steps.a.outputs[] vars.list[]"),
        ("steps.a?.outputs?.x", "steps.a.outputs.x"),
        ("steps.a.outputs.names.len() > inputs.n", "steps.a.outputs.names inputs.n"),
        ("(steps.a).b", "steps.a.b"),
        ("inputs", "inputs"),
        ("`x ${vars.name} y`", "vars.name"),
        ("#{ a: run.id }", "run.id"),
        ("each.value in result.list", "each.value result.list"),
        ("inputs.list.map(|x| x + vars.n)", "inputs.list vars.n"),
        ("if alert.x { vars.a } else { vars.b }", "alert.x vars.a vars.b"),
        ("switch vars.a { 1 => vars.b, 2..4 if vars.c => vars.d, _ => vars.e }", "vars.a vars.b vars.c vars.d vars.e"),
    ] {
        let code = expression(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(paths(&code).join(" "), expected, "{text}");
    }
}

#[test]
fn reads_are_found_where_the_walk_of_rhai_does_not_go() {
    let code = script("fn f(a) { vars.x + a }\nlet y = loop { break steps.z.outputs; };\nf(y)").unwrap();
    assert_eq!(paths(&code), ["vars.x", "steps.z.outputs"]);
}

#[test]
fn calls_are_found_with_their_argument_keys() {
    let code = script(
        "let p = http::probe(#{ url: inputs.url, timeout: \"5s\", n: -1 });\nfn f(x) { redeploy(#{}) }\n\
         [1].for_each(|x| railway::deploy::now(#{a: [1, #{b: ()}]}));\np.text.len() + f(1)",
    )
    .unwrap();
    assert_eq!(calls(&code), ["http.probe", "redeploy", "for_each", "railway.deploy.now", "len", "f"]);
    let probe = &code.calls[0];
    assert!(probe.namespaced && !probe.method && probe.arity == 1);
    assert_eq!(probe.position, (1, 9));
    assert_eq!(names(probe.keys.as_ref().unwrap()), ["url", "timeout", "n"]);
    assert_eq!(probe.keys.as_ref().unwrap()[0].1, (1, 24));
    assert_eq!(probe.literals, Map::from([("timeout".into(), "5s".into()), ("n".into(), Value::Int(-1))]));
    assert!(code.calls[4].method && code.calls[4].arity == 0);
    let nested = Value::List(vec![Value::Int(1), Value::map([("b", Value::Null)])]);
    assert_eq!(code.calls[3].literals, Map::from([("a".into(), nested)]));
}

#[test]
fn a_function_named_by_a_string_counts_as_called() {
    assert_eq!(calls(&script("let f = Fn(\"redeploy\"); f.call(#{})").unwrap()), ["Fn", "redeploy", "call"]);
    assert_eq!(calls(&script("let f = Fn(inputs.name); f.call(#{})").unwrap()), ["Fn", "call"]);
}

#[test]
fn comparisons_with_words_are_found() {
    let code = expression(
        "steps.a.outcome == \"done\" || \"failed\" != steps.b.outcome || steps.c.outcome in [\"done\", \"skipped\"] || \"x\" == \"y\"",
    )
    .unwrap();
    let found: Vec<String> =
        code.comparisons.iter().map(|(read, word, _)| format!("{}={word}", read.path[0].0)).collect();
    assert_eq!(found, ["a=done", "b=failed", "c=done", "c=skipped"]);
    assert_eq!(code.comparisons[0].2, (1, 20));
}

#[test]
fn names_a_script_binds_are_listed() {
    let code = script(
        "import \"railway/common\" as r;\nlet a = 1;\nconst B = 2;\nfor (c, i) in [1] { }\ntry { } catch (e) { }\n\
         let f = |d| d + a + inputs.x;\nfn g(h) { h }\nr::X",
    )
    .unwrap();
    let mut bindings = names(&code.bindings);
    bindings.sort_unstable();
    assert_eq!(bindings, ["B", "a", "c", "d", "e", "f", "h", "i", "r"]);
    assert_eq!(names(&code.functions), ["g"]);
    assert_eq!(code.imports, [("railway/common".to_owned(), (1, 8))]);
    let computed = script("import inputs.path as r; r::f()").unwrap();
    assert_eq!(names(&computed.imports), [""]);
}

#[test]
fn mistakes_have_their_own_kinds_and_positions() {
    use CompileErrorKind::*;
    let word = |word: &str| ReservedWord(word.to_owned());
    for (text, kind, position) in [
        ("inputs.default", word("default"), (1, 8)),
        ("1 + inputs.new.x", word("new"), (1, 12)),
        ("inputs.match", word("match"), (1, 8)),
        ("inputs.in", word("in"), (1, 8)),
        ("inputs.if", word("if"), (1, 8)),
        ("inputs.throw", word("throw"), (1, 8)),
        ("inputs.print", word("print"), (1, 8)),
        ("inputs.type_of", word("type_of"), (1, 8)),
        ("inputs.this", word("this"), (1, 8)),
        ("inputs?.default", word("default"), (1, 9)),
        ("let x = #{\n  default: 1 };", word("default"), (2, 3)),
        ("let x = #{ a: 1, if: 1 };", word("if"), (1, 18)),
        ("let default = 1;", word("default"), (1, 5)),
        ("#{ [inputs.k]: 1 }", ComputedKey, (1, 4)),
        ("#{ a: 1, [inputs.k]: 1 }", ComputedKey, (1, 10)),
        ("#{ a: 1, `${inputs.k}`: 1 }", ComputedKey, (1, 10)),
        ("let x = ${{ inputs.x }};", DollarBrace, (1, 9)),
        ("# note\n1", HashComment, (1, 1)),
        ("1 # note", HashComment, (1, 3)),
        ("let a = 1;\n  ## note\na", HashComment, (2, 3)),
        ("inptus.x", UnknownVariable("inptus".into()), (1, 1)),
        ("fn f() { nowhere }", UnknownVariable("nowhere".into()), (1, 10)),
        ("[1].map(|x| x + nowhere)", UnknownVariable("nowhere".into()), (1, 17)),
        ("eval(\"1\")", Syntax, (1, 1)),
        ("1 +", Syntax, (1, 4)),
        ("é + ]", Syntax, (1, 1)),
        ("\"é\" + ]", Syntax, (1, 7)),
    ] {
        let error = script(text).expect_err(text);
        assert_eq!((&error.kind, error.position), (&kind, Some(position)), "{text}: {}", error.message);
    }
}

#[test]
fn the_same_words_are_fine_in_strings_comments_and_brackets() {
    for text in [
        "inputs[\"default\"] // # ${{ }}",
        "\"# ${{ x }} #{ [k]: 1 }\"",
        "`#{ [k] ${inputs.a} $`",
        "#{ \"default\": 1 }",
    ] {
        assert!(expression(text).is_ok(), "{text}: {:?}", expression(text));
    }
}

#[test]
fn an_expression_has_no_statements() {
    for text in ["let x = 1; x", "1; 2", "x = 1", "inputs.x = 1", "fn f() {}", "while true {}", "return 1", ""] {
        assert!(expression(text).is_err(), "{text}");
    }
}

#[test]
fn any_namespace_compiles() {
    let code = script("let x = nosuch::thing(#{}); nosuch::VALUE + x").unwrap();
    assert_eq!(calls(&code), ["nosuch.thing"]);
    let code = script("`${a::b(#{})} ${`${c::d::e(#{})}`}`").unwrap();
    assert_eq!(calls(&code), ["a.b", "c.d.e"]);
}

#[test]
fn modules_see_no_contexts() {
    let error = module("fn f() { inputs.x }").expect_err("a context");
    assert_eq!(error.kind, CompileErrorKind::UnknownVariable("inputs".into()));
    assert!(module("const X = 1; fn f(a) { a + 1 }").is_ok());
}

#[test]
fn too_deep_and_too_long_is_an_error_not_an_abort() {
    for text in [
        format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)),
        vec!["1"; 20_000].join("+"),
        format!("inputs{}", ".a".repeat(20_000)),
        format!("inputs{}", ".len()".repeat(20_000)),
        format!("\"{}\"", "a".repeat(300 * 1024)),
        (0..200).map(|i| format!("fn f{i}() {{}}")).collect::<String>(),
        format!("if 1 == 1 {{}} {}", "else if 1 == 1 {} ".repeat(3_000)),
        "!".repeat(20_000) + "true",
        "{".repeat(20_000),
    ] {
        assert!(script(&text).is_err(), "{}…", &text[..40]);
    }
}

#[test]
fn thousands_of_namespaces_cost_one_parse() {
    let text = (0..4000).map(|n| format!("n{n}::f(); ")).collect::<String>();
    let before = crate::script::cpu::spent();
    let code = script(&text).unwrap();
    assert_eq!(code.calls.len(), 4000);
    // A parse for each took more than twenty seconds; one takes milliseconds.
    let spent = crate::script::cpu::spent() - before;
    assert!(spent < std::time::Duration::from_secs(3), "{spent:?}");
}

#[test]
fn namespaces_are_known_wherever_a_call_can_stand() {
    for text in [
        "`${http::probe(#{})}`",
        "fn f() { http::probe(#{}) } f()",
        "let g = |x| http::probe(#{ a: x }); g.call(1)",
        "http::probe(#{ a: `${http::probe(#{})}` })",
        "railway::ops::probe(#{})",
        "import \"railway/common\" as r; r::probe(1)",
        "/* a::b */ http :: probe(#{})",
        "switch 1 { 1 => http::probe(#{}), _ => () }",
    ] {
        let code = script(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert!(code.calls.iter().any(|call| call.namespaced), "{text}: {:?}", code.calls);
    }
}

#[test]
fn a_comment_that_is_never_closed_is_an_error_and_not_the_end_of_the_script() {
    for (text, at) in [("let a = 1;\na /* 2; throw 1", (2, 3)), ("1 /* one */ + 2 /* two", (1, 17))] {
        let error = script(text).unwrap_err();
        assert_eq!((error.kind, error.position), (CompileErrorKind::Syntax, Some(at)), "{text}");
    }
    for text in ["1 /* one */", "let a = \"/*\"; a", "`/*` + \"*/\"", "1 // /*", "/* a /* b */ */ 1"] {
        assert!(script(text).is_ok(), "{text}");
    }
}
