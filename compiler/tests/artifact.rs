//! What is in an artifact: everything that the runtime will rely on, read back by the reader that the runtime uses.

mod common;

use common::{EM_X86_64, artifact, compile_wat};
use object::{Object, ObjectSection, ObjectSymbol};
use std::ops::Range;
use wasmbridge_artifact::module::{ConstOp, ExternIndex, SegmentMode};
use wasmbridge_artifact::{Artifact, FunctionKind, TrapCode};
use wasmbridge_compiler::{CompileError, Config, Cpu, OptLevel, compile, compile_with_progress};

/// A module with something of everything.
const MODULE: &str = r#"(module $everything
  (import "env" "log" (func $log (param i32)))
  (import "env" "base" (global $base i32))
  (memory (export "memory") 1)
  (table (export "table") 4 funcref)
  (global $__stack_pointer (mut i32) (i32.const 65536))
  (global $ref funcref (ref.func $hidden))
  (func $add (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
  (func $hidden (param i64) (result i64) local.get 0 i64.const 1 i64.add)
  (func $inner (param i32) (result i32) local.get 0 call $log local.get 0 i32.load offset=8)
  (func (export "trap") (result i32) unreachable)
  (func $start i32.const 1 call $log)
  (start $start)
  (elem (i32.const 1) $add $inner)
  (data (i32.const 1024) "hello")
  (data (i32.const 1029) " world")
  (data $passive "kept"))"#;

fn position(artifact: &Artifact, name: &str) -> u32 {
    match artifact.module.export(name) {
        Some(ExternIndex::Func(function)) => function,
        other => panic!("`{name}` is {other:?}"),
    }
}

#[test]
fn metadata_comes_back() {
    let (file, artifact) = artifact(MODULE);
    let module = &artifact.module;
    assert_eq!(module.name.as_deref(), Some("everything"));
    assert_eq!(module.imports.len(), 2);
    assert_eq!(module.functions.len(), 6);
    assert_eq!(module.start, Some(5));
    assert_eq!(module.stack_pointer, Some(1), "the global is named in the name section");
    assert_eq!(module.escaping, [1, 2, 3, 4, 5], "exported, in a global, in the table, exported, started");
    let entries: Vec<String> = module.entries.iter().map(|&t| module.types[t as usize].to_string()).collect();
    assert_eq!(entries.len(), 5, "{entries:?}");
    assert_eq!(module.global_inits[1].0, [ConstOp::RefFunc(2)]);
    assert_eq!(artifact.data(&file), b"kept", "bytes in the image are not stored twice");
    let names: Vec<_> = (0..6).map(|f| artifact.names(&file).get(f).unwrap_or("-").to_owned()).collect();
    assert_eq!(names, ["log", "add", "hidden", "inner", "trap", "start"]);
}

#[test]
fn functions_are_found_with_their_frames_traps_and_places() {
    let wasm = wat::parse_str(MODULE).unwrap();
    let (file, artifact) = artifact(MODULE);
    let functions = artifact.functions(&file);
    let kinds: Vec<_> = functions.iter().map(|f| (f.kind, f.index)).collect();
    assert_eq!(kinds[..5], [1, 2, 3, 4, 5].map(|index| (FunctionKind::Wasm, index)));
    assert!(kinds[5..].iter().all(|k| k.0 == FunctionKind::Entry), "{kinds:?}");
    let trap = functions.iter().find(|f| f.index == position(&artifact, "trap")).unwrap();
    let code = &file[artifact.text.clone()][trap.start as usize..][..trap.len as usize];
    let at = trap.start + code.windows(2).position(|w| w == [0x0f, 0x0b]).expect("there is an `ud2`") as u32;
    assert_eq!(artifact.traps(&file).find(at), Some(TrapCode::Unreachable));
    let wasm_offset = artifact.addresses(&file).find(at).unwrap() as usize;
    assert_eq!(wasm[wasm_offset], 0x00, "the opcode of `unreachable`");
    assert!((trap.wasm_offset as usize) < wasm_offset);
}

#[test]
fn every_trap_and_call_is_led_back_to_its_instruction() {
    let wat = r#"(module (import "m" "f" (func $f (param i32) (result i32))) (memory 1)
        (func (export "g") (param i32 i32) (result i32)
          local.get 0 i32.load local.get 1 call $f i32.div_u local.get 0 i32.load8_u offset=7 i32.add call $f))"#;
    let wasm = wat::parse_str(wat).unwrap();
    let (file, artifact) = artifact(wat);
    let function = artifact.functions(&file).get(0).unwrap();
    let traps = artifact.traps(&file);
    let opcode = |code| wasm[artifact.addresses(&file).find(code).unwrap() as usize];
    let mut found = Vec::new();
    for code in function.start..function.start + function.len {
        if let Some(trap) = traps.find(code) {
            found.push((trap, opcode(code)));
        }
    }
    found.sort_by_key(|f| f.0 as u8);
    let (load, load8, divide) = (0x28, 0x2d, 0x6e);
    assert_eq!(found[..2], [(TrapCode::MemoryOutOfBounds, load), (TrapCode::MemoryOutOfBounds, load8)]);
    assert!(found.contains(&(TrapCode::IntegerDivideByZero, divide)), "{found:?}");
    assert_eq!(found.last().unwrap().0, TrapCode::StackOverflow);
    // The byte before a return address leads to a call: `call *r8` and its like are `41 ff d0`.
    let code = &file[artifact.text.clone()][function.start as usize..][..function.len as usize];
    let calls: Vec<_> = (2..code.len()).filter(|&i| code[i - 1] == 0xff && code[i] & 0xf8 == 0xd0).collect();
    assert_eq!(calls.len(), 2, "{code:02x?}");
    assert!(calls.iter().all(|&i| opcode(function.start + i as u32) == 0x10));
}

