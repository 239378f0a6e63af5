//! Which objects of a group nobody refers to.
//!
//! The documents that say what is in use (manifests, journals, promotions, the catalogue of plugins) are
//! read after the objects were listed, from the very bucket that holds the objects and never from a copy of
//! it. So what was written and named before the look is seen to be named, and what is named later was not
//! listed. When a document cannot be read the group is undecided and nothing of it goes.
//!
//! Objects younger than the grace period are nobody's garbage: work that is under way, here or on another
//! host, names what it has written within that time. Beyond that:
//!
//! - rows stay that any version of the dataset shows, by the manifest or by one that was replaced within the
//!   grace period, so that who has opened a version reads it to the end;
//! - of an index that serves, its vectors stay and the graphs of its first configuration, of all promotions
//!   and of all trials on these vectors; of its Lance tables the one that its manifest names, whole;
//! - a deleted index leaves nothing but its manifest; one that was moved leaves its logs to the end of the
//!   move, which may still have to copy from them;
//! - vectors, Lance tables and graphs without a manifest stay while an index is being moved here. Logs and evaluation
//!   sets without a manifest always stay: nobody could make them anew;
//! - of a manifest the newest [`MIN_KEPT`] versions stay;
//! - an object of the copy of a bucket in `rescue` stays while the bucket has it.
//!
//! The copy of a bucket gets no deletions, so an index that was deleted and made again would find the trials
//! of the one before among its own there; files of logs that are older than the index go from the copy.

mod index;

use std::{collections::BTreeSet, sync::Arc};

use boathouse_ingest::DatasetManifest;
use boathouse_storage::{AppendLog, Bucket, MIN_KEPT, Manifest, ObjectInfo, StorageError};
use boathouse_tuning::TuningError;
use boathouse_types::{BucketName, Clock, DatasetName, IndexName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::places::{CATALOGUE, Class, Group, digest_in};
use crate::{indexes::IndexMeta, problem::chain};

/// A bucket, or a copy of one, as it is collected.
#[derive(Debug, Clone)]
pub(super) struct Root {
    /// What is collected; nothing answers in its place.
    pub(super) bucket: Bucket,
    /// Of a copy: the bucket that it is a copy of.
    pub(super) home: Option<Bucket>,
    /// Objects last written until then are older than the grace period.
    pub(super) cutoff: Timestamp,
}

/// An object and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) class: Class,
    pub(super) object: ObjectInfo,
}

/// What one look at a group has seen.
#[derive(Debug)]
pub(super) struct Look<'a> {
    pub(super) found: Vec<Found>,
    /// Paths that the home of a copy has.
    pub(super) at_home: &'a BTreeSet<String>,
}

/// Objects of some folders, before it is asked what they are.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) objects: Vec<ObjectInfo>,
    pub(super) at_home: BTreeSet<String>,
}

/// All buckets of the host, each answering by itself.
#[derive(Debug)]
pub(super) struct Homes {
    pub(super) buckets: Vec<Bucket>,
    /// Buckets that cannot be asked.
    pub(super) missing: Vec<BucketName>,
}

/// Why nothing can be said about a group.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Undecided(String);

impl Undecided {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Says what of a group is garbage.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    pub(super) root: &'a Root,
    pub(super) homes: &'a Homes,
    pub(super) clock: &'a Arc<dyn Clock>,
}

/// The part of the catalogue of plugins that names their bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Catalogue {
    plugins: Vec<Listed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    digest: String,
}

