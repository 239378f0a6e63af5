//! How long searches of an index take, so that the quick ones need no thread of their own.
//!
//! To hand a search to another thread and its answer back wakes two threads. So a search that will be over within [`QUICK`], as far as the ones before it tell, is computed by the
//! thread that has read the request; every other one leaves that thread to other requests. What is told is time, not
//! work: an index whose mapped files are not in memory yet, or one with a long tail, takes its time and counts as slow
//! until it does not.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// As long as a thread that serves requests may be busy with one of them.
const QUICK: Duration = Duration::from_micros(250);
/// Bytes of a text that is embedded along; a longer one takes longer than others did.
const SHORT_TEXT: usize = 1_000;
/// One in so many parts of what is known is replaced by each search.
const SHARE: u64 = 8;
/// Nothing is known yet.
const UNKNOWN: u64 = u64::MAX;

/// Nanoseconds of a search for each candidate that it keeps: a moving average.
#[derive(Debug)]
pub(super) struct Pace(AtomicU64);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicU64::new(UNKNOWN))
    }
}

impl Pace {
    /// Whether a search that keeps so many candidates, for a text of so many bytes or for a vector, is a quick one.
    pub(super) fn is_quick(&self, candidates: usize, text: Option<usize>) -> bool {
        let nanos = self.0.load(Ordering::Relaxed);
        let expected = nanos.saturating_mul(candidates.max(1) as u64);
        u128::from(expected) <= QUICK.as_nanos() && text.is_none_or(|bytes| bytes <= SHORT_TEXT)
    }

    /// A search that kept so many candidates took so long.
    pub(super) fn note(&self, candidates: usize, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(UNKNOWN);
        let seen = (took / candidates.max(1) as u64).min(UNKNOWN / SHARE);
        let known = self.0.load(Ordering::Relaxed);
        let now = match known {
            UNKNOWN => seen,
            known => known - known / SHARE + seen / SHARE,
        };
        // Of two searches that end at once one may be forgotten: the next one tells as much.
        self.0.store(now, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_quick_where_those_before_it_were() {
        let pace = Pace::default();
        assert!(!pace.is_quick(1, None), "nothing is known yet");
        pace.note(50, Duration::from_micros(100));
        assert!(pace.is_quick(50, None));
        assert!(pace.is_quick(50, Some(SHORT_TEXT)));
        assert!(!pace.is_quick(50, Some(SHORT_TEXT + 1)), "a long text");
        assert!(!pace.is_quick(500, None), "ten times the work");
    }

    #[test]
    fn an_index_that_is_slow_for_a_time_is_quick_again_afterwards() {
        let pace = Pace::default();
        pace.note(50, Duration::from_micros(100));
        pace.note(50, Duration::from_millis(20));
        assert!(!pace.is_quick(50, None), "its pages had to be read");
        for _ in 0..64 {
            pace.note(50, Duration::from_micros(100));
        }
        assert!(pace.is_quick(50, None));
        pace.note(0, Duration::MAX);
        assert!(!pace.is_quick(1, None));
    }
}
