//! Completions as a shell gets them, and manual pages.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::process::Command;

use crate::cli::kit::{Backend, Place};

/// What bash offers for a line; its last word is the one being typed.
fn bash(place: &Place, line: &[&str]) -> Vec<String> {
    let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <('{bin}' completions bash)
         COMP_WORDS=(rerail {words}); COMP_CWORD={last}; COMP_TYPE=9
         _clap_complete_rerail rerail \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        bin = env!("CARGO_BIN_EXE_rerail"),
        words = words.join(" "),
        last = line.len(),
    );
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", &script]).current_dir(place.path()).env_clear();
    for (name, value) in place.command(&[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = command.output().expect("bash is there");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line:?}");
    String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_offers_commands_runbooks_targets_and_inputs() {
    let place = Place::new();
    place.file("targets/here.yaml", "version: 1\n");
    assert_eq!(bash(&place, &["comp"]), ["completions"]);
    assert_eq!(bash(&place, &["run", "loo"]), ["look"]);
    assert_eq!(bash(&place, &["run", "look", "--target", ""]), ["here"]);
    assert_eq!(bash(&place, &["run", "look", "-i", ""]), ["base_url=", "want="]);
    assert_eq!(bash(&place, &["run", "--yes", "set", "-i", "w"]), ["well=true", "well=false"]);
    assert_eq!(bash(&place, &["describe", "wai"]), ["wait"]);
    assert_eq!(bash(&place, &["actions", "tls"]), ["tls.inspect"]);
    assert!(!place.path().join("state").exists(), "asking for names makes no journal");
}

#[test]
fn bash_offers_runs_their_steps_and_what_can_be_said_about_them() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    let look = place.last();
    place.run(&["run", "set", "-i", &backend.input(), "-i", "path=/swallow", "--yes", "-q"]).expect(16);
    let set = place.last();
    place.run(&["run", "fix", "-i", &backend.input(), "--yes", "-q"]).expect(13);
    let fix = place.last();
    let database = place.path().join("state/journal.db");
    let before = (std::fs::read(&database).unwrap(), std::fs::read(database.with_extension("db-wal")).unwrap());
    // The flags of the command come after the runs.
    assert_eq!(bash(&place, &["show", ""])[..4], [fix.as_str(), set.as_str(), look.as_str(), "@last"]);
    assert_eq!(bash(&place, &["show", &look, "--step", "f"]), ["facts"]);
    assert_eq!(bash(&place, &["resume", &set, "--set-outcome", ""]), ["set=done", "set=not-done"]);
    assert_eq!(bash(&place, &["answer", &fix, "s"]), ["sure=safe", "sure=not safe"]);
    let after = (std::fs::read(&database).unwrap(), std::fs::read(database.with_extension("db-wal")).unwrap());
    assert!(before == after, "asking for names writes nothing");
}

#[test]
fn whatever_is_broken_completion_is_silent() {
    let place = Place::new();
    place.file("rerail.yaml", "version: 1\nnonsense: [\n");
    place.file("state/journal.db", "not a database");
    assert_eq!(bash(&place, &["show", "a"]), Vec::<String>::new());
    assert_eq!(bash(&place, &["run", "nosuch", "-i", ""]), Vec::<String>::new());
    let mut unknown = place.command(&["--", "rerail", ""]);
    let output = unknown.env("RERAIL_COMPLETE", "tcsh").output().unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0));
}

#[test]
fn other_shells_get_lines_they_can_read() {
    let place = Place::new();
    for (shell, check) in [("zsh", "-n"), ("fish", "--no-execute")] {
        let lines = place.run(&["completions", shell]).expect(0).out;
        assert!(lines.contains("RERAIL_COMPLETE"), "{shell}: {lines}");
        place.file("lines", &lines);
        // Only a check of what clap writes: CI needs no second and third shell for it.
        match Command::new(shell).arg(check).arg(place.path().join("lines")).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => eprintln!("{shell} is not installed: its syntax is not checked"),
        }
    }
    for shell in ["powershell", "elvish"] {
        assert!(place.run(&["completions", shell]).expect(0).out.contains("RERAIL_COMPLETE"), "{shell}");
    }
    place.run(&["completions", "tcsh"]).expect(2);
}

#[test]
fn zsh_and_fish_are_told_what_a_run_is() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    let mut asked = place.command(&["--", "rerail", "show", ""]);
    let output = asked.env("RERAIL_COMPLETE", "fish").output().unwrap();
    let offered = String::from_utf8(output.stdout).unwrap();
    assert!(offered.contains(&format!("{}\tlook  success  20", place.last())), "{offered}");
}

#[test]
fn the_manual_is_one_page_or_all_in_a_directory() {
    let place = Place::new();
    let page = place.run(&["man"]).expect(0).out;
    assert!(page.contains(".TH rerail 1") && page.contains("rerail\\-run(1)"), "{page}");
    place.run(&["man", "--out", "pages/man1"]).expect(0);
    for name in ["rerail.1", "rerail-run.1", "rerail-show.1"] {
        assert!(std::fs::read_to_string(place.path().join("pages/man1").join(name)).unwrap().contains(".TH"), "{name}");
    }
    place.file("taken", "");
    assert!(place.run(&["man", "--out", "taken"]).expect(1).err.contains("creating `taken` failed"));
}
