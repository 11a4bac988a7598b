//! The canonical text of a signature: valid C but for the annotations, without names but those that expressions need.

use super::VarArgs;
use super::{
    CType, Crossing, Direction, Element, Expr, Extent, Length, Member, MemberType, Record, Scope, Signature, Value,
};
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
        for value in self.with_listed().params.iter().chain(&self.result) {
            value.expressions(&mut |expr, _| expr.operands(&mut |operand| used.extend(operand.param())));
        }
        let name = |i: usize| if used.contains(&(i as u32)) { format!("a{}", i + 1) } else { String::new() };
        let format = match self.var_args() {
            Some((_, _, VarArgs::Format(index))) => Some(*index as usize),
            _ => None,
        };
        // What is written is that a length is read from it, which the list may say.
        let shown = |i: usize| {
            if self.var_args().is_some_and(|(at, ..)| at == i) {
                &self.params[i]
            } else {
                &self.with_listed().params[i]
            }
        };
        let params = (0..self.params.len()).map(|i| match &shown(i).crossing {
            Crossing::VarArgs { ellipsis, args } => {
                let mut text = if *ellipsis { "...".to_owned() } else { "va_list ".to_owned() };
                if let VarArgs::Listed(full) = args {
                    let listed = full.params.iter().enumerate().skip(self.params.len());
                    let listed: Vec<String> = listed.map(|(i, param)| param.declare(name(i), 'a')).collect();
                    text += &format!("[varargs: {}]", listed.join(", "));
                }
                text.trim_end().to_owned()
            }
            Crossing::Str if format == Some(i) => {
                let nonnull = if shown(i).nonnull { ", nonnull" } else { "" };
                shown(i).declare_as(format!("{}[format{nonnull}]", name(i)))
            }
            _ => shown(i).declare(name(i), 'a'),
        });
        let params: Vec<String> = params.collect();
        let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        let function = format!("{declarator}({params})");
        let mut annotation = self.result.as_ref().map(|result| result.annotation('a')).unwrap_or_default();
        if self.leaf {
            annotation.push_str("[leaf]");
        }
        if self.unwind {
            annotation.push_str("[unwind]");
        }
        let function = if annotation.is_empty() { function } else { format!("{function} {annotation}") };
        match &self.result {
            None => join("void", function),
            Some(result) => result.declare_as(function),
        }
    }
}

impl Value {
    fn declare(&self, name: String, prefix: char) -> String {
        self.declare_as(format!("{name}{}", self.annotation(prefix)))
    }

    fn declare_as(&self, declarator: String) -> String {
        self.crossing.declare(declarator)
    }

    /// The count of its annotation.
    pub(crate) fn count(&self) -> Option<&Expr> {
        match &self.crossing {
            Crossing::Extent(Extent { length: Length::Count(count), .. }) => Some(count),
            _ => None,
        }
    }

    /// Calls `visit` with each expression in its annotations, and with whether that of a parameter is computed before the call.
    pub(crate) fn expressions<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr, bool)) {
        if let Crossing::Extent(extent) = &self.crossing {
            extent.expressions(visit);
        }
    }

    /// Its annotations in brackets, if it has any.
    fn annotation(&self, prefix: char) -> String {
        let words = self.words(prefix);
        if words.is_empty() { words } else { format!("[{words}]") }
    }

    /// Its annotations; operands of counts have names that begin with `prefix`.
    fn words(&self, prefix: char) -> String {
        let mut words = Vec::new();
        match &self.crossing {
            Crossing::Scalar(_) | Crossing::Pointer { .. } | Crossing::Struct(_) => {}
            Crossing::User => words.push("user".to_owned()),
            Crossing::Function { scope, policy, .. } => {
                // Forever is what holds where nothing is said.
                if *scope != Scope::Forever {
                    words.push(spelled_scope(scope));
                }
                if !policy.is_silent() {
                    words.push(policy.to_string());
                }
            }
            Crossing::Handle { ends, .. } | Crossing::Externref { ends, .. } => {
                let is_handle = matches!(self.crossing, Crossing::Handle { .. });
                words.push(if is_handle { "handle" } else { "externref" }.to_owned());
                words.extend(ends.then(|| spelled_scope(&Scope::Call)));
            }
            Crossing::Str => words.push("str".to_owned()),
            Crossing::VarArgs { .. } => {}
            Crossing::Extent(extent) => {
                words.push(extent.annotation(prefix));
                if let Some(Crossing::Shadow { scope, .. }) = extent.element.value().map(|value| &value.crossing) {
                    words.extend(scope.as_ref().map(spelled_scope));
                }
            }
            Crossing::Shadow { scope, .. } => {
                words.push("shadow".to_owned());
                words.extend(scope.as_ref().map(spelled_scope));
            }
        }
        if self.window {
            let write = !matches!(&self.crossing, Crossing::Extent(extent) if extent.direction == Direction::In);
            words.push(format!("window: {}", if write { "write" } else { "read" }));
        }
        if self.nonnull {
            words.push("nonnull".to_owned());
        }
        words.join(", ")
    }
}

