//! A small document in a bucket, which several hosts may change at once.
//!
//! Nothing of it is lost with the process. A change is made on what the bucket itself says, and made again on top
//! of another host's when that one was first; so what a change decides, it decides on the newest version. What was
//! read or written last is at hand without asking the bucket ([`Ledger::known`]), for whoever only looks.
//!
//! A version that does not read, and of which `rescue` has no sound copy, does not keep anybody from working: the
//! document goes on from the newest version that reads, or begins anew. While `rescue` does not answer it waits: nothing
//! is forgotten of which there may be a copy.

use std::sync::{Arc, Mutex, PoisonError};

use boathouse_storage::{Bucket, MIN_KEPT, Manifest, StorageError};
use serde::{Serialize, de::DeserializeOwned};

/// How often a change is tried when others change the document too.
const ATTEMPTS: usize = 16;

/// The document under a prefix.
pub(crate) struct Ledger<T> {
    prefix: &'static str,
    manifest: Manifest<T>,
    /// Changes of this process, one after the other.
    turn: tokio::sync::Mutex<()>,
    known: Mutex<Arc<T>>,
}

impl<T: Clone + Default + PartialEq + Serialize + DeserializeOwned> Ledger<T> {
    /// The document; nothing is read yet.
    pub(crate) fn new(primary: &Bucket, prefix: &'static str) -> Self {
        Self {
            prefix,
            manifest: Manifest::new(primary.clone(), prefix),
            turn: tokio::sync::Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// As it was read or written last.
    pub(crate) fn known(&self) -> Arc<T> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(crate) async fn load(&self) -> Result<Arc<T>, StorageError> {
        // Not while somebody writes, or what is known could fall behind.
        let _turn = self.turn.lock().await;
        let (_, found) = self.stored(&self.manifest).await?;
        Ok(self.keep(found))
    }

    /// The newest version and its number; 0 and what is there at first when there is none.
    async fn stored(&self, manifest: &Manifest<T>) -> Result<(u64, T), StorageError> {
        for _ in 0..ATTEMPTS {
            let damage = match manifest.load().await {
                Ok(found) => {
                    return Ok(found.map_or_else(Default::default, |it| (it.version, it.value)));
                }
                Err(error @ StorageError::Damaged { .. }) => error,
                Err(error) => return Err(error),
            };
            match self.go_back(&damage).await {
                // Another host was first: what it has stored is read.
                Err(StorageError::Conflict { .. }) => {}
                gone_back => return gone_back,
            }
        }
        Err(self.contended())
    }

    /// Commits the newest version that reads on top of one that does not.
    async fn go_back(&self, damage: &StorageError) -> Result<(u64, T), StorageError> {
        let (newest, sound) = self.manifest.without_rescue().newest_sound().await?;
        let sound = sound.unwrap_or_default();
        let version = self.manifest.commit(newest, &sound).await?;
        let prefix = self.prefix;
        tracing::error!(%prefix, %damage, "a document goes on from an earlier version; what it was told since is forgotten");
        Ok((version, sound))
    }

    /// Changes it; returns what the change says. A change that changes nothing writes nothing.
    ///
    /// # Errors
    /// When the bucket fails; the change may be stored or not then.
    pub(crate) async fn change<R>(&self, change: impl Fn(&mut T) -> R) -> Result<R, StorageError> {
        let _turn = self.turn.lock().await;
        for _ in 0..ATTEMPTS {
            let home = self.manifest.without_rescue();
            let (version, before) = self.stored(&home).await?;
            let mut after = before.clone();
            let said = change(&mut after);
            if after == before {
                self.keep(after);
                return Ok(said);
            }
            match self.manifest.commit(version, &after).await {
                Ok(_) => {
                    self.keep(after);
                    self.tidy().await;
                    return Ok(said);
                }
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.contended())
    }

    fn contended(&self) -> StorageError {
        StorageError::Contended {
            path: self.prefix.to_owned(),
        }
    }

    /// Deletes old versions. What is left over is deleted along with the next ones.
    async fn tidy(&self) {
        if let Err(error) = self.manifest.prune(MIN_KEPT).await {
            let prefix = self.prefix;
            tracing::warn!(%prefix, %error, "old versions of a document could not be deleted");
        }
    }

    fn keep(&self, document: T) -> Arc<T> {
        let document = Arc::new(document);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::clone(&document);
        document
    }
}

#[cfg(test)]
mod tests {
    use boathouse_faults::{FaultyStore, Last, Plan};
    use boathouse_storage::{BackendConfig, BucketConfig, Mirror, MirrorScope};
    use boathouse_types::{BucketName, ManualClock};
    use futures::future::{join_all, select};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Adds a number to a document whose store follows a plan. Gives what came of it, the operations that it took,
    /// and what is known and stored.
    async fn added(plan: Plan) -> (Result<usize, StorageError>, usize, [Vec<u32>; 2]) {
        let bucket = Bucket::memory(BucketName::primary());
        let store = FaultyStore::new(Arc::clone(bucket.store()), plan);
        let view = bucket.with_store(Arc::new(store.clone()));
        let ledger = Ledger::<Vec<u32>>::new(&view, "document");
        let add = |numbers: &mut Vec<u32>| {
            numbers.push(7);
            numbers.len()
        };
        let outcome = ledger.change(add).await;
        let stored = Ledger::<Vec<u32>>::new(&bucket, "document");
        let stored = stored.load().await.unwrap().to_vec();
        (outcome, store.begun(), [ledger.known().to_vec(), stored])
    }

    #[tokio::test]
    async fn a_damaged_document_goes_on_from_what_it_was_before() {
        let bucket = Bucket::memory(BucketName::primary());
        let ledger = || Ledger::<Vec<u32>>::new(&bucket, "document");
        for number in [7, 8] {
            let add = |numbers: &mut Vec<u32>| numbers.push(number);
            ledger().change(add).await.unwrap();
        }
        let torn = |version: u64| format!("document/{version:020}.json");
        bucket.put(&torn(2), "{".into()).await.unwrap();
        assert_eq!(*ledger().load().await.unwrap(), [7]);
        assert!(bucket.exists(&torn(3)).await.unwrap(), "it is on top");
        bucket.put(&torn(3), "{".into()).await.unwrap();
        let add = |numbers: &mut Vec<u32>| numbers.push(9);
        ledger().change(add).await.unwrap();
        assert_eq!(*ledger().load().await.unwrap(), [7, 9]);
        for object in bucket.list("document").await.unwrap() {
            bucket.put(&object.path, "{".into()).await.unwrap();
        }
        assert!(ledger().load().await.unwrap().is_empty(), "it begins anew");
        ledger().change(add).await.unwrap();
        assert_eq!(*ledger().load().await.unwrap(), [9]);
    }

    #[tokio::test]
    async fn while_rescue_does_not_answer_nothing_is_forgotten() {
        let (home, copies) = (
            Bucket::memory(BucketName::primary()),
            Bucket::memory(BucketName::rescue()),
        );
        let store = FaultyStore::new(Arc::clone(copies.store()), Plan::Never);
        let rescue = copies.with_store(Arc::new(store.clone()));
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let mirror = Mirror::new(rescue, clock, MirrorScope::Recovery);
        let ledger = Ledger::<Vec<u32>>::new(&mirror.over(&home), "document");
        for number in [7, 8] {
            let add = |numbers: &mut Vec<u32>| numbers.push(number);
            ledger.change(add).await.unwrap();
        }
        let (stop, settled) = (CancellationToken::new(), Box::pin(mirror.settled()));
        select(Box::pin(mirror.work(stop)), settled).await;
        let object = |version: u64| format!("document/{version:020}.json");
        home.put(&object(2), "{".into()).await.unwrap();
        store.follow(Plan::DOWN);
        let add = |numbers: &mut Vec<u32>| numbers.push(9);
        assert!(ledger.load().await.is_err());
        assert!(ledger.change(add).await.is_err());
        assert!(!home.exists(&object(3)).await.unwrap(), "it went back");
        store.follow(Plan::Never);
        ledger.change(add).await.unwrap();
        assert_eq!(*ledger.load().await.unwrap(), [7, 8, 9]);
    }

    #[tokio::test]
    async fn of_hosts_that_go_back_at_once_each_makes_its_change() {
        let folder = tempfile::tempdir().unwrap();
        let (name, root) = (BucketName::primary(), folder.path().to_owned());
        let backend = BackendConfig::Local { root };
        let bucket = Bucket::open(&BucketConfig { name, backend }, &|_| None).unwrap();
        let torn = "document/00000000000000000001.json";
        bucket.put(torn, "{".into()).await.unwrap();
        let changes = (0..6).map(async |number| {
            let ledger = Ledger::<Vec<u32>>::new(&bucket, "document");
            let add = |numbers: &mut Vec<u32>| numbers.push(number);
            ledger.change(add).await
        });
        for changed in join_all(changes).await {
            changed.unwrap();
        }
        let stored = Ledger::<Vec<u32>>::new(&bucket, "document").load().await;
        let mut stored = stored.unwrap().to_vec();
        stored.sort_unstable();
        assert_eq!(stored, [0, 1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn a_change_that_is_stored_has_been_made_whatever_becomes_of_old_versions() {
        let (outcome, operations, documents) = added(Plan::Never).await;
        assert_eq!((outcome.unwrap(), documents), (1, [vec![7], vec![7]]));
        let at = operations - 1;
        let last = Last::Lost;
        let (outcome, _, documents) = added(Plan::FailOnce { at, last }).await;
        assert_eq!((outcome.unwrap(), documents), (1, [vec![7], vec![7]]));
        let (outcome, _, documents) = added(Plan::DOWN).await;
        assert!(outcome.is_err());
        assert_eq!(documents, [Vec::new(), Vec::<u32>::new()]);
    }
}
