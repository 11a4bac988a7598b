//! Variable arguments: `...` and `va_list`.
//!
//! In wasm they are packed slots in the app's memory, each at a multiple of its size: four bytes, or eight for `i64` and `f64` (tool-conventions, "Basic
//! C ABI"). In C they are in registers and on the stack, and a `va_list` says where (System V psABI, 3.5.7). What they are says a format, which is
//! parsed to its end before anything is believed of it, or the prototype's list.

use super::Refused;
use super::copies::Copies;
use super::inbound::{lend, pointer_in, range_error, scalar_in, string_in};
use super::outbound::{in_memory, pointer_like, scalar_out};
use crate::instance::InstanceData;
use std::ffi::CStr;
use std::mem::offset_of;
use wasmbridge_artifact::ValType;
use wasmbridge_artifact::vmctx::VariadicCall;
use wasmbridge_trampolines::abi::sysv::{self, Class, INTEGER_REGISTERS, Piece, Place, SSE_REGISTERS};
use wasmbridge_trampolines::signature::format::{self, FormatArgument, Precision};
use wasmbridge_trampolines::{Crossing, Scalar, Signature, Value, VarArgs};

/// What `printf` prints for a string that is NULL. Functions that were not written for it would follow the NULL.
static NULL_STR: &[u8; 7] = b"(null)\0";
static NULL_WIDE_STR: [u32; 7] = ['(' as u32, 'n' as u32, 'u' as u32, 'l' as u32, 'l' as u32, ')' as u32, 0];

/// A variable argument as C has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word<'a> {
    Integer(u64),
    Float(u64),
    /// `long double`: ten bytes in sixteen, always on the stack
    Extended([u64; 2]),
    /// of a type that is a struct: its bytes
    Struct(&'a Value, &'a [u64]),
}

/// Listed arguments, with the cells of those that are structs: as a shape has them, the address of the cells in the argument's place.
pub(super) struct Listed<'a> {
    types: &'a [Value],
    /// one for each argument; empty unless it is a struct
    cells: Vec<Box<[u64]>>,
}

impl<'a> Listed<'a> {
    pub(super) fn new(types: &'a [Value]) -> Listed<'a> {
        let cells = |value: &Value| match &value.crossing {
            Crossing::Struct(record) => vec![0; 1 + record.native.size.div_ceil(8) as usize].into(),
            _ => Box::default(),
        };
        Listed { types, cells: types.iter().map(cells).collect() }
    }

    /// The wasm values, for thunks: of a struct the address of its cells, of which the first has the value.
    pub(super) fn read_guest(&mut self, instance: &InstanceData, guest_addr: u64) -> Result<Vec<u64>, Refused> {
        let mut slots = Slots { instance, guest_addr };
        let arguments = self.types.iter().zip(&mut self.cells).enumerate();
        let values = arguments.map(|(i, (value, cells))| {
            let wasm = slots.word(slot_bytes(value)).map_err(named(i))?;
            let Some(first) = cells.first_mut() else { return Ok(wasm) };
            *first = wasm;
            Ok(cells.as_mut_ptr() as u64)
        });
        values.collect()
    }

    /// The native values, extended by their types, for callbacks: of a struct the address of its bytes.
    ///
    /// # Safety
    /// As for [`Reader::new`].
    pub(super) unsafe fn read_native(&mut self, list: u64) -> Result<Vec<u64>, Refused> {
        // SAFETY: the caller's promise.
        let mut reader = unsafe { Reader::new(list) }?;
        let take = |(value, cells): (&Value, &mut Box<[u64]>)| {
            // SAFETY: the caller's promise.
            let raw = unsafe {
                match value.crossing {
                    Crossing::Scalar(Scalar::Double) => reader.float(),
                    Crossing::Struct(_) => {
                        reader.structure(value, &mut cells[1..]);
                        cells[1..].as_ptr() as u64
                    }
                    _ => reader.integer(),
                }
            };
            match value.crossing {
                // The upper half of what holds an `int` means nothing.
                Crossing::Scalar(Scalar::Int(int)) if int.native_bytes == 4 => {
                    if int.signed {
                        i64::from(raw as i32) as u64
                    } else {
                        raw & 0xffff_ffff
                    }
                }
                _ => raw,
            }
        };
        Ok(self.types.iter().zip(&mut self.cells).map(take).collect())
    }

    /// The arguments as C has them; structs are what their cells have now.
    pub(super) fn words(&self, native: &[u64]) -> Vec<Word<'_>> {
        let arguments = self.types.iter().zip(&self.cells).zip(native);
        let words = arguments.map(|((value, cells), &native)| match value.crossing {
            Crossing::Scalar(Scalar::Double) => Word::Float(native),
            Crossing::Struct(_) => Word::Struct(value, &cells[1..]),
            _ => Word::Integer(native),
        });
        words.collect()
    }
}

