//! `backup-mongodb` and `restore-mongodb` with stand-ins for MongoDB's tools: shell scripts that take their words, keep
//! "databases" as folders, and write what the real ones write: a gzip archive, lines on standard error, exit codes.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::binary::kit::{Living, Place, Said, until};
use crate::readme::{blocks, document};

/// The password in the address.
const PASSWORD: &str = "hunter2-example-of-a-password";

/// Stand-in for mongodump: the folder of a database as one archive, a line for each collection.
const DUMP: &str = r#"#!/bin/sh
echo "mongodump $*" >> "$HOME/calls"
grep -q 'uri: "mongodb://backup:hunter2-example-of-a-password@' || { echo "error parsing command line options: no address" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case "$1" in --db) db=$2; shift ;; --archive=*) archive=${1#--archive=} ;; esac
  shift
done
FIRST
[ -d "$HOME/data/$db" ] || { echo "Failed: no such database" >&2; exit 1; }
(cd "$HOME/data" && tar -cz "$db") > "$archive" || { echo "Failed: error writing to archive" >&2; exit 1; }
for file in "$HOME/data/$db"/*; do
  echo "2026-01-01T00:00:00.000+0000	done dumping $db.${file##*/} ($(wc -l < "$file") documents)" >&2
done
"#;

/// Stand-in for mongorestore: drops and makes each collection, under another name if told so.
const RESTORE: &str = r#"#!/bin/sh
echo "mongorestore $*" >> "$HOME/calls"
grep -q 'uri: "mongodb://backup:hunter2-example-of-a-password@' || exit 1
while [ $# -gt 0 ]; do
  case "$1" in --nsFrom) from=${2%%.*}; shift ;; --nsTo) to=${2%%.*}; shift ;; --archive=*) archive=${1#--archive=} ;; esac
  shift
done
work=$(mktemp -d) && tar -xz -C "$work" -f "$archive" || { echo "Failed: archive is corrupt" >&2; exit 1; }
for folder in "$work"/*; do
  db=${folder##*/}; [ "$db" = "$from" ] && db=$to
  mkdir -p "$HOME/data/$db"
  for file in "$folder"/*; do
    name=${file##*/}
    [ -e "$HOME/break-$db-$name" ] && { echo "Failed: $db.$name: error restoring" >&2; exit 1; }
    cp "$file" "$HOME/data/$db/$name"
    echo "2026-01-01T00:00:00.000+0000	finished restoring $db.$name ($(wc -l < "$file") documents, 0 failures)" >&2
  done
done
echo "2026-01-01T00:00:00.000+0000	80 document(s) restored successfully. 0 document(s) failed to restore." >&2
"#;

/// A "server" that answers a ping, data in folders, and the stand-ins.
pub(super) struct Mongo {
    place: Place,
}

impl Mongo {
    pub(super) fn open(first: &str) -> Mongo {
        let port = serve();
        let settings = blocks(&document("docs/backups.md")).into_iter().find(|block| block.argument == "rerail.yaml");
        let settings = settings.unwrap().text.replace("cluster0.example.net", "127.0.0.1");
        let target = "version: 1\ntitle: Here\ninputs: { database: shop }\nsecrets: { MONGODB_URI: { from: file, path: keys/uri, hosts: [127.0.0.1] } }\n";
        let place = Place::new()
            .file("rerail.yaml", settings)
            .file("targets/here.yaml", target)
            .file("keys/uri", format!("mongodb://backup:{PASSWORD}@127.0.0.1:{port}"))
            .file("backups/notes", "");
        let mongo = Mongo { place };
        for (name, script) in [("mongodump", DUMP.replace("FIRST", first)), ("mongorestore", RESTORE.to_owned())] {
            let tool = mongo.place.beside("tools").join(name);
            std::fs::create_dir_all(tool.parent().unwrap()).unwrap();
            std::fs::write(&tool, script).unwrap();
            std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        mongo.write("users", 20);
        mongo.write("orders", 60);
        mongo
    }

    fn data(&self, database: &str) -> PathBuf {
        self.place.beside("home").join("data").join(database)
    }

    fn write(&self, collection: &str, documents: usize) {
        std::fs::create_dir_all(self.data("shop")).unwrap();
        std::fs::write(self.data("shop").join(collection), "{}\n".repeat(documents)).unwrap();
    }

    fn documents(&self, database: &str, collection: &str) -> usize {
        std::fs::read_to_string(self.data(database).join(collection)).map_or(0, |text| text.lines().count())
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.place.rerail(args);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.place.beside("tools").display()));
        command
    }

    pub(super) fn ask(&self, args: &[&str]) -> Said {
        let said = Said::of(args, self.command(args).output().unwrap());
        assert!(!format!("{}{}", said.stdout, said.stderr).contains(PASSWORD), "the password is told");
        said
    }

    fn run(&self, runbook: &str, inputs: &[&str]) -> Said {
        let mut args = vec!["run", runbook, "--target", "here", "--yes", "--confirm", "here"];
        args.extend(inputs.iter().flat_map(|input| ["-i", input]));
        self.ask(&args)
    }

    fn approve(&self, step: &str) {
        let shown = self.ask(&["approve", "@last"]);
        let all = format!("{}{}", shown.stdout, shown.stderr);
        let change = all.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap_or_else(|| panic!("{all}"));
        let run = self.place.json(&["show", "@last"])["run"].as_str().unwrap().to_owned();
        self.ask(&["approve", &format!("{run}/{step}"), "--yes", "--change", change]).exits(0);
    }

    fn dump(&self) -> PathBuf {
        let mut dumps: Vec<PathBuf> = std::fs::read_dir(self.place.project().join("backups"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "gz"))
            .collect();
        dumps.sort();
        dumps.pop().unwrap()
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.place.beside("home").join("calls")).unwrap_or_default()
    }
}

