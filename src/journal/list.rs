//! Lists of runs and finding one by what people say: pages by key, never by offset, never a scan.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row, params_from_iter};

use crate::engine::event::Actor;
use crate::engine::ids::RunId;
use crate::journal::append::Status;
use crate::journal::chain::Hash;
use crate::journal::error::{Error, Failure};
use crate::journal::store::Store;

/// Runs on one page at most: a page is held in memory and drawn by a terminal.
pub const PAGE_MAX: u32 = 500;

/// Runs named when a text fits several: enough to choose from on a screen.
const CANDIDATES_MAX: u32 = 10;

/// Entries of an index counted to tell which filter leaves the fewest runs: tens of microseconds, and no filter that
/// leaves fewer makes a page slow, whatever the others are.
const COUNTED_MAX: u32 = 1_000;

/// What lists show of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Place in the store, from 1; the key of pages.
    pub number: u64,
    pub run: RunId,
    pub runbook: String,
    pub title: String,
    pub target: Option<String>,
    pub actor: Actor,
    pub incident: Option<String>,
    pub status: Status,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub last_seq: u64,
    pub head: Hash,
    /// Of its last driver.
    pub fence: u64,
}

/// Which runs to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Option<Status>,
    pub runbook: Option<String>,
    pub actor: Option<String>,
    pub incident: Option<String>,
    pub since: Option<Timestamp>,
    /// The number of the last run of the page before.
    pub before: Option<u64>,
    /// At most [`PAGE_MAX`], which is also what `None` means.
    pub limit: Option<u32>,
}

/// Why a text names no run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FindError {
    #[error("no run `{text}`")]
    NotFound { text: String },
    /// Newest first, and not all if they are many.
    #[error("`{text}` fits several runs: {}", names(candidates))]
    Ambiguous { text: String, candidates: Vec<RunRow> },
    #[error(transparent)]
    Store(#[from] Error),
}

fn names(candidates: &[RunRow]) -> String {
    let names: Vec<String> = candidates.iter().map(|row| format!("{}/{}", row.runbook, row.run)).collect();
    names.join(", ")
}

impl Store {
    /// A page of runs, newest first.
    ///
    /// # Errors
    /// What reading met.
    pub fn runs(&self, filter: &Filter) -> Result<Vec<RunRow>, Error> {
        self.read(|db| page(db, filter))
    }

    /// The row of a run.
    ///
    /// # Errors
    /// [`Error::NoRun`], or what reading met.
    pub fn run(&self, run: RunId) -> Result<RunRow, Error> {
        self.read(|db| {
            let mut found = select(db, "runs", "id = ?", vec![Sql::Text(run.uuid())], 1)?;
            found.pop().ok_or_else(|| Error::NoRun { run }.into())
        })
    }

