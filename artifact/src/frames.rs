//! The tables that take a pc to what is known of it: its function and that function's frame, its trap, its place in the wasm
//! file, its name.
//!
//! They are used where they lie in the mapped artifact, by binary search, also by the signal handler: reading them allocates
//! nothing and cannot panic. All numbers are little-endian. Code offsets are in bytes from the start of `.text`.
//!
//! | table | entry | sorted by |
//! |---|---|---|
//! | [`FunctionTable`] | [`FunctionRecord`], 24 bytes | `start` |
//! | [`TrapTable`] | `u32` count; count × `u32` code offset; count × `u8` [`TrapCode`] | code offset |
//! | [`AddressMap`] | `u32` code offset, `u32` offset in the wasm file | code offset |
//! | calls of imports, as an [`AddressMap`] | `u32` offset of the call in the wasm file, `u32` index of the import | wasm offset |
//! | [`NameTable`] | `u32` count; count + 1 × `u32` end of name, from the first name's first byte; the names | function index |

use crate::trap::TrapCode;

/// What a function of `.text` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FunctionKind {
    /// A wasm function: `index` is its index in the module.
    Wasm = 0,
    /// An entry trampoline ([`entry`](crate::vmctx::entry)): `index` is its type. Unwinding ends here.
    Entry = 1,
}

/// The callee-saved registers of x86-64 beside `rbp`, in the order of [`FrameLayout::saves`] (System V psABI, figure 3.4).
pub const CALLEE_SAVED: [&str; 5] = ["rbx", "r12", "r13", "r14", "r15"];

/// Where a function keeps its caller's callee-saved registers. With it the signal handler gives a C caller its registers back
/// after a trap, so that entering wasm saves none.
///
/// A function that calls anything, or needs the stack, sets up a frame pointer: at `[fp]` is the caller's, at `[fp + 8]` the return address. Others may do without
/// a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameLayout {
    /// For each register of [`CALLEE_SAVED`]: it is at `fp - 8 * n`; 0 if the function leaves it alone.
    pub saves: [u8; 5],
    /// Bytes from the function's start to the first instruction at which all of `saves` are in place. A trap before it
    /// (stack overflow, in the prologue) finds the registers untouched.
    pub prologue: u16,
    /// It has no frame: its return address is at the stack pointer, and the frame pointer is its caller's. It calls nothing, and saves nothing.
    pub frameless: bool,
}

/// A function in `.text`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionRecord {
    /// first byte
    pub start: u32,
    /// length in bytes
    pub len: u32,
    /// index of the function or type
    pub index: u32,
    /// offset of the function's body in the wasm file
    pub wasm_offset: u32,
    /// its frame
    pub frame: FrameLayout,
    /// what it is
    pub kind: FunctionKind,
}

/// Beside its kind in a function's record: it has no frame.
const FRAMELESS: u8 = 0x80;

impl FunctionRecord {
    /// Bytes of a record.
    pub const SIZE: usize = 24;

