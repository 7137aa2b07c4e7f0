//! The pure functions behind the actions.

use rerail::project::Project;
use rerail::runbook::program::Library as _;
use rerail::script::sandbox::{Evaluated, Input, Sandbox};
use serde_json::{Value as Json, json};

/// What an expression comes to with a shipped module at hand as `m`.
fn value(module: &str, expression: &str) -> Json {
    let text = Project::default().module(module).unwrap().expect("it is shipped").text.clone();
    let sandbox = Sandbox::new(&[], &[(module.to_owned(), text.to_string())]).unwrap();
    let code = rerail::script::compile::script(&format!("import \"{module}\" as m; {expression}")).unwrap();
    match sandbox.evaluate(&code, Input::default()).result {
        Evaluated::Value(value) => value.to_json(),
        other => json!(format!("{other:?}")),
    }
}

#[track_caller]
pub fn assert_all(module: &str, cases: &[(&str, Json)]) {
    for (expression, expected) in cases {
        assert_eq!(value(module, expression), *expected, "{expression}");
    }
}

#[test]
fn lines_of_many_tongues_name_the_variable_they_miss() {
    for (line, name) in [
        ("Error: NEXTAUTH_SECRET is not defined", json!("NEXTAUTH_SECRET")),
        ("DATABASE_URL non définie", json!("DATABASE_URL")),
        ("RuntimeError: 'JWT_SECRET' must be set", json!("JWT_SECRET")),
        ("KeyError: 'RESEND_API_KEY'", json!("RESEND_API_KEY")),
        ("missing required environment variable: FROM_EMAIL", json!("FROM_EMAIL")),
        ("Undefined variable \\\"REDIS_URL\\\"", json!("REDIS_URL")),
        ("the variable `SECRET_KEY` is unset", json!("SECRET_KEY")),
        ("ALLOWED_ORIGINS is required", json!("ALLOWED_ORIGINS")),
        ("ERROR: connection refused", json!(null)),
        ("GET /health is not found", json!(null)),
        ("", json!(null)),
    ] {
        assert_eq!(value("logs", &format!("m::unset(\"{line}\")")), name, "{line}");
    }
    let lines = r#"["start", "B_KEY is not set", "start", "A_KEY is not set", "B_KEY is not set"]"#;
    assert_eq!(value("logs", &format!("m::all_unset({lines})")), json!(["B_KEY", "A_KEY"]));
}

