//! One message and its answer, without a connection around them.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::serve_directly;
use rmcp::transport::OneshotTransport;

use crate::surfaces::mcp::desk::Desk;
use crate::surfaces::mcp::service::Service;
use crate::surfaces::mcp::stdio::STACK_BYTES;

/// What comes of a message.
#[derive(Debug)]
pub enum Reply {
    /// The answer, as JSON.
    Answer(String),
    /// It asked for nothing.
    Heard,
}

/// Answers one message. Blocks until it is answered.
///
/// # Errors
/// If it is no message of the protocol, or can't be answered, in a sentence.
pub fn one_message(desk: Arc<Desk>, bytes: &[u8]) -> Result<Reply, String> {
    let message: ClientJsonRpcMessage =
        serde_json::from_slice(bytes).map_err(|error| format!("the body is no message of the protocol: {error}"))?;
    match message {
        ClientJsonRpcMessage::Request(_) => {}
        ClientJsonRpcMessage::Notification(_) => return Ok(Reply::Heard),
        _ => return Err("the body is an answer, and nothing was asked".to_owned()),
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder
        .enable_all()
        .max_blocking_threads(1)
        .thread_name("call")
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|error| format!("no event loop: {error}"))?;
    let answer = runtime.block_on(async {
        let (transport, mut answers) = OneshotTransport::<RoleServer>::new(message);
        let serving = serve_directly(Service { desk }, transport, None);
        let answer = loop {
            match answers.recv().await {
                Some(answer @ (ServerJsonRpcMessage::Response(_) | ServerJsonRpcMessage::Error(_))) => {
                    break Some(answer);
                }
                Some(_) => {}
                None => break None,
            }
        };
        serving.cancel().await.ok();
        answer
    });
    runtime.shutdown_background();
    let answer = answer.ok_or_else(|| "the message was not answered".to_owned())?;
    serde_json::to_string(&answer).map(Reply::Answer).map_err(|error| format!("the answer can't be written: {error}"))
}
