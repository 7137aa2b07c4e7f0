-- A store of schema 6 as rerail wrote it, without runs: a delivery that was worked through, one that waits with its
-- sealed body, and a thing on a shelf. Its key lies beside it. Never edit: it stands for journals people have.
PRAGMA application_id = 1919251041;
PRAGMA user_version = 6;
BEGIN TRANSACTION;
CREATE TABLE newest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO newest VALUES(1,0,'');
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
, group_name TEXT) STRICT;
CREATE TABLE counts (status TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE events (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE leases (
    run TEXT PRIMARY KEY,
    fence INTEGER NOT NULL,
    holder TEXT NOT NULL,
    locked INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE groups (
    name TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE queue (
    ticket INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (name, run)
) STRICT;
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
CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    events INTEGER NOT NULL,
    line TEXT NOT NULL
) STRICT;
CREATE TABLE tombstones (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    short TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
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
INSERT INTO deliveries VALUES(1,'alertmanager','example-1',1795317265268,'01a2013f-7373-70ef-a1da-f2b16c823029',NULL,NULL,1795317268271,1,1795317265272,'an example');
INSERT INTO deliveries VALUES(2,'slack','example-2',1795317265272,'01a2013f-7378-7333-8ebe-3a80ef246079',X'010d10b53a1bb91e9b8450ecf60ce78a8fff23d40aa22025c70cb8de0b9d252c01f6fb338a14a14777347a',NULL,0,0,NULL,NULL);
CREATE TABLE shelves (
    shelf TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (shelf, key)
) STRICT, WITHOUT ROWID;
INSERT INTO shelves VALUES('chat.cards','example','an example of a card',NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('deliveries',2);
CREATE INDEX runs_by_short ON runs (short);
CREATE INDEX runs_by_runbook ON runs (runbook, number);
CREATE INDEX runs_by_status ON runs (status, number);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX runs_by_incident ON runs (incident, number) WHERE incident IS NOT NULL;
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
CREATE INDEX inbox_by_run ON inbox (run, id);
CREATE VIEW timeline AS
    SELECT runs.short AS run, seq, body ->> '$.ts' AS ts, body ->> '$.type' AS type, body
    FROM events JOIN runs ON runs.number = events.run;
CREATE INDEX runs_by_end ON runs (runbook, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX groups_by_run ON groups (run);
CREATE UNIQUE INDEX one_hold ON holds (lifted_at IS NULL) WHERE lifted_at IS NULL;
CREATE INDEX runs_by_actor ON runs (actor, number);
CREATE INDEX checkpoints_by_run ON checkpoints (run, events);
CREATE INDEX tombstones_by_short ON tombstones (short);
CREATE INDEX requests_by_age ON requests (at);
CREATE INDEX deliveries_open ON deliveries (number) WHERE done_at IS NULL;
CREATE INDEX deliveries_by_age ON deliveries (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX shelves_by_end ON shelves (until) WHERE until IS NOT NULL;
COMMIT;