#[test]
fn the_newest_line_that_gives_a_cause_away_counts() {
    assert_all(
        "logs",
        &[
            (r#"m::cause(["A_KEY is not set"])"#, json!("variable")),
            (r#"m::cause(["OSError: [Errno 98] Address already in use"])"#, json!("port")),
            (r#"m::cause(["FATAL: password authentication failed for user app"])"#, json!("database_login")),
            (r#"m::cause(["could not translate host name db to address"])"#, json!("database")),
            (r#"m::cause(["alembic.util.exc.CommandError: Can't locate revision"])"#, json!("migration")),
            (r#"m::cause(["ModuleNotFoundError: No module named 'app'"])"#, json!("module")),
            (r#"m::cause(["JavaScript heap out of memory"])"#, json!("memory")),
            (r#"m::cause(["A_KEY is not set", "No module named x", "restarting"])"#, json!("module")),
            (r#"m::cause(["failed to read dockerfile: open Dockerfile: no such file or directory"])"#, json!("build")),
            (r#"m::cause(["CORS: origin https://a.example.com not allowed"])"#, json!("cors")),
            // What one visitor is refused keeps nothing from starting.
            (r#"m::cause(["No module named x", "Disallowed CORS origin"])"#, json!("module")),
            (r#"m::telling(["a", " No module named x "]).line"#, json!("No module named x")),
            (r#"m::cause(["all is well"])"#, json!("")),
            (r#"m::listens(["Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)"])"#, json!(8000)),
            (r#"m::listens(["listening on port 8080"])"#, json!(8080)),
            (r#"m::listens(["Listening at: http://0.0.0.0:3000 (1)", "Server started on :4000"])"#, json!(4000)),
            (r#"m::listens(["ready on 2026-11-21", "all is well"])"#, json!(null)),
            (r#"m::errors(["ERROR in app", "terror", "Traceback (most recent call last):", "no errors"])"#, json!(2)),
            ("m::cause([])", json!("")),
        ],
    );
}

#[test]
fn states_that_are_newer_than_this_are_none_of_the_known() {
    for (status, phase, over) in [
        ("BUILDING", "moving", false),
        ("NEEDS_APPROVAL", "waiting", false),
        ("SUCCESS", "active", true),
        ("SLEEPING", "active", true),
        ("CRASHED", "failed", true),
        ("REMOVED", "gone", true),
        ("REBALANCING", "unknown", false),
        ("", "unknown", false),
    ] {
        let given = value("railway/deployments", &format!("[m::phase(\"{status}\"), m::is_over(\"{status}\")]"));
        assert_eq!(given, json!([phase, over]), "{status}");
    }
    assert_all(
        "railway/deployments",
        &[
            (r#"m::all_run(["RUNNING", "RUNNING"])"#, json!(true)),
            (r#"m::all_run(["RUNNING", "RESTARTING"])"#, json!(false)),
            ("m::all_run([])", json!(true)),
            (r#"m::fresh(["c", "b", "a"], ["b", "a"])"#, json!(["c"])),
        ],
    );
}

#[test]
fn a_deployment_may_lack_what_the_api_no_longer_has() {
    let bare = value("railway/deployments", r#"m::shaped(#{ id: "d", status: "SUCCESS", meta: "odd" })"#);
    assert_eq!((&bare["phase"], &bare["reason"], &bare["instances"]), (&json!("active"), &json!(null), &json!([])));
    assert_eq!(bare["can_rollback"], json!(false));
}

#[test]
fn each_name_goes_the_way_it_can() {
    let plan = |internal: &str, same: bool| {
        let missing = r#"["DATABASE_URL", "JWT_SECRET", "PGDATA", "POSTGRES_DB", "RAILWAY_X", "PORT", "GONE"]"#;
        let have = r#"["DATABASE_URL", "DATABASE_PUBLIC_URL", "JWT_SECRET", "PGDATA", "POSTGRES_DB"]"#;
        value("railway/variables", &format!("m::plan({missing}, {have}, {internal}, {same})"))
    };
    let foreign = json!(["PGDATA", "POSTGRES_DB", "RAILWAY_X", "PORT"]);
    assert_eq!(
        plan(r#"["DATABASE_URL"]"#, false),
        json!({ "refer": [], "copy": ["JWT_SECRET"], "publish": { "DATABASE_URL": "DATABASE_PUBLIC_URL" }, "closed": [], "foreign": foreign, "nowhere": ["GONE"] })
    );
    let closed = plan(r#"["DATABASE_URL", "DATABASE_PUBLIC_URL"]"#, false);
    assert_eq!((&closed["closed"], &closed["publish"]), (&json!(["DATABASE_URL"]), &json!({})));
    assert_eq!(plan("[]", true)["refer"], json!(["DATABASE_URL", "JWT_SECRET"]));
    assert_all(
        "railway/variables",
        &[
            (r#"m::reference("Postgres", "A")"#, json!("${{Postgres.A}}")),
            (r#"m::public_twin("A_PUBLIC_URL")"#, json!(null)),
            (
                r#"[m::is_name("A_b1"), m::is_name("1A"), m::is_name("A-B"), m::is_name("")]"#,
                json!([true, false, false, false]),
            ),
        ],
    );
}

#[test]
fn a_place_or_id_that_is_not_there_is_told_with_those_that_are() {
    let list = r#"[#{ id: "1", name: "backend" }, #{ id: "2", name: "twin" }, #{ id: "3", name: "twin" }]"#;
    let says = |expression: &str| value("railway/places", expression).to_string();
    assert_eq!(value("railway/places", &format!("m::id_of({list}, \"backend\", \"service\")")), json!("1"));
    assert_eq!(value("railway/places", &format!("m::id_of({list}, \"3\", \"service\")")), json!("3"));
    assert!(says(&format!("m::id_of({list}, \"x\", \"service\")")).contains("there are backend, twin, twin"));
    assert!(says(&format!("m::id_of({list}, \"twin\", \"service\")")).contains("2 services are called"));
    assert!(says("m::id_of([], \"x\", \"service\")").contains("there are none"));
    let two = "#{ a: #{ api: 1 }, main: #{ api: 2 } }";
    assert_eq!(value("railway/places", &format!("m::named({two}, \"\").api")), json!(2));
    assert_eq!(value("railway/places", "m::named(#{ a: #{ api: 1 } }, \"\").api"), json!(1));
    assert!(says(&format!("m::named({two}, \"b\")")).contains("there are a, main"));
    assert!(says("m::named((), \"\")").contains("give --target"));
}
