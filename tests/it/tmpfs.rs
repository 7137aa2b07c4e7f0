//! A small disk of its own, for tests that fill it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A small disk of its own, gone with the value.
pub struct Disk {
    base: TempDir,
}

impl Disk {
    /// `None` where mounting isn't permitted, which is an error where services are required.
    pub fn of(size: &str) -> Option<Disk> {
        let base = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(base.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Disk { base }),
            other => {
                let required = std::env::var_os("RERAIL_REQUIRE_SERVICES").is_some_and(|value| value == "1");
                assert!(!required, "mounting a tmpfs failed: {other:?}");
                eprintln!("SKIPPED: no tmpfs can be mounted here, a full disk was NOT tested: {other:?}");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.base.path()
    }

    /// Takes all space there is.
    pub fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.path().join("ballast");
        let mut file = fs::File::create(&path).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.base.path()).status().ok();
    }
}