/// C's `va_list`, an array of one.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct VaList {
    general_offset: u32,
    vector_offset: u32,
    overflow: *const u64,
    save: *const u8,
}

const GENERAL_END: u32 = 8 * INTEGER_REGISTERS as u32;
const SAVE_END: u32 = GENERAL_END + 16 * SSE_REGISTERS as u32;

fn named(argument: usize) -> impl Fn(Refused) -> Refused {
    move |why| format!("variable argument {}: {why}", argument + 1)
}

/// Where the app's slots are read.
struct Slots<'a> {
    instance: &'a InstanceData,
    guest_addr: u64,
}

impl Slots<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let mut bytes = [0; N];
        self.guest_addr = self.guest_addr.next_multiple_of(N as u64);
        self.instance.bytes(self.guest_addr, N as u64, false)?.read(&mut bytes)?;
        self.guest_addr += N as u64;
        Ok(bytes)
    }

    fn word(&mut self, bytes: u8) -> Result<u64, Refused> {
        Ok(if bytes == 8 { u64::from_le_bytes(self.take()?) } else { u32::from_le_bytes(self.take()?).into() })
    }
}

fn slot_bytes(value: &Value) -> u8 {
    if matches!(value.wasm_type(), ValType::I64 | ValType::F64) { 8 } else { 4 }
}

/// A copy of the format at a native address, which nobody changes, and what it takes.
pub(super) fn format_out(copies: &mut Copies, format: u64) -> Result<(u64, Vec<FormatArgument>), Refused> {
    if format == 0 {
        return Err("the format is NULL".to_owned());
    }
    // SAFETY: a string in the app's memory, whose end was found when it was converted; nothing of the app has run since.
    let bytes = unsafe { CStr::from_ptr(format as *const libc::c_char) }.to_bytes_with_nul();
    let copy = copies.allocate(bytes.len() as u64)?;
    // SAFETY: just allocated, as many bytes.
    let copied = unsafe {
        copy.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        std::slice::from_raw_parts(copy, bytes.len() - 1)
    };
    let arguments = format::arguments(copied).map_err(|error| error.to_string())?;
    Ok((copy as u64, arguments))
}

