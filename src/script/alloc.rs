//! Counts what the evaluating thread allocates.
//!
//! Rhai limits the size of values where they are made by an operator or a function, but not where an
//! element is assigned: `m[k] = v` in a loop can fill a machine. The counter sees every byte. It
//! doesn't limit anything itself: see [`crate::script::current`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Constant and without a destructor, so reading it never allocates and works to a thread's end.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// Bytes this thread has allocated less those it has freed. Negative when it freed what others made.
pub fn held() -> isize {
    HELD.try_with(Cell::get).unwrap_or(0)
}

/// The system's allocator with a counter per thread.
pub struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    // Fails only while the thread is torn down, when nobody evaluates.
    let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(bytes)));
}

#[expect(unsafe_code, reason = "implementing an allocator is unsafe; every call goes unchanged to the system's")]
// SAFETY: each method passes its arguments on to `System`, whose contract is the caller's, and
// returns what it got. `count` touches only a thread-local integer: no allocation, no panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_held_now_on_this_thread_only() {
        let before = held();
        let mut bytes = vec![1u8; 1 << 20];
        assert!(held() - before >= 1 << 20);
        bytes.reserve_exact(3 << 20);
        assert!(held() - before >= 4 << 20);
        std::thread::spawn(|| std::mem::forget(vec![1u8; 1 << 20])).join().unwrap();
        assert!(held() - before < 5 << 20);
        drop(bytes);
        assert!((held() - before).abs() < 1 << 16);
    }
}
