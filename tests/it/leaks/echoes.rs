//! Servers and commands that send secrets back, each in its own way and with a canary of its own, in one run that goes
//! through every sink.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};

use super::search::{Search, canary, html};
use super::sinks::{ask, plan, sweep};
use crate::binary::kit::{Ledger, Place, Request};
use crate::servers::refused_port;

/// Bytes of an answer that are kept, as the documents say.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How an answer says a secret.
type Says = fn(&str) -> Vec<u8>;

/// Each slot: the case it is of, and the answer that gives its secret back.
const ECHOES: [(&str, Says); 22] = [
    ("C01", |secret| body(&[&json!({"you": secret, secret: "as a key"}).to_string(), secret])),
    ("C02", |secret| body(&[&STANDARD.encode(secret)])),
    ("C03", |secret| body(&[&STANDARD.encode(format!("u{secret}")), &STANDARD.encode(format!("user{secret}!"))])),
    ("C04", |secret| body(&[&STANDARD.encode(format!("u:{secret}"))])),
    ("C05", |secret| body(&["", "x", "xy"].map(|pad| URL_SAFE_NO_PAD.encode(format!("{pad}{secret}"))))),
    ("C06", |secret| {
        let long = STANDARD.encode(format!("{}{secret}{}", "x".repeat(40), "y".repeat(40)));
        body(&[
            wrapped(&long, 64, "\r\n"),
            wrapped(&long, 76, "\n    "),
            json!({"key": wrapped(&long, 64, "\n")}).to_string(),
        ])
    }),
    ("C07", |secret| body(&[&STANDARD.encode(format!("auth: {}", STANDARD.encode(format!("user:{secret}"))))])),
    ("C08", |secret| {
        let upper = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let every: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        body(&[
            upper.clone(),
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            every.to_lowercase(),
            every,
        ])
    }),
    ("C09", |secret| {
        let inner = json!({"t": secret}).to_string();
        body(&[
            json!({"inner": inner}).to_string().replace('/', "\\/"),
            json!({"a": json!({"b": inner}).to_string()}).to_string(),
        ])
    }),
    ("C10", |secret| {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        body(&[hex.to_uppercase(), hex])
    }),
    ("C11", |secret| body(&[format!("+ curl -H 'X: {}'", secret.replace('\'', "'\\''")), format!("{secret:?}")])),
    ("C12", |secret| {
        let quoted: Vec<String> = secret.lines().map(|line| format!("    > {line}")).collect();
        body(&[secret.to_owned(), secret.replace('\n', "\r\n"), quoted.join("\r\n"), json!(secret).to_string()])
    }),
    ("C13", |secret| {
        let mut lines: Vec<&str> = secret.lines().collect();
        lines.reverse();
        body(&[lines.join("\n"), lines.join(" "), lines.concat()])
    }),
    ("C14", |secret| {
        let document: Json = serde_json::from_str(secret).unwrap();
        body(&[
            serde_json::to_string_pretty(&document).unwrap(),
            format!("key is {}", document["key"].as_str().unwrap()),
        ])
    }),
    ("C16", |secret| {
        let query: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        answer(
            "302 Found",
            &format!("location: https://elsewhere.example.com/hooks/{query}?again={query}\r\n"),
            &[query.as_str()],
        )
    }),
    ("C17", |secret| {
        let query = utf8_percent_encode(secret, NON_ALPHANUMERIC);
        let token = STANDARD.encode(secret);
        answer(
            "200 OK",
            &format!("etag: \"{token}\"\r\nserver: {query}\r\nset-cookie: a={query}\r\nx-echo: {token}\r\n"),
            &[""],
        )
    }),
    ("C29", |secret| {
        let numbers: String = secret.chars().map(|c| format!("&#{};", u32::from(c))).collect();
        body(&[html(secret), numbers, format!("<a data-x=\"{}\">", html(secret))])
    }),
    ("C31", |secret| {
        let quoted: String = secret.bytes().map(|byte| format!("={byte:02X}")).collect();
        body(&[wrapped(&quoted, 75, "=\r\n"), format!("=?utf-8?B?{}?=", STANDARD.encode(secret))])
    }),
    ("C33", |secret| {
        let mut text = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for byte in format!("{secret}{secret} {}", &secret[..5]).repeat(3).bytes() {
            text.extend([b"1\r\n".as_slice(), &[byte], b"\r\n"].concat());
        }
        [text, b"0\r\n\r\n".to_vec()].concat()
    }),
    // The secret C34_LONG begins with the secret C34, and C34_TAIL is its end.
    ("C34_LONG", |secret| body(&[format!("<{secret}>"), format!("{secret}{secret}")])),
    ("C35", |secret| {
        let before = "x".repeat(BODY_BYTES_MAX - secret.len() / 2);
        body(&[&format!("{before}{secret}{}", "y".repeat(99))])
    }),
    ("C39", |secret| {
        // A gzip whose only block is stored: the bytes are there as they are.
        let bytes = secret.as_bytes();
        let length = u16::try_from(bytes.len()).unwrap();
        let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
        let zip = [head.as_slice(), &length.to_le_bytes(), &(!length).to_le_bytes(), bytes, &[0; 8]].concat();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", zip.len());
        [head.into_bytes(), zip].concat()
    }),
];

