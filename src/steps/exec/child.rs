//! One child process, with everything it starts in its group, from its start to its certain end.
//!
//! It gets its own process group, so that a Ctrl-C at the terminal does not reach it and its whole family can be
//! ended at once; only the environment it is given; no open files but its three streams.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::redact::Redactor;
use crate::steps::exec::capture::{Capture, Captured};

/// How long a group that was asked to end may take before it is killed: enough to remove a lock file.
pub(in crate::steps) const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait for what the kernel does at once unless the process hangs in a dead disk.
const REAPED_WITHIN: Duration = Duration::from_millis(500);
/// How long the streams are read after the end: only a process that has left the group still holds them.
const DRAINED_WITHIN: Duration = Duration::from_millis(200);

/// What to run.
pub(in crate::steps) struct Order {
    /// Absolute.
    pub program: PathBuf,
    /// The first word is what the program sees as its name.
    pub argv: Vec<String>,
    /// All of its environment.
    pub env: Vec<(String, String)>,
    pub directory: PathBuf,
    /// What it reads; nothing at all without it.
    pub stdin: Option<Vec<u8>>,
    pub deadline: Instant,
}

/// How a child ended.
#[derive(Debug)]
pub(in crate::steps) enum How {
    Exited(i32),
    /// By a signal that did not come from here.
    Signalled(i32),
    /// Stopped at the deadline.
    Stopped,
    /// It could not be waited for.
    Lost(String),
}

/// A child that has ended.
pub(in crate::steps) struct Ended {
    pub how: How,
    pub stdout: Captured,
    pub stderr: Captured,
    /// From its start to its end.
    pub ms: i64,
}

/// Runs a command until it has ended or the deadline has passed. When this returns, or is dropped, nothing of the
/// child's group runs any more; only what has left the group on purpose (a daemon) may.
///
/// # Errors
/// If it could not be started: nothing has happened then.
pub(in crate::steps) async fn run(order: Order, redactor: &Redactor) -> io::Result<Ended> {
    let started = Instant::now();
    let mut command = Command::new(&order.program);
    command.env_clear().envs(order.env).current_dir(&order.directory).process_group(0).kill_on_drop(true);
    if let Some((name, rest)) = order.argv.split_first() {
        command.arg0(name).args(rest);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if order.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn()?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let mut group = Group(pid);

    let writing = child.stdin.take().zip(order.stdin).map(|(pipe, text)| Cut(tokio::spawn(feed(pipe, text))));
    let streams = [Capture::new(redactor.clone()), Capture::new(redactor.clone())];
    let stdout = child.stdout.take().map(|pipe| Cut(tokio::spawn(streams[0].clone().read(pipe))));
    let stderr = child.stderr.take().map(|pipe| Cut(tokio::spawn(streams[1].clone().read(pipe))));

    let stopped = match pid {
        Some(pid) => !end_of(pid, &group, order.deadline).await,
        None => false,
    };
    // The leader is not reaped yet, so its number still means this group and no other.
    group.signal(Signal::KILL);
    let how = match timeout(REAPED_WITHIN, child.wait()).await {
        _ if stopped => How::Stopped,
        Ok(Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => How::Exited(code),
            (None, Some(signal)) => How::Signalled(signal),
            (None, None) => How::Lost("it ended without an exit code".to_owned()),
        },
        Ok(Err(error)) => How::Lost(error.to_string()),
        Err(_) => How::Lost("it does not end, not even when it is killed".to_owned()),
    };
    group.0 = None;
    drop(writing);
    let drained = Instant::now() + DRAINED_WITHIN;
    for mut reading in [stdout, stderr].into_iter().flatten() {
        // Whatever has come by then is what there is.
        let _ = timeout_at(drained, &mut reading.0).await;
    }
    let [stdout, stderr] = streams.map(|stream| stream.captured());
    Ok(Ended { how, stdout, stderr, ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX) })
}

/// Waits for the end of the leader without reaping it; asks it to end at the deadline. Whether it ended by itself.
async fn end_of(leader: Pid, group: &Group, deadline: Instant) -> bool {
    let mut ended = tokio::task::spawn_blocking(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // Only a signal to this thread makes it return early.
        while matches!(waitid(WaitId::Pid(leader), options), Err(Errno::INTR)) {}
    });
    if timeout_at(deadline, &mut ended).await.is_ok() {
        return true;
    }
    group.signal(Signal::TERM);
    // A stopped process hears of it only when it goes on.
    group.signal(Signal::CONT);
    if timeout(ENDS_WITHIN, &mut ended).await.is_err() {
        group.signal(Signal::KILL);
        let _ = timeout(REAPED_WITHIN, ended).await;
    }
    false
}

/// Writes what the child is to read. It may end without reading all of it: that is its business.
async fn feed(mut pipe: ChildStdin, text: Vec<u8>) {
    let _ = pipe.write_all(&text).await;
    let _ = pipe.shutdown().await;
}

/// A group whose leader is not reaped; killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // An error means that nobody is left.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// A task that is cut off when nobody waits for it any more.
struct Cut(JoinHandle<()>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.abort();
    }
}
