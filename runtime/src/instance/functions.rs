//! Function pointers, both ways.
//!
//! | from | to | how |
//! |---|---|---|
//! | a table index | a C function pointer | a callback; one for each function and signature |
//! | a C function pointer | a table index | a slot of table 0 with a function that calls it, by the thunk of its signature |
//!
//! Either is undone by the other: an index that stands for a C function of the same signature becomes that C function again, and a callback of
//! this instance becomes the function that it was made of, at the index where the table has it. With another signature nothing is undone, so that
//! each call is converted as both say: the app could otherwise have C call a function with arguments of another type.
//!
//! The app may copy a function reference to where it is never found again. So what stands for a C function lives as long as the instance, and
//! C says by its prototype that the function does, too: other scopes are refused in this direction.

use super::callbacks::{Callbacks, Key};
use super::known::{Known, Signatures};
use super::scoped::HeldByCall;
use super::{InstanceData, Thunk};
use crate::addresses::AddressMap;
use crate::callback::{self, CallbackOptions, Name, NativeFn};
use crate::code::stamped::Slot;
use crate::crossing::Refused;
use crate::error::{Error, ErrorKind};
use crate::linker::ThunkInfo;
use crate::table::Table;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use wasmbridge_artifact::FuncType;
use wasmbridge_artifact::vmctx::{CallbackRecord, ThunkRecord, VmFuncRef};
use wasmbridge_trampolines::signature::{Element, Extent};
use wasmbridge_trampolines::{Crossing, Direction, Policy, Scope, Signature};

/// How many slots a table grows by when there is no free one for a C function.
const RESERVE: u64 = 16;
/// [`VmFuncRef::function`] of a C function: an index that no module has a function of.
const NATIVE: u32 = u32::MAX;

/// What an instance knows of function pointers.
#[derive(Debug)]
pub(super) struct Functions {
    pub(super) signatures: Signatures,
    callbacks: RefCell<Callbacks>,
    /// by address and signature (of the one interned)
    natives: RefCell<AddressMap<(usize, usize), Box<NativeFunction>>>,
    /// Where a function was seen in table 0, by the address of its `VmFuncRef`. The app may have overwritten it since.
    indices: RefCell<AddressMap<usize, u32>>,
    /// slots of table 0 that were made for C functions and not yet used, the next one last
    reserved: RefCell<Vec<u32>>,
    /// callbacks that end with a call
    pub(super) held_by_calls: RefCell<Vec<HeldByCall>>,
    /// there has been a callback
    pub(super) stamped: Cell<bool>,
    /// how many callbacks there were that are freed
    pub(super) freed: Cell<u64>,
    /// something that the app can call returns what lasts as long as a scope, so every callback must open one
    need_scopes: Cell<bool>,
}

/// A C function that the app was given a pointer of.
///
/// # Layout
/// The `VmFuncRef` comes first: [`InstanceData::native_behind`] finds the whole by it.
///
/// # Movement
/// Never: it is boxed, and tables hold the address of `funcref`.
#[repr(C)]
#[derive(Debug)]
struct NativeFunction {
    funcref: VmFuncRef,
    thunk: Thunk,
    /// the interned one
    signature: Arc<Signature>,
}

/// What a function becomes in C.
#[derive(Debug, Clone, Copy)]
pub(super) enum Out {
    Native(*const u8),
    /// who holds it is not said yet
    Callback(Slot),
}

impl Functions {
    /// None yet.
    pub(super) fn new(need_scopes: bool) -> Functions {
        Functions {
            signatures: Signatures::default(),
            callbacks: RefCell::default(),
            natives: RefCell::default(),
            indices: RefCell::default(),
            reserved: RefCell::default(),
            held_by_calls: RefCell::default(),
            stamped: Cell::new(false),
            freed: Cell::new(0),
            need_scopes: Cell::new(need_scopes),
        }
    }
}

/// Whether a C function of this signature returns what lasts as long as a scope, or has the app call one that does.
pub(super) fn needs_scope(signature: &Signature) -> bool {
    let nested =
        |crossing: &Crossing| matches!(crossing, Crossing::Function { signature, .. } if needs_scope(signature));
    let result = signature.result.as_ref().map(|r| &r.crossing);
    result.is_some_and(|r| is_shown(r) || nested(r))
        || signature.params.iter().any(|p| nested(&p.crossing) || gives_shown(&p.crossing))
}

