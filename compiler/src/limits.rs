//! Limits beyond those of the validator (which has the limits that engines have agreed on, such as 50,000 locals).
//!
//! They keep the memory that compiling takes proportional to the module: some short instructions stand for much, such as a
//! branch that carries a thousand values.

use crate::CompileError;

/// Bytes of a module: source locations are 32 bits.
pub(crate) const MODULE_BYTES: u64 = u32::MAX as u64;
/// Bytes of code: jumps reach 2 GiB, and the artifact's code offsets are 32 bits.
pub(crate) const CODE_BYTES: u64 = 1 << 30;
/// SSA values of one function. The register allocator has as many virtual registers, so that a function with more
/// values fails anyway, but only after it has taken gigabytes.
pub(crate) const FUNCTION_VALUES: usize = 1 << 21;
/// Blocks of one function inside of each other. An optimiser's time grows with the square of them, and each takes two kilobytes; what compilers make of the largest
/// `switch` that programs have is a tenth of it.
pub(crate) const NESTED_BLOCKS: usize = 1 << 16;
/// Values that the branches of one function carry together.
pub(crate) const BRANCH_VALUES: usize = 1 << 23;
/// Bytes of function bodies that are compiled at once; a larger one is compiled alone. A byte can take half a kilobyte while it is optimised.
pub(crate) const BODIES_AT_ONCE: u64 = 4 << 20;
/// Bytes of a memory image for each byte of data in it, if the image is larger than [`SMALL_IMAGE`].
pub(crate) const IMAGE_SPREAD: u64 = 4;
/// An image of up to this many bytes may be as sparse as it likes.
pub(crate) const SMALL_IMAGE: u64 = 16 << 20;

/// Refuses more than `limit` of something.
pub(crate) fn check(what: &'static str, found: u64, limit: u64) -> Result<(), CompileError> {
    if found > limit { Err(CompileError::Limit { what, found, limit }) } else { Ok(()) }
}
