//! libffi's structs as `ffi.h` has them, and what they say of a C type.

use std::ffi::{c_uint, c_void};
use std::ptr;
use wasmbridge_runtime::Signature;

/// `ffi_status`
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// all is well
    Ok,
    /// a type makes no sense, or is not supported
    BadTypedef,
    /// there is no such ABI, or it is not supported
    BadAbi,
    /// a variadic argument is not promoted
    BadArgtype,
}

/// `FFI_UNIX64`, the only ABI that there is here.
const UNIX64: c_uint = 2;

/// `ffi_type`
#[repr(C)]
#[derive(Debug)]
pub struct Type {
    size: usize,
    alignment: u16,
    kind: u16,
    elements: *const *mut Type,
}

// SAFETY: those that are static are only read.
unsafe impl Sync for Type {}

/// `ffi_cif`
#[repr(C)]
#[derive(Debug)]
pub struct Cif {
    abi: c_uint,
    nargs: c_uint,
    arg_types: *const *mut Type,
    rtype: *mut Type,
    bytes: c_uint,
    flags: c_uint,
}

/// In [`Cif::flags`]: the function is variadic.
const VARIADIC: c_uint = 1;

/// `ffi_closure`
#[repr(C, align(8))]
#[derive(Debug)]
pub struct Closure {
    /// in the place of the trampoline, which programs do not look into
    pub(crate) trampoline: crate::closure::Trampoline,
    /// the function's type
    pub(crate) cif: *mut Cif,
    /// the function
    pub(crate) handler: Option<Handler>,
    /// its last argument
    pub(crate) user_data: *mut c_void,
}

const _: () = assert!(size_of::<Closure>() == 56 && size_of::<Cif>() == 32 && size_of::<Type>() == 24);

/// What a closure calls: with the type, where the result goes, pointers to the arguments, and the closure's user data.
pub type Handler = unsafe extern "C-unwind" fn(*mut Cif, *mut c_void, *mut *mut c_void, *mut c_void);

/// A C type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CType {
    Void,
    /// bytes, and whether it has a sign
    Int(u32, bool),
    Float,
    Double,
    LongDouble,
    Complex(Box<CType>),
    Struct(Vec<CType>),
}

/// The type of a C function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) params: Vec<CType>,
    pub(crate) result: CType,
}

impl CType {
    /// # Safety
    /// A type that has been prepared.
    unsafe fn read(ty: *const Type) -> Option<CType> {
        // SAFETY: the caller's promise.
        let ty = unsafe { &*ty };
        // SAFETY: the elements of an aggregate end with NULL, and have been prepared with it.
        let elements = || unsafe {
            let mut found = Vec::new();
            while let Some(element) = (*ty.elements.add(found.len())).as_ref() {
                found.push(CType::read(element)?);
            }
            Some(found)
        };
        Some(match ty.kind {
            0 => CType::Void,
            1 | 10 => CType::Int(4, true),
            2 => CType::Float,
            3 => CType::Double,
            4 => CType::LongDouble,
            5 => CType::Int(1, false),
            6 => CType::Int(1, true),
            7 => CType::Int(2, false),
            8 => CType::Int(2, true),
            9 => CType::Int(4, false),
            // A pointer is a number here: it goes to native code, and the app has no use for it.
            11 | 14 => CType::Int(8, false),
            12 => CType::Int(8, true),
            13 => CType::Struct(elements()?),
            15 => CType::Complex(Box::new(elements()?.pop()?)),
            16 => CType::Int(16, false),
            17 => CType::Int(16, true),
            _ => return None,
        })
    }

