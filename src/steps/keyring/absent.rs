//! The keyring of a build that has none: each question is answered with what to do without one.

/// What to do without one.
const ABSENT: &str = "and this build of rerail has no keyring: use `from: file`, `from: systemd` or `from: command`, or \
                      build one that has, with `--features keyring`";

/// Never reads anything.
///
/// # Errors
/// Always: this build has no keyring.
pub fn read(_key: &str) -> Result<Vec<u8>, String> {
    Err(ABSENT.to_owned())
}

/// Never knows.
///
/// # Errors
/// Always: this build has no keyring.
pub fn holds(_key: &str) -> Result<bool, String> {
    Err(ABSENT.to_owned())
}

/// Never writes anything.
///
/// # Errors
/// Always: this build has no keyring.
pub fn replace(_key: &str, _value: &[u8]) -> Result<(), String> {
    Err(ABSENT.to_owned())
}
