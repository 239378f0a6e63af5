//! A small document of the agent in a bucket, which several hosts may change at once.
//!
//! Nothing of it is lost with the process. A change is made on what the bucket itself says, and made again on top
//! of another host's when that one was first; so what a change decides, it decides on the newest version. What was
//! read or written last is at hand without asking the bucket ([`Ledger::known`]), for whoever only looks.

use std::sync::{Arc, Mutex, PoisonError};

use boathouse_storage::{Bucket, MIN_KEPT, Manifest, StorageError};
use serde::{Serialize, de::DeserializeOwned};

/// How often a change is tried when others change the document too.
const ATTEMPTS: usize = 16;

/// The document under a prefix.
pub(super) struct Ledger<T> {
    prefix: &'static str,
    manifest: Manifest<T>,
    /// Changes of this process, one after the other.
    turn: tokio::sync::Mutex<()>,
    known: Mutex<Arc<T>>,
}

impl<T: Clone + Default + PartialEq + Serialize + DeserializeOwned> Ledger<T> {
    /// The document; nothing is read yet.
    pub(super) fn new(primary: &Bucket, prefix: &'static str) -> Self {
        Self {
            prefix,
            manifest: Manifest::new(primary.clone(), prefix),
            turn: tokio::sync::Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// As it was read or written last.
    pub(super) fn known(&self) -> Arc<T> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn load(&self) -> Result<Arc<T>, StorageError> {
        // Not while somebody writes, or what is known could fall behind.
        let _turn = self.turn.lock().await;
        let found = self.manifest.load().await?;
        Ok(self.keep(found.map_or_else(T::default, |found| found.value)))
    }

    /// Changes it; returns what the change says. A change that changes nothing writes nothing.
    ///
    /// # Errors
    /// When the bucket fails; the change may be stored or not then.
    pub(super) async fn change<R>(&self, change: impl Fn(&mut T) -> R) -> Result<R, StorageError> {
        let _turn = self.turn.lock().await;
        for _ in 0..ATTEMPTS {
            let found = self.manifest.without_rescue().load().await?;
            let (version, before) =
                found.map_or_else(Default::default, |found| (found.version, found.value));
            let mut after = before.clone();
            let said = change(&mut after);
            if after == before {
                self.keep(after);
                return Ok(said);
            }
            match self.manifest.commit(version, &after).await {
                Ok(_) => {
                    self.keep(after);
                    self.manifest.prune(MIN_KEPT).await?;
                    return Ok(said);
                }
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StorageError::Contended {
            path: self.prefix.to_owned(),
        })
    }

    fn keep(&self, document: T) -> Arc<T> {
        let document = Arc::new(document);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::clone(&document);
        document
    }
}
