//! Builds that need more memory than they may take end before they begin.

use std::{fmt::Write as _, sync::Arc};

use arrow::array::{ArrayRef, StringArray};
use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::*;
use crate::{
    indexes::testing::{Quiet, succeeded},
    tasks::{TaskState, TaskView},
};

/// Vectors that there is room for.
const ROOM: u64 = 10;

/// A host with that room.
async fn host() -> Quiet {
    let embedder = boathouse_models::StaticEmbedder::bundled().unwrap();
    let bytes = ROOM * 4 * embedder.dimension().get() as u64;
    Quiet::configured(|config| config.vectors.max_build_bytes = bytes).await
}

/// Rows from a number on, each with a text of some ninety characters, or of one word; none stands for an empty text.
fn rows(from: usize, texts: &[Option<&str>]) -> String {
    let mut csv = "id,text\n".to_owned();
    for (row, text) in (from..).zip(texts) {
        writeln!(csv, "{row},{}", text.unwrap_or_default()).unwrap();
    }
    csv
}

const LONG: &str =
    "the ships in the harbour wait for a wind from the west and the oven waits for bread";

fn spec(chunk: &Value) -> Value {
    json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id", "chunk": chunk})
}

/// That a task was refused before anything was embedded, with these words, and has left nothing behind.
#[track_caller]
fn check_refused(host: &Quiet, ended: &TaskView, words: &[&str]) {
    assert_eq!(ended.state, TaskState::Failed, "{ended:?}");
    let problem = ended.error.as_ref().unwrap();
    assert_eq!(
        (problem.status, problem.code.as_str()),
        (422, "build_too_large")
    );
    for word in [words, &["vectors.max_build_bytes", "fewer rows"][..]].concat() {
        assert!(
            problem.detail.contains(word),
            "`{word}`: {}",
            problem.detail
        );
    }
    assert_ne!(ended.progress.stage, "embedding");
    let kept = host.app.config.server.data.join("cache/embedding");
    assert!(!kept.exists(), "vectors of a build that did not begin");
}

/// Objects of the index in its bucket.
async fn objects(host: &Quiet) -> usize {
    let primary = host.app.bucket_table.primary();
    primary.list("indexes").await.unwrap().len()
}

#[tokio::test]
async fn small_pieces_of_many_texts_are_refused_and_larger_ones_are_not() {
    let host = host().await;
    host.ingest("notes", "replace", rows(0, &[Some(LONG); 5]))
        .await;
    let small = json!({"characters": 50, "overlap": 24});
    let refused = host.built(&spec(&small)).await;
    let words = ["first 5 of 5 rows", "chunk.characters", "chunk.overlap"];
    check_refused(&host, &refused, &words);
    assert_eq!(objects(&host).await, 0);
    assert!(host.app.indexes.get("notes").is_err());
    // The name is free, and two pieces of each text fit exactly.
    let larger = json!({"characters": 60, "overlap": 10});
    succeeded(&host.built(&spec(&larger)).await);
    let index = host.app.indexes.get("notes").unwrap();
    assert_eq!(index.meta.vectors, ROOM);
}

#[tokio::test]
async fn texts_that_are_not_cut_need_a_vector_each_if_there_is_something_in_them() {
    let host = host().await;
    let mut texts = [Some(LONG); 11];
    host.ingest("notes", "replace", rows(0, &texts)).await;
    let refused = host.built(&spec(&Value::Null)).await;
    check_refused(&host, &refused, &["need 11 vectors"]);
    let detail = refused.error.unwrap().detail;
    assert!(!detail.contains("chunk"), "they are not cut: {detail}");
    texts[3] = None;
    host.ingest("notes", "replace", rows(0, &texts)).await;
    succeeded(&host.built(&spec(&Value::Null)).await);
    assert_eq!(host.app.indexes.get("notes").unwrap().meta.vectors, ROOM);
}

#[tokio::test]
async fn an_append_has_the_same_room_and_the_index_stays_as_it_was() {
    let host = host().await;
    host.ingest("notes", "replace", rows(0, &[Some(LONG); 9]))
        .await;
    succeeded(&host.built(&spec(&Value::Null)).await);
    let before = objects(&host).await;
    let refresh = || {
        let request = Request::post("/vectors/indexes/notes/refresh");
        host.ended(request, Body::empty())
    };
    host.ingest("notes", "append", rows(9, &[Some(LONG); 2]))
        .await;
    succeeded(&refresh().await);
    assert_eq!(host.app.indexes.get("notes").unwrap().vectors(), 11);
    let after = objects(&host).await;
    assert!(after > before);
    host.ingest("notes", "append", rows(11, &[Some(LONG); 11]))
        .await;
    check_refused(&host, &refresh().await, &["need 11 vectors"]);
    let index = host.app.indexes.get("notes").unwrap();
    assert_eq!((index.vectors(), objects(&host).await), (11, after));
}

#[test]
fn what_is_counted_is_what_is_cut() {
    let texts: StringArray = [Some(LONG), None, Some(""), Some("  "), Some("bread")]
        .into_iter()
        .collect();
    let batch =
        RecordBatch::try_from_iter_with_nullable([("text", Arc::new(texts) as ArrayRef, true)]);
    let batch = batch.unwrap();
    let counted = |characters, overlap| {
        let chunk = Chunking {
            characters,
            overlap,
        };
        count(Some(chunk), &batch).unwrap()
    };
    assert_eq!(count(None, &batch).unwrap(), 2);
    assert_eq!(counted(100, 0), 2);
    assert_eq!(counted(50, 0), 3);
}
