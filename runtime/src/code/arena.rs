//! Code of thunks: one piece for each signature, mapped once.

use super::UnwindTable;
use super::registry::{Range, Registration, ThunkCode, register};
use crate::error::Error;
use crate::os::{Access, Mapping, code_file};
use wasmbridge_artifact::vmctx::HOST_PAGE;
use wasmbridge_trampolines::Shape;

/// The code of one thunk shape, executable.
#[derive(Debug)]
pub(crate) struct ThunkPages {
    // Dropped first: the signal handler must not find what the fields after it own.
    _registration: Registration,
    _unwind: UnwindTable,
    _code: Box<ThunkCode>,
    mapping: Mapping,
}

// SAFETY: code and tables that are never written again; the registry is made for every thread.
unsafe impl Send for ThunkPages {}
// SAFETY: see above.
unsafe impl Sync for ThunkPages {}

impl ThunkPages {
    /// Maps the shape's code.
    pub(crate) fn new(shape: &Shape) -> Result<ThunkPages, Error> {
        assert!(shape.record_relocs.is_empty(), "a thunk gets its record as a parameter");
        let mapping = map_code(&shape.code).map_err(|e| Error::os("cannot map a thunk's code", e))?;
        let text = mapping.start() as usize;
        let code = Box::new(ThunkCode { text, frame: shape.frame, traps: shape.traps.clone() });
        // SAFETY: `code` is boxed and dropped after the registration.
        let registration = unsafe { register(text, text + shape.code.len(), Range::Thunk(&*code)) };
        let unwind = UnwindTable::new(shape.eh_frame(text as u64));
        Ok(ThunkPages { _registration: registration, _unwind: unwind, _code: code, mapping })
    }

    /// The thunk's address: in the `Tail` convention, for compiled code only.
    pub(crate) fn entry(&self) -> *const u8 {
        self.mapping.start()
    }
}

/// Maps code at a new address.
fn map_code(code: &[u8]) -> std::io::Result<Mapping> {
    let file = code_file(code)?;
    let len = code.len().next_multiple_of(HOST_PAGE as usize);
    let mapping = Mapping::reserve(len, HOST_PAGE as usize, 0)?;
    mapping.map_file(0, len, &file, 0, Access::ReadExecute)?;
    Ok(mapping)
}
