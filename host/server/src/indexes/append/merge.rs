//! A new base for an index: its long tail merged in, or everything embedded anew.
//!
//! Vectors and graph are made while the old base serves and the tail grows; only the swap needs the index's turn,
//! so it waits for trials and promotions under way. One commit names the new base. Rows that were appended
//! meanwhile stay behind as the tail of the new base; when something else has become of the index meanwhile,
//! what was made is thrown away.
//!
//! The old vectors and graphs are garbage then, which is collected as any other. Trials of before keep their
//! lines: they say which vectors they measured, and are not compared with those on the new base.

use std::sync::Arc;

use boathouse_ingest::Dataset;
use boathouse_models::Embedder;
use boathouse_storage::Bucket;
use boathouse_tuning::IndexData;
use boathouse_types::{IndexName, VectorBackend};
use boathouse_vector::{Frozen, table::VectorTable};
use serde_json::Value;

use super::{
    super::{
        Behind, Growth, IndexMeta, Indexes, LiveIndex,
        create::forget,
        embed::{
            Embedded, Embeddings, Encoded, Ids, Known, Source, embed, encode, forget_parts,
            is_text, no_text,
        },
        frozen,
        live::{Base, Serving, obtain},
        objects::fresh_path,
        tail,
        tombstones::Tombstones,
    },
    answer, joined,
};
use crate::{
    app::App,
    lance::{self, LanceMeta},
    problem::Problem,
    tasks::TaskContext,
    tune,
};

mod heal;
mod mend;
pub(crate) use heal::heal;
pub(super) use mend::mend;

/// Kind of the task of a merge.
const KIND: &str = "merge";
/// Rows that a tail may have whatever the size of the base, and most that it may have: to compare a query with
/// so many takes some milliseconds.
const TAIL_ROWS: (usize, usize) = (1_000, 20_000);

/// What a new base holds.
struct NewBase {
    table: VectorTable,
    dataset_version: u64,
    /// Rows of the dataset at that version.
    rows: u64,
    /// Those of them that are not searched, as they have no text or no id.
    skipped: u64,
    /// The tail that it contains; none for one that was made of the whole dataset.
    merged: Option<Growth>,
    /// Where each row of the base before is in it, and none for a hidden one; empty when its rows are others.
    kept: Vec<Option<u32>>,
    /// Its rows are others than those of before, of which documents were deleted.
    replaced: bool,
    embedder_digest: String,
    /// How its vectors came to be; none for those that were there.
    embeddings: Option<Embeddings>,
    /// The Lance table with these vectors, unless they are those of before.
    lance: Option<LanceMeta>,
    /// Bytes of the object that holds its vectors, once that is stored.
    bytes: u64,
}

impl LiveIndex {
    /// Whether its tail is long enough to be merged: a tenth of the base, within bounds.
    fn has_long_tail(&self) -> bool {
        let (least, most) = TAIL_ROWS;
        let extra = self.tail.rows() + self.tail.hidden_in_base();
        extra > (self.data.len() / 10).clamp(least, most)
    }
}

/// Starts to merge the tail of an index as a task, if it is long and nobody does so already; and to put its Lance table in
/// order.
pub(crate) fn when_due(app: &Arc<App>, index: &Arc<LiveIndex>) {
    lance::when_due(app, index);
    // Of an index without documents no base can be made.
    if !index.has_long_tail() || index.vectors() == 0 {
        return;
    }
    let Some(merging) = index.merging() else {
        return;
    };
    let (worker, name) = (Arc::clone(app), index.meta.name.clone());
    app.tasks
        .start(KIND, index.meta.name.as_str(), |task| async move {
            let _merging = merging;
            let index = worker.indexes.in_step(&name).await?;
            let merged = merge(&worker.indexes, &index, &task).await;
            if let Err(problem) = &merged {
                tracing::warn!(index = %name, %problem, "a long tail is not merged for now");
            }
            merged
        });
}

/// Makes a base of what an index has.
pub(super) async fn merge(
    indexes: &Indexes,
    index: &LiveIndex,
    task: &TaskContext,
) -> Result<Value, Problem> {
    let meta = &index.meta;
    // Of an index without documents no base can be made: it keeps what it has, hidden.
    if (meta.grown.is_none() && index.tail.hidden_in_base() == 0) || index.vectors() == 0 {
        return answer(index, 0);
    }
    task.progress("reading vectors", 0, None, "vectors");
    let base = NewBase::of(index, searched(index).await?);
    let next = renew(indexes, index, base, task).await?;
    answer(&next, 0)
}

/// Where each row of the base is once the tail is merged; none for a hidden one.
fn kept_rows(index: &LiveIndex) -> Vec<Option<u32>> {
    let mut next = 0..;
    let row = |row| match index.tail.hides(row) {
        true => None,
        false => next.next(),
    };
    (0..index.data.len()).map(row).collect()
}

