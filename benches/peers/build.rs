//! Compiles the users of wasmtime's C API.

fn main() {
    println!("cargo::rerun-if-changed=src/peers/wasmtime_c.c");
    let headers = std::env::var("DEP_WASMTIME_C_API_INCLUDE").expect("wasmtime-c-api-impl says where its headers are");
    cc::Build::new().file("src/peers/wasmtime_c.c").include(headers).opt_level(2).compile("wasmtime_c");
}
