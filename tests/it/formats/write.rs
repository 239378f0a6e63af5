//! Writes the files of this release with the program itself.
//!
//! Left out are the components of the plugins of the house, which are large and come with every binary.
//! Two texts are not as the program wrote them: the folder of the bucket `cold` and the name of the machine
//! in the journal.

use std::{fs, path::Path, sync::Arc};

use boathouse_storage::{AppendLog, BackendConfig, Bucket, BucketConfig};
use boathouse_types::{BucketName, ManualClock};
use serde_json::{Value, json};

use super::{COLD_ROOT, PLUGIN, copy, files};
use crate::{guests::raw::Raw, support::Host};

const NOTES: &str = "id,text,email\n\
    1,repairing an old bicycle,ada@example.org\n\
    2,growing tomatoes in a garden,bob@example.org\n\
    3,baking bread at home,cy@example.org\n\
    4,writing software that lasts,dee@example.org\n\
    5,the harbour and its ships,eve@example.org\n\
    6,a long walk in the hills,fay@example.org\n";
const MORE: &str = "id,text,email\n7,painting a small boat,gil@example.org\n8,letters to a friend,hal@example.org\n";
const COLD: &str = "id,text\nc1,soup for a cold day\nc2,bread that keeps\n";

pub(super) async fn write(release: &Path) {
    let folder = tempfile::tempdir().expect("folder");
    let (data, cold) = (folder.path().join("data"), folder.path().join("cold"));
    let host = Host::on(&data);
    datasets(&host, &cold).await;
    tuned(&host).await;
    let digest = plugin(&host).await;
    let wish = json!({"name": "fixture", "scopes": ["admin", "read", "tune", "search", "ingest"]});
    let (status, made) = host.post("/auth/keys", &wish).await;
    assert_eq!(status, 201, "{made}");
    let key = made["key"].as_str().expect("a key");
    let host = host.with_key(key);
    let is_even = |list: &Value| {
        let buckets = list["buckets"].as_array().expect("buckets");
        let mut mirrors = buckets
            .iter()
            .map(|bucket| &bucket["mirror"])
            .filter(|one| one.is_object());
        mirrors.all(|mirror| mirror["objects"] == 0 && mirror["comparing"] == false)
    };
    host.until("/storage/buckets", is_even).await;
    drop(host);
    compact(&data.join("primary"), "_lineage/notes").await;
    if release.exists() {
        fs::remove_dir_all(release).expect("removed");
    }
    for (bucket, name) in [
        (data.join("primary"), "primary"),
        (data.join("rescue"), "rescue"),
        (cold.clone(), "cold"),
    ] {
        keep(&bucket, &release.join(name), &cold, &digest);
    }
    fs::write(release.join("key.txt"), format!("{key}\n")).expect("written");
}

async fn datasets(host: &Host, cold: &Path) {
    host.ingest("notes", NOTES).await;
    let ended = host
        .upload("dataset=notes&format=csv&mode=append", MORE)
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    host.ingest("gone", "id\n1\n").await;
    let (status, _) = host.delete("/datasets/gone").await;
    assert_eq!(status, 204);
    let wish = json!({"name": "cold", "backend": "local", "root": cold});
    let (status, added) = host.post("/storage/buckets", &wish).await;
    assert_eq!(status, 201, "{added}");
    let ended = host
        .upload("dataset=cold-notes&format=csv&bucket=cold", COLD)
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
}

async fn tuned(host: &Host) {
    let body =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id"});
    host.done("/vectors/indexes", &body).await;
    let set = json!({"index": "notes", "queries": 2, "k": 2});
    host.done("/vectors/evalsets", &set).await;
    let mut trials = Vec::new();
    for ef_search in [40, 50, 60] {
        let report = host
            .done("/vectors/trials/notes", &json!({"ef_search": ef_search}))
            .await;
        trials.push(report["trial"]["id"].clone());
    }
    for trial in &trials[..2] {
        let wish = json!({"trial": trial, "reason": "to be kept", "force": true});
        let (status, promoted) = host.post("/vectors/promote/notes", &wish).await;
        assert_eq!(status, 200, "{promoted}");
    }
    let (status, back) = host.post("/vectors/rollback/notes", &json!({})).await;
    assert_eq!(status, 200, "{back}");
    let body =
        json!({"name": "fewer", "dataset": "notes", "text_column": "text", "id_column": "id"});
    host.done("/vectors/indexes", &body).await;
    let (status, deleted) = host.delete_documents("fewer", &json!({"ids": ["5"]})).await;
    assert_eq!((status, &deleted["deleted"]), (200, &json!(1)), "{deleted}");
}

/// A plugin that serves the index; gives its digest.
async fn plugin(host: &Host) -> String {
    let component = Raw::default().component();
    let (status, stored) = host
        .post_raw(&format!("{PLUGIN}/versions"), component)
        .await;
    assert_eq!(status, 201, "{stored}");
    let activate = format!("{PLUGIN}/versions/1.0.0/activate");
    let (status, switched) = host.post(&activate, &json!({"indexes": ["notes"]})).await;
    assert_eq!(status, 200, "{switched}");
    let version = host.read(&format!("{PLUGIN}/versions/1.0.0")).await;
    version["version"]["digest"]
        .as_str()
        .expect("a digest")
        .to_owned()
}

async fn compact(root: &Path, log: &str) {
    let config = BucketConfig {
        name: BucketName::primary(),
        backend: BackendConfig::Local {
            root: root.to_owned(),
        },
    };
    let bucket = Bucket::open(&config, &|_| None).expect("opened");
    let log = AppendLog::<Value>::new(bucket, log, Arc::new(ManualClock::at(1_800_000_000_000)));
    assert!(log.compact().await.expect("compacted") > 1);
}

/// Keeps the objects of a bucket, and of components this one.
fn keep(from: &Path, to: &Path, cold: &Path, digest: &str) {
    copy(from, to);
    for file in files(to) {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("text");
        if name.ends_with(".wasm") && name != format!("{digest}.wasm") {
            fs::remove_file(&file).expect("removed");
        } else if name.ends_with(".json") || name.ends_with(".jsonl") {
            let text = fs::read_to_string(&file).expect("text");
            let text = text.replace(cold.to_str().expect("text"), COLD_ROOT);
            fs::write(&file, without_machine(text)).expect("written");
        }
    }
}

/// The name of the machine in lines of the journal is nobody's business.
fn without_machine(text: String) -> String {
    const BEFORE: &str = "\"host\":\"";
    let mut parts = text.split(BEFORE);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('"').expect("a text ends");
        whole += &format!("{BEFORE}some machine\"{rest}");
    }
    whole
}
