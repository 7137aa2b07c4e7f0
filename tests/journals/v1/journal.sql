-- A store of schema 1 as rerail 0.1.0 wrote it: one finished run with every type of event, one waiting run
-- with the lease of a dead driver and a signal nobody has taken. Never edit: it stands for journals people have.
PRAGMA application_id = 1919251041;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
INSERT INTO "blobs" VALUES('sha256:50f5da6cc0692b3bdb541885ba5710028f484b2fd79cceb9320b62977db1da6b','runbook',X'6E616D653A206261636B656E642D646F776E0A7469746C653A204261636B656E6420646F776E0A73746570733A0A20202D2069643A206C6F6F6B0A20202020757365733A20687474702E70726F62650A');
INSERT INTO "blobs" VALUES('sha256:15198c4524edf2d7c659e772e383d5d63dce2d2058598fca6426211d605a89f4','runbook',X'6E616D653A2063726173682D6C6F6F700A7469746C653A204372617368206C6F6F700A73746570733A205B5D0A');
CREATE TABLE counts (status TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "counts" VALUES('paused',0);
INSERT INTO "counts" VALUES('running',0);
INSERT INTO "counts" VALUES('success',1);
INSERT INTO "counts" VALUES('waiting',1);
CREATE TABLE events (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "events" VALUES(1,0,'{"v":1,"seq":0,"ts":"2026-11-21T14:03:02.113Z","type":"run.started","semantics":1,"run":"019aa6b2-7c11-7d3e-9b1a-5f0c7e2d8a41","runbook":"backend-down","title":"Backend down","files":[{"kind":"runbook","name":"backend-down","shown":"runbooks/backend-down.yaml","digest":"sha256:50f5da6cc0692b3bdb541885ba5710028f484b2fd79cceb9320b62977db1da6b"}],"target":"production","inputs":{"service":"backend","tries":3},"vars":{"url":"https://backend.example.com/health"},"actor":{"id":"ada","via":"cli"},"reason":"page 4711","incident":"INC-42","effects":["read","notify","write"],"store":{"number":1,"prev":""}}',X'04C50356D5265C99C9DF45404BDDDE117DC39BC672CF10E8BBBAD995BBCB2B8C');
INSERT INTO "events" VALUES(1,1,'{"v":1,"seq":1,"ts":"2026-11-21T14:03:03.483Z","type":"step.started","step":"look","attempt":1,"body":"uses","uses":"http.probe","effect":"read","repeat":"repeatable","with":{"url":"https://backend.example.com/health"},"timeout_ms":30000}',X'987CF5C8EC324C6C8889D682237C09BD54FAA17CE56EB9420C99556882CD3D03');
INSERT INTO "events" VALUES(1,2,'{"v":1,"seq":2,"ts":"2026-11-21T14:03:04.853Z","type":"step.observed","step":"look","attempt":1,"look":1,"result":{"ms":40.5,"status":502}}',X'452816DF44FEF8F9C2C4CAD20E46B6D1B91874D0428C095F93CF770B788C6674');
INSERT INTO "events" VALUES(1,3,'{"v":1,"seq":3,"ts":"2026-11-21T14:03:06.223Z","type":"step.finished","step":"look","attempt":1,"outcome":"failed","error":{"kind":"status","message":"status 502, expected 200","transient":true},"ms":214}',X'CD6A0444253E062BDE1729763093807D83E9B00026FE27FED7C1C7B29EF9E102');
INSERT INTO "events" VALUES(1,4,'{"v":1,"seq":4,"ts":"2026-11-21T14:03:07.593Z","type":"finding","step":"diagnose","level":"critical","say":"the backend answers 502","suggest":{"runbook":"crash-loop","with":{}}}',X'5BC55F7C1172DDE5AD4D23C441629CA4C0CBF83865D5320F10A75AEFCDF4C9C4');
INSERT INTO "events" VALUES(1,5,'{"v":1,"seq":5,"ts":"2026-11-21T14:03:08.963Z","type":"log","step":"diagnose","text":"tried 3 regions"}',X'C9EC01B9A97A4C8651AE078EE1630CC9426E052E95A38AFF6DE6435833222B20');
INSERT INTO "events" VALUES(1,6,'{"v":1,"seq":6,"ts":"2026-11-21T14:03:10.333Z","type":"step.skipped","step":"tell","condition":"steps.look.ok","values":{"steps.look.ok":false}}',X'4C38C1BD2715213EABB55B5EDF4D045BE5542D7A29D312B7E9F6922CEA387D41');
INSERT INTO "events" VALUES(1,7,'{"v":1,"seq":7,"ts":"2026-11-21T14:03:11.703Z","type":"ask.asked","step":"sure","text":"Redeploy backend?","choices":["yes","no"],"by":["oncall"],"expires":"2026-11-21T14:33:02Z"}',X'B42E3FBC0F7A46760851F5EADE550CE1089973AF1F1C2434EE64A0DF9288CE87');
INSERT INTO "events" VALUES(1,8,'{"v":1,"seq":8,"ts":"2026-11-21T14:03:13.073Z","type":"ask.answered","step":"sure","answer":"yes","actor":{"id":"bob","via":"chat"}}',X'188A69AAD5302449CE89F7191A91C4F9D131D3F04EA5A39FB61970A8C061D635');
INSERT INTO "events" VALUES(1,9,'{"v":1,"seq":9,"ts":"2026-11-21T14:03:14.443Z","type":"step.started","step":"redeploy","attempt":1,"body":"uses","uses":"http.request","effect":"write","repeat":{"keyed":{"window_s":86400}},"with":{"headers":{"authorization":{"$secret":[{"text":"Bearer "},"TOKEN"]}}},"key":"019aa6b2:redeploy:5e1c","timeout_ms":30000}',X'CD5BD4120AE51AAF6B2B0064D938F4729C451ECE850CEC71F6044514F0300609');
INSERT INTO "events" VALUES(1,10,'{"v":1,"seq":10,"ts":"2026-11-21T14:03:15.813Z","type":"run.paused","reason":"storage"}',X'60A266339B54F5EB46703A8533343A18E70791C44E56A011B58CBBE969D8BD16');
INSERT INTO "events" VALUES(1,11,'{"v":1,"seq":11,"ts":"2026-11-21T14:03:17.183Z","type":"run.resumed","actor":{"id":"ada","via":"cli"},"reason":"disk cleaned","fence":2}',X'4423BCDC391C09F3FDA92B9D1FC6FA7C9CE07AB8A8E2263D750F5B767F07F8B7');
INSERT INTO "events" VALUES(1,12,'{"v":1,"seq":12,"ts":"2026-11-21T14:03:18.553Z","type":"evidence","step":"redeploy","attempt":1,"outcome":"done","outputs":{"id":"d-1"}}',X'BEA93791FAC1D5CD73370E21C5A7E08D4034D2131CD593BBE395C6E80FDFB13B');
INSERT INTO "events" VALUES(1,13,'{"v":1,"seq":13,"ts":"2026-11-21T14:03:19.923Z","type":"outcome.set","step":"redeploy","decision":"done","outputs":{},"actor":{"id":"bob","via":"cli"},"reason":"seen in the dashboard"}',X'977E2A160A2E85267EC6EDEB41379F4CB89AFD39C49D8FC1A2B1987BBA09DF89');
INSERT INTO "events" VALUES(1,14,'{"v":1,"seq":14,"ts":"2026-11-21T14:03:21.293Z","type":"note","text":"customer told — “déjà vu” 🚂","actor":{"id":"ada","via":"cli"},"step":"redeploy"}',X'DEA6A3AB12F914FB4B8E98FC263075F9494D77FE975280E30BEA2E3003CB280F');
INSERT INTO "events" VALUES(1,15,'{"v":1,"seq":15,"ts":"2026-11-21T14:03:22.663Z","type":"run.cancelled","actor":{"id":"ada","via":"cli"},"reason":null}',X'1BB7C7FEABC91387D301284CFE53FA3673948FBA96BFF44133F35E2000130AA3');
INSERT INTO "events" VALUES(1,16,'{"v":1,"seq":16,"ts":"2026-11-21T14:03:24.033Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{"deployment":"d-1"},"message":"backend is up"}',X'BC77EDB362AFE456A48F80215493B3B65AB3D92322C2EB90DC93FA10F944396E');
INSERT INTO "events" VALUES(2,0,'{"v":1,"seq":0,"ts":"2026-11-21T14:23:35.113Z","type":"run.started","semantics":1,"run":"019aa6c0-03f2-7a90-8f21-64d1c5b7e0c9","runbook":"crash-loop","title":"Crash loop","files":[{"kind":"runbook","name":"crash-loop","shown":"runbooks/crash-loop.yaml","digest":"sha256:15198c4524edf2d7c659e772e383d5d63dce2d2058598fca6426211d605a89f4"}],"target":"production","inputs":{"service":"backend","tries":3},"vars":{"url":"https://backend.example.com/health"},"actor":{"id":"ada","via":"cli"},"reason":"page 4711","incident":null,"effects":["read","notify","write"],"store":{"number":2,"prev":"04c50356d5265c99c9df45404bddde117dc39bc672cf10e8bbbad995bbcb2b8c"}}',X'6215574FADC9E57910FD411E63B4CD30C39837187017102755AA0B4AC697BECF');
INSERT INTO "events" VALUES(2,1,'{"v":1,"seq":1,"ts":"2026-11-21T14:23:36.483Z","type":"ask.asked","step":"roll-back","text":"Roll back?","choices":[],"by":[],"expires":null}',X'B907186E33AFB0957CF4F70456859E7BFC8CB3E90A452B253E5A8984EF4FF4EC');
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
INSERT INTO "inbox" VALUES(1,'019aa6c0-03f2-7a90-8f21-64d1c5b7e0c9',1795258517850,'{"type":"ask.answered","step":"roll-back","answer":"yes","actor":{"id":"bob","via":"web"}}');
CREATE TABLE leases (
    run TEXT PRIMARY KEY,
    fence INTEGER NOT NULL,
    holder TEXT NOT NULL,
    locked INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "leases" VALUES('019aa6c0-03f2-7a90-8f21-64d1c5b7e0c9',1,'{"pid":4242,"host":"oncall-laptop","user":"ada","since":"2026-11-21T14:03:02Z"}',1,2954043);
CREATE TABLE newest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO "newest" VALUES(1,2,'6215574fadc9e57910fd411e63b4cd30c39837187017102755aa0b4ac697becf');
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
INSERT INTO "runs" VALUES(1,'019aa6b2-7c11-7d3e-9b1a-5f0c7e2d8a41','z2v2j1','backend-down','Backend down','production','ada','cli','INC-42','success',1795269782113,1795269804033,16,X'BC77EDB362AFE456A48F80215493B3B65AB3D92322C2EB90DC93FA10F944396E',1);
INSERT INTO "runs" VALUES(2,'019aa6c0-03f2-7a90-8f21-64d1c5b7e0c9','2vfr69','crash-loop','Crash loop','production','ada','cli',NULL,'waiting',1795271015113,NULL,1,X'B907186E33AFB0957CF4F70456859E7BFC8CB3E90A452B253E5A8984EF4FF4EC',1);
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
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('inbox',1);
COMMIT;
