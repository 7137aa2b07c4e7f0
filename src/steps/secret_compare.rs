//! `secret.compare`: whether two texts are equal, of which one or both may be secret.

use crate::engine::outcome::{Attempt, Failure};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{given, invalid};
use crate::steps::schema::{output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

struct SecretCompare;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&SecretCompare) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "secret.compare".to_owned(),
        title: "Say whether two secrets are equal".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("a", Type::String, "a text or a secret"),
            required("b", Type::String, "another; one of the two is a secret"),
        ],
        outputs: vec![output("equal", Type::Bool, "they are the same text")],
        docs: "\
```yaml
- id: rotated
  uses: secret.compare
  with: { a: \"${{ steps.vars.outputs.json.API_KEY }}\", b: \"${{ secrets.API_KEY }}\" }
```
Compares texts as they would be sent. Two sealed values are told apart without it, by `same_as`. A secret that is bound \
to hosts can't be compared: that it is equal to something says what it is."
            .to_owned(),
    }
}

impl Read for SecretCompare {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        let equal = compare(world, args).map(|equal| Attempt::done(Value::map([("equal", Value::from(equal))])));
        Box::pin(std::future::ready(equal.unwrap_or_else(Attempt::refused)))
    }
}

fn compare(world: &World, args: &Map) -> Result<bool, Failure> {
    let text = |name: &str| match world.reveal(given(args, name).unwrap_or(&Value::Null), None)? {
        Value::Text(text) => Ok(text),
        other => Err(invalid(name, &format!("expected a text or a secret, got {}", other.kind()))),
    };
    let (a, b) = (text("a")?, text("b")?);
    // Looks at every byte, so that how long it takes says nothing.
    let differing = a.bytes().zip(b.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b));
    Ok(a.len() == b.len() && std::hint::black_box(differing) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::outcome::Outcome;
    use crate::script::secret::{Sealed, SecretText};
    use crate::steps::world::{SealedValues, WorldSettings};

    #[tokio::test]
    async fn texts_are_compared_as_they_would_be_sent() {
        let sealed = SealedValues::opened_by(|sealed| Ok(format!("text of {}", sealed.name)));
        let world = World::new(WorldSettings { sealed, ..WorldSettings::default() });
        let secret = |name: &str| {
            SecretText::Sealed(Sealed { name: name.into(), digest: "d".into(), fingerprint: "f".into(), answer: false })
        };
        for (a, b, equal) in [
            (Value::Secret(secret("A")), Value::from("text of A"), true),
            (Value::Secret(secret("A")), Value::from("text of B"), false),
            (Value::Secret(secret("A")), Value::from("text of"), false),
            (Value::Secret(secret("A").prefixed("x")), Value::from("xtext of A"), true),
        ] {
            let args = Map::from([("a".to_owned(), a), ("b".to_owned(), b)]);
            let attempt = SecretCompare.perform(&world, &args).await;
            assert_eq!(attempt.outputs.get("equal"), Some(&Value::from(equal)), "{args:?}");
        }
        let missing = SecretCompare.perform(&world, &Map::from([("a".to_owned(), "x".into())])).await;
        assert_eq!(missing.outcome, Outcome::Refused);
    }
}
