//! What the host promises of an index whatever becomes of the client that asked.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use futures::poll;
use tower::ServiceExt as _;

use super::testing::Quiet;
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
