//! Rows that are appended to a dataset become searchable in its indexes, whatever brings them and whatever happens
//! meanwhile.
//!
//! The measure is an index that is built from scratch over all rows, and a search that compares everything: what
//! both answer has to be equal.

mod faults;
mod policy;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Host, check_failed, check_problem, ids, passages, run, sentences};

/// A search whose answer is exact: so many candidates are every vector.
fn exact(text: &str, k: usize) -> Value {
    json!({"text": text, "k": k, "ef_search": 100_000})
}

/// A host with an index on thirty sentences, which have ids.
async fn world() -> Host {
    let host = Host::fresh();
    prepare(&host).await;
    host
}

async fn prepare(host: &Host) {
    host.ingest("notes", sentences()).await;
    build(host, "notes", "auto").await;
}

async fn build(host: &Host, name: &str, appends: &str) {
    let spec = json!({
        "name": name, "dataset": "notes", "text_column": "text", "id_column": "id", "appends": appends
    });
    host.done("/vectors/indexes", &spec).await;
}

/// Appends rows that must be good; returns the version of the dataset.
async fn append(host: &Host, rows: &[(&str, &str)]) -> u64 {
    let mut csv = "id,text\n".to_owned();
    for (id, text) in rows {
        writeln!(csv, "{id},{text}").expect("written");
    }
    let ended = host
        .upload("dataset=notes&format=csv&mode=append", csv)
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    ended["result"]["version"].as_u64().expect("a version")
}

/// Waits until an index covers a version.
async fn covers(host: &Host, index: &str, version: u64) -> Value {
    let path = format!("/vectors/indexes/{index}");
    let done = |view: &Value| {
        view["dataset_version"].as_u64() >= Some(version) && view["behind"].is_null()
    };
    host.until(&path, done).await
}

/// Everything that an index finds, nearest first: ids, rows and distances.
async fn everything(host: &Host, index: &str) -> Vec<Value> {
    let view = host.read(&format!("/vectors/indexes/{index}")).await;
    let vectors = view["vectors"].as_u64().expect("a number") as usize;
    let answer = host
        .search(index, &exact("ships in the harbour", vectors))
        .await;
    let hits = answer["hits"].as_array().expect("hits");
    let hit = |hit: &Value| {
        json!([
            hit["id"],
            hit["row"],
            hit["distance"],
            hit["columns"]["text"]
        ])
    };
    hits.iter().map(hit).collect()
}

/// That an index answers as one that is built now.
async fn check_as_from_scratch(host: &Host, index: &str) {
    build(host, "scratch", "auto").await;
    assert_eq!(
        everything(host, index).await,
        everything(host, "scratch").await
    );
    let (status, body) = host.delete("/vectors/indexes/scratch").await;
    assert_eq!(status, 204, "{body}");
}

async fn patch(host: &Host, index: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/vectors/indexes/{index}", host.url);
    let request = reqwest::Client::new().patch(url).json(body);
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.expect("json"))
}

/// The entry of an index in the agent's queue.
async fn queued(host: &Host, index: &str) -> Value {
    let agent = host.read("/vectors/agent").await;
    let queue = agent["queue"].as_array().expect("a queue");
    let entry = queue.iter().find(|entry| entry["index"] == index);
    entry.cloned().unwrap_or_default()
}

#[tokio::test]
async fn appended_rows_are_found_without_a_rebuild() {
    let host = world().await;
    let before = host.read("/vectors/indexes/notes").await;
    assert_eq!(
        (&before["behind"], &before["rows"]),
        (&Value::Null, &json!(30))
    );
    let version = append(
        &host,
        &[
            ("new-1", "an astronomer looks at distant galaxies"),
            ("s0-0", "telescopes show the rings of saturn"),
            ("new-2", ""),
        ],
    )
    .await;
    let after = covers(&host, "notes", version).await;
    assert_eq!(after["data_version"], before["data_version"], "no rebuild");
    assert_eq!(after["serving"]["build_id"], before["serving"]["build_id"]);
    let counts = [
        "rows",
        "vectors",
        "tail_vectors",
        "skipped_rows",
        "superseded_rows",
    ];
    assert_eq!(
        counts.map(|name| after[name].as_u64()),
        [33, 31, 2, 1, 1].map(Some)
    );

    let answer = host
        .search(
            "notes",
            &json!({"text": "astronomy of galaxies and saturn", "k": 2}),
        )
        .await;
    let mut found = ids(&answer);
    found.sort();
    assert_eq!(found, ["new-1", "s0-0"]);
    let saturn = answer["hits"]
        .as_array()
        .expect("hits")
        .iter()
        .find(|hit| hit["id"] == "s0-0");
    let saturn = saturn.expect("found");
    assert_eq!(
        saturn["columns"]["text"],
        "telescopes show the rings of saturn"
    );
    assert_eq!(saturn["row"], 31);
    check_as_from_scratch(&host, "notes").await;

    let host = host.kill_and_restart();
    let again = host.read("/vectors/indexes/notes").await;
    assert_eq!(again["serving"]["graph_origin"], "mapped");
    assert_eq!(again["tail_vectors"], 2);
    check_as_from_scratch(&host, "notes").await;
}

#[tokio::test]
async fn indexes_without_ids_of_their_own_grow_by_numbers_of_rows() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("numbers", "notes", "text").await;
    let version = append(
        &host,
        &[
            ("s0-0", "volcanoes in iceland"),
            ("x", "volcanoes in iceland"),
        ],
    )
    .await;
    let view = covers(&host, "numbers", version).await;
    assert_eq!(
        (&view["vectors"], &view["superseded_rows"]),
        (&json!(32), &json!(0))
    );
    let answer = host
        .search("numbers", &exact("volcanoes in iceland", 2))
        .await;
    assert_eq!(ids(&answer), ["30", "31"]);
}

