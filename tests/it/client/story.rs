//! The same story told on one machine and with a server: the same words, shapes and exit codes.

use regex::Regex;
use serde_json::json;

use crate::binary::kit::{Ledger, Place, Said, answer};
use crate::client::moving::through;
use crate::serve::kit::Served;

const SET: &str = "
meaning: A variable is wrong.
inputs: { base: { type: url }, well: { type: bool, default: true } }
steps:
  - { id: seen, uses: http.request, with: { method: GET, url: '${{ inputs.base }}/' } }
  - id: set
    if: steps.seen.outputs.status == 200
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: set }
  - id: right
    assert: [{ that: inputs.well, else: it is not right }]
  - id: told
    findings: [{ when: true, level: warning, say: It was set. }]
outputs: { status: '${{ steps.set.outputs.status }}' }
";

const DESTROY: &str = "
steps:
  - { id: gone, uses: http.request, with: { method: DELETE, url: 'http://127.0.0.1:9/x' }, effect: destructive }
";

/// Who asks, through a server or not, and whose journal it ends up in.
struct Told<'p> {
    place: &'p Place,
    server: Option<String>,
    project: &'p Place,
}

impl Told<'_> {
    fn ask(&self, args: &[&str]) -> Said {
        let through: Vec<&str> = self.server.iter().flat_map(|server| ["--server", server.as_str()]).collect();
        self.place.ask(&[args, &through].concat())
    }

    /// The text with what differs from run to run and from way to way made the same.
    fn plain(&self, text: &str) -> String {
        let runs = self.project.json(&["runs", "--limit", "1000"]);
        let ids = runs.as_array().unwrap().iter().map(|row| row["run"].as_str().unwrap());
        ids.fold(plain(text), |text, id| text.replace(id, "RUNID"))
    }
}