    /// How many runs there are of each status that ever occurred, without counting them.
    ///
    /// # Errors
    /// What reading met.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>, Error> {
        self.read(|db| {
            let mut select = db.prepare_cached("SELECT status, runs FROM counts")?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The run a person means: a short id, the unique beginning of one or of a UUID, `runbook/short`, `@last`, or
    /// `@last:runbook`. Letters that look alike are read as Crockford meant them.
    ///
    /// # Errors
    /// [`FindError::NotFound`], or [`FindError::Ambiguous`] with candidates.
    pub fn find_run(&self, text: &str) -> Result<RunRow, FindError> {
        let text = text.trim();
        let mut found = self.read(|db| find(db, text))?;
        match (found.len(), found.pop()) {
            (1, Some(row)) => Ok(row),
            (_, None) => Err(FindError::NotFound { text: text.to_owned() }),
            (_, Some(last)) => {
                found.push(last);
                Err(FindError::Ambiguous { text: text.to_owned(), candidates: found })
            }
        }
    }
}

/// A condition of a filter, and the index that finds the runs it leaves.
struct Condition {
    word: &'static str,
    index: &'static str,
    value: Sql,
}

fn conditions(filter: &Filter) -> Vec<Condition> {
    let text = |word, index, value: Option<&str>| {
        value.map(|value| Condition { word, index, value: Sql::Text(value.to_owned()) })
    };
    let since = filter.since.map(|since| Sql::Integer(since.as_millisecond()));
    // Where all of them leave many runs the first one is walked: most runs of a store have ended well.
    let conditions = [
        text("incident = ?", "runs_by_incident", filter.incident.as_deref()),
        text("runbook = ?", "runs_by_runbook", filter.runbook.as_deref()),
        text("actor = ?", "runs_by_actor", filter.actor.as_deref()),
        text("status = ?", "runs_by_status", filter.status.map(Status::word)),
        since.map(|value| Condition { word: "started_at >= ?", index: "runs_by_start", value }),
    ];
    conditions.into_iter().flatten().collect()
}

fn page(db: &Connection, filter: &Filter) -> Result<Vec<RunRow>, Failure> {
    let conditions = conditions(filter);
    let from = match narrowest(db, &conditions)? {
        Some(index) => format!("runs INDEXED BY {index}"),
        None => "runs NOT INDEXED".to_owned(),
    };
    let before = filter.before.map(|before| Sql::Integer(i64::try_from(before).unwrap_or(i64::MAX)));
    let words = conditions.iter().map(|condition| condition.word).chain(before.is_some().then_some("number < ?"));
    let condition = std::iter::once("TRUE").chain(words).collect::<Vec<_>>().join(" AND ");
    let values = conditions.into_iter().map(|condition| condition.value).chain(before).collect();
    select(db, &from, &condition, values, filter.limit.unwrap_or(PAGE_MAX))
}

/// The index to walk; `None` to walk all runs from the newest. SQLite can't tell a rare value from a common one without
/// statistics nobody collects here, and for `since` it would sort all that began later.
fn narrowest(db: &Connection, conditions: &[Condition]) -> Result<Option<&'static str>, Failure> {
    let by_number = |condition: &&Condition| condition.index != "runs_by_start";
    if let ([only], true) = (conditions, conditions.iter().all(|only| by_number(&only))) {
        return Ok(Some(only.index));
    }
    let mut fewest = (COUNTED_MAX, conditions.iter().find(by_number).map(|condition| condition.index));
    for Condition { word, index, value } in conditions {
        let mut count = db.prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM runs INDEXED BY {index} WHERE {word} LIMIT {COUNTED_MAX})"
        ))?;
        let runs: u32 = count.query_row([value], |row| row.get(0))?;
        if runs < fewest.0 {
            fewest = (runs, Some(index));
        }
    }
    Ok(fewest.1)
}

/// The program that started a run for somebody, as the run recorded it; looked for only where one did.
const AGENT: &str =
    "CASE WHEN via = 'mcp' THEN (SELECT CASE WHEN json_valid(body) THEN json_extract(body, '$.actor.agent') END
                     FROM events WHERE events.run = runs.number AND seq = 0) END";

/// Runs for which `condition` holds, newest first. `from` and `condition` are ours; what people gave is in `values`.
fn select(db: &Connection, from: &str, condition: &str, values: Vec<Sql>, limit: u32) -> Result<Vec<RunRow>, Failure> {
    let limit = limit.min(PAGE_MAX);
    let mut select = db.prepare_cached(&format!(
        "SELECT number, id, runbook, title, target, actor, via, incident, status, started_at, ended_at,
                last_seq, head, fence, {AGENT}
         FROM {from} WHERE {condition} ORDER BY number DESC LIMIT {limit}"
    ))?;
    let rows = select.query_map(params_from_iter(values), row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let id: String = row.get(1)?;
    let status: String = row.get(8)?;
    let head: Vec<u8> = row.get(12)?;
    Ok(RunRow {
        number: row.get(0)?,
        run: id.parse().map_err(|_| unreadable(1, &id))?,
        runbook: row.get(2)?,
        title: row.get(3)?,
        target: row.get(4)?,
        actor: Actor { agent: row.get(14)?, ..Actor::new(row.get::<_, String>(5)?, row.get::<_, String>(6)?) },
        incident: row.get(7)?,
        status: Status::from_word(&status).ok_or_else(|| unreadable(8, &status))?,
        started_at: time(9, row.get(9)?)?,
        ended_at: row.get::<_, Option<i64>>(10)?.map(|ms| time(10, ms)).transpose()?,
        last_seq: row.get(11)?,
        head: Hash::from_bytes(&head).ok_or_else(|| unreadable(12, "not 32 bytes"))?,
        fence: row.get(13)?,
    })
}

fn time(column: usize, ms: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|_| unreadable(column, &ms.to_string()))
}

/// A value that only damage can have put there.
fn unreadable(column: usize, found: &str) -> rusqlite::Error {
    let why = format!("`{found}` is not what was written");
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
}

/// The index of short ids.
const BY_SHORT: &str = "runs_by_short";
/// The index that SQLite keeps for ids being unique.
const BY_ID: &str = "sqlite_autoindex_runs_1";

