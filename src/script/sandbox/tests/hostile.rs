use std::time::Duration;

use super::*;
use crate::script::alloc;
use crate::script::cpu;

/// What an evaluation may take and hold, with room for a busy machine: a limit that isn't looked at
/// costs seconds and gigabytes.
const CPU_MAX: Duration = Duration::from_secs(1);

/// Evaluates on a stack as promised, and checks time and what stays allocated.
fn survive(text: String) -> Evaluated {
    on_engine_stack(move || {
        let sandbox = sandbox();
        let code = match script(&text) {
            Ok(code) => code,
            Err(error) => {
                return Evaluated::Error(ScriptError {
                    kind: ScriptErrorKind::Error,
                    message: format!("does not compile: {}", error.message),
                    position: error.position,
                    thrown: None,
                });
            }
        };
        let (held, before) = (alloc::held(), cpu::spent());
        let result = sandbox.evaluate(&code, Input { contexts: contexts(), ..Input::default() }).result;
        let shown: String = text.chars().take(200).collect();
        let spent = cpu::spent() - before;
        assert!(spent < CPU_MAX, "{shown}: {spent:?} of processor time");
        assert!(alloc::held() - held < 8 << 20, "{shown} leaks {} KiB", (alloc::held() - held) >> 10);
        result
    })
}

