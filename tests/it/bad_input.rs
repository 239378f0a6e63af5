//! Bad input: a clear error that says what to do, and nothing lost.

use serde_json::json;

use crate::support::{Host, check_failed, check_problem, sentences};

/// A file that must be refused; nothing of it may be left.
async fn check_refused(host: &Host, csv: impl Into<reqwest::Body>, code: &str, words: &[&str]) {
    let ended = host.upload("dataset=bad&format=csv", csv).await;
    check_failed(&ended, code, words);
    check_problem(
        host.get("/datasets/bad").await,
        404,
        "unknown_dataset",
        &["bad"],
    );
    let left = std::fs::read_dir(host.data.join("spool"))
        .expect("spool")
        .count();
    assert_eq!(left, 0, "an upload is left over");
    let data = host.data.join("primary/datasets/bad/data");
    assert!(
        !data.exists() || std::fs::read_dir(data).expect("data").count() == 0,
        "objects are left over"
    );
}

#[tokio::test]
async fn malformed_files_name_line_and_column() {
    let host = Host::fresh();
    check_refused(&host, "", "bad_file", &["empty"]).await;
    check_refused(&host, "a,b\n1,2\n3\n", "bad_file", &["line 3"]).await;
    check_refused(&host, "a,b\n1,2\n3,4,5\n", "bad_file", &["line 3"]).await;
    check_refused(&host, "a,a\n1,2\n", "bad_file", &["`a`", "line 1"]).await;
    check_refused(
        &host,
        b"a,b\n1,x\n2,caf\xe9\n".to_vec(),
        "bad_file",
        &["line 3", "UTF-8", "column 2"],
    )
    .await;
    check_refused(&host, "a,b\n1,\"x\n", "bad_file", &["quote"]).await;
    let ended = host
        .upload("dataset=bad&format=jsonl", "{\"a\": 1}\n{\"a\": }\n")
        .await;
    check_failed(&ended, "bad_file", &["line 2", "column"]);
    let ended = host
        .upload("dataset=bad&format=parquet", "PAR1 and then nothing")
        .await;
    check_failed(&ended, "bad_file", &["Parquet"]);
    assert_eq!(host.read("/datasets").await["datasets"], json!([]));
    let lineage = host.read("/lineage/bad").await;
    let last = lineage["events"]
        .as_array()
        .and_then(|events| events.last())
        .expect("events");
    assert_eq!(last["eventType"], "FAIL");
}

