use super::*;

fn unknown() -> Unknown {
    Unknown { origin: "deploy".to_owned() }
}

#[test]
fn secrets_stay_symbolic_through_what_they_allow() {
    let sandbox = sandbox();
    let token = || SecretText::named("TOKEN");
    for (text, expected) in [
        ("secrets.TOKEN", token()),
        ("\"Bearer \" + secrets.TOKEN", token().prefixed("Bearer ")),
        ("secrets.TOKEN + \"!\"", token().suffixed("!")),
        ("let t = \"a\"; t += secrets.TOKEN; t", token().prefixed("a")),
        ("let t = secrets.TOKEN; t += \"a\"; t", token().suffixed("a")),
        ("'x' + secrets.TOKEN", token().prefixed("x")),
        ("inputs.url + secrets.TOKEN", token().prefixed("https://example.org:8443/a/b?x=1")),
        ("base64(\"ana:\" + secrets.TOKEN)", SecretText::Base64(Box::new(token().prefixed("ana:")))),
        ("secrets.TOKEN.base64()", SecretText::Base64(Box::new(token()))),
        ("url_encode(secrets.TOKEN)", SecretText::UrlEncode(Box::new(token()))),
        ("json(secrets.TOKEN)", SecretText::Json(Box::new(token()))),
        ("to_json(secrets.TOKEN)", SecretText::Json(Box::new(token()))),
        ("hmac(secrets.TOKEN, \"body\")", SecretText::Hmac { key: Box::new(token()), text: "body".into() }),
        ("secrets[\"TOKEN\"]", token()),
        ("let all = [secrets.TOKEN]; all[0]", token()),
        ("secrets.TOKEN ?? \"d\"", token()),
        ("let m = #{ t: secrets.TOKEN }; m.t", token()),
        ("fn f(s) { s + \"\" } f(secrets.TOKEN)", token()),
        ("[secrets.TOKEN].map(|s| \"x\" + s)[0]", token().prefixed("x")),
    ] {
        assert_eq!(value(&sandbox, text), Value::Secret(expected), "{text}");
    }
    let both = "secrets.TOKEN + secrets.OTHER";
    assert!(matches!(value(&sandbox, both), Value::Secret(text) if text.names() == ["TOKEN", "OTHER"]));
    let call = evaluate(&sandbox, "probe(#{ headers: #{ auth: [\"Bearer \" + secrets.TOKEN] } })");
    assert!(matches!(call, Evaluated::Call(call) if Value::Map(call.args.clone()).has_secret()));
}

