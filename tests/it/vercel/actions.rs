//! Each action on deployments alone: what it gives, what it refuses, and that it asks for nothing that isn't described.

use rerail::world::vercel::{Project, Token, Vercel};
use serde_json::json;

use super::kit::{BAD, GOOD, PREVIEW, TOKEN, act_ill, act_well, effects, run, served, shop, world};
use crate::contracts::assert_described;

/// A shop in which nothing is kept as sensitive, of which a log could not be cleaned.
fn readable() -> Vercel {
    let mut vercel = shop();
    vercel.projects[0].variables.retain(|one| one.kind != "sensitive");
    for one in &mut vercel.projects[0].deployments {
        one.with.remove("AUTH_SECRET");
    }
    vercel
}

const QUICK: &str = "every: 1ms, place: main";

#[test]
fn every_request_is_one_that_vercel_describes() {
    let shop = served(readable());
    for (action, with) in [
        ("vercel.locate", ""),
        ("vercel.env_list", "target: production"),
        ("vercel.env_value", "name: NEXTAUTH_SECRET"),
        ("vercel.env_set", "values: { NEW: a }, type: sensitive"),
        ("vercel.env_remove", "names: [NEW]"),
        ("vercel.deployments", "candidates: true, target: production, state: READY, step: x"),
        ("vercel.deployment", &format!("deployment: {GOOD}")),
        ("vercel.serves", "domain: www.example.com"),
        ("vercel.rollback", &format!("{QUICK}, reason: it is bad & slow")),
        ("vercel.promote", &format!("deployment: {BAD}, {QUICK}")),
        ("vercel.deploy", ""),
        ("vercel.logs", &format!("deployment: {GOOD}")),
    ] {
        act_well(&shop, action, with);
    }
    let newest = shop.state().projects[0].deployments[0].id.clone();
    shop.state().projects[0].deployments[0].ahead = ["BUILDING"; 9].into();
    act_well(&shop, "vercel.cancel", &format!("deployment: {newest}"));
    assert_described("vercel/vercel-reduced.openapi.json", &shop.state().asked);
}

#[test]
fn a_project_is_found_by_its_name_and_known_by_its_id() {
    let shop = world(|_| ());
    let found = act_well(&shop, "vercel.locate", "place: main");
    assert_eq!((&found["project_id"], &found["name"]), (&json!("prj_shop1"), &json!("shop")));
    let known = act_well(&shop, "vercel.locate", "project: prj_shop1");
    assert_eq!((&known["project_id"], &known["name"]), (&json!("prj_shop1"), &json!(null)));
    assert_eq!(shop.calls().names().len(), 1);
    assert!(act_ill(&shop, "vercel.locate", "project: other").contains("404"));
    assert!(act_ill(&shop, "vercel.locate", "place: elsewhere").contains("there are main"));
}

#[test]
fn a_token_of_nobody_and_a_team_of_others_see_nothing() {
    let shop = world(|vercel| vercel.tokens.clear());
    assert!(act_ill(&shop, "vercel.serves", "").contains("403"));
    let shop = world(|vercel| vercel.team = ("team_other".to_owned(), "other".to_owned()));
    assert!(act_ill(&shop, "vercel.serves", "").contains("404"));
    assert_eq!(shop.calls().names().len(), 1, "a no is no reason to ask again");
    let shop = world(|vercel| vercel.tokens = vec![Token { text: TOKEN.to_owned(), writes: false }]);
    assert!(act_ill(&shop, "vercel.rollback", QUICK).contains("403"));
    assert_eq!(effects(&shop), json!({}));
}

