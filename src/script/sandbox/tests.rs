//! What a sandbox promises, by topic; this file holds what the topics share.

mod determinism;
mod errors;
mod hostile;
mod language;
mod leaves;
mod suspension;

use super::*;
use crate::script::answers::{Recorded, Reply};
use crate::script::compile::{expression, script};
use crate::script::secret::{Sealed, SecretText};

/// Runs `f` on a thread with the stack an evaluation is promised.
fn on_engine_stack<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new()
        .stack_size(limits::STACK_BYTES)
        .spawn(f)
        .expect("a thread")
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn sandbox() -> Sandbox {
    let actions = ["probe", "http.probe", "railway.deploy.now", "effect"].map(str::to_owned);
    Sandbox::new(&actions, &[]).expect("no modules")
}

/// Contexts with a bit of everything.
fn contexts() -> BTreeMap<&'static str, Readable> {
    let value = |json: serde_json::Value| Readable::Value(Value::from_data(&json));
    let map = |pairs: Vec<(&str, Readable)>| {
        Readable::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let unknown = Value::Unknown(Unknown { origin: "deploy".to_owned() });
    BTreeMap::from([
        (
            "inputs",
            map(vec![
                ("url", Readable::Url("https://example.org:8443/a/b?x=1".to_owned())),
                ("name", value(serde_json::json!("api"))),
                ("n", value(serde_json::json!(3))),
                ("list", value(serde_json::json!([3, 1, 2]))),
                ("names", value(serde_json::json!(["b", "a"]))),
                ("nothing", value(serde_json::json!(null))),
                ("map", value(serde_json::json!({ "a": { "b": { "c": 1 } }, "default": true }))),
            ]),
        ),
        (
            "steps",
            map(vec![
                (
                    "audit",
                    map(vec![
                        ("outcome", value(serde_json::json!("done"))),
                        ("outputs", value(serde_json::json!({ "names": ["x", "y"], "status": 200 }))),
                    ]),
                ),
                ("have", map(vec![("outputs", Readable::Value(sealed_values()))])),
                (
                    "skipped",
                    map(vec![
                        ("outcome", value(serde_json::json!("skipped"))),
                        ("outputs", Readable::Refused("step `skipped` was skipped".to_owned())),
                    ]),
                ),
                (
                    "deploy",
                    map(vec![("outputs", Readable::Value(Value::map([("id", unknown), ("known", Value::Int(1))])))]),
                ),
            ]),
        ),
        (
            "secrets",
            map(vec![
                ("TOKEN", Readable::Value(Value::Secret(SecretText::named("TOKEN")))),
                ("OTHER", Readable::Value(Value::Secret(SecretText::named("OTHER")))),
            ]),
        ),
        ("vars", value(serde_json::json!({ "x": 1 }))),
    ])
}

/// What a step gives whose values are sealed: `a` and `twin` are the same text.
fn sealed_values() -> Value {
    let values =
        [("a", "11"), ("twin", "11"), ("b", "22")].map(|(name, fingerprint)| (name, sealed(name, fingerprint)));
    Value::map([("values", Value::map(values)), ("count", Value::Int(3))])
}

fn sealed(name: &str, fingerprint: &str) -> Value {
    let (name, digest, fingerprint) = (name.to_owned(), format!("sha256:{name}"), fingerprint.repeat(8));
    Value::Secret(SecretText::Sealed(Sealed { name, digest, fingerprint, answer: false }))
}

fn evaluate(sandbox: &Sandbox, text: &str) -> Evaluated {
    let code = script(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    sandbox.evaluate(&code, Input { contexts: contexts(), ..Input::default() }).result
}

fn value(sandbox: &Sandbox, text: &str) -> Value {
    match evaluate(sandbox, text) {
        Evaluated::Value(value) => value,
        other => panic!("{text}: {other:?}"),
    }
}

fn error(sandbox: &Sandbox, text: &str) -> ScriptError {
    match evaluate(sandbox, text) {
        Evaluated::Error(error) => error,
        other => panic!("{text}: {other:?}"),
    }
}

fn json(text: &str) -> Value {
    Value::from_data(&serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}
