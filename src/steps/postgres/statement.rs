//! One statement in a transaction of its own, and whether it can have happened.
//!
//! | what happened to a write | outcome |
//! |---|---|
//! | anything before COMMIT was sent: an error of the server, a lost connection, a time-out | refused: the transaction is gone |
//! | COMMIT answered | done |
//! | COMMIT answered by an error about the data (a deferred constraint, a conflict) | refused |
//! | COMMIT answered by any other error, or not at all | in_doubt |

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Statement, Transaction};

use crate::engine::outcome::{Failure, FailureKind};
use crate::failpoint;
use crate::script::value::{Map, Value};
use crate::steps::args::invalid;
use crate::steps::postgres::cell::{Cell, Param, is_readable};
use crate::steps::postgres::session::{Session, Trouble, trouble};
use crate::steps::world::World;

/// How much longer the server goes on than this side waits: whose limit it was is then no race.
const GRACE: Duration = Duration::from_secs(1);
/// Bytes of all rows together, as the server sends them: what one body of HTTP may have.
const ROWS_BYTES_MAX: usize = 1024 * 1024;
/// Rows asked for at a time, so that few large ones are seen before many come.
const ROWS_AT_ONCE: i32 = 50;
/// Statements that only look. READ ONLY stops changes of tables; this stops statements that act beside them,
/// such as COPY … TO PROGRAM.
const READS: [&str; 6] = ["select", "with", "show", "explain", "values", "table"];
/// Statements that would end or shape the transaction around them, or move data by a channel of their own.
const NEVER: [&str; 13] = [
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "prepare",
    "set",
    "reset",
    "copy",
    "discard",
];

/// What is asked of a server.
pub(in crate::steps) struct Request {
    pub sql: String,
    pub params: Vec<Param>,
    pub row_limit: usize,
}

/// What it gave.
pub(in crate::steps) struct Answer {
    pub rows: Vec<Value>,
    /// Rows read, at most `row_limit`; of a write all that it changed or gave.
    pub count: i64,
    /// More rows were there than `row_limit` or the bytes allow.
    pub truncated: bool,
}

/// What became of a write that was not refused.
pub(in crate::steps) enum Written {
    Done(Answer),
    InDoubt(Failure),
}

/// Why a statement can't be performed as what it is given as.
pub(in crate::steps) fn check(sql: &str, writes: bool) -> Result<(), Failure> {
    let word = first_word(sql);
    if writes && (NEVER.contains(&word.as_str()) || word.is_empty()) {
        return Err(invalid(
            "sql",
            &format!("starts with `{word}`; a write is one statement in a transaction of its own"),
        ));
    }
    if !writes && !READS.contains(&word.as_str()) {
        let reads = READS.join(", ");
        return Err(invalid(
            "sql",
            &format!("starts with `{word}`, and a read with {reads}; `write: true` for anything else"),
        ));
    }
    Ok(())
}

/// Reads in a READ ONLY transaction, which ends without a trace.
pub(in crate::steps) async fn read(
    session: &mut Session,
    host: &str,
    request: &Request,
    deadline: Instant,
) -> Result<Answer, Trouble> {
    let reading = async {
        let begin = session.client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead);
        let transaction = begin.start().await.map_err(|error| refused(host, &error))?;
        // From the first snapshot on the server lets nobody make the transaction a writing one.
        limit(&transaction, deadline, "; SELECT 1").await.map_err(|error| refused(host, &error))?;
        run(&transaction, host, request, Surplus::Leave).await
    };
    match timeout_at(deadline, reading).await {
        Ok(answer) => answer,
        Err(_) => Err(late(host).into()),
    }
}

/// Writes in a transaction. An `Err` means that it was not committed.
pub(in crate::steps) async fn write(
    world: &World,
    session: &mut Session,
    host: &str,
    request: &Request,
    deadline: Instant,
) -> Result<Written, Trouble> {
    world.gate()?;
    failpoint::hit("postgres.before_begin");
    let changing = async {
        let transaction = session.client.transaction().await.map_err(|error| refused(host, &error))?;
        limit(&transaction, deadline, "").await.map_err(|error| refused(host, &error))?;
        let answer = run(&transaction, host, request, Surplus::Run).await?;
        Ok::<_, Trouble>((transaction, answer))
    };
    let (transaction, answer) = match timeout_at(deadline, changing).await {
        Ok(changed) => changed?,
        Err(_) => return Err(late(host).into()),
    };
    failpoint::hit("postgres.before_commit");
    match timeout_at(deadline, transaction.commit()).await {
        Ok(Ok(())) => Ok(Written::Done(answer)),
        Ok(Err(error)) => {
            let trouble = trouble(host, "did not commit", &error);
            match &trouble.sqlstate {
                Some(state) if !is_about_the_server(state.code()) => Err(trouble),
                _ => Ok(Written::InDoubt(trouble.failure)),
            }
        }
        Err(_) => Ok(Written::InDoubt(late(host))),
    }
}

/// Errors that say nothing of the data: lost connections, no room, shutdown, system, bugs. One of them may
/// come after the commit.
fn is_about_the_server(code: &str) -> bool {
    ["08", "53", "57", "58", "F0", "XX", "01", "00"].iter().any(|class| code.starts_with(class))
}

