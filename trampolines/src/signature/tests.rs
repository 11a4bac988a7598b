//! Prototypes and what they mean.

use super::*;

/// The prototype's canonical text and wasm type; also that the canonical text means the same.
fn canonical(text: &str) -> String {
    let signature = Signature::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let canonical = signature.to_string();
    let again = Signature::parse(&canonical).unwrap_or_else(|error| panic!("{text}\nprints as\n{error}"));
    assert_eq!(again, signature, "{text} prints as {canonical}");
    format!("{canonical} = {}", signature.wasm_type())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(canonical(text), expected, "{text}");
}

/// The first line of the error, and the line and column.
#[track_caller]
fn check_error(text: &str, place: (usize, usize), expected: &str) {
    let error = Signature::parse(text).expect_err(text);
    assert_eq!(((error.line, error.column), error.problem.to_string()), (place, expected.to_owned()), "{text}");
}

#[test]
fn integers_in_every_spelling() {
    for (spelling, expected) in [
        ("char", "char = (i32) -> ()"),
        ("signed char", "char = (i32) -> ()"),
        ("char signed", "char = (i32) -> ()"),
        ("unsigned char", "unsigned char = (i32) -> ()"),
        ("short int", "short = (i32) -> ()"),
        ("int unsigned short", "unsigned short = (i32) -> ()"),
        ("int", "int = (i32) -> ()"),
        ("signed", "int = (i32) -> ()"),
        ("unsigned", "unsigned int = (i32) -> ()"),
        ("long", "long = (i32) -> ()"),
        ("long unsigned", "unsigned long = (i32) -> ()"),
        ("int long long signed", "long long = (i64) -> ()"),
        ("unsigned long long int", "unsigned long long = (i64) -> ()"),
        ("long unsigned int long", "unsigned long long = (i64) -> ()"),
        ("_Bool", "_Bool = (i32) -> ()"),
        ("bool", "_Bool = (i32) -> ()"),
        ("enum colour", "int = (i32) -> ()"),
        ("float", "float = (f32) -> ()"),
        ("double", "double = (f64) -> ()"),
        ("size_t", "unsigned long = (i32) -> ()"),
        ("intptr_t", "long = (i32) -> ()"),
        ("uint8_t", "unsigned char = (i32) -> ()"),
        ("int64_t", "long long = (i64) -> ()"),
        ("time_t", "long long = (i64) -> ()"),
        ("wchar_t", "int = (i32) -> ()"),
        ("const volatile int", "int = (i32) -> ()"),
        ("int const", "int = (i32) -> ()"),
    ] {
        let (ty, wasm) = expected.split_once(" = ").unwrap();
        check(&format!("void f({spelling} x)"), &format!("void ({ty}) = {wasm}"));
        check(&format!("void f({spelling})"), &format!("void ({ty}) = {wasm}"));
    }
}

#[test]
fn the_forms_of_a_prototype() {
    let plain = "int (int, int) = (i32, i32) -> i32";
    for text in [
        "int add(int a, int b)",
        "int add(int, int);",
        "int(int, int)",
        "int (*)(int, int)",
        "int (*add)(int a, int b);",
        "int (add)(int, int)",
        "typedef int (*add_fn)(int, int);",
        "extern int add(int a, /* the other */ int b); // as in the header",
        "static inline int add(const int a, register int b)",
        "extern __attribute__((visibility(\"default\"))) int add(int a, int b)",
        "int add(int a, int b) __attribute__((const, nonnull(1, 2)));",
        "int\nadd(\n\tint a,\n\tint b)",
    ] {
        check(text, plain);
    }
    check("void f()", "void (void) = () -> ()");
    check("void f(void)", "void (void) = () -> ()");
}

