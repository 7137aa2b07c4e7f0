//! What a person at a terminal sees and does, on a real pseudo-terminal.

use crate::cli::kit::{Backend, Place};
use crate::pty::{CTRL_C, Pty};

fn open(place: &Place, args: &[&str]) -> Pty {
    open_with(place, args, &[])
}

fn open_with(place: &Place, args: &[&str], env: &[(&str, &str)]) -> Pty {
    Pty::start(place.command(args).envs(env.iter().copied()), 120)
}

#[test]
fn finished_steps_stay_and_the_running_one_is_drawn() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "wait", "-i", &backend.input()]);
    terminal.expect("Wait for a backend");
    terminal.expect("healthy");
    terminal.expect("of 5:00");
    terminal.expect("503   try ");
    terminal.send(CTRL_C);
    terminal.expect("stopping after what is running; again to leave now");
    terminal.expect("tidied up");
    terminal.expect("cancelled");
    assert_eq!(terminal.exit_code(), 15);
}

#[test]
fn the_start_is_asked_for_once_and_a_question_is_answered_in_place() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "fix", "-i", &backend.input()]);
    terminal.expect("fix");
    terminal.expect("Start fix?");
    terminal.send("y\r");
    terminal.expect("Is it safe?");
    terminal.expect("not safe");
    terminal.send("\r");
    terminal.expect("success");
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(backend.posted(), 1);
}

#[test]
fn keys_say_where_it_is_what_is_running_and_which_keys_there_are() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "wait", "-i", &backend.input()]);
    terminal.expect("503   try 2");
    terminal.send("\r");
    terminal.expect("0 steps ended, still waiting: healthy, look ");
    terminal.send("d");
    terminal.expect("read, attempt 1, ");
    terminal.expect("last seen: 503");
    // An arrow holds a `D`; it is no key of ours.
    terminal.send("\u{1b}[D?");
    terminal.send("?");
    terminal.expect("details of what is running");
    terminal.expect("stop after what is running; twice: leave now");
    terminal.send(CTRL_C);
    terminal.expect("cancelled");
    assert_eq!(terminal.exit_code(), 15);
}

#[test]
fn a_key_pauses_the_run_where_it_is_driven_and_it_can_be_resumed() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "wait", "-i", &backend.input()]);
    terminal.expect("503   try 2");
    terminal.send("?");
    terminal.expect("pause: what is running ends, nothing new starts");
    terminal.send("p");
    terminal.expect("Paused: ");
    terminal.expect("rerail resume");
    assert_eq!(terminal.exit_code(), 19);
    assert_eq!(place.run(&["runs", "--json"]).json()[0]["status"], "paused");
}

#[test]
fn who_only_follows_a_run_cannot_pause_it_by_a_key() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut driven = open(&place, &["run", "wait", "-i", &backend.input()]);
    driven.expect("503   try 2");
    while place.run(&["runs", "--json"]).json() == serde_json::json!([]) {}
    let mut follower = open(&place, &["show", "-f"]);
    follower.expect("503   ");
    follower.send("p?");
    follower.expect("details of what is running");
    let keys = follower.expect("stop looking; the run goes on");
    assert!(!String::from_utf8_lossy(keys.before()).contains("pause"));
    follower.send(CTRL_C);
    follower.expect("detached; wait/");
    driven.send(CTRL_C);
    driven.expect("cancelled");
    assert_eq!(driven.exit_code(), 15);
}

