//! What is said of a panic. It states a broken invariant, and may quote the value that broke it: so its message and
//! backtrace go through the redactor as everything else does.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use crate::redact::Redactor;
use crate::surfaces::cli::ui;

/// Stands for a message that can't be searched for secrets at this moment.
const WITHHELD: &str = "(message withheld: what is secret was being changed)";

/// From now on panics of all threads are told through `redactor`.
pub fn tell(redactor: &Redactor) {
    let redactor = redactor.clone();
    std::panic::set_hook(Box::new(move |info| ui::last_words(&report(info, &redactor, &Backtrace::capture()))));
}

fn report(info: &PanicHookInfo<'_>, redactor: &Redactor, backtrace: &Backtrace) -> String {
    let thread = std::thread::current();
    let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    let said = format!("{}{backtrace}", info.payload_as_str().unwrap_or("(no message)"));
    let said = redactor.redact_now(&said).unwrap_or_else(|| WITHHELD.to_owned());
    let thread = thread.name().unwrap_or("without a name");
    format!("error: rerail has a bug: thread {thread} panicked{place}: {said}\n")
}
