//! A world for shapes: executable memory, a vmctx, records, builtins that remember how they were called, and functions in wasm's
//! convention.

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, MemFlagsData, types};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::{Context, settings};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use region::Protection;
use std::cell::{Cell, RefCell};
use wasmbridge_artifact::vmctx::{
    CallbackRecord, CrossingFrame, DirectRecord, MemoryDef, ShownWindow, ThunkRecord, VmHead, handles, handles::lent,
    is_direct, short_limit,
};
use wasmbridge_artifact::{Builtin, ValType};
use wasmbridge_trampolines::{DirectShape, Shape, ShapeCompiler, Signature};

/// Where the fake memory begins. Nothing is there: shapes compute with addresses, they do not look at what they point to.
pub const BASE: u64 = 0x7a_0000_0000;
/// The fake memory's length in bytes.
pub const LEN: u64 = 0x2_0000;
/// The definition of a fake memory of another length.
pub fn memory(len_bytes: u64) -> MemoryDef {
    MemoryDef { base: BASE as *mut u8, len_bytes, short_limit: short_limit(len_bytes) }
}

/// The default answers.
pub const DEFAULT_INT: u64 = 0xdddd_0000_0000_00dd;
pub const DEFAULT_FLOAT: f64 = 0.125;

/// A call of a builtin: its arguments, as many as it has.
pub type Called = (Builtin, Vec<u64>);

thread_local! {
    /// what native functions note
    pub static GOT: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static CALLED: RefCell<Vec<Called>> = const { RefCell::new(Vec::new()) };
    /// what builtins answer
    static ANSWER: Cell<u64> = const { Cell::new(1) };
    /// what builtins that convert slots add to each cell
    static ADDED: Cell<u64> = const { Cell::new(0) };
}

pub fn called() -> Vec<Called> {
    CALLED.take()
}

pub fn answer(value: u64) {
    ANSWER.set(value);
}

pub fn add_to_cells(value: u64) {
    ADDED.set(value);
}

/// A builtin. It takes as many arguments as any has; the registers of those that it does not have hold anything.
extern "C" fn builtin<const NUMBER: usize>(a: u64, b: u64, c: u64, d: u64) -> u64 {
    let builtin = Builtin::ALL[NUMBER];
    let words = builtin.params().iter().zip([a, b, c, d]);
    let args = words.map(|(word, value)| match word {
        wasmbridge_artifact::builtins::Word::I32 => u64::from(value as u32),
        wasmbridge_artifact::builtins::Word::I64 => value,
    });
    CALLED.with_borrow_mut(|called| called.push((builtin, args.collect())));
    if ADDED.get() != 0 {
        let slots = if builtin == Builtin::CallbackAdmit { c } else { b };
        // SAFETY: a test that asks for it uses a signature of two parameters, so that the shape's slots have two cells, and the builtins it
        // then calls get the slots' address as their second argument, or as their third.
        let cells = unsafe { &mut *(slots as *mut [u64; 2]) };
        cells.iter_mut().for_each(|cell| *cell = cell.wrapping_add(ADDED.get()));
    }
    ANSWER.get()
}

macro_rules! table {
    ($($number:literal)*) => {
        [$(builtin::<$number> as *const u8,)*]
    };
}

/// Code in executable memory, with data behind it.
pub struct Placed {
    memory: region::Allocation,
    data: usize,
}

impl Placed {
    /// Code and `data` bytes of zeros behind it, in other pages.
    pub fn new(code: &[u8], data: usize) -> Placed {
        let page = region::page::size();
        let code_pages = code.len().next_multiple_of(page);
        let mut memory =
            region::alloc(code_pages + data.max(1).next_multiple_of(page), Protection::READ_WRITE).unwrap();
        // SAFETY: the allocation is at least as long as the code, and nobody else has it.
        unsafe { memory.as_mut_ptr::<u8>().copy_from_nonoverlapping(code.as_ptr(), code.len()) };
        Placed { memory, data: code_pages }
    }

    pub fn code(&self) -> *const u8 {
        self.memory.as_ptr()
    }

    pub fn data<T>(&mut self) -> *mut T {
        self.memory.as_mut_ptr::<u8>().wrapping_add(self.data).cast()
    }

