//! All code of the process that wasmbridge made, by address: what the signal handler knows.
//!
//! # How it is read in a signal handler
//! A reader takes no lock and allocates nothing. The ranges are an immutable sorted array behind one atomic pointer; a change makes
//! a new array and retires the old one. Readers count themselves in before they load the pointer and out after their last use:
//!
//! - a writer that sees no reader after it has swapped the pointer may free every retired array: whoever comes later loads the new one;
//! - a writer that sees a reader leaves the retired arrays to the next change.
//!
//! In the child of a `fork` there is only the thread that forked, which was in no handler: the readers of the parent's other threads are not there, and
//! do not count ([`install_fork_handlers`]).
//!
//! What a range points to outlives its registration, and its owner waits for readers in the same way ([`Registration`]'s drop).

use std::cell::RefCell;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use wasmbridge_artifact::frames::{AddressMap, FrameLayout, FunctionTable, NameTable, TrapTable};
use wasmbridge_artifact::handlers::HandlerTable;
use wasmbridge_artifact::vmctx::{CallbackRecord, DirectRecord};
use wasmbridge_artifact::{FunctionKind, TrapCode};

/// The code of a module, and its tables.
#[derive(Debug)]
pub(crate) struct ModuleCode {
    pub(crate) text: usize,
    pub(crate) functions: FunctionTable<'static>,
    pub(crate) traps: TrapTable<'static>,
    pub(crate) addresses: AddressMap<'static>,
    /// calls of imports that standing crossing frames cover: from where they are in the wasm file to the import
    pub(crate) calls: AddressMap<'static>,
    pub(crate) names: NameTable<'static>,
    pub(crate) handlers: HandlerTable<'static>,
    pub(crate) module_name: Option<String>,
}

/// The code of a thunk.
#[derive(Debug)]
pub(crate) struct ThunkCode {
    pub(crate) text: usize,
    pub(crate) frame: FrameLayout,
    /// sorted by offset
    pub(crate) traps: Vec<(u32, TrapCode)>,
}

/// A page group of copies of one shape.
#[derive(Debug)]
pub(crate) struct StampedCode<R> {
    pub(crate) text: usize,
    /// bytes from one copy to the next
    pub(crate) stride: usize,
    /// the first copy's record; the others follow without gaps
    pub(crate) records: *const R,
    /// where a copy's code begins that keeps registers: before it is a fast entry, which keeps none
    pub(crate) complete: usize,
    pub(crate) frame: FrameLayout,
    /// sorted by offset from a copy's start
    pub(crate) traps: Vec<(u32, TrapCode)>,
}

impl<R> StampedCode<R> {
    /// The start of the copy that a pc is in, and its record.
    fn copy_at(&self, pc: usize) -> (usize, *const R) {
        // Of 32 bits, which is faster: a group of copies is smaller than 2 GiB.
        let index = ((pc - self.text) as u32 / self.stride as u32) as usize;
        // SAFETY: the records are as many as the copies of the code, and `pc` is in one of these.
        (self.text + index * self.stride, unsafe { self.records.add(index) })
    }
}

/// What a range of addresses holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range {
    /// code of a module
    Module(*const ModuleCode),
    /// code of a thunk
    Thunk(*const ThunkCode),
    /// code of callbacks
    Callbacks(*const StampedCode<CallbackRecord>),
    /// code that call instructions call for imported functions
    Direct(*const StampedCode<DirectRecord>),
    /// the reservation of a linear memory: guest address 0 is at the given address
    Memory(usize),
    /// the guard page below an instance's crossings
    Guard,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    end: usize,
    range: Range,
}

static RANGES: AtomicPtr<Vec<Entry>> = AtomicPtr::new(std::ptr::null_mut());
static READERS: AtomicUsize = AtomicUsize::new(0);
static WRITER: Mutex<Vec<Retired>> = Mutex::new(Vec::new());

#[expect(clippy::box_collection, reason = "the box is what the atomic pointer pointed to")]
struct Retired(#[expect(dead_code, reason = "kept only so that it is freed later")] Box<Vec<Entry>>);

// SAFETY: a retired array is only dropped; what its entries point to is not touched.
unsafe impl Send for Retired {}

/// A range that is registered for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Registration {
    start: usize,
}

