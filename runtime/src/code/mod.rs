//! Executable code: where it is, and what is known of each pc in it.

pub(crate) mod arena;
pub(crate) mod callbacks;
pub(crate) mod registry;
mod unwind;

pub(crate) use callbacks::CallbackPages;
pub(crate) use registry::{Located, Place};
pub(crate) use unwind::UnwindTable;