    /// Ends writing and begins running.
    pub fn seal(self) -> Placed {
        // SAFETY: the pages are the allocation's own, and nothing runs in them yet.
        unsafe { region::protect(self.code(), self.data, Protection::READ_EXECUTE).unwrap() };
        self
    }
}

/// Above all addresses that a stack may have.
pub const USER_SPACE: usize = 1 << 47;

/// A fake instance.
pub struct World {
    pub head: Box<VmHead>,
    /// the window that is offered to fast entries: none, at first
    pub shown: Box<ShownWindow>,
    /// Crossing frames; the array grows downwards from its end.
    pub crossings: Box<[CrossingFrame; 8]>,
    /// the table of handles
    handles: Vec<u64>,
    pub memory: Box<MemoryDef>,
    _builtins: Box<[*const u8]>,
}

impl World {
    pub fn new() -> World {
        let builtins: Box<[*const u8]> = Box::new(table!(
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
        ));
        assert!(builtins.len() >= Builtin::ALL.len(), "the table of builtins has grown: add its numbers here");
        let memory = Box::new(memory(LEN));
        // The outermost one admits everyone, and the one for refusals nobody.
        let frame = |frame| CrossingFrame { frame, stack_pointer: 0, record: std::ptr::null() };
        let mut crossings = Box::new([frame(USER_SPACE); 8]);
        let mut shown = Box::new(ShownWindow::NONE);
        let mut handles = vec![0u64; handles::BYTES / 8];
        // NULL's bucket is never empty, and there is no slot to open.
        handles[handles::BUCKETS as usize / 8] = handles::Bucket::SEVERAL;
        handles[lent::FRAME as usize / 8] = handles::LentSlots::NONE as u64;
        let head = Box::new(VmHead {
            host: std::ptr::null_mut(),
            stack_limit: 0,
            reach: USER_SPACE,
            crossings: crossings.last_mut().expect("there are eight"),
            memory0_base: memory.base,
            memory0: &*memory,
            builtins: builtins.as_ptr(),
            capture: std::ptr::null_mut(),
            stack_pointer: 0x1234,
            refusing: frame(0),
            shown: &mut *shown,
            handles: handles.as_mut_ptr(),
        });
        called();
        answer(1);
        add_to_cells(0);
        World { head, shown, crossings, handles, memory, _builtins: builtins }
    }

    /// Makes a handle one of an object of the type with this number: types have numbers in the order in which a signature has them.
    pub fn give(&mut self, handle: u32, type_number: u32, object: u64) {
        let index = (handle & handles::INDEX_MASK) as usize;
        self.handles[index] = handles::key(type_number, handle);
        self.handles[index + handles::OBJECT as usize / 8] = object;
    }

    /// Makes callbacks find it, too.
    pub fn give_known(&mut self, handle: u32, type_number: u32, object: u64) {
        self.give(handle, type_number, object);
        let bucket = handles::BUCKETS + (object as u32 & handles::BUCKET_MASK) as i32;
        *self.at_table(bucket) = object;
        *self.at_table(bucket + 8) = handles::key(type_number, handle);
    }

    /// Lets objects that are known as a type pass for another one.
    pub fn pass(&mut self, wanted: u32, known: u32) {
        let pass = handles::Pass { wanted, known };
        *self.at_table(handles::PASSES + 8 * pass.index() as i32) = u64::from(known) << 32 | u64::from(wanted);
    }

    /// Provides slots for callbacks to open, with the handles that they have first.
    pub fn prepare(&mut self, next: [u32; handles::LENT_SLOTS]) {
        for (slot, handle) in next.into_iter().enumerate() {
            let key = std::ptr::from_mut(self.at_table(8 * (handle & handles::INDEX_MASK) as i32));
            *self.at_table(lent::key(slot)) = key as u64;
            *self.at_table(lent::handle(slot)) = handle.into();
        }
        *self.at_table(lent::FRAME) = 0;
    }

    /// A word of the table of handles.
    pub fn at_table(&mut self, offset: i32) -> &mut u64 {
        &mut self.handles[offset as usize / 8]
    }
}

/// A callback that calls a wasm function which notes its arguments.
pub struct Callback {
    pub world: World,
    pub signature: Signature,
    placed: Placed,
    complete: usize,
    _callee: Placed,
    /// The wasm function's "vmctx": itself, the arguments, and in the last place what it returns.
    notes: Box<[u64; NOTES]>,
}

const NOTES: usize = 24;

