//! `postgres.query`: one statement at a PostgreSQL server. A read unless `write: true`.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, By, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, flag, given, int, invalid, optional_text, text};
use crate::steps::dial::is_observation;
use crate::steps::postgres::address::{self, Address, Tls};
use crate::steps::postgres::cell::Param;
use crate::steps::postgres::session::{self, Trouble};
use crate::steps::postgres::statement::{self, Answer, Request, Written};
use crate::steps::schema::{body, choice, defaulted, optional, output, required, sealed};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read, Write};

/// How long connecting and the statement may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Rows given unless told otherwise.
const ROWS: i64 = 100;
/// Rows given at most: they stand in the journal.
const ROWS_MAX: i64 = 10_000;
/// Bytes of a statement.
const SQL_BYTES_MAX: usize = 256 * 1024;

struct PostgresQuery;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::ReadOrWrite(&PostgresQuery, &PostgresQuery) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "postgres.query".to_owned(),
        title: "Ask a PostgreSQL server, or change something there".to_owned(),
        effect: Effect::Write,
        effect_of: Some(By::Arguments(effect_of)),
        repeat_of: None,
        args: vec![
            required("url", Type::String, "`postgres://USER:PASSWORD@HOST:PORT/DATABASE`; usually a secret as a whole"),
            required("sql", Type::String, "one statement; `$1`, `$2` … stand for `params`"),
            optional("params", Type::List, "values, read by the server as what stands there; lists and maps go as JSON"),
            optional("password", Type::Secret, "instead of the one in `url`"),
            defaulted("row_limit", Type::Int, ROWS, "rows given at most, up to 10,000, and 1 MiB together"),
            optional("tls", choice(&Tls::WORDS), "`verify` by default, and `prefer` on this machine; wins over `sslmode` in `url`"),
            defaulted("timeout", Type::Duration, "30s", "time for connecting and the statement; the server knows it too"),
            optional("write", Type::Bool, "the statement may change something"),
            optional("probe", Type::Bool, "reads only: what goes wrong is seen in `error` instead of failing the step"),
            sealed(),
        ],
        outputs: vec![
            output("ok", Type::Bool, "it was done"),
            body("rows", Type::List, "a map a row, by column"),
            output("count", Type::Int, "rows given; of a write all rows it changed or gave"),
            output("truncated", Type::Bool, "there were more rows than `row_limit` or 1 MiB"),
            output("ms", Type::Int, "milliseconds with connecting"),
            output("server_version", Type::String, "such as `16.4`; `()` without a login"),
            output("error", Type::Map, "`kind`, `message` and `sqlstate` of what went wrong; `()` if nothing"),
        ],
        docs: "\
```yaml
- id: connections
  uses: postgres.query
  with:
    url: \"${{ secrets.DATABASE_URL }}\"
    sql: SELECT state, count(*) AS n FROM pg_stat_activity WHERE datname = $1 GROUP BY state
    params: [shop]
