//! Code addresses that exist before the function behind them: libffi gives out the address of a closure when its memory is allocated, and learns its type
//! later. Each is a jump through a word of its own, which disturbs no argument.

use std::ptr;
use std::sync::Mutex;

const PAGE: usize = 4096;
const BYTES: usize = 8;

/// A stub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stub {
    pub(crate) code: *const u8,
    target: *mut *const u8,
}

// SAFETY: two addresses. Who has a stub sets its target, and gives it to other threads by the program's own means.
unsafe impl Send for Stub {}

/// Stubs that nobody has, by address.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl Stub {
    /// A stub that must not be called before it has a target.
    pub(crate) fn new() -> Stub {
        let mut free = FREE.lock().unwrap_or_else(|e| e.into_inner());
        if free.is_empty() {
            let page = make_page() as usize;
            free.extend((0..PAGE / BYTES).map(|i| page + i * BYTES));
        }
        Stub::at(free.pop().expect("just filled") as *const u8)
    }

    fn at(code: *const u8) -> Stub {
        Stub { code, target: code.wrapping_add(PAGE).cast_mut().cast() }
    }

    /// The function that it jumps to.
    pub(crate) fn target(self) -> *const u8 {
        // SAFETY: as in `set`.
        unsafe { self.target.read() }
    }

    /// Has it jump to a function.
    pub(crate) fn set(self, target: *const u8) {
        // SAFETY: a word in the writable page behind the code's, which belongs to this stub.
        unsafe { self.target.write(target) };
    }

    /// Gives it back: nobody calls it any more.
    pub(crate) fn free(self) {
        FREE.lock().unwrap_or_else(|e| e.into_inner()).push(self.code as usize);
    }
}

/// A page of stubs, and a page of their words behind it.
fn make_page() -> *mut u8 {
    // `mov al, 8`, as a call of a variadic function has the most vector registers it may use there, and nobody else looks at it;
    // `jmp [rip + 4088]`, which counts from its own end.
    let mut code = [0xb0, 8, 0xff, 0x25, 0, 0, 0, 0];
    code[4..].copy_from_slice(&((PAGE - BYTES) as u32).to_le_bytes());
    // SAFETY: fresh memory, of which the first page is written before it becomes executable.
    unsafe {
        let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let page: *mut u8 = libc::mmap(ptr::null_mut(), 2 * PAGE, rights, flags, -1, 0).cast();
        if page.cast() == libc::MAP_FAILED {
            crate::give_up(&"no memory for stubs");
        }
        for i in 0..PAGE / BYTES {
            ptr::copy_nonoverlapping(code.as_ptr(), page.add(i * BYTES), BYTES);
        }
        if libc::mprotect(page.cast(), PAGE, libc::PROT_READ | libc::PROT_EXEC) != 0 {
            crate::give_up(&"stubs cannot be made executable");
        }
        page
    }
}
