//! Golden files: small modules whose CLIF or assembly shows one property each.
//!
//! A file of `tests/golden` begins with `;; test: clif` or `;; test: asm` and settings, says which property it shows, and ends with
//! the output. `WASMBRIDGE_BLESS=1 cargo test -p wasmbridge-compiler --test golden` writes the outputs anew: read the diff.

use std::fs;
use std::path::Path;
use wasmbridge_compiler::{Config, OptLevel, disassemble, emit_clif};

const BLESS: &str = "WASMBRIDGE_BLESS";
const MARK: &str = ";; ---- output ----\n";

/// The output that the first line's settings ask for.
fn output(first_line: &str, wasm: &[u8]) -> Result<String, String> {
    let settings = first_line.strip_prefix(";; test: ").ok_or("the first line must begin with `;; test: `")?;
    let mut words = settings.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let mut config = Config { verify: true, ..Config::default() };
    for setting in words {
        match setting.split_once('=') {
            Some(("opt", "none")) => config.opt_level = OptLevel::None,
            Some(("reservation", bytes)) => {
                config.memory_reservation = bytes.parse().map_err(|_| format!("`{bytes}` is not a number of bytes"))?;
            }
            None if setting == "deterministic" => config.deterministic = true,
            Some(("spectre", "off")) => config.spectre_mitigations = false,
            _ => return Err(format!("unknown setting `{setting}`")),
        }
    }
    match kind {
        "clif" => emit_clif(wasm, &config),
        "asm" => disassemble(wasm, &config),
        other => return Err(format!("`{other}` is neither `clif` nor `asm`")),
    }
    .map_err(|e| e.to_string())
}

/// The lines that differ, with a line before.
fn diff(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same_start = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let rest = expected.len().min(found.len()) - same_start;
    let same_end = expected.iter().rev().zip(found.iter().rev()).take_while(|(a, b)| a == b).count().min(rest);
    let lines = |sign: char, lines: &[&str]| {
        lines[same_start..lines.len() - same_end].iter().map(|l| format!("{sign} {l}\n")).collect::<String>()
    };
    format!("@@ line {}\n{}{}", same_start + 1, lines('-', &expected), lines('+', &found))
}

fn check(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let (source, expected) = text.split_once(MARK).unwrap_or((&text, ""));
    let wasm = wat::parse_str(source).map_err(|e| e.to_string())?;
    let output = output(source.lines().next().unwrap_or_default(), &wasm)?;
    let found: String = output.lines().map(|line| format!(";; {line}").trim_end().to_owned() + "\n").collect();
    if found == expected {
        return Ok(());
    }
    if std::env::var_os(BLESS).is_some() {
        let end = if source.ends_with('\n') { "" } else { "\n" };
        return fs::write(path, format!("{source}{end}{MARK}{found}")).map_err(|e| e.to_string());
    }
    Err(diff(expected, &found))
}

#[test]
fn outputs_are_as_blessed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "only {} golden files", files.len());
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failures: Vec<_> =
        files.iter().filter_map(|path| check(path).err().map(|e| format!("{}: {e}", name(path)))).collect();
    assert!(
        failures.is_empty(),
        "{}\n{} of {} differ; if that is intended, run again with {BLESS}=1 and read the diff",
        failures.join("\n"),
        failures.len(),
        files.len()
    );
}
