//! Forms in every room: inputs that are missing, the place of what may be destroyed, a reason.

use super::rooms::{ALL, ANA, BEN, CLEO, Kind, Room};
use super::story::{FIX, world};
use crate::binary::kit::{Place, until};

/// May destroy something, and asks for what it needs.
const WIPE: &str = "
inputs:
  base: { type: url }
  mode: { type: choice, choices: [fast, slow], description: How it is done }
steps:
  - id: wipe
    effect: destructive
    uses: http.request
    with: { method: DELETE, url: '${{ inputs.base }}/${{ inputs.mode }}' }
";

fn runs(place: &Place) -> Vec<String> {
    let rows = place.json(&["runs", "--json"]);
    rows.as_array().unwrap().iter().map(|row| row["run"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_missing_is_asked_for_in_a_form_and_no_reason_given_without_one() {
    for kind in ALL {
        let (room, world) = (Room::new(kind), world());
        let place = room.project("").runbook("fix", FIX);
        let server = room.server(&place, "a.sock");
        room.command(&server, ANA, &format!("run fix base={}", world.url));
        let form = room.form(1);
        assert!(form.body.to_string().contains("service") && !form.body.to_string().contains("\"base\""), "{kind:?}");
        room.fill(&server, ANA, &form, &[("service", "backend")]);
        let plan = room.post_with_button("plan: fix", "Start");
        room.press(&server, ANA, &plan, "Start");
        let waits = room.post_with("needs an approval: change");
        assert_eq!(waits.thread.as_deref(), Some(plan.id.as_str()), "{kind:?}: in the thread of the card");
        room.press(&server, BEN, &waits, "Reject");
        let reason = room.form(2);
        let run = runs(&place).remove(0);
        room.fill(&server, BEN, &reason, &[("reason", "not on a Friday")]);
        room.post_with("was rejected");
        place.ask(&["show", &run]).says(&["not on a Friday"]);
        assert!(world.writes().is_empty());
        // What is sent for somebody else's form is nobody's word.
        room.command(&server, ANA, &format!("run fix base={}", world.url));
        let hers = room.form(3);
        if kind != Kind::Mattermost {
            room.fill(&server, CLEO, &hers, &[("service", "x")]);
            room.whisper_with(CLEO, "this button is for ana, not for cleo");
        }
        assert_eq!(room.state().wrong, Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn what_may_be_destroyed_is_typed_into_a_form_before_anything_starts() {
    for kind in ALL {
        let (room, world) = (Room::new(kind), world());
        let place = room.project("").runbook("wipe", WIPE);
        let server = room.server(&place, "a.sock");
        room.command(&server, ANA, &format!("run wipe base={}", world.url));
        let form = room.form(1);
        for part in ["fast", "slow", "How it is done"] {
            assert!(form.body.to_string().contains(part), "{kind:?}: {part}: {}", form.body);
        }
        room.fill(&server, ANA, &form, &[("mode", "slow")]);
        let plan = room.post_with_button("plan: wipe", "Start");
        room.press(&server, ANA, &plan, "Start");
        let confirm = room.form(2);
        assert!(confirm.body.to_string().contains("type wipe to start it"), "{kind:?}: {}", confirm.body);
        room.fill(&server, ANA, &confirm, &[("confirm", "wipes")]);
        room.whisper_with(ANA, "nothing was started");
        assert_eq!(runs(&place), Vec::<String>::new(), "{kind:?}");
        // Closed, and pressed again: the button is not used up.
        room.press(&server, ANA, &plan, "Start");
        let again = room.form(3);
        room.fill(&server, ANA, &again, &[("confirm", "wipe")]);
        room.post_with("finished after");
        // Both forms were for the one button.
        room.fill(&server, ANA, &confirm, &[("confirm", "wipe")]);
        room.whisper_with(ANA, "was first, at ");
        assert_eq!((world.writes().len(), runs(&place).len()), (1, 1), "{kind:?}");
        assert_eq!(room.post_now(&plan.id).button("Start"), None, "its card took the place of the plan");
        assert_eq!(room.state().wrong, Vec::<String>::new(), "{kind:?}");
    }
}

/// So many inputs, of which so many have a value already.
fn many(inputs: usize, given: usize) -> String {
    let input = |at: usize| match at < given {
        true => format!("  i{at}: {{ type: string, default: d{at} }}\n"),
        false => format!("  i{at}: {{ type: string }}\n"),
    };
    let all: String = (0..inputs).map(input).collect();
    format!(
        "inputs:\n{all}steps:\n  - {{ id: say, uses: run.note, with: {{ text: '${{{{ inputs.i0 }}}} ${{{{ inputs.i{} }}}}' }} }}\n",
        inputs - 1
    )
}

/// Five fields, of which the last can't be a select, and three inputs with names that don't fit beside its choices.
const LONG: &str = "
inputs:
  a: { type: string }
  b: { type: string }
  c: { type: string }
  d: { type: string }
  e: { type: choice, choices: [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19,
    c20, c21, c22, c23, c24, c25] }
  the_first_of_them: { type: string, default: x }
  the_second_one_with_a_longer_name: { type: string, default: x }
  the_third_one_with_a_longer_name: { type: string, default: x }
steps:
  - { id: say, uses: run.note, with: { text: '${{ inputs.the_first_of_them }}' } }
";

#[test]
fn inputs_that_do_not_fit_are_named_and_none_is_left_out_unsaid() {
    let room = Room::new(Kind::Discord);
    let place = room.project("").runbook("six", &many(6, 0)).runbook("some", &many(8, 4)).runbook("five", &many(5, 0));
    let place = place.runbook("long", LONG);
    let server = room.server(&place, "a.sock");
    room.command(&server, ANA, "run six");
    let said = room.whisper_with(ANA, "6 inputs are missing, and a form has room for 5 here").text;
    assert!(said.contains("/rerail run six i0=… i1=… i2=… i3=… i4=… i5=…"), "{said}");
    assert!(room.state().forms.is_empty());
    // One less is a form; what was typed is not asked for again.
    room.command(&server, ANA, "run six i0=x");
    assert_eq!(room.form(1).body["components"].as_array().unwrap().len(), 5);
    room.command(&server, ANA, "run some");
    let form = room.form(2).body;
    let names: Vec<&str> =
        form["components"].as_array().unwrap().iter().map(|label| label["label"].as_str().unwrap()).collect();
    assert_eq!(names, ["i4", "i5", "i6", "i7", "i0"], "what is needed comes first");
    let hint = form["components"][4]["description"].as_str().unwrap();
    assert!(hint.contains("as they are unless typed: i1, i2, i3"), "{hint}");
    // Of names that don't fit none is half there, also where the choices of a field stand in the same place.
    room.command(&server, ANA, "run long");
    let form = room.form(3).body;
    let hint = form["components"][4]["description"].as_str().unwrap();
    assert!(hint.starts_with("one of c0, c1, "), "{hint}");
    assert!(hint.ends_with("… (as they are unless typed: the_first_of_them and 2 more inputs)"), "{hint}");
    let some = room.state().forms[1].clone();
    room.fill(&server, ANA, &some, &[("i4", "a"), ("i5", "b"), ("i6", "c"), ("i7", "d"), ("i0", "e")]);
    until("it runs with what was filled in", || runs(&place).len() == 1);
    assert_eq!(room.state().wrong, Vec::<String>::new());
}

#[test]
fn who_comes_too_late_for_a_form_of_discord_is_told_nothing_twice_and_starts_nothing() {
    let room = Room::new(Kind::Discord);
    let world = world();
    let place = room.project("").runbook("fix", FIX);
    // Killed after the request was kept and before anything was said: Discord has given up on it when the next one comes.
    let place = place.env("RERAIL_CRASH_NAMED", "chat.heard");
    let first = room.server(&place, "a.sock");
    room.command(&first, ANA, &format!("run fix base={}", world.url));
    assert_eq!(first.ends(), None, "killed");
    until("three seconds are over", || room.oldest_interaction() > std::time::Duration::from_secs(3));
    let place = place.env("RERAIL_CRASH_NAMED", "");
    let second = room.server(&place, "b.sock");
    until("it was worked through", || {
        room.ledger.entries().iter().any(|request| request.path.ends_with("/messages/@original"))
    });
    let state = room.state();
    assert!(state.forms.is_empty() && state.whispers.is_empty() && state.posts.is_empty());
    drop(state);
    // A new request is answered as ever.
    room.command(&second, ANA, &format!("run fix base={}", world.url));
    room.form(1);
    assert_eq!(runs(&place), Vec::<String>::new());
}

#[test]
fn killed_while_a_reason_is_asked_for_nothing_is_rejected_without_one() {
    for kind in ALL {
        let (room, world) = (Room::new(kind), world());
        let place = room.project("").runbook("fix", FIX).env("RERAIL_CRASH_NAMED", "chat.shown");
        let first = room.server(&place, "a.sock");
        room.command(&first, ANA, &format!("run fix base={} service=x", world.url));
        let plan = room.post_with_button("plan: fix", "Start");
        room.press(&first, ANA, &plan, "Start");
        let waits = room.post_with_button("needs an approval: change", "Reject");
        room.press(&first, BEN, &waits, "Reject");
        assert_eq!(first.ends(), None, "{kind:?}: killed");
        let form = room.form(1);
        let place = place.env("RERAIL_CRASH_NAMED", "");
        let second = room.server(&place, "b.sock");
        until("it is worked through again", || room.tries_to_show() >= 2);
        if kind == Kind::Mattermost {
            room.whisper_with(BEN, "nothing was rejected");
        }
        let run = runs(&place).remove(0);
        assert_eq!(place.json(&["show", &run, "--json"])["status"], "waiting", "{kind:?}");
        room.fill(&second, BEN, &form, &[("reason", "not on a Friday")]);
        room.post_with("was rejected");
        place.ask(&["show", &run]).says(&["not on a Friday"]);
    }
}

#[test]
fn killed_with_the_form_on_the_screen_it_is_good_still_and_what_it_asks_for_is_done_once() {
    for kind in ALL {
        let (room, world) = (Room::new(kind), world());
        let place = room.project("").runbook("fix", FIX).env("RERAIL_CRASH_NAMED", "chat.shown");
        let first = room.server(&place, "a.sock");
        room.command(&first, ANA, &format!("run fix base={}", world.url));
        assert_eq!(first.ends(), None, "{kind:?}: killed");
        let form = room.form(1);
        let place = place.env("RERAIL_CRASH_NAMED", "");
        let second = room.server(&place, "b.sock");
        room.fill(&second, ANA, &form, &[("service", "backend")]);
        let plan = room.post_with_button("plan: fix", "Start");
        room.press(&second, ANA, &plan, "Start");
        room.post_with("needs an approval: change");
        assert_eq!((runs(&place).len(), room.state().posts.len()), (1, 2), "{kind:?}");
    }
}

#[test]
fn who_was_never_asked_for_a_reason_is_not_told_of_a_kill() {
    for kind in [Kind::Mattermost, Kind::Discord] {
        let (room, world) = (Room::new(kind), world());
        let place = room.project("").runbook("fix", FIX);
        let first = room.server(&place, "a.sock");
        room.command(&first, ANA, &format!("run fix base={} service=x", world.url));
        let plan = room.post_with_button("plan: fix", "Start");
        room.press(&first, ANA, &plan, "Start");
        let waits = room.post_with_button("needs an approval: change", "Reject");
        drop(first);
        // Taken up once, and lost before anything was shown.
        let place = place.env("RERAIL_CRASH_NAMED", "chat.heard");
        let second = room.server(&place, "b.sock");
        room.press(&second, BEN, &waits, "Reject");
        assert_eq!(second.ends(), None, "{kind:?}: killed");
        // By now it is too late for a form.
        room.state().triggers.clear();
        room.state().interactions.clear();
        let place = place.env("RERAIL_CRASH_NAMED", "");
        let _third = room.server(&place, "c.sock");
        room.post_with("was rejected");
        place.ask(&["show", &runs(&place).remove(0)]).says(&["rejected with a button in a chat, without a reason"]);
        assert!(room.state().forms.is_empty() && world.writes().is_empty(), "{kind:?}");
    }
}
