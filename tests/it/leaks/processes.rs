//! What other processes of the machine can see of ours while it works: `ps`, `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::search::{Search, canary};
use crate::binary::kit::{Living, Place, until};

const SETTINGS: &str = "version: 1
allow:
  exec:
    - { argv: [sh, wait.sh, '*'], effect: read, env: [GIVEN] }
  secret_commands:
    - { argv: [sh, print.sh] }
";

/// Four children at a time, held until the test has looked.
const STEPS: &str = r#"
secrets: [STDIN, GIVEN, HEADER, PRINTED]
steps:
  - id: all
    parallel:
      - { id: stdin, uses: exec.run, with: { argv: [sh, wait.sh, stdin], stdin: "${{ secrets.STDIN }}" } }
      - { id: given, uses: exec.run, with: { argv: [sh, wait.sh, given], env: { GIVEN: "${{ secrets.GIVEN }}" } } }
      - { id: plain, uses: exec.run, with: { argv: [sh, wait.sh, plain] } }
      - { id: header, uses: http.request, with: { method: GET, url: "http://127.0.0.1:PORT/", timeout: 60s, headers: { X-Key: "Basic ${{ base64(secrets.HEADER) }}" } } }
      - { id: printed, uses: exec.run, with: { argv: [sh, wait.sh, printed], stdin: "${{ secrets.PRINTED }}" } }
"#;

/// Its standard input is open and read only once the test has looked.
const WAIT: &str = r#"echo "$$" > "started-$1"; read -r go < go-"$1"; cat; echo "done $1""#;

/// A process and all below it.
fn family(pid: u32) -> BTreeSet<u32> {
    let mut family = BTreeSet::from([pid]);
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    loop {
        let before = family.len();
        let more: Vec<u32> =
            parents.iter().filter(|(_, parent)| family.contains(parent)).map(|(pid, _)| *pid).collect();
        family.extend(more);
        if family.len() == before {
            return family;
        }
    }
}

#[test]
fn nobody_sees_a_secret_among_arguments_and_environments() {
    let values: BTreeMap<String, String> =
        ["STDIN", "GIVEN", "HEADER", "PRINTED"].map(|name| (name.to_owned(), canary(name))).into();
    let search = Search::of(&values);
    // Accepts and stays silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut place = Place::new()
        .file("rerail.yaml", SETTINGS)
        .runbook("wait", &STEPS.replace("PORT", &port.to_string()))
        .file("wait.sh", WAIT)
        .file("print.sh", "cat printed")
        .file("printed", &values["PRINTED"])
        .file(
            "targets/here.yaml",
            "version: 1\nsecrets:\n  STDIN: { from: file, path: stdin }\n  GIVEN: { from: file, path: given }\n  \
             HEADER: { from: file, path: header }\n  PRINTED: { from: command, argv: [sh, print.sh] }\n",
        );
    for name in ["STDIN", "GIVEN", "HEADER"] {
        place = place.file(&name.to_lowercase(), &values[name]);
    }
    let children = ["stdin", "given", "plain", "printed"];
    for name in children {
        let fifo = place.project().join(format!("go-{name}"));
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    }
    let mut run = Living::start(&place, &["run", "wait", "--target", "here", "--yes"]);
    let started = |name: &str| place.project().join(format!("started-{name}"));
    let pid_of = |path: &Path| std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
    until("all commands have started", || children.iter().all(|name| pid_of(&started(name)).is_some()));
    let (_held, _) = silent.accept().unwrap();

    let given = pid_of(&started("given")).unwrap();
    let family = family(run.pid());
    for name in children {
        assert!(family.contains(&pid_of(&started(name)).unwrap()), "{name} was looked at");
    }
    let mut declared = 0;
    for pid in family {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        search.assert_clean(&format!("the command line of {pid}"), &read("cmdline"));
        search.assert_clean(&format!("the name of {pid}"), &read("comm"));
        let environment = read("environ");
        match search.hit(&environment) {
            // The one step that says so, and only there.
            Some(hit) if pid == given => {
                assert!(hit.starts_with("GIVEN in form"), "{hit}");
                declared += 1;
            }
            Some(hit) => panic!("the environment of {pid} holds {hit}"),
            None => {}
        }
        let names: Vec<String> = String::from_utf8_lossy(&environment)
            .split('\0')
            .filter_map(|variable| Some(variable.split_once('=')?.0.to_owned()))
            .collect();
        assert!(pid == run.pid() || !names.iter().any(|name| name.starts_with("RERAIL")), "{pid}: {names:?}");
    }
    assert_eq!(declared, 1, "what is declared arrives, so the search would have found the others");
    for name in children {
        std::fs::write(place.project().join(format!("go-{name}")), "go\n").unwrap();
    }
    drop((_held, silent));
    let said = run.ends();
    search.assert_clean("standard output", said.stdout.as_bytes());
    search.assert_clean("standard error", said.stderr.as_bytes());
    super::sinks::disk(&place, &search);
}
