//! Random prototypes in both directions: 300 of them, or as many as `WASMBRIDGE_ABI_PROTOTYPES` says, from the seed
//! `WASMBRIDGE_ABI_SEED` on.

use wasmbridge_abi_tests::random::World;
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
