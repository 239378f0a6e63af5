//! An index that an older host left: `tests/fixtures/older` says what is older about it.

use std::{fs, path::Path};

use serde_json::json;

use super::{begin, query};
use crate::support::{Host, ids};

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("fixture") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

#[tokio::test]
async fn an_index_from_before_buckets_is_served_tuned_promoted_and_moved() {
    let data = tempfile::tempdir().expect("folder");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/older/primary");
    copy(&fixture, &data.path().join("primary"));
    let root = data.path().with_extension("cold");
    let config = format!("[[buckets]]\nname = \"cold\"\nbackend = \"local\"\nroot = {root:?}\n");
    fs::write(data.path().join("boathouse.toml"), config).expect("configuration");
    let host = Host::on(data.path());

    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(
        (&index["bucket"], &index["vectors"]),
        (&json!("primary"), &json!(20))
    );
    assert_eq!(index["vector_backend"], "parquet");
    assert_eq!(
        index["serving"]["config"],
        json!({"m": 16, "ef_construction": 80, "ef_search": 30, "seed": 0})
    );
    let hits = ids(&host.search("notes", &query()).await);
    assert!(hits[0].starts_with("s0-"), "{hits:?}");

    let journal = host.read("/vectors/trials/notes").await;
    assert_eq!(
        (&journal["total"], &journal["malformed"]),
        (&json!(3), &json!(1))
    );
    let old = journal["trials"][0]["id"].as_str().expect("id").to_owned();
    assert!(
        old.starts_with("old-") && journal["trials"][1]["id"] == "mine",
        "{journal}"
    );
    host.done("/vectors/trials/notes", &json!({"ef_search": 40}))
        .await;
    let (status, promoted) = host
        .post(
            "/vectors/promote/notes",
            &json!({"trial": old, "force": true, "below_floor": true}),
        )
        .await;
    assert_eq!(status, 200, "{promoted}");

    let task = begin(&host, "cold").await;
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let before = host.read("/vectors/trials/notes").await;
    assert_eq!(
        (&before["total"], &before["malformed"]),
        (&json!(4), &json!(1))
    );
    let host = host.kill_and_restart();
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(
        (&index["bucket"], &index["serving"]["trial"]),
        (&json!("cold"), &json!(old))
    );
    assert_eq!(host.read("/vectors/trials/notes").await, before);
    assert_eq!(ids(&host.search("notes", &query()).await), hits);
    drop(host);
    fs::remove_dir_all(root).expect("removed");
}
