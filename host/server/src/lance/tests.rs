//! Tables beside indexes, through migrations, crashes, losses and rebuilds.

mod trials;

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request},
};
use boathouse_types::VectorBackend;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::{
    http,
    indexes::{
        delete_folder,
        testing::{Quiet, succeeded},
    },
};

/// A host with an index `notes` on as many rows.
async fn world(rows: usize) -> Quiet {
    let quiet = Quiet::open().await;
    quiet.ingest("notes", "replace", csv(0..rows)).await;
    quiet.index("notes").await;
    quiet
}

fn csv(rows: std::ops::Range<usize>) -> String {
    let line = |row| {
        format!(
            "d{row},a note about {} and number {row}\n",
            ["bread", "ships", "rain"][row % 3]
        )
    };
    let lines: String = rows.map(line).collect();
    format!("id,text\n{lines}")
}

/// Sends a request; gives status and body.
async fn send(quiet: &Quiet, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        });
    let router = http::router(Arc::clone(&quiet.app));
    let answer = router.oneshot(request.unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
    (status, serde_json::from_slice(&bytes.unwrap()).unwrap())
}

async fn post(quiet: &Quiet, path: &str, body: Value) -> (u16, Value) {
    send(quiet, Method::POST, path, body).await
}

/// A request whose task succeeds; gives its result.
async fn done(quiet: &Quiet, path: &str, body: Value) -> Value {
    let (status, task) = post(quiet, path, body).await;
    assert_eq!(status, 202, "{task}");
    let ended = quiet.app.tasks.wait(task["id"].as_str().unwrap()).await;
    let ended = ended.unwrap();
    succeeded(&ended);
    ended.result
}

async fn refused(quiet: &Quiet, path: &str, body: Value) -> (u16, String) {
    let (status, problem) = post(quiet, path, body).await;
    (
        status,
        problem["code"].as_str().unwrap_or_default().to_owned(),
    )
}

async fn migrated(rows: usize) -> Quiet {
    let quiet = world(rows).await;
    done(&quiet, "/vectors/lance/migrate/notes", Value::Null).await;
    quiet
}

fn live(quiet: &Quiet) -> Arc<LiveIndex> {
    quiet.app.indexes.get("notes").unwrap()
}

fn table(quiet: &Quiet) -> LanceMeta {
    table_of(&live(quiet)).unwrap().clone()
}

/// That the version which the manifest names has the rows that the index searches.
async fn is_in_step(quiet: &Quiet) {
    let (index, room) = (live(quiet), &quiet.app.indexes.lance);
    let snapshot = room
        .snapshot(index.bucket(), table_of(&index).unwrap())
        .await;
    assert_eq!(
        snapshot.unwrap().rows().await.unwrap(),
        index.vectors() as u64
    );
}

async fn refresh(quiet: &Quiet, mode: &str, csv: String) {
    quiet.ingest("notes", mode, csv).await;
    done(quiet, "/vectors/indexes/notes/refresh", Value::Null).await;
}

