//! `exec.run`: runs one command that the host allows, as a list of words and never through a shell.
//!
//! What it may do to the world is not in its text: the matching line of `allow.exec` says it.

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::failpoint;
use crate::runbook::commands::Commands;
use crate::runbook::spec::{ActionSpec, By, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::given;
use crate::steps::classify::Nature;
use crate::steps::exec::call::Call;
use crate::steps::exec::child::{Order, run};
use crate::steps::exec::judge::{judge, outputs, parsed};
use crate::steps::exec::place::Place;
use crate::steps::exec::program;
use crate::steps::schema::{body, choice, defaulted, optional, output, required, sealed};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read, Write};

struct ExecRun;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::ReadOrWrite(&ExecRun, &ExecRun) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "exec.run".to_owned(),
        title: "Run a command that this host allows".to_owned(),
        effect: Effect::Write,
        effect_of: Some(By::Command(Commands::default())),
        repeat_of: Some(By::Command(Commands::default())),
        args: vec![
            required("argv", Type::List, "program and arguments, a word each; no shell reads them"),
            optional("cwd", Type::String, "directory inside the project; the project itself without it"),
            optional("env", Type::Map, "environment variables, of those its line in `allow.exec` lists; values may be secrets"),
            optional("stdin", Type::String, "what it reads, at most 1 MiB; may be a secret"),
            defaulted("timeout", Type::Duration, "30s", "time until it is stopped; a write that reaches it is in doubt"),
            optional("expect", Type::Map, "`exit`: code or list of codes that are good; 0 without it"),
            defaulted("parse", choice(&["text", "json", "lines", "none"]), "text", "what to make of its standard output"),
            optional("files", Type::Map, "kept files by the name they get in a working directory of its own"),
            optional("collect", Type::List, "names of files it makes there, to be kept"),
            sealed(),
        ],
        outputs: vec![
            output("code", Type::Int, "exit code; `()` if there is none"),
            output("signal", Type::Int, "signal that ended it; `()` if none did"),
            body("text", Type::String, "its standard output, at most 1 MiB, with `parse: text`"),
            body("json", Type::Any, "the same read as JSON, with `parse: json`"),
            body("lines", Type::List, "the same as a list of lines, with `parse: lines`"),
            body("stderr", Type::String, "its complaints, at most 1 MiB"),
            output("truncated", Type::Bool, "one of the two is longer than what is kept"),
            output("stdout_bytes", Type::Int, "size of the whole standard output"),
            body("stdout_sha256", Type::String, "hash of the whole standard output, in hex"),
            output("files", Type::Map, "what `collect` kept: `#{blob, bytes, name}` by name"),
            output("ms", Type::Int, "milliseconds until its end"),
        ],
        docs: "\
```yaml
- id: size
  uses: exec.run
  with: { argv: [df, --output=avail, -B1, /], parse: lines }
