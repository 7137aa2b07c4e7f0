//! The receipt for a queued write: a blocking caller waits on it, an async one awaits it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::sync::oneshot;

use crate::journal::error::Error;

/// The answer to a write, given after its commit. Dropping it doesn't take the write back.
#[must_use = "a write is acknowledged only by its ticket"]
#[derive(Debug)]
pub struct Ticket<T>(oneshot::Receiver<Result<T, Error>>);

impl<T> Ticket<T> {
    pub(super) fn pair() -> (oneshot::Sender<Result<T, Error>>, Ticket<T>) {
        let (sender, receiver) = oneshot::channel();
        (sender, Ticket(receiver))
    }

    /// A ticket answered already.
    pub(super) fn ready(answer: Result<T, Error>) -> Ticket<T> {
        let (sender, ticket) = Ticket::pair();
        // The receiver is in hand, so this can't fail.
        sender.send(answer).ok();
        ticket
    }

    /// Blocks until the write is committed or has failed.
    ///
    /// Unlike the channel's own blocking receive this is allowed on a thread of an async runtime: an
    /// engine thread may be one, and a flush is short.
    ///
    /// # Errors
    /// Whatever the write met; [`Error::Stopped`] if the writer is gone.
    pub fn wait(self) -> Result<T, Error> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut ticket = pin!(self);
        loop {
            match ticket.as_mut().poll(&mut context) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

impl<T> Future for Ticket<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.0).poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(answer)) => Poll::Ready(answer),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Error::Stopped)),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_can_be_waited_for_on_a_thread_of_a_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (sender, ticket) = Ticket::pair();
            let answer = std::thread::spawn(move || sender.send(Ok(7)));
            assert_eq!(ticket.wait().unwrap(), 7);
            answer.join().unwrap().unwrap();
            assert_eq!(Ticket::ready(Ok(8)).await.unwrap(), 8);
        });
    }

    #[test]
    fn a_writer_that_is_gone_is_an_error() {
        let (sender, ticket) = Ticket::<()>::pair();
        drop(sender);
        assert!(matches!(ticket.wait(), Err(Error::Stopped)));
    }
}
