//! The signal handler. The sandbox stands on this file: a fault that it takes for a trap by mistake hides a bug of the host,
//! one that it fails to take kills the host.
//!
//! # What it may touch
//! It runs at any instruction of any thread. It takes no lock and allocates nothing: it reads the registry's arrays
//! ([`Reader`]), the tables of mapped artifacts, the stack from the faulting frame to its trampoline, and writes the [`Capture`](super::Capture) of
//! the instance whose code faulted, which that thread owns while its code runs.
//!
//! # Whose fault is it
//! A trap is a fault whose pc is an instruction that the compiler has listed as able to trap, and whose signal is one that
//! this trap can raise; for a memory access also only an address inside the reservation of a linear memory. A fault of the runtime itself, in one of
//! the few functions that are made for it ([`guarded`]), ends that function. All else goes to the handler that was there before: the host's, a debugger's, a sanitizer's, or the default, which dumps core at the right pc.

use super::{MAX_FRAMES, capture_of, landing, unwind};
use crate::code::registry::{self, Range, Reader};
use crate::error::Error;
use crate::os::{guarded, stay_loaded};
use crate::thread;
use crate::window::Fault;
use std::sync::OnceLock;
use wasmbridge_artifact::TrapCode;

/// The signals that wasm code raises on x86-64: guard pages, `ud2`, `div`; SIGBUS for a file that was cut under a mapping.
const SIGNALS: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGBUS];

/// In the error code of a page fault: it was a write (Intel SDM, volume 3, 4.7, "Page-Fault Exceptions").
const PAGE_FAULT_WRITE: i64 = 1 << 1;

/// The handlers that were there before, in the order of `SIGNALS`; set when ours stand.
static PREVIOUS: OnceLock<Result<[libc::sigaction; 4], i32>> = OnceLock::new();

/// Installs the handler, once for the process. It stays, and the library with it: callbacks may be called as long as the process lives.
pub(crate) fn install() -> Result<(), Error> {
    let installed = PREVIOUS.get_or_init(|| {
        stay_loaded();
        // SAFETY: all-zero bytes are a valid `sigaction`.
        let mut previous: [libc::sigaction; 4] = unsafe { std::mem::zeroed() };
        for (&signal, before) in SIGNALS.iter().zip(&mut previous) {
            // SAFETY: all-zero bytes are a valid `sigaction`.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            let handler: unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
            action.sa_sigaction = handler as usize;
            // `SA_ONSTACK`: on the host's alternate stack if it has one, so that an overflow of the host's own stack still
            // reaches the host's own handler. `SA_NODEFER`: a fault in a previous handler that we call is not fatal at once.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            // A foreign fault on another thread between here and the end of `get_or_init` finds no previous handler: it
            // is returned to its instruction, and faults again until `PREVIOUS` is set.
            // SAFETY: `handle` has the type that `SA_SIGINFO` asks for and keeps the rules of this file.
            if unsafe { libc::sigaction(signal, &action, before) } != 0 {
                return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
            }
        }
        let handlers = registry::install_fork_handlers().and_then(|()| thread::install_fork_handlers());
        handlers.map_err(|error| error.raw_os_error().unwrap_or(0))?;
        Ok(previous)
    });
    match installed {
        Ok(_) => Ok(()),
        Err(code) => Err(Error::os("cannot install a signal handler", std::io::Error::from_raw_os_error(*code))),
    }
}

unsafe extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with `SA_SIGINFO` a valid `siginfo_t` and `ucontext_t`.
    let taken = unsafe { try_trap(signal, &*info, &mut *context.cast::<libc::ucontext_t>()) };
    if !taken {
        // SAFETY: passed on as they came.
        unsafe { forward(signal, info, context) };
    }
}

/// Whether a signal is one by which an instruction with this trap stops.
fn raises(code: TrapCode, signal: libc::c_int) -> bool {
    match signal {
        libc::SIGSEGV | libc::SIGBUS => matches!(
            code,
            TrapCode::MemoryOutOfBounds
                | TrapCode::UninitializedElement
                | TrapCode::NullReference
                | TrapCode::StackOverflow
        ),
        libc::SIGFPE => matches!(code, TrapCode::IntegerDivideByZero | TrapCode::IntegerOverflow),
        // `ud2` stands for every explicit trap.
        libc::SIGILL => true,
        _ => false,
    }
}

