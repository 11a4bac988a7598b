//! Shadows: native structs that stand for structs of the app's which C keeps.
//!
//! An app registers a struct of function pointers, or gives C an object that begins with a struct of C's and goes on with members of its
//! own (`struct { sqlite3_vtab base; ... }`). Its memory has the wrong layout for C. So C gets a *shadow*: a native struct with
//! the members that C knows, converted. As long as it lives,
//!
//! - the app's address and the shadow's stand for each other, wherever either crosses as `[shadow]`;
//! - the two are made alike whenever one of them crosses, before the call and after it, with those that they point to: a member that one
//!   side has changed since is converted for the other side. Where both sides have, the one that has just run wins;
//! - its callbacks are held.
//!
//! Nobody watches C: what it writes to a shadow the app sees at the next crossing of that shadow, not before.
//!
//! It ends with the scope that the prototype gives it; or when C gives it up, by calling a callback with it whose prototype
//! says `scope: call`. Those that are left when the app goes stay where they are until the engine goes: C may still
//! look at them, and the functions in them answer with their defaults.

use super::leaf::{self, Side};
use super::{Converter, Copies, NativeBytes, Operands, Phase};
use crate::callback::Holds;
use crate::crossing::Refused;
use crate::instance::InstanceData;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use wasmbridge_artifact::vmctx::CallbackRecord;
use wasmbridge_trampolines::signature::{Leaf, Record};
use wasmbridge_trampolines::{Crossing, Scope};

/// How many structs, each pointed to by the one before, are made alike in one go: it is done by recursion.
const MAX_DEPTH: u32 = 64;

/// The most native memory that the shadows of one app take up, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// The shadows of one instance.
#[derive(Debug, Default)]
pub(crate) struct Shadows {
    depth: Cell<u32>,
    bytes: Cell<u64>,
    /// The structs that prototypes define, by name: where one points to itself, or to one that is defined later, only the name is known.
    types: RefCell<HashMap<String, Arc<Record>>>,
    by_native: RefCell<HashMap<u64, Rc<Shadow>>>,
    /// One address may be that of several structs: of one and of its first member.
    by_guest: RefCell<HashMap<u64, Vec<Rc<Shadow>>>>,
}

/// A native struct that stands for one of the app's.
#[derive(Debug)]
pub(crate) struct Shadow {
    type_name: String,
    record: Arc<Record>,
    /// other prototypes' definitions of the struct, which were found to be the same
    same: RefCell<Vec<Arc<Record>>>,
    guest_addr: u64,
    native: RefCell<Option<NativeBytes>>,
    native_addr: u64,
    /// C's and the app's bytes when they were last alike
    alike: RefCell<(Vec<u8>, Vec<u8>)>,
    /// what its members point to, and the callbacks in it
    copies: RefCell<Copies>,
    holds: Holds,
    /// being made alike just now: structs may point to each other
    busy: Cell<bool>,
}

impl Shadow {
    pub(super) fn guest_addr(&self) -> u64 {
        self.guest_addr
    }

    pub(super) fn native(&self) -> u64 {
        self.native_addr
    }

    fn is_of(&self, record: &Arc<Record>) -> bool {
        if Arc::ptr_eq(&self.record, record) || self.same.borrow().iter().any(|same| Arc::ptr_eq(same, record)) {
            return true;
        }
        let same = *self.record == **record;
        if same {
            self.same.borrow_mut().push(record.clone());
        }
        same
    }

    /// C gets it. Whether that is a hold which ends with the call.
    pub(super) fn hold(&self, scope: Option<&Scope>, caller: Option<&str>) -> bool {
        // The function that ends a hold may want the struct until it returns.
        let given_back = caller.is_some_and(|name| self.holds.end_until(name));
        match scope {
            Some(Scope::Call) => self.holds.add_call(),
            None if given_back => self.holds.add_call(),
            None if self.holds.any() => return false,
            None | Some(Scope::Forever | Scope::Once) => {
                self.holds.forever();
                return false;
            }
            Some(Scope::Until(name)) => {
                self.holds.add_until(name);
                return false;
            }
        }
        true
    }

    /// A call that held it is over. Whether nobody holds it any more.
    pub(super) fn end_call(&self) -> bool {
        self.holds.end_call();
        !self.holds.any()
    }
}

impl Shadows {
    /// The shadows' memory, when the instance goes: C may still look at it.
    pub(crate) fn retire(&self) -> Vec<NativeBytes> {
        self.by_guest.borrow_mut().clear();
        let shadows = std::mem::take(&mut *self.by_native.borrow_mut());
        let mut retired = Vec::new();
        for shadow in shadows.into_values() {
            retired.extend(shadow.native.take());
            retired.append(&mut shadow.copies.borrow_mut().native);
        }
        retired
    }

