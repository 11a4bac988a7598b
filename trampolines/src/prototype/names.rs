//! Typedef names: those that the host gives, and those of the C library that mean the same everywhere.

use super::ast::Type;
use super::error::{Problem, PrototypeError};
use super::parser::Parser;
use super::specifiers;
use crate::signature::{Scalar, lower};
use std::collections::HashMap;
use std::sync::Arc;

/// Typedef names that prototypes may use, beside those of the C library that are known anyway.
///
/// ```
/// use wasmbridge_trampolines::{Signature, TypeNames};
///
/// let mut names = TypeNames::new();
/// names.define("sqlite3_int64", "long long")?;
/// names.define("row_fn", "int (*)(void *arg[user], sqlite3_int64 row)")?;
/// let signature = Signature::parse_with("void rows(row_fn each, void *arg[user])", &names)?;
/// assert_eq!(signature, Signature::parse("void (int (*)(void *[user], int64_t), void *[user])")?);
/// # Ok::<(), wasmbridge_trampolines::PrototypeError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TypeNames {
    defined: HashMap<String, Arc<Type>>,
    tags: HashMap<String, Arc<Type>>,
}

impl TypeNames {
    /// No names but the known ones.
    pub fn new() -> TypeNames {
        TypeNames::default()
    }

    /// Makes `name` a name for the C type that `text` spells, such as `unsigned long long`, `struct { int x, y; }` or
    /// `int (*)(void *, int)`; the text may also be the header's, `typedef struct point { int x, y; } point;`. It may use names and tags
    /// defined before. A name or tag that is defined again means the new type from then on.
    ///
    /// # Errors
    /// [`PrototypeError`] if the text is not a C type or `name` is not an identifier.
    pub fn define(&mut self, name: &str, text: &str) -> Result<(), PrototypeError> {
        if !is_identifier(name) {
            let problem = Problem::Syntax { found: format!("`{name}`"), expected: "a name for a type".to_owned() };
            return Err(PrototypeError::new(name, 0, problem));
        }
        let (mut ty, tags) = Parser::new(text, self)?.type_name(name)?;
        lower::check(text, &ty)?;
        let mut named = &mut ty;
        while let Type::Const(inner) = named {
            named = inner;
        }
        if let Type::Record { tag: tag @ None, .. } = named {
            *tag = Some(name.to_owned());
        }
        self.tags.extend(tags.into_iter().map(|(tag, ty)| (tag, Arc::new(ty))));
        self.defined.insert(name.to_owned(), Arc::new(ty));
        Ok(())
    }

    /// The type of a name.
    pub(super) fn get(&self, name: &str) -> Option<Type> {
        let defined = || self.defined.get(name).map(|ty| Type::Typedef(ty.clone()));
        defined().or_else(|| known(name).map(Type::Scalar))
    }

    /// The struct or union of a tag.
    pub(super) fn tag(&self, tag: &str) -> Option<Type> {
        self.tags.get(tag).map(|ty| Type::Typedef(ty.clone()))
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !specifiers::is_keyword(name)
}

/// The names of the C library and of POSIX that have one meaning on a 64-bit host and one in wasi-libc.
fn known(name: &str) -> Option<Scalar> {
    Some(match name {
        "bool" => Scalar::Bool,
        "int8_t" | "int_least8_t" | "int_fast8_t" => Scalar::CHAR,
        "uint8_t" | "uint_least8_t" | "uint_fast8_t" | "char8_t" => Scalar::UCHAR,
        "int16_t" | "int_least16_t" => Scalar::SHORT,
        "uint16_t" | "uint_least16_t" | "char16_t" => Scalar::USHORT,
        "int32_t" | "int_least32_t" | "wchar_t" => Scalar::INT,
        "uint32_t" | "uint_least32_t" | "char32_t" | "wint_t" => Scalar::UINT,
        "ssize_t" | "ptrdiff_t" | "intptr_t" => Scalar::LONG,
        "size_t" | "uintptr_t" => Scalar::ULONG,
        // `time_t` and `off_t` are `long` in a 64-bit host's C and `long long` in wasi-libc: eight bytes on either side.
        "int64_t" | "int_least64_t" | "int_fast64_t" | "intmax_t" | "time_t" | "off_t" | "off64_t" => Scalar::LONG_LONG,
        "uint64_t" | "uint_least64_t" | "uint_fast64_t" | "uintmax_t" => Scalar::ULONG_LONG,
        _ => return None,
    })
}
