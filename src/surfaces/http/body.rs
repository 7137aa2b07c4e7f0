//! What a request brings with it: how large it may be, and how long it may take to come in.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::runs::PLAN_BYTES_MAX;
use crate::surfaces::http::gate::one;
use crate::surfaces::http::problem::Problem;

/// Bytes of a body: as many as a file of inputs may have.
const BYTES_MAX: usize = 1024 * 1024;
/// How long one may take to come in.
const WITHIN: Duration = Duration::from_secs(10);
/// The same where the file of a saved plan is in it. As a text of JSON a file has twice its bytes at most, one more for each
/// quote, backslash and end of a line.
const PLAN_BODY_BYTES_MAX: usize = 2 * PLAN_BYTES_MAX as usize + BYTES_MAX;
/// How long that may take: the largest plan over ten megabits a second.
const PLAN_WITHIN: Duration = Duration::from_secs(30);
/// Bodies beyond [`BYTES_MAX`] that are in memory at once, each in three forms: below half a gigabyte together.
const LARGE_MAX: usize = 4;
/// After how many seconds it is worth another try where that many are.
const AGAIN_AFTER_S: u32 = 2;

/// How much a route takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Usual,
    /// The file of a saved plan.
    Plan,
}

impl Size {
    fn bytes_max(self) -> usize {
        match self {
            Size::Usual => BYTES_MAX,
            Size::Plan => PLAN_BODY_BYTES_MAX,
        }
    }

    fn within(self) -> Duration {
        match self {
            Size::Usual => WITHIN,
            Size::Plan => PLAN_WITHIN,
        }
    }
}

/// The places for large bodies in one server.
#[derive(Debug)]
pub struct Large(Arc<Semaphore>);

impl Default for Large {
    fn default() -> Large {
        Large(Arc::new(Semaphore::new(LARGE_MAX)))
    }
}

/// A body that has come in, and the place it takes until it is dropped.
#[derive(Debug, Default)]
pub struct Brought {
    pub bytes: Vec<u8>,
    pub place: Option<OwnedSemaphorePermit>,
}

impl Large {
    /// Reads a body.
    ///
    /// # Errors
    /// 413 if it is too large, 408 if it takes too long, 503 if as many large ones are worked on as can be.
    pub async fn read(&self, size: Size, headers: &HeaderMap, body: Body) -> Result<Brought, Problem> {
        let length = one(headers, header::CONTENT_LENGTH)?.and_then(|length| length.parse::<u64>().ok());
        // What doesn't say how long it is may be anything.
        let is_large = size != Size::Usual && length.is_none_or(|length| length > BYTES_MAX as u64);
        let place = match is_large {
            false => None,
            true => Some(Arc::clone(&self.0).try_acquire_owned().map_err(|_| busy())?),
        };
        Ok(Brought { bytes: read(size, headers, body).await?, place })
    }
}

/// Reads a body for which there is no more room than usual.
///
/// # Errors
/// As [`Large::read`].
pub async fn read_usual(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    read(Size::Usual, headers, body).await
}

async fn read(size: Size, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let length = one(headers, header::CONTENT_LENGTH)?.and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > size.bytes_max() as u64) {
        return Err(too_large(size));
    }
    match timeout(size.within(), to_bytes(body, size.bytes_max())).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => Err(too_large(size)),
        Err(_) => Err(Problem::new(408, format!("the body took longer than {} s", size.within().as_secs()))),
    }
}

fn too_large(size: Size) -> Problem {
    Problem::new(413, format!("the body has more than {} bytes", size.bytes_max()))
}

fn busy() -> Problem {
    let said = format!("{LARGE_MAX} plans of more than {BYTES_MAX} bytes are worked on");
    Problem::new(503, said).hint("try again when one of them is done").after(AGAIN_AFTER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(large: &Large, size: Size, bytes: usize, says_how_long: bool) -> Result<Brought, u16> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut headers = HeaderMap::new();
        if says_how_long {
            headers.insert(header::CONTENT_LENGTH, bytes.to_string().parse().unwrap());
        }
        let read = runtime.block_on(large.read(size, &headers, Body::from(vec![b'x'; bytes])));
        read.map_err(|problem| problem.status)
    }

    #[test]
    fn a_body_is_read_up_to_the_limit_of_its_route_and_not_one_byte_more() {
        let large = Large::default();
        for says_how_long in [true, false] {
            for (size, most) in [(Size::Usual, BYTES_MAX), (Size::Plan, PLAN_BODY_BYTES_MAX)] {
                assert_eq!(read(&large, size, most, says_how_long).unwrap().bytes.len(), most, "{size:?}");
                assert_eq!(read(&large, size, most + 1, says_how_long).unwrap_err(), 413, "{size:?}");
            }
            assert_eq!(read(&large, Size::Plan, 0, says_how_long).unwrap().bytes.len(), 0);
        }
    }

    #[test]
    fn only_so_many_large_ones_are_held_at_once_and_small_ones_always_come_in() {
        let large = Large::default();
        let held: Vec<Brought> =
            (0..LARGE_MAX).map(|_| read(&large, Size::Plan, BYTES_MAX + 1, true).unwrap()).collect();
        assert_eq!(read(&large, Size::Plan, BYTES_MAX + 1, true).unwrap_err(), 503);
        assert_eq!(read(&large, Size::Plan, 1, false).unwrap_err(), 503, "nobody knows how long it is");
        assert!(read(&large, Size::Plan, BYTES_MAX, true).is_ok());
        assert!(read(&large, Size::Usual, BYTES_MAX, false).is_ok());
        drop(held);
        assert!(read(&large, Size::Plan, BYTES_MAX + 1, false).is_ok());
    }
}
