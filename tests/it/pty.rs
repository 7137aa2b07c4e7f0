//! A program at a real pseudo-terminal: what it shows is expected, what a person types is sent. What was seen so far
//! is told when something expected does not come.

use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expectrl::process::unix::{PtyStream, UnixProcess, WaitStatus};
use expectrl::session::log;
use expectrl::stream::log::LogStream;
use expectrl::{Captures, Eof, Expect as _, Needle, Session};

/// Longer than any of it takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

pub const CTRL_C: &str = "\u{3}";

/// Starts the program behind it once the terminal has the size it is to have: the size is set from outside, and a
/// program that began before would fold its lines for another one. At Ctrl-C the system would throw away what was
/// shown and not yet read, and on a busy machine also what is shown right after.
const ONCE_SIZED: &str = r#"size=$1; shift; stty noflsh; until [ "$(stty size)" = "$size" ]; do :; done; exec "$@""#;

pub struct Pty {
    session: Session<UnixProcess, LogStream<PtyStream, Seen>>,
    seen: Seen,
}

/// Everything that was read and written, a line each.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u8>>>);

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Pty {
    /// Starts a command with nothing but its own environment at a terminal of so many columns.
    pub fn start(command: &Command, columns: u16) -> Pty {
        const ROWS: u16 = 40;
        let mut sized = Command::new("/bin/sh");
        sized.env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm-256color");
        sized.envs(command.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
        sized.args(["-c", ONCE_SIZED, "sh", &format!("{ROWS} {columns}")]);
        sized.arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            sized.current_dir(folder);
        }
        let seen = Seen::default();
        let mut session = log(Session::spawn(sized).unwrap(), seen.clone()).unwrap();
        session.set_expect_timeout(Some(PATIENCE));
        session.get_process_mut().set_window_size(columns, ROWS).unwrap();
        Pty { session, seen }
    }

    /// Waits until it is shown.
    #[track_caller]
    pub fn expect(&mut self, needle: impl Needle) -> Captures {
        match self.session.expect(needle) {
            Ok(found) => found,
            Err(error) => panic!("{error}; seen:\n{}", self.seen()),
        }
    }

    #[track_caller]
    pub fn send(&mut self, typed: impl AsRef<[u8]>) {
        if let Err(error) = self.session.send(typed) {
            panic!("{error}; seen:\n{}", self.seen());
        }
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.session.get_process_mut().set_window_size(columns, rows).unwrap();
    }

    /// What it shows until it ends, and how it ends.
    #[track_caller]
    pub fn rest(mut self) -> (String, i32) {
        let rest = String::from_utf8_lossy(self.expect(Eof).as_bytes()).into_owned();
        match self.session.get_process().wait().unwrap() {
            WaitStatus::Exited(_, code) => (rest, code),
            other => panic!("ended otherwise: {other:?}; seen:\n{}", self.seen()),
        }
    }

    #[track_caller]
    pub fn exit_code(self) -> i32 {
        self.rest().1
    }

    /// The modes the terminal has now, as `stty -a` says them.
    pub fn modes(&self) -> String {
        let terminal = format!("/proc/{}/fd/0", self.session.get_process().pid());
        let said = Command::new("stty").args(["-a", "-F", &terminal]).output().unwrap();
        assert!(said.status.success(), "{said:?}; seen:\n{}", self.seen());
        String::from_utf8(said.stdout).unwrap()
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.0.lock().unwrap()).into_owned()
    }
}
