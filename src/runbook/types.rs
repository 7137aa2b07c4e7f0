//! Types of inputs and arguments.

use std::time::Duration;

use crate::runbook::nearest::nearest;
use crate::runbook::words::quoted;
use crate::script::limits::VALUE_DEPTH_MAX;
use crate::script::value::Value;

/// The type of an input, argument or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    String,
    Int,
    Float,
    Bool,
    /// `30s`, `1m30s`, `250ms`; kept as text.
    Duration,
    Url,
    Email,
    List,
    Map,
    Choice(Vec<String>),
    Secret,
    Any,
}

impl Type {
    /// The word in YAML and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Int => "int",
            Type::Float => "float",
            Type::Bool => "bool",
            Type::Duration => "duration",
            Type::Url => "url",
            Type::Email => "email",
            Type::List => "list",
            Type::Map => "map",
            Type::Choice(_) => "choice",
            Type::Secret => "secret",
            Type::Any => "any",
        }
    }

    /// The type a `type:` word names, with the words of a `choices:` list where it has one.
    ///
    /// # Errors
    /// `unknown type `strng``, with the nearest word.
    pub fn from_word(word: &str, choices: Vec<String>) -> Result<Type, String> {
        Ok(match word {
            "string" => Type::String,
            "int" => Type::Int,
            "float" => Type::Float,
            "bool" => Type::Bool,
            "duration" => Type::Duration,
            "url" => Type::Url,
            "email" => Type::Email,
            "list" => Type::List,
            "map" => Type::Map,
            "choice" => Type::Choice(choices),
            "secret" => Type::Secret,
            other => return Err(format!("unknown type {}", quoted(other))),
        })
    }

    /// Words that may stand after `type:`.
    pub const WORDS: [&'static str; 11] =
        ["string", "int", "float", "bool", "duration", "url", "email", "list", "map", "choice", "secret"];

    /// Whether its values are texts that may stand anywhere.
    pub fn is_text(&self) -> bool {
        matches!(self, Type::String | Type::Duration | Type::Url | Type::Email | Type::Choice(_))
    }

    /// Checks a value that already has a type and gives its canonical form (an int where a float is
    /// wanted becomes one). Unknown passes every type; a secret text passes `string`, `url` and `secret`.
    ///
    /// # Errors
    /// `expected duration such as 30s, got int 5`
    pub fn accept(&self, value: &Value) -> Result<Value, String> {
        match (self, value) {
            (_, Value::Unknown(_)) | (Type::Any, _) => Ok(value.clone()),
            (Type::String | Type::Url | Type::Secret, Value::Secret(_)) => Ok(value.clone()),
            (Type::String, Value::Text(_))
            | (Type::Int, Value::Int(_))
            | (Type::Float, Value::Float(_))
            | (Type::Bool, Value::Bool(_))
            | (Type::List, Value::List(_))
            | (Type::Map, Value::Map(_)) => Ok(value.clone()),
            #[expect(clippy::cast_precision_loss, reason = "a number written without a point where a float is wanted")]
            (Type::Float, Value::Int(number)) => Ok(Value::Float(*number as f64)),
            (Type::Duration, Value::Text(text)) => parse_duration(text).map(|_| value.clone()),
            (Type::Url, Value::Text(text)) => canonical_url(text).map(Value::Text),
            (Type::Email, Value::Text(text)) => check_email(text).map(|()| value.clone()),
            (Type::Choice(choices), Value::Text(text)) => match choices.contains(text) {
                true => Ok(value.clone()),
                false => Err(format!("expected one of {}, got {:?}", choices.join(", "), shortened(text))),
            },
            (Type::Secret, _) => {
                Err("a secret is never given by value: a target says where it comes from, or a step has \
                                      sealed it"
                    .to_owned())
            }
            (_, other) => Err(format!("expected {}, got {}", self.expectation(), seen(other))),
        }
    }

    /// Reads text a person typed (`-i key=value`) as this type. A list is JSON if it starts with `[`,
    /// else comma separated; a map is JSON; a secret is never given by value.
    ///
    /// # Errors
    /// As [`Type::accept`].
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let wrong = || format!("expected {}, got {:?}", self.expectation(), shortened(text));
        match self {
            Type::Int => text.parse().map(Value::Int).map_err(|_| wrong()),
            Type::Float => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Value::Float(number)),
                _ => Err(wrong()),
            },
            Type::Bool => match text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(wrong()),
            },
            Type::List if !text.trim_start().starts_with('[') => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::List(items.map(Value::from).collect()))
            }
            Type::List | Type::Map => {
                let json = serde_json::from_str(text).map_err(|error| format!("{}: {error}", wrong()))?;
                let value = Value::from_data(&json);
                if value.depth() > VALUE_DEPTH_MAX {
                    return Err(format!("a value nested deeper than {VALUE_DEPTH_MAX}"));
                }
                self.accept(&value)
            }
            _ => self.accept(&Value::from(text)),
        }
    }

    /// The name with an example where the name alone doesn't say what to write.
    fn expectation(&self) -> String {
        match self {
            Type::Bool => "true or false".to_owned(),
            Type::Duration => "duration such as 30s".to_owned(),
            Type::Url => "url such as https://example.com".to_owned(),
            Type::Email => "email such as ana@example.com".to_owned(),
            Type::Choice(choices) => format!("one of {}", choices.join(", ")),
            other => other.name().to_owned(),
        }
    }
}

