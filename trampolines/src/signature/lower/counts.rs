//! Expressions: from names of parameters to their numbers.

use super::{Lowering, Place, pointee};
use crate::prototype::PrototypeError;
use crate::prototype::ast::{Declaration, Expr, Operator, Type};
use crate::signature::{CType, Crossing, Direction, Element, Expr as Count, Extent, Length, Operand, Value};

impl Lowering<'_> {
    /// A count over the parameters of the function that the annotated value belongs to.
    pub(super) fn count(&self, expr: &Expr, params: &[Declaration], place: &Place) -> Result<Count, PrototypeError> {
        Ok(match expr {
            Expr::Result { at } => {
                let message = "`return` is known after the call: it belongs to `valid`";
                return Err(self.meaning(*at, place, message));
            }
            Expr::Const(value) => Count::Const(*value),
            Expr::Name { name, at } => {
                let (index, ty) = self.operand(name, *at, params, place)?;
                if !is_integer(ty) {
                    return Err(self.meaning(*at, place, format!("`{name}` is not an integer")));
                }
                Count::Param(index)
            }
            Expr::Deref { name, at } => {
                let (index, ty) = self.operand(name, *at, params, place)?;
                if !pointee(ty).is_some_and(|(target, _)| is_integer(target)) {
                    return Err(self.meaning(*at, place, format!("`{name}` is not a pointer to an integer")));
                }
                Count::Deref(index)
            }
            Expr::Binary { operator, left, right } => {
                let left = Box::new(self.count(left, params, place)?);
                let right = Box::new(self.count(right, params, place)?);
                operator.of(left, right)
            }
        })
    }

    /// A count that is taken after the call.
    pub(super) fn valid(&self, expr: &Expr, params: &[Declaration], place: &Place) -> Result<Count, PrototypeError> {
        match expr {
            Expr::Result { at } if !self.counts => {
                Err(self.meaning(*at, place, "the function does not return an integer"))
            }
            Expr::Result { .. } => Ok(Count::Result),
            Expr::Binary { operator, left, right } => {
                let left = Box::new(self.valid(left, params, place)?);
                let right = Box::new(self.valid(right, params, place)?);
                Ok(operator.of(left, right))
            }
            _ => self.count(expr, params, place),
        }
    }

    /// Makes integers that lengths are read from values of both sides' own: what was read for a check is what is used afterwards.
    pub(super) fn measured(
        &self,
        params: &mut [Value],
        declared: &[Declaration],
        place: &Place,
    ) -> Result<(), PrototypeError> {
        let mut read = Vec::new();
        for param in &*params {
            let valid = match &param.crossing {
                Crossing::Extent(extent) => extent.valid.as_ref(),
                _ => None,
            };
            param.expressions(&mut |expr| {
                let before = !valid.is_some_and(|valid| std::ptr::eq(valid, expr));
                expr.operands(&mut |operand| {
                    if let Operand::Deref(index) = operand {
                        read.push((index as usize, before));
                    }
                });
            });
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
                        element: Element::Converted(Box::new(Crossing::Scalar(*scalar))),
                    });
                }
                Crossing::Extent(extent) if extent.cell().is_some() => {}
                Crossing::Extent(Extent {
                    length: Length::Count(Count::Const(1)),
                    element: element @ Element::Alike { ty: CType::Scalar(_), .. },
                    ..
                }) => {
                    let Element::Alike { ty: CType::Scalar(scalar), .. } = *element else { unreachable!() };
                    *element = Element::Converted(Box::new(Crossing::Scalar(scalar)));
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
