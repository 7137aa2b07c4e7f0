//! What people type goes into the record as typed, so it is held against the secrets first.

use crate::redact::Redactor;
use crate::runs::error::{ErrorKind, RunsError};
use crate::script::value::Value;

/// Bytes of a note, an answer or a reason: a page or two; more belongs into a file that is linked.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Refuses a text that holds the value of a secret, or is too long for a line of a transcript. `what` begins
/// the sentence: `the note`.
pub(super) fn check_text(redactor: &Redactor, what: &str, text: &str) -> Result<(), RunsError> {
    if text.len() > TEXT_BYTES_MAX {
        let said = format!("{what} has {} bytes, more than {TEXT_BYTES_MAX}", text.len());
        return Err(RunsError::new(ErrorKind::Usage, said));
    }
    check_value(redactor, what, &Value::from(text))
}

/// As [`check_text`], for text that may be missing.
pub(super) fn check_optional(redactor: &Redactor, what: &str, text: Option<&str>) -> Result<(), RunsError> {
    text.map_or(Ok(()), |text| check_text(redactor, what, text))
}

/// Refuses a value that holds the value of a secret.
pub(super) fn check_value(redactor: &Redactor, what: &str, value: &Value) -> Result<(), RunsError> {
    if redactor.redact_value(value) == *value {
        return Ok(());
    }
    let said = RunsError::new(ErrorKind::Usage, format!("{what} holds the value of a secret"));
    Err(said.hint("it would end up in the record: name the secret instead"))
}