/// Answers each `hello` as a server of its own does; lives as long as the test's process.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let document = b"\x21\0\0\0\x08isWritablePrimary\0\x01\x10ok\0\x01\0\0\0\0";
            let length = i32::try_from(document.len()).unwrap();
            let mut question = [0; 52];
            if stream.read_exact(&mut question).is_ok() {
                let head = [21 + length, 7, 1, 2013, 0].map(i32::to_le_bytes).concat();
                stream.write_all(&[&head[..], b"\0", document].concat()).ok();
            }
        }
    });
    port
}

#[test]
fn a_backup_is_private_whole_and_comes_back_in_a_drill() {
    let mongo = Mongo::open("");
    mongo.run("backup-mongodb", &[]).exits(0).says(&["2 collections, read to its end"]);
    assert_eq!(std::fs::metadata(mongo.dump()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!mongo.calls().contains(PASSWORD), "everybody can read it there");
    mongo.run("restore-mongodb", &["drill=true"]).exits(0).says(&["2 collections came back", "shop was not touched"]);
    assert_eq!((mongo.documents("rerail_scratch", "users"), mongo.documents("shop", "users")), (20, 20));
}

#[test]
fn what_was_lost_comes_back_and_can_be_taken_back_again() {
    let mongo = Mongo::open("");
    mongo.run("backup-mongodb", &[]).exits(0);
    mongo.write("orders", 7);
    mongo.run("restore-mongodb", &[]).exits(13);
    assert_eq!(mongo.documents("shop", "orders"), 7, "nothing before somebody agrees");
    mongo.approve("restore");
    mongo.ask(&["resume", "@last"]).exits(0).says(&["shop is as it was at"]);
    assert_eq!(mongo.documents("shop", "orders"), 60);
    mongo.ask(&["undo", "@last", "--yes", "--confirm", "here"]).exits(0);
    assert_eq!(mongo.documents("shop", "orders"), 7);
}

#[test]
fn a_restore_that_breaks_off_says_that_some_is_new_and_some_is_old() {
    let mongo = Mongo::open("");
    mongo.run("backup-mongodb", &[]).exits(0);
    mongo.write("orders", 7);
    mongo.write("users", 1);
    std::fs::write(mongo.place.beside("home").join("break-shop-users"), "").unwrap();
    mongo.run("restore-mongodb", &[]).exits(13);
    mongo.approve("restore");
    let said = mongo.ask(&["resume", "@last"]).exits(10);
    said.says(&["shop.users: error restoring", "collections of shop may be new, old or missing"]);
    assert_eq!((mongo.documents("shop", "orders"), mongo.documents("shop", "users")), (60, 1));
}

#[test]
fn a_dump_that_is_not_what_it_was_is_never_restored() {
    let mongo = Mongo::open("");
    mongo.run("backup-mongodb", &[]).exits(0);
    let dump = mongo.dump();
    let whole = std::fs::read(&dump).unwrap();
    std::fs::write(&dump, &whole[..whole.len() - 9]).unwrap();
    mongo.run("restore-mongodb", &["drill=true"]).exits(11).says(&["was changed or cut since", "shop was not touched"]);
    let sum: String = {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(&whole[..whole.len() - 9]).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    std::fs::write(format!("{}.sha256", dump.display()), format!("{sum}  x\n")).unwrap();
    mongo.run("restore-mongodb", &["drill=true"]).exits(10).says(&["unexpected end of file", "shop was not touched"]);
    assert!(!mongo.calls().contains("mongorestore"), "{}", mongo.calls());
    mongo
        .run("backup-mongodb", &["database=nowhere"])
        .exits(10)
        .says(&["no such database", "There is no backup of now"]);
}

#[test]
fn a_dump_whose_end_rerail_did_not_see_is_taken_as_done_only_if_it_is_whole() {
    for whole in [true, false] {
        // Blocks before or after its work, until it is killed.
        let wait = "touch \"$HOME/started\"; while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done";
        let mongo = Mongo::open(wait);
        let home = mongo.place.beside("home");
        let run = mongo.command(&["run", "backup-mongodb", "--target", "here", "--yes"]);
        let mut run = Living::spawn("run backup-mongodb", run);
        until("mongodump was started", || home.join("started").exists());
        run.signal(Signal::KILL);
        assert!(run.ends().was_killed());
        let dump = mongo.dump();
        if whole {
            std::fs::write(home.join("go"), "").unwrap();
            let complete =
                || std::process::Command::new("gzip").arg("--test").arg(&dump).output().unwrap().status.success();
            until("the dump is whole", || std::fs::metadata(&dump).unwrap().len() > 0 && complete());
        }
        let said = mongo.ask(&["resume", "@last"]);
        assert_eq!(said.code(), Some(if whole { 0 } else { 16 }), "{said:?}");
        assert_eq!(mongo.calls().matches("mongodump").count(), 1, "nobody starts a second one beside it");
        std::fs::write(home.join("go"), "").unwrap();
    }
}
