//! `redis.ping`: whether a Redis (or Valkey) answers, and which. The dialogue is three commands of its text
//! protocol, so it is written out here instead of taken from a client that keeps pools.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::time::{Instant, timeout_at};

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, flag, given, invalid, optional_text, port, text};
use crate::steps::dial::{connect, is_observation, secure};
use crate::steps::egress::host_text;
use crate::steps::schema::{defaulted, optional, output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

/// A ping takes one round trip; whoever needs longer is as good as down.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The port Redis listens on.
const PORT: u16 = 6379;
/// Bytes of a line of a reply: errors are short.
const LINE_BYTES_MAX: u64 = 1024;
/// Bytes of a reply with a length: the section of INFO that is asked for has one or two thousand.
const BULK_BYTES_MAX: usize = 64 * 1024;

struct RedisPing;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&RedisPing) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "redis.ping".to_owned(),
        title: "See whether a Redis answers".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("host", Type::String, "name or address"),
            defaulted("port", Type::Int, i64::from(PORT), "1 to 65535"),
            optional("tls", Type::Bool, "speak TLS, with a certificate that is valid and for the host"),
            optional("user", Type::String, "name of an ACL user; the default user if left out"),
            optional("password", Type::Secret, "its password"),
            optional("expect", Type::Bool, "fail unless it answers"),
            defaulted("timeout", Type::Duration, "5s", "time for connecting and the whole dialogue"),
        ],
        outputs: vec![
            output("ok", Type::Bool, "it answered PONG"),
            output("ms", Type::Int, "milliseconds until it answered, or failed"),
            output("version", Type::String, "such as `7.4.1`; `()` without an answer, or where INFO is not allowed"),
            output("error", Type::Map, "`kind` and `message` of what went wrong; `()` if nothing"),
        ],
        docs: "\
```yaml
- id: cache
  uses: redis.ping
  with: { host: cache.example.com, tls: true, password: \"${{ secrets.REDIS_PASSWORD }}\" }
```
Without `expect: true` it never fails on what it sees: `error.kind` says how far it came (`dns`, `connect`, `tls`, `timeout`, \
`network`, and `status` for an error of the server: a wrong password, no room for clients, data still being loaded)."
            .to_owned(),
    }
}

impl Read for RedisPing {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { look(world, args).await.unwrap_or_else(Attempt::refused) })
    }
}

async fn look(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let host = world.host(text(args, "host")?)?;
    let shown = host_text(&host);
    let (port, tls, expect) = (port(args, Some(PORT))?, flag(args, "tls")?, flag(args, "expect")?);
    let auth = auth(world, args, &shown)?;
    let deadline = world.deadline(duration(args, "timeout", TIMEOUT)?);
    let started = Instant::now();
    let asking = async {
        let (stream, _) = connect(world, &host, port, deadline).await?;
        if tls {
            return ask(secure(world, stream, &host, deadline).await?, &shown, auth, deadline).await;
        }
        ask(stream, &shown, auth, deadline).await
    };
    let (seen, failure) = match asking.await {
        Ok(seen) => (Some(seen), None),
        Err(failure) if is_observation(&failure) || failure.kind == FailureKind::Status => (None, Some(failure)),
        Err(failure) => return Err(failure),
    };
    let answered = seen.as_ref().map_or_else(|| started.elapsed(), |seen| seen.at.duration_since(started));
    let outputs = Value::map([
        ("ok", Value::from(seen.is_some())),
        ("ms", Value::from(i64::try_from(answered.as_millis()).unwrap_or(i64::MAX))),
        ("version", seen.and_then(|seen| seen.version).map(Value::from).unwrap_or_default()),
        ("error", failure.as_ref().map(Failure::to_value).unwrap_or_default()),
    ]);
    Ok(match failure {
        Some(failure) if expect => Attempt::failed(failure).with_outputs(outputs),
        _ => Attempt::done(outputs),
    })
}

/// The command that logs in, if there is something to log in with.
fn auth(world: &World, args: &Map, host: &str) -> Result<Option<Vec<String>>, Failure> {
    let user = optional_text(args, "user")?;
    let Some(password) = given(args, "password") else {
        return match user {
            Some(_) => Err(invalid("user", "needs `password`")),
            None => Ok(None),
        };
    };
    let password = world.reveal(password, Some(host))?.to_string();
    let words = std::iter::once("AUTH").chain(user).map(str::to_owned).chain([password]);
    Ok(Some(words.collect()))
}

/// What a server that is well said.
struct Seen {
    at: Instant,
    version: Option<String>,
}

async fn ask<S>(stream: S, host: &str, auth: Option<Vec<String>>, deadline: Instant) -> Result<Seen, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut line = Line { stream: BufReader::new(stream), host, deadline };
    if let Some(auth) = auth {
        line.expect(&auth, "OK").await?;
    }
    line.expect(&["PING".to_owned()], "PONG").await?;
    let at = Instant::now();
    // Not everybody may ask this, and a server that answered the ping is there.
    let info = line.command(&["INFO".to_owned(), "server".to_owned()]).await.ok();
    Ok(Seen { at, version: info.as_deref().and_then(version) })
}

fn version(info: &str) -> Option<String> {
    // Valkey gives both; the first is what it is compatible with, the second what it is.
    let named = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
    named("valkey_version:").or_else(|| named("redis_version:"))
}

/// A dialogue in RESP, version 2.
struct Line<'a, S> {
    stream: BufReader<S>,
    host: &'a str,
    deadline: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<'_, S> {
    async fn expect(&mut self, command: &[String], wanted: &str) -> Result<(), Failure> {
        match self.command(command).await? {
            reply if reply == wanted => Ok(()),
            _ => Err(self.strange()),
        }
    }

    /// Sends a command and reads its reply; an error of the server is a failure of kind `status`.
    async fn command(&mut self, words: &[String]) -> Result<String, Failure> {
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        let deadline = self.deadline;
        let dialogue = async {
            self.stream.get_mut().write_all(bytes.as_bytes()).await?;
            self.stream.get_mut().flush().await?;
            self.reply().await
        };
        let reply = match timeout_at(deadline, dialogue).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                return Err(Failure::transient(FailureKind::Network, format!("{} broke off: {error}", self.host)));
            }
            Err(_) => {
                return Err(Failure::transient(FailureKind::Timeout, format!("{} gave no answer in time", self.host)));
            }
        };
        match reply {
            Reply::Text(text) => Ok(text),
            Reply::Error(text) => Err(Failure::new(FailureKind::Status, format!("{} says: {text}", self.host))),
            Reply::None => Err(self.strange()),
        }
    }

    async fn reply(&mut self) -> std::io::Result<Reply> {
        let mut line = Vec::new();
        (&mut self.stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some((kind, text)) = line.strip_suffix(b"\r\n").and_then(<[u8]>::split_first) else {
            return Ok(Reply::None);
        };
        let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
        Ok(match kind {
            b'+' => Reply::Text(text),
            b'-' => Reply::Error(text),
            b'$' => match text.parse::<usize>() {
                Ok(length) if length <= BULK_BYTES_MAX => {
                    let mut bulk = vec![0; length + 2];
                    self.stream.read_exact(&mut bulk).await?;
                    Reply::Text(String::from_utf8_lossy(&bulk[..length]).into_owned())
                }
                _ => Reply::None,
            },
            _ => Reply::None,
        })
    }

    fn strange(&self) -> Failure {
        Failure::new(FailureKind::Network, format!("{} answers with something that is not Redis", self.host))
    }
}

/// A reply of the kinds that are asked for here.
enum Reply {
    Text(String),
    Error(String),
    /// Anything else.
    None,
}