#[test]
fn hostile_scripts_end_within_limits() {
    let long = "a".repeat(200 * 1024);
    let cases: Vec<String> = vec![
        "loop { }".into(),
        "while true { }".into(),
        "let x = 0; loop { x += 1; }".into(),
        "for i in 0..9223372036854775807 { }".into(),
        "for i in range(0, 9223372036854775807, 1) { }".into(),
        "range(0, 10, 0)".into(),
        "fn f() { f() } f()".into(),
        "fn f(n) { f(n + 1) + 1 } f(0)".into(),
        "let f = |f| f.call(f); f.call(f)".into(),
        "fn a() { b() } fn b() { a() } a()".into(),
        "let s = \"a\"; loop { s += s; }".into(),
        "let s = \"a\"; loop { s = `${s}${s}`; }".into(),
        "let s = \"a\"; loop { s = s + s; }".into(),
        format!("let s = \"{long}\"; s.replace(\"a\", s); s"),
        format!("let s = \"{long}\"; s.replace('a', s); s"),
        "let s = \"\"; s.pad(9223372036854775807, \"x\"); s".into(),
        "let s = \"\"; s.pad(100000000, 'x'); s".into(),
        "let a = []; a.pad(9223372036854775807, 0); a".into(),
        "let a = []; a.pad(100000000, \"x\"); a".into(),
        "let a = [0]; loop { a += a; }".into(),
        "let a = [0]; loop { a.append(a); }".into(),
        "let a = []; loop { a.push(a); }".into(),
        "let a = []; loop { a = [a, a]; }".into(),
        "let a = []; loop { a = [a]; }".into(),
        "let m = #{}; loop { m = #{ a: m }; }".into(),
        "let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; }".into(),
        "let a = [0]; loop { a[0] = a; }".into(),
        "let m = #{ a: 0 }; loop { m[\"a\"] = m; }".into(),
        format!("let s = \"{long}\"; let a = []; for i in 0..5000 {{ a.push(0); }} for i in 0..5000 {{ a[i] = s + i; }} a"),
        format!("let s = \"{long}\"; let m = #{{}}; let i = 0; loop {{ m[`k${{i}}`] = s + i; i += 1; }}"),
        "let m = #{ a: 1 }; loop { m.mixin(m); let n = #{}; n[`${m.len()}`] = m; m += n; }".into(),
        format!("let s = \"{long}\"; s.split(\"\")"),
        format!("let s = \"{long}\"; s.split(\"a\")"),
        format!("let s = \"{long}\"; s.to_chars()"),
        format!("let s = \"{long}\"; let t = []; for c in s {{ t.push(c); }} t"),
        format!("let s = \"{long}\"; matches(s, \"(a+)+$\") || matches(s, \"(a?){{40}}a{{40}}\")"),
        format!("let s = \"{long}\"; matches(s, \"(a|aa)+b\")"),
        "matches(\"a\", \"((a{100}){100}){100}\")".into(),
        format!("matches(\"a\", \"{}\")", "(".repeat(900)),
        format!("parse_json(\"{}\")", "[".repeat(100_000)),
        format!("parse_json(\"{}{}\")", "[".repeat(100), "]".repeat(100)),
        format!("parse_json(\"[{}0]\")", "[],".repeat(60_000)),
        "let a = []; for i in 0..9999 { a.push(i); } a.sort(|x, y| { let n = 0; loop { n += 1; } n }); a".into(),
        "let a = []; for i in 0..9999 { a.push(i); } a.sort(|x, y| 1); a.sort(|x, y| -1); a.sort(|x, y| if x > 5 { 1 } else { -1 }); a.len()".into(),
        "let a = []; for i in 0..5000 { a.push(i); } try { a.sort(|x, y| throw 1) } catch { loop { } }".into(),
        "try { loop { } } catch { 1 }".into(),
        "loop { try { throw 1; } catch { } }".into(),
        "fn f() { try { f() } catch { f() } } f()".into(),
        "loop { print(\"x\"); }".into(),
        format!("let s = \"{long}\"; loop {{ print(s); }}"),
        "eval(\"loop {}\")".into(),
        "sleep(60)".into(),
        "sleep(60.0)".into(),
        "timestamp()".into(),
        "exit(1)".into(),
        "import \"/etc/passwd\" as p; p::x".into(),
        "import \"../../secrets\" as p; p::x".into(),
        "import \"file:///etc/passwd\" as p;".into(),
        "9223372036854775807 + 1".into(),
        "-9223372036854775807 - 2".into(),
        "9223372036854775807 * 2".into(),
        "(-9223372036854775807 - 1) / -1".into(),
        "(-9223372036854775807 - 1) % -1".into(),
        "abs(-9223372036854775807 - 1)".into(),
        "2 ** 9223372036854775807".into(),
        "1 << 9223372036854775807".into(),
        "(1.0 / 0.0).to_int()".into(),
        "(0.0 / 0.0).to_int()".into(),
        "1e308 * 1e308".into(),
        "\"abc\"[9223372036854775807]".into(),
        "\"abc\"[-9223372036854775807]".into(),
        "\"abc\".sub_string(-9223372036854775807, 9223372036854775807)".into(),
        "\"äöü\".crop(1, 9223372036854775807)".into(),
        "[1][9223372036854775807]".into(),
        "[1].extract(-9223372036854775807, 9223372036854775807)".into(),
        "[1].splice(-9223372036854775807, 9223372036854775807, [2])".into(),
        "[1, 2].drain(0, -9223372036854775807)".into(),
        "[1, 2].drain(5..1)".into(),
        "[1, 2].retain(-9223372036854775807..9223372036854775807)".into(),
        "let a = [1, 2, 3]; a[0..9223372036854775807]".into(),
        "[1].chop(9223372036854775807)".into(),
        "5[9223372036854775807]".into(),
        "5[-9223372036854775807..9223372036854775807]".into(),
        "get_bits(5, 0, 9223372036854775807)".into(),
        "bits(5, -9223372036854775807..9223372036854775807)".into(),
        "range(9223372036854775807, -9223372036854775807, -9223372036854775807)".into(),
        "parse_int(\"99999999999999999999\")".into(),
        "parse_int(\"zz\", 9223372036854775807)".into(),
        "parse_int(\"1\", 1)".into(),
        "parse_int(\"1\", -5)".into(),
        "let a = []; let f = || { a.push(a); a }; for i in 0..100 { f.call(); } a".into(),
        "let m = #{}; let f = || { m.x = m; m }; for i in 0..100 { f.call(); } m".into(),
        "let f = |x| x; loop { f = f.curry(f); }".into(),
        "let f = Fn(\"f\"); f.call()".into(),
        "let a = [1, 2, 3]; a.map(|x| { a.clear(); x })".into(),
        "let a = [1, 2, 3]; for x in a { a.push(x); } a.len()".into(),
        "steps.x = 1".into(),
        "steps = 1".into(),
        "const C = #{}; C.x = 1; C".into(),
        "let o = #{}; o.f = || this.f(); o.f()".into(),
        "fn f() { this.x } f()".into(),
        "this".into(),
        "throw throw throw 1".into(),
        "let x = 5; x.call()".into(),
        "call(5)".into(),
        "curry(5)".into(),
        "let f = |a, b, c| a; f.call(1)".into(),
        "Fn(\"\").call()".into(),
        "Fn(\"+\").call(1, \"x\", 2)".into(),
        "Fn(\"anon$0\").call()".into(),
        "global::X".into(),
        "let e = 0; try { 1/0 } catch (e) { e = 1 } e".into(),
        "json(1.0 / 0.0)".into(),
        "switch (1.0 / 0.0) { 1 => 1 }".into(),
        "switch #{ a: |x| x } { 1 => 1 }".into(),
        "let l = []; for i in 0..300 { l.push(\"let v\" + i); } l.len()".into(),
        (0..300).map(|i| format!("let v{i} = {i};")).collect(),
        (0..200).map(|i| format!("fn f{i}() {{ }}")).collect(),
        format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)),
        "{".repeat(20_000),
        vec!["1"; 20_000].join("+"),
        format!("\"x\"{}", ".trim()".repeat(5_000)),
        format!("if 1 == 2 {{}} {}", "else if 1 == 2 {} ".repeat(3_000)),
        format!("switch 1 {{ {} _ => 1 }}", (0..3_000).map(|i| format!("{i} => {i}, ")).collect::<String>()),
        format!("`{}x{}`", "${`".repeat(2_000), "`}".repeat(2_000)),
        "`${".repeat(20_000),
        "/*".repeat(20_000),
        "\"\\u{110000}\"".into(),
        "\u{202e}let x = 1;".into(),
        "let \u{200b}x = 1;".into(),
        "\0".into(),
        "0x".into(),
        "1e".into(),
        "99999999999999999999".into(),
        "loop { probe(|x| x) }".into(),
        "loop { try { probe(|x| x) } catch { } }".into(),
        "secrets.TOKEN + secrets.TOKEN.x".into(),
        "let s = secrets.TOKEN; loop { s = s + s; }".into(),
        "let s = secrets.TOKEN; loop { s = base64(s); }".into(),
    ];
    assert!(cases.len() >= 120, "{} cases", cases.len());
    for case in cases {
        let shown: String = case.chars().take(120).collect();
        let result = survive(case);
        if let Evaluated::Error(error) = &result {
            assert!(!error.message.contains("interpreter failed"), "{shown} panics");
        }
    }
}