/// Arguments of a format as C has them.
pub(super) fn formatted_out(
    instance: &InstanceData,
    guest_addr: u64,
    arguments: &[FormatArgument],
) -> Result<Vec<Word<'static>>, Refused> {
    let mut slots = Slots { instance, guest_addr };
    let mut words: Vec<Word<'static>> = Vec::with_capacity(arguments.len());
    for (i, argument) in arguments.iter().enumerate() {
        let word = match argument {
            FormatArgument::Int(int) => {
                slots.word(int.guest_bytes).map(|value| Word::Integer(scalar_out(Scalar::Int(*int), value)))
            }
            FormatArgument::Double => slots.word(8).map(Word::Float),
            FormatArgument::LongDouble => {
                slots.take::<16>().map(|bytes| Word::Extended(extended_of(u128::from_le_bytes(bytes))))
            }
            // A pointer that is only printed is the app's address: nothing of the host's is seen.
            FormatArgument::Pointer | FormatArgument::Str(_) | FormatArgument::WideStr(_) => {
                slots.word(4).map(Word::Integer)
            }
        };
        words.push(word.map_err(named(i))?);
    }
    // Bounds of strings may come later than the strings, so those are looked at in the end.
    for (i, argument) in arguments.iter().enumerate() {
        let Word::Integer(guest) = words[i] else { continue };
        let native = match *argument {
            FormatArgument::Str(_) if guest == 0 => Ok(NULL_STR.as_ptr() as u64),
            FormatArgument::WideStr(_) if guest == 0 => Ok(NULL_WIDE_STR.as_ptr() as u64),
            FormatArgument::Str(precision) => match bound(precision, &words) {
                None => pointer_like(instance, &Crossing::Str, guest, true),
                Some(most) => bounded_out(instance, guest, most),
            },
            FormatArgument::WideStr(precision) => wide_out(instance, guest, bound(precision, &words)),
            _ => continue,
        };
        words[i] = Word::Integer(native.map_err(named(i))?);
    }
    Ok(words)
}

