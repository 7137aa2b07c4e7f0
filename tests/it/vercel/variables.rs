//! Variables: what is shown of them, what is set and taken back, and what nobody can know.

use serde_json::json;

use super::kit::{act_ill, act_well, effects, secrets, target, world};
use crate::binary::kit::Place;

const NEW: &str = "a-new-value-of-the-tests";

#[test]
fn variables_are_listed_without_their_values() {
    let shop = world(|_| ());
    let listed = act_well(&shop, "vercel.env_list", "");
    assert_eq!(
        listed["names"],
        json!(["AUTH_SECRET", "NEXTAUTH_SECRET", "NEXTAUTH_URL", "NEXT_PUBLIC_API_URL", "RESEND_API_KEY"])
    );
    let first = &listed["variables"][0];
    assert_eq!(
        (&first["name"], &first["kind"], &first["target"]),
        (&json!("NEXTAUTH_SECRET"), &json!("encrypted"), &json!(["production"]))
    );
    assert!(first.get("value").is_none() && first["updated"].as_i64().is_some_and(|ms| ms > 0));
    let preview = act_well(&shop, "vercel.env_list", "target: preview");
    assert_eq!(preview["names"], json!(["RESEND_API_KEY"]));
    assert_eq!(
        act_well(&world(|vercel| vercel.projects[0].variables.clear()), "vercel.env_list", "")["names"],
        json!([])
    );
}

#[test]
fn what_is_sensitive_is_named_and_not_guessed() {
    let shop = world(|_| ());
    let read = act_well(&shop, "vercel.env_values", "names: [NEXTAUTH_SECRET, AUTH_SECRET, GONE]");
    assert_eq!((&read["hidden"], &read["missing"]), (&json!(["AUTH_SECRET"]), &json!(["GONE"])));
    assert_eq!(read["values"].as_object().unwrap().len(), 1);
    assert!(act_ill(&shop, "vercel.env_value", "name: AUTH_SECRET").contains("nobody can read it back"));
    assert!(
        act_ill(&shop, "vercel.env_value", "name: RESEND_API_KEY, target: development")
            .contains("is not set for development")
    );
}

#[test]
fn all_are_set_in_one_call_and_kept_as_they_were() {
    let shop = world(|_| ());
    let with = format!("values: {{ NEXTAUTH_SECRET: \"{NEW}\", AUTH_SECRET: \"{NEW}\", FRESH: \"{NEW}\" }}");
    let given = act_well(&shop, "vercel.env_set", &with);
    assert_eq!(given["added"], json!(["FRESH"]));
    assert_eq!(given["replaced"], json!(["AUTH_SECRET", "NEXTAUTH_SECRET"]));
    assert_eq!(given["lost"], json!(["AUTH_SECRET"]), "what it was is known to nobody");
    let state = shop.state();
    let kinds = state.projects[0].variables.iter().map(|one| (one.key.as_str(), one.kind.as_str(), one.value == NEW));
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds[0], ("NEXTAUTH_SECRET", "encrypted", true));
    assert_eq!(kinds[1], ("AUTH_SECRET", "sensitive", true));
    assert_eq!(kinds[5], ("FRESH", "encrypted", true));
    let writes = state.asked.iter().filter(|asked| asked.is_write()).count();
    assert_eq!(writes, 1);
}

#[test]
fn what_can_not_be_set_is_said_before_anything_is_sent() {
    for (with, says) in [
        ("values: {}", "names no variable"),
        ("values: { VERCEL_URL: a }", "anybody but the platform"),
        ("values: { \"A-B\": a }", "no names: A-B"),
        ("values: { A: null }", "have no value: A"),
        ("values: { A: a }, target: [prod]", "expected some of production"),
        ("values: { A: a }, target: []", "expected some of production"),
        // For preview as well, which nobody said should change.
        ("values: { RESEND_API_KEY: a }", "stand for other environments as well"),
    ] {
        let shop = world(|_| ());
        let said = act_ill(&shop, "vercel.env_set", with);
        assert!(said.contains(says), "{with}: {said}");
        assert_eq!(effects(&shop), json!({}), "{with}");
    }
    let shop = world(|_| ());
    assert!(act_ill(&shop, "vercel.env_remove", "names: [RESEND_API_KEY]").contains("would lose them"));
    act_well(&shop, "vercel.env_set", "values: { RESEND_API_KEY: a }, target: [preview, production]");
    act_well(&shop, "vercel.env_remove", "names: [RESEND_API_KEY, GONE], target: [preview, production]");
    assert_eq!(effects(&shop), json!({ "set RESEND_API_KEY": 1, "unset RESEND_API_KEY": 1 }));
}

#[test]
fn a_201_that_took_only_some_of_them_is_no_success() {
    let shop = world(|vercel| {
        vercel.unset.insert("FORBIDDEN".to_owned());
    });
    let said = act_ill(&shop, "vercel.env_set", "values: { ALLOWED: a, FORBIDDEN: b }");
    assert!(said.contains("did not take FORBIDDEN") && said.contains("You may not set"), "{said}");
    assert_eq!(effects(&shop), json!({ "set ALLOWED": 1 }));
}

#[test]
fn what_was_set_is_taken_back_as_far_as_anybody_can() {
    let undone = |values: &str| {
        let shop = world(|_| ());
        let before = shop.state().projects[0].variables.clone();
        let place = Place::new();
        let text = target(&shop, &place.beside("home"));
        let steps = format!("steps:\n  - uses: vercel.env_set\n    with: {{ values: {{ {values} }} }}\n");
        let place = place.file("targets/here.yaml", text).runbook("one", &steps);
        place.ask(&["run", "one", "--target", "here", "--yes"]).exits(0);
        let said = place.ask(&["undo", "@last", "--yes"]);
        crate::incidents::sweep::Needles::new(&secrets()).assert_none_below(place.state());
        let after = shop.state().projects[0].variables.clone();
        let values = |all: &[rerail::world::vercel::Variable]| -> Vec<(String, String, String)> {
            all.iter().map(|one| (one.key.clone(), one.value.clone(), one.kind.clone())).collect()
        };
        (said, values(&before) == values(&after))
    };
    let (said, same) = undone("NEXTAUTH_SECRET: other, FRESH: other");
    assert!(same);
    said.exits(0);
    // A sensitive one was replaced: the rest comes back, and it is said.
    let (said, same) = undone("AUTH_SECRET: other, NEXTAUTH_SECRET: other");
    assert!(!same);
    said.exits(19).says(&["set them by hand: AUTH_SECRET"]);
}
