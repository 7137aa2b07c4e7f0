//! Writes a secret where its target reads it from: the one source that is ours to write, a file.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::redact::weakness;
use crate::runbook::settings::From;
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};

/// A file that a secret is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// Where it is, links followed.
    pub path: PathBuf,
    /// As the target names it.
    pub shown: String,
    /// Whether there is one already.
    pub exists: bool,
}

impl Runs {
    /// The file that the secret `name` of a target is read from. Nothing is written.
    ///
    /// # Errors
    /// If there is no such target or secret, or it comes from elsewhere: then with what to do there.
    pub fn secret_file(&self, target: &str, name: &str) -> Result<SecretFile, RunsError> {
        let (target, _, target_name) = self.project().target(target)?;
        let Some(source) = target.secrets.get(name) else {
            let said = format!("target {target_name} has no secret {name}");
            let hint = format!("name it there first, under `secrets:`:  {name}: {{ from: file, path: PATH }}");
            return Err(RunsError::new(ErrorKind::Usage, said).hint(hint));
        };
        let From::File { path: shown } = &source.from else {
            let (whence, hint) = elsewhere(&source.from);
            let said = format!("secret {name} comes from {whence}, which rerail does not write");
            return Err(RunsError::new(ErrorKind::Usage, said).hint(hint));
        };
        let path = self.ground()?.root.join(shown);
        // A link stays one: what it leads to is replaced.
        let path = std::fs::canonicalize(&path).unwrap_or(path);
        let exists = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => true,
            Ok(_) => return Err(unwritable(shown, "it is no file")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(unwritable(shown, &error.to_string())),
        };
        Ok(SecretFile { path, shown: shown.clone(), exists })
    }

    /// Writes `value` into the file of a secret, for its owner alone. Once it returns the new value is on the disk; until
    /// then the old one is.
    ///
    /// # Errors
    /// If the value can't be a secret, with the reason, or the file can't be written. Nothing has changed then.
    pub fn keep_secret(&self, name: &str, file: &SecretFile, value: &str) -> Result<(), RunsError> {
        if let Some(why) = weakness(value) {
            return Err(RunsError::new(ErrorKind::Usage, format!("the value for {name} {why}; nothing was written")));
        }
        self.redactor.register(name, value);
        replace(&file.path, value.as_bytes()).map_err(|error| {
            let said = unwritable(&file.shown, &error.to_string());
            match file.path.parent().filter(|parent| !parent.exists()) {
                Some(parent) => said.hint(format!("make its directory:  mkdir -p -m 700 {}", parent.display())),
                None => said,
            }
        })
    }
}

/// Where a secret comes from that we don't write, and how its value gets there.
fn elsewhere(from: &From) -> (String, String) {
    match from {
        From::Env { name } => (
            format!("the environment variable {name}"),
            format!(
                "in the shell that starts rerail:  read -rs {name} && export {name};  or keep it in a file: `from: file`"
            ),
        ),
        From::Systemd { name } => (
            format!("the systemd credential {name}"),
            format!(
                "systemd-creds encrypt --name={name} - /etc/credstore.encrypted/{name}, with \
                 `LoadCredentialEncrypted={name}` in the unit"
            ),
        ),
        From::Command { argv } => (
            format!("the command `{}`", argv.join(" ")),
            "change it where that command looks; `rerail secrets check` says whether it works".to_owned(),
        ),
        From::File { path } => (path.clone(), String::new()),
    }
}

/// All of it or nothing, never for anybody else to read.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Unguessable and 0600 from the start.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(directory)?.sync_all()
}

fn unwritable(shown: &str, why: &str) -> RunsError {
    RunsError::new(ErrorKind::Usage, format!("`{shown}` can't be written: {why}"))
}
