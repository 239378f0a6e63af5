//! Rows that were appended to a dataset become part of its indexes, without a rebuild.
//!
//! The rows behind those that an index covers are embedded and stored as one more object of vectors; then one
//! commit of the manifest names that object and the version of the dataset which is covered now, both at once.
//! Whatever ends this early leaves the manifest as it was, and an object that nobody names: so a row is neither
//! lost nor there twice, however often this is done again. In service they are a tail beside the graph
//! (`tail.rs`), which is merged into a new base once it is long (`append/merge.rs`).
//!
//! Where rows have ids of their own, a row replaces the earlier ones of its id. One without text does so too: the same
//! commit names a tombstone for what was searched of its id. A dataset whose rows were replaced as a whole is not
//! followed: the index keeps what it has until somebody refreshes it, which makes a new base.
//!
//! Who decides when this is done is the agent (`agent.rs`) or a client; one at a time for each index.

use std::{collections::BTreeSet, sync::Arc};

use boathouse_ingest::{Dataset, DatasetManifest, IngestMode};
use boathouse_models::Embedder;
use boathouse_storage::StorageError;
use boathouse_types::IndexName;
use boathouse_vector::table::VectorTable;
use serde_json::{Value, json};

use super::{
    AppendPolicy, Behind, Growth, IndexMeta, IndexView, Indexes, LiveIndex, Segment,
    create::forget,
    delete::{self, Buried},
    embed::{Ids, Known, Source, check_embedder, embed, encode, forget_parts},
    frozen,
    live::Hold,
    locked,
    objects::fresh_path,
    standing::Found,
    tail,
};
use crate::{
    app::App,
    lance::{self, Change},
    problem::Problem,
    tasks::TaskContext,
};

pub(crate) mod merge;

/// Kind of the task of an append.
pub(crate) const KIND: &str = "append";
/// How often a dataset may have grown again when its rows are in, or an index have become another one when it may be
/// written, before that is left to another time.
const ROUNDS: usize = 16;
/// Parts of a tail; an append beyond puts them together.
const MAX_PARTS: usize = 8;

impl Behind {
    /// How far an index is behind its dataset; none when it is not.
    #[must_use]
    pub fn of(dataset: &DatasetManifest, meta: &IndexMeta) -> Option<Self> {
        let newest = dataset.latest()?;
        let (covered, rows) = (meta.covered_version(), meta.covered_rows());
        if newest.version <= covered {
            return None;
        }
        let later = || dataset.versions.iter().filter(|one| one.version > covered);
        let mut known = dataset.versions.iter();
        // A dataset of this name that was made anew does not have the version.
        let replaced = !known.any(|one| one.version == covered && one.rows == rows)
            || later().any(|one| one.mode == IngestMode::Replace);
        Some(Self {
            newest: newest.version,
            versions: later().count() as u64,
            rows: if replaced {
                newest.rows
            } else {
                newest.rows.saturating_sub(rows)
            },
            replaced,
        })
    }
}

/// Looks how far an index is behind its dataset, and keeps it in mind.
///
/// # Errors
/// When the dataset cannot be read.
pub(crate) async fn look(app: &App, index: &LiveIndex) -> Result<Option<Behind>, Problem> {
    let dataset = app.datasets.get(&index.meta.dataset).await?;
    let behind = Behind::of(&dataset, &index.meta);
    index.note_behind(behind);
    Ok(behind)
}

/// Brings everything into an index that was appended to its dataset. The right to do so is the caller's.
///
/// # Errors
/// 409 `dataset_replaced` and `embedder_changed` when there is nothing but a rebuild; 409 when the index is being
/// moved or was changed by somebody else; 404 when it is gone; a bucket's failure. What is not in then can be
/// brought in later.
pub(crate) async fn carry(
    app: &App,
    name: &IndexName,
    _growing: Hold,
    task: &TaskContext,
) -> Result<Value, Problem> {
    catch_up(app, name, task).await
}

