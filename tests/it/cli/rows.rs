//! What brings rows again and again: `boathouse job` and `boathouse watch`.

use serde_json::{Value, json};

use super::{check_refused, text};
use crate::{
    support::{Host, db, run},
    watcher::Watched,
};

/// What a command prints that must succeed.
#[track_caller]
fn printed(host: &Host, arguments: &[&str]) -> String {
    let done = run(&[&["--url", host.url.as_str()], arguments].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    text(&done.stdout)
}

fn json_of(host: &Host, arguments: &[&str]) -> Value {
    let shown = printed(host, &[&["--json"], arguments].concat());
    serde_json::from_str(&shown).expect("JSON")
}

#[tokio::test]
async fn a_watched_folder_is_listed_and_shown() {
    let world = Watched::new("");
    world.put("a.csv", "id\n1\n");
    world.put("b.parquet", "id\n2\n");
    let both = |folder: &Value| folder["ingested"] == 1 && folder["failed"] == 1;
    world.until(both).await;
    let folder = world.folder();
    let folder = folder.to_str().expect("a path");
    let list = printed(&world.host, &["watch", "list"]);
    for words in [folder, "notes", "watching"] {
        assert!(list.contains(words), "{words}: {list}");
    }
    let shown = printed(&world.host, &["watch", "show", folder]);
    // A text that is called Parquet is no table in silence.
    for words in ["ingested  1", "failed  1", "called Parquet"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let all = json_of(&world.host, &["watch", "list"]);
    assert_eq!(all["folders"].as_array().map(Vec::len), Some(1), "{all}");
    let one = json_of(&world.host, &["watch", "show", folder]);
    assert_eq!(one["folder"], folder, "{one}");
    let missing = run(&["--url", &world.host.url, "watch", "show", "/nowhere"]);
    check_refused(&missing, 1, &["`/nowhere`", "boathouse watch list"]);
}

#[tokio::test]
async fn jobs_are_listed_and_shown() {
    let host = Host::fresh();
    assert_eq!(json_of(&host, &["job", "list"]), json!({"jobs": []}));
    let missing = run(&["--url", &host.url, "job", "show", "nightly"]);
    check_refused(&missing, 1, &["`nightly`", "boathouse job list"]);
    let sql = "CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t VALUES (1), (2);";
    let Some(database) = db::postgres_with(sql).await else {
        return;
    };
    for dataset in ["a", "b"] {
        let job = json!({"name": "nightly", "column": "id"});
        let body = json!({"dsn": database.dsn(), "table": "t", "dataset": dataset, "job": job});
        host.done("/ingest/db", &body).await;
    }
    let list = printed(&host, &["job", "list"]);
    assert_eq!(list.matches("nightly").count(), 2, "{list}");
    let shown = printed(&host, &["job", "show", "nightly", "--dataset", "b"]);
    for words in [
        "job  nightly",
        "dataset  b",
        "follows  id",
        "last version  1",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let of_b = json_of(&host, &["job", "list", "--dataset", "b"]);
    assert_eq!(of_b["jobs"][0]["dataset"], "b", "{of_b}");
    assert_eq!(of_b["jobs"].as_array().map(Vec::len), Some(1), "{of_b}");
}
