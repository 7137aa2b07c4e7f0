//! The command line: global flags and the tree of commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::{
    actions, answer, apply, approvals, approve, cancel, check, checkpoint, completions, demo, describe, diff, docs,
    doctor, eval, explain, export, graph, hold, link, list, login_link, man, new, note, pause, plan, prune, record,
    replay, resume, run, runs, schema, secrets, serve, show, take, test, token, triggers, undo, verify,
};

/// Incident runbooks that survive a crash, rehearse honestly and leave a transcript.
#[derive(Debug, Parser)]
#[command(name = "rerail", version, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads a command line, with the name of the program in front.
    ///
    /// # Errors
    /// What is to be printed, also for `--help` and `--version`.
    pub fn read(args: &[OsString]) -> Result<Cli, clap::Error> {
        if let Some(cli) = Cli::read_run(args) {
            return Ok(cli);
        }
        Cli::from_arg_matches(&command().try_get_matches_from(args)?)
    }

    /// Reads the start of a runbook; `None` for everything else, also for a wrong one.
    ///
    /// To build, copy and drop the whole tree of commands takes longer than a flush, and starts are what alerts and
    /// scripts wait for. Whatever this accepts means the same to the whole tree: `run` stands where a command stands.
    fn read_run(args: &[OsString]) -> Option<Cli> {
        if !args.iter().any(|arg| arg == "run") {
            return None;
        }
        let run = run::RunArgs::augment_args(clap::Command::new("run"));
        let root = Globals::augment_args(clap::Command::new("rerail")).subcommand(run).subcommand_required(true);
        let matches = root.try_get_matches_from(args).ok()?;
        let (_, of_run) = matches.subcommand()?;
        let globals = Globals::from_arg_matches(&matches).ok()?;
        Some(Cli { globals, command: Command::Run(run::RunArgs::from_arg_matches(of_run).ok()?) })
    }
}

/// Flags of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Form of the result on standard output
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Human, env = "RERAIL_OUTPUT")]
    pub output: Output,
    /// Short for `--output json`
    #[arg(long, global = true)]
    pub json: bool,
    /// Show only what needs eyes
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Show every event, also those inside actions
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to use colour; it is never the only sign
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
    /// Never ask anything
    #[arg(long, global = true, env = "RERAIL_NO_INPUT", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_input: bool,
    /// Use ASCII signs only
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Directory of the journal [default: $XDG_STATE_HOME/rerail]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Act as a person of the project, proved by their token [default: who the operating system's user is]
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub acts_as: Option<String>,
    /// File with the token of `--as`, or for `--server`; readable by its owner alone
    #[arg(long, global = true, value_name = "FILE", env = "RERAIL_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
    /// Work with the runs of a server: https://HOST, http://127.0.0.1:PORT or unix:/PATH
    #[arg(long, global = true, value_name = "ADDRESS", env = "RERAIL_SERVER", conflicts_with = "acts_as")]
    pub server: Option<String>,
    /// Authority to trust beside the known ones when it speaks to the server (PEM)
    #[arg(long, global = true, value_name = "FILE", requires = "server")]
    pub ca: Option<PathBuf>,
}

impl Globals {
    /// The form asked for by either flag.
    pub fn output(&self) -> Output {
        if self.json { Output::Json } else { self.output }
    }
}

