//! Expressions: from names of parameters to their numbers.

use super::{Lowering, Place, pointee};
use crate::prototype::PrototypeError;
use crate::prototype::ast::{Declaration, Expr, Function, Operator, Type};
use crate::signature::{CType, Crossing, Direction, Element, Expr as Count, Extent, Length, Operand, Value};

/// What the expressions in a value's annotations can be made of.
#[derive(Clone, Copy)]
pub(super) struct Operands<'p> {
    /// the parameters of the function that the value belongs to, or the other members of its struct
    params: &'p [Declaration],
    /// whether the function returns an integer
    returns_integer: bool,
    /// whether the value's lengths are computed after the call
    after: bool,
}

impl<'p> Operands<'p> {
    /// Of a function's parameters.
    pub(super) fn before(function: &'p Function) -> Operands<'p> {
        Operands { params: &function.params, returns_integer: is_integer(&function.result), after: false }
    }

    /// Of its result.
    pub(super) fn after(function: &'p Function) -> Operands<'p> {
        Operands::before(function).afterwards()
    }

    /// Of arguments that are listed behind the parameters.
    pub(super) fn with_listed(self, all: &'p [Declaration]) -> Operands<'p> {
        Operands { params: all, ..self }
    }

    /// Of a struct's members.
    pub(super) fn members(params: &'p [Declaration]) -> Operands<'p> {
        Operands { params, returns_integer: false, after: false }
    }

    /// The same, when the call has returned.
    pub(super) fn afterwards(self) -> Operands<'p> {
        Operands { after: true, ..self }
    }
}

impl Lowering<'_> {
    /// A count.
    pub(super) fn count(&self, expr: &Expr, operands: Operands<'_>, place: &Place) -> Result<Count, PrototypeError> {
        Ok(match expr {
            Expr::Result { at } if !operands.after => {
                let message = "`return` is known after the call: it belongs to `valid`, or to what the function gives";
                return Err(self.meaning(*at, place, message));
            }
            Expr::Result { at } if !operands.returns_integer => {
                return Err(self.meaning(*at, place, "the function does not return an integer"));
            }
            Expr::Result { .. } => Count::Result,
            Expr::Const(value) => Count::Const(*value),
            Expr::Name { name, at } => {
                let (index, ty) = self.operand(name, *at, operands.params, place)?;
                if !is_integer(ty) {
                    return Err(self.meaning(*at, place, format!("`{name}` is not an integer")));
                }
                Count::Param(index)
            }
            Expr::Deref { name, at } => {
                let (index, ty) = self.operand(name, *at, operands.params, place)?;
                if !pointee(ty).is_some_and(|(target, _)| is_integer(target)) {
                    return Err(self.meaning(*at, place, format!("`{name}` is not a pointer to an integer")));
                }
                Count::Deref(index)
            }
            Expr::Binary { operator, left, right } => {
                let left = Box::new(self.count(left, operands, place)?);
                let right = Box::new(self.count(right, operands, place)?);
                operator.of(left, right)
            }
        })
    }

    /// Makes integers that lengths are read from values of both sides' own: what was read for a check is what is used afterwards.
    pub(super) fn measured(
        &self,
        params: &mut [Value],
        result: Option<&Value>,
        declared: &[Declaration],
        place: &Place,
    ) -> Result<(), PrototypeError> {
        let mut read = Vec::new();
        let mut note = |expr: &Count, before| {
            expr.operands(&mut |operand| {
                if let Operand::Deref(index) = operand {
                    read.push((index as usize, before));
                }
            });
        };
        for param in &*params {
            param.expressions(&mut note);
        }
        if let Some(result) = result {
            result.expressions(&mut |expr, _| note(expr, false));
        }
        for (index, before) in read {
            let param = &mut params[index];
            if let Crossing::Extent(Extent { direction: Direction::Out, .. }) = param.crossing
                && before
            {
                let place = place.parameter(index, declared[index].name.as_deref());
                let message = "a length is read from it before the call, so it is not only `out`: say `[inout]`";
                return Err(self.meaning(declared[index].at, &place, message));
            }
            match &mut param.crossing {
                Crossing::Pointer { pointee: CType::Scalar(scalar), .. } => {
                    param.crossing = Crossing::Extent(Extent {
                        direction: Direction::InOut,
                        length: Length::Count(Count::Const(1)),
                        valid: None,
                        nullable: true,
                        element: Element::of(Crossing::Scalar(*scalar)),
                    });
                }
                Crossing::Extent(extent) if extent.cell().is_some() => {}
                Crossing::Extent(Extent {
                    length: Length::Count(Count::Const(1)),
                    element: element @ Element::Alike { ty: CType::Scalar(_), .. },
                    ..
                }) => {
                    let Element::Alike { ty: CType::Scalar(scalar), .. } = *element else { unreachable!() };
                    *element = Element::of(Crossing::Scalar(scalar));
                }
                _ => {
                    let place = place.parameter(index, declared[index].name.as_deref());
                    let message = "a length is read from it, so it points to one integer: say `[in]`, `[out]`, `[inout]` or nothing";
                    return Err(self.meaning(declared[index].at, &place, message));
                }
            }
        }
        Ok(())
    }

    fn operand<'p>(
        &self,
        name: &str,
        at: usize,
        params: &'p [Declaration],
        place: &Place,
    ) -> Result<(u32, &'p Type), PrototypeError> {
        let found = params.iter().position(|param| param.name.as_deref() == Some(name));
        let index = found.ok_or_else(|| {
            let known: Vec<_> = params.iter().filter_map(|param| param.name.as_deref()).collect();
            let known = if known.is_empty() { "none has a name".to_owned() } else { known.join(", ") };
            self.meaning(at, place, format!("no parameter is called `{name}` (the parameters: {known})"))
        })?;
        Ok((index as u32, &params[index].ty))
    }
}

impl Operator {
    fn of(self, left: Box<Count>, right: Box<Count>) -> Count {
        match self {
            Operator::Add => Count::Add(left, right),
            Operator::Sub => Count::Sub(left, right),
            Operator::Mul => Count::Mul(left, right),
        }
    }
}

pub(super) fn is_integer(ty: &Type) -> bool {
    matches!(ty.resolve(), Type::Scalar(scalar) if scalar.is_integer())
}
