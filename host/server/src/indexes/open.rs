//! Which indexes serve, found out from the buckets: at start, and when a bucket answers again.
//!
//! A name may have manifests in several buckets. The one that decides serves; what is left to do about the
//! others becomes a chore. An index that serves already is not read again: when it turns out to live
//! somewhere else, it goes there with the vectors that it has, and where it lives it catches up with what has become
//! of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use boathouse_storage::{Bucket, BucketRegistry, StorageError};
use boathouse_tuning::TunerOptions;
use boathouse_types::{BucketName, IndexName};

use super::{
    Broken, IndexMeta, Indexes, IsRegistered, LiveIndex,
    chores::Chore,
    frozen, locked,
    moves::Journey,
    standing::{Found, decides, look},
};
use crate::problem::chain;

impl Indexes {
    /// Opens every index of every bucket. One that cannot be opened is reported by [`Self::broken`] and
    /// does not keep the others from serving.
    pub async fn open(
        buckets: &Arc<BucketRegistry>,
        is_registered: IsRegistered,
        options: &TunerOptions,
    ) -> Self {
        let indexes = Self::new(buckets, is_registered);
        let mut places: BTreeMap<IndexName, Vec<Bucket>> = BTreeMap::new();
        for bucket in buckets.list() {
            for name in names(&bucket).await {
                places.entry(name).or_default().push(bucket.clone());
            }
        }
        for (name, buckets) in places {
            indexes.open_name(&name, &buckets, options).await;
        }
        for index in indexes.list() {
            frozen::tidy(&index).await;
        }
        indexes
    }

    /// Opens what a bucket holds that did not answer before, or tries again what could not be opened.
    /// Moves to it and from it go on.
    pub async fn open_bucket(&self, bucket: &Bucket, options: &TunerOptions) {
        let mut buckets = self.buckets.list();
        if buckets.iter().all(|known| known.name() != bucket.name()) {
            buckets.push(bucket.clone());
        }
        for name in names(bucket).await {
            self.open_name(&name, &buckets, options).await;
        }
        // It may hold what moves left over of an index that it has no manifest of.
        for index in self.list() {
            self.settle_later(&index.meta.name);
        }
    }

    /// Forgets what a bucket holds that is no longer registered. What serves from there ends, and what other
    /// buckets say of it counts, as at the next start.
    pub async fn close_bucket(&self, bucket: &BucketName, options: &TunerOptions) {
        locked(&self.strangers).retain(|(_, home), _| home != bucket);
        let mut names: BTreeSet<IndexName> = BTreeSet::new();
        locked(&self.broken).retain(|name, broken| {
            let goes = broken.home == *bucket;
            names.extend(goes.then(|| name.clone()));
            !goes
        });
        let there = self.list().into_iter();
        for index in there.filter(|index| index.meta.bucket == *bucket) {
            self.retire(&index);
            names.insert(index.meta.name.clone());
        }
        let buckets = self.buckets.list();
        for name in names {
            self.open_name(&name, &buckets, options).await;
        }
    }

    /// Looks again at what could not be opened and at what could not be told.
    pub(super) async fn try_again(&self, options: &TunerOptions) {
        let mut names: BTreeSet<IndexName> = locked(&self.broken).keys().cloned().collect();
        names.extend(locked(&self.strangers).keys().map(|(name, _)| name.clone()));
        let buckets = self.buckets.list();
        for name in names {
            self.open_name(&name, &buckets, options).await;
        }
    }

    async fn open_name(&self, name: &IndexName, buckets: &[Bucket], options: &TunerOptions) {
        let _door = self.door.lock().await;
        if locked(&self.reserved).contains_key(name) {
            return;
        }
        let (found, unread) = look(buckets, name).await;
        let winner = decides(&found);
        match (self.current(name), winner) {
            (Some(index), Some(winner)) => self.follow(&index, winner).await,
            (None, Some(winner)) if winner.is_alive(&found) => self.serve(winner, options).await,
            (None, Some(winner)) => self.miss(winner),
            (None, None) => {
                if let Some((bucket, error)) = unread.first() {
                    self.report(name, bucket.name(), Some(bucket), chain(error));
                }
            }
            (Some(_), None) => {}
        }
        if let Some(winner) = winner {
            self.note_strangers(winner, &found, &unread);
        }
        let past = |one: &Found| one.meta.deleted || one.meta.withdrawn_from.is_some();
        if found.len() > 1 || found.iter().any(past) {
            self.settle_later(name);
        }
    }

