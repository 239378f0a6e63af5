//! Long texts in pieces: documents with several vectors are found, filtered, deleted, replaced, merged and measured as
//! the one document that each of them is; and vectors that are there already are not made again.
//!
//! The measure of what is found is a search that compares everything (so many candidates are every vector), and an
//! index that is built from scratch.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::{Value, json};

use crate::support::{Host, check_problem, ids, run};

/// Documents of the table.
const DOCUMENTS: usize = 12;
/// How texts are cut.
const CHUNK: (u32, u32) = (200, 60);

const SUBJECTS: [&str; 4] = [
    "the harbour has ships and sailors and ropes",
    "the baker makes bread from flour and yeast",
    "the bicycle needs a chain and two good wheels",
    "tomatoes grow in a warm garden behind the house",
];

/// What one document says of its own in the middle of a long text, and no other one.
const OWN: [&str; DOCUMENTS] = [
    "a lighthouse keeper counts whales",
    "volcanoes in iceland melt the glaciers",
    "telescopes show the rings of saturn",
    "the orchestra tunes its violins",
    "chess players think about openings",
    "parliament debates a law on taxes",
    "penguins walk over antarctic snow",
    "surgeons operate on a human heart",
    "compilers translate programs into machine code",
    "knights fight a dragon in the castle",
    "the camel crosses a desert of sand",
    "lawyers read the contract twice",
];

/// A text of some two thousand characters about something, with a sentence of its own in its middle, said so often that
/// it is most of a piece.
fn long(about: usize, own: &str) -> String {
    let filler = format!("{}. ", SUBJECTS[about % SUBJECTS.len()]);
    let own = format!("{own}. ").repeat(5);
    format!("{}{own}{}", filler.repeat(20), filler.repeat(20))
}

fn row(id: &str, text: &str) -> String {
    format!("{id},\"{text}\"\n")
}

fn table() -> String {
    let mut csv = "id,text\n".to_owned();
    for (at, own) in OWN.iter().enumerate() {
        csv += &row(&format!("d{at}"), &long(at, own));
    }
    csv += &row("short", "a short note on cheese");
    csv
}

fn spec(name: &str) -> Value {
    let (characters, overlap) = CHUNK;
    json!({
        "name": name, "dataset": "notes", "text_column": "text", "id_column": "id",
        "chunk": {"characters": characters, "overlap": overlap}
    })
}

/// A host with an index on long texts.
async fn world() -> Host {
    world_of(Host::fresh()).await
}

async fn world_of(host: Host) -> Host {
    host.ingest("notes", table()).await;
    host.done("/vectors/indexes", &spec("notes")).await;
    host
}

/// A search whose answer is exact.
fn exact(text: &str, k: usize) -> Value {
    json!({"text": text, "k": k, "ef_search": 100_000})
}

/// Appends rows and waits until the index covers them.
async fn append(host: &Host, rows: &[(&str, &str)]) -> Value {
    let mut csv = "id,text\n".to_owned();
    for (id, text) in rows {
        csv.write_str(&row(id, text)).expect("written");
    }
    let ended = host
        .upload("dataset=notes&format=csv&mode=append", csv)
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let version = ended["result"]["version"].as_u64();
    let covers = |view: &Value| view["dataset_version"].as_u64() >= version;
    host.until("/vectors/indexes/notes", covers).await
}

/// All documents that an index finds: ids, rows, distances and pieces.
async fn everything(host: &Host, index: &str) -> Vec<Value> {
    let answer = host.search(index, &exact("whales and bread", 1_000)).await;
    let hits = answer["hits"].as_array().expect("hits");
    let hit = |hit: &Value| json!([hit["id"], hit["row"], hit["distance"], hit["chunk"]]);
    hits.iter().map(hit).collect()
}

