//! How far an ingest is, readable from any thread while it runs.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What an ingest is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// First look at the whole file: types, errors.
    Survey,
    /// Second look: rows are converted.
    Convert,
    /// Detectors look at the sample.
    Detect,
    /// Bytes go to the bucket.
    Store,
    /// The new version is visible.
    Done,
}

/// Counters of one ingest. `rows` counts converted rows; `bytes` counts bytes of the file over both looks,
/// out of `total_bytes`.
#[derive(Debug, Default)]
pub struct IngestProgress {
    rows: AtomicU64,
    bytes: AtomicU64,
    total_bytes: AtomicU64,
    phase: AtomicU8,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProgressSnapshot {
    /// What is being done.
    pub phase: Phase,
    /// Rows converted.
    pub rows: u64,
    /// Bytes of the source that were read, over all looks at it.
    pub bytes: u64,
    /// Bytes to read in all; 0 until known.
    pub total_bytes: u64,
}

const PHASES: [Phase; 5] = [
    Phase::Survey,
    Phase::Convert,
    Phase::Detect,
    Phase::Store,
    Phase::Done,
];

impl IngestProgress {
    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        let phase = usize::from(self.phase.load(Ordering::Relaxed));
        ProgressSnapshot {
            phase: PHASES.get(phase).copied().unwrap_or(Phase::Done),
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            total_bytes: self.total_bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn expect_bytes(&self, total: u64) {
        self.total_bytes.store(total, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }
}
