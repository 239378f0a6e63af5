//! From rows of a dataset to vectors: what a new index, an append and a rebuild have in common.
//!
//! Rows without text are left out and counted. Ids are numbers of rows, or come from a column that promises to
//! tell rows apart. A row of a later version of the dataset replaces those of its id from earlier versions, also when
//! it has no text: then there is no document of that id any more. What the column promises within one version is told
//! by [`Ids`].
//!
//! A text may be cut into pieces (`chunks.rs`), of which each gets a vector; they follow one another (`embed/rows.rs`).
//! Texts whose vectors are there already are not embedded again (`embed/reuse.rs`), and what is done of a long work is
//! kept for when it is cut off (`embed/parts.rs`). All vectors of a work are held in memory until they are stored, so
//! they are counted before the first is made (`embed/room.rs`).

mod parts;
mod reuse;
mod room;
mod rows;

use std::{collections::BTreeSet, sync::Arc};

use arrow::array::RecordBatch;
use boathouse_ingest::{Dataset, DatasetManifest, IngestMode};
use boathouse_models::Embedder;
use boathouse_types::{IndexName, Metric};
use boathouse_vector::{
    Frozen,
    table::{self, VectorTable},
};
use bytes::Bytes;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::{Chunking, IndexMeta, IndexSpec};
use crate::{app::App, problem::Problem, tasks::TaskContext};

use parts::Parts;
pub(crate) use parts::{forget_idle_parts, forget_parts, tidy_parts};
pub use reuse::Embeddings;
pub(super) use reuse::Known;
use rows::Embedding;

/// Rows that a model server embeds in one step, some seconds of its work: so progress is told, and what is done is kept.
const SERVED_ROWS: usize = 128;

/// Where rows get their ids from.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    /// From their numbers.
    Numbers,
    /// From a column without nulls, in which no id stands twice among the rows of one version. These are the
    /// first rows of the versions, ascending.
    Unique(Vec<u64>),
    /// From a column of rows that were appended to an index: the last row of an id counts, and rows without
    /// one are left out, so that no row keeps later ones from being searched.
    Latest,
}

/// The rows to embed.
pub(super) struct Source<'a> {
    /// The index that they are for.
    pub(super) index: &'a IndexName,
    pub(super) dataset: &'a Dataset,
    /// The first of them, which begins a version.
    pub(super) from: u64,
    pub(super) text: &'a str,
    /// The column of ids, unless these are numbers of rows.
    pub(super) id: Option<&'a str>,
    pub(super) ids: Ids,
    /// How texts are cut; none when they are not.
    pub(super) chunk: Option<Chunking>,
    /// Who makes the vectors.
    pub(super) embedder: Arc<dyn Embedder>,
    /// Vectors of its model that are there already.
    pub(super) known: Known,
}

/// Text turned into vectors.
pub(super) struct Embedded {
    pub(super) table: VectorTable,
    /// Rows that were left out.
    pub(super) skipped: u64,
    /// Rows that a later one of their id replaced.
    pub(super) superseded: u64,
    /// Ids whose last row has no text: earlier rows of theirs, wherever these are, are replaced by nothing.
    pub(super) emptied: BTreeSet<String>,
    /// How the vectors came to be, those of replaced rows among them.
    pub(super) embeddings: Embeddings,
}

/// Vectors in the forms in which they are searched and stored.
pub(super) struct Encoded {
    pub(super) frozen: Frozen,
    pub(super) bytes: Bytes,
    /// SHA-256 of the bytes, in hex.
    pub(super) digest: String,
}

impl Ids {
    /// What the id column of a dataset promises as of a version.
    pub(super) fn of(manifest: &DatasetManifest, version: u64) -> Self {
        let shown = manifest.versions.iter();
        let mut starts = Vec::new();
        let mut end = 0;
        for one in shown.take_while(|one| one.version <= version) {
            if one.mode == IngestMode::Replace {
                starts.clear();
                end = 0;
            }
            starts.push(end);
            end = one.rows;
        }
        Self::Unique(starts)
    }

    /// Whether a row may replace an earlier one of its id.
    fn allow(&self, row: u64, earlier: u64) -> bool {
        match self {
            Self::Numbers | Self::Latest => true,
            Self::Unique(starts) => {
                let version_of = |row: u64| starts.partition_point(|start| *start <= row);
                version_of(earlier) < version_of(row)
            }
        }
    }
}

impl Embedded {
    /// That there is anything to search.
    ///
    /// # Errors
    /// 422 `empty_text_column`.
    pub(super) fn not_empty(self, spec: &IndexSpec) -> Result<Self, Problem> {
        if self.table.is_empty() {
            return Err(no_text(&spec.text_column, self.skipped));
        }
        Ok(self)
    }
}

