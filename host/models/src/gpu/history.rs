//! The last hour of the GPUs' memory, sample by sample.
//!
//! Samples are few and small: one every few seconds, a pair of numbers a GPU. What is older than an hour goes when
//! the next one comes, and so does the oldest when there are too many.

use std::collections::VecDeque;

use boathouse_types::Timestamp;
use serde::Serialize;

use super::Gpu;

/// How far back samples go, in milliseconds.
const SPAN_MS: i64 = 3_600_000;
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
        self.samples.push_back(GpuSample {
            at,
            gpus: figures.collect(),
        });
        let old = |sample: &GpuSample| at.millis() - sample.at.millis() > SPAN_MS;
        while self.samples.len() > MAX_SAMPLES || self.samples.front().is_some_and(old) {
            self.samples.pop_front();
        }
    }

    /// The last sample.
    pub(crate) fn newest(&self) -> Option<&GpuSample> {
        self.samples.back()
    }

    /// All samples, oldest first.
    pub(crate) fn samples(&self) -> Vec<GpuSample> {
        self.samples.iter().cloned().collect()
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
    fn there_is_a_most_however_fast_samples_come() {
        let mut history = History::default();
        for at in 0..5_000_u64 {
            history.add(Timestamp::from_millis(0), &[gpu(at)]);
        }
        let samples = history.samples();
        assert_eq!(samples.len(), MAX_SAMPLES);
        assert_eq!(samples.last().unwrap().gpus[0].used_bytes, Some(4_999));
    }

    #[test]
    fn a_machine_without_gpus_has_no_history() {
        let mut history = History::default();
        history.add(Timestamp::from_millis(0), &[]);
        assert_eq!(history.samples(), []);
    }
}
