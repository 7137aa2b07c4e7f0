//! The Debian package in a root of its own: installed, started as systemd would, upgraded, removed and purged.
//!
//! The root is that of this machine seen through a layer in memory, in mounts of its own: the real dpkg with its database
//! runs the package's own scripts, and nothing of it is there afterwards.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::house::root;
use crate::packaging::built;
use crate::serve::kit::Served;
use crate::services::skipped;

/// Makes the root below `$1`, says so, and keeps it until its standard input ends.
const LAYERS: &str = r#"
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs -o mode=755 tmpfs "$1/root/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/root/tmp"
echo made
cat >/dev/null
"#;

/// Runs a service's command with the sockets of 0 and 2 as the ones a service manager hands over.
const HANDED: &str = "umask 0077; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$@\" 3<&0 4<&2 </dev/null >/tmp/said 2>&1";

/// What somebody writes into the project, and beside it.
const EDIT: &str = "people: { ana: { os_user: ana, roles: [admin] } }\n";

/// A root that goes with this value.
struct Root {
    keeper: Child,
    dir: tempfile::TempDir,
}

impl Root {
    /// Nothing, and a loud word, where this user or machine can't have one.
    fn over_this_machine() -> Option<Root> {
        if !rustix::process::geteuid().is_root() {
            skipped("a root of its own needs root, the package was NOT installed");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", LAYERS, "sh"]).arg(dir.path());
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if line == "made\n" {
            return Some(Root { keeper, dir });
        }
        let mut why = String::new();
        keeper.stderr.as_mut().unwrap().read_to_string(&mut why).unwrap();
        keeper.wait().unwrap();
        skipped(&format!("no root of its own here, the package was NOT installed: {why}"));
        None
    }

    /// A command in there.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.keeper.id())).arg("chroot");
        command.arg(self.dir.path().join("root")).args(words).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    }

    /// What a command says that must go well.
    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        said
    }

    #[track_caller]
    fn dpkg(&self, words: &[&str]) {
        // Pages of manuals are indexed for people, who are not there.
        self.says(&[&["dpkg", "--no-triggers"], words].concat());
    }

    fn has(&self, path: &str) -> bool {
        self.command(&["test", "-e", path]).status().unwrap().success()
    }

    fn puts(&self, file: &Path, path: &str) {
        let mut command = self.command(&["sh", "-c", "cat >\"$1\"", "sh", path]);
        assert!(command.stdin(File::open(file).unwrap()).status().unwrap().success());
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

/// The package as another version, with another project in it, and in the place of the program a word.
fn other(package: &Path, dir: &Path, version: &str) -> PathBuf {
    let (tree, made) = (dir.join(version), dir.join(format!("{version}.deb")));
    let run = |command: &mut Command| assert!(command.stdout(Stdio::null()).status().unwrap().success());
    run(Command::new("dpkg-deb").arg("-R").arg(package).arg(&tree));
    let control = std::fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    let lines = control.lines().map(|line| match line.starts_with("Version: ") {
        true => format!("Version: {version}\n"),
        false => format!("{line}\n"),
    });
    std::fs::write(tree.join("DEBIAN/control"), lines.collect::<String>()).unwrap();
    std::fs::write(tree.join("usr/bin/rerail"), format!("#!/bin/sh\necho {version}\n")).unwrap();
    std::fs::write(tree.join("etc/rerail/rerail.yaml"), format!("# Of {version}.\nversion: 1\n")).unwrap();
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "-b"]).arg(&tree).arg(&made));
    made
}

/// Keys of the installed unit, as systemd reads them.
struct Unit(String);

impl Unit {
    #[track_caller]
    fn says(&self, key: &str) -> &str {
        let line = self.0.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {key} in\n{}", self.0))
    }
}

