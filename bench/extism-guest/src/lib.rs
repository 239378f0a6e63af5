//! The bundled scoring function behind Extism's calling convention: JSON in, JSON out.
//!
//! Fronts are the very source file of the SDK, bounds and score those of `plugins/scoring`; what stands
//! here is only the other way in and out. The question is the trials as Boathouse's own types
//! serialize, which is what a host that speaks JSON would send. Nothing here is part of the product.

// The shared files name the types of the plugin SDK, whose bindings belong to another kind of guest.
extern crate self as boathouse_sdk;

#[path = "../../../sdk/rust/src/scoring/fronts.rs"]
mod fronts;
#[path = "../../../plugins/scoring/src/score.rs"]
mod score;
#[path = "../../../plugins/scoring/src/taste.rs"]
mod taste;

use extism_pdk::{FnResult, Json, plugin_fn};
use serde::{Deserialize, Serialize};

/// Why the function declines.
pub struct Error(String);

impl Error {
    /// The input contradicts itself or the contract.
    pub fn invalid_input(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// The operator's settings: none are made in the bench.
#[derive(Default)]
pub struct Settings;

impl Settings {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        std::iter::empty()
    }

    /// The value given for a name; there is none.
    pub fn parse<T>(&self, _name: &str) -> Result<Option<T>, Error> {
        Ok(None)
    }
}

/// What a good configuration is for the owner of the index.
#[derive(Deserialize)]
pub struct Objective {
    recall_floor: f64,
    p95_budget_us: Option<f64>,
    memory_cap_bytes: Option<u64>,
    #[serde(default)]
    weights: Vec<(String, f64)>,
}

#[derive(Deserialize)]
struct Question {
    trials: Vec<Trial>,
    objective: Objective,
}

#[derive(Deserialize)]
struct Trial {
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metrics {
    recall_at_k: f64,
    recall_interval: Option<Interval>,
    search_latency_p95_us: f64,
    memory_bytes: u64,
}

#[derive(Deserialize)]
struct Interval {
    low: f64,
}

#[derive(Serialize)]
struct Verdict {
    feasible: bool,
    front: u32,
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[plugin_fn]
pub fn evaluate(Json(question): Json<Question>) -> FnResult<Json<Vec<Verdict>>> {
    let verdicts = judge(&question).map_err(|Error(text)| extism_pdk::Error::msg(text))?;
    Ok(Json(verdicts))
}

fn judge(question: &Question) -> Result<Vec<Verdict>, Error> {
    let taste = taste::Taste::new(&Settings, &question.objective)?;
    let metrics = || question.trials.iter().map(|trial| &trial.metrics);
    let mut recalls = metrics().map(|m| m.recall_at_k).enumerate();
    if let Some((row, recall)) = recalls.find(|(_, r)| !(0.0..=1.0).contains(r)) {
        return Err(Error::invalid_input(format!(
            "`recall` of trial {row} is {recall}, not a number in 0..=1"
        )));
    }
    let aims: Vec<[f64; 3]> = metrics()
        .map(|m| [-m.recall_at_k, m.search_latency_p95_us, m.memory_bytes as f64])
        .collect();
    let verdicts = metrics().zip(fronts::fronts(&aims)).map(|(m, front)| {
        let figures = score::Figures {
            recall: m.recall_at_k,
            recall_low: m.recall_interval.as_ref().map_or(m.recall_at_k, |i| i.low),
            p95_us: m.search_latency_p95_us,
            memory_bytes: m.memory_bytes as f64,
            // No setting asks for it.
            build_seconds: 0.0,
        };
        let reason = taste.limits.broken(&figures);
        Verdict {
            feasible: reason.is_none(),
            front,
            score: taste.score(&figures),
            reason,
        }
    });
    Ok(verdicts.collect())
}
