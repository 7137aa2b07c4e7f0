//! A message: who gets it, and its bytes. Whatever could turn one header into two is refused here, before
//! any library sees it.

use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MessageBuilder, MultiPart, SinglePart};
use sha2::{Digest as _, Sha256};

use crate::engine::outcome::{Failure, FailureKind};
use crate::runbook::mail::Mail;
use crate::script::hex::hex;
use crate::script::value::{Map, Value};
use crate::steps::args::{given, invalid, optional_text, text};
use crate::steps::egress::host_matches;

/// Recipients of one message: who has to tell more people has a list for it.
const RECIPIENTS_MAX: usize = 50;
/// Characters of a subject: more than any reader shows.
const SUBJECT_CHARS_MAX: usize = 200;
/// Bytes of a body: a report fits, a dump of a log belongs elsewhere.
const BODY_BYTES_MAX: usize = 512 * 1024;
/// Bytes of the key's digest in a Message-ID: enough never to meet again.
const ID_BYTES: usize = 16;

/// A message ready to be sent.
pub(in crate::steps) struct Letter {
    pub from: Address,
    /// All of `to` and `cc`, each once.
    pub recipients: Vec<Address>,
    /// With brackets; the same for every sending of the same step with the same arguments.
    pub message_id: String,
    /// Header and body, ASCII, lines of CRLF.
    pub bytes: Vec<u8>,
}

/// Writes the message that `args` describe; `key` is the step's idempotency key.
///
/// # Errors
/// An argument that can't stand in a message, or a recipient nobody allowed.
pub(in crate::steps) fn write(mail: &Mail, args: &Map, key: &str) -> Result<Letter, Failure> {
    let from = mailbox("from", &mail.from)?;
    let (to, cc) = (mailboxes(args, "to")?, mailboxes(args, "cc")?);
    if to.is_empty() {
        return Err(invalid("to", "is required: an address, or a list of them"));
    }
    let mut recipients: Vec<Address> = Vec::new();
    for recipient in to.iter().chain(&cc) {
        allowed(mail, &recipient.email)?;
        if !recipients.contains(&recipient.email) {
            recipients.push(recipient.email.clone());
        }
    }
    if recipients.len() > RECIPIENTS_MAX {
        return Err(invalid("to", &format!("{} recipients, at most {RECIPIENTS_MAX}", recipients.len())));
    }
    let digest = Sha256::digest(key.as_bytes());
    let message_id = format!("<{}@{}>", hex(&digest[..ID_BYTES]), from.email.domain());
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let mut message = Message::builder()
        .from(from.clone())
        .subject(subject(args)?)
        .message_id(Some(message_id.clone()))
        // Tells vacation replies and ticket systems not to answer.
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
    message = to.into_iter().fold(message, MessageBuilder::to);
    message = cc.into_iter().fold(message, MessageBuilder::cc);
    if let Some(reply_to) = optional_text(args, "reply_to")? {
        message = message.reply_to(mailbox("reply_to", reply_to)?);
    }
    let bytes = bodied(message, args)?;
    Ok(Letter { from: from.email, recipients, message_id, bytes })
}

fn bodied(message: MessageBuilder, args: &Map) -> Result<Vec<u8>, Failure> {
    let text = body("text", text(args, "text")?)?;
    let message = match optional_text(args, "html")? {
        None => message.singlepart(SinglePart::plain(text)),
        Some(html) => message.multipart(MultiPart::alternative_plain_html(text, body("html", html)?)),
    };
    let message = message.map_err(|error| invalid("text", &format!("makes no message: {error}")))?;
    let bytes = message.formatted();
    // The library encodes everything; a server is never asked for more than the oldest one takes.
    match bytes.is_ascii() {
        true => Ok(bytes),
        false => Err(invalid("text", "could not be encoded as ASCII")),
    }
}