/// Whether the app may get a copy of what C has there.
fn is_shown(crossing: &Crossing) -> bool {
    matches!(crossing, Crossing::Str | Crossing::Extent(_))
}

/// Whether C gives such memory to the app by it.
fn gives_shown(crossing: &Crossing) -> bool {
    match crossing {
        Crossing::Extent(Extent { direction: Direction::Out | Direction::InOut, element, .. }) => match element {
            Element::Alike { .. } => false,
            Element::Pointers(_) => true,
            Element::Converted(record) => {
                let mut shown = false;
                record.parts(&mut |part| shown |= is_shown(&part.value.crossing));
                shown
            }
        },
        _ => false,
    }
}

// Out: from the app to C.
impl InstanceData {
    /// A function of the app's table as a C function pointer that C keeps for good.
    pub(crate) fn function_out(&self, signature: &Signature, policy: &Policy, index: u32) -> Result<u64, Refused> {
        match self.convert_out(signature, policy, index, false)? {
            Out::Native(native) => Ok(native as u64),
            Out::Callback(slot) => {
                // SAFETY: a callback of this instance's, just made or looked up.
                unsafe { callback::holds(slot.record) }.forever();
                Ok(slot.entry as u64)
            }
        }
    }

    /// A function of the app's table as a C function pointer in a struct. Unless there is `held`, for what ends it, the scope says how
    /// long C keeps it.
    pub(crate) fn member_function_out(
        &self,
        signature: &Signature,
        scope: &Scope,
        policy: &Policy,
        index: u32,
        held: Option<&mut Vec<*mut CallbackRecord>>,
    ) -> Result<u64, Refused> {
        let slot = match self.convert_out(signature, policy, index, *scope == Scope::Once)? {
            Out::Native(native) => return Ok(native as u64),
            Out::Callback(slot) => slot,
        };
        // SAFETY: a callback of this instance's, just made or looked up.
        let holds = unsafe { callback::holds(slot.record) };
        match (held, scope) {
            _ if holds.is_forever() => {}
            // SAFETY: as above; the app is running.
            (_, Scope::Once) => unsafe { callback::hold_once(slot.record) },
            (_, Scope::Until(name)) => holds.add_until(name),
            (Some(held), Scope::Call | Scope::Forever) => {
                holds.add_call();
                held.push(slot.record);
            }
            (None, Scope::Call | Scope::Forever) => holds.forever(),
        }
        Ok(slot.entry as u64)
    }

    fn convert_out(&self, signature: &Signature, policy: &Policy, index: u32, once: bool) -> Result<Out, Refused> {
        self.convert_function_out(signature, policy, index, self.table_function(0, index)?, once)
    }

    /// The function at an index of the app's table, in C.
    pub(super) fn convert_function_out(
        &self,
        signature: &Signature,
        policy: &Policy,
        index: u32,
        funcref: *const VmFuncRef,
        once: bool,
    ) -> Result<Out, Refused> {
        let known = self.known(signature);
        if let Some(native) = self.native_behind(funcref, &known.shared.signature) {
            return Ok(Out::Native(native));
        }
        let slot =
            self.callback_known(funcref, &known, Name::OfFunction, &CallbackOptions::default(), Some(index), once);
        let slot = slot.map_err(|e| format!("table index {index}: {}", e.message()))?;
        // SAFETY: a callback of this instance's, just made or looked up.
        unsafe { callback::say(slot.record, policy) };
        Ok(Out::Callback(slot))
    }

    /// The C function that a function reference stands for, if its signature is this interned one.
    fn native_behind(&self, funcref: *const VmFuncRef, signature: &Arc<Signature>) -> Option<*const u8> {
        // SAFETY: a function reference of the group's, which are live.
        if unsafe { (*funcref).function } != NATIVE {
            return None;
        }
        // SAFETY: only `native_function` makes references with this index, as the first field of a `NativeFunction`, which lives as long
        // as its instance: a member of the group.
        let native = unsafe { &*funcref.cast::<NativeFunction>() };
        Arc::ptr_eq(&native.signature, signature).then_some(native.thunk.record.function)
    }

    /// The function at an index of a table.
    pub(crate) fn table_function(&self, table: u32, index: u32) -> Result<*const VmFuncRef, String> {
        let table = self.function_table(table)?;
        match table.get(u64::from(index)) {
            None => Err(format!("index {index} is outside of the app's table of {} elements", table.len())),
            Some(0) => Err(format!("index {index} of the app's table is null")),
            Some(function) => Ok(function as usize as *const VmFuncRef),
        }
    }

