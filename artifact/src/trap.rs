//! The list of traps: code, name and message, once.

use std::fmt;

macro_rules! traps {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $id:literal, $message:literal;)*) => {
        /// Why a guest was stopped. The byte is what the artifact's trap table and the C API's `wb_trap_code` hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum TrapCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl TrapCode {
            /// Every trap, in the order of their codes.
            pub const ALL: &'static [TrapCode] = &[$(TrapCode::$name,)*];

            /// The trap with this byte, if there is one.
            pub const fn from_byte(byte: u8) -> Option<TrapCode> {
                match byte {
                    $($code => Some(TrapCode::$name),)*
                    _ => None,
                }
            }

            /// A short stable name, for logs and tests.
            pub const fn id(self) -> &'static str {
                match self {
                    $(TrapCode::$name => $id,)*
                }
            }

            /// The message; where the specification's test-suite has one, it is that one.
            pub const fn message(self) -> &'static str {
                match self {
                    $(TrapCode::$name => $message,)*
                }
            }
        }
    };
}

traps! {
    /// `unreachable` was executed.
    Unreachable = 1, "unreachable", "unreachable";
    /// A load, store or bulk operation outside of linear memory.
    MemoryOutOfBounds = 2, "memory-out-of-bounds", "out of bounds memory access";
    /// An access outside of a table.
    TableOutOfBounds = 3, "table-out-of-bounds", "out of bounds table access";
    /// `call_indirect` of an index that the table does not have.
    UndefinedElement = 4, "undefined-element", "undefined element";
    /// `call_indirect` or `call_ref` of a null reference.
    UninitializedElement = 5, "uninitialized-element", "uninitialized element";
    /// `call_indirect` of a function of another type.
    IndirectCallTypeMismatch = 6, "indirect-call-type-mismatch", "indirect call type mismatch";
    /// Signed division of the smallest integer by -1, or a float too large for the integer it is converted to.
    IntegerOverflow = 7, "integer-overflow", "integer overflow";
    /// Division by zero.
    IntegerDivideByZero = 8, "integer-divide-by-zero", "integer divide by zero";
    /// NaN converted to an integer.
    InvalidConversion = 9, "invalid-conversion-to-integer", "invalid conversion to integer";
    /// The native stack of the thread is used up.
    StackOverflow = 10, "stack-overflow", "call stack exhausted";
    /// An atomic access at an address that is not a multiple of its size.
    UnalignedAtomic = 11, "unaligned-atomic", "unaligned atomic";
    /// A null reference where the instruction needs one that is not.
    NullReference = 12, "null-reference", "null reference";
    /// `ref.cast` to a type that the reference does not have.
    CastFailure = 13, "cast-failure", "cast failure";
    /// An access outside of a GC array.
    ArrayOutOfBounds = 14, "array-out-of-bounds", "out of bounds array access";
    /// The collected heap is full.
    AllocationTooLarge = 15, "allocation-too-large", "allocation size too large";
    /// `memory.atomic.wait` on a memory that is not shared.
    WaitOnUnsharedMemory = 16, "expected-shared-memory", "expected shared memory";
    /// An exception that nobody caught.
    UncaughtException = 17, "uncaught-exception", "unhandled exception";
    /// A value at the boundary to C was refused: the host's record of the trap says which and why.
    Crossing = 18, "crossing", "a value was refused at the boundary to C";
    /// A callback of this instance failed while a C library was running; the host's record says how.
    CallbackFailed = 19, "callback-failed", "a callback failed inside a C library";
    /// The app has ended itself, as WASI's `proc_exit` does; the host's record has the status.
    Exited = 20, "exited", "the app has exited";
    /// A function of the host's stopped the app; the host's record says why.
    HostFailed = 21, "host-failed", "a host function failed";
}

impl fmt::Display for TrapCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::TrapCode;

    #[test]
    fn bytes_round_trip_and_are_dense() {
        for (i, &trap) in TrapCode::ALL.iter().enumerate() {
            assert_eq!(trap as usize, i + 1, "{trap:?} leaves a gap");
            assert_eq!(TrapCode::from_byte(trap as u8), Some(trap));
        }
        assert_eq!(TrapCode::from_byte(0), None);
        assert_eq!(TrapCode::from_byte(TrapCode::ALL.len() as u8 + 1), None);
    }
}
