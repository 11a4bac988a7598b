//! The model of a C function that everything else works from.
//!
//! A [`Signature`] says of each parameter and of the result how it crosses ([`Crossing`]). It is canonical: names of parameters and
//! of the function, qualifiers and typedef names do not take part in comparing, so two spellings of one signature are equal, hash
//! alike and print alike, and share one shape.
//!
//! `lower` makes it from a parsed prototype. Nothing here knows a processor ([`abi`](crate::abi)) or code ([`shape`](crate::shape)).

mod ctype;
mod display;
mod extent;
pub mod format;
pub(crate) mod lower;
mod policy;
mod record;
mod scalar;

pub use ctype::CType;
pub use extent::{Direction, Element, Expr, Extent, Length, Operand};
pub use policy::{OnThread, OnTrap, Policy, WhilePending};
pub use record::{BitField, Layout, Leaf, MAX_BY_VALUE, MAX_CONVERTED, Member, MemberType, Part, Record, Sibling};
pub use scalar::{Int, Scalar};

use crate::prototype::{PrototypeError, TypeNames};
use crate::shape::ShapeKind;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use wasmbridge_artifact::{FuncType, RefType, ValType};

/// A C function's type, with how each value crosses. Comparing ignores its name and the names of its parameters.
#[derive(Debug, Clone)]
pub struct Signature {
    /// the function's name, if the prototype has one; of a function behind a pointer, what the pointer is called
    pub name: Option<String>,
    /// parameters
    pub params: Vec<Value>,
    /// the result; `None` for `void`
    pub result: Option<Value>,
    /// `[leaf]`: the C function calls nothing of the app's, and returns to its caller.
    pub leaf: bool,
    /// `[unwind]`: the function's frames, and those of what it calls, may be skipped when a callback traps
    pub unwind: bool,
}

/// A parameter, or the result. Comparing ignores its name, and whether it is `const`.
#[derive(Debug, Clone)]
pub struct Value {
    /// the parameter's name, if the prototype has one
    pub name: Option<String>,
    /// how it crosses
    pub crossing: Crossing,
    /// `[nonnull]`: NULL is refused. Only on values that are pointers in C.
    pub nonnull: bool,
    /// `[window]`: data that a callback is shown in place where that can be. Only on extents.
    pub window: bool,
    /// Whether C says that it does not write through this pointer. Comparing ignores it.
    pub is_const: bool,
}

/// How a value crosses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Crossing {
    /// A number: normalised by its C type, widened going out, range-checked coming in.
    Scalar(Scalar),
    /// `T *`: translated and checked; NULL is guest address 0.
    Pointer {
        /// what it points to; never a type that differs between the two sides
        pointee: CType,
        /// Bytes that must lie in memory from the pointer on: `sizeof` the pointee, at least 1. 1 where the size is not known.
        pointee_size: u32,
    },
    /// `[user]`: 32 bits of the guest's that C carries around, never translated.
    User,
    /// A pointer to a function: a table index in the guest.
    Function {
        /// the function's signature
        signature: Box<Signature>,
        /// how long the other side keeps it
        scope: Scope,
        /// what it does where it cannot simply run
        policy: Policy,
    },
    /// `[handle]`: a checked 32-bit name of a native object.
    Handle {
        /// the C type behind the pointer; with `const `, if it is that
        type_name: String,
        /// `[scope: call]`: when the call returns, the object is gone
        ends: bool,
    },
    /// `[externref]`: a handle in an `externref`, which the app can keep in tables and globals, and not make up.
    Externref {
        /// as of a handle
        type_name: String,
        /// as of a handle
        ends: bool,
    },
    /// `[str]`: a string that ends with a zero byte.
    Str,
    /// `[in: n]`, `[out: n]`, `[inout: n]`, `[str: n]`, `[handle: n]`: a pointer to so many elements.
    Extent(Extent),
    /// `[shadow]`: a struct of the app's that C keeps. C has a native one that stands for it; they are kept alike.
    Shadow {
        /// the struct's name
        type_name: String,
        /// its members; `None` where only the name is known: then it is one that C has already
        record: Option<Arc<Record>>,
        /// how long C keeps it; `None` if nothing is said
        scope: Option<Scope>,
    },
    /// `...` or a `va_list`: in wasm, the address of packed slots.
    VarArgs {
        /// whether it is `...`
        ellipsis: bool,
        /// what they are
        args: VarArgs,
    },
    /// A struct or union by value: converted member by member, its padding zero. In wasm it is the one scalar in it, or an address.
    Struct(Arc<Record>),
}

