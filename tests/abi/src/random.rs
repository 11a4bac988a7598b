//! Random types and prototypes.

/// Pseudo-random numbers that are the same in every run (xorshift64*).
pub struct Random(u64);

impl Random {
    /// Numbers that follow from a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A type of C that is no struct.
pub struct Scalar {
    /// before the declared name
    pub before: &'static str,
    /// after it, in a prototype
    pub annotation: &'static str,
    /// a value made from the numbers of `s`
    pub value: &'static str,
    /// The most bits that it has as a bit-field, 0 if it cannot be one.
    pub bits: usize,
    /// bytes in the host's C
    pub bytes: usize,
    /// whether it differs between the sides
    pub differs: bool,
}

const fn scalar(before: &'static str, value: &'static str, bytes: usize, bits: usize, differs: bool) -> Scalar {
    Scalar { before, annotation: "", value, bits, bytes, differs }
}

/// All of them.
pub const SCALARS: &[Scalar] = &[
    scalar("_Bool ", "next(s) & 1", 1, 1, false),
    scalar("char ", "next(s)", 1, 8, false),
    scalar("unsigned char ", "next(s)", 1, 8, false),
    scalar("short ", "next(s)", 2, 16, false),
    scalar("unsigned short ", "next(s)", 2, 16, false),
    scalar("int ", "next(s)", 4, 32, false),
    scalar("unsigned ", "next(s)", 4, 32, false),
    scalar("long long ", "next64(s)", 8, 64, false),
    scalar("unsigned long long ", "next64(s)", 8, 64, false),
    scalar("enum colour ", "next(s) & 0xff", 4, 0, false),
    scalar("float ", "(float)(int)(next(s) >> 8)", 4, 0, false),
    scalar("float ", "(float)(int)(next(s) >> 8)", 4, 0, false),
    scalar("double ", "(double)(int)next(s) * 0.5", 8, 0, false),
    scalar("double ", "(double)(int)next(s) * 0.5", 8, 0, false),
    scalar("float _Complex ", "__builtin_complex((float)(int)(n = next(s)), (float)(n >> 40))", 8, 0, false),
    scalar("double _Complex ", "__builtin_complex((double)(int)(n = next(s)), n * 0.5)", 16, 0, false),
    scalar("long ", "(int)next(s)", 8, 32, true),
    scalar("unsigned long ", "next(s)", 8, 32, true),
    scalar("void *", "POINTER(next(s))", 8, 0, true),
    Scalar {
        before: "void *",
        annotation: "[user]",
        value: "(void *)(unsigned long)next(s)",
        bits: 0,
        bytes: 8,
        differs: true,
    },
];

/// Whether a value of a scalar type can be a variable argument: one that the default argument promotions leave alone.
fn is_promoted(scalar: &Scalar) -> bool {
    let before = scalar.before.trim_end();
    ["int", "unsigned", "long", "unsigned long", "long long", "unsigned long long", "double", "void *"]
        .contains(&before)
}

/// A type.
#[derive(Clone, Copy, PartialEq)]
pub enum Type {
    /// number in [`SCALARS`]
    Scalar(usize),
    /// number in [`World::records`]
    Record(usize),
    /// a pointer to a function of the type of one in [`World::functions`]: only as a parameter
    Function(usize),
}

/// A member of a struct or union.
pub struct Member {
    /// its type
    pub ty: Type,
    /// of an array, how many
    pub len: Option<usize>,
    /// of a bit-field, how many bits
    pub bits: Option<usize>,
    /// whether there is an unnamed bit-field before it, and of how many bits
    pub gap: Option<usize>,
}

/// A struct or union.
pub struct Record {
    /// whether it is a union
    pub union: bool,
    /// its members; of a union, the first is the one that has a value
    pub members: Vec<Member>,
    /// whether it, or something in it, is a union
    pub has_union: bool,
    /// an upper bound of its size, in bytes
    pub bytes: usize,
    differs: bool,
}

/// A function.
pub struct Function {
    /// its result
    pub result: Option<Type>,
    /// its parameters
    pub params: Vec<Type>,
    /// if it is variadic, its variable arguments: numbers as they are promoted, and structs
    pub varargs: Option<Vec<Type>>,
    /// how many calls through function pointers one call of it makes, those below them included
    pub calls: usize,
}

/// The most of them.
const MAX_CALLS: usize = 12;

/// Types, and functions with them.
#[derive(Default)]
pub struct World {
    /// structs and unions; each uses only those before it
    pub records: Vec<Record>,
    /// functions
    pub functions: Vec<Function>,
}

/// The most bytes of a record.
const MAX_BYTES: usize = 180;

impl World {
    /// So many random functions, and types for them.
    pub fn new(seed: u64, functions: usize) -> World {
        let mut random = Random::new(seed);
        let mut world = World::default();
        for _ in 0..functions.min(40) + 4 {
            let record = world.record(&mut random);
            world.records.push(record);
        }
        for _ in 0..functions {
            let params = if random.one_in(3) { random.below(21) } else { random.below(7) };
            let params: Vec<Type> = (0..params).map(|_| world.param(&mut random)).collect();
            let calls = params.iter().map(|&ty| world.calls(ty)).sum();
            let result = (!random.one_in(8)).then(|| world.ty(&mut random));
            let variadic = !params.is_empty() && random.one_in(4);
            let varargs = variadic.then(|| (0..1 + random.below(9)).map(|_| world.vararg(&mut random)).collect());
            world.functions.push(Function { result, params, varargs, calls });
        }
        world
    }

