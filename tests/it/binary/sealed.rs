//! Values that a step has sealed go where they are sent, byte for byte, and are seen nowhere on the way.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::kit::{Ledger, Place, Request, Said, answer};

/// What a provider holds: one for every kind of escape, and one that is short.
fn variables() -> BTreeMap<&'static str, String> {
    let pem: Vec<String> = (0..4).map(|line| format!("MIIfake{line}{}", "AbCd0123".repeat(6))).collect();
    BTreeMap::from([
        ("DATABASE_URL", "postgres://app:p%40ss-w0rd-fake@db.example.com:5432/app?sslmode=require".to_owned()),
        ("JWT_SECRET", "s3cr3t/jwt+with \"quotes\"&é=\\end-of-it".to_owned()),
        ("PRIVATE_KEY", format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", pem.join("\n"))),
        ("SERVICE_ACCOUNT", json!({"client": "robot@fake.example.com", "key": "jk-9182736455-fake"}).to_string()),
        ("API_KEY", "ak_fake_0123456789abcdef".to_owned()),
        ("ALLOWED_ORIGINS", "https://shop.example.com,https://www.example.com".to_owned()),
    ])
}

/// Gives the variables, takes those it is sent, echoes what it was told, and says no.
fn provider() -> Ledger {
    let looks = AtomicUsize::new(0);
    Ledger::serve(move |request: &Request, stream: &mut TcpStream| {
        let values = json!(variables());
        match request.path.as_str() {
            "/variables" => answer(stream, &json!({"data": {"variables": values, "count": 6}})),
            "/list" => {
                let items: Vec<Json> =
                    variables().iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
                answer(stream, &json!({"items": items}));
            }
            // Another answer at every look, with the values in it each time.
            "/poll" => {
                let look = looks.fetch_add(1, Ordering::SeqCst);
                answer(stream, &json!({"ready": look >= 2, "values": values, "look": look}));
            }
            "/echo" => answer(stream, &json!({"head": request.head, "body": request.body, "again": values})),
            "/graphql" => answer(stream, &json!({"data": {"set": true}})),
            _ => answer(stream, &json!({"ok": true})),
        }
    })
}

const RUNBOOK: &str = r#"
inputs:
  base: { type: url }
  origins: { type: string, default: ALLOWED_ORIGINS }
steps:
  - id: have
    uses: provider.variables
    with: { base: "${{ inputs.base }}" }
  - id: gap
    script: |
      let values = steps.have.outputs.values;
      let wanted = ["DATABASE_URL", "JWT_SECRET", "PRIVATE_KEY", "SERVICE_ACCOUNT", "API_KEY", "ALLOWED_ORIGINS", "NOT_THERE"];
      print(values.keys());
      #{ copy: wanted.filter(|n| n in values), nowhere: wanted.filter(|n| !(n in values)),
         count: values.len(), same: same_as(values.API_KEY, steps.have.outputs.values.pick(["API_KEY"]).API_KEY) }
  - id: copied
    uses: http.request
    with:
      method: POST
      url: "${{ inputs.base }}/take"
      json: "${{ steps.have.outputs.values.pick(steps.gap.outputs.copy) }}"
      headers: { Authorization: "Basic ${{ base64(`app:` + steps.have.outputs.values.API_KEY) }}" }
  - id: again
    continue_on_failure: true
    uses: http.request
    with: { method: POST, url: "${{ inputs.base }}/echo", form: "${{ steps.have.outputs.values }}", expect: { json: { again: "x" } } }
  - id: unexpected
    continue_on_failure: true
    uses: http.request
    with: { method: GET, url: "${{ inputs.base }}/variables", sealed: true, expect: { json: { data: { variables: { API_KEY: x } } } } }
  - id: misplaced
    continue_on_failure: true
    uses: http.request
    with: { method: GET, url: "${{ inputs.base }}/variables", sealed: [json.data.variable.API_KEY] }
  - id: polled
    uses: http.probe
    with: { url: "${{ inputs.base }}/poll", sealed: [json.values] }
    until: result.json.ready
    every: 20ms
    within: 30s
  - id: each_one
    foreach: "${{ steps.gap.outputs.copy }}"
    uses: runbook
    with: { name: child, inputs: { base: "${{ inputs.base }}", name: "${{ each.value }}", value: "${{ steps.have.outputs.values[each.value] }}" } }
  - id: each_value
    foreach: "${{ steps.have.outputs.values.values() }}"
    uses: http.request
    with: { method: PUT, url: "${{ inputs.base }}/at/${{ each.index }}", text: "${{ each.value }}" }
  - id: mutated
    uses: graphql.mutate
    with:
      url: "${{ inputs.base }}/graphql"
      document: "mutation($v: String!) { set(v: $v) }"
      variables: { v: "${{ steps.have.outputs.values.JWT_SECRET }}" }
  - id: piped
    uses: exec.run
    with: { argv: [sha256sum], stdin: "${{ steps.have.outputs.values.PRIVATE_KEY }}" }
  - id: printed
    uses: exec.run
    with: { argv: [printenv, KEY], env: { KEY: "${{ steps.have.outputs.values.API_KEY }}" } }
  - id: made
    uses: secret.generate
    with: { form: hex }
  - id: equal
    uses: secret.compare
    with: { a: "${{ steps.each_one.outputs[0].value }}", b: "${{ steps.have.outputs.values.DATABASE_URL }}" }
  - id: told
    uses: run.note
    with: { text: "copied ${{ steps.gap.outputs.copy }}, equal ${{ steps.equal.outputs.equal }}" }
