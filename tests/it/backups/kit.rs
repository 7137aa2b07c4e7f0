//! A shop: a database of its own on the server of the tests, and a project that may do with it what docs/backups.md
//! allows.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::binary::kit::{Place, Said, until};
use crate::readme::{blocks, document};
use crate::services::{Postgres, skipped};

/// Tools that the tests need beside the server.
const TOOLS: [&str; 5] = ["pg_dump", "pg_restore", "createdb", "dropdb", "psql"];
/// Rows of its tables.
pub const USERS: i64 = 20;
pub const ORDERS: i64 = 60;

/// A database with two tables, and a project around it.
pub struct Shop {
    pub place: Place,
    /// Its name; that of its scratch database is `rerail_` with this behind.
    pub database: String,
    server: &'static Postgres,
}

impl Shop {
    /// `None`, and a word about it, where there is no server or no tools.
    pub fn open(name: &str) -> Option<Shop> {
        let server = Postgres::shared()?;
        for tool in TOOLS {
            if Command::new(tool).arg("--version").output().is_err() {
                skipped(&format!("no {tool} here, backups were NOT tested"));
                return None;
            }
        }
        let database = format!("shop_{name}");
        let place = Place::new()
            .file("rerail.yaml", settings(&database))
            .file("keys/database", Postgres::PASSWORD)
            .file("targets/here.yaml", target(server, &database));
        let shop = Shop { place, database, server };
        std::fs::create_dir(shop.directory()).unwrap();
        shop.sql("postgres", &format!("CREATE DATABASE {}", shop.database));
        shop.sql(&shop.database, "CREATE TABLE users (id int PRIMARY KEY, name text)");
        shop.sql(&shop.database, "CREATE TABLE orders (id int, buyer int REFERENCES users (id))");
        let rows = format!("INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, {USERS}) i");
        shop.sql(&shop.database, &rows);
        let rows = format!("INSERT INTO orders SELECT i, 1 + i % {USERS} FROM generate_series(1, {ORDERS}) i");
        shop.sql(&shop.database, &rows);
        Some(shop)
    }

    pub fn scratch(&self) -> String {
        format!("rerail_{}", self.database)
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    pub fn directory(&self) -> PathBuf {
        self.place.project().join("backups")
    }

    /// A file there.
    pub fn backup(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// Whole dumps by name: those with a checksum.
    pub fn dumps(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.directory())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".sha256").map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    fn psql(&self, database: &str, statement: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-At", "-c", statement]);
        psql.env("PGHOST", "localhost").env("PGPORT", self.server.port.to_string()).env("PGUSER", "owner");
        psql.env("PGDATABASE", database).env("PGPASSWORD", Postgres::PASSWORD).env("PGSSLMODE", "require");
        psql
    }

    /// What a statement gives, as `psql -At` writes it.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let said = self.psql(database, statement).output().unwrap();
        assert!(said.status.success(), "{statement}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }

    /// Somebody who uses a table until this is dropped.
    pub fn hold(&self, table: &str) -> Held {
        let statement = format!("BEGIN; LOCK TABLE {table} IN ACCESS SHARE MODE; SELECT pg_sleep(600)");
        let held = Held(self.psql(&self.database, &statement).stdout(Stdio::null()).spawn().unwrap());
        let look = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event = 'PgSleep'",
            self.database
        );
        until("the table is held", || self.sql("postgres", &look) == "1");
        held
    }

    pub fn rows(&self, table: &str) -> i64 {
        self.sql(&self.database, &format!("SELECT count(*) FROM {table}")).parse().unwrap()
    }

    /// Databases that begin as scratch databases do, and belong to this shop.
    pub fn has_scratch(&self) -> bool {
        !self.sql("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{}'", self.scratch())).is_empty()
    }

    pub fn run(&self, runbook: &str, inputs: &[&str]) -> Said {
        let mut args = vec!["run", runbook, "--target", "here", "--yes", "--confirm", "here"];
        args.extend(inputs.iter().flat_map(|input| ["-i", input]));
        let said = self.place.ask(&args);
        assert!(!format!("{}{}", said.stdout, said.stderr).contains(Postgres::PASSWORD), "the password is told");
        said
    }

    /// The same up to the approval, which its operator then gives, and to its end.
    pub fn run_approved(&self, runbook: &str, inputs: &[&str], step: &str) -> Said {
        self.run(runbook, inputs).exits(13);
        self.approve(step);
        self.place.ask(&["resume", "@last"])
    }

    /// Says yes to what the newest run asks for at a step.
    pub fn approve(&self, step: &str) {
        let shown = self.place.ask(&["approve", "@last"]);
        let all = format!("{}{}", shown.stdout, shown.stderr);
        let change = all.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap_or_else(|| panic!("{all}"));
        let run = self.place.json(&["show", "@last"])["run"].as_str().unwrap().to_owned();
        self.place.ask(&["approve", &format!("{run}/{step}"), "--yes", "--change", change]).exits(0);
    }

    /// Makes the newest dump another one, with a checksum that fits if it is to be believed.
    pub fn tamper(&self, change: impl FnOnce(Vec<u8>) -> Vec<u8>, believed: bool) {
        let name = self.dumps().pop().unwrap();
        let content = change(std::fs::read(self.backup(&name)).unwrap());
        if believed {
            use sha2::{Digest as _, Sha256};
            let sum: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
            std::fs::write(self.backup(&format!("{name}.sha256")), format!("{sum}  {name}\n")).unwrap();
        }
        std::fs::write(self.backup(&name), content).unwrap();
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for name in [self.scratch(), self.database.clone()] {
            self.sql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// What says where the database is.
fn target(server: &Postgres, database: &str) -> String {
    format!(
        "version: 1\ntitle: Here\nca: {ca}\ninputs:\n  database_host: localhost\n  database_port: {port}\n  database_user: owner\n  \
         database: {database}\n  database_ca: {ca}\n  scratch: rerail_{database}\nsecrets:\n  DATABASE_PASSWORD: {{ from: file, \
         path: keys/database, hosts: [localhost] }}\n",
        ca = server.ca,
        port = server.port,
    )
}

/// A client that holds a lock; gone with the value.
pub struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The lines of docs/backups.md, for this database.
pub fn settings(database: &str) -> String {
    let blocks = blocks(&document("docs/backups.md"));
    let settings = blocks.into_iter().find(|block| block.argument == "rerail.yaml").unwrap();
    settings
        .text
        .replace("shop", database)
        .replace("rerail_scratch", &format!("rerail_{database}"))
        .replace("db.example.com", "localhost")
}
