//! The wasm modules: for the type of a function, one that calls it and one that is it.
//!
//! Both work on a *frame* in the module's memory: first the result, then the arguments, each 16 bytes apart or more.

use crate::types::{CType, Function};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use wasmbridge_compiler::Config;
use wasmbridge_runtime::{Error, Module};

/// Where things are in a frame, in bytes from its start. The result is at its start.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) args: Vec<u32>,
    size: u32,
}

impl Frame {
    pub(crate) fn new(function: &Function) -> Frame {
        let room = |ty: &CType| ty.layout().0.max(1).next_multiple_of(16);
        let mut size = room(&function.result);
        let args = function.params.iter().map(|param| {
            let at = size;
            size += room(param);
            at
        });
        Frame { args: args.collect(), size }
    }
}

/// Where the frame of a call lies in the memory of the module that makes it.
pub(crate) const CALL_FRAME: u32 = 1024;

/// How clang passes a value to and from a wasm function.
enum Passed {
    Nothing,
    /// as a value of this type
    Value(&'static str),
    /// as an address
    Address,
}

fn passed(ty: &CType) -> Passed {
    match ty {
        CType::Void => Passed::Nothing,
        CType::Int(8, _) => Passed::Value("i64"),
        CType::Int(..) => Passed::Value("i32"),
        CType::Float => Passed::Value("f32"),
        CType::Double => Passed::Value("f64"),
        // A struct with one scalar in it, however deep, is that scalar.
        CType::Struct(members) => match &members[..] {
            [member] if !matches!(member, CType::Complex(_) | CType::LongDouble) => passed(member),
            _ => Passed::Address,
        },
        CType::Complex(_) | CType::LongDouble => Passed::Address,
    }
}

impl Passed {
    fn wasm_type(&self) -> Option<&'static str> {
        match self {
            Passed::Nothing => None,
            Passed::Value(ty) => Some(ty),
            Passed::Address => Some("i32"),
        }
    }
}

/// A function's type as wasm text, with the names `$r` for the address of the result, and `$0`, `$1`, ...
fn wasm_type(function: &Function) -> String {
    let mut text = String::new();
    let result = passed(&function.result);
    if let Passed::Address = result {
        text.push_str("(param $r i32) ");
    }
    for (i, ty) in function.params.iter().filter_map(|param| passed(param).wasm_type()).enumerate() {
        write!(text, "(param ${i} {ty}) ").expect("writing to a string");
    }
    if let Passed::Value(ty) = result {
        write!(text, "(result {ty})").expect("writing to a string");
    }
    text
}

/// How many pages of 64 KiB hold so many bytes.
fn pages(bytes: u32) -> u32 {
    bytes.div_ceil(1 << 16)
}

/// A module that imports the function as `c.target`, and exports `call`, which calls it with the arguments in the frame at [`CALL_FRAME`].
fn caller(function: &Function, frame: &Frame) -> String {
    let mut call = "(call $target".to_owned();
    let result = passed(&function.result);
    if let Passed::Address = result {
        write!(call, " (i32.const {CALL_FRAME})").expect("writing to a string");
    }
    for (param, at) in function.params.iter().zip(&frame.args) {
        let at = CALL_FRAME + at;
        match (passed(param), param.layout().0) {
            (Passed::Value(ty), size) => {
                let narrow = if size < 4 { format!("{}_u", 8 * size) } else { String::new() };
                write!(call, " ({ty}.load{narrow} (i32.const {at}))")
            }
            (_, _) => write!(call, " (i32.const {at})"),
        }
        .expect("writing to a string");
    }
    call.push(')');
    if let Passed::Value(ty) = result {
        // Four bytes of a smaller integer: the thunk has extended it.
        call = format!("({ty}.store (i32.const {CALL_FRAME}) {call})");
    }
    format!(
        "(module (import \"c\" \"target\" (func $target {})) (memory (export \"memory\") {}) (func (export \"call\") {call}))",
        wasm_type(function),
        pages(CALL_FRAME + frame.size)
    )
}

/// A module that exports the function as `closure`. It imports `c.serve`, which gets the value of the global `closure` and the frame with the
/// arguments, and has put the result there when it returns.
fn callee(function: &Function, frame: &Frame) -> String {
    let Frame { args, size } = frame;
    let mut body = format!(
        "(local $frame i32) (local.set $frame (i32.sub (global.get $__stack_pointer) (i32.const {size})))
         (global.set $__stack_pointer (local.get $frame))\n"
    );
    for (i, (param, at)) in function.params.iter().zip(args).enumerate() {
        match passed(param) {
            // Also four bytes of a smaller integer, which is at their start.
            Passed::Value(ty) => writeln!(body, "({ty}.store offset={at} (local.get $frame) (local.get ${i}))"),
            _ => writeln!(
                body,
                "(memory.copy (i32.add (local.get $frame) (i32.const {at})) (local.get ${i}) (i32.const {}))",
                param.layout().0
            ),
        }
        .expect("writing to a string");
    }
    body.push_str("(call $serve (global.get $closure) (local.get $frame))\n");
    writeln!(body, "(global.set $__stack_pointer (i32.add (local.get $frame) (i32.const {size})))")
        .expect("writing to a string");
    match passed(&function.result) {
        Passed::Nothing => Ok(()),
        // Of a smaller integer, the handler has written more than it has: upper bits which the callback must not believe.
        Passed::Value(ty) => writeln!(body, "({ty}.load (local.get $frame))"),
        Passed::Address => {
            writeln!(body, "(memory.copy (local.get $r) (local.get $frame) (i32.const {}))", function.result.layout().0)
        }
    }
    .expect("writing to a string");
    // Room for closures that are called by handlers of closures.
    let pages = 16 + pages(64 * size);
    format!(
        "(module
         (import \"c\" \"serve\" (func $serve (param i64 i32)))
         (memory (export \"memory\") {pages})
         (global $__stack_pointer (mut i32) (i32.const {}))
         (global $closure (export \"closure_id\") (mut i64) (i64.const 0))
         (func (export \"closure\") {} {body}))",
        pages << 16,
        wasm_type(function)
    )
}

/// The module for calls of a function type.
pub(crate) fn caller_module(function: &Function, frame: &Frame) -> Result<Module, Error> {
    compiled(&caller(function, frame))
}

/// The module for closures of a function type.
pub(crate) fn callee_module(function: &Function, frame: &Frame) -> Result<Module, Error> {
    compiled(&callee(function, frame))
}

/// A module, compiled once for each text.
fn compiled(text: &str) -> Result<Module, Error> {
    static MODULES: Mutex<Option<HashMap<String, Module>>> = Mutex::new(None);
    let mut modules = MODULES.lock().unwrap_or_else(|e| e.into_inner());
    let modules = modules.get_or_insert_default();
    if let Some(module) = modules.get(text) {
        return Ok(module.clone());
    }
    let wasm = wat::parse_str(text).unwrap_or_else(|error| crate::give_up(&error));
    let config = Config { threads: Some(1), ..Config::default() };
    let artifact = wasmbridge_compiler::compile(&wasm, &config).unwrap_or_else(|error| crate::give_up(&error));
    let module = Module::load(crate::engine(), &artifact)?;
    modules.insert(text.to_owned(), module.clone());
    Ok(module)
}
