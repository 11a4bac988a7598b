//! From what a prototype says to how its values cross: [`ast`](crate::prototype::ast) to [`Signature`].

mod annotated;
mod counts;
mod records;
mod variadic;

use super::{
    CType, Crossing, Direction, Element, Extent, MAX_CONVERTED, OnThread, Policy, Record, Scope, Signature, Value,
};
use crate::objects::READ_ONLY;
use crate::prototype::ast::{Annotation, AnnotationKind, Declaration, Function, Type};
use crate::prototype::{Problem, PrototypeError};
use annotated::Marks;
use counts::Operands;
use std::sync::Arc;
use variadic::is_var_args;

/// The most types, parameters and functions in a signature, names of types that the host defined counted for all that they
/// stand for: a chain of such names can make a short prototype as large as one likes.
const MAX_PARTS: u32 = 4096;

/// How deep they may be nested, for the same reason.
const MAX_DEPTH: u32 = 128;

/// The signature of a declared function or pointer to a function.
pub(crate) fn signature(text: &str, declaration: &Declaration) -> Result<Signature, PrototypeError> {
    let mut lowering = Lowering::new(text);
    if let Some(annotation) = declaration.annotations.first() {
        let message = format!(
            "`[{}]` is not about the function itself; an annotation of the result stands after the parameters",
            annotation.kind.word()
        );
        return Err(lowering.error(annotation.at, Problem::Meaning(message)));
    }
    let Some(function) = function(&declaration.ty) else {
        let what = declaration.name.as_ref().map_or_else(|| "this".to_owned(), |name| format!("`{name}`"));
        let message = format!("{what} is not a function; expected its parameters in parentheses");
        return Err(lowering.error(declaration.at, Problem::Meaning(message)));
    };
    let mut signature = lowering.function(function, declaration.at, &Place::default())?;
    signature.set_name(declaration.name.as_deref());
    Ok(signature)
}

/// Finds the mistakes in a type that is to be given a name.
pub(crate) fn check(text: &str, ty: &Type) -> Result<(), PrototypeError> {
    let mut lowering = Lowering::new(text);
    match (function(ty), ty.resolve()) {
        (Some(function), _) => lowering.function(function, 0, &Place::default()).map(drop),
        (None, Type::Record { members: Some(_), .. }) => lowering.ctype(ty, 0, &Place::default()).map(drop),
        _ => Ok(()),
    }
}

/// The function that a type is, or is a pointer to.
fn function(ty: &Type) -> Option<&Function> {
    match ty.resolve() {
        Type::Function(function) => Some(function),
        Type::Pointer(pointee) => match pointee.resolve() {
            Type::Function(function) => Some(function),
            _ => None,
        },
        _ => None,
    }
}

/// The pointee of a parameter that is a pointer, after arrays and functions have become pointers (C11, 6.7.6.3). `true` if the
/// parameter says that it is an array of at least so many elements.
fn pointee(ty: &Type) -> Option<(&Type, bool)> {
    match ty.resolve() {
        Type::Pointer(pointee) => Some((pointee, false)),
        Type::Array { at_least: true, len: Some(len), .. } if len.constant().is_some() => Some((ty.resolve(), true)),
        Type::Array { element, .. } => Some((element, false)),
        Type::Function(_) => Some((ty, false)),
        _ => None,
    }
}

/// Whose value is being looked at, for messages.
#[derive(Default, Clone)]
struct Place(String);

impl Place {
    fn parameter(&self, index: usize, name: Option<&str>) -> Place {
        let name = name.map(|name| format!(", `{name}`")).unwrap_or_default();
        self.part(&format!("parameter {}{name}", index + 1))
    }

    fn result(&self) -> Place {
        self.part("the result")
    }

    fn part(&self, part: &str) -> Place {
        if self.0.is_empty() { Place(part.to_owned()) } else { Place(format!("{} of {}", part, self.0)) }
    }

    /// The function itself.
    fn whole(&self) -> String {
        if self.0.is_empty() { "the function".to_owned() } else { self.0.clone() }
    }
}

/// A handle by which an object is only read is one of another type.
fn keep_const(crossing: &mut Crossing, pointee: &Type) {
    match crossing {
        Crossing::Handle { type_name, .. } | Crossing::Externref { type_name, .. } if pointee.is_const() => {
            type_name.insert_str(0, READ_ONLY);
        }
        Crossing::Extent(Extent { element, .. }) => {
            let handle = element.value().filter(|value| matches!(value.crossing, Crossing::Handle { .. }));
            if let (Some(handle), Type::Pointer(object)) = (handle, pointee.resolve()) {
                let mut handle = handle.crossing.clone();
                keep_const(&mut handle, object);
                *element = Element::of(handle);
            }
        }
        _ => {}
    }
}

