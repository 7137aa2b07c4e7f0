//! `env.read`: which environment variables are set here, and the values of those the project allows.

use crate::engine::outcome::{Attempt, Failure};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{invalid, texts};
use crate::steps::schema::{body, output, required, sealed};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

struct EnvRead;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&EnvRead) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "env.read".to_owned(),
        title: "See which environment variables are set".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![required("names", Type::List, "names of variables"), sealed()],
        outputs: vec![
            output("present", Type::List, "names that are set, in the order asked"),
            output("missing", Type::List, "names that are not set"),
            body("values", Type::Map, "values by name, of those that `allow.env` of the project lists"),
            output("withheld", Type::List, "names that are set and whose values `allow.env` does not list"),
        ],
        docs: "\
```yaml
- id: env
  uses: env.read
  with: { names: [DATABASE_URL, PORT] }
```
Says of every name whether it is set. A value is shown only for names listed in `rerail.yaml` under `allow: { env: [PORT] }`."
            .to_owned(),
    }
}

impl Read for EnvRead {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { look(world, args).unwrap_or_else(Attempt::refused) })
    }
}

fn look(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let (mut present, mut missing, mut withheld, mut values) = (Vec::new(), Vec::new(), Vec::new(), Map::new());
    for name in texts(args, "names")? {
        // The standard library panics on these.
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(invalid("names", &format!("expected names of variables, got {name:?}")));
        }
        let Some(value) = std::env::var_os(name) else {
            missing.push(Value::from(name));
            continue;
        };
        present.push(Value::from(name));
        if world.shared.settings.env.iter().any(|allowed| allowed == name) {
            values.insert(name.to_owned(), Value::from(value.to_string_lossy().into_owned()));
        } else {
            withheld.push(Value::from(name));
        }
    }
    Ok(Attempt::done(Value::map([
        ("present", Value::List(present)),
        ("missing", Value::List(missing)),
        ("values", Value::Map(values)),
        ("withheld", Value::List(withheld)),
    ])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::settings::Settings;
    use crate::steps::world::WorldSettings;

    #[tokio::test]
    async fn values_are_shown_only_for_allowed_names() {
        let settings = Settings { env: vec!["CARGO_PKG_NAME".into(), "RERAIL_NOT_SET".into()], ..Settings::default() };
        let world = World::new(WorldSettings { settings, ..WorldSettings::default() });
        let names = ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "RERAIL_NOT_SET"].map(Value::from).to_vec();
        let args = Map::from([("names".to_owned(), Value::List(names))]);
        let outputs = EnvRead.perform(&world, &args).await.outputs;
        assert_eq!(outputs.get("values"), Some(&Value::map([("CARGO_PKG_NAME", Value::from("rerail"))])));
        assert_eq!(outputs.get("withheld"), Some(&Value::List(vec![Value::from("CARGO_PKG_VERSION")])));
        assert_eq!(outputs.get("missing"), Some(&Value::List(vec![Value::from("RERAIL_NOT_SET")])));
    }

    #[tokio::test]
    async fn impossible_names_are_refused_without_panic() {
        let world = World::new(WorldSettings::default());
        for name in ["", "A=B", "A\0B"] {
            let args = Map::from([("names".to_owned(), Value::List(vec![Value::from(name)]))]);
            let attempt = EnvRead.perform(&world, &args).await;
            assert_eq!(attempt.outcome, crate::engine::outcome::Outcome::Refused, "{name:?}");
        }
    }
}
