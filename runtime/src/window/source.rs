//! What a native range is, and how it can be shown.

use super::{Rights, WindowOptions};
use crate::code::registry::{self, Reader};
use crate::error::{Error, ErrorKind};
use crate::os::native::{self, Area};
use std::ops::Range;
use wasmbridge_artifact::vmctx::HOST_PAGE;

/// The end of the addresses that a process can have, on x86-64 with four levels of page tables.
const ADDRESS_END: usize = 1 << 47;

/// A native range whose pages are all there and allow what is asked for.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) native: usize,
    pub(crate) len: usize,
    /// the whole pages around it
    pub(crate) pages: Range<usize>,
    /// the mappings that the pages are in, without a gap
    pub(crate) areas: Vec<Area>,
    pub(crate) plan: Plan,
}

/// How it can be shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// its mappings are shared: they are mapped again
    Alias,
    /// they are private: they are moved into a file first
    Adopt,
    /// only as a copy; why
    Copy(String),
}

/// Looks at a native range. An error if the process cannot itself do there what the app is to do.
pub(crate) fn look_at(native: usize, len: usize, rights: Rights, options: &WindowOptions) -> Result<Source, Error> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
    if len == 0 {
        return invalid("a window of 0 bytes".to_owned());
    }
    let Some(end) = native.checked_add(len).filter(|&end| end <= ADDRESS_END) else {
        return invalid(format!("{len} bytes at {native:#x} reach beyond the address space"));
    };
    let page = HOST_PAGE as usize;
    let pages = native & !(page - 1)..end.next_multiple_of(page);
    let found = native::areas(&pages).map_err(|e| Error::os("cannot see what the process has mapped", e))?;
    let Some(areas) = found else {
        return invalid(format!("not all of the {len} bytes at {native:#x} are mapped"));
    };
    if areas.iter().any(|area| !area.readable) {
        return invalid(format!("not all of the {len} bytes at {native:#x} are readable"));
    }
    if rights.can_write() && areas.iter().any(|area| !area.writable) {
        return invalid(format!(
            "the host itself cannot write to all of the {len} bytes at {native:#x}: ask for read-only"
        ));
    }
    let plan = plan(native, end, &pages, &areas, options);
    Ok(Source { native, len, pages, areas, plan })
}

fn plan(native: usize, end: usize, pages: &Range<usize>, areas: &[Area], options: &WindowOptions) -> Plan {
    if options.right_aligned && end != pages.end {
        return Plan::Copy(format!("it ends {} bytes before the end of a page", pages.end - end));
    }
    if (native != pages.start || end != pages.end) && !options.expose_neighbours {
        let (before, after) = (native - pages.start, pages.end - end);
        return Plan::Copy(format!("its pages hold other data too ({before} bytes before it, {after} behind it)"));
    }
    let refuse = |why: &str| Plan::Copy(why.to_owned());
    if areas.iter().any(|area| area.executable) {
        return refuse("it is in executable memory");
    }
    if areas.iter().any(|area| area.page_size != HOST_PAGE) {
        return refuse("it is in memory with huge pages");
    }
    if areas.iter().all(|area| area.shared) {
        return Plan::Alias;
    }
    if areas.iter().any(|area| area.shared) {
        return refuse("a part of it is in a shared mapping and a part is not; map them one by one");
    }
    if options.no_adoption {
        return refuse("its pages are private to the process, and are not to be adopted");
    }
    let reader = Reader::new();
    if let Some(registry::Range::Memory(_)) = reader.find(native) {
        return refuse("it is in the memory of an app; use a region");
    }
    if native::has_stack(pages) {
        return refuse("it is on a stack");
    }
    Plan::Adopt
}

impl Source {
    /// The mappings, each cut to the pages.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let pages = &self.pages;
        self.areas.iter().map(|a| a.pages.start.max(pages.start)..a.pages.end.min(pages.end))
    }

    /// How its error says that it cannot be shown in place.
    pub(crate) fn refused(&self, why: &str) -> Error {
        let (len, native) = (self.len, self.native);
        let message = format!(
            "{len} bytes at {native:#x} cannot be shown in place: {why}; allow a copy, or let them have pages of their own"
        );
        Error::new(ErrorKind::InvalidArgument, message)
    }
}
