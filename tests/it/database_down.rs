//! `database-down`: a world from a table for each finding, and a real PostgreSQL that is well, refuses the password,
//! and is gone.

#![expect(clippy::unwrap_used, reason = "a test whose world can't be set up has failed")]

use rerail::engine::facts::Facts;
use rerail::engine::outcome::{Attempt, RunOutcome};
use rerail::runbook::model::Level;
use rerail::script::value::Value;
use rerail::steps::world::{World, WorldSettings};
use serde_json::{Value as Json, json};

use crate::runbooks::{Place, ended, levels, outcome, output};
use crate::scenario::Scenario;
use crate::services::Postgres;
use crate::steps::kit::{args, perform};

fn done(outputs: Json) -> Attempt {
    Attempt::done(Value::from_data(&outputs))
}

fn rows(rows: Json) -> Attempt {
    done(
        json!({ "ok": true, "rows": rows, "count": 1, "truncated": false, "ms": 7, "server_version": "16.4", "error": null }),
    )
}

/// What `probe: true` gives of a failure.
fn trouble(kind: &str, sqlstate: Option<&str>) -> Attempt {
    let error = json!({ "kind": kind, "message": "the server's own words", "sqlstate": sqlstate });
    done(
        json!({ "ok": false, "rows": [], "count": 0, "truncated": false, "ms": 7, "server_version": null, "error": error }),
    )
}

fn load(used: i64, longest_s: i64, hidden: i64) -> Attempt {
    let row = json!({
        "most": 100, "used": used, "idle_in_transaction": 2, "waiting": 3, "hidden": hidden, "longest_s": longest_s,
    });
    rows(json!([row]))
}

/// A database that is well, with migrations by Alembic, but for what differs.
fn database(differs: &[(&str, Attempt)]) -> Scenario {
    let mut scenario = Scenario::shipped("database-down", include_str!("../../runbooks/database-down.yaml"))
        .input("database_host", "db.example.com")
        .input("database_user", "app")
        .input("database", "shop");
    let well = [
        ("dns.resolve", done(json!({ "addresses": ["192.0.2.7"], "records": ["192.0.2.7"], "ttl_s": 60, "ms": 1 }))),
        ("look/tcp", done(json!({ "ok": true, "ms": 1, "address": "192.0.2.7:5432", "error": null }))),
        ("look/login", rows(json!([{ "replica": false }]))),
        ("look/load", load(20, 1, 0)),
        ("look/size", rows(json!([{ "bytes": 7_000_000, "words": "7 MB" }]))),
        ("look/tables", rows(json!([{ "name": "alembic_version" }]))),
        ("look/migrations", rows(json!([{ "head": "a1b2c3", "broken": 0 }]))),
    ];
    let well = well.into_iter().filter(|(at, _)| !differs.iter().any(|(other, _)| other == at));
    for (at, attempt) in differs.iter().cloned().chain(well) {
        scenario = scenario.answers(at, [attempt]);
    }
    scenario
}

/// Findings of a run that ended well, as `level: text`.
fn findings(scenario: &Scenario) -> Vec<String> {
    let ended = scenario.run();
    assert_eq!(ended.end().outcome, RunOutcome::Success, "{:?}", ended.end());
    ended.facts().findings.iter().map(|finding| format!("{:?}: {}", finding.level, finding.say)).collect()
}

fn assert_only(scenario: &Scenario, level: Level, says: &str) {
    let found = findings(scenario);
    assert!(
        found.len() == 1 && found[0].starts_with(&format!("{level:?}: ")) && found[0].contains(says),
        "{says}: {found:?}"
    );
}

#[test]
fn a_database_that_is_well_is_told_with_its_numbers() {
    let scenario = database(&[]);
    let says = "PostgreSQL 16.4 takes the login (7 ms): 20 of 100 connections, 7 MB, migrations at a1b2c3.";
    assert_only(&scenario, Level::Ok, says);
    let ended = scenario.run();
    assert_eq!(ended.facts().findings[0].suggest.as_ref().unwrap().runbook, "backend-down");
    assert_eq!((&ended.end().outputs["cause"], &ended.end().outputs["connections"]), (&"none".into(), &Value::Int(20)));
    let statements = ended.world.calls.iter().filter(|(_, uses, _)| uses == "postgres.query");
    for (step, _, arguments) in statements {
        assert!(!arguments.contains_key("write"), "{step}");
        assert_eq!(arguments["url"], Value::from("postgres://app@db.example.com:5432/shop"), "{step}");
        assert!(matches!(arguments["password"], Value::Secret(_)), "{step}");
    }
}

