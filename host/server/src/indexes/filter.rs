//! Filters of searches: which rows of the dataset a condition lets through, found out once and kept.
//!
//! A condition is computed over the version of the dataset that the index covers, reading its columns and no others;
//! what comes out is one bit a row. It belongs to the dataset, the version and the text of the condition, so it
//! never gets stale, and every index on the dataset can use it. What of it an index searches, less what is hidden there, is
//! derived from it and kept for the index as it is at the moment.
//!
//! How the nearest of those rows are found depends on how many they are (`HnswGraph::search_filtered`): few are
//! compared one by one, among many the graph is walked, and where the walk ends with too few, all are compared after
//! all. Which way was taken is part of the answer.
//!
//! Absent here: skipping parts of files by their statistics; and hiding columns, as whoever may search an index
//! may read all columns of its rows.

use std::sync::{Arc, Mutex, Weak};

use arrow::array::{RecordBatch, RecordBatchOptions};
use boathouse_ingest::Dataset;
use boathouse_query::Predicate;
use boathouse_types::DatasetName;
use futures::TryStreamExt as _;
use serde::Serialize;
use tokio::sync::OnceCell;

use super::{
    LiveIndex, locked,
    search::unread,
    tail::{Kept, RowMask},
};
use crate::{app::App, problem::Problem};

/// Memory for conditions that were computed.
const MAX_BYTES: usize = 64 << 20;
/// Conditions that are kept, however small they are.
const MAX_ENTRIES: usize = 512;

/// How the rows of the base that a filter lets through were searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FilterPlan {
    /// All of them were compared with the query.
    Exact,
    /// The graph was walked.
    Traversal,
    /// Partitions of a Lance table were searched.
    Partitions,
}

/// What a filter did to a search.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FilterView {
    /// How many of the documents that are searched match; there are fewer hits than asked for when fewer match.
    pub matching: u64,
    /// How they were searched.
    pub plan: FilterPlan,
}

/// Conditions that were computed, least recently used first.
#[derive(Default)]
pub(super) struct Filters(Mutex<Vec<Arc<Selection>>>);

/// What a condition belongs to.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    dataset: DatasetName,
    version: u64,
    text: String,
}

/// A condition over a version of a dataset.
pub(super) struct Selection {
    key: Key,
    /// Bytes that it counts for.
    bytes: usize,
    rows: OnceCell<RowMask>,
    /// What an index searches of it.
    kept: Mutex<Option<(Weak<LiveIndex>, Arc<Kept>)>>,
}

impl Filters {
    /// The entry of a key, which becomes the most recently used one.
    fn entry(&self, key: Key, rows: u64) -> Arc<Selection> {
        let mut entries = locked(&self.0);
        let known = entries.iter().position(|entry| entry.key == key);
        let entry = match known {
            Some(at) => entries.remove(at),
            None => Arc::new(Selection {
                // A bit for each row, and one for each row of an index, of which there can be as many.
                bytes: key.text.len() + usize::try_from(rows / 4).unwrap_or(usize::MAX),
                key,
                rows: OnceCell::new(),
                kept: Mutex::default(),
            }),
        };
        entries.push(Arc::clone(&entry));
        while entries.len() > 1 && (entries.len() > MAX_ENTRIES || bytes(&entries) > MAX_BYTES) {
            entries.remove(0);
        }
        entry
    }

    fn forget(&self, entry: &Arc<Selection>) {
        locked(&self.0).retain(|known| !Arc::ptr_eq(known, entry));
    }
}

fn bytes(entries: &[Arc<Selection>]) -> usize {
    let bytes = entries.iter().map(|entry| entry.bytes);
    bytes.fold(0, usize::saturating_add)
}

impl Selection {
    /// The rows of an index that a search with this condition looks at.
    pub(super) fn kept(&self, index: &Arc<LiveIndex>) -> Arc<Kept> {
        let this = Arc::downgrade(index);
        if let Some((of, kept)) = locked(&self.kept).as_ref()
            && of.ptr_eq(&this)
        {
            return Arc::clone(kept);
        }
        // Without rows there is nothing to keep; whoever made this has computed them.
        let nothing = RowMask::default();
        let rows = self.rows.get().unwrap_or(&nothing);
        let kept = Arc::new(index.tail.kept(&index.rows, rows));
        *locked(&self.kept) = Some((this, Arc::clone(&kept)));
        kept
    }
}

/// What a condition lets through of the rows that an index covers. Of several searches that ask for the same one
/// computes it, and the others wait.
///
/// # Errors
/// 422 for a condition that cannot be used; the bucket's failure when its columns cannot be read.
pub(super) async fn select(
    app: &App,
    index: &LiveIndex,
    text: &str,
) -> Result<Arc<Selection>, Problem> {
    let text = text.trim();
    if text.len() > boathouse_query::MAX_BYTES {
        // It is not kept either.
        Predicate::parse(text, &arrow::datatypes::Schema::empty())?;
    }
    let key = Key {
        dataset: index.meta.dataset.clone(),
        version: index.meta.covered_version(),
        text: text.to_owned(),
    };
    let filters = &app.indexes.filters;
    // A bit for each row of the dataset and one for each vector.
    let bits = index.meta.covered_rows() + index.vectors() as u64;
    let entry = filters.entry(key, bits / 2);
    let computed = entry.rows.get_or_try_init(|| compute(app, index, text));
    match computed.await {
        Ok(_) => Ok(entry),
        Err(problem) => {
            filters.forget(&entry);
            Err(problem)
        }
    }
}

