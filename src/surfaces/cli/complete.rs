//! What the shell offers while a command is typed: names of runbooks, runs, steps, targets, actions, inputs.
//!
//! A shell waits for every answer and shows what comes, so this is silent about every error, reads a page of the
//! journal at most, and never creates or changes one. Which argument takes which names is told by the word its help
//! shows for the value, so a new command that takes a `RUN` has it at once.

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::CompleteEnv;

use crate::engine::facts::Facts;
use crate::engine::outcome::Outcome;
use crate::project::Project;
use crate::redact::Redactor;
use crate::runbook::fields;
use crate::runbook::lower::read_runbook;
use crate::runbook::model::{Input, Kind};
use crate::runbook::types::Type;
use crate::runs::{RunFilter, RunRow, Runs, Status};
use crate::script::value::Value;
use crate::surfaces::cli::args;
use crate::surfaces::cli::session::choose_state_dir;
use crate::transcript::{escape, summary};

/// By this variable a shell says that it asks for names, and which shell it is.
pub const VARIABLE: &str = "RERAIL_COMPLETE";

/// Runs offered: the newest are meant, and a longer list is not read.
const RUNS_MAX: u32 = 30;
/// Steps offered, for the same reason.
const STEPS_MAX: usize = 200;

/// Answers the shell if it asks. Says whether it did: then there is nothing more to do.
pub fn answer() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(|| with_names(args::command())).var(VARIABLE).bin("rerail");
    // An unknown shell or a closed pipe: somebody is typing, and no error helps them.
    asked.try_complete(std::env::args_os(), here.as_deref()).unwrap_or(true)
}

/// The command with what its arguments may be.
fn with_names(command: Command) -> Command {
    command
        .mut_args(with_names_of)
        .mut_subcommands(|sub| sub.mut_args(with_names_of).mut_subcommands(|sub| sub.mut_args(with_names_of)))
}

fn with_names_of(arg: Arg) -> Arg {
    let value = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str().to_owned());
    let names: fn() -> Vec<CompletionCandidate> = match (arg.get_id().as_str(), value.as_deref().unwrap_or_default()) {
        ("target", _) => targets,
        ("input", _) => inputs,
        (_, "RUN") => runs,
        (_, "RUN[/STEP]") => waiting,
        ("acts_as" | "person", _) => people,
        (_, "RUNBOOK" | "PATHS") | ("runbook", "NAME") => runbooks,
        (_, "STEP") => steps,
        (_, "STEP=WORD") => outcomes,
        ("answer", _) => answers,
        ("name", "NAME" | "ACTION") => actions,
        (_, "DIR") => return arg.value_hint(ValueHint::DirPath),
        (_, "FILE") => return arg.value_hint(ValueHint::FilePath),
        _ => return arg,
    };
    arg.add(ArgValueCandidates::new(names))
}

/// What stands on the line so far, as far as names depend on it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Typed {
    /// Words that are no options, after the command.
    words: Vec<String>,
    state_dir: Option<String>,
}

impl Typed {
    /// Of this process: what follows `--`, without the program's own name.
    fn of_this_process() -> Typed {
        let words = std::env::args_os().skip_while(|word| word != "--").skip(2);
        Typed::of(&args::command(), words.map(|word| word.to_string_lossy().into_owned()))
    }

    fn of(command: &Command, words: impl IntoIterator<Item = String>) -> Typed {
        let mut typed = Typed::default();
        let mut words = words.into_iter();
        let mut within: Option<&Command> = None;
        while let Some(word) = words.next() {
            if word.len() > 1 && word.starts_with('-') {
                let (name, value) = match word.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (word, None),
                };
                let value = value.or_else(|| takes_value(command, within, &name).then(|| words.next()).flatten());
                if name == "--state-dir" {
                    typed.state_dir = value;
                }
                continue;
            }
            match within {
                None => within = command.find_subcommand(&word),
                Some(_) => typed.words.push(word),
            }
        }
        typed
    }

    fn runs(&self) -> Option<Runs> {
        let flag = self.state_dir.as_ref().map(Into::into);
        let state_dir = choose_state_dir(flag, |name| std::env::var_os(name))?;
        Runs::glance(state_dir, project(), Redactor::new()).ok()?
    }

    /// The run that is named first, else the newest one.
    fn facts(&self) -> Option<Facts> {
        let runs = self.runs()?;
        let run = runs.find(self.words.first().map_or("@last", String::as_str)).ok()?;
        runs.facts(&run).ok()
    }
}

