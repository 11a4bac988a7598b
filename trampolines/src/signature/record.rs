//! Structs and unions whose members are known: how C lays them out on both sides, and what of their bytes means something.
//!
//! The rules are those of the System V psABI, 3.1.2, "Aggregates and Unions" and "Bit-Fields", which clang follows for wasm32 too; only the
//! sizes of `long` and of pointers differ.
//!
//! - A member lies at the next multiple of its alignment; the size is a multiple of the largest alignment.
//! - A bit-field lies in the next free bits, unless it would then cross a boundary of its declared type: then at that boundary.
//! - An unnamed bit-field takes up its bits but does not align the struct; of width 0 it only moves on to the next boundary.

use super::{Crossing, Scalar, Value};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use wasmbridge_artifact::ValType;

/// The most bytes of a struct or union that is passed by value.
pub const MAX_BY_VALUE: u32 = 2048;

/// The most bytes, in C, of one that is converted member by member.
pub const MAX_CONVERTED: u32 = 64 << 10;

/// The most bytes of one that is only pointed to.
const MAX_SIZE: u64 = 256 << 20;

/// A struct or union. Two of them are equal if their members' types are: names do not count.
#[derive(Debug, Clone)]
pub struct Record {
    /// its tag, or the typedef name that the host gave it
    pub name: Option<String>,
    /// whether it is a union
    pub union: bool,
    /// its members
    pub members: Vec<Member>,
    /// size and alignment in the host's C
    pub native: Layout,
    /// size and alignment in the guest's C
    pub guest: Layout,
    leaves: Vec<Leaf>,
}

/// `sizeof` and `_Alignof`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    /// bytes, a multiple of `align`
    pub size: u32,
    /// 1, 2, 4 or 8
    pub align: u32,
}

/// A member of a struct or union.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// its type
    pub ty: MemberType,
    /// its bits, if it is a bit-field
    pub bits: Option<BitField>,
    /// bits from the record's start, in the host's C
    pub native_bit: u32,
    /// bits from the record's start, in the guest's C
    pub guest_bit: u32,
}

/// A bit-field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BitField {
    /// how many bits
    pub width: u8,
    /// Whether it has a name. One without is padding.
    pub named: bool,
}

/// The type of a member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MemberType {
    /// a number or a pointer
    Value(Value),
    /// another struct or union
    Record(Arc<Record>),
    /// an array of so many, at least one
    Array(Box<MemberType>, u32),
}

/// A part of a record that is converted in one step. Offsets are in bytes if nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// Bytes that are alike on both sides; of each, the bits that `mask` has. What it has not is padding.
    Raw {
        /// offset in the host's
        native: u32,
        /// offset in the guest's
        guest: u32,
        /// for each byte, its bits that mean something
        mask: Vec<u8>,
    },
    /// a value that is not alike, or is to be normalised
    Value {
        /// offset in the host's
        native: u32,
        /// offset in the guest's
        guest: u32,
        /// how it crosses; with the member's name, if it has one
        value: Value,
        /// the members that its count is computed from
        siblings: Vec<Sibling>,
    },
    /// a bit-field
    Bits {
        /// bits from the start, in the host's
        native_bit: u32,
        /// bits from the start, in the guest's
        guest_bit: u32,
        /// how many bits
        width: u8,
    },
}

/// An integer member that another member's count is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sibling {
    /// its number among the members of its struct
    pub index: u32,
    /// bits from the start, in the host's
    pub native_bit: u32,
    /// bits from the start, in the guest's
    pub guest_bit: u32,
    /// its declared type
    pub scalar: Scalar,
    /// how many bits it has, if it is a bit-field
    pub width: Option<u8>,
}

/// A scalar or bit-field in a record, in a union or not.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// the value; of a bit-field, one of its declared type
    pub value: &'a Value,
    /// bits from the record's start, in the host's C
    pub native_bit: u32,
    /// its bits
    pub bits: u32,
    /// whether it is a bit-field without a name
    pub padding: bool,
}

