//! Statements at a real PostgreSQL: what comes back, what a read can't do, which failure is which, and
//! whether a write that lost its server can have happened.

use std::collections::BTreeMap;
use std::path::Path;

use rerail::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use rerail::redact::Redactor;
use rerail::runbook::settings::{From, SecretSource};
use rerail::runbook::spec::Effect;
use rerail::script::secret::SecretText;
use rerail::script::value::{Map, Value};
use rerail::steps::catalog;
use rerail::steps::world::{World, WorldSettings};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::services::Postgres;
use crate::steps::kit::{Server, args, perform};

const ESCAPED: &str = "not-a-real%3Apassword%2Fof%40anybody";

fn world(server: &Postgres) -> World {
    World::new(WorldSettings { ca: Some(server.ca.clone()), ..WorldSettings::default() }).gated(|| Ok(()))
}

fn url_at(port: u16) -> String {
    format!("postgres://owner:{ESCAPED}@localhost:{port}/postgres")
}

fn query(port: u16, sql: &str, more: Json) -> Map {
    let mut query = args(json!({"url": url_at(port), "sql": sql, "tls": "verify"}));
    query.extend(args(more));
    query
}

async fn ask(world: &World, query: &Map) -> Attempt {
    let attempt = perform(world, "postgres.query", query).await;
    let said = format!("{:?} {}", attempt.failure, attempt.outputs);
    assert!(!said.contains("not-a-real") && !said.contains("anybody"), "{said}");
    attempt
}

/// The rows of a read that is done.
async fn rows(server: &Postgres, sql: &str) -> Json {
    let attempt = ask(&world(server), &query(server.port, sql, json!({}))).await;
    assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
    attempt.outputs.to_plain()["rows"].clone()
}

async fn write(server: &Postgres, port: u16, sql: &str, more: Json) -> Attempt {
    let mut query = query(port, sql, json!({"write": true}));
    query.extend(args(more));
    ask(&world(server), &query).await
}

async fn table(server: &Postgres, name: &str, columns: &str) {
    for sql in [format!("DROP TABLE IF EXISTS {name}"), format!("CREATE TABLE {name} ({columns})")] {
        assert_eq!(write(server, server.port, &sql, json!({})).await.outcome, Outcome::Done);
    }
}

#[tokio::test]
async fn values_keep_their_types_or_become_text_that_says_all() {
    let Some(server) = Postgres::shared() else { return };
    let sql =
        "SELECT true AS b, 7::int2 AS i2, -7 AS i4, 9223372036854775807 AS i8, 1.5::float4 AS f4, 0.1::float8 AS f8,
        'NaN'::float8 AS nan, 12345678901234567890.00120::numeric AS n, -0.5::numeric AS small, 70000::numeric AS big,
        'é'::text AS t, 'x'::char(3) AS c, 'n'::name AS name, NULL::int AS nothing, '{\"a\": [1, null]}'::jsonb AS j,
        '[2]'::json AS js, timestamptz '2026-11-21 03:04:05.678+02' AS tz, timestamp '2026-11-21 03:04:05' AS ts,
        date '2026-11-21' AS d, time '03:04:05' AS ti, 'infinity'::timestamptz AS never, '-infinity'::date AS ever,
        interval '1 month 2 days 3:04:05.5' AS iv, '10.0.0.8'::inet AS ip, 'pg_class'::regclass::oid > 0 AS o, pg_sleep(0) AS v,
        'b3f1c9a0-0000-4000-8000-000000000001'::uuid AS u, ARRAY[1, NULL, 3] AS ai, ARRAY['a', 'b'] AS at";
    let row = rows(server, sql).await[0].clone();
    let expected = json!({
        "b": true, "i2": 7, "i4": -7, "i8": 9_223_372_036_854_775_807_i64, "f4": 1.5, "f8": 0.1, "nan": "NaN",
        "n": "12345678901234567890.00120", "small": "-0.5", "big": "70000", "t": "é", "c": "x  ", "name": "n",
        "nothing": null, "j": {"a": [1, null]}, "js": [2], "tz": "2026-11-21T01:04:05.678Z", "ts": "2026-11-21T03:04:05",
        "d": "2026-11-21", "ti": "03:04:05", "never": "infinity", "ever": "-infinity", "iv": "P1M2DT3H4M5.5S",
        "ip": "10.0.0.8", "o": true, "v": null, "u": "b3f1c9a0-0000-4000-8000-000000000001", "ai": [1, null, 3], "at": ["a", "b"],
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&row[name], value, "{name}");
    }
    for (sql, problem) in [
        ("SELECT point(1, 2) AS p", "column `p` is of type point: cast it, `p::text`"),
        ("SELECT 1 AS a, 2 AS a", "gives two columns `a`"),
        ("SELECT $1::int", "the statement has 1 parameters, got 0"),
        ("SELECT 1; SELECT 2", "cannot insert multiple commands"),
    ] {
        let attempt = ask(&world(server), &query(server.port, sql, json!({}))).await;
        assert!(
            attempt.outcome == Outcome::Refused && attempt.failure.as_ref().unwrap().message.contains(problem),
            "{attempt:?}"
        );
    }
}