fn takes_value(command: &Command, within: Option<&Command>, option: &str) -> bool {
    let args = command.get_arguments().chain(within.into_iter().flat_map(Command::get_arguments));
    let long = option.strip_prefix("--");
    let short = option.strip_prefix('-').filter(|letters| letters.chars().count() == 1);
    let is_it = |arg: &&Arg| match (long, short) {
        (Some(long), _) => arg.get_long() == Some(long),
        (None, Some(short)) => arg.get_short().is_some_and(|letter| short.starts_with(letter)),
        (None, None) => false,
    };
    args.into_iter().find(is_it).is_some_and(|arg| arg.get_action().takes_values())
}

fn project() -> Project {
    std::env::current_dir().ok().and_then(|here| Project::discover(&here).ok()).unwrap_or_default()
}

/// A name with a word about it, both without control characters.
fn candidate(value: &str, help: &str) -> CompletionCandidate {
    let help = escape::terminal(help);
    CompletionCandidate::new(escape::terminal(value)).help((!help.is_empty()).then(|| help.into()))
}

fn runbooks() -> Vec<CompletionCandidate> {
    let title = |listed: &crate::project::Listed| {
        read_runbook(&listed.name, Kind::Runbook, &listed.source).0.map(|book| book.title).unwrap_or_default()
    };
    project().runbooks().iter().map(|listed| candidate(&listed.name, &title(listed))).collect()
}

fn targets() -> Vec<CompletionCandidate> {
    project().targets().iter().map(|listed| candidate(&listed.name, "")).collect()
}

fn actions() -> Vec<CompletionCandidate> {
    // Needs a door, but no journal behind it.
    let runs = Runs::open(std::path::PathBuf::new(), project(), Redactor::new());
    runs.actions().iter().map(|action| candidate(&action.spec.name, &action.spec.title)).collect()
}

fn runs() -> Vec<CompletionCandidate> {
    let filter = RunFilter { limit: Some(RUNS_MAX), ..RunFilter::default() };
    let rows = Typed::of_this_process().runs().and_then(|runs| runs.list(&filter).ok()).unwrap_or_default();
    let newest_first = rows.iter().enumerate().map(|(at, row)| {
        let about = format!("{}  {}  {:.0}", row.runbook, summary::status_words(row.status.word()), row.started_at);
        candidate(&row.run.short(), &about).display_order(Some(at))
    });
    let last = rows.first().map(|row: &RunRow| candidate("@last", &format!("the newest: {}", row.runbook)));
    newest_first.chain(last.map(|last| last.display_order(Some(rows.len())))).collect()
}

/// `RUN/STEP` of what waits for an approval.
fn waiting() -> Vec<CompletionCandidate> {
    let Some(runs) = Typed::of_this_process().runs() else { return Vec::new() };
    let filter = RunFilter { status: Some(Status::Waiting), limit: Some(RUNS_MAX), ..RunFilter::default() };
    let mut found = Vec::new();
    for row in runs.list(&filter).unwrap_or_default() {
        let Ok(facts) = runs.facts(&row) else { continue };
        found.extend(facts.approvals.open().map(|approval| {
            let about = format!("{}  asked by {}", row.runbook, row.actor.id);
            candidate(&format!("{}/{}", row.run.short(), approval.request.step), &about)
        }));
    }
    found
}

/// People of the project, with their roles.
fn people() -> Vec<CompletionCandidate> {
    let people = project().settings.people;
    let roles = |name| people.named(name).map(|person| person.roles.join(", ")).unwrap_or_default();
    people.names().map(|name| candidate(name, &roles(name))).collect()
}

fn steps() -> Vec<CompletionCandidate> {
    steps_with(|_| vec![String::new()])
}

