//! A simulated platform on loopback, which breaks at the calls it is told to.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rerail::world::Platform;
use rerail::world::http::{Answer, Request};

use crate::binary::kit::Ledger;
use crate::world::faults::{Fault, write};

/// What was asked of the platforms of one world, in order, and which calls break. Clones are the same list.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    names: Vec<String>,
    faults: BTreeMap<usize, Fault>,
}

impl Calls {
    pub fn names(&self) -> Vec<String> {
        locked(&self.0).names.clone()
    }

    /// Breaks the n-th call, from 0.
    pub fn breaks(&self, call: usize, fault: Fault) {
        locked(&self.0).faults.insert(call, fault);
    }

    /// Takes in a call; how it breaks, if it does.
    fn hear(&self, name: String) -> Option<Fault> {
        let mut kept = locked(&self.0);
        let number = kept.names.len();
        kept.names.push(name);
        kept.faults.get(&number).copied()
    }
}

pub struct Served<P> {
    ledger: Ledger,
    platform: Arc<Mutex<P>>,
    calls: Calls,
}

impl<P: Platform> Served<P> {
    /// One platform of a world of several.
    pub fn with(platform: P, calls: &Calls) -> Served<P> {
        let platform = Arc::new(Mutex::new(platform));
        let (shared, heard) = (Arc::clone(&platform), calls.clone());
        let ledger = Ledger::serve(move |request, stream| answer(&shared, &heard, request, stream));
        Served { ledger, platform, calls: calls.clone() }
    }

    /// Without a slash at its end.
    pub fn url(&self) -> &str {
        &self.ledger.url
    }

    /// The platform itself; nothing is answered while this is held.
    pub fn state(&self) -> MutexGuard<'_, P> {
        locked(&self.platform)
    }

    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Waits until all that was sent by processes that are gone now has been heard.
    pub fn settle(&self) {
        self.ledger.settle();
    }
}

fn answer<P: Platform>(platform: &Mutex<P>, calls: &Calls, request: &Request, stream: &mut TcpStream) {
    let mut platform = locked(platform);
    match platform.called(request).and_then(|name| calls.hear(name)) {
        Some(fault) if fault.is_heard() => fault.show(stream, &platform.answer(request)),
        Some(fault) => fault.show(stream, &Answer::json(200, "{}")),
        None => write(&platform.answer(request), stream),
    }
}

/// A test that failed while it held the lock has been told.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