/// What an annotation says of a scope.
fn spelled_scope(scope: &Scope) -> String {
    match scope {
        Scope::Call => "scope: call".to_owned(),
        Scope::Once => "scope: once".to_owned(),
        Scope::Until(function) => format!("scope: until {function}"),
        Scope::Forever => "scope: forever".to_owned(),
    }
}

impl Crossing {
    /// The declaration of `declarator` as a value of this kind, without its annotation.
    fn declare(&self, declarator: String) -> String {
        let opaque = |name: &str| join(name, format!("*{declarator}"));
        match self {
            Crossing::Scalar(scalar) => join(&scalar.to_string(), declarator),
            Crossing::Pointer { pointee, .. } => pointee.pointer(declarator),
            Crossing::Extent(extent) => extent.declare(declarator),
            Crossing::User => opaque("void"),
            Crossing::Function { signature, .. } => signature.declare(format!("(*{declarator})")),
            Crossing::Handle { type_name, .. } | Crossing::Externref { type_name, .. } => opaque(type_name),
            Crossing::Str => opaque("char"),
            Crossing::VarArgs { ellipsis: true, .. } => "...".to_owned(),
            Crossing::VarArgs { .. } => join("va_list", declarator),
            Crossing::Struct(record) => join(&record.to_string(), declarator),
            Crossing::Shadow { type_name, record: None, .. } => opaque(type_name),
            Crossing::Shadow { type_name, record: Some(record), .. } => {
                join(&record.definition(Some(type_name)), format!("*{declarator}"))
            }
        }
    }
}

impl Extent {
    /// The declaration of `declarator` as a pointer to its elements.
    fn declare(&self, declarator: String) -> String {
        match &self.element {
            Element::Alike { ty, .. } => ty.pointer(declarator),
            Element::Pointers(inner) => inner.declare(format!("*{declarator}")),
            Element::Converted(record) => match record.wrapped() {
                Some(value) => value.declare_as(format!("*{declarator}")),
                None => join(&record.to_string(), format!("*{declarator}")),
            },
        }
    }

    fn annotation(&self, prefix: char) -> String {
        if let Some(inner) = self.inner() {
            return format!("{} {}", self.direction.word(), inner.annotation(prefix));
        }
        let kind = match self.element.value().map(|value| &value.crossing) {
            Some(Crossing::Handle { .. }) => "handle",
            Some(Crossing::Str) => "str",
            Some(Crossing::User) => "user",
            Some(Crossing::Shadow { .. }) => "shadow",
            _ => "",
        };
        let spelled = |expr| Spelled { expr, needed: 0, prefix };
        let one = self.length == Length::Count(Expr::Const(1));
        let words = match (self.direction, kind) {
            // What is meant if nothing else is said.
            (Direction::In, "handle" | "str") if !(one && self.nullable) => kind.to_owned(),
            (direction, "") => direction.word().to_owned(),
            (direction, kind) => format!("{} {kind}", direction.word()),
        };
        let mut text = match &self.length {
            Length::Count(_) if one && self.nullable => words,
            Length::Count(count) if self.nullable => format!("{words}: {}, nullable", spelled(count)),
            Length::Count(count) => format!("{words}: {}", spelled(count)),
            Length::Terminated => format!("{words}: NULL"),
        };
        if let Some(valid) = &self.valid {
            text += &format!(", valid: {}", spelled(valid));
        }
        text
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
        f.write_str(&self.definition(None))
    }
}

impl Record {
    fn definition(&self, tag: Option<&str>) -> String {
        let mut text = if self.union { "union".to_owned() } else { "struct".to_owned() };
        text.extend(tag.map(|tag| format!(" {tag}")));
        text += " {";
        for (i, member) in self.members.iter().enumerate() {
            let name = if member.is_padding() { String::new() } else { format!("m{}", i + 1) };
            text += &format!(" {}", member.declare(name));
        }
        text + " }"
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
            MemberType::Value(value) => value.declare(declarator, 'm'),
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

/// An expression, in parentheses if it binds less than its place needs. A place's number: 0 alone or left of `+` and `-`, 1 right of
/// them, 2 left of `*`, 3 right of it. A sum binds 0, a product 2.
struct Spelled<'a> {
    expr: &'a Expr,
    needed: u8,
    prefix: char,
}

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Spelled { expr, needed, prefix } = self;
        let binary = |f: &mut fmt::Formatter<'_>, a, operator, b, binds: u8| {
            let spelled = |expr, needed| Spelled { expr, needed, prefix };
            let (left, right) = (spelled(a, binds), spelled(b, binds + 1));
            if needed > binds {
                write!(f, "({left} {operator} {right})")
            } else {
                write!(f, "{left} {operator} {right}")
            }
        };
        match expr {
            Expr::Const(value) => write!(f, "{value}"),
            Expr::Param(index) => write!(f, "{prefix}{}", index + 1),
            Expr::Deref(index) => write!(f, "*{prefix}{}", index + 1),
            Expr::Result => f.write_str("return"),
            Expr::Add(a, b) => binary(f, a, '+', b, 0),
            Expr::Sub(a, b) => binary(f, a, '-', b, 0),
            Expr::Mul(a, b) => binary(f, a, '*', b, 2),
        }
    }
}