#[tokio::test]
async fn parameters_are_values_and_never_sql() {
    let Some(server) = Postgres::shared() else { return };
    let sql =
        "SELECT $1::text AS t, $2::int AS i, $3::bool AS b, $4::jsonb AS j, $5::text IS NULL AS n, $6::float8 AS f";
    let params = json!({"params": ["'; DROP TABLE x; --", 7, true, {"a": [1]}, null, 0.5]});
    let attempt = ask(&world(server), &query(server.port, sql, params)).await;
    let row = attempt.outputs.to_plain()["rows"][0].clone();
    assert_eq!(row, json!({"t": "'; DROP TABLE x; --", "i": 7, "b": true, "j": {"a": [1]}, "n": true, "f": 0.5}));
}

#[tokio::test]
async fn rows_are_limited_by_number_and_by_size() {
    let Some(server) = Postgres::shared() else { return };
    for (limit, there, given, truncated) in
        [(100, 100, 100, false), (100, 101, 100, true), (0, 1, 0, true), (7, 3, 3, false)]
    {
        let sql = format!("SELECT n FROM generate_series(1, {there}) AS n");
        let attempt = ask(&world(server), &query(server.port, &sql, json!({"row_limit": limit}))).await;
        let outputs = attempt.outputs.to_plain();
        assert_eq!(
            (&outputs["count"], &outputs["truncated"]),
            (&json!(given), &json!(truncated)),
            "{limit} of {there}"
        );
    }
    let huge = "SELECT repeat('x', 300000) AS t FROM generate_series(1, 1000000)";
    let attempt = ask(&world(server), &query(server.port, huge, json!({"row_limit": 10_000}))).await;
    assert_eq!(attempt.outputs.to_plain()["count"], json!(3), "a mebibyte and no more");
    for wrong in [-1, 10_001] {
        let attempt = ask(&world(server), &query(server.port, "SELECT 1", json!({"row_limit": wrong}))).await;
        assert_eq!(attempt.failure.unwrap().kind, FailureKind::Argument, "{wrong}");
    }
}

