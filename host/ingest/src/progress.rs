//! How far an ingest is, readable from any thread while it runs, and how fast.
//!
//! The counters know nothing of time. A [`Pace`] looks at them with a clock's word and tells rows a second and
//! the time that is left, both as averages since the first rows came, and neither before enough is known.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use boathouse_types::Timestamp;
use serde::{Deserialize, Serialize};

/// What an ingest is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// First look at the whole file: types, errors.
    Survey,
    /// A database is asked for a snapshot.
    Connect,
    /// Rows are converted; of a file this is the second look.
    Convert,
    /// Detectors look at the sample.
    Detect,
    /// Bytes go to the bucket.
    Store,
    /// The new version is visible.
    Done,
}

/// Counters of one ingest. `rows` counts converted rows; `bytes` counts bytes of a file over both looks,
/// out of `total_bytes`, or bytes that came from a database.
#[derive(Debug, Default)]
pub struct IngestProgress {
    rows: AtomicU64,
    bytes: AtomicU64,
    total_bytes: AtomicU64,
    expected_rows: AtomicU64,
    parts: AtomicU64,
    parts_done: AtomicU64,
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
    /// About how many rows there will be; 0 until known.
    pub expected_rows: u64,
    /// Parts in which a table is read; 0 until known, and for files.
    pub parts: u64,
    /// Parts that were read.
    pub parts_done: u64,
}

/// How fast an ingest is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// Rows a second since the first of them were converted.
    pub rows_per_second: Option<f64>,
    /// Seconds until the source has been read, if nothing changes.
    pub eta_seconds: Option<u64>,
}

/// Tells how fast an ingest is from looks at its counters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// The look that first saw converted rows, and its rows.
    rows: Option<(Timestamp, u64)>,
    /// The look that first saw something of the source, and its share of the whole.
    share: Option<(Timestamp, f64)>,
    /// The last estimate, kept while rows go through detectors and to the bucket.
    last: Estimate,
}

/// How long an ingest is watched before anything is said of its pace, in milliseconds.
const SETTLED_MILLIS: i64 = 1_000;
/// Share of a source that must have been read before its end is foretold.
const SETTLED_SHARE: f64 = 0.01;

const PHASES: [Phase; 6] = [
    Phase::Survey,
    Phase::Connect,
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
            expected_rows: self.expected_rows.load(Ordering::Relaxed),
            parts: self.parts.load(Ordering::Relaxed),
            parts_done: self.parts_done.load(Ordering::Relaxed),
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

    /// A file is read once more: its rows are counted anew, its bytes on top.
    pub(crate) fn read_again(&self, bytes: u64) {
        self.rows.store(0, Ordering::Relaxed);
        self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
    pub(crate) fn expect_table(&self, parts: u64, rows: Option<u64>) {
        self.parts.store(parts, Ordering::Relaxed);
        self.expected_rows
            .store(rows.unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn end_part(&self) {
        self.parts_done.fetch_add(1, Ordering::Relaxed);
    }
}

impl ProgressSnapshot {
    /// How much of the source was read, in 0..=1; none while that is not known or not true any more, as when a
    /// table has more rows than its database had guessed.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let (done, total) = match self.parts {
            0 => (self.bytes, self.total_bytes),
            _ if self.expected_rows > 0 => (self.rows, self.expected_rows),
            parts => (self.parts_done, parts),
        };
        (total > 0 && done <= total).then(|| done as f64 / total as f64)
    }
}

impl Pace {
    /// Takes a look at the counters.
    pub fn look(&mut self, at: &ProgressSnapshot, now: Timestamp) -> Estimate {
        if !matches!(at.phase, Phase::Survey | Phase::Convert) {
            self.last.eta_seconds = None;
            return self.last;
        }
        self.last = Estimate {
            rows_per_second: self.rows_per_second(at, now),
            eta_seconds: self.eta_seconds(at, now),
        };
        self.last
    }

    fn rows_per_second(&mut self, at: &ProgressSnapshot, now: Timestamp) -> Option<f64> {
        if at.rows == 0 {
            return None;
        }
        let (since, rows) = *self.rows.get_or_insert((now, at.rows));
        let seconds = seconds_after(since, now)?;
        Some((at.rows - rows) as f64 / seconds)
    }

    fn eta_seconds(&mut self, at: &ProgressSnapshot, now: Timestamp) -> Option<u64> {
        let share = at.share().filter(|share| *share > 0.0)?;
        let (since, first) = *self.share.get_or_insert((now, share));
        let seconds = seconds_after(since, now)?;
        let read = share - first;
        // A float is cut to the range of u64.
        (read > 0.0 && share >= SETTLED_SHARE)
            .then(|| (seconds * (1.0 - share) / read).ceil() as u64)
    }
}

fn seconds_after(since: Timestamp, now: Timestamp) -> Option<f64> {
    let millis = now.millis() - since.millis();
    (millis >= SETTLED_MILLIS).then(|| millis as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_000 * seconds)
    }

    fn table(rows: u64, expected: u64, done: u64) -> ProgressSnapshot {
        let progress = IngestProgress::default();
        progress.enter(Phase::Convert);
        progress.expect_table(8, Some(expected));
        progress.add_rows(rows);
        (0..done).for_each(|_| progress.end_part());
        progress.snapshot()
    }

    #[test]
    fn nothing_is_said_before_enough_is_known() {
        let mut pace = Pace::default();
        assert_eq!(pace.look(&table(0, 1_000, 0), at(0)), Estimate::default());
        assert_eq!(pace.look(&table(9, 1_000, 0), at(100)), Estimate::default());
        let early = pace.look(&table(10, 1_000_000, 0), at(101));
        assert_eq!(
            (early.rows_per_second, early.eta_seconds),
            (Some(1.0), None)
        );
    }

    #[test]
    fn pace_and_end_follow_from_rows_and_the_clock() {
        let mut pace = Pace::default();
        pace.look(&table(100, 1_000, 0), at(10));
        let now = pace.look(&table(600, 1_000, 4), at(15));
        assert_eq!(now.rows_per_second, Some(100.0));
        assert_eq!(now.eta_seconds, Some(4));
        let wrong_guess = pace.look(&table(1_100, 1_000, 7), at(20));
        assert_eq!(wrong_guess.rows_per_second, Some(100.0));
        assert_eq!(wrong_guess.eta_seconds, None);
        let mut stored = table(1_100, 1_000, 8);
        stored.phase = Phase::Store;
        assert_eq!(pace.look(&stored, at(99)).rows_per_second, Some(100.0));
    }

    #[test]
    fn parts_tell_where_rows_are_not_known_and_bytes_for_files() {
        assert_eq!(table(5, 0, 2).share(), Some(0.25));
        let progress = IngestProgress::default();
        assert_eq!(progress.snapshot().share(), None);
        progress.expect_bytes(200);
        progress.add_bytes(50);
        assert_eq!(progress.snapshot().share(), Some(0.25));
        let mut pace = Pace::default();
        pace.look(&progress.snapshot(), at(0));
        progress.add_bytes(50);
        let now = pace.look(&progress.snapshot(), at(10));
        assert_eq!(now.eta_seconds, Some(20));
    }
}
