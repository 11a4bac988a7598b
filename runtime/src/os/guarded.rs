//! Reading and writing pages that may vanish: windows, whose owner may unmap them or cut their file at any moment.
//!
//! Wasm code that meets such a page traps. What the runtime does on the guest's behalf (bulk instructions, values at the boundary) goes
//! through the functions of this file: a fault in one of them makes it return [`Fault`], by way of the signal handler.

use std::ops::Range;

/// A page was not there, or not writable. The bytes before it are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault;

/// # Layout
/// Two INTEGER eightbytes: returned in `rax` and `rdx` (System V psABI, 3.2.3). The functions below and [`fail`] set the second.
#[repr(C)]
struct Answer {
    value: u64,
    faulted: u64,
}

/// Copies `len` bytes; the ranges may overlap.
///
/// # Safety
/// Both ranges lie in memory that is the guest's to read or write, or, where no page vanishes, anywhere that is valid for it.
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> Result<(), Fault> {
    // SAFETY: the caller's promise; faults in guest memory end the function.
    check(unsafe { copy_bytes(to, from, len) }).map(drop)
}

/// Writes `byte` `len` times.
///
/// # Safety
/// As for [`copy`].
pub(crate) unsafe fn fill(to: *mut u8, byte: u8, len: usize) -> Result<(), Fault> {
    // SAFETY: as in `copy`.
    check(unsafe { fill_bytes(to, u32::from(byte), len) }).map(drop)
}

/// Reads an aligned word of 4 bytes, at once.
///
/// # Safety
/// As for [`copy`]; the address is a multiple of 4.
pub(crate) unsafe fn load32(from: *const u8) -> Result<u32, Fault> {
    // SAFETY: as in `copy`.
    check(unsafe { load_word32(from) }).map(|value| value as u32)
}

/// Reads an aligned word of 8 bytes, at once.
///
/// # Safety
/// As for [`copy`]; the address is a multiple of 8.
pub(crate) unsafe fn load64(from: *const u8) -> Result<u64, Fault> {
    // SAFETY: as in `copy`.
    check(unsafe { load_word64(from) })
}

fn check(answer: Answer) -> Result<u64, Fault> {
    if answer.faulted == 0 { Ok(answer.value) } else { Err(Fault) }
}

/// Bytes of each of the four functions, filled up: which pcs are theirs.
const CODE_LEN: usize = 64;

/// Where to go on after a fault at this pc, if it is in one of the four functions.
pub(crate) fn after_fault(pc: usize) -> Option<usize> {
    let code = |start: usize| -> Range<usize> { start..start + CODE_LEN };
    let functions = [
        copy_bytes as *const () as usize,
        fill_bytes as *const () as usize,
        load_word32 as *const () as usize,
        load_word64 as *const () as usize,
    ];
    functions.iter().any(|&start| code(start).contains(&pc)).then_some(fail as *const () as usize)
}

/// Returns from the function that faulted: none of them has anything on the stack.
#[unsafe(naked)]
unsafe extern "C" fn fail() {
    std::arch::naked_asm!("cld", "mov edx, 1", "ret")
}

#[unsafe(naked)]
unsafe extern "C" fn copy_bytes(to: *mut u8, from: *const u8, len: usize) -> Answer {
    std::arch::naked_asm!(
        "mov rcx, rdx",
        "xor edx, edx",
        "mov rax, rdi",
        "sub rax, rsi",
        // Whether `to` lies inside of what is read: then from the end on, so that nothing is overwritten before it has been read.
        "cmp rax, rcx",
        "jb 2f",
        "rep movsb",
        "ret",
        "2:",
        "lea rdi, [rdi + rcx - 1]",
        "lea rsi, [rsi + rcx - 1]",
        "std",
        "rep movsb",
        "cld",
        "ret",
        ".skip {len}, 0xcc",
        len = const CODE_LEN,
    )
}

#[unsafe(naked)]
unsafe extern "C" fn fill_bytes(to: *mut u8, byte: u32, len: usize) -> Answer {
    std::arch::naked_asm!(
        "mov rcx, rdx",
        "xor edx, edx",
        "mov eax, esi",
        "rep stosb",
        "ret",
        ".skip {len}, 0xcc",
        len = const CODE_LEN,
    )
}

#[unsafe(naked)]
unsafe extern "C" fn load_word32(from: *const u8) -> Answer {
    std::arch::naked_asm!("xor edx, edx", "mov eax, dword ptr [rdi]", "ret", ".skip {len}, 0xcc", len = const CODE_LEN)
}

#[unsafe(naked)]
unsafe extern "C" fn load_word64(from: *const u8) -> Answer {
    std::arch::naked_asm!("xor edx, edx", "mov rax, qword ptr [rdi]", "ret", ".skip {len}, 0xcc", len = const CODE_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_ranges_are_copied_as_if_at_once() {
        for (from, to) in [(0, 3), (3, 0), (0, 0), (0, 16)] {
            let mut bytes: Vec<u8> = (0..32).collect();
            let mut expected = bytes.clone();
            expected.copy_within(from..from + 13, to);
            let start = bytes.as_mut_ptr();
            // SAFETY: both ranges lie in the vector.
            unsafe { copy(start.add(to), start.add(from), 13) }.unwrap();
            assert_eq!(bytes, expected, "{from} to {to}");
        }
    }

    #[test]
    fn words_and_bytes() {
        let mut words = [0u64; 4];
        // SAFETY: inside the array, and aligned.
        unsafe {
            fill(words.as_mut_ptr().cast::<u8>().add(8), 0x5a, 8).unwrap();
            fill(words.as_mut_ptr().cast::<u8>(), 1, 0).unwrap();
            assert_eq!(load64(words.as_ptr().add(1).cast()), Ok(0x5a5a_5a5a_5a5a_5a5a));
            assert_eq!(load32(words.as_ptr().add(1).cast()), Ok(0x5a5a_5a5a));
        }
        assert_eq!(words, [0, 0x5a5a_5a5a_5a5a_5a5a, 0, 0]);
    }
}
