//! `mail` of a project file: through which server messages go, from whom, and to which domains.
//!
//! A password never stands here: `password_secret` names a secret of the target, read when a message is sent.

use lettre::message::Mailbox;

use crate::runbook::node::Node;
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Keys, Reader};
use crate::runbook::settings::{host_fault, hosts};
use crate::runbook::source::Spanned;
use crate::runbook::words::{self, quoted};

/// How messages leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub smtp: Smtp,
    /// `name <address>` or an address: the sender of every message.
    pub from: String,
    /// Domains (`example.com`, `*.example.com`) that messages may go to; empty = nobody.
    pub allow_domains: Vec<String>,
}

/// The server that takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// Given together or not at all, and never without TLS.
    pub login: Option<Login>,
}

/// Who rerail is at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    /// Name of a secret of the target.
    pub password_secret: String,
}

/// How the connection is protected. Never opportunistic: without the protection asked for nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Plain until the server has agreed to TLS, which it must.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None at all: to this machine only, and never with credentials.
    None,
}

impl Security {
    /// The word for it in `security:`.
    pub fn word(self) -> &'static str {
        match self {
            Security::Starttls => "starttls",
            Security::Tls => "tls",
            Security::None => "none",
        }
    }

    /// The port where such servers listen.
    fn port(self) -> u16 {
        match self {
            Security::Starttls => 587,
            Security::Tls => 465,
            Security::None => 25,
        }
    }
}

pub(super) const MAIL: Keys = Keys {
    what: "mail setting",
    known: &["smtp", "from", "allow_domains"],
    later: &[],
    foreign: &[("sender", "write `from`"), ("allow_hosts", "write `allow_domains`")],
};
pub(super) const SMTP: Keys = Keys {
    what: "mail server",
    known: &["host", "port", "security", "user", "password_secret"],
    later: &[],
    foreign: &[
        ("password", "a password never stands in a file: `password_secret` names a secret of the target"),
        ("tls", "write `security: starttls` or `security: tls`"),
        ("username", "write `user`"),
    ],
};
const SECURITIES: &str = "starttls, tls or none";
pub(super) const SECURITY_WORDS: [&str; 3] = ["starttls", "tls", "none"];

/// Reads `mail`; `None` when it can't be used, which was said.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<Mail> {
    let fields = reader.fields(node, &MAIL)?;
    let smtp = reader.required(&fields, "smtp").and_then(|node| smtp(reader, node));
    let from = reader.required(&fields, "from").and_then(|node| sender(reader, node));
    let allow_domains = fields.get("allow_domains").map(|node| hosts(reader, node)).unwrap_or_default();
    Some(Mail { smtp: smtp?, from: from?, allow_domains })
}

fn sender(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node, "`from`")?;
    reader.name(&text, sender_fault).then_some(text.value)
}

fn smtp(reader: &mut Reader, node: &Node) -> Option<Smtp> {
    let fields = reader.fields(node, &SMTP)?;
    let host = reader.required(&fields, "host").and_then(|node| {
        let host = reader.text(node, "`host`")?;
        reader.name(&host, server_fault).then_some(host.value)
    });
    let security = match fields.get("security") {
        None => Some(Security::Starttls),
        Some(node) => reader.text(node, "`security`").and_then(|word| security(reader, &word)),
    };
    let port = match fields.get("port") {
        None => security.map(Security::port),
        Some(node) => port(reader, node),
    };
    let user = fields.get("user").and_then(|node| reader.title(node, "`user`"));
    let password_secret = fields.get("password_secret").and_then(|node| {
        let name = reader.text(node, "`password_secret`")?;
        reader.name(&name, words::secret_fault).then_some(name.value)
    });
    // A half is as wrong as credentials in the clear.
    let pair = ["user", "password_secret"].map(|key| fields.entry(key).map(|entry| entry.key.span));
    match pair {
        [Some(span), None] => reader.error("E0106", span, "`user` needs `password_secret`", "without its password"),
        [None, Some(span)] => reader.error("E0106", span, "`password_secret` needs `user`", "whose password?"),
        [Some(span), Some(_)] if security == Some(Security::None) => {
            let message = "credentials are never sent without TLS";
            reader.push(
                Problem::error("E0115", &reader.source, span, message)
                    .label("does not go with `security: none`")
                    .help("write `security: starttls` or `security: tls`, or leave `user` out"),
            );
            return None;
        }
        _ => {}
    }
    let (host, security) = (host?, security?);
    if security == Security::None
        && !is_this_machine(&host)
        && let Some(entry) = fields.entry("security")
    {
        let message = format!("mail to {} would cross the network without TLS", quoted(&host));
        reader.push(
            Problem::error("E0115", &reader.source, entry.key.span, message)
                .label("`security: none` is for a server on this machine")
                .help("write `security: starttls` or `security: tls`"),
        );
        return None;
    }
    let login = match (user, password_secret) {
        (Some(user), Some(password_secret)) => Some(Login { user, password_secret }),
        _ if pair.iter().any(Option::is_some) => return None,
        _ => None,
    };
    Some(Smtp { host, port: port?, security, login })
}

fn security(reader: &mut Reader, word: &Spanned<String>) -> Option<Security> {
    match word.value.as_str() {
        "starttls" => Some(Security::Starttls),
        "tls" => Some(Security::Tls),
        "none" => Some(Security::None),
        other => {
            let message = format!("expected {SECURITIES} for `security`, got {}", quoted(other));
            reader.error("E0107", reader.first_line(word.span), message, "not a kind of protection");
            None
        }
    }
}

