//! Mail against servers that refuse, lie, break off and strip TLS: what is sent where, and what a run knows
//! of it afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rerail::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use rerail::redact::Redactor;
use rerail::runbook::egress::Egress;
use rerail::runbook::mail::{Login, Mail, Security, Smtp};
use rerail::runbook::settings::{From, SecretSource, Settings};
use rerail::script::secret::SecretText;
use rerail::script::value::{Map, Value};
use rerail::steps::world::{World, WorldSettings};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::services::Mailbox;
use crate::steps::kit::{Authority, Server, args, hurried, perform};

pub const PASSWORD: &str = "not-a-real-password";

/// What a server does at a verb instead of what it should.
#[derive(Clone, Copy, Debug)]
enum Act {
    Say(&'static str),
    Drop,
    /// Resets the connection after this many bytes of the message.
    ResetAfter(usize),
    Stall,
}

/// A server by its deviations; verbs are CONNECT EHLO STARTTLS AUTH MAIL RCPT DATA DOT.
#[derive(Clone, Default)]
pub struct Script {
    acts: BTreeMap<&'static str, Act>,
    /// Replies to the second recipient only.
    second: Option<&'static str>,
    /// Sent together with the reply to STARTTLS, before TLS.
    injected: &'static str,
}

/// Lines that came before TLS and inside it.
#[derive(Clone, Default)]
pub struct Log {
    plain: Arc<Mutex<String>>,
    secured: Arc<Mutex<String>>,
}

impl Log {
    pub fn plain(&self) -> String {
        self.plain.lock().unwrap().clone()
    }

    pub fn secured(&self) -> String {
        self.secured.lock().unwrap().clone()
    }
}

/// A mail server of ours at `localhost`, and a project that sends by it.
pub struct Post {
    pub server: Server,
    pub log: Log,
    authority: Authority,
    project: TempDir,
}

impl Post {
    pub async fn start(script: Script) -> Post {
        let log = Log::default();
        let authority = Authority::for_localhost();
        let (acceptor, heard) = (authority.acceptor(), log.clone());
        let server = Server::start(move |stream| {
            let (script, log, acceptor) = (script.clone(), heard.clone(), acceptor.clone());
            async move {
                let plain = Arc::clone(&log.plain);
                let Some(stream) = converse(stream, &script, &plain, false).await else { return };
                let Ok(stream) = acceptor.accept(stream).await else { return };
                converse(stream, &script, &log.secured, true).await;
            }
        })
        .await;
        let project = tempfile::tempdir().unwrap();
        std::fs::write(project.path().join("password"), PASSWORD).unwrap();
        Post { server, log, authority, project }
    }

