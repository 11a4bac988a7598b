//! The text of types and functions: as C for both sides, and as prototypes.
//!
//! In C, scalar number `i` is called `s{i}`, struct or union number `i` is called `T{i}`. Each type has a function `fill_*`, which makes a value of it, and
//! one `eq_*`, which compares two. A pointer to a function of the type of function number `i` is called `P{i}`: each side has a function `p{i}` that it passes, and
//! calls what it is passed by `call{i}`.

use crate::random::{Function, Member, Record, SCALARS, Type, World};
use std::fmt::Write as _;

/// What both sides begin with. Nothing is taken from a C library: the guest has none.
const PRELUDE: &str = r"
enum colour { RED, BLUE = 255 };
typedef unsigned int u32;
typedef unsigned long long u64;
static u32 next(u32 *s) { u32 x = *s; x ^= x << 13; x ^= x >> 17; x ^= x << 5; return *s = x; }
static u64 next64(u32 *s) { u64 high = next(s); return high << 32 | next(s); }
static void set(void *p, int byte, unsigned long n) {
  for (volatile unsigned char *q = p; n; n--) *q++ = byte;
}
static int same(const void *a, const void *b, unsigned long n) {
  const volatile unsigned char *p = a, *q = b;
  for (; n; n--) if (*p++ != *q++) return 0;
  return 1;
}
";

/// What the host's side has: pointers into the app's memory.
const NATIVE: &str = r"
char *base;
#define POINTER(x) ((x) % 8 ? base + 1024 + (x) % 60000 : (char *)0)
u32 wrong_arguments[COUNT], calls[COUNT], wrong_through_pointers, calls_through_pointers;
";

/// What the app's side has.
const GUEST: &str = r#"
#define POINTER(x) ((x) % 8 ? (char *)(1024 + (x) % 60000) : (char *)0)
static u32 wrong_arguments[COUNT], calls[COUNT], wrong_through_pointers, calls_through_pointers;
void *memset(void *p, int byte, unsigned long n) { set(p, byte, n); return p; }
void *memcpy(void *p, const void *q, unsigned long n) {
  volatile char *to = p; const volatile char *from = q;
  for (; n; n--) *to++ = *from++;
  return p;
}
__attribute__((export_name("wrong"))) u32 wrong(u32 k) { return wrong_arguments[k]; }
__attribute__((export_name("called"))) u32 called(u32 k) { return calls[k]; }
__attribute__((export_name("through_pointers"))) u32 through_pointers(u32 k) { return k ? calls_through_pointers : wrong_through_pointers; }
"#;

/// The name of a type in C.
fn name(ty: Type) -> String {
    match ty {
        Type::Scalar(i) => format!("s{i}"),
        Type::Record(i) => format!("T{i}"),
        Type::Function(i) => format!("P{i}"),
    }
}

/// A member's declarator, without annotations.
fn declarator(index: usize, member: &Member) -> String {
    let len = member.len.map(|len| format!("[{len}]")).unwrap_or_default();
    format!("m{index}{len}")
}

fn bits(member: &Member) -> String {
    member.bits.map(|bits| format!(" : {bits}")).unwrap_or_default()
}

fn gap(member: &Member) -> String {
    member.gap.map(|bits| format!(" int : {bits};")).unwrap_or_default()
}

impl Record {
    fn keyword(&self) -> &'static str {
        if self.union { "union" } else { "struct" }
    }

    /// The definition for a prototype, of the name `T{index}`.
    pub fn prototype(&self, index: usize) -> String {
        let mut text = format!("typedef {} {{", self.keyword());
        for (i, member) in self.members.iter().enumerate() {
            let (before, annotation) = match member.ty {
                Type::Scalar(i) => (SCALARS[i].before.to_owned(), SCALARS[i].annotation),
                Type::Record(i) => (format!("T{i} "), ""),
                Type::Function(_) => unreachable!("functions are parameters only"),
            };
            write!(text, "{} {before}{}{annotation}{};", gap(member), declarator(i, member), bits(member)).unwrap();
        }
        write!(text, " }} T{index};").unwrap();
        text
    }

    /// The definition in C, and its two functions.
    fn c(&self, index: usize, out: &mut String) {
        write!(out, "typedef {} {{", self.keyword()).unwrap();
        for (i, member) in self.members.iter().enumerate() {
            write!(out, "{} {} {}{};", gap(member), name(member.ty), declarator(i, member), bits(member)).unwrap();
        }
        writeln!(out, " }} T{index};").unwrap();
        // Of a union, only the first member has a value.
        let members = if self.union { &self.members[..1] } else { &self.members };
        writeln!(out, "static void fill_T{index}(T{index} *v, u32 *s) {{").unwrap();
        for (i, member) in members.iter().enumerate() {
            let ty = name(member.ty);
            match (member.bits, member.len) {
                (Some(_), _) => writeln!(out, "  {{ {ty} t; fill_{ty}(&t, s); v->m{i} = t; }}"),
                (None, Some(len)) => writeln!(out, "  for (int i = 0; i < {len}; i++) fill_{ty}(&v->m{i}[i], s);"),
                (None, None) => writeln!(out, "  fill_{ty}(&v->m{i}, s);"),
            }
            .unwrap();
        }
        writeln!(out, "}}\nstatic int eq_T{index}(const T{index} *a, const T{index} *b) {{\n  int ok = 1;").unwrap();
        for (i, member) in members.iter().enumerate() {
            let ty = name(member.ty);
            match (member.bits, member.len) {
                (Some(_), _) => writeln!(out, "  ok &= a->m{i} == b->m{i};"),
                (None, Some(len)) => {
                    writeln!(out, "  for (int i = 0; i < {len}; i++) ok &= eq_{ty}(&a->m{i}[i], &b->m{i}[i]);")
                }
                (None, None) => writeln!(out, "  ok &= eq_{ty}(&a->m{i}, &b->m{i});"),
            }
            .unwrap();
        }
        writeln!(out, "  return ok;\n}}").unwrap();
    }
}

