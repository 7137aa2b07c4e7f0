//! `allow.exec`: which commands this host lets runbooks run, and what each may do to the world.
//!
//! A line is matched word by word, first line first. Nothing here looks for programs or runs them.

use std::sync::Arc;

use crate::runbook::node::Node;
use crate::runbook::reader::{Keys, Reader};
use crate::runbook::settings::hosts;
use crate::runbook::spec::{Effect, Repeat};
use crate::runbook::words::{quoted, variable_fault};
use crate::script::value::{Map, Value};

/// Words of a pattern: far above real commands.
const WORDS_MAX: usize = 64;

pub(super) const COMMAND: Keys = Keys {
    what: "command",
    known: &["argv", "effect", "repeat", "env", "hosts"],
    later: &[],
    foreign: &[("run", "write `argv`")],
};
pub(super) const SECRET_COMMAND: Keys =
    Keys { what: "command for a secret", known: &["argv"], later: &[], foreign: &[("run", "write `argv`")] };
pub(super) const EFFECTS: [(&str, Effect); 4] = [
    ("read", Effect::Read),
    ("notify", Effect::Notify),
    ("write", Effect::Write),
    ("destructive", Effect::Destructive),
];
pub(super) const REPEATS: [(&str, Repeat); 2] = [("once", Repeat::Once), ("repeatable", Repeat::Repeatable)];

/// One line of `allow.exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    argv: Vec<Word>,
    pub effect: Effect,
    pub repeat: Repeat,
    /// Environment variables that a runbook may set for it.
    pub env: Vec<String>,
    /// Hosts it talks to: secrets bound to one of them may be given to it.
    pub hosts: Vec<String>,
}

/// One word of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Is(String),
    /// `*`: one word that is no option, so that an input can't smuggle one in.
    Any,
    /// `**`, at the end: whatever follows, options too.
    Rest,
}

/// How a line and a command that may not be wholly known go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    No,
    Maybe,
    Yes,
}

/// The lines of a project, in order; none without a project.
#[derive(Clone, Debug, Default)]
pub struct Commands(Arc<[Command]>);

impl Commands {
    /// Those of a project file.
    pub fn new(lines: Vec<Command>) -> Commands {
        Commands(lines.into())
    }

    /// The first line that allows this command.
    pub fn find(&self, argv: &[&str]) -> Option<&Command> {
        let words: Vec<Option<&str>> = argv.iter().copied().map(Some).collect();
        self.0.iter().find(|line| line.fit(&words) == Fit::Yes)
    }

    /// What a call with these arguments may do: that of its line, the greatest of all lines it may come to while
    /// it is not wholly known, and a write without a line.
    pub fn effect(&self, args: &Map) -> Effect {
        let mut greatest = Effect::Read;
        for (line, fit) in self.fitting(args.get("argv")) {
            greatest = greatest.max(line.effect);
            if fit == Fit::Yes {
                return greatest;
            }
        }
        greatest.max(Effect::Write)
    }

    /// Whether a command may be run again when nobody knows what came of it: only if its line says so.
    pub fn repeat(&self, args: &Map) -> Repeat {
        match self.fitting(args.get("argv")).next() {
            Some((line, Fit::Yes)) => line.repeat,
            _ => Repeat::Once,
        }
    }

    fn fitting<'a>(&'a self, argv: Option<&'a Value>) -> impl Iterator<Item = (&'a Command, Fit)> {
        let words: Option<Vec<Option<&str>>> = match argv {
            Some(Value::List(words)) => Some(words.iter().map(Value::as_text).collect()),
            _ => None,
        };
        self.0.iter().filter_map(move |line| {
            let fit = words.as_ref().map_or(Fit::Maybe, |words| line.fit(words));
            (fit > Fit::No).then_some((line, fit))
        })
    }
}

impl Command {
    /// `None` stands for a word that isn't known yet.
    fn fit(&self, words: &[Option<&str>]) -> Fit {
        let mut fit = Fit::Yes;
        for (at, pattern) in self.argv.iter().enumerate() {
            if *pattern == Word::Rest {
                return fit;
            }
            let Some(word) = words.get(at) else { return Fit::No };
            fit = fit.min(match (pattern, word) {
                (Word::Rest, _) => Fit::Yes,
                (_, None) => Fit::Maybe,
                (Word::Is(text), Some(word)) if text == word => Fit::Yes,
                (Word::Any, Some(word)) if !word.starts_with('-') => Fit::Yes,
                _ => Fit::No,
            });
        }
        if words.len() == self.argv.len() { fit } else { Fit::No }
    }
}