/// How many characters of a string are read at most; `None` if it is read to its end.
fn bound(precision: Precision, words: &[Word<'_>]) -> Option<u64> {
    match precision {
        Precision::None => None,
        Precision::Given(most) => Some(most.into()),
        Precision::Argument(index) => match words.get(index as usize) {
            Some(Word::Integer(value)) => u64::try_from(*value as i32).ok(),
            _ => None,
        },
    }
}

/// A string of which at most so many bytes are read.
fn bounded_out(instance: &InstanceData, guest_addr: u64, most: u64) -> Result<u64, Refused> {
    let available = instance.available(guest_addr).min(most);
    let native = in_memory(instance, guest_addr, most.min(1), false)?;
    let ends = available == most || instance.bytes(guest_addr, available, false)?.find_zero()?.is_some();
    let why = || format!("the string at {guest_addr:#x} has no end in the app's memory, and fewer than {most} bytes");
    ends.then_some(native).ok_or_else(why)
}

/// A string of wide characters.
fn wide_out(instance: &InstanceData, guest_addr: u64, most: Option<u64>) -> Result<u64, Refused> {
    if !guest_addr.is_multiple_of(4) {
        return Err(format!("the wide string at {guest_addr:#x} is not aligned"));
    }
    let available = instance.available(guest_addr) / 4;
    let native = in_memory(instance, guest_addr, 4, false)?;
    let mut character = [0; 4];
    for i in 0..available.min(most.unwrap_or(u64::MAX)) {
        instance.bytes(guest_addr + 4 * i, 4, false)?.read(&mut character)?;
        if character == [0; 4] {
            return Ok(native);
        }
    }
    match most {
        // Each character is at least one byte of what is printed.
        Some(most) if most <= available => Ok(native),
        _ => Err(format!("the wide string at {guest_addr:#x} has no end in the app's memory")),
    }
}

/// Makes a variadic call ready; the address of its [`VariadicCall`]. `slots` are the arguments before `...`, converted.
pub(super) fn call_out(
    copies: &mut Copies,
    signature: &Signature,
    slots: &[u64],
    words: &[Word<'_>],
) -> Result<u64, Refused> {
    let mut pushed = Pushed::default();
    let convention = sysv::classify(signature);
    if convention.result == sysv::Returned::Memory {
        // The thunk knows where the result goes.
        pushed.integer(0);
    }
    for (index, place) in convention.params.iter().enumerate() {
        let piece = |i: usize| match signature.params[index].crossing {
            // SAFETY: the shape gives the address of the argument's cells, of which the first is the guest's.
            Crossing::Struct(_) => unsafe { (slots[index] as *const u64).add(1 + i).read() },
            _ => slots[index],
        };
        match place {
            Place::Registers(pieces) => {
                for (i, found) in pieces.iter().enumerate() {
                    match found.class {
                        Class::Integer => pushed.integer(piece(i)),
                        Class::Sse => pushed.float(piece(i)),
                    }
                }
            }
            Place::Stack(_) => pushed.stack.push(piece(0)),
            Place::StackStruct(eightbytes) => pushed.stack.extend((0..*eightbytes as usize).map(piece)),
            Place::Variadic => words.iter().for_each(|&word| pushed.word(word)),
        }
    }
    let stack = pushed.stack_in(copies)?;
    let call = copies.allocate(size_of::<VariadicCall>() as u64)?.cast::<VariadicCall>();
    // SAFETY: just allocated, aligned and large enough.
    unsafe {
        call.write(VariadicCall {
            general: pushed.general,
            vector: pushed.vector,
            vector_count: pushed.taken.1 as u64,
            stack,
            stack_len: pushed.stack.len() as u64,
            rax: 0,
            rdx: 0,
            xmm0: 0,
            xmm1: 0,
        });
    }
    Ok(call as u64)
}

/// A `va_list` with all arguments on its stack; its address.
pub(super) fn va_list_out(copies: &mut Copies, words: &[Word<'_>]) -> Result<u64, Refused> {
    let mut pushed = Pushed { taken: (INTEGER_REGISTERS, SSE_REGISTERS), ..Pushed::default() };
    words.iter().for_each(|&word| pushed.word(word));
    let overflow = pushed.stack_in(copies)?;
    let list = copies.allocate(size_of::<VaList>() as u64)?.cast::<VaList>();
    // SAFETY: just allocated, aligned and large enough.
    unsafe {
        list.write(VaList { general_offset: GENERAL_END, vector_offset: SAVE_END, overflow, save: overflow.cast() });
    }
    Ok(list as u64)
}

/// Arguments that are being passed.
#[derive(Default)]
pub(super) struct Pushed {
    pub(super) general: [u64; INTEGER_REGISTERS],
    pub(super) vector: [u64; SSE_REGISTERS],
    /// registers of each class that are used
    taken: (usize, usize),
    pub(super) stack: Vec<u64>,
}

impl Pushed {
    pub(super) fn integer(&mut self, value: u64) {
        match self.general.get_mut(self.taken.0) {
            Some(register) => {
                *register = value;
                self.taken.0 += 1;
            }
            None => self.stack.push(value),
        }
    }

    pub(super) fn float(&mut self, value: u64) {
        match self.vector.get_mut(self.taken.1) {
            Some(register) => {
                *register = value;
                self.taken.1 += 1;
            }
            None => self.stack.push(value),
        }
    }

    pub(super) fn word(&mut self, word: Word<'_>) {
        match word {
            Word::Integer(value) => self.integer(value),
            Word::Float(value) => self.float(value),
            Word::Extended(parts) => {
                // At a multiple of 16 bytes.
                self.stack.extend((self.stack.len() % 2 == 1).then_some(0));
                self.stack.extend(parts);
            }
            Word::Struct(value, eightbytes) => match sysv::pieces(value).filter(|pieces| self.has_room(pieces)) {
                None => self.stack.extend(eightbytes),
                Some(pieces) => pieces.iter().zip(eightbytes).for_each(|(piece, &eightbyte)| match piece.class {
                    Class::Integer => self.integer(eightbyte),
                    Class::Sse => self.float(eightbyte),
                }),
            },
        }
    }

    /// Whether there are registers for all pieces of a struct: else none of it is in one (psABI, 3.2.3, "Passing").
    fn has_room(&self, pieces: &[Piece]) -> bool {
        let vector = pieces.iter().filter(|piece| piece.class == Class::Sse).count();
        self.taken.0 + pieces.len() - vector <= INTEGER_REGISTERS && self.taken.1 + vector <= SSE_REGISTERS
    }

    fn stack_in(&self, copies: &mut Copies) -> Result<*const u64, Refused> {
        let len = self.stack.len();
        let stack = copies.allocate(8 * len as u64)?.cast::<u64>();
        // SAFETY: just allocated, as many words.
        unsafe { stack.copy_from_nonoverlapping(self.stack.as_ptr(), len) };
        Ok(stack)
    }
}

/// Calls a C function as a [`VariadicCall`] says. Thunks call it, by its number among the builtins. Exceptions pass through.
///
/// # Safety
/// The function takes what is written there, and the structure is the caller's.
#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn call_variadic(function: u64, call: *mut VariadicCall) {
    std::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        ".cfi_offset rbx, -24",
        "sub rsp, 8",
        "mov rbx, rsi",
        "mov r11, rdi",
        // The arguments on the stack; rsp is a multiple of 16 below them (psABI, 3.2.2).
        "mov rcx, [rbx + {stack_len}]",
        "lea rax, [rcx * 8 + 15]",
        "and rax, -16",
        "sub rsp, rax",
        "mov rsi, [rbx + {stack}]",
        "mov rdi, rsp",
        "rep movsq",
        "movsd xmm0, qword ptr [rbx + {vector}]",
        "movsd xmm1, qword ptr [rbx + {vector} + 8]",
        "movsd xmm2, qword ptr [rbx + {vector} + 16]",
        "movsd xmm3, qword ptr [rbx + {vector} + 24]",
        "movsd xmm4, qword ptr [rbx + {vector} + 32]",
        "movsd xmm5, qword ptr [rbx + {vector} + 40]",
        "movsd xmm6, qword ptr [rbx + {vector} + 48]",
        "movsd xmm7, qword ptr [rbx + {vector} + 56]",
        "mov rdi, [rbx + {general}]",
        "mov rsi, [rbx + {general} + 8]",
        "mov rdx, [rbx + {general} + 16]",
        "mov rcx, [rbx + {general} + 24]",
        "mov r8, [rbx + {general} + 32]",
        "mov r9, [rbx + {general} + 40]",
        "mov eax, dword ptr [rbx + {vector_count}]",
        "call r11",
        "mov [rbx + {rax}], rax",
        "mov [rbx + {rdx}], rdx",
        "movsd qword ptr [rbx + {xmm0}], xmm0",
        "movsd qword ptr [rbx + {xmm1}], xmm1",
        "lea rsp, [rbp - 8]",
        "pop rbx",
        ".cfi_restore rbx",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
        general = const offset_of!(VariadicCall, general),
        vector = const offset_of!(VariadicCall, vector),
        vector_count = const offset_of!(VariadicCall, vector_count),
        stack = const offset_of!(VariadicCall, stack),
        stack_len = const offset_of!(VariadicCall, stack_len),
        rax = const offset_of!(VariadicCall, rax),
        rdx = const offset_of!(VariadicCall, rdx),
        xmm0 = const offset_of!(VariadicCall, xmm0),
        xmm1 = const offset_of!(VariadicCall, xmm1),
    )
}

/// A `va_list` of C's that is being read. C's own is not changed: after such a call its value is indeterminate (C11, 7.16).
struct Reader(VaList);

impl Reader {
    /// # Safety
    /// There is a `va_list`, with as many arguments of the right types as are taken.
    unsafe fn new(list: u64) -> Result<Reader, Refused> {
        if list == 0 {
            return Err("the `va_list` is NULL".to_owned());
        }
        // SAFETY: the caller's promise.
        Ok(Reader(unsafe { (list as *const VaList).read_unaligned() }))
    }

    /// # Safety
    /// As for [`Reader::new`], here and below.
    unsafe fn overflow(&mut self) -> u64 {
        let place = self.0.overflow;
        self.0.overflow = place.wrapping_add(1);
        // SAFETY: the caller's promise.
        unsafe { place.read_unaligned() }
    }

    unsafe fn saved(&mut self, offset: u32) -> u64 {
        // SAFETY: the caller's promise: below its end, the save area has what is still to be taken.
        unsafe { self.0.save.add(offset as usize).cast::<u64>().read_unaligned() }
    }

    unsafe fn integer(&mut self) -> u64 {
        let offset = self.0.general_offset;
        if offset >= GENERAL_END {
            // SAFETY: the caller's promise.
            return unsafe { self.overflow() };
        }
        self.0.general_offset += 8;
        // SAFETY: the caller's promise.
        unsafe { self.saved(offset) }
    }

    unsafe fn float(&mut self) -> u64 {
        let offset = self.0.vector_offset;
        if offset >= SAVE_END {
            // SAFETY: the caller's promise.
            return unsafe { self.overflow() };
        }
        self.0.vector_offset += 16;
        // SAFETY: the caller's promise.
        unsafe { self.saved(offset) }
    }

    unsafe fn structure(&mut self, value: &Value, eightbytes: &mut [u64]) {
        let in_registers = sysv::pieces(value).filter(|pieces| {
            let vector = pieces.iter().filter(|piece| piece.class == Class::Sse).count() as u32;
            let general = pieces.len() as u32 - vector;
            self.0.general_offset + 8 * general <= GENERAL_END && self.0.vector_offset + 16 * vector <= SAVE_END
        });
        for (i, eightbyte) in eightbytes.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *eightbyte = unsafe {
                match in_registers.as_ref().map(|pieces| pieces[i].class) {
                    None => self.overflow(),
                    Some(Class::Integer) => self.integer(),
                    Some(Class::Sse) => self.float(),
                }
            };
        }
    }

    unsafe fn extended(&mut self) -> [u64; 2] {
        self.0.overflow = (self.0.overflow as usize).next_multiple_of(16) as *const u64;
        // SAFETY: the caller's promise.
        unsafe { [self.overflow(), self.overflow() & 0xffff] }
    }
}