/// A body with lines that end one way only, so that no server sees a line the others don't.
fn body(name: &str, text: &str) -> Result<String, Failure> {
    if text.len() > BODY_BYTES_MAX {
        return Err(invalid(name, &format!("{} bytes, at most {BODY_BYTES_MAX}", text.len())));
    }
    if let Some(control) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(invalid(name, &format!("holds the control character {}", control.escape_unicode())));
    }
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

fn subject(args: &Map) -> Result<&str, Failure> {
    let subject = text(args, "subject")?;
    one_line("subject", subject)?;
    let chars = subject.chars().count();
    if subject.trim().is_empty() {
        return Err(invalid("subject", "is blank"));
    }
    if chars > SUBJECT_CHARS_MAX {
        return Err(invalid("subject", &format!("{chars} characters, at most {SUBJECT_CHARS_MAX}")));
    }
    Ok(subject)
}

/// One address, or a list of them; none if left out.
fn mailboxes(args: &Map, name: &str) -> Result<Vec<Mailbox>, Failure> {
    let single;
    let items = match given(args, name) {
        None => return Ok(Vec::new()),
        Some(Value::List(items)) => items.as_slice(),
        Some(other) => {
            single = [other.clone()];
            &single
        }
    };
    let wrong = |item: &Value| invalid(name, &format!("expected an address or a list of them, got {}", item.kind()));
    items.iter().map(|item| mailbox(name, item.as_text().ok_or_else(|| wrong(item))?)).collect()
}

fn mailbox(name: &str, text: &str) -> Result<Mailbox, Failure> {
    one_line(name, text)?;
    let mailbox: Mailbox =
        text.trim().parse().map_err(|error| invalid(name, &format!("{text:?} is not an address: {error}")))?;
    if !mailbox.email.to_string().is_ascii() {
        return Err(invalid(name, &format!("{text:?}: an address is ASCII, a name before it needn't be")));
    }
    Ok(mailbox)
}

fn one_line(name: &str, text: &str) -> Result<(), Failure> {
    // Beside the controls the two that Unicode calls line breaks: some readers obey them.
    match text.chars().find(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        None => Ok(()),
        Some(control) => Err(invalid(name, &format!("holds {}, and is one line", control.escape_unicode()))),
    }
}

