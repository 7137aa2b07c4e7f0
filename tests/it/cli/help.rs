//! The command line's reference, as a snapshot: a change of it is a change of a contract.

use crate::cli::kit::Place;

const COMMANDS: [&str; 31] = [
    "run",
    "resume",
    "take",
    "pause",
    "cancel",
    "hold",
    "list",
    "describe",
    "runs",
    "show",
    "diff",
    "export",
    "graph",
    "triggers",
    "verify",
    "checkpoint",
    "answer",
    "note",
    "new",
    "check",
    "actions",
    "schema",
    "eval",
    "doctor",
    "secrets",
    "explain",
    "prune",
    "demo",
    "completions",
    "man",
    "version",
];

#[test]
fn the_help_of_every_command_is_as_published() {
    let place = Place::new();
    let top = place.run(&["--help"]).expect(0);
    let mut reference = format!("# rerail\n\n{}", top.out);
    for command in COMMANDS {
        assert!(top.out.contains(&format!("\n  {command} ")), "{command} is missing in the help");
        let help = place.run(&[command, "-h"]).expect(0);
        // Global flags are the same everywhere.
        let own = help.out.split("\nGlobal options:").next().unwrap_or_default();
        reference.push_str(&format!("\n# rerail {command}\n\n{}\n", own.trim_end()));
    }
    insta::assert_snapshot!(reference);
}

#[test]
fn no_command_and_wrong_words_are_wrong_usage() {
    let place = Place::new();
    place.run(&[]).expect(2);
    let done = place.run(&["rnu"]).expect(2);
    assert!(done.err.contains("run"), "{}", done.err);
    place.run(&["run", "look", "-i", "novalue"]).expect(2);
    place.run(&["resume", "@last", "--retry", "x"]).expect(2);
    place.run(&["resume", "@last", "--set-outcome", "x=maybe", "--reason", "y"]).expect(2);
}
