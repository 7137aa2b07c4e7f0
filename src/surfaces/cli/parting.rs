//! SIGTERM and SIGHUP: the process is asked to go, and says so to the run it drives.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::runs::Parting;
use crate::surfaces::cli::prompt::Interrupts;

/// Listens from now on. A signal that was ignored when this process began, as under `nohup`, stays ignored.
pub fn listen(interrupts: Arc<Interrupts>) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let heard = |kind: SignalKind| {
        let ignored = is_ignored(&status, kind.as_raw_value());
        move || if ignored { None } else { signal(kind).ok() }
    };
    let (terminated, hung_up) = (heard(SignalKind::terminate()), heard(SignalKind::hangup()));
    let listen = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let (mut terminated, mut hung_up) = (terminated(), hung_up());
            loop {
                let parting = tokio::select! {
                    () = next(&mut terminated) => Parting::Terminated,
                    () = next(&mut hung_up) => Parting::HungUp,
                };
                // Nobody listens once the run is over, and then the process ends by itself.
                if !interrupts.part(parting) {
                    return;
                }
            }
        });
    };
    // Without the thread the signals keep their usual meaning: the process ends, the journal has it all.
    let _ = std::thread::Builder::new().name("parting".into()).spawn(listen);
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