fn body<T: AsRef<str>>(lines: &[T]) -> Vec<u8> {
    answer("200 OK", "", lines)
}

fn answer<T: AsRef<str>>(status: &str, headers: &str, lines: &[T]) -> Vec<u8> {
    let text: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
    let text = text.join("\n");
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{text}", text.len()).into_bytes()
}

fn wrapped(text: &str, columns: usize, end: &str) -> String {
    let lines: Vec<String> =
        text.as_bytes().chunks(columns).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    lines.join(end)
}

/// What is secret, by slot; slots that no server echoes are printed by commands or stand in addresses.
fn values() -> BTreeMap<String, String> {
    let slots = ECHOES.iter().map(|(slot, _)| *slot).chain(["C11_SHELL", "C18", "C30", "C33_PIPE", "C35_PIPE"]);
    let mut values: BTreeMap<String, String> = slots.map(|slot| (slot.to_owned(), canary(slot))).collect();
    let key = |slot: &str| {
        let lines: Vec<String> =
            (0..4).map(|line| format!("MIIfake{}", STANDARD.encode(canary(&format!("{slot}{line}"))))).collect();
        format!("-----BEGIN FAKE KEY-----\n{}\n-----END FAKE KEY-----", lines.join("\n"))
    };
    values.insert("C12".into(), key("C12"));
    values.insert("C13".into(), key("C13"));
    let account = json!({"type": "service_account", "key": canary("C14 key"), "id": canary("C14 id")});
    values.insert("C14".into(), account.to_string());
    let long = values["C34_LONG"].clone();
    values.insert("C34".into(), long[..20].to_owned());
    values.insert("C34_TAIL".into(), long[long.len() - 20..].to_owned());
    values
}

/// Answers `/slot?key=…` as the slot says, and keeps what a chat would.
fn server() -> Ledger {
    Ledger::serve(|request: &Request, stream: &mut TcpStream| {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let secret =
            percent_encoding::percent_decode_str(query.trim_start_matches("key=")).decode_utf8_lossy().into_owned();
        let says = ECHOES.iter().find(|(slot, _)| path.trim_start_matches('/') == *slot);
        stream.write_all(&says.map_or_else(|| body(&["ok"]), |(_, says)| says(&secret))).ok();
    })
}

fn runbook(base: &str) -> String {
    let refused = refused_port();
    let names: Vec<String> = values().into_keys().collect();
    let mut text =
        format!("inputs: {{ fails: {{ type: bool, default: true }} }}\nsecrets: [{}]\nsteps:", names.join(", "));
    for (slot, _) in ECHOES {
        let id = slot.to_lowercase();
        let fails = if slot == "C16" { "\n    continue_on_failure: true" } else { "" };
        text.push_str(&format!(
            "
  - id: {id}{fails}
    uses: http.request
    with: {{ method: GET, url: '{base}/{slot}?key=${{{{ url_encode(secrets.{slot}) }}}}' }}"
        ));
    }
    text.push_str(
        &r#"
  - id: c34
    uses: http.request
    with: { method: GET, url: 'BASE/?key=${{ url_encode(secrets.C34) }}&tail=${{ url_encode(secrets.C34_TAIL) }}' }
  - id: c18
    continue_on_failure: true
    uses: http.request
    with: { method: POST, url: 'http://127.0.0.1:REFUSED/hooks/${{ url_encode(secrets.C18) }}', text: '${{ secrets.C18 }}' }
  - id: c11_shell
    uses: exec.run
    with: { argv: [sh, -x, trace.sh], env: { KEY: '${{ secrets.C11_SHELL }}' } }
  - id: c33_pipe
    uses: exec.run
    with: { argv: [sh, drip.sh], stdin: '${{ secrets.C33_PIPE }}' }
  - id: c35_pipe
    uses: exec.run
    with: { argv: [sh, flood.sh], stdin: '${{ secrets.C35_PIPE }}' }
  - id: said
    script: |
      let all = "";
      for text in [
        steps.c01.outputs.text, steps.c02.outputs.text, steps.c06.outputs.text, steps.c09.outputs.text,
        steps.c12.outputs.text, steps.c13.outputs.text, steps.c14.outputs.text, steps.c29.outputs.text,
        steps.c31.outputs.text, steps.c33.outputs.text, steps.c34_long.outputs.text
      ] {
        print(text);
        all += text.to_upper().to_lower() + text.sub_string(3, 200) + text + "\n";
      }
      all
  - id: told
    uses: run.note
    with: { text: 'it said ${{ steps.said.outputs }}' }
  - id: found
    findings: [{ when: "true", level: warning, say: 'it said ${{ steps.c29.outputs.text }}' }]
  - id: c30
    uses: chat.post
    with: { url: 'BASE/hooks/${{ url_encode(secrets.C30) }}', text: 'it said ${{ steps.said.outputs.sub_string(0, 20000) }}' }
  - id: asked
    uses: human.ask
    with: { text: 'Is this right: ${{ steps.c01.outputs.text }}', choices: ['yes, it is', 'no'] }
  - id: failed
    assert: [{ that: steps.c01.outputs.status == 418 || !inputs.fails, else: 'it said ${{ steps.c08.outputs.text }}' }]
outputs: { said: '${{ steps.said.outputs }}', headers: '${{ steps.c17.outputs.headers }}' }
"#
        .replace("BASE", base)
        .replace("REFUSED", &refused.to_string()),
    );
    text
}

