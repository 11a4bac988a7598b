//! What depends on the processor: the fast entries of callbacks, the code that imports are called through, and how frames are laid out.
//!
//! Where values are passed is another matter: see [`abi`](crate::abi).

#[cfg(target_arch = "x86_64")]
mod x64;
#[cfg(target_arch = "x86_64")]
pub(super) use x64::{Assembled, Direct, adaptor, direct, fast_entry, frame_layout, is_record_reloc, unwind_rules};

#[cfg(not(target_arch = "x86_64"))]
compile_error!("shapes are made for x86-64 only, so far");
