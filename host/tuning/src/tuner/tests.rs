//! What a trial promises: true measurements, one line when it ends, none when it does not.

use super::*;
use crate::{
    EvalSet, EvalSetName, EvalSource, EvalSpec, IndexData,
    testing::{clock, clustered, data_of, index_name, memory_bucket, plugin},
};
use boathouse_types::{IndexConfig, Metric};

fn tuner(bucket: &Bucket) -> Tuner {
    let options = TunerOptions {
        build_threads: 1,
        host: "test machine x1".to_owned(),
        ..TunerOptions::new(clock())
    };
    Tuner::open(bucket, &index_name(), options)
}

async fn evaluation(data: &IndexData, queries: usize) -> Arc<Evaluation> {
    let spec = EvalSpec {
        source: EvalSource::Drawn { queries },
        ..EvalSpec::default()
    };
    let cancel = CancellationToken::new();
    let name = EvalSetName::new("drawn").unwrap();
    let set = EvalSet::make(name, data, spec, &cancel).await.unwrap();
    Evaluation::prepare(data, set, &cancel).await.unwrap()
}

fn request(m: u32, ef_search: u32) -> TrialRequest {
    let config = IndexConfig {
        m,
        ef_construction: 20,
        ef_search,
        seed: 1,
    };
    TrialRequest {
        config: config.into(),
        ..TrialRequest::default()
    }
}

#[tokio::test]
async fn a_trial_measures_everything_and_is_journalled() {
    let (bucket, data) = (memory_bucket(), clustered(1_200));
    let (tuner, evaluation) = (tuner(&bucket), evaluation(&data, 80).await);
    let cancel = CancellationToken::new();
    let asked = TrialRequest {
        note: Some("by hand".to_owned()),
        proposed_by: Some(plugin("tests/someone")),
        reason: Some("why not".to_owned()),
        ..request(8, 40)
    };
    let report = tuner.trial(&evaluation, asked, &cancel).await.unwrap();
    let (trial, metrics) = (&report.trial, report.trial.metrics);
    assert!(trial.id.starts_with("t0001-"), "{}", trial.id);
    assert!(metrics.build_time_secs > 0.0);
    assert!(metrics.search_latency_p50_us > 0.0);
    assert!(metrics.search_latency_p95_us >= metrics.search_latency_p50_us);
    assert!(metrics.search_latency_p99_us >= metrics.search_latency_p95_us);
    assert!(metrics.recall_at_k > 0.8, "{metrics:?}");
    let interval = metrics.recall_interval.unwrap();
    assert!(interval.low <= metrics.recall_at_k && metrics.recall_at_k <= interval.high);
    let distances = metrics.distances_per_query.unwrap();
    assert!(distances > 40.0 && distances < 1_200.0, "{distances}");
    assert!(metrics.memory_bytes > 1_200 * 16 * 4);
    assert_eq!(
        (metrics.vectors, metrics.eval_queries, metrics.k),
        (1_200, 80, Some(10))
    );
    assert!(
        trial
            .note
            .as_deref()
            .is_some_and(|note| note.starts_with("by hand"))
    );
    assert_eq!(trial.host.as_deref(), Some("test machine x1"));
    assert_eq!(trial.data_version.as_deref(), Some("v1"));
    assert_eq!(report.comparison, None);
    let journal = tuner.journal().read().await.unwrap();
    assert_eq!(journal.trials, [report.trial]);
}

