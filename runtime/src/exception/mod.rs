//! Exceptions.
//!
//! | file | does |
//! |---|---|
//! | `tag.rs` | tags, and exceptions as the host sees them |
//! | `throw.rs` | from a `throw` to its handler |
//! | `returned.rs` | C functions that throw |
//!
//! An exception never passes frames of C. One that reaches a callback or the host's own call without having been caught is a trap there, which
//! has it with it: the `throw` executes an explicit trap when it has found no handler, with all frames still in place.

pub(crate) mod returned;
mod tag;
pub(crate) mod throw;

pub use tag::{Exception, Tag};
pub(crate) use tag::{TagData, set_tag};
