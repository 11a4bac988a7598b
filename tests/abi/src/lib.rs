//! Random prototypes, between C that gcc compiles for the host and C that clang compiles for wasm.
//!
//! For each prototype there are four pieces of C, two for either side: a function that checks every argument and returns a value, and a caller of the
//! other side's function, which passes the arguments and checks the result. Both know the values by a number that is mixed from the prototype
//! and the argument, so that a wrong byte is found on the side where it arrives.
//!
//! | module | does |
//! |---|---|
//! | [`random`] | random types and prototypes, the same for the same seed |
//! | [`source`] | their text as C, and as prototypes |
//! | [`run`] | compiles both sides, and has them call each other |

pub mod random;
pub mod run;
pub mod source;
