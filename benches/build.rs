//! Compiles the guests: `guest.c` for both sides, and one that is large.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=guest.c");
    cc::Build::new().file("guest.c").opt_level(2).compile("guest");
    wasm("guest.c".as_ref(), "guest.wasm", &[]);
    // What other runtimes are given imports one function only.
    wasm("guest.c".as_ref(), "peers.wasm", &["-DPEERS"]);
    let large = out("large.c");
    std::fs::write(&large, large_app()).expect("OUT_DIR can be written to");
    wasm(&large, "large.wasm", &[]);
}

fn out(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(name)
}

fn wasm(source: &Path, name: &str, options: &[&str]) {
    let status = Command::new("clang-19")
        .args(["--target=wasm32-wasi", "-O2", "-nostdlib", "-Wl,--no-entry", "-Wl,--allow-undefined"])
        .args(["-Wl,--initial-memory=16777216", "-o"])
        .arg(out(name))
        .args(options)
        .arg(source)
        .status()
        .expect("clang-19 is needed to compile the guests: `make setup` installs it");
    assert!(status.success(), "clang-19 could not compile {}", source.display());
}

/// The functions of the large app.
const FUNCTIONS: usize = 1200;

/// An app of the size of a small interpreter, whose artifact has about a megabyte: functions that are called through a table, and 100 KB of data.
fn large_app() -> String {
    let mut text = String::from(
        r#"struct node { struct node *next; int key, value; };
static char text[100000] = "a text";
"#,
    );
    for n in 0..FUNCTIONS {
        // With loops, branches and divisions; `n` makes each one another function.
        writeln!(
            text,
            r#"static int f{n}(struct node *list, int key) {{
    int sum = {n};
    for (struct node *p = list; p != 0; p = p->next) {{
        switch ((p->key ^ {n}) & 7) {{
        case 0: sum += p->value * ({n} + 3); break;
        case 1: sum ^= p->value >> ({n} & 15); break;
        case 2: sum -= key / ((p->value | 1) + {n}); break;
        case 3: p->value = sum + {n}; break;
        case 5: sum += p->next != 0 ? p->next->value : {n}; break;
        case 6: p->key += sum & {n}; break;
        default: sum = (sum << 3) - {n};
        }}
        if (p->key == key)
            return sum + text[(unsigned)(sum + {n}) % sizeof text];
    }}
    return sum;
}}"#
        )
        .expect("a text can be written to");
    }
    let names: String = (0..FUNCTIONS).map(|n| format!("f{n}, ")).collect();
    write!(
        text,
        r#"static int (*const functions[])(struct node *, int) = {{ {names} }};
__attribute__((export_name("large"))) int large(unsigned function, struct node *list, int key) {{
    text[function % sizeof text] = 1;
    return functions[function % {FUNCTIONS}](list, key);
}}
"#
    )
    .expect("a text can be written to");
    text
}
