//! Pages of a store with thousands of runs, many of which wait: none grows with them.

use serde_json::json;

use super::kit::Browser;
use crate::binary::kit::Place;
use crate::serve::kit::{Served, Team, soon};

/// Runs that have ended.
const ENDED: u32 = 3_000;
/// Runs that wait for somebody: more than a page looks into.
const WAITING: u32 = 40;
/// What any page has at most.
const PAGE_BYTES_MAX: usize = 100_000;

const ASK: &str = "
steps:
  - id: ready
    uses: human.ask
    with: { text: 'Ready? Everybody who could be asked has been asked, and nobody knows better', choices: [go, wait] }
";

/// Runs as the journal writes them, by SQL, with long names: as many through the front door would take minutes.
fn fill(place: &Place) {
    let db = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    db.execute_batch(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ENDED})
         INSERT INTO runs (number, id, short, runbook, title, target, actor, via, incident, status, started_at, ended_at,
                           last_seq, head, fence)
         SELECT i + 1000, printf('0193a000-0000-7000-8000-%012x', i), printf('%06x', i),
                'runbook-of-a-long-name-that-somebody-meant-well-' || (i % 4), printf('%.*c', 200, 't'), 'production-europe',
                'somebody-with-a-long-name-' || (i % 9), 'http', 'INC-' || (i % 3), iif(i % 2, 'failed', 'success'),
                unixepoch() * 1000 - i, unixepoch() * 1000, 20000000, zeroblob(32), 1
         FROM n;
         UPDATE newest SET number = {ENDED} + 1000;"
    ))
    .unwrap();
}

#[test]
fn a_page_has_less_than_100_kb_whatever_there_is_to_show() {
    let team = Team::new().and("ana", "oncall", "read, run, approve", &soon(), "");
    let place = Place::new().file("rerail.yaml", &team.yaml).runbook("ask", ASK);
    let server = Served::start(&place, "a.sock");
    let client = server.tcp().bearer(team.token("ana"));
    let mut run = client.start("ask", &json!({}), "first");
    fill(&place);
    for number in 1..WAITING {
        run = client.start("ask", &json!({}), &number.to_string());
    }
    client.until_status(&run, "waiting");
    let browser = Browser::of(&server, team.token("ana"));
    let before = format!("/runs?before={run}");
    let (own, transcript) = (format!("/runs/{run}"), format!("/runs/{run}/transcript"));
    let pages = [
        "/",
        "/runs",
        "/runs?status=failed",
        "/runs?status=waiting",
        "/runs?incident=INC-1",
        "/runs?operator=somebody-with-a-long-name-1",
        "/runs?runbook=runbook-of-a-long-name-that-somebody-meant-well-1&status=failed",
        &before,
        "/incidents/INC-1",
        "/approvals",
        "/runbooks",
        "/runbooks/ask",
        "/admin",
        "/admin/doctor",
        &own,
        &transcript,
    ];
    for path in pages {
        let page = browser.get(path).is(200).body;
        assert!(page.contains("<main"), "{path} is no page");
        assert!(page.len() <= PAGE_BYTES_MAX, "{path} has {} bytes", page.len());
    }
}