/// Brings an index up to date with its dataset, by a rebuild where that is needed, and makes good what of its objects
/// is gone or damaged.
///
/// # Errors
/// As [`carry`], and as for a new index.
pub(crate) async fn refresh(
    app: &App,
    name: &IndexName,
    task: &TaskContext,
) -> Result<Value, Problem> {
    let index = app.indexes.get(name.as_str())?;
    let growing = task.cancellation();
    let growing = growing.run_until_cancelled(index.growing()).await;
    let _growing = growing.ok_or_else(Problem::cancelled)?;
    let index = app.indexes.in_step(name).await?;
    let replaced = look(app, &index)
        .await?
        .is_some_and(|behind| behind.replaced);
    let embedder = app.models.embedders.of(&index.meta.embedder).await?;
    if replaced || check_embedder(&*embedder, &index.meta).is_err() {
        merge::rebuild(app, &index, task).await?;
    }
    // Also of what a rebuild has left as it is: deletions.
    let mended = merge::mend(app, name, task).await?;
    // Also after a rebuild: rows may have come meanwhile.
    let mut refreshed = catch_up(app, name, task).await?;
    refreshed["mended_objects"] = json!(mended);
    Ok(refreshed)
}

/// Changes what happens to rows that are appended to the dataset of an index.
///
/// # Errors
/// 404, 409 when it is being moved or was changed by somebody else, or the bucket fails.
pub(crate) async fn set_policy(
    app: &App,
    name: &str,
    appends: AppendPolicy,
) -> Result<IndexView, Problem> {
    let index = app.indexes.get(name)?;
    check_at_rest(&index)?;
    let change = |meta: &IndexMeta| {
        Some(IndexMeta {
            appends,
            ..meta.clone()
        })
    };
    Ok(app.indexes.commit(&index, change).await?.view())
}

async fn catch_up(app: &App, name: &IndexName, task: &TaskContext) -> Result<Value, Problem> {
    let mut appended = 0;
    for _ in 0..ROUNDS {
        let index = app.indexes.in_step(name).await?;
        let Some(behind) = look(app, &index).await? else {
            return answer(&index, appended);
        };
        if behind.replaced {
            return Err(replaced(&index));
        }
        let embedder = app.models.embedders.of(&index.meta.embedder).await?;
        check_embedder(&*embedder, &index.meta)?;
        let (dataset, version) = (&index.meta.dataset, Some(behind.newest));
        let dataset = app.datasets.open(dataset, version).await?;
        appended += extend(app, &index, (&dataset, embedder), task).await?;
    }
    Err(Problem::conflict(
        "changed_meanwhile",
        format!(
            "the dataset of index `{name}` grows faster than its rows can be embedded; try again"
        ),
    ))
}

/// What a task that changed an index says of it.
fn answer(index: &LiveIndex, appended: u64) -> Result<Value, Problem> {
    let view = serde_json::to_value(index.view());
    let mut view = view.map_err(|error| Problem::internal(&error))?;
    view["appended"] = json!(appended);
    Ok(view)
}

pub(crate) fn check_at_rest(index: &LiveIndex) -> Result<(), Problem> {
    match index.moving_to() {
        None => Ok(()),
        Some(to) => Err(Problem::conflict(
            "index_busy",
            format!(
                "index `{}` is being moved to bucket `{to}`; wait for that task or cancel it (`GET /tasks`, `boathouse task list`)",
                index.meta.name
            ),
        )),
    }
}

fn replaced(index: &LiveIndex) -> Problem {
    let (name, dataset) = (&index.meta.name, &index.meta.dataset);
    Problem::conflict(
        "dataset_replaced",
        format!(
            "the rows of dataset `{dataset}` that index `{name}` covers were replaced; `POST /vectors/indexes/{name}/refresh` rebuilds it"
        ),
    )
}

