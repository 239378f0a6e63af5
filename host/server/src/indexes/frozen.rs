//! What the vectors of an index are opened from: local files that are mapped, and made from what its bucket has.
//!
//! The bucket decides: a local file says of which object it was made, by its digest, and is used only where the
//! manifest names that one. So what is here can be deleted at any time and is made again. An object is read, and
//! compared with the digest in the manifest, when there is no file for it; its copy in rescue is, where it is damaged
//! (`fetch.rs`). Where no file can be written the vectors stay in memory.
//!
//! Files are told by what is in them, `{digest}.{metric}.rows` and `{build}.graph` in a folder of the index. Those
//! that an index does not serve from go when it is opened and when it gets a new base, the folder when it is deleted;
//! folders of indexes that are not known go at the start of the host.

use std::{collections::BTreeSet, io};

use boathouse_storage::{Bucket, FileCache};
use boathouse_tuning::{Builds, TunerOptions};
use boathouse_types::{Dimension, IndexName, Metric};
use boathouse_vector::{
    Frozen, Provenance, VectorError,
    table::{self, VectorTable},
};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{
    IndexMeta, Indexes, LiveIndex, Segment,
    fetch::{self, Unusable},
    objects::VECTORS,
};
use crate::problem::Problem;

/// The vectors of an index's base.
///
/// # Errors
/// When they are neither here nor can be read from the bucket, or are damaged there.
pub(super) async fn base(
    bucket: &Bucket,
    meta: &IndexMeta,
    files: Option<&FileCache>,
) -> Result<Frozen, Problem> {
    let place = (bucket, meta.vectors_path.as_str());
    open(place, &meta.name, Wanted::base(meta), files).await
}

/// The vectors of a segment of an index's tail.
///
/// # Errors
/// As [`base`].
pub(super) async fn segment(
    bucket: &Bucket,
    meta: &IndexMeta,
    segment: &Segment,
    files: Option<&FileCache>,
) -> Result<Frozen, Problem> {
    let place = (bucket, segment.path.as_str());
    open(place, &meta.name, Wanted::segment(meta, segment), files).await
}

/// The vectors of an object that the manifest of an index names, as the embedder gave them, from its bucket or the copy
/// in rescue: what is made of them is as sound as they are.
///
/// # Errors
/// When they cannot be read from the bucket, or are damaged there and in the copy.
pub(super) async fn stored(
    (bucket, name): (&Bucket, &IndexName),
    (path, digest): (&str, &str),
) -> Result<VectorTable, Problem> {
    let digest = digest.to_owned();
    let read = move |bytes| sound(bytes, &digest);
    fetch::read((&VECTORS, name), (bucket, path), read).await
}

/// The vectors of an index in service, by the place that their object has among those of its manifest, as they are here:
/// in their local file, which is compared with its checksums anew, or in memory where they have none. None when that file
/// is damaged.
///
/// # Errors
/// When the work was cut off.
pub(super) async fn here(index: &LiveIndex, at: usize) -> Result<Option<Frozen>, Problem> {
    let (frozen, wanted) = match at.checked_sub(1) {
        None => (index.base_as_frozen(), Wanted::base(&index.meta)),
        Some(at) => {
            let segments = index.meta.segments().get(at);
            let (Some(part), Some(segment)) = (index.tail.parts().get(at), segments) else {
                return Ok(None);
            };
            let wanted = Wanted::segment(&index.meta, segment);
            (part.as_frozen(), wanted)
        }
    };
    let Some(files) = index
        .tuner
        .options()
        .files
        .as_ref()
        .filter(|_| frozen.is_lent())
    else {
        return Ok(Some(frozen));
    };
    let files = files.of_index(&index.meta.name);
    let mapped = tokio::task::spawn_blocking(move || wanted.mapped(&files));
    mapped.await.map_err(|error| Problem::internal(&error))
}

/// Writes vectors into a local file and maps them; they stay where they are if that is not possible.
///
/// # Errors
/// When the work was cut off.
pub(super) async fn keep(
    index: &IndexName,
    data_version: &str,
    frozen: Frozen,
    files: Option<&FileCache>,
) -> Result<Frozen, Problem> {
    let wanted = Wanted {
        data_version: data_version.to_owned(),
        dimension: frozen.vectors.dimension(),
        metric: frozen.vectors.metric(),
        rows: frozen.vectors.len() as u64,
    };
    let Some(files) = files.map(|files| files.of_index(index)) else {
        return Ok(frozen);
    };
    let kept = tokio::task::spawn_blocking(move || wanted.keep(&files, frozen));
    kept.await.map_err(|error| Problem::internal(&error))
}

/// Deletes the local files of an index that it does not serve from.
pub(super) async fn tidy(index: &LiveIndex) {
    let meta = &index.meta;
    let vectors = meta.vector_objects();
    let vectors = vectors.map(|(_, digest)| rows_file(digest, meta.metric));
    let graphs = index.graphs();
    let graphs = graphs.iter().map(|build_id| Builds::file(build_id));
    let kept: BTreeSet<String> = vectors.chain(graphs).collect();
    let Some(files) = &index.tuner.options().files else {
        return;
    };
    let files = files.of_index(&meta.name);
    let _ = tokio::task::spawn_blocking(move || files.retain(|name| kept.contains(name))).await;
}