    /// As C has it.
    pub(crate) fn text(&self) -> String {
        match self {
            CType::Void => "void".to_owned(),
            CType::Int(bytes, signed) => {
                let name = match bytes {
                    1 => "char",
                    2 => "short",
                    4 => "int",
                    8 => "long long",
                    _ => "__int128",
                };
                format!("{} {name}", if *signed { "signed" } else { "unsigned" })
            }
            CType::Float => "float".to_owned(),
            CType::Double => "double".to_owned(),
            CType::LongDouble => "long double".to_owned(),
            CType::Complex(part) => format!("{} _Complex", part.text()),
            CType::Struct(members) => {
                let members: String = members.iter().enumerate().map(|(i, m)| format!("{} m{i}; ", m.text())).collect();
                format!("struct {{ {members}}}")
            }
        }
    }

    /// `sizeof` and `_Alignof`, the same on both sides.
    pub(crate) fn layout(&self) -> (u32, u32) {
        match self {
            CType::Void => (0, 1),
            CType::Int(bytes, _) => (*bytes, *bytes),
            CType::Float => (4, 4),
            CType::Double => (8, 8),
            CType::LongDouble => (16, 16),
            CType::Complex(part) => {
                let (size, align) = part.layout();
                (2 * size, align)
            }
            CType::Struct(members) => {
                let (mut size, mut align) = (0u32, 1);
                for (member_size, member_align) in members.iter().map(CType::layout) {
                    size = size.next_multiple_of(member_align) + member_size;
                    align = align.max(member_align);
                }
                (size.next_multiple_of(align), align)
            }
        }
    }
}

impl Function {
    /// # Safety
    /// A cif that has been prepared.
    pub(crate) unsafe fn read(cif: *const Cif) -> Option<Function> {
        // SAFETY: the caller's promise: there are `nargs` types.
        unsafe {
            let cif = &*cif;
            let params: Option<Vec<CType>> =
                (0..cif.nargs as usize).map(|i| CType::read(*cif.arg_types.add(i))).collect();
            Some(Function { params: params?, result: CType::read(cif.rtype)? })
        }
    }

    /// A prototype with a name.
    pub(crate) fn prototype(&self, name: &str) -> String {
        let params: Vec<String> = self.params.iter().map(CType::text).collect();
        format!("{} {name}({})", self.result.text(), params.join(", "))
    }
}

impl Cif {
    /// Whether it is a type that can be called: of the one ABI, and prepared.
    pub(crate) fn is_supported(&self) -> bool {
        self.abi == UNIX64
    }

    pub(crate) fn is_variadic(&self) -> bool {
        self.flags & VARIADIC != 0
    }
}

/// Lays out a struct: its size and alignment, those of structs in it, and the offsets of its members where they are wanted.
///
/// # Safety
/// A type with elements that end with NULL, or without any; `offsets` is NULL or has room for as many.
unsafe fn lay_out(ty: *mut Type, mut offsets: *mut usize) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(ty) = ty.as_mut() else { return Status::BadTypedef };
        if ty.elements.is_null() {
            return Status::BadTypedef;
        }
        (ty.size, ty.alignment) = (0, 0);
        let mut next = ty.elements;
        while !(*next).is_null() {
            let element = *next;
            if (*element).size == 0 && lay_out(element, ptr::null_mut()) != Status::Ok {
                return Status::BadTypedef;
            }
            let (size, alignment) = ((*element).size, (*element).alignment);
            ty.size = ty.size.next_multiple_of(usize::from(alignment.max(1)));
            if !offsets.is_null() {
                *offsets = ty.size;
                offsets = offsets.add(1);
            }
            ty.size += size;
            ty.alignment = ty.alignment.max(alignment);
            next = next.add(1);
        }
        ty.size = ty.size.next_multiple_of(usize::from(ty.alignment.max(1)));
        if ty.size == 0 { Status::BadTypedef } else { Status::Ok }
    }
}

