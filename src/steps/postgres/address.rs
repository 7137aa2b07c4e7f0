//! Where a database is and who asks: a `postgres://` address taken apart. Its text is never shown, because
//! the password stands in it.

use percent_encoding::percent_decode_str;
use url::Host;

use crate::engine::outcome::Failure;
use crate::script::value::Value;
use crate::steps::args::invalid;
use crate::steps::egress::host_text;
use crate::steps::world::World;

/// The port PostgreSQL listens on.
const PORT: u16 = 5432;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::steps) enum Tls {
    Off,
    /// If the server can, without a look at its certificate.
    Prefer,
    /// Always, without a look at its certificate.
    Require,
    /// Always, with a certificate that is valid and for the host.
    Verify,
}

impl Tls {
    /// The words of the argument.
    pub(in crate::steps) const WORDS: [&'static str; 4] = ["prefer", "require", "verify", "off"];

    /// Reads a word of the argument.
    pub(in crate::steps) fn of(word: &str) -> Option<Tls> {
        match word {
            "off" => Some(Tls::Off),
            "prefer" => Some(Tls::Prefer),
            "require" => Some(Tls::Require),
            "verify" => Some(Tls::Verify),
            _ => None,
        }
    }
}

/// An address taken apart. Holds a password: it is neither printed nor kept.
pub(in crate::steps) struct Address {
    pub host: Host,
    /// As in messages and rules.
    pub shown: String,
    pub port: u16,
    pub user: String,
    pub password: Option<String>,
    pub database: String,
    pub tls: Tls,
}

/// Reads the argument `url` and checks that it may be connected to. `tls` wins over the address's `sslmode`;
/// without both, a connection that leaves this machine is verified.
///
/// # Errors
/// An unusable address, a host that is not allowed, a secret that may not go there.
pub(in crate::steps) fn read(world: &World, value: &Value, tls: Option<Tls>) -> Result<Address, Failure> {
    let problem = |text: &str| invalid("url", text);
    let url = world.reveal_database_url(value)?;
    let host = world.host(url.host_str().unwrap_or_default())?;
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(std::borrow::Cow::into_owned).map_err(|_| problem("holds an escape that is not UTF-8"))
    };
    let user = decoded(url.username())?;
    if user.is_empty() {
        return Err(problem("names no user: postgres://USER:PASSWORD@HOST/DATABASE"));
    }
    let password = url.password().map(decoded).transpose()?;
    let path = decoded(url.path().trim_start_matches('/'))?;
    let mut mode = None;
    for (key, value) in url.query_pairs() {
        match &*key {
            "sslmode" => mode = Some(sslmode(&value).ok_or_else(|| problem("has an unknown sslmode"))?),
            // What other clients keep there for themselves.
            "application_name" | "connect_timeout" | "channel_binding" => {}
            _ => return Err(problem("has a parameter other than sslmode; settings of a session can't be given")),
        }
    }
    let here = match &host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    Ok(Address {
        shown: host_text(&host),
        host,
        port: url.port().unwrap_or(PORT),
        database: if path.is_empty() { user.clone() } else { path },
        user,
        password,
        tls: tls.or(mode).unwrap_or(if here { Tls::Prefer } else { Tls::Verify }),
    })
}

fn sslmode(word: &str) -> Option<Tls> {
    match word {
        "disable" => Some(Tls::Off),
        "allow" | "prefer" => Some(Tls::Prefer),
        "require" => Some(Tls::Require),
        "verify-ca" | "verify-full" => Some(Tls::Verify),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::outcome::FailureKind;
    use crate::steps::world::WorldSettings;

    use super::*;

    fn address(text: &str, tls: Option<Tls>) -> Result<Address, Failure> {
        read(&World::new(WorldSettings::default()), &Value::from(text), tls)
    }

    #[test]
    fn an_address_is_taken_apart() {
        let whole =
            address("postgres://app%40x:p%3Aw%2Fx@db.example.com:6543/shop%20eu?sslmode=require", None).unwrap();
        assert_eq!((whole.shown.as_str(), whole.port, whole.user.as_str()), ("db.example.com", 6543, "app@x"));
        assert_eq!((whole.password.as_deref(), whole.database.as_str()), (Some("p:w/x"), "shop eu"));
        assert_eq!(whole.tls, Tls::Require);
        let short = address("postgresql://app@db.example.com", None).unwrap();
        assert_eq!((short.port, short.database.as_str(), short.password), (5432, "app", None));
    }

    #[test]
    fn what_leaves_this_machine_is_verified_unless_somebody_says_otherwise() {
        for (text, given, tls) in [
            ("postgres://a@db.example.com/", None, Tls::Verify),
            ("postgres://a@10.0.0.8/", None, Tls::Verify),
            ("postgres://a@localhost/", None, Tls::Prefer),
            ("postgres://a@127.0.0.1/", None, Tls::Prefer),
            ("postgres://a@[::1]/", None, Tls::Prefer),
            ("postgres://a@127.0.0.1.example.com/", None, Tls::Verify),
            ("postgres://a@db.example.com/?sslmode=disable", None, Tls::Off),
            ("postgres://a@db.example.com/?sslmode=disable", Some(Tls::Verify), Tls::Verify),
            ("postgres://a@db.example.com/?sslmode=verify-full&connect_timeout=5", Some(Tls::Off), Tls::Off),
        ] {
            assert_eq!(address(text, given).unwrap().tls, tls, "{text}");
        }
    }

    #[test]
    fn a_wrong_address_is_refused_without_being_shown() {
        for text in [
            "http://a:hunter2hunter2@db.example.com/",
            "postgres://hunter2hunter2",
            "postgres:///hunter2hunter2",
            "postgres://a:hunter2hunter2@/db",
            "hunter2hunter2",
            "postgres://a:hunter2hunter2@db.example.com:99999/",
            "postgres://a:hunter2hunter2@db.example.com/?sslmode=hunter2hunter2",
            "postgres://a:hunter2hunter2@db.example.com/?options=hunter2hunter2",
            "postgres://a:hunter2hunter2@169.254.169.254/",
            "postgres://a:%ff@db.example.com/",
        ] {
            let failure = address(text, None).err().unwrap_or_else(|| panic!("{text}"));
            assert!(matches!(failure.kind, FailureKind::Argument | FailureKind::Policy), "{text}");
            assert!(!failure.message.contains("hunter2"), "{}", failure.message);
        }
    }
}