REVEAL
outputs:
  copied: "${{ steps.gap.outputs.copy }}"
  made: "${{ steps.made.outputs.value }}"
  values: "${{ steps.have.outputs.values }}"
"#;

const REVEAL: &str = r#"
  - id: origins
    uses: provider.variables
    reveal: ["${{ inputs.origins }}"]
    with: { base: "${{ inputs.base }}" }
  - id: edited
    script: |
      let list = steps.origins.outputs.values[inputs.origins].split(",");
      list.push("https://new.example.com");
      list.join(",")
  - id: shown
    uses: run.note
    with: { text: "now ${{ steps.edited.outputs }}" }
"#;

/// Reads a list of names and values, and gives it as a map.
const ACTION: &str = r#"
version: 1
title: The variables of a service
inputs:
  base: { type: url }
steps:
  - id: read
    uses: http.request
    with: { method: GET, url: "${{ inputs.base }}/list", sealed: ["json.items[*].value"] }
  - id: shaped
    script: |
      let values = #{};
      for item in steps.read.outputs.json.items { values[item.key] = item.value; }
      #{ values: values }
outputs:
  values: { value: "${{ steps.shaped.outputs.values }}", sealed: true }
"#;

const CHILD: &str = r#"
inputs:
  base: { type: url }
  name: { type: string }
  value: { type: secret }
steps:
  - id: send
    uses: http.request
    with: { method: PUT, url: "${{ inputs.base }}/one/${{ inputs.name }}", text: "${{ inputs.value }}" }
outputs:
  value: { value: "${{ inputs.value }}", sealed: true }
"#;

fn world(reveal: &str) -> (Place, Ledger) {
    let ledger = provider();
    let place = Place::new()
        .runbook("copy", &RUNBOOK.replace("REVEAL", reveal))
        .runbook("child", CHILD)
        .file("actions/provider/variables.yaml", ACTION)
        .file("rerail.yaml", "version: 1\nallow: { exec: [{ argv: [sha256sum], effect: read }, { argv: [printenv, KEY], effect: read, env: [KEY] }] }\n")
        .env("RERAIL_LOG", "trace");
    (place, ledger)
}

