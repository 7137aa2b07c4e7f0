//! `mongo.ping`: whether a MongoDB answers, and as what. The dialogue is one message each way, so its bytes are written
//! out here instead of taken from a driver that keeps pools and watches the whole cluster.

use std::time::Duration;

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use url::Host;

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, flag, given, invalid};
use crate::steps::dial::{connect, is_observation, secure};
use crate::steps::egress::host_text;
use crate::steps::mongo::address::{self, Address};
use crate::steps::mongo::message::{self, REPLY_BYTES_MAX};
use crate::steps::schema::{defaulted, optional, output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

/// A ping takes one round trip; a name of a cluster, two questions to a name server before.
const TIMEOUT: Duration = Duration::from_secs(10);

struct MongoPing;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&MongoPing) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "mongo.ping".to_owned(),
        title: "See whether a MongoDB answers".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("url", Type::String, "`mongodb://` or `mongodb+srv://`; usually a secret as a whole"),
            optional("expect", Type::Bool, "fail unless one of its servers answers"),
            defaulted("timeout", Type::Duration, "10s", "time for names, connecting and the answer, all servers together"),
        ],
        outputs: vec![
            output("ok", Type::Bool, "a server answered"),
            output("ms", Type::Int, "milliseconds until it answered, or all failed"),
            output("primary", Type::Bool, "it takes writes: a primary, a router, or alone; `()` without an answer"),
            output("set", Type::String, "name of its replica set; `()` if it is in none"),
            output("wire", Type::Int, "newest version of the protocol it speaks: 17 is MongoDB 6.0, 21 is 7.0, 25 is 8.0"),
            output("servers", Type::Int, "servers that the address names"),
            output("error", Type::Map, "`kind` and `message` of what went wrong at the last one asked; `()` if nothing"),
        ],
        docs: "\
```yaml
- id: database
  uses: mongo.ping
  with: { url: \"${{ secrets.MONGODB_URI }}\" }
```
Servers are asked in the order of the address until one answers; a primary among them need not be the first. TLS as the address \
says it (`tls=true`, always with `+srv`), with a certificate that is valid and for the host; options that would switch that off \
are not followed. It does not log in, so no password leaves: whether that is right, and what a login may do, is not seen here.

Without `expect: true` it never fails on what it sees: `error.kind` says how far it came (`dns`, `connect`, `tls`, `timeout`, \
`network`, and `status` for an error of the server). No message holds the address."
            .to_owned(),
    }
}

impl Read for MongoPing {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { look(world, args).await.unwrap_or_else(Attempt::refused) })
    }
}

/// What a server that is well says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub primary: bool,
    pub set: Option<String>,
    pub wire: Option<i64>,
}

async fn look(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let expect = flag(args, "expect")?;
    let url = given(args, "url").ok_or_else(|| invalid("url", "is required"))?;
    let address = world.reveal_to_hosts("url", url, address::read)?;
    let deadline = world.deadline(duration(args, "timeout", TIMEOUT)?);
    let started = Instant::now();
    let mut servers = 0;
    let asked = match servers_of(world, &address, deadline).await {
        Ok(found) => {
            servers = found.len();
            ask_all(world, &address, &found, deadline).await
        }
        Err(failure) => Err(failure),
    };
    let (seen, failure) = match asked {
        Ok(seen) => (Some(seen), None),
        Err(failure) if is_observation(&failure) || failure.kind == FailureKind::Status => (None, Some(failure)),
        Err(failure) => return Err(failure),
    };
    let outputs = Value::map([
        ("ok", Value::from(seen.is_some())),
        ("ms", Value::from(i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX))),
        ("primary", seen.as_ref().map(|seen| Value::from(seen.primary)).unwrap_or_default()),
        ("set", seen.as_ref().and_then(|seen| seen.set.clone()).map(Value::from).unwrap_or_default()),
        ("wire", seen.as_ref().and_then(|seen| seen.wire).map(Value::from).unwrap_or_default()),
        ("servers", Value::from(i64::try_from(servers).unwrap_or(i64::MAX))),
        ("error", failure.as_ref().map(Failure::to_value).unwrap_or_default()),
    ]);
    Ok(match failure {
        Some(failure) if expect => Attempt::failed(failure).with_outputs(outputs),
        _ => Attempt::done(outputs),
    })
}

/// The servers of an address; those of a cluster's name are asked for.
async fn servers_of(world: &World, address: &Address, deadline: Instant) -> Result<Vec<(Host, u16)>, Failure> {
    if !address.srv {
        return Ok(address.servers.clone());
    }
    let Some((Host::Domain(name), _)) = address.servers.first() else {
        return Err(invalid("url", "with +srv it names one host, by name"));
    };
    let service = format!("_mongodb._tcp.{name}");
    let records = match timeout_at(deadline, world.shared.names.records(&service, RecordType::SRV)).await {
        Ok(records) => records?,
        Err(_) => return Err(Failure::transient(FailureKind::Timeout, format!("{name} was not resolved in time"))),
    };
    let mut found = Vec::new();
    for data in records.data {
        let RData::SRV(record) = data else { continue };
        let target = record.target.to_utf8();
        let target = target.trim_end_matches('.').to_ascii_lowercase();
        // Whoever answers for the name could lead anywhere; drivers hold it to its own domain, too.
        if !address::is_beside(&target, name) {
            let message = format!("{name} leads to {target}, which is not in its domain");
            return Err(Failure::new(FailureKind::Dns, message));
        }
        found.push((world.host(&target)?, record.port));
    }
    match found.is_empty() {
        true => Err(Failure::transient(FailureKind::Dns, format!("{name} names no servers (SRV of _mongodb._tcp)"))),
        false => Ok(found),
    }
}

/// The answer of the first server that gives one.
async fn ask_all(
    world: &World,
    address: &Address,
    servers: &[(Host, u16)],
    deadline: Instant,
) -> Result<Seen, Failure> {
    let mut last = Failure::transient(FailureKind::Connect, "the address names no server");
    let count = u32::try_from(servers.len()).unwrap_or(u32::MAX);
    for (index, (host, port)) in (0..count).zip(servers) {
        let now = Instant::now();
        let share = now + deadline.saturating_duration_since(now) / (count - index);
        let asking = async {
            let (stream, _) = connect(world, host, *port, share).await?;
            match address.tls {
                true => ask(secure(world, stream, host, share).await?, host, share).await,
                false => ask(stream, host, share).await,
            }
        };
        match asking.await {
            Ok(seen) => return Ok(seen),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

async fn ask<S>(mut stream: S, host: &Host, deadline: Instant) -> Result<Seen, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let host = host_text(host);
    let dialogue = async {
        stream.write_all(&message::hello()).await?;
        stream.flush().await?;
        let length = stream.read_u32_le().await?;
        let Some(rest) = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) else {
            return Ok(None);
        };
        if rest > REPLY_BYTES_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; rest];
        stream.read_exact(&mut bytes).await?;
        std::io::Result::Ok(Some(bytes))
    };
    let reply = match timeout_at(deadline, dialogue).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => return Err(Failure::transient(FailureKind::Network, format!("{host} broke off: {error}"))),
        Err(_) => return Err(Failure::transient(FailureKind::Timeout, format!("{host} gave no answer in time"))),
    };
    let strange = || Failure::new(FailureKind::Network, format!("{host} answers with something that is not MongoDB"));
    let said = reply.as_deref().and_then(message::document).ok_or_else(strange)?;
    match said.get("ok").and_then(message::Item::number) {
        Some(1) => {}
        Some(_) => {
            let text = said.get("errmsg").and_then(message::Item::text).unwrap_or_default();
            let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(Failure::new(FailureKind::Status, format!("{host} says: {text}")));
        }
        None => return Err(strange()),
    }
    Ok(Seen {
        primary: said.get("isWritablePrimary").and_then(message::Item::truth).unwrap_or(false),
        set: said.get("setName").and_then(message::Item::text).map(str::to_owned),
        wire: said.get("maxWireVersion").and_then(message::Item::number),
    })
}