```
A read runs in a READ ONLY transaction and starts with SELECT, WITH, SHOW, EXPLAIN, VALUES or TABLE. That stops changes of \
tables, not functions that act beside them, such as `pg_terminate_backend`: a login with few rights does. Failures tell how \
far it came: `dns`, `connect`, `tls`, `timeout`, `network`, and `status` for what the server itself refuses, with its \
SQLSTATE (`28P01` wrong password, `3D000` no such database, `53300` too many connections, `42P01` no such table). With \
`probe: true` they are outputs, so that a runbook can go on and say what is wrong.

With `write: true` it is a write in a transaction of one statement: `refused` when anything goes wrong before COMMIT is \
sent, because then the server has rolled it back; `in_doubt` when COMMIT gets no clear answer. Never repeated unasked.

Integers, floats, bools and JSON keep their type; numerics, dates, times (RFC 3339), intervals (ISO 8601) and uuids are text; \
other types are cast in the statement, `x::text`. No message holds the address."
            .to_owned(),
    }
}

/// Unless it is known to be a read it is a write.
fn effect_of(args: &Map) -> Effect {
    match given(args, "write") {
        None | Some(Value::Bool(false)) => Effect::Read,
        _ => Effect::Write,
    }
}

impl Read for PostgresQuery {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move {
            if effect_of(args) != Effect::Read {
                return Attempt::refused(invalid("write", "is true, and this is a read"));
            }
            read(world, args).await.unwrap_or_else(Attempt::refused)
        })
    }
}

impl Write for PostgresQuery {
    fn plan(&self, _world: &World, args: &Map) -> String {
        let shown = |name: &str| args.get(name).map(Value::to_string).unwrap_or_default();
        let sql = shown("sql").split_whitespace().collect::<Vec<_>>().join(" ");
        match given(args, "params") {
            None => format!("{sql} (at a PostgreSQL server)"),
            Some(params) => format!("{sql} with {params} (at a PostgreSQL server)"),
        }
    }

    fn perform<'a>(&'a self, world: &'a World, args: &'a Map, _key: &'a str) -> Pending<'a> {
        Box::pin(async move { write(world, args).await.unwrap_or_else(Attempt::refused) })
    }
}

/// The arguments, read; nothing has been connected to.
struct Call {
    address: Address,
    request: Request,
    deadline: Instant,
    started: Instant,
}

impl Call {
    fn read(world: &World, args: &Map, writes: bool) -> Result<Call, Failure> {
        let sql = text(args, "sql")?;
        if sql.len() > SQL_BYTES_MAX {
            return Err(invalid("sql", &format!("{} bytes, at most {SQL_BYTES_MAX}", sql.len())));
        }
        statement::check(sql, writes)?;
        let rows = int(args, "row_limit", ROWS)?;
        if !(0..=ROWS_MAX).contains(&rows) {
            return Err(invalid("row_limit", &format!("expected 0 to {ROWS_MAX}, got {rows}")));
        }
        let tls = optional_text(args, "tls")?;
        let tls = tls.map(|word| Tls::of(word).ok_or_else(|| invalid("tls", &format!("got {word:?}")))).transpose()?;
        let url = given(args, "url").ok_or_else(|| invalid("url", "is required"))?;
        let mut address = address::read(world, url, tls)?;
        let reveal = |value: &Value| world.reveal(value, Some(&address.shown));
        let password = given(args, "password").map(reveal).transpose()?.map(|text| text.to_string());
        let params = match given(args, "params") {
            None => Vec::new(),
            Some(Value::List(items)) => items.iter().map(reveal).collect::<Result<Vec<_>, _>>()?,
            Some(other) => return Err(invalid("params", &format!("expected list, got {}", other.kind()))),
        };
        address.password = password.or(address.password);
        let request = Request {
            sql: sql.to_owned(),
            params: params.iter().map(Param::of).collect(),
            row_limit: usize::try_from(rows).unwrap_or_default(),
        };
        let deadline = world.deadline(duration(args, "timeout", TIMEOUT)?);
        Ok(Call { address, request, deadline, started: Instant::now() })
    }

    fn outputs(&self, version: Option<&str>, answer: Option<Answer>, trouble: Option<&Trouble>) -> Value {
        let answer = answer.unwrap_or(Answer { rows: Vec::new(), count: 0, truncated: false });
        let error = trouble.map(|trouble| {
            let state = trouble.sqlstate.as_ref().map(|state| Value::from(state.code())).unwrap_or_default();
            Value::map([
                ("kind", Value::from(trouble.failure.kind.word())),
                ("message", Value::from(trouble.failure.message.as_str())),
                ("sqlstate", state),
            ])
        });
        Value::map([
            ("ok", Value::from(trouble.is_none())),
            ("rows", Value::List(answer.rows)),
            ("count", Value::from(answer.count)),
            ("truncated", Value::from(answer.truncated)),
            ("ms", Value::from(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX))),
            ("server_version", version.map(Value::from).unwrap_or_default()),
            ("error", error.unwrap_or_default()),
        ])
    }
}

async fn read(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let probe = flag(args, "probe")?;
    let call = Call::read(world, args, false)?;
    let (version, answer) = match session::open(world, &call.address, call.deadline).await {
        Err(trouble) => (None, Err(trouble)),
        Ok(mut session) => {
            let answer = statement::read(&mut session, &call.address.shown, &call.request, call.deadline).await;
            (Some(session.server_version), answer)
        }
    };
    let version = version.as_deref();
    let trouble = match answer {
        Ok(answer) => return Ok(Attempt::done(call.outputs(version, Some(answer), None))),
        Err(trouble) => trouble,
    };
    let outputs = call.outputs(version, None, Some(&trouble));
    let seen = is_observation(&trouble.failure) || trouble.failure.kind == FailureKind::Status;
    Ok(match version {
        _ if probe && seen => Attempt::done(outputs),
        // It had answered before: what broke off is the look, not the door.
        Some(_) if is_observation(&trouble.failure) => Attempt::failed(trouble.failure).with_outputs(outputs),
        _ => Attempt::refused(trouble.failure).with_outputs(outputs),
    })
}

/// An `Err` means that nothing was changed.
async fn write(world: &World, args: &Map) -> Result<Attempt, Failure> {
    if flag(args, "probe")? {
        return Err(invalid("probe", "is for reads; a write that goes wrong is never passed over"));
    }
    let call = Call::read(world, args, true)?;
    let mut session = match session::open(world, &call.address, call.deadline).await {
        Ok(session) => session,
        Err(trouble) => return Ok(refused(&call, None, trouble)),
    };
    let written = statement::write(world, &mut session, &call.address.shown, &call.request, call.deadline).await;
    let version = Some(session.server_version.as_str());
    Ok(match written {
        Ok(Written::Done(answer)) => Attempt::done(call.outputs(version, Some(answer), None)),
        Ok(Written::InDoubt(failure)) => Attempt::in_doubt(failure),
        Err(trouble) => refused(&call, version, trouble),
    })
}

fn refused(call: &Call, version: Option<&str>, trouble: Trouble) -> Attempt {
    let outputs = call.outputs(version, None, Some(&trouble));
    Attempt::refused(trouble.failure).with_outputs(outputs)
}