/// Every form a value may come back in, and pieces of it.
fn needles(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut needles = Vec::new();
    for value in values {
        let chars: Vec<char> = value.chars().collect();
        let (start, end) = (chars.iter().take(12).collect(), chars.iter().rev().take(12).rev().collect());
        let mut forms: Vec<String> = vec![value.clone(), start, end];
        for pad in 0..3 {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(format!("{}{value}", "x".repeat(pad)));
                forms.push(encoded[4..encoded.len() - 3].to_owned());
            }
        }
        let percent = utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
        forms.extend([percent.replace('%', "%25"), percent.to_lowercase(), percent]);
        forms.push(url::form_urlencoded::byte_serialize(value.as_bytes()).collect());
        let json = json!(value).to_string();
        forms.push(json[1..json.len() - 1].to_owned());
        let twice = json!(json).to_string();
        forms.push(twice[3..twice.len() - 3].to_owned());
        forms.push(format!("{value:?}").trim_matches('"').to_owned());
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        forms.extend([hex.to_uppercase(), hex]);
        forms.push(value.replace('\n', ""));
        forms.extend(value.lines().filter(|line| line.len() >= 12 && !line.starts_with("-----")).map(str::to_owned));
        needles.extend(forms);
    }
    // What every text may have at its start is no secret.
    needles.retain(|needle| !["https://shop", "postgres://a", "-----BEGIN P", "ATE KEY-----"].contains(&needle.trim()));
    needles
}

struct Search(AhoCorasick);

impl Search {
    fn for_all_but(shown: &[&str]) -> Search {
        let values = variables().into_iter().filter(|(name, _)| !shown.contains(name)).map(|(_, value)| value);
        Search(AhoCorasick::new(needles(values)).unwrap())
    }

    #[track_caller]
    fn assert_clean(&self, what: &str, bytes: &[u8]) {
        if let Some(found) = self.0.find(bytes) {
            let around = &bytes[found.start().saturating_sub(120)..(found.end() + 120).min(bytes.len())];
            let needle = String::from_utf8_lossy(&bytes[found.range()]);
            panic!("{what} holds {needle}: …{}…", String::from_utf8_lossy(around));
        }
    }

