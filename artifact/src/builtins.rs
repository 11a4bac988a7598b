//! The functions of the runtime that compiled code, thunks and callbacks call, through a table that the vmctx points to.
//!
//! All are in the C (System V) convention. Those for compiled code take the vmctx first; they never unwind and never
//! raise a signal: a failure is a result, and the caller traps itself, so that every trap begins at a known pc.

/// A word of a builtin's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// 32 bits
    I32,
    /// 64 bits, or a pointer
    I64,
}

/// What [`Builtin::CallbackAdmit`] says.
pub mod admission {
    /// answer with the default value
    pub const REFUSE: u32 = 0;
    /// enter
    pub const ENTER: u32 = 1;
    /// the call has been carried out, and its result is in the cells
    pub const ANSWERED: u32 = 2;
}

macro_rules! builtins {
    ($($(#[$doc:meta])* $name:ident = $id:literal ($($param:ident),*) $(-> $result:ident)?;)*) => {
        /// A builtin function; its number is its index in the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Builtin {
            $($(#[$doc])* $name,)*
        }

        impl Builtin {
            /// Every builtin, in the order of the table.
            pub const ALL: &'static [Builtin] = &[$(Builtin::$name,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Builtin::$name => $id,)*
                }
            }

            /// Parameters.
            pub const fn params(self) -> &'static [Word] {
                match self {
                    $(Builtin::$name => &[$(Word::$param,)*],)*
                }
            }

            /// Result, if there is one.
            pub const fn result(self) -> Option<Word> {
                match self {
                    $(Builtin::$name => builtins!(@result $($result)?),)*
                }
            }

            /// Bytes from the start of the table.
            pub const fn offset(self) -> i32 {
                self as i32 * 8
            }
        }
    };
    (@result) => { None };
    (@result $result:ident) => { Some(Word::$result) };
}

