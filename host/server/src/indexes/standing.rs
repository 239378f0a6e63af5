//! Which of several manifests of one name decides, and what becomes of what lies beside the others.
//!
//! An index has one manifest where it lives, and one in every bucket where it lived before, as a
//! tombstone. Of those of one index the greatest `home_generation` decides, also when it is a tombstone:
//! so an older copy is never served again. The manifests themselves tell what a process that was killed
//! had not finished, and [`settle`] finishes it: whatever step that was, doing it again is right.
//!
//! What is no past of an index is left alone: another index of that name, or a copy of a whole bucket that
//! somebody made. Such a stranger is neither changed nor, beside a greater generation, served.
//!
//! Whatever changes anything asks the buckets themselves and never their copies in rescue: a copy may be
//! older. What is served may come from there.

use boathouse_storage::{Bucket, StorageError};
use boathouse_types::{BucketName, IndexName};

use super::{
    IndexMeta,
    objects::{self, hand_over, list, manifest, sweep},
};

/// A manifest, where it was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The bucket that it lies in.
    pub(crate) bucket: Bucket,
    /// Its version.
    pub(crate) version: u64,
    /// Its content, with the bucket that it lies in as home.
    pub(crate) meta: IndexMeta,
    /// It was written for this bucket and did not come here in a copy of another one.
    at_home: bool,
}

/// What is to become of the objects beside a manifest.
enum Fate {
    /// They stay.
    Keep,
    /// They go.
    Sweep,
    /// They go once the index has what it lacks of them.
    HandOver(Bucket),
}

impl Found {
    /// The manifest of an index in a bucket, by the bucket's own word.
    ///
    /// # Errors
    /// As [`boathouse_storage::Manifest::load`].
    pub(crate) async fn confirm(
        bucket: &Bucket,
        name: &IndexName,
    ) -> Result<Option<Self>, StorageError> {
        let found = Self::load(&bucket.without_rescue(), name).await?;
        Ok(found.map(|found| Self {
            bucket: bucket.clone(),
            ..found
        }))
    }

    /// The manifest of an index in a bucket, or in its copy when it fails.
    ///
    /// # Errors
    /// As [`boathouse_storage::Manifest::load`].
    async fn load(bucket: &Bucket, name: &IndexName) -> Result<Option<Self>, StorageError> {
        let found = manifest(bucket, name).load().await?;
        Ok(found.map(|found| Self::new(bucket, found.version, found.value)))
    }

    /// A version of a manifest that lies in a bucket.
    pub(super) fn new(bucket: &Bucket, version: u64, mut meta: IndexMeta) -> Self {
        let at_home = meta.bucket == *bucket.name();
        if !at_home {
            // What it says of moves is about the bucket that it was copied from.
            meta.bucket = bucket.name().clone();
            meta.moving_to = None;
            meta.withdrawn_from = None;
        }
        Self {
            bucket: bucket.clone(),
            version,
            meta,
            at_home,
        }
    }

    /// Makes `meta` the next version of this manifest.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when it is not the newest any more.
    pub(super) async fn replace(&self, meta: &IndexMeta) -> Result<(), StorageError> {
        let manifest = manifest(&self.bucket, &self.meta.name);
        manifest.commit(self.version, meta).await.map(drop)
    }

    /// Turns it into a tombstone.
    pub(super) async fn bury(&self, moved_to: Option<BucketName>) -> Result<(), StorageError> {
        let meta = &self.meta;
        let moving_to = meta.moving_to.clone().filter(|_| moved_to.is_none());
        self.replace(&IndexMeta {
            deleted: true,
            moved_to,
            moving_to: None,
            withdrawn_from: moving_to.or_else(|| meta.withdrawn_from.clone()),
            ..meta.clone()
        })
        .await
    }

    fn is_in(&self, bucket: &BucketName) -> bool {
        self.bucket.name() == bucket
    }

