//! MySQL and MariaDB as a source, on a real MariaDB: types, snapshots, what goes wrong and what is refused.

mod faults;
mod hidden;
mod snapshot;
mod tls;
mod types;
mod window;
mod wrong;

use serde_json::{Value, json};

use crate::support::Host;

/// Ingests into dataset `d` and returns the ended task.
async fn ingest(host: &Host, dsn: &str, what: &Value) -> Value {
    let task = host.start("/ingest/mysql", &body(dsn, what)).await;
    host.ended(&task).await
}

/// As [`ingest`], which must succeed; what it did.
async fn ingested(host: &Host, dsn: &str, what: &Value) -> Value {
    let ended = ingest(host, dsn, what).await;
    assert_eq!(ended["state"], "succeeded", "{what}: {ended}");
    ended["result"].clone()
}

fn body(dsn: &str, what: &Value) -> Value {
    let mut body = json!({"dsn": dsn, "dataset": "d"});
    for (name, value) in what.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

/// All rows of dataset `d`.
async fn rows(host: &Host) -> Vec<Value> {
    let mut rows = Vec::new();
    loop {
        let path = format!("/datasets/d/rows?offset={}&limit=1000", rows.len());
        let page = host.read(&path).await;
        let page = page["rows"].as_array().expect("rows");
        if page.is_empty() {
            return rows;
        }
        rows.extend_from_slice(page);
    }
}

/// The columns of dataset `d`: `name type` or `name type?`.
async fn columns(host: &Host) -> Vec<String> {
    let view = host.read("/datasets/d").await;
    let columns = view["columns"].as_array().expect("columns").iter();
    let line = |column: &Value| {
        let text = |name: &str| column[name].as_str().unwrap_or_default().to_owned();
        let mark = if column["nullable"] == true { "?" } else { "" };
        format!("{} {}{mark}", text("name"), text("data_type"))
    };
    columns.map(line).collect()
}

/// Nothing of dataset `d` is to be seen.
async fn is_absent(host: &Host) {
    let (status, body) = host.get("/datasets/d").await;
    assert_eq!(status, 404, "{body}");
}
