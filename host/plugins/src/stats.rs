//! Counts of one plugin's calls, kept without locks.
//!
//! Counters are independent of each other: a snapshot taken while calls end may be off by those
//! calls, never by more.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::Cause;

/// Upper bounds of the histogram's buckets, in microseconds: 50 µs to 10 s.
const BOUNDS_US: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Running counts.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    calls: AtomicU64,
    failures: [AtomicU64; Cause::ALL.len()],
    latency: [AtomicU64; BOUNDS_US.len() + 1],
    total_us: AtomicU64,
    last_us: AtomicU64,
    peak_memory_bytes: AtomicU64,
}

/// What a plugin's calls have come to since it was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PluginStats {
    /// Calls that were asked for, with those turned away.
    pub calls: u64,
    /// Calls that gave no answer, by cause; causes that never occurred are left out.
    pub failures: BTreeMap<Cause, u64>,
    /// Time that calls ran, in microseconds, all together: instantiation, guest, conversion.
    pub total_us: u64,
    /// Time of the call that ended last, in microseconds.
    pub last_us: u64,
    /// Most linear memory that one call has held, in bytes; failed calls count.
    pub peak_memory_bytes: u64,
    /// How long calls ran, answered or failed. Calls that were turned away are not in it.
    pub latency: Histogram,
}

/// How often something took how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Histogram {
    /// Upper bounds of the buckets in microseconds, inclusive, ascending.
    pub bounds_us: Vec<u64>,
    /// Calls in each bucket alone, not added up; one more than there are bounds, the last for all that
    /// took longer.
    pub counts: Vec<u64>,
    /// All durations together, in microseconds.
    pub sum_us: u64,
}

impl Default for Histogram {
    /// The buckets of every plugin, empty.
    fn default() -> Self {
        Self {
            bounds_us: BOUNDS_US.to_vec(),
            counts: vec![0; BOUNDS_US.len() + 1],
            sum_us: 0,
        }
    }
}

impl Stats {
    /// Counts a call that ran.
    pub(crate) fn ran(&self, took: Duration, peak_memory_bytes: u64) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.latency[bucket].fetch_add(1, Relaxed);
        self.total_us.fetch_add(us, Relaxed);
        self.last_us.store(us, Relaxed);
        self.peak_memory_bytes.fetch_max(peak_memory_bytes, Relaxed);
    }

    /// Counts how a call ended.
    pub(crate) fn ended(&self, failure: Option<Cause>) {
        self.calls.fetch_add(1, Relaxed);
        if let Some(cause) = failure {
            self.failures[cause as usize].fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> PluginStats {
        let total_us = self.total_us.load(Relaxed);
        PluginStats {
            calls: self.calls.load(Relaxed),
            failures: Cause::ALL
                .into_iter()
                .map(|cause| (cause, self.failures[cause as usize].load(Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            total_us,
            last_us: self.last_us.load(Relaxed),
            peak_memory_bytes: self.peak_memory_bytes.load(Relaxed),
            latency: Histogram {
                counts: self.latency.iter().map(|n| n.load(Relaxed)).collect(),
                sum_us: total_us,
                ..Histogram::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_names_the_causes_that_occurred() {
        let stats = Stats::default();
        stats.ran(Duration::from_micros(7), 65_536);
        stats.ended(None);
        stats.ran(Duration::from_micros(5), 1);
        stats.ended(Some(Cause::BadAnswer));
        let mut json = serde_json::to_value(stats.snapshot()).expect("json");
        let latency = json["latency"].take();
        assert_eq!(
            json.to_string(),
            r#"{"calls":2,"failures":{"bad_answer":1},"last_us":5,"latency":null,"peak_memory_bytes":65536,"total_us":12}"#
        );
        assert_eq!(
            (&latency["sum_us"], &latency["counts"][0]),
            (&12.into(), &2.into())
        );
    }

    #[test]
    fn every_duration_has_one_bucket() {
        let stats = Stats::default();
        for us in [0, 50, 51, 100, 10_000_000, 10_000_001, u64::MAX >> 1] {
            stats.ran(Duration::from_micros(us), 0);
        }
        let Histogram {
            bounds_us, counts, ..
        } = stats.snapshot().latency;
        assert_eq!(counts.len(), bounds_us.len() + 1);
        assert!(bounds_us.is_sorted());
        assert_eq!((counts[0], counts[1]), (2, 2), "bounds are inclusive");
        assert_eq!((counts[16], counts[17]), (1, 2));
        assert_eq!(counts.iter().sum::<u64>(), 7);
    }

    #[test]
    fn every_cause_has_a_counter_of_its_own() {
        for (position, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, position);
        }
    }
}
