//! Indexes in Lance tables over HTTP: the whole way, kills in the middle of everything, appends beside builds, moves,
//! garbage.

mod trials;

use std::{fs, process::Output};

use serde_json::{Value, json};

use crate::support::{Host, check_problem, ids, run};

const ROWS: usize = 600;

/// `id,text` of some rows.
fn csv(rows: std::ops::Range<usize>) -> String {
    const THINGS: [&str; 6] = ["harbour", "bread", "bicycle", "garden", "winter", "music"];
    let line = |row: usize| format!("n{row},a note on {} with number {row}\n", THINGS[row % 6]);
    let lines: String = rows.map(line).collect();
    format!("id,text\n{lines}")
}

/// An index `notes` on a dataset of its name.
async fn prepared(host: &Host, rows: usize) {
    host.ingest("notes", csv(0..rows)).await;
    let spec =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id"});
    host.done("/vectors/indexes", &spec).await;
}

async fn append(host: &Host, rows: std::ops::Range<usize>) {
    let ended = host
        .upload("dataset=notes&format=csv&mode=append", csv(rows))
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
}

/// Waits until the index covers its dataset.
async fn caught_up(host: &Host) {
    host.until("/vectors/indexes/notes", |index| index["behind"].is_null())
        .await;
    host.done("/vectors/indexes/notes/refresh", &json!({}))
        .await;
}

async fn serve_from(host: &Host, engine: &str) -> (u16, Value) {
    let url = format!("{}/vectors/indexes/notes", host.url);
    let request = reqwest::Client::new().patch(url);
    let answer = request
        .json(&json!({"vector_backend": engine}))
        .send()
        .await;
    let answer = answer.expect("an answer");
    (
        answer.status().as_u16(),
        answer.json().await.expect("a body"),
    )
}

/// That table and index hold the same rows, and that the table answers for one of them.
async fn in_step(host: &Host, wanted: usize) {
    let stats = host.read("/vectors/lance/stats/notes").await;
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(
        (&stats["rows"], &index["vectors"]),
        (&json!(wanted), &json!(wanted)),
        "{stats}"
    );
    let (status, found) = host.get("/vectors/lance/doc/notes/n7?with=text").await;
    assert_eq!((status, &found["row"]), (200, &json!(7)), "{found}");
}

#[tokio::test]
async fn an_index_is_served_from_a_lance_table_and_back() {
    check_lance(Host::fresh()).await;
}

/// The whole way, wherever the buckets of the host are.
pub(crate) async fn check_lance(host: Host) {
    prepared(&host, ROWS).await;
    check_problem(
        serve_from(&host, "lance").await,
        409,
        "no_lance_table",
        &["migrate"],
    );
    host.done("/vectors/lance/migrate/notes", &json!({})).await;
    check_problem(
        host.post("/vectors/lance/migrate/notes", &json!({})).await,
        409,
        "lance_exists",
        &["again"],
    );
    host.done("/vectors/lance/index/notes", &json!({"partitions": 2}))
        .await;
    let query = json!({"text": "a note on bread with number 301", "k": 4});
    let before = ids(&host.search("notes", &query).await);
    let (status, index) = serve_from(&host, "lance").await;
    assert_eq!(
        (status, &index["vector_backend"]),
        (200, &json!("lance")),
        "{index}"
    );
    let after = host.search("notes", &query).await;
    assert_eq!((ids(&after), &after["backend"]), (before, &json!("lance")));
    assert_eq!(after["lance"]["exact"], false, "{after}");

    let host = host.kill_and_restart();
    let again = host.search("notes", &query).await;
    assert_eq!(
        (ids(&again), &again["backend"]),
        (ids(&after), &json!("lance"))
    );
    append(&host, ROWS..ROWS + 30).await;
    caught_up(&host).await;
    let found = host
        .search(
            "notes",
            &json!({"text": "a note on winter with number 610", "k": 1}),
        )
        .await;
    assert_eq!(
        (&ids(&found)[..], &found["backend"]),
        (&["n610".to_owned()][..], &json!("lance"))
    );
    let (status, gone) = host
        .delete_documents("notes", &json!({"ids": ["n301"]}))
        .await;
    assert_eq!((status, &gone["deleted"]), (200, &json!(1)));
    let found = host.search("notes", &query).await;
    assert!(!ids(&found).contains(&"n301".to_owned()), "{found}");
    host.done("/vectors/lance/optimize/notes", &json!({})).await;
    in_step(&host, ROWS + 29).await;
    let (status, _) = serve_from(&host, "parquet").await;
    assert_eq!(status, 200);
    let found = host.search("notes", &query).await;
    assert_eq!(found["backend"], "parquet");
    let (status, _) = host.delete("/vectors/indexes/notes").await;
    assert_eq!(status, 204);
}

