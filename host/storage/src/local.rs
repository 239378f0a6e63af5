//! A folder of this machine as an object store whose acknowledged writes survive a power cut.
//!
//! `object_store`'s own `LocalFileSystem` replaces files atomically but never syncs them. This store
//! writes an object beside its place, syncs it, links or renames it into place, and syncs the folder (and
//! any folder it had to create) before it answers. Reads and listings are `LocalFileSystem`'s. Parts of
//! a multipart upload are synced when it completes. Deletions are not synced: nothing here depends on
//! one lasting. A killed process may leave `name#digits` files, which listings do not show.
//!
//! The root itself is never created here: when it is gone (a disk that is not mounted), everything fails,
//! instead of an empty bucket being started in its place or its objects being missed one by one.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart, local::LocalFileSystem, path::Path as ObjectPath,
};

use crate::id;

/// See the module's text.
#[derive(Debug, Clone)]
pub(crate) struct DurableFileSystem {
    files: LocalFileSystem,
    disk: Arc<Disk>,
}

impl DurableFileSystem {
    /// The store over an existing folder.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let root = root.canonicalize().map_err(|e| failed(root, e))?;
        Ok(Self {
            files: LocalFileSystem::new_with_prefix(&root)?,
            disk: Arc::new(Disk {
                root,
                folders: Mutex::new(()),
            }),
        })
    }

    /// Runs a blocking step on the disk.
    async fn on_disk(
        &self,
        path: PathBuf,
        step: impl FnOnce(&Disk, &Path) -> io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let disk = Arc::clone(&self.disk);
        tokio::task::spawn_blocking(move || step(&disk, &path).map_err(|e| failed(&path, e)))
            .await?
    }
}

#[async_trait]
impl ObjectStore for DurableFileSystem {
    async fn put_opts(
        &self,
        location: &ObjectPath,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let publish = match options.mode {
            PutMode::Create if options.attributes.is_empty() => Publish::Create,
            PutMode::Overwrite if options.attributes.is_empty() => Publish::Replace,
            // Updates and attributes: refused there with the fitting error.
            _ => return self.files.put_opts(location, payload, options).await,
        };
        let path = self.files.path_to_filesystem(location)?;
        self.on_disk(path, move |disk, path| disk.write(path, &payload, publish))
            .await?;
        // With another writer at the same moment this may be the other's tag or none; nothing hangs on it,
        // as this store has no updates conditional on a tag.
        let e_tag = self
            .files
            .head(location)
            .await
            .ok()
            .and_then(|meta| meta.e_tag);
        Ok(PutResult {
            e_tag,
            version: None,
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.files.path_to_filesystem(location)?;
        self.on_disk(path.clone(), Disk::make_folders).await?;
        Ok(Box::new(DurableUpload {
            parts: self.files.put_multipart_opts(location, options).await?,
            store: self.clone(),
            path,
        }))
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        let found = self.files.get_opts(location, options).await;
        found.map_err(|error| self.disk.judge(error))
    }

    async fn get_ranges(&self, location: &ObjectPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let found = self.files.get_ranges(location, ranges).await;
        found.map_err(|error| self.disk.judge(error))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        let disk = Arc::clone(&self.disk);
        let deleted = self.files.delete_stream(locations);
        deleted.map_err(move |error| disk.judge(error)).boxed()
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.disk.root_present() {
            Ok(()) => self.files.list(prefix),
            Err(error) => {
                let error = failed(&self.disk.root, error);
                futures::stream::once(async { Err(error) }).boxed()
            }
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.disk
            .root_present()
            .map_err(|e| failed(&self.disk.root, e))?;
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<()> {
        let path = self.files.path_to_filesystem(to)?;
        self.on_disk(path.clone(), Disk::make_folders).await?;
        self.files.copy_opts(from, to, options).await?;
        self.on_disk(path, |_, path| sync_in_place(path)).await
    }

    async fn rename_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: RenameOptions,
    ) -> Result<()> {
        let path = self.files.path_to_filesystem(to)?;
        self.on_disk(path.clone(), Disk::make_folders).await?;
        self.files.rename_opts(from, to, options).await?;
        self.on_disk(path, |_, path| sync_in_place(path)).await
    }
}

impl fmt::Display for DurableFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableFileSystem({})", self.disk.root.display())
    }
}

/// A multipart upload whose completion is synced.
#[derive(Debug)]
struct DurableUpload {
    parts: Box<dyn MultipartUpload>,
    store: DurableFileSystem,
    path: PathBuf,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.parts.complete().await?;
        let path = self.path.clone();
        self.store
            .on_disk(path, |_, path| sync_in_place(path))
            .await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.abort().await
    }
}