/// Packed slots that are being written.
#[derive(Default)]
pub(super) struct Packed(Vec<u8>);

impl Packed {
    fn push(&mut self, bytes: &[u8]) {
        self.0.resize(self.0.len().next_multiple_of(bytes.len()), 0);
        self.0.extend_from_slice(bytes);
    }

    fn word(&mut self, bytes: u8, value: u64) {
        self.push(&value.to_le_bytes()[..bytes.into()]);
    }

    /// Listed arguments, whose wasm values these are.
    pub(super) fn of_listed(listed: &[Value], wasm: &[u64]) -> Packed {
        let mut packed = Packed::default();
        listed.iter().zip(wasm).for_each(|(value, &wasm)| packed.word(slot_bytes(value), wasm));
        packed
    }

    /// Shows them to the app; their guest address.
    pub(super) fn show(self, instance: &InstanceData) -> Result<u64, Refused> {
        let (guest_addr, to) = instance.scratch(self.0.len().max(1) as u64)?;
        // SAFETY: just allocated, as many bytes.
        unsafe { to.copy_from_nonoverlapping(self.0.as_ptr(), self.0.len()) };
        Ok(guest_addr)
    }
}

/// Arguments of a format, as the app has them.
///
/// # Safety
/// As for [`Reader::new`]; the format is NULL or a string.
pub(super) unsafe fn formatted_in(instance: &InstanceData, list: u64, format: u64) -> Result<Packed, Refused> {
    // SAFETY: the caller's promise.
    let arguments = unsafe { format_arguments(format) }?;
    // SAFETY: the caller's promise: they are what the format says.
    let words = unsafe { format_words(list, &arguments) }?;
    let mut packed = Packed::default();
    for (i, (argument, word)) in arguments.iter().zip(&words).enumerate() {
        match *word {
            Word::Float(value) => packed.word(8, value),
            Word::Extended(parts) => packed.push(&quad_of(parts).to_le_bytes()),
            Word::Struct(..) => unreachable!("no format has structs"),
            Word::Integer(value) => {
                // SAFETY: the caller's promise.
                let (bytes, wasm) = unsafe { integer_in(instance, *argument, value, &words) }.map_err(named(i))?;
                packed.word(bytes, wasm);
            }
        }
    }
    Ok(packed)
}