impl Function {
    /// The prototype of a function of this name.
    pub fn prototype(&self, world: &World, name: &str) -> String {
        let text = |ty: Type| match ty {
            Type::Scalar(i) => format!("{}{}", SCALARS[i].before, SCALARS[i].annotation),
            Type::Record(i) => format!("T{i}"),
            Type::Function(i) => world.functions[i].prototype(world, "(*)"),
        };
        let mut params: Vec<String> = self.params.iter().map(|&ty| text(ty)).collect();
        if let Some(varargs) = &self.varargs {
            let varargs: Vec<String> = varargs.iter().map(|&ty| text(ty).trim_end().to_owned()).collect();
            params.push(format!("...[varargs: {}]", varargs.join(", ")));
        }
        let function = format!("{name}({})", params.join(", "));
        match self.result {
            None => format!("void {function}"),
            Some(Type::Scalar(i)) => format!("{}{function} {}", SCALARS[i].before, SCALARS[i].annotation),
            Some(Type::Record(i)) => format!("T{i} {function}"),
            Some(Type::Function(_)) => unreachable!("functions are parameters only"),
        }
    }

    /// All arguments of a call, variable ones last.
    fn args(&self) -> Vec<Type> {
        self.params.iter().chain(self.varargs.iter().flatten()).copied().collect()
    }

    fn result_name(&self) -> String {
        self.result.map_or("void".to_owned(), name)
    }

    /// Parameters in C, called `a1` and so on.
    fn c_params(&self) -> String {
        let params = self.params.iter().enumerate().map(|(i, &ty)| format!("{} a{}", name(ty), i + 1));
        let params = params.chain(self.varargs.iter().map(|_| "...".to_owned())).collect::<Vec<_>>().join(", ");
        if params.is_empty() { "void".to_owned() } else { params }
    }

    /// The function of this name that checks its arguments, and notes what is wrong with them; `strict` if padding must be zero.
    fn callee(&self, world: &World, k: usize, c_name: &str, strict: bool, note: &str, out: &mut String) {
        writeln!(out, "{} {c_name}({}) {{\n  u32 bad = 0;", self.result_name(), self.c_params()).unwrap();
        if self.varargs.is_some() {
            writeln!(out, "  __builtin_va_list v; __builtin_va_start(v, a{});", self.params.len()).unwrap();
        }
        for (i, &ty) in self.args().iter().enumerate() {
            let (ty_name, number) = (name(ty), i + 1);
            if let Type::Function(function) = ty {
                writeln!(out, "  if (call{function}(a{number})) bad |= 1u << {i};").unwrap();
                continue;
            }
            if i >= self.params.len() {
                writeln!(out, "  {ty_name} a{number} = __builtin_va_arg(v, {ty_name});").unwrap();
            }
            let all = match ty {
                Type::Record(r) if strict && !world.records[r].has_union => {
                    format!(" || !same(&a{number}, &e, sizeof e)")
                }
                _ => String::new(),
            };
            writeln!(
                out,
                "  {{ u32 s = SEED({k}, {number}); {ty_name} e; set(&e, 0, sizeof e); fill_{ty_name}(&e, &s);\n    if (!eq_{ty_name}(&a{number}, &e){all}) bad |= 1u << {i}; }}"
            )
            .unwrap();
        }
        writeln!(out, "  {note}").unwrap();
        if self.varargs.is_some() {
            writeln!(out, "  __builtin_va_end(v);").unwrap();
        }
        if let Some(ty) = self.result {
            let ty = name(ty);
            writeln!(
                out,
                "  {ty} r; set(&r, 0xaa, sizeof r); {{ u32 s = SEED({k}, 0); fill_{ty}(&r, &s); }}\n  return r;"
            )
            .unwrap();
        }
        writeln!(out, "}}").unwrap();
    }