    /// The manifests of the same index that decide over this one.
    fn later<'a>(&'a self, all: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        let own = all.iter().filter(|one| one.meta.is_same_index(&self.meta));
        own.filter(|one| one.meta.home_generation > self.meta.home_generation)
    }

    /// Where the index is by the word of all its manifests; none when this one has the last word.
    pub(super) fn heir<'a>(&'a self, all: &'a [Self]) -> Option<&'a Self> {
        self.later(all).max_by_key(|one| one.meta.home_generation)
    }

    /// Whether a bucket that the index went to has another one of this name since.
    fn is_succeeded_in(&self, bucket: Option<&BucketName>, all: &[Self]) -> bool {
        all.iter().any(|one| {
            bucket.is_some_and(|bucket| one.is_in(bucket))
                && one.meta.home_generation > self.meta.home_generation
        })
    }

    /// Whether a move that was interrupted left this behind, though it is no tombstone yet: its own move
    /// went through, or the move that made it was given up.
    fn is_left_behind(&self, all: &[Self]) -> bool {
        let went = self.is_succeeded_in(self.meta.moving_to.as_ref(), all);
        let given_up = |one: &Self| {
            one.meta
                .withdrawn_from
                .as_ref()
                .is_some_and(|at| self.is_in(at))
        };
        self.at_home && !self.meta.deleted && (went || self.later(all).any(given_up))
    }

    /// Whether it is neither a tombstone nor left behind.
    pub(super) fn is_alive(&self, all: &[Self]) -> bool {
        !self.meta.deleted && !self.is_left_behind(all)
    }

    fn fate(&self, all: &[Self]) -> Fate {
        if self.is_alive(all) {
            return Fate::Keep;
        }
        let last = self.heir(all).unwrap_or(self);
        let away = last.meta.moved_to.as_ref();
        if last.is_alive(all) {
            Fate::HandOver(last.bucket.clone())
        } else if away.is_some() && !last.is_succeeded_in(away, all) {
            // It lives in a bucket that does not answer at present.
            Fate::Keep
        } else {
            Fate::Sweep
        }
    }
}

/// The manifest that decides over a name: one of an index that is alive, else a tombstone; of several the
/// greatest generation, then the one in `primary`, then the first by name.
pub(crate) fn decides(all: &[Found]) -> Option<&Found> {
    let last = all.iter().filter(|one| one.heir(all).is_none());
    last.max_by_key(|one| {
        let bucket = one.bucket.name();
        (
            one.is_alive(all),
            one.meta.home_generation,
            *bucket == BucketName::primary(),
            std::cmp::Reverse(bucket.clone()),
        )
    })
}

/// All manifests of a name, and the buckets whose manifest cannot be read, with the reason. Manifests may
/// come from rescue.
pub(crate) async fn look(
    buckets: &[Bucket],
    name: &IndexName,
) -> (Vec<Found>, Vec<(Bucket, StorageError)>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for bucket in buckets {
        match Found::load(bucket, name).await {
            Ok(manifest) => found.extend(manifest),
            Err(error) => unread.push((bucket.clone(), error)),
        }
    }
    (found, unread)
}

/// The manifests of a name in all buckets that answer, by their own word, and why one does not.
async fn confirmed(buckets: &[Bucket], name: &IndexName) -> (Vec<Found>, Result<(), StorageError>) {
    let (mut all, mut complete) = (Vec::new(), Ok(()));
    for bucket in buckets {
        match Found::confirm(bucket, name).await {
            Ok(found) => all.extend(found),
            Err(error) => complete = Err(error),
        }
    }
    (all, complete)
}

/// The bucket that an index of this name lives in, as far as the buckets that answer tell.
pub(super) async fn lives_in(buckets: &[Bucket], name: &IndexName) -> Option<BucketName> {
    let (all, _) = confirmed(buckets, name).await;
    let living = all.iter().find(|one| one.is_alive(&all));
    living.map(|one| one.bucket.name().clone())
}

/// A generation above all that was ever of this name, as far as the buckets that answer tell.
pub(super) async fn next_generation(buckets: &[Bucket], name: &IndexName) -> u64 {
    let (found, _) = confirmed(buckets, name).await;
    let greatest = found.iter().map(|found| found.meta.home_generation).max();
    greatest.map_or(0, |greatest| greatest + 1)
}

