//! The steps of a move, each of which may be the last one before the power fails.
//!
//! ```text
//! old home                          new home
//! 1 `moving_to` is committed
//!                                   2 what another index of that name left there goes
//!                                   3 objects are copied, until nothing new turns up
//!                                   4 the manifest is committed, a generation higher
//! 5 the manifest becomes a tombstone
//! 6 records added meanwhile go to the new home, everything but the manifest goes
//! ```
//!
//! Up to step 4 the old home decides, from then on the new one: that commit is the move. Steps 5 and 6 are
//! [`super::super::standing::settle`]. A move is given up by one commit at the old home, two generations
//! higher, so that it decides whatever happens at the new one; the copies go after that. Objects are only
//! ever deleted on the side that has lost by the manifest of the old home, which is one chain of
//! versions: so even two hosts that drive one move in two directions cannot lose anything.

use std::collections::BTreeMap;

use boathouse_storage::{Bucket, ObjectInfo, StorageError};
use boathouse_types::IndexName;
use futures::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::super::{
    IndexMeta,
    objects::{self, CONCURRENCY, list, manifest},
    standing::Found,
};
use crate::problem::Problem;

/// How often copying may find more before it gives up.
const ROUNDS: usize = 16;

/// From where to where an index moves.
pub(crate) struct Course {
    /// The index, as its old home has it since the move was declared.
    pub(crate) index: IndexMeta,
    pub(crate) from: Bucket,
    pub(crate) to: Bucket,
}

/// How far the copies are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) objects_in_all: u64,
    pub(crate) bytes_in_all: u64,
}

impl Course {
    /// Looks at both homes. What comes back is still to be declared, as a change of the manifest.
    ///
    /// # Errors
    /// 409 when the index is not what it was, when it is being moved already or when the new home has
    /// another index of that name; or a bucket fails. Nothing was changed.
    pub(crate) async fn plan(
        index: &IndexMeta,
        from: &Bucket,
        to: &Bucket,
    ) -> Result<(Self, Found), Problem> {
        let (from, to) = (from.clone(), to.clone());
        let index = index.clone();
        let mut course = Self { index, from, to };
        let home = course.home().await?;
        let (name, target) = (course.name().clone(), course.to.name().clone());
        if home.meta.moving_to.is_some() {
            return Err(Problem::conflict(
                "index_busy",
                format!("index `{name}` is being moved already, by another host"),
            ));
        }
        let there = Found::confirm(&course.to, &name).await?;
        if there.as_ref().is_some_and(|there| !there.meta.deleted) {
            return Err(Problem::conflict(
                "index_exists",
                format!(
                    "bucket `{target}` holds another index `{name}`; delete that or choose another bucket"
                ),
            ));
        }
        let before = there.map_or(0, |there| there.meta.home_generation);
        course.index = IndexMeta {
            moving_to: Some(target),
            home_generation: home.meta.home_generation.max(before),
            ..home.meta.clone()
        };
        Ok((course, home))
    }

    pub(crate) fn name(&self) -> &IndexName {
        &self.index.name
    }

    /// The manifest at the old home.
    async fn home(&self) -> Result<Found, Problem> {
        let home = Found::confirm(&self.from, self.name()).await?;
        let home = home.filter(|home| !home.meta.deleted && home.meta.is_same_index(&self.index));
        home.ok_or_else(|| self.changed())
    }

    pub(crate) fn changed(&self) -> Problem {
        let (name, from) = (self.name(), self.from.name());
        Problem::conflict(
            "changed_meanwhile",
            format!(
                "index `{name}` in bucket `{from}` was changed by another host; restart this one to see it"
            ),
        )
    }

    /// Brings everything to the new home, up to the commit there; the index lives there when this returns.
    ///
    /// # Errors
    /// 409 when the move was given up by another host, or asked to stop; or a bucket fails. Then
    /// [`Self::arrival`] tells whether it lives there nevertheless.
    pub(crate) async fn travel(
        &self,
        cancel: &CancellationToken,
        tell: &(dyn Fn(Copied) + Send + Sync),
    ) -> Result<Found, Problem> {
        if let Some(there) = self.arrival().await? {
            return Ok(there);
        }
        let copies = async {
            self.clear().await?;
            self.copy(cancel, tell).await
        };
        let copied = cancel.run_until_cancelled(copies).await;
        copied.unwrap_or_else(|| Err(Problem::cancelled()))?;
        self.commit().await
    }

