//! Errors and traps, as C sees them.

use crate::boundary::{Out, delete, guard, guard_or, invalid, object};
use crate::exception::wb_tag;
use std::ffi::{CString, c_char};
use std::ptr;
use wasmbridge_artifact::TrapCode;
use wasmbridge_runtime::{Error, ErrorKind, Exception, Frame};

/// What sort of failure an error is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wb_errorkind {
    /// An argument is not what the function takes: NULL, out of range, of another type.
    WB_ERROR_INVALID_ARGUMENT = 1,
    /// The bytes are no artifact, a damaged one, or one for another version or machine.
    WB_ERROR_ARTIFACT = 2,
    /// A prototype could not be parsed, or is not supported.
    WB_ERROR_PROTOTYPE = 3,
    /// An import is not defined, or is defined with another type; or an export does not have the type that is asked for.
    WB_ERROR_LINK = 4,
    /// There is no export, table entry or callback of this name, index or address.
    WB_ERROR_NOT_FOUND = 5,
    /// The app was stopped: see `wb_error_trap_code`.
    WB_ERROR_TRAP = 6,
    /// A limit of the host or of wasmbridge: memory, address space, table entries, handles.
    WB_ERROR_LIMIT = 7,
    /// The operating system refused.
    WB_ERROR_OS = 8,
    /// The instance belongs to another thread, is running, or has an error that nobody has taken.
    WB_ERROR_BUSY = 9,
    /// The WebAssembly module is malformed, invalid, or uses what the compiler does not translate.
    WB_ERROR_COMPILE = 10,
    /// A bug in wasmbridge.
    WB_ERROR_INTERNAL = 255,
}

/// How an app was stopped.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wb_trapcode {
    /// The error is no trap.
    WB_TRAP_NONE = 0,
    /// `unreachable` was executed: in C, `abort` or `__builtin_trap`.
    WB_TRAP_UNREACHABLE = 1,
    /// A load, store or bulk operation outside of the app's memory.
    WB_TRAP_MEMORY_OUT_OF_BOUNDS = 2,
    /// An access outside of a table.
    WB_TRAP_TABLE_OUT_OF_BOUNDS = 3,
    /// A call through an index that the table does not have.
    WB_TRAP_UNDEFINED_ELEMENT = 4,
    /// A call through a null reference: in C, a null function pointer.
    WB_TRAP_UNINITIALIZED_ELEMENT = 5,
    /// A call through a function pointer of another type.
    WB_TRAP_INDIRECT_CALL_TYPE_MISMATCH = 6,
    /// Division of the smallest integer by -1, or a float too large for the integer it is converted to.
    WB_TRAP_INTEGER_OVERFLOW = 7,
    /// Division of an integer by zero.
    WB_TRAP_INTEGER_DIVIDE_BY_ZERO = 8,
    /// NaN converted to an integer.
    WB_TRAP_INVALID_CONVERSION = 9,
    /// The native stack of the thread is used up.
    WB_TRAP_STACK_OVERFLOW = 10,
    /// An atomic access at an address that is not a multiple of its size.
    WB_TRAP_UNALIGNED_ATOMIC = 11,
    /// A null reference where one that is not null is needed.
    WB_TRAP_NULL_REFERENCE = 12,
    /// A cast to a type that the reference does not have.
    WB_TRAP_CAST_FAILURE = 13,
    /// An access outside of a garbage-collected array.
    WB_TRAP_ARRAY_OUT_OF_BOUNDS = 14,
    /// The garbage-collected heap is full.
    WB_TRAP_ALLOCATION_TOO_LARGE = 15,
    /// An atomic wait on a memory that is not shared.
    WB_TRAP_WAIT_ON_UNSHARED_MEMORY = 16,
    /// An exception that nobody caught.
    WB_TRAP_UNCAUGHT_EXCEPTION = 17,
    /// A value was refused at the boundary to C: the message says which and why.
    WB_TRAP_CROSSING = 18,
    /// A callback of the app failed while a C library, called by the app, was running: the message says how.
    WB_TRAP_CALLBACK_FAILED = 19,
    /// The app has ended itself, as a WASI program does when it is done: `wb_error_exit_status` has the status.
    WB_TRAP_EXITED = 20,
    /// A function of the host's failed: the message says which and why.
    WB_TRAP_HOST_FAILED = 21,
}

/// What a frame of a backtrace is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wb_framekind {
    /// A function of the app.
    WB_FRAME_WASM = 0,
    /// A C function that the app called.
    WB_FRAME_NATIVE = 1,
    /// The callback through which C entered the app.
    WB_FRAME_CALLBACK = 2,
}

/// A frame of a backtrace.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct wb_frame {
    /// What it is.
    pub kind: wb_framekind,
    /// Index of the function in the module; of a frame that is not of the app, UINT32_MAX.
    pub function: u32,
    /// Offset of the instruction in the module's .wasm file, in bytes; UINT32_MAX if it is not known.
    pub wasm_offset: u32,
    /// Name of the function, never NULL; of a function of the app without a name, `wasm-function[N]`. It lives as long as the error.
    pub name: *const c_char,
    /// Name of the frame's module, NULL if it has none. It lives as long as the error.
    pub module: *const c_char,
}