/// Registers `[start, end)`, which overlaps no other registered range.
///
/// # Safety
/// What `range` points to stays valid until the registration is dropped.
pub(crate) unsafe fn register(start: usize, end: usize, range: Range) -> Registration {
    change(|ranges| {
        let at = ranges.partition_point(|e| e.start < start);
        debug_assert!(ranges.get(at).is_none_or(|e| e.start >= end), "ranges overlap");
        ranges.insert(at, Entry { start, end, range });
    });
    Registration { start }
}

fn change(edit: impl FnOnce(&mut Vec<Entry>)) {
    let mut retired = WRITER.lock().unwrap_or_else(|e| e.into_inner());
    let current = RANGES.load(Ordering::Acquire);
    // SAFETY: the array is freed only below, under the lock that is held here.
    let mut next = Box::new(unsafe { current.as_ref() }.cloned().unwrap_or_default());
    edit(&mut next);
    RANGES.store(Box::into_raw(next), Ordering::SeqCst);
    if !current.is_null() {
        // SAFETY: `current` came from `Box::into_raw` and has just been replaced: it is retired once.
        retired.push(Retired(unsafe { Box::from_raw(current) }));
    }
    if READERS.load(Ordering::SeqCst) == 0 {
        retired.clear();
    }
}

thread_local! {
    /// the writers' lock, while this thread forks
    static FORKING: RefCell<Option<MutexGuard<'static, Vec<Retired>>>> = const { RefCell::new(None) };
}

/// Has a `fork` wait until nobody changes the ranges, and its child begin without readers. Once for the process.
pub(crate) fn install_fork_handlers() -> std::io::Result<()> {
    extern "C" fn before() {
        let lock = WRITER.lock().unwrap_or_else(|e| e.into_inner());
        let _ = FORKING.try_with(|forking| forking.replace(Some(lock)));
    }
    extern "C" fn after() {
        let _ = FORKING.try_with(RefCell::take);
    }
    extern "C" fn in_child() {
        READERS.store(0, Ordering::SeqCst);
        after();
    }
    // SAFETY: functions of the type that it takes, which last as long as the process.
    match unsafe { libc::pthread_atfork(Some(before), Some(after), Some(in_child)) } {
        0 => Ok(()),
        code => Err(std::io::Error::from_raw_os_error(code)),
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        change(|ranges| ranges.retain(|e| e.start != self.start));
        // A handler on another thread may have found the range just before: it holds what the range points to for
        // microseconds. A handler on this thread cannot be under way: it would have to return first.
        while READERS.load(Ordering::SeqCst) != 0 {
            std::thread::yield_now();
        }
    }
}

/// Lets one reader look ranges up, in a signal handler too.
pub(crate) struct Reader(());

impl Reader {
    pub(crate) fn new() -> Reader {
        READERS.fetch_add(1, Ordering::SeqCst);
        Reader(())
    }

    /// The range that an address is in. What it points to is valid while this reader lives.
    pub(crate) fn find(&self, address: usize) -> Option<Range> {
        // SAFETY: an array is freed only when there is no reader, and this one was counted before it loads the pointer.
        let ranges = unsafe { RANGES.load(Ordering::SeqCst).as_ref() }?;
        let entry = ranges[..ranges.partition_point(|e| e.start <= address)].last()?;
        (address < entry.end).then_some(entry.range)
    }