/// Embeds the whole dataset of an index anew.
///
/// # Errors
/// As for a new index; 409 when something else has become of it meanwhile.
pub(super) async fn rebuild(
    app: &App,
    index: &LiveIndex,
    task: &TaskContext,
) -> Result<(), Problem> {
    let merging = task.cancellation();
    let merging = merging.run_until_cancelled(index.wait_to_merge()).await;
    let _merging = merging.ok_or_else(Problem::cancelled)?;
    // A merge that was waited for has put another one in its place.
    let index = app.indexes.in_step(&index.meta.name).await?;
    let base = anew(app, (index.bucket(), &index.meta), task).await?;
    let mut base = base.without(&index.tombstones).await?;
    let lance = app.indexes.lance.remake(&index, &base.table, task).await?;
    base.lance = lance;
    renew(&app.indexes, &index, base, task).await?;
    forget_parts(app, &index.meta.name).await;
    Ok(())
}

/// The base that the whole dataset of an index makes, deleted documents among them.
async fn anew(
    app: &App,
    (bucket, meta): (&Bucket, &IndexMeta),
    task: &TaskContext,
) -> Result<NewBase, Problem> {
    let manifest = app.datasets.get(&meta.dataset).await?;
    // The version that this manifest tells of, as rows may be replaced at any moment: whether they are other rows than
    // those of before, what their ids promise and what is embedded have to be about the same ones.
    let newest = manifest.latest().map(|newest| newest.version);
    let dataset = app.datasets.open(&meta.dataset, newest).await?;
    check_text(&dataset, &meta.text_column)?;
    let version = dataset.version();
    let replaced = Behind::of(&manifest, meta).is_some_and(|behind| behind.replaced);
    let embedder = app.models.embedders.of(&meta.embedder).await?;
    let source = Source {
        index: &meta.name,
        dataset: &dataset,
        from: 0,
        text: &meta.text_column,
        id: meta.id_column.as_deref(),
        ids: match meta.id_column {
            Some(_) => Ids::of(&manifest, version.version),
            None => Ids::Numbers,
        },
        chunk: meta.chunk,
        known: known(&*embedder, bucket, meta).await,
        embedder: Arc::clone(&embedder),
    };
    let Embedded {
        table,
        skipped,
        embeddings,
        ..
    } = embed(app, source, task).await?;
    if table.is_empty() {
        return Err(no_text(&meta.text_column, version.rows));
    }
    Ok(NewBase {
        table,
        dataset_version: version.version,
        rows: version.rows,
        skipped,
        merged: None,
        kept: Vec::new(),
        replaced,
        embedder_digest: embedder.model_digest().to_owned(),
        embeddings: Some(embeddings),
        lance: None,
        bytes: 0,
    })
}

/// The vectors that an index has, hidden ones among them, for texts that have not changed; none when they are of another
/// model. What cannot be read is embedded again, which may be what the rebuild is for.
async fn known(embedder: &dyn Embedder, bucket: &Bucket, meta: &IndexMeta) -> Known {
    let none = || Known::new(embedder.dimension());
    if meta.embedder_digest != embedder.model_digest() {
        return none();
    }
    let mut known = none();
    for named in meta.vector_objects() {
        let vectors = match frozen::stored((bucket, &meta.name), named).await {
            Ok(vectors) => vectors,
            Err(problem) => {
                unread(&meta.name, named.0, &problem);
                continue;
            }
        };
        let adding = tokio::task::spawn_blocking(move || {
            known.add(vectors);
            known
        });
        let Ok(back) = adding.await else {
            return none();
        };
        known = back;
    }
    known
}

fn unread(index: &IndexName, path: &str, why: &Problem) {
    tracing::warn!(%index, path, %why, "vectors of an index cannot be read; their texts are embedded again");
}

/// The rows of a table that were not deleted; all when that leaves none, as they are hidden anyway.
async fn undeleted(
    tombstones: Arc<Tombstones>,
    table: VectorTable,
) -> Result<VectorTable, Problem> {
    let left = tokio::task::spawn_blocking(move || {
        let mut gone = tail::RowMask::default();
        for (at, (id, row)) in table.doc_ids().iter().zip(table.rows()).enumerate() {
            if tombstones.hide(id, *row) {
                gone.add(at);
            }
        }
        match gone.len() == table.len() {
            true => Ok(table),
            false => tail::without(table, &gone),
        }
    });
    left.await.map_err(|error| Problem::internal(&error))?
}