/// An error. Its texts and its backtrace live as long as it does.
///
/// It may be used on any thread, and on several at once.
pub struct wb_error {
    kind: wb_errorkind,
    trap: wb_trapcode,
    exit_status: Option<i32>,
    message: CString,
    backtrace: CString,
    frames: Vec<OwnedFrame>,
    exception: Option<(wb_tag, Exception)>,
}

struct OwnedFrame {
    kind: wb_framekind,
    function: u32,
    wasm_offset: u32,
    name: CString,
    module: Option<CString>,
}

/// The text as C can have it: a zero byte inside would end it.
fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

impl wb_error {
    pub(crate) fn new(kind: wb_errorkind, message: String) -> Box<wb_error> {
        Box::new(wb_error {
            kind,
            trap: wb_trapcode::WB_TRAP_NONE,
            exit_status: None,
            message: c_text(&message),
            backtrace: CString::default(),
            frames: Vec::new(),
            exception: None,
        })
    }

    /// The exception that nobody has caught, if that is why the app was stopped.
    pub(crate) fn exception(&self) -> Option<&Exception> {
        self.exception.as_ref().map(|(_, exception)| exception)
    }

    pub(crate) fn tag(&self) -> Option<&wb_tag> {
        self.exception.as_ref().map(|(tag, _)| tag)
    }
}

impl From<Error> for Box<wb_error> {
    fn from(error: Error) -> Box<wb_error> {
        let mut result = wb_error::new(kind(error.kind()), error.message().to_owned());
        if let Some(trap) = error.trap() {
            result.trap = code(trap.code);
            result.exit_status = trap.exit_status;
            let lines = trap.frames.iter().enumerate().map(|(i, frame)| format!("  {i}: {frame}\n"));
            result.backtrace = c_text(&lines.collect::<String>());
            result.frames = trap.frames.iter().map(owned_frame).collect();
            result.exception = error.exception().map(|exception| (wb_tag(exception.tag().clone()), exception.clone()));
        }
        result
    }
}

fn owned_frame(frame: &Frame) -> OwnedFrame {
    let other = |kind, name: &str| OwnedFrame {
        kind,
        function: u32::MAX,
        wasm_offset: u32::MAX,
        name: c_text(name),
        module: None,
    };
    match frame {
        Frame::Wasm { module, function, name, offset } => OwnedFrame {
            kind: wb_framekind::WB_FRAME_WASM,
            function: *function,
            wasm_offset: offset.unwrap_or(u32::MAX),
            name: name.as_deref().map_or_else(|| c_text(&format!("wasm-function[{function}]")), c_text),
            module: module.as_deref().map(c_text),
        },
        Frame::Callback { name } => other(wb_framekind::WB_FRAME_CALLBACK, name),
        Frame::Native { name } => other(wb_framekind::WB_FRAME_NATIVE, name),
        // A kind of frame that this list does not have yet: its own words are better than nothing.
        frame => other(wb_framekind::WB_FRAME_NATIVE, &frame.to_string()),
    }
}

macro_rules! same_numbers {
    ($function:ident, $rust:ident => $c:ident: $($variant:ident = $constant:ident,)*) => {
        $(const _: () = assert!($rust::$variant as u32 == $c::$constant as u32);)*

        /// The C constant of the same number.
        fn $function(value: $rust) -> $c {
            match value {
                $($rust::$variant => $c::$constant,)*
                _ => unreachable!("{value:?} has no constant in the C API"),
            }
        }
    };
}

same_numbers! { kind, ErrorKind => wb_errorkind:
    InvalidArgument = WB_ERROR_INVALID_ARGUMENT,
    Artifact = WB_ERROR_ARTIFACT,
    Prototype = WB_ERROR_PROTOTYPE,
    Link = WB_ERROR_LINK,
    NotFound = WB_ERROR_NOT_FOUND,
    Trap = WB_ERROR_TRAP,
    Limit = WB_ERROR_LIMIT,
    Os = WB_ERROR_OS,
    Busy = WB_ERROR_BUSY,
    Compile = WB_ERROR_COMPILE,
}

