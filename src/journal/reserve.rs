//! Space kept free for the moment the disk is full: enough to record what has already happened.

use std::fs;
use std::path::{Path, PathBuf};

use crate::journal::dir;

/// Room for the outcomes of all steps in flight and the pause of their runs.
const RESERVE_BYTES: u64 = 4 << 20;

/// Free space from which the reserve is put back: taking the last of a disk would fill it.
const REFILL_FREE_BYTES: u64 = 16 * RESERVE_BYTES;

/// The file beside the database that takes the space up.
pub(super) struct Reserve {
    path: PathBuf,
    /// Known to be there, so that a commit needn't look.
    filled: bool,
}

impl Reserve {
    pub(super) fn beside(file: &Path) -> Reserve {
        let path = file.with_extension("reserve");
        let filled = fs::metadata(&path).is_ok_and(|found| found.len() == RESERVE_BYTES);
        Reserve { path, filled }
    }

    /// Gives the space to the next write; false if there was none.
    pub(super) fn release(&mut self) -> bool {
        self.filled = false;
        fs::remove_file(&self.path).is_ok()
    }

    /// Takes the space if the disk has plenty. Never flushed and never an error: a store without reserve works.
    pub(super) fn refill(&mut self) {
        if self.filled {
            return;
        }
        let Some(dir) = self.path.parent() else { return };
        let free = rustix::fs::statvfs(dir).map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize));
        if free < REFILL_FREE_BYTES {
            return;
        }
        let Ok(file) = dir::private_file(&self.path) else { return };
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE_BYTES) {
            Ok(()) => self.filled = true,
            Err(_) => {
                fs::remove_file(&self.path).ok();
                // Not tried again by this process: the file system may not be able to.
                self.filled = true;
            }
        }
    }
}
