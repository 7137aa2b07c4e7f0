//! No core dumps: the memory of a process that has read secrets must not end up in a file. Commands that steps run inherit
//! the limit.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Sets the size of core files to nothing, for this process and those it starts; and has the kernel hand this one's memory
/// to nobody: no dump to a program either, and its memory and environment under `/proc` are for root alone. What it starts
/// is as any other process of its user.
pub fn forbid() {
    // They can only fail where that is so already, or on a kernel without it.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    #[test]
    fn nothing_of_the_process_is_dumped() {
        forbid();
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
