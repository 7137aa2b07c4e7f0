//! `secret.check`: what is known to be wrong with values that nobody may see, as answers to a fixed list of questions.
//!
//! Secure by its form. The questions can't be chosen, and none takes an argument; so what can be learnt of a value is at
//! most one yes or no for each of [`FACTS`], however often it is asked. Of every good secret the answers are the same: long,
//! and nothing else. A value that is made of a secret is refused: with a text put before it, "is it long?" would count its
//! letters, and "is it a placeholder?" would guess them.

use url::{Host, Url};

use crate::engine::outcome::{Attempt, Failure};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::secret::SecretText;
use crate::script::value::{Map, Value};
use crate::steps::args::{given, invalid};
use crate::steps::schema::{output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

/// Characters of a secret that can't be guessed: 256 bits in hex are 64 of them, in base64 43; fewer than 32 is no key.
const LONG: usize = 32;
/// Values of one call: as many as one answer can seal.
const VALUES_MAX: usize = 1_000;
/// What stands in examples, and is left there by mistake: whole values, in small letters.
const LEFT_OUT: [&str; 16] = [
    "todo",
    "tbd",
    "fixme",
    "placeholder",
    "dummy",
    "example",
    "sample",
    "test",
    "secret",
    "password",
    "none",
    "null",
    "undefined",
    "default",
    "value",
    "string",
];
/// The same, anywhere in a value. Five letters or more, so that chance doesn't write them.
const LEFT_IN: [&str; 14] = [
    "changeme",
    "change-me",
    "change_me",
    "change this",
    "change-this",
    "change_this",
    "replaceme",
    "replace-me",
    "replace_me",
    "replace-with",
    "replace_with",
    "insert-your",
    "placeholder",
    "todo:",
];
/// What examples begin with: `your-secret-key`.
const BEGINNINGS: [&str; 4] = ["your-", "your_", "your ", "my-secret"];
/// Hosts that are this machine itself, beside the loopback addresses.
const OWN_HOSTS: [&str; 2] = ["localhost", "host.docker.internal"];

/// A question: its name, what yes means, and the answer.
type Fact = (&'static str, &'static str, fn(&str) -> bool);

/// All that is ever asked. A new one is a yes or no more that everybody can learn of every value: think first.
const FACTS: [Fact; 12] = [
    ("empty", "nothing, or blanks alone", |text| text.trim().is_empty()),
    ("long", "32 characters or more", |text| text.chars().count() >= LONG),
    ("placeholder", "what stands in examples, such as `changeme`, `your-key`, `<key>` or `xxxx`", is_placeholder),
    ("quoted", "in quotes, or with blanks around it, that were meant for the file it was copied from", is_quoted),
    ("reference", "a `$NAME` or `${…}` that nothing has put a value in the place of", is_reference),
    ("address", "an address with a host", |text| host(text).is_some()),
    ("local", "an address of the machine itself, such as `localhost`", is_local),
    ("insecure", "an address of plain `http`", |text| text.trim().to_lowercase().starts_with("http://")),
    ("port", "a whole number from 1 to 65535", |text| text.parse::<u16>().is_ok_and(|port| port > 0)),
    ("on", "`true`, `1`, `yes` or `on`", |text| is_one_of(text, &["true", "1", "yes", "on"])),
    ("wildcard", "with a `*` in it", |text| text.contains('*')),
    ("mail", "an address for mail, alone or as `Name <a@example.com>`", is_mail),
];

struct SecretCheck;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&SecretCheck) }
}