    fn function_table(&self, table: u32) -> Result<&Table, Refused> {
        let functions = |t: &&Table| t.ty().element == wasmbridge_artifact::RefType::FUNC;
        let found = (self.tables.len() > table as usize).then(|| self.table(table)).filter(functions);
        found.ok_or_else(|| "the app has no table of functions".to_owned())
    }

    /// The callback for a function and a signature: made now, or the one that was made before. The host keeps it for good.
    pub(crate) fn callback(
        &self,
        funcref: *const VmFuncRef,
        known: &Arc<Known>,
        name: Name,
        options: &CallbackOptions,
    ) -> Result<Slot, Error> {
        let slot = self.callback_known(funcref, known, name, options, None, false)?;
        // SAFETY: a callback of this instance's, just made or looked up.
        unsafe { callback::holds(slot.record) }.forever();
        Ok(slot)
    }

    fn callback_known(
        &self,
        funcref: *const VmFuncRef,
        known: &Arc<Known>,
        name: Name,
        options: &CallbackOptions,
        index: Option<u32>,
        once: bool,
    ) -> Result<Slot, Error> {
        let signature = &known.shared.signature;
        let key = Key::new(funcref, signature);
        if let Some(slot) = self.functions.callbacks.borrow().get(key) {
            // SAFETY: a callback of this instance's that was not freed; the instance is in use, so nobody is dropping it.
            unsafe {
                callback::set_options(slot.record, options)?;
                callback::revive(slot.record);
            }
            return Ok(slot);
        }
        known.shared.check_callback()?;
        // SAFETY: a function reference of the group's.
        let function = unsafe { *funcref };
        let is = |found: &FuncType| *found == signature.wasm_type();
        let found = || self.engine().types().func(function.type_id);
        // Of a type that may have subtypes, or that is one of a group, the number is another one.
        if function.type_id != known.shared.type_id && !found().as_ref().is_some_and(is) {
            let expected = signature.wasm_type();
            let message = match found() {
                Some(found) => format!("it is `{found}`, the prototype `{signature}` needs `{expected}`"),
                None => format!("it is not `{expected}`, which the prototype `{signature}` needs"),
            };
            return Err(Error::new(ErrorKind::Link, message));
        }
        let opens_scope = once || self.callbacks_need_scopes();
        let slot = callback::stamp(self, funcref, known, name, options, opens_scope)?;
        self.functions.callbacks.borrow_mut().insert(key, slot);
        self.functions.stamped.set(true);
        if let Some(index) = index {
            self.functions.indices.borrow_mut().insert(funcref as usize, index);
        }
        Ok(slot)
    }

    /// What messages call a function of this group's, which a callback is of.
    pub(crate) fn function_name(&self, function: VmFuncRef) -> String {
        if function.function == NATIVE {
            "native function".to_owned()
        } else {
            self.module.function_name(function.function)
        }
    }

    pub(crate) fn callbacks_need_scopes(&self) -> bool {
        self.functions.need_scopes.get()
    }

    /// A callback was freed: its address is not handed out again.
    pub(crate) fn forget_callback(&self, funcref: *const VmFuncRef, signature: &Arc<Signature>) {
        let freed = self.functions.callbacks.borrow_mut().remove(Key::new(funcref, signature));
        let Some(freed) = freed else { return };
        self.functions.freed.update(|count| count + 1);
        // Whatever has it noted to end it with a call holds it for calls.
        // SAFETY: a callback of this instance's that is being freed.
        if unsafe { callback::holds(freed.record) }.is_by_calls() {
            self.functions.held_by_calls.borrow_mut().retain(|held| !held.is_of(freed.record));
            self.shadows.forget(freed.record);
            self.scopes.forget(freed.record);
            self.calls.forget(freed.record);
        }
    }

    /// The host gives the instance up: its callbacks refuse from now on.
    pub(crate) fn kill_callbacks(&self) {
        self.functions.held_by_calls.borrow_mut().clear();
        self.functions.freed.update(|count| count + 1);
        for slot in self.functions.callbacks.borrow_mut().take() {
            // SAFETY: stamped by this instance and not freed, or it would have been forgotten.
            unsafe { callback::kill(slot.record) };
        }
        self.inbox().cancel_ended();
    }
}

