//! Fixtures of this room's tests: clustered vectors, a bucket in memory, native judgements.

use std::sync::Arc;

use async_trait::async_trait;
use boathouse_storage::Bucket;
use boathouse_types::{
    BucketName, Dimension, IndexConfig, IndexName, Interval, Judged, JudgementError, ManualClock,
    Metric, Objective, PluginRef, Proposal, ProposalContext, TableConfig, Trial, TrialMetrics,
    VectorBackend, Verdict,
};
use boathouse_vector::VectorSet;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{IndexData, Proposer, Scorer};

pub(crate) fn index_name() -> IndexName {
    IndexName::new("papers").unwrap()
}

pub(crate) fn memory_bucket() -> Bucket {
    Bucket::memory(BucketName::primary())
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_800_000_000_000))
}

/// `rows` vectors of 16 components around 12 centres, the same at every call.
pub(crate) fn clustered(rows: usize) -> IndexData {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut point =
        |spread: f32| -> Vec<f32> { (0..16).map(|_| rng.random_range(-spread..spread)).collect() };
    let centres: Vec<Vec<f32>> = (0..12).map(|_| point(1.0)).collect();
    let rows: Vec<Vec<f32>> = (0..rows)
        .map(|row| {
            let offset = point(0.4);
            centres[row % 12]
                .iter()
                .zip(offset)
                .map(|(c, o)| c + o)
                .collect()
        })
        .collect();
    data_of(&rows, Metric::Cosine)
}

pub(crate) fn data_of(rows: &[Vec<f32>], metric: Metric) -> IndexData {
    let dimension = Dimension::new(u32::try_from(rows[0].len()).unwrap()).unwrap();
    let mut builder = VectorSet::builder(dimension, metric);
    for row in rows {
        builder.push(row).unwrap();
    }
    IndexData {
        index: index_name(),
        backend: VectorBackend::Parquet,
        data_version: "v1".to_owned(),
        vectors: Arc::new(builder.finish()),
        rows: None,
    }
}

/// The same vectors, so many of them in a row for each document; the last may have fewer.
pub(crate) fn in_pieces(data: IndexData, each: usize) -> IndexData {
    let rows: Vec<u64> = (0..data.len()).map(|at| (at / each) as u64 + 100).collect();
    IndexData {
        rows: Some(rows.into()),
        ..data
    }
}

pub(crate) fn trial(id: &str, recall: f64, p95: f64) -> Trial {
    Trial::of(
        id.to_owned(),
        IndexConfig::default(),
        TrialMetrics {
            build_time_secs: 1.0,
            search_latency_p50_us: p95 / 2.0,
            search_latency_p95_us: p95,
            search_latency_p99_us: p95 * 1.5,
            recall_at_k: recall,
            recall_interval: Some(Interval {
                low: recall - 0.002,
                high: recall,
            }),
            k: Some(10),
            memory_bytes: 1_000,
            vectors: 100,
            eval_queries: 100,
            brute_force_latency_us: 5_000.0,
            distances_per_query: Some(300.0),
        },
    )
}

/// A configuration of a table over vectors of 16 components.
pub(crate) fn table_config() -> TableConfig {
    TableConfig {
        partitions: 4,
        sub_vectors: 2,
        nprobes: 5,
        refine_factor: 10,
    }
}

/// Who [`LinearScorer`] is.
pub(crate) const LINEAR: &str = "tests/linear";
/// Who [`DrawingProposer`] is.
pub(crate) const DRAWING: &str = "tests/drawing";

/// Recall minus a fifth of the p95 in milliseconds; feasible by the mean recall.
pub(crate) struct LinearScorer;

#[async_trait]
impl Scorer for LinearScorer {
    async fn evaluate(
        &self,
        trials: &[Trial],
        objective: &Objective,
    ) -> Result<Judged<Vec<Verdict>>, JudgementError> {
        let verdict = |trial: &Trial| Verdict {
            feasible: trial.metrics.recall_at_k >= objective.recall_floor,
            front: 0,
            score: trial.metrics.recall_at_k
                - 0.2 * (trial.metrics.search_latency_p95_us / 1_000.0).min(1.0),
            reason: None,
        };
        Ok(Judged {
            by: plugin(LINEAR),
            answer: trials.iter().map(verdict).collect(),
        })
    }
}

/// Draws from the bounds with the context's seed until it meets something new.
pub(crate) struct DrawingProposer;

#[async_trait]
impl Proposer for DrawingProposer {
    async fn propose(&self, context: ProposalContext) -> Result<Judged<Proposal>, JudgementError> {
        let judged = |answer| Judged {
            by: plugin(DRAWING),
            answer,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(context.seed);
        for _ in 0..100 {
            let settings: Vec<u32> = context
                .knobs
                .iter()
                .map(|knob| {
                    knob.min + knob.step * rng.random_range(0..=(knob.max - knob.min) / knob.step)
                })
                .collect();
            let known = context.trials.iter().any(|trial| {
                let tried = trial.config.settings().into_iter();
                tried.map(|(_, value)| value).eq(settings.iter().copied())
            });
            if !known {
                let reason = format!("drawn with {}", context.seed);
                return Ok(judged(Proposal::Configuration { settings, reason }));
            }
        }
        Ok(judged(Proposal::Exhausted(
            "a hundred draws met nothing new".to_owned(),
        )))
    }
}

pub(crate) fn plugin(name: &str) -> PluginRef {
    PluginRef {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
    }
}
