//! The course of every ingest, whatever it reads: START in the lineage, rows into nameless local files,
//! detectors, bytes to the bucket, one commit, and how it ended in the lineage.
//!
//! A [`Feed`] brings the rows. Detectors see the sample before anything reaches a bucket, and all files of a
//! run become visible in one commit. Whatever fails, and wherever it is cancelled, nothing of the run is
//! visible and nothing stays behind, except that a bucket that fails may keep an orphan.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use boathouse_types::{BucketName, DatasetName, TableSample};

use crate::{
    ColumnInfo, DatasetFile, DatasetVersion, Detection, IngestContext, IngestError, IngestMode,
    Lineage, Phase, SourceInfo, catalog::Home, detect, spool::SpooledTable, watch::Watch,
};

/// What a run makes a version of.
pub(crate) struct Target {
    /// The dataset, made if there is none.
    pub(crate) dataset: DatasetName,
    /// Where a new dataset goes; none: the primary bucket, or where the dataset is.
    pub(crate) bucket: Option<BucketName>,
    /// Whether the rows replace or follow those there are.
    pub(crate) mode: IngestMode,
    /// Where the rows come from.
    pub(crate) source: SourceInfo,
}

/// Brings the rows of a run.
#[async_trait]
pub(crate) trait Feed: Send {
    /// Turns the source into local files of rows, at least one, all of one schema. `existing` is the schema
    /// that an append has to follow.
    async fn spool(
        &mut self,
        context: &IngestContext,
        existing: Option<SchemaRef>,
        watch: &Watch,
    ) -> Result<Vec<SpooledTable>, IngestError>;

    /// Names the source in an error that is about it.
    fn about(&self, error: IngestError) -> IngestError {
        error
    }
}

/// What a run made.
pub(crate) struct Landed {
    /// The dataset's bucket.
    pub(crate) bucket: BucketName,
    /// The version.
    pub(crate) version: DatasetVersion,
    /// Rows that it added.
    pub(crate) added_rows: u64,
}

/// Carries a run out.
pub(crate) async fn run(
    context: &IngestContext,
    target: Target,
    feed: &mut dyn Feed,
    watch: Watch,
) -> Result<Landed, IngestError> {
    let home = context
        .datasets
        .home(&target.dataset, target.bucket.as_ref())
        .await?;
    let lineage = Lineage::new(
        home.bucket.clone(),
        target.dataset.clone(),
        Arc::clone(&context.clock),
    );
    let recorded = lineage.start(&target.source).await?;
    let outcome = land(context, target, home, feed, &watch).await;
    let outcome = outcome.map_err(|error| feed.about(error));
    recorded
        .end(outcome.as_ref().map(|landed| &landed.version))
        .await;
    outcome
}

async fn land(
    context: &IngestContext,
    target: Target,
    home: Home,
    feed: &mut dyn Feed,
    watch: &Watch,
) -> Result<Landed, IngestError> {
    let existing = existing_schema(context, &target, &home).await?;
    let tables = feed.spool(context, existing, watch).await?;
    let Some(schema) = tables.first().map(|table| Arc::clone(&table.schema)) else {
        return Err(IngestError::Worker("a source gave no table".to_owned()));
    };
    let detection = detect(context, &SpooledTable::samples(&tables), watch).await?;
    watch.progress.enter(Phase::Store);
    let files = upload(context, &home, &tables, watch).await?;
    let added_rows = files.iter().map(|file| file.rows).sum();
    let version = DatasetVersion {
        version: 0,
        mode: target.mode,
        rows: added_rows,
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        columns: ColumnInfo::all(&schema),
        detection,
        source: target.source,
        created_at: context.clock.now(),
        expired_at: None,
    };
    let bucket = home.bucket.name().clone();
    let version = context.datasets.commit(home, version).await?;
    watch.progress.enter(Phase::Done);
    Ok(Landed {
        bucket,
        version,
        added_rows,
    })
}

/// The schema that an append has to follow.
async fn existing_schema(
    context: &IngestContext,
    target: &Target,
    home: &Home,
) -> Result<Option<SchemaRef>, IngestError> {
    if target.mode == IngestMode::Replace || home.dataset().is_none() {
        return Ok(None);
    }
    let dataset = context.datasets.open(&target.dataset, None).await?;
    dataset.schema().await.map(Some)
}

async fn detect(
    context: &IngestContext,
    sample: &TableSample,
    watch: &Watch,
) -> Result<Detection, IngestError> {
    watch.check()?;
    watch.progress.enter(Phase::Detect);
    tokio::select! {
        () = watch.cancel.cancelled() => Err(IngestError::Cancelled),
        found = detect::ask(&context.detectors, context.on_detector_failure, sample) => found,
    }
}

/// Uploads all files, or none.
async fn upload(
    context: &IngestContext,
    home: &Home,
    tables: &[SpooledTable],
    watch: &Watch,
) -> Result<Vec<DatasetFile>, IngestError> {
    let cancelled = || watch.cancel.is_cancelled();
    let mut files = Vec::with_capacity(tables.len());
    for table in tables {
        let sent = context
            .datasets
            .upload(home, &table.file, table.rows, &cancelled);
        match sent.await {
            Ok(file) => files.push(file),
            Err(error) => {
                crate::upload::discard(&home.bucket, &files).await;
                return Err(error);
            }
        }
    }
    Ok(files)
}
