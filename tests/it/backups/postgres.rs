//! `backup-postgres` and `restore-postgres`: what is made, what is proved, and what is said when something is wrong.

use std::os::unix::fs::PermissionsExt as _;

use super::kit::{ORDERS, Shop, USERS};
use crate::tmpfs::Disk;

#[test]
fn a_backup_is_private_whole_and_restorable_and_takes_the_place_of_old_ones() {
    let Some(shop) = Shop::open("whole") else { return };
    let mine = format!("{}-20200101T000000Z.dump", shop.database);
    let newest = format!("{}-20200301T000000Z.dump", shop.database);
    // Past its time, with a newer one; of the database next door; never finished, long ago; no dump at all.
    let others = format!("{}_2-20200101T000000Z.dump", shop.database);
    let unfinished = format!("{}-20200102T000000Z.dump", shop.database);
    let sum = |name: &str| format!("{name}.sha256");
    let json = format!("{mine}.json");
    for name in [&mine, &sum(&mine), &json, &newest, &sum(&newest), &others, &unfinished, &"notes".to_owned()] {
        std::fs::write(shop.backup(name), "x").unwrap();
    }
    let plan = ["run", "backup-postgres", "--target", "here", "--dry-run"];
    let plan = shop.place.ask(&plan).exits(0).says(&["remove 4 files (4 bytes)", &mine, &unfinished]);
    assert!(!plan.stdout.contains(&others) && !plan.stdout.contains("backups/notes"), "{}", plan.stdout);
    let said = shop.run("backup-postgres", &[]).exits(0).says(&["2 tables, read to its end", "4 files were removed"]);
    let dumps = shop.dumps();
    assert_eq!((dumps.len(), &dumps[0]), (2, &newest), "{dumps:?}");
    for name in [dumps[1].clone(), format!("{}.json", dumps[1]), format!("{}.sha256", dumps[1])] {
        let mode = std::fs::metadata(shop.backup(&name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name} holds all the data there is");
    }
    let noted = std::fs::read_to_string(shop.backup(&format!("{}.json", dumps[1]))).unwrap();
    let noted: serde_json::Value = serde_json::from_str(&noted).unwrap();
    let rows = |table: &str| noted["rows"][table]["before"].as_i64().unwrap();
    assert_eq!((rows("public.users"), rows("public.orders")), (USERS, ORDERS));
    let sum = std::process::Command::new("sha256sum")
        .args(["-c", &format!("{}.sha256", dumps[1])])
        .current_dir(shop.directory())
        .output()
        .unwrap();
    assert!(sum.status.success(), "{said:?}");
    assert!(shop.backup(&others).exists() && shop.backup("notes").exists() && !shop.backup(&mine).exists());
    assert!(!shop.backup(&unfinished).exists());

    shop.run("restore-postgres", &["drill=true"]).exits(0).says(&["2 tables came back with the rows they had"]);
    assert!(!shop.has_scratch() && shop.rows("orders") == ORDERS);
}

#[test]
fn the_newest_dump_stays_however_old_it_is() {
    let Some(shop) = Shop::open("newest") else { return };
    shop.run("backup-postgres", &[]).exits(0);
    let name = shop.dumps().pop().unwrap();
    let old = format!("{}-20200101T000000Z.dump", shop.database);
    for ending in ["", ".json", ".sha256"] {
        std::fs::rename(shop.backup(&format!("{name}{ending}")), shop.backup(&format!("{old}{ending}"))).unwrap();
    }
    // Its next backup fails: what is old is all there is.
    let place = shop.place.ask(&["run", "backup-postgres", "--target", "here", "--yes", "-i", "database=nowhere"]);
    assert_eq!(place.code(), Some(10), "{place:?}");
    shop.run("backup-postgres", &["keep_days=1"]).exits(0).says(&["1 earlier dumps are kept, 0 files were removed"]);
    assert_eq!(shop.dumps().len(), 2, "the newest when it was chosen is kept until the next time");
    shop.run("backup-postgres", &["keep_days=1"]).exits(0).says(&["3 files were removed"]);
}

#[test]
fn what_was_lost_comes_back_and_can_be_taken_back_again() {
    let Some(shop) = Shop::open("back") else { return };
    shop.run("backup-postgres", &[]).exits(0);
    shop.sql(&shop.database, "DELETE FROM orders WHERE id > 7; INSERT INTO users VALUES (100, 'late')");
    let said = shop.run("restore-postgres", &[]).exits(13);
    assert_eq!(shop.rows("orders"), 7, "nothing before somebody agrees: {}", said.stderr);
    shop.approve("restore");
    shop.place.ask(&["resume", "@last"]).exits(0).says(&["is as it was at", "`rerail undo` puts it back"]);
    assert_eq!((shop.rows("orders"), shop.rows("users")), (ORDERS, USERS));
    assert_eq!(shop.dumps().len(), 2, "what was there before is a dump as well");
    shop.place.ask(&["undo", "@last", "--yes", "--confirm", "here"]).exits(0);
    assert_eq!((shop.rows("orders"), shop.rows("users")), (7, USERS + 1));
}

#[test]
fn a_no_leaves_the_database_as_it_is() {
    let Some(shop) = Shop::open("no") else { return };
    shop.run("backup-postgres", &[]).exits(0);
    shop.sql(&shop.database, "DELETE FROM orders");
    shop.run("restore-postgres", &[]).exits(13);
    shop.place.ask(&["reject", "@last", "-m", "not tonight"]).exits(0);
    shop.place.ask(&["resume", "@last"]).exits(14).says(&["was not touched"]);
    assert_eq!(shop.rows("orders"), 0);
}

#[test]
fn a_restore_that_fails_half_way_leaves_everything_as_it_was_and_says_so() {
    let Some(shop) = Shop::open("half") else { return };
    shop.run("backup-postgres", &[]).exits(0);
    shop.sql(&shop.database, "DELETE FROM orders WHERE id > 7");
    // What the dump doesn't know stands in the way of what it drops.
    shop.sql(&shop.database, "CREATE VIEW names AS SELECT name FROM users");
    let said = shop.run_approved("restore-postgres", &[], "restore").exits(10);
    said.says(&["cannot drop table", "is as it was before: the restore runs in one transaction"]);
    assert_eq!((shop.rows("orders"), shop.rows("users"), shop.rows("names")), (7, USERS, USERS));

    shop.sql(&shop.database, "DROP VIEW names");
    // Somebody who works with a table: nobody is even asked.
    let held = shop.hold("orders");
    let said = shop.run("restore-postgres", &[&format!("file={}", first(&shop))]);
    drop(held);
    said.exits(11).says(&["1 others are connected", "is as it was before"]);
    assert_eq!(shop.rows("orders"), 7);
}

/// The first dump, as a runbook is given it.
fn first(shop: &Shop) -> String {
    format!("backups/{}", shop.dumps()[0])
}

#[test]
fn a_dump_that_is_not_what_it_was_is_never_restored() {
    let cut = |mut dump: Vec<u8>| {
        dump.truncate(dump.len() * 2 / 3);
        dump
    };
    type Change = fn(Vec<u8>) -> Vec<u8>;
    let cases: [(&str, Change, bool, &str); 5] = [
        ("cut", cut, false, "is not the file its checksum was made of"),
        ("cut_believed", cut, true, "could not read from input file"),
        ("empty", |_| Vec::new(), false, "is empty"),
        ("empty_believed", |_| Vec::new(), true, "is empty"),
        ("other", |_| b"no dump at all".to_vec(), true, "pg_restore: error"),
    ];
    for (name, change, believed, says) in cases {
        let Some(shop) = Shop::open(name) else { return };
        shop.run("backup-postgres", &[]).exits(0);
        shop.tamper(change, believed);
        let code = if says.starts_with("is ") { 11 } else { 10 };
        shop.run("restore-postgres", &[]).exits(code).says(&[says, "was not touched"]);
        assert_eq!((shop.rows("orders"), shop.has_scratch(), shop.dumps().len()), (ORDERS, false, 1), "{name}");
    }
}

#[test]
fn rows_that_did_not_come_back_are_named() {
    let Some(shop) = Shop::open("rows") else { return };
    shop.run("backup-postgres", &[]).exits(0);
    let noted = shop.backup(&format!("{}.json", shop.dumps()[0]));
    let text = std::fs::read_to_string(&noted).unwrap();
    std::fs::write(&noted, text.replace(&format!(":{ORDERS}"), ":61")).unwrap();
    shop.run("restore-postgres", &["drill=true"])
        .exits(11)
        .says(&["public.orders has 60 rows and had 61", "was not touched"]);
    assert!(!shop.has_scratch(), "it is dropped also when the drill fails");
}

#[test]
fn without_a_login_a_tool_a_line_or_a_directory_nothing_is_made_and_the_way_out_is_said() {
    let Some(shop) = Shop::open("without") else { return };
    let backup = |args: &[&str], path: Option<&str>| {
        let mut command = shop.place.rerail(&[&["run", "backup-postgres", "--target", "here", "--yes"], args].concat());
        if let Some(path) = path {
            command.env("PATH", path);
        }
        crate::binary::kit::Said::of(args, command.output().unwrap())
    };
    let none = "There is no backup of now; the earlier ones are untouched";
    std::fs::write(shop.place.project().join("keys/database"), "not-the-password-example").unwrap();
    backup(&[], None).exits(10).says(&["28P01", none]);
    std::fs::write(shop.place.project().join("keys/database"), crate::services::Postgres::PASSWORD).unwrap();
    backup(&[], Some("/nonexistent")).exits(10).says(&["`pg_dump` can't be started: no program of that name", none]);
    backup(&["-i", "directory=nowhere"], None).exits(10).says(&["the directory nowhere can't be listed"]);
    backup(&["-i", "database=nowhere"], None).exits(10).says(&["3D000", none]);
    backup(&["-i", "keep_days=0"], None).exits(11).says(&["keep_days is 0, expected 1 to 3650"]);
    std::fs::write(shop.place.project().join("rerail.yaml"), "version: 1\nallow: { file_write: [backups] }\n").unwrap();
    backup(&[], None).exits(10).says(&["is not allowed here: add `- { argv: [\"pg_dump\"", none]);
    assert_eq!(shop.dumps(), Vec::<String>::new());
}

#[test]
fn a_full_disk_fails_the_backup_and_keeps_the_earlier_one() {
    let Some(shop) = Shop::open("full") else { return };
    let Some(disk) = Disk::of("256k") else { return };
    let directory = disk.path().join("backups");
    std::fs::create_dir(&directory).unwrap();
    let settings = super::kit::settings(&shop.database);
    let settings = settings.replace("file_write: [backups]", &format!("file_write: [{}]", directory.display()));
    std::fs::write(shop.place.project().join("rerail.yaml"), settings).unwrap();
    let into = format!("directory={}", directory.display());
    shop.run("backup-postgres", &[&into]).exits(0);
    // Does not compress.
    let noise = "CREATE TABLE noise AS SELECT md5(i::text) || md5((-i)::text) AS t FROM generate_series(1, 20000) i";
    shop.sql(&shop.database, noise);
    shop.run("backup-postgres", &[&into]).exits(10).says(&["No space left on device", "There is no backup of now"]);
    let whole = std::fs::read_dir(&directory)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".sha256"));
    assert_eq!(whole.count(), 1, "the one that failed is not taken for a dump");
    shop.run("restore-postgres", &[&into, "drill=true"]).exits(0).says(&["2 tables came back"]);
}
