//! What can go wrong, as the host sees it.

use crate::exception::Exception;
use std::fmt;
use wasmbridge_artifact::{ArtifactError, TrapCode};

/// A failure of the runtime. Small: one pointer.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    trap: Option<Trap>,
}

/// What sort of failure it was. The numbers are those of the C API's `wb_error_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is not what the function takes: NULL, out of range, of another type.
    InvalidArgument = 1,
    /// The bytes are no artifact, a damaged one, or one for another version or machine.
    Artifact = 2,
    /// A prototype could not be parsed, or is not supported.
    Prototype = 3,
    /// An import is not defined, or is defined with another type; or an export does not have the type that is asked for.
    Link = 4,
    /// There is no export, table entry or callback of this name, index or address.
    NotFound = 5,
    /// The guest was stopped: [`Error::trap`] says how.
    Trap = 6,
    /// A limit of the host or of the runtime: memory, address space, table entries, handles.
    Limit = 7,
    /// The operating system refused.
    Os = 8,
    /// The instance belongs to another thread, is running, or has an error that nobody has taken.
    Busy = 9,
    /// The WebAssembly module is malformed, invalid, or uses what the compiler does not translate.
    Compile = 10,
}

/// How a guest was stopped.
#[derive(Debug, Clone)]
pub struct Trap {
    /// the trap
    pub code: TrapCode,
    /// more about it: the address, the argument, the value
    pub detail: Option<String>,
    /// where, innermost frame first
    pub frames: Vec<Frame>,
    /// the status that the app ended with, if it ended itself: [`TrapCode::Exited`]
    pub exit_status: Option<i32>,
    /// the exception that nobody caught, if that is why
    pub exception: Option<Box<Exception>>,
}

/// A frame of a backtrace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// a wasm function
    Wasm {
        /// the module's name, if it has one
        module: Option<String>,
        /// the function's index in the module
        function: u32,
        /// its name, if it has one
        name: Option<String>,
        /// offset in the wasm file of the instruction, if it is known
        offset: Option<u32>,
    },
    /// the C function that the app called here
    Native {
        /// its name, as in the prototype
        name: String,
    },
    /// the callback through which C entered the guest
    Callback {
        /// its name, as in the prototype
        name: String,
    },
}

impl Trap {
    /// A trap with neither a status nor an exception.
    pub(crate) fn new(code: TrapCode, detail: Option<String>, frames: Vec<Frame>) -> Trap {
        Trap { code, detail, frames, exit_status: None, exception: None }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner { kind, message: message.into(), trap: None }))
    }

    pub(crate) fn from_trap(trap: Trap) -> Error {
        let message = trap.to_string();
        Error(Box::new(Inner { kind: ErrorKind::Trap, message, trap: Some(trap) }))
    }

    pub(crate) fn os(what: impl fmt::Display, error: std::io::Error) -> Error {
        let kind = if error.raw_os_error() == Some(libc::ENOMEM) { ErrorKind::Limit } else { ErrorKind::Os };
        Error::new(kind, format!("{what}: {error}"))
    }

    /// What sort of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was found, what was expected, what to do. Without the backtrace.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The trap, if the guest was stopped by one.
    pub fn trap(&self) -> Option<&Trap> {
        self.0.trap.as_ref()
    }

    /// The exception, if the guest was stopped by one that it did not catch.
    pub fn exception(&self) -> Option<&Exception> {
        self.trap()?.exception.as_deref()
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trap: {}", self.code)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Wasm { module, function, name, offset } => {
                match name {
                    Some(name) => write!(f, "{name}")?,
                    None => write!(f, "wasm-function[{function}]")?,
                }
                if let Some(module) = module {
                    write!(f, " in {module}")?;
                }
                offset.map_or(Ok(()), |offset| write!(f, " at wasm offset {offset:#x}"))
            }
            Frame::Native { name } => write!(f, "{name} (native)"),
            Frame::Callback { name } => write!(f, "{name} (callback, entered from native code)"),
        }
    }
}

impl fmt::Display for Error {
    /// The message, and for a trap the backtrace, a frame a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (i, frame) in self.trap().map_or(&[][..], |t| &t.frames).iter().enumerate() {
            write!(f, "\n  {i}: {frame}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind())
    }
}

impl std::error::Error for Error {}

impl From<ArtifactError> for Error {
    fn from(error: ArtifactError) -> Error {
        Error::new(ErrorKind::Artifact, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn a_trap_shows_its_backtrace() {
        let frame = Frame::Wasm { module: None, function: 3, name: Some("compare".into()), offset: Some(0x1f) };
        let frames = vec![frame, Frame::Callback { name: "compare".into() }];
        let error = Error::from_trap(Trap::new(TrapCode::Unreachable, None, frames));
        assert_eq!(
            error.to_string(),
            "trap: unreachable\n  0: compare at wasm offset 0x1f\n  1: compare (callback, entered from native code)"
        );
    }
}
