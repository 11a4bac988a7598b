//! Where the platform's C ABI passes each value of a signature.
//!
//! Kept apart from the model, which is the same on every processor: AAPCS64 will stand beside System V.

pub mod sysv;
