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
    JobMark, Lineage, Phase, SourceInfo, catalog::Home, pii, pii::InForce, spool::SpooledTable,
    watch::Watch,
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

    /// Where a job got to with the rows that were brought; none: they belong to no job.
    fn mark(&self) -> Option<JobMark> {
        None
    }

    /// Names the source in an error that is about it.
    fn about(&self, error: IngestError) -> IngestError {
        error
    }
}

/// What a run made.
pub(crate) struct Landed {
    /// The dataset's bucket.
    pub(crate) bucket: BucketName,
    /// The version; without files where nothing was new, the one that stood before.
    pub(crate) version: DatasetVersion,
    /// Whether the run made it.
    pub(crate) is_new: bool,
    /// Rows that it added.
    pub(crate) added_rows: u64,
}

/// Carries a run out.
pub(crate) async fn run(
    context: &IngestContext,
    mut target: Target,
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
    )
    .written_by(&context.lineage);
    let recorded = lineage.start(&target.source).await?;
    target.source.run = Some(recorded.id().to_owned());
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
    let in_force = InForce::load(context, &target.dataset, target.mode, &home).await?;
    let existing = existing_schema(context, &target, &home, &in_force).await?;
    let tables = feed.spool(context, existing, watch).await?;
    let Some(schema) = tables.first().map(|table| Arc::clone(&table.schema)) else {
        return Err(IngestError::Worker("a source gave no table".to_owned()));
    };
    let job = feed.mark();
    if let Some(known) = nothing_new(&target, &home, job.as_ref(), &tables) {
        watch.progress.enter(Phase::Done);
        return Ok(Landed::unchanged(&home, known));
    }
    let sample = SpooledTable::samples(&tables);
    let detection = detect(context, &in_force, &sample, watch).await?;
    let treatments = in_force.decide(&schema, &detection)?;
    if let Some(job) = &job {
        job.check_treatments(&treatments)?;
    }
    let (key, folder) = (
        in_force.rules().key.clone(),
        context.spool_folder.as_deref(),
    );
    let tables = pii::treat(tables, &treatments, key, folder, watch).await?;
    let schema = tables
        .first()
        .map_or(schema, |table| Arc::clone(&table.schema));
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
        treatments,
        scans: Vec::new(),
        source: target.source,
        created_at: context.clock.now(),
        job,
        expired_at: None,
    };
    let bucket = home.bucket.name().clone();
    let version = context.datasets.commit(home, version).await?;
    in_force.rules().counts.count(&version.treatments);
    watch.progress.enter(Phase::Done);
    Ok(Landed {
        bucket,
        version,
        is_new: true,
        added_rows,
    })
}

impl Landed {
    /// Nothing was new: the version that stands goes on standing.
    fn unchanged(home: &Home, known: &DatasetVersion) -> Self {
        Self {
            bucket: home.bucket.name().clone(),
            version: DatasetVersion {
                files: Vec::new(),
                ..known.clone()
            },
            is_new: false,
            added_rows: 0,
        }
    }
}

/// The version that goes on standing when a job that follows a dataset has brought no row.
fn nothing_new<'a>(
    target: &Target,
    home: &'a Home,
    job: Option<&JobMark>,
    tables: &[SpooledTable],
) -> Option<&'a DatasetVersion> {
    let is_empty = tables.iter().all(|table| table.rows == 0);
    (is_empty && job.is_some() && target.mode == IngestMode::Append)
        .then(|| home.dataset()?.latest())
        .flatten()
}

/// The schema that an append has to follow.
async fn existing_schema(
    context: &IngestContext,
    target: &Target,
    home: &Home,
    in_force: &InForce,
) -> Result<Option<SchemaRef>, IngestError> {
    if target.mode == IngestMode::Replace || home.dataset().is_none() {
        return Ok(None);
    }
    let dataset = context.datasets.open(&target.dataset, None).await?;
    let schema = dataset.schema().await?;
    Ok(Some(in_force.before(&schema)))
}

async fn detect(
    context: &IngestContext,
    in_force: &InForce,
    sample: &TableSample,
    watch: &Watch,
) -> Result<Detection, IngestError> {
    watch.check()?;
    watch.progress.enter(Phase::Detect);
    tokio::select! {
        () = watch.cancel.cancelled() => Err(IngestError::Cancelled),
        found = in_force.ask(&context.detectors, sample) => found,
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
        match context.datasets.upload(home, table, &cancelled).await {
            Ok(file) => files.push(file),
            Err(error) => {
                crate::upload::discard(&home.bucket, &files).await;
                return Err(error);
            }
        }
    }
    Ok(files)
}
