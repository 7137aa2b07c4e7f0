use std::process::Command;

use super::*;

/// Looks at whatever could differ: names of closures, order of keys, sorting, floats, errors.
const NOSY: &str = r#"
    let m = #{}; for i in 0..50 { m[`k${(i * 37) % 50}`] = i; }
    fn first(a) { a } fn second(a, b) { b }
    let f = |x| x + 1; let g = |x, y| x * y + m.len();
    print(f); debug(g); print(`${f} ${g}`); print([f, g]);
    let caught = ""; try { m.nope } catch (e) { caught = e.message; }
    let list = m.values(); list.sort(|a, b| (a * 7) % 11 - (b * 7) % 11);
    let parts = ""; for c in "äöü€" { parts += c + ","; }
    #{ keys: m.keys(), list: list, caught: caught, parts: parts, float: 1.0 / 3.0, big: 1e300 * 10.0,
       json: m.to_json(), hex: (255).to_hex(), sorted: ["b", "a", "C", "ä"].order() }
"#;

fn nosy() -> String {
    let sandbox = sandbox();
    let code = script(NOSY).unwrap_or_else(|error| panic!("{error:?}"));
    let evaluation = sandbox.evaluate(&code, Input::default());
    let Evaluated::Value(value) = evaluation.result else { panic!("{:?}", evaluation.result) };
    format!("{}\n{}", value.to_json(), evaluation.printed.join("\n"))
}

#[test]
fn a_hundred_evaluations_give_the_same_bytes() {
    let first = nosy();
    assert!(first.contains("anon$"), "the names of closures take part");
    for _ in 0..99 {
        assert_eq!(nosy(), first);
    }
}

#[test]
fn two_processes_give_the_same_bytes() {
    const CHILD: &str = "RERAIL_TEST_DETERMINISM_CHILD";
    if let Some(path) = std::env::var_os(CHILD) {
        std::fs::write(path, nosy()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for child in 0..2 {
        let file = folder.path().join(child.to_string());
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "script::sandbox::tests::determinism::two_processes_give_the_same_bytes"])
            .env(CHILD, &file)
            .output()
            .unwrap()
            .status;
        assert!(status.success());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), nosy());
    }
}

#[test]
fn a_replay_with_all_answers_gives_the_same_value_and_print() {
    let sandbox = sandbox();
    let text = "let s = 0; for i in 0..20 { s += probe(#{ x: i }); print(s); } s";
    let code = script(text).unwrap();
    let mut recorded = Answers::default();
    let mut before: Vec<String> = Vec::new();
    let last = loop {
        let evaluation = sandbox.evaluate(&code, Input { recorded: recorded.clone(), ..Input::default() });
        assert!(evaluation.printed.starts_with(&before), "a replay prints what it printed");
        before = evaluation.printed.clone();
        let Evaluated::Call(call) = evaluation.result else { break evaluation };
        let Some(Value::Int(x)) = call.args.get("x") else { panic!() };
        let reply = Reply::Answer(Value::Int(x * 2));
        recorded.insert(&call.name, call.count, Recorded::exact(call.args.clone(), reply));
    };
    assert_eq!(last.result, Evaluated::Value(Value::Int(380)));
    let again = sandbox.evaluate(&code, Input { recorded, ..Input::default() });
    assert_eq!((again.result, again.printed), (last.result, last.printed));
}
