//! `rerail demo --scenario`: the shipped runbooks for real outages, from the first look to the verified fix.

use std::path::Path;
use std::process::{Command, Output};

use crate::demo::{assert_in_order, files, left_behind, rerail, text};
use crate::pty::{CTRL_C, Pty};

/// Every value of these worlds that is a secret has one of these in it.
const SECRETS: [&str; 2] = ["of-a-world-on-loopback", "demo-database-password"];

/// What a scenario shows on its way.
struct Scenario {
    name: &'static str,
    repair: &'static str,
    /// Whether a runbook that only looks is run before and after.
    looks: bool,
    /// How it ends: a cause that is found and can't be put right by a runbook is a critical finding.
    code: i32,
    /// On standard output, in this order.
    says: &'static [&'static str],
}

const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "crash-loop",
        repair: "crash-loop",
        looks: true,
        code: 0,
        says: &[
            "✗ critical",
            "Plan for crash-loop",
            "~ set ",
            "~ deploy ",
            "DATABASE_URL, NEXTAUTH_SECRET not set, as its log says",
            "backend is well again with deployment",
            "verified = true",
            "✓ deploy ",
            "healthy = true",
        ],
    },
    Scenario {
        name: "bad-deploy",
        repair: "rollback-backend",
        looks: true,
        code: 0,
        says: &[
            "✗ critical",
            "Plan for rollback-backend",
            "~ rollback ",
            "is well; before it answered 502",
            "✓ rollback ",
            "healthy = true",
        ],
    },
    Scenario {
        name: "cors",
        repair: "cors-fix",
        looks: true,
        code: 0,
        says: &[
            "Browsers block https://www.shop.example.com",
            "Strangers are let in: https://evil.example",
            "Plan for cors-fix",
            "~ set ",
            "~ deploy ",
            "Taken from the list: https://*.shop.example.com, https://evil.example",
            "verified = true",
            "✓ deploy ",
            "All origins that must work do, and no stranger is let in.",
        ],
    },
    Scenario {
        name: "mail",
        repair: "mail-down",
        looks: false,
        code: 12,
        says: &[
            "Plan for mail-down",
            "~ test ",
            "✗ critical  Messages can be sent, and the backend says that it has, but Resend got none",
            "cause = \"backend_silent\"",
            "✓ test ",
            "✗ reset ",
        ],
    },
    Scenario {
        name: "rotate",
        repair: "rotate-secrets",
        looks: true,
        code: 0,
        says: &[
            "backend has what it needs, and runs with it; the frontend fits to it.",
            "Plan for rotate-secrets",
            "NEXTAUTH_SECRET has a new value since",
            "verified = true",
            "backend has what it needs, and runs with it; the frontend fits to it.",
        ],
    },
];

fn demo(tmp: &Path, name: &str) -> Command {
    let mut command = rerail(tmp);
    command.args(["demo", "--scenario", name]);
    command
}

fn assert_no_secret(what: &str, bytes: &[u8]) {
    for secret in SECRETS {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{what} holds {secret}");
    }
}

