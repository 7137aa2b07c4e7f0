//! A broken invariant may quote the value that broke it.

use std::collections::BTreeMap;

use serde_json::json;

use super::search::{Search, canary};
use super::sinks::{ask, disk};
use crate::binary::kit::{Ledger, Place, answer};

const STEPS: &str = "
secrets: [TOKEN]
steps:
  - id: one
    uses: http.request
    with: { method: POST, url: 'URL', text: '${{ secrets.TOKEN }}' }
";

#[test]
fn a_panic_says_no_secret_in_its_message_or_its_backtrace() {
    let token = canary("C21");
    let search = Search::of(&BTreeMap::from([("C21".to_owned(), token.clone())]));
    // Where a step stands before its first byte, and where its outcome is taken up by the engine's thread.
    for (point, code, says) in [("http.connected", 10, "ended in a panic"), ("driver.outcome", 1, "ended in a panic")] {
        let ledger = Ledger::serve(|_, stream| answer(stream, &json!({"ok": true})));
        let place = Place::new()
            .runbook("one", &STEPS.replace("URL", &ledger.url))
            .file("targets/here.yaml", "version: 1\nsecrets: { TOKEN: { from: file, path: token } }\n")
            .file("token", &token)
            .env("RERAIL_PANIC_AT", format!("{point}=called `unwrap()` on {token:?} after\n{token}"))
            .env("RUST_BACKTRACE", "full");
        let said = ask(&place, &search, &["run", "one", "--target", "here", "--yes"]);
        assert!(matches!(said.code(), Some(exit) if exit != 0), "{point}: {said:?}");
        let said =
            said.says(&["error: rerail has a bug: thread ", "called `unwrap()` on \"[redacted:TOKEN]\" after", says]);
        assert!(
            said.stderr.contains("src/failpoint.rs:") && said.stderr.contains("rerail::"),
            "{code}: {}",
            said.stderr
        );
        disk(&place, &search);
    }
}
