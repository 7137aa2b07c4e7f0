//! What people type after `/rerail`: words, taken apart as a shell would, and what they ask for. Pure.

use serde::{Deserialize, Serialize};

use crate::runbook::nearest::nearest;
use crate::runs::StartRequest;

/// Letters of a line: chats allow more, and nobody types them.
const LINE_CHARS_MAX: usize = 4000;
/// What a command is called with, for messages.
pub const COMMANDS: [&str; 15] = [
    "help", "find", "plan", "run", "status", "runs", "stalk", "note", "answer", "approve", "reject", "cancel", "hold",
    "link", "unlink",
];
/// Before an input that is called like a word of the command: `input.target=x`.
const INPUT: &str = "input.";

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Help,
    Find(Vec<String>),
    Plan(Start),
    Run(Start),
    /// Of one run, or of all that are open.
    Status(Option<String>),
    Runs,
    Stalk {
        start: Start,
        /// As typed; how often it looks without it is not for a parser to say.
        every: Option<String>,
    },
    StalkStop(Option<String>),
    Note(Spoken),
    Answer(Spoken),
    /// With the digest that was looked at, if one was typed.
    Approve {
        run: Option<String>,
        change: Option<String>,
    },
    Reject(Spoken),
    Cancel(Spoken),
    Hold(Hold),
    Link,
    Unlink,
}

/// A runbook with its inputs, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub runbook: String,
    pub inputs: Vec<(String, String)>,
    pub target: Option<String>,
    pub reason: Option<String>,
    pub incident: Option<String>,
}

/// Something said to a run: the one that is named, or the one of the thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The first word, which may name a run.
    pub first: Option<String>,
    /// All that follows.
    pub rest: String,
}

impl Spoken {
    /// The whole of it, if the first word names no run.
    pub fn all(&self) -> String {
        [self.first.as_deref().unwrap_or_default(), &self.rest].join(" ").trim().to_owned()
    }
}

/// What is to be with writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    On(String),
    Off,
    Status,
}

impl Start {
    /// The same as the door takes it.
    pub fn request(&self) -> StartRequest {
        StartRequest {
            runbook: self.runbook.clone(),
            inputs: self.inputs.clone(),
            inputs_file: None,
            target: self.target.clone(),
            reason: self.reason.clone(),
            incident: self.incident.clone(),
        }
    }
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it, with a way out.
pub fn read(line: &str) -> Result<Command, String> {
    if line.chars().count() > LINE_CHARS_MAX {
        return Err(format!("the line has more than {LINE_CHARS_MAX} letters"));
    }
    let words = split(line)?;
    let Some((command, rest)) = words.split_first() else { return Ok(Command::Help) };
    let spoken = || Spoken { first: rest.first().cloned(), rest: rest.get(1..).unwrap_or_default().join(" ") };
    Ok(match command.to_lowercase().as_str() {
        "help" => Command::Help,
        "find" => Command::Find(rest.iter().map(|word| word.to_lowercase()).collect()),
        "plan" => Command::Plan(start(command, rest, &mut None)?),
        "run" => Command::Run(start(command, rest, &mut None)?),
        "status" => Command::Status(at_most_one(command, rest)?),
        "runs" => Command::Runs,
        "stalk" if rest.first().is_some_and(|word| word == "stop") => {
            Command::StalkStop(at_most_one("stalk stop", &rest[1..])?)
        }
        "stalk" => {
            let mut every = None;
            let start = start(command, rest, &mut every)?;
            Command::Stalk { start, every }
        }
        "note" => Command::Note(spoken()),
        "answer" => Command::Answer(spoken()),
        "approve" => match rest {
            [] => Command::Approve { run: None, change: None },
            [run] => Command::Approve { run: Some(run.clone()), change: None },
            [run, change] => Command::Approve { run: Some(run.clone()), change: Some(change.clone()) },
            _ => return Err("expected `approve RUN DIGEST`: a word too many".to_owned()),
        },
        "reject" => Command::Reject(spoken()),
        "cancel" => Command::Cancel(spoken()),
        "hold" => Command::Hold(match rest.split_first() {
            None => Hold::Status,
            Some((word, [])) if word == "status" => Hold::Status,
            Some((word, [])) if word == "off" => Hold::Off,
            Some((word, why)) if word == "on" && !why.is_empty() => Hold::On(why.join(" ")),
            Some((word, _)) if word == "on" => {
                return Err("a hold needs a reason for those who meet it: `hold on REASON`".to_owned());
            }
            _ => return Err("expected `hold on REASON`, `hold off` or `hold status`".to_owned()),
        }),
        "link" => Command::Link,
        "unlink" => Command::Unlink,
        other => {
            let near = nearest(other, COMMANDS).map(|near| format!("did you mean `{near}`?"));
            return Err(format!("no command `{other}`; {}", near.unwrap_or_else(|| "`help` lists them".to_owned())));
        }
    })
}

/// Whether this line may be answered with a form; what can't be read is answered with what is wrong.
pub fn may_show_a_form(line: &str) -> bool {
    matches!(read(line), Ok(Command::Plan(_) | Command::Run(_)))
}

fn at_most_one(command: &str, rest: &[String]) -> Result<Option<String>, String> {
    match rest {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => Err(format!("expected `{command} RUN`: a word too many")),
    }
}

/// `RUNBOOK key=value …`; `target`, `reason` and `incident` are no inputs, nor is `every` where it has a meaning.
fn start(command: &str, words: &[String], every: &mut Option<String>) -> Result<Start, String> {
    let Some((runbook, pairs)) = words.split_first() else {
        return Err(format!("expected `{command} RUNBOOK input=value …`; `find WORDS` lists runbooks"));
    };
    if runbook.contains('=') {
        return Err(format!("expected the name of a runbook before `{runbook}`"));
    }
    let mut start = Start { runbook: runbook.clone(), ..Start::default() };
    for word in pairs {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(format!("expected `input=value`, got `{word}`; a value with blanks stands in quotes"));
        };
        let slot = match key {
            "target" => &mut start.target,
            "reason" => &mut start.reason,
            "incident" => &mut start.incident,
            "every" if command.eq_ignore_ascii_case("stalk") => &mut *every,
            key => {
                let name = key.strip_prefix(INPUT).unwrap_or(key);
                start.inputs.push((name.to_owned(), value.to_owned()));
                continue;
            }
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(format!("`{key}` is given twice"));
        }
    }
    Ok(start)
}

