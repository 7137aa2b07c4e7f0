use std::path::Path;

use super::*;
use crate::project::Project;
use crate::redact::Redactor;
use crate::runs::RunFilter;
use crate::surfaces::http::Hosts;

/// A project with one schedule, and its state; virtual time.
struct Fixture {
    dir: tempfile::TempDir,
}

/// A server of it.
struct One {
    server: Arc<Server>,
    runs: Arc<Runs>,
}

impl Fixture {
    fn new(schedule: &str, steps: &str) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("rerail.yaml", "version: 1\n");
        write("runbooks/look.yaml", &format!("version: 1\ntitle: Look\ntriggers:\n  - {schedule}\nsteps:\n{steps}"));
        Fixture { dir }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn server(&self) -> One {
        let runs = Runs::open(self.root().join("state"), Project::open(self.root()).unwrap(), Redactor::new());
        runs.counts().unwrap();
        let server = Server::new(runs, Hosts::new(&[]), None);
        let runs = server.door().ok().unwrap();
        One { server, runs }
    }
}

impl One {
    fn turn(&self, moment: &str) {
        turn(&self.server, &self.runs, moment.parse().unwrap());
    }

    fn runs(&self) -> Vec<RunRow> {
        self.runs.list(&RunFilter::default()).unwrap()
    }

    /// Waits until no run is under way.
    fn settle(&self) -> usize {
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while self.runs().iter().any(|row| !matches!(row.status, Status::Ended(_))) {
            assert!(std::time::Instant::now() < until, "runs don't end");
            std::thread::yield_now();
        }
        self.runs().len()
    }

    fn state(&self) -> State {
        let placed = self.runs.triggers().remove(0);
        let schedule = placed.trigger.schedule().unwrap().clone();
        shown(&self.runs, &placed, &schedule, Timestamp::UNIX_EPOCH).unwrap().state.unwrap()
    }
}

const NOTE: &str = "  - uses: run.note\n    with: { text: x }\n";
const EVERY_FIVE: &str = "schedule: { cron: \"*/5 * * * *\" }";

#[test]
fn each_time_comes_once_on_however_many_servers() {
    let fixture = Fixture::new(EVERY_FIVE, NOTE);
    let servers = [fixture.server(), fixture.server(), fixture.server()];
    servers[0].turn("2026-11-22T00:01:00Z");
    for minute in ["05", "10", "15"] {
        let moment = format!("2026-11-22T00:{minute}:01Z");
        std::thread::scope(|scope| {
            for server in &servers {
                scope.spawn(|| (0..3).for_each(|_| server.turn(&moment)));
            }
        });
        servers[0].settle();
    }
    assert_eq!(servers[1].settle(), 3);
    let reasons: Vec<String> = servers[2].runs().iter().map(|row| row.actor.via.clone()).collect();
    assert_eq!(reasons, ["schedule", "schedule", "schedule"]);
    assert_eq!(servers[2].state().last, Some("2026-11-22T00:15:00Z".parse().unwrap()));
}

#[test]
fn what_was_claimed_and_not_begun_is_begun_once_by_whoever_finds_it() {
    let fixture = Fixture::new(EVERY_FIVE, NOTE);
    let first = fixture.server();
    first.turn("2026-11-22T00:01:00Z");
    let placed = first.runs.triggers().remove(0);
    let key = state::key(&placed, placed.trigger.schedule().unwrap());
    let states = States::of(&first.runs);
    let held = states.get(&key).unwrap().unwrap();
    // As a server leaves it that is killed between claiming and starting.
    let firing = Firing { at: "2026-11-22T00:05:00Z".parse().unwrap(), run: RunId::new(uuid::Uuid::now_v7()) };
    let claimed = State { last: Some(firing.at), firing: Some(firing.clone()), ..held.state.clone() };
    assert!(states.put(&key, Some(&held), &claimed).unwrap());
    let second = fixture.server();
    second.turn("2026-11-22T00:05:02Z");
    assert_eq!(second.settle(), 1);
    assert_eq!(second.runs()[0].run, firing.run);
    // And as one leaves it that is killed between starting and noting that.
    let held = states.get(&key).unwrap().unwrap();
    assert!(held.state.firing.is_none());
    assert!(states.put(&key, Some(&held), &claimed).unwrap());
    second.turn("2026-11-22T00:05:03Z");
    assert_eq!(second.settle(), 1, "its name was there already");
    assert_eq!(second.state().run, Some(firing.run));
}

#[test]
fn missed_times_are_caught_up_as_is_said() {
    for (catch_up, count) in [("none", 0), ("once", 1), ("all", 4)] {
        let fixture = Fixture::new(&format!("schedule: {{ cron: \"*/5 * * * *\", catch_up: {catch_up} }}"), NOTE);
        let server = fixture.server();
        server.turn("2026-11-22T00:01:00Z");
        for _ in 0..6 {
            server.turn("2026-11-22T00:23:00Z");
            server.settle();
        }
        assert_eq!(server.settle(), count, "{catch_up}");
    }
}

