//! Files below a directory that a person named.

use std::path::{Path, PathBuf};

use crate::surfaces::cli::error::CliError;

/// The files below a directory that are meant, by path, but for hidden ones. Links are not followed, so no circle can
/// trap the walk.
///
/// # Errors
/// If a directory can't be listed.
pub fn below(directory: &str, is_meant: impl Fn(&Path) -> bool) -> Result<Vec<String>, CliError> {
    let mut open = vec![PathBuf::from(directory)];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        let entries = std::fs::read_dir(&dir).map_err(|error| CliError::io("reading", directory, &error))?;
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                _ if entry.file_name().to_string_lossy().starts_with('.') => {}
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind) if kind.is_file() && is_meant(&path) => found.push(as_path_argument(&path)),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// With a `/`, so that it can't be taken for a name.
fn as_path_argument(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains('/') { text } else { format!("./{text}") }
}