fn find(db: &Connection, text: &str) -> Result<Vec<RunRow>, Failure> {
    if text == "@last" {
        return select(db, "runs", "TRUE", vec![], 1);
    }
    if let Some(runbook) = text.strip_prefix("@last:") {
        return select(db, "runs", "runbook = ?", vec![Sql::Text(runbook.to_owned())], 1);
    }
    let (runbook, id) = match text.rsplit_once('/') {
        Some((runbook, id)) => (Some(runbook), id),
        None => (None, text),
    };
    if id.is_empty() {
        return Ok(Vec::new());
    }
    let short = spoken(id);
    let uuid = id.to_lowercase();
    // A whole short id wins over a longer name that begins like it.
    for (column, index, text, exact) in
        [("short", BY_SHORT, &short, true), ("short", BY_SHORT, &short, false), ("id", BY_ID, &uuid, false)]
    {
        let (condition, mut values) = match exact {
            true => (format!("{column} = ?"), vec![Sql::Text(text.clone())]),
            // `~` sorts behind all letters and digits an id has.
            false => (
                format!("{column} >= ? AND {column} < ?"),
                vec![Sql::Text(text.clone()), Sql::Text(format!("{text}~"))],
            ),
        };
        let condition = match runbook {
            Some(runbook) => {
                values.push(Sql::Text(runbook.to_owned()));
                format!("{condition} AND runbook = ?")
            }
            None => condition,
        };
        // Left to itself SQLite walks all runs from the newest, and where nothing is found to the oldest.
        let found = select(db, &format!("runs INDEXED BY {index}"), &condition, values, CANDIDATES_MAX)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// A short id as heard or typed, in its own letters.
pub(super) fn spoken(id: &str) -> String {
    let letter = |c: char| match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    };
    id.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::append::{Append, Journal};
    use crate::journal::testkit::{append, finished, holder, sql, start, started, store};

    /// A run whose short id is chosen: its last 30 bits.
    fn named(store: &Store, runbook: &str, low: u32) -> RunId {
        let run = RunId::new(uuid::Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 | u128::from(low)));
        let drive = store.acquire(run, holder()).unwrap();
        store.append(Append::events(run, drive.fence(), vec![started(run, runbook)])).wait().unwrap();
        run
    }

    #[test]
    fn pages_walk_all_runs_newest_first_without_overlap() {
        let (_base, store) = store();
        for _ in 0..7 {
            start(&store, "backend-down");
        }
        let mut filter = Filter { limit: Some(3), ..Filter::default() };
        let mut numbers = Vec::new();
        loop {
            let page = store.runs(&filter).unwrap();
            let Some(last) = page.last() else { break };
            filter.before = Some(last.number);
            numbers.extend(page.iter().map(|row| row.number));
            start(&store, "new one while paging");
        }
        assert_eq!(numbers, [7, 6, 5, 4, 3, 2, 1]);
    }

    #[test]
    fn filters_combine() {
        let (_base, store) = store();
        let done = start(&store, "a");
        append(&store, &done, vec![finished(1)]).unwrap();
        let open = start(&store, "a");
        start(&store, "b");
        let runs = |filter: Filter| store.runs(&filter).unwrap().into_iter().map(|row| row.number).collect::<Vec<_>>();
        let a = Filter { runbook: Some("a".into()), ..Filter::default() };
        assert_eq!(runs(a.clone()), [2, 1]);
        assert_eq!(runs(Filter { status: Some(Status::Running), ..a.clone() }), [2]);
        assert_eq!(runs(Filter { incident: Some("INC-7".into()), actor: Some("ana".into()), ..a.clone() }), [2, 1]);
        let later = store.run(open.run()).unwrap().started_at + std::time::Duration::from_millis(1);
        assert_eq!(runs(Filter { since: Some(later), ..a }), [0u64; 0]);
    }

    /// Runs as the journal writes them, by SQL: number `i` began at `i` seconds.
    fn filled(store: &Store, runs: u32) {
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})
             INSERT INTO runs (number, id, short, runbook, title, actor, via, status, started_at, last_seq, head, fence)
             SELECT i, printf('0193a000-0000-7000-8000-%012x', i), printf('%06x', i), 'book-' || (i % 2), 'A title',
                    iif(i = 7, 'rare', 'person-' || (i % 2)), 'cli', iif(i % 500 = 0, 'waiting', 'success'),
                    i * 1000, 1, zeroblob(32), 1 FROM n"
        );
        sql(store).execute_batch(&fill).unwrap();
    }

    #[test]
    fn a_page_walks_the_index_of_the_filter_that_leaves_the_fewest_runs() {
        let (_base, store) = store();
        filled(&store, 3 * COUNTED_MAX);
        let since = |second: i64| Some(Timestamp::from_second(second).unwrap());
        let book = || Filter { runbook: Some("book-1".into()), limit: Some(3), ..Filter::default() };
        let (by_book, by_actor, by_start) = (Some("runs_by_runbook"), Some("runs_by_actor"), Some("runs_by_start"));
        let cases = [
            (Filter { limit: Some(2), ..Filter::default() }, None, vec![3_000, 2_999]),
            (book(), by_book, vec![2_999, 2_997, 2_995]),
            (Filter { before: Some(1_000), ..book() }, by_book, vec![999, 997, 995]),
            (Filter { actor: Some("rare".into()), ..Filter::default() }, by_actor, vec![7]),
            (Filter { actor: Some("rare".into()), ..book() }, by_actor, vec![7]),
            (Filter { actor: Some("nobody".into()), ..book() }, by_actor, vec![]),
            (Filter { status: Some(Status::Waiting), ..book() }, Some("runs_by_status"), vec![]),
            (Filter { status: Status::from_word("success"), ..book() }, by_book, vec![2_999, 2_997, 2_995]),
            (Filter { since: since(2), limit: Some(2), ..Filter::default() }, None, vec![3_000, 2_999]),
            (Filter { since: since(2_999), ..Filter::default() }, by_start, vec![3_000, 2_999]),
            (Filter { since: since(2), ..book() }, by_book, vec![2_999, 2_997, 2_995]),
            (Filter { since: since(2_998), ..book() }, by_start, vec![2_999]),
            (Filter { incident: Some("INC-1".into()), ..book() }, Some("runs_by_incident"), vec![]),
        ];
        for (filter, index, numbers) in cases {
            assert_eq!(store.read(|db| narrowest(db, &conditions(&filter))).unwrap(), index, "{filter:?}");
            let page = store.runs(&filter).unwrap();
            assert_eq!(page.iter().map(|row| row.number).collect::<Vec<_>>(), numbers, "{filter:?}");
        }
    }

    #[test]
    fn nobody_looks_through_all_runs_for_one() {
        let (_base, store) = store();
        let db = sql(&store);
        filled(&store, 3_000);
        for name in
            ["nothing", "zzzzzz", "0193a000-0000-7000-8000-000000000007", "ffffffff-0000-7000-8000-000000000007"]
        {
            find(&db, name).unwrap();
        }
        let mut scanned = 0;
        for (column, index) in [("short", BY_SHORT), ("id", BY_ID)] {
            let query = format!(
                "SELECT * FROM runs INDEXED BY {index} WHERE {column} >= ?1 AND {column} < ?2 ORDER BY number DESC"
            );
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
            let steps = plan.query_map(["a", "b"], |row| row.get::<_, String>(3)).unwrap().map(Result::unwrap);
            scanned += steps.filter(|step| step.contains("SCAN")).count();
        }
        assert_eq!(scanned, 0);
        let found = find(&db, "0193a000-0000-7000-8000-000000000007").unwrap();
        assert_eq!(found.iter().map(|row| row.number).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn a_run_is_found_by_what_people_say() {
        let (_base, store) = store();
        let first = named(&store, "backend-down", 0x0010_8421);
        let second = named(&store, "crash-loop", 0x2010_8421);
        assert_eq!((first.short().as_str(), second.short().as_str()), ("011111", "g11111"));
        let found = |text: &str| store.find_run(text).unwrap().run;
        for text in ["011111", "O1llI1", "0", "backend-down/0111", "@last:backend-down"] {
            assert_eq!(found(text), first, "{text}");
        }
        for text in ["g1", "G11111", "@last", "crash-loop/g", &second.uuid(), &second.uuid()[..29].to_uppercase()] {
            assert_eq!(found(text), second, "{text}");
        }
        for text in ["", "zz", "crash-loop/011", "@last:nothing", "/", "0' OR 1=1 --", "%", "0111119"] {
            assert!(matches!(store.find_run(text), Err(FindError::NotFound { .. })), "{text}");
        }
    }

    #[test]
    fn a_text_that_fits_several_runs_names_them() {
        let (_base, store) = store();
        let first = named(&store, "backend-down", 0x0010_8421);
        named(&store, "crash-loop", 0x0010_8422);
        match store.find_run("0111") {
            Err(FindError::Ambiguous { candidates, .. }) => {
                assert_eq!(candidates.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 1]);
            }
            other => panic!("{other:?}"),
        }
        let error = store.find_run(&first.uuid()[..10]).unwrap_err().to_string();
        assert!(error.contains("backend-down/011111") && error.contains("crash-loop/011112"), "{error}");
        assert_eq!(store.find_run("backend-down/0111").unwrap().run, first);
    }
}
