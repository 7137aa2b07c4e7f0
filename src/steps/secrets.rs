//! Values of secrets: read where the target says, at the moment they are needed, and only for a host
//! they may go to.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::engine::outcome::{Failure, FailureKind};
use crate::redact::{Redactor, SECRET_BYTES_MIN};
use crate::runbook::settings::{From, SecretSource};
use crate::script::value::Map;
use crate::steps::egress::host_matches;
use crate::steps::regular_file;

/// Bytes of a secret's file: certificates with their chains fit, a wrong path to a log does not.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The secrets of a target.
pub(super) struct Secrets {
    sources: BTreeMap<String, SecretSource>,
    /// Relative paths start here.
    project: PathBuf,
    /// Told of each value before anybody can use it.
    redactor: Redactor,
}

impl Secrets {
    /// Knows where secrets are; reads none.
    pub(super) fn new(sources: BTreeMap<String, SecretSource>, project: PathBuf, redactor: Redactor) -> Secrets {
        Secrets { sources, project, redactor }
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

    /// Reads the secret `name` as it is now.
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
            From::File { path } => self.read_file(name, path)?,
        };
        if value.len() < SECRET_BYTES_MIN {
            return Err(refused(name, &format!("is shorter than {SECRET_BYTES_MIN} bytes, too short to be kept out")));
        }
        self.redactor.register(name, &value);
        Ok(value)
    }

    /// Whether `metadata` is that of a file some secret is read from.
    pub(super) fn is_kept_in(&self, metadata: &Metadata) -> bool {
        self.sources.values().any(|source| match &source.from {
            From::File { path } => std::fs::metadata(self.project.join(path))
                .is_ok_and(|kept| (kept.dev(), kept.ino()) == (metadata.dev(), metadata.ino())),
            From::Env { .. } => false,
        })
    }

    /// Takes the texts of all secrets read so far out of `message`.
    pub(super) fn redact(&self, message: &Map) -> Map {
        self.redactor.redact_map(message)
    }

    fn read_file(&self, name: &str, path: &str) -> Result<String, Failure> {
        let unreadable =
            |problem: &dyn std::fmt::Display| refused(name, &format!("can't be read from {path}: {problem}"));
        let (file, _) = regular_file::open(&self.project.join(path)).map_err(|error| unreadable(&error))?;
        let mut bytes = Vec::new();
        file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(unreadable(&format!("more than {SECRET_BYTES_MAX} bytes")));
        }
        let mut text = String::from_utf8(bytes).map_err(|_| unreadable(&"not UTF-8"))?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }

    fn source(&self, name: &str) -> Result<&SecretSource, Failure> {
        self.sources.get(name).ok_or_else(|| refused(name, "has no source in this target"))
    }
}

fn refused(name: &str, problem: &str) -> Failure {
    Failure::new(FailureKind::Secret, format!("secret {name} {problem}"))
}
