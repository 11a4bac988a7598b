//! Which parts of an address range are free.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The gaps of a range: none touches another one. Each operation takes time in the logarithm of their number.
#[derive(Debug)]
pub(crate) struct Gaps {
    /// end by start
    by_start: BTreeMap<u64, u64>,
    /// (length, start)
    by_len: BTreeSet<(u64, u64)>,
}

impl Gaps {
    /// One gap.
    pub(crate) fn new(range: Range<u64>) -> Gaps {
        let mut gaps = Gaps { by_start: BTreeMap::new(), by_len: BTreeSet::new() };
        gaps.add(range.start, range.end);
        gaps
    }

    /// Takes `len` out of the smallest gap that has room; of equal ones, out of the lowest.
    pub(crate) fn take(&mut self, len: u64) -> Option<u64> {
        let &(_, start) = self.by_len.range((len, 0)..).next()?;
        self.take_at(start, len).then_some(start)
    }

    /// Takes `len` from the end of the highest gap that has room.
    pub(crate) fn take_high(&mut self, len: u64) -> Option<u64> {
        let (_, &end) = self.by_start.iter().rev().find(|&(&start, &end)| end - start >= len)?;
        self.take_at(end - len, len).then_some(end - len)
    }

    /// Takes this range, if all of it is free.
    pub(crate) fn take_at(&mut self, start: u64, len: u64) -> bool {
        let Some(wanted_end) = start.checked_add(len) else { return false };
        let Some((&gap_start, &gap_end)) = self.by_start.range(..=start).next_back() else { return false };
        if gap_end < wanted_end {
            return false;
        }
        self.remove(gap_start, gap_end);
        self.add(gap_start, start);
        self.add(wanted_end, gap_end);
        true
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&mut self, start: u64, len: u64) {
        let (mut start, mut end) = (start, start + len);
        if let Some((&before, &before_end)) = self.by_start.range(..start).next_back() {
            debug_assert!(before_end <= start, "given back twice");
            if before_end == start {
                self.remove(before, before_end);
                start = before;
            }
        }
        if let Some((&after, &after_end)) = self.by_start.range(start..).next() {
            debug_assert!(after >= end, "given back twice");
            if after == end {
                self.remove(after, after_end);
                end = after_end;
            }
        }
        self.add(start, end);
    }

    /// The length of the longest gap.
    pub(crate) fn longest(&self) -> u64 {
        self.by_len.last().map_or(0, |&(len, _)| len)
    }

    fn add(&mut self, start: u64, end: u64) {
        if start < end {
            self.by_start.insert(start, end);
            self.by_len.insert((end - start, start));
        }
    }

    fn remove(&mut self, start: u64, end: u64) {
        self.by_start.remove(&start);
        self.by_len.remove(&(end - start, start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_grows_together() {
        let mut gaps = Gaps::new(100..200);
        assert_eq!((gaps.take(10), gaps.take(10), gaps.take(10)), (Some(100), Some(110), Some(120)));
        gaps.give_back(110, 10);
        assert_eq!(gaps.take(20), Some(130));
        assert_eq!(gaps.take(5), Some(110), "the smallest gap that has room");
        gaps.give_back(110, 5);
        gaps.give_back(100, 10);
        gaps.give_back(120, 10);
        gaps.give_back(130, 20);
        assert_eq!(gaps.longest(), 100);
        assert_eq!(gaps.by_start.len(), 1);
    }

    #[test]
    fn places_are_taken_once() {
        let mut gaps = Gaps::new(0..100);
        assert!(gaps.take_at(40, 20));
        assert!(!gaps.take_at(59, 1) && !gaps.take_at(30, 11) && !gaps.take_at(90, 11) && !gaps.take_at(u64::MAX, 2));
        assert!(gaps.take_at(60, 1) && gaps.take_at(39, 1));
        assert_eq!(gaps.take_high(10), Some(90));
        assert_eq!(gaps.take_high(40), None);
        assert_eq!(gaps.take(39), Some(0));
    }

    /// Any order of taking and giving back leaves the gaps right: compared with a table of bytes.
    #[test]
    fn it_agrees_with_a_table_of_bytes() {
        let mut gaps = Gaps::new(0..256);
        let mut used = [false; 256];
        let mut taken: Vec<(u64, u64)> = Vec::new();
        let mut random = 12345u32;
        for _ in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (choice, len) = (random >> 30, u64::from(random >> 8 & 31) + 1);
            if choice == 0 && !taken.is_empty() {
                let (start, len) = taken.swap_remove((random as usize >> 4) % taken.len());
                gaps.give_back(start, len);
                used[start as usize..(start + len) as usize].fill(false);
                continue;
            }
            let start = match choice {
                1 => gaps.take(len),
                2 => gaps.take_high(len),
                _ => gaps.take_at(u64::from(random & 0xff), len).then_some(u64::from(random & 0xff)),
            };
            match start {
                Some(start) => {
                    let bytes = &mut used[start as usize..(start + len) as usize];
                    assert!(bytes.iter().all(|&b| !b));
                    bytes.fill(true);
                    taken.push((start, len));
                }
                None if choice == 3 => {}
                None => {
                    let longest = used.split(|&b| b).map(<[bool]>::len).max().unwrap_or(0) as u64;
                    assert!(longest < len);
                    assert_eq!(gaps.longest(), longest);
                }
            }
        }
    }
}
