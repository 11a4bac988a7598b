//! Files that were read through before, and have not changed since.
//!
//! Hashing an artifact reads all of it, and makes the kernel map all of its pages: that is most of what opening takes. When the same file is opened
//! again, and nobody has written to it, the pages are those that were hashed.
//!
//! That nobody has written is told by the time of the inode's last change (`st_ctime`), which the kernel sets at every write and nobody can set
//! otherwise. Its clock has ticks: a write in the same tick as the last one leaves no trace. So a file that was changed just before it was
//! opened is hashed again the next time. Who writes through a shared mapping of the file is not always seen; he breaks what was opened before, too, and
//! [`Module::open`](crate::Module::open) tells him not to.
//!
//! The hash that is remembered is compared with the one that the file names, as if it had just been computed.

use std::collections::VecDeque;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long ago a file's last change must be, so that a later one has another time: that of the coarsest clock in use, of FAT, and some more.
const SETTLED: Duration = Duration::from_secs(3);
/// How many files are remembered, the latest ones.
const REMEMBERED: usize = 64;

/// What tells whether a file is the same, and as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    /// device and inode
    file: (u64, u64),
    len: u64,
    /// seconds since 1970 and nanoseconds
    modified: (i64, i64),
    /// the same, of the inode's last change
    changed: (i64, i64),
}

impl FileState {
    pub(crate) fn of(metadata: &Metadata) -> FileState {
        FileState {
            file: (metadata.dev(), metadata.ino()),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether every change from `now` on will show. It does not while the file's clock is ahead, nor without a clock.
    fn is_settled(&self, now: SystemTime) -> bool {
        let Ok(seconds) = u64::try_from(self.changed.0) else { return false };
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, self.changed.1 as u32);
        seconds > 0 && now.duration_since(changed).is_ok_and(|ago| ago > SETTLED)
    }
}

/// The files that are remembered, each with its hash: the latest last.
#[derive(Debug, Default)]
pub(crate) struct HashedFiles(Mutex<VecDeque<(FileState, u128)>>);

impl HashedFiles {
    /// The hash of a file in this state, if it was computed before.
    pub(crate) fn find(&self, state: FileState) -> Option<u128> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().rev().find(|(known, _)| *known == state).map(|(_, hash)| *hash)
    }

    /// Remembers the hash of a file that was in this state before it was hashed; `now` is not earlier than that, and not later than the
    /// hashing.
    pub(crate) fn remember(&self, state: FileState, now: SystemTime, hash: u128) {
        if !state.is_settled(now) {
            return;
        }
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|(known, _)| known.file != state.file);
        if files.len() == REMEMBERED {
            files.pop_front();
        }
        files.push_back((state, hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(inode: u64, changed: i64) -> FileState {
        FileState { file: (1, inode), len: 4096, modified: (5, 0), changed: (changed, 7) }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_file_is_known_as_long_as_nothing_of_it_changes() {
        let files = HashedFiles::default();
        files.remember(state(1, 100), at(104), 77);
        assert_eq!(files.find(state(1, 100)), Some(77));
        let others = [
            FileState { len: 4097, ..state(1, 100) },
            FileState { modified: (6, 0), ..state(1, 100) },
            FileState { changed: (100, 8), ..state(1, 100) },
            FileState { file: (2, 1), ..state(1, 100) },
            state(2, 100),
        ];
        assert!(others.iter().all(|&other| files.find(other).is_none()));
        // As it is now, not as it was.
        files.remember(state(1, 200), at(300), 78);
        assert_eq!((files.find(state(1, 100)), files.find(state(1, 200))), (None, Some(78)));
    }

    #[test]
    fn a_file_that_was_changed_just_now_is_not_remembered() {
        let files = HashedFiles::default();
        for (changed, now) in [(100, 100), (100, 103), (100, 90), (0, 1000), (-5, 1000)] {
            files.remember(state(1, changed), at(now), 77);
            assert_eq!(files.find(state(1, changed)), None, "changed at {changed}, opened at {now}");
        }
    }

    #[test]
    fn the_latest_files_are_remembered() {
        let files = HashedFiles::default();
        let many = REMEMBERED as u64 + 1;
        (0..many).for_each(|inode| files.remember(state(inode, 100), at(200), inode.into()));
        assert_eq!(files.find(state(0, 100)), None);
        assert!((1..many).all(|inode| files.find(state(inode, 100)) == Some(inode.into())));
    }
}
