//! The gate before a bucket's store: shut while the store is known not to answer, so that nobody waits for
//! it, and opened again when it answers.
//!
//! Rooms keep their [`Bucket`](boathouse_storage::Bucket) for as long as the host runs. So a bucket that
//! cannot even be opened at start gets a shut gate in place of a store, and its store later, without
//! anybody having to ask again. What passes is not changed. A store that fails rings the bell of whoever
//! looks after health; the gate itself decides nothing.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    path::Path,
};
use tokio::sync::Notify;

/// See the module's text.
pub(super) struct Gate {
    position: RwLock<Position>,
    bell: Arc<Notify>,
}

/// How far the gate is open.
#[derive(Clone)]
enum Position {
    Open(Arc<dyn ObjectStore>),
    /// Reads pass.
    ReadOnly(Arc<dyn ObjectStore>, &'static str),
    /// Nothing passes, for this reason.
    Shut(String),
}

impl Gate {
    /// A gate that is shut for a reason; `bell` rings when a store behind it fails.
    pub(super) fn shut(why: impl Into<String>, bell: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            position: RwLock::new(Position::Shut(why.into())),
            bell,
        })
    }

    /// Lets everything pass to a store.
    pub(super) fn open(&self, store: &Arc<dyn ObjectStore>) {
        self.set(Position::Open(Arc::clone(store)));
    }

    /// Lets reads pass only.
    pub(super) fn stop_writes(&self, store: &Arc<dyn ObjectStore>, why: &'static str) {
        self.set(Position::ReadOnly(Arc::clone(store), why));
    }

    /// Lets nothing pass.
    pub(super) fn close(&self, why: impl Into<String>) {
        self.set(Position::Shut(why.into()));
    }

    fn set(&self, position: Position) {
        *self
            .position
            .write()
            .unwrap_or_else(PoisonError::into_inner) = position;
    }

    fn position(&self) -> Position {
        self.position
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn to_read(&self) -> Result<Arc<dyn ObjectStore>> {
        match self.position() {
            Position::Open(store) | Position::ReadOnly(store, _) => Ok(store),
            Position::Shut(why) => Err(refused(why)),
        }
    }

    fn to_write(&self) -> Result<Arc<dyn ObjectStore>> {
        match self.position() {
            Position::Open(store) => Ok(store),
            Position::ReadOnly(_, why) => Err(refused(why.to_owned())),
            Position::Shut(why) => Err(refused(why)),
        }
    }

    fn heard<T>(&self, result: Result<T>) -> Result<T> {
        ring(&self.bell, &result);
        result
    }
}

/// Rings when a store failed; what it says about single objects is no failure.
fn ring<T>(bell: &Notify, result: &Result<T>) {
    match result {
        Ok(_)
        | Err(
            Error::NotFound { .. }
            | Error::AlreadyExists { .. }
            | Error::Precondition { .. }
            | Error::NotModified { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::InvalidPath { .. },
        ) => {}
        Err(_) => bell.notify_one(),
    }
}

fn refused(why: String) -> Error {
    Error::Generic {
        store: "boathouse",
        source: why.into(),
    }
}

fn failing<T: Send + 'static>(error: Error) -> BoxStream<'static, Result<T>> {
    futures::stream::once(async { Err(error) }).boxed()
}

#[async_trait]
impl ObjectStore for Gate {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let store = self.to_write()?;
        self.heard(store.put_opts(location, payload, options).await)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let store = self.to_write()?;
        self.heard(store.put_multipart_opts(location, options).await)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let store = self.to_read()?;
        self.heard(store.get_opts(location, options).await)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let store = self.to_read()?;
        self.heard(store.get_ranges(location, ranges).await)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let bell = Arc::clone(&self.bell);
        match self.to_write() {
            Ok(store) => store
                .delete_stream(locations)
                .inspect(move |result| ring(&bell, result))
                .boxed(),
            Err(error) => failing(error),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let bell = Arc::clone(&self.bell);
        match self.to_read() {
            Ok(store) => store
                .list(prefix)
                .inspect(move |result| ring(&bell, result))
                .boxed(),
            Err(error) => failing(error),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let store = self.to_read()?;
        self.heard(store.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let store = self.to_write()?;
        self.heard(store.copy_opts(from, to, options).await)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let store = self.to_write()?;
        self.heard(store.rename_opts(from, to, options).await)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

#[cfg(test)]
mod tests {
    use object_store::{ObjectStoreExt as _, integration, memory::InMemory};

    use super::*;

    fn open() -> (Arc<dyn ObjectStore>, Arc<Notify>, Arc<Gate>) {
        let (store, bell) = (
            Arc::new(InMemory::new()) as Arc<dyn ObjectStore>,
            Arc::default(),
        );
        let gate = Gate::shut("not yet", Arc::clone(&bell));
        gate.open(&store);
        (store, bell, gate)
    }

    #[tokio::test]
    async fn an_open_gate_is_the_store_behind_it() {
        let (_, _, gate) = open();
        integration::put_get_delete_list(&*gate).await;
        integration::get_opts(&*gate).await;
        integration::list_with_delimiter(&*gate).await;
        integration::rename_and_copy(&*gate).await;
        integration::stream_get(&*gate).await;
    }

    #[tokio::test]
    async fn a_shut_gate_fails_at_once_and_opens_again() {
        let (store, _, gate) = open();
        let path = Path::from("a/b");
        gate.put(&path, "1".into()).await.expect("open");
        gate.close("the disk is gone");
        for error in [
            gate.put(&path, "2".into()).await.expect_err("shut"),
            gate.get(&path).await.expect_err("shut"),
            gate.delete(&path).await.expect_err("shut"),
            gate.list_with_delimiter(None).await.expect_err("shut"),
            gate.list(None)
                .next()
                .await
                .expect("an item")
                .expect_err("shut"),
        ] {
            assert!(error.to_string().contains("the disk is gone"), "{error}");
        }
        gate.open(&store);
        let found = gate.get(&path).await.expect("open");
        assert_eq!(found.bytes().await.expect("bytes"), "1");
    }

    #[tokio::test]
    async fn a_gate_may_let_reads_pass_only() {
        let (store, _, gate) = open();
        let path = Path::from("a/b");
        gate.put(&path, "1".into()).await.expect("open");
        gate.stop_writes(&store, "it is being removed");
        assert!(gate.get(&path).await.is_ok());
        assert!(gate.list(None).next().await.expect("an item").is_ok());
        assert!(gate.put(&path, "2".into()).await.is_err());
        assert!(gate.delete(&path).await.is_err());
        assert!(gate.copy(&path, &Path::from("c")).await.is_err());
    }

    #[tokio::test]
    async fn the_bell_rings_for_a_failing_store_and_not_for_a_missing_object() {
        let (_, bell, gate) = open();
        assert!(gate.get(&Path::from("none")).await.is_err());
        ring::<()>(&bell, &Ok(()));
        let rung = |bell: Arc<Notify>| async move {
            tokio::select! { biased; () = bell.notified() => true, () = async {} => false }
        };
        assert!(!rung(Arc::clone(&bell)).await);
        ring::<()>(&bell, &Err(refused("broken".to_owned())));
        assert!(rung(bell).await);
    }
}
