//! The main job over HTTP: ingest, flag, embed, index, evaluate, tune, promote, search.

use serde_json::{Value, json};

use crate::support::{Host, ids, passages, sentences};

/// Kinds found in a column.
fn kinds(report: &Value, column: &str) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings");
    let of_column = findings
        .iter()
        .filter(|finding| finding["column"] == column);
    of_column
        .map(|finding| finding["kind"].as_str().expect("kind").to_owned())
        .collect()
}

#[tokio::test]
async fn the_whole_chain_on_the_demo_table() {
    check_chain(&Host::fresh()).await;
}

/// The main job, on a host wherever its buckets are.
pub(crate) async fn check_chain(host: &Host) {
    let report = host.ingest("requests", passages()).await;
    assert_eq!(report["rows"], 3028);
    check_findings(&report);
    let lineage = host.read("/lineage/requests").await;
    let events: Vec<_> = lineage["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["eventType"].clone())
        .collect();
    assert_eq!(events, ["START", "COMPLETE"]);

    let body = json!({"name": "passages", "dataset": "requests", "text_column": "passage", "id_column": "request_id"});
    let index = host.done("/vectors/indexes", &body).await;
    assert_eq!(
        (&index["vectors"], &index["bucket"]),
        (&json!(3028), &json!("primary"))
    );
    assert_eq!(
        index["serving"]["config"],
        json!({"m": 16, "ef_construction": 80, "ef_search": 30, "seed": 0})
    );
    let set = host
        .done(
            "/vectors/evalsets",
            &json!({"index": "passages", "queries": 200}),
        )
        .await;
    assert_eq!((&set["queries"], &set["k"]), (&json!(200), &json!(10)));

    let (status, report) = host
        .post("/vectors/autotune/passages", &json!({"max_trials": 4}))
        .await;
    assert_eq!(status, 200, "{report}");
    let trials = report["trials"].as_array().expect("trials");
    assert_eq!(trials.len(), 4);
    check_trials(trials);

    let (status, best) = host
        .get("/vectors/trials/passages/best?metric=pareto")
        .await;
    assert_eq!(
        (status, &best["scored_by"]["name"]),
        (200, &json!("boathouse/pareto")),
        "{best}"
    );
    promote_and_roll_back(host, &trials[1]).await;

    let answer = host.search("passages", &json!({"text": "affordable health insurance for every family", "k": 5, "with": ["passage", "year"]})).await;
    let hits = answer["hits"].as_array().expect("hits");
    assert_eq!(hits.len(), 5);
    let about = |hit: &&Value| {
        let passage = hit["columns"]["passage"]
            .as_str()
            .expect("passage")
            .to_lowercase();
        passage.contains("health") || passage.contains("insurance")
    };
    assert!(hits.iter().filter(about).count() >= 3, "{answer}");
    let plugins = host.read("/plugins").await;
    let plugins = plugins["plugins"].as_array().expect("plugins");
    for plugin in plugins.iter().filter(|plugin| plugin["state"] == "active") {
        assert!(
            plugin["stats"]["calls"].as_u64() > Some(0),
            "not called: {plugin}"
        );
    }
}

/// The invented readers' data is found, and nothing else of theirs.
fn check_findings(report: &Value) {
    assert_eq!(kinds(report, "reader_email"), ["email"]);
    assert_eq!(kinds(report, "reader_name"), ["person_name"]);
    assert_eq!(kinds(report, "reader_phone"), ["phone"]);
    assert_eq!(kinds(report, "card_number"), ["credit_card"]);
    for harmless in [
        "request_id",
        "email_verified",
        "fee",
        "year",
        "party",
        "passage",
        "requested_on",
    ] {
        assert_eq!(kinds(report, harmless), Vec::<String>::new(), "{harmless}");
    }
}

/// Every figure of a trial is there and makes sense; one build serves every `ef_search`.
fn check_trials(trials: &[Value]) {
    assert_eq!(
        trials[0]["proposed_by"],
        Value::Null,
        "the baseline comes first"
    );
    for trial in trials {
        let metrics = &trial["metrics"];
        for positive in [
            "search_latency_p50_us",
            "search_latency_p95_us",
            "search_latency_p99_us",
            "memory_bytes",
            "brute_force_latency_us",
            "distances_per_query",
        ] {
            assert!(
                metrics[positive].as_f64() > Some(0.0),
                "{positive}: {trial}"
            );
        }
        assert_eq!(
            (&metrics["vectors"], &metrics["eval_queries"]),
            (&json!(3028), &json!(200))
        );
        let (low, recall, high) = (
            &metrics["recall_interval"]["low"],
            &metrics["recall_at_k"],
            &metrics["recall_interval"]["high"],
        );
        assert!(
            low.as_f64() <= recall.as_f64() && recall.as_f64() <= high.as_f64(),
            "{trial}"
        );
        assert_eq!(trial["scored_by"]["name"], "boathouse/pareto");
    }
    for trial in &trials[1..] {
        assert_eq!(trial["proposed_by"]["name"], "boathouse/epsilon-greedy");
    }
    let configs: Vec<_> = trials
        .iter()
        .map(|trial| trial["config"].to_string())
        .collect();
    let unique: std::collections::BTreeSet<_> = configs.iter().collect();
    assert_eq!(
        unique.len(),
        configs.len(),
        "a configuration was tried twice"
    );
}

async fn promote_and_roll_back(host: &Host, trial: &Value) {
    // Whether it deserves it is not the question here.
    let wish = json!({"trial": trial["id"], "force": true, "below_floor": true});
    let (status, promoted) = host.post("/vectors/promote/passages", &wish).await;
    assert_eq!(status, 200, "{promoted}");
    assert_eq!(promoted["serving"]["config"], trial["config"]);
    let answer = host
        .search("passages", &json!({"text": "gold and silver coin"}))
        .await;
    assert_eq!(answer["config"], trial["config"]);
    let (status, back) = host.post("/vectors/rollback/passages", &json!({})).await;
    assert_eq!(
        (status, &back["serving"]["config"]["ef_search"]),
        (200, &json!(30)),
        "{back}"
    );
    let (status, _) = host.post("/vectors/promote/passages", &wish).await;
    assert_eq!(status, 200);
    let history = host.read("/vectors/promotions/passages").await;
    assert_eq!(history["promotions"].as_array().map(Vec::len), Some(3));
}

/// With an `ef_search` that covers the index, the graph answers exactly; so does the count.
#[tokio::test]
async fn a_search_by_vector_or_text_gives_k_sorted_unique_hits() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    let body =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id"});
    host.done("/vectors/indexes", &body).await;
    let answer = host
        .search(
            "notes",
            &json!({"text": "bread from the oven", "k": 6, "ef_search": 30}),
        )
        .await;
    let found = ids(&answer);
    assert_eq!(found.len(), 6);
    assert!(
        found.iter().all(|id| id.starts_with("s1-")),
        "not about bread: {found:?}"
    );
    let distances: Vec<f64> = answer["hits"]
        .as_array()
        .expect("hits")
        .iter()
        .map(|hit| hit["distance"].as_f64().expect("distance"))
        .collect();
    assert!(distances.is_sorted(), "{distances:?}");
    let all = host
        .search("notes", &json!({"text": "bread", "k": 30}))
        .await;
    let unique: std::collections::BTreeSet<_> = ids(&all).into_iter().collect();
    assert_eq!(unique.len(), 30);
}