#[tokio::test]
async fn a_read_changes_nothing_however_it_is_written() {
    let Some(server) = Postgres::shared() else { return };
    table(server, "kept", "id int").await;
    let function = "CREATE OR REPLACE FUNCTION sneak() RETURNS int LANGUAGE plpgsql VOLATILE AS
        $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); INSERT INTO kept VALUES (1); RETURN 1; END $$";
    assert_eq!(write(server, server.port, function, json!({})).await.outcome, Outcome::Done);
    for sql in [
        "INSERT INTO kept VALUES (1)",
        "WITH x AS (INSERT INTO kept VALUES (1) RETURNING id) SELECT * FROM x",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT set_config('default_transaction_read_only', 'off', false), sneak()",
        "SELECT sneak()",
        "EXPLAIN ANALYZE INSERT INTO kept VALUES (1)",
        "SELECT 1; INSERT INTO kept VALUES (1)",
        "SELECT 1; COMMIT; INSERT INTO kept VALUES (1)",
        "DO $$ BEGIN INSERT INTO kept VALUES (1); END $$",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT id INTO other FROM kept",
    ] {
        let attempt = ask(&world(server), &query(server.port, sql, json!({}))).await;
        assert_eq!(attempt.outcome, Outcome::Refused, "{sql}: {attempt:?}");
    }
    assert_eq!(rows(server, "SELECT count(*) AS n FROM kept").await, json!([{"n": 0}]));
    let spec = &catalog::find("postgres.query").unwrap().spec;
    let effect = |json: Json| spec.effect_with(&args(json));
    assert_eq!((effect(json!({})), effect(json!({"write": false}))), (Effect::Read, Effect::Read));
    assert_eq!((effect(json!({"write": true})), effect(json!({"write": "${{ x }}"}))), (Effect::Write, Effect::Write));
}

/// Answers the question for TLS with these bytes.
async fn saying(bytes: &'static str) -> Server {
    Server::start(move |mut stream| async move {
        let mut question = [0; 8];
        stream.read_exact(&mut question).await.ok();
        stream.write_all(bytes.as_bytes()).await.ok();
    })
    .await
}

#[tokio::test]
async fn each_way_to_fail_has_its_own_name() {
    let Some(server) = Postgres::shared() else { return };
    let wrong_password = format!("postgres://owner:wrong@localhost:{}/postgres", server.port);
    let wrong_database = format!("postgres://owner:{ESCAPED}@localhost:{}/nowhere", server.port);
    let plain = saying("N").await;
    let other = saying("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    for (more, kind, sqlstate) in [
        (json!({"url": url_at(crate::servers::refused_port())}), "connect", json!(null)),
        (json!({"url": wrong_password}), "status", json!("28P01")),
        (json!({"url": wrong_database}), "status", json!("3D000")),
        (json!({"sql": "SELECT * FROM no_such_migrations"}), "status", json!("42P01")),
        (json!({"sql": "SELECT pg_sleep(60)", "timeout": "1s"}), "timeout", json!(null)),
        (json!({"url": url_at(other.address.port())}), "network", json!(null)),
    ] {
        let query = query(server.port, "SELECT 1", more.clone());
        let attempt = ask(&world(server), &query).await;
        assert!(matches!(attempt.outcome, Outcome::Refused | Outcome::Failed), "{more}");
        assert_eq!(attempt.failure.as_ref().unwrap().kind.word(), kind, "{more}: {attempt:?}");
        let mut probe = query;
        probe.insert("probe".into(), Value::Bool(true));
        let attempt = ask(&world(server), &probe).await;
        let outputs = attempt.outputs.to_plain();
        assert_eq!((attempt.outcome, &outputs["ok"]), (Outcome::Done, &json!(false)), "{more}");
        assert_eq!((&outputs["error"]["kind"], &outputs["error"]["sqlstate"]), (&json!(kind), &sqlstate), "{more}");
    }
    let refused = query(plain.address.port(), "SELECT 1", json!({"url": url_at(plain.address.port()), "probe": true}));
    let outputs = ask(&world(server), &refused).await.outputs.to_plain();
    assert_eq!(outputs["error"]["message"], json!("localhost speaks no TLS, and `tls: verify` wants it"));
    let fine =
        ask(&world(server), &query(server.port, "SELECT 1 AS n", json!({"probe": true}))).await.outputs.to_plain();
    assert_eq!((&fine["ok"], &fine["error"], &fine["rows"]), (&json!(true), &json!(null), &json!([{"n": 1}])));
    assert!(fine["server_version"].as_str().unwrap().starts_with(char::is_numeric), "{fine}");
}

