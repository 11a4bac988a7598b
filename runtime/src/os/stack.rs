//! Where a thread's stack is.

use std::cell::Cell;

/// A native stack: `[low, high)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StackBounds {
    /// lowest byte that may be used
    pub(crate) low: usize,
    /// one past the highest byte
    pub(crate) high: usize,
    /// Whether it is the thread's, all of it. Of other memory that somebody uses for a stack nobody knows what else is in it: other threads' stacks, perhaps.
    pub(crate) is_threads: bool,
}

impl StackBounds {
    /// Whether an address is on this stack.
    pub(crate) fn contains(&self, address: usize) -> bool {
        (self.low..self.high).contains(&address)
    }
}

thread_local! {
    static STACK: Cell<Option<StackBounds>> = const { Cell::new(None) };
}

/// The stack that the system gave this thread. The main thread's can grow up to its resource limit.
pub(crate) fn thread_stack() -> StackBounds {
    STACK.with(|stack| {
        if let Some(bounds) = stack.get() {
            return bounds;
        }
        let bounds = query_thread_stack();
        stack.set(Some(bounds));
        bounds
    })
}

fn query_thread_stack() -> StackBounds {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut low = std::ptr::null_mut();
    let (mut len, mut guard) = (0, 0);
    // SAFETY: each call gets what its manual page asks for, and the attributes are used only if the first call has filled them.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) == 0 {
            libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut len);
            libc::pthread_attr_getguardsize(attributes.as_ptr(), &mut guard);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
    }
    let low = low as usize;
    let here = std::ptr::from_ref(&low) as usize;
    match (low != 0).then(|| StackBounds { low: low + guard, high: low + len, is_threads: true }) {
        Some(bounds) if bounds.contains(here) => bounds,
        _ => {
            let some = || StackBounds { low: here - (64 << 10), high: here + (64 << 10), is_threads: false };
            bounds_around(here).unwrap_or_else(some)
        }
    }
}

/// The readable and writable range around an address on a stack that is not the thread's own, such as a coroutine's.
pub(crate) fn bounds_around(address: usize) -> Option<StackBounds> {
    let found = region::query(address as *const u8).ok()?;
    let range = found.as_range();
    let bounds = StackBounds { low: range.start, high: range.end, is_threads: false };
    (found.is_readable() && found.is_writable()).then_some(bounds)
}

/// A word of this thread's stack that others own: a frame's, live or left, or what lies between two. To Rust it may be uninitialised, and to a sanitizer it may be out
/// of bounds; so neither is told.
///
/// # Safety
/// `address` is a multiple of 8, and mapped.
pub(crate) unsafe fn stack_word(address: usize) -> usize {
    let word;
    // SAFETY: reads a word that is there (the caller's promise), whatever it holds.
    unsafe {
        std::arch::asm!("mov {word}, [{address}]", word = out(reg) word, address = in(reg) address, options(nostack, preserves_flags, readonly));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_is_on_the_stack() {
        let check = || {
            let local = 0u8;
            let bounds = thread_stack();
            assert!(bounds.contains(std::ptr::from_ref(&local) as usize), "{bounds:x?}");
            assert!(bounds.high - bounds.low >= 64 << 10);
            bounds
        };
        let here = check();
        let there = std::thread::spawn(check).join().unwrap();
        assert_ne!(here, there);
    }

    #[test]
    fn the_main_stack_is_also_found_by_its_mapping() {
        let local = 0u8;
        let address = std::ptr::from_ref(&local) as usize;
        assert!(bounds_around(address).unwrap().contains(address));
    }
}
