//! `providers.railway` of a target: where on Railway the services are, each place with a credential of its own.
//!
//! A place is one environment of one project. Two of them are usual: the backend's, and that of the database it lost.
//! What is read is complete (address, headers), so that no action needs to know kinds of tokens.

use crate::runbook::node::{Node, NodeKind};
use crate::runbook::problem::Problem;
use crate::runbook::providers::Providing;
use crate::runbook::reader::Keys;
use crate::runbook::words::snake_case_fault;
use crate::script::value::{Map, Value};

/// Where the API is.
const API: &str = "https://backboard.railway.com/graphql/v2";

pub(super) const PLACE: Keys = Keys {
    what: "place on Railway",
    known: &["project", "environment", "token", "project_token", "api"],
    later: &[],
    foreign: &[
        ("url", "write `api`, or leave it out: there is one address for all"),
        ("service", "services are named by the steps"),
        ("api_token", "write `token`"),
    ],
};

/// Reads `railway`: places by name, at least one.
pub(super) fn read(providing: &mut Providing<'_>, node: &Node) -> Option<Map> {
    let entries = providing.reader.map(node, "`railway`");
    if entries.is_empty() {
        // What is no map is told already.
        if !matches!(&node.kind, NodeKind::Map(_)) {
            return None;
        }
        let span = providing.reader.first_line(node.span);
        let problem = Problem::error("E0106", &providing.reader.source, span, "`railway` names no place");
        let help = "such as `railway: { backend: { project: ID, environment: production, token: \"${{ secrets.RAILWAY_TOKEN }}\" } }`";
        providing.reader.push(problem.label("no project to look into").help(help));
        return None;
    }
    let mut places = Map::new();
    for entry in entries {
        let named = providing.reader.name(&entry.key, snake_case_fault);
        if let Some(place) = place(providing, &entry.value).filter(|_| named) {
            places.insert(entry.key.value.clone(), Value::Map(place));
        }
    }
    // One that is wrong is told; whoever asks for it by name should not be told that it isn't there.
    (places.len() == entries.len()).then_some(places)
}

fn place(providing: &mut Providing<'_>, node: &Node) -> Option<Map> {
    let fields = providing.reader.fields(node, &PLACE)?;
    let mut text = |key: &str| {
        let node = providing.reader.required(&fields, key)?;
        Some(Value::Text(providing.reader.text(node, &format!("`{key}`"))?.value))
    };
    let (project, environment) = (text("project"), text("environment"));
    let api = fields.get("api").map_or(Some(Value::from(API)), |node| providing.url(node));
    let headers = match (fields.get("token"), fields.get("project_token")) {
        (Some(node), None) => token(providing, node, "`token`").map(|token| ("Authorization", prefixed(token))),
        (None, Some(node)) => token(providing, node, "`project_token`").map(|token| ("Project-Access-Token", token)),
        (both, _) => {
            let message = match both {
                Some(_) => "`token` and `project_token` stand together",
                None => "neither `token` nor `project_token` is here",
            };
            let span = providing.reader.first_line(node.span);
            let problem = Problem::error("E0115", &providing.reader.source, span, message);
            let help = "`token` is one of an account or workspace, `project_token` one of this project and environment";
            providing.reader.push(problem.label("one of the two is needed").help(help));
            None
        }
    };
    Some(Map::from([
        ("api".to_owned(), api?),
        ("headers".to_owned(), Value::map([headers?])),
        ("project".to_owned(), project?),
        ("environment".to_owned(), environment?),
    ]))
}

/// A credential is a secret's name: a text would stand in the file for everybody to read.
fn token(providing: &mut Providing<'_>, node: &Node, thing: &str) -> Option<Value> {
    match providing.value(node, thing)? {
        secret @ Value::Secret(_) => Some(secret),
        _ => {
            providing.reader.wrong(node, thing, "a secret, such as `${{ secrets.RAILWAY_TOKEN }}`");
            None
        }
    }
}

fn prefixed(token: Value) -> Value {
    match token {
        Value::Secret(secret) => Value::Secret(secret.prefixed("Bearer ")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::settings::read_target;
    use crate::runbook::source::Source;
    use crate::script::secret::SecretText;

    fn read(railway: &str) -> (Map, Vec<&'static str>) {
        let text = format!(
            "version: 1\nsecrets: {{ KEY: {{ from: env }} }}\nproviders:\n  railway: {railway}\n  redeploy: {{ use: railway }}\n"
        );
        let (target, problems) = read_target(&Source::new("targets/t.yaml", text));
        (target.providers, problems.iter().map(|problem| problem.code).collect())
    }

    #[test]
    fn places_are_complete_and_their_credentials_stay_names() {
        let (providers, codes) = read(
            "{ main: { project: p-1, environment: production, token: \"${{ secrets.KEY }}\" }, data: { project: 17, environment: main, project_token: \"${{ secrets.KEY }}\", api: \"http://127.0.0.1:1/graphql\" } }",
        );
        assert_eq!(codes, Vec::<&str>::new());
        let places = &providers["railway"];
        let header = |name: &str, value: SecretText| Value::map([(name, Value::Secret(value))]);
        let key = SecretText::named("KEY");
        let main = places.get("main").unwrap();
        assert_eq!(main.get("headers"), Some(&header("Authorization", key.clone().prefixed("Bearer "))));
        assert_eq!(main.get("api"), Some(&Value::from(API)));
        let data = places.get("data").unwrap();
        assert_eq!(data.get("headers"), Some(&header("Project-Access-Token", key)));
        assert_eq!(
            (data.get("api"), data.get("project")),
            (Some(&"http://127.0.0.1:1/graphql".into()), Some(&"17".into()))
        );
    }

    #[test]
    fn mistakes_are_told() {
        let key = "\"${{ secrets.KEY }}\"";
        for (text, code) in [
            ("{}".to_owned(), "E0106"),
            ("[]".to_owned(), "E0107"),
            (format!("{{ Backend: {{ project: p, environment: e, token: {key} }} }}"), "E0105"),
            (format!("{{ a: {{ environment: e, token: {key} }} }}"), "E0106"),
            (format!("{{ a: {{ project: p, token: {key} }} }}"), "E0106"),
            ("{ a: { project: p, environment: e } }".to_owned(), "E0115"),
            (format!("{{ a: {{ project: p, environment: e, token: {key}, project_token: {key} }} }}"), "E0115"),
            ("{ a: { project: p, environment: e, token: hunter2-example } }".to_owned(), "E0107"),
            ("{ a: { project: p, environment: e, token: \"${{ secrets.GONE }}\" } }".to_owned(), "E0208"),
            (format!("{{ a: {{ project: p, environment: e, token: {key}, api: backboard }} }}"), "E0107"),
            (format!("{{ a: {{ project: p, environment: e, token: {key}, service: s }} }}"), "E0103"),
        ] {
            assert_eq!(read(&text).1, [code], "{text}");
        }
    }
}
