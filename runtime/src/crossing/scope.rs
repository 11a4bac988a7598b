//! Scopes: how long what an app is shown lasts.

use super::Refused;
use super::copies::Copies;
use super::handles::{Had, HandleTable, TypeId};
use super::scratch::Mark;
use std::cell::{RefCell, RefMut};

/// The scopes and handles of one instance.
#[derive(Debug)]
pub(crate) struct Scopes {
    open: RefCell<Vec<Scope>>,
    /// Handles that end with a native frame, the innermost last: of callbacks with a scope, and of those that have nothing else that ends.
    lent: RefCell<Vec<Lent>>,
    handles: RefCell<HandleTable>,
}

/// A handle that ends with a native frame.
#[derive(Debug, Clone, Copy)]
struct Lent {
    /// as of a [`Scope`]
    native_addr: usize,
    handle: u32,
    /// what the object is afterwards, if the app had the handle before
    was: Option<TypeId>,
}

impl Lent {
    /// What is lent if that is what the app had before.
    fn new(native_addr: usize, handle: u32, had: Had) -> Option<Lent> {
        match had {
            Had::Nothing => Some(Lent { native_addr, handle, was: None }),
            Had::Less(was) => Some(Lent { native_addr, handle, was: Some(was) }),
            Had::It => None,
        }
    }

    fn end(self, handles: &mut HandleTable) {
        match self.was {
            None => handles.remove(self.handle),
            Some(was) => handles.is_again(self.handle, was),
        }
    }
}

/// A callback or host call that is running.
#[derive(Debug)]
struct Scope {
    /// An address in the native frame that opened it. Frames below one that is being returned to are gone: scopes of
    /// callbacks that a trap or a `longjmp` ended are found by it.
    native_addr: usize,
    scratch: Option<Mark>,
    /// windows that were shown to it, by the address of their pages
    windows: Vec<u64>,
    /// what was converted for a callback
    copies: Option<Box<Copies>>,
    /// native memory that the app is shown copies of
    shown: Vec<Shown>,
}

/// Native memory, and where its copy is.
#[derive(Debug)]
struct Shown {
    guest_addr: u64,
    len_bytes: u64,
    native: u64,
}

/// What ends with scopes.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// the position that the scratch goes back to, if one of them had any
    pub(crate) scratch: Option<Mark>,
    pub(crate) copies: Vec<Copies>,
    pub(crate) windows: Vec<u64>,
}

impl Scopes {
    /// None open.
    pub(crate) fn new(handles: HandleTable) -> Scopes {
        Scopes { open: RefCell::default(), lent: RefCell::default(), handles: RefCell::new(handles) }
    }

    /// Opens a scope for a native frame at this address.
    pub(crate) fn open(&self, native_addr: usize, scratch: Option<Mark>) {
        self.open.borrow_mut().push(Scope {
            native_addr,
            scratch,
            windows: Vec::new(),
            copies: None,
            shown: Vec::new(),
        });
    }

    /// Ends all scopes of frames at or below this address.
    pub(crate) fn close_to(&self, native_addr: usize) -> Ended {
        self.end_lent(native_addr);
        let mut open = self.open.borrow_mut();
        let mut ended = Ended::default();
        while let Some(scope) = open.pop_if(|s| s.native_addr <= native_addr) {
            ended.scratch = scope.scratch.or(ended.scratch);
            ended.copies.extend(scope.copies.map(|copies| *copies));
            ended.windows.extend(scope.windows);
        }
        ended
    }

    /// Where on the stack the innermost callback is that was shown a window.
    pub(crate) fn innermost_shown(&self) -> Option<usize> {
        let open = self.open.borrow();
        open.iter().rev().find(|scope| !scope.windows.is_empty()).map(|scope| scope.native_addr)
    }

    /// Lets a window that is shown end with the innermost scope.
    pub(crate) fn lend_window(&self, key: u64) {
        if let Some(scope) = self.open.borrow_mut().last_mut() {
            scope.windows.push(key);
        }
    }

    /// Keeps what was converted for the callback whose scope is the innermost.
    pub(crate) fn keep_copies(&self, copies: Copies) {
        if let Some(scope) = self.open.borrow_mut().last_mut().filter(|_| !copies.is_empty()) {
            scope.copies = Some(Box::new(copies));
        }
    }

    /// What was converted for the callback whose frame has this address.
    pub(crate) fn take_copies(&self, native_addr: usize) -> Option<Copies> {
        let mut open = self.open.borrow_mut();
        open.iter_mut().rev().find(|scope| scope.native_addr == native_addr)?.copies.take().map(|copies| *copies)
    }

    /// A callback was freed.
    pub(crate) fn forget(&self, record: *const wasmbridge_artifact::vmctx::CallbackRecord) {
        let mut open = self.open.borrow_mut();
        open.iter_mut().filter_map(|scope| scope.copies.as_mut()).for_each(|copies| copies.forget(record));
    }

