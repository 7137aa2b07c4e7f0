//! No core dumps: the memory of a process that has read secrets must not end up in a file. Commands that steps run inherit
//! the limit.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Sets the size of core files to nothing, for this process and those it starts. A system that hands dumps to a program
/// instead of writing files may still do so.
pub fn forbid() {
    // It can only fail where the limit is zero already.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
