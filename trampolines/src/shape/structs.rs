//! Structs by value: see "Structs by value" in [`shape`](super) for what lies where.

use super::callback::Callback;
use super::emit::Emit;
use super::native::{self, Source};
use super::thunk::Thunk;
use crate::abi::sysv::{self, INTEGER_REGISTERS, Place, Returned, SSE_REGISTERS};
use crate::signature::{Crossing, Signature};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlot, Type, Value, types};
use wasmbridge_artifact::Builtin;

/// The cell of a result with the address of its native bytes.
pub const NATIVE: usize = 0;
/// The cell with the wasm value or the guest address.
const GUEST: usize = 1;
/// The first cell with native bytes.
pub const BYTES: usize = 2;

/// A result that is a struct.
pub(super) struct StructResult {
    cells: StackSlot,
    returned: Returned,
    /// bytes, in the host's C
    size: u32,
    /// the type of the wasm value; `None` if the wasm function gets an address
    single: Option<Type>,
}

impl StructResult {
    /// Makes the cells for a result that is a struct.
    pub(super) fn new(emit: &mut Emit<'_>, signature: &Signature) -> Option<StructResult> {
        let Some(Crossing::Struct(record)) = signature.result.as_ref().map(|result| &result.crossing) else {
            return None;
        };
        let size = record.native.size;
        let cells = emit.cells(BYTES + size.div_ceil(8) as usize);
        let single = record.single().map(super::emit::wasm_type);
        Some(StructResult { cells, returned: sysv::classify(signature).result, size, single })
    }

    /// Where the cells are.
    pub(super) fn cells_address(&self, emit: &mut Emit<'_>) -> Value {
        emit.cells_address(self.cells)
    }

    /// Stores the wasm value or the guest address.
    fn store_guest(&self, emit: &mut Emit<'_>, wasm: Value) {
        let cell = emit.wasm_into_cell(wasm);
        emit.store_cell(cell, self.cells, GUEST);
    }

    /// Lets the native bytes be in the cells.
    fn use_own_bytes(&self, emit: &mut Emit<'_>) {
        let bytes = emit.cell_address(self.cells, BYTES);
        emit.store_cell(bytes, self.cells, NATIVE);
    }
}

/// Stores a callback's arguments in cells; the type in which each scalar lies there, and the room for a result.
pub(super) fn store_arguments(
    emit: &mut Emit<'_>,
    signature: &Signature,
    params: &[Value],
    slots: StackSlot,
) -> Vec<Type> {
    let call = sysv::classify(signature);
    let mut params = params.iter().copied();
    if call.result == Returned::Memory {
        params.next();
    }
    let mut next = || params.next().expect("the function has the parameters of its signature");
    let mut types = Vec::with_capacity(call.params.len());
    for (i, (param, place)) in signature.params.iter().zip(&call.params).enumerate() {
        let value = match (&param.crossing, place) {
            (Crossing::Struct(_), Place::Registers(pieces)) => {
                let cells = emit.cells(pieces.len());
                for piece in 0..pieces.len() {
                    emit.store_cell(next(), cells, piece);
                }
                emit.cells_address(cells)
            }
            (_, Place::Variadic) => {
                let (integer, sse, stack) = call.taken();
                let mut rest = |count| (0..count).map(|_| next()).collect::<Vec<_>>();
                let general = rest(INTEGER_REGISTERS - integer);
                let vector = rest(SSE_REGISTERS - sse);
                super::variadic::store_va_list(emit, &general, &vector, stack)
            }
            _ => next(),
        };
        types.push(emit.builder.func.dfg.value_type(value));
        emit.store_cell(value, slots, i);
    }
    types
}

