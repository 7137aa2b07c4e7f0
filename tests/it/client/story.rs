//! The same story told on one machine and with a server: the same words, shapes and exit codes.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::json;

use crate::binary::kit::{Ledger, Place, Said, answer};
use crate::client::kit::through;
use crate::client::tls::Files;
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

const UNDONE: &str = "
inputs: { base: { type: url } }
steps:
  - id: set
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: done }
    undo: { uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: undone } }
";

const DESTROY: &str = "
steps:
  - { id: gone, uses: http.request, with: { method: DELETE, url: 'http://127.0.0.1:9/x' }, effect: destructive }
";

/// Who asks, through a server or not, and whose journal it ends up in.
struct Told<'p> {
    place: &'p Place,
    /// The arguments that name the server.
    server: Vec<String>,
    project: &'p Place,
}

impl Told<'_> {
    fn ask(&self, args: &[&str]) -> Said {
        let server: Vec<&str> = self.server.iter().map(String::as_str).collect();
        self.place.ask(&[args, &server].concat())
    }

    /// The text with what differs from run to run and from way to way made the same.
    fn plain(&self, text: &str) -> String {
        let runs = self.project.json(&["runs", "--limit", "1000"]);
        let ids = runs.as_array().unwrap().iter().map(|row| row["run"].as_str().unwrap());
        // Where YAML would read an id as a number it stands in quotes.
        ids.fold(plain(text), |text, id| text.replace(&format!("'{id}'"), "RUNID").replace(id, "RUNID"))
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
        (r" via http\b", ""),
        (r#""via": ?"(cli|http)""#, "\"via\":\"WAY\""),
        // Where it stands: another directory each, and a key of its own.
        (r"/tmp/[^ \x22']*", "/TMP"),
        (r"rerail-checkpoint[^\n\x22]*", "CHECKPOINT"),
        (r"(?m)^signed .*$", "SIGNED"),
        (r"applies plan [0-9a-f]{12}", "applies plan DIGEST"),
        (r"rerail-ed25519:[\w-]{43}", "KEY"),
        (r"[ \u{2500}-\u{259f}]{2,}", "  "),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, put).into_owned();
    }
    text
}
#[test]
fn a_server_tells_the_same_story_as_the_journal() {
    let project = project();
    let server = Served::start(&project, "a.sock");
    told_alike(&project, vec!["--server".to_owned(), through(&server.socket)]);
}

#[test]
fn a_server_tells_the_same_story_over_the_network() {
    let project = project();
    let files = Files::beside(&project, &["localhost"]);
    let server = Served::with(&project, "a.sock", &files.args("127.0.0.1:0"));
    let address = format!("https://localhost:{}", server.port);
    let token = project.state().join("server.token").display().to_string();
    let ca = files.cert.display().to_string();
    told_alike(&project, ["--server", &address, "--token-file", &token, "--ca", &ca].map(str::to_owned).into());
}

fn project() -> Place {
    let place = Place::new().runbook("set", SET).runbook("undone", UNDONE).runbook("destroy", DESTROY);
    place.runbook("broken", "steps: 7\n")
}

