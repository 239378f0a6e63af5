//! Everything on real S3: SeaweedFS as a process of its own, which `support/s3.rs` starts.
//!
//! Here is the main job on a host that keeps nothing on its own disk. `s3/store.rs` is what the storage room
//! promises, `s3/hosts.rs` two hosts on one bucket, `s3/crash.rs` hosts and servers that are killed, `s3/refused.rs`
//! what cannot be used and what is said of it, `s3/moves.rs` indexes that move to S3 and back.

mod crash;
mod hosts;
mod moves;
mod refused;
mod store;

use crate::{
    chain::{check_chain, check_deleted_index, check_versions},
    lance::check_lance,
    restart::check_restart,
    support::s3::Space,
};

#[tokio::test]
async fn the_whole_chain_on_s3_and_again_after_a_restart() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let host = space.host();
    check_chain(&host).await;
    check_restart(host).await;
    let objects = space.bucket("primary").list("").await.expect("a listing");
    for folder in [
        "datasets/requests/data/",
        "datasets/requests/manifest/",
        "indexes/passages/vectors/",
        "indexes/passages/graphs/",
        "indexes/passages/manifest/",
        "_hnsw_trials/passages/",
        "_promotions/passages/",
        "_evalsets/passages/",
        "_lineage/requests/",
        "plugins/blobs/",
    ] {
        let there = objects.iter().any(|object| object.path.starts_with(folder));
        assert!(there, "nothing of {folder} is on S3");
    }
}

#[tokio::test]
async fn lance_tables_on_s3_by_way_of_the_bucket() {
    let Some(space) = Space::shared().await else {
        return;
    };
    check_lance(space.host()).await;
}

#[tokio::test]
async fn versions_and_deletions_on_s3() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let host = space.host();
    check_versions(&host).await;
    check_deleted_index(host).await;
}