    /// The record's bytes.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0..4].copy_from_slice(&self.start.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.index.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.wasm_offset.to_le_bytes());
        bytes[16..21].copy_from_slice(&self.frame.saves);
        bytes[21] = self.kind as u8 | if self.frame.frameless { FRAMELESS } else { 0 };
        bytes[22..24].copy_from_slice(&self.frame.prologue.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; Self::SIZE]) -> FunctionRecord {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        FunctionRecord {
            start: word(0),
            len: word(4),
            index: word(8),
            wasm_offset: word(12),
            frame: FrameLayout {
                saves: [bytes[16], bytes[17], bytes[18], bytes[19], bytes[20]],
                prologue: u16::from_le_bytes([bytes[22], bytes[23]]),
                frameless: bytes[21] & FRAMELESS != 0,
            },
            kind: if bytes[21] == FunctionKind::Entry as u8 { FunctionKind::Entry } else { FunctionKind::Wasm },
        }
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let end = offset.checked_add(4)?;
    Some(u32::from_le_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// The last of `count` ascending numbers that is not above `key`.
fn last_at_or_below(count: usize, key: u32, number: impl Fn(usize) -> Option<u32>) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if number(middle)? <= key {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.checked_sub(1)
}

/// The functions of `.text`.
#[derive(Debug, Clone, Copy)]
pub struct FunctionTable<'a>(&'a [[u8; FunctionRecord::SIZE]]);

impl<'a> FunctionTable<'a> {
    /// A table over its bytes.
    pub fn new(bytes: &'a [u8]) -> FunctionTable<'a> {
        FunctionTable(bytes.as_chunks().0)
    }

    /// How many functions there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record at a position.
    pub fn get(&self, position: usize) -> Option<FunctionRecord> {
        self.0.get(position).map(FunctionRecord::decode)
    }

    /// Where the function at a position begins.
    pub fn start(&self, position: usize) -> Option<u32> {
        u32_at(self.0.get(position)?, 0)
    }

    /// The function that the code offset is in.
    pub fn find(&self, code_offset: u32) -> Option<FunctionRecord> {
        let record = self.get(last_at_or_below(self.len(), code_offset, |i| self.start(i))?)?;
        (code_offset - record.start < record.len).then_some(record)
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = FunctionRecord> + use<'a> {
        self.0.iter().map(FunctionRecord::decode)
    }
}

/// The instructions of `.text` that can trap.
#[derive(Debug, Clone, Copy)]
pub struct TrapTable<'a>(&'a [u8]);

impl<'a> TrapTable<'a> {
    /// A table over its bytes.
    pub fn new(bytes: &'a [u8]) -> TrapTable<'a> {
        TrapTable(bytes)
    }

    /// Encodes traps, which are sorted by code offset, none twice.
    pub fn encode(traps: &[(u32, TrapCode)]) -> Vec<u8> {
        debug_assert!(traps.is_sorted_by(|a, b| a.0 < b.0));
        let mut bytes = (traps.len() as u32).to_le_bytes().to_vec();
        bytes.extend(traps.iter().flat_map(|t| t.0.to_le_bytes()));
        bytes.extend(traps.iter().map(|t| t.1 as u8));
        bytes
    }

    /// How many instructions can trap.
    pub fn len(&self) -> usize {
        u32_at(self.0, 0).unwrap_or(0) as usize
    }

    /// Whether none can.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The trap of the instruction at the code offset.
    pub fn find(&self, code_offset: u32) -> Option<TrapCode> {
        let at = |i: usize| u32_at(self.0, 4 + 4 * i);
        let found = last_at_or_below(self.len(), code_offset, at)?;
        if at(found)? != code_offset {
            return None;
        }
        TrapCode::from_byte(*self.0.get(4 + 4 * self.len() + found)?)
    }
}

/// From code offsets to offsets in the wasm file.
#[derive(Debug, Clone, Copy)]
pub struct AddressMap<'a>(&'a [u8]);

impl<'a> AddressMap<'a> {
    const ENTRY: usize = 8;

    /// A map over its bytes.
    pub fn new(bytes: &'a [u8]) -> AddressMap<'a> {
        AddressMap(bytes)
    }

    /// Encodes a map: pairs of code offset, from which on it holds, and wasm offset.
    pub fn encode(pairs: &[(u32, u32)]) -> Vec<u8> {
        debug_assert!(pairs.is_sorted_by_key(|p| p.0));
        pairs.iter().flat_map(|&(code, wasm)| [code.to_le_bytes(), wasm.to_le_bytes()]).flatten().collect()
    }

    /// Where in the wasm file the instruction at the code offset comes from.
    pub fn find(&self, code_offset: u32) -> Option<u32> {
        let found = self.last(code_offset)?;
        u32_at(self.0, found * Self::ENTRY + 4)
    }

    /// What is noted at this offset itself.
    pub fn get(&self, offset: u32) -> Option<u32> {
        let found = self.last(offset)?;
        (u32_at(self.0, found * Self::ENTRY)? == offset).then(|| u32_at(self.0, found * Self::ENTRY + 4))?
    }

    fn last(&self, offset: u32) -> Option<usize> {
        last_at_or_below(self.0.len() / Self::ENTRY, offset, |i| u32_at(self.0, i * Self::ENTRY))
    }
}

/// The names of functions, by their index.
#[derive(Debug, Clone, Copy)]
pub struct NameTable<'a>(&'a [u8]);

impl<'a> NameTable<'a> {
    /// A table over its bytes.
    pub fn new(bytes: &'a [u8]) -> NameTable<'a> {
        NameTable(bytes)
    }

    /// Encodes names; an empty one stands for a function without a name.
    pub fn encode<S: AsRef<str>>(names: &[S]) -> Vec<u8> {
        let mut bytes = (names.len() as u32).to_le_bytes().to_vec();
        let mut end = 0u32;
        bytes.extend(end.to_le_bytes());
        for name in names {
            end += name.as_ref().len() as u32;
            bytes.extend(end.to_le_bytes());
        }
        bytes.extend(names.iter().flat_map(|n| n.as_ref().bytes()));
        bytes
    }

    /// The function's name, if it has one.
    pub fn get(&self, function: u32) -> Option<&'a str> {
        let count = u32_at(self.0, 0)?;
        if function >= count {
            return None;
        }
        let names = 4 + 4 * (count as usize + 1);
        let end_at = |i: u32| u32_at(self.0, 4 + 4 * i as usize).map(|n| names + n as usize);
        let name = std::str::from_utf8(self.0.get(end_at(function)?..end_at(function + 1)?)?).ok()?;
        (!name.is_empty()).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(start: u32, len: u32) -> FunctionRecord {
        FunctionRecord {
            start,
            len,
            index: start / 10,
            wasm_offset: 7,
            frame: FrameLayout { saves: [1, 0, 3, 0, 255], prologue: 300, frameless: len == 4 },
            kind: if len == 4 { FunctionKind::Wasm } else { FunctionKind::Entry },
        }
    }

    #[test]
    fn functions_are_found_by_any_pc_inside_them() {
        let records = [record(0, 10), record(16, 4), record(32, 1)];
        let bytes: Vec<u8> = records.iter().flat_map(|r| r.encode()).collect();
        let table = FunctionTable::new(&bytes);
        assert_eq!(table.find(0), Some(records[0]));
        assert_eq!(table.find(9), Some(records[0]));
        assert_eq!(table.find(10), None, "between two functions");
        assert_eq!(table.find(19), Some(records[1]));
        assert_eq!(table.find(32), Some(records[2]));
        assert_eq!(table.find(33), None);
        assert_eq!(FunctionTable::new(&[]).find(0), None);
        assert_eq!(table.iter().collect::<Vec<_>>(), records);
    }

    #[test]
    fn traps_are_found_at_their_instruction_only() {
        let bytes = TrapTable::encode(&[(3, TrapCode::Unreachable), (9, TrapCode::StackOverflow)]);
        let table = TrapTable::new(&bytes);
        assert_eq!(table.find(3), Some(TrapCode::Unreachable));
        assert_eq!(table.find(9), Some(TrapCode::StackOverflow));
        for miss in [0, 2, 4, 8, 10] {
            assert_eq!(table.find(miss), None, "{miss}");
        }
    }

    #[test]
    fn addresses_hold_until_the_next_one() {
        let bytes = AddressMap::encode(&[(4, 100), (8, 200)]);
        let map = AddressMap::new(&bytes);
        assert_eq!([0, 4, 7, 8, 99].map(|o| map.find(o)), [None, Some(100), Some(100), Some(200), Some(200)]);
        assert_eq!([0, 4, 7, 8, 99].map(|o| map.get(o)), [None, Some(100), None, Some(200), None]);
    }

    #[test]
    fn names_come_back_and_empty_ones_are_none() {
        let bytes = NameTable::encode(&["main", "", "größer"]);
        let table = NameTable::new(&bytes);
        assert_eq!([0, 1, 2, 3].map(|i| table.get(i)), [Some("main"), None, Some("größer"), None]);
    }

    #[test]
    fn damaged_tables_find_nothing_and_do_not_panic() {
        let bytes = TrapTable::encode(&[(3, TrapCode::Unreachable), (9, TrapCode::StackOverflow)]);
        for len in 0..bytes.len() {
            let _ = TrapTable::new(&bytes[..len]).find(9);
        }
        let bytes = NameTable::encode(&["main", "b"]);
        for len in 0..bytes.len() {
            let _ = NameTable::new(&bytes[..len]).get(1);
        }
        assert_eq!(NameTable::new(&[255; 8]).get(5), None);
    }
}