#[tokio::test]
async fn tls_is_as_strict_as_was_asked_for() {
    let Some(server) = Postgres::shared() else { return };
    let stranger = World::new(WorldSettings::default());
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    for (world, tls, secured) in [
        (&world(server), "verify", Ok(true)),
        (&world(server), "require", Ok(true)),
        (&stranger, "require", Ok(true)),
        (&stranger, "prefer", Ok(true)),
        (&stranger, "off", Ok(false)),
        (&stranger, "verify", Err(FailureKind::Tls)),
    ] {
        let attempt = ask(world, &query(server.port, sql, json!({ "tls": tls }))).await;
        let seen = match &attempt.failure {
            None => Ok(attempt.outputs.to_plain()["rows"][0]["ssl"] == json!(true)),
            Some(failure) => Err(failure.kind),
        };
        assert_eq!(seen, secured, "{tls}");
    }
}

#[tokio::test]
async fn the_address_and_the_password_may_be_secrets() {
    let Some(server) = Postgres::shared() else { return };
    let project = tempfile::tempdir().unwrap();
    let keep = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    keep(&project.path().join("url"), &url_at(server.port));
    keep(&project.path().join("password"), Postgres::PASSWORD);
    let source =
        |path: &str, host: &str| SecretSource { from: From::File { path: path.into() }, hosts: vec![host.into()] };
    let secrets = BTreeMap::from([
        ("URL".to_owned(), source("url", "localhost")),
        ("ELSEWHERE".to_owned(), source("url", "db.example.com")),
        ("PASSWORD".to_owned(), source("password", "localhost")),
    ]);
    let redactor = Redactor::new();
    let settings = WorldSettings {
        project: project.path().into(),
        secrets,
        ca: Some(server.ca.clone()),
        redactor: redactor.clone(),
        ..WorldSettings::default()
    };
    let world = World::new(settings);
    let named = |name: &str| Value::Secret(SecretText::named(name));
    let with = |name: &str, value: Value| {
        let mut query = query(server.port, "SELECT 1 AS n", json!({}));
        query.insert(name.to_owned(), value);
        query
    };
    assert_eq!(ask(&world, &with("url", named("URL"))).await.outcome, Outcome::Done);
    let bound = ask(&world, &with("url", named("ELSEWHERE"))).await;
    assert_eq!(bound.failure.unwrap().kind, FailureKind::Secret);
    let mut apart = with("password", named("PASSWORD"));
    apart.insert("url".into(), Value::from(format!("postgres://owner@localhost:{}/postgres", server.port)));
    assert_eq!(ask(&world, &apart).await.outcome, Outcome::Done);
    let mut echoed = with("params", Value::List(vec![named("PASSWORD")]));
    echoed.insert("sql".into(), Value::from("SELECT $1::int"));
    let attempt = perform(&world, "postgres.query", &echoed).await;
    let message = attempt.failure.unwrap().message;
    assert!(message.contains("22P02") && !redactor.redact(&message).contains("not-a-real"), "{message}");
}

