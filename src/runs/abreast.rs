//! The same work on many things, on as many threads as there are processors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::runs::error::{ErrorKind, RunsError};
use crate::script::limits::STACK_BYTES;

/// Threads at once: beyond that they wait for each other's memory.
const THREADS_MAX: usize = 16;

/// Whoever has all processors at the moment. Others do their work on one: of a server many may ask for such a thing at once.
static ALL_PROCESSORS: Mutex<()> = Mutex::new(());

/// Does `work` on each of `items`; the results stand in their order.
///
/// # Errors
/// If the system gives no thread, or one of them panicked.
pub(super) fn abreast<I: Sync, O: Send + Sync>(
    items: &[I],
    work: impl Fn(&I) -> O + Sync,
) -> Result<Vec<O>, RunsError> {
    let results: Vec<OnceLock<O>> = items.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let hand = || {
        while let Some((item, result)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).zip(results.get(at))
        } {
            // Each is taken once.
            result.set(work(item)).ok();
        }
    };
    let turn = ALL_PROCESSORS.try_lock();
    let most = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let threads = if turn.is_ok() { most } else { 1 }.min(items.len());
    let broken = |why: String| RunsError::new(ErrorKind::Internal, why);
    std::thread::scope(|scope| {
        let mut hands = Vec::new();
        for _ in 0..threads {
            let thread = std::thread::Builder::new().name("abreast".into()).stack_size(STACK_BYTES);
            hands.push(
                thread.spawn_scoped(scope, hand).map_err(|error| broken(format!("no thread to work on: {error}")))?,
            );
        }
        // All of them are waited for: a second panic that nobody hears would be one of this thread.
        let panicked = hands.into_iter().map(|hand| hand.join()).filter(Result::is_err).count();
        match panicked {
            0 => Ok(()),
            _ => Err(broken("something ended in a panic; this is a bug of rerail".to_owned())),
        }
    })?;
    Ok(results.into_iter().filter_map(OnceLock::into_inner).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_what_they_are_of() {
        let items: Vec<u64> = (0..1000).collect();
        let done = abreast(&items, |item| item * 2).unwrap();
        assert!(done.iter().copied().eq((0..1000).map(|item| item * 2)));
        assert_eq!(abreast(&[], |item: &u64| *item).unwrap(), Vec::<u64>::new());
    }

    #[test]
    fn panics_are_an_error() {
        let said = abreast(&[1; 64], |item| assert!(*item != 1, "one")).unwrap_err();
        assert!(said.message.contains("panic"), "{said:?}");
    }
}
