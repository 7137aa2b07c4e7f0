-- A store of schema 5 as rerail wrote it: two runs that a server began for requests with keys, and a request that
-- was never answered, because the server was killed while it stood in line. Its key lies beside it. Never edit: it stands
-- for journals people have.
PRAGMA application_id = 1919251041;
PRAGMA user_version = 5;
BEGIN TRANSACTION;
CREATE TABLE newest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO newest VALUES(1,2,'791f5cd02ba44a39e833080cffa89c8fecc5548beab93aa0fdd6290b1321796c');
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
INSERT INTO runs VALUES(1,'01a20137-a1bf-77d2-9041-e402a13ae1f9','gknrfs','tidy','Tidy up',NULL,'root','http',NULL,'success',1795316752854,1795316752854,4,X'ea35658af5c274e7d2f31bf7567ec3dfd442d0921a15ba9104170be585ad060e',1,NULL);
INSERT INTO runs VALUES(2,'01a20137-a224-7623-aae2-8484e4dd1d8e','jdt7ce','ask','Ask somebody',NULL,'root','http',NULL,'waiting',1795316752936,NULL,2,X'4e2013889070075a53001a5973c26cc30e98b47b8a86bf94bb83b661fb8cded2',1,'desk');
CREATE TABLE counts (status TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counts VALUES('running',0);
INSERT INTO counts VALUES('success',1);
INSERT INTO counts VALUES('waiting',1);
CREATE TABLE events (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO events VALUES(1,0,'{"v":1,"seq":0,"ts":"2026-11-22T03:05:52.854Z","type":"run.started","semantics":1,"run":"01a20137-a1bf-77d2-9041-e402a13ae1f9","runbook":"tidy","title":"Tidy up","files":[{"kind":"runbook","name":"tidy","shown":"runbooks/tidy.yaml","digest":"sha256:391d5cfb49635a247157cbaab85abd2c0afddf617fe3959e78d677d697482476"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847"}],"target":null,"root":"/srv/shop","inputs":{},"vars":{},"actor":{"id":"root","via":"http"},"reason":null,"incident":null,"effects":["pure"],"fence":1,"timeout_ms":14400000,"store":{"number":1,"prev":""}}',X'df4eba1694b57bb41fa126fa81c467e6f7c57d3b7b2ae550db67fa5fcda4edac');
INSERT INTO events VALUES(1,1,'{"v":1,"seq":1,"ts":"2026-11-22T03:05:52.854Z","type":"step.started","step":"now","attempt":1,"body":"uses","uses":"run.note","effect":"pure","with":{"text":"tidied"}}',X'bde202d183b9be36bb761d287df175b10715bbeda61b3523d9c814bad4080d5a');
INSERT INTO events VALUES(1,2,'{"v":1,"seq":2,"ts":"2026-11-22T03:05:52.854Z","type":"note","text":"tidied","actor":null,"step":"now"}',X'9f361c3788207eb8eeb59a35372b225be38870a35f6308768cb6504b024439d5');
INSERT INTO events VALUES(1,3,'{"v":1,"seq":3,"ts":"2026-11-22T03:05:52.854Z","type":"step.finished","step":"now","attempt":1,"outcome":"done","ms":0}',X'eed50fcfd5fa480ecf7cd026e185d51babbfeb63bc824941e9af23f189863492');
INSERT INTO events VALUES(1,4,'{"v":1,"seq":4,"ts":"2026-11-22T03:05:52.854Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{},"message":null}',X'ea35658af5c274e7d2f31bf7567ec3dfd442d0921a15ba9104170be585ad060e');
INSERT INTO events VALUES(2,0,'{"v":1,"seq":0,"ts":"2026-11-22T03:05:52.936Z","type":"run.started","semantics":1,"run":"01a20137-a224-7623-aae2-8484e4dd1d8e","runbook":"ask","title":"Ask somebody","files":[{"kind":"runbook","name":"ask","shown":"runbooks/ask.yaml","digest":"sha256:de5fa5d682e9fc50226bd2ac26919a812d6975502f66831b21070d7f1aa59c47"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847"}],"target":null,"root":"/srv/shop","inputs":{},"vars":{},"actor":{"id":"root","via":"http"},"reason":null,"incident":null,"effects":["read"],"fence":1,"group":"desk","timeout_ms":14400000,"store":{"number":2,"prev":"df4eba1694b57bb41fa126fa81c467e6f7c57d3b7b2ae550db67fa5fcda4edac"}}',X'791f5cd02ba44a39e833080cffa89c8fecc5548beab93aa0fdd6290b1321796c');
INSERT INTO events VALUES(2,1,'{"v":1,"seq":1,"ts":"2026-11-22T03:05:52.936Z","type":"step.started","step":"ready","attempt":1,"body":"uses","uses":"human.ask","effect":"read","with":{"text":"Ready?"}}',X'c03841b4d5fb7fae7394fcc67ba679f8f86096dc87bc81f93fdc0b579e36a89b');
INSERT INTO events VALUES(2,2,'{"v":1,"seq":2,"ts":"2026-11-22T03:05:52.936Z","type":"ask.asked","step":"ready","text":"Ready?","choices":[],"by":[],"expires":"2026-11-22T03:20:52.936Z"}',X'4e2013889070075a53001a5973c26cc30e98b47b8a86bf94bb83b661fb8cded2');
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
INSERT INTO blobs VALUES('sha256:391d5cfb49635a247157cbaab85abd2c0afddf617fe3959e78d677d697482476','text',X'76657273696f6e3a20310a7469746c653a20546964792075700a6f776e65723a206f70730a72657669657765643a20323032362d31312d30310a73746570733a0a20202d207b2069643a206e6f772c20757365733a2072756e2e6e6f74652c20776974683a207b20746578743a20746964696564207d207d0a');
INSERT INTO blobs VALUES('sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847','text',X'76657273696f6e3a20310a');
INSERT INTO blobs VALUES('sha256:de5fa5d682e9fc50226bd2ac26919a812d6975502f66831b21070d7f1aa59c47','text',X'76657273696f6e3a20310a7469746c653a2041736b20736f6d65626f64790a6f776e65723a206f70730a72657669657765643a20323032362d31312d30310a636f6e63757272656e63793a207b2067726f75703a206465736b2c2069665f627573793a2077616974207d0a73746570733a0a20202d207b2069643a2072656164792c20757365733a2068756d616e2e61736b2c20776974683a207b20746578743a2052656164793f207d207d0a');
CREATE TABLE leases (
    run TEXT PRIMARY KEY,
    fence INTEGER NOT NULL,
    holder TEXT NOT NULL,
    locked INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO leases VALUES('01a20137-a249-7682-995b-7191c6681235',1,'{"pid":2735,"host":"vm","user":"root","since":"2026-11-22T03:05:52.971Z"}',1,61189164);
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
INSERT INTO "groups" VALUES('desk','01a20137-a224-7623-aae2-8484e4dd1d8e',1795316752935);
CREATE TABLE queue (
    ticket INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (name, run)
) STRICT;
INSERT INTO queue VALUES(1,'desk','01a20137-a249-7682-995b-7191c6681235',1795316752975);
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
INSERT INTO checkpoints VALUES(1,'01a20137-a1bf-77d2-9041-e402a13ae1f9',5,'rerail-checkpoint-1 rerail-ed25519:mEsHB1X_eztY_pQdzjfzAmJprVisd8fUkdIvjvQQcHQ no=1 run=01a20137-a1bf-77d2-9041-e402a13ae1f9 events=5 head=ea35658af5c274e7d2f31bf7567ec3dfd442d0921a15ba9104170be585ad060e after=bfea95342c1d2126b5e475788bf6e906b4b7502380bec4c87993305fd2425353 at=2026-11-22T03:05:52.854Z sig=01wSi7L_AUfAz2B395RT64IyqU1HvMZoHX12k8vGr0kRK-VNVNcE7VPa9OOetidgFHwJYTcr7h6lIAkDDkbADQ');
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
INSERT INTO requests VALUES('root','example-1','3d7c71d21e415a4626c109eff8b92ed021cb1318c481d3a7b32ee00a4d7b32bc','01a20137-a1bf-77d2-9041-e402a13ae1f9',1795316752832,201,replace('{\n  "id": "01a20137-a1bf-77d2-9041-e402a13ae1f9",\n  "operator": "root",\n  "run": "gknrfs",\n  "runbook": "tidy",\n  "started_at": "2026-11-22T03:05:52.854Z",\n  "target": null\n}\n','\n',char(10)));
INSERT INTO requests VALUES('root','example-2','a9bab545e969ce5c5bc60cbd894c0e6d453018aa0c4145741addae8c348d6a34','01a20137-a224-7623-aae2-8484e4dd1d8e',1795316752932,201,replace('{\n  "id": "01a20137-a224-7623-aae2-8484e4dd1d8e",\n  "operator": "root",\n  "run": "jdt7ce",\n  "runbook": "ask",\n  "started_at": "2026-11-22T03:05:52.936Z",\n  "target": null\n}\n','\n',char(10)));
INSERT INTO requests VALUES('root','example-3','a9bab545e969ce5c5bc60cbd894c0e6d453018aa0c4145741addae8c348d6a34','01a20137-a249-7682-995b-7191c6681235',1795316752969,NULL,NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('queue',1);
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
COMMIT;
