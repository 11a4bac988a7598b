//! Values that the host passes to and gets from wasm functions.

use wasmbridge_artifact::{FuncType, HeapType, RefType, ValType, vmctx::VmFuncRef};

/// A WebAssembly value.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// A value of the host's that the guest can only hand back; 0 is null.
    ExternRef(usize),
}

/// A reference to a function of an instance; valid as long as the instance, and for instances of the same engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuncRef(pub(crate) *const VmFuncRef);

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
        }
    }

    /// Whether it is a value of a type; `type_ids` are the engine's ids of the types that the type's index is among.
    pub(crate) fn is_of(&self, ty: ValType, type_ids: &[u32]) -> bool {
        let ValType::Ref(reference) = ty else { return ty == self.ty() };
        match (self, reference.heap) {
            (Value::FuncRef(None), HeapType::Func | HeapType::Type(_)) | (Value::ExternRef(0), HeapType::Extern) => {
                reference.nullable
            }
            (Value::FuncRef(Some(_)), HeapType::Func) | (Value::ExternRef(_), HeapType::Extern) => true,
            (Value::FuncRef(Some(function)), HeapType::Type(index)) => {
                // SAFETY: a reference is valid as long as its instance, which the host keeps as long as it uses the reference.
                unsafe { (*function.0).type_id == type_ids[index as usize] }
            }
            _ => false,
        }
    }

    /// The value's bits, as they lie in a slot of 16 bytes, a global or a table.
    pub(crate) fn to_bits(self) -> u128 {
        match self {
            Value::I32(v) => u128::from(v as u32),
            Value::I64(v) => u128::from(v as u64),
            Value::F32(v) => u128::from(v.to_bits()),
            Value::F64(v) => u128::from(v.to_bits()),
            Value::V128(v) => v,
            Value::FuncRef(v) => v.map_or(0, |f| f.0 as usize as u128),
            Value::ExternRef(v) => v as u128,
        }
    }

    /// The inverse of [`Value::to_bits`]. Bits beyond the type's size are ignored.
    ///
    /// For a funcref the bits come from compiled code or from a table: null, or the address of a live `VmFuncRef`.
    pub(crate) fn from_bits(ty: ValType, bits: u128) -> Value {
        match ty {
            ValType::I32 => Value::I32(bits as i32),
            ValType::I64 => Value::I64(bits as i64),
            ValType::F32 => Value::F32(f32::from_bits(bits as u32)),
            ValType::F64 => Value::F64(f64::from_bits(bits as u64)),
            ValType::V128 => Value::V128(bits),
            ValType::Ref(ty) if ty.is_function() => {
                let pointer = bits as usize as *const VmFuncRef;
                Value::FuncRef((!pointer.is_null()).then_some(FuncRef(pointer)))
            }
            ValType::Ref(_) => Value::ExternRef(bits as usize),
        }
    }
}

/// Why values do not fit a function's parameters, if they do not; `type_ids` are the engine's ids of the types of the function's module.
pub(crate) fn mismatch(ty: &FuncType, values: &[Value], type_ids: &[u32]) -> Option<String> {
    if values.len() != ty.params.len() {
        return Some(format!("it takes {} arguments, {} given", ty.params.len(), values.len()));
    }
    let wrong = ty.params.iter().zip(values).position(|(&param, value)| !value.is_of(param, type_ids))?;
    let null = matches!(values[wrong], Value::FuncRef(None) | Value::ExternRef(0));
    let (found, null) = (values[wrong].ty(), if null { "a null " } else { "" });
    Some(format!("argument {} is {null}{found}, expected {}", wrong + 1, ty.params[wrong]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_round_trip() {
        for value in [
            Value::I32(-1),
            Value::I64(i64::MIN),
            Value::F32(-0.0),
            Value::F64(1.5),
            Value::V128(u128::MAX - 5),
            Value::FuncRef(None),
            Value::ExternRef(17),
        ] {
            assert_eq!(Value::from_bits(value.ty(), value.to_bits()), value);
        }
    }

    #[test]
    fn references_are_checked_against_their_exact_type() {
        let function = VmFuncRef { code: std::ptr::null(), vmctx: std::ptr::null_mut(), type_id: 7, function: 0 };
        let value = Value::FuncRef(Some(FuncRef(&raw const function)));
        let ty = |nullable, index| ValType::Ref(RefType { nullable, heap: HeapType::Type(index) });
        let type_ids = [5, 7];
        assert!(value.is_of(ty(false, 1), &type_ids) && value.is_of(ty(true, 1), &type_ids));
        assert!(!value.is_of(ty(true, 0), &type_ids));
        assert!(value.is_of(ValType::Ref(RefType::FUNC), &type_ids));
        assert!(!value.is_of(ValType::Ref(RefType::EXTERN), &type_ids));
        assert!(Value::FuncRef(None).is_of(ty(true, 0), &type_ids));
        let params = FuncType { params: vec![ty(false, 0)], results: vec![] };
        assert_eq!(
            mismatch(&params, &[Value::FuncRef(None)], &type_ids).as_deref(),
            Some("argument 1 is a null funcref, expected (ref 0)")
        );
    }
}