/// One of the two C compilers.
#[derive(Clone, Copy)]
enum Side {
    Native,
    Guest,
}

impl Record {
    /// Lays out members, whose offsets need not be set. `None` if it would be larger than 256 MiB.
    pub(crate) fn new(union: bool, mut members: Vec<Member>) -> Option<Record> {
        let native = lay_out(union, &mut members, Side::Native)?;
        let guest = lay_out(union, &mut members, Side::Guest)?;
        let mut record = Record { name: None, union, members, native, guest, leaves: Vec::new() };
        if native.size <= MAX_CONVERTED {
            let mut leaves = Leaves(Vec::new());
            leaves.record(&record, 0, 0);
            record.leaves = leaves.0;
        }
        Some(record)
    }

    /// A struct with one member, which lies as the value alone does.
    pub fn of_value(value: Value) -> Record {
        let members = vec![Member::new(MemberType::Value(value), None)];
        Record::new(false, members).expect("it is small")
    }

    /// The value, if it is one [of a value](Record::of_value).
    pub fn wrapped(&self) -> Option<&Value> {
        let [Member { ty: MemberType::Value(value), bits: None, .. }] = &*self.members else { return None };
        // A member that somebody has declared has a name.
        (self.name.is_none() && value.name.is_none() && !self.union && !value.nonnull).then_some(value)
    }

    /// The wasm type of a struct with one scalar in it, which the wasm C ABI passes as that scalar (tool-conventions, "Basic C ABI", in the
    /// words of clang's `isSingleElementStruct`): one member, that is not padding, or an array of one, or a struct with one; and no padding
    /// around it. All others are passed by address.
    pub fn single(&self) -> Option<ValType> {
        self.only().map(Value::wasm_type)
    }

    fn only(&self) -> Option<&Value> {
        let mut members = self.members.iter().filter(|member| !member.is_padding());
        let (member, None) = (members.next()?, members.next()) else { return None };
        let mut ty = &member.ty;
        while let MemberType::Array(element, 1) = ty {
            ty = element;
        }
        let value = match ty {
            MemberType::Value(value) => value,
            MemberType::Record(record) => record.only()?,
            MemberType::Array(..) => return None,
        };
        (value_bytes(value, Side::Guest) == self.guest.size).then_some(value)
    }

    /// Calls `visit` with each scalar and each named bit-field, those of unions too.
    pub fn parts<'a>(&'a self, visit: &mut dyn FnMut(Part<'a>)) {
        self.parts_from(0, &mut |part| {
            if !part.padding {
                visit(part);
            }
        });
    }

    /// [`parts`](Record::parts), and bit-fields without a name that have bits.
    pub fn parts_and_padding<'a>(&'a self, visit: &mut dyn FnMut(Part<'a>)) {
        self.parts_from(0, visit);
    }

    fn parts_from<'a>(&'a self, base: u32, visit: &mut dyn FnMut(Part<'a>)) {
        for member in &self.members {
            match (&member.ty, member.bits) {
                (_, Some(BitField { width: 0, .. })) => {}
                (MemberType::Value(value), Some(BitField { width, named })) => {
                    let native_bit = base + member.native_bit;
                    visit(Part { value, native_bit, bits: width.into(), padding: !named });
                }
                (ty, _) => ty.parts_from(base + member.native_bit, visit),
            }
        }
    }

    /// What is converted, and from where to where. Of no use for unions whose members differ between the sides; empty for records
    /// of more than [`MAX_CONVERTED`] bytes.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Whether it is a union, or has one in it, of which not all members are alike on both sides: nobody could tell which member to convert.
    pub fn has_differing_union(&self) -> bool {
        if self.union {
            return self.differs();
        }
        self.members.iter().any(|member| member.ty.innermost_record().is_some_and(Record::has_differing_union))
    }

