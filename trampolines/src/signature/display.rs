//! The canonical text of a signature: valid C but for the annotations, without names but those that expressions need.

use super::{CType, Crossing, Direction, Expr, Member, MemberType, Record, Scope, Signature, Value};
use std::collections::BTreeSet;
use std::fmt;

impl fmt::Display for Signature {
    /// Equal signatures print alike, and parsing the text gives an equal signature. Parameters that an expression uses are called
    /// `a1`, `a2` and so on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.declare(String::new()))
    }
}

impl fmt::Display for CType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.declare(String::new()))
    }
}

impl Signature {
    /// The declaration of `declarator` as a function of this signature.
    fn declare(&self, declarator: String) -> String {
        let mut used = BTreeSet::new();
        for param in &self.params {
            if let Some(count) = param.count() {
                count.operands(&mut used);
            }
        }
        let params = self.params.iter().enumerate().map(|(i, param)| {
            let name = if used.contains(&(i as u32)) { format!("a{}", i + 1) } else { String::new() };
            param.declare(name)
        });
        let params: Vec<String> = params.collect();
        let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        let function = format!("{declarator}({params})");
        match &self.result {
            None => join("void", function),
            Some(result) => {
                let annotation = result.annotation();
                result.declare_as(if annotation.is_empty() { function } else { format!("{function} {annotation}") })
            }
        }
    }
}

impl Value {
    fn declare(&self, name: String) -> String {
        self.declare_as(format!("{name}{}", self.annotation()))
    }

    fn declare_as(&self, declarator: String) -> String {
        let opaque = |name: &str, stars: &str| join(name, format!("{stars}{declarator}"));
        match &self.crossing {
            Crossing::Scalar(scalar) => join(&scalar.to_string(), declarator),
            Crossing::Pointer { pointee, .. } | Crossing::Extent { element: pointee, .. } => {
                pointee.pointer(declarator)
            }
            Crossing::User => opaque("void", "*"),
            Crossing::Function { signature, .. } => signature.declare(format!("(*{declarator})")),
            Crossing::Handle { type_name } => opaque(type_name, "*"),
            Crossing::HandleArray { type_name, .. } => opaque(type_name, "**"),
            Crossing::Str => opaque("char", "*"),
            Crossing::Struct(record) => join(&record.to_string(), declarator),
            Crossing::StrArray { .. } => opaque("char", "**"),
        }
    }

    /// The count of its annotation.
    fn count(&self) -> Option<&Expr> {
        match &self.crossing {
            Crossing::HandleArray { count, .. } | Crossing::StrArray { count } | Crossing::Extent { count, .. } => {
                Some(count)
            }
            _ => None,
        }
    }

    fn annotation(&self) -> String {
        let counted = |word: &str, count: &Expr| format!("{word}: {}", Spelled(count, 0));
        let what = match &self.crossing {
            Crossing::Scalar(_) | Crossing::Pointer { .. } | Crossing::Struct(_) => String::new(),
            Crossing::User => "user".to_owned(),
            Crossing::Function { scope, .. } => match scope {
                Scope::Call => "scope: call".to_owned(),
                Scope::Once => "scope: once".to_owned(),
                Scope::Until(function) => format!("scope: until {function}"),
                Scope::Forever => String::new(),
            },
            Crossing::Handle { .. } => "handle".to_owned(),
            Crossing::HandleArray { count, .. } => counted("handle", count),
            Crossing::Str => "str".to_owned(),
            Crossing::StrArray { count } => counted("str", count),
            Crossing::Extent { direction, count, .. } => match direction {
                Direction::In => counted("in", count),
                Direction::Out => counted("out", count),
                Direction::InOut => counted("inout", count),
            },
        };
        match (what.is_empty(), self.nonnull) {
            (true, false) => String::new(),
            (true, true) => "[nonnull]".to_owned(),
            (false, false) => format!("[{what}]"),
            (false, true) => format!("[{what}, nonnull]"),
        }
    }
}

impl CType {
    fn declare(&self, declarator: String) -> String {
        match self {
            CType::Void => join("void", declarator),
            CType::Scalar(scalar) => join(&scalar.to_string(), declarator),
            CType::Opaque(name) => join(name, declarator),
            CType::Pointer(pointee) => pointee.pointer(declarator),
            CType::Function(signature) => signature.declare(declarator),
            CType::Array(element, len) => element.declare(format!("{declarator}[{len}]")),
            CType::Record(record) => join(&record.to_string(), declarator),
        }
    }

    /// The declaration of `declarator` as a pointer to this type.
    fn pointer(&self, declarator: String) -> String {
        match self {
            CType::Function(_) | CType::Array(..) => self.declare(format!("(*{declarator})")),
            _ => self.declare(format!("*{declarator}")),
        }
    }
}

impl fmt::Display for Record {
    /// Its definition, without a tag; the members are called `m1`, `m2` and so on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.union { "union {" } else { "struct {" })?;
        for (i, member) in self.members.iter().enumerate() {
            let name = if member.is_padding() { String::new() } else { format!("m{}", i + 1) };
            write!(f, " {}", member.declare(name))?;
        }
        f.write_str(" }")
    }
}

impl Member {
    fn declare(&self, name: String) -> String {
        let bits = self.bits.map(|bits| format!(" : {}", bits.width)).unwrap_or_default();
        format!("{}{bits};", self.ty.declare(name))
    }
}

impl MemberType {
    fn declare(&self, declarator: String) -> String {
        match self {
            MemberType::Value(value) => value.declare(declarator),
            MemberType::Record(record) => join(&record.to_string(), declarator),
            MemberType::Array(element, len) => element.declare(format!("{declarator}[{len}]")),
        }
    }
}

/// A type's name before a declarator, as people write it: `int a`, `char *a`, `int[4]`.
fn join(name: &str, declarator: String) -> String {
    let gap = if declarator.is_empty() || declarator.starts_with('[') { "" } else { " " };
    format!("{name}{gap}{declarator}")
}

impl Expr {
    fn operands(&self, into: &mut BTreeSet<u32>) {
        match self {
            Expr::Const(_) => {}
            Expr::Param(index) | Expr::Deref(index) => {
                into.insert(*index);
            }
            Expr::Add(a, b) | Expr::Sub(a, b) | Expr::Mul(a, b) => {
                a.operands(into);
                b.operands(into);
            }
        }
    }
}

/// An expression, in parentheses if it binds less than its place needs. A place's number: 0 alone or left of `+` and `-`, 1 right of
/// them, 2 left of `*`, 3 right of it. A sum binds 0, a product 2.
struct Spelled<'a>(&'a Expr, u8);

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Spelled(expr, needed) = self;
        let binary = |f: &mut fmt::Formatter<'_>, a, operator, b, binds: u8| {
            let (left, right) = (Spelled(a, binds), Spelled(b, binds + 1));
            if needed > binds {
                write!(f, "({left} {operator} {right})")
            } else {
                write!(f, "{left} {operator} {right}")
            }
        };
        match expr {
            Expr::Const(value) => write!(f, "{value}"),
            Expr::Param(index) => write!(f, "a{}", index + 1),
            Expr::Deref(index) => write!(f, "*a{}", index + 1),
            Expr::Add(a, b) => binary(f, a, '+', b, 0),
            Expr::Sub(a, b) => binary(f, a, '-', b, 0),
            Expr::Mul(a, b) => binary(f, a, '*', b, 2),
        }
    }
}
