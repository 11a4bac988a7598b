//! Prototypes that nobody would write: mutated, cut, nested and random ones. None may panic, and what is accepted must print as something that
//! means the same.

use wasmbridge_artifact::vmctx::is_direct;
use wasmbridge_trampolines::{DirectShape, ShapeCompiler, Signature, TypeNames};

/// Good prototypes to begin from.
const SEEDS: &[&str] = &[
    "int compare(const void *a, const void *b)",
    "void qsort(void *base[inout: nmemb * size], size_t nmemb, size_t size, int (*compar[scope: call])(const void *, const void *))",
    "int exec(sqlite3 *db[handle], const char *sql[str], int (*cb)(void *arg[user], int n, char **vals[str: n]), void *arg[user], char **err[out])",
    "const char *name(unsigned long long int x, double m[static 3][4], _Bool b) [str, nonnull];",
    "void (*signal(int sig, void (*func)(int)))(int)",
    "extern __attribute__((nonnull(1))) void *f(struct s *p[in: (n + 1) * 8 - *m], long n, int *m /* c */) // d",
    "struct p { int x : 3, : 0; long y[2]; union { float f; char c; }; } f(struct p a, struct p *b[out], enum e { A, B = 2 } c)",
    "int each(int (*f[scope: call, trap: unwind, default: -1])(int), int n) [unwind]",
    "int (*)(short, unsigned char, float, int64_t [], void (*[scope: until g])(void))",
    "long f(long *v[inout: n, valid: return - *k], int n, int *k[out], char **s[in str: NULL, nullable], db **d[out handle], void **u[out user: 2])",
    "int f(int op, const char *m[format], ...)",
    "void *(*f(void *o[user], unsigned n, char **p[out in: n, nullable], size_t *k[out]))(long n) [inout: n * 2, nullable]",
    "struct { long x; } *f(int n, const char **p[out inout: return + *k], int *k) [in: n]",
    "int f(int n, va_list ap[varargs: int, char *s[str], double (*g)(int, ...[varargs: long *p[in: 2]]), int *v[out: n]], float _Complex z)",
];

/// Words and characters that mean something.
const PIECES: &[&str] = &[
    "{",
    "}",
    "struct {",
    "(",
    ")",
    "[",
    "]",
    "*",
    ",",
    ";",
    ":",
    "+",
    "-",
    "...",
    "int",
    "void",
    "const",
    "unsigned",
    "long",
    "struct s",
    "char",
    "in",
    "out",
    "str",
    "user",
    "handle",
    "scope",
    "until",
    "NULL",
    "nullable",
    "valid:",
    "format",
    "varargs: int,",
    "va_list",
    "_Complex",
    "return",
    "static",
    "n",
    "0x7f",
    "18446744073709551615",
    "\"",
    "/*",
    "//",
    "\n",
    "\\",
    "é",
    "\0",
    "__attribute__",
    "typedef",
];

/// Pseudo-random numbers that are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }

    /// A place between two characters.
    fn place(&mut self, text: &str) -> usize {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        places[self.below(places.len())]
    }
}

/// Parses, and if that works: prints, and parses what was printed.
fn try_one(text: &str) -> Option<Signature> {
    match Signature::parse(text) {
        Ok(signature) => {
            let canonical = signature.to_string();
            let again = Signature::parse(&canonical).unwrap_or_else(|error| panic!("{text:?} prints as\n{error}"));
            assert_eq!(again, signature, "{text:?} prints as {canonical}");
            assert_eq!(again.to_string(), canonical);
            Some(signature)
        }
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1, "{text:?}");
            assert!(error.to_string().ends_with('^'), "{text:?}");
            None
        }
    }
}