/// # Safety
/// As for [`ffi_prep_cif`].
unsafe fn prepare(cif: *mut Cif, new: Cif) -> Status {
    if new.abi != UNIX64 {
        // Those of Windows, and numbers of none.
        return Status::BadAbi;
    }
    // SAFETY: the caller's promise.
    unsafe {
        let types = (0..new.nargs as usize).map(|i| *new.arg_types.add(i));
        for ty in std::iter::once(new.rtype).chain(types) {
            if (*ty).size == 0 && lay_out(ty, ptr::null_mut()) != Status::Ok {
                return Status::BadTypedef;
            }
        }
        let Some(function) = Function::read(&raw const new) else { return Status::BadTypedef };
        if let Err(error) = Signature::parse(&function.prototype("f")) {
            crate::complain(&error);
            return Status::BadTypedef;
        }
        cif.write(new);
    }
    Status::Ok
}

/// Prepares the type of a function.
///
/// # Safety
/// As libffi's manual says: `cif` may be written to, `arg_types` are `nargs` types, which may be written to and live as long as the cif is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_prep_cif(
    cif: *mut Cif,
    abi: c_uint,
    nargs: c_uint,
    rtype: *mut Type,
    arg_types: *const *mut Type,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { prepare(cif, Cif { abi, nargs, arg_types, rtype, bytes: 0, flags: 0 }) }
}

/// Prepares the type of a call of a variadic function.
///
/// # Safety
/// As for [`ffi_prep_cif`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_prep_cif_var(
    cif: *mut Cif,
    abi: c_uint,
    fixed: c_uint,
    nargs: c_uint,
    rtype: *mut Type,
    arg_types: *const *mut Type,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        let status = prepare(cif, Cif { abi, nargs, arg_types, rtype, bytes: 0, flags: VARIADIC });
        let promoted = |ty: &Type| matches!(ty.kind, 13 | 15) || (ty.size >= 4 && ty.kind != 2);
        match status {
            Status::Ok if !(fixed..nargs).all(|i| promoted(&**arg_types.add(i as usize))) => Status::BadArgtype,
            status => status,
        }
    }
}

/// Lays out a struct, and says where its members are.
///
/// # Safety
/// `ty` is a struct, `offsets` has room for as many as it has members.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_get_struct_offsets(abi: c_uint, ty: *mut Type, offsets: *mut usize) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        match (abi, (*ty).kind) {
            (UNIX64, 13) => lay_out(ty, offsets),
            (UNIX64, _) => Status::BadTypedef,
            _ => Status::BadAbi,
        }
    }
}

macro_rules! statics {
    ($($name:ident: $kind:literal, $size:literal;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`")]
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals, reason = "the name is C's")]
            pub static $name: Type = Type { size: $size, alignment: $size, kind: $kind, elements: ptr::null() };
        )*
    };
}

statics! {
    ffi_type_void: 0, 1;
    ffi_type_float: 2, 4;
    ffi_type_double: 3, 8;
    ffi_type_longdouble: 4, 16;
    ffi_type_uint8: 5, 1;
    ffi_type_sint8: 6, 1;
    ffi_type_uint16: 7, 2;
    ffi_type_sint16: 8, 2;
    ffi_type_uint32: 9, 4;
    ffi_type_sint32: 10, 4;
    ffi_type_uint64: 11, 8;
    ffi_type_sint64: 12, 8;
    ffi_type_pointer: 14, 8;
    ffi_type_uint128: 16, 16;
    ffi_type_sint128: 17, 16;
}

/// The element of a complex type, and the end of the list.
#[repr(transparent)]
struct Elements([*mut Type; 2]);

// SAFETY: only read.
unsafe impl Sync for Elements {}

macro_rules! complex {
    ($($name:ident: $part:ident, $size:literal;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`")]
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals, reason = "the name is C's")]
            pub static $name: Type = {
                static ELEMENTS: Elements = Elements([(&raw const $part).cast_mut(), ptr::null_mut()]);
                Type { size: $size, alignment: $size / 2, kind: 15, elements: ELEMENTS.0.as_ptr() }
            };
        )*
    };
}

complex! {
    ffi_type_complex_float: ffi_type_float, 8;
    ffi_type_complex_double: ffi_type_double, 16;
    ffi_type_complex_longdouble: ffi_type_longdouble, 32;
}
