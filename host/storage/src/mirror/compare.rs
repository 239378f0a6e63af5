//! What a bucket has that its copies lack, told from the two listings.
//!
//! An object whose copy is missing or has another size is copied. One of the same size is copied when it
//! may be newer than its copy; by name most objects are never replaced, so this is asked of few. The clocks
//! of two stores differ, hence the margin: what was written and copied shortly before the last process ended
//! is copied once more. Within a process it is known which state was copied.
//!
//! Where an object that is never replaced has another size than its copy, one of the two was damaged. Whoever copies it
//! finds out which, where its bytes tell; any other takes the place of no copy, which may be the sound one.

use std::collections::HashMap;

use futures::TryStreamExt;
use object_store::path::Path;

use super::{
    home::Home,
    scope::{is_told_by_bytes, is_write_once},
};
use crate::{ObjectInfo, StorageError};

/// How much the clocks of two stores may differ, in milliseconds.
const CLOCK_MARGIN: i64 = 30_000;

/// Size and time of a copy.
type Copy = (u64, i64);

/// How a copy stands to its original.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// It is what the original is.
    Level,
    /// It is missing, or may be another state of the original.
    Behind,
    /// It or the original was damaged, and nothing tells which.
    Torn,
}

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
            let (original, copy) = (ObjectInfo::from(meta), copies.get(&path));
            if !self.covers(&path) {
                continue;
            }
            match standing(&path, &original, copy, known) {
                Standing::Level => {}
                Standing::Behind => {
                    self.push(path, original.modified);
                    needed += 1;
                }
                Standing::Torn => {
                    let bucket = self.name();
                    tracing::error!(%bucket, %path, "an object and its copy in `rescue` differ in size, so one of them is damaged; delete that one: a copy is made anew, an original comes back with `boathouse restore`");
                }
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

/// How the copy of an object stands to it; `known` when this very state was copied by this process.
fn standing(path: &Path, original: &ObjectInfo, copy: Option<&Copy>, known: bool) -> Standing {
    let Some((size, written)) = copy else {
        return Standing::Behind;
    };
    let once = is_write_once(path);
    let is_newer = || original.modified.millis() + CLOCK_MARGIN > *written;
    match *size == original.size {
        false if once && !is_told_by_bytes(path) => Standing::Torn,
        false => Standing::Behind,
        true if !known && !once && is_newer() => Standing::Behind,
        true => Standing::Level,
    }
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
        let check = |name: &str, copy: Option<Copy>, expected: Standing| {
            let (path, original) = (Path::from(name), original(name));
            let found = standing(&path, &original, copy.as_ref(), false);
            assert_eq!(found, expected, "{name} {copy:?}");
        };
        let version = "m/00000000000000000001.json";
        let log = format!("log/{}.jsonl", "0a".repeat(16));
        check("set.json", None, Standing::Behind);
        for once in [version, log.as_str()] {
            check(once, None, Standing::Behind);
            check(once, Some((4, 2_000_000)), Standing::Behind);
            check(once, Some((5, 0)), Standing::Level);
        }
        for once in [
            format!("plugins/blobs/{}.wasm", "0a".repeat(32)),
            format!("indexes/i/tombstones/{}.json", "0a".repeat(16)),
        ] {
            check(&once, None, Standing::Behind);
            check(&once, Some((4, 2_000_000)), Standing::Torn);
            check(&once, Some((5, 0)), Standing::Level);
        }
        check("set.json", Some((4, 2_000_000)), Standing::Behind);
        check("set.json", Some((5, 1_000_000)), Standing::Behind);
        let later = 1_000_000 + CLOCK_MARGIN;
        check("set.json", Some((5, later)), Standing::Level);
        let known = |copy: Copy| {
            let name = "set.json";
            standing(&Path::from(name), &original(name), Some(&copy), true)
        };
        assert_eq!(known((4, 0)), Standing::Behind);
        assert_eq!(known((5, 0)), Standing::Level);
    }
}
