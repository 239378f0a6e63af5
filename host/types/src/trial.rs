//! Index configurations and what measuring one gave.
//!
//! Field names are those of the journals that are already out there, so that those still read: fields
//! that came later are optional or have a default.

use serde::{Deserialize, Serialize};

use crate::{Configuration, IndexFacts, Knob, Objective, PluginRef, Timestamp, VectorBackend};

/// A configuration of an HNSW index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IndexConfig {
    /// Neighbours kept per node and layer (twice as many on the ground layer).
    #[serde(default = "IndexConfig::default_m")]
    pub m: u32,
    /// Candidates looked at while a node is inserted.
    pub ef_construction: u32,
    /// Candidates kept while searching.
    pub ef_search: u32,
    /// Seed of the build.
    #[serde(default)]
    pub seed: u64,
}

impl IndexConfig {
    const fn default_m() -> u32 {
        16
    }

    /// Whether both are served by the same graph: they differ in `ef_search` at most.
    #[must_use]
    pub fn same_build(&self, other: &Self) -> bool {
        (self.m, self.ef_construction, self.seed) == (other.m, other.ef_construction, other.seed)
    }
}

impl Default for IndexConfig {
    /// `m` 16, `ef_construction` 80, `ef_search` 30.
    fn default() -> Self {
        Self {
            m: Self::default_m(),
            ef_construction: 80,
            ef_search: 30,
            seed: 0,
        }
    }
}

/// A 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// What a trial measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TrialMetrics {
    /// Seconds spent building the graph; 0 when the trial reused one.
    pub build_time_secs: f64,
    /// Median search latency in microseconds, one thread.
    pub search_latency_p50_us: f64,
    /// 95th percentile of search latency in microseconds.
    pub search_latency_p95_us: f64,
    /// 99th percentile of search latency in microseconds.
    pub search_latency_p99_us: f64,
    /// Mean share of the true k nearest neighbours that were found, in 0..=1.
    pub recall_at_k: f64,
    /// 95 % interval of the mean recall over the queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall_interval: Option<Interval>,
    /// The k of `recall_at_k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<u32>,
    /// Bytes of vectors and graph in memory; of a table the bytes of its index over vectors, which is what searches keep
    /// in memory of it as far as the cache has room.
    pub memory_bytes: u64,
    /// Vectors in the index.
    pub vectors: u64,
    /// Queries that were asked.
    pub eval_queries: u64,
    /// Median latency of exact search in microseconds, one thread.
    pub brute_force_latency_us: f64,
    /// Mean distance computations per query; none of a table, which does not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distances_per_query: Option<f64>,
}

/// The question that a proposal answered, or what a strategy of the host followed, but for the trials that it was asked about: those are the lines
/// of the journal before. With both, the same question can be asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Asked {
    /// How many lines the journal had; the seed is derived from it.
    pub journal_length: u32,
    /// Fingerprint of these lines, in hex; another one means that the journal was changed since.
    pub journal_digest: String,
    /// Line, counted from 0, of the configuration that served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<u32>,
    /// The index as it was.
    pub index: IndexFacts,
    /// What might be tried.
    pub knobs: Vec<Knob>,
    /// What the owner wanted.
    pub objective: Objective,
    /// The version of the vectors whose trials were shown; none: all lines were (journals of older hosts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_version: Option<String>,
    /// The evaluation set whose trials were shown; none: those of all sets were (journals of older hosts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evalset: Option<String>,
    /// Fingerprint of the settings that the operator had given the proposer, in hex; none for strategies of the host, and
    /// in journals of older hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// Which strategy of the host was followed; none when a proposer was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<HouseStrategy>,
}

/// Strategies that need no proposer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HouseStrategy {
    /// A small fixed grid.
    Grid,
    /// Many builds on few vectors, the better ones on more, the best on all.
    Halving,
}

/// One line of an index's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Trial {
    /// Unique within the index; promotion names a trial by it.
    #[serde(alias = "trial_id")]
    pub id: String,
    /// What was tried; `parquet` when left out, as in journals of older hosts.
    #[serde(default, skip_serializing_if = "is_graph")]
    pub backend: VectorBackend,
    /// In which configuration.
    pub config: Configuration,
    /// What it gave.
    pub metrics: TrialMetrics,
    /// When the trial ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Free note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The graph that was searched; trials that share one share its build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// Version of the index's vectors that was searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_version: Option<String>,
    /// The evaluation set it was measured with: its name and the digest of its queries, as `default@1f0c23a94b7e`.
    /// Recalls under different ones do not compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evalset: Option<String>,
    /// The machine it ran on: processor model and number of cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Who proposed the configuration; none for a person or a grid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<PluginRef>,
    /// Why it was proposed, in the proposer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the proposer was asked or the strategy followed; none for a person, and in journals of older hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Who scored it when it was journalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scored_by: Option<PluginRef>,
    /// Range of the passes' median latencies over their median; 0.1 is 10 %. None of a single pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_spread: Option<f64>,
    /// The machine was too restless for times to tell configurations apart; distance counts do.
    #[serde(default, skip_serializing_if = "is_false")]
    pub noisy: bool,
    /// Why it ended before all queries were asked: it could not have become better than what is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_early: Option<String>,
    /// Share of the index's vectors that were measured, in 0..1; none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<f64>,
    /// The build with a larger `m` that the graph was cut down from, instead of being built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived_from: Option<String>,
}

impl Trial {
    /// A measurement of which nothing else is known.
    #[must_use]
    pub fn of(
        id: impl Into<String>,
        config: impl Into<Configuration>,
        metrics: TrialMetrics,
    ) -> Self {
        let config = config.into();
        Self {
            id: id.into(),
            backend: config.backend(),
            config,
            metrics,
            finished_at: None,
            note: None,
            build_id: None,
            data_version: None,
            evalset: None,
            host: None,
            proposed_by: None,
            reason: None,
            asked: None,
            scored_by: None,
            latency_spread: None,
            noisy: false,
            stopped_early: None,
            sample: None,
            derived_from: None,
        }
    }

    /// Whether all vectors were measured with all queries; only such a trial may be put in service.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.sample.is_none() && self.stopped_early.is_none()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Left out in lines, so that those of older hosts stay what they are to the byte: replays compare fingerprints.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_graph(backend: &VectorBackend) -> bool {
    *backend == VectorBackend::Parquet
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape that journals had before federation: no `m`, no interval, no build.
    #[test]
    fn a_journal_line_of_the_older_shape_reads() {
        let line = r#"{"id":"t1","config":{"ef_construction":20,"ef_search":30,"seed":7},
            "metrics":{"build_time_secs":8.0,"search_latency_p50_us":509.0,"search_latency_p95_us":800.0,
            "search_latency_p99_us":900.0,"recall_at_k":0.96,"memory_bytes":1,"vectors":100000,
            "eval_queries":20,"brute_force_latency_us":43983.0},"note":"seed"}"#;
        let trial: Trial = serde_json::from_str(line).expect("older line");
        assert_eq!(trial.config.setting("m"), Some(16));
        assert_eq!(trial.backend, VectorBackend::Parquet);
        assert_eq!(
            trial,
            Trial {
                note: Some("seed".to_owned()),
                ..Trial::of("t1", trial.config, trial.metrics)
            }
        );
        assert_eq!(trial.metrics.recall_interval, None);
        assert!(trial.is_whole());
    }

    #[test]
    fn one_build_serves_every_ef_search() {
        let base = IndexConfig::default();
        assert!(base.same_build(&IndexConfig {
            ef_search: 99,
            ..base
        }));
        assert!(!base.same_build(&IndexConfig { m: 8, ..base }));
    }
}