/// That an index answers as one that is built now, and that no document is there twice.
async fn check_as_from_scratch(host: &Host) {
    host.done("/vectors/indexes", &spec("scratch")).await;
    let found = everything(host, "notes").await;
    assert_eq!(found, everything(host, "scratch").await);
    let distinct: BTreeSet<String> = found.iter().map(|hit| hit[0].to_string()).collect();
    assert_eq!(distinct.len(), found.len());
    let views = [
        host.read("/vectors/indexes/notes").await,
        host.read("/vectors/indexes/scratch").await,
    ];
    let [documents, vectors] =
        ["documents", "vectors"].map(|count| views.each_ref().map(|view| view[count].clone()));
    assert_eq!(documents[0], documents[1]);
    assert_eq!(documents[0], found.len());
    assert_eq!(vectors[0], vectors[1]);
    let (status, body) = host.delete("/vectors/indexes/scratch").await;
    assert_eq!(status, 204, "{body}");
}

/// The piece of a hit's text that it was found by.
fn piece(hit: &Value) -> String {
    let bound = |name: &str| hit["chunk"][name].as_u64().expect("a number") as usize;
    let text = hit["columns"]["text"].as_str().expect("a text").chars();
    text.skip(bound("start"))
        .take(bound("end") - bound("start"))
        .collect()
}

#[tokio::test]
async fn a_document_is_found_by_its_nearest_piece_and_once() {
    let host = world().await;
    let view = host.read("/vectors/indexes/notes").await;
    assert_eq!(view["documents"], DOCUMENTS + 1);
    assert_eq!(view["chunk"], spec("")["chunk"]);
    assert_eq!(
        (&view["rows"], &view["superseded_rows"]),
        (&json!(13), &json!(0))
    );
    let vectors = view["vectors"].as_u64().expect("a number");
    assert!(vectors > 8 * DOCUMENTS as u64, "{view}");
    assert_eq!(
        view["embeddings"],
        json!({"embedded": vectors, "reused": 0})
    );
    for (at, own) in OWN.iter().enumerate() {
        let answer = host.search("notes", &exact(own, 5)).await;
        let hit = &answer["hits"][0];
        assert_eq!(hit["id"], format!("d{at}"), "{own}");
        assert!(piece(hit).contains(own), "{}", piece(hit));
        assert!(piece(hit).chars().count() <= CHUNK.0 as usize);
        let distinct: BTreeSet<String> = ids(&answer).into_iter().collect();
        assert_eq!(distinct.len(), 5, "{answer}");
    }
    let short = host.search("notes", &exact("cheese", 1)).await;
    assert_eq!(short["hits"][0]["chunk"], json!({"start": 0, "end": 22}));
    check_as_from_scratch(&host).await;

    let host = host.kill_and_restart();
    let again = host.read("/vectors/indexes/notes").await;
    assert_eq!(again["serving"]["graph_origin"], "mapped", "{again}");
    assert_eq!(again["documents"], view["documents"]);
    check_as_from_scratch(&host).await;
}

#[tokio::test]
async fn an_index_that_does_not_cut_says_nothing_of_pieces() {
    let host = Host::fresh();
    host.ingest("notes", table()).await;
    host.index("whole", "notes", "text").await;
    let view = host.read("/vectors/indexes/whole").await;
    assert_eq!(
        (&view["documents"], &view["vectors"]),
        (&json!(13), &json!(13))
    );
    assert_eq!(view["chunk"], Value::Null);
    let answer = host.search("whole", &exact("bread", 2)).await;
    assert!(answer["hits"][0].get("chunk").is_none(), "{answer}");
}

#[tokio::test]
async fn pieces_that_cannot_be_cut_are_refused() {
    let host = Host::fresh();
    host.ingest("notes", table()).await;
    for (chunk, words) in [
        (json!({"characters": 49}), "50 to 100000"),
        (json!({"characters": 100, "overlap": 50}), "less than half"),
    ] {
        let mut body = spec("notes");
        body["chunk"] = chunk;
        let refused = host.post("/vectors/indexes", &body).await;
        check_problem(refused, 422, "out_of_bounds", &["chunk", words]);
    }
    let mut body = spec("notes");
    body["chunk"]["tokens"] = json!(3);
    let (status, refused) = host.post("/vectors/indexes", &body).await;
    assert!((400..500).contains(&status), "{refused}");
    assert_eq!(host.get("/vectors/indexes/notes").await.0, 404);
}

