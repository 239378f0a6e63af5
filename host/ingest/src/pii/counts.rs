//! What policies have done since the host started, for its metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Action, Treatment};

/// Counts of this process; begin anew with it.
#[derive(Debug, Default)]
pub struct PiiCounts {
    masked: AtomicU64,
    hashed: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
    unexamined: AtomicU64,
}

impl PiiCounts {
    /// Columns of ingested tables that were masked, hashed and dropped, with the name of each action.
    #[must_use]
    pub fn columns(&self) -> [(&'static str, u64); 3] {
        [
            ("mask", self.masked.load(Relaxed)),
            ("hash", self.hashed.load(Relaxed)),
            ("drop", self.dropped.load(Relaxed)),
        ]
    }

    /// Ingests that a policy refused, or that were refused because nobody could say what a policy is about.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Questions that a detector did not answer.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Relaxed)
    }

    /// Tables that were taken in while no detector was active, so that nobody looked at them.
    #[must_use]
    pub fn unexamined(&self) -> u64 {
        self.unexamined.load(Relaxed)
    }

    pub(crate) fn count_refusal(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_unanswered(&self, failures: usize) {
        self.unanswered.fetch_add(failures as u64, Relaxed);
    }

    pub(crate) fn count_unexamined(&self) {
        self.unexamined.fetch_add(1, Relaxed);
    }

    pub(crate) fn count(&self, treatments: &[Treatment]) {
        for treatment in treatments {
            let counter = match treatment.action {
                Action::Mask { .. } => &self.masked,
                Action::Hash => &self.hashed,
                Action::Drop => &self.dropped,
                Action::Tag | Action::Refuse => continue,
            };
            counter.fetch_add(1, Relaxed);
        }
    }
}
