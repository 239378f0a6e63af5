//! What a bucket has that its copies lack, told from the two listings.
//!
//! An object whose copy is missing or has another size is copied. One of the same size is copied when it
//! may be newer than its copy; by name most objects are never replaced, so this is asked of few. The clocks
//! of two stores differ, hence the margin; an object that is copied without need is newer than the original
//! by more than that afterwards, or will be once the margin has passed.

use std::collections::HashMap;

use futures::TryStreamExt;
use object_store::path::Path;

use super::{home::Home, scope::is_write_once};
use crate::{ObjectInfo, StorageError};

/// How much the clocks of two stores may differ, in milliseconds.
const CLOCK_MARGIN: i64 = 30_000;

/// Size and time of a copy.
type Copy = (u64, i64);

impl Home {
    /// Queues what is to be copied and gives how many objects that are.
    pub(super) async fn compare(&self) -> Result<usize, StorageError> {
        // Before the listings: what is written from now on is queued by itself, or asks for this again.
        self.queue().owes_comparison = false;
        let compared = self.compare_listings().await;
        if compared.is_err() {
            self.queue().owes_comparison = true;
        }
        self.ring();
        compared
    }

    async fn compare_listings(&self) -> Result<usize, StorageError> {
        let copies = self.list_copies().await?;
        let mut needed = 0;
        let mut originals = self.bucket().store().list(None);
        let fault = |error| self.bucket().fault("", error);
        while let Some(meta) = originals.try_next().await.map_err(fault)? {
            let path = meta.location.clone();
            let original = ObjectInfo::from(meta);
            if self.covers(&path) && is_behind(&path, &original, copies.get(&path)) {
                self.push(path, original.modified);
                needed += 1;
            }
        }
        Ok(needed)
    }

    async fn list_copies(&self) -> Result<HashMap<Path, Copy>, StorageError> {
        let listed = self.copies().store().list(None);
        listed
            .map_ok(|meta| {
                let written = meta.last_modified.timestamp_millis();
                (meta.location, (meta.size, written))
            })
            .try_collect()
            .await
            .map_err(|error| self.copies().fault("", error))
    }
}

fn is_behind(path: &Path, original: &ObjectInfo, copy: Option<&Copy>) -> bool {
    let Some((size, written)) = copy else {
        return true;
    };
    let is_older = || original.modified.millis() + CLOCK_MARGIN > *written;
    *size != original.size || (!is_write_once(path) && is_older())
}
