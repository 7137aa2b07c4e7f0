use std::path::Path;
use std::time::{Duration, Instant};

use State::{Firing, Resolved};

use super::*;
use crate::engine::event::{Body, Event};
use crate::project::Project;
use crate::redact::Redactor;
use crate::runbook::hooks::Proof;
use crate::runbook::settings::{From, SecretSource};
use crate::runs::RunFilter;
use crate::surfaces::alerts::known::known;
use crate::surfaces::alerts::prometheus::ALERTS_MAX;
use crate::surfaces::alerts::proposals::Proposal;
use crate::surfaces::http::Hosts;

/// Waits for a person with its plan.
const FIX: &str = "triggers: [{ alert: { alertname: Down }, inputs: { service: '${{ alert.labels.service }}' } }]
inputs: { service: { type: string } }
steps: [{ id: set, uses: http.request, with: { method: POST, url: 'http://127.0.0.1:9/${{ inputs.service }}' } }]
";
/// Begins at once and is open until somebody answers.
const ASK: &str = "triggers: [{ alert: { alertname: Down } }]
steps: [{ id: wait, uses: human.ask, with: { text: 'Go on?' } }]
";

struct Fixture {
    _dir: tempfile::TempDir,
    server: Arc<Server>,
    runs: Arc<Runs>,
    keeper: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.server.fleet.leave();
        self.keeper.take().map(std::thread::JoinHandle::join);
    }
}

impl Fixture {
    fn new(runbook: &str) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path: &Path = &dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("rerail.yaml", "version: 1\n");
        write("runbooks/mend.yaml", &format!("version: 1\ntitle: Mend\n{runbook}"));
        let runs = Runs::open(dir.path().join("state"), Project::open(dir.path()).unwrap(), Redactor::new());
        runs.counts().unwrap();
        let server = Server::new(runs, Hosts::new(&[]), None);
        let runs = server.door().ok().unwrap();
        let fleet = Arc::clone(&server.fleet);
        let keeper = Some(std::thread::spawn(move || fleet.keep()));
        Fixture { _dir: dir, server, runs, keeper }
    }

    /// One message after another, as if each was received when it is worked through.
    fn hear(&self, told: &Told) -> String {
        self.hear_late(told, Timestamp::now())
    }

    /// One that was received before, and is worked through now.
    fn hear_late(&self, told: &Told, received: Timestamp) -> String {
        self.try_hear(told, received).unwrap()
    }

    fn try_hear(&self, told: &Told, received: Timestamp) -> Result<String, RunsError> {
        let secret = SecretSource { from: From::Env { name: "X".into() }, hosts: Vec::new() };
        let hook = Hook { secret, proof: Proof::Bearer, user: None, acts_as: None, map: None, tell: Vec::new() };
        work(&self.server, &self.runs, &hook, told, received)
    }

    /// An alert that is a group by itself.
    fn one(&self, status: State, since: &str) -> String {
        self.hear(&of(&[alert(status, "f", since)]))
    }

    /// What came of all alerts, in the order in which they were heard of.
    fn done(&self) -> Vec<Done> {
        let mut all = known(&self.runs).unwrap();
        all.sort_by_key(|known| known.first);
        all.into_iter().map(|known| known.done).collect()
    }

    fn words(&self) -> Vec<&'static str> {
        self.done().iter().map(Done::word).collect()
    }

    fn proposals(&self) -> Vec<Proposal> {
        let mut all = proposals::all(&self.runs).unwrap();
        all.sort_by_key(|proposal| proposal.made_at);
        all
    }

    /// The record of a run, once it has all these notes.
    fn notes(&self, run: RunId, many: usize) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let row = self.runs.existing(run).unwrap().unwrap();
            let events = self.runs.events_from(&row, 1).unwrap();
            let note = |event: Event| match event.body {
                Body::Note { text, .. } => Some(text),
                _ => None,
            };
            let notes: Vec<String> = events.into_iter().filter_map(note).collect();
            if notes.len() >= many {
                return notes;
            }
            assert!(Instant::now() < until, "{notes:?}");
            std::thread::yield_now();
        }
    }
}

fn alert(status: State, fingerprint: &str, since: &str) -> Alert {
    Alert {
        source: "alertmanager".into(),
        fingerprint: fingerprint.into(),
        group: "g".into(),
        status,
        labels: [("alertname".to_owned(), "Down".to_owned()), ("service".to_owned(), "backend".to_owned())].into(),
        starts_at: since.into(),
        ..Alert::default()
    }
}

fn of(alerts: &[Alert]) -> Told {
    let over = alerts.iter().all(|alert| alert.status == State::Resolved);
    Told { alerts: alerts.to_vec(), over, left_out: 0 }
}