// In: from C to the app.
impl InstanceData {
    /// A C function pointer, not NULL, as an index of the app's table.
    pub(crate) fn function_in(
        &self,
        signature: &Signature,
        scope: &Scope,
        policy: &Policy,
        native: u64,
    ) -> Result<u64, Refused> {
        if !policy.is_silent() {
            return Err(format!("[{policy}] is said of callbacks, and this is a native function pointer"));
        }
        if *scope != Scope::Forever {
            return Err(
                "a native function pointer is the app's for good: its prototype must not say [scope]".to_owned()
            );
        }
        let native = NativeFn(native as *const u8);
        let interned = self.engine().intern(signature);
        let funcref = match callback::function_of(self, native, &interned) {
            Some(funcref) => funcref,
            None => self.native_function(native, signature, interned)?,
        };
        self.index_of(funcref).map(u64::from)
    }

    /// A function that calls a C function: made now, or the one that was made before.
    fn native_function(
        &self,
        native: NativeFn,
        named: &Signature,
        signature: Arc<Signature>,
    ) -> Result<*const VmFuncRef, Refused> {
        let key = (native.0 as usize, Arc::as_ptr(&signature) as usize);
        if let Some(native) = self.functions.natives.borrow().get(&key) {
            return Ok(&raw const native.funcref);
        }
        let code = self.engine().thunk(&signature).map_err(|e| e.to_string())?;
        let type_id = self.engine().types().func_id(&signature.wasm_type());
        if needs_scope(&signature) {
            self.functions.need_scopes.set(true);
        }
        let info = Box::new(ThunkInfo::of_pointer(Arc::new(named.clone())));
        let record = ThunkRecord {
            vmctx: self.vmctx,
            function: native.0,
            memory_base: self.memory_base(),
            info: std::ptr::from_ref(&*info).cast_mut().cast(),
        };
        let funcref = VmFuncRef { code: code.entry(), vmctx: std::ptr::null_mut(), type_id, function: NATIVE };
        let mut made = Box::new(NativeFunction { funcref, thunk: Thunk { record, info, code }, signature });
        made.funcref.vmctx = (&raw mut made.thunk.record).cast();
        let mut natives = self.functions.natives.borrow_mut();
        let made = natives.entry(key).or_insert(made);
        Ok(&raw const made.funcref)
    }

    /// Where a function is in table 0; it is put there if it is not.
    fn index_of(&self, funcref: *const VmFuncRef) -> Result<u32, Refused> {
        let table = self.function_table(0)?;
        let wanted = funcref as u64;
        let known = self.functions.indices.borrow().get(&(funcref as usize)).copied();
        if let Some(index) = known.filter(|&index| table.get(u64::from(index)) == Some(wanted)) {
            return Ok(index);
        }
        // A C function is only where it was put. The app's own ones may be anywhere. Index 0 is NULL in C, whatever the table has there.
        // SAFETY: a function reference of the group's.
        let native = unsafe { (*funcref).function } == NATIVE;
        let found = if native { None } else { (1..table.len()).find(|&index| table.get(index) == Some(wanted)) };
        let index = match found {
            Some(index) => index as u32,
            None => self.put(table, wanted)?,
        };
        self.functions.indices.borrow_mut().insert(funcref as usize, index);
        Ok(index)
    }

    /// Puts a function into a slot that was made for such ones and is still null.
    fn put(&self, table: &Table, funcref: u64) -> Result<u32, Refused> {
        let mut reserved = self.functions.reserved.borrow_mut();
        loop {
            while let Some(index) = reserved.pop() {
                if index != 0 && table.get(u64::from(index)) == Some(0) {
                    table.write(u64::from(index), std::iter::once(funcref)).expect("the slot is there");
                    return Ok(index);
                }
            }
            let may = self.module.metadata().takes_native_functions(0);
            let grow = |by| if may { table.grow(by, 0).map(|start| (start, start + by)) } else { None };
            // Index 0 is no use, so an empty table grows by two at least.
            let Some((start, end)) = grow(RESERVE).or_else(|| grow(if table.len() == 0 { 2 } else { 1 })) else {
                return Err(format!(
                    "the app's table of {} elements cannot grow to hold a native function; link the app with --growable-table",
                    table.len()
                ));
            };
            reserved.extend((start..end).rev().map(|index| index as u32));
        }
    }
}
