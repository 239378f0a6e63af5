//! Trials over tables: what they measure, what they leave alone, and what they leave behind.

use super::*;

const TRIALS: &str = "/vectors/trials/notes";

/// A trial of a table; gives its report.
async fn tried(quiet: &Quiet, wish: Value) -> Value {
    let report = done(quiet, TRIALS, wish).await;
    assert_eq!(report["trial"]["backend"], "lance", "{report}");
    report
}

/// A host with so many rows in a table, and few queries to measure with.
async fn prepared(rows: usize) -> Quiet {
    let quiet = migrated(rows).await;
    let set = json!({"index": "notes", "queries": 40, "k": 5});
    done(&quiet, "/vectors/evalsets", set).await;
    quiet
}

/// Folders of tables of trials.
fn folders(quiet: &Quiet) -> usize {
    let folder = quiet.app.config.server.data.join("cache/trials");
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_index_serves_every_way_to_search_it_and_the_table_is_left_alone() {
    let quiet = prepared(600).await;
    done(
        &quiet,
        "/vectors/lance/index/notes",
        json!({"partitions": 3}),
    )
    .await;
    let before = table(&quiet);
    let one = json!({"backend": "lance", "partitions": 8, "nprobes": 1, "refine_factor": 1});
    let first = tried(&quiet, one).await;
    let metrics = &first["trial"]["metrics"];
    assert_eq!(first["build"]["from"], "built", "{first}");
    assert!(metrics["build_time_secs"].as_f64() > Some(0.0), "{metrics}");
    assert!(metrics["memory_bytes"].as_u64() > Some(0), "{metrics}");
    assert!(metrics["distances_per_query"].is_null(), "{metrics}");
    assert!(metrics["search_latency_p95_us"].as_f64() > Some(0.0));
    assert!(metrics["recall_interval"]["low"].as_f64() < metrics["recall_at_k"].as_f64());
    assert!(
        first["comparison"].is_object(),
        "what would serve is timed along"
    );

    let all = json!({"backend": "lance", "partitions": 8, "nprobes": 8, "refine_factor": 40});
    let second = tried(&quiet, all).await;
    assert_eq!(second["build"]["from"], "memory", "{second}");
    assert_eq!(second["trial"]["metrics"]["build_time_secs"], 0.0);
    assert_eq!(second["trial"]["build_id"], first["trial"]["build_id"]);
    let recall = |report: &Value| report["trial"]["metrics"]["recall_at_k"].as_f64().unwrap();
    assert!(recall(&second) > recall(&first), "{first} {second}");
    assert!(recall(&second) > 0.9, "{second}");

    assert_eq!(table(&quiet), before, "no other version, no other index");
    is_in_step(&quiet).await;
    assert_eq!(folders(&quiet), 1, "one copy of the vectors");
    quiet.app.indexes.delete("notes").await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while folders(&quiet) > 0 {
        assert!(std::time::Instant::now() < deadline, "its copy stays");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_serves_says_which_knobs_there_are() {
    let quiet = prepared(300).await;
    // The graph serves.
    let knob = json!({"nprobes": 5});
    assert_eq!(
        refused(&quiet, TRIALS, knob.clone()).await,
        (422, "not_of_backend".to_owned())
    );
    done(
        &quiet,
        "/vectors/lance/index/notes",
        json!({"partitions": 2}),
    )
    .await;
    let path = "/vectors/indexes/notes";
    let (status, _) = send(
        &quiet,
        Method::PATCH,
        path,
        json!({"vector_backend": "lance"}),
    )
    .await;
    assert_eq!(status, 200);
    let trial = tried(&quiet, knob).await["trial"].clone();
    let config = json!({"partitions": 2, "sub_vectors": 32, "nprobes": 5, "refine_factor": 10});
    let config_of = |trial: &Value| trial["config"].clone();
    assert_eq!(
        config_of(&trial)["partitions"],
        config["partitions"],
        "{trial}"
    );
    assert_eq!(config_of(&trial)["nprobes"], config["nprobes"]);
    for (wish, field) in [
        (json!({"ef_search": 30}), "ef_search"),
        (json!({"seed": 3}), "seed"),
        (json!({"backend": "parquet", "partitions": 4}), "partitions"),
        (json!({"partitions": 301}), "partitions"),
    ] {
        let (status, problem) = post(&quiet, TRIALS, wish).await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (422, &json!(field)),
            "{problem}"
        );
    }
    out_of_bounds_are_told(&quiet).await;
    // The graph is still there to be tried, and its trials are not those of the table.
    let graph = done(
        &quiet,
        TRIALS,
        json!({"backend": "parquet", "ef_search": 40}),
    )
    .await;
    assert!(graph["trial"]["backend"].is_null(), "{graph}");
    let best = |query: &'static str| {
        let path = format!("{TRIALS}/best?metric=recall{query}");
        let quiet = &quiet;
        async move { send(quiet, Method::GET, &path, Value::Null).await.1["trial"]["id"].clone() }
    };
    assert_eq!(best("").await, trial["id"]);
    assert_eq!(best("&backend=parquet").await, graph["trial"]["id"]);
}

/// Values that no table takes, and strategies and bounds that are for graphs, of an index that a table serves.
async fn out_of_bounds_are_told(quiet: &Quiet) {
    for (wish, word) in [
        (json!({"sub_vectors": 7}), "sub_vectors"),
        (json!({"nprobes": 0}), "nprobes"),
        (json!({"refine_factor": 5_000}), "refine_factor"),
    ] {
        let (status, problem) = post(quiet, TRIALS, wish).await;
        let said = problem["detail"].as_str().unwrap();
        assert!(status == 422 && said.contains(word), "{problem}");
    }
    let run = "/vectors/autotune/notes";
    for (wish, field) in [
        (json!({"strategy": "halving"}), "strategy"),
        (json!({"bounds": {"m": {"min": 4, "max": 8}}}), ""),
    ] {
        let (status, problem) = post(quiet, run, wish).await;
        assert_eq!(status, 422, "{problem}");
        assert_eq!(
            problem["errors"][0]["field"].as_str().unwrap_or_default(),
            field
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_rows_are_told_before_anything_is_done() {
    let quiet = world(200).await;
    let wish = json!({"backend": "lance"});
    let run = "/vectors/autotune/notes";
    for path in [TRIALS, run] {
        assert_eq!(
            refused(&quiet, path, wish.clone()).await,
            (422, "too_few_rows".to_owned())
        );
    }
    assert_eq!(folders(&quiet), 0);
}
