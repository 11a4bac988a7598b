//! What several tests need.
#![allow(dead_code, reason = "each test uses its part")]

use wasmbridge_artifact::Artifact;
use wasmbridge_compiler::{CompileError, Config, compile};

/// ELF's number for x86-64.
pub(crate) const EM_X86_64: u16 = 62;

/// Compiles a module in the text format.
pub(crate) fn compile_wat(wat: &str, config: &Config) -> Result<Vec<u8>, CompileError> {
    compile(&wat::parse_str(wat).unwrap(), config)
}

/// An artifact's bytes and what they say.
pub(crate) fn artifact(wat: &str) -> (Vec<u8>, Artifact) {
    let file = compile_wat(wat, &Config { verify: true, ..Config::default() }).unwrap();
    let artifact = Artifact::parse(&file, EM_X86_64).unwrap();
    (file, artifact)
}
