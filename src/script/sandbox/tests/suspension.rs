use super::*;

/// Shapes in which a script can call a step, with the value that comes out when `probe(#{ x: n })`
/// answers `n * 10`. In some of them Rhai alone would let the script go on after an unanswered call.
const SHAPES: [(&str, &str); 48] = [
    ("probe(#{ x: 1 })", "10"),
    ("let a = probe(#{ x: 1 }); a + probe(#{ x: 2 })", "30"),
    ("let r = 0; try { r = probe(#{ x: 1 }) } catch { r = -1 } r", "10"),
    ("let r = 0; try { r = probe(#{ x: 1 }) } catch (e) { r = -1 } r", "10"),
    ("let r = 0; try { try { r = probe(#{ x: 1 }) } catch { r = -1 } } catch { r = -2 } r", "10"),
    ("let r = 0; try { throw 1 } catch { r = probe(#{ x: 1 }) } r", "10"),
    ("let f = |x| probe(#{ x: x }); f.call(1) + f.call(2)", "30"),
    ("let f = |x| probe(#{ x: x }); let r = 0; try { r = f.call(1) } catch { r = -1 } r", "10"),
    ("let s = 0; for i in 1..4 { s += probe(#{ x: i }); } s", "60"),
    ("let s = 0; for i in 1..4 { try { s += probe(#{ x: i }); } catch { s -= 1 } } s", "60"),
    ("let i = 0; let s = 0; while i < 3 { i += 1; s += probe(#{ x: i }); } s", "60"),
    ("let s = 0; do { s += probe(#{ x: 1 }); } while s < 30; s", "30"),
    ("let s = 0; loop { s += probe(#{ x: 1 }); if s >= 20 { break s; } }", "20"),
    ("let n = 0; while probe(#{ x: n }) < 20 { n += 1 } n", "2"),
    ("fn f(x) { probe(#{ x: x }) } f(1) + f(2)", "30"),
    ("fn f(x) { try { probe(#{ x: x }) } catch { -1 } } let r = f(1); r ?? 5", "10"),
    ("fn f(n) { if n == 0 { 0 } else { probe(#{ x: n }) + f(n - 1) } } f(3)", "60"),
    (
        "fn f(n) { if n == 0 { return 0; } let r = 0; try { r = probe(#{ x: n }) } catch { r = -1 } r + f(n - 1) } f(3)",
        "60",
    ),
    ("switch probe(#{ x: 1 }) { 10 => \"ten\", _ => \"other\" }", "\"ten\""),
    ("switch 1 { 1 if probe(#{ x: 1 }) == 10 => \"yes\", _ => \"no\" }", "\"yes\""),
    ("switch 1 { 1 => probe(#{ x: 1 }), _ => -1 }", "10"),
    ("`a${probe(#{ x: 1 })}b${probe(#{ x: 2 })}`", "\"a10b20\""),
    ("#{ a: probe(#{ x: 1 }), b: [probe(#{ x: 2 })] }", r#"{"a": 10, "b": [20]}"#),
    ("[0, 1, 2][probe(#{ x: 0 })]", "0"),
    ("let a = [1]; a[0] += probe(#{ x: 1 }); a", "[11]"),
    ("let m = #{ a: 1 }; m.a += probe(#{ x: 1 }); m.a", "11"),
    ("Fn(\"probe\").call(#{ x: 1 })", "10"),
    ("let f = Fn(\"probe\").curry(#{ x: 1 }); f.call()", "10"),
    ("() ?? probe(#{ x: 1 })", "10"),
    ("if probe(#{ x: 1 }) == 10 && probe(#{ x: 2 }) == 20 { 1 } else { 2 }", "1"),
    ("probe(#{ x: 1 }) == 0 || probe(#{ x: 2 }) == 20", "true"),
    ("let r = []; try { r = [1, 2].map(|x| probe(#{ x: x })) } catch { r = \"swallowed\" } r", "[10, 20]"),
    ("let r = []; try { r = [1, 2].filter(|x| probe(#{ x: x }) > 10) } catch { r = \"swallowed\" } r", "[2]"),
    ("let r = 0; try { r = [1, 2].reduce(|s, x| s + probe(#{ x: x }), 0) } catch { r = -1 } r", "30"),
    ("let r = 0; try { [1, 2].for_each(|x| { r += probe(#{ x: x }); }) } catch { r = -1 } r", "10"),
    ("let r = 0; try { r = [1, 2].find(|x| probe(#{ x: x }) == 20) } catch { r = -1 } r", "2"),
    ("let r = 0; try { r = [1, 2].some(|x| probe(#{ x: x }) == 20) } catch { r = -1 } r", "true"),
    ("let r = 0; try { r = [1, 2].all(|x| probe(#{ x: x }) > 0) } catch { r = -1 } r", "true"),
    ("let a = [3, 1, 2]; a.sort(|a, b| probe(#{ x: a }) - probe(#{ x: b })); a", "[1, 2, 3]"),
    ("let a = [3, 1, 2]; try { a.sort(|a, b| probe(#{ x: a }) - probe(#{ x: b })) } catch { a = [] } a", "[1, 2, 3]"),
    ("let a = [1, 1, 2]; a.dedup(|a, b| probe(#{ x: a }) == probe(#{ x: b })); a", "[1, 2]"),
    ("let a = [1, 2]; let d = a.drain(|x| probe(#{ x: x }) == 10); [a, d]", "[[2], [1]]"),
    ("let m = #{ a: 1, b: 2 }; try { m.map(|k, v| probe(#{ x: v })) } catch { -1 } m.len()", "2"),
    ("let m = #{ a: 1, b: 2 }; m.retain(|k, v| probe(#{ x: v }) == 10); m", r#"{"a": 1}"#),
    ("fn f(x) { [x].map(|y| probe(#{ x: y }))[0] } let r = 0; try { r = f(1) + f(2) } catch { r = -1 } r", "30"),
    ("let r = 0; try { try { throw 1 } catch { r = [1].map(|x| probe(#{ x: x }))[0]; } } catch { r = -1 } r", "10"),
    ("[1, 2].zip([3, 4], |a, b| probe(#{ x: a }) + probe(#{ x: b }))", "[40, 60]"),
    ("let o = #{ v: 1, f: || probe(#{ x: this.v }) }; let r = 0; try { r = o.f() } catch { r = -1 } r", "10"),
];

fn answer(wanted: &Wanted) -> Value {
    match wanted.args.get("x") {
        Some(Value::Int(x)) => Value::Int(x * 10),
        other => panic!("x is {other:?}"),
    }
}

#[test]
fn no_shape_of_script_swallows_a_suspension() {
    let sandbox = sandbox();
    for (text, expected) in SHAPES {
        let code = script(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let mut recorded = Answers::default();
        let mut wanted = Vec::new();
        let value = loop {
            let evaluation = sandbox.evaluate(&code, Input { recorded: recorded.clone(), ..Input::default() });
            match evaluation.result {
                Evaluated::Call(call) => {
                    // Suspended at each call in turn: never at one that has its answer.
                    assert!(recorded.get(&call.name, call.count).is_none(), "{text}");
                    recorded.insert(
                        &call.name,
                        call.count,
                        Recorded::exact(call.args.clone(), Reply::Answer(answer(&call))),
                    );
                    wanted.push(call.clone());
                    assert_eq!(call.count as usize, wanted.len(), "{text}");
                    assert!(wanted.len() < 100, "{text} doesn't end");
                }
                Evaluated::Value(value) => break value,
                other => panic!("{text}: {other:?} after {} calls", wanted.len()),
            }
        };
        assert_eq!(value, json(expected), "{text}");
        assert!(!wanted.is_empty(), "{text}");
    }
}

#[test]
fn nothing_happens_after_a_suspension() {
    let sandbox = sandbox();
    for text in [
        "try { [1].map(|x| probe(#{ x: x })) } catch { } print(\"after\"); effect(#{})",
        "let a = [2, 1]; a.sort(|a, b| { probe(#{ x: a }); 1 }); print(\"after\"); effect(#{})",
        "try { Fn(\"probe\").call(#{ x: 1 }) } catch { print(\"after\"); effect(#{}) }",
        "fn f() { try { [1].for_each(|x| { probe(#{ x: x }); }) } catch { } print(\"after\"); effect(#{}) } f()",
    ] {
        let evaluation = sandbox.evaluate(&script(text).unwrap(), Input::default());
        assert!(
            matches!(&evaluation.result, Evaluated::Call(call) if call.name == "probe" && call.count == 1),
            "{text}"
        );
        assert_eq!(evaluation.printed, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_wanted_call_has_name_count_arguments_and_position() {
    let sandbox = sandbox();
    let code = script("let a = 1;\n  http::probe(#{ url: \"x\", n: a })").unwrap();
    let Evaluated::Call(call) = sandbox.evaluate(&code, Input::default()).result else { panic!() };
    assert_eq!((call.name.as_str(), call.count), ("http.probe", 1));
    assert_eq!(Value::Map(call.args), json(r#"{"url": "x", "n": 1}"#));
    assert_eq!(call.position.map(|at| at.0), Some(2));
    let code = script("railway::deploy::now(#{})").unwrap();
    assert!(
        matches!(sandbox.evaluate(&code, Input::default()).result, Evaluated::Call(call) if call.name == "railway.deploy.now")
    );
}

#[test]
fn calls_are_counted_by_name() {
    let sandbox = sandbox();
    let code = script("probe(#{ x: 1 }); http::probe(#{}); probe(#{ x: 2 })").unwrap();
    let record =
        |args: &str| Recorded::exact(json(args).as_map().cloned().unwrap_or_default(), Reply::Answer(Value::Null));
    let recorded = Answers::from_iter([
        (("probe".to_owned(), 1), record(r#"{"x": 1}"#)),
        (("http.probe".to_owned(), 1), record("{}")),
    ]);
    let Evaluated::Call(call) = sandbox.evaluate(&code, Input { recorded, ..Input::default() }).result else {
        panic!()
    };
    assert_eq!((call.name.as_str(), call.count), ("probe", 2));
}

#[test]
fn a_recorded_failure_is_thrown_and_can_be_caught() {
    let sandbox = sandbox();
    let thrown = json(r#"{"outcome": "refused", "kind": "dns", "message": "no such host", "step": "a/probe#1"}"#);
    let input = || Input {
        recorded: Answers::from_iter([(
            ("probe".to_owned(), 1),
            Recorded::exact(Map::new(), Reply::Throw(thrown.clone())),
        )]),
        ..Input::default()
    };
    let code = script("try { probe(#{}) } catch (e) { return e.kind; }").unwrap();
    assert_eq!(sandbox.evaluate(&code, input()).result, Evaluated::Value("dns".into()));
    let code = script("let x = 1;\n probe(#{})").unwrap();
    let Evaluated::Error(error) = sandbox.evaluate(&code, input()).result else { panic!() };
    assert_eq!((error.kind, error.message.as_str()), (ScriptErrorKind::Thrown, "no such host"));
    assert_eq!(error.thrown, Some(thrown.clone()));
    assert_eq!(error.position.map(|at| at.0), Some(2));
}

#[test]
fn another_call_than_the_recorded_one_is_a_mismatch() {
    let sandbox = sandbox();
    let recorded = |args: Map| Input {
        contexts: contexts(),
        recorded: Answers::from_iter([(("probe".to_owned(), 1), Recorded::exact(args, Reply::Answer(Value::Null)))]),
    };
    let code = script("try { probe(#{ x: 2 }) } catch { } 5").unwrap();
    let before = Map::from([("x".to_owned(), Value::Int(1))]);
    let now = Map::from([("x".to_owned(), Value::Int(2))]);
    assert_eq!(
        sandbox.evaluate(&code, recorded(before.clone())).result,
        Evaluated::Mismatch { name: "probe".into(), count: 1, recorded: before, now }
    );
    // Secrets compare as expressions; a NaN is itself.
    let secret = |name: &str| Map::from([("t".to_owned(), Value::Secret(SecretText::named(name).prefixed("Bearer ")))]);
    let code = script("probe(#{ t: \"Bearer \" + secrets.TOKEN })").unwrap();
    assert_eq!(sandbox.evaluate(&code, recorded(secret("TOKEN"))).result, Evaluated::Value(Value::Null));
    assert!(matches!(sandbox.evaluate(&code, recorded(secret("OTHER"))).result, Evaluated::Mismatch { .. }));
    let code = script("probe(#{ x: (0.0).ln() - (0.0).ln() })").unwrap();
    let nan = Map::from([("x".to_owned(), Value::Float(f64::NAN))]);
    assert_eq!(sandbox.evaluate(&code, recorded(nan)).result, Evaluated::Value(Value::Null));
}

#[test]
fn a_call_takes_one_map_of_data() {
    let sandbox = sandbox();
    for (text, message) in [
        ("probe(1)", "`probe` takes one map of arguments, not int"),
        ("http::probe(\"x\")", "`http.probe` takes one map of arguments, not string"),
        ("probe(#{ f: |x| x })", "a function can't leave a script: only data can"),
        ("probe(#{ f: [0..50000] })", "a list or map has more than 10000 elements"),
        ("http::nosuch(#{})", "no function `http::nosuch` for map"),
        ("nosuch::probe(#{})", "no module or action `nosuch`"),
        ("nosuch(#{})", "no function `nosuch` for map"),
    ] {
        assert_eq!(error(&sandbox, text).message, message, "{text}");
    }
}