#[test]
fn mutated_prototypes_do_not_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for round in 0..30_000 {
        let mut text = SEEDS[round % SEEDS.len()].to_owned();
        for _ in 0..=random.below(2) {
            let (a, b) = (random.place(&text), random.place(&text));
            let piece = PIECES[random.below(PIECES.len())];
            match random.below(4) {
                0 => text.insert_str(a, piece),
                1 => text.replace_range(a.min(b)..text.floor_char_boundary(a.max(b).min(a.min(b) + 12)), ""),
                2 => text.truncate(a),
                _ => text = [&text[..a], &text[a.min(b)..a.max(b)], &text[a..]].concat(),
            }
        }
        accepted += usize::from(try_one(&text).is_some());
    }
    assert!(accepted > 1000, "only {accepted} were accepted: the mutations are too wild to test what is accepted");
}

#[test]
fn random_words_do_not_panic() {
    let mut random = Random(1);
    for _ in 0..20_000 {
        let words = (0..random.below(30)).map(|_| PIECES[random.below(PIECES.len())]);
        let text = words.collect::<Vec<_>>().join(" ");
        try_one(&format!("int f({text}"));
        let _ = TypeNames::new().define("t", &text);
    }
}

#[test]
fn deep_nesting_and_long_lists_end_in_an_error() {
    for (text, message) in [
        (format!("int {}f{}(int)", "(".repeat(100_000), ")".repeat(100_000)), "nested more than"),
        (format!("int f({}int{})", "int (*)(".repeat(100_000), ")".repeat(100_000)), "nested more than"),
        (format!("int f(void {}p)", "*".repeat(100_000)), "nested more than"),
        (format!("int f(int p{})", "[1]".repeat(100_000)), "nested more than"),
        (format!("int f(void *p[in: {}n{}], int n)", "(".repeat(100_000), ")".repeat(100_000)), "nested more than"),
        (format!("int f(void *p[in: n{}], int n)", " + n".repeat(100_000)), "operators"),
        (format!("int f(void *p[in: n{}], int n)", " * n".repeat(100_000)), "operators"),
        (format!("int f(int{})", ", int".repeat(100_000)), "parameters"),
    ] {
        let error = Signature::parse(&text).unwrap_err().problem.to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn what_is_accepted_compiles() {
    let mut random = Random(77);
    let mut compiler = ShapeCompiler::new().unwrap();
    let values = [
        "_Bool",
        "char",
        "unsigned short",
        "int",
        "long",
        "size_t",
        "long long",
        "float",
        "double",
        "void *",
        "int *p[nonnull]",
        "void *[user]",
        "const char *[str]",
        "FILE *[handle]",
        "double (*)[9]",
        "void (*)(int)",
        "void *[in: 8]",
        "long *[inout]",
        "char **[out str: 3]",
        "double _Complex",
    ];
    let results = ["void", "_Bool", "short", "unsigned", "long", "size_t", "int64_t", "float", "double", "char *"];
    for _ in 0..150 {
        let params: Vec<_> = (0..random.below(21)).map(|_| values[random.below(values.len())]).collect();
        let text = format!("{} f({})", results[random.below(results.len())], params.join(", "));
        let signature = try_one(&text).unwrap_or_else(|| panic!("{text}"));
        let mut shapes = vec![compiler.callback(&signature), compiler.thunk(&signature)];
        if is_direct(&signature.wasm_type())
            && let DirectShape::Code(shape) = compiler.direct(&signature).unwrap()
        {
            shapes.push(Ok(*shape));
        }
        for shape in shapes {
            let shape = shape.unwrap_or_else(|error| panic!("{error}"));
            let inside = |offset: u32| (offset as usize) + 4 <= shape.code.len();
            assert!(shape.record_relocs.iter().all(|reloc| inside(reloc.offset)), "{text}");
            assert!(shape.traps.is_sorted_by(|a, b| a.0 < b.0), "{text}");
        }
    }
}

#[test]
fn the_largest_signature_compiles() {
    let mut compiler = ShapeCompiler::new().unwrap();
    let params = vec!["void *"; 255].join(", ");
    let signature = Signature::parse(&format!("int f({params})")).unwrap();
    compiler.callback(&signature).unwrap();
    compiler.thunk(&signature).unwrap();
}

/// The manual's examples: what its blocks of C hold, up to each `;` at a line's end, and the last column of its tables.
#[test]
fn the_manual_is_right() {
    let manual = include_str!("../../docs/prototypes.md");
    let mut examples: Vec<String> = Vec::new();
    for block in manual.split("```c\n").skip(1) {
        let block = block.split("```").next().unwrap();
        examples.extend(block.split_inclusive(";\n").map(str::to_owned));
    }
    for row in manual.lines().filter(|line| line.starts_with('|') && line.ends_with("` |")) {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        examples.extend(cell.split("`, `").map(|example| example.trim_matches('`').to_owned()));
    }
    assert!(examples.len() > 30, "the examples are found: {examples:#?}");
    for example in examples {
        Signature::parse(&example).unwrap_or_else(|error| panic!("{example}\n{error}"));
    }
    let errors = manual.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let lines: Vec<&str> = errors.lines().collect();
    for error in lines.chunks(3) {
        let found = Signature::parse(error[1].trim()).unwrap_err().to_string();
        assert_eq!(found, error.join("\n"));
    }
}

#[test]
fn policies_are_said_of_function_pointers() {
    for text in [
        "void f(int (*)(void))",
        "void f(int (*[trap: abort])(void))",
        "void f(int (*[scope: call, trap: unwind, default: -1])(void)) [unwind]",
        "int f(int (*[trap: return, pending: default, thread: refuse, default: 7])(void)) [unwind]",
        "char *f(void (*[thread: refuse])(void)) [str][unwind]",
        "void f(int (*[pending: run, thread: wait])(void), int (*[thread: wait 250, default: 3])(void))",
        "void f(void (*[thread: queue])(const char *s[str], const int *v[in: n], int n, void *p, void *q[user], void *h[handle], void (*g)(void)))",
    ] {
        let signature: Signature = text.parse().unwrap();
        let printed = signature.to_string();
        assert_eq!(printed.parse::<Signature>().unwrap(), signature, "{printed}");
    }
    let unwind: Signature = "int f(void) [unwind]".parse().unwrap();
    assert!(unwind.unwind && unwind != "int f(void)".parse().unwrap());
    // A word of these is an annotation's only where a colon follows.
    assert!("int f(int thread, int a[thread])".parse::<Signature>().is_ok());
    for (text, expected) in [
        ("void f(int n[trap: abort])", "for pointers"),
        ("void f(void *p[trap: abort])", "for function pointers"),
        ("void f(void (*g[trap: retry])(void))", "`return`, `abort` or `unwind`"),
        ("void f(void (*g[pending: wait])(void))", "`default` or `run`"),
        ("void f(void (*g[thread: wait 0])(void))", "milliseconds"),
        ("void f(void (*g[thread: later])(void))", "`refuse`, `wait` or `queue`"),
        (
            "void f(void (*g[thread: queue])(int n, int *v[inout: n]))",
            "parameter 2 (`v`) cannot be kept until the call is made: its caller waits",
        ),
        (
            "void f(void (*g[thread: queue])(struct { int a; } s))",
            "parameter 1 (`s`) cannot be kept until the call is made: it is a struct",
        ),
        ("void f(void (*g[thread: queue])(int, ...[varargs: int]))", "variable arguments are the caller's"),
        ("void f(void (*g[default: 1])(void))", "return a number or a pointer"),
        ("void f(int (*g[default: x])(void))", "an integer"),
        ("void f(int (*g[default: 9223372036854775808])(void))", "fits 64 bits"),
        ("void f(void (*g[trap: abort, trap: return])(void))", "said twice"),
        ("void f(void (*g[unwind])(void))", "after its parameters"),
        ("void f(void *p[unwind])", "after its parameters"),
        ("void f(void) [unwind, leaf]", "never left by unwinding"),
    ] {
        let error = text.parse::<Signature>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
