//! Carries a [`Failure`] of ours through libraries that only know errors.

use std::error::Error;
use std::{fmt, io};

use crate::engine::outcome::Failure;

/// A failure as an error.
#[derive(Debug)]
pub(super) struct Refusal(pub Failure);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for Refusal {}

/// `error` and its causes, also those inside I/O errors, which hide what they wrap from [`Error::source`].
pub(super) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |current: &&'a (dyn Error + 'static)| {
        let current: &'a (dyn Error + 'static) = *current;
        match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        }
    })
}

/// The first error of type `T` in the chain.
pub(super) fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).find_map(|link| link.downcast_ref::<T>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::outcome::FailureKind;

    /// Wraps an error as libraries do.
    #[derive(Debug, thiserror::Error)]
    #[error("around")]
    struct Around(#[source] Box<dyn Error + Send + Sync>);

    proptest! {
        /// However deep it is wrapped, and in whatever order: what we refused stays a refusal and no broken exchange.
        #[test]
        fn a_refusal_is_found_through_all_that_libraries_put_around_it(layers in prop::collection::vec(any::<bool>(), 0..9)) {
            let refusal = Refusal(Failure::new(FailureKind::Policy, "not allowed here"));
            let mut error: Box<dyn Error + Send + Sync> = Box::new(refusal);
            for io in layers {
                error = if io { Box::new(io::Error::other(error)) } else { Box::new(Around(error)) };
            }
            let found = cause::<Refusal>(&*error).map(|refusal| refusal.0.kind);
            prop_assert_eq!(found, Some(FailureKind::Policy));
        }
    }

    #[test]
    fn an_error_of_somebody_else_is_none_of_ours() {
        let error = Around(Box::new(io::Error::other("reset by peer")));
        assert!(cause::<Refusal>(&error).is_none());
    }
}