/// Starts something and kills the host once its task is in a stage, or has ended.
async fn killed_in(host: Host, path: &str, body: Value, stage: &str) -> Host {
    let task = host.start(path, &body).await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("id"));
    host.until(&path, |task| {
        task["progress"]["stage"] == stage || task["state"] != "running"
    })
    .await;
    host.kill_and_restart()
}

#[tokio::test]
async fn a_kill_in_any_work_on_a_table_leaves_it_whole() {
    let host = Host::fresh();
    prepared(&host, ROWS).await;
    let mut host = host;
    for stage in ["opening the table", "migrating"] {
        host = killed_in(
            host,
            "/vectors/lance/migrate/notes",
            json!({"again": true}),
            stage,
        )
        .await;
        let index = host.read("/vectors/indexes/notes").await;
        assert_eq!(index["vectors"], ROWS, "{index}");
    }
    host.done("/vectors/lance/migrate/notes", &json!({"again": true}))
        .await;
    for stage in ["building the index", "installing the index"] {
        host = killed_in(
            host,
            "/vectors/lance/index/notes",
            json!({"partitions": 2}),
            stage,
        )
        .await;
        in_step(&host, ROWS).await;
    }
    host.done("/vectors/lance/index/notes", &json!({"partitions": 2}))
        .await;
    let mut rows = ROWS;
    for stage in ["embedding", "storing vectors"] {
        append(&host, rows..rows + 20).await;
        host = killed_in(host, "/vectors/indexes/notes/refresh", json!({}), stage).await;
        rows += 20;
        caught_up(&host).await;
        in_step(&host, rows).await;
    }
    for stage in [
        "taking rows in",
        "putting files together",
        "removing old versions",
    ] {
        host = killed_in(host, "/vectors/lance/optimize/notes", json!({}), stage).await;
        in_step(&host, rows).await;
    }
    host.done("/vectors/lance/optimize/notes", &json!({})).await;
    let stats = host.read("/vectors/lance/stats/notes").await;
    assert_eq!(stats["unindexed_rows"], 0, "{stats}");
    in_step(&host, rows).await;
}

#[tokio::test]
async fn rows_come_while_indexes_are_built_and_searches_go_on() {
    let host = Host::fresh();
    prepared(&host, ROWS).await;
    host.done("/vectors/lance/migrate/notes", &json!({})).await;
    serve_from(&host, "lance").await;
    let build = host
        .start("/vectors/lance/index/notes", &json!({"partitions": 4}))
        .await;
    let path = format!("/tasks/{}", build["id"].as_str().expect("id"));
    let appends = async {
        for at in 0..4 {
            append(&host, ROWS + 5 * at..ROWS + 5 * (at + 1)).await;
        }
        caught_up(&host).await;
    };
    let documents = async {
        let documents: Vec<Value> = (0..10)
            .map(|at| json!({"id": format!("n{at}"), "text": format!("volcano number {at}")}))
            .collect();
        let wish = json!({"documents": documents, "on_duplicate": "replace"});
        let (status, answer) = host.post("/vectors/lance/append/notes", &wish).await;
        assert_eq!((status, &answer["replaced"]), (200, &json!(10)), "{answer}");
    };
    let searches = async {
        let query = json!({"text": "a note on music with number 305", "k": 3, "with": []});
        let mut answered = 0;
        while host.read(&path).await["state"] == "running" || answered == 0 {
            let answer = host.search("notes", &query).await;
            assert_eq!(ids(&answer)[0], "n305", "{answer}");
            answered += 1;
        }
    };
    futures::join!(appends, documents, searches);
    let ended = host.ended(&build).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    in_step(&host, ROWS + 20).await;
    let found = host
        .search("notes", &json!({"text": "volcano", "k": 10, "with": []}))
        .await;
    assert!(ids(&found).contains(&"n3".to_owned()), "{found}");
    assert_eq!(found["lance"]["exact"], false);
}

