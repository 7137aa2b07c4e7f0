//! What people read of each shipped runbook, rehearsed and run in a world of its own: kept below `target/tmp/transcripts`, to be
//! looked at without a world.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::binary::kit::{Place, Said};
use crate::runbooks::stems;
use crate::servers::{Http, healthy};
use crate::{backups, incidents};

/// Shown by `rerail demo`, with a world that the program has with it.
const OF_THE_DEMO: &str = "demo";

/// Of one runbook: commands, and what each printed.
pub struct Transcript {
    runbook: String,
    text: String,
}

impl Transcript {
    /// Rehearses a runbook and keeps what was printed; then the run, of which this is the beginning. `codes` are how it may leave.
    #[track_caller]
    pub fn begun(ask: impl Fn(&[&str]) -> Said, runbook: &str, inputs: &[String], codes: &[i32]) -> Transcript {
        let mut args = vec!["run", runbook];
        args.extend(inputs.iter().flat_map(|input| ["-i", input.as_str()]));
        args.extend(["--target", "here"]);
        let mut rehearsed = Transcript { runbook: runbook.to_owned(), text: String::new() };
        rehearsed.goes_on(&ask, &[&args[..], &["--dry-run"]].concat(), &[0]);
        rehearsed.keep("dry-run");
        let mut run = Transcript { runbook: runbook.to_owned(), text: String::new() };
        run.goes_on(&ask, &[&args[..], &["--yes", "--confirm", "here"]].concat(), codes);
        run
    }

    /// One command more.
    #[track_caller]
    pub fn goes_on(&mut self, ask: impl Fn(&[&str]) -> Said, args: &[&str], codes: &[i32]) {
        let said = ask(args);
        assert!(said.code().is_some_and(|code| codes.contains(&code)), "{}: {said:?}", self.runbook);
        let printed = [said.stderr.as_str(), said.stdout.as_str()].concat();
        self.text += &format!("$ rerail {}\n{printed}\n", args.join(" "));
    }

    /// Writes it down.
    pub fn ends(self) {
        self.keep("run");
    }

    fn keep(&self, kind: &str) {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(folder().join(format!("{}.{kind}.txt", self.runbook)), &self.text).unwrap();
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("transcripts")
}

/// Those that only look, at a backend that is well as far as one can be without TLS.
fn looks() {
    let server = Http::serve(healthy());
    let base = format!("base_url={}", server.url);
    let url = format!("url={}/health", server.url);
    for (runbook, inputs, code) in [
        ("backend-down", vec![base.as_str()], 0),
        ("cors-errors", vec![base.as_str(), "origins=https://shop.example.com"], 12),
        ("verify-deployment", vec![base.as_str()], 0),
        ("readiness", vec![base.as_str()], 12),
        ("watch", vec![url.as_str(), "every=1ms", "looks=3"], 0),
        ("maintenance-weekly", vec![base.as_str(), "samples=2"], 0),
    ] {
        let place = Place::new().file("targets/here.yaml", "version: 1\ntitle: Here\n");
        let inputs: Vec<String> = inputs.into_iter().map(str::to_owned).collect();
        Transcript::begun(|args| place.ask(args), runbook, &inputs, &[code]).ends();
    }
}

#[test]
fn every_shipped_runbook_is_rehearsed_and_run_and_what_people_read_is_kept() {
    std::fs::remove_dir_all(folder()).ok();
    looks();
    incidents::told::all();
    let untold: BTreeSet<&str> = backups::told::all().into_iter().chain([OF_THE_DEMO]).collect();
    for runbook in stems("runbooks").into_iter().filter(|name| !untold.contains(name.as_str())) {
        for kind in ["dry-run", "run"] {
            let path = folder().join(format!("{runbook}.{kind}.txt"));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(text.starts_with(&format!("$ rerail run {runbook}")), "{text}");
        }
    }
}
