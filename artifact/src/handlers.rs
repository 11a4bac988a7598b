//! The table that leads from a call that may throw to the handlers of its function.
//!
//! It is used where it lies in the mapped artifact, by binary search. All numbers are little-endian `u32`s. Code offsets are in bytes from
//! the start of `.text`.
//!
//! ```text
//!   number of calls
//!   for each call, sorted by the first:  code offset of its return address
//!                                        bytes from its function's stack pointer up to the frame pointer
//!                                        its first handler's number
//!   number of all handlers (the last call's end)
//!   for each handler:                    tag, an index in the module, or ALL
//!                                        code offset where it begins
//!                                        where the function keeps its vmctx during the call: a Place
//! ```
//!
//! A call's handlers end where those of the next one begin. They are tried in their order: the first whose tag is the exception's takes it.

/// In the place of a tag: a handler of any exception.
pub const ALL: u32 = u32::MAX;

/// Where a function keeps a value during a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// so many bytes above the stack pointer
    Stack(u32),
    /// in a callee-saved register, by its position in [`CALLEE_SAVED`](crate::frames::CALLEE_SAVED)
    Register(u8),
}

impl Place {
    /// Set in the word of a register; frames are smaller.
    const REGISTER: u32 = 1 << 31;

    fn encode(self) -> u32 {
        match self {
            Place::Stack(offset) => offset,
            Place::Register(position) => Place::REGISTER | u32::from(position),
        }
    }

    fn decode(word: u32) -> Option<Place> {
        if word & Place::REGISTER == 0 {
            return Some(Place::Stack(word));
        }
        let position = (word & !Place::REGISTER) as usize;
        (position < crate::frames::CALLEE_SAVED.len()).then_some(Place::Register(position as u8))
    }
}

/// A handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handler {
    /// The tag that it handles, by its index in the module; `None`: all.
    pub tag: Option<u32>,
    /// where it begins: code offset
    pub code: u32,
    /// where the function keeps its vmctx, in which the tag is found
    pub vmctx: Place,
}

/// A call that has handlers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call<H> {
    /// code offset of the return address
    pub return_address: u32,
    /// bytes from the function's stack pointer up to its frame pointer
    pub frame: u32,
    /// in the order in which they are tried
    pub handlers: H,
}

/// The calls that have handlers.
#[derive(Debug, Clone, Copy)]
pub struct HandlerTable<'a>(&'a [u8]);

/// Words of a call, and of a handler.
const RECORD: usize = 3;

