//! The evaluation that runs on this thread: its limits, its calls, and whether it must end.
//!
//! Rhai hands its callbacks no state, and an error can be swallowed on its way up: by `catch`, and by
//! native functions that call back into a script. So what ends an evaluation is a flag here, not an
//! error: once it is set, every operation and every function of ours ends at once, whatever the
//! script makes of the error, and the result is not looked at. An evaluation never leaves its thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use rhai::{Dynamic, EvalAltResult, NativeCallContext};

use crate::script::answers::{Answers, Reply};
use crate::script::compile::Position;
use crate::script::cpu;
use crate::script::sandbox::{ScriptErrorKind, Wanted};
use crate::script::value::{Map, Unknown, Value};
use crate::script::{alloc, analysis, convert, limits};

/// What Rhai's functions fail with.
pub(super) type Failure = Box<EvalAltResult>;

/// Operations between two looks at the processor clock, which costs as much as three of them.
const OPERATIONS_PER_CLOCK: u64 = 32;

/// Why an evaluation ends whatever its script does.
pub(super) enum End {
    Call(Wanted),
    Unknown(Unknown),
    Mismatch { name: String, count: u32, recorded: Map, now: Map },
    Error { kind: ScriptErrorKind, message: String },
}

#[derive(Default)]
struct Evaluation {
    /// Beside `end` because it is read on every operation.
    ended: Cell<bool>,
    end: RefCell<Option<End>>,
    operations: Cell<u64>,
    cpu_started_ms: Cell<u64>,
    held_at_start: Cell<isize>,
    recorded: RefCell<Answers>,
    counts: RefCell<BTreeMap<String, u32>>,
    calls: Cell<u32>,
    printed: RefCell<Vec<String>>,
    printed_bytes: Cell<usize>,
    /// The first unknown that was handed in: the origin where Rhai's own code trips over one.
    unknown: RefCell<Option<Unknown>>,
    /// What the code may read.
    contexts: RefCell<Vec<(&'static str, Dynamic)>>,
}

thread_local! {
    static CURRENT: Evaluation = Evaluation::default();
}

/// Starts an evaluation on this thread.
pub(super) fn begin(recorded: Answers) {
    CURRENT.with(|current| {
        current.ended.set(false);
        current.end.replace(None);
        current.operations.set(0);
        current.cpu_started_ms.set(cpu_ms());
        current.held_at_start.set(alloc::held());
        current.recorded.replace(recorded);
        current.counts.borrow_mut().clear();
        current.calls.set(0);
        current.printed.borrow_mut().clear();
        current.printed_bytes.set(0);
        current.unknown.replace(None);
    });
}

/// Ends it: why it had to end, if so, and what it printed.
pub(super) fn finish() -> (Option<End>, Vec<String>) {
    CURRENT.with(|current| {
        current.recorded.take();
        current.contexts.borrow_mut().clear();
        (current.end.take(), current.printed.take())
    })
}

/// Ends the evaluation: the first reason counts.
pub(super) fn end(why: End) -> Failure {
    CURRENT.with(|current| {
        if !current.ended.replace(true) {
            current.end.replace(Some(why));
        }
    });
    terminated()
}

/// Ends the evaluation because a named limit is used up.
pub(super) fn exceeded(limit: String) -> Failure {
    end(End::Error { kind: ScriptErrorKind::Limit, message: limit })
}

/// Ends the evaluation with an error the script can't catch.
pub(super) fn fatal(message: String) -> Failure {
    end(End::Error { kind: ScriptErrorKind::Error, message })
}

/// Whether the evaluation has to end.
pub(super) fn ended() -> bool {
    CURRENT.with(|current| current.ended.get())
}

/// The error that unwinds what has ended.
pub(super) fn terminated() -> Failure {
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, rhai::Position::NONE).into()
}

/// An ordinary error, which a script can catch. Rhai has no variant for the errors of functions that
/// is neither thrown by the script nor beyond catching; this one shows its text as it is.
pub(super) fn failure(message: impl Into<String>) -> Failure {
    EvalAltResult::ErrorArithmetic(message.into(), rhai::Position::NONE).into()
}

/// Remembers that the evaluation has been handed an unknown.
pub(super) fn saw(unknown: &Unknown) {
    CURRENT.with(|current| {
        current.unknown.borrow_mut().get_or_insert_with(|| unknown.clone());
    });
}