#[tokio::test]
async fn a_write_is_done_or_refused_as_the_server_says() {
    let Some(server) = Postgres::shared() else { return };
    table(server, "written", "id int PRIMARY KEY, parent int REFERENCES written DEFERRABLE INITIALLY DEFERRED").await;
    let done =
        write(server, server.port, "INSERT INTO written SELECT n FROM generate_series(1, 3) AS n", json!({})).await;
    assert_eq!((done.outcome, &done.outputs.to_plain()["count"]), (Outcome::Done, &json!(3)));
    let returned = write(
        server,
        server.port,
        "UPDATE written SET id = id + 10 WHERE id = $1 RETURNING id",
        json!({"params": [3]}),
    )
    .await;
    assert_eq!(returned.outputs.to_plain()["rows"], json!([{"id": 13}]));
    // A function that acts on each row acts on all of them, also on those beyond the limit.
    table(server, "each_row", "id int").await;
    let function = "CREATE OR REPLACE FUNCTION keep(n int) RETURNS int LANGUAGE sql VOLATILE AS
        $$ INSERT INTO each_row VALUES (n) RETURNING id $$";
    assert_eq!(write(server, server.port, function, json!({})).await.outcome, Outcome::Done);
    let all = "SELECT keep(n) AS id FROM generate_series(1, 120) AS n";
    let outputs = write(server, server.port, all, json!({"row_limit": 7})).await.outputs.to_plain();
    assert_eq!((outputs["rows"].as_array().unwrap().len(), &outputs["count"]), (7, &json!(120)));
    assert_eq!(outputs["truncated"], json!(true));
    assert_eq!(rows(server, "SELECT count(*) AS n FROM each_row").await, json!([{"n": 120}]));
    for (sql, sqlstate) in [
        ("INSERT INTO written VALUES (4), (1)", "23505"),
        ("INSERT INTO written VALUES (5, 99)", "23503"),
        ("VACUUM written", "25001"),
        ("INSERT INTO nowhere VALUES (1)", "42P01"),
    ] {
        let attempt = write(server, server.port, sql, json!({})).await;
        assert_eq!(attempt.outcome, Outcome::Refused, "{sql}: {attempt:?}");
        assert_eq!(attempt.outputs.to_plain()["error"]["sqlstate"], json!(sqlstate), "{sql}");
    }
    let late =
        write(server, server.port, "INSERT INTO written SELECT 6 FROM pg_sleep(60)", json!({"timeout": "1s"})).await;
    assert_eq!((late.outcome, late.failure.unwrap().kind), (Outcome::Refused, FailureKind::Timeout));
    for sql in ["COMMIT", "BEGIN", "COPY written FROM STDIN"] {
        assert_eq!(
            write(server, server.port, sql, json!({})).await.failure.unwrap().kind,
            FailureKind::Argument,
            "{sql}"
        );
    }
    let shut = world(server).gated(|| Err(Failure::new(FailureKind::Policy, "another process drives this run")));
    let attempt = ask(&shut, &query(server.port, "INSERT INTO written VALUES (7)", json!({"write": true}))).await;
    assert_eq!((attempt.outcome, attempt.failure.unwrap().kind), (Outcome::Refused, FailureKind::Policy));
    assert_eq!(rows(server, "SELECT id FROM written ORDER BY id").await, json!([{"id": 1}, {"id": 2}, {"id": 13}]));
}

/// Stands between and breaks off when `word` comes by, which is still passed on or not.
async fn breaking_at(port: u16, word: &'static [u8], passed_on: bool) -> Server {
    Server::start(move |mut client| async move {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut up, mut down) = ([0; 8192], [0; 8192]);
        loop {
            tokio::select! {
                read = client.read(&mut up) => {
                    let Ok(count @ 1..) = read else { return };
                    let found = up[..count].windows(word.len()).any(|window| window == word);
                    if !found || passed_on {
                        server.write_all(&up[..count]).await.unwrap();
                    }
                    if found {
                        // What the server says to it is heard here and goes no further.
                        if passed_on {
                            server.read_u8().await.ok();
                        }
                        return;
                    }
                }
                read = server.read(&mut down) => {
                    let Ok(count @ 1..) = read else { return };
                    client.write_all(&down[..count]).await.ok();
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_lost_at_the_commit_leaves_a_write_in_doubt_and_before_it_refused() {
    let Some(server) = Postgres::shared() else { return };
    table(server, "lost", "id int").await;
    for (id, word, passed_on, outcome) in [
        (1, &b"INSERT"[..], false, Outcome::Refused),
        (2, b"INSERT", true, Outcome::Refused),
        (3, b"COMMIT", false, Outcome::InDoubt),
        (4, b"COMMIT", true, Outcome::InDoubt),
    ] {
        let between = breaking_at(server.port, word, passed_on).await;
        let sql = format!("INSERT INTO lost VALUES ({id})");
        let attempt = write(server, between.address.port(), &sql, json!({"tls": "off"})).await;
        assert_eq!(attempt.outcome, outcome, "{id}: {attempt:?}");
    }
    assert_eq!(
        rows(server, "SELECT id FROM lost").await,
        json!([{"id": 4}]),
        "the doubt is real: one of them is there"
    );
}
