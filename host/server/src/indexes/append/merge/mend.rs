//! Objects of an index in service that are gone or damaged in its bucket, made good.
//!
//! All objects that the manifest names are read and compared with their digests. One that is not sound is put back from
//! its copy in rescue. Where there is none, deletions are written anew from memory, as one object. Vectors become a new
//! base then: from what the bucket still has and, in the place of what it has not, from what serves here, of which local
//! files are compared with their checksums once more. Where these are damaged as well everything is embedded anew.
//!
//! One commit names what is new. Until then, and when something fails, the index serves as before and is what it was. A
//! new base is another version of the vectors, as after a merge: its graph is built, evaluation sets are carried over,
//! and trials of before do not compare with later ones. A base that was put back is the same.

use std::collections::BTreeSet;

use boathouse_types::IndexName;
use boathouse_vector::table::VectorTable;
use sha2::{Digest as _, Sha256};

use super::{NewBase, is_searched, joined, rebuild, renew};
use crate::{
    app::App,
    indexes::{LiveIndex, delete, fetch, frozen},
    problem::Problem,
    tasks::TaskContext,
};

/// Makes the objects of an index in service good; gives how many were not.
///
/// # Errors
/// The bucket fails; as for a merge, and where nothing here is sound, as for a rebuild; 409 when cancelled.
pub(crate) async fn mend(app: &App, name: &IndexName, task: &TaskContext) -> Result<u64, Problem> {
    let mut index = app.indexes.in_step(name).await?;
    task.progress("comparing objects", 0, None, "objects");
    let examined = task.cancellation();
    let examined = examined.run_until_cancelled(index.examine()).await;
    let found = examined.ok_or_else(Problem::cancelled)??;
    let mut left = BTreeSet::new();
    for path in found.keys() {
        if !is_back(&index, path).await? {
            left.insert(path.clone());
        }
    }
    let is_left = |paths: Vec<&str>| paths.iter().any(|path| left.contains(*path));
    let deletions = index.meta.deletions.iter();
    if is_left(deletions.map(|one| one.path.as_str()).collect()) {
        index = delete::store_again(&app.indexes, &index).await?;
    }
    if is_left(vectors(&index)) {
        make_base(app, &index, &left, task).await?;
    }
    if !found.is_empty() {
        let index = app.indexes.in_step(name).await?;
        index.look_at_objects().await?;
    }
    Ok(found.len() as u64)
}

fn vectors(index: &LiveIndex) -> Vec<&str> {
    index.meta.vector_objects().map(|(path, _)| path).collect()
}

/// Puts an object back from its copy in rescue; false when there is no sound one.
async fn is_back(index: &LiveIndex, path: &str) -> Result<bool, Problem> {
    let Some(copy) = fetch::copied(index.bucket(), path).await else {
        return Ok(false);
    };
    let digested = copy.clone();
    let digest = tokio::task::spawn_blocking(move || format!("{:x}", Sha256::digest(&digested)));
    let digest = digest.await.map_err(|error| Problem::internal(&error))?;
    let mut objects = index.meta.objects();
    let is_sound = objects.any(|(known, expected)| known == path && digest.starts_with(expected));
    Ok(is_sound && fetch::put_back(&index.meta.name, (index.bucket(), path), copy).await)
}

/// Makes a new base without the objects that are damaged.
async fn make_base(
    app: &App,
    index: &LiveIndex,
    damaged: &BTreeSet<String>,
    task: &TaskContext,
) -> Result<(), Problem> {
    let merging = task.cancellation();
    let merging = merging.run_until_cancelled(index.wait_to_merge()).await;
    let merging = merging.ok_or_else(Problem::cancelled)?;
    // A merge that was waited for has put another one in its place.
    let index = app.indexes.in_step(&index.meta.name).await?;
    if !vectors(&index).iter().any(|path| damaged.contains(*path)) {
        return Ok(());
    }
    task.progress("reading vectors", 0, None, "vectors");
    let here = at_hand(&index, damaged).await?;
    if let Some(table) = here.filter(|table| !table.is_empty()) {
        let base = NewBase::of(&index, table);
        renew(&app.indexes, &index, base, task).await?;
        return Ok(());
    }
    // It takes that right itself.
    drop(merging);
    rebuild(app, &index, task).await
}

/// All rows of an index that are searched, from its bucket, and from here where that has them not; none when they are
/// damaged here too.
async fn at_hand(
    index: &LiveIndex,
    damaged: &BTreeSet<String>,
) -> Result<Option<VectorTable>, Problem> {
    let mut all = VectorTable::new(index.meta.dimension);
    for (at, named) in index.meta.vector_objects().enumerate() {
        let stored = match damaged.contains(named.0) {
            true => None,
            false => Some(index.stored(named).await?),
        };
        let Some(table) = (match stored {
            Some(stored) => Some(stored),
            None => serving(index, at).await?,
        }) else {
            return Ok(None);
        };
        all = joined(all, table, is_searched(index, at)).await?;
    }
    Ok(Some(all))
}

/// The vectors of an object as they serve; none when they are damaged.
async fn serving(index: &LiveIndex, at: usize) -> Result<Option<VectorTable>, Problem> {
    let Some(frozen) = frozen::here(index, at).await? else {
        return Ok(None);
    };
    let table = tokio::task::spawn_blocking(move || frozen.to_table());
    let table = table.await.map_err(|error| Problem::internal(&error))?;
    Ok(Some(table?))
}
