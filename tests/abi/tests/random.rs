//! Random prototypes in both directions: 300 of them, or as many as `WASMBRIDGE_ABI_PROTOTYPES` says, from the seed
//! `WASMBRIDGE_ABI_SEED` on.

use wasmbridge_abi_tests::random::{Member, SCALARS, Type, World};
use wasmbridge_abi_tests::run;

/// Prototypes that are compiled together.
const TOGETHER: usize = 50;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn every_argument_and_result_arrives() {
    if !run::can_run() {
        eprintln!("gcc or clang-19 is not installed: nothing was tested");
        return;
    }
    let (count, seed) = (setting("WASMBRIDGE_ABI_PROTOTYPES", 300), setting("WASMBRIDGE_ABI_SEED", 1));
    let folder = std::env::temp_dir().join(format!("wasmbridge-abi-{}", std::process::id()));
    let (mut run, mut wrong) = (0, Vec::new());
    for batch in seed..seed + count.div_ceil(TOGETHER as u64) {
        let world = World::new(batch, TOGETHER);
        let optimise = if batch % 2 == 0 { "-O0" } else { "-O2" };
        let (functions, problems) = run::run(&world, &folder.join(batch.to_string()), optimise);
        run += functions;
        wrong.extend(problems.into_iter().map(|problem| format!("seed {batch}: {problem}")));
        if wrong.is_empty() {
            std::fs::remove_dir_all(folder.join(batch.to_string())).unwrap();
        }
    }
    println!("{run} prototypes, each as a callback and as a thunk");
    assert!(wrong.is_empty(), "{} of {run}; the C is in {}\n{}", wrong.len(), folder.display(), wrong.join("\n"));
    std::fs::remove_dir_all(folder).unwrap();
}

/// What there is among the first 300 prototypes.
#[test]
fn every_class_of_type_is_made() {
    let mut count = std::collections::BTreeMap::new();
    for world in (1..=6).map(|seed| World::new(seed, TOGETHER)) {
        let scalar = |ty, what: &str| matches!(ty, Type::Scalar(i) if SCALARS[i].before.contains(what));
        let mut has = |what: &'static str, is_so: bool| *count.entry(what).or_insert(0) += usize::from(is_so);
        for record in &world.records {
            let any = |is_so: fn(&Member) -> bool| record.members.iter().any(is_so);
            has("unions", record.union);
            has("bit-fields", any(|member| member.bits.is_some()));
            has("unnamed bit-fields", any(|member| member.gap.is_some()));
            has("arrays in structs", any(|member| member.len.is_some()));
            has("nested structs", any(|member| matches!(member.ty, Type::Record(_))));
        }
        for function in &world.functions {
            let pointers = || {
                function.params.iter().filter_map(|&ty| match ty {
                    Type::Function(index) => Some(&world.functions[index]),
                    _ => None,
                })
            };
            let values = || function.params.iter().copied().chain(function.result);
            let is_large = |ty| matches!(ty, Type::Record(index) if world.records[index].bytes > 16);
            has("20 parameters", function.params.len() == 20);
            has("complex numbers", values().any(|ty| scalar(ty, "_Complex")));
            has("_Bool", values().any(|ty| scalar(ty, "_Bool")));
            has("structs on the stack", function.params.iter().any(|&ty| is_large(ty)));
            has("results by address", function.result.is_some_and(is_large));
            has("variadic functions", function.varargs.is_some());
            let varargs = || function.varargs.iter().flatten().copied();
            has("structs among variable arguments", varargs().any(|ty| matches!(ty, Type::Record(_))));
            has("large ones", varargs().any(is_large));
            has(
                "results by address of variadic functions",
                function.varargs.is_some() && function.result.is_some_and(is_large),
            );
            has("functions as parameters", pointers().next().is_some());
            has("functions as parameters of these", pointers().any(|inner| inner.calls > 0));
            has("functions as parameters of variadic ones", function.varargs.is_some() && function.calls > 0);
            has("results by address of these", pointers().any(|inner| inner.result.is_some_and(is_large)));
            has("structs as parameters of these", {
                pointers().any(|inner| inner.params.iter().any(|ty| matches!(ty, Type::Record(_))))
            });
        }
    }
    println!("{count:#?}");
    assert!(count.values().all(|&count| count > 0), "{count:#?}");
}