/// Starts what the unit says, as whom it says, with sockets of the test.
fn start(root: &Root, unit: &Unit, dir: &Path) -> Served {
    let (socket, state) = (dir.join("server.sock"), format!("/var/lib/{}", unit.says("StateDirectory")));
    let (user, group) = (unit.says("User"), unit.says("Group"));
    root.says(&["install", "-d", "-m", unit.says("StateDirectoryMode"), "-o", user, "-g", group, &state]);
    let (first, second) = (UnixListener::bind(&socket).unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = second.local_addr().unwrap().port();
    let mut words = vec!["setpriv", "--reuid", user, "--regid", group, "--init-groups", "--no-new-privs"];
    words.extend(["--inh-caps", "-all", "--bounding-set", "-all"]);
    words.extend(["env", "-i", "-C", unit.says("WorkingDirectory")]);
    words.extend(unit.says("Environment").split(' '));
    words.extend(["sh", "-c", HANDED, "sh"]);
    words.extend(unit.says("ExecStart").split(' '));
    let mut command = root.command(&words);
    command.stdin(OwnedFd::from(first)).stderr(OwnedFd::from(second)).stdout(Stdio::null());
    Served::of(command.spawn().unwrap(), socket, port)
}

#[test]
fn the_package_is_installed_serves_keeps_what_people_wrote_and_leaves_what_happened() {
    let Some(package) = built() else { return };
    let Some(place) = Root::over_this_machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    place.puts(package, "/root/this.deb");
    for version in ["0.0.1", "99.0.0"] {
        place.puts(&other(package, dir.path(), version), &format!("/root/{version}.deb"));
    }
    let project = "/etc/rerail/rerail.yaml";
    let shipped = std::fs::read_to_string(root().join("packaging/deb/rerail.yaml")).unwrap();
    place.command(&["dpkg", "--purge", "rerail"]).output().unwrap();

    // An older one, then this one: its program, and its project where nobody has touched that.
    place.dpkg(&["-i", "/root/0.0.1.deb"]);
    assert_eq!(place.says(&["rerail"]), "0.0.1\n");
    let user = place.says(&["getent", "passwd", "rerail"]);
    assert!(user.contains(":/var/lib/rerail:") && user.trim_end().ends_with("/nologin"), "{user}");
    place.dpkg(&["-i", "/root/this.deb"]);
    assert_eq!(place.says(&["cat", project]), shipped);
    assert!(
        !place.has("/etc/systemd/system/multi-user.target.wants/rerail.service"),
        "started by who has looked at it"
    );
    let units = ["service", "socket"].map(|kind| format!("/usr/lib/systemd/system/rerail.{kind}"));
    assert_eq!(place.says(&["systemd-analyze", "verify", &units[0], &units[1]]), "");

    // As its unit says.
    let unit = Unit(place.says(&["cat", &units[0]]));
    let server = start(&place, &unit, dir.path());
    assert_eq!(server.unix().get("/healthz").is(200).body, "ok\n");
    assert_eq!(server.tcp().get("/healthz").is(200).body, "ok\n");
    assert_eq!(server.unix().get("/api/v1/doctor").is(200).json()["fit"], true);
    server.signal(Signal::TERM);
    let ended = server.ends();
    let said = place.says(&["cat", "/tmp/said"]);
    assert_eq!(ended, Some(0), "{said}");
    assert!(said.contains("runs connect to public addresses alone"), "{said}");
    let journal = "/var/lib/rerail/journal.db";
    assert_eq!(place.says(&["stat", "-c", "%U %a", "/var/lib/rerail", journal]), "rerail 700\nrerail 600\n");

    // What people wrote stays, also where a newer version brings something else.
    let written = format!("{shipped}{EDIT}");
    place.says(&[
        "sh",
        "-c",
        "printf %s \"$1\" >>\"$2\"; mkdir /etc/rerail/runbooks; : >/etc/rerail/runbooks/own.yaml",
        "sh",
        EDIT,
        project,
    ]);
    place.dpkg(&["-i", "/root/this.deb"]);
    assert_eq!(place.says(&["cat", project]), written);
    place.dpkg(&["--force-confold", "-i", "/root/99.0.0.deb"]);
    assert_eq!(place.says(&["cat", project]), written);
    assert!(place.says(&["cat", "/etc/rerail/rerail.yaml.dpkg-dist"]).contains("Of 99.0.0."));
    assert_eq!(place.says(&["rerail"]), "99.0.0\n");

    // Removed, then purged: what happened, and what nobody but people wrote, is nobody's to take away.
    place.dpkg(&["-r", "rerail"]);
    assert!(!place.has("/usr/bin/rerail") && !place.has(&units[0]) && !place.has(&units[1]));
    assert_eq!(place.says(&["cat", project]), written);
    place.dpkg(&["-P", "rerail"]);
    assert!(!place.has(project) && !place.has("/etc/rerail/rerail.yaml.dpkg-dist"));
    for left in [journal, "/etc/rerail/runbooks/own.yaml"] {
        assert!(place.has(left), "{left} is gone");
    }
    assert_eq!(place.says(&["getent", "passwd", "rerail"]), user);
}