#[test]
fn the_terminal_is_given_back_as_it_was() {
    let (place, backend) = (Place::new(), Backend::start());
    let script = format!(
        "trap : INT; stty echo icanon -noflsh; stty -g > before; '{}' run wait -i {}; stty -g > after",
        env!("CARGO_BIN_EXE_rerail"),
        backend.input()
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).current_dir(place.path());
    for (name, value) in place.command(&[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let mut terminal = Pty::start(&command, 120);
    terminal.expect("503   try ");
    let meanwhile = terminal.modes();
    for mode in ["-icanon", "-echo ", " noflsh"] {
        assert!(meanwhile.contains(mode), "{mode} in {meanwhile}");
    }
    terminal.send(CTRL_C);
    terminal.expect("cancelled");
    terminal.exit_code();
    let modes = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(modes("before"), modes("after"));
}

#[test]
fn the_tab_shows_that_it_works_and_is_cleared_at_the_end_also_after_ctrl_c() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open_with(&place, &["run", "wait", "-i", &backend.input()], &[("WT_SESSION", "test")]);
    terminal.expect("\u{1b}]9;4;3;");
    terminal.expect("503   try ");
    terminal.send(CTRL_C);
    terminal.expect("\u{1b}]9;4;0;");
    assert_eq!(terminal.exit_code(), 15);
}

#[test]
fn a_question_rings_and_puts_a_title_on_the_window() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "fix", "-i", &backend.input(), "--yes"]);
    terminal.expect("\u{7}\u{1b}[22;2t\u{1b}]2;fix/");
    terminal.expect("needs an answer");
    terminal.expect("to select");
    terminal.send("\r");
    terminal.expect("\u{1b}[23;2t");
    terminal.expect("success");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn a_dumb_terminal_and_a_ci_get_lines_without_codes() {
    let (place, backend) = (Place::new(), Backend::start());
    for env in [("TERM", "dumb"), ("CI", "true")] {
        let terminal = open_with(&place, &["run", "look", "-i", &backend.input()], &[env]);
        let (seen, _) = terminal.rest();
        assert!(!seen.contains('\u{1b}') && !seen.contains('\u{7}'), "{env:?}: {seen:?}");
        assert!(seen.contains("health") && seen.contains("started: http.probe"), "{env:?}: {seen:?}");
    }
}

#[test]
fn no_color_keeps_the_moving_lines_and_takes_the_colours() {
    let (place, backend) = (Place::new(), Backend::start());
    let args = ["run", "wait", "-i", &backend.input(), "--ascii"];
    let mut terminal = open_with(&place, &args, &[("NO_COLOR", "1")]);
    let seen = terminal.expect("503   try 3").before().to_vec();
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.is_ascii() && !seen.contains("\u{1b}[1m") && !seen.contains("\u{1b}[3"), "{seen:?}");
    terminal.send(CTRL_C);
    assert_eq!(terminal.exit_code(), 15);
}

#[test]
fn no_line_is_wider_than_a_terminal_that_became_narrow() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "wait", "-i", &backend.input()]);
    terminal.expect("503   try ");
    terminal.resize(30, 10);
    // The sign of a cut line comes only once the new width is known.
    terminal.expect("…");
    let frame = terminal.expect("…").before().to_vec();
    let frame = String::from_utf8_lossy(&frame).into_owned();
    let drawn = frame.rsplit('\r').next().unwrap_or_default();
    let plain = regex::Regex::new("\u{1b}\\[[0-9;?]*[a-zA-Z]").unwrap().replace_all(drawn, "").into_owned();
    assert!(plain.contains("healthy") && plain.chars().count() < 30, "{plain:?}");
    terminal.send(CTRL_C);
    assert_eq!(terminal.exit_code(), 15);
}

#[test]
fn ctrl_c_at_the_start_question_says_that_nothing_was_started() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "set", "-i", &backend.input()]);
    terminal.expect("Start set?");
    terminal.send(CTRL_C);
    terminal.expect("interrupted: nothing was started");
    assert_eq!(terminal.exit_code(), 130);
    assert_eq!(backend.posted(), 0);
}

#[test]
fn a_no_starts_nothing() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "set", "-i", &backend.input()]);
    terminal.expect("Start set?");
    terminal.send("n\r");
    terminal.expect("nothing was started");
    assert_eq!(terminal.exit_code(), 15);
    assert_eq!(backend.posted(), 0);
    assert_eq!(place.run(&["runs", "--json"]).json(), serde_json::json!([]));
}

#[test]
fn ctrl_c_twice_leaves_a_run_that_can_be_resumed() {
    let (place, backend) = (Place::new(), Backend::start());
    place.file(
        "runbooks/slow.yaml",
        "version: 1\ntitle: Slow\nowner: o\nreviewed: 2026-11-01\nsteps:\n  - uses: time.now\nfinally:\n  - id: nap\n    uses: time.sleep\n    with: { duration: 5m }\n",
    );
    drop(backend);
    let mut terminal = open(&place, &["run", "slow"]);
    terminal.expect("nap");
    terminal.send(CTRL_C);
    terminal.expect("again to leave now");
    terminal.send(CTRL_C);
    terminal.expect("left");
    terminal.expect("rerail resume");
    assert_eq!(terminal.exit_code(), 130);
    assert_eq!(place.run(&["runs", "--json"]).json()[0]["ended_at"], serde_json::Value::Null);
}

