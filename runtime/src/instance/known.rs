//! Signatures that an instance has had callbacks of: what making one more needs is looked up once, without the engine's locks.
//!
//! Prototypes that differ in names only have one signature and share everything, but messages say each one's own names.

use super::InstanceData;
use crate::addresses::AddressMap;
use crate::callback::Shared;
use crate::error::{Error, ErrorKind};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use wasmbridge_artifact::vmctx::VmFuncRef;
use wasmbridge_trampolines::{Signature, TypeNames};

/// The most prototypes that are remembered by their text: a host that makes up ever new ones is not to fill the memory with them.
const MAX_TEXTS: usize = 1024;

/// How many prototypes are looked for by where their texts are.
const LAST: usize = 8;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    /// By the address at which a signature was last seen. What is found is compared: something else may be there now.
    by_place: RefCell<AddressMap<usize, Arc<Known>>>,
    /// By the address of the interned signature.
    interned: RefCell<AddressMap<usize, Arc<Shared>>>,
    /// By the text of a prototype.
    by_text: RefCell<AddressMap<Rc<str>, Rc<Prototype>>>,
    /// Of those that were asked for last, by where their texts were: a C host's are literals. What is found is compared.
    last: RefCell<[Option<Rc<Prototype>>; LAST]>,
}

/// What is known of a signature. Callbacks have it, also when their instance is gone.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) shared: Arc<Shared>,
    /// the same signature with the names that its prototype has, which messages say
    pub(crate) named: Arc<Signature>,
}

/// A prototype that the host has asked for callbacks of.
#[derive(Debug)]
pub(super) struct Prototype {
    text: Rc<str>,
    pub(super) known: Arc<Known>,
    /// the export of this name, once it has been looked up
    pub(super) export: Cell<Option<*const VmFuncRef>>,
}

impl InstanceData {
    /// What is known of a signature: a host's, or that of a function which another one takes or gives.
    pub(super) fn known(&self, signature: &Signature) -> Arc<Known> {
        let signatures = &self.functions.signatures;
        let place = std::ptr::from_ref(signature) as usize;
        if let Some(known) = signatures.by_place.borrow().get(&place)
            && *known.named == *signature
            && known.named.has_names_of(signature)
        {
            return known.clone();
        }
        let known = Arc::new(Known {
            shared: self.known_interned(self.engine().intern(signature)),
            named: Arc::new(signature.clone()),
        });
        let mut by_place = signatures.by_place.borrow_mut();
        if by_place.len() >= MAX_TEXTS {
            by_place.clear();
        }
        by_place.insert(place, known.clone());
        known
    }

    fn known_interned(&self, signature: Arc<Signature>) -> Arc<Shared> {
        let mut interned = self.functions.signatures.interned.borrow_mut();
        let known = interned.entry(Arc::as_ptr(&signature) as usize).or_insert_with(|| {
            let type_id = self.engine().types().func_id(&signature.wasm_type());
            let handle_types = self.scopes.handles().param_types(&signature);
            Arc::new(Shared::new(signature, type_id, handle_types, self.inbox().clone()))
        });
        known.clone()
    }

    /// What is known of a prototype, which may use the instance's type names.
    pub(super) fn prototype(&self, text: &str, names: &TypeNames) -> Result<Rc<Prototype>, Error> {
        let signatures = &self.functions.signatures;
        let address = text.as_ptr() as usize;
        let last = (address >> 4 ^ address >> 7) % LAST;
        if let Some(known) = &signatures.last.borrow()[last]
            && *known.text == *text
        {
            return Ok(known.clone());
        }
        let known = self.prototype_by_text(text, names)?;
        signatures.last.borrow_mut()[last] = Some(known.clone());
        Ok(known)
    }

    fn prototype_by_text(&self, text: &str, names: &TypeNames) -> Result<Rc<Prototype>, Error> {
        if let Some(known) = self.functions.signatures.by_text.borrow().get(text) {
            return Ok(known.clone());
        }
        let text: Rc<str> = text.into();
        let parsed = Signature::parse_with(&text, names);
        let parsed = parsed.map_err(|e| Error::new(ErrorKind::Prototype, e.to_string()))?;
        let prototype = Rc::new(Prototype {
            text: text.clone(),
            known: Arc::new(Known {
                shared: self.known_interned(self.engine().intern(&parsed)),
                named: Arc::new(parsed),
            }),
            export: Cell::default(),
        });
        let mut by_text = self.functions.signatures.by_text.borrow_mut();
        if by_text.len() >= MAX_TEXTS {
            by_text.clear();
        }
        by_text.insert(text, prototype.clone());
        Ok(prototype)
    }
}