    /// The members that a member's count is computed from, in a record that begins at these bits.
    fn siblings(&self, ty: &MemberType, native_bit: u32, guest_bit: u32) -> Vec<Sibling> {
        let mut operands = BTreeSet::new();
        let mut innermost = ty;
        while let MemberType::Array(element, _) = innermost {
            innermost = element;
        }
        if let MemberType::Value(value) = innermost
            && let Some(count) = value.count()
        {
            count.operands(&mut |operand| operands.extend(operand.param()));
        }
        let sibling = |index: u32| {
            let member = &self.members[index as usize];
            let MemberType::Value(Value { crossing: Crossing::Scalar(scalar), .. }) = member.ty else {
                unreachable!("counts are computed from integers");
            };
            let (native_bit, guest_bit) = (native_bit + member.native_bit, guest_bit + member.guest_bit);
            Sibling { index, native_bit, guest_bit, scalar, width: member.bits.map(|bits| bits.width) }
        };
        operands.into_iter().map(sibling).collect()
    }

    /// Whether it has a pointer to an array or to something that must be converted, so that it cannot be passed by value.
    pub(crate) fn points_to_copies(&self) -> bool {
        let mut found = false;
        self.parts(&mut |part| {
            found |= matches!(part.value.crossing, Crossing::Extent(_) | Crossing::Shadow { .. });
        });
        found
    }

    /// Whether a member is not alike on both sides.
    pub fn differs(&self) -> bool {
        let mut differs = false;
        self.parts(&mut |part| differs |= !is_alike(part.value));
        differs
    }
}

impl Member {
    /// A member whose place is not known yet.
    pub(crate) fn new(ty: MemberType, bits: Option<BitField>) -> Member {
        Member { ty, bits, native_bit: 0, guest_bit: 0 }
    }

    /// Whether it is a bit-field without a name.
    pub fn is_padding(&self) -> bool {
        self.bits.is_some_and(|bits| !bits.named)
    }
}

impl MemberType {
    fn layout(&self, side: Side) -> Option<(u64, u64)> {
        Some(match self {
            MemberType::Value(value) => {
                let bytes = u64::from(value_bytes(value, side));
                (bytes, bytes)
            }
            MemberType::Record(record) => {
                let layout = match side {
                    Side::Native => record.native,
                    Side::Guest => record.guest,
                };
                (layout.size.into(), layout.align.into())
            }
            MemberType::Array(element, len) => {
                let (size, align) = element.layout(side)?;
                (size.checked_mul((*len).into()).filter(|&size| size <= MAX_SIZE)?, align)
            }
        })
    }

    fn parts_from<'a>(&'a self, native_bit: u32, visit: &mut dyn FnMut(Part<'a>)) {
        match self {
            MemberType::Value(value) => {
                let bits = 8 * value_bytes(value, Side::Native);
                visit(Part { value, native_bit, bits, padding: false });
            }
            MemberType::Record(record) => record.parts_from(native_bit, visit),
            MemberType::Array(element, len) => {
                let stride = 8 * element.layout(Side::Native).map_or(0, |layout| layout.0 as u32);
                (0..*len).for_each(|i| element.parts_from(native_bit + i * stride, visit));
            }
        }
    }

    fn innermost_record(&self) -> Option<&Record> {
        match self {
            MemberType::Value(_) => None,
            MemberType::Record(record) => Some(record),
            MemberType::Array(element, _) => element.innermost_record(),
        }
    }
}

/// Gives each member its offset on one side; the record's layout there.
fn lay_out(union: bool, members: &mut [Member], side: Side) -> Option<Layout> {
    let (mut next_bit, mut end_bit, mut record_align) = (0u64, 0u64, 1u64);
    for member in members {
        let (size, align) = member.ty.layout(side)?;
        if union {
            next_bit = 0;
        }
        let start = match member.bits {
            None | Some(BitField { width: 0, .. }) => next_bit.next_multiple_of(8 * align),
            Some(BitField { width, .. }) => {
                let unit = 8 * size;
                let crosses = next_bit / unit != (next_bit + u64::from(width) - 1) / unit;
                if crosses { next_bit.next_multiple_of(unit) } else { next_bit }
            }
        };
        next_bit = start + member.bits.map_or(8 * size, |bits| bits.width.into());
        if !member.is_padding() {
            record_align = record_align.max(align);
        }
        end_bit = end_bit.max(next_bit);
        if end_bit > 8 * MAX_SIZE {
            return None;
        }
        match side {
            Side::Native => member.native_bit = start as u32,
            Side::Guest => member.guest_bit = start as u32,
        }
    }
    Some(Layout { size: end_bit.div_ceil(8).next_multiple_of(record_align) as u32, align: record_align as u32 })
}

