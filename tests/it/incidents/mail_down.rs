//! Mail doesn't go out: each cause is told from the others, nothing is sent twice, and nothing before somebody has said yes.

use std::collections::BTreeMap;
use std::path::Path;

use rerail::engine::facts::Facts;
use rerail::engine::outcome::RunOutcome;
use rerail::runs::{Left, Why};
use rerail::world::app::Forgot;
use rerail::world::resend::Fate;
use serde_json::json;

use super::sweep::{Incident, Needles, all_the_same, every_call_broken, killed_everywhere};
use crate::runbooks::{Place, ended, outcome, output};
use crate::world::mail::{ACCOUNT, BACKEND, Mail, OPERATOR, TO, World, secrets};
use crate::world::served::Calls;

/// Boundaries between two that are tried.
const STRIDE: u64 = 7;

/// Something that is wrong at the provider or in the backend.
type Change = fn(&mut Mail);

/// A message goes out and arrives; with an account, a new password is asked for as well.
pub(super) struct MailDown {
    pub(super) account: &'static str,
}

fn inputs(world: &World, account: &str) -> Vec<(String, String)> {
    [
        ("base_url", world.app().as_str()),
        ("mail_to", TO),
        ("mail_account", account),
        ("frontend_url", "https://shop.example.com/"),
        ("agreed", "true"),
        ("place", "main"),
        ("every", "1ms"),
        ("within", "20s"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

impl Incident for MailDown {
    type World = World;

    fn runbook(&self) -> &'static str {
        "mail-down"
    }

    fn world(&self) -> World {
        World::well()
    }

    fn calls<'w>(&self, world: &'w World) -> &'w Calls {
        world.calls()
    }

    fn target(&self, world: &World, keys: &Path) -> String {
        world.target(keys)
    }

    fn inputs(&self, world: &World) -> Vec<(String, String)> {
        inputs(world, self.account)
    }

    fn is_write(&self, call: &str) -> bool {
        call == "POST /emails"
    }

    fn is_look(&self, call: &str) -> bool {
        call == "GET /emails/{id}"
    }

    fn effects(&self, world: &World) -> BTreeMap<String, usize> {
        world.sent()
    }

    fn is_well(&self, world: &World) -> bool {
        world.mail().resend.emails.iter().any(|email| email.to == [TO] && email.last_event == "delivered")
    }

    fn settle(&self, world: &World) {
        world.settle();
    }

    fn secrets(&self) -> Vec<String> {
        secrets()
    }

    fn judge(&self, world: &World, left: &Left, clean: &BTreeMap<String, usize>) -> Result<(), String> {
        // A no is a no, also one that is cut off: then it is said that nobody could be asked, and nothing is sent.
        let cause = left.facts.finished.as_ref().and_then(|end| end.outputs.get("cause")).map(|cause| cause.to_json());
        if world.sent().is_empty() && cause == Some(json!("unreachable")) {
            return Ok(());
        }
        all_the_same(self, world, left, clean)
    }
}

#[test]
fn whatever_breaks_at_whichever_call_each_message_is_sent_once() {
    every_call_broken(&MailDown { account: ACCOUNT });
}

#[test]
fn killed_at_any_boundary_it_goes_on_and_sends_its_message_once() {
    killed_everywhere(&MailDown { account: "" }, STRIDE);
}

/// Runs it in a world, with inputs that differ.
fn left(world: &World, more: &[(&str, &str)]) -> Left {
    let mut all = inputs(world, ACCOUNT);
    for (name, value) in more {
        all.retain(|(other, _)| other != name);
        all.push(((*name).to_owned(), (*value).to_owned()));
    }
    let keys = tempfile::tempdir().unwrap();
    let place = Place::new().target(&world.target(keys.path()));
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let left = place.run("mail-down", &all);
    Needles::new(&secrets()).assert_none_below(place.root());
    left
}

/// It ends well, with this cause; what its findings say.
#[track_caller]
fn caused(world: &World, cause: &str, more: &[(&str, &str)]) -> Vec<String> {
    let facts = ended(left(world, more));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_eq!(output(&facts, "cause").to_json(), json!(cause), "{:?}", facts.findings);
    facts.findings.iter().map(|finding| finding.say.clone()).collect()
}

#[test]
fn a_world_that_is_well_is_found_so_from_the_key_to_the_mailbox() {
    let world = World::well();
    let said = caused(&world, "none", &[]);
    assert_eq!(said, ["Mail goes out: the test message has arrived, and so does what the backend sends."]);
    assert_eq!(world.sent(), BTreeMap::from([(TO.to_owned(), 1), (ACCOUNT.to_owned(), 1)]));
    let mail = world.mail();
    let test = mail.heard.iter().find(|request| request.method == "POST").unwrap();
    let key = test.header("idempotency-key").unwrap();
    assert!((1..=256).contains(&key.len()), "{key}");
    assert_eq!(test.header("authorization"), Some(format!("Bearer {BACKEND}").as_str()), "with the backend's own key");
}

