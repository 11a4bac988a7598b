//! Modules from numbers.

use crate::engines::IMPORTS;
use arbitrary::Unstructured;
use std::sync::OnceLock;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_smith::{Config, Module};
use wasmparser::{Export, ExternalKind, Parser, TableType};

/// How often a loop or function may begin before a module that is run traps.
const FUEL: u32 = 20_000;
/// The same where every object that is made may lead to a collection.
const FUEL_COLLECTED: u32 = 500;

/// Bytes for the generators; the numbers of cases of different kinds make different ones.
pub fn bytes(number: u64, kind: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number.wrapping_mul(4).wrapping_add(kind));
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

/// A module that ends, and whose results say all of what it did: for wasmbridge and wasmi to run.
pub fn runnable(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let config = Config {
        custom_page_sizes_enabled: random.u8(..) < 40,
        // What wasmi has not.
        exceptions_enabled: false,
        gc_enabled: false,
        ..config(&mut random)
    };
    if random.u8(..) < 50 {
        // No instruction changes a table, and most functions in one are of the same few types.
        let plain = Config { reference_types_enabled: false, bulk_memory_enabled: false, max_types: 2, ..config };
        return with_private_tables(&ending(plain, number, 0, FUEL));
    }
    let private = random.bool();
    let module = ending(config, number, 0, FUEL);
    if private { with_private_tables(&module) } else { module }
}

/// A module that ends, with all that wasmbridge can run and wasmi cannot, too: for wasmbridge to run twice.
pub fn advanced(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number ^ 0xadd);
    let config = Config {
        limit_arrays_in_const_exprs: true,
        // The same on every processor, as it is compiled.
        relaxed_simd_enabled: true,
        ..config(&mut random)
    };
    ending(config, number, 2, FUEL_COLLECTED)
}

/// What may be in modules that are run.
fn config(random: &mut fastrand::Rng) -> Config {
    static AVAILABLE: OnceLock<Vec<u8>> = OnceLock::new();
    let large = random.u8(..) < 50;
    Config {
        available_imports: random.bool().then(|| AVAILABLE.get_or_init(imports).clone()),
        max_imports: 8,
        export_everything: true,
        min_funcs: 1,
        max_funcs: if large { 40 } else { 12 },
        max_instructions: if large { 2000 } else { 300 },
        max_memories: if random.u8(..) < 60 { 3 } else { 1 },
        min_memories: u32::from(random.u8(..) < 200),
        max_memory32_bytes: 3 << 20,
        max_memory64_bytes: 3 << 20,
        memory_max_size_required: true,
        max_tables: 3,
        max_table_elements: 1000,
        table_max_size_required: true,
        disallow_traps: random.u8(..) < 60,
        canonicalize_nans: true,
        simd_enabled: random.u8(..) < 200,
        // Shared memories need threads, and waiting takes time.
        threads_enabled: false,
        // Its results may differ from processor to processor.
        relaxed_simd_enabled: false,
        compact_imports_enabled: false,
        ..Config::default()
    }
}

fn ending(config: Config, number: u64, kind: u64, fuel: u32) -> Vec<u8> {
    let len = 20 * config.max_instructions;
    let mut module = make(config, number, kind, len);
    module.ensure_termination(fuel).expect("its functions are valid");
    module.to_bytes()
}

/// A module that describes the imports.
fn imports() -> Vec<u8> {
    let names = |letters: &str| -> String {
        let of = |letter| match letter {
            'I' => "i32 ",
            'L' => "i64 ",
            'F' => "f32 ",
            _ => "f64 ",
        };
        letters.chars().map(of).collect()
    };
    let import = |&(name, params, results): &(&str, &str, &str)| {
        format!("(import \"host\" \"{name}\" (func (param {}) (result {})))", names(params), names(results))
    };
    let imports: String = IMPORTS.iter().map(import).collect();
    wat::parse_str(format!("(module {imports})")).expect("it is written so")
}

/// A module with anything that there is in WebAssembly: for the compiler.
pub fn anything(number: u64) -> Vec<u8> {
    let config = Config {
        max_memories: 4,
        max_tables: 4,
        max_instructions: 200,
        allow_invalid_funcs: number.is_multiple_of(4),
        custom_page_sizes_enabled: true,
        generate_custom_sections: true,
        compact_imports_enabled: number.is_multiple_of(8),
        ..Config::default()
    };
    make(config, number, 1, 5_000).to_bytes()
}

/// The same module, but that its tables cannot grow and nobody sees them from outside: the compiler knows more of such tables.
fn with_private_tables(module: &[u8]) -> Vec<u8> {
    struct Private;
    impl Reencode for Private {
        type Error = std::convert::Infallible;

        fn table_type(&mut self, ty: TableType) -> Result<wasm_encoder::TableType, Error<Self::Error>> {
            utils::table_type(self, TableType { maximum: Some(ty.initial), ..ty })
        }

        fn parse_export(
            &mut self,
            exports: &mut wasm_encoder::ExportSection,
            export: Export<'_>,
        ) -> Result<(), Error<Self::Error>> {
            match export.kind {
                ExternalKind::Table => Ok(()),
                _ => utils::parse_export(self, exports, export),
            }
        }
    }
    let mut private = wasm_encoder::Module::new();
    Private.parse_core_module(&mut private, Parser::new(0), module).expect("it is valid");
    private.finish()
}

fn make(config: Config, number: u64, kind: u64, len: usize) -> Module {
    // There are bytes of which wasm-smith makes nothing.
    let attempt = |attempt: u64| {
        let bytes = bytes(number.wrapping_add(attempt << 48), kind, len);
        Module::new(config.clone(), &mut Unstructured::new(&bytes)).ok()
    };
    (0..100).find_map(attempt).expect("of nearly all bytes")
}
