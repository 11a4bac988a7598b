//! Callbacks, called as C functions. Every case runs through the fast entry and through the complete callback.

use crate::world::{BASE, Callback, DEFAULT_FLOAT, DEFAULT_INT, LEN, USER_SPACE, add_to_cells, answer};
use wasmbridge_artifact::Builtin;
use wasmbridge_artifact::builtins::admission;
use wasmbridge_artifact::vmctx::ShownWindow;
use wasmbridge_artifact::vmctx::handles::lent;

const REFUSE: u64 = u64::MAX;

/// Calls a callback of one integer parameter with 64 bits in its register, and gives back what the wasm function got.
fn into_wasm(prototype: &str, bits: u64) -> u64 {
    let (_, args, called) = Callback::new(prototype).run(0, |f: extern "C" fn(u64)| f(bits));
    assert_eq!(called, [], "{prototype}");
    args[0]
}

/// What a C caller finds in the result register when the wasm function returns these bits.
fn into_native(prototype: &str, bits: u64) -> u64 {
    let (result, _, called) = Callback::new(prototype).run(bits, |f: extern "C" fn() -> u64| f());
    assert_eq!(called, [], "{prototype}");
    result
}

#[test]
fn two_ints() {
    let (result, args, called) = Callback::new("int f(int, int)").run(7, |f: extern "C" fn(i32, i32) -> i32| f(3, -4));
    assert_eq!((result, args, called), (7, vec![3, 0xffff_fffc], vec![]));
}

#[test]
fn upper_bits_of_small_integers_are_not_believed() {
    let garbage = 0xabcd_ef01_2345_6700;
    assert_eq!(into_wasm("void f(_Bool)", garbage), 0);
    assert_eq!(into_wasm("void f(_Bool)", garbage | 1), 1);
    assert_eq!(into_wasm("void f(_Bool)", garbage | 0x40), 1);
    assert_eq!(into_wasm("void f(signed char)", garbage | 0x80), 0xffff_ff80);
    assert_eq!(into_wasm("void f(char)", garbage | 0x7f), 0x7f);
    assert_eq!(into_wasm("void f(unsigned char)", garbage | 0x80), 0x80);
    assert_eq!(into_wasm("void f(short)", garbage | 0x8000), 0xffff_e700);
    assert_eq!(into_wasm("void f(unsigned short)", garbage), 0x6700);
    assert_eq!(into_wasm("void f(int)", garbage), 0x2345_6700);
    assert_eq!(into_wasm("void f(unsigned)", garbage | 0x8000_0000), 0xa345_6700);
    assert_eq!(into_wasm("void f(long long)", garbage), garbage);
}

#[test]
fn small_results_are_extended() {
    let low = |prototype, bits| into_native(prototype, bits) as u32;
    assert_eq!(low("_Bool f(void)", 0), 0);
    assert_eq!(low("_Bool f(void)", 0x100), 1);
    assert_eq!(low("signed char f(void)", 0x180), 0xffff_ff80);
    assert_eq!(low("unsigned char f(void)", 0x1ff), 0xff);
    assert_eq!(low("short f(void)", 0x8000), 0xffff_8000);
    assert_eq!(low("unsigned short f(void)", 0x1_8000), 0x8000);
    assert_eq!(low("int f(void)", 0x8000_0000), 0x8000_0000);
    assert_eq!(into_native("long f(void)", 0x8000_0000), 0xffff_ffff_8000_0000);
    assert_eq!(into_native("unsigned long f(void)", 0x8000_0000), 0x8000_0000);
    assert_eq!(into_native("long long f(void)", 0x8000_0000_0000_0001), 0x8000_0000_0000_0001);
    assert_eq!(into_native("void *f(void) [user]", 0xffff_ffff), 0xffff_ffff);
}

#[test]
fn long_integers_are_checked_on_the_way_in() {
    let mut callback = Callback::new("int f(int, long, size_t)");
    let mut call = |long: i64, size: u64| callback.run(5, |f: extern "C" fn(i32, i64, u64) -> i32| f(1, long, size));
    assert_eq!(call(-1, 0xffff_ffff), (5, vec![1, 0xffff_ffff, 0xffff_ffff], vec![]));
    assert_eq!(call(i64::from(i32::MIN), 0), (5, vec![1, 0x8000_0000, 0], vec![]));
    let default = DEFAULT_INT as i32;
    for (long, size, index, value) in [
        (0x8000_0000, 0, 1, 0x8000_0000),
        (i64::MIN, 0, 1, 1 << 63),
        (0, 1 << 32, 2, 1 << 32),
        (0, u64::MAX, 2, u64::MAX),
    ] {
        assert_eq!(call(long, size), (default, vec![], vec![(Builtin::CallbackRange, vec![index, value])]));
    }
}

