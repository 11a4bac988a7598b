//! Writing a file whole or not at all.

use anyhow::Context;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path`: to a new file beside it, which then takes its place. Whoever opens `path` finds the old
/// content or the new, also when the disk fills up or the process is killed; what has the old one mapped keeps it.
///
/// Something that is not a file (`/dev/null`, a pipe) is written to as it is.
///
/// # Errors
/// The operating system's words; `path` is then as it was.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = match fs::metadata(path) {
        Ok(found) if !found.is_file() => File::options().write(true).open(path).and_then(|mut f| f.write_all(bytes)),
        _ => replace(path, bytes),
    };
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path)?;
    let result = File::options().write(true).create_new(true).open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if result.is_err() {
        // The first error is the one to report; the file may not even exist.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// A name in the same directory, so that the rename stays in one file system.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is not a file's name"))?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    Ok(path.with_file_name(temporary))
}
