//! The types of the objects that handles stand for, by number.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// How the name of a type begins whose objects may only be read by a handle, as prototypes write it.
pub const READ_ONLY: &str = "const ";

/// Numbers of C types. Shapes have them in their code, so whoever makes handles must use the same: a clone of this.
#[derive(Clone, Default)]
pub struct ObjectTypes(Arc<Mutex<HashMap<Box<str>, u32>>>);

impl ObjectTypes {
    /// The number of the type of this name: the same each time, and no other one's. Never 0.
    pub fn number(&self, name: &str) -> u32 {
        let mut numbers = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(&number) = numbers.get(name) {
            return number;
        }
        let number = u32::try_from(numbers.len() + 1).expect("memory has no room for so many names");
        numbers.insert(name.into(), number);
        number
    }
}

impl fmt::Debug for ObjectTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectTypes").finish_non_exhaustive()
    }
}
