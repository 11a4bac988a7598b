//! Thunks, called as wasm functions.

use crate::world::{BASE, GOT, LEN, Thunk, add_to_cells, answer, called, memory};
use wasmbridge_artifact::Builtin;
use wasmbridge_artifact::vmctx::{CrossingFrame, VmHead};
use wasmbridge_trampolines::ShapeCompiler;

fn got() -> Vec<u64> {
    GOT.take()
}

/// A C function that notes its integer registers and returns a sum with all upper bits set.
extern "C" fn note(a: u64, b: u64, c: u64) -> u64 {
    GOT.set(vec![a, b, c]);
    0xabcd_ef01_2345_6780
}

/// What the C function finds in its first register when the guest passes these bits.
fn into_native(prototype: &str, bits: u64) -> u64 {
    Thunk::new(prototype, note as *const u8).run(&[bits]);
    assert_eq!(called(), [], "{prototype}");
    got()[0]
}

/// What the guest gets when the C function leaves these bits in its result register.
fn into_wasm(prototype: &str, bits: u64) -> u64 {
    extern "C" fn identity(bits: u64) -> u64 {
        bits
    }
    let prototype = prototype.replace("(void)", "(long long)");
    let result = Thunk::new(&prototype, identity as *const u8).run(&[bits]);
    assert_eq!(called(), [], "{prototype}");
    // What the caller stored: four bytes, or eight if the type is `i64`; the others are still the argument's.
    if prototype.starts_with("long long") { result } else { u64::from(result as u32) }
}

#[test]
fn integers_go_out_extended() {
    let low = |prototype, bits| into_native(prototype, bits) as u32;
    assert_eq!(low("void f(_Bool)", 0x100), 1);
    assert_eq!(low("void f(_Bool)", 0), 0);
    assert_eq!(low("void f(signed char)", 0x180), 0xffff_ff80);
    assert_eq!(low("void f(unsigned char)", 0x1ff), 0xff);
    assert_eq!(low("void f(short)", 0x8000), 0xffff_8000);
    assert_eq!(low("void f(int)", 0xffff_ffff), 0xffff_ffff);
    assert_eq!(into_native("void f(long)", 0xffff_ffff), u64::MAX);
    assert_eq!(into_native("void f(size_t)", 0xffff_ffff), 0xffff_ffff);
    assert_eq!(into_native("void f(long long)", 1 << 40), 1 << 40);
    assert_eq!(into_native("void f(void *[user])", 0xffff_ffff), 0xffff_ffff);
}

#[test]
fn of_results_only_their_own_bits_are_believed() {
    let garbage = 0xabcd_ef01_2345_6700;
    assert_eq!(into_wasm("_Bool f(void)", garbage), 0);
    assert_eq!(into_wasm("_Bool f(void)", garbage | 2), 1);
    assert_eq!(into_wasm("signed char f(void)", garbage | 0x80), 0xffff_ff80);
    assert_eq!(into_wasm("unsigned char f(void)", garbage | 0x80), 0x80);
    assert_eq!(into_wasm("short f(void)", garbage | 0x8000), 0xffff_e700);
    assert_eq!(into_wasm("int f(void)", garbage), 0x2345_6700);
    assert_eq!(into_wasm("long long f(void)", garbage), garbage);
    assert_eq!(into_wasm("long f(void)", u64::MAX), 0xffff_ffff);
    assert_eq!(into_wasm("size_t f(void)", 0xffff_fffe), 0xffff_fffe);
    assert_eq!(into_wasm("void *f(void) [user]", 0xa345_6700), 0xa345_6700);
}

#[test]
fn floats_and_many_arguments() {
    extern "C" fn sum(a: f64, b: f32, c: i32, d: i32, e: i32, f: i32, g: i32, h: u64, i: i64, j: f64) -> f64 {
        a + f64::from(b) + f64::from(c + d + e + f + g) + h as f64 + i as f64 + j
    }
    let prototype = "double f(double, float, int, int, int, int, int, size_t, long, double)";
    let args = [1.5f64.to_bits(), u64::from(2.0f32.to_bits()), 1, 2, 3, 4, 5, 1000, 0xffff_ffff, 0.25f64.to_bits()];
    let result = Thunk::new(prototype, sum as *const u8).run(&args);
    assert_eq!(f64::from_bits(result), 1.5 + 2.0 + 15.0 + 1000.0 - 1.0 + 0.25);
}