#[test]
fn ctrl_c_in_a_question_stops_the_run() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "fix", "-i", &backend.input(), "--yes"]);
    terminal.expect("Is it safe?");
    terminal.expect("not safe");
    terminal.send(CTRL_C);
    terminal.expect("cancelled");
    assert_eq!(terminal.exit_code(), 15);
    assert_eq!(backend.posted(), 0);
}

#[test]
fn several_values_are_asked_for_one_after_the_other_until_each_has_its_type() {
    let place = Place::new();
    place.file(
        "runbooks/form.yaml",
        "version: 1\ntitle: Form\nowner: o\nreviewed: 2026-11-01\nsteps:\n  - id: q\n    uses: human.ask\n    with:\n      text: How many?\n      fields:\n        count: { type: int, description: Replicas }\n        side: { type: choice, choices: [blue, green] }\n        note: { type: string, required: false }\noutputs:\n  count: \"${{ steps.q.outputs.answer.count + 1 }}\"\n  side: \"${{ steps.q.outputs.answer.side }}\"\n",
    );
    let mut terminal = open(&place, &["run", "form"]);
    terminal.expect("Replicas (int):");
    terminal.send("many\r");
    terminal.expect("expected int, got \"many\"");
    terminal.send("\u{7f}\u{7f}\u{7f}\u{7f}4\r");
    terminal.expect("note (string):");
    terminal.send("\r");
    terminal.expect("side (choice):");
    terminal.expect("green");
    terminal.send("\r");
    terminal.expect("count = 5");
    terminal.expect("side = \"blue\"");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn a_question_with_fields_is_answered_from_elsewhere_by_the_command_that_is_shown() {
    let place = Place::new();
    place.file(
        "runbooks/form.yaml",
        "version: 1\ntitle: Form\nowner: o\nreviewed: 2026-11-01\nsteps:\n  - id: q\n    uses: human.ask\n    with:\n      text: How many?\n      fields:\n        count: { type: int, description: Replicas }\n        side: { type: choice, choices: [blue, green] }\n        note: { type: string, required: false }\noutputs:\n  count: \"${{ steps.q.outputs.answer.count + 1 }}\"\n",
    );
    let left = place.run(&["run", "form"]).expect(13);
    assert!(left.err.contains(" count=INT [note=STRING] side=CHOICE"), "{}", left.err);
    assert!(left.err.contains("count   Replicas") && left.err.contains("side    blue, green"), "{}", left.err);
    let wrong = place.run(&["answer", "@last", "count=many", "side=blue"]).expect(2);
    assert!(wrong.err.contains("`q`: `count`: expected int"), "{}", wrong.err);
    let given = place.run(&["answer", "@last", "count=4", "side=blue"]).expect(0);
    assert!(given.out.contains("is answered: count=4 side=blue"), "{}", given.out);
    let mut terminal = open(&place, &["resume", "@last"]);
    terminal.expect("count = 5");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn ctrl_c_of_a_follower_detaches_and_leaves_the_run_alone() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut driven = open(&place, &["run", "fix", "-i", &backend.input(), "--yes"]);
    driven.expect("to select");
    let mut follower = open(&place, &["show", "-f"]);
    // It waits for a person, and is followed nevertheless.
    follower.expect("Is it safe?");
    follower.expect("rerail answer");
    follower.expect("waits for an answer");
    follower.send("?");
    follower.expect("stop looking; the run goes on");
    follower.send(CTRL_C);
    follower.expect("detached; fix/");
    assert_eq!(follower.exit_code(), 0);
    // An answer from elsewhere moves the run where it is driven.
    place.run(&["answer", "@last", "answer=safe"]).expect(0);
    driven.expect("success");
    assert_eq!(driven.exit_code(), 0);
    assert_eq!(backend.posted(), 1);
}
