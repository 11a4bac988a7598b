//! Signatures that an instance has had callbacks of: what making one more needs is looked up once, without the engine's locks.

use super::InstanceData;
use crate::addresses::AddressMap;
use crate::code::CallbackPages;
use crate::crossing::handles::TypeId;
use crate::error::{Error, ErrorKind};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use wasmbridge_trampolines::{Signature, TypeNames};

/// The most prototypes that are remembered by their text: a host that makes up ever new ones is not to fill the memory with them.
const MAX_TEXTS: usize = 1024;

/// A signature, and what the engine has for it.
#[derive(Debug)]
pub(super) struct Known {
    /// the interned one
    pub(super) signature: Arc<Signature>,
    /// of its wasm type
    pub(super) type_id: u32,
    /// why no function of the app's can be called by it, if so
    refused: Option<String>,
    /// of parameters that are handles
    pub(super) handle_types: Option<Arc<[TypeId]>>,
    /// the callbacks' pages; of those that open scopes, the second
    pages: [OnceLock<Arc<Mutex<CallbackPages>>>; 2],
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    /// By the address at which the signature was last seen. What is found is compared: something else may be there now.
    by_place: RefCell<AddressMap<usize, Arc<Known>>>,
    /// By the address of the interned signature.
    interned: RefCell<AddressMap<usize, Arc<Known>>>,
    /// By the text of a prototype, which may have a name.
    by_text: RefCell<HashMap<String, Arc<Signature>>>,
}

impl Known {
    /// Refuses a signature by which no function of the app's can be called.
    pub(super) fn check_callback(&self) -> Result<(), Error> {
        match &self.refused {
            Some(why) => Err(Error::new(ErrorKind::Prototype, format!("`{}`: {why}", self.signature))),
            None => Ok(()),
        }
    }
}

impl InstanceData {
    /// What is known of a signature.
    pub(super) fn known(&self, signature: &Signature) -> Arc<Known> {
        let signatures = &self.functions.signatures;
        let place = std::ptr::from_ref(signature) as usize;
        if let Some(known) = signatures.by_place.borrow().get(&place)
            && *known.signature == *signature
        {
            return known.clone();
        }
        let known = self.known_interned(self.engine().intern(signature));
        let mut by_place = signatures.by_place.borrow_mut();
        if by_place.len() >= MAX_TEXTS {
            by_place.clear();
        }
        by_place.insert(place, known.clone());
        known
    }

    fn known_interned(&self, signature: Arc<Signature>) -> Arc<Known> {
        let mut interned = self.functions.signatures.interned.borrow_mut();
        let known = interned.entry(Arc::as_ptr(&signature) as usize).or_insert_with(|| {
            let type_id = self.engine().types().func_id(&signature.wasm_type());
            let handle_types = self.scopes.handles().param_types(&signature);
            let refused = signature.check_callback().err();
            Arc::new(Known { signature, type_id, refused, handle_types, pages: Default::default() })
        });
        known.clone()
    }

    /// The pages for callbacks of a signature; of those that open a scope, if `scoped`.
    pub(super) fn callback_pages(&self, known: &Known, scoped: bool) -> Result<Arc<Mutex<CallbackPages>>, Error> {
        let cell = &known.pages[usize::from(scoped)];
        if let Some(pages) = cell.get() {
            return Ok(pages.clone());
        }
        let pages = self.engine().callback_pages(&known.signature, scoped)?;
        Ok(cell.get_or_init(|| pages).clone())
    }

    /// Parses a prototype, with the instance's type names.
    pub(super) fn prototype(&self, text: &str, names: &TypeNames) -> Result<Arc<Signature>, Error> {
        let mut by_text = self.functions.signatures.by_text.borrow_mut();
        if let Some(parsed) = by_text.get(text) {
            return Ok(parsed.clone());
        }
        let parsed = Signature::parse_with(text, names);
        let parsed = Arc::new(parsed.map_err(|e| Error::new(ErrorKind::Prototype, e.to_string()))?);
        if by_text.len() >= MAX_TEXTS {
            by_text.clear();
        }
        by_text.insert(text.to_owned(), parsed.clone());
        Ok(parsed)
    }
}