#[test]
fn floats_stay_where_they_are() {
    let mut callback = Callback::new("double f(float, int, double)");
    let returns = 2.5f64.to_bits();
    let (result, args, _) = callback.run(returns, |f: extern "C" fn(f32, i32, f64) -> f64| f(1.5, 2, -0.75));
    assert_eq!((result, args), (2.5, vec![u64::from(1.5f32.to_bits()), 2, (-0.75f64).to_bits()]));
    let (result, ..) = Callback::new("float f(void)").run(u64::from(0.5f32.to_bits()), |f: extern "C" fn() -> f32| f());
    assert_eq!(result, 0.5);
}

#[test]
fn arguments_on_the_stack() {
    type F = extern "C" fn(i64, i32, u32, u8, u32, i32, u64, u64, f64, u64, *const u8) -> i64;
    let prototype = "long long f(long long, int, unsigned, unsigned char, unsigned, int, signed char, _Bool, double, unsigned short, void *)";
    let garbage = 0x5555_5555_5555_5500;
    let call = |f: F| f(1, 2, 3, 4, 5, 6, garbage | 0x81, garbage, 9.5, garbage, (BASE + 64) as *const u8);
    let (result, args, called) = Callback::new(prototype).run(1 << 40, call);
    assert_eq!(result, 1 << 40);
    assert_eq!(args, [1, 2, 3, 4, 5, 6, 0xffff_ff81, 0, 9.5f64.to_bits(), 0x5500, 64]);
    assert_eq!(called, []);
}

#[test]
fn nine_doubles() {
    type F = extern "C" fn(f64, f64, f64, f64, f64, f64, f64, f64, f64, i32);
    let call = |f: F| f(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9);
    let prototype = "void f(double, double, double, double, double, double, double, double, double, int)";
    let (_, args, _) = Callback::new(prototype).run(0, call);
    let floats = args[..9].iter().map(|&bits| f64::from_bits(bits));
    assert_eq!((floats.collect::<Vec<_>>(), args[9]), ((0..9).map(f64::from).collect(), 9));
}

#[test]
fn pointers_into_memory_are_their_low_half() {
    let mut callback = Callback::new("int f(const void *, const void *)");
    let mut call = |a: u64, b: u64| callback.run(9, |f: extern "C" fn(u64, u64) -> i32| f(a, b));
    assert_eq!(call(BASE + 8, BASE + 0xffff_ffff), (9, vec![8, 0xffff_ffff], vec![]));
    assert_eq!(call(0, BASE + 4), (9, vec![0, 4], vec![]));
    assert_eq!(call(BASE + 4, 0), (9, vec![4, 0], vec![]));
    assert_eq!(call(0, 0), (9, vec![0, 0], vec![]));
}

#[test]
fn other_pointers_are_for_the_builtin() {
    let mut callback = Callback::new("int f(const void *, const void *)");
    let mut call = |a: u64, b: u64| callback.run(9, |f: extern "C" fn(u64, u64) -> i32| f(a, b));
    let asked = |index: u64, pointer: u64| (Builtin::CallbackPointer, vec![index, pointer]);
    answer(0xffff_0000);
    assert_eq!(call(BASE - 1, BASE + 4), (9, vec![0xffff_0000, 4], vec![asked(0, BASE - 1)]));
    assert_eq!(call(BASE + 4, BASE + (1 << 32)), (9, vec![4, 0xffff_0000], vec![asked(1, BASE + (1 << 32))]));
    assert_eq!(call(8, 9), (9, vec![0xffff_0000, 0xffff_0000], vec![asked(0, 8), asked(1, 9)]));
    answer(REFUSE);
    assert_eq!(call(BASE, 9), (DEFAULT_INT as i32, vec![], vec![asked(1, 9)]));
}

