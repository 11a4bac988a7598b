//! What the annotations of one value say together, and which crossing they make of a pointer.

use super::counts::Operands;
use super::{CType, Crossing, Lowering, Place, Policy, Scope};
use crate::prototype::PrototypeError;
use crate::prototype::ast::{Annotation, AnnotationKind, ElementKind, Expr, Length as Said};
use crate::signature::{
    Direction, Element, Expr as Count, Extent, Int, Length, Member, MemberType, Record, Scalar, Value,
};
use std::sync::Arc;

/// The annotations of one value.
pub(super) struct Marks<'a> {
    /// the one that says what a pointer is: `user`, `handle`, `str`, or an extent
    pub(super) what: Option<&'a Annotation>,
    pub(super) scope: Option<(Scope, usize)>,
    pub(super) policy: Policy,
    /// where something is said of that
    pub(super) policy_at: Option<&'a Annotation>,
    pub(super) nonnull: bool,
    nullable: bool,
    valid: Option<(&'a Expr, usize)>,
    /// whether the app may write, and where it stands
    pub(super) window: Option<(bool, usize)>,
    first: Option<&'a Annotation>,
}

impl<'a> Marks<'a> {
    pub(super) fn collect(
        lowering: &Lowering<'_>,
        annotations: impl IntoIterator<Item = &'a Annotation>,
        place: &Place,
    ) -> Result<Marks<'a>, PrototypeError> {
        let mut marks = Marks {
            what: None,
            scope: None,
            policy: Policy::default(),
            policy_at: None,
            nonnull: false,
            nullable: false,
            valid: None,
            window: None,
            first: None,
        };
        for annotation in annotations {
            marks.first.get_or_insert(annotation);
            let word = annotation.kind.word();
            if matches!(annotation.kind, AnnotationKind::Leaf | AnnotationKind::Unwind) {
                let message = format!("`{word}` is about a function, and stands after its parameters");
                return Err(lowering.meaning(annotation.at, place, message));
            }
            let before = match &annotation.kind {
                AnnotationKind::Nonnull => std::mem::replace(&mut marks.nonnull, true).then_some(word),
                AnnotationKind::Nullable => std::mem::replace(&mut marks.nullable, true).then_some(word),
                AnnotationKind::Window(write) => marks.window.replace((*write, annotation.at)).map(|_| word),
                AnnotationKind::Scope(scope) => marks.scope.replace((scope.clone(), annotation.at)).map(|_| word),
                AnnotationKind::Valid(count) => marks.valid.replace((count, annotation.at)).map(|_| word),
                AnnotationKind::Trap(trap) => marks.policy.trap.replace(*trap).map(|_| word),
                AnnotationKind::Pending(pending) => marks.policy.pending.replace(*pending).map(|_| word),
                AnnotationKind::Thread(thread) => marks.policy.thread.replace(*thread).map(|_| word),
                AnnotationKind::Default(value) => marks.policy.default.replace(*value).map(|_| word),
                _ => marks.what.replace(annotation).map(|before| before.kind.word()),
            };
            let of_policy = matches!(
                annotation.kind,
                AnnotationKind::Trap(_)
                    | AnnotationKind::Pending(_)
                    | AnnotationKind::Thread(_)
                    | AnnotationKind::Default(_)
            );
            if of_policy {
                marks.policy_at = Some(annotation);
            }
            if let Some(before) = before {
                let message = match before == word {
                    true => format!("`{word}` is said twice"),
                    false => format!("`{before}` does not go with `{word}`{}", marks.instead()),
                };
                return Err(lowering.meaning(annotation.at, place, message));
            }
            if marks.nonnull && marks.nullable {
                let message = "`nonnull` and `nullable` cannot both be";
                return Err(lowering.meaning(annotation.at, place, message));
            }
        }
        if let Some((_, at)) = marks.valid.filter(|_| !marks.is_written()) {
            let message = "`valid` goes with `out` or `inout`: it says how much of that means something afterwards";
            return Err(lowering.meaning(at, place, message));
        }
        Ok(marks)
    }

    /// Whether the function writes what is behind the pointer.
    fn is_written(&self) -> bool {
        matches!(
            self.what,
            Some(Annotation { kind: AnnotationKind::Extent(Direction::Out | Direction::InOut, ..), .. })
        )
    }

    /// What to say in the place of two words, if there is something.
    fn instead(&self) -> &'static str {
        match self.first.map(|first| &first.kind) {
            Some(AnnotationKind::Extent(_, None, _)) => {
                "; what the elements are is said behind it, as in `[out handle]`"
            }
            _ => "",
        }
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

    /// Refuses `window`, where it is no parameter's.
    pub(super) fn no_window(&self, lowering: &Lowering<'_>, place: &Place) -> Result<(), PrototypeError> {
        match self.window {
            Some((_, at)) => Err(lowering.meaning(at, place, "`[window]` is for a parameter that points to data")),
            None => Ok(()),
        }
    }

    /// Refuses `externref`, of a value that the app would have in its memory.
    pub(super) fn no_externref(&self, lowering: &Lowering<'_>, place: &Place) -> Result<(), PrototypeError> {
        match self.what {
            Some(Annotation { at, kind: AnnotationKind::Externref }) => {
                let message = "an externref cannot lie in the app's memory: it is for parameters and results";
                Err(lowering.meaning(*at, place, message))
            }
            _ => Ok(()),
        }
    }

    /// The crossing of data that a callback is shown in place. It is that of an extent: where there is no window, there are copies.
    fn window(
        &self,
        lowering: &Lowering<'_>,
        (write, at): (bool, usize),
        pointee: &CType,
        operands: Operands<'_>,
        place: &Place,
    ) -> Result<Crossing, PrototypeError> {
        let (needed, word, access) =
            if write { (Direction::InOut, "inout", "write") } else { (Direction::In, "in", "read") };
        let count = match self.what.map(|what| &what.kind) {
            // Nobody means one byte.
            None if *pointee == CType::Void => None,
            None | Some(AnnotationKind::Extent(_, None, None)) => Some(Count::Const(1)),
            Some(AnnotationKind::Extent(direction, None, Some(Said::Count(n)))) if *direction == needed => {
                Some(lowering.count(n, operands, place)?)
            }
            Some(kind) => {
                let message = format!(
                    "`[window: {access}]` goes with `[{word}: n]` or with nothing, and not with `[{}]`",
                    kind.word()
                );
                return Err(lowering.meaning(at, place, message));
            }
        };
        if pointee.differing().is_some() {
            let message = format!(
                "`{pointee}` is not laid out alike in C and in a wasm32 app, so that a window would show other data; say `[{word}: n]` for a copy"
            );
            return Err(lowering.meaning(at, place, message));
        }
        let size = if *pointee == CType::Void { Some(1) } else { pointee.native_size() };
        let (Some(count), Some(size)) = (count, size) else {
            let message = format!(
                "`[window]` needs a pointer to something of a known size, or `[{word}: n]` with the number of bytes, and this is a pointer to `{pointee}`"
            );
            return Err(lowering.meaning(at, place, message));
        };
        let element = Element::Alike { ty: pointee.clone(), size };
        let length = Length::Count(count);
        let nullable = self.nullable || self.what.is_none();
        Ok(Crossing::Extent(Extent { direction: needed, length, valid: None, nullable, element }))
    }

    /// Refuses what cannot be said of a result.
    pub(super) fn check_result(
        &self,
        lowering: &Lowering<'_>,
        crossing: &Crossing,
        place: &Place,
    ) -> Result<(), PrototypeError> {
        if let Some((_, at)) = self.valid {
            let message = "`valid` is of what a function writes where its caller says; of a result, say how long it is";
            return Err(lowering.meaning(at, place, message));
        }
        let copied = match crossing {
            Crossing::Extent(Extent { element: Element::Alike { .. }, .. }) => false,
            Crossing::Extent(Extent { direction, .. }) => *direction != Direction::In,
            _ => false,
        };
        match self.what {
            Some(what) if copied => {
                let message = "elements that C and the app lay out differently are copied for whoever gets the result, and nobody would \
                     see what is written to the copy: say `[in: n]`";
                Err(lowering.meaning(what.at, place, message))
            }
            _ => Ok(()),
        }
    }

    /// The crossing of an annotated pointer to an object; `None` if nothing says what the pointer is.
    pub(super) fn crossing(
        &self,
        lowering: &Lowering<'_>,
        pointee: &CType,
        operands: Operands<'_>,
        place: &Place,
    ) -> Result<Option<Crossing>, PrototypeError> {
        if let Some((_, at)) = self.scope
            && !self.has_scope()
        {
            let message = "`[scope]` is for function pointers, `[shadow]`, `[handle]` and `[externref]`";
            return Err(lowering.meaning(at, place, message));
        }
        if let Some(Annotation { at, kind }) = self.policy_at {
            let message = format!("`[{}]` is for function pointers", kind.word());
            return Err(lowering.meaning(*at, place, message));
        }
        if let Some(window) = self.window {
            return self.window(lowering, window, pointee, operands, place).map(Some);
        }
        let Some(&Annotation { at, ref kind }) = self.what else { return Ok(None) };
        let wrong = |needs: &str| {
            let message = format!("`[{}]` needs {needs}, and this is a pointer to `{pointee}`", kind.word());
            lowering.meaning(at, place, message)
        };
        let count = |expr: &Expr| lowering.count(expr, operands, place);
        Ok(Some(match kind {
            AnnotationKind::User => Crossing::User,
            AnnotationKind::Str(None) | AnnotationKind::Format if is_char(pointee) => Crossing::Str,
            AnnotationKind::Str(None) | AnnotationKind::Format => return Err(wrong("a `char *`")),
            AnnotationKind::VarArgs(_) => {
                return Err(lowering.meaning(at, place, "`[varargs]` is for `...` or a `va_list`"));
            }
            AnnotationKind::Handle(None) | AnnotationKind::Externref => {
                let ends = match &self.scope {
                    None => false,
                    Some((Scope::Call, _)) => true,
                    Some((_, at)) => {
                        let message = "an object ends with a call (`scope: call`), or nothing is said";
                        return Err(lowering.meaning(*at, place, message));
                    }
                };
                let type_name = type_name(pointee);
                match kind {
                    AnnotationKind::Externref => Crossing::Externref { type_name, ends },
                    _ => Crossing::Handle { type_name, ends },
                }
            }
            AnnotationKind::Shadow => {
                let crossing = self.shadow(pointee).ok_or_else(|| wrong("a pointer to a struct with a name"))?;
                lowering.check_shadow(&crossing, at, place)?;
                crossing
            }
            AnnotationKind::Str(_) | AnnotationKind::Handle(_) | AnnotationKind::Extent(..) => {
                let (direction, kind, length) = match kind {
                    AnnotationKind::Str(length) => (Direction::In, Some(ElementKind::Str), length),
                    AnnotationKind::Handle(length) => (Direction::In, Some(ElementKind::Handle), length),
                    AnnotationKind::Extent(direction, kind, length) => (*direction, *kind, length),
                    _ => unreachable!("these are all"),
                };
                if let Some(ElementKind::To(inner)) = kind {
                    let inner =
                        self.pointed_to(lowering, (direction, inner), length.as_ref(), pointee, operands, place)?;
                    return Ok(Some(Crossing::Extent(Extent {
                        direction,
                        length: Length::Count(Count::Const(1)),
                        valid: None,
                        nullable: true,
                        element: Element::Pointers(Box::new(inner)),
                    })));
                }
                let (element, repeat) = match kind == Some(ElementKind::Shadow) || kind.is_none() && has_record(pointee)
                {
                    true => (self.converted(lowering, pointee, at, place)?, 1),
                    false => element(pointee, kind).map_err(wrong)?,
                };
                // One object may be left out, as behind any pointer; a length that is said is believed.
                let nullable = self.nullable || matches!(length, None | Some(Said::Terminated));
                let length = match length {
                    None => Length::Count(Count::Const(repeat)),
                    Some(Said::Count(n)) if repeat == 1 => Length::Count(count(n)?),
                    Some(Said::Count(n)) => {
                        Length::Count(Count::Mul(Box::new(count(n)?), Box::new(Count::Const(repeat))))
                    }
                    Some(Said::Terminated) if element.is_pointer() && repeat == 1 => Length::Terminated,
                    Some(Said::Terminated) => return Err(wrong("an array of pointers, for a NULL to be its end")),
                };
                let valid = self.valid.map(|(n, _)| lowering.count(n, operands.afterwards(), place)).transpose()?;
                Crossing::Extent(Extent { direction, length, valid, nullable, element })
            }
            AnnotationKind::Nonnull
            | AnnotationKind::Nullable
            | AnnotationKind::Valid(_)
            | AnnotationKind::Leaf
            | AnnotationKind::Window(_)
            | AnnotationKind::Scope(_)
            | AnnotationKind::Trap(_)
            | AnnotationKind::Pending(_)
            | AnnotationKind::Thread(_)
            | AnnotationKind::Default(_)
            | AnnotationKind::Unwind => {
                unreachable!("`collect` keeps these apart")
            }
        }))
    }

    fn is_shadow(&self) -> bool {
        let kind = self.what.map(|what| &what.kind);
        matches!(kind, Some(AnnotationKind::Shadow | AnnotationKind::Extent(_, Some(ElementKind::Shadow), _)))
    }

    /// Whether what it is can end.
    fn has_scope(&self) -> bool {
        self.is_shadow()
            || matches!(
                self.what.map(|what| &what.kind),
                Some(AnnotationKind::Handle(None) | AnnotationKind::Externref)
            )
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

    /// What is behind a pointer that the function writes.
    fn pointed_to(
        &self,
        lowering: &Lowering<'_>,
        (outer, direction): (Direction, Direction),
        length: Option<&Said>,
        pointee: &CType,
        operands: Operands<'_>,
        place: &Place,
    ) -> Result<Extent, PrototypeError> {
        let at = self.what.map_or(0, |what| what.at);
        let words = format!("{} {}", outer.word(), direction.word());
        if outer != Direction::Out {
            let message = format!(
                "`[{words}]`: only a pointer that the function writes, `[out {}: n]`, has a length",
                direction.word()
            );
            return Err(lowering.meaning(at, place, message));
        }
        if let Some((_, at)) = self.valid {
            let message = format!("`valid` does not go with `[{words}]`: its length is computed after the call anyway");
            return Err(lowering.meaning(at, place, message));
        }
        let CType::Pointer(target) = pointee else {
            let message = format!("`[{words}]` needs a pointer to a pointer, and this is a pointer to `{pointee}`");
            return Err(lowering.meaning(at, place, message));
        };
        let alike = match element(target, None) {
            Ok((element @ Element::Alike { .. }, _)) => element,
            _ => {
                let what =
                    format!("`[{words}]` of `{target}`, which has no known size or differs between C and the app,");
                return Err(lowering.unsupported(at, place, what));
            }
        };
        let nullable = self.nullable || length.is_none();
        let length = match length {
            None => Count::Const(1),
            Some(Said::Count(n)) => lowering.count(n, operands.afterwards(), place)?,
            Some(Said::Terminated) => {
                return Err(lowering.meaning(at, place, format!("`[{words}]` needs a length, and not `NULL`")));
            }
        };
        Ok(Extent { direction, length: Length::Count(length), valid: None, nullable, element: alike })
    }

    /// Structs that are converted, or pointers to shadows.
    fn converted(
        &self,
        lowering: &Lowering<'_>,
        element: &CType,
        at: usize,
        place: &Place,
    ) -> Result<Element, PrototypeError> {
        let element = match self.element_type(lowering, element, at, place)? {
            MemberType::Record(record) => record,
            ty => {
                let record = Record::new(false, vec![Member::new(ty, None)]);
                Arc::new(record.ok_or_else(|| lowering.meaning(at, place, "an element is larger than 256 MiB"))?)
            }
        };
        lowering.check_converted(&element, at, place)?;
        Ok(Element::Converted(element))
    }

    /// An element of such an extent, as if it were a member of a struct.
    fn element_type(
        &self,
        lowering: &Lowering<'_>,
        element: &CType,
        at: usize,
        place: &Place,
    ) -> Result<MemberType, PrototypeError> {
        Ok(match element {
            CType::Record(record) if !self.is_shadow() => MemberType::Record(record.clone()),
            CType::Array(element, len) if !self.is_shadow() => {
                MemberType::Array(Box::new(self.element_type(lowering, element, at, place)?), *len)
            }
            _ => {
                let pointee = if let CType::Pointer(pointee) = element { Some(&**pointee) } else { None };
                let crossing = pointee.and_then(|pointee| self.shadow(pointee)).ok_or_else(|| {
                    let message = format!(
                        "it needs a pointer to pointers to a struct with a name here, and this is a pointer to `{element}`"
                    );
                    lowering.meaning(at, place, message)
                })?;
                lowering.check_shadow(&crossing, at, place)?;
                MemberType::Value(Value::of(crossing))
            }
        })
    }
}