    /// Puts a stored index in service. One that was being moved is kept for its move.
    async fn serve(&self, found: &Found, options: &TunerOptions) {
        let name = &found.meta.name;
        let index = match LiveIndex::open(found, options.clone()).await {
            Ok(index) => Arc::new(index),
            Err(problem) => {
                return self.report(
                    name,
                    found.bucket.name(),
                    Some(&found.bucket),
                    problem.detail,
                );
            }
        };
        if let Some(to) = &found.meta.moving_to {
            let alone = index.wait_alone().await;
            let journey = Journey::new(Arc::clone(&index), alone, to.clone());
            self.chores.add(Chore::Resume(journey));
        }
        locked(&self.broken).remove(name);
        locked(&self.live).insert(name.clone(), index);
    }

    /// An index in service follows its manifest: to another bucket, out of service, or to what it has become where it
    /// is.
    async fn follow(&self, index: &Arc<LiveIndex>, winner: &Found) {
        let (ours, theirs) = (&index.meta, &winner.meta);
        if !theirs.is_same_index(ours) {
            return;
        }
        if theirs.bucket == ours.bucket && !theirs.deleted {
            return self.level(index, theirs).await;
        }
        // Whoever is alone with it is moving it and finds out by itself.
        if theirs.home_generation > ours.home_generation
            && let Ok(_alone) = index.take_alone()
        {
            if theirs.deleted {
                self.retire(index);
                self.miss(winner);
            } else {
                self.rehome(index, winner).await;
            }
        }
    }

    /// Brings an index in service level with its home. It was opened from copies, maybe, which lacked a deletion, rows
    /// or a promotion; or another host has changed it.
    async fn level(&self, index: &LiveIndex, theirs: &IndexMeta) {
        let name = &index.meta.name;
        // Whoever moves it has its manifest in hand.
        if theirs.moving_to.is_some() || index.moving_to().is_some() {
            return;
        }
        let level = async {
            let index = self.in_step(name).await?;
            index.follow_promotions().await
        };
        if let Err(problem) = level.await {
            tracing::warn!(index = %name, %problem, "an index in service is not level with its home");
        }
    }

    /// A tombstone decides: the index was deleted, or it lives where nobody answers.
    fn miss(&self, tombstone: &Found) {
        let name = &tombstone.meta.name;
        match &tombstone.meta.moved_to {
            Some(to) => {
                let state = if (self.is_registered)(to) {
                    "does not show it at present"
                } else {
                    "is not registered any more: add that bucket again, or the one that it went on to, or delete the index to free its name"
                };
                let why = format!("it was moved to bucket `{to}`, which {state}");
                self.report(name, to, None, why);
            }
            None => drop(locked(&self.broken).remove(name)),
        }
    }

    fn report(&self, name: &IndexName, home: &BucketName, bucket: Option<&Bucket>, why: String) {
        let (home, bucket) = (home.clone(), bucket.cloned());
        let mut all = locked(&self.broken);
        // It is tried again and again; what is known is not told twice.
        if all.get(name).is_none_or(|known| known.why != why) {
            tracing::error!(index = %name, bucket = %home, %why, "the index cannot be opened");
        }
        all.insert(name.clone(), Broken { home, bucket, why });
    }

    /// Keeps in mind which buckets hold another index of a name, or may.
    fn note_strangers(&self, winner: &Found, found: &[Found], unread: &[(Bucket, StorageError)]) {
        let name = &winner.meta.name;
        let serving = self.current(name);
        let home = serving
            .as_ref()
            .map_or(winner.bucket.name(), |index| &index.meta.bucket);
        let mut strangers = locked(&self.strangers);
        strangers.retain(|(known, _), _| known != name);
        let others = found.iter().filter(|one| one.bucket.name() != home);
        for one in others.filter(|one| one.is_alive(found) && one.heir(found).is_none()) {
            let bucket = one.bucket.name().clone();
            let why = format!(
                "bucket `{bucket}` holds another one, which is not served: the one in bucket `{home}` decides"
            );
            strangers.insert((name.clone(), bucket), why);
        }
        for (bucket, error) in unread {
            let (bucket, why) = (bucket.name().clone(), chain(error));
            let why = format!("bucket `{bucket}` cannot tell whether it has a newer one: {why}");
            strangers.insert((name.clone(), bucket), why);
        }
    }
}

/// The names of the indexes that a bucket has or had.
async fn names(bucket: &Bucket) -> Vec<IndexName> {
    match bucket.children("indexes").await {
        Ok(names) => names
            .into_iter()
            .filter_map(|name| IndexName::new(name).ok())
            .collect(),
        Err(error) => {
            tracing::error!(bucket = %bucket.name(), %error, "the bucket cannot be listed");
            Vec::new()
        }
    }
}