/// Words between blanks; quotes of any kind a telephone may make of them hold blanks together.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match (quote, closing(c)) {
            (Some(end), _) if c == end => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, Some(end)) if word.as_ref().is_none_or(|word| word.is_empty() || word.ends_with('=')) => {
                quote = Some(end);
                word.get_or_insert_default();
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// The sign that ends a quote which begins with this one.
fn closing(c: char) -> Option<char> {
    match c {
        '"' => Some('"'),
        '\'' => Some('\''),
        '“' => Some('”'),
        '‘' => Some('’'),
        '„' => Some('“'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_of(line: &str) -> Start {
        match read(line).unwrap() {
            Command::Run(start) | Command::Plan(start) | Command::Stalk { start, .. } => start,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_start_is_a_runbook_and_pairs() {
        let start =
            start_of("run crash-loop target=backend url=https://a.example/?x=1&y=2 reason='500 since 3' n=\"a b\"");
        assert_eq!((start.runbook.as_str(), start.target.as_deref()), ("crash-loop", Some("backend")));
        assert_eq!(start.reason.as_deref(), Some("500 since 3"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(start.inputs, [pair("url", "https://a.example/?x=1&y=2"), pair("n", "a b")]);
        assert_eq!(start_of("run x input.target=y every=1s").inputs, [pair("target", "y"), pair("every", "1s")]);
        assert_eq!(start_of("RUN x note=“it’s late”").inputs, [pair("note", "it’s late")]);
        assert_eq!(start_of("run x note=it's").inputs, [pair("note", "it's")]);
        assert_eq!(start_of("run x a=").inputs, [pair("a", "")]);
        assert!(
            matches!(read("stalk b every=30s").unwrap(), Command::Stalk { every: Some(every), .. } if every == "30s")
        );
        assert_eq!(read("stalk stop"), Ok(Command::StalkStop(None)));
    }

    #[test]
    fn words_are_said_to_the_named_run_or_to_that_of_the_thread() {
        let Command::Note(spoken) = read("note 7k3q9d called the provider").unwrap() else { panic!() };
        assert_eq!((spoken.first.as_deref(), spoken.rest.as_str()), (Some("7k3q9d"), "called the provider"));
        assert_eq!(spoken.all(), "7k3q9d called the provider");
        assert_eq!(read("hold on the database moves"), Ok(Command::Hold(Hold::On("the database moves".into()))));
        assert_eq!(read("hold"), Ok(Command::Hold(Hold::Status)));
        assert_eq!(read(""), Ok(Command::Help));
        assert_eq!(read("  "), Ok(Command::Help));
    }

    #[test]
    fn mistakes_are_named_with_a_way_out() {
        for (line, says) in [
            ("rum x", "did you mean `run`?"),
            ("zzzzzzzz", "`help` lists them"),
            ("run", "expected `run RUNBOOK"),
            ("run a=b", "expected the name of a runbook"),
            ("run x y", "expected `input=value`, got `y`"),
            ("run x =y", "expected `input=value`"),
            ("run x target=a target=b", "given twice"),
            ("run x a=\"b", "a quote is not closed"),
            ("hold on", "needs a reason"),
            ("hold up", "expected `hold on REASON`"),
            ("approve a b c", "a word too many"),
            ("status a b", "a word too many"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
        assert!(read(&"a".repeat(4001)).unwrap_err().contains("4000"));
        for command in COMMANDS {
            assert!(!read(command).is_err_and(|error| error.contains("no command")), "{command}");
        }
    }
}