/// Embeds the rows of a version behind those that are covered, and brings them in; returns how many documents that
/// were.
async fn extend(
    app: &App,
    index: &Arc<LiveIndex>,
    (dataset, embedder): (&Dataset, Arc<dyn Embedder>),
    task: &TaskContext,
) -> Result<u64, Problem> {
    let meta = &index.meta;
    let source = Source {
        index: &meta.name,
        dataset,
        from: meta.covered_rows(),
        text: &meta.text_column,
        id: meta.id_column.as_deref(),
        ids: match meta.id_column {
            Some(_) => Ids::Latest,
            None => Ids::Numbers,
        },
        chunk: meta.chunk,
        known: Known::new(embedder.dimension()),
        embedder,
    };
    let embedded = embed(app, source, task).await?;
    let (vectors, documents) = (embedded.table.len(), embedded.table.documents());
    task.progress("storing vectors", 0, Some(vectors as u64), "vectors");
    let added = Added {
        table: embedded.table,
        dataset_version: dataset.version().version,
        rows: dataset.version().rows,
        skipped: embedded.skipped,
        emptied: embedded.emptied,
    };
    land(&app.indexes, index, added).await?;
    forget_parts(app, &meta.name).await;
    Ok(documents as u64)
}

/// Rows behind those that an index covers, embedded.
struct Added {
    table: VectorTable,
    /// Version of the dataset that is covered with them.
    dataset_version: u64,
    /// Rows of that version.
    rows: u64,
    /// Those of the added rows that are left out.
    skipped: u64,
    /// Ids whose last row has no text.
    emptied: BTreeSet<String>,
}

/// Stores and commits what was added, which is in service when this returns.
async fn land(
    indexes: &Indexes,
    index: &Arc<LiveIndex>,
    mut added: Added,
) -> Result<Arc<LiveIndex>, Problem> {
    let meta = &index.meta;
    let emptied = std::mem::take(&mut added.emptied);
    let buried = bury_emptied(index, emptied, added.rows).await?;
    let change = change_of(index, &added.table, buried.as_ref()).await?;
    // Held while parts are put together, which a merge under way still needs.
    let alone = (meta.segments().len() >= MAX_PARTS)
        .then(|| index.merging())
        .flatten();
    let mut growth = Growth {
        dataset_version: added.dataset_version,
        rows: added.rows,
        skipped_rows: added.skipped + meta.grown.as_ref().map_or(0, |grown| grown.skipped_rows),
        segments: meta.segments().to_vec(),
    };
    let stored = match (added.table.is_empty(), &alone) {
        (true, _) => None,
        (false, Some(_)) => {
            growth.segments.clear();
            Some(store(index, put_together(index, added.table).await?).await?)
        }
        (false, None) => Some(store(index, added.table).await?),
    };
    growth.segments.extend(stored.clone());
    let committed = name_all(indexes, index, (growth, buried.as_ref()), change).await;
    if committed.is_err() {
        let stored = stored.as_ref().map(|stored| stored.path.as_str());
        for path in stored.into_iter().chain(buried.as_ref().map(Buried::path)) {
            forget(index.bucket(), &meta.name, path).await;
        }
    }
    committed
}

/// Commits what was stored, once a Lance table has it too.
async fn name_all(
    indexes: &Indexes,
    index: &LiveIndex,
    (growth, buried): (Growth, Option<&Buried>),
    change: Change,
) -> Result<Arc<LiveIndex>, Problem> {
    let (meta, covered) = (&index.meta, index.meta.covered_version());
    let followed = indexes.lance.follow(indexes, index, change).await?;
    let commit = indexes.commit(index, |now| {
        let same = now.covered_version() == covered && now.segments() == meta.segments();
        let deletions = match buried {
            Some(buried) => buried.among(&now.deletions)?,
            None => now.deletions.clone(),
        };
        let next = same.then(|| IndexMeta {
            grown: Some(growth),
            deletions,
            ..now.clone()
        });
        followed.onto(next?)
    });
    commit.await
}