#[tokio::test]
async fn json_and_parquet_come_in_like_csv() {
    let host = Host::fresh();
    let lines = "{\"id\": 1, \"text\": \"one\", \"tags\": [\"a\"]}\n{\"id\": 2, \"text\": \"two\", \"tags\": []}\n";
    let ended = host.upload("dataset=lines&format=jsonl", lines).await;
    assert_eq!(ended["result"]["rows"], 2, "{ended}");
    let ended = host
        .upload(
            "dataset=array&format=json",
            "[{\"id\": 1.5}, {\"id\": null}]",
        )
        .await;
    assert_eq!(ended["result"]["rows"], 2, "{ended}");
    let rows = host.read("/datasets/array/rows").await;
    assert_eq!(rows["rows"], json!([{"id": 1.5}, {"id": null}]));
    // A dataset's own file is a Parquet file like any other.
    let folder = host.data.join("primary/datasets/lines/data");
    let file = std::fs::read_dir(folder)
        .expect("data")
        .next()
        .expect("a file")
        .expect("entry")
        .path();
    let ended = host
        .upload(
            "dataset=copy&format=parquet",
            std::fs::read(file).expect("bytes"),
        )
        .await;
    assert_eq!(ended["result"]["rows"], 2, "{ended}");
    let (copy, lines) = (
        host.read("/datasets/copy/rows").await,
        host.read("/datasets/lines/rows").await,
    );
    assert_eq!(copy["rows"], lines["rows"]);
}

#[tokio::test]
async fn appended_rows_make_a_new_version_and_old_ones_stay_readable() {
    check_versions(&Host::fresh()).await;
}