/// What the variable arguments of a call are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VarArgs {
    /// what the format says that is the parameter of this number
    Format(u32),
    /// As a function without variable arguments would have them: its parameters are all of this one's, with user data in the place of `...`, and
    /// then the listed ones.
    Listed(Box<Signature>),
}

/// How long a function pointer is kept by who gets it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Scope {
    /// until the call returns
    Call,
    /// until it has been called once
    Once,
    /// until the function of this name is called with it
    Until(String),
    /// for good
    #[default]
    Forever,
}

impl Signature {
    /// Parses a prototype that uses no typedef names of the host's.
    ///
    /// # Errors
    /// [`PrototypeError`], with the place and what was expected there.
    pub fn parse(text: &str) -> Result<Signature, PrototypeError> {
        Signature::parse_with(text, &TypeNames::new())
    }

    /// Parses a prototype.
    ///
    /// # Errors
    /// [`PrototypeError`], with the place and what was expected there.
    pub fn parse_with(text: &str, names: &TypeNames) -> Result<Signature, PrototypeError> {
        crate::prototype::parse(text, names)
    }

    /// Lengths among the listed arguments may depend on the result.
    pub(crate) fn give_result_to_listed(&mut self) {
        for param in &mut self.params {
            if let Crossing::VarArgs { args: VarArgs::Listed(full), .. } = &mut param.crossing {
                full.result.clone_from(&self.result);
            }
        }
    }

    /// Names the function.
    pub(crate) fn set_name(&mut self, name: Option<&str>) {
        self.name = name.map(str::to_owned);
        for param in &mut self.params {
            if let Crossing::VarArgs { args: VarArgs::Listed(full), .. } = &mut param.crossing {
                full.name = name.map(str::to_owned);
            }
        }
    }

    /// Whether it and its parameters have the same names as an equal one.
    pub fn has_names_of(&self, other: &Signature) -> bool {
        self.name == other.name && self.params.iter().zip(&other.params).all(|(param, other)| param.name == other.name)
    }

    /// The type that the wasm function has.
    pub fn wasm_type(&self) -> FuncType {
        let mut params: Vec<ValType> = self.params.iter().map(Value::wasm_type).collect();
        let mut results: Vec<ValType> = self.result.iter().map(Value::wasm_type).collect();
        if self.returns_by_address() {
            // The address of where the result is to go comes first.
            params.splice(0..0, results.drain(..));
        }
        FuncType { params, results }
    }

    /// The number of the parameter that stands for variable arguments, whether that is `...`, and what they are.
    pub fn var_args(&self) -> Option<(usize, bool, &VarArgs)> {
        self.params.iter().enumerate().find_map(|(index, param)| match &param.crossing {
            Crossing::VarArgs { ellipsis, args } => Some((index, *ellipsis, args)),
            _ => None,
        })
    }

    /// The parameters with the variable arguments that are listed.
    pub fn with_listed(&self) -> &Signature {
        match self.var_args() {
            Some((_, _, VarArgs::Listed(full))) => full,
            _ => self,
        }
    }

    /// Whether the wasm function gets an address to write its result to: that is how the wasm C ABI returns a struct, unless it has
    /// but one scalar in it.
    pub fn returns_by_address(&self) -> bool {
        matches!(&self.result, Some(Value { crossing: Crossing::Struct(record), .. }) if record.single().is_none())
    }

    /// Whether handles are among the parameters.
    pub fn has_handles(&self) -> bool {
        self.params.iter().any(|param| matches!(param.crossing, Crossing::Handle { .. }))
    }

    /// Whether a callback is shown data in place: [`Value::window`].
    pub fn shows_windows(&self) -> bool {
        self.params.iter().any(|param| param.window)
    }

    /// Whether a shape of this kind converts values in an array of slots, by a builtin before the call and one after it,
    /// because not all of them are converted inline.
    pub fn needs_slots(&self, kind: ShapeKind) -> bool {
        // Shapes ask for handles themselves, those of thunks also for the address of a function pointer's callback; no builtin makes a table index
        // of one.
        let inline = |value: &Value, asks: bool| match value.crossing {
            Crossing::Scalar(_) | Crossing::Pointer { .. } | Crossing::User => true,
            Crossing::Function { .. } => asks,
            _ => false,
        };
        let asks = kind == ShapeKind::Thunk;
        !(self.params.iter().all(|v| inline(v, asks) || matches!(v.crossing, Crossing::Handle { ends: false, .. }))
            && self.result.iter().all(|v| inline(v, false) || (!asks && v.is_measured_by_numbers())))
    }

