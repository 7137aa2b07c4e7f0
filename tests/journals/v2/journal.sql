-- A store of schema 2 as rerail wrote it: a paused run that holds its group, one that met a hold and ended after it,
-- one that knows the run before it, and a second hold that is on. Never edit: it stands for journals people have.
PRAGMA application_id = 1919251041;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE newest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO newest VALUES(1,3,'ee3d1b2e798a5bd57d89fdaa78630a892de9eb5501ea7816c5c6ae59b8670346');
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
INSERT INTO runs VALUES(1,'01a1fe72-7557-7481-abd9-0ff12c66d40d','p6dn0d','fix','Fix the queue',NULL,'root','cli',NULL,'paused',1795270276473,NULL,3,X'7df188d2d44503b4fc72de1e737fdf1643e4e6e207ee860a1c1e77a02896eae0',2,'queue/true');
INSERT INTO runs VALUES(2,'01a1fe72-75fc-724f-ada9-1a4fd4c48dfe','ac93fy','fix','Fix the queue',NULL,'root','cli',NULL,'success',1795270276621,1795270276767,7,X'5fd7d1e3e40c6b0fe5a783bc0faad7204438fc66fd2419c58c2fc53c3216c6c8',2,'queue/false');
INSERT INTO runs VALUES(3,'01a1fe72-76d9-7080-bd6e-0a31db649c84','dp9744','fix','Fix the queue',NULL,'root','cli',NULL,'success',1795270276837,1795270276864,4,X'35c2e52d621c81e579007c1f01fb1b3825294991ec1d2a84f7d3606ff79b5506',1,'queue/false');
CREATE TABLE counts (status TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counts VALUES('paused',1);
INSERT INTO counts VALUES('running',0);
INSERT INTO counts VALUES('success',2);
INSERT INTO counts VALUES('waiting',0);
CREATE TABLE events (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO events VALUES(1,0,'{"v":1,"seq":0,"ts":"2026-11-21T14:11:16.473Z","type":"run.started","semantics":1,"run":"01a1fe72-7557-7481-abd9-0ff12c66d40d","runbook":"fix","title":"Fix the queue","files":[{"kind":"runbook","name":"fix","shown":"runbooks/fix.yaml","digest":"sha256:8ab64bd54f113d62723c7c380752d617d055098fc2e191a878f341b7adc50f3a"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847"}],"target":null,"root":"/srv/ops","inputs":{"ask":true},"vars":{},"actor":{"id":"root","via":"cli"},"reason":null,"incident":null,"effects":["read","write"],"fence":1,"group":"queue/true","timeout_ms":14400000,"store":{"number":1,"prev":""}}',X'735811abdaecac9e911d2447ae675079f3a7509885e3e3b9ec1f10354bdebbc9');
INSERT INTO events VALUES(1,1,'{"v":1,"seq":1,"ts":"2026-11-21T14:11:16.474Z","type":"step.started","step":"question","attempt":1,"body":"uses","uses":"human.ask","effect":"read","with":{"text":"Is it empty?"},"why":{"inputs.ask":true}}',X'4ef9685e0b41862a533958252612c9aa76680b7440f6d90fc12100a9873ad8eb');
INSERT INTO events VALUES(1,2,'{"v":1,"seq":2,"ts":"2026-11-21T14:11:16.474Z","type":"ask.asked","step":"question","text":"Is it empty?","choices":[],"by":[],"expires":"2026-11-21T14:26:16.474Z"}',X'4cc016e611f4b98a648cd513a1db3b3d46791fcf3a587b39b0fccbc34d396bfd');
INSERT INTO events VALUES(1,3,'{"v":1,"seq":3,"ts":"2026-11-21T14:11:17.549Z","type":"run.paused","reason":"the window closes","actor":{"id":"root","via":"cli"}}',X'7df188d2d44503b4fc72de1e737fdf1643e4e6e207ee860a1c1e77a02896eae0');
INSERT INTO events VALUES(2,0,'{"v":1,"seq":0,"ts":"2026-11-21T14:11:16.621Z","type":"run.started","semantics":1,"run":"01a1fe72-75fc-724f-ada9-1a4fd4c48dfe","runbook":"fix","title":"Fix the queue","files":[{"kind":"runbook","name":"fix","shown":"runbooks/fix.yaml","digest":"sha256:8ab64bd54f113d62723c7c380752d617d055098fc2e191a878f341b7adc50f3a"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847"}],"target":null,"root":"/srv/ops","inputs":{"ask":false},"vars":{},"actor":{"id":"root","via":"cli"},"reason":null,"incident":null,"effects":["read","write"],"fence":1,"group":"queue/false","timeout_ms":14400000,"store":{"number":2,"prev":"735811abdaecac9e911d2447ae675079f3a7509885e3e3b9ec1f10354bdebbc9"}}',X'e43ddad27f9d21ee50ecf1ba43aa141ee8f29e228c9fca0977d23d8cd030538d');
INSERT INTO events VALUES(2,1,'{"v":1,"seq":1,"ts":"2026-11-21T14:11:16.621Z","type":"step.skipped","step":"question","condition":"inputs.ask","values":{"inputs.ask":false}}',X'6304440c0407f0b8cb636ba98d195437ffe5fac705528e5860d7c2ebfd260051');
INSERT INTO events VALUES(2,2,'{"v":1,"seq":2,"ts":"2026-11-21T14:11:16.621Z","type":"hold.on","actor":{"id":"root","via":"cli"},"since":"2026-11-21T14:11:16.537Z","reason":"database upgrade"}',X'839865d715bd0cc30ef558282bff8375e49c4d8007e39c363c5d13d3f1fac98f');
INSERT INTO events VALUES(2,3,'{"v":1,"seq":3,"ts":"2026-11-21T14:11:16.765Z","type":"run.resumed","actor":{"id":"root","via":"cli"},"reason":null,"fence":2}',X'1fd3280be6260b4f89e1d7783d18e736a18e920ea1cb2448fcbea5f8105bbf50');
INSERT INTO events VALUES(2,4,'{"v":1,"seq":4,"ts":"2026-11-21T14:11:16.765Z","type":"hold.off","actor":{"id":"root","via":"cli"}}',X'57a1315786d7fabf92c29403db65ba54dd66ba6f33850d59c13b21a2e84e968d');
INSERT INTO events VALUES(2,5,'{"v":1,"seq":5,"ts":"2026-11-21T14:11:16.765Z","type":"step.started","step":"write","attempt":1,"body":"uses","uses":"http.request","effect":"write","with":{"method":"POST","text":"x","timeout":"30s","url":"http://127.0.0.1:9"},"key":"01a1fe72-75fc-724f-ada9-1a4fd4c48dfe:write:27e062366d2bed0b","why":{"inputs.ask":false}}',X'ca6b7afd1d60538c211d8cd5e32f22a44e069a20aa509e6239cb5443180d06ca');
INSERT INTO events VALUES(2,6,'{"v":1,"seq":6,"ts":"2026-11-21T14:11:16.767Z","type":"step.finished","step":"write","attempt":1,"outcome":"refused","error":{"kind":"connect","message":"POST to 127.0.0.1 got no connection: Connection refused (os error 111)","transient":true},"ms":0}',X'ea55f29839b67c1c5ba64cdc8ca22e2329e2c6c9f6b2b836a6d352cdf6bd4ccb');
INSERT INTO events VALUES(2,7,'{"v":1,"seq":7,"ts":"2026-11-21T14:11:16.767Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{"n":"7"},"message":null}',X'5fd7d1e3e40c6b0fe5a783bc0faad7204438fc66fd2419c58c2fc53c3216c6c8');
INSERT INTO events VALUES(3,0,'{"v":1,"seq":0,"ts":"2026-11-21T14:11:16.837Z","type":"run.started","semantics":1,"run":"01a1fe72-76d9-7080-bd6e-0a31db649c84","runbook":"fix","title":"Fix the queue","files":[{"kind":"runbook","name":"fix","shown":"runbooks/fix.yaml","digest":"sha256:8ab64bd54f113d62723c7c380752d617d055098fc2e191a878f341b7adc50f3a"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847"}],"target":null,"root":"/srv/ops","inputs":{"ask":false},"vars":{},"actor":{"id":"root","via":"cli"},"reason":null,"incident":null,"effects":["read","write"],"fence":1,"group":"queue/false","previous":{"run":"01a1fe72-75fc-724f-ada9-1a4fd4c48dfe","outcome":"success","outputs":{"n":"7"},"ended_at":"2026-11-21T14:11:16.767Z"},"timeout_ms":14400000,"store":{"number":3,"prev":"e43ddad27f9d21ee50ecf1ba43aa141ee8f29e228c9fca0977d23d8cd030538d"}}',X'ee3d1b2e798a5bd57d89fdaa78630a892de9eb5501ea7816c5c6ae59b8670346');
INSERT INTO events VALUES(3,1,'{"v":1,"seq":1,"ts":"2026-11-21T14:11:16.837Z","type":"step.skipped","step":"question","condition":"inputs.ask","values":{"inputs.ask":false}}',X'297afa637eb7161a739b22b5d3348c7f82340b01f8825406f55adf5c11b0c5b2');
INSERT INTO events VALUES(3,2,'{"v":1,"seq":2,"ts":"2026-11-21T14:11:16.837Z","type":"step.started","step":"write","attempt":1,"body":"uses","uses":"http.request","effect":"write","with":{"method":"POST","text":"x","timeout":"30s","url":"http://127.0.0.1:9"},"key":"01a1fe72-76d9-7080-bd6e-0a31db649c84:write:27e062366d2bed0b","why":{"inputs.ask":false}}',X'4f83c26602d367527042d52e5fdd2229dbdd47f3eb55a929530af93906d8e1e8');
INSERT INTO events VALUES(3,3,'{"v":1,"seq":3,"ts":"2026-11-21T14:11:16.864Z","type":"step.finished","step":"write","attempt":1,"outcome":"refused","error":{"kind":"connect","message":"POST to 127.0.0.1 got no connection: Connection refused (os error 111)","transient":true},"ms":0}',X'8830a02811592b23fbcb8ac3df6f1604622192cc4fc7aed7eafca6715ef46fc5');
INSERT INTO events VALUES(3,4,'{"v":1,"seq":4,"ts":"2026-11-21T14:11:16.864Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{"n":"7"},"message":null}',X'35c2e52d621c81e579007c1f01fb1b3825294991ec1d2a84f7d3606ff79b5506');
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
INSERT INTO blobs VALUES('sha256:8ab64bd54f113d62723c7c380752d617d055098fc2e191a878f341b7adc50f3a','text',X'76657273696f6e3a20310a7469746c653a20466978207468652071756575650a6f776e65723a2074657374730a72657669657765643a20323032362d31312d30310a696e707574733a207b2061736b3a207b20747970653a20626f6f6c2c2064656661756c743a2074727565207d207d0a636f6e63757272656e63793a207b2067726f75703a202271756575652f247b7b20696e707574732e61736b207d7d222c2069665f627573793a2077616974207d0a73746570733a0a20202d207b2069643a207175657374696f6e2c2069663a20696e707574732e61736b2c20757365733a2068756d616e2e61736b2c20776974683a207b20746578743a2022497320697420656d7074793f22207d207d0a20202d207b2069643a2077726974652c2069663a202221696e707574732e61736b222c20757365733a20687474702e726571756573742c20776974683a207b206d6574686f643a20504f53542c2075726c3a2022687474703a2f2f3132372e302e302e313a392f222c20746578743a2078207d2c20636f6e74696e75655f6f6e5f6661696c7572653a2074727565207d0a6f7574707574733a207b206e3a20223722207d0a');
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
INSERT INTO "groups" VALUES('queue/true','01a1fe72-7557-7481-abd9-0ff12c66d40d',1795270276473);
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
INSERT INTO holds VALUES(1,1795270276537,'root','cli','database upgrade',1795270276674,'root','cli');
INSERT INTO holds VALUES(2,1795270277607,'root','cli','second upgrade',NULL,NULL,NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('holds',2);
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
COMMIT;
