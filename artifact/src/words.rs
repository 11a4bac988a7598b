//! Lists of indices in metadata, as the bytes of little-endian numbers: a list is read in one piece, where `postcard` reads number
//! by number. With thousands of functions that is most of the time that reading metadata takes.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

pub(crate) fn serialize<S: Serializer>(list: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = list.iter().flat_map(|word| word.to_le_bytes()).collect();
    serializer.serialize_bytes(&bytes)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let (words, rest) = <&[u8]>::deserialize(deserializer)?.as_chunks();
    match rest {
        [] => Ok(words.iter().map(|&word| u32::from_le_bytes(word)).collect()),
        _ => Err(D::Error::custom("a list of indices ends within one")),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct List(#[serde(with = "super")] Vec<u32>);

    #[test]
    fn lists_come_back_and_half_numbers_are_refused() {
        for list in [vec![], vec![7], vec![0, u32::MAX, 0x0102_0304]] {
            let list = List(list);
            let bytes = postcard::to_stdvec(&list).unwrap();
            assert_eq!(postcard::from_bytes::<List>(&bytes).unwrap(), list);
        }
        for damaged in [&[3, 1, 2, 3][..], &[5, 1, 2, 3, 4, 5], &[8, 1, 2, 3, 4], &[]] {
            assert!(postcard::from_bytes::<List>(damaged).is_err(), "{damaged:?}");
        }
    }
}
