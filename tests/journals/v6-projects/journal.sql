-- A store of schema 6 as rerail wrote it, which two projects share, /srv/shop and /srv/bank: whose something is stands
-- behind its name, after a line break. Of the shop an answered request, and an alert that was worked through; of each a
-- server was killed over the same alert, and its delivery waits. Its key lies beside it. Never edit: it stands for journals
-- people have.
PRAGMA application_id = 1919251041;
PRAGMA user_version = 6;
BEGIN TRANSACTION;
CREATE TABLE newest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO newest VALUES(1,2,'f9c8273effc375006cadd995bd5cddba5e462683e64d957d6d0861b412f6122b');
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
INSERT INTO runs VALUES(1,'01a202a0-3fed-7521-a991-c67f43811e44','1r27j4','look','Look at a service that is said to be down',NULL,'root','alertmanager',NULL,'success',1795340386333,1795340386334,4,X'1bf564f045c4ce0f1ecce0fc1d1e5d14227b471a07536f730447358aec250674',1,NULL);
INSERT INTO runs VALUES(2,'01a202a0-4804-7561-bfd0-5cd3ac03d56f','p07nbf','look','Look at a service that is said to be down',NULL,'root','http',NULL,'success',1795340388360,1795340388360,4,X'3b4dfc1ceaed588dbc5d607df3920afd472d152a0131e4f6fe71c6dbba78f92a',1,NULL);
CREATE TABLE counts (status TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counts VALUES('running',0);
INSERT INTO counts VALUES('success',2);
CREATE TABLE events (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO events VALUES(1,0,'{"v":1,"seq":0,"ts":"2026-11-22T09:39:46.333Z","type":"run.started","semantics":1,"run":"01a202a0-3fed-7521-a991-c67f43811e44","runbook":"look","title":"Look at a service that is said to be down","files":[{"kind":"runbook","name":"look","shown":"runbooks/look.yaml","digest":"sha256:96529e5d1a3cecaa19ab98fedd532f77a8bab57af51da9792f2dbfe3cf609c76"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:b8f738c46c6edc48df06dfd4be41bd76698909b6d5d533e04fcb1a9ef7a2e492"}],"target":null,"root":"/srv/shop","inputs":{"service":"backend"},"vars":{},"actor":{"id":"root","via":"alertmanager"},"reason":"alert Down of alertmanager since 2026-11-21T08:41:25Z","incident":null,"effects":["pure"],"fence":1,"timeout_ms":14400000,"store":{"number":1,"prev":""}}',X'2cc875c1b1950d3a3387bfd720982f6ffd0c9ddf2b19bd9bfdaaedce51efc3f9');
INSERT INTO events VALUES(1,1,'{"v":1,"seq":1,"ts":"2026-11-22T09:39:46.334Z","type":"step.started","step":"run_note","attempt":1,"body":"uses","uses":"run.note","effect":"pure","with":{"text":"looked at backend"}}',X'2cf5ade5f40983b39119491a11c52d464314a24cc2e34856bfe27a36f4b06887');
INSERT INTO events VALUES(1,2,'{"v":1,"seq":2,"ts":"2026-11-22T09:39:46.334Z","type":"note","text":"looked at backend","actor":null,"step":"run_note"}',X'2c00ffab3892318cc51316e68211b6a5edd858651d0be8482767e605d74d962f');
INSERT INTO events VALUES(1,3,'{"v":1,"seq":3,"ts":"2026-11-22T09:39:46.334Z","type":"step.finished","step":"run_note","attempt":1,"outcome":"done","ms":0}',X'94627657c45f1c528576cb41fc3824d9b8c4ff9e9b567dda36efca7f076cf5ab');
INSERT INTO events VALUES(1,4,'{"v":1,"seq":4,"ts":"2026-11-22T09:39:46.334Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{},"message":null}',X'1bf564f045c4ce0f1ecce0fc1d1e5d14227b471a07536f730447358aec250674');
INSERT INTO events VALUES(2,0,'{"v":1,"seq":0,"ts":"2026-11-22T09:39:48.36Z","type":"run.started","semantics":1,"run":"01a202a0-4804-7561-bfd0-5cd3ac03d56f","runbook":"look","title":"Look at a service that is said to be down","files":[{"kind":"runbook","name":"look","shown":"runbooks/look.yaml","digest":"sha256:96529e5d1a3cecaa19ab98fedd532f77a8bab57af51da9792f2dbfe3cf609c76"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:b8f738c46c6edc48df06dfd4be41bd76698909b6d5d533e04fcb1a9ef7a2e492"}],"target":null,"root":"/srv/shop","inputs":{"service":"backend"},"vars":{},"actor":{"id":"root","via":"http"},"reason":null,"incident":null,"effects":["pure"],"fence":1,"previous":{"run":"01a202a0-3fed-7521-a991-c67f43811e44","outcome":"success","ended_at":"2026-11-22T09:39:46.334Z"},"timeout_ms":14400000,"store":{"number":2,"prev":"2cc875c1b1950d3a3387bfd720982f6ffd0c9ddf2b19bd9bfdaaedce51efc3f9"}}',X'f9c8273effc375006cadd995bd5cddba5e462683e64d957d6d0861b412f6122b');
INSERT INTO events VALUES(2,1,'{"v":1,"seq":1,"ts":"2026-11-22T09:39:48.36Z","type":"step.started","step":"run_note","attempt":1,"body":"uses","uses":"run.note","effect":"pure","with":{"text":"looked at backend"}}',X'be169ef45ab421d4aad29518ec7322c195c2566253f52e2dbe7ce3ac5aafe672');
INSERT INTO events VALUES(2,2,'{"v":1,"seq":2,"ts":"2026-11-22T09:39:48.36Z","type":"note","text":"looked at backend","actor":null,"step":"run_note"}',X'bf19471c316af1c1a7a1f35716ceb0b4c8ff2b6afd8958b8e3b11dcdfa5780a0');
INSERT INTO events VALUES(2,3,'{"v":1,"seq":3,"ts":"2026-11-22T09:39:48.36Z","type":"step.finished","step":"run_note","attempt":1,"outcome":"done","ms":0}',X'9d366f647f063dab1535050c77f4fb94a5b442de72e2d4196c948e6dcdd0af85');
INSERT INTO events VALUES(2,4,'{"v":1,"seq":4,"ts":"2026-11-22T09:39:48.36Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{},"message":null}',X'3b4dfc1ceaed588dbc5d607df3920afd472d152a0131e4f6fe71c6dbba78f92a');
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
INSERT INTO blobs VALUES('sha256:96529e5d1a3cecaa19ab98fedd532f77a8bab57af51da9792f2dbfe3cf609c76','text',X'76657273696f6e3a20310a7469746c653a204c6f6f6b206174206120736572766963652074686174206973207361696420746f20626520646f776e0a6f776e65723a20706c6174666f726d0a72657669657765643a20323032362d31312d32320a74726967676572733a0a20202d20616c6572743a207b20616c6572746e616d653a20446f776e207d0a20202020696e707574733a207b20736572766963653a2027247b7b20616c6572742e6c6162656c732e73657276696365207d7d27207d0a696e707574733a207b20736572766963653a207b20747970653a20737472696e67207d207d0a73746570733a0a20202d20757365733a2072756e2e6e6f74650a20202020776974683a207b20746578743a20276c6f6f6b656420617420247b7b20696e707574732e73657276696365207d7d27207d0a');
INSERT INTO blobs VALUES('sha256:b8f738c46c6edc48df06dfd4be41bd76698909b6d5d533e04fcb1a9ef7a2e492','text',X'76657273696f6e3a20310a686f6f6b733a207b20616c6572746d616e616765723a207b207365637265743a207b2066726f6d3a20656e762c206e616d653a20484f4f4b5f544f4b454e207d207d207d0a');
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
INSERT INTO checkpoints VALUES(1,'01a202a0-3fed-7521-a991-c67f43811e44',5,'rerail-checkpoint-1 rerail-ed25519:YpyxdVcPz7IJ2Ls1tMI1fBkVeSMKPth96Ao0XB14prc no=1 run=01a202a0-3fed-7521-a991-c67f43811e44 events=5 head=1bf564f045c4ce0f1ecce0fc1d1e5d14227b471a07536f730447358aec250674 after=bfea95342c1d2126b5e475788bf6e906b4b7502380bec4c87993305fd2425353 at=2026-11-22T09:39:46.334Z sig=DfPL9d3-clEVvKjazl80vPHCidftGL9FZAKLekeWmBrmBobbFd3fUpwCzPABS28t6EQYW0_EfTrgETa8SRL-Dg');
INSERT INTO checkpoints VALUES(2,'01a202a0-4804-7561-bfd0-5cd3ac03d56f',5,'rerail-checkpoint-1 rerail-ed25519:YpyxdVcPz7IJ2Ls1tMI1fBkVeSMKPth96Ao0XB14prc no=2 run=01a202a0-4804-7561-bfd0-5cd3ac03d56f events=5 head=3b4dfc1ceaed588dbc5d607df3920afd472d152a0131e4f6fe71c6dbba78f92a after=eba5176e77a28eaa7810a4dc30c97a2680a07feafb3f075f94f718413df3b688 at=2026-11-22T09:39:48.36Z sig=fPGjq0ZCpESf8iAkhJOxPBMyQO2Hd0m-2GfWhzFZYM0I_yFiwo8M7EbEYKg1ZNlhGMzif82SbJaIBmEp2Ge2BA');
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
INSERT INTO requests VALUES(replace('root\n/srv/shop','\n',char(10)),'example-1','734f10f0ed6a0aa1fe6a8e5c72002408a0c3366073bef5e7886a2ebc1ff3795d','01a202a0-4804-7561-bfd0-5cd3ac03d56f',1795340388356,201,replace('{\n  "id": "01a202a0-4804-7561-bfd0-5cd3ac03d56f",\n  "operator": "root",\n  "run": "p07nbf",\n  "runbook": "look",\n  "started_at": "2026-11-22T09:39:48.36Z",\n  "target": null\n}\n','\n',char(10)));
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
INSERT INTO deliveries VALUES(1,replace('alertmanager\n/srv/shop','\n',char(10)),'d259ebb2304b139eeac30dc0a998262c9c61a138dec471db9bccf58fe9b73aa6-2992233',1795340386272,'01a202a0-3fe0-773a-bb8e-39008cc6b439',NULL,NULL,1795340388283,1,1795340386355,'started 1');
INSERT INTO deliveries VALUES(2,replace('alertmanager\n/srv/shop','\n',char(10)),'3f4233af5614985dd1c063c6af31f07f9a45e730d00947f26c4b249566dcf949-2992233',1795340393444,'01a202a0-5be4-73ed-a927-832a89eab02c',X'01d683a343b95f5c2905df3056ed6cbdfbbd895185483de60d6a2a8fb0fd346c2e407bbac9dd769271a2357d4be30838ceb99344b2b0570579c7199b41255833fc9859482bb56cbfad41d759f81d83e03cbad042234f40cc2df4c2586ab01a0294381769a8b524fe605312670dfca41db957ec031bcc9d9d28c9adb7e1fb2ac1704961913ce7f4b5c3736b23c48f85b87cfdd85bf89dd944aab5d7fee99f777ce49b0b76581de853a25790b682b69f0f2fd01629b9233febc2386a1dbd943e13513d129c544629748649a7dec67e4700bd250b37df','01a202a0-5417-71c4-8025-8b153dc41b95',1795340395475,1,NULL,NULL);
INSERT INTO deliveries VALUES(3,replace('alertmanager\n/srv/bank','\n',char(10)),'3f4233af5614985dd1c063c6af31f07f9a45e730d00947f26c4b249566dcf949-2992233',1795340396512,'01a202a0-67e0-71e5-8ea5-371d2977ecd7',X'01bd4c1a7cc6316e5e01db07db31b016d3238eeb9f9a76c99b480ec7bbf5c3f75dc6549e276c1833735362e651adefea914da97be69b1f8fc1e06b54e2dd0a4089b2aa905cef48d9de5be42f73cbd235dea6afd89eaebe69b629e16ef7ab575baf5f987cb4b82072eb7f4d147c192f91698aa251a61eaa9f1cd4fb0a65c398bf012038a1c2b798e8c8c398b225e8476481a3861ab9ae1c3862427b5a87381c40bb72ae3112ae2b9155ce1a9a1f001d0b6d8df426ef7dfa5fc6b6b7340cef3660a7b774438c99c0fb5e6e6fff7a12b6aed90e1c5a81','01a202a0-6000-7145-b465-e50f83cfc59b',1795340398532,1,NULL,NULL);
CREATE TABLE shelves (
    shelf TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (shelf, key)
) STRICT, WITHOUT ROWID;
INSERT INTO shelves VALUES(replace('alerts\n/srv/bank','\n',char(10)),'227735ece742649f57d07ac5fc822783','{"source":"alertmanager","name":"Down","labels":{"alertname":"Down","service":"frontend"},"starts_at":"2026-11-21T08:41:25Z","status":"firing","first":"2026-11-22T09:39:56.534942913Z","last":"2026-11-22T09:39:56.534942913Z","runbook":"look","done":{"what":"beginning","run":"01a202a0-67f7-7515-af54-2c3fcd9d81e8"},"open":"499128b708a5f2bc309a043dc28f0b27"}',1797932396534);
INSERT INTO shelves VALUES(replace('alerts\n/srv/shop','\n',char(10)),'227735ece742649f57d07ac5fc822783','{"source":"alertmanager","name":"Down","labels":{"alertname":"Down","service":"frontend"},"starts_at":"2026-11-21T08:41:25Z","status":"firing","first":"2026-11-22T09:39:53.47666256Z","last":"2026-11-22T09:39:53.47666256Z","runbook":"look","done":{"what":"beginning","run":"01a202a0-5c04-7603-803a-0d99f482a369"},"open":"499128b708a5f2bc309a043dc28f0b27"}',1797932393476);
INSERT INTO shelves VALUES(replace('alerts\n/srv/shop','\n',char(10)),'fa0bfab6d0ace1ff2e38e927d7be0ddd','{"source":"alertmanager","name":"Down","labels":{"alertname":"Down","service":"backend"},"starts_at":"2026-11-21T08:41:25Z","status":"firing","first":"2026-11-22T09:39:46.285288171Z","last":"2026-11-22T09:39:46.285288171Z","runbook":"look","done":{"what":"started","run":"01a202a0-3fed-7521-a991-c67f43811e44"},"open":"20636273b2d7ab1bbdec2a570b84e1a9"}',1797932386285);
INSERT INTO shelves VALUES(replace('alerts.groups\n/srv/bank','\n',char(10)),'499128b708a5f2bc309a043dc28f0b27','01a202a0-67f7-7515-af54-2c3fcd9d81e8',1797932396534);
INSERT INTO shelves VALUES(replace('alerts.groups\n/srv/shop','\n',char(10)),'20636273b2d7ab1bbdec2a570b84e1a9','01a202a0-3fed-7521-a991-c67f43811e44',1797932386285);
INSERT INTO shelves VALUES(replace('alerts.groups\n/srv/shop','\n',char(10)),'499128b708a5f2bc309a043dc28f0b27','01a202a0-5c04-7603-803a-0d99f482a369',1797932393476);
INSERT INTO shelves VALUES(replace('web.servers\n/srv/bank','\n',char(10)),'/srv/bank','http://127.0.0.1:18392',NULL);
INSERT INTO shelves VALUES(replace('web.servers\n/srv/shop','\n',char(10)),'/srv/shop','http://127.0.0.1:18392',NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('deliveries',3);
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
