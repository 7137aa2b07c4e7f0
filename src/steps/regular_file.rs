//! Opens files without surprises: no waiting on a pipe, no devices, nothing the kernel makes up.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a regular file for reading.
///
/// # Errors
/// Those of the system, and `InvalidInput` for pipes, devices, directories, and files of `/proc` and
/// `/sys`: those look regular, yet show the environment and memory of processes.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // Without NONBLOCK, opening a pipe nobody writes to would wait for ever.
    let file = File::from(rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY,
        Mode::empty(),
    )?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if is_made_by_the_kernel(&file)? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a file of the kernel"));
    }
    Ok((file, metadata))
}

#[cfg(target_os = "linux")]
fn is_made_by_the_kernel(file: &File) -> io::Result<bool> {
    /// `SYSFS_MAGIC` of linux/magic.h.
    const SYSFS: u64 = 0x6265_6572;
    let kind = rustix::fs::fstatfs(file)?.f_type as u64;
    Ok(kind == rustix::fs::PROC_SUPER_MAGIC as u64 || kind == SYSFS)
}

#[cfg(not(target_os = "linux"))]
fn is_made_by_the_kernel(_file: &File) -> io::Result<bool> {
    Ok(false)
}
