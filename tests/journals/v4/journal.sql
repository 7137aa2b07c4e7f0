-- A store of schema 4 as rerail wrote it: three runs that ended with a signed checkpoint each, the second one pruned.
-- Its key lies beside it. Never edit: it stands for journals people have.
PRAGMA application_id = 1919251041;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE newest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO newest VALUES(1,3,'909d315e3b1c1465ab511d246b5b090d59215c13ac9a97f63dcb10e7cf0d55fb');
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
INSERT INTO runs VALUES(1,'01a1ff1a-9d9b-7212-b383-c0aee96299ab','mp56db','tidy','Tidy up',NULL,'root','cli',NULL,'success',1795281296892,1795281296893,6,X'642313ee5b43197a170816bcf40fb1578ebf5f5acd0622f59822238ea1366af3',1,NULL);
INSERT INTO runs VALUES(3,'01a1ff1a-9fcc-73c7-a77f-82e593c27a20','9w4yh0','tidy','Tidy up',NULL,'root','cli',NULL,'success',1795281297412,1795281297413,6,X'fbd71303ce79d1cbd4593cc1b3f7e319723487f0150acbe5cc555b7787fc0a8a',1,NULL);
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
INSERT INTO events VALUES(1,0,'{"v":1,"seq":0,"ts":"2026-11-21T17:14:56.892Z","type":"run.started","semantics":1,"run":"01a1ff1a-9d9b-7212-b383-c0aee96299ab","runbook":"tidy","title":"Tidy up","files":[{"kind":"runbook","name":"tidy","shown":"runbooks/tidy.yaml","digest":"sha256:8666fb5ca9e4884a58bcf9d40aa06ba8a725fe588870740cb33cbfa93b04dc62"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847"}],"target":null,"root":"/tmp/example","inputs":{},"vars":{},"actor":{"id":"root","via":"cli"},"reason":null,"incident":null,"effects":["pure"],"fence":1,"timeout_ms":14400000,"store":{"number":1,"prev":""}}',X'cbb723c71ba0bf0a0cb3e508392ebf7871eefb6d5513b32210ef26779d96eeb9');
INSERT INTO events VALUES(1,1,'{"v":1,"seq":1,"ts":"2026-11-21T17:14:56.893Z","type":"step.started","step":"sum","attempt":1,"body":"script","effect":"pure","with":{}}',X'776a7b2ae17ecc82b167d3707c9d895c7196757756a8f60e942ad5abf1c09c0a');
INSERT INTO events VALUES(1,2,'{"v":1,"seq":2,"ts":"2026-11-21T17:14:56.893Z","type":"step.finished","step":"sum","attempt":1,"outcome":"done","outputs":2,"ms":0}',X'df0d0a1d7ab1ed31ca7ee6d13e651b0659cbcb04b6111e04e6be7ed4892a082e');
INSERT INTO events VALUES(1,3,'{"v":1,"seq":3,"ts":"2026-11-21T17:14:56.893Z","type":"step.started","step":"verdict","attempt":1,"body":"findings","effect":"pure","with":{}}',X'6122283b04a70b39180ecc47493fb84cb646dceba3b751f24ac9098612f576ff');
INSERT INTO events VALUES(1,4,'{"v":1,"seq":4,"ts":"2026-11-21T17:14:56.893Z","type":"finding","step":"verdict","level":"ok","say":"All is well.","suggest":null}',X'0469e04e526965d86f1e1d6ad5404d4d34103b913e6ac31a2ca4d3dd0442dd80');
INSERT INTO events VALUES(1,5,'{"v":1,"seq":5,"ts":"2026-11-21T17:14:56.893Z","type":"step.finished","step":"verdict","attempt":1,"outcome":"done","ms":0}',X'19253cf875e8e665c9888a31ea5bb64aed9a7d81e8466ff14717864d9183ae9f');
INSERT INTO events VALUES(1,6,'{"v":1,"seq":6,"ts":"2026-11-21T17:14:56.893Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{"sum":2},"message":null}',X'642313ee5b43197a170816bcf40fb1578ebf5f5acd0622f59822238ea1366af3');
INSERT INTO events VALUES(3,0,'{"v":1,"seq":0,"ts":"2026-11-21T17:14:57.412Z","type":"run.started","semantics":1,"run":"01a1ff1a-9fcc-73c7-a77f-82e593c27a20","runbook":"tidy","title":"Tidy up","files":[{"kind":"runbook","name":"tidy","shown":"runbooks/tidy.yaml","digest":"sha256:8666fb5ca9e4884a58bcf9d40aa06ba8a725fe588870740cb33cbfa93b04dc62"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847"}],"target":null,"root":"/tmp/example","inputs":{},"vars":{},"actor":{"id":"root","via":"cli"},"reason":null,"incident":null,"effects":["pure"],"fence":1,"previous":{"run":"01a1ff1a-9eef-72e7-996f-ebcd15d386c3","outcome":"success","outputs":{"sum":2},"ended_at":"2026-11-21T17:14:57.175Z"},"timeout_ms":14400000,"store":{"number":3,"prev":"df3a7b13176fe4ee9ed29807c6c5b3f903610b36819bc78d8d9990b0551d7ff5"}}',X'909d315e3b1c1465ab511d246b5b090d59215c13ac9a97f63dcb10e7cf0d55fb');
INSERT INTO events VALUES(3,1,'{"v":1,"seq":1,"ts":"2026-11-21T17:14:57.413Z","type":"step.started","step":"sum","attempt":1,"body":"script","effect":"pure","with":{}}',X'79495c707920c8deb834018145ff62c325300dfa8c9c5d8c8e9088785a9fdde9');
INSERT INTO events VALUES(3,2,'{"v":1,"seq":2,"ts":"2026-11-21T17:14:57.413Z","type":"step.finished","step":"sum","attempt":1,"outcome":"done","outputs":2,"ms":0}',X'103a45e97b9388c364e399f7b484609521b56cf0f55dcd3673a36fa455b61721');
INSERT INTO events VALUES(3,3,'{"v":1,"seq":3,"ts":"2026-11-21T17:14:57.413Z","type":"step.started","step":"verdict","attempt":1,"body":"findings","effect":"pure","with":{}}',X'9b347be92916d3b2cc20bcb8b6e8c3c58dd7acc0051f458c86d6ed5aeef4fc3f');
INSERT INTO events VALUES(3,4,'{"v":1,"seq":4,"ts":"2026-11-21T17:14:57.413Z","type":"finding","step":"verdict","level":"ok","say":"All is well.","suggest":null}',X'66e37b70219cd100a176cd8f2ebe96701e265404aae71a1f497874ef57f01cd9');
INSERT INTO events VALUES(3,5,'{"v":1,"seq":5,"ts":"2026-11-21T17:14:57.413Z","type":"step.finished","step":"verdict","attempt":1,"outcome":"done","ms":0}',X'0dee4711ca9fca9abd5df2caf4e62e6546ec8b9bf6a6fd0e164999942e494b85');
INSERT INTO events VALUES(3,6,'{"v":1,"seq":6,"ts":"2026-11-21T17:14:57.413Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{"sum":2},"message":null}',X'fbd71303ce79d1cbd4593cc1b3f7e319723487f0150acbe5cc555b7787fc0a8a');
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
INSERT INTO blobs VALUES('sha256:8666fb5ca9e4884a58bcf9d40aa06ba8a725fe588870740cb33cbfa93b04dc62','text',X'76657273696f6e3a20310a7469746c653a20546964792075700a6f776e65723a20706c6174666f726d0a72657669657765643a20323032362d31312d30310a73746570733a0a20202d2069643a2073756d0a202020207363726970743a2031202b20310a20202d2069643a20766572646963740a2020202066696e64696e67733a0a2020202020202d207768656e3a2073746570732e73756d2e6f757470757473203d3d20320a20202020202020206c6576656c3a206f6b0a20202020202020207361793a20416c6c2069732077656c6c2e0a6f7574707574733a0a202073756d3a2022247b7b2073746570732e73756d2e6f757470757473207d7d220a');
INSERT INTO blobs VALUES('sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847','text',X'76657273696f6e3a20310a');
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
INSERT INTO checkpoints VALUES(1,'01a1ff1a-9d9b-7212-b383-c0aee96299ab',7,'rerail-checkpoint-1 rerail-ed25519:SevwKW8SD93s54Bthd4nXzj4oYDvJ3rynp3tlMvTn28 no=1 run=01a1ff1a-9d9b-7212-b383-c0aee96299ab events=7 head=642313ee5b43197a170816bcf40fb1578ebf5f5acd0622f59822238ea1366af3 after=bfea95342c1d2126b5e475788bf6e906b4b7502380bec4c87993305fd2425353 at=2026-11-21T17:14:56.893Z sig=htg5raaXbvG6Wd7H9fXe1Hg4S9FdduUZD1AH4LeJWDwpYbvLHZp39JYLubFDoCdLZsHo7QUYa-YjixP6aViNCw');
INSERT INTO checkpoints VALUES(2,'01a1ff1a-9eef-72e7-996f-ebcd15d386c3',7,'rerail-checkpoint-1 rerail-ed25519:SevwKW8SD93s54Bthd4nXzj4oYDvJ3rynp3tlMvTn28 no=2 run=01a1ff1a-9eef-72e7-996f-ebcd15d386c3 events=7 head=27dd7d99c6aa4291d1cd70e6e60f930579c1229c5fe94afa982578b9f96922d5 after=e35cf68e57466bd1c202e14c3730a0640a1effd31e0eed660edaaf3babd71150 at=2026-11-21T17:14:57.175Z sig=fWfDcyrtH5wx1YJ8SCBtFVODW5aTQjh4FzOr9WQrSJUODyRTRz39VWP2xNUWodtZQzc1H7PGoPYclEHXDXfpBA');
INSERT INTO checkpoints VALUES(3,'01a1ff1a-9fcc-73c7-a77f-82e593c27a20',7,'rerail-checkpoint-1 rerail-ed25519:SevwKW8SD93s54Bthd4nXzj4oYDvJ3rynp3tlMvTn28 no=3 run=01a1ff1a-9fcc-73c7-a77f-82e593c27a20 events=7 head=fbd71303ce79d1cbd4593cc1b3f7e319723487f0150acbe5cc555b7787fc0a8a after=f6bb9c09f0703e593b444bd03eb0c85f89d5569e419f9bc4be8c3ccdd94a5bc6 at=2026-11-21T17:14:57.413Z sig=pFixQbuidKM4PjkPj_NU_2zLJac4AFHHhzSbN8p7-H1Oj_9-APTiRT72WE3KGLWAoUOK1MErIM-Jqii11_kdCQ');
INSERT INTO checkpoints VALUES(4,'01a1ff1a-9eef-72e7-996f-ebcd15d386c3',7,'rerail-checkpoint-1 rerail-ed25519:SevwKW8SD93s54Bthd4nXzj4oYDvJ3rynp3tlMvTn28 no=4 run=01a1ff1a-9eef-72e7-996f-ebcd15d386c3 events=7 head=27dd7d99c6aa4291d1cd70e6e60f930579c1229c5fe94afa982578b9f96922d5 after=d1730bab9ed80ee42be0726555447b42b5f6fac4d5bfef700874dfbecc7c1d7b at=2026-11-21T17:14:59.106Z gone=56acd0c60ab74965cc2e1e637664dc02bcd67be2bb26d9cdee7f62c3c7e3cd74 sig=KYivUxPxYZqcSBGzmPVvCFGA_cH_sEQR8VGeStSCvrV8l_hrsgsZaqfuvZ2u15iZSLu_TKj1JzPGnFfCfmnVCA');
CREATE TABLE tombstones (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    short TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
INSERT INTO tombstones VALUES(2,'01a1ff1a-9eef-72e7-996f-ebcd15d386c3','ax71p3','{"run":"01a1ff1a-9eef-72e7-996f-ebcd15d386c3","store":{"number":2,"prev":"cbb723c71ba0bf0a0cb3e508392ebf7871eefb6d5513b32210ef26779d96eeb9"},"runbook":"tidy","status":"success","started_at":"2026-11-21T17:14:57.174Z","ended_at":"2026-11-21T17:14:57.175Z","events":7,"bytes":1684,"start":"df3a7b13176fe4ee9ed29807c6c5b3f903610b36819bc78d8d9990b0551d7ff5","head":"27dd7d99c6aa4291d1cd70e6e60f930579c1229c5fe94afa982578b9f96922d5","actor":{"id":"root","via":"cli"},"at":"2026-11-21T17:14:59.106Z","reason":"an example of pruning"}');
DELETE FROM sqlite_sequence;
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
COMMIT;