#[tokio::test]
async fn more_candidates_find_more_on_the_same_build() {
    let (bucket, data) = (memory_bucket(), clustered(1_500));
    let (tuner, evaluation) = (tuner(&bucket), evaluation(&data, 100).await);
    let cancel = CancellationToken::new();
    let narrow = tuner
        .trial(&evaluation, request(4, 11), &cancel)
        .await
        .unwrap();
    let wide = TrialRequest {
        champion: Some(narrow.trial.config),
        ..request(4, 200)
    };
    let wide = tuner.trial(&evaluation, wide, &cancel).await.unwrap();
    assert_eq!(wide.build, BuildOrigin::Memory);
    assert!(wide.trial.metrics.build_time_secs.abs() < 1e-12);
    assert_eq!(wide.trial.build_id, narrow.trial.build_id);
    assert!(wide.trial.metrics.recall_at_k > narrow.trial.metrics.recall_at_k);
    assert!(wide.trial.metrics.distances_per_query > narrow.trial.metrics.distances_per_query);
    let comparison = wide.comparison.unwrap();
    assert!((comparison.champion_recall - narrow.trial.metrics.recall_at_k).abs() < 1e-12);
    assert!(comparison.recall_gain_interval.low > 0.0, "{comparison:?}");
    assert!(comparison.latency_ratio.is_finite() && comparison.champion_p95_us > 0.0);
}

#[tokio::test]
async fn a_cancelled_trial_leaves_no_line() {
    let (bucket, data) = (memory_bucket(), clustered(300));
    let (tuner, evaluation) = (tuner(&bucket), evaluation(&data, 50).await);
    let cancel = CancellationToken::new();
    // The lane is taken, so the trial gets as far as its measurement and waits.
    let lane = tuner.options().lane.clone().acquire_owned().await.unwrap();
    let (stopped, ()) = tokio::join!(tuner.trial(&evaluation, request(8, 40), &cancel), async {
        while !tuner
            .builds()
            .has(&data, request(8, 40).config.graph().unwrap())
            .await
            .unwrap()
        {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    assert!(matches!(stopped, Err(TuningError::Cancelled)));
    assert!(tuner.journal().read().await.unwrap().trials.is_empty());
    drop(lane);
    let again = tuner
        .trial(&evaluation, request(8, 40), &CancellationToken::new())
        .await;
    assert!(
        again.unwrap().trial.metrics.build_time_secs.abs() < 1e-12,
        "the build was kept"
    );
}

#[tokio::test]
async fn a_wild_configuration_is_refused_without_a_line() {
    let (bucket, data) = (memory_bucket(), clustered(60));
    let (tuner, evaluation) = (tuner(&bucket), evaluation(&data, 10).await);
    let refused = tuner
        .trial(
            &evaluation,
            request(8, 1_000_000),
            &CancellationToken::new(),
        )
        .await;
    assert!(matches!(refused, Err(TuningError::InvalidInput(_))));
    assert!(tuner.journal().read().await.unwrap().trials.is_empty());
}

#[tokio::test]
async fn equal_vectors_count_as_found() {
    let data = data_of(&vec![vec![1.0, 2.0]; 400], Metric::L2);
    let (tuner, evaluation) = (tuner(&memory_bucket()), evaluation(&data, 20).await);
    let report = tuner
        .trial(&evaluation, request(8, 20), &CancellationToken::new())
        .await
        .unwrap();
    assert!((report.trial.metrics.recall_at_k - 1.0).abs() < 1e-12);
}

#[test]
fn rounded_measurements_read_back_bit_for_bit() {
    for at in 0..2_000_u32 {
        let raw = f64::from(at).sqrt() * 7.0 / 3.0;
        for scale in [1e3, 1e6, 1e9] {
            let value = rounded(raw, scale);
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(
                serde_json::from_str::<f64>(&text).unwrap().to_bits(),
                value.to_bits()
            );
        }
    }
}

#[test]
fn noise_and_length_show_in_the_note() {
    assert_eq!(note(None, None), None);
    let noise = || Some("repeats differ by 50 %".to_owned());
    assert!(note(Some("a".to_owned()), noise()).is_some_and(|note| note.starts_with("a; noisy")));
    assert!(note(None, noise()).is_some_and(|note| note.contains("50 %; compare")));
    assert_eq!(bounded("é".repeat(2_000)).chars().count(), MAX_TEXT);
    assert_ne!(trial_id(1), trial_id(1));
}