/// 422: a column has nothing to embed in any of so many rows.
pub(super) fn no_text(column: &str, rows: u64) -> Problem {
    Problem::field(
        "text_column",
        "empty_text_column",
        format!("column `{column}` holds no text to embed in any of {rows} rows; choose another"),
    )
}

/// Reads and embeds rows, batch by batch.
///
/// # Errors
/// What the dataset's bucket says; 422 for ids that do not keep their promise; 422 `build_too_large` for more vectors
/// than there may be; 409 when cancelled.
pub(super) async fn embed(
    app: &App,
    source: Source<'_>,
    task: &TaskContext,
) -> Result<Embedded, Problem> {
    room::check(app, &source, task).await?;
    let mut columns = vec![source.text];
    columns.extend(source.id.filter(|id| *id != source.text));
    let id_column = columns.len() - 1;
    let mut batches = source.dataset.scan_from(source.from, &columns)?;
    let embedders = &app.models.embedders;
    let embedder = embedders.patient(source.embedder, task.cancellation());
    let (parts, mut known) = (Parts::of(app, &*embedder, source.index), source.known);
    let read = tokio::task::spawn_blocking(move || {
        parts.read_into(&mut known);
        (parts, known)
    });
    let (parts, known) = read.await.map_err(|error| Problem::internal(&error))?;
    let mut work = Embedding::new(known, source.ids, source.from);
    (work.chunk, work.parts) = (source.chunk, Some(parts));
    let in_all = source.dataset.version().rows.saturating_sub(source.from);
    while let Some(batch) = batches.try_next().await? {
        for some in steps(&batch, rows_a_step(app, &*embedder)) {
            let embedder = Arc::clone(&embedder);
            let worked = tokio::task::spawn_blocking(move || {
                work.add(&*embedder, &some, id_column)?;
                work.parts.iter_mut().for_each(Parts::keep_when_due);
                Ok::<_, Problem>(work)
            });
            let worked = worked.await.map_err(|error| Problem::internal(&error))?;
            if task.cancellation().is_cancelled() {
                return Err(Problem::cancelled());
            }
            work = worked?;
            let done = work.row - source.from;
            task.progress("embedding", done, Some(in_all), "texts");
        }
    }
    // Vectors of two models that had the name in turn must not be mixed.
    embedders.confirm(embedder.name()).await?;
    let finished = tokio::task::spawn_blocking(|| work.finish());
    finished.await.map_err(|error| Problem::internal(&error))?
}

/// How many rows are embedded between two looks at whether somebody wants that to end.
fn rows_a_step(app: &App, embedder: &dyn Embedder) -> usize {
    match app.models.embedders.is_built_in(embedder.name()) {
        true => usize::MAX,
        false => SERVED_ROWS,
    }
}

/// A batch in parts of at most so many rows.
fn steps(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    let all = batch.num_rows();
    let starts = (0..all).step_by(rows.min(all.max(1)));
    starts
        .map(|start| batch.slice(start, rows.min(all - start)))
        .collect()
}

/// Whether Arrow's name of a type is one of text.
pub(super) fn is_text(data_type: &str) -> bool {
    matches!(data_type, "Utf8" | "LargeUtf8" | "Utf8View")
        || (data_type.starts_with("Dictionary(") && data_type.ends_with("Utf8)"))
}

/// That what an embedder makes can be compared with the vectors of an index: those of two models cannot.
///
/// # Errors
/// 409 `embedder_changed`.
pub(crate) fn check_embedder(embedder: &dyn Embedder, meta: &IndexMeta) -> Result<(), Problem> {
    let (name, digest) = (embedder.name(), embedder.model_digest());
    let own = (
        meta.embedder.as_str(),
        meta.embedder_digest.as_str(),
        meta.dimension,
    );
    if own == (name, digest, embedder.dimension()) {
        return Ok(());
    }
    Err(Problem::conflict(
        "embedder_changed",
        format!(
            "index `{0}` was made with another model than this host has as `{name}`, so texts cannot be compared with it and nothing can be appended; `POST /vectors/indexes/{0}/refresh` (`boathouse index refresh {0}`) rebuilds it, and until then it is searched by vector",
            meta.name
        ),
    ))
}

/// Brings vectors into the forms in which they are searched and stored.
///
/// # Errors
/// For vectors that cannot be searched.
pub(super) async fn encode(table: VectorTable, metric: Metric) -> Result<Encoded, Problem> {
    let encoded = tokio::task::spawn_blocking(move || {
        let frozen = Frozen::of(&table, metric)?;
        let bytes = Bytes::from(table::write(&table)?);
        let digest = format!("{:x}", Sha256::digest(&bytes));
        Ok::<_, Problem>(Encoded {
            frozen,
            bytes,
            digest,
        })
    });
    encoded.await.map_err(|error| Problem::internal(&error))?
}