    /// Nothing a process said and nothing on disk holds a value.
    #[track_caller]
    fn assert_no_leak(&self, place: &Place, said: &Said) {
        self.assert_clean(&format!("standard output of {}", said.args), said.stdout.as_bytes());
        self.assert_clean(&format!("standard error of {}", said.args), said.stderr.as_bytes());
        for folder in [place.state().to_owned(), place.beside("tmp"), place.beside("home")] {
            for file in files_below(&folder) {
                self.assert_clean(&file.display().to_string(), &std::fs::read(&file).unwrap());
            }
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// What the other side got, byte for byte.
#[track_caller]
fn assert_arrived(ledger: &Ledger) {
    let entries = ledger.entries();
    let taken = entries.iter().find(|request| request.path == "/take").expect("it was sent");
    assert_eq!(serde_json::from_str::<Json>(&taken.body).unwrap(), json!(variables()));
    let basic = STANDARD.encode(format!("app:{}", variables()["API_KEY"]));
    assert_eq!(taken.header("authorization"), Some(format!("Basic {basic}").as_str()));
    for (name, value) in variables() {
        let one = entries.iter().find(|request| request.path == format!("/one/{name}")).expect("each was sent");
        assert_eq!(one.body, value, "{name}");
    }
    for (index, value) in variables().values().enumerate() {
        let at = entries.iter().find(|request| request.path == format!("/at/{index}")).expect("each was sent");
        assert_eq!(&at.body, value);
    }
    let mutated = entries.iter().find(|request| request.path == "/graphql").expect("it was sent");
    let body: Json = serde_json::from_str(&mutated.body).unwrap();
    assert_eq!(body["variables"]["v"], variables()["JWT_SECRET"].as_str());
}

fn run<'a>(input: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "copy", "-i", input, "--yes"], more].concat()
}

#[test]
fn sealed_values_arrive_byte_for_byte_and_are_seen_nowhere() {
    let (place, ledger) = world("");
    let search = Search::for_all_but(&[]);
    let input = format!("base={}", ledger.url);
    let ask = |args: &[&str], code: i32| {
        let said = place.ask(args);
        search.assert_no_leak(&place, &said);
        said.exits(code)
    };
    ask(&["check", "copy"], 0);
    let plan = ask(&["run", "copy", "-i", &input, "--dry-run"], 0);
    assert!(plan.stdout.contains("generated at apply"), "{}", plan.stdout);
    assert_eq!(ledger.writes(), [], "a rehearsal sends nothing");
    assert!(!place.state().join("store.key").exists(), "and leaves no key behind");
    ask(&run(&input, &["--verbose"]), 0);
    ledger.settle();
    assert_arrived(&ledger);

    let shown = ask(&["show", "@last", "-o", "json"], 0).json();
    let text = shown.to_string();
    for (name, _) in variables() {
        assert!(text.contains(&format!("[sealed {name} ")) || text.contains("\"sealed\""), "{name}: {text}");
    }
    let step =
        |name: &str| shown["steps"].as_array().unwrap().iter().find(|step| step["step"] == name).unwrap().clone();
    assert_eq!(step("gap")["outputs"]["nowhere"], json!(["NOT_THERE"]));
    assert_eq!((&step("gap")["outputs"]["count"], &step("gap")["outputs"]["same"]), (&json!(6), &json!(true)));
    assert_eq!(step("equal")["outputs"]["equal"], json!(true));
    let hash: String = Sha256::digest(&variables()["PRIVATE_KEY"]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(step("piped")["outputs"]["text"].as_str().unwrap().contains(&hash), "{}", step("piped"));
    assert_eq!(step("printed")["outputs"]["text"].as_str().unwrap().trim(), "[redacted:API_KEY]");
    for failed in ["again", "unexpected", "misplaced"] {
        assert_eq!(step(failed)["outcome"], "failed", "{failed}");
    }
    assert!(
        step("misplaced")["error"]["message"].as_str().unwrap().contains("matches nothing"),
        "{}",
        step("misplaced")
    );
    assert!(step("again")["outputs"].to_string().contains("[redacted:JWT_SECRET]"), "{}", step("again"));

    for line in shown["steps"].as_array().unwrap() {
        ask(&["show", "@last", "--step", line["step"].as_str().unwrap()], 0);
    }
    ask(&["show", "@last", "--timeline"], 0);
    ask(&["show", "@last", "-o", "jsonl"], 0);
    for format in ["md", "jsonl", "html"] {
        ask(&["export", "@last", "--format", format], 0);
    }
    let said = ask(&["eval", "steps.have.outputs.values", "--run", "@last"], 0);
    assert!(said.stdout.contains("[sealed API_KEY "), "{}", said.stdout);
    let first = shown["run"].as_str().unwrap();
    ask(&run(&input, &[]), 0);
    ask(&["diff", first, "@last"], 0);
    ask(&["verify"], 0);
}

#[test]
fn reveal_shows_exactly_what_it_names() {
    let (place, ledger) = world(REVEAL);
    let search = Search::for_all_but(&["ALLOWED_ORIGINS"]);
    let input = format!("base={}", ledger.url);
    let said = place.ask(&run(&input, &["--verbose"]));
    search.assert_no_leak(&place, &said);
    said.exits(0).says(&["now https://shop.example.com,https://www.example.com,https://new.example.com"]);
    assert_arrived(&ledger);
    let shown = place.json(&["show", "@last"]);
    let steps = shown["steps"].as_array().unwrap();
    let origins = steps.iter().find(|step| step["step"] == "origins").unwrap();
    assert_eq!(origins["outputs"]["values"]["ALLOWED_ORIGINS"], variables()["ALLOWED_ORIGINS"].as_str());
    let said = place.ask(&["describe", "copy"]).exits(0);
    assert!(said.stdout.contains("reveal inputs.origins"), "{}", said.stdout);
}

#[test]
fn a_run_killed_at_any_boundary_goes_on_with_the_values_it_had_sealed() {
    let search = Search::for_all_but(&["ALLOWED_ORIGINS"]);
    let next = AtomicU64::new(1);
    let mut met = 0;
    loop {
        // Each of the first boundaries, where the values are sealed, and every seventh of the others.
        let k = next.fetch_add(if met < 14 { 1 } else { 7 }, Ordering::SeqCst);
        let (place, ledger) = world(REVEAL);
        let input = format!("base={}", ledger.url);
        let mut command = place.rerail(&run(&input, &["-o", "jsonl"]));
        command.env("RERAIL_CRASH_AT", k.to_string());
        let said = Said::of(&["run"], command.output().unwrap());
        search.assert_no_leak(&place, &said);
        if !said.was_killed() {
            assert_eq!(said.code(), Some(0), "{said:?}");
            break;
        }
        met += 1;
        if place.events().is_empty() {
            continue;
        }
        let mut code = Some(16);
        for _ in 0..40 {
            let said = place.ask(&["resume", "@last", "-o", "jsonl"]);
            search.assert_no_leak(&place, &said);
            code = said.code();
            if code != Some(16) {
                break;
            }
            let facts = place.facts();
            let doubts: Vec<String> = facts.doubts().map(|(path, _)| path.to_string()).collect();
            assert!(!doubts.is_empty(), "killed at {k}: {said:?}");
            for step in doubts {
                let done = format!("{step}=not-done");
                let said = place.ask(&["resume", "@last", "--set-outcome", &done, "--reason", "a test", "-o", "jsonl"]);
                search.assert_no_leak(&place, &said);
                code = said.code();
            }
            if code != Some(16) {
                break;
            }
        }
        let ended = place.json(&["show", "@last"]);
        assert_eq!(ended["status"], "success", "killed at {k}: {code:?} {ended}");
        assert_arrived(&ledger);
        place.assert_journal_is_whole(&format!("killed at {k}"));
    }
    assert!(met == 0 || met > 14, "{met} boundaries");
}

#[test]
fn without_its_key_a_run_is_left_as_it_is_until_the_key_is_back() {
    let asks = "  - id: sure\n    uses: human.ask\n    with: { text: go on?, choices: [yes please, not yet] }\n  - id: late\n    uses: http.request\n    with: { method: PUT, url: \"${{ inputs.base }}/late\", text: \"${{ steps.have.outputs.values.API_KEY }}\" }\n";
    let (place, ledger) = world(asks);
    let search = Search::for_all_but(&[]);
    let input = format!("base={}", ledger.url);
    search.assert_no_leak(&place, &place.ask(&run(&input, &[])).exits(13));
    place.ask(&["answer", "@last", "answer=yes please"]).exits(0);
    let key = place.state().join("store.key");
    let kept = std::fs::read(&key).unwrap();
    let before = place.events().len();

    std::fs::remove_file(&key).unwrap();
    let said = place.ask(&["resume", "@last"]);
    assert!(!matches!(said.code(), Some(0 | 10 | 11)), "{said:?}");
    said.says(&["sealed values", "store.key", "put back"]);
    // Another store's.
    let other = Place::new().runbook("note", "steps: [{ id: a, uses: secret.generate }]\n");
    other.ask(&["run", "note", "--yes"]).exits(0);
    std::fs::copy(other.state().join("store.key"), &key).unwrap();
    let said = place.ask(&["resume", "@last"]);
    search.assert_no_leak(&place, &said);
    assert!(!matches!(said.code(), Some(0 | 10 | 11)), "{said:?}");
    said.says(&["can't be opened", "put back"]);
    assert_eq!(place.events().len(), before, "nothing was done");

    std::fs::write(&key, kept).unwrap();
    search.assert_no_leak(&place, &place.ask(&["resume", "@last"]).exits(0));
    let late: Vec<String> =
        ledger.entries().into_iter().filter(|request| request.path == "/late").map(|request| request.body).collect();
    assert_eq!(late, [variables()["API_KEY"].clone()]);
}