#[test]
fn deployments_are_listed_over_all_pages_and_by_what_they_are() {
    for page in [1, 2, 100] {
        let shop = world(|vercel| vercel.page = page);
        let all = act_well(&shop, "vercel.deployments", "");
        assert_eq!(all["ids"], json!([PREVIEW, BAD, GOOD]), "{page}");
        let few = act_well(&shop, "vercel.deployments", "limit: 2");
        assert_eq!(few["ids"], json!([PREVIEW, BAD]), "{page}");
        let candidates = act_well(&shop, "vercel.deployments", "candidates: true, target: production");
        assert_eq!(candidates["ids"], json!([BAD, GOOD]), "{page}");
        let previews = act_well(&shop, "vercel.deployments", "target: preview");
        assert_eq!(previews["ids"], json!([PREVIEW]), "{page}");
        assert_eq!(previews["latest"]["target"], "preview");
    }
    let shop = world(|_| ());
    for with in ["limit: 0", "limit: 201", "target: prod"] {
        assert!(act_ill(&shop, "vercel.deployments", with).contains("expected"), "{with}");
    }
}

#[test]
fn it_is_seen_what_serves_however_the_alias_is_answered() {
    for lists in [false, true] {
        let shop = world(|vercel| vercel.lists = lists);
        let seen = act_well(&shop, "vercel.serves", "domain: \"https://www.example.com/shop?a=b\"");
        assert_eq!((&seen["deployment"], &seen["domain"]), (&json!(BAD), &json!("www.example.com")));
        assert_eq!((&seen["pinned"], &seen["last"], &seen["assigns"]), (&json!(false), &json!(null), &json!(true)));
    }
    let shop = world(|_| ());
    assert!(act_ill(&shop, "vercel.serves", "domain: other.example.com").contains("404"));
    // Nothing was ever deployed.
    let shop = world(|vercel| vercel.projects[0] = Project::new("prj_shop1", "shop", &["shop.example.com"]));
    assert_eq!(act_well(&shop, "vercel.serves", "")["deployment"], json!(null));
    assert!(act_ill(&shop, "vercel.deploy", "").contains("no code to build again"));
    assert!(act_ill(&shop, "vercel.rollback", QUICK).contains("no earlier deployment"));
}

#[test]
fn a_rollback_leads_users_back_and_pins_what_follows() {
    let shop = world(|_| ());
    let given = act_well(&shop, "vercel.rollback", QUICK);
    assert_eq!((&given["deployment"], &given["previous"]), (&json!(GOOD), &json!(BAD)));
    assert_eq!(given["made"], "2026-09-21 14:13 UTC");
    assert_eq!(shop.state().app("GET", "/").status, 200);
    assert!(act_well(&shop, "vercel.serves", "")["pinned"] == json!(true));

    // A build gets no domain now, and that is said, until one is promoted.
    let built = act_well(&shop, "vercel.deploy", &format!("from: {GOOD}"));
    assert_eq!(built["pinned"], json!(true));
    let id = built["deployment"].as_str().unwrap().to_owned();
    let waited = act_well(&shop, "vercel.wait", &format!("deployment: {id}, {QUICK}"));
    assert_eq!(
        (&waited["state"], &waited["assigned"], &waited["staged"]),
        (&json!("READY"), &json!(false), &json!(true))
    );
    let promoted = act_well(&shop, "vercel.promote", &format!("deployment: {id}, {QUICK}"));
    assert_eq!((&promoted["changed"], &promoted["previous"]), (&json!(true), &json!(GOOD)));
    let seen = act_well(&shop, "vercel.serves", "");
    assert_eq!((&seen["deployment"], &seen["pinned"]), (&json!(id), &json!(false)));
    assert_eq!(effects(&shop), json!({ "rollback": 1, "deploy": 1, "promote": 1 }));
}

#[test]
fn what_can_not_be_gone_back_to_is_said_before_anything_is_asked() {
    for (with, says) in [
        (format!("deployment: {BAD}"), "serves already"),
        (format!("deployment: {PREVIEW}"), "none of those that have served"),
        ("deployment: dpl_gone".to_owned(), "none of those that have served"),
    ] {
        let shop = world(|_| ());
        let said = act_ill(&shop, "vercel.rollback", &format!("{with}, {QUICK}"));
        assert!(said.contains(says), "{said}");
        assert_eq!(effects(&shop), json!({}));
    }
    for (with, says) in [(PREVIEW, "vercel.deploy with `from`"), ("dpl_gone", "404")] {
        let shop = world(|_| ());
        let said = act_ill(&shop, "vercel.promote", &format!("deployment: {with}, {QUICK}"));
        assert!(said.contains(says), "{said}");
        assert_eq!(effects(&shop), json!({}));
    }
}

