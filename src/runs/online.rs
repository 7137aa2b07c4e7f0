//! Whether the places a target names can be reached from here: resolved and connected to, nothing sent.

use std::collections::BTreeSet;

use tokio::task::JoinSet;
use url::Url;

use crate::engine::outcome::{Attempt, Outcome};
use crate::runbook::settings::Target;
use crate::runs::Runs;
use crate::runs::checkup::{Checkup, Fitness};
use crate::runs::drive::on_event_loop;
use crate::runs::error::{ErrorKind, RunsError};
use crate::script::value::{Map, Value};
use crate::steps::world::World;
use crate::steps::{Primitive, catalog};

/// Places that are looked at; a target names a few, and each is a connection.
const PLACES_MAX: usize = 50;
/// Where a host listens that is only named: these are hosts of APIs.
const PORT: u16 = 443;
/// Days below which a certificate is somebody's business today.
const CERTIFICATE_DAYS_MIN: i64 = 14;

/// One place to connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    host: String,
    port: u16,
    tls: bool,
}

impl Runs {
    /// Connects to each host a target names (its providers' addresses, `allow_hosts`, hosts of secrets) and to the mail
    /// server, all at once, and says what it saw. Patterns name no host and are left out. Nothing is sent but TLS
    /// handshakes; each look ends within ten seconds.
    ///
    /// # Errors
    /// If there is no such target, or it can't be read.
    pub fn reach(&self, target: &str) -> Result<Vec<Checkup>, RunsError> {
        let (target, _, name) = self.project().target(target)?;
        let ground = self.ground()?;
        let mut places = places(&target);
        if let Some(mail) = &ground.settings.mail {
            places.insert(Place { host: mail.smtp.host.clone(), port: mail.smtp.port, tls: false });
        }
        if places.is_empty() {
            let says = format!("target {name} names no host");
            return Ok(vec![Checkup::new("network", Fitness::Doubtful, says).hint("nothing was connected to")]);
        }
        if places.len() > PLACES_MAX {
            let says = format!("target {name} names {} hosts, at most {PLACES_MAX} are looked at", places.len());
            return Err(RunsError::new(ErrorKind::Usage, says));
        }
        let world = World::new(self.allowed(&ground, Some(&target)));
        on_event_loop(async move {
            let mut looks = JoinSet::new();
            for place in places {
                let world = world.clone();
                looks.spawn(async move { (place.clone(), look(&world, &place).await) });
            }
            // In the order of their names, whoever answered first.
            let seen: std::collections::BTreeMap<_, _> = looks.join_all().await.into_iter().collect();
            seen.into_values().collect()
        })
    }
}

/// The places a target names.
fn places(target: &Target) -> BTreeSet<Place> {
    let mut found = BTreeSet::new();
    addresses(&Value::Map(target.providers.clone()), &mut found);
    let hosts = target.allow_hosts.iter().chain(target.secrets.values().flat_map(|secret| &secret.hosts));
    for host in hosts.filter(|host| !host.contains('*')) {
        // One whose port is known is looked at there.
        if !found.iter().any(|place| place.host == *host) {
            found.insert(Place { host: host.clone(), port: PORT, tls: true });
        }
    }
    found
}

/// Addresses in what providers say. One that holds a secret is not read here: its hosts are those of the secret.
fn addresses(value: &Value, found: &mut BTreeSet<Place>) {
    match value {
        Value::Text(text) => {
            let Ok(url) = Url::parse(text) else { return };
            if let (Some(host), Some(port), "http" | "https") =
                (url.host_str(), url.port_or_known_default(), url.scheme())
            {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                found.insert(Place { host, port, tls: url.scheme() == "https" });
            }
        }
        Value::List(items) => items.iter().for_each(|item| addresses(item, found)),
        Value::Map(map) => map.values().for_each(|value| addresses(value, found)),
        _ => {}
    }
}

/// Connects, under the rules of the target, as a step would.
async fn look(world: &World, place: &Place) -> Checkup {
    let what = format!("{}:{}", place.host, place.port);
    let args = Map::from([
        ("host".to_owned(), Value::from(place.host.as_str())),
        ("port".to_owned(), Value::from(i64::from(place.port))),
    ]);
    let connected = performed(world, "tcp.connect", &args).await;
    let (ok, stood) = said(&connected);
    if !ok {
        return Checkup::new(&what, Fitness::Broken, stood).hint("a step that goes there would fail");
    }
    if !place.tls {
        return Checkup::new(&what, Fitness::Well, stood);
    }
    let secured = performed(world, "tls.inspect", &args).await;
    let (ok, refused) = said(&secured);
    let days = match secured.outputs.get("days_left") {
        Some(Value::Int(days)) => Some(*days),
        _ => None,
    };
    match (ok, days) {
        (false, _) => Checkup::new(&what, Fitness::Broken, format!("{stood}, no TLS: {refused}"))
            .hint("`ca:` of the target names further certificates to trust"),
        (true, Some(days)) if days < CERTIFICATE_DAYS_MIN => {
            Checkup::new(&what, Fitness::Doubtful, format!("{stood}, its certificate ends in {days} days"))
        }
        (true, Some(days)) => Checkup::new(&what, Fitness::Well, format!("{stood}, certificate for {days} days")),
        (true, None) => Checkup::new(&what, Fitness::Well, stood),
    }
}

async fn performed(world: &World, action: &str, args: &Map) -> Attempt {
    match catalog::find(action).map(|entry| entry.primitive) {
        Some(Primitive::Read(read)) => read.perform(world, args).await,
        _ => unreachable!("`{action}` is a read of the catalog"),
    }
}

/// Whether a look was good, and what was seen.
fn said(look: &Attempt) -> (bool, String) {
    let text = |value: Option<&Value>| match value {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    };
    if look.outcome != Outcome::Done {
        return (false, look.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default());
    }
    if look.outputs.get("ok") != Some(&Value::Bool(true)) {
        return (false, text(look.outputs.get("error").and_then(|error| error.get("message"))));
    }
    let ms = match look.outputs.get("ms") {
        Some(Value::Int(ms)) => *ms,
        _ => 0,
    };
    (true, format!("answers at {} in {ms} ms", text(look.outputs.get("address"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::settings::{From, SecretSource};

    #[test]
    fn hosts_are_found_in_providers_rules_and_secrets_once_each_and_patterns_are_left_out() {
        let hosts = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let wait = Value::map([("url", Value::from("http://[::1]:8080/health"))]);
        let redeploy = Value::map([
            ("url", Value::from("https://hooks.example.com:8443/x")),
            ("wait", wait),
            ("json", Value::from("ftp://elsewhere.example.com/")),
        ]);
        let secret = SecretSource { from: From::Env { name: "A".into() }, hosts: hosts(&["api.example.com"]) };
        let target = Target {
            allow_hosts: hosts(&["hooks.example.com", "*.example.com", "api.example.com"]),
            secrets: [("A".to_owned(), secret)].into(),
            providers: Map::from([("redeploy".to_owned(), redeploy)]),
            ..Target::default()
        };
        let seen: Vec<String> =
            places(&target).iter().map(|place| format!("{} {} {}", place.host, place.port, place.tls)).collect();
        assert_eq!(seen, ["::1 8080 false", "api.example.com 443 true", "hooks.example.com 8443 true"]);
    }
}
