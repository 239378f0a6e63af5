//! Whether a bucket can be trusted: can it be written, does it give back what it got, and does a
//! conditional create have one winner.
//!
//! The last is not a given: several S3-compatible servers let both of two racing creates win, and a
//! manifest on such a store would lose commits without a trace.

use bytes::Bytes;

use super::Bucket;
use crate::{BackendConfig, StorageError, id};

/// Races run per probe; one alone could be decided by chance.
const RACES: usize = 4;

impl Bucket {
    /// Writes, reads, lists and deletes an object, and lets pairs of conditional creates race.
    ///
    /// # Errors
    /// [`StorageError::Unfit`] when the store answers but not as commits need it;
    /// [`StorageError::Denied`] or [`StorageError::Unavailable`] when it does not let us in.
    pub async fn probe(&self) -> Result<(), StorageError> {
        let folder = format!(".boathouse-probe/{}", id::nonce());
        let verdict = self.probe_in(&folder).await;
        // What could not be removed harms nobody and must not hide the verdict.
        if let Ok(left) = self.list(&folder).await {
            for object in left {
                if let Err(error) = self.delete(&object.path).await {
                    tracing::warn!(path = object.path, %error, "a probe object stays behind");
                }
            }
        }
        self.remove_empty(&folder).await;
        verdict
    }

    /// Removes a folder in which there is nothing any more. Only a local disk has such folders.
    async fn remove_empty(&self, folder: &str) {
        if let BackendConfig::Local { root } = self.backend() {
            let folder = root.join(self.whole_path(folder));
            // One that is not empty stays, and so does one that is not there.
            let removing = tokio::task::spawn_blocking(move || std::fs::remove_dir(folder));
            let _left = removing.await;
        }
    }

    async fn probe_in(&self, folder: &str) -> Result<(), StorageError> {
        let path = format!("{folder}/object");
        let bytes = Bytes::from_static(b"boathouse");
        self.put(&path, bytes.clone()).await?;
        if self.get(&path).await? != bytes {
            return Err(self.unfit("an object read back differs from what was written"));
        }
        if !self.list(folder).await?.iter().any(|o| o.path == path) {
            return Err(self.unfit("an object just written is missing from the listing"));
        }
        self.delete(&path).await?;
        if self.exists(&path).await? {
            return Err(self.unfit("a deleted object is still there"));
        }
        for race in 0..RACES {
            self.race(&format!("{folder}/race-{race}")).await?;
        }
        Ok(())
    }

    async fn race(&self, path: &str) -> Result<(), StorageError> {
        let entrants = [Bytes::from_static(b"first"), Bytes::from_static(b"second")];
        let (first, second) = futures::join!(
            self.put_new(path, entrants[0].clone()),
            self.put_new(path, entrants[1].clone()),
        );
        let mut winners = Vec::new();
        for (result, bytes) in [first, second].into_iter().zip(entrants) {
            match result {
                Ok(()) => winners.push(bytes),
                Err(StorageError::Exists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match winners.as_slice() {
            [winner] if self.get(path).await? == winner => Ok(()),
            [_] => Err(self.unfit("a conditional create that lost has replaced the winner")),
            [] => Err(self.unfit("of two conditional creates that raced, none won")),
            _ => Err(self.unfit(
                "two conditional creates of one object both won; use a store with conditional writes",
            )),
        }
    }

    fn unfit(&self, reason: &str) -> StorageError {
        StorageError::Unfit {
            bucket: self.name().clone(),
            reason: reason.to_owned(),
        }
    }
}