#[test]
fn secrets_allow_nothing_else_and_cannot_be_probed_with_try() {
    let sandbox = sandbox();
    for use_of in [
        "secrets.TOKEN == \"x\"",
        "\"x\" == secrets.TOKEN",
        "secrets.TOKEN != secrets.OTHER",
        "secrets.TOKEN == ()",
        "secrets.TOKEN == secrets.TOKEN",
        "secrets.TOKEN < \"x\"",
        "secrets.TOKEN.len()",
        "len(secrets.TOKEN)",
        "secrets.TOKEN.to_string()",
        "`${secrets.TOKEN}`",
        "`a ${[secrets.TOKEN]}`",
        "print(secrets.TOKEN)",
        "print([secrets.TOKEN])",
        "debug(#{ a: secrets.TOKEN })",
        "secrets.TOKEN[0]",
        "secrets.TOKEN[0..2]",
        "secrets.TOKEN.foo",
        "secrets.TOKEN.contains(\"x\")",
        "\"x\" in secrets.TOKEN",
        "secrets.TOKEN in \"x\"",
        "secrets.TOKEN in [\"a\"]",
        "[secrets.TOKEN].contains(\"a\")",
        "[secrets.TOKEN].index_of(\"a\")",
        "[secrets.TOKEN] == [\"a\"]",
        "#{ a: secrets.TOKEN } == #{ a: \"a\" }",
        "secrets.TOKEN.split(\"\")",
        "secrets.TOKEN.to_upper()",
        "secrets.TOKEN.sub_string(0, 1)",
        "secrets.TOKEN - \"a\"",
        "secrets.TOKEN * 2",
        "!secrets.TOKEN",
        "for c in secrets.TOKEN { }",
        "switch secrets.TOKEN { \"x\" => 1, _ => 2 }",
        "switch [secrets.TOKEN] { 1 => 1, _ => 2 }",
        "[secrets.TOKEN, \"a\"].order()",
        "[secrets.TOKEN, \"a\"].dedup()",
        "[\"a\", secrets.TOKEN].join(\"\")",
        "sh([secrets.TOKEN])",
        "json(#{ a: secrets.TOKEN })",
        "json([secrets.TOKEN])",
        "matches(secrets.TOKEN, \"x\")",
        "find(secrets.TOKEN, \"x\")",
        "parse_json(secrets.TOKEN)",
        "url(secrets.TOKEN)",
        "\"x\".starts_with(secrets.TOKEN)",
        "hmac(\"k\", secrets.TOKEN)",
        "type_of(secrets.TOKEN)",
        "max(secrets.TOKEN, \"a\")",
        "\"abc\".index_of(secrets.TOKEN)",
        "secrets.TOKEN.chars()",
        "let s = secrets.TOKEN; s.x = 1",
        "let t = \"abc\"; t.replace(secrets.TOKEN, \"\")",
        "\"a\".append(secrets.TOKEN)",
        "[1].filter(|x| secrets.TOKEN)",
        "parse_int(secrets.TOKEN)",
    ] {
        for text in [use_of.to_owned(), format!("try {{ {use_of}; }} catch (e) {{ return \"caught\"; }}")] {
            let error = error(&sandbox, &text);
            assert_eq!(error.kind, ScriptErrorKind::Error, "{text}");
            assert!(
                error.message.contains("TOKEN") && error.message.contains("can be passed on"),
                "{text}: {}",
                error.message
            );
        }
    }
    // Where Rhai itself wants a bool or an index, the error is an ordinary one.
    for text in ["if secrets.TOKEN { 1 }", "secrets.TOKEN && true", "[1][secrets.TOKEN]", "#{ a: 1 }[secrets.TOKEN]"] {
        assert!(error(&sandbox, text).message.contains("got secret"), "{text}");
    }
}

#[test]
fn secrets_are_compared_only_as_expressions() {
    let sandbox = sandbox();
    assert_eq!(value(&sandbox, "same_as(secrets.TOKEN, secrets.TOKEN)"), Value::Bool(true));
    assert_eq!(value(&sandbox, "same_as([\"a\" + secrets.TOKEN], [\"a\" + secrets.TOKEN])"), Value::Bool(true));
    for text in
        ["same_as(secrets.TOKEN, secrets.OTHER)", "same_as(secrets.TOKEN, \"x\")", "same_as([1], [secrets.TOKEN])"]
    {
        assert!(error(&sandbox, text).message.contains("use the step `secret::compare`"), "{text}");
    }
}