    /// What the code at a pc is.
    pub(crate) fn locate(&self, pc: usize) -> Option<Located<'_>> {
        match self.find(pc)? {
            Range::Module(code) => {
                // SAFETY: valid while this reader lives, by the promise of `register`.
                let code = unsafe { &*code };
                let offset = (pc - code.text) as u32;
                let function = code.functions.find(offset)?;
                let place = match function.kind {
                    FunctionKind::Wasm => Place::Wasm { code, function: function.index, offset },
                    FunctionKind::Entry => Place::Entry,
                };
                Some(Located { place, frame: function.frame, start: code.text + function.start as usize })
            }
            Range::Thunk(code) => {
                // SAFETY: as above.
                let code = unsafe { &*code };
                Some(Located { place: Place::Thunk { code }, frame: code.frame, start: code.text })
            }
            Range::Callbacks(code) => {
                // SAFETY: as above.
                let code = unsafe { &*code };
                let (start, record) = code.copy_at(pc);
                let frame = if pc - start < code.complete { FrameLayout::default() } else { code.frame };
                Some(Located { place: Place::Callback { record }, frame, start })
            }
            Range::Direct(code) => {
                // SAFETY: as above.
                let code = unsafe { &*code };
                let (start, record) = code.copy_at(pc);
                Some(Located { place: Place::Direct { code, record }, frame: code.frame, start })
            }
            Range::Memory(_) | Range::Guard => None,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        READERS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A pc in code that wasmbridge made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located<'a> {
    /// what it is in
    pub(crate) place: Place<'a>,
    /// where that function keeps its caller's registers
    pub(crate) frame: FrameLayout,
    /// the function's first instruction
    pub(crate) start: usize,
}

/// What a pc is in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// a wasm function
    Wasm {
        /// its module's code
        code: &'a ModuleCode,
        /// its index
        function: u32,
        /// the pc, from the start of the code
        offset: u32,
    },
    /// an entry trampoline
    Entry,
    /// a thunk
    Thunk {
        /// its code
        code: &'a ThunkCode,
    },
    /// what call instructions call for an imported function
    Direct {
        /// its code
        code: &'a StampedCode<DirectRecord>,
        /// its record
        record: *const DirectRecord,
    },
    /// a callback
    Callback {
        /// its record
        record: *const CallbackRecord,
    },
}

impl Located<'_> {
    /// The trap of the instruction at `pc`, if it can trap.
    pub(crate) fn trap(&self, pc: usize) -> Option<TrapCode> {
        match self.place {
            Place::Wasm { code, offset, .. } => code.traps.find(offset),
            Place::Thunk { code } => find_trap(&code.traps, pc - code.text),
            Place::Direct { code, .. } => find_trap(&code.traps, pc - self.start),
            Place::Entry | Place::Callback { .. } => None,
        }
    }
}

/// The trap of the instruction at an offset, among those of a piece of code.
fn find_trap(traps: &[(u32, TrapCode)], offset: usize) -> Option<TrapCode> {
    let found = traps.binary_search_by_key(&offset, |t| t.0 as usize).ok()?;
    Some(traps[found].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses that no real mapping has: page 0 of the process.
    #[test]
    fn ranges_come_and_go() {
        // SAFETY: a memory's range points to nothing.
        let (low, high) = unsafe { (register(0x10, 0x20, Range::Memory(1)), register(0x30, 0x40, Range::Memory(2))) };
        let find = |address| match Reader::new().find(address) {
            Some(Range::Memory(base)) => base,
            _ => 0,
        };
        assert_eq!([0xf, 0x10, 0x1f, 0x20, 0x30, 0x3f, 0x40].map(find), [0, 1, 1, 0, 2, 2, 0]);
        drop(low);
        assert_eq!([0x10, 0x30].map(find), [0, 2]);
        drop(high);
        assert_eq!(find(0x30), 0);
    }

    #[test]
    fn readers_of_other_threads_are_not_in_the_child_of_a_fork() {
        install_fork_handlers().unwrap();
        let (reading, wait) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _reader = Reader::new();
                reading.wait();
                wait.wait();
            });
            reading.wait();
            // SAFETY: the child ends without returning, and uses nothing that another thread could have been changing.
            unsafe {
                let child = libc::fork();
                if child == 0 {
                    libc::alarm(20);
                    // It would wait for the reader for ever.
                    drop(register(0x900, 0x908, Range::Memory(1)));
                    libc::_exit(0);
                }
                let mut status = -1;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                assert_eq!(status, 0);
            }
            wait.wait();
        });
    }

    #[test]
    fn readers_and_writers_do_not_disturb_each_other() {
        std::thread::scope(|scope| {
            for thread in 1..4usize {
                scope.spawn(move || {
                    for round in 0..500 {
                        let start = thread * 0x100;
                        // SAFETY: a memory's range points to nothing.
                        let registration = unsafe { register(start, start + 8, Range::Memory(round)) };
                        assert!(matches!(Reader::new().find(start + 7), Some(Range::Memory(r)) if r == round));
                        drop(registration);
                    }
                });
            }
        });
    }
}
