//! `crash-loop` as an operator has it: rehearsed, run and taken back by the real binary.

use super::kit::{assert_no_secret, assert_no_secret_below, broken, inputs, target};
use crate::binary::kit::{Place, Said};
use crate::world::railway::Railway;

fn place(railway: &Railway) -> Place {
    let place = Place::new();
    let text = target(railway, &place.beside("home"));
    place.file("targets/here.yaml", text)
}

fn ask(railway: &Railway, place: &Place, more: &[&str]) -> Said {
    let mut args: Vec<String> = ["run", "crash-loop", "--target", "here"].map(str::to_owned).to_vec();
    for (name, value) in inputs(railway) {
        args.extend(["-i".to_owned(), format!("{name}={value}")]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let said = place.ask(&args);
    assert_no_secret(&said.args, format!("{}{}", said.stdout, said.stderr).as_bytes());
    assert_no_secret_below(place.state());
    said
}

#[test]
fn a_rehearsal_shows_what_is_missing_and_how_it_would_be_set_and_changes_nothing() {
    let railway = Railway::serve(broken(false));
    let place = place(&railway);
    let said = ask(&railway, &place, &["--dry-run"]).exits(0);
    assert!(railway.state().effects.is_empty());
    let set = "ALLOWED_ORIGINS, DATABASE_URL, FROM_EMAIL, FRONTEND_URL, JWT_ALGORITHM, JWT_SECRET, NEXTAUTH_SECRET, RESEND_API_KEY";
    println!("{}", said.stdout);
    said.says(&[
        &format!("set {set} of backend, without a deployment"),
        "none of them is set",
        "deploy backend with its current variables",
        "DATABASE_URL, NEXTAUTH_SECRET not set",
    ]);
}

#[test]
fn what_was_set_is_taken_back_name_by_name() {
    let railway = Railway::serve(broken(false));
    let place = place(&railway);
    ask(&railway, &place, &["--yes"]).exits(0).says(&["backend is well again"]);
    assert_eq!(railway.state().service("backend").variables.len(), 9);
    let said = place.ask(&["undo", "@last", "--yes"]).exits(0);
    assert_no_secret("undo", format!("{}{}", said.stdout, said.stderr).as_bytes());
    assert_eq!(railway.state().service("backend").variables.keys().collect::<Vec<_>>(), ["SENTRY_DSN"]);
    assert_eq!(railway.effects("unset DATABASE_URL"), 1);
    // There was no deployment that ran before, so none is gone back to.
    assert_eq!((railway.effects("rollback"), railway.effects("deploy")), (0, 1));
    assert_no_secret_below(place.state());
}

#[test]
fn a_value_that_was_replaced_comes_back() {
    let railway = Railway::serve(broken(false));
    let before = railway.state().service("backend").variables.clone();
    let text = "steps:\n  - uses: railway.set_variables\n    with: { service: backend, place: main, values: { SENTRY_DSN: \"https://other.example.com\", DEBUG: \"false\" } }\n";
    let place = place(&railway).runbook("one", text);
    place.ask(&["run", "one", "--target", "here", "--yes"]).exits(0);
    assert_eq!(railway.state().service("backend").variables["SENTRY_DSN"], "https://other.example.com");
    place.ask(&["undo", "@last", "--yes"]).exits(0);
    assert_eq!(railway.state().service("backend").variables, before);
    assert_no_secret_below(place.state());
}