/// The plan, a rolling release, a change that fails, one that somebody else made.
#[test]
fn what_vercel_says_no_to_is_told_with_its_reason() {
    // Two steps back, on a plan that goes back by one.
    let shop = world(|vercel| {
        let newest = vercel.built(0, true, false);
        vercel.serve(0, &newest);
        vercel.hobby = true;
    });
    let said = act_ill(&shop, "vercel.rollback", &format!("deployment: {GOOD}, {QUICK}"));
    assert!(said.contains("402") && said.contains("by one deployment only"), "{said}");
    assert_eq!(effects(&shop), json!({}));

    let shop = world(|vercel| vercel.unmovable = true);
    let said = act_ill(&shop, "vercel.rollback", QUICK);
    assert!(said.contains("ended as failed") && said.contains(BAD), "{said}");

    let shop = world(|vercel| vercel.rolling = true);
    let given = act_well(&shop, "vercel.move", &format!("kind: promote, deployment: {GOOD}, {QUICK}"));
    assert_eq!(given["queued"], json!(true));

    // It serves already, so there is nothing to do.
    let shop = world(|_| ());
    let given = act_well(&shop, "vercel.promote", &format!("deployment: {BAD}, {QUICK}"));
    assert_eq!((&given["changed"], effects(&shop)), (&json!(false), json!({})));
}

#[test]
fn a_build_has_the_variables_of_its_moment_and_is_waited_for() {
    let shop = world(|vercel| {
        vercel.projects[0].variables[3].value = "https://new.example.com/api".to_owned();
        vercel.slow = 3;
    });
    let built = act_well(&shop, "vercel.deploy", "");
    let id = built["deployment"].as_str().unwrap();
    assert_eq!((&built["from"], &built["previous"]), (&json!(BAD), &json!(BAD)));
    let waited = act_well(&shop, "vercel.wait", &format!("deployment: {id}, {QUICK}"));
    assert_eq!((&waited["assigned"], &waited["url"]), (&json!(true), &built["url"]));
    let state = shop.state();
    assert_eq!(state.serving().unwrap().id, id);
    assert_eq!(state.serving().unwrap().with["NEXT_PUBLIC_API_URL"], "https://new.example.com/api");
    let meta = &state.serving().unwrap().meta;
    assert_eq!(meta["stepId"], format!("deploy-after-{PREVIEW}"));
}

#[test]
fn a_build_that_ends_otherwise_is_told_from_one_that_is_ready() {
    for (state, says) in [("ERROR", "next build"), ("CANCELED", "CANCELED"), ("BLOCKED", "release it")] {
        let shop = world(|vercel| vercel.stuck = Some(state));
        let built = act_well(&shop, "vercel.deploy", "");
        let id = built["deployment"].as_str().unwrap();
        let said = act_ill(&shop, "vercel.wait", &format!("deployment: {id}, {QUICK}"));
        assert!(said.contains(says) && said.contains("expected READY"), "{said}");
        assert_eq!(shop.state().serving().unwrap().id, BAD);
    }
    // A state that is newer than the action is no end.
    let shop = world(|vercel| vercel.stuck = Some("DREAMING"));
    let built = act_well(&shop, "vercel.deploy", "");
    let id = built["deployment"].as_str().unwrap();
    let said = act_ill(&shop, "vercel.wait", &format!("deployment: {id}, within: 50ms, {QUICK}"));
    assert!(said.contains("50ms"), "{said}");
}

#[test]
fn a_deployment_that_is_ready_and_shows_errors_is_not_well() {
    let shop = world(|_| ());
    let with = format!("deployment: {BAD}, url: \"{}/app/\", well_within: 50ms, {QUICK}", shop.url());
    assert!(act_ill(&shop, "vercel.wait", &with).contains("50ms"));
    let shop = world(|vercel| vercel.serve(0, GOOD));
    let with = format!("deployment: {GOOD}, url: \"{}/app/\", {QUICK}", shop.url());
    assert_eq!(act_well(&shop, "vercel.wait", &with)["answer"], json!(200));
}

