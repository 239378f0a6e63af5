//! Files under construction that a killed process left behind on a local disk.
//!
//! A local write goes to `{name}#{digits}` beside its place and gets its name when it is whole; no listing
//! shows such a file and no path may name one. A process that is killed in between leaves it. Whether one
//! still grows cannot be told from its name, only from its age, which the caller judges. Other backends
//! have nothing of the kind: what an unfinished upload has sent to S3 is that store's to forget.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use boathouse_types::Timestamp;

use crate::{BackendConfig, Bucket, StorageError};

/// A file under construction, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// Where it is, from the bucket's root.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// When it last grew, by the file system's clock.
    pub modified: Timestamp,
    file: PathBuf,
}

impl Bucket {
    /// Files under construction of a local bucket, by name; none of any other.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when a folder cannot be read.
    pub async fn staged(&self) -> Result<Vec<StagedFile>, StorageError> {
        let BackendConfig::Local { root } = self.backend() else {
            return Ok(Vec::new());
        };
        let root = root.clone();
        self.on_disk("", move || {
            let mut found = Vec::new();
            collect(&root, &root, &mut found)?;
            found.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(found)
        })
        .await
    }

    /// Removes such a file, unless it has grown since it was listed. One that is gone is fine.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn discard_staged(&self, staged: &StagedFile) -> Result<(), StorageError> {
        let staged = staged.clone();
        let name = staged.name.clone();
        self.on_disk(&name, move || {
            let removed = match fs::symlink_metadata(&staged.file) {
                Ok(now) if modified(&now)? == staged.modified => fs::remove_file(&staged.file),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            }
        })
        .await
    }

    /// Runs a blocking step; its errors are those of this bucket.
    async fn on_disk<T: Send + 'static>(
        &self,
        path: &str,
        step: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let done = tokio::task::spawn_blocking(step).await;
        let done = done.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
        done.map_err(|error| StorageError::Unavailable {
            bucket: self.name().clone(),
            path: path.to_owned(),
            source: Arc::new(object_store::Error::Generic {
                store: "local",
                source: error.into(),
            }),
        })
    }
}

/// Looks through a folder and those below it. What vanishes meanwhile has got its name.
fn collect(root: &Path, folder: &Path, into: &mut Vec<StagedFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            about => about?,
        };
        let file = entry.path();
        if about.is_dir() {
            collect(root, &file, into)?;
        } else if about.is_file() && is_staged(&entry.file_name().to_string_lossy()) {
            let inside = file.strip_prefix(root).unwrap_or(&file);
            into.push(StagedFile {
                name: inside.display().to_string(),
                size: about.len(),
                modified: modified(&about)?,
                file,
            });
        }
    }
    Ok(())
}

/// Whether a file's name is `{name}#{digits}`.
fn is_staged(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, digits)| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn modified(about: &fs::Metadata) -> io::Result<Timestamp> {
    let since = about.modified()?.duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Ok(Timestamp::from_millis(
        i64::try_from(millis).unwrap_or(i64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use boathouse_types::BucketName;
    use bytes::Bytes;

    use super::*;
    use crate::BucketConfig;

    fn local(root: &Path) -> Bucket {
        let config = BucketConfig {
            name: BucketName::primary(),
            backend: BackendConfig::Local {
                root: root.to_owned(),
            },
        };
        Bucket::open(&config, &|_| None).unwrap()
    }

    #[tokio::test]
    async fn what_a_kill_leaves_is_found_and_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let bucket = local(folder.path());
        bucket.put("a/b/whole", Bytes::from("x")).await.unwrap();
        for name in ["a/b/whole#17", "a/torn#0", "#3", "a/b/note#x", "a/b/odd#"] {
            fs::write(folder.path().join(name), "1234").unwrap();
        }
        let staged = bucket.staged().await.unwrap();
        let names: Vec<_> = staged.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["#3", "a/b/whole#17", "a/torn#0"]);
        assert!(staged.iter().all(|file| file.size == 4));
        for file in &staged {
            bucket.discard_staged(file).await.unwrap();
            bucket.discard_staged(file).await.unwrap();
        }
        assert_eq!(bucket.staged().await.unwrap(), []);
        assert_eq!(bucket.get("a/b/whole").await.unwrap(), "x");
        assert!(folder.path().join("a/b/note#x").exists());
    }

    #[tokio::test]
    async fn one_that_has_grown_since_stays() {
        let folder = tempfile::tempdir().unwrap();
        let bucket = local(folder.path());
        let path = folder.path().join("x#1");
        fs::write(&path, "1").unwrap();
        let old = UNIX_EPOCH + std::time::Duration::from_secs(1_000);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        let staged = bucket.staged().await.unwrap();
        assert_eq!(staged[0].modified, Timestamp::from_millis(1_000_000));
        fs::write(&path, "12").unwrap();
        bucket.discard_staged(&staged[0]).await.unwrap();
        assert_eq!(bucket.staged().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn memory_has_none_and_a_lost_root_is_an_error() {
        let bucket = Bucket::memory(BucketName::primary());
        assert_eq!(bucket.staged().await.unwrap(), []);
        let folder = tempfile::tempdir().unwrap();
        let bucket = local(folder.path());
        drop(folder);
        let error = bucket.staged().await.unwrap_err();
        assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    }
}
