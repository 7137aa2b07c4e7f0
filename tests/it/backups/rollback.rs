//! `rollback-database` with Alembic itself: one revision down, to a given one, and what is said when something is in the way.

use std::process::Command;

use super::kit::Shop;
use crate::services::{Postgres, skipped};

/// Takes the address from the environment, as projects do.
const ENV: &str = r#"
import os
from alembic import context
from sqlalchemy import create_engine
with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"#;

/// A shop whose schema is at revision 0003; `None`, and a word about it, where there is no Alembic.
pub(super) fn migrated(name: &str) -> Option<Shop> {
    let shop = Shop::open(name)?;
    if Command::new("alembic").arg("--version").output().is_err() {
        skipped("no alembic here, rollback-database was NOT tested");
        return None;
    }
    let revision = |revision: &str, down: &str, forth: &str, back: &str| {
        format!(
            "from alembic import op\nrevision, down_revision = \"{revision}\", {down}\ndef upgrade(): op.execute(\"{forth}\")\n\
             def downgrade(): op.execute(\"{back}\")\n"
        )
    };
    let versions = shop.place.project().join("alembic/versions");
    std::fs::create_dir_all(&versions).unwrap();
    let write = |path: &str, text: &str| std::fs::write(shop.place.project().join(path), text).unwrap();
    write("alembic.ini", "[alembic]\nscript_location = alembic\n");
    write("alembic/env.py", ENV);
    let add = |column: &str| format!("ALTER TABLE users ADD COLUMN {column} text");
    let drop = |column: &str| format!("ALTER TABLE users DROP COLUMN {column}");
    write("alembic/versions/0001.py", &revision("0001", "None", &add("phone"), &drop("phone")));
    write("alembic/versions/0002.py", &revision("0002", "'0001'", &add("city"), &drop("city")));
    write("alembic/versions/0003.py", &revision("0003", "'0002'", &add("note"), &drop("note")));
    let password: String = url::form_urlencoded::byte_serialize(Postgres::PASSWORD.as_bytes()).collect();
    let made = Command::new("alembic")
        .args(["upgrade", "head"])
        .current_dir(shop.place.project())
        .env("DATABASE_URL", format!("postgresql://owner:{password}@localhost:{}/{}", shop.port(), shop.database))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Some(shop)
}

fn revision(shop: &Shop) -> String {
    shop.sql(&shop.database, "SELECT version_num FROM alembic_version")
}

/// Starts it, and says that the code works with the older schema.
fn asked(shop: &Shop, inputs: &[&str], answer: &str) {
    shop.run("rollback-database", inputs).exits(13);
    shop.place.ask(&["answer", "@last", &format!("asked={answer}")]).exits(0);
}

#[test]
fn one_revision_down_behind_a_proved_dump_and_forward_again() {
    let Some(shop) = migrated("down") else { return };
    asked(&shop, &[], "it does");
    shop.place
        .ask(&["resume", "@last"])
        .exits(13)
        .says(&["from 0003 to -1? What the migration added is lost; it is in backups/"]);
    assert_eq!((revision(&shop).as_str(), shop.dumps().len(), shop.has_scratch()), ("0003", 1, false));
    shop.approve("schema");
    shop.place.ask(&["resume", "@last"]).exits(0).says(&["went from 0003 to 0002"]);
    assert_eq!(revision(&shop), "0002");
    shop.place.ask(&["undo", "@last", "--yes", "--confirm", "here"]).exits(0);
    assert_eq!(revision(&shop), "0003");
    asked(&shop, &["to=0001"], "it does");
    shop.place.ask(&["resume", "@last"]).exits(13);
    shop.approve("schema");
    shop.place.ask(&["resume", "@last"]).exits(0).says(&["went from 0003 to 0001"]);
    assert_eq!(revision(&shop), "0001");
}

#[test]
fn code_that_does_not_fit_and_a_backup_that_fails_leave_the_schema_alone() {
    let Some(shop) = migrated("fit") else { return };
    asked(&shop, &[], "it does not");
    shop.place.ask(&["resume", "@last"]).exits(11).says(&["proved. Code: as it was. Schema: untouched."]);
    std::fs::remove_dir_all(shop.directory()).unwrap();
    shop.run("rollback-database", &[]).exits(10).says(&["Backup: none that was proved. Code and schema: untouched."]);
    std::fs::create_dir(shop.directory()).unwrap();
    for (to, says) in [("0003", "is at 0003 already"), ("--sql", "to is --sql, expected a revision, base or -1")] {
        shop.run("rollback-database", &[&format!("to={to}")]).exits(11).says(&[says]);
    }
    assert_eq!(revision(&shop), "0003");
}

#[test]
fn a_migration_that_fails_changes_nothing_and_says_what_is_in_which_state() {
    let Some(shop) = migrated("breaks") else { return };
    shop.sql(&shop.database, "CREATE VIEW notes AS SELECT note FROM users");
    asked(&shop, &["to=0001"], "it does");
    shop.place.ask(&["resume", "@last"]).exits(13);
    shop.approve("schema");
    let said = shop.place.ask(&["resume", "@last"]).exits(10);
    said.says(&["Backup: backups/", "proved. Code: as it was. Schema: the migration failed"]);
    assert_eq!(revision(&shop), "0003");
}
