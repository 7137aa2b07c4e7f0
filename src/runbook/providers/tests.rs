//! Providers of targets, as they are read and refused.

use super::*;
use crate::runbook::settings::read_target;
use crate::runbook::source::Source;

fn read(redeploy: &str) -> (Map, Vec<&'static str>) {
    let text = format!(
        "version: 1\nsecrets: {{ HOOK: {{ from: env }}, KEY: {{ from: env }} }}\nproviders:\n  redeploy: {redeploy}\n"
    );
    let (target, problems) = read_target(&Source::new("targets/t.yaml", text));
    (target.providers, problems.iter().map(|problem| problem.code).collect())
}

fn redeploy(text: &str) -> Map {
    let (providers, codes) = read(text);
    assert_eq!(codes, Vec::<&str>::new(), "{text}");
    match &providers["redeploy"] {
        Value::Map(map) => map.clone(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_webhook_is_completed_and_its_secrets_stay_names() {
    let hook = redeploy(
        "{ use: webhook, url: \"${{ secrets.HOOK }}\", headers: { Authorization: \"Bearer ${{secrets.KEY}}!\", X-N: 1 }, json: { a: [\"${{ secrets.KEY }}\", 2] } }",
    );
    assert_eq!(hook["provider"], Value::from("webhook"));
    assert_eq!(hook["method"], Value::from("POST"));
    assert_eq!(hook["url"], Value::Secret(SecretText::named("HOOK")));
    let bearer = SecretText::named("KEY").prefixed("Bearer ").suffixed("!");
    assert_eq!(hook["headers"], Value::map([("Authorization", Value::Secret(bearer)), ("X-N", Value::from("1"))]));
    let list = Value::List(vec![Value::Secret(SecretText::named("KEY")), Value::Int(2)]);
    assert_eq!(hook["json"], Value::map([("a", list)]));
    let places = ["idempotency", "method", "timeout", "wait"].map(Value::from).to_vec();
    assert_eq!(hook["places"], Value::List(places));
    assert_eq!(
        (&hook["wait"], &hook["idempotency"], &hook["timeout"]),
        (&Value::Null, &Value::Null, &Value::from("30s"))
    );
}

#[test]
fn a_command_and_what_to_wait_for_are_completed() {
    let command = redeploy(
        "{ use: command, argv: [kubectl, rollout, \"{service}\"], env: { KEY: \"${{ secrets.KEY }}\" }, wait: { url: \"https://api.example.com/{service}\", status: 204, every: 1s } }",
    );
    assert_eq!(command["argv"], Value::List(vec!["kubectl".into(), "rollout".into(), "{service}".into()]));
    let wait = &command["wait"];
    assert_eq!(wait.get("status"), Some(&Value::List(vec![Value::Int(204)])));
    assert_eq!((wait.get("delay"), wait.get("within")), (Some(&Value::from("0s")), Some(&Value::from("5m"))));
}

#[test]
fn a_place_on_railway_is_one_that_is_named() {
    let place = |name: &str| format!("{name}: {{ project: p, environment: e, token: \"${{{{ secrets.KEY }}}}\" }}");
    let codes =
        |railway: &str, redeploy: &str| read(&format!("{{ use: railway{redeploy} }}\n  railway: {{ {railway} }}")).1;
    let (one, other, main) = (place("one"), place("other"), place("main"));
    let two = format!("{one}, {other}");
    assert_eq!(codes(&one, ""), Vec::<&str>::new());
    assert_eq!(codes(&format!("{one}, {main}"), ""), Vec::<&str>::new());
    assert_eq!(codes(&two, ", place: other"), Vec::<&str>::new());
    assert_eq!(codes(&two, ""), ["E0107"]);
    assert_eq!(codes(&two, ", place: third"), ["E0107"]);
    assert_eq!(codes(&one, ", url: https://a.example.com"), ["E0115"]);
    assert_eq!(codes(&one, ", timeout: 5s"), ["E0115"]);
    assert!(!codes("one: {}", "").contains(&"E0107"), "one mistake is told once");
}

#[test]
fn other_platforms_are_deployed_to_by_their_places_as_well() {
    for (platform, also) in [("vercel", ""), ("github", ", workflow: deploy.yaml")] {
        let codes = |places: &str, redeploy: &str| {
            read(&format!("{{ use: {platform}{also}{redeploy} }}\n  {platform}: {{ {places} }}")).1
        };
        assert_eq!(codes("one: { a: b }", ""), Vec::<&str>::new());
        assert_eq!(codes("one: { a: b }, two: { a: b }", ", place: two"), Vec::<&str>::new());
        assert_eq!(codes("one: { a: b }, two: { a: b }", ""), ["E0107"]);
        assert_eq!(codes("one: { a: b }", ", place: two"), ["E0107"]);
        assert_eq!(codes("one: a", ", place: two"), ["E0107"], "one mistake is told once");
    }
}

#[test]
fn a_workflow_that_deploys_is_completed() {
    let read = |more: &str| read(&format!("{{ use: github{more} }}\n  github: {{ main: {{ repo: a/b }} }}"));
    let (providers, codes) = read(", workflow: deploy.yaml, inputs: { app: \"{service}\", dry: false }");
    assert_eq!(codes, Vec::<&str>::new());
    let order = &providers["redeploy"];
    let text = |key: &str| order.get(key).and_then(Value::as_text).map(str::to_owned).unwrap();
    assert_eq!(["ref", "tag_input", "timeout", "place"].map(text), ["main", "tag", "30m", ""]);
    assert_eq!(order.get("inputs"), Some(&Value::map([("app", "{service}".into()), ("dry", "false".into())])));
    for (more, code) in [
        ("", "E0106"),
        (", workflow: [a]", "E0107"),
        (", workflow: a.yaml, inputs: { key: \"${{ secrets.KEY }}\" }", "E0107"),
        (", workflow: a.yaml, inputs: { key: [1] }", "E0107"),
        (", workflow: a.yaml, timeout: soon", "E0107"),
        (", workflow: a.yaml, argv: [a]", "E0115"),
    ] {
        assert_eq!(read(more).1, [code], "{more}");
    }
}

#[test]
fn a_provider_nobody_has_heard_of_has_places_with_settings() {
    let read = |others: &str| read(&format!("{{ use: webhook, url: https://a.example.com }}\n  {others}"));
    let (providers, codes) = read(
        "vercel: { main: { project: shop, team: 7, api: \"http://127.0.0.1:1\", token: \"${{ secrets.KEY }}\", domains: [a.example.com] } }",
    );
    assert_eq!(codes, Vec::<&str>::new());
    let main = providers["vercel"].get("main").unwrap();
    assert_eq!(main.get("token"), Some(&Value::Secret(SecretText::named("KEY"))));
    assert_eq!((main.get("team"), main.get("project")), (Some(&Value::Int(7)), Some(&Value::from("shop"))));
    assert_eq!(main.get("domains"), Some(&Value::List(vec!["a.example.com".into()])));
    for (text, code) in [
        ("vercel: {}", "E0106"),
        ("vercel: main", "E0107"),
        ("vercel: { main: token }", "E0107"),
        ("Vercel: { main: { a: b } }", "E0105"),
        ("vercel: { Main: { a: b } }", "E0105"),
        ("vercel: { main: { A: b } }", "E0105"),
        ("vercel: { main: { api: vercel } }", "E0107"),
        ("vercel: { main: { token: \"${{ secrets.GONE }}\" } }", "E0208"),
        ("vercel: { main: { token: \"${{ inputs.token }}\" } }", "E0107"),
        ("railwy: { main: { a: b } }", "E0103"),
    ] {
        let (providers, codes) = read(text);
        assert_eq!(codes, [code], "{text}");
        assert_eq!(providers.keys().collect::<Vec<_>>(), ["redeploy"], "{text}");
    }
}

#[test]
fn mistakes_are_told() {
    for (text, code) in [
        ("webhook", "E0107"),
        ("{ url: https://a.example.com }", "E0106"),
        ("{ use: vercel }", "E0107"),
        ("{ use: github, workflow: deploy.yaml }", "E0107"),
        ("{ use: railway }", "E0107"),
        ("{ use: webhook, url: https://a.example.com, place: a }", "E0115"),
        ("{ use: webhok, url: https://a.example.com }", "E0107"),
        ("{ use: webhook }", "E0106"),
        ("{ use: webhook, url: a.example.com }", "E0107"),
        ("{ use: webhook, url: ftp://a.example.com }", "E0107"),
        ("{ use: webhook, url: https://u:p@a.example.com }", "E0107"),
        ("{ use: webhook, url: \"${{ secrets.GONE }}\" }", "E0208"),
        ("{ use: webhook, url: \"${{ inputs.url }}\" }", "E0107"),
        ("{ use: webhook, url: \"${{ secrets.HOOK\" }", "E0107"),
        ("{ use: webhook, url: \"https://a.example.com/{service}/${{ secrets.KEY }}\" }", "E0115"),
        ("{ use: webhook, url: https://a.example.com, method: GET }", "E0107"),
        ("{ use: webhook, url: https://a.example.com, argv: [a] }", "E0115"),
        ("{ use: command, argv: [a], url: https://a.example.com }", "E0115"),
        ("{ use: command, argv: [a], workflow: a.yaml }", "E0115"),
        ("{ use: command, argv: [a], shell: true }", "E0103"),
        ("{ use: webhook, url: https://a.example.com, timeout: soon }", "E0107"),
        ("{ use: webhook, url: https://a.example.com, headers: { A: [1] } }", "E0107"),
        ("{ use: webhook, url: https://a.example.com, idempotency: { header: A } }", "E0106"),
        ("{ use: webhook, url: https://a.example.com, wait: { status: 200 } }", "E0106"),
        ("{ use: webhook, url: https://a.example.com, wait: { url: https://a.example.com, status: 99 } }", "E0107"),
        ("{ use: webhook, url: https://a.example.com, wait: { url: https://a.example.com, until: x } }", "E0103"),
        ("{ use: command, argv: [] }", "E0107"),
        ("{ use: command, argv: [\"${{ secrets.KEY }}\"] }", "E0107"),
        ("{ use: command, argv: [a], env: { \"A=B\": x } }", "E0105"),
    ] {
        assert_eq!(read(text).1, [code], "{text}");
    }
}
