//! Executable code: where it is, and what is known of each pc in it.

pub(crate) mod arena;
pub(crate) mod registry;
pub(crate) mod stamped;
mod unwind;

pub(crate) use registry::{Located, Place};
pub(crate) use stamped::{CallbackPages, DirectPages};
pub(crate) use unwind::UnwindTable;