/// Asks everything of STORY here and there: what is said differs in nothing but names, times and places.
fn told_alike(project: &Place, server: Vec<String>) {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let (mine, client) = (self::project(), Place::new());
    let here = Told { place: &mine, server: Vec::new(), project: &mine };
    // The client has no project and no journal of its own.
    let there = Told { place: &client, server, project };
    let base = format!("base={}", ledger.url);
    let base = base.as_str();
    let story = story(base);
    let mut wrong = Vec::new();
    for (code, args) in &story {
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

/// Every command that works with a server, each in the ways that differ.
fn story(base: &str) -> Vec<(i32, Vec<&str>)> {
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
        // Before a run is held: a server takes that up once the hold is lifted.
        (0, &["verify"]),
        (0, &["verify", "@last"]),
        (0, &["verify", "-o", "json"]),
        (0, &["hold", "status"]),
        (0, &["hold", "on", "--reason", "a freeze"]),
        (0, &["hold", "on", "--reason", "another"]),
        (18, &["run", "set", "-i", base, "--yes"]),
        (0, &["hold", "status", "-o", "json"]),
        (0, &["hold", "off"]),
        (0, &["hold", "off"]),
        (2, &["plan", "set", "-i", base, "--out", "rerail.yaml"]),
        (2, &["plan", "no-such-book", "--out", "a.plan"]),
        (10, &["plan", "set", "-i", "base=http://127.0.0.1:1", "--out", "bad.plan"]),
        (0, &["plan", "set", "-i", base, "--out", "a.plan", "--reason", "a test"]),
        (20, &["plan", "set", "-i", base, "--out", "b.plan", "--detailed-exitcode", "-o", "json", "--expires", "90m"]),
        (0, &["plan", "set", "-i", base, "--out", "b.plan", "-o", "jsonl", "--ascii"]),
        (0, &["plan", "destroy", "--out", "destroy.plan"]),
        (2, &["apply", "missing.plan"]),
        (3, &["apply", "rerail.yaml"]),
        (2, &["apply", "a.plan"]),
        (2, &["apply", "destroy.plan", "--yes"]),
        (2, &["apply", "destroy.plan", "--confirm", "other"]),
        (0, &["apply", "a.plan", "--yes", "--reason", "as planned"]),
        (17, &["apply", "a.plan", "--yes"]),
        (0, &["apply", "a.plan", "--yes", "--again", "-o", "json"]),
        (0, &["diff", "a.plan", "@last", "--exit-code"]),
        (0, &["diff", "a.plan", "@last", "-o", "json"]),
        (0, &["run", "undone", "-i", base, "--yes"]),
        (21, &["diff", "a.plan", "@last", "--exit-code", "--ascii"]),
        (2, &["diff", "a.plan", "zzzzzz"]),
        (0, &["undo", "@last", "--dry-run"]),
        (2, &["undo", "@last"]),
        (2, &["take", "@last", "--yes"]),
        (0, &["undo", "@last", "--yes", "--reason", "a test"]),
        (0, &["undo", "@last"]),
        (2, &["reject", "@last", "-m", "no"]),
        (2, &["verify", "zzzzzz"]),
        (2, &["verify", "--checkpoint", "rerail.yaml"]),
        (0, &["whoami"]),
        (0, &["whoami", "-o", "json"]),
    ];
    story.iter().map(|(code, args)| (*code, args.to_vec())).collect()
}

/// What a command does with a server.
enum How {
    /// The same: it is in the story.
    Alike,
    /// It tells what the server's machine is: other things than this one.
    Differs,
    /// It is refused, and says why in these words.
    Refused(&'static str),
    /// It needs no runs.
    Itself,
}

/// Every command; a new one fails until it has a row.
const COMMANDS: &[(&str, How, &[&str])] = &[
    ("run", How::Alike, &[]),
    ("plan", How::Alike, &[]),
    ("apply", How::Alike, &[]),
    ("resume", How::Alike, &[]),
    ("take", How::Alike, &[]),
    ("undo", How::Alike, &[]),
    ("cancel", How::Alike, &[]),
    ("pause", How::Alike, &[]),
    ("hold", How::Alike, &[]),
    ("list", How::Alike, &[]),
    ("describe", How::Alike, &[]),
    ("runs", How::Alike, &[]),
    ("show", How::Alike, &[]),
    ("diff", How::Alike, &[]),
    ("export", How::Alike, &[]),
    ("graph", How::Refused("reads the files themselves"), &["set"]),
    ("eval", How::Refused("only what may be shown"), &["1"]),
    ("verify", How::Alike, &[]),
    ("checkpoint", How::Refused("the key that signs"), &[]),
    ("prune", How::Refused("nobody elsewhere can bring back"), &["@last", "--reason", "x"]),
    ("approvals", How::Alike, &[]),
    ("triggers", How::Refused("stand in the project's files"), &[]),
    ("approve", How::Alike, &[]),
    ("reject", How::Alike, &[]),
    ("answer", How::Alike, &[]),
    ("note", How::Alike, &[]),
    ("check", How::Refused("files before anybody has them"), &[]),
    ("test", How::Refused("files before anybody has them"), &[]),
    ("record", How::Refused("only what may be shown"), &["@last"]),
    ("replay", How::Refused("only what may be shown"), &["@last"]),
    ("actions", How::Refused("reads the files themselves"), &[]),
    ("docs", How::Refused("reads the files themselves"), &["--out", "x"]),
    ("new", How::Refused("files before anybody has them"), &["runbook", "mine"]),
    ("schema", How::Refused("reads the files themselves"), &["runbook"]),
    ("doctor", How::Differs, &[]),
    ("token", How::Refused("the server needs its digest"), &["new", "ana"]),
    ("whoami", How::Alike, &[]),
    ("link", How::Refused("proved there by the operating system"), &["--list"]),
    ("serve", How::Refused("the journal of its own machine"), &[]),
    ("mcp", How::Refused("at its /mcp"), &[]),
    ("login-link", How::Refused("proved there by the operating system"), &[]),
    ("secrets", How::Refused("where runs are driven"), &["list"]),
    ("explain", How::Itself, &["secrets"]),
    ("completions", How::Itself, &["bash"]),
    ("man", How::Itself, &[]),
    ("demo", How::Itself, &["--help"]),
    ("version", How::Itself, &[]),
];

#[test]
fn every_command_does_the_same_with_a_server_or_says_why_not() {
    let place = Place::new().runbook("set", SET);
    let server = Served::start(&place, "a.sock");
    let address = through(&server.socket);
    let command = rerail::surfaces::cli::command();
    let known: BTreeSet<&str> = command.get_subcommands().map(|command| command.get_name()).collect();
    let rows: BTreeSet<&str> = COMMANDS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(rows, known, "each command has one row");
    let story = story("base=http://127.0.0.1:1");
    for (name, how, args) in COMMANDS {
        let here = || place.ask(&[&[*name], *args].concat());
        let there = || place.ask(&[&[*name], *args, &["--server", &address]].concat());
        match how {
            How::Alike => {
                let told: Vec<i32> = story.iter().filter(|(_, args)| args[0] == *name).map(|(code, _)| *code).collect();
                assert!(!told.is_empty(), "`{name}` is not in the story");
            }
            How::Refused(why) => {
                let said = there().exits(2);
                let line = format!("this machine, not with those of {address}: ");
                assert!(said.stderr.contains(&line) && said.stderr.contains(why), "{name}: {}", said.stderr);
                assert!(
                    said.stderr.contains("leave --server and RERAIL_SERVER out") && said.stdout.is_empty(),
                    "{name}"
                );
            }
            How::Differs => drop(there().exits(0)),
            How::Itself => {
                let (mine, theirs) = (here(), there());
                assert_eq!((mine.code(), mine.stdout), (theirs.code(), theirs.stdout), "{name}");
            }
        }
    }
    place.ask(&["doctor", "--target", "x", "--online", "--server", &address]).exits(2).says(&["on its own"]);
}

#[test]
fn what_is_no_server_and_what_is_no_name_is_refused() {
    let place = Place::new().runbook("set", SET);
    let server = Served::start(&place, "a.sock");
    let address = format!("unix:{}", server.socket.display());
    place.ask(&["run", "runbooks/set.yaml", "--server", &address]).exits(2).says(&["is a file of this machine"]);
    place.ask(&["plan", "runbooks/set.yaml", "--out", "a.plan", "--server", &address]).exits(2);
    place.ask(&["whoami", "--server", &address, "--as", "ana"]).exits(2);
    place.ask(&["whoami", "--ca", "x.pem"]).exits(2);
    // The environment says it as well, and nothing is not an address.
    let known = Place::new().env("RERAIL_SERVER", address.as_str());
    assert_eq!(known.ask(&["list", "-o", "json"]).exits(0).stdout, place.ask(&["list", "-o", "json"]).exits(0).stdout);
    Place::new().env("RERAIL_SERVER", "").ask(&["check"]).exits(0);
}

#[test]
fn a_checkpoint_that_was_kept_here_is_held_against_the_journal_of_a_server() {
    let (place, other, client) = (Place::new().runbook("say", SAY), Place::new().runbook("say", SAY), Place::new());
    let line = |place: &Place| {
        let json = place.ask(&["run", "say", "-o", "json"]).exits(0).json();
        json["checkpoint"].as_str().unwrap().to_owned()
    };
    let (own, strange) = (line(&place), line(&other));
    let server = Served::start(&place, "a.sock");
    let address = through(&server.socket);
    for kept in [&own, &strange] {
        let here = place.ask(&["verify", "--checkpoint", kept]);
        let there = client.ask(&["verify", "--checkpoint", kept, "--server", &address]);
        assert_eq!((here.code(), here.stdout, here.stderr), (there.code(), there.stdout, there.stderr));
        assert_eq!(there_code(&client, &address, kept), if kept == &own { 0 } else { 5 });
    }
}

fn there_code(client: &Place, address: &str, kept: &str) -> i32 {
    client.ask(&["verify", "-o", "json", "--checkpoint", kept, "--server", address]).code().unwrap()
}

const SAY: &str = "
steps:
  - { id: said, uses: run.note, with: { text: done } }
";
