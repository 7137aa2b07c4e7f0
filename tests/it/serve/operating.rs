//! What `docs/operating.md` tells whoever runs a server: the figures to watch, the copy of the journal, the projects.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use regex_lite::Regex;
use serde_json::json;

use super::kit::Served;
use crate::binary::kit::Place;
use crate::readme::{blocks, document};

const PAGE: &str = "docs/operating.md";

const ASK: &str = "
steps:
  - { id: ready, uses: human.ask, with: { text: Ready? } }
";

#[test]
fn every_figure_of_the_server_is_told_of_and_no_other() {
    let place = Place::new();
    let server = Served::start(&place, "a.sock");
    let figures = server.unix().get("/metrics").is(200).body;
    let there: BTreeSet<&str> =
        figures.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let page = document(PAGE);
    let name = Regex::new("rerail_[a-z_]+").unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `rerail_")).collect::<Vec<_>>().join("\n");
    let told: BTreeSet<&str> = name.find_iter(&rows).map(|found| found.as_str()).collect();
    assert_eq!(told, there);
}

#[test]
fn the_project_of_the_page_is_one() {
    let file = blocks(&document(PAGE)).into_iter().find(|block| block.argument == "etc/rerail.yaml").unwrap();
    let place = Place::new().file("rerail.yaml", &file.text);
    place.ask(&["check", "--deny", "warnings"]).exits(0);
}

#[test]
fn a_copy_of_the_journal_made_while_a_server_works_is_whole_and_goes_on_elsewhere() {
    let place = Place::new().runbook("ask", ASK);
    let server = Served::start(&place, "a.sock");
    let run = server.unix().start("ask", &json!({}), "k");
    server.unix().until_status(&run, "waiting");
    // The statement of the page, by the same SQLite.
    let statement = "VACUUM INTO '/srv/backups/rerail/journal.db'";
    assert!(document(PAGE).contains(&format!("\"{statement}\"")));
    let copy = place.beside("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o700)).unwrap();
    let db = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    db.execute_batch(&statement.replace("/srv/backups/rerail", copy.to_str().unwrap())).unwrap();
    drop(db);
    std::fs::set_permissions(copy.join("journal.db"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::copy(place.state().join("store.key"), copy.join("store.key")).unwrap();
    // What happens after it isn't in it.
    server.unix().post(&format!("/api/v1/runs/{run}/answer"), "a", &json!({ "answer": "now" })).is(202);
    server.unix().until_status(&run, "success");
    server.kill();
    let place = place.state_at(&copy);
    place.ask(&["verify"]).exits(0);
    assert_eq!(place.json(&["show", &run])["status"], "waiting");
    let next = Served::start(&place, "b.sock");
    next.unix().post(&format!("/api/v1/runs/{run}/answer"), "b", &json!({ "answer": "later" })).is(202);
    next.unix().until_status(&run, "success");
}