fn spec() -> ActionSpec {
    let lines: Vec<String> = FACTS.iter().map(|(name, meaning, _)| format!("- `{name}`: {meaning}")).collect();
    ActionSpec {
        name: "secret.check".to_owned(),
        title: "Say what is wrong with the form of secrets".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![required("values", Type::Map, "names, and secrets or texts; each as it was read")],
        outputs: vec![output("facts", Type::Map, "for each name a map of yes and no")],
        docs: format!(
            "\
```yaml
- id: form
  uses: secret.check
  with: {{ values: \"${{{{ steps.vars.outputs.values }}}}\" }}
```
`steps.form.outputs.facts.JWT_SECRET.long` is then true or false. The questions are these and no others, so that nobody \
can search a value out by asking:

{}

What is made of a secret can't be asked about, and neither can one that is bound to hosts.",
            lines.join("\n")
        ),
    }
}

impl Read for SecretCheck {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(std::future::ready(check(world, args).unwrap_or_else(Attempt::refused)))
    }
}

fn check(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let Some(Value::Map(values)) = given(args, "values") else {
        return Err(invalid("values", "expected a map of names and values"));
    };
    if values.len() > VALUES_MAX {
        return Err(invalid("values", &format!("expected at most {VALUES_MAX} of them, got {}", values.len())));
    }
    let mut facts = Map::new();
    for (name, value) in values {
        if let Value::Secret(secret) = value
            && !matches!(secret, SecretText::Name(_) | SecretText::Sealed(_))
        {
            let why =
                format!("`{name}` is made of a secret: expected the secret as it was read, or a text without one");
            return Err(invalid("values", &why));
        }
        let text = match world.reveal(value, None)? {
            Value::Text(text) => text,
            Value::Null => String::new(),
            number @ (Value::Int(_) | Value::Float(_) | Value::Bool(_)) => number.to_json().to_string(),
            other => return Err(invalid("values", &format!("`{name}` is a {}, expected a text", other.kind()))),
        };
        let answers = FACTS.map(|(fact, _, of)| (fact, Value::from(of(&text))));
        facts.insert(name.clone(), Value::map(answers));
    }
    Ok(Attempt::done(Value::map([("facts", Value::Map(facts))])))
}

fn is_one_of(text: &str, words: &[&str]) -> bool {
    words.contains(&text.trim().to_lowercase().as_str())
}

fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let in_brackets = text.len() > 2 && text.starts_with('<') && text.ends_with('>');
    // `xxxx`, `****`, `....`: one letter again and again is nobody's secret.
    let mut letters = text.chars();
    let first = letters.next();
    let one_letter = text.chars().count() > 2 && letters.all(|letter| Some(letter) == first);
    in_brackets
        || one_letter
        || LEFT_OUT.contains(&text.as_str())
        || LEFT_IN.iter().any(|part| text.contains(part))
        || BEGINNINGS.iter().any(|start| text.starts_with(start))
}

fn is_quoted(text: &str) -> bool {
    let quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    quoted('"') || quoted('\'') || (text != text.trim() && !text.trim().is_empty())
}

fn is_reference(text: &str) -> bool {
    let text = text.trim();
    let name = text.strip_prefix('$').unwrap_or_default();
    let is_name = name.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
    is_name || text.split_once("${").is_some_and(|(_, rest)| rest.contains('}'))
}

fn host(text: &str) -> Option<Url> {
    Url::parse(text.trim()).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()))
}

fn is_local(text: &str) -> bool {
    let Some(url) = host(text) else { return false };
    // Schemes that are not the web's keep an IPv4 address as a name.
    let name = url.host_str().unwrap_or_default().trim_end_matches('.').to_lowercase();
    match (url.host(), name.parse::<std::net::Ipv4Addr>()) {
        (Some(Host::Ipv6(ip)), _) => ip.is_loopback() || ip.is_unspecified(),
        (_, Ok(ip)) => ip.is_loopback() || ip.is_unspecified(),
        _ => OWN_HOSTS.contains(&name.as_str()) || name.ends_with(".localhost"),
    }
}

fn is_mail(text: &str) -> bool {
    text.trim().parse::<lettre::message::Mailbox>().is_ok_and(|mailbox| mailbox.email.domain().contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::outcome::Outcome;
    use crate::script::secret::Sealed;
    use crate::steps::world::{SealedValues, WorldSettings};

    fn sealed() -> SecretText {
        SecretText::sealed(Sealed { name: "A".into(), digest: "d".into(), fingerprint: "f".into(), answer: false })
    }

    async fn asked(value: Value, text: &'static str) -> Attempt {
        let sealed = SealedValues::opened_by(move |_| Ok(text.to_owned()));
        let world = World::new(WorldSettings { sealed, ..WorldSettings::default() });
        let args = Map::from([("values".to_owned(), Value::map([("A", value)]))]);
        SecretCheck.perform(&world, &args).await
    }

    /// The questions that are answered by yes.
    async fn yes(text: &'static str) -> Vec<&'static str> {
        let attempt = asked(Value::Secret(sealed()), text).await;
        assert_eq!(attempt.outcome, Outcome::Done, "{text}");
        let facts = attempt.outputs.get("facts").and_then(|facts| facts.get("A")).unwrap().clone();
        FACTS.iter().map(|(name, ..)| *name).filter(|name| facts.get(name) == Some(&Value::from(true))).collect()
    }

    #[tokio::test]
    async fn each_question_has_its_answer_and_a_good_secret_says_only_that_it_is_long() {
        for (text, expected) in [
            ("8f14e45fceea167a5a36dedd4bea2543", &["long"][..]),
            ("8f14e45fceea167a5a36dedd4bea254", &[]),
            ("ü".repeat(32).leak(), &["long", "placeholder"]),
            ("", &["empty"]),
            (" \t\n", &["empty"]),
            ("changeme", &["placeholder"]),
            ("prefix-CHANGE_ME-suffix", &["placeholder"]),
            ("your-secret-key-of-at-least-32-letters", &["long", "placeholder"]),
            ("<secret>", &["placeholder"]),
            ("xxxx", &["placeholder"]),
            ("Secret", &["placeholder"]),
            ("secretive", &[]),
            ("\"8f14e45f\"", &["quoted"]),
            ("8f14e45f\n", &["quoted"]),
            ("$PORT", &["reference"]),
            ("${PORT}", &["reference"]),
            ("postgres://${{Postgres.PGUSER}}@db.example.com/app", &["long", "reference", "address"]),
            ("$2b$12$hash", &[]),
            ("pa$$word", &[]),
            ("postgres://u:p@db.example.com:5432/app", &["long", "address"]),
            ("postgres://u:p@127.0.0.1:5432/app", &["long", "address", "local"]),
            ("redis://[::1]:6379", &["address", "local"]),
            ("http://localhost:3000", &["address", "local", "insecure"]),
            ("https://0.0.0.0", &["address", "local"]),
            ("https://app.localhost", &["address", "local"]),
            ("https://localhost.example.com", &["address"]),
            ("https://", &[]),
            ("db.example.com", &[]),
            ("8080", &["port"]),
            ("1", &["port", "on"]),
            ("0", &[]),
            ("65536", &[]),
            ("True", &["on"]),
            ("https://*.example.com", &["address", "wildcard"]),
            ("*", &["wildcard"]),
            ("no-reply@example.com", &["mail"]),
            ("Shop <no-reply@example.com>", &["mail"]),
            ("no-reply@", &[]),
            ("no-reply@localhost", &[]),
        ] {
            assert_eq!(yes(text).await, expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn what_is_made_of_a_secret_is_not_answered_for() {
        let counted = sealed().prefixed("24 letters to count with");
        for value in [counted, sealed().suffixed("x"), SecretText::Base64(Box::new(sealed()))] {
            let attempt = asked(Value::Secret(value), "8f14e45f").await;
            assert_eq!(attempt.outcome, Outcome::Refused);
            let message = attempt.failure.unwrap().message;
            assert!(message.contains("`A` is made of a secret"), "{message}");
            assert!(!message.contains("8f14e45f"));
        }
    }

    #[tokio::test]
    async fn texts_numbers_and_nothing_are_asked_about_and_lists_are_not() {
        for (value, fact) in [(Value::from("*"), "wildcard"), (Value::from(8080), "port"), (Value::Null, "empty")] {
            let attempt = asked(value, "").await;
            assert_eq!(attempt.outputs.get("facts").unwrap().get("A").unwrap().get(fact), Some(&Value::from(true)));
        }
        assert_eq!(asked(Value::List(Vec::new()), "").await.outcome, Outcome::Refused);
        let world = World::new(WorldSettings::default());
        let many = (0..=VALUES_MAX).map(|number| (number.to_string(), Value::Null)).collect();
        for (values, outcome) in [(Value::Map(many), Outcome::Refused), (Value::Map(Map::new()), Outcome::Done)] {
            let args = Map::from([("values".to_owned(), values)]);
            assert_eq!(SecretCheck.perform(&world, &args).await.outcome, outcome);
        }
    }
}