/// Forms of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Human,
    /// One JSON value
    Json,
    /// One JSON value a line
    Jsonl,
    /// One YAML document
    Yaml,
    /// SARIF 2.1.0, from `check` only
    Sarif,
    /// JUnit XML, from `test` only
    Junit,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal that can, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a runbook
    Run(run::RunArgs),
    /// Rehearse a runbook and save what it would do, to be applied as it stands
    Plan(plan::PlanArgs),
    /// Do exactly what a saved plan says, or nothing
    Apply(apply::ApplyArgs),
    /// Take a run up again, with a decision about a step if it needs one
    Resume(resume::ResumeArgs),
    /// Take a run over from whoever drives it
    Take(take::TakeArgs),
    /// Take back what a run changed, after a look at what that would do
    Undo(undo::UndoArgs),
    /// Stop a run at its next safe point
    Cancel(cancel::CancelArgs),
    /// Let a run start nothing new until it is resumed
    Pause(pause::PauseArgs),
    /// Let no run write until the hold is lifted
    Hold(hold::HoldArgs),
    /// List runbooks
    List(list::ListArgs),
    /// Say what a runbook means, needs and may change
    Describe(describe::DescribeArgs),
    /// List runs, newest first
    Runs(runs::RunsArgs),
    /// Show a run: its steps, where it stands, what can be done
    Show(show::ShowArgs),
    /// Compare two runs, or a saved plan and a run
    Diff(diff::DiffArgs),
    /// Write a run out: a postmortem, a page, a picture, its events
    Export(export::ExportArgs),
    /// Draw a runbook: its steps, what they may change, which reads which
    Graph(graph::GraphArgs),
    /// Evaluate an expression with what a run has seen
    Eval(eval::EvalArgs),
    /// Check that the journal is what was written
    Verify(verify::VerifyArgs),
    /// Sign how far a run, or everything, has got: one line to keep elsewhere
    Checkpoint(checkpoint::CheckpointArgs),
    /// Remove runs that have ended, leaving signed tombstones
    Prune(prune::PruneArgs),
    /// List what waits for an approval, and who may give it
    Approvals(approvals::ApprovalsArgs),
    /// List what starts by itself here and what came of it; say what an alert would start
    Triggers(triggers::TriggersArgs),
    /// Say yes to exactly the change a run waits with
    Approve(approve::ApproveArgs),
    /// Say no to it, with a reason
    Reject(approve::RejectArgs),
    /// Answer a question of a run
    Answer(answer::AnswerArgs),
    /// Add a note to a run's timeline
    Note(note::NoteArgs),
    /// Check runbooks, actions, targets and the project file
    Check(check::CheckArgs),
    /// Run test files: runbooks and actions in a world that only answers, in virtual time
    Test(test::TestArgs),
    /// Write a run as a test file, with fakes for its secrets
    Record(record::RecordArgs),
    /// Decide a run again from its recorded answers, by the runbook as it is now
    Replay(replay::ReplayArgs),
    /// List actions, or explain one
    Actions(actions::ActionsArgs),
    /// Write a catalogue of all runbooks and actions as Markdown pages
    Docs(docs::DocsArgs),
    /// Write a runbook, action, target or project to start from
    New(new::NewArgs),
    /// Print the JSON Schema of a kind of file, for editors
    Schema(schema::SchemaArgs),
    /// Say whether this machine is fit: project, journal, clock, secrets, terminal
    Doctor(doctor::DoctorArgs),
    /// Make the token by which a person proves who they are
    Token(token::TokenArgs),
    /// Say who acts, and in which roles
    Whoami,
    /// Prove who you are in a chat, with the code it gave you
    Link(link::LinkArgs),
    /// Serve this project to people and programs elsewhere, and drive its runs
    Serve(serve::ServeArgs),
    /// Give this project's tools to an assistant (Model Context Protocol)
    Mcp,
    /// Print a link that signs a browser in to the server's pages, once and within a minute
    LoginLink(login_link::LoginLinkArgs),
    /// Show where secrets come from and go, and whether they can be read
    Secrets(secrets::SecretsArgs),
    /// Say what is promised and what is not
    Explain(explain::ExplainArgs),
    /// Teach a shell to complete names of runbooks, runs, steps, targets and inputs
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write all of them
    Man(man::ManArgs),
    /// See it work on a small broken world in this process
    Demo(demo::DemoArgs),
    /// Show the version and the formats it knows
    Version,
}

/// Commands as `rerail --help` groups them.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Run", &["run", "plan", "apply", "resume", "take", "undo", "pause", "cancel", "hold"]),
    ("Look", &["list", "describe", "runs", "show", "diff", "export", "graph", "triggers", "verify", "checkpoint"]),
    ("Decide", &["approvals", "approve", "reject", "answer", "note"]),
    ("Author", &["new", "check", "test", "record", "replay", "actions", "docs", "schema", "eval"]),
    (
        "Other",
        &[
            "serve",
            "mcp",
            "login-link",
            "doctor",
            "secrets",
            "explain",
            "whoami",
            "token",
            "link",
            "prune",
            "demo",
            "completions",
            "man",
            "version",
        ],
    ),
];

/// The clap command with its commands grouped in the help.
pub fn command() -> clap::Command {
    let command = <Cli as clap::CommandFactory>::command();
    let mut help = String::from("{about}\n\n{usage-heading} {usage}\n");
    for (heading, names) in GROUPS {
        help.push_str(&format!("\n{heading}:\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            help.push_str(&format!("  {name:<13}{about}\n"));
        }
    }
    help.push_str("\nGlobal options:\n{options}\n{after-help}\n");
    let mut codes = String::from("Exit codes:\n");
    for (exit, meaning) in Exit::ALL {
        codes.push_str(&format!("  {:>3}  {meaning}\n", exit.0));
    }
    let run = "RUN is a short id, the beginning of one, NAME/ID, @last or @last:NAME.";
    command.help_template(help).after_help(run).after_long_help(format!("{run}\n\n{codes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_start_is_read_as_the_whole_tree_reads_it() {
        let line = |text: &str| -> Vec<OsString> { text.split_whitespace().map(OsString::from).collect() };
        for (text, is_start) in [
            ("rerail run backend-down", true),
            ("rerail --state-dir run run run -i a=1 -i b=2 -y --json", true),
            ("rerail -q run x --incident INC-1 --reason late -o yaml --as ana", true),
            ("rerail run x --dry-run -v --color never", true),
            ("rerail show run", false),
            ("rerail --as run runs", false),
            ("rerail run x -q -v", false),
            ("rerail run", false),
            ("rerail run --help", false),
            ("rerail --version run x", false),
            ("rerail run x --no-such-flag", false),
            ("rerail", false),
        ] {
            let args = line(text);
            let whole = command().try_get_matches_from(&args).and_then(|found| Cli::from_arg_matches(&found));
            let start = Cli::read_run(&args);
            assert_eq!(start.is_some(), is_start, "{text}");
            match (start, whole) {
                (Some(start), whole) => assert_eq!(format!("{start:?}"), format!("{:?}", whole.unwrap()), "{text}"),
                (None, Ok(whole)) => assert!(!matches!(whole.command, Command::Run(_)), "{text}"),
                (None, Err(error)) => assert_eq!(Cli::read(&args).unwrap_err().to_string(), error.to_string()),
            }
        }
    }

    #[test]
    fn every_command_stands_in_one_group_of_the_help() {
        let command = command();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        grouped.sort_unstable();
        known.sort_unstable();
        assert_eq!(grouped, known);
    }
}