#[test]
fn handles_are_lent_and_end() {
    type F = extern "C" fn(u64, i64, u64) -> i64;
    let mut callback = Callback::new("long f(a *[handle], long, b *[handle, nonnull])");
    let mut run = |a: u64, n: i64, b: u64| callback.run(0xffff_fffe, |f: F| f(a, n, b));
    let lend = |index: u64, native: u64| (Builtin::CallbackLend, vec![index, native]);
    answer(0xabc0_0001);
    let shortened = |called: Vec<(Builtin, Vec<u64>)>| {
        let cells = |args: &Vec<u64>| args.last().copied();
        let all: Vec<_> = called.iter().map(|(_, args)| cells(args)).collect();
        assert!(all.iter().all(|of| *of == all[0]), "all get the cells");
        called
            .into_iter()
            .map(|(builtin, mut args)| {
                args.pop();
                (builtin, args)
            })
            .collect::<Vec<_>>()
    };
    let end = (Builtin::CallbackLentEnd, vec![]);
    let (result, args, called) = run(0x7000_0000_0010, 5, 0x7000_0000_0020);
    assert_eq!((result, args), (-2, vec![0xabc0_0001, 5, 0xabc0_0001]));
    assert_eq!(shortened(called), [lend(0, 0x7000_0000_0010), lend(2, 0x7000_0000_0020), end.clone()]);
    let (_, args, called) = run(0, 5, 0x20);
    assert_eq!(args, [0, 5, 0xabc0_0001]);
    assert_eq!(shortened(called), [lend(2, 0x20), end], "NULL is 0");

    // A number that does not fit is found before anything is lent.
    let (result, args, called) = run(0x10, 1 << 40, 0x20);
    assert_eq!((result, args), (DEFAULT_INT as i64, vec![]));
    assert_eq!(called, [(Builtin::CallbackRange, vec![1, 1 << 40])]);
    answer(u64::MAX);
    let (result, args, called) = run(0, 5, 0);
    assert_eq!((result, args), (DEFAULT_INT as i64, vec![]));
    assert_eq!(shortened(called), [lend(2, 0)], "the builtin says what is wrong with NULL, and ends what was lent");
}

/// What a callback finds of handles without asking.
#[test]
fn handles_that_are_known_or_new_are_lent_inline() {
    type F = extern "C" fn(u64, i64) -> i64;
    let mut callback = Callback::new("long f(a *[handle], long)");
    let (known, other, new) = (0x7000_0000_0010, 0x7000_0004_0010, 0x7000_0000_0020);
    callback.world.give_known(0x0050_0007, 1, known);
    let lend = |native: u64| (Builtin::CallbackLend, vec![0, native]);
    let run = |callback: &mut Callback, a: u64, n: i64| {
        answer(0x0050_0001);
        let (result, args, called) = callback.run_once(5, |f: F| f(a, n));
        let asked = called.into_iter().filter(|(builtin, _)| *builtin == Builtin::CallbackLend);
        (result, args, asked.map(|(builtin, args)| (builtin, args[..2].to_vec())).collect::<Vec<_>>())
    };
    assert_eq!(run(&mut callback, known, 9), (5, vec![0x0050_0007, 9], vec![]));
    assert_eq!(run(&mut callback, known, 1 << 40).0, DEFAULT_INT as i64);
    // NULL; one with the same bits; one that is new, when there is no slot.
    assert_eq!(run(&mut callback, 0, 9), (5, vec![0, 9], vec![]));
    for object in [other, new] {
        assert_eq!(run(&mut callback, object, 9), (5, vec![0x0050_0001, 9], vec![lend(object)]));
    }

    callback.world.prepare([0x00a0_0003, 0x00b0_0004]);
    assert_eq!(run(&mut callback, new, 9), (5, vec![0x00a0_0003, 9], vec![]));
    assert_eq!(*callback.world.at_table(8 * 3), 0, "it has ended");
    assert_eq!(*callback.world.at_table(lent::FRAME), 0);
    assert_eq!(run(&mut callback, new, 9), (5, vec![0x00b0_0003, 9], vec![]), "the next generation");
    assert_eq!(run(&mut callback, new, 1 << 40).0, DEFAULT_INT as i64);
    assert_eq!(run(&mut callback, other, 9), (5, vec![0x0050_0001, 9], vec![lend(other)]), "perhaps it is known");
    assert_eq!(run(&mut callback, 0x7000_0004_0000, 9).2, [lend(0x7000_0004_0000)], "it shares NULL's bucket");
    // Another callback is running that has opened it.
    *callback.world.at_table(lent::FRAME) = 0x7fff_0000;
    assert_eq!(run(&mut callback, new, 9), (5, vec![0x0050_0001, 9], vec![lend(new)]));
    *callback.world.at_table(lent::FRAME) = 0;
    // The last generation: the runtime is told.
    callback.world.prepare([0xfff0_0003, 0x00b0_0004]);
    let (_, args, called) = callback.run_once(5, |f: F| f(new, 9));
    assert_eq!((args, called.len(), called[0].0), (vec![0xfff0_0003, 9], 1, Builtin::CallbackLentEnd));
    // An object of another type has its address.
    callback.world.give_known(0x0050_0008, 2, new);
    assert_eq!(run(&mut callback, new, 9), (5, vec![0x0050_0001, 9], vec![lend(new)]));
}