impl Callback {
    pub fn new(prototype: &str) -> Callback {
        let signature: Signature = prototype.parse().unwrap();
        let shape = ShapeCompiler::new().unwrap().callback(&signature).unwrap();
        let callee = Placed::new(&callee(&signature), 0).seal();
        let mut world = World::new();
        let mut notes = Box::new([0; NOTES]);
        let mut placed = Placed::new(&shape.code, size_of::<CallbackRecord>());
        let record = CallbackRecord {
            vmctx: &mut *world.head,
            code: callee.code(),
            callee_vmctx: notes.as_mut_ptr().cast(),
            memory_base: BASE as *mut u8,
            default_int: DEFAULT_INT,
            default_float: DEFAULT_FLOAT.to_bits(),
            info: std::ptr::null_mut(),
            owner: &mut *world.head,
        };
        // SAFETY: the data behind the code is large enough for a record, aligned to a page, and nobody else has it.
        unsafe { placed.data::<CallbackRecord>().write(record) };
        link(&shape, &mut placed);
        let complete = shape.complete as usize;
        Callback { world, signature, placed: placed.seal(), complete, _callee: callee, notes }
    }

    /// Calls it both ways: through the fast entry, if there is one, and through the complete callback. What `call` returns must be
    /// the same; it gets the address as the function type it says.
    pub fn run<F: Copy, R: PartialEq + std::fmt::Debug>(
        &mut self,
        returns: u64,
        call: impl Fn(F) -> R,
    ) -> (R, Vec<u64>, Vec<Called>) {
        let [fast, complete] = [0, self.complete].map(|offset| self.run_at(offset, returns, &call));
        // Where the stack pointer or slots are is not the same twice.
        let comparable = |calls: &[Called]| {
            let calls = calls.iter().map(|(builtin, args)| match builtin {
                Builtin::CallbackAdmit | Builtin::CallbackEnter | Builtin::CallbackLeave | Builtin::CallbackLentEnd => {
                    (*builtin, vec![])
                }
                Builtin::CallbackLend => (*builtin, args[..2].to_vec()),
                _ => (*builtin, args.clone()),
            });
            calls.collect::<Vec<_>>()
        };
        assert_eq!((&fast.0, &fast.1, comparable(&fast.2)), (&complete.0, &complete.1, comparable(&complete.2)));
        fast
    }

    /// Calls it at its address, as C does.
    pub fn run_once<F: Copy, R>(&mut self, returns: u64, call: impl Fn(F) -> R) -> (R, Vec<u64>, Vec<Called>) {
        self.run_at(0, returns, &call)
    }

    fn run_at<F: Copy, R>(
        &mut self,
        offset: usize,
        returns: u64,
        call: &impl Fn(F) -> R,
    ) -> (R, Vec<u64>, Vec<Called>) {
        assert_eq!(size_of::<F>(), size_of::<usize>(), "F is a function pointer");
        self.notes.fill(0);
        self.notes[NOTES - 1] = returns;
        let entry = self.placed.code().wrapping_add(offset);
        // SAFETY: F is a function pointer (checked above) whose type the test has made to match the signature; at `entry` is a function
        // of that type, in memory that is executable while `self` lives.
        let function = unsafe { std::mem::transmute_copy::<*const u8, F>(&entry) };
        let result = call(function);
        let ran = self.notes[0] != 0;
        let args = if ran { self.notes[1..1 + self.signature.params.len()].to_vec() } else { vec![] };
        let mut called = called();
        for (builtin, args) in &mut called {
            let first = args.remove(0);
            let expected = match builtin {
                Builtin::CallbackLentEnd => &raw const *self.world.head as u64,
                _ => self.placed.data::<CallbackRecord>() as u64,
            };
            assert_eq!(first, expected, "{builtin:?} gets the record, or the vmctx");
        }
        (result, args, called)
    }
}

fn link(shape: &Shape, placed: &mut Placed) {
    let record = placed.data::<u8>() as i64;
    let code = placed.code() as i64;
    for reloc in &shape.record_relocs {
        let value = record - (code + i64::from(reloc.offset)) + reloc.addend;
        let at = (code + i64::from(reloc.offset)) as *mut i32;
        // SAFETY: the offset is that of four bytes inside the code, which is still writable.
        unsafe { at.write_unaligned(i32::try_from(value).unwrap()) };
    }
}