fn allowed(mail: &Mail, address: &Address) -> Result<(), Failure> {
    let domain = address.domain().to_ascii_lowercase();
    if mail.allow_domains.iter().any(|pattern| host_matches(pattern, &domain)) {
        return Ok(());
    }
    let message = format!(
        "{address}: no mail goes to {domain}; who may write there lists it in `mail: allow_domains:` of rerail.yaml"
    );
    Err(Failure::new(FailureKind::Policy, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::runbook::mail::{Security, Smtp};

    use super::*;

    fn mail() -> Mail {
        let smtp = Smtp { host: "localhost".into(), port: 25, security: Security::None, login: None };
        let allow_domains = vec!["example.com".into(), "*.example.org".into()];
        Mail { smtp, from: "Ops <ops@example.com>".into(), allow_domains }
    }

    fn letter(more: serde_json::Value) -> Result<Letter, Failure> {
        let Value::Map(mut args) =
            Value::from_data(&json!({"to": "ana@example.com", "subject": "Well", "text": "All is well."}))
        else {
            unreachable!()
        };
        if let Value::Map(more) = Value::from_data(&more) {
            args.extend(more);
        }
        write(&mail(), &args, "run/step/digest")
    }

    fn written(more: serde_json::Value) -> String {
        String::from_utf8(letter(more).unwrap().bytes).unwrap()
    }

    #[test]
    fn a_message_says_who_when_and_that_it_is_automatic() {
        let text =
            written(json!({"cc": ["Ben <ben@sub.example.org>"], "reply_to": "desk@example.net", "subject": "Wêll"}));
        for line in [
            "From: Ops <ops@example.com>\r\n",
            "To: ana@example.com\r\n",
            "Cc: Ben <ben@sub.example.org>\r\n",
            "Reply-To: desk@example.net\r\n",
            "Subject: =?utf-8?b?V8OqbGw=?=\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "\r\nDate: ",
            "\r\n\r\nAll is well.",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }

    #[test]
    fn the_message_id_is_that_of_the_key() {
        let (one, again) = (letter(json!({})).unwrap(), letter(json!({})).unwrap());
        assert_eq!(one.message_id, again.message_id);
        assert!(one.message_id.ends_with("@example.com>") && one.message_id.len() == 2 * ID_BYTES + 14);
        assert!(String::from_utf8(one.bytes).unwrap().contains(&format!("Message-ID: {}\r\n", one.message_id)));
    }

    #[test]
    fn nothing_makes_a_second_header() {
        for wrong in [
            json!({"subject": "a\r\nBcc: eve@example.net"}),
            json!({"subject": "a\nb"}),
            json!({"subject": "a\rb"}),
            json!({"subject": "a\u{0}b"}),
            json!({"subject": "a\u{85}b"}),
            json!({"subject": "a\u{2028}b"}),
            json!({"subject": "a\u{1b}[2Jb"}),
            json!({"to": "ana@example.com\r\nBcc: eve@example.net"}),
            json!({"to": "Ana\r\nBcc: eve@example.net <ana@example.com>"}),
            json!({"to": ["ana@example.com>\r\nRCPT TO:<eve@example.net"]}),
            json!({"cc": "ben@example.com\n"}),
            json!({"reply_to": "a@example.com\r\nX: y"}),
            json!({"text": "a\u{0}b"}),
            json!({"html": "a\u{8}b"}),
        ] {
            let failure = letter(wrong.clone()).err().unwrap_or_else(|| panic!("{wrong}"));
            assert_eq!(failure.kind, FailureKind::Argument, "{wrong}");
        }
        let hostile = written(json!({"text": "a\r.\rb\n.\nc\r\n.\r\nQUIT", "html": "<p>\n.\n</p>"}));
        assert!(!hostile.replace("\r\n", "").contains(['\r', '\n']), "{hostile:?}");
    }

    #[test]
    fn only_allowed_domains_get_mail() {
        for (to, allowed) in [
            (json!("ana@EXAMPLE.com"), true),
            (json!("ana@a.b.example.org"), true),
            (json!("ana@example.org"), false),
            (json!("ana@example.com.evil.net"), false),
            (json!("ana@notexample.com"), false),
            (json!("\"ana@example.com\"@example.net"), false),
            (json!(["ana@example.com", "eve@example.net"]), false),
        ] {
            let written = letter(json!({"to": to}));
            assert_eq!(written.is_ok(), allowed, "{to}: {:?}", written.err());
        }
        let nobody = Mail { allow_domains: vec![], ..mail() };
        let args = Map::from([("to".to_owned(), Value::from("ana@example.com"))]);
        let failure = write(&nobody, &args, "k").err().unwrap();
        assert_eq!(failure.kind, FailureKind::Policy);
        assert!(failure.message.contains("allow_domains"), "{}", failure.message);
    }

    #[test]
    fn limits_hold_at_the_limit_and_one_past_it() {
        let people = |count: usize| (0..count).map(|n| format!("p{n}@example.com")).collect::<Vec<_>>();
        for (at, past) in [
            (json!({"subject": "é".repeat(200)}), json!({"subject": "é".repeat(201)})),
            (json!({"text": "x".repeat(BODY_BYTES_MAX)}), json!({"text": "x".repeat(BODY_BYTES_MAX + 1)})),
            (json!({"to": people(50)}), json!({"to": people(51)})),
            (json!({"to": people(50), "cc": people(50)}), json!({"to": people(50), "cc": ["x@example.com"]})),
        ] {
            assert!(letter(at).is_ok());
            assert_eq!(letter(past).err().unwrap().kind, FailureKind::Argument);
        }
        for wrong in [
            json!({"subject": " "}),
            json!({"to": []}),
            json!({"to": 7}),
            json!({"to": "ana"}),
            json!({"to": "ana@exämple.com"}),
        ] {
            assert_eq!(letter(wrong.clone()).err().unwrap().kind, FailureKind::Argument, "{wrong}");
        }
    }
}