    async fn with(acts: &[(&'static str, Act)]) -> Post {
        Post::start(Script { acts: acts.iter().copied().collect(), ..Script::default() }).await
    }

    fn world(&self, security: Security, login: bool) -> World {
        self.world_at(self.server.address.port(), security, login)
    }

    /// By STARTTLS with a login, whose secrets `redactor` learns.
    fn world_with(&self, redactor: &Redactor) -> World {
        self.world_of(self.server.address.port(), Security::Starttls, true, redactor.clone(), &["localhost"])
    }

    /// By STARTTLS with a login, whose password is bound to these hosts.
    pub fn world_bound_to(&self, hosts: &[&str]) -> World {
        self.world_of(self.server.address.port(), Security::Starttls, true, Redactor::new(), hosts)
    }

    pub fn world_under(&self, egress: Egress) -> World {
        let port = self.server.address.port();
        let settings = self.settings_of(port, Security::Starttls, true, Redactor::new(), &["localhost"]);
        World::new(WorldSettings { egress: Some(egress), ..settings }).gated(|| Ok(()))
    }

    fn world_at(&self, port: u16, security: Security, login: bool) -> World {
        self.world_of(port, security, login, Redactor::new(), &["localhost"])
    }

    fn world_of(&self, port: u16, security: Security, login: bool, redactor: Redactor, hosts: &[&str]) -> World {
        World::new(self.settings_of(port, security, login, redactor, hosts)).gated(|| Ok(()))
    }

    fn settings_of(
        &self,
        port: u16,
        security: Security,
        login: bool,
        redactor: Redactor,
        hosts: &[&str],
    ) -> WorldSettings {
        let login = login.then(|| Login { user: "rerail".into(), password_secret: "SMTP_PASSWORD".into() });
        let smtp = Smtp { host: "localhost".into(), port, security, login };
        let mail = Mail { smtp, from: "ops@example.com".into(), allow_domains: vec!["example.com".into()] };
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let secret = SecretSource { from: From::File { path: "password".into() }, hosts };
        WorldSettings {
            project: self.project.path().into(),
            settings: Settings { mail: Some(mail), ..Settings::default() },
            secrets: BTreeMap::from([("SMTP_PASSWORD".to_owned(), secret)]),
            ca: Some(self.authority.path()),
            redactor,
            ..WorldSettings::default()
        }
    }

    pub async fn send(&self, world: &World, more: serde_json::Value) -> Attempt {
        let attempt = perform(world, "email.send", &letter(more)).await;
        let said = format!("{} {}", attempt.failure.as_ref().map_or("", |failure| &failure.message), attempt.outputs);
        assert!(!said.contains(PASSWORD), "{said}");
        attempt
    }

    /// Sends by STARTTLS with a login, in time.
    async fn sent(&self) -> Attempt {
        self.send(&hurried(&self.world(Security::Starttls, true), 2000), json!({})).await
    }
}

fn letter(more: serde_json::Value) -> Map {
    let mut letter = args(json!({"to": "ana@example.com", "subject": "Well", "text": "All is well.\n.\nEnd"}));
    letter.extend(args(more));
    letter
}

/// Speaks SMTP as the script says; gives the stream back when TLS is to begin.
async fn converse<S>(stream: S, script: &Script, log: &Mutex<String>, secured: bool) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Resettable,
{
    let mut stream = BufReader::new(stream);
    let mut recipients = 0;
    if !secured && !say(&mut stream, script.acts.get("CONNECT"), "220 mail.example.com").await {
        return None;
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        log.lock().unwrap().push_str(&line);
        let verb = line.split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let act = script.acts.get(verb.as_str());
        let able = if secured { "250-hi\r\n250 AUTH PLAIN" } else { "250-hi\r\n250-STARTTLS\r\n250 8BITMIME" };
        let goes_on = match verb.as_str() {
            "EHLO" => say(&mut stream, act, able).await,
            "STARTTLS" => {
                let reply = format!("220 go\r\n{}", script.injected);
                if !say(&mut stream, act, reply.trim_end()).await {
                    return None;
                }
                return act.is_none().then(|| stream.into_inner());
            }
            "AUTH" => say(&mut stream, act, "235 in").await,
            "MAIL" => say(&mut stream, act, "250 ok").await,
            "RCPT" => {
                recipients += 1;
                match script.second {
                    Some(reply) if recipients == 2 => say(&mut stream, None, reply).await,
                    _ => say(&mut stream, act, "250 ok").await,
                }
            }
            "DATA" => match act {
                Some(Act::ResetAfter(bytes)) => {
                    stream.write_all(b"354 go\r\n").await.unwrap();
                    stream.flush().await.unwrap();
                    let mut read = vec![0; *bytes];
                    stream.read_exact(&mut read).await.ok();
                    stream.get_ref().reset();
                    return None;
                }
                act => say(&mut stream, act, "354 go").await && message(&mut stream, script, log).await,
            },
            "QUIT" => {
                say(&mut stream, None, "221 bye").await;
                return None;
            }
            _ => say(&mut stream, act, "500 what").await,
        };
        if !goes_on {
            return None;
        }
    }
}

async fn message<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    script: &Script,
    log: &Mutex<String>,
) -> bool {
    let mut text = String::new();
    while !text.ends_with("\r\n.\r\n") {
        if stream.read_line(&mut text).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    log.lock().unwrap().push_str(&text);
    say(stream, script.acts.get("DOT"), "250 queued as 7").await
}

/// Replies; false when the conversation is over.
async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, act: Option<&Act>, reply: &str) -> bool {
    let reply = match act {
        None => reply,
        Some(Act::Say(other)) => other,
        Some(Act::Drop | Act::ResetAfter(_)) => return false,
        Some(Act::Stall) => {
            let mut byte = [0; 1];
            stream.read_exact(&mut byte).await.ok();
            return false;
        }
    };
    stream.write_all(format!("{reply}\r\n").as_bytes()).await.is_ok() && stream.flush().await.is_ok()
}

/// A stream that can end with a reset instead of a farewell.
trait Resettable {
    fn reset(&self);
}

impl Resettable for TcpStream {
    fn reset(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Resettable for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.set_zero_linger().unwrap();
    }
}

#[tokio::test]
async fn a_message_goes_out_by_starttls_with_a_login_and_a_stable_id() {
    let post = Post::start(Script::default()).await;
    let attempt = post.sent().await;
    assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
    let outputs = attempt.outputs.to_plain();
    assert_eq!((&outputs["accepted"], &outputs["rejected"]), (&json!(["ana@example.com"]), &json!([])));
    assert_eq!(outputs["reply"], json!("250 queued as 7"));
    assert_eq!(post.log.plain(), "EHLO [127.0.0.1]\r\nSTARTTLS\r\n", "nothing but the request for TLS");
    let sent = post.log.secured();
    let auth = rerail::script::secret::base64(&format!("\0rerail\0{PASSWORD}"));
    let id = outputs["message_id"].as_str().unwrap().to_owned();
    for part in [
        &format!("AUTH PLAIN {auth}\r\nMAIL FROM:<ops@example.com>\r\nRCPT TO:<ana@example.com>\r\nDATA\r\n"),
        &format!("\r\nMessage-ID: {id}\r\n"),
        "\r\nAll is well.\r\n..\r\nEnd\r\n.\r\n",
    ] {
        assert!(sent.contains(part), "{part:?} in {sent}");
    }
    let world = post.world(Security::Starttls, true);
    world.learn_secret("SMTP_PASSWORD").unwrap();
    let echo = format!("it is {PASSWORD}, or {}", rerail::script::secret::base64(PASSWORD));
    post.send(&world, json!({"subject": echo.clone(), "text": echo.clone(), "html": echo})).await;
    let sent = post.log.secured().split("DATA\r\n").last().unwrap().to_owned();
    assert!(sent.matches("it is [redacted:SMTP_PASSWORD], or ").count() == 3 && !sent.contains(PASSWORD), "{sent}");
    let again = post.sent().await.outputs.to_plain();
    assert_eq!(again["message_id"], json!(id), "the same when a person sends it again");
}

#[tokio::test]
async fn a_reply_that_says_no_before_the_dot_is_a_refusal() {
    for verb in ["CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"] {
        for (reply, transient) in
            [("421 going down", true), ("450 later", true), ("554 no", false), ("550 no such", false)]
        {
            let post = Post::with(&[(verb, Act::Say(reply))]).await;
            let attempt = post.sent().await;
            assert_eq!(attempt.outcome, Outcome::Refused, "{verb} {reply}: {attempt:?}");
            let failure = attempt.failure.unwrap();
            assert_eq!(
                (failure.kind, failure.transient),
                (FailureKind::Status, transient),
                "{verb} {reply}: {failure:?}"
            );
            assert!(!post.log.secured().contains("Subject:"), "{verb}: no message left");
        }
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_password_is_quoted_without_it() {
    // Beside the text, the very bytes of AUTH PLAIN.
    let post =
        Post::with(&[("MAIL", Act::Say("550 5.7.8 AG5vdC1hLXJlYWwtcGFzc3dvcmQ= not-a-real-password is wrong"))]).await;
    let redactor = Redactor::new();
    let world = post.world_with(&redactor);
    let attempt = perform(&hurried(&world, 2000), "email.send", &letter(json!({}))).await;
    let said = attempt.failure.expect("it was refused").message;
    assert!(said.contains(PASSWORD), "the server's words are quoted: {said}");
    let redacted = redactor.redact(&said);
    assert!(redacted.contains("550") && redacted.contains("[redacted:SMTP_PASSWORD] is wrong"), "{redacted}");
    assert!(!redacted.contains("LWEtcmVhbC1wYXNzd29y"), "{redacted}");
}

#[tokio::test]
async fn a_lost_or_silent_connection_before_the_dot_is_a_refusal() {
    for verb in ["CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"] {
        for act in [Act::Drop, Act::Stall, Act::Say("garbage"), Act::Say("")] {
            let post = Post::with(&[(verb, act)]).await;
            let world = hurried(&post.world(Security::Starttls, true), 400);
            let attempt = post.send(&world, json!({})).await;
            assert_eq!(attempt.outcome, Outcome::Refused, "{verb} {act:?}: {attempt:?}");
            assert!(!post.log.secured().contains("Subject:"), "{verb}: no message left");
        }
    }
}

/// Losses until one must have been seen before the dot.
const LOSSES_MAX: usize = 20;

#[tokio::test]
async fn a_connection_lost_inside_the_message_is_a_refusal() {
    let post = Post::with(&[("DATA", Act::ResetAfter(1000))]).await;
    let text = "a line of the message\n".repeat(20_000);
    // Whether the loss is seen before the dot is the kernel's to say: rarely it takes all 440 KB, and then nobody knows.
    for attempt in 1.. {
        assert!(attempt <= LOSSES_MAX, "it was never seen");
        let attempt = post.send(&post.world(Security::Starttls, true), json!({ "text": text })).await;
        assert_eq!(attempt.failure.as_ref().map(|failure| failure.kind), Some(FailureKind::Network), "{attempt:?}");
        match attempt.outcome {
            Outcome::Refused => break,
            outcome => assert_eq!(outcome, Outcome::InDoubt),
        }
    }
}

#[tokio::test]
async fn whatever_is_lost_after_the_dot_is_in_doubt() {
    for act in [Act::Drop, Act::Stall, Act::Say("garbage"), Act::Say(""), Act::Say("354 more"), Act::Say("250-cut")] {
        for security in [Security::Starttls, Security::None] {
            let post = Post::with(&[("DOT", act)]).await;
            let world = hurried(&post.world(security, security == Security::Starttls), 500);
            let attempt = post.send(&world, json!({})).await;
            assert_eq!(attempt.outcome, Outcome::InDoubt, "{act:?} {security:?}: {attempt:?}");
            assert!(attempt.outputs.to_plain()["message_id"].is_string(), "what to look for is known");
        }
    }
    // A 250 that comes after the time is up is none.
    let post = Post::with(&[("DOT", Act::Stall)]).await;
    let attempt = post.send(&post.world(Security::Tls, false), json!({"timeout": "300ms"})).await;
    assert_eq!(attempt.outcome, Outcome::Refused, "a plain server is no TLS server");
    let attempt = post.send(&post.world(Security::Starttls, false), json!({"timeout": "500ms"})).await;
    assert_eq!((attempt.outcome, attempt.failure.unwrap().kind), (Outcome::InDoubt, FailureKind::Timeout));
}

#[tokio::test]
async fn a_no_to_the_whole_message_is_a_refusal() {
    for (reply, transient) in [("451 later", true), ("552 too big", false), ("554 spam", false)] {
        let post = Post::with(&[("DOT", Act::Say(reply))]).await;
        let attempt = post.sent().await;
        assert_eq!((attempt.outcome, attempt.failure.unwrap().transient), (Outcome::Refused, transient), "{reply}");
    }
}

#[tokio::test]
async fn refused_recipients_are_named_and_the_others_have_it() {
    let script = Script { second: Some("550 no such person"), ..Script::default() };
    let post = Post::start(script).await;
    let world = post.world(Security::Starttls, true);
    let to = json!({"to": ["ana@example.com", "Ben <ben@example.com>"], "cc": "cy@example.com"});
    let attempt = post.send(&world, to).await;
    assert_eq!(attempt.outcome, Outcome::Failed);
    let outputs = attempt.outputs.to_plain();
    assert_eq!(outputs["accepted"], json!(["ana@example.com", "cy@example.com"]));
    assert_eq!(outputs["rejected"], json!([{"address": "ben@example.com", "reply": "550 no such person"}]));
    let message = attempt.failure.unwrap().message;
    assert_eq!(message, "sent to 2 of 3 recipients: ben@example.com (550 no such person)");
}

#[tokio::test]
async fn without_tls_neither_credentials_nor_message_leave() {
    // STARTTLS struck out of the list, refused, answered by nonsense, or followed by words from before TLS.
    let stripped = [("EHLO", Act::Say("250-hi\r\n250 AUTH PLAIN LOGIN"))];
    let injected = Script { injected: "250 AUTH PLAIN\r\n235 in\r\n", ..Script::default() };
    let posts = [
        Post::with(&stripped).await,
        Post::with(&[("STARTTLS", Act::Say("454 not now"))]).await,
        Post::with(&[("STARTTLS", Act::Say("220 go\r\n250 AUTH PLAIN"))]).await,
        Post::start(injected).await,
    ];
    for post in &posts {
        let attempt = post.sent().await;
        assert_eq!(attempt.outcome, Outcome::Refused, "{attempt:?}");
        let heard = format!("{}{}", post.log.plain(), post.log.secured());
        assert!(!heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
    }
    // Settings that could say otherwise are refused by themselves, without a connection.
    let post = Post::start(Script::default()).await;
    let attempt = post.send(&post.world(Security::None, true), json!({})).await;
    assert_eq!((attempt.outcome, attempt.failure.unwrap().kind), (Outcome::Refused, FailureKind::Policy));
    assert_eq!((post.server.connections(), post.log.plain()), (0, String::new()));
    // A certificate nobody vouches for.
    let stranger = Authority::for_localhost();
    let post = Post { authority: stranger, ..post };
    let world = post.world(Security::Starttls, true);
    let attempt = perform(&world, "email.send", &letter(json!({}))).await;
    assert_eq!((attempt.outcome, attempt.failure.unwrap().kind), (Outcome::Refused, FailureKind::Tls));
}

#[tokio::test]
async fn no_server_no_mail_no_permission_and_a_shut_gate_are_refusals() {
    let post = Post::start(Script::default()).await;
    let eve = json!({"to": ["ana@example.com", "eve@example.net"]});
    let header = json!({"subject": "a\r\nBcc: eve@example.net"});
    for (more, kind) in [(eve, FailureKind::Policy), (header, FailureKind::Argument)] {
        let attempt = post.send(&post.world(Security::Starttls, true), more).await;
        assert_eq!((attempt.outcome, attempt.failure.unwrap().kind), (Outcome::Refused, kind));
    }
    let mut secret = letter(json!({}));
    secret.insert("text".into(), Value::Secret(SecretText::named("SMTP_PASSWORD")));
    let attempt = perform(&post.world(Security::Starttls, true), "email.send", &secret).await;
    assert_eq!(attempt.failure.unwrap().kind, FailureKind::Secret);
    let none = perform(&World::new(WorldSettings::default()).gated(|| Ok(())), "email.send", &letter(json!({}))).await;
    assert!(none.failure.unwrap().message.contains("rerail.yaml"));
    assert_eq!(post.server.connections(), 0, "all of it is known without the server");

    let shut = || Err(Failure::new(FailureKind::Policy, "another process drives this run"));
    let attempt = post.send(&post.world(Security::Starttls, true).gated(shut), json!({})).await;
    assert_eq!(
        (attempt.outcome, attempt.failure.unwrap().message.as_str()),
        (Outcome::Refused, "another process drives this run")
    );
    assert!(!post.log.secured().contains("DATA"), "{}", post.log.secured());

    let nobody = Smtp {
        host: "localhost".into(),
        port: crate::servers::refused_port(),
        security: Security::Starttls,
        login: None,
    };
    let mail = Mail { smtp: nobody, from: "ops@example.com".into(), allow_domains: vec!["example.com".into()] };
    let settings = Settings { mail: Some(mail), ..Settings::default() };
    let world = World::new(WorldSettings { settings, ..WorldSettings::default() }).gated(|| Ok(()));
    let attempt = perform(&world, "email.send", &letter(json!({}))).await;
    assert_eq!((attempt.outcome, attempt.failure.unwrap().kind), (Outcome::Refused, FailureKind::Connect));
}

#[tokio::test]
async fn a_server_of_other_people_reads_what_was_written() {
    let post = Post::start(Script::default()).await;
    let (file, other) = (post.authority.with_key(), "not-the-password");
    let Some(mut mailbox) = Mailbox::open(file.path(), PASSWORD) else { return };
    let world = post.world_at(mailbox.port, Security::Starttls, true);
    let text = format!("Tout va bien, Zoé.\n.\n..\n{}\n\tend", "long ".repeat(400));
    let letter = json!({
        "to": ["ana@example.com", "Zoé <zoe@example.com>"], "cc": "ben@example.com", "subject": "Tout va bien, Zoé \u{1f600}",
        "text": text.clone(), "html": "<p>Tout va <b>bien</b>\n.\n</p>", "reply_to": "desk@example.net",
    });
    let attempt = post.send(&world, letter).await;
    assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
    let message = mailbox.message();
    assert_eq!(message["from"], json!("ops@example.com"));
    assert_eq!(message["to"], json!(["ana@example.com", "zoe@example.com", "ben@example.com"]));
    let lines = |name: &str| message[name].as_str().unwrap().replace("\r\n", "\n").trim_end().to_owned();
    assert_eq!((lines("text"), lines("html")), (text, "<p>Tout va <b>bien</b>\n.\n</p>".to_owned()));
    let headers = &message["headers"];
    assert_eq!(
        (&headers["Subject"], &headers["Cc"]),
        (&json!("Tout va bien, Zoé \u{1f600}"), &json!("ben@example.com"))
    );
    assert_eq!(headers["To"], json!("ana@example.com, Zoé <zoe@example.com>"));
    assert_eq!(headers["Message-ID"], attempt.outputs.to_plain()["message_id"]);

    std::fs::write(post.project.path().join("password"), other).unwrap();
    let denied = post.send(&world, json!({})).await;
    assert_eq!(
        (denied.outcome, denied.failure.unwrap().message.contains("refuses the credentials")),
        (Outcome::Refused, true)
    );
}