#[test]
fn two_handles_are_lent_inline_in_each_combination() {
    type F = extern "C" fn(f64, u64, i32, u64) -> i32;
    let mut callback = Callback::new("int f(double, a *[handle], int, b *[handle])");
    let (known_a, known_b, new_a, new_b) = (0x7000_0010, 0x7000_0020, 0x7000_0030, 0x7000_0040);
    callback.world.give_known(0x0050_0007, 1, known_a);
    callback.world.give_known(0x0050_0008, 2, known_b);
    callback.world.prepare([0x00a0_0003, 0x00a0_0004]);
    let run = |callback: &mut Callback, a: u64, b: u64| {
        answer(0x0077_0000);
        let (result, args, called) = callback.run_once(6, |f: F| f(0.5, a, 1, b));
        assert_eq!((result, args[0], args[2]), (6, 0.5f64.to_bits(), 1));
        (args[1], args[3], called.iter().filter(|called| called.0 == Builtin::CallbackLend).count())
    };
    assert_eq!(run(&mut callback, known_a, known_b), (0x0050_0007, 0x0050_0008, 0));
    assert_eq!(run(&mut callback, new_a, known_b), (0x00a0_0003, 0x0050_0008, 0));
    assert_eq!(
        run(&mut callback, known_a, new_b),
        (0x0050_0007, 0x00b0_0004, 0),
        "a slot that was not needed has counted, too"
    );
    assert_eq!(run(&mut callback, new_a, new_b), (0x00c0_0003, 0x00c0_0004, 0));
    assert_eq!(run(&mut callback, new_a, new_a), (0x0077_0000, 0x0077_0000, 2), "one object");
    assert_eq!(run(&mut callback, known_b, known_a), (0x0077_0000, 0x0077_0000, 2), "other types");
    callback.world.pass(1, 2);
    assert_eq!(run(&mut callback, known_b, known_b), (0x0050_0008, 0x0050_0008, 0), "what passes for it");
    assert_eq!(run(&mut callback, known_b, new_b), (0x0050_0008, 0x00d0_0004, 0));
    assert_eq!(run(&mut callback, 0, new_b), (0, 0x0077_0000, 1));
}

#[test]
fn a_handle_that_is_to_end_is_lent_inline_only_if_it_is_new() {
    type F = extern "C" fn(u64);
    let mut callback = Callback::new("void f(a *[handle, scope: call])");
    callback.world.give_known(0x0050_0007, 1, 0x7000_0010);
    callback.world.prepare([0x00a0_0003, 0x00a0_0004]);
    let mut run = |a: u64| {
        let (_, args, called) = callback.run_once(0, |f: F| f(a));
        (args[0], called.into_iter().map(|called| called.0).collect::<Vec<_>>())
    };
    assert_eq!(run(0x7000_0020), (0x00a0_0003, vec![]));
    let through_slots = || vec![Builtin::CallbackEnter, Builtin::CallbackLeave];
    assert_eq!(run(0x7000_0010).1, through_slots());
    assert_eq!(run(0).1, through_slots());
}

#[test]
fn null_is_refused_where_it_may_not_be() {
    let mut callback = Callback::new("void f(void *p[nonnull])");
    answer(REFUSE);
    let (_, args, called) = callback.run(0, |f: extern "C" fn(u64)| f(0));
    assert_eq!((args, called), (vec![], vec![(Builtin::CallbackPointer, vec![0, 0])]));
}

#[test]
fn user_data_that_fits_crosses() {
    assert_eq!(into_wasm("void f(void *[user])", 0x8000_0001), 0x8000_0001);
}

