//! Machine code on the local disk, so that a component is compiled once and not at every start.
//!
//! One file a component and engine, named `{SHA-256}-{compatibility}.code`, in a folder that only this
//! user can enter. A file is written under another name, synced and renamed, so that a crash leaves no half
//! file under a good name; and it is checked whole when it is read. Nothing here is needed: a cache that
//! fails costs time, never an answer. Files for other engines and leftovers go at start; beyond
//! [`MOST_BYTES`] the ones that were read longest ago go.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::SystemTime,
};

use super::sealed::{Purpose, Sealed};

/// Bytes that the folder may hold: some hundred components of ordinary size.
const MOST_BYTES: u64 = 1 << 30;
const CODE: &str = "code";
const PART: &str = "part";

/// A folder of machine code for one engine.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    most_bytes: u64,
    /// Distinguishes files under way.
    next: AtomicU64,
}

impl Cache {
    /// Makes the folder private and drops what no load can use any more.
    pub(super) fn open(folder: &Path, compatibility: u64) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let found = fs::symlink_metadata(folder)?;
        if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("the folder belongs to another user"));
        }
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        let cache = Self {
            folder: folder.to_owned(),
            most_bytes: MOST_BYTES,
            next: AtomicU64::new(0),
        };
        cache.drop_useless(compatibility)?;
        Ok(cache)
    }

    /// The code for a purpose, when it is there and whole.
    pub(super) fn get(&self, purpose: Purpose) -> Option<Sealed> {
        let path = self.path(purpose);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                let component = purpose.component;
                tracing::warn!(%component, %error, "compiled code cannot be read and is made again");
                return None;
            }
        }
        Sealed::open(bytes, purpose)
            .inspect_err(|error| {
                let component = purpose.component;
                tracing::warn!(%component, %error, "compiled code is not usable and is made again");
            })
            .ok()
    }

    /// Keeps the code for a purpose.
    pub(super) fn put(&self, purpose: Purpose, sealed: &Sealed) {
        let kept = self
            .write(purpose, sealed.bytes())
            .and_then(|()| self.shrink(purpose));
        if let Err(error) = kept {
            let component = purpose.component;
            tracing::warn!(%component, %error, "compiled code is not kept");
        }
    }

    /// Forgets the code for a purpose.
    pub(super) fn remove(&self, purpose: Purpose) {
        let _gone = fs::remove_file(self.path(purpose));
    }

    fn path(&self, purpose: Purpose) -> PathBuf {
        let name = format!("{}{}", purpose.component, suffix(purpose.compatibility));
        self.folder.join(name)
    }

    fn write(&self, purpose: Purpose, bytes: &[u8]) -> io::Result<()> {
        let number = self.next.fetch_add(1, Relaxed);
        let process = std::process::id();
        let part = self.folder.join(format!("{process}-{number}.{PART}"));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&part, self.path(purpose)));
        if written.is_err() {
            let _gone = fs::remove_file(&part);
        }
        written
    }

    /// Removes files for other engines, and files that a process left unfinished.
    fn drop_useless(&self, compatibility: u64) -> io::Result<()> {
        let ours = suffix(compatibility);
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let of_a_cache =
                name.ends_with(&format!(".{CODE}")) || name.ends_with(&format!(".{PART}"));
            if of_a_cache && !name.ends_with(&ours) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes what was read longest ago until the rest fits, the newest file excepted.
    fn shrink(&self, newest: Purpose) -> io::Result<()> {
        let newest = self.path(newest);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().extension().is_none_or(|name| name != CODE) {
                continue;
            }
            let data = entry.metadata()?;
            let read = data.accessed().unwrap_or(SystemTime::UNIX_EPOCH);
            let used = read.max(data.modified()?);
            files.push((used, entry.path(), data.len()));
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
        for (_, path, bytes) in files.iter().filter(|(_, path, _)| *path != newest) {
            if total <= self.most_bytes {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }
}

/// End of the names of files for an engine.
fn suffix(compatibility: u64) -> String {
    format!("-{compatibility:016x}.{CODE}")
}

#[cfg(test)]
mod tests {
    use std::fs::FileTimes;

    use super::{super::sealed::header, *};
    use crate::digest::Digest;

    const COMPATIBILITY: u64 = 0xabc;

    fn purpose(mark: u8) -> Purpose {
        Purpose {
            compatibility: COMPATIBILITY,
            component: Digest([mark; 32]),
        }
    }

    fn sealed(mark: u8, code: &[u8]) -> Sealed {
        let mut bytes = header(purpose(mark), code);
        bytes.extend(code);
        Sealed::open(bytes, purpose(mark)).expect("whole")
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().into())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_put_is_got_by_this_engine_only() {
        let folder = tempfile::tempdir().expect("folder");
        let cache = Cache::open(folder.path(), COMPATIBILITY).expect("cache");
        assert!(cache.get(purpose(1)).is_none());
        cache.put(purpose(1), &sealed(1, b"code"));
        assert_eq!(cache.get(purpose(1)).expect("kept").code(), b"code");
        assert!(cache.get(purpose(2)).is_none(), "other component");
        let name = format!("{}-0000000000000abc.code", "01".repeat(32));
        assert_eq!(names(folder.path()), [name]);

        let again = Cache::open(folder.path(), COMPATIBILITY).expect("cache");
        assert!(again.get(purpose(1)).is_some(), "after a restart");
        Cache::open(folder.path(), 0xdef).expect("cache");
        assert!(names(folder.path()).is_empty(), "useless files are gone");
    }

    #[test]
    fn damage_is_a_miss() {
        let folder = tempfile::tempdir().expect("folder");
        let cache = Cache::open(folder.path(), COMPATIBILITY).expect("cache");
        cache.put(purpose(1), &sealed(1, b"code"));
        let path = cache.path(purpose(1));
        let whole = fs::read(&path).expect("file");
        for length in [0, 10, whole.len() - 1] {
            fs::write(&path, &whole[..length]).expect("written");
            assert!(cache.get(purpose(1)).is_none());
        }
        cache.put(purpose(1), &sealed(1, b"code"));
        assert!(cache.get(purpose(1)).is_some(), "made again");
        cache.remove(purpose(1));
        assert!(cache.get(purpose(1)).is_none());
    }

    #[test]
    fn folder_and_files_are_private() {
        let outer = tempfile::tempdir().expect("folder");
        let folder = outer.path().join("cache/plugins");
        fs::create_dir_all(&folder).expect("folder");
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("mode");
        let cache = Cache::open(&folder, COMPATIBILITY).expect("cache");
        cache.put(purpose(1), &sealed(1, b"code"));
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&cache.path(purpose(1))), 0o600);
    }

    #[test]
    fn leftovers_go_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["1-2.part", "a-0000000000000def.code", "notes.txt"] {
            fs::write(folder.path().join(name), "x").expect("file");
        }
        Cache::open(folder.path(), COMPATIBILITY).expect("cache");
        assert_eq!(names(folder.path()), ["notes.txt"]);
    }

    #[test]
    fn the_folder_is_no_file_and_no_link() {
        let outer = tempfile::tempdir().expect("folder");
        let file = outer.path().join("file");
        fs::write(&file, "x").expect("file");
        assert!(Cache::open(&file, COMPATIBILITY).is_err());
        let link = outer.path().join("link");
        std::os::unix::fs::symlink(outer.path(), &link).expect("link");
        assert!(Cache::open(&link, COMPATIBILITY).is_err());
    }

    #[test]
    fn beyond_its_bound_the_least_recently_used_goes() {
        let folder = tempfile::tempdir().expect("folder");
        let mut cache = Cache::open(folder.path(), COMPATIBILITY).expect("cache");
        for (age, mark) in [(3, 1), (1, 2), (2, 3)] {
            cache.put(purpose(mark), &sealed(mark, &[0; 1_000]));
            let past = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(10 - age);
            let file = File::options().write(true).open(cache.path(purpose(mark)));
            let times = FileTimes::new().set_accessed(past).set_modified(past);
            file.and_then(|file| file.set_times(times)).expect("times");
        }
        cache.most_bytes = 2_500;
        cache.put(purpose(4), &sealed(4, &[0; 1_000]));
        let kept = [1, 2, 3, 4].map(|mark| cache.path(purpose(mark)).exists());
        assert_eq!(kept, [false, true, false, true]);
    }
}