fn limit(text: &str, message: &str) {
    let text = text.to_owned();
    match survive(text.clone()) {
        Evaluated::Error(error) => {
            assert!(
                error.kind == ScriptErrorKind::Limit && error.message.contains(message),
                "{text}: {error:?}, expected {message}"
            );
        }
        other => panic!("{text}: {other:?}, expected {message}"),
    }
}

fn fine(text: &str) {
    let text = text.to_owned();
    let result = survive(text.clone());
    assert!(matches!(result, Evaluated::Value(_)), "{text}: {result:?}");
}

#[test]
fn operations_are_limited() {
    fine("let n = 0; while n < 10000 { n += 1; } n");
    limit("let n = 0; while n < 10000000 { n += 1; } n", "200000 operations");
    limit("try { loop { } } catch { 1 }", "200000 operations");
}

#[test]
fn processor_time_is_limited_whatever_an_operation_costs() {
    // Few operations, each copying or comparing a large list.
    let build = "let a = []; for i in 0..9000 { a.push(`item ${i}`); }";
    limit(&format!("{build} loop {{ let b = a; }}"), "500 ms of processor time");
    limit(&format!("try {{ {build} loop {{ let b = a + []; }} }} catch {{ }} 5"), "500 ms of processor time");
}

#[test]
fn memory_is_limited_where_rhai_does_not_look() {
    let string = "let s = \"x\"; s.pad(100000, 'x');";
    fine(&format!("{string} let a = [0, 0]; for i in 0..2 {{ a[i] = s + i; }} a.len()"));
    limit(
        &format!("{string} let a = []; for i in 0..9000 {{ a.push(0); }} for i in 0..9000 {{ a[i] = s + i; }} 1"),
        "32 MiB",
    );
    limit(&format!("{string} let m = #{{}}; let i = 0; loop {{ m[`k${{i}}`] = s + i; i += 1; }}"), "32 MiB");
}

#[test]
fn strings_are_limited() {
    fine("let s = \"\"; s.pad(262144, 'x'); s");
    limit("let s = \"\"; s.pad(262145, 'x'); s", "256 KiB");
    limit("let s = \"\"; s.pad(200000, 'x'); s + s", "256 KiB");
    limit("let s = \"\"; s.pad(200000, 'x'); s.replace('x', \"yy\"); s", "256 KiB");
    limit("let s = \"\"; s.pad(200000, 'x'); [s, s].join()", "256 KiB");
    limit("let s = \"\"; s.pad(200000, '\\''); sh([s])", "256 KiB");
    limit("let s = \"\"; s.pad(200000, '\"'); json(s)", "256 KiB");
}

#[test]
fn elements_are_limited() {
    fine("let a = []; a.pad(10000, 0); a");
    limit("let a = []; a.pad(10001, 0); a", "10000 elements");
    limit("let a = []; a.pad(6000, 0); a + a", "10000 elements");
    limit("let m = #{}; for i in 0..10001 { m[`k${i}`] = 0; } m", "10000 elements");
    limit("let s = \"\"; s.pad(20000, 'x'); s.to_chars()", "10000 elements");
}

