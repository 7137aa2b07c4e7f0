//! What came of a command: the outcome of its attempt, and what a runbook sees of it.
//!
//! | what was seen | write | read |
//! |---|---|---|
//! | an exit code in `expect.exit` | done | done |
//! | that, and its output or files can't be used | failed | failed |
//! | any other exit code | failed | failed |
//! | stopped at the deadline, or ended by a signal | in_doubt | failed |

use crate::engine::outcome::{Failure, FailureKind, Outcome};
use crate::script::limits::{ELEMENTS_MAX, VALUE_DEPTH_MAX};
use crate::script::value::{Map, Value};
use crate::steps::classify::Nature;
use crate::steps::exec::call::Call;
use crate::steps::exec::capture::KEPT_BYTES_MAX;
use crate::steps::exec::child::{Ended, How};

/// Characters of the line of its complaints that a failure quotes.
const COMPLAINT_CHARS_MAX: usize = 200;

/// Judges how a command ended, without looking at what it wrote.
///
/// # Errors
/// The outcome that isn't done, and why.
pub(in crate::steps) fn judge(call: &Call<'_>, ended: &Ended, nature: Nature) -> Result<(), (Outcome, Failure)> {
    let unclear = match nature {
        Nature::Read => Outcome::Failed,
        Nature::Write => Outcome::InDoubt,
    };
    let complaint = complaint(&ended.stderr.text);
    let (outcome, kind, said) = match &ended.how {
        How::Exited(code) if call.expected.contains(&i64::from(*code)) => return Ok(()),
        How::Exited(code) => {
            let expected = call.expected.iter().map(i64::to_string).collect::<Vec<_>>().join(" or ");
            (Outcome::Failed, FailureKind::Expect, format!("exit code {code}, expected {expected}"))
        }
        How::Signalled(signal) => (unclear, FailureKind::Stopped, format!("ended by signal {}", named(*signal))),
        How::Stopped => (unclear, FailureKind::Timeout, format!("still running after {} ms and stopped", ended.ms)),
        How::Lost(why) => (unclear, FailureKind::Stopped, why.clone()),
    };
    let message = format!("`{}`: {said}{complaint}", call.shown());
    Err((outcome, Failure { transient: kind == FailureKind::Timeout, ..Failure::new(kind, message) }))
}

/// What is seen of every command, however it ended.
pub(in crate::steps) fn outputs(call: &Call<'_>, ended: &Ended) -> Map {
    let (code, signal) = match ended.how {
        How::Exited(code) => (Value::from(i64::from(code)), Value::Null),
        How::Signalled(signal) => (Value::Null, Value::from(i64::from(signal))),
        How::Stopped | How::Lost(_) => (Value::Null, Value::Null),
    };
    let text = match call.parse {
        "text" => Value::from(ended.stdout.text.as_str()),
        _ => Value::Null,
    };
    let outputs = [
        ("code", code),
        ("signal", signal),
        ("text", text),
        ("json", Value::Null),
        ("lines", Value::Null),
        ("stderr", Value::from(ended.stderr.text.as_str())),
        ("truncated", Value::from(ended.stdout.truncated() || ended.stderr.truncated())),
        ("stdout_bytes", Value::from(i64::try_from(ended.stdout.bytes).unwrap_or(i64::MAX))),
        ("stdout_sha256", Value::from(ended.stdout.sha256.as_str())),
        ("files", Value::Map(Map::new())),
        ("ms", Value::from(ended.ms)),
    ];
    outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Its standard output in the form that was asked for: the output's name and value.
///
/// # Errors
/// If it isn't of that form, or was not kept whole.
pub(in crate::steps) fn parsed(call: &Call<'_>, ended: &Ended) -> Result<Option<(&'static str, Value)>, Failure> {
    let failed = |kind, why: &str| {
        Err(Failure::new(kind, format!("`{}`: its output can't be read as {}: {why}", call.shown(), call.parse)))
    };
    if matches!(call.parse, "json" | "lines") && ended.stdout.truncated() {
        return failed(FailureKind::Limit, &format!("it has {} bytes, at most {KEPT_BYTES_MAX}", ended.stdout.bytes));
    }
    match call.parse {
        "json" => match serde_json::from_str(&ended.stdout.text).map(|json| Value::from_data(&json)) {
            Ok(value) if value.depth() < VALUE_DEPTH_MAX => Ok(Some(("json", value))),
            Ok(_) => failed(FailureKind::Limit, &format!("it is nested deeper than {VALUE_DEPTH_MAX}")),
            Err(error) => failed(FailureKind::Expect, &error.to_string()),
        },
        "lines" => {
            let lines: Vec<Value> = ended.stdout.text.lines().map(Value::from).collect();
            match lines.len() <= ELEMENTS_MAX {
                true => Ok(Some(("lines", Value::List(lines)))),
                false => failed(FailureKind::Limit, &format!("it has {} lines, at most {ELEMENTS_MAX}", lines.len())),
            }
        }
        _ => Ok(None),
    }
}

/// The last error it named on standard error, or the last thing it said there: programs often end with advice, or with
/// what they were doing.
fn complaint(stderr: &str) -> String {
    let is_error = |line: &&str| {
        let line = line.to_ascii_lowercase();
        ["error:", "fatal:"].iter().any(|word| line.contains(word))
    };
    let mut lines = stderr.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    match lines.clone().find(is_error).or_else(|| lines.next()) {
        Some(line) => format!(": {}", line.chars().take(COMPLAINT_CHARS_MAX).collect::<String>()),
        None => String::new(),
    }
}

/// The signals that end programs in practice; the others by number.
fn named(signal: i32) -> String {
    let name = match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        6 => "ABRT",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        _ => return signal.to_string(),
    };
    format!("{signal} ({name})")
}