/// The first unknown handed in, if any.
pub(super) fn first_unknown() -> Option<Unknown> {
    CURRENT.with(|current| current.unknown.borrow().clone())
}

/// Hands in the contexts.
pub(super) fn provide(contexts: Vec<(&'static str, Dynamic)>) {
    CURRENT.with(|current| current.contexts.replace(contexts));
}

/// A context by name.
pub(super) fn context(name: &str) -> Option<Dynamic> {
    CURRENT.with(|current| {
        let contexts = current.contexts.borrow();
        contexts.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    })
}

/// Called on every operation: whether the evaluation has to end.
pub(super) fn progress() -> bool {
    CURRENT.with(|current| {
        if current.ended.get() {
            return true;
        }
        let operations = current.operations.get() + 1;
        current.operations.set(operations);
        let held = alloc::held().saturating_sub(current.held_at_start.get());
        let used_up = if operations > limits::OPERATIONS_MAX {
            format!("it took more than {} operations", limits::OPERATIONS_MAX)
        } else if held > limits::ALLOCATED_BYTES_MAX as isize {
            format!("it used more than {} MiB of memory", limits::ALLOCATED_BYTES_MAX >> 20)
        } else if operations.is_multiple_of(OPERATIONS_PER_CLOCK)
            && cpu_ms().saturating_sub(current.cpu_started_ms.get()) > limits::CPU_MS_MAX
        {
            format!("it used more than {} ms of processor time", limits::CPU_MS_MAX)
        } else {
            return false;
        };
        // What unwinds is the operation, which gets its own error.
        let _ = exceeded(used_up);
        true
    })
}

fn cpu_ms() -> u64 {
    u64::try_from(cpu::spent().as_millis()).unwrap_or(u64::MAX)
}

/// Keeps a printed line, within the limits.
pub(super) fn print(text: &str) {
    CURRENT.with(|current| {
        if current.ended.get() {
            return;
        }
        let mut printed = current.printed.borrow_mut();
        let bytes = current.printed_bytes.get() + text.len();
        if printed.len() > limits::PRINT_LINES_MAX || current.printed_bytes.get() > limits::PRINT_BYTES_MAX {
            return;
        }
        current.printed_bytes.set(bytes);
        if printed.len() == limits::PRINT_LINES_MAX || bytes > limits::PRINT_BYTES_MAX {
            current.printed_bytes.set(limits::PRINT_BYTES_MAX + 1);
            printed.push(format!(
                "… the rest is not kept: more than {} lines or {} KiB",
                limits::PRINT_LINES_MAX,
                limits::PRINT_BYTES_MAX >> 10
            ));
            return;
        }
        printed.push(text.to_owned());
    });
}

/// A step call of the script: answered from the record, or the end of this evaluation.
pub(super) fn call(context: &NativeCallContext, name: &str, argument: Dynamic) -> Result<Dynamic, Failure> {
    if ended() {
        return Err(terminated());
    }
    let args = match convert::to_value(argument)? {
        Value::Map(args) => args,
        other => return Err(failure(format!("`{name}` takes one map of arguments, not {}", other.kind()))),
    };
    CURRENT.with(|current| {
        let calls = current.calls.get() + 1;
        current.calls.set(calls);
        if calls > limits::CALLS_MAX {
            return Err(exceeded(format!("it made more than {} step calls", limits::CALLS_MAX)));
        }
        let count = {
            let mut counts = current.counts.borrow_mut();
            match counts.get_mut(name) {
                Some(count) => {
                    *count += 1;
                    *count
                }
                None => *counts.entry(name.to_owned()).or_insert(1),
            }
        };
        let position = context.call_position();
        let position: Option<Position> = (!position.is_none()).then(|| analysis::at(position));
        let answers = current.recorded.borrow();
        let Some(recorded) = answers.get(name, count) else {
            return Err(end(End::Call(Wanted { name: name.to_owned(), count, args, position })));
        };
        if !recorded.is_call_with(&args) {
            let recorded = recorded.args.clone();
            return Err(end(End::Mismatch { name: name.to_owned(), count, recorded, now: args }));
        }
        match &recorded.reply {
            Reply::Answer(answer) => Ok(convert::to_dynamic(answer.clone())),
            Reply::Throw(thrown) => {
                let thrown = convert::to_dynamic(thrown.clone());
                Err(EvalAltResult::ErrorRuntime(thrown, context.call_position()).into())
            }
            Reply::Unknown(unknown) => Err(end(End::Unknown(unknown.clone()))),
        }
    })
}