/// What the arguments of a format are.
///
/// # Safety
/// The format is NULL or a string.
unsafe fn format_arguments(format: u64) -> Result<Vec<FormatArgument>, Refused> {
    if format == 0 {
        return Err("the format is NULL".to_owned());
    }
    // SAFETY: the caller's promise.
    let format = unsafe { CStr::from_ptr(format as *const libc::c_char) };
    format::arguments(format.to_bytes()).map_err(|error| error.to_string())
}

/// The arguments of a format, as C has them.
///
/// # Safety
/// As for [`Reader::new`].
unsafe fn format_words(list: u64, arguments: &[FormatArgument]) -> Result<Vec<Word<'static>>, Refused> {
    // SAFETY: the caller's promise.
    let mut reader = unsafe { Reader::new(list) }?;
    // SAFETY: the caller's promise.
    let word = |argument: &FormatArgument| unsafe {
        match argument {
            FormatArgument::Double => Word::Float(reader.float()),
            FormatArgument::LongDouble => Word::Extended(reader.extended()),
            _ => Word::Integer(reader.integer()),
        }
    };
    Ok(arguments.iter().map(word).collect())
}

/// Passes on the variable arguments of a callback, as C has passed them.
///
/// # Safety
/// As for [`formatted_in`]; the native arguments are those of the callback.
pub(super) unsafe fn pass_on(pushed: &mut Pushed, list: u64, args: &VarArgs, native: &[u64]) -> Result<(), Refused> {
    match args {
        VarArgs::Format(format) => {
            // SAFETY: the caller's promise.
            let arguments = unsafe { format_arguments(native[*format as usize]) }?;
            // SAFETY: the caller's promise.
            unsafe { format_words(list, &arguments) }?.into_iter().for_each(|word| pushed.word(word));
        }
        VarArgs::Listed(full) => {
            let mut listed = Listed::new(&full.params[native.len()..]);
            // SAFETY: the caller's promise.
            let values = unsafe { listed.read_native(list) }?;
            listed.words(&values).into_iter().for_each(|word| pushed.word(word));
        }
    }
    Ok(())
}

