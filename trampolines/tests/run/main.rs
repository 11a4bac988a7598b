//! Shapes that run: callbacks called from Rust as C functions, and thunks called like wasm functions, in a world of fake instances.
//!
//! What is not run here: traps. They take the runtime's signal handler.

#![allow(unreachable_pub, reason = "a test has no other crate that could reach it")]

mod callbacks;
mod thunks;
mod world;
