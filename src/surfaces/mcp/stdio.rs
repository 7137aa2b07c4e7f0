//! One client at the other end of standard input and output: from its first word to the last run that has been left.

use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::stdio_pipes;
use tokio::sync::watch;

use crate::runs::{Caller, Runs};
use crate::surfaces::mcp::desk::Desk;
use crate::surfaces::mcp::service::Service;

/// Bytes of one message: more than the longest arguments, so that those are refused in words. What is longer is dropped.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Calls that are worked on at once; more wait for a thread.
const THREADS_MAX: usize = 16;
/// Stack of their threads: what the terminal has, on whose first thread the same is done.
pub(super) const STACK_BYTES: usize = 8 * 1024 * 1024;

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Runs whose drivers did not leave in time: they are taken up from the journal like after a crash.
    pub left_behind: usize,
    /// What the client did instead of beginning.
    pub never_began: Option<String>,
}

/// Serves until the client is gone or `stop` says so: once to let what is running end, twice to go at once.
///
/// # Errors
/// If there is no event loop or no thread.
pub fn serve(runs: Runs, caller: Caller, mut stop: watch::Receiver<u8>) -> std::io::Result<Ended> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder
        .enable_all()
        .max_blocking_threads(THREADS_MAX)
        .thread_name("call")
        .thread_stack_size(STACK_BYTES)
        .build()?;
    let desk = Desk::of_client(runs, caller);
    let fleet = Arc::clone(&desk.fleet);
    std::thread::Builder::new().name("keeper".into()).spawn(move || fleet.keep())?;
    let ended = runtime.block_on(async {
        let service = Service { desk: Arc::clone(&desk) };
        let never_began = tokio::select! {
            never_began = listen(service) => never_began,
            // Whoever could say it is gone: then nobody else will.
            _ = stop.wait_for(|times| *times > 0) => None,
        };
        desk.leave();
        let fleet = Arc::clone(&desk.fleet);
        let leave = tokio::task::spawn_blocking(move || fleet.leave());
        let left_behind = tokio::select! {
            left = leave => left.unwrap_or(0),
            _ = stop.wait_for(|times| *times > 1) => desk.fleet.driven(),
        };
        Ended { left_behind, never_began }
    });
    runtime.shutdown_background();
    Ok(ended)
}

/// Answers until the client closes its end; gives why it never began, if it didn't.
async fn listen(service: Service) -> Option<String> {
    let (reader, writer) = stdio_pipes();
    let transport = AsyncRwTransport::new_server(reader, writer).with_max_line_length(MESSAGE_BYTES_MAX);
    match service.serve(transport).await {
        Ok(running) => {
            // However it ended: there is nobody to tell.
            running.waiting().await.ok();
            None
        }
        Err(ServerInitializeError::ConnectionClosed(_)) => None,
        Err(error) => Some(error.to_string()),
    }
}
