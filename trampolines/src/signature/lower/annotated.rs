//! What the annotations of one value say together, and which crossing they make of a pointer.

use super::{CType, Crossing, Lowering, Place, Scope};
use crate::prototype::PrototypeError;
use crate::prototype::ast::{Annotation, AnnotationKind, Declaration, Expr};
use crate::signature::{Direction, Expr as Count, Int, Scalar};

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
        if let Some((_, at)) = self.scope {
            return Err(lowering.meaning(at, place, "`[scope]` is for function pointers"));
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
            AnnotationKind::Extent(direction, n) => {
                let count = n.as_ref().map_or(Ok(Count::Const(1)), count)?;
                self.extent(*direction, count, pointee).ok_or_else(|| {
                    wrong("`void *`, with a count of bytes, or a pointer to something of a known size")
                })?
            }
            AnnotationKind::Nonnull | AnnotationKind::Scope(_) => unreachable!("`collect` keeps these apart"),
        }))
    }

    fn extent(&self, direction: Direction, count: Count, element: &CType) -> Option<Crossing> {
        let element_size = if *element == CType::Void { 1 } else { element.native_size()? };
        Some(Crossing::Extent { direction, count, element: element.clone(), element_size })
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