#[test]
fn pointer_results_are_checked() {
    let mut callback = Callback::new("int *f(void)");
    let mut call = |guest: u64| callback.run(guest, |f: extern "C" fn() -> u64| f());
    assert_eq!(call(0).0, 0);
    assert_eq!(call(1), (BASE + 1, vec![], vec![]));
    assert_eq!(call(LEN - 4), (BASE + LEN - 4, vec![], vec![]));
    answer(77);
    for guest in [LEN - 3, LEN, 0xffff_fffc, 0xffff_ffff] {
        assert_eq!(call(guest), (77, vec![], vec![(Builtin::CallbackResult, vec![guest])]), "{guest:#x}");
    }
    answer(REFUSE);
    assert_eq!(call(LEN).0, DEFAULT_INT);
    let (result, ..) = Callback::new("int *f(void) [nonnull]").run(0, |f: extern "C" fn() -> u64| f());
    assert_eq!(result, 1, "the builtin's answer");
}

#[test]
fn who_may_not_enter_gets_the_default() {
    type F = extern "C" fn(i32, f64) -> i32;
    let mut callback = Callback::new("int f(int, double)");
    let mut check = |reach: usize, frame: usize, admitted: bool| {
        callback.world.head.reach = reach;
        callback.world.crossings[7].frame = frame;
        answer(u64::from(admitted));
        let (result, args, called) = callback.run(5, |f: F| f(6, 7.0));
        let builtins: Vec<Builtin> = called.iter().map(|call| call.0).collect();
        assert_eq!(builtins, [Builtin::CallbackAdmit]);
        let here = &raw const result as u64;
        assert!(called[0].1[0].abs_diff(here) < 1 << 20, "it gets the stack pointer");
        (result, args)
    };
    let ran = (5, vec![6, 7.0f64.to_bits()]);
    let refused = (DEFAULT_INT as i32, vec![]);
    // From below the frame, above it, and too far below it.
    for (reach, frame) in [(0, USER_SPACE), (1 << 20, 0), (1 << 20, USER_SPACE), (USER_SPACE, 1 << 12)] {
        assert_eq!(check(reach, frame, true), ran);
        assert_eq!(check(reach, frame, false), refused);
    }
}

#[test]
fn a_call_that_is_carried_out_elsewhere_has_its_result_in_a_cell() {
    let elsewhere = |prototype: &str| {
        let mut callback = Callback::new(prototype);
        callback.world.crossings[7].frame = 0;
        answer(u64::from(admission::ANSWERED));
        add_to_cells(0x1_0000_0005);
        callback
    };
    let (result, args, called) = elsewhere("int f(int, double)").run(1, |f: extern "C" fn(i32, f64) -> i32| f(-7, 7.0));
    assert_eq!((result, args), (-2, vec![]));
    assert_eq!(called[0].1[1], called[0].1[2], "the result goes where the arguments are");
    let (result, ..) = elsewhere("double f(double, void *)").run(1, |f: extern "C" fn(f64, u64) -> f64| f(0.0, 0));
    assert_eq!(result.to_bits(), 0x1_0000_0005);
    add_to_cells(0);
}

#[test]
fn defaults_by_type() {
    answer(0);
    let mut callback = Callback::new("double f(void)");
    callback.world.crossings[7].frame = 0;
    answer(0);
    assert_eq!(callback.run(0, |f: extern "C" fn() -> f64| f()).0, DEFAULT_FLOAT);
    let mut callback = Callback::new("long long f(void)");
    callback.world.crossings[7].frame = 0;
    answer(0);
    assert_eq!(callback.run(0, |f: extern "C" fn() -> u64| f()).0, DEFAULT_INT);
}

#[test]
fn slots_are_converted_by_the_builtins() {
    let mut callback = Callback::new("long f(const char *s[str], signed char n)");
    add_to_cells(2);
    let (result, args, called) = callback.run(0xffff_fff0, |f: extern "C" fn(u64, u64) -> i64| f(100, 0xff80));
    let builtins: Vec<Builtin> = called.iter().map(|call| call.0).collect();
    assert_eq!(builtins, [Builtin::CallbackEnter, Builtin::CallbackLeave]);
    assert_eq!(args, [102, 0xffff_ff82]);
    assert_eq!(result, -14, "extended before the builtin saw it");
}

#[test]
fn slots_that_are_refused_give_the_default() {
    let mut callback = Callback::new("int f(const char *s[str])");
    answer(0);
    let (result, args, called) = callback.run(3, |f: extern "C" fn(u64) -> i32| f(100));
    assert_eq!((result, args, called.len()), (DEFAULT_INT as i32, vec![], 1));
}

/// Where the window lies that is offered to fast entries, and how long it is.
const WINDOW: (usize, u64) = (0x55_c410_0000, 0x1000);

