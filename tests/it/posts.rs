//! The actions that tell people, and those that ask GitHub, against platforms that keep what they were told: whatever breaks,
//! it is said once.

use std::path::Path;

use rerail::engine::outcome::RunOutcome;
use rerail::runs::{Left, Why};
use rerail::world::Platform;
use serde_json::{Value as Json, json};

use crate::contracts::assert_described;
use crate::incidents::sweep::Needles;
use crate::railway::kit::{error, given};
use crate::runbooks::{Place, ended, outcome};
use crate::world::desk::{self, Desk};
use crate::world::faults::Fault;
use crate::world::github::{self, GitHub};
use crate::world::served::{Calls, Served};

fn served<P: Platform>(platform: P) -> Served<P> {
    Served::with(platform, &Calls::default())
}

/// A target with a place of each provider at this address.
fn target(url: &str, keys: &Path) -> String {
    let secret = |name: &str, text: &str| {
        std::fs::write(keys.join(name), text).unwrap();
        format!("  {name}: {{ from: file, path: {}/{name}, hosts: [127.0.0.1] }}\n", keys.display())
    };
    let secrets = [
        secret("TOKEN", desk::TOKEN),
        secret("GITHUB", github::TOKEN),
        secret("WEBHOOK", &format!("{url}/discord/webhook")),
    ];
    let token = "token: '${{ secrets.TOKEN }}'";
    let places = [
        format!("slack: {{ main: {{ {token}, api: '{url}/slack' }} }}"),
        format!("mattermost: {{ main: {{ {token}, api: '{url}' }} }}"),
        "discord: { main: { webhook: '${{ secrets.WEBHOOK }}' } }".to_owned(),
        format!("pagerduty: {{ main: {{ routing_key: '${{{{ secrets.TOKEN }}}}', api: '{url}' }} }}"),
        format!("statuspage: {{ main: {{ page: abc123, {token}, api: '{url}' }} }}"),
        format!("sentry: {{ main: {{ organization: example, project: backend, {token}, api: '{url}' }} }}"),
        format!("github: {{ main: {{ repo: example/shop, token: '${{{{ secrets.GITHUB }}}}', api: '{url}' }} }}"),
    ];
    format!("version: 1\ntitle: Here\nsecrets:\n{}providers:\n  {}\n", secrets.concat(), places.join("\n  "))
}

/// Runs actions one after the other, as `act_0`, `act_1` …
fn run(url: &str, acts: &[(&str, &str)]) -> Left {
    let steps = acts
        .iter()
        .enumerate()
        .map(|(at, (action, with))| format!("  - id: act_{at}\n    uses: {action}\n    with: {{ {with} }}\n"));
    let text = format!(
        "version: 1\ntitle: Some actions\nowner: tests\nreviewed: 2026-11-01\nsteps:\n{}",
        steps.collect::<String>()
    );
    let keys = tempfile::tempdir().unwrap();
    let place = Place::new().target(&target(url, keys.path()));
    std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
    std::fs::write(place.project().join("runbooks/some.yaml"), text).unwrap();
    let left = place.run("some", &[]);
    let secrets = [desk::TOKEN, github::TOKEN, "/discord/webhook"].map(str::to_owned);
    Needles::new(&secrets).assert_none_below(place.root());
    left
}

/// What the last of them gave.
#[track_caller]
fn well(url: &str, acts: &[(&str, &str)]) -> Json {
    let facts = ended(run(url, acts));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{acts:?}: {:?}", facts.finished);
    given(&facts, &format!("act_{}", acts.len() - 1))
}

#[track_caller]
fn ill(url: &str, acts: &[(&str, &str)]) -> String {
    let facts = ended(run(url, acts));
    assert_eq!(outcome(&facts), RunOutcome::Failed, "{acts:?}: {:?}", facts.finished);
    error(&facts)
}

const SLACK: (&str, &str) = ("slack.post", "channel: C0123456789, text: It is down.");
const MATTERMOST: (&str, &str) = ("mattermost.post", "channel: abc, text: It is down.");
const DISCORD: (&str, &str) = ("discord.post", "text: It is down.");
const PAGE: (&str, &str) = ("pagerduty.event", "summary: It is down.");
const INCIDENT: (&str, &str) = ("statuspage.incident", "name: Backend down, status: investigating, text: We look.");

#[test]
fn one_message_is_posted_and_changed() {
    for (post, change) in [
        (SLACK, ("slack.post", "channel: C0123456789, text: It is well., ts: '${{ steps.act_0.outputs.ts }}'")),
        (MATTERMOST, ("mattermost.post", "channel: abc, text: It is well., id: '${{ steps.act_0.outputs.id }}'")),
        (DISCORD, ("discord.post", "text: It is well., id: '${{ steps.act_0.outputs.id }}'")),
    ] {
        let desk = served(Desk::default());
        well(desk.url(), &[post, change]);
        let state = desk.state();
        let texts: Vec<&str> = state.posts.iter().map(|post| post.text.as_str()).collect();
        assert_eq!(texts, ["It is well."], "{post:?}");
    }
}