/// Reads `allow.exec`.
pub(super) fn read_commands(reader: &mut Reader, node: &Node) -> Commands {
    let lines = reader.list(node, "`exec`", "a list of commands").unwrap_or_default();
    Commands::new(lines.iter().filter_map(|line| command(reader, line)).collect())
}

/// Reads `allow.secret_commands`: they print a secret and change nothing.
pub(super) fn read_secret_commands(reader: &mut Reader, node: &Node) -> Commands {
    let lines = reader.list(node, "`secret_commands`", "a list of commands").unwrap_or_default();
    let mut read = Vec::new();
    for line in lines {
        let Some(fields) = reader.fields(line, &SECRET_COMMAND) else { continue };
        let argv = reader.required(&fields, "argv").and_then(|node| pattern(reader, node));
        read.extend(argv.map(|argv| Command {
            argv,
            effect: Effect::Read,
            repeat: Repeat::default(),
            env: Vec::new(),
            hosts: Vec::new(),
        }));
    }
    Commands::new(read)
}

fn command(reader: &mut Reader, node: &Node) -> Option<Command> {
    let fields = reader.fields(node, &COMMAND)?;
    let argv = reader.required(&fields, "argv").and_then(|node| pattern(reader, node));
    let effect = reader.required(&fields, "effect").and_then(|node| reader.word(node, "effect", &EFFECTS));
    let repeat = fields.get("repeat").map(|node| reader.word(node, "repeat", &REPEATS));
    let env = fields.get("env").map(|node| reader.names(node, "`env`", variable_fault)).unwrap_or_default();
    let hosts = fields.get("hosts").map(|node| hosts(reader, node)).unwrap_or_default();
    let effect = effect?;
    if let (Effect::Read, Some(entry)) = (effect, fields.entry("repeat")) {
        reader.error(
            "E0115",
            entry.key.span,
            "`repeat` does not go with `effect: read`",
            "a read can always be repeated",
        );
    }
    Some(Command {
        argv: argv?,
        effect,
        repeat: repeat.flatten().unwrap_or_default(),
        env: env.into_iter().map(|name| name.value).collect(),
        hosts,
    })
}