#[test]
fn saved_registers_are_where_the_frame_says() {
    // More values live across a call than there are registers that calls leave alone.
    let (file, artifact) = artifact(
        r#"(module (import "m" "f" (func $f))
          (func (export "g") (param i32 i32 i32 i32 i32) (result i32)
            call $f local.get 0 local.get 1 local.get 2 local.get 3 local.get 4 i32.add i32.sub i32.xor i32.mul))"#,
    );
    let record = artifact.functions(&file).get(0).unwrap();
    let mut saves = record.frame.saves;
    assert!(saves.iter().all(|&n| n > 0), "{:?}", record.frame);
    saves.sort_unstable();
    assert!(saves.windows(2).all(|w| w[0] != w[1]), "each register has a place of its own: {saves:?}");
    let code = &file[artifact.text.clone()];
    let after = record.frame.prologue as usize;
    // The prologue ends with `mov %r15, disp(%rsp)`: REX.WR, 89, and r15's low bits in the middle of ModRM.
    let store = &code[..after][after - 5..];
    assert_eq!((store[0], store[1], store[2] >> 3 & 7), (0x4c, 0x89, 7), "{store:02x?}");
}

#[test]
fn functions_that_only_compute_have_no_frame() {
    let (file, artifact) = artifact(
        r#"(module (import "m" "f" (func $f)) (memory 1)
          (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
          (func (export "early") (param i32) (result i32)
            (if (local.get 0) (then (return (i32.const 5))))
            (loop (br_if 0 (i32.load (local.get 0))))
            (i32.const 6))
          (func (export "calls") call $f)
          (func (export "many") (param i64 i64 i64 i64 i64 i64 i64) (result i64) local.get 6)
          (func (export "looks_like_a_way_out") (result i64) (i64.const 0xc35dec8948))
          (func (export "aligned") (result v128) (v128.const i64x2 1 2))
          (func (export "traps") unreachable)
          (func (export "many_and_no_return") (param i64 i64 i64 i64 i64 i64) (drop (i32.load (i32.wrap_i64 (local.get 5)))) unreachable)
          (func (export "many_floats_and_no_return") (param f32 f32 f32 f32 f32 f32 f32 f32 f32)
            (loop (br_if 0 (f32.eq (local.get 8) (local.get 0)))) unreachable)
          (func (export "as_many_as_registers") (param i64 i64 i64 i64 i64 f32 f32 f32 f32 f32 f32 f32 f32) (result f32) local.get 12))"#,
    );
    const COUNT: usize = 10;
    let functions: Vec<_> = artifact.functions(&file).iter().take(COUNT).collect();
    let frameless: Vec<bool> = functions.iter().map(|function| function.frame.frameless).collect();
    assert_eq!(frameless, [true, true, false, false, false, false, true, false, false, true]);
    let code = |position: usize| {
        &file[artifact.text.clone()][functions[position].start as usize..][..functions[position].len as usize]
    };
    for position in 0..COUNT {
        let sets_up = code(position).starts_with(&[0x55, 0x48, 0x89, 0xe5]);
        assert_ne!(sets_up, frameless[position], "{}", functions[position].index);
    }
    assert!(code(0).windows(1).any(|bytes| bytes == [0xc3]), "it returns");
    assert_eq!(code(1).windows(5).filter(|bytes| *bytes == [0xc3, 0xcc, 0xcc, 0xcc, 0xcc]).count(), 2, "both ways out");
    // Traps are still at their instructions.
    let load = (functions[1].start..functions[1].start + functions[1].len)
        .find(|&at| artifact.traps(&file).find(at) == Some(TrapCode::MemoryOutOfBounds));
    assert!(load.is_some());
}