    /// A callback was freed.
    pub(crate) fn forget(&self, record: *const CallbackRecord) {
        for shadow in self.by_native.borrow().values() {
            // One that is being made alike converts functions, and frees none.
            if let Ok(mut copies) = shadow.copies.try_borrow_mut() {
                copies.forget(record);
            }
        }
    }

    /// Whether it is alive. Another one may have got its memory.
    fn has(&self, shadow: &Shadow) -> bool {
        self.by_native.borrow().get(&shadow.native_addr).is_some_and(|found| std::ptr::eq(&**found, shadow))
    }
}

impl InstanceData {
    /// The shadow that C has the address of, made like what C has; or the app's address, where the struct is the app's own memory.
    pub(super) fn shadow_in(
        &self,
        type_name: &str,
        record: Option<&Arc<Record>>,
        native: u64,
    ) -> Result<Result<Rc<Shadow>, u64>, Refused> {
        if let Some(guest_addr) = self.guest_addr(native as usize) {
            return Ok(Err(guest_addr));
        }
        let found = self.shadows.by_native.borrow().get(&native).cloned();
        let shadow = found.ok_or_else(|| {
            format!("C's `{type_name}` stands for none of this app's: the app did not pass it, or C has given it up")
        })?;
        check_type(&shadow, type_name, record)?;
        self.synchronise(&shadow, Side::Native)?;
        Ok(Ok(shadow))
    }

    /// The shadow of a struct of the app's, made like it; or a native address, where the struct can be used as it lies.
    pub(super) fn shadow_out(
        &self,
        type_name: &str,
        record: Option<&Arc<Record>>,
        guest_addr: u64,
    ) -> Result<Result<Rc<Shadow>, u64>, Refused> {
        let found = self
            .shadows
            .by_guest
            .borrow()
            .get(&guest_addr)
            .and_then(|shadows| shadows.iter().find(|shadow| shadow.type_name == type_name).cloned());
        if let Some(shadow) = found {
            check_type(&shadow, type_name, record)?;
            self.synchronise(&shadow, Side::Guest)?;
            return Ok(Ok(shadow));
        }
        let mut types = self.shadows.types.borrow_mut();
        let record = match record {
            Some(record) => {
                types.entry(type_name.to_owned()).or_insert_with(|| record.clone());
                record.clone()
            }
            None => types.get(type_name).cloned().ok_or_else(|| {
                format!("the members of `{type_name}` are not known, and C has none that stands for the app's at {guest_addr:#x}")
            })?,
        };
        drop(types);
        let record = &record;
        if !record.differs() {
            let len = u64::from(record.native.size);
            return crate::crossing::outbound::in_memory(self, guest_addr, len, true).map(Err);
        }
        let bytes = self.shadows.bytes.get() + u64::from(record.native.size);
        if bytes > MAX_BYTES {
            return Err(format!("the structs that C keeps would take up more than {MAX_BYTES} bytes"));
        }
        self.shadows.bytes.set(bytes);
        let native = NativeBytes::new(record.native.size as usize);
        let sizes = (record.native.size as usize, record.guest.size as usize);
        let shadow = Rc::new(Shadow {
            type_name: type_name.to_owned(),
            record: record.clone(),
            same: RefCell::default(),
            guest_addr,
            native_addr: native.as_ptr() as u64,
            native: RefCell::new(Some(native)),
            // Zero is alike on both sides, whatever the member: only what is not zero is converted.
            alike: RefCell::new((vec![0; sizes.0], vec![0; sizes.1])),
            copies: RefCell::new(Copies { kept: true, ..Copies::default() }),
            holds: Holds::default(),
            busy: Cell::new(false),
        });
        // Known first: the structs that it points to may point back.
        self.shadows.by_native.borrow_mut().insert(shadow.native_addr, shadow.clone());
        self.shadows.by_guest.borrow_mut().entry(guest_addr).or_default().push(shadow.clone());
        match self.synchronise(&shadow, Side::Guest) {
            Ok(()) => Ok(Ok(shadow)),
            Err(why) => {
                self.end_shadow(&shadow);
                Err(why)
            }
        }
    }

