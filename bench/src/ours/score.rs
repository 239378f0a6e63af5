//! The bundled scoring component, called through the plugin host from an asynchronous runtime.
//!
//! A call is all that a caller of `boathouse_plugins` pays: question, admission, thread of the blocking
//! pool, fresh instance, the guest's work, and the checks of its answer. For the peer's bill this
//! side also tells what JSON of the same question and answer costs a host that is written in Rust.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use boathouse_bundle::{PARETO, PII};
use boathouse_plugins::{Compiling, Plugin, PluginHost, PluginHostConfig};
use boathouse_types::{IndexConfig, Interval, Objective, PluginKind, Trial, TrialMetrics, Verdict};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::Took;
use crate::process;

/// What this side can be asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Make a journal of so many trials. Answered by [`Prepared`].
    Prepare { trials: u32 },
    /// Score the journal so often. Answered by [`Took`].
    Run { calls: u32 },
    /// Write the question as JSON and read the answer from JSON so often. Answered by [`Took`].
    Json { calls: u32 },
    /// Load a bundled component so often from the cache, each time into a new host. Answered by
    /// [`Loaded`].
    Load { component: Component, loads: u32 },
}

/// A bundled component.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Component {
    /// The smallest.
    Scoring,
    /// The largest.
    Pii,
}

/// What loading took, and what was loaded.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// Wall-clock time of all loads, without making the hosts.
    pub(crate) seconds: f64,
    /// Size of the component.
    pub(crate) component_bytes: u32,
}

/// A journal and its verdicts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// Trials and objective as JSON.
    pub(crate) question: String,
    /// What the component says of them.
    pub(crate) verdicts: Vec<Verdict>,
}

#[derive(Debug, Serialize)]
struct Question<'a> {
    trials: &'a [Trial],
    objective: &'a Objective,
}

pub(super) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let host = PluginHost::new(PluginHostConfig::default(), Compiling::InProcess)?;
    let plugin = runtime.block_on(host.load(PluginKind::Scoring, PARETO.bytes))?;
    let objective = Objective {
        p95_budget_us: Some(1_500.0),
        ..Objective::default()
    };
    let mut trials = Vec::new();
    process::serve(&super::name(), |ask| {
        Ok(match ask {
            Ask::Prepare { trials: count } => {
                trials = journal(count);
                let verdicts = runtime.block_on(plugin.evaluate(&trials, &objective))?;
                let question = serde_json::to_string(&Question {
                    trials: &trials,
                    objective: &objective,
                })?;
                serde_json::to_value(Prepared { question, verdicts })?
            }
            Ask::Run { calls } => {
                serde_json::to_value(score(&runtime, &plugin, &trials, &objective, calls)?)?
            }
            Ask::Load { component, loads } => {
                serde_json::to_value(load(&runtime, component, loads)?)?
            }
            Ask::Json { calls } => {
                let verdicts = runtime.block_on(plugin.evaluate(&trials, &objective))?;
                let question = Question {
                    trials: &trials,
                    objective: &objective,
                };
                serde_json::to_value(json(&question, &verdicts, calls)?)?
            }
        })
    })
}

/// Loads the component through the cache on disk, which the first host fills.
fn load(runtime: &Runtime, component: Component, loads: u32) -> Result<Loaded> {
    let (kind, bytes) = match component {
        Component::Scoring => (PluginKind::Scoring, PARETO.bytes),
        Component::Pii => (PluginKind::Pii, PII.bytes),
    };
    let host = || {
        let compiling = Compiling::Child {
            program: std::env::current_exe()?,
            cache: process::folder().join("data/compiled"),
        };
        anyhow::Ok(PluginHost::new(PluginHostConfig::default(), compiling)?)
    };
    runtime.block_on(host()?.load(kind, bytes))?;
    let mut seconds = 0.0;
    for _ in 0..loads {
        let host = host()?;
        let start = Instant::now();
        runtime.block_on(host.load(kind, bytes))?;
        seconds += start.elapsed().as_secs_f64();
    }
    Ok(Loaded {
        seconds,
        component_bytes: u32::try_from(bytes.len())?,
    })
}

fn score(
    runtime: &Runtime,
    plugin: &Plugin,
    trials: &[Trial],
    objective: &Objective,
    calls: u32,
) -> Result<Took> {
    runtime.block_on(async {
        let start = Instant::now();
        for _ in 0..calls {
            let verdicts = plugin.evaluate(trials, objective).await?;
            ensure!(verdicts.len() == trials.len(), "a verdict for each trial");
        }
        Ok(Took {
            seconds: start.elapsed().as_secs_f64(),
        })
    })
}

fn json(question: &Question<'_>, verdicts: &[Verdict], calls: u32) -> Result<Took> {
    let answer = serde_json::to_vec(verdicts)?;
    let start = Instant::now();
    for _ in 0..calls {
        let asked = serde_json::to_vec(question).context("the question as JSON")?;
        let read: Vec<Verdict> = serde_json::from_slice(&answer).context("the answer as JSON")?;
        ensure!(!asked.is_empty() && read.len() == verdicts.len());
    }
    Ok(Took {
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// A journal such as a tuner leaves: recall and latency rise together with much noise, and some trials
/// break a bound.
fn journal(count: u32) -> Vec<Trial> {
    (0..count)
        .map(|i| {
            let noise = f64::from(i.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
            let recall = 0.85 + 0.149 * f64::from(i) / f64::from(count) - 0.05 * noise;
            let p95 = 120.0 + 1_400.0 * f64::from(i) / f64::from(count) + 400.0 * (1.0 - noise);
            Trial::of(
                format!("trial-{i:05}"),
                IndexConfig {
                    ef_search: 10 + i,
                    ..IndexConfig::default()
                },
                TrialMetrics {
                    build_time_secs: 8.0 + noise,
                    search_latency_p50_us: p95 / 1.7,
                    search_latency_p95_us: p95,
                    search_latency_p99_us: p95 * 1.3,
                    recall_at_k: recall,
                    recall_interval: Some(Interval {
                        low: recall - 0.01,
                        high: (recall + 0.01).min(1.0),
                    }),
                    k: Some(10),
                    memory_bytes: (40 << 20) + u64::from(i % 7) * (4 << 20),
                    vectors: 100_000,
                    eval_queries: 200,
                    brute_force_latency_us: 4_000.0,
                    distances_per_query: Some(900.0 + f64::from(i)),
                },
            )
        })
        .collect()
}