#[test]
fn calls_variables_functions_and_expressions_are_limited() {
    let nest = |depth: usize| format!("fn f(n) {{ if n == 0 {{ return 0; }} f(n - 1) }} f({depth})");
    fine(&nest(limits::CALL_DEPTH_MAX - 2));
    limit(&nest(limits::CALL_DEPTH_MAX + 1), "more than 32 deep");
    let variables = |count: usize| (0..count).map(|i| format!("let v{i} = {i};")).collect::<String>();
    fine(&variables(limits::VARIABLES_MAX));
    limit(&variables(limits::VARIABLES_MAX + 1), "256 variables");
    let functions = |count: usize| (0..count).map(|i| format!("fn f{i}() {{ }}")).collect::<String>();
    assert!(script(&functions(limits::FUNCTIONS_MAX)).is_ok());
    assert!(script(&functions(limits::FUNCTIONS_MAX + 1)).is_err());
    let parens = |count: usize| format!("{}1{}", "(".repeat(count), ")".repeat(count));
    assert!(script(&parens(limits::EXPRESSION_DEPTH_MAX.0 / 2 - 1)).is_ok());
    assert!(script(&parens(limits::EXPRESSION_DEPTH_MAX.0 / 2)).is_err());
    assert!(script(&format!("fn f() {{ {} }}", parens(limits::EXPRESSION_DEPTH_MAX.1 / 2))).is_err());
}

#[test]
fn values_that_leave_a_script_are_limited_in_depth() {
    let nest = |depth: usize| format!("let a = []; for i in 0..{} {{ a = [a]; }} a", depth - 1);
    fine(&nest(limits::VALUE_DEPTH_MAX));
    limit(&nest(limits::VALUE_DEPTH_MAX + 1), "64 deep");
    limit(&format!("{}; probe(#{{ x: a }})", nest(limits::VALUE_DEPTH_MAX).trim_end_matches(" a")), "64 deep");
    limit(&format!("parse_json(\"{}{}\")", "[".repeat(65), "]".repeat(65)), "64 deep");
}

#[test]
fn step_calls_are_limited() {
    let sandbox = sandbox();
    let answers = |count: u32| {
        (1..=count)
            .map(|n| (("probe".to_owned(), n), Recorded::exact(Map::new(), Reply::Answer(Value::Null))))
            .collect()
    };
    let code = script("for i in 0..1000 { probe(#{}); } 1").unwrap();
    let input = Input { recorded: answers(limits::CALLS_MAX), ..Input::default() };
    assert_eq!(sandbox.evaluate(&code, input).result, Evaluated::Value(Value::Int(1)));
    let code = script("for i in 0..1001 { try { probe(#{}); } catch { } } 1").unwrap();
    let input = Input { recorded: answers(limits::CALLS_MAX + 1), ..Input::default() };
    let Evaluated::Error(error) = sandbox.evaluate(&code, input).result else { panic!() };
    assert_eq!((error.kind, error.message.as_str()), (ScriptErrorKind::Limit, "it made more than 1000 step calls"));
}

#[test]
fn prints_are_limited_and_say_so() {
    let sandbox = sandbox();
    let printed = |text: &str| sandbox.evaluate(&script(text).unwrap(), Input::default()).printed;
    let lines = printed("for i in 0..1500 { print(i); }");
    assert_eq!((lines.len(), lines[999].as_str()), (limits::PRINT_LINES_MAX + 1, "999"));
    assert!(lines[1000].contains("the rest is not kept"));
    let lines = printed("let s = \"\"; s.pad(10000, 'x'); for i in 0..20 { print(s); }");
    assert!(lines.iter().map(String::len).sum::<usize>() <= limits::PRINT_BYTES_MAX + 200);
    assert_eq!(lines.len(), 7);
    assert!(lines[6].contains("the rest is not kept"));
    assert_eq!(printed("for i in 0..1000 { print(i); }").len(), 1000);
}

#[test]
fn a_sandbox_works_on_after_every_way_to_fail() {
    let sandbox = sandbox();
    for text in ["loop { }", "probe(#{})", "throw 1", "secrets.TOKEN.x", "steps.deploy.outputs.id + 1", "1/0"] {
        evaluate(&sandbox, text);
        assert_eq!(value(&sandbox, "inputs.n + 1"), Value::Int(4), "after {text}");
    }
}
