//! Shared by the tests of this room: a world of memory buckets, and a store that fails on demand.

use std::{
    fmt,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use async_trait::async_trait;
use boathouse_storage::{Bucket, BucketRegistry, Manifest};
use boathouse_types::{BucketName, DatasetName, ManualClock};
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use crate::{
    DatasetManifest, Datasets, FileInput, FileOptions, IngestContext, IngestError, IngestMode,
    IngestProgress, IngestReport, IngestRequest, LineageWriter, OnDetectorFailure, PiiRules,
    ingest_file,
};

/// A context over a primary bucket in memory.
pub(crate) struct World {
    pub(crate) context: IngestContext,
    pub(crate) bucket: Bucket,
    pub(crate) faults: Arc<Faults>,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(&Bucket::memory(BucketName::primary()))
    }

    /// A context over what a bucket holds.
    pub(crate) fn over(plain: &Bucket) -> Self {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let faults = Arc::new(Faults {
            inner: Arc::clone(plain.store()),
            writes_left: AtomicI64::new(i64::MAX),
        });
        let bucket = plain.with_store(Arc::clone(&faults) as Arc<dyn ObjectStore>);
        let buckets = Arc::new(BucketRegistry::new());
        buckets.insert(bucket.clone()).unwrap();
        let context = IngestContext {
            datasets: Datasets::new(buckets, clock.clone()),
            detectors: Vec::new(),
            on_detector_failure: Some(OnDetectorFailure::Refuse),
            pii: PiiRules::default(),
            clock: clock.clone(),
            spool_folder: None,
            max_decompressed_bytes: 64 << 20,
            lineage: LineageWriter::default(),
        };
        Self {
            context,
            bucket,
            faults,
            clock,
        }
    }

    pub(crate) async fn ingest(
        &self,
        bytes: impl AsRef<[u8]>,
        label: &str,
        mode: IngestMode,
    ) -> std::result::Result<IngestReport, IngestError> {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes.as_ref()).unwrap();
        let request = IngestRequest {
            dataset: dataset(),
            bucket: None,
            input: FileInput::Path(file.path().to_owned()),
            label: label.to_owned(),
            format: None,
            mode,
            system: "file",
            digest: None,
            options: FileOptions::default(),
        };
        let progress = Arc::new(IngestProgress::default());
        ingest_file(&self.context, request, progress, CancellationToken::new()).await
    }

    /// Makes the dataset's files those of an earlier release, which gave them no seals.
    pub(crate) async fn unseal(&self) {
        let prefix = format!("datasets/{}/manifest", dataset());
        let manifest = Manifest::<DatasetManifest>::new(self.bucket.clone(), prefix);
        let mut found = manifest.load().await.unwrap().unwrap();
        let versions = found.value.versions.iter_mut();
        for file in versions.flat_map(|version| &mut version.files) {
            assert!(file.seal.take().is_some());
        }
        let committed = manifest.commit(found.version, &found.value).await;
        committed.unwrap();
    }

    /// Paths under a folder.
    pub(crate) async fn paths(&self, folder: &str) -> Vec<String> {
        let objects = self.bucket.list(folder).await.unwrap();
        objects.into_iter().map(|object| object.path).collect()
    }
}

/// A line of names, then one a row; nulls show as `~`.
pub(crate) fn shown(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::new().with_null("~");
    let schema = batches[0].schema();
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let mut lines = vec![names.join("|")];
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        lines.extend((0..batch.num_rows()).map(|row| {
            let cells: Vec<_> = columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect();
            cells.join("|")
        }));
    }
    lines
}

/// The dataset of the tests.
pub(crate) fn dataset() -> DatasetName {
    DatasetName::new("people").unwrap()
}

/// A store that refuses writes after a number of them. Deletes and reads work.
#[derive(Debug)]
pub(crate) struct Faults {
    inner: Arc<dyn ObjectStore>,
    writes_left: AtomicI64,
}

impl Faults {
    /// Lets `count` writes pass, then none.
    pub(crate) fn allow_writes(&self, count: i64) {
        self.writes_left.store(count, Ordering::SeqCst);
    }

    fn spend(&self) -> Result<()> {
        if self.writes_left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        Err(Error::Generic {
            store: "faults",
            source: "no more writes".into(),
        })
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

#[async_trait]
impl ObjectStore for Faults {
    async fn put_opts(
        &self,
        to: &Path,
        data: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.spend()?;
        self.inner.put_opts(to, data, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.spend()?;
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(from, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
