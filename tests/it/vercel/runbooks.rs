//! `rollback-frontend`, and `env-drift` where a frontend is looked at as well.

use rerail::engine::facts::Facts;
use rerail::engine::outcome::RunOutcome;
use rerail::runbook::model::Level;
use rerail::world::vercel::Vercel;
use serde_json::json;

use super::kit::{self, BACKEND, BAD, GOOD, PREVIEW, Shop, effects, quick, secrets, world};
use crate::binary::kit as binary;
use crate::incidents::sweep::Needles;
use crate::railway::kit as railway;
use crate::railway::others::world as backend;
use crate::runbooks::{Place, ended, levels, outcome};
use crate::world::railway::Railway;

fn roll_back(shop: &Shop, more: &[(&str, &str)]) -> Facts {
    let keys = tempfile::tempdir().unwrap();
    let place = Place::new().target(&kit::target(shop, keys.path()));
    let mut inputs = quick(shop);
    for (name, value) in more {
        inputs.retain(|(other, _)| other != name);
        inputs.push(((*name).to_owned(), (*value).to_owned()));
    }
    let inputs: Vec<(&str, &str)> = inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let facts = ended(place.run("rollback-frontend", &inputs));
    Needles::new(&secrets()).assert_none_below(place.root());
    facts
}

fn say(facts: &Facts) -> String {
    facts.findings.iter().map(|finding| format!("{}\n", finding.say)).collect()
}

