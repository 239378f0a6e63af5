//! The score of a trial and the bounds it has to meet.
//!
//! Reasons are put together from fixed texts: the figures stand beside them in the journal, and a thousand
//! feasible trials cost no formatting.

use crate::taste::{Limits, Taste};

/// What is judged of a trial.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) recall: f64,
    pub(crate) recall_low: f64,
    pub(crate) p95_us: f64,
    /// Exact up to 8 PiB.
    pub(crate) memory_bytes: f64,
    /// Of the graph, whoever built it.
    pub(crate) build_seconds: f64,
}

impl Limits {
    /// Which bounds a trial breaks, in words; none when it is feasible.
    pub(crate) fn broken(&self, trial: &Figures) -> Option<String> {
        let bounds = [
            (
                trial.recall_low < self.recall_floor,
                "recall under the floor",
            ),
            (trial.p95_us > self.p95_us, "p95 over the budget"),
            (
                trial.memory_bytes > self.memory_bytes,
                "memory over the cap",
            ),
            (
                trial.build_seconds > self.build_seconds,
                "build over the budget",
            ),
        ];
        let broken = bounds.into_iter().filter(|(broken, _)| *broken);
        let words: Vec<&str> = broken.map(|(_, words)| words).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

impl Taste {
    /// `recall * R - latency * min(p95 / scale, 1) - memory * min(bytes / scale, 1) - build * min(seconds /
    /// scale, 1)`; finite for finite input.
    pub(crate) fn score(&self, trial: &Figures) -> f64 {
        let (weights, scales) = (&self.weights, &self.scales);
        let share = |amount: f64, scale: f64| (amount / scale).min(1.0);
        trial.recall * weights.recall
            - weights.latency * share(trial.p95_us, scales.latency_us)
            - weights.memory * share(trial.memory_bytes, scales.memory_bytes)
            - weights.build * share(trial.build_seconds, scales.build_seconds)
    }
}
