//! `RERAIL_LOG`, `RERAIL_LOG_FORMAT`: what the program says about itself, for its developers; never the transcript.

use std::io::Write;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::redact::{RedactingWriter, Redactor};

/// The variable that holds a filter: `debug`, or `rerail=trace,hyper=info`.
const VARIABLE: &str = "RERAIL_LOG";

/// The variable that holds the form of a record: `text`, or `json`, one object a line for a log collector.
const FORMAT: &str = "RERAIL_LOG_FORMAT";

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// Starts logging to standard error if it is asked for. A filter that can't be read is an error, because
/// a silent log helps nobody.
///
/// # Errors
/// A sentence for the operator.
pub fn start(redactor: &Redactor) -> Result<(), String> {
    let Ok(wanted) = std::env::var(VARIABLE) else { return Ok(()) };
    if wanted.is_empty() {
        return Ok(());
    }
    let wanted: Targets =
        wanted.parse().map_err(|error| format!("{VARIABLE}={wanted:?} is not a filter such as `debug`: {error}"))?;
    let format = format(std::env::var(FORMAT).ok().as_deref())?;
    let redactor = redactor.clone();
    let writer = move || Whole { redactor: redactor.clone(), line: Vec::new() };
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    let registry = tracing_subscriber::registry().with(capped(&wanted));
    // A second subscriber can only be a test's; the first one wins.
    let _ = match format {
        Format::Text => registry.with(layer).try_init(),
        Format::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    Ok(())
}

fn format(wanted: Option<&str>) -> Result<Format, String> {
    match wanted {
        None | Some("" | "text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(format!("{FORMAT}={other:?} is no form of a log: expected `text` or `json`")),
    }
}

/// Libraries log headers and bodies below `info`, in forms a redactor may not know.
fn capped(wanted: &Targets) -> Targets {
    let default = wanted.default_level().unwrap_or(LevelFilter::OFF);
    let mut targets =
        Targets::new().with_default(default.min(LevelFilter::INFO)).with_target(env!("CARGO_PKG_NAME"), default);
    for (target, level) in wanted.iter() {
        let ours = target == env!("CARGO_PKG_NAME") || target.starts_with("rerail::");
        targets = targets.with_target(target, if ours { level } else { level.min(LevelFilter::INFO) });
    }
    targets
}

/// Collects one record, so that a secret can't slip through between two writes.
struct Whole {
    redactor: Redactor,
    line: Vec<u8>,
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let mut writer = RedactingWriter::new(std::io::stderr().lock(), self.redactor.clone());
        let _ = writer.write_all(&self.line);
        let _ = writer.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_form_that_is_not_known_is_told_and_not_guessed() {
        assert_eq!([None, Some(""), Some("text")].map(format), [const { Ok(Format::Text) }; 3]);
        assert_eq!(format(Some("json")), Ok(Format::Json));
        assert!(format(Some("JSON")).unwrap_err().contains("expected `text` or `json`"));
    }

    #[test]
    fn libraries_stay_at_info_whatever_is_asked_for() {
        let capped = capped(&"trace,hyper=trace,rerail::steps=debug".parse().unwrap());
        assert!(capped.would_enable("rerail::engine", &Level::TRACE));
        assert!(capped.would_enable("rerail::steps", &Level::DEBUG));
        assert!(!capped.would_enable("rerail::steps", &Level::TRACE));
        for library in ["hyper", "reqwest::connect", "rustls", "rerailed"] {
            assert!(capped.would_enable(library, &Level::INFO) || library == "rerailed");
            assert!(!capped.would_enable(library, &Level::DEBUG) || library == "rerailed", "{library}");
        }
    }
}
