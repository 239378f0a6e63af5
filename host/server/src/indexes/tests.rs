//! What the host promises of an index whatever becomes of the client that asked.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use boathouse_tuning::{EvalSet, EvalSetName, EvalSource, EvalSpec, Evaluation, TrialRequest};
use futures::poll;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    LiveIndex,
    search::{SearchRequest, search},
    testing::{Quiet, succeeded},
};
use crate::http;

#[tokio::test]
async fn an_index_is_deleted_to_the_end_though_the_client_hangs_up() {
    let host = Quiet::open().await;
    let rows = "id,text\n1,ships in the harbour\n2,baking bread\n";
    host.ingest("notes", "replace", rows).await;
    let index = host.index("notes").await;
    // The deletion takes the turn, and gets no further than this.
    let writing = index.writing().await;
    let request = Request::delete("/vectors/indexes/notes").body(Body::empty());
    let router = http::router(Arc::clone(&host.app));
    let mut request = Box::pin(router.oneshot(request.unwrap()));
    while index.take_turn().is_ok() {
        assert!(poll!(&mut request).is_pending());
        tokio::task::yield_now().await;
    }
    drop(request);
    drop(writing);
    host.app.tasks.stop().await;
    assert!(host.app.indexes.get("notes").is_err(), "it serves on");
    let left = index.bucket().list("indexes/notes/vectors").await.unwrap();
    assert_eq!(left, []);
}

#[tokio::test]
async fn copies_of_an_earlier_index_of_a_name_are_gone_once_one_is_made_anew() {
    let host = Quiet::open().await;
    let rescue = host.app.bucket_table.rescue();
    let earlier = "primary/indexes/notes/manifest/00000000000000000004.json";
    rescue.put(earlier, "{}".into()).await.unwrap();
    let rows = "id,text\n1,ships in the harbour\n2,baking bread\n";
    host.ingest("notes", "replace", rows).await;
    host.index("notes").await;
    // A restoration would put it on top of the new one.
    assert!(!rescue.exists(earlier).await.unwrap());
}

/// Distances that a trial of what serves computes for a query from outside.
async fn distances_of_trial(index: &LiveIndex, vector: &[f32], k: u32) -> f64 {
    let spec = EvalSpec {
        k,
        source: EvalSource::Given(vec![vector.to_vec()]),
        ..EvalSpec::default()
    };
    let (name, cancel) = (EvalSetName::new("given").unwrap(), CancellationToken::new());
    let set = EvalSet::make(name, &index.data, spec, &cancel).await;
    let evaluation = Evaluation::prepare(&index.data, set.unwrap(), &cancel).await;
    let request = TrialRequest {
        config: index.serving().served.config,
        champion: None,
        note: None,
        proposed_by: None,
        reason: None,
        asked: None,
        bar: None,
        derive: false,
    };
    let evaluation = evaluation.unwrap();
    let trial = index.tuner.trial(&evaluation, request, &cancel).await;
    let metrics = trial.unwrap().trial.metrics;
    metrics.distances_per_query.unwrap()
}

#[tokio::test]
async fn a_trial_on_pieces_looks_at_as_much_as_the_first_request_of_a_search() {
    let host = Quiet::open().await;
    let words = [
        "ships", "bread", "bicycle", "garden", "whales", "glacier", "violin", "taxes",
    ];
    let mut csv = "id,text\n".to_owned();
    for document in 0..120 {
        csv += &format!("{document},");
        for piece in 0..6 {
            let (one, other) = ((document + piece) % 8, (document / 8 + 3 * piece) % 8);
            csv += &format!("the {} and {} of {document} ", words[one], words[other]).repeat(2);
        }
        csv += "\n";
    }
    host.ingest("notes", "replace", csv).await;
    let spec = json!({
        "name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id",
        "chunk": {"characters": 60, "overlap": 0},
        "config": {"m": 4, "ef_construction": 40, "ef_search": 12},
    });
    succeeded(&host.built(&spec).await);
    let index = host.app.indexes.get("notes").unwrap();
    let vectors = index.vectors();
    assert!(vectors > 3 * index.documents(), "{vectors}");
    let mut alike = 0;
    for word in words {
        let embedder = host.app.models.embedders.built_in();
        let vector = embedder.embed(&[word]).unwrap().remove(0);
        let in_trial = distances_of_trial(&index, &vector, 8).await;
        let request = SearchRequest {
            text: None,
            vector: Some(vector),
            k: 8,
            ef_search: None,
            with: Some(Vec::new()),
            filter: None,
        };
        let answer = search(&host.app, &index, request).await.unwrap();
        assert_eq!(answer.hits.len(), 8);
        let in_search = answer.distances.unwrap() as f64;
        assert!(in_trial < vectors as f64, "the graph is walked");
        assert!(in_trial <= in_search, "{word}: {in_trial}, {in_search}");
        // The others had to ask again, as sixteen vectors were of fewer than eight documents.
        alike += usize::from(in_trial == in_search);
    }
    assert!(alike > 0, "no search was content with its first request");
}