#[tokio::test]
async fn a_table_moves_with_its_index_and_what_is_replaced_is_garbage() {
    let roots = tempfile::tempdir().expect("folder");
    let cold = roots.path().join("cold");
    let host = Host::configured(&format!(
        "[[buckets]]\nname = \"cold\"\nbackend = \"local\"\nroot = {cold:?}\n"
    ));
    prepared(&host, 60).await;
    host.done("/vectors/lance/migrate/notes", &json!({})).await;
    serve_from(&host, "lance").await;
    let url = format!("{}/vectors/indexes/notes", host.url);
    let moved = reqwest::Client::new()
        .patch(url)
        .json(&json!({"bucket": "cold"}));
    let task = moved.send().await.expect("an answer").json().await;
    let ended = host.ended(&task.expect("a task")).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let query = json!({"text": "a note on bread with number 13", "k": 1});
    let found = host.search("notes", &query).await;
    assert_eq!(
        (&ids(&found)[0], &found["backend"]),
        (&"n13".to_owned(), &json!("lance"))
    );
    append(&host, 60..64).await;
    caught_up(&host).await;
    in_step(&host, 64).await;

    let first = host.read("/vectors/lance/stats/notes").await["path"].clone();
    host.done("/vectors/lance/migrate/notes", &json!({"again": true}))
        .await;
    let folder = cold.join(first.as_str().expect("a path"));
    assert!(folder.exists());
    let report = host
        .done("/storage/gc", &json!({"dry_run": false, "grace_hours": 0}))
        .await;
    let left = fs::read_dir(folder.join("_versions")).map(Iterator::count);
    assert_eq!(left.unwrap_or(0), 0, "{report}");
    in_step(&host, 64).await;
    let found = host.search("notes", &query).await;
    assert_eq!(found["backend"], "lance");
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[tokio::test]
async fn the_command_line_does_all_of_it() {
    let host = Host::fresh();
    prepared(&host, 300).await;
    let lance = |arguments: &[&str]| {
        let url = ["--url", &host.url];
        said(&run(&[&url[..], arguments].concat()))
    };
    assert!(lance(&["lance", "migrate", "notes"]).contains("300 vectors"));
    assert!(lance(&["lance", "index", "notes", "--partitions", "2"]).contains("IVF_PQ"));
    assert!(lance(&["index", "backend", "notes", "lance"]).contains("lance"));
    let text = "a note on garden with number 9";
    assert!(lance(&["lance", "search", "notes", text, "-k", "1"]).contains("n9"));
    let exact = lance(&["lance", "search", "notes", text, "-k", "1", "--exact"]);
    assert!(exact.contains("every row was compared"), "{exact}");
    assert!(lance(&["lance", "doc", "notes", "n9"]).contains("number 9"));
    let file = host.data.join("more.json");
    fs::write(&file, r#"[{"id": "new", "row": 2, "text": "castles"}]"#).expect("written");
    let file = file.to_str().expect("a path");
    assert!(lance(&["lance", "append", "notes", file]).contains("1 document appended"));
    assert!(lance(&["lance", "optimize", "notes"]).contains("in order"));
    assert!(lance(&["lance", "stats", "notes"]).contains("301"));
}