#[test]
fn a_build_is_cancelled_once_and_one_that_is_over_is_not() {
    let shop = world(|vercel| vercel.slow = 9);
    let built = act_well(&shop, "vercel.deploy", "");
    let with = format!("deployment: {}", built["deployment"].as_str().unwrap());
    assert_eq!(act_well(&shop, "vercel.cancel", &with)["changed"], json!(true));
    assert_eq!(act_well(&shop, "vercel.cancel", &with)["changed"], json!(false));
    assert_eq!(effects(&shop), json!({ "deploy": 1, "cancel": 1 }));
    assert!(act_ill(&shop, "vercel.cancel", &format!("deployment: {GOOD}")).contains("nothing left to cancel"));
}

#[test]
fn a_log_has_no_value_of_a_variable_in_it() {
    let said = act_ill(&world(|_| ()), "vercel.logs", &format!("deployment: {GOOD}"));
    assert!(said.contains("nobody can read AUTH_SECRET"), "{said}");
    let shop = served(readable());
    let log = act_well(&shop, "vercel.logs", &format!("deployment: {GOOD}"));
    let texts = log["texts"].to_string();
    assert!(texts.contains("Build Completed") && texts.contains("config NEXTAUTH_SECRET=["), "{texts}");
    assert_eq!(log["unhidden"], json!([]));
    let few = act_ill(&shop, "vercel.logs", &format!("deployment: {GOOD}, hidden: 1"));
    assert!(few.contains("expected 1 at most"), "{few}");
    assert_eq!(
        act_well(&shop, "vercel.logs", &format!("deployment: {GOOD}, lines: 1"))["texts"],
        json!(["Build Completed"])
    );
}

#[test]
fn too_many_calls_are_waited_out_in_either_form() {
    for after in ["0", "Mon, 21 Sep 2020 00:00:00 GMT"] {
        let shop = world(|vercel| vercel.busy = [after.to_owned(), after.to_owned()].into());
        assert_eq!(act_well(&shop, "vercel.serves", "")["deployment"], json!(BAD));
    }
    let shop = served(shop());
    shop.state().limit = Some(2);
    let left = run(&shop, "vercel.rollback", QUICK);
    assert!(super::kit::error(&left.facts).contains("429"), "{:?}", left.facts.finished);
    assert_eq!(effects(&shop), json!({}));
}

#[test]
fn a_target_that_says_too_little_is_told_what_to_write() {
    let place = |settings: &str| {
        let text = format!(
            "version: 1\ntitle: A target\nsecrets: {{ VERCEL_TOKEN: {{ from: env, name: HOME, hosts: [127.0.0.1] }} }}\n{settings}"
        );
        let place = crate::runbooks::Place::new().target(&text);
        std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
        let text =
            "version: 1\ntitle: One action\nowner: tests\nreviewed: 2026-11-01\nsteps:\n  - uses: vercel.locate\n";
        std::fs::write(place.project().join("runbooks/one.yaml"), text).unwrap();
        super::kit::error(&crate::runbooks::ended(place.run("one", &[])))
    };
    let token = "token: \"${{ secrets.VERCEL_TOKEN }}\"";
    for (settings, says) in [
        (String::new(), "name a place under `providers: { vercel: { main: { project: shop"),
        (format!("providers: {{ vercel: {{ main: {{ {token} }} }} }}"), "has no project"),
        ("providers: { vercel: { main: { project: shop } } }".to_owned(), "has no token"),
        (format!("providers: {{ vercel: {{ main: {{ project: shop, teem: a, {token} }} }} }}"), "has teem"),
        (
            format!("providers: {{ vercel: {{ a: {{ project: shop, {token} }}, b: {{ project: shop, {token} }} }} }}"),
            "names no place \"main\" on Vercel: there are a, b",
        ),
    ] {
        let said = place(&settings);
        assert!(said.contains(says), "{settings}: {said}");
    }
}
