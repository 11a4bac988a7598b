//! Handles that the host gives and takes: names that an app has for objects whose life is the host's business.

use super::{Instance, InstanceData};
use crate::error::{Error, ErrorKind};
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

impl InstanceData {
    /// The host gives the instance up: what it has set destructors for goes.
    pub(super) fn destroy_objects(&self) {
        loop {
            let destroyed = self.scopes.handles().pop_destroyed();
            let Some((object, destructor)) = destroyed else { return };
            // SAFETY: the promise to `Linker::handle_destructor`. The table is not borrowed: the destructor may call the app.
            unsafe { (destructor.function)(object as *mut c_void, destructor.data) };
        }
    }
}
