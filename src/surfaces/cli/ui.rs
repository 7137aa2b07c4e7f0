//! The only place that writes to the terminal: colour, signs, redaction, and the live area that other
//! output must not tear.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anstyle::{AnsiColor, Style};

use crate::redact::Redactor;
use crate::surfaces::cli::area::{Area, cut};
use crate::surfaces::cli::args::{Colour, Globals, Output};
use crate::surfaces::cli::attention::{Abilities, Progress};
use crate::surfaces::shapes::plan::Telling;
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
    /// Whether single keys are read while a run is in the foreground.
    pub reads_keys: bool,
    /// Characters of a line on standard output.
    pub width: usize,
    colour_out: bool,
    colour_err: bool,
    abilities: Abilities,
    redactor: Redactor,
    /// The moving lines, while a run is in the foreground.
    live: Mutex<Option<Area>>,
    /// What Ctrl-C does now, for the help of the keys.
    interrupt: Mutex<Option<&'static str>>,
    /// Why a result did not get where it was sent: a full disk behind a `>`.
    lost: OnceLock<String>,
}

/// Width where there is no terminal to ask, and nobody says `COLUMNS`.
const WIDTH_DEFAULT: usize = 100;
/// Lines where there is no terminal to ask.
const ROWS_DEFAULT: usize = 24;
/// What `COLUMNS` may say: below, no line says anything; above, a table is laid out for a wall.
const WIDTH_RANGE: std::ops::RangeInclusive<usize> = 20..=1000;

