//! File ingest: one local file becomes one version of a dataset.
//!
//! The file is read twice: first to settle types and find errors, then to write Parquet to a nameless local
//! file, sampled on the way; the rest is the course of every ingest (`run.rs`). Memory depends on a batch, a
//! record and a row group, never on the file.

mod columns;
mod csv;
mod format;
mod input;
mod json;
mod meter;
mod options;
mod parquet;
mod profile;
mod source;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use boathouse_types::{BucketName, Clock, DatasetName};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub(crate) use self::json::is_json;
use self::{
    csv::CsvFile,
    json::{JsonFile, Layout},
    parquet::ParquetFile,
    source::{Source, append_schema},
};
pub use self::{format::FileFormat, input::FileInput, options::FileOptions};
use crate::{
    DatasetVersion, Datasets, IngestError, IngestMode, IngestProgress, OnDetectorFailure, Phase,
    PiiDetector, SourceInfo,
    error::Place,
    redact_dsn,
    run::{self, Feed, Target},
    spool::{Spool, SpooledTable},
    watch::Watch,
};

/// Longest label, in bytes.
const LABEL_BYTES: usize = 300;

/// What every ingest needs and no request says.
#[derive(Clone)]
pub struct IngestContext {
    /// Where datasets are.
    pub datasets: Datasets,
    /// Who looks for personal data.
    pub detectors: Vec<Arc<dyn PiiDetector>>,
    /// What happens when one of them fails.
    pub on_detector_failure: OnDetectorFailure,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Folder for nameless temporary files; none: the system's.
    pub spool_folder: Option<PathBuf>,
}

/// What to ingest, and into what.
#[derive(Debug, Clone)]
pub struct IngestRequest {
    /// The dataset, made if there is none.
    pub dataset: DatasetName,
    /// Where a new dataset goes; none: the primary bucket, or where the dataset is.
    pub bucket: Option<BucketName>,
    /// The file.
    pub input: FileInput,
    /// What the file is called in messages and lineage, for example the name it was uploaded under.
    pub label: String,
    /// Its format; none: found by its content and name.
    pub format: Option<FileFormat>,
    /// Whether its rows replace or follow those there are.
    pub mode: IngestMode,
    /// How it came, for lineage: `file` or `watcher`.
    pub system: &'static str,
    /// What is said about how it is to be read.
    pub options: FileOptions,
}

/// What an ingest did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IngestReport {
    /// The dataset.
    pub dataset: DatasetName,
    /// Its bucket.
    pub bucket: BucketName,
    /// The version that it made.
    pub version: DatasetVersion,
    /// Rows that it added.
    pub added_rows: u64,
    /// What was found out about the source.
    pub read: ReadReport,
}

/// What an ingest found out about its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReadReport {
    /// Of a file.
    File(FileReport),
}

/// How a file was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileReport {
    /// The format that was read.
    pub format: FileFormat,
    /// The delimiter that was found, for CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
}

/// Ingests a file. `progress` may be read meanwhile; `cancel` stops the work soon, until the commit.
///
/// # Errors
/// [`IngestError`], with nothing visible; only where the bucket fails from the commit on, it is open whether
/// the version is, which is whole then.
pub async fn ingest_file(
    context: &IngestContext,
    request: IngestRequest,
    progress: Arc<IngestProgress>,
    cancel: CancellationToken,
) -> Result<IngestReport, IngestError> {
    let label = clean_label(&request.label);
    let target = Target {
        dataset: request.dataset.clone(),
        bucket: request.bucket.clone(),
        mode: request.mode,
        source: SourceInfo::new(request.system, label.clone()),
    };
    let dataset = request.dataset.clone();
    let mut feed = FileFeed {
        request: IngestRequest { label, ..request },
        report: None,
    };
    let landed = run::run(context, target, &mut feed, Watch { progress, cancel }).await?;
    let report = feed
        .report
        .ok_or_else(|| IngestError::Worker("a file was not read".to_owned()))?;
    Ok(IngestReport {
        dataset,
        bucket: landed.bucket,
        version: landed.version,
        added_rows: landed.added_rows,
        read: ReadReport::File(report),
    })
}

