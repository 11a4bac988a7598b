//! What a prototype says, before anybody asks whether it can cross.
//!
//! All of C's types that can stand in a prototype are here, also those that cannot cross yet, so that they are refused by name.

use crate::signature::{Direction, OnThread, OnTrap, Scalar, Scope, WhilePending};
use std::sync::Arc;

/// A parameter, or the declared function.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    /// byte offset of its first token
    pub(crate) at: usize,
    pub(crate) name: Option<String>,
    pub(crate) ty: Type,
    pub(crate) annotations: Vec<Annotation>,
}

/// A C type. Of qualifiers, only `const` is kept: C says by it that it does not write.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    Void,
    Scalar(Scalar),
    /// An arithmetic type that cannot cross yet, by its C name.
    Wide(&'static str),
    /// `struct tag` or `union tag`, with its members if they are known; the tag may be missing then
    Record {
        keyword: &'static str,
        tag: Option<String>,
        members: Option<Arc<[Member]>>,
    },
    /// a typedef name that nobody defined
    Unknown(String),
    /// a typedef name that the host defined
    Typedef(Arc<Type>),
    Const(Box<Type>),
    Pointer(Box<Type>),
    Array {
        element: Box<Type>,
        len: Option<Expr>,
        /// `[static n]`: an argument has at least so many elements.
        at_least: bool,
    },
    Function(Box<Function>),
    /// `...`, in the place of a parameter
    Ellipsis,
}

/// A function type.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) params: Vec<Declaration>,
    pub(crate) result: Type,
    /// annotations of the result, and of the function itself
    pub(crate) annotations: Vec<Annotation>,
}

/// A member of a struct or union.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) declaration: Declaration,
    /// of a bit-field, how many bits
    pub(crate) bits: Option<Expr>,
}

/// An annotation.
#[derive(Debug, Clone)]
pub(crate) struct Annotation {
    pub(crate) at: usize,
    pub(crate) kind: AnnotationKind,
}

#[derive(Debug, Clone)]
pub(crate) enum AnnotationKind {
    User,
    Nonnull,
    Nullable,
    Handle(Option<Length>),
    Str(Option<Length>),
    Extent(Direction, Option<ElementKind>, Option<Length>),
    Valid(Expr),
    Format,
    VarArgs(Vec<Declaration>),
    Shadow,
    Externref,
    Scope(Scope),
    Leaf,
    Trap(OnTrap),
    Pending(WhilePending),
    Thread(OnThread),
    Default(i64),
    Unwind,
    /// whether the app may write
    Window(bool),
}

/// What the elements of an array are, where their C type does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementKind {
    Handle,
    Str,
    User,
    Shadow,
    /// `in`, `out` or `inout`: pointers to memory that whoever gets them uses in this direction; the length is that memory's
    To(Direction),
}

/// How long an array is.
#[derive(Debug, Clone)]
pub(crate) enum Length {
    Count(Expr),
    /// up to the first NULL
    Terminated,
}

impl AnnotationKind {
    /// The word it begins with.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            AnnotationKind::User => "user",
            AnnotationKind::Nonnull => "nonnull",
            AnnotationKind::Nullable => "nullable",
            AnnotationKind::Handle(_) => "handle",
            AnnotationKind::Str(_) => "str",
            AnnotationKind::Extent(direction, ..) => direction.word(),
            AnnotationKind::Valid(_) => "valid",
            AnnotationKind::Format => "format",
            AnnotationKind::VarArgs(_) => "varargs",
            AnnotationKind::Shadow => "shadow",
            AnnotationKind::Externref => "externref",
            AnnotationKind::Scope(_) => "scope",
            AnnotationKind::Leaf => "leaf",
            AnnotationKind::Trap(_) => "trap",
            AnnotationKind::Pending(_) => "pending",
            AnnotationKind::Thread(_) => "thread",
            AnnotationKind::Default(_) => "default",
            AnnotationKind::Unwind => "unwind",
            AnnotationKind::Window(_) => "window",
        }
    }
}

/// An expression in an annotation or as an array's length.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Const(u64),
    Name {
        name: String,
        at: usize,
    },
    Deref {
        name: String,
        at: usize,
    },
    /// `return`: the function's result
    Result {
        at: usize,
    },
    Binary {
        operator: Operator,
        left: Box<Expr>,
        right: Box<Expr>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Sub,
    Mul,
}

impl Type {
    /// The type that a name defined by the host stands for, without `const`.
    pub(crate) fn resolve(&self) -> &Type {
        let mut ty = self;
        loop {
            ty = match ty {
                Type::Typedef(target) => target,
                Type::Const(target) => target,
                _ => return ty,
            };
        }
    }

    /// Whether it is a name that the host defined.
    pub(crate) fn is_named(&self) -> bool {
        match self {
            Type::Typedef(_) => true,
            Type::Const(ty) => ty.is_named(),
            _ => false,
        }
    }

    /// Whether an object of it is not written to.
    pub(crate) fn is_const(&self) -> bool {
        match self {
            Type::Const(_) => true,
            Type::Typedef(target) => target.is_const(),
            Type::Array { element, .. } => element.is_const(),
            _ => false,
        }
    }
}

impl Expr {
    /// Its value, if it has no names in it and does not overflow.
    pub(crate) fn constant(&self) -> Option<u64> {
        match self {
            Expr::Const(value) => Some(*value),
            Expr::Name { .. } | Expr::Deref { .. } | Expr::Result { .. } => None,
            Expr::Binary { operator, left, right } => {
                let (left, right) = (left.constant()?, right.constant()?);
                match operator {
                    Operator::Add => left.checked_add(right),
                    Operator::Sub => left.checked_sub(right),
                    Operator::Mul => left.checked_mul(right),
                }
            }
        }
    }
}