/// How a finished file gets its name.
#[derive(Debug, Clone, Copy)]
enum Publish {
    /// By hard link, which fails when the name is taken.
    Create,
    /// By rename, which replaces what is there.
    Replace,
}

/// The blocking half: file system calls and their order.
#[derive(Debug)]
struct Disk {
    root: PathBuf,
    /// Held while folders are looked for and made, so that whoever finds one finds it synced.
    folders: Mutex<()>,
}

impl Disk {
    fn write(&self, path: &Path, payload: &PutPayload, publish: Publish) -> io::Result<()> {
        self.make_folders(path)?;
        let staged = staged(path);
        let result = write_synced(&staged, payload).and_then(|()| match publish {
            Publish::Create => fs::hard_link(&staged, path),
            Publish::Replace => fs::rename(&staged, path),
        });
        if result.is_err() || matches!(publish, Publish::Create) {
            // Best effort: what stays behind is invisible.
            let _ = fs::remove_file(&staged);
        }
        result?;
        sync_folder(path)
    }

    /// Makes the folders above `path`, each synced into the one above it.
    fn make_folders(&self, path: &Path) -> io::Result<()> {
        let _guard = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        self.root_present()?;
        let missing: Vec<_> = path
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != self.root && !folder.is_dir())
            .collect();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => sync_folder(folder)?,
            }
        }
        Ok(())
    }

    /// Whether an object that is not there is missing, or the whole disk is.
    fn judge(&self, error: object_store::Error) -> object_store::Error {
        match (&error, self.root_present()) {
            (object_store::Error::NotFound { .. }, Err(gone)) => failed(&self.root, gone),
            _ => error,
        }
    }

    fn root_present(&self) -> io::Result<()> {
        if self.root.is_dir() {
            return Ok(());
        }
        Err(io::Error::other(
            "the bucket's root folder is gone; mount or restore it",
        ))
    }
}

fn write_synced(path: &Path, payload: &PutPayload) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    payload.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_data()
}

/// Syncs a file that is in its place already, and its name.
fn sync_in_place(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_data()?;
    sync_folder(path)
}

/// A name beside `path` that `LocalFileSystem` hides from listings: `#` and digits at its end.
fn staged(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("#{}", id::nonce().as_u128()));
    name.into()
}

/// Makes the name of `path` durable by syncing the folder that holds it.
fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere folders cannot be opened, and renames are journalled by the file system.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn failed(path: &Path, error: io::Error) -> object_store::Error {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists {
            path,
            source: error.into(),
        },
        io::ErrorKind::PermissionDenied => object_store::Error::PermissionDenied {
            path,
            source: error.into(),
        },
        _ => object_store::Error::Generic {
            store: "DurableFileSystem",
            source: error.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use object_store::integration;

    use super::*;

    fn store() -> (tempfile::TempDir, DurableFileSystem) {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableFileSystem::open(folder.path()).unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn it_passes_the_conformance_suite_of_object_store() {
        let (_folder, store) = store();
        integration::put_get_delete_list(&store).await;
        integration::get_opts(&store).await;
        integration::put_opts(&store, false).await;
        integration::list_uses_directories_correctly(&store).await;
        integration::list_with_delimiter(&store).await;
        integration::rename_and_copy(&store).await;
        integration::copy_if_not_exists(&store).await;
        integration::copy_rename_nonexistent_object(&store).await;
        integration::stream_get(&store).await;
    }

    #[tokio::test]
    async fn nothing_stays_beside_the_objects() {
        let (folder, store) = store();
        let path = ObjectPath::from("a/b/c");
        let create = || store.put_opts(&path, "1".into(), PutMode::Create.into());
        create().await.unwrap();
        assert!(create().await.is_err());
        store.put(&path, "2".into()).await.unwrap();
        let names: Vec<_> = fs::read_dir(folder.path().join("a/b"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["c"]);
    }

    #[tokio::test]
    async fn a_vanished_root_is_an_error_and_not_an_empty_bucket() {
        let (folder, store) = store();
        let path = ObjectPath::from("a/b");
        store.put(&path, "1".into()).await.unwrap();
        let root = folder.path().to_owned();
        drop(folder);
        assert!(!root.exists());
        assert!(store.put(&path, "1".into()).await.is_err());
        for failed in [
            store.get(&path).await.map(drop),
            store.head(&path).await.map(drop),
            store.get_range(&path, 0..1).await.map(drop),
            store.delete(&path).await,
        ] {
            let missing = matches!(failed, Err(object_store::Error::NotFound { .. }));
            assert!(failed.is_err() && !missing, "{failed:?}");
        }
        assert!(store.list(None).next().await.unwrap().is_err());
        assert!(store.list_with_delimiter(None).await.is_err());
        assert!(!root.exists());
    }
}