const SETTINGS: &str = "version: 1
allow:
  exec:
    - { argv: [sh, -x, trace.sh], effect: read, env: [KEY] }
    - { argv: [sh, drip.sh], effect: read }
    - { argv: [sh, flood.sh], effect: read }
";

/// Says what it does, quoted by the shell itself.
const TRACE: &str = r#": "$KEY"; test "$KEY" = 'no'; printf '%s\n' "$KEY" "\"$KEY\""; printf '%s' "$KEY" >&2"#;
/// Gives back what it reads, a byte at a time, over and over.
const DRIP: &str = r#"read -r line; for n in 1 2 3; do printf '%s' "$line" | dd bs=1 2>/dev/null; printf '%s' "$line" | dd bs=7 2>/dev/null; done"#;
/// Its limit lies inside the secret.
const FLOOD: &str =
    r#"read -r line; head -c 1048550 /dev/zero | tr '\0' z; printf '%s\n' "$line"; head -c 100 /dev/zero | tr '\0' z"#;

#[test]
fn what_comes_back_is_seen_in_no_sink() {
    let ledger = server();
    let values = values();
    let search = Search::of(&values);
    let mut target = String::from("version: 1\ntitle: Here\nsecrets:\n");
    let mut place = Place::new()
        .runbook("echoes", &runbook(&ledger.url))
        .file("rerail.yaml", SETTINGS)
        .file("trace.sh", TRACE)
        .file("drip.sh", DRIP)
        .file("flood.sh", FLOOD)
        .env("RERAIL_LOG", "trace")
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1");
    for (slot, value) in &values {
        target.push_str(&format!("  {slot}: {{ from: file, path: secrets/{slot} }}\n"));
        place = place.file(&format!("secrets/{slot}"), format!("{value}\n"));
    }
    let place = place.file("targets/here.yaml", target);

    ask(&place, &search, &["run", "echoes", "--target", "here", "--dry-run", "-o", "json"]).exits(0);
    assert!(
        plan(&place, &search, &["echoes", "--target", "here", "-i", "fails=false"]),
        "there is a plan to look into"
    );
    let hook = |body: &str| body.contains("it said");
    assert!(!ledger.entries().iter().any(|request| hook(&request.body)), "a rehearsal posts nothing");
    ask(&place, &search, &["run", "echoes", "--target", "here", "--yes", "--verbose"]).exits(13);
    sweep(&place, &search);
    ask(&place, &search, &["answer", "@last", "answer=yes, it is"]).exits(0);
    ask(&place, &search, &["resume", "@last", "--verbose", "-o", "jsonl"]).exits(11);
    sweep(&place, &search);

    // The echoes were real, and what is missing from them is what was taken out.
    let shown = ask(&place, &search, &["show", "-o", "json"]).json();
    let outputs = |id: &str| {
        let step = shown["steps"].as_array().unwrap().iter().find(|step| step["step"] == *id);
        step.unwrap_or_else(|| panic!("no step {id}"))["outputs"].clone()
    };
    let whole = ["C35", "C35_PIPE", "C39", "C34", "C34_TAIL", "C18", "C30"];
    for slot in values.keys().filter(|slot| !whole.contains(&slot.as_str())) {
        let marker = format!("[redacted:{slot}]");
        let said = outputs(&slot.to_lowercase()).to_string();
        assert!(said.contains(&marker) || blob(&place, &marker), "{slot}: {said:.300}");
    }
    assert_eq!(outputs("c39")["text"], json!(null), "what is compressed is counted and not kept");
    assert!(outputs("c35")["body_bytes"].as_u64().unwrap() > BODY_BYTES_MAX as u64, "it was cut");
    for request in ledger.entries() {
        if hook(&request.body) {
            search.assert_clean("a message to the chat", request.body.as_bytes());
        }
    }
    assert_eq!(ledger.entries().iter().filter(|request| hook(&request.body)).count(), 1);
    let heard: String = ledger.entries().into_iter().map(|request| request.path).collect();
    let missing: Vec<&String> = values
        .iter()
        .filter(|(slot, _)| ECHOES.iter().any(|(echo, _)| echo == slot))
        .filter(|(_, value)| !heard.contains(&rerail::script::secret::url_encode(value)))
        .map(|(slot, _)| slot)
        .collect();
    assert!(missing.is_empty(), "never sent: {missing:?}");
}

/// Whether a text is in a large value that `show` leaves out.
fn blob(place: &Place, text: &str) -> bool {
    place.events().iter().any(|event| serde_json::to_string(event).unwrap().contains(text))
}
