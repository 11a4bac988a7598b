//! Constant expressions, and the instructions on segments.

use super::InstanceData;
use crate::crossing::Refused;
use crate::error::Error;
use crate::gc::{Object, set};
use wasmbridge_artifact::TrapCode;
use wasmbridge_artifact::gc;
use wasmbridge_artifact::module::{ConstExpr, ConstOp, ElementItems};
use wasmbridge_artifact::vmctx::value_size;

impl InstanceData {
    /// The value of a constant expression, as it lies in a global; the module is valid, so the expression is.
    ///
    /// # Errors
    /// The trap, if there is no room for an object.
    pub(super) fn evaluate(&self, expr: &ConstExpr) -> Result<u128, Error> {
        let no_room = || self.trap(TrapCode::AllocationTooLarge, None);
        let mut stack: Vec<u128> = Vec::with_capacity(expr.0.len());
        let binary = |stack: &mut Vec<u128>, op: fn(u64, u64) -> u64, mask: u64| {
            if let (Some(b), Some(a)) = (stack.pop(), stack.pop()) {
                stack.push(u128::from(op(a as u64, b as u64) & mask));
            }
        };
        const I32: u64 = 0xffff_ffff;
        for op in &expr.0 {
            match *op {
                ConstOp::I32Const(value) => stack.push(u128::from(value as u32)),
                ConstOp::I64Const(value) => stack.push(u128::from(value as u64)),
                ConstOp::F32Const(bits) => stack.push(u128::from(bits)),
                ConstOp::F64Const(bits) => stack.push(u128::from(bits)),
                ConstOp::V128Const(bits) => stack.push(bits),
                ConstOp::RefNull(_) => stack.push(0),
                ConstOp::RefFunc(function) => {
                    let funcref = self.funcref(function).expect("functions named in constants escape");
                    stack.push(funcref as usize as u128);
                }
                ConstOp::GlobalGet(index) => stack.push(self.global_bits(index)),
                ConstOp::I32Add => binary(&mut stack, u64::wrapping_add, I32),
                ConstOp::I32Sub => binary(&mut stack, u64::wrapping_sub, I32),
                ConstOp::I32Mul => binary(&mut stack, u64::wrapping_mul, I32),
                ConstOp::I64Add => binary(&mut stack, u64::wrapping_add, u64::MAX),
                ConstOp::I64Sub => binary(&mut stack, u64::wrapping_sub, u64::MAX),
                ConstOp::I64Mul => binary(&mut stack, u64::wrapping_mul, u64::MAX),
                ConstOp::StructNew(ty) => {
                    let object = self.struct_new(ty).ok_or_else(no_room)?;
                    fill(object, stack.split_off(stack.len() - self.module.metadata().struct_type(ty).len()));
                    stack.push(object.as_ptr() as u128);
                }
                ConstOp::StructNewDefault(ty) => {
                    stack.push(self.struct_new(ty).ok_or_else(no_room)?.as_ptr() as u128);
                }
                ConstOp::ArrayNew(ty) => {
                    let (len, value) = (stack.pop().unwrap_or(0) as u32, stack.pop().unwrap_or(0));
                    let array = self.array_new(ty, len).ok_or_else(no_room)?;
                    fill(array, std::iter::repeat_n(value, len as usize));
                    stack.push(array.as_ptr() as u128);
                }
                ConstOp::ArrayNewDefault(ty) => {
                    let len = stack.pop().unwrap_or(0) as u32;
                    stack.push(self.array_new(ty, len).ok_or_else(no_room)?.as_ptr() as u128);
                }
                ConstOp::ArrayNewFixed(ty, len) => {
                    let array = self.array_new(ty, len).ok_or_else(no_room)?;
                    fill(array, stack.split_off(stack.len() - len as usize));
                    stack.push(array.as_ptr() as u128);
                }
                ConstOp::RefI31 => {
                    let value = stack.pop().unwrap_or(0) as u32;
                    stack.push(gc::i31(value).into());
                }
                ConstOp::AnyConvertExtern => {
                    if let Some(reference) = stack.last_mut().filter(|reference| **reference != 0) {
                        *reference = self.internalise(*reference as u64).ok_or_else(no_room)?.into();
                    }
                }
                ConstOp::ExternConvertAny => {
                    if let Some(reference) = stack.last_mut().filter(|reference| **reference != 0) {
                        *reference = self.externalise(*reference as u64).into();
                    }
                }
            }
        }
        Ok(stack.pop().unwrap_or(0))
    }

