//! What the annotations of one value say together, and which crossing they make of a pointer.

use super::{CType, Crossing, Lowering, Place, Scope};
use crate::prototype::PrototypeError;
use crate::prototype::ast::{Annotation, AnnotationKind, Declaration, ElementKind, Expr};
use crate::signature::{Direction, Expr as Count, Int, Member, MemberType, Record, Scalar, Value};
use std::sync::Arc;

/// The annotations of one value.
pub(super) struct Marks<'a> {
    /// the one that says what a pointer is: `user`, `handle`, `str`, or an extent
    pub(super) what: Option<&'a Annotation>,
    pub(super) scope: Option<(Scope, usize)>,
    pub(super) nonnull: bool,
    first: Option<&'a Annotation>,
}

impl<'a> Marks<'a> {
    pub(super) fn collect(
        lowering: &Lowering<'_>,
        annotations: &'a [Annotation],
        place: &Place,
    ) -> Result<Marks<'a>, PrototypeError> {
        let mut marks = Marks { what: None, scope: None, nonnull: false, first: annotations.first() };
        for annotation in annotations {
            let word = annotation.kind.word();
            let before = match &annotation.kind {
                AnnotationKind::Nonnull => std::mem::replace(&mut marks.nonnull, true).then_some(word),
                AnnotationKind::Scope(scope) => marks.scope.replace((scope.clone(), annotation.at)).map(|_| word),
                _ => marks.what.replace(annotation).map(|before| before.kind.word()),
            };
            match before {
                None => {}
                Some(before) if before == word => {
                    return Err(lowering.meaning(annotation.at, place, format!("`{word}` is said twice")));
                }
                Some(before) => {
                    return Err(lowering.unsupported(
                        annotation.at,
                        place,
                        format!("`{before}` together with `{word}`"),
                    ));
                }
            }
        }
        Ok(marks)
    }

    /// Refuses any annotation, on a value that is not a pointer.
    pub(super) fn none(
        &self,
        lowering: &Lowering<'_>,
        place: &Place,
        ty: impl std::fmt::Display,
    ) -> Result<(), PrototypeError> {
        match self.first {
            Some(first) => {
                let message = format!("`[{}]` is for pointers, and this is `{ty}`", first.kind.word());
                Err(lowering.meaning(first.at, place, message))
            }
            None => Ok(()),
        }
    }

    /// Refuses counts and extents, on a result.
    pub(super) fn only_one(&self, lowering: &Lowering<'_>, place: &Place) -> Result<(), PrototypeError> {
        match self.what {
            Some(Annotation { at, kind }) => match kind {
                AnnotationKind::Extent(..) | AnnotationKind::Handle(Some(_)) | AnnotationKind::Str(Some(_)) => {
                    Err(lowering.unsupported(*at, place, format!("`{}` with a count on a result", kind.word())))
                }
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// The crossing of an annotated pointer to an object; `None` if nothing says what the pointer is.
    pub(super) fn crossing(
        &self,
        lowering: &Lowering<'_>,
        pointee: &CType,
        params: &[Declaration],
        place: &Place,
    ) -> Result<Option<Crossing>, PrototypeError> {
        if let Some((_, at)) = self.scope
            && !self.is_shadow()
        {
            return Err(lowering.meaning(at, place, "`[scope]` is for function pointers and for `[shadow]`"));
        }
        let Some(&Annotation { at, ref kind }) = self.what else { return Ok(None) };
        let wrong = |needs: &str| {
            let message = format!("`[{}]` needs {needs}, and this is a pointer to `{pointee}`", kind.word());
            lowering.meaning(at, place, message)
        };
        let count = |expr: &Expr| lowering.count(expr, params, place);
        Ok(Some(match kind {
            AnnotationKind::User => Crossing::User,
            AnnotationKind::Str(None) if is_char(pointee) => Crossing::Str,
            AnnotationKind::Str(None) => return Err(wrong("a `char *`")),
            AnnotationKind::Str(Some(n)) => match pointee {
                CType::Pointer(string) if is_char(string) => Crossing::StrArray { count: count(n)? },
                _ => return Err(wrong("a `char **`")),
            },
            AnnotationKind::Handle(None) => Crossing::Handle { type_name: type_name(pointee) },
            AnnotationKind::Handle(Some(n)) => match pointee {
                CType::Pointer(object) => Crossing::HandleArray { type_name: type_name(object), count: count(n)? },
                _ => return Err(wrong("a pointer to pointers")),
            },
            AnnotationKind::Shadow => {
                let crossing = self.shadow(pointee).ok_or_else(|| wrong("a pointer to a struct with a name"))?;
                lowering.check_shadow(&crossing, at, place)?;
                crossing
            }
            AnnotationKind::Extent(direction, kind, n) => {
                let count = n.as_ref().map_or(Ok(Count::Const(1)), count)?;
                self.extent(lowering, (*direction, *kind), count, pointee, place)?.ok_or_else(|| {
                    wrong("`void *`, with a count of bytes, or a pointer to something of a known size")
                })?
            }
            AnnotationKind::Nonnull | AnnotationKind::Scope(_) => unreachable!("`collect` keeps these apart"),
        }))
    }

    fn is_shadow(&self) -> bool {
        let kind = self.what.map(|what| &what.kind);
        matches!(kind, Some(AnnotationKind::Shadow | AnnotationKind::Extent(_, Some(ElementKind::Shadow), _)))
    }

    fn shadow(&self, pointee: &CType) -> Option<Crossing> {
        let scope = self.scope.as_ref().map(|(scope, _)| scope.clone());
        match pointee {
            CType::Record(record) if !record.union => {
                Some(Crossing::Shadow { type_name: record.name.clone()?, record: Some(record.clone()), scope })
            }
            CType::Opaque(name) if !name.is_empty() => {
                Some(Crossing::Shadow { type_name: name.clone(), record: None, scope })
            }
            _ => None,
        }
    }

    fn extent(
        &self,
        lowering: &Lowering<'_>,
        (direction, kind): (Direction, Option<ElementKind>),
        count: Count,
        element: &CType,
        place: &Place,
    ) -> Result<Option<Crossing>, PrototypeError> {
        let element_size = match element {
            CType::Void => 1,
            element => match element.native_size() {
                Some(size) => size,
                None => return Ok(None),
            },
        };
        if kind.is_none() && element.differing().is_none() {
            return Ok(Some(Crossing::Extent { direction, count, element: element.clone(), element_size }));
        }
        let at = self.what.map_or(0, |what| what.at);
        let ty = self.element_type(lowering, kind, element, at, place)?;
        let element = match ty {
            MemberType::Record(record) => record,
            ty => {
                let record = Record::new(false, vec![Member::new(ty, None)]);
                Arc::new(record.ok_or_else(|| lowering.meaning(at, place, "an element is larger than 256 MiB"))?)
            }
        };
        lowering.check_converted(&element, at, place)?;
        Ok(Some(Crossing::Copied { direction, count, element }))
    }

    /// An element of an extent, as if it were a member of a struct.
    fn element_type(
        &self,
        lowering: &Lowering<'_>,
        kind: Option<ElementKind>,
        element: &CType,
        at: usize,
        place: &Place,
    ) -> Result<MemberType, PrototypeError> {
        let value = |crossing| MemberType::Value(Value { name: None, crossing, nonnull: false });
        if let Some(kind) = kind {
            let wrong = |needs: &str| {
                let message = format!("it needs a pointer to {needs} here, and this is a pointer to `{element}`");
                lowering.meaning(at, place, message)
            };
            let CType::Pointer(pointee) = element else { return Err(wrong("pointers")) };
            return Ok(value(match kind {
                ElementKind::User => Crossing::User,
                ElementKind::Handle => Crossing::Handle { type_name: type_name(pointee) },
                ElementKind::Str if is_char(pointee) => Crossing::Str,
                ElementKind::Str => return Err(wrong("`char *`")),
                ElementKind::Shadow => {
                    let crossing = self.shadow(pointee).ok_or_else(|| wrong("pointers to a struct with a name"))?;
                    lowering.check_shadow(&crossing, at, place)?;
                    crossing
                }
            }));
        }
        Ok(match element {
            CType::Scalar(scalar) => value(Crossing::Scalar(*scalar)),
            CType::Record(record) => MemberType::Record(record.clone()),
            CType::Array(element, len) => {
                MemberType::Array(Box::new(self.element_type(lowering, None, element, at, place)?), *len)
            }
            CType::Pointer(pointee) => match &**pointee {
                CType::Function(signature) => {
                    value(Crossing::Function { signature: signature.clone(), scope: Scope::Forever })
                }
                pointee => value(lowering.plain_pointer(pointee.clone(), at, place)?),
            },
            CType::Void | CType::Function(_) | CType::Opaque(_) => unreachable!("it has a size"),
        })
    }
}

fn is_char(ty: &CType) -> bool {
    matches!(ty, CType::Scalar(Scalar::Int(Int { native_bytes: 1, .. })))
}

/// The name of the type of a handle's object. Whether its members are known does not matter.
fn type_name(ty: &CType) -> String {
    match ty {
        CType::Record(record) => record.name.clone().unwrap_or_else(|| ty.to_string()),
        _ => ty.to_string(),
    }
}
