//! Extents: how much memory a pointer stands for, as an expression over the other parameters, and what lies there.

use super::{CType, Crossing, Record, Value};
use std::sync::Arc;

/// Memory behind a pointer: `[in: n]`, `[out: n]`, `[inout: n]`, `[str: n]`, `[handle: n]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extent {
    /// which way the elements go
    pub direction: Direction,
    /// how many there are
    pub length: Length,
    /// `[valid: n]`: how many of them mean something after the call. It may use the result.
    pub valid: Option<Expr>,
    /// Whether NULL is allowed however long it is. Otherwise only for a length of 0.
    pub nullable: bool,
    /// what lies there
    pub element: Element,
}

/// How many elements an extent has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Length {
    /// so many
    Count(Expr),
    /// as many as come before a NULL
    Terminated,
}

/// An element of an extent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Element {
    /// It lies alike on both sides: memory that both see is used where it is, other memory is copied byte for byte.
    Alike {
        /// its type
        ty: CType,
        /// bytes in the host's C; 1 for `void`
        size: u32,
    },
    /// Each is converted member by member, so that both sides have an array of their own: what differs between them, and integers that
    /// lengths are computed from, which nobody may change between the check and the use. One that is no struct or union is the
    /// only member of one ([`Record::of_value`]).
    Converted(Arc<Record>),
    /// `[out in: n]`: pointers to memory with an extent of its own, which is computed when the call has returned.
    Pointers(Box<Extent>),
}

impl Element {
    /// Elements that are converted as an argument of this kind would be.
    pub fn of(crossing: Crossing) -> Element {
        Element::Converted(Arc::new(Record::of_value(Value::of(crossing))))
    }

    /// What is converted, if it is no struct or union.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Element::Converted(record) => record.wrapped(),
            Element::Alike { .. } | Element::Pointers(_) => None,
        }
    }

    /// Whether they are pointers: an array of these can end with a NULL.
    pub(crate) fn is_pointer(&self) -> bool {
        self.value().is_some_and(|value| !matches!(value.crossing, Crossing::Scalar(_) | Crossing::User))
    }
}

impl Extent {
    /// The integers' type, if it is one integer that is converted: what a length can be read from.
    pub fn cell(&self) -> Option<super::Scalar> {
        match (self.element.value()?, &self.length) {
            (&Value { crossing: Crossing::Scalar(scalar), .. }, Length::Count(Expr::Const(1))) => {
                scalar.is_integer().then_some(scalar)
            }
            _ => None,
        }
    }

    /// The memory behind each pointer that lies there, if the elements are pointers with an extent of their own: `[out in: n]`.
    pub fn inner(&self) -> Option<&Extent> {
        match &self.element {
            Element::Pointers(inner) => Some(inner),
            Element::Alike { .. } | Element::Converted(_) => None,
        }
    }

    /// Calls `visit` with each expression, and with whether it is computed before the call.
    pub fn expressions<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr, bool)) {
        if let Length::Count(count) = &self.length {
            visit(count, true);
        }
        self.valid.iter().for_each(|valid| visit(valid, false));
        if let Some(inner) = self.inner() {
            inner.expressions(&mut |expr, _| visit(expr, false));
        }
    }
}

/// Which way the bytes behind a pointer go, seen from whoever gets the pointer: of a parameter the function that is called, of a result its
/// caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `[in: n]`: it reads them
    In,
    /// `[out: n]`: it writes them
    Out,
    /// `[inout: n]`: both
    InOut,
}

impl Direction {
    /// Its word in an annotation.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::InOut => "inout",
        }
    }
}

/// A count, computed when the call happens: from the parameters, or after it, for what is known only then.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expr {
    /// a constant
    Const(u64),
    /// the value of an integer parameter, by its number
    Param(u32),
    /// the integer that a pointer parameter points to, by the parameter's number
    Deref(u32),
    /// the function's result
    Result,
    /// `a + b`
    Add(Box<Expr>, Box<Expr>),
    /// `a - b`
    Sub(Box<Expr>, Box<Expr>),
    /// `a * b`
    Mul(Box<Expr>, Box<Expr>),
}

/// A parameter in an [`Expr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// the value of an integer parameter
    Param(u32),
    /// the integer that a pointer parameter points to
    Deref(u32),
    /// the function's result
    Result,
}

impl Expr {
    /// The expression's value, with `value` giving the parameters'. `None` if a step overflows or `value` has none: such a
    /// count is refused, it never wraps.
    ///
    /// A negative result is for the caller to refuse.
    pub fn evaluate(&self, value: &mut impl FnMut(Operand) -> Option<i128>) -> Option<i128> {
        match self {
            Expr::Const(constant) => Some(i128::from(*constant)),
            Expr::Param(index) => value(Operand::Param(*index)),
            Expr::Deref(index) => value(Operand::Deref(*index)),
            Expr::Result => value(Operand::Result),
            Expr::Add(a, b) => a.evaluate(value)?.checked_add(b.evaluate(value)?),
            Expr::Sub(a, b) => a.evaluate(value)?.checked_sub(b.evaluate(value)?),
            Expr::Mul(a, b) => a.evaluate(value)?.checked_mul(b.evaluate(value)?),
        }
    }

    /// Whether it reads an integer behind a pointer.
    pub(crate) fn has_deref(&self) -> bool {
        let mut found = false;
        self.operands(&mut |operand| found |= matches!(operand, Operand::Deref(_)));
        found
    }

    /// Calls `visit` with each operand.
    pub fn operands(&self, visit: &mut dyn FnMut(Operand)) {
        match self {
            Expr::Const(_) => {}
            Expr::Param(index) => visit(Operand::Param(*index)),
            Expr::Deref(index) => visit(Operand::Deref(*index)),
            Expr::Result => visit(Operand::Result),
            Expr::Add(a, b) | Expr::Sub(a, b) | Expr::Mul(a, b) => {
                a.operands(visit);
                b.operands(visit);
            }
        }
    }
}

impl Operand {
    /// The parameter's number, if it is about one.
    pub fn param(self) -> Option<u32> {
        match self {
            Operand::Param(index) | Operand::Deref(index) => Some(index),
            Operand::Result => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(a: Expr, b: Expr) -> Expr {
        Expr::Mul(Box::new(a), Box::new(b))
    }

    #[test]
    fn expressions_use_the_parameters() {
        let expr = Expr::Sub(Box::new(product(Expr::Param(1), Expr::Deref(2))), Box::new(Expr::Const(3)));
        let mut value = |operand| match operand {
            Operand::Param(1) => Some(10),
            Operand::Deref(2) => Some(4),
            _ => None,
        };
        assert_eq!(expr.evaluate(&mut value), Some(37));
        assert_eq!(Expr::Param(9).evaluate(&mut value), None);
    }

    #[test]
    fn a_count_that_overflows_is_none() {
        let max = || Expr::Const(u64::MAX);
        let expr = product(product(max(), max()), max());
        assert_eq!(expr.evaluate(&mut |_| None), None);
    }
}