/// Reads the columns of a condition and computes it for every row.
async fn compute(app: &App, index: &LiveIndex, text: &str) -> Result<RowMask, Problem> {
    let (name, version) = (&index.meta.dataset, Some(index.meta.covered_version()));
    let what = ("the filter cannot be computed", "search without it");
    let failed = |bucket, error| unread(app, name, bucket, what, error);
    let dataset = app.datasets.open(name, version).await;
    let dataset = dataset.map_err(|error| failed(None, error))?;
    let bucket = Some(dataset.bucket().name());
    let schema = dataset
        .schema()
        .await
        .map_err(|error| failed(bucket, error))?;
    let text = text.to_owned();
    let parsed = tokio::task::spawn_blocking(move || Predicate::parse(&text, &schema));
    let predicate = parsed.await.map_err(|error| Problem::internal(&error))??;
    let mut found = RowMask::default();
    if predicate.columns().is_empty() {
        return constant(&dataset, predicate).await;
    }
    let columns: Vec<&str> = predicate.columns().iter().map(String::as_str).collect();
    let mut batches = dataset
        .scan(&columns)
        .map_err(|error| failed(bucket, error))?;
    let mut first = 0;
    while let Some(batch) = batches
        .try_next()
        .await
        .map_err(|error| failed(bucket, error))?
    {
        let (predicate, rows) = (predicate.clone(), batch.num_rows());
        found = add(found, first, predicate, batch).await?;
        first += rows;
    }
    Ok(found)
}

/// A condition without columns says the same of every row.
async fn constant(dataset: &Dataset, predicate: Predicate) -> Result<RowMask, Problem> {
    let rows = usize::try_from(dataset.version().rows).unwrap_or(usize::MAX);
    let rows = RecordBatchOptions::new().with_row_count(Some(rows));
    let schema = Arc::new(arrow::datatypes::Schema::empty());
    let batch = RecordBatch::try_new_with_options(schema, Vec::new(), &rows);
    let batch = batch.map_err(|error| Problem::internal(&error))?;
    add(RowMask::default(), 0, predicate, batch).await
}

/// Adds the rows of a batch that match, of which the first has this number.
async fn add(
    mut found: RowMask,
    first: usize,
    predicate: Predicate,
    batch: RecordBatch,
) -> Result<RowMask, Problem> {
    let computed = tokio::task::spawn_blocking(move || {
        let answers = predicate.evaluate(&batch)?;
        for row in answers.values().set_indices() {
            found.add(first + row);
        }
        Ok(found)
    });
    computed.await.map_err(|error| Problem::internal(&error))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(version: u64, text: &str) -> Key {
        Key {
            dataset: DatasetName::new("notes").unwrap(),
            version,
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_was_asked_for_is_found_again_and_what_differs_is_not() {
        let filters = Filters::default();
        let first = filters.entry(key(1, "a = 1"), 100);
        assert!(Arc::ptr_eq(&first, &filters.entry(key(1, "a = 1"), 100)));
        assert!(!Arc::ptr_eq(&first, &filters.entry(key(2, "a = 1"), 100)));
        assert!(!Arc::ptr_eq(&first, &filters.entry(key(1, "a = 2"), 100)));
        filters.forget(&first);
        assert!(!Arc::ptr_eq(&first, &filters.entry(key(1, "a = 1"), 100)));
    }

    #[test]
    fn the_least_recently_used_goes_when_there_are_too_many_bytes() {
        let filters = Filters::default();
        let rows = MAX_BYTES as u64;
        let texts = ["a", "b", "c"].map(|text| filters.entry(key(1, text), rows));
        filters.entry(key(1, "a"), rows);
        filters.entry(key(1, "d"), rows);
        let stays = |at: usize, text| Arc::ptr_eq(&texts[at], &filters.entry(key(1, text), 0));
        assert!(stays(0, "a") && stays(2, "c"));
        assert!(!stays(1, "b"));
        // One that is larger than everything together serves who asked for it.
        filters.entry(key(1, "huge"), rows * 8);
        assert_eq!(locked(&filters.0).len(), 1);
    }

    #[test]
    fn there_is_an_end_to_small_ones_too() {
        let filters = Filters::default();
        for version in 0..2 * MAX_ENTRIES as u64 {
            filters.entry(key(version, "a"), 1);
        }
        assert_eq!(locked(&filters.0).len(), MAX_ENTRIES);
    }
}