fn check_text(dataset: &Dataset, column: &str) -> Result<(), Problem> {
    let columns = &dataset.version().columns;
    match columns.iter().find(|known| known.name == column) {
        Some(found) if !is_text(&found.data_type) => Err(Problem::field(
            "text_column",
            "not_text",
            format!("column `{column}` is {} now, not text", found.data_type),
        )),
        // One that is missing is told by who reads it.
        _ => Ok(()),
    }
}

/// All rows of an index that are searched, as the embedder gave them.
async fn searched(index: &LiveIndex) -> Result<VectorTable, Problem> {
    let mut all = VectorTable::new(index.meta.dimension);
    for (at, named) in index.meta.vector_objects().enumerate() {
        let stored = index.stored(named).await?;
        all = joined(all, stored, is_searched(index, at)).await?;
    }
    Ok(all)
}

/// Whether a row of the vectors of an index is searched; of which of its objects they are is told by the place of that
/// among those of its manifest.
fn is_searched(index: &LiveIndex, at: usize) -> impl Fn(usize) -> bool + Send + 'static + use<> {
    let tail = index.tail.clone();
    move |row| match at.checked_sub(1) {
        None => !tail.hides(row),
        Some(part) => !tail.hides_in(part, row),
    }
}

/// Stores a new base and lets the index serve from it.
async fn renew(
    indexes: &Indexes,
    index: &LiveIndex,
    mut new: NewBase,
    task: &TaskContext,
) -> Result<Arc<LiveIndex>, Problem> {
    let count = new.table.len() as u64;
    task.progress("storing vectors", 0, Some(count), "vectors");
    let mut encoded = encode(new.take_table(), index.meta.metric).await?;
    let path = fresh_path(&index.meta.name);
    let bytes = std::mem::take(&mut encoded.bytes);
    new.bytes = bytes.len() as u64;
    index.bucket().put(&path, bytes).await?;
    let renewed = take_over(indexes, index, &new, (&path, encoded), task).await;
    if renewed.is_err() {
        forget(index.bucket(), &index.meta.name, &path).await;
    }
    renewed
}

async fn take_over(
    indexes: &Indexes,
    index: &LiveIndex,
    new: &NewBase,
    (path, encoded): (&str, Encoded),
    task: &TaskContext,
) -> Result<Arc<LiveIndex>, Problem> {
    let data_version: String = encoded.digest.chars().take(16).collect();
    let (name, files) = (&index.meta.name, index.tuner.options().files.as_ref());
    let frozen = frozen::keep(name, &data_version, encoded.frozen, files).await?;
    let (count, cancel) = (frozen.vectors.len() as u64, task.cancellation());
    let data = IndexData {
        data_version,
        rows: frozen.spans.is_some().then(|| frozen.rows.clone()),
        vectors: Arc::clone(&frozen.vectors),
        ..index.data.clone()
    };
    task.progress("building the graph", 0, Some(count), "vectors");
    let served = index.serving().served.clone();
    let made = obtain(&index.tuner, &data, served, &cancel).await?;
    task.progress(
        "waiting for the index's turn",
        count,
        Some(count),
        "vectors",
    );
    let alone = cancel.run_until_cancelled(index.wait_alone()).await;
    let _alone = alone.ok_or_else(Problem::cancelled)?;
    let serving = promoted_meanwhile(index, &data, made).await?;
    let sets = match new.kept.is_empty() {
        true => Vec::new(),
        false => tune::carried(index, &data, &new.kept, &cancel).await,
    };
    if cancel.is_cancelled() {
        return Err(Problem::cancelled());
    }
    let _writing = index.writing().await;
    let lance = without_deleted(indexes, index, new, &frozen).await?;
    let deletions = indexes.get(name.as_str())?.meta.deletions.clone();
    let next = |now: &IndexMeta| {
        let same = now.data_version == index.meta.data_version
            && (lance.is_none() || now.deletions == deletions);
        let named = same.then(|| new.named(now, path, &data)).flatten()?;
        Some(match &new.merged {
            // The same rows as before.
            Some(_) => named,
            None => named.served_by(lance),
        })
    };
    let found = indexes.write(index, next).await?;
    tune::follow(index, &sets).await;
    let base = Base {
        doc_ids: frozen.doc_ids,
        rows: frozen.rows,
        spans: frozen.spans,
        serving: Arc::new(serving),
        data,
    };
    // The one in service may have parts in memory that were appended meanwhile.
    let newest = indexes.get(index.meta.name.as_str())?;
    let next = newest.on(base, found.meta).await?;
    let next = indexes.succeed(index, next)?;
    frozen::tidy(&next).await;
    Ok(next)
}