builtins! {
    /// `(vmctx, memory, delta pages) -> old size in pages, or -1`
    MemoryGrow = "memory_grow" (I64, I32, I64) -> I64;
    /// `(vmctx, to memory, from memory, to, from, len) -> 0, or 1 if out of bounds`
    MemoryCopy = "memory_copy" (I64, I32, I32, I64, I64, I64) -> I32;
    /// `(vmctx, memory, to, byte, len) -> 0, or 1 if out of bounds`
    MemoryFill = "memory_fill" (I64, I32, I64, I32, I64) -> I32;
    /// `(vmctx, memory, segment, to, from, len) -> 0, or 1 if out of bounds`
    MemoryInit = "memory_init" (I64, I32, I32, I64, I64, I64) -> I32;
    /// `(vmctx, segment)`
    DataDrop = "data_drop" (I64, I32);
    /// `(vmctx, table, delta, value) -> old size, or -1`
    TableGrow = "table_grow" (I64, I32, I64, I64) -> I64;
    /// `(vmctx, table, to, value, len) -> 0, or 1 if out of bounds`
    TableFill = "table_fill" (I64, I32, I64, I64, I64) -> I32;
    /// `(vmctx, to table, from table, to, from, len) -> 0, or 1 if out of bounds`
    TableCopy = "table_copy" (I64, I32, I32, I64, I64, I64) -> I32;
    /// `(vmctx, table, segment, to, from, len) -> 0, or 1 if out of bounds`
    TableInit = "table_init" (I64, I32, I32, I64, I64, I64) -> I32;
    /// `(vmctx, segment)`
    ElemDrop = "elem_drop" (I64, I32);

    /// `(callback record, stack pointer, native arguments, cells of the result) -> an` [`admission`]: the slow path of a callback's entry check. The cells of
    /// the result are those of the arguments, unless it is a struct.
    CallbackAdmit = "callback_admit" (I64, I64, I64, I64) -> I32;
    /// `(callback record, native arguments) -> 1 to enter, 0 to answer with the default value`: replaces each native argument (8 bytes
    /// each) by its wasm value, for signatures with arguments that take more than a check.
    CallbackEnter = "callback_enter" (I64, I64) -> I32;
    /// `(callback record, slots) -> 1, or 0 to answer with the default value`: slot 0 holds the wasm result and is replaced by the native one;
    /// what `callback_enter` made visible ends.
    CallbackLeave = "callback_leave" (I64, I64) -> I32;
    /// `(callback record, argument number, native value) -> wasm value, or -1 to answer with the default value`: a native pointer that is
    /// not in memory 0.
    CallbackPointer = "callback_pointer" (I64, I32, I64) -> I64;
    /// `(callback record, wasm value) -> native pointer, or -1`: a pointer result that is not in memory 0.
    CallbackResult = "callback_result" (I64, I64) -> I64;
    /// `(thunk record, wasm arguments) -> 1, or 0 to trap`: replaces each wasm argument (8 bytes each) by its native value.
    ThunkEnter = "thunk_enter" (I64, I64) -> I32;
    /// `(thunk record, slots) -> 1, or 0 to trap`: slot 0 holds the native result and is replaced by the wasm one.
    ThunkLeave = "thunk_leave" (I64, I64) -> I32;
    /// `(thunk record, argument number, wasm value) -> native pointer, or -1 to trap`: a pointer argument that failed the inline check.
    ThunkPointer = "thunk_pointer" (I64, I32, I64) -> I64;
    /// `(thunk record, native pointer) -> wasm value, or -1 to trap`: a pointer result that is not in memory 0.
    ThunkResult = "thunk_result" (I64, I64) -> I64;
    /// `(thunk record, argument number, table index) -> native function pointer (0 for index 0), or -1 to trap`
    ThunkFunction = "thunk_function" (I64, I32, I32) -> I64;
    /// `(callback record, argument number, native value)`: an integer argument, such as a `long`, does not fit the guest's type. The caller then
    /// answers with the default value.
    CallbackRange = "callback_range" (I64, I32, I64);
    /// `(thunk record, native value)`: an integer result does not fit the guest's type. The caller then traps.
    ThunkRange = "thunk_range" (I64, I64);
    /// `(vmctx, crossing frame's `frame`) -> 1 to go on, 0 to trap`: a C function has returned to a thunk whose crossing frame is not the
    /// innermost one: a callback has failed, or a `longjmp` has skipped crossings. If it is to go on, the thunk's crossing frame has been taken off. It does not return where the
    /// C function throws and the app catches that.
    ThunkReturned = "thunk_returned" (I64, I64) -> I32;

    /// `(vmctx, memory, guest address, expected, timeout in nanoseconds) -> 0 if notified, 1 if the value is not as expected, 2 if nobody came
    /// in time, or a negative number if out of bounds`; the address is a multiple of the value's size. A negative timeout is none.
    MemoryWait32 = "memory_wait32" (I64, I32, I64, I32, I64) -> I64;
    /// As [`Builtin::MemoryWait32`], for a value of 64 bits.
    MemoryWait64 = "memory_wait64" (I64, I32, I64, I64, I64) -> I64;
    /// `(vmctx, memory, guest address, count) -> how many were woken, or a negative number if out of bounds`
    MemoryNotify = "memory_notify" (I64, I32, I64, I32) -> I64;

    /// `(C function, VariadicCall)`: calls the function with the arguments that are written there, and writes its result registers there.
    CallVariadic = "call_variadic" (I64, I64);

    /// `(vmctx, tag) -> an exception of this tag, all bits of its values zero, or 0 if there is no room`
    ExceptionNew = "exception_new" (I64, I64) -> I64;
    /// `(vmctx, exception)`: goes on at the handler, and returns if there is none; the caller then traps.
    Throw = "throw" (I64, I64);

    /// `(vmctx, type) -> a struct, all bits of its fields zero, or 0 if there is no room`
    StructNew = "struct_new" (I64, I32) -> I64;
    /// `(vmctx, type, length) -> an array, all bits of its elements zero, or 0 if there is no room`
    ArrayNew = "array_new" (I64, I32, I32) -> I64;
    /// `(vmctx, type, segment, from, length) -> an array of a data segment's bytes, 0 if there is no room, or 1 if out of bounds`
    ArrayNewData = "array_new_data" (I64, I32, I32, I32, I32) -> I64;
    /// `(vmctx, type, segment, from, length) -> an array of an element segment's references, 0 if there is no room, or 1 if out of bounds`
    ArrayNewElem = "array_new_elem" (I64, I32, I32, I32, I32) -> I64;
    /// `(vmctx, array, to, address of the value, length) -> 0, or 1 if out of bounds`; the array is not null, here and below.
    ArrayFill = "array_fill" (I64, I64, I32, I64, I32) -> I32;
    /// `(vmctx, to array, to, from array, from, length) -> 0, or 1 if out of bounds`
    ArrayCopy = "array_copy" (I64, I64, I32, I64, I32, I32) -> I32;
    /// `(vmctx, array, segment, to, from, length) -> 0, 1 if out of bounds of the array, or 2 of the segment`
    ArrayInitData = "array_init_data" (I64, I64, I32, I32, I32, I32) -> I32;
    /// `(vmctx, array, segment, to, from, length) -> 0, 1 if out of bounds of the array, or 2 of the segment`
    ArrayInitElem = "array_init_elem" (I64, I64, I32, I32, I32, I32) -> I32;
    /// `(vmctx, engine-wide id, engine-wide id) -> 1 if the first type is the second or a subtype of it, else 0`
    IsSubtype = "is_subtype" (I64, I32, I32) -> I32;
    /// `(vmctx, external reference, not null) -> internal reference, or 0 if there is no room`
    AnyConvertExtern = "any_convert_extern" (I64, I64) -> I64;
    /// `(vmctx, internal reference, not null) -> external reference`
    ExternConvertAny = "extern_convert_any" (I64, I64) -> I64;

    /// `(callback record, wasm arguments, wasm value) -> native pointer, or -1`: a pointer result of which it is said how much is behind it. The
    /// arguments have 8 bytes each, of which those of their wasm type count.
    CallbackExtent = "callback_extent" (I64, I64, I64) -> I64;

    /// `(callback record, argument number, native pointer, the call's cells) -> handle, or -1 to answer with the default value`: gives the app a handle of
    /// an object that is an argument. Unless the app had it before, it lasts until `callback_lent_end`.
    CallbackLend = "callback_lend" (I64, I32, I64, I64) -> I64;
    /// `(vmctx, an address in the callback's frame)`: handles that were lent to the callback end.
    CallbackLentEnd = "callback_lent_end" (I64, I64);

    /// `(vmctx, frame pointer)`: a callback has returned that its fast entry had shown a window, and for which the runtime keeps a scope since.
    CallbackShown = "callback_shown" (I64, I64);

    /// `(vmctx, crossing frame's `frame`) -> 1 to go on, 0 to trap`: as [`Builtin::ThunkReturned`], for a wasm function whose own crossing frame stands. It
    /// still does afterwards.
    CoveredReturned = "covered_returned" (I64, I64) -> I32;

    /// `(vmctx)`: a C function has returned that was passed functions until then.
    ThunkFunctionsEnd = "thunk_functions_end" (I64);
}

#[cfg(test)]
mod tests {
    use super::Builtin;

    #[test]
    fn the_table_is_in_order() {
        for (i, &builtin) in Builtin::ALL.iter().enumerate() {
            assert_eq!(builtin.offset(), i as i32 * 8, "{}", builtin.name());
        }
    }
}