#[test]
fn users_are_led_back_and_it_is_said_what_that_means() {
    let shop = world(|vercel| {
        // Rotated after the good build.
        vercel.projects[0].variables[0].updated += 3_600_000;
    });
    let facts = roll_back(&shop, &[]);
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_eq!(levels(&facts), [Level::Ok, Level::Warning, Level::Warning], "{}", say(&facts));
    let said = say(&facts);
    for part in ["shop.example.com leads to", GOOD, BAD, "get no domain", "the last change of NEXTAUTH_SECRET:"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(effects(&shop), json!({ "rollback": 1 }));
    assert_eq!(shop.state().app("GET", "/api/health").status, 200);
    let asked = &shop.state().asked;
    let why = asked.iter().find(|asked| asked.is_write()).unwrap();
    assert!(why.path.contains("description=rollback-frontend"), "{}", why.path);
}

#[test]
fn a_preview_is_not_promoted_unless_somebody_says_so_and_then_it_is_built() {
    let shop = world(|_| ());
    let facts = roll_back(&shop, &[("to", PREVIEW)]);
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    assert!(kit::error(&facts).contains("is a preview") && effects(&shop) == json!({}), "{}", kit::error(&facts));

    for pinned in [false, true] {
        let shop = world(|vercel| {
            if pinned {
                vercel.projects[0].pinned = true;
                let last = rerail::world::vercel::Move {
                    is_rollback: true,
                    from: GOOD.to_owned(),
                    to: BAD.to_owned(),
                    status: "succeeded",
                    at: 1,
                    ahead: [].into(),
                };
                vercel.projects[0].last = Some(last);
            }
        });
        let facts = roll_back(&shop, &[("to", PREVIEW), ("preview", "true")]);
        assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
        let state = shop.state();
        let serving = state.serving().unwrap();
        assert!(serving.is_production && serving.id != PREVIEW && serving.with.contains_key("NEXT_PUBLIC_API_URL"));
        let promoted = usize::from(pinned);
        assert_eq!(state.effects.get("promote").copied().unwrap_or(0), promoted, "{:?}", state.effects);
        assert_eq!(state.effects["deploy"], 1);
    }
}

#[test]
fn a_page_that_stays_broken_is_no_success() {
    let shop = world(|vercel| vercel.projects[0].deployments[2].works = false);
    let facts = roll_back(&shop, &[("settled_within", "50ms")]);
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    assert!(kit::error(&facts).contains("not met within 50ms"), "{}", kit::error(&facts));
    assert_eq!(effects(&shop), json!({ "rollback": 1 }));
}

/// The page is back, and calls a backend that isn't there any more.
#[test]
fn a_build_that_knows_an_old_address_is_told() {
    let shop = world(|vercel| vercel.backend = "https://moved.example.com/api".to_owned());
    let facts = roll_back(&shop, &[]);
    assert_eq!(levels(&facts), [Level::Ok, Level::Critical, Level::Warning], "{}", say(&facts));
    assert!(say(&facts).contains("/app/api/health answers 502"), "{}", say(&facts));
    assert_eq!(facts.findings[1].suggest.as_ref().unwrap().runbook, "env-drift");
    // Somebody whose frontend passes nothing on doesn't hear of it.
    let shop = world(|vercel| vercel.backend = "https://moved.example.com/api".to_owned());
    assert_eq!(levels(&roll_back(&shop, &[("health_path", "")])), [Level::Ok, Level::Warning]);
}

/// The deployment that serves, and whether new ones are held back.
fn served_by(shop: &Shop) -> (String, bool) {
    let state = shop.state();
    (state.serving().unwrap().id.clone(), state.projects[0].pinned)
}

#[test]
fn it_is_taken_back_by_going_forward_and_nothing_is_held_back_then() {
    let shop = world(|_| ());
    let place = binary::Place::new();
    let text = kit::target(&shop, &place.beside("home"));
    let place = place.file("targets/here.yaml", text);
    let mut args: Vec<String> = ["run", "rollback-frontend", "--target", "here", "--yes"].map(str::to_owned).to_vec();
    for (name, value) in quick(&shop) {
        args.extend(["-i".to_owned(), format!("{name}={value}")]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    place.ask(&args).exits(0).says(&["get no domain"]);
    assert_eq!(served_by(&shop), (GOOD.to_owned(), true));
    place.ask(&["undo", "@last", "--yes"]).exits(0);
    assert_eq!(served_by(&shop), (BAD.to_owned(), false));
    assert_eq!(effects(&shop), json!({ "rollback": 1, "promote": 1 }));
}

/// A backend that is well, and the shop beside it.
fn drift(shop: &Shop, more: &[(&str, &str)]) -> Facts {
    let railway: Railway = backend(|_| ());
    let place = Place::new();
    let keys = tempfile::tempdir().unwrap();
    std::fs::write(keys.path().join("vercel"), kit::TOKEN).unwrap();
    let secret = format!(
        "secrets:\n  VERCEL_TOKEN: {{ from: file, path: {}/vercel, hosts: [127.0.0.1] }}\n",
        keys.path().display()
    );
    let text = railway::target(&railway, keys.path()).replace("secrets:\n", &secret);
    let front = format!(
        "  vercel:\n    front: {{ project: shop, team: team_shop, token: \"${{{{ secrets.VERCEL_TOKEN }}}}\", api: \"{}\" }}\n",
        shop.url()
    );
    let place = place.target(&format!("{text}{front}"));
    let usual = [
        ("place", "main"),
        ("frontend_place", "front"),
        ("frontend_url", "https://shop.example.com"),
        ("base_url", "https://api.example.com"),
    ];
    let inputs: Vec<(&str, &str)> = usual
        .into_iter()
        .filter(|(name, _)| !more.iter().any(|(other, _)| other == name))
        .chain(more.iter().copied())
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let facts = ended(place.run("env-drift", &inputs));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    Needles::new(&[secrets(), railway::secrets()].concat()).assert_none_below(place.root());
    assert_eq!((effects(shop), railway.all_effects().len()), (json!({}), 0), "it looks and changes nothing");
    facts
}

/// A shop that fits to the backend, and differs.
fn fitting(change: impl FnOnce(&mut Vercel)) -> Shop {
    world(|vercel| {
        let auth = vercel.projects[0].variables[0].value.clone();
        vercel.projects[0].variables[1].value = auth;
        vercel.projects[0].variables[1].kind = "encrypted".to_owned();
        change(vercel);
    })
}

#[test]
fn a_frontend_that_fits_is_told_as_one() {
    let facts = drift(&fitting(|_| ()), &[]);
    assert_eq!(levels(&facts), [Level::Ok], "{}", say(&facts));
    assert!(say(&facts).contains("the frontend fits to it"));
    // Not asked for, it is not looked at.
    let shop = fitting(|_| ());
    let facts = drift(&shop, &[("frontend_place", "")]);
    assert!(levels(&facts) == [Level::Ok] && shop.calls().names().is_empty(), "{}", say(&facts));
}

#[test]
fn each_way_to_disagree_names_the_side_that_is_wrong() {
    type Change = fn(&mut Vercel);
    let cases: [(Change, &[Level], &[&str]); 7] = [
        (
            |vercel| vercel.projects[0].variables[1].value = "hunter2-auth-example-of-32-letters-too".to_owned(),
            &[Level::Critical],
            &[
                "AUTH_SECRET of the frontend is not the NEXTAUTH_SECRET of backend",
                "The frontend is wrong",
                "build anew",
            ],
        ),
        (
            |vercel| {
                for number in 0..2 {
                    "hunter2-auth-example-of-32-letters-too"
                        .clone_into(&mut vercel.projects[0].variables[number].value);
                }
            },
            &[Level::Critical],
            &["NEXTAUTH_SECRET, AUTH_SECRET of the frontend are not", "agree with each other"],
        ),
        (
            |vercel| "http://localhost:3000".clone_into(&mut vercel.projects[0].variables[2].value),
            &[Level::Critical],
            &["wrong about NEXTAUTH_URL:"],
        ),
        (
            |vercel| "http://localhost:8000/api".clone_into(&mut vercel.projects[0].variables[3].value),
            &[Level::Critical],
            &["wrong about NEXT_PUBLIC_API_URL", "baked into"],
        ),
        (
            |vercel| {
                vercel.projects[0].variables.remove(1);
            },
            &[Level::Critical],
            &["lacks AUTH_SECRET in production"],
        ),
        (
            |vercel| "sensitive".clone_into(&mut vercel.projects[0].variables[1].kind),
            &[Level::Warning],
            &["nobody can read it back: AUTH_SECRET"],
        ),
        (
            |vercel| vercel.projects[0].variables[3].updated += 3_600_000,
            &[Level::Warning],
            &["until the next one (vercel.deploy): NEXT_PUBLIC_API_URL"],
        ),
    ];
    for (change, expected, says) in cases {
        let facts = drift(&fitting(change), &[]);
        assert_eq!(levels(&facts), expected, "{}", say(&facts));
        for part in says {
            assert!(say(&facts).contains(part), "{part}: {}", say(&facts));
        }
    }
}

#[test]
fn a_slash_at_the_end_is_no_difference_and_what_nobody_says_is_not_compared() {
    let slash = |vercel: &mut Vercel| vercel.projects[0].variables[3].value = format!("{BACKEND}/");
    assert_eq!(levels(&drift(&fitting(slash), &[])), [Level::Ok]);
    let facts = drift(&fitting(|_| ()), &[("base_url", ""), ("frontend_url", "")]);
    assert_eq!(levels(&facts), [Level::Info, Level::Ok], "{}", say(&facts));
    assert!(
        say(&facts).contains("NEXTAUTH_URL, NEXT_PUBLIC_API_URL; give frontend_url and base_url"),
        "{}",
        say(&facts)
    );
}
