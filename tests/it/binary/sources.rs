//! Where secrets come from: commands, systemd credentials, the kernel's keyring, and what `rerail secrets` says of them all.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::kit::{Ledger, Place, Request, answer};

/// What the command prints and the credential holds.
const TOKEN: &str = "tok-printed-0123456789-example";

fn server() -> Ledger {
    Ledger::serve(|_: &Request, stream| answer(stream, &json!({"ok": true})))
}

/// Sends the secret and shows nothing of it.
fn runbook(url: &str) -> String {
    format!(
        "secrets: [TOKEN]
steps:
  - {{ id: one, uses: http.probe, with: {{ url: '{url}/a?key=${{{{ secrets.TOKEN }}}}' }} }}
  - {{ id: two, uses: http.probe, with: {{ url: '{url}/b?key=${{{{ secrets.TOKEN }}}}' }} }}
"
    )
}

fn place(url: &str, source: &str, settings: &str) -> Place {
    Place::new()
        .file("rerail.yaml", format!("version: 1\n{settings}"))
        .file("targets/here.yaml", format!("version: 1\nsecrets:\n  TOKEN: {{ {source} }}\n"))
        .runbook("send", &runbook(url))
}

const PRINTS: &str = "from: command, argv: [sh, print.sh, token]";
const ALLOWED: &str = "allow: { secret_commands: [{ argv: [sh, print.sh, \"*\"] }] }\n";