/// Two versions of a table, each read as it was.
pub(crate) async fn check_versions(host: &Host) {
    host.ingest("log", "a,b\n1,x\n").await;
    let ended = host
        .upload("dataset=log&format=csv&mode=append", "a,b\n2,y\n")
        .await;
    assert_eq!(
        (&ended["result"]["version"], &ended["result"]["rows"]),
        (&json!(2), &json!(2)),
        "{ended}"
    );
    assert_eq!(
        host.read("/datasets/log/rows").await["rows"],
        json!([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])
    );
    assert_eq!(
        host.read("/datasets/log/rows?version=1").await["rows"],
        json!([{"a": 1, "b": "x"}])
    );
}

/// Everything of an index lies in its home bucket and comes back from there; a bucket that cannot be
/// used is reported and keeps nothing else from serving.
#[tokio::test]
async fn an_index_lives_in_the_bucket_it_was_given() {
    let folder = tempfile::tempdir().expect("folder");
    let archive = folder.path().join("archive");
    let broken = folder.path().join("boathouse.toml/no-folder");
    let bucket = |name: &str, root: &std::path::Path| {
        format!("[[buckets]]\nname = \"{name}\"\nbackend = \"local\"\nroot = {root:?}\n")
    };
    let config = bucket("archive", &archive) + &bucket("broken", &broken);
    std::fs::write(folder.path().join("boathouse.toml"), config).expect("written");
    let host = Host::on(folder.path());
    host.ingest("notes", sentences()).await;
    let body =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "bucket": "archive"});
    let index = host.done("/vectors/indexes", &body).await;
    assert_eq!(index["bucket"], "archive");
    let (status, report) = host
        .post("/vectors/autotune/notes", &json!({"max_trials": 2}))
        .await;
    assert_eq!(status, 200, "{report}");
    host.post(
        "/vectors/promote/notes",
        &json!({"trial": report["trials"][1]["id"], "force": true}),
    )
    .await;
    for there in [
        "indexes/notes/vectors",
        "indexes/notes/graphs",
        "_hnsw_trials/notes",
        "_promotions/notes",
        "_evalsets/notes",
    ] {
        assert!(
            archive.join(there).exists(),
            "{there} is not in the home bucket"
        );
        assert!(
            !folder.path().join("primary").join(there).exists(),
            "{there} is in the primary bucket"
        );
    }
    let host = host.kill_and_restart();
    assert_eq!(
        host.read("/vectors/promotions").await["promotions"][0]["bucket"],
        "archive"
    );
    assert_eq!(host.read("/vectors/trials/notes").await["total"], 2);
    host.search("notes", &json!({"text": "bread"})).await;
    let (status, ready) = host.get("/readyz").await;
    assert_eq!(status, 503, "{ready}");
    assert!(ready.to_string().contains("bucket broken"), "{ready}");
}

/// A deleted index takes its history with it: the next of its name begins anew.
#[tokio::test]
async fn a_deleted_index_leaves_nothing_to_the_next_of_its_name() {
    check_deleted_index(Host::fresh()).await;
}

/// An index, and after a restart another of its name.
pub(crate) async fn check_deleted_index(host: Host) {
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let (_, report) = host
        .post("/vectors/autotune/notes", &json!({"max_trials": 2}))
        .await;
    host.post(
        "/vectors/promote/notes",
        &json!({"trial": report["trials"][1]["id"], "force": true}),
    )
    .await;
    assert_eq!(host.delete("/vectors/indexes/notes").await.0, 204);
    assert_eq!(host.get("/vectors/indexes/notes").await.0, 404);
    let host = host.kill_and_restart();
    let index = host.index("notes", "notes", "text").await;
    assert_eq!(index["serving"]["trial"], Value::Null);
    assert_eq!(host.read("/vectors/trials/notes").await["total"], 0);
}

/// Tasks tell their events to whoever listens, and end with an `end` event.
#[tokio::test]
async fn a_task_tells_its_events() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let (status, task) = {
        let client = reqwest::Client::new();
        let request = client
            .post(format!("{}/vectors/autotune/notes", host.url))
            .header("prefer", "respond-async");
        let response = request
            .json(&json!({"max_trials": 2}))
            .send()
            .await
            .expect("answer");
        (
            response.status().as_u16(),
            response.json::<Value>().await.expect("task"),
        )
    };
    assert_eq!(status, 202, "{task}");
    let (status, stream) = host
        .get(&format!(
            "/tasks/{}/events",
            task["id"].as_str().expect("id")
        ))
        .await;
    assert_eq!(status, 200);
    let stream = stream.as_str().expect("an event stream").to_owned();
    assert_eq!(stream.matches("event: trial").count(), 2, "{stream}");
    assert!(stream.trim_end().contains("event: end"), "{stream}");
}