/// Offers a window, for reading.
fn offer(callback: &mut Callback) {
    static CHANGES: u64 = 7;
    let world = &mut callback.world;
    *world.shown = ShownWindow {
        ceiling: USER_SPACE,
        changes_now: &raw const CHANGES,
        changes: CHANGES,
        native: WINDOW.0,
        readable: WINDOW.1,
        crossings: world.head.crossings,
        ..ShownWindow::NONE
    };
    world.head.crossings = &raw mut world.head.refusing;
}

/// Whether a callback with the window offered is shown the data by its fast entry.
fn is_shown(callback: &mut Callback, pointer: usize, count: u64) -> bool {
    let open = callback.world.head.crossings;
    offer(callback);
    let before = callback.world.head.crossings;
    let (result, args, called) = callback.run_once(9, |f: extern "C" fn(usize, u64) -> i32| f(pointer, count));
    let shown = callback.world.shown.count == 1;
    if shown {
        assert_eq!(
            (result, &args[..], &called[..]),
            (9, &[pointer as u64 & 0xffff_ffff, count & 0xffff_ffff][..], &[][..])
        );
        assert_eq!((callback.world.shown.frame, callback.world.head.crossings), (0, before), "given back");
    } else {
        let builtins: Vec<Builtin> = called.iter().map(|(builtin, _)| *builtin).collect();
        assert_eq!(builtins[0], Builtin::CallbackAdmit, "it is the complete callback's");
    }
    callback.world.head.crossings = open;
    shown
}

#[test]
fn a_window_is_shown_if_all_of_the_data_is_in_it() {
    let (start, end) = (WINDOW.0, WINDOW.0 + WINDOW.1 as usize);
    let mut event = Callback::new("int f(const void *p[window: read, in: 64], size_t n)");
    for at in [start, start + 1, end - 64] {
        assert!(is_shown(&mut event, at, 5));
    }
    for at in [start - 1, start - 64, end - 63, end, 0, 63, usize::MAX, usize::MAX - 64, start + (1 << 32), 1 << 63] {
        assert!(!is_shown(&mut event, at, 5), "{at:#x}");
    }
    let mut counted = Callback::new("int f(const long long *p[window: read, in: n], int n)");
    for (at, n) in [(start, 1), (start, 512), (end - 8, 1), (start, 0xabcd_0000_0001)] {
        assert!(is_shown(&mut counted, at, n), "{at:#x} {n}");
    }
    for (at, n) in
        [(start, 513), (end - 7, 1), (start, 0), (start, -1i64 as u64), (start, 0x2000_0000), (start, 0x8000_0000)]
    {
        assert!(!is_shown(&mut counted, at, n), "{at:#x} {n}");
    }
    let mut sized = Callback::new("int f(const int *p[window: read, in: n], size_t n)");
    assert!(is_shown(&mut sized, start, 1024));
    for n in [0, 1025, 1 << 32, (1 << 32) + 1, 1 << 62, u64::MAX] {
        assert!(!is_shown(&mut sized, start, n), "{n}");
    }
    let mut byte = Callback::new("int f(const char *p[window: read, in: n], signed char n)");
    assert!(is_shown(&mut byte, start, 0x7f));
    assert!(!is_shown(&mut byte, start, 0x80), "it is negative");
    let mut written = Callback::new("int f(void *p[window: write, inout: 64], size_t n)");
    assert!(!is_shown(&mut written, start, 5), "none of it may be written");
}

#[test]
fn a_window_is_shown_only_while_it_is_offered() {
    let mut event = Callback::new("int f(const void *p[window: read, in: 64], size_t n)");
    let spoils: [fn(&mut ShownWindow); 4] = [
        |shown| shown.ceiling = 0,
        |shown| shown.frame = 0x7000,
        |shown| shown.changes += 1,
        |shown| shown.readable = 63,
    ];
    for (i, spoil) in spoils.iter().enumerate() {
        let open = event.world.head.crossings;
        offer(&mut event);
        spoil(&mut event.world.shown);
        answer(0);
        let (result, args, called) = event.run_once(9, |f: extern "C" fn(usize, u64) -> i32| f(WINDOW.0, 1));
        assert_eq!((result, args, called[0].0), (DEFAULT_INT as i32, vec![], Builtin::CallbackAdmit), "{i}");
        answer(1);
        event.world.head.crossings = open;
    }
    event.world.head.reach = 1 << 20;
    assert!(!is_shown(&mut event, WINDOW.0, 1), "it is too far below");
}