    /// The manifest at the new home, if the index lives there.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(crate) async fn arrival(&self) -> Result<Option<Found>, StorageError> {
        let there = Found::confirm(&self.to, self.name()).await?;
        Ok(there.filter(|there| {
            let later = there.meta.home_generation > self.index.home_generation;
            !there.meta.deleted && later && there.meta.is_same_index(&self.index)
        }))
    }

    /// Deletes what another index of that name left at the new home. What this very index left there
    /// stays: it is part of it again.
    async fn clear(&self) -> Result<(), Problem> {
        let there = objects::paths(list(&self.to, self.name()).await?);
        if there.is_empty() {
            return Ok(());
        }
        let here = objects::paths(list(&self.from, self.name()).await?);
        // Looked at last: nobody lived there before, so nothing of the list is of use to anybody.
        let lived = Found::confirm(&self.to, self.name()).await?;
        if lived.is_some_and(|lived| lived.meta.is_same_index(&self.index)) {
            return Ok(());
        }
        let foreign = there.difference(&here).cloned();
        Ok(objects::delete(&self.to, foreign.collect::<Vec<_>>()).await?)
    }

    /// Copies objects until a look at the old home finds nothing that is new or was replaced.
    async fn copy(
        &self,
        cancel: &CancellationToken,
        tell: &(dyn Fn(Copied) + Send + Sync),
    ) -> Result<(), Problem> {
        let mut known: BTreeMap<String, ObjectInfo> = BTreeMap::new();
        let mut copied = Copied::default();
        for _ in 0..ROUNDS {
            let mut fresh = list(&self.from, self.name()).await?;
            fresh.retain(|object| known.get(&object.path) != Some(object));
            if fresh.is_empty() {
                return Ok(());
            }
            copied.objects_in_all += fresh.len() as u64;
            copied.bytes_in_all += fresh.iter().map(|object| object.size).sum::<u64>();
            tell(copied);
            let copies: Vec<_> = fresh.iter().map(|one| self.copy_one(one)).collect();
            let mut copies = stream::iter(copies).buffer_unordered(CONCURRENCY);
            while let Some(bytes) = copies.next().await {
                copied.bytes += bytes?;
                copied.objects += 1;
                tell(copied);
                if cancel.is_cancelled() {
                    return Err(Problem::cancelled());
                }
            }
            drop(copies);
            known.extend(
                fresh
                    .into_iter()
                    .map(|object| (object.path.clone(), object)),
            );
        }
        let path = format!("indexes/{}", self.name());
        Err(StorageError::Contended { path }.into())
    }

    /// Copies one object; its bytes were read back from the new home when this returns.
    async fn copy_one(&self, object: &ObjectInfo) -> Result<u64, Problem> {
        let path = &object.path;
        let digest = match self.from.copy_to(path, &self.to).await {
            // Compacted by another host meanwhile: the next look finds the new file.
            Err(StorageError::NotFound { bucket, .. }) if bucket == *self.from.name() => {
                return Ok(object.size);
            }
            digest => digest?,
        };
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut objects = self.index.objects();
        let known = objects.find(|(object, _)| object == path);
        if known.is_some_and(|(_, expected)| !digits.starts_with(expected)) {
            let (path, reason) = (
                path.clone(),
                "its digest is not that of the index".to_owned(),
            );
            return Err(StorageError::Damaged { path, reason }.into());
        }
        Ok(object.size)
    }

    /// Makes the new home the home.
    async fn commit(&self) -> Result<Found, Problem> {
        let home = self.home().await?;
        if home.meta.moving_to.as_ref() != Some(self.to.name()) {
            return Err(self.changed());
        }
        let there = Found::confirm(&self.to, self.name()).await?;
        let meta = IndexMeta {
            bucket: self.to.name().clone(),
            home_generation: home.meta.home_generation + 1,
            moving_to: None,
            ..home.meta
        };
        let version = there.map_or(0, |there| there.version);
        let manifest = manifest(&self.to, self.name());
        let version = manifest.commit(version, &meta).await?;
        Ok(Found::new(&self.to, version, meta))
    }

    /// Gives the move up: the old home stays the home, whatever becomes of the new one. False when it is
    /// too late, because another host has closed the old home.
    ///
    /// # Errors
    /// When the bucket fails; whether it was given up is open then, and asking again is right.
    pub(crate) async fn withdraw(&self) -> Result<bool, StorageError> {
        let Some(home) = Found::confirm(&self.from, self.name()).await? else {
            return Ok(true);
        };
        if home.meta.moving_to.as_ref() != Some(self.to.name()) {
            return Ok(home.meta.moved_to.is_none());
        }
        let meta = IndexMeta {
            moving_to: None,
            withdrawn_from: Some(self.to.name().clone()),
            home_generation: home.meta.home_generation + 2,
            ..home.meta.clone()
        };
        home.replace(&meta).await.map(|()| true)
    }
}
