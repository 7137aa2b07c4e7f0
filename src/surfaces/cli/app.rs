//! From arguments to an exit code: parse, dispatch, show the error once.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::surfaces::cli::args::{Cli, Command, Output};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::{
    actions, answer, apply, approvals, approve, cancel, check, checkpoint, complete, completions, cores, demo,
    describe, diff, docs, doctor, eval, explain, export, graph, hold, link, list, logging, login_link, man, mcp, new,
    note, panics, pause, plan, prune, record, replay, resume, run, runs, schema, secrets, serve, show, take, test,
    token, triggers, undo, verify, version,
};
use crate::traces;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    if complete::answer() {
        return Exit::SUCCESS.into();
    }
    let args: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::read(&args) {
        Ok(cli) => cli,
        Err(error) => {
            // Also `--help` and `--version`; a closed pipe is no error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::USAGE.0));
        }
    };
    cores::forbid();
    let session = Session::new(&cli.globals);
    panics::tell(session.ui.redactor());
    if let Err(why) = logging::start(session.ui.redactor()) {
        session.ui.error(&why);
        return Exit::USAGE.into();
    }
    traces::start();
    let dispatched = dispatch(&session, cli.command);
    traces::finish();
    match dispatched {
        Ok(exit) => match session.ui.lost() {
            // What was asked for is not where it was sent, whatever else went well.
            Some(why) => {
                session.ui.error(&format!("writing the result failed: {why}"));
                if exit == Exit::SUCCESS { Exit::TOOL_FAILED.into() } else { exit.into() }
            }
            None => exit.into(),
        },
        Err(error) => {
            error.show(&session.ui);
            error.exit.into()
        }
    }
}

fn dispatch(session: &Session, command: Command) -> Result<Exit, CliError> {
    let only = match session.ui.output {
        Output::Sarif if !matches!(command, Command::Check(_)) => Some("only `check` writes SARIF"),
        Output::Junit if !matches!(command, Command::Test(_)) => Some("only `test` writes JUnit XML"),
        _ => None,
    };
    if let Some(only) = only {
        return Err(CliError::usage(only).hint("the others take `-o json` and `-o jsonl`"));
    }
    if let (Some(server), Place::Here(why)) = (session.server(), place(&command)) {
        let said =
            format!("this works with the files and the journal of this machine, not with those of {server}: {why}");
        return Err(
            CliError::usage(said).hint("leave --server and RERAIL_SERVER out; on the server's own machine it works")
        );
    }
    match command {
        Command::Run(args) => run::run(session, args),
        Command::Plan(args) => plan::plan(session, args),
        Command::Apply(args) => apply::apply(session, args),
        Command::Resume(args) => resume::resume(session, args),
        Command::Take(args) => take::take(session, args),
        Command::Undo(args) => undo::undo(session, args),
        Command::Cancel(args) => cancel::cancel(session, args),
        Command::Pause(args) => pause::pause(session, args),
        Command::Hold(args) => hold::hold(session, &args),
        Command::List(args) => list::list(session, &args),
        Command::Describe(args) => describe::describe(session, &args),
        Command::Runs(args) => runs::runs(session, &args),
        Command::Show(args) => show::show(session, &args),
        Command::Diff(args) => diff::diff(session, &args),
        Command::Export(args) => export::export(session, &args),
        Command::Graph(args) => graph::graph(session, &args),
        Command::Eval(args) => eval::eval(session, &args),
        Command::Verify(args) => verify::verify(session, &args),
        Command::Checkpoint(args) => checkpoint::checkpoint(session, &args),
        Command::Prune(args) => prune::prune(session, &args),
        Command::Approvals(args) => approvals::approvals(session, &args),
        Command::Triggers(args) => triggers::triggers(session, &args),
        Command::Approve(args) => approve::approve(session, &args),
        Command::Reject(args) => approve::reject(session, &args),
        Command::Answer(args) => answer::answer(session, &args),
        Command::Note(args) => note::note(session, &args),
        Command::Check(args) => check::check(session, &args),
        Command::Test(args) => test::test(session, &args),
        Command::Record(args) => record::record(session, &args),
        Command::Replay(args) => replay::replay(session, &args),
        Command::Actions(args) => actions::actions(session, &args),
        Command::Docs(args) => docs::docs(session, &args),
        Command::New(args) => new::new(session, &args),
        Command::Schema(args) => schema::schema(session, &args),
        Command::Doctor(args) => doctor::doctor(session, &args),
        Command::Token(args) => token::token(session, &args),
        Command::Whoami => token::whoami(session),
        Command::Link(args) => link::link(session, &args),
        Command::Serve(args) => serve::serve(session, &args),
        Command::Mcp => mcp::mcp(session),
        Command::LoginLink(args) => login_link::login_link(session, &args),
        Command::Secrets(args) => secrets::secrets(session, &args),
        Command::Explain(args) => explain::explain(session, &args),
        Command::Completions(args) => completions::completions(session, &args),
        Command::Man(args) => man::man(session, &args),
        Command::Demo(args) => demo::run(session, &args),
        Command::Version => version::version(session),
    }
}

/// Where a command has what it works with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Runs and runbooks, here or with a server.
    Door,
    /// Files and a journal of this machine, and why those of a server won't do.
    Here(&'static str),
    /// Nowhere: in the program itself.
    Itself,
}

/// Written down for each, so that a new command says whether a server can do it.
fn place(command: &Command) -> Place {
    match command {
        Command::Run(_)
        | Command::Plan(_)
        | Command::Apply(_)
        | Command::Resume(_)
        | Command::Take(_)
        | Command::Undo(_)
        | Command::Cancel(_)
        | Command::Pause(_)
        | Command::Hold(_)
        | Command::List(_)
        | Command::Describe(_)
        | Command::Runs(_)
        | Command::Show(_)
        | Command::Diff(_)
        | Command::Export(_)
        | Command::Verify(_)
        | Command::Approvals(_)
        | Command::Approve(_)
        | Command::Reject(_)
        | Command::Answer(_)
        | Command::Note(_)
        | Command::Doctor(_)
        | Command::Whoami => Place::Door,
        Command::Check(_) | Command::Test(_) | Command::New(_) => {
            Place::Here("it is for files before anybody has them")
        }
        Command::Schema(_) | Command::Graph(_) | Command::Docs(_) | Command::Actions(_) => {
            Place::Here("it reads the files themselves")
        }
        Command::Eval(_) | Command::Record(_) | Command::Replay(_) => {
            Place::Here("it needs values of the run as they were, and a server gives only what may be shown")
        }
        Command::Checkpoint(_) => Place::Here("the key that signs stays where the journal is"),
        Command::Prune(_) => Place::Here("what is removed there, nobody elsewhere can bring back"),
        Command::Token(_) => {
            Place::Here("a token is made where it is kept; the server needs its digest in rerail.yaml")
        }
        Command::Triggers(_) => Place::Here("triggers stand in the project's files, and what they did in its journal"),
        Command::Link(_) | Command::LoginLink(_) => Place::Here("who you are is proved there by the operating system"),
        Command::Mcp => Place::Here("programs speak to a server at its /mcp"),
        Command::Serve(_) => Place::Here("a server serves the journal of its own machine"),
        Command::Secrets(_) => Place::Here("secrets are read where runs are driven, and nowhere else"),
        Command::Explain(_) | Command::Completions(_) | Command::Man(_) | Command::Demo(_) | Command::Version => {
            Place::Itself
        }
    }
}
