//! Variable arguments: `...` and `va_list`; and numbers that cross as structs.

use super::counts::Operands;
use super::{Crossing, Lowering, Place, Signature};
use crate::prototype::PrototypeError;
use crate::prototype::ast::{AnnotationKind, Function, Type};
use crate::signature::{Int, Member, MemberType, Record, Scalar, Value, VarArgs};

/// Names of the type that `<stdarg.h>` defines.
pub(super) fn is_va_list(name: &str) -> bool {
    matches!(name, "va_list" | "__builtin_va_list" | "__gnuc_va_list")
}

/// Whether a parameter of this type stands for variable arguments.
pub(super) fn is_var_args(ty: &Type) -> bool {
    match ty.resolve() {
        Type::Ellipsis => true,
        Type::Unknown(name) => is_va_list(name),
        _ => false,
    }
}

/// `float _Complex` and `double _Complex`, which both C ABIs pass as a struct of two (psABI, 3.2.3: "as if they are implemented as").
pub(super) fn complex(name: &str) -> Option<Record> {
    let part = match name {
        "`float _Complex`" => Scalar::Float,
        "`double _Complex`" => Scalar::Double,
        _ => return None,
    };
    let member = || Member::new(MemberType::Value(Value::new(None, Crossing::Scalar(part))), None);
    Record::new(false, vec![member(), member()])
}

impl Lowering<'_> {
    /// Says what the variable arguments are, if there are any.
    pub(super) fn var_args(
        &mut self,
        params: &mut [Value],
        result: Option<&Value>,
        function: &Function,
        place: &Place,
    ) -> Result<(), PrototypeError> {
        let declared = &function.params;
        let format = declared.iter().enumerate().find_map(|(i, param)| {
            let annotations = param.annotations.iter();
            annotations.into_iter().find(|said| matches!(said.kind, AnnotationKind::Format)).map(|said| (i, said.at))
        });
        let mut found = declared.iter().enumerate().filter(|(_, param)| is_var_args(&param.ty));
        let Some((index, param)) = found.next() else {
            return match format {
                None => Ok(()),
                Some((i, at)) => {
                    let place = place.parameter(i, declared[i].name.as_deref());
                    let message = "`[format]` is for a function with `...` or a `va_list`; say `[str]`";
                    Err(self.meaning(at, &place, message))
                }
            };
        };
        let place_of = |i: usize| place.parameter(i, declared[i].name.as_deref());
        if let Some((i, second)) = found.next() {
            return Err(self.unsupported(second.at, &place_of(i), "a second list of variable arguments"));
        }
        let mut listed = None;
        for said in &param.annotations {
            match &said.kind {
                AnnotationKind::VarArgs(list) if listed.is_none() => listed = Some((list, said.at)),
                kind => {
                    let message = format!("`{}` is not for variable arguments, or is said twice", kind.word());
                    return Err(self.meaning(said.at, &place_of(index), message));
                }
            }
        }
        let args = match (listed, format) {
            (Some((_, at)), Some(_)) => {
                let message = "the arguments are those of the format or those that are listed, not both";
                return Err(self.meaning(at, &place_of(index), message));
            }
            (None, None) => {
                let message = "what the arguments are is not known: say `[format]` of the parameter with the format, or list their types, \
                               as in `[varargs: int, void *]`";
                return Err(self.meaning(param.at, &place_of(index), message));
            }
            (None, Some((format, _))) => VarArgs::Format(format as u32),
            (Some((list, _)), None) => {
                let all: Vec<_> = declared.iter().chain(list).cloned().collect();
                let mut full = params.to_vec();
                for (i, param) in list.iter().enumerate() {
                    let name = param.name.as_deref().map(|name| format!(", `{name}`")).unwrap_or_default();
                    let place = place_of(index).part(&format!("variable argument {}{name}", i + 1));
                    let value = self.parameter(param, Operands::before(function).with_listed(&all), &place)?;
                    self.check_promoted(&value, param.at, &place)?;
                    if let Crossing::Externref { .. } = value.crossing {
                        let message = "an externref cannot lie in the app's memory, where variable arguments are";
                        return Err(self.meaning(param.at, &place, message));
                    }
                    full.push(value);
                }
                self.measured(&mut full, result, &all, place)?;
                VarArgs::Listed(Box::new(Signature {
                    name: None,
                    params: full,
                    result: None,
                    leaf: false,
                    unwind: false,
                }))
            }
        };
        let ellipsis = matches!(param.ty, Type::Ellipsis);
        params[index].crossing = Crossing::VarArgs { ellipsis, args };
        Ok(())
    }

    /// Refuses what no variable argument is after the default argument promotions (C11, 6.5.2.2).
    fn check_promoted(&self, value: &Value, at: usize, place: &Place) -> Result<(), PrototypeError> {
        let becomes = match &value.crossing {
            Crossing::Scalar(Scalar::Float) => "double",
            Crossing::Scalar(Scalar::Bool | Scalar::Int(Int { native_bytes: 1 | 2, .. })) => "int",
            Crossing::VarArgs { .. } => {
                return Err(self.unsupported(at, place, "a `va_list` among variable arguments"));
            }
            _ => return Ok(()),
        };
        Err(self.meaning(at, place, format!("it is passed as `{becomes}`: say that")))
    }
}