#[test]
fn while_its_run_is_open_a_time_is_left_out_or_comes_when_it_ends() {
    let wait = "  - uses: human.ask\n    with: { text: \"Go on?\", choices: [\"yes\", \"no\"] }\n";
    for (overlap, after) in [("skip", 1), ("wait", 2)] {
        let fixture = Fixture::new(&format!("schedule: {{ cron: \"*/5 * * * *\", overlap: {overlap} }}"), wait);
        let server = fixture.server();
        server.turn("2026-11-22T00:01:00Z");
        server.turn("2026-11-22T00:05:00Z");
        server.turn("2026-11-22T00:10:00Z");
        server.turn("2026-11-22T00:15:00Z");
        let open = server.runs();
        assert_eq!(open.len(), 1, "{overlap}");
        assert!(server.state().said.contains("still open"), "{overlap}: {}", server.state().said);
        // As a server does: it takes up what is spoken to.
        let fleet = Arc::clone(&server.server.fleet);
        let keeper = std::thread::spawn(move || fleet.keep());
        let operator = crate::engine::event::Actor::new("ana", "cli");
        server.runs.cancel(&open[0], &operator, None).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while is_open(&server.runs, Some(open[0].run)).unwrap() {
            assert!(std::time::Instant::now() < until);
            std::thread::yield_now();
        }
        server.turn("2026-11-22T00:16:00Z");
        assert_eq!(server.runs().len(), after, "{overlap}");
        server.server.fleet.leave();
        keeper.join().unwrap();
    }
}

#[test]
fn what_is_cancelled_first_ends_with_a_reason_and_the_next_one_begins_once() {
    let wait = "  - uses: human.ask\n    with: { text: \"Go on?\", choices: [\"yes\", \"no\"] }\n";
    let fixture = Fixture::new("schedule: { cron: \"*/5 * * * *\", overlap: cancel }", wait);
    let server = fixture.server();
    server.turn("2026-11-22T00:01:00Z");
    server.turn("2026-11-22T00:05:00Z");
    let first = server.runs().remove(0);
    let fleet = Arc::clone(&server.server.fleet);
    let keeper = std::thread::spawn(move || fleet.keep());
    server.turn("2026-11-22T00:10:00Z");
    server.turn("2026-11-22T00:10:01Z");
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while is_open(&server.runs, Some(first.run)).unwrap() {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
    server.turn("2026-11-22T00:10:02Z");
    server.turn("2026-11-22T00:10:03Z");
    assert_eq!(server.runs().len(), 2);
    let events = server.runs.events(&first).unwrap();
    let reasons: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.body {
            crate::engine::event::Body::RunCancelled { reason, .. } => reason.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, ["schedule */5 * * * * (UTC): its next run is due, at 2026-11-22T00:10:00Z"]);
    server.server.fleet.leave();
    keeper.join().unwrap();
}

#[test]
fn the_doctor_looks_at_its_times_and_tells_what_is_not_well() {
    let fixture = Fixture::new(EVERY_FIVE, NOTE);
    let write = |text: &str| std::fs::write(fixture.root().join("rerail.yaml"), text).unwrap();
    let chat = "chat: { generic: { secret: { from: env }, url: \"https://bot.example.com/x\", channels: [ops] } }\n";
    let yaml = |target: &str| {
        format!(
            "version: 1\n{chat}triggers:\n  - schedule: {{ cron: \"*/5 * * * *\" }}\n    doctor: true\n    target: {target}\n    tell: {{ generic: ops }}\n"
        )
    };
    write(&yaml("nowhere"));
    std::fs::remove_file(fixture.root().join("runbooks/look.yaml")).unwrap();
    let server = fixture.server();
    assert_eq!(server.runs.triggers().remove(0).runbook, crate::runs::DOCTOR);
    server.turn("2026-11-22T00:01:00Z");
    server.turn("2026-11-22T00:05:00Z");
    server.turn("2026-11-22T00:05:01Z");
    assert!(server.state().said.contains("broken"), "{}", server.state().said);
    let news = crate::surfaces::chat::news::all(&server.runs).unwrap();
    assert_eq!(news.len(), 1, "once for each time");
    let crate::surfaces::chat::news::What::Said { title, lines } = &news[0].what else { panic!("said") };
    assert!(title.starts_with("rerail doctor: 1 thing broken"), "{title}");
    assert!(lines[0].starts_with("✗ doctor: ") && lines[0].contains("nowhere"), "{lines:?}");
    assert_eq!(server.runs().len(), 0, "it starts no runbook");
}

#[test]
fn what_may_write_does_not_begin_by_itself() {
    let write = "  - uses: http.request\n    with: { method: POST, url: \"http://127.0.0.1:9/x\" }\n";
    let fixture = Fixture::new(EVERY_FIVE, write);
    let server = fixture.server();
    server.turn("2026-11-22T00:01:00Z");
    server.turn("2026-11-22T00:05:00Z");
    assert_eq!(server.runs().len(), 0);
    assert_eq!(server.state().said, "not started: it may write, and its trigger doesn't say `auto: true`");
    server.turn("2026-11-22T00:05:01Z");
    assert_eq!(server.state().last, Some("2026-11-22T00:05:00Z".parse().unwrap()));
}
