//! The tables of a store, in all their versions. How one becomes the next is said in `schema.rs`.

/// Each takes the schema one version on; `PRAGMA user_version` counts them. Never edit one that was released.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3, V4, V5, V6, V7];

const V1: &str = "
-- Number and hash of the newest run ever started: the end of the chain of runs.
CREATE TABLE newest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO newest VALUES (1, 0, '');

-- One row a run: what lists show, and the end of its chain of events. Times are milliseconds since 1970.
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    short TEXT NOT NULL,
    runbook TEXT NOT NULL,
    title TEXT NOT NULL,
    target TEXT,
    actor TEXT NOT NULL,
    via TEXT NOT NULL,
    incident TEXT,
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    last_seq INTEGER NOT NULL,
    head BLOB NOT NULL,
    fence INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_by_short ON runs (short);
CREATE INDEX runs_by_runbook ON runs (runbook, number);
CREATE INDEX runs_by_status ON runs (status, number);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX runs_by_incident ON runs (incident, number) WHERE incident IS NOT NULL;

-- How many runs there are of each status: totals without counting.
CREATE TABLE counts (status TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER count_new AFTER INSERT ON runs BEGIN
    INSERT INTO counts VALUES (new.status, 1) ON CONFLICT DO UPDATE SET runs = runs + 1;
END;
CREATE TRIGGER count_changed AFTER UPDATE OF status ON runs WHEN new.status <> old.status BEGIN
    UPDATE counts SET runs = runs - 1 WHERE status = old.status;
    INSERT INTO counts VALUES (new.status, 1) ON CONFLICT DO UPDATE SET runs = runs + 1;
END;
CREATE TRIGGER count_removed AFTER DELETE ON runs BEGIN
    UPDATE counts SET runs = runs - 1 WHERE status = old.status;
END;

-- The events. `body` is the exact line that was hashed; everything else about an event is in it.
CREATE TABLE events (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

-- Texts and large values by their SHA-256.
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- Who drives a run. By id, not number: a run is taken before its first event stands.
CREATE TABLE leases (
    run TEXT PRIMARY KEY,
    fence INTEGER NOT NULL,
    holder TEXT NOT NULL,
    locked INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What other processes tell the driver of a run. AUTOINCREMENT: an id is never used twice.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX inbox_by_run ON inbox (run, id);

-- For people with the sqlite3 command.
CREATE VIEW timeline AS
    SELECT runs.short AS run, seq, body ->> '$.ts' AS ts, body ->> '$.type' AS type, body
    FROM events JOIN runs ON runs.number = events.run;
";

const V2: &str = "
-- What a run holds against others until its end; and the last ended run of a kind, without looking at all of them.
ALTER TABLE runs ADD COLUMN group_name TEXT;
CREATE INDEX runs_by_end ON runs (runbook, ended_at) WHERE ended_at IS NOT NULL;

-- Which run has a group of runs that exclude each other: from just before its first event until its end.
CREATE TABLE groups (
    name TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX groups_by_run ON groups (run);

-- Who waits for a group, in this order; only as real as the lease of the one who waits.
CREATE TABLE queue (
    ticket INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (name, run)
) STRICT;

-- Holds of the whole store, for the record; the one that was not lifted is on.
CREATE TABLE holds (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    since INTEGER NOT NULL,
    actor TEXT NOT NULL,
    via TEXT NOT NULL,
    reason TEXT NOT NULL,
    lifted_at INTEGER,
    lifted_by TEXT,
    lifted_via TEXT
) STRICT;
CREATE UNIQUE INDEX one_hold ON holds (lifted_at IS NULL) WHERE lifted_at IS NULL;
";

const V3: &str = "
-- The runs of one person, newest first.
CREATE INDEX runs_by_actor ON runs (actor, number);
";

const V4: &str = "
-- Signed checkpoints, each after the one before. `line` is the exact line that people are given; everything else is
-- in it. Of the run's id, not its number: a pruned run has none any more.
CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    events INTEGER NOT NULL,
    line TEXT NOT NULL
) STRICT;
CREATE INDEX checkpoints_by_run ON checkpoints (run, events);

-- What is left of a run that was pruned, at its number. `body` is the exact text whose hash is in its checkpoint.
CREATE TABLE tombstones (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    short TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX tombstones_by_short ON tombstones (short);
";

const V5: &str = "
-- What servers were asked to do under keys of their clients, and answered; old ones go by themselves. No evidence: what
-- was done stands in the events.
CREATE TABLE requests (
    person TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER,
    body TEXT,
    PRIMARY KEY (person, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_age ON requests (at);
";

const V6: &str = "
-- What programs sent to servers: kept before it is answered, worked through afterwards. `body` is sealed, and gone once it
-- was worked through; the row stays for a while, to know what is sent again.
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    run TEXT NOT NULL,
    body BLOB,
    -- Who works on it, and until when nobody else does.
    taker TEXT,
    not_before INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    done_at INTEGER,
    came_to TEXT,
    UNIQUE (source, id)
) STRICT;
CREATE INDEX deliveries_open ON deliveries (number) WHERE done_at IS NULL;
CREATE INDEX deliveries_by_age ON deliveries (done_at) WHERE done_at IS NOT NULL;

-- Small things that surfaces keep, by shelf and key: who is logged in, where a card hangs. No evidence, and no secrets.
CREATE TABLE shelves (
    shelf TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (shelf, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX shelves_by_end ON shelves (until) WHERE until IS NOT NULL;
";

/// Tables are made anew, because the project is part of what is unique. The column that had it has another name as well, so
/// that whatever an older server, which was there first, still asks or writes is refused: it would be of the wrong project.
const V7: &str = "
-- Whose something is has a column of its own: the directory of a project, empty for what is of none. Before, it stood
-- behind the name, after a line break.
CREATE TABLE requests_of (
    project TEXT NOT NULL,
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER,
    body TEXT,
    PRIMARY KEY (project, caller, key)
) STRICT, WITHOUT ROWID;
INSERT INTO requests_of
    SELECT iif(instr(person, char(10)) = 0, '', substr(person, instr(person, char(10)) + 1)),
        iif(instr(person, char(10)) = 0, person, substr(person, 1, instr(person, char(10)) - 1)),
        key, digest, run, at, status, body
    FROM requests;
DROP TABLE requests;
ALTER TABLE requests_of RENAME TO requests;
CREATE INDEX requests_by_age ON requests (at);

CREATE TABLE deliveries_of (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    sender TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    run TEXT NOT NULL,
    body BLOB,
    -- Who works on it, and until when nobody else does.
    taker TEXT,
    not_before INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    -- How many of its matters have an earlier one that is open: it is worked through once there are none.
    ahead INTEGER NOT NULL DEFAULT 0,
    done_at INTEGER,
    came_to TEXT,
    UNIQUE (project, sender, id)
) STRICT;
-- A number that was given to one that is forgotten is never given again.
INSERT INTO sqlite_sequence SELECT 'deliveries_of', seq FROM sqlite_sequence WHERE name = 'deliveries';
INSERT INTO deliveries_of
    SELECT number, iif(instr(source, char(10)) = 0, '', substr(source, instr(source, char(10)) + 1)),
        iif(instr(source, char(10)) = 0, source, substr(source, 1, instr(source, char(10)) - 1)),
        id, at, run, body, taker, not_before, tries, 0, done_at, came_to
    FROM deliveries;
DROP TABLE deliveries;
ALTER TABLE deliveries_of RENAME TO deliveries;
CREATE INDEX deliveries_open ON deliveries (project, number) WHERE done_at IS NULL;
CREATE INDEX deliveries_next ON deliveries (project, number) WHERE done_at IS NULL AND ahead = 0;
CREATE INDEX deliveries_by_age ON deliveries (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE shelves_of (
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (project, name, key)
) STRICT, WITHOUT ROWID;
INSERT INTO shelves_of
    SELECT iif(instr(shelf, char(10)) = 0, '', substr(shelf, instr(shelf, char(10)) + 1)),
        iif(instr(shelf, char(10)) = 0, shelf, substr(shelf, 1, instr(shelf, char(10)) - 1)),
        key, value, until
    FROM shelves;
DROP TABLE shelves;
ALTER TABLE shelves_of RENAME TO shelves;
CREATE INDEX shelves_by_end ON shelves (until) WHERE until IS NOT NULL;

-- What open deliveries are about, by digest: those of one matter are worked through in their order.
CREATE TABLE matters (
    project TEXT NOT NULL,
    sender TEXT NOT NULL,
    matter TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (project, sender, matter, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX matters_by_number ON matters (number);
";