#[tokio::test]
async fn a_bad_ingest_leaves_the_dataset_as_it_was() {
    let host = Host::fresh();
    host.ingest("notes", "a,b\n1,x\n").await;
    for mode in ["replace", "append"] {
        let ended = host
            .upload(&format!("dataset=notes&format=csv&mode={mode}"), "a,b\n1\n")
            .await;
        check_failed(&ended, "bad_file", &["line 2"]);
    }
    let ended = host
        .upload("dataset=notes&format=csv&mode=append", "a,c\n1,2\n")
        .await;
    check_failed(&ended, "schema_differs", &["replace"]);
    let dataset = host.read("/datasets/notes").await;
    assert_eq!(
        (&dataset["version"], &dataset["rows"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn wrong_ingest_requests_are_refused_before_anything_is_read() {
    let host = Host::fresh();
    let parameters = [
        ("dataset=../x&format=csv", "bad_query", "dataset"),
        ("dataset=x&format=xls", "bad_query", "xls"),
        ("dataset=x&format=csv&mode=upsert", "bad_query", "upsert"),
        ("dataset=x&formt=csv", "bad_query", "formt"),
        ("format=csv", "bad_query", "dataset"),
    ];
    for (query, code, word) in parameters {
        check_problem(
            host.post_raw(&format!("/ingest/file?{query}"), "a\n1\n")
                .await,
            422,
            code,
            &[word],
        );
    }
    check_problem(
        host.get("/datasets/..%2Fx").await,
        422,
        "bad_name",
        &["../x"],
    );
}

#[tokio::test]
async fn wrong_indexes_are_refused_with_the_field_named() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.ingest("empty", "id,text,n\n1,,2\n2,\"  \",3\n").await;
    let create = async |body: serde_json::Value| host.post("/vectors/indexes", &body).await;
    let good = json!({"name": "x", "dataset": "notes", "text_column": "text"});
    let with = |key: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    for (key, value, status, code, words) in [
        (
            "text_column",
            "txt",
            422,
            "unknown_column",
            &["txt", "id, text"][..],
        ),
        ("id_column", "nr", 422, "unknown_column", &["nr"]),
        ("dataset", "nowhere", 404, "unknown_dataset", &["nowhere"]),
        ("name", "../x", 422, "bad_body", &["../x"]),
        ("bucket", "nowhere", 404, "unknown_bucket", &["nowhere"]),
        (
            "embedder",
            "gpt",
            422,
            "unknown_embedder",
            &["gpt", "static"],
        ),
        ("metrik", "l2", 422, "bad_body", &["metrik"]),
    ] {
        check_problem(create(with(key, json!(value))).await, status, code, words);
    }
    let number = json!({"name": "x", "dataset": "empty", "text_column": "n"});
    check_problem(create(number).await, 422, "not_text", &["n"]);
    let task = host
        .start(
            "/vectors/indexes",
            &json!({"name": "x", "dataset": "empty", "text_column": "text"}),
        )
        .await;
    check_failed(
        &host.ended(&task).await,
        "empty_text_column",
        &["text", "2 rows"],
    );
    check_problem(
        host.get("/vectors/indexes/x").await,
        404,
        "unknown_index",
        &["x"],
    );
    host.index("x", "notes", "text").await;
    check_problem(create(good).await, 409, "index_exists", &["x"]);
    check_problem(
        host.delete("/datasets/notes").await,
        409,
        "dataset_in_use",
        &["x"],
    );
}

#[tokio::test]
async fn wrong_searches_are_refused() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let search = async |body: &str| {
        let body = serde_json::from_str(body).expect("json");
        host.post("/vectors/indexes/notes/search", &body).await
    };
    for (body, code, words) in [
        (
            r#"{"text": "x", "k": 0}"#,
            "k_out_of_range",
            &["k", "1 to 10000"][..],
        ),
        (
            r#"{"text": "x", "k": 10001}"#,
            "k_out_of_range",
            &["10001", "1 to 10000"],
        ),
        (r#"{"vector": [1, 2, 3]}"#, "wrong_dimension", &["3", "256"]),
        (
            r#"{"text": "x", "k": -1}"#,
            "bad_body",
            &["k: ", "a whole number from 0"],
        ),
        (r#"{"k": 3}"#, "text_or_vector", &["text", "vector"]),
        (r#"{"text": "x", "kk": 3}"#, "bad_body", &["kk"]),
        (
            r#"{"text": "bread", "with": ["nope"]}"#,
            "unknown_column",
            &["nope"],
        ),
        (r#"{"text": ""}"#, "no_known_word", &["text"]),
    ] {
        check_problem(search(body).await, 422, code, words);
    }
    check_problem(
        host.post("/vectors/indexes/nowhere/search", &json!({"text": "x"}))
            .await,
        404,
        "unknown_index",
        &["nowhere"],
    );
    check_problem(
        host.post("/vectors/indexes/..%2Fx/search", &json!({"text": "x"}))
            .await,
        422,
        "bad_name",
        &["../x"],
    );
    check_problem(
        host.get("/nowhere").await,
        404,
        "unknown_route",
        &["/nowhere"],
    );
}

#[tokio::test]
async fn vectors_that_are_none_are_refused() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let search = async |body: &str| {
        let body = serde_json::from_str(body).expect("json");
        host.post("/vectors/indexes/notes/search", &body).await
    };
    let zeros = json!({"vector": vec![0.0; 256]}).to_string();
    let refused = search(&zeros).await;
    let problem = &refused.1;
    assert_eq!(problem["errors"][0]["field"], "vector", "{problem}");
    let id = problem["request_id"].as_str().unwrap_or_default();
    assert!(!id.is_empty(), "{problem}");
    check_problem(refused, 422, "bad_vector", &["zero"]);
    // JSON has no NaN; the nearest a client can come to one is refused by the parser or at the door.
    let huge = zeros.replacen("0.0", "1e39", 1);
    let (status, body) = search(&huge).await;
    assert!(
        status == 422
            && ["bad_vector", "bad_body"]
                .iter()
                .any(|code| body["code"] == *code),
        "{body}"
    );
    let nan = format!("{{\"vector\": [NaN, {}]}}", ["0"; 255].join(","));
    let client = reqwest::Client::new();
    let request = client
        .post(format!("{}/vectors/indexes/notes/search", host.url))
        .header("content-type", "application/json");
    let refused = request.body(nan).send().await.expect("answer");
    assert_eq!(refused.status().as_u16(), 400);
}

#[tokio::test]
async fn wrong_trials_and_promotions_are_refused() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    check_problem(
        host.get("/vectors/trials/notes/best").await,
        404,
        "no_trials",
        &["notes"],
    );
    for limit in ["0", "1001"] {
        let path = format!("/vectors/trials/notes?limit={limit}");
        check_problem(host.get(&path).await, 422, "bad_query", &[limit, "1,000"]);
    }
    check_problem(
        host.post("/vectors/trials/notes", &json!({"m": 1})).await,
        422,
        "invalid_input",
        &["m"],
    );
    check_problem(
        host.post("/vectors/trials/notes", &json!({"ef": 1})).await,
        422,
        "bad_body",
        &["ef"],
    );
    check_problem(
        host.post("/vectors/autotune/notes", &json!({"max_trials": 0}))
            .await,
        422,
        "out_of_bounds",
        &["max_trials"],
    );
    check_problem(
        host.post("/vectors/promote/notes", &json!({"trial": "t9"}))
            .await,
        404,
        "unknown_trial",
        &["t9"],
    );
    check_problem(
        host.post("/vectors/rollback/notes", &json!({})).await,
        409,
        "nothing_to_roll_back",
        &["notes"],
    );
}
