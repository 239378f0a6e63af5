//! Hours of an index of which nothing is left: it waits, says why, and has its turn again when rows come.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use serde_json::json;
use tower::ServiceExt as _;

use super::{
    super::{events::Happened, tuning::later, view},
    world::{Day, MINUTE},
};
use crate::http;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_without_documents_waits_and_says_why() {
    let mut day = Day::begin().await;
    day.without_peaks();
    day.enqueue().await;
    delete_everything(&day).await;
    let name = day.name();
    let entry = view::entry(&day.app, &name).await.expect("an entry");
    assert!(entry.tuning.contains("nothing to measure"), "{entry:?}");
    let tried = |day: &Day| {
        let events = [Happened::Woke, Happened::Proposed, Happened::Failed];
        events.map(|event| day.count(event))
    };
    for _ in 0..20 {
        let latest = later(day.now(), MINUTE);
        day.pass(latest).await;
    }
    assert_eq!(tried(&day), [0; 3], "nothing is tried");
    day.append(50).await;
    let latest = later(day.now(), 60 * MINUTE);
    while day.count(Happened::Proposed) == 0 {
        assert!(day.now() < latest, "it never has its turn");
        day.pass(latest).await;
    }
}

async fn delete_everything(day: &Day) {
    let request = Request::delete("/vectors/indexes/notes/documents")
        .header("content-type", "application/json")
        .body(Body::from(json!({"filter": "id <> ''"}).to_string()));
    let router = http::router(Arc::clone(&day.app));
    let answer = router.oneshot(request.expect("a request")).await;
    let status = answer.expect("an answer").status();
    assert!(status.is_success(), "{status}");
    assert_eq!(day.index().vectors(), 0);
}