#[tokio::test]
async fn rows_come_by_the_command_line_too() {
    let host = world().await;
    let file = host.data.join("more.csv");
    std::fs::write(&file, "id,text\nnew-1,glaciers melt in the alps\n").expect("written");
    let file = file.display().to_string();
    let output = run(&[
        "ingest",
        &file,
        "--dataset",
        "notes",
        "--mode",
        "append",
        "--url",
        &host.url,
    ]);
    assert!(output.status.success(), "{output:?}");
    covers(&host, "notes", 2).await;
    let answer = host
        .search("notes", &exact("glaciers in the alps", 1))
        .await;
    assert_eq!(ids(&answer), ["new-1"]);
    let shown = run(&["agent", "show", "--url", &host.url]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        text.contains("appended (1)") && text.contains("notes"),
        "{text}"
    );
}

#[tokio::test]
async fn rows_come_from_a_watched_folder_too() {
    let folder = tempfile::tempdir().expect("folder");
    let host = Host::configured(&format!(
        "[[watch]]\nfolder = {:?}\ndataset = \"notes\"\nstable_secs = 0\nevery_secs = 1\n",
        folder.path()
    ));
    prepare(&host).await;
    let ready = folder.path().join("more.csv");
    let written = folder.path().join(".more.csv.part");
    std::fs::write(&written, "id,text\nnew-1,a volcano under the glacier\n").expect("written");
    std::fs::rename(&written, ready).expect("renamed");
    covers(&host, "notes", 2).await;
    let answer = host.search("notes", &exact("volcano", 1)).await;
    assert_eq!(ids(&answer), ["new-1"]);
}

/// A long tail becomes part of a new graph while the old one answers, and trials on both do not mix.
#[tokio::test]
async fn a_long_tail_is_merged_into_a_new_graph() {
    let host = world().await;
    let trial = host
        .done("/vectors/trials/notes", &json!({"ef_search": 50}))
        .await;
    let wish = json!({"trial": trial["trial"]["id"], "force": true});
    let (status, promoted) = host.post("/vectors/promote/notes", &wish).await;
    assert_eq!(status, 200, "{promoted}");
    let before = host.read("/vectors/indexes/notes").await;
    let texts: Vec<String> = passages().lines().skip(1).take(1_200).map(clean).collect();
    let names: Vec<String> = (0..texts.len()).map(|at| format!("p{at}")).collect();
    let rows: Vec<(&str, &str)> = names
        .iter()
        .map(String::as_str)
        .zip(texts.iter().map(String::as_str))
        .collect();
    append(&host, &rows).await;
    let merged = |view: &Value| view["tail_vectors"] == 0 && view["vectors"].as_u64() > Some(1_000);
    let after = host.until("/vectors/indexes/notes", merged).await;
    assert_ne!(after["data_version"], before["data_version"]);
    assert_eq!(
        after["serving"]["config"]["ef_search"], 50,
        "what was promoted serves"
    );
    assert_eq!(after["serving"]["trial"], before["serving"]["trial"]);
    check_as_from_scratch(&host, "notes").await;

    check_problem(
        host.get("/vectors/trials/notes/best").await,
        404,
        "no_comparable_trials",
        &["1 trials"],
    );
    let trial = host
        .done("/vectors/trials/notes", &json!({"ef_search": 80}))
        .await;
    assert_eq!(trial["trial"]["data_version"], after["data_version"]);
    let best = host.read("/vectors/trials/notes/best?metric=recall").await;
    assert_eq!(best["trial"]["id"], trial["trial"]["id"]);
    let sets = host.read("/vectors/evalsets?index=notes").await;
    assert_eq!(sets["evalsets"][0]["data_version"], after["data_version"]);

    let host = host.kill_and_restart();
    let again = host.read("/vectors/indexes/notes").await;
    assert_eq!(
        (&again["serving"]["graph_origin"], &again["vectors"]),
        (&json!("mapped"), &after["vectors"])
    );
    assert_eq!(again["serving"]["config"]["ef_search"], 50);
}

/// A line of a CSV as one field without quotes.
fn clean(line: &str) -> String {
    line.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ')
        .collect()
}

async fn vectors(host: &Host) -> usize {
    let view = host.read("/vectors/indexes/notes").await;
    view["vectors"].as_u64().expect("a number") as usize
}

#[tokio::test]
async fn appends_at_once_and_searches_under_way_lose_nothing() {
    let host = world().await;
    let old: Vec<String> = ids(&host.search("notes", &exact("bread", 30)).await);
    let (host, old) = (&host, &old);
    let appends = (0..6).map(|number| async move {
        let id = format!("n{number}");
        append(
            host,
            &[
                (&id, "sailing around the world alone"),
                ("shared", "a row of everybody"),
            ],
        )
        .await
    });
    let searches = async {
        for _ in 0..60 {
            let found = ids(&host.search("notes", &exact("bread", 30)).await);
            assert_eq!(found.len(), 30);
            let before = vectors(host).await;
            let all = ids(&host.search("notes", &exact("bread", before)).await);
            // Rows that came in between push old ones out of an answer of that many.
            if vectors(host).await == before {
                assert!(old.iter().all(|id| all.contains(id)), "{all:?}");
            }
        }
    };
    let (versions, ()) = tokio::join!(futures::future::join_all(appends), searches);
    let newest = versions.into_iter().max().expect("versions");
    assert_eq!(newest, 7);
    let view = covers(host, "notes", newest).await;
    assert_eq!((&view["vectors"], &view["rows"]), (&json!(37), &json!(42)));
    check_as_from_scratch(host, "notes").await;
}