#[tokio::test]
async fn filters_and_deletions_are_about_documents() {
    let host = world().await;
    let mut body = exact("whales and bread", 10);
    body["filter"] = json!("id IN ('d0', 'd4', 'short', 'nobody')");
    let answer = host.search("notes", &body).await;
    let found: BTreeSet<String> = ids(&answer).into_iter().collect();
    assert_eq!(
        found,
        BTreeSet::from(["d0", "d4", "short"].map(str::to_owned))
    );
    assert_eq!(ids(&answer).len(), 3);
    assert_eq!(answer["filter"]["matching"], 3, "{answer}");

    let gone = json!({"ids": ["d0", "d0", "nobody"]});
    let (status, deleted) = host.delete_documents("notes", &gone).await;
    assert_eq!(status, 200, "{deleted}");
    assert_eq!(
        deleted,
        json!({"deleted": 1, "unknown": ["nobody"], "documents": DOCUMENTS})
    );
    let matching = json!({"filter": "id IN ('d1', 'd2')"});
    let (_, deleted) = host.delete_documents("notes", &matching).await;
    assert_eq!(deleted["deleted"], 2, "{deleted}");
    let answer = host.search("notes", &exact(OWN[0], 100)).await;
    let left = DOCUMENTS + 1 - 3;
    assert_eq!(ids(&answer).len(), left);
    assert!(!ids(&answer).contains(&"d0".to_owned()), "{answer}");
    let view = host.read("/vectors/indexes/notes").await;
    let counts = ["documents", "deleted", "superseded_rows"];
    assert_eq!(
        counts.map(|count| view[count].as_u64()),
        [left as u64, 3, 0].map(Some)
    );
}

#[tokio::test]
async fn a_row_that_comes_again_replaces_all_pieces_of_the_earlier_one() {
    let host = world().await;
    let new = long(1, "an astronaut repairs the satellite");
    let rows = [
        ("d3", new.as_str()),
        ("short", ""),
        ("d12", "a plain sentence"),
    ];
    let view = append(&host, &rows).await;
    let counts = [
        "rows",
        "documents",
        "deleted",
        "superseded_rows",
        "skipped_rows",
    ];
    assert_eq!(
        counts.map(|count| view[count].as_u64()),
        [16, 13, 1, 1, 1].map(Some),
        "{view}"
    );
    let answer = host
        .search("notes", &exact("astronaut and satellite", 1))
        .await;
    assert_eq!(ids(&answer), ["d3"]);
    assert!(piece(&answer["hits"][0]).contains("astronaut"), "{answer}");
    let all = everything(&host, "notes").await;
    assert_eq!(all.len(), 13);
    let violins = host.search("notes", &exact(OWN[3], 1)).await;
    assert!(
        !piece(&violins["hits"][0]).contains("violins"),
        "the old text of d3 is gone: {violins}"
    );
    check_as_from_scratch(&host).await;
    let host = host.kill_and_restart();
    assert_eq!(everything(&host, "notes").await, all);
    check_as_from_scratch(&host).await;
}

#[tokio::test]
async fn a_long_tail_of_pieces_is_merged_and_evaluation_follows() {
    let host = world().await;
    host.done(
        "/vectors/evalsets",
        &json!({"index": "notes", "queries": 50}),
    )
    .await;
    let before = host.read("/vectors/indexes/notes").await;
    // A tail is long from a thousand vectors on.
    let rows: Vec<(String, String)> = (0..130)
        .map(|at| (format!("n{at}"), long(at, &format!("number {at} of many"))))
        .collect();
    let rows: Vec<(&str, &str)> = rows
        .iter()
        .map(|(id, text)| (id.as_str(), text.as_str()))
        .collect();
    append(&host, &rows).await;
    let merged = |view: &Value| view["data_version"] != before["data_version"];
    let view = host.until("/vectors/indexes/notes", merged).await;
    assert_eq!(
        (&view["documents"], &view["tail_vectors"]),
        (&json!(143), &json!(0))
    );
    assert_eq!(view["rows"], 143, "{view}");
    assert_eq!(view["superseded_rows"], 0, "{view}");
    check_as_from_scratch(&host).await;
    let report = host
        .done("/vectors/trials/notes", &json!({"ef_search": 400}))
        .await;
    let recall = report["trial"]["metrics"]["recall_at_k"].as_f64();
    assert!(recall > Some(0.9), "{report}");
}