#[test]
fn pointers_inside_of_memory() {
    let mut thunk = Thunk::new("void f(void *, double *, int a[static 4])", note as *const u8);
    let mut run = |args: [u64; 3]| {
        thunk.run(&args);
        (got(), called())
    };
    assert_eq!(run([1, 8, 16]), (vec![BASE + 1, BASE + 8, BASE + 16], vec![]));
    assert_eq!(run([0, 0, 4]), (vec![0, 0, BASE + 4], vec![]));
    let last = [LEN - 1, LEN - 8, LEN - 16];
    assert_eq!(run(last), (last.map(|guest| BASE + guest).to_vec(), vec![]));
    answer(0x999);
    let over = [LEN, LEN - 7, LEN - 15];
    let asked: Vec<_> = (0..).zip(over).map(|(i, guest)| (Builtin::ThunkPointer, i, guest)).collect();
    let (native, calls) = run(over);
    let calls: Vec<_> = calls.iter().map(|(builtin, args)| (*builtin, args[1], args[2])).collect();
    assert_eq!((native, calls), (vec![0x999; 3], asked));
    let (native, calls) = run([0xffff_ffff, 4, 0]);
    assert_eq!(native, [0x999, BASE + 4, 0x999]);
    assert_eq!(calls.len(), 2, "the largest address, and NULL where it may not be");
}

#[test]
fn handles_are_looked_up() {
    let mut thunk = Thunk::new("void f(a *h[handle], b *i[handle, nonnull], a *j[handle])", note as *const u8);
    let (first, second, third) = (0xabc0_0001, 0x1230_0fff, 0xffef_ffff);
    thunk.world.give(first, 1, 0x7000_0000_0010);
    thunk.world.give(second, 2, 0x7000_0000_0020);
    thunk.world.give(third, 1, 0x7000_0000_0030);
    let mut run = |args: [u32; 3]| {
        // The upper halves of the registers hold anything.
        thunk.run(&args.map(|arg| u64::from(arg) | 0xdead_0000_0000_0000));
        let asked: Vec<_> = called().into_iter().map(|(builtin, args)| (builtin, args[1], args[2])).collect();
        (got(), asked)
    };
    let objects = |numbers: [u64; 3]| numbers.map(|n| if n == 0 { 0 } else { 0x7000_0000_0000 + 16 * n }).to_vec();
    assert_eq!(run([first, second, third]), (objects([1, 2, 3]), vec![]));
    assert_eq!(run([third, second, third]), (objects([3, 2, 3]), vec![]));
    assert_eq!(run([0, second, 0]), (objects([0, 2, 0]), vec![]));
    assert_eq!(run([first, second, 0]), (objects([1, 2, 0]), vec![]));

    // NULL where it may not be, another type, another generation, another app's secret, a free slot, no slot.
    answer(0x999);
    let asked = |n: u64, value: u32| vec![(Builtin::ThunkPointer, n, u64::from(value))];
    let with = |n: usize| {
        let mut objects = objects([1, 2, 3]);
        objects[n] = 0x999;
        objects
    };
    assert_eq!(run([first, 0, third]), (with(1), asked(1, 0)));
    assert_eq!(run([second, second, third]), (with(0), asked(0, second)));
    assert_eq!(run([first, first, third]), (with(1), asked(1, first)));
    for wrong in [first ^ 1 << 20, first ^ 1 << 31, 2, 0xabc0_0000, u32::MAX] {
        assert_eq!(run([wrong, second, third]), (with(0), asked(0, wrong)), "{wrong:#x}");
        assert_eq!(run([first, second, wrong]), (with(2), asked(2, wrong)), "{wrong:#x}");
    }
}

#[test]
fn what_passes_for_a_type_is_found_without_asking() {
    let mut thunk = Thunk::new("void f(a *h[handle], const b *i[handle])", note as *const u8);
    thunk.world.give(0x0010_0001, 3, 0x10);
    thunk.world.give(0x0010_0002, 4, 0x20);
    thunk.world.pass(1, 3);
    thunk.world.pass(2, 4);
    let mut run = |args: [u64; 2]| {
        thunk.run_direct(&args);
        (got()[..2].to_vec(), called().len())
    };
    answer(7);
    assert_eq!(run([0x0010_0001, 0x0010_0002]), (vec![0x10, 0x20], 0));
    assert_eq!(run([0x0010_0002, 0x0010_0001]), (vec![7, 7], 2));
    assert_eq!(run([0x0020_0001, 0]), (vec![7, 0], 1), "another generation");
}

