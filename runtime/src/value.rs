//! Values that the host passes to and gets from wasm functions.

use crate::gc::{AnyRef, ExnRef, Internal, is_internal};
use crate::instance::InstanceData;
use std::fmt;
use wasmbridge_artifact::gc::{EXTERNAL_MASK, EXTERNAL_TAG};
use wasmbridge_artifact::{FuncType, HeapType, Hierarchy, RefType, ValType, vmctx::VmFuncRef};

/// A WebAssembly value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 32-bit integer
    I32(i32),
    /// 64-bit integer
    I64(i64),
    /// 32-bit float
    F32(f32),
    /// 64-bit float
    F64(f64),
    /// 128-bit vector
    V128(u128),
    /// a function, or null
    FuncRef(Option<FuncRef>),
    /// A value of the host's that the guest can only hand back; 0 is null. Its upper 16 bits may not be `0xfff7`, which no address has; with `0xfff6` it stands for an
    /// object ([`Instance::externref`](crate::Instance::externref)).
    ///
    /// It may be passed where the guest wants an `anyref`, and is what the host sees of one that came from it.
    ExternRef(usize),
    /// A struct or array of the guest's, an `i31`, or null. It may be passed where the guest wants an `externref`, and is what the host sees of
    /// one that came from the guest.
    AnyRef(Option<AnyRef>),
    /// an exception, or null
    ExnRef(Option<ExnRef>),
}

/// A reference to a function of an instance; valid as long as the instance, and for instances of the same engine: others refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuncRef {
    function: *const VmFuncRef,
    /// the number of its instance's engine
    engine: u64,
}

// SAFETY: an address, which is only followed on the thread that owns its instance.
unsafe impl Send for FuncRef {}
// SAFETY: see above.
unsafe impl Sync for FuncRef {}

impl Value {
    /// The value's type; of a reference, the nullable one of its kind.
    pub fn ty(&self) -> ValType {
        match self {
            Value::I32(_) => ValType::I32,
            Value::I64(_) => ValType::I64,
            Value::F32(_) => ValType::F32,
            Value::F64(_) => ValType::F64,
            Value::V128(_) => ValType::V128,
            Value::FuncRef(_) => ValType::Ref(RefType::FUNC),
            Value::ExternRef(_) => ValType::Ref(RefType::EXTERN),
            Value::AnyRef(_) => ValType::Ref(RefType::ANY),
            Value::ExnRef(_) => ValType::Ref(RefType::EXN),
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Value::FuncRef(None) | Value::ExternRef(0) | Value::AnyRef(None) | Value::ExnRef(None))
    }
}

impl fmt::Display for Value {
    /// The number, or what a reference refers to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::I32(v) => v.fmt(f),
            Value::I64(v) => v.fmt(f),
            Value::F32(v) => v.fmt(f),
            Value::F64(v) => v.fmt(f),
            Value::V128(v) => write!(f, "{v:#034x}"),
            null if null.is_null() => f.write_str("null"),
            Value::ExternRef(v) => write!(f, "{v:#x}"),
            Value::AnyRef(Some(v)) => match v.as_i31() {
                Some(v) => v.fmt(f),
                None => write!(f, "a {:?}", v.kind()),
            },
            Value::FuncRef(_) => f.write_str("a function"),
            Value::AnyRef(None) | Value::ExnRef(_) => f.write_str("an exception"),
        }
    }
}

impl InstanceData {
    /// Whether a value is one of a type of this module.
    pub(crate) fn accepts(&self, value: &Value, ty: ValType) -> bool {
        let ValType::Ref(ty) = ty else { return value.ty() == ty };
        if value.is_null() {
            return ty.nullable && reference(value.ty()).heap.hierarchy() == ty.heap.hierarchy();
        }
        match value {
            // Its type's number says something in its own engine only.
            Value::FuncRef(Some(_)) if self.is_foreign(value) => false,
            Value::FuncRef(Some(function)) => match ty.heap {
                HeapType::Func => true,
                HeapType::Type(_, index) if ty.is_function() => {
                    // SAFETY: a reference is valid as long as its instance, which the host keeps as long as it uses the reference.
                    let found = unsafe { (*function.function).type_id };
                    self.engine().types().is_subtype(found, self.module().type_ids()[index as usize])
                }
                _ => false,
            },
            Value::ExternRef(value) => {
                matches!(ty.heap, HeapType::Extern | HeapType::Any) && *value as u64 & EXTERNAL_MASK != EXTERNAL_TAG
            }
            Value::AnyRef(Some(reference)) => match self.internal_bits(reference) {
                None => false,
                Some(_) if ty.heap == HeapType::Extern => true,
                Some(bits) => self.internal_is(bits, ty),
            },
            Value::ExnRef(Some(exception)) => ty.heap == HeapType::Exn && self.exn_bits(exception).is_some(),
            _ => false,
        }
    }