/// Whether elements of this type are structs that the two sides lay out differently.
fn has_record(ty: &CType) -> bool {
    match ty {
        CType::Record(_) => ty.differing().is_some(),
        CType::Array(element, _) => has_record(element),
        _ => false,
    }
}

/// What an element is that a pointer points to, and how many of it are an element as C counts; or what would be needed.
fn element(ty: &CType, kind: Option<ElementKind>) -> Result<(Element, u64), &'static str> {
    let converted = |crossing| Ok((Element::of(crossing), 1));
    match (kind, ty) {
        (Some(ElementKind::Handle), CType::Pointer(object)) => {
            converted(Crossing::Handle { type_name: type_name(object), ends: false })
        }
        (Some(ElementKind::Handle), _) => Err("a pointer to pointers"),
        (Some(ElementKind::Str), CType::Pointer(string)) if is_char(string) => converted(Crossing::Str),
        (Some(ElementKind::Str), _) => Err("a `char **`"),
        (Some(ElementKind::User), CType::Pointer(_)) => converted(Crossing::User),
        (Some(ElementKind::User | ElementKind::Shadow | ElementKind::To(_)), _) => Err("a pointer to pointers"),
        (None, CType::Void) => Ok((Element::Alike { ty: CType::Void, size: 1 }, 1)),
        (None, CType::Scalar(scalar)) if scalar.native_bytes() != scalar.guest_bytes() => {
            converted(Crossing::Scalar(*scalar))
        }
        (None, CType::Pointer(pointee)) => match &**pointee {
            CType::Function(signature) => converted(Crossing::Function {
                signature: signature.clone(),
                scope: Scope::Forever,
                policy: Policy::default(),
            }),
            pointee if pointee.differing().is_some() => {
                Err("elements of which it is said what they are, as in `[out handle]` or `[in str]`")
            }
            pointee => {
                let pointee_size = pointee.native_size().unwrap_or(1).max(1);
                converted(Crossing::Pointer { pointee: pointee.clone(), pointee_size })
            }
        },
        (None, CType::Array(inner, len)) if ty.differing().is_some() => {
            let (element, repeat) = element(inner, None)?;
            let message = "elements that are smaller";
            Ok((element, repeat.checked_mul(u64::from(*len)).ok_or(message)?))
        }
        (None, ty) => {
            let size = ty.native_size();
            let size = size.ok_or("`void *`, with a count of bytes, or a pointer to something of a known size")?;
            Ok((Element::Alike { ty: ty.clone(), size }, 1))
        }
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
