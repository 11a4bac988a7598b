//! Typedef names.
use super::PrototypeError;

/// Typedef names that prototypes may use, beside those of the C library that are known anyway.
#[derive(Debug, Clone, Default)]
pub struct TypeNames {}

impl TypeNames {
    /// No names but the known ones.
    pub fn new() -> TypeNames {
        TypeNames::default()
    }

    /// Makes `name` a name for the C type that `text` spells, such as `unsigned long long` or `int (*)(void *, int)`.
    ///
    /// # Errors
    /// [`PrototypeError`] if the text is not a C type or `name` is not an identifier.
    pub fn define(&mut self, _name: &str, _text: &str) -> Result<(), PrototypeError> {
        todo!("being written")
    }
}
