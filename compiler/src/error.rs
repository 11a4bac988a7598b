//! Why a module cannot be compiled.

use wasmparser::WasmFeatures;

/// Why a module cannot be compiled. Offsets are in bytes from the start of the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The module is not valid WebAssembly.
    #[error("invalid module at offset {offset:#x}: {message}")]
    Invalid {
        /// what is wrong, in the validator's words
        message: String,
        /// where
        offset: u64,
    },
    /// The module uses something that is not supported.
    #[error("not supported: {what}, at offset {offset:#x}")]
    Unsupported {
        /// the proposal or instruction
        what: String,
        /// where it is used
        offset: u64,
    },
    /// The module is larger than the compiler allows.
    #[error("the module has {found} {what}, at most {limit} are possible")]
    Limit {
        /// what is counted
        what: &'static str,
        /// how many there are
        found: u64,
        /// how many may be
        limit: u64,
    },
    /// The code generator gave up on a function.
    #[error("function {function} (`{name}`) cannot be compiled: {message}")]
    Codegen {
        /// the function's index
        function: u32,
        /// its name
        name: String,
        /// the code generator's words
        message: String,
    },
    /// The configuration makes no sense, or not for this module.
    #[error("{0}")]
    Config(String),
    /// The artifact cannot be written.
    #[error("the artifact cannot be written: {0}")]
    Write(String),
}

impl From<wasmparser::Error> for CompileError {
    /// An error of the validator: if it is only for a proposal that is not enabled, the proposal is what is told.
    fn from(error: wasmparser::Error) -> CompileError {
        let offset = error.offset();
        // Flags of this early proposal are, to everyone else, a wrong alignment.
        let early = WasmFeatures::MULTIBYTE_ARRAY_ACCESS;
        match error.missing_wasm_feature() {
            Some(features) if features != early => CompileError::Unsupported { what: proposals(features), offset },
            _ => CompileError::Invalid { message: error.message().to_owned(), offset },
        }
    }
}

/// The proposals' names, as people write them.
fn proposals(features: WasmFeatures) -> String {
    let names: Vec<_> = features.iter_names().map(|(name, _)| name.to_lowercase().replace('_', "-")).collect();
    format!("the {} proposal", names.join(" and "))
}

impl CompileError {
    /// Names the instruction that needs the missing proposal.
    pub(crate) fn in_instruction(self, name: &str) -> CompileError {
        match self {
            CompileError::Unsupported { what, offset } => {
                CompileError::Unsupported { what: format!("the instruction `{name}` ({what})"), offset }
            }
            other => other,
        }
    }
}
