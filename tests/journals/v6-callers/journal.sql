-- A store of schema 6 as rerail wrote it: a run that a program began for a person, who approved its write, and one that
-- goes on from the span of its caller. Its key lies beside it. Never edit: it stands for journals people have.
PRAGMA application_id = 1919251041;
PRAGMA user_version = 6;
BEGIN TRANSACTION;
CREATE TABLE newest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO newest VALUES(1,2,'1d4c86516a85ba9889f8c8a9becc49260183a2c1176d91e35cce4e4a50bef7e7');
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
INSERT INTO runs VALUES(1,'01a20299-0adc-751d-92c1-811894b6e054','abdr2m','put','An example','staging','ana','mcp','INC-7','success',1795339913971,1795339915263,12,X'f7749f293fe39407236363d1d2d54071a275e25de9b604c2acafa037c79818ee',4,NULL);
INSERT INTO runs VALUES(2,'01a20299-10bc-7476-9ee9-95c41e53e6da','f57spt','look','An example',NULL,'ana','http',NULL,'success',1795339915454,1795339915464,3,X'ce13c3ec950cebc0e6c55bbeee7ac1013b48edf99ab97e4bb5254b71b927b13c',1,NULL);
CREATE TABLE counts (status TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
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
INSERT INTO events VALUES(1,0,'{"v":1,"seq":0,"ts":"2026-11-22T09:31:53.971Z","type":"run.started","semantics":1,"run":"01a20299-0adc-751d-92c1-811894b6e054","runbook":"put","title":"An example","files":[{"kind":"runbook","name":"put","shown":"runbooks/put.yaml","digest":"sha256:7d33a90b02b570b7c22a28b42e29c71279a2664442567e96bffa7b43d0c00890"},{"kind":"target","name":"staging","shown":"targets/staging.yaml","digest":"sha256:033496e2ba4f78ca3f1f797d59df2d1f1eeec29070c612c5d63244f26ed5298c"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:ebeb49256b46d355f8ab79e53e99e087fe6609de35d3a521efd6322e2088a6e8"}],"target":"staging","root":"/srv/shop","inputs":{"text":"back on its rails"},"vars":{},"actor":{"id":"ana","via":"mcp","roles":["oncall"],"person":true,"agent":"robot 1.0"},"reason":"an example of a program","incident":"INC-7","effects":["read","write"],"fence":1,"timeout_ms":14400000,"floors":{"write":{"self":true},"destructive":{"self":true}},"cover":{"plan":"sha256:c3b5b85769d3c78a95ceed0264c074c2f6a53d1e663370819b855e86e850ca89","changes":[{"step":"put","uses":"file.write","effect":"write","repeat":"repeatable","digest":"sha256:99282165f65be99144223ebe6da27fc399c68eabf8c86c3b1ea5b34c44489876","with":{"mode":"0600","path":"out/a","text":"back on its rails"},"summary":"create /srv/shop/out/a with 17 bytes"}]},"plan":{"digest":"sha256:c3b5b85769d3c78a95ceed0264c074c2f6a53d1e663370819b855e86e850ca89","made_at":"2026-11-22T09:31:53.954Z","by":{"id":"ana","via":"mcp","roles":["oncall"],"person":true,"agent":"robot 1.0"}},"store":{"number":1,"prev":""}}',X'c85c8cdd872be3c9c05212890801acebb8413c15beddf9512cb8b9917785c05c');
INSERT INTO events VALUES(1,1,'{"v":1,"seq":1,"ts":"2026-11-22T09:31:53.971Z","type":"step.started","step":"ready","attempt":1,"body":"uses","uses":"human.ask","effect":"read","with":{"choices":["yes","no"],"text":"Ready?"}}',X'b0cd80aae057dd9b2e9b1901abcc2656f2c8a820804d1025fc6848fe5310ac82');
INSERT INTO events VALUES(1,2,'{"v":1,"seq":2,"ts":"2026-11-22T09:31:53.971Z","type":"ask.asked","step":"ready","text":"Ready?","choices":["yes","no"],"by":[],"expires":"2026-11-22T09:46:53.971Z"}',X'4d3c82e76b901e4e3929bed6beeb3229b5eeaeb3e2b1f561acf9cbd9eef8d2a4');
INSERT INTO events VALUES(1,3,'{"v":1,"seq":3,"ts":"2026-11-22T09:31:54.01Z","type":"run.resumed","actor":{"id":"rerail","via":"serve"},"reason":"taken up by the server: nobody drove it","fence":2}',X'abed026f0bb35e3556dad6f70c9faf2e62aabe7c2fe04996c15a53554febf974');
INSERT INTO events VALUES(1,4,'{"v":1,"seq":4,"ts":"2026-11-22T09:31:54.01Z","type":"ask.answered","step":"ready","answer":"yes","actor":{"id":"ana","via":"mcp","roles":["oncall"],"person":true,"agent":"robot 1.0"},"at":"2026-11-22T09:31:53.991Z"}',X'fdc41257040a7ceb9461568ca013cf95e063b0d5a4f638bbadf94c330ef434be');
INSERT INTO events VALUES(1,5,'{"v":1,"seq":5,"ts":"2026-11-22T09:31:54.01Z","type":"step.finished","step":"ready","attempt":1,"outcome":"done","outputs":{"answer":"yes","by":"ana"},"ms":39}',X'5f7442ee621e846d076e11d32b170bfddf0849fa605c3d0c3c6a5cb4396544aa');
INSERT INTO events VALUES(1,6,'{"v":1,"seq":6,"ts":"2026-11-22T09:31:54.02Z","type":"approval.requested","step":"put","needs":[{"self":true}],"message":"","changes":[{"step":"put","uses":"file.write","effect":"write","repeat":"repeatable","digest":"sha256:99282165f65be99144223ebe6da27fc399c68eabf8c86c3b1ea5b34c44489876","with":{"mode":"0600","path":"out/a","text":"back on its rails"},"summary":"create /srv/shop/out/a with 17 bytes","detail":["+ back on its rails"]}],"complete":true,"change":"sha256:34eb359b479de0cce92624306c1aaa845d5ddaba8c5e8eaade0656388f3aa027","expires":"2026-11-22T09:46:54.02Z","remind_ms":300000,"policy":true}',X'22936b92039f322201b78b6fe3ceeeaf8a46248dd015b06ee66155f6777eb6a1');
INSERT INTO events VALUES(1,7,'{"v":1,"seq":7,"ts":"2026-11-22T09:31:54.118Z","type":"note","text":"a person looks at it","actor":{"id":"ana","via":"mcp","roles":["oncall"],"person":true,"agent":"robot 1.0"},"step":null}',X'8aa7c53ecd4a90b48a9e26008584350ba01fa798985706515ff01fc05dcb4c70');
INSERT INTO events VALUES(1,8,'{"v":1,"seq":8,"ts":"2026-11-22T09:31:55.253Z","type":"run.resumed","actor":{"id":"rerail","via":"serve"},"reason":"taken up by the server: nobody drove it","fence":4}',X'8ace4eea7cb2f3f7169f0ac8c8c3e6cb62705fb6917766b68ab8e470d85d588a');
INSERT INTO events VALUES(1,9,'{"v":1,"seq":9,"ts":"2026-11-22T09:31:55.253Z","type":"approval.given","step":"put","change":"sha256:34eb359b479de0cce92624306c1aaa845d5ddaba8c5e8eaade0656388f3aa027","actor":{"id":"ana","via":"cli","roles":["oncall"],"person":true},"at":"2026-11-22T09:31:55.156Z","shown":"put · put/abdr2m · on staging · asked by robot 1.0 for ana 0:01 ago · 14:58 left\n  needs a person\n      put           write       create /srv/shop/out/a with 17 bytes\n        + back on its rails\n        mode: \"0600\"\n        path: \"out/a\"\n        text: \"back on its rails\"\n  change sha256:34eb359b479de0cce92624306c1aaa845d5ddaba8c5e8eaade0656388f3aa027"}',X'691e3f586a88cf2f000b5de312efc7928c5cdc85e9bd91969a0e4b8459c79042');
INSERT INTO events VALUES(1,10,'{"v":1,"seq":10,"ts":"2026-11-22T09:31:55.253Z","type":"step.started","step":"put","attempt":1,"body":"uses","uses":"file.write","effect":"write","repeat":"repeatable","with":{"mode":"0600","path":"out/a","text":"back on its rails"},"key":"01a20299-0adc-751d-92c1-811894b6e054:put:1916d4223d7a4752"}',X'1143b59d955e25859fc23498798b8351a858bb327455cba7ba00bbb8645f4083');
INSERT INTO events VALUES(1,11,'{"v":1,"seq":11,"ts":"2026-11-22T09:31:55.263Z","type":"step.finished","step":"put","attempt":1,"outcome":"done","outputs":{"path":"/srv/shop/out/a","replaced":false,"size":17},"ms":3}',X'2529a515ba4b58feba41de794e4f8f23d505cb692784d88f9bb1b79bb8248f24');
INSERT INTO events VALUES(1,12,'{"v":1,"seq":12,"ts":"2026-11-22T09:31:55.263Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{},"message":null}',X'f7749f293fe39407236363d1d2d54071a275e25de9b604c2acafa037c79818ee');
INSERT INTO events VALUES(2,0,'{"v":1,"seq":0,"ts":"2026-11-22T09:31:55.454Z","type":"run.started","semantics":1,"run":"01a20299-10bc-7476-9ee9-95c41e53e6da","runbook":"look","title":"An example","files":[{"kind":"runbook","name":"look","shown":"runbooks/look.yaml","digest":"sha256:d6f887e4ca9ef795bb0454c01e924775c83c022425f53a481768f53a72199e81"},{"kind":"project","name":"rerail.yaml","shown":"rerail.yaml","digest":"sha256:ebeb49256b46d355f8ab79e53e99e087fe6609de35d3a521efd6322e2088a6e8"}],"target":null,"root":"/srv/shop","inputs":{},"vars":{},"actor":{"id":"ana","via":"http","roles":["oncall"],"person":true},"reason":null,"incident":null,"effects":["read"],"fence":1,"timeout_ms":14400000,"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","store":{"number":2,"prev":"c85c8cdd872be3c9c05212890801acebb8413c15beddf9512cb8b9917785c05c"}}',X'1d4c86516a85ba9889f8c8a9becc49260183a2c1176d91e35cce4e4a50bef7e7');
INSERT INTO events VALUES(2,1,'{"v":1,"seq":1,"ts":"2026-11-22T09:31:55.454Z","type":"step.started","step":"now","attempt":1,"body":"uses","uses":"time.now","effect":"read","with":{}}',X'e67c896200fa17bab0eeb9cc62c0c643401368ade1c100948966746cb264c22a');
INSERT INTO events VALUES(2,2,'{"v":1,"seq":2,"ts":"2026-11-22T09:31:55.464Z","type":"step.finished","step":"now","attempt":1,"outcome":"done","outputs":{"iso":"2026-11-22T09:31:55Z","unix_ms":1795339915463},"ms":0}',X'aea071d58039197065135134b789655fffa3a683d7f803d67d71c9a8fc4dfc74');
INSERT INTO events VALUES(2,3,'{"v":1,"seq":3,"ts":"2026-11-22T09:31:55.464Z","type":"run.finished","outcome":"success","failed_step":null,"error":null,"outputs":{},"message":null}',X'ce13c3ec950cebc0e6c55bbeee7ac1013b48edf99ab97e4bb5254b71b927b13c');
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
INSERT INTO blobs VALUES('sha256:7d33a90b02b570b7c22a28b42e29c71279a2664442567e96bffa7b43d0c00890','text',X'76657273696f6e3a20310a7469746c653a20416e206578616d706c650a6f776e65723a20706c6174666f726d0a72657669657765643a20323032362d31312d30310a696e707574733a207b20746578743a207b20747970653a20737472696e67207d207d0a73746570733a0a20202d207b2069643a2072656164792c20757365733a2068756d616e2e61736b2c20776974683a207b20746578743a2052656164793f2c2063686f696365733a205b27796573272c20276e6f275d207d207d0a20202d207b2069643a207075742c20757365733a2066696c652e77726974652c20776974683a207b20706174683a206f75742f612c20746578743a2027247b7b20696e707574732e74657874207d7d27207d207d0a');
INSERT INTO blobs VALUES('sha256:033496e2ba4f78ca3f1f797d59df2d1f1eeec29070c612c5d63244f26ed5298c','text',X'76657273696f6e3a20310a706f6c6963793a207b206167656e74733a207b206d61785f6566666563743a207772697465207d207d0a');
INSERT INTO blobs VALUES('sha256:ebeb49256b46d355f8ab79e53e99e087fe6609de35d3a521efd6322e2088a6e8','text',X'76657273696f6e3a20310a616c6c6f773a207b2066696c655f77726974653a205b6f75745d207d0a70656f706c653a0a2020616e613a207b206f735f757365723a20726f6f742c20726f6c65733a205b6f6e63616c6c5d207d0a');
INSERT INTO blobs VALUES('sha256:c3b5b85769d3c78a95ceed0264c074c2f6a53d1e663370819b855e86e850ca89','text',X'7b0a20202272657261696c5f706c616e223a20312c0a2020226b6579223a202272657261696c2d656432353531393a6b6d59617772694d714862515a64364f51636e69344431367535686c6e4e6539676442413976686d513330222c0a202022706c616e223a207b0a202020202273656d616e74696373223a20312c0a202020202272657261696c223a2022302e312e30222c0a202020202272756e223a202230316132303239392d306164632d373531642d393263312d383131383934623665303534222c0a20202020226d6164655f6174223a2022323032362d31312d32325430393a33313a35332e3935345a222c0a202020202265787069726573223a2022323032362d31312d32325430393a34313a35332e3935345a222c0a20202020226279223a207b0a202020202020226964223a2022616e61222c0a20202020202022766961223a20226d6370222c0a20202020202022726f6c6573223a205b0a2020202020202020226f6e63616c6c220a2020202020205d2c0a20202020202022706572736f6e223a20747275652c0a202020202020226167656e74223a2022726f626f7420312e30220a202020207d2c0a202020202261736b6564223a2022707574222c0a202020202272756e626f6f6b223a2022707574222c0a20202020227469746c65223a2022416e206578616d706c65222c0a2020202022746172676574223a202273746167696e67222c0a2020202022726f6f74223a20222f7372762f73686f70222c0a2020202022696e70757473223a207b0a2020202020202274657874223a20226261636b206f6e20697473207261696c73220a202020207d2c0a2020202022726561736f6e223a206e756c6c2c0a2020202022696e636964656e74223a206e756c6c2c0a202020202266696c6573223a205b0a2020202020207b0a2020202020202020226b696e64223a202272756e626f6f6b222c0a2020202020202020226e616d65223a2022707574222c0a20202020202020202273686f776e223a202272756e626f6f6b732f7075742e79616d6c222c0a202020202020202022646967657374223a20227368613235363a37643333613930623032623537306237633232613238623432653239633731323739613236363434343235363765393662666661376234336430633030383930220a2020202020207d2c0a2020202020207b0a2020202020202020226b696e64223a2022746172676574222c0a2020202020202020226e616d65223a202273746167696e67222c0a20202020202020202273686f776e223a2022746172676574732f73746167696e672e79616d6c222c0a202020202020202022646967657374223a20227368613235363a30333334393665326261346637386361336631663739376435396466326431663165656563323930373063363132633564363332343466323665643532393863220a2020202020207d2c0a2020202020207b0a2020202020202020226b696e64223a202270726f6a656374222c0a2020202020202020226e616d65223a202272657261696c2e79616d6c222c0a20202020202020202273686f776e223a202272657261696c2e79616d6c222c0a202020202020202022646967657374223a20227368613235363a65626562343932353662343664333535663861623739653533653939653038376665363630396465333564336135323165666436333232653230383861366538220a2020202020207d0a202020205d2c0a20202020227265616473223a205b5d2c0a20202020226368616e676573223a205b0a2020202020207b0a20202020202020202273746570223a2022707574222c0a20202020202020202275736573223a202266696c652e7772697465222c0a202020202020202022656666656374223a20227772697465222c0a202020202020202022726570656174223a202272657065617461626c65222c0a202020202020202022646967657374223a20227368613235363a39393238323136356636356265393931343432323365626536646132376663333939633638656162663863383663336231656135623334633434343839383736222c0a20202020202020202277697468223a207b0a20202020202020202020226d6f6465223a202230363030222c0a202020202020202020202270617468223a20226f75742f61222c0a202020202020202020202274657874223a20226261636b206f6e20697473207261696c73220a20202020202020207d2c0a20202020202020202273756d6d617279223a2022637265617465202f7372762f73686f702f6f75742f612077697468203137206279746573222c0a20202020202020202264657461696c223a205b0a20202020202020202020222b206261636b206f6e20697473207261696c73220a20202020202020205d2c0a2020202020202020226e65656473223a205b0a202020202020202020207b0a2020202020202020202020202273656c66223a20747275650a202020202020202020207d0a20202020202020205d2c0a202020202020202022756e646f223a2066616c73650a2020202020207d0a202020205d2c0a20202020226f70656e223a205b5d2c0a202020202269665f69745f6661696c73223a205b5d2c0a2020202022636f6d706c657465223a20747275652c0a2020202022726164697573223a207b0a20202020202022777269746573223a20312c0a20202020202022666f725f676f6f64223a20312c0a202020202020226d65737361676573223a20302c0a20202020202022706c61636573223a205b0a20202020202020202266696c65206f75742f61220a2020202020205d0a202020207d0a20207d2c0a2020227369676e6174757265223a2022687a595078515a6f344665474a6a417a506657444f665f685f6745654670684a762d62625a714839757065676c45444448505137756d706c304e6a5677522d5a49464d5273734b6c4472627776616d2d7756784f4451220a7d0a');
INSERT INTO blobs VALUES('sha256:d6f887e4ca9ef795bb0454c01e924775c83c022425f53a481768f53a72199e81','text',X'76657273696f6e3a20310a7469746c653a20416e206578616d706c650a6f776e65723a20706c6174666f726d0a72657669657765643a20323032362d31312d30310a73746570733a0a20202d207b2069643a206e6f772c20757365733a2074696d652e6e6f77207d0a');
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
INSERT INTO checkpoints VALUES(1,'01a20299-0adc-751d-92c1-811894b6e054',13,'rerail-checkpoint-1 rerail-ed25519:kmYawriMqHbQZd6OQcni4D16u5hlnNe9gdBA9vhmQ30 no=1 run=01a20299-0adc-751d-92c1-811894b6e054 events=13 head=f7749f293fe39407236363d1d2d54071a275e25de9b604c2acafa037c79818ee after=bfea95342c1d2126b5e475788bf6e906b4b7502380bec4c87993305fd2425353 at=2026-11-22T09:31:55.263Z sig=s-oopQmrqR3ZW2wqkmPxzUMX1YjNs0OAn3JLf7RsCzMYxRjGPRx7-ZoqslyJa-UWMz3IFtptvJL9SVSpIWEUAw');
INSERT INTO checkpoints VALUES(2,'01a20299-10bc-7476-9ee9-95c41e53e6da',4,'rerail-checkpoint-1 rerail-ed25519:kmYawriMqHbQZd6OQcni4D16u5hlnNe9gdBA9vhmQ30 no=2 run=01a20299-10bc-7476-9ee9-95c41e53e6da events=4 head=ce13c3ec950cebc0e6c55bbeee7ac1013b48edf99ab97e4bb5254b71b927b13c after=a34a740baf85ae14fe0f2cfaf3f8222e2ea50d60663906cb0c2d6afab4fe3063 at=2026-11-22T09:31:55.464Z sig=AyZycojne3reOriZ6v7PuCeBrJQ0skXUQzAHD4eYCpXieD61gIcg6KBWofsFj0MWPPvLNg_SYKZG3QbtDvvfCw');
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
INSERT INTO requests VALUES(replace('ana\n/srv/shop','\n',char(10)),'example-1','efee5c65fa52037c304d1aa1d25a90df3497dde7af193e8ad1c1a475c6eeca85','01a20299-10bc-7476-9ee9-95c41e53e6da',1795339915452,201,replace('{\n  "id": "01a20299-10bc-7476-9ee9-95c41e53e6da",\n  "operator": "ana",\n  "run": "f57spt",\n  "runbook": "look",\n  "started_at": "2026-11-22T09:31:55.454Z",\n  "target": null\n}\n','\n',char(10)));
INSERT INTO requests VALUES(replace('ana\n/srv/shop','\n',char(10)),'mcp 01a20299-0ad7-7149-8329-da717cfc9e3c sha256:a15e053905b1af0519977e282d019f973d1a5c5b674e3b839dd1b4cdb6821b79','sha256:a15e053905b1af0519977e282d019f973d1a5c5b674e3b839dd1b4cdb6821b79','01a20299-0aec-7195-b522-4399c24a220a',1795339913964,201,'01a20299-0adc-751d-92c1-811894b6e054');
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
CREATE TABLE shelves (
    shelf TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (shelf, key)
) STRICT, WITHOUT ROWID;
INSERT INTO shelves VALUES(replace('agents.plans\n/srv/shop','\n',char(10)),'sha256:c3b5b85769d3c78a95ceed0264c074c2f6a53d1e663370819b855e86e850ca89',replace('{\n  "rerail_plan": 1,\n  "key": "rerail-ed25519:kmYawriMqHbQZd6OQcni4D16u5hlnNe9gdBA9vhmQ30",\n  "plan": {\n    "semantics": 1,\n    "rerail": "0.1.0",\n    "run": "01a20299-0adc-751d-92c1-811894b6e054",\n    "made_at": "2026-11-22T09:31:53.954Z",\n    "expires": "2026-11-22T09:41:53.954Z",\n    "by": {\n      "id": "ana",\n      "via": "mcp",\n      "roles": [\n        "oncall"\n      ],\n      "person": true,\n      "agent": "robot 1.0"\n    },\n    "asked": "put",\n    "runbook": "put",\n    "title": "An example",\n    "target": "staging",\n    "root": "/srv/shop",\n    "inputs": {\n      "text": "back on its rails"\n    },\n    "reason": null,\n    "incident": null,\n    "files": [\n      {\n        "kind": "runbook",\n        "name": "put",\n        "shown": "runbooks/put.yaml",\n        "digest": "sha256:7d33a90b02b570b7c22a28b42e29c71279a2664442567e96bffa7b43d0c00890"\n      },\n      {\n        "kind": "target",\n        "name": "staging",\n        "shown": "targets/staging.yaml",\n        "digest": "sha256:033496e2ba4f78ca3f1f797d59df2d1f1eeec29070c612c5d63244f26ed5298c"\n      },\n      {\n        "kind": "project",\n        "name": "rerail.yaml",\n        "shown": "rerail.yaml",\n        "digest": "sha256:ebeb49256b46d355f8ab79e53e99e087fe6609de35d3a521efd6322e2088a6e8"\n      }\n    ],\n    "reads": [],\n    "changes": [\n      {\n        "step": "put",\n        "uses": "file.write",\n        "effect": "write",\n        "repeat": "repeatable",\n        "digest": "sha256:99282165f65be99144223ebe6da27fc399c68eabf8c86c3b1ea5b34c44489876",\n        "with": {\n          "mode": "0600",\n          "path": "out/a",\n          "text": "back on its rails"\n        },\n        "summary": "create /srv/shop/out/a with 17 bytes",\n        "detail": [\n          "+ back on its rails"\n        ],\n        "needs": [\n          {\n            "self": true\n          }\n        ],\n        "undo": false\n      }\n    ],\n    "open": [],\n    "if_it_fails": [],\n    "complete": true,\n    "radius": {\n      "writes": 1,\n      "for_good": 1,\n      "messages": 0,\n      "places": [\n        "file out/a"\n      ]\n    }\n  },\n  "signature": "hzYPxQZo4FeGJjAzPfWDOf_h_gEeFphJv-bbZqH9upeglEDDHPQ7umpl0NjVwR-ZIFMRssKlDrbwvam-wVxODQ"\n}\n','\n',char(10)),1795340513954);
INSERT INTO shelves VALUES(replace('web.servers\n/srv/shop','\n',char(10)),'/srv/shop','http://127.0.0.1:34957',NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('inbox',2);
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