impl Judge<'_> {
    /// Objects of a group that may go.
    pub(super) async fn garbage(
        &self,
        group: &Group,
        look: &Look<'_>,
    ) -> Result<Vec<Found>, Undecided> {
        let is_old = |found: &&Found| found.object.modified <= self.root.cutoff;
        let old: Vec<Found> = look.found.iter().filter(is_old).cloned().collect();
        if old.is_empty() {
            return Ok(old);
        }
        let mut garbage = match group {
            Group::Manifest(_) => self.surplus(look, old),
            Group::Dataset(name) => self.rows(name, old).await?,
            Group::Index(name) => self.index(name, look, old).await?,
            Group::Log(prefix) => self.copies(prefix, look, old).await?,
            Group::Plugins => self.plugins(old).await?,
            Group::Probes => old,
        };
        garbage.retain(|found| !look.at_home.contains(&found.object.path));
        Ok(garbage)
    }

    /// Versions of a manifest beyond those that are always kept.
    fn surplus(&self, look: &Look<'_>, old: Vec<Found>) -> Vec<Found> {
        let mut paths: Vec<&str> = look.found.iter().map(|f| f.object.path.as_str()).collect();
        paths.sort_unstable();
        let surplus = &paths[..paths.len().saturating_sub(MIN_KEPT)];
        retained(old, |found| !surplus.contains(&found.object.path.as_str()))
    }

    async fn rows(&self, name: &DatasetName, old: Vec<Found>) -> Result<Vec<Found>, Undecided> {
        let bucket = &self.root.bucket;
        let prefix = format!("datasets/{name}/manifest");
        let manifests = bucket.list(&prefix).await?;
        let manifest = Manifest::<DatasetManifest>::new(bucket.clone(), prefix);
        let mut shown = BTreeSet::new();
        if let Some(newest) = manifest.load().await? {
            shown.extend(files_of(newest.value));
        }
        for replaced in manifests.windows(2) {
            if replaced[1].modified > self.root.cutoff {
                shown.extend(self.shown_by(&replaced[0].path).await?);
            }
        }
        Ok(retained(old, |found| shown.contains(&found.object.path)))
    }

    /// The files that an earlier version of a manifest shows; none once it is pruned.
    async fn shown_by(&self, path: &str) -> Result<Vec<String>, Undecided> {
        #[derive(Deserialize)]
        struct Earlier {
            value: DatasetManifest,
        }
        let bytes = match self.root.bucket.get(path).await {
            Err(StorageError::NotFound { .. }) => return Ok(Vec::new()),
            read => read?,
        };
        let earlier: Earlier = serde_json::from_slice(&bytes)
            .map_err(|error| Undecided::new(format!("`{path}` cannot be read: {error}")))?;
        Ok(files_of(earlier.value))
    }

    /// Files of a log that a compacted file holds too. Where compactions run, compacted files stay.
    async fn copies(
        &self,
        prefix: &str,
        look: &Look<'_>,
        old: Vec<Found>,
    ) -> Result<Vec<Found>, Undecided> {
        let is_of = |path: &str| {
            let file = path.strip_prefix(prefix).and_then(|p| p.strip_prefix('/'));
            file.is_some_and(|file| !file.contains('/'))
        };
        let files = |found: &&Found| is_of(&found.object.path);
        let merged = |found: &Found| found.object.path.ends_with(".compact.jsonl");
        let seen: Vec<&Found> = look.found.iter().filter(files).collect();
        if seen.len() < 2 || !seen.iter().any(|found| merged(found)) {
            return Ok(Vec::new());
        }
        let log = AppendLog::<Value>::new(self.root.bucket.clone(), prefix, Arc::clone(self.clock));
        let covered = log.covered().await?;
        let may_go = |found: &Found| {
            covered.iter().any(|file| {
                file.path == found.object.path && (!file.compacted || self.root.home.is_some())
            })
        };
        Ok(retained(old, |found| !may_go(found)))
    }

    /// Bytes that the catalogue does not list. Without a catalogue nothing can be said.
    async fn plugins(&self, old: Vec<Found>) -> Result<Vec<Found>, Undecided> {
        match listed_plugins(&self.root.bucket).await? {
            Some(listed) => Ok(retained(old, |found| {
                digest_in(&found.object.path).is_none_or(|digest| listed.contains(digest))
            })),
            None => Ok(Vec::new()),
        }
    }
}

impl Root {
    /// Looks at some folders.
    pub(super) async fn look(&self, folders: &[String]) -> Result<Listing, StorageError> {
        let mut listing = Listing::default();
        for folder in folders {
            listing.objects.extend(self.bucket.list(folder).await?);
            // After the copy: what goes to the copy is in the bucket first.
            if let Some(home) = &self.home {
                let there = home.list(folder).await?;
                let paths = there.into_iter().map(|object| object.path);
                listing.at_home.extend(paths);
            }
        }
        Ok(listing)
    }
}

/// Digests that the catalogue of plugins in a bucket lists; none where there is no catalogue.
pub(super) async fn listed_plugins(
    bucket: &Bucket,
) -> Result<Option<BTreeSet<String>>, StorageError> {
    let manifest = Manifest::<Catalogue>::new(bucket.clone(), CATALOGUE);
    let digests = |catalogue: Catalogue| catalogue.plugins.into_iter().map(|p| p.digest).collect();
    Ok(manifest.load().await?.map(|found| digests(found.value)))
}

/// What a bucket says of an index.
pub(super) async fn manifest_of(
    bucket: &Bucket,
    name: &IndexName,
) -> Result<Option<IndexMeta>, StorageError> {
    let manifest = Manifest::new(bucket.clone(), format!("indexes/{name}/manifest"));
    Ok(manifest.load().await?.map(|found| found.value))
}

fn files_of(manifest: DatasetManifest) -> Vec<String> {
    let files = manifest.versions.into_iter().flat_map(|v| v.files);
    files.map(|file| file.path).collect()
}

/// All but those that are to stay.
fn retained(mut old: Vec<Found>, stays: impl Fn(&Found) -> bool) -> Vec<Found> {
    old.retain(|found| !stays(found));
    old
}

impl From<StorageError> for Undecided {
    fn from(error: StorageError) -> Self {
        Self(chain(&error))
    }
}

impl From<TuningError> for Undecided {
    fn from(error: TuningError) -> Self {
        Self(chain(&error))
    }
}
