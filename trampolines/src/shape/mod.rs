//! Shapes: the code that crosses, one for each signature and direction.
//!
//! A shape is position-independent bytes. It refers to nothing outside of itself but, in a callback, to its own record: the
//! runtime replicates the bytes over a page of code and fills in each copy's distance to its record ([`RecordReloc`]). A thunk gets
//! its record as its first parameter, so that one copy serves all functions of a signature. Call instructions go to thunks by way of
//! [direct](ShapeKind::Direct) shapes, which have records like callbacks and do the work of most thunks themselves.
//!
//! # What is inline and what is a builtin
//!
//! | value | into wasm | into C |
//! |---|---|---|
//! | number | normalised, `long` range-checked | normalised, `long` widened |
//! | pointer | in the memory's 4 GiB: its low half; else [`CallbackPointer`] or [`ThunkResult`] | inside the memory: the address; else [`ThunkPointer`] or [`CallbackResult`] |
//! | `[user]` | its low half | zero-extended |
//! | function pointer | slots | a thunk's parameter: [`ThunkFunction`], and [`ThunkFunctionsEnd`] if it ends with the call; a callback's result: slots |
//! | `[handle]` | slots | a thunk's parameter: [`ThunkPointer`]; a callback's result: slots |
//! | `[window]` | in a fast entry: where its region is open, its low half; else slots | |
//! | all others | slots | slots |
//!
//! Where one value needs slots, all go through them ([`Signature::needs_slots`]): an array of 8-byte cells in the shape's frame, one for each
//! parameter, at least one. Numbers lie there extended to 64 bits by their C type (floats by their bits), range-checked and
//! normalised; builtins may read them, as counts, and need not touch them. Neither need they touch a `[user]` value. Everything else lies
//! there as it came (from wasm, zero-extended), and must be replaced by what the other side gets.
//!
//! # Structs by value
//!
//! The cell of a struct argument holds the address of *cells of its own* in the frame: for a callback its native bytes, to be replaced by the wasm
//! value; for a thunk one with the wasm value, and behind it room for the native bytes. In place of a result that is a struct, slot 0 holds the address
//! of these:
//!
//! | cell | callback | thunk |
//! |---|---|---|
//! | 0 | where the native bytes go: the C caller's room, or cells 2 and 3 | where the native bytes are: cells 2 and on |
//! | 1 | the wasm value, or the guest address of room for it | the guest address of room for it; or the wasm value goes here |
//!
//! Where a callback's entry check fails, `callback_admit` is given the cells as they are then: arguments as C has passed them, with anything in the bytes of a cell
//! beyond a number's own. It may carry out the call in another way, and leave the result where `callback_leave` would.
//!
//! For a callback, that room is asked for after `callback_enter`, by [`CallbackResult`] with the address of these cells, while cell 1 is 0.
//!
//! # Variable arguments
//!
//! The cell of `...` holds for a callback the address of a `va_list` of C's (psABI, 3.5.7), made of the registers and the stack as they came; the builtin
//! replaces it by the guest address of packed slots. For a thunk it holds that guest address, and the builtin replaces it by the address of a
//! [`VariadicCall`], by which [`CallVariadic`] then makes the call. A `va_list` parameter is the same, but the call is an ordinary one.
//!
//! [`VariadicCall`]: wasmbridge_artifact::vmctx::VariadicCall
//! [`CallVariadic`]: wasmbridge_artifact::Builtin::CallVariadic
//! [`CallbackPointer`]: wasmbridge_artifact::Builtin::CallbackPointer
//! [`CallbackResult`]: wasmbridge_artifact::Builtin::CallbackResult
//! [`ThunkPointer`]: wasmbridge_artifact::Builtin::ThunkPointer
//! [`ThunkResult`]: wasmbridge_artifact::Builtin::ThunkResult
//! [`ThunkFunction`]: wasmbridge_artifact::Builtin::ThunkFunction
//! [`ThunkFunctionsEnd`]: wasmbridge_artifact::Builtin::ThunkFunctionsEnd
//! [`Signature::needs_slots`]: crate::signature::Signature::needs_slots

