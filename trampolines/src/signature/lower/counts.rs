//! Expressions: from names of parameters to their numbers.

use super::{Lowering, Place, pointee};
use crate::prototype::PrototypeError;
use crate::prototype::ast::{Declaration, Expr, Operator, Type};
use crate::signature::Expr as Count;

impl Lowering<'_> {
    /// A count over the parameters of the function that the annotated value belongs to.
    pub(super) fn count(&self, expr: &Expr, params: &[Declaration], place: &Place) -> Result<Count, PrototypeError> {
        Ok(match expr {
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
                match operator {
                    Operator::Add => Count::Add(left, right),
                    Operator::Sub => Count::Sub(left, right),
                    Operator::Mul => Count::Mul(left, right),
                }
            }
        })
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

fn is_integer(ty: &Type) -> bool {
    matches!(ty.resolve(), Type::Scalar(scalar) if scalar.is_integer())
}
