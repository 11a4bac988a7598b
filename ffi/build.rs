//! Gives the shared library its soname: the version up to which its interface does not break.

fn main() {
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets it");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libwasmbridge.so.{major}");
    println!("cargo::rerun-if-changed=build.rs");
}