/// An argument of a format that is an integer or a pointer: the bytes of its slot, and what stands there.
///
/// # Safety
/// As for [`formatted_in`].
unsafe fn integer_in(
    instance: &InstanceData,
    argument: FormatArgument,
    value: u64,
    words: &[Word<'_>],
) -> Result<(u8, u64), Refused> {
    let address = match argument {
        FormatArgument::Int(int) if int.narrows() => {
            return scalar_in(Scalar::Int(int), value)
                .map(|wasm| (4, wasm))
                .map_err(|_| range_error(int.signed, value));
        }
        FormatArgument::Int(int) => return Ok((int.guest_bytes, value)),
        _ if value == 0 => 0,
        FormatArgument::Str(precision) => match bound(precision, words) {
            // SAFETY: a string, by the format.
            None => unsafe { string_in(instance, value) }?,
            Some(most) => {
                // SAFETY: a string, or at least so many bytes, by the format.
                let bytes = unsafe {
                    let len = libc::strnlen(value as *const libc::c_char, most as usize);
                    std::slice::from_raw_parts(value as *const u8, len)
                };
                Packed([bytes, &[0]].concat()).show(instance)?
            }
        },
        FormatArgument::WideStr(precision) => {
            let most = bound(precision, words).unwrap_or(u64::MAX);
            let mut characters = Vec::new();
            for i in 0..most {
                // SAFETY: a wide string, or at least so many characters, by the format.
                let character = unsafe { (value as *const u32).add(i as usize).read_unaligned() };
                if character == 0 {
                    break;
                }
                characters.extend(character.to_le_bytes());
            }
            characters.extend([0; 4]);
            Packed(characters).show(instance)?
        }
        // Only printed. An address of the host's is nothing for the app to know, but the same one is the same number.
        _ => pointer_in(instance, value).or_else(|_| lend(instance, value, "void"))?,
    };
    Ok((4, address))
}

/// The x87's format of a number in the IEEE's of 128 bits: the same exponent, and the first 63 bits of the fraction behind a bit that says
/// that the number is normal; rounded to nearest, ties to even.
fn extended_of(quad: u128) -> [u64; 2] {
    let sign_and_exponent = (quad >> 112) as u64;
    let exponent = sign_and_exponent & 0x7fff;
    let fraction = quad & ((1 << 112) - 1);
    let integer_bit = if exponent == 0 { 0 } else { 1 << 63 };
    let significand = integer_bit | (fraction >> 49) as u64;
    if exponent == 0x7fff {
        // A NaN stays one if only the bits that are cut off said so.
        let payload = u64::from(fraction != 0 && significand == 1 << 63);
        return [significand | payload, sign_and_exponent];
    }
    let cut = fraction & ((1 << 49) - 1);
    let half = 1 << 48;
    let up = cut > half || (cut == half && significand & 1 == 1);
    match significand.checked_add(up.into()) {
        // The smallest normal number has the same exponent bits as the numbers below it, plus one.
        Some(rounded) if exponent == 0 && rounded >> 63 == 1 => [rounded, sign_and_exponent | 1],
        Some(rounded) => [rounded, sign_and_exponent],
        // The next power of two, or infinity.
        None => [1 << 63, sign_and_exponent + 1],
    }
}

/// The reverse, which is exact.
fn quad_of([significand, sign_and_exponent]: [u64; 2]) -> u128 {
    u128::from(sign_and_exponent & 0xffff) << 112 | u128::from(significand & !(1 << 63)) << 49
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_doubles_are_rounded_and_exact_in_return() {
        // 1, -2.5, 0, the smallest number, infinity, the largest number.
        for (quad, extended) in [
            (0x3fff_u128 << 112, [1 << 63, 0x3fff]),
            (0xc000_4000_u128 << 96, [0xa000_0000_0000_0000, 0xc000]),
            (0, [0, 0]),
            (1 << 49, [1, 0]),
            (0x7fff_u128 << 112, [1 << 63, 0x7fff]),
            (0x7ffe_u128 << 112 | ((1 << 63) - 1) << 49, [u64::MAX, 0x7ffe]),
        ] {
            assert_eq!(extended_of(quad), extended, "{quad:#x}");
            assert_eq!(quad_of(extended), quad, "{quad:#x}");
        }
        let one = 0x3fff_u128 << 112;
        assert_eq!(extended_of(one | 1 << 48), [1 << 63, 0x3fff], "a tie goes to even");
        assert_eq!(extended_of(one | 1 << 48 | 1), [(1 << 63) + 1, 0x3fff]);
        assert_eq!(extended_of(one | 3 << 48), [(1 << 63) + 2, 0x3fff]);
        assert_eq!(extended_of(one | ((1 << 112) - 1)), [1 << 63, 0x4000]);
        assert_eq!(extended_of((1 << 112) - 1), [1 << 63, 1], "up to the smallest normal number");
        assert_eq!(extended_of(0x7ffe_u128 << 112 | ((1 << 112) - 1)), [1 << 63, 0x7fff]);
        assert_eq!(extended_of(0x7fff_u128 << 112 | 1), [(1 << 63) | 1, 0x7fff], "a NaN stays one");
    }
}