#[test]
fn without_a_terminal_every_scenario_comes_to_its_verified_fix() {
    for scenario in &SCENARIOS {
        let tmp = tempfile::tempdir().unwrap();
        let output: Output = demo(tmp.path(), scenario.name).output().unwrap();
        let (stdout, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(scenario.code), "{}: {stdout}{stderr}", scenario.name);
        assert_in_order(&stdout, scenario.says);
        let question = format!("Start {} on demo?", scenario.repair);
        let middle = ["Rehearsal:", &question, "answers yes for itself", "Repair:", "Timeline:"];
        let again = format!("show @last:{}", scenario.repair);
        match scenario.looks {
            true => assert_in_order(&stderr, &[&["Diagnosis:"], &middle[..], &["Proof:", &again]].concat()),
            false => assert_in_order(&stderr, &[&middle[..], &["show @last "]].concat()),
        }
        assert!(
            !stdout.contains("/at ") && !stdout.contains("target/"),
            "what is inside actions is left out: {stdout}"
        );

        // The project is gone, its journal is sound, and nothing of what was secret is anywhere.
        let left = left_behind(tmp.path());
        assert!(!left.join("project").exists());
        assert_no_secret("standard output", &output.stdout);
        assert_no_secret("standard error", &output.stderr);
        for file in files(&left) {
            assert_no_secret(&file.display().to_string(), &std::fs::read(&file).unwrap());
        }
        let state = left.join("state");
        let ask = |args: &[&str]| rerail(tmp.path()).arg("--state-dir").arg(&state).args(args).output().unwrap();
        assert!(ask(&["verify"]).status.success());
        let (export, _) = text(&ask(&["export", &format!("@last:{}", scenario.repair)]));
        assert!(export.contains("the demo answered for itself"), "{export}");
    }
}

#[test]
fn machines_get_the_repair_as_one_object() {
    for scenario in &SCENARIOS {
        let tmp = tempfile::tempdir().unwrap();
        let output = demo(tmp.path(), scenario.name).arg("--json").output().unwrap();
        let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&run["outcome"], &run["runbook"]), (&"success".into(), &scenario.repair.into()));
    }
}

#[test]
fn the_help_names_every_scenario_and_another_one_is_wrong_usage() {
    let tmp = tempfile::tempdir().unwrap();
    let (help, _) = text(&rerail(tmp.path()).args(["demo", "--help"]).output().unwrap());
    let wrong = demo(tmp.path(), "no-such-thing").output().unwrap();
    let (_, said) = text(&wrong);
    assert_eq!(wrong.status.code(), Some(2), "{said}");
    for scenario in &SCENARIOS {
        assert!(help.contains(&format!("- {}: ", scenario.name)), "{help}");
        assert!(said.contains(scenario.name), "{said}");
    }
    let listed = help.lines().filter(|line| line.trim_start().starts_with("- ")).count();
    let always = ["human", "json", "jsonl", "yaml", "sarif", "junit", "auto", "always", "never"].len();
    assert!(listed >= SCENARIOS.len() && listed <= SCENARIOS.len() + always, "each is tested here: {help}");
    assert!(std::fs::read_dir(tmp.path()).unwrap().next().is_none(), "nothing was started");
}

fn at_a_terminal(tmp: &Path, name: &str) -> Pty {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rerail"));
    command.env("TMPDIR", tmp).env("HOME", tmp).env("LANG", "C.UTF-8").args(["demo", "--scenario", name]);
    Pty::start(&command, 100)
}

#[test]
fn at_a_terminal_a_no_leaves_the_world_as_it_is() {
    let tmp = tempfile::tempdir().unwrap();
    let mut session = at_a_terminal(tmp.path(), "bad-deploy");
    session.expect("Start rollback-backend on demo?");
    session.send("n\n");
    session.expect("nothing was changed");
    assert_eq!(session.exit_code(), 15);
    let state = left_behind(tmp.path()).join("state");
    let runs = rerail(tmp.path()).arg("--state-dir").arg(&state).args(["runs", "--json"]).output().unwrap();
    let runs: serde_json::Value = serde_json::from_slice(&runs.stdout).unwrap();
    let began: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["runbook"].as_str().unwrap()).collect();
    assert_eq!(began, ["backend-down"], "the look alone");
}

#[test]
fn ctrl_c_stops_the_repair_of_a_scenario_and_says_how_it_stands() {
    let tmp = tempfile::tempdir().unwrap();
    let mut session = at_a_terminal(tmp.path(), "crash-loop");
    session.expect("Start crash-loop on demo?");
    session.send("y\n");
    // It waits for the build now.
    session.expect("of 20:00");
    session.send(CTRL_C);
    session.expect("stopping after what is running");
    assert_eq!(session.exit_code(), 15);
}