    /// Whether a value is a function of another engine's.
    fn is_foreign(&self, value: &Value) -> bool {
        matches!(value, Value::FuncRef(Some(function)) if function.engine != self.engine().number())
    }

    /// What messages call a value that is not [accepted](InstanceData::accepts): its type, and whose it is if that is why.
    pub(crate) fn describe_value(&self, value: &Value) -> String {
        let whose = if self.is_foreign(value) { " of another engine's instance" } else { "" };
        format!("{}{whose}", value.ty())
    }

    /// The bits of a value that is [accepted](InstanceData::accepts), as they lie in a slot of 16 bytes, a global or a table. `None` if there is
    /// no room for an object that stands for it.
    ///
    /// Until the guest has it, nothing but the host's own reference keeps an object alive.
    pub(crate) fn bits(&self, value: &Value, ty: ValType) -> Option<u128> {
        Some(match value {
            Value::I32(v) => u128::from(*v as u32),
            Value::I64(v) => u128::from(*v as u64),
            Value::F32(v) => u128::from(v.to_bits()),
            Value::F64(v) => u128::from(v.to_bits()),
            Value::V128(v) => *v,
            Value::FuncRef(v) => v.map_or(0, |f| f.function as usize as u128),
            Value::ExternRef(v) if *v != 0 && is_internal(reference(ty)) => u128::from(self.internalise(*v as u64)?),
            Value::ExternRef(v) => *v as u128,
            Value::AnyRef(None) | Value::ExnRef(None) => 0,
            Value::AnyRef(Some(v)) => {
                let bits = self.internal_bits(v)?;
                u128::from(if is_internal(reference(ty)) { bits } else { self.externalise(bits) })
            }
            Value::ExnRef(Some(v)) => u128::from(self.exn_bits(v)?),
        })
    }

    /// The inverse of [`InstanceData::bits`]. Bits beyond the type's size are ignored.
    ///
    /// References come from compiled code, a global or a table: they are null, or alive.
    pub(crate) fn value(&self, ty: ValType, bits: u128) -> Value {
        let ty = match ty {
            ValType::I32 => return Value::I32(bits as i32),
            ValType::I64 => return Value::I64(bits as i64),
            ValType::F32 => return Value::F32(f32::from_bits(bits as u32)),
            ValType::F64 => return Value::F64(f64::from_bits(bits as u64)),
            ValType::V128 => return Value::V128(bits),
            ValType::Ref(ty) => ty,
        };
        let bits = bits as u64;
        let internal = |bits| match self.internal(bits) {
            None => Value::AnyRef(None),
            Some(Internal::App(reference)) => Value::AnyRef(Some(reference)),
            Some(Internal::Host(value)) => Value::ExternRef(value),
        };
        match ty.heap.hierarchy() {
            Hierarchy::Func => {
                let pointer = bits as usize as *const VmFuncRef;
                let engine = self.engine().number();
                Value::FuncRef((!pointer.is_null()).then_some(FuncRef { function: pointer, engine }))
            }
            Hierarchy::Extern if bits & EXTERNAL_MASK == EXTERNAL_TAG => internal(bits & !EXTERNAL_MASK),
            Hierarchy::Extern => Value::ExternRef(bits as usize),
            Hierarchy::Any => internal(bits),
            Hierarchy::Exn => Value::ExnRef(self.exn(bits)),
        }
    }

    /// Why values do not fit a function's parameters, if they do not.
    pub(crate) fn mismatch(&self, ty: &FuncType, values: &[Value]) -> Option<String> {
        if values.len() != ty.params.len() {
            return Some(format!("it takes {} arguments, {} given", ty.params.len(), values.len()));
        }
        let wrong = ty.params.iter().zip(values).position(|(&param, value)| !self.accepts(value, param))?;
        let (expected, value) = (ty.params[wrong], &values[wrong]);
        let number = wrong + 1;
        Some(match value {
            Value::ExternRef(bits) if *bits as u64 & EXTERNAL_MASK == EXTERNAL_TAG => {
                format!("argument {number} is {bits:#x}: an externref cannot have the upper 16 bits 0xfff7")
            }
            Value::AnyRef(Some(_)) | Value::ExnRef(Some(_))
                if reference(value.ty()).heap.hierarchy() == reference(expected).heap.hierarchy() =>
            {
                format!("argument {number} is not a {expected}, or belongs to instances that this one is not linked to")
            }
            _ => {
                let null = if value.is_null() { "a null " } else { "" };
                format!("argument {number} is {null}{}, expected {expected}", self.describe_value(value))
            }
        })
    }
}

/// The reference type; of another value, one that nothing is.
fn reference(ty: ValType) -> RefType {
    match ty {
        ValType::Ref(ty) => ty,
        _ => RefType { nullable: false, heap: HeapType::NoExtern },
    }
}
