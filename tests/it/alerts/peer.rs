//! A real Alertmanager.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use super::kit::{LOOK, TOKEN, alerts, place, runs};
use crate::binary::kit::until;
use crate::serve::kit::Served;
use crate::services::Alertmanager;

fn tell(manager: &Alertmanager, ends_at: Option<&str>) {
    let mut alert = json!({
        "labels": { "alertname": "Down", "service": "backend" },
        "annotations": { "summary": "health endpoint answers 502" },
        "startsAt": "2026-11-21T08:41:25Z",
        "generatorURL": "http://prometheus.example.com/g",
    });
    if let Some(ends_at) = ends_at {
        alert["endsAt"] = json!(ends_at);
    }
    let body = json!([alert]).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", manager.port)).unwrap();
    let head = format!(
        "POST /api/v2/alerts HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}

#[test]
fn what_a_real_alertmanager_sends_begins_a_look_and_its_end_nothing() {
    let place = place().runbook("look", LOOK);
    let server = Served::start(&place, "a.sock");
    let url = format!("http://127.0.0.1:{}/hooks/alertmanager", server.port);
    let Some(manager) = Alertmanager::start(&url, TOKEN) else { return };
    tell(&manager, None);
    until("the look has ended", || runs(&place).first().is_some_and(|run| run["status"] == "success"));
    let token = std::fs::read_to_string(place.state().join("server.token")).unwrap();
    let client = server.tcp().bearer(token.trim());
    let received = || {
        let figures = client.get("/metrics").body;
        let line = |kind: &str| {
            let name = format!("rerail_deliveries_total{{kind=\"{kind}\"}} ");
            figures.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |n| n.parse::<u64>().unwrap())
        };
        line("new") + line("again")
    };
    // It reminds each second.
    until("it has reminded", || received() >= 3);
    tell(&manager, Some(&jiff::Timestamp::now().to_string()));
    until("its end is known", || alerts(&place)[0]["status"] == "resolved");
    let all = runs(&place);
    assert_eq!(all.len(), 1, "{all:?}");
    let story = place.ask(&["export", "@last", "--format", "jsonl"]).exits(0).stdout;
    assert!(story.contains("alertmanager says that alert Down is over"), "{story}");
}