/// Whether [`settle`] would find nothing to do in the buckets that there are.
///
/// # Errors
/// When a bucket fails.
pub(super) async fn is_settled(buckets: &[Bucket], name: &IndexName) -> Result<bool, StorageError> {
    let (all, complete) = confirmed(buckets, name).await;
    for one in &all {
        if let Some(target) = withdrawn_from(one, buckets) {
            list(target, name).await?;
            return Ok(false);
        }
        let done = one.meta.deleted && list(&one.bucket, name).await?.is_empty();
        if !matches!(one.fate(&all), Fate::Keep) && !done {
            return Ok(false);
        }
    }
    complete.map(|()| true)
}

/// Where copies of a move that was given up may lie.
fn withdrawn_from<'a>(found: &Found, buckets: &'a [Bucket]) -> Option<&'a Bucket> {
    let target = found.meta.withdrawn_from.as_ref()?;
    buckets.iter().find(|bucket| bucket.name() == target)
}

/// Finishes what moves and deletions of a name have left to do: what was left behind becomes a tombstone,
/// records that the index lacks are handed on, everything beside a tombstone goes. Buckets that do not
/// answer are left for another time.
///
/// # Errors
/// When a bucket fails; nothing is lost by then, and the rest may be done at any later time.
pub(crate) async fn settle(buckets: &[Bucket], name: &IndexName) -> Result<(), StorageError> {
    let (all, complete) = confirmed(buckets, name).await;
    for one in &all {
        let fate = one.fate(&all);
        if one.is_left_behind(&all) {
            let heir = one.heir(&all).map(|heir| heir.bucket.name().clone());
            one.bury(heir).await?;
        }
        match fate {
            Fate::Keep => {}
            Fate::Sweep => sweep(&one.bucket, name).await?,
            Fate::HandOver(heir) => {
                check_heir(&heir, name).await?;
                hand_over(&one.bucket, name, &heir).await?;
            }
        }
    }
    for one in confirmed(buckets, name).await.0 {
        if let Some(target) = withdrawn_from(&one, buckets) {
            take_back(&one, target).await?;
        }
    }
    complete
}

/// Makes tombstones final that say of an index where it went: it is nowhere, or given up. Their generation stays,
/// so they decide over what is older, and an index that turns up after all decides over them.
///
/// # Errors
/// When a bucket fails; what others hold is done.
pub(super) async fn give_up(buckets: &[Bucket], name: &IndexName) -> Result<(), StorageError> {
    let (all, complete) = confirmed(buckets, name).await;
    let last = all.iter().filter(|one| one.heir(&all).is_none());
    for one in last.filter(|one| one.meta.moved_to.is_some()) {
        one.bury(None).await?;
    }
    complete
}

/// Nothing is taken away from where an index was before its vectors are where it is.
async fn check_heir(heir: &Bucket, name: &IndexName) -> Result<(), StorageError> {
    let Some(found) = Found::confirm(heir, name).await? else {
        let (bucket, path) = (heir.name().clone(), format!("indexes/{name}/manifest"));
        return Err(StorageError::NotFound { bucket, path });
    };
    for (path, _) in found.meta.objects() {
        if !heir.without_rescue().exists(path).await? {
            let (bucket, path) = (heir.name().clone(), path.to_owned());
            return Err(StorageError::NotFound { bucket, path });
        }
    }
    Ok(())
}

/// Takes the copies of a move that was given up away from its target.
async fn take_back(home: &Found, target: &Bucket) -> Result<(), StorageError> {
    let name = &home.meta.name;
    match Found::confirm(target, name).await? {
        None => sweep(target, name).await?,
        Some(there) if there.meta.deleted => {
            let own = objects::paths(list(&home.bucket, name).await?);
            objects::delete(target, own).await?;
        }
        // Somebody else's index of that name.
        Some(_) => {}
    }
    home.replace(&IndexMeta {
        withdrawn_from: None,
        ..home.meta.clone()
    })
    .await
}

#[cfg(test)]
mod tests;
