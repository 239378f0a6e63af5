//! The last hour of the GPUs' memory, sample by sample.
//!
//! Samples are few and small: one every few seconds, a pair of numbers a GPU, however often somebody looks; only the
//! newest look is kept besides. What is older than an hour goes when the next one comes, and so does the oldest when
//! there are too many.

use std::collections::VecDeque;

use boathouse_types::Timestamp;
use serde::Serialize;

use super::Gpu;

/// How far back samples go, in milliseconds.
const SPAN_MS: i64 = 3_600_000;
/// Least time between two samples that are kept, in milliseconds. A change of the slot looks many times a second, and
/// the hour is not to shrink by that.
const SPACING_MS: i64 = 4_000;
/// Most samples that are kept.
const MAX_SAMPLES: usize = 1_024;

/// The GPUs at one moment of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GpuSample {
    /// When.
    pub at: Timestamp,
    /// One entry a GPU.
    pub gpus: Vec<GpuFigures>,
}

/// What is kept of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GpuFigures {
    /// Its number.
    pub index: u32,
    /// Memory that was taken, in bytes.
    pub used_bytes: Option<u64>,
    /// Share of the time in which it computed, in percent.
    pub utilization_percent: Option<u32>,
}

/// Samples of the last hour, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    samples: VecDeque<GpuSample>,
    /// The last look, which may be too close to the last sample to be kept as one.
    newest: Option<GpuSample>,
}

impl History {
    /// Takes a sample; none without GPUs.
    pub(crate) fn add(&mut self, at: Timestamp, gpus: &[Gpu]) {
        if gpus.is_empty() {
            return;
        }
        let figures = gpus.iter().map(|gpu| GpuFigures {
            index: gpu.index,
            used_bytes: gpu.used_bytes,
            utilization_percent: gpu.utilization_percent,
        });
        let sample = GpuSample {
            at,
            gpus: figures.collect(),
        };
        self.newest = Some(sample.clone());
        let since = self
            .samples
            .back()
            .map(|last| at.millis() - last.at.millis());
        // A clock that was set back begins anew.
        if since.is_some_and(|since| (0..SPACING_MS).contains(&since)) {
            return;
        }
        self.samples.push_back(sample);
        let old = |sample: &GpuSample| at.millis() - sample.at.millis() > SPAN_MS;
        while self.samples.len() > MAX_SAMPLES || self.samples.front().is_some_and(old) {
            self.samples.pop_front();
        }
    }

    /// The last look.
    pub(crate) fn newest(&self) -> Option<&GpuSample> {
        self.newest.as_ref()
    }

    /// Samples, oldest first; the last one is the last look.
    pub(crate) fn samples(&self) -> Vec<GpuSample> {
        let last = self.samples.back().map(|last| last.at);
        let newest = self.newest.iter().filter(|newest| Some(newest.at) != last);
        self.samples.iter().chain(newest).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(used: u64) -> Gpu {
        Gpu {
            used_bytes: Some(used),
            ..Gpu::default()
        }
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut history = History::default();
        for minute in 0..=90 {
            history.add(Timestamp::from_millis(minute * 60_000), &[gpu(1)]);
        }
        let samples = history.samples();
        assert_eq!(samples.len(), 61);
        assert_eq!(samples[0].at.millis(), 30 * 60_000);
        assert_eq!(samples[60].at.millis(), 90 * 60_000);
    }

    #[test]
    fn however_often_somebody_looks_it_is_an_hour() {
        let mut history = History::default();
        // Twenty looks a second, for an hour and a half.
        for look in 0..108_000_u32 {
            let at = Timestamp::from_millis(i64::from(look) * 50);
            history.add(at, &[gpu(u64::from(look))]);
        }
        let samples = history.samples();
        let (first, last) = (&samples[0], samples.last().unwrap());
        assert!(last.at.millis() - first.at.millis() >= SPAN_MS - SPACING_MS);
        assert!(samples.len() <= MAX_SAMPLES, "{}", samples.len());
        assert_eq!(last.gpus[0].used_bytes, Some(107_999));
        assert_eq!(history.newest(), Some(last));
    }

    #[test]
    fn a_machine_without_gpus_has_no_history() {
        let mut history = History::default();
        history.add(Timestamp::from_millis(0), &[]);
        assert_eq!(history.samples(), []);
    }
}
