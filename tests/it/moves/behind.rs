//! An index whose trail leads to a bucket that was removed: it is named, and its name can be had again.

use serde_json::json;

use super::{begin, query};
use crate::{
    buckets::{WATCHFUL, add, ready, until},
    support::{Host, check_problem, sentences},
};

async fn check_named(host: &Host) {
    let (status, readiness) = host.get("/readyz").await;
    let components = readiness["components"].as_array().expect("components");
    let index = components.iter().find(|one| one["name"] == "index notes");
    let detail = index.expect("named")["detail"].as_str().expect("text");
    assert_eq!(status, 503, "{readiness}");
    assert!(
        detail.contains("`near`, which is not registered"),
        "{detail}"
    );
    let list = host.read("/vectors/indexes").await;
    assert_eq!(list["indexes"], json!([]));
    let words = ["`near`", "delete the index"];
    check_problem(
        host.get("/vectors/indexes/notes").await,
        404,
        "unknown_index",
        &words,
    );
}

#[tokio::test]
async fn an_index_behind_removed_buckets_is_named_and_can_be_deleted() {
    let (host, places) = (
        Host::configured(WATCHFUL),
        tempfile::tempdir().expect("folder"),
    );
    let far = places.path().join("far");
    add(&host, "near", &places.path().join("near")).await;
    add(&host, "far", &far).await;
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    for bucket in ["near", "far"] {
        let task = begin(&host, bucket).await;
        assert_eq!(host.ended(&task).await["state"], "succeeded");
    }
    assert_eq!(host.delete("/storage/buckets/near").await.0, 204);
    std::fs::rename(&far, places.path().join("aside")).expect("moved away");
    until(&host, "far", "unhealthy").await;
    // From memory, until its bucket is given up.
    host.search("notes", &query()).await;
    let removed = host.delete("/storage/buckets/far?unseen=true").await;
    assert_eq!(removed.0, 204, "{}", removed.1);
    check_named(&host).await;

    let host = host.kill_and_restart();
    check_named(&host).await;
    let taken = json!({"name": "notes", "dataset": "notes", "text_column": "text"});
    let taken = host.post("/vectors/indexes", &taken).await;
    check_problem(taken, 409, "index_exists", &["delete it"]);
    let deleted = host.delete("/vectors/indexes/notes").await;
    assert_eq!(deleted.0, 204, "{}", deleted.1);
    ready(&host).await;
    host.index("notes", "notes", "text").await;
    let host = host.kill_and_restart();
    ready(&host).await;
    host.search("notes", &query()).await;
}
