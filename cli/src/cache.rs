//! Compiled programs, kept for the next time.
//!
//! An artifact is native code that will be run: so the directory is the user's alone, and a name in it is a cryptographic hash of
//! everything that the artifact was made from. A file appears in one piece, under its final name, so any number of processes may
//! compile the same program at once; the last one stays.

use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// More than this many bytes are not kept: what was not used for longest goes.
const CAPACITY: u64 = 1 << 30;
/// What a process that was killed has left unfinished goes after this time.
const UNFINISHED: Duration = Duration::from_secs(24 * 3600);

/// The cache of this user.
pub(crate) struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// `wasmbridge` in the user's directory for such things: `$XDG_CACHE_HOME`, or `~/.cache`. `None` if there is none that can be trusted;
    /// programs are then compiled each time.
    pub(crate) fn open() -> Option<Cache> {
        let directory = dirs::cache_dir()?.join("wasmbridge");
        // What cannot be made is found missing below.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        let found = fs::metadata(&directory).ok()?;
        // SAFETY: it has no preconditions.
        let me = unsafe { libc::geteuid() };
        if found.uid() != me || found.mode() & 0o022 != 0 {
            eprintln!("warning: the cache {} is not used: others may write to it", directory.display());
            return None;
        }
        Some(Cache { directory })
    }

    /// Where the artifact of a module is, once it is kept. `settings` is all that it depends on beside the module.
    pub(crate) fn place(&self, wasm: &[u8], settings: &str) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(settings);
        // Who develops the compiler has many of the same version.
        if let Some(program) = std::env::current_exe().and_then(fs::metadata).ok().map(|m| identity(&m)) {
            hash.update(program);
        }
        hash.update(b"\0");
        hash.update(wasm);
        let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(name + ".wbm")
    }

    /// Notes that an artifact was used.
    pub(crate) fn used(&self, kept: &Path) {
        // Only the order in which artifacts go depends on it.
        let _ = File::open(kept).and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// Keeps an artifact.
    pub(crate) fn keep(&self, place: &Path, artifact: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".unfinished-").tempfile_in(&self.directory)?;
        file.write_all(artifact)?;
        file.persist(place)?;
        self.trim(CAPACITY)
    }

    /// Removes what was not used for longest, until no more than so many bytes are left.
    fn trim(&self, capacity: u64) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // Another process may have removed it.
            let Ok(found) = entry.metadata() else { continue };
            let used = found.modified()?;
            if entry.file_name().to_string_lossy().starts_with(".unfinished-") {
                if used.elapsed().is_ok_and(|age| age > UNFINISHED) {
                    let _ = fs::remove_file(entry.path());
                }
            } else {
                kept.push((used, found.len(), entry.path()));
            }
        }
        kept.sort_by_key(|&(used, ..)| std::cmp::Reverse(used));
        let mut total = 0;
        for (_, len, path) in kept {
            total += len;
            if total > capacity {
                // Who has it mapped keeps it.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

/// What changes when a program is built anew.
fn identity(program: &Metadata) -> String {
    format!("{} {} {}.{}", program.ino(), program.len(), program.mtime(), program.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache { directory: directory.path().to_owned() };
        (directory, cache)
    }

    #[test]
    fn the_place_depends_on_module_and_settings() {
        let (_directory, cache) = cache();
        let place = cache.place(b"module", "settings");
        assert_eq!(place, cache.place(b"module", "settings"));
        assert_ne!(place, cache.place(b"modulf", "settings"));
        assert_ne!(place, cache.place(b"module", "setting"));
    }

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let (directory, cache) = cache();
        for (name, age) in
            [("old", 300), ("middle", 200), ("new", 100), (".unfinished-x", 100), (".unfinished-y", 200_000)]
        {
            let file = File::create(directory.path().join(name)).unwrap();
            file.set_len(10).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        cache.used(&directory.path().join("old"));
        cache.trim(20).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [".unfinished-x", "new", "old"]);
    }

    #[test]
    fn an_artifact_is_kept_in_one_piece() {
        let (directory, cache) = cache();
        let place = cache.place(b"module", "settings");
        cache.keep(&place, b"first").unwrap();
        cache.keep(&place, b"second").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"second");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
