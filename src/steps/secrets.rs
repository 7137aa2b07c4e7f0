//! Values of secrets: read where the target says, at the moment they are needed, and only for a host
//! they may go to.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::engine::outcome::{Failure, FailureKind};
use crate::redact::{Redactor, weakness};
use crate::runbook::commands::Commands;
use crate::runbook::settings::{From, SecretSource};
use crate::script::value::Map;
use crate::steps::egress::host_matches;
use crate::steps::{keyring, regular_file, secret_command};

/// Bytes of a secret's file: certificates with their chains fit, a wrong path to a log does not.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// By this variable systemd tells a service where its credentials are.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The secrets of a target.
pub(super) struct Secrets {
    sources: BTreeMap<String, SecretSource>,
    /// Relative paths start here.
    project: PathBuf,
    /// Commands that may print secrets.
    commands: Commands,
    /// What commands have printed: each runs once, however many steps use its secret.
    printed: Mutex<BTreeMap<String, String>>,
    /// Told of each value before anybody can use it.
    redactor: Redactor,
}

impl Secrets {
    /// Knows where secrets are; reads none.
    pub(super) fn new(
        sources: BTreeMap<String, SecretSource>,
        project: PathBuf,
        commands: Commands,
        redactor: Redactor,
    ) -> Secrets {
        Secrets { sources, project, commands, printed: Mutex::default(), redactor }
    }

    /// Checks that the secret `name` may go to `host`, or to no host at all (`None`: into a file).
    pub(super) fn check(&self, name: &str, host: Option<&str>) -> Result<(), Failure> {
        let hosts = &self.source(name)?.hosts;
        if hosts.is_empty() {
            return Ok(());
        }
        let bound = hosts.join(", ");
        match host {
            Some(host) if hosts.iter().any(|pattern| host_matches(pattern, host)) => Ok(()),
            Some(host) => Err(refused(name, &format!("is bound to {bound} and does not go to {host}"))),
            None => Err(refused(name, &format!("is bound to {bound} and goes nowhere else"))),
        }
    }

    /// Reads the secret `name` as it is now; one that a command prints as it was when it was first asked for.
    pub(super) fn read(&self, name: &str) -> Result<String, Failure> {
        let value = match &self.source(name)?.from {
            From::Env { name: variable } => match std::env::var(variable) {
                Ok(value) => value,
                Err(std::env::VarError::NotPresent) => {
                    return Err(refused(name, &format!("comes from the environment variable {variable}, not set")));
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(refused(name, &format!("comes from {variable}, which is not UTF-8")));
                }
            },
            From::File { path } => self.read_file(name, &self.project.join(path), path)?,
            From::Systemd { name: credential } => {
                let path = credential_path(credential).ok_or_else(|| {
                    let why = format!(
                        "comes from the systemd credential {credential}, and {CREDENTIALS} is not set: start rerail from a \
                         unit with `LoadCredential={credential}:/PATH`"
                    );
                    refused(name, &why)
                })?;
                self.read_file(name, &path, &format!("the systemd credential {credential}"))?
            }
            From::Keyring { name: key } => {
                let told = |why: &str| refused(name, &format!("comes from {}, {why}", keyring_key(key)));
                let bytes = keyring::read(key).map_err(|why| told(&why))?;
                without_newline(String::from_utf8(bytes).map_err(|_| told("which is not UTF-8"))?)
            }
            From::Command { argv } => self.print(name, argv)?,
        };
        if value.is_empty() {
            return Err(refused(name, &format!("{}, which is empty", place(&self.source(name)?.from))));
        }
        if let Some(why) = weakness(&value) {
            return Err(refused(name, &why));
        }
        self.redactor.register(name, &value);
        Ok(value)
    }

    /// Whether `metadata` is that of a file some secret is read from.
    pub(super) fn is_kept_in(&self, metadata: &Metadata) -> bool {
        let paths = self.sources.values().filter_map(|source| match &source.from {
            From::File { path } => Some(self.project.join(path)),
            From::Systemd { name } => credential_path(name),
            From::Env { .. } | From::Keyring { .. } | From::Command { .. } => None,
        });
        paths
            .filter_map(|path| std::fs::metadata(path).ok())
            .any(|kept| (kept.dev(), kept.ino()) == (metadata.dev(), metadata.ino()))
    }

    /// Takes the texts of all secrets read so far out of `message`.
    pub(super) fn redact(&self, message: &Map) -> Map {
        self.redactor.redact_map(message)
    }

    /// What a command prints. Others wait meanwhile: the same command must not run twice.
    fn print(&self, name: &str, argv: &[String]) -> Result<String, Failure> {
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = printed.get(name) {
            return Ok(text.clone());
        }
        let text = secret_command::printed(argv, &self.commands, &self.project).map_err(|why| refused(name, &why))?;
        if text.len() as u64 > SECRET_BYTES_MAX {
            return Err(refused(
                name,
                &format!("comes from a command that printed more than {SECRET_BYTES_MAX} bytes"),
            ));
        }
        let text = without_newline(text);
        printed.insert(name.to_owned(), text.clone());
        Ok(text)
    }

    /// The text of the file `path`, which is called `shown`.
    fn read_file(&self, name: &str, path: &Path, shown: &str) -> Result<String, Failure> {
        let unreadable =
            |problem: &dyn std::fmt::Display| refused(name, &format!("can't be read from {shown}: {problem}"));
        let (file, _) = regular_file::open(path).map_err(|error| unreadable(&error))?;
        let mut bytes = Vec::new();
        file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(unreadable(&format!("more than {SECRET_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| unreadable(&"not UTF-8"))?;
        Ok(without_newline(text))
    }

    fn source(&self, name: &str) -> Result<&SecretSource, Failure> {
        self.sources.get(name).ok_or_else(|| refused(name, "has no source in this target"))
    }
}

/// Where systemd has put a credential; `None` if it hasn't given this process any.
fn credential_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(CREDENTIALS).filter(|folder| !folder.is_empty()).map(|folder| Path::new(&folder).join(name))
}

/// Without the one newline that editors and `echo` put at the end.
fn without_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// Where a secret comes from, in words.
fn place(from: &From) -> String {
    match from {
        From::Env { name } => format!("comes from the environment variable {name}"),
        From::File { path } => format!("comes from {path}"),
        From::Systemd { name } => format!("comes from the systemd credential {name}"),
        From::Keyring { name } => format!("comes from {}", keyring_key(name)),
        From::Command { argv } => format!("comes from the command `{}`", argv.join(" ")),
    }
}

/// A key, in words.
fn keyring_key(name: &str) -> String {
    format!("the key {name} of the kernel's keyring")
}

fn refused(name: &str, problem: &str) -> Failure {
    Failure::new(FailureKind::Secret, format!("secret {name} {problem}"))
}
