//! What served before stays at hand, and so does what is known of the searches of an index.

use boathouse_tuning::PromotionKind;
use boathouse_types::{IndexConfig, Timestamp};

use super::*;
use crate::indexes::testing::{build, memory, objects_in, opened};

fn config(m: u32) -> IndexConfig {
    IndexConfig {
        m,
        ef_construction: 10,
        ..IndexConfig::default()
    }
}

fn promotion(served: Served) -> Promotion {
    Promotion {
        number: None,
        event: PromotionKind::Promote,
        served,
        replaced: None,
        at: Timestamp::from_millis(0),
        by: None,
        reason: None,
        scored_by: None,
        evidence: None,
        forced: true,
    }
}

/// Serves another configuration.
async fn serve(index: &LiveIndex, config: IndexConfig) {
    let served = Served::of_config(config);
    let cancel = CancellationToken::new();
    let serving = index.ready(served.clone(), &cancel).await.unwrap();
    index.serve(serving, &promotion(served));
}

#[tokio::test]
async fn the_way_back_neither_builds_nor_reads_a_graph() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let index = opened(&[&bucket]).await.get("papers").unwrap();
    let (before, cancel) = (index.serving(), CancellationToken::new());
    serve(&index, config(4)).await;
    // Trials push it out of the memory of builds, and somebody sweeps the bucket.
    for m in 5..12 {
        let built = index.tuner.builds();
        built
            .obtain(&index.data, &config(m), &cancel)
            .await
            .unwrap();
    }
    index.tuner.builds().prune(&[]).await.unwrap();
    let graphs = objects_in(&bucket).await;
    assert!(
        !graphs.iter().any(|path| path.ends_with(".graph")),
        "{graphs:?}"
    );

    let back = index.ready(before.served.clone(), &cancel).await.unwrap();
    assert!(Arc::ptr_eq(&back.graph, &before.graph));
    assert_eq!(index.view().serving.config.m, 4, "nothing is swapped yet");
    index.serve(back, &promotion(before.served.clone()));
    assert_eq!(index.view().serving.graph_origin, "memory");
    // And forth again.
    let forth = index
        .ready(Served::of_config(config(4)), &cancel)
        .await
        .unwrap();
    assert_eq!((forth.graph.m(), forth.origin), (4, "memory"));
}

#[tokio::test]
async fn one_graph_serves_every_ef_search_without_being_looked_for() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let index = opened(&[&bucket]).await.get("papers").unwrap();
    let (before, cancel) = (index.serving(), CancellationToken::new());
    let wider = IndexConfig {
        ef_search: 90,
        ..before.config()
    };
    let ready = index
        .ready(Served::of_config(wider), &cancel)
        .await
        .unwrap();
    assert!(Arc::ptr_eq(&ready.graph, &before.graph));
    assert_eq!(ready.served.config, wider);
    let stopped = CancellationToken::new();
    stopped.cancel();
    let other = index.ready(Served::of_config(config(6)), &stopped).await;
    assert_eq!(
        other.err().map(|problem| problem.code).as_deref(),
        Some("cancelled")
    );
}