same_numbers! { code, TrapCode => wb_trapcode:
    Unreachable = WB_TRAP_UNREACHABLE,
    MemoryOutOfBounds = WB_TRAP_MEMORY_OUT_OF_BOUNDS,
    TableOutOfBounds = WB_TRAP_TABLE_OUT_OF_BOUNDS,
    UndefinedElement = WB_TRAP_UNDEFINED_ELEMENT,
    UninitializedElement = WB_TRAP_UNINITIALIZED_ELEMENT,
    IndirectCallTypeMismatch = WB_TRAP_INDIRECT_CALL_TYPE_MISMATCH,
    IntegerOverflow = WB_TRAP_INTEGER_OVERFLOW,
    IntegerDivideByZero = WB_TRAP_INTEGER_DIVIDE_BY_ZERO,
    InvalidConversion = WB_TRAP_INVALID_CONVERSION,
    StackOverflow = WB_TRAP_STACK_OVERFLOW,
    UnalignedAtomic = WB_TRAP_UNALIGNED_ATOMIC,
    NullReference = WB_TRAP_NULL_REFERENCE,
    CastFailure = WB_TRAP_CAST_FAILURE,
    ArrayOutOfBounds = WB_TRAP_ARRAY_OUT_OF_BOUNDS,
    AllocationTooLarge = WB_TRAP_ALLOCATION_TOO_LARGE,
    WaitOnUnsharedMemory = WB_TRAP_WAIT_ON_UNSHARED_MEMORY,
    UncaughtException = WB_TRAP_UNCAUGHT_EXCEPTION,
    Crossing = WB_TRAP_CROSSING,
    CallbackFailed = WB_TRAP_CALLBACK_FAILED,
    Exited = WB_TRAP_EXITED,
    HostFailed = WB_TRAP_HOST_FAILED,
}

// The list above is complete.
const _: () = assert!(wb_trapcode::WB_TRAP_HOST_FAILED as usize == TrapCode::ALL.len());

/// What sort of failure an error is. NULL is WB_ERROR_INVALID_ARGUMENT.
///
/// # Safety
/// `error` is NULL or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_kind(error: *const wb_error) -> wb_errorkind {
    // SAFETY: the caller's duty.
    unsafe { error.as_ref() }.map_or(wb_errorkind::WB_ERROR_INVALID_ARGUMENT, |e| e.kind)
}

/// What was found, what was expected, what to do; without the backtrace, and without a newline at the end. It lives as long as the
/// error. NULL is an empty text.
///
/// # Safety
/// `error` is NULL or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_message(error: *const wb_error) -> *const c_char {
    // SAFETY: the caller's duty.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |e| e.message.as_ptr())
}

/// How the app was stopped; WB_TRAP_NONE if the error is of another kind than WB_ERROR_TRAP, or NULL.
///
/// # Safety
/// `error` is NULL or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_trap_code(error: *const wb_error) -> wb_trapcode {
    // SAFETY: the caller's duty.
    unsafe { error.as_ref() }.map_or(wb_trapcode::WB_TRAP_NONE, |e| e.trap)
}

/// Whether the app has ended itself (WB_TRAP_EXITED); the status that it ended with is then written to `*status`, which may be NULL. False for
/// every other error, and for NULL; `*status` is then as it was.
///
/// # Safety
/// `error` is NULL or an error; `status` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_exit_status(error: *const wb_error, status: *mut i32) -> bool {
    // SAFETY: the caller's duty.
    let Some(found) = unsafe { error.as_ref() }.and_then(|e| e.exit_status) else { return false };
    if !status.is_null() {
        // SAFETY: the caller's duty, and not NULL.
        unsafe { status.write(found) };
    }
    true
}

/// A trap's backtrace for people, innermost frame first, each on a line of its own that ends with a newline. It lives as
/// long as the error. Empty if there is none, and for NULL.
///
/// # Safety
/// `error` is NULL or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_backtrace(error: *const wb_error) -> *const c_char {
    // SAFETY: the caller's duty.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |e| e.backtrace.as_ptr())
}

/// How many frames a trap's backtrace has; 0 if there is none, and for NULL.
///
/// # Safety
/// `error` is NULL or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_frame_count(error: *const wb_error) -> usize {
    // SAFETY: the caller's duty.
    unsafe { error.as_ref() }.map_or(0, |e| e.frames.len())
}

/// Writes a frame of a trap's backtrace to `frame`.
///
/// `index` counts from 0, the innermost frame; `wb_error_frame_count` says how many there are. The frame's texts live as long as
/// `error`.
///
/// # Safety
/// `error` is NULL or an error; `frame` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_frame(error: *const wb_error, index: usize, frame: *mut wb_frame) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let error = unsafe { object(error, "error") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(frame, "frame") }?;
        let found = error.frames.get(index).ok_or_else(|| {
            invalid(format!("the backtrace has {} frames, there is no number {index}", error.frames.len()))
        })?;
        out.set(wb_frame {
            kind: found.kind,
            function: found.function,
            wasm_offset: found.wasm_offset,
            name: found.name.as_ptr(),
            module: found.module.as_ref().map_or(ptr::null(), |m| m.as_ptr()),
        });
        Ok(())
    })
}

/// Ends an error. NULL does nothing.
///
/// # Safety
/// `error` is NULL or an error that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_delete(error: *mut wb_error) {
    // SAFETY: the caller's duty.
    unsafe { delete(error) }
}

/// wasmbridge's version, such as "0.1.0". It lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn wb_version() -> *const c_char {
    guard_or(c"".as_ptr(), || concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast())
}
