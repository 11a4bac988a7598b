//! Structs and unions whose members are known.

use super::counts::Operands;
use super::{Lowering, Marks, Place};
use crate::abi::sysv;
use crate::prototype::PrototypeError;
use crate::prototype::ast::{Declaration, Member as Declared, Type};
use crate::signature::{BitField, Crossing, Expr, MAX_BY_VALUE, Member, MemberType, Record, Scalar, Signature, Value};
use std::sync::Arc;

/// The most bytes of structs by value in one signature: on the stack, each eight of them are a value for the code generator.
const MAX_TOGETHER: u32 = 2 * MAX_BY_VALUE;

impl Lowering<'_> {
    pub(super) fn record(
        &mut self,
        keyword: &str,
        tag: Option<&str>,
        declared: &[Declared],
        at: usize,
        place: &Place,
    ) -> Result<Arc<Record>, PrototypeError> {
        let mut members = Vec::with_capacity(declared.len());
        let siblings: Vec<Declaration> = declared.iter().map(|member| member.declaration.clone()).collect();
        for member in declared {
            let at = member.declaration.at;
            let place = match &member.declaration.name {
                Some(name) => place.part(&format!("member `{name}`")),
                None => place.part("a member without a name"),
            };
            let marks = Marks::collect(self, &member.declaration.annotations, &place)?;
            let name = member.declaration.name.as_deref();
            let ty = self.member(&member.declaration.ty, name, &marks, &siblings, at, &place)?;
            members.push(self.sized(member, ty, &place)?);
        }
        if members.iter().all(Member::is_padding) {
            return Err(self.meaning(at, place, format!("a {keyword} needs a member with a name")));
        }
        let record = Record::new(keyword == "union", members);
        let mut record =
            record.ok_or_else(|| self.meaning(at, place, format!("the {keyword} is larger than 256 MiB")))?;
        record.name = tag.map(str::to_owned);
        Ok(Arc::new(record))
    }

    /// A member, with its bits if it is a bit-field.
    fn sized(&self, declared: &Declared, ty: MemberType, place: &Place) -> Result<Member, PrototypeError> {
        let (at, named) = (declared.declaration.at, declared.declaration.name.is_some());
        let Some(bits) = &declared.bits else {
            return match &ty {
                // Without a tag, its members are the outer struct's (C11, 6.7.2.1); with one, C takes it for no member at all.
                MemberType::Record(record) if record.name.is_none() => Ok(Member::new(ty, None)),
                _ if named => Ok(Member::new(ty, None)),
                _ => Err(self.meaning(at, place, "it needs a name")),
            };
        };
        let limit = match &ty {
            MemberType::Value(Value { crossing: Crossing::Scalar(Scalar::Bool), .. }) => 1,
            MemberType::Value(Value { crossing: Crossing::Scalar(scalar @ Scalar::Int(_)), .. }) => {
                8 * u64::from(scalar.guest_bytes())
            }
            _ => return Err(self.meaning(at, place, "a bit-field is an integer")),
        };
        let width = bits.constant().filter(|&width| width <= limit && (width > 0 || !named));
        let message = || format!("a bit-field of this type has 1 to {limit} bits, in the app as in C");
        let width = width.ok_or_else(|| self.meaning(at, place, message()))?;
        Ok(Member::new(ty, Some(BitField { width: width as u8, named })))
    }

    fn member(
        &mut self,
        ty: &Type,
        name: Option<&str>,
        marks: &Marks<'_>,
        siblings: &[Declaration],
        at: usize,
        place: &Place,
    ) -> Result<MemberType, PrototypeError> {
        let name = || name.map(str::to_owned);
        self.inside(ty, at, |lowering| match ty.resolve() {
            Type::Array { element, len, .. } => {
                let len = len.as_ref().and_then(|len| len.constant()).and_then(|len| u32::try_from(len).ok());
                let message = "an array in a struct needs a length that is a constant and at least 1";
                let len = len.filter(|&len| len > 0).ok_or_else(|| lowering.meaning(at, place, message))?;
                let element = lowering.member(element, name().as_deref(), marks, siblings, at, place)?;
                Ok(MemberType::Array(Box::new(element), len))
            }
            Type::Record { keyword, tag, members: Some(members) } => {
                marks.none(lowering, place, keyword)?;
                Ok(MemberType::Record(lowering.record(keyword, tag.as_deref(), members, at, place)?))
            }
            Type::Pointer(pointee) => {
                marks.no_window(lowering, place)?;
                marks.no_externref(lowering, place)?;
                let crossing = lowering.pointer(pointee, marks, Operands::members(siblings), at, place)?;
                if let Crossing::Extent(extent) = &crossing
                    && (extent.valid.is_some() || extent.inner().is_some())
                {
                    let what = "an array with `valid`, or of pointers that have a length, in a struct";
                    return Err(lowering.unsupported(at, place, what));
                }
                let value = Value { nonnull: marks.nonnull, ..Value::of(crossing) }.with_name(name());
                if value.count().is_some_and(Expr::has_deref) {
                    let what = "a count in a struct that is behind a pointer";
                    return Err(lowering.unsupported(at, place, what));
                }
                Ok(MemberType::Value(value))
            }
            Type::Function(_) => Err(lowering.meaning(at, place, "a function cannot be a member")),
            _ => Ok(match lowering.scalar(ty, marks, at, place)? {
                // A complex number.
                Crossing::Struct(record) => MemberType::Record(record),
                crossing => MemberType::Value(Value::of(crossing).with_name(name())),
            }),
        })
    }

    /// How a struct or union crosses that is passed by value.
    pub(super) fn by_value(&self, record: Arc<Record>, at: usize, place: &Place) -> Result<Crossing, PrototypeError> {
        if record.native.size > MAX_BY_VALUE {
            let message = format!("a struct or union of more than {MAX_BY_VALUE} bytes by value");
            return Err(self.unsupported(at, place, message));
        }
        if record.has_differing_union() {
            let what = "by value a union with a member that differs between C and the app (`long`, a pointer)";
            return Err(self.unsupported(at, place, what));
        }
        if record.points_to_copies() {
            let what =
                "by value a struct with a pointer that has a count or is converted; pass a pointer to the struct";
            return Err(self.unsupported(at, place, what));
        }
        if sysv::is_ambiguous(&record) {
            let what = "by value a struct with a bit-field without a name that GCC and clang treat differently";
            return Err(self.unsupported(at, place, what));
        }
        Ok(Crossing::Struct(record))
    }

    /// Refuses a function with too much passed by value.
    pub(super) fn check_structs(&self, signature: &Signature, at: usize, place: &Place) -> Result<(), PrototypeError> {
        let bytes = signature.params.iter().map(|param| match &param.crossing {
            Crossing::Struct(record) => record.native.size,
            _ => 0,
        });
        let strings = |record: &Record| {
            let mut found = false;
            record.parts(&mut |part| found |= part.value.crossing == Crossing::Str);
            found
        };
        if matches!(&signature.result, Some(Value { crossing: Crossing::Struct(record), .. }) if strings(record)) {
            return Err(self.unsupported(at, &place.result(), "`[str]` in a struct that is returned"));
        }
        if bytes.sum::<u32>() > MAX_TOGETHER {
            let message = format!("structs by value of more than {MAX_TOGETHER} bytes together");
            return Err(self.unsupported(at, place, message));
        }
        Ok(())
    }
}
