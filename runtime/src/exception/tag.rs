//! Tags, and exceptions as the host sees them.

use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::gc::Object;
use crate::instance::InstanceData;
use crate::types::Layout;
use crate::value::Value;
use std::fmt;
use std::sync::Arc;
use wasmbridge_artifact::gc::{ObjectHead, VmTag, object};
use wasmbridge_artifact::vmctx::value_size;
use wasmbridge_artifact::{FuncType, ValType};

/// A tag: what tells one sort of exception from another. Two tags are the same if one is a clone of the other, or both are what an instance
/// exports or imports under one name; equal types do not make them the same.
#[derive(Clone)]
pub struct Tag(pub(crate) Arc<TagData>);

/// What a tag is.
///
/// # Layout
/// The `VmTag` comes first: exceptions point to it, and [`InstanceData::exception`] finds the whole by it.
///
/// # Movement
/// Never: it is counted.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct TagData {
    vm: VmTag,
    /// engine-wide id of its type
    pub(crate) type_id: u32,
    /// the types of its values, with the engine's type ids
    ty: FuncType,
    /// for messages
    name: String,
    pub(crate) engine: Engine,
}

// SAFETY: the pointer in `vm` is to a type of the engine, which the tag keeps alive and which does not change.
unsafe impl Send for TagData {}
// SAFETY: see above.
unsafe impl Sync for TagData {}

impl TagData {
    /// A tag of a function type without results.
    pub(crate) fn new(engine: &Engine, type_id: u32, name: String) -> Arc<TagData> {
        let types = engine.types();
        let ty = types.func(type_id).expect("a tag's type is a function's");
        // SAFETY: not null, since it is the type of a function; the registry lives as long as the engine.
        let info = unsafe { &*types.exception(type_id) }.info();
        Arc::new(TagData { vm: VmTag { info }, type_id, ty, name, engine: engine.clone() })
    }

    pub(crate) fn ty(&self) -> &FuncType {
        &self.ty
    }

    pub(crate) fn vm(&self) -> *const VmTag {
        &raw const self.vm
    }
}

impl Tag {
    /// A tag of the host's, for exceptions with values of these types; `name` is for messages. Modules import it if a linker
    /// [defines](crate::Linker::define_tag) it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a type that names one of a module's types.
    pub fn new(engine: &Engine, name: &str, values: &[ValType]) -> Result<Tag, Error> {
        if let Some(ty) = values.iter().find(|ty| ty.type_index().is_some()) {
            let message =
                format!("a tag of the host's cannot have values of the type {ty}: it names a type of a module");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let ty = FuncType { params: values.to_vec(), results: vec![] };
        Ok(Tag(TagData::new(engine, engine.types().func_id(&ty), name.to_owned())))
    }

    /// The name that messages use.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The types of its exceptions' values. A type index in one is the engine's.
    pub fn values(&self) -> &[ValType] {
        &self.0.ty.params
    }
}

impl PartialEq for Tag {
    fn eq(&self, other: &Tag) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tag {}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({} {})", self.0.name, self.0.ty)
    }
}

/// An exception that nobody in the guest has caught, or that a function of the host's throws ([`Stop::Throw`](crate::Stop::Throw), [`Instance::throw`](crate::Instance::throw)).
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    tag: Tag,
    values: Vec<Value>,
}

