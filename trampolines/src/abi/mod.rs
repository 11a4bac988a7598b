//! Where the platform's C ABI passes each value of a signature.
//!
//! Kept apart from the model, which is the same on every processor. Shapes are made by [`sysv`]; [`aapcs64`] waits for shapes of its own.

pub mod aapcs64;
pub mod sysv;
