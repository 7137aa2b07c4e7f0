//! `ssh.run` with a real sshd on loopback: a host whose key is known, one whose key isn't, and commands that can't be taken
//! for something else over there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::binary::kit::{Place, until};
use crate::services::skipped;

/// Where Debian puts a program that is not for everybody's path.
const SSHD: &str = "/usr/sbin/sshd";

struct Sshd {
    child: Child,
    port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn made(command: &mut Command) {
    let said = command.output().unwrap();
    assert!(said.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said.stderr));
}

fn key(path: &Path) {
    made(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "example", "-f"]).arg(path));
}

/// A server that lets the user of this process in by the key `login`; `None`, and a word about it, where there is none.
fn serve(home: &Path) -> Option<Sshd> {
    if !Path::new(SSHD).exists() || Command::new("ssh").arg("-V").output().is_err() {
        skipped("no sshd here, ssh.run was NOT tested");
        return None;
    }
    // Where it separates itself, if it runs as root.
    std::fs::create_dir_all("/run/sshd").ok();
    key(&home.join("host"));
    key(&home.join("login"));
    let port = crate::servers::free_port();
    let place = |name: &str| home.join(name).display().to_string();
    let settings = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nPermitRootLogin prohibit-password\n",
        place("host"),
        place("login.pub"),
    );
    std::fs::write(home.join("sshd_config"), settings).unwrap();
    let mut sshd = Command::new(SSHD);
    sshd.args(["-D", "-e", "-f", &place("sshd_config")]).stdin(Stdio::null()).stderr(Stdio::null());
    let sshd = Sshd { child: sshd.spawn().unwrap(), port };
    until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    Some(sshd)
}

/// A project that may run `COMMAND` over there.
fn place(home: &Path, port: u16, host_key: &str, lines: &str) -> Place {
    let known: PathBuf = home.join("known_hosts");
    let host_key = std::fs::read_to_string(home.join(host_key)).unwrap();
    std::fs::write(&known, format!("[127.0.0.1]:{port} {host_key}")).unwrap();
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let target = format!(
        "version: 1\ntitle: Here\nproviders:\n  ssh:\n    main: {{ host: 127.0.0.1, port: {port}, user: {}, known_hosts: {}, key: {} }}\n",
        user.trim(),
        known.display(),
        home.join("login").display()
    );
    Place::new().file("targets/here.yaml", target).file("rerail.yaml", format!("version: 1\nallow:\n  exec:\n{lines}"))
}

fn runbook(place: Place, command: &str) -> Place {
    let steps = format!(
        "steps:\n  - {{ id: it, uses: ssh.run, with: {{ command: {command}, timeout: 30s }} }}\noutputs: {{ text: '${{{{ steps.it.outputs.text }}}}' }}\n"
    );
    place.runbook("remote", &steps)
}

const ALL: &str = "    - { argv: [ssh, '**'], effect: write }\n";
const RUN: [&str; 6] = ["run", "remote", "--target", "here", "--yes", "--quiet"];

#[test]
fn words_arrive_as_they_are_whatever_a_shell_would_make_of_them() {
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let Some(sshd) = serve(home.path()) else { return };
    let touched = home.path().join("touched");
    let word = format!("a b; touch {} $(id) 'x", touched.display());
    let command = serde_json::json!(["printf", "<%s>", word]).to_string();
    let place = runbook(place(home.path(), sshd.port, "host.pub", ALL), &command);
    place.ask(&RUN).exits(0);
    assert_eq!(place.json(&["show", "@last"])["outputs"]["text"], format!("<{word}>"));
    assert!(!touched.exists());
}

#[test]
fn what_it_says_and_how_it_ends_is_what_the_step_is() {
    let home = tempfile::tempdir().unwrap();
    let Some(sshd) = serve(home.path()) else { return };
    let place = runbook(place(home.path(), sshd.port, "host.pub", ALL), "[sh, -c, 'echo error: no disk >&2; exit 3']");
    place.ask(&RUN).exits(10).says(&["exit code 3, expected 0: error: no disk"]);
}

#[test]
fn a_host_whose_key_is_another_one_is_not_talked_to() {
    let home = tempfile::tempdir().unwrap();
    let Some(sshd) = serve(home.path()) else { return };
    let touched = home.path().join("touched");
    let place = runbook(place(home.path(), sshd.port, "login.pub", ALL), &format!("[touch, '{}']", touched.display()));
    place.ask(&RUN).exits(10).says(&["exit code 255"]);
    assert!(!touched.exists(), "nothing ran there");
}

#[test]
fn only_a_command_with_a_line_of_its_own_runs_there() {
    let home = tempfile::tempdir().unwrap();
    let Some(sshd) = serve(home.path()) else { return };
    let line = "    - { argv: [ssh, systemctl], effect: write }\n";
    let place = runbook(place(home.path(), sshd.port, "host.pub", line), "[uptime]");
    place.ask(&RUN).exits(10).says(&["is not allowed here: add `- { argv: [\"ssh\", \"-o\", \"BatchMode=yes\""]);
}
