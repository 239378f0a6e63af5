//! What a bucket has that its copies lack, told from the two listings.
//!
//! An object whose copy is missing or has another size is copied. One of the same size is copied when it
//! may be newer than its copy; by name most objects are never replaced, so this is asked of few. The clocks
//! of two stores differ, hence the margin: what was written and copied shortly before the last process ended
//! is copied once more. Within a process it is known which state was copied.

use std::collections::HashMap;

use futures::TryStreamExt;
use object_store::path::Path;

use super::{
    home::Home,
    scope::{is_named_by_content, is_write_once},
};
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
            let known = self.queue().has_copied(&path, meta.e_tag.as_ref());
            let original = ObjectInfo::from(meta);
            if self.covers(&path) && is_behind(&path, &original, copies.get(&path), known) {
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

/// Whether the copy of an object may be another state of it, or is missing; `known` when this very state was
/// copied by this process.
fn is_behind(path: &Path, original: &ObjectInfo, copy: Option<&Copy>, known: bool) -> bool {
    let Some((size, written)) = copy else {
        return true;
    };
    if is_named_by_content(path) {
        return false;
    }
    let may_differ = !known && !is_write_once(path);
    *size != original.size || (may_differ && original.modified.millis() + CLOCK_MARGIN > *written)
}

#[cfg(test)]
mod tests {
    use boathouse_types::Timestamp;

    use super::*;

    #[test]
    fn what_may_be_newer_or_differs_is_copied() {
        let original = |name: &str| ObjectInfo {
            path: name.to_owned(),
            size: 5,
            modified: Timestamp::from_millis(1_000_000),
        };
        let check = |name: &str, copy: Option<Copy>, expected: bool| {
            let (path, original) = (Path::from(name), original(name));
            let found = is_behind(&path, &original, copy.as_ref(), false);
            assert_eq!(found, expected, "{name} {copy:?}");
        };
        let version = "m/00000000000000000001.json";
        check("set.json", None, true);
        check(version, None, true);
        check(version, Some((4, 2_000_000)), true);
        check(version, Some((5, 0)), false);
        let component = format!("plugins/blobs/{}.wasm", "0a".repeat(32));
        check(&component, None, true);
        check(&component, Some((4, 0)), false);
        check("set.json", Some((4, 2_000_000)), true);
        check("set.json", Some((5, 1_000_000)), true);
        check("set.json", Some((5, 1_000_000 + CLOCK_MARGIN)), false);
        let known = |copy: Copy| {
            let name = "set.json";
            is_behind(&Path::from(name), &original(name), Some(&copy), true)
        };
        assert!(known((4, 0)) && !known((5, 0)));
    }
}