impl Ui {
    /// Reads the flags and the environment once.
    pub fn new(globals: &Globals, redactor: Redactor) -> Ui {
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let in_ci = env("CI").is_some();
        let abilities = Abilities::of(env);
        let colour = |terminal: bool, choice: anstream::ColorChoice| match globals.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => match choice {
                anstream::ColorChoice::Never => false,
                // A log of CI is read by programs as well: codes only where they are asked for.
                anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi => {
                    !in_ci || env("CLICOLOR_FORCE").is_some_and(|force| force != "0")
                }
                anstream::ColorChoice::Auto => terminal,
            },
        };
        let typed = std::io::stdin().is_terminal() && err;
        let size = out.then(terminal_size).flatten();
        Ui {
            output: globals.output(),
            marks: if globals.ascii || !speaks_utf8() { Marks::Ascii } else { Marks::Unicode },
            detail: match (globals.quiet, globals.verbose) {
                (true, _) => Detail::Quiet,
                (false, true) => Detail::Events,
                (false, false) => Detail::Steps,
            },
            asks: !globals.no_input && typed,
            watched: err && !in_ci && abilities.codes,
            reads_keys: typed,
            width: width(env("COLUMNS").as_deref(), size.map(|(columns, _)| columns)),
            colour_out: colour(out, anstream::AutoStream::choice(&std::io::stdout())),
            colour_err: colour(err, anstream::AutoStream::choice(&std::io::stderr())),
            abilities,
            redactor,
            live: Mutex::new(None),
            interrupt: Mutex::default(),
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

    /// Whether everything is told, also how actions do what they do.
    pub fn tells_everything(&self) -> bool {
        self.detail == Detail::Events
    }

    /// How a rehearsal is told here.
    pub fn telling(&self) -> Telling {
        Telling { marks: self.marks, whole: self.tells_everything() }
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

    /// A JSON value of the result: laid out for `json`, on one line for `jsonl`, as a document for `yaml`.
    pub fn result_json(&self, value: &serde_json::Value) {
        let text = match self.output {
            Output::Jsonl => value.to_string(),
            Output::Yaml => serde_yaml::to_string(value).unwrap_or_else(|_| value.to_string()).trim_end().to_owned(),
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

    /// From now on there are moving lines below what is written.
    pub fn begin_area(&self) {
        *self.area() = Some(Area::default());
    }

    /// Whether there are moving lines.
    pub fn has_area(&self) -> bool {
        self.area().is_some()
    }

    /// Shows these as the moving lines, cut to the terminal as it is now. Nothing without an area.
    pub fn draw_area(&self, lines: &[Line]) {
        let mut area = self.area();
        let Some(area) = area.as_mut() else { return };
        // One column stays free: a full line would wrap on terminals that don't wait for the next character.
        let columns = terminal_size().map_or(WIDTH_DEFAULT, |(columns, _)| columns).saturating_sub(1);
        let drawn = lines.iter().map(|line| paint(&cut(&self.clean(line), columns, self.marks), self.colour_err));
        if let Some(text) = area.redraw(drawn.collect()) {
            raw(&text);
        }
    }

    /// Takes the moving lines and everything beside them away.
    pub fn end_area(&self) {
        self.draw_area(&[]);
        if self.area().take().is_some() {
            raw(self.abilities.progress(Progress::Off));
        }
    }

    /// Shows in the tab or task bar how it stands; nothing without an area.
    pub fn show_progress(&self, progress: Progress) {
        if self.area().is_some() {
            raw(self.abilities.progress(progress));
        }
    }

    /// Calls a person: a bell and a title.
    pub fn call(&self, title: &str) {
        if self.watched {
            raw(&self.abilities.call(&self.redactor.redact(title)));
        }
    }

    /// Takes the title of a call back.
    pub fn calm(&self) {
        if self.watched {
            raw(self.abilities.calm());
        }
    }

    /// Rings once, if somebody watches.
    pub fn bell(&self) {
        if self.watched {
            raw(self.abilities.bell());
        }
    }

    /// Says what Ctrl-C does from now on.
    pub fn interrupt_does(&self, what: &'static str) {
        *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    /// What Ctrl-C does.
    pub fn interrupt_means(&self) -> &'static str {
        self.interrupt.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or("leave")
    }

    /// Lines of the terminal as it is now.
    pub fn rows(&self) -> usize {
        terminal_size().map_or(ROWS_DEFAULT, |(_, rows)| rows)
    }

    /// What this terminal can, in words.
    pub fn abilities(&self) -> String {
        let size = terminal_size().map(|(columns, rows)| format!("{columns}x{rows}"));
        let mut words = vec![size.unwrap_or_else(|| "none".to_owned())];
        words.push(if self.marks == Marks::Unicode { "UTF-8" } else { "ASCII" }.to_owned());
        for (can, what) in [
            (self.colour_out || self.colour_err, "colour"),
            (self.watched, "moving lines"),
            (self.asks, "questions"),
            (self.watched && self.abilities.progress, "progress in the tab"),
        ] {
            words.extend(can.then(|| what.to_owned()));
        }
        words.join(", ")
    }

    /// The line without secrets, before it is cut: half of one would not be recognised.
    fn clean(&self, line: &Line) -> Line {
        line.pieces().iter().fold(Line::new(), |line, (tone, piece)| line.add(*tone, &self.redactor.redact(piece)))
    }

    fn area(&self) -> MutexGuard<'_, Option<Area>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader that went away, as in `rerail runs | head`, is not an error: a run goes on regardless.
    fn write_out(&self, text: &str) {
        let text = self.redactor.redact(text);
        let area = self.area();
        raw(area.as_ref().map_or("", |area| area.erased()));
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                self.lost.get_or_init(|| error.to_string());
            }
            _ => {}
        }
        raw(&area.as_ref().map_or_else(String::new, Area::restored));
    }

    fn write_err(&self, text: &str) {
        let text = self.redactor.redact(text);
        match self.area().as_ref() {
            // A prompt may have the terminal in raw mode, where a line end alone doesn't return.
            Some(area) => raw(&area.above(&text.replace('\n', "\r\n"))),
            None => raw(&format!("{text}\n")),
        }
    }
}

/// What a panic says, redacted already: it must not wait for a lock that the one who panics may hold.
pub fn last_words(text: &str) {
    raw(text);
}

/// Writes to standard error in one piece. Who can't be told anything can't be told that either.
fn raw(text: &str) {
    if !text.is_empty() {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// Columns and rows, if there is a terminal. Asks the kernel alone: `crossterm` starts `tput` twice where there is none.
fn terminal_size() -> Option<(usize, usize)> {
    let ends = [rustix::stdio::stderr(), rustix::stdio::stdout(), rustix::stdio::stdin()];
    let size = ends.into_iter().find_map(|end| rustix::termios::tcgetwinsize(end).ok())?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// The width of a result: `COLUMNS` where it is set to something sensible, else that of the terminal.
fn width(columns: Option<&str>, terminal: Option<usize>) -> usize {
    let said = columns.and_then(|text| text.trim().parse().ok()).filter(|said| WIDTH_RANGE.contains(said));
    said.or(terminal).unwrap_or(WIDTH_DEFAULT)
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
    fn columns_count_over_the_terminal_where_they_make_sense() {
        assert_eq!(width(Some("60"), Some(200)), 60);
        for nonsense in ["", "0", "7", "wide", "-80", "999999999999999999999"] {
            assert_eq!(width(Some(nonsense), Some(200)), 200, "{nonsense}");
        }
        assert_eq!(width(None, None), WIDTH_DEFAULT);
    }

    #[test]
    fn colour_wraps_pieces_and_nothing_else() {
        let line = Line::of(Tone::Bad, "x\x1b[0m").add(Tone::Plain, " y");
        assert_eq!(paint(&line, true), "\u{1b}[1m\u{1b}[31mx\\u{1b}[0m\u{1b}[0m y");
        assert_eq!(paint(&line, false), "x\\u{1b}[0m y");
    }
}
