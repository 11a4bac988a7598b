//! What the callbacks of one signature share: it is looked up once, without the engine's locks.

use crate::code::CallbackPages;
use crate::crossing::handles::TypeId;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::thread::Inbox;
use std::sync::{Arc, Mutex, OnceLock};
use wasmbridge_trampolines::{ShapeKind, Signature};

/// What the callbacks of one instance and signature share. It outlives the instance, as they do.
#[derive(Debug)]
pub(crate) struct Shared {
    /// the interned one
    pub(crate) signature: Arc<Signature>,
    /// of its wasm type
    pub(crate) type_id: u32,
    /// the instance's, which outlives it
    pub(crate) inbox: Arc<Inbox>,
    /// why no function of the app's can be called by it, if so
    refused: Option<String>,
    /// of parameters that are handles
    handle_types: Option<Arc<[TypeId]>>,
    /// values are converted by builtins before a call and after it, unless there is a fast entry
    pub(super) needs_slots: bool,
    /// the callbacks' pages; of those that open scopes, the second
    pages: [OnceLock<Arc<Mutex<CallbackPages>>>; 2],
}

impl Shared {
    pub(crate) fn new(
        signature: Arc<Signature>,
        type_id: u32,
        handle_types: Option<Arc<[TypeId]>>,
        inbox: Arc<Inbox>,
    ) -> Shared {
        let refused = signature.check_callback().err();
        let needs_slots = signature.needs_slots(ShapeKind::Callback);
        Shared { signature, type_id, inbox, refused, handle_types, needs_slots, pages: Default::default() }
    }

    /// Refuses a signature by which no function of the app's can be called.
    pub(crate) fn check_callback(&self) -> Result<(), Error> {
        match &self.refused {
            Some(why) => Err(Error::new(ErrorKind::Prototype, format!("`{}`: {why}", self.signature))),
            None => Ok(()),
        }
    }

    /// The type of a parameter that is a handle.
    pub(crate) fn handle_type(&self, argument: usize) -> TypeId {
        self.handle_types.as_ref().expect("the signature has handles")[argument]
    }

    /// The pages for its callbacks; for those that open a scope, if `opens_scope`.
    pub(super) fn pages(&self, engine: &Engine, opens_scope: bool) -> Result<&Arc<Mutex<CallbackPages>>, Error> {
        let cell = &self.pages[usize::from(opens_scope)];
        if let Some(pages) = cell.get() {
            return Ok(pages);
        }
        let pages = engine.callback_pages(&self.signature, opens_scope)?;
        Ok(cell.get_or_init(|| pages))
    }

    /// The pages that a callback was made on.
    pub(super) fn made_on(&self, opens_scope: bool) -> &Mutex<CallbackPages> {
        self.pages[usize::from(opens_scope)].get().expect("it was made on them")
    }
}