/// A thunk that calls a native function, and the code that call instructions would call for it.
pub struct Thunk {
    pub world: World,
    pub record: Box<ThunkRecord>,
    placed: Placed,
    caller: Placed,
    direct: Option<Direct>,
}

struct Direct {
    /// the code and its record, unless it is the native function itself
    placed: Option<Placed>,
    entry: *const u8,
    /// what is called where a crossing frame stands for the call
    covered: *const u8,
    caller: Placed,
}

impl Thunk {
    pub fn new(prototype: &str, function: *const u8) -> Thunk {
        let signature: Signature = prototype.parse().unwrap();
        let shape = ShapeCompiler::new().unwrap().thunk(&signature).unwrap();
        let mut world = World::new();
        let record = Box::new(ThunkRecord {
            vmctx: &mut *world.head,
            function,
            memory_base: BASE as *mut u8,
            info: std::ptr::null_mut(),
        });
        let placed = Placed::new(&shape.code, 0).seal();
        let direct =
            is_direct(&signature.wasm_type()).then(|| Direct::new(&signature, &record, &world.memory, placed.code()));
        let caller = Placed::new(&caller(&signature, CallConv::Tail), 0).seal();
        Thunk { world, record, placed, caller, direct }
    }

    /// Calls it in each way with the arguments' bits: as a thunk and, if there are such ways, directly, with and without a crossing frame. The result must be
    /// the same and is returned; so must be what the native function notes, and what the builtins do.
    pub fn run(&mut self, args: &[u64]) -> u64 {
        let result = self.run_thunk(args);
        if self.direct.is_none() {
            return result;
        }
        for run in [Thunk::run_direct, Thunk::run_covered] {
            let (noted, called) = (GOT.take(), called());
            let direct = run(self, args);
            // What it notes of registers that no argument is in means nothing.
            let noted = &noted[..noted.len().min(args.len())];
            GOT.with_borrow(|again| assert_eq!((direct, &again[..noted.len()]), (result, noted)));
            CALLED.with_borrow(|again| assert_eq!(*again, called));
        }
        result
    }

    /// Calls the thunk.
    pub fn run_thunk(&mut self, args: &[u64]) -> u64 {
        run_caller(&self.caller, self.placed.code(), &*self.record, args)
    }

    /// Calls it as call instructions do.
    pub fn run_direct(&mut self, args: &[u64]) -> u64 {
        let direct = self.direct.as_ref().expect("the signature is direct");
        run_caller(&direct.caller, direct.entry, std::ptr::null(), args)
    }

    /// Calls it as call instructions do where a crossing frame stands for the call.
    pub fn run_covered(&mut self, args: &[u64]) -> u64 {
        let direct = self.direct.as_ref().expect("the signature is direct");
        run_caller(&direct.caller, direct.covered, std::ptr::null(), args)
    }

    /// Whether calls for which a crossing frame stands go to the native function itself.
    pub fn is_itself_covered(&self) -> bool {
        self.direct.as_ref().is_some_and(|direct| direct.covered == self.record.function)
    }

    /// Whether calls go to the native function itself.
    pub fn is_itself(&self) -> bool {
        self.direct.as_ref().is_some_and(|direct| direct.placed.is_none())
    }
}

impl Direct {
    fn new(signature: &Signature, record: &ThunkRecord, memory: &MemoryDef, thunk: *const u8) -> Direct {
        let compiler = ShapeCompiler::new().unwrap();
        let integers =
            signature.wasm_type().params.iter().filter(|ty| matches!(ty, ValType::I32 | ValType::I64)).count();
        let shape = match compiler.direct(signature).unwrap() {
            DirectShape::Itself => None,
            DirectShape::Code(shape) => Some(*shape),
            DirectShape::Thunk => Some(compiler.adaptor(integers).unwrap()),
        };
        let covered = shape.as_ref().and_then(|shape| shape.covered);
        let placed = shape.map(|shape| {
            let mut placed = Placed::new(&shape.code, size_of::<DirectRecord>());
            let record = DirectRecord {
                vmctx: record.vmctx,
                function: record.function,
                memory_base_above: (BASE + 1) as *mut u8,
                memory,
                code: thunk,
                callee_vmctx: std::ptr::from_ref(record).cast_mut().cast(),
            };
            // SAFETY: the data behind the code is large enough for a record, aligned to a page, and nobody else has it.
            unsafe { placed.data::<DirectRecord>().write(record) };
            link(&shape, &mut placed);
            placed.seal()
        });
        let entry = placed.as_ref().map_or(record.function, Placed::code);
        let covered = covered.map_or(record.function, |offset| entry.wrapping_add(offset as usize));
        Direct { placed, entry, covered, caller: Placed::new(&caller(signature, CallConv::SystemV), 0).seal() }
    }
}

