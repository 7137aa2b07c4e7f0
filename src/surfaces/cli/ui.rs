//! The only place that writes to the terminal: colour, signs, redaction, and the live area that other
//! output must not tear.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use anstyle::{AnsiColor, Style};
use indicatif::MultiProgress;

use crate::redact::Redactor;
use crate::surfaces::cli::args::{Colour, Globals, Output};
use crate::transcript::{Detail, Line, Marks, Tone};

/// Results to standard output, everything else to standard error.
pub struct Ui {
    pub output: Output,
    pub marks: Marks,
    pub detail: Detail,
    /// Whether a person can be asked: both ends are terminals and nobody forbade it.
    pub asks: bool,
    /// Whether progress is drawn for a person who watches.
    pub watched: bool,
    /// Characters of a line on standard output.
    pub width: usize,
    colour_out: bool,
    colour_err: bool,
    redactor: Redactor,
    /// The live area, while a run is in the foreground.
    live: Mutex<Option<MultiProgress>>,
    /// Why a result did not get where it was sent: a full disk behind a `>`.
    lost: OnceLock<String>,
}

/// Width where there is no terminal to ask.
const WIDTH_DEFAULT: usize = 100;

impl Ui {
    /// Reads the flags and the environment once.
    pub fn new(globals: &Globals, redactor: Redactor) -> Ui {
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        let colour = |terminal: bool, choice: anstream::ColorChoice| match globals.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => match choice {
                anstream::ColorChoice::Never => false,
                anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi => true,
                anstream::ColorChoice::Auto => terminal,
            },
        };
        // Asked of a terminal alone: where there is none, this would start two programs (`tput`) to find out.
        let size = out.then(crossterm::terminal::size).and_then(Result::ok);
        let asks = !globals.no_input && std::io::stdin().is_terminal() && err;
        Ui {
            output: globals.output(),
            marks: if globals.ascii || !speaks_utf8() { Marks::Ascii } else { Marks::Unicode },
            detail: match (globals.quiet, globals.verbose) {
                (true, _) => Detail::Quiet,
                (false, true) => Detail::Events,
                (false, false) => Detail::Steps,
            },
            asks,
            watched: err && !in_ci,
            width: size.map_or(WIDTH_DEFAULT, |(columns, _)| usize::from(columns)),
            colour_out: colour(out, anstream::AutoStream::choice(&std::io::stdout())),
            colour_err: colour(err, anstream::AutoStream::choice(&std::io::stderr())),
            redactor,
            live: Mutex::new(None),
            lost: OnceLock::new(),
        }
    }

    /// Why a result was lost, if one was.
    pub fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// What takes secrets out of everything written here.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Whether results are for a person.
    pub fn human(&self) -> bool {
        self.output == Output::Human
    }

    /// Whether standard output takes colour.
    pub fn colours_results(&self) -> bool {
        self.colour_out
    }

    /// Whether standard error takes colour.
    pub fn colours_progress(&self) -> bool {
        self.colour_err
    }

    /// A line of the result.
    pub fn result(&self, line: &Line) {
        self.write_out(&(paint(line, self.colour_out) + "\n"));
    }

    /// Text of the result as it is: JSON, Markdown, pictures of problems.
    pub fn result_text(&self, text: &str) {
        self.write_out(text);
    }

    /// A JSON value of the result: laid out for `json`, on one line for `jsonl`.
    pub fn result_json(&self, value: &serde_json::Value) {
        let text = match self.output {
            Output::Jsonl => value.to_string(),
            _ => serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()),
        };
        self.write_out(&(text + "\n"));
    }

    /// Values of one kind: an array for `json`, a line each for `jsonl`.
    pub fn result_rows(&self, rows: Vec<serde_json::Value>) {
        match self.output {
            Output::Jsonl => rows.iter().for_each(|row| self.result_json(row)),
            _ => self.result_json(&serde_json::Value::Array(rows)),
        }
    }

    /// A line of progress.
    pub fn progress(&self, line: &Line) {
        self.write_err(&paint(line, self.colour_err));
    }

    /// A remark for the operator; not in quiet mode.
    pub fn remark(&self, text: &str) {
        if self.detail != Detail::Quiet {
            self.progress(&Line::of(Tone::Dim, text));
        }
    }

    /// `hint: …`
    pub fn hint(&self, text: &str) {
        self.progress(&Line::of(Tone::Good, "hint: ").add(Tone::Plain, text));
    }

    /// `warning: …`
    pub fn warning(&self, text: &str) {
        self.progress(&Line::of(Tone::Warn, "warning: ").add(Tone::Plain, text));
    }

    /// `error: …`
    pub fn error(&self, text: &str) {
        self.progress(&Line::of(Tone::Bad, "error: ").add(Tone::Plain, text));
    }

    /// Text on standard error as it is.
    pub fn progress_text(&self, text: &str) {
        self.write_err(text.trim_end_matches('\n'));
    }

    /// From now on output goes around this area.
    pub fn set_live(&self, area: Option<MultiProgress>) {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = area;
    }

    fn area(&self) -> Option<MultiProgress> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A reader that went away, as in `rerail runs | head`, is not an error: a run goes on regardless.
    fn write_out(&self, text: &str) {
        let text = self.redactor.redact(text);
        let write = || {
            let mut out = std::io::stdout().lock();
            match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    self.lost.get_or_init(|| error.to_string());
                }
                _ => {}
            }
        };
        match self.area() {
            Some(area) => area.suspend(write),
            None => write(),
        }
    }

    fn write_err(&self, line: &str) {
        let line = self.redactor.redact(line);
        let write = || {
            let mut err = std::io::stderr().lock();
            let _ = err.write_all(line.as_bytes()).and_then(|()| err.write_all(b"\n"));
        };
        match self.area() {
            Some(area) => area.suspend(write),
            None => write(),
        }
    }
}

/// A line with its tones as colours; pieces are escaped already, so these are the only control codes.
fn paint(line: &Line, colour: bool) -> String {
    if !colour {
        return line.plain();
    }
    let mut text = String::new();
    for (tone, piece) in line.pieces() {
        let style = match tone {
            Tone::Plain => Style::new(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Warn => AnsiColor::Yellow.on_default(),
            Tone::Dim => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        };
        text.push_str(&format!("{style}{piece}{style:#}"));
    }
    text
}

/// Whether the locale says so. Where none is set, a terminal of today does.
fn speaks_utf8() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    set.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_wraps_pieces_and_nothing_else() {
        let line = Line::of(Tone::Bad, "x\x1b[0m").add(Tone::Plain, " y");
        assert_eq!(paint(&line, true), "\u{1b}[1m\u{1b}[31mx\\u{1b}[0m\u{1b}[0m y");
        assert_eq!(paint(&line, false), "x\\u{1b}[0m y");
    }
}
