//! Maps whose keys are addresses or texts of the host's, or numbers that it gives out: nobody who is not trusted chooses them to collide, so they are mixed in a
//! few instructions.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by addresses of the host's.
pub(crate) type AddressMap<K, V> = HashMap<K, V, BuildHasherDefault<AddressHasher>>;

/// Fibonacci hashing (Knuth, volume 3, 6.4).
#[derive(Debug, Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|&word| self.write_u64(u64::from_le_bytes(word)));
        // The last eight bytes again, whole: what a text ends with.
        match bytes.last_chunk::<8>() {
            Some(&word) => self.write_u64(u64::from_le_bytes(word)),
            None => rest.iter().for_each(|&byte| self.write_u64(byte.into())),
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        // A map looks at the highest bits and at the lowest.
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}
