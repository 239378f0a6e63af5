//! What lies in a watched folder: files that may be taken, those whose names say that they are being written, and
//! what is left alone.

use std::{
    ffi::OsString,
    fs::{DirEntry, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::config::{DONE, FAILED};

/// Ends of names under which programs write files that they rename later.
const UNFINISHED: [&str; 3] = [".part", ".tmp", ".crdownload"];

/// What tells that a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    /// Device and number of the file there.
    id: (u64, u64),
}

/// A file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) name: OsString,
    pub(super) stamp: Stamp,
}

/// A folder at one moment.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In the order in which they are taken: by time, then by name.
    pub(super) files: Vec<Entry>,
    /// Names of files that wait to be renamed.
    pub(super) unfinished: Vec<String>,
    /// What is left alone, and why.
    pub(super) strange: Vec<(OsString, &'static str)>,
}

impl Stamp {
    /// Of a regular file.
    pub(super) fn of(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            size: metadata.len(),
            modified: metadata.modified()?,
            id: (metadata.dev(), metadata.ino()),
        })
    }
}

impl Entry {
    /// The name for a person.
    pub(super) fn shown(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    /// Whether the name still leads to the file that was listed, unchanged.
    pub(super) fn is_unchanged(&self) -> bool {
        let found = std::fs::symlink_metadata(&self.path);
        found.is_ok_and(|found| {
            found.is_file() && Stamp::of(&found).is_ok_and(|stamp| stamp == self.stamp)
        })
    }
}

/// Lists a folder.
///
/// # Errors
/// The folder cannot be listed. A file that goes away meanwhile is left out.
pub(super) fn list(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) => add(&mut listing, &entry, &metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    listing.files.sort_by(|a, b| {
        let (first, second) = (a.stamp.modified, b.stamp.modified);
        first.cmp(&second).then_with(|| a.name.cmp(&b.name))
    });
    listing.unfinished.sort();
    Ok(listing)
}

/// Metadata of a directory entry is of the link itself, never of where it leads.
fn add(listing: &mut Listing, entry: &DirEntry, metadata: &Metadata) -> io::Result<()> {
    let name = entry.file_name();
    let kind = metadata.file_type();
    let why = match () {
        () if kind.is_dir() && (name == DONE || name == FAILED) => return Ok(()),
        () if kind.is_dir() => "it is a folder",
        () if kind.is_symlink() => "it is a symbolic link",
        () if !kind.is_file() => "it is no regular file",
        () if is_unfinished(&name.to_string_lossy()) => {
            listing.unfinished.push(name.to_string_lossy().into_owned());
            return Ok(());
        }
        () => {
            listing.files.push(Entry {
                path: entry.path(),
                name,
                stamp: Stamp::of(metadata)?,
            });
            return Ok(());
        }
    };
    listing.strange.push((name, why));
    Ok(())
}

fn is_unfinished(name: &str) -> bool {
    let lower = name.to_lowercase();
    name.starts_with('.') || UNFINISHED.iter().any(|end| lower.ends_with(end))
}