#[test]
fn a_command_prints_a_secret_once_a_run_with_little_around_it() {
    let ledger = server();
    let script = format!("env > env.txt\necho run >> count.txt\ncat >> stdin.txt\nprintf '%s\\n' '{TOKEN}'\n");
    let place =
        place(&ledger.url, PRINTS, ALLOWED).file("print.sh", script).env("THE_PASSWORD", "none-of-its-business");
    let said = place.ask(&["run", "send", "--target", "here", "--verbose"]).exits(0);
    let heard: String = ledger.entries().into_iter().map(|request| request.head).collect();
    assert_eq!(heard.matches(TOKEN).count(), 2, "{heard}");
    let read = |name: &str| std::fs::read_to_string(place.project().join(name)).unwrap();
    assert_eq!((read("count.txt").as_str(), read("stdin.txt").as_str()), ("run\n", ""));
    assert!(read("env.txt").contains("PATH=") && !read("env.txt").contains("THE_PASSWORD"), "{}", read("env.txt"));
    let journal = String::from_utf8_lossy(&std::fs::read(place.state().join("journal.db")).unwrap()).into_owned();
    for text in [&said.stdout, &said.stderr, &journal] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[test]
fn a_command_that_is_not_listed_or_does_not_work_prints_no_secret() {
    let listed = |script: &'static str| (ALLOWED, script);
    for ((settings, script), reason) in [
        (
            ("", "echo never-run > ran.txt"),
            "which is not allowed here: add `- { argv: [\"sh\", \"print.sh\", \"token\"] }`",
        ),
        (listed("echo half-a-secret-value; echo half-a-secret-value >&2; exit 3"), "ended with exit code 3"),
        (listed("kill -9 $$"), "was ended by signal 9"),
        (listed("true"), "which is empty"),
        (listed("echo short"), "shorter than 8 bytes"),
        (listed("echo changeme"), "is a common word"),
        (listed("printf 'half-a-secret-value\\377'"), "not UTF-8"),
        (listed("head -c 70000 /dev/zero | tr '\\0' a"), "more than 65536 bytes"),
        (listed("sleep 60"), "took longer than 10 s"),
    ] {
        let ledger = server();
        let place = place(&ledger.url, PRINTS, settings).file("print.sh", script);
        let said = place.ask(&["run", "send", "--target", "here"]).exits(2);
        assert!(said.stderr.contains("secret TOKEN") && said.stderr.contains(reason), "{script}: {}", said.stderr);
        assert!(!said.stderr.contains("half-a-secret"), "{}", said.stderr);
        assert!(!place.project().join("ran.txt").exists());
        assert_eq!(ledger.bytes(), 0, "{script}");
    }
}

#[test]
fn a_credential_of_systemd_is_read_and_a_step_can_not_show_it() {
    let ledger = server();
    let place = place(&ledger.url, "from: systemd, name: the-token", "");
    let reads = "secrets: [TOKEN]\nsteps: [{ id: one, uses: file.read, with: { path: credentials/the-token } }]\n";
    let place = place.runbook("read", reads).file("credentials/the-token", format!("{TOKEN}\n"));
    let said = place.ask(&["run", "send", "--target", "here"]).exits(2);
    assert!(said.stderr.contains("LoadCredential=the-token:"), "{}", said.stderr);
    let folder = place.project().join("credentials").display().to_string();
    let place = place.env("CREDENTIALS_DIRECTORY", folder);
    place.ask(&["run", "send", "--target", "here"]).exits(0);
    let heard: String = ledger.entries().into_iter().map(|request| request.head).collect();
    assert_eq!(heard.matches(TOKEN).count(), 2, "{heard}");
    let said = place.ask(&["run", "read", "--target", "here"]);
    assert!(said.code() != Some(0) && !said.stdout.contains(TOKEN), "{said:?}");
}

#[cfg(not(feature = "keyring"))]
#[test]
fn a_build_without_a_keyring_says_so_wherever_one_is_needed() {
    let ledger = server();
    let place = place(&ledger.url, "from: keyring, name: the-token", "");
    // The target means the same to every build.
    place.ask(&["check", "send", "here"]).exits(0);
    assert_eq!(place.json(&["secrets", "list"])[0]["place"], json!("the-token"));
    for (args, code) in [
        (vec!["run", "send", "--target", "here"], 2),
        (vec!["secrets", "check", "--target", "here"], 1),
        (vec!["secrets", "set", "TOKEN", "--target", "here"], 2),
    ] {
        let said = place.ask(&args).exits(code);
        let said = format!("{}{}", said.stdout, said.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        for part in ["the key the-token of the kernel's keyring", "no keyring", "--features keyring", "`from: file`"] {
            assert!(said.contains(part), "{args:?}: {said}");
        }
    }
    assert_eq!(ledger.bytes(), 0);
}

#[cfg(feature = "keyring")]
#[test]
fn a_secret_goes_into_the_keyring_and_from_there_to_its_host() {
    let Key(key) = &Key(format!("rerail-test-binary-{}", std::process::id()));
    let ledger = server();
    let place = place(&ledger.url, &format!("from: keyring, name: {key}, hosts: [127.0.0.1]"), "");
    let missing = place.ask(&["run", "send", "--target", "here"]);
    if missing.stderr.contains("lets no program use it") {
        eprintln!("NOT TESTED: {}", missing.stderr);
        return;
    }
    assert!(missing.exits(2).stderr.contains("which is not there"));
    let set = |value: &str| {
        let mut command = place.rerail(&["secrets", "set", "TOKEN", "--target", "here"]);
        command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), value.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (value, done) in [("an-older-value-example\n", "written"), (TOKEN, "replaced")] {
        let (code, said) = set(value);
        assert!(code == Some(0) && said.contains(&format!("{done}: the key {key}")), "{said}");
        assert!(!said.contains(value.trim()), "{said}");
    }
    // Each of the commands below is a process of its own, as the one that wrote it was.
    place.ask(&["secrets", "check", "--target", "here"]).exits(0).says(&["16 to 63 bytes"]);
    place.ask(&["run", "send", "--target", "here"]).exits(0);
    let heard: String = ledger.entries().into_iter().map(|request| request.head).collect();
    assert_eq!(heard.matches(TOKEN).count(), 2, "{heard}");
    let (code, said) = set(&"k1y".repeat(11_000));
    assert!(code == Some(2) && said.contains("holds at most 32767 bytes, got 33000"), "{said}");
    place.ask(&["secrets", "check", "--target", "here"]).exits(0).says(&["16 to 63 bytes"]);
}

/// Takes a key out again whatever becomes of a test: it would stay until the machine's next start.
#[cfg(feature = "keyring")]
struct Key(String);

#[cfg(feature = "keyring")]
impl Drop for Key {
    fn drop(&mut self) {
        use linux_keyutils::{KeyRing, KeyRingIdentifier};
        let own = KeyRing::from_special_id(KeyRingIdentifier::Thread, true);
        let found = own.and_then(|own| {
            own.link_keyring_id(KeyRingIdentifier::User)?;
            own.search(&self.0)
        });
        found.and_then(|key| key.invalidate()).ok();
    }
}

#[test]
fn secrets_are_listed_and_checked_and_never_shown() {
    let target = "version: 1\nsecrets:\n  TOKEN: { from: file, path: token, hosts: [api.example.com] }\n  UNUSED: { from: env, name: NOT_SET }\n";
    let place = Place::new()
        .runbook("send", &runbook("http://127.0.0.1:1"))
        .file("targets/here.yaml", target)
        .file("token", format!("{TOKEN}\n"));
    let listed = place.json(&["secrets", "list"]);
    assert_eq!(
        listed,
        json!([
            {"target": "here", "secret": "TOKEN", "from": "file", "place": "token", "hosts": ["api.example.com"], "runbooks": ["send"]},
            {"target": "here", "secret": "UNUSED", "from": "env", "place": "NOT_SET", "hosts": [], "runbooks": []},
        ])
    );
    std::fs::set_permissions(place.project().join("token"), Permissions::from_mode(0o644)).unwrap();
    let said = place.ask(&["secrets", "check", "TOKEN", "--target", "here"]).exits(0);
    assert!(said.stdout.contains("16 to 63 bytes") && said.stdout.contains("chmod 600 token"), "{}", said.stdout);
    std::fs::set_permissions(place.project().join("token"), Permissions::from_mode(0o600)).unwrap();
    let said = place.ask(&["secrets", "check", "TOKEN", "--target", "here"]).exits(0);
    assert!(said.stdout.contains("goes to api.example.com"), "{}", said.stdout);
    let said = place.ask(&["secrets", "check", "--target", "here", "-o", "json"]).exits(1);
    assert_eq!(said.json()["readable"], json!(false));
    assert_eq!(said.json()["secrets"][1]["state"], json!("broken"));
    let unknown = place.ask(&["secrets", "check", "OTHER", "--target", "here"]).exits(2);
    assert!(unknown.stderr.contains("it has TOKEN, UNUSED"), "{}", unknown.stderr);
    for args in [["secrets", "list", "--target", "here"], ["secrets", "check", "--target", "here"]] {
        let said = place.ask(&args);
        assert!(!format!("{said:?}").contains(TOKEN), "{said:?}");
    }
    // A store with a key gives fingerprints: the same for the same value.
    place.ask(&["checkpoint"]).exits(0);
    let run = place.ask(&["run", "send", "--target", "here", "--yes"]);
    assert!(!format!("{run:?}").contains(TOKEN), "{run:?}");
    let said = place.ask(&["secrets", "check", "TOKEN", "--target", "here"]).exits(0);
    assert!(said.stdout.contains("fingerprint "), "{}", said.stdout);
}

#[test]
fn neither_rerail_nor_what_it_starts_writes_a_core_file() {
    let place = Place::new()
        .file("rerail.yaml", "version: 1\nallow: { exec: [{ argv: [sh, limits.sh], effect: read }] }\n")
        .file("limits.sh", "grep -h 'core file' /proc/$PPID/limits /proc/$$/limits | tr -s ' '")
        .runbook("limits", "steps: [{ id: one, uses: exec.run, with: { argv: [sh, limits.sh] } }]\n");
    place.ask(&["run", "limits"]).exits(0);
    let shown = place.json(&["show"]);
    let line = "Max core file size 0 0 bytes";
    assert_eq!(shown["steps"].to_string().matches(line).count(), 2, "{shown}");
}

#[test]
fn what_is_promised_of_secrets_is_said_by_the_program_as_by_the_document() {
    let said = Place::new().ask(&["explain", "secrets"]).exits(0);
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/secrets.md")).unwrap();
    assert_eq!(said.stdout, document);
}
