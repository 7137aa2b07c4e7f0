//! `dns.resolve`: what a name stands for, as this machine sees it now.

use std::time::Duration;

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::{Instant, timeout_at};
use url::Host;

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, invalid, optional_text, text};
use crate::steps::schema::{choice, defaulted, output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

/// The resolver asks each server twice, 5 s each; this cuts a dead one short.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Types that can be asked for.
const TYPES: [(&str, RecordType); 6] = [
    ("A", RecordType::A),
    ("AAAA", RecordType::AAAA),
    ("CNAME", RecordType::CNAME),
    ("MX", RecordType::MX),
    ("TXT", RecordType::TXT),
    ("NS", RecordType::NS),
];

struct DnsResolve;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&DnsResolve) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "dns.resolve".to_owned(),
        title: "Look up the records of a name".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("name", Type::String, "name to look up"),
            defaulted("type", choice(&TYPES.map(|(word, _)| word)), "A", "kind of record"),
            defaulted("timeout", Type::Duration, "10s", "time for the answer"),
        ],
        outputs: vec![
            output("addresses", Type::List, "the addresses, sorted, of an A or AAAA look-up"),
            output("records", Type::List, "all records as text, sorted: `10 mail.example.com` for an MX"),
            output("ttl_s", Type::Int, "least time to live in seconds; `()` without records"),
            output("ms", Type::Int, "milliseconds until the answer"),
        ],
        docs: "\
```yaml
- id: dns
  uses: dns.resolve
  with: { name: www.example.com, type: CNAME }
```
Asks the hosts file, then the system's name servers, without a cache of its own. A name or type that does not exist \
gives empty lists; no answer from any server fails with kind `dns`."
            .to_owned(),
    }
}

impl Read for DnsResolve {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { resolve(world, args).await.unwrap_or_else(failed) })
    }
}

fn failed(failure: Failure) -> Attempt {
    match failure.kind {
        FailureKind::Dns | FailureKind::Timeout => Attempt::failed(failure),
        _ => Attempt::refused(failure),
    }
}

async fn resolve(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let name = text(args, "name")?;
    let word = optional_text(args, "type")?.unwrap_or("A");
    let (_, kind) = TYPES
        .into_iter()
        .find(|(known, _)| *known == word)
        .ok_or_else(|| invalid("type", &format!("expected one of A AAAA CNAME MX TXT NS, got {word:?}")))?;
    // Checked as it is, because names such as `_dmarc.example.com` are no host names.
    world.shared.egress.check_host(&Host::Domain(name.to_owned()))?;
    let deadline = world.deadline(duration(args, "timeout", TIMEOUT)?);
    let started = Instant::now();
    let found = timeout_at(deadline, world.shared.names.records(name, kind))
        .await
        .map_err(|_| Failure::transient(FailureKind::Timeout, format!("no answer about {name} ({word}) in time")))??;
    let mut records: Vec<String> = found.data.iter().map(record_text).collect();
    records.sort();
    let mut addresses: Vec<std::net::IpAddr> = found.data.iter().filter_map(RData::ip_addr).collect();
    addresses.sort();
    Ok(Attempt::done(Value::map([
        ("addresses", Value::List(addresses.iter().map(|address| Value::from(address.to_string())).collect())),
        ("records", Value::List(records.into_iter().map(Value::from).collect())),
        ("ttl_s", found.ttl_s.map(|ttl| Value::from(i64::from(ttl))).unwrap_or_default()),
        ("ms", Value::from(i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX))),
    ])))
}

fn record_text(data: &RData) -> String {
    let plain = |name: &hickory_resolver::proto::rr::Name| {
        let text = name.to_utf8();
        text.strip_suffix('.').unwrap_or(&text).to_owned()
    };
    match data {
        RData::MX(mx) => format!("{} {}", mx.preference, plain(&mx.exchange)),
        RData::CNAME(name) => plain(&name.0),
        RData::NS(name) => plain(&name.0),
        // The pieces of one record belong together: a long key is cut every 255 bytes.
        RData::TXT(txt) => txt.txt_data.iter().map(|piece| String::from_utf8_lossy(piece)).collect(),
        other => other.to_string(),
    }
}