#[test]
fn pointers() {
    check("int c(const void *a, const void *b)", "int (void *, void *) = (i32, i32) -> i32");
    check("void f(struct point *p, sqlite3 *db)", "void (point *, sqlite3 *) = (i32, i32) -> ()");
    check("double *f(const char *const restrict s)", "double *(char *) = (i32) -> i32");
    check("void f(int a[], int b[8], int c[const 8])", "void (int *, int *, int *) = (i32, i32, i32) -> ()");
    check("void f(int a[static 8])", "void (int (*[nonnull])[8]) = (i32) -> ()");
    check("void f(double m[][4])", "void (double (*)[4]) = (i32) -> ()");
    check("void f(int n, int a[static n])", "void (int, int *) = (i32, i32) -> ()");
    check("void f(int n, int a[n], int b[*])", "void (int, int *, int *) = (i32, i32, i32) -> ()");
    check("void *f(void) [nonnull]", "void *(void) [nonnull] = () -> i32");
}

#[test]
fn what_a_pointer_needs_to_have_behind_it() {
    let size = |text: &str| match &Signature::parse(text).unwrap().params[0].crossing {
        Crossing::Pointer { pointee_size, .. } => *pointee_size,
        other => panic!("{other:?}"),
    };
    assert_eq!(size("void f(void *p)"), 1);
    assert_eq!(size("void f(struct unknown *p)"), 1);
    assert_eq!(size("void f(char p[100])"), 1);
    assert_eq!(size("void f(double *p)"), 8);
    assert_eq!(size("void f(short p[][10])"), 20);
    assert_eq!(size("void f(int p[static 3])"), 12);
    assert_eq!(size("void f(int (*p)[0])"), 1);
}

#[test]
fn function_pointers() {
    check(
        "void qsort(void *base[inout: nmemb * size], size_t nmemb, size_t size, int (*compar)(const void *, const void *))",
        "void (void *[inout: a2 * a3], unsigned long a2, unsigned long a3, int (*)(void *, void *)) = (i32, i32, i32, i32) -> ()",
    );
    check("void f(int cb(int))", "void (int (*)(int)) = (i32) -> ()");
    check("void f(int (*)(void *, int (*)(int)))", "void (int (*)(void *, int (*)(int))) = (i32) -> ()");
    check("void f(int (*cb[scope: call])(int))", "void (int (*[scope: call])(int)) = (i32) -> ()");
    check(
        "void f(void (*cb[scope: until remove_cb, nonnull])(void))",
        "void (void (*[scope: until remove_cb, nonnull])(void)) = (i32) -> ()",
    );
    check("void (*signal(int sig, void (*func)(int)))(int)", "void (*(int, void (*)(int)))(int) = (i32, i32) -> i32");
    check("char *(*get(int))(double) [str]", "char *(*(int))(double) [str] = (i32) -> i32");
}

#[test]
fn annotations() {
    check(
        "int sqlite3_exec(sqlite3 *db[handle], const char *sql[str], \
         int (*cb)(void *arg[user], int n, char **vals[str: n], char **names[str: n]), void *arg[user], char **err[out str])",
        "int (sqlite3 *[handle], char *[str], int (*)(void *[user], int a2, char **[str: a2], char **[str: a2]), \
         void *[user], char **[out str]) = (i32, i32, i32, i32, i32) -> i32",
    );
    check(
        "void f(sqlite3_context *c[handle], int argc, sqlite3_value **argv[handle: argc])",
        "void (sqlite3_context *[handle], int a2, sqlite3_value **[handle: a2]) = (i32, i32, i32) -> ()",
    );
    check("const char *f(int) [str]", "char *(int) [str] = (i32) -> i32");
    check("const char *f(int) [str][nonnull]", "char *(int) [str, nonnull] = (i32) -> i32");
    check("FILE *f(void) [handle]", "FILE *(void) [handle] = () -> i32");
    check(
        "int f(const db *a[handle], const db **b[handle: 2])",
        "int (const db *[handle], const db **[handle: 2]) = (i32, i32) -> i32",
    );
    check(
        "const db *f(const db *a[externref, nonnull], db *b[externref, scope: call]) [externref]",
        "const db *(const db *[externref, nonnull], db *[externref, scope: call]) [externref] = (externref, externref) -> externref",
    );
    check("void f(void *[user])", "void (void *[user]) = (i32) -> ()");
    check("void f(int *a[in: n, nonnull], int n)", "void (int *[in: a2, nonnull], int a2) = (i32, i32) -> ()");
    check(
        "void f(int *a[out: *n], size_t *n[inout: 1])",
        "void (int *[out: *a2], unsigned long *a2[inout: 1]) = (i32, i32) -> ()",
    );
    check("void f(void *user, int in)", "void (void *, int) = (i32, i32) -> ()");
}