/// What differs from run to run and from way to way, made the same.
fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, put) in [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
        (r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?Z", "TIME"),
        (r"\d{2}:\d{2}:\d{2}(\.\d+)?Z?", "CLOCK"),
        (r"sha256:[0-9a-f]{64}", "DIGEST"),
        (r"[0-9a-f]{64}", "HASH"),
        (r"127\.0\.0\.1:\d+", "HOST"),
        (r#""(port|ms|fence|number)": ?\d+"#, "\"$1\":N"),
        (r"\b\d+(\.\d+)? ?(ms|s)\b", "SPAN"),
        (r"\bms(:| =) \d+", "ms N"),
        (r"UUID:set:[0-9a-f]{16}", "KEY"),
        // Which one of its store it is, is not known yet when whoever drives a run shows its first event.
        (r#","store":\{[^}]*\}"#, ""),
        (r" via http\b", ""),
        (r#""via": ?"(cli|http)""#, "\"via\":\"WAY\""),
        // Where it stands: another directory each, and a key of its own.
        (r"/tmp/[^ \x22']*", "/TMP"),
        (r"rerail-checkpoint[^\n\x22]*", "CHECKPOINT"),
        (r"(?m)^signed .*$", "SIGNED"),
        (r"[ \u{2500}-\u{259f}]{2,}", "  "),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, put).into_owned();
    }
    text
}
#[test]
fn a_server_tells_the_same_story_as_the_journal() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let told = || Place::new().runbook("set", SET).runbook("destroy", DESTROY).runbook("broken", "steps: 7\n");
    let (mine, project, client) = (told(), told(), Place::new());
    let here = Told { place: &mine, server: None, project: &mine };
    let server = Served::start(&project, "a.sock");
    // The client has no project and no journal of its own.
    let there = Told { place: &client, server: Some(through(&server.socket)), project: &project };
    let base = format!("base={}", ledger.url);
    let base = base.as_str();
    let story: &[(i32, &[&str])] = &[
        (0, &["list", "variable", "wrong"]),
        (0, &["list", "wrong", "-o", "json"]),
        (0, &["describe", "set"]),
        (0, &["describe", "set", "-o", "json"]),
        (0, &["run", "set", "-i", base, "--dry-run"]),
        (20, &["run", "set", "-i", base, "--dry-run", "--detailed-exitcode", "--ascii"]),
        (2, &["run", "set", "-i", base]),
        (2, &["run", "set", "-i", "base=nonsense", "--yes"]),
        (2, &["run", "set", "-i", base, "-i", "more=1", "--yes"]),
        (2, &["run", "no-such-book"]),
        (2, &["run", "destroy", "--yes"]),
        (2, &["run", "destroy", "--confirm", "other"]),
        (0, &["run", "set", "-i", base, "--yes"]),
        (0, &["run", "set", "-i", base, "--yes", "-o", "json", "--incident", "INC-1", "--reason", "a test"]),
        (0, &["run", "set", "-i", base, "--yes", "-o", "jsonl"]),
        (0, &["run", "set", "-i", base, "--yes", "--quiet"]),
        (11, &["run", "set", "-i", base, "-i", "well=false", "--yes"]),
        (0, &["runs", "--limit", "3"]),
        (0, &["runs", "--runbook", "set", "--incident", "INC-1", "-o", "jsonl"]),
        (0, &["runs", "--status", "failed", "--mine"]),
        (2, &["runs", "--since", "tomorrow"]),
        (0, &["show", "@last"]),
        (0, &["show", "@last:set", "-o", "yaml"]),
        (0, &["show", "@last", "-o", "jsonl"]),
        (0, &["show", "@last", "--step", "set"]),
        (2, &["show", "@last", "--step", "sett"]),
        (0, &["show", "@last", "--why"]),
        (0, &["show", "@last", "--why", "set", "--ascii"]),
        (2, &["show", "@last", "--why", "sett"]),
        (11, &["show", "@last", "--follow"]),
        (2, &["show", "zzzzzz"]),
        (0, &["export", "@last"]),
        (0, &["export", "@last", "-o", "jsonl"]),
        (0, &["diff", "@last", "@last:set", "--exit-code"]),
        (0, &["note", "@last", "TODO:", "look", "again"]),
        (2, &["note", "@last", " "]),
        (2, &["cancel", "@last"]),
        (2, &["pause", "@last"]),
        (2, &["answer", "@last", "answer=yes"]),
        (2, &["approve", "@last", "--yes", "--change", "0123456789ab"]),
        (2, &["resume", "@last", "--reason", "again"]),
        (0, &["approvals"]),
        (0, &["approvals", "--mine", "-o", "json"]),
        (0, &["hold", "status"]),
        (0, &["hold", "on", "--reason", "a freeze"]),
        (0, &["hold", "on", "--reason", "another"]),
        (18, &["run", "set", "-i", base, "--yes"]),
        (0, &["hold", "status", "-o", "json"]),
        (0, &["hold", "off"]),
        (0, &["hold", "off"]),
    ];
    let mut wrong = Vec::new();
    for (code, args) in story {
        let (mine, theirs) = (here.ask(args), there.ask(args));
        let args = args.join(" ");
        for (what, mine, theirs) in [
            ("code", format!("{:?}", mine.code()), format!("{:?}", theirs.code())),
            ("stdout", here.plain(&mine.stdout), there.plain(&theirs.stdout)),
            ("stderr", here.plain(&mine.stderr), there.plain(&theirs.stderr)),
        ] {
            if mine != theirs {
                wrong.push(format!("rerail {args}: {what}\n--- here\n{mine}\n--- there\n{theirs}"));
            }
        }
        if mine.code() != Some(*code) {
            wrong.push(format!("rerail {args}: {:?}, expected {code}\n{}{}", mine.code(), mine.stdout, mine.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}\n\n{} differ", wrong.join("\n\n"), wrong.len());
    assert!(client.events().is_empty(), "nothing of it came into a journal of the client");
}

#[test]
fn what_only_works_on_its_own_machine_says_so() {
    let place = Place::new().runbook("set", SET);
    let server = Served::start(&place, "a.sock");
    let address = format!("unix:{}", server.socket.display());
    for args in [
        ["check"].as_slice(),
        &["new", "runbook", "mine"],
        &["doctor"],
        &["prune", "@last", "--reason", "x"],
        &["serve"],
        &["eval", "1", "--run", "@last"],
    ] {
        let said = place.ask(&[args, &["--server", &address]].concat());
        assert_eq!(said.code(), Some(2), "{args:?}: {}", said.stderr);
    }
    let said = place.ask(&["check", "--server", &address]).exits(2);
    assert!(said.stderr.contains("leave --server and RERAIL_SERVER out"), "{}", said.stderr);
    place.ask(&["run", "runbooks/set.yaml", "--server", &address]).exits(2).says(&["is a file of this machine"]);
    place.ask(&["whoami", "--server", &address, "--as", "ana"]).exits(2);
    place.ask(&["whoami", "--ca", "x.pem"]).exits(2);
    // The environment says it as well, and nothing is not an address.
    let known = Place::new().env("RERAIL_SERVER", address.as_str());
    assert_eq!(known.ask(&["list", "-o", "json"]).exits(0).stdout, place.ask(&["list", "-o", "json"]).exits(0).stdout);
    Place::new().env("RERAIL_SERVER", "").ask(&["check"]).exits(0);
}