#[test]
fn what_still_fires_begins_what_the_one_it_shares_with_was_over_too_soon_for() {
    let fixture = Fixture::new(&format!("concurrency: {{ group: one, if_busy: refuse }}\n{ASK}"));
    fixture.hear(&of(&[Alert { group: "other".into(), ..alert(Firing, "o", "1") }]));
    let Done::Started { run: busy } = fixture.done()[0] else { panic!("{:?}", fixture.done()) };
    let both = of(&[alert(Firing, "a", "1"), alert(Firing, "b", "1")]);
    let hear = |told: &Told| fixture.try_hear(told, Timestamp::now());
    assert_eq!(hear(&both).unwrap_err().kind, ErrorKind::Busy);
    assert_eq!(fixture.words(), ["started", "beginning", "shared"]);
    hear(&of(&[alert(Resolved, "a", "1"), alert(Firing, "b", "1")])).unwrap();
    // Tried once more it is too late for the one, and not for the other.
    assert_eq!(hear(&both).unwrap_err().kind, ErrorKind::Busy);
    assert_eq!(fixture.words(), ["started", "over", "beginning"]);
    let row = fixture.runs.existing(busy).unwrap().unwrap();
    fixture.runs.cancel(&row, &Actor::new("root", "cli"), None).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while hear(&of(&[alert(Firing, "b", "1")])).is_err() {
        assert!(Instant::now() < until, "{:?}", fixture.words());
        std::thread::yield_now();
    }
    assert_eq!(fixture.words(), ["started", "over", "started"]);
}

#[test]
fn an_alert_that_comes_and_goes_is_one_proposal_as_long_as_that_is_open() {
    let fixture = Fixture::new(FIX);
    for since in ["1", "2", "3"] {
        fixture.one(Firing, since);
        assert_eq!(fixture.proposals()[0].status, Firing, "{since}");
        fixture.one(Resolved, since);
        assert_eq!(fixture.proposals()[0].status, Resolved, "{since}");
    }
    let proposals = fixture.proposals();
    assert_eq!((fixture.words(), proposals.len()), (vec!["proposed", "shared", "shared"], 1));
    assert!(fixture.done().iter().all(|done| done.run() == Some(proposals[0].run)));
    // What is dismissed is joined no more.
    assert!(proposals::dismiss(&fixture.runs, proposals[0].run, "ana", Timestamp::now()).unwrap());
    fixture.one(Firing, "4");
    assert_eq!((fixture.words()[3], fixture.proposals().len()), ("proposed", 2));
    // Nor is what has come to another run that has ended, or that nobody knows any more.
    let gone = RunId::new(uuid::Uuid::now_v7());
    assert!(
        proposals::started(&fixture.runs, fixture.proposals()[1].run, "ana", Timestamp::now(), Some(gone)).unwrap()
    );
    fixture.one(Resolved, "4");
    fixture.one(Firing, "5");
    assert_eq!((fixture.words()[4], fixture.proposals().len()), ("proposed", 3));
}

#[test]
fn what_joins_again_is_its_group_until_that_is_over() {
    let fixture = Fixture::new(FIX);
    fixture.one(Firing, "1");
    fixture.one(Resolved, "1");
    fixture.one(Firing, "2");
    let run = fixture.proposals()[0].run;
    assert!(proposals::dismiss(&fixture.runs, run, "ana", Timestamp::now()).unwrap());
    // The group still fires: another one of it begins nothing, though what it came to is settled.
    fixture.hear(&of(&[alert(Firing, "f", "2"), alert(Firing, "h", "3")]));
    assert_eq!((fixture.words(), fixture.proposals().len()), (vec!["proposed", "shared", "shared"], 1));
    assert_eq!(fixture.done()[2], Done::Shared { run, again: 0 });
}

#[test]
fn of_what_joined_another_alert_of_its_group_the_end_is_not_the_end() {
    let fixture = Fixture::new(FIX);
    fixture.hear(&of(&[alert(Firing, "f", "1"), alert(Firing, "h", "1")]));
    fixture.hear(&of(&[alert(Firing, "f", "1"), alert(Resolved, "h", "1")]));
    assert_eq!(fixture.proposals()[0].status, Firing, "f still fires");
    fixture.hear(&of(&[alert(Resolved, "f", "1")]));
    assert_eq!(fixture.proposals()[0].status, Resolved);
}

