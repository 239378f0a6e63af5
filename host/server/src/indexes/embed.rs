//! From rows of a dataset to vectors: what a new index, an append and a rebuild have in common.
//!
//! Rows without text are left out and counted. Ids are numbers of rows, or come from a column that promises to
//! tell rows apart. A row of a later version of the dataset replaces those of its id from earlier versions; what
//! the column promises within one version is told by [`Ids`].

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch, StringArray},
    compute::cast,
    datatypes::DataType,
};
use boathouse_ingest::{Dataset, DatasetManifest, IngestMode};
use boathouse_models::StaticEmbedder;
use boathouse_types::Metric;
use boathouse_vector::{
    Frozen,
    table::{self, VectorTable},
};
use bytes::Bytes;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::{
    IndexMeta, IndexSpec,
    tail::{RowMask, without},
};
use crate::{app::App, problem::Problem, tasks::TaskContext};

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
    pub(super) dataset: &'a Dataset,
    /// The first of them, which begins a version.
    pub(super) from: u64,
    pub(super) text: &'a str,
    /// The column of ids, unless these are numbers of rows.
    pub(super) id: Option<&'a str>,
    pub(super) ids: Ids,
}

/// Text turned into vectors.
pub(super) struct Embedded {
    pub(super) table: VectorTable,
    /// Rows that were left out.
    pub(super) skipped: u64,
    /// Rows that a later one of their id replaced.
    pub(super) superseded: u64,
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
/// What the dataset's bucket says; 422 for ids that do not keep their promise; 409 when cancelled.
pub(super) async fn embed(
    app: &App,
    source: Source<'_>,
    task: &TaskContext,
) -> Result<Embedded, Problem> {
    let mut columns = vec![source.text];
    columns.extend(source.id.filter(|id| *id != source.text));
    let id_column = columns.len() - 1;
    let mut batches = source.dataset.scan_from(source.from, &columns)?;
    let mut work = Embedding::new(&app.embedder, source.ids, source.from);
    let in_all = source.dataset.version().rows.saturating_sub(source.from);
    while let Some(batch) = batches.try_next().await? {
        if task.cancellation().is_cancelled() {
            return Err(Problem::cancelled());
        }
        let embedder = Arc::clone(&app.embedder);
        let worked = tokio::task::spawn_blocking(move || {
            work.add(&embedder, &batch, id_column).map(|()| work)
        });
        work = worked.await.map_err(|error| Problem::internal(&error))??;
        let done = work.row - source.from;
        task.progress("embedding", done, Some(in_all), "texts");
    }
    let finished = tokio::task::spawn_blocking(|| work.finish());
    finished.await.map_err(|error| Problem::internal(&error))?
}

/// The state of embedding.
struct Embedding {
    table: VectorTable,
    ids: Ids,
    /// Where in the table each id stands last, when ids come from a column.
    last: HashMap<String, usize>,
    /// Places in the table that a later row of the id replaced.
    superseded: RowMask,
    /// Number of the next row.
    row: u64,
    skipped: u64,
}

impl Embedding {
    fn new(embedder: &StaticEmbedder, ids: Ids, from: u64) -> Self {
        Self {
            table: VectorTable::new(embedder.dimension()),
            ids,
            last: HashMap::new(),
            superseded: RowMask::default(),
            row: from,
            skipped: 0,
        }
    }

    /// Embeds the rows of a batch that have text.
    fn add(
        &mut self,
        embedder: &StaticEmbedder,
        batch: &RecordBatch,
        id_column: usize,
    ) -> Result<(), Problem> {
        let texts = as_text(batch, 0)?;
        let ids = as_text(batch, id_column)?;
        let given: Vec<&str> = texts.iter().map(Option::unwrap_or_default).collect();
        for (at, vector) in embedder.embed_each(&given).into_iter().enumerate() {
            let row = self.row + at as u64;
            let id = match vector {
                Some(_) => self.id(&ids, at, row)?,
                None => None,
            };
            match (id, vector) {
                (Some(id), Some(vector)) => self.table.push(id, row, &vector)?,
                _ => self.skipped += 1,
            }
        }
        self.row += batch.num_rows() as u64;
        Ok(())
    }

    /// The id of a row that is to be the next of the table; none for a row that is left out.
    fn id(&mut self, ids: &StringArray, at: usize, row: u64) -> Result<Option<String>, Problem> {
        if matches!(self.ids, Ids::Numbers) {
            return Ok(Some(row.to_string()));
        }
        if ids.is_null(at) {
            return match self.ids {
                Ids::Latest => Ok(None),
                _ => Err(null_id(row)),
            };
        }
        let (id, place) = (ids.value(at).to_owned(), self.table.len());
        match self.last.entry(id.clone()) {
            Entry::Vacant(free) => drop(free.insert(place)),
            Entry::Occupied(mut taken) => {
                let before = taken.insert(place);
                if !self.ids.allow(row, self.table.rows()[before]) {
                    return Err(duplicate_id(row));
                }
                self.superseded.add(before);
            }
        }
        Ok(Some(id))
    }

    fn finish(self) -> Result<Embedded, Problem> {
        Ok(Embedded {
            skipped: self.skipped,
            superseded: self.superseded.len() as u64,
            table: without(self.table, &self.superseded)?,
        })
    }
}

fn null_id(row: u64) -> Problem {
    Problem::field(
        "id_column",
        "null_id",
        format!("row {row} has no id; choose a column without nulls"),
    )
}

fn duplicate_id(row: u64) -> Problem {
    Problem::field(
        "id_column",
        "duplicate_id",
        format!(
            "two rows have the same id, the second is row {row}; choose a column that identifies a row"
        ),
    )
}

/// Whether Arrow's name of a type is one of text.
pub(super) fn is_text(data_type: &str) -> bool {
    matches!(data_type, "Utf8" | "LargeUtf8" | "Utf8View")
        || (data_type.starts_with("Dictionary(") && data_type.ends_with("Utf8)"))
}

/// A column as text, whatever its type.
fn as_text(batch: &RecordBatch, column: usize) -> Result<StringArray, Problem> {
    let text = cast(batch.column(column), &DataType::Utf8).map_err(|error| {
        Problem::field(
            "id_column",
            "no_id",
            format!("cannot identify rows ({error}); choose a number or text"),
        )
    })?;
    Ok(text.as_string::<i32>().clone())
}

/// That what this host embeds can be compared with the vectors of an index: those of two models cannot.
///
/// # Errors
/// 409 `embedder_changed`.
pub(crate) fn check_embedder(embedder: &StaticEmbedder, meta: &IndexMeta) -> Result<(), Problem> {
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
            "index `{0}` was made with another model than this host has as `{name}`, so texts cannot be compared with it and nothing can be appended; `POST /vectors/indexes/{0}/refresh` rebuilds it, and until then it is searched by vector",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_version_may_replace_an_earlier_one_and_itself_not() {
        let unique = Ids::Unique(vec![0, 3, 5]);
        for (row, earlier, expected) in [(1, 0, false), (3, 2, true), (4, 3, false), (9, 4, true)] {
            assert_eq!(
                unique.allow(row, earlier),
                expected,
                "{row} after {earlier}"
            );
        }
        assert!(Ids::Latest.allow(1, 0));
    }
}