#[test]
fn handles_beside_pointers_and_numbers() {
    let prototype = "void f(signed char n, a *h[handle], double x, char *p, b *i[handle], long m) [leaf]";
    extern "C" fn note_five(n: i32, h: u64, _: f64, p: u64, i: u64, m: u64) {
        GOT.set(vec![n as u64, h, p, i, m]);
    }
    let mut thunk = Thunk::new(prototype, note_five as *const u8);
    thunk.world.give(0x5550_0001, 1, 0x10);
    thunk.world.give(0x5550_0002, 2, 0x20);
    let mut run = |h: u64, p: u64, i: u64| {
        thunk.run(&[0x80, h, 0, p, i, 0xffff_ffff]);
        let asked: Vec<_> = called().into_iter().map(|(_, args)| args[1]).collect();
        (got(), asked)
    };
    let minus = -128i64 as u64;
    assert_eq!(run(0x5550_0001, 8, 0x5550_0002), (vec![minus, 0x10, BASE + 8, 0x20, u64::MAX], vec![]));
    assert_eq!(run(0, 0, 0), (vec![minus, 0, 0, 0, u64::MAX], vec![]));
    answer(7);
    assert_eq!(run(0x5550_0001, LEN, 0x5550_0002), (vec![minus, 0x10, 7, 0x20, u64::MAX], vec![3]));
    assert_eq!(run(0x5550_0001, 8, 0x5550_0001), (vec![minus, 0x10, BASE + 8, 7, u64::MAX], vec![4]));
    assert_eq!(run(0x5550_0002, 8, 0), (vec![minus, 7, BASE + 8, 0, u64::MAX], vec![1]));
    assert_eq!(run(0x5550_0003, LEN, 0x5550_0003), (vec![minus, 7, 7, 7, u64::MAX], vec![1, 3, 4]));
}

#[test]
fn three_types_of_handles() {
    let mut thunk = Thunk::new("void f(a *[handle], b *[handle], c *[handle])", note as *const u8);
    for n in 1..4 {
        thunk.world.give(n, n, 100 + u64::from(n));
    }
    thunk.run(&[1, 2, 3]);
    assert_eq!((got(), called()), (vec![101, 102, 103], vec![]));
}

#[test]
fn more_pointers_than_registers() {
    extern "C" fn note_last(_: u64, _: u64, _: u64, _: u64, _: u64, f: u64, g: u64, h: u64, i: i64, j: u64) {
        GOT.set(vec![f, g, h, i as u64, j]);
    }
    let prototype = "void f(void *, void *, void *, void *, void *, void *, double *, void *[user], long, void *)";
    let mut thunk = Thunk::new(prototype, note_last as *const u8);
    answer(5);
    thunk.run(&[1, 2, 3, 4, LEN, 0, LEN - 7, 0xffff_ffff, 0xffff_ffff, 10]);
    assert_eq!(got(), [0, 5, 0xffff_ffff, u64::MAX, BASE + 10]);
    let asked: Vec<u64> = called().iter().map(|call| call.1[1]).collect();
    assert_eq!(asked, [4, 6]);
}

#[test]
fn no_address_is_inside_of_an_empty_memory() {
    let mut thunk = Thunk::new("void f(void *, double *)", note as *const u8);
    *thunk.world.memory = memory(0);
    answer(7);
    for guest in [1, 0x8000_0000, 0xffff_ffff] {
        thunk.run(&[guest, guest]);
        assert_eq!((got()[..2].to_vec(), called().len()), (vec![7, 7], 2), "{guest:#x}");
    }
}

#[test]
fn the_largest_memory_ends_where_addresses_do() {
    let mut thunk = Thunk::new("void f(void *, double *)", note as *const u8);
    *thunk.world.memory = memory(1 << 32);
    answer(7);
    thunk.run(&[0xffff_ffff, 0xffff_fff8]);
    assert_eq!((got()[..2].to_vec(), called()), (vec![BASE + 0xffff_ffff, BASE + 0xffff_fff8], vec![]));
    thunk.run(&[0, 0xffff_fff9]);
    assert_eq!((got()[..2].to_vec(), called().len()), (vec![0, 7], 1));
}

#[test]
fn pointer_results() {
    assert_eq!(into_wasm("void *f(void)", BASE + 0xffff_fff0), 0xffff_fff0);
    assert_eq!(into_wasm("void *f(void)", 0), 0);
    extern "C" fn elsewhere() -> u64 {
        BASE - 16
    }
    let mut thunk = Thunk::new("void *f(void)", elsewhere as *const u8);
    answer(12);
    assert_eq!(thunk.run(&[]), 12);
    let record = &raw const *thunk.record as u64;
    assert_eq!(called(), [(Builtin::ThunkResult, vec![record, BASE - 16])]);
}