fn port(reader: &mut Reader, node: &Node) -> Option<u16> {
    let number = reader.count(node, "`port`", 1)?;
    let port = u16::try_from(number).ok();
    if port.is_none() {
        reader.wrong(node, "`port`", "1 to 65535");
    }
    port
}

/// Whether a server of this name is on this machine by definition.
pub fn is_this_machine(host: &str) -> bool {
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => name == "localhost",
        Ok(url::Host::Ipv4(address)) => address.is_loopback(),
        Ok(url::Host::Ipv6(address)) => address.is_loopback(),
        Err(_) => host == "::1",
    }
}

fn server_fault(host: &str) -> Option<String> {
    match host_fault(host) {
        _ if host == "::1" => None,
        Some(fault) => Some(fault),
        None if host.starts_with("*.") => Some("must be one host, such as `smtp.example.com`".to_owned()),
        None => None,
    }
}

fn sender_fault(text: &str) -> Option<String> {
    let good = text.parse::<Mailbox>().is_ok_and(|sender| sender.email.to_string().is_ascii());
    let good = good && !text.chars().any(char::is_control);
    (!good).then(|| "must be an address such as `ops@example.com` or `Ops <ops@example.com>`".to_owned())
}

#[cfg(test)]
mod tests {
    use crate::runbook::settings::read_settings;
    use crate::runbook::source::Source;

    use super::*;

    fn read(mail: &str) -> (Option<Mail>, Vec<String>) {
        let text = format!("version: 1\nmail: {mail}\n");
        let (settings, problems) = read_settings(&Source::new("rerail.yaml", &text));
        (settings.mail, problems.iter().map(|problem| format!("{} {}", problem.code, problem.message)).collect())
    }

    fn server(fields: &str) -> (Option<Smtp>, Vec<String>) {
        let (mail, problems) = read(&format!("{{ smtp: {{ {fields} }}, from: ops@example.com }}"));
        (mail.map(|mail| mail.smtp), problems)
    }

    #[test]
    fn mail_is_read_whole_with_the_ports_of_its_kind() {
        let (mail, problems) = read(
            "{ smtp: { host: smtp.example.com, user: rerail, password_secret: SMTP_PASSWORD }, from: \"Ops <ops@example.com>\", allow_domains: [Example.com, \"*.example.org\"] }",
        );
        assert_eq!(problems, Vec::<String>::new());
        let mail = mail.unwrap();
        let login = Login { user: "rerail".into(), password_secret: "SMTP_PASSWORD".into() };
        assert_eq!(
            mail.smtp,
            Smtp { host: "smtp.example.com".into(), port: 587, security: Security::Starttls, login: Some(login) }
        );
        assert_eq!(
            (mail.from.as_str(), mail.allow_domains),
            ("Ops <ops@example.com>", vec!["example.com".into(), "*.example.org".into()])
        );
        for (fields, port, security) in [
            ("host: smtp.example.com, security: tls", 465, Security::Tls),
            ("host: smtp.example.com, security: tls, port: 2465", 2465, Security::Tls),
            ("host: localhost, security: none", 25, Security::None),
            ("host: 127.0.0.1, security: none, port: 1025", 1025, Security::None),
            ("host: \"[::1]\", security: none", 25, Security::None),
        ] {
            let (smtp, problems) = server(fields);
            assert_eq!(
                (smtp.map(|smtp| (smtp.port, smtp.security)), problems),
                (Some((port, security)), vec![]),
                "{fields}"
            );
        }
    }

    #[test]
    fn credentials_without_tls_and_plain_mail_over_the_network_are_refused() {
        for (fields, problem) in [
            (
                "host: localhost, security: none, user: a, password_secret: A_PASSWORD",
                "E0115 credentials are never sent without TLS",
            ),
            (
                "host: smtp.example.com, security: none",
                "E0115 mail to `smtp.example.com` would cross the network without TLS",
            ),
            ("host: 10.0.0.8, security: none", "E0115 mail to `10.0.0.8` would cross the network without TLS"),
        ] {
            let (smtp, problems) = server(fields);
            assert_eq!((smtp, problems), (None, vec![problem.to_owned()]), "{fields}");
        }
    }

    #[test]
    fn halves_and_wrong_values_are_named() {
        for (fields, code) in [
            ("port: 587", "E0106"),
            ("host: smtp.example.com, user: a", "E0106"),
            ("host: smtp.example.com, password_secret: A_PASSWORD", "E0106"),
            ("host: smtp.example.com, user: a, password: hunter2hunter2", "E0103"),
            ("host: smtp.example.com, security: ssl", "E0107"),
            ("host: smtp.example.com, port: 70000", "E0107"),
            ("host: smtp.example.com, port: 0", "E0107"),
            ("host: \"*.example.com\"", "E0105"),
            ("host: \"smtp.example.com:25\"", "E0105"),
            ("host: smtp.example.com, user: a, password_secret: lower-case", "E0105"),
        ] {
            let (_, problems) = server(fields);
            assert!(problems.iter().any(|problem| problem.starts_with(code)), "{fields}: {problems:?}");
        }
        for from in ["ops", "\"ops@example.com\\nBcc: x@example.net\"", "\"ops@exämple.com\"", "\"\""] {
            let (_, problems) = read(&format!("{{ smtp: {{ host: smtp.example.com }}, from: {from} }}"));
            assert!(!problems.is_empty(), "{from}");
        }
        assert!(read("{ from: ops@example.com }").1[0].starts_with("E0106"));
        assert!(
            read("{ smtp: { host: a.example.com }, from: a@example.com, allow_domains: [\"*\"] }").1[0]
                .starts_with("E0105")
        );
    }
}