/// Longest duration: a year; what waits longer is not an incident.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Units of a duration in milliseconds, longest first: the order in which a sum names them.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `250ms`, `30s`, `5m`, `2h`, `1d` and sums of them (`1m30s`).
///
/// # Errors
/// `expected a duration such as 30s or 1m30s, got "5"`
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a duration such as 30s or 1m30s, got {:?}", shortened(text));
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_ms = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
        let (_, unit_ms) = units.find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(wrong)?;
        total_ms = number.checked_mul(*unit_ms).and_then(|ms| total_ms.checked_add(ms)).ok_or_else(wrong)?;
        rest = &rest[letters..];
    }
    let total = Duration::from_millis(total_ms);
    if text.is_empty() {
        return Err(wrong());
    }
    if total > DURATION_MAX {
        return Err(format!("expected a duration of at most a year, got {:?}", shortened(text)));
    }
    Ok(total)
}

/// Schemes of services that can be looked at or written to. Any other word is a typo more often than a service.
const SCHEMES: [&str; 28] = [
    "http",
    "https",
    "ws",
    "wss",
    "grpc",
    "grpcs",
    "tcp",
    "tls",
    "udp",
    "redis",
    "rediss",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "amqp",
    "amqps",
    "mqtt",
    "mqtts",
    "nats",
    "ldap",
    "ldaps",
    "smtp",
    "smtps",
    "ssh",
    "sftp",
];

/// An address with a scheme and a host, as typed but without the slash of an empty path.
fn canonical_url(text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("expected url such as https://example.com, got {:?}{why}", shortened(text));
    // The parser forgives these silently; what is journaled and what is requested would differ.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(wrong(""));
    }
    if !text.contains("://") {
        return Err(wrong(&with_scheme(text).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()));
    }
    let url = url::Url::parse(text).map_err(|error| wrong(&format!(": {error}")))?;
    if !SCHEMES.contains(&url.scheme()) {
        let meant = nearest(url.scheme(), SCHEMES).map(|meant| format!("; did you mean {meant}://?"));
        return Err(wrong(&format!(", whose scheme is not one of a service{}", meant.unwrap_or_default())));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong(" without a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address must not hold a user or password: use a secret".to_owned());
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    Ok(if bare { text.strip_suffix('/').unwrap_or(text) } else { text }.to_owned())
}

/// The address that was meant by one without a scheme, if it looks like one: `localhost:8080`, `api.example.com/x`.
fn with_scheme(text: &str) -> Option<String> {
    let url = url::Url::parse(&format!("http://{text}")).ok()?;
    // Encryption is usual everywhere but on this machine and inside a network.
    let scheme = match url.host()? {
        url::Host::Domain(name) if name.contains('.') => "https",
        url::Host::Domain(name) if name == "localhost" || url.port().is_some() => "http",
        url::Host::Domain(_) => return None,
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => "http",
    };
    // `3` is an address to the parser, `0.0.0.3`.
    let address = text.contains(['.', ':']) || text.starts_with("localhost");
    (address && !text.contains('@')).then(|| format!("{scheme}://{text}"))
}

fn check_email(text: &str) -> Result<(), String> {
    let options = email_address::Options::default().without_display_text().without_domain_literal();
    let parsed = email_address::EmailAddress::parse_with_options(text, options);
    if parsed.is_err() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("expected email such as ana@example.com, got {:?}", shortened(text)));
    }
    Ok(())
}

/// Kind and value for a message, short: `int 5`, `list`.
fn seen(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{:?}", shortened(text)),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => format!("{} {value}", value.kind()),
        other => other.kind().to_owned(),
    }
}

fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut cut: String = text.chars().take(CHARS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::secret::SecretText;
    use crate::script::value::Unknown;

    #[test]
    fn durations_are_sums_of_units() {
        for (text, ms) in [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1m30s", 90_000), ("1d2h", 93_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in
            ["", "5", "s", "1.5h", "-1s", "30 s", "1s1m", "1m1m", "1w", "99999999999999999999s", "400d", "1M", "٣s"]
        {
            let error = parse_duration(text).unwrap_err();
            assert!(error.starts_with("expected a duration"), "{text}: {error}");
        }
        assert_eq!(parse_duration("5").unwrap_err(), "expected a duration such as 30s or 1m30s, got \"5\"");
    }

    #[test]
    fn an_address_without_a_scheme_or_with_a_misspelt_one_is_told_what_was_meant() {
        for (typed, meant) in [
            ("localhost:18100", "; did you mean http://localhost:18100?"),
            ("127.0.0.1:8000/health", "; did you mean http://127.0.0.1:8000/health?"),
            ("[::1]:8000", "; did you mean http://[::1]:8000?"),
            ("backend:8080", "; did you mean http://backend:8080?"),
            ("api.example.com", "; did you mean https://api.example.com?"),
            ("htps://api.example.com", ", whose scheme is not one of a service; did you mean https://?"),
            ("javascript://api.example.com", ", whose scheme is not one of a service"),
        ] {
            let error = Type::Url.read(typed).unwrap_err();
            assert_eq!(error, format!("expected url such as https://example.com, got {typed:?}{meant}"));
        }
        for typed in ["prod", "", "7", "ana@example.com", "a b"] {
            assert!(!Type::Url.read(typed).unwrap_err().contains("did you mean"), "{typed}");
        }
    }

    #[test]
    fn urls_print_as_typed_without_the_slash_of_an_empty_path() {
        for (typed, kept) in [
            ("https://api.example.com/", "https://api.example.com"),
            ("https://API.example.com", "https://API.example.com"),
            ("https://api.example.com/a/", "https://api.example.com/a/"),
            ("https://api.example.com/?q=1", "https://api.example.com/?q=1"),
            ("redis://cache.internal:6379", "redis://cache.internal:6379"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(Type::Url.read(typed), Ok(Value::from(kept)));
        }
        for bad in [
            "example.com",
            "https:/example.com",
            "https://",
            "file:///etc/passwd",
            "https://ana:pw@example.com",
            "https://ana@example.com",
            " https://example.com",
            "https://exa\nmple.com",
            "https:\\\\example.com",
            "javascript:alert(1)",
            "mailto:ana@example.com",
            "",
        ] {
            assert!(Type::Url.read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn emails_are_single_addresses() {
        assert!(Type::Email.read("team@example.com").is_ok());
        for bad in
            ["", "team", "a@b@c", "Ana <ana@example.com>", "a@example.com\r\nBcc: b@example.com", "a b@example.com"]
        {
            assert!(Type::Email.read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn accept_names_what_was_expected_and_what_came() {
        assert_eq!(Type::Duration.accept(&Value::Int(5)), Err("expected duration such as 30s, got int 5".into()));
        assert_eq!(Type::String.accept(&Value::Bool(true)), Err("expected string, got bool true".into()));
        assert_eq!(Type::Float.accept(&Value::Int(2)), Ok(Value::Float(2.0)));
        assert!(Type::Int.accept(&Value::Float(2.0)).is_err());
        let choice = Type::Choice(vec!["safe".into(), "not safe".into()]);
        assert_eq!(choice.accept(&"sure".into()), Err("expected one of safe, not safe, got \"sure\"".into()));
        assert!(choice.accept(&"not safe".into()).is_ok());
    }

    #[test]
    fn unknown_passes_every_type_and_a_secret_few() {
        let unknown = Value::Unknown(Unknown { origin: "deploy".into() });
        let secret = Value::Secret(SecretText::named("TOKEN"));
        for word in Type::WORDS {
            let ty = Type::from_word(word, vec![]).unwrap();
            assert_eq!(ty.accept(&unknown), Ok(unknown.clone()));
            assert_eq!(ty.accept(&secret).is_ok(), matches!(word, "string" | "url" | "secret"), "{word}");
        }
        assert!(Type::Secret.read("hunter2hunter2").unwrap_err().contains("never given by value"));
    }

    #[test]
    fn typed_text_is_read_by_its_type() {
        assert_eq!(Type::List.read("a, b"), Ok(Value::List(vec!["a".into(), "b".into()])));
        assert_eq!(Type::List.read("[1, \"b\"]"), Ok(Value::List(vec![Value::Int(1), "b".into()])));
        assert_eq!(Type::List.read(""), Ok(Value::List(vec![])));
        assert_eq!(Type::Map.read("{\"a\": true}"), Ok(Value::map([("a", Value::Bool(true))])));
        assert_eq!(Type::Int.read("-5"), Ok(Value::Int(-5)));
        assert_eq!(Type::String.read("5"), Ok(Value::from("5")));
        for (ty, text) in
            [(Type::Int, "5x"), (Type::Bool, "yes"), (Type::Float, "NaN"), (Type::Map, "[1]"), (Type::Map, "{")]
        {
            assert!(ty.read(text).is_err(), "{text}");
        }
        assert!(Type::List.read(&format!("{}1{}", "[".repeat(100), "]".repeat(100))).is_err());
    }
}