#[test]
fn whatever_becomes_of_an_answer_people_are_told_once() {
    let told = |desk: &Desk| (desk.posts.len(), desk.alerts.len(), desk.incidents.len());
    for (act, once, call) in
        [(SLACK, (1, 0, 0), 0), (MATTERMOST, (1, 0, 0), 0), (PAGE, (0, 1, 0), 0), (INCIDENT, (0, 0, 1), 1)]
    {
        for fault in Fault::ALL {
            let desk = served(Desk::default());
            desk.calls().breaks(call, fault);
            well(desk.url(), &[act]);
            assert_eq!(told(&desk.state()), once, "{act:?} {fault:?}");
        }
    }
}

#[test]
fn where_nobody_can_look_a_person_is_asked() {
    let blind = Desk { blind: true, ..Desk::default() };
    for (desk, act) in [(blind, SLACK), (Desk::default(), DISCORD)] {
        let desk = served(desk);
        desk.calls().breaks(0, Fault::LostAnswer);
        assert_eq!(run(desk.url(), &[act]).why, Why::InDoubt, "{act:?}");
        assert_eq!(desk.state().posts.len(), 1, "{act:?}");
    }
}

#[test]
fn an_incident_is_opened_updated_and_resolved_under_its_name() {
    let desk = served(Desk::default());
    let say = |status: &str, text: &str| format!("name: Backend down, status: {status}, text: {text}");
    let (found, over) = (say("identified", "We know."), say("resolved", "It is over."));
    let acts = [INCIDENT, ("statuspage.incident", found.as_str()), ("statuspage.incident", over.as_str())];
    let given = well(desk.url(), &acts);
    assert_eq!(given["created"], json!(false));
    let updates: Vec<usize> = desk.state().incidents.iter().map(|incident| incident.said.len()).collect();
    assert_eq!(updates, [3], "one incident, said three times");
    assert!(ill(desk.url(), &[("statuspage.incident", over.as_str())]).contains("there is none to resolve"));

    // An update whose answer is lost is found in what was said.
    for fault in Fault::ALL {
        let desk = served(Desk::default());
        desk.calls().breaks(3, fault);
        well(desk.url(), &acts[..2]);
        assert_eq!(desk.state().incidents[0].said.len(), 2, "{fault:?}");
    }
}

#[test]
fn an_alert_is_resolved_by_its_key_and_errors_are_listed() {
    let desk = served(Desk::default());
    let over = ("pagerduty.event", "action: resolve, dedup_key: '${{ steps.act_0.outputs.dedup_key }}'");
    well(desk.url(), &[PAGE, over]);
    assert_eq!(desk.state().alerts[0].1, "resolve");
    let issues = well(desk.url(), &[("sentry.issues", "since: '2026-11-20T14:00:00Z'")]);
    assert_eq!((&issues["count"], &issues["issues"][0]["title"]), (&json!(1), &json!("KeyError")));
    let said = ill(desk.url(), &[("slack.post", "channel: C9, text: It is down.")]);
    assert!(said.contains("channel_not_found"), "{said}");
}

const DISPATCH: (&str, &str) =
    ("github.dispatch", "workflow: deploy.yaml, inputs: { environment: production }, grace: 100ms");
const WAIT: (&str, &str) = ("github.wait", "run: '${{ steps.act_0.outputs.run }}', every: 1ms");

#[test]
fn a_workflow_is_started_once_and_waited_for() {
    let github = served(GitHub::default());
    let waited = well(github.url(), &[DISPATCH, WAIT]);
    assert_eq!(waited["conclusion"], json!("success"));
    github.state().deployments =
        vec![(3, "ccc", vec!["failure"]), (2, "bbb", vec!["inactive", "success"]), (1, "aaa", vec!["success"])];
    let last = well(github.url(), &[("github.last_deploy", "")]);
    assert_eq!((&last["id"], &last["sha"]), (&json!(2), &json!("bbb")));

    // All of it is what GitHub describes.
    let heard = github.state().heard.clone();
    assert_described("github/github-actions-reduced.openapi.json", &heard);

    let failing = served(GitHub { ends: Some("failure"), ..GitHub::default() });
    let said = ill(failing.url(), &[DISPATCH, WAIT]);
    assert!(said.contains("ended as failure, expected success"), "{said}");
}

#[test]
fn whatever_becomes_of_its_answer_a_workflow_is_started_once() {
    for silent in [false, true] {
        for fault in Fault::ALL {
            let github = served(GitHub { silent, ..GitHub::default() });
            // Behind the look at what was there before.
            github.calls().breaks(1, fault);
            let given = well(github.url(), &[DISPATCH]);
            assert_eq!(github.state().effects.get("dispatch"), Some(&1), "{fault:?}, silent: {silent}");
            assert_eq!(given["run"], json!(1), "{fault:?}, silent: {silent}");
        }
    }
}
