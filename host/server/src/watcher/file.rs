//! What is done with one file: a copy with its digest, and the move when it is over.
//!
//! The copy has no name, so nothing of it outlives the process, and it is given up when the file changes under
//! the reader's hands. A name that would lead elsewhere is not followed, and one that blocks (a pipe put in the
//! file's place) is not waited for. Nothing that lies in `done/` or `failed/` is ever replaced.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use boathouse_types::Timestamp;
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    config::{AfterIngest, DONE, FAILED},
    listing::{Entry, Stamp},
};

/// Bytes that are copied at once.
const BLOCK: usize = 1 << 20;
/// What follows the name of a file that could not be taken, for the reason.
const REASON: &str = ".reason.txt";

/// A file as it was when it was copied.
pub(super) struct Copy {
    /// The bytes, in a file without a name.
    pub(super) file: File,
    /// SHA-256 of the bytes.
    pub(super) digest: String,
}

/// Copies a file into `folder`; none when it is not what was listed any more. Blocks.
///
/// # Errors
/// The file cannot be read, or the copy cannot be written.
pub(super) fn copy(
    entry: &Entry,
    folder: &Path,
    stop: &CancellationToken,
) -> io::Result<Option<Copy>> {
    let mut source = match open(&entry.path) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !is_the_same(&source, entry)? {
        return Ok(None);
    }
    let mut file = tempfile::tempfile_in(folder)?;
    let (mut digest, mut block, mut copied) = (Sha256::new(), vec![0; BLOCK], 0_u64);
    loop {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let read = source.read(&mut block)?;
        if read == 0 {
            break;
        }
        digest.update(&block[..read]);
        file.write_all(&block[..read])?;
        copied += read as u64;
    }
    if copied != entry.stamp.size || !is_the_same(&source, entry)? {
        return Ok(None);
    }
    let digest = digest.finalize();
    Ok(Some(Copy {
        file,
        digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    }))
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true);
    match i32::try_from(flags.bits()) {
        Ok(flags) => options.custom_flags(flags).open(path),
        Err(_) => options.open(path),
    }
}

fn is_the_same(file: &File, entry: &Entry) -> io::Result<bool> {
    let metadata = file.metadata()?;
    Ok(metadata.is_file() && Stamp::of(&metadata)? == entry.stamp)
}

/// Does with a file that was taken what is configured; tells whether it is out of the way. One that has changed
/// since stays: it is another file now.
pub(super) fn finish(entry: &Entry, after: AfterIngest) -> io::Result<bool> {
    if !entry.is_unchanged() {
        return Ok(true);
    }
    match after {
        AfterIngest::Keep => return Ok(false),
        AfterIngest::Delete => std::fs::remove_file(&entry.path)?,
        AfterIngest::Move => {
            let folder = made(entry, DONE)?;
            std::fs::rename(&entry.path, free_name(&folder, &entry.name))?;
        }
    }
    Ok(true)
}

/// Moves a file that could not be taken to `failed/`, the reason beside it. The reason is written first: a kill in
/// between leaves the file where it is tried again.
pub(super) fn set_aside(entry: &Entry, why: &str, now: Timestamp) -> io::Result<()> {
    if !entry.is_unchanged() {
        return Ok(());
    }
    let folder = made(entry, FAILED)?;
    let target = free_name(&folder, &entry.name);
    let mut reason = target.clone().into_os_string();
    reason.push(REASON);
    std::fs::write(reason, format!("{now}: {why}\n"))?;
    std::fs::rename(&entry.path, target)
}

/// A folder beside the file, made when it is missing.
fn made(entry: &Entry, name: &str) -> io::Result<PathBuf> {
    let folder = entry.path.with_file_name(name);
    match std::fs::create_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(folder),
    }
}

/// A path for a file in a folder that nothing stands at, with a number before its extension if need be.
fn free_name(folder: &Path, name: &OsStr) -> PathBuf {
    let plain = folder.join(name);
    let (stem, extension) = (
        plain.file_stem().unwrap_or(name).to_owned(),
        plain.extension().map(OsStr::to_owned),
    );
    let numbered = (2_u64..).map(|number| {
        let mut name: OsString = stem.clone();
        name.push(format!("-{number}"));
        if let Some(extension) = &extension {
            name.push(".");
            name.push(extension);
        }
        folder.join(name)
    });
    std::iter::once(plain.clone())
        .chain(numbered)
        .find(|path| std::fs::symlink_metadata(path).is_err())
        .unwrap_or(plain)
}