    fn ty(&self, random: &mut Random) -> Type {
        if random.one_in(2) && !self.records.is_empty() {
            Type::Record(random.below(self.records.len()))
        } else {
            Type::Scalar(random.below(SCALARS.len()))
        }
    }

    /// A type, which may be a pointer to a function of the type of one before: these have such parameters, too.
    fn param(&self, random: &mut Random) -> Type {
        if random.one_in(6) && !self.functions.is_empty() {
            let ty = Type::Function(random.below(self.functions.len()));
            if self.calls(ty) > 0 && self.calls(ty) <= MAX_CALLS {
                return ty;
            }
        }
        self.ty(random)
    }

    /// How many calls a function makes through an argument; 0 for one that is no function pointer, or cannot be one.
    fn calls(&self, ty: Type) -> usize {
        let Type::Function(index) = ty else { return 0 };
        let function = &self.functions[index];
        // Annotations of a pointer's result would be the pointer's.
        let annotated = matches!(function.result, Some(Type::Scalar(i)) if !SCALARS[i].annotation.is_empty());
        if function.varargs.is_some() || annotated { 0 } else { 1 + function.calls }
    }

    fn vararg(&self, random: &mut Random) -> Type {
        match self.ty(random) {
            Type::Record(record) => Type::Record(record),
            _ => Type::Scalar(World::promoted(random)),
        }
    }

    fn promoted(random: &mut Random) -> usize {
        loop {
            let scalar = random.below(SCALARS.len());
            if is_promoted(&SCALARS[scalar]) {
                return scalar;
            }
        }
    }

    fn record(&self, random: &mut Random) -> Record {
        let union = random.one_in(5);
        let count = 1 + if random.one_in(4) { random.below(8) } else { random.below(3) };
        let mut record = Record { union, members: Vec::new(), has_union: union, bytes: 0, differs: false };
        while record.members.len() < count {
            let ty = if random.one_in(4) { self.ty(random) } else { Type::Scalar(random.below(SCALARS.len())) };
            let (bytes, differs, has_union, limit) = match ty {
                Type::Scalar(i) => (SCALARS[i].bytes, SCALARS[i].differs, false, SCALARS[i].bits),
                Type::Record(i) => {
                    let inner = &self.records[i];
                    (inner.bytes, inner.differs, inner.has_union, 0)
                }
                Type::Function(_) => unreachable!("functions are parameters only"),
            };
            if union && differs {
                continue;
            }
            let bits = (limit > 0 && random.one_in(4)).then(|| match random.one_in(2) {
                true => 1,
                false => 1 + random.below(limit),
            });
            let len = (bits.is_none() && random.one_in(5)).then(|| 1 + random.below(4));
            let size = bytes.max(8) * len.unwrap_or(1) + 8;
            if record.bytes + size > MAX_BYTES {
                if record.members.is_empty() {
                    continue;
                }
                break;
            }
            // Only behind a bit-field, into whose eight bytes it fits: elsewhere GCC and clang do not agree on its class.
            let behind = record.members.last().and_then(|member: &Member| member.bits);
            let gap = (behind == Some(1) && bits == Some(1) && !union).then(|| random.below(6));
            record.bytes += size;
            record.differs |= differs;
            record.has_union |= has_union;
            record.members.push(Member { ty, len, bits, gap });
        }
        record
    }
}