#[test]
fn a_map_of_sealed_values_is_a_map_and_its_keys_are_no_secret() {
    let sandbox = sandbox();
    for (text, expected) in [
        ("\"a\" in VALUES", Value::Bool(true)),
        ("\"z\" in VALUES", Value::Bool(false)),
        ("VALUES.len()", Value::Int(3)),
        ("VALUES.keys()", json(r#"["a", "b", "twin"]"#)),
        ("[\"z\", \"a\"].filter(|n| !(n in VALUES))", json(r#"["z"]"#)),
        ("VALUES.pick([\"b\"])", Value::map([("b", sealed("b", "22"))])),
        ("VALUES.pick([\"a\", \"b\"]).len()", Value::Int(2)),
        ("VALUES.a", sealed("a", "11")),
        ("VALUES[\"b\"]", sealed("b", "22")),
        ("VALUES.get(\"z\")", Value::Null),
        ("VALUES.get(\"z\") ?? VALUES.a", sealed("a", "11")),
        ("VALUES.values()[1]", sealed("b", "22")),
        ("let m = #{}; m[\"c\"] = VALUES.a; m", Value::map([("c", sealed("a", "11"))])),
        ("let n = 0; for key in VALUES.keys() { n += 1; } n", Value::Int(3)),
        ("same_as(VALUES.a, VALUES.twin)", Value::Bool(true)),
        ("same_as(VALUES.a, VALUES.b)", Value::Bool(false)),
        ("same_as(VALUES.a, ())", Value::Bool(false)),
        ("same_as(base64(VALUES.a), base64(VALUES.twin))", Value::Bool(true)),
        ("same_as(\"x\" + VALUES.a, \"x\" + VALUES.b)", Value::Bool(false)),
        ("same_as(VALUES.pick([\"a\"]), #{ a: VALUES.twin })", Value::Bool(true)),
        ("same_as(VALUES.pick([\"a\"]), VALUES.pick([\"b\"]))", Value::Bool(false)),
    ] {
        let text = text.replace("VALUES", "steps.have.outputs.values");
        assert_eq!(value(&sandbox, &text), expected, "{text}");
    }
    let url = value(&sandbox, "\"postgres://app:\" + url_encode(steps.have.outputs.values.b) + \"@db.example.com\"");
    assert_eq!(url.to_string(), "[sealed b 22222222]");
    let missing = error(&sandbox, "steps.have.outputs.values.pick([\"c\"])");
    assert!(missing.message.contains("no key `c`"), "{}", missing.message);
}

#[test]
fn a_sealed_value_can_not_be_looked_into_and_the_error_says_what_can() {
    let sandbox = sandbox();
    for use_of in [
        "VALUES.a == \"x\"",
        "VALUES.a == VALUES.twin",
        "VALUES.a.len()",
        "VALUES.a.to_string()",
        "`${VALUES.a}`",
        "`${VALUES}`",
        "print(VALUES)",
        "VALUES.a[0]",
        "VALUES.pick([\"a\"]) == #{ a: 1 }",
        "VALUES.a.contains(\"x\")",
        "\"x\" in VALUES.a",
        "json(VALUES)",
        "sh([VALUES.a])",
        "for c in VALUES.a { }",
        "VALUES.values().contains(\"x\")",
        "VALUES.values().sort()",
    ] {
        let use_of = use_of.replace("VALUES", "steps.have.outputs.values");
        for text in [use_of.clone(), format!("try {{ {use_of}; }} catch (e) {{ return \"caught\"; }}")] {
            let message = error(&sandbox, &text).message;
            for said in ["sealed value a can't be used with", "`same_as`", "`secret.compare`", "`reveal: [a]`"] {
                assert!(message.contains(said), "{text}: {message}");
            }
        }
    }
    for text in ["same_as(VALUES.a, \"x\")", "same_as(VALUES.a, secrets.TOKEN)", "same_as(VALUES.a, \"x\" + VALUES.a)"]
    {
        let text = text.replace("VALUES", "steps.have.outputs.values");
        let message = error(&sandbox, &text).message;
        assert!(message.contains("use the step `secret::compare`"), "{text}: {message}");
    }
}

#[test]
fn reading_an_unknown_ends_the_evaluation_as_unknown() {
    let sandbox = sandbox();
    for use_of in [
        "ID == \"x\"",
        "\"x\" != ID",
        "ID == ()",
        "ID < 5",
        "ID + 1",
        "1 + ID",
        "\"a\" + ID",
        "ID + \"a\"",
        "-ID",
        "!ID",
        "ID.len()",
        "len(ID)",
        "ID.to_string()",
        "`x ${ID}`",
        "`x ${[ID]}`",
        "print(ID)",
        "print([ID])",
        "debug(ID)",
        "ID[0]",
        "ID.foo",
        "ID?.foo",
        "ID.foo.bar",
        "ID.foo()",
        "\"x\" in ID",
        "ID in [\"a\"]",
        "ID in \"abc\"",
        "[ID].contains(\"a\")",
        "[\"a\"].contains(ID)",
        "[ID].index_of(\"a\")",
        "[ID] == [1]",
        "#{ a: ID } == #{ a: 1 }",
        "if ID { 1 } else { 2 }",
        "while ID { }",
        "do { } while ID",
        "ID && true",
        "true && ID",
        "ID || true",
        "false || ID",
        "switch ID { 1 => 1, _ => 2 }",
        "switch [ID] { 1 => 1, _ => 2 }",
        "switch 1 { 1 if ID => 1, _ => 2 }",
        "for x in ID { }",
        "[1, 2][ID]",
        "#{ a: 1 }[ID]",
        "\"abc\"[ID]",
        "0..ID",
        "[1].map(|x| x + ID)",
        "[1].filter(|x| ID)",
        "[1].some(|x| ID)",
        "[1].all(|x| ID)",
        "[1].find(|x| ID)",
        "[1].retain(|x| ID)",
        "[1].drain(|x| ID)",
        "[1].index_of(|x| ID)",
        "[1, 2].dedup(|a, b| ID)",
        "[ID, 1].order()",
        "[1, 2].sort(|a, b| ID)",
        "[1, 2].sort(|a, b| a - ID)",
        "[ID, 1].dedup()",
        "#{ a: 1 }.filter(|k, v| ID)",
        "#{ a: 1 }.retain(|k, v| ID)",
        "let x = 1; x += ID",
        "let x = ID; x += 1",
        "let x = ID; x.y = 1",
        "let x = ID; x[0] = 1",
        "let t = \"a\"; t += ID",
        "type_of(ID)",
        "ID.type_of()",
        "max(ID, 1)",
        "min(1, ID)",
        "[ID].join(\"\")",
        "sh([ID])",
        "json(ID)",
        "json([ID])",
        "to_json(#{ a: ID })",
        "base64(ID)",
        "matches(ID, \"x\")",
        "parse_json(ID)",
        "duration(ID)",
        "url(ID)",
        "pick(ID, [\"a\"])",
        "pick(#{ a: 1 }, [ID])",
        "get(ID, \"a\")",
        "get(#{ a: 1 }, ID)",
        "same_as(ID, 1)",
        "same_as([secrets.TOKEN], [ID])",
        "not(ID)",
        "\"abc\".split(ID)",
        "ID.map(|x| x)",
        "ID.keys()",
        "ID.call()",
        "\"abc\".sub_string(ID)",
        "[1, 2].extract(ID)",
        "range(0, ID)",
        "5 * ID",
        "ID ** 2",
        "ID % 2",
        "ID & 1",
        "ID << 1",
        "\"a\".append(ID)",
        "let t = \"a\"; t.replace(ID, \"b\")",
    ] {
        for id in ["steps.deploy.outputs.id", "(|| steps.deploy.outputs.id).call()"] {
            let body = use_of.replace("ID", id);
            for text in [
                body.clone(),
                format!("try {{ {body}; }} catch (e) {{ return \"caught\"; }} 1"),
                format!("try {{ {body}; }} catch {{ return \"caught\"; }} 1"),
                format!("fn f() {{ {body} }} try {{ f(); }} catch (e) {{ return \"caught\"; }} 1"),
                format!("try {{ [1].map(|x| {{ {body} }}) }} catch (e) {{ return \"caught\"; }} 1"),
            ] {
                assert_eq!(evaluate(&sandbox, &text), Evaluated::Unknown(unknown()), "{text}");
            }
        }
    }
}

#[test]
fn passing_an_unknown_on_keeps_it() {
    let sandbox = sandbox();
    let id = || Value::Unknown(unknown());
    for (text, expected) in [
        ("steps.deploy.outputs.id", id()),
        ("steps.deploy.outputs.id ?? 5", id()),
        ("#{ a: [steps.deploy.outputs.id] }", Value::map([("a", Value::List(vec![id()]))])),
        ("let x = steps.deploy.outputs.id; x", id()),
        ("fn f(x) { [x] } f(steps.deploy.outputs.id)", Value::List(vec![id()])),
        ("let l = []; l.push(steps.deploy.outputs.id); l", Value::List(vec![id()])),
        ("[1].map(|x| steps.deploy.outputs.id)", Value::List(vec![id()])),
        ("steps.deploy.outputs.known + 1", Value::Int(2)),
        ("[steps.deploy.outputs.id].len()", Value::Int(1)),
        ("if steps.deploy.outputs.known == 1 { \"yes\" } else { steps.deploy.outputs.id }", "yes".into()),
        ("try { throw \"x\" } catch (e) { return [e, steps.deploy.outputs.id]; }", Value::List(vec!["x".into(), id()])),
        ("try { 1 + \"x\" - 1 } catch (e) { return steps.deploy.outputs.id; }", id()),
    ] {
        assert_eq!(value(&sandbox, text), expected, "{text}");
    }
    let call = evaluate(&sandbox, "probe(#{ id: steps.deploy.outputs.id })");
    assert!(matches!(call, Evaluated::Call(call) if call.args["id"] == id()));
}

#[test]
fn a_rehearsal_stops_at_a_call_with_an_unknown_answer() {
    let sandbox = sandbox();
    let code = script("try { probe(#{}) } catch { } print(1); 5").unwrap();
    let reply = Reply::Unknown(unknown());
    let recorded = Answers::from_iter([(("probe".to_owned(), 1), Recorded::exact(Map::new(), reply))]);
    let evaluation = sandbox.evaluate(&code, Input { recorded, ..Input::default() });
    assert_eq!((evaluation.result, evaluation.printed), (Evaluated::Unknown(unknown()), vec![]));
}

#[test]
fn an_answer_may_hold_unknowns() {
    let sandbox = sandbox();
    let recorded = || {
        let reply = Reply::Answer(Value::map([("id", Value::Unknown(unknown())), ("ok", Value::Bool(true))]));
        Answers::from_iter([(("probe".to_owned(), 1), Recorded::exact(Map::new(), reply))])
    };
    let run = |text: &str| {
        sandbox.evaluate(&script(text).unwrap(), Input { recorded: recorded(), ..Input::default() }).result
    };
    assert_eq!(run("probe(#{}).ok"), Evaluated::Value(Value::Bool(true)));
    assert_eq!(run("try { if probe(#{}).id { 1 } } catch { return 2; }"), Evaluated::Unknown(unknown()));
}

#[test]
fn refused_outputs_say_why() {
    let sandbox = sandbox();
    for use_of in [
        "steps.skipped.outputs",
        "steps.skipped.outputs.x",
        "steps.skipped.outputs.x.y",
        "steps.skipped.outputs[\"x\"]",
        "steps.skipped.outputs == ()",
        "`${steps.skipped.outputs}`",
        "[steps.skipped.outputs]",
        "probe(#{ x: steps.skipped.outputs })",
        "steps.skipped.outputs.len()",
        "\"x\" in steps.skipped.outputs",
        "for x in steps.skipped.outputs { }",
        "switch steps.skipped.outputs { 1 => 1, _ => 2 }",
        "steps.skipped.outputs?.x",
        "steps.skipped.outputs ?? 1",
        "get(steps.skipped.outputs, \"x\")",
        "steps.skipped",
    ] {
        let error = error(&sandbox, use_of);
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ScriptErrorKind::Error, "step `skipped` was skipped"),
            "{use_of}"
        );
    }
    assert_eq!(
        value(&sandbox, "steps.skipped.outcome == \"done\" && steps.skipped.outputs.x == 1"),
        Value::Bool(false)
    );
}