async fn search(quiet: &Quiet, path: &str, body: Value) -> Value {
    let (status, answer) = post(quiet, path, body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

const SEARCH: &str = "/vectors/lance/search/notes";

#[tokio::test]
async fn a_migration_brings_every_bit_and_is_not_made_twice() {
    let quiet = world(50).await;
    let (status, code) = refused(&quiet, SEARCH, json!({"text": "bread"})).await;
    assert_eq!((status, code.as_str()), (409, "no_lance_table"));
    let result = done(&quiet, "/vectors/lance/migrate/notes", Value::Null).await;
    assert_eq!(result["migration"]["rows"], 50);
    assert_eq!(result["migration"]["found"], 0);
    let index = live(&quiet);
    let named = index.meta.vector_objects().next().unwrap();
    let vectors = index.stored(named).await.unwrap();
    for (at, id) in [(0, "d0"), (17, "d17"), (49, "d49")] {
        let path = format!("/vectors/lance/doc/notes/{id}?vector=true&with=text");
        let (status, found) = send(&quiet, Method::GET, &path, Value::Null).await;
        assert_eq!((status, &found["row"]), (200, &json!(at)), "{found}");
        let found: Vec<f32> =
            serde_json::from_value(found["vectors"][0]["vector"].clone()).unwrap();
        let bits = |vector: &[f32]| -> Vec<u32> { vector.iter().map(|c| c.to_bits()).collect() };
        assert_eq!(bits(&found), bits(vectors.vector(at)));
    }
    let missing = send(
        &quiet,
        Method::GET,
        "/vectors/lance/doc/notes/nobody",
        Value::Null,
    )
    .await;
    assert_eq!(
        (missing.0, &missing.1["code"]),
        (404, &json!("unknown_document"))
    );
    let again = refused(&quiet, "/vectors/lance/migrate/notes", Value::Null).await;
    assert_eq!(again, (409, "lance_exists".to_owned()));
    let before = table(&quiet).path;
    done(
        &quiet,
        "/vectors/lance/migrate/notes",
        json!({"again": true}),
    )
    .await;
    assert_ne!(table(&quiet).path, before);
    is_in_step(&quiet).await;
}

#[tokio::test]
async fn a_migration_that_was_cut_off_goes_on_where_it_was() {
    let quiet = world(40).await;
    let index = live(&quiet);
    let path = migrate::folder(&index.meta);
    let room = &quiet.app.indexes.lance;
    let seat = room
        .seat(index.bucket(), &path, Some(room::shape_of(&index.meta)))
        .await
        .unwrap();
    let vectors = index
        .stored(index.meta.vector_objects().next().unwrap())
        .await
        .unwrap();
    seat.table
        .append(rows_of(&vectors, 0..25, |_| true))
        .await
        .unwrap();
    let result = done(&quiet, "/vectors/lance/migrate/notes", Value::Null).await;
    assert_eq!(result["migration"]["found"], 25);
    assert_eq!(table(&quiet).path, path);
    is_in_step(&quiet).await;
}

#[tokio::test]
async fn a_table_with_other_rows_is_found_out_and_made_anew_the_next_time() {
    let quiet = world(40).await;
    let index = live(&quiet);
    let path = migrate::folder(&index.meta);
    let room = &quiet.app.indexes.lance;
    let seat = room
        .seat(index.bucket(), &path, Some(room::shape_of(&index.meta)))
        .await
        .unwrap();
    let vectors = index
        .stored(index.meta.vector_objects().next().unwrap())
        .await
        .unwrap();
    // The rows of somebody else: not the first ones.
    seat.table
        .append(rows_of(&vectors, 5..9, |_| true))
        .await
        .unwrap();
    let (_, task) = post(&quiet, "/vectors/lance/migrate/notes", Value::Null).await;
    let ended = quiet
        .app
        .tasks
        .wait(task["id"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(ended.error.unwrap().code, "not_verified");
    assert!(live(&quiet).meta.lance.is_none());
    done(&quiet, "/vectors/lance/migrate/notes", Value::Null).await;
    is_in_step(&quiet).await;
}

/// Figures of the table.
async fn figures(quiet: &Quiet) -> Value {
    let path = "/vectors/lance/stats/notes";
    let (status, stats) = send(quiet, Method::GET, path, Value::Null).await;
    assert_eq!(status, 200, "{stats}");
    stats
}

#[tokio::test]
async fn a_search_before_the_index_is_exact_and_says_so() {
    let quiet = migrated(300).await;
    let rows = async || {
        let stats = figures(&quiet).await;
        [&stats["rows"], &stats["unindexed_rows"]].map(|count| count.as_u64().unwrap())
    };
    let wanted = json!({"text": "bread and number 12", "k": 3, "nprobes": 2, "with": []});
    let answer = search(&quiet, SEARCH, wanted.clone()).await;
    assert_eq!(answer["lance"]["exact"], true);
    assert_eq!(
        (&answer["hits"][0]["id"], &answer["backend"]),
        (&json!("d12"), &json!("lance"))
    );
    assert_eq!(rows().await, [300, 300]);
    let wish = json!({"partitions": 2});
    done(&quiet, "/vectors/lance/index/notes", wish).await;
    let answer = search(&quiet, SEARCH, wanted).await;
    assert_eq!(
        (&answer["lance"]["exact"], &answer["lance"]["nprobes"]),
        (&json!(false), &json!(2))
    );
    assert_eq!(answer["hits"][0]["id"], "d12");
    let stats = figures(&quiet).await;
    let indexes = stats["indexes"].as_array().unwrap().iter();
    let names: Vec<_> = indexes.map(|one| &one["name"]).collect();
    assert_eq!(names, ["doc_id", "row", "vector"]);
    assert_eq!(rows().await, [300, 0]);
    // It stays through an append, whose rows are found beside it.
    refresh(&quiet, "append", csv(300..305)).await;
    let late = json!({"text": "note about bread and number 303", "k": 1, "with": []});
    let answer = search(&quiet, SEARCH, late).await;
    assert_eq!(answer["hits"][0]["id"], "d303");
    assert_eq!(rows().await, [305, 5]);
    let fold = json!({"fold": "append"});
    done(&quiet, "/vectors/lance/optimize/notes", fold).await;
    assert_eq!(rows().await, [305, 0]);
    is_in_step(&quiet).await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_word() {
    let quiet = migrated(60).await;
    let index = "/vectors/lance/index/notes";
    let check = async |path: &str, body: Value, wanted: (u16, &str)| {
        let found = refused(&quiet, path, body.clone()).await;
        assert_eq!((found.0, found.1.as_str()), wanted, "{path} {body}");
    };
    check(index, json!({}), (422, "too_few_rows")).await;
    check(index, json!({"partitions": 0}), (422, "out_of_bounds")).await;
    check(index, json!({"sub_vectors": 7}), (422, "out_of_bounds")).await;
    check(
        index,
        json!({"kind": "ivf_hnsw_sq", "m": 1}),
        (422, "out_of_bounds"),
    )
    .await;
    check(SEARCH, json!({"k": 3}), (422, "text_or_vector")).await;
    check(
        SEARCH,
        json!({"text": "a", "k": 0}),
        (422, "k_out_of_range"),
    )
    .await;
    check(SEARCH, json!({"vector": [1.0]}), (422, "wrong_dimension")).await;
    check(
        SEARCH,
        json!({"text": "bread", "nprobes": 0}),
        (422, "out_of_bounds"),
    )
    .await;
    check(
        SEARCH,
        json!({"text": "bread", "ef": 10}),
        (422, "out_of_bounds"),
    )
    .await;
    check(
        SEARCH,
        json!({"text": "bread", "refine_factor": 50_000}),
        (422, "out_of_bounds"),
    )
    .await;
    let unknown = refused(&quiet, "/vectors/lance/migrate/nobody", Value::Null).await;
    assert_eq!(unknown, (404, "unknown_index".to_owned()));
    let (_, problem) = post(&quiet, index, json!({})).await;
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("exact without it"),
        "{problem}"
    );
}

#[tokio::test]
async fn documents_are_appended_refused_and_replaced_as_asked() {
    let quiet = migrated(60).await;
    let path = "/vectors/lance/append/notes";
    let check = async |documents: Value, wanted: (u16, &str)| {
        let found = refused(&quiet, path, json!({"documents": documents})).await;
        assert_eq!((found.0, found.1.as_str()), wanted, "{documents}");
    };
    check(json!([]), (422, "too_many_documents")).await;
    check(json!([{"id": "x"}]), (422, "text_or_vector")).await;
    check(json!([{"id": "x", "text": "bread"}]), (422, "row_missing")).await;
    check(
        json!([{"id": "x", "text": "bread", "row": 60}]),
        (422, "row_out_of_range"),
    )
    .await;
    check(
        json!([{"id": "x", "vector": [1.0], "row": 1}]),
        (422, "wrong_dimension"),
    )
    .await;
    let twice =
        json!([{"id": "x", "text": "bread", "row": 1}, {"id": "x", "text": "rain", "row": 1}]);
    check(twice, (422, "duplicate_id")).await;
    check(
        json!([{"id": "d7", "text": "volcanoes"}]),
        (409, "document_exists"),
    )
    .await;
    is_in_step(&quiet).await;
    let wish = json!({"documents": [{"id": "d7", "text": "volcanoes erupt"}, {"id": "new", "text": "castles", "row": 3}], "on_duplicate": "replace"});
    let (status, answer) = post(&quiet, path, wish).await;
    assert_eq!(
        (status, &answer["appended"], &answer["replaced"]),
        (200, &json!(2), &json!(1)),
        "{answer}"
    );
    for (words, id) in [("volcanoes erupt", "d7"), ("castles", "new")] {
        for path in [SEARCH, "/vectors/indexes/notes/search"] {
            let answer = search(&quiet, path, json!({"text": words, "k": 1})).await;
            assert_eq!(answer["hits"][0]["id"], id, "{path}");
        }
    }
    is_in_step(&quiet).await;
    assert_eq!(live(&quiet).documents(), 61);
    let gone = json!({"ids": ["d9"]});
    let deleted = send(
        &quiet,
        Method::DELETE,
        "/vectors/indexes/notes/documents",
        gone,
    )
    .await;
    assert_eq!(deleted.0, 200);
    check(
        json!([{"id": "d9", "text": "bread", "row": 9}]),
        (422, "deleted_document"),
    )
    .await;
    // The dataset is covered as before: nothing is behind, and what is appended to it comes in.
    assert_eq!(live(&quiet).meta.covered_rows(), 60);
    refresh(&quiet, "append", csv(60..62)).await;
    assert_eq!(live(&quiet).documents(), 62);
    is_in_step(&quiet).await;
}

#[tokio::test]
async fn an_index_without_ids_takes_documents_by_its_dataset_only() {
    let quiet = Quiet::open().await;
    quiet.ingest("notes", "replace", csv(0..30)).await;
    let spec = json!({"name": "notes", "dataset": "notes", "text_column": "text"});
    succeeded(&quiet.built(&spec).await);
    done(&quiet, "/vectors/lance/migrate/notes", Value::Null).await;
    let wish = json!({"documents": [{"id": "40", "text": "bread", "row": 4}]});
    let found = refused(&quiet, "/vectors/lance/append/notes", wish).await;
    assert_eq!(found, (409, "appends_by_dataset".to_owned()));
    refresh(&quiet, "append", csv(30..33)).await;
    is_in_step(&quiet).await;
}

#[tokio::test]
async fn a_table_stays_when_objects_of_its_index_are_made_good() {
    let quiet = migrated(40).await;
    let (index, before) = (live(&quiet), table(&quiet));
    let lost = index.meta.vectors_path.clone();
    index.bucket().delete(&lost).await.unwrap();
    let mended = done(&quiet, "/vectors/indexes/notes/refresh", Value::Null).await;
    assert_eq!(mended["mended_objects"], 1, "{mended}");
    assert_ne!(live(&quiet).meta.vectors_path, lost);
    assert_eq!(table(&quiet), before, "it has the same rows");
    is_in_step(&quiet).await;
    let gone = json!({"ids": ["d7"]});
    let path = "/vectors/indexes/notes/documents";
    let (status, deleted) = send(&quiet, Method::DELETE, path, gone).await;
    assert_eq!((status, &deleted["documents"]), (200, &json!(39)));
    is_in_step(&quiet).await;
}

#[tokio::test]
async fn what_a_crash_left_in_a_table_is_never_read_and_goes_with_the_next_change() {
    let quiet = migrated(40).await;
    let index = live(&quiet);
    let room = &quiet.app.indexes.lance;
    let seat = room
        .seat(index.bucket(), &table(&quiet).path, None)
        .await
        .unwrap();
    let vectors = index
        .stored(index.meta.vector_objects().next().unwrap())
        .await
        .unwrap();
    // An append up to the commit of the manifest: rows that are there twice now.
    seat.table
        .append(rows_of(&vectors, 0..10, |_| true))
        .await
        .unwrap();
    is_in_step(&quiet).await;
    let answer = search(
        &quiet,
        SEARCH,
        json!({"text": "note about bread", "k": 100, "with": []}),
    )
    .await;
    assert_eq!(answer["hits"].as_array().unwrap().len(), 40);
    let gone = json!({"ids": ["d3"]});
    let deleted = send(
        &quiet,
        Method::DELETE,
        "/vectors/indexes/notes/documents",
        gone,
    )
    .await;
    assert_eq!(deleted.0, 200);
    is_in_step(&quiet).await;
    assert_eq!(seat.table.now().rows().await.unwrap(), 39);
    refresh(&quiet, "append", csv(40..44)).await;
    is_in_step(&quiet).await;
}

#[tokio::test]
async fn rows_and_deletions_come_while_an_index_is_built() {
    let quiet = migrated(400).await;
    let build = post(
        &quiet,
        "/vectors/lance/index/notes",
        json!({"partitions": 2}),
    )
    .await
    .1;
    refresh(&quiet, "append", csv(400..420)).await;
    let gone = json!({"ids": ["d3", "d401"]});
    let deleted = send(
        &quiet,
        Method::DELETE,
        "/vectors/indexes/notes/documents",
        gone,
    )
    .await;
    assert_eq!(deleted.0, 200);
    let built = quiet
        .app
        .tasks
        .wait(build["id"].as_str().unwrap())
        .await
        .unwrap();
    succeeded(&built);
    is_in_step(&quiet).await;
    assert!(table(&quiet).index.is_some());
    let answer = search(
        &quiet,
        SEARCH,
        json!({"text": "note about ships and number 403", "k": 1, "with": []}),
    )
    .await;
    assert_eq!(answer["hits"][0]["id"], "d403");
}

#[tokio::test]
async fn a_table_that_is_lost_is_let_go_and_the_graph_serves() {
    let quiet = migrated(30).await;
    let switch = json!({"vector_backend": "lance"});
    let switched = send(&quiet, Method::PATCH, "/vectors/indexes/notes", switch).await;
    assert_eq!(
        (switched.0, &switched.1["vector_backend"]),
        (200, &json!("lance"))
    );
    let path = table(&quiet).path;
    delete_folder(live(&quiet).bucket(), &path).await.unwrap();
    quiet.app.indexes.lance.forget(&path);
    let ask = json!({"text": "note about ships", "k": 2, "with": []});
    let answer = search(&quiet, "/vectors/indexes/notes/search", ask.clone()).await;
    assert_eq!(answer["backend"], "parquet", "the graph stands in");
    let (status, problem) = post(&quiet, SEARCH, ask).await;
    assert_eq!((status, &problem["code"]), (500, &json!("damaged_object")));
    refresh(&quiet, "append", csv(30..32)).await;
    let meta = &live(&quiet).meta;
    assert_eq!(
        (&meta.lance, meta.vector_backend),
        (&None, VectorBackend::Parquet)
    );
    done(&quiet, "/vectors/lance/migrate/notes", Value::Null).await;
    is_in_step(&quiet).await;
}

#[tokio::test]
async fn a_rebuild_gives_the_table_the_new_vectors_and_its_index() {
    let quiet = migrated(300).await;
    done(
        &quiet,
        "/vectors/lance/index/notes",
        json!({"partitions": 2}),
    )
    .await;
    let switch = json!({"vector_backend": "lance"});
    send(&quiet, Method::PATCH, "/vectors/indexes/notes", switch).await;
    let before = table(&quiet);
    refresh(&quiet, "replace", csv(1_000..1_280)).await;
    let after = table(&quiet);
    assert_ne!(after.path, before.path);
    assert_eq!((after.index, after.covered), (before.index, 280));
    is_in_step(&quiet).await;
    let ask = json!({"text": "note about bread and number 1002", "k": 1, "with": []});
    let answer = search(&quiet, "/vectors/indexes/notes/search", ask).await;
    let found = (&answer["backend"], &answer["hits"][0]["id"]);
    assert_eq!(found, (&json!("lance"), &json!("d1002")));
}

#[tokio::test]
async fn a_new_index_may_be_served_from_lance_from_the_start() {
    let quiet = Quiet::open().await;
    quiet.ingest("notes", "replace", csv(0..40)).await;
    let spec = json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id", "vector_backend": "lance"});
    succeeded(&quiet.built(&spec).await);
    let meta = &live(&quiet).meta;
    assert_eq!(meta.vector_backend, VectorBackend::Lance);
    assert!(meta.lance.as_ref().unwrap().index.is_none(), "too few rows");
    let (status, found) = send(
        &quiet,
        Method::GET,
        "/vectors/indexes/notes/documents/d4?with=text",
        Value::Null,
    )
    .await;
    assert_eq!(
        (status, &found["backend"], &found["row"]),
        (200, &json!("lance"), &json!(4))
    );
    assert_eq!(found["columns"]["text"], "a note about ships and number 4");
}

#[tokio::test]
async fn the_version_that_serves_outlives_a_cleanup() {
    let quiet = migrated(40).await;
    for row in 40..46 {
        refresh(&quiet, "append", csv(row..row + 1)).await;
    }
    let result = done(&quiet, "/vectors/lance/optimize/notes", Value::Null).await;
    assert_eq!(result["table"]["version"], result["table"]["tidied"]);
    is_in_step(&quiet).await;
    let index = live(&quiet);
    let seat = quiet
        .app
        .indexes
        .lance
        .seat(index.bucket(), &table(&quiet).path, None)
        .await
        .unwrap();
    let versions = seat.table.versions().await.unwrap();
    let tagged: Vec<_> = versions.iter().filter(|one| !one.tags.is_empty()).collect();
    assert_eq!((tagged.len(), tagged[0].number), (1, table(&quiet).version));
}
