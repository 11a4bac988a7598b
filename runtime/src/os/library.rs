//! The library that this code is in.

/// Keeps the shared library that this code is linked into, if it is one, for as long as the process lives: `dlclose` does not unmap it any more.
///
/// What the process is given lasts as long: handlers of signals and of `fork`, and callbacks, which answer after their instances are gone.
pub(crate) fn stay_loaded() {
    // SAFETY: all-zero bytes are a valid `Dl_info`.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: any address may be asked for; `info` is written to.
    let known = unsafe { libc::dladdr(stay_loaded as *const libc::c_void, &mut info) } != 0;
    if !known || info.dli_fname.is_null() {
        return;
    }
    // With `RTLD_NOLOAD` nothing is loaded: what is, is found by the name under which it was, and gets the flag. The program itself is not found by its name,
    // and needs no flag.
    // SAFETY: a name of the dynamic linker's, which lasts as long as what it is the name of; this code is running there.
    unsafe {
        if libc::dlopen(info.dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE).is_null() {
            // Nobody is to find this error for one of his own.
            libc::dlerror();
        }
    }
}
