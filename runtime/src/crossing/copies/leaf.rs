//! One member of a struct, from one side's bytes to the other's.

use super::{Converter, Operands};
use crate::crossing::Refused;
use wasmbridge_trampolines::signature::{Leaf, Record, Sibling, Value};
use wasmbridge_trampolines::{Crossing, Operand, Scalar};

/// Which side's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Native,
    Guest,
}

/// Converts all members from one side's bytes.
pub(crate) fn record(
    converter: &mut Converter<'_>,
    record: &Record,
    side: Side,
    from: &[u8],
    to: &mut [u8],
) -> Result<(), Refused> {
    record.leaves().iter().try_for_each(|leaf| convert(converter, record, leaf, side, from, to))
}

/// Converts a member of a record from one side's bytes.
pub(super) fn convert(
    converter: &mut Converter<'_>,
    record: &Record,
    leaf: &Leaf,
    side: Side,
    from: &[u8],
    to: &mut [u8],
) -> Result<(), Refused> {
    let pick = |native: u32, guest: u32| if side == Side::Native { (native, guest) } else { (guest, native) };
    match leaf {
        Leaf::Raw { native, guest, mask } => {
            let (from_at, to_at) = pick(*native, *guest);
            copy(from, from_at, to, to_at, mask);
        }
        Leaf::Bits { native_bit, guest_bit, width } => {
            let (from_bit, to_bit) = pick(*native_bit, *guest_bit);
            copy_bits(from, from_bit, to, to_bit, *width);
        }
        Leaf::Value { native, guest, value, siblings } => {
            let (from_at, to_at) = pick(*native, *guest);
            let (native_len, guest_len) = lengths(value);
            let operand = |operand| sibling(operand, siblings, from, side);
            let operands = Operands(&operand);
            let converted = match side {
                // SAFETY: C's bytes are what the prototype says.
                Side::Native => unsafe { converter.value_in(value, read(from, from_at, native_len), operands) },
                Side::Guest => converter.value_out(value, read(from, from_at, guest_len), operands),
            };
            let to_len = if side == Side::Native { guest_len } else { native_len };
            write(to, to_at, to_len, converted.map_err(|why| named(record, value, *native, why))?);
        }
    }
    Ok(())
}

/// Whether a member's bytes on one side differ between two copies of the struct.
pub(super) fn changed(leaf: &Leaf, side: Side, a: &[u8], b: &[u8]) -> bool {
    let pick = |native: u32, guest: u32| if side == Side::Native { native } else { guest };
    match leaf {
        Leaf::Raw { native, guest, mask } => {
            let at = pick(*native, *guest) as usize;
            let (a, b) = (&a[at..at + mask.len()], &b[at..at + mask.len()]);
            a.iter().zip(b).zip(mask).any(|((a, b), mask)| (a ^ b) & mask != 0)
        }
        Leaf::Bits { native_bit, guest_bit, width } => {
            let start = pick(*native_bit, *guest_bit);
            (start..start + u32::from(*width)).any(|bit| bit_of(a, bit) != bit_of(b, bit))
        }
        Leaf::Value { native, guest, value, .. } => {
            let (native_len, guest_len) = lengths(value);
            let len = if side == Side::Native { native_len } else { guest_len };
            let at = pick(*native, *guest) as usize;
            a[at..at + len] != b[at..at + len]
        }
    }
}

/// An error in a member; a value that is in no struct of the prototype's has no name.
fn named(record: &Record, value: &Value, at: u32, why: Refused) -> Refused {
    match &value.name {
        _ if record.wrapped().is_some() => why,
        Some(name) => format!("member `{name}`: {why}"),
        None => format!("the member at byte {at}: {why}"),
    }
}

/// What another member of one side's bytes is worth.
fn sibling(operand: Operand, siblings: &[Sibling], bytes: &[u8], side: Side) -> Option<i128> {
    let Operand::Param(index) = operand else { return None };
    siblings.iter().find(|sibling| sibling.index == index).map(|sibling| integer(sibling, bytes, side))
}

fn integer(sibling: &Sibling, bytes: &[u8], side: Side) -> i128 {
    let (start, scalar_bytes) = match side {
        Side::Native => (sibling.native_bit, sibling.scalar.native_bytes()),
        Side::Guest => (sibling.guest_bit, sibling.scalar.guest_bytes()),
    };
    let width = u32::from(sibling.width.unwrap_or(8 * scalar_bytes));
    let bits = (0..width).fold(0, |bits, i| bits | u64::from(bit_of(bytes, start + i)) << i);
    match sibling.scalar {
        Scalar::Int(int) if int.signed && width > 0 => i128::from((bits << (64 - width)) as i64 >> (64 - width)),
        _ => i128::from(bits),
    }
}

/// Bytes of a value in C and in the guest.
fn lengths(value: &Value) -> (usize, usize) {
    match value.crossing {
        Crossing::Scalar(scalar) => (scalar.native_bytes().into(), scalar.guest_bytes().into()),
        _ => (8, 4),
    }
}

pub(super) fn read(bytes: &[u8], at: u32, len: usize) -> u64 {
    let mut word = [0; 8];
    word[..len].copy_from_slice(&bytes[at as usize..at as usize + len]);
    u64::from_le_bytes(word)
}

pub(super) fn write(bytes: &mut [u8], at: u32, len: usize, value: u64) {
    bytes[at as usize..at as usize + len].copy_from_slice(&value.to_le_bytes()[..len]);
}

fn copy(from: &[u8], from_at: u32, to: &mut [u8], to_at: u32, mask: &[u8]) {
    let (from, to) = (&from[from_at as usize..], &mut to[to_at as usize..]);
    for ((to, from), mask) in to.iter_mut().zip(from).zip(mask) {
        *to = *to & !mask | from & mask;
    }
}

fn bit_of(bytes: &[u8], bit: u32) -> u8 {
    bytes[bit as usize / 8] >> (bit % 8) & 1
}

fn copy_bits(from: &[u8], from_bit: u32, to: &mut [u8], to_bit: u32, width: u8) {
    for i in 0..u32::from(width) {
        let (bit, to_bit) = (bit_of(from, from_bit + i), to_bit + i);
        let byte = &mut to[to_bit as usize / 8];
        *byte = *byte & !(1 << (to_bit % 8)) | bit << (to_bit % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_move_and_leave_their_neighbours() {
        let mut to = [0; 8];
        copy_bits(&[0b1011_0000, 0b1], 4, &mut to, 30, 5);
        assert_eq!(to, [0, 0, 0, 0b1100_0000, 0b110, 0, 0, 0]);
        let mut to = [0xff; 2];
        copy_bits(&[0], 0, &mut to, 3, 3);
        assert_eq!(to, [0b1100_0111, 0xff]);
    }

    #[test]
    fn integers_are_read_by_their_type() {
        let sibling = |scalar, width| Sibling { index: 0, native_bit: 8, guest_bit: 8, scalar, width };
        let bytes = [0, 0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        assert_eq!(integer(&sibling(Scalar::INT, None), &bytes, Side::Native), -2);
        assert_eq!(integer(&sibling(Scalar::UCHAR, None), &bytes, Side::Native), 0xfe);
        assert_eq!(integer(&sibling(Scalar::LONG, None), &bytes, Side::Guest), -2);
        assert_eq!(integer(&sibling(Scalar::LONG, None), &bytes, Side::Native), 0xffff_fffe);
        assert_eq!(integer(&sibling(Scalar::UINT, Some(2)), &bytes, Side::Native), 2);
        assert_eq!(integer(&sibling(Scalar::INT, Some(3)), &bytes, Side::Guest), -2);
    }
}