#[test]
fn each_place_where_the_way_can_end_has_its_own_finding() {
    let shut = |kind: &str| {
        done(
            json!({ "ok": false, "ms": 1, "address": null, "error": { "kind": kind, "message": "the port's own words" } }),
        )
    };
    let nowhere = done(json!({ "addresses": [], "records": [], "ttl_s": null, "ms": 1 }));
    let ways = [
        (
            vec![("dns.resolve", nowhere), ("look/tcp", shut("dns")), ("look/login", trouble("dns", None))],
            "does not resolve (the name has no address)",
        ),
        (
            vec![("look/tcp", shut("connect")), ("look/login", trouble("connect", None))],
            "Nothing listens on port 5432 of db.example.com (the port's",
        ),
        (
            vec![("look/tcp", shut("timeout")), ("look/login", trouble("timeout", None))],
            "does not answer on port 5432 at all",
        ),
        (vec![("look/login", trouble("tls", None))], "can't be secured (the server's own words)"),
        (vec![("look/login", trouble("timeout", None))], "nobody answers within 10s"),
        (vec![("look/login", trouble("network", None))], "the connection breaks off"),
        (vec![("look/login", trouble("status", Some("28P01")))], "The password of app is wrong"),
        (vec![("look/login", trouble("status", Some("28000")))], "does not let app in from here"),
        (vec![("look/login", trouble("status", Some("42501")))], "does not let app in from here"),
        (vec![("look/login", trouble("status", Some("3D000")))], "there is no database \"shop\""),
        (vec![("look/login", trouble("status", Some("53300")))], "has no connection left"),
        (vec![("look/login", trouble("status", Some("57P03")))], "is starting, stopping or recovering"),
        (vec![("look/login", trouble("status", Some("53100")))], "has run out of disk or memory"),
        (vec![("look/login", trouble("status", Some("08P01")))], "refuses with SQLSTATE 08P01"),
    ];
    for (differs, says) in ways {
        let scenario = database(&differs);
        assert_only(&scenario, Level::Critical, says);
        let ended = scenario.run();
        assert_eq!(ended.end().outputs["reachable"], Value::from(false), "{says}");
        assert_eq!(ended.world.count("postgres.query"), 1, "{says}: nothing is asked after a login that failed");
    }
}

#[test]
fn a_login_that_works_hides_no_trouble_behind_it() {
    for (differs, level, says) in [
        (("look/login", rows(json!([{ "replica": true }]))), Level::Warning, "This is a replica"),
        (("look/load", load(80, 1, 0)), Level::Warning, "80 of 100 connections are in use (80 %)"),
        (("look/load", load(20, 301, 0)), Level::Warning, "open for 301 s, 2 stand idle in one, 3 wait for a lock"),
        (("look/load", load(20, 1, 4)), Level::Info, "can't see what 4 connections of others do"),
        (
            ("look/load", trouble("timeout", None)),
            Level::Warning,
            "could not be seen: connections (the server's own words)",
        ),
        (
            ("look/size", trouble("status", Some("42501"))),
            Level::Warning,
            "could not be seen: size (the server's own words)",
        ),
        (
            ("look/tables", trouble("network", None)),
            Level::Warning,
            "could not be seen: migrations (the server's own words)",
        ),
        (("look/migrations", trouble("status", Some("42703"))), Level::Warning, "could not be seen: migrations"),
        (
            ("look/migrations", rows(json!([{ "head": "a1b2c3", "broken": 1 }]))),
            Level::Critical,
            "1 migrations in alembic_version are broken off",
        ),
        (("look/migrations", rows(json!([{ "head": null, "broken": 0 }]))), Level::Warning, "alembic_version is empty"),
    ] {
        let found = findings(&database(&[differs]));
        assert!(found[0].starts_with(&format!("{level:?}: ")) && found[0].contains(says), "{says}: {found:?}");
    }
    let quiet =
        [(79, 1), (20, 300)].map(|(used, longest)| findings(&database(&[("look/load", load(used, longest, 0))])).len());
    assert_eq!(quiet, [1, 1], "just below the limits nothing is said");
}

#[test]
fn the_head_of_the_migrations_is_compared_where_one_is_expected() {
    assert_only(&database(&[]).input("migrations_head", "a1b2c3"), Level::Ok, "at a1b2c3");
    let behind = findings(&database(&[]).input("migrations_head", "d4e5f6"));
    assert!(behind[0].starts_with("Critical: The migrations stand at a1b2c3, expected d4e5f6"), "{behind:?}");
    let none = [("look/tables", rows(json!([])))];
    assert_only(&database(&none), Level::Ok, "migrations unknown");
    for (input, value, says) in [
        ("migrations_head", "d4e5f6", "none of the known tools"),
        ("migrations_table", "steps_done", "can see (steps_done)"),
    ] {
        let found = findings(&database(&none).input(input, value));
        assert!(
            found[0].starts_with("Warning: There is no table of migrations") && found[0].contains(says),
            "{found:?}"
        );
    }
}

// The real one.

/// A target for the shared server.
fn target(server: &Postgres, password: &str, place: &Place) -> String {
    let file = place.project().join("password");
    std::fs::write(&file, password).unwrap();
    format!(
        "version: 1\nca: {}\nsecrets: {{ DATABASE_PASSWORD: {{ from: file, path: {}, hosts: [localhost] }} }}\n\
         inputs: {{ database_host: localhost, database_user: owner, database: postgres }}\n",
        server.ca,
        file.display()
    )
}

