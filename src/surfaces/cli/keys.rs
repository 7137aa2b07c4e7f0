//! Single keys while a run is in the foreground: a thread that reads them, and the mode the terminal must be in.
//!
//! Not raw mode: Ctrl-C stays a signal and lines stay lines, only echo and the wait for Enter are off. Prompts read
//! the terminal themselves, so they hold the gate meanwhile. Nothing is read in the background: a shell that has
//! given the terminal to somebody else would stop the process for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

/// How soon a pressed key is seen, and the end of the run by the thread.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Keys taken at once; whoever leans on the keyboard is not answered for each.
const KEYS_MAX: usize = 32;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Where the run is, on one line.
    Status,
    /// All that is known of what is running.
    Details,
    /// Start nothing new; what is running ends, then the run stands paused.
    Pause,
    /// Which keys there are.
    Help,
}

impl Key {
    /// Every key as it is written on it, with what it does.
    pub const ALL: [(Key, &'static str, &'static str); 4] = [
        (Key::Status, "Enter", "where it is"),
        (Key::Details, "d", "details of what is running"),
        (Key::Pause, "p", "pause: what is running ends, nothing new starts"),
        (Key::Help, "?", "these keys"),
    ];

    /// The keys in what a terminal sent. Arrows and the like come as a sequence after an escape: none of ours.
    fn read(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        let mut left = bytes.iter().copied();
        while let Some(byte) = left.next() {
            match byte {
                // `ESC [ … letter`, or `ESC` and one more.
                0x1b if left.next() == Some(b'[') => drop(left.find(|byte| (0x40..0x7f).contains(byte))),
                b'\r' | b'\n' => keys.push(Key::Status),
                b'd' | b'D' => keys.push(Key::Details),
                b'p' | b'P' => keys.push(Key::Pause),
                b'?' | b'h' | b'H' => keys.push(Key::Help),
                _ => {}
            }
        }
        keys.dedup();
        keys
    }
}

/// Who reads the terminal: keys, or a prompt that holds it.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Ways>);

#[derive(Debug, Default)]
struct Ways {
    held: Mutex<()>,
    reserved: AtomicBool,
}

impl Gate {
    /// Keeps keys from being read until dropped.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what is typed for the prompt that is about to hold the gate: a question is shown before it can be
    /// answered, and people are quick.
    pub fn reserve(&self, reserved: bool) {
        self.0.reserved.store(reserved, Ordering::SeqCst);
    }

    /// The right to read keys now, if nobody else has or wants it.
    fn pass(&self) -> Option<MutexGuard<'_, ()>> {
        let passed = match self.0.held.try_lock() {
            Ok(passed) => passed,
            Err(TryLockError::Poisoned(passed)) => passed.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        (!self.0.reserved.load(Ordering::SeqCst)).then_some(passed)
    }
}

/// Reads keys until dropped, then gives the terminal back as it was.
pub struct Keys {
    stop: Arc<AtomicBool>,
}

/// How the terminal was before keys were read.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

impl Keys {
    /// Reads from now on; nothing if standard input is no terminal of ours.
    pub fn listen(gate: &Gate, pressed: impl Fn(Key) + Send + 'static) -> Option<Keys> {
        if !is_ours() || !prepare() {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, gate) = (Arc::clone(&stop), gate.clone());
        let read = move || {
            while !stopped.load(Ordering::Relaxed) {
                match next(&gate) {
                    Some(keys) => keys.into_iter().for_each(&pressed),
                    None => return,
                }
            }
        };
        let spawned = std::thread::Builder::new().name("keys".into()).spawn(read);
        match spawned {
            Ok(_) => Some(Keys { stop }),
            Err(_) => {
                give_back();
                None
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        give_back();
    }
}

/// Gives the terminal back as it was, also from a handler that is about to end the process.
pub fn give_back() {
    if let Some(before) = saved().take() {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before);
    }
}

/// After the process was stopped and went on: the shell has set the terminal to its own liking.
pub fn take_again() {
    if saved().is_some() && is_ours() {
        prepare();
    }
}

fn saved() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process is in the foreground of the terminal it reads.
fn is_ours() -> bool {
    tcgetpgrp(rustix::stdio::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

fn prepare() -> bool {
    let stdin = rustix::stdio::stdin();
    let Ok(found) = tcgetattr(stdin) else { return false };
    let mut wanted = found.clone();
    wanted.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
    // At Ctrl-C the terminal would throw away what was just written: that it was heard, or the end of the run.
    wanted.local_modes |= LocalModes::NOFLSH;
    // Enter stays what it is for a prompt that comes after it was pressed.
    wanted.input_modes -= InputModes::ICRNL;
    // A read takes what is there and never waits: waiting is done by poll, which ends with the run.
    wanted.special_codes[SpecialCodeIndex::VMIN] = 0;
    wanted.special_codes[SpecialCodeIndex::VTIME] = 0;
    saved().get_or_insert(found);
    tcsetattr(stdin, OptionalActions::Now, &wanted).is_ok()
}

/// Waits a moment for keys; `None` if there will never be more.
fn next(gate: &Gate) -> Option<Vec<Key>> {
    let stdin = rustix::stdio::stdin();
    let mut seen = [PollFd::new(&stdin, PollFlags::IN)];
    let wait = Timespec::try_from(LOOK_EVERY).ok()?;
    let ready = match poll(&mut seen, Some(&wait)) {
        Ok(count) => count > 0,
        Err(rustix::io::Errno::INTR) => false,
        Err(_) => return None,
    };
    if !ready {
        return Some(Vec::new());
    }
    if !seen[0].revents().contains(PollFlags::IN) {
        return None;
    }
    let passed = gate.pass();
    if passed.is_none() || !is_ours() {
        // The key is somebody else's; without a pause this would spin until they have read it.
        std::thread::sleep(LOOK_EVERY);
        return Some(Vec::new());
    }
    let mut bytes = [0; KEYS_MAX];
    match rustix::io::read(stdin, &mut bytes) {
        Ok(count) => Some(Key::read(&bytes[..count])),
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Some(Vec::new()),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_it_says_and_anything_else_is_nothing() {
        assert_eq!(Key::read(b"\r"), [Key::Status]);
        assert_eq!(Key::read(b"d?p"), [Key::Details, Key::Help, Key::Pause]);
        assert_eq!(Key::read("xyz 1\u{e9}".as_bytes()), []);
        assert_eq!(Key::read(b""), []);
    }

    #[test]
    fn nobody_reads_keys_while_a_prompt_holds_the_terminal_or_is_about_to() {
        let gate = Gate::default();
        assert!(gate.pass().is_some());
        gate.reserve(true);
        assert!(gate.pass().is_none());
        gate.reserve(false);
        let held = gate.hold();
        assert!(gate.pass().is_none());
        drop(held);
        assert!(gate.pass().is_some());
    }

    #[test]
    fn a_key_that_is_leaned_on_is_answered_once() {
        assert_eq!(Key::read(b"\n\n\n\n"), [Key::Status]);
    }

    #[test]
    fn the_letters_of_an_arrow_are_no_keys() {
        assert_eq!(Key::read(b"\x1b[D"), []);
        assert_eq!(Key::read(b"\n\x1b[1;5D\x1bd?"), [Key::Status, Key::Help]);
    }
}