#[test]
fn function_pointers_are_asked_for() {
    let mut thunk = Thunk::new("void f(int, void (*cb)(int), void *)", note as *const u8);
    answer(0x5000);
    thunk.run(&[1, 33, 64]);
    let record = &raw const *thunk.record as u64;
    assert_eq!(called(), [(Builtin::ThunkFunction, vec![record, 1, 33])]);
    assert_eq!(got()[1..], [0x5000, BASE + 64]);
}

#[test]
fn functions_of_a_call_end_when_it_has_returned() {
    extern "C" fn half(_: u64, _: i32) -> f64 {
        0.5
    }
    let prototype = "double f(int (*cb[scope: call])(int), int)";
    let mut thunk = Thunk::new(prototype, half as *const u8);
    answer(0x5000);
    let result = thunk.run(&[33, 1]);
    let record = &raw const *thunk.record as u64;
    let vmctx = &raw const *thunk.world.head as u64;
    assert_eq!(
        called(),
        [(Builtin::ThunkFunction, vec![record, 0, 33]), (Builtin::ThunkFunctionsEnd, vec![vmctx])],
        "{prototype}"
    );
    assert_eq!(f64::from_bits(result), 0.5);
}

#[test]
fn slots_are_converted_by_the_builtins() {
    let mut thunk = Thunk::new("int f(const char *s[str], unsigned char n)", note as *const u8);
    add_to_cells(2);
    let result = thunk.run(&[0xffff_ff00, 0x101]);
    let builtins: Vec<Builtin> = called().iter().map(|call| call.0).collect();
    assert_eq!(builtins, [Builtin::ThunkEnter, Builtin::ThunkLeave]);
    let native = got();
    assert_eq!((native[0], native[1] as u32), (0xffff_ff02, 3));
    assert_eq!(result as u32, 0x2345_6782);
}

/// Looks around while a thunk waits.
extern "C" fn look_around(vmctx: *mut VmHead) -> u64 {
    // SAFETY: the test passes its own vmctx, and nobody else looks at it while the C function runs.
    let head = unsafe { &mut *vmctx };
    // SAFETY: the thunk has just put its frame there.
    let frame: CrossingFrame = unsafe { *head.crossings };
    GOT.set(vec![head.crossings as u64, frame.frame as u64, frame.stack_pointer, frame.record as u64]);
    7
}

#[test]
fn a_crossing_frame_is_there_while_the_function_runs() {
    let mut thunk = Thunk::new("int f(long long)", look_around as *const u8);
    let outermost = thunk.world.head.crossings;
    let vmctx = &raw mut *thunk.world.head as u64;
    let record = &raw const *thunk.record as u64;
    for direct in [false, true] {
        let result = if direct { thunk.run_direct(&[vmctx]) } else { thunk.run_thunk(&[vmctx]) };
        assert_eq!(result as u32, 7);
        let [crossings, frame, stack_pointer, noted_record] = got()[..] else { panic!("four notes") };
        assert_eq!(crossings, outermost.wrapping_sub(1) as u64);
        assert_eq!(stack_pointer, 0x1234);
        assert!(frame.abs_diff(&raw const record as u64) < 1 << 20, "it is on this stack");
        if direct {
            assert_eq!(frame % 16, 8, "the address of a return address");
        } else {
            assert_eq!((frame % 16, noted_record), (0, record), "a frame pointer");
        }
        assert_eq!(called(), []);
        assert_eq!(thunk.world.head.crossings, outermost);
    }
}

/// Leaves the instance as it is after a callback has failed, or as a `longjmp` over inner crossings does.
extern "C" fn disturb(vmctx: *mut VmHead) -> f64 {
    // SAFETY: as in `look_around`.
    let head = unsafe { &mut *vmctx };
    head.crossings = &raw mut head.refusing;
    0.5
}

