//! The signals of this process: Ctrl-C, being asked to go (SIGTERM, SIGHUP), and going on after a stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::runs::Parting;
use crate::surfaces::cli::keys;

/// Tells what is done here that the process is asked to go; false once nobody listens any more.
pub type Driven = Box<dyn Fn(Parting) -> bool + Send>;

/// The signals that are heard; none where the system refuses, or where one was ignored when the process began.
struct Heard {
    interrupted: Option<Signal>,
    went_on: Option<Signal>,
    terminated: Option<Signal>,
    hung_up: Option<Signal>,
}

impl Heard {
    /// From now on they don't end the process. Within a runtime only.
    fn install(drives: bool) -> Heard {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let parts = |kind: SignalKind| match drives && !is_ignored(&status, kind.as_raw_value()) {
            true => signal(kind).ok(),
            false => None,
        };
        Heard {
            interrupted: signal(SignalKind::interrupt()).ok(),
            went_on: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw())).ok(),
            terminated: parts(SignalKind::terminate()),
            hung_up: parts(SignalKind::hangup()),
        }
    }
}

/// Listens from now on, on one thread, for as long as the process lives: calls `interrupted` at every Ctrl-C, and tells
/// the run that is driven when the process is asked to go. A signal that was ignored when this process began, as under
/// `nohup`, stays ignored.
pub fn listen(interrupted: impl Fn() + Send + 'static, driven: Option<Driven>) {
    // Without a runtime signals keep their usual meaning: the process ends, the journal has it all.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    // Here and not on the thread: it may begin to run only after somebody was told what Ctrl-C does.
    let heard = {
        let _inside = runtime.enter();
        Heard::install(driven.is_some())
    };
    let listen = move || runtime.block_on(hear(heard, interrupted, driven));
    let _ = std::thread::Builder::new().name("signals".into()).spawn(listen);
}

async fn hear(mut heard: Heard, interrupted: impl Fn(), mut driven: Option<Driven>) {
    loop {
        let parting = tokio::select! {
            () = next(&mut heard.interrupted) => {
                interrupted();
                continue;
            }
            () = next(&mut heard.went_on) => {
                keys::take_again();
                continue;
            }
            () = next(&mut heard.terminated) => Parting::Terminated,
            () = next(&mut heard.hung_up) => Parting::HungUp,
        };
        // Nobody listens once the run is over, and then the process ends by itself.
        if driven.as_ref().is_some_and(|goes| !goes(parting)) {
            driven = None;
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// Whether `/proc/self/status` says that a signal is ignored.
fn is_ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(number - 1).is_ok_and(|bit| mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_told_from_others() {
        let status = "Name:\trerail\nSigBlk:\t0000000000004001\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004001\n";
        assert!(is_ignored(status, 1) && is_ignored(status, 13));
        assert!(!is_ignored(status, 15) && !is_ignored(status, 2));
        assert!(!is_ignored("", 1) && !is_ignored("SigIgn:\tx\n", 1) && !is_ignored(status, 0));
    }
}