fn is_of_function(annotation: &Annotation) -> bool {
    matches!(annotation.kind, AnnotationKind::Leaf | AnnotationKind::Unwind)
}

struct Lowering<'a> {
    text: &'a str,
    parts: u32,
    depth: u32,
    /// Where the name of the type stands that is being looked into, while its text is another one than `text`.
    outside: Option<usize>,
}

impl Lowering<'_> {
    fn new(text: &str) -> Lowering<'_> {
        Lowering { text, parts: 0, depth: 0, outside: None }
    }

    fn error(&self, at: usize, problem: Problem) -> PrototypeError {
        PrototypeError::new(self.text, self.outside.unwrap_or(at), problem)
    }

    fn meaning(&self, at: usize, place: &Place, message: impl std::fmt::Display) -> PrototypeError {
        self.error(at, Problem::Meaning(format!("{}: {message}", place.whole())))
    }

    fn unsupported(&self, at: usize, place: &Place, what: impl Into<String>) -> PrototypeError {
        self.error(at, Problem::Unsupported { what: what.into(), place: place.whole() })
    }

    /// Goes one level deeper into a type. What is behind a name of the host's has its place in another text: errors in it are
    /// reported where the name stands.
    fn inside<T>(
        &mut self,
        ty: &Type,
        at: usize,
        lower: impl FnOnce(&mut Self) -> Result<T, PrototypeError>,
    ) -> Result<T, PrototypeError> {
        (self.parts, self.depth) = (self.parts + 1, self.depth + 1);
        if self.parts > MAX_PARTS || self.depth > MAX_DEPTH {
            let message =
                format!("the prototype has more than {MAX_PARTS} parts, or they are nested more than {MAX_DEPTH} deep");
            return Err(self.error(at, Problem::Meaning(message)));
        }
        let outside = self.outside;
        if ty.is_named() {
            self.outside = outside.or(Some(at));
        }
        let result = lower(self)?;
        self.outside = outside;
        self.depth -= 1;
        Ok(result)
    }

    fn function(&mut self, function: &Function, at: usize, place: &Place) -> Result<Signature, PrototypeError> {
        let mut params = Vec::with_capacity(function.params.len());
        for (i, param) in function.params.iter().enumerate() {
            let place = place.parameter(i, param.name.as_deref());
            params.push(match is_var_args(&param.ty) {
                true => Value::new(param.name.as_deref(), Crossing::User),
                false => self.parameter(param, Operands::before(function), &place)?,
            });
        }
        let result = self.result(function, at, &place.result())?;
        self.measured(&mut params, result.as_ref(), &function.params, place)?;
        self.var_args(&mut params, result.as_ref(), function, place)?;
        let leaf = self.said_of_function(function, "leaf", place)?;
        let unwind = self.said_of_function(function, "unwind", place)?;
        if let Some(at) = unwind.filter(|_| leaf.is_some()) {
            return Err(self.meaning(at, place, "a `leaf` is never left by unwinding: it calls nothing of the app's"));
        }
        let mut signature = Signature { name: None, params, result, leaf: leaf.is_some(), unwind: unwind.is_some() };
        signature.give_result_to_listed();
        self.check_structs(&signature, at, place)?;
        Ok(signature)
    }

    fn parameter(
        &mut self,
        param: &Declaration,
        operands: Operands<'_>,
        place: &Place,
    ) -> Result<Value, PrototypeError> {
        let marks = Marks::collect(self, &param.annotations, place)?;
        if let Type::Array { len: Some(len), .. } = &param.ty {
            // Not of use, but a mistyped annotation looks like this.
            self.count(len, operands, place)?;
        }
        let value = self.inside(&param.ty, param.at, |lowering| match pointee(&param.ty) {
            Some((pointee, at_least)) => {
                let crossing = lowering.pointer(pointee, &marks, operands, param.at, place)?;
                let nonnull = at_least || marks.nonnull;
                Ok(Value {
                    nonnull,
                    window: marks.window.is_some(),
                    is_const: pointee.is_const(),
                    ..Value::of(crossing)
                })
            }
            None => Ok(Value::of(lowering.scalar(&param.ty, &marks, param.at, place)?)),
        })?;
        Ok(value.with_name(param.name.clone()))
    }

    /// Where a word of one annotation is said of the function itself, if it is.
    fn said_of_function(
        &self,
        function: &Function,
        word: &str,
        place: &Place,
    ) -> Result<Option<usize>, PrototypeError> {
        let mut said = function.annotations.iter().filter(|annotation| annotation.kind.word() == word);
        match (said.next(), said.next()) {
            (_, Some(again)) => Err(self.meaning(again.at, place, format!("`{word}` is said twice"))),
            (first, None) => Ok(first.map(|annotation| annotation.at)),
        }
    }

    fn result(&mut self, function: &Function, at: usize, place: &Place) -> Result<Option<Value>, PrototypeError> {
        let marks = Marks::collect(self, function.annotations.iter().filter(|a| !is_of_function(a)), place)?;
        marks.no_window(self, place)?;
        self.inside(&function.result, at, |lowering| {
            let crossing = match function.result.resolve() {
                Type::Void => {
                    marks.none(lowering, place, "void")?;
                    return Ok(None);
                }
                Type::Array { .. } | Type::Function(_) => {
                    return Err(lowering.meaning(at, place, "a function cannot return an array or a function"));
                }
                Type::Pointer(pointee) => {
                    let crossing = lowering.pointer(pointee, &marks, Operands::after(function), at, place)?;
                    marks.check_result(lowering, &crossing, place)?;
                    crossing
                }
                ty => lowering.scalar(ty, &marks, at, place)?,
            };
            Ok(Some(Value { nonnull: marks.nonnull, ..Value::of(crossing) }))
        })
    }

    /// A value that is not a pointer.
    fn scalar(&mut self, ty: &Type, marks: &Marks<'_>, at: usize, place: &Place) -> Result<Crossing, PrototypeError> {
        match ty.resolve() {
            Type::Scalar(scalar) => {
                marks.none(self, place, scalar)?;
                Ok(Crossing::Scalar(*scalar))
            }
            Type::Wide(name) => match variadic::complex(name) {
                Some(record) => {
                    marks.none(self, place, name.trim_matches('`'))?;
                    Ok(Crossing::Struct(Arc::new(record)))
                }
                None => Err(self.unsupported(at, place, *name)),
            },
            Type::Record { keyword, tag, members: None } => {
                let tag = tag.as_deref().unwrap_or_default();
                let message = format!("the members of `{keyword} {tag}` are not known; define it to pass it by value");
                Err(self.meaning(at, place, message))
            }
            Type::Record { keyword, tag, members: Some(members) } => {
                marks.none(self, place, keyword)?;
                let record = self.record(keyword, tag.as_deref(), members, at, place)?;
                self.by_value(record, at, place)
            }
            Type::Unknown(name) => Err(self.unknown(name, at, place)),
            Type::Ellipsis => Err(self.meaning(at, place, "`...` is not a type")),
            _ => Err(self.meaning(at, place, "`void` is not the type of a value")),
        }
    }

    fn unknown(&self, name: &str, at: usize, place: &Place) -> PrototypeError {
        if variadic::is_va_list(name) {
            return self.meaning(at, place, format!("`{name}` is only the type of a parameter"));
        }
        self.meaning(at, place, format!("`{name}` is not a known type; define the name, or use a type of C's"))
    }

    /// A value that is a pointer.
    fn pointer(
        &mut self,
        pointee: &Type,
        marks: &Marks<'_>,
        operands: Operands<'_>,
        at: usize,
        place: &Place,
    ) -> Result<Crossing, PrototypeError> {
        if let Type::Function(function) = pointee.resolve() {
            marks.no_window(self, place)?;
            let scope = marks.scope_only(self, place)?;
            let signature = self.inside(pointee, at, |lowering| lowering.function(function, at, place))?;
            let policy = marks.checked_policy(self, &signature, place)?;
            return Ok(Crossing::Function { signature: Box::new(signature), scope, policy });
        }
        let ctype = self.ctype(pointee, at, place)?;
        match marks.crossing(self, &ctype, operands, place)? {
            Some(mut crossing) => {
                keep_const(&mut crossing, pointee);
                Ok(crossing)
            }
            None => self.plain_pointer(ctype, at, place),
        }
    }

    /// A pointer that nothing is said of.
    fn plain_pointer(&self, pointee: CType, at: usize, place: &Place) -> Result<Crossing, PrototypeError> {
        if let Some(ty) = pointee.differing() {
            let message = format!(
                "memory that holds `{ty}` is not alike in C (8 bytes) and in a wasm32 app (4 bytes); say how it crosses, with \
                 `[in: n]`, `[out: n]`, `[str: n]`, `[handle: n]`, for a struct that C keeps `[shadow]`, or pass it untouched as `void *`"
            );
            return Err(self.meaning(at, place, message));
        }
        let pointee_size = pointee.native_size().unwrap_or(1).max(1);
        Ok(Crossing::Pointer { pointee, pointee_size })
    }

    /// Refuses a struct that cannot be converted behind a pointer.
    fn check_converted(&self, record: &Record, at: usize, place: &Place) -> Result<(), PrototypeError> {
        if record.native.size > MAX_CONVERTED {
            let what = format!("a struct of more than {MAX_CONVERTED} bytes that C and the app lay out differently");
            return Err(self.unsupported(at, place, what));
        }
        if record.has_differing_union() {
            let what = "a union with a member that differs between C and the app (`long`, a pointer)";
            return Err(self.unsupported(at, place, what));
        }
        Ok(())
    }

    /// Refuses a struct that cannot be kept alike on both sides for long.
    fn check_shadow(&self, crossing: &Crossing, at: usize, place: &Place) -> Result<(), PrototypeError> {
        let Crossing::Shadow { record, scope, .. } = crossing else { return Ok(()) };
        if *scope == Some(Scope::Once) {
            return Err(self.meaning(at, place, "a struct is not called: `[shadow]` has no `scope: once`"));
        }
        let Some(record) = record else { return Ok(()) };
        self.check_converted(record, at, place)?;
        let mut written = false;
        record.parts(&mut |part| {
            written |=
                matches!(part.value.crossing, Crossing::Extent(Extent { direction, .. }) if direction != Direction::In);
        });
        if written {
            let what = "in a struct that C keeps (`shadow`) a pointer that is not `[in]`";
            return Err(self.unsupported(at, place, what));
        }
        Ok(())
    }

    fn ctype(&mut self, ty: &Type, at: usize, place: &Place) -> Result<CType, PrototypeError> {
        self.inside(ty, at, |lowering| {
            Ok(match ty.resolve() {
                Type::Void => CType::Void,
                Type::Scalar(scalar) => CType::Scalar(*scalar),
                Type::Wide(name) => return Err(lowering.unsupported(at, place, format!("a pointer to {name}"))),
                Type::Record { keyword, tag, members: Some(members) } => {
                    CType::Record(lowering.record(keyword, tag.as_deref(), members, at, place)?)
                }
                Type::Record { tag, .. } => CType::Opaque(tag.clone().unwrap_or_default()),
                Type::Unknown(name) => CType::Opaque(name.clone()),
                Type::Pointer(pointee) => CType::Pointer(Box::new(lowering.ctype(pointee, at, place)?)),
                Type::Function(function) => CType::Function(Box::new(lowering.function(function, at, place)?)),
                Type::Array { element, len, .. } => {
                    let element = lowering.ctype(element, at, place)?;
                    let len = len.as_ref().and_then(|len| len.constant()).and_then(|len| u32::try_from(len).ok());
                    let array = len.map(|len| CType::Array(Box::new(element), len));
                    let sized = array.filter(|array| array.native_size().is_some());
                    let message = "the array's length is not a constant, its elements have no known size, or it is 4 GiB or larger";
                    sized.ok_or_else(|| lowering.meaning(at, place, message))?
                }
                Type::Ellipsis | Type::Typedef(_) | Type::Const(_) => unreachable!("neither is behind a pointer"),
            })
        })
    }
}

impl Marks<'_> {
    /// What is said of a function pointer, if a function of its signature can do it.
    fn checked_policy(
        &self,
        lowering: &Lowering<'_>,
        signature: &Signature,
        place: &Place,
    ) -> Result<Policy, PrototypeError> {
        let at = self.policy_at.map_or(0, |annotation| annotation.at);
        if self.policy.default.is_some() && !signature.has_default() {
            let message = "`[default]` is for functions that return a number or a pointer";
            return Err(lowering.meaning(at, place, message));
        }
        if self.policy.thread == Some(OnThread::Queue) {
            signature.can_be_queued().map_err(|why| {
                lowering.meaning(at, place, format!("`[thread: queue]` is not for this function: {why}"))
            })?;
        }
        Ok(self.policy.clone())
    }

    /// The scope of a function pointer, which takes no annotation but that and `nonnull`.
    fn scope_only(&self, lowering: &Lowering<'_>, place: &Place) -> Result<Scope, PrototypeError> {
        match self.what {
            Some(what) => {
                let message = format!("`[{}]` does not go with a function pointer", what.kind.word());
                Err(lowering.meaning(what.at, place, message))
            }
            None => Ok(self.scope.clone().map(|(scope, _)| scope).unwrap_or_default()),
        }
    }
}