    /// Remembers what a copy in the innermost scope is a copy of.
    pub(crate) fn show(&self, guest_addr: u64, len_bytes: u64, native: u64) {
        if let Some(scope) = self.open.borrow_mut().last_mut() {
            scope.shown.push(Shown { guest_addr, len_bytes, native });
        }
    }

    /// The native address of which a guest address in a copy is the copy, if so many bytes from there on belong to it: at its end none do.
    pub(crate) fn original(&self, guest_addr: u64, len_bytes: u64) -> Option<u64> {
        let open = self.open.borrow();
        let mut shown = open.iter().rev().flat_map(|scope| scope.shown.iter().rev());
        shown.find_map(|shown| {
            let distance = guest_addr.checked_sub(shown.guest_addr)?;
            let left = shown.len_bytes.checked_sub(distance)?;
            (len_bytes <= left).then(|| shown.native + distance)
        })
    }

    /// Lets a handle end with the innermost scope, or be what it was.
    pub(crate) fn lend(&self, handle: u32, had: Had) {
        if let Some(scope) = self.open.borrow().last() {
            self.lent.borrow_mut().extend(Lent::new(scope.native_addr, handle, had));
        }
    }

    /// The handles. Those that a callback has opened by itself end with its frame, like others that are lent.
    pub(crate) fn handles(&self) -> RefMut<'_, HandleTable> {
        let mut handles = self.handles.borrow_mut();
        if let Some((native_addr, opened)) = handles.take_opened() {
            self.end_below(native_addr, &mut handles);
            let opened = opened.into_iter().map(|handle| Lent { native_addr, handle, was: None });
            self.lent.borrow_mut().extend(opened);
        }
        handles
    }

    /// The handle of an object for a callback whose native frame has this address: it ends with that, unless the object had one before.
    pub(crate) fn lend_to(&self, native_addr: usize, object: usize, ty: TypeId) -> Result<u32, Refused> {
        let mut handles = self.handles();
        self.end_below(native_addr, &mut handles);
        let (handle, had) = handles.insert_as(object, ty)?;
        self.lent.borrow_mut().extend(Lent::new(native_addr, handle, had));
        Ok(handle)
    }

    /// Ends the handles of frames that a `longjmp` has skipped: one at this address lies where they were.
    fn end_below(&self, native_addr: usize, handles: &mut HandleTable) {
        while let Some(gone) = self.lent.borrow_mut().pop_if(|lent| lent.native_addr < native_addr) {
            gone.end(handles);
        }
    }

    /// Ends the handles of frames at or below this address.
    pub(crate) fn end_lent(&self, native_addr: usize) {
        let mut handles = self.handles();
        let mut lent = self.lent.borrow_mut();
        while let Some(gone) = lent.pop_if(|lent| lent.native_addr <= native_addr) {
            gone.end(&mut handles);
        }
    }

    /// Lets a handle outlive the frames that it was to end with, as what it is now.
    pub(crate) fn keep(&self, handle: u32) {
        self.keep_lent(handle);
    }

    /// The same; whether it would have ended.
    fn keep_lent(&self, handle: u32) -> bool {
        let is_of = |lent: &Lent| lent.handle == handle;
        let ends = self.lent.borrow().iter().any(|lent| is_of(lent) && lent.was.is_none());
        self.lent.borrow_mut().retain(|lent| !is_of(lent));
        ends
    }

    /// The handle of an object that the app has for good.
    pub(crate) fn give(&self, object: usize, type_name: &str) -> Result<u32, Refused> {
        let (handle, had) = self.handles().insert(object, type_name)?;
        if had != Had::Nothing {
            self.keep(handle);
            self.handles().keep(handle);
        }
        Ok(handle)
    }

    /// The externref of an object, which the app has for as long as it keeps that.
    pub(crate) fn give_externref(&self, object: usize, type_name: &str) -> Result<u64, Refused> {
        let (handle, had) = self.handles().insert(object, type_name)?;
        let mut handles = self.handles();
        if had == Had::Nothing || self.keep_lent(handle) {
            handles.collect_later(handle);
        }
        Ok(handles.externref(handle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_end_with_their_scope_and_with_those_a_longjmp_skipped() {
        let scopes =
            Scopes::new(HandleTable::new((1, 1), Default::default(), Default::default(), std::ptr::null_mut()));
        let lend = |object| {
            let (handle, _) = scopes.handles().insert(object, "t").unwrap();
            scopes.lend(handle, Had::Nothing);
            handle
        };
        scopes.open(0x9000, None);
        let outer = lend(1);
        scopes.open(0x8000, None);
        let inner = lend(2);
        scopes.open(0x7000, None);
        let innermost = lend(3);
        assert_eq!(scopes.close_to(0x8000).scratch, None);
        let get = |handle| scopes.handles().get(handle, "t");
        assert_eq!(get(outer), Ok(1));
        assert!(get(inner).is_err() && get(innermost).is_err());
    }
}
