//! The host's access to an app's tables.

use super::{Instance, InstanceData};
use crate::error::{Error, ErrorKind};
use crate::table::Table;
use crate::value::Value;
use wasmbridge_artifact::module::ExternIndex;
use wasmbridge_artifact::{TrapCode, ValType};

impl Instance {
    /// The number of elements of an exported table.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Busy`] on a thread that does not own the instance.
    pub fn table_len(&self, name: &str) -> Result<u64, Error> {
        Ok(self.exported_table(name)?.len())
    }

    /// An element of an exported table.
    ///
    /// # Errors
    /// As for [`Instance::table_len`]; [`ErrorKind::InvalidArgument`] if the table has no such element.
    pub fn table_get(&self, name: &str, index: u64) -> Result<Value, Error> {
        let table = self.exported_table(name)?;
        let bits = table.get(index).ok_or_else(|| outside(name, index, table))?;
        Ok(self.data().value(ValType::Ref(table.ty().element), bits.into()))
    }

    /// Sets an element of an exported table.
    ///
    /// # Errors
    /// As for [`Instance::table_get`]; [`ErrorKind::InvalidArgument`] if the value is of another type than the table's elements.
    pub fn set_table(&self, name: &str, index: u64, value: &Value) -> Result<(), Error> {
        let table = self.exported_table(name)?;
        self.data().with_element(name, table, value, |bits| {
            table.write(index, std::iter::once(bits)).ok_or_else(|| outside(name, index, table))
        })
    }

    /// Grows an exported table by `delta` elements, each of this value: how many it had.
    ///
    /// # Errors
    /// As for [`Instance::set_table`]; [`ErrorKind::Limit`] if the table cannot be as large.
    pub fn grow_table(&self, name: &str, delta: u64, value: &Value) -> Result<u64, Error> {
        let table = self.exported_table(name)?;
        self.data().with_element(name, table, value, |bits| {
            table.grow(delta, bits).ok_or_else(|| {
                let message = format!("table `{name}` of {} elements cannot grow by {delta}", table.len());
                Error::new(ErrorKind::Limit, message)
            })
        })
    }

    fn exported_table(&self, name: &str) -> Result<&Table, Error> {
        self.data().group().check_thread()?;
        match self.data().export(name) {
            Some(ExternIndex::Table(index)) => Ok(self.data().table(index)),
            _ => Err(self.no_export("table", name)),
        }
    }
}

impl InstanceData {
    /// Does something with the bits of a value that is to be an element of a table.
    fn with_element<T>(
        &self,
        name: &str,
        table: &Table,
        value: &Value,
        run: impl FnOnce(u64) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let element = ValType::Ref(table.ty().element);
        if !self.accepts(value, element) {
            let message = format!(
                "the elements of table `{name}` are `{element}`, the value is of type {}",
                self.describe_value(value)
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let heap = self.heap().clone();
        heap.without_collections(|| match self.bits(value, element) {
            Some(bits) => run(bits as u64),
            None => Err(self.trap(TrapCode::AllocationTooLarge, None)),
        })
    }
}

fn outside(name: &str, index: u64, table: &Table) -> Error {
    let message = format!("table `{name}` has {} elements, and none at index {index}", table.len());
    Error::new(ErrorKind::InvalidArgument, message)
}