/// `STEP=done` and `STEP=not-done`, of what is in doubt or failed.
fn outcomes() -> Vec<CompletionCandidate> {
    steps_with(|outcome| match outcome {
        Some(Outcome::InDoubt) => vec!["=done".to_owned(), "=not-done".to_owned()],
        Some(Outcome::Failed | Outcome::Refused | Outcome::Rejected) => vec!["=done".to_owned()],
        _ => Vec::new(),
    })
}

fn steps_with(endings: impl Fn(Option<Outcome>) -> Vec<String>) -> Vec<CompletionCandidate> {
    let Some(facts) = Typed::of_this_process().facts() else { return Vec::new() };
    let mut found = Vec::new();
    for (path, record) in facts.steps.iter().take(STEPS_MAX) {
        let outcome = record.finished.as_ref().map(|end| end.outcome);
        let word = outcome.map_or("", Outcome::word);
        found.extend(endings(outcome).iter().map(|ending| candidate(&format!("{path}{ending}"), word)));
    }
    found
}

/// `STEP=CHOICE` for each open question, `STEP=` where it has no choices, `FIELD=` for each of its fields.
fn answers() -> Vec<CompletionCandidate> {
    let Some(facts) = Typed::of_this_process().facts() else { return Vec::new() };
    let mut found = Vec::new();
    for (path, record) in facts.questions() {
        let Some(asked) = &record.asked else { continue };
        if let Ok(fields) = fields::read(&Value::Map(asked.fields.clone())) {
            found.extend(fields.iter().flat_map(of_input));
            continue;
        }
        let choices = asked.choices.iter().map(String::as_str);
        let some = if asked.choices.is_empty() { vec![""] } else { choices.collect() };
        found.extend(some.iter().map(|choice| candidate(&format!("{path}={choice}"), &asked.text)));
    }
    found
}

/// `KEY=` for each input of the runbook on the line, with its values where there are few.
fn inputs() -> Vec<CompletionCandidate> {
    let typed = Typed::of_this_process();
    let listed = typed.words.first().and_then(|name| project().runbook(name).ok());
    let book = listed.and_then(|listed| read_runbook(&listed.name, Kind::Runbook, &listed.source).0);
    book.map(|book| book.inputs.iter().flat_map(of_input).collect()).unwrap_or_default()
}

fn of_input(input: &Input) -> Vec<CompletionCandidate> {
    let name = &input.name.value;
    let values: Vec<&str> = match &input.ty {
        Type::Bool => vec!["true", "false"],
        Type::Choice(choices) => choices.iter().map(String::as_str).collect(),
        _ => vec![""],
    };
    let about = match &input.description {
        Some(text) => format!("{}: {text}", input.ty.name()),
        None => input.ty.name().to_owned(),
    };
    values.iter().map(|value| candidate(&format!("{name}={value}"), &about)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Typed {
        Typed::of(&args::command(), line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_and_their_values_are_no_words() {
        assert_eq!(typed("run -i a=b --yes look --target x -i").words, ["look"]);
        assert_eq!(typed("show --ascii 7k3q9d --step").words, ["7k3q9d"]);
        assert_eq!(typed("").words, Vec::<String>::new());
        assert_eq!(typed("nonsense x").words, Vec::<String>::new());
    }

    #[test]
    fn another_state_directory_is_looked_into() {
        for line in ["--state-dir /other show", "show --state-dir=/other", "show --state-dir /other x"] {
            assert_eq!(typed(line).state_dir.as_deref(), Some("/other"), "{line}");
        }
    }

    #[test]
    fn every_argument_with_a_name_known_here_offers_it() {
        let command = with_names(args::command());
        let mut seen = 0;
        for sub in command.get_subcommands() {
            for arg in sub.get_arguments() {
                let value = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
                let named = matches!(value, Some("RUN" | "RUN[/STEP]" | "RUNBOOK" | "STEP" | "STEP=WORD"));
                if named || ["answer", "input"].contains(&arg.get_id().as_str()) {
                    assert!(arg.get::<ArgValueCandidates>().is_some(), "{} {}", sub.get_name(), arg.get_id());
                    seen += 1;
                }
            }
        }
        assert!(seen >= 10, "{seen}");
    }
}
