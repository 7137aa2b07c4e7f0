//! The signals of this process: Ctrl-C, being asked to go (SIGTERM, SIGHUP), and going on after a stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::runs::Parting;
use crate::surfaces::cli::keys;

/// Tells what is done here that the process is asked to go; false once nobody listens any more.
pub type Driven = Box<dyn Fn(Parting) -> bool + Send>;

/// Listens from now on, on one thread, for as long as the process lives: calls `interrupted` at every Ctrl-C, and tells
/// the run that is driven when the process is asked to go. A signal that was ignored when this process began, as under
/// `nohup`, stays ignored.
pub fn listen(interrupted: impl Fn() + Send + 'static, driven: Option<Driven>) {
    let listen = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(hear(interrupted, driven));
    };
    // Without the thread signals keep their usual meaning: the process ends, the journal has it all.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(listen);
}

async fn hear(interrupted: impl Fn(), mut driven: Option<Driven>) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let heard = |kind: SignalKind| match driven.is_none() || is_ignored(&status, kind.as_raw_value()) {
        true => None,
        false => signal(kind).ok(),
    };
    let (mut terminated, mut hung_up) = (heard(SignalKind::terminate()), heard(SignalKind::hangup()));
    let mut ctrl_c = signal(SignalKind::interrupt()).ok();
    let mut went_on = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw())).ok();
    loop {
        let parting = tokio::select! {
            () = next(&mut ctrl_c) => {
                interrupted();
                continue;
            }
            () = next(&mut went_on) => {
                keys::take_again();
                continue;
            }
            () = next(&mut terminated) => Parting::Terminated,
            () = next(&mut hung_up) => Parting::HungUp,
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
