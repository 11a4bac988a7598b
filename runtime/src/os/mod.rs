//! All calls to the operating system's memory and thread functions.
//!
//! Preconditions are types: a [`Mapping`] is a range that this process mapped and that nobody else unmaps; lengths and offsets
//! given to it are multiples of the host page, which is checked once, here.

mod cpu;
pub(crate) mod guarded;
mod library;
mod lock;
mod mapping;
pub(crate) mod native;
mod stack;
mod thread;

pub(crate) use cpu::has_feature;
pub(crate) use library::stay_loaded;
pub(crate) use lock::{Condition, Guard, Lock};
pub(crate) use mapping::{Access, Mapping, code_file, file_bytes, memfd, shared_file};
pub(crate) use stack::{StackBounds, bounds_around, stack_word, thread_stack};
pub(crate) use thread::{ThreadMark, in_child_of_fork, thread_id};