fn pattern(reader: &mut Reader, node: &Node) -> Option<Vec<Word>> {
    let texts = reader.texts(node, "`argv`");
    if texts.is_empty() {
        if !reader.has_errors() {
            reader.wrong(node, "`argv`", "a program and its arguments");
        }
        return None;
    }
    if texts.len() > WORDS_MAX {
        let message = format!("`argv` has {} words, at most {WORDS_MAX} are usable", texts.len());
        reader.error("E0114", reader.first_line(node.span), message, "too many");
        return None;
    }
    let mut words = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let fault = match text.value.as_str() {
            "" if at == 0 => Some("the program is blank"),
            "*" | "**" if at == 0 => Some("the program must be named: a pattern there would allow every command"),
            "**" if at + 1 < texts.len() => Some("`**` stands for all that follows: nothing can come after it"),
            "*" | "**" => None,
            word if word.contains('*') => Some("`*` stands for a whole word, not for a part of one"),
            word if word.contains('\0') => Some("a word can't hold a NUL"),
            _ => None,
        };
        if let Some(fault) = fault {
            let message = format!("{} can't stand in `argv`: {fault}", quoted(&text.value));
            reader.error("E0107", reader.first_line(text.span), message, "not usable here");
            return None;
        }
        words.push(match text.value.as_str() {
            "*" => Word::Any,
            "**" => Word::Rest,
            word => Word::Is(word.to_owned()),
        });
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::settings::read_settings;
    use crate::runbook::source::Source;

    fn read(lines: &str) -> (Commands, Vec<&'static str>) {
        let (settings, problems) =
            read_settings(&Source::new("rerail.yaml", format!("version: 1\nallow:\n  exec:\n{lines}")));
        (settings.exec, problems.iter().map(|problem| problem.code).collect())
    }

    fn args(words: &[Option<&str>]) -> Map {
        let unknown = || Value::Unknown(crate::script::value::Unknown { origin: "computed".into() });
        let words = words.iter().map(|word| word.map_or_else(unknown, Value::from)).collect();
        Map::from([("argv".to_owned(), Value::List(words))])
    }

    const LINES: &str = "    - { argv: [git, fetch, \"*\"], effect: write, repeat: repeatable }
    - { argv: [git, log, \"**\"], effect: read, env: [GIT_PAGER] }
    - { argv: [git, push, \"*\"], effect: destructive }
    - { argv: [git, \"*\"], effect: notify }
";

    #[test]
    fn the_first_line_that_fits_decides() {
        let (commands, codes) = read(LINES);
        assert_eq!(codes, Vec::<&str>::new());
        let effect = |argv: &[&str]| commands.find(argv).map(|line| line.effect);
        assert_eq!(effect(&["git", "fetch", "origin"]), Some(Effect::Write));
        assert_eq!(effect(&["git", "log"]), Some(Effect::Read));
        assert_eq!(effect(&["git", "log", "--oneline", "-3"]), Some(Effect::Read));
        assert_eq!(effect(&["git", "status"]), Some(Effect::Notify));
        assert_eq!(commands.find(&["git", "log"]).unwrap().env, ["GIT_PAGER"]);
        for refused in [&["git"][..], &["git", "fetch"], &["git", "fetch", "a", "b"], &["/usr/bin/git", "log"], &[]] {
            // `git fetch` is one word after the program: the line for any one word takes it.
            let expected = (refused == ["git", "fetch"]).then_some(Effect::Notify);
            assert_eq!(effect(refused), expected, "{refused:?}");
        }
    }

    #[test]
    fn a_star_never_stands_for_an_option() {
        let (commands, _) = read(LINES);
        assert!(commands.find(&["git", "fetch", "--upload-pack=touch x"]).is_none());
        assert!(commands.find(&["git", "-c"]).is_none());
        assert!(commands.find(&["git", "fetch", ""]).is_some());
    }

    #[test]
    fn what_is_not_known_yet_counts_as_the_worst_it_may_come_to() {
        let (commands, _) = read(LINES);
        let effect = |words: &[Option<&str>]| commands.effect(&args(words));
        assert_eq!(effect(&[Some("git"), Some("log"), None]), Effect::Read);
        assert_eq!(effect(&[Some("git"), Some("fetch"), None]), Effect::Write);
        assert_eq!(effect(&[Some("git"), None, Some("x")]), Effect::Destructive);
        assert_eq!(effect(&[Some("rm"), None]), Effect::Write);
        assert_eq!(commands.effect(&Map::new()), Effect::Destructive);
        assert_eq!(Commands::default().effect(&Map::new()), Effect::Write);
        let repeat = |words: &[Option<&str>]| commands.repeat(&args(words));
        assert_eq!(repeat(&[Some("git"), Some("fetch"), Some("x")]), Repeat::Repeatable);
        assert_eq!(repeat(&[Some("git"), Some("fetch"), None]), Repeat::Once);
        assert_eq!(repeat(&[Some("rm"), Some("x")]), Repeat::Once);
    }

    #[test]
    fn mistakes_are_told() {
        for (line, code) in [
            ("- { argv: [], effect: read }", "E0107"),
            ("- { argv: [\"*\"], effect: read }", "E0107"),
            ("- { argv: [\"**\"], effect: read }", "E0107"),
            ("- { argv: [a, \"**\", b], effect: read }", "E0107"),
            ("- { argv: [a, \"--file=*\"], effect: read }", "E0107"),
            ("- { argv: [\"\"], effect: read }", "E0107"),
            ("- { argv: a b, effect: read }", "E0107"),
            ("- { argv: [a], effect: pure }", "E0107"),
            ("- { argv: [a], effect: write, repeat: keyed }", "E0107"),
            ("- { argv: [a], effect: read, repeat: once }", "E0115"),
            ("- { argv: [a] }", "E0106"),
            ("- { effect: read }", "E0106"),
            ("- { argv: [a], effect: read, env: [\"A=B\"] }", "E0105"),
            ("- { argv: [a], effect: read, shell: true }", "E0103"),
            ("- a b", "E0107"),
        ] {
            assert_eq!(read(&format!("    {line}\n")).1, [code], "{line}");
        }
        let long = format!("    - {{ argv: [{}], effect: read }}\n", vec!["a"; WORDS_MAX + 1].join(", "));
        assert_eq!(read(&long).1, ["E0114"]);
    }
}
