//! The client that others write agents with: the official one for Python, over both ways in.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use super::kit::{project, written};
use crate::binary::kit::Place;
use crate::serve::kit::Served;
use crate::services::skipped;

/// A Python that has the package, of the place that its program `mcp` stands in.
fn python() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folder = std::env::split_paths(&path).find(|folder| folder.join("mcp").exists());
    if folder.is_none() {
        skipped("`mcp` (PyPI), the official client of the Model Context Protocol, is not installed");
    }
    Some(folder?.join("python3"))
}

/// Has the client talk as a script says, agrees to the change that it waits with, and gives all that was said.
fn session(place: &Place, script: &str, arguments: &[&str]) -> Option<String> {
    let script = format!("{}/tests/it/mcp/{script}", env!("CARGO_MANIFEST_DIR"));
    // The environment of the program: what it starts has it as well.
    let like = place.rerail(&[]);
    let mut command = Command::new(python()?);
    command.arg(script).args(arguments).env_clear().current_dir(place.project());
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(waits) = line.strip_prefix("= ") {
            let waits: Json = serde_json::from_str(waits).unwrap();
            let (run, change) = (waits["run"].as_str().unwrap(), waits["waits"].as_str().unwrap());
            assert_eq!(written(place), None, "nothing is written before a person agrees");
            place.ask(&["approve", run, "--yes", "--change", change]).exits(0);
            writeln!(child.stdin.as_mut().unwrap(), "agreed").unwrap();
        }
        told.push_str(&line);
        told.push('\n');
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    Some(told)
}

#[test]
fn the_official_client_lists_plans_starts_and_waits_for_a_person() {
    let place = project();
    let Some(told) = session(&place, "sdk.py", &["stdio", env!("CARGO_BIN_EXE_rerail")]) else { return };
    assert_eq!(written(&place).as_deref(), Some("back on its rails"));
    assert!(told.contains("\"refused\": true") && told.contains("\"plan_hash\": \"sha256:"), "{told}");
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/mcp-sdk-session.txt"), told).unwrap();
}

#[test]
fn the_official_client_does_the_same_at_a_server() {
    let place = project();
    let server = Served::start(&place, "a.sock");
    let token = std::fs::read_to_string(place.state().join("server.token")).unwrap();
    let address = format!("http://127.0.0.1:{}/mcp", server.port);
    if session(&place, "sdk.py", &["http", &address, token.trim()]).is_some() {
        assert_eq!(written(&place).as_deref(), Some("back on its rails"));
    }
}

/// It asks, and then it writes.
fn asks_and_writes() -> Place {
    let steps = "  - { id: ready, uses: human.ask, with: { text: Ready?, choices: ['yes', 'no'] } }\n  - { id: put, uses: file.write, with: { path: out/a, text: '${{ inputs.text }}' } }\n";
    project().runbook("both", &format!("inputs: {{ text: {{ type: string }} }}\nsteps:\n{steps}"))
}

#[test]
fn the_official_client_is_given_a_run_as_a_task_and_asks_its_person_through_it() {
    let place = asks_and_writes();
    let Some(told) = session(&place, "sdk_tasks.py", &["stdio", env!("CARGO_BIN_EXE_rerail")]) else { return };
    assert_eq!(written(&place).as_deref(), Some("back on its rails"));
    let marks = [
        "\"elicited\": \"both/",
        "\"status\": \"input_required\"",
        "\"status\": \"completed\"",
        "\"outcome\": \"success\"",
    ];
    for mark in marks {
        assert!(told.contains(mark), "no {mark} in {told}");
    }
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/mcp-sdk-tasks.txt"), told).unwrap();
}

#[test]
fn the_official_client_is_given_a_task_by_a_server_as_well() {
    let place = asks_and_writes();
    let server = Served::start(&place, "a.sock");
    let token = std::fs::read_to_string(place.state().join("server.token")).unwrap();
    let address = format!("http://127.0.0.1:{}/mcp", server.port);
    if session(&place, "sdk_tasks.py", &["http", &address, token.trim()]).is_some() {
        assert_eq!(written(&place).as_deref(), Some("back on its rails"));
    }
}
