//! Writes a secret where its target reads it from: into a file, or a key of the kernel's keyring. The other sources are
//! not ours to write.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::project::replace;
use crate::redact::weakness;
use crate::runbook::settings::From;
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};
use crate::steps::keyring;

/// Where a secret is kept that we may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretPlace {
    pub kept: Kept,
    /// Whether there is a value already.
    pub exists: bool,
}

/// What a secret is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A file: where it is, links followed, and as the target names it.
    File { path: PathBuf, shown: String },
    /// A key of the kernel's keyring.
    Key { name: String },
}

impl Runs {
    /// Where the secret `name` of a target is read from. Nothing is written.
    ///
    /// # Errors
    /// If there is no such target or secret, or it comes from where we don't write: then with what to do there.
    pub fn secret_place(&self, target: &str, name: &str) -> Result<SecretPlace, RunsError> {
        let (target, _, target_name) = self.project().target(target)?;
        let Some(source) = target.secrets.get(name) else {
            let said = format!("target {target_name} has no secret {name}");
            let hint = format!("name it there first, under `secrets:`:  {name}: {{ from: file, path: PATH }}");
            return Err(RunsError::new(ErrorKind::Usage, said).hint(hint));
        };
        match &source.from {
            From::File { path } => self.file(path),
            From::Keyring { name: key } => {
                let exists = keyring::holds(key).map_err(|why| key_unwritable(key, &why))?;
                Ok(SecretPlace { kept: Kept::Key { name: key.clone() }, exists })
            }
            From::Env { name: variable } => Err(elsewhere(
                name,
                &format!("the environment variable {variable}"),
                &format!(
                    "in the shell that starts rerail:  read -rs {variable} && export {variable};  or keep it in a file: \
                     `from: file`"
                ),
            )),
            From::Systemd { name: credential } => Err(elsewhere(
                name,
                &format!("the systemd credential {credential}"),
                &format!(
                    "systemd-creds encrypt --name={credential} - /etc/credstore.encrypted/{credential}, with \
                     `LoadCredentialEncrypted={credential}` in the unit"
                ),
            )),
            From::Command { argv } => Err(elsewhere(
                name,
                &format!("the command `{}`", argv.join(" ")),
                "change it where that command looks; `rerail secrets check` says whether it works",
            )),
        }
    }

    /// Writes `value` where a secret is kept: into its file, for its owner alone, or its key. Once it returns the new value
    /// is on the disk, or in the kernel; until then the old one is.
    ///
    /// # Errors
    /// If the value can't be a secret, with the reason, or can't be written. Nothing has changed then.
    pub fn keep_secret(&self, name: &str, place: &SecretPlace, value: &str) -> Result<(), RunsError> {
        if let Some(why) = weakness(value) {
            return Err(RunsError::new(ErrorKind::Usage, format!("the value for {name} {why}; nothing was written")));
        }
        self.redactor.register(name, value);
        let (path, shown) = match &place.kept {
            Kept::File { path, shown } => (path, shown),
            Kept::Key { name: key } => {
                return keyring::replace(key, value.as_bytes()).map_err(|why| key_unwritable(key, &why));
            }
        };
        replace(path, value.as_bytes(), Permissions::from_mode(0o600)).map_err(|error| {
            let said = unwritable(shown, &error.to_string());
            match path.parent().filter(|parent| !parent.exists()) {
                Some(parent) => said.hint(format!("make its directory:  mkdir -p -m 700 {}", parent.display())),
                None => said,
            }
        })
    }

    fn file(&self, shown: &str) -> Result<SecretPlace, RunsError> {
        let path = self.ground()?.root.join(shown);
        // A link stays one: what it leads to is replaced.
        let path = std::fs::canonicalize(&path).unwrap_or(path);
        let exists = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => true,
            Ok(_) => return Err(unwritable(shown, "it is no file")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(unwritable(shown, &error.to_string())),
        };
        Ok(SecretPlace { kept: Kept::File { path, shown: shown.to_owned() }, exists })
    }
}

/// A secret that comes from where we don't write, and how its value gets there.
fn elsewhere(name: &str, whence: &str, hint: &str) -> RunsError {
    let said = format!("secret {name} comes from {whence}, which rerail does not write");
    RunsError::new(ErrorKind::Usage, said).hint(hint)
}

fn key_unwritable(key: &str, why: &str) -> RunsError {
    RunsError::new(ErrorKind::Usage, format!("the secret is kept in the key {key} of the kernel's keyring, {why}"))
}

fn unwritable(shown: &str, why: &str) -> RunsError {
    RunsError::new(ErrorKind::Usage, format!("`{shown}` can't be written: {why}"))
}