/// The Lance table of a new base without what was deleted since that was made. The right to write is the caller's, so no
/// more is deleted until it is named.
async fn without_deleted(
    indexes: &Indexes,
    index: &LiveIndex,
    new: &NewBase,
    made: &Frozen,
) -> Result<Option<LanceMeta>, Problem> {
    let (Some(table), newest) = (&new.lance, indexes.get(index.meta.name.as_str())?) else {
        return Ok(None);
    };
    if new.replaced || newest.meta.deletions == index.meta.deletions {
        return Ok(Some(table.clone()));
    }
    let rows = made.doc_ids.iter().zip(made.rows.iter());
    let deleted = rows.filter(|(id, row)| newest.tombstones.hide(id, **row));
    let gone: Vec<String> = deleted.map(|(id, _)| id.to_owned()).collect();
    let table = indexes.lance.without(index, table.clone(), &gone).await?;
    Ok(Some(table))
}

/// What is to serve, for a configuration that may have been promoted since the graph was begun.
async fn promoted_meanwhile(
    index: &LiveIndex,
    data: &IndexData,
    made: Serving,
) -> Result<Serving, Problem> {
    let served = index.serving().served.clone();
    if served.config == made.served.config {
        return Ok(made.serving(served));
    }
    let uncancelled = tokio_util::sync::CancellationToken::new();
    obtain(&index.tuner, data, served, &uncancelled).await
}

impl NewBase {
    /// The base that these rows of an index make, which are all that are searched.
    fn of(index: &LiveIndex, table: VectorTable) -> Self {
        let (meta, grown) = (&index.meta, index.meta.growth());
        Self {
            table,
            dataset_version: grown.dataset_version,
            rows: grown.rows,
            skipped: meta.skipped_rows + grown.skipped_rows,
            merged: Some(grown),
            kept: kept_rows(index),
            replaced: false,
            embedder_digest: meta.embedder_digest.clone(),
            embeddings: None,
            lance: None,
            bytes: 0,
        }
    }

    /// Without the documents that were deleted, unless its rows are others.
    async fn without(mut self, tombstones: &Arc<Tombstones>) -> Result<Self, Problem> {
        if !self.replaced {
            self.table = undeleted(Arc::clone(tombstones), self.table).await?;
        }
        Ok(self)
    }

    /// How far it covers its dataset, where that cannot be told by counting: documents were added for rows that had none.
    fn told(&self, documents: u64) -> Option<Growth> {
        (documents + self.skipped > self.rows).then(|| Growth {
            dataset_version: self.dataset_version,
            rows: self.rows,
            skipped_rows: 0,
            segments: Vec::new(),
        })
    }

    /// Its vectors, which it does not hold any more then.
    fn take_table(&mut self) -> VectorTable {
        let empty = VectorTable::new(self.table.dimension());
        std::mem::replace(&mut self.table, empty)
    }

    /// The manifest that names this base instead of the old one; none when the tail that it contains is not how the
    /// one of the index begins now.
    fn named(&self, now: &IndexMeta, path: &str, data: &IndexData) -> Option<IndexMeta> {
        let (vectors, documents) = (data.len() as u64, data.documents() as u64);
        Some(IndexMeta {
            dataset_version: self.dataset_version,
            embedder_digest: self.embedder_digest.clone(),
            dimension: data.vectors.dimension(),
            vectors_path: path.to_owned(),
            data_version: data.data_version.clone(),
            vectors_bytes: Some(self.bytes),
            vectors,
            documents: data.rows.is_some().then_some(documents),
            embeddings: self.embeddings.or(now.embeddings),
            skipped_rows: self.skipped,
            superseded_rows: self.rows.saturating_sub(documents + self.skipped),
            grown: match &self.merged {
                Some(merged) => behind(merged, &now.growth())?.or_else(|| self.told(documents)),
                None => None,
            },
            deletions: match self.replaced {
                true => Vec::new(),
                false => now.deletions.clone(),
            },
            first_vectors_path: Some(now.first_vectors().to_owned()),
            ..now.clone()
        })
    }
}

impl IndexMeta {
    /// The same index with another Lance table; without one its graph serves.
    fn served_by(self, lance: Option<LanceMeta>) -> Self {
        let vector_backend = match lance {
            Some(_) => self.vector_backend,
            None => VectorBackend::Parquet,
        };
        Self {
            lance,
            vector_backend,
            ..self
        }
    }
}

/// What is left of a tail once a part of it is in the base; none when that is not how the tail begins.
fn behind(merged: &Growth, now: &Growth) -> Option<Option<Growth>> {
    let segments = now.segments.strip_prefix(merged.segments.as_slice())?;
    let left = Growth {
        segments: segments.to_vec(),
        skipped_rows: now.skipped_rows.checked_sub(merged.skipped_rows)?,
        ..now.clone()
    };
    let has_more = now.dataset_version != merged.dataset_version || !segments.is_empty();
    Some(has_more.then_some(left))
}