    /// Whether functions are among the parameters that the C function has until it returns.
    pub fn ends_functions(&self) -> bool {
        self.params.iter().any(|param| matches!(param.crossing, Crossing::Function { scope: Scope::Call, .. }))
    }

    /// Whether the result is a pointer of which it is said how much is behind it: that depends on the arguments.
    pub fn has_counted_result(&self) -> bool {
        let result = self.result.as_ref().map(|result| &result.crossing);
        matches!(result, Some(Crossing::Extent(_)))
    }

    /// Refuses what the app cannot do when C calls it by this signature.
    ///
    /// # Errors
    /// Why, with the place.
    pub fn check_callback(&self) -> Result<(), String> {
        let converted = match self.result.as_ref().map(|result| &result.crossing) {
            Some(Crossing::Extent(extent)) => !matches!(extent.element, Element::Alike { .. }),
            _ => false,
        };
        if converted {
            return Err("the result: C would get a copy, because its elements are laid out differently in the app, and nobody knows \
                        how long C needs it"
                .to_owned());
        }
        self.check_functions(Signature::check_import)
    }

    /// Refuses what C cannot do when the app calls it by this signature.
    ///
    /// # Errors
    /// Why, with the place.
    pub fn check_import(&self) -> Result<(), String> {
        self.check_functions(Signature::check_callback)
    }

    /// Looks at the functions among the parameters, which are called the other way.
    fn check_functions(&self, check: fn(&Signature) -> Result<(), String>) -> Result<(), String> {
        for (i, param) in self.params.iter().enumerate() {
            if let Crossing::Function { signature, .. } = &param.crossing {
                let name = param.name.as_ref().map(|name| format!(", `{name}`")).unwrap_or_default();
                check(signature).map_err(|why| format!("parameter {}{name}: {why}", i + 1))?;
            }
        }
        Ok(())
    }
}

impl Crossing {
    /// The number as which a number or user data crosses. User data of the app's comes back as an `unsigned long` that fits.
    pub fn number(&self) -> Option<Scalar> {
        match self {
            Crossing::Scalar(scalar) => Some(*scalar),
            Crossing::User => Some(Scalar::ULONG),
            _ => None,
        }
    }
}

impl Value {
    /// Names it, and a function so, too, that has no name of its own.
    pub(crate) fn with_name(mut self, name: Option<String>) -> Value {
        if let Crossing::Function { signature, .. } = &mut self.crossing
            && signature.name.is_none()
        {
            signature.set_name(name.as_deref());
        }
        self.name = name;
        self
    }

    /// A value that may be NULL if it is a pointer.
    pub(crate) fn new(name: Option<&str>, crossing: Crossing) -> Value {
        Value { name: name.map(str::to_owned), ..Value::of(crossing) }
    }

    /// A value without a name, of which nothing else is said.
    pub fn of(crossing: Crossing) -> Value {
        Value { name: None, crossing, nonnull: false, window: false, is_const: false }
    }

    /// Whether it is memory that lies alike on both sides, whose length is computed from numbers among the arguments.
    fn is_measured_by_numbers(&self) -> bool {
        let Crossing::Extent(Extent { element: Element::Alike { .. }, length: Length::Count(count), .. }) =
            &self.crossing
        else {
            return false;
        };
        let mut all = true;
        count.operands(&mut |operand| all &= matches!(operand, Operand::Param(_)));
        all
    }

    /// The type that carries it in wasm.
    pub fn wasm_type(&self) -> ValType {
        match &self.crossing {
            Crossing::Scalar(scalar) => scalar.wasm_type(),
            Crossing::Struct(record) => record.single().unwrap_or(ValType::I32),
            Crossing::Externref { .. } => ValType::Ref(RefType::EXTERN),
            _ => ValType::I32,
        }
    }
}

impl FromStr for Signature {
    type Err = PrototypeError;

    fn from_str(text: &str) -> Result<Signature, PrototypeError> {
        Signature::parse(text)
    }
}

impl PartialEq for Signature {
    fn eq(&self, other: &Signature) -> bool {
        let of = |s: &Signature| (s.leaf, s.unwind);
        (&self.params, &self.result, of(self)) == (&other.params, &other.result, of(other))
    }
}

impl Eq for Signature {}

impl Hash for Signature {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.params, &self.result, self.leaf, self.unwind).hash(state);
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        (&self.crossing, self.nonnull, self.window) == (&other.crossing, other.nonnull, other.window)
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.crossing, self.nonnull, self.window).hash(state);
    }
}

#[cfg(test)]
mod record_tests;
#[cfg(test)]
mod tests;
