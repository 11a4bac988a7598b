//! Structs and unions: what is parsed, how it is laid out, and what is refused.

use super::*;

/// The struct or union that a function gets as its first parameter.
fn record(text: &str) -> Arc<Record> {
    let text = format!("void f({text} a)");
    let signature = Signature::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let again = Signature::parse(&signature.to_string()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(again, signature, "{text} prints as {signature}");
    match &signature.params[0].crossing {
        Crossing::Struct(record) => record.clone(),
        other => panic!("{text}: {other:?}"),
    }
}

/// Size and alignment in C and in the guest, and each member's bits from the start on both sides.
#[track_caller]
fn check(text: &str, native: (u32, u32), guest: (u32, u32), offsets: &[(u32, u32)]) {
    let record = record(text);
    let layout = |layout: Layout| (layout.size, layout.align);
    assert_eq!((layout(record.native), layout(record.guest)), (native, guest), "{text}");
    let found: Vec<_> = record.members.iter().map(|member| (member.native_bit, member.guest_bit)).collect();
    assert_eq!(found, offsets, "{text}");
}

#[test]
fn members_are_laid_out_for_both_sides() {
    check("struct { char c; int n; }", (8, 4), (8, 4), &[(0, 0), (32, 32)]);
    check("struct { int n; char c; }", (8, 4), (8, 4), &[(0, 0), (32, 32)]);
    check("struct { char c; long n; void *p; }", (24, 8), (12, 4), &[(0, 0), (64, 32), (128, 64)]);
    check("struct { char c; double d; }", (16, 8), (16, 8), &[(0, 0), (64, 64)]);
    check("struct { short s[3]; struct { char c; } t[2]; }", (8, 2), (8, 2), &[(0, 0), (48, 48)]);
    check("union { char c[5]; int n; }", (8, 4), (8, 4), &[(0, 0), (0, 0)]);
    check("struct { int n; struct { long a; char b; }; }", (24, 8), (12, 4), &[(0, 0), (64, 32)]);
    check("struct { char c; enum { A, B = 4 } e; }", (8, 4), (8, 4), &[(0, 0), (32, 32)]);
}

#[test]
fn bit_fields_do_not_cross_boundaries_of_their_type() {
    check("struct { int a : 3, b : 29; }", (4, 4), (4, 4), &[(0, 0), (3, 3)]);
    check("struct { int a : 3, b : 30; }", (8, 4), (8, 4), &[(0, 0), (32, 32)]);
    check("struct { char c; int b : 20; }", (4, 4), (4, 4), &[(0, 0), (8, 8)]);
    check("struct { short a : 9; char b : 7, c : 4; }", (4, 2), (4, 2), &[(0, 0), (9, 9), (16, 16)]);
    check("struct { char a; int : 0; char b; }", (5, 1), (5, 1), &[(0, 0), (32, 32), (32, 32)]);
    check("struct { char a; int : 3; char b; }", (3, 1), (3, 1), &[(0, 0), (8, 8), (16, 16)]);
    check("struct { long a : 20; unsigned b : 20; }", (8, 8), (8, 4), &[(0, 0), (32, 32)]);
    check("struct { long a : 20; long b : 20; }", (8, 8), (8, 4), &[(0, 0), (20, 32)]);
    check("struct { _Bool a : 1, b : 1; long long c : 60; }", (8, 8), (8, 8), &[(0, 0), (1, 1), (2, 2)]);
    check("union { int a : 3; char b; }", (4, 4), (4, 4), &[(0, 0), (0, 0)]);
}

#[test]
fn a_struct_with_one_scalar_is_that_scalar_in_wasm() {
    let wasm = |text: &str| {
        let ty = Signature::parse(&format!("{text} f({text})")).unwrap_or_else(|error| panic!("{error}")).wasm_type();
        ty.to_string()
    };
    assert_eq!(wasm("struct { char c; }"), "(i32) -> i32");
    assert_eq!(wasm("struct { double d[1]; }"), "(f64) -> f64");
    assert_eq!(wasm("struct { struct { float f; } s; }"), "(f32) -> f32");
    assert_eq!(wasm("union { long long n; }"), "(i64) -> i64");
    assert_eq!(wasm("struct { void *p; }"), "(i32) -> i32");
    assert_eq!(wasm("struct { int : 4; int n : 3; }"), "(i32) -> i32");
    assert_eq!(wasm("struct { int : 32; int n; }"), "(i32, i32) -> ()", "there is padding before `n`");
    assert_eq!(wasm("struct { int n : 3; }"), "(i32) -> i32");
    assert_eq!(wasm("struct { int a, b; }"), "(i32, i32) -> ()");
    assert_eq!(wasm("struct { int a[2]; }"), "(i32, i32) -> ()");
    assert_eq!(wasm("union { int a; float b; }"), "(i32, i32) -> ()");
}

#[test]
fn tags_and_names_stand_for_the_same_struct() {
    let mut names = TypeNames::new();
    names.define("point", "typedef struct point { int x, y; } point;").unwrap();
    names.define("pair", "struct { point a; struct point b; }").unwrap();
    names.define("node", "struct node { struct node *next; const char *s[str]; void *u[user]; }").unwrap();
    let expected = Signature::parse("void f(struct { int a; int b; } p)").unwrap();
    for text in ["void f(point p)", "void f(struct point)", "void g(const struct { int u, v; } p)"] {
        assert_eq!(Signature::parse_with(text, &names).unwrap(), expected, "{text}");
    }
    let text = "pair f(struct local { pair p[2]; } a, struct local b)";
    let signature = Signature::parse_with(text, &names).unwrap();
    assert_eq!(signature.params[0], signature.params[1]);
    assert_eq!(
        Signature::parse_with("void f(node n)", &names).unwrap().to_string(),
        "void (struct { node *m1; char *m2[str]; void *m3[user]; })"
    );
    let handle = Signature::parse_with("void f(point *p[handle])", &names).unwrap();
    assert_eq!(handle.to_string(), "void (point *[handle])");
}

#[test]
fn a_pointer_to_a_known_struct_knows_its_size() {
    let crossing = |text: &str| Signature::parse(text).unwrap().params[0].crossing.clone();
    match crossing("void f(struct { int x, y; } *p)") {
        Crossing::Pointer { pointee_size, .. } => assert_eq!(pointee_size, 8),
        other => panic!("{other:?}"),
    }
    match crossing("void f(struct { long x; char y; } *p[out])") {
        Crossing::Extent(Extent { element: Element::Converted(element), .. }) => {
            assert_eq!((element.native.size, element.guest.size), (16, 8));
        }
        other => panic!("{other:?}"),
    }
    let error = Signature::parse("void f(struct { long x; } *p)").unwrap_err().to_string();
    assert!(error.contains("memory that holds `long`"), "{error}");
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = Signature::parse(text).expect_err(text).problem.to_string();
    assert!(error.contains(expected), "{text}\n{error}");
}

#[test]
fn what_cannot_be_laid_out_or_crossed_is_refused() {
    for (text, expected) in [
        ("void f(struct { int n[]; } a)", "needs a length"),
        ("void f(struct { int n[0]; } a)", "needs a length"),
        ("void f(struct { int n; } __attribute__((packed)) a)", "attributes of a struct"),
        ("void f(struct __attribute__((packed)) { int n; } a)", "attributes of a struct"),
        ("void f(struct { struct { int n __attribute__((aligned(16))); } b; int c; } a)", "attributes of a struct"),
        ("void f(struct { } a)", "a struct needs a member with a name"),
        ("void f(struct { int : 3; } a)", "a struct needs a member with a name"),
        ("void f(struct { float n : 3; } a)", "a bit-field is an integer"),
        ("void f(struct { long n : 33; } a)", "1 to 32 bits"),
        ("void f(struct { int n : 0; } a)", "1 to 32 bits"),
        ("void f(struct { int; } a)", "it needs a name"),
        ("void f(struct { struct s { int n; }; } a)", "it needs a name"),
        ("void f(struct { struct s b; } a)", "the members of `struct s` are not known"),
        ("void f(struct { void b(int); } a)", "a function cannot be a member"),
        ("void f(struct { void b; } a)", "`void` is not the type of a value"),
        ("void f(struct { int n } a)", "expected `;`"),
        ("void f(struct { int n; a)", "found `)`"),
        ("void f(struct { int n[user]; } a)", "`[user]` is for pointers"),
        ("void f(struct { int n; char *s[in: 3]; } a)", "by value a struct with a pointer that has a count"),
        ("void f(struct { int n; } a[nonnull])", "`[nonnull]` is for pointers"),
        ("void f(struct { long double d; } a)", "`long double` is not supported"),
        ("void f(union { long n; int m; } a)", "a union with a member that differs"),
        ("void f(struct { int : 32; int : 32; int n; } a)", "GCC and clang treat differently"),
        ("void f(struct { float x; int : 4; long long y; } a)", "GCC and clang treat differently"),
        ("void f(struct { char c[2049]; } a)", "more than 2048 bytes by value"),
        ("void f(struct { int n[100000000]; } *a)", "larger than 256 MiB"),
        ("void f(enum e { A, } a, enum { B = } b, enum { C C } c)", "expected `,` or `}`"),
    ] {
        check_error(text, expected);
    }
    let large = "struct { char c[2000]; }";
    check_error(&format!("void f({large}, {large}, {large})"), "together");
}

#[test]
fn what_means_nothing_is_masked() {
    let leaves = |text: &str| record(text).leaves().to_vec();
    let raw = |at: u32, mask: &[u8]| Leaf::Raw { native: at, guest: at, mask: mask.to_vec() };
    assert_eq!(leaves("struct { char c; int n; }"), [raw(0, &[0xff]), raw(4, &[0xff; 4])]);
    assert_eq!(
        leaves("struct { short a, b; struct { int c[2]; } d; }"),
        [raw(0, &[0xff; 2]), raw(2, &[0xff; 2]), raw(4, &[0xff; 8])]
    );
    assert_eq!(leaves("union { char c; struct { short a; int b : 3; }; }"), [raw(0, &[0xff, 0xff, 7, 0])]);
    let [Leaf::Value { native: 8, guest: 4, .. }] = leaves("struct { char c; long n; }")[1..] else { panic!() };
}

#[track_caller]
fn check_canonical(text: &str, expected: &str) {
    let signature = Signature::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let canonical = signature.to_string();
    assert_eq!(canonical, expected, "{text}");
    let again = Signature::parse(&canonical).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(again, signature, "{text}");
    assert_eq!(again.to_string(), canonical);
}

#[test]
fn a_complex_member_is_two() {
    let found = record("struct { char c; double _Complex z; float _Complex w[2]; }");
    assert_eq!((found.native.size, found.guest.size, found.native.align), (40, 40, 8));
}

#[test]
fn structs_behind_pointers_are_converted_where_they_differ() {
    check_canonical("void f(struct { int n; } *p[in])", "void (struct { int m1; } *[in])");
    assert!(matches!(
        Signature::parse("void f(struct { int n; } *p[in])").unwrap().params[0].crossing,
        Crossing::Extent { .. }
    ));
    check_canonical(
        "void f(int n, struct v { int n; long *p[inout: 2 * n]; char **s[str: n]; T **h[handle: 3]; } *v[out: n])",
        "void (int a1, struct { int m1; long *m2[inout: 2 * m1]; char **m3[str: m1]; T **m4[handle: 3]; } *[out: a1])",
    );
    check_canonical("int f(T **p[out handle])", "int (T **[out handle])");
    check_canonical("int f(char **p[inout str: 2], int **v[in])", "int (char **[inout str: 2], int **[in])");
    check_canonical("int f(long (*p)[4][in: 3])", "int (long *[in: 3 * 4])");
    check_canonical(
        "void f(struct s { struct s *next[shadow]; void (*f)(struct s *[shadow, scope: call]); } *s[shadow, scope: until g])",
        "void (struct s { s *m1[shadow]; void (*m2)(s *[shadow, scope: call]); } *[shadow, scope: until g])",
    );
    check_canonical(
        "int f(struct s { long n; } **p[out shadow, scope: forever], t *q[shadow])",
        "int (struct s { long m1; } **[out shadow, scope: forever], t *[shadow])",
    );
    check_canonical(
        "int f(struct { char *name[str]; } *v[out: n, valid: return], int n)",
        "int (struct { char *m1[str]; } *[out: a2, valid: return], int a2)",
    );
    check_canonical("int f(s **v[in shadow: NULL])", "int (s **[in shadow: NULL])");
    check_canonical(
        "void f(struct { char **argv[str: NULL]; } *v[inout, nonnull])",
        "void (struct { char **m1[str: NULL]; } *[inout, nonnull])",
    );
    // One member alone is a struct all the same.
    check_canonical("void f(struct { long n; } *p[in: 2])", "void (struct { long m1; } *[in: 2])");
}

#[test]
fn structs_that_cannot_be_converted_are_refused() {
    for (text, expected) in [
        ("void f(struct s { int n; char *p[in: m]; } *p[in])", "no parameter is called `m` (the parameters: n, p)"),
        ("void f(int m, struct s { int n; char *p[in: m]; } *p[in])", "no parameter is called `m`"),
        ("void f(struct s { int *n; char *p[in: *n]; } *p[in])", "a count in a struct that is behind a pointer"),
        ("void f(struct s { long c[9000]; } *p[in])", "a struct of more than 65536 bytes"),
        ("void f(struct s { union { long n; int m; } u; } *p[inout])", "a union with a member that differs"),
        ("void f(struct s { union { long n; int m; } u; } *p[shadow])", "a union with a member that differs"),
        ("void f(struct { long n; } *p[shadow])", "needs a pointer to a struct with a name"),
        ("void f(void *p[shadow])", "needs a pointer to a struct with a name"),
        ("void f(struct s { long n; } **p[shadow])", "needs a pointer to a struct with a name"),
        ("void f(struct s { long n; } *p[out shadow])", "it needs a pointer to pointers to a struct"),
        ("void f(char *p[out str])", "`[out]` needs a `char **`"),
        ("void f(struct s { long n; } *p[shadow, scope: once])", "has no `scope: once`"),
        ("void f(struct s { int n; char *p[out: n]; } *p[shadow])", "a pointer that is not `[in]`"),
        ("void f(struct s { long *n; } *p[in])", "memory that holds `long`"),
        ("void f(struct s { long n; } s[shadow])", "`[shadow]` is for pointers"),
        ("void f(struct s { struct t { long n; } *p[shadow]; } s)", "by value a struct with a pointer"),
        ("void f(struct s { char **p[str: NULL]; } s)", "by value a struct with a pointer"),
        ("void f(struct s { long n; } *p[in: NULL])", "`[in]` needs an array of pointers"),
    ] {
        check_error(text, expected);
    }
}
