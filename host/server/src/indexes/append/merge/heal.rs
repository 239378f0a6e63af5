//! A new base for an index that is not served, as vectors of it are damaged or gone and no sound copy is left.
//!
//! Its manifest and its dataset have all that is needed: the dataset is embedded anew, texts whose vectors still read
//! excepted, and the graph is built for what was promoted last. One commit names the new vectors; until then the index
//! is broken as it was, and this can be done again. Journal, promotions, evaluation sets and deletions stay. Appended rows
//! are in the new base and deleted documents are not; where there were neither, it is the base of before, if dataset and
//! embedder are, and what trials measured holds.
//!
//! Absent here: objects of deletions that cannot be used. Nothing else tells what was deleted, so nothing is made then.

use std::sync::Arc;

use boathouse_storage::StorageError;
use boathouse_tuning::IndexData;
use boathouse_types::VectorBackend;

use super::{NewBase, anew};
use crate::{
    app::App,
    indexes::{
        Behind, LiveIndex, Reservation,
        create::forget,
        embed::{Encoded, encode, forget_parts},
        frozen,
        objects::fresh_path,
        standing::Found,
        tombstones::Tombstones,
    },
    problem::Problem,
    tasks::TaskContext,
};

/// Makes the vectors of a broken index anew, which serves when this returns.
///
/// # Errors
/// What keeps the index from being opened, when that is not its vectors; as for a new index; 409 when something else has
/// become of it meanwhile. It is broken as before then.
pub(crate) async fn heal(
    app: &App,
    (reservation, broken): (Reservation, Found),
    task: &TaskContext,
) -> Result<(), Problem> {
    app.indexes.quiet(&broken.meta.name).await;
    // By the word of its home, which its copy may lag behind.
    let found = Found::confirm(&broken.bucket, &broken.meta.name).await?;
    let is_same = |found: &Found| {
        !found.meta.deleted
            && found.meta.moving_to.is_none()
            && found.meta.is_same_index(&broken.meta)
    };
    let Some(found) = found.filter(is_same) else {
        return Err(changed(&broken));
    };
    let healed = match LiveIndex::open(&found, app.tuner_options()).await {
        Err(problem) if problem.code == "damaged_object" => made(app, &found, task).await?,
        // The objects may be back.
        opened => opened?,
    };
    frozen::tidy(&healed).await;
    reservation.fulfil(healed);
    Ok(())
}

/// The index on new vectors, committed.
async fn made(app: &App, found: &Found, task: &TaskContext) -> Result<LiveIndex, Problem> {
    let (bucket, meta) = (&found.bucket, &found.meta);
    let dataset = app.datasets.get(&meta.dataset).await?;
    let replaced = Behind::of(&dataset, meta).is_some_and(|behind| behind.replaced);
    // Tombstones mean nothing once rows were replaced. What cannot be read is told before anything is embedded.
    let tombstones = match replaced {
        true => Arc::default(),
        false => Tombstones::load(&Arc::default(), bucket, &meta.name, &meta.deletions).await?,
    };
    let base = anew(app, (bucket, meta), task).await?;
    let mut base = base.without(&tombstones).await?;
    let count = base.table.len() as u64;
    task.progress("storing vectors", 0, Some(count), "vectors");
    let mut encoded = encode(base.take_table(), meta.metric).await?;
    let path = fresh_path(&meta.name);
    let bytes = std::mem::take(&mut encoded.bytes);
    base.bytes = bytes.len() as u64;
    bucket.put(&path, bytes).await?;
    let committed = commit(app, found, &base, (&path, encoded), task).await;
    match committed.is_ok() {
        true => forget_parts(app, &meta.name).await,
        false => forget(bucket, &meta.name, &path).await,
    }
    committed
}

/// Builds the graph, then commits the manifest that names the new base.
async fn commit(
    app: &App,
    found: &Found,
    base: &NewBase,
    (path, encoded): (&str, Encoded),
    task: &TaskContext,
) -> Result<LiveIndex, Problem> {
    let (bucket, options, cancel) = (&found.bucket, app.tuner_options(), task.cancellation());
    let data_version: String = encoded.digest.chars().take(16).collect();
    let (name, files) = (&found.meta.name, options.files.as_ref());
    let frozen = frozen::keep(name, &data_version, encoded.frozen, files).await?;
    let data = IndexData {
        index: name.clone(),
        backend: VectorBackend::Parquet,
        data_version,
        rows: frozen.spans.is_some().then(|| frozen.rows.clone()),
        vectors: frozen.vectors.clone(),
    };
    let next = base.named(&found.meta, path, &data);
    // Its Lance table, if it has one, was made of other vectors maybe.
    let next = next.ok_or_else(|| changed(found))?.served_by(None);
    task.progress("building the graph", 0, Some(next.vectors), "vectors");
    let live = LiveIndex::assemble(bucket, next.clone(), frozen, options, &cancel).await?;
    // With what was deleted.
    let live = live.grown(next.clone()).await?;
    if cancel.is_cancelled() {
        return Err(Problem::cancelled());
    }
    match found.replace(&next).await {
        Ok(()) => Ok(live),
        Err(StorageError::Conflict { .. }) => Err(changed(found)),
        Err(error) => Err(error.into()),
    }
}

fn changed(found: &Found) -> Problem {
    Problem::conflict(
        "changed_meanwhile",
        format!(
            "index `{}` was moved, deleted or changed by another host just now; try again",
            found.meta.name
        ),
    )
}