#[test]
fn a_disturbed_crossing_is_sorted_out_by_the_builtin() {
    let mut thunk = Thunk::new("double f(long long)", disturb as *const u8);
    let vmctx = &raw mut *thunk.world.head as u64;
    let outermost = thunk.world.head.crossings;
    for direct in [false, true] {
        answer(1);
        let result = if direct { thunk.run_direct(&[vmctx]) } else { thunk.run_thunk(&[vmctx]) };
        assert_eq!(f64::from_bits(result), 0.5, "kept while the builtin ran");
        let [(Builtin::ThunkReturned, args)] = &called()[..] else { panic!("one call") };
        assert_eq!(args[0], vmctx);
        assert!(args[1].abs_diff(&raw const thunk as u64) < 1 << 20, "its frame");
        // What it did is not undone: that is the builtin's.
        assert_eq!(thunk.world.head.crossings, &raw mut thunk.world.head.refusing);
        thunk.world.head.crossings = outermost;
    }
}

#[test]
fn a_call_for_which_a_crossing_frame_stands_leaves_none() {
    for prototype in
        ["int f(long long)", "short f(long long)", "size_t f(long long, void *)", "int f(long long, short)"]
    {
        let mut thunk = Thunk::new(prototype, look_around as *const u8);
        let outermost = thunk.world.head.crossings;
        let vmctx = &raw mut *thunk.world.head as u64;
        assert_eq!(thunk.run_covered(&[vmctx, 0]) as u32, 7);
        assert_eq!((got()[0], called()), (outermost as u64, vec![]));
        assert_eq!(thunk.is_itself_covered(), prototype == "int f(long long)");
    }
    // If a callback fails meanwhile, nothing is asked about the result: it means nothing.
    extern "C" fn fail(vmctx: *mut VmHead) -> u64 {
        disturb(vmctx);
        u64::MAX - 1
    }
    for prototype in ["size_t f(long long)", "void *f(long long)", "int f(long long)"] {
        let mut thunk = Thunk::new(prototype, fail as *const u8);
        let vmctx = &raw mut *thunk.world.head as u64;
        thunk.run_covered(&[vmctx]);
        assert_eq!(called(), []);
    }
}

#[test]
fn a_leaf_leaves_no_crossing_frame() {
    for prototype in ["int f(long long) [leaf]", "short f(long long) [leaf]", "int f(long long, void *) [leaf]"] {
        let mut thunk = Thunk::new(prototype, look_around as *const u8);
        let outermost = thunk.world.head.crossings;
        let vmctx = &raw mut *thunk.world.head as u64;
        assert_eq!(thunk.run(&[vmctx, 0]) as u32, 7);
        assert_eq!(got()[0], outermost as u64);
        assert_eq!(thunk.is_itself(), prototype.starts_with("int f(long long) "));
    }
}

#[test]
fn pointers_among_others_are_checked_in_their_places() {
    let mut thunk = Thunk::new("int f(char *a, signed char b, int *c[nonnull])", note as *const u8);
    // The upper halves of 32-bit values are garbage on the direct way.
    let garbage = 0x5555_5555_0000_0000;
    thunk.run(&[garbage | 16, garbage | 0xff80, garbage | (LEN - 4)]);
    assert_eq!(got().iter().map(|&v| v as u32).collect::<Vec<_>>(), [16, 0xffff_ff80, (LEN - 4) as u32]);
    thunk.run(&[garbage | 16, 1, LEN - 4]);
    let native = got();
    assert_eq!((native[0], native[2]), (BASE + 16, BASE + LEN - 4));
    // The second pointer fails after the first one has been converted: the builtin is asked about it, and about it alone.
    answer(0x5000);
    thunk.run(&[LEN - 1, 1, LEN - 3]);
    assert_eq!((got()[0], got().get(2).copied()), (BASE + LEN - 1, None));
    let asked: Vec<_> = called().into_iter().map(|(builtin, args)| (builtin, args[1..].to_vec())).collect();
    assert_eq!(asked, [(Builtin::ThunkPointer, vec![2, LEN - 3])]);
    thunk.run(&[0, 1, 0]);
    assert_eq!(got()[0], 0, "NULL");
    assert_eq!(called().len(), 1, "[nonnull]");
}

#[test]
fn a_thunk_that_may_be_skipped_to_saves_all_registers() {
    let mut compiler = ShapeCompiler::new().unwrap();
    for text in ["void f(void)", "int f(int, int)", "double f(void *p[in: n], int n, double x)"] {
        let plain = compiler.thunk(&text.parse().unwrap()).unwrap();
        let skipped = compiler.thunk(&format!("{text} [unwind]").parse().unwrap()).unwrap();
        assert!(plain.frame.saves.contains(&0), "{text}");
        assert!(!skipped.frame.saves.contains(&0), "{text}: {:?}", skipped.frame);
    }
}
