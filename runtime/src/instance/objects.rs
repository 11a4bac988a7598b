//! Handles that the host gives and takes: names that an app has for objects whose life is the host's business.

use super::{Instance, InstanceData};
use crate::crossing::Refused;
use crate::error::{Error, ErrorKind};
use crate::value::Value;
use std::ffi::c_void;

impl Instance {
    /// The app's handle of an object of the host's, of the type `type_name *`. It lasts until [`Instance::end_handle`], or as long as the instance; an
    /// object that the app knows already has the same handle. With `const T` for a type the app may pass it only where a prototype has `const T *`, unless it was given
    /// as a `T *` before, or is later.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the object is NULL; [`ErrorKind::Limit`] if the app has no room for another handle;
    /// [`ErrorKind::Busy`] on a thread that does not own the instance.
    pub fn handle(&self, type_name: &str, object: *const c_void) -> Result<u32, Error> {
        self.data().group().check_thread()?;
        if object.is_null() {
            return Err(Error::new(ErrorKind::InvalidArgument, "NULL has no handle: it is 0 for the app"));
        }
        self.data().scopes.give(object as usize, type_name).map_err(|why| Error::new(ErrorKind::Limit, why))
    }

    /// The object of the type `type_name *` that a handle of the app's stands for. 0 is NULL.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it is no handle of this app, of another type, or stale: the message says which. [`ErrorKind::Busy`]
    /// on a thread that does not own the instance.
    pub fn object(&self, handle: u32, type_name: &str) -> Result<*mut c_void, Error> {
        self.data().group().check_thread()?;
        if handle == 0 {
            return Ok(std::ptr::null_mut());
        }
        let object = self.data().scopes.handles().get(handle, type_name);
        object.map(|object| object as *mut c_void).map_err(|why| Error::new(ErrorKind::InvalidArgument, why))
    }

    /// Gives another app a handle of the object that a handle of this app's stands for, and which is of the type `type_name *`; as `const T *`, so that
    /// the other one may only read it. Each of the two ends by itself.
    ///
    /// # Errors
    /// As for [`Instance::object`] and [`Instance::handle`].
    pub fn grant_handle(&self, handle: u32, type_name: &str, to: &Instance) -> Result<u32, Error> {
        let object = self.object(handle, type_name)?;
        let granted = self.data().scopes.handles().granted_type(handle, type_name);
        to.handle(granted.as_deref().unwrap_or(type_name), object)
    }

    /// Ends the handle that the app has of an object of the type `type_name *`: for the app it is stale from now on, wherever it has kept it. To be
    /// called before the object goes. Whether the app knew the object.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] on a thread that does not own the instance.
    pub fn end_handle(&self, type_name: &str, object: *const c_void) -> Result<bool, Error> {
        self.data().group().check_thread()?;
        let scopes = &self.data().scopes;
        let mut handles = scopes.handles();
        let Some(handle) = handles.find(object as usize, type_name) else { return Ok(false) };
        handles.remove(handle);
        // A scope that would end it later must not end another one in its place.
        scopes.keep(handle);
        Ok(true)
    }
}

impl Instance {
    /// An externref that stands for an object of the host's, of the type `type_name *`: for calls, globals and tables. The app has the object
    /// until [`Instance::end_handle`], or as long as the instance.
    ///
    /// # Errors
    /// As for [`Instance::handle`].
    pub fn externref(&self, type_name: &str, object: *const c_void) -> Result<Value, Error> {
        let handle = self.handle(type_name, object)?;
        Ok(Value::ExternRef(self.data().scopes.handles().externref(handle) as usize))
    }

    /// The object of the type `type_name *` that an externref of the app's stands for. Null is NULL.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it is not an externref, stands for no object of this app's, for one of another type, or is stale: the message says
    /// which. [`ErrorKind::Busy`] on a thread that does not own the instance.
    pub fn externref_object(&self, externref: &Value, type_name: &str) -> Result<*mut c_void, Error> {
        self.data().group().check_thread()?;
        let wrong = |why| Error::new(ErrorKind::InvalidArgument, why);
        match externref {
            Value::ExternRef(0) => Ok(std::ptr::null_mut()),
            Value::ExternRef(bits) => {
                let object = self.data().scopes.handles().get_externref(*bits as u64, type_name);
                object.map(|object| object as *mut c_void).map_err(wrong)
            }
            other => Err(wrong(format!("it is {}, expected externref", other.ty()))),
        }
    }
}

impl InstanceData {
    /// The externref of an object that C gives the app, which is collected when the app has let go of it.
    pub(crate) fn externref_in(&self, object: u64, type_name: &str) -> Result<u64, Refused> {
        let due = self.scopes.handles().is_collection_due() || self.engine().config().gc_stress;
        if due && self.heap().may_collect() {
            self.collect();
        }
        self.scopes.give_externref(object as usize, type_name)
    }

    /// Destroys objects whose externrefs a collection has not found, if no code of apps that could use them is running.
    pub(super) fn destroy_dead(&self) {
        if !self.heap().has_dead.get() {
            return;
        }
        let members = self.group().lock().members.clone();
        if members.iter().any(|member| member.is_running()) {
            return;
        }
        self.heap().has_dead.set(false);
        members.iter().for_each(|member| member.destroy_own_dead());
    }

    fn destroy_own_dead(&self) {
        loop {
            let dead = self.scopes.handles().pop_dead();
            let Some((object, destructor)) = dead else { return };
            // SAFETY: the promise to `Linker::handle_destructor`. The table is not borrowed: the destructor may call the app.
            unsafe { (destructor.function)(object as *mut c_void, destructor.data) };
        }
    }

    /// The host gives the instance up: what it has set destructors for goes.
    pub(super) fn destroy_objects(&self) {
        self.destroy_own_dead();
        loop {
            let destroyed = self.scopes.handles().pop_destroyed();
            let Some((object, destructor)) = destroyed else { return };
            // SAFETY: the promise to `Linker::handle_destructor`. The table is not borrowed: the destructor may call the app.
            unsafe { (destructor.function)(object as *mut c_void, destructor.data) };
        }
    }
}