impl Callback<'_> {
    /// Remembers where the C caller wants the result.
    pub(super) fn store_room(&mut self, params: &[Value]) {
        let Some(result) = &self.struct_result else { return };
        match result.returned {
            Returned::Memory => self.emit.store_cell(params[0], result.cells, NATIVE),
            _ => result.use_own_bytes(&mut self.emit),
        }
        let zero = self.emit.ins().iconst(types::I64, 0);
        self.emit.store_cell(zero, result.cells, GUEST);
    }

    /// Asks for the guest's room for the result, if it needs any.
    pub(super) fn ask_for_room(&mut self) {
        let Some(result) = self.struct_result.as_ref().filter(|result| result.single.is_none()) else { return };
        let cells = self.emit.cells_address(result.cells);
        let record = self.emit.record();
        let vmctx = self.emit.load_pointer(record, wasmbridge_artifact::vmctx::callback::VMCTX);
        let answer = self.emit.builtin(Builtin::CallbackResult, vmctx, &[record, cells]).expect("it has a result");
        let refused = self.emit.is_refusal(answer);
        let default = self.default_block();
        self.emit.leave_if(refused, default);
    }

    /// The guest's room for the result, which the wasm function is to get first.
    pub(super) fn guest_room(&mut self) -> Option<Value> {
        let result = self.struct_result.as_ref().filter(|result| result.single.is_none())?;
        Some(self.emit.load_cell(types::I32, result.cells, GUEST))
    }

    /// What slot 0 holds of a wasm result that is a struct.
    pub(super) fn struct_result_cell(&mut self, wasm: Option<Value>) -> Option<Value> {
        let result = self.struct_result.as_ref()?;
        if let Some(wasm) = wasm {
            result.store_guest(&mut self.emit, wasm);
        }
        Some(self.emit.cells_address(result.cells))
    }

    /// Returns the struct, whose native bytes are where they are to be.
    pub(super) fn return_struct(&mut self) -> bool {
        let Some(result) = &self.struct_result else { return false };
        let values: Vec<Value> = match &result.returned {
            Returned::Registers(pieces) => {
                let pieces = pieces.iter().enumerate();
                let load = |(i, &piece)| self.emit.load_cell(native::scalar_type(piece), result.cells, BYTES + i);
                pieces.map(load).collect()
            }
            _ => vec![self.emit.load_cell(types::I64, result.cells, NATIVE)],
        };
        self.emit.ins().return_(&values);
        true
    }

    /// Returns a struct of zero bytes.
    pub(super) fn return_zero_struct(&mut self) -> bool {
        let Some(result) = &self.struct_result else { return false };
        let (cells, size) = (result.cells, i64::from(result.size));
        if result.returned == Returned::Memory {
            let room = self.emit.load_cell(types::I64, cells, NATIVE);
            let end = self.emit.ins().iadd_imm_u(room, size);
            let next = self.emit.cold_block();
            let done = self.emit.cold_block();
            let at = self.emit.builder.append_block_param(next, types::I64);
            self.emit.jump(next, &[room]);
            self.emit.switch_to(next);
            let zero = self.emit.ins().iconst(types::I8, 0);
            self.emit.ins().store(MemFlagsData::trusted(), zero, at, 0);
            let after = self.emit.ins().iadd_imm_u(at, 1);
            let more = self.emit.ins().icmp(IntCC::NotEqual, after, end);
            self.emit.branch(more, next, &[after], done, &[]);
            self.emit.switch_to(done);
        } else {
            let zero = self.emit.ins().iconst(types::I64, 0);
            for cell in 0..size.div_euclid(8) as usize + usize::from(size % 8 != 0) {
                self.emit.store_cell(zero, cells, BYTES + cell);
            }
        }
        self.return_struct()
    }
}

impl Thunk<'_> {
    /// Stores a struct argument in cells of its own; what its slot holds.
    pub(super) fn store_struct(&mut self, index: usize, wasm: Value) -> Option<Value> {
        let Crossing::Struct(record) = &self.signature.params[index].crossing else { return None };
        let cells = self.emit.cells(1 + record.native.size.div_ceil(8) as usize);
        let cell = self.emit.wasm_into_cell(wasm);
        self.emit.store_cell(cell, cells, 0);
        self.struct_args.push((index, cells));
        Some(self.emit.cells_address(cells))
    }

    /// Remembers where the guest wants the result: what comes first among its arguments, if anything does.
    pub(super) fn store_room(&mut self, params: &mut Vec<Value>) {
        let Some(result) = &self.struct_result else { return };
        if result.single.is_none() {
            result.store_guest(&mut self.emit, params.remove(0));
        }
        result.use_own_bytes(&mut self.emit);
    }

    /// Loads what to pass to the C function from cells.
    pub(super) fn load_natives(&mut self, slots: StackSlot) -> Vec<Value> {
        let (native, sources) = native::calling(self.signature);
        let mut values = Vec::with_capacity(sources.len());
        for (source, ty) in sources.into_iter().zip(native.params) {
            let ty = ty.value_type;
            values.push(match source {
                Source::Nothing => self.emit.ins().iconst(types::I64, 0),
                Source::Room => self.result_room().expect("only a struct takes room"),
                Source::Piece { param, piece } => match self.struct_args.iter().find(|(index, _)| *index == param) {
                    Some(&(_, cells)) => self.emit.load_cell(ty, cells, 1 + piece),
                    None => self.emit.load_cell(ty, slots, param),
                },
            });
        }
        values
    }

    /// The room for a result that is returned in memory.
    pub(super) fn result_room(&mut self) -> Option<Value> {
        let result = self.struct_result.as_ref().filter(|result| result.returned == Returned::Memory)?;
        Some(self.emit.cell_address(result.cells, BYTES))
    }

    /// What slot 0 holds of a native result that is a struct.
    pub(super) fn struct_result_cell(&mut self, native: &[Value]) -> Option<Value> {
        let result = self.struct_result.as_ref()?;
        if let Returned::Registers(_) = result.returned {
            for (i, &piece) in native.iter().enumerate() {
                self.emit.store_cell(piece, result.cells, BYTES + i);
            }
        }
        Some(self.emit.cells_address(result.cells))
    }

    /// Returns the struct to the guest.
    pub(super) fn return_struct(&mut self) -> bool {
        let Some(result) = &self.struct_result else { return false };
        let wasm = result.single.map(|ty| self.emit.load_cell(ty, result.cells, GUEST));
        self.emit.ins().return_(wasm.as_slice());
        true
    }
}