mod arch;
mod callback;
mod compiler;
mod emit;
mod host;
mod native;
mod scalar;
mod structs;
mod thunk;
mod unwind;
mod variadic;

pub use compiler::{DirectShape, ShapeCompiler};

/// The cells of a callback's result that is a struct: see "Structs by value".
pub mod result_cells {
    pub use super::structs::{BYTES, NATIVE};
}

use unwind::Unwind;
use wasmbridge_artifact::TrapCode;
use wasmbridge_artifact::frames::FrameLayout;

/// Which way a shape crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShapeKind {
    /// From C into wasm: a function in the C convention with the signature's parameters.
    Callback,
    /// From wasm into C: a function in the `Tail` convention, `(thunk record, wasm parameters...) -> wasm result`.
    Thunk,
    /// From a call instruction into C: a function in the C convention, `(wasm parameters...) -> wasm result`. See
    /// [`FunctionImport::direct`](wasmbridge_artifact::vmctx::FunctionImport::direct).
    Direct,
}

/// Code for one signature, without instance or callee.
#[derive(Debug, Clone)]
pub struct Shape {
    /// which way it crosses
    pub kind: ShapeKind,
    /// the code; its entry is its first byte
    pub code: Vec<u8>,
    /// Where in the code the part begins that is complete by itself: behind the fast entry of a callback, which jumps there where
    /// anything is out of the ordinary. 0 if there is none.
    pub complete: u32,
    /// Where in a direct shape the code begins that is called where a crossing frame stands for the call
    /// ([`FunctionImport::covered`](wasmbridge_artifact::vmctx::FunctionImport::covered)); `None` if that is the C function itself. 0 in other shapes.
    pub covered: Option<u32>,
    /// where the code refers to its record; empty in a thunk
    pub record_relocs: Vec<RecordReloc>,
    /// What it saves of its caller's registers, for the signal handler: in a fast entry nothing, and in few callbacks behind it.
    pub frame: FrameLayout,
    /// The instructions that can trap, by offset, ascending; empty in a callback.
    pub traps: Vec<(u32, TrapCode)>,
    /// what a person reads, if the compiler was asked for it
    pub listing: Option<Listing>,
    unwind: Unwind,
}

/// A shape to read.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Cranelift's intermediate code, before it is optimised
    pub clif: String,
    /// the fast entry, if it has one
    pub fast: String,
    /// the rest of the machine code, with Cranelift's labels
    pub assembly: String,
}

/// A place in a callback's code that holds the distance to the copy's record, as four bytes, little-endian.
///
/// The value to write is `record address - (address of the copy's first byte + offset) + addend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordReloc {
    /// of the four bytes, from the code's first byte
    pub offset: u32,
    /// see above
    pub addend: i64,
}

/// Why a shape could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The processor is not one that shapes can be made for.
    #[error("no trampolines for this processor: {0}")]
    Host(String),
    /// Cranelift refused the code, or made something of it that a shape cannot be: a bug in this crate.
    #[error("the code for `{signature}` does not compile: {cause}")]
    Compile {
        /// the signature
        signature: String,
        /// what went wrong
        cause: String,
    },
}

impl Shape {
    /// The `.eh_frame` section, with its terminator, for the code at an address: to be handed to `__register_frame`, so that debuggers and
    /// exceptions find their way through.
    pub fn eh_frame(&self, code: u64) -> Vec<u8> {
        self.unwind.eh_frame(code)
    }

    /// The same for copies of the code, the first of them at an address and each `stride` bytes after the one before. It is as small as for
    /// one copy.
    pub fn eh_frame_of_copies(&self, code: u64, stride: u32, copies: u32) -> Vec<u8> {
        self.unwind.eh_frame_of_copies(code, stride, copies)
    }
}
