//! The header is made of the sources' documentation, and checked in: here it is made and compared.

use std::fs;
use std::path::Path;

/// In the header's order.
const SOURCES: [&str; 13] = [
    "value.rs",
    "error.rs",
    "engine.rs",
    "module.rs",
    "linker.rs",
    "instance.rs",
    "globals.rs",
    "exception.rs",
    "thread.rs",
    "handles.rs",
    "window.rs",
    "region.rs",
    "wasi.rs",
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn generate() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let manual: String =
        read("src/manual.txt").lines().map(|line| format!(" * {line}").trim_end().to_owned() + "\n").collect();
    let config = cbindgen::Config {
        language: cbindgen::Language::C,
        cpp_compat: true,
        header: Some(format!("/*\n{manual} */")),
        autogen_warning: Some("/* Made by `make header`: edit the Rust sources of ffi/ instead. */".to_owned()),
        include_guard: Some("WASMBRIDGE_H".to_owned()),
        no_includes: true,
        sys_includes: vec!["stdbool.h".to_owned(), "stddef.h".to_owned(), "stdint.h".to_owned()],
        after_includes: Some(format!(
            "\n/* The version that this header is of; wb_version() is that of the library. */\n#define WB_VERSION \"{version}\""
        )),
        style: cbindgen::Style::Type,
        usize_is_size_t: true,
        line_length: 110,
        tab_width: 4,
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        ..cbindgen::Config::default()
    };
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(source));
    }
    let mut header = Vec::new();
    builder.generate().expect("the sources are what cbindgen takes").write(&mut header);
    let header = with_tags(&without_safety(&String::from_utf8(header).unwrap()));
    // Before the end of the include guard.
    let end = header.rfind("\n#endif").expect("there is an include guard");
    format!("{}\n{}{}", &header[..end], read("src/trailer.h"), &header[end..])
}

/// Leaves the sections `# Safety` out: they are Rust's words for what the manual at the top of the header says once for all functions.
/// A section is the last of its comment.
fn without_safety(header: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut skipping = false;
    for line in header.lines() {
        match line.trim() {
            "* # Safety" => {
                skipping = true;
                // The empty line of comment before the section goes, too.
                kept.pop_if(|last| last.trim() == "*");
            }
            "*/" => skipping = false,
            _ => {}
        }
        if !skipping {
            kept.push(line.trim_end());
        }
    }
    kept.join("\n") + "\n"
}

/// Gives structures, unions and enumerations their names as tags, too, so that they can be declared without this header.
fn with_tags(header: &str) -> String {
    let mut lines: Vec<String> = header.lines().map(str::to_owned).collect();
    let mut open = None;
    for i in 0..lines.len() {
        if lines[i].starts_with("typedef") && lines[i].ends_with(" {") {
            open = Some(i);
        } else if let Some(name) = lines[i].strip_prefix("} ").and_then(|rest| rest.strip_suffix(';')) {
            let name = name.to_owned();
            let open = open.take().expect("what ends has begun");
            lines[open] = lines[open].replace('{', &format!("{name} {{"));
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_header_is_that_of_the_sources() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/wasmbridge.h");
    let (made, found) = (generate(), fs::read_to_string(&path).unwrap_or_default());
    if made == found {
        return;
    }
    if std::env::var_os("WASMBRIDGE_BLESS").is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    let (number, (made, found)) =
        made.lines().zip(found.lines()).enumerate().find(|(_, (a, b))| a != b).unwrap_or((0, ("", "")));
    panic!(
        "ffi/include/wasmbridge.h is not what the sources say: run `make header`\nline {}\n  in the file: {found}\n  expected:    {made}",
        number + 1
    );
}

#[test]
fn every_function_is_documented() {
    let header = generate();
    let lines: Vec<&str> = header.lines().collect();
    let mut count = 0;
    for (i, line) in lines.iter().enumerate() {
        let declares =
            !line.starts_with([' ', '/', '#']) && !line.starts_with("typedef") && !line.starts_with("static");
        if declares && line.contains("wb_") && line.contains('(') {
            count += 1;
            assert_eq!(lines[i - 1], " */", "no documentation: {line}");
        }
    }
    assert!(count > 25, "only {count} functions found");
}