    /// What calls the function `callee` of the other side; 1 if its result is wrong.
    fn caller(&self, k: usize, head: &str, callee: &str, out: &mut String) {
        writeln!(out, "{head} {{").unwrap();
        let args = self.args();
        for (i, &ty) in args.iter().enumerate() {
            let number = i + 1;
            if let Type::Function(function) = ty {
                writeln!(out, "  P{function} a{number} = p{function};").unwrap();
                continue;
            }
            let ty = name(ty);
            writeln!(out, "  {ty} a{number}; set(&a{number}, 0xaa, sizeof a{number}); {{ u32 s = SEED({k}, {number}); fill_{ty}(&a{number}, &s); }}").unwrap();
        }
        let args: Vec<String> = (1..=args.len()).map(|i| format!("a{i}")).collect();
        let call = format!("{callee}({})", args.join(", "));
        match self.result {
            None => writeln!(out, "  {call};\n  return 0;\n}}"),
            Some(ty) => {
                let ty = name(ty);
                writeln!(out, "  {ty} r = {call}, e;\n  {{ u32 s = SEED({k}, 0); set(&e, 0, sizeof e); fill_{ty}(&e, &s); }}\n  return !eq_{ty}(&r, &e);\n}}")
            }
        }
        .unwrap();
    }
}

impl World {
    fn types(&self, count: usize) -> String {
        let mut out =
            format!("#define COUNT {count}\n#define SEED(k, i) ((k) * 977u + (i) * 13u + 0x9e3779b9u)\n{PRELUDE}");
        out.push_str("#ifdef GUEST\n");
        out.push_str(GUEST);
        out.push_str("#else\n");
        out.push_str(NATIVE);
        out.push_str("#endif\n");
        for (i, scalar) in SCALARS.iter().enumerate() {
            writeln!(out, "typedef {}s{i};", scalar.before).unwrap();
            writeln!(out, "static void fill_s{i}(s{i} *v, u32 *s) {{ u64 n; *v = {}; }}", value(scalar.value)).unwrap();
            writeln!(out, "static int eq_s{i}(const s{i} *a, const s{i} *b) {{ return *a == *b; }}").unwrap();
        }
        for (i, record) in self.records.iter().enumerate() {
            record.c(i, &mut out);
        }
        out
    }

    /// What both sides have of a function that the other one has: `p{k}`, whose address is passed, and `call{k}`.
    fn pointers(&self, k: usize, strict: bool, storage: &str, out: &mut String) {
        let function = &self.functions[k];
        let (result, params) = (function.result_name(), function.c_params());
        writeln!(out, "typedef {result} (*P{k})({params});\nstatic").unwrap();
        function.callee(
            self,
            k,
            &format!("p{k}"),
            strict,
            "wrong_through_pointers |= bad; calls_through_pointers++;",
            out,
        );
        function.caller(k, &format!("{storage}int call{k}({result} (*f)({params}))"), "f", out);
    }

    /// The host's side: `n{k}` are functions for the app to call, `call{k}` call a function of the app.
    pub fn native(&self) -> String {
        let mut out = self.types(self.functions.len().max(1));
        for (k, function) in self.functions.iter().enumerate() {
            self.pointers(k, false, "", &mut out);
            function.callee(self, k, &format!("n{k}"), false, &note(k), &mut out);
        }
        out
    }

    /// The app's side: `g{k}` are functions for C to call, `try{k}` call a function of the host.
    pub fn guest(&self) -> String {
        let mut out = format!("#define GUEST\n{}", self.types(self.functions.len().max(1)));
        for (k, function) in self.functions.iter().enumerate() {
            self.pointers(k, true, "static ", &mut out);
            writeln!(out, "__attribute__((export_name(\"g{k}\")))").unwrap();
            function.callee(self, k, &format!("g{k}"), true, &note(k), &mut out);
            let (result, params) = (function.result_name(), function.c_params());
            writeln!(out, "__attribute__((import_module(\"c\"), import_name(\"n{k}\"))) {result} n{k}({params});")
                .unwrap();
            let head = format!("__attribute__((export_name(\"try{k}\"))) int try{k}(void)");
            function.caller(k, &head, &format!("n{k}"), &mut out);
        }
        out
    }
}

/// What a function that is called by its name notes.
fn note(k: usize) -> String {
    format!("wrong_arguments[{k}] |= bad; calls[{k}]++;")
}

/// `POINTER` uses its argument twice.
fn value(text: &str) -> String {
    match text.strip_prefix("POINTER(next(s))") {
        Some(_) => "(n = next(s), POINTER(n))".to_owned(),
        None => text.to_owned(),
    }
}
