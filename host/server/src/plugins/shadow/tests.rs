//! Live questions to shadows, with the bundled plugins on both sides.

use std::time::Instant;

use boathouse_bundle::{Bundled, EPSILON_GREEDY, PARETO};
use boathouse_plugins::{Compiling, PluginHost, PluginHostConfig};
use boathouse_types::{ColumnSample, IndexConfig, TrialMetrics};

use super::*;

async fn load(bundled: &Bundled, kind: PluginKind) -> Plugin {
    let host = PluginHost::new(PluginHostConfig::default(), Compiling::InProcess);
    let host = host.expect("a sandbox");
    host.load(kind, bundled.bytes).await.expect("a plugin")
}

fn other(name: &str) -> PluginRef {
    PluginRef {
        name: name.to_owned(),
        version: "9.0.0".to_owned(),
    }
}

fn trial(recall: f64) -> Trial {
    Trial::of(
        format!("t{recall}"),
        IndexConfig::default(),
        TrialMetrics {
            build_time_secs: 1.0,
            search_latency_p50_us: 50.0,
            search_latency_p95_us: 100.0,
            search_latency_p99_us: 150.0,
            recall_at_k: recall,
            recall_interval: None,
            k: Some(10),
            memory_bytes: 1_000,
            vectors: 100,
            eval_queries: 100,
            brute_force_latency_us: 5_000.0,
            distances_per_query: None,
        },
    )
}

/// Lets the worker work until the shadow's figures meet a condition.
async fn until(shadows: &Shadows, plugin: &Plugin, done: impl Fn(&LiveView) -> bool) -> LiveView {
    let stop = CancellationToken::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    let wait = async {
        loop {
            let view = shadows
                .live(plugin.kind(), plugin.identity())
                .expect("a shadow");
            if done(&view) {
                stop.cancel();
                return view;
            }
            assert!(Instant::now() < deadline, "never got there: {view:?}");
            tokio::task::yield_now().await;
        }
    };
    let ((), view) = tokio::join!(shadows.clone().work(stop.clone()), wait);
    view
}

#[tokio::test]
async fn a_shadow_is_asked_what_was_asked_and_compared() {
    let plugin = load(&PARETO, PluginKind::Scoring).await;
    let (trials, objective) = ([trial(0.99), trial(0.5)], Objective::default());
    let answer = plugin
        .evaluate(&trials, &objective)
        .await
        .expect("verdicts");
    let mut swapped = answer.clone();
    swapped.swap(0, 1);
    let shadows = Shadows::default();
    let took = Duration::from_millis(7);
    let by = other("acme/scorer");
    let observe =
        |answer| shadows.observe(&by, Exchange::Scoring(&trials, &objective, answer), took);
    observe(&answer);
    assert!(
        shadows.live(plugin.kind(), plugin.identity()).is_none(),
        "no shadow yet"
    );
    shadows.begin(plugin.clone(), Beside::All);
    observe(&answer);
    observe(&swapped);
    let view = until(&shadows, &plugin, |view| view.answered == 2).await;
    assert_eq!((view.equal, view.different, view.dropped), (1, 1, 0));
    assert_eq!((view.active.calls, view.active.p95_us), (2, 7_000));
    assert!(view.shadow.p50_us > 0);
    assert!(matches!(
        view.last_difference,
        Some(report::Difference::Scoring(_))
    ));
    shadows.end(plugin.kind(), plugin.identity());
    assert!(shadows.live(plugin.kind(), plugin.identity()).is_none());
}

#[tokio::test]
async fn a_shadow_that_fails_three_times_in_a_row_is_left_alone() {
    let plugin = load(&EPSILON_GREEDY, PluginKind::Proposer).await;
    let context = ProposalContext {
        index: boathouse_types::IndexFacts {
            name: "papers".to_owned(),
            backend: boathouse_types::VectorBackend::Parquet,
            vectors: 1,
            dimension: 1,
            metric: boathouse_types::Metric::Cosine,
        },
        knobs: boathouse_tuning::TuneBounds::default().knobs(),
        objective: Objective::default(),
        trials: Vec::new(),
        // Cannot be put: there is no such trial.
        champion: Some(7),
        seed: 1,
    };
    let proposal = Proposal::Exhausted("tired".to_owned());
    let shadows = Shadows::default();
    shadows.begin(plugin.clone(), Beside::All);
    for _ in 0..4 {
        let exchange = Exchange::Proposal(&context, &proposal);
        shadows.observe(&other("acme/proposer"), exchange, Duration::ZERO);
    }
    let view = until(&shadows, &plugin, |view| view.stopped.is_some()).await;
    assert_eq!(
        view.failures.values().sum::<u64>(),
        3,
        "the fourth is not put"
    );
    let exchange = Exchange::Proposal(&context, &proposal);
    shadows.observe(&other("acme/proposer"), exchange, Duration::ZERO);
    let after = shadows
        .live(plugin.kind(), plugin.identity())
        .expect("a shadow");
    assert_eq!(
        (after.dropped, after.answered),
        (0, 0),
        "nor is it queued any more"
    );
    shadows.begin(plugin.clone(), Beside::All);
    let anew = shadows
        .live(plugin.kind(), plugin.identity())
        .expect("a shadow");
    assert_eq!(anew, LiveView::default(), "beginning anew forgives");
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_keeps_nobody_waiting() {
    let plugin = load(&PARETO, PluginKind::Scoring).await;
    let shadows = Shadows::default();
    shadows.begin(plugin.clone(), Beside::All);
    let (objective, by) = (Objective::default(), other("acme/scorer"));
    for _ in 0..QUEUE + 3 {
        shadows.observe(&by, Exchange::Scoring(&[], &objective, &[]), Duration::ZERO);
    }
    let view = until(&shadows, &plugin, |view| view.answered == QUEUE as u64).await;
    assert_eq!(view.dropped, 3);
}

#[tokio::test]
async fn a_wide_table_does_not_wait_many_times_over() {
    let plugin = load(&boathouse_bundle::PII, PluginKind::Pii).await;
    let shadows = Shadows::default();
    shadows.begin(plugin.clone(), Beside::All);
    let column = ColumnSample {
        values: vec![("x".repeat(40 << 20), 1)],
        ..ColumnSample::default()
    };
    let table = TableSample {
        name: "wide".to_owned(),
        columns: vec![column],
    };
    for _ in 0..2 {
        shadows.observe(
            &other("acme/pii"),
            Exchange::Detection(&table, &[]),
            Duration::ZERO,
        );
    }
    let view = shadows
        .live(plugin.kind(), plugin.identity())
        .expect("a shadow");
    assert_eq!(view.dropped, 1, "40 MiB have room once, not twice");
}

#[tokio::test]
async fn a_new_version_of_a_detector_is_held_against_the_old_one_only() {
    let plugin = load(&boathouse_bundle::PII, PluginKind::Pii).await;
    let shadows = Shadows::default();
    shadows.begin(plugin.clone(), Beside::Namesake);
    let table = TableSample::default();
    let observe = |by: &PluginRef| {
        shadows.observe(by, Exchange::Detection(&table, &[]), Duration::ZERO);
    };
    observe(&other("acme/pii"));
    observe(plugin.identity());
    observe(&other(&plugin.identity().name));
    let view = until(&shadows, &plugin, |view| view.answered > 0).await;
    assert_eq!((view.answered, view.dropped), (1, 0));
}