/// The server ends a statement by itself soon after nobody waits for it any more.
async fn limit(transaction: &Transaction<'_>, deadline: Instant, more: &str) -> Result<(), tokio_postgres::Error> {
    let ms = (deadline.saturating_duration_since(Instant::now()) + GRACE).as_millis().min(i32::MAX as u128);
    transaction.batch_execute(&format!("SET LOCAL statement_timeout = {ms}{more}")).await
}

async fn run(
    transaction: &Transaction<'_>,
    host: &str,
    request: &Request,
    surplus: Surplus,
) -> Result<Answer, Trouble> {
    let refused = |error| refused(host, &error);
    let statement = transaction.prepare(&request.sql).await.map_err(refused)?;
    let (wanted, given) = (statement.params().len(), request.params.len());
    if wanted != given {
        return Err(invalid("params", &format!("the statement has {wanted} parameters, got {given}")).into());
    }
    columns(&statement)?;
    let params: Vec<&(dyn ToSql + Sync)> = request.params.iter().map(|param| param as _).collect();
    if statement.columns().is_empty() {
        let count = transaction.execute(&statement, &params).await.map_err(refused)?;
        return Ok(Answer { rows: vec![], count: i64::try_from(count).unwrap_or(i64::MAX), truncated: false });
    }
    let portal = transaction.bind(&statement, &params).await.map_err(refused)?;
    let mut answer = Answer { rows: Vec::new(), count: 0, truncated: false };
    let mut bytes = 0;
    loop {
        let some = transaction.query_portal(&portal, ROWS_AT_ONCE).await.map_err(refused)?;
        for row in &some {
            bytes += row.raw_size_bytes();
            answer.truncated |= answer.rows.len() == request.row_limit || bytes > ROWS_BYTES_MAX;
            match (answer.truncated, surplus) {
                (false, _) => answer.rows.push(value(row).map_err(refused)?),
                (true, Surplus::Run) => {}
                (true, Surplus::Leave) => return Ok(answer),
            }
            answer.count += 1;
        }
        // Fewer than asked for: the statement has come to its end.
        if i32::try_from(some.len()) != Ok(ROWS_AT_ONCE) {
            return Ok(answer);
        }
    }
}

/// What becomes of rows beyond the limit.
#[derive(Clone, Copy)]
enum Surplus {
    /// They are not even looked for.
    Leave,
    /// They are made and dropped: a function that acts on each row acts on all of them.
    Run,
}

fn columns(statement: &Statement) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    for column in statement.columns() {
        if !names.insert(column.name()) {
            return Err(invalid("sql", &format!("gives two columns `{0}`: name one by `AS`", column.name())));
        }
        if !is_readable(column.type_()) {
            let (name, ty) = (column.name(), column.type_().name());
            return Err(invalid("sql", &format!("column `{name}` is of type {ty}: cast it, `{name}::text`")));
        }
    }
    Ok(())
}

fn value(row: &Row) -> Result<Value, tokio_postgres::Error> {
    let cell = |at: usize, name: &str| row.try_get::<_, Cell>(at).map(|cell| (name.to_owned(), cell.0));
    let cells = row.columns().iter().enumerate().map(|(at, column)| cell(at, column.name()));
    cells.collect::<Result<Map, _>>().map(Value::Map)
}

fn refused(host: &str, error: &tokio_postgres::Error) -> Trouble {
    trouble(host, "does not do it", error)
}

fn late(host: &str) -> Failure {
    Failure::transient(FailureKind::Timeout, format!("{host} gave no whole answer in time"))
}

/// The first word of a statement, in lower case, behind comments and brackets.
fn first_word(sql: &str) -> String {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if rest.starts_with("/*") {
            rest = after_comment(rest);
        } else {
            return rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
                .to_ascii_lowercase();
        }
    }
}

/// What follows the comment that `text` starts with; those of SQL nest.
fn after_comment(text: &str) -> &str {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return &text[at..];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_starts_like_one() {
        for sql in [
            "SELECT 1",
            " ( select 1)",
            "-- delete\nselect 1",
            "/* a /* b */ delete */ WITH x AS (SELECT 1) TABLE x",
            "show all",
            "explain select 1",
        ] {
            assert!(check(sql, false).is_ok(), "{sql}");
        }
        for sql in [
            "",
            "--",
            "/*",
            "/* select",
            "delete from t",
            "COPY (select 1) TO PROGRAM 'id'",
            "do $$ begin end $$",
            "select2",
            "/**/call p()",
            "é",
        ] {
            assert!(check(sql, false).is_err(), "{sql}");
        }
    }

    #[test]
    fn a_write_can_not_touch_its_transaction() {
        for sql in [
            "COMMIT",
            "/* x */ rollback",
            "begin",
            "END",
            "set role postgres",
            "PREPARE TRANSACTION 'x'",
            "copy t to stdout",
            "",
        ] {
            assert!(check(sql, true).is_err(), "{sql}");
        }
        for sql in ["UPDATE t SET a = 1", "alter table t add b int", "vacuum", "select f()"] {
            assert!(check(sql, true).is_ok(), "{sql}");
        }
    }
}