fn run_caller(caller: &Placed, code: *const u8, record: *const ThunkRecord, args: &[u64]) -> u64 {
    type Caller = extern "C" fn(code: *const u8, record: *const ThunkRecord, cells: *mut u64);
    // SAFETY: that is the type of what `caller` below makes.
    let caller: Caller = unsafe { std::mem::transmute(caller.code()) };
    let mut cells = args.to_vec();
    cells.push(0);
    caller(code, record, cells.as_mut_ptr());
    cells[0]
}

/// A wasm function that notes its vmctx and arguments, and returns what stands in the notes.
fn callee(signature: &Signature) -> Vec<u8> {
    let wasm = wasm_signature(signature);
    compile(wasm, |builder, params| {
        let notes = params[0];
        for (i, &param) in params.iter().enumerate() {
            builder.ins().store(MemFlagsData::trusted(), param, notes, 8 * i as i32);
        }
        let result = builder.func.signature.returns.first().map(|result| result.value_type);
        let result = result.map(|ty| builder.ins().load(ty, MemFlagsData::trusted(), notes, 8 * (NOTES - 1) as i32));
        builder.ins().return_(result.as_slice());
    })
}

/// A C function `(code, record, cells)` that calls the code with the arguments in the cells and puts the result into cell 0. If the code is
/// called as a C function, the record is not passed, and the upper halves of integers are what they are in the cells.
fn caller(signature: &Signature, convention: CallConv) -> Vec<u8> {
    let mut c = ir::Signature::new(CallConv::SystemV);
    c.params = vec![AbiParam::new(types::I64); 3];
    let mut wasm = wasm_signature(signature);
    wasm.call_conv = convention;
    let first = if convention == CallConv::Tail { 1 } else { 0 };
    wasm.params.drain(..1 - first);
    compile(c, |builder, params| {
        let mut args = params[1..1 + first].to_vec();
        for (i, param) in wasm.params[first..].iter().enumerate() {
            args.push(builder.ins().load(param.value_type, MemFlagsData::trusted(), params[2], 8 * i as i32));
        }
        let wasm = builder.import_signature(wasm);
        let call = builder.ins().call_indirect(wasm, params[0], &args);
        if let Some(&result) = builder.inst_results(call).first() {
            builder.ins().store(MemFlagsData::trusted(), result, params[2], 0);
        }
        builder.ins().return_(&[]);
    })
}

fn wasm_signature(signature: &Signature) -> ir::Signature {
    let param = |ty: &ValType| {
        AbiParam::new(match ty {
            ValType::I64 => types::I64,
            ValType::F32 => types::F32,
            ValType::F64 => types::F64,
            _ => types::I32,
        })
    };
    let ty = signature.wasm_type();
    let mut wasm = ir::Signature::new(CallConv::Tail);
    wasm.params.push(AbiParam::new(types::I64));
    wasm.params.extend(ty.params.iter().map(param));
    wasm.returns.extend(ty.results.iter().map(param));
    wasm
}

fn compile(signature: ir::Signature, body: impl FnOnce(&mut FunctionBuilder<'_>, &[ir::Value])) -> Vec<u8> {
    let isa: OwnedTargetIsa =
        cranelift_native::builder().unwrap().finish(settings::Flags::new(settings::builder())).unwrap();
    let mut context = Context::new();
    let mut builder_context = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut context.func, &mut builder_context);
    builder.func.signature = signature;
    let block = builder.create_block();
    builder.append_block_params_for_function_params(block);
    builder.switch_to_block(block);
    let params = builder.block_params(block).to_vec();
    body(&mut builder, &params);
    builder.seal_all_blocks();
    builder.finalize(isa.frontend_config());
    let code = context.compile(&*isa, &mut ControlPlane::default()).unwrap();
    assert!(code.buffer.relocs().is_empty());
    code.code_buffer().to_vec()
}
