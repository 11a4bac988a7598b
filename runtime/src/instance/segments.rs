//! Constant expressions, and the instructions on segments.

use super::InstanceData;
use crate::crossing::Refused;
use wasmbridge_artifact::module::{ConstExpr, ConstOp, ElementItems};
use wasmbridge_artifact::vmctx::value_size;

impl InstanceData {
    /// The value of a constant expression, as it lies in a global; the module is valid, so the expression is.
    pub(super) fn evaluate(&self, expr: &ConstExpr) -> u128 {
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
            }
        }
        stack.pop().unwrap_or(0)
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

    /// The values of an element segment.
    pub(super) fn element_values(&self, items: &ElementItems) -> Vec<u64> {
        match items {
            ElementItems::Functions(functions) => {
                let funcref = |&f| self.funcref(f).expect("functions in segments escape") as u64;
                functions.iter().map(funcref).collect()
            }
            ElementItems::Expressions(expressions) => expressions.iter().map(|e| self.evaluate(e) as u64).collect(),
        }
    }

    /// `memory.init`; why not, if it is out of bounds.
    pub(crate) fn memory_init(&self, memory: u32, segment: u32, dst: u64, src: u64, len: u64) -> Result<(), Refused> {
        let data = match self.dropped_data.borrow()[segment as usize] {
            true => &[],
            false => {
                let segment = &self.module.metadata().data[segment as usize];
                &self.module.data()[segment.start as usize..segment.end as usize]
            }
        };
        let end = src.checked_add(len).filter(|&end| end <= data.len() as u64).ok_or_else(|| {
            format!("{len} bytes from {src} on are not in data segment {segment} of {} bytes", data.len())
        })?;
        self.memory(memory).bytes(dst, len, true)?.write(&data[src as usize..end as usize])
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
        self.table(table).write(dst, &values[src as usize..end as usize])
    }

    /// `elem.drop`
    pub(crate) fn elem_drop(&self, segment: u32) {
        self.elements.borrow_mut()[segment as usize] = Vec::new();
    }
}
