//! The built program, in a project and a store of its own; and how much memory it takes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::measure::Row;
use crate::probes::Server;

/// The program under measurement: the one built with this, or the one that `RERAIL_MEASURED` names.
pub fn rerail() -> PathBuf {
    std::env::var_os("RERAIL_MEASURED").map_or_else(|| env!("CARGO_BIN_EXE_rerail").into(), PathBuf::from)
}

/// A directory with runbooks and a store.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("runbooks")).unwrap();
        // What runs of a server look at listens on this machine.
        std::fs::write(dir.path().join("rerail.yaml"), "version: 1\negress: { allow: [127.0.0.0/8] }\n").unwrap();
        Place { dir }
    }

    /// Writes a runbook: the lines after its head.
    pub fn runbook(&self, name: &str, body: &str) -> PathBuf {
        let path = self.dir.path().join(format!("runbooks/{name}.yaml"));
        let head = "version: 1\ntitle: A measurement\nowner: benches\nreviewed: 2026-11-01\n";
        std::fs::write(&path, format!("{head}{body}")).unwrap();
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        wrapped(Command::new(rerail()), self.dir.path(), args)
    }

    /// Behind another program, such as `strace`.
    pub fn behind(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(rerail());
        wrapped(command, self.dir.path(), args)
    }

    pub fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }
}

fn wrapped(mut command: Command, dir: &Path, args: &[&str]) -> Command {
    command
        .current_dir(dir)
        .args(["--state-dir", dir.join("state").to_str().unwrap()])
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Most memory the process ever had, in MiB, by what the kernel counted.
fn peak_mib(place: &Place, args: &[&str]) -> f64 {
    let script = "import resource,subprocess,sys\nsubprocess.run(sys.argv[1:],stdin=-3,stdout=-3,stderr=-3,check=True)\nprint(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let mut command = place.behind(&["python3", "-c", script], args);
    let output = command.stdout(Stdio::piped()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap() / 1024.0
}

/// What large runs add to the memory of a run of one step.
pub fn rows() -> Vec<Row> {
    let server = Server::start();
    let place = Place::new();
    place.runbook("one", "steps:\n  - { id: a, script: '1' }\n");
    let big = format!("steps:\n  - {{ id: a, uses: http.probe, with: {{ url: '{}/big' }} }}\n", server.url);
    place.runbook("big", &big);
    place.runbook("many", "steps:\n  - id: x\n    foreach: 0..9990\n    script: 'each.value'\n");
    place.runbook(
        "loud",
        "steps:\n  - id: x\n    script: 'for i in 0..1000 { print(\"x\".pad(1000, \"y\")) } 1'\n"
            .replace("\"x\".pad(1000, \"y\")", "\"0123456789abcdef0123456789abcdef\"")
            .as_str(),
    );
    let idle = peak_mib(&place, &["run", "one"]);
    let more = |name: &str| peak_mib(&place, &["run", name]) - idle;
    vec![
        Row::plain("MEM", "a response of 10 MB, above one step", more("big"), 64.0, "MiB"),
        Row::plain("MEM", "9,991 steps, above one step", more("many"), 64.0, "MiB"),
        Row::plain("MEM", "1,000 lines printed by a script, above one step", more("loud"), 64.0, "MiB"),
    ]
}