/// Turns the fault into a trap: rewrites the context so that the trampoline's C caller returns from a landing function.
///
/// # Safety
/// `info` and `context` are what the kernel gave the handler of `signal`.
unsafe fn try_trap(signal: libc::c_int, info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool {
    let registers = &mut context.uc_mcontext.gregs;
    let get = |index: libc::c_int| registers[index as usize];
    let pc = get(libc::REG_RIP) as usize;
    let reader = Reader::new();
    let Some(located) = reader.locate(pc) else { return try_guarded(&reader, pc, signal, info, context) };
    let Some(code) = located.trap(pc).filter(|&code| raises(code, signal)) else { return false };
    let mut fault = None;
    if matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
        // SAFETY: these two signals carry an address.
        let address = unsafe { info.si_addr() } as usize;
        match reader.find(address) {
            Some(Range::Memory(base)) => {
                let write = get(libc::REG_ERR) & PAGE_FAULT_WRITE != 0;
                let beyond_file = signal == libc::SIGBUS;
                fault = Some(Fault { guest_addr: (address - base) as u64, write, beyond_file });
            }
            // The instance's crossings are used up: its native stack could hold more of them than the array.
            Some(Range::Guard) if code == TrapCode::StackOverflow => {}
            // Null references are read at their offset from address 0.
            _ if code != TrapCode::MemoryOutOfBounds && address < 4096 => {}
            _ => return false,
        }
    }

    let saved = [libc::REG_RBX, libc::REG_R12, libc::REG_R13, libc::REG_R14, libc::REG_R15].map(|r| get(r) as u64);
    let mut pcs = [0; MAX_FRAMES];
    let mut depth = 0;
    let visit = |pc| {
        if depth < MAX_FRAMES {
            pcs[depth] = pc;
            depth += 1;
        }
    };
    // SAFETY: `pc` was located, and code that can trap has its frame pointer set up (see artifact/src/frames.rs).
    let found = unsafe {
        unwind::to_trampoline(&reader, pc, get(libc::REG_RSP) as usize, get(libc::REG_RBP) as usize, saved, visit)
    };
    let Some(found) = found else { return false };

    // SAFETY: the trampoline is on the stack.
    let (record, vmctx) = unsafe { found.entered() };
    // SAFETY: the instance is running on this thread, so its head and capture are live and ours.
    let capture = unsafe { capture_of(vmctx) };
    capture.set(code, fault, &pcs[..depth], found.frame_pointer, record, vmctx);

    // As if the C caller had called the landing: the return address is at the stack pointer, the first argument in rdi.
    let mut set = |index: libc::c_int, value: usize| registers[index as usize] = value as i64;
    set(libc::REG_RIP, landing::land as *const () as usize);
    set(libc::REG_RDI, std::ptr::from_mut(capture) as usize);
    set(libc::REG_RSP, found.frame_pointer + 8);
    // SAFETY: the trampoline's frame is intact; `[fp]` is its caller's frame pointer.
    set(libc::REG_RBP, unsafe { *(found.frame_pointer as *const usize) });
    let restored = [libc::REG_RBX, libc::REG_R12, libc::REG_R13, libc::REG_R14, libc::REG_R15];
    for (register, value) in restored.into_iter().zip(found.saved) {
        set(register, value as usize);
    }
    // The direction flag is clear at every function entry (System V psABI, 3.2.1).
    registers[libc::REG_EFL as usize] &= !(1 << 10);
    true
}

/// Makes a function that copies bytes for the guest return with a failure, if it was one that faulted, in the guest's memory.
fn try_guarded(
    reader: &Reader,
    pc: usize,
    signal: libc::c_int,
    info: &libc::siginfo_t,
    context: &mut libc::ucontext_t,
) -> bool {
    let Some(go_on) = guarded::after_fault(pc) else { return false };
    if !matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
        return false;
    }
    // SAFETY: these two signals carry an address.
    let address = unsafe { info.si_addr() } as usize;
    let in_guest = matches!(reader.find(address), Some(Range::Memory(_)));
    if in_guest {
        context.uc_mcontext.gregs[libc::REG_RIP as usize] = go_on as i64;
    }
    in_guest
}

/// Hands a fault to the handler that was there before.
///
/// # Safety
/// The arguments are what the kernel gave our handler.
unsafe fn forward(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = SIGNALS.iter().position(|&s| s == signal);
    let previous = PREVIOUS.get().and_then(|p| p.as_ref().ok());
    let (Some(index), Some(previous)) = (index, previous) else { return };
    let action = &previous[index];
    if action.sa_sigaction == libc::SIG_DFL || action.sa_sigaction == libc::SIG_IGN {
        // The instruction faults again when we return, and the default action takes it, with the right pc in the core dump.
        // (A synchronous fault cannot be ignored: the kernel kills the process then, too.)
        // SAFETY: restores an action that was in force before.
        unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) };
    } else if action.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: with `SA_SIGINFO` the previous handler is a function of this type.
        let handler: unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
            unsafe { std::mem::transmute(action.sa_sigaction) };
        // SAFETY: called as the kernel would have called it.
        unsafe { handler(signal, info, context) };
    } else {
        // SAFETY: without `SA_SIGINFO` it is a function of the signal's number.
        let handler: unsafe extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(action.sa_sigaction) };
        // SAFETY: called as the kernel would have called it.
        unsafe { handler(signal) };
    }
}
