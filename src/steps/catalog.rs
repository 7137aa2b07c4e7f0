//! The list of primitives: a new one is a file and a line here.

use std::sync::LazyLock;

use crate::runbook::spec::ActionSpec;
use crate::steps::{
    Entry, chat_post, dns_resolve, email_send, env_read, exec_run, file_list, file_read, file_remove, file_write,
    graphql_mutate, graphql_query, http_probe, http_request, human_ask, mongo_ping, postgres_query, redis_ping,
    run_fail, run_finish, run_note, run_undo, runbook, secret_check, secret_compare, secret_generate, secret_host,
    tcp_connect, time_now, time_sleep, tls_inspect,
};

/// All primitives, by name.
static CATALOG: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    vec![
        chat_post::entry(),
        dns_resolve::entry(),
        email_send::entry(),
        env_read::entry(),
        exec_run::entry(),
        file_list::entry(),
        file_read::entry(),
        file_remove::entry(),
        file_write::entry(),
        graphql_mutate::entry(),
        graphql_query::entry(),
        http_probe::entry(),
        http_request::entry(),
        human_ask::entry(),
        mongo_ping::entry(),
        postgres_query::entry(),
        redis_ping::entry(),
        run_fail::entry(),
        run_finish::entry(),
        run_note::entry(),
        run_undo::entry(),
        runbook::entry(),
        secret_check::entry(),
        secret_compare::entry(),
        secret_generate::entry(),
        secret_host::entry(),
        tcp_connect::entry(),
        time_now::entry(),
        time_sleep::entry(),
        tls_inspect::entry(),
    ]
});

/// The primitive of this dotted name.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOG.iter().find(|entry| entry.spec.name == name)
}

/// The contracts of all primitives, by name.
pub fn specs() -> Vec<&'static ActionSpec> {
    CATALOG.iter().map(|entry| &entry.spec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::spec::{Effect, RUN_CHILD, RUN_UNDO};
    use crate::script::value::{Map, Value};
    use crate::steps::Primitive;

    /// Rhai's keywords and reserved words: none compiles after a dot or as a key of a call.
    const RHAI_WORDS: &str = "true false let const if else switch do while until loop for in continue break return \
        throw try catch import export as global fn private this is_def_var is_def_fn print debug type_of eval Fn call \
        curry is_shared var static shared is goto exit match case public protected new use with module package super \
        thread spawn go await async sync yield default void null nil";

    #[test]
    fn no_argument_and_no_output_is_a_rhai_word() {
        for spec in specs() {
            let mut names: Vec<String> = spec.args.iter().map(|arg| arg.name.to_string()).collect();
            names.extend(spec.outputs.iter().map(|output| output.name.clone()));
            names.extend(spec.name.split('.').map(str::to_owned));
            for name in names {
                assert!(!RHAI_WORDS.split_whitespace().any(|word| word == name), "{}: {name}", spec.name);
                let rhai = format!("let m = #{{}}; m.{name} = 1; #{{ {name}: 1 }}");
                assert!(rhai::Engine::new_raw().compile(&rhai).is_ok(), "{}: {name}", spec.name);
            }
        }
    }

    #[test]
    fn the_catalog_is_sorted_and_every_entry_is_described() {
        assert!(specs().is_sorted_by(|a, b| a.name < b.name));
        for spec in specs() {
            assert!(!spec.title.is_empty() && !spec.docs.is_empty(), "{}", spec.name);
            for arg in &spec.args {
                assert!(!arg.doc.is_empty(), "{}: {}", spec.name, arg.name);
                assert!(arg.default.is_none() || !arg.required, "{}: {}", spec.name, arg.name);
            }
        }
    }

    #[test]
    fn effects_agree_with_what_a_primitive_can_do() {
        for spec in specs() {
            let entry = find(&spec.name).unwrap();
            match entry.primitive {
                // It asks nothing but chance.
                Primitive::Read(_) if spec.name == crate::steps::GENERATE => assert_eq!(spec.effect, Effect::Pure),
                Primitive::Read(_) => assert_eq!(spec.effect, Effect::Read, "{}", spec.name),
                Primitive::Write(_) => assert!(spec.effect.changes_the_world(), "{}", spec.name),
                Primitive::ReadOrWrite(..) => assert_eq!(spec.effect, Effect::Write, "{}", spec.name),
                // It has the effect of what it runs, which can be any.
                Primitive::Engine if spec.name == RUN_CHILD => assert_eq!(spec.effect, Effect::Destructive),
                Primitive::Engine if spec.name == RUN_UNDO => assert_eq!(spec.effect, Effect::Write),
                Primitive::Engine => assert!(!spec.effect.changes_the_world(), "{}", spec.name),
            }
        }
    }

    #[test]
    fn a_request_is_a_read_only_if_its_method_says_so() {
        let spec = &find("http.request").unwrap().spec;
        let effect = |method: Value| spec.effect_with(&Map::from([("method".to_owned(), method)]));
        assert_eq!(effect(Value::from("GET")), Effect::Read);
        assert_eq!(effect(Value::from("OPTIONS")), Effect::Read);
        for method in [Value::from("POST"), Value::from("get"), Value::Null, Value::from("${{ inputs.method }}")] {
            assert_eq!(effect(method), Effect::Write);
        }
        assert_eq!(spec.effect_with(&Map::new()), Effect::Write);
    }
}