/// A file as the source of a run.
struct FileFeed {
    request: IngestRequest,
    report: Option<FileReport>,
}

#[async_trait]
impl Feed for FileFeed {
    async fn spool(
        &mut self,
        context: &IngestContext,
        existing: Option<SchemaRef>,
        watch: &Watch,
    ) -> Result<Vec<SpooledTable>, IngestError> {
        let (table, report) = convert(context, &self.request, existing, watch).await?;
        self.report = Some(report);
        Ok(vec![table])
    }

    fn about(&self, error: IngestError) -> IngestError {
        error.about(&self.request.label)
    }
}

/// Turns the file into a table, on a thread that may block.
async fn convert(
    context: &IngestContext,
    request: &IngestRequest,
    existing: Option<SchemaRef>,
    watch: &Watch,
) -> Result<(SpooledTable, FileReport), IngestError> {
    let (request, watch) = (request.clone(), watch.clone());
    let folder = context.spool_folder.clone();
    let worker = tokio::task::spawn_blocking(move || {
        let (mut source, report) = open_source(&request, &watch)?;
        let schema = match existing {
            Some(existing) => append_schema(source.as_ref(), &request.dataset, &existing)?,
            None => source.schema(),
        };
        let table = spool(
            source.as_mut(),
            &schema,
            folder.as_deref(),
            &request.dataset,
            &watch,
        )?;
        Ok((table, report))
    });
    worker.await.unwrap_or_else(|error| Err(gave_up(&error)))
}

/// A reader that panics has met bytes that its author did not think of: a matter of the file first.
fn gave_up(error: &tokio::task::JoinError) -> IngestError {
    match error.is_panic() {
        true => IngestError::bad(
            Place::default(),
            "the reader of this format gave up on the file",
            "write the file again; if that does not help, report it",
        ),
        false => IngestError::Worker(error.to_string()),
    }
}

fn open_source(
    request: &IngestRequest,
    watch: &Watch,
) -> Result<(Box<dyn Source>, FileReport), IngestError> {
    let (file, format) = format::open(&request.input, &request.label, request.format)?;
    let size = file.metadata().map_err(IngestError::Spool)?.len();
    let looks = if format == FileFormat::Parquet { 1 } else { 2 };
    watch.progress.expect_bytes(size * looks);
    watch.progress.enter(Phase::Survey);
    let mut delimiter = None;
    let source: Box<dyn Source> = match format {
        FileFormat::Csv => {
            let csv = CsvFile::open(file, watch)?;
            delimiter = Some(csv.delimiter());
            Box::new(csv)
        }
        FileFormat::Json => Box::new(JsonFile::open(file, Layout::Array, watch)?),
        FileFormat::JsonLines => Box::new(JsonFile::open(file, Layout::Lines, watch)?),
        FileFormat::Parquet => Box::new(ParquetFile::open(file, watch)?),
    };
    Ok((source, FileReport { format, delimiter }))
}

fn spool(
    source: &mut dyn Source,
    schema: &SchemaRef,
    folder: Option<&Path>,
    dataset: &DatasetName,
    watch: &Watch,
) -> Result<SpooledTable, IngestError> {
    watch.progress.enter(Phase::Convert);
    let mut spool = Spool::create(folder, schema)?;
    source.read(schema, &mut |batch| {
        watch.check()?;
        spool.write(&batch)?;
        watch.progress.add_rows(batch.num_rows() as u64);
        Ok(())
    })?;
    let table = spool.finish(dataset.as_str())?;
    if table.rows != source.rows() {
        return Err(IngestError::Worker(format!(
            "the file had {} rows at first look and {} at the second",
            source.rows(),
            table.rows
        )));
    }
    Ok(table)
}

/// A label without credentials and control characters, of bounded length.
pub(crate) fn clean_label(label: &str) -> String {
    let mut clean: String = redact_dsn(label)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    clean.truncate(clean.floor_char_boundary(LABEL_BYTES));
    clean
}

#[cfg(test)]
mod tests;
