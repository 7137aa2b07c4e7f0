//! The forty cases, each with what is promised and the test that proves it. A case without a row, a row without its test,
//! and a limit that `rerail explain secrets` doesn't tell fail here.

use std::collections::BTreeSet;

use By::{Echo, Test, Told};
use Class::{NotPromised, Prevented, Promised, Withheld};

use crate::binary::kit::Place;
use crate::house::{files_below, root};

/// What is said of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Nothing is seen.
    Promised,
    /// It can't be expressed, or is refused.
    Prevented,
    /// Such a value is no secret at all.
    Withheld,
    NotPromised,
}

/// What proves it.
#[derive(Clone, Copy, Debug)]
enum By {
    /// A slot of the run in `echoes.rs`.
    Echo(&'static str),
    /// A test of this name.
    Test(&'static str),
    /// Words of `rerail explain secrets`.
    Told(&'static str),
}

const CASES: &[(u8, &str, Class, By)] = &[
    (1, "plain in a body, as a key as well", Promised, Echo("C01")),
    (2, "base64, alignment 0", Promised, Echo("C02")),
    (3, "base64, alignment 1", Promised, Echo("C03")),
    (4, "base64, alignment 2", Promised, Echo("C04")),
    (5, "base64 url-safe, three alignments, no padding", Promised, Echo("C05")),
    (6, "base64 wrapped at 64 and 76 columns", Promised, Echo("C06")),
    (7, "base64 of base64", Promised, Echo("C07")),
    (7, "deeper or mixed layers", NotPromised, Told("more or mixed layers of encoding")),
    (8, "percent-encoded: upper, lower, form", Promised, Echo("C08")),
    (9, "JSON, and JSON in JSON", Promised, Echo("C09")),
    (10, "hex in both cases", Promised, Echo("C10")),
    (10, "hex with separators", NotPromised, Told("hex with separators")),
    (11, "quoted by a shell", Promised, Echo("C11")),
    (11, "what `set -x` prints", Promised, Echo("C11_SHELL")),
    (12, "PEM: line by line, indented, CRLF", Promised, Echo("C12")),
    (13, "PEM: lines in another order", Promised, Echo("C13")),
    (13, "PEM: pieces of a line", NotPromised, Told("pieces of a line")),
    (14, "a secret that is a JSON document", Promised, Echo("C14")),
    (15, "user and password in an address", Prevented, Test("an_address_goes_where_it_says_however_it_is_written")),
    (16, "address with the secret in path and query", Promised, Echo("C16")),
    (17, "headers that are sent back", Promised, Echo("C17")),
    (18, "errors of the HTTP library", Promised, Echo("C18")),
    (19, "errors of mail", Promised, Test("a_server_that_repeats_the_password_is_quoted_without_it")),
    (20, "errors of databases", Promised, Test("the_address_and_the_password_may_be_secrets")),
    (
        20,
        "errors of databases, from a server of nobody",
        Promised,
        Test("no_shipped_runbook_shows_a_secret_wherever_servers_repeat_it"),
    ),
    (21, "panics", Promised, Test("a_panic_says_no_secret_in_its_message_or_its_backtrace")),
    (22, "arguments of processes", Prevented, Test("nobody_sees_a_secret_among_arguments_and_environments")),
    (
        22,
        "arguments of rerail itself",
        Prevented,
        Test("what_can_not_be_a_secret_or_not_be_written_changes_nothing_and_says_why"),
    ),
    (23, "environment of commands", Promised, Test("nobody_sees_a_secret_among_arguments_and_environments")),
    (24, "environment of rerail, for `from: env`", NotPromised, Told("every process of the same user can read it too")),
    (25, "core files", Prevented, Test("neither_rerail_nor_what_it_starts_writes_a_core_file")),
    (25, "dumps to a program", Prevented, Test("nothing_of_the_process_is_dumped")),
    (26, "live memory", NotPromised, Told("the memory of the process")),
    (27, "swap and hibernation", NotPromised, Told("swap")),
    (28, "logs at trace", Promised, Test("what_comes_back_is_seen_in_no_sink")),
    (28, "logs of libraries", Promised, Test("libraries_stay_at_info_whatever_is_asked_for")),
    (29, "pages: entities, attributes", Promised, Echo("C29")),
    (30, "chat", Promised, Echo("C30")),
    (30, "secrets in a chat's text", Prevented, Test("the_webhook_may_be_a_secret_and_the_message_may_hold_none")),
    (31, "mail that comes back: quoted-printable, encoded words", Promised, Echo("C31")),
    (31, "mail that is sent", Promised, Test("a_message_goes_out_by_starttls_with_a_login_and_a_stable_id")),
    (32, "labels of metrics, attributes of spans", Prevented, Test("there_is_no_sink_but_those_that_are_searched")),
    (33, "split over chunks, overlapping itself", Promised, Echo("C33")),
    (33, "split over the writes of a command", Promised, Echo("C33_PIPE")),
    (33, "split anywhere", Promised, Test("redaction_is_what_the_slow_way_says_in_any_chunks_and_once_is_enough")),
    (34, "one secret is the beginning or end of another", Promised, Echo("C34_LONG")),
    (35, "cut at the limit of an answer", Promised, Echo("C35")),
    (35, "cut at the limit of a command's output", Promised, Echo("C35_PIPE")),
    (36, "short values and common words", Withheld, Test("short_values_common_words_and_rulers_are_no_secrets")),
    (37, "taken apart by an expression", Prevented, Test("secrets_allow_nothing_else_and_cannot_be_probed_with_try")),
    (37, "compared with a guess", Prevented, Test("secrets_are_compared_only_as_expressions")),
    (38, "changed by a remote system", NotPromised, Told("other case, reversed, hashed, encrypted, compressed")),
    (39, "compressed and binary bodies", Promised, Echo("C39")),
    (39, "what a person makes of a picture or document", NotPromised, Told("compressed")),
    (40, "typed by a person", Prevented, Test("a_secret_given_by_value_is_refused_without_repeating_it")),
    (40, "unregistered, typed by a person", NotPromised, Told("Secrets that nobody declared")),
];

#[test]
fn each_of_the_40_cases_has_its_proof() {
    let numbers: BTreeSet<u8> = CASES.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=40).collect());
    let sources: String = ["src", "tests"]
        .into_iter()
        .flat_map(files_below)
        .filter(|path| path.ends_with(".rs"))
        .map(|path| std::fs::read_to_string(root().join(path)).unwrap())
        .collect();
    let slots = std::fs::read_to_string(root().join("tests/it/leaks/echoes.rs")).unwrap();
    let document = Place::new().ask(&["explain", "secrets"]).exits(0).stdout.replace('\n', " ");
    for (number, name, class, by) in CASES {
        let told = *class == NotPromised;
        match by {
            Echo(slot) => assert!(!told && slots.contains(&format!("\"{slot}\"")), "{number} {name}: no slot {slot}"),
            Test(test) => assert!(!told && sources.contains(&format!("fn {test}(")), "{number} {name}: no test {test}"),
            Told(words) => assert!(told && document.contains(words), "{number} {name}: `{words}` is not told"),
        }
    }
}

#[test]
fn there_is_no_sink_but_those_that_are_searched() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    // Spans are searched where builds have them.
    let of_traces = std::fs::read_to_string(root().join("tests/it/traces/mod.rs")).unwrap();
    assert!(manifest.contains("opentelemetry") && of_traces.contains("fn neither_secrets_nor_values_are_told("));
    for other in ["metrics", "prometheus", "sentry", "statsd", "syslog", "journald"] {
        let named = manifest.lines().any(|line| line.split('=').next().is_some_and(|name| name.contains(other)));
        assert!(!named, "{other} is a sink: search it in tests/it/leaks, and say so in docs/secrets.md");
    }
}