```
Off until `rerail.yaml` has a line for the command; the first line that fits says what it may do:
```yaml
allow:
  exec:
    - { argv: [df, \"**\"], effect: read }
    - { argv: [pg_dump, \"*\"], effect: read, env: [PGPASSWORD], hosts: [db.example.com] }
    - { argv: [systemctl, restart, \"*\"], effect: write, repeat: repeatable }
```
`*` stands for one word that does not begin with `-`, `**` at the end for all that follows; the program is always named. \
A line for a shell, an interpreter, `env` or `ssh` allows everything. While a word is computed, the effect is the greatest \
the command may come to, and a write if no line is sure to fit.

No shell, no glob, no `~`. The child gets HOME, LANG, LC_ALL, PATH and TZ and what `env` sets; no terminal input, no open \
files, a process group of its own. Secrets go into `env` or `stdin`: everybody on the machine can read `argv`. One that is \
bound to hosts goes to commands whose line has one of these in `hosts`: the hosts that command talks to. With `files` or \
`collect` it runs in an empty directory of its own that is removed after it; kept files are stored as they are, secrets too.

An exit code in `expect.exit` is `done`, any other `failed`. At the time-out the whole group is asked to end (TERM), \
killed two seconds later, and a write is `in_doubt`; so is one that ends by a signal. A command that can't be started is \
`refused`. If rerail itself is killed the command may run on: a read is looked at again on resume, a write is in doubt."
            .to_owned(),
    }
}

impl Read for ExecRun {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { execute(world, args, Nature::Read).await.unwrap_or_else(Attempt::refused) })
    }
}

impl Write for ExecRun {
    fn plan(&self, world: &World, args: &Map) -> String {
        match Call::read(world, args) {
            Err(failure) => format!("would be refused: {}", failure.message),
            Ok(call) => {
                let given = if given(args, "stdin").is_some() { ", with standard input" } else { "" };
                format!("run `{}` {}{given}", call.shown(), call.wanted.shown())
            }
        }
    }

    fn detail(&self, _world: &World, args: &Map) -> Vec<String> {
        let names = |name: &str| match given(args, name) {
            Some(Value::Map(map)) if !map.is_empty() => {
                Some(format!("{name}: {}", map.keys().map(String::as_str).collect::<Vec<_>>().join(", ")))
            }
            _ => None,
        };
        ["env", "files"].into_iter().filter_map(names).collect()
    }

    fn perform<'a>(&'a self, world: &'a World, args: &'a Map, _key: &'a str) -> Pending<'a> {
        Box::pin(async move { execute(world, args, Nature::Write).await.unwrap_or_else(Attempt::refused) })
    }
}

/// An `Err` means that nothing was started.
async fn execute(world: &World, args: &Map, nature: Nature) -> Result<Attempt, Failure> {
    let call = Call::read(world, args)?;
    if nature == Nature::Read && call.line.effect != Effect::Read {
        let message = format!("`{}` is a {} here, and this is a read", call.shown(), call.line.effect.word());
        return Err(Failure::new(FailureKind::Policy, message));
    }
    let deadline = world.deadline(call.timeout);
    let env = call.env(world, args)?;
    let stdin = call.stdin(world, args)?;
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_ref());
    let program = program::find(call.argv[0], &world.shared.project, path)?;
    let wanted = call.wanted.clone();
    let place = on_the_disk(world, move |world| Place::make(wanted, &world.shared.blobs)).await?;
    let argv = call.argv.iter().map(|word| (*word).to_owned()).collect();
    let order = Order { program, argv, env, directory: place.directory.clone(), stdin, deadline };
    if nature == Nature::Write {
        world.gate()?;
    }
    failpoint::hit("exec.before_start");
    let ended = run(order, &world.shared.redactor)
        .await
        .map_err(|error| Failure::new(FailureKind::File, format!("`{}` can't be started: {error}", call.argv[0])))?;
    failpoint::hit("exec.ended");
    let seen = outputs(&call, &ended);
    if let Err((outcome, failure)) = judge(&call, &ended, nature) {
        return Ok(Attempt { outcome, failure: Some(failure), outputs: Value::Map(seen) });
    }
    // The command ended well; from here on something may still be wrong with what it left.
    let files = on_the_disk(world, move |world| place.collect(&world.shared.blobs)).await;
    let whole = files.and_then(|files| Ok((files, parsed(&call, &ended)?)));
    Ok(match whole {
        Err(failure) => Attempt::failed(failure).with_outputs(Value::Map(seen)),
        Ok((files, form)) => {
            let mut outputs = seen;
            outputs.insert("files".to_owned(), Value::Map(files));
            outputs.extend(form.map(|(name, value)| (name.to_owned(), value)));
            Attempt::done(Value::Map(outputs))
        }
    })
}

/// Copies files on a thread that may wait for the disk.
async fn on_the_disk<T: Send + 'static>(
    world: &World,
    work: impl FnOnce(&World) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let world = world.clone();
    match tokio::task::spawn_blocking(move || work(&world)).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(FailureKind::File, "copying files was stopped")),
    }
}