/// Deletes the local files of an index that is gone.
pub(super) async fn forget(index: &LiveIndex) {
    let name = index.meta.name.clone();
    if let Some(tables) = &index.tuner.options().tables {
        tables.forget(&name);
    }
    let Some(files) = index.tuner.options().files.clone() else {
        return;
    };
    let forgotten = move || files.retain_indexes(|known| known != name.as_str());
    let _ = tokio::task::spawn_blocking(forgotten).await;
}

impl Indexes {
    /// Deletes the local files of indexes that are not known here. For a moment when all buckets have said what
    /// they hold.
    pub(crate) async fn tidy_files(&self, options: &TunerOptions) {
        let known: BTreeSet<IndexName> = self.names();
        let Some(files) = options.files.clone() else {
            return;
        };
        let is_known = move |name: &str| known.iter().any(|one| one.as_str() == name);
        let _ = tokio::task::spawn_blocking(move || files.retain_indexes(is_known)).await;
    }
}

/// The vectors of an object, mapped from their local file; or read, and then kept in one.
async fn open(
    (bucket, path): (&Bucket, &str),
    index: &IndexName,
    wanted: Wanted,
    files: Option<&FileCache>,
) -> Result<Frozen, Problem> {
    let files = files.map(|files| files.of_index(index));
    if let Some(files) = files.clone() {
        let wanted = wanted.clone();
        let mapped = tokio::task::spawn_blocking(move || wanted.mapped(&files)).await;
        if let Some(mapped) = mapped.map_err(|error| Problem::internal(&error))? {
            return Ok(mapped);
        }
    }
    let read = move |bytes| {
        let frozen = wanted.read(bytes)?;
        let kept = match &files {
            Some(files) => wanted.keep(files, frozen),
            None => frozen,
        };
        // A local file has the codes; for when it stays in memory.
        kept.vectors.encode();
        Ok::<_, Unusable>(kept)
    };
    fetch::read((&VECTORS, index), (bucket, path), read).await
}

/// The vectors of an object with these bytes, whose digest must begin like this.
fn sound(bytes: Bytes, digest: &str) -> Result<VectorTable, Unusable> {
    let table = table::read(bytes.clone());
    // A newer program may have put it there; that is told first.
    if let Err(error @ VectorError::NewerFormat { .. }) = table {
        return Err(error.into());
    }
    let found = format!("{:x}", Sha256::digest(&bytes));
    if !found.starts_with(digest) {
        return Err(Unusable::Altered);
    }
    Ok(table?)
}

/// What vectors must be of.
#[derive(Clone)]
struct Wanted {
    data_version: String,
    dimension: Dimension,
    metric: Metric,
    rows: u64,
}

impl Wanted {
    fn base(meta: &IndexMeta) -> Self {
        Self {
            data_version: meta.data_version.clone(),
            dimension: meta.dimension,
            metric: meta.metric,
            rows: meta.vectors,
        }
    }

    fn segment(meta: &IndexMeta, segment: &Segment) -> Self {
        Self {
            data_version: segment.digest.clone(),
            rows: segment.vectors,
            ..Self::base(meta)
        }
    }

    fn provenance(&self) -> Provenance<'_> {
        Provenance {
            data_version: &self.data_version,
            dimension: self.dimension,
            metric: self.metric,
            rows: self.rows,
        }
    }

    fn file(&self) -> String {
        rows_file(&self.data_version, self.metric)
    }

    fn mapped(&self, files: &FileCache) -> Option<Frozen> {
        files.get(&self.file(), |bytes| {
            Frozen::read(bytes, &self.provenance())
        })
    }

    /// The vectors of the object with these bytes.
    fn read(&self, bytes: Bytes) -> Result<Frozen, Unusable> {
        let table = sound(bytes, &self.data_version)?;
        Ok(Frozen::of(&table, self.metric)?)
    }

    /// The vectors from a local file that was made of them, or as they are.
    fn keep(&self, files: &FileCache, frozen: Frozen) -> Frozen {
        if frozen.is_lent() || self.data_version.is_empty() {
            return frozen;
        }
        let write = |out: &mut dyn io::Write| frozen.write(&self.data_version, out);
        let put = files.put(&self.file(), write);
        let mapped = put.then(|| self.mapped(files)).flatten();
        mapped.unwrap_or(frozen)
    }
}

/// The name of the local file of vectors.
fn rows_file(digest: &str, metric: Metric) -> String {
    let metric = match metric {
        Metric::Cosine => "cosine",
        Metric::L2 => "l2",
        Metric::Dot => "dot",
    };
    format!("{digest}.{metric}.rows")
}

#[cfg(test)]
mod tests;
