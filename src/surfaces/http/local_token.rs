//! The token of the one operator of a project without people: a file beside the journal that only they can read.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq as _;

use crate::runbook::people::TokenHash;
use crate::runs::{Token, token_digest};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;

/// Its file, in the directory of the journal.
const FILE: &str = "server.token";
/// Bytes of the file: a token and a line end, with room for one that was made elsewhere.
const BYTES_MAX: u64 = 1024;
/// Bits of a mode that let others than the owner in.
const OTHERS: u32 = 0o077;

/// What proves that somebody may read the journal's directory.
#[derive(Clone, Debug)]
pub struct LocalToken {
    path: PathBuf,
    digest: TokenHash,
}

impl LocalToken {
    /// The token of this directory; made if there is none.
    ///
    /// # Errors
    /// If it can't be made or read, or others can read it.
    pub fn of(state_dir: &Path) -> Result<LocalToken, CliError> {
        let path = state_dir.join(FILE);
        let shown = path.display().to_string();
        let broken = |doing: &str, error: &std::io::Error| CliError::io(doing, &shown, error);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                let token = Token::new()?;
                let written = writeln!(file, "{}", token.text()).and_then(|()| file.sync_all());
                written.map_err(|error| broken("writing", &error))?;
                return Ok(LocalToken { digest: token_digest(token.text()), path });
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(broken("making", &error)),
        }
        let file = OpenOptions::new().read(true).open(&path).map_err(|error| broken("reading", &error))?;
        let mode = file.metadata().map_err(|error| broken("reading", &error))?.mode();
        if mode & OTHERS != 0 {
            let said = format!("others may read `{shown}`: its mode is {:04o}", mode & 0o7777);
            return Err(
                CliError::new(Exit::NOT_ALLOWED, said).hint(format!("remove it, and a new one is made: rm '{shown}'"))
            );
        }
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text).map_err(|error| broken("reading", &error))?;
        if text.trim().is_empty() {
            let said = format!("`{shown}` is empty: its server was killed while it was made");
            return Err(
                CliError::new(Exit::TOOL_FAILED, said).hint(format!("remove it, and a new one is made: rm '{shown}'"))
            );
        }
        Ok(LocalToken { digest: token_digest(text.trim()), path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is its digest. Takes the same time whatever differs.
    pub fn fits(&self, digest: &TokenHash) -> bool {
        self.digest.0.ct_eq(&digest.0).into()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_alone_and_a_wide_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = LocalToken::of(dir.path()).unwrap();
        let text = std::fs::read_to_string(first.path()).unwrap();
        assert!(first.fits(&token_digest(text.trim())) && !first.fits(&token_digest(&text)));
        assert!(LocalToken::of(dir.path()).unwrap().fits(&token_digest(text.trim())), "it stays");
        assert_eq!(std::fs::metadata(first.path()).unwrap().permissions().mode() & 0o7777, 0o600);
        std::fs::set_permissions(first.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(LocalToken::of(dir.path()).unwrap_err().message.contains("others may read"));
        std::fs::set_permissions(first.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(first.path(), "\n").unwrap();
        assert!(LocalToken::of(dir.path()).unwrap_err().message.contains("is empty"), "the empty token opens nothing");
    }
}