/// Bytes of a number or pointer; it is aligned to as many.
fn value_bytes(value: &Value, side: Side) -> u32 {
    u32::from(match (&value.crossing, side) {
        (Crossing::Scalar(scalar), Side::Native) => scalar.native_bytes(),
        (Crossing::Scalar(scalar), Side::Guest) => scalar.guest_bytes(),
        (_, Side::Native) => 8,
        (_, Side::Guest) => 4,
    })
}

/// Whether both sides have the same bytes for it.
fn is_alike(value: &Value) -> bool {
    matches!(value.crossing, Crossing::Scalar(scalar) if scalar.native_bytes() == scalar.guest_bytes())
}

/// Whether both sides have the same bytes for it, and any of them.
fn is_plain(value: &Value) -> bool {
    is_alike(value) && value.crossing != Crossing::Scalar(Scalar::Bool)
}

/// Each member is a leaf of its own, so that one that has changed can be told from its neighbours; an array of numbers is one.
struct Leaves(Vec<Leaf>);

impl Leaves {
    fn record(&mut self, record: &Record, native_bit: u32, guest_bit: u32) {
        if record.union {
            let mut mask = vec![0; record.native.size as usize];
            record.parts(&mut |part| {
                (part.native_bit..part.native_bit + part.bits).for_each(|bit| mask[bit as usize / 8] |= 1 << (bit % 8));
            });
            return self.raw(native_bit / 8, guest_bit / 8, mask);
        }
        for member in record.members.iter().filter(|member| !member.is_padding()) {
            let (native_bit, guest_bit) = (native_bit + member.native_bit, guest_bit + member.guest_bit);
            match member.bits {
                Some(BitField { width, .. }) => self.0.push(Leaf::Bits { native_bit, guest_bit, width }),
                None => {
                    let siblings =
                        record.siblings(&member.ty, native_bit - member.native_bit, guest_bit - member.guest_bit);
                    self.member(&member.ty, &siblings, native_bit, guest_bit);
                }
            }
        }
    }

    fn member(&mut self, ty: &MemberType, siblings: &[Sibling], native_bit: u32, guest_bit: u32) {
        let (native, guest) = (native_bit / 8, guest_bit / 8);
        match ty {
            MemberType::Value(value) if is_plain(value) => {
                self.raw(native, guest, vec![0xff; value_bytes(value, Side::Native) as usize]);
            }
            MemberType::Value(value) => {
                self.0.push(Leaf::Value { native, guest, value: value.clone(), siblings: siblings.to_vec() });
            }
            MemberType::Array(element, len) if matches!(&**element, MemberType::Value(value) if is_plain(value)) => {
                let bytes = element.layout(Side::Native).map_or(0, |layout| layout.0 as u32);
                self.raw(native, guest, vec![0xff; (bytes * len) as usize]);
            }
            MemberType::Record(record) => self.record(record, native_bit, guest_bit),
            MemberType::Array(element, len) => {
                let stride = |side| 8 * element.layout(side).map_or(0, |layout| layout.0 as u32);
                let (native_stride, guest_stride) = (stride(Side::Native), stride(Side::Guest));
                for i in 0..*len {
                    self.member(element, siblings, native_bit + i * native_stride, guest_bit + i * guest_stride);
                }
            }
        }
    }

    fn raw(&mut self, native: u32, guest: u32, mask: Vec<u8>) {
        self.0.push(Leaf::Raw { native, guest, mask });
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        (self.union, &self.members) == (other.union, &other.members)
    }
}

impl Eq for Record {}

impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.union, &self.members).hash(state);
    }
}
