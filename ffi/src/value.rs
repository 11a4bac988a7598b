//! Values and function pointers.

use crate::boundary::invalid;
use std::ffi::c_void;
use wasmbridge_artifact::{HeapType, RefType, ValType};
use wasmbridge_runtime::Value;

/// A C function pointer of any type. Cast it to the type it has before calling it.
pub type wb_fn = Option<unsafe extern "C" fn()>;

/// The type of a value: one of WB_I32, WB_I64, WB_F32, WB_F64, WB_EXTERNREF.
pub type wb_valkind = u32;

/// 32-bit integer: `of.i32`
pub const WB_I32: wb_valkind = 0;
/// 64-bit integer: `of.i64`
pub const WB_I64: wb_valkind = 1;
/// 32-bit float: `of.f32`
pub const WB_F32: wb_valkind = 2;
/// 64-bit float: `of.f64`
pub const WB_F64: wb_valkind = 3;
/// A value of the host's that the app can only hand back, or NULL: `of.ref`. One that stands for an object (`wb_handle_externref`) is not the object's address:
/// `wb_externref_object` gives that.
pub const WB_EXTERNREF: wb_valkind = 4;

/// A WebAssembly value's bits: which member holds it is said by `wb_val.kind`.
#[repr(C)]
#[derive(Clone, Copy)]
pub union wb_val_of {
    /// of WB_I32
    pub i32: i32,
    /// of WB_I64
    pub i64: i64,
    /// of WB_F32
    pub f32: f32,
    /// of WB_F64
    pub f64: f64,
    /// of WB_EXTERNREF
    pub r#ref: *mut c_void,
}

/// A WebAssembly value. `wb_i32(17)` and its like, at the end of this header, make one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wb_val {
    /// Its type.
    pub kind: wb_valkind,
    /// Its bits.
    pub of: wb_val_of,
}

impl wb_val {
    /// The value of an argument, if its kind is known.
    pub(crate) fn read(&self, number: usize) -> crate::boundary::Result<Value> {
        self.read_as(&format!("argument {number}"))
    }

    /// The value, if its kind is known; messages call it `what`.
    pub(crate) fn read_as(&self, what: &str) -> crate::boundary::Result<Value> {
        // SAFETY: every member of the union may hold any bits, and C has set the member that `kind` names.
        unsafe {
            Ok(match self.kind {
                WB_I32 => Value::I32(self.of.i32),
                WB_I64 => Value::I64(self.of.i64),
                WB_F32 => Value::F32(self.of.f32),
                WB_F64 => Value::F64(self.of.f64),
                WB_EXTERNREF => Value::ExternRef(self.of.r#ref as usize),
                kind => return Err(invalid(format!("{what} is of kind {kind}, which does not exist"))),
            })
        }
    }

    /// The type of values of this kind, if it exists.
    pub(crate) fn ty(kind: wb_valkind) -> Option<ValType> {
        Some(match kind {
            WB_I32 => ValType::I32,
            WB_I64 => ValType::I64,
            WB_F32 => ValType::F32,
            WB_F64 => ValType::F64,
            WB_EXTERNREF => ValType::Ref(RefType::EXTERN),
            _ => return None,
        })
    }

    /// Whether there is a kind for values of this type.
    pub(crate) fn can_hold(ty: ValType) -> bool {
        match ty {
            ValType::V128 => false,
            ValType::Ref(ty) => matches!(ty.heap, HeapType::Extern | HeapType::NoExtern),
            _ => true,
        }
    }

    /// A value for C, if it has a type that C can see.
    pub(crate) fn write(value: Value) -> Option<wb_val> {
        // All bits beyond the member's are zero, so that a whole value may be compared or printed.
        let mut of = wb_val_of { i64: 0 };
        let kind = match value {
            Value::I32(v) => {
                of.i32 = v;
                WB_I32
            }
            Value::I64(v) => {
                of.i64 = v;
                WB_I64
            }
            Value::F32(v) => {
                of.f32 = v;
                WB_F32
            }
            Value::F64(v) => {
                of.f64 = v;
                WB_F64
            }
            Value::ExternRef(v) => {
                of.r#ref = v as *mut c_void;
                WB_EXTERNREF
            }
            Value::V128(_) | Value::FuncRef(_) | Value::AnyRef(_) | Value::ExnRef(_) => return None,
        };
        Some(wb_val { kind, of })
    }
}
