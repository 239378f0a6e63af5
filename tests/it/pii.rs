//! Personal data by policy: what is masked, hashed, dropped and refused, and that no planted value is to be
//! found anywhere afterwards.

mod nobody;
mod planted;
mod policies;
mod silence;

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Host, LOG};

/// A key of hashes, and another.
const KEY: &str = "a key that is long enough";
const OTHER_KEY: &str = "another key that is long enough";

/// What a host does with personal data by default in these tests.
const KINDS: &str = "email = \"hash\"\nphone = \"mask:4\"\n";

/// A folder whose host keeps its log there, at the highest level, and hashes.
fn folder(kinds: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let config = format!(
        "[telemetry]\nlog = \"trace\"\n[ingest.pii]\nhash_key = \"file:{path}/pii.key\"\n[ingest.pii.kinds]\n{kinds}"
    );
    std::fs::write(folder.path().join("boathouse.toml"), config).expect("written");
    std::fs::write(folder.path().join(LOG), "").expect("written");
    set_key(folder.path(), KEY);
    folder
}

fn set_key(folder: &Path, key: &str) {
    std::fs::write(folder.join("pii.key"), key).expect("written");
}

/// Sets the policy of a dataset, which must be taken.
async fn set_policy(host: &Host, dataset: &str, policy: &Value) -> Value {
    let (status, view) = host
        .put(&format!("/datasets/{dataset}/pii/policy"), policy)
        .await;
    assert_eq!(status, 200, "{view}");
    view
}

/// An upload of CSV that must be taken in.
async fn append(host: &Host, dataset: &str, csv: String) -> Value {
    let parameters = format!("dataset={dataset}&format=csv&mode=append");
    let ended = host.upload(&parameters, csv).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    ended["result"].clone()
}

/// What was done to columns: `column action who`, a line each.
fn treatments(view: &Value) -> Vec<String> {
    let line = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        format!(
            "{} {} {}",
            text("column"),
            text("action"),
            text("decided_by")
        )
    };
    let all = view["treatments"].as_array().expect("treatments");
    all.iter().map(line).collect()
}

/// All rows of a dataset.
async fn rows(host: &Host, dataset: &str) -> Vec<Value> {
    let page = host
        .read(&format!("/datasets/{dataset}/rows?limit=1000"))
        .await;
    page["rows"].as_array().expect("rows").clone()
}

/// `{"kind": ...}` for a column of a policy.
fn holds(kind: &str) -> Value {
    json!({"kind": kind})
}
