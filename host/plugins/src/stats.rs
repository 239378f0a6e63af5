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

/// Running counts.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    calls: AtomicU64,
    failures: [AtomicU64; Cause::ALL.len()],
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
    /// Most linear memory that one call has held, in bytes.
    pub peak_memory_bytes: u64,
}

impl Stats {
    /// Counts a call that ran.
    pub(crate) fn ran(&self, took: Duration, peak_memory_bytes: u64) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
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
        PluginStats {
            calls: self.calls.load(Relaxed),
            failures: Cause::ALL
                .into_iter()
                .map(|cause| (cause, self.failures[cause as usize].load(Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            total_us: self.total_us.load(Relaxed),
            last_us: self.last_us.load(Relaxed),
            peak_memory_bytes: self.peak_memory_bytes.load(Relaxed),
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
        let json = serde_json::to_string(&stats.snapshot()).expect("json");
        assert_eq!(
            json,
            r#"{"calls":2,"failures":{"bad_answer":1},"total_us":12,"last_us":5,"peak_memory_bytes":65536}"#
        );
    }

    #[test]
    fn every_cause_has_a_counter_of_its_own() {
        for (position, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, position);
        }
    }
}
