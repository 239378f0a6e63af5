//! The score of a trial and the bounds it has to meet.
//!
//! Reasons are fixed texts: the figures stand beside them in the journal, and a thousand trials cost
//! no formatting.

use boathouse_sdk::{Error, Objective};

const GIB: f64 = (1_u64 << 30) as f64;

/// What a feasible trial has to meet.
pub(crate) struct Bounds {
    recall_floor: f64,
    p95_budget_us: f64,
    memory_cap_bytes: u64,
}

impl Bounds {
    /// An absent bound is met by every trial.
    pub(crate) fn new(objective: &Objective) -> Result<Self, Error> {
        let p95_budget_us = objective.p95_budget_us.unwrap_or(f64::INFINITY);
        if objective.recall_floor.is_nan() || p95_budget_us.is_nan() {
            return Err(Error::invalid_input(
                "recall floor and p95 budget have to be numbers",
            ));
        }
        Ok(Self {
            recall_floor: objective.recall_floor,
            p95_budget_us,
            memory_cap_bytes: objective.memory_cap_bytes.unwrap_or(u64::MAX),
        })
    }

    /// Which bounds a trial breaks, in words; none when it is feasible.
    pub(crate) fn broken(&self, recall_low: f64, p95_us: f64, memory: u64) -> Option<&'static str> {
        let recall = recall_low < self.recall_floor;
        let latency = p95_us > self.p95_budget_us;
        let memory = memory > self.memory_cap_bytes;
        match (recall, latency, memory) {
            (false, false, false) => None,
            (true, false, false) => Some("recall under the floor"),
            (false, true, false) => Some("p95 over the budget"),
            (false, false, true) => Some("memory over the cap"),
            (true, true, false) => Some("recall under the floor, p95 over the budget"),
            (true, false, true) => Some("recall under the floor, memory over the cap"),
            (false, true, true) => Some("p95 over the budget, memory over the cap"),
            (true, true, true) => {
                Some("recall under the floor, p95 over the budget, memory over the cap")
            }
        }
    }
}

/// `recall * R - latency * min(p95_ms, 1) - memory * min(bytes / scale, 1)`.
#[derive(Debug, PartialEq)]
pub(crate) struct Formula {
    recall: f64,
    latency: f64,
    memory: f64,
    memory_scale: f64,
}

impl Formula {
    /// Takes the weights `recall`, `latency` and `memory`; each may be given once, finite and not
    /// negative.
    pub(crate) fn new(objective: &Objective) -> Result<Self, Error> {
        let scale = objective.memory_cap_bytes.map_or(GIB, |cap| cap as f64);
        let (mut recall, mut latency, mut memory) = (None, None, None);
        for (name, weight) in &objective.weights {
            let slot = match name.as_str() {
                "recall" => &mut recall,
                "latency" => &mut latency,
                "memory" => &mut memory,
                _ => {
                    return Err(Error::invalid_input(format!(
                        "unknown weight `{name}`; known are `recall`, `latency` and `memory`"
                    )));
                }
            };
            if !weight.is_finite() || *weight < 0.0 {
                return Err(Error::invalid_input(format!(
                    "weight `{name}` is {weight}; it has to be finite and not negative"
                )));
            }
            if slot.replace(*weight).is_some() {
                return Err(Error::invalid_input(format!(
                    "weight `{name}` is given twice"
                )));
            }
        }
        Ok(Self {
            recall: recall.unwrap_or(1.0),
            latency: latency.unwrap_or(0.2),
            memory: memory.unwrap_or(0.0),
            memory_scale: scale.max(1.0),
        })
    }

    /// The score of one trial; finite for finite input.
    pub(crate) fn score(&self, recall: f64, p95_us: f64, memory: u64) -> f64 {
        let p95_ms = (p95_us / 1000.0).min(1.0);
        let share = (memory as f64 / self.memory_scale).min(1.0);
        recall * self.recall - self.latency * p95_ms - self.memory * share
    }
}
