//! Extents: how much memory a pointer stands for, as an expression over the other parameters.

use std::collections::BTreeSet;

/// Which way the bytes behind a pointer go, seen from the function that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `[in: n]`: the function reads them
    In,
    /// `[out: n]`: the function writes them
    Out,
    /// `[inout: n]`: both
    InOut,
}

/// A count, computed from parameters when the call happens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expr {
    /// a constant
    Const(u64),
    /// the value of an integer parameter, by its number
    Param(u32),
    /// the integer that a pointer parameter points to, by the parameter's number
    Deref(u32),
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
            Expr::Add(a, b) => a.evaluate(value)?.checked_add(b.evaluate(value)?),
            Expr::Sub(a, b) => a.evaluate(value)?.checked_sub(b.evaluate(value)?),
            Expr::Mul(a, b) => a.evaluate(value)?.checked_mul(b.evaluate(value)?),
        }
    }

    /// Whether it reads an integer behind a pointer.
    pub(crate) fn has_deref(&self) -> bool {
        match self {
            Expr::Const(_) | Expr::Param(_) => false,
            Expr::Deref(_) => true,
            Expr::Add(a, b) | Expr::Sub(a, b) | Expr::Mul(a, b) => a.has_deref() || b.has_deref(),
        }
    }

    /// Adds the numbers of the parameters in it.
    pub(crate) fn operands(&self, into: &mut BTreeSet<u32>) {
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