#[test]
fn what_comes_to_other_inputs_is_no_part_of_what_is_open() {
    let fixture = Fixture::new(FIX);
    fixture.one(Firing, "1");
    fixture.one(Resolved, "1");
    let mut other = alert(Firing, "f", "2");
    other.labels.insert("service".into(), "frontend".into());
    fixture.hear(&of(&[other]));
    assert_eq!((fixture.words(), fixture.proposals().len()), (vec!["proposed", "proposed"], 2));
}

#[test]
fn without_groups_an_alert_is_one_by_itself() {
    let fixture = Fixture::new(FIX);
    let alone = |status, name: &str, since: &str| Alert { group: String::new(), ..alert(status, name, since) };
    for (status, since) in [(Firing, "1"), (Resolved, "1"), (Firing, "2"), (Firing, "3")] {
        fixture.hear(&of(&[alone(status, "f", since)]));
    }
    fixture.hear(&of(&[alone(Firing, "h", "3")]));
    assert_eq!(fixture.words(), ["proposed", "shared", "shared", "proposed"]);
    let first = fixture.proposals()[0].run;
    assert!(proposals::dismiss(&fixture.runs, first, "ana", Timestamp::now()).unwrap());
    fixture.hear(&of(&[alone(Firing, "f", "4")]));
    assert_eq!(fixture.words()[4], "proposed", "nobody has ever said that it was over");
}

#[test]
fn a_run_that_waits_is_joined_and_told_a_bounded_number_of_times() {
    let fixture = Fixture::new(ASK);
    let (times, told) = (AGAIN_TOLD_MAX as usize + 10, 1 + 2 * AGAIN_TOLD_MAX as usize);
    for since in 0..times {
        fixture.one(Firing, &since.to_string());
        let run = fixture.runs.list(&RunFilter::default()).unwrap()[0].run;
        fixture.notes(run, told.min(2 * since));
        fixture.one(Resolved, &since.to_string());
        fixture.notes(run, told.min(2 * since + 1));
    }
    let rows = fixture.runs.list(&RunFilter::default()).unwrap();
    assert_eq!((rows.len(), fixture.done().len()), (1, times));
    assert!(fixture.done().iter().all(|done| done.run() == Some(rows[0].run)));
    let notes = fixture.notes(rows[0].run, told);
    assert_eq!(
        notes[..3],
        ["is over", "fires again", "is over"].map(|what| format!("alertmanager says that alert Down {what}"))
    );
    assert_eq!(notes.len(), told, "{notes:?}");
    assert!(notes[told - 1].ends_with("is over, 20 times by now; more of that is not noted"), "{notes:?}");
}

/// As senders have it that say neither when something began nor what it belongs to.
fn bare(status: State) -> Told {
    of(&[Alert { group: String::new(), ..alert(status, "f", "") }])
}

#[test]
fn what_fires_after_its_end_begins_anew_where_no_beginning_is_told() {
    let fixture = Fixture::new(FIX);
    let before = Timestamp::now();
    assert_eq!(fixture.hear(&bare(Firing)), "proposed 1");
    assert_eq!(fixture.hear(&bare(Firing)), "known 1");
    fixture.hear(&bare(Resolved));
    // The first message, worked through once more after a kill.
    assert_eq!(fixture.hear_late(&bare(Firing), before), "known 1");
    assert_eq!(fixture.proposals()[0].status, Resolved);
    let first = fixture.proposals()[0].run;
    assert!(proposals::dismiss(&fixture.runs, first, "ana", Timestamp::now()).unwrap());
    assert_eq!(fixture.hear(&bare(Firing)), "proposed 1");
    let second = fixture.proposals()[1].run;
    assert_eq!(fixture.done(), [Done::Proposed { run: second }]);
    assert_eq!(fixture.hear(&bare(Firing)), "known 1");
    // While that one is open, the third one is the same.
    fixture.hear(&bare(Resolved));
    assert_eq!(fixture.hear(&bare(Firing)), "shared 1");
    assert_eq!((fixture.done(), fixture.proposals().len()), (vec![Done::Shared { run: second, again: 1 }], 2));
    assert_eq!(fixture.proposals()[1].status, Firing);
}

#[test]
fn an_end_that_was_heard_of_first_is_no_beginnings_end_where_none_is_told() {
    let fixture = Fixture::new(FIX);
    let before = Timestamp::now();
    fixture.hear(&bare(Resolved));
    assert_eq!(fixture.hear_late(&bare(Firing), before), "known 1");
    assert_eq!(fixture.hear(&bare(Firing)), "proposed 1");
}

