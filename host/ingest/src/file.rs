//! File ingest: one local file becomes one version of a dataset.
//!
//! The file is read to its end before anything of it reaches a bucket, so its types are exact and its errors are
//! all found: rows go to a nameless local Parquet file, sampled on the way (`file/convert.rs`). The rest is the
//! course of every ingest (`run.rs`). Memory depends on a batch, a record and a row group, never on the file.

mod arrow_ipc;
mod bytes;
mod columns;
mod compress;
mod convert;
mod csv;
mod format;
mod input;
mod json;
mod look;
mod moment;
mod options;
mod parquet;
mod plain;
mod profile;
mod report;
mod said;
mod schema;
mod source;
mod text;

use std::{path::PathBuf, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use boathouse_types::{BucketName, Clock, DatasetName};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub(crate) use self::look::is_json;
use self::{
    arrow_ipc::ArrowFile,
    compress::Stored,
    convert::{Goal, Part},
    csv::CsvFile,
    input::LocalFile,
    json::{JsonFile, Layout},
    parquet::ParquetFile,
    source::Source,
    text::Text,
};
pub use self::{
    compress::Compression,
    format::FileFormat,
    input::FileInput,
    options::{FileOptions, OptionWords},
    report::{ColumnReport, DialectReport, FileReport, NullSpelling, TextReason},
    schema::FileSchema,
};
use crate::{
    DatasetVersion, Datasets, IngestError, IngestMode, IngestProgress, LineageWriter,
    OnDetectorFailure, Phase, PiiDetector, PiiRules, SourceInfo, TableReport,
    error::Place,
    redact_dsn,
    run::{self, Feed, Target},
    spool::SpooledTable,
    watch::Watch,
};

/// Bytes by which a format is told.
const HEAD_BYTES: usize = 4_096;

/// Longest label, in bytes.
const LABEL_BYTES: usize = 300;

/// What every ingest needs and no request says.
#[derive(Clone)]
pub struct IngestContext {
    /// Where datasets are.
    pub datasets: Datasets,
    /// Who looks for personal data.
    pub detectors: Vec<Arc<dyn PiiDetector>>,
    /// What happens when one of them fails; none: depends on whether a policy needs them.
    pub on_detector_failure: Option<OnDetectorFailure>,
    /// What happens to personal data, where a dataset's own policy says nothing.
    pub pii: PiiRules,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Folder for nameless temporary files; none: the system's.
    pub spool_folder: Option<PathBuf>,
    /// Most bytes that may come out of a compressed file.
    pub max_decompressed_bytes: u64,
    /// Who writes the lineage, and who is told of it.
    pub lineage: LineageWriter,
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
    /// SHA-256 of its bytes, kept with the version where a file counts once.
    pub digest: Option<String>,
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
    /// Of a table or a query.
    Table(TableReport),
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
        source: SourceInfo {
            digest: request.digest.clone(),
            ..SourceInfo::new(request.system, label.clone())
        },
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
        match self.request.input {
            // The one that it is about is named already.
            FileInput::Several(_) => error,
            _ => error.about(&self.request.label),
        }
    }
}

/// Turns the files into a table, on a thread that may block.
async fn convert(
    context: &IngestContext,
    request: &IngestRequest,
    existing: Option<SchemaRef>,
    watch: &Watch,
) -> Result<(SpooledTable, FileReport), IngestError> {
    watch.progress.enter(Phase::Survey);
    let folder = context.spool_folder.clone();
    let fetching = request
        .input
        .fetch(&request.label, folder.as_deref(), watch);
    let files = fetching.await?;
    let (request, watch) = (request.clone(), watch.clone());
    let most = context.max_decompressed_bytes;
    let worker = tokio::task::spawn_blocking(move || {
        let goal = Goal {
            dataset: &request.dataset,
            existing,
            folder: folder.as_deref(),
            watch: &watch,
        };
        let several = files.len() > 1;
        let open = |local: LocalFile| {
            let label = local.name.clone().filter(|_| several);
            let label = label.unwrap_or_else(|| request.label.clone());
            let part = open(&request, local, label.clone(), most, &goal);
            part.map_err(|error| error.about(&label))
        };
        let mut parts: Vec<_> = files.into_iter().map(open).collect::<Result<_, _>>()?;
        let size = parts.iter().map(|part| part.size).sum();
        watch.progress.expect_bytes(size);
        let table = goal.convert(&mut parts)?;
        Ok((table, report(parts)))
    });
    worker.await.unwrap_or_else(|error| Err(gave_up(&error)))
}

/// What was found out about the first file, which stands for all.
fn report(parts: Vec<Part>) -> FileReport {
    let files = (parts.len() > 1).then_some(parts.len());
    let first = parts.into_iter().next();
    let of_first = first.map(|part| FileReport {
        columns: part.source.columns(),
        files,
        ..part.report
    });
    of_first.unwrap_or_else(|| FileReport::new(FileFormat::Csv))
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

/// Looks at the start of a file.
fn open(
    request: &IngestRequest,
    local: LocalFile,
    label: String,
    most: u64,
    goal: &Goal<'_>,
) -> Result<Part, IngestError> {
    let options = &request.options;
    let stored = Stored::new(local.file, options.compression, most, goal.watch)?;
    let head = stored.head(HEAD_BYTES)?;
    let names = [label.as_str(), local.name.as_deref().unwrap_or_default()];
    let format = format::settle(&head, &names, request.format)?;
    options.check_for(format == FileFormat::Csv, format.is_text())?;
    let options = &options.continuing(goal.existing.as_deref());
    let compression = stored.compression();
    let mut report = FileReport {
        compression: (compression != Compression::None).then_some(compression),
        note: format::difference(&names, format),
        ..FileReport::new(format)
    };
    let size = stored.size()?;
    let mut text = |stored| {
        let text = Text::new(stored, options.encoding)?;
        report.encoding = Some(text.encoding().to_owned());
        Ok::<_, IngestError>(text)
    };
    let source: Box<dyn Source> = match format {
        FileFormat::Csv => {
            let csv = CsvFile::open(text(stored)?, options)?;
            report.delimiter = Some(csv.delimiter());
            report.dialect = Some(csv.dialect());
            Box::new(csv)
        }
        FileFormat::Json => Box::new(JsonFile::open(text(stored)?, Layout::Array, options)?),
        FileFormat::JsonLines => Box::new(JsonFile::open(text(stored)?, Layout::Lines, options)?),
        FileFormat::Parquet => Box::new(ParquetFile::open(
            stored.unpacked(goal.folder)?,
            goal.watch,
        )?),
        FileFormat::Arrow => {
            let has_footer = ArrowFile::has_footer(&head);
            Box::new(ArrowFile::open(
                stored.unpacked(goal.folder)?,
                has_footer,
                goal.watch,
            )?)
        }
    };
    Ok(Part {
        label,
        source,
        report,
        size,
    })
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

impl IngestReport {
    /// Whether a job found nothing new, so that the version is the one that stood before.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        matches!(&self.read, ReadReport::Table(table) if table.up_to_date)
    }
}

#[cfg(test)]
mod tests;