#[test]
fn each_cause_is_told_from_the_others_before_anything_is_sent() {
    let break_it: [(&str, Change, &str); 4] = [
        ("key_refused", |mail| mail.resend.keys.retain(|key| key.token != BACKEND), "API key is invalid"),
        ("domain_unverified", |mail| mail.resend.domains[0].status = "failed".into(), "shop.example.com is failed"),
        ("domain_unknown", |mail| mail.resend.domains[0].name = "other.example.com".into(), "knows other.example.com"),
        ("unreachable", |mail| mail.resend.limited = Some("daily_quota_exceeded"), "can't be asked"),
    ];
    std::thread::scope(|scope| {
        for (cause, change, says) in break_it {
            scope.spawn(move || {
                let world = World::with(change);
                let said = caused(&world, cause, &[]);
                assert!(said.len() == 1 && said[0].contains(says), "{cause}: {said:?}");
                assert!(world.sent().is_empty(), "{cause}");
            });
        }
    });
}

#[test]
fn what_the_backend_has_is_read_from_its_variables() {
    for (name, value, cause) in [
        ("RESEND_API_KEY", None, "no_key"),
        ("FROM_EMAIL", None, "no_sender"),
        ("FROM_EMAIL", Some("Shop no-reply@shop.example.com"), "sender_malformed"),
        ("FROM_EMAIL", Some("onboarding@resend.dev"), "test_sender"),
        ("FROM_EMAIL", Some("no-reply@mail.shop.example.com"), "domain_unknown"),
        ("FRONTEND_URL", Some("http://localhost:3000"), "links"),
        ("FRONTEND_URL", Some("https://staging.example.com"), "links"),
    ] {
        let world = World::well();
        {
            let mut state = world.railway.state();
            let variables = &mut state.service("backend").variables;
            match value {
                Some(value) => variables.insert(name.to_owned(), value.to_owned()),
                None => variables.remove(name),
            };
        }
        let said = caused(&world, cause, &[]);
        assert_eq!(said.len(), 1, "{name} {value:?}: {said:?}");
    }
}

#[test]
fn what_only_shows_when_something_is_sent_is_told_too() {
    let break_it: [(&str, Change); 5] = [
        ("lost", |mail| mail.resend.fates = BTreeMap::from([(TO.to_owned(), Fate::Bounces)])),
        ("lost", |mail| mail.resend.fates = BTreeMap::from([(TO.to_owned(), Fate::Suppressed)])),
        ("forgot_fails", |mail| mail.backend.forgot = Forgot::Broken),
        ("forgot_limited", |mail| mail.backend.forgot = Forgot::Limited),
        ("backend_down", |mail| mail.backend.ill = true),
    ];
    for (cause, change) in break_it {
        let world = World::with(change);
        let said = caused(&world, cause, &[]);
        assert_eq!(said.len(), 1, "{cause}: {said:?}");
        assert_eq!(world.sent().get(TO), Some(&1), "{cause}");
    }
}

#[test]
fn a_backend_that_says_yes_and_sends_nothing_is_found_out() {
    let silent = World::with(|mail| mail.backend.forgot = Forgot::Silent);
    let other_key = World::with(|mail| mail.backend.key = "re_hunter2_old_key_example".into());
    for world in [silent, other_key] {
        let said = caused(&world, "backend_silent", &[("within", "1s")]);
        assert_eq!(said.len(), 1, "{said:?}");
    }
}

#[test]
fn a_message_that_is_on_its_way_for_too_long_is_no_cause_and_no_success() {
    let world = World::with(|mail| mail.resend.fates = BTreeMap::from([(TO.to_owned(), Fate::Stuck)]));
    let said = caused(&world, "slow", &[("within", "2s")]);
    assert!(said.len() == 1 && said[0].contains("what became of it isn't known after 2s"), "{said:?}");
}

#[test]
fn a_backend_that_tells_who_has_an_account_is_found_out() {
    let world = World::with(|mail| mail.backend.forgot = Forgot::Telling);
    let facts = ended(left(&world, &[]));
    assert_eq!(output(&facts, "neutral").to_json(), json!(false));
    assert!(facts.findings[0].say.contains("it tells strangers which accounts there are"), "{:?}", facts.findings);
}

#[test]
fn nothing_is_sent_before_somebody_has_said_yes() {
    let world = World::well();
    let left = left(&world, &[("agreed", "false")]);
    assert_eq!(left.why, Why::Waiting);
    assert!(world.sent().is_empty());
    let asked: &Facts = &left.facts;
    assert!(asked.finished.is_none());
}

#[test]
fn without_an_account_at_railway_or_a_key_that_may_look_it_says_what_it_could_not_see() {
    let world = World::with(|mail| {
        mail.resend.keys.iter_mut().find(|key| key.token == OPERATOR).unwrap().access =
            rerail::world::resend::Access::Sending;
    });
    let said = caused(&world, "none", &[]);
    assert!(said[0].contains("may not ask what became of it"), "{said:?}");
}