impl Exception {
    /// One with these values, to be thrown by a function of the host's.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if there are not as many values as the tag says, or of other types. Whether a reference is of the type that the tag
    /// says shows when it is thrown.
    pub fn new(tag: &Tag, values: Vec<Value>) -> Result<Exception, Error> {
        let alike = |(value, &ty): (&Value, &ValType)| match ty {
            ValType::Ref(_) => matches!(value.ty(), ValType::Ref(_)),
            ty => value.ty() == ty,
        };
        if values.len() != tag.values().len() || !values.iter().zip(tag.values()).all(alike) {
            let found: Vec<String> = values.iter().map(|value| value.ty().to_string()).collect();
            let message = format!("exceptions of {tag:?} cannot have the values ({})", found.join(", "));
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(Exception { tag: tag.clone(), values })
    }

    /// Its tag.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// Its values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

impl fmt::Display for Exception {
    /// The tag's name, and the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tag `{}` with (", self.tag.name())?;
        for (i, value) in self.values.iter().enumerate() {
            write!(f, "{}{value}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str(")")
    }
}

/// Writes a pointer into the body of a fresh exception: its tag.
pub(crate) fn set_tag(exception: Object, tag: *const VmTag) {
    // SAFETY: the first word of an exception's body is its tag.
    unsafe { field(exception, object::TAG as u32).cast::<*const VmTag>().write(tag) };
}

/// An exception's tag.
pub(crate) fn tag_of(exception: Object) -> *const VmTag {
    // SAFETY: as in `set_tag`.
    unsafe { field(exception, object::TAG as u32).cast::<*const VmTag>().read() }
}

/// A place in an object.
///
/// # Safety
/// The object has more than `offset` bytes.
unsafe fn field(object: Object, offset: u32) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { object.as_ptr().cast::<ObjectHead>().cast::<u8>().add(offset as usize) }
}

/// Where the values of an exception are in it.
fn offsets<'a>(exception: Object) -> &'a [u32] {
    match &crate::gc::type_of(exception).layout {
        Layout::Fields { offsets, .. } => offsets.as_slice(),
        Layout::Elements { .. } => unreachable!("an exception has fields"),
    }
}

impl InstanceData {
    /// Whether an exception of the host's can be thrown here.
    pub(crate) fn check_thrown(&self, exception: &Exception) -> Result<(), String> {
        let Exception { tag: Tag(tag), values } = exception;
        if !tag.engine.same(self.engine()) {
            return Err(format!("the tag `{}` of what it throws belongs to another engine", tag.name));
        }
        if let Some(ty) = tag.ty.params.iter().find(|ty| ty.type_index().is_some()) {
            return Err(format!(
                "it throws an exception whose tag `{}` has values of the type {ty}, of a module",
                tag.name
            ));
        }
        if let Some(i) = (0..values.len()).find(|&i| !self.accepts(&values[i], tag.ty.params[i])) {
            let (found, wanted) = (self.describe_value(&values[i]), tag.ty.params[i]);
            return Err(format!("value {} of what it throws is {found}, the tag says {wanted}", i + 1));
        }
        Ok(())
    }

    /// An exception of the host's as an object, to be thrown; why not, if it cannot be.
    pub(crate) fn thrown_by_host(&self, exception: &Exception) -> Result<Object, String> {
        self.check_thrown(exception)?;
        let Exception { tag: Tag(tag), values } = exception;
        let no_room = || format!("there is no room for an exception of the tag `{}`", tag.name);
        let heap = self.heap().clone();
        heap.keep_tag(tag);
        heap.without_collections(|| {
            let object = self.exception_new(tag.vm()).ok_or_else(no_room)?;
            for ((value, &ty), &offset) in values.iter().zip(&tag.ty.params).zip(offsets(object)) {
                let bits = self.bits(value, ty).ok_or_else(no_room)?.to_le_bytes();
                // SAFETY: the layout's places, in an object of this layout.
                unsafe { field(object, offset).copy_from_nonoverlapping(bits.as_ptr(), value_size(ty) as usize) };
            }
            Ok(object)
        })
    }

    /// An exception, for the host.
    pub(crate) fn exception(&self, exception: Object) -> Exception {
        let tag = tag_of(exception).cast::<TagData>();
        // SAFETY: tags of exceptions are held by an `Arc` as long as the heap lives: by members of the group, or by the heap itself.
        let tag = unsafe {
            Arc::increment_strong_count(tag);
            Arc::from_raw(tag)
        };
        let offsets = offsets(exception);
        let value = |(&ty, &offset): (&ValType, &u32)| {
            let mut bits = [0; 16];
            let size = value_size(ty) as usize;
            // SAFETY: the layout's places, in an object of this layout.
            unsafe { bits.as_mut_ptr().copy_from_nonoverlapping(field(exception, offset), size) };
            self.value(ty, u128::from_le_bytes(bits))
        };
        let values = tag.ty.params.iter().zip(offsets).map(value).collect();
        Exception { tag: Tag(tag), values }
    }
}
