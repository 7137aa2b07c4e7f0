//! What a step asks for: arguments of `exec.run`, read, and held against the host's list of commands.

use std::time::Duration;

use crate::engine::outcome::{Failure, FailureKind};
use crate::runbook::commands::Command;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, given, invalid, map, optional_text, texts};
use crate::steps::exec::capture::KEPT_BYTES_MAX;
use crate::steps::exec::place::Wanted;
use crate::steps::world::World;

/// How long a command may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What a child gets of this process's environment: what programs need to find themselves and their language.
const ENV_KEPT: [&str; 5] = ["HOME", "LANG", "LC_ALL", "PATH", "TZ"];
/// Bytes a command can be given to read: what it may write; more belongs into a file.
const STDIN_BYTES_MAX: usize = KEPT_BYTES_MAX;

/// A call whose arguments are read and allowed; nothing secret is revealed yet.
pub(in crate::steps) struct Call<'a> {
    pub argv: Vec<&'a str>,
    pub line: &'a Command,
    pub wanted: Wanted,
    /// Exit codes that are good.
    pub expected: Vec<i64>,
    pub parse: &'a str,
    pub timeout: Duration,
}

impl<'a> Call<'a> {
    /// Reads the arguments of a step.
    ///
    /// # Errors
    /// What is wrong with them, or that no line allows this command.
    pub(in crate::steps) fn read(world: &'a World, args: &'a Map) -> Result<Call<'a>, Failure> {
        if given(args, "argv").is_some_and(Value::has_secret) {
            let why = "holds a secret, and everybody on this machine can read it there: give it in `env` or `stdin`";
            return Err(Failure::new(FailureKind::Secret, format!("argument `argv`: {why}")));
        }
        let argv = texts(args, "argv")?;
        if argv.is_empty() || argv.iter().any(|word| word.contains('\0')) {
            return Err(invalid("argv", "expected a program and its arguments, without zero bytes"));
        }
        let line = world.shared.settings.exec.find(&argv).ok_or_else(|| not_allowed(&argv))?;
        Ok(Call {
            line,
            wanted: Wanted::read(world, args)?,
            expected: expected(args)?,
            parse: optional_text(args, "parse")?.unwrap_or("text"),
            timeout: duration(args, "timeout", TIMEOUT)?,
            argv,
        })
    }

    /// The command as a person types it, for messages.
    pub(in crate::steps) fn shown(&self) -> String {
        self.argv.join(" ")
    }

    /// The whole environment of the child, secrets revealed.
    pub(in crate::steps) fn env(&self, world: &World, args: &Map) -> Result<Vec<(String, String)>, Failure> {
        let mut env = env_kept();
        for (name, value) in map(args, "env")?.into_iter().flatten() {
            if !self.line.env.contains(name) {
                let message = format!(
                    "`{name}` may not be set for `{}`: its line under `allow.exec` in rerail.yaml does not list it in `env`",
                    self.argv[0]
                );
                return Err(Failure::new(FailureKind::Policy, message));
            }
            let value = match world.reveal_to_command(value, &self.line.hosts)? {
                Value::Text(text) if !text.contains('\0') => text,
                Value::Text(_) => return Err(invalid("env", &format!("`{name}` holds a zero byte"))),
                plain @ (Value::Int(_) | Value::Float(_) | Value::Bool(_)) => plain.to_string(),
                other => return Err(invalid("env", &format!("`{name}`: expected string, got {}", other.kind()))),
            };
            env.retain(|(known, _)| known != name);
            env.push((name.clone(), value));
        }
        Ok(env)
    }
    /// What the child is to read, secrets revealed.
    pub(in crate::steps) fn stdin(&self, world: &World, args: &Map) -> Result<Option<Vec<u8>>, Failure> {
        let Some(value) = given(args, "stdin") else { return Ok(None) };
        let Value::Text(text) = world.reveal_to_command(value, &self.line.hosts)? else {
            return Err(invalid("stdin", &format!("expected string, got {}", value.kind())));
        };
        match text.len() <= STDIN_BYTES_MAX {
            true => Ok(Some(text.into_bytes())),
            false => Err(invalid("stdin", &format!("expected at most {STDIN_BYTES_MAX} bytes, got {}", text.len()))),
        }
    }
}

/// What every child gets of this process's environment.
pub(in crate::steps) fn env_kept() -> Vec<(String, String)> {
    ENV_KEPT.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect()
}

/// The refusal of a command without a line, with the narrowest line that would allow it.
fn not_allowed(argv: &[&str]) -> Failure {
    let words = argv.iter().map(|word| serde_json::Value::from(*word).to_string()).collect::<Vec<_>>().join(", ");
    let message = format!(
        "`{}` is not allowed here: add `- {{ argv: [{words}], effect: write }}` under `allow.exec` in rerail.yaml, \
         with the effect it has",
        argv.join(" ")
    );
    Failure::new(FailureKind::Policy, message)
}

/// The exit codes of `expect`.
fn expected(args: &Map) -> Result<Vec<i64>, Failure> {
    let Some(expect) = map(args, "expect")? else { return Ok(vec![0]) };
    let wrong = |problem: &str| Err(invalid("expect", problem));
    if let Some(unknown) = expect.keys().find(|key| *key != "exit") {
        return wrong(&format!("expected `exit`, got `{unknown}`"));
    }
    let codes: Vec<&Value> = match expect.get("exit") {
        Some(Value::List(codes)) => codes.iter().collect(),
        Some(code) => vec![code],
        None => return wrong("needs `exit`"),
    };
    let read = codes.iter().map(|code| match code {
        Value::Int(code) if (0..=255).contains(code) => Some(*code),
        _ => None,
    });
    match read.collect::<Option<Vec<i64>>>() {
        Some(codes) if !codes.is_empty() => Ok(codes),
        _ => wrong("`exit` takes codes from 0 to 255"),
    }
}
