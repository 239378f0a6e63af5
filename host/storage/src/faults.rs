//! A store that stops after so many operations, as if the process had been killed there.
//!
//! From the n-th operation on every one fails. Whether that one still took effect is the question a
//! crash leaves open, so both answers can be asked for. What was written lies in the inner store.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    path::Path,
};

use crate::Bucket;

/// What becomes of the operation at which the store stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// It does not happen.
    Lost,
    /// It happens, but its answer is lost.
    Done,
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    last: Last,
    stop_at: usize,
    begun: AtomicUsize,
}

/// What to do with one operation.
struct Verdict {
    runs: bool,
    answers: bool,
}

impl FaultyStore {
    /// A view of `bucket` that stops at operation `stop_at`, counted from 0.
    pub(crate) fn over(bucket: &Bucket, stop_at: usize, last: Last) -> (Bucket, Self) {
        let store = Self {
            inner: Arc::clone(bucket.store()),
            state: Arc::new(State {
                last,
                stop_at,
                begun: AtomicUsize::new(0),
            }),
        };
        (bucket.with_store(Arc::new(store.clone())), store)
    }

    /// Operations begun so far.
    pub(crate) fn begun(&self) -> usize {
        self.state.begun.load(Ordering::SeqCst)
    }

    /// Whether it has stopped.
    pub(crate) fn stopped(&self) -> bool {
        self.begun() > self.state.stop_at
    }

    async fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        let verdict = self.state.next();
        let result = if verdict.runs {
            operation.await
        } else {
            Err(stopped())
        };
        if verdict.answers {
            result
        } else {
            Err(stopped())
        }
    }
}

impl State {
    fn next(&self) -> Verdict {
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        Verdict {
            runs: number < self.stop_at || (number == self.stop_at && self.last == Last::Done),
            answers: number < self.stop_at,
        }
    }
}

fn stopped() -> Error {
    Error::Generic {
        store: "FaultyStore",
        source: "stopped".into(),
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.run(self.inner.put_opts(at, bytes, how)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.run(self.inner.put_multipart_opts(at, how)).await
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        self.run(self.inner.get_opts(at, how)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    store.run(store.inner.delete(&location)).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.state.next().answers {
            self.inner.list(prefix)
        } else {
            futures::stream::once(async { Err(stopped()) }).boxed()
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.run(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.run(self.inner.copy_opts(from, to, how)).await
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.inner)
    }
}
