//! Crash points: named places where a test can end the process as `kill -9` would.
//!
//! Compiled to nothing without the feature `failpoints`. With it, `RERAIL_CRASH_AT=k` kills the process at
//! the k-th point it meets (from 1), and `RERAIL_CRASH_LOG=file` appends the name of every point, so that
//! a test can enumerate them: k = 1.. until the run ends by itself. `RERAIL_CRASH_NAMED=name` kills it at
//! the first point of that name, and `RERAIL_PANIC_AT=name=text` panics with that text at each
//! point of that name, as a bug there would. `RERAIL_WAIT_AT=name=file` waits at each point of that name
//! as long as there is a file at that path, so that a test can do something meanwhile.

/// Passes a crash point.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &str) {}

/// Passes a crash point.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    use std::io::Write as _;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static CRASH_AT: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("RERAIL_CRASH_AT").ok().and_then(|text| text.parse().ok()));
    static LOG: LazyLock<Option<std::path::PathBuf>> =
        LazyLock::new(|| std::env::var_os("RERAIL_CRASH_LOG").map(Into::into));
    static PANIC_AT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("RERAIL_PANIC_AT").ok());
    static WAIT_AT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("RERAIL_WAIT_AT").ok());
    static CRASH_NAMED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("RERAIL_CRASH_NAMED").ok());
    static HITS: AtomicU64 = AtomicU64::new(0);

    let count = HITS.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(path) = LOG.as_ref() {
        // One write call a line: points are passed by several threads. A lost line only makes a test fail.
        let line = format!("{name}\n");
        if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
            file.write_all(line.as_bytes()).ok();
        }
    }
    if let Some((at, text)) = PANIC_AT.as_deref().and_then(|wanted| wanted.split_once('=')) {
        assert!(at != name, "{text}");
    }
    if let Some((_, file)) = WAIT_AT.as_deref().and_then(|wanted| wanted.split_once('=')).filter(|(at, _)| *at == name)
    {
        while std::path::Path::new(file).exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    if *CRASH_AT == Some(count) || CRASH_NAMED.as_deref() == Some(name) {
        // SIGKILL rather than abort: no handler, no core, exactly what the kernel does to a process.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
        std::process::abort();
    }
}