/// Whether each element is converted, of the first parameter.
fn is_converted(text: &str) -> bool {
    match &Signature::parse(text).unwrap_or_else(|error| panic!("{error}")).params[0].crossing {
        Crossing::Extent(Extent { element, .. }) => matches!(element, Element::Converted(_)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn extents_are_of_elements() {
    check("int f(sqlite3 **db[out handle])", "int (sqlite3 **[out handle]) = (i32) -> i32");
    check("int f(char **v[in str: n], int n)", "int (char **[str: a2], int a2) = (i32, i32) -> i32");
    check("int f(char **v[in str])", "int (char **[in str]) = (i32) -> i32");
    check("int f(char *v[][4][in: 2])", "int (char **[in: 2 * 4]) = (i32) -> i32");
    check("int f(char **v[str: NULL])", "int (char **[str: NULL]) = (i32) -> i32");
    check("int f(char **v[inout handle: NULL, nonnull])", "int (char **[inout handle: NULL, nonnull]) = (i32) -> i32");
    check("int f(void **v[out user: 3])", "int (void **[out user: 3]) = (i32) -> i32");
    check("int f(int *p[in: 3, nullable])", "int (int *[in: 3, nullable]) = (i32) -> i32");
    check("int f(int *p[nullable])", "int (int *) = (i32) -> i32");
    check("int f(int *p[in: 1, nullable])", "int (int *[in]) = (i32) -> i32");
    check("void f(int (**p[out])(long))", "void (int (**[out])(long)) = (i32) -> ()");
    check(
        "int f(char *p[out: n, valid: return + *k], int n, int *k[out])",
        "int (char *[out: a2, valid: return + *a3], int a2, int *a3[out]) = (i32, i32, i32) -> i32",
    );
    assert!(is_converted("void f(long *v[in: 2])"));
    assert!(is_converted("void f(long (*v)[3][in: 2])"));
    assert!(!is_converted("void f(int (*v)[3][in: 2])"));
    assert!(!is_converted("void f(int *v[in])"));
}

#[test]
fn what_a_function_gives_has_a_length() {
    check(
        "void *alloc(void *opaque[user], unsigned items, unsigned size) [inout: items * size, nullable]",
        "void *(void *[user], unsigned int a2, unsigned int a3) [inout: a2 * a3, nullable] = (i32, i32, i32) -> i32",
    );
    check(
        "unsigned next(void *[user], const unsigned char **piece[out in: return])",
        "unsigned int (void *[user], unsigned char **[out in: return]) = (i32, i32) -> i32",
    );
    check(
        "void f(int **p[out inout: 2 * n, nullable], int n)",
        "void (int **[out inout: 2 * a2, nullable], int a2) = (i32, i32) -> ()",
    );
    check("void f(int **p[out in, nonnull])", "void (int **[out in, nonnull]) = (i32) -> ()");
    // A length behind a pointer is what the function leaves there.
    check("const char *f(long *n[out]) [in: *n]", "char *(long *a1[out]) [in: *a1] = (i32) -> i32");
    check("void f(char **p[out in: *n], int *n)", "void (char **[out in: *a2], int *a2[inout]) = (i32, i32) -> ()");
    // What is converted is copied for whoever gets it.
    check("char **f(void) [str: NULL]", "char **(void) [str: NULL] = () -> i32");
    check("long *f(int n) [in: n]", "long *(int a1) [in: a1] = (i32) -> i32");
    check("struct { long x; } *f(void) [in: 2]", "struct { long m1; } *(void) [in: 2] = () -> i32");
    assert_ne!(Signature::parse("void *f(int n) [in: n]").unwrap(), Signature::parse("void *f(int n) [in]").unwrap());

    let copied = "elements that C and the app lay out differently are copied for whoever gets the result, and nobody would see what is written \
                  to the copy: say `[in: n]`";
    check_error("long *f(int n) [inout: n]", (1, 17), &format!("the result: {copied}"));
    check_error("struct { long x; } *f(void) [out]", (1, 30), &format!("the result: {copied}"));
    check_error("void **f(void) [out in: 3]", (1, 17), &format!("the result: {copied}"));
    check_error(
        "int *f(int n) [out: n, valid: 2]",
        (1, 24),
        "the result: `valid` is of what a function writes where its caller says; of a result, say how long it is",
    );
    check_error("int *f(int n) [in: return]", (1, 20), "the result: the function does not return an integer");
    check_error("int *f(int n) [in: m]", (1, 20), "the result: no parameter is called `m` (the parameters: n)");
    check_error(
        "void f(int **p[out in: return])",
        (1, 24),
        "parameter 1, `p`: the function does not return an integer",
    );
    check_error(
        "int f(int **p[inout in: 2])",
        (1, 15),
        "parameter 1, `p`: `[inout in]`: only a pointer that the function writes, `[out in: n]`, has a length",
    );
    check_error(
        "int f(int *p[out in: 2])",
        (1, 14),
        "parameter 1, `p`: `[out in]` needs a pointer to a pointer, and this is a pointer to `int`",
    );
    check_error(
        "int f(char **p[out in: NULL])",
        (1, 16),
        "parameter 1, `p`: `[out in]` needs a length, and not `NULL`",
    );
    check_error(
        "int f(char **p[out in: 3, valid: 2])",
        (1, 27),
        "parameter 1, `p`: `valid` does not go with `[out in]`: its length is computed after the call anyway",
    );
    check_error(
        "int f(long **p[out in: 3])",
        (1, 16),
        "parameter 1, `p`: `[out in]` of `long`, which has no known size or differs between C and the app, is not supported yet",
    );
    check_error(
        "int f(struct { int n; char **p[out in: n]; } *s[in])",
        (1, 23),
        "member `p` of parameter 1, `s`: an array with `valid`, or of pointers that have a length, in a struct is not supported yet",
    );
}

#[test]
fn copies_that_nobody_knows_the_end_of_are_refused_by_the_direction() {
    let parse = |text: &str| Signature::parse(text).unwrap();
    let long = parse("long *f(int n) [in: n]");
    assert!(long.check_import().is_ok());
    assert!(long.check_callback().unwrap_err().starts_with("the result: C would get a copy"));
    assert!(parse("void *f(int n) [inout: n]").check_callback().is_ok());
    let passed = parse("void g(long *(*f)(int n) [in: n])");
    assert!(passed.check_import().unwrap_err().starts_with("parameter 1, `f`: the result: C would get a copy"));
    assert!(passed.check_callback().is_ok(), "the app gets a function of C's");
}

#[test]
fn what_a_length_is_read_from_is_a_copy() {
    check("void f(const int *n, void *data[out: *n])", "void (int *a1[inout], void *[out: *a1]) = (i32, i32) -> ()");
    assert!(is_converted("void f(const int *n, void *data[out: *n])"));
    assert!(is_converted("void f(int *n[in], void *data[out: *n])"));
    check_error(
        "void f(void *p[out: *n], int *n[out])",
        (1, 26),
        "parameter 2, `n`: a length is read from it before the call, so it is not only `out`: say `[inout]`",
    );
    check_error(
        "void f(void *p[out: *n], int *n[inout: 2])",
        (1, 26),
        "parameter 2, `n`: a length is read from it, so it points to one integer: say `[in]`, `[out]`, `[inout]` or nothing",
    );
}

#[test]
fn variable_arguments() {
    check("int printf(const char *format[format], ...)", "int (char *[format], ...) = (i32, i32) -> i32");
    check(
        "int f(FILE *f[handle], const char *m[format, nonnull], va_list ap)",
        "int (FILE *[handle], char *[format, nonnull], va_list) = (i32, i32, i32) -> i32",
    );
    check("int f(const char *m[format: printf], ...)", "int (char *[format], ...) = (i32, i32) -> i32");
    check(
        "int f(int op, ...[varargs: int, double, void *p[user]])",
        "int (int, ...[varargs: int, double, void *[user]]) = (i32, i32) -> i32",
    );
    check(
        "int f(int k, va_list ap[varargs: int *v[out: n * k, valid: return], int n], char c)",
        "int (int a1, va_list [varargs: int *[out: a5 * a1, valid: return], int a5], char) = (i32, i32, i32) -> i32",
    );
    check(
        "void f(void (*handler)(void *context[user], const char *message[format], ...))",
        "void (void (*)(void *[user], char *[format], ...)) = (i32) -> ()",
    );
    check(
        "float _Complex f(double _Complex)",
        "struct { float m1; float m2; } (struct { double m1; double m2; }) = (i32, i32) -> ()",
    );
    assert!(Signature::parse("int f(const char *m[format], ...)").unwrap().needs_slots(ShapeKind::Thunk));
}

#[test]
fn errors_in_variable_arguments_point_at_the_place() {
    check_error(
        "int printf(const char *, ...)",
        (1, 26),
        "parameter 2: what the arguments are is not known: say `[format]` of the parameter with the format, or list their types, \
         as in `[varargs: int, void *]`",
    );
    check_error(
        "int f(const char *m[format])",
        (1, 21),
        "parameter 1, `m`: `[format]` is for a function with `...` or a `va_list`; say `[str]`",
    );
    check_error(
        "int f(int *m[format], ...)",
        (1, 14),
        "parameter 1, `m`: `[format]` needs a `char *`, and this is a pointer to `int`",
    );
    check_error(
        "int sscanf(const char *s[str], const char *m[format: scanf], ...)",
        (1, 54),
        "a format of `scanf` says where to write through pointers, and is not supported",
    );
    check_error("int f(const char *m[format: strftime], ...)", (1, 29), "expected `printf`, found `strftime`");
    check_error(
        "int f(const char *m[format], ...[varargs: int])",
        (1, 34),
        "parameter 2: the arguments are those of the format or those that are listed, not both",
    );
    check_error(
        "int f(int n, ...[varargs: float x])",
        (1, 27),
        "variable argument 1, `x` of parameter 2: it is passed as `double`: say that",
    );
    check_error(
        "int f(int n, ...[varargs: int, short])",
        (1, 32),
        "variable argument 2 of parameter 2: it is passed as `int`: say that",
    );
    check_error(
        "int f(int n, ...[varargs])",
        (1, 25),
        "expected `:` and the types of the arguments after `varargs`, found `]`",
    );
    check_error("int f(int n, ...[varargs: ])", (1, 27), "expected a type, found `]`");
    check_error(
        "int f(int n, ...[str])",
        (1, 18),
        "parameter 2: `str` is not for variable arguments, or is said twice",
    );
    check_error("int f(int *n[varargs: int])", (1, 14), "parameter 1, `n`: `[varargs]` is for `...` or a `va_list`");
    check_error("int f(..., int n)", (1, 10), "expected `)` after the parameters, found `,`");
    check_error("va_list f(void)", (1, 1), "the result: `va_list` is only the type of a parameter");
}

#[test]
fn errors_in_extents_point_at_the_place() {
    check_error("int f(int *p[out 3])", (1, 18), "expected `,` or `]` after an annotation, found the number 3");
    check_error(
        "int f(int **p[out str])",
        (1, 15),
        "parameter 1, `p`: `[out]` needs a `char **`, and this is a pointer to `int *`",
    );
    check_error(
        "int f(int *p[out user])",
        (1, 14),
        "parameter 1, `p`: `[out]` needs a pointer to pointers, and this is a pointer to `int`",
    );
    check_error(
        "int f(int *p[out: NULL])",
        (1, 14),
        "parameter 1, `p`: `[out]` needs an array of pointers, for a NULL to be its end, and this is a pointer to `int`",
    );
    check_error(
        "int f(char ***p[out])",
        (1, 17),
        "parameter 1, `p`: `[out]` needs elements of which it is said what they are, as in `[out handle]` or `[in str]`, and this is a pointer to `char **`",
    );
    check_error(
        "int f(int *p[nonnull, nullable])",
        (1, 23),
        "parameter 1, `p`: `nonnull` and `nullable` cannot both be",
    );
    check_error(
        "int f(int *p[in, valid: 1])",
        (1, 18),
        "parameter 1, `p`: `valid` goes with `out` or `inout`: it says how much of that means something afterwards",
    );
    check_error("int f(int *p[out, valid])", (1, 24), "expected `:` and how many elements after `valid`, found `]`");
    check_error(
        "int f(int *p[out: return])",
        (1, 19),
        "parameter 1, `p`: `return` is known after the call: it belongs to `valid`, or to what the function gives",
    );
    check_error(
        "void f(int *p[out, valid: return])",
        (1, 27),
        "parameter 1, `p`: the function does not return an integer",
    );
}

#[test]
fn expressions_keep_their_shape() {
    let count = |expr: &str| {
        let text = canonical(&format!("void f(char *p[in: {expr}], int a, int b, int *c)"));
        text.split_once(": ").unwrap().1.split_once(']').unwrap().0.to_owned()
    };
    assert_eq!(count("a + b * 0x10"), "a2 + a3 * 16");
    assert_eq!(count("(a + b) * 2"), "(a2 + a3) * 2");
    assert_eq!(count("a - (b - 1)"), "a2 - (a3 - 1)");
    assert_eq!(count("a - b - 1"), "a2 - a3 - 1");
    assert_eq!(count("((a) * (b)) * *c"), "a2 * a3 * *a4");
    assert_eq!(count("a * (b * *c)"), "a2 * (a3 * *a4)");
}

#[test]
fn two_spellings_of_one_signature_are_equal_and_hash_alike() {
    use std::collections::HashSet;
    let spellings = [
        "int compare(const void *a, const void *b)",
        "signed int (*)(void *, void *restrict)",
        "enum order (void *x, const volatile void *y);",
    ];
    let set: HashSet<Signature> = spellings.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(set.len(), 1);
    let differing = [
        "int (void *, char *)",
        "unsigned (void *, void *)",
        "int (void *, void *[nonnull])",
        "int (void *, void *[user])",
    ];
    for text in differing {
        assert!(!set.contains(&text.parse::<Signature>().unwrap()), "{text}");
    }
}

#[test]
fn names_are_kept() {
    let signature = Signature::parse("int compare(const void *a, const void *)").unwrap();
    assert_eq!(signature.name.as_deref(), Some("compare"));
    assert_eq!(signature.params[0].name.as_deref(), Some("a"));
    assert_eq!(signature.params[1].name, None);
    let has_names_of = |text: &str| signature.has_names_of(&Signature::parse(text).unwrap());
    assert!(has_names_of("int compare(const void *a, const void *)"));
    assert!(!has_names_of("int order(const void *a, const void *)"));
    assert!(!has_names_of("int compare(const void *a, const void *b)"));
}

#[test]
fn slots_are_needed_where_a_value_takes_more_than_a_check() {
    let needs = |text: &str| {
        let signature = Signature::parse(text).unwrap();
        [ShapeKind::Callback, ShapeKind::Thunk].map(|kind| signature.needs_slots(kind))
    };
    assert_eq!(needs("double f(int, void *, void *[user], long)"), [false, false]);
    assert_eq!(needs("void f(const char *[str])"), [true, true]);
    assert_eq!(needs("void f(int (*)(int))"), [true, false]);
    assert_eq!(needs("void f(int (*g[scope: call])(int))"), [true, false]);
    assert_eq!(needs("void (*f(int))(int)"), [true, true]);
    assert_eq!(needs("FILE *f(void) [handle]"), [true, true]);
    assert_eq!(needs("void *f(void *[user], unsigned n) [inout: n]"), [false, true]);
    assert_eq!(needs("void *f(unsigned *n) [inout: *n]"), [true, true]);
}

#[test]
fn syntax_errors_point_at_the_place() {
    check_error("", (1, 1), "expected a type, found the end");
    check_error("int f(int a;", (1, 12), "expected `,` or `)` after a parameter, found `;`");
    check_error("int f(int a", (1, 12), "expected `,` or `)` after a parameter, found the end");
    check_error("int f(int a, )", (1, 14), "expected another parameter, found `)`");
    check_error("int f(int)\n  int", (2, 3), "expected the end of the prototype, found `int`");
    check_error(
        "int f(void *p[in: ])",
        (1, 19),
        "expected a number, a parameter's name, `*` and a parameter's name, or `(`, found `]`",
    );
    check_error("int f(void *p[user, 3])", (1, 21), "expected an annotation, found the number 3");
    check_error("int f(void *p[user str])", (1, 20), "expected `,` or `]` after an annotation, found `str`");
    check_error(
        "int f(int (*cb[scope: always])(int))",
        (1, 23),
        "expected `call`, `once`, `forever` or `until` and a function's name, found `always`",
    );
    check_error("int f(struct { int x } *p)", (1, 22), "expected `;`, `,` or `:` after a member, found `}`");
    check_error(
        "int f(int x) # note",
        (1, 14),
        "expected a C prototype with annotations in square brackets, found `#`",
    );
}

#[test]
fn errors_of_meaning_point_at_the_place() {
    check_error("int x", (1, 1), "`x` is not a function; expected its parameters in parentheses");
    check_error(
        "SQLITE_API int f(int)",
        (1, 1),
        "`SQLITE_API` is not a known type or word of C; leave macros out of the prototype",
    );
    check_error("int f(short long x)", (1, 7), "these words do not make a C type together");
    check_error("int f(unsigned double x)", (1, 7), "these words do not make a C type together");
    check_error(
        "int f(point p)",
        (1, 7),
        "parameter 1, `p`: `point` is not a known type; define the name, or use a type of C's",
    );
    check_error("int f(int, void v)", (1, 12), "parameter 2, `v`: `void` is not the type of a value");
    check_error("int f(int x[user])", (1, 13), "parameter 1, `x`: `[user]` is for pointers, and this is `int`");
    check_error("void f(int) [str]", (1, 14), "the result: `[str]` is for pointers, and this is `void`");
    check_error(
        "int f[user](int)",
        (1, 7),
        "`[user]` is not about the function itself; an annotation of the result stands after the parameters",
    );
    check_error(
        "int f(int *s[str])",
        (1, 14),
        "parameter 1, `s`: `[str]` needs a `char *`, and this is a pointer to `int`",
    );
    check_error(
        "int f(char *s[str: 2])",
        (1, 15),
        "parameter 1, `s`: `[str]` needs a `char **`, and this is a pointer to `char`",
    );
    check_error(
        "int f(void *p[scope: call])",
        (1, 15),
        "parameter 1, `p`: `[scope]` is for function pointers, `[shadow]`, `[handle]` and `[externref]`",
    );
    check_error(
        "int f(int (*p[user])(int))",
        (1, 15),
        "parameter 1, `p`: `[user]` does not go with a function pointer",
    );
    check_error("int f(void *p[user, user])", (1, 21), "parameter 1, `p`: `user` is said twice");
    check_error(
        "int f(void *p[in: m], int n)",
        (1, 19),
        "parameter 1, `p`: no parameter is called `m` (the parameters: p, n)",
    );
    check_error("int f(void *p[in: n], double n)", (1, 19), "parameter 1, `p`: `n` is not an integer");
    check_error("int f(void *p[in: *n], int n)", (1, 19), "parameter 1, `p`: `n` is not a pointer to an integer");
    check_error(
        "int f(struct s *p[in: 2])",
        (1, 19),
        "parameter 1, `p`: `[in]` needs `void *`, with a count of bytes, or a pointer to something of a known size, and this is a pointer to `s`",
    );
    check_error("int f(int a[usr])", (1, 13), "parameter 1, `a`: no parameter is called `usr` (the parameters: a)");
    check_error(
        "int f(int (*cb)(int, point p))",
        (1, 22),
        "parameter 2, `p` of parameter 1, `cb`: `point` is not a known type; define the name, or use a type of C's",
    );
}

#[test]
fn memory_that_the_two_sides_lay_out_differently_does_not_pass_by_luck() {
    for (text, ty) in
        [("int f(size_t *n)", "unsigned long"), ("int f(char **v)", "char *"), ("int f(long v[4][4])", "long")]
    {
        let error = Signature::parse(text).unwrap_err().to_string();
        let start = format!("memory that holds `{ty}` is not alike in C (8 bytes) and in a wasm32 app (4 bytes)");
        assert!(error.contains(&start), "{error}");
    }
    check("int f(size_t *n[out])", "int (unsigned long *[out]) = (i32) -> i32");
}

#[test]
fn what_cannot_cross_yet_is_refused_by_name() {
    check_error(
        "int f(struct point p)",
        (1, 7),
        "parameter 1, `p`: the members of `struct point` are not known; define it to pass it by value",
    );
    check_error(
        "union u f(void)",
        (1, 1),
        "the result: the members of `union u` are not known; define it to pass it by value",
    );
    check_error("long double f(int)", (1, 1), "the result: `long double` is not supported yet");
    check_error("int f(unsigned __int128 x)", (1, 7), "parameter 1, `x`: `__int128` is not supported yet");
    check_error("int f(long double x)", (1, 7), "parameter 1, `x`: `long double` is not supported yet");
    check_error("__int128 f(void)", (1, 1), "the result: `__int128` is not supported yet");
    check_error("long double _Complex f(void)", (1, 1), "the result: `long double _Complex` is not supported yet");
    check_error("int f(long double *p)", (1, 7), "parameter 1, `p`: a pointer to `long double` is not supported yet");
    check_error(
        "int f(va_list a[varargs: int], va_list b[varargs: int])",
        (1, 32),
        "parameter 2, `b`: a second list of variable arguments is not supported yet",
    );
    check_error(
        "int f(int n, ...[varargs: struct { long double x; } p])",
        (1, 36),
        "member `x` of variable argument 1, `p` of parameter 2: `long double` is not supported yet",
    );
    check_error("int f(sqlite3 *db[user, handle])", (1, 25), "parameter 1, `db`: `user` does not go with `handle`");
}

#[test]
fn an_error_shows_the_line_and_a_caret() {
    let error = Signature::parse("int f(int a,\n      int b;\n      int c)").unwrap_err();
    assert_eq!(error.to_string(), "expected `,` or `)` after a parameter, found `;`\n        int b;\n             ^");
}

#[test]
fn names_of_the_host() {
    let mut names = TypeNames::new();
    names.define("lv_coord_t", "int16_t").unwrap();
    names.define("lv_event_cb_t", "void (*)(lv_event_t *e[handle], lv_coord_t)").unwrap();
    names.define("word", "unsigned").unwrap();
    names.define("row", "word[4]").unwrap();
    let parse = |text: &str| Signature::parse_with(text, &names);
    let expected =
        Signature::parse("void (unsigned (*)[4], void (*[scope: call])(lv_event_t *[handle], short))").unwrap();
    assert_eq!(parse("void add(row *r, lv_event_cb_t cb[scope: call])").unwrap(), expected);
    assert_eq!(parse("int f(row r)").unwrap(), Signature::parse("int (unsigned *)").unwrap());
    assert!(names.define("int", "long").is_err());
    assert!(names.define("2x", "long").is_err());
    assert!(names.define("x", "long x").is_err());
    assert!(names.define("x", "char *[str]").is_err());
    assert!(names.define("x", "int (*)(point)").is_err());
}

#[test]
fn errors_behind_a_name_of_the_host_stand_where_the_name_does() {
    let mut names = TypeNames::new();
    names.define("vec", "struct vec_with_a_long_name_to_be_far_to_the_right").unwrap();
    let error = Signature::parse_with("int f(int, vec v)", &names).unwrap_err();
    assert_eq!(error.column, 12);
}

#[test]
fn names_that_stand_for_ever_more_end_in_an_error() {
    let mut names = TypeNames::new();
    names.define("t0", "int (*)(int)").unwrap();
    let failed = (1..100).find(|i| {
        let before = i - 1;
        names.define(&format!("t{i}"), &format!("int (*)(t{before}, t{before})")).is_err()
    });
    assert!(failed.is_some(), "a hundred doublings are refused");
    let mut names = TypeNames::new();
    names.define("t0", "int").unwrap();
    for i in 1..1000 {
        names.define(&format!("t{i}"), &format!("t{} *", i - 1)).unwrap();
    }
    let error = Signature::parse_with("int f(t999 x[user])", &names).unwrap_err();
    assert!(error.to_string().contains("nested more than"), "{error}");
}