#[tokio::test]
async fn what_searches_got_is_judged_by_documents() {
    let host = world_of(Host::configured("[vectors]\nlive_recall_share = 1.0\n")).await;
    for own in OWN {
        host.search("notes", &exact(own, 4)).await;
    }
    let judged = |view: &Value| view["counts"]["judged"].as_u64() >= Some(10);
    let path = "/vectors/indexes/notes/recall";
    let view = host.until(path, judged).await;
    let shown = &view["configurations"][0];
    assert_eq!(shown["recall"], 1.0, "exact answers are: {view}");
}

#[tokio::test]
async fn a_refresh_makes_vectors_of_texts_that_changed_only() {
    let host = world().await;
    let vectors = host.read("/vectors/indexes/notes").await["vectors"].as_u64();
    let changed = table().replace(OWN[5], "the parliament is closed today");
    host.ingest("notes", changed).await;
    let view = host
        .done("/vectors/indexes/notes/refresh", &json!({}))
        .await;
    let count = |name: &str| view["embeddings"][name].as_u64().expect("a number");
    let (embedded, reused) = (count("embedded"), count("reused"));
    assert_eq!(Some(embedded + reused), view["vectors"].as_u64());
    assert!((1..40).contains(&embedded), "{view}");
    assert!(Some(reused + 40) > vectors, "{view}");
    assert_eq!(view["documents"], DOCUMENTS + 1);
    check_as_from_scratch(&host).await;
    let shown = host.read("/vectors/indexes/notes").await;
    assert_eq!(shown["embeddings"], view["embeddings"]);
}

#[tokio::test]
async fn a_build_that_is_killed_while_it_embeds_goes_on_where_it_was() {
    const ROWS: u64 = 80_000;
    let host = Host::fresh();
    let mut csv = "text\n".to_owned();
    for row in 0..ROWS {
        writeln!(csv, "row {row} of a table about harbours and bread").expect("written");
    }
    host.ingest("long", csv).await;
    let quick = json!({"m": 4, "ef_construction": 10, "ef_search": 10, "seed": 0});
    let body = json!({"name": "long", "dataset": "long", "text_column": "text", "config": quick});
    let task = host.start("/vectors/indexes", &body).await;
    let kept = host.data.join("cache/embedding/long");
    let whole = || {
        let entries = std::fs::read_dir(&kept).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name());
        names
            .filter(|name| !name.to_string_lossy().contains('#'))
            .count()
    };
    let path = format!("/tasks/{}", task["id"].as_str().expect("id"));
    while whole() == 0 {
        let task = host.read(&path).await;
        assert_eq!(task["state"], "running", "{task}");
    }
    let host = host.kill_and_restart();
    assert!(whole() > 0, "it is kept over a start");
    assert_eq!(host.get("/vectors/indexes/long").await.0, 404);
    let view = host.done("/vectors/indexes", &body).await;
    let count = |name: &str| view["embeddings"][name].as_u64().expect("a number");
    assert_eq!(count("embedded") + count("reused"), ROWS);
    // 64 MiB of vectors.
    assert!(count("reused") >= 65_536, "{view}");
    assert!(!kept.exists(), "it is of no use any more");
    let found = host
        .search("long", &json!({"text": "harbours", "k": 3}))
        .await;
    assert_eq!(ids(&found).len(), 3);
}

#[tokio::test]
async fn pieces_are_asked_for_on_the_command_line() {
    let host = Host::fresh();
    host.ingest("notes", table()).await;
    let create = [
        "index",
        "create",
        "notes",
        "--dataset",
        "notes",
        "--text",
        "text",
        "--id",
        "id",
        "--chunk",
        "200",
        "--overlap",
        "60",
        "--url",
        &host.url,
    ];
    let output = run(&create);
    assert!(output.status.success(), "{output:?}");
    let view = host.read("/vectors/indexes/notes").await;
    assert_eq!(view["chunk"], spec("")["chunk"]);
    let alone = [
        "index",
        "create",
        "x",
        "--dataset",
        "notes",
        "--text",
        "text",
        "--overlap",
        "4",
    ];
    assert!(!run(&alone).status.success(), "an overlap of what");
}
