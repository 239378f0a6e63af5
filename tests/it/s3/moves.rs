//! Between this machine and S3: an index that moves there and back, and a lost primary bucket that is rebuilt
//! from a rescue bucket on S3.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures::future::join;
use serde_json::{Value, json};

use crate::support::{Host, ids, run, s3::Space, sentences};

/// What is kept of the tuning of an index, and must be the same wherever it lives.
const HISTORY: [&str; 3] = [
    "/vectors/trials/notes",
    "/vectors/promotions/notes",
    "/vectors/evalsets?index=notes",
];

/// A host that has tuned an index and promoted a trial.
async fn tuned(host: &Host) {
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let (status, report) = host
        .post("/vectors/autotune/notes", &json!({"max_trials": 3}))
        .await;
    assert_eq!(status, 200, "{report}");
    let trial = json!({"trial": report["trials"][1]["id"], "force": true});
    let (status, promoted) = host.post("/vectors/promote/notes", &trial).await;
    assert_eq!(status, 200, "{promoted}");
}

async fn history(host: &Host) -> Vec<Value> {
    let mut all = Vec::new();
    for path in HISTORY {
        all.push(host.read(path).await);
    }
    all
}

fn query() -> Value {
    json!({"text": "ships in the harbour", "k": 5})
}

/// Moves the index while searches run, each of which must give these hits.
async fn moved(host: &Host, to: &str, hits: &[String]) {
    let (over, searches) = (AtomicBool::new(false), AtomicUsize::new(0));
    let searching = async {
        while !over.load(Ordering::Relaxed) {
            assert_eq!(ids(&host.search("notes", &query()).await), hits);
            searches.fetch_add(1, Ordering::Relaxed);
        }
    };
    let moving = async {
        let request = reqwest::Client::new().patch(format!("{}/vectors/indexes/notes", host.url));
        let answer = request.json(&json!({"bucket": to})).send().await;
        let answer = answer.expect("an answer");
        let status = answer.status();
        let task: Value = answer.json().await.expect("a task");
        assert_eq!(status, 202, "{task}");
        let ended = host.ended(&task).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        over.store(true, Ordering::Relaxed);
    };
    join(searching, moving).await;
    assert!(searches.into_inner() > 0, "nobody searched meanwhile");
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(index["bucket"], to, "{index}");
}

/// Objects of the index in a folder, its manifests left out.
fn objects_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().contains("/manifest/") {
                found.push(path.display().to_string());
            }
        }
    }
    found.retain(|path| path.contains("/notes/") && !path.contains("/datasets/"));
    found.retain(|path| !path.contains("/_lineage/"));
    found
}

#[tokio::test]
async fn an_index_moves_to_s3_and_back_while_it_is_searched() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let cloud = space.section("[[buckets]]\nname = \"cloud\"", "cloud");
    let host = Host::configured(&cloud);
    tuned(&host).await;
    let (before, hits) = (
        history(&host).await,
        ids(&host.search("notes", &query()).await),
    );
    moved(&host, "cloud", &hits).await;
    assert_eq!(history(&host).await, before);
    let host = host.kill_and_restart();
    assert_eq!(history(&host).await, before);
    assert_eq!(ids(&host.search("notes", &query()).await), hits);
    let left = objects_below(&host.data.join("primary"));
    assert!(left.is_empty(), "left at the old home: {left:?}");
    let there = space.bucket("cloud").list("_hnsw_trials/notes").await;
    assert!(!there.expect("a listing").is_empty());

    host.done("/vectors/trials/notes", &json!({"ef_search": 77}))
        .await;
    let before = history(&host).await;
    moved(&host, "primary", &hits).await;
    let host = host.kill_and_restart();
    assert_eq!(history(&host).await, before);
    assert_eq!(ids(&host.search("notes", &query()).await), hits);
    let left = space.bucket("cloud").list("").await.expect("a listing");
    let kept = |path: &str| path.contains("/manifest/") || path.starts_with("storage/");
    let left: Vec<_> = left.iter().filter(|object| !kept(&object.path)).collect();
    assert!(left.is_empty(), "left on S3: {left:?}");
}

/// Waits until everything of the primary bucket has its copy.
async fn mirrored(host: &Host) {
    host.until("/storage/buckets", |list| {
        let buckets = list["buckets"].as_array().expect("buckets");
        let primary = buckets.iter().find(|bucket| bucket["name"] == "primary");
        let mirror = &primary.expect("primary")["mirror"];
        mirror["objects"] == 0 && mirror["comparing"] == false
    })
    .await;
}

#[tokio::test]
async fn a_lost_primary_comes_back_from_a_rescue_bucket_on_s3() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let rescue = space.section("[storage.rescue]", "rescue");
    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("boathouse.toml");
    fs::write(
        &config,
        rescue + "[storage.mirror]\nkeep = \"everything\"\n",
    )
    .expect("written");
    let host = Host::on(folder.path());
    tuned(&host).await;
    let (before, answer) = (history(&host).await, host.search("notes", &query()).await);
    let rows = host.read("/datasets/notes/rows").await;
    mirrored(&host).await;
    drop(host);
    fs::remove_dir_all(folder.path().join("primary")).expect("removed");

    let at = |path: &Path| path.display().to_string();
    let (data, config) = (at(folder.path()), at(&config));
    let place = ["--data", &data, "--config", &config];
    let refused = run(&[&["serve", "--port", "0"], &place[..]].concat());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains("boathouse restore"), "{said}");
    let restored = run(&[&["restore"], &place[..]].concat());
    assert!(restored.status.success(), "{restored:?}");

    let host = Host::on(folder.path());
    assert_eq!(history(&host).await, before);
    assert_eq!(host.read("/datasets/notes/rows").await, rows);
    assert_eq!(ids(&host.search("notes", &query()).await), ids(&answer));
}
