//! S5: pages of the server in a store of a hundred thousand runs.

use std::io::Read;
use std::time::Duration;

use crate::history;
use crate::measure::{Row, median, shown, timed};
use crate::program::Place;
use crate::serve::{ASK, Serving};

/// Runs that have ended.
const RUNS: u32 = 100_000;
/// Runs that wait, and are looked into.
const WAITING: usize = 30;
/// Times each page is asked for; with all of them below what a server lets one person ask at once.
const ROUNDS: usize = 9;

pub fn rows() -> Vec<Row> {
    let place = Place::new();
    place.runbook("ask", ASK);
    place.runbook("one", "steps:\n  - { id: a, uses: run.note, with: { text: hello } }\n");
    place.command(&["run", "one"]).status().unwrap();
    let state = place.dir.path().join("state");
    rusqlite::Connection::open(state.join("journal.db")).unwrap().execute_batch("UPDATE runs SET number = 0").unwrap();
    history::fill(&state, RUNS);
    // Their events are not there, so nobody may want to read them.
    let db = rusqlite::Connection::open(state.join("journal.db")).unwrap();
    db.execute("UPDATE runs SET last_seq = 20001 WHERE incident IS NOT NULL", []).unwrap();
    drop(db);
    let served = Serving::start(&place, "a.sock");
    let run = (0..WAITING).map(|number| served.begin("ask", &format!("k{number}"))).next_back().unwrap();
    served.until(&format!("/api/v1/runs/{run}"), "\"waiting\"");
    let cookie = format!("cookie: {}\r\naccept: text/html\r\n", sign_in(&place, &served));
    let (own, transcript) = (format!("/runs/{run}"), format!("/runs/{run}/transcript"));
    let old = "/runs?before=0193a000-0000-7000-8000-00000000c350";
    let pages = [
        "/",
        "/runs",
        "/runs?status=waiting",
        "/runs?status=success&runbook=runbook-7",
        "/runs?operator=person-3",
        old,
        "/incidents/INC-50",
        "/approvals",
        "/runbooks",
        "/runbooks/one",
        "/admin",
        &own,
        &transcript,
    ];
    let (mut slowest, mut worst, mut largest) = (Duration::ZERO, Duration::ZERO, 0);
    for path in pages {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let mut page = String::new();
            let (took, _) = timed(|| served.send("GET", path, &cookie, "").read_to_string(&mut page).unwrap());
            assert!(page.starts_with("HTTP/1.0 200") && page.contains("<main"), "{path}: {page}");
            times.push(took);
            bytes = page.len();
        }
        let most = times.iter().max().copied().unwrap_or_default();
        let half = median(times);
        println!("{path}: {}, at most {}, {bytes} bytes", shown(half), shown(most));
        (slowest, worst, largest) = (slowest.max(half), worst.max(most), largest.max(bytes));
    }
    vec![
        Row::plain("S5", "the slowest page with 100,000 runs, median", slowest.as_secs_f64() * 1e3, 10.0, "ms"),
        Row::plain("S5", "the slowest answer of all pages", worst.as_secs_f64() * 1e3, 100.0, "ms"),
        Row::plain("S5", "the largest page, with its head", largest as f64 / 1e3, 100.0, "KB"),
    ]
}

/// Follows a link of the terminal; gives the cookie.
fn sign_in(place: &Place, served: &Serving) -> String {
    let link =
        place.command(&["login-link", "--url", "http://localhost"]).stdout(std::process::Stdio::piped()).output();
    let link = String::from_utf8(link.unwrap().stdout).unwrap();
    let (_, code) = link.trim().split_once("code=").unwrap();
    let code: String =
        code.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter)).collect();
    let headers = "content-type: application/x-www-form-urlencoded\r\naccept: text/html\r\n";
    let mut answer = String::new();
    served.send("POST", "/login", headers, &format!("code={code}")).read_to_string(&mut answer).unwrap();
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    cookie.unwrap_or_else(|| panic!("{answer}")).split(';').next().unwrap_or_default().to_owned()
}