impl<'a> HandlerTable<'a> {
    /// A table over its bytes.
    pub fn new(bytes: &'a [u8]) -> HandlerTable<'a> {
        HandlerTable(bytes)
    }

    /// Encodes calls, which are sorted by their return addresses. A module without handlers has an empty table.
    pub fn encode(calls: &[Call<Vec<Handler>>]) -> Vec<u8> {
        debug_assert!(calls.is_sorted_by_key(|call| call.return_address));
        if calls.is_empty() {
            return Vec::new();
        }
        let mut words = vec![calls.len() as u32];
        let mut first = 0;
        for call in calls {
            words.extend([call.return_address, call.frame, first]);
            first += call.handlers.len() as u32;
        }
        words.push(first);
        for handler in calls.iter().flat_map(|call| &call.handlers) {
            words.extend([handler.tag.unwrap_or(ALL), handler.code, handler.vmctx.encode()]);
        }
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.word(0).unwrap_or(0) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is as long as it says, with handlers that begin in a `.text` of so many bytes and are for so many tags.
    pub(crate) fn is_sound(&self, text_len: u64, tags: usize) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let calls = 1 + self.len() * RECORD;
        let Some(count) = self.word(calls) else { return false };
        let first = |call: usize| if call == self.len() { Some(count) } else { self.word(1 + call * RECORD + 2) };
        let handlers = calls + 1;
        let end = handlers + count as usize * RECORD;
        self.0.len() == 4 * end
            && (0..self.len()).all(|call| first(call) <= first(call + 1))
            && (handlers..end).step_by(RECORD).all(|at| {
                let tag = self.word(at).is_some_and(|tag| tag == ALL || (tag as usize) < tags);
                tag && self.word(at + 1).is_some_and(|code| u64::from(code) < text_len)
            })
    }

    fn word(&self, index: usize) -> Option<u32> {
        let start = index.checked_mul(4)?;
        Some(u32::from_le_bytes(self.0.get(start..start.checked_add(4)?)?.try_into().ok()?))
    }

    /// The call with this return address, if it has handlers.
    pub fn find(&self, return_address: u32) -> Option<Call<impl Iterator<Item = Handler> + use<'a>>> {
        let count = self.len();
        let call = |position: usize| 1 + position * RECORD;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.word(call(middle))? < return_address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low == count || self.word(call(low))? != return_address {
            return None;
        }
        let frame = self.word(call(low) + 1)?;
        let first = self.word(call(low) + 2)? as usize;
        // The end is the next call's first handler, or for the last call the number of all.
        let last = low + 1 == count;
        let end = self.word(call(low + 1) + if last { 0 } else { 2 })? as usize;
        let (table, handlers) = (*self, call(count) + 1);
        let handler = move |position: usize| {
            let at = handlers + position * RECORD;
            let tag = table.word(at)?;
            let vmctx = Place::decode(table.word(at + 2)?)?;
            Some(Handler { tag: (tag != ALL).then_some(tag), code: table.word(at + 1)?, vmctx })
        };
        Some(Call { return_address, frame, handlers: (first..end).map_while(handler) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<u8> {
        let handler = |tag, code| Handler { tag, code, vmctx: Place::Register(4) };
        HandlerTable::encode(&[
            Call { return_address: 10, frame: 32, handlers: vec![handler(Some(1), 50), handler(None, 60)] },
            Call { return_address: 20, frame: 48, handlers: vec![handler(Some(0), 70)] },
        ])
    }

    #[test]
    fn calls_are_found_with_their_own_handlers_in_order() {
        let bytes = table();
        let table = HandlerTable::new(&bytes);
        let found = |address| {
            let call = table.find(address)?;
            Some((call.frame, call.handlers.map(|h| (h.tag, h.code)).collect::<Vec<_>>()))
        };
        assert_eq!(found(10), Some((32, vec![(Some(1), 50), (None, 60)])));
        assert_eq!(found(20), Some((48, vec![(Some(0), 70)])));
        assert_eq!([0, 9, 11, 21].map(|a| found(a).is_some()), [false; 4]);
        assert!(HandlerTable::new(&HandlerTable::encode(&[])).find(10).is_none());
    }

    #[test]
    fn places_round_trip_and_a_register_that_is_none_is_refused() {
        for place in [Place::Stack(0), Place::Stack(4096), Place::Register(0), Place::Register(4)] {
            assert_eq!(Place::decode(place.encode()), Some(place));
        }
        assert_eq!(Place::decode(Place::Register(5).encode()), None);
    }

    #[test]
    fn a_sound_table_is_whole_and_stays_inside_the_code_and_the_tags() {
        let sound = |bytes: &[u8], text_len, tags| HandlerTable::new(bytes).is_sound(text_len, tags);
        let bytes = table();
        assert!(sound(&bytes, 71, 2) && sound(&[], 0, 0));
        assert!(!sound(&bytes, 70, 2), "a handler begins behind the code");
        assert!(!sound(&bytes, 71, 1), "a handler is for a tag that is not there");
        assert!((1..bytes.len()).all(|len| !sound(&bytes[..len], 71, 2)));
        assert!(!sound(&[255; 8], 71, 2));
        let mut swapped = bytes.clone();
        swapped[4 * 6] = 9;
        assert!(!sound(&swapped, 71, 2), "a call's first handler is behind the last");
    }

    #[test]
    fn damaged_tables_find_nothing_and_do_not_panic() {
        let bytes = table();
        for len in 0..bytes.len() {
            for address in [10, 20] {
                let _ = HandlerTable::new(&bytes[..len]).find(address).map(|call| call.handlers.count());
            }
        }
        assert!(HandlerTable::new(&[255; 8]).find(5).is_none());
    }
}