#[test]
fn the_image_holds_the_leading_segments() {
    let (file, artifact) = artifact(MODULE);
    let image = artifact.module.image.unwrap();
    assert_eq!((image.guest_addr, image.len_bytes), (0, 4096));
    assert_eq!(&file[artifact.image.clone()][1024..1035], b"hello world");
    let in_image: Vec<_> = artifact.module.data.iter().map(|d| d.in_image).collect();
    assert_eq!(in_image, [true, true, false]);
    assert_eq!(artifact.module.data[2].mode, SegmentMode::Passive);
}

/// The image of a module with a memory of one page and these data segments, and which segments are in it.
fn image(segments: &str) -> (Option<Range<u64>>, Vec<bool>) {
    let (_, artifact) = artifact(&format!("(module (import \"m\" \"g\" (global i32)) (memory 1) {segments})"));
    let extent = artifact.module.image.map(|i| i.guest_addr..i.guest_addr + i.len_bytes);
    (extent, artifact.module.data.iter().map(|d| d.in_image).collect())
}

#[test]
fn the_image_ends_at_the_first_segment_whose_place_is_not_known() {
    let (extent, placed) =
        image(r#"(data (i32.const 5000) "a") (data (global.get 0) "b") (data (i32.const 6000) "c")"#);
    assert_eq!((extent, placed), (Some(4096..8192), vec![true, false, false]));
}

#[test]
fn the_image_ends_at_a_segment_that_will_trap() {
    let (extent, placed) = image(r#"(data (i32.const 0) "a") (data (i32.const 65535) "bc") (data (i32.const 0) "d")"#);
    assert_eq!((extent, placed), (Some(0..4096), vec![true, false, false]));
    let (extent, placed) = image(r#"(data (i32.const -1) "") (data (i32.const 0) "d")"#);
    assert_eq!((extent, placed), (None, vec![false, false]), "an empty segment out of bounds traps too");
}

#[test]
fn the_image_reaches_the_last_page() {
    let (extent, placed) = image(r#"(data (i32.const 65535) "a") (data (i32.const 65536) "")"#);
    assert_eq!((extent, placed), (Some(61440..65536), vec![true, true]));
}

#[test]
fn later_segments_overwrite_earlier_ones() {
    let (file, artifact) = artifact(r#"(module (memory 1) (data (i32.const 0) "aaaa") (data (i32.const 1) "bb"))"#);
    assert_eq!(&file[artifact.image][..4], b"abba");
}

#[test]
fn a_sparse_image_is_not_made() {
    let (_, artifact) = artifact(r#"(module (memory 1000) (data (i32.const 0) "a") (data (i32.const 0x3000000) "b"))"#);
    assert_eq!(artifact.module.image, None);
    assert!(artifact.module.data.iter().all(|d| !d.in_image));
}

#[test]
fn an_imported_or_64_bit_memory_has_no_image() {
    for memory in ["(import \"m\" \"m\" (memory 1))", "(memory i64 1)"] {
        let address = if memory.contains("i64") { "i64.const 0" } else { "i32.const 0" };
        let (_, artifact) = artifact(&format!("(module {memory} (data ({address}) \"a\"))"));
        assert_eq!(artifact.module.image, None, "{memory}");
    }
}

#[test]
fn the_stack_pointer_is_found_by_name_or_export_or_setting() {
    let module = r#"(module (global $a (mut i32) (i32.const 0)) (global $b (mut i32) (i32.const 0))
        (export "__stack_pointer" (global $b)))"#;
    assert_eq!(artifact(module).1.module.stack_pointer, Some(1));
    let config = Config { stack_pointer: Some(0), ..Config::default() };
    let file = compile_wat(module, &config).unwrap();
    assert_eq!(Artifact::parse(&file, EM_X86_64).unwrap().module.stack_pointer, Some(0));
    let config = Config { stack_pointer: Some(2), ..Config::default() };
    assert!(matches!(compile_wat(module, &config), Err(CompileError::Config(_))));
    let immutable = r#"(module (global $__stack_pointer i32 (i32.const 0)))"#;
    assert_eq!(artifact(immutable).1.module.stack_pointer, None);
}

#[test]
fn symbols_name_every_function() {
    let (file, artifact) = artifact(MODULE);
    let elf = object::File::parse(file.as_slice()).unwrap();
    let mut symbols: Vec<_> = elf.symbols().filter(|s| s.size() > 0).collect();
    symbols.sort_by_key(ObjectSymbol::address);
    let names: Vec<_> = symbols.iter().map(|s| s.name().unwrap()).collect();
    assert_eq!(names[..5], ["add", "hidden", "inner", "trap", "start"]);
    assert!(names[5..].contains(&"wasmbridge_entry[(i32, i32) -> i32]"), "{names:?}");
    assert_eq!(names.len(), artifact.functions(&file).len());
}

#[test]
fn objdump_shows_named_functions() {
    let Ok(version) = std::process::Command::new("objdump").arg("--version").output() else {
        println!("objdump is not installed: not tested");
        return;
    };
    assert!(version.status.success());
    let path = std::env::temp_dir().join(format!("wasmbridge-objdump-{}.wbm", std::process::id()));
    std::fs::write(&path, artifact(MODULE).0).unwrap();
    let output = std::process::Command::new("objdump").arg("-d").arg(&path).output().unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for name in ["<add>:", "<inner>:", "<wasmbridge_entry[(i32, i32) -> i32]>:"] {
        assert!(text.contains(name), "no {name} in\n{text}");
    }
}

#[test]
fn unwind_information_agrees_with_the_frames() {
    use gimli::{CfaRule, EhFrame, RegisterRule, UnwindContext, UnwindSection, X86_64};
    // Also a function that makes room for more arguments than it has itself.
    let tail_call = format!(
        r#"(module (import "m" "f" (func $f)) (func $g (param {}) (result i32) local.get 11)
          (func (export "tail") (param i32 i32 i32 i32) (result i32) call $f {} (return_call $g)))"#,
        "i32 ".repeat(12),
        "local.get 0 local.get 1 local.get 2 ".repeat(4)
    );
    for module in [MODULE, &tail_call] {
        let (file, artifact) = artifact(module);
        let bytes = &file[artifact.eh_frame.clone()];
        assert_eq!(bytes[bytes.len() - 4..], [0; 4], "it ends with a word of zeros");
        let section = EhFrame::new(bytes, gimli::LittleEndian);
        // Addresses are those of the file: the section and the code keep their distance wherever they are mapped.
        let (start, text) = (artifact.eh_frame.start as u64, artifact.text.start as u64);
        let bases = gimli::BaseAddresses::default().set_eh_frame(start).set_text(text);
        for function in artifact.functions(&file).iter() {
            let last = text + u64::from(function.start + function.len) - 1;
            let fde = section.fde_for_address(&bases, last, EhFrame::cie_from_offset).unwrap();
            assert_eq!((fde.initial_address() - text, fde.len()), (function.start.into(), function.len.into()));
            let mut context = UnwindContext::new();
            let row = fde.unwind_info_for_address(&section, &bases, &mut context, last).unwrap();
            let (register, offset) = if function.frame.frameless { (X86_64::RSP, 8) } else { (X86_64::RBP, 16) };
            assert_eq!(*row.cfa(), CfaRule::RegisterAndOffset { register, offset });
            let registers = [X86_64::RBX, X86_64::R12, X86_64::R13, X86_64::R14, X86_64::R15];
            for (register, words) in registers.into_iter().zip(function.frame.saves) {
                let expected = match words {
                    0 => None,
                    words => Some(RegisterRule::Offset(-16 - 8 * i64::from(words))),
                };
                assert_eq!(row.register(register), expected, "{register:?} of function {}", function.index);
            }
        }
    }
}

#[test]
fn nothing_is_left_to_relocate() {
    let (file, _) = artifact(MODULE);
    let elf = object::File::parse(file.as_slice()).unwrap();
    for section in elf.sections() {
        assert_eq!(section.relocations().count(), 0, "{:?}", section.name());
    }
}

#[test]
fn every_truncation_is_refused() {
    let (file, _) = artifact(MODULE);
    for len in 0..file.len() {
        assert!(Artifact::parse(&file[..len], EM_X86_64).is_err(), "{len} of {} bytes", file.len());
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let (mut file, _) = artifact(MODULE);
    for at in 0..file.len() {
        let bit = 1 << (at % 8);
        file[at] ^= bit;
        assert!(Artifact::parse(&file, EM_X86_64).is_err(), "bit {bit:#x} of byte {at}");
        file[at] ^= bit;
    }
    assert!(Artifact::parse(&file, EM_X86_64).is_ok());
}

#[test]
fn the_artifact_does_not_depend_on_the_number_of_threads() {
    let functions: String = (0..200)
        .map(|i| {
            format!(
                "(func (export \"f{i}\") (param i32) (result i32) local.get 0 i32.const {i} i32.mul call {})",
                i / 2
            )
        })
        .collect();
    let wasm = wat::parse_str(format!("(module {functions})")).unwrap();
    let with = |threads| compile(&wasm, &Config { threads, ..Config::default() }).unwrap();
    let one = with(Some(1));
    for threads in [None, Some(2), Some(7), Some(0)] {
        assert!(with(threads) == one, "{threads:?} threads");
    }
}

#[test]
fn the_error_does_not_depend_on_the_number_of_threads() {
    let functions: String = (0..200).map(|i| if i % 50 == 49 { "(func drop)" } else { "(func)" }).collect();
    let wasm = wat::parse_str(format!("(module {functions})")).unwrap();
    let with = |threads| compile(&wasm, &Config { threads, ..Config::default() }).unwrap_err();
    let one = with(Some(1));
    for _ in 0..20 {
        assert_eq!(with(Some(4)), one);
    }
}

#[test]
fn progress_counts_to_the_end() {
    let wasm = wat::parse_str(MODULE).unwrap();
    let seen = std::sync::Mutex::new(Vec::new());
    compile_with_progress(&wasm, &Config::default(), &|done, total| seen.lock().unwrap().push((done, total))).unwrap();
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (1..=10).map(|done| (done, 10)).collect::<Vec<_>>());
}

#[test]
fn the_target_is_recorded() {
    let config =
        Config { opt_level: OptLevel::None, cpu: Cpu::Native, memory_reservation: 64 << 20, ..Config::default() };
    let file = compile_wat(MODULE, &config).unwrap();
    let target = Artifact::parse(&file, EM_X86_64).unwrap().module.target;
    assert_eq!(target.opt_level, "none");
    assert_eq!(target.checked_bytes(), Some((64 << 20) - (64 << 10)));
    assert!(target.cpu_features.iter().any(|f| f == "has_sse3"), "{:?}", target.cpu_features);
}

#[test]
fn an_empty_module_is_an_artifact() {
    let (file, artifact) = artifact("(module)");
    assert!(artifact.functions(&file).is_empty());
    assert_eq!(artifact.module.image, None);
}
