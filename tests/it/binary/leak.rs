//! No secret is seen anywhere, whatever a server sends back and however a step fails.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::kit::{Ledger, Place, Request, Said, answer};
use crate::servers::refused_port;

/// Holds a character for every kind of escape.
const FROM_FILE: &str = "s3cr3t/f1le+with \"quotes\"&é=\\end-of-it";
const FROM_ENV: &str = "hunter2-hunter2/environment?value";

/// Sends the secrets in a header, the query and the body, to a place that echoes them in some form.
fn exchange(id: &str, method: &str, url: &str) -> String {
    format!(
        "
  - id: {id}
    continue_on_failure: true
    uses: http.request
    with:
      method: {method}
      url: '{url}?key=${{{{ url_encode(secrets.FILE) }}}}&plain=${{{{ secrets.ENV }}}}'
      headers: {{ Authorization: 'Bearer ${{{{ base64(secrets.FILE) }}}}', X-Key: '${{{{ secrets.ENV }}}}' }}
      json: {{ file: '${{{{ secrets.FILE }}}}', env: 'user:${{{{ secrets.ENV }}}}' }}
"
    )
}

fn runbook(base: &str) -> String {
    let refused = refused_port();
    let mut text = String::from("secrets: [FILE, ENV]\nsteps:");
    for form in ["raw", "json", "chunked", "header", "status", "moved", "cut", "nonsense"] {
        text.push_str(&exchange(form, "GET", &format!("{base}/{form}")).replace("\n      json:", "\n      # json:"));
    }
    for form in ["raw", "json", "chunked", "header"] {
        text.push_str(&exchange(&format!("post_{form}"), "POST", &format!("{base}/{form}")));
    }
    text.push_str(&exchange("nobody", "POST", &format!("http://127.0.0.1:{refused}/")));
    text.push_str(&exchange("no_tls", "POST", &format!("{}/raw", base.replace("http:", "https:"))));
    text.push_str(&exchange("no_name", "POST", "http://nowhere.invalid/"));
    text.push_str(
        "
  - id: expected
    continue_on_failure: true
    uses: http.request
    with: { method: GET, url: 'BASE/json?key=${{ url_encode(secrets.ENV) }}', expect: { status: [418] } }
  - id: probed
    uses: http.probe
    with: { url: 'BASE/json?key=${{ url_encode(secrets.FILE) }}' }
  - id: polled
    uses: http.probe
    with: { url: 'BASE/json?key=${{ url_encode(secrets.FILE) }}' }
    until: result.ok
    within: 10s
  - id: script
    script: |
      let seen = http::request(#{ method: \"GET\", url: `BASE/raw?key=` + url_encode(secrets.FILE) });
      print(seen.text);
      print(seen.text.sub_string(4, 40));
      try { http::request(#{ method: \"GET\", url: \"http://127.0.0.1:REFUSED/?key=\" + secrets.ENV }); } catch (e) { print(e.message); }
      #{ seen: seen.text, upper: seen.text.to_upper(), part: seen.text.sub_string(10) }
  - id: told
    uses: run.note
    with: { text: 'it said ${{ steps.raw.outputs.text }}' }
  - id: found
    findings: [{ when: steps.raw.outcome == \"done\", level: warning, say: 'it said ${{ steps.post_json.outputs.text }}' }]
  - id: asked
    uses: human.ask
    with: { text: 'Is this right: ${{ steps.raw.outputs.text }}', choices: ['yes, it is', 'not at all'] }
  - id: swallowed
    uses: http.request
    with: { method: POST, url: 'BASE/swallow?key=${{ secrets.ENV }}', text: '${{ secrets.FILE }}' }
  - id: broken
    assert: [{ that: steps.raw.outputs.status == 418, else: 'it said ${{ steps.raw.outputs.text }}' }]
outputs: { said: '${{ steps.raw.outputs.text }}', headers: '${{ steps.header.outputs.headers }}' }
"
        .replace("BASE", base)
        .replace("REFUSED", &refused.to_string())
        .as_str(),
    );
    text
}

/// A server that gives back all it was told, in the form its path names.
fn echoing() -> Ledger {
    Ledger::serve(|request: &Request, stream: &mut TcpStream| {
        let all = format!("{}\n\n{}", request.head, request.body);
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        let decoded = percent_encoding::percent_decode_str(query).decode_utf8_lossy().into_owned();
        let token = request.header("authorization").unwrap_or_default();
        let whole = |status: &str, headers: &str, body: &str| {
            format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
        };
        let text = format!("{all}\n{decoded}");
        let path = request.path.split('?').next().unwrap_or_default();
        match path {
            "/raw" => stream.write_all(whole("200 OK", "", &text).as_bytes()).ok(),
            "/json" => {
                let padded = [0, 1, 2].map(|pad| STANDARD_NO_PAD.encode(format!("{}{text}", "x".repeat(pad))));
                answer(
                    stream,
                    &json!({
                        "raw": text,
                        "base64": padded,
                        "base64_url": URL_SAFE_NO_PAD.encode(&text),
                        "url": utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string(),
                        "form": url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>(),
                        "json": json!(text).to_string(),
                        "twice": json!(json!(text).to_string()).to_string(),
                        "hex": text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>(),
                        decoded.as_str(): "as a key",
                    }),
                );
                None
            }
            "/chunked" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").ok();
                for byte in text.bytes() {
                    stream.write_all(b"1\r\n").ok();
                    stream.write_all(&[byte, b'\r', b'\n']).ok();
                    stream.flush().ok();
                }
                stream.write_all(b"0\r\n\r\n").ok()
            }
            "/header" => {
                let headers =
                    format!("etag: \"{token}\"\r\nlocation: /?{query}\r\nserver: {query}\r\nset-cookie: a={query}\r\n");
                stream.write_all(whole("200 OK", &headers, "").as_bytes()).ok()
            }
            "/status" => stream.write_all(whole("400 Bad Request", "", &text).as_bytes()).ok(),
            "/moved" => stream.write_all(whole("302 Found", &format!("location: /x?{query}\r\n"), "").as_bytes()).ok(),
            "/cut" => {
                stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n{text}").as_bytes()).ok()
            }
            "/nonsense" => stream.write_all(format!("{token} {query}\r\n\r\n").as_bytes()).ok(),
            // `/swallow`: everything was read, nothing is said.
            _ => None,
        };
        if matches!(path, "/cut" | "/nonsense" | "/swallow") {
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
    })
}

/// What must be found nowhere: every form of the secrets, and pieces of them.
fn needles() -> BTreeSet<Vec<u8>> {
    let mut needles = BTreeSet::new();
    for secret in [FROM_FILE, FROM_ENV] {
        let mut forms = vec![secret.to_owned(), secret[..10].to_owned(), secret[secret.len() - 10..].to_owned()];
        for pad in 0..3 {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(format!("{}{secret}", "x".repeat(pad)));
                // Without the characters at both ends, which depend on what stands beside it.
                forms.push(encoded[4..encoded.len() - 3].to_owned());
            }
        }
        let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        forms.extend([percent.replace('%', "%25"), percent.to_lowercase(), percent]);
        forms.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
        let json = json!(secret).to_string();
        forms.push(json[1..json.len() - 1].to_owned());
        let twice = json!(json).to_string();
        forms.push(twice[3..twice.len() - 3].to_owned());
        forms.push(secret.bytes().map(|byte| format!("{byte:02x}")).collect());
        needles.extend(forms.into_iter().map(String::into_bytes));
    }
    needles
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    static SEARCH: LazyLock<AhoCorasick> = LazyLock::new(|| AhoCorasick::new(needles()).unwrap());
    if let Some(found) = SEARCH.find(bytes) {
        let around = &bytes[found.start().saturating_sub(80)..(found.end() + 80).min(bytes.len())];
        let needle = String::from_utf8_lossy(&bytes[found.range()]);
        panic!("{what} holds {needle}: …{}…", String::from_utf8_lossy(around));
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Nothing a process said and nothing on disk holds a secret.
#[track_caller]
fn assert_no_leak(place: &Place, said: &Said) {
    assert_clean(&format!("standard output of {}", said.args), said.stdout.as_bytes());
    assert_clean(&format!("standard error of {}", said.args), said.stderr.as_bytes());
    for folder in [place.state().to_owned(), place.beside("tmp"), place.beside("home")] {
        for file in files_below(&folder) {
            assert_clean(&file.display().to_string(), &std::fs::read(&file).unwrap());
        }
    }
}

fn world(hosts: &str) -> (Place, Ledger) {
    let ledger = echoing();
    let target = format!(
        "version: 1\ntitle: Here\nsecrets:\n  FILE: {{ from: file, path: token, hosts: [{hosts}] }}\n  \
         ENV: {{ from: env, name: THE_PASSWORD, hosts: [{hosts}] }}\n"
    );
    let place = Place::new()
        .runbook("echo", &runbook(&ledger.url))
        .file("targets/here.yaml", target)
        .file("token", format!("{FROM_FILE}\n"))
        .env("THE_PASSWORD", FROM_ENV)
        .env("RERAIL_LOG", "trace");
    (place, ledger)
}

#[test]
fn no_secret_is_seen_anywhere_whatever_comes_back() {
    let (place, ledger) = world("");
    let ask = |args: &[&str], code: i32| {
        let said = place.ask(args);
        assert_no_leak(&place, &said);
        said.exits(code)
    };
    let said = ask(&["run", "echo", "--target", "here", "--dry-run"], 0);
    assert!(said.stdout.contains("redacted"), "what came back was shown: {}", said.stdout);
    ask(&["run", "echo", "--target", "here", "--dry-run", "-o", "json"], 0);
    ask(&["run", "echo", "--target", "here", "--yes", "--verbose"], 13);
    ask(&["show"], 0);
    ask(&["answer", "@last", "answer=yes, it is"], 0);
    ask(&["resume", "@last", "--verbose"], 16);
    ask(&["show", "--verbose"], 0);
    ask(&["resume", "@last", "--set-outcome", "swallowed=done", "--reason", "seen", "-o", "jsonl"], 11);

    // The echoes were real: the server was told the values, in each form.
    let heard =
        ledger.entries().into_iter().map(|request| format!("{}\n{}", request.head, request.body)).collect::<String>();
    let encoded = STANDARD_NO_PAD.encode(FROM_FILE);
    for form in [json!(FROM_FILE).to_string().as_str(), &encoded, FROM_ENV] {
        assert!(heard.contains(form), "{form} was never sent");
    }

    let shown = ask(&["show", "-o", "json"], 0).json();
    let steps = shown["steps"].as_array().unwrap();
    let outcome = |name: &str| steps.iter().find(|step| step["step"] == name).map(|step| step["outcome"].clone());
    for done in ["raw", "json", "chunked", "header", "post_raw", "post_json", "post_chunked", "post_header", "probed"] {
        assert_eq!(outcome(done), Some(json!("done")), "{done}");
    }
    for failed in ["status", "cut", "nonsense", "nobody", "no_tls", "no_name", "expected"] {
        assert!(matches!(outcome(failed).unwrap().as_str(), Some("failed" | "refused")), "{failed}");
    }
    for redacted in ["raw", "json", "chunked", "header", "script"] {
        let step = steps.iter().find(|step| step["step"] == redacted).unwrap();
        assert!(step["outputs"].to_string().contains("[redacted:"), "{redacted}: {step}");
    }
    for step in steps {
        ask(&["show", "--step", step["step"].as_str().unwrap()], 0);
    }
    ask(&["show", "-o", "jsonl"], 0);
    ask(&["show", "--timeline"], 0);
    ask(&["export", "@last", "--format", "md"], 0);
    ask(&["export", "@last", "--format", "jsonl"], 0);
    ask(&["runs", "-o", "json"], 0);
    ask(&["verify"], 0);
}

#[test]
fn a_secret_bound_to_a_host_goes_nowhere_else() {
    let (place, ledger) = world("api.example.com");
    let said = place.ask(&["run", "echo", "--target", "here", "--yes"]);
    assert_no_leak(&place, &said);
    assert!(said.code() != Some(0), "{said:?}");
    let heard =
        ledger.entries().into_iter().map(|request| format!("{}\n{}", request.head, request.body)).collect::<String>();
    assert_eq!(ledger.bytes(), 0, "{heard}");
    let said = place.ask(&["show", "-o", "json"]);
    assert_no_leak(&place, &said);
    let shown = said.json();
    let raw = shown["steps"].as_array().unwrap().iter().find(|step| step["step"] == "raw").unwrap();
    assert_eq!((&raw["outcome"], &raw["error"]["kind"]), (&json!("refused"), &json!("secret")), "{raw}");
}

#[test]
fn a_secret_given_by_value_is_refused_without_repeating_it() {
    let (place, ledger) = world("");
    let place = place.runbook("quiet", "inputs: { word: { type: string, default: x } }\nsecrets: [FILE]\nsteps: [{ id: one, uses: http.probe, with: { url: 'http://127.0.0.1:1/${{ secrets.FILE }}' } }]\n");
    let input = format!("word=a {FROM_FILE} b");
    for args in [
        ["run", "quiet", "--target", "here", "-i", &input],
        ["run", "quiet", "--target", "here", "--reason", FROM_FILE],
    ] {
        let said = place.ask(&args).exits(2);
        assert_clean("standard error", said.stderr.as_bytes());
        assert_clean("standard output", said.stdout.as_bytes());
    }
    assert!(!place.state().join("journal.db").exists() || place.events().is_empty());
    assert_eq!(ledger.bytes(), 0);
}
