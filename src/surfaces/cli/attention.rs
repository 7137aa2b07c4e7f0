//! What a terminal shows beside its text: progress in its tab or task bar, a bell, a title. Sent only where it is
//! understood, and always taken back.

/// What the tab or task bar shows of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing.
    Off,
    /// It works, nobody knows how long.
    Busy,
    /// It waits for a person.
    Person,
}

/// What a terminal can show, by what it says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Codes at all: a dumb terminal would print them.
    pub codes: bool,
    /// `OSC 9;4`. Others take it for a notification, or print it.
    pub progress: bool,
}

impl Abilities {
    /// Reads the environment.
    pub fn of(env: impl Fn(&str) -> Option<String>) -> Abilities {
        let is = |name: &str, value: &str| env(name).is_some_and(|found| found == value);
        let codes = !is("TERM", "dumb");
        // iTerm knows it since 3.6.6, which lists it among its features.
        let iterm = is("TERM_PROGRAM", "iTerm.app") && env("TERM_FEATURES").is_some_and(|list| has_feature(&list, 'P'));
        let progress = env("WT_SESSION").is_some_and(|session| !session.is_empty())
            || is("ConEmuANSI", "ON")
            || is("TERM_PROGRAM", "WezTerm")
            || is("TERM_PROGRAM", "ghostty")
            || iterm;
        Abilities { codes, progress: codes && progress }
    }

    /// The code that shows `progress`; empty where it isn't understood.
    pub fn progress(self, progress: Progress) -> &'static str {
        match progress {
            _ if !self.progress => "",
            Progress::Off => "\x1b]9;4;0;\x1b\\",
            Progress::Busy => "\x1b]9;4;3;\x1b\\",
            Progress::Person => "\x1b]9;4;4;100\x1b\\",
        }
    }

    /// Rings once and puts `title` on the window, keeping the old one.
    pub fn call(self, title: &str) -> String {
        match self.codes {
            false => String::new(),
            // What comes from a runbook may hold no code of its own.
            true => format!("\x07\x1b[22;2t\x1b]2;{}\x1b\\", title.replace(char::is_control, " ")),
        }
    }

    /// Gives the window its old title back.
    pub fn calm(self) -> &'static str {
        if self.codes { "\x1b[23;2t" } else { "" }
    }

    /// Rings once.
    pub fn bell(self) -> &'static str {
        if self.codes { "\x07" } else { "" }
    }
}

/// Whether a list like `T3LrMSc7UUw9Ts3BFGsSyHNoSxFP` names the feature of this one letter. A capital begins a
/// feature, what follows belongs to it.
fn has_feature(list: &str, letter: char) -> bool {
    let mut letters = list.chars().peekable();
    while let Some(c) = letters.next() {
        let goes_on = letters.peek().is_some_and(char::is_ascii_lowercase);
        if c == letter && !goes_on {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(env: &[(&str, &str)]) -> Abilities {
        Abilities::of(|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn progress_goes_only_where_it_is_understood() {
        for env in [
            [("WT_SESSION", "5a1c"), ("TERM", "xterm-256color")],
            [("ConEmuANSI", "ON"), ("TERM", "xterm-256color")],
            [("TERM_PROGRAM", "WezTerm"), ("TERM", "xterm-256color")],
            [("TERM_PROGRAM", "ghostty"), ("TERM", "xterm-ghostty")],
            [("TERM_PROGRAM", "iTerm.app"), ("TERM_FEATURES", "T3LrMSc7UUw9Ts3BFGsSyHNoSxFP")],
        ] {
            assert!(of(&env).progress, "{env:?}");
        }
        for env in [
            vec![],
            vec![("TERM_PROGRAM", "Apple_Terminal")],
            vec![("TERM_PROGRAM", "iTerm.app"), ("TERM_FEATURES", "T3LrMSc7UUw9Ts3BFGsSyHNoSxF")],
            vec![("TERM_PROGRAM", "iTerm.app")],
            vec![("WT_SESSION", "")],
            vec![("WT_SESSION", "5a1c"), ("TERM", "dumb")],
        ] {
            assert_eq!(of(&env).progress(Progress::Busy), "", "{env:?}");
        }
    }

    #[test]
    fn a_dumb_terminal_gets_no_code_at_all() {
        let dumb = of(&[("TERM", "dumb")]);
        assert_eq!((dumb.call("x").as_str(), dumb.calm(), dumb.bell()), ("", "", ""));
    }

    #[test]
    fn a_title_holds_no_code() {
        assert_eq!(of(&[]).call("a\x1b]2;b\x07"), "\x07\x1b[22;2t\x1b]2;a ]2;b \x1b\\");
    }
}
