//! The receipt for a queued write: a blocking caller waits on it, an async one awaits it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::journal::error::Error;
use crate::journal::writer::Writer;

/// The answer to a write, given after its commit. Dropping it doesn't take the write back.
#[must_use = "a write is acknowledged only by its ticket"]
pub struct Ticket<T> {
    answer: oneshot::Receiver<Result<T, Error>>,
    /// Where it is queued.
    writer: Option<Arc<Writer>>,
}

impl<T> Ticket<T> {
    pub(super) fn of(writer: Arc<Writer>) -> (oneshot::Sender<Result<T, Error>>, Ticket<T>) {
        let (sender, answer) = oneshot::channel();
        (sender, Ticket { answer, writer: Some(writer) })
    }

    /// A ticket answered already.
    pub(super) fn ready(answer: Result<T, Error>) -> Ticket<T> {
        let (sender, receiver) = oneshot::channel();
        // The receiver is in hand, so this can't fail.
        sender.send(answer).ok();
        Ticket { answer: receiver, writer: None }
    }

    /// Commits on this thread what is queued, unless somebody else is just doing that, and gives what came of this
    /// write.
    ///
    /// It blocks for a flush, also on a thread of an async runtime: for those who have nothing else to do meanwhile.
    ///
    /// # Errors
    /// Whatever the write met; [`Error::Stopped`] if the writer is gone.
    pub fn wait(mut self) -> Result<T, Error> {
        loop {
            let turns = self.writer.as_ref().map_or(0, |writer| writer.turns.times());
            match (self.answer.try_recv(), &self.writer) {
                (Ok(answer), _) => return answer,
                (Err(TryRecvError::Empty), Some(writer)) => match writer.try_turn() {
                    // It may have been answered just before.
                    Some(turn) if self.answer.is_empty() => drop(turn.commit()),
                    Some(turn) => drop(turn),
                    None => writer.turns.wait_beyond(turns),
                },
                (Err(_), _) => return Err(Error::Stopped),
            }
        }
    }
}

impl<T> Future for Ticket<T> {
    type Output = Result<T, Error>;

    /// Has another thread commit, so that this one can do something else.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Ticket { answer, writer } = &mut *self;
        loop {
            match (Pin::new(&mut *answer).poll(context), &writer) {
                (Poll::Ready(Ok(answer)), _) => return Poll::Ready(answer),
                (Poll::Ready(Err(_)), _) => return Poll::Ready(Err(Error::Stopped)),
                // No thread can be had: it blocks, which is better than never.
                (Poll::Pending, Some(writer)) if !writer.summon() => drop(writer.turn().commit()),
                (Poll::Pending, _) => return Poll::Pending,
            }
        }
    }
}

impl<T> Drop for Ticket<T> {
    /// What nobody waits for is committed all the same, by somebody else.
    fn drop(&mut self) {
        if let (Err(TryRecvError::Empty), Some(writer)) = (self.answer.try_recv(), &self.writer) {
            writer.summon();
        }
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::append::{Append, Journal};
    use crate::journal::shelf::{Item, Place};
    use crate::journal::testkit::{note, start, store};

    #[test]
    fn a_ticket_can_be_waited_for_on_a_thread_of_a_runtime() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let append = |seq| store.append(Append::events(drive.run(), drive.fence(), vec![note(seq)]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(append(1).wait().unwrap().last_seq, 1);
            assert_eq!(append(2).await.unwrap().last_seq, 2);
            assert_eq!(Ticket::ready(Ok(8)).await.unwrap(), 8);
        });
        assert_eq!(Ticket::ready(Ok(8)).wait().unwrap(), 8);
    }

    #[test]
    fn who_awaits_a_commit_does_not_block_others_of_its_thread() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let blocker = crate::journal::testkit::sql(&store);
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        let ticket = store.append(Append::events(drive.run(), drive.fence(), vec![note(1)]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (answer, ()) = runtime.block_on(async {
            // Polled after the ticket, which therefore gave the thread up while it could not be committed.
            tokio::join!(biased; ticket, async { blocker.execute_batch("ROLLBACK").unwrap() })
        });
        assert_eq!(answer.unwrap().last_seq, 1);
    }

    #[test]
    fn an_answer_that_is_there_does_not_wait_for_the_commits_of_others() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let ticket = store.append(Append::events(drive.run(), drive.fence(), vec![note(1)]));
        let writer = ticket.writer.clone().unwrap();
        assert!(writer.turn().commit());
        let committing = writer.turn();
        let (say, said) = std::sync::mpsc::channel();
        let waits = std::thread::spawn(move || say.send(ticket.wait().map(|committed| committed.last_seq)));
        let answer = said.recv_timeout(Duration::from_secs(10));
        drop(committing);
        assert_eq!(answer.unwrap().unwrap(), 1);
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn who_finds_somebody_committing_is_told_when_that_is_over() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let ticket = store.append(Append::events(drive.run(), drive.fence(), vec![note(1)]));
        let writer = ticket.writer.clone().unwrap();
        // A turn in which nothing is committed: one of these does it then.
        let committing = writer.turn();
        let shelf = Place { project: String::new(), name: "s".into() };
        let others: Vec<_> = (0..8).map(|_| store.put_on_shelf(&shelf, item(), None)).collect();
        std::thread::scope(|scope| {
            for other in others {
                scope.spawn(|| assert!(other.wait().unwrap()));
            }
            let waits = scope.spawn(|| ticket.wait().unwrap().last_seq);
            drop(committing);
            assert_eq!(waits.join().unwrap(), 1);
        });
    }

    fn item() -> Item {
        Item { key: "k".into(), value: "v".into(), until: None }
    }

    #[test]
    fn a_writer_that_is_gone_is_an_error() {
        let (sender, receiver) = oneshot::channel();
        let ticket = Ticket::<()> { answer: receiver, writer: None };
        drop(sender);
        assert!(matches!(ticket.wait(), Err(Error::Stopped)));
    }
}
