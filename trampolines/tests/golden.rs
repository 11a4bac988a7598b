//! The code of a dozen shapes, as it is and as it was when somebody last looked at it.
//!
//! Each file in `golden/` begins with the direction, the prototype and what is to be seen in the code, and goes on with the output that
//! blessing rewrites. A new file needs only its first lines.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use wasmbridge_trampolines::{DirectShape, ShapeCompiler, ShapeKind, Signature};

const BLESS: &str = "WASMBRIDGE_BLESS";
const SEPARATOR: &str = ";; ---- output ----\n";

#[test]
fn shapes_are_what_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut compiler = ShapeCompiler::new().unwrap().with_listings();
    let changed: Vec<String> = files.iter().filter_map(|file| difference(file, &mut compiler)).collect();
    assert!(
        changed.is_empty(),
        "{}\nif this is as it should be: {BLESS}=1 cargo test -p wasmbridge-trampolines",
        changed.join("\n")
    );
}

/// What has changed, unless it was blessed.
fn difference(file: &Path, compiler: &mut ShapeCompiler) -> Option<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let (head, expected) = text.split_once(SEPARATOR).unwrap_or((&text, ""));
    let actual = output(head, compiler);
    if actual == expected {
        return None;
    }
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(file, format!("{head}{SEPARATOR}{actual}")).unwrap();
        return None;
    }
    Some(format!("{}\n{}", file.display(), diff(expected, &actual)))
}

fn output(head: &str, compiler: &mut ShapeCompiler) -> String {
    let first = head.lines().next().unwrap().trim_start_matches(";; ");
    let (kind, prototype) =
        first.split_once(": ").expect("`;; callback: prototype`, `;; thunk: prototype` or `;; direct: prototype`");
    let signature: Signature = prototype.parse().unwrap_or_else(|error| panic!("{error}"));
    let shape = match kind {
        "callback" => compiler.callback(&signature).unwrap(),
        "thunk" => compiler.thunk(&signature).unwrap(),
        "direct" => match compiler.direct(&signature).unwrap() {
            DirectShape::Code(shape) => *shape,
            DirectShape::Itself => return format!("signature: {signature}\nthe C function itself\n"),
            DirectShape::Thunk => panic!("the signature has only a thunk"),
        },
        other => panic!("{other} is neither callback nor thunk nor direct"),
    };
    let mut out = format!("signature: {signature} = {}\n", signature.wasm_type());
    writeln!(out, "bytes: {}", shape.code.len()).unwrap();
    writeln!(out, "frame: {:?}", shape.frame).unwrap();
    writeln!(out, "record at: {:?}", shape.record_relocs.iter().map(|r| r.offset).collect::<Vec<_>>()).unwrap();
    writeln!(out, "traps: {:?}", shape.traps.iter().map(|t| t.1).collect::<Vec<_>>()).unwrap();
    let listing = shape.listing.unwrap();
    if shape.kind == ShapeKind::Direct {
        writeln!(out, "\n{}", listing.fast.trim_end()).unwrap();
        return out;
    }
    if !listing.fast.is_empty() {
        writeln!(out, "\nfast entry, {} instructions:\n{}", listing.fast.lines().count(), listing.fast.trim_end())
            .unwrap();
    }
    writeln!(out, "\n{}\n{}", listing.clif, listing.assembly.trim_end()).unwrap();
    out
}

/// The lines that differ, after those that are alike at the beginning and before those that are alike at the end.
fn diff(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same_start..], &new[same_start..]);
    let same_end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut out = format!("  after {same_start} lines that are alike:\n");
    for line in &old[..old.len() - same_end] {
        writeln!(out, "- {line}").unwrap();
    }
    for line in &new[..new.len() - same_end] {
        writeln!(out, "+ {line}").unwrap();
    }
    out
}
