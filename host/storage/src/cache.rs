//! A folder of this machine with files that can be made again, each written once, sealed and mapped.
//!
//! What is here is a copy of what a bucket has, in the form in which it is used. So a file that is missing,
//! damaged or from another version is no error: whoever asks gets nothing, a damaged file is deleted and named in
//! the log, and the caller makes it anew. Nor is a disk that is full.
//!
//! A file is written beside its place under a name with `#`, sealed with checksums (`cache/seal.rs`), synced, made
//! read-only and renamed. It is never changed afterwards: another file takes its place, or it is unlinked, and who
//! has mapped it keeps what he has. Before a file is mapped all of it is read and compared with its seal, so that a
//! disk which cannot read it says so to a read, and what was read is in memory anyway.
//!
//! One host owns the folder, by the lock of its data folder. Should somebody else cut a file short while it is
//! mapped, or the disk fail under it later, then the process is killed by the system (SIGBUS) when it looks there;
//! there is no way to go on with a part of its memory missing. The next start finds the file damaged and makes it
//! anew.
//!
//! Calls block; nothing here knows what is in the files.

mod seal;

use std::{
    fmt::Display,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use boathouse_types::{IndexName, Timestamp};
use bytes::Bytes;

use crate::id;

/// What stands between the name and the digits of a file under construction.
const UNFINISHED: char = '#';

/// A folder of files that can be made again. Clones are the same folder.
#[derive(Debug, Clone)]
pub struct FileCache {
    folder: PathBuf,
}

impl FileCache {
    /// The cache in a folder, which need not exist.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Deletes what a killed process left half written, here and in the folders of indexes. For the start, when
    /// nobody writes.
    pub fn delete_unfinished(&self) {
        let folders = self.folders().into_iter().map(|name| Self {
            folder: self.folder.join(name),
        });
        for cache in folders.chain([self.clone()]) {
            for name in cache.names() {
                if name.contains(UNFINISHED) {
                    cache.delete(&name);
                }
            }
        }
    }

    /// The files of an index.
    #[must_use]
    pub fn of_index(&self, index: &IndexName) -> Self {
        Self {
            folder: self.folder.join(index.as_str()),
        }
    }

    /// What `read` makes of a file, whose bytes are mapped for as long as anybody holds them. None when there is no
    /// such file; one that is damaged, or that `read` refuses, is deleted.
    pub fn get<T, E: Display>(
        &self,
        name: &str,
        read: impl FnOnce(Bytes) -> Result<T, E>,
    ) -> Option<T> {
        let path = self.path(name)?;
        let why = match seal::open(&path) {
            Ok(None) => return None,
            Ok(Some(bytes)) => match read(bytes) {
                Ok(found) => return Some(found),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        tracing::warn!(file = %path.display(), %why, "a local copy cannot be used; it is deleted and made anew");
        self.delete(name);
        None
    }

    /// Writes a file in the place of the one of that name, if there is one. False when that is not possible, which
    /// is logged: then there is no such file, or the one of before.
    pub fn put(&self, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> bool {
        let Some(path) = self.path(name) else {
            return false;
        };
        let unfinished = format!("{name}{UNFINISHED}{}", id::nonce().as_u128());
        let beside = self.folder.join(&unfinished);
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| seal::write(&beside, write))
            .and_then(|()| fs::rename(&beside, &path))
            .and_then(|()| sync_folder(&self.folder));
        if let Err(error) = written {
            tracing::warn!(file = %path.display(), %error, "no local copy can be kept; what it would hold stays in memory");
            self.delete(&unfinished);
            return false;
        }
        true
    }

    /// Deletes the files whose names are not kept.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        for name in self.names() {
            if !name.contains(UNFINISHED) && !keep(&name) {
                self.delete(&name);
            }
        }
    }

    /// Deletes the folders of indexes whose names are not kept.
    pub fn retain_indexes(&self, keep: impl Fn(&str) -> bool) {
        for name in self.folders() {
            if !keep(&name) {
                gone(&self.folder.join(&name), |path| fs::remove_dir_all(path));
            }
        }
    }

    /// Deletes the folders of indexes in which no file was written since a time and whose names are not kept.
    pub fn retain_recent(&self, since: Timestamp, keep: impl Fn(&str) -> bool) {
        for name in self.folders() {
            let folder = self.folder.join(&name);
            if !is_recent(&folder, since) && !keep(&name) {
                gone(&folder, |path| fs::remove_dir_all(path));
            }
        }
    }

    /// Names of the files, those under construction among them; in no order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.entries(|kind| kind.is_file())
    }

    /// Names of the folders in the folder.
    fn folders(&self) -> Vec<String> {
        self.entries(|kind| kind.is_dir())
    }

    fn entries(&self, wanted: impl Fn(fs::FileType) -> bool) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let wanted = entries.filter(|entry| entry.file_type().is_ok_and(&wanted));
        let names = wanted.map(|entry| entry.file_name().into_string());
        names.filter_map(Result::ok).collect()
    }

    fn delete(&self, name: &str) {
        gone(&self.folder.join(name), |path| fs::remove_file(path));
    }

    /// Where a file lies; none for a name that is no plain one.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=128).contains(&name.len()) && !name.starts_with('.');
        (fits && name.bytes().all(plain)).then(|| self.folder.join(name))
    }
}

/// Whether a file of a folder was written since a time. What the system does not tell counts as recent.
fn is_recent(folder: &Path, since: Timestamp) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut written = entries.map(|entry| entry.metadata().and_then(|file| file.modified()));
    written.any(|written| {
        let age = written.map(|written| written.duration_since(UNIX_EPOCH));
        let Ok(Ok(age)) = age else { return true };
        i64::try_from(age.as_millis()).is_ok_and(|millis| millis >= since.millis())
    })
}

/// Removes something that may be gone already.
fn gone(path: &Path, remove: impl FnOnce(&Path) -> io::Result<()>) {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a local copy that nobody needs cannot be deleted");
        }
        _ => {}
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