    /// Makes a shadow and the app's struct alike, and those that they point to. `from` is the side that has just run.
    pub(super) fn synchronise(&self, shadow: &Shadow, from: Side) -> Result<(), Refused> {
        if !self.shadows.has(shadow) || shadow.busy.replace(true) {
            return Ok(());
        }
        let depth = self.shadows.depth.get();
        self.shadows.depth.set(depth + 1);
        let done = if depth < MAX_DEPTH {
            self.make_alike(shadow, from)
        } else {
            Err(format!("more than {MAX_DEPTH} structs that C keeps point to each other in a row"))
        };
        self.shadows.depth.set(depth);
        shadow.busy.set(false);
        match done {
            // Told once, for the innermost.
            Err(why) if depth == 0 => Err(format!("`{}` at {:#x}: {why}", shadow.type_name, shadow.guest_addr)),
            done => done,
        }
    }

    /// Makes those alike that a shadow points to.
    pub(super) fn synchronise_linked(&self, shadow: &Shadow, from: Side) -> Result<(), Refused> {
        if !self.shadows.has(shadow) {
            return Ok(());
        }
        // SAFETY: the shadow's memory, which it owns.
        let native = unsafe {
            std::slice::from_raw_parts(shadow.native_addr as *const u8, shadow.record.native.size as usize).to_vec()
        };
        for leaf in shadow.record.leaves() {
            let Leaf::Value { native: at, value, .. } = leaf else { continue };
            let Crossing::Shadow { .. } = value.crossing else { continue };
            let next = self.shadows.by_native.borrow().get(&leaf::read(&native, *at, 8)).cloned();
            if let Some(next) = next {
                self.synchronise(&next, from)?;
            }
        }
        Ok(())
    }

    fn make_alike(&self, shadow: &Shadow, from: Side) -> Result<(), Refused> {
        let record = &shadow.record;
        let (native_len, guest_len) = (record.native.size as usize, record.guest.size as usize);
        let app = self.bytes(shadow.guest_addr, guest_len as u64, true)?;
        let mut guest = vec![0; guest_len];
        app.read(&mut guest)?;
        let native_start = shadow.native_addr as *mut u8;
        // SAFETY: the shadow's memory, which it owns. Only this thread runs the C code that has it, by the prototype.
        let native = unsafe { std::slice::from_raw_parts(native_start, native_len) }.to_vec();
        let (mut new_native, mut new_guest) = (native.clone(), guest.clone());
        {
            let alike = shadow.alike.borrow();
            let mut copies = shadow.copies.borrow_mut();
            let mut converter = Converter::new(self, &mut copies, Phase::Shadow, Operands::NOTHING);
            for leaf in record.leaves() {
                let by_c = leaf::changed(leaf, Side::Native, &native, &alike.0);
                let by_app = leaf::changed(leaf, Side::Guest, &guest, &alike.1);
                if by_c && (!by_app || from == Side::Native) {
                    leaf::convert(&mut converter, record, leaf, Side::Native, &native, &mut new_guest)?;
                } else if by_app {
                    leaf::convert(&mut converter, record, leaf, Side::Guest, &guest, &mut new_native)?;
                }
            }
        }
        // SAFETY: as above.
        unsafe { super::memory::write_changes(native_start, &native, &new_native) };
        if guest != new_guest {
            app.write(&new_guest)?;
        }
        shadow.alike.replace((new_native, new_guest));
        self.synchronise_linked(shadow, from)
    }

    /// C does not have it any more.
    pub(super) fn end_shadow(&self, shadow: &Shadow) {
        let mut by_guest = self.shadows.by_guest.borrow_mut();
        if let Some(shadows) = by_guest.get_mut(&shadow.guest_addr) {
            shadows.retain(|other| other.native_addr != shadow.native_addr);
            if shadows.is_empty() {
                by_guest.remove(&shadow.guest_addr);
            }
        }
        drop(by_guest);
        if !self.shadows.has(shadow) {
            return;
        }
        let ended = self.shadows.by_native.borrow_mut().remove(&shadow.native_addr);
        if let Some(ended) = ended {
            self.shadows.bytes.set(self.shadows.bytes.get() - u64::from(ended.record.native.size));
            ended.copies.borrow_mut().release(self);
            drop(ended.native.take());
        }
    }
}

fn check_type(shadow: &Shadow, type_name: &str, record: Option<&Arc<Record>>) -> Result<(), Refused> {
    if shadow.type_name != type_name {
        return Err(format!("it is a `{}`, expected `{type_name}`", shadow.type_name));
    }
    if record.is_some_and(|record| !shadow.is_of(record)) {
        return Err(format!("two prototypes define `{type_name}` with different members"));
    }
    Ok(())
}
