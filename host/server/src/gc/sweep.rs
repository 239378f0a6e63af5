//! One bucket, or the copy of one in `rescue`: look, decide, look again, delete.
//!
//! Between the two looks the references are read, and read again after the second, so what is deleted was
//! unnamed and unchanged at both. A group that work of this process may be writing to is left alone: an
//! object that was listed was written by work that began before, and work that has ended has named what it
//! keeps. A crash or a cancellation in between leaves fewer orphans and nothing else.
//!
//! Components of plugins are different: they are named by their content, so an upload may need the very
//! bytes that are about to go. Therefore the catalogue is asked before each and after it, and an upload
//! stores its bytes once more when its commit is done. Whichever comes last finds the bytes or brings them.

use std::collections::{BTreeMap, BTreeSet};

use boathouse_storage::StorageError;
use boathouse_types::IndexName;
use futures::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::{
    judge::{Found, Judge, Listing, Look, Undecided, listed_plugins},
    places::{Group, digest_in, log_of, place},
    report::{BucketReport, LeftOut},
};
use crate::buckets::MARK;

/// Objects that are deleted at the same time.
const CONCURRENCY: usize = 8;

/// What this process is working on.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy {
    pub(super) datasets: BTreeSet<String>,
    pub(super) indexes: BTreeSet<String>,
}

/// How a run goes about it.
pub(super) struct Way<'a> {
    /// What this process works on at the moment of asking.
    pub(super) busy: &'a (dyn Fn() -> Busy + Send + Sync),
    /// Nothing is changed.
    pub(super) dry_run: bool,
    /// Somebody wants it to end.
    pub(super) cancel: &'a CancellationToken,
    /// Folders of the root that are others' business.
    pub(super) others: &'a [String],
}

/// The logs of a bucket: files of each, and the index that it belongs to.
pub(super) type Logs = BTreeMap<String, (u64, Option<IndexName>)>;

impl Busy {
    pub(super) fn holds(&self, group: &Group) -> bool {
        match group {
            Group::Dataset(name) => self.datasets.contains(name.as_str()),
            Group::Index(name) => self.indexes.contains(name.as_str()),
            _ => false,
        }
    }
}

/// Collects what is garbage and reports it. Gives the logs that were seen.
pub(super) async fn sweep(judge: &Judge<'_>, way: &Way<'_>, report: &mut BucketReport) -> Logs {
    let mut logs = Logs::new();
    let everything = [String::new()];
    let Listing { objects, at_home } = match judge.root.look(&everything).await {
        Ok(listing) => listing,
        Err(error) => {
            report.leave(LeftOut::new("the bucket", Undecided::from(error)));
            return logs;
        }
    };
    let busy = (way.busy)();
    let mut groups: BTreeMap<Group, Vec<Found>> = BTreeMap::new();
    for object in objects {
        match place(&object.path) {
            Some((group, class)) => {
                if let Some((prefix, index)) = log_of(&object.path) {
                    logs.entry(prefix).or_insert((0, index)).0 += 1;
                }
                let found = Found { class, object };
                groups.entry(group).or_default().push(found);
            }
            None if object.path == MARK || is_others(&object.path, way.others) => {}
            None => report.unknown.add(&object.path, object.size),
        }
    }
    for (group, found) in groups {
        if way.cancel.is_cancelled() {
            break;
        }
        let at_home = &at_home;
        let look = Look { found, at_home };
        if let Err(why) = visit(judge, way, &group, &look, &busy, report).await {
            report.leave(LeftOut::new(&group, why));
        }
    }
    logs
}

async fn visit(
    judge: &Judge<'_>,
    way: &Way<'_>,
    group: &Group,
    first: &Look<'_>,
    busy: &Busy,
    report: &mut BucketReport,
) -> Result<(), Undecided> {
    let garbage = judge.garbage(group, first).await?;
    if garbage.is_empty() {
        return Ok(());
    }
    check_idle(busy, group)?;
    if way.dry_run {
        for found in &garbage {
            report.collected(found.class, &found.object);
        }
        return Ok(());
    }
    let Listing { objects, at_home } = judge.root.look(&group.folders()).await?;
    check_idle(&(way.busy)(), group)?;
    let ours = |object: &_| match place(object) {
        Some((of, class)) if of == *group => Some(class),
        _ => None,
    };
    let found = objects.into_iter().filter_map(|object| {
        let class = ours(object.path.as_str())?;
        Some(Found { class, object })
    });
    let look = Look {
        found: found.collect(),
        at_home: &at_home,
    };
    let mut still = judge.garbage(group, &look).await?;
    still.retain(|found| garbage.contains(found));
    delete(judge, way, group, still, report).await
}

fn check_idle(busy: &Busy, group: &Group) -> Result<(), Undecided> {
    if busy.holds(group) {
        return Err(Undecided::new("a task of this host is working on it"));
    }
    Ok(())
}

/// Deletes garbage. What has gone is reported, also when the rest cannot be deleted.
async fn delete(
    judge: &Judge<'_>,
    way: &Way<'_>,
    group: &Group,
    garbage: Vec<Found>,
    report: &mut BucketReport,
) -> Result<(), Undecided> {
    // Collected first: a closure held over an await would keep this future from being `Send`.
    let deletions: Vec<_> = garbage
        .iter()
        .map(|found| delete_one(judge, way, group, found))
        .collect();
    let outcomes: Vec<_> = stream::iter(deletions)
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let mut failed = None;
    for (found, outcome) in garbage.iter().zip(outcomes) {
        match outcome {
            Ok(true) => report.collected(found.class, &found.object),
            Ok(false) => {}
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Whether an object has gone.
async fn delete_one(
    judge: &Judge<'_>,
    way: &Way<'_>,
    group: &Group,
    found: &Found,
) -> Result<bool, StorageError> {
    if way.cancel.is_cancelled() {
        return Ok(false);
    }
    let path = &found.object.path;
    match group {
        Group::Plugins => delete_bytes(judge, path).await,
        _ => judge.root.bucket.delete(path).await.map(|()| true),
    }
}

/// Deletes bytes of a plugin unless the catalogue lists them by now, and puts them back when it does a
/// moment later, or cannot be asked.
async fn delete_bytes(judge: &Judge<'_>, path: &str) -> Result<bool, StorageError> {
    let bucket = &judge.root.bucket;
    let digest = digest_in(path).unwrap_or_default();
    let listed = async || {
        let listed = listed_plugins(bucket).await?;
        Ok(listed.is_none_or(|listed| listed.contains(digest)))
    };
    if listed().await? {
        return Ok(false);
    }
    let bytes = match bucket.get(path).await {
        Err(StorageError::NotFound { .. }) => return Ok(false),
        read => read?,
    };
    bucket.delete(path).await?;
    let now: Result<bool, StorageError> = listed().await;
    if matches!(now, Ok(false)) {
        return Ok(true);
    }
    match bucket.put_new(path, bytes).await {
        Ok(()) | Err(StorageError::Exists { .. }) => now.map(|_| false),
        Err(error) => Err(error),
    }
}

fn is_others(path: &str, folders: &[String]) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    folders.iter().any(|folder| folder == first)
}