#[test]
fn what_was_begun_when_a_server_was_killed_is_settled_before_the_next_one_begins() {
    let fixture = Fixture::new(FIX);
    let told = bare(Firing);
    let alert = &told.alerts[0];
    let run = RunId::new(uuid::Uuid::now_v7());
    let over_at = Some(Timestamp::now());
    let begun = Known { status: Resolved, over_at, ..Known::new(alert, Timestamp::now(), Done::Beginning { run }) };
    let alerts = Alerts::of(&fixture.runs);
    assert!(alerts.note(&key(alert), None, &begun).unwrap());
    assert_eq!(fixture.hear(&bare(Firing)), "proposed 1");
    let proposed = fixture.proposals()[0].run;
    assert_ne!(proposed, run, "that one is over");
    // Whoever comes late with the first one finds the second.
    assert_eq!(fixture.hear_late(&bare(Firing), begun.first), "known 1");
    assert_eq!(fixture.proposals().len(), 1);
}

#[test]
fn what_is_reopened_begins_again_once_each_time_whether_or_not_its_end_was_heard_of() {
    let fixture = Fixture::new(FIX);
    let incident = |status, again: &str| {
        let (group, source) = (String::new(), "pagerduty".into());
        of(&[Alert { source, group, again: again.into(), ..alert(status, "P1", "2026-11-21T08:00:00Z") }])
    };
    let dismiss = |at: usize| {
        let run = fixture.proposals()[at].run;
        assert!(proposals::dismiss(&fixture.runs, run, "ana", Timestamp::now()).unwrap());
    };
    let (first, second) = ("2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z");
    assert_eq!(fixture.hear(&incident(Firing, "")), "proposed 1");
    fixture.hear(&incident(Resolved, ""));
    assert_eq!(fixture.hear(&incident(Firing, "")), "known 1", "what comes late says nothing new");
    dismiss(0);
    assert_eq!(fixture.hear(&incident(Firing, first)), "proposed 1");
    for again in [first, "", "2026-11-21T08:30:00Z"] {
        assert_eq!(fixture.hear(&incident(Firing, again)), "known 1", "{again}");
    }
    assert!(fixture.proposals()[1].reason.ends_with("since 2026-11-21T08:00:00Z, again since 2026-11-21T09:00:00Z"));
    // Nobody has said that it was over.
    dismiss(1);
    assert_eq!(fixture.hear(&incident(Firing, second)), "proposed 1");
    fixture.hear(&incident(Resolved, ""));
    assert_eq!(fixture.hear(&incident(Firing, second)), "known 1");
    assert_eq!(fixture.proposals()[2].status, Resolved, "its end is that of what began last");
    assert_eq!(fixture.hear(&incident(Firing, "2026-11-21T11:00:00Z")), "shared 1");
    assert_eq!(fixture.proposals().len(), 3);
}

#[test]
fn a_thousand_alerts_of_a_group_are_one_proposal_and_each_is_known() {
    let fixture = Fixture::new(FIX);
    let all: Vec<Alert> = (0..ALERTS_MAX).map(|n| alert(Firing, &n.to_string(), "1")).collect();
    assert_eq!(fixture.hear(&of(&all)), "proposed 1, shared 999");
    assert_eq!((fixture.proposals().len(), fixture.done().len()), (1, ALERTS_MAX));
    let again = Told { left_out: 7, ..of(&all) };
    assert_eq!(fixture.hear(&again), "known 1000, 7 alerts left out");
}

#[test]
fn labels_that_are_enormous_or_missing_break_nothing() {
    let fixture = Fixture::new(FIX);
    let with = |name: &str, labels: &[(&str, String)]| Alert {
        labels: labels.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect(),
        ..alert(Firing, name, "1")
    };
    let down = ("alertname", "Down".to_owned());
    let endless = || "\u{202e}x${{ 1 }}".repeat(80_000);
    assert_eq!(fixture.hear(&of(&[with("a", &[])])), "unmatched 1");
    assert_eq!(fixture.hear(&of(&[with("b", &[("alertname", endless())])])), "unmatched 1");
    assert_eq!(fixture.hear(&of(&[with("c", std::slice::from_ref(&down))])), "refused 1");
    let endless_beside = with("d", &[down.clone(), ("service", "backend".into()), ("other", endless())]);
    assert_eq!(fixture.hear(&of(&[endless_beside])), "proposed 1");
    assert_eq!(fixture.hear(&of(&[with("e", &[down, ("service", endless())])])), "refused 1");
    for known in known(&fixture.runs).unwrap() {
        let kept = serde_json::to_string(&known).unwrap().len();
        assert!(kept < 8 * 1024, "{}: {kept}", known.name);
    }
    let proposal = serde_json::to_string(&fixture.proposals()).unwrap();
    assert!(fixture.proposals().len() == 1 && proposal.len() < 4 * 1024, "{}", proposal.len());
}