    /// The bits of a global.
    pub(crate) fn global_bits(&self, index: u32) -> u128 {
        let size = value_size(self.module.metadata().globals[index as usize].content) as usize;
        let mut bytes = [0; 16];
        // SAFETY: globals belong to members of the group; their storage has at least the size of their type.
        unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(self.globals[index as usize], size) };
        u128::from_le_bytes(bytes)
    }

    /// Sets the bits of a global.
    pub(crate) fn set_global_bits(&self, index: u32, bits: u128) {
        let size = value_size(self.module.metadata().globals[index as usize].content) as usize;
        // SAFETY: as in `global_bits`.
        unsafe { self.globals[index as usize].copy_from_nonoverlapping(bits.to_le_bytes().as_ptr(), size) };
    }

    /// The values of an element segment of functions.
    pub(super) fn function_values(&self, functions: &[u32]) -> impl ExactSizeIterator<Item = u64> {
        let funcrefs = self.funcrefs();
        functions.iter().map(move |&f| funcrefs(f).expect("functions in segments escape") as u64)
    }

    /// The values of an element segment.
    pub(super) fn element_values(&self, items: &ElementItems) -> Result<Vec<u64>, Error> {
        match items {
            ElementItems::Functions(functions) => Ok(self.function_values(functions).collect()),
            ElementItems::Expressions(expressions) => {
                expressions.iter().map(|e| Ok(self.evaluate(e)? as u64)).collect()
            }
        }
    }

    /// `memory.init`; why not, if it is out of bounds.
    pub(crate) fn memory_init(&self, memory: u32, segment: u32, dst: u64, src: u64, len: u64) -> Result<(), Refused> {
        let source = self.segment_bytes(segment, src, len)?;
        self.memory(memory).bytes(dst, len, true)?.write(source)
    }

    /// Bytes of a data segment; why not, if it has not so many.
    pub(crate) fn segment_bytes(&self, segment: u32, from: u64, len: u64) -> Result<&[u8], Refused> {
        let data = match self.dropped_data.borrow()[segment as usize] {
            true => &[],
            false => {
                let segment = &self.module.metadata().data[segment as usize];
                &self.module.data()[segment.start as usize..segment.end as usize]
            }
        };
        let end = from.checked_add(len).filter(|&end| end <= data.len() as u64).ok_or_else(|| {
            format!("{len} bytes from {from} on are not in data segment {segment} of {} bytes", data.len())
        })?;
        Ok(&data[from as usize..end as usize])
    }

    /// The values of an element segment that has not been dropped.
    pub(crate) fn segment_values<T>(&self, segment: u32, see: impl FnOnce(&[u64]) -> T) -> T {
        // While the module is being instantiated, they are not there yet.
        see(self.elements.borrow().get(segment as usize).map_or(&[], Vec::as_slice))
    }

    /// `data.drop`
    pub(crate) fn data_drop(&self, segment: u32) {
        self.dropped_data.borrow_mut()[segment as usize] = true;
    }

    /// `table.init`; `None` if it is out of bounds.
    pub(crate) fn table_init(&self, table: u32, segment: u32, dst: u64, src: u64, len: u64) -> Option<()> {
        let elements = self.elements.borrow();
        let values = &elements[segment as usize];
        let end = src.checked_add(len).filter(|&end| end <= values.len() as u64)?;
        self.table(table).write(dst, values[src as usize..end as usize].iter().copied())
    }

    /// `elem.drop`
    pub(crate) fn elem_drop(&self, segment: u32) {
        self.elements.borrow_mut()[segment as usize] = Vec::new();
    }
}

/// Sets the fields or elements of a fresh object.
fn fill(object: Object, values: impl IntoIterator<Item = u128>) {
    for (place, value) in values.into_iter().enumerate() {
        set(object, place, value);
    }
}