/// What an append changes of the rows of an index, for its Lance table: earlier rows of the same ids go.
async fn change_of(
    index: &Arc<LiveIndex>,
    added: &VectorTable,
    buried: Option<&Buried>,
) -> Result<Change, Problem> {
    if index.meta.lance.is_none() {
        return Ok(Change::default());
    }
    let mut gone = buried.map_or_else(Vec::new, |buried| buried.ids().to_vec());
    // Numbers of rows are unique.
    if index.meta.id_column.is_some() {
        let ids: BTreeSet<String> = added.doc_ids().iter().map(str::to_owned).collect();
        let searched = Arc::clone(index);
        let chosen = tokio::task::spawn_blocking(move || searched.choose(&ids));
        let chosen = chosen.await.map_err(|error| Problem::internal(&error))?;
        gone.extend(chosen.ids);
    }
    let added = lance::rows_of(added, 0..added.len(), |_| true);
    Ok(Change { gone, added })
}

/// Brings vectors in for rows of the dataset that are covered already. The right to do so is the caller's.
///
/// # Errors
/// 409 when the index was changed by somebody else, or the bucket fails.
#[cfg(feature = "lance")]
pub(crate) async fn add(
    indexes: &Indexes,
    index: &Arc<LiveIndex>,
    table: VectorTable,
) -> Result<Arc<LiveIndex>, Problem> {
    let added = Added {
        table,
        dataset_version: index.meta.covered_version(),
        rows: index.meta.covered_rows(),
        skipped: 0,
        emptied: BTreeSet::new(),
    };
    land(indexes, index, added).await
}

/// Stores tombstones for what is searched of ids whose last row has no text; none when nothing is. `rows` of the
/// dataset are covered then, of which that one is the last.
async fn bury_emptied(
    index: &Arc<LiveIndex>,
    emptied: BTreeSet<String>,
    rows: u64,
) -> Result<Option<Buried>, Problem> {
    if emptied.is_empty() {
        return Ok(None);
    }
    let searched = Arc::clone(index);
    let chosen = tokio::task::spawn_blocking(move || searched.choose(&emptied));
    let ids = chosen.await.map_err(|error| Problem::internal(&error))?.ids;
    match ids.is_empty() {
        true => Ok(None),
        false => delete::bury(index, ids, rows).await.map(Some),
    }
}

/// Stores vectors that no manifest names yet.
async fn store(index: &LiveIndex, table: VectorTable) -> Result<Segment, Problem> {
    let encoded = encode(table, index.meta.metric).await?;
    let (path, bytes) = (fresh_path(&index.meta.name), encoded.bytes.len() as u64);
    index.bucket().put(&path, encoded.bytes).await?;
    let digest: String = encoded.digest.chars().take(16).collect();
    let files = index.tuner.options().files.as_ref();
    let frozen = frozen::keep(&index.meta.name, &digest, encoded.frozen, files).await?;
    Ok(Segment {
        path,
        digest,
        vectors: frozen.vectors.len() as u64,
        bytes: Some(bytes),
    })
}

/// The rows of a tail that are searched, and these behind them.
async fn put_together(index: &LiveIndex, added: VectorTable) -> Result<VectorTable, Problem> {
    let mut all = VectorTable::new(added.dimension());
    for (part, segment) in index.meta.segments().iter().enumerate() {
        let named = (segment.path.as_str(), segment.digest.as_str());
        let stored = index.stored(named).await?;
        let tail = index.tail.clone();
        all = joined(all, stored, move |row| !tail.hides_in(part, row)).await?;
    }
    joined(all, added, |_| true).await
}

/// A table with rows of another one behind its own.
async fn joined(
    mut to: VectorTable,
    from: VectorTable,
    keep: impl Fn(usize) -> bool + Send + 'static,
) -> Result<VectorTable, Problem> {
    let joining =
        tokio::task::spawn_blocking(move || tail::append(&mut to, &from, keep).map(|()| to));
    joining.await.map_err(|error| Problem::internal(&error))?
}

