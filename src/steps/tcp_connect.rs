//! `tcp.connect`: whether something listens at a host and port.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::outcome::{Attempt, Failure};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, port, text};
use crate::steps::dial::{connect, is_observation};
use crate::steps::schema::{defaulted, output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

/// A handshake takes one round trip; whoever needs longer is as good as down.
const TIMEOUT: Duration = Duration::from_secs(5);

struct TcpConnect;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&TcpConnect) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "tcp.connect".to_owned(),
        title: "See whether a host listens on a port".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("host", Type::String, "name or address"),
            required("port", Type::Int, "1 to 65535"),
            defaulted("timeout", Type::Duration, "5s", "time for resolving and connecting"),
        ],
        outputs: vec![
            output("ok", Type::Bool, "a connection stood"),
            output("ms", Type::Int, "milliseconds until it stood or failed"),
            output("address", Type::String, "address and port that answered; `()` if none did"),
            output("error", Type::Map, "`kind` and `message` of what went wrong; `()` if nothing"),
        ],
        docs: "\
```yaml
- id: database
  uses: tcp.connect
  with: { host: db.example.com, port: 5432 }
```
Sends nothing and closes at once. A refused connection is an observation (`ok: false`), not a failure."
            .to_owned(),
    }
}

impl Read for TcpConnect {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { look(world, args).await.unwrap_or_else(Attempt::refused) })
    }
}

async fn look(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let host = world.host(text(args, "host")?)?;
    let port = port(args, None)?;
    let deadline = world.deadline(duration(args, "timeout", TIMEOUT)?);
    let started = Instant::now();
    let connected = connect(world, &host, port, deadline).await;
    let ms = Value::from(i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX));
    let (ok, address, error) = match connected {
        Ok((_, address)) => (true, Value::from(address.to_string()), Value::Null),
        Err(failure) if is_observation(&failure) => (false, Value::Null, failure.to_value()),
        Err(failure) => return Err(failure),
    };
    Ok(Attempt::done(Value::map([("ok", Value::from(ok)), ("ms", ms), ("address", address), ("error", error)])))
}
