//! What is known of the searches of one index.
//!
//! It belongs to the index, goes along when that grows, moves or gets a new base, and ends with it. Nothing of it is
//! stored: a host that starts knows nothing of the traffic before.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{draw, judged::Judged, reservoir::Reservoir};

/// The traffic of an index.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    searches: AtomicU64,
    dropped: AtomicU64,
    reservoir: Reservoir,
    judged: Mutex<Judged>,
}

impl Traffic {
    /// Counts a search, and gives its chance in the draws of sampling.
    pub(super) fn count(&self) -> u64 {
        draw(self.searches.fetch_add(1, Ordering::Relaxed))
    }

    /// A search that was to be judged is not.
    pub(super) fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reservoir(&self) -> &Reservoir {
        &self.reservoir
    }

    pub(super) fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn searches(&self) -> u64 {
        self.searches.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
