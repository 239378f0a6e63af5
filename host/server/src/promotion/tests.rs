//! What may be forced without saying that its recall may be below the floor.

use boathouse_types::{IndexConfig, Interval, TrialMetrics};

use super::*;

/// A trial whose recall is 0.90 to 0.94.
fn trial() -> Trial {
    let metrics = TrialMetrics {
        build_time_secs: 0.0,
        search_latency_p50_us: 5.0,
        search_latency_p95_us: 8.0,
        search_latency_p99_us: 9.0,
        recall_at_k: 0.92,
        recall_interval: Some(Interval {
            low: 0.90,
            high: 0.94,
        }),
        k: Some(10),
        memory_bytes: 1,
        vectors: 100,
        eval_queries: 100,
        brute_force_latency_us: 40.0,
        distances_per_query: None,
    };
    Trial::of("t1", IndexConfig::default(), metrics)
}

#[track_caller]
fn check(trial: &Trial, is_of_present_vectors: bool, floor: f64, said: Option<&str>) {
    let why = floor_risk(trial, is_of_present_vectors, floor);
    match (why, said) {
        (None, None) => {}
        (Some(why), Some(said)) => assert!(why.contains(said), "{why}"),
        (why, _) => panic!("{why:?}"),
    }
}

#[test]
fn only_a_recall_on_all_present_vectors_passes_the_floor() {
    let whole = trial();
    check(&whole, true, 0.93, None);
    check(&whole, true, 0.95, Some("at most 0.9400"));
    check(&whole, false, 0.5, Some("serve no more"));
    let sample = Trial {
        sample: Some(0.3),
        ..whole.clone()
    };
    check(&sample, true, 0.5, Some("a sample"));
    let short = Trial {
        stopped_early: Some("dominated".to_owned()),
        ..whole
    };
    check(&short, true, 0.5, Some("ended early"));
}
