//! Tables.

use crate::error::{Error, ErrorKind};
use std::cell::RefCell;
use wasmbridge_artifact::TableType;
use wasmbridge_artifact::vmctx::TableDef;

/// The most elements a table may have: 80 MB.
const MAX_ELEMENTS: u64 = 10_000_000;

/// A table. Elements are 64 bits, as [`TableDef`] says.
#[derive(Debug)]
pub(crate) struct Table {
    elements: RefCell<Vec<u64>>,
    /// with the engine's id where the element type names a function type
    ty: TableType,
    /// what compiled code reads: in the vmctx of the instance that defines the table
    def: *mut TableDef,
}

impl Table {
    /// Makes a table of `ty`'s minimum, filled with null, and writes its definition.
    ///
    /// # Safety
    /// `def` is valid for as long as the table, and read only by code that runs on the owner's thread.
    pub(crate) unsafe fn new(ty: TableType, def: *mut TableDef) -> Result<Table, Error> {
        let table = Table { elements: RefCell::new(Vec::new()), ty, def };
        if table.grow(ty.minimum, 0).is_none() {
            let message = format!("a table of {} elements is larger than the limit of {MAX_ELEMENTS}", ty.minimum);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        Ok(table)
    }

    /// The type, with the current size as its minimum.
    pub(crate) fn ty(&self) -> TableType {
        TableType { minimum: self.len(), ..self.ty }
    }

    /// What compiled code reads.
    pub(crate) fn def(&self) -> *mut TableDef {
        self.def
    }

    /// Current size in elements.
    pub(crate) fn len(&self) -> u64 {
        self.elements.borrow().len() as u64
    }

    /// The element at an index.
    pub(crate) fn get(&self, index: u64) -> Option<u64> {
        // SAFETY: the definition's base and length are those of `elements`; compiled code also writes elements, by the same
        // pointer, on this thread. Reading through it sees what that code wrote.
        (index < self.len()).then(|| unsafe { *(*self.def).base.add(index as usize) })
    }

    /// Grows by `delta` elements of `value`. The old size, or `None`, and nothing changed.
    pub(crate) fn grow(&self, delta: u64, value: u64) -> Option<u64> {
        let mut elements = self.elements.borrow_mut();
        let old = elements.len() as u64;
        let new = old.checked_add(delta)?;
        if new > self.ty.maximum.unwrap_or(u64::MAX).min(MAX_ELEMENTS) {
            return None;
        }
        elements.try_reserve(delta as usize).ok()?;
        elements.resize(new as usize, value);
        // SAFETY: valid by the promise to `new`.
        unsafe { self.def.write(TableDef { base: elements.as_mut_ptr(), len: new }) };
        Some(old)
    }

    /// Sets `len` elements from `to` on to `value`. `None` if they are not all there, and nothing changed.
    pub(crate) fn fill(&self, to: u64, value: u64, len: u64) -> Option<()> {
        let start = self.span(to, len)?;
        for i in 0..len as usize {
            // SAFETY: inside the table, by `span`.
            unsafe { start.add(i).write(value) };
        }
        Some(())
    }

    /// Copies `values` to `to`. `None` if they do not fit, and nothing changed.
    pub(crate) fn write(&self, to: u64, values: impl ExactSizeIterator<Item = u64>) -> Option<()> {
        let len = values.len();
        let start = self.span(to, len as u64)?;
        for (i, value) in values.take(len).enumerate() {
            // SAFETY: inside the table, by `span`.
            unsafe { start.add(i).write(value) };
        }
        Some(())
    }

    /// Copies `len` elements of `source`, which may be this table. `None` if they are not all there, and nothing changed.
    pub(crate) fn copy(&self, to: u64, source: &Table, from: u64, len: u64) -> Option<()> {
        let (from, to) = (source.span(from, len)?, self.span(to, len)?);
        // SAFETY: both inside their tables, by `span`; `copy` allows overlap.
        unsafe { to.copy_from(from, len as usize) };
        Some(())
    }

    fn span(&self, start: u64, len: u64) -> Option<*mut u64> {
        let end = start.checked_add(len)?;
        // SAFETY: `base` is that of `elements`, and `start` is at most their number.
        (end <= self.len()).then(|| unsafe { (*self.def).base.add(start as usize) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmbridge_artifact::RefType;

    #[test]
    fn growing_keeps_elements_and_stops_at_the_maximum() {
        let mut def = TableDef { base: std::ptr::null_mut(), len: 0 };
        let ty = TableType { element: RefType::FUNC, minimum: 2, maximum: Some(5), table64: false };
        // SAFETY: `def` lives as long as the table.
        let table = unsafe { Table::new(ty, &mut def) }.unwrap();
        assert_eq!(table.write(1, [7].into_iter()), Some(()));
        assert_eq!(table.grow(2, 9), Some(2));
        assert_eq!([0, 1, 2, 3, 4].map(|i| table.get(i)), [Some(0), Some(7), Some(9), Some(9), None]);
        assert_eq!(table.grow(2, 9), None);
        assert_eq!(table.grow(u64::MAX, 9), None);
        assert_eq!(table.copy(0, &table, 1, 3), Some(()));
        assert_eq!([0, 1, 2, 3].map(|i| table.get(i)), [Some(7), Some(9), Some(9), Some(9)]);
        assert_eq!(table.copy(2, &table, 0, 3), None);
        assert_eq!(table.fill(3, 1, 2), None);
        assert_eq!(table.fill(4, 1, 0), Some(()));
        assert_eq!(table.fill(5, 1, 0), None);
    }
}
