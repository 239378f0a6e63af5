//! Questions of any size, the same at every run, for timing plugins.

use boathouse_types::{
    ColumnSample, IndexConfig, IndexFacts, Interval, Knob, Metric, Objective, ProposalContext,
    TableSample, Trial, TrialMetrics, VectorBackend,
};

/// Distinct values of each column.
pub(super) const VALUES: usize = 1_000;

/// A journal of so many trials over a grid of configurations.
pub(super) fn journal(trials: usize) -> Vec<Trial> {
    (0..trials).map(trial).collect()
}

/// The question after a journal of so many trials.
pub(super) fn context(trials: usize) -> ProposalContext {
    let knob = |name: &str, min, max, step| Knob {
        name: name.to_owned(),
        min,
        max,
        step,
    };
    ProposalContext {
        index: IndexFacts {
            name: "bench".to_owned(),
            backend: VectorBackend::Parquet,
            vectors: 100_000,
            dimension: 256,
            metric: Metric::Cosine,
        },
        knobs: vec![
            knob("m", 2, 128, 2),
            knob("ef_construction", 10, 1_000, 10),
            knob("ef_search", 10, 4_000, 10),
        ],
        objective: Objective::default(),
        champion: (trials > 0).then_some(0),
        trials: journal(trials),
        seed: trials as u64,
    }
}

/// A table of so many columns of mixed content.
pub(super) fn table(columns: usize) -> TableSample {
    TableSample {
        name: "bench".to_owned(),
        columns: (0..columns).map(column).collect(),
    }
}

fn trial(at: usize) -> Trial {
    // Neighbouring trials differ in every figure, and none repeats soon: 61 and 97 are prime.
    let (a, b) = ((at * 37 % 61) as f64 / 61.0, (at * 53 % 97) as f64 / 97.0);
    let recall = 0.80 + 0.19 * a;
    let p95 = 100.0 + 900.0 * (0.6 * a + 0.4 * b);
    let step = |modulus: usize| u32::try_from(at % modulus).unwrap_or(0);
    Trial::of(
        format!("t{at}"),
        IndexConfig {
            m: 8 + 2 * step(13),
            ef_construction: 20 + 20 * step(10),
            ef_search: 10 + 10 * step(399),
            seed: 0,
        },
        TrialMetrics {
            build_time_secs: if at.is_multiple_of(5) { 4.0 } else { 0.0 },
            search_latency_p50_us: p95 * 0.7,
            search_latency_p95_us: p95,
            search_latency_p99_us: p95 * 1.3,
            recall_at_k: recall,
            recall_interval: Some(Interval {
                low: recall - 0.004,
                high: recall + 0.004,
            }),
            k: Some(10),
            memory_bytes: 100_000_000 + 1_000_000 * u64::from(step(13)),
            vectors: 100_000,
            eval_queries: 200,
            brute_force_latency_us: 40_000.0,
            distances_per_query: Some(500.0 + p95),
        },
    )
}

fn column(at: usize) -> ColumnSample {
    let value: fn(usize) -> String = match at % 5 {
        0 => |row| format!("person{row}@mail.example"),
        1 => |row| format!("+49 30 {:07}", row * 7_919 % 10_000_000),
        2 => |row| format!("2024-{:02}-{:02}", row % 12 + 1, row % 28 + 1),
        3 => |row| format!("a sentence of some words, the {row}th of its column"),
        _ => |row| (row * 104_729 % 1_000_003).to_string(),
    };
    ColumnSample {
        name: format!("column_{at}"),
        declared_type: "Utf8".to_owned(),
        rows: VALUES as u64,
        nulls: 0,
        values: (0..VALUES).map(|row| (value(row), 1)).collect(),
    }
}