impl Indexes {
    /// The index in service, as its bucket has it: what another host or a commit without an answer changed of it
    /// is in service when this returns.
    ///
    /// # Errors
    /// 404, 409 when it is being moved or is not what it was, or the bucket fails.
    pub(crate) async fn in_step(&self, name: &IndexName) -> Result<Arc<LiveIndex>, Problem> {
        let mut seated = self.get(name.as_str())?;
        for _ in 0..ROUNDS {
            check_at_rest(&seated)?;
            let writing = seated.writing().await;
            let index = self.get(name.as_str())?;
            if index.shares_seat(&seated) {
                let found = self.home_of(&index).await?;
                return match index.is_as(&found.meta) {
                    true => Ok(index),
                    false => self.adopt(&index, &found).await,
                };
            }
            // It got a new base, or another home, while the right to write was waited for.
            drop(writing);
            seated = index;
        }
        Err(changed(&seated))
    }

    /// Commits a change of an index's manifest, which `change` may decline for what it has become, and puts it in
    /// service.
    ///
    /// # Errors
    /// 409 when the index is not what it was, or the bucket fails; then it may have been committed nevertheless,
    /// and [`Self::in_step`] finds out.
    pub(crate) async fn commit(
        &self,
        index: &LiveIndex,
        change: impl FnOnce(&IndexMeta) -> Option<IndexMeta>,
    ) -> Result<Arc<LiveIndex>, Problem> {
        let _writing = index.writing().await;
        let found = self.write(index, change).await?;
        self.adopt(index, &found).await
    }

    /// As [`Self::commit`], without putting it in service; the right to write is the caller's.
    pub(super) async fn write(
        &self,
        index: &LiveIndex,
        change: impl FnOnce(&IndexMeta) -> Option<IndexMeta>,
    ) -> Result<Found, Problem> {
        let found = self.home_of(index).await?;
        let next = change(&found.meta).ok_or_else(|| changed(index))?;
        match found.replace(&next).await {
            Ok(()) => Ok(Found::new(index.bucket(), found.version + 1, next)),
            Err(StorageError::Conflict { .. }) => Err(changed(index)),
            // It may have happened, the answer alone being lost.
            Err(error) => match Found::confirm(index.bucket(), &index.meta.name).await {
                Ok(Some(now)) if now.meta == next => Ok(now),
                _ => Err(error.into()),
            },
        }
    }

    /// The manifest of an index in service by its home's own word.
    async fn home_of(&self, index: &LiveIndex) -> Result<Found, Problem> {
        let found = Found::confirm(index.bucket(), &index.meta.name).await?;
        let is_ours = |found: &Found| {
            let meta = &found.meta;
            !meta.deleted && meta.moving_to.is_none() && meta.is_same_index(&index.meta)
        };
        let found = found.filter(|found| is_ours(found) && !index.is_retired());
        found.ok_or_else(|| changed(index))
    }

    /// Puts in service what a manifest says of an index. The right to write is the caller's.
    async fn adopt(&self, index: &LiveIndex, found: &Found) -> Result<Arc<LiveIndex>, Problem> {
        if index.data.data_version == found.meta.data_version {
            let next = index.grown(found.meta.clone()).await?;
            return self.succeed(index, next);
        }
        // Another host has made a new base.
        let _alone = index.take_alone()?;
        let options = index.tuner.options().clone();
        let next = LiveIndex::open(found, options).await?;
        self.succeed(index, next)
    }

    /// Puts an index in the place of another one.
    ///
    /// # Errors
    /// 409 when that is not in service any more.
    pub(super) fn succeed(
        &self,
        index: &LiveIndex,
        next: LiveIndex,
    ) -> Result<Arc<LiveIndex>, Problem> {
        let mut live = locked(&self.live);
        if index.is_retired() {
            return Err(changed(index));
        }
        if !next.shares_seat(index) {
            index.retire();
        }
        let next = Arc::new(next);
        live.insert(next.meta.name.clone(), Arc::clone(&next));
        Ok(next)
    }
}

fn changed(index: &LiveIndex) -> Problem {
    Problem::conflict(
        "changed_meanwhile",
        format!(
            "index `{}` was moved, merged, deleted or changed by another host just now; try again",
            index.meta.name
        ),
    )
}

#[cfg(test)]
mod tests;
