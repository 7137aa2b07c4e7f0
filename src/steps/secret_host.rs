//! `secret.host`: whether an address that nobody may see leads to one of some named hosts.
//!
//! It says which of the caller's own names it is, and nothing else of the address: no user, no password, no other host.

use url::{Host, Url};

use crate::engine::outcome::{Attempt, Failure};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{given, invalid};
use crate::steps::schema::{output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

struct SecretHost;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&SecretHost) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "secret.host".to_owned(),
        title: "Say whether a secret address leads to a host".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("value", Type::String, "the address: a secret, or a text"),
            required("hosts", Type::List, "names of hosts; `.example.com` stands for all below it"),
        ],
        outputs: vec![
            output("valid", Type::Bool, "it is an address with a host"),
            output("host", Type::String, "the first of `hosts` that it leads to; empty if none"),
        ],
        docs: "\
```yaml
- id: inside
  uses: secret.host
  with: { value: \"${{ steps.vars.outputs.values.DATABASE_URL }}\", hosts: [.railway.internal, localhost] }
```
For addresses with a password in them, which can be passed on and not looked into: whether one leads where it can't work. \
Of the address it tells only which of `hosts` fits. A secret that is bound to hosts can't be asked about."
            .to_owned(),
    }
}

impl Read for SecretHost {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(std::future::ready(look(world, args).unwrap_or_else(Attempt::refused)))
    }
}

fn look(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let address = match world.reveal(given(args, "value").unwrap_or(&Value::Null), None)? {
        Value::Text(text) => text,
        other => return Err(invalid("value", &format!("expected an address, got {}", other.kind()))),
    };
    let Some(Value::List(names)) = given(args, "hosts") else {
        return Err(invalid("hosts", "expected a list of names"));
    };
    let names: Option<Vec<&str>> = names.iter().map(Value::as_text).collect();
    let names = names.ok_or_else(|| invalid("hosts", "expected texts, such as `.example.com`"))?;
    let host = host(&address);
    let listed = names.into_iter().find(|name| host.as_deref().is_some_and(|host| leads_to(host, name)));
    Ok(Attempt::done(Value::map([
        ("valid", Value::from(host.is_some())),
        ("host", Value::from(listed.unwrap_or_default())),
    ])))
}

/// In small letters, without the dot at its end, an IPv6 address without brackets.
fn host(address: &str) -> Option<String> {
    let url = Url::parse(address.trim()).ok()?;
    let host = match url.host()? {
        Host::Domain(name) => name.trim_end_matches('.').to_lowercase(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    (!host.is_empty()).then_some(host)
}

fn leads_to(host: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    match name.strip_prefix('.') {
        Some(parent) => host.strip_suffix(parent).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => host == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::outcome::Outcome;
    use crate::script::secret::{Sealed, SecretText};
    use crate::steps::world::{SealedValues, WorldSettings};

    async fn look_at(address: &'static str, hosts: &[&str]) -> Attempt {
        let sealed = SealedValues::opened_by(move |_| Ok(address.to_owned()));
        let world = World::new(WorldSettings { sealed, ..WorldSettings::default() });
        let value =
            SecretText::sealed(Sealed { name: "A".into(), digest: "d".into(), fingerprint: "f".into(), answer: false });
        let hosts = Value::List(hosts.iter().map(|host| Value::from(*host)).collect());
        let args = Map::from([("value".to_owned(), Value::Secret(value)), ("hosts".to_owned(), hosts)]);
        SecretHost.perform(&world, &args).await
    }

    #[tokio::test]
    async fn only_the_named_host_is_told() {
        let hosts = [".railway.internal", "localhost", "::1"];
        for (address, valid, host) in [
            ("postgres://u:pass-example@db.railway.internal:5432/app", true, ".railway.internal"),
            ("POSTGRES://u:pass-example@DB.Railway.Internal./app", true, ".railway.internal"),
            ("redis://localhost", true, "localhost"),
            ("http://[::1]:80/", true, "::1"),
            ("postgres://u:pass-example@proxy.example.com/railway.internal", true, ""),
            ("postgres://u:p@xrailway.internal/", true, ""),
            ("postgres://u:p@.railway.internal/", true, ""),
            ("not an address", false, ""),
            ("mailto:a@localhost", false, ""),
            ("", false, ""),
        ] {
            let attempt = look_at(address, &hosts).await;
            let expected = Value::map([("valid", Value::from(valid)), ("host", Value::from(host))]);
            assert_eq!((attempt.outcome, &attempt.outputs), (Outcome::Done, &expected), "{address}");
        }
    }

    #[tokio::test]
    async fn what_is_no_list_of_names_is_refused() {
        let world = World::new(WorldSettings::default());
        for hosts in [Value::Null, Value::from("localhost"), Value::List(vec![Value::Int(1)])] {
            let args = Map::from([("value".to_owned(), "http://localhost".into()), ("hosts".to_owned(), hosts)]);
            assert_eq!(SecretHost.perform(&world, &args).await.outcome, Outcome::Refused);
        }
    }
}