fn diagnosed(server: &Postgres, password: &str, port: u16, more: &[(&str, &str)]) -> Facts {
    let place = Place::new();
    let target = target(server, password, &place);
    let port = port.to_string();
    let inputs: Vec<_> = [("database_port", port.as_str())].into_iter().chain(more.iter().copied()).collect();
    let facts = ended(place.target(&target).run("database-down", &inputs));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert!(!format!("{facts:?}").contains(password), "the password is told");
    facts
}

#[test]
fn a_real_server_that_is_well_refuses_the_password_or_is_gone() {
    let Some(server) = Postgres::shared() else { return };
    let well = diagnosed(server, Postgres::PASSWORD, server.port, &[]);
    assert_eq!(output(&well, "cause"), Value::from("none"), "{:?}", well.findings);
    assert!(levels(&well).contains(&Level::Ok) && !levels(&well).contains(&Level::Critical), "{:?}", well.findings);
    let Value::Int(bytes) = output(&well, "bytes") else { panic!("{:?}", well.finished) };
    assert!(bytes > 1_000_000 && output(&well, "connections_max") == Value::Int(100), "{:?}", well.finished);

    let gone = crate::servers::refused_port();
    for (password, port, more, cause) in [
        ("not-the-password-example", server.port, vec![], "password"),
        (Postgres::PASSWORD, server.port, vec![("database", "nowhere at/all")], "no_database"),
        (
            Postgres::PASSWORD,
            server.port,
            vec![("database_host", "localhost"), ("database_user", "no:body")],
            "password",
        ),
        (Postgres::PASSWORD, gone, vec![], "refused"),
    ] {
        let facts = diagnosed(server, password, port, &more);
        assert_eq!(output(&facts, "cause"), Value::from(cause), "{:?}", facts.findings);
        assert_eq!(levels(&facts), [Level::Critical], "{cause}");
    }
}

/// Tables as these tools make them, one after the other: the head that is read and what is broken off.
#[test]
fn the_tables_of_common_tools_are_understood() {
    let Some(server) = Postgres::shared() else { return };
    let tables = [
        ("alembic_version", "(version_num varchar(32))", "('a1b2c3')", "a1b2c3"),
        (
            "django_migrations",
            "(id int, app text, name text)",
            "(1, 'auth', '0001'), (2, 'shop', '0007_x')",
            "shop.0007_x",
        ),
        (
            "_prisma_migrations",
            "(migration_name text, started_at timestamptz, finished_at timestamptz, rolled_back_at timestamptz)",
            "('1_a', '2026-01-01', '2026-01-01', NULL), ('2_b', '2026-01-02', '2026-01-02', NULL)",
            "2_b",
        ),
        (
            "flyway_schema_history",
            "(installed_rank int, version text, success bool)",
            "(1, '1', true), (2, '1.10', true), (3, NULL, true)",
            "1.10",
        ),
        ("knex_migrations", "(id int, name text)", "(1, 'one.js'), (2, 'two.js')", "two.js"),
        ("schema_migrations", "(version varchar(40))", "('20260101'), ('20260301')", "20260301"),
    ];
    for (name, columns, values, head) in tables {
        written(server, &format!("CREATE TABLE {name} {columns}"));
        written(server, &format!("INSERT INTO {name} VALUES {values}"));
        let facts = diagnosed(server, Postgres::PASSWORD, server.port, &[("migrations_head", head)]);
        written(server, &format!("DROP TABLE {name}"));
        assert_eq!(output(&facts, "migrations_head"), Value::from(head), "{name}: {:?}", facts.findings);
        assert!(
            levels(&facts).contains(&Level::Ok) && !levels(&facts).contains(&Level::Critical),
            "{:?}",
            facts.findings
        );
    }
    written(server, "CREATE TABLE steps_done (\"Rev \"\"x\" int)");
    written(server, "INSERT INTO steps_done VALUES (7), (12)");
    let own = [("migrations_table", "public.steps_done"), ("migrations_column", "Rev \"x")];
    let facts = diagnosed(server, Postgres::PASSWORD, server.port, &own);
    written(server, "DROP TABLE steps_done");
    assert_eq!(output(&facts, "migrations_head"), Value::from("12"), "{:?}", facts.findings);
}

fn written(server: &Postgres, sql: &str) {
    let world = World::new(WorldSettings { ca: Some(server.ca.clone()), ..WorldSettings::default() }).gated(|| Ok(()));
    let query = args(json!({
        "url": format!("postgres://owner@localhost:{}/postgres", server.port), "password": Postgres::PASSWORD, "sql": sql,
        "write": true,
    }));
    let attempt = tokio::runtime::Runtime::new().unwrap().block_on(perform(&world, "postgres.query", &query));
    assert_eq!(attempt.outcome, rerail::engine::outcome::Outcome::Done, "{sql}: {attempt:?}");
}
