//! Names: from the name section, or else from exports and imports.

use std::collections::HashMap;
use wasmbridge_artifact::module::{ExternIndex, ImportKind, Module};
use wasmparser::{CustomSectionReader, KnownCustom, Name};

/// What LLVM calls the guest's stack pointer.
pub(super) const STACK_POINTER: &str = "__stack_pointer";

/// What the name section says.
#[derive(Default)]
pub(super) struct Names {
    /// the module's name
    pub(super) module: Option<String>,
    /// the global that is called [`STACK_POINTER`]
    pub(super) stack_pointer: Option<u32>,
    functions: HashMap<u32, String>,
}

impl Names {
    /// Takes what a custom section says. Its content is not part of the module's validity (Wasm 3.0, 7.7): what cannot be
    /// read is passed over.
    pub(super) fn section(&mut self, section: &CustomSectionReader<'_>) {
        let KnownCustom::Name(names) = section.as_known() else { return };
        for name in names.map_while(Result::ok) {
            match name {
                Name::Module { name, .. } => self.module = Some(name.to_owned()),
                Name::Function(map) => {
                    let functions = map.into_iter().map_while(Result::ok).map(|n| (n.index, n.name.to_owned()));
                    self.functions.extend(functions);
                }
                Name::Global(map) => {
                    let named = map.into_iter().map_while(Result::ok).find(|n| n.name == STACK_POINTER);
                    self.stack_pointer = named.map(|n| n.index);
                }
                _ => {}
            }
        }
    }

    /// A name for each function of the module; empty where there is none.
    pub(super) fn functions(mut self, module: &Module) -> Vec<String> {
        let mut names = vec![String::new(); module.functions.len()];
        let imported = module.imports.iter().filter(|i| matches!(i.kind, ImportKind::Func(_)));
        for (name, import) in names.iter_mut().zip(imported) {
            *name = format!("{}.{}", import.module, import.name);
        }
        // Of several exports the first counts.
        for export in module.exports.iter().rev() {
            if let ExternIndex::Func(function) = export.item {
                names[function as usize].clone_from(&export.name);
            }
        }
        for (function, name) in self.functions.drain() {
            if let Some(slot) = names.get_mut(function as usize).filter(|_| !name.is_empty()) {
                *slot = name;
            }
        }
        names
    }
}
